"""make docker-down, with a Compose that only says what a real one would."""

import os
import subprocess

import pytest

from support.stack import TOP

KEEPS = "error while removing network: network x id 1 has active endpoints"


@pytest.fixture
def down(tmp_path):
    def down(fails: str = "", left: str = "", asked: int = 0) -> subprocess.CompletedProcess:
        fake = tmp_path / "compose"
        fake.write_text(
            f'#!/bin/sh\n[ "$1" = down ] || {{ echo {left}; exit {asked}; }}\n'
            f"[ -z '{fails}' ] || {{ echo '{fails}' >&2; exit 1; }}\n"
        )
        fake.chmod(0o755)
        return subprocess.run(
            [TOP / "deploy/docker/stack", "down"], capture_output=True, text=True, timeout=60,
            env=os.environ | {"COMPOSE": str(fake)},
        )  # fmt: skip

    return down


def test_a_down_that_removes_all_says_nothing_of_its_own(down):
    done = down()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_network_that_docker_keeps_though_all_containers_are_gone_is_a_warning(down):
    done = down(fails=KEEPS)
    assert done.returncode == 0
    assert done.stderr.startswith(KEEPS)
    assert "Docker keeps a network" in done.stderr


@pytest.mark.parametrize("more", [{"left": "e87e0d"}, {"asked": 1}])
def test_it_fails_where_a_container_is_left_or_none_can_be_asked_for(down, more):
    done = down(fails=KEEPS, **more)
    assert done.returncode == 1
    assert done.stderr.startswith(KEEPS)
    assert done.stderr.endswith("flexiconnect: not all could be removed: see above\n")
