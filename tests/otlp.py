"""Small OTLP requests for tests, made with the official protobuf classes."""
import base64
import json
import os
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
NDJSON = "application/x-ndjson"

TABLES = {"logs": "otel_logs", "traces": "otel_traces", "metrics": "otel_metrics_gauge"}
SERVICES = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
RESPONSES = {
    "logs": logs_service_pb2.ExportLogsServiceResponse,
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
}


def set_attributes(owner, **attributes):
    """Attributes of strings, ints, floats, bools or bytes; a double underscore in a name stands for a dot."""
    for key, value in attributes.items():
        pair = owner.attributes.add(key=key.replace("__", "."))
        kind = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
        setattr(pair.value, kind.get(type(value), "string_value"), value)


def logs(count=1, name="m", service="shop", start=None):
    request = logs_service_pb2.ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    set_attributes(resource_logs.resource, service__name=service)
    scope = resource_logs.scope_logs.add()
    scope.scope.name = "tests"
    start = start or time.time_ns()
    for i in range(count):
        record = scope.log_records.add(time_unix_nano=start + i, observed_time_unix_nano=start + i, severity_number=9,
                                       severity_text="INFO", trace_id=os.urandom(16), span_id=os.urandom(8))
        record.body.string_value = f"{name} {i}"
        set_attributes(record, name=name, number=i)
    return request


def shared_attributes(attributes, count, service="shop"):
    """Log records without anything of their own, of a resource with so many attributes."""
    request = logs(0, service=service)
    [resource_logs] = request.resource_logs
    for i in range(attributes):
        resource_logs.resource.attributes.add(key=f"k{i:x}").value.string_value = "v"
    for i in range(count):
        resource_logs.scope_logs[0].log_records.add(time_unix_nano=1767261600 * 10**9 + i)
    return request


def shared_metadata(attributes, count):
    """Points without anything of their own, of a metric with so many attributes."""
    request = metrics(0)
    [metric] = request.resource_metrics[0].scope_metrics[0].metrics
    for i in range(attributes):
        metric.metadata.add(key=f"k{i:x}").value.string_value = "v"
    for i in range(count):
        metric.gauge.data_points.add(time_unix_nano=1767261600 * 10**9 + i, as_double=1.0)
    return request


def traces(count=1, name="m", service="shop", start=None):
    request = trace_service_pb2.ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    set_attributes(resource_spans.resource, service__name=service)
    scope = resource_spans.scope_spans.add()
    scope.scope.name = "tests"
    start = start or time.time_ns()
    for i in range(count):
        span = scope.spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name=name, kind=2,
                               start_time_unix_nano=start + i, end_time_unix_nano=start + i + 1500)
        set_attributes(span, name=name, number=i, http__route="/buy")
        span.status.code = 1
    return request


def metrics(count=1, name="m", service="shop", start=None):
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    set_attributes(resource_metrics.resource, service__name=service)
    scope = resource_metrics.scope_metrics.add()
    scope.scope.name = "tests"
    metric = scope.metrics.add(name=name, unit="1")
    start = start or time.time_ns()
    for i in range(count):
        point = metric.gauge.data_points.add(time_unix_nano=start + i, as_double=i / 2)
        set_attributes(point, name=name, number=i)
    return request


MAKERS = {"logs": logs, "traces": traces, "metrics": metrics}


def to_json(request) -> bytes:
    """OTLP/JSON: ids in hex, enums as numbers, where protobuf's own JSON has base64 and names."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)

    def mend(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("traceId", "spanId", "parentSpanId"):
                    value[key] = base64.b64decode(inner).hex()
                else:
                    mend(inner)
        elif isinstance(value, list):
            for inner in value:
                mend(inner)

    mend(document)
    return json.dumps(document).encode()


def grpc_frame(message: bytes, compressed=False) -> bytes:
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message
