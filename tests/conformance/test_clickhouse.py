"""The statements of docs/CLICKHOUSE.md, run in ClickHouse (chdb), into the tables of the Collector's ClickHouse
exporter: every column of every row against the OTLP that was sent."""

import json
import re

import pytest
from chdb.session import Session
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from harness import ROOT
from otlp import set_attributes

NOW = 1_767_261_600_123_456_789
MAP = "Map(LowCardinality(String), String)"
EXEMPLARS = f"Exemplars Nested(FilteredAttributes {MAP}, TimeUnix TIME, Value Float64, SpanId String, TraceId String)"
METRIC = f"""
    ResourceAttributes {MAP}, ResourceSchemaUrl String,
    ScopeName String, ScopeVersion String, ScopeAttributes {MAP}, ScopeDroppedAttrCount UInt32, ScopeSchemaUrl String,
    ServiceName LowCardinality(String), MetricName String, MetricDescription String, MetricUnit String,
    Attributes {MAP}, StartTimeUnix TIME, TimeUnix TIME"""
TABLES = {
    "otel_logs": f"""
        Timestamp DateTime64(9), TimestampTime DateTime DEFAULT toDateTime(Timestamp), TraceId String, SpanId String,
        TraceFlags UInt8, SeverityText LowCardinality(String), SeverityNumber UInt8,
        ServiceName LowCardinality(String), Body String,
        ResourceSchemaUrl LowCardinality(String), ResourceAttributes {MAP},
        ScopeSchemaUrl LowCardinality(String), ScopeName String, ScopeVersion LowCardinality(String),
        ScopeAttributes {MAP}, LogAttributes {MAP}, EventName String""",
    "otel_traces": f"""
        Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
        SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
        ResourceAttributes {MAP}, ScopeName String, ScopeVersion String, SpanAttributes {MAP}, Duration UInt64,
        StatusCode LowCardinality(String), StatusMessage String,
        Events Nested(Timestamp DateTime64(9), Name LowCardinality(String), Attributes {MAP}),
        Links Nested(TraceId String, SpanId String, TraceState String, Attributes {MAP})""",
    "otel_metrics_gauge": f"{METRIC}, Value Float64, Flags UInt32, {EXEMPLARS}",
    "otel_metrics_sum": f"""{METRIC},
        Value Float64, Flags UInt32, {EXEMPLARS}, AggregationTemporality Int32, IsMonotonic Boolean""",
    "otel_metrics_histogram": f"""{METRIC},
        Count UInt64, Sum Float64, BucketCounts Array(UInt64), ExplicitBounds Array(Float64), {EXEMPLARS},
        Flags UInt32, Min Float64, Max Float64, AggregationTemporality Int32""",
    "otel_metrics_exponential_histogram": f"""{METRIC},
        Count UInt64, Sum Float64, Scale Int32, ZeroCount UInt64,
        PositiveOffset Int32, PositiveBucketCounts Array(UInt64),
        NegativeOffset Int32, NegativeBucketCounts Array(UInt64), {EXEMPLARS},
        Flags UInt32, Min Float64, Max Float64, AggregationTemporality Int32""",
    "otel_metrics_summary": f"""{METRIC},
        Count UInt64, Sum Float64, ValueAtQuantiles Nested(Quantile Float64, Value Float64), Flags UInt32""",
}
ORDER = {
    "otel_logs": "ServiceName, TimestampTime, Timestamp",
    "otel_traces": "ServiceName, SpanName, toDateTime(Timestamp), Timestamp",
}
TRACE, SPAN = bytes(range(16)), bytes(range(8))


def statements() -> dict[str, str]:
    """The INSERTs of the page by their table."""
    text = (ROOT / "docs/CLICKHOUSE.md").read_text(encoding="utf-8")
    found = re.findall(r"^```sql\n(INSERT INTO (\w+).*?);\n```$", text, re.MULTILINE | re.DOTALL)
    return {table: statement for statement, table in found}


