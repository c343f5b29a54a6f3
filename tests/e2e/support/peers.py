"""The stores and the mail server, seen through clients that are not ours."""

import email
import email.policy
import hashlib
from contextlib import contextmanager
from email.message import EmailMessage

import bson
import httpx
import pika
import psycopg
import pymongo

from .wait import wait_until

EXCHANGE = "logs_topic"
STORED_WITHIN_S = 15


class Entries:
    """The collection of log entries."""

    def __init__(self, url: str, answer_s: int = 10):
        self.client = pymongo.MongoClient(
            url, serverSelectionTimeoutMS=5000, socketTimeoutMS=answer_s * 1000, tz_aware=True
        )
        self.collection = self.client["logs"]["logs"]

    def by_id(self, hex_id: str) -> dict | None:
        return self.collection.find_one({"_id": bson.ObjectId(hex_id)})

    def named(self, name: str) -> list[dict]:
        return list(self.collection.find({"name": name}))

    def wait_for(self, hex_id: str, seconds: float = STORED_WITHIN_S) -> dict:
        return wait_until(lambda: self.by_id(hex_id), seconds, f"entry {hex_id} is stored")

    def wait_for_name(self, name: str, count: int = 1, seconds: float = STORED_WITHIN_S) -> list[dict]:
        def enough() -> list[dict] | None:
            found = self.named(name)
            return found if len(found) >= count else None

        return wait_until(enough, seconds, f"{count} entries named {name} are stored")

    def close(self) -> None:
        self.client.close()


def id_of_message_id(message_id: str) -> str:
    """The ObjectId that stands for a message id of another form."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:24]


class Rabbit:
    """A connection to RabbitMQ, opened for each use: heartbeats want attention that a test cannot give."""

    def __init__(self, url: str):
        self.url = url

    @contextmanager
    def channel(self):
        parameters = pika.URLParameters(self.url)
        parameters.socket_timeout = parameters.blocked_connection_timeout = 10
        connection = pika.BlockingConnection(parameters)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            connection.close()

    def publish(self, body: bytes, key: str = "log.INFO", **properties) -> None:
        """Publishes to the exchange; fails if no queue takes it."""
        with self.channel() as channel:
            channel.basic_publish(EXCHANGE, key, body, pika.BasicProperties(**properties), mandatory=True)

    def depth(self, queue: str) -> int:
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.message_count

    def find(self, queue: str, wanted) -> tuple[pika.BasicProperties, bytes] | None:
        """The first message in queue for which wanted(properties, body); all of them stay there."""
        with self.channel() as channel:
            for _ in range(channel.queue_declare(queue, passive=True).method.message_count):
                method, properties, body = channel.basic_get(queue)
                if method is None:
                    return None
                if wanted(properties, body):
                    return properties, body
        return None


class Inbox:
    """Mailpit's inbox."""

    def __init__(self, url: str):
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def search(self, query: str) -> list[dict]:
        answer = self.http.get("/api/v1/search", params={"query": query})
        answer.raise_for_status()
        return answer.json()["messages"]

    def wait_for_subject(self, subject: str, seconds: float = STORED_WITHIN_S) -> EmailMessage:
        found = wait_until(lambda: self.search(f'subject:"{subject}"'), seconds, f"a mail about {subject}")
        return self.message(found[0]["ID"])

    def raw(self, mailpit_id: str) -> bytes:
        answer = self.http.get(f"/api/v1/message/{mailpit_id}/raw")
        answer.raise_for_status()
        return answer.content

    def message(self, mailpit_id: str) -> EmailMessage:
        return email.message_from_bytes(self.raw(mailpit_id), policy=email.policy.default)

    def refuse(self, **stages: int) -> None:
        """Has it answer with these codes: Sender, Recipient, Authentication; without any, it takes all again."""
        chaos = {stage: {"ErrorCode": code, "Probability": 100} for stage, code in stages.items()}
        self.http.put("/api/v1/chaos", json=chaos).raise_for_status()

    def close(self) -> None:
        self.http.close()


class Users:
    """The table of users."""

    def __init__(self, dsn: str):
        self.connection = psycopg.connect(dsn, autocommit=True, connect_timeout=5)

    def ensure_like_admin(self, address: str, active: int) -> None:
        """A user with the seed user's password."""
        self.connection.execute(
            """INSERT INTO users (email, first_name, last_name, password, user_active, created_at, updated_at)
               SELECT %s, 'Test', 'User', password, %s, now(), now() FROM users WHERE email = 'admin@example.com'
                  AND NOT EXISTS (SELECT 1 FROM users WHERE email = %s)""",
            (address, active, address),
        )

    def remove(self, address: str) -> None:
        self.connection.execute("DELETE FROM users WHERE email = %s", (address,))

    def row(self, address: str) -> dict:
        with self.connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute("SELECT * FROM users WHERE email = %s", (address,)).fetchone()

    def close(self) -> None:
        self.connection.close()
