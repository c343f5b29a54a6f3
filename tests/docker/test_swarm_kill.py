"""`docker kill` of containers of the stack, one after the other, under load: the swarm starts another task of each
without a hand, and every log that was answered 202 is stored once or lies where a person can see it."""

import pytest

from harness.load import COUNTED_S
from support import promise
from support.peers import Entries, Rabbit
from support.wait import wait_until

SERVICES = ("handle", "log", "listener", "caddy", "rabbitmq", "mongo")
BACK_S = 180
CLIENTS = 4
LOGS_BETWEEN = 100  # accepted after each kill, before the next one


class Done:
    """What promise.count wants of a killer."""

    def __init__(self):
        self.done: dict[str, int] = {}


def accepted(crowd: promise.Clients) -> int:
    return sum(log.statuses[-1:] == [202] for log in crowd.sent)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_container_may_be_killed_and_nothing_is_lost(swarm, capsys):
    crowd = promise.Clients(swarm.public, f"swarm-kill-{promise.new_id()}", CLIENTS)
    kills = Done()
    crowd.start()
    try:
        for service in SERVICES:
            killed = swarm.container(service)
            swarm.daemon.do("kill", killed)
            kills.done[service] = 1
            wait_until(
                lambda s=service, k=killed: swarm.containers(s) not in ([], [k]), BACK_S, f"another task of {service}"
            )
            swarm.wait_settled(service)
            wait_until(swarm.healthy, BACK_S, f"the system is ready after {service} was killed")
            enough = accepted(crowd) + LOGS_BETWEEN
            wait_until(lambda n=enough: accepted(crowd) >= n, BACK_S, "more logs are taken")
    finally:
        crowd.stop.set()
        crowd.join()
    swarm.read_addresses()
    entries = Entries(swarm.mongo_url, COUNTED_S)
    try:
        result = promise.count(crowd, kills, entries, Rabbit(swarm.rabbitmq_url), 0)
    finally:
        entries.close()
    with capsys.disabled():
        print(f"\n{result}")
    assert result.lost == [], result
    assert result.twice == [], result