def owner(parts, service):
    """A resource and a scope with everything, and what ClickHouse must have of them."""
    outer = parts.add(schema_url="https://opentelemetry.io/schemas/1.30.0")
    set_attributes(outer.resource, service__name=service, host__cpus=4, load=0.5, spot=True, blob=b"\x00\xff")
    inner = getattr(
        outer, next(name for name in ("scope_logs", "scope_spans", "scope_metrics") if hasattr(outer, name))
    ).add(schema_url="https://opentelemetry.io/schemas/1.29.0")
    inner.scope.name, inner.scope.version, inner.scope.dropped_attributes_count = "scope", "1.2", 3
    set_attributes(inner.scope, layer="x")
    expected = {
        "ServiceName": service,
        "ScopeName": "scope",
        "ScopeVersion": "1.2",
        "ResourceAttributes": {
            "service.name": service,
            "host.cpus": "4",
            "load": "0.5",
            "spot": "true",
            "blob": "AP8=",
        },
    }
    return inner, expected


SCHEMAS = {
    "ResourceSchemaUrl": "https://opentelemetry.io/schemas/1.30.0",
    "ScopeSchemaUrl": "https://opentelemetry.io/schemas/1.29.0",
    "ScopeAttributes": {"layer": "x"},
}


def logs(count):
    request, rows = logs_service_pb2.ExportLogsServiceRequest(), []
    scope, common = owner(request.resource_logs, "shop")
    for i in range(count):
        record = scope.log_records.add(
            time_unix_nano=NOW + i,
            observed_time_unix_nano=NOW + 1000 + i,
            severity_number=i % 25,
            severity_text="WARN" * (i % 2),
            trace_id=TRACE,
            span_id=SPAN,
            flags=i % 3,
            event_name="e" * (i % 4),
        )
        set_attributes(record, n=i, text=f"ü'\"\\{i}")
        nested = record.attributes.add(key="nested").value
        nested.array_value.values.add(int_value=i)
        nested.array_value.values.add(string_value="a")
        record.body.string_value = f"line {i}\nnext"
        time = NOW + i
        if i % 5 == 4:
            record.time_unix_nano, time = 0, NOW + 1000 + i
        if i % 7 == 6:
            record.trace_id, record.span_id = b"", b""
        rows.append(
            common
            | SCHEMAS
            | {
                "Timestamp": time,
                "TimestampTime": time // 10**9,
                "TraceId": record.trace_id.hex(),
                "SpanId": record.span_id.hex(),
                "TraceFlags": i % 3,
                "SeverityText": record.severity_text,
                "SeverityNumber": i % 25,
                "Body": f"line {i}\nnext",
                "LogAttributes": {"n": str(i), "text": f"ü'\"\\{i}", "nested": f'[{i},"a"]'},
                "EventName": record.event_name,
            }
        )
    return request, {"otel_logs": rows}


def traces(count):
    kinds, codes = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"], ["Unset", "Ok", "Error"]
    request, rows = trace_service_pb2.ExportTraceServiceRequest(), []
    scope, common = owner(request.resource_spans, "shop")
    for i in range(count):
        span = scope.spans.add(
            trace_id=TRACE,
            span_id=(i + 1).to_bytes(8, "big"),
            parent_span_id=SPAN if i % 2 else b"",
            trace_state="a=b" * (i % 2),
            name=f"GET /{i % 3}",
            kind=i % 6,
            start_time_unix_nano=NOW + i,
            end_time_unix_nano=NOW + 2 * i,
        )
        set_attributes(span, n=i, http__route="/buy")
        span.status.code, span.status.message = i % 3, "bad" * (i % 2)
        for k in range(i % 4):
            event = span.events.add(time_unix_nano=NOW + k, name=f"event {k}")
            set_attributes(event, **{"k": k} if k else {})
        for k in range(i % 3):
            link = span.links.add(trace_id=bytes(15) + bytes([k + 1]), span_id=SPAN, trace_state=f"l={k}")
            set_attributes(link, k=k)
        events, links = range(i % 4), range(i % 3)
        rows.append(
            common
            | {
                "Timestamp": NOW + i,
                "TraceId": TRACE.hex(),
                "SpanId": span.span_id.hex(),
                "ParentSpanId": span.parent_span_id.hex(),
                "TraceState": span.trace_state,
                "SpanName": span.name,
                "SpanKind": kinds[i % 6],
                "SpanAttributes": {"n": str(i), "http.route": "/buy"},
                "Duration": i,
                "StatusCode": codes[i % 3],
                "StatusMessage": "bad" * (i % 2),
                "Events.Timestamp": [NOW + k for k in events],
                "Events.Name": [f"event {k}" for k in events],
                "Events.Attributes": [{"k": str(k)} if k else {} for k in events],
                "Links.TraceId": [(bytes(15) + bytes([k + 1])).hex() for k in links],
                "Links.SpanId": [SPAN.hex() for _ in links],
                "Links.TraceState": [f"l={k}" for k in links],
                "Links.Attributes": [{"k": str(k)} for k in links],
            }
        )
    return request, {"otel_traces": rows}


