"""The listener against a real RabbitMQ and a queue site of the test's own: what it delivers, and what becomes of it."""

import json
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter

import pytest

from support.broker import EXCHANGE, Broker
from support.listening import Answer, Listener, Site
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


@pytest.fixture
def site():
    s = Site()
    yield s
    s.close()


@pytest.fixture
def queue():
    return f"q{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(broker):
    with broker.client() as c:
        yield c


@pytest.fixture
def make(broker, site, queue):
    """Starts a listener that feeds `queue` (all keys QUEUE.#) into the handler "eat"."""
    made = []

    def make_listener(wait: bool = True, settings: dict | None = None, **trigger) -> Listener:
        text = trigger_text(queue, **trigger)
        made.append(Listener(broker.url, site.url, text, **(settings or {})))
        made[-1].start(wait)
        return made[-1]

    yield make_listener
    for one in made:
        one.remove()


def trigger_text(queue: str, handler: str = "eat", keys: str = "", **members) -> str:
    members = {"backoff": "100ms 300ms", "batch_window": "20ms"} | members
    lines = [f"[{queue}]", f"keys = {keys or queue + '.#'}", f"handler = {handler}"]
    return "\n".join(lines + [f"{name} = {value}" for name, value in members.items()]) + "\n"


def empty(client, queue: str) -> bool:
    return client.count(queue) == 0


def dead_letter(client, queue: str, seconds: float = 10):
    wait_until(lambda: client.count(f"{queue}.dead") > 0, seconds, "a dead letter")
    properties, body = client.get(f"{queue}.dead")
    return properties.headers, properties, body


# ---- what is delivered ----


def test_a_message_is_posted_to_its_handler_with_id_key_attempt_and_payload(make, site, queue, client):
    make()
    sent = client.publish(f"{queue}.INFO", {"name": "n", "data": "é\u0001"})
    wait_until(lambda: site.calls)
    call = site.calls[0]
    assert call.path == "/eat"
    assert call.headers["X-Trigger"] == queue
    assert call.headers["Content-Type"] == "application/json"
    assert len(call.headers["X-Request-Id"]) == 32
    assert "traceparent" not in call.headers
    assert call.items == [
        {"id": sent, "key": f"{queue}.INFO", "attempt": 1, "payload": {"name": "n", "data": "é\u0001"}}
    ]
    assert list(call.items[0]) == ["id", "key", "attempt", "payload"]


def test_a_lone_message_keeps_its_request_id_and_trace(make, site, queue, client):
    make()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.publish(f"{queue}.x", 1, headers={"x-request-id": "abc-123", "traceparent": trace})
    wait_until(lambda: site.calls)
    assert site.calls[0].headers["X-Request-Id"] == "abc-123"
    assert site.calls[0].headers["traceparent"] == trace


def test_a_request_id_that_would_break_a_header_is_not_passed_on(make, site, queue, client):
    make()
    client.publish(f"{queue}.x", 1, headers={"x-request-id": "a\r\nX-Evil: 1", "traceparent": "x y"})
    wait_until(lambda: site.calls)
    assert "X-Evil" not in site.calls[0].headers and "traceparent" not in site.calls[0].headers
    assert len(site.calls[0].headers["X-Request-Id"]) == 32


def test_ids_of_other_forms_are_made_from_their_hash_and_missing_ones_new(make, site, queue, client):
    make(batch_size=1)
    for message_id in ("ABCDEF0123456789ABCDEF01", "6fa459ea-ee8a-3ca4-894e-db77e160355e", None, None):
        client.publish(f"{queue}.x", {}, message_id=message_id)
    wait_until(lambda: len(site.ids()) == 4)
    ids = sorted(site.ids())
    assert "abcdef0123456789abcdef01" in ids
    assert len(set(ids)) == 4
    assert all(len(i) == 24 and set(i) <= set("0123456789abcdef") for i in ids)


def test_every_json_value_is_a_payload(make, site, queue, client):
    make()
    values = [{"a": [1, 2.5, {"b": None}]}, [], "text", 0, -1.5e10, True, None, '\U0001f600\\"\n']
    for value in values:
        client.publish(f"{queue}.x", value)
    client.publish(f"{queue}.x", b' \t\n{"spaces" : "around"}\r\n')
    wait_until(lambda: len(site.ids()) == len(values) + 1)
    assert [i["payload"] for i in site.items()] == [*values, {"spaces": "around"}]


