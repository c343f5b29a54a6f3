"""Load by wrk, and what it does to the memory and the descriptors of our programs."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .peers import Rabbit
from .stack import TOP, NativeStack
from .wait import wait_until

SCRIPT = TOP / "tests/bench/post.lua"
NOT_OURS = ("caddy", "ferretdb", "mailpit")
SLICE_S = 1
DRAINED_WITHIN_S = 300


def wrk(url: str, body: str, status: int, clients: int, seconds: float) -> dict:
    """Posts body for so long; rate, p50_ms, p99_ms, requests, and how many were wrong (another status) or broken."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "20s", "-s", SCRIPT, url],
        env=os.environ | {"BODY": body, "WANTED": str(status)},
        capture_output=True, text=True, timeout=seconds + 60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


@dataclass
class Usage:
    """Of one process."""

    program: str
    proportional_kib: int
    resident_kib: int
    descriptors: int


def our_processes(stack: NativeStack) -> Iterator[tuple[int, str]]:
    """The processes of our programs, and the programs' names."""
    for entry in Path("/proc").iterdir():
        try:
            program = os.readlink(entry / "exe")
            name = (entry / "cmdline").read_bytes().split(b"\0")[0].decode().rsplit("/", 1)[-1]
        except OSError:
            continue
        if program.startswith((f"{stack.run_dir}/versions/", f"{stack.run_dir}/app/bin/")) and name not in NOT_OURS:
            yield int(entry.name), name


def usage(stack: NativeStack) -> dict[int, Usage]:
    found = {}
    for pid, name in our_processes(stack):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        sizes = {line.split()[0]: int(line.split()[1]) for line in lines}
        found[pid] = Usage(name, sizes["Pss:"], sizes["Rss:"], descriptors)
    return found


def log(way: str) -> str:
    return json.dumps({"action": "log", "log": {"name": "flat", "data": "x" * 60}, "transport": way})


MIX = [("/", "x" * 60, 200), ("/handle", log("amqp"), 202), ("/handle", log("http"), 202)]


def drained(stack: NativeStack) -> bool:
    rabbit = Rabbit(stack.rabbitmq_url)
    return rabbit.depth("logs") == 0 and rabbit.depth("mail") == 0


def post_mixed(stack: NativeStack, count: int, clients: int) -> tuple[int, int]:
    """Posts at least so many, to / and to the log by both ways in turn; returns how many, and how many went wrong."""
    sent = bad = 0
    while sent < count:
        for path, body, status in MIX:
            run = wrk(stack.public + path, body, status, clients, SLICE_S)
            sent += run["requests"]
            bad += run["wrong"] + run["broken"]
    wait_until(lambda: drained(stack), DRAINED_WITHIN_S, "the queue of logs is empty")
    return sent, bad


@dataclass
class Flat:
    """What a load left behind."""

    sent: int
    bad: int
    before: dict[int, Usage]
    after: dict[int, Usage]

    @property
    def gone(self) -> list[str]:
        """Programs of which a process ended meanwhile."""
        return sorted(u.program for pid, u in self.before.items() if pid not in self.after)

    def growth(self, what: str) -> dict[str, int]:
        """How much the process of each program grew that grew most."""
        grown: dict[str, int] = {}
        for pid in self.before.keys() & self.after.keys():
            more = getattr(self.after[pid], what) - getattr(self.before[pid], what)
            program = self.before[pid].program
            grown[program] = max(grown.get(program, more), more)
        return grown

    def table(self) -> str:
        lines = [
            f"{self.sent:,} requests, {self.bad} of them wrong; processes that ended: {self.gone or 'none'}\n",
            "| Program | processes | PSS MiB before | after | RSS MiB before | after | descriptors before | after |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name in sorted({u.program for u in self.before.values()}):
            then, now = ([u for u in side.values() if u.program == name] for side in (self.before, self.after))
            mib = [
                f"{sum(getattr(u, what) for u in side) / 1024:.2f}"
                for what in ("proportional_kib", "resident_kib")
                for side in (then, now)
            ]
            descriptors = [str(sum(u.descriptors for u in side)) for side in (then, now)]
            lines.append(f"| {name} | {len(now)} | " + " | ".join([*mib, *descriptors]) + " |")
        return "\n".join(lines)


def flat(stack: NativeStack, count: int, clients: int = 16) -> Flat:
    """Our programs after a warm-up of a tenth of the load, and after the load."""
    post_mixed(stack, count // 10, clients)
    before = usage(stack)
    sent, bad = post_mixed(stack, count, clients)
    return Flat(sent, bad, before, usage(stack))
