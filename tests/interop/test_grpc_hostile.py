"""What peers that mean harm, or are broken, can do to grpc-logd: nothing to others, and little to its memory."""

import contextlib
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from logs_client import LogsClient, log_request
from raw_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawPeer,
    call_headers,
    frame,
    header,
    message,
)
from support.wait import wait_until

LOGGED = b"\x0a\x07logged!"
CANCEL = struct.pack(">I", 8)
MIB = 1024
WATCH = b"/grpc.health.v1.Health/Watch"


@pytest.fixture
def served(server):
    """Somebody else, who calls all the while and must be answered, soon; and the memory, before and after."""
    stop = threading.Event()
    slowest = 0.0
    count = 0
    failures: list[Exception] = []

    def call():
        nonlocal slowest, count
        with LogsClient(server.address) as client:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    assert client.write("bystander") == LOGGED
                except Exception as e:  # noqa: BLE001
                    failures.append(e)
                    return
                slowest = max(slowest, time.monotonic() - began)
                count += 1

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: count > 10 or failures, 20, "the bystander is served")
    before = server.memory_kib()
    yield server
    after = server.memory_kib()
    seen = count
    wait_until(lambda: count > seen + 10 or failures, 20, "the bystander is served still")
    stop.set()
    thread.join()
    print(f"\nmemory {before} KiB before, {after} KiB after; the bystander waited {slowest * 1000:.0f} ms at most")
    assert failures == []
    assert slowest < 5


def check_growth(server, before: int, most: int) -> None:
    grown = server.memory_kib() - before
    print(f"grown by {grown} KiB")
    assert grown < most or server.is_sanitized


def stream_ids():
    return range(1, 1 << 30, 2)


def test_rapid_resets_end_their_connection(served):
    before = served.memory_kib()
    with RawPeer(served.port) as peer:
        for _, stream in zip(range(20_000), stream_ids(), strict=False):
            open_and_reset = frame(HEADERS, END_HEADERS, stream, call_headers()) + frame(RST_STREAM, 0, stream, CANCEL)
            if not peer.send(open_and_reset):
                break
        assert peer.is_closed(10)
    check_growth(served, before, 4 * MIB)


def test_resets_that_a_peer_provokes_end_its_connection(served):
    overflow = struct.pack(">I", (1 << 31) - 1)
    with RawPeer(served.port) as peer:
        for _, stream in zip(range(2000), stream_ids(), strict=False):
            call = frame(HEADERS, END_HEADERS, stream, call_headers()) + frame(WINDOW_UPDATE, 0, stream, overflow)
            if not peer.send(call):
                break
        assert peer.goaway() in (ENHANCE_YOUR_CALM, None)
        assert peer.is_closed(10)


def test_a_flood_of_continuations_ends_its_connection(served):
    before = served.memory_kib()
    with RawPeer(served.port) as peer:
        peer.send(frame(HEADERS, 0, 1, call_headers()))
        peer.flood(frame(CONTINUATION, 0, 1, header(b"x", b"y" * 100) * 100), 5)
        assert peer.is_closed(10)
    check_growth(served, before, 4 * MIB)


@pytest.mark.parametrize("flooding", ["ping", "settings", "empty data", "window updates"])
def test_a_flood_of_small_frames_costs_no_memory(served, flooding):
    octets = {
        "ping": frame(PING, 0, 0, b"12345678"),
        "settings": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)),
        "empty data": frame(DATA, 0, 1),
        "window updates": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
    }[flooding]
    before = served.memory_kib()
    with RawPeer(served.port) as peer:
        peer.send(frame(HEADERS, END_HEADERS, 1, call_headers()))
        peer.flood(octets * 1000, 3)
        check_growth(served, before, 4 * MIB)


def test_a_header_bomb_costs_no_memory(served):
    """One entry of 4,000 bytes in the table, and then a byte for each time that it is named."""
    before = served.memory_kib()
    value = b"v" * 3900
    entry = b"\x40\x01x" + b"\x7f" + bytes(((len(value) - 127) & 127 | 128, (len(value) - 127) >> 7)) + value
    with RawPeer(served.port) as peer:
        peer.send(frame(HEADERS, END_HEADERS, 1, call_headers() + entry))
        for _, stream in zip(range(200), range(3, 1 << 30, 2), strict=False):
            if not peer.send(frame(HEADERS, END_HEADERS, stream, call_headers() + b"\xbe" * 10_000)):
                break
        check_growth(served, before, 6 * MIB)


def test_announced_sizes_that_never_come_cost_nothing(served):
    before = served.memory_kib()
    prefix = b"\0" + struct.pack(">I", 4_000_000) + b"x"
    with contextlib.ExitStack() as peers:
        for _ in range(20):
            peer = peers.enter_context(RawPeer(served.port))
            for stream in range(1, 200, 2):
                peer.send(frame(HEADERS, END_HEADERS, stream, call_headers()) + frame(DATA, 0, stream, prefix))
        wait_until(lambda: served.memory_kib() > before, 5, "it has arrived")
        print("2,000 calls that announce 4 MB each:")
        check_growth(served, before, 8 * MIB)


def test_requests_that_are_never_whole_have_one_budget(served):
    before = served.memory_kib()
    body = b"\0" + struct.pack(">I", 4_000_000) + b"x" * 16_000
    with contextlib.ExitStack() as peers:
        for _ in range(60):
            peer = peers.enter_context(RawPeer(served.port))
            for stream in range(1, 128, 2):
                peer.send(frame(HEADERS, END_HEADERS, stream, call_headers()) + frame(DATA, 0, stream, body))
                peer.send(frame(DATA, 0, stream, body[:8000]))
        print("3,840 calls of 24 kB that are never whole:")
        check_growth(served, before, 160 * MIB)
    if not served.is_sanitized:
        wait_until(lambda: served.memory_kib() < before + 8 * MIB, 10, "it is given back")


