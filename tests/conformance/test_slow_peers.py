"""Peers that send, or read, as slowly as they can (slowloris and its kin): each is timed out."""

import resource
import select
import socket
import time

import hpack
import psutil
import pytest

from exchange import Http2, RawHttp2, dial, frame, grpc_call, head, names, stored
from otlp import PROTOBUF, SERVICES, grpc_frame, logs
from test_bad_bodies import Bystander

START = b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
H2 = RawHttp2.PREFACE + frame("SETTINGS") + frame("SETTINGS", 1)
POST = b"\x83\x86\x44\x08/v1/logs\x01\x09localhost\x0f\x10\x16application/x-protobuf"
CALL = (
    b"\x83\x86\x44\x35/opentelemetry.proto.collector.logs.v1.LogsService/Ex"
    b"\x01\x09localhost\x0f\x10\x10application/grpc"
)

# What is sent at once, what dribbles behind it byte by byte, and what is heard at the end.
SLOW = {
    "a head": (b"", START, b"HTTP/1.1 408 "),
    "a head's headers": (START, b"X: a\r\n" * 100, b"HTTP/1.1 408 "),
    "a body": (START + b"Content-Length: 100000\r\n\r\n", b"\x0a\0" * 100, b"HTTP/1.1 503 "),
    "chunks": (START + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 100, b"HTTP/1.1 503 "),
    "one chunk's size": (START + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 14, b"HTTP/1.1 503 "),
    "a body that never begins": (START + b"Content-Length: 100000\r\n\r\n", b"", b"HTTP/1.1 503 "),
    "a body that is waited for": (
        START + b"Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n",
        b"",
        b"HTTP/1.1 503 ",
    ),
    "an unwanted body": (
        b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n",
        b"x" * 100,
        b"HTTP/1.1 404 ",
    ),
    "a preface": (b"PRI * HT", b"", b""),
    "one byte": (b"P", b"", b""),
    "a header block": (H2 + frame("HEADERS", 0, 1, POST), frame("CONTINUATION", 0, 1, b"") * 3, b""),
    "half a HEADERS frame": (H2 + frame("HEADERS", 4, 1, POST)[:20], b"", b""),
    "a body in DATA": (H2 + frame("HEADERS", 4, 1, POST), frame("DATA", 0, 1, b"x") * 100, b"503"),
    "settings without an end": (RawHttp2.PREFACE + frame("SETTINGS"), b"", b"\0\0\0\x04"),
}


def test_slow_senders_are_timed_out_and_others_served(shared):
    """Ten of each kind at once, a byte each half second. Limits: 10 s for a head, then 512 bytes a second after 5 s."""
    name = next(names)
    sockets, ended = {}, {}
    for _ in range(10):
        for kind, (first, _, _) in SLOW.items():
            sock = dial(shared)
            sock.sendall(first)
            sock.setblocking(False)
            sockets[sock] = [kind, 0, b""]
    end = time.monotonic() + 45
    with Bystander(shared) as bystander:
        while sockets and time.monotonic() < end:
            for sock, state in list(sockets.items()):
                dribble = SLOW[state[0]][1]
                try:
                    sock.send(dribble[state[1] : state[1] + 1])
                except OSError:
                    pass
                state[1] += 1
            until = time.monotonic() + 0.5
            while (left := until - time.monotonic()) > 0:
                for sock in select.select(list(sockets), [], [], left)[0]:
                    state = sockets[sock]
                    try:
                        part = sock.recv(65536)
                    except OSError:
                        part = b""
                    state[2] += part
                    # A stream is timed out, its connection lives on.
                    if not part or (state[0] == "a body in DATA" and b"503" in state[2]):
                        ended.setdefault(state[0], []).append(state[2])
                        del sockets[sock]
                        sock.close()
    assert not sockets, {kind for kind, _, _ in sockets.values()}
    for kind, (_, _, wanted) in SLOW.items():
        assert len(ended[kind]) == 10, kind
        assert all(wanted in heard for heard in ended[kind]), (kind, ended[kind][0])
    assert bystander.sent > 50 and not bystander.failed
    assert shared.metric("otolith_connection_timeouts_total") >= 10 * (len(SLOW) - 2)
    assert stored(shared, "logs", name) == 0
    assert grpc_call(shared, SERVICES["logs"], grpc_frame(b"")).code == 0


@pytest.mark.long
@pytest.mark.release
@pytest.mark.parametrize("kind", ["HTTP/1.1", "HTTP/2 window", "HTTP/2 socket"])
def test_peers_that_never_read_are_given_up(shared, kind):
    """An answer of many megabytes to one who reads nothing: 30 s without progress, and it is over. Memory stays."""

    def resident():
        return psutil.Process(shared.pid).memory_info().rss

    query = b"SELECT repeat('x', 1000) AS x FROM range(200000)"
    before, timeouts = resident(), shared.metric("otolith_connection_timeouts_total")
    if kind == "HTTP/1.1":
        sock = dial(shared, 60)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(
            b"POST /api/v1/sql HTTP/1.1\r\nHost: a\r\nContent-Type: application/sql\r\nContent-Length: %d\r\n\r\n"
            % len(query)
            + query
        )
    else:
        raw = RawHttp2(shared)
        sock = raw.sock
        window = b"\0\4\0\0\0\0" if kind == "HTTP/2 window" else b"\0\4\x7f\xff\xff\xff"
        raw.send(frame("SETTINGS", 0, 0, window) + frame("WINDOW_UPDATE", 0, 0, b"\x7f\xff\0\0"))
        raw.send(
            frame("HEADERS", 4, 1, hpack.Encoder().encode([*head("/api/v1/sql"), ("content-type", "application/sql")]))
            + frame("DATA", 1, 1, query)
        )
    try:
        with Bystander(shared) as bystander:
            deadline = time.monotonic() + 60
            while shared.metric("otolith_connection_timeouts_total") == timeouts:
                assert time.monotonic() < deadline, "it was never given up"
                assert resident() < before + (64 << 20)
                time.sleep(0.5)
        assert not bystander.failed
        if kind == "HTTP/2 window":
            one = raw.until("RST_STREAM")
            assert one and one[2] == 1
    finally:
        sock.close()


@pytest.mark.long
def test_thousands_of_idle_connections(server):
    """They cost little, and others are served; those past the limit are closed at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    one = server("--connections-max", "3000", "--threads", "2")
    sockets = []
    try:
        for _ in range(4000):
            sockets.append(dial(one))
        time.sleep(1)
        poll = select.poll()
        for sock in sockets:
            poll.register(sock, select.POLLIN)
        assert 900 <= len(poll.poll(0)) <= 2500
        for sock in sockets[3000:]:
            sock.close()
        for sock in sockets[:200]:
            sock.close()
        one.wait_for(lambda: served(one), what="an answer")
        assert one.metric("otolith_connections_refused_total") >= 900
    finally:
        for sock in sockets:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served(server):
    try:
        with Http2(server) as connection:
            return (
                connection.request("/v1/logs", logs(1).SerializeToString(), [("content-type", PROTOBUF)]).status == 200
            )
    except (OSError, EOFError):
        return False
