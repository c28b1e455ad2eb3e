"""OTLP/gRPC and gRPC's own protocol over HTTP/2 (rows of docs/CONFORMANCE.md)."""

import base64
import gzip
import os
import signal
import threading
import time

import grpc
import hpack
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from exchange import (
    CODINGS,
    RawHttp2,
    Answer,
    Http2,
    dial,
    export,
    frame,
    grpc_call,
    head,
    http1,
    http1_request,
    http2,
    names,
    stored,
)
from otlp import MAKERS, PROTOBUF, RESPONSES, SERVICES, grpc_frame, logs

GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
COMPRESSION = {
    "identity": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def rows(server):
    return server.metric("otolith_items_stored_total", signal="logs")


@pytest.mark.parametrize("coding", COMPRESSION)
@pytest.mark.parametrize("signal_name", MAKERS)
def test_c01_grpcio_with_every_coding(shared, signal_name, coding):
    """The client of gRPC's authors, where exchange.py is ours."""
    name = next(names) + "x" * 100
    with grpc.insecure_channel(shared.grpc, compression=COMPRESSION[coding]) as channel:
        call = channel.unary_unary(
            SERVICES[signal_name],
            request_serializer=lambda r: r.SerializeToString(),
            response_deserializer=RESPONSES[signal_name].FromString,
        )
        assert not call(MAKERS[signal_name](500, name=name)).HasField("partial_success")
    assert stored(shared, signal_name, name) == 500


@pytest.mark.parametrize(
    "path",
    [
        "/no.such.Service/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Nope",
        "/x",
        "//",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export/",
        "/v1/logs",
    ],
)
def test_c32_unknown_methods_are_unimplemented(shared, path):
    answer = grpc_call(shared, path, grpc_frame(b""))
    assert answer.status == 200 and answer.headers["grpc-status"] == "12" and not answer.body and not answer.trailers


def test_c38_what_is_no_grpc_is_answered_as_http(shared):
    """A gRPC path with another content type: an HTTP error, as the gRPC specification wants, and no grpc-status."""
    for kind in ("application/grpcx", "application/x-protobuf", "text/plain"):
        answer = http2(shared, SERVICES["logs"], grpc_frame(b""), [("content-type", kind)])
        assert answer.status in (404, 415) and not answer.is_grpc, kind
    for kind in ("application/grpc", "application/grpc+proto", "application/grpc;x=y"):
        assert http2(shared, SERVICES["logs"], grpc_frame(b""), [("content-type", kind), ("te", "trailers")]).code == 0
    # gRPC wants HTTP/2.
    [answer] = http1(shared, [http1_request(SERVICES["logs"], grpc_frame(b""), "application/grpc")])
    assert answer.status in (404, 415, 505)


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding != "identity"])
def test_c46_compressed_messages(shared, coding):
    name = next(names)
    body = CODINGS[coding](logs(5, name=name).SerializeToString())
    assert grpc_call(shared, SERVICES["logs"], grpc_frame(body, True), [("grpc-encoding", coding)]).code == 0
    assert stored(shared, "logs", name) == 5
    # A coding is named, but this message does without.
    plain = logs(5, name=name).SerializeToString()
    assert grpc_call(shared, SERVICES["logs"], grpc_frame(plain), [("grpc-encoding", coding)]).code == 0
    assert stored(shared, "logs", name) == 10


@pytest.mark.parametrize(
    "body, headers, code",
    [
        (grpc_frame(b"x", True), [], 3),
        (grpc_frame(b"x", True), [("grpc-encoding", "identity")], 3),
        (grpc_frame(b"no gzip", True), [("grpc-encoding", "gzip")], 3),
        (grpc_frame(gzip.compress(b"")[:-1], True), [("grpc-encoding", "gzip")], 3),
        (grpc_frame(b"x", True), [("grpc-encoding", "br")], 12),
        (grpc_frame(b"x", True), [("grpc-encoding", "snappy")], 12),
        (grpc_frame(b"x", True), [("grpc-encoding", "gzip, gzip")], 12),
        *((bytes([flag]) + grpc_frame(b"")[1:], [], 3) for flag in (2, 3, 127, 128, 255)),
    ],
)
def test_c46_wrong_compression_is_refused(shared, body, headers, code):
    before = rows(shared)
    answer = grpc_call(shared, SERVICES["logs"], body, headers)
    assert answer.code == code and answer.error.message
    if code == 12:
        assert set(answer.headers["grpc-accept-encoding"].split(",")) >= {"identity", "gzip", "zstd", "deflate"}
    assert rows(shared) == before


