"""Random OTLP requests of every shape, from the official protobuf classes: seeded, so that a number gives one back.

Every field of every message gets values, its limits among them, but for two that belong to profiles alone
(string_value_strindex, key_strindex). Ids have legal lengths: what OTLP's rules refuse is tested elsewhere.
"""

import collections
import math
import random
import re
import struct

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
GROUPS = {
    "logs": ("resource_logs", "scope_logs", "log_records"),
    "traces": ("resource_spans", "scope_spans", "spans"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
}
KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
OF_PROFILES = {"string_value_strindex", "key_strindex"}

NOW = 1_790_000_000_000_000_000
KEYS = ["", "a", "k", "k", "http.route", "http.response.status_code", "service.name", "service.name", "host.name",
        "naïve ☃", 'q"uo\\te', "error.type", "\x00", "x" * 300]
TEXTS = ["", "a", "shop", "GET /carts/{id}", "1", "1.0", "true", "null", "[]", "{}", "[1", "-0", "NaN", "Infinity",
         "AQID", "naïve ☃ 𝄞", 'q"uo\\te', "tab\tnew\nline\x00\x1f\x7f", "\u2028\ufeff\uffff", "é" * 40, "v" * 31,
         "v" * 32, "v" * 33]
DOUBLES = [0.0, -0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e21, 1e-7,
           9007199254740993.0, 123456789.125, math.inf, -math.inf, math.nan, 1 / 3]
ODD_NANS = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in
            (0xFFF8000000000000, 0x7FF8000000000001, 0xFFFFFFFFFFFFFFFF)]
LIMITS = {
    FieldDescriptor.TYPE_INT32: (-2**31, 2**31 - 1), FieldDescriptor.TYPE_SINT32: (-2**31, 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1), FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-2**63, 2**63 - 1), FieldDescriptor.TYPE_SFIXED64: (-2**63, 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1), FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}  # fmt: skip
ANY_DEPTH_MAX = 12
COUNTS = {
    "bucket_counts": [0, 1, 5, 40],
    "explicit_bounds": [0, 1, 5, 40],
    "attributes": [0, 0, 1, 2, 5],
    "scope_logs": [0, 1, 1, 2], "scope_spans": [0, 1, 1, 2], "scope_metrics": [0, 1, 1, 2],
    "log_records": [0, 1, 2, 4], "spans": [0, 1, 1, 3], "metrics": [0, 1, 1, 3],
    "data_points": [0, 1, 1, 3],
}  # fmt: skip