def add_exemplars(point, count):
    for k in range(count):
        exemplar = point.exemplars.add(time_unix_nano=NOW + k, trace_id=TRACE, span_id=SPAN)
        if k % 2:
            exemplar.as_int = k
        else:
            exemplar.as_double = k + 0.25
        pair = exemplar.filtered_attributes.add(key="k")
        pair.value.int_value = k
    values = [k if k % 2 else k + 0.25 for k in range(count)]
    return {
        "Exemplars.FilteredAttributes": [{"k": str(k)} for k in range(count)],
        "Exemplars.TimeUnix": [NOW + k for k in range(count)],
        "Exemplars.Value": values,
        "Exemplars.SpanId": [SPAN.hex()] * count,
        "Exemplars.TraceId": [TRACE.hex()] * count,
    }


def metrics(count):
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    scope, common = owner(request.resource_metrics, "shop")
    rows = {table: [] for table in TABLES if "metrics" in table}
    largest = 2**64 - 1
    for i in range(count):
        for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
            metric = scope.metrics.add(name=f"{kind}.{i % 3}", description="what", unit="ms")
            data = getattr(metric, kind)
            point = data.data_points.add(start_time_unix_nano=NOW - 10**9, time_unix_nano=NOW + i, flags=i % 2)
            set_attributes(point, n=i)
            row = (
                common
                | SCHEMAS
                | {
                    "ScopeDroppedAttrCount": 3,
                    "MetricName": metric.name,
                    "MetricDescription": "what",
                    "MetricUnit": "ms",
                    "Attributes": {"n": str(i)},
                    "StartTimeUnix": NOW - 10**9,
                    "TimeUnix": NOW + i,
                    "Flags": i % 2,
                }
            )
            if kind != "summary":
                row |= add_exemplars(point, i % 3)
            if kind in ("gauge", "sum"):
                if i % 2:
                    point.as_int = i
                else:
                    point.as_double = i + 0.5
                row["Value"] = i if i % 2 else i + 0.5
            else:
                point.count = largest if i == 0 else i
                point.sum = i / 2
                row |= {"Count": point.count, "Sum": i / 2}
            if kind in ("sum", "histogram", "exponential_histogram"):
                data.aggregation_temporality = metrics_pb2.AGGREGATION_TEMPORALITY_DELTA + i % 2
                row["AggregationTemporality"] = 1 + i % 2
            if kind == "sum":
                data.is_monotonic = row["IsMonotonic"] = bool(i % 2)
            if kind == "histogram":
                point.bucket_counts.extend([largest, i, 0])
                point.explicit_bounds.extend([0.5, 1e9])
                row |= {"BucketCounts": [largest, i, 0], "ExplicitBounds": [0.5, 1e9]}
            if kind in ("histogram", "exponential_histogram"):
                if i % 2:
                    point.min, point.max = -1.5, 2.5
                row |= {"Min": point.min, "Max": point.max}
            if kind == "exponential_histogram":
                point.scale, point.zero_count = -2, 5
                point.positive.offset = -7
                point.positive.bucket_counts.extend([1, i])
                if i % 2:
                    point.negative.offset = 9
                    point.negative.bucket_counts.extend([largest])
                row |= {
                    "Scale": -2,
                    "ZeroCount": 5,
                    "PositiveOffset": -7,
                    "PositiveBucketCounts": [1, i],
                    "NegativeOffset": 9 if i % 2 else 0,
                    "NegativeBucketCounts": [largest] if i % 2 else [],
                }
            if kind == "summary":
                for q in range(i % 3):
                    point.quantile_values.add(quantile=q / 2, value=i + q)
                row |= {
                    "ValueAtQuantiles.Quantile": [q / 2 for q in range(i % 3)],
                    "ValueAtQuantiles.Value": [i + q for q in range(i % 3)],
                }
            rows[f"otel_metrics_{kind}"].append(row)
    return request, rows


