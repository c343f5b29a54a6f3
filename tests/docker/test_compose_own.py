"""What people do with compose.yaml next, as docs/compose.md says it: a handler of their own, more of one."""

import re

import httpx
import pytest

from harness import images
from harness.daemon import TOP
from support.wait import wait_until

LOG = {"action": "log", "log": {"name": "scaled", "data": "hello"}}
BROKER = "/usr/lib/flexiconnect/handlers/public/broker"


def documented(tmp_path, program) -> str:
    """The second of the page's two services, with a program that is there."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (TOP / "docs/compose.md").read_text(), re.MULTILINE | re.DOTALL)
    text = next(block for block in blocks if "volumes:" in block)
    assert "./build/examples/hello:" in text
    override = tmp_path / "compose.override.yaml"
    override.write_text(text.replace("./build/examples/hello:", f"{program}:"))
    return str(override)


@pytest.fixture
def program(daemon, built, tmp_path):
    """A handler's program, out of its image."""
    container = daemon.do("create", images.image("broker"))
    daemon.do("cp", f"{container}:{BROKER}", tmp_path / "hello")
    daemon.do("rm", container)
    return tmp_path / "hello"


@pytest.mark.slow
def test_a_program_of_ones_own_is_mounted_and_answers(compose, program, tmp_path):
    override = documented(tmp_path, program)
    assert httpx.post(f"{compose.public}/hello", timeout=40).status_code == 404
    compose.do("-f", override, "up", "-d", "--no-build", "--no-deps", "hello")
    try:
        answer = wait_until(lambda: answered(compose, "hello"), 30, "the handler hello answers")
        assert answer.status_code == 200 and answer.json()["message"] == "Hit the broker"
    finally:
        compose.do("-f", override, "rm", "-s", "-f", "hello")
    wait_until(lambda: not answered(compose, "hello"), 30, "it is gone")


def answered(compose, name: str) -> httpx.Response | None:
    answer = httpx.post(f"{compose.public}/{name}", timeout=40)
    return answer if answer.headers.get("x-handler") == name else None


@pytest.mark.slow
def test_more_containers_of_a_handler_share_the_requests(compose):
    def scale(count: int) -> None:
        compose.do("up", "-d", "--no-build", "--no-deps", "--no-recreate", "--scale", f"handle={count}", "handle")

    labels = ("--filter", f"label=com.docker.compose.project={compose.project}",
              "--filter", "label=com.docker.compose.service=handle")  # fmt: skip
    scale(3)
    try:
        wait_until(lambda: len(compose.daemon.do("ps", "-q", *labels, "--filter", "health=healthy").split()) == 3, 60)
        with httpx.Client(base_url=compose.public, timeout=40) as http:
            assert {http.post("/handle", json=LOG).status_code for _ in range(60)} == {202}
        ids = compose.daemon.do("ps", "-q", *labels).split()
        asked = {i: '"status":202' in compose.daemon.do("logs", i) for i in ids}
        assert all(asked.values()), asked
    finally:
        scale(1)
