"""`otolith export`: stored rows at another OTLP endpoint, each as it was sent."""

import collections
import concurrent.futures
import gzip
import http.server
import io
import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import httpx
import pyarrow.parquet as pq
import pytest

import otlp
from harness import binary, plain_environment
from otlp_random import REQUESTS, Maker, frames, row_counts

TABLES = ["logs", "traces"] + [
    "metrics_" + kind for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary")
]
METHODS = {"logs": "logs.v1.LogsService", "traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService"}
BY_METHOD = {f"/opentelemetry.proto.collector.{name}/Export": signal for signal, name in METHODS.items()}


def command(server, to, *args) -> list:
    return [binary(), "export", "--data", server.data, "--to", to, *args]


@pytest.fixture
def home(tmp_path):
    return plain_environment(XDG_STATE_HOME=str(tmp_path / "state"))


@pytest.fixture
def export(home):
    """export(server, url, …) -> the finished process."""

    def run(server, to, *args, status=0):
        done = subprocess.run(
            command(server, to, *args), capture_output=True, text=True, timeout=200, env=home, check=False
        )
        assert done.returncode == status, done.stderr
        return done

    return run


def send(server, messages, path):
    for message in messages:
        answer = server.post(f"/v1/{path}", message.SerializeToString(), "application/x-protobuf")
        assert answer.status_code == 200, answer.content


def fill(server, count=30, seed=7) -> dict[str, list]:
    """Random requests of every shape for all signals."""
    maker = Maker(seed)
    sent = {path: [maker.request(path) for _ in range(count)] for path in ("logs", "traces", "metrics")}
    for path, messages in sent.items():
        send(server, messages, path)
    return sent


def table_rows(server, table) -> collections.Counter:
    """The multiset of a table's rows, all columns; where OTLP had no time, without its stand-in."""
    answer = httpx.post(
        server.http + "/api/v1/sql",
        content=f"SELECT * FROM otel_{table}",
        timeout=120,
        headers={"Content-Type": "application/sql", "Accept": "application/vnd.apache.parquet"},
    )
    assert answer.status_code == 200, answer.text
    rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    for row in rows:
        for name in ("Timestamp", "ObservedTimestamp", "TimeUnix"):
            if name in row and row[name + "NanoOfMicro"] is None:
                row[name] = None
    return collections.Counter(map(repr, rows))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# Servers

TRANSPORTS = {
    "grpc": lambda one: ["grpc://" + one.grpc],
    "grpc, not compressed": lambda one: [
        "http://" + one.grpc,
        "--protocol",
        "grpc",
        "--compression",
        "none",
        "--in-flight",
        "20",
    ],
    "http": lambda one: [one.http],
    "http, zstd, one at a time": lambda one: [one.http + "/", "--compression", "zstd", "--in-flight", "1"],
}


def test_all_columns_of_all_tables_arrive(server, export):
    one = server()
    fill(one, count=40)
    rows = {table: table_rows(one, table) for table in TABLES}
    assert all(rows.values())
    for transport, arguments in TRANSPORTS.items():
        two = server()
        done = export(one, *arguments(two))
        assert done.stdout.startswith(f"sent {sum(counts.total() for counts in rows.values())} rows in ")
        for table in TABLES:
            assert rows[table] == table_rows(two, table), f"{transport}: {table}"
        two.stop()


def test_files_without_a_server(server, export):
    one, two = server(), server()
    fill(one, seed=8)
    rows = {table: table_rows(one, table) for table in TABLES}
    one.stop()
    export(one, two.http)
    assert rows == {table: table_rows(two, table) for table in TABLES}


def test_nothing_to_send(server, export):
    one = server()
    assert export(one, "http://127.0.0.1:1").stdout == "sent 0 rows in 0 requests, 0.0 MiB\n"


COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 4, tls: {{cert_file: {cert}, key_file: {key}}}}}
      http: {{endpoint: "127.0.0.1:{http}", tls: {{cert_file: {cert}, key_file: {key}}}}}
