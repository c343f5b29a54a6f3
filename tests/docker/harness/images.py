"""The project's own images, built as `make docker-build` does."""

import re
import shlex
import subprocess
from pathlib import Path

from .daemon import DOCKER, TOP, Daemon
from .standins import build_arguments

BUILD_S = 1500
DOCKERFILE = (TOP / "Dockerfile").read_text()
DEBIAN, CADDY = (re.search(rf"^ARG {name}=(\S+)", DOCKERFILE, re.MULTILINE)[1] for name in ("DEBIAN", "CADDY"))
VERSION = re.search(r"^VERSION := (\S+)", (TOP / "Makefile").read_text(), re.MULTILINE)[1]


def table() -> list[list[str]]:
    """Name, target and, of handlers, place."""
    lines = (TOP / "deploy/docker/images").read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def names() -> list[str]:
    return [row[0] for row in table()]


def image(name: str, tag: str = VERSION) -> str:
    return f"flexiconnect/{name}:{tag}"


def client(daemon: Daemon) -> Path:
    """A docker that builds with what a build needs here."""
    script = daemon.run / "docker"
    arguments = shlex.join(build_arguments(daemon))
    script.write_text(
        f'#!/bin/sh\n[ "$1" = build ] || exec {DOCKER} "$@"\nshift\nexec {DOCKER} build {arguments} "$@"\n'
    )
    script.chmod(0o755)
    return script


def build(daemon: Daemon, *some: str, tag: str = VERSION, top: Path = TOP) -> str:
    """Builds all images, or some; what the script printed."""
    done = subprocess.run(
        [top / "deploy/docker/build", *some],
        env=daemon.environment | {"DOCKER": str(client(daemon)), "TAG": tag, "REGISTRY": ""},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_S, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout
