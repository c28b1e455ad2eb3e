"""Calls to the system fail while the whole server runs, one after another: memory, files, folders. Whatever fails, the server
answers or says why not, keeps what it acknowledged, once, and works again when the fault is over. Kills at the n-th call as well.

`make test` takes a sample of n, for memory under the sanitizers; `make test-faults` (OTOLITH_FAULTS=all) takes every n.
"""

import errno
import gzip
import os
import time

import duckdb
import grpc
import httpx
import pytest

import shim as faults
from otlp import MAKERS, PROTOBUF, RESPONSES, SERVICES, TABLES, to_json
from shim import Shim

ALL = os.environ.get("OTOLITH_FAULTS") == "all"
pytestmark = pytest.mark.faults
ATTRIBUTES = {"logs": "LogAttributes", "traces": "SpanAttributes", "metrics": "Attributes"}
FOLDERS = {"logs": "logs", "traces": "traces", "metrics": "metrics/gauge"}
COUNT = 20
BATCHES = [(signal, f"{signal}-{i}") for i in range(3) for signal in MAKERS]
TRANSPORTS = ["protobuf", "json", "grpc"]
RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


class Story:
    """Requests over every transport, repeated byte for byte until each is acknowledged."""

    def __init__(self, server):
        self.server = server
        self.requests = {name: MAKERS[signal](COUNT, name=name) for signal, name in BATCHES}
        self.acked = set()
        self.refusals = []

    def send(self, give_up=30):
        """Ends early when the server is gone."""
        deadline = time.monotonic() + give_up
        for i, (signal, name) in enumerate(BATCHES):
            transport = TRANSPORTS[(i + i // 3) % 3]
            while name not in self.acked:
                if not self.server.running:
                    return
                assert time.monotonic() < deadline, f"{name} is never stored: {self.refusals[-3:]}\n{self.server.log}"
                refusal = getattr(self, transport)(signal, self.requests[name])
                if refusal is None:
                    self.acked.add(name)
                else:
                    self.refusals.append(refusal)
                    time.sleep(0.01)

    def protobuf(self, signal, request):
        return self.post(signal, request.SerializeToString(), {"Content-Type": PROTOBUF})

    def json(self, signal, request):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return self.post(signal, gzip.compress(to_json(request)), headers)

    def post(self, signal, body, headers):
        try:
            answer = httpx.post(f"{self.server.http}/v1/{signal}", content=body, headers=headers, timeout=20)
        except httpx.TransportError as error:
            return repr(error)
        if answer.status_code == 200:
            assert answer.content in (b"", b"{}", b'{"partialSuccess":{}}'), answer.content
            return None
        assert answer.status_code in (503, 429), f"HTTP {answer.status_code} is not retryable: {answer.text}"
        return answer.text

    def grpc(self, signal, request):
        with grpc.insecure_channel(self.server.grpc) as channel:
            call = channel.unary_unary(SERVICES[signal], lambda r: r.SerializeToString(), RESPONSES[signal].FromString)
            try:
                call(request, timeout=20)
                return None
            except grpc.RpcError as error:
                assert error.code() in RETRYABLE, f"{error.code()} is not retryable: {error.details()}"
                return f"{error.code()}: {error.details()}"

    def ask(self, give_up=60):
        """Rows by SQL, until there is an answer; None when the server is gone."""
        deadline = time.monotonic() + give_up
        while self.server.running:
            counts, problem = {}, None
            for signal in MAKERS:
                sql = f"SELECT {ATTRIBUTES[signal]}['name'] AS name, count(*) AS n FROM {TABLES[signal]} GROUP BY ALL"
                try:
                    answer = self.server.post("/api/v1/sql", sql.encode(), "application/sql", {"Accept": "application/json"})
                except httpx.TransportError as error:
                    problem = repr(error)
                    break
                if answer.status_code != 200:
                    assert answer.status_code in (500, 503), answer.text
                    problem = answer.text
                    break
                counts |= {(signal, row["name"]): row["n"] for row in answer.json()}
            if problem is None:
                return counts
            assert time.monotonic() < deadline, f"no query works any more: {problem}\n{self.server.log}"
            time.sleep(0.02)
        return None

    def in_files(self):
        return self.in_files_of(self.server.data)

    @staticmethod
    def in_files_of(data):
        found = {}
        for signal in MAKERS:
            if any((data / FOLDERS[signal]).rglob("*.parquet")):
                sql = (f"SELECT {ATTRIBUTES[signal]}['name'], count(*) FROM "
                       f"read_parquet('{data}/{FOLDERS[signal]}/**/*.parquet') GROUP BY ALL")
                found |= {(signal, name): n for name, n in duckdb.sql(sql).fetchall()}
        return found

    def check(self, counts):
        assert set(counts) <= set(BATCHES), f"rows that nobody sent: {set(counts) - set(BATCHES)}"
        for signal, name in BATCHES:
            stored = counts.get((signal, name), 0)
            assert stored in ({COUNT} if name in self.acked else {0, COUNT}), (name, stored, name in self.acked)


class Lives:
    """Servers on one folder: the first meets the fault, the second heals."""

    def __init__(self, server, build_folder, tmp_path_factory, has_past):
        folder = tmp_path_factory.mktemp("faults")
        self.shim = Shim(build_folder, folder)
        self.one = server("--flush-rows", "30", "--threads", "1", "--wal-segment-size", "4MiB", data=folder / "data", start=False)
        self.story = Story(self.one)
        if has_past:  # a log full of requests to recover
            self.one.args += ["--flush-rows", "100000"]
            self.one.start()
            self.story.send()
            self.one.kill()
            self.one.args = self.one.args[:-2]

    def start(self):
        """False when it did not come up."""
        self.one.wrapper = self.shim.wrapper
        try:
            self.one.start(ready=False)
        except RuntimeError:
            return False
        finally:
            self.one.wrapper = []
        deadline = time.monotonic() + 60
        while self.one.running and not self.one.is_ready():
            assert time.monotonic() < deadline, f"never ready:\n{self.one.log}"
            time.sleep(0.005)
        return self.one.running

    def first(self, ask=True):
        """How it ended: the exit status, or None when it was not there to be ended."""
        if self.start():
            self.story.send()
            if ask and self.one.running:
                counts = self.story.ask()
                if counts is not None:
                    self.story.check(counts)
        if self.one.process is None:
            return None
        self.one.process.terminate()
        status = self.one.process.wait(60)
        self.one.process = None
        return status

    def second(self):
        self.shim.disarm()
        self.one.start()
        self.story.check(self.story.ask())
        self.story.send()
        assert len(self.story.acked) == len(BATCHES)
        self.one.stop()
        self.story.check(self.story.in_files())
        bad = [p for p in self.one.data.rglob("*") if "corrupt" in p.name or "quarantine" in p.name or p.name.startswith(".upload")]
        assert not bad, bad


def numbers(calls, sample):
    return range(1, calls + 1) if ALL else range(1, calls + 1, calls // sample + 1)


@pytest.fixture
def lives(server, build_folder, tmp_path_factory):
    return lambda has_past: Lives(server, build_folder, tmp_path_factory, has_past)


def count_calls(lives, kinds, has_past):
    life = lives(has_past)
    life.shim.arm(kinds)
    assert life.first() == 0
    calls = life.shim.calls
    assert calls > 0 and not life.story.refusals
    return calls


def fail_at_each(lives, has_past, kinds, sample, **fault):
    for n in numbers(count_calls(lives, kinds, has_past), sample):
        life = lives(has_past)
        life.shim.arm(kinds, first=n, **fault)
        status = life.first()
        # It may give up, but says why; what it cannot bring into files stays in its log.
        assert status in (None, 0, 1), f"call {n}: it ended with {status}\n{life.one.log}"
        if status != 0:
            assert "error" in life.one.log or "otolith:" in life.one.log, f"call {n}: no word\n{life.one.log}"
        life.second()


PASTS = pytest.mark.parametrize("has_past", [False, True], ids=["fresh", "recovery"])
LONG = pytest.mark.timeout(14400 if ALL else 300)


@PASTS
@LONG
@pytest.mark.parametrize("length", [1, 25], ids=["one", "many"])
def test_any_allocation_of_the_program_and_its_libraries_may_fail(lives, has_past, length):
    fail_at_each(lives, has_past, faults.MEMORY | faults.MAP, 3, length=length, way=faults.STICKY, error=errno.ENOMEM)


@PASTS
@LONG
@pytest.mark.release
@pytest.mark.parametrize("kinds, error, length", [
    (faults.WRITE | faults.TRUNCATE, errno.EIO, 1),
    (faults.WRITE | faults.TRUNCATE | faults.FOLDER | faults.OPEN, errno.ENOSPC, 10),
    (faults.SYNC, errno.EIO, 1),
    (faults.RENAME | faults.REMOVE | faults.FOLDER, errno.EIO, 2),
    (faults.OPEN, errno.EMFILE, 3),
], ids=["write", "full disk", "sync", "names", "too many files"])
def test_any_change_of_a_file_may_fail(lives, has_past, kinds, error, length):
    fail_at_each(lives, has_past, kinds, 2, length=length, way=faults.STICKY, error=error)


@PASTS
@LONG
@pytest.mark.release
@pytest.mark.parametrize("way", [faults.KILL, faults.TORN], ids=["between calls", "within a write"])
def test_it_may_be_killed_at_any_change_of_a_file(lives, has_past, way):
    killed = 0
    for n in numbers(count_calls(lives, faults.CHANGES, has_past), 4):
        life = lives(has_past)
        life.shim.arm(faults.CHANGES, first=n, way=way)
        status = life.first(ask=False)
        assert status in (None, 0, -9), life.one.log
        killed += status != 0
        life.second()
    assert killed
