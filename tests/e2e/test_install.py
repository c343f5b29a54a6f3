"""What `make install` lays down and `make uninstall` takes away, seen without a running systemd."""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.stack import TOP

pytestmark = pytest.mark.native

UNITS = ("flexiconnect", "flexiconnect-migrate", "flexiconnect-rpc-logd", "flexiconnect-grpc-logd")
MOST_EXPOSURE = 2.5
COMMAND_S = 60


def run(*command: str | Path, check: bool = True, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S, **more)
    if check:
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def make(*arguments: str, check: bool = True):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    return run("make", "--no-print-directory", "-C", TOP, *arguments, check=check, env=environment)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """As a package is made: everything below DESTDIR."""
    directory = tmp_path_factory.mktemp("root")
    make("install", f"DESTDIR={directory}")
    return directory


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> Path:
    """Installed for real, below a prefix of its own: what one file says of another is true."""
    directory = tmp_path_factory.mktemp("prefix") / "usr"
    make("install", f"PREFIX={directory}", f"SYSCONFDIR={directory.parent}/etc")
    return directory


def files_of(directory: Path) -> set[str]:
    return {str(p.relative_to(directory)) for p in directory.rglob("*") if not p.is_dir()}


def test_nothing_installed_names_the_tree_or_destdir(root):
    left = run(
        "grep", "-rlE", "--exclude-dir=doc", "--binary-files=without-match", f"{TOP}|{root}|@[A-Z]+@", root, check=False
    )
    assert left.stdout == ""


def test_every_file_is_installed_where_it_belongs(root):
    files = files_of(root)
    app = "usr/local/lib/flexiconnect"
    for name in ("bin/pool", "bin/serve", "bin/watch", "bin/listener", "bin/caddy", "handlers/public/handle.conf",
                 "handlers/internal/log", "native/tree", "native/services/fdholder/rules/uid/self/allow", "Caddyfile",
                 "triggers.conf", "web/index.html", "templates/mail.html", "sql/001_users.sql"):  # fmt: skip
        assert f"{app}/{name}" in files, name
    assert {f for f in files if not f.startswith(("usr/local/", "etc/flexiconnect/"))} == set()
    for unit in UNITS:
        assert f"usr/local/lib/systemd/system/{unit}.service" in files
    assert not [f for f in files if f.endswith((".o", ".d", ".new"))]


def test_what_is_installed_can_be_read_by_all_but_settings(root):
    for path in root.rglob("*"):
        mode = path.stat().st_mode
        if path.name == "flexiconnect.env" and path.parent.name == "flexiconnect" and "etc" in path.parts:
            assert mode & 0o777 == 0o640
        elif path.name == "secrets":
            assert mode & 0o777 == 0o700
        else:
            assert mode & 0o022 == 0 and mode & 0o444 == 0o444, path
        assert mode & 0o6000 == 0, path


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_little_exposed(root, unit):
    done = run(
        "systemd-analyze", "security", "--no-pager", "--offline=true", f"--root={root}",
        f"--threshold={MOST_EXPOSURE * 10:g}", f"{unit}.service",
    )  # fmt: skip
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure and float(exposure[1]) <= MOST_EXPOSURE, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_a_unit(tmp_path, unit):
    """Installed for real, below a prefix of its own, so that what the units call is there."""
    make("install", f"PREFIX={tmp_path}/usr", f"SYSCONFDIR={tmp_path}/etc")
    done = run(
        "systemd-analyze", "verify", "--man=no", tmp_path / f"usr/lib/systemd/system/{unit}.service", check=False
    )
    assert done.stderr == "" and done.returncode == 0


def test_the_user_and_the_directories_are_made(root):
    if os.geteuid() != 0:
        pytest.skip("only root makes users")
    run("systemd-sysusers", f"--root={root}", "flexiconnect.conf")
    assert re.search(r"^flexiconnect:.*:/usr/sbin/nologin$", (root / "etc/passwd").read_text(), re.MULTILINE)
    run("systemd-tmpfiles", f"--root={root}", "--create", "flexiconnect.conf")
    for place in ("public", "internal", "queue"):
        assert (root / "var/lib/flexiconnect/handlers" / place).stat().st_uid == 0
    group = re.search(r"^flexiconnect:[^:]*:(\d+):", (root / "etc/group").read_text(), re.MULTILINE)
    assert group and (root / "etc/flexiconnect/flexiconnect.env").stat().st_gid == int(group[1])


