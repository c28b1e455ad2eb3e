"""The core as a WebAssembly module under Node: OTLP in, Parquet out, judged by pyarrow."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness import ROOT

MODULE = ROOT / "build-wasm/otolith.wasm"
NOW = 1_700_000_000_123_456_789


@pytest.fixture
def convert(judge, tmp_path):
    def run(signal, request, form="protobuf"):
        path = tmp_path / "request"
        path.write_bytes(request)
        out = subprocess.run(
            [
                judge("node"),
                ROOT / "tests/wasm/convert.mjs",
                MODULE,
                signal,
                form,
                path,
                tmp_path,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(out.stdout)

    return run


def attribute(target, key, value):
    one = target.add(key=key)
    one.value.string_value = value


def test_logs_become_one_file_that_pyarrow_reads(convert):
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    attribute(resource.resource.attributes, "service.name", "checkout")
    scope = resource.scope_logs.add()
    for i in range(300):
        record = scope.log_records.add(
            time_unix_nano=NOW + i * 1_000_000, severity_number=9, severity_text="INFO"
        )
        record.body.string_value = f"order {i} placed"
        attribute(record.attributes, "user.id", f"u{i % 7}")
    done = convert("logs", request.SerializeToString())
    assert [(f["table"], f["rows"]) for f in done["files"]] == [("logs", 300)]
    table = pq.read_table(done["files"][0]["path"], page_checksum_verification=True)
    assert table.num_rows == 300
    assert set(table["ServiceName"].to_pylist()) == {"checkout"}
    assert sorted(table["Body"].to_pylist()) == sorted(f"order {i} placed" for i in range(300))


def test_json_is_taken_too(convert):
    request = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {"logRecords": [{"timeUnixNano": str(NOW), "body": {"stringValue": "hello"}}]}
                ]
            }
        ]
    }
    done = convert("logs", json.dumps(request).encode(), "json")
    assert pq.read_table(done["files"][0]["path"])["Body"].to_pylist() == ["hello"]


def test_traces_keep_their_ids(convert):
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=bytes(range(16)),
            span_id=bytes(range(8, 16)),
            name="GET /",
            start_time_unix_nano=NOW,
            end_time_unix_nano=NOW + 5_000,
        )
    )
    attribute(span.attributes, "http.route", "/")
    done = convert("traces", request.SerializeToString())
    row = pq.read_table(done["files"][0]["path"]).to_pylist()[0]
    assert (row["TraceId"], row["SpanId"]) == (bytes(range(16)).hex(), bytes(range(8, 16)).hex())
    assert row["SpanName"] == "GET /"


def test_metrics_go_to_the_table_of_their_kind(convert):
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="queue.length").gauge.data_points.add(time_unix_nano=NOW, as_int=4)
    total = scope.metrics.add(name="requests").sum
    total.aggregation_temporality = 2
    total.data_points.add(time_unix_nano=NOW, as_double=2.5)
    done = convert("metrics", request.SerializeToString())
    assert {f["table"]: f["rows"] for f in done["files"]} == {
        "metrics/gauge": 1,
        "metrics/sum": 1,
    }


def test_a_malformed_request_is_refused_with_a_reason_and_no_file(convert):
    done = convert("logs", b"\x0a\xff\xff\xff\xff\x0fbroken")
    assert done["status"] < 0 and done["error"] and not done["files"]


def test_the_module_needs_nothing_of_the_outside(judge):
    script = (
        "const m = new WebAssembly.Module(require('fs').readFileSync(process.argv[1]));"
        "console.log(JSON.stringify(WebAssembly.Module.imports(m).map(i => i.module + '.' + i.name)))"
    )
    out = subprocess.run(
        [judge("node"), "-e", script, MODULE], capture_output=True, text=True, check=True
    )
    imports = json.loads(out.stdout)
    allowed = {
        "wasi_snapshot_preview1." + name
        for name in ("proc_exit", "fd_write", "fd_seek", "fd_close")
    }
    assert (
        set(imports) <= allowed
    ), "assert() and snprintf may pull these in; anything else is a system call"
