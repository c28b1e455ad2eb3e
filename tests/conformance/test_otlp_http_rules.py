"""OTLP/HTTP over HTTP/1.1 and HTTP/2 (rows of docs/CONFORMANCE.md)."""

import gzip
import subprocess

import httpx
import pytest
import zstandard

from exchange import Http1Reader, Http2, dial, export, http1, http1_request, http2, names, stored, talk
from otlp import JSON, MAKERS, NDJSON, PROTOBUF, logs, to_json

VERSIONS = ("1.1", "2")


def send(server, version, path="/v1/logs", body=b"", kind=PROTOBUF, headers=(), method="POST"):
    if version == "1.1":
        [answer] = http1(server, [http1_request(path, body, kind, headers, method)])
        return answer
    return http2(server, path, body, [*([("content-type", kind)] if kind else []), *headers], method)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/trace",
        "/v1/log",
        "//v1/logs",
        "/v1/logs/",
        "/v1//logs",
        "/V1/logs",
        "/v1/./logs",
        "/x/../v1/logs",
        "/v1/%6cogs",
        "/v1/logs%00",
        "/v1/logs%2f",
        "/v1/logs;x",
        "/v1development/profiles",
        "/%c0%ae%c0%ae/v1/logs",
    ],
)
def test_c33_paths_are_taken_as_they_are_or_not_at_all(shared, version, path):
    """No variant of a path means the same: 404 for each. Profiles are not served yet."""
    answer = send(shared, version, path, logs(1).SerializeToString())
    assert answer.status == 404 and answer.kind == PROTOBUF and answer.error.code == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_c33_a_query_is_no_part_of_the_path(shared, version):
    assert send(shared, version, "/v1/logs?a=b&c").status == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "FROBNICATE"])
def test_c34_other_methods_are_405_and_allow_says_which_is_taken(shared, version, method):
    if version == "1.1":
        with dial(shared) as sock:
            sock.sendall(http1_request("/v1/logs", b"", PROTOBUF, (), method))
            answer = Http1Reader(sock).answer(head=method == "HEAD")
    else:
        answer = send(shared, version, body=b"", method=method)
    assert answer.status == 405 and answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert answer.error.message
    else:
        assert answer.body == b""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "kind, exact",
    [
        (PROTOBUF, PROTOBUF),
        ("application/protobuf", PROTOBUF),
        (JSON, JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=utf-8", JSON),
        ("Application/JSON", JSON),
        ("APPLICATION/X-PROTOBUF", PROTOBUF),
        ("application/x-protobuf; messageType=x", PROTOBUF),
        (NDJSON, NDJSON),
        ("application/jsonl", NDJSON),
    ],
)
def test_c35_content_types_with_parameters_and_in_any_case(shared, version, kind, exact):
    name = next(names)
    body = logs(1, name=name).SerializeToString() if exact == PROTOBUF else to_json(logs(1, name=name))
    assert send(shared, version, body=body, kind=kind).status == 200
    assert stored(shared, "logs", name) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "kind, exact",
    [
        (PROTOBUF, PROTOBUF),
        (JSON, JSON),
        ("application/json; charset=utf-8", JSON),
        ("Application/JSON", JSON),
        (NDJSON, NDJSON),
    ],
)
def test_c36_the_answers_content_type_is_the_requests_without_parameters(shared, version, kind, exact):
    good = logs(1).SerializeToString() if exact == PROTOBUF else to_json(logs(1))
    bad = logs(2)
    bad.resource_logs[0].scope_logs[0].log_records[0].span_id = b"x"
    bad = bad.SerializeToString() if exact == PROTOBUF else to_json(bad)
    for body, status in ((good, 200), (bad, 200), (b"\xff{", 400)):
        answer = send(shared, version, body=body, kind=kind)
        assert answer.status == status and answer.kind == exact


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/xml",
        "application/x-protobufx",
        "application/jsonx",
        "application",
        "*/*",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
def test_c37_other_content_types_are_415(shared, version, kind):
    before = shared.metric("otolith_items_stored_total")
    answer = send(shared, version, body=to_json(logs(1)), kind=kind)
    assert answer.status == 415 and answer.error.message
    assert shared.metric("otolith_items_stored_total") == before


def test_c37_grpc_over_http_1_is_415(shared):
    assert send(shared, "1.1", body=b"\0\0\0\0\0", kind="application/grpc").status == 415


def test_c39_protobuf_and_json_share_connection_and_port(shared):
    name = next(names)
    requests = [
        http1_request("/v1/logs", logs(1, name=name).SerializeToString(), PROTOBUF),
        http1_request("/v1/logs", to_json(logs(1, name=name)), JSON),
    ] * 5
    assert {(answer.status, answer.kind) for answer in http1(shared, requests)} == {(200, PROTOBUF), (200, JSON)}
    assert stored(shared, "logs", name) == 2  # the others were repetitions


