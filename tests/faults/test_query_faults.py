"""Calls to the system fail within otolith-query, one after another: its own memory, that of DuckDB and other libraries, opening and
reading files. A query is then answered as ever or refused with a reason, never with other rows; our own code does not end the process
for want of memory; and the next query is answered.

`make test` takes a sample of the calls; `make test-faults` (OTOLITH_FAULTS=all) takes each of our own code, and more of DuckDB's.
"""

import errno
import os
import shlex
import signal
import subprocess

import httpx
import pytest

import shim as faults
from harness import PLAIN, Server, binary, has_ended
from lives import ALL
from otlp import MAKERS, PROTOBUF

pytestmark = [pytest.mark.faults, pytest.mark.timeout(14400 if ALL else 300)]

START = 1_790_000_000_000_000_000
ROUNDS, COUNT = 5, 40
REFUSED = (500, 503)
# Some parts of DuckDB take a lack of memory for something else, or for its limit (422), or keep a lock (504).
OF_DUCKDB = (400, 403, 422, 504)
TRACE = "00112233445566778899aabbccddeeff"
# Name, SQL, what is accepted, parameters. Together they go through all of otolith-query.
QUESTIONS = [
    ("a trace", f"SELECT * FROM otel_traces WHERE TraceId = '{TRACE}' ORDER BY SpanId", "application/json", None),
    ("a trace, for people", f"SELECT * FROM traces WHERE TraceId = '{TRACE}' ORDER BY SpanId", "text/plain", None),
    ("an attribute", "SELECT SpanName, SpanId FROM otel_traces WHERE SpanAttributes['number'] = '7' ORDER BY ALL", "text/csv", None),
    ("parameters", "SELECT Body, length(SpanId) AS size FROM otel_logs WHERE LogAttributes['name'] = ? AND Timestamp >= "
                   "make_timestamp(?::BIGINT) ORDER BY Body", "application/x-ndjson", ["logs-2", START // 1000]),
    ("groups", "SELECT t.SpanName, count(*) AS n, max(t.Duration) AS longest FROM otel_traces t JOIN otel_logs l ON t.SpanAttributes['number'] = "
               "l.LogAttributes['number'] GROUP BY ALL ORDER BY ALL", "application/json", None),
    ("arrow", "SELECT MetricName, Attributes, Value FROM otel_metrics_gauge ORDER BY ALL", "application/vnd.apache.arrow.stream", None),
    ("parquet", "SELECT SpanName, SpanAttributes FROM otel_traces ORDER BY SpanName, SpanAttributes['number']",
     "application/vnd.apache.parquet", None),
    ("views of others", "SELECT * FROM traces WHERE SpanAttributes['number'] = '3' ORDER BY SpanId", "application/x-ndjson", None),
    ("plan", "EXPLAIN SELECT count(*) FROM range(5)", "text/plain", None),
]
# Asked before each of them: the same views, other columns and files.
OTHER = ("between", "SELECT t.SpanName, l.Body FROM traces t, logs l, metrics m WHERE t.SpanAttributes['number'] = '1' AND l.LogAttributes['number'] "
         "= '1' AND m.Attributes['number'] = '1' ORDER BY ALL", "text/csv", None)
# Asked after each of them: refused before any file is looked at, for its own reason.
WRONG = ("wrong", "SELEC 1", "application/json", None)


class Asked:
    """A server with files and rows in memory, whose query process meets faults."""

    def __init__(self, folder, build_folder):
        self.shim = faults.Shim(build_folder, folder, haste=1)
        program = binary().parent / "otolith-query"
        script = folder / "otolith-query"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(self.shim.wrapper)} {shlex.quote(str(program))} "$@"\n', encoding="ascii")
        script.chmod(0o755)
        self.server = Server(folder, ("--flush-rows", "60", "--query-workers", "1", "--query-threads", "1", "--query-idle", "1h",
                                      "--query-timeout", "20s"),
                             env={"OTOLITH_QUERY_PROGRAM": str(script)}).start()
        self.fill()
        self.right = {question[0]: self.ask(question) for question in [*QUESTIONS, OTHER]}
        assert all(content for content, _ in self.right.values()), self.right

    def fill(self):
        for i in range(ROUNDS):
            for kind, make in MAKERS.items():
                request = make(COUNT, name=f"{kind}-{i}", start=START + i * 10**9)
                if kind == "traces":
                    for span in request.resource_spans[0].scope_spans[0].spans[::20]:
                        span.trace_id = bytes.fromhex(TRACE)
                answer = self.server.post("/v1/" + kind, request.SerializeToString(), PROTOBUF)
                assert answer.status_code == 200, answer.text
        self.server.wait_for(lambda: len(list(self.server.data.glob("traces/**/*.parquet"))) >= 2, what="files")

    def ask(self, question, refused=REFUSED):
        """Its answer and nothing, or nothing and why."""
        _, sql, accept, parameters = question
        document = {"sql": sql} | ({} if parameters is None else {"parameters": parameters})
        try:
            answer = httpx.post(f"{self.server.http}/api/v1/sql", json=document, headers={"Accept": accept}, timeout=60, verify=PLAIN)
        except httpx.RemoteProtocolError as error:  # it was on its way already
            return None, repr(error)
        if answer.status_code == 200:
            return answer.content, None
        assert answer.status_code in refused, f"HTTP {answer.status_code}: {answer.text}"
        return None, answer.json()["error"]["message"]

    def end_process(self):
        """The server notices with the next query, so its end must be complete: all threads."""
        found = subprocess.run(["pgrep", "-P", str(self.server.pid), "otolith-query"], stdout=subprocess.PIPE, text=True)
        if found.stdout and not has_ended(int(found.stdout)):
            os.kill(int(found.stdout), signal.SIGKILL)
            self.server.wait_for(lambda: has_ended(int(found.stdout)), what="its end")

    @property
    def deaths(self):
        return self.server.log.count(" died with status ") + self.server.log.count(" did not start (exit status")


@pytest.fixture(scope="module")
def asked(otolith_binary, build_folder, tmp_path_factory):
    one = Asked(tmp_path_factory.mktemp("query-faults"), build_folder)
    yield one
    one.shim.disarm()
    one.server.stop()


def fail_at_each(asked, question, is_first, sample, kinds, refused=REFUSED, may_die=False, **fault):
    """The n-th call fails, then every one works: for each n of the sample, 0: all. is_first: of a new process' life."""
    def run(n):
        between = asked.ask(OTHER)
        assert between == asked.right[OTHER[0]], f"before call {n}: {between}"
        if is_first:
            asked.end_process()
        asked.shim.arm(kinds, first=n, **fault)
        try:
            return asked.ask(question, refused)
        finally:
            asked.shim.disarm()

    assert run(0)[0] == asked.right[question[0]][0]
    calls, deaths, refusals = asked.shim.calls, asked.deaths, 0
    numbers = range(1, calls + 1, max(1, calls // sample) if sample else 1)
    for n in numbers:
        what = f"{question[0]}, call {n} of {calls}"
        content, refusal = run(n)
        assert content is not None or refusal, f"{what}: refused without a word"
        assert content in (None, asked.right[question[0]][0]), f"{what}: another answer: {content[:2000]}"
        assert asked.ask(WRONG, (400,))[1], what
        assert may_die or asked.deaths == deaths, f"{what}: {refusal}\n{asked.server.log[-2000:]}"
        again = asked.ask(question)
        assert again == asked.right[question[0]], f"after {what}, {refusal}: {again}"
        refusals += content is None
    print(f"{calls} calls, {len(numbers)} failed, {refusals} refused")


FIRST = pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
QUESTION = pytest.mark.parametrize("question", QUESTIONS, ids=[q[0] for q in QUESTIONS])


@FIRST
@QUESTION
@pytest.mark.parametrize("length", [1, 25], ids=["one", "many"])
def test_any_allocation_of_our_own_may_fail(asked, question, is_first, length):
    fail_at_each(asked, question, is_first, 0 if ALL else 3, faults.MEMORY, length=length, error=errno.ENOMEM, own=True)


@FIRST
@QUESTION
def test_any_file_may_not_be_opened_or_read(asked, question, is_first):
    fail_at_each(asked, question, is_first, 0 if ALL else 3, faults.OPEN | faults.READ, error=errno.EIO)


@FIRST
@QUESTION
def test_any_allocation_of_duckdb_may_fail(asked, question, is_first):
    fail_at_each(asked, question, is_first, 1000 if ALL else 2, faults.MEMORY | faults.MAP, REFUSED + OF_DUCKDB, may_die=True,
                 error=errno.ENOMEM)
