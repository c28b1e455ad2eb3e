"""All of OTLP in, every column of the seven tables out: hand-written rows, read by Arrow and by DuckDB, hot and cold."""
import datetime
import math
import re
import time

import chdb
import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2

from otlp import PROTOBUF

HOUR = 1_767_261_600 * 10**9  # 2026-01-01T10:00:00Z
MICRO = HOUR // 1000
TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))
FOLDERS = {"otel_logs": "logs", "otel_traces": "traces"} | {
    f"otel_metrics_{kind}": f"metrics/{kind}"
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary")}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


# --- what is sent ---

def any_value(value):
    """None: an AnyValue of no kind. A list of pairs is a key-value list."""
    answer = common_pb2.AnyValue()
    if isinstance(value, bool):
        answer.bool_value = value
    elif isinstance(value, int):
        answer.int_value = value
    elif isinstance(value, float):
        answer.double_value = value
    elif isinstance(value, str):
        answer.string_value = value
    elif isinstance(value, bytes):
        answer.bytes_value = value
    elif isinstance(value, list):
        answer.array_value.values.extend(any_value(member) for member in value)
    elif isinstance(value, dict):
        answer.kvlist_value.values.extend(common_pb2.KeyValue(key=k, value=any_value(v)) for k, v in value.items())
    return answer


def pairs(**attributes):
    return [common_pb2.KeyValue(key=key.replace("__", "."), value=any_value(value)) for key, value in attributes.items()]


EVERY_KIND = {"s": "text", "e": "", "i": -7, "big": 2**63 - 1, "d": 0.5, "one": 1.0, "huge": 1e300, "nan": math.nan,
              "inf": -math.inf, "t": True, "f": False, "y": b"\0\xff", "n": None,
              "a": [1, "zwei", 2.5, True, b"\1", None, [], {}], "l": {"k": {"deep": [[1]]}, "q": 'say "ü"'}, "none": [], "empty": {}}
TEXTS = [("s", "text"), ("e", ""), ("i", "-7"), ("big", "9223372036854775807"), ("d", "0.5"), ("one", "1"), ("huge", "1e+300"),
         ("nan", "NaN"), ("inf", "-Infinity"), ("t", "true"), ("f", "false"), ("y", "AP8="), ("n", ""),
         ("a", '[1,"zwei",2.5,true,"AQ==",null,[],{}]'), ("l", '{"k":{"deep":[[1]]},"q":"say \\"ü\\""}'), ("none", "[]"),
         ("empty", "{}"), ("gone", "")]
TYPES = "ssiiddddd" + "bb" + "y" + "n" + "[isdbyn[]{}]" + "{{[[i]]}s}" + "[]" + "{}" + "-"


def every_kind():
    return [*pairs(**EVERY_KIND), common_pb2.KeyValue(key="gone")]


def add_group(groups, scopes):
    """A resource and a scope with everything they can have."""
    group = groups.add(schema_url="https://resource/1.2")
    group.resource.attributes.extend(pairs(service__name="shop", service__namespace="eu", service__instance__id="i-1",
                                           service__version="1.0", deployment__environment__name="prod", host__name="h",
                                           k8s__namespace__name="ns", k8s__pod__name="pod", k8s__deployment__name="dep",
                                           k8s__node__name="node", cores=4))
    group.resource.dropped_attributes_count = 3
    group.resource.entity_refs.add(schema_url="https://entity", type="service", id_keys=["service.name"],
                                   description_keys=["service.version", "host.name"])
    group.resource.entity_refs.add(type="host")
    scope = getattr(group, scopes).add(schema_url="https://scope/3")
    scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "lib", "0.1", 4
    scope.scope.attributes.extend(pairs(lang="c", level=2.0))
    return scope


RESOURCE = {
    "ServiceName": "shop", "ResourceSchemaUrl": "https://resource/1.2",
    "ResourceAttributes": [("service.name", "shop"), ("service.namespace", "eu"), ("service.instance.id", "i-1"),
                           ("service.version", "1.0"), ("deployment.environment.name", "prod"), ("host.name", "h"),
                           ("k8s.namespace.name", "ns"), ("k8s.pod.name", "pod"), ("k8s.deployment.name", "dep"),
                           ("k8s.node.name", "node"), ("cores", "4")],
    "ResourceAttributesTypes": "ssssssssssi", "ResourceDroppedAttrCount": 3,
    "ResourceEntityRefs": '[{"schemaUrl":"https://entity","type":"service","idKeys":["service.name"],'
                          '"descriptionKeys":["service.version","host.name"]},{"schemaUrl":"","type":"host"}]',
    "ScopeSchemaUrl": "https://scope/3", "ScopeName": "lib", "ScopeVersion": "0.1",
    "ScopeAttributes": [("lang", "c"), ("level", "2")], "ScopeAttributesTypes": "sd", "ScopeDroppedAttrCount": 4,
    "ServiceNamespace": "eu", "ServiceInstanceId": "i-1", "ServiceVersion": "1.0", "DeploymentEnvironmentName": "prod",
    "HostName": "h", "K8sNamespaceName": "ns", "K8sPodName": "pod", "K8sDeploymentName": "dep", "K8sNodeName": "node",
}
NO_RESOURCE = {
    "ServiceName": "", "ResourceSchemaUrl": "", "ResourceAttributes": [], "ResourceAttributesTypes": None,
    "ResourceDroppedAttrCount": 0, "ResourceEntityRefs": None, "ScopeSchemaUrl": "", "ScopeName": "", "ScopeVersion": "",
    "ScopeAttributes": [], "ScopeAttributesTypes": None, "ScopeDroppedAttrCount": 0, "ServiceNamespace": None,
    "ServiceInstanceId": None, "ServiceVersion": None, "DeploymentEnvironmentName": None, "HostName": None,
    "K8sNamespaceName": None, "K8sPodName": None, "K8sDeploymentName": None, "K8sNodeName": None,
}


class Received:
    """Equals a time (in microseconds) of this test run."""

    def __eq__(self, other):
        return isinstance(other, int) and abs(other - time.time_ns() // 1000) < 600 * 10**6

    def __repr__(self):
        return "when it was received"


RECEIVED = Received()


# --- logs ---

def logs_request():
    request = logs_service_pb2.ExportLogsServiceRequest()
    records = add_group(request.resource_logs, "scope_logs").log_records
    full = records.add(time_unix_nano=HOUR + 1_234_567_899, observed_time_unix_nano=HOUR + 2_000_001_001, severity_number=17,
                       severity_text="ERROR", trace_id=TRACE, span_id=SPAN, flags=0x80000301, event_name="order.placed",
                       dropped_attributes_count=2**32 - 1)
    full.body.CopyFrom(any_value({"order": [1, None, b"\2"]}))
    full.attributes.extend([*every_kind(), *pairs(exception__type="IOError", error__type=5)])
    observed = records.add(observed_time_unix_nano=HOUR + 3_000_000_000, severity_number=99)
    observed.body.CopyFrom(common_pb2.AnyValue())
    for body in ("text", 5, 5.0, True, b"\xff", ["x"]):
        records.add(time_unix_nano=HOUR + 4_000_000_000).body.CopyFrom(any_value(body))
    request.resource_logs.add().scope_logs.add().log_records.add()  # nothing at all
    return request


def logs_rows():
    empty = {"TimestampNanoOfMicro": 0, "ObservedTimestamp": RECEIVED, "ObservedTimestampNanoOfMicro": None, "TraceId": "",
             "SpanId": "", "TraceFlags": 0, "SeverityText": "", "SeverityNumber": 0, "Body": "", "BodyType": None,
             "LogAttributes": [], "LogAttributesTypes": "", "LogDroppedAttrCount": 0, "EventName": "", "ExceptionType": None,
             "ErrorType": None}
    full = {"Timestamp": MICRO + 1_234_567, "TimestampNanoOfMicro": 899, "ObservedTimestamp": MICRO + 2_000_001,
            "ObservedTimestampNanoOfMicro": 1, "TraceId": TRACE.hex(), "SpanId": SPAN.hex(), "TraceFlags": 0x80000301,
            "SeverityText": "ERROR", "SeverityNumber": 17, "Body": '{"order":[1,null,"Ag=="]}', "BodyType": "{[iny]}",
            "LogAttributes": [*TEXTS, ("exception.type", "IOError"), ("error.type", "5")], "LogAttributesTypes": TYPES + "si",
            "LogDroppedAttrCount": 2**32 - 1, "EventName": "order.placed", "ExceptionType": "IOError", "ErrorType": None}
    observed = empty | {"Timestamp": MICRO + 3_000_000, "TimestampNanoOfMicro": None, "ObservedTimestamp": MICRO + 3_000_000,
                        "ObservedTimestampNanoOfMicro": 0, "SeverityNumber": 99, "BodyType": "n"}
    bodies = [empty | {"Timestamp": MICRO + 4_000_000, "Body": text, "BodyType": letters} for text, letters in
              (("text", "s"), ("5", "i"), ("5", "d"), ("true", "b"), ("/w==", "y"), ('["x"]', "[s]"))]
    nothing = empty | NO_RESOURCE | {"Timestamp": RECEIVED, "TimestampNanoOfMicro": None}
    return {"otel_logs": [row | RESOURCE for row in (full, observed, *bodies)] + [nothing]}


# --- traces ---

def traces_request():
    request = trace_service_pb2.ExportTraceServiceRequest()
    spans = add_group(request.resource_spans, "scope_spans").spans
    full = spans.add(trace_id=TRACE, span_id=SPAN, parent_span_id=PARENT, trace_state="a=b,c=d", flags=0x301, name="GET /buy",
                     kind=2, start_time_unix_nano=HOUR + 5, end_time_unix_nano=HOUR + 1_000_000_006,
                     dropped_attributes_count=1, dropped_events_count=2, dropped_links_count=3)
    full.attributes.extend([*every_kind(), *pairs(
        http__request__method="GET", http__response__status_code=404, http__route="/buy", url__path="/buy/1",
        server__address="srv", db__system__name="pg", rpc__system="grpc", messaging__system="kafka", error__type="timeout")])
    full.status.code, full.status.message = 2, "broken"
    event = full.events.add(time_unix_nano=HOUR + 7_007, name="exception", dropped_attributes_count=8)
    event.attributes.extend(every_kind())
    full.events.add(name="untimed")
    link = full.links.add(trace_id=TRACE[::-1], span_id=SPAN[::-1], trace_state="x=y", flags=0x100, dropped_attributes_count=9)
    link.attributes.extend(every_kind())
    full.links.add(trace_id=TRACE, span_id=SPAN)
    for kind in (0, 1, 3, 4, 5, 77):
        span = spans.add(trace_id=TRACE, span_id=SPAN, start_time_unix_nano=HOUR, name=f"kind {kind}", kind=kind)
        span.status.code = {0: 0, 1: 1, 77: 55}.get(kind, 0)
    spans[-1].attributes.extend(pairs(http__response__status_code="404"))  # a string where an integer is meant
    spans.add(trace_id=TRACE, span_id=SPAN, end_time_unix_nano=HOUR + 1001, name="only an end")
    spans.add(trace_id=TRACE, span_id=SPAN, start_time_unix_nano=HOUR + 10, end_time_unix_nano=HOUR, name="backwards")
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=TRACE, span_id=SPAN)
    return request


def traces_rows():
    promoted = dict.fromkeys(("HttpRequestMethod", "HttpResponseStatusCode", "HttpRoute", "UrlPath", "ServerAddress",
                              "DbSystemName", "RpcSystem", "MessagingSystem", "ErrorType"))
    empty = promoted | {
        "TimestampNanoOfMicro": 0, "Duration": None, "TraceId": TRACE.hex(), "SpanId": SPAN.hex(), "ParentSpanId": "",
        "TraceState": "", "SpanName": "", "SpanKind": "Unspecified", "SpanAttributes": [], "SpanAttributesTypes": "",
        "SpanDroppedAttrCount": 0, "SpanFlags": 0, "StatusCode": "Unset", "StatusMessage": None, "Events": [],
        "EventsDroppedCount": 0, "Links": [], "LinksDroppedCount": 0}
    names = {"HttpRequestMethod": "GET", "HttpRoute": "/buy", "UrlPath": "/buy/1", "ServerAddress": "srv", "DbSystemName": "pg",
             "RpcSystem": "grpc", "MessagingSystem": "kafka", "ErrorType": "timeout"}
    full = names | {
        "Timestamp": MICRO, "TimestampNanoOfMicro": 5, "Duration": 1_000_000_001, "TraceId": TRACE.hex(), "SpanId": SPAN.hex(),
        "ParentSpanId": PARENT.hex(), "TraceState": "a=b,c=d", "SpanName": "GET /buy", "SpanKind": "Server",
        "SpanAttributes": [*TEXTS, ("http.request.method", "GET"), ("http.response.status_code", "404"), ("http.route", "/buy"),
                           ("url.path", "/buy/1"), ("server.address", "srv"), ("db.system.name", "pg"), ("rpc.system", "grpc"),
                           ("messaging.system", "kafka"), ("error.type", "timeout")],
        "SpanAttributesTypes": TYPES + "sisssssss", "SpanDroppedAttrCount": 1, "SpanFlags": 0x301, "StatusCode": "Error",
        "StatusMessage": "broken", "EventsDroppedCount": 2, "LinksDroppedCount": 3, "HttpResponseStatusCode": 404,
        "Events": [{"Timestamp": MICRO + 7, "TimestampNanoOfMicro": 7, "Name": "exception", "Attributes": TEXTS,
                    "AttributesTypes": TYPES, "DroppedAttrCount": 8},
                   {"Timestamp": 0, "TimestampNanoOfMicro": None, "Name": "untimed", "Attributes": [], "AttributesTypes": "",
                    "DroppedAttrCount": 0}],
        "Links": [{"TraceId": TRACE[::-1].hex(), "SpanId": SPAN[::-1].hex(), "TraceState": "x=y", "Attributes": TEXTS,
                   "AttributesTypes": TYPES, "DroppedAttrCount": 9, "Flags": 0x100},
                  {"TraceId": TRACE.hex(), "SpanId": SPAN.hex(), "TraceState": "", "Attributes": [], "AttributesTypes": "",
                   "DroppedAttrCount": 0, "Flags": 0}]}
    rows = [full]
    for kind, word in ((0, "Unspecified"), (1, "Internal"), (3, "Client"), (4, "Producer"), (5, "Consumer"), (77, "77")):
        rows.append(empty | {"Timestamp": MICRO, "SpanName": f"kind {kind}", "SpanKind": word, "StatusMessage": "",
                             "StatusCode": {1: "Ok", 77: "55"}.get(kind, "Unset")})
    rows[-1] |= {"SpanAttributes": [("http.response.status_code", "404")], "SpanAttributesTypes": "s"}
    # Duration is from start to end, modulo 2^64: OTLP's end is start + Duration, with a start of 0 where there was none.
    rows.append(empty | {"Timestamp": MICRO + 1, "TimestampNanoOfMicro": None, "Duration": HOUR + 1001, "SpanName": "only an end"})
    rows.append(empty | {"Timestamp": MICRO, "TimestampNanoOfMicro": 10, "Duration": -10, "SpanName": "backwards"})
    nothing = empty | NO_RESOURCE | {"Timestamp": RECEIVED, "TimestampNanoOfMicro": None}
    return {"otel_traces": [row | RESOURCE for row in rows] + [nothing]}


# --- metrics ---

def add_exemplars(point):
    first = point.exemplars.add(time_unix_nano=HOUR + 9_009, as_double=1.5, span_id=SPAN, trace_id=TRACE)
    first.filtered_attributes.extend(every_kind())
    point.exemplars.add(as_int=-3)
    point.exemplars.add()


def metrics_request():
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    metrics = add_group(request.resource_metrics, "scope_metrics").metrics
    common = {"start_time_unix_nano": HOUR + 1001, "time_unix_nano": HOUR + 2_000_002_002, "flags": 1}

    def add(name, kind):
        metric = metrics.add(name=name, description=f"a {kind}", unit="ms")
        metric.metadata.extend(pairs(origin="test", v=2))
        return getattr(metric, kind)

    def add_point(owner, **fields):
        point = owner.data_points.add(**common, **fields)
        point.attributes.extend([*every_kind(), *pairs(http__request__method="GET", http__response__status_code=200,
                                                       http__route="/x")])
        return point

    for kind in ("gauge", "sum"):
        owner = add("all", kind)
        add_exemplars(add_point(owner, as_double=0.25))
        owner.data_points.add(time_unix_nano=HOUR, as_int=-(2**63))
        owner.data_points.add(time_unix_nano=HOUR, as_int=0)
        owner.data_points.add(time_unix_nano=HOUR)  # no value
        owner.data_points.add(as_double=-0.0)  # no time
        if kind == "sum":
            owner.aggregation_temporality, owner.is_monotonic = 2, True
    histogram = add("all", "histogram")
    histogram.aggregation_temporality = 1
    add_exemplars(add_point(histogram, count=6, sum=12.5, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 10], min=0.1, max=9.5))
    histogram.data_points.add(time_unix_nano=HOUR, count=2**64 - 1)
    exponential = add("all", "exponential_histogram")
    exponential.aggregation_temporality = 2
    point = add_point(exponential, count=21, sum=3.0, scale=-2, zero_count=5, min=-8.0, max=8.0, zero_threshold=0.001)
    point.positive.offset, point.negative.offset = -4, 7
    point.positive.bucket_counts.extend([1, 0, 2])
    point.negative.bucket_counts.extend([3, 10])
    add_exemplars(point)
    exponential.data_points.add(time_unix_nano=HOUR)
    summary = add("all", "summary")
    point = add_point(summary, count=4, sum=-1.5)
    point.quantile_values.add(quantile=0.0, value=1.0)
    point.quantile_values.add(quantile=0.99, value=math.inf)
    summary.data_points.add(time_unix_nano=HOUR)
    request.resource_metrics.add().scope_metrics.add().metrics.add().gauge.data_points.add()
    return request