@pytest.mark.parametrize("version", VERSIONS)
def test_json_lines_are_requests_joined(shared, version):
    """Beyond OTLP: what the Collector's file exporter writes can be posted as it is."""
    name = next(names)
    lines = to_json(logs(3, name=name)) + b"\n\r\n" + to_json(logs(2, name=name)) + b"\n"
    assert send(shared, version, body=lines, kind=NDJSON).body == b"{}"
    assert stored(shared, "logs", name) == 5
    broken = send(shared, version, body=lines + b"{", kind=NDJSON)
    assert broken.status == 400 and "line 4" in broken.error.message
    assert stored(shared, "logs", name) == 5


def test_c40_every_protocol_on_every_listener(shared):
    assert shared.addresses[0] != shared.addresses[1]
    all_addresses = shared.addresses
    try:
        for address in all_addresses:
            shared.addresses = [address]
            for transport in ("grpc", "http/1.1", "http/2"):
                assert export(shared, transport, "logs", logs(1).SerializeToString()).code == 0
    finally:
        shared.addresses = all_addresses


def test_c41_both_versions_by_other_peoples_clients(shared, tmp_path):
    (tmp_path / "body").write_bytes(logs(1).SerializeToString())
    for client in (httpx.Client(timeout=30), httpx.Client(http1=False, http2=True, timeout=30)):
        with client:
            answer = client.post(
                shared.http + "/v1/logs", content=logs(1).SerializeToString(), headers={"Content-Type": PROTOBUF}
            )
            assert answer.status_code == 200 and answer.content == b""
    for flag, version in (("--http1.1", "1.1"), ("--http2-prior-knowledge", "2"), ("--http1.0", "1.1")):
        text = subprocess.run(
            [
                "curl",
                "-sS",
                flag,
                "-H",
                "Content-Type: " + PROTOBUF,
                "--data-binary",
                f"@{tmp_path}/body",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{http_version}",
                shared.http + "/v1/logs",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert text == f"200 {version}"
    # An offer to upgrade is not taken up; HTTP/2 wants prior knowledge.
    upgrade = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    [answer] = http1(shared, [http1_request("/v1/logs", logs(1).SerializeToString(), headers=upgrade)])
    assert answer.status == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("signal_name", MAKERS)
def test_c42_paths_of_the_signals(shared, version, signal_name):
    name = next(names)
    assert (
        send(shared, version, "/v1/" + signal_name, MAKERS[signal_name](2, name=name).SerializeToString()).status == 200
    )
    assert stored(shared, signal_name, name) == 2


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "coding, encode, status",
    [
        ("identity", bytes, 200),
        ("gzip", gzip.compress, 200),
        ("GZIP", gzip.compress, 200),
        ("x-gzip", gzip.compress, 200),
        ("zstd", zstandard.ZstdCompressor().compress, 200),
        ("br", bytes, 415),
        ("compress", bytes, 415),
        ("snappy", bytes, 415),
        ("lz4", bytes, 415),
        ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body)), 415),
        ("gzip,", gzip.compress, 415),
        ("gzip", bytes, 400),
        ("zstd", bytes, 400),
        ("deflate", bytes, 400),
    ],
)
def test_c43_content_codings(shared, version, coding, encode, status):
    name = next(names)
    answer = send(
        shared, version, body=encode(logs(1, name=name).SerializeToString()), headers=[("content-encoding", coding)]
    )
    assert answer.status == status and (status == 200 or answer.error.message)
    assert stored(shared, "logs", name) == (status == 200)


@pytest.mark.parametrize("version", VERSIONS)
def test_c44_answers_are_never_compressed(shared, version):
    """They are a few bytes."""
    for body, status in ((logs(1).SerializeToString(), 200), (b"\xff", 400)):
        answer = send(shared, version, body=body, headers=[("accept-encoding", "gzip, zstd, *")])
        assert answer.status == status and "content-encoding" not in answer.headers


def gzip_cases():
    body = logs(2, name="NAME").SerializeToString()
    whole = gzip.compress(body)
    return {
        "one member": (whole, 200),
        "two members": (gzip.compress(body[:50]) + gzip.compress(body[50:]), 200),
        "each byte a member": (b"".join(gzip.compress(body[i : i + 1]) for i in range(len(body))), 200),
        "an empty member before": (gzip.compress(b"") + whole, 200),
        "an empty member behind": (whole + gzip.compress(b""), 200),
        "a name in the header": (whole[:3] + b"\x08" + whole[4:10] + b"name\0" + whole[10:], 200),
        "junk behind": (whole + b"junk", 400),
        "zeros behind": (whole + b"\0" * 8, 400),
        "wrong CRC": (whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:], 400),
        "wrong size": (whole[:-4] + bytes([whole[-4] ^ 1]) + whole[-3:], 400),
        "a reserved flag": (whole[:3] + b"\x80" + whole[4:], 400),
        "another method": (whole[:2] + b"\x07" + whole[3:], 400),
        "cut off": (whole[:-9], 400),
        "nothing": (b"", 400),
    }


