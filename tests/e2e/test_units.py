"""The unit tests that want a real store: `make check` skips them, here they run against the stack's."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.broker import Broker
from support.stack import BUILD, TOP

pytestmark = [pytest.mark.native, pytest.mark.timeout(180)]

SOURCES = Path(__file__).resolve().parents[1] / "unit"


def source_of(program: Path) -> str:
    source = SOURCES / f"{program.name}.c"
    return source.read_text() if source.exists() else ""


def wanting(program: Path) -> bool:
    return re.search(r"\bTEST_(DSN|MONGO_URL|RABBITMQ_URL)\b", source_of(program)) is not None


PROGRAMS = sorted(p for p in (BUILD / "tests").glob("*") if os.access(p, os.X_OK) and wanting(p))


@pytest.fixture(scope="module")
def rabbitmq():
    """A RabbitMQ without the stack's listener, which would take what the tests look for."""
    broker = Broker()
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_unit_tests_pass_with_services(native, program, request):
    environment = os.environ | {
        "TEST_DSN": native.dsn,
        "TEST_MONGO_URL": native.mongo_url,
    }
    if "TEST_RABBITMQ_URL" in source_of(program):
        environment["TEST_RABBITMQ_URL"] = request.getfixturevalue("rabbitmq").url
    done = subprocess.run([program], env=environment, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "SKIPPED" not in output, output
