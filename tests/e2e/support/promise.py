"""The promise under kills: logs are sent while parts of the stack are killed and frozen at random;
afterwards every log that was answered 202 must be stored once, or lie in a dead-letter queue.

As a program it goes on for as long as it is told:

    python -m support.promise --seconds 600 [--seed N] [--clients N]
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.peers import Entries, Rabbit  # noqa: E402
from support.stack import NativeStack  # noqa: E402
from support.wait import wait_until  # noqa: E402

ANSWER_TIMEOUT_S = 40  # longer than the front door waits for a handler
DRAIN_TIMEOUT_S = 180
REPEATS = 8

# Half of the logs go by the configured order, the others by one way each.
WAYS = [{}, {"transport": "amqp"}, {}, {"transport": "rpc"}, {}, {"transport": "grpc"}, {}, {"transport": "http"}]


@dataclass
class Sent:
    """One numbered log: the id it was given, if the client chose one, and what was answered."""

    number: int
    chosen: str = ""
    accepted: str = ""  # the id in the 202
    statuses: list = field(default_factory=list)


def new_id() -> str:
    return f"{int(time.time()):08x}{random.SystemRandom().getrandbits(64):016x}"


class Clients:
    """Clients that number their logs. Every other log has an id of its client's own, and is repeated until it is
    answered 202; the others are sent once, because a repeat without an id is another log."""

    def __init__(self, url: str, name: str, count: int):
        self.url, self.name = url, name
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.sent: list[Sent] = []
        self.stop = threading.Event()
        self.limit = 0  # stop after so many logs; 0: when told
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]

    def start(self, limit: int = 0) -> None:
        self.limit = limit
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def next_log(self) -> Sent | None:
        with self.lock:
            number = next(self.numbers)
            if self.stop.is_set() or (self.limit and number >= self.limit):
                return None
            log = Sent(number, new_id() if number % 2 else "")
            self.sent.append(log)
            return log

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=ANSWER_TIMEOUT_S) as http:
            while log := self.next_log():
                for _ in range(REPEATS if log.chosen else 1):
                    if self.post(http, log):
                        break

    def post(self, http: httpx.Client, log: Sent) -> bool:
        entry = {"name": self.name, "data": str(log.number)} | ({"id": log.chosen} if log.chosen else {})
        way = WAYS[log.number // 2 % len(WAYS)]
        try:
            answer = http.post("/handle", json={"action": "log", "log": entry} | way)
        except httpx.HTTPError as e:
            log.statuses.append(type(e).__name__)
            return False
        log.statuses.append(answer.status_code)
        if answer.status_code != 202:
            return False
        log.accepted = answer.json()["data"]["id"]
        return True


class Killer:
    """Kills and freezes what belongs to the stack, one thing after the other."""

    # How often each part lies in a deck that is dealt out and shuffled anew. RabbitMQ takes seconds to come back: the
    # run kills it itself.
    DECK = {
        "listener": 3, "log": 3, "handle": 3, "pool log": 1, "pool handle": 1, "fdholder": 1, "store": 2,
        "rpc-logd": 2, "grpc-logd": 2,
        "log at work": 3, "listener at work": 1, "rpc-logd at work": 1, "grpc-logd at work": 1,
    }  # fmt: skip
    # A moment's kill finds most parts idle. What these wait for is frozen first, and dies with them: so their hands are
    # full, and nobody else finishes their work.
    WAITS_FOR = {
        "log": "store", "listener": "store", "rpc-logd": "store", "grpc-logd": "store", "rabbitmq": "rabbitmq",
    }  # fmt: skip
    AT_WORK_S = 0.3
    PAUSE_S = (0.1, 0.8)
    FREEZE_S = (0.2, 3.0)

    def __init__(self, stack: NativeStack, seed: int):
        self.stack, self.random = stack, random.Random(seed)
        self.done: dict[str, int] = {}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def pids_of(self, part: str) -> list[int]:
        if part.startswith("pool "):
            name = part.removeprefix("pool ")
            return [p for s, p in self.stack.pids().items() if s.endswith(f".{name}") and p]
        if part in ("log", "handle"):
            return sorted(self.stack.workers(part))
        pid = self.stack.service_pid(part)
        return [pid] if pid else []

    def hit(self, part: str, freeze: bool) -> None:
        pids = self.pids_of(part)
        if not pids:
            return
        pid = self.random.choice(pids)
        try:
            os.kill(pid, signal.SIGSTOP if freeze else signal.SIGKILL)
            if freeze:
                self.stop.wait(self.random.uniform(*self.FREEZE_S))
                os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return
        self.note(f"{part} {'frozen' if freeze else 'killed'}")

    def kill_at_work(self, part: str) -> None:
        waited_for = self.stack.service_pid(self.WAITS_FOR[part])
        if not waited_for:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(waited_for, signal.SIGSTOP)
        self.stop.wait(self.AT_WORK_S)
        for pid in dict.fromkeys([*self.pids_of(part), waited_for]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.note(f"{part} killed at work")

    def note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def run(self) -> None:
        deck: list[str] = []
        while not self.stop.wait(self.random.uniform(*self.PAUSE_S)):
            if not deck:
                deck = [part for part, times in self.DECK.items() for _ in range(times)]
                self.random.shuffle(deck)
            part, at_work, _ = deck.pop().partition(" at work")
            if at_work:
                self.kill_at_work(part)
            else:
                self.hit(part, freeze=self.random.random() < 0.3)

    def finish(self) -> None:
        self.stop.set()
        self.thread.join()


@dataclass
class Count:
    """What came of the logs of one run."""

    seed: int
    sent: int
    accepted: int
    stored: int
    dead: int
    lost: list[int]
    twice: list[int]
    kills: dict[str, int]

    def __str__(self) -> str:
        kills = ", ".join(f"{n} x {what}" for what, n in sorted(self.kills.items()))
        return (
            f"promise: seed {self.seed}: {self.sent} logs, {self.accepted} answered 202: {self.stored} stored, "
            f"{self.dead} dead letters, {len(self.lost)} lost, {len(self.twice)} twice ({kills})"
        )


def dead_ids(rabbit: Rabbit, queue: str = "logs.dead") -> set[str]:
    """The ids in a dead-letter queue, which keeps its messages."""
    ids = set()
    with rabbit.channel() as channel:
        while (got := channel.basic_get(queue))[0]:
            ids.add(got[1].message_id)
    return ids


def stored_by_number(entries: Entries, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for document in entries.collection.find({"name": name}, {"data": 1}):
        found.setdefault(document["data"], []).append(str(document["_id"]))
    return found


def count(clients: Clients, kills: dict[str, int], entries: Entries, rabbit: Rabbit, seed: int = 0) -> Count:
    """Waits until every accepted log is somewhere, and counts."""
    accepted = [s for s in clients.sent if s.accepted]
    dead: set[str] = set()

    def missing() -> list[Sent]:
        stored = {i for ids in stored_by_number(entries, clients.name).values() for i in ids}
        return [s for s in accepted if s.accepted not in stored and s.accepted not in dead]

    def settled() -> bool:
        if missing():
            dead.update(dead_ids(rabbit))
        return not missing() and rabbit.depth("logs") == 0

    with contextlib.suppress(AssertionError):  # what is missing is counted as lost
        wait_until(settled, DRAIN_TIMEOUT_S, "every accepted log is stored or a dead letter")
    stored = stored_by_number(entries, clients.name)
    return Count(
        seed=seed,
        sent=len(clients.sent),
        accepted=len(accepted),
        stored=sum(1 for s in accepted if s.accepted in stored.get(str(s.number), [])),
        dead=sum(1 for s in accepted if s.accepted in dead),
        lost=[s.number for s in missing()],
        twice=[int(number) for number, ids in stored.items() if len(ids) > 1],
        kills=kills,
    )


def run(stack: NativeStack, seed: int, clients: int = 16, logs: int = 0, seconds: float = 0) -> Count:
    """So many logs, or for so long; RabbitMQ is killed twice on the way."""
    name = f"promise-{seed}-{new_id()}"
    crowd = Clients(stack.public, name, clients)
    killer = Killer(stack, seed)
    crowd.start(logs)
    killer.thread.start()
    begun = time.monotonic()

    def share() -> float:
        return len(crowd.sent) / logs if logs else (time.monotonic() - begun) / seconds

    for part in (0.25, 0.6):
        wait_until(lambda part=part: share() >= part, max(600.0, seconds * 2), f"{part:.0%} of the run is over")
        killer.kill_at_work("rabbitmq")
    wait_until(lambda: share() >= 1, max(600.0, seconds * 2), "the run is over")
    crowd.stop.set()
    crowd.join()
    killer.finish()
    entries = Entries(stack.mongo_url)
    try:
        return count(crowd, killer.done, entries, Rabbit(stack.rabbitmq_url), seed)
    finally:
        entries.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    stack = NativeStack("soak")
    try:
        stack.up()
        result = run(stack, options.seed, options.clients, seconds=options.seconds)
        print(result)
        if result.lost or result.twice:
            print(f"lost: {result.lost[:20]} twice: {result.twice[:20]}\n{stack.log_tails(30)}")
        return 1 if result.lost or result.twice else 0
    finally:
        stack.remove()


if __name__ == "__main__":
    sys.exit(main())
