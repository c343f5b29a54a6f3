"""What a namespace without a way out still gets from outside: Debian's packages by an HTTP proxy, which keeps those it
has fetched, and a name server that knows no name, as any would for names that only the inside has.

    python outside.py HTTP_FD DNS_FD CACHE
"""

import contextlib
import hashlib
import http.server
import os
import shutil
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 60
PASSED_ON = ("Content-Type", "Content-Length", "Last-Modified", "ETag")
NO_SUCH_NAME = b"\x81\x83"  # an answer, recursion there, NXDOMAIN


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cache: Path

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kept = self.cache / hashlib.sha256(self.path.encode()).hexdigest()
        if self.path.endswith(".deb") and kept.exists():
            return self.answer_file(kept)
        asked = {k: v for k, v in self.headers.items() if k in ("If-Modified-Since", "Cache-Control", "Accept")}
        try:
            got = urllib.request.urlopen(urllib.request.Request(self.path, headers=asked), timeout=TIMEOUT_S)
        except urllib.error.HTTPError as e:
            return self.answer_nothing(e.code)
        except OSError:
            return self.answer_nothing(502)
        with got, tempfile.NamedTemporaryFile(dir=self.cache, prefix="new.", delete=False) as file:
            try:
                shutil.copyfileobj(got, file)
                file.close()
                self.answer_file(Path(file.name), got.headers)
                if self.path.endswith(".deb"):
                    os.replace(file.name, kept)
            finally:
                Path(file.name).unlink(missing_ok=True)
        return None

    def answer_file(self, file: Path, headers=None) -> None:
        self.send_response(200)
        for name in PASSED_ON:
            if headers and name != "Content-Length" and headers.get(name):
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()
        with open(file, "rb") as f:
            shutil.copyfileobj(f, self.wfile)

    def answer_nothing(self, status: int) -> None:
        self.send_response(status)
        if status != 304:
            self.send_header("Content-Length", "0")
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, descriptor: int):
        super().__init__(("", 0), Proxy, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=descriptor)

    def handle_error(self, *_: object) -> None:
        pass  # a client that went away


def know_no_name(server: socket.socket) -> None:
    while True:
        query, client = server.recvfrom(4096)
        if len(query) < 17:
            continue
        end = 12  # of the question: the name's labels, their end, type and class
        while end < len(query) and query[end]:
            end += query[end] + 1
        question = query[12 : end + 5]
        with contextlib.suppress(OSError):
            server.sendto(query[:2] + NO_SUCH_NAME + b"\x00\x01" + bytes(6) + question, client)


def main() -> None:
    http_fd, dns_fd, cache = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    cache.mkdir(parents=True, exist_ok=True)
    Proxy.cache = cache
    threading.Thread(target=know_no_name, args=(socket.socket(fileno=dns_fd),), daemon=True).start()
    Server(http_fd).serve_forever()


if __name__ == "__main__":
    main()
