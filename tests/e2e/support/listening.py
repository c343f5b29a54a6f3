"""The listener under test, and a queue site that answers as it is told."""

import contextlib
import http.server
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .stack import BUILD
from .wait import wait_until


@dataclass
class Answer:
    status: int = 200
    body: bytes | str | dict | list | None = None
    worker: bool = True  # whether it says X-Handler
    cut: bool = False  # ends the connection in the middle of the body
    silent: bool = False  # ends the connection instead of an answer

    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if self.body is None:
            return b'{"error":false,"message":"done"}' if self.status < 300 else b'{"error":true,"message":"no"}'
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass
class Call:
    at: float
    path: str
    headers: dict
    items: list[dict]
    answered: float = 0

    @property
    def ids(self) -> list[str]:
        return [i["id"] for i in self.items]


class Site:
    """A queue site. `answer` is asked for each call, in its thread; every call is remembered."""

    def __init__(self):
        self.calls: list[Call] = []
        self.under_way = 0
        self.most_under_way = 0
        self.lock = threading.Lock()
        self.answer: Callable[[Call], Answer] = lambda call: Answer()
        self.server: http.server.ThreadingHTTPServer | None = None
        self.port = 0
        self.open()

    def open(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self):  # noqa: N802
                site._serve(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_):
                pass

            def process_request(self, request, address):
                self.connections.add(request)
                super().process_request(request, address)

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.connections = set()
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """Nobody listens any more, and what was connected is cut."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            for connection in self.server.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self, rq: http.server.BaseHTTPRequestHandler):
        body = rq.rfile.read(int(rq.headers["Content-Length"]))
        call = Call(time.monotonic(), rq.path, dict(rq.headers), json.loads(body))
        with self.lock:
            self.calls.append(call)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = self.answer(call)
        finally:
            with self.lock:
                self.under_way -= 1
        call.answered = time.monotonic()
        if answer.silent:
            rq.close_connection = True
            return
        content = answer.bytes()
        rq.send_response(answer.status)
        if answer.worker:
            rq.send_header("X-Handler", call.path.strip("/"))
        rq.send_header("Content-Type", "application/json")
        rq.send_header("Content-Length", str(len(content)))
        rq.end_headers()
        rq.wfile.write(content[: len(content) // 2] if answer.cut else content)
        rq.wfile.flush()
        rq.close_connection = rq.close_connection or answer.cut

    def items(self) -> list[dict]:
        with self.lock:
            return [i for c in self.calls for i in c.items]

    def ids(self) -> list[str]:
        return [i["id"] for i in self.items()]


class Listener:
    """A listener with triggers of its own; the settings are what a test wants to be different."""

    def __init__(self, broker_url: str, site_url: str, triggers: str, **settings: str):
        self.dir = Path(tempfile.mkdtemp(prefix="fc-listener.", dir="/tmp"))
        self.triggers = self.dir / "triggers.conf"
        self.triggers.write_text(triggers)
        self.log = self.dir / "log"
        self.env = {
            "PATH": os.environ["PATH"],
            "RABBITMQ_URL": broker_url,
            "QUEUE_URL": site_url,
            "TRIGGERS_FILE": str(self.triggers),
            "RUN_DIR": str(self.dir),
            **settings,
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.process: subprocess.Popen | None = None
        self.ready_fd = -1

    def start(self, wait: bool = True):
        read, write = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec "$0" 3>&{write}', str(BUILD / "bin/listener")],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(write,),
            )
        os.close(write)
        self.ready_fd = read
        if wait:
            self.wait_ready()

    def is_ready(self, seconds: float = 0) -> bool:
        return bool(select.select([self.ready_fd], [], [], seconds)[0]) and os.read(self.ready_fd, 2) == b"\n"

    def wait_ready(self, seconds: float = 30):
        assert self.is_ready(seconds), f"not ready; its log:\n{self.lines()[-3000:]}"

    def lines(self) -> str:
        return self.log.read_text()

    def wait_line(self, *words: str, seconds: float = 20, count: int = 1):
        wait_until(
            lambda: sum(all(w in line for w in words) for line in self.lines().splitlines()) >= count,
            seconds,
            f"{count} log lines with {words}",
        )

    def send(self, number: int):
        assert self.process
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 40) -> int:
        if not self.process:
            return 0
        self.process.send_signal(number)
        status = self.process.wait(seconds)
        self.process = None
        os.close(self.ready_fd)
        return status

    def memory_kib(self) -> int:
        assert self.process
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise AssertionError("no Pss")

    def remove(self):
        if self.process:
            self.stop(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
