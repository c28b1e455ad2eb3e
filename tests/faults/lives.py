"""Lives of a server that meets a fault: what it is sent, what must be stored afterwards, and many such lives,
for each n.

With OTOLITH_FAULTS=all a test takes every n until no life reaches the n-th call any more. Then OTOLITH_FAULTS_JOBS
lives run side by side, in memory (/dev/shm), and OTOLITH_FAULTS_STATE names a folder that keeps which n passed: a run
that was cut off goes on there.
"""

import concurrent.futures
import gzip
import hashlib
import os
import pathlib
import re
import shutil
import tempfile
import threading
import time

import duckdb
import grpc
import httpx

from harness import PLAIN, SANITIZER_REPORT, Server, binary
from otlp import MAKERS, PROTOBUF, RESPONSES, SERVICES, TABLES, to_json
from shim import Shim, library

ALL = os.environ.get("OTOLITH_FAULTS") == "all"
JOBS = int(os.environ.get("OTOLITH_FAULTS_JOBS") or (2 * (os.cpu_count() or 1) if ALL else 1))
STATE = os.environ.get("OTOLITH_FAULTS_STATE") if ALL else None
ATTRIBUTES = {"logs": "LogAttributes", "traces": "SpanAttributes", "metrics": "Attributes"}
FOLDERS = {"logs": "logs", "traces": "traces", "metrics": "metrics/gauge"}
SMALL = ("--threads", "1", "--wal-segment-size", "4MiB")
COUNT = 20
BATCHES = [(signal, f"{signal}-{i}") for i in range(3) for signal in MAKERS]
TRANSPORTS = ["protobuf", "json", "grpc"]
RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
PER_NAME = {signal: f"SELECT '{signal}' AS signal, {ATTRIBUTES[signal]}['name'] AS name, count(*) AS n "
                    f"FROM {TABLES[signal]} GROUP BY ALL" for signal in MAKERS}
BEYOND = 8  # lives past the last counted call that the fault does not meet: the end
ENOUGH = 5  # failed lives
PER_THREAD = threading.local()


def reader():
    """A DuckDB for files, one a thread: making one costs more than what it reads here. It keeps nothing of files."""
    if not hasattr(PER_THREAD, "reader"):
        PER_THREAD.reader = duckdb.connect(config={"threads": 1, "enable_external_file_cache": False})
    return PER_THREAD.reader


def new_requests():
    return {name: MAKERS[signal](COUNT, name=name) for signal, name in BATCHES}


class Story:
    """Requests over every transport, repeated byte for byte until each is acknowledged."""

    def __init__(self, server, requests=None, acked=()):
        self.server = server
        self.requests = requests or new_requests()
        self.acked = set(acked)
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
            answer = httpx.post(f"{self.server.http}/v1/{signal}", content=body, headers=headers, timeout=20,
                                verify=PLAIN)
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

    def ask(self, queries=tuple(PER_NAME.values()), give_up=60):
        """Rows by SQL, until there is an answer to each query; None when the server is gone."""
        deadline = time.monotonic() + give_up
        while self.server.running:
            counts, problem = {}, None
            for sql in queries:
                try:
                    accept = {"Accept": "application/json"}
                    answer = self.server.post("/api/v1/sql", sql.encode(), "application/sql", accept)
                except httpx.TransportError as error:
                    problem = repr(error)
                    break
                if answer.status_code != 200:
                    assert answer.status_code in (500, 503), f"HTTP {answer.status_code}: {answer.text}"
                    problem = answer.json()["error"]["message"] if answer.content else "no memory for words"
                    break
                counts |= {(row["signal"], row["name"]): row["n"] for row in answer.json()}
            if problem is None:
                return counts
            assert time.monotonic() < deadline, f"no query works any more: {problem}\n{self.server.log}"
            time.sleep(0.02)
        return None

    def ask_at_once(self):
        return self.ask([" UNION ALL ".join(f"({sql})" for sql in PER_NAME.values())])

    def in_files(self):
        return self.in_files_of(self.server.data)

    @staticmethod
    def in_files_of(data):
        found = {}
        for signal in MAKERS:
            if any((data / FOLDERS[signal]).rglob("*.parquet")):
                sql = (f"SELECT {ATTRIBUTES[signal]}['name'], count(*) FROM "
                       f"read_parquet('{data}/{FOLDERS[signal]}/**/*.parquet') GROUP BY ALL")
                found |= {(signal, name): n for name, n in reader().execute(sql).fetchall()}
        return found

    def check(self, counts):
        assert set(counts) <= set(BATCHES), f"rows that nobody sent: {set(counts) - set(BATCHES)}"
        for signal, name in BATCHES:
            stored = counts.get((signal, name), 0)
            expected = {COUNT} if name in self.acked else {0, COUNT}
            assert stored in expected, f"{name}: {stored} rows, acknowledged: {name in self.acked}"


