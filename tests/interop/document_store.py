"""An embedded document store of our own, which tests may stop, kill and freeze."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import bson
import pymongo

from support.stack import TOP, free_ports
from support.wait import wait_until

START_S = 30


def tool(name: str) -> str:
    """Where deploy/native keeps a program that it builds."""
    script = f'native={TOP}/deploy/native; . "$native/lib/say"; . "$native/lib/tools"; tool_path {name}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{name} is not built: deploy/native/tools"
    return done.stdout.strip()


class DocumentStore:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="fc-store.", dir="/tmp"))
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"mongodb://{self.address}/logs"
        self.process: subprocess.Popen | None = None
        self.client = pymongo.MongoClient(self.url, serverSelectionTimeoutMS=5000, socketTimeoutMS=10000, tz_aware=True)
        self.entries = self.client["logs"]["logs"]

    def start(self):
        with open(self.dir / "output", "ab") as log:
            self.process = subprocess.Popen(
                [tool("ferretdb"), "-listen", self.address, "-state", self.dir],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, START_S, "the store answers")

    def _answers(self) -> bool:
        if not self.process or self.process.poll() is not None:
            raise RuntimeError((self.dir / "output").read_text()[-2000:])
        try:
            self.client.admin.command("ping")
        except pymongo.errors.PyMongoError:
            return False
        return True

    def send(self, number: int):
        assert self.process
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGKILL):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def remove(self):
        self.client.close()
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def named(self, name: str) -> list[dict]:
        return list(self.entries.find({"name": name}))

    def by_id(self, hex_id: str) -> dict | None:
        return self.entries.find_one({"_id": bson.ObjectId(hex_id)})
