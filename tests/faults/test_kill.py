"""The ledger: whatever was acknowledged is there, once, however often the server is killed.

Several clients send requests whose every item carries a name of its own, over each transport and signal. A client repeats a
request, byte for byte, until it is acknowledged, as exporters do. Meanwhile the server is killed with SIGKILL at random moments and
started again on the same folder. OTOLITH_KILL_ROUNDS sets the number of kills (`make test-kill`: 1,000).
"""
import collections
import os
import random
import subprocess
import threading
import time

import duckdb
import grpc
import httpx
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from harness import PLAIN

ROUNDS = int(os.environ.get("OTOLITH_KILL_ROUNDS", "30"))
BATCH = 20


def attribute(item, name):
    pair = item.attributes.add()
    pair.key = "ledger.id"
    pair.value.string_value = name


def logs_request(names):
    request = logs_service_pb2.ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for name in names:
        record = scope.log_records.add(time_unix_nano=time.time_ns(), severity_number=9)
        record.body.string_value = "ledger " + name
        attribute(record, name)
    return request


def traces_request(names):
    request = trace_service_pb2.ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name in names:
        now = time.time_ns()
        span = scope.spans.add(trace_id=random.randbytes(16), span_id=random.randbytes(8), name="ledger",
                               start_time_unix_nano=now, end_time_unix_nano=now + 1000)
        attribute(span, name)
    return request


def metrics_request(names):
    request = metrics_service_pb2.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="ledger")
    for name in names:
        attribute(metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=1), name)
    return request


SIGNALS = {
    "logs": (logs_request, logs_service_pb2_grpc.LogsServiceStub, "otel_logs", "LogAttributes"),
    "traces": (traces_request, trace_service_pb2_grpc.TraceServiceStub, "otel_traces", "SpanAttributes"),
    "metrics": (metrics_request, metrics_service_pb2_grpc.MetricsServiceStub, "otel_metrics_gauge", "Attributes"),
}


class Client(threading.Thread):
    """Sends until told to stop; every request is repeated until it is acknowledged."""

    def __init__(self, ledger, index, signal, transport):
        super().__init__(daemon=True)
        self.ledger, self.index, self.signal, self.transport = ledger, index, signal, transport
        self.sent, self.acked, self.problem = [], [], None

    def run(self):
        try:
            sequence = 0
            while not self.ledger.over.is_set():
                names = [f"{self.index}-{sequence}-{i}" for i in range(BATCH)]
                sequence += 1
                self.sent += names
                request = SIGNALS[self.signal][0](names)
                body = request.SerializeToString()
                while not self.send(request, body):
                    time.sleep(0.005)
                self.acked += names
        except Exception as problem:  # reported by the test
            self.problem = problem

    def send(self, request, body) -> bool:
        server = self.ledger.server
        try:
            return self.send_grpc(server, request) if self.transport == "grpc" else self.send_http(server, body)
        except (httpx.TransportError, IndexError):
            return False

    def send_http(self, server, body) -> bool:
        answer = httpx.post(f"{server.http}/v1/{self.signal}", content=body, timeout=10, verify=PLAIN,
                            headers={"Content-Type": "application/x-protobuf"})
        if answer.status_code == 200:
            assert answer.content == b"", f"a partial success: {answer.content!r}"
            return True
        assert answer.status_code in (503, 429), f"HTTP {answer.status_code}: not retryable: {answer.content!r}"
        return False

    def send_grpc(self, server, request) -> bool:
        with grpc.insecure_channel(server.grpc) as channel:
            try:
                SIGNALS[self.signal][1](channel).Export(request, timeout=10)
                return True
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                        grpc.StatusCode.DEADLINE_EXCEEDED), f"{error.code()}: {error.details()}"
                return False


class Ledger:
    def __init__(self, server):
        self.server = server
        self.over = threading.Event()
        self.clients = [Client(self, i, signal, transport)
                        for i, (signal, transport) in enumerate((s, t) for s in SIGNALS for t in ("http", "grpc"))]

    def check(self, stored_by_signal, complete):
        for signal, stored in stored_by_signal.items():
            counts = collections.Counter(stored)
            twice = [name for name, count in counts.items() if count > 1]
            assert not twice, f"{signal}: {len(twice)} items stored more than once, such as {twice[:3]}"
            for client in (c for c in self.clients if c.signal == signal):
                mine = {name for name in counts if name.startswith(f"{client.index}-")}
                lost = self.acked_before[client.index] - mine
                assert not lost, f"{signal}: {len(lost)} acknowledged items lost, such as {sorted(lost)[:3]}"
                assert mine <= set(client.sent), f"{signal}: items that nobody sent"
                if complete:
                    assert mine == set(client.sent)

    def note_acked(self):
        self.acked_before = [set(client.acked) for client in self.clients]


def from_server(server):
    return {signal: [row["name"] for row in server.sql(f"SELECT {column}['ledger.id'] AS name FROM {table}")]
            for signal, (_, _, table, column) in SIGNALS.items()}


def from_files(data):
    folders = {"logs": "logs", "traces": "traces", "metrics": "metrics/gauge"}
    return {signal: [row[0] for row in duckdb.sql(
        f"SELECT {SIGNALS[signal][3]}['ledger.id'] FROM read_parquet('{data}/{folder}/**/*.parquet')").fetchall()]
        for signal, folder in folders.items()}


@pytest.mark.release
@pytest.mark.kill
@pytest.mark.timeout(60 + ROUNDS * 30)
def test_what_was_acknowledged_is_there_once_after_kills(server, otolith_binary):
    one = server("--flush-interval", "300ms", "--flush-rows", "2000", "--query-rows-max", "100000000")
    ledger = Ledger(one)
    ledger.note_acked()
    for client in ledger.clients:
        client.start()
    for round_number in range(1, ROUNDS + 1):
        time.sleep(random.uniform(0.005, 0.5))
        one.kill()
        one.start(ready=random.random() < 0.5)
        if round_number % max(10, ROUNDS // 10) == 0:
            one.wait_for(one.is_ready, what="ready")
            ledger.note_acked()
            ledger.check(from_server(one), complete=False)
        assert all(client.problem is None for client in ledger.clients), [c.problem for c in ledger.clients]
    one.wait_for(one.is_ready, what="ready")
    ledger.over.set()
    for client in ledger.clients:
        client.join(60)
        assert client.problem is None, client.problem
        assert not client.is_alive(), "a request was never acknowledged"
    ledger.note_acked()
    assert all(len(client.acked) > 0 for client in ledger.clients)
    ledger.check(from_server(one), complete=True)
    one.stop()
    ledger.check(from_files(one.data), complete=True)
    verified = subprocess.run([otolith_binary, "verify", "--data", one.data], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
