"""A Docker daemon of the tests' own: its containerd, network, state and socket. Nothing of the machine's is touched."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from support.wait import wait_until

from .namespace import Namespace

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
NEEDED = ("ip", "nsenter", "setpriv", "iptables", "containerd", "dockerd", "docker")
# That of the daemon's own version, whatever else is first on PATH.
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else str(shutil.which("docker"))
START_S = 60
STOP_S = 60
COMMAND_S = 120
KEPT_MB = 12000
NAME_SERVER = "10.213.0.53"  # in the daemon's own network only, like every address here
CONTAINERD = """version = 2
root = "{root}/containerd"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{run}/containerd.sock"
"""


class Unavailable(Exception):
    """No daemon can run here; says why."""


def cache() -> Path:
    """Where the programs that the project fetches and builds are kept."""
    script = f'native={TOP}/deploy/native; . "$native/lib/tools"; tools_cache'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return Path(done.stdout) / "docker"


def check_machine() -> None:
    if os.geteuid() != 0:
        raise Unavailable("a Docker daemon needs root")
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)}")


class Daemon:
    """Started by start, ended by remove. With keep, its images stay for the next run, unless another run has them."""

    def __init__(self, keep: bool = False):
        check_machine()
        self.run = Path(tempfile.mkdtemp(prefix="fcd.", dir="/tmp"))
        self.lock = None
        self.root = self.run / "root"
        if keep:
            self.root = self._kept_root() or self.root
        self.socket = f"unix://{self.run}/docker.sock"
        self.processes: list[subprocess.Popen] = []
        self.outside: subprocess.Popen | None = None
        self.proxy = ""
        try:
            self.network = Namespace()
        except (OSError, subprocess.CalledProcessError) as e:
            raise Unavailable(f"no network of its own can be made: {getattr(e, 'stderr', '') or e}") from e

    def _kept_root(self) -> Path | None:
        cache().mkdir(parents=True, exist_ok=True)
        self.lock = open(cache() / "lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None
        root = cache() / "root"
        used = subprocess.run(["du", "-sm", root], capture_output=True, text=True, timeout=COMMAND_S).stdout
        if used and int(used.split()[0]) > KEPT_MB:  # what no build needs any more adds up
            shutil.rmtree(root)
        return root

    # Starting.

    def start(self) -> None:
        self._start_outside()
        for kept in ("swarm", "network"):  # of a run that was killed
            shutil.rmtree(self.root / "docker" / kept, ignore_errors=True)
        (self.run / "containerd.toml").write_text(CONTAINERD.format(root=self.root, run=self.run))
        (self.run / "daemon.json").write_text("{}")
        self._spawn("containerd", "containerd", "--config", str(self.run / "containerd.toml"))
        wait_until(lambda: (self.run / "containerd.sock").exists() or self._ended(), START_S, "containerd runs")
        self._spawn(
            "dockerd", "dockerd", "--config-file", str(self.run / "daemon.json"), "--host", self.socket,
            "--containerd", str(self.run / "containerd.sock"), "--data-root", str(self.root / "docker"),
            "--exec-root", str(self.run / "exec"), "--pidfile", str(self.run / "docker.pid"), "--bip", "10.213.1.1/24",
            "--default-address-pool", "base=10.214.0.0/16,size=24", "--dns", NAME_SERVER, "--log-level", "warn",
        )  # fmt: skip
        wait_until(lambda: self.answers() or self._ended(), START_S, "dockerd answers")
        if self._ended():
            raise Unavailable(f"dockerd does not run: {self.last_words()}")

    def _start_outside(self) -> None:
        self.network.address("10.213.0.53/32")
        http = self.network.listening(socket.SOCK_STREAM, "127.0.0.1")
        dns = self.network.listening(socket.SOCK_DGRAM, NAME_SERVER, 53)
        self.proxy = f"http://127.0.0.1:{http.getsockname()[1]}"
        self.outside = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", sys.executable, HERE / "outside.py", str(http.fileno()),
             str(dns.fileno()), cache() / "debs"],
            pass_fds=(http.fileno(), dns.fileno()), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        http.close()
        dns.close()

    def _spawn(self, name: str, *argv: str) -> None:
        with open(self.run / f"{name}.log", "ab") as log:
            self.processes.append(
                subprocess.Popen(
                    self.network.command(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                    env={k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")},
                )
            )  # fmt: skip

    def _ended(self) -> bool:
        return any(p.poll() is not None for p in self.processes)

    def last_words(self) -> str:
        lines = [
            line
            for log in sorted(self.run.glob("*.log"))
            for line in log.read_text(errors="replace").splitlines()
            if "level=error" in line or "level=fatal" in line or "level=" not in line
        ]
        return " / ".join(lines[-3:])

    # Using.

    @property
    def environment(self) -> dict[str, str]:
        """For the clients: this daemon, the builder that Docker 20.10 has, nothing of the caller's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "COMPOSE_"))}
        return kept | {
            "DOCKER_HOST": self.socket, "DOCKER_CONFIG": str(self.run / "client"), "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0", "PATH": f"{Path(DOCKER).parent}:{os.environ['PATH']}",
        }  # fmt: skip

    def call(self, *argv: str, timeout: float = COMMAND_S, **options) -> subprocess.CompletedProcess:
        """docker ARGUMENT..., whatever its status."""
        return subprocess.run(
            [DOCKER, *map(str, argv)], env=self.environment, capture_output=True, text=True, timeout=timeout, **options
        )

    def do(self, *argv: str, timeout: float = COMMAND_S, **options) -> str:
        """docker ARGUMENT..., which must succeed; what it printed."""
        done = self.call(*argv, timeout=timeout, **options)
        assert done.returncode == 0, f"docker {' '.join(map(str, argv))}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()

    def save(self, image: str) -> bytes:
        """The image as a tarball."""
        done = subprocess.run([DOCKER, "save", image], env=self.environment, capture_output=True, timeout=COMMAND_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inspect(self, name: str) -> dict:
        return json.loads(self.do("inspect", name))[0]

    def answers(self) -> bool:
        return self.call("version", timeout=10).returncode == 0

    def kill_first_process(self, container: str) -> None:
        """As a crash or the kernel's memory killer ends a container. `docker kill` would be a stop by hand, after
        which Docker starts nothing again."""
        pid = self.inspect(container)["State"]["Pid"]
        assert pid > 0, f"{container} does not run"
        os.kill(pid, signal.SIGKILL)

    def clear(self) -> None:
        """Removes everything but images."""
        containers = self.do("ps", "-aq").split()
        if containers:
            self.do("rm", "-f", *containers)
        self.do("network", "prune", "-f")
        volumes = self.do("volume", "ls", "-q").split()
        if volumes:
            self.do("volume", "rm", "-f", *volumes)

    # Ending.

    def remove(self) -> None:
        """Ends all of it, by the processes that start made."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.clear()
        for process in [*reversed(self.processes), self.outside]:
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._unmount()
        self.network.remove()
        shutil.rmtree(self.run, ignore_errors=True)
        if self.lock:
            self.lock.close()

    def _unmount(self) -> None:
        """What a daemon that was killed left mounted; the last first."""
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith((f"{self.run}/", f"{self.root}/")):
                subprocess.run(["umount", "-l", mount], check=False, timeout=30, capture_output=True)
