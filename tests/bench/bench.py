"""Measures each path of the system as a share of a floor measured in the same run.

The floor is a bare libfcgi program behind the same front door. Absolute figures drift with the
machine; shares drift little. Paths are measured in turn, for several rounds, on a stack of its own.

    bench.py [--rounds N] [--seconds S] [--clients N] [PATH ...]
    bench.py --flat REQUESTS    memory and descriptors before and after so many requests, and nothing else
    bench.py --million          memory of the log servers before and after a million calls, and nothing else
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import servers  # noqa: E402

from support.load import drained, flat, usage, wrk  # noqa: E402
from support.peers import Entries, Rabbit  # noqa: E402
from support.stack import BUILD, NativeStack  # noqa: E402
from support.wait import wait_until  # noqa: E402

FLOOR_WORKERS = 4
DRAINED_MESSAGES = 20000


@dataclass
class Path_:
    """A path to measure: what is posted where, and what must come back."""

    name: str
    url: str
    body: str
    status: int
    goal: str
    clients: int | None = None
    settings: str = ""  # NAME=VALUE that the stack is started anew with


LOG = {"action": "log", "log": {"name": "event", "data": "x" * 60}}
AUTH = {"action": "auth", "auth": {"email": "admin@example.com", "password": "verysecret"}}
MAIL = {
    "action": "mail",
    "mail": {"from": "me@example.com", "to": "you@example.com", "subject": "Bench", "message": "Hello"},
}

FLOOR = Path_("floor", "/floor", "x" * 60, 200, "")
LOG_AMQP = Path_("log-amqp", "/handle", json.dumps(LOG | {"transport": "amqp"}), 202, "0.50")
PATHS = [
    Path_("broker", "/", "x" * 60, 200, "1.00"),
    LOG_AMQP,
    Path_("log-rpc", "/handle", json.dumps(LOG | {"transport": "rpc"}), 202, "0.75"),
    Path_("log-grpc", "/handle", json.dumps(LOG | {"transport": "grpc"}), 202, "0.75"),
    Path_("log-http", "/handle", json.dumps(LOG | {"transport": "http"}), 202, "0.25"),
    Path_("mail", "/handle", json.dumps(MAIL), 202, "0.20"),
    Path_("mail-amqp", "/handle", json.dumps(MAIL), 202, "0.35", settings="MAIL_TRANSPORT=amqp"),
    Path_("auth", "/handle", json.dumps(AUTH), 202, "0.95 of crypt()", clients=4),
]
OTHERS = ["drain", "servers"]  # measured by themselves


def crypt_rate(seconds: float) -> float:
    done = subprocess.run([BUILD / "probes/crypt_rate", f"{seconds:g}"], capture_output=True, text=True, check=True)
    return float(done.stdout)


def memory(stack: NativeStack) -> dict[str, list[int]]:
    """Proportional set size, in KiB, of every program of ours that runs."""
    sizes: dict[str, list[int]] = {}
    for one in usage(stack).values():
        sizes.setdefault(one.program, []).append(one.proportional_kib)
    return sizes


def drop_floor(stack: NativeStack) -> None:
    (stack.handlers_dir / "public/floor.conf").write_text(f"workers = {FLOOR_WORKERS}\n")
    stack.drop(BUILD / "probes/floor", "public", "floor")
    stack.wait_for_live("public", "floor")


def run_path(stack: NativeStack, path: Path_, clients: int, seconds: float) -> dict:
    return wrk(stack.public + path.url, path.body, path.status, path.clients or clients, seconds)


def drain(stack: NativeStack, least: int, clients: int) -> float:
    """Messages a second that the listener brings from their queue into the store, its start and stop included."""
    entries = Entries(stack.mongo_url)
    rabbit = Rabbit(stack.rabbitmq_url)
    before = entries.collection.estimated_document_count()
    stack.stop("listener")
    while rabbit.depth("logs") < least:
        run_path(stack, LOG_AMQP, clients, 2)
    waiting = rabbit.depth("logs")
    began = time.monotonic()
    stack.start("listener")
    wait_until(lambda: drained(stack), 600, "the queue is empty")
    # To count would be work for the store. When the listener has ended, what it held is stored, or back in the queue.
    stack.stop("listener")
    seconds = time.monotonic() - began
    stored = entries.collection.estimated_document_count() - before
    wait_until(
        lambda: rabbit.depth("logs") == waiting - stored, 10, f"{stored} of {waiting} are stored, the others wait"
    )
    entries.close()
    stack.start("listener")
    return stored / seconds


def measure(stack: NativeStack, paths: list[Path_], rounds: int, seconds: float, clients: int) -> dict:
    """For each path the runs of all rounds; the floor is measured before each of them."""
    runs: dict[str, list[dict]] = {p.name: [] for p in (FLOOR, *paths)}
    for round_ in range(rounds):
        for path in paths:
            print(f"round {round_ + 1} of {rounds}: {path.name} …", file=sys.stderr, flush=True)
            floor = run_path(stack, FLOOR, clients, seconds)
            run = run_path(stack, path, clients, seconds)
            base = crypt_rate(seconds) if path.name == "auth" else floor["rate"]
            run["share"] = run["rate"] / base
            runs["floor"].append(floor | {"share": 1.0})
            runs[path.name].append(run)
            wait_until(lambda: drained(stack), 300, "the queues are empty")
    return runs


def measure_all(stack: NativeStack, paths: list[Path_], rounds: int, seconds: float, clients: int) -> dict:
    """The paths that need no settings of their own first, then each of the others on a stack that has them."""
    runs = measure(stack, [p for p in paths if not p.settings], rounds, seconds, clients)
    for path in [p for p in paths if p.settings]:
        name, value = path.settings.split("=", 1)
        stack.up(**{name: value})
        more = measure(stack, [path], rounds, seconds, clients)
        runs["floor"] += more.pop("floor")
        runs |= more
        stack.up(**{name: ""})
    return runs


def print_table(runs: dict, goals: dict[str, str]) -> int:
    """Prints the medians; returns how many answers were not what they should be."""
    bad = 0
    print("| Path | /s | p50 ms | p99 ms | share | spread | goal |\n|---|---|---|---|---|---|---|")
    for name, of_path in runs.items():
        if not of_path:
            continue
        median = {k: statistics.median(r[k] for r in of_path) for k in ("rate", "p50_ms", "p99_ms", "share")}
        shares = [r["share"] for r in of_path]
        bad += sum(r["wrong"] + r["broken"] for r in of_path)
        print(
            f"| {name} | {median['rate']:,.0f} | {median['p50_ms']:.1f} | {median['p99_ms']:.1f} "
            f"| {median['share']:.2f} | {min(shares):.2f} to {max(shares):.2f} | {goals.get(name, '')} |"
        )
    return bad


def print_memory(sizes: dict[str, list[int]], title: str) -> None:
    print(f"\n{title}\n\n| Program | processes | MiB each | MiB in all |\n|---|---|---|---|")
    total = 0
    for name, each in sorted(sizes.items()):
        total += sum(each)
        print(f"| {name} | {len(each)} | {statistics.mean(each) / 1024:.2f} | {sum(each) / 1024:.1f} |")
    print(f"| all | {sum(map(len, sizes.values()))} | | {total / 1024:.1f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("paths", nargs="*", metavar="PATH", help=", ".join([p.name for p in PATHS] + OTHERS))
    parser.add_argument("--flat", type=int, metavar="REQUESTS")
    parser.add_argument("--million", type=int, nargs="?", const=1_000_000, metavar="CALLS")
    options = parser.parse_args()
    if options.million:
        return 1 if servers.million(options.million) else 0
    wanted = [p for p in PATHS if not options.paths or p.name in options.paths]
    stack = NativeStack("bench")
    try:
        stack.up()
        if options.flat:
            result = flat(stack, options.flat, options.clients)
            print(result.table())
            return 1 if result.bad or result.gone else 0
        drop_floor(stack)
        idle = memory(stack)
        runs = measure_all(stack, wanted, options.rounds, options.seconds, options.clients)
        print(f"{options.clients} clients, {options.rounds} rounds of {options.seconds:g} s, {os.cpu_count()} cores\n")
        bad = print_table(runs, {p.name: p.goal for p in PATHS})
        if not options.paths or "drain" in options.paths:
            rates = [drain(stack, DRAINED_MESSAGES, options.clients) for _ in range(options.rounds)]
            print(
                f"\nThe listener drains {DRAINED_MESSAGES:,} waiting messages and more into the store at "
                f"{statistics.median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"
            )
        if not options.paths or "servers" in options.paths:
            servers.print_rows(stack, options.rounds, options.seconds)
        print_memory(idle, "Memory when idle (proportional set size)")
        print_memory(memory(stack), "Memory after the load")
        print(f"\n{bad} answers were not what they should be")
    finally:
        stack.remove()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
