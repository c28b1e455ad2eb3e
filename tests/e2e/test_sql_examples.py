"""The examples of docs/SQL.md answer what they promise."""

import re
import time

import pytest

from harness import ROOT, Server
from otlp import PROTOBUF, logs, set_attributes, traces
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

MINUTE = 60 * 10**9
BEGIN = (time.time_ns() // MINUTE - 10) * MINUTE  # ten minutes ago; examples ask for the last hour
TEXT = (ROOT / "docs/SQL.md").read_text()


def examples():
    block = re.search(r"^## Examples\n\n```sql\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[1]
    return dict(re.match(r"-- ([^\n]*)\n(.*)", part, re.DOTALL).groups() for part in block.split("\n\n"))


def minute(number):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime((BEGIN + number * MINUTE) // 10**9))


def send(one, signal, request):
    answer = one.post("/v1/" + signal, request.SerializeToString(), PROTOBUF)
    assert answer.status_code == 200, answer.text


def send_spans(one):
    request = traces(5, name="GET /buy", start=BEGIN)
    spans = request.resource_spans[0].scope_spans[0].spans
    for span, (key, code) in zip(spans, [("http.response.status_code", 500), ("http.status_code", 503), ("http.status_code", 200),
                                         ("http.response.status_code", 404), ("http.status_code", "none")]):
        set_attributes(span, **{key: code})
        span.name = "GET /buy"
        span.end_time_unix_nano = span.start_time_unix_nano + 2_000_000
    spans[0].trace_id = bytes.fromhex("5b8efff798038103d269b633813fc60c")
    send(one, "traces", request)


def send_logs(one):
    request = logs(6, start=BEGIN)
    for i, record in enumerate(request.resource_logs[0].scope_logs[0].log_records):
        record.severity_number = 17 if i < 3 else 9
        record.time_unix_nano = BEGIN + i // 2 * MINUTE
    send(one, "logs", request)


# (minutes since the beginning, what the counter says, since when it counts); it restarts at minute 2, to more than before.
COUNTER = [(0.2, 5, 0), (0.7, 9, 0), (1.1, 10, 0), (2.1, 30, 2), (3.5, 31, 2)]
# Values up to 0.1, up to 0.5, up to 1, above, as a cumulative histogram.
HISTOGRAM = [(0.5, [99, 1, 0, 0], 0), (0.9, [198, 1, 1, 0], 0), (1.5, [198, 11, 1, 0], 0), (2.5, [0, 0, 0, 1], 2), (3.5, [0, 0, 0, 1], 2)]


def at(minutes):
    return BEGIN + int(minutes * MINUTE)


def send_metrics(one):
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    set_attributes(resource.resource, service__name="shop")
    scope = resource.scope_metrics.add()
    gauge = scope.metrics.add(name="queue.size").gauge
    for i, (queue, value) in enumerate([("in", 3.0), ("in", 1.0), ("out", 8.0)]):
        set_attributes(gauge.data_points.add(time_unix_nano=at(i), as_double=value), queue=queue)
    counter = scope.metrics.add(name="http.server.requests").sum
    counter.aggregation_temporality, counter.is_monotonic = 2, True
    for route in ("/buy", "/sell"):  # two series, whose rates add up
        for when, value, since in COUNTER:
            point = counter.data_points.add(time_unix_nano=at(when), start_time_unix_nano=at(since) + 1, as_int=value)
            set_attributes(point, http__route=route)
    histogram = scope.metrics.add(name="http.server.request.duration").histogram
    histogram.aggregation_temporality = 2
    for when, counts, since in HISTOGRAM:
        histogram.data_points.add(time_unix_nano=at(when), start_time_unix_nano=at(since) + 1, count=sum(counts), bucket_counts=counts,
                                  explicit_bounds=[0.1, 0.5, 1])
    send(one, "metrics", request)


ANSWERS = {
    "Server errors of instrumentations old and new": [{"ServiceName": "shop", "SpanName": "GET /buy", "n": 2}],
    "Slowest operations of the last hour": [{"ServiceName": "shop", "SpanName": "GET /buy", "n": 5, "p99_ms": 2.0}],
    "Errors a minute": [{"minute": minute(0), "n": 2}, {"minute": minute(1), "n": 1}],
    "A trace as a list": [{"TimeUnixNano": BEGIN, "ServiceName": "shop", "SpanName": "GET /buy", "Duration": 2_000_000}],
    "The newest value of each series of a gauge": [
        {"MetricName": "queue.size", "Attributes": {"queue": "in"}, "value": 1},
        {"MetricName": "queue.size", "Attributes": {"queue": "out"}, "value": 8}],
    "A counter's rate a minute": [{"minute": minute(i), "n": n} for i, n in enumerate([18, 2, 60, 2])],
    "A histogram's 99th percentile of each minute": [
        {"minute": minute(0), "p99": 0.1}, {"minute": minute(1), "p99": 0.5}, {"minute": minute(2), "p99": None}],
}


def test_every_example_has_an_answer_here():
    assert list(examples()) == list(ANSWERS)


@pytest.fixture(scope="module")
def filled(otolith_binary, tmp_path_factory):
    del otolith_binary  # only that it is there
    one = Server(tmp_path_factory.mktemp("examples")).start()
    for send_all in (send_spans, send_logs, send_metrics):
        send_all(one)
    yield one
    one.stop()


@pytest.mark.parametrize("title", ANSWERS)
def test_an_example_answers_what_it_promises(filled, title):
    rows = filled.sql(examples()[title])
    if "ORDER BY" not in examples()[title]:
        rows.sort(key=str)
    assert rows == ANSWERS[title]


def test_conditions_on_attributes_that_are_numbers(filled):
    """As the page has them where it tells of attributes."""
    [cast] = re.findall(r"`(TRY_CAST\(.* > \d+)`", TEXT)
    assert filled.sql(f"SELECT count(*) AS n FROM traces WHERE {cast}") == [{"n": 0}]
    cast = cast.replace("http.response.body.size", "http.status_code").replace("1000000", "200")
    assert filled.sql(f"SELECT count(*) AS n FROM traces WHERE {cast}") == [{"n": 1}]
