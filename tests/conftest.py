"""Fixtures shared by tests/e2e, tests/conformance and tests/faults."""

import os
import pathlib
import subprocess

import pytest

from harness import ROOT, SANITIZER_REPORT, Server, binary


@pytest.fixture(scope="session")
def otolith_binary() -> pathlib.Path:
    """The program under test: OTOLITH_BIN, else build/otolith."""
    path = binary()
    assert path.exists(), f"{path} is not built: run make"
    return path


@pytest.fixture(scope="session")
def build_folder(otolith_binary) -> pathlib.Path:
    """Where the binary's own test programs lie (tests/, fuzz/)."""
    return pathlib.Path(os.environ.get("OTOLITH_BUILD") or otolith_binary.parent)


@pytest.fixture
def server(otolith_binary, tmp_path, request):
    """Starts servers: server(*args, data=…, env=…, listen=…, start=True) -> Server. What still runs
    when the test ends is stopped and must exit 0; a sanitizer's report in any log fails the test."""
    servers = []

    def make(*args, start=True, **kwargs) -> Server:
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        one = Server(folder, args, **kwargs)
        servers.append(one)
        return one.start() if start else one

    yield make
    failed = getattr(request.node, "call_failed", False)
    problems = []
    for one in servers:
        if one.process is not None:
            try:
                one.stop()
            except AssertionError as problem:
                problems.append(str(problem))
        if one.log_path.exists() and SANITIZER_REPORT.search(one.log):
            problems.append(f"a sanitizer reported:\n{one.log}")
        if failed and one.log_path.exists():
            print(f"---- log of {' '.join(one.args) or 'the server'}\n{one.log[-20000:]}")
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.call_failed = outcome.get_result().failed


@pytest.fixture(scope="session")
def judge():
    """judge('otelcol') -> the path that tools/judges/otelcol prints, installed when it is missing."""
    paths = {}

    def find(name: str) -> pathlib.Path:
        if name not in paths:
            done = subprocess.run(
                [ROOT / "tools/judges" / name], stdout=subprocess.PIPE, text=True, check=True
            )
            paths[name] = pathlib.Path(done.stdout.strip())
        return paths[name]

    return find
