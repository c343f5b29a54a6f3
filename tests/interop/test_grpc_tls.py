"""TLS in front of grpc-logd is Caddy's part, as docs/grpc.md says: h2c behind, HTTP/2 over TLS before."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import grpc
import pytest

from document_store import tool
from logs_client import WRITE_LOG, log_request
from support.stack import free_ports
from support.wait import wait_until

CADDYFILE = """
{{
	admin off
	skip_install_trust
	auto_https disable_redirects
	https_port {port}
}}
https://localhost:{port} {{
	tls internal
	reverse_proxy h2c://{behind}
}}
"""


@pytest.fixture
def front(server):
    """Caddy with a certificate of its own making; yields its port and that certificate's root."""
    directory = Path(tempfile.mkdtemp(prefix="fc-tls.", dir="/tmp"))
    port = free_ports(1)[0]
    (directory / "Caddyfile").write_text(CADDYFILE.format(port=port, behind=server.address))
    with open(directory / "log", "wb") as log:
        caddy = subprocess.Popen(
            [tool("caddy"), "run", "--config", directory / "Caddyfile", "--adapter", "caddyfile"],
            env=os.environ | {"HOME": str(directory), "XDG_DATA_HOME": str(directory)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    root = directory / "caddy/pki/authorities/local/root.crt"
    try:
        wait_until(lambda: root.exists() and root.stat().st_size > 0, 30, "Caddy has made its root certificate")
        yield port, root.read_bytes()
    finally:
        caddy.send_signal(signal.SIGTERM)
        caddy.wait(30)
        shutil.rmtree(directory)


def test_a_call_over_tls_is_stored(front, store, unique):
    port, root = front
    entry_id = os.urandom(12).hex()
    with grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(root)) as channel:
        call = channel.unary_unary(WRITE_LOG)
        answer = call(
            log_request(unique, "over TLS"), timeout=30, wait_for_ready=True, metadata=[("x-log-id", entry_id)]
        )
    assert answer == b"\x0a\x07logged!"
    assert store.by_id(entry_id)["data"] == "over TLS"
