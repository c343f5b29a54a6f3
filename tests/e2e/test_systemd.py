"""What `make install` leaves, under a real systemd: hardened units in which handlers still work."""

import random
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from support import web
from support.machine import CannotBoot, Machine
from support.stack import BUILD, TOP, free_ports
from support.wait import wait_until

pytestmark = [pytest.mark.native, pytest.mark.slow, pytest.mark.timeout(180)]

HANDLERS = "/var/lib/flexiconnect/handlers"
RUN_DIR = "/var/lib/flexiconnect/run"
UNITS = ("flexiconnect", "flexiconnect-migrate", "flexiconnect-rpc-logd", "flexiconnect-grpc-logd")
ADMIN = {"email": "me@example.com", "password": "of-my-own-2026"}
PROBE = BUILD / "probes/probe"
SCRIPT = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\ncat /proc/self/status\n"
LIVE_S = 15


def free_low_port() -> int:
    """One that only the front door may have."""
    for port in random.sample(range(300, 1000), 700):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free ports")


def configure(machine: Machine, native, ports: dict[str, int]) -> None:
    """As docs/systemd.md says: settings in a file, secrets in files of their own."""
    conf = machine.path("/etc/flexiconnect")
    (conf / "flexiconnect.env").write_text(
        f"HTTP_PORT={ports['http']}\n"
        f"LOG_RPC_LISTEN=127.0.0.1:{ports['rpc']}\nLOG_RPC_ADDR=127.0.0.1:{ports['rpc']}\n"
        f"LOG_GRPC_LISTEN=127.0.0.1:{ports['grpc']}\nLOG_GRPC_ADDR=127.0.0.1:{ports['grpc']}\n"
        f"MAIL_TRANSPORT=amqp\nMAIL_PORT={native.settings['MAIL_PORT']}\n"
        f"ADMIN_EMAIL={ADMIN['email']}\n"
    )
    secrets = {
        "DSN": "postgresql://flexiconnect@/of_systemd?host=/srv/postgres",
        "MONGO_URL": f"mongodb://{quote('/srv/store/mongodb.sock', safe='')}/logs",
        "RABBITMQ_URL": native.rabbitmq_url,
        "ADMIN_PASSWORD": ADMIN["password"],
    }
    for name, value in secrets.items():
        file = conf / "secrets" / name
        file.write_text(value + "\n")
        file.chmod(0o600)


@pytest.fixture(scope="module")
def machine(native):
    """Installed and started; the stores are the native stack's, whose listener is out of the way."""
    state = native.run_dir
    try:
        m = Machine(
            {state / "postgres": "/srv/postgres", state / "store": "/srv/store", TOP: str(TOP)},
            empty=("/var/lib/flexiconnect", "/etc/flexiconnect"),
        )
    except CannotBoot as e:
        pytest.skip(f"no systemd can be booted here: {e}")
    native.stop("listener")
    try:
        m.ports = dict(zip(("rpc", "grpc"), free_ports(2), strict=True)) | {"http": free_low_port()}
        m.make("install")
        configure(m, native, m.ports)
        started = m.run("systemctl", "start", "flexiconnect", check=False)
        assert started.returncode == 0, started.stderr + m.journal("--lines=60")
        yield m
    finally:
        m.remove()
        native.start("listener")


@pytest.fixture(scope="module")
def site(machine):
    with web.client(f"http://127.0.0.1:{machine.ports['http']}") as c:
        yield c


def state_of(machine: Machine, unit: str) -> str:
    return machine.run("systemctl", "is-active", unit, check=False).stdout.strip()


def drop(machine: Machine, program: Path | str, name: str, **settings: str) -> Path:
    """As root does it there: install PROGRAM HANDLERS_DIR/public/NAME."""
    directory = machine.path(f"{HANDLERS}/public")
    for key, value in settings.items():
        (directory / f"{name}.conf").write_text(f"{key} = {value}\n")
    new = directory / f".{name}.new"
    new.write_bytes(program.encode() if isinstance(program, str) else program.read_bytes())
    new.chmod(0o755)
    return new.rename(directory / name)


def answer_of(site: httpx.Client, path: str, seconds: float = LIVE_S) -> httpx.Response:
    return wait_until(lambda: (a := site.get(path)).status_code == 200 and a, seconds, f"{path} is live")


def test_every_unit_is_active(machine):
    assert {u: state_of(machine, u) for u in UNITS} == dict.fromkeys(UNITS, "active"), machine.journal("--lines=40")