def test_strange_routing_keys_arrive_as_clean_text(make, site, queue, client):
    make()
    for key in (f'{queue}.a"b\\c', f"{queue}.é", f"{queue}.\u0001"):
        client.publish(key, {})
    wait_until(lambda: len(site.ids()) == 3)
    assert [i["key"] for i in site.items()][:2] == [f'{queue}.a"b\\c', f"{queue}.é"]


def test_waiting_messages_go_in_batches_of_the_trigger_s_size(make, site, queue, client):
    make().stop()
    sent = client.flood(queue, f"{queue}.x", list(range(95)))
    make(batch_size=10, max_concurrency=2, batch_window="300ms")
    wait_until(lambda: len(site.ids()) == 95)
    sizes = [len(c.items) for c in site.calls]
    assert max(sizes) == 10 and sizes.count(10) == 9 and sum(sizes) == 95
    assert sorted(site.ids()) == sorted(sent)


def test_a_batch_that_is_not_full_waits_for_its_window(make, site, queue, client):
    make(batch_window="400ms")
    start = time.monotonic()
    for i in range(5):
        client.publish(f"{queue}.x", i)
    wait_until(lambda: len(site.ids()) == 5)
    assert len(site.calls) == 1
    assert site.calls[0].at - start > 0.3


def test_a_batch_is_bounded_in_bytes(make, site, queue, client):
    make().stop()
    for _ in range(12):
        client.publish(f"{queue}.x", "x" * 30000)
    make(settings={"MAX_BATCH_BYTES": "100000"}, batch_window="200ms")
    wait_until(lambda: len(site.ids()) == 12)
    assert max(len(c.items) for c in site.calls) == 3
    assert empty(client, queue)


def test_no_id_is_twice_in_a_batch(make, site, queue, client):
    make().stop()
    for _ in range(3):
        client.publish(f"{queue}.x", "same", message_id="a" * 24)
        client.publish(f"{queue}.x", "other")
    make(batch_window="100ms")
    wait_until(lambda: len(site.ids()) == 6)
    assert all(len(set(c.ids)) == len(c.ids) for c in site.calls)
    assert site.ids().count("a" * 24) == 3


def test_no_more_calls_are_under_way_than_the_trigger_allows(make, site, queue, client):
    make().stop()
    client.flood(queue, f"{queue}.x", list(range(60)))

    def slow(_):
        time.sleep(0.05)
        return Answer()

    site.answer = slow
    make(batch_size=2, max_concurrency=3)
    wait_until(lambda: len(site.ids()) == 60)
    assert site.most_under_way == 3


# ---- what becomes of it: the table of answers ----


def test_nothing_is_acked_before_the_answer(make, site, queue, client):
    go = threading.Event()
    site.answer = lambda call: go.wait(20) and Answer()
    listener = make()
    client.publish(f"{queue}.x", 1)
    wait_until(lambda: site.calls)
    listener.stop(signal.SIGKILL)
    wait_until(lambda: client.count(queue) == 1, what="it is back in the queue")
    go.set()


def test_what_is_answered_2xx_by_a_worker_is_acked(make, site, queue, client, broker):
    listener = make()
    client.publish(f"{queue}.x", 1)
    wait_until(lambda: site.calls)
    listener.stop()
    assert empty(client, queue) and empty(client, f"{queue}.dead")
    make()
    client.publish(f"{queue}.x", 2)
    wait_until(lambda: len(site.calls) == 2)
    assert [i["payload"] for i in site.items()] == [1, 2]


