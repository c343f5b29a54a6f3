"""Under load from 16 clients `handle` is scaled up and down, updated, rolled back, and updated to versions that cannot
run: no request fails, and every log that was answered 202 is stored once."""

import pytest

from harness import images
from harness.daemon import Daemon
from harness.load import Load

pytestmark = pytest.mark.timeout(1200)

SERVICE = "handle"
PROGRAM = "/usr/lib/flexiconnect/handlers/public/handle"

# Versions, each the current one and a line more.
NEXT = "LABEL next=yes"
CRASHES = f"USER 0\nRUN printf '#!/bin/sh\\nexit 1\\n' >{PROGRAM}\nUSER 10001:10001"
ENDS = 'CMD ["/bin/false"]'


def version(daemon: Daemon, tag: str, line: str) -> str:
    image = images.image(SERVICE, tag)
    daemon.do("build", "-q", "-t", image, "-", input=f"FROM {images.image(SERVICE)}\n{line}\n")
    return image


def all_run(swarm, image: str, replicas: int) -> None:
    assert swarm.running(SERVICE) == [image] * replicas


@pytest.fixture(scope="module", autouse=True)
def one_after_all(swarm):
    yield
    swarm.deploy()
    swarm.wait_settled(SERVICE)


@pytest.mark.slow
def test_no_request_fails_while_handle_is_scaled_updated_and_rolled_back(swarm, capsys):
    good = images.image(SERVICE)
    following = version(swarm.daemon, "next", NEXT)
    swarm.scale(SERVICE, 1)
    with Load(swarm) as load:
        load.go_on()
        swarm.scale(SERVICE, 4)
        load.go_on()
        swarm.scale(SERVICE, 2)
        load.go_on()
        swarm.update(SERVICE, following)
        swarm.wait_updated(SERVICE, "completed")
        all_run(swarm, following, 2)
        load.go_on()
        swarm.daemon.do("service", "rollback", "--detach", f"flexiconnect_{SERVICE}")
        swarm.wait_updated(SERVICE, "rollback_completed")
        all_run(swarm, good, 2)
        load.go_on()
    load.report(capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("tag", "line"), [("crashes", CRASHES), ("ends", ENDS)])
def test_a_version_that_cannot_run_is_rolled_back_by_itself(swarm, capsys, tag, line):
    good = images.image(SERVICE)
    bad = version(swarm.daemon, tag, line)
    before = len(swarm.running(SERVICE))
    with Load(swarm) as load:
        load.go_on()
        swarm.update(SERVICE, bad)
        swarm.wait_updated(SERVICE, "rollback_completed")
        all_run(swarm, good, before)
        assert any(bad in task for task in swarm.tasks(SERVICE)), "it was tried"
        load.go_on()
    load.report(capsys)
