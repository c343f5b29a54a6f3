"""Fixtures: a document store for the whole run, and a log server on it."""

import uuid

import pytest

from document_store import DocumentStore
from log_server import LogServer
from logs_client import LogsClient


@pytest.fixture(scope="session")
def store():
    own = DocumentStore()
    try:
        own.start()
        yield own
    finally:
        own.remove()


@pytest.fixture
def unique() -> str:
    """A word that nothing else has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def grpc_logd(store):
    """Makes servers with the settings that a test wants; the last thing a test sees of one is that it still runs."""
    servers: list[LogServer] = []

    def start(**settings: str) -> LogServer:
        server = LogServer("grpc-logd", "LOG_GRPC_LISTEN", store.url, **settings)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.remove()


@pytest.fixture(scope="module")
def server(store):
    """A server with the default settings."""
    own = LogServer("grpc-logd", "LOG_GRPC_LISTEN", store.url)
    try:
        own.start()
        yield own
        assert own.is_running()
        assert own.stop() == 0
    finally:
        own.remove()


@pytest.fixture
def client(server):
    with LogsClient(server.address) as c:
        yield c