def test_failures_that_pass_are_tried_again_and_permanent_ones_are_dead(make, site, queue, client):
    def answer(call):
        failures = []
        for i in call.items:
            if i["payload"] == "later" and i["attempt"] < 3:
                failures.append({"id": i["id"], "permanent": False, "reason": "not now"})
            if i["payload"] == "never":
                failures.append({"id": i["id"], "permanent": True, "reason": "it cannot be"})
        return Answer(body={"error": False, "failures": failures})

    site.answer = answer
    make(batch_window="100ms")
    for payload in ("good", "later", "never"):
        client.publish(f"{queue}.k", payload)
    headers, properties, body = dead_letter(client, queue)
    assert headers["x-flexi-reason"] == "it cannot be"
    assert headers["x-flexi-handler"] == "eat"
    assert headers["x-flexi-queue"] == queue
    assert headers["x-flexi-key"] == f"{queue}.k"
    assert headers["x-flexi-attempts"] == 1
    assert headers["x-flexi-time"].startswith("20")
    assert json.loads(body) == "never" and properties.delivery_mode == 2
    wait_until(lambda: sum(i["payload"] == "later" for i in site.items()) == 3)
    later = [(i["attempt"], i["key"]) for i in site.items() if i["payload"] == "later"]
    assert later == [(1, f"{queue}.k"), (2, f"{queue}.k"), (3, f"{queue}.k")]
    assert sum(i["payload"] == "good" for i in site.items()) == 1
    assert len({i["id"] for i in site.items() if i["payload"] == "later"}) == 1


def test_after_the_last_attempt_it_is_a_dead_letter(make, site, queue, client):
    site.answer = lambda call: Answer(
        body={"failures": [{"id": i, "permanent": False, "reason": "no luck"} for i in call.ids]}
    )
    make(max_attempts=3)
    sent = client.publish(f"{queue}.x", "p", headers={"mine": "kept"}, content_type="text/x", app_id="me")
    headers, properties, _ = dead_letter(client, queue)
    assert headers["x-flexi-reason"] == "no luck" and headers["x-flexi-attempts"] == 3
    assert headers["mine"] == "kept" and properties.app_id == "me" and properties.content_type == "text/x"
    assert properties.message_id == sent
    assert not any(h.startswith(("x-death", "x-first-death")) for h in headers)
    assert [i["attempt"] for i in site.items()] == [1, 2, 3]


def test_a_step_of_the_backoff_is_waited_out_before_the_next_attempt(make, site, queue, client):
    site.answer = lambda call: Answer(body={"failures": [{"id": i} for i in call.ids]})
    make(max_attempts=4, backoff="200ms 1500ms")
    client.publish(f"{queue}.x", "p")
    dead_letter(client, queue)
    gaps = [b.at - a.answered for a, b in zip(site.calls, site.calls[1:], strict=False)]
    assert len(gaps) == 3
    assert 0.2 <= gaps[0] < 1.5 <= min(gaps[1:]) and max(gaps) < 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer(worker=False),
        Answer(body="[]"),
        Answer(body="{"),
        Answer(body=""),
        Answer(body={"failures": {}}),
        Answer(body={"failures": ["x"]}),
        Answer(body={"failures": [{"id": "unknown"}]}),
        Answer(body={"failures": [{"permanent": True}]}),
        Answer(body={"failures": None}),
    ],
    ids=["not-a-worker", "array", "not-json", "empty", "object", "text", "unknown-id", "no-id", "null"],
)
def test_a_2xx_that_does_not_say_what_was_done_fails_the_whole_batch(make, site, queue, client, answer):
    site.answer = lambda call: answer if call.items[0]["attempt"] == 1 else Answer()
    make(batch_window="100ms")
    for i in range(3):
        client.publish(f"{queue}.x", i)
    wait_until(lambda: len(site.ids()) == 6)
    assert Counter(i["attempt"] for i in site.items()) == {1: 3, 2: 3}
    wait_until(lambda: empty(client, queue))
    assert empty(client, f"{queue}.dead")


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_refusal_of_a_lone_item_is_a_dead_letter_with_the_reason(make, site, queue, client, status):
    site.answer = lambda call: Answer(status, {"error": True, "message": "name: must be a string"})
    make()
    client.publish(f"{queue}.x", {"name": 1})
    headers, *_ = dead_letter(client, queue)
    assert headers["x-flexi-reason"] == f"the handler answered {status}: name: must be a string"
    assert len(site.calls) == 1


