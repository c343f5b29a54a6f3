"""What is in the images: nothing secret, no way to become root, and not much."""

import io
import json
import re
import tarfile
from dataclasses import dataclass, field
from functools import cache

import pytest

from harness import images

MOST_MB = 50
SECRET_FILES = re.compile(
    r"(^|/)(\.git|\.env|\.netrc|\.ssh|\.aws|\.docker|\.npmrc|id_(rsa|ecdsa|ed25519)|[^/]*\.(pem|key|p12|pfx|jks)|"
    r"shadow-|\.bash_history|\.erlang\.cookie)(/|$)"
)
CERTIFICATES = re.compile(r"^(etc/ssl/certs|usr/share/ca-certificates)/")
SECRET_TEXT = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=:,\s-]{32}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|"
    rb"(?:amqps?|mongodb(?:\+srv)?|postgres(?:ql)?|https?)://[A-Za-z0-9_.-]+:[^@\s\"'%:/<>*${}]{6,}@"
)
KNOWN_DEFAULTS = (b"amqp://guest:guest@127.0.0.1",)  # of lib/core/config, and refused nowhere
SECRET_VARIABLE = re.compile(r"PASS|SECRET|TOKEN|_KEY|CREDENTIAL")
MAX_SCAN_BYTES = 64 << 20


@dataclass
class Content:
    """What one image's layers hold."""

    layers: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # mode by path
    capable: set[str] = field(default_factory=set)  # files with capabilities
    texts: dict[str, list[bytes]] = field(default_factory=dict)  # what looks like a secret, by path
    configuration: dict = field(default_factory=dict)


def read_layer(layer: tarfile.TarFile, content: Content) -> None:
    for member in layer:
        path = member.name.removeprefix("./")
        if member.isfile() or member.isdir():
            content.files[path] = member.mode
        if any("security.capability" in header for header in member.pax_headers):
            content.capable.add(path)
        if member.isfile() and member.size <= MAX_SCAN_BYTES:
            found = [
                text for text in SECRET_TEXT.findall(layer.extractfile(member).read())
                if not text.startswith(KNOWN_DEFAULTS)
            ]  # fmt: skip
            if found:
                content.texts[path] = found


@cache
def content_of(daemon, image: str, base: str = "") -> Content:
    """Of all layers that are not the base's, also what a later layer takes away again."""
    theirs = set(content_of(daemon, base).layers) if base else set()
    with tarfile.open(fileobj=io.BytesIO(daemon.save(image))) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        content = Content(configuration=json.load(archive.extractfile(manifest["Config"])))
        content.layers = content.configuration["rootfs"]["diff_ids"]
        for identity, file in zip(content.layers, manifest["Layers"], strict=True):
            if identity not in theirs:
                with tarfile.open(fileobj=archive.extractfile(file)) as layer:
                    read_layer(layer, content)
    return content


@pytest.fixture(params=images.names())
def name(request) -> str:
    return request.param


def base_of(name: str) -> str:
    return images.CADDY if name == "caddy" else images.DEBIAN


@pytest.fixture
def content(daemon, built, name) -> Content:
    return content_of(daemon, images.image(name), base_of(name))


def test_it_adds_little_to_its_base(daemon, built, name):
    size, base = (daemon.inspect(i)["Size"] for i in (images.image(name), base_of(name)))
    assert 0 < size - base <= MOST_MB * 1_000_000


def test_the_build_prints_what_each_adds(built):
    if built:
        assert len(re.findall(r"MB over ", built)) == len(images.names())


def test_nothing_in_it_is_setuid_that_is_not_in_the_base(daemon, content, name):
    base = content_of(daemon, base_of(name))
    raised = {path for path, mode in content.files.items() if mode & 0o6000}
    assert raised <= {path for path, mode in base.files.items() if mode & 0o6000}, raised
    assert content.capable == set(), "files with capabilities"


def test_nothing_in_it_is_secret(daemon, content, name):
    base = content_of(daemon, base_of(name))  # Caddy's has the base's files in its own layer
    named = {p for p in content.files if SECRET_FILES.search(p) and not CERTIFICATES.search(p)}
    assert named - set(base.files) == set()
    assert {path: found for path, found in content.texts.items() if base.texts.get(path) != found} == {}


def test_no_variable_of_it_is_secret(content):
    variables = [v for v in content.configuration["config"].get("Env") or [] if SECRET_VARIABLE.search(v.split("=")[0])]
    assert variables == []
    history = json.dumps(content.configuration.get("history"))
    assert not re.search(r"(?i)(password|secret|token)[a-z_]*=[^ \"]", history), history


def test_it_runs_as_an_ordinary_user(content):
    assert content.configuration["config"]["User"] == "10001:10001"


def test_the_scan_finds_what_it_looks_for():
    """The scanner itself: a layer with one of each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, mode, text, headers in (
            ("usr/bin/raise", 0o4755, b"", {}),
            ("usr/bin/capable", 0o755, b"", {"SCHILY.xattr.security.capability": "x"}),
            ("root/.ssh/id_rsa", 0o600, b"-----BEGIN RSA PRIVATE KEY-----\n" + 64 * b"M", {}),
            ("etc/url", 0o644, b"x=mongodb://u:hunter2hunter2@h/", {}),
        ):
            member = tarfile.TarInfo(path)
            member.mode, member.size, member.pax_headers = mode, len(text), headers
            tar.addfile(member, io.BytesIO(text))
    buffer.seek(0)
    content = Content()
    with tarfile.open(fileobj=buffer) as layer:
        read_layer(layer, content)
    assert content.files["usr/bin/raise"] & 0o4000
    assert content.capable == {"usr/bin/capable"}
    assert set(content.texts) == {"root/.ssh/id_rsa", "etc/url"}
    assert [p for p in content.files if SECRET_FILES.search(p)] == ["root/.ssh/id_rsa"]
