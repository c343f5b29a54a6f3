"""Workers that die at each point of reading and answering, ours and a plain libfcgi program: no false success.

A worker is told by a file at which byte of its connection to die (tests/preload/killer.c). Called
directly it must never look like a success that it was none; fed by the listener, what it had in hand
must come again.
"""

import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import httpx
import pika
import pytest

from support.peers import EXCHANGE, Rabbit
from support.stack import BUILD, NativeStack
from support.wait import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.native, pytest.mark.timeout(300)]

WORKERS = 6
BODY = b"b" * 20000  # more than libfcgi takes in at once
DELIVERED_WITHIN_S = 30

# How many bytes of the connection a worker may still take in, or give out. A request by the front door is
# about 900 bytes of records before its body; an answer of ours is about 200 bytes.
READ_POINTS = [*range(0, 1200, 61), 2000, 8191, 8192, 8193, 12000, 16384, 20000]
WRITE_POINTS_BY_QUEUE = [0, 1, 8, 9, 40, 70, 90, 100, 110, 120, 140, 160, 180, 200, 220, 240]
END_OF_SWEEP = 600


class Killed:
    """Handlers whose workers die where they are told to."""

    def __init__(self, native: NativeStack):
        self.native = native
        self.directory = native.parent / "killed"
        self.directory.mkdir()
        self.directory.chmod(0o777)  # the stack's user removes the file
        self.file = self.directory / "point"
        self.dropped: list[tuple[Path, str]] = []
        shutil.copy(BUILD / "preload/killer.so", self.directory)

    def drop(self, place: str, name: str, program: Path) -> None:
        """A handler `name` that runs this program, with what kills it."""
        binary = self.directory / name
        shutil.copy(program, binary)
        binary.chmod(0o755)
        script = self.directory / f"{name}.sh"
        script.write_text(f"#!/bin/sh\nLD_PRELOAD={self.directory}/killer.so KILLER={self.file} exec {binary}\n")
        (self.native.handlers_dir / place / f"{name}.conf").write_text(f"workers = {WORKERS}\n")
        self.dropped.append((self.native.drop(script, place, name), name))
        self.native.wait_for_live(place, name)

    def aim(self, what: str, count: int = 0) -> None:
        temporary = self.directory / "next"
        temporary.write_text(f"{what} {count}")
        temporary.rename(self.file)

    def fired(self) -> bool:
        """Whether one died since; from now on none does."""
        try:
            self.file.unlink()
            return False
        except FileNotFoundError:
            return True

    def remove(self) -> None:
        for file, _ in self.dropped:
            file.unlink()
            file.with_name(file.name + ".conf").unlink()
        for file, name in self.dropped:
            self.native.wait_for_live(file.parent.name, name, live=False)
        shutil.rmtree(self.directory)


@pytest.fixture(scope="module")
def killed(native):
    k = Killed(native)
    try:
        k.drop("public", "kill-gated", BUILD / "probes/gated")
        k.drop("public", "kill-probe", BUILD / "probes/probe")
        k.drop("internal", "kill-log", native.bundled("log"))
        yield k
    finally:
        k.remove()


@pytest.fixture(autouse=True)
def nobody_is_aimed_at(request):
    yield
    if "killed" in request.fixturenames:
        request.getfixturevalue("killed").fired()


def post(client: httpx.Client, path: str, **content) -> httpx.Response | None:
    """The answer; None for one that HTTP shows to be none, or not whole: then its connection is of no use, either."""
    try:
        return client.post(path, headers={"Connection": "close"}, **content)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return None


def succeeded(answer: httpx.Response | None) -> bool:
    return answer is not None and answer.is_success


def sweep(killed: Killed, call) -> int:
    """Kills after each byte of the answer, until it is whole before that; returns how many died."""
    for point in range(END_OF_SWEEP):
        killed.aim("write", point)
        answer = call()
        if not killed.fired():
            assert succeeded(answer), (point, answer)
            return point
        if succeeded(answer):
            check_whole(answer, point)
        elif answer is not None:
            assert answer.status_code == 502, (point, answer.text)
    raise AssertionError("the answer has no end")


def check_whole(answer: httpx.Response, point: int) -> None:
    """A success of a worker that died is one that it had given whole, its last byte included."""
    assert answer.headers.get("content-length") == str(len(answer.content)), point
    assert answer.content, point


# ---- called directly ----