exporters:
  file/logs: {{path: {folder}/logs, format: proto}}
  file/traces: {{path: {folder}/traces, format: proto}}
  file/metrics: {{path: {folder}/metrics, format: proto}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [file/logs]}}
    traces: {{receivers: [otlp], exporters: [file/traces]}}
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
"""


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_a_collector_behind_tls_gets_what_was_sent(server, export, judge, tmp_path, scheme):
    one = server()
    sent = fill(one, seed=9)
    cert, key, ports = tmp_path / "cert.pem", tmp_path / "key.pem", {"grpc": free_port(), "http": free_port()}
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            key,
            "-out",
            cert,
            "-days",
            "2",
            "-subj",
            "/CN=collector",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    config = tmp_path / "collector.yaml"
    config.write_text(COLLECTOR.format(cert=cert, key=key, folder=tmp_path, **ports))
    with open(tmp_path / "collector.log", "wb") as log:
        process = subprocess.Popen([judge("otelcol"), "--config", config], stdout=log, stderr=log)
    try:
        one.wait_for(lambda: b"Everything is ready" in (tmp_path / "collector.log").read_bytes(), what="the collector")
        url = f"{scheme}://127.0.0.1:{ports['grpc' if scheme == 'grpcs' else 'http']}"
        refused = export(one, url, status=1)
        assert "certificate" in refused.stderr, "whom nobody vouches for is not talked to"
        export(one, url, "--ca-file", cert)
        for path, messages in sent.items():  # the same once more, with nothing of ours between
            for message in messages:
                answer = httpx.post(
                    f"https://127.0.0.1:{ports['http']}/v1/{path}",
                    content=message.SerializeToString(),
                    headers={"Content-Type": "application/x-protobuf"},
                    verify=ssl.create_default_context(cafile=cert),
                    timeout=60,
                )
                assert answer.status_code == 200, answer.content
    finally:
        process.terminate()
        process.wait(30)
    for path, messages in sent.items():
        received = [REQUESTS[path].FromString(frame) for frame in frames((tmp_path / path).read_bytes())]
        rows = row_counts(path, received)
        assert rows.total() == 2 * row_counts(path, messages).total()
        assert [
            row for row, count in rows.items() if count % 2
        ] == [], f"{path}: not as it comes from the sender itself"


# Endpoints that do not take everything at once


class Endpoint:
    """What an endpoint was sent, and what it answers first: a list of functions, one a request; then it takes all."""

    def __init__(self, answers=()):
        self.answers, self.lock = list(answers), threading.Lock()
        self.received = {path: [] for path in REQUESTS}
        self.headers, self.times = [], []

    def next_answer(self, headers):
        with self.lock:
            self.headers.append(headers)
            self.times.append(time.monotonic())
            return self.answers.pop(0) if self.answers else None

    def take(self, path, body):
        with self.lock:
            self.received[path].append(REQUESTS[path].FromString(body))


@pytest.fixture
def http_endpoint():
    """http_endpoint(answers) -> (URL, Endpoint); an answer is (status, headers, body), or None to hang up."""
    servers = []

    def make(answers):
        endpoint = Endpoint(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                answer = endpoint.next_answer(dict(self.headers))
                if answer == "hang up":
                    self.close_connection = True
                    return
                status, headers, content = answer or (200, {}, b"")
                if status == 200:
                    endpoint.take(self.path.removeprefix("/v1/"), body)
                self.send_response(status)
                for name, value in {"Content-Type": "application/x-protobuf", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=one.serve_forever, daemon=True).start()
        servers.append(one)
        return f"http://127.0.0.1:{one.server_port}", endpoint

    yield make
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.fixture
def grpc_endpoint():
    """grpc_endpoint(answers) -> (URL, Endpoint); an answer is a function of the context
    that aborts or returns bytes."""
    servers = []

    def make(answers):
        endpoint = Endpoint(answers)

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                path = BY_METHOD.get(details.method)
                return path and grpc.unary_unary_rpc_method_handler(
                    lambda body, context: self.answer(path, body, context)
                )

            def answer(self, path, body, context):
                answer = endpoint.next_answer(dict(context.invocation_metadata()))
                content = answer(context) if answer else b""
                endpoint.take(path, body)
                return content

        one = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        one.add_generic_rpc_handlers([Handler()])
        port = one.add_insecure_port("127.0.0.1:0")
        one.start()
        servers.append(one)
        return f"grpc://127.0.0.1:{port}", endpoint

    yield make
    for one in servers:
        one.stop(0)


def retry_info(seconds) -> bytes:
    """google.rpc.Status with a RetryInfo."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    info = field(1, bytes([1 << 3, seconds]))
    return b"\x08\x08" + field(3, field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, info))


