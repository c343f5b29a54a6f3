"""Fixtures: a document store for the whole run, and a log server on it."""

import uuid
from pathlib import Path

import pytest

from document_store import DocumentStore
from go_program import build, install
from log_server import LogServer
from logs_client import LogsClient
from rpc_server import RpcServer


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
    """A server that is patient with the store of a busy machine."""
    own = LogServer("grpc-logd", "LOG_GRPC_LISTEN", store.url, STORE_TIMEOUT_MS="10000")
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


@pytest.fixture
def own_store():
    """One that a test may stop and freeze."""
    own = DocumentStore()
    try:
        own.start()
        yield own
    finally:
        own.remove()


@pytest.fixture(scope="session")
def netrpc(tmp_path_factory) -> Path:
    """The standard net/rpc as a program."""
    return build(Path(__file__).parent / "netrpc", tmp_path_factory.mktemp("netrpc") / "netrpc")


@pytest.fixture(scope="session")
def grpcgo(tmp_path_factory) -> Path:
    """grpc-go's client as a program."""
    return build(Path(__file__).parent / "grpcgo", tmp_path_factory.mktemp("grpcgo") / "grpcgo")


@pytest.fixture(scope="session")
def grpcurl() -> Path:
    return install("github.com/fullstorydev/grpcurl/cmd/grpcurl", "1.9.3")


@pytest.fixture
def rpc_logd():
    """Makes servers on a store with the settings that a test wants; each must still run, and end with 0."""
    servers: list[RpcServer] = []

    def start(mongo_url: str, **settings: str) -> RpcServer:
        server = RpcServer(mongo_url, **settings)
        servers.append(server)
        server.start()
        return server

    yield start
    try:
        for server in servers:
            assert server.stop() == 0, server.lines()[-3000:]
    finally:
        for server in servers:
            server.remove()


@pytest.fixture(scope="module")
def rpc_server(store):
    """A server with the default settings."""
    own = RpcServer(store.url)
    try:
        own.start()
        yield own
        assert own.stop() == 0
    finally:
        own.remove()
