"""Go's net/rpc as client and as server, through the program netrpc."""

import json
import queue
import subprocess
import threading
from pathlib import Path

LOG_INFO = "RPCServer.LogInfo"
ANSWER_S = 30


class GoClient:
    """One connection; each call waits for its answer."""

    def __init__(self, program: Path, address: str):
        self.process = subprocess.Popen(
            [program, "client", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, name: str = "", data: str = "", shape: str = "", method: str = LOG_INFO, **more: str) -> dict:
        request = {"method": method, "shape": shape, "name": name, "data": data} | more
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the client ended"
        return json.loads(line)

    def result(self, *args: str, **more: str) -> str:
        answer = self.call(*args, **more)
        assert answer["error"] == "", answer
        return answer["reply"]

    def error(self, *args: str, **more: str) -> str:
        answer = self.call(*args, **more)
        assert answer["reply"] == "", answer
        return answer["error"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def flood(program: Path, address: str, calls: int, at_once: int, seconds: float = 60) -> dict:
    done = subprocess.run(
        [program, "flood", address, str(calls), str(at_once)], capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class GoServer:
    """Takes entries, and tells which."""

    def __init__(self, program: Path):
        self.process = subprocess.Popen([program, "server"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.taken: queue.Queue[dict] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.taken.put(json.loads(line))

    def next_taken(self) -> dict:
        return self.taken.get(timeout=ANSWER_S)

    def close(self):
        self.process.kill()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
