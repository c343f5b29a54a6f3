"""Fixtures: the stack (one for the whole run) and the clients of its parts."""

import logging
import os
import uuid

import pytest

from support import peers, web
from support.stack import NativeStack, Target, target_of

# It tells of each connection that is refused, and tests try until there is one.
logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


def pytest_collection_modifyitems(config, items):
    """Another stack, named by BASE_URL, is only asked for what any stack promises."""
    if not os.environ.get("BASE_URL"):
        return
    anywhere = [i for i in items if i.get_closest_marker("contract") and not i.get_closest_marker("native")]
    config.hook.pytest_deselected(items=[i for i in items if i not in anywhere])
    items[:] = anywhere


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What the services said last goes into the report of a test that failed."""
    report = yield
    stack = item.funcargs.get("stack") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(stack, NativeStack):
        report.sections.append(("the stack's logs", stack.log_tails(8)))
    return report


@pytest.fixture(scope="session")
def stack():
    """The stack under test: that of BASE_URL and its companions, or one of our own."""
    if os.environ.get("BASE_URL"):
        yield target_of(os.environ)
        return
    own = NativeStack()
    try:
        own.up()
        yield own
    finally:
        own.remove()


@pytest.fixture(scope="session")
def native(stack) -> NativeStack:
    assert isinstance(stack, NativeStack)
    return stack


def known(stack: Target, part: str) -> str:
    value = getattr(stack, part)
    if not value:
        pytest.skip(f"where {part} is was not said")
    return value


@pytest.fixture(scope="session")
def public(stack):
    with web.client(known(stack, "public")) as c:
        yield c


@pytest.fixture(scope="session")
def internal(stack):
    with web.client(known(stack, "internal")) as c:
        yield c


@pytest.fixture(scope="session")
def queue(stack):
    with web.client(known(stack, "queue")) as c:
        yield c


@pytest.fixture(scope="session")
def entries(stack):
    e = peers.Entries(known(stack, "mongo_url"))
    yield e
    e.close()


@pytest.fixture(scope="module")
def few_entries(stack):
    """What earlier tests stored is gone: the embedded store reads all of it for a page of GET /logs."""
    if isinstance(stack, NativeStack):
        e = peers.Entries(stack.mongo_url, 60)
        e.collection.delete_many({})
        e.close()


@pytest.fixture(scope="session")
def rabbit(stack):
    return peers.Rabbit(known(stack, "rabbitmq_url"))


@pytest.fixture
def users(stack):
    u = peers.Users(known(stack, "dsn"))
    yield u
    u.close()


@pytest.fixture(scope="session")
def inbox(stack):
    i = peers.Inbox(known(stack, "mailpit_url"))
    yield i
    i.close()


@pytest.fixture
def unique() -> str:
    """A word that nothing else has."""
    return f"test-{uuid.uuid4().hex[:12]}"
