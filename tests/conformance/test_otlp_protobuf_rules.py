"""OTLP in protobuf: what the format allows beyond what senders usually do (rows of docs/CONFORMANCE.md)."""

import struct
import time

import pytest
from opentelemetry.proto.common.v1 import common_pb2

from exchange import export, names, stored, varint, wrap
from otlp import MAKERS, logs, metrics, traces

NAME = b"\x32"  # LogRecord.attributes


def field(number, wire, payload=b""):
    return varint(number << 3 | wire) + payload


def text(number, data):
    data = data if isinstance(data, bytes) else data.encode()
    return field(number, 2, varint(len(data)) + data)


def attribute(key, value):
    """LogRecord.attributes with one KeyValue; value: the bytes of an AnyValue."""
    return text(6, text(1, key) + text(2, value))


def take(server, record, name, columns):
    """Sends a LogRecord's bytes with the attribute `name`; gives the row's columns."""
    answer = export(server, "grpc", "logs", wrap(record + attribute("name", text(1, name))))
    assert answer.code == 0 and answer.body == b"\0\0\0\0\0", answer
    [row] = server.sql(f"SELECT {columns} FROM otel_logs WHERE LogAttributes['name'] = '{name}'")
    return row


UNKNOWN = {
    "varint": field(1000, 0, b"\x96\x01"),
    "fixed64": field(1000, 1, b"12345678"),
    "bytes": text(1000, "abc"),
    "group": field(1000, 3) + text(1, "x") + field(7, 3) + field(7, 4) + field(1000, 4),
    "fixed32": field(1000, 5, b"1234"),
    "largest number": field(2**29 - 1, 0, b"\0"),
    "number that protobuf keeps for itself": field(19000, 0, b"\0"),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_c70_unknown_fields_are_skipped(shared, kind):
    extra = UNKNOWN[kind]
    name = next(names)
    value = extra + text(1, "v") + extra
    pair = text(6, extra + text(1, "k") + extra + text(2, value) + extra)
    record = extra + text(3, "INFO") + extra + pair + extra + text(5, value)
    request = wrap(record + attribute("name", text(1, name)) + extra) + extra
    assert export(shared, "grpc", "logs", request).code == 0
    [row] = shared.sql(
        f"SELECT SeverityText, Body, LogAttributes['k'] AS k FROM otel_logs WHERE LogAttributes['name'] = '{name}'"
    )
    assert row == {"SeverityText": "INFO", "Body": "v", "k": "v"}


@pytest.mark.parametrize("packed", ["packed", "unpacked", "in parts", "mixed"])
def test_c71_repeated_numbers_packed_or_not(shared, packed):
    name = next(names)
    request = metrics(0, name=name)
    scope = request.resource_metrics[0].scope_metrics[0]
    del scope.metrics[:]
    counts, bounds = [1, 2, 3, 4], [0.5, 1.5, 2.5]
    point = text(9, text(1, "name") + text(2, text(1, name))) + field(3, 1, struct.pack("<Q", time.time_ns()))

    def numbers(number, kind, values):
        one = [struct.pack(kind, value) for value in values]
        if packed == "packed":
            return text(number, b"".join(one))
        if packed == "unpacked":
            return b"".join(field(number, 1, data) for data in one)
        if packed == "in parts":
            return b"".join(text(number, data) for data in one)
        return field(number, 1, one[0]) + text(number, b"".join(one[1:]))

    point += numbers(6, "<Q", counts) + numbers(7, "<d", bounds)
    metric = text(1, "h") + text(9, text(1, point))
    assert export(shared, "grpc", "metrics", text(1, text(2, text(2, metric)))).code == 0
    [row] = shared.sql(
        f"SELECT BucketCounts, ExplicitBounds FROM otel_metrics_histogram WHERE Attributes['name'] = '{name}'"
    )
    assert row == {"BucketCounts": counts, "ExplicitBounds": bounds}


def test_c72_parts_of_a_singular_message_are_merged(shared):
    """Resource, scope, body and value in two parts each."""
    name = next(names)
    resource = [
        text(1, text(1, text(1, key) + text(2, text(1, value)))) for key, value in (("service.name", "s"), ("b", "2"))
    ]
    scope = [text(1, text(1, "scope")), text(1, text(2, "1.0"))]
    value = text(2, b"") + text(2, text(1, "v"))
    record = text(6, text(1, "k") + value) + text(5, b"") + text(5, text(1, "body")) + attribute("name", text(1, name))
    request = text(1, resource[0] + text(2, scope[0] + text(2, record) + scope[1]) + resource[1])
    assert export(shared, "grpc", "logs", request).code == 0
    [row] = shared.sql(
        "SELECT ServiceName, ResourceAttributes['b'] AS b, ScopeName, ScopeVersion, Body, LogAttributes['k'] AS k "
        f"FROM otel_logs WHERE LogAttributes['name'] = '{name}'"
    )
    assert row == {"ServiceName": "s", "b": "2", "ScopeName": "scope", "ScopeVersion": "1.0", "Body": "body", "k": "v"}


def test_c73_the_last_of_a_scalar_and_of_a_oneof_counts(shared):
    record = text(3, "A") + field(2, 0, b"\x01") + text(3, "B") + field(2, 0, b"\x02")
    body = text(5, text(1, "text") + field(3, 0, b"\x07")) + attribute("k", field(3, 0, b"\x07") + text(1, "text"))
    row = take(
        shared, record + body, next(names), "SeverityText, SeverityNumber, Body, BodyType, LogAttributes['k'] AS k"
    )
    assert row == {"SeverityText": "B", "SeverityNumber": 2, "Body": "7", "BodyType": "i", "k": "text"}


@pytest.mark.parametrize(
    "trace_id, span_id, kept_log, kept_span",
    [
        (b"t" * 16, b"s" * 8, True, True),
        (b"", b"", True, False),
        (b"t" * 16, b"", True, False),
        (b"", b"s" * 8, True, False),
        (b"\0" * 16, b"s" * 8, True, False),
        (b"t" * 16, b"\0" * 8, True, False),
        (b"t", b"s" * 8, False, False),
        (b"t" * 15, b"s" * 8, False, False),
        (b"t" * 17, b"s" * 8, False, False),
        (b"t" * 32, b"s" * 8, False, False),
        (b"t" * 16, b"s" * 7, False, False),
        (b"t" * 16, b"s" * 9, False, False),
    ],
)
def test_c74_ids(shared, trace_id, span_id, kept_log, kept_span):
    """A span needs both; a log may lack them. Wrong ones refuse the item alone."""
    for signal, kept in (("logs", kept_log), ("traces", kept_span)):
        name = next(names)
        request = MAKERS[signal](2, name=name)
        items = (
            request.resource_logs[0].scope_logs[0].log_records
            if signal == "logs"
            else request.resource_spans[0].scope_spans[0].spans
        )
        items[1].trace_id, items[1].span_id = trace_id, span_id
        success = export(shared, "grpc", signal, request.SerializeToString()).response(signal).partial_success
        assert stored(shared, signal, name) == 1 + kept
        assert (success.rejected_log_records if signal == "logs" else success.rejected_spans) == (not kept)
        assert bool(success.error_message) == (not kept)


TIMES = [0, 1, 999, 1000, 2**31 * 10**9, 2**63 - 1, 2**63, 2**64 - 1]


def test_c75_times_are_stored_as_given(shared):
    """Zero, past 2^63, the end before the start: the nanoseconds come back."""
    name = next(names)
    request = traces(0, name=name)
    spans = request.resource_spans[0].scope_spans[0].spans
    pairs = [(start, end) for start in TIMES for end in TIMES]
    for number, (start, end) in enumerate(pairs):
        spans.add(
            trace_id=b"t" * 16,
            span_id=(number + 1).to_bytes(8, "big"),
            start_time_unix_nano=start,
            end_time_unix_nano=end,
            name=name,
        )
    assert (
        not export(shared, "grpc", "traces", request.SerializeToString()).response("traces").HasField("partial_success")
    )
    rows = shared.sql(
        "SELECT SpanId, epoch_us(Timestamp) AS us, TimestampNanoOfMicro AS rest, Duration FROM otel_traces "
        f"WHERE SpanName = '{name}' ORDER BY SpanId"
    )
    assert len(rows) == len(pairs)
    for row, (start, end) in zip(rows, pairs):
        assert row["rest"] == (start % 1000 if start else None)
        if start:
            assert row["us"] % 2**64 == start // 1000
        assert row["Duration"] == (None if not end else signed((end - start) % 2**64)), (start, end)


def signed(number):
    return number - 2**64 if number >= 2**63 else number


def test_c76_logs_without_an_observed_time_get_the_time_of_receipt(shared):
    before = time.time_ns() // 1000 - 1
    row = take(
        shared,
        text(3, "x"),
        next(names),
        "epoch_us(ObservedTimestamp) AS seen, ObservedTimestampNanoOfMicro AS rest, "
        "epoch_us(Timestamp) AS at, TimestampNanoOfMicro AS at_rest",
    )
    assert before <= row["seen"] <= time.time_ns() // 1000 and row["at"] == row["seen"]
    assert row["rest"] is None and row["at_rest"] is None
    row = take(
        shared,
        field(11, 1, struct.pack("<Q", 5001)),
        next(names),
        "epoch_us(ObservedTimestamp) AS seen, ObservedTimestampNanoOfMicro AS rest, epoch_us(Timestamp) AS at",
    )
    assert row == {"seen": 5, "rest": 1, "at": 5}


def test_c77_flags_exemplars_and_exponential_buckets_are_kept(shared):
    name = next(names)
    request = metrics(0, name=name)
    scope = request.resource_metrics[0].scope_metrics[0]
    del scope.metrics[:]
    points = scope.metrics.add(name=name).exponential_histogram.data_points
    for scale in (-10, -1, 0, 1, 20, 2**31 - 1, -(2**31)):
        point = points.add(time_unix_nano=time.time_ns(), scale=scale, zero_count=2**63, flags=1, zero_threshold=0.25)
        point.positive.offset = 2**31 - 1
        point.negative.offset = -(2**31)
        point.negative.bucket_counts.extend([0, 2**64 - 1])
        point.exemplars.add(trace_id=b"t" * 16, span_id=b"s" * 8, as_double=-0.0, time_unix_nano=7)
    assert (
        not export(shared, "grpc", "metrics", request.SerializeToString())
        .response("metrics")
        .HasField("partial_success")
    )
    rows = shared.sql(
        "SELECT Scale, ZeroCount, Flags, ZeroThreshold, PositiveOffset, PositiveBucketCounts, NegativeOffset, "
        "NegativeBucketCounts, Exemplars[1].TraceId AS t, Exemplars[1].Value::VARCHAR AS v "
        f"FROM otel_metrics_exponential_histogram WHERE MetricName = '{name}' ORDER BY Scale"
    )
    assert [row["Scale"] for row in rows] == [-(2**31), -10, -1, 0, 1, 20, 2**31 - 1]
    for row in rows:
        assert row["ZeroCount"] % 2**64 == 2**63 and row["Flags"] == 1 and row["ZeroThreshold"] == 0.25
        assert row["PositiveOffset"] == 2**31 - 1 and row["PositiveBucketCounts"] == []
        assert row["NegativeOffset"] == -(2**31) and [n % 2**64 for n in row["NegativeBucketCounts"]] == [0, 2**64 - 1]
        assert row["t"] == (b"t" * 16).hex() and row["v"] == "-0.0"


BROKEN_UTF8 = {
    b"\xff": "\ufffd",
    b"a\xc3": "a\ufffd",
    b"\xc0\x80b": "\ufffd\ufffdb",
    b"\xed\xa0\x80": "\ufffd" * 3,
    b"\xf5\x80\x80\x80": "\ufffd" * 4,
    b"\xe2\x82": None,
    b"x" * 100 + b"\x80": "x" * 100 + "\ufffd",
}


@pytest.mark.parametrize("data", BROKEN_UTF8)
def test_c78_text_that_is_no_utf8_is_repaired(shared, data):
    """One bad attribute must not lose ten thousand good records: what is no UTF-8 becomes U+FFFD, in all text."""
    record = (
        text(3, data)
        + text(5, text(1, data))
        + text(12, data)
        + attribute("k", text(1, data))
        + attribute(b"K" + data, text(1, "v"))
    )
    row = take(
        shared,
        record,
        next(names),
        "SeverityText, Body, EventName, LogAttributes['k'] AS k, map_keys(LogAttributes) AS keys",
    )
    for column in ("SeverityText", "Body", "EventName", "k"):
        assert "\ufffd" in row[column]
        assert BROKEN_UTF8[data] is None or row[column] == BROKEN_UTF8[data]
    assert row["keys"][1] == "K" + row["Body"]


def test_c78_what_is_utf8_is_kept(shared):
    data = "\0\x1f\x7f\u0080\ufeff\ufffe\u202e\U0010ffff"
    row = take(
        shared, text(5, text(1, data)) + attribute("k", text(1, data)), next(names), "Body, LogAttributes['k'] AS k"
    )
    assert row == {"Body": data, "k": data}


def test_c79_empty_and_repeated_keys_are_all_kept(shared):
    record = (
        attribute("", text(1, "e"))
        + attribute("k", text(1, "1"))
        + attribute("k", text(1, "2"))
        + text(6, b"")
        + text(6, text(1, "x"))
    )
    row = take(
        shared,
        record,
        next(names),
        "map_keys(LogAttributes) AS keys, map_values(LogAttributes) AS vals, LogAttributesTypes AS t",
    )
    assert row["keys"][:5] == ["", "k", "k", "", "x"] and row["vals"][:3] == ["e", "1", "2"]
    assert row["t"].startswith("sss--")


def nested(depth, kvlist):
    """An AnyValue of so many arrays or lists around a string."""
    value = common_pb2.AnyValue(string_value="x").SerializeToString()
    for _ in range(depth):
        inner = text(1, text(1, "k") + text(2, value)) if kvlist else text(1, value)
        value = text(6 if kvlist else 5, inner)
    return value


@pytest.mark.parametrize("kvlist", [False, True], ids=["arrays", "lists"])
def test_c80_values_nest_to_a_limit(shared, kvlist):
    """To 99 levels; past them the request is refused by name, however deep it goes, and nothing of it is stored."""
    for depth in (1, 10, 64, 99):
        row = take(
            shared,
            attribute("deep", nested(depth, kvlist)) + text(5, nested(depth, kvlist)),
            next(names),
            "LogAttributes['deep'] AS a, Body AS b",
        )
        assert row["a"] == row["b"] and row["a"].count("{" if kvlist else "[") == depth
    before = shared.metric("otolith_items_stored_total")
    for depth in (100, 101, 1000, 20000):
        for record in (attribute("deep", nested(depth, kvlist)), text(5, nested(depth, kvlist))):
            answer = export(shared, "grpc", "logs", wrap(record))
            assert answer.code == 3 and "deep" in answer.error.message and "log_records[0]" in answer.error.message
    assert shared.metric("otolith_items_stored_total") == before


def test_c74_the_rest_of_a_group_is_kept(shared):
    """Links and exemplars with wrong ids refuse their span or point alone."""
    name = next(names)
    request = traces(3, name=name)
    request.resource_spans[0].scope_spans[0].spans[1].links.add(trace_id=b"short")
    assert (
        export(shared, "grpc", "traces", request.SerializeToString()).response("traces").partial_success.rejected_spans
        == 1
    )
    assert stored(shared, "traces", name) == 2


def test_p09_millions_of_empty_messages(shared):
    """Two bytes make an object: 64 MiB of them take no more memory than they should, and time in proportion."""
    for body in (text(1, text(2, b"\x12\0" * 300000)), b"\x0a\0" * 1000000, text(1, b"\x12\0" * 1000000)):
        answer = export(shared, "http/1.1", "logs", body)
        assert answer.code in (0, 14)
    assert logs and shared.running