@pytest.mark.parametrize("name", ["kill-gated", "kill-probe"])
def test_a_worker_that_dies_before_it_accepts_is_not_noticed(killed, public, name):
    for _ in range(5):
        killed.aim("accept")
        assert post(public, f"/{name}").status_code == 200
        wait_until(lambda: not killed.file.exists(), what="one died")  # a plain one after its next request


@pytest.mark.parametrize("name", ["kill-gated", "kill-probe"])
def test_a_worker_that_dies_while_it_reads_answers_nothing(killed, public, name):
    for point in READ_POINTS:
        killed.aim("read", point)
        answer = post(public, f"/{name}", content=BODY)
        assert killed.fired(), point
        assert answer is not None and answer.status_code == 502, (point, answer)


def test_an_answer_of_ours_that_is_cut_at_any_byte_is_no_success(killed, public):
    assert sweep(killed, lambda: post(public, "/kill-gated", content=BODY)) > 100


def test_a_log_that_was_answered_202_by_a_worker_that_died_is_stored(killed, internal, entries, unique):
    calls, accepted = iter(range(END_OF_SWEEP)), []

    def log() -> httpx.Response | None:
        data = str(next(calls))
        answer = post(internal, "/kill-log", json={"name": unique, "data": data})
        if succeeded(answer):
            accepted.append(data)
        return answer

    assert sweep(killed, log) > 100
    assert accepted
    assert set(accepted) <= {e["data"] for e in entries.named(unique)}


def test_an_answer_of_a_plain_program_by_the_book_that_is_cut_at_any_byte_is_no_success(killed, public):
    """By the book: it names its length, and its status last."""
    assert sweep(killed, lambda: post(public, "/kill-probe?sized", content=BODY)) > 100


@pytest.mark.parametrize("crash", ["crash", "crash=done"])
def test_a_plain_program_that_dies_around_what_it_does_is_a_502(killed, public, crash):
    assert post(public, f"/kill-probe?{crash}", content=BODY).status_code == 502


@pytest.mark.parametrize("crash", ["head", "body"])
def test_a_plain_program_that_names_its_length_and_dies_in_its_answer_is_no_success(killed, public, crash):
    for length in (10, 1000, 100_000, 2_000_000):
        assert not succeeded(post(public, f"/kill-probe?sized&crash={crash}&length={length}"))


def test_a_plain_program_that_dies_after_its_whole_answer_has_answered(killed, public):
    answer = post(public, "/kill-probe?sized&crash=end&length=1000")
    assert answer is None or (answer.status_code, answer.content) == (200, b"x" * 1000)


@pytest.mark.parametrize("crash", ["head", "body"])
def test_without_a_length_a_cut_answer_looks_whole_and_so_docs_ask_for_one(killed, public, crash):
    """FastCGI ends a stream by closing it, too: nobody before the client can tell. The listener can: see below."""
    answer = post(public, f"/kill-probe?crash={crash}")
    assert answer is None or answer.status_code == 502 or "HTTP_X_REQUEST_ID" not in answer.text


# ---- fed by a queue ----

TRIGGER = """
[{queue}]
keys = {queue}
handler = {handler}
batch_size = 10
batch_window = 10ms
max_attempts = 8
backoff = 10ms
"""


class Fed:
    """A queue of its own, and what was sent through it."""

    def __init__(self, native: NativeStack, queue: str):
        self.queue = queue
        self.rabbit = Rabbit(native.rabbitmq_url)

    def send(self, *payloads: object) -> list[str]:
        """Publishes in one go, so that they come in one batch; returns the messages' ids."""
        ids = [os.urandom(12).hex() for _ in payloads]
        with self.rabbit.channel() as channel:
            for message_id, payload in zip(ids, payloads, strict=True):
                properties = pika.BasicProperties(message_id=message_id, delivery_mode=2)
                channel.basic_publish(EXCHANGE, self.queue, json.dumps(payload).encode(), properties, mandatory=True)
        return ids

    def check_nothing_is_left(self) -> None:
        with self.rabbit.channel() as channel:

            def left(name: str) -> int:
                return channel.queue_declare(name, passive=True).method.message_count

            wait_until(lambda: left(self.queue) + left(f"{self.queue}.retry.10") == 0, 10, "nothing waits")
            assert left(f"{self.queue}.dead") == 0


