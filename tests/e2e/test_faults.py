"""Parts that are down, hang or die: an answer in bounded time, nothing lost, and no restart needed afterwards."""

import json
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from bson import ObjectId

from support.wait import wait_until
from support.web import check_error, elapsed

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

REFUSED_WITHIN_S = 5  # a peer that refuses the connection is known to be away at once
HANGING_WITHIN_S = 25  # one that does not answer: the time that a handler has for a request, and some
RECOVERED_WITHIN_S = 15
# The listener asks again with growing pauses of up to 30 s.
DELIVERED_WITHIN_S = 60


@contextmanager
def down(native, *names: str):
    """These services are down meanwhile, and ready again afterwards."""
    try:
        for name in names:
            native.stop(name)
        yield
    finally:
        for name in reversed(names):
            native.start(name)


@contextmanager
def hanging(native, name: str):
    """The service's process answers nothing meanwhile."""
    pid = native.service_pid(name)
    assert pid > 0
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill(native, name: str) -> None:
    """Kills the service's process; s6 starts it again."""
    before = native.service_pid(name)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: native.service_pid(name) not in (0, before), 30, f"{name} runs again")


def log(public, name: str, transport: str | None = None, **more):
    body = {"action": "log", "log": {"name": name, "data": "d"} | more}
    return public.post("/handle", json=body | ({"transport": transport} if transport else {}))


def recovers(call, seconds: float = RECOVERED_WITHIN_S):
    """Waits until a call answers 2xx again."""
    return wait_until(lambda: (a := call()).is_success and a, seconds, "it works again")


def check_unavailable(answer, handler: str, *statuses: int):
    assert answer.status_code in (statuses or (503,)), answer.text
    message = check_error(answer, answer.status_code, handler)
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) >= 1
    return message


# The document store.


def test_store_down_a_log_by_http_is_refused_in_time_and_works_again(native, public, internal, unique):
    with down(native, "store"):
        for _ in range(3):
            took, answer = elapsed(lambda: log(public, unique, "http"))
            check_unavailable(answer, "handle")
            assert took < REFUSED_WITHIN_S
            took, answer = elapsed(lambda: internal.post("/log", json={"name": unique, "data": "d"}))
            check_unavailable(answer, "log")
            assert took < REFUSED_WITHIN_S
    recovers(lambda: log(public, unique, "http"))


def test_store_down_a_log_by_queue_is_accepted_and_stored_later(native, public, entries, unique):
    with down(native, "store"):
        answers = [log(public, unique, "amqp") for _ in range(20)]
        assert [a.status_code for a in answers] == [202] * 20
    ids = {a.json()["data"]["id"] for a in answers}
    stored = entries.wait_for_name(unique, 20, DELIVERED_WITHIN_S)
    assert {str(e["_id"]) for e in stored} == ids


def test_store_down_a_batch_is_nobodys_fault(native, queue, entries, unique):
    item = {"id": str(ObjectId()), "key": "log.INFO", "attempt": 1, "payload": {"name": unique, "data": "d"}}
    call = {"json": [item], "headers": {"X-Trigger": "logs"}}
    with down(native, "store"):
        answer = queue.post("/log", **call)
        check_unavailable(answer, "log")
        assert answer.headers["x-handler"] == "log"
    recovers(lambda: queue.post("/log", **call))
    assert len(entries.named(unique)) == 1


def test_store_hanging_every_way_to_the_log_answers_in_time(native, public, internal, entries, unique):
    with hanging(native, "store"), ThreadPoolExecutor(6) as pool:
        direct = [pool.submit(elapsed, lambda: log(public, unique, "http")) for _ in range(2)]
        inside = [pool.submit(elapsed, lambda: internal.post("/log", json={"name": unique, "data": "d"})) for _ in "12"]
        by_queue = [pool.submit(elapsed, lambda: log(public, unique, "amqp")) for _ in range(2)]
        for took, answer in (f.result() for f in direct):
            check_unavailable(answer, "handle", 503, 504)
            assert took < HANGING_WITHIN_S
        for took, answer in (f.result() for f in inside):
            check_unavailable(answer, "log", 503, 504)
            assert took < HANGING_WITHIN_S
        for took, answer in (f.result() for f in by_queue):
            assert answer.status_code == 202
            assert took < REFUSED_WITHIN_S
    for _, answer in (f.result() for f in by_queue):
        entries.wait_for(answer.json()["data"]["id"], DELIVERED_WITHIN_S)
    recovers(lambda: log(public, unique, "http"))