def test_a_refusal_of_several_is_halved_down_to_the_one_and_costs_no_attempt(make, site, queue, client):
    make().stop()
    for i in range(16):
        client.publish(f"{queue}.x", "bad" if i == 11 else "good")

    def answer(call):
        bad = any(i["payload"] == "bad" for i in call.items)
        return Answer(400, {"error": True, "message": "bad"}) if bad else Answer()

    site.answer = answer
    make(batch_size=16, batch_window="200ms", max_concurrency=1)
    headers, *_ = dead_letter(client, queue)
    assert headers["x-flexi-attempts"] == 1
    wait_until(lambda: empty(client, queue))
    assert {i["attempt"] for i in site.items()} == {1}
    assert len(site.calls) == 9  # 16, and then at each step a good and a bad half
    assert client.get(f"{queue}.dead") is None


@pytest.mark.parametrize(
    "away",
    [
        Answer(404, worker=False),
        Answer(503, worker=False),
        Answer(429),
        Answer(503, {"error": True, "message": "the store is down"}),
    ],
    ids=["404", "503", "429-worker", "503-worker"],
)
def test_while_a_handler_is_away_its_trigger_pauses_and_counts_no_attempt(make, site, queue, client, away):
    back = threading.Event()
    site.answer = lambda call: Answer() if back.is_set() else away
    listener = make(batch_size=1, max_concurrency=2)
    sent = [client.publish(f"{queue}.x", i) for i in range(6)]
    listener.wait_line("trigger pauses", '"for_ms":800')
    assert len(site.calls) < 10
    back.set()
    wait_until(lambda: set(sent) <= {i for c in site.calls if c.answered and back.is_set() for i in c.ids})
    wait_until(lambda: empty(client, queue))
    listener.wait_line("trigger goes on")
    assert {i["attempt"] for i in site.items()} == {1}
    assert empty(client, f"{queue}.dead")


def test_while_nobody_listens_at_the_queue_site_the_trigger_pauses(make, site, queue, client):
    site.close()
    listener = make()
    sent = client.publish(f"{queue}.x", 1)
    listener.wait_line("trigger pauses", '"for_ms":400')
    site.open()
    wait_until(lambda: site.ids() == [sent])
    assert site.items()[0]["attempt"] == 1


@pytest.mark.parametrize(
    "broken",
    [
        Answer(500, {"error": True, "message": "x"}),
        Answer(502, worker=False),
        Answer(504, worker=False),
        Answer(401),
        Answer(302),
        Answer(cut=True),
        Answer(silent=True),
    ],
    ids=["500", "502", "504", "401", "302", "cut-off", "no-answer"],
)
def test_what_may_have_brought_its_worker_down_is_tried_again_alone(make, site, queue, client, broken):
    site.answer = lambda call: broken if call.items[0]["attempt"] == 1 else Answer()
    make(batch_window="100ms")
    for i in range(4):
        client.publish(f"{queue}.x", i)
    wait_until(lambda: len(site.ids()) >= 8)
    again = [c for c in site.calls if c.items[0]["attempt"] == 2]
    assert sorted(c.items[0]["payload"] for c in again) == [0, 1, 2, 3]
    assert all(len(c.items) == 1 for c in again)


def test_a_poison_message_takes_no_other_with_it(make, site, queue, client):
    make().stop()
    for i in range(100):
        client.publish(f"{queue}.x", "poison" if i == 50 else i)
    done = Counter()

    def answer(call):
        if any(i["payload"] == "poison" for i in call.items):
            return Answer(502, worker=False)
        done.update(i["payload"] for i in call.items)
        return Answer()

    site.answer = answer
    make(batch_window="100ms", max_attempts=3)
    headers, _, body = dead_letter(client, queue)
    assert json.loads(body) == "poison" and headers["x-flexi-attempts"] == 3
    assert headers["x-flexi-reason"] == "the front door answered 502: no"
    wait_until(lambda: len(done) == 99)
    assert set(done.values()) == {1}
    assert client.get(f"{queue}.dead") is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"not json", b"{} {}", b'{"a":1,"a":2}', b'"\xff"', b'"\\u0000"', b"[" * 20 + b"]" * 20],
    ids=["empty", "text", "two-values", "twice-named", "not-utf8", "nul", "deep"],
)
def test_a_payload_that_is_not_json_is_a_dead_letter_at_once(make, site, queue, client, payload):
    make()
    client.publish(f"{queue}.x", payload)
    headers, _, body = dead_letter(client, queue)
    assert body == payload
    assert headers["x-flexi-reason"].startswith("payload") and headers["x-flexi-attempts"] == 0
    assert not site.calls


