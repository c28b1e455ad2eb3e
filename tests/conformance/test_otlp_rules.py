"""The rules of OTLP that hold alike for gRPC, HTTP/1.1 and HTTP/2 (rows of docs/CONFORMANCE.md)."""

import json
import os
import signal
import subprocess
import time

import pytest

from exchange import CODINGS, TRANSPORTS, Http2, export, forms, http1, http1_request, http2, names, stored, varint, wrap
from otlp import JSON, MAKERS, NDJSON, PROTOBUF, logs, metrics, to_json

MIB = 1 << 20
BROKEN = {PROTOBUF: b"\x0a\x02\x12\x01\xff", JSON: b'{"resourceLogs":[{"scopeLogs":[7]}]}'}


def plain(request, kind):
    return request.SerializeToString() if kind == PROTOBUF else to_json(request)


# --- what is taken ---


@pytest.mark.parametrize("signal_name", MAKERS)
@pytest.mark.parametrize("coding", CODINGS)
def test_c01_every_coding_on_every_transport(shared, signal_name, coding):
    for transport, kind in forms():
        name = next(names)
        request = MAKERS[signal_name](3, name=name)
        answer = export(shared, transport, signal_name, plain(request, kind), kind, coding)
        assert not answer.response(signal_name).HasField("partial_success"), (transport, kind)
        assert stored(shared, signal_name, name) == 3, (transport, kind)


def test_c02_default_addresses(otolith_binary):
    text = subprocess.run(
        [otolith_binary, "check-config", os.devnull], capture_output=True, text=True, check=True
    ).stdout
    [line] = [line for line in text.splitlines() if line.startswith("listen:")]
    assert "127.0.0.1:4317" in line and "127.0.0.1:4318" in line and "0.0.0.0" not in line


