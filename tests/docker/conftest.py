"""Fixtures: the daemon (one for the whole run) and the images on it."""

import pytest

from harness import standins
from harness.daemon import Daemon, Unavailable


@pytest.fixture(scope="session")
def daemon():
    """A Docker daemon of our own, with stand-ins for official images; from here on this process is in its network."""
    own = None
    try:
        own = Daemon(keep=True)
        own.start()
        standins.make_standins(own)
        with own.network.inside():
            yield own
    except Unavailable as e:
        pytest.skip(f"no Docker daemon can run here: {e}")
    finally:
        if own:
            own.remove()
