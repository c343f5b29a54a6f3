"""What callers of the public site see, row by row and byte for byte."""

import json

import pytest
from bson import ObjectId

from support.web import check_error, check_success

pytestmark = pytest.mark.contract

ADMIN = {"email": "admin@example.com", "password": "verysecret"}
ENTRY = {"name": "event", "data": "Some kind of data"}


def post(client, action: str, **members):
    return client.post("/handle", json={"action": action, **members})


def logged(message: str, entry_id: str) -> bytes:
    return b'{"error":false,"message":"%s","data":{"id":"%s"}}' % (message.encode(), entry_id.encode())


@pytest.mark.parametrize("body", [b"", b"{}", b"not JSON", b"\x00\xff"], ids=["empty", "object", "text", "bytes"])
def test_the_broker_answers_whatever_it_is_sent(public, body):
    check_success(public.post("/", content=body), 200, b'{"error":false,"message":"Hit the broker"}', "broker")


def test_the_page_is_at_the_root(public):
    answer = public.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "Test microservices" in answer.text
    for button in ("brokerBtn", "authBrokerBtn", "logBtn", "mailBtn", "logGBtn", "output", "payload", "received"):
        assert f'id="{button}"' in answer.text
    assert "x-handler" not in answer.headers, "no worker answered"


