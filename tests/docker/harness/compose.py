"""compose.yaml brought up under a project's name of its own, on free ports, by docker-compose or `docker compose`."""

import subprocess

from support.stack import Target, free_ports
from support.wait import wait_until

from .daemon import TOP, Daemon

PORTS = (
    "HTTP_PORT",
    "MAILPIT_PORT",
    "RPC_PORT",
    "GRPC_PORT",
    "POSTGRES_PORT",
    "MONGO_PORT",
    "AMQP_PORT",
    "RABBITMQ_PORT",
)
UP_S = 400
READY_S = 120
OURS = ("broker", "handle", "logs", "log-rpc", "log-grpc", "authenticate", "log", "send", "health", "listener",
        "rpc-logd", "grpc-logd", "caddy")  # fmt: skip
THEIRS = ("postgres", "mongo", "rabbitmq", "mailpit")


class Compose(Target):
    """Started by up, ended by remove; between them a Target of the end-to-end tests."""

    def __init__(self, daemon: Daemon, project: str = "fc", command: tuple[str, ...] = ("docker-compose",)):
        self.daemon, self.project, self.command = daemon, project, command
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environment = daemon.environment | {name: str(port) for name, port in self.ports.items()}
        super().__init__()

    def call(self, *argv: str, timeout: float = 120, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*self.command, "-p", self.project, "-f", TOP / "compose.yaml", *argv], cwd="/", env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **options,
        )  # fmt: skip

    def do(self, *argv: str, timeout: float = 120) -> str:
        done = self.call(*argv, timeout=timeout)
        assert done.returncode == 0, (
            f"{' '.join(argv)}: {done.stdout[-3000:]}{done.stderr[-3000:]}\n{self.last_words()}"
        )
        return done.stdout

    def up(self, *services: str) -> None:
        self.do("up", "-d", "--no-build", *services, timeout=UP_S)

    def ready(self) -> None:
        """Waits until the system says that it is, and finds out where its parts are."""
        self.read_addresses()
        wait_until(lambda: self.healthy(), READY_S, "the system is ready")

    def healthy(self) -> bool:
        done = self.daemon.call("exec", self.id("caddy"), "curl", "-s", "-m", "10", "http://127.0.0.1:9081/health")
        assert done.returncode == 0 and '"error":false' in done.stdout, done.stdout + done.stderr
        return True

    def wait_healthy(self, service: str) -> None:
        wait_until(lambda: self.health(service) == "healthy", READY_S, f"{service} is healthy")

    def read_addresses(self) -> None:
        local = {"postgres:5432": "POSTGRES_PORT", "mongo:27017": "MONGO_PORT", "rabbitmq:5672": "AMQP_PORT"}

        def published(url: str) -> str:
            for inside, port in local.items():
                url = url.replace(f"@{inside}", f"@127.0.0.1:{self.ports[port]}")
            return url

        self.public = f"http://127.0.0.1:{self.ports['HTTP_PORT']}"
        self.mailpit_url = f"http://127.0.0.1:{self.ports['MAILPIT_PORT']}"
        self.rpc_addr = f"127.0.0.1:{self.ports['RPC_PORT']}"
        self.grpc_addr = f"127.0.0.1:{self.ports['GRPC_PORT']}"
        self.dsn = published(self.secret("postgres", "dsn"))
        self.mongo_url = published(self.secret("mongo", "url"))
        self.rabbitmq_url = published(self.secret("rabbitmq", "url"))
        self.internal = f"http://{self.address('caddy', 'internal')}:9081"
        self.queue = f"http://{self.address('caddy', 'queue')}:9082"

    def secret(self, store: str, file: str) -> str:
        """As the one-shot service made it."""
        return self.daemon.do(
            "run", "--rm", "--network", "none", "-v", f"{self.project}_{store}-secret:/secret:ro",
            "debian:bookworm-slim", "cat", f"/secret/{file}",
        )  # fmt: skip

    # From inside.

    def id(self, service: str) -> str:
        found = self.daemon.do(
            "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}",
            "--filter", f"label=com.docker.compose.service={service}",
        ).split()  # fmt: skip
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def inspect(self, service: str) -> dict:
        return self.daemon.inspect(self.id(service))

    def address(self, service: str, network: str) -> str:
        return self.inspect(service)["NetworkSettings"]["Networks"][f"{self.project}_{network}"]["IPAddress"]

    def services(self) -> list[str]:
        return self.do("config", "--services").split()

    def health(self, service: str) -> str:
        return self.inspect(service)["State"].get("Health", {}).get("Status", "none")

    def last_words(self) -> str:
        return self.call("logs", "--tail", "8", "--no-color").stdout[-12000:]

    def remove(self) -> None:
        self.call("down", "-v", "--remove-orphans", "-t", "20", timeout=300)
