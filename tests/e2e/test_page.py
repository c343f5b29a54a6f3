"""The test page in a real browser: every button, every pane, and what happened next."""

import json
import re
import tempfile
from pathlib import Path

import pytest

from support import browser
from support.stack import TOP
from support.wait import wait_until

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("few_entries")]

ARTEFACTS = TOP / "tests/artefacts"
SEEN_WITHIN_S = 20
LOG = {"name": "event", "data": "Some kind of data"}
MAIL = {"from": "me@example.com", "to": "you@there.com", "subject": "Test email", "message": "Hello world!"}

# Button, what it sends as it stands, what the line says, who answers with which status.
CALLS = {
    "brokerBtn": (None, "Hit the broker", "200 from broker"),
    "authBrokerBtn": (
        {"action": "auth", "auth": {"email": "admin@example.com", "password": "verysecret"}},
        "Authenticated",
        "202 from handle",
    ),
    "logBtn": ({"action": "log", "log": LOG}, "logger via RabbitMQ", "202 from handle"),
    "logGBtn": ({"action": "log", "log": LOG}, "logged", "202 from log-grpc"),
    "mailBtn": ({"action": "mail", "mail": MAIL}, "Message sent to you@there.com", "202 from handle"),
}

# Of every text that can be seen: its contrast with the ground it stands on, where that is below WCAG's 4.5.
FAINT_TEXTS = """
    const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (e) => {
        for (; e; e = e.parentElement) {
            const color = rgb(getComputedStyle(e).backgroundColor);
            if (color.length < 4 || color[3] > 0)
                return color;
        }
        return [255, 255, 255];
    };
    const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const faint = [];
    for (const e of document.querySelectorAll("body *")) {
        if (!e.checkVisibility() || e.tagName === "NOSCRIPT")
            continue;
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        for (const [part, shown] of [[null, own || "value" in e], ["::after", true], ["::before", true]]) {
            const style = getComputedStyle(e, part);
            if (!shown || (part && ["none", "normal", '""'].includes(style.content)))
                continue;
            const value = contrast(light(rgb(style.color)), light(ground(e)));
            if (value < 4.5)
                faint.push(`${e.tagName}#${e.id}.${e.className}${part ?? ""}: ${value.toFixed(2)}`);
        }
    }
    return [...new Set(faint)];
"""

UNLABELLED = """
    return [...document.querySelectorAll("input, select, textarea")].filter((e) => !e.labels.length).map((e) => e.name);
"""

# Answers of /logs as another stack would give them.
OTHER_STACK = """
    const real = window.fetch;
    const answer = (status, message) => new Response(JSON.stringify({error: true, message}), {status});
    window.fetch = (path, options) => {
        if (STATUS === 404 && /^[/](logs|inbox)/.test(path))
            return Promise.resolve(answer(404, "not here"));
        if (STATUS === 401 && path.startsWith("/logs") && options.headers.Authorization !== "Bearer sesame")
            return Promise.resolve(answer(401, "a token is needed"));
        return real(path, options);
    };
"""


@pytest.fixture(scope="module")
def window():
    if browser.missing():
        pytest.skip(f"not installed: {browser.missing()}")
    with (
        tempfile.TemporaryDirectory(prefix="chromium.", ignore_cleanup_errors=True) as directory,
        browser.browser(Path(directory)) as b,
    ):
        yield b


@pytest.fixture
def page(window, stack):
    """The page, opened anew. Whatever a test does with it, the browser has nothing to complain of."""
    window.look(browser.WIDE, "light")
    window.open(stack.public)
    wait_until(lambda: "Asking" not in window.text("entriesNote") + window.text("mailsNote"), SEEN_WITHIN_S, "lists")
    window.complaints()
    yield window
    assert window.complaints() == []


def click(page, button: str) -> str:
    """Clicks, and returns the line that the call gave."""
    before = len(page.lines())
    page.element(button).click()
    return wait_until(lambda: page.lines()[before:], SEEN_WITHIN_S, f"a line of {button}")[0]


def received(page) -> dict:
    return json.loads(wait_until(lambda: page.text("received"), SEEN_WITHIN_S, "a reply"))


def shown_entry(page, entry_id: str):
    found = wait_until(lambda: page.all(f'#entries > li[data-id="{entry_id}"]'), SEEN_WITHIN_S, f"{entry_id} is shown")
    return found[0]


def store(public, name: str, count: int) -> None:
    for n in range(count):
        log = {"name": name, "data": str(n), "level": "ERROR" if n == 0 else "INFO"}
        answer = public.post("/handle", json={"action": "log", "log": log, "transport": "http"})
        assert answer.status_code == 202


@pytest.mark.parametrize("button", CALLS)
def test_each_button_makes_its_call(page, button):
    sent, message, facts = CALLS[button]
    assert click(page, button) == f"Response from broker service: {message}"
    assert page.text("payload") == (json.dumps(sent, indent=2) if sent else "")
    reply = received(page)
    assert (reply["error"], reply["message"]) == (False, message)
    assert page.text("received") == json.dumps(reply, indent=2)
    assert re.fullmatch(rf"{facts}, \d+ ms", page.text("facts"))
    assert re.fullmatch(r"Request [0-9a-f-]{36}", page.text("request"))
    assert re.fullmatch(r"20[02] · \d+ ms", page.element(button).get_attribute("data-outcome"))


