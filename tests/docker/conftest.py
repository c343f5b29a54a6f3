"""Fixtures: the daemon (one for the whole run), the images on it, the stacks of compose.yaml
and of deploy/swarm/stack.yml."""

import os
import signal

import pytest

from harness import images, standins
from harness.compose import Compose
from harness.compose2 import Compose2
from harness.daemon import Daemon, Unavailable
from harness.swarm import Swarm


def pytest_configure():
    """SIGTERM ends a run as an interrupt does: what it has started is ended too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def compose2():
    """`docker compose`, which is built while other things are made."""
    return Compose2()


@pytest.fixture(scope="session")
def daemon(compose2):
    """A Docker daemon of our own, with stand-ins for official images; from here on this process is in its network.
    Where none can run every test is skipped, unless REQUIRE_DOCKER says that one must."""
    own = None
    try:
        own = Daemon(keep=True)
        own.start()
        standins.make_standins(own)
        with own.network.inside():
            yield own
    except Unavailable as e:
        if os.environ.get("REQUIRE_DOCKER"):
            raise
        pytest.skip(f"no Docker daemon can run here: {e}")
    finally:
        if own:
            own.remove()


@pytest.fixture(scope="session")
def built(daemon) -> str:
    """The project's images; what their build said. With KEEP_IMAGES=1 those that the last run has built."""
    if os.environ.get("KEEP_IMAGES"):
        return ""
    return images.build(daemon)


@pytest.fixture(scope="session")
def compose(daemon, compose2, built):
    """The stack of compose.yaml, ready, by `docker compose`."""
    stack = Compose(daemon, command=compose2.plug_in(daemon))
    try:
        stack.up()
        stack.ready()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def swarm(daemon, built):
    """The stack of deploy/swarm/stack.yml on a swarm of one node, ready."""
    stack = Swarm(daemon)
    try:
        stack.init()
        stack.make_secrets()
        stack.deploy()
        stack.ready()
        yield stack
    finally:
        stack.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """A stack goes with the last test that uses it: two of them side by side would only slow each other down. After the
    last test of all, everything has gone already."""
    used = {name: stack for name, stack in item.funcargs.items() if name in ("compose", "swarm")}
    result = yield
    later = item.session.items[item.session.items.index(item) + 1 :]
    for name, stack in used.items():
        if later and not any(name in other.fixturenames for other in later):
            stack.remove()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What the containers said last goes into the report of a test that failed; after it they may be gone."""
    report = yield
    used = getattr(item, "funcargs", {})
    stack = used.get("compose") or used.get("swarm")
    if report.failed and report.when == "call" and stack:
        report.sections.append(("the containers' logs", stack.last_words()))
    return report
