"""HTTP/1.1 as attackers write it: what two readers could take for different requests is refused, and the
connection closed
(RFC 9112; rows B01 to B10 of docs/CONFORMANCE.md)."""

import socket
import threading

import pytest

from exchange import Http1Reader, dial, http1, names, stored, talk
from otlp import PROTOBUF, logs, to_json

BODY = to_json(logs(1, name="smuggled"))
SMUGGLED = (
    b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    + BODY
)
START = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


# What is wrong -> a head and its body; behind each comes a whole request, which must not be taken for one.
FRAMING = {
    "CL.TE": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.TE identity": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "TE, something else first": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE, something else last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "TE xchunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE quoted": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "TE empty": b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "TE with a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "TE chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "TE with a parameter": b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "two CL, the same": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "two CL, others": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "CL list": b"Content-Length: 0, 0\r\n\r\n",
    "CL +0": b"Content-Length: +0\r\n\r\n",
    "CL -1": b"Content-Length: -1\r\n\r\n",
    "CL 0x0": b"Content-Length: 0x0\r\n\r\n",
    "CL 1e0": b"Content-Length: 1e0\r\n\r\nx",
    "CL 2^64": b"Content-Length: 18446744073709551616\r\n\r\n",
    "CL 2^64 + 0": b"Content-Length: 36893488147419103232\r\n\r\n",
    "CL empty": b"Content-Length:\r\n\r\n",
    "CL with a space": b"Content-Length: 0 0\r\n\r\n",
    "CL with letters behind": b"Content-Length: 0a\r\n\r\n",
    "CL in other digits": "Content-Length: \u0660\r\n\r\n".encode(),
    "obs-fold": b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "obs-fold of TE": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "obs-fold by tab": b"X: a\r\n\tContent-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "a folded first line": b" X: a\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": b"Content-Length : 0\r\n\r\n",
    "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a space in the name": b"Content Length: 0\r\n\r\n",
    "no colon": b"Content-Length 0\r\n\r\n",
    "an empty name": b": 0\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a value": b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a CR in a value": b"X: a\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "a DEL in a value": b"X: a\x7f\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a name": b"X\0: a\r\nContent-Length: 0\r\n\r\n",
    "a name that is no token": "X\u00e9: a\r\nContent-Length: 0\r\n\r\n".encode(),
    "bare LF behind a line": b"X: a\nContent-Length: 0\r\n\r\n",
    "bare LF at the end": b"Content-Length: 0\r\n\n",
    "bare LFs only": b"Content-Length: 0\n\n",
    "two hosts": b"Host: b\r\nContent-Length: 0\r\n\r\n",
    "a host list": b"Content-Length: 0\r\nHost: b, c\r\n\r\n",
    "a chunk size of 16 digits": b"Transfer-Encoding: chunked\r\n\r\n0000000000000000\r\n\r\n",
    "a chunk size past 2^64": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n",
    "a negative chunk size": b"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n",
    "a chunk size with 0x": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk size with a space": b"Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n",
    "an empty chunk size": b"Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
    "a chunk size with bare LF": b"Transfer-Encoding: chunked\r\n\r\n0\n\r\n",
    "a chunk size with CR only": b"Transfer-Encoding: chunked\r\n\r\n0\r0\r\n\r\n",
    "a chunk extension with bare LF": b"Transfer-Encoding: chunked\r\n\r\n0;a\n\r\n",
    "a chunk extension with CR": b"Transfer-Encoding: chunked\r\n\r\n0;a\rb\r\n\r\n",
    "a chunk extension with NUL": b"Transfer-Encoding: chunked\r\n\r\n0;a\0\r\n\r\n",
    "a chunk extension of 1 MiB": b"Transfer-Encoding: chunked\r\n\r\n0;" + b"e" * (1 << 20) + b"\r\n\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a chunk without CRLF": b"Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
    "a chunk ended by LF": b"Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
    "a trailer without colon": b"Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n",
    "a trailer that is folded": b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n",
    "a trailer with bare LF": b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\n\r\n",
    "trailers of 1 MiB": b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"t" * (1 << 20) + b"\r\n\r\n",
}


@pytest.mark.parametrize("wrong", FRAMING)
def test_b01_doubtful_framing_is_refused_and_the_connection_closed(shared, wrong):
    answers, closed = talk(shared, START + FRAMING[wrong] + SMUGGLED)
    assert [answer.status for answer in answers] in ([400], [431]), answers
    assert closed, wrong
    assert answers[0].error.message and answers[0].headers["connection"] == "close"