def test_store_killed_while_logs_come_loses_none(native, public, entries, unique):
    answers = send_while(public, unique, 150, lambda: kill(native, "store"))
    assert [a.status_code for a in answers] == [202] * 150
    check_each_stored_once(entries, unique, answers)


# RabbitMQ.


def test_rabbitmq_down_the_next_transport_takes_a_log(native, public, entries, unique):
    with down(native, "rabbitmq"):
        for _ in range(3):
            took, answer = elapsed(lambda: log(public, unique))
            assert answer.status_code == 202, answer.text
            assert answer.json()["message"] == f"Processed payload via RPC:{unique}"
            assert took < REFUSED_WITHIN_S
            assert entries.by_id(answer.json()["data"]["id"])
        took, answer = elapsed(lambda: log(public, unique, "amqp"))
        check_unavailable(answer, "handle")
        assert took < REFUSED_WITHIN_S
    answer = recovers(lambda: log(public, unique, "amqp"), 30)
    entries.wait_for(answer.json()["data"]["id"], DELIVERED_WITHIN_S)


def test_rabbitmq_hanging_the_next_transport_takes_a_log_in_time(native, public, entries, unique):
    assert log(public, unique, "amqp").status_code == 202
    with hanging(native, "rabbitmq"):
        for _ in range(2):
            took, answer = elapsed(lambda: log(public, unique))
            assert answer.status_code == 202, answer.text
            assert took < HANGING_WITHIN_S
            assert entries.wait_for(answer.json()["data"]["id"])
        took, answer = elapsed(lambda: log(public, unique, "amqp"))
        check_unavailable(answer, "handle", 503, 504)
        assert took < HANGING_WITHIN_S
    answer = recovers(lambda: log(public, unique, "amqp"), 60)
    entries.wait_for(answer.json()["data"]["id"], DELIVERED_WITHIN_S)


def test_rabbitmq_and_store_down_a_log_is_refused(native, public, unique):
    with down(native, "rabbitmq", "store"):
        took, answer = elapsed(lambda: log(public, unique))
        check_unavailable(answer, "handle")
        assert took < 2 * REFUSED_WITHIN_S
    recovers(lambda: log(public, unique, "amqp"), 60)
    recovers(lambda: log(public, unique, "http"))


def test_rabbitmq_restarted_keeps_what_it_confirmed(native, public, entries, unique):
    with down(native, "listener"):
        answers = [log(public, unique, "amqp") for _ in range(50)]
        assert [a.status_code for a in answers] == [202] * 50
        native.stop("rabbitmq")
        native.start("rabbitmq")
    check_each_stored_once(entries, unique, answers)


# The listener.


def test_listener_down_a_hundred_logs_are_stored_when_it_is_back(native, public, entries, rabbit, unique):
    with down(native, "listener"):
        answers = [log(public, unique, "amqp") for _ in range(100)]
        assert [a.status_code for a in answers] == [202] * 100
        assert rabbit.depth("logs") >= 100
        assert entries.named(unique) == []
    check_each_stored_once(entries, unique, answers)
    wait_until(lambda: rabbit.depth("logs") == 0, what="the queue is empty")


def test_listener_killed_while_logs_come_loses_none(native, public, entries, unique):
    answers = send_while(public, unique, 200, lambda: kill(native, "listener"))
    assert [a.status_code for a in answers] == [202] * 200
    check_each_stored_once(entries, unique, answers)


def test_the_log_handler_gone_its_messages_wait(native, public, entries, unique):
    """A handler that is not running is nobody's fault: no attempt is counted, however long it takes."""
    dead = public_dead_letters(native)
    with down(native, "internal.log"):
        answers = [log(public, unique, "amqp") for _ in range(10)]
        assert [a.status_code for a in answers] == [202] * 10
    check_each_stored_once(entries, unique, answers)
    assert public_dead_letters(native) == dead


def public_dead_letters(native) -> int:
    from support.peers import Rabbit

    return Rabbit(native.rabbitmq_url).depth("logs.dead")