def refuse(code, details=None):
    def answer(context):
        if details:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(code, "not now")

    return answer


def test_http_requests_are_repeated_until_they_are_taken(server, export, http_endpoint):
    one = server()
    sent = fill(one, count=20)
    url, endpoint = http_endpoint([(503, {"Retry-After": "1"}, b""), (429, {}, b""), "hang up", (502, {}, b"")])
    done = export(
        one, url, "--in-flight", "1", "--compression", "none", "--header", "api-key=s3cret", "--header", "X-B: c=d"
    )
    for path, messages in sent.items():
        assert row_counts(path, endpoint.received[path]) == row_counts(path, messages)
    # A connection that breaks before an answer begins is opened anew by libcurl itself.
    assert "3 tries repeated" in done.stdout and done.stderr.count("again in") == 3
    assert endpoint.times[1] - endpoint.times[0] >= 1, "before the time that it asked for"
    assert all(headers["api-key"] == "s3cret" and headers["X-B"] == "c=d" for headers in endpoint.headers)
    assert all(headers["User-Agent"].startswith("otolith/") for headers in endpoint.headers)


def test_grpc_requests_are_repeated_until_they_are_taken(server, export, grpc_endpoint):
    one = server()
    sent = fill(one, count=20)
    url, endpoint = grpc_endpoint(
        [
            refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(1)),
            refuse(grpc.StatusCode.UNAVAILABLE),
            refuse(grpc.StatusCode.ABORTED),
        ]
    )
    done = export(one, url, "--in-flight", "1", "--header", "api-key=s3cret")
    for path, messages in sent.items():
        assert row_counts(path, endpoint.received[path]) == row_counts(path, messages)
    assert "3 tries repeated" in done.stdout and "UNAVAILABLE: not now" in done.stderr
    assert endpoint.times[1] - endpoint.times[0] >= 1, "before the time that it asked for"
    assert all(headers["api-key"] == "s3cret" for headers in endpoint.headers)


def partial(rejected, text) -> bytes:
    inner = bytes([1 << 3, rejected, 2 << 3 | 2, len(text)]) + text
    return bytes([1 << 3 | 2, len(inner)]) + inner


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_partial_success_is_reported(server, export, grpc_endpoint, http_endpoint, transport):
    one = server()
    send(one, [otlp.logs(10)], "logs")
    body = partial(3, b"three are too old")
    url, _ = grpc_endpoint([lambda context: body]) if transport == "grpc" else http_endpoint([(200, {}, body)])
    done = export(one, url, status=1)
    assert done.stdout.startswith("sent 10 rows") and "refused 3 rows: three are too old" in done.stderr


def test_partial_success_of_runs_that_broke_off_is_reported_to_the_end(server, export, http_endpoint, tmp_path):
    """The rows are not sent again, so nobody else will tell."""
    one, taken_in_part, refused = server(), (200, {}, partial(3, b"three are too old")), (400, {}, b"")
    send(one, [otlp.logs(10)], "logs")
    send(one, [otlp.traces(10)], "traces")
    url, _ = http_endpoint([taken_in_part, refused, refused, (200, {}, partial(2, b"two more"))])
    line = (one, url, "--in-flight", "1", "--state", tmp_path / "mine")
    for _ in range(2):  # the second takes nothing
        assert "refused 3 rows: three are too old" in export(*line, status=1).stderr
    done = export(*line, status=1)
    assert done.stdout.startswith("sent 20 rows") and "refused 5 rows: three are too old" in done.stderr
    assert not (tmp_path / "mine").exists()


def test_rows_that_are_sent_again_are_not_refused_yet(server, export, http_endpoint, tmp_path):
    """Those of a stretch of time that was not all taken: what the endpoint says the next time counts."""
    one = server()
    send(one, [otlp.logs(5000), otlp.logs(5000)], "logs")
    url, _ = http_endpoint([(200, {}, partial(3, b"three are too old")), (400, {}, b"")])
    line = (one, url, "--in-flight", "1", "--state", tmp_path / "mine")
    assert "refused 3 rows: three are too old" in export(*line, status=1).stderr
    assert "refused" not in export(*line).stderr