class Series:
    def __eq__(self, other):
        return isinstance(other, str) and re.fullmatch("[0-9a-f]{32}", other) is not None

    def __repr__(self):
        return "32 hex digits"


EXEMPLARS = [
    {"FilteredAttributes": TEXTS, "FilteredAttributesTypes": TYPES, "TimeUnix": MICRO + 9, "TimeUnixNanoOfMicro": 9, "Value": 1.5,
     "ValueInt": None, "SpanId": SPAN.hex(), "TraceId": TRACE.hex()},
    {"FilteredAttributes": [], "FilteredAttributesTypes": "", "TimeUnix": 0, "TimeUnixNanoOfMicro": None, "Value": -3.0,
     "ValueInt": -3, "SpanId": "", "TraceId": ""},
    {"FilteredAttributes": [], "FilteredAttributesTypes": "", "TimeUnix": 0, "TimeUnixNanoOfMicro": None, "Value": None,
     "ValueInt": None, "SpanId": "", "TraceId": ""}]


def metrics_rows():
    metric = {"MetricName": "all", "MetricUnit": "ms", "MetricMetadata": [("origin", "test"), ("v", "2")],
              "MetricMetadataTypes": "si", "SeriesId": Series()}
    full = metric | RESOURCE | {
        "StartTimeUnix": MICRO + 1, "StartTimeUnixNanoOfMicro": 1, "TimeUnix": MICRO + 2_000_002, "TimeUnixNanoOfMicro": 2, "Flags": 1,
        "Attributes": [*TEXTS, ("http.request.method", "GET"), ("http.response.status_code", "200"), ("http.route", "/x")],
        "AttributesTypes": TYPES + "sis", "HttpRequestMethod": "GET", "HttpResponseStatusCode": 200, "HttpRoute": "/x"}
    empty = metric | RESOURCE | {
        "StartTimeUnix": 0, "StartTimeUnixNanoOfMicro": None, "TimeUnix": MICRO, "TimeUnixNanoOfMicro": 0, "Flags": 0, "Attributes": [],
        "AttributesTypes": "", "HttpRequestMethod": None, "HttpResponseStatusCode": None, "HttpRoute": None}
    number = [full | {"Value": 0.25, "ValueInt": None, "Exemplars": EXEMPLARS},
              empty | {"Value": -(2.0**63), "ValueInt": -(2**63), "Exemplars": []},
              empty | {"Value": 0.0, "ValueInt": 0, "Exemplars": []}, empty | {"Value": None, "ValueInt": None, "Exemplars": []},
              empty | {"Value": -0.0, "ValueInt": None, "Exemplars": [], "TimeUnix": RECEIVED, "TimeUnixNanoOfMicro": None}]
    nothing = empty | NO_RESOURCE | {"MetricName": "", "MetricDescription": "", "MetricUnit": "", "MetricMetadata": [],
                                     "MetricMetadataTypes": "", "Value": None, "ValueInt": None, "Exemplars": [],
                                     "TimeUnix": RECEIVED, "TimeUnixNanoOfMicro": None}
    histogram = [full | {"Count": 6, "Sum": 12.5, "BucketCounts": [1, 2, 3], "ExplicitBounds": [0.5, 10.0], "Min": 0.1, "Max": 9.5,
                         "Exemplars": EXEMPLARS},
                 empty | {"Count": -1, "Sum": None, "BucketCounts": [], "ExplicitBounds": [], "Min": None, "Max": None,
                          "Exemplars": []}]  # 2^64 - 1 has the bits of -1
    exponential = [full | {"Count": 21, "Sum": 3.0, "Scale": -2, "ZeroCount": 5, "PositiveOffset": -4,
                           "PositiveBucketCounts": [1, 0, 2], "NegativeOffset": 7, "NegativeBucketCounts": [3, 10], "Min": -8.0,
                           "Max": 8.0, "ZeroThreshold": 0.001, "Exemplars": EXEMPLARS},
                   empty | {"Count": 0, "Sum": None, "Scale": 0, "ZeroCount": 0, "PositiveOffset": None, "PositiveBucketCounts": [],
                            "NegativeOffset": None, "NegativeBucketCounts": [], "Min": None, "Max": None, "ZeroThreshold": 0.0,
                            "Exemplars": []}]
    summary = [full | {"Count": 4, "Sum": -1.5, "ValueAtQuantiles": [{"Quantile": 0.0, "Value": 1.0},
                                                                     {"Quantile": 0.99, "Value": math.inf}]},
               empty | {"Count": 0, "Sum": 0.0, "ValueAtQuantiles": []}]

    def told(kind, rows, **more):
        return [row | more | {"MetricDescription": f"a {kind}"} for row in rows]

    return {"otel_metrics_gauge": told("gauge", number) + [nothing],
            "otel_metrics_sum": told("sum", number, AggregationTemporality=2, IsMonotonic=True),
            "otel_metrics_histogram": told("histogram", histogram, AggregationTemporality=1),
            "otel_metrics_exponential_histogram": told("exponential_histogram", exponential, AggregationTemporality=2),
            "otel_metrics_summary": told("summary", summary)}