def test_every_part_is_there(machine):
    with web.client(f"unix:{machine.path(f'{RUN_DIR}/internal.sock')}") as internal:
        answer = internal.get("/health")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["data"].values()) == {"ok"}


def test_nothing_runs_as_root(machine):
    for unit in ("flexiconnect", "flexiconnect-rpc-logd", "flexiconnect-grpc-logd"):
        pids = machine.pids(unit)
        assert pids, unit
        for pid in pids:
            assert machine.path(f"/proc/{pid}").stat().st_uid != 0, machine.path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_front_door_answers(site):
    assert site.get("/ping").text == "."
    assert site.post("/").json() == {"error": False, "message": "Hit the broker"}
    assert "<title>" in site.get("/").text


@pytest.mark.parametrize("transport", ["amqp", "rpc", "grpc", "http"])
def test_a_log_is_stored(site, entries, unique, transport):
    answer = site.post("/handle", json={"action": "log", "log": {"name": unique, "data": "d"}, "transport": transport})
    assert answer.status_code == 202, answer.text
    assert entries.wait_for(answer.json()["data"]["id"])["name"] == unique


def test_a_mail_goes_by_the_queue(site, inbox, unique):
    mail = {"to": "you@there.com", "subject": unique, "message": "m"}
    assert site.post("/handle", json={"action": "mail", "mail": mail}).status_code == 202
    assert inbox.wait_for_subject(unique)


def test_the_first_user_may_come_in_and_nobody_else(site):
    assert site.post("/handle", json={"action": "auth", "auth": ADMIN}).status_code == 202
    seed = {"email": "admin@example.com", "password": "verysecret"}
    assert site.post("/handle", json={"action": "auth", "auth": seed}).status_code == 401


def test_a_dropped_program_goes_live_and_away(machine, site):
    dropped = drop(machine, PROBE, "dropped")
    assert "body=" in answer_of(site, "/dropped").text
    dropped.unlink()
    wait_until(lambda: site.get("/dropped").status_code == 404, LIVE_S, "a removed program is no handler")