def test_what_is_refused_for_good_ends_it(server, export, grpc_endpoint):
    one = server()
    send(one, [otlp.logs(10)], "logs")
    assert "HTTP 404" in export(one, one.http + "/nowhere", status=1).stderr
    assert "UNIMPLEMENTED" in export(one, "grpc://" + one.grpc + "/nowhere", status=1).stderr
    url, endpoint = grpc_endpoint(
        [refuse(grpc.StatusCode.PERMISSION_DENIED), refuse(grpc.StatusCode.RESOURCE_EXHAUSTED)]
    )
    assert "PERMISSION_DENIED: not now" in export(one, url, status=1).stderr
    assert "RESOURCE_EXHAUSTED: not now" in export(one, url, status=1).stderr, "it says no time"
    assert export(one, url).stdout.startswith("sent 10 rows") and len(endpoint.received["logs"]) == 1


def test_it_gives_up_in_time(server, export):
    one = server()
    send(one, [otlp.logs(10)], "logs")
    done = export(one, f"http://127.0.0.1:{free_port()}", "--give-up", "1500ms", status=1)
    assert "given up after" in done.stderr and "connect" in done.stderr


@pytest.mark.parametrize(
    "args, words",
    [
        ([], "--to URL is needed"),
        (["--to", "127.0.0.1:4317"], "is no endpoint"),
        (["--to", "http://"], "is no endpoint"),
        (["--to", "http://x", "--signal", "profiles"], "is not one of logs|traces|metrics"),
        (["--to", "http://x", "--header", "novalue"], "is no header"),
        (["--to", "http://x", "--header", "a=b\nc: d"], "is no header"),
        (["--to", "http://x", "--from", "yesterday"], "is not a time"),
        (["--to", "http://x", "--from", "2026-02-30"], "is not a time"),
        (["--to", "http://x", "--in-flight", "65"], "1 to 64"),
        (["--to", "http://x", "--where", "Nonsense = 1", "--signal", "logs"], "otel_logs: Binder error: Ref"),
        (
            ["--to", "http://x", "--where", "SpanName = 'a'"],
            "otel_logs, of which --where is asked unless --signal leaves it out: Binder error: Referenced column \"SpanName\"",
        ),
        (["--to", "http://x", "--where", "1 = 1); DROP TABLE otel_logs; SELECT (1"], "one statement"),
    ],
)
def test_wrong_use(server, home, args, words):
    one = server()
    done = subprocess.run(
        [binary(), "export", "--data", one.data, *args], capture_output=True, text=True, env=home, check=False
    )
    assert done.returncode == 2 and words in done.stderr and done.stdout == "", done.stderr


# What is sent

DAY = 86_400 * 10**9
NOON = 1_767_268_800 * 10**9  # 2026-01-01T12:00:00Z


def test_signal_time_and_condition(server, export):
    one, two = server(), server()
    for i in range(4):
        send(one, [otlp.logs(10, name=f"day {i}", start=NOON + i * DAY)], "logs")
        send(one, [otlp.traces(10, start=NOON + i * DAY)], "traces")
    export(
        one,
        two.http,
        "--signal",
        "logs",
        "--from",
        "2026-01-02",
        "--until",
        "2026-01-04T12:00:00Z",
        "--where",
        "LogAttributes['number'] = '3' -- one a day",
    )
    assert two.sql("SELECT Body AS b FROM logs ORDER BY 1") == [
        {"b": "day 1 3"},
        {"b": "day 2 3"},
    ], "until is not included"
    assert two.sql("SELECT count(*) AS n FROM traces") == [{"n": 0}]
    export(
        one, two.http, "--signal", "traces", "--signal", "logs", "--from", "2026-01-04T13:00:00+01:00", "--until", "now"
    )
    assert two.sql("SELECT count(*) AS n FROM traces") == [{"n": 10}] and two.sql("SELECT count(*) AS n FROM logs") == [
        {"n": 12}
    ]


def run_in_terminal(command, env) -> tuple[str, str]:
    """What a command prints, and what its user sees on a terminal besides."""
    ours, its = pty.openpty()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=its, text=True)
    os.close(its)
    seen = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.wait(60) == 0, seen
    return process.stdout.read(), seen.decode()