@pytest.mark.parametrize("example", ["hello", "greet", "audit"])
def test_a_handler_is_compiled_outside_the_tree(prefix, tmp_path, example):
    environment = {"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    flags = run("pkg-config", "--cflags", "--libs", "flexiconnect", env=environment).stdout.split()
    source = tmp_path / "mine.c"
    source.write_bytes((TOP / f"docs/examples/{example}.c").read_bytes())
    run("cc", "-Wall", "-Werror", "-o", tmp_path / "mine", source, *flags, cwd=tmp_path, env=environment)
    answer = run(tmp_path / "mine", cwd="/", env=environment).stdout
    assert "Status: " in answer
    needed = run("readelf", "-d", tmp_path / "mine").stdout
    assert "libfcgi" in needed and "librabbitmq" not in needed and "libmongoc" not in needed, "what it does not use"


def test_the_version_is_the_projects(root):
    version = re.search(r"^VERSION := (\S+)", (TOP / "Makefile").read_text(), re.MULTILINE)
    assert version and f"\nVersion: {version[1]}\n" in (root / "usr/local/lib/pkgconfig/flexiconnect.pc").read_text()


def test_caddy_may_be_another_one(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "CADDY=/bin/true")
    assert os.readlink(tmp_path / "usr/local/lib/flexiconnect/bin/caddy") == "/bin/true"
    refused = make("install", f"DESTDIR={tmp_path}", "CADDY=/no/such/caddy", check=False)
    assert refused.returncode != 0 and "CADDY: /no/such/caddy is no program" in refused.stderr


def test_installing_again_keeps_settings_and_takes_away_what_is_gone(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    settings = tmp_path / "etc/flexiconnect/flexiconnect.env"
    settings.write_text("DSN=mine\n")
    app = tmp_path / "usr/local/lib/flexiconnect"
    (app / "web/old.js").write_text("of another version")
    record = app / "installed"
    record.write_text("".join(sorted([*record.open(), "/usr/local/lib/flexiconnect/web/old.js\n"])))
    make("install", f"DESTDIR={tmp_path}")
    assert settings.read_text() == "DSN=mine\n"
    assert not (app / "web/old.js").exists()


def test_uninstalling_takes_away_what_was_installed_and_no_more(tmp_path):
    mine = tmp_path / "usr/local/lib/pkgconfig/mine.pc"
    mine.parent.mkdir(parents=True)
    mine.touch()
    make("install", f"DESTDIR={tmp_path}")
    data = tmp_path / "var/lib/flexiconnect/handlers/public/mine"
    data.parent.mkdir(parents=True)
    data.touch()
    make("uninstall", f"DESTDIR={tmp_path}")
    assert files_of(tmp_path) == {str(mine.relative_to(tmp_path)), str(data.relative_to(tmp_path))}
    assert not (tmp_path / "etc/flexiconnect").exists(), "nothing in it was edited"
    again = make("uninstall", f"DESTDIR={tmp_path}", check=False)
    assert again.returncode != 0 and "nothing is installed" in again.stderr


def test_uninstalling_leaves_edited_settings(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    conf = tmp_path / "etc/flexiconnect"
    (conf / "flexiconnect.env").write_text("DSN=mine\n")
    (conf / "secrets/MONGO_URL").write_text("mine\n")
    make("uninstall", f"DESTDIR={tmp_path}")
    assert files_of(tmp_path) == {"etc/flexiconnect/flexiconnect.env", "etc/flexiconnect/secrets/MONGO_URL"}


def test_settings_in_the_example_are_settings(root):
    """Every name in flexiconnect.env is one that a program or the Caddyfile reads."""
    known = set(re.findall(r"^\| ([A-Z_]+) \|", (TOP / "docs/configuration.md").read_text(), re.MULTILINE))
    known |= set(re.findall(r"\{\$([A-Z_]+)", (TOP / "Caddyfile").read_text()))
    text = (root / "etc/flexiconnect/flexiconnect.env").read_text()
    names = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    assert len(names) > 8 and names <= known, names - known


def test_units_agree_on_where_things_are(root):
    """RUN_DIR and its companions are said once, for all of them."""
    said = set()
    for unit in UNITS:
        text = (root / f"usr/local/lib/systemd/system/{unit}.service").read_text()
        said.add(tuple(line for line in text.splitlines() if line.startswith("Environment=")))
        parser = configparser.RawConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(text)
        assert parser["Service"]["User"] == "flexiconnect"
        assert parser["Service"]["NoNewPrivileges"] == "yes"
    assert len(said) == 1
