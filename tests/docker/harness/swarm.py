"""deploy/swarm/stack.yml on a swarm of one node, the tests' own daemon; a second one may join."""

import json
import re
import subprocess
from pathlib import Path

from support.stack import Target, free_ports
from support.wait import wait_until

from . import images
from .daemon import DOCKER, TOP, Daemon

STACK = "flexiconnect"
FILES = (TOP / "deploy/swarm/stack.yml", Path(__file__).resolve().parents[1] / "swarm.yml")
ADDRESSES = ("10.213.8.1", "10.213.8.2")  # of the nodes
NODE_LABELS = ("edge", "postgres", "mongo", "rabbitmq")
ADMIN = {"email": "first@example.org", "password": "correct-horse-battery"}
LOGS_TOKEN = "a-token-that-opens-the-logs"
MAIL_PASSWORD = "what-the-mail-server-asks"
VOLUMES = ("caddy", "postgres", "mongo", "rabbitmq")
UP_S = 300
SETTLED_S = 180
GONE_S = 120
ENDS = "migrate"  # the service that runs once


class Swarm(Target):
    """Made by init and deploy, ended by remove; between them a Target of the end-to-end tests."""

    def __init__(self, daemon: Daemon):
        self.daemon = daemon
        http, https = free_ports(2)
        self.public = f"http://127.0.0.1:{http}"
        self.environment = {
            "HTTP_PORT": str(http), "HTTPS_PORT": str(https), "ADMIN_EMAIL": ADMIN["email"], "MAIL_HOST": "inbox",
            "MAIL_PORT": "1025", "MAIL_ENCRYPTION": "none", "TAG": images.VERSION,
        } | {
            f"{name}_REPLICAS": "1"
            for name in ("BROKER", "HANDLE", "AUTHENTICATE", "LOG", "LISTENER", "RPC_LOGD", "GRPC_LOGD")
        }  # fmt: skip
        super().__init__(public=self.public)

    # Making it.

    def init(self) -> None:
        self.daemon.network.address(f"{ADDRESSES[0]}/32")
        self.daemon.do("swarm", "init", "--advertise-addr", ADDRESSES[0], "--default-addr-pool", "10.215.0.0/16")
        labels = [word for name in NODE_LABELS for word in ("--label-add", f"flexiconnect.{name}=true")]
        self.daemon.do("node", "update", *labels, self.daemon.do("info", "-f", "{{.Swarm.NodeID}}"))

    def join(self, other: Daemon) -> str:
        """Another daemon becomes a node; its id."""
        other.network.address(f"{ADDRESSES[1]}/32")
        self.daemon.network.link(other.network, *ADDRESSES)
        token = self.daemon.do("swarm", "join-token", "-q", "worker")
        other.do("swarm", "join", "--token", token, "--advertise-addr", ADDRESSES[1], f"{ADDRESSES[0]}:2377")
        return other.do("info", "-f", "{{.Swarm.NodeID}}")

    def make_secrets(self) -> str:
        given = {"ADMIN_PASSWORD": ADMIN["password"], "LOGS_TOKEN": LOGS_TOKEN, "MAIL_PASSWORD": MAIL_PASSWORD}
        files = {f"{name}_FILE": self.daemon.run / name for name in given}
        for name, text in given.items():
            files[f"{name}_FILE"].write_text(text)
        return self.run(TOP / "deploy/swarm/secrets", DOCKER=DOCKER, **files)

    def run(self, *argv: str, timeout: float = 120, **environment: str) -> str:
        done = subprocess.run(
            [str(a) for a in argv], env=self.daemon.environment | {k: str(v) for k, v in environment.items()}, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, **changes: str) -> None:
        """No registry has the images: the tags stay as they are."""
        self.environment |= changes
        files = [word for file in FILES for word in ("-c", file)]
        self.run(DOCKER, "stack", "deploy", "--resolve-image", "never", *files, STACK, **self.environment)

    def ready(self) -> None:
        for service in self.services():
            self.wait_settled(service)
        self.read_addresses()
        wait_until(lambda: self.healthy(), UP_S, "the system is ready")

    def healthy(self) -> bool:
        done = self.daemon.call(
            "exec", self.container("caddy"), "curl", "-s", "-m", "10", "http://127.0.0.1:9081/health"
        )
        assert done.returncode == 0 and '"error":false' in done.stdout, done.stdout + done.stderr
        return True

    def read_addresses(self) -> None:
        """Stores publish no port: from their node, they are found on the bridge that tasks have besides."""

        def url(secret: str, reader: str, store: str) -> str:
            text = self.daemon.do("exec", self.container(reader), "cat", f"/run/secrets/{secret}")
            return text.replace(f"@{store}:", f"@{self.bridge(store)}:")

        self.dsn = url("dsn", "authenticate", "postgres")
        self.mongo_url = url("mongo-url", "log", "mongo")
        self.rabbitmq_url = url("rabbitmq-url", "handle", "rabbitmq")
        self.internal = f"http://{self.bridge('caddy')}:9081"
        self.mailpit_url = f"http://{self.bridge('inbox')}:8025"

    # Looking at it.

    def services(self) -> list[str]:
        names = self.daemon.do("stack", "services", "--format", "{{.Name}}", STACK).split()
        return [name.removeprefix(f"{STACK}_") for name in names]

    def inspect(self, service: str) -> dict:
        return json.loads(self.daemon.do("service", "inspect", f"{STACK}_{service}"))[0]

    def containers(self, service: str) -> list[str]:
        return self.daemon.do(
            "ps", "-q", "--no-trunc", "--filter", f"label=com.docker.swarm.service.name={STACK}_{service}"
        ).split()

    def container(self, service: str) -> str:
        found = self.containers(service)
        assert found, f"no task of {service} runs: {self.tasks(service)}"
        return found[0]

    def bridge(self, service: str) -> str:
        """The address of its task on docker_gwbridge."""
        network = json.loads(self.daemon.do("network", "inspect", "docker_gwbridge"))[0]
        return network["Containers"][self.container(service)]["IPv4Address"].split("/")[0]

    def tasks(self, service: str) -> list[str]:
        form = "{{.Image}} {{.DesiredState}} {{.CurrentState}} {{.Error}}"
        return self.daemon.do("service", "ps", "--no-trunc", "--format", form, f"{STACK}_{service}").splitlines()

    def running(self, service: str) -> list[str]:
        """The images of its healthy tasks."""
        return [line.split()[0] for line in self.tasks(service) if re.match(r"\S+ Running Running ", line)]

    def update_state(self, service: str) -> str:
        return self.inspect(service).get("UpdateStatus", {}).get("State", "")

    def wait_settled(self, service: str, seconds: float = SETTLED_S) -> None:
        """As many tasks as wanted, all healthy, and none that still ends."""
        replicas = self.inspect(service)["Spec"]["Mode"].get("Replicated", {}).get("Replicas", 1)

        def settled() -> bool:
            if service == ENDS:
                assert any(" Complete " in task for task in self.tasks(service)), self.tasks(service)
            else:
                ready = self.running(service)
                assert len(ready) == replicas == len(self.containers(service)), self.tasks(service)
            return True

        wait_until(settled, seconds, f"{service} is as it should be")

    def last_words(self) -> str:
        text = []
        for service in self.services():
            text.append(f"--- {service}\n" + "\n".join(self.tasks(service)))
            text.append(self.daemon.call("service", "logs", "--tail", "8", f"{STACK}_{service}").stdout)
        return "\n".join(text)[-20000:]

    # Changing it.

    def scale(self, service: str, replicas: int) -> None:
        self.daemon.do("service", "scale", "--detach", f"{STACK}_{service}={replicas}")
        self.wait_settled(service)

    def update(self, service: str, image: str) -> None:
        name = f"{STACK}_{service}"
        self.daemon.do("service", "update", "--detach", "--no-resolve-image", "--image", image, name)

    def wait_updated(self, service: str, state: str) -> None:
        wait_until(lambda: self.update_state(service) == state, SETTLED_S, f"{service}: {state}")
        self.wait_settled(service)

    def remove(self) -> None:
        self.daemon.call("stack", "rm", STACK)
        wait_until(lambda: not self.tasks_there(), GONE_S, "all tasks have ended")
        self.remove_networks()
        self.daemon.call("swarm", "leave", "--force")
        self.daemon.call("volume", "rm", *(f"{STACK}_{name}" for name in VOLUMES))

    def tasks_there(self) -> list[str]:
        return self.daemon.do("ps", "-aq", "--filter", "label=com.docker.swarm.task.id").split()

    def remove_networks(self) -> None:
        """Only a manager can; what is there when it leaves stays for good."""

        def removed() -> bool:
            names = self.daemon.do("network", "ls", "-q", "--filter", f"name={STACK}_").split()
            return not names or self.daemon.call("network", "rm", *names).returncode == 0

        wait_until(removed, GONE_S, "its networks are gone")
