"""A machine with a real systemd: a container on a copy-on-write view of this machine's own root file system.

It shares the network, so that it reaches what listens on this machine's loopback, and nothing else; its files are gone
when it is. What it needs is systemd (as an installed package) and root.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

from .stack import TOP
from .wait import wait_until

BOOT_S = 30
DOWN_S = 20
COMMAND_S = 120
BOOTED = ("running", "degraded")  # degraded: a unit of this machine's own failed, which is not ours

# cgroups of its own, for whichever version there is; a tmpfs in a mount namespace of its own, so that nothing is left
# of it; then the container. Nothing that this machine would start by itself is started.
BOOT = """
cannot() { echo "$1"; exit 77; }
for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -f "$tree/cgroup.procs" ] || continue
    mkdir "$tree/$name" && echo $$ >"$tree/$name/cgroup.procs" || cannot "no cgroups of one's own in $tree"
done
mount -t tmpfs tmpfs "$dir" || cannot 'nothing can be mounted'
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root" ||
    cannot "no overlay of this machine's root"
exec systemd-nspawn --quiet --directory="$dir/root" --boot --register=no --keep-unit --link-journal=no \
    --machine="$name" --console=pipe "$@" systemd.unit=basic.target
"""


CANNOT = 77


class CannotBoot(Exception):
    """Why no systemd can be booted here: what is missing of this machine, not what goes wrong."""


class Machine:
    def __init__(self, binds: dict[Path, str], empty: tuple[str, ...] = ()):
        """binds: what of this machine's is to be seen where in the other. empty: directories that are, there."""
        if os.geteuid() != 0:
            raise CannotBoot("only root can boot a container")
        if not shutil.which("systemd-nspawn") or not Path("/lib/systemd/systemd").exists():
            raise CannotBoot("systemd-nspawn or systemd is not installed")
        self.dir = Path(tempfile.mkdtemp(prefix="fc-machine.", dir="/var/tmp"))
        self.name = f"fc-{uuid.uuid4().hex[:12]}"
        self.log = self.dir.with_suffix(self.dir.suffix + ".log")
        self.leader = 0
        options = [f"--bind={source}:{there}" for source, there in binds.items()]
        options += [f"--tmpfs={there}:mode=0755" for there in empty]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", BOOT, "sh", *options],
                env=os.environ | {"name": self.name, "dir": str(self.dir)}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._booted, BOOT_S, "systemd has booted")
        except BaseException:
            self.remove()
            raise

    def _booted(self) -> bool:
        said = self.log.read_text(errors="replace")[-1000:].strip()
        if self.process.poll() is not None:
            raise CannotBoot(said) if self.process.returncode == CANNOT else RuntimeError(f"systemd-nspawn: {said}")
        for child in self._children(self.process.pid):
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                self.leader = child
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                assert state in BOOTED, f"{state}; {said}"
                return True
        raise AssertionError(f"no systemd yet: {said}")

    @staticmethod
    def _children(pid: int) -> list[int]:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def run(self, *command: str, check: bool = True, timeout: float = COMMAND_S, **environment: str):
        """Runs a command there, as root."""
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "FLEXICONNECT_CACHE", "BUILD")}
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-m", "-p", "-u", "-i", "-C", "-w", "--", *command],
            env=inherited | {"HOME": "/root", "LANG": "C.UTF-8"} | environment, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def make(self, *arguments: str):
        """make at the top of the tree, there."""
        return self.run("make", "--no-print-directory", "-C", str(TOP), *arguments)

    def path(self, there: str) -> Path:
        """A file of that machine, to look at from here."""
        return Path(f"/proc/{self.leader}/root{there}")

    def journal(self, *options: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", *options).stdout

    def pids(self, unit: str) -> list[int]:
        """The processes of a unit, as that machine numbers them."""
        group = self.run("systemctl", "show", "--property=ControlGroup", "--value", unit).stdout.strip()
        if not group:
            return []
        for tree in ("systemd", "unified", ""):
            procs = self.path(f"/sys/fs/cgroup/{tree}{group}/cgroup.procs")
            if procs.exists():
                return [
                    int(line) for line in self.run("cat", f"/sys/fs/cgroup/{tree}{group}/cgroup.procs").stdout.split()
                ]
        return []

    def remove(self) -> None:
        if self.process.poll() is None and self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGRTMIN + 4)  # systemd: power off
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DOWN_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        wait_until(self._groups_removed, DOWN_S, "its cgroups are empty")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def _groups_removed(self) -> bool:
        tops = [Path("/sys/fs/cgroup", tree, self.name) for tree in ("systemd", "unified", "")]
        for top in tops:
            for group, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # the last processes may be on their way out
                    os.rmdir(group)
        return not any(top.is_dir() for top in tops)
