"""Rows of the log servers themselves, asked without the front door, always so many calls at once.

Straight to rpc-logd and grpc-logd of the stack, next to what one loop of large inserts yields on the same store; and
grpc-logd with a writer that only counts next to a server by grpc-go that only counts.
"""

import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

INTEROP = Path(__file__).resolve().parents[1] / "interop"
sys.path.insert(0, str(INTEROP))
import go_program  # noqa: E402
from log_server import LogServer  # noqa: E402
from support.load import usage  # noqa: E402
from support.peers import Entries  # noqa: E402
from support.stack import NativeStack  # noqa: E402

AT_ONCE = 64
RAW_BATCH = 500
TEXT = ("event", "x" * 60)
WARM_UP_CALLS = 20_000
STORED_CALLS_A_S, COUNTED_CALLS_A_S = 10_000, 40_000  # about what is answered: a run takes as long as it should
LOAD_TIMEOUT_S = 600
COUNT_S = 120  # the embedded store reads what it counts
MOST_KIB, GROWTH_KIB = 6 * 1024, 256


@dataclass
class Row:
    """What was measured in each round, and its share of what it is compared with."""

    name: str
    goal: str = ""
    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def add(self, rate: float, base: float | None = None) -> float:
        self.rates.append(rate)
        if base:
            self.shares.append(rate / base)
        return rate

    def __str__(self) -> str:
        rates = f"{statistics.median(self.rates):,.0f} | {min(self.rates):,.0f} to {max(self.rates):,.0f}"
        share = f"{statistics.median(self.shares):.2f}" if self.shares else ""
        return f"| {self.name} | {rates} | {share} | {self.goal} |"


def request() -> bytes:
    """WriteLog's message with gRPC's prefix; every part is shorter than 128 bytes."""
    name, data = (t.encode() for t in TEXT)
    entry = bytes((0x0A, len(name))) + name + bytes((0x12, len(data))) + data
    message = bytes((0x0A, len(entry))) + entry
    return bytes(1) + len(message).to_bytes(4, "big") + message


class Clients:
    """The programs that make calls: netrpc and h2load. Each prints how fast it was answered."""

    def __init__(self, directory: Path):
        self.netrpc = go_program.build(INTEROP / "netrpc", directory / "netrpc")
        self.grpcgo = go_program.build(INTEROP / "grpcgo", directory / "grpcgo")
        self.body = directory / "call"
        self.body.write_bytes(request())

    def rpc(self, address: str, calls: int) -> float:
        done = json.loads(run(self.netrpc, "flood", address, str(calls), str(AT_ONCE)))
        check(done["stored"], calls, "calls were answered")
        return done["stored"] / done["seconds"]

    def grpc(self, address: str, calls: int, connections: int = 1) -> float:
        """It does not look at grpc-status: whoever calls must ask the server how many it took."""
        output = run(
            "h2load", "-n", str(calls), "-c", str(connections), "-m", str(AT_ONCE // connections), "-d", self.body,
            "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{address}/logs.LogService/WriteLog",
        )  # fmt: skip
        check(int(re.search(r"(\d+) succeeded", output)[1]), calls, "calls were answered")
        return float(re.search(r"finished in .*?, ([\d.]+) req/s", output)[1])


def run(*command: str | Path) -> str:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S, check=True
    ).stdout


def check(is_: int, wanted: int, what: str) -> None:
    if is_ != wanted:
        raise RuntimeError(f"{is_} of {wanted} {what}")


def raw_inserts(entries: Entries, seconds: float) -> float:
    """Entries a second that one loop of insert-many brings into the store."""
    name, data = TEXT
    stored, began = 0, time.monotonic()
    while (took := time.monotonic() - began) < seconds:
        now = datetime.now(UTC)
        entry = {"name": name, "data": data, "level": "INFO", "created_at": now, "updated_at": now}
        entries.collection.insert_many([dict(entry) for _ in range(RAW_BATCH)], ordered=False)
        stored += RAW_BATCH
    return stored / took


def stored_straight(entries: Entries, call: Callable[[int], float], calls: int) -> float:
    """What `call` measures, once it is sure that every call of it is one more entry."""
    before = entries.collection.estimated_document_count()
    rate = call(calls)
    check(entries.collection.estimated_document_count() - before, calls, "entries are stored")
    return rate


class Counting(LogServer):
    """A log server that counts, tests/probes/counting_NAME."""

    def __init__(self, name: str):
        super().__init__(f"probes/counting_{name}", f"LOG_{name.upper()}_LISTEN", "mongodb://127.0.0.1:1/none")

    def counted(self) -> int:
        """How many it took; it has ended then."""
        if self.stop() != 0:
            raise RuntimeError(self.lines()[-1000:])
        return next(int(line) for line in self.lines().splitlines() if line.isdigit())


