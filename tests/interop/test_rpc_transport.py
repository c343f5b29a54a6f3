"""The transport rpc, by the handler log-rpc as a CGI program, against a server in Go and against our own."""

import json
import os
import signal
import subprocess
import time

import bson
import pytest

from net_rpc import GoServer
from support.stack import BUILD

HANDLER = BUILD / "handlers/public/log-rpc"


def post(address: str, log: dict, **settings: str) -> tuple[int, dict]:
    body = json.dumps({"action": "log", "log": log})
    environment = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "SCRIPT_NAME": "/log-rpc",
                   "LOG_RPC_ADDR": address, "PATH": os.environ["PATH"]}  # fmt: skip
    done = subprocess.run(
        [HANDLER], input=body.encode(), env=environment | settings, capture_output=True, timeout=60, check=True
    )
    head, _, content = done.stdout.decode().partition("\r\n\r\n")
    status = next(line for line in head.split("\r\n") if line.startswith("Status: "))
    return int(status.split()[1]), json.loads(content)


@pytest.fixture
def go_server(netrpc):
    with GoServer(netrpc) as s:
        yield s


@pytest.mark.parametrize(("name", "data"), [("log", "hello"), ("", ""), ("n" * 70000, "d" * 70000)])
def test_a_go_server_takes_an_entry(go_server, name, data):
    status, answer = post(go_server.address, {"name": name, "data": data})
    assert (status, answer["error"]) == (202, False)
    assert ("Processed payload via RPC:" + name).startswith(answer["message"])
    assert go_server.next_taken() == {"Name": name, "Data": data}


def test_an_error_of_a_go_server_leaves_it_unknown(go_server):
    status, answer = post(go_server.address, {"name": "fail", "data": "d"})
    assert status == 502
    assert "boom" in answer["message"] and "not known" in answer["message"]


def test_a_go_server_that_is_slow_is_given_up_in_time(go_server):
    began = time.monotonic()
    status, _ = post(go_server.address, {"name": "slow", "data": "d"}, REQUEST_TIMEOUT_MS="1000")
    assert status == 504 and time.monotonic() - began < 3


def test_our_own_server_knows_id_and_level(rpc_server, store, unique):
    own = str(bson.ObjectId())
    log = {"name": unique, "data": "d", "id": own, "level": "ERROR"}
    for _ in range(2):
        status, answer = post(rpc_server.address, log)
        assert (status, answer["message"]) == (202, f"Processed payload via RPC:{unique}")
        assert answer["data"]["id"] == own
    assert post(rpc_server.address, log | {"data": "other"})[0] == 409
    (entry,) = store.named(unique)
    assert (str(entry["_id"]), entry["level"]) == (own, "ERROR")


def test_a_frozen_server_is_given_up_in_time_and_nothing_is_lost(rpc_logd, store, unique):
    server = rpc_logd(store.url)
    server.send(signal.SIGSTOP)
    own = str(bson.ObjectId())
    began = time.monotonic()
    status, _ = post(server.address, {"name": unique, "data": "d", "id": own}, REQUEST_TIMEOUT_MS="1000")
    assert status == 504 and time.monotonic() - began < 3
    server.send(signal.SIGCONT)
    assert post(server.address, {"name": unique, "data": "d", "id": own})[0] == 202
    assert len(store.named(unique)) == 1
