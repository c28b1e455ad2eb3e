"""Requests by hand, answers as they came: HTTP/1.1 over raw sockets, HTTP/2 by python-h2 or in raw
frames, gRPC on that.

`export` sends one OTLP request by any of TRANSPORTS and gives an `Answer` that reads alike for all of them."""

import base64
import gzip
import itertools
import json
import re
import select
import socket
import urllib.parse
import zlib
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
import zstandard
from google.rpc import error_details_pb2, status_pb2

from otlp import JSON, PROTOBUF, RESPONSES, SERVICES, TABLES, grpc_frame

TRANSPORTS = ("grpc", "http/1.1", "http/2")
CODINGS = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
}
ATTRIBUTES = {"logs": "LogAttributes", "traces": "SpanAttributes", "metrics": "Attributes"}
# gRPC's number for what HTTP answers.
GRPC_OF = {200: 0, 400: 3, 413: 8, 415: 12, 429: 14, 503: 14, 504: 4}
METRIC_TABLES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
names = (f"n{number}" for number in itertools.count())


def stored(server, signal, name):
    """How many rows have the attribute name = `name`."""
    [row] = server.sql(f"SELECT count(*) AS n FROM {TABLES[signal]} WHERE {ATTRIBUTES[signal]}['name'] = '{name}'")
    return row["n"]


def counts(server):
    """Rows of every table."""
    tables = ["otel_logs", "otel_traces", *("otel_metrics_" + kind for kind in METRIC_TABLES)]
    query = " UNION ALL ".join(f"SELECT '{table}' AS t, count(*) AS n FROM {table}" for table in tables)
    return {row["t"]: row["n"] for row in server.sql(query)}


@dataclass
class Answer:
    status: int  # HTTP
    headers: dict
    body: bytes
    trailers: dict = field(default_factory=dict)
    reset: int | None = None  # the stream was reset with this code

    @property
    def is_grpc(self) -> bool:
        return "grpc-status" in self.headers or "grpc-status" in self.trailers

    @property
    def code(self) -> int:
        """The gRPC status, or the one that stands for the HTTP status."""
        if self.is_grpc:
            return int((self.headers | self.trailers)["grpc-status"])
        return GRPC_OF[self.status]

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def error(self) -> status_pb2.Status:
        """The google.rpc.Status of a failure, whatever it is written in."""
        status = status_pb2.Status()
        if self.is_grpc:
            both = self.headers | self.trailers
            text = both.get("grpc-status-details-bin")
            if text is None:  # they are optional
                return status_pb2.Status(code=self.code, message=urllib.parse.unquote(both["grpc-message"]))
            status.ParseFromString(base64.b64decode(text + "=" * (-len(text) % 4)))
            assert status.code == self.code and status.message == urllib.parse.unquote(both["grpc-message"])
        elif self.kind == PROTOBUF:
            status.ParseFromString(self.body)
        else:
            tree = json.loads(self.body)
            status.code, status.message = tree["code"], tree["message"]
            for detail in tree.get("details", []):
                for message in (error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()):
                    if detail["@type"].endswith("/" + message.DESCRIPTOR.full_name):
                        from google.protobuf import json_format

                        rest = {name: value for name, value in detail.items() if name != "@type"}
                        json_format.ParseDict(rest, message)
                        status.details.add().Pack(message)
        return status

    @property
    def bad_request(self) -> error_details_pb2.BadRequest | None:
        return self._detail(error_details_pb2.BadRequest())

    @property
    def retry_info(self) -> error_details_pb2.RetryInfo | None:
        return self._detail(error_details_pb2.RetryInfo())

    def _detail(self, wanted):
        for detail in self.error.details:
            if detail.Unpack(wanted):
                return wanted
        return None

    def response(self, signal):
        """The Export<Signal>ServiceResponse of a success."""
        assert self.code == 0, (self.status, self.headers, self.trailers, self.body)
        if self.is_grpc:
            assert self.body[0] == 0 and int.from_bytes(self.body[1:5], "big") == len(self.body) - 5
            return RESPONSES[signal].FromString(self.body[5:])
        if self.kind == PROTOBUF:
            return RESPONSES[signal].FromString(self.body)
        from google.protobuf import json_format

        return json_format.Parse(self.body, RESPONSES[signal]())


# --- HTTP/1.1 ---


