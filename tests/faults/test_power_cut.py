"""The power fails while the server works: whatever part of the unsynced changes the disk kept, all that was acknowledged is there
after recovery, once, and nothing else than what was sent.

A real life is recorded below the file system's interface (fault_shim.c), then cut at every step in many ways (power_cut.py), and a
server is started on what is left. `make test` takes a sample of the cuts, `make test-faults` (OTOLITH_FAULTS=all) all.
"""

import os
import random
import shutil
import subprocess

import pytest

import power_cut
import shim as faults
from otlp import MAKERS
from shim import Shim
from lives import BATCHES, COUNT, Story

ALL = os.environ.get("OTOLITH_FAULTS") == "all"
pytestmark = pytest.mark.faults
SAMPLE = 20


class RecordedStory(Story):
    """Notes each answer in the record."""

    def __init__(self, server, record):
        super().__init__(server)
        self.record = record

    def send(self, give_up=30):
        for signal, name in BATCHES:
            if name not in self.acked:
                assert self.protobuf(signal, self.requests[name]) is None or self.wait(signal, name)
                self.acked.add(name)
                power_cut.note(self.record, name)

    def wait(self, signal, name):
        self.server.wait_for(lambda: self.protobuf(signal, self.requests[name]) is None, what=name)
        return True


def kill_while_it_flushes(one, shim):
    """By the shim, between two entries of the record; from outside only when nothing goes on any more."""
    shim.arm(faults.CHANGES, first=random.randint(1, 8), way=faults.KILL)
    try:
        one.process.wait(3)
    except subprocess.TimeoutExpired:
        pass
    one.kill()
    shim.disarm()


def record_lives(server, build_folder, folder, arguments, large):
    """Two lives, the first one killed while it flushes; both on a folder that does not exist before."""
    shim = Shim(build_folder, folder, record_below=folder)
    one = server("--flush-rows", "30", "--threads", "1", "--wal-segment-size", "4MiB", *arguments, data=folder / "data", start=False)
    story = RecordedStory(one, shim.record)
    if large:  # so that segments of the log fill up and are used again
        for signal, name in BATCHES:
            if signal == "logs":
                for record in story.requests[name].resource_logs[0].scope_logs[0].log_records:
                    record.body.string_value = random.randbytes(75_000).hex()
    one.wrapper = shim.wrapper
    one.start()
    story.send()
    kill_while_it_flushes(one, shim)
    story.requests = {f"again-{name}": MAKERS[signal](COUNT, name=f"again-{name}") for signal, name in BATCHES}
    one.start()
    second = dict(story.requests)
    for (signal, _), (name, request) in zip(BATCHES, second.items()):
        story.requests[name] = request
        assert story.protobuf(signal, request) is None or story.wait(signal, name)
        power_cut.note(shim.record, name)
    one.stop()
    one.wrapper = []
    return shim.record


def check(one, folder, cut, must_keep):
    """Starts on what the cut left; its last files hold what they must."""
    where, acked = cut.where, cut.notes
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    power_cut.build(cut.tree, folder)
    one.data = folder / "data"
    try:
        one.start()
        one.stop()
    except (RuntimeError, AssertionError) as error:
        raise AssertionError(f"{where}: {error}") from None
    counts = {}
    for (signal, name), count in Story.in_files_of(one.data).items():
        counts[name] = count
    sent = {name for _, name in BATCHES} | {f"again-{name}" for _, name in BATCHES}
    assert set(counts) <= sent, f"{where}: rows that nobody sent"
    for name in sent:
        stored = counts.get(name, 0)
        expected = {COUNT} if name in acked and must_keep else {0, COUNT}
        assert stored in expected, f"{where}: {name}: {stored} rows, acknowledged: {name in acked}\n{one.log[-3000:]}"
    assert not [p for p in one.data.rglob("*") if "quarantine" in p.name], where


@pytest.mark.release
@pytest.mark.timeout(14400 if ALL else 300)
@pytest.mark.parametrize("arguments, large, must_keep", [((), False, True), ((), True, True), (("--durability", "interval:1000"), False, False)],
                         ids=["fsync", "recycled log", "interval"])
def test_a_power_cut_at_any_moment_loses_nothing_acknowledged(server, build_folder, tmp_path_factory, arguments, large, must_keep):
    folder = tmp_path_factory.mktemp("recorded")
    record = record_lives(server, build_folder, folder, arguments, large)
    cuts = power_cut.cuts(record, str(folder), 2) if ALL and not large else power_cut.sample(record, str(folder), 1000 if ALL else SAMPLE)
    one, tried = server("--flush-rows", "30", "--threads", "1", start=False), 0
    for cut in cuts:
        check(one, folder / "left", cut, must_keep)
        tried += 1
    assert tried >= SAMPLE / 2


@pytest.mark.release
@pytest.mark.timeout(14400 if ALL else 300)
def test_what_a_killed_server_had_not_synced_is_safe_before_files_are_made_of_it(server, build_folder, tmp_path_factory):
    """The next server finds it in the page cache, and brings it into files; meanwhile the power fails."""
    folder = tmp_path_factory.mktemp("recorded")
    shim = Shim(build_folder, folder, record_below=folder)
    one = server("--threads", "1", "--wal-segment-size", "4MiB", "--durability", "interval:60000", data=folder / "data", start=False)
    story = RecordedStory(one, shim.record)
    one.wrapper = shim.wrapper
    one.start()
    story.send()
    one.kill()
    first = len(list(power_cut.read_record(shim.record)))
    one.start()
    one.stop()
    one.wrapper, tried = [], 0
    steps = enumerate(power_cut.read_record(shim.record))
    marked = next(at for at, step in steps if at >= first and step.path.endswith("/checkpoint.tmp"))
    for cut in power_cut.sample(shim.record, str(folder), 1000 if ALL else 2 * SAMPLE, first=first):
        check(one, folder / "left", cut, must_keep=cut.at >= marked)
        tried += 1
    assert tried >= SAMPLE
