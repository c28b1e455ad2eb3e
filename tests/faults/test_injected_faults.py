"""Calls to the system fail while the whole server runs, one after another: memory, files, folders. Whatever fails, the server
answers or says why not, keeps what it acknowledged, once, and works again when the fault is over. Kills at the n-th call as well.

`make test` takes a sample of n, for memory under the sanitizers; `make test-faults` (OTOLITH_FAULTS=all) takes every n.
"""

import errno

import pytest

import shim as faults
from lives import ALL, Lives

pytestmark = pytest.mark.faults


@pytest.fixture
def lives(otolith_binary, build_folder, tmp_path, request):
    """lives(has_past) -> Lives. Their progress goes to the terminal."""
    made, said = [], [0]
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")

    def say(n, calls, failed):
        if n // 100 != said[0] // 100:
            said[0] = n
            terminal.write_line(f"{request.node.name}: {n} of {calls}, {failed} failed")

    def make(has_past):
        made.append(Lives(tmp_path, build_folder, has_past, request.node.name, say))
        return made[-1]

    yield make
    for one in made:
        one.remove()


def fail_at_each(lives, kinds, sample, **fault):
    def live(life, n):
        life.shim.arm(kinds, first=n, **fault)
        status = life.first()
        # It may give up, but says why; what it cannot bring into files stays in its log.
        assert status in (None, 0, 1), f"it ended with {status}"
        if status != 0:
            assert "error" in life.one.log or "otolith:" in life.one.log, f"it ended with {status}, without a word"
        life.second()

    assert lives.each(kinds, sample, live)


PASTS = pytest.mark.parametrize("has_past", [False, True], ids=["fresh", "recovery"])
LONG = pytest.mark.timeout(14400 if ALL else 300)


@PASTS
@LONG
@pytest.mark.parametrize("length", [1, 25], ids=["one", "many"])
def test_any_allocation_of_the_program_and_its_libraries_may_fail(lives, has_past, length):
    fail_at_each(lives(has_past), faults.MEMORY | faults.MAP, 3, length=length, way=faults.STICKY, error=errno.ENOMEM)


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
    fail_at_each(lives(has_past), kinds, 2, length=length, way=faults.STICKY, error=error)


@PASTS
@LONG
@pytest.mark.release
@pytest.mark.parametrize("way", [faults.KILL, faults.TORN], ids=["between calls", "within a write"])
def test_it_may_be_killed_at_any_change_of_a_file(lives, has_past, way):
    def live(life, n):
        life.shim.arm(faults.CHANGES, first=n, way=way)
        status = life.first(ask=False)
        assert status in (None, 0, -9), f"it ended with {status}"
        assert (status == 0) == (life.shim.hits == 0), f"it ended with {status} after {life.shim.hits} hits"
        life.second()

    assert lives(has_past).each(faults.CHANGES, 4, live)
