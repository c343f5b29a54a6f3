"""Our client, the transport grpc in the handler log-grpc, against a server by grpcio that knows nothing of us."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from logs_client import read_log_request
from support.stack import BUILD, free_ports

HANDLER = BUILD / "handlers/public/log-grpc"
LOGGED = b"\x0a\x07logged!"


class PlainServer:
    """logs.LogService as any program might serve it; `answer` decides what comes of a call."""

    def __init__(self):
        self.calls: list[tuple[str, str, dict]] = []
        self.answer = lambda context: LOGGED
        self.pool = ThreadPoolExecutor(4)
        self.server = grpc.server(self.pool)
        handlers = {"WriteLog": grpc.unary_unary_rpc_method_handler(self._write_log)}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("logs.LogService", handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def _write_log(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls.append((*read_log_request(message), dict(context.invocation_metadata())))
        self.seconds_left = context.time_remaining()
        return self.answer(context)

    def stop(self):
        self.server.stop(None).wait()
        self.pool.shutdown()


@pytest.fixture
def plain():
    server = PlainServer()
    yield server
    server.stop()


def log_over_grpc(port: int, log: dict, **settings: str) -> tuple[int, dict]:
    """One request to the handler, run as a CGI program; the status and the envelope."""
    body = json.dumps({"action": "log", "log": log}).encode()
    environment = {
        "PATH": os.environ["PATH"],
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/log-grpc",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_REQUEST_ID": "request-7",
        "LOG_GRPC_ADDR": f"127.0.0.1:{port}",
    }
    environment |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")} | settings
    done = subprocess.run([HANDLER], input=body, env=environment, capture_output=True, timeout=30)
    head, _, content = done.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
    status = next(line for line in head.split(b"\n") if line.startswith(b"Status:"))
    return int(status.split()[1]), json.loads(content)


def test_a_plain_server_gets_the_entry_and_our_metadata_beside_it(plain):
    status, envelope = log_over_grpc(plain.port, {"name": "é", "data": "d" * 70_000, "level": "ERROR"})
    assert (status, envelope["message"]) == (202, "logged")
    ((name, data, metadata),) = plain.calls
    assert (name, data) == ("é", "d" * 70_000)
    assert metadata["x-log-id"] == envelope["data"]["id"]
    assert metadata["x-log-level"] == "ERROR"
    assert metadata["x-log-created-at"].endswith("Z")
    assert metadata["x-request-id"] == "request-7"
    assert 1 < plain.seconds_left < 20


def test_an_empty_entry_is_an_entry(plain):
    assert log_over_grpc(plain.port, {"name": "", "data": ""})[0] == 202
    assert plain.calls[0][:2] == ("", "")


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400, "50 % é"),
        (grpc.StatusCode.ALREADY_EXISTS, 409, "50 % é"),
        (grpc.StatusCode.UNAVAILABLE, 503, "is not known; repeat it with the id"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, "was not kept"),
        (grpc.StatusCode.UNIMPLEMENTED, 502, "was not kept"),
        (grpc.StatusCode.UNAUTHENTICATED, 502, "was not kept"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "is not known; repeat it with the id"),
        (grpc.StatusCode.INTERNAL, 502, "is not known; repeat it with the id"),
        (grpc.StatusCode.UNKNOWN, 502, "is not known; repeat it with the id"),
    ],
)
def test_each_status_has_its_answer(plain, code, status, words):
    plain.answer = lambda context: context.abort(code, "50 % é")
    answer, envelope = log_over_grpc(plain.port, {"name": "n", "data": "d"})
    assert (answer, envelope["error"]) == (status, True)
    assert words in envelope["message"] and "50 % é" in envelope["message"]


def test_an_answer_that_is_none_is_not_taken_for_one(plain):
    plain.answer = lambda context: b"\x0a\x7f"
    status, envelope = log_over_grpc(plain.port, {"name": "n", "data": "d"})
    assert status == 502 and "gave no answer to WriteLog" in envelope["message"]


def test_a_huge_answer_is_not_read(plain):
    plain.answer = lambda context: b"\x0a\xff\xff\x3f" + b"x" * 1_048_575
    assert log_over_grpc(plain.port, {"name": "n", "data": "d"})[0] == 502


def test_a_server_that_does_not_answer_is_left_at_the_deadline(plain):
    done = threading.Event()
    plain.answer = lambda context: LOGGED if done.wait(20) else b""
    status, envelope = log_over_grpc(plain.port, {"name": "n", "data": "d"}, REQUEST_TIMEOUT_MS="600")
    done.set()
    assert status == 504 and "repeat it with the id" in envelope["message"]


def test_nobody_there_is_a_503(plain):
    status, envelope = log_over_grpc(free_ports(1)[0], {"name": "n", "data": "d"})
    assert status == 503 and "was not kept" in envelope["message"]


def test_a_server_without_the_service_is_an_error():
    """It refuses before the request is whole, and libcurl may then see no status."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    status, envelope = log_over_grpc(port, {"name": "n", "data": "d"})
    server.stop(None).wait()
    assert (status, envelope["error"]) == (502, True)


def test_our_own_server_stores_what_our_client_sends(server, store, unique):
    status, envelope = log_over_grpc(server.port, {"name": unique, "data": "d", "level": "WARNING"})
    assert (status, envelope["message"]) == (202, "logged")
    entry = store.by_id(envelope["data"]["id"])
    assert (entry["name"], entry["data"], entry["level"]) == (unique, "d", "WARNING")
