"""Starts the real server for a test and asks it things; tests/conftest.py has the fixtures."""

import os
import pathlib
import re
import signal
import ssl
import subprocess
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTENING = re.compile(r"^listening on (\S+:\d+)", re.MULTILINE)
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error: |WARNING: ThreadSanitizer")
# For httpx, which else reads the certificates of every authority for each request.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# No server outlives a killed test run. Not by a preexec_fn: gRPC's threads do not survive a fork.
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"]


def plain_environment(**more: str) -> dict[str, str]:
    """The environment without what would be settings, or steers the tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith("OTOLITH_")} | more


def binary() -> pathlib.Path:
    return pathlib.Path(os.environ.get("OTOLITH_BIN") or ROOT / "build/otolith")


def has_ended(pid):
    """Nothing of it holds a file any more: gone, or a zombie without threads."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def crc32c(data):
    """As the log and its files have it (docs/WAL.md)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class SqlError(Exception):
    def __init__(self, status: int, body):
        super().__init__(f"HTTP {status}: {body}")
        self.status, self.body = status, body


class Server:
    """One `otolith serve`. `http` and `grpc` are its two listeners (each serves every protocol)."""

    def __init__(
        self,
        folder: pathlib.Path,
        args=(),
        data=None,
        env=None,
        listen=("127.0.0.1:0", "127.0.0.1:0"),
        wrapper=(),
    ):
        self.wrapper = list(wrapper)  # a program that runs the server in its own place
        self.folder, self.args, self.listen = folder, [str(a) for a in args], list(listen)
        self.data = pathlib.Path(data or folder / "data")
        self.log_path = folder / "server.log"
        self.env = plain_environment(**(env or {}))
        self.process: subprocess.Popen | None = None
        self.addresses: list[str] = []

    # Start and stop

    def start(self, ready=True, timeout=60) -> "Server":
        assert self.process is None, "already running"
        begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = [*DIE_WITH_PARENT, *self.wrapper, binary(), "serve", "--data", self.data]
        for address in self.listen:
            command += ["--listen", address]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.args],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + timeout
        while True:
            self.addresses = LISTENING.findall(self._log_from(begin))
            if len(self.addresses) >= len(self.listen):
                break
            self._check_starting(deadline)
        if ready:
            while not self.is_ready():
                self._check_starting(deadline)
        return self

    def _check_starting(self, deadline):
        status = self.process.poll()
        if status is not None:
            self.process = None
            raise RuntimeError(f"the server ended with {status} while starting:\n{self.log}")
        if time.monotonic() > deadline:
            self.kill()
            raise RuntimeError(f"the server did not start in time:\n{self.log}")
        time.sleep(0.01)

    def is_ready(self) -> bool:
        try:
            return httpx.get(self.http + "/ready", timeout=5, verify=PLAIN).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, timeout=60) -> None:
        """SIGTERM: the server drains and must exit 0."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"SIGTERM: still running after {timeout} s:\n{self.log}"
            ) from None
        assert status == 0, f"SIGTERM: exit {status}:\n{self.log}"

    def kill(self) -> None:
        """SIGKILL, as `kill -9` or the machine's end would."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self, **kwargs) -> "Server":
        if self.process is not None:
            self.stop()
        return self.start(**kwargs)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid

    # What it said

    @property
    def log(self) -> str:
        return self._log_from(0)

    def _log_from(self, offset: int) -> str:
        with open(self.log_path, "rb") as log:
            log.seek(offset)
            return log.read().decode("utf-8", "replace")

    # Where and what to ask

    @property
    def grpc(self) -> str:
        """host:port of the first listener, for gRPC channels."""
        return self.addresses[0]

    @property
    def http(self) -> str:
        """Base URL of the second listener."""
        return "http://" + self.addresses[-1]

    def get(self, path: str, **kwargs) -> httpx.Response:
        return httpx.get(self.http + path, timeout=30, verify=PLAIN, **kwargs)

    def post(
        self, path: str, content: bytes, content_type: str, headers=None, **kwargs
    ) -> httpx.Response:
        return httpx.post(
            self.http + path,
            content=content,
            timeout=60,
            verify=PLAIN,
            headers={"Content-Type": content_type, **(headers or {})},
            **kwargs,
        )

    def sql(self, query: str, parameters=None) -> list[dict]:
        """The rows of POST /api/v1/sql as JSON; SqlError when it answers anything but 200."""
        if parameters is None:
            request = {"content": query.encode(), "headers": {"Content-Type": "application/sql"}}
        else:
            request = {"json": {"sql": query, "parameters": parameters}, "headers": {}}
        request["headers"]["Accept"] = "application/json"
        answer = httpx.post(self.http + "/api/v1/sql", timeout=120, verify=PLAIN, **request)
        if answer.status_code != 200:
            try:
                raise SqlError(answer.status_code, answer.json())
            except ValueError:
                raise SqlError(answer.status_code, answer.text) from None
        return answer.json()

    def metrics(self) -> dict[str, float]:
        """GET /metrics: `name` or `name{label="value"}` as printed, to its value."""
        answer = self.get("/metrics")
        assert answer.status_code == 200, answer.text
        rows = (
            line.rsplit(" ", 1)
            for line in answer.text.splitlines()
            if line and not line.startswith("#")
        )
        return {name: float(value) for name, value in rows}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that carry these labels."""
        parts = [f'{label}="{value}"' for label, value in labels.items()]
        rows = [
            value
            for key, value in self.metrics().items()
            if key.split("{")[0] == name and all(part in key for part in parts)
        ]
        assert rows, f"no series {name}{labels}"
        return sum(rows)

    def wait_for(self, condition, timeout=30, what="the condition"):
        """Calls condition() until it answers something true, and returns that."""
        deadline = time.monotonic() + timeout
        while True:
            answer = condition()
            if answer:
                return answer
            assert self.running, f"the server ended while waiting for {what}:\n{self.log}"
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
            time.sleep(0.02)
