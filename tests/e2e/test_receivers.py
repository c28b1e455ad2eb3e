"""Every way in: signals x encodings x codings x HTTP versions, and the protocol's own answers."""
import gzip
import json
import socket
import threading
import zlib

import grpc
import h2.connection
import h2.events
import httpx
import pytest
import zstandard
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from otlp import JSON, MAKERS, NDJSON, PROTOBUF, RESPONSES, SERVICES, TABLES, grpc_frame, logs, to_json

CODINGS = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
}


def stored(server, signal, name):
    attributes = {"logs": "LogAttributes", "traces": "SpanAttributes", "metrics": "Attributes"}[signal]
    [row] = server.sql(f"SELECT count(*) AS n FROM {TABLES[signal]} WHERE {attributes}['name'] = '{name}'")
    return row["n"]


@pytest.mark.parametrize("signal", MAKERS)
def test_every_encoding_and_coding_over_http(server, signal):
    one = server()
    with httpx.Client(timeout=30) as http1, httpx.Client(http1=False, http2=True, timeout=30) as http2:
        for version, client in (("1.1", http1), ("2", http2)):
            for coding, encode in CODINGS.items():
                for kind in (PROTOBUF, JSON, JSON + "; charset=utf-8", NDJSON):
                    name = f"{version}-{coding}-{kind}"
                    request = MAKERS[signal](3, name=name)
                    plain = request.SerializeToString() if kind == PROTOBUF else to_json(request)
                    if kind == NDJSON:
                        plain += b"\n\n" + to_json(MAKERS[signal](2, name=name)) + b"\n"
                    headers = {"Content-Type": kind} | ({} if coding == "identity" else {"Content-Encoding": coding})
                    answer = client.post(one.http + "/v1/" + signal, content=encode(plain), headers=headers)
                    assert answer.status_code == 200, (name, answer.text)
                    assert answer.headers["content-type"] == kind.split(";")[0], name
                    assert answer.content == (b"" if kind == PROTOBUF else b"{}"), name
                    assert stored(one, signal, name) == (5 if kind == NDJSON else 3), name


@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("signal", MAKERS)
def test_grpc(server, signal, coding):
    one = server()
    compression = {"identity": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip,
                   "deflate": grpc.Compression.Deflate}[coding]
    with grpc.insecure_channel(one.grpc, compression=compression) as channel:
        call = channel.unary_unary(SERVICES[signal], request_serializer=lambda r: r.SerializeToString(),
                                   response_deserializer=RESPONSES[signal].FromString)
        answer = call(MAKERS[signal](500, name="x" * 100))
        assert not answer.HasField("partial_success")
    assert stored(one, signal, "x" * 100) == 500


def h2_unary(server, path, body, headers=()):
    """One gRPC call by hand: (status header, response headers, data, trailers)."""
    host, port = server.grpc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        connection.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", server.grpc), (":path", path),
                                    ("content-type", "application/grpc"), ("te", "trailers"), *headers])
        connection.send_data(1, body, end_stream=True)
        sock.sendall(connection.data_to_send())
        first, data, trailers = {}, b"", {}
        while True:
            received = sock.recv(65536)
            assert received, "the connection was closed before the answer"
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    first = {k.decode(): v.decode() for k, v in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    data += event.data
                elif isinstance(event, h2.events.TrailersReceived):
                    trailers = {k.decode(): v.decode() for k, v in event.headers}
                elif isinstance(event, h2.events.StreamEnded):
                    return first, data, trailers
            sock.sendall(connection.data_to_send())


def test_grpc_zstd_and_the_shape_of_the_answer(server):
    one = server()
    body = grpc_frame(CODINGS["zstd"](logs(7, name="zstd").SerializeToString()), compressed=True)
    first, data, trailers = h2_unary(one, SERVICES["logs"], body, [("grpc-encoding", "zstd")])
    assert first[":status"] == "200" and first["content-type"] == "application/grpc"
    assert data == b"\0\0\0\0\0" and trailers["grpc-status"] == "0"
    assert stored(one, "logs", "zstd") == 7


@pytest.mark.parametrize("body, headers, status", [
    (b"", [], 13), (b"\0\0\0", [], 13), (grpc_frame(b"") + grpc_frame(b""), [], 13),
    (b"\2" + grpc_frame(b"")[1:], [], 13), (b"\0\xff\xff\xff\xff...", [], 8),
    (grpc_frame(b"x", compressed=True), [], 13),
    (grpc_frame(b"x", compressed=True), [("grpc-encoding", "br")], 12),
    (grpc_frame(b"\x0a\x05no"), [], 3),
    (grpc_frame(b"no gzip", compressed=True), [("grpc-encoding", "gzip")], 3),
])
def test_grpc_refusals(server, body, headers, status):
    one = server()
    first, data, trailers = h2_unary(one, SERVICES["logs"], body, headers)
    answer = first | trailers
    accepted = {status, 3} if status == 13 else {status}  # INTERNAL or INVALID_ARGUMENT for broken framing
    assert int(answer["grpc-status"]) in accepted, answer
    assert answer["grpc-message"]
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 0}]


