"""The one Caddyfile where handlers are found by name, as in containers, and where the site has a name of its own."""

import contextlib
import json

import pytest

from support.front_door import FrontDoor, PrivateNetwork, https_ports

NAMES = {
    "handle.public": "127.1.0.1",
    "log-grpc.public": "127.1.0.1",
    "away.public": "127.1.0.2",
    "log.internal": "127.1.0.3",
    "log.queue": "127.1.0.3",
    "send.queue": "127.1.0.4",
    "bare": "127.1.0.1",
    "bare.example.test": "127.1.0.1",
    "found.public.example.test": "127.1.0.1",
}
PUBLIC = "http://127.0.0.1:8080"
INTERNAL = "http://127.0.0.1:9081"
QUEUE = "http://127.0.0.1:9082"


@contextlib.contextmanager
def private_network():
    if not PrivateNetwork.can_be_made():
        pytest.skip("this machine makes no network namespaces for ordinary users")
    network = PrivateNetwork(NAMES)
    try:
        for address in ("127.1.0.1", "127.1.0.3", "127.1.0.4"):
            network.worker(address)
        yield network
    finally:
        network.remove()


@pytest.fixture(scope="module")
def network():
    with private_network() as network:
        yield network


@pytest.fixture(scope="module")
def door(network):
    door = FrontDoor(network.enter, HANDLERS_BY="name", HTTP_BIND="0.0.0.0")
    try:
        door.wait_answer(f"{QUEUE}/ping")
        yield door
    finally:
        door.remove()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{PUBLIC}/handle/more", "handle"),
        (f"{INTERNAL}/log", "log"),
        (f"{QUEUE}/send", "send"),
        (f"{QUEUE}/log", "log"),
    ],
)
def test_a_handler_is_found_by_its_name_and_place(door, url, name):
    status, headers, body = door.curl(url)
    assert (status, headers["x-handler"]) == (200, name)
    assert f"SCRIPT_NAME=/{name}" in body


OTHERS = [
    f"{PUBLIC}/{path}"
    for path in (
        "nothing", "send", "log", "bare", "localhost", "found", "bare.example.test", "handle.public", "send.queue",
        "log.internal.", "send%2equeue%2e", "send.queue:9000", "x@send.queue", "127.1.0.4",
    )
]  # fmt: skip


@pytest.mark.parametrize("url", [*OTHERS, f"{INTERNAL}/send", f"{INTERNAL}/handle", f"{QUEUE}/handle"])
def test_no_other_name_leads_anywhere(door, url):
    status, headers, body = door.curl("-d", "{}", url)
    assert status == 404, body
    assert "x-handler" not in headers
    assert json.loads(body)["message"] == "no such handler"


def test_a_handler_that_does_not_run_is_503(door):
    status, headers, body = door.curl(f"{PUBLIC}/away")
    assert (status, headers["retry-after"]) == (503, "1")
    assert json.loads(body)["message"] == "the handler is not running"


def test_page_and_aliases_are_there_too(door):
    status, headers, _ = door.curl(f"{PUBLIC}/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "SCRIPT_NAME=/log-grpc" in door.curl("-d", "{}", f"{PUBLIC}/log-gRPC")[2]


@pytest.fixture
def strict_door():
    with private_network() as network:
        door = FrontDoor(network.enter, HANDLERS_BY="name", QUEUE_CLIENTS="127.3.0.0/24")
        try:
            door.wait_answer(f"{INTERNAL}/ping")
            yield door
        finally:
            door.remove()


def test_the_queue_site_is_for_the_network_of_the_listener_only(strict_door):
    assert strict_door.curl("--interface", "127.3.0.9", f"{QUEUE}/send")[0] == 200
    status, headers, body = strict_door.curl("--interface", "127.4.0.9", f"{QUEUE}/send")
    assert (status, json.loads(body)["message"]) == (403, "not for this network")
    assert "x-handler" not in headers


@pytest.fixture(scope="module")
def named():
    door = FrontDoor(SITE_ADDRESS="flexi.internal, localhost", **https_ports())
    try:
        yield door
    finally:
        door.remove()


def at(door: FrontDoor, name: str, port: str = "HTTPS_PORT") -> tuple[str, ...]:
    """curl's words for a site by its name. Caddy makes certificates for names of this kind by itself."""
    authority = door.run_dir / "caddy/pki/authorities/local/root.crt"
    return ("--cacert", str(authority), "--resolve", f"{name}:{door.environment[port]}:127.0.0.1")


def test_a_site_with_a_name_has_https_and_says_so_for_good(named):
    url = f"https://flexi.internal:{named.environment['HTTPS_PORT']}"
    named.wait_answer(*at(named, "flexi.internal"), f"{url}/ping")
    for path, expected in (("/ping", 200), ("/", 200), ("/nothing", 404)):
        status, headers, _ = named.curl(*at(named, "flexi.internal"), url + path)
        assert (status, headers["strict-transport-security"]) == (expected, "max-age=31536000")


def test_a_developers_own_machine_is_not_bound_to_https(named):
    url = f"https://localhost:{named.environment['HTTPS_PORT']}/ping"
    named.wait_answer(*at(named, "localhost"), url)
    assert "strict-transport-security" not in named.curl(*at(named, "localhost"), url)[1]


def test_http_leads_to_https(named):
    named.wait_answer(*at(named, "flexi.internal"), f"https://flexi.internal:{named.environment['HTTPS_PORT']}/ping")
    url = f"http://flexi.internal:{named.environment['HTTP_PORT']}/ping?x=1"
    status, headers, _ = named.curl(*at(named, "flexi.internal", "HTTP_PORT"), url)
    assert (status, headers["location"]) == (308, "https://flexi.internal/ping?x=1")


def test_a_name_that_is_not_the_sites_gets_no_certificate(named):
    url = f"https://other.internal:{named.environment['HTTPS_PORT']}/ping"
    assert named.curl(*at(named, "other.internal"), url)[0] == 0
