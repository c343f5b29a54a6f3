"""Style sheets into style attributes: what designers write comes through, and another inliner agrees."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.stack import BUILD

MAILS = sorted((Path(__file__).parent / "mails").glob("*.html"))


def inline(page: str) -> str:
    done = subprocess.run([BUILD / "probes/inline"], input=page.encode(), capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


# What looks like a style in a comment is none, and what looks like a comment in a sheet is none either.
PIECES = re.compile(r"(<style\b[^>]*>.*?</style\s*>|<!--.*?-->|<!\[.*?\]>)", re.S | re.I)
SHEET = re.compile(r"<style\b[^>]*>.*?</style\s*>", re.S | re.I)
TAG = re.compile(r"""<[a-z](?:[^<>"']|"[^"]*"|'[^']*')*>""", re.S | re.I)
STYLE = re.compile(r"""\s*\sstyle\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)""", re.I)


def comments(page: str) -> list[str]:
    return [piece for piece in PIECES.findall(page) if piece.startswith("<!")]


def unstyled(page: str) -> str:
    """The page without its sheets and the first style attribute of each tag."""
    pieces = PIECES.split(page)
    for i, piece in enumerate(pieces):
        if i % 2 == 1:
            pieces[i] = "" if SHEET.fullmatch(piece) else piece
        else:
            pieces[i] = TAG.sub(lambda tag: STYLE.sub("", tag.group(), count=1), piece)
    return "".join(pieces)


def within_foreign(page: str) -> str:
    return "".join(re.findall(r"<svg.*?</svg>", page, re.S))


@pytest.mark.parametrize("path", MAILS, ids=lambda p: p.stem)
def test_only_styles_differ(path):
    page = path.read_text()
    result = inline(page)
    assert unstyled(result) == unstyled(page)
    assert comments(result) == comments(page)
    assert re.sub(r' style="[^"]*"', "", within_foreign(result)) == within_foreign(page)
    assert result != page


@pytest.mark.parametrize("path", MAILS, ids=lambda p: p.stem)
def test_inlining_again_changes_nothing_more(path):
    once = inline(path.read_text())
    kept = [m.group() for m in re.finditer(r'<style type="text/css">\n.*?</style>', once, re.S)]
    again = inline(once)
    assert TAG.findall(SHEET.sub("", again)) == TAG.findall(SHEET.sub("", once))
    for sheet in kept:
        assert "!important" in sheet or "@" in sheet


class Styles(HTMLParser):
    """The tags of a page, each with its style as a dictionary."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        style = next((value or "" for name, value in attrs if name == "style"), "")
        parts = [part.split(":", 1) for part in style.split(";") if ":" in part]
        # What a parser adds is in one of them only.
        if tag not in ("html", "head", "body", "tbody", "style"):
            self.found.append((tag, {n.strip(): v.strip() for n, v in parts}))


PAGES = [
    "<style>p{color:red}</style><p>a<p>b",
    "<style>p{color:red}p{color:blue}.x{color:tan}#i{color:red}</style><p>a</p><p class=x>b</p><p class=x id=i>c</p>",
    "<style>p.x{margin:1px}p{margin:2px;padding:3px}</style><p class=x>a</p><p>b</p>",
    "<style>p{color:red}</style><p style='color:blue'>a</p>",
    "<style>p{margin-top:1px}p.x{margin:2px}p{margin-top:3px}</style><p class=x>a</p><p>b</p>",
    "<style>ul>li{a:b}ul ul li{c:d}li+li{e:f}li~li{g:h}</style><ul><li>1</li><li>2<ul><li>3</li></ul></li></ul>",
    "<style>b:first-child{a:b}b:last-child{c:d}b:nth-child(2){e:f}b:nth-child(2n+1){g:h}b:only-child{i:j}</style>"
    "<p><b>1</b><b>2</b><b>3</b></p><p><b>1</b></p>",
    "<style>[a]{p:1}[a=x]{q:2}[a~=y]{r:3}[a|=en]{s:4}[a^=x]{t:5}[a$='y']{u:6}[a*=' ']{v:7}</style>"
    "<p a>1</p><p a=x>2</p><p a='x y'>3</p><p a=en-GB>4</p>",
    "<style>P.Big{a:b}.big{c:d}</style><p class=Big>1</p><p class=big>2</p>",
    "<style>p{background:url('a;b.png') no-repeat;font:12px/1 'A B',serif}</style><p>1</p>",
    "<style>/* c */ p /* d */ { /* e */ a: b; /* f: g; */ }</style><p>1</p>",
    "<style>h1,h2 , .x,h3{a:b}</style><h1>1</h1><h2>2</h2><h3>3</h3><p class='y x'>4</p>",
    "<style>div p span{a:b}div>p span{c:d}</style><div><p><b><span>1</span></b></p><b><p><span>2</span></p></b></div>",
    "<style>p{color:red!important}</style><p>1</p>",
    "<style>a{b:c;;d:e;f}</style><a>1</a>",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_another_inliner_agrees(page):
    css_inline = pytest.importorskip("css_inline", reason="css-inline could not be had")
    ours, theirs = Styles(inline(page)).found, Styles(css_inline.inline(page)).found
    tidy = [(tag, {n: v.replace(" !", "!") for n, v in style.items()}) for tag, style in ours]
    assert tidy == [(tag, {n: v.replace(" !", "!") for n, v in style.items()}) for tag, style in theirs]


def test_a_page_that_is_too_much_is_refused_by_name():
    page = "<style>p{a:b}</style>" + "<div>" * 600
    done = subprocess.run([BUILD / "probes/inline"], input=page.encode(), capture_output=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == b"html: elements nest deeper than 512, and styles cannot be inlined\n"
