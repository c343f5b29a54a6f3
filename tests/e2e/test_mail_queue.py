"""Mails by queue, and mail servers that fail: in bounded time, with the right status, and no mail twice."""

import json
import re
import shlex
import socket
import subprocess
import threading
import time

import pytest
from bson import ObjectId

from support.wait import wait_until

pytestmark = [pytest.mark.native, pytest.mark.faults, pytest.mark.timeout(180)]

MAIL = {"from": "me@example.com", "to": "you@there.com", "message": "m"}
PATIENCE_MS = 1500  # MAIL_TIMEOUT_MS of the handlers here
SLACK_S = 3.0
AGAIN_WITHIN_S = 40  # the first step of the trigger's backoff, and some


@pytest.fixture(scope="module")
def settings(native) -> dict[str, str]:
    words = shlex.split((native.run_dir / "env").read_text(), comments=True)
    return {"PATH": "/usr/bin:/bin"} | dict(word.split("=", 1) for word in words)


def run(native, settings, name: str, body: object, **variables: str) -> tuple[int, dict]:
    """Runs a handler as CGI, with settings of its own."""
    content = json.dumps(body).encode()
    environment = settings | {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(content))} | variables
    done = subprocess.run(
        [native.bundled(name)], input=content, env=environment, capture_output=True, timeout=60, cwd="/", **native.owner
    )
    assert done.returncode == 0, done.stderr.decode()
    head, answer = done.stdout.split(b"\r\n\r\n", 1)
    return int(re.search(rb"Status: (\d+)", head).group(1)), json.loads(answer)


def queued(native, settings, mail: dict) -> dict:
    status, answer = run(native, settings, "handle", {"action": "mail", "mail": mail}, MAIL_TRANSPORT="amqp")
    assert (status, answer["error"]) == (202, False), answer
    return answer


def test_a_mail_is_queued_and_then_sent(native, settings, inbox, unique):
    answer = queued(native, settings, MAIL | {"subject": unique})
    assert answer["message"] == "Message queued for you@there.com"
    message = inbox.wait_for_subject(unique)
    assert message["Message-ID"].startswith(f"<{answer['data']['id']}@"), "the id tells a second copy"


def test_the_queue_carries_every_member(native, settings, inbox, unique):
    mail = {
        "from": f"{unique}@example.com", "from_name": "Ärzte", "reply_to": "r@example.org", "subject": unique,
        "to": ["a@there.com", "b@there.com"], "cc": ["c@there.com"], "bcc": "d@there.com", "message": "Ä\n",
        "html": "<style>p{color:red}</style><p>Ä</p>\n", "unknown": 1,
        "attachments": [{"name": "ä.bin", "type": "image/png", "content": "AAEC"}],
    }  # fmt: skip
    queued(native, settings, mail)
    by_queue = inbox.wait_for_subject(unique)
    status, answer = run(native, settings, "handle", {"action": "mail", "mail": mail | {"subject": f"{unique}-direct"}})
    assert (status, answer["message"]) == (202, "Message sent to a@there.com and 1 more")
    direct = inbox.wait_for_subject(f"{unique}-direct")
    for header in ("From", "Reply-To", "To", "Cc", "Bcc"):
        assert by_queue[header] == direct[header] is not None
    parts = [[p.get_payload(decode=True) for p in m.walk() if not p.is_multipart()] for m in (by_queue, direct)]
    assert parts[0] == [p.replace(f"{unique}-direct".encode(), unique.encode()) for p in parts[1]]
    assert parts[0][-1] == b"\x00\x01\x02"


@pytest.mark.parametrize("change", [{"to": "nobody"}, {"cc": "a@b\r\nX: y"}, {"subject": "a\nb"}], ids=repr)
def test_what_cannot_be_sent_is_never_queued(native, settings, rabbit, change):
    before = rabbit.depth("mail.dead")
    mail = MAIL | {"subject": "s"} | change
    status, answer = run(native, settings, "handle", {"action": "mail", "mail": mail}, MAIL_TRANSPORT="amqp")
    assert (status, answer["error"]) == (422, True)
    assert rabbit.depth("mail.dead") == before


def test_without_rabbitmq_a_mail_is_refused(native, settings):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"amqp://u:p@127.0.0.1:{closed.getsockname()[1]}/"
        body = {"action": "mail", "mail": MAIL | {"subject": "s"}}
        status, answer = run(native, settings, "handle", body, MAIL_TRANSPORT="amqp", RABBITMQ_URL=url)
    assert (status, answer["error"]) == (503, True)


@pytest.fixture
def refusing(inbox):
    """The stack's mail server, which refuses as it is told; meant well again afterwards."""
    yield inbox.refuse
    inbox.refuse()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["Sender", "Recipient"])
def test_a_mail_refused_for_now_is_sent_later_and_once(native, settings, inbox, refusing, unique, stage):
    before = len(refusals(native, 451))
    refusing(**{stage: 451})
    queued(native, settings, MAIL | {"subject": unique})
    wait_until(lambda: len(refusals(native, 451)) > before, 20, "the refusal")
    refusing()
    inbox.wait_for_subject(unique, AGAIN_WITHIN_S)
    after = f"{unique}-after"
    queued(native, settings, MAIL | {"subject": after})
    inbox.wait_for_subject(after)
    assert len([m for m in inbox.search(f'subject:"{unique}"') if m["Subject"] == unique]) == 1


