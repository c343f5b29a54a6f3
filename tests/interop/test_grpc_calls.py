"""What a program with grpcio gets from grpc-logd."""

import threading
import time
from concurrent.futures import Future

import bson
import grpc
import pytest

from logs_client import NOT_SERVING, SERVICE_UNKNOWN, SERVING, WRITE_LOG, LogsClient, log_request, varint
from support.wait import wait_until

LOGGED = b"\x0a\x07logged!"
CODE = grpc.StatusCode


def test_an_entry_is_stored_when_the_call_returns(client, store, unique):
    assert client.write(unique, "some data") == LOGGED
    (entry,) = store.named(unique)
    assert entry["data"] == "some data"
    assert entry["level"] == "INFO"
    assert abs(entry["created_at"].timestamp() - time.time()) < 60


def test_id_level_and_time_come_as_metadata(client, store, unique):
    new = str(bson.ObjectId())
    metadata = (
        ("x-log-id", new.upper()),
        ("x-log-level", "ERROR"),
        ("x-log-created-at", "2026-01-31T23:59:59.999Z"),
    )
    assert client.write(unique, metadata=metadata) == LOGGED
    entry = store.by_id(new)
    assert entry["name"] == unique and entry["data"] == "" and entry["level"] == "ERROR"
    assert entry["created_at"].isoformat() == "2026-01-31T23:59:59.999000+00:00"


def test_a_repeat_with_the_same_id_is_stored_once_and_other_content_is_refused(client, store, unique):
    metadata = [("x-log-id", str(bson.ObjectId()))]
    for _ in range(3):
        assert client.write(unique, "same", metadata=metadata) == LOGGED
    code, sentence = client.refusal(unique, "other", metadata=metadata)
    assert code == CODE.ALREADY_EXISTS and metadata[0][1] in sentence
    assert client.refusal(unique, "same", metadata=[*metadata, ("x-log-level", "ERROR")])[0] == CODE.ALREADY_EXISTS
    assert len(store.named(unique)) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("x-log-id", "abc"), ("x-log-id", "z" * 24), ("x-log-level", "info"), ("x-log-created-at", "now")],
)
def test_metadata_that_are_malformed_are_named(client, key, value):
    code, sentence = client.refusal("name", metadata=[(key, value)])
    assert code == CODE.INVALID_ARGUMENT and sentence.startswith(key)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"", "logEntry: is missing"),
        (b"\x0a\x7f", "the message is no logs.LogRequest"),
        (log_request(b"a\xff"), "logEntry.name: must be UTF-8 without NUL"),
        (log_request("a", b"\xed\xa0\x80"), "logEntry.data: must be UTF-8 without NUL"),
        (log_request("a\0b"), "logEntry.name: must be UTF-8 without NUL"),
        (log_request("a", "\0"), "logEntry.data: must be UTF-8 without NUL"),
    ],
)
def test_a_message_that_cannot_be_stored_is_refused_with_the_reason(client, message, sentence):
    assert client.refusal("", message=message) == (CODE.INVALID_ARGUMENT, sentence)


def test_any_text_is_stored_as_it_came(client, store, unique):
    data = "é😀\n\t\x01 \u2028" + "x" * 70_000
    assert client.write(unique, data) == LOGGED
    assert store.named(unique)[0]["data"] == data
    assert client.write("", unique) == LOGGED


def test_a_message_with_fields_of_a_later_version_is_taken(client, store, unique):
    message = log_request(unique, "data") + varint(9 << 3) + b"\x01"
    assert client.write("", message=message) == LOGGED
    assert len(store.named(unique)) == 1


def test_a_message_over_the_limit_is_refused(client, unique):
    code, sentence = client.refusal(unique, "x" * 5_000_000)
    assert code == CODE.RESOURCE_EXHAUSTED and "too large" in sentence
    assert client.write(unique, "x" * 4_000_000) == LOGGED


