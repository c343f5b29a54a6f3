"""Clients that log without a pause while something happens to the stack."""

import collections

from support import promise
from support.peers import Entries, Rabbit
from support.stack import Target
from support.wait import wait_until

CLIENTS = 16
LOGS_BETWEEN = 200  # after each change, before the next one
SENT_WITHIN_S = 180  # what waits for a part that is away is sent once it is back
DRAINED_S = 180
COUNTED_S = 60  # the embedded store reads a whole collection to find a name


class Load:
    """Clients that log without a pause, and what they were answered."""

    def __init__(self, stack: Target, clients: int = CLIENTS):
        self.stack = stack
        self.crowd = promise.Clients(stack.public, f"load-{promise.new_id()}", clients)
        self.kills: dict[str, int] = {}  # what was done to the stack meanwhile

    def __enter__(self):
        self.crowd.start()
        return self

    def __exit__(self, *_):
        self.crowd.stop.set()
        self.crowd.join()

    def answers(self) -> collections.Counter:
        return collections.Counter(s for log in self.crowd.sent for s in log.statuses)

    def wait_more(self, logs: int) -> None:
        """So many more are accepted."""
        enough = self.answers()[202] + logs
        wait_until(lambda: self.answers()[202] >= enough, SENT_WITHIN_S, "more logs are accepted")

    def go_on(self) -> None:
        """The load goes on for a while, and none of it has failed so far."""
        enough = len(self.crowd.sent) + LOGS_BETWEEN
        wait_until(lambda: len(self.crowd.sent) >= enough, SENT_WITHIN_S, "more logs are sent")
        assert set(self.answers()) <= {202}, self.answers()

    def count(self, capsys) -> promise.Count:
        """Once the queue is empty; what was accepted must be there once. Prints it."""
        rabbit, entries = Rabbit(self.stack.rabbitmq_url), Entries(self.stack.mongo_url, COUNTED_S)
        try:
            wait_until(lambda: rabbit.depth("logs") == 0, DRAINED_S, "the queue is empty")
            result = promise.count(self.crowd, self.kills, entries, rabbit)
        finally:
            entries.collection.delete_many({"name": self.crowd.name})
            entries.close()
        with capsys.disabled():
            print(f"\n{result}; answers: {dict(self.answers())}")
        assert result.lost == [] and result.twice == [], result
        return result

    def report(self, capsys) -> None:
        """None failed, and all are stored."""
        result = self.count(capsys)
        assert set(self.answers()) == {202}, self.answers()
        assert result.accepted == result.sent == result.stored, result