def test_c03_the_limit_holds_before_and_after_decompression(server):
    one = server("--request-bytes-max", "1MiB")
    for transport, kind in forms():
        for size in (MIB + 1, 3 * MIB):
            for coding in CODINGS:
                body = plain(logs(1, name="y" * (size // 2)), kind)
                answer = export(one, transport, "logs", body, kind, coding)
                assert answer.code == 8, (transport, kind, size, coding)
                assert "1048576 bytes" in answer.error.message and "request_bytes_max" in answer.error.message, answer.error.message
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 0}]


def test_c03_the_limit_holds_for_what_json_becomes(server):
    bounds = ",".join(["1"] * 400000)  # two bytes each, eight as protobuf
    point = '{"histogram":{"dataPoints":[{"explicitBounds":[%s]}]}}' % bounds
    body = '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[%s]}]}]}' % point
    answer = export(server("--request-bytes-max", "1MiB"), "http/1.1", "metrics", body.encode(), JSON)
    assert answer.status == 413 and "request_bytes_max" in answer.error.message and "protobuf" in answer.error.message, answer.error


def body_of(size):
    """A request of exactly so many bytes."""
    short = logs(1, name="b").SerializeToString()
    # The name stands in the body and in an attribute.
    request = logs(1, name="b" * ((size - len(short) - 60) // 2)).SerializeToString()
    filler = size - len(request)
    assert 3 < filler < 130
    return request + b"\x9a\x06" + bytes([filler - 3]) + b"f" * (filler - 3)  # an unknown field of one-byte length


def export_when_there_is_room(*args, **options):
    """After a large request memory may be short for a while; that is said retryably, before all else."""
    for _ in range(100):
        answer = export(*args, **options)
        if answer.status != 503 and answer.code != 14:
            return answer
        time.sleep(0.1)
    return answer


def test_c04_the_default_limit_is_64_mib(shared):
    body = body_of(64 * MIB)
    assert len(body) == 64 * MIB
    before = shared.metric("otolith_items_stored_total")
    assert export_when_there_is_room(shared, "http/1.1", "logs", body).code == 0
    assert export_when_there_is_room(shared, "http/1.1", "logs", body + b"\xa0\x06\0").status == 413
    # In gRPC the five bytes of the frame count too.
    assert export_when_there_is_room(shared, "grpc", "logs", body_of(64 * MIB - 4)).code == 8
    assert export_when_there_is_room(shared, "http/1.1", "logs", body_of(64 * MIB + 1), coding="zstd").status == 413
    assert shared.metric("otolith_items_stored_total") == before + 1


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_c05_too_large_is_resource_exhausted_without_retry_info(server, coding):
    one = server("--request-bytes-max", "64KiB")
    answer = export(one, "grpc", "logs", logs(1, name="y" * 65536).SerializeToString(), coding=coding)
    assert answer.code == 8
    assert "grpc-status-details-bin" not in answer.headers or answer.retry_info is None
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_c06_too_large_is_413_with_a_status(server, coding, kind):
    one = server("--request-bytes-max", "64KiB")
    for transport in ("http/1.1", "http/2"):
        answer = export(one, transport, "logs", plain(logs(1, name="y" * 65536), kind), kind, coding)
        assert answer.status == 413 and answer.kind == kind and answer.error.code == 8
        assert "65536 bytes" in answer.error.message and "request_bytes_max" in answer.error.message


# --- answers ---


def rejected(signal_name, count, bad, name):
    """A request of `count` items of which those in `bad` break a rule of their own."""
    request = MAKERS[signal_name](count, name=name)
    for index in bad:
        if signal_name == "logs":
            request.resource_logs[0].scope_logs[0].log_records[index].trace_id = b"short"
        elif signal_name == "traces":
            request.resource_spans[0].scope_spans[0].spans[index].span_id = b"short"
        else:
            points = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
            points[index].exemplars.add(trace_id=b"short")
    return request


def partial(answer, signal_name):
    success = answer.response(signal_name).partial_success
    count = {"logs": "rejected_log_records", "traces": "rejected_spans", "metrics": "rejected_data_points"}[signal_name]
    return getattr(success, count), success.error_message


def test_c07_answers_stay_small_however_many_items_are_refused(shared):
    request = rejected("traces", 20000, range(20000), "x")
    for transport in TRANSPORTS:
        answer = export(shared, transport, "traces", request.SerializeToString(), coding="gzip")
        assert partial(answer, "traces")[0] == 20000
        assert len(answer.body) < 1024


def test_c08_no_answer_is_too_large_to_send(shared):
    """What an answer says of a request is cut: its path, its message."""
    value = b"\x0a\x05no"  # a string that is cut off, in 90 arrays
    for _ in range(90):
        array = b"\x0a" + varint(len(value)) + value
        value = b"\x2a" + varint(len(array)) + array
    request = wrap(b"\x2a" + varint(len(value)) + value)
    for transport in TRANSPORTS:
        answer = export(shared, transport, "logs", request)
        assert answer.code == 3 and len(answer.body) + len(str(answer.headers)) < 4096


@pytest.mark.parametrize("signal_name", MAKERS)
def test_c09_full_success_has_no_partial_success(shared, signal_name):
    for transport, kind in forms():
        answer = export(shared, transport, signal_name, plain(MAKERS[signal_name](2, name=next(names)), kind), kind)
        assert answer.body == {"grpc": b"\0\0\0\0\0"}.get(transport, b"" if kind == PROTOBUF else b"{}")


def test_c10_success_is_200(shared):
    for transport, kind in forms():
        assert export(shared, transport, "logs", plain(logs(1, name=next(names)), kind), kind).status == 200


@pytest.mark.parametrize("signal_name", MAKERS)
def test_c11_an_empty_request_is_a_success(shared, signal_name):
    for transport, kind in forms():
        answer = export(shared, transport, signal_name, b"" if kind == PROTOBUF else b"{}", kind)
        assert not answer.response(signal_name).HasField("partial_success")


@pytest.mark.parametrize("signal_name", MAKERS)
def test_c12_envelopes_without_items_are_a_success(shared, signal_name):
    before = shared.metric("otolith_items_stored_total")
    for transport, kind in forms():
        for depth in (1, 2, 3):
            request = MAKERS[signal_name](0, name="none")
            groups = getattr(request, request.DESCRIPTOR.fields[0].name)
            group = groups[0]
            scopes = getattr(group, [f.name for f in group.DESCRIPTOR.fields if f.name.startswith("scope_")][0])
            if depth == 1:
                del scopes[:]
            elif depth == 2:
                group.ClearField("resource")
            answer = export(shared, transport, signal_name, plain(request, kind), kind)
            assert not answer.response(signal_name).HasField("partial_success")
    assert shared.metric("otolith_items_stored_total") == before


@pytest.mark.parametrize("signal_name", MAKERS)
def test_c13_partial_success_counts_what_was_refused_and_keeps_the_rest(shared, signal_name):
    for transport, kind in forms():
        name = next(names)
        answer = export(shared, transport, signal_name, plain(rejected(signal_name, 10, (2, 5, 7), name), kind), kind)
        assert answer.status == 200 and partial(answer, signal_name)[0] == 3, (transport, kind)
        assert stored(shared, signal_name, name) == 7


@pytest.mark.parametrize("signal_name", MAKERS)
def test_c14_partial_success_says_why_in_english(shared, signal_name):
    for transport, kind in forms():
        request = rejected(signal_name, 2, (1,), "<script>\x1b")
        _, message = partial(export(shared, transport, signal_name, plain(request, kind), kind), signal_name)
        assert "must be" in message and message.isascii() and message.isprintable() and "script" not in message


def test_c15_a_warning_alone_has_a_message_and_no_count(shared):
    """For JSON of which no name is known, and for nothing else: text that was repaired (C78) is no ground for one."""
    request = logs(1, name=next(names)).SerializeToString().replace(b"INFO", b"IN\xffO")
    assert not export(shared, "grpc", "logs", request).response("logs").HasField("partial_success")
    for signal_name, field in (("logs", "resourceLogs"), ("traces", "resourceSpans"), ("metrics", "resourceMetrics")):
        for transport in ("http/1.1", "http/2"):
            answer = export(shared, transport, signal_name, b' {"resource":[{}], "x":null}', JSON)
            assert answer.status == 200 and json.loads(answer.body) == {
                "partialSuccess": {"errorMessage": f"a JSON document without {field} was ignored: it has no name of this request's "
                                                   "(OTLP's names are lowerCamelCase)"}}


@pytest.mark.parametrize("kind, body, warns", [
    (JSON, b'{"resource_logs":[{}]}', True), (JSON, b'{"resourceSpans":[{}]}', True), (JSON, b'{"":1}', True),
    (JSON, b"{}", False), (JSON, b'{"resourceLogs":null}', False), (JSON, b'{"resourceLogs":[]}', False),
    (JSON, b'{"x":1,"resourceLogs":[],"y":2}', False), (JSON, b'{"resourceLogs":[{"scope_logs":[{}]}]}', False),
    (NDJSON, b'{"resourceLogs":[]}\n{}\n\n{"resourceLogs":[]}', False), (NDJSON, b'{"resourceLogs":[]}\n{"resource_logs":[]}\n', True),
    (NDJSON, b'{"resource_logs":[]}\n{"resourceLogs":[]}\n', True),
])
def test_c15_only_documents_without_any_known_name_are_warned_of(shared, kind, body, warns):
    count, message = partial(export(shared, "http/1.1", "logs", body, kind), "logs")
    assert count == 0 and bool(message) == warns, message


def test_c15_what_was_refused_is_told_before_a_warning(shared):
    refused = to_json(rejected("logs", 2, (1,), "x"))
    count, message = partial(export(shared, "http/1.1", "logs", refused + b'\n{"resource_logs":[]}', NDJSON), "logs")
    assert count == 1 and "must be" in message


def test_c15_the_log_says_it_once(server):
    one = server()
    for _ in range(3):
        export(one, "http/1.1", "traces", b'{"resource_spans":[]}', JSON)
    assert one.log.count("/v1/traces: a JSON document without resourceSpans was ignored") == 1


def test_c16_partial_success_counts_points_not_metrics(shared):
    request = metrics(0, name="h")
    scope = request.resource_metrics[0].scope_metrics[0]
    del scope.metrics[:]
    for kind in ("histogram", "sum", "exponential_histogram"):
        metric = scope.metrics.add(name=kind)
        points = getattr(metric, kind).data_points
        for index in range(3):
            point = points.add(time_unix_nano=time.time_ns())
            if index == 1:
                point.exemplars.add(span_id=b"x")
    before = shared.metric("otolith_items_stored_total", signal="metrics")
    for transport, kind in forms():
        for point in scope.metrics[0].histogram.data_points:
            point.time_unix_nano += 1
        answer = export(shared, transport, "metrics", plain(request, kind), kind)
        assert partial(answer, "metrics")[0] == 3
        before += 6
        assert shared.metric("otolith_items_stored_total", signal="metrics") == before


def test_c17_a_transient_fault_is_never_a_partial_success(server):
    """No room on the disk: the whole request is refused, retryably; nothing of it is stored."""
    one = server("--disk-free-min", "1000GiB")
    for transport, kind in forms():
        answer = export(one, transport, "logs", plain(rejected("logs", 4, (1,), "x"), kind), kind)
        assert answer.code == 14
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 0}]


def test_c18_bad_data_is_invalid_argument(shared):
    answer = export(shared, "grpc", "logs", BROKEN[PROTOBUF])
    assert answer.code == 3 and answer.error.message


@pytest.mark.parametrize("kind", BROKEN)
def test_c19_bad_data_is_400(shared, kind):
    for transport in ("http/1.1", "http/2"):
        answer = export(shared, transport, "logs", BROKEN[kind], kind)
        assert answer.status == 400 and answer.kind == kind and answer.error.code == 3


def test_c20_bad_data_is_told_in_a_bad_request(shared):
    for transport, kind in forms():
        [violation] = export(shared, transport, "logs", BROKEN[kind], kind).bad_request.field_violations
        assert violation.field == ("resource_logs[0]" if kind == PROTOBUF else "resourceLogs[0].scopeLogs[0]")
        assert "byte" in violation.description


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_c21_every_failure_is_a_status_in_the_requests_encoding(server, kind, version):
    one = server("--request-bytes-max", "64KiB")
    body = plain(logs(1, name="x"), kind)
    rows = [
        ("POST", "/v1/logs", BROKEN[kind], [], 400),
        ("POST", "/v1/logs", b"no gzip", [("content-encoding", "gzip")], 400),
        ("POST", "/v1/log", body, [], 404),
        ("POST", "/", body, [], 405),
        ("GET", "/v1/logs", b"", [], 405),
        ("POST", "/v1/logs", b" " * 70000, [], 413),
        ("POST", "/v1/logs", body, [("content-encoding", "br")], 415),
        ("POST", "/v1/logs", body, [("x", "y" * 40000)], 431),
        ("POST", "/v1/logs?" + "q" * 9000, body, [], 414),
        ("POST", "/v1/logs", body, [("origin", "http://evil.example")], 403),
    ]
    if version == "1.1":
        rows.append(("POST", "/v1/logs", body, [("expect", "tea")], 417))
    for method, path, content, headers, status in rows:
        if version == "1.1":
            [answer] = http1(one, [http1_request(path, content, kind, headers, method)])
        else:
            answer = http2(one, path, content, [("content-type", kind), *headers], method)
        assert answer.status == status, (method, path, answer)
        # Of a head that could not be read the encoding is not known: JSON then.
        if not (version == "1.1" and status in (414, 417, 431)):
            assert answer.kind == kind, (status, answer.kind)
        assert answer.error.message and answer.error.code
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 0}]


