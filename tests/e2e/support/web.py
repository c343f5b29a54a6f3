"""HTTP: httpx for what is well formed, a bare socket for what is not."""

import contextlib
import io
import json
import re
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

TIMEOUT_S = 40  # longer than the front door lets anything take


def client(site: str) -> httpx.Client:
    """A client for http://HOST:PORT or unix:PATH."""
    if site.startswith("unix:"):
        transport = httpx.HTTPTransport(uds=site.removeprefix("unix:"))
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=TIMEOUT_S)
    return httpx.Client(base_url=site, timeout=TIMEOUT_S, trust_env=False)


@dataclass
class Answer:
    """An answer read from a bare socket."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> object:
        return json.loads(self.content)


class RawConnection:
    """A connection to a site on which bytes are written as they are."""

    def __init__(self, site: str, timeout_s: float = TIMEOUT_S):
        if site.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(site.removeprefix("unix:"))
        else:
            url = urlsplit(site)
            self.socket = socket.create_connection((url.hostname, url.port or 80), timeout_s)

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends what the other side still takes: it may answer and close before it has all."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def end_of_input(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Answer | None:
        """The answer, or None if the connection was closed without one."""
        try:
            return read_answer(self.socket.makefile("rb"))
        except ConnectionResetError:
            return None


def read_answer(stream: io.BufferedReader) -> Answer | None:
    first = stream.readline()
    if not first:
        return None
    match = re.fullmatch(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n", first)
    assert match, f"no status line: {first!r}"
    answer = Answer(int(match[1]))
    for line in iter(stream.readline, b"\r\n"):
        assert line, "the headers were cut off"
        name, value = line.decode("latin-1").split(":", 1)
        answer.headers[name.strip().lower()] = value.strip()
    length = answer.headers.get("content-length")
    if answer.status == 100:
        return read_answer(stream)
    if length is not None:
        answer.content = stream.read(int(length))
        return answer
    with contextlib.suppress(ConnectionResetError):  # as good an end as any, where no length was promised
        while piece := stream.read1():
            answer.content += piece
    return answer


def raw(site: str, data: bytes) -> Answer | None:
    """Sends data on a connection of its own and reads the answer."""
    with RawConnection(site) as connection:
        connection.send(data)
        return connection.answer()


def post_head(path: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(body: bytes, size: int = 65536) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

# What must never be in a sentence for callers: names of libraries, of their functions, of paths.
INTERNALS = re.compile(
    r"json_|json-c|libpq|PQ[a-z]+|mongoc|bson|amqp_|curl|errno|0x[0-9a-f]{4,}|/var/|/tmp/|\.sock|\.[ch]:\d|SQLSTATE|\(null\)",
    re.IGNORECASE,
)


def check_error(answer: Answer | httpx.Response, status: int, handler: str | None = None, message: str | None = None):
    """Asserts an error's status and that its body is the one envelope, byte for byte; returns its message."""
    assert (answer.status_code if isinstance(answer, httpx.Response) else answer.status) == status, answer.content
    assert answer.headers["content-type"] == "application/json"
    body = json.loads(answer.content)
    named = ["handler"] if "handler" in body else []
    assert list(body) == ["error", "message", *named, "request_id"], body
    assert body["error"] is True
    assert answer.content == json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), "not the plain form"
    assert body["message"] and not INTERNALS.search(body["message"]), body["message"]
    assert REQUEST_ID.fullmatch(body["request_id"])
    assert answer.headers["x-request-id"] == body["request_id"]
    assert "server" not in answer.headers and "via" not in answer.headers
    if handler is not None:
        assert body.get("handler") == handler, body
    if message is not None:
        assert body["message"] == message
    return body["message"]


def check_success(answer: httpx.Response, status: int, content: bytes, handler: str):
    """Asserts an answer of a worker, byte for byte."""
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["x-handler"] == handler
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])
    for unwanted in ("status", "server", "via"):
        assert unwanted not in answer.headers, f"{unwanted}: {answer.headers[unwanted]}"


def elapsed(call) -> tuple[float, object]:
    began = time.monotonic()
    result = call()
    return time.monotonic() - began, result