def test_a_worker_has_no_capability_and_gets_none(machine, site):
    """A CGI script, which tells its own status; Python, as the language of many."""
    drop(machine, SCRIPT, "status", protocol="cgi")
    status = dict(line.split(":\t", 1) for line in answer_of(site, "/status").text.splitlines() if ":\t" in line)
    assert {status[f"Cap{k}"] for k in ("Prm", "Eff", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split()
    assert status["Groups"].strip() in ("", status["Gid"].split()[0])


def test_a_worker_writes_nowhere_but_in_run_dir(machine, site):
    script = (
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
        f'for d in /usr/local /etc/flexiconnect {HANDLERS}/public /var/lib /root /home "$RUN_DIR"; do\n'
        '    if touch "$d/.written" 2>/dev/null; then echo "$d"; fi\ndone\n'
    )
    drop(machine, script, "writer", protocol="cgi")
    assert answer_of(site, "/writer").text.split() == [RUN_DIR]


def test_the_journal_says_which_service_a_line_is_of(machine, site):
    request_id = site.post("/handle", json={"action": "none"}).headers["X-Request-Id"]
    wait_until(
        lambda: request_id in machine.journal("-u", "flexiconnect", "-t", "public.handle"), 10, "the line is there"
    )
    assert request_id in machine.journal("-u", "flexiconnect", "-t", "caddy")


def test_secrets_are_in_no_log_and_no_command_line(machine, native):
    password = native.rabbitmq_url.split(":")[2].split("@")[0]
    assert len(password) > 10
    journal = machine.journal()
    assert ADMIN["password"] not in journal and password not in journal
    for pid in machine.pids("flexiconnect"):
        assert password.encode() not in machine.path(f"/proc/{pid}/cmdline").read_bytes()
        assert password.encode() not in machine.path(f"/proc/{pid}/environ").read_bytes()


def test_flexi_status_tells_what_runs(machine):
    said = machine.run("flexi", "status").stdout
    for name in ("caddy", "watch", "listener", "fdholder", "public.handle", "internal.authenticate"):
        assert name in said
    assert "all well" in said


def test_a_reload_takes_a_new_version_and_loses_nothing(machine, site):
    """As after `make install` of another version: a pool of it, and a handler."""
    app = "/usr/local/lib/flexiconnect"
    pool_before = machine.run("sh", "-c", "readlink /proc/[0-9]*/exe | sort | uniq -c | grep bin/pool").stdout
    assert "deleted" not in pool_before
    failed, stop = [], threading.Event()

    def ask():
        with web.client(str(site.base_url)) as c:
            while not stop.is_set():
                try:
                    answer = c.post("/handle", json={"action": "none"})
                except httpx.HTTPError as e:
                    failed.append(repr(e))
                    continue
                if answer.status_code != 400:
                    failed.append(answer.text)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for a in askers:
        a.start()
    try:
        for program in ("bin/pool", "bin/listener", "handlers/public/handle"):
            # Another content, so that the version is another one.
            machine.run("sh", "-c", f"cp {app}/{program} {app}/new && echo >>{app}/new && mv {app}/new {app}/{program}")
        machine.run("systemctl", "reload", "flexiconnect")
        old = "readlink /proc/[0-9]*/exe | grep -E 'bin/(pool|listener).*deleted'"
        wait_until(lambda: machine.run("sh", "-c", old, check=False).stdout == "", 30, "nothing runs the old programs")
    finally:
        stop.set()
        for a in askers:
            a.join()
    assert failed == []
    installed = machine.path(f"{app}/handlers/public/handle").read_bytes()
    assert machine.path(f"{HANDLERS}/public/handle").read_bytes() == installed


def test_systemd_starts_it_again_when_it_died(machine, site):
    main = machine.run("systemctl", "show", "--property=MainPID", "--value", "flexiconnect").stdout.strip()
    machine.run("kill", "-KILL", main)
    wait_until(lambda: state_of(machine, "flexiconnect") != "active", 10, "its end was seen")
    wait_until(lambda: state_of(machine, "flexiconnect") == "active", 40, "it is active again")
    assert site.post("/").status_code == 200


def test_settings_that_lack_are_named(machine):
    secret = machine.path("/etc/flexiconnect/secrets/MONGO_URL")
    value = secret.read_text()
    secret.unlink()
    try:
        assert machine.run("systemctl", "restart", "flexiconnect-migrate", check=False).returncode != 0
        assert "MONGO_URL is not set" in machine.journal("-u", "flexiconnect-migrate", "--lines=20")
    finally:
        secret.write_text(value)
    machine.run("systemctl", "restart", "flexiconnect-migrate")


def test_a_stop_answers_what_is_in_hand_and_leaves_nothing(machine, site):
    """A handler that tells when it has the request, and takes its time."""
    began = machine.path(f"{RUN_DIR}/slow.began")
    drop(
        machine,
        f"#!/bin/sh\n: >{RUN_DIR}/slow.began\nsleep 2\nprintf 'Content-Type: text/plain\\n\\nslow\\n'\n",
        "slow",
        protocol="cgi",
    )
    wait_until(machine.path(f"{RUN_DIR}/public/slow.live").exists, LIVE_S, "the slow handler is live")
    got: list[httpx.Response] = []
    asker = threading.Thread(
        target=lambda: got.append(httpx.get(site.base_url.join("/slow"), timeout=30, trust_env=False))
    )
    asker.start()
    wait_until(began.exists, 10, "the handler has the request")
    machine.run("systemctl", "stop", "flexiconnect")
    asker.join(30)
    assert [(a.status_code, a.text) for a in got] == [(200, "slow\n")], machine.journal("--lines=40")
    for unit in UNITS:
        assert state_of(machine, unit) == "inactive", machine.journal("-u", unit, "--lines=40")
        assert machine.pids(unit) == []
    said = machine.run("flexi", "status", check=False)
    assert said.returncode == 1 and "nothing runs" in said.stderr


def test_it_starts_again_with_what_was_dropped_in(machine, site):
    machine.run("systemctl", "start", "flexiconnect")
    assert site.get("/slow").text == "slow\n"
    assert site.post("/").status_code == 200


def test_uninstalling_leaves_data_and_edited_settings(machine):
    triggers = machine.path("/etc/flexiconnect/triggers.conf")
    triggers.write_text(triggers.read_text() + "# edited\n")
    said = machine.make("uninstall").stdout
    assert "/etc/flexiconnect stays" in said and "/var/lib/flexiconnect stays" in said
    for unit in UNITS:
        assert machine.run("systemctl", "cat", unit, check=False).returncode != 0
        assert machine.pids(unit) == []
    left = machine.run("find", "/usr/local", "-path", "*flexi*").stdout
    assert left == ""
    for kept in ("flexiconnect.env", "triggers.conf", "secrets/DSN"):
        assert machine.path(f"/etc/flexiconnect/{kept}").exists(), kept
    assert machine.path(f"{HANDLERS}/public/slow").exists()
    assert machine.path(f"{HANDLERS}/internal/log").exists()
