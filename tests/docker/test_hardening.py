"""What each container of ours may do, as the kernel and Docker see it."""

from pathlib import Path

import pytest

from harness.compose import OURS
from support.wait import wait_until
from support.web import elapsed

USER = 10001
GRACE_S = 45


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def processes(compose, service: str) -> list[int]:
    """The processes in a container, by their numbers outside."""
    lines = compose.daemon.do("top", compose.id(service), "-o", "pid").splitlines()
    return [int(line) for line in lines[1:]]


@pytest.fixture(params=OURS)
def service(request) -> str:
    return request.param


def test_nothing_in_it_runs_as_root_or_has_a_capability(compose, service):
    found = processes(compose, service)
    assert found
    for pid in found:
        s = status(pid)
        assert set(s["Uid"].split()) == {str(USER)} == set(s["Gid"].split()), service
        assert {int(s[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}, service
        assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", service


def test_it_can_write_into_its_run_directory_only(compose, service):
    container = compose.inspect(service)
    assert container["HostConfig"]["ReadonlyRootfs"]
    tried = compose.daemon.call(
        "exec", container["Id"], "sh", "-c",
        "for d in / /etc /tmp /usr/lib/flexiconnect /var /run /home; do (: >$d/x) 2>/dev/null && echo $d; done;"
        " : >/run/flexiconnect/x && rm /run/flexiconnect/x",
    )  # fmt: skip
    assert (tried.returncode, tried.stdout) == (0, ""), tried.stdout + tried.stderr


def test_its_memory_and_its_processes_are_bounded(compose, service):
    limits = compose.inspect(service)["HostConfig"]
    assert 0 < limits["Memory"] <= 256 << 20
    assert 0 < limits["PidsLimit"] <= 128


def test_its_health_is_asked_of_the_program(compose, service):
    assert compose.inspect(service)["Config"]["Healthcheck"]["Test"][1].endswith("probe")
    assert compose.health(service) == "healthy"


@pytest.mark.slow
def test_each_ends_by_itself_when_it_is_told_to(compose):
    ids = {compose.id(service): service for service in OURS}
    seconds, _ = elapsed(lambda: compose.daemon.do("stop", "-t", str(GRACE_S), *ids))
    ended = {service: compose.inspect(service)["State"]["ExitCode"] for service in OURS}
    compose.daemon.do("start", *ids)
    for service in OURS:
        compose.wait_healthy(service)
    wait_until(compose.healthy, 60, "the system is ready")
    assert set(ended.values()) == {0}, ended
    assert seconds < GRACE_S - 10