def test_a_compressed_message_is_refused(server, unique):
    with LogsClient(server.address, compression=grpc.Compression.Gzip) as client:
        assert client.refusal(unique, "x" * 1000)[0] == CODE.UNIMPLEMENTED


@pytest.mark.parametrize("count", [1, 10])
def test_large_metadata_are_refused(client, unique, count):
    metadata = [(f"x-large-{i}", "m" * 12_000) for i in range(count)]
    assert client.refusal(unique, metadata=metadata)[0] == CODE.RESOURCE_EXHAUSTED
    assert client.write(unique) == LOGGED


def test_a_value_of_120_kilobytes_costs_no_more_than_its_connection(client, unique):
    assert client.refusal(unique, metadata=[("x-large", "m" * 120_000)])[0] in (
        CODE.RESOURCE_EXHAUSTED,
        CODE.UNAVAILABLE,
        CODE.INTERNAL,
    )
    assert client.write(unique, wait_for_ready=True) == LOGGED


@pytest.mark.parametrize("path", ["/logs.LogService/ReadLog", "/logs.Nothing/WriteLog", "/x", WRITE_LOG + "/"])
def test_an_unknown_method_is_unimplemented(client, path):
    with pytest.raises(grpc.RpcError) as e:
        client.channel.unary_unary(path)(b"", timeout=10)
    assert e.value.code() == CODE.UNIMPLEMENTED


def test_two_messages_in_one_call_are_an_error(client):
    call = client.channel.stream_unary(WRITE_LOG)
    with pytest.raises(grpc.RpcError) as e:
        call(iter([log_request("a"), log_request("b")]), timeout=10)
    assert e.value.code() == CODE.INTERNAL


def test_a_deadline_that_is_over_ends_the_call(grpc_logd, store, unique):
    server = grpc_logd(STORE_TIMEOUT_MS="8000")
    with LogsClient(server.address) as client:
        client.write(unique)
        with frozen(store):
            began = time.monotonic()
            assert client.refusal(unique, "late", timeout=0.3)[0] == CODE.DEADLINE_EXCEEDED
            assert time.monotonic() - began < 2
        assert client.write(unique) == LOGGED


def test_a_call_that_is_cancelled_leaves_the_others_alone(grpc_logd, store, unique):
    server = grpc_logd(STORE_TIMEOUT_MS="8000")
    with LogsClient(server.address) as client:
        client.write(unique)
        with frozen(store):
            calls = [client.call.future(log_request(unique, str(i)), timeout=20) for i in range(20)]
            for call in calls[::2]:
                call.cancel()
        assert [c.result() for c in calls[1::2]] == [LOGGED] * 10
        assert all(c.cancelled() for c in calls[::2])


def test_five_thousand_calls_at_once_over_one_channel(client, store, unique):
    futures = [client.call.future(log_request(unique, str(i)), timeout=60) for i in range(5000)]
    assert all(f.result() == LOGGED for f in futures)
    assert store.entries.count_documents({"name": unique}) == 5000


def test_a_channel_that_keeps_itself_alive_is_kept(server, unique):
    options = (
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 100),
    )
    with LogsClient(server.address, *options) as client:
        states: list[grpc.ChannelConnectivity] = []
        client.write(unique)
        client.channel.subscribe(states.append)
        watch = client.watch()
        assert next(watch)[1] == SERVING
        threading.Event().wait(1.5)  # fifteen pings: that nothing happens takes its time
        watch.cancel()
        assert client.write(unique) == LOGGED
        assert set(states) <= {grpc.ChannelConnectivity.READY}


def test_an_idle_connection_is_let_go_and_the_next_call_gets_another(grpc_logd, unique):
    server = grpc_logd(LOG_GRPC_IDLE_TIMEOUT_MS="200")
    with LogsClient(server.address) as client:
        states: list[grpc.ChannelConnectivity] = []
        client.write(unique)
        client.channel.subscribe(states.append)
        wait_until(lambda: grpc.ChannelConnectivity.IDLE in states, 10, "the channel is idle")
        assert client.write(unique) == LOGGED