REQUESTS = {"logs": logs_request, "traces": traces_request, "metrics": metrics_request}


def expected_tables():
    return logs_rows() | traces_rows() | metrics_rows()


def send_all(server):
    for signal, request in REQUESTS.items():
        answer = server.post("/v1/" + signal, request().SerializeToString(), PROTOBUF)
        assert answer.status_code == 200 and answer.content == b"", answer.content


# --- what is read ---

def plain(value):
    """Values that compare: times as microseconds, maps as lists of pairs, -0.0 and NaN by their text."""
    if isinstance(value, datetime.datetime):
        return (value.astimezone(datetime.timezone.utc) - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(member) for member in value)
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value


def same_rows(found, expected, order):
    """Rows in any order, compared column by column so that a difference names its column."""
    def key(row):
        return tuple(repr(row[name]) for name in order)

    found, expected = sorted(map(plain, found), key=key), sorted(map(plain, expected), key=key)
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert set(one) == set(other)
        for name in other:
            assert one[name] == other[name], (name, key(other))


# What tells the rows of a table from each other here.
ORDER = {"otel_logs": ("ResourceSchemaUrl", "BodyType", "Body"), "otel_traces": ("ResourceSchemaUrl", "SpanName")}
ORDER_OF_METRICS = ("MetricName", "AttributesTypes", "TimeUnixNanoOfMicro", "Value")


