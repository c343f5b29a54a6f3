"""Waiting for a condition: never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05


def wait_until(condition: Callable[[], T], seconds: float = 10, what: str = "") -> T:
    """Calls condition until what it returns is true, and returns that; fails after the deadline.

    A condition may raise AssertionError for "not yet": its last one is shown when time is up.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except AssertionError as e:
            last = e
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition.__qualname__}; last: {last!r}")
        time.sleep(POLL_S)
