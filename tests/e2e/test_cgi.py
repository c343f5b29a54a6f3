"""A handler without this system around it: as CGI from a shell, and under a bare spawn-fcgi."""

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from bson import ObjectId

from support.wait import wait_until

pytestmark = pytest.mark.native

TIMEOUT_S = 30


@pytest.fixture(scope="module")
def settings(native) -> dict[str, str]:
    """The environment that services have."""
    words = shlex.split((native.run_dir / "env").read_text(), comments=True)
    return {"PATH": "/usr/bin:/bin"} | dict(word.split("=", 1) for word in words)


class CgiAnswer:
    def __init__(self, output: bytes):
        head, self.content = output.split(b"\r\n\r\n", 1)
        self.headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.names = list(self.headers)
        self.status = int(self.headers["Status"].split()[0])


def cgi(native, settings, name: str, body: bytes, **variables: str) -> CgiAnswer:
    """Runs the handler as a CGI server would, with a pipe as standard input."""
    environment = settings | {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body))} | variables
    done = subprocess.run(
        [native.bundled(name)], input=body, env={k: v for k, v in environment.items() if v is not None},
        capture_output=True, timeout=TIMEOUT_S, cwd="/", **native.owner,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return CgiAnswer(done.stdout)


def test_a_handler_answers_from_a_shell(native, settings):
    answer = cgi(native, settings, "broker", b"")
    assert (answer.status, answer.content) == (200, b'{"error":false,"message":"Hit the broker"}')
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.names[-1] == "Status", "last, so that an answer cut off before it is no success"


def test_it_needs_no_cgi_variables(native):
    """As a person would try it: echo BODY | ./handle"""
    done = subprocess.run(
        ["sh", "-c", f"echo '{{\"action\":\"none\"}}' | {shlex.quote(str(native.bundled('handle')))}"],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=TIMEOUT_S, cwd="/", **native.owner,
    )  # fmt: skip
    answer = CgiAnswer(done.stdout)
    assert (answer.status, json.loads(answer.content)["message"]) == (400, "unknown action")


def test_it_reaches_its_peers(native, settings, entries, unique):
    own = str(ObjectId())
    entry = {"name": unique, "data": "by CGI", "id": own}
    assert cgi(native, settings, "log", json.dumps(entry).encode()).status == 202
    assert entries.by_id(own)["data"] == "by CGI"


def test_it_passes_on_to_other_handlers(native, settings, entries, unique):
    for transport in ("amqp", "rpc", "grpc", "http"):
        body = {"action": "log", "log": {"name": unique, "data": transport}, "transport": transport}
        answer = cgi(native, settings, "handle", json.dumps(body).encode())
        assert answer.status == 202, answer.content
        assert entries.wait_for(json.loads(answer.content)["data"]["id"])["data"] == transport


def test_it_keeps_the_request_id(native, settings):
    answer = cgi(native, settings, "handle", b"", HTTP_X_REQUEST_ID="from-the-shell")
    assert answer.status == 400
    assert json.loads(answer.content)["request_id"] == "from-the-shell"


def test_a_short_body_is_refused(native, settings):
    answer = cgi(native, settings, "handle", b'{"action":"none"}', CONTENT_LENGTH="100")
    assert answer.status == 408


def test_only_the_announced_body_is_read(native, settings):
    answer = cgi(native, settings, "handle", b'{"action":"none"}{"more":1}', CONTENT_LENGTH="17")
    assert json.loads(answer.content)["message"] == "unknown action"


@pytest.mark.parametrize("length", ["", "-1", None], ids=repr)
def test_without_a_length_all_is_read(native, settings, length):
    answer = cgi(native, settings, "handle", b'{"action":"none"}', CONTENT_LENGTH=length)
    assert json.loads(answer.content)["message"] == "unknown action"


def test_another_method_is_405(native, settings):
    answer = cgi(native, settings, "handle", b"", REQUEST_METHOD="GET")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_a_head_has_no_body(native, settings):
    answer = cgi(native, settings, "handle", b"", REQUEST_METHOD="HEAD")
    assert (answer.status, answer.content) == (405, b"")


def test_a_wrong_setting_is_one_line_that_names_it(native, settings):
    done = subprocess.run(
        [native.bundled("send")], env=settings | {"MAIL_PORT": "many"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=TIMEOUT_S, cwd="/", **native.owner,
    )  # fmt: skip
    assert done.returncode != 0 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "MAIL_PORT" in line


# Under spawn-fcgi.


@contextmanager
def spawned(native, settings, name: str, workers: int):
    """The handler under a bare spawn-fcgi -F; yields its socket and the workers."""
    with tempfile.TemporaryDirectory(prefix="fc.", dir="/var/tmp") as directory:
        if native.owner:
            os.chown(directory, native.owner["user"], native.owner["group"])
        socket, pid_file = Path(directory, "s"), Path(directory, "pids")
        subprocess.run(
            ["spawn-fcgi", "-s", socket, "-b", "1024", "-F", str(workers), "-P", pid_file, "--", native.bundled(name)],
            env=settings, check=True, capture_output=True, timeout=TIMEOUT_S, cwd="/", **native.owner,
        )  # fmt: skip
        pids = [int(word) for word in pid_file.read_text().split()]
        try:
            assert len(pids) == workers
            yield socket, pids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not any(alive(pid) for pid in pids), 10, "the workers end when told to")


def alive(pid: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def connections(pid: int) -> int:
    """How many sockets the worker has open, its listening one included."""
    return sum(is_socket(fd) for fd in list(Path(f"/proc/{pid}/fd").iterdir()))


def is_socket(fd: Path) -> bool:
    """One that was closed meanwhile is none."""
    try:
        return os.readlink(fd).startswith("socket:")
    except FileNotFoundError:
        return False


def fcgi(socket: Path, length: int) -> subprocess.Popen:
    """A request by cgi-fcgi whose body comes when the test writes it."""
    environment = {"PATH": "/usr/bin:/bin", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(length)}
    return subprocess.Popen(
        ["cgi-fcgi", "-bind", "-connect", str(socket)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_four_workers_of_a_bare_spawn_fcgi_serve_four_requests_at_once(native, settings):
    body = b'{"action":"none"}'
    with spawned(native, settings, "handle", 4) as (socket, pids):
        idle = {pid: wait_until(lambda pid=pid: connections(pid), what="the worker runs") for pid in pids}
        requests = [fcgi(socket, len(body)) for _ in range(5)]
        try:
            # Each worker holds one request, whose body has not come; the fifth waits in the backlog.
            wait_until(
                lambda: all(connections(pid) == idle[pid] + 1 for pid in pids), 5, "each worker has a request in hand"
            )
            for request in requests:
                request.stdin.write(body)
                request.stdin.flush()
            for request in requests:
                output, _ = request.communicate(timeout=TIMEOUT_S)
                answer = CgiAnswer(output)
                assert (answer.status, json.loads(answer.content)["message"]) == (400, "unknown action")
        finally:
            for request in requests:
                request.kill()
                request.wait()


def test_a_worker_told_to_stop_finishes_the_request_in_hand(native, settings):
    body = b'{"action":"none"}'
    with spawned(native, settings, "handle", 1) as (socket, (pid,)):
        idle = wait_until(lambda: connections(pid))
        request = fcgi(socket, len(body))
        wait_until(lambda: connections(pid) == idle + 1, 5, "the worker has the request")
        os.kill(pid, signal.SIGTERM)
        request.stdin.write(body)
        request.stdin.flush()
        output, _ = request.communicate(timeout=TIMEOUT_S)
        assert CgiAnswer(output).status == 400
        wait_until(lambda: not alive(pid), 5, "then it ends")


def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(native, settings):
    with spawned(native, settings, "handle", 1) as (socket, (pid,)):
        for _ in range(3):
            request = fcgi(socket, 1000)
            request.stdin.write(b'{"action":')
            request.stdin.flush()
            request.kill()
            request.communicate()
        request = fcgi(socket, 17)
        output, _ = request.communicate(b'{"action":"none"}', timeout=TIMEOUT_S)
        assert CgiAnswer(output).status == 400
        assert alive(pid)


def test_the_answers_are_logged_as_json(native, settings):
    done = subprocess.run(
        [native.bundled("broker")], env=settings | {"REQUEST_METHOD": "POST", "HTTP_X_REQUEST_ID": "one"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, cwd="/", **native.owner,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    record = json.loads(line)
    assert (record["program"], record["request_id"], record["status"]) == ("broker", "one", 200)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
