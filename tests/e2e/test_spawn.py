"""Handlers come, are replaced, break and go: by files in HANDLERS_DIR alone, and without a failed request."""

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time

import httpx
import pytest

from support.spawning import SpawnStack, program
from support.stack import BUILD, free_ports
from support.wait import wait_until
from support.web import check_error

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

ENDPOINT_WITHIN_S = 2  # one second is the promise, on a machine that has nothing else to do
BROKEN = b"#!/bin/sh\nexit 3\n"


@pytest.fixture(scope="module")
def spawn():
    stack = SpawnStack()
    try:
        yield stack.up()
    finally:
        stack.remove()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def served(spawn: SpawnStack, name: str, content: bytes, place: str = "public") -> dict:
    """Waits until this version alone is served, by all its workers."""
    return spawn.wait_status(
        name, place, version=sha256(content), state="serving", workers={"wanted": 2, "running": 2, "leaving": 0}
    )


def remove(spawn: SpawnStack, name: str, place: str = "public") -> None:
    spawn.path(place, name).unlink()
    wait_until(lambda: not (spawn.run_dir / place / f"{name}.sock").exists(), 15, f"{name} is removed")


@pytest.fixture
def name(request, spawn):
    """A handler's name for this test alone; what is left of it goes with the test."""
    name = f"h{abs(hash(request.node.nodeid)) % 10**9}"
    yield name
    for place in ("public", "internal", "queue"):
        file = spawn.path(place, name)
        if file.exists():
            remove(spawn, name, place)


# --- dropping in


@pytest.mark.parametrize("how", ["cp", "install", "mv", "cp then chmod"])
def test_a_program_that_appears_is_an_endpoint(spawn, name, how):
    target = spawn.path("public", name)
    assert spawn.get(f"/{name}").status_code == 404
    began = time.monotonic()
    if how == "cp":
        subprocess.run(["cp", program("gated"), target], check=True)
    elif how == "install":
        subprocess.run(["install", program("gated"), target], check=True)
    elif how == "mv":
        shutil.copy2(program("gated"), spawn.parent / name)
        subprocess.run(["mv", spawn.parent / name, target], check=True)
    else:
        target.write_bytes(program("gated").read_bytes())
        target.chmod(0o755)
    spawn.wait_answer(f"/{name}", 200)
    assert time.monotonic() - began < ENDPOINT_WITHIN_S


def test_a_plain_fastcgi_program_is_an_endpoint_too(spawn, name):
    spawn.drop(name, spawn.content("probe"))
    assert "SCRIPT_NAME=/" + name in spawn.wait_answer(f"/{name}", 200).text


def test_a_file_that_is_not_executable_is_no_handler(spawn, name):
    target = spawn.path("public", name)
    target.write_bytes(spawn.content("gated"))
    spawn.drop(name + "x", spawn.content("gated"))
    spawn.wait_answer(f"/{name}x", 200)
    assert spawn.get(f"/{name}").status_code == 404
    target.chmod(0o755)
    spawn.wait_answer(f"/{name}", 200)
    remove(spawn, name + "x")


def test_what_cannot_be_a_handler_is_ignored_and_said_once(spawn, name):
    watch = spawn.service_pid("watch")
    for word in (f"{name}~", f".{name}", f"{name}.tmp", f"{name}.conf"):
        spawn.path("public", word).write_bytes(BROKEN)
        spawn.path("public", word).chmod(0o755)
    spawn.drop("Not-A-Name", spawn.content("gated"))
    spawn.path("public", name).mkdir()
    spawn.wait_log("watch", "Not-A-Name")
    spawn.wait_log("watch", f'"file":"{name}"')
    spawn.drop("Not-A-Name", spawn.content("gated", "again"))
    spawn.path("public", name).rmdir()
    spawn.drop(name, spawn.content("gated"))
    spawn.wait_answer(f"/{name}", 200)
    assert spawn.log("watch").count("Not-A-Name") == 1
    assert spawn.service_pid("watch") == watch
    for word in (f"{name}~", f".{name}", f"{name}.tmp", f"{name}.conf", "Not-A-Name"):
        spawn.path("public", word).unlink()


