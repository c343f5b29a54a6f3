"""GET /logs: stored entries for those who may read them, in pages and one by one."""

import json
import shlex
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from support.web import check_error, check_success

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("few_entries")]

MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MEMBERS = ["id", "name", "data", "level", "created_at", "updated_at"]
TOKEN = "open sesame"


def document(name: str, second: float = 0, **members: object) -> dict:
    created = MOMENT + timedelta(seconds=second)
    return {"name": name, "data": "d", "level": "INFO", "created_at": created, "updated_at": created} | members


def store(entries, *documents: dict) -> list[str]:
    return [str(i) for i in entries.collection.insert_many(list(documents)).inserted_ids]


def page(public, **parameters: object) -> dict:
    answer = public.get("/logs", params=parameters)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["error", "message", "data"] and body["error"] is False
    assert list(body["data"]) == ["entries", "next"]
    return body["data"]


def ids(data: dict) -> list[str]:
    return [entry["id"] for entry in data["entries"]]


def pages(public, **parameters: object) -> list[list[str]]:
    """The ids of every page, from the first to the last."""
    found = []
    data = page(public, **parameters)
    found.append(ids(data))
    while data["next"]:
        data = page(public, cursor=data["next"], **parameters)
        found.append(ids(data))
    return found


def test_a_stored_entry_is_shown_as_it_was_logged(public, unique):
    log = {"name": unique, "data": 'naïve "quotes" \\ \n 😀 </script>', "level": "WARNING", "id": str(ObjectId())}
    body = {"action": "log", "log": log, "transport": "http"}
    assert public.post("/handle", json=body).status_code == 202
    (entry,) = page(public, name=unique)["entries"]
    assert list(entry) == MEMBERS
    assert entry | {"created_at": "", "updated_at": ""} == log | {"created_at": "", "updated_at": ""}
    created = datetime.fromisoformat(entry["created_at"])
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
    assert entry["updated_at"] == entry["created_at"]


def test_an_entry_is_found_by_its_id(public, entries, unique):
    (own,) = store(entries, document(unique, data="one"))
    content = (
        b'{"error":false,"message":"entry %s","data":{"id":"%s","name":"%s","data":"one","level":"INFO",'
        b'"created_at":"2026-03-01T12:00:00.000Z","updated_at":"2026-03-01T12:00:00.000Z"}}'
    ) % (own.encode(), own.encode(), unique.encode())
    check_success(public.get(f"/logs/{own}"), 200, content, "logs")
    assert public.get(f"/logs/{own.upper()}").content == content


NOBODY = "0123456789abcdef01234567"


@pytest.mark.parametrize("path", [NOBODY, "x", NOBODY[1:], f"{NOBODY}/", "%00", "a/b"])
def test_what_is_not_there_is_404(public, path):
    answer = public.get(f"/logs/{path}")
    assert answer.status_code == (400 if path == "%00" else 404)
    if path != "%00":
        check_error(answer, 404, "logs", "no such entry")


