"""Mails as they arrive: read back from the inbox and parsed by Python, they are what was asked for."""

import base64
import json
from email.message import EmailMessage

import pytest

from support.wait import wait_until
from support.web import check_error, check_success

pytestmark = pytest.mark.contract

USUAL = {"from": "me@example.com", "to": "you@there.com", "subject": "", "message": "Hello\n"}
LONG = "x" * 1200
WORDS = "Lorem ipsum dolor sit amet consectetur " * 30


def file(name: str, content: bytes, type: str | None = None) -> dict:
    attached = {"name": name, "content": base64.b64encode(content).decode()}
    return attached | ({"type": type} if type else {})


MAILS = {
    "plain": {},
    "empty message": {"message": ""},
    "blanks": {"message": "  two  \n\tthree \n \n\n"},
    "latin": {"message": "Grüße, ça va? Ærø\n"},
    "cyrillic": {"message": "Съешь ещё этих мягких французских булок\n"},
    "greek": {"message": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία\n"},
    "chinese": {"message": "天地玄黄，宇宙洪荒。" * 40},
    "japanese": {"message": "いろはにほへと ちりぬるを\n"},
    "korean": {"message": "키스의 고유조건은 입술끼리 만나야 하고\n"},
    "hindi": {"message": "ऋषियों को सताने वाले\n"},
    "thai": {"message": "เป็นมนุษย์สุดประเสริฐ\n"},
    "hebrew": {"message": "דג סקרן שט בים\n"},
    "arabic": {"message": "نص حكيم له سر قاطع\u202e\n"},
    "emoji": {"message": "😀 👩‍💻 👨‍👩‍👧 🏳️‍🌈\n"},
    "accents that combine": {"message": "e\u0301 ≠ é\n"},
    "998 bytes in a line": {"message": "y" * 998 + "\n"},
    "a longer line": {"message": LONG + "\nz\n"},
    "a longer line of two-byte letters": {"message": "ü" * 900 + "\n"},
    "dots": {"message": ".\n..\n.a\n...\n"},
    "what ends a message": {"message": "a\r\n.\r\nQUIT\r\n"},
    "from at a line's start": {"message": "From here\n>From there\n"},
    "what looks like a boundary": {"message": "--\n--=-abc==\n-- \n"},
    "what looks encoded": {"message": "=3D =20\n=?utf-8?q?x?=\n="},
    "markup": {"message": "<b>&amp;</b> {{message}} {{#x}}\n"},
    "line ends of all kinds": {"message": "a\rb\nc\r\nd\n\re"},
    "64 kB": {"message": WORDS * 55},
    "subject in a script": {"subject": "Привет 世界 مرحبا 😀"},
    "long subject": {"subject": WORDS[:900].strip()},
    "long subject in a script": {"subject": "Ünïcödé " * 60 + "end"},
    "subject that looks encoded": {"subject": "=?utf-8?q?x?= and ?= more"},
    "names": {"from_name": "Jörg Müller, GmbH & Co. \"KG\""},
    "name in a script": {"from_name": "山田 太郎", "reply_to": "reply@example.org"},
    "many recipients": {"to": [f"user{i}@there.com" for i in range(90)]},
    "cc and bcc": {"to": ["a@there.com", "b@there.com"], "cc": "c@there.com", "bcc": ["d@there.com", "e@there.com"]},
    "the same one again": {"to": ["a@there.com", "A@there.com"], "cc": "a@there.com", "bcc": "a@there.com"},
    "domain in a script": {"to": "you@bücher.example"},
    "own html": {"html": "<style>p{color:red}</style><p title=\"ä &amp; b\">Grüße <!-- c --></p>\n"},
    "an attachment": {"attachments": [file("a.txt", b"text\r\n\n\x00\xff.\r\n", "text/plain")]},
    "attachments with names": {
        "attachments": [
            file("Übersicht 世界.pdf", bytes(range(256)) * 40, "application/pdf"),
            file("a \"b\"; c=d'.bin", b""),
            file("n" * 200 + ".png", b"\x89PNG\r\n\x1a\n", "image/png"),
        ],
        "html": "<p>see below</p>\n",
    },
    "everything": {
        "from_name": "Ärzte", "reply_to": "r@example.org", "to": ["a@there.com", "b@there.com"], "cc": ["c@there.com"],
        "bcc": "d@there.com", "message": "Ä\n.\n", "html": "<p>Ä</p>\n", "attachments": [file("ä.bin", b"\x00" * 1000)],
        "unknown": {"is": "ignored"},
    },
}  # fmt: skip


def as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def addresses(message: EmailMessage, header: str) -> list[str]:
    return [a.addr_spec for a in message[header].addresses] if message[header] else []


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sent(internal, inbox, unique, mail: dict) -> tuple[dict, EmailMessage]:
    """Sends it, and finds it again by the one who sends: the subject may be any."""
    asked = USUAL | {"from": f"{unique}@example.com"} | mail
    answer = internal.post("/send", json=asked)
    assert answer.status_code == 202, answer.text
    found = wait_until(lambda: inbox.search(f"from:{unique}@example.com"), 10, "the mail")
    assert len(found) == 1
    return asked, inbox.message(found[0]["ID"])


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS.keys())
def test_a_mail_arrives_as_it_was_asked_for(internal, inbox, unique, mail):
    asked, message = sent(internal, inbox, unique, mail)
    assert message.defects == []
    assert message["Subject"] == asked["subject"]
    assert [a.addr_spec for a in message["From"].addresses] == [asked["from"]]
    assert message["From"].addresses[0].display_name == asked.get("from_name", "")
    assert addresses(message, "To") == [a.replace("bücher", "xn--bcher-kva") for a in as_list(asked["to"])]
    assert addresses(message, "Cc") == as_list(asked.get("cc"))
    assert addresses(message, "Reply-To") == as_list(asked.get("reply_to"))
    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert (plain.defects, html.defects) == ([], [])
    assert lines(plain.get_content()) == lines(asked["message"]) + "\n", "the template ends with a newline"
    if "html" in asked:
        styled = asked["html"].replace("<style>p{color:red}</style><p ", '<p style="color:red" ')
        assert lines(html.get_content()) == styled
    files = list(message.iter_attachments())
    assert [f.get_filename() for f in files] == [f["name"] for f in asked.get("attachments", [])]
    for got, wanted in zip(files, asked.get("attachments", []), strict=True):
        assert got.get_payload(decode=True) == base64.b64decode(wanted["content"])
        assert got.get_content_type() == wanted.get("type", "application/octet-stream")


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS.keys())
def test_a_mail_travels_as_any_server_takes_it(internal, inbox, unique, mail):
    asked, message = sent(internal, inbox, unique, mail)
    raw = inbox.raw(inbox.search(f"from:{unique}@example.com")[0]["ID"])
    head, _ = raw.split(b"\r\n\r\n", 1)
    # What Mailpit puts before it is not ours.
    ours = raw[raw.index(b"\r\nFrom: ") :]
    assert max(len(line) for line in ours.split(b"\r\n")) <= 998
    assert ours.isascii()
    assert b"\r" not in ours.replace(b"\r\n", b"") and b"\n" not in ours.replace(b"\r\n", b"")
    for name in (b"Date", b"Message-Id", b"Subject", b"From", b"To", b"MIME-Version"):
        assert head.count(b"\r\n" + name + b":") + head.startswith(name + b":") == 1
    for hidden in as_list(asked.get("bcc")):
        if hidden not in as_list(asked["to"]):
            assert hidden.encode() not in ours


