"""Two nodes: one of them is drained under load."""

import subprocess

import pytest

from harness import images
from harness.daemon import DOCKER, Daemon
from harness.load import Load
from support.wait import wait_until

pytestmark = pytest.mark.timeout(1200)

SERVICE = "handle"
COPY_S = 300
DRAINED_S = 120
LEFT_S = 60


def copy_image(source: Daemon, destination: Daemon, image: str) -> None:
    """As a registry would hand it on."""
    save = subprocess.Popen([DOCKER, "save", image], env=source.environment, stdout=subprocess.PIPE)
    try:
        subprocess.run(
            [DOCKER, "load", "-q"], env=destination.environment, stdin=save.stdout, check=True, timeout=COPY_S
        )
    finally:
        save.stdout.close()
        save.wait(COPY_S)


def nodes(swarm) -> list[str]:
    """Where the tasks of handle run."""
    lines = swarm.daemon.do(
        "service", "ps", "--no-resolve", "--filter", "desired-state=running", "--format", "{{.Node}} {{.CurrentState}}",
        f"flexiconnect_{SERVICE}",
    ).splitlines()  # fmt: skip
    return [line.split()[0] for line in lines if line.split()[1] == "Running"]


@pytest.fixture
def second(swarm):
    """The id of a node that has joined, and the image of handle."""
    other = Daemon()
    node = ""
    try:
        other.start()
        copy_image(swarm.daemon, other, images.image(SERVICE))
        node = swarm.join(other)
        yield node
    finally:
        if node:
            leave(swarm, other, node)
        other.remove()


def leave(swarm, other: Daemon, node: str) -> None:
    """By the commands that docs/swarm.md shows."""
    swarm.scale(SERVICE, 1)
    other.do("swarm", "leave")
    wait_until(lambda: swarm.daemon.call("node", "rm", node).returncode == 0, LEFT_S, "the node is forgotten")


@pytest.mark.slow
def test_a_node_is_drained_under_load_and_no_request_fails(swarm, second, capsys):
    with Load(swarm) as load:
        load.go_on()
        swarm.daemon.do("service", "scale", "--detach", f"flexiconnect_{SERVICE}=4")
        wait_until(lambda: len(nodes(swarm)) == 4, DRAINED_S, "four tasks run")
        assert second in nodes(swarm), "some of them on the second node"
        load.go_on()
        swarm.daemon.do("node", "update", "--availability", "drain", second)
        wait_until(lambda: len(n := nodes(swarm)) == 4 and second not in n, DRAINED_S, "all run on the first node")
        load.go_on()
    load.report(capsys)
