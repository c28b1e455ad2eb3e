"""One server for all tests of a file, where they need none of their own."""

import pytest

from harness import SANITIZER_REPORT, Server


@pytest.fixture(scope="module")
def shared(otolith_binary, tmp_path_factory):
    """A running server with default settings. It must still run, and have no sanitizer's report, at the end."""
    del otolith_binary  # only that it is there
    one = Server(tmp_path_factory.mktemp("shared")).start()
    yield one
    problems = []
    try:
        assert one.running, "it ended during the tests"
        one.stop()
    except AssertionError as problem:
        problems.append(str(problem))
    if SANITIZER_REPORT.search(one.log):
        problems.append(f"a sanitizer reported:\n{one.log}")
    assert not problems, "\n".join(problems)