def test_c22_messages_are_for_developers(shared):
    """They say what is wrong and where, and hold no byte of the request."""
    for transport, kind in forms():
        body = BROKEN[JSON].replace(b"7", b'"\\u001b<b>"') if kind == JSON else BROKEN[kind]
        message = export(shared, transport, "logs", body, kind).error.message
        assert message.isprintable() and "<b>" not in message and "byte" in message


# --- what may be retried ---


def unavailable(one, kind_filter=lambda kind: True):
    for transport, kind in forms():
        if kind_filter(kind):
            yield transport, kind, export(one, transport, "logs", plain(logs(2, name=next(names)), kind), kind)


def test_c23_transient_faults_are_only_ever_unavailable(server):
    one = server("--disk-free-min", "1000GiB")
    for transport, kind, answer in unavailable(one):
        assert answer.code == 14 and answer.error.code == 14, (transport, kind)


def test_c24_resource_exhausted_never_asks_to_be_retried(server):
    """It is said of requests that are too large, for which there is no later."""
    one = server("--request-bytes-max", "1KiB")
    for transport, kind in forms():
        answer = export(one, transport, "logs", plain(logs(1, name="x" * 2000), kind), kind)
        assert answer.code == 8 and "retry-after" not in answer.headers


def test_c25_unavailable_has_retry_info(server):
    one = server("--disk-free-min", "1000GiB")
    answer = export(one, "grpc", "logs", logs(1).SerializeToString())
    assert answer.code == 14 and answer.error.code == 14
    assert answer.retry_info.retry_delay.ToMilliseconds() >= 1000
    assert "=" not in answer.headers["grpc-status-details-bin"]


