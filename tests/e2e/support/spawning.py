"""s6, the fd-holder, Caddy and watch alone: what handlers need to be served, and nothing that they call."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from pathlib import Path

import httpx

from . import web
from .stack import BUILD, FOREIGN, TOP, free_ports
from .wait import wait_until

NATIVE = TOP / "deploy/native"
PARTS = ("fdholder", "caddy", "watch")
DRAIN_TIMEOUT_MS = 3000
START_S = 20
STOP_S = 30


def program(name: str) -> Path:
    """probe: a plain FastCGI program; gated: a handler by lib/handler."""
    return BUILD / "probes" / name


def caddy() -> str:
    find = f"native={NATIVE}; . {NATIVE}/lib/say; . {NATIVE}/lib/tools; tool_path caddy"
    return subprocess.run(["bash", "-c", find], check=True, capture_output=True, text=True, timeout=20).stdout.strip()


class SpawnStack:
    """Its directory has a space in its name."""

    def __init__(self, **settings: str):
        self.parent = Path(tempfile.mkdtemp(prefix="fc spawn.", dir="/tmp"))
        self.run_dir = self.parent / "run"
        self.handlers_dir = self.run_dir / "handlers"
        self.services_dir = self.run_dir / "services"
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {k: v for k, v in os.environ.items() if k not in FOREIGN} | {
            "RUN_DIR": str(self.run_dir),
            "HANDLERS_DIR": str(self.handlers_dir),
            "HTTP_PORT": str(self.port),
            "HTTP_URL": self.url,
            "WEB_DIR": str(TOP / "web"),
            "FDHOLDER_SOCKET": str(self.services_dir / "fdholder/s"),
            "DRAIN_TIMEOUT_MS": str(DRAIN_TIMEOUT_MS),
            **settings,
        }
        self.scanner: subprocess.Popen | None = None

    # --- as a whole

    def stage(self) -> None:
        for name in ("app/bin", "public", "internal", "queue", "services", "log", "caddy"):
            (self.run_dir / name).mkdir(parents=True, exist_ok=True)
        for source in (BUILD / "bin/pool", BUILD / "bin/watch", TOP / "spawn/serve", Path(caddy())):
            shutil.copy2(source, self.run_dir / "app/bin" / source.name)
        shutil.copytree(NATIVE, self.run_dir / "app/native")
        shutil.copy2(TOP / "Caddyfile", self.run_dir / "app/Caddyfile")
        for name in PARTS:
            shutil.copytree(NATIVE / "services" / name, self.services_dir / name)
            (self.services_dir / name / "log").mkdir()
            shutil.copy2(NATIVE / "log-run", self.services_dir / name / "log/run")
            (self.services_dir / name / "log/notification-fd").write_text("3\n")
        (self.services_dir / "fdholder").chmod(0o700)

    def up(self) -> "SpawnStack":
        self.stage()
        with open(self.run_dir / "log/s6-svscan", "ab") as log:
            self.scanner = subprocess.Popen(
                ["s6-svscan", self.services_dir], env=self.environment, cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        for name in PARTS:
            self.wait_ready(name)
        return self

    def remove(self) -> None:
        if self.scanner:
            directories = [p for p in self.services_dir.glob("*") if (p / "supervise").exists()]
            for directory in directories:
                subprocess.run(["s6-svc", "-xd", directory], timeout=10, check=False)
            subprocess.run(["s6-svscanctl", "-t", self.services_dir], timeout=10, check=False)
            self.scanner.wait(STOP_S)
        wait_until(lambda: not self.processes(), STOP_S, f"everything ended: {self.processes()}")
        shutil.rmtree(self.parent)

    def processes(self) -> dict[int, str]:
        """Every process that has the directory in its command line or works in it."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if str(self.run_dir) in command or os.readlink(entry / "cwd").startswith(str(self.run_dir)):
                        found[int(entry.name)] = command
        return found

    # --- services

    def service(self, *arguments: str) -> None:
        *options, name = arguments
        subprocess.run(["s6-svc", "-T", "20000", *options, self.services_dir / name], check=True, timeout=30)

    def service_pid(self, name: str) -> int:
        done = subprocess.run(
            ["s6-svstat", "-o", "pid", self.services_dir / name], capture_output=True, text=True, timeout=10
        )
        return max(int(done.stdout or 0), 0) if done.returncode == 0 else 0

    def wait_ready(self, name: str) -> None:
        wait = ["s6-svwait", "-U", "-t", "500", self.services_dir / name]
        wait_until(lambda: subprocess.run(wait, capture_output=True).returncode == 0, START_S, f"{name} is ready")

    def kill(self, name: str) -> None:
        """Kills the service's process and waits for the next one."""
        before = self.service_pid(name)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: self.service_pid(name) not in (0, before), START_S, f"{name} runs again")
        self.wait_ready(name)

    def log(self, service: str) -> str:
        current = self.run_dir / "log" / service / "current"
        return current.read_text(errors="replace") if current.exists() else ""

    def wait_log(self, service: str, words: str, count: int = 1) -> None:
        wait_until(lambda: self.log(service).count(words) >= count, START_S, f"{service} says {words!r}")

    # --- handlers

    def path(self, place: str, name: str) -> Path:
        return self.handlers_dir / place / name

    def content(self, base: str, version: str = "") -> bytes:
        """A program as it was built, and told apart from others by what stands behind its end."""
        return program(base).read_bytes() + version.encode()

    def drop(self, name: str, content: bytes, place: str = "public") -> None:
        """In one step, as install(1) does."""
        fresh = self.path(place, f".{name}.new")
        fresh.write_bytes(content)
        fresh.chmod(0o755)
        fresh.rename(self.path(place, name))

    def status(self, name: str, place: str = "public") -> dict:
        return json.loads((self.run_dir / place / f"{name}.status").read_text())

    def wait_status(self, name: str, place: str = "public", **members) -> dict:
        def so() -> dict | None:
            with contextlib.suppress(FileNotFoundError):
                status = self.status(name, place)
                return status if all(status.get(k) == v for k, v in members.items()) else None

        return wait_until(so, START_S, f"{place}/{name} has the status {members}")

    def workers(self, name: str) -> dict[int, str]:
        """pid: the version (its hash) that it runs."""
        versions = f"{self.run_dir}/versions/{name}/"
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    exe = os.readlink(entry / "exe").removesuffix(" (deleted)")
                    if exe.startswith(versions):
                        found[int(entry.name)] = exe.removeprefix(versions)
        return found

    def get(self, path: str, **options) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, trust_env=False, **options)

    def internal(self) -> httpx.Client:
        return web.client(f"unix:{self.run_dir}/internal.sock")

    def wait_answer(self, path: str, status: int, seconds: float = 10) -> httpx.Response:
        def so() -> httpx.Response | None:
            answer = self.get(path)
            assert answer.status_code == status, (answer.status_code, answer.text)
            return answer

        return wait_until(so, seconds, f"{path} answers {status}")

    def load(self, path: str, threads: int = 4) -> "Load":
        return Load(self.port, path, threads)


class Load:
    """Requests, one after the other on each thread, as long as the block lasts."""

    def __init__(self, port: int, path: str, threads: int):
        self.port, self.path = port, path
        self.statuses: Counter = Counter()
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.ended.is_set():
            try:
                connection.request("POST", self.path, body=b"{}")
                answer = connection.getresponse()
                text = answer.read()
                result = answer.status if answer.status == 200 else (answer.status, text[:120])
            except OSError as e:
                connection.close()
                result = type(e).__name__
            with self.lock:
                self.statuses[result] += 1

    def __enter__(self) -> "Load":
        for t in self.threads:
            t.start()
        self.wait_more(50)
        return self

    def __exit__(self, *_) -> None:
        self.ended.set()
        for t in self.threads:
            t.join(40)

    @property
    def total(self) -> int:
        with self.lock:
            return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        with self.lock:
            return sum(n for status, n in self.statuses.items() if status != 200)

    def wait_more(self, count: int) -> None:
        """Until so many more requests were answered."""
        enough = self.total + count
        wait_until(lambda: self.total >= enough, 30, f"{count} more answers: {self.statuses}")
