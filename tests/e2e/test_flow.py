"""What a caller hands in arrives: each flow from its door to the store behind it, seen by other people's clients."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from support.peers import id_of_message_id
from support.wait import wait_until

pytestmark = pytest.mark.contract


def post_log(public, transport: str | None = None, **log):
    body = {"action": "log", "log": log} | ({"transport": transport} if transport else {})
    answer = public.post("/handle", json=body)
    assert answer.status_code == 202, answer.text
    return answer


@pytest.mark.parametrize("transport", [None, "amqp", "rpc", "grpc", "http"])
@pytest.mark.parametrize("level", [None, "WARNING", "ERROR"])
def test_a_log_is_stored_under_the_id_in_the_answer(public, entries, unique, transport, level):
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    given = {"level": level} if level else {}
    answer = post_log(public, transport, name=unique, data='some "data" ü', **given)
    after = datetime.now(UTC)
    stored = entries.wait_for(answer.json()["data"]["id"])
    assert set(stored) == {"_id", "name", "data", "level", "created_at", "updated_at"}
    assert isinstance(stored["_id"], ObjectId)
    assert (stored["name"], stored["data"], stored["level"]) == (unique, 'some "data" ü', level or "INFO")
    assert before <= stored["created_at"] <= after, "when it was accepted"
    assert isinstance(stored["updated_at"], datetime)
    assert len(entries.named(unique)) == 1


def test_many_logs_are_each_stored_once(public, entries, unique):
    ids = [post_log(public, name=unique, data=str(i)).json()["data"]["id"] for i in range(200)]
    assert len(set(ids)) == 200
    stored = entries.wait_for_name(unique, 200)
    assert {str(e["_id"]) for e in stored} == set(ids) and len(stored) == 200


def test_a_log_posted_inside_is_stored_when_it_is_answered(internal, entries, unique):
    own = str(ObjectId())
    assert internal.post("/log", json={"name": unique, "data": "d", "id": own, "level": "ERROR"}).status_code == 202
    stored = entries.by_id(own)
    assert (stored["name"], stored["level"]) == (unique, "ERROR")


@pytest.mark.parametrize(("key", "level"), [("log.INFO", "INFO"), ("log.WARNING", "WARNING"), ("log.ERROR", "ERROR")])
def test_what_an_old_publisher_sends_is_stored(rabbit, entries, unique, key, level):
    body = json.dumps({"name": unique, "data": "as before"}, indent="\t").encode()
    rabbit.publish(body, key, content_type="text/plain")
    (stored,) = entries.wait_for_name(unique)
    assert (stored["data"], stored["level"]) == ("as before", level)
    assert isinstance(stored["created_at"], datetime)


def test_equal_messages_without_an_id_are_two_entries(rabbit, entries, unique):
    body = json.dumps({"name": unique, "data": "twice"}).encode()
    for _ in range(2):
        rabbit.publish(body)
    assert len(entries.wait_for_name(unique, 2)) == 2


def test_a_message_id_of_24_digits_is_the_entrys_id(rabbit, entries, unique):
    own = str(ObjectId())
    rabbit.publish(json.dumps({"name": unique, "data": "d"}).encode(), message_id=own.upper())
    assert entries.wait_for(own)["name"] == unique


def test_a_uuid_as_message_id_gives_always_the_same_id(rabbit, entries, unique):
    own = str(uuid.uuid4())
    body = json.dumps({"name": unique, "data": "d"}).encode()
    for _ in range(3):
        rabbit.publish(body, message_id=own)
    last = json.dumps({"name": f"{unique}-last", "data": "d"}).encode()
    assert entries.wait_for(id_of_message_id(own))["name"] == unique
    rabbit.publish(last)
    entries.wait_for_name(f"{unique}-last")
    wait_until(lambda: rabbit.depth("logs") == 0, what="the queue is empty")
    assert len(entries.named(unique)) == 1


def test_a_repeat_by_the_client_is_stored_once_whatever_the_way(public, entries, unique):
    own = str(ObjectId())
    for transport in ("amqp", "http", "rpc", "grpc", "amqp", None, "http", "rpc"):
        assert post_log(public, transport, name=unique, data="d", id=own).json()["data"]["id"] == own
    entries.wait_for(own)
    marker = post_log(public, name=f"{unique}-last", data="").json()["data"]["id"]
    entries.wait_for(marker)
    assert len(entries.named(unique)) == 1


def check_mail(mail, unique: str, message: str):
    assert mail["Subject"] == unique
    assert mail["To"].addresses[0].addr_spec == "you@there.com"
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert message in plain.get_content()
    assert "<html" in html.get_content().lower()
    assert mail["Message-ID"] and mail["Date"] and mail["MIME-Version"] == "1.0"
    return plain.get_content(), html.get_content()


def test_a_mail_arrives_with_both_parts(public, inbox, unique):
    mail = {"from": "me@example.com", "to": "you@there.com", "subject": unique, "message": "Hello wörld! 你好"}
    assert public.post("/handle", json={"action": "mail", "mail": mail}).status_code == 202
    received = inbox.wait_for_subject(unique)
    _, html = check_mail(received, unique, "Hello wörld! 你好")
    assert "Hello wörld! 你好" in html
    assert received["From"].addresses[0].addr_spec == "me@example.com"


def test_a_mail_without_a_sender_comes_from_the_default_one(internal, inbox, unique):
    mail = {"from": "", "to": "you@there.com", "subject": unique, "message": "m"}
    assert internal.post("/send", json=mail).status_code == 202
    received = inbox.wait_for_subject(unique)
    assert "@" in received["From"].addresses[0].addr_spec


def test_markup_in_a_message_is_text(internal, inbox, unique):
    message = '<script>alert("1")</script> & {{message}} <b>'
    mail = {"to": "you@there.com", "subject": unique, "message": message}
    assert internal.post("/send", json=mail).status_code == 202
    plain, html = check_mail(inbox.wait_for_subject(unique), unique, message)
    assert "<script>alert" not in html and "&lt;script&gt;" in html


def test_a_subject_may_be_any_text(internal, inbox, unique):
    subject = f"{unique} Grüße 你好 𝄞 " + "lang " * 40
    mail = {"to": "you@there.com", "subject": subject.strip(), "message": "m"}
    assert internal.post("/send", json=mail).status_code == 202
    received = inbox.wait_for_subject(unique)
    assert str(received["Subject"]) == subject.strip()


def test_a_mail_by_queue_arrives(rabbit, inbox, unique):
    mail = {"from": "me@example.com", "to": "you@there.com", "subject": unique, "message": "by queue"}
    rabbit.publish(json.dumps(mail).encode(), "mail.send", message_id=str(uuid.uuid4()))
    check_mail(inbox.wait_for_subject(unique), unique, "by queue")


def test_a_login_is_logged(internal, users, entries):
    address = f"login-{uuid.uuid4().hex[:8]}@example.com"
    users.ensure_like_admin(address, active=1)
    try:
        answer = internal.post("/authenticate", json={"email": address, "password": "verysecret"})
        assert answer.json()["data"]["id"] == users.row(address)["id"]
    finally:
        users.remove(address)

    def logged() -> list[dict]:
        return list(entries.collection.find({"name": "authentication", "data": f"{address} logged in"}))

    (entry,) = wait_until(logged, 15, "the login is logged")
    assert entry["level"] == "INFO"


def test_the_users_table_is_as_promised(users):
    row = users.row("admin@example.com")
    assert list(row) == [
        "id", "email", "first_name", "last_name", "password", "user_active", "created_at", "updated_at",
    ]  # fmt: skip
    assert re.fullmatch(r"\$2[aby]\$12\$[./A-Za-z0-9]{53}", row["password"])
    assert row["user_active"] == 1


@pytest.mark.native
def test_a_request_can_be_followed_through_the_logs(native, public, entries, unique):
    answer = post_log(public, "amqp", name=unique, data="d")
    request_id = answer.headers["x-request-id"]
    entries.wait_for(answer.json()["data"]["id"])

    def seen(service: str) -> list[dict]:
        return native.log_records(service, request_id=request_id)

    for service in ("caddy", "public.handle", "listener"):
        assert wait_until(lambda service=service: seen(service), 10, f"{service} names the request"), service
    (worker,) = [r for r in seen("public.handle") if r["message"] == "answered"]
    assert (worker["status"], worker["method"]) == (202, "POST")


@pytest.mark.native
def test_a_trace_goes_from_hop_to_hop(native, public, entries, unique):
    trace = uuid.uuid4().hex
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    body = {"action": "log", "log": {"name": unique, "data": "d"}, "transport": "http"}
    assert public.post("/handle", json=body, headers=headers).status_code == 202

    def names_trace(service: str) -> bool:
        return any(trace in line for line in native.log_lines(service))

    for service in ("public.handle", "internal.log"):
        wait_until(lambda service=service: names_trace(service), 10, f"{service} names the trace")


@pytest.mark.native
def test_no_log_line_tells_a_secret(native, public, internal, unique):
    public.post("/handle", json={"action": "auth", "auth": {"email": "admin@example.com", "password": unique}})
    public.post("/handle", json={"action": "auth", "auth": {"email": "admin@example.com", "password": "verysecret"}})
    mail = {"to": "you@there.com", "subject": "s", "message": unique}
    request_id = internal.post("/send", json=mail).headers["x-request-id"]
    wait_until(lambda: native.log_records("internal.send", request_id=request_id), 10, "send has logged")
    services = [p.name for p in (native.run_dir / "log").iterdir()]
    assert "public.handle" in services
    for service in services:
        if service == "mailpit":
            continue  # not ours, and tells what it received
        for line in native.log_lines(service):
            assert unique not in line and "verysecret" not in line and "$2a$12$" not in line, service