def test_c47_the_status_stands_in_trailers(shared):
    answer = grpc_call(shared, SERVICES["logs"], grpc_frame(logs(1).SerializeToString()))
    assert answer.headers == {":status": "200", "content-type": "application/grpc"}
    assert answer.trailers == {"grpc-status": "0"} and answer.body == b"\0\0\0\0\0"
    answer = grpc_call(shared, SERVICES["logs"], grpc_frame(b"\xff"))  # trailers only
    assert answer.headers["grpc-status"] == "3" and not answer.body and not answer.trailers


def test_c48_messages_are_percent_encoded(shared):
    """Ours are ASCII; src/net/grpc.c encodes the rest, which tests/unit/net/test_grpc.c shows."""
    answer = grpc_call(shared, SERVICES["logs"], grpc_frame(b"\x0a\x02\x12\x01\xff"))
    text = answer.headers["grpc-message"]
    assert text.isascii() and text.isprintable() and "%" not in text.replace("%25", "")
    assert answer.error.message == text


def test_c49_te_may_be_absent(shared):
    answer = http2(shared, SERVICES["logs"], grpc_frame(b""), [("content-type", "application/grpc")])
    assert answer.code == 0


@pytest.mark.parametrize(
    "timeout, code",
    [
        ("10S", 0),
        ("99999999H", 0),
        ("1M", 0),
        ("5000m", 0),
        ("99999999u", 0),
        ("0S", 4),
        ("1n", 4),
        ("0n", 4),
        ("1u", 4),
        ("", 0),
        ("S", 3),
        ("1", 3),
        ("-1S", 3),
        ("1.5S", 3),
        ("123456789S", 3),
        ("1s", 3),
        ("1 S", 3),
        ("junk", 3),
    ],
)
def test_c50_deadlines_hold(shared, timeout, code):
    before = rows(shared)
    headers = [("grpc-timeout", timeout)] if timeout else []
    with Http2(shared) as connection:
        body = grpc_frame(logs(1).SerializeToString())
        stream = connection.start([*head(SERVICES["logs"]), *GRPC, *headers], body[:-1], end=False)
        time.sleep(0.002)  # so that the shortest are over
        if stream in connection.open:
            connection.send(stream, body[-1:])
        answer = connection.finish(stream)
    assert answer.code == code
    assert rows(shared) == before + (code == 0)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_c51_a_message_may_span_frames(shared, size):
    name = next(names)
    body = grpc_frame(logs(3, name=name).SerializeToString())
    with Http2(shared) as connection:
        assert connection.call(SERVICES["logs"], body, chunk=size).code == 0
    assert stored(shared, "logs", name) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\0\0\0",
        grpc_frame(b"") + grpc_frame(b""),
        grpc_frame(logs(1).SerializeToString()) * 2,
        grpc_frame(b"")[:-1] + b"\1",
        grpc_frame(b"") + b"x",
        b"\0\0\0\0\2\0",
    ],
)
def test_c52_a_call_has_exactly_one_message(shared, body):
    before = rows(shared)
    answer = grpc_call(shared, SERVICES["logs"], body)
    assert answer.code == 3 and answer.error.message
    assert rows(shared) == before


@pytest.mark.parametrize("how", ["reset", "close", "abort"])
def test_c53_half_a_call_stores_nothing(shared, how):
    before = rows(shared)
    body = grpc_frame(logs(4).SerializeToString())
    for cut in (0, 3, 5, 20, len(body) - 1, len(body)):
        with Http2(shared) as connection:
            stream = connection.start([*head(SERVICES["logs"]), *GRPC], body[:cut], end=False)
            if how == "reset":
                connection.connection.reset_stream(stream)
                connection.flush()
                assert connection.call(SERVICES["logs"], grpc_frame(b"")).code == 0  # the connection lives on
            elif how == "abort":
                connection.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: RST
    assert rows(shared) == before