def order_of(table, rows):
    return [name for name in ORDER.get(table, ORDER_OF_METRICS) if name in rows[0]]


def arrow_table(server, table):
    paths = sorted((server.data / FOLDERS[table]).rglob("*.parquet"))
    assert paths
    parts = [pyarrow.parquet.ParquetFile(path, page_checksum_verification=True).read() for path in paths]
    whole = pyarrow.concat_tables(parts)
    whole.validate(full=True)
    return whole


def partition_free(row):
    return {name: value for name, value in row.items() if name not in ("year", "month", "day", "hour")}


def test_every_column_of_every_table_in_files(server):
    one = server()
    send_all(one)
    one.stop()
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    for table, rows in expected_tables().items():
        order = order_of(table, rows)
        same_rows(arrow_table(one, table).to_pylist(), rows, order)
        sql = f"SELECT * FROM read_parquet('{one.data}/{FOLDERS[table]}/**/*.parquet', hive_partitioning = false)"
        same_rows(connection.sql(sql).to_arrow_table().to_pylist(), rows, order)
        hive = connection.sql(sql.replace("false", "true")).to_arrow_table().to_pylist()
        same_rows([partition_free(row) for row in hive], rows, order)


def arrow_stream(server, sql):
    answer = server.post("/api/v1/sql", sql.encode(), "application/sql", {"Accept": "application/vnd.apache.arrow.stream"})
    assert answer.status_code == 200, answer.text
    return pyarrow.ipc.open_stream(answer.content).read_all().to_pylist()