def test_what_would_act_anew_does_not_go_along_to_a_retry_queue(make, site, queue, client):
    site.answer = lambda call: Answer() if call.items[0]["attempt"] > 1 else Answer(500)
    make()
    third = f"{queue}-third"
    client.channel.queue_declare(third, exclusive=True)
    client.channel.queue_bind(third, EXCHANGE, third)
    client.publish(f"{queue}.x", 1, headers={"CC": [third]}, expiration="60000", user_id="flexi")
    assert client.count(third) == 1
    wait_until(lambda: len(site.calls) == 2)
    assert client.count(third) == 1


def test_headers_that_are_too_large_to_go_along_stay_behind(make, site, queue, client):
    make(max_attempts=2)
    site.answer = lambda call: Answer(500)
    client.publish(f"{queue}.x", "p", headers={"large": "x" * 130000, "small": "y"})
    headers, _, body = dead_letter(client, queue)
    assert body == b'"p"' and headers["x-flexi-attempts"] == 2 and "large" not in headers


def test_a_message_larger_than_any_handler_takes_is_a_dead_letter(make, site, queue, client):
    make()
    big = b'"' + b"x" * (17 * 1024 * 1024) + b'"'
    client.publish(f"{queue}.x", big)
    sent = client.publish(f"{queue}.x", "small")
    wait_until(lambda: sent in site.ids())
    _, _, body = dead_letter(client, queue)
    assert body == big and len(site.ids()) == 1


# ---- faults ----


def test_a_killed_listener_s_messages_are_delivered_again(make, site, queue, client):
    go = threading.Event()
    site.answer = lambda call: go.wait(20) and Answer()
    first = make(batch_size=10, max_concurrency=2)
    sent = [client.publish(f"{queue}.x", i) for i in range(50)]
    wait_until(lambda: len(site.calls) == 2)
    first.stop(signal.SIGKILL)
    go.set()
    make(batch_size=10, max_concurrency=2)
    wait_until(lambda: set(site.ids()) == set(sent))
    wait_until(lambda: empty(client, queue))
    assert {i["attempt"] for i in site.items()} == {1}


def test_sigterm_lets_calls_under_way_finish_and_gives_back_the_rest(make, site, queue, client):
    go = threading.Event()
    site.answer = lambda call: go.wait(20) and Answer()
    listener = make(batch_size=5, max_concurrency=1)
    for i in range(20):
        client.publish(f"{queue}.x", i)
    wait_until(lambda: site.calls)
    under_way = len(site.ids())
    listener.send(signal.SIGTERM)
    wait_until(lambda: client.count(queue) == 20 - under_way, what="the rest is back at once")
    go.set()
    assert listener.process.wait(20) == 0
    assert len(site.calls) == 1
    assert client.count(queue) == 20 - under_way


def test_sigterm_does_not_wait_longer_than_the_drain_timeout(make, site, queue, client):
    go = threading.Event()
    site.answer = lambda call: go.wait(30) and Answer()
    listener = make(settings={"DRAIN_TIMEOUT_MS": "300"})
    client.publish(f"{queue}.x", 1)
    wait_until(lambda: site.calls)
    start = time.monotonic()
    assert listener.stop() == 0
    assert time.monotonic() - start < 5
    wait_until(lambda: client.count(queue) == 1)
    go.set()


def test_a_retry_in_hand_is_kept_through_sigterm(make, site, queue, client):
    go = threading.Event()
    site.answer = lambda call: Answer(500) if go.wait(20) and call.items[0]["attempt"] == 1 else Answer()
    listener = make(backoff="1s")
    client.publish(f"{queue}.x", 1)
    wait_until(lambda: site.calls)
    listener.send(signal.SIGTERM)
    listener.wait_line("stopping")
    go.set()
    assert listener.process.wait(20) == 0
    make(backoff="1s")
    wait_until(lambda: [i["attempt"] for i in site.items()] == [1, 2])


