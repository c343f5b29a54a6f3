"""A network of the tests' own: what listens in it meets nothing of the machine's, whatever its port or address."""

import contextlib
import ctypes
import os
import socket
import subprocess
import uuid
from pathlib import Path

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=30, capture_output=True, text=True)


def enter(file: Path | str) -> None:
    """This thread, and the threads and processes that it starts from here on."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


class Namespace:
    """A network namespace with its loopback and nothing else."""

    def __init__(self):
        self.name = f"fc-{uuid.uuid4().hex[:8]}"
        self.file = Path("/run/netns") / self.name
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")

    def address(self, address: str) -> None:
        """One more address of this network itself, which containers reach too."""
        ip("-n", self.name, "address", "add", address, "dev", "lo")

    def link(self, other: "Namespace", own_address: str, its_address: str) -> None:
        """A cable to another network; over it each is found at the address given, which it has already."""
        name = f"fc{uuid.uuid4().hex[:8]}"
        here, there = (self, f"{name}a", "10.213.9.1", own_address), (other, f"{name}b", "10.213.9.2", its_address)
        ip("link", "add", here[1], "netns", self.name, "type", "veth", "peer", there[1], "netns", other.name)
        for network, device, address, _ in (here, there):
            ip("-n", network.name, "address", "add", f"{address}/30", "dev", device)
            ip("-n", network.name, "link", "set", device, "up")
        for (network, _, _, own), (_, _, gateway, far) in ((here, there), (there, here)):
            ip("-n", network.name, "route", "add", far, "via", gateway, "src", own)

    def command(self, *argv: str) -> list[str]:
        """The same command inside; SIGTERM if this process dies."""
        return ["nsenter", f"--net={self.file}", "setpriv", "--pdeathsig", "TERM", *argv]

    @contextlib.contextmanager
    def inside(self):
        before = f"/proc/{os.getpid()}/ns/net"
        with open(before) as here:
            enter(self.file)
            try:
                yield
            finally:
                enter(f"/proc/self/fd/{here.fileno()}")

    def listening(self, kind: socket.SocketKind, address: str, port: int = 0) -> socket.socket:
        """A socket that belongs to this network, wherever the process is that serves it."""
        with self.inside():
            s = socket.socket(socket.AF_INET, kind)
        s.bind((address, port))
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        return s

    def remove(self) -> None:
        ip("netns", "delete", self.name)
