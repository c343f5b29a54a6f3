"""make docker-up and docker-down, with docker-compose 1.29, which Debian has."""

import re
import shlex
import subprocess

import httpx
import pytest

from harness.compose import Compose
from harness.daemon import TOP

LOG = {"action": "log", "log": {"name": "docker-up", "data": "hello"}}


@pytest.fixture
def other(daemon, built):
    stack = Compose(daemon, project="up", command=("docker-compose",))
    yield stack
    stack.remove()


def make(stack: Compose, target: str) -> subprocess.CompletedProcess:
    command = shlex.join([*stack.command, "-p", stack.project])
    return subprocess.run(
        ["make", "-s", "-C", TOP, target], env=stack.environment | {"COMPOSE": command, "UP_ARGS": "--no-build"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_docker_up_waits_until_the_system_is_ready_and_docker_down_removes_all_but_the_data(other):
    assert other.do("version", "--short").startswith("1.29")
    up = make(other, "docker-up")
    assert up.returncode == 0, up.stdout + up.stderr
    address = re.search(r"^FlexiConnect is ready: (http://127\.0\.0\.1:\d+)/$", up.stdout, re.MULTILINE)[1]
    assert address == f"http://127.0.0.1:{other.ports['HTTP_PORT']}"
    assert httpx.post(f"{address}/handle", json=LOG, timeout=40).status_code == 202, "at once"
    down = make(other, "docker-down")
    assert down.returncode == 0, down.stdout + down.stderr
    labelled = ("-q", "--filter", f"label=com.docker.compose.project={other.project}")
    assert other.daemon.do("ps", "-a", *labelled) == ""
    if "Docker keeps a network" not in down.stderr:  # see deploy/docker/stack
        assert other.daemon.do("network", "ls", *labelled) == ""
    assert len(other.daemon.do("volume", "ls", *labelled).split()) >= 7