@pytest.mark.parametrize("button", ["logBtn", "logGBtn"])
def test_a_log_is_stored_and_shown(page, entries, button, unique):
    page.fill("logForm", "name", unique)
    page.fill("logForm", "data", "naïve <b>data</b>\nof two lines")
    click(page, button)
    own = received(page)["data"]["id"]
    assert entries.wait_for(own)["data"] == "naïve <b>data</b>\nof two lines"
    item = shown_entry(page, own)
    wait_until(lambda: "made" in item.get_attribute("class"), SEEN_WITHIN_S, "marked as ours")
    parts = {name: item.find_element("class name", name).text for name in ("level", "name", "data", "id")}
    assert parts == {"level": "INFO", "name": unique, "data": "naïve <b>data</b>\nof two lines", "id": own}


@pytest.mark.parametrize(
    ("transport", "level", "message"),
    [("amqp", "WARNING", "logger via RabbitMQ"), ("rpc", "ERROR", "Processed payload via RPC:event"),
     ("grpc", "INFO", "logged"), ("http", "", "logged")],
)  # fmt: skip
def test_a_log_goes_by_the_transport_and_with_the_level_that_were_chosen(page, entries, transport, level, message):
    page.field("logForm", "transport").send_keys(transport)
    if level:
        page.field("logForm", "level").send_keys(level)
    assert click(page, "logBtn") == f"Response from broker service: {message}"
    log = LOG | ({"level": level} if level else {})
    assert json.loads(page.text("payload")) == {"action": "log", "log": log, "transport": transport}
    own = received(page)["data"]["id"]
    assert entries.wait_for(own)["level"] == (level or "INFO")
    assert shown_entry(page, own).find_element("class name", "level").text == (level or "INFO")


def test_a_mail_arrives_and_is_shown(page, inbox, unique):
    page.fill("mailForm", "subject", unique)
    page.fill("mailForm", "message", "Hello <i>world</i>, grüß dich!")
    assert click(page, "mailBtn") == "Response from broker service: Message sent to you@there.com"
    mail = inbox.wait_for_subject(unique)
    assert "Hello <i>world</i>, grüß dich!" in mail.get_body(("plain",)).get_content()

    def item():
        first = page.all("#mails > li")[0]
        return first if unique in first.text else None

    opener = wait_until(item, SEEN_WITHIN_S, "the mail is at the top").find_element("tag name", "summary")
    assert "me@example.com → you@there.com" in opener.text
    opener.send_keys("\n")
    text = page.all("#mails > li .text")[0]
    wait_until(lambda: "Hello <i>world</i>, grüß dich!" in text.text, SEEN_WITHIN_S, "its text")


def test_a_login_is_shown_as_an_entry(page, entries):
    click(page, "authBrokerBtn")
    assert "password" not in page.text("received")
    wait_until(lambda: page.texts("#entries .data")[0] == "admin@example.com logged in", SEEN_WITHIN_S, "the login")


def test_an_error_is_told_as_one(page):
    page.fill("authForm", "password", "wrong")
    assert click(page, "authBrokerBtn") == "Error: invalid credentials"
    assert page.all("#output > .error") and page.text("facts").startswith("401 from handle, ")
    assert page.text("request") == f"Request {received(page)['request_id']}"
    assert page.element("authBrokerBtn").get_attribute("data-state") == "error"
    complaints = page.complaints()
    assert complaints and all("401" in c for c in complaints), "the browser notes the status, and nothing else"


def test_what_others_wrote_is_never_markup(page):
    evil = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    page.fill("logForm", "name", evil)
    page.field("logForm", "transport").send_keys("rpc")
    assert click(page, "logBtn") == f"Response from broker service: Processed payload via RPC:{evil}"
    item = shown_entry(page, received(page)["data"]["id"])
    assert item.find_element("class name", "name").text == evil
    assert not page.all("main img, main script")


def test_entries_are_filtered_and_paged(page, public, unique):
    store(public, unique, 25)
    page.fill("filter", "name", unique)

    def wait_for_count(count: int):
        def listed() -> bool:
            return page.texts("#entries .name") == [unique] * count

        wait_until(listed, SEEN_WITHIN_S, f"{count} entries of that name")

    wait_for_count(20)
    assert "20 shown, newest first; there are older ones" in page.text("entriesNote")
    page.element("older").click()
    wait_for_count(25)
    assert not page.element("older").is_displayed()
    assert page.texts("#entries .data") == [str(n) for n in reversed(range(25))]
    page.field("filter", "level").send_keys("ERROR")
    wait_for_count(1)
    page.fill("filter", "name", f"{unique} nobody")
    wait_for_count(0)
    wait_until(
        lambda: page.text("entriesNote") == "No entry is like this.", SEEN_WITHIN_S, "it says that there is none"
    )


