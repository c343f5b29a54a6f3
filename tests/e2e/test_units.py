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
    """Its text, and that of the headers that lie beside it."""
    source = SOURCES / f"{program.name}.c"
    text = source.read_text() if source.exists() else ""
    headers = [SOURCES / h for h in re.findall(r'#include "([a-z_]+\.h)"', text)]
    return text + "".join(h.read_text() for h in headers if h.exists())


def wanting(program: Path) -> bool:
    return re.search(r"\bTEST_(DSN|MONGO_URL|RABBITMQ_URL)\b", source_of(program)) is not None


# With SANITIZED=1 those of `make check-sanitized` too, just built.
BUILDS = [BUILD, TOP / "build-san"] if os.environ.get("SANITIZED") else [BUILD]
PROGRAMS = sorted(p for b in BUILDS for p in (b / "tests").glob("*") if os.access(p, os.X_OK) and wanting(p))


@pytest.fixture(scope="module")
def rabbitmq():
    """A RabbitMQ without the stack's listener, which would take what the tests look for."""
    broker = Broker()
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.parts[-3]}-{p.name}")
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