def test_the_newest_come_first_and_equal_times_are_in_the_order_of_their_ids(public, entries, unique):
    stored = store(entries, *[document(unique, second) for second in (0, 5, 5, 5, 2, -3600)])
    old, *equal, middle, oldest = stored
    assert ids(page(public, name=unique)) == [*reversed(equal), middle, old, oldest]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_hold_every_entry_once(public, entries, unique, limit):
    stored = store(entries, *[document(unique, second // 3) for second in range(14)])
    found = pages(public, name=unique, limit=limit)
    assert [i for part in found for i in part] == stored[::-1]
    assert all(len(part) == limit for part in found[:-1]) and 0 < len(found[-1]) <= limit


def test_what_arrives_meanwhile_moves_no_page(public, entries, unique):
    stored = store(entries, *[document(unique, second) for second in range(6)])
    first = page(public, name=unique, limit=3)
    store(entries, *[document(unique, 100) for _ in range(5)])
    second = page(public, name=unique, limit=3, cursor=first["next"])
    assert ids(first) + ids(second) == stored[::-1]
    assert second["next"] is None


def test_a_page_has_20_entries_unless_told(public, entries, unique):
    store(entries, *[document(unique, second) for second in range(21)])
    data = page(public, name=unique)
    assert len(data["entries"]) == 20 and data["next"]
    assert len(page(public)["entries"]) == 20, "whatever their names"


def test_entries_are_filtered_by_name_and_level(public, entries, unique):
    info, warning, error = store(entries, *[document(unique, level=level) for level in ("INFO", "WARNING", "ERROR")])
    (other,) = store(entries, document(f"{unique}&level=INFO 100%+ü", level="ERROR"))
    assert ids(page(public, name=unique, level="WARNING")) == [warning]
    assert ids(page(public, name=unique, level="ERROR")) == [error]
    assert ids(page(public, name=unique)) == [error, warning, info]
    assert ids(page(public, name=f"{unique}&level=INFO 100%+ü")) == [other]
    assert page(public, name=f"{unique} nobody") == {"entries": [], "next": None}


def test_an_entry_without_a_level_counts_as_info(public, entries, unique):
    bare = document(unique)
    del bare["level"]
    without, named = store(entries, bare, document(unique, level="INFO"))
    data = page(public, name=unique, level="INFO")
    assert ids(data) == [named, without]
    assert {entry["level"] for entry in data["entries"]} == {"INFO"}
    assert pages(public, name=unique, level="INFO", limit=1) == [[named], [without]]


def test_large_entries_end_a_page_early(public, entries, unique):
    stored = store(entries, *[document(unique, second, data="x" * 1_500_000) for second in range(5)])
    assert pages(public, name=unique) == [stored[:1:-1], stored[1::-1]]


def test_an_empty_name_is_a_name(public, entries, unique):
    store(entries, document("", 0, data=unique))
    assert {entry["name"] for entry in page(public, name="")["entries"]} == {""}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: must be a number from 1 to 100"),
        ("limit=101", "limit: must be a number from 1 to 100"),
        ("limit=", "limit: must be a number from 1 to 100"),
        ("limit=+5", "limit: must be a number from 1 to 100"),
        ("limit=-1", "limit: must be a number from 1 to 100"),
        ("limit=99999999999999999999", "limit: must be a number from 1 to 100"),
        ("cursor=", "cursor: must be the `next` of another page"),
        ("cursor=6b05785f0d1ef72845199ac6", "cursor: must be the `next` of another page"),
        (f"cursor={'Z' * 40}", "cursor: must be the `next` of another page"),
        ("level=info", "level: must be INFO, WARNING or ERROR"),
        ("level=", "level: must be INFO, WARNING or ERROR"),
        ("name=a&name=b", "name: given twice"),
        ("name=%ff", "name: must be UTF-8 without NUL"),
        ("name=a%00b", "name: must be UTF-8 without NUL"),
        ("names=a", "names: no such parameter"),
        ("=a", ": no such parameter"),
        ("%6eam=a", "nam: no such parameter"),
    ],
)
def test_a_wrong_parameter_is_400_and_named(public, query, message):
    check_error(public.get(f"/logs?{query}"), 400, "logs", message)


def test_one_entry_takes_no_parameters(public):
    check_error(public.get(f"/logs/{ObjectId()}?limit=1"), 400, "logs", "limit: no such parameter")


@pytest.mark.parametrize("cursor", ["f" * 40, "0" * 40, "7" + "f" * 39, "8" + "0" * 39])
def test_any_cursor_that_can_be_is_a_place_in_the_order(public, cursor):
    assert public.get(f"/logs?cursor={cursor}").status_code == 200


def test_head_has_the_headers_of_get(public):
    head, get = public.head("/logs?name=nobody"), public.get("/logs?name=nobody")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content)) or "content-length" not in head.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_entries_are_only_read(public, method):
    answer = public.request(method, "/logs")
    check_error(answer, 405, "logs")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_origin_needs_a_token(public, site):
    answer = public.get("/logs", headers={"Sec-Fetch-Site": site})
    check_error(answer, 401, "logs")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert public.get("/logs", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.fixture(scope="module")
def read(native):
    """Runs the handler as a CGI program with other settings, and returns status and body."""
    words = shlex.split((native.run_dir / "env").read_text(), comments=True)
    settings = {"PATH": "/usr/bin:/bin"} | dict(word.split("=", 1) for word in words)

    def run(**variables: str) -> tuple[int, dict, str]:
        environment = settings | {"REQUEST_METHOD": "GET", "QUERY_STRING": "limit=1", "LOGS_ACCESS": ""} | variables
        done = subprocess.run(
            [native.bundled("logs")], stdin=subprocess.DEVNULL, env=environment, capture_output=True, timeout=30,
            cwd="/", **native.owner,
        )  # fmt: skip
        head, content = done.stdout.split(b"\r\n\r\n", 1)
        assert TOKEN.encode() not in done.stderr + done.stdout
        return int(head.rsplit(b"Status: ", 1)[1][:3]), json.loads(content), done.stderr.decode()

    return run


def test_nobody_may_read_unless_somebody_said_so(read):
    status, body, _ = read()
    assert (status, body["message"]) == (404, "stored entries are not shown here")
    assert read(LOGS_TOKEN=TOKEN, HTTP_AUTHORIZATION=f"Bearer {TOKEN}")[0] == 404
    assert read(LOGS_ACCESS="off", PATH_INFO=f"/{ObjectId()}")[1]["message"] == body["message"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (TOKEN, 401),
        ("", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN[:-1]}E", 401),
        (f"Basic {TOKEN}", 401),
    ],
)
def test_with_a_token_only_who_knows_it_may_read(read, header, status):
    assert read(LOGS_ACCESS="token", LOGS_TOKEN=TOKEN, HTTP_AUTHORIZATION=header)[0] == status
    foreign = {"HTTP_SEC_FETCH_SITE": "cross-site"}
    assert read(LOGS_ACCESS="open", LOGS_TOKEN=TOKEN, HTTP_AUTHORIZATION=header, **foreign)[0] == status


