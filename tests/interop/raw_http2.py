"""HTTP/2 with our own hands, so that it can be done wrong."""

import contextlib
import select
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
ENHANCE_YOUR_CALM = 11


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def header(name: bytes, value: bytes) -> bytes:
    """A literal that enters no table (RFC 7541, 6.2.2), short enough for lengths of one byte."""
    assert len(name) < 127 and len(value) < 127
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def call_headers(path: bytes = b"/logs.LogService/WriteLog", *more: tuple[bytes, bytes]) -> bytes:
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *more,
    ]
    return b"".join(header(name, value) for name, value in fields)


def message(content: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(content)) + content


class RawPeer:
    """A connection that has greeted, unless it is told not to."""

    def __init__(self, port: int, greet: bool = True, window: int | None = None, timeout: float = 10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.unread = b""
        if greet:
            settings = struct.pack(">HI", 4, window) if window is not None else b""
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, octets: bytes) -> bool:
        """False when the other side has closed."""
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def flood(self, octets: bytes, seconds: float, most: int = 1 << 62) -> int:
        """Sends the same again and again while it is taken, reads nothing, and returns how often it was."""
        self.socket.settimeout(0.2)
        deadline = time.monotonic() + seconds
        count = 0
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline and count < most:
                self.socket.sendall(octets)
                count += 1
        return count

    def frames(self, seconds: float = 10):
        """Every frame that comes, as (kind, flags, stream, payload), until the other side closes or time is up."""
        deadline = time.monotonic() + seconds
        while True:
            while len(self.unread) >= 9:
                size = int.from_bytes(self.unread[:3], "big")
                if len(self.unread) < 9 + size:
                    break
                kind, flags, stream = struct.unpack(">BBI", self.unread[3:9])
                payload = self.unread[9 : 9 + size]
                self.unread = self.unread[9 + size :]
                yield kind, flags, stream, payload
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return
            if not more:
                return
            self.unread += more

    def goaway(self, seconds: float = 10) -> int | None:
        """The reason of the last GOAWAY that comes before the other side closes."""
        reason = None
        for kind, _, _, payload in self.frames(seconds):
            if kind == GOAWAY:
                reason = int.from_bytes(payload[4:8], "big")
        return reason

    def is_hung_up(self, seconds: float) -> bool:
        """Whether the other side gives the connection up within that time, though nothing is read here."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(seconds * 1000))

    def is_closed(self, seconds: float) -> bool:
        """Whether the other side closes within that time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return False
            try:
                if not self.socket.recv(1 << 16):
                    return True
            except ConnectionResetError:
                return True
        return False