def test_everybody_gets_it_and_nobody_is_told_of_bcc(internal, inbox, unique):
    mail = {"to": "a@there.com", "cc": "c@there.com", "bcc": ["d@there.com", f"{unique}@there.com"]}
    sent(internal, inbox, unique, mail)
    summary = inbox.search(f"from:{unique}@example.com")[0]
    # Mailpit lists as Bcc whom the envelope names and the headers do not.
    assert sorted(a["Address"] for a in summary["Bcc"]) == ["d@there.com", f"{unique}@there.com"]
    raw = inbox.raw(summary["ID"])
    assert b"\nbcc:" not in raw[raw.index(b"\r\nFrom: ") :].lower(), "the line that Mailpit itself adds stands before"


@pytest.mark.parametrize("control", ["\r\n", "\n", "\r", "\x01", "\x7f", "\u0085", "\u2028"], ids=repr)
@pytest.mark.parametrize(
    "change",
    [
        lambda x: {"from": f"a{x}@example.com"},
        lambda x: {"from_name": f"a{x}Bcc: v@example.com"},
        lambda x: {"reply_to": f"a@example.com{x}Bcc: v@example.com"},
        lambda x: {"to": ["a@there.com", f"b@there.com{x}RCPT TO:<v@example.com>"]},
        lambda x: {"cc": f"a@there.com{x}"},
        lambda x: {"bcc": [f"a@there.com>{x}"]},
        lambda x: {"subject": f"a{x}Bcc: v@example.com"},
        lambda x: {"attachments": [{"name": f"a{x}b", "content": ""}]},
        lambda x: {"attachments": [{"name": "a", "type": f"a/b{x}X: y", "content": ""}]},
        lambda x: {"attachments": [{"name": "a", "content": f"QUJD{x}"}]},
    ],
    ids=["from", "from_name", "reply_to", "to", "cc", "bcc", "subject", "file name", "file type", "file content"],
)
def test_an_injection_is_refused(public, internal, change, control):
    mail = USUAL | change(control)
    check_error(internal.post("/send", json=mail), 422, "send")
    check_error(public.post("/handle", json={"action": "mail", "mail": mail}), 422, "handle")