def test_c26_transient_faults_over_http_are_503(server):
    one = server("--disk-free-min", "1000GiB")
    for transport, kind, answer in unavailable(one):
        assert answer.status == (200 if transport == "grpc" else 503)


def test_c27_503_has_retry_after(server):
    one = server("--disk-free-min", "1000GiB")
    for transport, kind, answer in unavailable(one):
        if transport != "grpc":
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.retry_info.retry_delay.ToMilliseconds() >= 1000


def test_c28_no_memory_and_shutting_down_are_retryable(server):
    """Many bodies at once for which there is no room; then requests while the server drains. The full
    disk is the row above, and tests/e2e/test_operation.py."""
    one = server("--memory-limit", "64MiB", "--drain-timeout", "3s")
    held, refused = [], None
    for _ in range(12):  # each announces 8 MiB and sends a little
        connection = Http2(one)
        stream = connection.start(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", "/v1/logs"),
                ("content-type", PROTOBUF),
                ("content-length", str(8 * MIB)),
            ],
            b"\x0a" * 1000,
            end=False,
        )
        held.append((connection, stream))
    for connection, stream in held:
        connection.quiet(0.2)
        if connection.answers[stream].status:
            refused = connection.answers[stream]
    assert refused and refused.status == 503 and int(refused.headers["retry-after"]) >= 1 and refused.error.code == 14
    for connection, _ in held:
        connection.sock.close()
    with Http2(one) as connection:
        connection.quiet(0.2)
        os.kill(one.pid, signal.SIGTERM)
        answer = None
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and (answer is None or answer.status == 200):
            try:
                answer = connection.request("/v1/logs", logs(1).SerializeToString(), [("content-type", PROTOBUF)])
            except Exception:  # the last GOAWAY came first: nothing was promised
                break
        assert answer is None or answer.status in (200, 503)
    one.process.wait(30)
    assert one.process.returncode == 0
    one.process = None