def test_a_deleted_queue_is_declared_and_consumed_again(make, site, queue, client):
    listener = make()
    client.channel.queue_delete(queue)
    listener.wait_line("given up", "consumer")
    listener.wait_line("connected", f"listener: {queue}", count=2)
    sent = client.publish(f"{queue}.x", 1)
    wait_until(lambda: site.ids() == [sent])


def test_a_deleted_retry_queue_is_declared_again_and_the_message_kept(make, site, queue, client):
    make()
    client.channel.queue_delete(f"{queue}.retry.100")
    client.channel.queue_delete(f"{queue}.retry.300")
    site.answer = lambda call: Answer(500) if call.items[0]["attempt"] == 1 else Answer()
    client.publish(f"{queue}.x", 1)
    wait_until(lambda: any(i["attempt"] == 2 for i in site.items()), 20)
    wait_until(lambda: empty(client, queue))


def test_a_queue_that_disagrees_with_the_file_is_named_and_holds_up_no_other(broker, site, client, queue):
    client.channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "classic"})
    other = f"{queue}-other"
    listener = Listener(broker.url, site.url, trigger_text(queue) + trigger_text(other))
    try:
        listener.start(wait=False)
        listener.wait_line("declare queue", queue, "other settings")
        wait_until(lambda: client.channel.is_open)
        listener.wait_line("connected", f"listener: {other}")
        sent = client.publish(f"{other}.x", 1)
        wait_until(lambda: site.ids() == [sent])
        assert not listener.is_ready()
        client.channel.queue_delete(queue)
        listener.wait_ready()
    finally:
        listener.remove()


def test_a_listener_starts_without_rabbitmq_and_is_ready_once_it_is_there(site, queue):
    b = Broker()
    listener = Listener(b.url, site.url, trigger_text(queue))
    try:
        listener.start(wait=False)
        listener.wait_line("no connection to RabbitMQ", count=3)
        assert not listener.is_ready() and listener.process.poll() is None
        b.start()
        listener.wait_ready()
        start = time.monotonic()
        b.stop()
        listener.wait_line("no connection to RabbitMQ", count=6)
        assert listener.stop() == 0
        assert time.monotonic() - start < 10
    finally:
        listener.remove()
        b.remove()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restart_of_rabbitmq_loses_nothing(make, site, queue, broker, number):
    def slow(call):
        time.sleep(0.02)
        return Answer(500) if call.items[0]["attempt"] == 1 and call.items[0]["payload"] % 20 == 0 else Answer()

    site.answer = slow
    listener = make(batch_size=5, max_concurrency=2)
    with broker.client() as c:
        sent = [c.publish(f"{queue}.x", i) for i in range(300)]
    wait_until(lambda: len(site.ids()) > 50)
    broker.stop(number)
    listener.wait_line("no connection")
    broker.start()
    with broker.client() as c:
        sent.append(c.publish(f"{queue}.x", 1))
        wait_until(lambda: set(sent) <= set(site.ids()), 30)
        wait_until(lambda: empty(c, queue), 30)
        assert empty(c, f"{queue}.dead")


def test_a_frozen_rabbitmq_is_given_up_and_found_again(make, site, queue, broker, client):
    listener = make()
    broker.send(signal.SIGSTOP)
    try:
        listener.wait_line("given up", "eartbeat", f"listener: {queue}", seconds=40)
    finally:
        broker.send(signal.SIGCONT)
    listener.wait_line("connected", f"listener: {queue}", count=2, seconds=40)
    with broker.client() as c:
        sent = c.publish(f"{queue}.x", 1)
    wait_until(lambda: sent in site.ids())


@pytest.mark.slow
def test_an_idle_listener_keeps_its_connections(make, queue, broker, site):
    listener = make()
    before = sorted(broker.ctl("list_connections", "pid").split())
    deadline = time.monotonic() + 25  # longer than RabbitMQ waits for two heartbeats
    wait_until(lambda: time.monotonic() > deadline, 40)
    assert sorted(broker.ctl("list_connections", "pid").split()) == before
    assert "given up" not in listener.lines()