@pytest.mark.parametrize(
    "value",
    [
        base64.b64encode(b"\x00\xff1").decode(),
        base64.b64encode(b"\x00\xff1").decode().rstrip("="),
        "",
        "AA==,AB==",
        "no base64!",
    ],
)
def test_c54_binary_metadata_is_tolerated(shared, value):
    answer = grpc_call(
        shared, SERVICES["logs"], grpc_frame(b""), [("trace-proto-bin", value), ("grpc-tags-bin", value)]
    )
    assert answer.code == 0


def test_c55_header_lists_are_capped(shared):
    call = (SERVICES["logs"], grpc_frame(b""))
    assert grpc_call(shared, *call, [("authorization", "Bearer " + "j" * 16000)]).code == 0
    assert grpc_call(shared, *call, [("authorization", "Bearer " + "j" * 40000)]).code == 8
    assert grpc_call(shared, *call, [(f"x-{i}", "y") for i in range(100)]).code == 0
    assert grpc_call(shared, *call, [(f"x-{i}", "y") for i in range(200)]).code == 8
    assert http2(shared, "/v1/logs", b"", [("content-type", PROTOBUF), ("x", "y" * 40000)]).status == 431
    with Http2(shared) as connection:
        connection.quiet(0.2)
        assert 16384 <= connection.connection.remote_settings.max_header_list_size <= 65536


def test_c56_many_calls_on_one_connection(server):
    one = server()
    with Http2(one) as connection:
        connection.quiet(0.2)
        assert 100 <= connection.connection.remote_settings.max_concurrent_streams <= 1000
    with grpc.insecure_channel(one.grpc) as channel:
        call = channel.unary_unary(SERVICES["logs"], request_serializer=lambda r: r.SerializeToString())
        futures = [call.future(logs(10, name=f"n{i}")) for i in range(300)]
        for future in futures:
            future.result(timeout=60)
    assert one.sql("SELECT count(*) AS n, count(DISTINCT LogAttributes['name']) AS names FROM otel_logs") == [
        {"n": 3000, "names": 300}
    ]


def test_c57_keepalive_pings_are_answered_and_never_punished(shared):
    """More of them than any client sends (the Collector's send one each 10 s), with and without open calls."""
    with Http2(shared) as connection:
        for number in range(300):
            connection.connection.ping(number.to_bytes(8, "big"))
        connection.flush()
        connection.quiet(0.3)
        assert connection.pongs == 300 and connection.goaway is None
        assert connection.call(SERVICES["logs"], grpc_frame(b"")).code == 0
    options = [
        ("grpc.keepalive_time_ms", 50),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with grpc.insecure_channel(shared.grpc, options) as channel:
        call = channel.unary_unary(SERVICES["logs"])
        call(b"")
        time.sleep(0.5)
        call(b"")


def test_c58_old_connections_are_drained_and_nothing_is_lost(server):
    """Connections live a second; calls go on through every GOAWAY without one that fails."""
    one = server("--connection-age-max", "1s", "--drain-timeout", "5s")
    with Http2(one) as connection:
        assert connection.call(SERVICES["logs"], grpc_frame(b"")).code == 0
        deadline = time.monotonic() + 10
        while connection.goaway is None and time.monotonic() < deadline:
            connection.quiet(0.1)
        assert connection.goaway == 0
    sent = 0
    with grpc.insecure_channel(one.grpc) as channel:
        call = channel.unary_unary(SERVICES["logs"], request_serializer=lambda r: r.SerializeToString())
        end = time.monotonic() + 3
        while time.monotonic() < end:
            call(logs(2, name=f"age{sent}"), timeout=10)
            sent += 1
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 2 * sent}]
    assert one.metric("otolith_connections_accepted_total") > 3
    with dial(one) as sock:  # HTTP/1.1: an idle one is closed
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.settimeout(10)
        while sock.recv(65536):
            pass


def test_c59_shutting_down_loses_nothing_acknowledged(server):
    one = server()
    acked, stop, problems = [], threading.Event(), []

    def send(index):
        with grpc.insecure_channel(one.grpc) as channel:
            call = channel.unary_unary(SERVICES["logs"], request_serializer=lambda r: r.SerializeToString())
            for i in range(100000):
                if stop.is_set():
                    return
                try:
                    call(logs(5, name=f"{index}-{i}"), timeout=10)
                    acked.append(f"{index}-{i}")
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        problems.append(error)
                    return

    threads = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    one.wait_for(lambda: len(acked) > 200, what="200 answers")
    one.stop()
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
    one.start()
    stored_names = {row["name"] for row in one.sql("SELECT DISTINCT LogAttributes['name'] AS name FROM otel_logs")}
    assert set(acked) <= stored_names