def test_a_token_that_was_forgotten_opens_nothing(read):
    for header in ("", "Bearer ", "Bearer x"):
        status, _, said = read(LOGS_ACCESS="token", HTTP_AUTHORIZATION=header)
        assert status == 401
        assert "LOGS_TOKEN" in said, "and the log says why"


def test_the_inbox_is_to_look_at_only(public):
    listed = public.get("/inbox/api/v1/messages?limit=1")
    assert listed.status_code == 200
    assert listed.headers["cache-control"] == "no-store"
    assert listed.headers["x-content-type-options"] == "nosniff"
    assert len(listed.json()["messages"]) <= 1
    for method in ("POST", "PUT", "DELETE"):
        answer = public.request(method, "/inbox/api/v1/messages")
        check_error(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"
    check_error(public.get("/inbox/api/v1/messages", headers={"Sec-Fetch-Site": "cross-site"}), 403)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/api/v1/info", "/api/v1/chaos", "/api/v1/message/x/raw", "/api/v1/message/../info", "/view/latest.html"],
)
def test_the_rest_of_the_inbox_is_not_on_the_public_site(public, path):
    assert public.get(f"/inbox{path}").status_code == 404


@pytest.mark.faults
def test_an_inbox_that_is_down_is_503(native, public):
    native.stop("mailpit")
    try:
        answer = public.get("/inbox/api/v1/messages")
        check_error(answer, 503, message="the inbox is not running")
        assert answer.headers["retry-after"] == "1"
    finally:
        native.start("mailpit")
    assert public.get("/inbox/api/v1/messages").status_code == 200