def dial(server, timeout=30) -> socket.socket:
    host, port = server.addresses[-1].split(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def http1_request(path, body=b"", kind=PROTOBUF, headers=(), method="POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {kind}"] * (kind is not None) + [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Http1Reader:
    """Takes answers off a socket."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def _more(self):
        part = self.sock.recv(262144)
        if not part:
            raise EOFError(self.rest)
        self.rest += part

    def line(self) -> bytes:
        while b"\r\n" not in self.rest:
            self._more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def take(self, size) -> bytes:
        while len(self.rest) < size:
            self._more()
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def answer(self, head=False) -> Answer:
        status = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r\n]*", self.line())[1])
        headers = {}
        while line := self.line():
            name, value = line.split(b":", 1)
            headers[name.decode().lower()] = value.strip().decode()
        if status < 200 or head:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") != "chunked":
            return Answer(status, headers, self.take(int(headers.get("content-length", 0))))
        body = b""
        while size := int(self.line(), 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.line() == b""
        return Answer(status, headers, body)

    def at_end(self) -> bool:
        """The server has closed, and said nothing more."""
        if self.rest:
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def http1(server, requests, window=12):
    """Answers to raw requests, pipelined on one connection, which must stay open all the while."""
    with dial(server, 120) as sock:
        reader = Http1Reader(sock)
        for start in range(0, len(requests), window):
            part = requests[start : start + window]
            sock.sendall(b"".join(part))
            for _ in part:
                yield reader.answer()


def talk(server, data: bytes, shut=False):
    """Sends bytes and reads all answers until the server closes: [Answer], and whether it closed within a second."""
    with dial(server) as sock:
        sock.settimeout(1)
        answers, reader, closed = [], Http1Reader(sock), False
        try:
            sock.sendall(data)
            if shut:
                sock.shutdown(socket.SHUT_WR)
            while True:
                answers.append(reader.answer())
        except (EOFError, ConnectionResetError, BrokenPipeError) as end:
            assert not (isinstance(end, EOFError) and end.args[0]), end
            closed = True
        except TimeoutError:
            assert not reader.rest, reader.rest
    return answers, closed


# --- HTTP/2 ---


class Http2:
    """A connection of python-h2: streams are started, then `finish` waits for their answers."""

    def __init__(self, server, check=True, settings=None):
        self.sock = dial(server, 60)
        config = h2.config.H2Configuration(validate_outbound_headers=check, normalize_outbound_headers=check)
        self.connection = h2.connection.H2Connection(config)
        if settings:
            self.connection.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.connection.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.open: set[int] = set()
        self.goaway = None
        self.pongs = 0
        self.settings_seen = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        self.sock.sendall(self.connection.data_to_send())

    def start(self, headers, body=b"", end=True, chunk=None) -> int:
        """Starts a stream with all of its body, which must fit into the windows or comes piece by piece."""
        stream = self.connection.get_next_available_stream_id()
        self.open.add(stream)
        self.answers[stream] = Answer(0, {}, b"")
        self.connection.send_headers(stream, headers, end_stream=end and not body)
        self.send(stream, body, end, chunk)
        return stream

    def send(self, stream, body, end=True, chunk=None):
        at = 0
        while at < len(body) and stream in self.open:
            room = min(
                self.connection.local_flow_control_window(stream),
                self.connection.max_outbound_frame_size,
                chunk or len(body),
            )
            if room == 0:
                self.flush()
                self.take()
                continue
            piece = body[at : at + room]
            at += len(piece)
            self.connection.send_data(stream, piece, end_stream=end and at == len(body))
        self.flush()

    def take(self):
        """Reads once and notes what came."""
        received = self.sock.recv(262144)
        if not received:
            raise EOFError
        for event in self.connection.receive_data(received):
            self._note(event)
        self.flush()

    def _note(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = {name.decode(): value.decode() for name, value in event.headers}
            answer.status = int(answer.headers[":status"])
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if event.flow_controlled_length:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h2.events.StreamEnded):
            self.open.discard(event.stream_id)
        elif isinstance(event, h2.events.StreamReset) and answer:
            answer.reset = int(event.error_code)
            self.open.discard(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings_seen = True

    def finish(self, stream=None):
        """Waits for one stream's answer, or for all."""
        while stream in self.open if stream is not None else self.open:
            self.take()
        return self.answers[stream] if stream is not None else None

    def quiet(self, seconds) -> None:
        """Takes what comes for so long."""
        while select.select([self.sock], [], [], seconds)[0]:
            try:
                self.take()
            except EOFError:
                return

    def request(self, path, body=b"", headers=(), method="POST", chunk=None) -> Answer:
        return self.finish(self.start([*head(path, method), *headers], body, chunk=chunk))

    def call(self, path, body, headers=(), chunk=None) -> Answer:
        return self.request(
            path, body, [("content-type", "application/grpc"), ("te", "trailers"), *headers], chunk=chunk
        )


def head(path, method="POST"):
    return [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]


def http2(server, path, body=b"", headers=(), method="POST") -> Answer:
    with Http2(server) as connection:
        return connection.request(path, body, headers, method)


def grpc_call(server, path, body, headers=()) -> Answer:
    """One unary call by hand; body with its frame."""
    with Http2(server) as connection:
        return connection.call(path, body, headers)


def grpc_calls(server, calls, window=64):
    """Answers to many calls (path, framed body, headers) on one connection."""
    with Http2(server) as connection:
        for start in range(0, len(calls), window):
            streams = [
                connection.start(
                    [*head(path), ("content-type", "application/grpc"), ("te", "trailers"), *headers], body
                )
                for path, body, headers in calls[start : start + window]
            ]
            connection.finish()
            yield from (connection.answers.pop(stream) for stream in streams)


FRAMES = {
    "DATA": 0,
    "HEADERS": 1,
    "PRIORITY": 2,
    "RST_STREAM": 3,
    "SETTINGS": 4,
    "PUSH_PROMISE": 5,
    "PING": 6,
    "GOAWAY": 7,
    "WINDOW_UPDATE": 8,
    "CONTINUATION": 9,
}


def frame(kind, flags=0, stream=0, payload=b"") -> bytes:
    number = FRAMES.get(kind, kind)
    return len(payload).to_bytes(3, "big") + bytes([number, flags]) + stream.to_bytes(4, "big") + payload


class RawHttp2:
    """A connection of raw frames, as attackers send them."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def __init__(self, server, start=True):
        self.sock = dial(server, 30)
        self.input = b""
        if start:
            self.send(self.PREFACE + frame("SETTINGS") + frame("SETTINGS", 1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data) -> bool:
        """False when the server has gone."""
        try:
            self.sock.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def frames(self):
        """Yields (kind, flags, stream, payload) until the connection ends."""
        while True:
            while len(self.input) >= 9 and len(self.input) >= 9 + int.from_bytes(self.input[:3], "big"):
                size = int.from_bytes(self.input[:3], "big")
                one, self.input = self.input[: 9 + size], self.input[9 + size :]
                yield one[3], one[4], int.from_bytes(one[5:9], "big") & 0x7FFFFFFF, one[9:]
            try:
                part = self.sock.recv(262144)
            except ConnectionResetError:
                return
            if not part:
                return
            self.input += part

    def goaway(self):
        """Reads to the end; the code of the last GOAWAY, None without one."""
        code = None
        for kind, _, _, payload in self.frames():
            if kind == FRAMES["GOAWAY"]:
                code = int.from_bytes(payload[4:8], "big")
        return code

    def until(self, *kinds):
        """The next frame of one of these kinds; None at the end."""
        wanted = [FRAMES[kind] for kind in kinds]
        for one in self.frames():
            if one[0] in wanted:
                return one
        return None


# --- protobuf by hand ---


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def part(number, payload) -> bytes:
    """A field of bytes: a string or a submessage."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def wrap(record):
    """A request around the bytes of one LogRecord."""
    for tag in (b"\x12", b"\x12", b"\x0a"):
        record = tag + varint(len(record)) + record
    return record


# --- OTLP by any transport ---


def export(server, transport, signal, plain: bytes, kind=PROTOBUF, coding="identity", headers=()) -> Answer:
    """`plain` is the serialized request (protobuf for gRPC), compressed here."""
    body = CODINGS[coding](plain)
    if transport == "grpc":
        more = [] if coding == "identity" else [("grpc-encoding", coding)]
        return grpc_call(server, SERVICES[signal], grpc_frame(body, coding != "identity"), [*more, *headers])
    more = [*headers] if coding == "identity" else [("content-encoding", coding), *headers]
    if transport == "http/2":
        return http2(server, "/v1/" + signal, body, [("content-type", kind), *more])
    [answer] = http1(server, [http1_request("/v1/" + signal, body, kind, more)])
    return answer


def forms():
    """Every transport with every encoding it has: ("grpc", PROTOBUF), ("http/1.1", JSON) …"""
    return [
        (transport, kind)
        for transport in TRANSPORTS
        for kind in (PROTOBUF, JSON)
        if transport != "grpc" or kind == PROTOBUF
    ]
