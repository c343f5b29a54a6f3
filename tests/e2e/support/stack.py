"""The stack under test: one of our own, or another one that the environment names."""

import json
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .wait import wait_until

TOP = Path(__file__).resolve().parents[3]
STACK = TOP / "deploy/native/stack"
BUILD = TOP / os.environ.get("BUILD", "build")
UP_TIMEOUT_S = 240
SERVICE_TIMEOUT_MS = 60000

# The settings that are ports of a stack's own. HTTPS_PORT counts only where the site has a name.
PORTS = tuple(re.findall(r"^(?!HTTPS)([A-Z_]+_PORT)\b", (TOP / "deploy/native/settings").read_text(), re.MULTILINE))

# Settings of a stack that the caller's own environment must not bring into ours.
FOREIGN = (*PORTS, "RUN_DIR", "HANDLERS_DIR", "HTTP_BIND", "HTTPS_PORT", "SITE_ADDRESS", "MAIL_HOST", "MONGO_URL",
           "RABBITMQ_URL", "DSN", "INTERNAL_URL", "QUEUE_URL", "HTTP_URL", "MAKEFLAGS", "MAKELEVEL",
           "MFLAGS")  # fmt: skip


@dataclass
class Target:
    """Where the parts of a stack are; empty: not known, and tests that need it skip."""

    public: str = ""
    internal: str = ""
    queue: str = ""
    dsn: str = ""
    mongo_url: str = ""
    rabbitmq_url: str = ""
    mailpit_url: str = ""
    rpc_addr: str = ""
    grpc_addr: str = ""


def site(url: str | None, path: str | None) -> str:
    return url or (f"unix:{path}" if path else "")


def target_of(settings) -> Target:
    return Target(
        public=settings.get("BASE_URL") or settings.get("HTTP_URL", ""),
        internal=site(settings.get("INTERNAL_URL"), settings.get("INTERNAL_SOCKET")),
        queue=site(settings.get("QUEUE_URL"), settings.get("QUEUE_SOCKET")),
        dsn=settings.get("DSN", ""),
        mongo_url=settings.get("MONGO_URL", ""),
        rabbitmq_url=settings.get("RABBITMQ_URL", ""),
        mailpit_url=settings.get("MAILPIT_URL", ""),
        rpc_addr=settings.get("LOG_RPC_ADDR", ""),
        grpc_addr=settings.get("LOG_GRPC_ADDR", ""),
    )


