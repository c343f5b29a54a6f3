"""`docker kill` of containers of the stack, one after the other, under load: the swarm starts another task of each
without a hand, and every log that was answered 202 is stored once or lies where a person can see it."""

import pytest

from harness.load import Load
from support.wait import wait_until

SERVICES = ("handle", "log", "listener", "caddy", "rabbitmq", "mongo")
BACK_S = 180
CLIENTS = 4
LOGS_BETWEEN = 100  # after each kill, before the next one


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_container_may_be_killed_and_nothing_is_lost(swarm, capsys):
    with Load(swarm, CLIENTS) as load:
        for service in SERVICES:
            killed = swarm.container(service)
            swarm.daemon.do("kill", killed)
            load.kills[service] = 1
            wait_until(
                lambda s=service, k=killed: swarm.containers(s) not in ([], [k]), BACK_S, f"another task of {service}"
            )
            swarm.wait_settled(service)
            wait_until(swarm.healthy, BACK_S, f"the system is ready after {service} was killed")
            load.wait_more(LOGS_BETWEEN)
    swarm.read_addresses()
    load.count(capsys)
