"""flexi dead, against a real RabbitMQ and a listener that puts messages aside."""

import json
import subprocess
import uuid

import pytest

from support.broker import Broker
from support.listening import Answer, Listener, Site
from support.stack import BUILD
from support.wait import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.native]


@pytest.fixture(scope="module")
def broker():
    b = Broker()
    try:
        b.start()
        yield b
    finally:
        b.remove()


class Feeding:
    """A queue, the listener that feeds its messages into a site, and flexi with the same settings."""

    def __init__(self, broker: Broker):
        self.queue = f"q{uuid.uuid4().hex[:8]}"
        self.dead_queue = f"{self.queue}.dead"
        self.site = Site()
        self.refuse("it cannot be")
        trigger = f"[{self.queue}]\nkeys = {self.queue}.#\nhandler = eat\n"
        self.listener = Listener(broker.url, self.site.url, trigger)
        self.listener.start()
        self.client = broker.client()

    def refuse(self, reason: str):
        self.site.answer = lambda call: Answer(
            body={"failures": [{"id": i, "permanent": True, "reason": reason} for i in call.ids]}
        )

    def accept(self):
        self.site.calls.clear()
        self.site.answer = lambda call: Answer()

    def dead(self, *payloads, **options) -> list[str]:
        """Publishes these, and waits until they are put aside."""
        before = self.client.count(self.dead_queue)
        ids = [self.client.publish(f"{self.queue}.k", p, **options) for p in payloads]
        wait_until(lambda: self.client.count(self.dead_queue) == before + len(ids), 20, "they are put aside")
        return ids

    def flexi(self, *words: str, status: int = 0, **settings: str) -> tuple[list[dict], str]:
        """What `flexi dead` prints: its lines of JSON, and what it says."""
        done = subprocess.run(
            [BUILD / "bin/flexi", "dead", *words],
            env=self.listener.env | settings, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return [
            json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
        ], done.stdout + done.stderr

    def remove(self):
        self.listener.remove()
        self.site.close()


@pytest.fixture
def feeding(broker):
    f = Feeding(broker)
    with f.client:
        yield f
    f.remove()


def test_it_counts_what_waits_and_what_is_dead(feeding):
    feeding.dead("a", "b")
    _, said = feeding.flexi()
    assert said.splitlines()[0].split() == ["QUEUE", "WAITING", "DEAD"]
    assert said.splitlines()[1].split() == [feeding.queue, "0", "2"]


def test_looking_shows_each_letter_and_changes_nothing(feeding):
    first, second = feeding.dead({"name": "é"}, "x" * 200_000)
    for _ in range(2):
        letters, _ = feeding.flexi(feeding.queue)
        assert sorted(one["id"] for one in letters) == sorted([first, second])
        one = next(one for one in letters if one["id"] == first)
        assert one["reason"] == "it cannot be" and one["handler"] == "eat" and one["attempts"] == 1
        assert one["key"] == f"{feeding.queue}.k" and one["time"].startswith("20")
        assert json.loads(one["body"]) == {"name": "é"}
        assert next(one for one in letters if one["id"] == second)["bytes"] == 200_002
    wait_until(lambda: feeding.client.count(feeding.dead_queue) == 2, 10, "they are back")


def test_a_letter_that_is_sent_again_starts_anew(feeding):
    mine, other = feeding.dead("mine", "other", headers={"x-request-id": "abc-123"})
    feeding.accept()
    letters, said = feeding.flexi(feeding.queue, "--again", mine)
    assert [one["id"] for one in letters] == [mine] and "1 sent again" in said
    wait_until(lambda: feeding.site.items(), 10, "it is delivered")
    assert feeding.site.items() == [{"id": mine, "key": f"{feeding.queue}.k", "attempt": 1, "payload": "mine"}]
    assert feeding.site.calls[0].headers["X-Request-Id"] == "abc-123"
    letters, _ = feeding.flexi(feeding.queue)
    assert [one["id"] for one in letters] == [other]


def test_all_are_sent_again_once(feeding):
    ids = feeding.dead(*range(30))
    feeding.accept()
    feeding.flexi(feeding.queue, "--again", "--all")
    wait_until(lambda: len(feeding.site.ids()) == 30, 10, "they are delivered")
    assert sorted(feeding.site.ids()) == sorted(ids)
    assert feeding.flexi(feeding.queue)[0] == []


def test_what_fails_again_is_dead_again_and_seen_once(feeding):
    ids = feeding.dead(*range(5))
    feeding.refuse("still not")
    letters, _ = feeding.flexi(feeding.queue, "--again", "--all")
    assert len(letters) == 5
    wait_until(lambda: feeding.client.count(feeding.dead_queue) == 5, 20, "they are put aside again")
    letters, _ = feeding.flexi(feeding.queue)
    assert sorted(one["id"] for one in letters) == sorted(ids)
    assert {one["reason"] for one in letters} == {"still not"} and {one["attempts"] for one in letters} == {1}


def test_a_dropped_letter_is_shown_and_gone(feeding):
    mine, other = feeding.dead("mine", "other")
    letters, said = feeding.flexi(feeding.queue, "--drop", mine)
    assert [one["id"] for one in letters] == [mine] and "1 dropped" in said
    assert [one["id"] for one in feeding.flexi(feeding.queue)[0]] == [other]


def test_a_body_that_is_no_text_is_shown_by_its_size_and_sent_again_as_it_was(feeding):
    (mine,) = feeding.dead(b'"\xff\xfe"')
    letters, _ = feeding.flexi(feeding.queue)
    assert letters[0]["bytes"] == 4 and "body" not in letters[0]
    feeding.flexi(feeding.queue, "--again", mine)
    wait_until(lambda: feeding.client.count(feeding.dead_queue) == 1, 20, "it is put aside again")
    assert feeding.client.get(feeding.dead_queue)[1] == b'"\xff\xfe"'


def test_a_letter_whose_queue_is_gone_stays(feeding):
    (mine,) = feeding.dead("mine")
    feeding.listener.stop()
    feeding.client.channel.queue_delete(feeding.queue)
    _, said = feeding.flexi(feeding.queue, "--again", mine, status=1)
    assert "RabbitMQ" in said and "sent again" not in said
    wait_until(lambda: feeding.client.count(feeding.dead_queue) == 1, 10, "it is still there")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nothing-there"], 1, "there is no queue nothing-there.dead"),
        (["--all"], 100, "not a queue"),
        (["q", "--again"], 100, "which ones?"),
        (["q", "--drop", "--all"], 100, "not an id"),
        (["q", "--burn", "x"], 100, "not an option"),
        (["q" * 200], 100, "not a queue"),
    ],
)
def test_what_cannot_be_done_is_said(feeding, words, status, said):
    assert said in feeding.flexi(*words, status=status)[1]


def test_an_id_that_is_not_there_is_said(feeding):
    feeding.dead("other")
    _, said = feeding.flexi(feeding.queue, "--again", "0" * 24, status=1)
    assert "0 sent again" in said


def test_without_rabbitmq_it_says_so_in_time(feeding):
    said = feeding.flexi(status=1, RABBITMQ_URL="amqp://x:y@127.0.0.1:1/")[1]
    assert "RabbitMQ cannot be reached" in said