def test_who_never_reads_is_closed(served):
    before = served.memory_kib()
    with RawPeer(served.port) as peer:
        peer.socket.settimeout(0.5)
        sent = 0
        with contextlib.suppress(OSError):
            for first in range(1, 1_000_000, 200):
                calls = [
                    frame(HEADERS, END_HEADERS | END_STREAM, stream, call_headers(b"/nothing"))
                    for stream in range(first, first + 200, 2)
                ]
                peer.socket.sendall(b"".join(calls))
                sent += len(calls)
        print(f"{sent} calls were taken from who reads no answer")
        assert sent < 450_000
        check_growth(served, before, 4 * MIB)
        assert peer.is_hung_up(20)


def test_a_watcher_without_a_window_waits_for_ever_and_costs_nothing(served):
    with RawPeer(served.port, window=0) as peer:
        for stream in range(1, 100, 2):
            peer.send(frame(HEADERS, END_HEADERS, stream, call_headers(WATCH)))
            peer.send(frame(DATA, END_STREAM, stream, message(b"")))
        assert not peer.is_closed(0.5)
        with LogsClient(served.address) as client:
            assert client.check() == 1


def test_a_thousand_silent_connections_leave_room_for_others(served):
    before = served.memory_kib()
    with contextlib.ExitStack() as peers:
        silent = [peers.enter_context(RawPeer(served.port, greet=False)) for _ in range(1000)]
        with LogsClient(served.address) as client:
            assert client.write("beside the silent") == LOGGED
        print("1,000 silent connections:")
        check_growth(served, before, 24 * MIB)
        assert all(peer.is_closed(15) for peer in silent)


def test_a_thousand_idle_connections_cost_little_each(served):
    before = served.memory_kib()
    with contextlib.ExitStack() as peers:
        for _ in range(1000):
            peers.enter_context(RawPeer(served.port))
        with LogsClient(served.address) as client:
            assert client.write("beside the idle") == LOGGED
        print("1,000 greeted connections:")
        check_growth(served, before, 32 * MIB)


def test_when_there_is_no_room_the_silent_make_it(grpc_logd):
    server = grpc_logd(LOG_GRPC_MAX_CONNECTIONS="10")
    with contextlib.ExitStack() as peers:
        for _ in range(10):
            peers.enter_context(RawPeer(server.port, greet=False))
        with LogsClient(server.address) as client:
            assert client.write("instead of the silent") == LOGGED


def test_when_all_have_spoken_one_more_is_refused(grpc_logd):
    server = grpc_logd(LOG_GRPC_MAX_CONNECTIONS="4")
    with contextlib.ExitStack() as peers:
        greeted = [peers.enter_context(RawPeer(server.port)) for _ in range(4)]
        for peer in greeted:
            assert next(peer.frames())[0] == SETTINGS
            peer.send(frame(PING, 0, 0, b"12345678"))
            assert any(kind == PING for kind, *_ in peer.frames(1))
        with RawPeer(server.port, greet=False) as peer:
            assert peer.is_closed(5)
        assert not greeted[0].is_closed(0.1)


def test_half_open_connections_are_forgotten(served):
    peers = [RawPeer(served.port) for _ in range(100)]
    for peer in peers:
        peer.send(frame(HEADERS, END_HEADERS, 1, call_headers()))
        peer.socket.shutdown(socket.SHUT_WR)
    assert all(peer.is_closed(10) for peer in peers)
    for peer in peers:
        peer.socket.close()


GARBAGE = {
    "http1": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "a frame of 16 MB": PREFACE + frame(SETTINGS, 0, 0) + b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 4096,
    "data on no stream": PREFACE + frame(SETTINGS, 0, 0) + frame(DATA, 0, 0, b"x"),
    "an even stream": PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 2, call_headers()),
    "broken headers": PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
    "a short ping": PREFACE + frame(SETTINGS, 0, 0) + frame(PING, 0, 0, b"x"),
}


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_its_connection_only(served, octets):
    with RawPeer(served.port, greet=False) as peer:
        peer.send(octets)
        assert peer.is_closed(8)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (call_headers().replace(b"POST", b"PUT ").replace(b"\x04PUT ", b"\x03PUT"), b"405"),
        (call_headers().replace(b"application/grpc", b"application/json"), b"415"),
    ],
)
def test_what_is_not_grpc_is_answered_by_http(served, headers, status):
    with RawPeer(served.port) as peer:
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, headers))
        answer = next(payload for kind, _, stream, payload in peer.frames() if kind == HEADERS and stream == 1)
        assert status in answer or huffman_digits(status) in answer


def huffman_digits(digits: bytes) -> bytes:
    """Digits as HPACK's code has them: 0 to 2 are 5 bits long, the others 6 (RFC 7541, appendix B)."""
    bits = "".join(format(d - 48, "05b") if d < 51 else format(0b011001 + d - 51, "06b") for d in digits)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_a_request_in_single_bytes_is_a_request(server):
    body = message(log_request("slowly"))
    call = frame(HEADERS, END_HEADERS, 1, call_headers()) + frame(DATA, END_STREAM, 1, body)
    with RawPeer(server.port) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in call:
            peer.send(bytes((octet,)))
        assert any(kind == DATA and LOGGED in payload for kind, _, _, payload in peer.frames(10))


def test_many_hostile_peers_at_once_leave_others_served(served):
    def attack(i: int):
        with RawPeer(served.port, greet=i % 4 != 0) as peer:
            peer.flood(frame(HEADERS, END_HEADERS, 1, call_headers()) + frame(PING, 0, 0, b"12345678") * 100, 2)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(attack, range(64)))
