"""`docker compose`, of the version that compose2/go.mod pins: the machine's own may be none, or another."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from .daemon import HERE, Daemon, cache
from .standins import go

MODULE = HERE.parent / "compose2"
PACKAGE = "github.com/docker/compose/v2"
BUILD_S = 1500


def version() -> str:
    lines = (MODULE / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.strip().startswith(PACKAGE + " "))


class Compose2:
    """Built beside what else is made, because it takes a minute or two; the first time only."""

    def __init__(self):
        sum_of = hashlib.sha256((MODULE / "go.sum").read_bytes()).hexdigest()[:12]
        self.program = cache() / f"docker-compose-{version()}-{sum_of}"
        self.trouble = ""
        self.thread = threading.Thread(target=self._build, daemon=True)
        self.thread.start()

    def _build(self) -> None:
        if self.program.exists():
            return
        cache().mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="compose2.", dir=cache()))
        new = scratch / "docker-compose"
        environment = os.environ | {
            "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -modcacherw", "GOWORK": "off", "CGO_ENABLED": "0",
            "GOCACHE": str(scratch / "build"), "GOMODCACHE": str(scratch / "modules"),
        }  # fmt: skip
        flags = f"-s -w -X {PACKAGE}/internal.Version={version()}"
        try:
            done = subprocess.run(
                ["setpriv", "--pdeathsig", "KILL", go(), "build", "-trimpath", "-ldflags", flags, "-o", new,
                 f"{PACKAGE}/cmd"],
                cwd=MODULE, env=environment, capture_output=True, text=True, timeout=BUILD_S,
            )  # fmt: skip
            if done.returncode == 0:
                new.replace(self.program)
            else:
                self.trouble = done.stderr[-300:]
        except Exception as e:  # this thread has nobody to tell but the one who waits for it
            self.trouble = str(e)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def plug_in(self, daemon: Daemon) -> tuple[str, ...]:
        """Waits until it is there, and gives it to the daemon's client; the command."""
        self.thread.join()
        assert not self.trouble, f"docker compose {version()} could not be built: {self.trouble}"
        plugins = daemon.run / "client/cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.program, plugins / "docker-compose")
        return ("docker", "compose")