def free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that the kernel gives to clients: so that none of them
    is taken while the part that uses it restarts."""
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    taken: list[int] = []
    for port in random.sample(range(15000, max(first_of_clients, 15000 + 5000)), 5000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.append(port)
        if len(taken) == count:
            return taken
    raise RuntimeError("no free ports")


class NativeStack(Target):
    """A stack of our own in a directory of its own, on free ports."""

    def __init__(self, name: str = "fc", parent: str = "/var/tmp"):
        self.parent = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
        self.parent.chmod(0o755)
        self.run_dir = self.parent / "run"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
        self.environment |= {"RUN_DIR": str(self.run_dir)} | {k: str(v) for k, v in self.ports.items()}
        self.settings: dict[str, str] = {}

    def call(self, verb: str, *arguments: str, timeout: float = UP_TIMEOUT_S, **environment: str):
        """Runs deploy/native/stack VERB and returns what it did, whatever the status."""
        return subprocess.run(
            [STACK, verb, *arguments], cwd=TOP, env=self.environment | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    def up(self, **environment: str) -> str:
        done = self.call("up", **environment)
        assert done.returncode == 0, f"stack up: {done.returncode}\n{done.stdout}{done.stderr}\n{self.log_tails()}"
        self.read_settings()
        return done.stdout

    def down(self) -> None:
        done = self.call("down")
        assert done.returncode == 0, f"stack down: {done.returncode}\n{done.stdout}{done.stderr}"

    def read_settings(self) -> None:
        done = self.call("env")
        assert done.returncode == 0, done.stderr
        self.settings = dict(word.split("=", 1) for word in shlex.split(done.stdout) if "=" in word)
        vars(self).update(vars(target_of(self.settings | {"QUEUE_SOCKET": self.run_dir / "queue.sock"})))

    def remove(self) -> None:
        """Stops what runs and deletes everything."""
        if (self.run_dir / "app").exists():
            self.down()
        shutil.rmtree(self.parent)

    # The stack from inside.

    @property
    def owner(self) -> dict:
        """For subprocess: become the user that the stack runs as."""
        status = self.run_dir.stat()
        if os.geteuid() == status.st_uid:
            return {}
        return {"user": status.st_uid, "group": status.st_gid, "extra_groups": []}

    @property
    def handlers_dir(self) -> Path:
        return Path(self.settings.get("HANDLERS_DIR", self.run_dir / "handlers"))

    def bundled(self, name: str) -> Path:
        """The program of a bundled handler, as it was staged."""
        return next((self.run_dir / "app/handlers").glob(f"*/{name}"))

    def log_lines(self, service: str) -> list[str]:
        """What a service has logged, older files first."""
        directory = self.run_dir / "log" / service
        files = sorted(directory.glob("@*")) + [directory / "current"]
        return [line for f in files if f.exists() for line in f.read_text(errors="replace").splitlines()]

    def log_records(self, service: str, **members: object) -> list[dict]:
        """The JSON lines of a service that have these members."""
        records = []
        for line in self.log_lines(service):
            start = line.find("{")  # a time stamp may stand before it
            try:
                record = json.loads(line[start:]) if start >= 0 else None
            except ValueError:
                continue
            if isinstance(record, dict) and all(record.get(k) == v for k, v in members.items()):
                records.append(record)
        return records

    def log_tails(self, lines: int = 15) -> str:
        text = []
        for current in sorted((self.run_dir / "log").glob("*/current")):
            tail = current.read_text(errors="replace").splitlines()[-lines:]
            text.append(f"--- {current.parent.name}\n" + "\n".join(tail))
        return "\n".join(text)

    def service(self, *arguments: str) -> None:
        """s6-svc as the stack's user: only it may, and as root it would wait for ever."""
        *options, name = arguments
        subprocess.run(
            ["s6-svc", "-T", str(SERVICE_TIMEOUT_MS), *options, self.run_dir / "services" / name],
            check=True, timeout=SERVICE_TIMEOUT_MS / 1000 + 10, cwd="/", **self.owner,
        )  # fmt: skip

    def stop(self, name: str) -> None:
        self.service("-wD", "-d", name)

    def start(self, name: str) -> None:
        self.service("-wU", "-u", name)

    def service_pid(self, name: str) -> int:
        """The process of a service; 0 if it is down."""
        done = subprocess.run(
            ["s6-svstat", "-o", "pid", self.run_dir / "services" / name],
            capture_output=True, text=True, timeout=10, cwd="/", **self.owner,
        )  # fmt: skip
        return max(int(done.stdout or 0), 0) if done.returncode == 0 else 0

    def services(self) -> list[str]:
        return sorted(p.name for p in (self.run_dir / "services").iterdir() if (p / "supervise").exists())

    def pids(self) -> dict[str, int]:
        return {name: self.service_pid(name) for name in self.services()}

    def workers(self, name: str) -> set[int]:
        """The workers of a handler: processes that run a copy of it and listen on fd 0."""
        versions = f"{self.run_dir}/versions/{name}/"
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "exe").startswith(versions):
                        found.add(int(entry.name))
                except OSError:
                    continue  # it ended, or is not ours
        return found

    def processes(self) -> dict[int, str]:
        """Every process that belongs to this stack, by what its command line or program says."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if str(self.run_dir) in command or os.readlink(entry / "cwd").startswith(str(self.run_dir)):
                        found[int(entry.name)] = command
                except OSError:
                    continue
        return found

    def drop(self, program: Path, place: str, name: str) -> Path:
        """Drops a program in, in one step, as `install` would."""
        destination = self.handlers_dir / place / name
        temporary = destination.with_name(f".{name}.new")
        shutil.copyfile(program, temporary)
        temporary.chmod(0o755)
        temporary.rename(destination)
        return destination

    def wait_for_live(self, place: str, name: str, live: bool = True) -> None:
        file = self.run_dir / place / f"{name}.live"
        wait_until(lambda: file.exists() is live, 15, f"{place}/{name} is {'' if live else 'not '}live")
