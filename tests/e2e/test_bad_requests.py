"""Bad requests: each gets the exact status and the envelope, and the worker that got it still serves."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.stack import NativeStack
from support.web import Answer, RawConnection, check_error, chunked, post_head, raw

pytestmark = pytest.mark.contract

MIB = 1024 * 1024
PUBLIC_LIMIT = MIB
PRIVATE_LIMIT = 16 * MIB
BODY_TIMEOUT_S = 10  # how long the front door waits for a body
SERVED_WITHIN_S = 2

LOG = '{"action":"log","log":{"name":%s,"data":%s}}'


@pytest.fixture(autouse=True)
def the_workers_still_serve(request, stack, public):
    """After each case a worker answers at once; on a stack of our own it is one of those that were there before."""
    own = isinstance(stack, NativeStack)
    before = stack.workers("handle") if own else set()
    yield
    began = time.monotonic()
    for _ in range(4):
        answer = public.post("/handle", json={"action": "none"})
        check_error(answer, 400, "handle", "unknown action")
    assert time.monotonic() - began < 4 * SERVED_WITHIN_S
    if own:
        assert stack.workers("handle") == before, "a worker died"


def log_of(size: int) -> bytes:
    """A good request of this many bytes."""
    frame = len(LOG % ('""', '""'))
    return (LOG % ('""', '"%s"' % ("x" * (size - frame)))).encode()


NOT_JSON = {
    "empty": b"",
    "white space": b" \r\n\t",
    "text": b"hello",
    "half an object": b'{"action":"log"',
    "half a string": b'{"action":"lo',
    "a comma too many": b'{"action":"log",}',
    "a comma too many in an array": b'{"action":[1,]}',
    "no comma": b'{"action":"log" "log":{}}',
    "single quotes": b"{'action':'log'}",
    "a comment": b'{"action":"log"/* */}',
    "a bare word": b"{action:1}",
    "NaN": b'{"action":NaN}',
    "Infinity": b'{"action":-Infinity}',
    "a leading zero": b'{"action":01}',
    "a plus sign": b'{"action":+1}',
    "half a number": b'{"action":1.}',
    "hexadecimal": b'{"action":0x10}',
    "True": b'{"action":True}',
    "NUL first": b'\0{"action":"log"}',
    "NUL last": b'{"action":"log"}\0',
    "NUL and more": b'{"action":"none"}\0{"action":"none"}',
    "NUL in a string": b'{"action":"l\0og"}',
    "NUL escaped in a string": b'{"action":"l\\u0000og"}',
    "NUL escaped in a name": b'{"action\\u0000":"log"}',
    "a control character": b'{"action":"l\x01og"}',
    "a line break in a string": b'{"action":"l\nog"}',
    "an unknown escape": rb'{"action":"\x41"}',
    "half an escape": rb'{"action":"\u00"}',
    "half a surrogate pair": rb'{"action":"\ud800"}',
    "the other half": rb'{"action":"\udc00"}',
    "a pair the wrong way round": rb'{"action":"\udc00\ud800"}',
    "a surrogate and a letter": rb'{"action":"\ud800A"}',
    "a surrogate in UTF-8": b'{"action":"\xed\xa0\x80"}',
    "a pair in UTF-8": b'{"action":"\xed\xa0\x80\xed\xb0\x80"}',
    "overlong slash": b'{"action":"\xc0\xaf"}',
    "overlong NUL": b'{"action":"\xc0\x80"}',
    "overlong of three bytes": b'{"action":"\xe0\x80\xaf"}',
    "overlong of four bytes": b'{"action":"\xf0\x80\x80\xaf"}',
    "beyond Unicode": b'{"action":"\xf4\x90\x80\x80"}',
    "a byte that never is": b'{"action":"\xff"}',
    "half a character": b'{"action":"\xe2\x82"}',
    "a lone continuation": b'{"action":"\x80"}',
    "Latin-1": '{"action":"ä"}'.encode("latin-1"),
    "UTF-16": '{"action":"none"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"action":"none"}',
    "a member twice": b'{"action":"none","action":"none"}',
    "a member twice, once escaped": rb'{"action":"none","\u0061ction":"none"}',
    "a member twice, inside": b'{"action":"none","log":{"a":1,"a":1}}',
    "a member twice, in an array": b'{"action":"none","log":[{"a":1,"a":1}]}',
    "deep arrays": b'{"action":"none","log":%s%s}' % (b"[" * 40, b"]" * 40),
    "deep objects": b'{"a":' * 40 + b"1" + b"}" * 40,
    "very deep arrays": b"[" * 500_000,
    "very deep objects": b'{"a":' * 200_000,
}

TWO_VALUES = {
    "objects": b'{"action":"none"}{"action":"none"}',
    "objects and white space": b'{"action":"none"}\n{"action":"none"}\n',
    "object and array": b'{"action":"none"}[]',
    "object and number": b'{"action":"none"} 1',
    "numbers": b"1 2",
}

NO_OBJECT = {"array": b"[]", "string": b'"log"', "number": b"1", "true": b"true", "null": b"null"}

WRONG_MEMBERS = [
    ({}, "action: is missing"),
    ({"action": None}, "action: must be a string"),
    ({"action": 1}, "action: must be a string"),
    ({"action": ["log"]}, "action: must be a string"),
    ({"Action": "log"}, "action: is missing"),
    ({"action": "log"}, "log: is missing"),
    ({"action": "log", "log": None}, "log: must be an object"),
    ({"action": "log", "log": "text"}, "log: must be an object"),
    ({"action": "log", "log": []}, "log: must be an object"),
    ({"action": "log", "log": {}}, "log.name: is missing"),
    ({"action": "log", "log": {"name": "n"}}, "log.data: is missing"),
    ({"action": "log", "log": {"data": "d"}}, "log.name: is missing"),
    ({"action": "log", "log": {"name": 1, "data": "d"}}, "log.name: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": None}}, "log.data: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": {}}}, "log.data: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": True}}, "log.data: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": "d", "level": 3}}, "log.level: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": "d", "level": "DEBUG"}}, "log.level: must be"),
    ({"action": "log", "log": {"name": "n", "data": "d", "id": 3}}, "log.id: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": "d", "id": "xyz"}}, "log.id: must be"),
    ({"action": "log", "log": {"name": "n", "data": "d", "id": "g" * 24}}, "log.id: must be"),
    ({"action": "log", "log": {"name": "n", "data": "d", "id": "a" * 25}}, "log.id: must be"),
    ({"action": "log", "log": {"name": "n", "data": "d"}, "transport": "pigeon"}, "transport: must be one of"),
    ({"action": "log", "log": {"name": "n", "data": "d"}, "transport": "AMQP"}, "transport: must be one of"),
    ({"action": "log", "log": {"name": "n", "data": "d"}, "transport": 1}, "transport: must be a string"),
    ({"action": "log", "log": {"name": "n", "data": "d"}, "transport": None}, "transport: must be a string"),
    ({"action": "auth"}, "auth: is missing"),
    ({"action": "auth", "auth": 1}, "auth: must be an object"),
    ({"action": "auth", "auth": {"email": "a@b.c"}}, "auth.password: is missing"),
    ({"action": "auth", "auth": {"password": "p"}}, "auth.email: is missing"),
    ({"action": "auth", "auth": {"email": 1, "password": "p"}}, "auth.email: must be a string"),
    ({"action": "auth", "auth": {"email": "a@b.c", "password": None}}, "auth.password: must be a string"),
    ({"action": "mail"}, "mail: is missing"),
    ({"action": "mail", "mail": []}, "mail: must be an object"),
    ({"action": "mail", "mail": {"subject": "s", "message": "m"}}, "mail.to: is missing"),
    ({"action": "mail", "mail": {"to": "a@b.c", "message": "m"}}, "mail.subject: is missing"),
    ({"action": "mail", "mail": {"to": "a@b.c", "subject": "s"}}, "mail.message: is missing"),
    ({"action": "mail", "mail": {"to": 1, "subject": "s", "message": "m"}}, "mail.to: must be a string or a list of"),
    ({"action": "mail", "mail": {"to": [1], "subject": "s", "message": "m"}}, "mail.to: must be a string or a list of"),
    ({"action": "mail", "mail": {"from": 1, "to": "a@b.c", "subject": "s", "message": "m"}}, "mail.from: must be a"),
]


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_strict_json_is_400(public, body):
    check_error(public.post("/handle", content=body), 400, "handle")


@pytest.mark.parametrize("body", TWO_VALUES.values(), ids=TWO_VALUES)
def test_two_values_are_400(public, body):
    check_error(public.post("/handle", content=body), 400, "handle", "body must have only a single JSON value")


@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT)
def test_a_value_that_is_no_object_is_400(public, body):
    check_error(public.post("/handle", content=body), 400, "handle")


@pytest.mark.parametrize(("body", "message"), WRONG_MEMBERS, ids=[json.dumps(b) for b, _ in WRONG_MEMBERS])
def test_a_wrong_or_missing_member_is_named(public, body, message):
    assert check_error(public.post("/handle", json=body), 400, "handle").startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "ä€𝄞",
        "\u007f",
        "\ufeff",
        "\uffff",
        "\U0010ffff",
        '"\\/',
        "\t\r\n",
        "<script>",
        "%s%n",
        "${jndi:x}",
        "a" * 100_000,
    ],
    ids=lambda t: ascii(t[:12]),
)
def test_any_text_comes_through_as_it_is(public, entries, text):
    answer = public.post("/handle", json={"action": "log", "log": {"name": text, "data": text}, "transport": "http"})
    assert answer.status_code == 202
    stored = entries.by_id(answer.json()["data"]["id"])
    assert (stored["name"], stored["data"]) == (text, text)


def test_a_good_surrogate_pair_is_a_character(public, entries):
    body = (LOG % ('"pair"', r'"\ud834\udd1e"')).encode()
    entry_id = public.post("/handle", content=body).json()["data"]["id"]
    assert entries.wait_for(entry_id)["data"] == "𝄞"


# The size of a body. Each case: how it is sent, its size, the status.


def sized(size: int) -> bytes:
    return post_head("/handle", f"Content-Length: {size}") + log_of(size)


def sized_chunks(size: int) -> bytes:
    return post_head("/handle", "Transfer-Encoding: chunked") + chunked(log_of(size))


@pytest.mark.parametrize("send", [sized, sized_chunks])
def test_one_mebibyte_is_taken(stack, entries, send):
    answer = raw(stack.public, send(PUBLIC_LIMIT))
    assert answer.status == 202, answer.content
    assert len(entries.wait_for(answer.json()["data"]["id"])["data"]) > PUBLIC_LIMIT - 100


@pytest.mark.parametrize("send", [sized, sized_chunks])
@pytest.mark.parametrize("size", [PUBLIC_LIMIT + 1, 2 * MIB, 20 * MIB])
def test_more_is_413(stack, send, size):
    check_error(raw(stack.public, send(size)), 413)


def test_an_announced_length_over_the_limit_is_413_at_once(stack):
    with RawConnection(stack.public, timeout_s=5) as connection:
        connection.send(post_head("/handle", f"Content-Length: {PUBLIC_LIMIT + 1}") + b"{")
        check_error(connection.answer(), 413)


def test_the_internal_site_takes_more(internal):
    entry = {"name": "large", "data": "x" * (4 * MIB)}
    assert internal.post("/log", json=entry).status_code == 202


def test_the_internal_site_has_a_limit_too(internal):
    check_error(internal.post("/log", content=b" " * (PRIVATE_LIMIT + 1)), 413)


# How a body comes.


def test_chunks_of_one_byte_are_a_body(stack):
    answer = raw(stack.public, post_head("/handle", "Transfer-Encoding: chunked") + chunked(log_of(200), 1))
    assert answer.status == 202


def test_a_body_in_pieces_is_a_body(stack):
    with RawConnection(stack.public) as connection:
        request = sized(300)
        for i in range(0, len(request), 50):
            connection.send(request[i : i + 50])
        assert connection.answer().status == 202


def test_expect_100_continue_is_answered(stack):
    with RawConnection(stack.public) as connection:
        connection.send(post_head("/handle", "Content-Length: 200", "Expect: 100-continue"))
        connection.send(log_of(200))
        answer = connection.answer()
        assert answer.status == 202


WHOLE_JSON_CUT = (LOG % ('"cut"', '"%s"')).encode()


def cut_length(unique: str) -> bytes:
    body = WHOLE_JSON_CUT.replace(b"%s", unique.encode())
    return post_head("/handle", f"Content-Length: {len(body) + 10}") + body


def cut_chunks(unique: str) -> bytes:
    body = WHOLE_JSON_CUT.replace(b"%s", unique.encode())
    return post_head("/handle", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(body), body)


@pytest.mark.parametrize("cut", [cut_length, cut_chunks])
def test_a_body_that_was_cut_off_does_nothing(stack, public, entries, unique, cut):
    for half_close in (True, False):
        with RawConnection(stack.public) as connection:
            connection.send(cut(unique))
            if half_close:
                connection.end_of_input()
                answer = connection.answer()
                assert answer is None or answer.status >= 400
    # Whatever was taken before is stored by now, and it was not among it.
    entry_id = public.post("/handle", json={"action": "log", "log": {"name": "after", "data": ""}}).json()["data"]["id"]
    entries.wait_for(entry_id)
    assert entries.collection.find_one({"data": unique}) is None


BROKEN_CHUNKS = [
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"-1\r\n{}\r\n0\r\n\r\n",
    b"ffffffffffffffffff\r\n{}\r\n",
    b"2\r\n{}XX0\r\n\r\n",
]


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS, ids=repr)
def test_broken_chunks_are_refused(stack, chunks):
    with RawConnection(stack.public) as connection:
        connection.send(post_head("/handle", "Transfer-Encoding: chunked") + chunks)
        connection.end_of_input()
        answer = connection.answer()
    assert answer.status in (400, 413)
    check_error(answer, answer.status)


@pytest.mark.slow
def test_a_body_that_stops_coming_is_408_and_holds_no_worker(stack, public):
    def stalled(start: bytes) -> tuple[Answer | None, float]:
        with RawConnection(stack.public) as connection:
            connection.send(start)
            began = time.monotonic()
            return connection.answer(), time.monotonic() - began

    nothing = post_head("/handle", "Content-Length: 200")
    some = nothing + b'{"action":'
    chunks = post_head("/handle", "Transfer-Encoding: chunked") + b'a\r\n{"action":\r\n'
    with ThreadPoolExecutor(24) as pool:
        waiting = [pool.submit(stalled, start) for start in (nothing, some, chunks) for _ in range(8)]
        for _ in range(20):  # six times as many as there are workers wait, and none is held
            began = time.monotonic()
            check_error(public.post("/handle", json={"action": "none"}), 400, "handle", "unknown action")
            assert time.monotonic() - began < SERVED_WITHIN_S
        for answer, took in (w.result() for w in waiting):
            check_error(answer, 408)
            assert took < BODY_TIMEOUT_S + 3


@pytest.mark.slow
def test_a_body_that_drips_is_408(stack):
    """A byte now and then does not keep a request alive for ever."""
    with RawConnection(stack.public) as connection:
        connection.send(post_head("/handle", "Content-Length: 100000"))
        connection.socket.settimeout(0.2)
        began = time.monotonic()
        answered = b""
        while not answered:
            connection.send(b" ")
            try:
                answered = connection.socket.recv(12)
            except TimeoutError:
                assert time.monotonic() - began < BODY_TIMEOUT_S + 5
    assert answered == b"HTTP/1.1 408"


@pytest.mark.slow
def test_a_head_that_never_ends_is_given_up(stack):
    with RawConnection(stack.public, timeout_s=15) as connection:
        connection.send(b"POST /handle HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
        answer = connection.answer()
    assert answer is None or answer.status == 408


# Methods. What is asked of Caddy's own paths is answered by Caddy.


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "PROPFIND"])
@pytest.mark.parametrize("path", ["/handle", "/broker"])
def test_another_method_is_405_and_says_which_are_taken(public, method, path):
    answer = public.request(method, path)
    check_error(answer, 405, path[1:])
    assert answer.headers["allow"] == "POST"
    assert answer.headers["x-handler"] == path[1:]


@pytest.mark.parametrize("path", ["/authenticate", "/log", "/send"])
def test_another_method_is_405_on_the_internal_site(internal, path):
    answer = internal.get(path)
    check_error(answer, 405, path[1:])
    assert answer.headers["allow"] == "POST"


def test_head_has_a_405_without_a_body(public):
    answer = public.head("/handle")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_the_root_takes_get_head_and_post(public, method):
    answer = public.request(method, "/")
    check_error(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_ping_takes_get_and_head(public, method):
    answer = public.request(method, "/ping")
    check_error(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "BREW"])
def test_an_unknown_path_is_404_whatever_the_method(public, method):
    check_error(public.request(method, "/nothing"), 404, message="no such handler")


# Paths, sent as they are.

NO_HANDLER = [
    "/nothing", "/Handle", "/HANDLE", "/handle.live", "/handle.sock", "/-handle", "/1handle", "//handle", "/./handle",
    "/handle%00", "/%00handle", "/handle%0a", "/han%64le%2f..%2f..%2fetc", "/../handle", "/../../etc/passwd",
    "/%2e%2e/handle", "/%2e%2e%2fhandle", "/handle/../log", "/x/../handle", "/handle\\x", "/" + "a" * 33,
    "/" + "a" * 8000, "/public/handle", "/internal/log", "/{env.DSN}", "/%7Benv.DSN%7D", "/$HOME", "/.git/config",
    "/ä".encode().decode("latin-1"), "/%c3%a4", "/%ff", "/handle;x", "/handle:80", "/handle#x",
]  # fmt: skip


@pytest.mark.parametrize("path", NO_HANDLER, ids=lambda p: ascii(p[:40]))
def test_a_path_that_is_no_handlers_is_404(stack, path):
    answer = raw(stack.public, post_head(path, "Content-Length: 2") + b"{}")
    assert "x-handler" not in answer.headers, "a worker answered"
    check_error(answer, 404, message="no such handler")


@pytest.mark.parametrize("path", ["/..", "/handle/.."])
def test_a_path_that_climbs_to_the_root_is_the_pages(stack, path):
    answer = raw(stack.public, post_head(path, "Content-Length: 2") + b"{}")
    assert "x-handler" not in answer.headers, "a worker answered"
    check_error(answer, 405)


def test_a_nul_in_a_path_reaches_no_worker(stack):
    answer = raw(stack.public, post_head("/handle/%00", "Content-Length: 2") + b"{}")
    assert "x-handler" not in answer.headers
    check_error(answer, 400)


@pytest.mark.parametrize("path", ["/handle/x", "/handle/x/y", "/handle//"])
def test_a_path_under_a_handler_that_has_none_is_404(stack, path):
    answer = raw(stack.public, post_head(path, "Content-Length: 2") + b"{}")
    assert answer.status == 404
    check_error(answer, 404)


@pytest.mark.parametrize("path", ["/handle?x=1", "/handle?action=log", "/handle/", "/handl%65", "/handle?%00"])
def test_a_path_with_something_beside_it_is_the_handlers(stack, path):
    answer = raw(stack.public, post_head(path, "Content-Length: 17") + b'{"action":"none"}')
    check_error(answer, 400, "handle", "unknown action")


# Heads. What is no HTTP is refused before there is a request: in plain text, without a name.


def test_a_head_of_thirty_kibibytes_is_taken(stack):
    many = [f"X-Header-{i}: {'x' * 1000}" for i in range(28)]
    answer = raw(stack.public, post_head("/handle", *many, "Content-Length: 17") + b'{"action":"none"}')
    check_error(answer, 400, "handle", "unknown action")


@pytest.mark.parametrize("size", [64 * 1024, MIB, 4 * MIB])
def test_a_huge_head_is_431(stack, size):
    answer = raw(stack.public, post_head("/handle", "X-Huge: " + "x" * size, "Content-Length: 0"))
    assert answer is not None and answer.status == 431


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"POST /handle\r\n\r\n", 400),
        (b"POST handle HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /handle HTTP/1.1\r\n\r\n", 400),
        (b"POST /handle HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /handle HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /handle HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST /handle HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n{}", 400),
        (b"POST /handle HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{}", 501),
        (b"POST /handle HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", 400),
        (b"POST /handle HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        (b"POST /handle HTTP/9.9\r\nHost: x\r\n\r\n", 505),
        (b"POST /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=repr,
)
def test_what_is_no_http_is_refused(stack, head, status):
    with RawConnection(stack.public, timeout_s=15) as connection:
        connection.send(head)
        connection.end_of_input()
        answer = connection.answer()
    assert answer is None or answer.status == status


def test_a_body_smuggled_behind_another_is_no_request(stack):
    hidden = post_head("/broker", "Content-Length: 0")
    both = post_head("/handle", f"Content-Length: {len(hidden)}", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden
    with RawConnection(stack.public) as connection:
        connection.send(both)
        stream = connection.socket.makefile("rb").read()
    assert stream.count(b"HTTP/1.1 ") == 1 and b"Hit the broker" not in stream


def test_connections_that_say_nothing_hold_no_worker(stack, public):
    silent = [RawConnection(stack.public) for _ in range(50)]
    try:
        began = time.monotonic()
        check_error(public.post("/handle", json={"action": "none"}), 400, "handle", "unknown action")
        assert time.monotonic() - began < SERVED_WITHIN_S
    finally:
        for connection in silent:
            connection.socket.close()
