"""What a Go program with the standard net/rpc gets from rpc-logd."""

import json
import signal
import threading
import time

import bson
import pytest

from net_rpc import GoClient, flood
from rpc_server import established
from support.wait import wait_until

DONE = "Processed payload via RPC:"
NO_STRUCT = "gob: type mismatch in decoder: want struct type main.RPCPayload; got non-struct"


@pytest.fixture(scope="module")
def server(rpc_server):
    return rpc_server


@pytest.fixture
def client(netrpc, server):
    with GoClient(netrpc, server.address) as c:
        yield c


def test_an_entry_is_stored_when_the_call_returns(client, store, unique):
    assert client.result(unique, "some data") == DONE + unique
    (entry,) = store.named(unique)
    assert (entry["data"], entry["level"]) == ("some data", "INFO")
    assert abs(entry["created_at"].timestamp() - time.time()) < 60


@pytest.mark.parametrize("shape", ["", "reordered", "extra"])
def test_fields_come_in_any_order_and_company(client, store, unique, shape):
    assert client.result(unique, "the data", shape=shape) == DONE + unique
    assert [e["data"] for e in store.named(unique)] == ["the data"]


def test_a_field_that_is_missing_is_empty(client, store, unique):
    assert client.result(unique, "ignored", shape="missing") == DONE + unique
    assert [e["data"] for e in store.named(unique)] == [""]


@pytest.mark.parametrize(("name", "data"), [("", "no name"), ("", ""), ("n" * 70000, "d" * 70000), ("ü☃", "😀")])
def test_texts_may_be_empty_and_long(client, name, data):
    assert client.result(name, data) == DONE + name


def test_id_and_level_are_taken_and_a_repeat_is_stored_once(client, store, unique):
    more = {"shape": "identified", "id": str(bson.ObjectId()), "level": "WARNING"}
    for _ in range(3):
        assert client.result(unique, "same", **more) == DONE + unique
    assert client.error(unique, "other", **more).startswith("conflict: ")
    assert client.error(unique, "same", **more | {"level": "ERROR"}).startswith("conflict: ")
    (entry,) = store.named(unique)
    assert (str(entry["_id"]), entry["level"], entry["data"]) == (more["id"], "WARNING", "same")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"method": "RPCServer.NoSuch"}, "rpc: can't find method RPCServer.NoSuch"),
        ({"method": "Other.LogInfo"}, "rpc: can't find service Other.LogInfo"),
        ({"method": "NoDot"}, "rpc: service/method request ill-formed: NoDot"),
        ({"shape": "number"}, NO_STRUCT),
        ({"shape": "text"}, NO_STRUCT),
        ({"shape": "other fields"}, "gob: type mismatch: no fields matched compiling decoder for RPCPayload"),
        ({"shape": "wrong field"}, "gob: wrong type (string) for received field .Name"),
        ({"shape": "identified", "id": "abc"}, "invalid: ID: must be 24 hexadecimal digits"),
        ({"shape": "identified", "level": "info"}, "invalid: Level: must be INFO, WARNING or ERROR"),
        ({"name": "a\0b"}, "invalid: name: must be UTF-8 without NUL"),
        ({"data": "a\0b"}, "invalid: data: must be UTF-8 without NUL"),
    ],
)
def test_an_error_is_told_and_the_connection_goes_on(client, unique, more, error):
    assert client.error(**{"name": "n", "data": "d"} | more) == error
    assert client.result(unique) == DONE + unique


def test_calls_of_one_connection_are_under_way_together(netrpc, server, store):
    before = store.entries.estimated_document_count()
    done = flood(netrpc, server.address, 4000, 8)
    print(f"8 at once: {4000 / done['seconds']:.0f} entries/s")
    assert (done["stored"], done["failed"]) == (4000, 0)
    assert store.entries.estimated_document_count() == before + 4000


def test_a_full_queue_is_told_at_once(netrpc, rpc_logd, own_store):
    server = rpc_logd(own_store.url, STORE_TIMEOUT_MS="2000")
    with GoClient(netrpc, server.address) as c:
        c.result("warm")
    own_store.send(signal.SIGSTOP)
    done = flood(netrpc, server.address, 20000, 20000)
    own_store.send(signal.SIGCONT)
    assert done["failed"] == 20000
    assert done["seconds"] < 10


def test_a_store_that_hangs_is_told_within_the_timeout_and_found_again(netrpc, rpc_logd, own_store, unique):
    server = rpc_logd(own_store.url, STORE_TIMEOUT_MS="1000")
    with GoClient(netrpc, server.address) as c:
        assert c.result(unique) == DONE + unique
        own_store.send(signal.SIGSTOP)
        began = time.monotonic()
        assert c.error(unique).startswith("timeout: ")
        assert time.monotonic() - began < 2
        began = time.monotonic()
        assert c.error(unique).startswith("down: "), "nobody waits for what has just not answered"
        assert time.monotonic() - began < 0.9
        own_store.send(signal.SIGCONT)
        server.wait_line("there again")
        assert c.result(unique) == DONE + unique


def test_a_store_that_is_down_is_told_and_found_again(netrpc, rpc_logd, own_store, unique):
    server = rpc_logd(own_store.url, STORE_TIMEOUT_MS="1000")
    with GoClient(netrpc, server.address) as c:
        assert c.result(unique) == DONE + unique
        own_store.stop()
        assert c.error(unique).split(": ")[0] in ("timeout", "down")
        own_store.start()
        server.wait_line("there again")
        assert c.result(unique) == DONE + unique


def test_sigterm_answers_what_is_in_hand_and_ends_with_0(netrpc, rpc_logd, own_store, unique):
    server = rpc_logd(own_store.url)
    with GoClient(netrpc, server.address) as c:
        c.result("warm")
        own_store.send(signal.SIGSTOP)
        answers = []
        caller = threading.Thread(target=lambda: answers.append(c.call(unique)))
        caller.start()
        port = int(own_store.address.rpartition(":")[2])
        wait_until(lambda: any(established(port)), 10, "the frozen store is asked")
        server.send(signal.SIGTERM)
        server.wait_line("stopping")
        own_store.send(signal.SIGCONT)
        caller.join(20)
        assert answers == [{"reply": DONE + unique, "error": ""}]
        assert server.wait() == 0
    assert len(own_store.named(unique)) == 1


def test_the_log_has_no_line_for_a_good_call(netrpc, rpc_logd, store):
    # A busy machine's slow store has lines, and shared memory that a dead program left: neither is meant here.
    server = rpc_logd(store.url, STORE_TIMEOUT_MS="10000", MONGOC_DISABLE_SHM="1")
    before = server.lines()
    with GoClient(netrpc, server.address) as c:
        for _ in range(20):
            c.result("quiet")
    assert server.lines() == before
    assert all(json.loads(line)["program"] == "rpc-logd" for line in before.splitlines())
    assert before
