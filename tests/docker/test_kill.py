"""Every container is killed in turn, under load, as a crash would: all of it comes back without a hand, and every log
that was answered 202 is stored once or lies where a person can see it."""

import httpx
import pytest

from harness import images
from harness.compose import OURS, THEIRS
from harness.load import Load
from support.wait import wait_until

BACK_S = 120
CLIENTS = 4
LOGS_BETWEEN = 100  # after each kill, before the next one


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_any_container_may_die_and_nothing_is_lost(compose, capsys):
    with Load(compose, CLIENTS) as load:
        for service in (*THEIRS, *OURS):
            began = compose.inspect(service)["State"]["StartedAt"]
            compose.daemon.kill_first_process(compose.id(service))
            load.kills[service] = 1
            wait_until(lambda s=service, b=began: restarted(compose, s, b), BACK_S, f"{service} is back")
            compose.read_addresses()
            wait_until(compose.healthy, BACK_S, f"the system is ready after {service} was killed")
            wait_until(lambda s=service: answers(compose, s), BACK_S, f"{service} answers")
            load.wait_more(LOGS_BETWEEN)
    result = load.count(capsys)
    assert result.accepted > result.sent / 3, result


def restarted(compose, service: str, before: str) -> bool:
    state = compose.inspect(service)["State"]
    return state["Running"] and state["StartedAt"] != before


def answers(compose, service: str) -> bool:
    """Handlers are asked; of the others the system's health has told."""
    handlers = {row[0]: row[2] for row in images.table() if len(row) > 2}
    if service not in handlers:
        return True
    site = compose.public if handlers[service] == "public" else compose.internal
    return httpx.post(f"{site}/{service}", content=b"?", timeout=40).headers.get("x-handler") == service