def columns(session, table):
    """An expression a column that JSON carries whole: times as nanoseconds, 64-bit numbers as text."""
    for name, kind in (
        line.split("\t")[:2] for line in session.query(f"DESCRIBE {table}", "TSV").bytes().decode().splitlines()
    ):
        if kind == "DateTime64(9)":
            yield name, f"toUnixTimestamp64Nano(`{name}`)"
        elif kind == "DateTime":
            yield name, f"toUnixTimestamp(`{name}`)"
        elif kind == "Array(DateTime64(9))":
            yield name, f"arrayMap(t -> toUnixTimestamp64Nano(t), `{name}`)"
        elif kind == "Array(DateTime)":
            yield name, f"arrayMap(t -> toUnixTimestamp(t), `{name}`)"
        else:
            yield name, f"`{name}`"


def read(session, table) -> list[dict]:
    chosen = list(columns(session, table))
    names = [name for name, _ in chosen]
    expressions = ", ".join(expression for _, expression in chosen)
    sql = f"SELECT {expressions} FROM {table} SETTINGS output_format_json_quote_64bit_integers = 0"
    return [
        dict(zip(names, json.loads(line))) for line in session.query(sql, "JSONCompactEachRow").bytes().splitlines()
    ]


def number_of(row):
    """What tells the rows of a table apart: their number, which is an attribute of each."""
    return int((row.get("LogAttributes") or row.get("SpanAttributes") or row["Attributes"])["n"])


@pytest.mark.parametrize("metric_time", ["DateTime64(9)", "DateTime"])
def test_rows_in_the_exporters_tables_are_those_that_were_sent(server, tmp_path, metric_time):
    one, expected = server(), {}
    for path, make in (("logs", logs), ("traces", traces), ("metrics", metrics)):
        request, rows = make(60)
        answer = one.post(f"/v1/{path}", request.SerializeToString(), "application/x-protobuf")
        assert answer.status_code == 200 and not answer.content, answer.content  # all taken
        expected |= rows
    one.stop()
    assert set(expected) == set(TABLES) == set(statements())
    session = Session(str(tmp_path / "clickhouse"))
    try:
        session.query("CREATE DATABASE otel")
        session.query("USE otel")
        for table, schema in TABLES.items():
            order = ORDER.get(table, "ServiceName, MetricName, toStartOfHour(TimeUnix), TimeUnix")
            session.query(
                f"CREATE TABLE {table} ({schema.replace('TIME', metric_time)}) ENGINE MergeTree ORDER BY ({order})"
            )
            session.query(statements()[table].replace("otolith-data/", f"{one.data}/"))
            wanted = expected[table]
            if metric_time == "DateTime" and "metrics" in table:
                for row in wanted:
                    for name in ("StartTimeUnix", "TimeUnix"):
                        row[name] //= 10**9
                    if "Exemplars.TimeUnix" in row:
                        row["Exemplars.TimeUnix"] = [time // 10**9 for time in row["Exemplars.TimeUnix"]]
            found = read(session, table)
            assert len(found) == len(wanted) == 60
            assert set(found[0]) == set(wanted[0])
            for have, want in zip(sorted(found, key=number_of), sorted(wanted, key=number_of)):
                assert have == want, table
    finally:
        session.close()
