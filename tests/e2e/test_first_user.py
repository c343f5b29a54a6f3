"""The first user of a system without a seed, and the development user, who is let in with one only."""

import json
import os
import shlex
import subprocess
import uuid

import psycopg
import pytest

pytestmark = pytest.mark.native

ADMIN = {"ADMIN_EMAIL": "me@example.com", "ADMIN_PASSWORD": "of-my-own-2026"}
SEEDED = {"email": "admin@example.com", "password": "verysecret"}
COMMAND_S = 60


@pytest.fixture
def system(native):
    """Settings of a system with a database of its own, on the stack's servers, and without a seed."""
    words = shlex.split((native.run_dir / "env").read_text(), comments=True)
    settings = {"PATH": "/usr/bin:/bin"} | dict(word.split("=", 1) for word in words)
    settings.pop("SEED")
    name = f"first_user_{uuid.uuid4().hex[:8]}"
    settings["DSN"] = native.dsn.replace("/users?", f"/{name}?")
    assert name in settings["DSN"]
    yield settings
    with psycopg.connect(native.dsn, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


def migrate(native, system, **more: str):
    return subprocess.run(
        [native.run_dir / "app/bin/flexi", "migrate"], env=system | more, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=COMMAND_S, cwd="/", **native.owner,
    )  # fmt: skip


def log_in(native, system, login: dict, **more: str) -> tuple[int, str]:
    """The handler authenticate, as a CGI program: status and message."""
    body = json.dumps(login).encode()
    cgi = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"}
    done = subprocess.run(
        [native.bundled("authenticate")], env=system | cgi | more, input=body,
        capture_output=True, timeout=COMMAND_S, cwd="/", **native.owner,
    )  # fmt: skip
    head, content = done.stdout.split(b"\r\n\r\n", 1)
    status = next(line for line in head.decode().splitlines() if line.startswith("Status: "))
    return int(status.split()[1]), json.loads(content)["message"]


def test_the_first_user_is_made_once_and_comes_in(native, system):
    made = migrate(native, system, **ADMIN)
    assert made.returncode == 0, made.stderr
    assert "created user me@example.com\n" in made.stdout
    again = migrate(native, system, ADMIN_EMAIL=ADMIN["ADMIN_EMAIL"])
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")
    login = {"email": "ME@example.com", "password": ADMIN["ADMIN_PASSWORD"]}
    assert log_in(native, system, login)[0] == 202
    assert log_in(native, system, login | {"password": "of-my-own-2025"}) == (401, "invalid credentials")


def test_the_password_may_come_from_a_file(native, system, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(ADMIN["ADMIN_PASSWORD"] + "\n")
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)
    made = migrate(native, system, ADMIN_EMAIL="me@example.com", ADMIN_PASSWORD_FILE=str(secret))
    assert made.returncode == 0, made.stderr
    assert "created user" in made.stdout and ADMIN["ADMIN_PASSWORD"] not in made.stdout + made.stderr


@pytest.mark.parametrize("password", ["verysecret", "guest", "password", "Password1234", "guestguestguest", "x" * 73])
def test_a_password_that_anybody_tries_is_refused_before_anything_is_made(native, system, password):
    refused = migrate(native, system, ADMIN_EMAIL="me@example.com", ADMIN_PASSWORD=password)
    assert refused.returncode == 1 and refused.stdout == ""
    assert refused.stderr.startswith("flexi migrate: ADMIN_PASSWORD: ")
    with psycopg.connect(native.dsn) as connection:
        name = system["DSN"].split("/")[3].split("?")[0]
        assert connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None


def test_the_development_user_comes_in_with_a_seed_only(native, system):
    assert migrate(native, system, SEED="dev").returncode == 0
    assert log_in(native, system, SEEDED, SEED="dev")[0] == 202
    assert log_in(native, system, SEEDED) == (401, "invalid credentials")
    refused = migrate(native, system)
    assert refused.returncode == 1
    assert "users: admin@example.com has the development password" in refused.stderr