def test_while_rabbitmq_blocks_publishers_retries_wait_and_deliveries_go_on(make, site, queue, broker, client):
    site.answer = lambda call: Answer(500) if call.items[0]["payload"] == "bad" else Answer()
    listener = make(max_attempts=2)
    client.publish(f"{queue}.x", "bad")
    wait_until(lambda: site.calls)
    good = [client.publish(f"{queue}.x", i) for i in range(5)]
    dead_letter(client, queue)
    broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        assert set(good) <= set(site.ids())
        # What a publisher sends while blocked is not read: so this connection must only consume.
        waiting = client.count(queue)
        assert waiting == 0
        listener.send(signal.SIGHUP)  # it still hears
        listener.wait_line("triggers read anew")
    finally:
        broker.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
    client.publish(f"{queue}.x", "bad")
    dead_letter(client, queue)


def test_letters_that_nobody_confirmed_are_sent_again(make, site, queue, broker, client):
    """They lie unread in a connection that RabbitMQ blocks, and then closes; that of the consumer lives on."""
    go = threading.Event()
    site.answer = lambda call: Answer() if call.items[0]["attempt"] > 1 else go.wait(30) and Answer(500)
    listener = make(batch_size=20, batch_window="500ms")
    sent = {client.publish(f"{queue}.x", i) for i in range(20)}
    wait_until(lambda: sent <= set(site.ids()), what="all are in hand")
    broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        wait_until(lambda: "memory" in broker.ctl("eval", "rabbit_alarm:get_alarms()."), what="publishers are blocked")
        go.set()
        (connection,) = wait_until(lambda: blocked(broker), what="letters wait unread")
        broker.ctl("close_connection", connection, "test")
        listener.wait_line("given up", "listener: retries")
    finally:
        broker.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
    wait_until(lambda: sent == {i["id"] for i in site.items() if i["attempt"] == 2}, 20, "all come again")
    wait_until(lambda: empty(client, queue) and empty(client, f"{queue}.retry.100"))
    assert empty(client, f"{queue}.dead")


def blocked(broker) -> list[str]:
    """The connections that RabbitMQ does not read from."""
    lines = [line.split("\t") for line in broker.ctl("list_connections", "pid", "state").splitlines()]
    return [pid for pid, state in lines if state == "blocked"]


