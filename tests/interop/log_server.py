"""A log server under test: started, asked whether it is ready, measured, stopped."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support.stack import BUILD, free_ports

PASSED_ON = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")


class LogServer:
    """`program`, of build/bin or a path below build, listens where the setting `listen` says; the other settings are
    what a test wants."""

    def __init__(self, program: str, listen: str, mongo_url: str, **settings: str):
        self.program = BUILD / (program if "/" in program else f"bin/{program}")
        self.dir = Path(tempfile.mkdtemp(prefix=f"fc-{self.program.name}.", dir="/tmp"))
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        self.log = self.dir / "log"
        self.env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        self.env |= {listen: self.address, "MONGO_URL": mongo_url, "RUN_DIR": str(self.dir)} | settings
        self.process: subprocess.Popen | None = None

    def start(self):
        read, write = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec "$0" 3>&{write}', str(self.program)],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(write,),
            )  # fmt: skip
        os.close(write)
        ready = select.select([read], [], [], 20)[0] and os.read(read, 2) == b"\n"
        os.close(read)
        assert ready, f"not ready; its log:\n{self.lines()[-3000:]}"

    def lines(self) -> str:
        return self.log.read_text()

    def send(self, number: int):
        assert self.process
        self.process.send_signal(number)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 40) -> int:
        """The status that it ended with."""
        if not self.process:
            return 0
        self.process.send_signal(number)
        status = self.process.wait(seconds)
        self.process = None
        return status

    @property
    def is_sanitized(self) -> bool:
        """Whether its memory says nothing, because freed memory is kept to be watched."""
        return b"__asan_init" in self.program.read_bytes()

    def memory_kib(self) -> int:
        """What it has in memory and does not share with others."""
        assert self.process
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise AssertionError("no Pss")

    def remove(self):
        if self.process:
            self.stop(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
