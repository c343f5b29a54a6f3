"""debian:bookworm-slim without a registry: made by debootstrap once, kept as a tarball."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .daemon import Daemon, Unavailable, cache

IMAGE = "debian:bookworm-slim"
SUITE = "bookworm"
BOOTSTRAP_S = 600

SOURCES = """Types: deb
URIs: {debian}
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: {security}
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
# As in the official image: no manuals (dpkg), no lists of packages that stay (apt).
FILES = {
    "etc/apt/apt.conf.d/docker": 'Acquire::Languages "none";\nAcquire::GzipIndexes "true";\n'
    'Apt::AutoRemove::SuggestsImportant "false";\n'
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n',
    "etc/dpkg/dpkg.cfg.d/docker": "".join(
        f"path-exclude /usr/share/{name}/*\n" for name in ("doc", "groff", "info", "linda", "lintian", "locale", "man")
    )
    + "path-include /usr/share/doc/*/copyright\n",
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
}
EMPTIED = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/info",
           "usr/share/locale", "usr/share/groff", "usr/share/lintian", "tmp", "run")  # fmt: skip


def recipe() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def mirror(archive: str) -> str:
    """Where this machine has the packages of an archive of Debian's from: "debian", "debian-security"."""
    found = ""
    for file in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if file.exists():
            found += file.read_text(errors="replace")
    urls = re.findall(rf"^(?:URIs:|deb\b[^#\n]*?)\s*(https?://\S+/{archive})/?(?=\s)", found, re.MULTILINE)
    if not urls:
        raise Unavailable(f"no mirror of {archive} in /etc/apt")
    return urls[0]


def bootstrap(tarball: Path) -> None:
    if not shutil.which("debootstrap"):
        raise Unavailable("not installed: debootstrap")
    with tempfile.TemporaryDirectory(prefix="base.", dir=tarball.parent) as directory:
        root = Path(directory) / "root"
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, root, mirror("debian")],
            capture_output=True, text=True, timeout=BOOTSTRAP_S, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
        if done.returncode != 0:
            raise Unavailable(f"debootstrap: {done.stdout[-300:]}{done.stderr[-300:]}")
        for path in EMPTIED:
            shutil.rmtree(root / path, ignore_errors=True)
            (root / path).mkdir(mode=0o1777 if path == "tmp" else 0o755, parents=True)
        (root / "tmp").chmod(0o1777)
        for directory in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt", "run/lock"):
            (root / directory).mkdir(parents=True, exist_ok=True)
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        sources = SOURCES.format(debian=mirror("debian"), security=mirror("debian-security"))
        for name, text in (FILES | {"etc/apt/sources.list.d/debian.sources": sources}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        new = tarball.with_suffix(".new")
        subprocess.run(
            ["tar", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-cf", new, "."], check=True, timeout=120
        )
        new.replace(tarball)


def make_base(daemon: Daemon) -> None:
    label = daemon.call("inspect", "-f", '{{index .Config.Labels "recipe"}}', IMAGE)
    if label.returncode == 0 and label.stdout.strip() == recipe():
        return
    tarball = cache() / f"base-{recipe()}.tar"
    cache().mkdir(parents=True, exist_ok=True)
    if not tarball.exists():
        for old in cache().glob("base-*.tar"):
            old.unlink()
        bootstrap(tarball)
    daemon.do("import", "-c", 'CMD ["bash"]', "-c", f"LABEL recipe={recipe()}", tarball, IMAGE)