def test_every_column_of_every_table_by_sql_hot_and_cold(server):
    one = server()
    send_all(one)
    tables = expected_tables()
    for table, rows in tables.items():
        same_rows(arrow_stream(one, f"SELECT * FROM {table}"), rows, order_of(table, rows))
    one.restart()
    for table, rows in tables.items():
        same_rows(arrow_stream(one, f"SELECT * FROM {table}"), rows, order_of(table, rows))


def test_series_are_told_apart_by_all_that_identifies_them(server):
    one = server()
    send_all(one)
    [row] = one.sql("""SELECT count(*) AS n, count(DISTINCT SeriesId) AS series FROM
                       (SELECT SeriesId, Attributes FROM otel_metrics_gauge UNION ALL
                        SELECT SeriesId, Attributes FROM otel_metrics_summary)""")
    # gauge: with attributes, without, and of no resource; summary: with and without.
    assert row["series"] == 5


# --- four readers, one answer ---

def many(server):
    """A few thousand rows of each table, over two hours, so that files have several pages."""
    send_all(server)
    for i in range(4):
        for signal, request in REQUESTS.items():
            message = request()
            stretch(message, i)
            assert server.post("/v1/" + signal, message.SerializeToString(), PROTOBUF).status_code == 200


def stretch(message, i):
    """Repeats the first item of each scope 300 times, with times and names of its own."""
    for group in list(message.ListFields()[0][1])[:1]:
        scope = group.ListFields()[-2][1][0] if group.schema_url else group.ListFields()[-1][1][0]
        for items in point_lists(scope):
            first = items[0]
            for k in range(300):
                copy = items.add()
                copy.CopyFrom(first)
                for field in ("time_unix_nano", "start_time_unix_nano", "end_time_unix_nano"):
                    if hasattr(copy, field) and getattr(copy, field):
                        setattr(copy, field, getattr(copy, field) + (i * 300 + k) * 3_600_000_000 + k)
                copy.attributes[0].value.string_value = f"{i}-{k}"
                if hasattr(copy, "trace_id"):
                    copy.trace_id = (i * 1000 + k + 1).to_bytes(16, "big")


