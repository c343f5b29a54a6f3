"""The stack of compose.yaml: what is published, who knows which secret, what a second `up` and a `down` leave alone."""

import json
import os
import re
import subprocess

import httpx
import psycopg
import pytest

from harness.compose import OURS, THEIRS
from harness.daemon import TOP
from support.peers import Entries

E2E = TOP / "tests/e2e"
E2E_S = 600
ADMIN = {"action": "auth", "auth": {"email": "admin@example.com", "password": "verysecret"}}
SECRETS_OF = {
    "handle": {"rabbitmq"}, "logs": {"mongo"}, "authenticate": {"postgres", "rabbitmq"}, "log": {"mongo"},
    "health": {"postgres", "mongo", "rabbitmq"}, "listener": {"rabbitmq"}, "rpc-logd": {"mongo"},
    "grpc-logd": {"mongo"},
}  # fmt: skip


def containers(compose) -> dict[str, dict]:
    return {name: compose.inspect(name) for name in (*OURS, *THEIRS)}


def environment(compose) -> dict[str, str]:
    """For tests/e2e: where this stack's parts are."""
    return {
        "BASE_URL": compose.public, "INTERNAL_URL": compose.internal, "QUEUE_URL": compose.queue, "DSN": compose.dsn,
        "MONGO_URL": compose.mongo_url, "RABBITMQ_URL": compose.rabbitmq_url, "MAILPIT_URL": compose.mailpit_url,
        "LOG_RPC_ADDR": compose.rpc_addr, "LOG_GRPC_ADDR": compose.grpc_addr,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(E2E_S + 60)
def test_the_contract_holds_as_it_does_natively(compose, capsys):
    done = subprocess.run(
        [E2E / "run", "-q", "-m", "contract"], env=os.environ | environment(compose), capture_output=True, text=True,
        timeout=E2E_S,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-1]
    with capsys.disabled():
        print(f"\ncontract tests against compose.yaml: {last}")
    assert done.returncode == 0, done.stdout[-20000:]
    assert int(re.search(r"(\d+) passed", last)[1]) > 500, last
    skipped = re.findall(r"^SKIPPED \[(\d+)\] (\S+): (.*)", done.stdout, re.MULTILINE)
    assert [(n, why) for n, _, why in skipped] in ([], [("2", "where its templates are was not said")]), skipped


def test_everything_is_published_on_this_machine_only(compose):
    published = {
        f"{name} {port}": binding["HostIp"]
        for name, container in containers(compose).items()
        for port, bindings in (container["NetworkSettings"]["Ports"] or {}).items()
        for binding in bindings or []
    }
    assert len(published) == len(compose.ports)
    assert set(published.values()) == {"127.0.0.1"}, published


def test_only_the_front_door_of_ours_and_the_log_servers_are_published(compose):
    ports = {name for name in OURS if any((compose.inspect(name)["NetworkSettings"]["Ports"] or {}).values())}
    assert ports == {"caddy", "rpc-logd", "grpc-logd"}


def test_a_secret_is_mounted_where_it_is_needed_and_nowhere_else(compose):
    for name in OURS:
        mounts = {m["Destination"]: m["RW"] for m in compose.inspect(name)["Mounts"] if m["Type"] == "volume"}
        mounts.pop("/data", None)  # Caddy's own
        secrets = {d.removeprefix("/run/secrets/") for d in mounts}
        assert secrets == SECRETS_OF.get(name, set()), name
        assert not any(mounts.values()), f"{name} could write there: {mounts}"


def test_no_secret_is_in_what_docker_tells_of_a_container(compose):
    secrets = [re.search(r":([0-9a-f]{48})@", url)[1] for url in (compose.dsn, compose.mongo_url, compose.rabbitmq_url)]
    assert len(set(secrets)) == 3, "each store has one of its own"
    for name, container in containers(compose).items():
        assert not any(secret in json.dumps(container) for secret in secrets), name


def test_a_store_refuses_who_has_no_password(compose):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(re.sub(r":[0-9a-f]{48}@", ":wrong@", compose.dsn), connect_timeout=5)


def test_a_public_handler_reaches_no_handler_that_is_not_public(compose):
    """By the names in its networks: neither send nor the queue's site."""
    for url, what in (("http://caddy:9082/send", "the queue's site"), ("http://send.internal:9000/", "send")):
        done = compose.daemon.call(
            "run", "--rm", "--network", f"{compose.project}_public", "caddy:2.11.9", "curl", "-sS", "-m", "5", url
        )
        assert done.returncode in (6, 7), f"{what}: {done.stdout}{done.stderr}"  # no such name, or nobody listens


def test_the_public_site_cannot_be_talked_into_a_name_of_another_place(compose):
    with httpx.Client(base_url=compose.public, timeout=40) as http:
        for path in (
            "/send",
            "/authenticate",
            "/log",
            "/send.internal",
            "/postgres",
            "/caddy",
            "/mailpit",
            "/rpc-logd",
        ):
            answer = http.post(path, json={})
            assert answer.status_code in (404, 405) and "x-handler" not in answer.headers, f"{path}: {answer.text}"


def test_the_development_user_is_there(compose):
    assert httpx.post(f"{compose.public}/handle", json=ADMIN, timeout=40).status_code == 202


@pytest.mark.slow
def test_a_second_up_changes_nothing(compose):
    before = {name: c["Id"] + c["State"]["StartedAt"] for name, c in containers(compose).items()}
    compose.up()
    assert {name: c["Id"] + c["State"]["StartedAt"] for name, c in containers(compose).items()} == before


@pytest.mark.slow
def test_data_and_secrets_outlive_a_down(compose):
    entry = {"name": "outlives", "data": "a down", "id": "65f0c0ffee65f0c0ffee65f0"}
    assert httpx.post(f"{compose.internal}/log", json=entry, timeout=40).status_code == 202
    secrets = (compose.dsn, compose.mongo_url, compose.rabbitmq_url)
    compose.do("down", "-t", "60", timeout=300)
    compose.up()
    compose.ready()
    assert (compose.dsn, compose.mongo_url, compose.rabbitmq_url) == secrets
    assert httpx.post(f"{compose.public}/handle", json=ADMIN, timeout=40).status_code == 202
    entries = Entries(compose.mongo_url)
    try:
        assert entries.wait_for(entry["id"])["data"] == "a down"
    finally:
        entries.close()


def test_a_login_is_logged_by_the_queue(compose):
    """By RabbitMQ, which is tried first: authenticate can reach it."""
    httpx.post(f"{compose.public}/handle", json=ADMIN, timeout=40)
    said = compose.daemon.do("logs", compose.id("authenticate"))
    assert '"status":202' in said and "a transport did not take" not in said