@contextlib.contextmanager
def counting(name: str, calls: int) -> Iterator[Counting]:
    """One that must have taken so many calls in the end."""
    server = Counting(name)
    try:
        server.start()
        yield server
        check(server.counted(), calls, "calls were counted")
    finally:
        server.remove()


@contextlib.contextmanager
def counting_go(clients: Clients, calls: int) -> Iterator[str]:
    """The address of the server by grpc-go."""
    with subprocess.Popen([clients.grpcgo, "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
        check(int(server.stdout.readline()), calls, "calls were counted")


def counted_rates(clients: Clients, calls: int, connections: int) -> tuple[float, float]:
    """Ours, and grpc-go's."""
    with counting("grpc", WARM_UP_CALLS + calls) as ours:
        clients.grpc(ours.address, WARM_UP_CALLS, connections)
        rate = clients.grpc(ours.address, calls, connections)
    with counting_go(clients, WARM_UP_CALLS + calls) as theirs:
        clients.grpc(theirs, WARM_UP_CALLS, connections)
        return rate, clients.grpc(theirs, calls, connections)


def servers_kib(stack: NativeStack) -> dict[str, int]:
    return {u.program: u.proportional_kib for u in usage(stack).values() if u.program in ("rpc-logd", "grpc-logd")}


def measure(stack: NativeStack, rounds: int, seconds: float) -> list[Row]:
    raw = Row(f"one loop of insert-many, {RAW_BATCH} each")
    straight = {name: Row(f"straight to {name}-logd", "15,000/s") for name in ("rpc", "grpc")}
    ours = {n: Row(f"counting grpc-logd, {n} connections", "2.00 of grpc-go") for n in (1, 8)}
    theirs = {n: Row(f"counting grpc-go, {n} connections") for n in ours}
    entries = Entries(stack.mongo_url, COUNT_S)
    with tempfile.TemporaryDirectory(prefix="fc-bench.") as directory, contextlib.closing(entries):
        clients = Clients(Path(directory))
        calls = {"rpc": lambda n: clients.rpc(stack.rpc_addr, n), "grpc": lambda n: clients.grpc(stack.grpc_addr, n)}
        for round_ in range(rounds):
            print(f"round {round_ + 1} of {rounds}: the log servers …", file=sys.stderr, flush=True)
            base = raw.add(raw_inserts(entries, seconds))
            for name, call in calls.items():
                stored = stored_straight(entries, call, int(STORED_CALLS_A_S * seconds))
                straight[name].add(stored, base)
            for n in ours:
                our_rate, their_rate = counted_rates(clients, int(COUNTED_CALLS_A_S * seconds), n)
                ours[n].add(our_rate, theirs[n].add(their_rate))
    return [raw, *straight.values(), *ours.values(), *theirs.values()]


def print_rows(stack: NativeStack, rounds: int, seconds: float) -> None:
    before = servers_kib(stack)
    try:
        rows = measure(stack, rounds, seconds)
    except pytest.skip.Exception as why:
        print(f"\nThe log servers are not measured: {why}")
        return
    print(f"\nThe log servers, {AT_ONCE} calls at once, share of the loop or of grpc-go\n")
    print("| What | /s | spread | share | goal |\n|---|---|---|---|---|")
    print("\n".join(str(row) for row in rows))
    for name, after in servers_kib(stack).items():
        print(f"\n{name}: {before[name] / 1024:.2f} MiB proportional set size before, {after / 1024:.2f} after", end="")
    print()


def million(calls: int) -> int:
    """So many calls to each log server that counts; prints their memory, and returns how many grew or are too large."""
    bad = 0
    print("| Program | calls | /s | PSS MiB at first | before | after |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="fc-bench.") as directory:
        clients = Clients(Path(directory))
        for name, call in (("rpc", clients.rpc), ("grpc", clients.grpc)):
            with counting(name, WARM_UP_CALLS + calls) as server:
                sizes = [server.memory_kib()]
                call(server.address, WARM_UP_CALLS)
                sizes.append(server.memory_kib())
                rate = call(server.address, calls)
                sizes.append(server.memory_kib())
            bad += sizes[2] > MOST_KIB or sizes[2] > sizes[1] + GROWTH_KIB
            mib = " | ".join(f"{kib / 1024:.2f}" for kib in sizes)
            print(f"| {name}-logd, counting | {calls:,} | {rate:,.0f} | {mib} |", flush=True)
    print(f"\n{bad} of them grew, or are larger than {MOST_KIB // 1024} MiB")
    return bad