def test_windows_of_many_rows_in_one_place_with_progress(server, home):
    """More rows than a window in an hour, in a second, around years without any."""
    one, two = server(), server()
    for start in (NOON, NOON + 1, NOON + 300 * DAY, NOON - 10_000 * DAY):
        for k in range(8):
            send(one, [otlp.logs(4000, start=start + k * 4000 * 250)], "logs")
    output, seen = run_in_terminal(command(one, "grpc://" + two.grpc), home)
    assert output.startswith("sent 128000 rows")
    assert two.sql("SELECT count(*) AS n, count(DISTINCT TraceId) AS d FROM otel_logs") == [{"n": 128000, "d": 128000}]
    assert re.search(r"\r\d+ rows of 128000 rows, \d+ %, \d+ rows/s", seen), seen
    assert seen.endswith("\r\x1b[K"), "the line is gone at the end"


@pytest.mark.parametrize("rows_max", [100, 7])
def test_windows_hold_no_more_rows_than_the_server_answers(server, export, rows_max):
    """Nor are there more windows than that in an answer."""
    one, two = server("--query-rows-max", str(rows_max)), server()
    for start in (NOON, NOON + 7 * DAY, 10**6):
        send(one, [otlp.logs(5, start=start + i * 10**6) for i in range(66)], "logs")
    for i in range(150):
        send(one, [otlp.logs(1, start=NOON + 20 * DAY + i * 61 * 10**9)], "logs")
    done = export(one, two.http)
    assert done.stdout.startswith("sent 1140 rows")
    assert counts(two)[0] == 1140


def test_an_output_that_takes_nothing_is_no_success(server, home):
    one, two = server(), server()
    send(one, [otlp.logs(10)], "logs")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(command(one, two.http), stdout=full, stderr=subprocess.PIPE, text=True, env=home, check=False)
    assert done.returncode == 1 and "standard output cannot be written" in done.stderr


# Interruptions


def spread(server, hours=8, requests=5, rows=3000) -> int:
    """So many rows that an export takes several windows."""
    for hour in range(hours):
        for _ in range(requests):
            send(server, [otlp.logs(rows, start=NOON + hour * 3600 * 10**9)], "logs")
    return hours * requests * rows


def counts(server) -> tuple[int, int]:
    row = server.sql("SELECT count(*) AS n, count(DISTINCT SpanId) AS d FROM otel_logs")[0]
    return row["n"], row["d"]


def test_the_endpoint_is_killed_and_comes_back(server, home):
    address = f"127.0.0.1:{free_port()}"
    one, two = server(), server(listen=(address, "127.0.0.1:0"))
    total = spread(one)
    process = subprocess.Popen(
        command(one, "grpc://" + address, "--in-flight", "2"), env=home, stderr=subprocess.PIPE, text=True
    )
    two.wait_for(lambda: two.metric("otolith_items_received_total", signal="logs") > 0, what="the first rows")
    two.kill()
    two.start()
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    found, distinct = counts(two)
    assert distinct == total and found <= total + 2 * 8192, "what was under way may come twice"


def rows_noted(state) -> int:
    """How many rows a state file says were taken; 0 without one."""
    try:
        return int(re.search(r"^rows (\d+)$", state.read_text(), re.MULTILINE)[1])
    except FileNotFoundError:
        return 0


