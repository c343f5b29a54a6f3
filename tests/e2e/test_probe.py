"""probe, the health check of every image, against each kind of program it is for; and the status that daemons keep."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from support.spawning import program
from support.stack import BUILD, FOREIGN, free_ports
from support.wait import wait_until

PROBE = BUILD / "bin/probe"
WELL, UNWELL, MISUSE = 0, 1, 100
NOWHERE = {"MONGO_URL": "mongodb://127.0.0.1:1/", "RABBITMQ_URL": "amqp://127.0.0.1:1/"}


def probe(*words: str) -> tuple[int, str]:
    done = subprocess.run([PROBE, *map(str, words)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


@contextlib.contextmanager
def running(command, **settings):
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN} | NOWHERE | settings
    process = subprocess.Popen(
        [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def answers(*words: str) -> None:
    wait_until(lambda: probe(*words)[0] == WELL, 10, f"{words} answers")


# --- FastCGI


@pytest.mark.parametrize("name", ["probe", "gated"])
def test_a_worker_of_any_fastcgi_program_answers_and_goes_on(name, tmp_path):
    sock = tmp_path / "s"
    with running(["spawn-fcgi", "-n", "-s", sock, "--", program(name)]) as process:
        answers("fastcgi", sock)
        for _ in range(20):
            assert probe("fastcgi", sock) == (WELL, "")
        assert process.poll() is None


def test_a_handler_on_a_port_answers(tmp_path):
    (port,) = free_ports(1)
    serve = [BUILD / "bin/serve", "public", "x", f"127.0.0.1:{port}", BUILD / "handlers/public/broker"]
    with running(serve, RUN_DIR=str(tmp_path)):
        answers("fastcgi", f"127.0.0.1:{port}")


def test_workers_that_end_at_once_are_no_answer(tmp_path):
    (port,) = free_ports(1)
    (tmp_path / "bad").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "bad").chmod(0o755)
    serve = [BUILD / "bin/serve", "public", "x", f"127.0.0.1:{port}", tmp_path / "bad"]
    with running(serve, RUN_DIR=str(tmp_path)):
        wait_until(lambda: "refused" not in probe("-t", "1", "fastcgi", f"127.0.0.1:{port}")[1], 10, "it listens")
        status, why = probe("-t", "1", "fastcgi", f"127.0.0.1:{port}")
        assert (status, why) == (UNWELL, f"probe: fastcgi 127.0.0.1:{port}: no answer in time\n")


def test_a_program_that_hangs_is_told_within_the_time(tmp_path):
    sock = tmp_path / "s"
    with running(["spawn-fcgi", "-n", "-s", sock, "--", program("probe")]) as process:
        answers("fastcgi", sock)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        assert probe("-t", "1", "fastcgi", sock)[0] == UNWELL
        assert time.monotonic() - began < 3


# --- daemons, whose store is away: that is nothing a restart would mend


@pytest.mark.parametrize(
    ("name", "kind", "setting"), [("rpc-logd", "rpc", "LOG_RPC_LISTEN"), ("grpc-logd", "grpc", "LOG_GRPC_LISTEN")]
)
def test_a_log_server_answers_though_its_store_is_away(name, kind, setting, tmp_path):
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with running([BUILD / "bin" / name], RUN_DIR=str(tmp_path), **{setting: address}) as process:
        answers(kind, address)
        assert probe("daemon", tmp_path / f"{name}.sock") == (WELL, "")
        other = {"rpc": "grpc", "grpc": "rpc"}[kind]
        assert probe("-t", "3", other, address)[0] == UNWELL
        process.send_signal(signal.SIGSTOP)
        assert probe("-t", "1", kind, address)[0] == UNWELL
        assert probe("-t", "1", "daemon", tmp_path / f"{name}.sock")[0] == UNWELL


def status(path) -> dict:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        return json.loads(client.makefile("rb").read())


def test_a_daemon_says_what_it_is_about(tmp_path):
    (port,) = free_ports(1)
    with running(
        [BUILD / "bin/rpc-logd"], RUN_DIR=str(tmp_path), LOG_RPC_LISTEN=f"127.0.0.1:{port}", STOP_DELAY_MS="60000"
    ) as process:
        answers("daemon", tmp_path / "rpc-logd.sock")
        said = status(tmp_path / "rpc-logd.sock")
        assert said | {"version": ""} == {"program": "rpc-logd", "version": "", "pid": process.pid, "state": "ready"}
        process.terminate()
        wait_until(lambda: status(tmp_path / "rpc-logd.sock")["state"] == "stopping", 5, "it says that it stops")
        assert probe("rpc", f"127.0.0.1:{port}") == (WELL, ""), "it serves for a while yet"
        process.terminate()
        assert process.wait(10) == 0, "a second signal cuts that short"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rpc-logd.sock"]


def test_the_listener_answers_though_its_broker_is_away(tmp_path):
    (tmp_path / "triggers.conf").write_text("[x]\nhandler = x\n")
    settings = {"RUN_DIR": str(tmp_path), "TRIGGERS_FILE": str(tmp_path / "triggers.conf")}
    with running([BUILD / "bin/listener"], **settings):
        answers("daemon", tmp_path / "listener.sock")
        assert status(tmp_path / "listener.sock")["state"] == "starting"


def test_the_newest_daemon_has_the_socket(tmp_path):
    ports = free_ports(2)
    with running([BUILD / "bin/rpc-logd"], RUN_DIR=str(tmp_path), LOG_RPC_LISTEN=f"127.0.0.1:{ports[0]}"):
        answers("daemon", tmp_path / "rpc-logd.sock")
        with running([BUILD / "bin/rpc-logd"], RUN_DIR=str(tmp_path), LOG_RPC_LISTEN=f"127.0.0.1:{ports[1]}") as newer:
            answers("rpc", f"127.0.0.1:{ports[1]}")
            assert status(tmp_path / "rpc-logd.sock")["pid"] == newer.pid


# --- HTTP, and the command line


def test_a_site_answers(native):
    address = native.public.removeprefix("http://")
    assert probe("http", address, "/ping") == (WELL, "")
    assert probe("http", native.internal.removeprefix("unix:"), "/ping") == (WELL, "")
    assert probe("http", address, "/nothing")[0] == UNWELL


def test_where_nobody_is_it_says_so(tmp_path):
    (port,) = free_ports(1)
    assert probe("rpc", f"127.0.0.1:{port}") == (UNWELL, f"probe: rpc 127.0.0.1:{port}: Connection refused\n")
    assert probe("daemon", tmp_path / "none")[1].endswith("No such file or directory\n")


@pytest.mark.parametrize(
    "words",
    [[], ["fastcgi"], ["http", "127.0.0.1:1"], ["fastcgi", "127.0.0.1:1", "/x"], ["smtp", "127.0.0.1:1"],
     ["-t", "0", "rpc", "127.0.0.1:1"], ["-t", "x", "rpc", "127.0.0.1:1"], ["-x", "rpc", "127.0.0.1:1"],
     ["rpc", "localhost:1"], ["rpc", "127.0.0.1"], ["daemon", "/" + "x" * 200]],
    ids=" ".join,
)  # fmt: skip
def test_misuse_is_told(words):
    status, why = probe(*words)
    assert status == MISUSE
    assert "usage: probe" in why or why.startswith("probe: ")
