"""The stand-ins are as strict as the official images where the stacks depend on it."""

import pytest

from harness.standins import wanted


@pytest.fixture(scope="module")
def image() -> dict[str, str]:
    return {name: image for image, name in wanted().items()}


def test_every_image_of_others_that_a_stack_names_is_stood_in_for(image):
    assert set(image) == {"postgres", "mongo", "rabbitmq", "mailpit", "caddy"}


@pytest.mark.parametrize("setting", ["RABBITMQ_DEFAULT_PASS_FILE", "RABBITMQ_DEFAULT_USER_FILE"])
def test_rabbitmq_refuses_settings_that_were_taken_away(daemon, image, setting):
    done = daemon.call("run", "--rm", "-e", f"{setting}=/run/x", image["rabbitmq"])
    assert done.returncode == 1 and f"{setting} is set but deprecated" in done.stderr


def test_postgres_refuses_to_make_a_database_without_a_password(daemon, image):
    assert daemon.call("run", "--rm", image["postgres"]).returncode == 1


def test_mongo_refuses_a_user_without_a_password(daemon, image):
    assert daemon.call("run", "--rm", "-e", "MONGO_INITDB_ROOT_USERNAME=x", image["mongo"]).returncode == 1


def test_a_password_file_must_be_readable_for_the_user_that_mongo_runs_as(daemon, image, tmp_path):
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o600)
    done = daemon.call(
        "run", "--rm", "-v", f"{tmp_path}:/secret:ro", "-e", "MONGO_INITDB_ROOT_USERNAME=x",
        "-e", "MONGO_INITDB_ROOT_PASSWORD_FILE=/secret/password", image["mongo"],
    )  # fmt: skip
    assert done.returncode == 1 and "Permission denied" in done.stderr


def test_caddy_cannot_be_started_without_its_capability(daemon, image):
    """As the official program: it carries a file capability, and Linux refuses it where that one is dropped."""
    assert daemon.call("run", "--rm", image["caddy"], "caddy", "version").returncode == 0
    assert daemon.call("run", "--rm", "--cap-drop", "ALL", image["caddy"], "caddy", "version").returncode != 0