def test_one_name_in_two_places_is_two_handlers(spawn, name):
    spawn.drop(name, spawn.content("probe", "public"))
    spawn.drop(name, spawn.content("probe", "internal"), place="internal")
    served(spawn, name, spawn.content("probe", "public"))
    served(spawn, name, spawn.content("probe", "internal"), place="internal")
    with spawn.internal() as client:
        assert client.get(f"/{name}").status_code == 200
    remove(spawn, name)
    assert spawn.get(f"/{name}").status_code == 404
    with spawn.internal() as client:
        assert client.get(f"/{name}").status_code == 200


def test_a_program_that_is_being_written_is_not_run(spawn, name):
    content = spawn.content("gated")
    spawn.drop(name, spawn.content("gated", "old"))
    served(spawn, name, spawn.content("gated", "old"))
    with open(spawn.path("public", name), "r+b") as file:  # as cp writes over it
        file.truncate()
        for at in range(0, len(content), 1 + len(content) // 10):
            file.write(content[at : at + 1 + len(content) // 10])
            file.flush()
            os.utime(file.fileno())
            assert spawn.wait_answer(f"/{name}", 200)
        assert spawn.status(name)["version"] == sha256(spawn.content("gated", "old"))
    served(spawn, name, content)
    assert {v.name for v in (spawn.run_dir / "versions" / name).iterdir() if len(v.name) == 64} == {
        sha256(content), sha256(spawn.content("gated", "old"))
    }  # fmt: skip


def test_settings_beside_the_program_say_how_many_workers(spawn, name):
    spawn.path("public", f"{name}.conf").write_text("workers = 3\n")
    spawn.drop(name, spawn.content("gated"))
    spawn.wait_answer(f"/{name}", 200)
    spawn.wait_status(name, workers={"wanted": 3, "running": 3, "leaving": 0})
    spawn.path("public", f"{name}.conf").write_text("workers = 1 ; fewer\n")
    spawn.wait_status(name, workers={"wanted": 1, "running": 1, "leaving": 0})
    spawn.path("public", f"{name}.conf").write_text("workers = many\n")
    spawn.wait_log(f"public.{name}", f"{name}.conf:1: workers must be a number from 1 to 256")
    spawn.wait_status(name, state="serving", workers={"wanted": 1, "running": 1, "leaving": 0})
    spawn.path("public", f"{name}.conf").unlink()
    spawn.wait_status(name, workers={"wanted": 2, "running": 2, "leaving": 0})


def cgi(text: str) -> bytes:
    return f"""#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s %s ' '{text}' "$REQUEST_METHOD" "$PATH_INFO"
cat
""".encode()


def test_a_plain_cgi_script_runs_behind_fcgiwrap(spawn, name):
    spawn.path("public", f"{name}.conf").write_text("protocol = cgi\n")
    spawn.drop(name, cgi("one"))
    spawn.wait_answer(f"/{name}", 200)
    answer = httpx.post(f"{spawn.url}/{name}/below", content=b"body", trust_env=False)
    assert (answer.status_code, answer.text) == (200, "one POST /below body")
    assert spawn.wait_status(name, state="serving")["protocol"] == "cgi"
    with spawn.load(f"/{name}", threads=2) as load:
        spawn.drop(name, cgi("two"))
        wait_until(lambda: spawn.get(f"/{name}").text.startswith("two GET"), 10, "the new script runs")
        spawn.wait_status(name, version=sha256(cgi("two")))
        load.wait_more(20)
    assert load.failed == 0, load.statuses
    spawn.path("public", f"{name}.conf").unlink()


# --- replacing


def test_rolls_under_load_fail_no_request(spawn, name):
    spawn.drop(name, spawn.content("gated", "0"))
    served(spawn, name, spawn.content("gated", "0"))
    with spawn.load(f"/{name}") as load:
        for n, how in enumerate(["cp", "install", "mv"] * 2, 1):
            source = spawn.parent / name
            source.write_bytes(spawn.content("gated", str(n)))
            source.chmod(0o755)
            subprocess.run([how, source, spawn.path("public", name)], check=True)
            served(spawn, name, spawn.content("gated", str(n)))
            load.wait_more(50)
    assert load.failed == 0, load.statuses
    assert set(spawn.workers(name).values()) == {sha256(spawn.content("gated", "6"))}


@pytest.mark.parametrize("kinds", [("gated", "probe"), ("probe", "gated")])
def test_a_roll_from_one_kind_of_program_to_the_other_fails_no_request(spawn, name, kinds):
    """They differ in what they make of the O_NONBLOCK of the socket that they share."""
    spawn.drop(name, spawn.content(kinds[0]))
    served(spawn, name, spawn.content(kinds[0]))
    with spawn.load(f"/{name}") as load:
        load.wait_more(100)
        spawn.drop(name, spawn.content(kinds[1]))
        served(spawn, name, spawn.content(kinds[1]))
        load.wait_more(100)
    # A plain program loses what arrives with its SIGTERM: that is libfcgi's, not the roll's.
    assert load.failed <= (2 if kinds[0] == "probe" else 0), load.statuses
    assert spawn.get(f"/{name}").status_code == 200


def test_a_bad_version_is_not_taken(spawn, name):
    good = spawn.content("gated")
    spawn.drop(name, good)
    served(spawn, name, good)
    with spawn.load(f"/{name}") as load:
        spawn.drop(name, BROKEN)
        status = spawn.wait_status(name, refused=sha256(BROKEN), state="serving")
        load.wait_more(100)
    assert load.failed == 0, load.statuses
    assert status["version"] == sha256(good)
    assert "the new version is not taken" in spawn.log(f"public.{name}")
    spawn.drop(name, spawn.content("gated", "mended"))
    assert served(spawn, name, spawn.content("gated", "mended"))["refused"] == ""


def test_a_pool_that_is_restarted_goes_back_to_the_version_that_worked(spawn, name):
    good = spawn.content("gated")
    spawn.drop(name, good)
    served(spawn, name, good)
    spawn.drop(name, BROKEN)
    spawn.wait_status(name, refused=sha256(BROKEN), state="serving")
    spawn.kill(f"public.{name}")
    assert spawn.get(f"/{name}").status_code == 200
    assert spawn.wait_status(name, refused=sha256(BROKEN), state="serving")["version"] == sha256(good)


def test_the_current_version_and_the_one_before_are_kept(spawn, name):
    versions = spawn.run_dir / "versions" / name
    for n in range(3):
        spawn.drop(name, spawn.content("gated", str(n)))
        served(spawn, name, spawn.content("gated", str(n)))
    assert os.readlink(versions / "public") == sha256(spawn.content("gated", "2"))
    assert os.readlink(versions / "public.running") == sha256(spawn.content("gated", "2"))
    assert os.readlink(versions / "public.before") == sha256(spawn.content("gated", "1"))


# --- removing


def test_a_removed_handler_is_404_and_can_come_again_at_once(spawn, name):
    for _ in range(3):
        spawn.drop(name, spawn.content("gated"))
        spawn.wait_answer(f"/{name}", 200)
        spawn.path("public", name).unlink()
        spawn.wait_answer(f"/{name}", 404)
    wait_until(lambda: not (spawn.run_dir / "public" / f"{name}.sock").exists(), 10, "the socket is gone")
    assert not spawn.workers(name)
    wait_until(lambda: not (spawn.run_dir / "versions" / name).exists(), 10, "its versions are gone")
    wait_until(lambda: not kept(spawn, name), 10, "the deposit is gone")


def kept(spawn: SpawnStack, name: str) -> bool:
    """Whether the fd-holder has the handler's socket."""
    holder = spawn.environment["FDHOLDER_SOCKET"]
    done = subprocess.run(["s6-fdholder-list", holder], capture_output=True, text=True)
    return f"handler:public/{name}\n" in done.stdout


def test_what_is_in_hand_or_waits_is_answered_when_the_handler_is_removed(spawn, name):
    spawn.path("public", f"{name}.conf").write_text("workers = 1\n")
    spawn.drop(name, spawn.content("gated"))
    spawn.wait_status(name, state="serving")
    answers = []
    callers = [
        threading.Thread(target=lambda: answers.append(spawn.get(f"/{name}?sleep=700").status_code)) for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    wait_until(lambda: waiting(spawn, name) >= 2, 10, "one request is in hand, two wait")
    spawn.path("public", name).unlink()
    spawn.wait_answer(f"/{name}", 404)
    for caller in callers:
        caller.join(20)
    assert answers == [200, 200, 200]
    spawn.path("public", f"{name}.conf").unlink()


def waiting(spawn: SpawnStack, name: str) -> int:
    """Connections in the backlog of the handler's socket."""
    done = subprocess.run(["ss", "-xlH"], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if f"{spawn.run_dir}/public/{name}.sock" in line]
    return int(lines[0][2]) if lines else 0


def test_a_drop_while_the_old_pool_drains_is_served_at_once(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(spawn.get(f"/{name}?sleep=2000").status_code))
    caller.start()
    time.sleep(0.2)
    spawn.path("public", name).unlink()
    spawn.wait_answer(f"/{name}", 404)
    spawn.drop(name, spawn.content("gated", "new"))
    spawn.wait_answer(f"/{name}", 200, seconds=1.5)
    caller.join(20)
    assert answers == [200]
    wait_until(lambda: not list(spawn.services_dir.glob(f".gone.public.{name}*")), 10, "the old service is gone")
    assert spawn.get(f"/{name}").status_code == 200


# --- breaking


def test_a_broken_program_harms_no_other(spawn, name):
    good = f"{name}x"
    spawn.drop(good, spawn.content("gated"))
    spawn.wait_answer(f"/{good}", 200)
    with spawn.load(f"/{good}") as load:
        spawn.drop(name, BROKEN)
        spawn.wait_status(name, state="failing")
        began = time.monotonic()
        answer = spawn.get(f"/{name}")
        check_error(answer, 503, name, "the handler's workers end soon after their start")
        assert answer.headers["retry-after"] == "1"
        assert time.monotonic() - began < 2
        load.wait_more(100)
    assert load.failed == 0, load.statuses
    assert "a worker ended" in spawn.log(f"public.{name}")
    remove(spawn, good)


def test_a_killed_pool_costs_no_request(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    with spawn.load(f"/{name}") as load:
        for _ in range(4):
            before = spawn.workers(name)
            spawn.kill(f"public.{name}")
            load.wait_more(100)
            wait_until(lambda old=before: not set(old) & set(spawn.workers(name)), 10, "no orphan is left")
    assert load.failed == 0, load.statuses


def test_a_killed_fd_holder_costs_no_request(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    with spawn.load(f"/{name}") as load:
        for _ in range(2):
            spawn.kill("fdholder")
            wait_until(lambda: kept(spawn, name), 10, "the socket is deposited again")
            spawn.kill(f"public.{name}")
            load.wait_more(100)
    assert load.failed == 0, load.statuses


def test_a_killed_worker_costs_at_most_the_request_in_hand(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    kills = 8
    with spawn.load(f"/{name}") as load:
        for _ in range(kills):
            os.kill(next(iter(spawn.workers(name))), signal.SIGKILL)
            load.wait_more(100)
    assert load.failed <= kills, load.statuses
    served(spawn, name, spawn.content("gated"))
    assert spawn.log(f"public.{name}").count("SIGKILL") == kills


def test_sigterm_lets_a_slow_request_finish(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(spawn.get(f"/{name}?sleep=1500").status_code))
    caller.start()
    time.sleep(0.3)
    spawn.service("-wD", "-d", f"public.{name}")
    caller.join(20)
    assert answers == [200]
    assert not spawn.workers(name)
    assert (spawn.run_dir / "public" / f"{name}.live").exists(), "a stopped pool is no removed handler"
    spawn.service("-wU", "-u", f"public.{name}")
    assert spawn.get(f"/{name}").status_code == 200


def test_a_worker_that_does_not_finish_is_killed(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(spawn.get(f"/{name}?sleep=20000").status_code))
    caller.start()
    time.sleep(0.3)
    began = time.monotonic()
    spawn.service("-wD", "-d", f"public.{name}")
    assert 2 < time.monotonic() - began < 10
    caller.join(20)
    assert answers == [502]
    spawn.service("-wU", "-u", f"public.{name}")


def test_a_restart_of_watch_changes_nothing_that_runs(spawn, name):
    spawn.drop(name, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    before = (spawn.service_pid(f"public.{name}"), spawn.workers(name))
    spawn.kill("watch")
    spawn.service("-wR", "-r", "watch")
    assert (spawn.service_pid(f"public.{name}"), spawn.workers(name)) == before


def test_what_was_replaced_or_removed_while_watch_was_down_is_found(spawn, name):
    other = f"{name}x"
    spawn.drop(name, spawn.content("gated"))
    spawn.drop(other, spawn.content("gated"))
    served(spawn, name, spawn.content("gated"))
    served(spawn, other, spawn.content("gated"))
    spawn.service("-wD", "-d", "watch")
    spawn.drop(name, spawn.content("gated", "new"))
    spawn.path("public", other).unlink()
    spawn.service("-wU", "-u", "watch")
    served(spawn, name, spawn.content("gated", "new"))
    spawn.wait_answer(f"/{other}", 404)


def test_a_worker_has_the_socket_and_standard_output_alone(spawn, name):
    spawn.drop(name, spawn.content("probe"))
    served(spawn, name, spawn.content("probe"))
    for pid in spawn.workers(name):
        assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        with open(f"/proc/{pid}/cmdline") as f:
            assert f.read() == name + "\0"
        with open(f"/proc/{pid}/environ") as f:
            assert {f"HANDLER={name}", "PLACE=public"} <= set(f.read().split("\0"))
        with open(f"/proc/{pid}/status") as f:
            signals = dict(line.split(":\t") for line in f.read().splitlines() if line.startswith("Sig"))
        assert int(signals["SigBlk"], 16) == 0


# --- by hand


@pytest.mark.parametrize("base", ["gated", "probe"])
def test_bare_spawn_fcgi_serves(tmp_path, base):
    socket = tmp_path / "s"
    done = subprocess.run(
        ["spawn-fcgi", "-s", socket, "-F", "4", "-P", tmp_path / "pids", "--", program(base)],
        check=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    pids = [int(p) for p in (tmp_path / "pids").read_text().split()]
    try:
        assert len(pids) == 4, done.stdout
        for _ in range(8):
            assert "pid=" in cgi_fcgi(socket)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def cgi_fcgi(socket) -> str:
    done = subprocess.run(
        ["cgi-fcgi", "-bind", "-connect", socket], capture_output=True, text=True, timeout=20,
        env={"REQUEST_METHOD": "GET", "QUERY_STRING": "", "SCRIPT_NAME": "/x", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    return done.stdout


def test_a_pool_works_without_anything_around_it(tmp_path):
    socket = tmp_path / "s"
    (tmp_path / "program").write_bytes(program("gated").read_bytes())
    (tmp_path / "program").chmod(0o755)
    pool = subprocess.Popen(
        ["spawn-fcgi", "-n", "-s", socket, "--", BUILD / "bin/pool", "-w", "3", "public", "hello",
         "--", tmp_path / "program"],
        env={"PATH": os.environ["PATH"]}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(socket.exists, 10, "it listens")
        assert "pid=" in cgi_fcgi(socket)
        assert len(children(pool.pid)) == 3
        before = children(pool.pid)
        pool.send_signal(signal.SIGHUP)
        wait_until(lambda: len(children(pool.pid)) == 3 and not children(pool.pid) & before, 10, "it rolled")
        assert "pid=" in cgi_fcgi(socket)
    finally:
        pool.terminate()
        assert pool.wait(10) == 0, pool.stderr.read()


def test_serve_binds_a_port_as_well(spawn):
    """As in a container: no fd-holder, and a front door elsewhere."""
    port = free_ports(1)[0]
    run_dir = spawn.parent / "other"  # the tests' own directories may be too long for a RUN_DIR
    (run_dir / "versions/hello").mkdir(parents=True)
    (run_dir / "public").mkdir()
    hash_ = sha256(spawn.content("gated"))
    (run_dir / "versions/hello" / hash_).write_bytes(spawn.content("gated"))
    (run_dir / "versions/hello" / hash_).chmod(0o755)
    (run_dir / "versions/hello/public").symlink_to(hash_)
    serve = subprocess.Popen(
        [spawn.run_dir / "app/bin/serve", "public", "hello", f"127.0.0.1:{port}"],
        env={"PATH": os.environ["PATH"], "RUN_DIR": str(run_dir), "HANDLERS_DIR": str(run_dir)},
    )
    try:
        wait_until((run_dir / "public/hello.live").exists, 10, "it serves")
        assert "pid=" in cgi_fcgi(f"127.0.0.1:{port}")
    finally:
        serve.terminate()
        assert serve.wait(10) == 0


def children(pid: int) -> set[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return {int(p) for p in f.read().split()}
