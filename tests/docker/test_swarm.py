"""deploy/swarm/stack.yml on a swarm of one node: what can be reached, and from where; what is secret."""

import base64
import json
import subprocess

import httpx
import pytest

from harness import images
from harness.compose import OURS
from harness.swarm import ADMIN, LOGS_TOKEN, MAIL_PASSWORD, STACK
from support.peers import Entries
from support.wait import wait_until

pytestmark = pytest.mark.timeout(900)  # the first test waits for the images and the whole stack

MAIL = {"from": "a@example.org", "to": "b@example.org", "subject": "by the queue", "message": "hello"}
ARRIVES_S = 60


def post(swarm, body: dict, path: str = "/handle") -> httpx.Response:
    return httpx.post(swarm.public + path, json=body, timeout=40)


def addresses_of(swarm, service: str, name: str) -> set[str]:
    """What a container of service finds under a name."""
    found = swarm.daemon.call("exec", swarm.container(service), "getent", "ahostsv4", name).stdout
    return {line.split()[0] for line in found.splitlines()}


def reaches(swarm, service: str, address: str) -> bool:
    """A FastCGI question, asked from inside a container of service."""
    done = swarm.daemon.call("exec", swarm.container(service), "probe", "fastcgi", f"{address}:9000")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def overlay_address(swarm, service: str, network: str) -> str:
    container = swarm.daemon.inspect(swarm.container(service))
    return container["NetworkSettings"]["Networks"][f"{STACK}_{network}"]["IPAddress"]


# What it does.


def test_a_log_is_stored(swarm):
    answer = post(swarm, {"action": "log", "log": {"name": "swarm", "data": "one"}})
    assert answer.status_code == 202, answer.text
    entries = Entries(swarm.mongo_url)
    try:
        entries.wait_for(answer.json()["data"]["id"], ARRIVES_S)
    finally:
        entries.close()


@pytest.mark.parametrize("way", ["amqp", "rpc", "grpc", "http"])
def test_every_way_to_the_log_is_there(swarm, way):
    answer = post(swarm, {"action": "log", "log": {"name": "way", "data": way}, "transport": way})
    assert answer.status_code == 202, answer.text


def test_the_first_user_is_there_and_the_development_user_is_not(swarm):
    assert post(swarm, {"action": "auth", "auth": ADMIN}).status_code == 202
    seed = {"email": "admin@example.com", "password": "verysecret"}
    assert post(swarm, {"action": "auth", "auth": seed}).status_code == 401


def test_a_login_is_logged_by_the_queue(swarm):
    """By RabbitMQ, which is tried first: authenticate can reach it."""
    assert post(swarm, {"action": "auth", "auth": ADMIN}).status_code == 202
    logs = ("service", "logs", "--raw", f"{STACK}_authenticate")
    wait_until(lambda: '"status":202' in swarm.daemon.do(*logs), 20, "it is told that somebody has logged in")
    assert "a transport did not take" not in swarm.daemon.do(*logs)


def test_a_mail_goes_by_the_queue(swarm):
    mail = MAIL | {"subject": f"by the queue {images.VERSION}"}
    answer = post(swarm, {"action": "mail", "mail": mail})
    assert answer.status_code == 202 and "queued" in answer.json()["message"], answer.text

    def arrived() -> bool:
        got = httpx.get(f"{swarm.mailpit_url}/api/v1/messages", timeout=10).json()
        return any(m["Subject"] == mail["subject"] for m in got["messages"])

    wait_until(arrived, ARRIVES_S, "the mail has arrived")


def test_stored_entries_are_read_with_the_token_only(swarm):
    assert httpx.get(f"{swarm.public}/logs", timeout=40).status_code == 401
    given = {"Authorization": f"Bearer {LOGS_TOKEN}"}
    assert httpx.get(f"{swarm.public}/logs", headers=given, timeout=40).status_code == 200


# What can be reached.


def test_only_the_front_door_publishes_ports(swarm):
    published = {name for name in swarm.services() if swarm.inspect(name)["Endpoint"].get("Ports") and name != "inbox"}
    assert published == {"caddy"}
    for container in swarm.daemon.do("ps", "-q", "--filter", "label=com.docker.swarm.task.id").split():
        described = swarm.daemon.inspect(container)
        ports = any((described["NetworkSettings"]["Ports"] or {}).values())
        assert ports == (f"{STACK}_caddy." in described["Name"]), described["Name"]


NAMES = ("send", "authenticate", "log", "health", "caddy", "rabbitmq", "postgres", "mongo", "listener", "rpc-logd",
         "migrate", "tasks", "localhost")  # fmt: skip
