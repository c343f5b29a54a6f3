"""Handlers come, are replaced, break and go: by files in HANDLERS_DIR alone, and without a failed request."""

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from support.spawning import SpawnStack, program
from support.wait import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

ENDPOINT_WITHIN_S = 2  # one second is the promise, on a machine that has nothing else to do
BROKEN = b"#!/bin/sh\nexit 3\n"


@pytest.fixture(scope="module")
def spawn():
    stack = SpawnStack()
    try:
        yield stack.up()
    finally:
        stack.remove()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def served(spawn: SpawnStack, name: str, content: bytes, place: str = "public") -> dict:
    """Waits until this version alone is served, by all its workers."""
    return spawn.wait_status(
        name, place, version=sha256(content), state="serving", workers={"wanted": 2, "running": 2, "leaving": 0}
    )


def remove(spawn: SpawnStack, name: str, place: str = "public") -> None:
    spawn.path(place, name).unlink()
    wait_until(lambda: not (spawn.run_dir / place / f"{name}.sock").exists(), 15, f"{name} is removed")


@pytest.fixture
def name(request, spawn):
    """A handler's name for this test alone; what is left of it goes with the test."""
    name = f"h{abs(hash(request.node.nodeid)) % 10**9}"
    yield name
    for place in ("public", "internal", "queue"):
        file = spawn.path(place, name)
        if file.exists():
            remove(spawn, name, place)


# --- dropping in


@pytest.mark.parametrize("how", ["cp", "install", "mv", "cp then chmod"])
def test_a_program_that_appears_is_an_endpoint(spawn, name, how):
    target = spawn.path("public", name)
    assert spawn.get(f"/{name}").status_code == 404
    began = time.monotonic()
    if how == "cp":
        subprocess.run(["cp", program("gated"), target], check=True)
    elif how == "install":
        subprocess.run(["install", program("gated"), target], check=True)
    elif how == "mv":
        shutil.copy2(program("gated"), spawn.parent / name)
        subprocess.run(["mv", spawn.parent / name, target], check=True)
    else:
        target.write_bytes(program("gated").read_bytes())
        target.chmod(0o755)
    spawn.wait_answer(f"/{name}", 200)
    assert time.monotonic() - began < ENDPOINT_WITHIN_S


def test_a_plain_fastcgi_program_is_an_endpoint_too(spawn, name):
    spawn.drop(name, spawn.content("probe"))
    assert "SCRIPT_NAME=/" + name in spawn.wait_answer(f"/{name}", 200).text


def test_a_file_that_is_not_executable_is_no_handler(spawn, name):
    target = spawn.path("public", name)
    target.write_bytes(spawn.content("gated"))
    spawn.drop(name + "x", spawn.content("gated"))
    spawn.wait_answer(f"/{name}x", 200)
    assert spawn.get(f"/{name}").status_code == 404
    target.chmod(0o755)
    spawn.wait_answer(f"/{name}", 200)
    remove(spawn, name + "x")
