"""The server is killed at the N-th call of each kind that changes the disk, for many N, while it flushes, recovers and shuts down:
afterwards every acknowledged row is there, and every row once. strace does the killing."""
import os
import re
import subprocess
import time

import duckdb
import httpx
import pytest

from otlp import MAKERS, PROTOBUF, TABLES

# How many of a kind are tried; `make test-kill` tries them all.
CALLS = {"rename": 5, "unlink": 2, "fdatasync": 5, "fsync": 5, "pwrite64": 3, "write": 2, "ftruncate": 2, "fallocate": 1, "openat": 2}
ALL = int(os.environ.get("OTOLITH_KILL_ROUNDS", "0")) > 100
ATTRIBUTES = {"logs": "LogAttributes", "traces": "SpanAttributes", "metrics": "Attributes"}
FOLDERS = {"logs": "logs", "traces": "traces", "metrics": "metrics/gauge"}
BATCHES = [(signal, f"{signal}-{i}", 20) for i in range(3) for signal in MAKERS]


def strace(*expressions):
    """-D: the server stays our child, strace its grandchild."""
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", *(f"-e{e}" for e in expressions)]


class Story:
    """Requests of 20 items each, acknowledged or not. Rows flush at 30, so that the first flush runs while others come in."""

    def __init__(self, server):
        self.server = server
        self.bodies = {name: MAKERS[signal](count, name=name).SerializeToString() for signal, name, count in BATCHES}
        self.acked = set()

    def send(self):
        """Every batch until it is acknowledged; ends early when the server is gone."""
        for signal, name, _ in BATCHES:
            while name not in self.acked:
                try:
                    answer = self.server.post("/v1/" + signal, self.bodies[name], PROTOBUF)
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    self.acked.add(name)
                else:  # the disk cannot keep up with so many flushes
                    assert answer.status_code == 503, answer.text
                    time.sleep(0.02)

    def check(self, counts):
        for signal, name, count in BATCHES:
            stored = counts.get((signal, name), 0)
            assert stored in ({count} if name in self.acked else {0, count}), (name, stored, name in self.acked)

    def by_sql(self):
        return {(signal, row["name"]): row["n"] for signal in MAKERS for row in self.server.sql(
            f"SELECT {ATTRIBUTES[signal]}['name'] AS name, count(*) AS n FROM {TABLES[signal]} GROUP BY ALL")}

    def in_files(self):
        found = {}
        for signal in MAKERS:
            sql = (f"SELECT {ATTRIBUTES[signal]}['name'], count(*) FROM "
                   f"read_parquet('{self.server.data}/{FOLDERS[signal]}/**/*.parquet') GROUP BY ALL")
            found |= {(signal, name): n for name, n in duckdb.sql(sql).fetchall()}
        return found


def start_under(one, wrapper):
    """0: it was killed before it listened."""
    one.wrapper = wrapper
    try:
        one.start(ready=False)
        return 1
    except RuntimeError:
        return 0
    finally:
        one.wrapper = []


def end(one):
    """SIGTERM, unless it is dead already; how it ended."""
    if one.process is None:
        return -9
    one.process.terminate()
    status = one.process.wait(60)
    one.process = None
    return status


def wait_until_ready_or_dead(one):
    deadline = time.monotonic() + 60
    while one.running and not one.is_ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def heal_and_check(one, story):
    one.start()
    story.check(story.by_sql())
    story.send()
    assert len(story.acked) == len(BATCHES)
    one.stop()
    story.check(story.in_files())
    assert not [name for name in os.listdir(one.data / "wal") if "corrupt" in name or "quarantine" in name]


def run(server, tmp_path_factory, wrapper, killed_before):
    """One life under the wrapper, then one that heals; the exit status of the first."""
    folder = tmp_path_factory.mktemp("data") / "data"
    one = server("--flush-rows", "30", "--threads", "1", "--wal-segment-size", "4MiB", data=folder, start=False)
    story = Story(one)
    if killed_before:  # a log full of requests to recover
        one.args += ["--flush-rows", "100000"]
        one.start()
        story.send()
        one.kill()
        one.args = one.args[:-2]
    if start_under(one, wrapper):
        wait_until_ready_or_dead(one)
        story.send()
    status = end(one)
    assert status in (0, -9), one.log
    if status == 0:
        assert len(story.acked) == len(BATCHES)
    heal_and_check(one, story)
    return status


def calls_of_one_life(server, tmp_path_factory, killed_before):
    """How often each call is made when nobody kills: the most of any one thread, as strace counts."""
    trace = tmp_path_factory.mktemp("trace") / "trace"
    wrapper = ["strace", "-D", "-f", "-qq", "-o", str(trace), "-etrace=" + ",".join(CALLS)]
    assert run(server, tmp_path_factory, wrapper, killed_before) == 0
    counts = {}
    for line in trace.read_text().splitlines():
        if found := re.match(r"(\d+) +(\w+)\(", line):
            counts[found.groups()] = counts.get(found.groups(), 0) + 1
    return {call: max([n for (_, name), n in counts.items() if name == call], default=0) for call in CALLS}


@pytest.mark.release
@pytest.mark.kill
@pytest.mark.timeout(7200 if ALL else 300)
@pytest.mark.parametrize("killed_before", [False, True], ids=["flush and shutdown", "recovery"])
def test_a_crash_at_any_call_loses_and_doubles_nothing(server, tmp_path_factory, killed_before):
    assert subprocess.run(["strace", "-V"], stdout=subprocess.DEVNULL).returncode == 0, "strace is needed: apt-get install strace"
    counts = calls_of_one_life(server, tmp_path_factory, killed_before)
    assert counts["rename"] and counts["fdatasync"] and counts["unlink"], counts
    killed = 0
    for call, count in counts.items():
        step = 1 if ALL else -(-count // CALLS[call]) or 1
        for n in range(1, count + 1, step):
            wrapper = strace(f"trace={call}", f"inject={call}:signal=KILL:when={n}")
            killed += run(server, tmp_path_factory, wrapper, killed_before) == -9
    assert killed > 10, counts