@pytest.fixture(autouse=True, scope="module")
def nothing_was_smuggled(shared):
    yield
    assert stored(shared, "logs", "smuggled") == 0


REQUEST_LINES = {
    "GET  /health HTTP/1.1": 400,
    " GET /health HTTP/1.1": 400,
    "GET /health": 400,
    "GET /health HTTP/1.1 ": 400,
    "GET /health HTTP/1.1x": 400,
    "GET /health http/1.1": 400,
    "GET /health HTTP/11": 400,
    "GET /health HTTP/2.0": 505,
    "GET /health HTTP/0.9": 505,
    "GET /health HTTP/3": 400,
    "GET\t/health HTTP/1.1": 400,
    "GET /hea lth HTTP/1.1": 400,
    "GET /\x00 HTTP/1.1": 400,
    "GET /\x7f HTTP/1.1": 400,
    "GET /\u00e9 HTTP/1.1": 400,
    "G(T /health HTTP/1.1": 400,
    "": 400,
    "GET": 400,
    "\x16\x03\x01\x02": 400,
    "PRY * HTTP/2.0": (400, 505),
    "GET health HTTP/1.1": 400,
    "GET * HTTP/1.1": 400,
    "GET ?x HTTP/1.1": 400,
    "GET http://a?x HTTP/1.1": 400,
    "GET http:///health HTTP/1.1": 400,
    "GET ftp://a/health HTTP/1.1": 400,
    "GET http://a@b/health HTTP/1.1": 400,
    "M" * 33 + " / HTTP/1.1": 400,
    "M" * (1 << 20): 400,
    "GET /" + "u" * 9000 + " HTTP/1.1": 414,
    "GET /" + "u" * (1 << 20): 414,
    "CONNECT a:80 HTTP/1.1": 405,
    "TRACE /health HTTP/1.1": 405,
}


@pytest.mark.parametrize("line", REQUEST_LINES, ids=[repr(line[:30]) for line in REQUEST_LINES])
def test_b05_request_lines(shared, line):
    answers, closed = talk(shared, line.encode() + b"\r\nHost: a\r\n\r\n" + SMUGGLED)
    wanted = REQUEST_LINES[line]
    assert len(answers) == 1 and answers[0].status in (wanted if isinstance(wanted, tuple) else (wanted,)), answers
    assert closed