def test_c59_goaway_covers_what_is_under_way(server):
    """A call that is half sent when the server is told to stop: the last GOAWAY covers it, and it is answered."""
    one = server()
    body = grpc_frame(logs(3).SerializeToString())
    with RawHttp2(one) as raw:
        raw.send(
            frame("HEADERS", 4, 1, hpack.Encoder().encode([*head(SERVICES["logs"]), *GRPC]))
            + frame("DATA", 0, 1, body[:-1])
            + frame("PING", 0, 0, b"in sync?")
        )
        raw.until("PING")
        os.kill(one.pid, signal.SIGTERM)
        last = None
        while last != 1:
            _, _, _, payload = raw.until("GOAWAY")
            last = int.from_bytes(payload[:4], "big")
            assert last in (1, 2**31 - 1) and payload[4:8] == b"\0\0\0\0"
        raw.send(frame("DATA", 1, 1, body[-1:]))
        decoder, status = hpack.Decoder(), None
        while status is None:
            status = dict(decoder.decode(raw.until("HEADERS")[3])).get("grpc-status")
        assert status == "0"
    assert one.process.wait(30) == 0
    one.process = None
    one.start()
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 3}]


@pytest.mark.parametrize("transport", ["grpc", "http/1.1", "http/2"])
def test_c60_a_request_that_is_sent_again_is_stored_once(shared, transport):
    """A client that was cut off before the answer sends the same bytes again, perhaps by another way."""
    name = next(names)
    body = logs(3, name=name).SerializeToString()
    with Http2(shared) as connection:
        connection.start([*head(SERVICES["logs"]), *GRPC], grpc_frame(body))
    shared.wait_for(lambda: stored(shared, "logs", name) == 3, what="the rows of the first try")
    for _ in range(2):
        assert export(shared, transport, "logs", body).code == 0
    assert stored(shared, "logs", name) == 3


@pytest.mark.parametrize("transport", ["grpc", "http/1.1", "http/2"])
def test_c60_a_repetition_is_told_what_was_refused(shared, transport):
    """The first answer may have got lost: the second says the same."""
    name = next(names)
    request = logs(5, name=name)
    request.resource_logs[0].scope_logs[0].log_records[2].trace_id = b"short"
    body = request.SerializeToString()
    first = export(shared, "grpc", "logs", body).response("logs")
    again = export(shared, transport, "logs", body).response("logs")
    assert first == again and first.partial_success.rejected_log_records == 1
    assert stored(shared, "logs", name) == 4


# --- health ---


def test_health_check(shared):
    with grpc.insecure_channel(shared.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", *(path.split("/")[1] for path in SERVICES.values())):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
    answer = grpc_call(shared, "/grpc.health.v1.Health/Check", grpc_frame(b"\x0a\x05a"))
    assert answer.code == 3


def test_health_watch(server):
    """The state now, each change, and the end when the server leaves; streams that the client leaves are forgotten."""
    one = server("--disk-free-min", "1MiB")
    with grpc.insecure_channel(one.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="no.such.Service"))
        assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        for _ in range(20):
            gone = stub.Watch(health_pb2.HealthCheckRequest())
            assert next(gone).status == health_pb2.HealthCheckResponse.SERVING
            gone.cancel()
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        os.kill(one.pid, signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as error:
            next(watch)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert one.process.wait(30) == 0
    one.process = None


def test_g09_metadata_without_end(shared):
    """10,000 headers in one block: refused, and the connection's compressor stays in step or the connection ends."""
    with RawHttp2(shared) as raw:
        block = b"\x83\x86\x44\x01/\x01\x09localhost" + b"\x00\x01a\x01b" * 10000
        parts = [block[at : at + 16000] for at in range(0, len(block), 16000)]
        raw.send(frame("HEADERS", 1, 1, parts[0]))
        for number, part in enumerate(parts[1:], 2):
            raw.send(frame("CONTINUATION", 4 if number == len(parts) else 0, 1, part))
        kind, _, _, _ = raw.until("HEADERS", "GOAWAY", "RST_STREAM")
        assert kind in (1, 3, 7)
    assert isinstance(grpc_call(shared, SERVICES["logs"], grpc_frame(b"")), Answer)