def test_grpc_unknown_method_and_health(server):
    one = server()
    assert h2_unary(one, "/no.such.Service/Do", grpc_frame(b""))[0]["grpc-status"] == "12"
    with grpc.insecure_channel(one.grpc) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_many_concurrent_calls_on_one_connection(server):
    one = server()
    with grpc.insecure_channel(one.grpc) as channel:
        call = channel.unary_unary(SERVICES["logs"], request_serializer=lambda r: r.SerializeToString())
        futures = [call.future(logs(10, name=f"n{i}")) for i in range(300)]
        for future in futures:
            future.result(timeout=60)
    assert one.sql("SELECT count(*) AS n, count(DISTINCT LogAttributes['name']) AS names FROM otel_logs") == [
        {"n": 3000, "names": 300}]


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("method, path, headers, body, status", [
    ("POST", "/v1/logs", {}, b"\xff\xff\xff", 400),
    ("POST", "/v1/logs", {"Content-Encoding": "gzip"}, b"not gzip", 400),
    ("POST", "/v1/logs", {"Content-Encoding": "br"}, b"", 415),
    ("GET", "/v1/logs", {}, b"", 405),
    ("PUT", "/v1/logs", {}, b"", 405),
    ("POST", "/v1/log", {}, b"", 404),
    ("POST", "/v1/logs/", {}, b"", 404),
    ("POST", "//v1/logs", {}, b"", 404),
])
def test_http_refusals_are_a_status_in_the_requests_encoding(server, kind, method, path, headers, body, status):
    one = server()
    answer = httpx.request(method, one.http + path, content=body, headers={"Content-Type": kind, **headers})
    assert answer.status_code == status
    assert answer.headers["content-type"] == kind
    if kind == PROTOBUF:
        parsed = status_pb2.Status.FromString(answer.content)
        assert parsed.message
    else:
        assert json.loads(answer.content)["message"]
    if status == 405:
        assert answer.headers["allow"] == "POST"
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 0}]


def test_other_content_types_are_415(server):
    one = server()
    for kind in ("text/plain", "application/xml", "application/x-protobufx"):
        assert one.post("/v1/logs", b"{}", kind).status_code == 415
    assert httpx.post(one.http + "/v1/logs", content=b"").status_code == 415


@pytest.mark.parametrize("signal", MAKERS)
def test_empty_requests_are_fine(server, signal):
    one = server()
    assert one.post("/v1/" + signal, b"", PROTOBUF).status_code == 200
    assert one.post("/v1/" + signal, b"{}", JSON).content == b"{}"
    assert h2_unary(one, SERVICES[signal], grpc_frame(b""))[2]["grpc-status"] == "0"


def test_partial_success_names_the_count_and_keeps_the_rest(server):
    one = server()
    request = MAKERS["traces"](10, name="partial")
    for i in (2, 5, 7):
        request.resource_spans[0].scope_spans[0].spans[i].span_id = b"short"
    answer = RESPONSES["traces"].FromString(one.post("/v1/traces", request.SerializeToString(), PROTOBUF).content)
    assert answer.partial_success.rejected_spans == 3 and answer.partial_success.error_message
    assert stored(one, "traces", "partial") == 7


def test_http11_pipelining_chunks_and_expect(server):
    one = server()
    host, port = one.addresses[-1].split(":")
    body, other = (logs(2, name=name).SerializeToString() for name in ("raw", "other"))
    head = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (other[:5], other[5:])) + b"0\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body
                     + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked
                     + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while received.count(b"HTTP/1.1 200") < 3 or b'"status":"ok"' not in received:
            part = sock.recv(65536)
            assert part, received
            received += part
        sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    # The same bytes twice: one request, acknowledged twice, stored once.
    assert stored(one, "logs", "raw") == 2 and stored(one, "logs", "other") == 2
    assert one.metric("otolith_items_deduplicated_total", signal="logs") == 2


def test_size_limits_before_and_after_decompression(server):
    one = server("--request-bytes-max", "1MiB")
    big = logs(1, name="y" * (2 << 20)).SerializeToString()
    answer = one.post("/v1/logs", big, PROTOBUF)
    assert answer.status_code == 413 and status_pb2.Status.FromString(answer.content).message
    answer = one.post("/v1/logs", gzip.compress(big), PROTOBUF, {"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    first, _, trailers = h2_unary(one, SERVICES["logs"], grpc_frame(gzip.compress(big), True), [("grpc-encoding", "gzip")])
    assert (first | trailers)["grpc-status"] == "8"
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 0}]


def test_a_request_just_under_the_default_limit_is_taken(server):
    one = server()
    body = logs(1, name="b" * ((32 << 20) - 1000)).SerializeToString()  # it stands in body and attribute
    assert (63 << 20) < len(body) <= 64 << 20
    assert one.post("/v1/logs", body, PROTOBUF).status_code == 200
    assert one.sql("SELECT length(Body) > 1000000 AS big FROM otel_logs") == [{"big": True}]


def test_goaway_on_drain_loses_nothing(server):
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
    names = {row["name"] for row in one.sql("SELECT DISTINCT LogAttributes['name'] AS name FROM otel_logs")}
    assert set(acked) <= names
