"""CORS: any origin without credentials unless origins are configured; on errors too; preflight by the front door."""

import pytest

from support.stack import NativeStack
from support.web import check_error

ORIGIN = {"Origin": "https://elsewhere.example"}
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


def check_any_origin(answer):
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["access-control-expose-headers"] == "Link, X-Request-Id"


def words(header: str) -> set[str]:
    return {word.strip() for word in header.split(",")}


@pytest.mark.contract
@pytest.mark.parametrize("path", ["/", "/handle", "/log-rpc", "/nothing", "/ping"])
def test_preflight_says_what_is_allowed(public, path):
    answer = public.options(path, headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    check_any_origin(answer)
    assert words(answer.headers["access-control-allow-methods"]) == {"GET", "POST", "PUT", "DELETE", "OPTIONS"}
    allowed = words(answer.headers["access-control-allow-headers"])
    assert allowed == {"Accept", "Content-Type", "Authorization", "X-CSRF-Token"}
    assert answer.headers["access-control-max-age"] == "300"
    assert "x-handler" not in answer.headers, "a worker was bothered"


@pytest.mark.contract
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", 200), ("GET", "/", 200), ("GET", "/ping", 200), ("POST", "/handle", 400), ("GET", "/handle", 405),
     ("POST", "/nothing", 404)],
)  # fmt: skip
def test_every_answer_may_be_read_from_any_origin(public, method, path, status):
    answer = public.request(method, path, headers=ORIGIN)
    assert answer.status_code == status
    check_any_origin(answer)


@pytest.mark.contract
def test_a_body_that_is_too_large_may_be_read_too(public):
    answer = public.post("/handle", content=b"x" * (1024 * 1024 + 1), headers=ORIGIN)
    check_error(answer, 413)
    check_any_origin(answer)


@pytest.mark.contract
def test_options_without_a_preflights_headers_is_the_handlers(public):
    answer = public.options("/handle")
    check_error(answer, 405, "handle")


@pytest.mark.contract
def test_the_private_sites_know_no_cors(internal):
    answer = internal.post("/log", content=b"", headers=ORIGIN)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.faults
def test_only_the_configured_origins_may_read(native: NativeStack, public):
    native.up(CORS_ORIGINS="https://one.example, https://two.example")
    try:
        for origin in ("https://one.example", "https://two.example"):
            for path in ("/", "/nothing"):
                answer = public.post(path, headers={"Origin": origin})
                assert answer.headers["access-control-allow-origin"] == origin
                assert answer.headers["access-control-allow-credentials"] == "true"
                assert "Origin" in words(answer.headers["vary"])
        for origin in ("https://three.example", "https://one.example.evil", "http://one.example", "null", "*"):
            answer = public.post("/", headers={"Origin": origin})
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers
            assert "Origin" in words(answer.headers["vary"])
    finally:
        native.up(CORS_ORIGINS="")
    check_any_origin(public.post("/", headers=ORIGIN))