def send_while(public, name: str, count: int, disturb) -> list:
    """Sends logs by queue, with a disturbance after the first third."""
    answers = []
    with ThreadPoolExecutor(1) as pool:
        disturbance = None
        for i in range(count):
            if i == count // 3:
                disturbance = pool.submit(disturb)
            answers.append(log(public, name, "amqp", data=str(i)))
        disturbance.result()
    return answers


def check_each_stored_once(entries, name: str, answers) -> None:
    ids = {a.json()["data"]["id"] for a in answers}
    stored = entries.wait_for_name(name, len(ids), DELIVERED_WITHIN_S)
    assert sorted(str(e["_id"]) for e in stored) == sorted(ids)


# Mail.

MAIL = {"from": "me@example.com", "to": "you@there.com", "message": "m"}


def test_mail_server_down_a_mail_is_refused_in_time(native, public, internal, inbox, unique):
    mail = MAIL | {"subject": unique}
    with down(native, "mailpit"):
        took, answer = elapsed(lambda: internal.post("/send", json=mail))
        check_unavailable(answer, "send")
        assert took < REFUSED_WITHIN_S
        took, answer = elapsed(lambda: public.post("/handle", json={"action": "mail", "mail": mail}))
        check_unavailable(answer, "handle")
        assert took < REFUSED_WITHIN_S
    recovers(lambda: internal.post("/send", json=mail))
    assert len(inbox.search(f'subject:"{unique}"')) == 1


def test_mail_server_hanging_a_mail_is_answered_in_time(native, internal, unique):
    with hanging(native, "mailpit"):
        took, answer = elapsed(lambda: internal.post("/send", json=MAIL | {"subject": unique}))
        check_unavailable(answer, "send", 503, 504)
        assert took < HANGING_WITHIN_S
    recovers(lambda: internal.post("/send", json=MAIL | {"subject": f"{unique}-after"}))


def test_mail_server_down_a_mail_by_queue_waits(native, rabbit, inbox, unique):
    with down(native, "mailpit"):
        rabbit.publish(json.dumps(MAIL | {"subject": unique}).encode(), "mail.send", message_id=str(uuid.uuid4()))
    inbox.wait_for_subject(unique, DELIVERED_WITHIN_S)


# PostgreSQL.

ADMIN = {"email": "admin@example.com", "password": "verysecret"}


def test_postgres_down_a_login_is_refused_in_time_and_works_again(native, public, internal):
    assert internal.post("/authenticate", json=ADMIN).status_code == 202
    with down(native, "postgres"):
        for _ in range(3):
            took, answer = elapsed(lambda: internal.post("/authenticate", json=ADMIN))
            check_unavailable(answer, "authenticate")
            assert took < REFUSED_WITHIN_S
        check_unavailable(public.post("/handle", json={"action": "auth", "auth": ADMIN}), "handle")
    recovers(lambda: internal.post("/authenticate", json=ADMIN))


def test_postgres_restarted_between_logins_is_not_noticed(native, internal):
    for _ in range(4):
        assert internal.post("/authenticate", json=ADMIN).status_code == 202
    with down(native, "postgres"):
        pass
    for _ in range(4):
        assert internal.post("/authenticate", json=ADMIN).status_code == 202


def test_a_login_stands_when_nothing_takes_its_log(native, internal):
    with down(native, "rabbitmq", "store"):
        took, answer = elapsed(lambda: internal.post("/authenticate", json=ADMIN))
        assert answer.status_code == 202, answer.text
        assert took < HANGING_WITHIN_S
    recovers(lambda: internal.post("/log", json={"name": "after", "data": "d"}))


# The stores come back: what was down at the start of a worker is found, too.


def test_all_stores_restarted_nothing_needs_a_restart(native, public, internal, entries, unique):
    before = {name: native.workers(name) for name in ("handle", "log", "authenticate", "send")}
    with down(native, "postgres", "rabbitmq", "store", "mailpit"):
        time_of_fault = time.monotonic()
        check_unavailable(log(public, unique), "handle")
        assert time.monotonic() - time_of_fault < HANGING_WITHIN_S
    answer = recovers(lambda: log(public, unique, "amqp"), 60)
    entries.wait_for(answer.json()["data"]["id"], DELIVERED_WITHIN_S)
    recovers(lambda: internal.post("/authenticate", json=ADMIN))
    recovers(lambda: internal.post("/send", json=MAIL | {"subject": unique}))
    assert {name: native.workers(name) for name in before} == before, "no worker was restarted"