class Maker:
    """request(signal) makes one. odd_nans: NaNs with bits of their own too, which JSON cannot say."""

    def __init__(self, seed, odd_nans=True):
        self.random = random.Random(seed)
        self.doubles = DOUBLES + ODD_NANS if odd_nans else DOUBLES

    def request(self, signal):
        request = REQUESTS[signal]()
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
            self.fill(getattr(request, GROUPS[signal][0]).add())
        return request

    # Scalars

    def double(self):
        chance = self.random.random()
        if chance < 0.5:
            return self.random.choice(self.doubles)
        return self.random.uniform(-1e6, 1e6) if chance < 0.8 else self.random.lognormvariate(0, 100)

    def text(self, name):
        if name == "key" or (name.endswith("keys") and self.random.random() < 0.9):
            return self.random.choice(KEYS)
        chance = self.random.random()
        if chance < 0.004:
            return self.random.choice("aé☃") * self.random.randrange(1000, 40000)
        return self.random.choice(TEXTS) if chance < 0.9 else f"{self.random.getrandbits(64):x}"

    def integer(self, kind, name):
        low, high = LIMITS[kind]
        if name.endswith("unix_nano"):
            chance = self.random.random()
            if chance < 0.2:
                return 0
            if chance < 0.9:
                return NOW + self.random.randrange(10**13)
        return self.random.choice([0, 1, low, high, self.random.randint(low, high), self.random.randrange(1000)])

    def id(self, size, required):
        chance = 1 if required else self.random.random()
        if chance < 0.3:
            return b""
        if chance < 0.35:
            return bytes(size)
        return self.random.randbytes(size - 1) + b"\x01"

    def scalar(self, field):
        kind, name = field.type, field.name
        if kind == field.TYPE_STRING:
            return self.text(name)
        if name == "trace_id":
            return self.id(16, field.containing_type.name == "Span")
        if name in ("span_id", "parent_span_id"):
            return self.id(8, field.containing_type.name == "Span" and name == "span_id")
        if kind == field.TYPE_BYTES:
            return self.random.randbytes(self.random.choice([0, 1, 2, 3, 16, 100]))
        if kind == field.TYPE_BOOL:
            return self.random.random() < 0.5
        if kind == field.TYPE_DOUBLE:
            return self.double()
        if kind == field.TYPE_ENUM:
            return self.random.choice([v.number for v in field.enum_type.values] + [77, -5])
        return self.integer(kind, name)

    # Messages

    def any_value(self, message, depth):
        kinds = ["string_value"] * 3 + ["bool_value", "int_value", "double_value", "bytes_value", None]
        if depth < ANY_DEPTH_MAX:
            kinds += ["array_value", "kvlist_value"]
        kind = self.random.choice(kinds)
        if kind is None:
            return
        if not kind.startswith(("array", "kvlist")):
            setattr(message, kind, self.scalar(message.DESCRIPTOR.fields_by_name[kind]))
            return
        nested = getattr(message, kind)
        nested.SetInParent()
        for _ in range(self.random.choice([0, 1, 2, 3] if depth < 4 else [0, 1, 1])):
            if kind == "array_value":
                self.any_value(nested.values.add(), depth + 1)
            else:
                self.key_value(nested.values.add(), depth + 1)

    def key_value(self, message, depth=0):
        message.key = self.text("key")
        if self.random.random() < 0.97:
            message.value.SetInParent()
            self.any_value(message.value, depth)

    def one_of(self, message):
        """The members of oneofs that are to be set."""
        return {self.random.choice([None] + [f.name for f in oneof.fields] * 4)
                for oneof in message.DESCRIPTOR.oneofs if len(oneof.fields) > 1}

    def count(self, name):
        return self.random.choice(COUNTS.get(name, [0, 0, 1, 2]))

    def fill(self, message):
        kind = message.DESCRIPTOR.name
        if kind == "KeyValue":
            return self.key_value(message)
        if kind == "AnyValue":
            return self.any_value(message, 0)
        members = self.one_of(message)
        for field in message.DESCRIPTOR.fields:
            in_oneof = field.containing_oneof and len(field.containing_oneof.fields) > 1
            required = kind == "Span" and field.name in ("trace_id", "span_id")
            if field.name in OF_PROFILES or (in_oneof and field.name not in members):
                continue
            if not (required or in_oneof or field.is_repeated) and self.random.random() < 0.3:
                continue
            if field.is_repeated and field.message_type:
                for _ in range(self.count(field.name)):
                    self.fill(getattr(message, field.name).add())
            elif field.is_repeated:
                getattr(message, field.name).extend(self.scalar(field) for _ in range(self.count(field.name)))
            elif field.message_type:
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name))
            else:
                setattr(message, field.name, self.scalar(field))
        return None


# What a request says, without how its rows are grouped and ordered


def _bytes(message):
    return message.SerializeToString(deterministic=True)


def _of(group, name):
    return _bytes(getattr(group, name)) if group.HasField(name) else None


def _items(signal, member):
    if signal != "metrics":
        yield _bytes(member)
        return
    kind = member.WhichOneof("data")
    if kind is None:
        return
    data = getattr(member, kind)
    head = (member.name, member.description, member.unit, tuple(map(_bytes, member.metadata)), kind,
            getattr(data, "aggregation_temporality", None), getattr(data, "is_monotonic", None))
    for point in data.data_points:
        yield (*head, _bytes(point))


def rows(signal, request):
    """(resource, its schema URL, scope, its schema URL, item) of each log record, span or data point."""
    groups, scopes, members = GROUPS[signal]
    for group in getattr(request, groups):
        resource = (_of(group, "resource"), group.schema_url)
        for scope_group in getattr(group, scopes):
            scope = (_of(scope_group, "scope"), scope_group.schema_url)
            for member in getattr(scope_group, members):
                for item in _items(signal, member):
                    yield (*resource, *scope, item)


def row_counts(signal, requests):
    """The multiset of rows of all requests."""
    counts = collections.Counter()
    for request in requests:
        counts.update(rows(signal, request))
    return counts


NAN = re.compile(rb"[\xf0-\xff][\x7f\xff]")


def plain_nans(message):
    """Gives every NaN the usual bits: what is left of them in JSON."""
    if not NAN.search(message.SerializeToString()):
        return message
    for field, value in message.ListFields():
        if field.type == field.TYPE_DOUBLE and field.is_repeated:
            for i, one in enumerate(value):
                if one != one:
                    value[i] = math.nan
        elif field.type == field.TYPE_DOUBLE and value != value:
            setattr(message, field.name, math.nan)
        elif field.message_type:
            for one in value if field.is_repeated else [value]:
                plain_nans(one)
    return message


def frames(data):
    """The messages of a stream: before each its length, a big-endian u32."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        assert at + 4 + size <= len(data), "the stream ends inside of a message"
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def stream(messages):
    return b"".join(struct.pack(">I", len(m)) + m for m in messages)
