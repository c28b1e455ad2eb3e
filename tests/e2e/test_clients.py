"""Other people's senders: the Python and Node SDKs, the Collector, telemetrygen, curl."""
import json
import socket
import subprocess
import time

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from harness import ROOT


def exporters(server, transport):
    if transport == "grpc":
        options = {"endpoint": server.grpc, "insecure": True}
        return GrpcLogs(**options), GrpcSpans(**options), GrpcMetrics(**options)
    options = {"compression": Compression.Gzip if transport == "http+gzip" else Compression.NoCompression}
    return (HttpLogs(server.http + "/v1/logs", **options), HttpSpans(server.http + "/v1/traces", **options),
            HttpMetrics(server.http + "/v1/metrics", **options))


@pytest.mark.parametrize("transport", ["grpc", "http", "http+gzip"])
def test_python_sdk(server, transport):
    one = server()
    log_exporter, span_exporter, metric_exporter = exporters(one, transport)
    resource = Resource.create({"service.name": "py", "service.namespace": "tests"})
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(BatchSpanProcessor(span_exporter))
    logger_provider = LoggerProvider(resource=resource)
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    meter_provider = MeterProvider([PeriodicExportingMetricReader(metric_exporter, 3600_000)], resource=resource)
    tracer, logger, meter = (tracer_provider.get_tracer("t"), logger_provider.get_logger("l"), meter_provider.get_meter("m"))
    counter, histogram = meter.create_counter("orders", unit="1"), meter.create_histogram("latency", unit="ms")
    for i in range(100):
        with tracer.start_as_current_span("parent", attributes={"http.route": "/buy", "i": i}) as span:
            span.add_event("picked", {"item": i})
            with tracer.start_as_current_span("child"):
                counter.add(1, {"kind": "a"})
                histogram.record(i, {"kind": "a"})
        logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, body=f"order {i}",
                              attributes={"i": i}))
    for provider in (tracer_provider, logger_provider, meter_provider):
        provider.shutdown()
    assert one.sql("SELECT count(*) AS n, min(ServiceName) AS s, min(ServiceNamespace) AS ns FROM otel_logs") == [
        {"n": 100, "s": "py", "ns": "tests"}]
    assert one.sql("""SELECT count(*) AS n, count(DISTINCT p.SpanId) AS parents FROM otel_traces c
                      JOIN otel_traces p ON c.ParentSpanId = p.SpanId AND c.TraceId = p.TraceId
                      WHERE p.HttpRoute = '/buy' AND p.Events[1].Name = 'picked'""") == [{"n": 100, "parents": 100}]
    assert one.sql("SELECT Value AS v, ValueInt AS i, IsMonotonic AS m FROM otel_metrics_sum WHERE MetricName = 'orders'") == [
        {"v": 100.0, "i": 100, "m": True}]
    assert one.sql('SELECT "Count" AS n, "Sum" AS s, "Max" AS m FROM otel_metrics_histogram') == [
        {"n": 100, "s": 4950.0, "m": 99.0}]


@pytest.mark.parametrize("protocol", ["grpc", "http", "proto"])
def test_node_sdk(server, judge, protocol):
    one = server()
    runner = judge("node-sdk") / "run"
    url = "http://" + one.grpc if protocol == "grpc" else one.http
    subprocess.run([runner, ROOT / "tests/e2e/node/send.js", protocol, url], check=True, timeout=120)
    assert one.sql("SELECT count(*) AS n, min(ServiceName) AS s FROM otel_logs") == [{"n": 50, "s": "node"}]
    assert one.sql("SELECT count(*) AS n FROM otel_traces WHERE SpanAttributes['i'] IS NOT NULL") == [{"n": 50}]
    assert one.sql("SELECT max(Value) AS v FROM otel_metrics_sum WHERE MetricName = 'orders'") == [{"v": 50.0}]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


COLLECTOR = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters:
  otlp: {{endpoint: "{grpc}", tls: {{insecure: true}}, compression: gzip}}
  otlphttp: {{endpoint: "{http}", compression: gzip}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [{exporter}]}}
    metrics: {{receivers: [otlp], exporters: [{exporter}]}}
    logs: {{receivers: [otlp], exporters: [{exporter}]}}
"""


@pytest.mark.parametrize("exporter", ["otlp", "otlphttp"])
def test_collector_with_telemetrygen_behind_it(server, judge, tmp_path, exporter):
    one = server()
    collector, telemetrygen = judge("otelcol"), judge("telemetrygen")
    port = free_port()
    config = tmp_path / "collector.yaml"
    config.write_text(COLLECTOR.format(port=port, grpc=one.grpc, http=one.http, exporter=exporter))
    with open(tmp_path / "collector.log", "wb") as log:
        process = subprocess.Popen([collector, "--config", config], stdout=log, stderr=log)
    try:
        one.wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, what="the collector")
        for signal, flag in (("logs", "--logs"), ("traces", "--traces"), ("metrics", "--metrics")):
            subprocess.run([telemetrygen, signal, "--otlp-insecure", "--otlp-endpoint", f"127.0.0.1:{port}", flag, "100",
                            "--workers", "1", "--rate", "0"], check=True, timeout=120, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        one.wait_for(lambda: counts(one) == (100, 200, 100), what="100 logs, 200 spans, 100 points")
    finally:
        process.terminate()
        process.wait(30)
    assert "dropping" not in (tmp_path / "collector.log").read_text().lower()


def counts(server):
    return tuple(server.sql(f"SELECT count(*) AS n FROM {table}")[0]["n"]
                 for table in ("otel_logs", "otel_traces", "otel_metrics_gauge"))


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_telemetrygen(server, judge, transport):
    one = server()
    telemetrygen = judge("telemetrygen")
    for signal in ("logs", "traces", "metrics"):
        endpoint = ["--otlp-endpoint", one.grpc] if transport == "grpc" else [
            "--otlp-http", "--otlp-endpoint", one.addresses[-1]]
        subprocess.run([telemetrygen, signal, "--otlp-insecure", *endpoint, f"--{signal}", "100", "--workers", "1",
                        "--rate", "0"], check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for kind, table in (("Sum", "sum"), ("Histogram", "histogram"), ("ExponentialHistogram", "exponential_histogram")):
        endpoint = ["--otlp-endpoint", one.grpc] if transport == "grpc" else [
            "--otlp-http", "--otlp-endpoint", one.addresses[-1]]
        subprocess.run([telemetrygen, "metrics", "--otlp-insecure", *endpoint, "--metrics", "5", "--metric-type", kind,
                        "--rate", "0"], check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert one.sql(f"SELECT count(*) AS n FROM otel_metrics_{table}")[0]["n"] == 5
    assert counts(one) == (100, 200, 100)


def test_curl(server, tmp_path):
    one = server()
    body = {"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "curl"}}]},
                              "scopeLogs": [{"logRecords": [{"timeUnixNano": "1767261600000000001", "severityNumber": 9,
                                                             "body": {"stringValue": "hello"}}]}]}]}
    done = subprocess.run(["curl", "-sS", "--fail-with-body", "-H", "Content-Type: application/json", "-d", json.dumps(body),
                           one.http + "/v1/logs"], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"{}"
    assert one.sql("SELECT ServiceName AS s, Body AS b, TimestampNanoOfMicro AS n FROM otel_logs") == [
        {"s": "curl", "b": "hello", "n": 1}]