@pytest.mark.parametrize(
    "head, status",
    [
        (b"X: " + b"h" * 40000 + b"\r\n", 431),
        (b"".join(b"X%d: a\r\n" % i for i in range(1000)), 431),
        (b"X: " + b"h" * (1 << 20) + b"\r\n", 431),
        (b"x" * 40000 + b": a\r\n", 431),
        (b"X: a\r\n" * 129, 431),
        (b"X: a\r\n" * 120, 200),
        (b"X: " + b"h" * 16384 + b"\r\n", 200),
    ],
)
def test_b05_headers_have_a_limit(shared, head, status):
    answers, closed = talk(shared, b"GET /health HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
    assert [answer.status for answer in answers] == [status] and closed == (status != 200)


def test_b05_methods_make_no_series(shared):
    for method in ("FOO", "BAR"):
        list(http1(shared, [f"{method} /health HTTP/1.1\r\nHost: a\r\n\r\n".encode()]))
    assert not any("FOO" in key or "BAR" in key for key in shared.metrics())


def test_b06_thousands_of_pipelined_requests_are_answered_in_order(shared):
    requests = []
    for i in range(3000):
        path = ("/health", "/nothing", "/ready")[i % 3]
        requests.append(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    with dial(shared, 60) as sock:
        sender = threading.Thread(target=sock.sendall, args=(b"".join(requests),))
        sender.start()
        reader = Http1Reader(sock)
        statuses = [reader.answer().status for _ in requests]
        sender.join()
    assert statuses == [200, 404, 200] * 1000


def test_b06_exports_in_one_write_are_all_stored(shared):
    found = [next(names) for _ in range(40)]
    parts = []
    for number, name in enumerate(found):
        body = logs(1, name=name).SerializeToString()
        if number % 2:
            parts.append(
                START + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(body[:7]) + chunk(body[7:]) + b"0\r\n\r\n"
            )
        else:
            parts.append(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answers, closed = talk(shared, b"".join(parts))
    assert [answer.status for answer in answers] == [200] * 40 and not closed
    listed = ", ".join(f"'{name}'" for name in found)
    assert shared.sql(f"SELECT count(*) AS n FROM otel_logs WHERE LogAttributes['name'] IN ({listed})") == [{"n": 40}]


@pytest.mark.parametrize("first", ["1.1\r\nConnection: close", "1.0"])
def test_b06_what_is_behind_a_last_request_is_not_stored(shared, first):
    found = [next(names), next(names)]
    parts = []
    for name in found:
        body = logs(1, name=name).SerializeToString()
        parts.append(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answers, closed = talk(shared, parts[0].replace(b"1.1", first.encode(), 1) + parts[1])
    assert [answer.status for answer in answers] == [200] and closed
    assert [stored(shared, "logs", name) for name in found] == [1, 0]


def test_b07_absolute_targets_and_upgrades(shared):
    for target, status in (
        ("http://localhost/health", 200),
        ("HTTP://127.0.0.1:1/health", 200),
        ("http://evil.example/health", 403),
        ("https://localhost/health", 200),
    ):
        [answer], _ = talk(shared, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.status == status, target
    for upgrade in (b"websocket", b"h2c", b"TLS/1.0"):
        [answer] = http1(
            shared, [b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n\r\n"]
        )
        assert answer.status == 200 and "upgrade" not in answer.headers


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Host:\r\nHost: a\r\n",
        b"Host: a\r\nHost: a\r\n",
        b"Host: a/b\r\n",
        b"Host: a b\r\n",
        b"Host: a\x00\r\n",
        b"Host: <script>\r\n",
        b"Host: a?b\r\n",
        b"Host: a#\r\n",
        b"Host: \xff\r\n",
    ],
)
def test_b08_host_is_there_once_and_well_formed(shared, head):
    answers, closed = talk(shared, b"GET /health HTTP/1.1\r\n" + head + b"\r\n")
    assert [answer.status for answer in answers] == [400] and closed


def test_b10_bodies_and_expectations_where_there_should_be_none(shared):
    requests = [
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    ]
    # A body that no path wants is refused by its size; what follows on the connection is not misread.
    for request in requests:
        answers, _ = talk(shared, request + b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert all(answer.status in (200, 413, 400) for answer in answers) and len(answers) in (1, 2)
    answers, closed = talk(shared, b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 0\r\n\r\n")
    assert [answer.status for answer in answers] == [417] and closed


@pytest.mark.parametrize(
    "text", [b"%0d%0aSet-Cookie:%20a=b", b"%0d%0a%0d%0a<script>", b"<script>alert(1)</script>", b"%1b[31m"]
)
def test_b10_nothing_of_a_request_is_reflected(shared, text):
    [answer] = http1(shared, [b"GET /" + text + b" HTTP/1.1\r\nHost: a\r\nX: " + text + b"\r\n\r\n"])
    assert answer.status == 404 and "set-cookie" not in answer.headers
    for part in (text, text.replace(b"%0d%0a", b"\r\n")):
        assert part not in answer.body and part.decode() not in str(answer.headers)


def test_http_1_0(shared):
    body = logs(1, name=next(names)).SerializeToString()
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    kind = b"Content-Type: " + PROTOBUF.encode() + b"\r\n"
    answers, closed = talk(shared, b"POST /v1/logs HTTP/1.0\r\n" + kind + length + body)
    assert [answer.status for answer in answers] == [200] and closed
    answers, closed = talk(shared, (b"POST /v1/logs HTTP/1.0\r\nConnection: keep-alive\r\n" + kind + length + body) * 2)
    assert [answer.status for answer in answers] == [200, 200] and not closed
    answers, closed = talk(
        shared, b"POST /v1/logs HTTP/1.0\r\n" + kind + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert [answer.status for answer in answers] == [400] and closed


@pytest.mark.parametrize("shut", [True, False])
def test_half_a_request_stores_nothing_at_whatever_byte_it_ends(shared, shut):
    """Every cut of a request with a length and of a chunked one; the client closes one way, or both."""
    body = logs(1, name="smuggled").SerializeToString()  # the module's last check is that none of these is there
    whole = [
        START + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        START + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(body[:40]) + chunk(body[40:]) + b"0\r\n\r\n",
    ]
    for request in whole:
        for cut in range(1, len(request), 3 if shut else 1):
            with dial(shared) as sock:
                sock.sendall(request[:cut])
                if shut:
                    sock.shutdown(socket.SHUT_WR)
                    sock.settimeout(5)
                    heard = b""
                    while part := sock.recv(65536):
                        heard += part
                    assert b" 200 " not in heard
    assert shared.is_ready()
