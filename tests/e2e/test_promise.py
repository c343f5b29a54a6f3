"""No log that was answered 202 is lost or doubled, whatever is killed or frozen meanwhile."""

import os
import random

import pytest

from support import promise
from support.stack import NativeStack

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LOGS = 5000
CLIENTS = 16


@pytest.fixture(scope="module")
def own_stack():
    stack = NativeStack("promise")
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.mark.timeout(900)
def test_every_202_is_stored_once_or_dead_lettered_under_kills(own_stack, capsys):
    seed = int(os.environ.get("PROMISE_SEED") or random.SystemRandom().randrange(10**6))
    result = promise.run(own_stack, seed, CLIENTS, logs=LOGS)
    with capsys.disabled():
        print(f"\n{result}")
    assert result.accepted > LOGS / 3, result  # a log without an id is sent once, and may meet what is down
    assert result.lost == [], result
    assert result.twice == [], result
    assert result.stored + result.dead >= result.accepted