@pytest.mark.slow
def test_kills_at_random_lose_nothing(make, site, queue, broker):
    """A listener and a broker that die whenever they like: each message is done once more rather than once less."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def answer(call):
        time.sleep(dice.random() * 0.01)
        first = call.items[0]
        if first["attempt"] == 1 and first["payload"] % 7 == 0:
            return Answer(dice.choice([500, 502, 503, 400]), worker=dice.random() < 0.5)
        done.update(call.ids)
        return Answer()

    done: set[str] = set()
    site.answer = answer
    settings = {"CONFIRM_TIMEOUT_MS": "1000"}
    listener = make(batch_size=20, max_concurrency=3, max_attempts=20, settings=settings)
    sent: set[str] = set()
    for step in range(12):
        enough = len(site.calls) + dice.randrange(1, 6)
        with broker.client() as c:
            sent.update(c.publish(f"{queue}.x", i) for i in range(150))
        # That makes eight calls or more. Some of them are seen to begin, and then:
        wait_until(lambda enough=enough: len(site.calls) >= enough, 30, f"seed {seed}: calls in step {step}")
        if step % 6 == 5:
            broker.stop()
            broker.start()
            with broker.client() as c:
                wait_until(lambda c=c: c.consumers(queue) == 1, 30)
        else:
            listener.stop(signal.SIGKILL)
            listener.start(wait=False)
    with broker.client() as c:
        dead: set[str] = set()

        def all_accounted_for() -> bool:
            while (letter := c.get(f"{queue}.dead")) is not None:
                dead.add(letter[0].message_id)
            lost = sent - done - dead
            assert not lost, (seed, len(lost), sorted(lost)[:5])
            return True

        try:
            wait_until(all_accounted_for, 60)
        except AssertionError:
            print(broker.ctl("list_queues", "name", "messages_ready", "messages_unacknowledged", "consumers"))
            lost = sent - done - dead
            print([(i["id"], i["attempt"], round(c.at)) for c in site.calls for i in c.items if i["id"] in lost])
            print(listener.lines()[-20000:])
            raise
        wait_until(lambda: empty(c, queue) and empty(c, f"{queue}.retry.100") and empty(c, f"{queue}.retry.300"), 30)
    assert listener.stop() == 0
    print(f"{len(sent)} messages, {len(site.ids())} deliveries, {len(dead)} dead letters")


# ---- settings ----


def test_sighup_reads_the_triggers_anew(make, site, queue, client):
    listener = make()
    other = f"{queue}-two"
    listener.triggers.write_text(trigger_text(queue, handler="drink") + trigger_text(other))
    listener.send(signal.SIGHUP)
    listener.wait_line("connected", f"listener: {other}")
    listener.wait_line("connected", f"listener: {queue}", count=2)
    client.publish(f"{queue}.x", 1)
    client.publish(f"{other}.x", 2)
    wait_until(lambda: len(site.calls) == 2)
    assert sorted((c.path, c.items[0]["payload"]) for c in site.calls) == [("/drink", 1), ("/eat", 2)]
    listener.triggers.write_text(trigger_text(other))
    listener.send(signal.SIGHUP)
    wait_until(lambda: client.consumers(queue) == 0)
    assert client.consumers(other) == 1


def test_a_bad_file_at_sighup_leaves_everything_as_it_was(make, site, queue, client):
    listener = make()
    listener.triggers.write_text(trigger_text(queue) + "nonsense = 1\n")
    listener.send(signal.SIGHUP)
    listener.wait_line("the triggers stay as they were", "6")
    sent = client.publish(f"{queue}.x", 1)
    wait_until(lambda: site.ids() == [sent])


def test_a_bad_setting_at_the_start_is_told_and_ends_it(broker, site, queue):
    for settings in ({"TRIGGERS_FILE": "/nowhere"}, {"QUEUE_URL": "ftp://x"}, {"DRAIN_TIMEOUT_MS": "x"}):
        listener = Listener(broker.url, site.url, trigger_text(queue), **settings)
        listener.start(wait=False)
        assert listener.process.wait(10) == 100
        name = next(iter(settings))
        assert (name if name != "TRIGGERS_FILE" else "/nowhere") in listener.lines()
        listener.remove()


# ---- measure ----


def test_what_waits_does_not_fill_memory(make, site, queue, client):
    make().stop()
    for _ in range(60):
        client.publish(f"{queue}.x", "x" * 1_000_000)
    go = threading.Event()
    site.answer = lambda call: go.wait(60) and Answer()
    settings = {"MAX_BATCH_BYTES": str(2 * 1024 * 1024)}
    listener = make(settings=settings, batch_size=100, max_concurrency=2)
    wait_until(lambda: len(site.calls) == 2)
    held = client.channel.queue_declare(queue, passive=True).method.message_count
    assert held == 0, "all are in the listener's hand, as far as RabbitMQ knows"
    peak = listener.memory_kib()
    go.set()
    wait_until(lambda: len(set(site.ids())) == 60, 60)
    wait_until(lambda: empty(client, queue))
    if "ASAN_OPTIONS" not in os.environ:
        assert peak < 24 * 1024
    assert len(site.ids()) == 60


@pytest.mark.slow
def test_20000_waiting_messages_drain(make, site, queue, client):
    make().stop()
    sent = client.flood(queue, f"{queue}.x", [{"name": "n", "data": "x" * 100}] * 20000)
    start = time.monotonic()
    listener = make(batch_size=100, max_concurrency=4)
    wait_until(lambda: len(site.ids()) >= 20000, 60)
    seconds = time.monotonic() - start
    wait_until(lambda: empty(client, queue))
    print(f"20,000 messages in {seconds:.2f} s: {20000 / seconds:.0f}/s; memory {listener.memory_kib()} KiB")
    assert sorted(site.ids()) == sorted(sent)
    assert listener.stop() == 0
    assert empty(client, queue)
