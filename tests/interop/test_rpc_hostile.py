"""Peers that mean harm, or are broken: each ends only its own connection, and memory has a bound."""

import contextlib
import random
import resource
import socket
import time

import pytest

from net_rpc import GoClient
from rpc_server import DEFINITIONS, REQUEST_TYPE, call, ends, message, number
from support.wait import wait_until

MEMORY_KIB = 24 * 1024  # without what attackers make it keep
HELD_KIB = 2 * 32 * 1024  # MAX_HELD_BYTES, in buffers that grow by doubling
DONE = "Processed payload via RPC:"


@pytest.fixture
def server(rpc_logd, store):
    return rpc_logd(store.url)


@pytest.fixture
def crowd(server):
    """Opens connections that are closed at the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with contextlib.ExitStack() as stack:
        yield lambda count: [stack.enter_context(server.connect()) for _ in range(count)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def closings(server) -> int:
    return server.lines().count("a connection is closed")


MALFORMED = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(100),
    "empty message": b"\x00",
    "number of 128 bytes": b"\x80",
    "over the limit": number(64 * 1024 * 1024),
    "size of 2^63": b"\xf8\x80" + bytes(7),
    "value of no type": message(b"\xff\x90\x00"),
    "type twice": REQUEST_TYPE + REQUEST_TYPE,
    "header that is a text": message(b"\x0c\x00\x02ab"),
    "payload that ends early": DEFINITIONS + call(0)[:-1][:23] + message(b"\xff\x84\x01\x09ab\x00"),
    "40 types": b"".join(message(b"\xff" + bytes((2 * i - 1 + 128,)) + b"\x03\x01\x00\x00") for i in range(40)),
    "method of 5000 bytes": DEFINITIONS + call(0, method=b"m" * 5000),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_bytes_end_the_connection_with_one_line(server, netrpc, what):
    with GoClient(netrpc, server.address) as other, server.connect() as s:
        other.result("before")
        s.sendall(MALFORMED[what])
        assert ends(s)
        assert closings(server) == 1
        assert other.result("after") == DONE + "after"
    assert server.lines().count('"level":"warning"') + server.lines().count('"level":"error"') == 1


def test_calls_before_the_malformed_bytes_are_stored(server, store, unique):
    with server.connect() as s:
        s.sendall(DEFINITIONS + call(0, unique.encode()) + b"\x00")
        assert ends(s)
    wait_until(lambda: len(store.named(unique)) == 1, 10, "the entry is stored")


def test_random_bytes_do_no_harm(server, netrpc):
    rng = random.Random(1)
    good = DEFINITIONS + call(0) + call(1)
    for _ in range(300):
        broken = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        with server.connect() as s:
            s.sendall(broken)
            s.shutdown(socket.SHUT_WR)
            assert ends(s)
    with GoClient(netrpc, server.address) as c:
        assert c.result("after") == DONE + "after"


def test_who_has_said_all_still_gets_the_answers(server):
    with server.connect() as s:
        s.sendall(DEFINITIONS + b"".join(call(i) for i in range(50)))
        s.shutdown(socket.SHUT_WR)
        answers = b""
        while more := s.recv(65536):
            answers += more
    assert answers.count(DONE.encode() + b"log") == 50
    assert closings(server) == 0


def test_a_thousand_silent_connections_harm_nobody(server, netrpc, crowd):
    with GoClient(netrpc, server.address) as c:
        c.result("warm")
        before = server.memory_kib()
        crowd(1000)
        wait_until(lambda: server.connections() == 1001, 20, "all are accepted")
        assert c.result("after") == DONE + "after"
    with GoClient(netrpc, server.address) as c:
        assert c.result("new") == DONE + "new"
    print(f"memory: {before} KiB, with 1000 silent connections {server.memory_kib()} KiB")
    assert server.memory_kib() < MEMORY_KIB


def test_silent_connections_make_room_for_others_when_there_are_too_many(rpc_logd, store, netrpc):
    server = rpc_logd(store.url, LOG_RPC_MAX_CONNECTIONS="20")
    with contextlib.ExitStack() as stack, GoClient(netrpc, server.address) as c:
        c.result("warm")
        silent = [stack.enter_context(server.connect()) for _ in range(40)]
        assert ends(silent[0])
        with GoClient(netrpc, server.address) as new:
            assert new.result("new") == DONE + "new"
        assert c.result("after") == DONE + "after"
        assert server.connections() <= 20


def test_a_connection_over_the_limit_is_refused_when_all_others_are_used(rpc_logd, store, netrpc):
    server = rpc_logd(store.url, LOG_RPC_MAX_CONNECTIONS="3")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(GoClient(netrpc, server.address)) for _ in range(3)]
        for c in clients:
            c.result("mine")
        with server.connect() as s:
            assert ends(s)
        for c in clients:
            assert c.result("still mine") == DONE + "still mine"
    server.wait_line("as many as there may be")


def test_announced_sizes_that_never_come_take_no_memory_and_are_given_up(server, netrpc, crowd):
    with GoClient(netrpc, server.address) as c:
        c.result("warm")
        before = server.memory_kib()
        began = time.monotonic()
        connections = crowd(300)
        for s in connections:
            s.sendall(DEFINITIONS + number(1024 * 1024) + b"abc")
        wait_until(lambda: server.connections() == 301, 20, "all are accepted")
        assert c.result("after") == DONE + "after"
        print(f"memory: {before} KiB, with 300 announced MiB {server.memory_kib()} KiB")
        assert server.memory_kib() < MEMORY_KIB
        assert all(ends(s) for s in connections)
        assert 8 < time.monotonic() - began < 25
        assert c.result("at last") == DONE + "at last"
    assert server.lines().count("did not come whole in time") == 300


def test_large_messages_that_are_held_back_are_bounded_together(server, netrpc, crowd):
    part = DEFINITIONS + number(1024 * 1024) + bytes(1000 * 1000)
    with GoClient(netrpc, server.address) as c:
        c.result("warm")
        largest = 0
        for s in crowd(100):
            with contextlib.suppress(ConnectionError):
                s.sendall(part)
            largest = max(largest, server.memory_kib())
            assert c.result("meanwhile") == DONE + "meanwhile"
        print(f"memory: {largest} KiB with 100 messages of 1 MB held back")
        assert largest < MEMORY_KIB + HELD_KIB
    assert "keep too much" in server.lines()


def test_who_never_reads_is_not_read_either_and_ends_alone(server, netrpc):
    chunk = b"".join(call(i, b"n" * 1000, b"") for i in range(1, 100))
    with GoClient(netrpc, server.address) as c, server.connect() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(DEFINITIONS)
        s.settimeout(2)
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < 200 * 1024 * 1024:
                s.sendall(chunk)
                sent += len(chunk)
        print(f"memory: {server.memory_kib()} KiB after {sent / 1e6:.1f} MB from a client that never reads")
        assert sent < 100 * 1024 * 1024
        assert server.memory_kib() < MEMORY_KIB
        assert c.result("meanwhile") == DONE + "meanwhile"
        server.wait_line("a connection is closed")
        assert c.result("after") == DONE + "after"


def test_an_idle_connection_is_ended_in_good_order(rpc_logd, store):
    server = rpc_logd(store.url, LOG_RPC_IDLE_TIMEOUT_MS="500")
    with server.connect() as s:
        s.sendall(DEFINITIONS + call(0))
        began = time.monotonic()
        assert ends(s)
        assert 0.4 < time.monotonic() - began < 5
    assert closings(server) == 0


def test_a_client_that_comes_byte_by_byte_is_served(server):
    with server.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in DEFINITIONS + call(0):
            s.send(bytes((byte,)))
        assert DONE.encode() + b"log" in s.recv(65536)


def test_memory_stays_flat_over_many_connections(server, store):
    def round_of(count: int) -> int:
        for _ in range(count):
            with server.connect() as s:
                s.sendall(DEFINITIONS + call(0))
                assert s.recv(65536)
        return server.memory_kib()

    first = round_of(300)
    last = round_of(1500)
    print(f"memory: {first} KiB after 300 connections, {last} KiB after 1800")
    assert last < first + 1024
