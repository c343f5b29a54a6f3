"""What programs by grpc-go get from grpc-logd."""

import json
import subprocess
from pathlib import Path

from support.stack import TOP

PROTO = TOP / "lib/wire"
CALLS = 1000


def test_a_go_program_gets_what_it_should(server, store, grpcgo, unique):
    done = subprocess.run([grpcgo, server.address, unique, str(CALLS)], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "one": "logged!",
        "repeat": "logged!",
        "conflict": "AlreadyExists",
        "many": {"logged!": CALLS},
        "late": "DeadlineExceeded",
        "compressed": "Unimplemented",
        "large": "ResourceExhausted",
        "malformed": "InvalidArgument",
        "check": "SERVING",
        "watch": "SERVING",
    }
    assert store.entries.count_documents({"name": unique}) == CALLS + 1


def curl(program: Path, *arguments: str) -> dict:
    done = subprocess.run(
        [program, "-plaintext", "-import-path", PROTO, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_grpcurl_writes_an_entry(server, store, grpcurl, unique):
    entry = json.dumps({"logEntry": {"name": unique, "data": "by grpcurl"}})
    level = ("-H", "x-log-level: WARNING")
    answer = curl(grpcurl, "-proto", "logs.proto", *level, "-d", entry, server.address, "logs.LogService/WriteLog")
    assert answer == {"result": "logged!"}
    assert store.named(unique)[0]["level"] == "WARNING"


def test_grpcurl_asks_for_the_health(server, grpcurl):
    answer = curl(grpcurl, "-proto", "health.proto", server.address, "grpc.health.v1.Health/Check")
    assert answer == {"status": "SERVING"}
