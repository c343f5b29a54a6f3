"""Readiness by one internal route: every part there is well; one that is away or silent is named, in bounded time."""

import contextlib
import json
import os
import socket
import subprocess
import time

import pytest

from support.stack import BUILD, FOREIGN
from support.wait import wait_until
from support.web import check_error

PARTS = {"postgres", "store", "rabbitmq", "listener", "mail", "rpc", "grpc"}
BOUND_S = 5


# --- any stack


@pytest.mark.contract
def test_a_stack_that_runs_is_well(internal):
    def well() -> dict:
        answer = internal.get("/health")
        assert answer.status_code == 200, answer.text
        return answer.json()

    body = wait_until(well, 30, "everything is well")
    assert body == {"error": False, "message": "well", "data": dict.fromkeys(PARTS, "ok")}


@pytest.mark.contract
@pytest.mark.parametrize("part", sorted(PARTS))
def test_one_part_can_be_asked_alone(internal, part):
    answer = wait_until(lambda: (a := internal.get(f"/health/{part}")).status_code == 200 and a, 30, f"{part} is well")
    assert answer.json() == {"error": False, "message": "well", "data": {part: "ok"}}


@pytest.mark.contract
def test_what_is_no_part_is_404_and_the_world_is_told_nothing(internal, public):
    check_error(internal.get("/health/nothing"), 404)
    check_error(internal.post("/health"), 405)
    check_error(public.get("/health"), 404)


# --- the handler by itself, as a CGI program, with one thing wrong


class Silent:
    """Takes connections, in the kernel's name, and says nothing."""

    def __enter__(self) -> int:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        return self.socket.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def addresses(port: int) -> dict[str, dict[str, str]]:
    """For each part, the settings with which it is looked for at this port."""
    at = f"127.0.0.1:{port}"
    return {
        "postgres": {"DSN": f"host=127.0.0.1 port={port} user=x dbname=users sslmode=disable"},
        "store": {"MONGO_URL": f"mongodb://{at}/logs"},
        "rabbitmq": {"RABBITMQ_URL": f"amqp://{at}/"},
        "mail": {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(port)},
        "rpc": {"LOG_RPC_ADDR": at},
        "grpc": {"LOG_GRPC_ADDR": at},
    }


@pytest.fixture
def ask(native):
    """The stack's own settings, others over them; the status and what was said of each part."""
    script = 'set -a; . "$1"; exec env -0'
    said = subprocess.run(["bash", "-c", script, "bash", native.run_dir / "env"], capture_output=True, check=True)
    own = dict(pair.split("=", 1) for pair in said.stdout.decode().split("\0") if pair)

    def ask(part: str = "", **settings: str) -> tuple[int, dict]:
        environment = {k: v for k, v in os.environ.items() if k not in FOREIGN} | own
        environment |= {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/health", "PATH_INFO": part} | settings
        began = time.monotonic()
        done = subprocess.run(
            [native.bundled("health")], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=40, cwd="/", **native.owner,
        )  # fmt: skip
        assert time.monotonic() - began < BOUND_S
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        status = int(head.split("Status: ")[1].split()[0]) if "Status: " in head else 200
        answer = json.loads(body)
        assert answer["error"] is (status != 200)
        return status, answer.get("data") or {"message": answer["message"]}

    return ask


@pytest.mark.parametrize("how", ["away", "silent"])
@pytest.mark.parametrize("part", sorted(PARTS - {"listener"}))
def test_a_part_that_does_not_answer_is_named(ask, part, how):
    with contextlib.ExitStack() as open_ones:
        port = open_ones.enter_context(Silent()) if how == "silent" else 1
        status, said = ask(**addresses(port)[part])
    assert status == 503
    expected = {part, "listener"} if part == "rabbitmq" else {part}
    assert {name for name, words in said.items() if words != "ok"} == expected
    assert set(said) == PARTS


def test_all_that_are_silent_take_no_longer_than_one(ask):
    with Silent() as port:
        status, said = ask(**{k: v for settings in addresses(port).values() for k, v in settings.items()})
    assert status == 503
    assert "ok" not in said.values()


def test_a_log_server_whose_store_is_away_is_not_ready(native, ask, tmp_path):
    with Silent() as free:
        port = free
    address = f"127.0.0.1:{port}"
    environment = os.environ | {"MONGO_URL": "mongodb://127.0.0.1:1/", "LOG_GRPC_LISTEN": address, "RUN_DIR": "/none"}
    server = subprocess.Popen([BUILD / "bin/grpc-logd"], env=environment, stderr=subprocess.DEVNULL)
    try:
        words = "the gRPC log server says that it does not serve"
        wait_until(lambda: ask("/grpc", LOG_GRPC_ADDR=address) == (503, {"grpc": words}), 20, words)
    finally:
        server.kill()
        server.wait(10)


def test_a_queue_that_nobody_takes_from_is_named(native, ask, rabbit, unique, tmp_path):
    tmp_path.chmod(0o755)
    for directory in (tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    triggers = tmp_path / "triggers.conf"
    triggers.write_text(f"[logs]\nhandler = log\n[{unique}]\nhandler = nothing\n")
    with rabbit.channel() as channel:
        channel.queue_declare(unique, durable=True)
        try:
            status, said = ask("/listener", TRIGGERS_FILE=str(triggers))
        finally:
            channel.queue_delete(unique)
    assert (status, said) == (503, {"listener": f"nobody takes from the queue {unique}"})
    assert ask("/listener", TRIGGERS_FILE=str(triggers))[0] == 503, "the queue is not there any more"
    assert ask("/rabbitmq", TRIGGERS_FILE=str(triggers)) == (200, {"rabbitmq": "ok"})


def test_the_parts_that_are_asked_for_can_be_chosen(ask):
    assert ask(HEALTH_PARTS="rpc, store") == (200, {"rpc": "ok", "store": "ok"})
    assert ask(HEALTH_PARTS="rpc,lift") == (500, {"message": "HEALTH_PARTS: there is no part lift"})


# --- a part that really goes and comes


@pytest.mark.faults
@pytest.mark.parametrize(("service", "part"), [("rpc-logd", "rpc"), ("mailpit", "mail"), ("listener", "listener")])
def test_a_service_that_is_stopped_is_unwell_until_it_is_back(native, internal, service, part):
    native.stop(service)
    try:
        answer = internal.get("/health")
        assert answer.status_code == 503
        assert answer.headers["x-handler"] == "health"
        body = answer.json()
        assert (body["error"], body["message"]) == (True, f"unwell: {part}")
        assert {name for name, words in body["data"].items() if words != "ok"} == {part}
    finally:
        native.start(service)
    wait_until(lambda: internal.get("/health").status_code == 200, 30, "everything is well again")