class Life:
    """Two servers on one folder, one after the other: the first meets the fault, the second heals."""

    def __init__(self, folder, build_folder, requests, past=None, acked=()):
        folder.mkdir()
        if past:
            shutil.copytree(past, folder / "data")
        self.folder, self.shim = folder, Shim(build_folder, folder)
        self.one = Server(folder, ("--flush-rows", "30", *SMALL), data=folder / "data")
        self.story = Story(self.one, requests, acked)

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
        self.story.check(self.story.ask_at_once())
        self.story.send()
        assert len(self.story.acked) == len(BATCHES), f"the second server ended:\n{self.one.log}"
        self.one.stop()
        self.story.check(self.story.in_files())
        names = [p.name for p in self.one.data.rglob("*")]
        bad = [name for name in names if "corrupt" in name or "quarantine" in name or name.startswith(".upload")]
        assert not bad, f"left behind: {bad}"

    def end(self):
        if self.one.process is not None:
            self.one.kill()
        assert not SANITIZER_REPORT.search(self.one.log), f"a sanitizer reported:\n{self.one.log}"


class Ledger:
    """Which n passed, in a file that belongs to these very programs and tests; without STATE nothing is kept."""

    def __init__(self, name, build_folder):
        self.lock, self.passed, self.path = threading.Lock(), set(), None
        if STATE is None:
            return
        what = hashlib.sha256()
        programs = [binary(), binary().parent / "otolith-query", library(build_folder)]
        for path in [*programs, *sorted(pathlib.Path(__file__).parent.glob("*.py"))]:
            what.update(path.read_bytes())
        self.path = pathlib.Path(STATE) / build_folder.name / (re.sub(r"\W+", "-", name).strip("-") + ".txt")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        head = f"programs {what.hexdigest()}"
        lines = self.path.read_text(encoding="ascii").splitlines() if self.path.exists() else []
        if lines[:1] == [head]:
            self.passed = {int(line.split()[0]) for line in lines[1:] if line[:1].isdigit()}
        else:
            self.path.write_text(head + "\n", encoding="ascii")

    def note(self, line):
        with self.lock:
            if self.path:
                with open(self.path, "a", encoding="ascii") as file:
                    file.write(f"{line}\n")


class Lives:
    """Lives that begin alike: on a fresh folder, or on one whose log is full of requests to recover."""

    def __init__(self, folder, build_folder, has_past, name, say):
        self.kept, self.build_folder, self.name, self.say = folder, build_folder, name, say
        in_memory = ALL and os.access("/dev/shm", os.W_OK)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="otolith-faults-", dir="/dev/shm" if in_memory else folder))
        self.requests, self.acked, self.past = new_requests(), set(), None
        self.lock, self.count = threading.Lock(), 0
        if has_past:
            self.make_past()

    def make_past(self):
        (self.folder / "past").mkdir()
        self.past = self.folder / "past/data"
        one = Server(self.folder / "past", ("--flush-rows", "100000", *SMALL), data=self.past)
        story = Story(one.start(), self.requests)
        try:
            story.send()
        finally:
            one.kill()
        self.acked = story.acked

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, live):
        """Calls live(life) with a new life; the folder of one that fails is kept."""
        with self.lock:
            self.count += 1
            folder = self.folder / str(self.count)
        life = Life(folder, self.build_folder, self.requests, self.past, self.acked)
        try:
            try:
                live(life)
            finally:
                life.end()
        except Exception as error:
            shutil.copytree(folder, self.kept / folder.name)
            raise AssertionError(f"{error}\nfolder: {self.kept / folder.name}\nlog:\n{life.one.log[-6000:]}") from error
        finally:
            shutil.rmtree(folder)
        return life

    def calls(self, kinds):
        """How many calls of these kinds a life makes that meets no fault."""
        def live(life):
            life.shim.arm(kinds)
            status = life.first()
            assert status == 0 and not life.story.refusals, f"ended with {status}, refused: {life.story.refusals}"
            assert life.shim.calls > 0, "no call was counted"
        return self.run(live).shim.calls

    def each(self, kinds, sample, live):
        """live(life, n) for a sample of the calls, or for every n until no life comes that far.

        Returns how many met their fault.
        """
        calls = self.calls(kinds)
        ledger = Ledger(self.name, self.build_folder)
        numbers = self.every(ledger) if ALL else iter(range(1, calls + 1, calls // sample + 1))
        return self.take(numbers, calls, ledger, live)

    @staticmethod
    def every(ledger):
        n = 0
        while True:
            n += 1
            if n not in ledger.passed:
                yield n

    def take(self, numbers, calls, ledger, live):
        done = {"met": set(ledger.passed), "missed": set(), "failed": {}}

        def one(n):
            try:
                hits = self.run(lambda life: live(life, n)).shim.hits
            except AssertionError as error:
                ledger.note(f"failed {n}")
                done["failed"][n] = str(error)
                return
            if hits:
                ledger.note(n)
            done["met" if hits else "missed"].add(n)

        def work():
            while len(done["failed"]) < ENOUGH and len([n for n in done["missed"] if n > calls]) < BEYOND:
                with self.lock:
                    n = next(numbers, None)
                if n is None:
                    return
                one(n)
                if ALL:
                    self.say(n, calls, len(done["failed"]))

        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            for worker in [pool.submit(work) for _ in range(JOBS)]:
                worker.result()
        not_met = sorted(n for n in done["missed"] if n < max(done["met"], default=0))
        summary = (f"{len(done['met'])} met, last {max(done['met'], default=0)}; not met before it: {not_met}; "
                   f"failed: {sorted(done['failed'])}")
        ledger.note(f"end: {summary}")
        failures = [f"\n\ncall {n}: {text}" for n, text in sorted(done["failed"].items())]
        assert not failures, summary + "".join(failures)
        return len(done["met"])