def test_interrupted_and_resumed(server, home, tmp_path):
    one, two = server(), server()
    total = spread(one)
    line = command(one, two.http, "--in-flight", "1")
    process = subprocess.Popen(line, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    states = tmp_path / "state/otolith"
    two.wait_for(
        lambda: process.poll() is not None or any(map(rows_noted, states.glob("export-*[!w]"))),
        what="the first window",
    )
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and output == "", errors
    assert "interrupted" in errors and "the same command goes on" in errors
    before, _ = counts(two)
    assert 0 < before < total
    again = subprocess.run(line, env=home, capture_output=True, text=True, check=True, timeout=200)
    assert "going on where this export stopped" in again.stderr and again.stdout.startswith(f"sent {total} rows")
    found, distinct = counts(two)
    assert distinct == total and found <= total + 50_000, "one window may come twice"
    assert not os.listdir(states), "nothing is left to go on with"


def test_the_state_of_another_export_is_not_taken(server, export, home, tmp_path):
    one, two = server(), server()
    send(one, [otlp.logs(10)], "logs")
    state = tmp_path / "mine"
    export(one, f"http://127.0.0.1:{free_port()}", "--give-up", "1ms", "--state", state, status=1)
    assert state.read_text().endswith("\n") and "\nrows 0\n" in state.read_text(), "nothing was taken yet"
    state.write_text("otolith export 1\nexport 00\n")
    assert "state of another export" in export(one, two.http, "--state", state, status=1).stderr
    state.write_text("something else\n")
    for line in ([], ["--restart"]):
        assert "not the state of an export" in export(one, two.http, "--state", state, *line, status=1).stderr
        assert state.read_text() == "something else\n"
    state.write_text("otolith export 1\nexport 00\n")
    export(one, two.http, "--state", state, "--restart")
    assert counts(two) == (10, 10) and not state.exists()


def test_where_no_state_can_be_kept_nothing_is_sent(server, export, http_endpoint, tmp_path):
    one = server()
    send(one, [otlp.logs(10)], "logs")
    url, endpoint = http_endpoint([])
    done = export(one, url, "--state", tmp_path / "missing/mine", status=1)
    assert "missing/mine" in done.stderr and "goes on" not in done.stderr
    assert endpoint.headers == [], "a request"


def test_starting_over_forgets_what_was_sent_before(server, export, http_endpoint, tmp_path):
    """Also when it fails at once: what goes on then is the new export."""
    one, line = server(), ["--in-flight", "1", "--state", tmp_path / "mine"]
    total, refused = spread(one, hours=3, requests=8), (400, {}, b"")
    url, endpoint = http_endpoint([None] * 7 + [refused])  # the second window is under way
    stopped = export(one, url, *line, status=1)
    assert rows_noted(tmp_path / "mine") > 0 and "the same command goes on where this one stopped" in stopped.stderr
    endpoint.received["logs"].clear()  # the endpoint has lost them
    endpoint.answers = [refused]
    again = export(one, url, *line, "--restart", status=1)
    assert "the same command without --restart goes on where" in again.stderr
    export(one, url, *line)
    assert row_counts("logs", endpoint.received["logs"]).total() == total


def test_a_failing_start_over_leaves_no_state_of_before(server, export, tmp_path):
    """It does not come as far as its first request."""
    one, state = server(), tmp_path / "mine"
    send(one, [otlp.logs(10)], "logs")
    line = (one, f"http://127.0.0.1:{free_port()}", "--give-up", "1ms", "--state", state)
    export(*line, status=1)
    assert state.exists()
    export(*line, "--where", "Nonsense = 1", "--restart", status=2)
    assert not state.exists()


def test_a_file_that_is_no_state_is_not_gone_on_with(server, export, tmp_path):
    one, state = server(), tmp_path / "mine"
    send(one, [otlp.logs(10)], "logs")
    state.write_text("")
    done = export(one, f"http://127.0.0.1:{free_port()}", "--state", state, status=1)
    assert "is not the state of an export" in done.stderr and "goes on" not in done.stderr
    assert state.read_text() == ""


def test_exports_with_other_headers_are_others(server, export, http_endpoint, tmp_path):
    """Two tenants behind one URL."""
    one = server()
    send(one, [otlp.logs(10)], "logs")
    url, endpoint = http_endpoint([(400, {}, b"")])
    line = (one, url, "--state", tmp_path / "mine")
    export(*line, "--header", "x-tenant=red", status=1)
    assert "state of another export" in export(*line, "--header", "x-tenant=blue", status=1).stderr
    assert "state of another export" in export(*line, status=1).stderr
    assert b"tenant" not in (tmp_path / "mine").read_bytes()
    export(*line, "--header", "x-tenant=red")
    assert [headers["x-tenant"] for headers in endpoint.headers] == ["red", "red"]


@pytest.mark.parametrize(
    "times", [["--from", "-1h", "--until", "now"], ["--from", "-1h"], ["--from", "2026-01-01", "--until", "now"]]
)
def test_relative_times_mean_the_present_when_it_goes_on(server, export, http_endpoint, tmp_path, times):
    """What came since the first try is sent too: of the tables that it had sent, and of the others."""
    one, refused = server(), (400, {}, b"")
    line = [*times, "--signal", "logs", "--signal", "traces", "--in-flight", "1", "--state", tmp_path / "mine"]
    url, endpoint = http_endpoint([None, refused, refused])

    def send_some():
        start = time.time_ns()
        send(one, [otlp.logs(10, start=start)], "logs")
        send(one, [otlp.traces(10, start=start)], "traces")

    send_some()
    export(one, url, *line, status=1)  # it takes the logs
    send_some()
    assert "and on to the present" in export(one, url, *line, status=1).stderr  # it takes nothing
    send_some()
    done = export(one, url, *line)
    assert done.stdout.startswith("sent 60 rows")
    for path in ("logs", "traces"):
        assert row_counts(path, endpoint.received[path]).total() == 30, path


AHEAD = 3 * 3600 * 10**9  # of the clock


def bodies_received(endpoint) -> collections.Counter:
    return collections.Counter(
        record.body.string_value
        for request in endpoint.received["logs"]
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    )


def test_rows_that_come_between_two_runs_are_sent_though_others_were_ahead_of_the_clock(
    server, export, http_endpoint, tmp_path
):
    one, now = server(), time.time_ns()
    for k in range(10):
        send(one, [otlp.logs(5000, name=f"old {k}", start=now - 600 * 10**9)], "logs")
    send(one, [otlp.logs(3, name="ahead", start=now + AHEAD)], "logs")
    send(one, [otlp.traces(1, start=now)], "traces")
    # A window of 50,000 rows is taken; what comes next is refused, be it the rows ahead or the span.
    url, endpoint = http_endpoint([None] * 7 + [(400, {}, b"")])
    line = (one, url, "--signal", "logs", "--signal", "traces", "--from", "-1h", "--in-flight", "1",
            "--state", tmp_path / "mine")  # fmt: skip
    export(*line, status=1)
    assert rows_noted(tmp_path / "mine") == 50_000
    send(one, [otlp.logs(1000, name="between", start=time.time_ns())], "logs")
    export(*line)
    received = bodies_received(endpoint)
    assert received.total() == len(received) == 51_000, "each once"
    assert sum(body.startswith("between") for body in received) == 1000
    assert row_counts("traces", endpoint.received["traces"]).total() == 1


def test_rows_ahead_of_the_clock_are_not_sent_by_relative_times(server, export, http_endpoint, tmp_path):
    """Neither by the run that settles the range nor by one that goes on: once their time has come."""
    one, now = server(), time.time_ns()
    send(one, [otlp.logs(10, name="now", start=now), otlp.logs(10, name="ahead", start=now + AHEAD)], "logs")
    send(one, [otlp.traces(1, start=now)], "traces")
    for until in ([], ["--until", "now"], ["--until", "2200-01-01"]):
        url, endpoint = http_endpoint([None, (400, {}, b"")])
        line = (one, url, "--from", "-1h", *until, "--in-flight", "1", "--state", tmp_path / "mine")
        export(*line, status=1)  # it takes the logs
        export(*line)
        assert bodies_received(endpoint) == {f"now {i}": 1 for i in range(10)}, until


@pytest.mark.parametrize("times", [[], ["--from", "2020-01-01"], ["--until", "2200-01-01"]])
def test_rows_ahead_of_the_clock_are_sent_by_times_of_their_own(server, export, http_endpoint, tmp_path, times):
    one, now = server(), time.time_ns()
    send(one, [otlp.logs(10, name="now", start=now), otlp.logs(10, name="ahead", start=now + AHEAD)], "logs")
    send(one, [otlp.traces(1, start=now)], "traces")
    url, endpoint = http_endpoint([None, (400, {}, b"")])
    line = (one, url, *times, "--in-flight", "1", "--state", tmp_path / "mine")
    export(*line, status=1)  # it takes the logs
    export(*line)
    assert bodies_received(endpoint) == {f"{name} {i}": 1 for name in ("now", "ahead") for i in range(10)}


def test_a_range_of_its_own_is_gone_on_with_as_it_was(server, export, http_endpoint, tmp_path):
    one = server()
    send(one, [otlp.logs(10, start=NOON)], "logs")
    send(one, [otlp.traces(10, start=NOON)], "traces")
    url, endpoint = http_endpoint([None, (400, {}, b"")])
    line = ["--from", "2026-01-01", "--until", "2026-01-02", "--state", tmp_path / "mine"]
    export(one, url, *line, status=1)
    send(one, [otlp.logs(10, start=NOON + 10**9)], "logs")
    assert "the present" not in export(one, url, *line).stderr
    assert row_counts("logs", endpoint.received["logs"]).total() == 10, "its logs were sent"
