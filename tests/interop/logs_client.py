"""logs.LogService and grpc.health.v1.Health through grpcio, with messages written by hand."""

import grpc

WRITE_LOG = "/logs.LogService/WriteLog"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
TIMEOUT_S = 20


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, a string or a message; proto3 leaves out what is empty."""
    return varint(number << 3 | 2) + varint(len(content)) + content if content else b""


def log_request(name: str | bytes, data: str | bytes = "") -> bytes:
    encoded = [v.encode() if isinstance(v, str) else v for v in (name, data)]
    log = field(1, encoded[0]) + field(2, encoded[1])
    return varint(1 << 3 | 2) + varint(len(log)) + log


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (message[at] & 127) << shift
        shift += 7
        at += 1
        if message[at - 1] < 128:
            return number, at


def read_log_request(message: bytes) -> tuple[str, str]:
    """Name and data, from a message as our client writes it."""
    tag, at = read_varint(message, 0)
    size, at = read_varint(message, at)
    assert tag == 1 << 3 | 2 and at + size == len(message)
    found = {1: "", 2: ""}
    while at < len(message):
        tag, at = read_varint(message, at)
        size, at = read_varint(message, at)
        found[tag >> 3] = message[at : at + size].decode()
        at += size
    return found[1], found[2]


class LogsClient:
    def __init__(self, address: str, *options: tuple[str, object], compression=None):
        # Channels to one address share a connection unless they are told not to.
        options = (("grpc.use_local_subchannel_pool", 1), *options)
        self.channel = grpc.insecure_channel(address, options, compression)
        self.call = self.channel.unary_unary(WRITE_LOG)
        self.check_call = self.channel.unary_unary(CHECK)
        self.watch_call = self.channel.unary_stream(WATCH)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def write(self, name, data="", timeout: float | None = TIMEOUT_S, message: bytes | None = None, **more) -> bytes:
        metadata = tuple(more.pop("metadata", ()))
        body = log_request(name, data) if message is None else message
        return self.call(body, timeout=timeout, metadata=metadata, **more)

    def refusal(self, *arguments, **more) -> tuple[grpc.StatusCode, str]:
        """The status and the sentence that a call is refused with."""
        try:
            self.write(*arguments, **more)
        except grpc.RpcError as e:
            return e.code(), e.details()
        raise AssertionError("the call succeeded")

    def check(self, service: str = "") -> int:
        answer = self.check_call(field(1, service.encode()), timeout=TIMEOUT_S)
        return answer[1] if answer else 0

    def watch(self, service: str = "", timeout: float | None = None):
        """An iterator over the states; cancel() ends it."""
        return self.watch_call(field(1, service.encode()), timeout=timeout)
