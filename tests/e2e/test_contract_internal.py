"""What callers of the internal site see."""

import json

import pytest
from bson import ObjectId

from support.web import check_error, check_success

pytestmark = pytest.mark.contract

ADMIN = {"email": "admin@example.com", "password": "verysecret"}
MAIL = {"from": "me@example.com", "to": "you@there.com", "subject": "s", "message": "m"}
ENTRY = {"name": "event", "data": "Some kind of data"}


def test_authenticate_gives_the_user(internal):
    answer = internal.post("/authenticate", json=ADMIN)
    user = answer.json()["data"]
    assert list(user) == ["id", "email", "first_name", "last_name", "active", "created_at", "updated_at"]
    content = (
        b'{"error":false,"message":"Logged in user admin@example.com","data":%s}'
        % json.dumps(user, separators=(",", ":")).encode()
    )
    check_success(answer, 202, content, "authenticate")


@pytest.mark.parametrize(
    "change", [{"password": "wrong"}, {"password": ""}, {"email": "nobody@example.com"}, {"email": ""}]
)
def test_bad_credentials_are_401(internal, change):
    check_error(internal.post("/authenticate", json=ADMIN | change), 401, "authenticate", "invalid credentials")


@pytest.mark.parametrize("member", ["email", "password"])
def test_credentials_must_be_whole(internal, member):
    rest = {k: v for k, v in ADMIN.items() if k != member}
    check_error(internal.post("/authenticate", json=rest), 400, "authenticate", f"{member}: is missing")


def test_log_stores_an_entry(internal):
    check_success(internal.post("/log", json=ENTRY), 202, b'{"error":false,"message":"logged"}', "log")


def test_log_stores_an_array_of_entries(internal, entries, unique):
    batch = [{"name": unique, "data": str(i), "id": str(ObjectId())} for i in range(50)]
    check_success(internal.post("/log", json=batch), 202, b'{"error":false,"message":"logged"}', "log")
    assert sorted(int(e["data"]) for e in entries.named(unique)) == list(range(50)), "stored when it is answered"


def test_an_entry_of_an_array_that_fails_is_named_and_the_rest_stored(internal, entries, unique):
    batch = [{"name": unique, "data": str(i), "id": str(ObjectId())} for i in range(3)]
    assert internal.post("/log", json=batch[1]).status_code == 202
    batch[1]["data"] = "other"
    answer = internal.post("/log", json=batch)
    assert answer.status_code == 409
    body = answer.json()
    assert list(body) == ["error", "message", "handler", "request_id", "failures"]
    assert body["error"] is True and body["message"]
    (failure,) = body["failures"]
    assert (failure["index"], failure["id"]) == (1, batch[1]["id"]) and failure["reason"]
    assert sorted(e["data"] for e in entries.named(unique)) == ["0", "1", "2"], "the first stays as it was"


def test_a_malformed_entry_refuses_the_whole_array(internal, entries, unique):
    answer = internal.post("/log", json=[{"name": unique, "data": "0"}, {"name": unique, "data": 1}])
    assert "[1].data: must be a string" in check_error(answer, 400, "log")
    assert entries.named(unique) == []


@pytest.mark.parametrize("body", [[], [[]], [None], "x", 1, None], ids=repr)
def test_log_takes_entries_only(internal, body):
    check_error(internal.post("/log", content=json.dumps(body)), 400, "log")


@pytest.mark.parametrize(
    "change", [{"id": "x"}, {"id": ""}, {"id": 1}, {"id": None}, {"level": "info"}, {"level": 1}, {"level": None}]
)
def test_what_is_given_must_be_right(internal, change):
    (member,) = change
    assert check_error(internal.post("/log", json=ENTRY | change), 400, "log").startswith(f"{member}: must be")


def test_an_id_is_for_one_content(internal):
    entry = ENTRY | {"id": str(ObjectId())}
    assert [internal.post("/log", json=entry).status_code for _ in range(3)] == [202] * 3
    check_error(internal.post("/log", json=entry | {"data": "other"}), 409, "log")


def test_send_sends_a_mail(internal):
    check_success(internal.post("/send", json=MAIL), 202, b'{"error":false,"message":"sent to you@there.com"}', "send")


@pytest.mark.parametrize("member", ["to", "subject", "message"])
def test_a_mail_must_be_whole(internal, member):
    rest = {k: v for k, v in MAIL.items() if k != member}
    check_error(internal.post("/send", json=rest), 400, "send", f"{member}: is missing")


def test_send_refuses_what_is_no_address(internal):
    check_error(internal.post("/send", json=MAIL | {"to": "nobody"}), 422, "send")


def test_public_handlers_are_not_on_the_internal_site(internal):
    check_error(internal.post("/handle", json={"action": "x"}), 404, message="no such handler")


@pytest.mark.parametrize("own", ["abc", "0af7651916cd43dd8448eb211c80319c", "A-1", "x" * 64])
def test_a_callers_request_id_is_kept(internal, own):
    answer = internal.post("/log", json=ENTRY, headers={"X-Request-Id": own})
    assert answer.headers["x-request-id"] == own
    error = internal.post("/log", content=b"", headers={"X-Request-Id": own})
    assert error.json()["request_id"] == own


@pytest.mark.parametrize("own", ["", "a b", "x" * 65, 'a"b', "a/b", "ä".encode("latin-1")])
def test_a_request_id_that_cannot_be_is_replaced(internal, own):
    answer = internal.post("/log", content=b"", headers={"X-Request-Id": own})
    check_error(answer, 400, "log")
    assert answer.headers["x-request-id"].encode() != own and answer.headers["x-request-id"] != own


def test_any_host_is_answered(internal):
    assert internal.post("/log", json=ENTRY, headers={"Host": "elsewhere.example"}).status_code == 202


def test_a_trigger_header_means_nothing_here(internal):
    item = {"id": "a", "key": "log.INFO", "attempt": 1, "payload": ENTRY}
    check_error(internal.post("/log", json=[item], headers={"X-Trigger": "logs"}), 400, "log")