SPELLINGS = ("/{}", "/{}/", "/{}.queue", "/{}.internal", "/{}.public", "/{}.data", f"/tasks.{STACK}_{{}}", "/{}:9000",
             "/handle/../{}", "/handle/%2e%2e/{}", "//{}", "/%2f{}", "/handle%2f..%2f{}", f"/{STACK}_{{}}",
             f"/{STACK}-{{}}", "/{}%00", "/{}.queue.", "/{}%2equeue")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_name_makes_the_public_site_call_what_is_not_public(swarm, name):
    """Paths are sent as they are written: no client tidies them up."""
    host, port = swarm.public.removeprefix("http://").split(":")
    for spelling in SPELLINGS:
        path = spelling.format(name)
        done = subprocess.run(
            ["curl", "-sS", "--path-as-is", "-m", "20", "-o", "/dev/null", "-D", "-", "-X", "POST", "-d", "{}",
             "-H", "Content-Type: application/json", "-H", f"Host: {name}.queue", f"http://{host}:{port}{path}"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, f"{path}: {done.stderr}"
        answered_by = [line for line in done.stdout.splitlines() if line.lower().startswith("x-handler:")]
        status = int(done.stdout.split()[1])
        reached = [line for line in answered_by if line.split(": ")[1] != "handle"]
        assert status >= 400 and not reached, f"{path}: {done.stdout}"


def test_send_is_reached_from_its_own_network(swarm):
    """Else the next tests would show nothing."""
    for service, name in (("listener", "send.queue"), ("handle", "handle.public"), ("listener", "send")):
        addresses = addresses_of(swarm, service, name)
        assert addresses and all(reaches(swarm, service, a) for a in addresses), name


def test_handle_finds_send_by_no_name(swarm):
    names = ("send", "send.queue", "send.internal", "send.public", f"{STACK}_send", f"tasks.{STACK}_send", "tasks.send",
             f"send.{STACK}_queue", f"send.queue.{STACK}_queue", f"{STACK}_send.1")  # fmt: skip
    assert {name: found for name in names if (found := addresses_of(swarm, "handle", name))} == {}


def test_handle_does_not_reach_send_by_its_addresses(swarm):
    for address in (overlay_address(swarm, "send", "queue"), swarm.bridge("send")):
        assert not reaches(swarm, "handle", address), address


def test_handle_does_not_reach_send_by_the_front_door(swarm):
    """Neither by the internal site, nor by the queue site, which it can call but which is not for it."""
    for port, expected in ((9081, 404), (9082, 403)):
        got = asked_by(swarm, "handle", f"http://caddy:{port}/send")
        assert got == expected, port
    assert asked_by(swarm, "listener", "http://caddy:9082/send") == 400  # reached: an empty mail is no mail


def asked_by(swarm, service: str, url: str) -> int:
    """The status of a POST from inside a container's network."""
    pid = swarm.daemon.inspect(swarm.container(service))["State"]["Pid"]
    host, port = url.removeprefix("http://").split("/")[0].split(":")
    address = min(addresses_of(swarm, service, host))
    done = subprocess.run(
        ["nsenter", f"--net=/proc/{pid}/ns/net", "curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}",
         "--connect-to", f"::{address}:{port}", "-d", "{}", url],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


# What is secret, and what a container may do.


@pytest.fixture(scope="module")
def secrets(swarm) -> list[str]:
    """The words that nobody else may see."""
    urls = (swarm.dsn, swarm.mongo_url, swarm.rabbitmq_url)
    passwords = [url.split("@")[0].rsplit(":", 1)[1] for url in urls]
    assert len({p for p in passwords if len(p) == 48}) == 3, "each store has one of its own"
    return [*passwords, ADMIN["password"], LOGS_TOKEN, MAIL_PASSWORD]


def test_no_secret_is_in_what_docker_tells(swarm, secrets):
    told = [swarm.inspect(name) for name in swarm.services()]
    told += [swarm.daemon.inspect(c) for c in swarm.daemon.do("ps", "-aq").split()]
    for kind in ("secret", "config"):
        names = swarm.daemon.do(kind, "ls", "-q").split()
        told += json.loads(swarm.daemon.do(kind, "inspect", *names))
    configs = [base64.b64decode(t["Spec"]["Data"]).decode() for t in told if "Data" in t.get("Spec", {})]
    assert len(configs) == 3
    text = json.dumps([told, configs])
    assert [s for s in secrets if s in text] == []


def processes(swarm, service: str) -> list[int]:
    lines = [
        line
        for container in swarm.containers(service)
        for line in swarm.daemon.do("top", container, "-o", "pid").splitlines()[1:]
    ]
    return [int(line) for line in lines]


@pytest.mark.parametrize("service", OURS)
def test_no_secret_is_in_an_environment_and_nothing_has_a_capability(swarm, secrets, service):
    found = processes(swarm, service)
    assert found
    for pid in found:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read().decode(errors="replace")
        assert [s for s in secrets if s in environment] == [], service
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert set(status["Uid"].split()) == {"10001"}, service
        assert {int(status[n], 16) for n in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}, service


@pytest.mark.parametrize("service", OURS)
def test_its_file_system_is_read_only_and_its_resources_bounded(swarm, service):
    limits = swarm.daemon.inspect(swarm.container(service))["HostConfig"]
    assert limits["ReadonlyRootfs"]
    assert 0 < limits["Memory"] <= 256 << 20
    assert 0 < limits["PidsLimit"] <= 128


def test_the_migration_ran_once_and_ended_well(swarm):
    tasks = swarm.tasks("migrate")
    assert sum(" Complete " in task for task in tasks) == 1 and not any(" Running " in task for task in tasks), tasks