def point_lists(scope):
    if hasattr(scope, "metrics"):
        return [getattr(metric, metric.WhichOneof("data")).data_points for metric in scope.metrics]
    return [scope.log_records if hasattr(scope, "log_records") else scope.spans]


def flatten(row):
    """What chdb's and polars' rows look like, of a row as Arrow has it."""
    return {name: value for name, value in plain(row).items()}


def test_four_readers_see_the_same_rows(server):
    one = server("--flush-rows", "100000")
    many(one)
    one.stop()
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    for table in FOLDERS:
        table_arrow = arrow_table(one, table)
        rows = sorted(map(repr, map(flatten, table_arrow.to_pylist())))
        assert len(rows) >= 1200
        pattern = f"{one.data}/{FOLDERS[table]}/**/*.parquet"
        columns = ", ".join(f'"{name}"' for name in table_arrow.column_names)
        theirs = connection.sql(f"SELECT {columns} FROM read_parquet('{pattern}')").to_arrow_table()
        assert sorted(map(repr, map(flatten, theirs.to_pylist()))) == rows, "DuckDB"
        frame = polars.read_parquet(pattern, hive_partitioning=False)
        assert sorted(map(repr, map(polars_row, frame.to_dicts()))) == rows, "Polars"
        stream = chdb.query(f"SELECT {columns} FROM file('{pattern}', Parquet) SETTINGS output_format_arrow_string_as_string = 1, "
                            "output_format_arrow_low_cardinality_as_dictionary = 0", "ArrowStream").bytes()
        clickhouse = pyarrow.ipc.open_stream(stream).read_all()
        assert sorted(map(repr, map(flatten, clickhouse.to_pylist()))) == rows, "ClickHouse"


