"""What a failure looks like: one form for the paths of our own, google.rpc.Status where an exporter may have knocked."""

import select
import socket

import httpx

from harness import PLAIN
from otlp import JSON, PROTOBUF, logs, to_json

SQL = ("content-type", "application/sql")
OWN = [
    ("POST", "/api/v1/sql", [SQL], b"SELEC 1", 400, "invalid"),
    ("POST", "/api/v1/sql", [("content-type", JSON)], b'{"sql": 1}', 400, "invalid"),
    ("POST", "/api/v1/sql", [SQL], b"COPY logs TO 'x'", 403, "denied"),
    ("POST", "/api/v1/sql", [SQL], b"SELECT 1 --" + b" " * (1 << 20), 413, "too large"),
    ("POST", "/api/v1/sql", [("content-type", PROTOBUF)], b"", 415, "invalid"),
    ("POST", "/api/v1/sql", [("content-type", "text/plain; not=application/sql")], b"SELECT 1", 415, "invalid"),
    ("POST", "/api/v1/sql", [("content-type", "application/sqlx")], b"SELECT 1", 415, "invalid"),
    ("POST", "/api/v1/sql", [("origin", "http://evil.example"), SQL], b"SELECT 1", 403, "denied"),
    ("GET", "/api/v1/sql", [], None, 405, "unsupported"),
    ("POST", "/api/v2/sql", [("content-type", PROTOBUF)], b"SELECT 1", 404, "not found"),
    ("POST", "/api/v1/sql?format=csv", [SQL], b"SELECT 1", 400, "invalid"),
    ("GET", "/spans?operation=x", [], None, 400, "invalid"),
    ("GET", "/spans?limit=0", [], None, 400, "invalid"),
    ("GET", "/spans?limit=99999999999999999999999", [], None, 400, "invalid"),
    ("POST", "/spans", [("content-type", PROTOBUF)], b"", 405, "unsupported"),
    ("GET", "/metrics", [("host", "evil.example")], None, 403, "denied"),
]
STATUS = [
    ("POST", "/v1/logs", [("content-type", JSON)], b"{", 400, 3),
    ("POST", "/v1/log", [("content-type", JSON)], b"{}", 404, 5),
    ("POST", "/", [("content-type", JSON)], b"{}", 405, 12),
    ("POST", "/health", [("content-type", JSON)], b"{}", 405, 12),
]


def ask(one, method, path, headers, body):
    return httpx.request(method, one.http + path, headers=headers, content=body, timeout=60, verify=PLAIN)


def test_paths_of_our_own_fail_in_one_form(server):
    one = server()
    for method, path, headers, body, status, name in OWN:
        answer = ask(one, method, path, headers, body)
        where = (method, path, headers, answer.status_code, answer.text)
        assert answer.status_code == status and answer.headers["content-type"] == JSON, where
        assert list(answer.json()) == ["error"], where
        error = answer.json()["error"]
        assert error["status"] == name and error["message"], where
        assert set(error) <= {"status", "message", "line", "column"}, where
        assert ("allow" in answer.headers) == (status == 405), where


def test_a_failure_names_what_would_be_taken(server):
    one = server()
    for method, path, headers, body, words in [
        ("POST", "/api/v1/sql", [SQL], b"SELECT 1 --" + b" " * (1 << 20), "the request body is larger than 1048576 bytes"),
        ("GET", "/api/v1/sql?query=SELECT+1", [], None, "this path takes POST, not that method"),
        ("POST", "/spans", [("content-type", JSON)], b"", "this path takes GET, HEAD, not that method"),
        ("GET", "/api/v1", [], None, "there is nothing at this path; OTLP goes to /v1/logs, /v1/traces, /v1/metrics, SQL to /api/v1/sql"),
    ]:
        assert ask(one, method, path, headers, body).json()["error"]["message"] == words
    answer = ask(one, "GET", "/v1/logs", [], None)
    assert answer.json()["message"] == "this path takes POST, not that method" and answer.headers["allow"] == "POST"


def test_what_an_exporter_may_have_meant_fails_as_otlp_does(server):
    one = server()
    for method, path, headers, body, status, code in STATUS:
        answer = ask(one, method, path, headers, body)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.json()["code"] == code and answer.json()["message"], (method, path, answer.text)


def test_a_listener_without_the_role_says_so_in_the_paths_form(server):
    one = server(listen=("127.0.0.1:0,ingest", "127.0.0.1:0,query"))
    ingest, query = (f"http://{address}" for address in one.addresses)
    refused = httpx.get(ingest + "/spans", verify=PLAIN)
    assert refused.status_code == 403 and refused.json()["error"]["status"] == "denied", refused.text
    refused = httpx.post(query + "/v1/logs", content=to_json(logs()), headers={"content-type": JSON}, verify=PLAIN)
    assert refused.status_code == 403 and refused.json()["code"] == 7, refused.text


def test_too_many_queries_are_refused_for_a_while(server):
    one = server("--query-workers", "1")
    host, port = one.addresses[-1].split(":")
    sql = b"SELECT sum(sin(range)) FROM range(1000000000000)"
    request = (b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sql\r\n"
               b"Content-Length: %d\r\n\r\n%s" % (len(sql), sql))
    asking = []
    try:
        while len(asking) < 200 and not select.select(asking, [], [], 0)[0]:
            asking.append(socket.create_connection((host, int(port))))
            asking[-1].sendall(request)
        answered = select.select(asking, [], [], 30)[0]
        answer = answered[0].recv(65536)
    finally:
        for peer in asking:
            peer.close()
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b" 503 " in head and b"retry-after: 1" in head, answer
    assert b'{"error":{"status":"unavailable","message":"64 queries are waiting already' in answer
    assert one.sql("SELECT 1 AS one") == [{"one": 1}]