# --- versions ---


@pytest.mark.parametrize("signal_name", MAKERS)
def test_c90_fields_of_another_version_are_ignored(shared, signal_name):
    """A field 9999 at every level, in protobuf and JSON; and messages that lack most fields."""
    unknown = b"\xfa\xf0\x04\x03new"  # 9999, bytes

    def add(message):
        for field, value in list(message.ListFields()):
            if field.message_type:
                for inner in value if field.is_repeated else [value]:
                    add(inner)
        message.MergeFromString(unknown)

    for transport in TRANSPORTS:
        name = next(names)
        request = MAKERS[signal_name](3, name=name)
        add(request)
        answer = export(shared, transport, signal_name, request.SerializeToString())
        assert not answer.response(signal_name).HasField("partial_success")
        assert stored(shared, signal_name, name) == 3
    name = next(names)

    def grow(tree):
        if isinstance(tree, dict):
            return {key: grow(value) for key, value in tree.items()} | {"field9999": {"a": [1, {"b": None}]}}
        return [grow(value) for value in tree] if isinstance(tree, list) else tree

    tree = grow(json.loads(to_json(MAKERS[signal_name](3, name=name))))
    assert export(shared, "http/1.1", signal_name, json.dumps(tree).encode(), JSON).body == b"{}"
    assert stored(shared, signal_name, name) == 3
