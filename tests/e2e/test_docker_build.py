"""make docker-build and docker-push, with a docker that only writes down what it is called with."""

import os
import subprocess

import pytest

from support.stack import TOP

BUILD = TOP / "deploy/docker/build"
FAKE = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
*' inspect '*debian:*) echo 75000000 ;;
*' inspect '*caddy:2*) echo 50000000 ;;
*' inspect '*"$HEAVY"*) echo 125100001 ;;
*' inspect '*) echo 90000000 ;;
'build '*"$BROKEN"*) echo 'it cannot be compiled' && exit 1 ;;
esac
"""
IMAGES = [line.split() for line in (TOP / "deploy/docker/images").read_text().splitlines() if line and line[0] != "#"]


@pytest.fixture
def call(tmp_path):
    (tmp_path / "docker").write_text(FAKE)
    (tmp_path / "docker").chmod(0o755)

    def call(*words: str, **settings: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        kept = {k: v for k, v in os.environ.items() if k not in ("TAG", "REGISTRY")}
        calls = tmp_path / "calls"
        calls.write_text("")
        done = subprocess.run(
            [BUILD, *words], capture_output=True, text=True, timeout=60,
            env=kept | {"DOCKER": str(tmp_path / "docker"), "CALLS": str(calls), "HEAVY": "none", "BROKEN": "none"}
            | settings,
        )  # fmt: skip
        return done, calls.read_text().splitlines()

    return call


def test_every_handler_and_daemon_has_an_image():
    handlers = {p.stem: p.parent.name for p in (TOP / "handlers").glob("*/*.c")}
    assert {row[0]: row[2] for row in IMAGES if row[1] == "handler"} == handlers | {"handler": "public"}
    targets = {line.split()[-1] for line in (TOP / "Dockerfile").read_text().splitlines() if line.startswith("FROM ")}
    assert {row[1] for row in IMAGES} <= targets


def test_all_are_built_and_their_sizes_printed(call):
    done, calls = call(TAG="1.2")
    assert done.returncode == 0, done.stderr
    builds = [c for c in calls if c.startswith("build ")]
    assert len(builds) == len(IMAGES)
    expected = (
        f"build --target handler --build-arg NAME=log --build-arg PLACE=internal --tag flexiconnect/log:1.2 {TOP}"
    )
    assert expected in builds
    assert f"build --target listener --tag flexiconnect/listener:1.2 {TOP}" in builds
    assert done.stdout.count(" MB over debian:bookworm-slim") == len(IMAGES) - 1
    assert "40.0 MB over caddy:" in done.stdout


def test_some_are_built_when_they_are_named(call):
    done, calls = call("log", "send", REGISTRY="registry.example.org:5000/")
    assert done.returncode == 0, done.stderr
    assert [c.split()[-2] for c in calls if c.startswith("build ")] == [
        "registry.example.org:5000/flexiconnect/log:latest", "registry.example.org:5000/flexiconnect/send:latest",
    ]  # fmt: skip


def test_one_that_grew_too_large_is_named(call):
    done, _ = call(HEAVY="flexiconnect/send")
    assert done.returncode == 1
    assert done.stderr == "over 50 MB more than the base: send\n"


def test_a_build_that_fails_says_what_was_wrong(call):
    done, _ = call(BROKEN="NAME=log ")
    assert done.returncode == 1
    assert done.stderr == "it cannot be compiled\nflexiconnect/log:latest could not be built: see above\n"


def test_a_name_that_is_none_is_refused(call):
    done, calls = call("log", "lo")
    assert (done.returncode, calls) == (1, [])
    assert "there is no image lo" in done.stderr


def test_what_is_pushed_goes_to_the_registry_and_nowhere_else(call):
    done, calls = call("--push", "log", REGISTRY="registry.example.org", TAG="1.2")
    assert (done.returncode, calls) == (0, ["push registry.example.org/flexiconnect/log:1.2"])
    done, calls = call("--push")
    assert (done.returncode, calls) == (1, [])
    assert "REGISTRY" in done.stderr