@pytest.fixture(scope="module")
def fed(native, killed):
    """The handler kill-log fed by the queue kill-logs, kill-eat (a plain program) by kill-eat."""
    killed.drop("queue", "kill-eat", BUILD / "probes/probe")
    file = native.run_dir / "triggers.conf"
    before = file.read_text()
    more = TRIGGER.format(queue="kill-logs", handler="kill-log") + TRIGGER.format(queue="kill-eat", handler="kill-eat")
    queues = {name: Fed(native, name) for name in ("kill-logs", "kill-eat")}
    reload(native, before + more)
    for name in queues:
        wait_until(lambda name=name: consumers(queues[name]) == 1, 20, f"{name} is consumed")
    yield queues
    reload(native, before)
    for one in queues.values():
        wait_until(lambda one=one: consumers(one) == 0, 20, "the queue is left alone")
        with one.rabbit.channel() as channel:
            for suffix in ("", ".retry.10", ".dead"):
                channel.queue_delete(one.queue + suffix)


def reload(native: NativeStack, triggers: str) -> None:
    (native.run_dir / "triggers.conf").write_text(triggers)
    os.kill(native.service_pid("listener"), signal.SIGHUP)


def consumers(fed: Fed) -> int:
    try:
        with fed.rabbit.channel() as channel:
            return channel.queue_declare(fed.queue, passive=True).method.consumer_count
    except pika.exceptions.ChannelClosedByBroker:
        return 0


POINTS = [("accept", 0), *(("read", n) for n in READ_POINTS[:-4:2]), *(("write", n) for n in WRITE_POINTS_BY_QUEUE)]


def test_what_a_worker_of_ours_that_dies_had_in_hand_is_stored_once(killed, fed, entries, unique):
    """At each of these points one worker dies: its batch comes again, and an entry that it had stored is one entry."""
    died, sent = 0, []
    for what, point in POINTS:
        killed.aim(what, point)
        sent += fed["kill-logs"].send(*({"name": unique, "data": f"{what} {point} {i}"} for i in range(3)))
        stored = entries.wait_for_name(unique, len(sent), DELIVERED_WITHIN_S)
        died += killed.fired()
        assert sorted(str(e["_id"]) for e in stored) == sorted(sent), (what, point)
    assert died > len(POINTS) / 2, (died, len(POINTS))
    fed["kill-logs"].check_nothing_is_left()
    assert sorted(str(e["_id"]) for e in entries.named(unique)) == sorted(sent)


# A record's head, the headers, a JSON object: who has that much of it has all of it.
PROBE_ANSWER_BYTES = 8 + 47 + 33


def eaten(native: NativeStack, wanted: list[str]) -> Counter:
    """How often the plain program got each of these items, by its attempt."""
    batches = [line.partition("ate ")[2] for line in native.log_lines("queue.kill-eat") if "ate [" in line]
    items = [i for b in batches if b.endswith("]") for i in json.loads(b)]
    return Counter((i["id"], i["attempt"]) for i in items if i["id"] in wanted)


@pytest.mark.parametrize(("what", "point"), [p for p in POINTS if p[0] != "accept"], ids=lambda p: str(p))
def test_what_a_plain_program_that_dies_had_in_hand_comes_again(native, killed, fed, what, point):
    killed.aim(what, point)
    (sent,) = fed["kill-eat"].send(f"{what} {point}")
    wait_until(lambda: eaten(native, [sent]), DELIVERED_WITHIN_S)
    fed["kill-eat"].check_nothing_is_left()
    if killed.fired() and (what, point) < ("write", PROBE_ANSWER_BYTES):
        wait_until(lambda: (sent, 2) in eaten(native, [sent]), DELIVERED_WITHIN_S, "it comes again")


CRASHES = ["crash", "crash=done", *(f"crash={w}{how}" for w in ("head", "body") for how in ("", "&sized"))]


@pytest.mark.parametrize("crash", CRASHES)
def test_a_plain_program_s_answer_without_its_end_is_no_success_for_the_listener(native, fed, crash):
    """After "Status: 200" is out; with and without a Content-Length."""
    sent = fed["kill-eat"].send(crash)
    wait_until(lambda: (sent[0], 2) in eaten(native, sent), DELIVERED_WITHIN_S, "it comes again")
    fed["kill-eat"].check_nothing_is_left()


@pytest.mark.parametrize("how", ["", "&sized"])
def test_a_plain_program_that_dies_after_its_whole_answer_may_be_believed(native, fed, how):
    """What it did is done, and it said so: coming again is allowed, getting lost is not."""
    sent = fed["kill-eat"].send("crash=end" + how)
    wait_until(lambda: (sent[0], 1) in eaten(native, sent), DELIVERED_WITHIN_S)
    fed["kill-eat"].check_nothing_is_left()
