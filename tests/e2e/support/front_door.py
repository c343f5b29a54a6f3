"""The front door alone: Caddy with our Caddyfile, and what it needs of a network."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .spawning import caddy, program
from .stack import FOREIGN, TOP, free_ports
from .wait import wait_until

START_S = 20


class FrontDoor:
    """Runs with these settings until remove. `enter` are the words before a command that is to run beside it."""

    def __init__(self, enter: tuple[str, ...] = (), **settings: str):
        self.enter = enter
        self.parent = Path(tempfile.mkdtemp(prefix="fc door.", dir="/tmp"))
        self.run_dir = self.parent / "run"
        self.environment = {k: v for k, v in os.environ.items() if k not in FOREIGN} | {
            "RUN_DIR": str(self.run_dir),
            "HANDLERS_DIR": str(self.run_dir / "handlers"),
            "WEB_DIR": str(TOP / "web"),
            "HOME": str(self.run_dir),
            "XDG_DATA_HOME": str(self.run_dir),
            "OTEL_TRACES_EXPORTER": "none",
            **settings,
        }
        for place in ("public", "internal", "queue"):
            (self.run_dir / place).mkdir(parents=True)
        with open(self.parent / "log", "wb") as log:
            self.process = subprocess.Popen(
                [*enter, caddy(), "run", "--adapter", "caddyfile", "--config", TOP / "Caddyfile"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def log(self) -> str:
        return (self.parent / "log").read_text(errors="replace")

    def curl(self, *arguments: str | Path) -> tuple[int, dict[str, str], str]:
        """Status, headers, body; status 0 if there was no answer."""
        command = [*self.enter, "curl", "-s", "-i", "-m", "20", "--noproxy", "*", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        head, _, body = done.stdout.partition("\n\n")
        if not head:
            return 0, {}, done.stderr
        first, *lines = head.splitlines()
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        return int(first.split()[1]), {name.lower(): value for name, value in headers.items()}, body

    def wait_answer(self, *arguments: str | Path) -> None:
        wait_until(lambda: self.curl(*arguments)[0] == 200, START_S, f"the front door answers: {self.log()[-500:]}")

    def remove(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.parent)


NAME_SERVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
while True:  # whatever is asked does not exist
    query, peer = s.recvfrom(4096)
    s.sendto(query[:2] + b"\\x81\\x83" + query[4:6] + bytes(6) + query[12:], peer)
"""


class PrivateNetwork:
    """A network, and names in it, that nothing else on this machine sees. Made by an ordinary user."""

    def __init__(self, names: dict[str, str]):
        self.directory = Path(tempfile.mkdtemp(prefix="fc-net.", dir="/tmp"))
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in names.items())]
        (self.directory / "hosts").write_text("\n".join(lines) + "\n")
        (self.directory / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch example.test\n")
        (self.directory / "name-server.py").write_text(NAME_SERVER)
        script = (
            f"ip link set lo up && mount --bind {self.directory}/hosts /etc/hosts && "
            f"mount --bind {self.directory}/resolv.conf /etc/resolv.conf && "
            f"exec {sys.executable} {self.directory}/name-server.py"
        )
        self.processes = [subprocess.Popen(["unshare", "-Urnm", "sh", "-c", script], stdin=subprocess.DEVNULL)]
        self.enter = ("nsenter", "-t", str(self.processes[0].pid), "-U", "-n", "-m", "--preserve-credentials")
        inside = [*self.enter, "ip", "-brief", "address", "show", "lo"]
        wait_until(lambda: self._is_ready(inside), 10, "there is a private network")

    def _is_ready(self, inside: list[str]) -> bool:
        return b"127.0.0.1" in subprocess.run(inside, capture_output=True, timeout=10).stdout

    @staticmethod
    def can_be_made() -> bool:
        return subprocess.run(["unshare", "-Urnm", "true"], capture_output=True, timeout=10).returncode == 0

    def worker(self, address: str, name: str = "probe") -> subprocess.Popen:
        command = [*self.enter, "spawn-fcgi", "-n", "-a", address, "-p", "9000", "--", str(program(name))]
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        return self.processes[-1]

    def remove(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait(10)
        shutil.rmtree(self.directory)


def https_ports() -> dict[str, str]:
    http, https = free_ports(2)
    return {"HTTP_PORT": str(http), "HTTPS_PORT": str(https)}
