"""rpc-logd under test, and connections to it that a test writes byte by byte."""

import socket
from pathlib import Path

from log_server import LogServer
from support.wait import wait_until

WAIT_S = 20

# The first call of a connection, as Go sends it: definition and header, definition and argument {log, hello}.
REQUEST_TYPE = bytes.fromhex(
    "2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c0001035365710106000000"
)
PAYLOAD_TYPE = bytes.fromhex("2aff830301010a5250435061796c6f616401ff8400010201044e616d65010c00010444617461010c000000")


def number(n: int) -> bytes:
    if n < 128:
        return bytes((n,))
    raw = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes((256 - len(raw),)) + raw


def message(content: bytes) -> bytes:
    return number(len(content)) + content


def text(value: bytes) -> bytes:
    return number(len(value)) + value


def call(seq: int, name: bytes = b"log", data: bytes = b"hello", method: bytes = b"RPCServer.LogInfo") -> bytes:
    """A call without definitions: DEFINITIONS must have gone before the first."""
    header = b"\xff\x82\x01" + text(method) + (b"\x01" + number(seq) if seq else b"") + b"\x00"
    body = b"\xff\x84" + (b"\x01" + text(name) if name else b"")
    body += (number(1 if name else 2) + text(data) if data else b"") + b"\x00"
    return message(header) + message(body)


DEFINITIONS = REQUEST_TYPE + PAYLOAD_TYPE


class RpcServer(LogServer):
    def __init__(self, mongo_url: str, **settings: str):
        super().__init__("rpc-logd", "LOG_RPC_LISTEN", mongo_url, **settings)

    def wait_line(self, *parts: str, count: int = 1):
        def there() -> bool:
            return sum(all(p in line for p in parts) for line in self.lines().splitlines()) >= count

        wait_until(there, WAIT_S, f"a line with {parts}")

    def wait(self) -> int:
        status = self.process.wait(WAIT_S)
        self.process = None
        return status

    def connections(self) -> int:
        """How many sockets it has to its clients."""
        return len(established(self.port))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)


def established(port: int) -> list[int]:
    """The bytes that wait unread in each connection that somebody accepted, or has yet to accept, at that port."""
    unread = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == "01" and int(local.split(":")[1], 16) == port:
            unread.append(int(queues.split(":")[1], 16))
    return unread


def ends(s: socket.socket) -> bool:
    """Whether the server has ended the connection; what it sent before is thrown away."""
    try:
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True
