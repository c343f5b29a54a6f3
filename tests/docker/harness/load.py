"""Clients that log without a pause while something happens to the stack."""

import collections

from support import promise
from support.peers import Entries, Rabbit
from support.stack import Target
from support.wait import wait_until

CLIENTS = 16
LOGS_BETWEEN = 200  # after each change, before the next one
SENT_WITHIN_S = 60
DRAINED_S = 180
COUNTED_S = 60  # the embedded store reads a whole collection to find a name


class Nothing:
    """What promise.count wants of a killer."""

    done: dict[str, int] = {}  # noqa: RUF012


class Load:
    """Clients that log without a pause, and what they were answered."""

    def __init__(self, swarm: Target):
        self.swarm = swarm
        self.crowd = promise.Clients(swarm.public, f"roll-{promise.new_id()}", CLIENTS)

    def __enter__(self):
        self.crowd.start()
        return self

    def __exit__(self, *_):
        self.crowd.stop.set()
        self.crowd.join()

    def answers(self) -> collections.Counter:
        return collections.Counter(s for log in self.crowd.sent for s in log.statuses)

    def go_on(self) -> None:
        """The load goes on for a while, and none of it has failed so far."""
        enough = len(self.crowd.sent) + LOGS_BETWEEN
        wait_until(lambda: len(self.crowd.sent) >= enough, SENT_WITHIN_S, "more logs are sent")
        assert set(self.answers()) <= {202}, self.answers()

    def count(self) -> promise.Count:
        rabbit, entries = Rabbit(self.swarm.rabbitmq_url), Entries(self.swarm.mongo_url, COUNTED_S)
        try:
            wait_until(lambda: rabbit.depth("logs") == 0, DRAINED_S, "the queue is empty")
            return promise.count(self.crowd, Nothing(), entries, rabbit, 0)
        finally:
            entries.collection.delete_many({"name": self.crowd.name})
            entries.close()

    def report(self, capsys) -> None:
        """None failed, and what was accepted is there once."""
        result = self.count()
        with capsys.disabled():
            print(f"\n{result}; answers: {dict(self.answers())}")
        assert set(self.answers()) == {202}, self.answers()
        assert result.accepted == result.sent == result.stored, result
        assert result.lost == [] and result.twice == [], result