def polars_row(row):
    def fix(value):
        if isinstance(value, list) and value and isinstance(value[0], dict) and set(value[0]) == {"key", "value"}:
            return [(pair["key"], pair["value"]) for pair in value]
        if isinstance(value, list):
            return [fix(member) for member in value]
        if isinstance(value, dict):
            return {name: fix(member) for name, member in value.items()}
        return plain(value)

    return {name: as_pairs(name, fix(value)) for name, value in row.items()}


def as_pairs(name, value):
    if isinstance(value, dict) and name.endswith(("Attributes", "Metadata")):
        return list(value.items())
    if isinstance(value, list):
        return [{k: as_pairs(k, v) for k, v in member.items()} if isinstance(member, dict) else member for member in value]
    return value


# --- skipping ---

@pytest.fixture
def sorted_file(server):
    """A file of logs in several row groups: 300,000 rows of 4 services."""
    from otlp import logs
    one = server("--flush-rows", "300000", "--memory-limit", "1GiB", "--threads", "1")
    for i in range(12):
        request = logs(25000, name="m", service=f"svc-{i % 4}", start=HOUR + i * 60 * 10**9)
        assert one.post("/v1/logs", request.SerializeToString(), PROTOBUF).status_code == 200
    one.stop()
    [path] = (one.data / "logs").rglob("*.parquet")
    return path


def trace_of_one_group(path, table):
    """A trace of the second row group that the filters of the others exclude: they let one in some forty pass."""
    for row in range(150000, 150010):
        trace = table.column(0)[row].as_py()
        probe = duckdb.execute("SELECT bloom_filter_excludes FROM parquet_bloom_probe(?, 'TraceId', ?)", [str(path), trace])
        excluded = [row[0] for row in probe.fetchall()]
        assert not excluded[1]
        if excluded == [True, False, True]:
            return trace
    raise AssertionError("ten traces of the second row group, and the other groups' filters exclude none")