def test_entries_appear_without_a_click(page, public, unique):
    store(public, unique, 1)
    wait_until(lambda: unique in page.element("entries").text, SEEN_WITHIN_S, "it came by itself")


def test_everything_is_reached_by_the_keyboard_in_order(page):
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        page.press_tab()
        name = page.run("const e = document.activeElement; return e.form && e.name ? `${e.form.id}.${e.name}` : e.id")
        if not name or name in reached:
            break
        reached.append(name)
        style = page.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid", f"{name} does not show that it has the focus"
    assert reached[:22] == [
        "brokerBtn", "authForm.email", "authForm.password", "authBrokerBtn",
        "logForm.name", "logForm.data", "logForm.level", "logForm.transport", "logBtn", "logGBtn",
        "mailForm.from", "mailForm.to", "mailForm.subject", "mailForm.message", "mailBtn",
        "output", "payload", "received", "live", "filter.name", "filter.level",
        reached[21],
    ]  # fmt: skip


def test_enter_in_a_field_makes_its_call_and_the_focus_stays(page):
    page.field("mailForm", "subject").send_keys("\n")
    wait_until(lambda: page.lines() == ["Response from broker service: Message sent to you@there.com"], SEEN_WITHIN_S)
    page.field("logForm", "name").send_keys("\n")
    wait_until(lambda: page.lines()[1:] == ["Response from broker service: logger via RabbitMQ"], SEEN_WITHIN_S)
    page.element("brokerBtn").send_keys("\n")
    wait_until(lambda: len(page.lines()) == 3, SEEN_WITHIN_S)
    assert page.run("return document.activeElement.id") == "brokerBtn"


def test_a_screen_reader_finds_its_way(page):
    assert page.run(UNLABELLED) == []
    headings = [
        int(tag[1]) for tag in page.run("return [...document.querySelectorAll('h1,h2,h3')].map(e => e.tagName)")
    ]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(headings, headings[1:], strict=False)), (
        "no level is left out"
    )
    assert page.run("return document.documentElement.lang") == "en"
    ids = page.run("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    named = page.run(
        "return [...document.querySelectorAll('[aria-labelledby],[aria-describedby]')]"
        ".flatMap(e => [e.getAttribute('aria-labelledby'), e.getAttribute('aria-describedby')]).filter(Boolean)"
    )
    assert set(named) <= set(ids)
    for name, role in (("output", "log"), ("entriesNote", "status"), ("mailsNote", "status")):
        assert page.element(name).get_attribute("role") == role


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline(page, stack):
    loaded = page.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded and all(url.startswith(f"{stack.public}/") for url in loaded)
    assert page.all("[style], style, script:not([src])") == []
    attributes = page.run("return [...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())")
    assert not [name for name in attributes if name.startswith("on")]
    with pytest.raises(Exception, match="TrustedHTML"):
        page.run("document.body.innerHTML = '<p>'")
    with pytest.raises(Exception, match="unsafe-eval|TrustedScript|Content Security Policy"):
        page.run("window.setTimeout('1')")
    page.complaints()


@pytest.mark.parametrize("status", [404, 401])
def test_a_stack_that_shows_nothing_says_so(window, stack, status):
    with window.at_start(OTHER_STACK.replace("STATUS", str(status))):
        window.open(stack.public)
        wait_until(lambda: "Asking" not in window.text("entriesNote"), SEEN_WITHIN_S)
    if status == 404:
        assert window.text("entriesNote") == "This stack does not show its entries (LOGS_ACCESS)."
        assert not window.element("filter").is_displayed()
        wait_until(lambda: window.text("mailsNote") == "This stack has no inbox to show.", SEEN_WITHIN_S)
    else:
        assert window.text("entriesNote") == "Error: a token is needed"
        window.fill("filter", "token", "sesame")
        wait_until(lambda: window.all("#entries > li"), SEEN_WITHIN_S, "entries for who knows the token")
        assert window.element("token").is_displayed()
    assert click(window, "brokerBtn") == "Response from broker service: Hit the broker"
    window.complaints()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_it_can_be_read_in_every_light_and_width(page, width, scheme):
    """And the pictures of it lie in tests/artefacts."""
    for button in CALLS:
        click(page, button)
    shown_mail = wait_until(lambda: page.all("#mails > li"), SEEN_WITHIN_S, "mails")
    size = browser.WIDE if width == "wide" else browser.NARROW
    page.look(size, scheme)
    assert shown_mail and page.run("return document.documentElement.scrollWidth") == size[0], "nothing sticks out"
    assert page.run("return matchMedia('(prefers-color-scheme: dark)').matches") is (scheme == "dark")

    def readable():
        assert page.run(FAINT_TEXTS) == []
        return True

    wait_until(readable, SEEN_WITHIN_S, "what fades into the other scheme is there")
    file = ARTEFACTS / f"page-{width}-{scheme}.png"
    page.picture(file)
    assert file.stat().st_size > 20_000