def test_a_mail_to_several_is_answered_with_the_first(public, internal):
    mail = USUAL | {"to": ["a@there.com", "b@there.com", "c@there.com"]}
    expected = b'{"error":false,"message":"sent to a@there.com and 2 more"}'
    check_success(internal.post("/send", json=mail), 202, expected, "send")
    expected = b'{"error":false,"message":"Message sent to a@there.com and 2 more"}'
    check_success(public.post("/handle", json={"action": "mail", "mail": mail}), 202, expected, "handle")


def write_template(stack, name: str, plain: str, html: str):
    if not hasattr(stack, "run_dir"):
        pytest.skip("where its templates are was not said")
    directory = stack.run_dir / "app/templates"
    for kind, content in (("plain", plain), ("html", html)):
        (directory / f"{name}.{kind}").write_text(content)


def test_a_template_that_is_not_there_is_named(internal):
    answer = internal.post("/send", json=USUAL | {"template": "nothing"})
    check_error(answer, 400, "send", "template nothing.plain: there is none of this name")
    for name in ("../mail", "/etc/passwd", ".", "a b", "x" * 60):
        check_error(internal.post("/send", json=USUAL | {"template": name}), 400, "send")


def test_a_value_that_a_template_misses_is_named(internal, stack, unique):
    write_template(stack, unique, "Dear {{user.name}}\n", "<p>Dear {{user.name}}</p>\n")
    answer = internal.post("/send", json=USUAL | {"template": unique, "data": {"user": {}}})
    check_error(answer, 400, "send", f"user.name: a value is missing (template {unique}.plain, line 1)")


def test_a_template_takes_data_and_counts_from_the_next_mail_on(internal, inbox, stack, unique):
    page = "<style>li{margin:0}</style><ul>{{#items}}<li>{{.}}</li>{{/items}}</ul>\n"
    write_template(stack, unique, "{{#items}}- {{.}}\n{{/items}}", page)
    asked = {k: v for k, v in USUAL.items() if k != "message"} | {"from": f"{unique}@example.com"}
    asked |= {"template": unique, "data": {"items": ["a & b", "ü"]}}
    assert internal.post("/send", json=asked).status_code == 202
    found = wait_until(lambda: inbox.search(f"from:{unique}@example.com"), 10, "the mail")
    message = inbox.message(found[0]["ID"])
    assert lines(message.get_body(("plain",)).get_content()) == "- a & b\n- ü\n"
    expected = '<ul><li style="margin:0">a &amp; b</li><li style="margin:0">ü</li></ul>\n'
    assert lines(message.get_body(("html",)).get_content()) == expected
    write_template(stack, unique, "changed {{subject}}\n", page)
    assert internal.post("/send", json=asked | {"subject": f"{unique}-2"}).status_code == 202
    message = inbox.wait_for_subject(f"{unique}-2")
    assert lines(message.get_body(("plain",)).get_content()) == f"changed {unique}-2\n"


def test_a_mail_over_the_limit_is_too_large(public, internal):
    content = base64.b64encode(b"x" * (8 * 1024 * 1024)).decode()
    body = json.dumps(USUAL | {"attachments": [{"name": "a", "content": content}]})
    assert 10 * 1024 * 1024 < len(body) < 16 * 1024 * 1024
    check_error(internal.post("/send", content=body), 413, "send")
    half = json.dumps(
        {"action": "mail", "mail": USUAL | {"attachments": [{"name": "a", "content": content[: 1 << 20]}]}}
    )
    check_error(public.post("/handle", content=half), 413)


def test_a_large_attachment_arrives_whole(internal, inbox, unique):
    bytes_ = bytes(i * 7 % 251 for i in range(5_000_000))
    _, message = sent(internal, inbox, unique, {"attachments": [file("large.bin", bytes_)]})
    (attached,) = message.iter_attachments()
    assert attached.get_payload(decode=True) == bytes_