def test_row_groups_are_skipped_by_statistics_and_bloom_filters(sorted_file):
    metadata = pyarrow.parquet.read_metadata(sorted_file)
    assert metadata.num_rows == 300000 and metadata.num_row_groups == 3
    names = [metadata.row_group(0).column(i).path_in_schema for i in range(metadata.num_columns)]
    service = names.index("ServiceName")
    bounds = [metadata.row_group(g).column(service).statistics for g in range(3)]
    assert [(b.min, b.max) for b in bounds] == [("svc-0", "svc-1"), ("svc-1", "svc-3"), ("svc-3", "svc-3")]
    sorting = metadata.row_group(0).sorting_columns
    assert [c.column_index for c in sorting] == [service, names.index("ServiceInstanceId"), names.index("Timestamp")]
    assert [c.nulls_first for c in sorting] == [False, True, False]
    # A trace id lies in one row group, and bloom filters say so.
    table = pyarrow.parquet.read_table(sorted_file, columns=["TraceId"])
    trace = trace_of_one_group(sorted_file, table)
    found = duckdb.execute(f"SELECT count(*) FROM '{sorted_file}' WHERE TraceId = ?", [trace]).fetchone()
    assert found == (1,)
    assert pyarrow.parquet.read_table(sorted_file, filters=[("TraceId", "=", trace)], columns=["Body"]).num_rows == 1


def damage(path, column, keep):
    """The file with this column's pages overwritten in all row groups but one: whoever reads them fails."""
    metadata, content = pyarrow.parquet.read_metadata(path), bytearray(path.read_bytes())
    names = [metadata.row_group(0).column(i).path_in_schema for i in range(metadata.num_columns)]
    for group in set(range(metadata.num_row_groups)) - {keep}:
        chunk = metadata.row_group(group).column(names.index(column))
        begin = chunk.dictionary_page_offset or chunk.data_page_offset
        content[begin:begin + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    damaged = path.parent / f"damaged-{column}.parquet"
    damaged.write_bytes(content)
    return damaged


def test_what_is_skipped_is_not_even_read(sorted_file):
    readers = {"DuckDB": lambda path, where: duckdb.sql(f"SELECT count(Body) FROM '{path}' WHERE {where}").fetchone()[0],
               "ClickHouse": lambda path, where: int(chdb.query(
                   f"SELECT count(Body) FROM file('{path}', Parquet) WHERE {where} "
                   "SETTINGS input_format_parquet_bloom_filter_push_down = 1").bytes())}
    trace = trace_of_one_group(sorted_file, pyarrow.parquet.read_table(sorted_file, columns=["TraceId"]))
    by_statistics, by_bloom = damage(sorted_file, "Body", keep=0), damage(sorted_file, "TraceId", keep=1)
    for name, count in readers.items():
        assert count(by_statistics, "ServiceName = 'svc-0'") == 75000, name
        assert count(by_bloom, f"TraceId = '{trace}'") == 1, name
        for path in (by_statistics, by_bloom):
            with pytest.raises(Exception):
                count(path, "Body <> '' AND TraceId <> ''")
    read = pyarrow.parquet.read_table(by_statistics, filters=[("ServiceName", "=", "svc-0")], columns=["Body"])
    assert read.num_rows == 75000
    with pytest.raises(OSError):
        pyarrow.parquet.read_table(by_statistics, columns=["Body"])


def test_nan_is_the_greatest_value_whatever_is_in_its_file(server):
    """As DuckDB has it: its readers believe bounds, and Parquet's leave NaN out."""
    one = server()

    def send(*values):
        request = metrics_service_pb2.ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="ratio")
        for value in values:
            metric.gauge.data_points.add(time_unix_nano=1767261600 * 10**9 + len(values), as_double=value)
        assert one.post("/v1/metrics", request.SerializeToString(), PROTOBUF).status_code == 200

    conditions = ("Value > 10", "Value <= 10", "NOT Value <= 10", "Value = 'NaN'", "Value < 'NaN'", "isnan(Value)")

    def counted(ask, table):
        return [ask(f"SELECT count(*) AS n FROM {table} WHERE {condition}") for condition in conditions]

    def by_server():
        return counted(lambda sql: one.sql(sql)[0]["n"], "otel_metrics_gauge")

    def by_files():
        files = f"read_parquet('{one.data}/metrics/gauge/**/*.parquet')"
        return counted(lambda sql: duckdb.sql(sql).fetchone()[0], files)

    send(1.0, 2.0, math.nan)
    assert by_server() == [1, 2, 1, 1, 2, 1]
    one.restart()
    assert by_server() == by_files() == [1, 2, 1, 1, 2, 1]
    send(100.0, math.nan)
    send(50.0)
    assert by_server() == [4, 2, 4, 2, 4, 2]
    one.restart()
    assert by_server() == by_files() == [4, 2, 4, 2, 4, 2]
