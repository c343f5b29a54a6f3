"""A RabbitMQ node of our own, which tests may stop, kill and freeze."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pika

from .stack import free_ports
from .wait import wait_until

BIN = "/usr/lib/rabbitmq/bin"
START_S = 60
EXCHANGE = "logs_topic"


class Broker:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="fc-rabbit.", dir="/tmp"))
        self.port, dist, epmd = free_ports(3)
        self.url = f"amqp://flexi:secret@127.0.0.1:{self.port}/"
        self.process: subprocess.Popen | None = None
        self.name = f"n{self.port}@localhost"
        (self.dir / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "log.console = true\nlog.console.level = warning\nlog.file = false\n"
            "disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 512MB\n"
            "default_user = flexi\ndefault_pass = secret\n"
        )
        # As in the stack: what a retry queue cannot pass back after a crash is sent again soon.
        (self.dir / "advanced.config").write_text(
            "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}].\n"
        )
        (self.dir / "enabled_plugins").write_text("[].\n")
        (self.dir / "env.conf").write_text("")
        # A cookie in HOME, and nothing that this machine's own RabbitMQ may be told.
        self.env = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self.dir),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_MNESIA_BASE": str(self.dir / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.dir / "log"),
            "RABBITMQ_PID_FILE": str(self.dir / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(self.dir / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.dir / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.dir / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.dir / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.dir / "config"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.dir / "feature_flags"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.epmd = self._spawn("epmd", "-port", str(epmd), "-address", "127.0.0.1")

    def _spawn(self, *command: str) -> subprocess.Popen:
        log = open(self.dir / "output", "ab")  # noqa: SIM115
        with log:
            return subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def start(self):
        self.process = self._spawn("rabbitmq-server")
        wait_until(self._answers, START_S, "RabbitMQ answers")

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, (self.dir / "output").read_text()[-2000:]
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True

    def send(self, number: int):
        """To the node and its helpers, which are its process group."""
        assert self.process
        os.killpg(self.process.pid, number)

    def stop(self, number: int = signal.SIGKILL):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGCONT)
                self.send(number)
            self.process.wait(60)
            self.process = None

    def ctl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["rabbitmqctl", "-q", "-n", self.name, *arguments], env=self.env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def remove(self):
        self.stop()
        self.epmd.kill()
        self.epmd.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def client(self) -> "Client":
        return Client(self.url)


class Client:
    """One connection of pika, which confirms what it publishes."""

    def __init__(self, url: str):
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(pika.exceptions.AMQPError, OSError):
            self.connection.close()

    def publish(self, key: str, payload, message_id: str | None = "", exchange: str = EXCHANGE, **properties) -> str:
        """Publishes; the id is a new one for "", and none for None. Bytes go as they are."""
        if message_id == "":
            message_id = uuid.uuid4().hex[:24]
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.channel.basic_publish(
            exchange,
            key,
            body,
            pika.BasicProperties(message_id=message_id, delivery_mode=2, **properties),
            mandatory=True,
        )
        return message_id or ""

    def flood(self, queue: str, key: str, payloads: list) -> list[str]:
        """Fills a queue that nobody consumes, without a confirm for each message."""
        wanted = self.count(queue) + len(payloads)
        channel = self.connection.channel()
        ids = [uuid.uuid4().hex[:24] for _ in payloads]
        for payload, message_id in zip(payloads, ids, strict=True):
            channel.basic_publish(
                EXCHANGE, key, json.dumps(payload), pika.BasicProperties(message_id=message_id, delivery_mode=2)
            )
        # A channel that closes forgets what it has not passed on to a quorum queue yet.
        wait_until(lambda: self.count(queue) == wanted, 60, "all are in the queue")
        channel.close()
        return ids

    def count(self, queue: str) -> int:
        """Messages that wait in the queue and are in nobody's hand."""
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def consumers(self, queue: str) -> int:
        return self.channel.queue_declare(queue, passive=True).method.consumer_count

    def get(self, queue: str):
        """The next message as (properties, body), acked; None if there is none."""
        method, properties, body = self.channel.basic_get(queue, auto_ack=True)
        return (properties, body) if method else None


def listens(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0