def refusals(native, code: int) -> list[dict]:
    return native.log_records("internal.send", message="mail not sent", code=code)


def test_a_mail_refused_for_good_is_a_dead_letter(native, settings, rabbit, inbox, refusing, unique):
    refusing(Recipient=550)
    answer = queued(native, settings, MAIL | {"subject": unique})
    dead = wait_until(
        lambda: rabbit.find("mail.dead", lambda p, _: p.message_id == answer["data"]["id"]), 20, "dead letter"
    )
    assert json.loads(dead[1])["subject"] == unique
    assert "you@there.com" in str(dead[0].headers), "the reason names who was refused"
    assert inbox.search(f'subject:"{unique}"') == []


@pytest.mark.parametrize(
    ("stages", "status"),
    [({"Sender": 451}, 503), ({"Sender": 550}, 422), ({"Recipient": 450}, 503), ({"Recipient": 550}, 422)],
    ids=repr,
)
def test_a_refusal_is_told(internal, refusing, unique, stages, status):
    refusing(**stages)
    answer = internal.post("/send", json=MAIL | {"subject": unique})
    assert answer.status_code == status
    assert str(next(iter(stages.values()))) in answer.json()["message"]


class Sink:
    """A mail server that takes all, but for one stage at which it does as it is told."""

    STAGES = ("connect", "EHLO", "MAIL", "RCPT", "DATA", ".")
    REPLIES = {
        "connect": "220 sink",
        "EHLO": "250 sink",
        "HELO": "250 sink",
        "MAIL": "250 ok",
        "RCPT": "250 ok",
        "DATA": "354 go on",
    }

    def __init__(self, stage: str, fault: str):
        self.stage, self.fault, self.messages = stage, fault, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self) -> "Sink":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(20)

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as stream:
                client.settimeout(15)
                try:
                    self.converse(stream)
                except OSError:
                    continue

    def answer(self, stream, stage: str) -> bool:
        """Whether the conversation goes on."""
        reply = self.fault if stage == self.stage else self.REPLIES.get(stage, "250 taken")
        if reply == "stall":
            stream.read()  # until the other side gives up
        if reply in ("stall", "drop"):
            return False
        stream.write(f"{reply}\r\n".encode())
        stream.flush()
        return True

    def converse(self, stream) -> None:
        on = self.answer(stream, "connect")
        while on and (line := stream.readline()):
            verb = line[:4].decode().strip()
            if verb == "QUIT":
                return
            on = self.answer(stream, verb)
            if on and verb == "DATA" and self.fault_at(verb) is None:
                while stream.readline() not in (b".\r\n", b""):
                    pass
                self.messages += 1
                on = self.answer(stream, ".")

    def fault_at(self, stage: str) -> str | None:
        return self.fault if stage == self.stage else None


def status_of(stage: str, fault: str) -> int:
    """What send answers: 503 where the mail was certainly not taken and may be later, 504 in doubt."""
    if stage == "EHLO" and fault[0] in "45":
        return 202  # an old server, which is then greeted the old way
    if fault in ("stall", "drop"):
        return 504 if stage == "." else 503
    if fault.startswith("4"):
        return 503
    return 502 if stage == "connect" else 422


@pytest.mark.parametrize("fault", ["stall", "drop", "451 later", "550 never"])
@pytest.mark.parametrize("stage", Sink.STAGES)
def test_each_fault_of_a_server_is_answered_in_time(native, settings, stage, fault):
    with Sink(stage, fault) as sink:
        began = time.monotonic()
        status, answer = run(
            native, settings, "send", MAIL | {"subject": "s"}, MAIL_HOST="127.0.0.1", MAIL_PORT=str(sink.port),
            MAIL_TIMEOUT_MS=str(PATIENCE_MS),
        )  # fmt: skip
        took = time.monotonic() - began
    expected = status_of(stage, fault)
    assert (status, answer["error"]) == (expected, expected != 202), answer
    assert took < PATIENCE_MS / 1000 + SLACK_S
    assert sink.messages == (1 if stage == "." or expected == 202 else 0), "nothing is tried twice by itself"


@pytest.mark.parametrize("fault", ["stall", "drop"])
def test_a_mail_in_doubt_is_tried_again_under_its_message_id(native, settings, fault):
    """The window in which a mail may be doubled, and the only one."""
    item = {"id": str(ObjectId()), "key": "mail.send", "attempt": 1, "payload": MAIL | {"subject": "s"}}
    with Sink(".", fault) as sink:
        status, answer = run(
            native, settings, "send", [item], HTTP_X_TRIGGER="mail", MAIL_HOST="127.0.0.1", MAIL_PORT=str(sink.port),
            MAIL_TIMEOUT_MS=str(PATIENCE_MS),
        )  # fmt: skip
        assert sink.messages == 1
    failures = answer.get("failures", [])
    assert status >= 500 or [f.get("permanent") for f in failures] == [False], answer
