"""A pool that is told to stop where the network learns of it only then: STOP_DELAY_MS, as images set it."""

import contextlib
import os
import signal
import subprocess
import threading
import time

import pytest

from support.spawning import program
from support.stack import BUILD, free_ports
from support.wait import wait_until


class Pool:
    def __init__(self, run_dir, **settings: str):
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.process = subprocess.Popen(
            [BUILD / "bin/serve", "public", "hello", self.address, program("gated")],
            env={"PATH": os.environ["PATH"], "RUN_DIR": str(run_dir), "WORKERS": "1", **settings},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.ask, 10, "it serves")

    def ask(self, query: str = "") -> bool:
        done = subprocess.run(
            ["cgi-fcgi", "-bind", "-connect", self.address], stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
            env={"REQUEST_METHOD": "GET", "QUERY_STRING": query, "SCRIPT_NAME": "/x", "PATH": os.environ["PATH"]},
        )  # fmt: skip
        return b"pid=" in done.stdout

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def waiting(self) -> int:
        """Connections that no worker has accepted yet."""
        done = subprocess.run(["ss", "-tlnH"], capture_output=True, text=True, check=True)
        lines = [line.split() for line in done.stdout.splitlines() if line.split()[3] == self.address]
        return int(lines[0][1]) if lines else 0


@pytest.fixture
def pool(tmp_path):
    with contextlib.ExitStack() as pools:

        def start(**settings: str) -> Pool:
            pool = Pool(tmp_path, **settings)
            pools.callback(pool.process.wait, 10)
            pools.callback(pool.process.kill)
            return pool

        yield start


def test_it_goes_on_serving_for_that_time_and_then_ends(pool):
    pool = pool(STOP_DELAY_MS="1500")
    began = time.monotonic()
    pool.stop()
    answered = 0
    while time.monotonic() - began < 1.2:
        assert pool.ask()
        answered += 1
    assert answered > 10
    assert pool.process.wait(10) == 0
    assert 1.5 <= time.monotonic() - began < 5


def test_what_waits_then_is_answered_before_it_ends(pool):
    pool = pool(STOP_DELAY_MS="100")
    answers: list[bool] = []
    callers = [threading.Thread(target=lambda: answers.append(pool.ask("sleep=600"))) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_until(lambda: pool.waiting() >= 3, 10, "one request is in hand, three wait")
    pool.stop()
    for caller in callers:
        caller.join(20)
    assert answers == [True] * 4
    assert pool.process.wait(10) == 0


def test_a_second_signal_cuts_it_short(pool):
    pool = pool(STOP_DELAY_MS="60000")
    pool.stop()
    assert pool.ask()
    pool.stop()
    assert pool.process.wait(10) == 0


def test_without_it_a_pool_ends_at_once(pool):
    pool = pool()
    began = time.monotonic()
    pool.stop()
    assert pool.process.wait(10) == 0
    assert time.monotonic() - began < 1.5