@pytest.mark.parametrize("case", gzip_cases())
def test_c45_gzip_members_and_checksums(shared, case):
    before = shared.metric("otolith_items_stored_total")
    body, status = gzip_cases()[case]
    answer = send(shared, "1.1", body=body, headers=[("content-encoding", "gzip")])
    assert answer.status == status, answer
    assert shared.metric("otolith_items_stored_total") == before + (2 if status == 200 else 0)


def test_c82_expect_chunks_and_no_length(shared, tmp_path):
    with dial(shared) as sock:
        reader = Http1Reader(sock)
        start = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        first, second, third = (logs(2, name=name).SerializeToString() for name in ("expect", "chunks", "both"))
        sock.sendall(start + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(first))
        assert reader.answer().status == 100
        sock.sendall(first)
        assert reader.answer().status == 200
        for size in (1, 5, 10000):
            parts = [second[i : i + size] for i in range(0, len(second), size)]
            chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
            sock.sendall(start + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
            assert reader.answer().status == 200
        # Chunk extensions and trailers are read over.
        sock.sendall(
            start
            + b'Transfer-Encoding: Chunked\r\n\r\n%X;ext="v"\r\n%s\r\n000;last\r\nX-Trailer: v\r\n\r\n'
            % (len(third), third)
        )
        assert reader.answer().status == 200
        # No length at all is no body.
        sock.sendall(start + b"\r\n")
        assert reader.answer().status == 200
    assert [stored(shared, "logs", name) for name in ("expect", "chunks", "both")] == [2, 2, 2]
    (tmp_path / "body").write_bytes(logs(1, name="curl").SerializeToString())
    for flags in (["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"]):
        text = subprocess.run(
            [
                "curl",
                "-sS",
                *flags,
                "-H",
                "Content-Type: " + PROTOBUF,
                "--data-binary",
                f"@{tmp_path}/body",
                "-w",
                "%{http_code}",
                shared.http + "/v1/logs",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert text == "200"
    assert stored(shared, "logs", "curl") == 1


def test_c82_a_refusal_comes_before_the_body(shared):
    """Who waits for 100-continue is not made to send what nobody wants."""
    with dial(shared) as sock:
        sock.sendall(
            b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        reader = Http1Reader(sock)
        assert reader.answer().status == 415
        assert reader.at_end()


@pytest.mark.parametrize("version", VERSIONS)
def test_c83_the_user_agent_reaches_no_log_unescaped(server, version):
    one = server("--log-level", "debug")
    agent = "evil \t%s%n<script> forged-log-line " + "x" * 200
    for body in (logs(1).SerializeToString(), b"\xff"):
        send(one, version, body=body, headers=[("user-agent", agent)])
    assert "forged-log-line" not in one.log or agent not in one.log


# --- web pages (rows B08 and Q10) ---


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "host, status",
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("127.0.0.1:4318", 200),
        ("[::1]:4318", 200),
        ("otolith", 200),
        ("a.localhost", 200),
        ("evil.example", 403),
        ("evil.example:4318", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example.", 403),
        ("1.2.3.4x.example", 403),
    ],
)
def test_b08_foreign_host_names_are_refused_on_local_listeners(shared, version, host, status):
    if version == "1.1":
        [answer], _ = talk(shared, b"GET /health HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n")
    else:
        with Http2(shared) as connection:
            answer = connection.finish(
                connection.start([(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/health")])
            )
    assert answer.status == status


def test_b08_allowed_hosts(server):
    one = server("--allowed-hosts", "otel.example", "--allowed-hosts", "*.in.example")
    rows = {
        "otel.example": 200,
        "OTEL.example:4318": 200,
        "a.b.in.example": 200,
        "in.example": 403,
        "other.example": 403,
    }
    for host, status in rows.items():
        assert httpx.get(one.http + "/health", headers={"Host": host}).status_code == status, host
    every = server("--allowed-hosts", "*")
    assert httpx.get(every.http + "/health", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize(
    "path, kind, body",
    [
        ("/v1/logs", JSON, b"{}"),
        ("/v1/logs", PROTOBUF, b""),
        ("/api/v1/sql", "application/sql", b"SELECT 1"),
        ("/health", None, None),
    ],
)
def test_q10_pages_of_other_origins_are_refused(shared, path, kind, body):
    def ask(origin):
        return httpx.request(
            "GET" if body is None else "POST",
            shared.http + path,
            content=body,
            headers={"Origin": origin} | ({"Content-Type": kind} if kind else {}),
        )

    assert ask(shared.http).status_code == 200
    for origin in ("http://evil.example", "null", "https://localhost", "http://127.0.0.1:1", "chrome-extension://x"):
        answer = ask(origin)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        None,
    ],
)
def test_q10_what_a_page_can_send_unasked_is_no_request(shared, kind):
    """Forms and fetch without preflight have these types only; neither OTLP nor SQL takes them, whatever they hold."""
    headers = {"Content-Type": kind} if kind else {}
    for path, body in (("/v1/logs", to_json(logs(1))), ("/api/v1/sql", b"SELECT 1")):
        assert httpx.post(shared.http + path, content=body, headers=headers).status_code == 415
