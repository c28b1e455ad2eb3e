"""More comes than goes into files: who is refused is refused by the head of the request, and nothing breaks."""

import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import threading

import pytest

from exchange import Http1Reader, Http2, dial, head, http1_request
from otlp import PROTOBUF, SERVICES, grpc_frame, logs

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # of waitpid: threads, too
LARGE_ROWS = 3000
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


class StoppedFlusher:
    """The server's flusher thread, and only it, stands still until `go`."""

    def __init__(self, server):
        tasks = pathlib.Path(f"/proc/{server.pid}/task").iterdir()
        [self.thread] = [int(task.name) for task in tasks if (task / "comm").read_text() == "oto-flush\n"]
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long] * 4
        if self._trace(SEIZE) or self._trace(INTERRUPT):
            pytest.skip("threads cannot be stopped here (ptrace is not allowed)")
        server.wait_for(lambda: self._state() == "t", what="the thread's stop")

    def _trace(self, request):
        return self.libc.ptrace(request, self.thread, 0, 0)

    def _state(self):
        return pathlib.Path(f"/proc/{self.thread}/stat").read_text().rsplit(")", 1)[1].split()[0]

    def go(self):
        if self._trace(DETACH) != 0:  # the server is dead, and its process stays until the tracer has seen that
            os.waitpid(self.thread, WALL)
            raise AssertionError("the server died while its flusher stood still")


def post(server, body):
    answer = server.post("/v1/logs", body, PROTOBUF)
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200


class Fillers:
    """Clients with large requests, of which one always waits for room: then the next ones are refused."""

    def __init__(self, server, count=4):
        self.server, self.rows, self.lock = server, 0, threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        body = logs(LARGE_ROWS, name=f"filler {number}" + "x" * 700).SerializeToString()
        while not post(self.server, body):
            pass
        with self.lock:
            self.rows += LARGE_ROWS

    def end(self):
        for thread in self.threads:
            thread.join()


@pytest.fixture
def full(server):
    """A server whose segments are all full, and one large request waits: (server, stopped flusher, rows it has)."""
    one = server("--flush-rows", "10", "--threads", "1", "--memory-limit", "48MiB", "--request-bytes-max", "8MiB")
    rows, number = 0, 0
    with contextlib.ExitStack() as after:
        flusher = StoppedFlusher(one)
        going = threading.Event()

        def go():
            if not going.is_set():
                going.set()
                flusher.go()

        after.callback(go)
        while post(one, logs(10, name=f"first {number}").SerializeToString()):
            rows, number = rows + 10, number + 1
            assert number < 100, "a flusher that stands still has taken everything"
        fillers = Fillers(one)
        after.callback(fillers.end)
        after.callback(go)
        yield one, go, fillers, rows


def early_answer_http1(server, body):
    """Sends heads alone until one is answered before its body; the answer, and the socket with the body still owed."""
    request = http1_request("/v1/logs", body)
    for _ in range(200):
        sock = dial(server, 30)
        sock.sendall(request[: -len(body)])
        sock.settimeout(0.2)
        reader = Http1Reader(sock)
        try:
            answer = reader.answer()
            sock.settimeout(30)
            return answer, sock, reader
        except (TimeoutError, socket.timeout):  # it was let in between two of the large ones
            sock.close()
    raise AssertionError("no request was refused by its head")


@pytest.mark.parametrize("rows", [100, 1500], ids=["30 KB", "2 MB"])
def test_http1_is_refused_by_the_head_and_goes_on(full, rows):
    one, go, fillers, stored = full
    body = logs(rows, name="late" + "y" * (100 if rows == 100 else 800)).SerializeToString()
    answer, sock, reader = early_answer_http1(one, body)
    with sock:
        assert answer.status == 503 and answer.headers["retry-after"] == "1"
        assert answer.headers.get("connection") != "close"
        assert answer.retry_info.retry_delay.seconds == 1
        sock.sendall(body)  # what it had begun to send; then the next request on the same connection
        sock.sendall(http1_request("/health", method="GET", kind=None))
        assert reader.answer().status == 200
        go()
        while True:  # retried as told, it succeeds
            sock.sendall(http1_request("/v1/logs", body))
            again = reader.answer()
            assert again.status in (200, 503)
            if again.status == 200:
                break
    fillers.end()
    expected = stored + fillers.rows + rows
    assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": expected}]
    assert one.metric("otolith_requests_refused_memory_total") > 0


def early_answer_http2(connection, body):
    path = SERVICES["logs"]
    for _ in range(200):
        stream = connection.start([*head(path), *GRPC], end=False)
        connection.quiet(0.2)
        if stream not in connection.open:
            return connection.answers[stream]
        connection.send(stream, body)  # it was let in
        connection.finish(stream)
    raise AssertionError("no request was refused by its head")


def test_grpc_is_refused_by_the_head_and_goes_on(full):
    one, go, fillers, stored = full
    bodies = grpc_frame(logs(1, name="a").SerializeToString())
    rows = 0
    with Http2(one) as connection:
        answer = early_answer_http2(connection, bodies)
        assert answer.code == 14 and answer.retry_info.retry_delay.seconds == 1
        assert answer.reset in (None, 0)
        assert connection.request("/health", method="GET").status == 200
        go()
        late = grpc_frame(logs(7, name="late").SerializeToString())
        while (again := connection.call(SERVICES["logs"], late)).code == 14:
            pass
        assert again.code == 0
        rows += 7
        assert connection.goaway is None
    fillers.end()
    [row] = one.sql("SELECT count(*) AS n FROM logs WHERE LogAttributes['name'] <> 'a'")
    assert row["n"] == stored + fillers.rows + rows


def test_who_waits_is_taken_when_there_is_room(server):
    """A short stop is waited for: nobody is refused, and nothing is sent twice."""
    one = server("--flush-rows", "10", "--threads", "1")
    flusher = StoppedFlusher(one)
    outcomes = []

    def send(number):
        outcomes.append(one.post("/v1/logs", logs(10, name=f"n{number}").SerializeToString(), PROTOBUF).status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    one.wait_for(lambda: len(outcomes) >= 5, what="the first answers")
    flusher.go()
    for thread in threads:
        thread.join()
    accepted = outcomes.count(200)
    assert accepted + outcomes.count(503) == 12  # 503 only where this test itself was held up
    assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": 10 * accepted}]


def test_exports_of_one_connection_that_wait_when_the_server_ends_are_refused(server):
    """Each of them, and the answer to the last ends the connection."""
    one = server("--flush-rows", "10", "--threads", "1")
    flusher = StoppedFlusher(one)
    try:
        number = 0
        while post(one, logs(10, name=f"first {number}").SerializeToString()):
            number += 1
            assert number < 100, "a flusher that stands still has taken everything"
        with dial(one, 30) as sock:
            waiting = [http1_request("/v1/logs", logs(1, name=name).SerializeToString()) for name in "ab"]
            sock.sendall(b"".join(waiting))
            assert one.is_ready()  # asked of the same thread: it has both by now
            one.process.send_signal(signal.SIGTERM)
            reader = Http1Reader(sock)
            first, last = reader.answer(), reader.answer()
            assert first.status == last.status == 503 and reader.at_end()
            assert "connection" not in first.headers and last.headers["connection"] == "close"
    finally:
        flusher.go()
    one.stop()
