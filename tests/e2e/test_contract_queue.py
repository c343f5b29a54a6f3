"""What the listener sees when it hands a batch to a handler."""

import json

import pytest
from bson import ObjectId

from support.peers import id_of_message_id
from support.web import check_error, check_success

pytestmark = pytest.mark.contract

MAIL = {"from": "me@example.com", "to": "you@there.com", "subject": "s", "message": "m"}


def item(payload, item_id: str | None = None, key: str = "log.INFO", attempt: int = 1) -> dict:
    return {"id": item_id or str(ObjectId()), "key": key, "attempt": attempt, "payload": payload}


def deliver(queue, name: str, items, trigger: str = "logs"):
    content = items if isinstance(items, bytes) else json.dumps(items).encode()
    return queue.post(f"/{name}", content=content, headers={"X-Trigger": trigger})


def failures(answer) -> list[dict]:
    assert 200 <= answer.status_code < 300, answer.text
    assert answer.headers["x-handler"]
    body = answer.json()
    assert body["error"] is False
    for failure in body.get("failures", []):
        assert list(failure) == ["id", "permanent", "reason"]
        assert isinstance(failure["permanent"], bool) and failure["reason"]
    return body.get("failures", [])


def test_a_batch_of_entries_is_stored_under_its_ids(queue, entries, unique):
    items = [item({"name": unique, "data": str(i)}) for i in range(100)]
    answer = deliver(queue, "log", items)
    check_success(answer, 200, b'{"error":false,"message":"100 of 100 done"}', "log")
    assert {str(e["_id"]) for e in entries.named(unique)} == {i["id"] for i in items}


def test_the_level_comes_from_the_key_unless_the_payload_has_one(queue, entries, unique):
    items = [
        item({"name": unique, "data": "from the key"}, key="log.WARNING"),
        item({"name": unique, "data": "its own", "level": "ERROR"}, key="log.WARNING"),
        item({"name": unique, "data": "neither"}, key="other"),
    ]
    assert failures(deliver(queue, "log", items)) == []
    levels = {e["data"]: e["level"] for e in entries.named(unique)}
    assert levels == {"from the key": "WARNING", "its own": "ERROR", "neither": "INFO"}


def test_an_id_of_another_form_becomes_an_object_id(queue, entries, unique):
    message_id = f"6fa459ea-ee8a-3ca4-894e-db77e160355e-{unique}"
    assert failures(deliver(queue, "log", [item({"name": unique, "data": "d"}, message_id)])) == []
    assert entries.by_id(id_of_message_id(message_id))["name"] == unique


def test_a_batch_delivered_again_is_stored_once(queue, entries, unique):
    items = [item({"name": unique, "data": str(i)}) for i in range(5)]
    for attempt in (1, 2):
        assert failures(deliver(queue, "log", [i | {"attempt": attempt} for i in items])) == []
    assert len(entries.named(unique)) == 5


@pytest.mark.parametrize(
    "payload",
    [None, 1, "text", [], {}, {"name": "n"}, {"name": 1, "data": "d"}, {"name": "n", "data": "d", "level": "x"}],
    ids=repr,
)
def test_a_payload_that_is_no_entry_fails_for_good_and_alone(queue, entries, unique, payload):
    bad = item(payload)
    good = [item({"name": unique, "data": "d"}) for _ in range(2)]
    answer = deliver(queue, "log", [good[0], bad, good[1]])
    (failure,) = failures(answer)
    assert (failure["id"], failure["permanent"]) == (bad["id"], True)
    assert answer.json()["message"] == "2 of 3 done"
    assert len(entries.named(unique)) == 2


def test_other_content_under_a_used_id_fails_for_good(queue, entries, unique):
    first = item({"name": unique, "data": "first"})
    assert failures(deliver(queue, "log", [first])) == []
    other = item({"name": unique, "data": "other"}, first["id"])
    (failure,) = failures(deliver(queue, "log", [other, item({"name": unique, "data": "more"})]))
    assert (failure["id"], failure["permanent"]) == (first["id"], True)
    assert sorted(e["data"] for e in entries.named(unique)) == ["first", "more"]


def test_one_content_twice_under_one_message_id_is_one_entry(queue, entries, unique):
    message_id = str(ObjectId())
    items = [item({"name": unique, "data": "d"}, message_id), item({"name": unique, "data": "d"}, message_id.upper())]
    assert failures(deliver(queue, "log", items)) == []
    assert len(entries.named(unique)) == 1


def test_a_mail_from_a_queue_is_sent(queue, inbox, unique):
    answer = deliver(queue, "send", [item(MAIL | {"subject": unique}, key="mail.send")], "mail")
    check_success(answer, 200, b'{"error":false,"message":"1 of 1 done"}', "send")
    inbox.wait_for_subject(unique)


@pytest.mark.parametrize(
    "payload", [None, {}, MAIL | {"to": "nobody"}, MAIL | {"to": 1}, MAIL | {"subject": "a\nBcc: b@c.de"}], ids=repr
)
def test_a_mail_that_cannot_be_fails_for_good(queue, payload):
    bad = item(payload, key="mail.send")
    (failure,) = failures(deliver(queue, "send", [bad], "mail"))
    assert (failure["id"], failure["permanent"]) == (bad["id"], True)


GOOD = item({"name": "n", "data": "d"}, "x")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[",
        b"[][]",
        [],
        {},
        GOOD,
        "text",
        None,
        [None],
        [[]],
        [{k: v for k, v in GOOD.items() if k != "id"}],
        [{k: v for k, v in GOOD.items() if k != "key"}],
        [{k: v for k, v in GOOD.items() if k != "attempt"}],
        [{k: v for k, v in GOOD.items() if k != "payload"}],
        [GOOD | {"id": 1}],
        [GOOD | {"key": None}],
        [GOOD | {"attempt": 0}],
        [GOOD | {"attempt": "1"}],
        [GOOD | {"attempt": 1.5}],
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["log", "send"])
def test_a_batch_that_cannot_be_read_fails_whole(queue, name, body):
    check_error(deliver(queue, name, body), 400, name)


def test_a_handler_that_no_queue_feeds_answers_as_always(queue):
    check_error(deliver(queue, "authenticate", [GOOD]), 400, "authenticate")


def test_there_is_no_such_handler(queue):
    answer = deliver(queue, "nothing", [GOOD])
    check_error(answer, 404, message="no such handler")
    assert "x-handler" not in answer.headers, "so that the listener can tell it from a worker's 404"