def test_health_is_told_for_the_server_and_its_service(client):
    assert client.check() == SERVING
    assert client.check("logs.LogService") == SERVING
    with pytest.raises(grpc.RpcError) as e:
        client.check("nothing")
    assert e.value.code() == CODE.NOT_FOUND
    watch = client.watch("nothing")
    assert next(watch)[1] == SERVICE_UNKNOWN
    watch.cancel()


def test_health_is_streamed_through_an_outage_of_the_store(grpc_logd, store, unique):
    server = grpc_logd()
    with LogsClient(server.address) as client:
        watch = client.watch("logs.LogService")
        assert next(watch)[1] == SERVING
        store.stop()
        try:
            assert next(watch)[1] == NOT_SERVING
            assert client.check() == NOT_SERVING
            code, _ = client.refusal(unique)
            assert code == CODE.UNAVAILABLE
        finally:
            store.start()
        assert next(watch)[1] == SERVING
        assert client.write(unique) == LOGGED
        watch.cancel()


def test_calls_fail_within_the_timeout_while_the_store_hangs_and_it_recovers_by_itself(grpc_logd, store, unique):
    server = grpc_logd(STORE_TIMEOUT_MS="1000")
    with LogsClient(server.address) as client:
        client.write(unique)
        with frozen(store):
            began = time.monotonic()
            assert client.refusal(unique)[0] == CODE.UNAVAILABLE
            assert time.monotonic() - began < 3
        wait_until(lambda: stored(client, unique), 15, "calls succeed again")


def test_a_restart_under_load_fails_no_call(grpc_logd, store, unique):
    server = grpc_logd()
    stop = threading.Event()
    failures: list[str] = []
    count = [0] * 4
    with LogsClient(server.address, ("grpc.initial_reconnect_backoff_ms", 100)) as client:

        def call_on(caller: int):
            while not stop.is_set():
                try:
                    client.write(unique, f"{caller}-{count[caller]}", wait_for_ready=True)
                    count[caller] += 1
                except grpc.RpcError as e:
                    failures.append(f"{e.code()} {e.details()}")

        threads = [threading.Thread(target=call_on, args=(i,)) for i in range(len(count))]
        for thread in threads:
            thread.start()
        for _ in range(3):
            before = sum(count)
            wait_until(lambda before=before: sum(count) > before + 100, 20, "calls go on")
            assert server.stop() == 0
            server.start()
        before = sum(count)
        wait_until(lambda: sum(count) > before + 100, 20, "calls go on")
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert store.entries.count_documents({"name": unique}) == sum(count)


def test_a_stop_answers_calls_under_way_and_sends_those_away_who_watch(grpc_logd, store, unique):
    server = grpc_logd(STORE_TIMEOUT_MS="8000")
    with LogsClient(server.address) as client:
        client.write(unique)
        watch = client.watch()
        assert next(watch)[1] == SERVING
        with frozen(store):
            call: Future = client.call.future(log_request(unique, "under way"), timeout=20)
            threading.Event().wait(0.2)  # nothing tells from outside that it has arrived
            server.send(15)
            assert next(watch)[1] == NOT_SERVING
        assert call.result() == LOGGED
        with pytest.raises(grpc.RpcError) as e:
            next(watch)
        assert e.value.code() == CODE.UNAVAILABLE
        assert server.process.wait(20) == 0
        server.process = None
    assert len(store.named(unique)) == 2


def stored(client: LogsClient, name: str) -> bool:
    try:
        return client.write(name) == LOGGED
    except grpc.RpcError:
        return False


class frozen:  # noqa: N801
    """The store, stopped in the middle of whatever it does."""

    def __init__(self, store):
        self.store = store

    def __enter__(self):
        self.store.send(19)

    def __exit__(self, *_):
        self.store.send(18)
