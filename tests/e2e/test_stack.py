"""The stack as a whole: up twice, down and up, two side by side, and what keeps it from starting."""

import os
import shlex
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support import peers, web
from support.stack import PORTS, STACK, TOP, NativeStack, free_ports
from support.wait import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(400)]

SECOND_UP_WITHIN_S = 15
REFUSED_WITHIN_S = 20
# 127.0.0.1, the same as an IPv6 address, and ::1, as the kernel's table of sockets writes them.
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
PROBE = TOP / os.environ.get("BUILD", "build") / "probes/probe"


def log(client, name: str, transport: str = "amqp") -> str:
    body = {"action": "log", "log": {"name": name, "data": "d"}, "transport": transport}
    answer = client.post("/handle", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["data"]["id"]


def test_a_second_up_changes_nothing(native, public):
    native.up()  # whatever tests before this one have changed
    pids, settings = native.pids(), (native.run_dir / "env").read_bytes()
    workers = native.workers("handle")
    assert len(workers) == 8 and len(native.workers("log")) == 2
    began = time.monotonic()
    native.up()
    assert time.monotonic() - began < SECOND_UP_WITHIN_S
    assert native.pids() == pids
    assert native.workers("handle") == workers
    assert (native.run_dir / "env").read_bytes() == settings
    assert public.post("/").status_code == 200


def test_status_tells_what_runs(native):
    done = native.call("status")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("postgres", "rabbitmq", "store", "mailpit", "caddy", "listener", "handle", "authenticate", "send"):
        assert name in done.stdout


def test_env_can_be_evaluated(native):
    names = ("HTTP_URL", "INTERNAL_SOCKET", "MONGO_URL", "RABBITMQ_URL", "DSN", "MAIL_HOST", "MAIL_PORT", "MAILPIT_URL",
             "RUN_DIR", "HANDLERS_DIR")  # fmt: skip
    script = f'eval "$({shlex.quote(str(STACK))} env)"; ' + "; ".join(f'printf "%s\\n" "${name}"' for name in names)
    done = subprocess.run(
        ["bash", "-euc", script], env=native.environment, capture_output=True, text=True, timeout=30, cwd=TOP
    )
    values = dict(zip(names, done.stdout.splitlines(), strict=True))
    assert all(values.values()), values
    assert values["RUN_DIR"] == str(native.run_dir)
    assert values["HTTP_URL"] == f"http://127.0.0.1:{native.ports['HTTP_PORT']}"
    with web.client(values["HTTP_URL"]) as client:
        assert client.get("/ping").text == "."
    with web.client(f"unix:{values['INTERNAL_SOCKET']}") as client:
        assert client.get("/ping").text == "."


def test_nothing_runs_as_root_or_from_the_work_tree(native):
    processes = native.processes()
    assert len(processes) > 20
    for pid, command in processes.items():
        try:
            assert Path(f"/proc/{pid}").stat().st_uid == native.run_dir.stat().st_uid != 0, command
            assert not os.readlink(f"/proc/{pid}/exe").startswith(str(TOP)), command
            assert not os.readlink(f"/proc/{pid}/cwd").startswith(str(TOP)), command
        except FileNotFoundError:
            continue  # it ended meanwhile


def test_sockets_and_secrets_are_closed_to_others(native):
    for name in ("internal.sock", "queue.sock", "caddy-admin.sock", "env", "public/handle.sock"):
        assert (native.run_dir / name).stat().st_mode & 0o007 == 0, name


def test_ports_are_open_on_this_machine_only(native):
    """No part listens on an address that others reach."""
    pids = native.processes()
    inodes = set()
    for pid in pids:
        try:
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                target = os.readlink(fd)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                assert address in LOOPBACK, f"{address} port {int(port, 16)}"
                listening.add(int(port, 16))
    assert listening == set(native.ports.values()), "and on no ports but those that were given"


def test_state_survives_down_and_up(native, entries, users, inbox, rabbit, unique):
    """What was stored stays; what waits in a queue waits on; a dropped handler is there again."""
    with web.client(native.public) as client:
        stored = log(client, unique, "http")
        native.stop("listener")
        waiting = log(client, f"{unique}-waiting")
        client.post("/handle", json={"action": "mail", "mail": {"to": "a@b.cd", "subject": unique, "message": "m"}})
    address = f"{unique}@example.com"
    users.ensure_like_admin(address, 1)
    dropped = native.drop(PROBE, "public", "survivor")
    native.wait_for_live("public", "survivor")
    settings = (native.run_dir / "env").read_bytes()

    native.down()
    assert native.processes() == {}, "nothing is left"
    assert [port for port in native.ports.values() if port_answers(port)] == []
    assert native.call("status").returncode != 0
    assert native.call("env").returncode != 0
    native.up()

    assert (native.run_dir / "env").read_bytes() == settings
    assert entries.by_id(stored)["name"] == unique
    assert entries.wait_for(waiting, 60)["name"] == f"{unique}-waiting"
    assert inbox.search(f'subject:"{unique}"')
    again = peers.Users(native.dsn)
    try:
        assert again.row(address)["user_active"] == 1
        again.remove(address)
    finally:
        again.close()
    with web.client(native.public) as client:
        assert client.get("/survivor").status_code == 200
        dropped.unlink()
        wait_until(lambda: client.get("/survivor").status_code == 404, 10, "a removed handler is gone")


def port_answers(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


# A second stack, whose RUN_DIR has a space.


@pytest.fixture(scope="module")
def other(native):
    stack = NativeStack(name="fc with space")
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


def test_two_stacks_run_side_by_side(native, other, entries, unique):
    """Also: every flow works where RUN_DIR has a space."""
    assert " " in str(other.run_dir)
    others = peers.Entries(other.mongo_url)
    try:
        with web.client(other.public) as client:
            there = [log(client, unique, "http"), log(client, unique, "amqp")]
            auth = {"email": "admin@example.com", "password": "verysecret"}
            assert client.post("/handle", json={"action": "auth", "auth": auth}).status_code == 202
            mail = {"to": "you@there.com", "subject": unique, "message": "m"}
            assert client.post("/handle", json={"action": "mail", "mail": mail}).status_code == 202
        with web.client(native.public) as client:
            here = [log(client, unique, "http"), log(client, unique, "amqp")]
        for entry_id in there:
            others.wait_for(entry_id)
        for entry_id in here:
            entries.wait_for(entry_id)
        assert {str(e["_id"]) for e in others.named(unique)} == set(there)
        assert {str(e["_id"]) for e in entries.named(unique)} == set(here)
    finally:
        others.close()


def test_the_env_of_a_directory_with_a_space_can_be_evaluated(other):
    script = f'eval "$({shlex.quote(str(STACK))} env)"; printf "%s\\n" "$RUN_DIR" "$INTERNAL_SOCKET"'
    done = subprocess.run(
        ["bash", "-euc", script], env=other.environment, capture_output=True, text=True, timeout=30, cwd=TOP
    )
    assert done.stdout.splitlines() == [str(other.run_dir), other.settings["INTERNAL_SOCKET"]]


def test_a_handler_dropped_into_a_directory_with_a_space_is_served(other):
    dropped = other.drop(PROBE, "public", "probe")
    with web.client(other.public) as client:
        answer = wait_until(lambda: (a := client.post("/probe", content=b"123")).status_code == 200 and a, 5)
        assert "body=3\n" in answer.text
        dropped.unlink()
        wait_until(lambda: client.get("/probe").status_code == 404, 5, "it is gone")


# What keeps a stack from starting.


@pytest.fixture
def unstarted():
    stack = NativeStack()
    yield stack
    stack.remove()


def check_refused(stack: NativeStack, *words: str, **environment: str) -> None:
    began = time.monotonic()
    done = stack.call("up", **environment)
    assert done.returncode != 0, done.stdout
    assert time.monotonic() - began < REFUSED_WITHIN_S
    last = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in last, done.stderr
    assert stack.processes() == {}, "nothing half-started stays behind"


@pytest.mark.parametrize("name", PORTS)
def test_a_port_in_use_is_named_and_nothing_starts(unstarted, name):
    with socket.socket() as s:
        s.bind(("127.0.0.1", unstarted.ports[name]))
        s.listen()
        check_refused(unstarted, str(unstarted.ports[name]), name)


def test_two_ports_that_are_the_same_are_named(unstarted):
    check_refused(unstarted, "MAIL_PORT", "MAILPIT_PORT", MAIL_PORT=str(unstarted.ports["MAILPIT_PORT"]))


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80 80", "80"])
def test_a_port_that_cannot_be_is_named(unstarted, value):
    check_refused(unstarted, "HTTP_PORT", HTTP_PORT=value)


def test_a_long_run_dir_is_refused(unstarted):
    check_refused(unstarted, "RUN_DIR", RUN_DIR=str(unstarted.parent / ("x" * 60)))
    assert list(unstarted.parent.iterdir()) == []


def test_a_run_dir_that_holds_other_things_is_left_alone(unstarted):
    unstarted.run_dir.mkdir()
    (unstarted.run_dir / "thesis.txt").write_text("mine")
    check_refused(unstarted, "RUN_DIR", "thesis.txt")
    assert [p.name for p in unstarted.run_dir.iterdir()] == ["thesis.txt"]
    (unstarted.run_dir / "thesis.txt").unlink()
    unstarted.run_dir.rmdir()


@pytest.mark.parametrize("name", ["MAIL_ENCRYPTION", "LOG_LEVEL", "WORKERS"])
def test_a_wrong_setting_is_named(unstarted, name):
    check_refused(unstarted, name, **{name: "nonsense"})


def test_a_part_that_dies_at_its_start_leaves_nothing_behind(unstarted):
    """A database that cannot be had: the start says so and takes back what it has started."""
    nobody = free_ports(1)[0]
    done = unstarted.call("up", DSN=f"host=127.0.0.1 port={nobody} user=x dbname=users")
    assert done.returncode != 0
    assert unstarted.processes() == {}