def test_the_page_needs_nothing_from_elsewhere(public):
    answer = public.get("/")
    assert "http://" not in answer.text and "https://" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_compressed_and_asked_for_anew(public):
    answer = public.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "no-cache"
    again = public.get("/", headers={"Accept-Encoding": "gzip", "If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("site", ["public", "internal", "queue"])
def test_ping_answers_a_dot_on_every_site(site, request):
    answer = request.getfixturevalue(site).get("/ping")
    assert (answer.status_code, answer.content) == (200, b".")
    assert answer.headers["x-request-id"]


def test_auth_gives_the_user_without_the_hash(public):
    answer = post(public, "auth", auth=ADMIN)
    body = answer.json()
    assert list(body) == ["error", "message", "data"]
    assert list(body["data"]) == ["id", "email", "first_name", "last_name", "active", "created_at", "updated_at"]
    assert body["data"] | {"id": 0, "created_at": "", "updated_at": ""} == {
        "id": 0, "email": "admin@example.com", "first_name": "Admin", "last_name": "User", "active": 1,
        "created_at": "", "updated_at": "",
    }  # fmt: skip
    assert isinstance(body["data"]["id"], int)
    content = (
        b'{"error":false,"message":"Authenticated","data":%s}'
        % json.dumps(body["data"], separators=(",", ":")).encode()
    )
    check_success(answer, 202, content, "handle")
    assert b"$2" not in answer.content and b"password" not in answer.content


@pytest.mark.parametrize("email", ["ADMIN@example.com", "Admin@Example.COM"])
def test_an_email_is_found_whatever_its_case(public, email):
    assert post(public, "auth", auth=ADMIN | {"email": email}).json()["data"]["email"] == "admin@example.com"


@pytest.mark.parametrize(
    "auth",
    [ADMIN | {"password": "wrong"}, ADMIN | {"email": "nobody@example.com"}, {"email": "", "password": ""}],
    ids=["wrong password", "unknown user", "nothing"],
)
def test_bad_credentials_are_401(public, auth):
    answer = post(public, "auth", auth=auth)
    check_error(answer, 401, "handle", "invalid credentials")
    assert answer.headers["x-handler"] == "handle"


def test_a_log_is_accepted_and_its_id_told(public):
    answer = post(public, "log", log=ENTRY)
    entry_id = answer.json()["data"]["id"]
    assert ObjectId.is_valid(entry_id) and entry_id == entry_id.lower()
    check_success(answer, 202, logged("logger via RabbitMQ", entry_id), "handle")


@pytest.mark.parametrize("log", [{"name": "", "data": ""}, ENTRY | {"other": [1, {"a": None}]}], ids=["empty", "more"])
def test_empty_strings_and_unknown_members_are_fine(public, log):
    assert post(public, "log", log=log, more=1).status_code == 202


@pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR"])
def test_a_log_may_name_its_level(public, level):
    assert post(public, "log", log=ENTRY | {"level": level}).status_code == 202


@pytest.mark.parametrize(
    ("path", "server", "message"),
    [
        ("/log-rpc", "rpc_addr", "Processed payload via RPC:event"),
        ("/log-gRPC", "grpc_addr", "logged"),
        ("/log-grpc", "grpc_addr", "logged"),
    ],
)
def test_a_log_may_go_by_a_log_server(stack, public, entries, path, server, message):
    if not getattr(stack, server):
        pytest.skip(f"no {server} was said")
    answer = public.post(path, json={"action": "log", "log": ENTRY})
    entry_id = answer.json()["data"]["id"]
    check_success(answer, 202, logged(message, entry_id), path[1:].lower())
    assert entries.by_id(entry_id), "stored when it is answered"


WAYS = {
    "amqp": "logger via RabbitMQ",
    "rpc": f"Processed payload via RPC:{ENTRY['name']}",
    "grpc": "logged",
    "http": "logged",
}


@pytest.mark.parametrize("transport", WAYS)
def test_a_log_may_name_its_transport(public, transport):
    answer = post(public, "log", log=ENTRY, transport=transport)
    check_success(answer, 202, logged(WAYS[transport], answer.json()["data"]["id"]), "handle")


def test_log_rpc_takes_the_same_body_and_goes_over_rpc(public):
    answer = public.post("/log-rpc", json={"action": "log", "log": ENTRY, "transport": "pigeon"})
    check_success(answer, 202, logged(WAYS["rpc"], answer.json()["data"]["id"]), "log-rpc")


def test_the_id_of_a_log_may_be_given_and_is_answered(public):
    own = str(ObjectId())
    answer = post(public, "log", log=ENTRY | {"id": own.upper()})
    check_success(answer, 202, logged("logger via RabbitMQ", own), "handle")


@pytest.mark.parametrize("transport", ["rpc", "grpc", "http"])
def test_the_same_id_with_the_same_content_is_a_success(public, transport):
    log = ENTRY | {"id": str(ObjectId())}
    answers = [post(public, "log", log=log, transport=transport) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("transport", ["rpc", "grpc", "http"])
@pytest.mark.parametrize(
    "change", [{"data": "other"}, {"name": "other"}, {"level": "ERROR"}], ids=lambda c: next(iter(c))
)
def test_the_same_id_with_other_content_is_409(public, change, transport):
    log = ENTRY | {"id": str(ObjectId())}
    assert post(public, "log", log=log, transport=transport).status_code == 202
    check_error(post(public, "log", log=log | change, transport=transport), 409, "handle")


def test_a_mail_is_sent(public):
    mail = {"from": "me@example.com", "to": "you@there.com", "subject": "Test email", "message": "Hello world!"}
    answer = post(public, "mail", mail=mail)
    check_success(answer, 202, b'{"error":false,"message":"Message sent to you@there.com"}', "handle")


@pytest.mark.parametrize("mail", [{"from": ""}, {}], ids=["empty from", "no from"])
def test_a_mail_without_a_sender_is_sent_by_the_default_one(public, mail):
    mail |= {"to": "you@there.com", "subject": "s", "message": "m"}
    assert post(public, "mail", mail=mail).status_code == 202


@pytest.mark.parametrize("to", ["nobody", "a b@there.com", "a@", "@there.com", "a@b@c", "<a@there.com>"])
def test_an_address_that_cannot_be_is_422(public, to):
    mail = {"from": "me@example.com", "to": to, "subject": "s", "message": "m"}
    check_error(post(public, "mail", mail=mail), 422, "handle")


@pytest.mark.parametrize("member", ["to", "from", "subject"])
def test_a_line_break_makes_no_header(public, member):
    mail = {"from": "me@example.com", "to": "you@there.com", "subject": "s", "message": "m"}
    mail[member] += "\r\nBcc: victim@example.com"
    check_error(post(public, "mail", mail=mail), 422, "handle")


@pytest.mark.parametrize("action", ["", "LOG", "delete", "log "])
def test_another_action_is_unknown(public, action):
    answer = post(public, action)
    request_id = answer.headers["x-request-id"]
    assert answer.content == (
        b'{"error":true,"message":"unknown action","handler":"handle","request_id":"%s"}' % request_id.encode()
    )
    check_error(answer, 400, "handle", "unknown action")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_the_content_type_does_not_matter(public, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps({"action": "log", "log": ENTRY})
    request = public.build_request("POST", "/handle", content=body, headers=headers)
    assert public.send(request).status_code == 202


@pytest.mark.parametrize("path", ["/authenticate", "/log", "/send", "/log/", "/send/x"])
def test_internal_handlers_are_not_on_the_public_site(public, path):
    answer = public.post(path, json=ENTRY)
    check_error(answer, 404, message="no such handler")
    assert "x-handler" not in answer.headers


def test_the_public_site_names_each_request_itself(public):
    ids = {public.post("/", headers={"X-Request-Id": "mine"}).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3 and "mine" not in ids


def test_a_trigger_header_from_outside_means_nothing(public):
    answer = public.post("/handle", content=b"[]", headers={"X-Trigger": "logs"})
    check_error(answer, 400, "handle")
