"""Operating it: configuration, help, health, metrics, draining, hot and cold rows, a full disk, the memory limit."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest

from harness import DIE_WITH_PARENT, ROOT, SqlError, binary, plain_environment
from otlp import JSON, MAKERS, PROTOBUF, TABLES, logs, metrics, set_attributes, shared_attributes, to_json, traces


def run(*arguments, env=None):
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env=env or plain_environment())


def send(server, count, name, signal_name="logs", **kwargs):
    body = MAKERS[signal_name](count, name=name, **kwargs).SerializeToString()
    answer = server.post("/v1/" + signal_name, body, PROTOBUF)
    assert answer.status_code == 200, answer.text


def parquet_files(server, folder="logs"):
    return sorted((server.data / folder).rglob("*.parquet"))


# --- configuration ---

def test_help_is_complete_and_fits_the_screen():
    text = run("serve", "--help")
    assert text.returncode == 0
    names = [line.split(":")[0] for line in run("check-config", os.devnull).stdout.splitlines()]
    assert len(names) > 15
    for name in names:
        assert "--" + name.replace("_", "-") in text.stdout
    assert run("help").returncode == 0 and "serve" in run("help").stdout
    assert run("nonsense").returncode == 2
    assert run().returncode == 2


@pytest.mark.parametrize("text, message", [
    ("no_such_key: 1\n", ":1: unknown key: no_such_key\n"),
    ("memory_limt: 1GiB\n", ":1: unknown key: memory_limt: did you mean memory_limit?\n"),
    ("# flags\nmemory-limit: 1GiB\n", ":2: unknown key: memory-limit: did you mean memory_limit?\n"),
    ("data: /tmp\nmemory_limit: lots\n", ":2: memory_limit: 'lots' is not a size"),
    ("memory_limit: 1MiB\n", ":1: memory_limit: 1MiB is outside 48MiB to 1TiB\n"),
    ("flush_interval: 0\n", ":1: flush_interval: 0 is outside 100ms to 24h\n"),
    ("request_bytes_max: 2TiB\n", ":1: request_bytes_max: 2TiB is outside 1KiB to 1GiB\n"),
    ("threads: 65\n", ":1: threads: 65 is outside 0 to 64\n"),
    ("listen: {a: b}\n", "plain value is expected"),
    ("durability: sometimes\n", ":1: durability: 'sometimes' is not one of fsync|interval:<ms>|none (<ms>: 1 to 3600000)"),
    ("durability: interval:3600001\n", "'interval:3600001' is not one of fsync|interval:<ms>|none (<ms>: 1 to 3600000)"),
    ("log_level: loud\n", "'loud' is not one of debug|info|warn|error\n"),
    ("threads: 1\ndata: ~\n", ":2: no value (in YAML ~ is none; in quotes it is text): data\n"),
    ("data: null\n", ":1: no value (in YAML null is none; in quotes it is text): data\n"),
    ("promote: [a, NULL]\n", ":1: no value (in YAML NULL is none; in quotes it is text): promote\n"),
    ("data: a\ndata: b\n", ":2: key given twice: data"),
    ("promote:\n  - a\n  - [b]\n", ":3: a list of plain values is expected for: promote\n"),
    ("- a\n", "mapping"),
    ("listen: [\n", "not YAML"),
])
def test_bad_configuration_is_refused_with_file_line_and_key(tmp_path, text, message):
    path = tmp_path / "otolith.yaml"
    path.write_text(text)
    for command in (["check-config", path], ["serve", "--config", path]):
        done = run(*command)
        assert done.returncode != 0
        assert message in done.stderr and done.stderr.count(str(path)) == 1


@pytest.mark.parametrize("text, message", [
    ("listen: ['127.0.0.1:4317,nonsense']", "listen: 'nonsense' is not a role"),
    ("listen: ['example.com:4317']", "listen: example.com:4317: the host is neither"),
    ("listen: ['127.0.0.1']", "listen: 127.0.0.1: the port is missing"),
    ("listen: []", "listen: at least one address is needed"),
    ("promote: [Timestamp]", "promote: attribute Timestamp would be column Timestamp"),
    ("promote: ['...']", "promote: no column can be named after attribute ..."),
    ('promote: ["a\\tb"]', "promote: 'a?b' is not an attribute key"),
    ("request_bytes_max: 300MiB", "request_bytes_max: 300MiB is larger than memory_limit (256MiB), "
                                  "and a quarter of that is the most it can be"),
])
def test_what_cannot_be_served_is_refused_before_anything_is_opened(tmp_path, text, message):
    path = tmp_path / "otolith.yaml"
    path.write_text(f"data: {tmp_path}/data\n{text}\n")
    checked = run("check-config", path)
    assert checked.returncode == 1 and checked.stdout == "" and f"{path}:2: {message}" in checked.stderr
    served = run("serve", "--config", path)
    assert served.returncode == 2 and f"{path}:2: {message}" in served.stderr
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_served_is_said_where_it_was_given(tmp_path):
    path = tmp_path / "otolith.yaml"
    path.write_text("listen: 127.0.0.1:0\n")
    for args, environment, place in (
        (["--listen", "4317"], {}, ""),
        ([], {"OTOLITH_LISTEN": "4317"}, "environment: "),
        ([], {"OTOLITH_LISTN": "4317"}, "environment: "),
    ):
        served = run("serve", "--config", path, "--data", tmp_path / "data", *args, env=plain_environment(**environment))
        message = "listen: 4317: the port is missing (HOST:PORT)"
        if "OTOLITH_LISTN" in environment:
            message = "OTOLITH_LISTN is not a setting: did you mean OTOLITH_LISTEN?"
        assert served.returncode == 2 and served.stderr == f"otolith: {place}{message}\n"


@pytest.mark.parametrize("text, most", [
    ("", "64MiB  # default"),
    ("memory_limit: 48MiB", "12MiB  # a quarter of memory_limit; default: 64MiB"),
    ("request_bytes_max: 200MiB", "64MiB  # a quarter of memory_limit; file: 200MiB"),
    ("request_bytes_max: 64MiB", "64MiB  # file"),
    ("memory_limit: 1GiB\nrequest_bytes_max: 200MiB", "200MiB  # file"),
])
def test_the_largest_request_is_shown_as_it_applies(tmp_path, text, most):
    path = tmp_path / "otolith.yaml"
    path.write_text(text)
    assert f"\nrequest_bytes_max: {most}\n" in run("check-config", path).stdout


def test_what_yaml_has_for_none_is_text_in_quotes(tmp_path):
    path = tmp_path / "otolith.yaml"
    path.write_text('data: "~"\npromote: [\'null\']\n')
    shown = run("check-config", path).stdout
    assert '\ndata: "~"  # file\n' in "\n" + shown and '\npromote: ["null"]  # file\n' in shown


def test_the_least_memory_limit_is_enough_to_start(server):
    one = server("--memory-limit", "48MiB")
    send(one, 10, "a")
    over = (12 << 20) + 1
    assert one.post("/v1/logs", bytes(over), PROTOBUF).status_code == 413


def test_flags_win_over_environment_over_file(server, tmp_path):
    path = tmp_path / "otolith.yaml"
    path.write_text("log_format: json\nflush_rows: 5\npromote:\n  - acme.tenant\n")
    one = server("--config", path, "--log-level", "info", env={"OTOLITH_FLUSH_ROWS": "7", "OTOLITH_LOG_LEVEL": "error"})
    one.stop()
    lines = [line for line in one.log.splitlines() if line.startswith("{")]
    assert lines and all(json.loads(line)["level"] for line in lines)
    assert run("serve", "--no-such-flag", "1").returncode == 2
    assert "OTOLITH_NO_SUCH" in run("serve", env=plain_environment(OTOLITH_NO_SUCH="1")).stderr


def test_a_second_server_on_the_folder_is_refused(server):
    one = server()
    done = run("serve", "--data", one.data, "--listen", "127.0.0.1:0")
    assert done.returncode == 1 and str(one.pid) in done.stderr


@pytest.mark.parametrize("closing", ["<&- >&- 2>&-", ">&- 2>&-"])
def test_without_standard_streams_it_serves(tmp_path, closing):
    data = tmp_path / "data"
    process = subprocess.Popen(
        [*DIE_WITH_PARENT, "sh", "-c", f'exec "$0" "$@" {closing}', binary(), "serve", "--data", data,
         "--listen", "127.0.0.1:0"],
        env=plain_environment(), stdout=subprocess.DEVNULL)
    try:
        address = rb"%d\n(127\.0\.0\.1:\d+) \(ingest, query, admin\)\n" % process.pid
        deadline = time.monotonic() + 60
        found = None
        while not found or httpx.get(f"http://{found[1].decode()}/ready").status_code != 200:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
            found = (data / "lock").exists() and re.fullmatch(address, (data / "lock").read_bytes())
        for table in TABLES:  # nothing that was logged is in the files without rows
            done = run("query", "--data", data, "--format", "csv", f"SELECT count(*) FROM {table}")
            assert done.stdout.splitlines()[1:] == ["0"], done.stderr
        process.terminate()
        assert process.wait(60) == 0
        assert re.fullmatch(address, (data / "lock").read_bytes())
    finally:
        process.kill()
        process.wait()


def test_listener_roles(server):
    one = server(listen=["127.0.0.1:0,ingest", "127.0.0.1:0,query,admin"])
    ingest = "http://" + one.addresses[0]
    assert httpx.post(ingest + "/v1/logs", content=b"{}", headers={"Content-Type": JSON}).status_code == 200
    assert httpx.get(ingest + "/metrics").status_code == 403
    assert httpx.get(ingest + "/spans").status_code == 403
    assert one.post("/v1/logs", b"{}", JSON).status_code == 403
    assert one.sql("SELECT 1 AS one") == [{"one": 1}]


def first_steps(server):
    """Of what it prints when it starts: the lines that say what to do."""
    return dict(re.findall(r"^(send OTLP|ask)\b[^:]*: +(.*)$", server.log, re.MULTILINE))


def test_what_it_says_to_do_can_be_done(server, tmp_path):
    one = server("--listen", f"unix:{tmp_path}/s", data=tmp_path / "it's a folder",
                 listen=["0.0.0.0:0,query", "0.0.0.0:0,ingest"])
    steps = first_steps(one)
    port = one.addresses[1].rsplit(":", 1)[1]
    assert steps["send OTLP"] == f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port}"
    done = subprocess.run(["sh", "-c", steps["ask"]], capture_output=True, text=True, env=plain_environment())
    assert done.returncode == 0 and "(0 rows)" in done.stdout, done.stderr


def test_the_question_that_it_suggests_has_an_answer_for_a_terminal(server):
    one = server()
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]}
    records = [{"timeUnixNano": str(1_767_261_600_000_000_000 + i * 10**9), "severityText": "INFO",
                "body": {"stringValue": f"order {i} " + "x" * 200}} for i in range(11)]
    body = json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})
    assert one.post("/v1/logs", body.encode(), JSON).status_code == 200
    done = subprocess.run(["sh", "-c", first_steps(one)["ask"]], capture_output=True, text=True, env=plain_environment())
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 120, done.stdout
    assert [re.search(r"INFO +(order \d+)", line)[1] for line in lines[2:-1]] == [f"order {i}" for i in range(10, 0, -1)]


@pytest.mark.parametrize("role, steps", [("ingest", {"send OTLP"}), ("query", {"ask"}), ("admin", set())])
def test_what_is_not_served_is_not_advised(server, role, steps):
    assert set(first_steps(server(listen=[f"127.0.0.1:0,{role}"]))) == steps


# --- health and numbers ---

def test_health_ready_and_index(server):
    one = server()
    assert one.get("/health").json()["status"] == "ok"
    assert one.get("/ready").json() == {"ready": True, "state": "ready"}
    assert "/v1/logs" in one.get("/").text
    assert httpx.head(one.http + "/health").content == b""


def test_metrics_add_up(server):
    one = server()
    send(one, 10, "a")
    body = logs(3, name="b").SerializeToString()
    for _ in range(3):
        assert one.post("/v1/logs", body, PROTOBUF).status_code == 200
    request = logs(5, name="c")
    request.resource_logs[0].scope_logs[0].log_records[1].trace_id = b"bad"
    assert one.post("/v1/logs", request.SerializeToString(), PROTOBUF).status_code == 200
    assert one.post("/v1/logs", b"\xff", PROTOBUF).status_code == 400
    counts = {name: one.metric(f"otolith_items_{name}_total", signal="logs")
              for name in ("received", "stored", "rejected", "deduplicated", "failed")}
    assert counts == {"received": 24, "stored": 17, "rejected": 1, "deduplicated": 6, "failed": 0}
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 17}]
    assert one.metric("otolith_rows_hot", table="otel_logs") == 17


# --- hot and cold ---

def test_rows_are_seen_at_once_and_never_twice_while_a_flush_moves_them(server):
    one = server("--flush-interval", "200ms")
    total, over = [0], threading.Event()

    def sender():
        while not over.is_set():
            send(one, 50, f"r{total[0]}")
            total[0] += 50

    thread = threading.Thread(target=sender)
    thread.start()
    try:
        for _ in range(60):
            before = total[0]
            [row] = one.sql("SELECT count(*) AS n, count(DISTINCT TraceId) AS d FROM otel_logs")
            assert row["n"] == row["d"], "a row was seen twice"
            assert before <= row["n"] <= total[0] + 50
    finally:
        over.set()
        thread.join()
    one.wait_for(lambda: len(parquet_files(one)) > 3, what="several files")
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": total[0]}]


def test_everything_is_in_files_after_sigterm(server):
    one = server()
    for signal_name in MAKERS:
        send(one, 1000, "drain", signal_name)
    assert not parquet_files(one)
    one.stop()
    for signal_name, folder in (("logs", "logs"), ("traces", "traces"), ("metrics", "metrics/gauge")):
        files = parquet_files(one, folder)
        assert files and all("year=" in str(file) and "hour=" in str(file) for file in files)
        [(count,)] = duckdb.sql(f"SELECT count(*) FROM read_parquet('{one.data}/{folder}/**/*.parquet')").fetchall()
        assert count == 1000
    one.start()
    for table in TABLES.values():
        assert one.sql(f"SELECT count(*) AS n FROM {table}") == [{"n": 1000}]


def test_rows_by_hour_of_their_own_time(server):
    one = server()
    hour = 3600 * 10**9
    start = 1767261600 * 10**9  # 2026-01-01T10:00:00Z
    send(one, 3, "ten", start=start)
    send(one, 2, "eleven", start=start + hour)
    one.stop()
    names = sorted(str(file.parent.relative_to(one.data)) for file in parquet_files(one))
    assert names == ["logs/year=2026/month=01/day=01/hour=10", "logs/year=2026/month=01/day=01/hour=11"]


def test_rows_scattered_over_centuries_stay_in_few_files(server):
    one = server()
    request = logs(0)
    scope = request.resource_logs[0].scope_logs[0]
    for i in range(2000):
        scope.log_records.add(time_unix_nano=1 + i * 4_000_000 * 10**9).body.string_value = str(i)
    assert one.post("/v1/logs", request.SerializeToString(), PROTOBUF).status_code == 200
    one.stop()
    assert len(parquet_files(one)) <= 65
    one.start()
    assert one.sql("SELECT count(DISTINCT Body) AS n FROM otel_logs") == [{"n": 2000}]


def test_promoted_attributes(server):
    one = server("--promote", "acme.tenant")
    request = traces(2, name="p")
    spans = request.resource_spans[0].scope_spans[0].spans
    for span, tenant in zip(spans, ("red", "blue")):
        span.attributes.add(key="acme.tenant").value.string_value = tenant
        span.attributes.add(key="http.response.status_code").value.int_value = 404
    assert one.post("/v1/traces", request.SerializeToString(), PROTOBUF).status_code == 200
    query = "SELECT AcmeTenant AS t, HttpResponseStatusCode AS s, HttpRoute AS r FROM otel_traces ORDER BY 1"
    expected = [{"t": "blue", "s": 404, "r": "/buy"}, {"t": "red", "s": 404, "r": "/buy"}]
    assert one.sql(query) == expected
    one.stop()
    one.start()
    assert one.sql(query) == expected


@pytest.mark.parametrize("promoted", [["hostname"], ["traceid"], ["user.id", "userid"]])
def test_a_promotion_that_clashes_but_for_case_is_refused(server, promoted):
    one = server(*(f"--promote={name}" for name in promoted), start=False)
    with pytest.raises(RuntimeError, match=f"attribute {promoted[-1]} would be column {promoted[-1].title()}, which logs has"):
        one.start()
    assert not (one.data / "promoted").exists()


def test_columns_that_clash_but_for_case_are_left_out(server):
    """Of a folder that an older version wrote, whose files have Hostname beside HostName and Traceid beside TraceId."""
    one = server("--promote", "hostnamx", "--promote", "traceix", "--promote", "zone")
    for number, host in enumerate(("alpha", "beta")):
        request = logs(2, name=host, start=1_790_000_000_000_000_000)
        set_attributes(request.resource_logs[0].resource, host__name=host)
        for record in request.resource_logs[0].scope_logs[0].log_records:
            record.trace_id = bytes([number + 1] * 16)
            set_attributes(record, hostnamx="zz", traceix="01" * 16, zone=f"z{number}")
        assert one.post("/v1/logs", request.SerializeToString(), PROTOBUF).status_code == 200
        one.restart()
    one.stop()
    for path in (*parquet_files(one), one.data / "promoted"):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"ostnamx", b"ostname").replace(b"raceix", b"raceid"))
        assert path.read_bytes() != content
    queries = {
        "SELECT Body FROM otel_logs WHERE TraceId = '" + "01" * 16 + "' ORDER BY Body": ["alpha 0", "alpha 1"],
        "SELECT Body FROM logs WHERE HostName = 'beta' ORDER BY Body": ["beta 0", "beta 1"],
        "SELECT Body FROM logs WHERE TraceId < '02' ORDER BY Body": ["alpha 0", "alpha 1"],
        "SELECT DISTINCT HostName FROM otel_logs ORDER BY HostName": ["alpha", "beta"],
        "SELECT DISTINCT Hostname FROM otel_logs ORDER BY Hostname": ["alpha", "beta"],
        "SELECT DISTINCT LogAttributes['hostname'] FROM otel_logs": ["zz"],
        "SELECT Zone FROM otel_logs WHERE Zone = 'z1'": ["z1", "z1"],
        "SELECT Body FROM (SELECT * FROM otel_logs) WHERE Severitytext = 'INFO' AND Zone = 'z0' ORDER BY Body": ["alpha 0", "alpha 1"],
    }
    one.args = []
    one.start()
    for sql, expected in queries.items():
        assert [value for row in one.sql(sql) for value in row.values()] == expected, sql
    names = [row["column_name"].lower() for row in one.sql("DESCRIBE otel_logs")]
    assert len(names) == len(set(names)) and "zone" in names
    one.stop()
    assert one.log.count("attribute hostname has no column in queries of logs, traces, metrics/gauge") == 1
    assert one.log.count("attribute traceid has no column in queries of logs, traces:") == 1
    for sql, expected in queries.items():
        done = run("query", "--data", one.data, "--format", "csv", sql)
        assert done.stdout.splitlines()[1:] == expected, sql
    one.args = ["--promote", "hostname"]
    with pytest.raises(RuntimeError, match="attribute hostname would be column Hostname, which logs has for something else"):
        one.start()


def test_columns_of_views_for_people_win_over_promoted_ones(server):
    one = server("--promote", "time.unix.nano", "--promote", "endtimeunixnano", "--promote", "metrictype")
    start = 1_790_000_000_000_000_001
    send(one, 1, "a", "metrics", start=start)
    for make, path in ((logs, "/v1/logs"), (traces, "/v1/traces")):
        request = make(1, start=start)
        blocks = request.resource_logs if make is logs else request.resource_spans
        set_attributes(blocks[0].resource, time__unix__nano="t", endtimeunixnano="e", metrictype="m")
        assert one.post(path, request.SerializeToString(), PROTOBUF).status_code == 200
    assert one.sql("SELECT TimeUnixNano AS t, MetricType AS m FROM metrics") == [{"t": start, "m": "gauge"}]
    assert one.sql("SELECT TimeUnixNano AS t, Endtimeunixnano AS e FROM logs") == [{"t": start, "e": "e"}]
    assert one.sql("SELECT TimeUnixNano AS t, EndTimeUnixNano AS e FROM traces") == [{"t": start, "e": start + 1500}]
    expected = [{"TimeUnixNano": "t", "Endtimeunixnano": "e", "Metrictype": "m"}]
    for table in ("otel_logs", "otel_traces"):
        assert one.sql(f"SELECT TimeUnixNano, Endtimeunixnano, Metrictype FROM {table}") == expected
    for view in ("logs", "traces", "metrics"):
        names = [row["column_name"].lower() for row in one.sql(f"DESCRIBE {view}")]
        assert len(names) == len(set(names)), view


def test_items_of_a_flag_stand_behind_commas(server):
    one = server("--promote", "acme.tenant, acme.user", "--allowed-hosts", "a.example.com,b.example.com")
    request = logs(1)
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.attributes.add(key="acme.tenant").value.string_value = "red"
    record.attributes.add(key="acme.user").value.string_value = "ann"
    assert one.post("/v1/logs", request.SerializeToString(), PROTOBUF).status_code == 200
    assert one.sql("SELECT AcmeTenant AS t, AcmeUser AS u FROM otel_logs") == [{"t": "red", "u": "ann"}]
    answers = [httpx.get(one.http + "/health", headers={"Host": f"{name}.example.com"}).status_code for name in "abc"]
    assert answers == [200, 200, 403]


SPANS_REFUSED = ("limit=0", "limit=x", "limit=99999999", "service=%zz", "since=yesterday-ish", "since=", "since=5", "since=2000-02-30",
                 "since=2000-01-01T25:00:00Z", "limit", "limit=5&limit=6")


def test_spans_endpoint(server):
    one = server()
    for bad in SPANS_REFUSED:  # also where there is no row that it could be held against
        answer = one.get("/spans?" + bad)
        assert answer.status_code == 400 and bad.split("=")[0] in answer.json()["error"]["message"] + "service", bad
    assert one.get("/spans?since=15m").json() == one.get("/spans?since=2000-01-01").json() == []
    now = time.time_ns()
    for i in range(5):
        send(one, 1, f"s{i}", "traces", service="shop" if i % 2 else "cart", start=now - (5 - i) * 60 * 10**9)
    answer = one.get("/spans?limit=3").json()
    assert [span["name"] for span in answer] == ["s4", "s3", "s2"]
    assert answer[0]["timestamp"] == str(now - 60 * 10**9) and answer[0]["duration_ns"] == 1500
    assert answer[0]["attributes"]["http.route"] == "/buy"
    assert [span["name"] for span in one.get("/spans?service=shop").json()] == ["s3", "s1"]
    assert [span["name"] for span in one.get("/spans?trace_id=" + answer[1]["trace_id"].upper()).json()] == ["s3"]
    assert [span["name"] for span in one.get("/spans", params={"since": "150s"}).json()] == ["s4", "s3"]
    assert [span["name"] for span in one.get("/spans?&service=shop&&limit=1&").json()] == ["s3"]
    assert one.get("/spans?since=2000-01-01T00:00:00Z").status_code == 200
    for zoned, found in (("2000-01-01 01:00:00+01:00", 5), ("2999-12-31", 0), ("2999-12-31T23:59:59.999999Z", 0)):
        assert len(one.get("/spans", params={"since": zoned}).json()) == found
    for bad in SPANS_REFUSED:
        assert one.get("/spans?" + bad).status_code == 400, bad


@pytest.mark.parametrize("given, named", [
    ("operation=nonsense", "operation"), ("limit=5&Service=shop", "Service"), ("serv%69ce=shop", "serv%69ce"),
    ("service_name=x", "service_name"), ("x" * 1000, "that"), ("=5", "that"),
])
def test_spans_takes_no_parameter_that_it_does_not_know(server, given, named):
    answer = server().get("/spans?" + given)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"] == f"{named} is no parameter of this path; these are: service, trace_id, since, limit"


def test_spans_are_sorted_by_time_however_many_digits_it_has(server):
    one = server()
    times = [9 * 10**17, 10**18, 10**18 + 1, 2**63 + 5, 2**64 - 2000]
    for i, start in enumerate(times):
        send(one, 1, f"s{i}", "traces", start=start)
    assert [(span["name"], span["timestamp"]) for span in one.get("/spans").json()] == [
        (f"s{i}", str(times[i])) for i in reversed(range(len(times)))]


def test_what_docs_say_of_spans(server):
    """Parameters, default, maximum, names in the answer: as the page has them."""
    text = (ROOT / "docs/SQL.md").read_text().partition("## Spans")[2].partition("\n## ")[0]
    one = server()
    send(one, 120, "s", "traces", start=time.time_ns())
    parameters = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
    assert one.get("/spans?nonsense").json()["error"]["message"].endswith(": " + ", ".join(parameters))
    default, most = (int(number) for number in re.search(r"default (\d+), at most (\d+)", text).groups())
    assert len(one.get("/spans").json()) == default
    assert one.get(f"/spans?limit={most}").status_code == 200 and one.get(f"/spans?limit={most + 1}").status_code == 400
    keys = re.findall(r"`([a-z_]+)`", text.partition("Each span has ")[2].partition("\n\n")[0])
    assert keys == list(one.get("/spans?limit=1").json()[0])


# --- trouble ---

@pytest.fixture
def small_disk(tmp_path):
    """A file system of 96 MiB."""
    if os.geteuid() != 0:
        pytest.fail("this test mounts a file system: run it as root")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_answered_retryably_and_heals(server, small_disk):
    one = server("--disk-free-min", "1MiB", "--wal-segment-size", "4MiB", "--dedup-window", "0ms", data=small_disk / "data")
    send(one, 100, "before")
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - 65536)
    acked, refused = 100, None
    for i in range(200):
        answer = one.post("/v1/logs", logs(100, name=f"full{i}" + "x" * 500).SerializeToString(), PROTOBUF)
        if answer.status_code == 200:
            acked += 100
        else:
            refused = answer
            break
    assert refused is not None and refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    one.wait_for(lambda: one.get("/ready").status_code == 503, what="not ready")
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": acked}]
    ballast.unlink()
    one.wait_for(lambda: one.get("/ready").status_code == 200, what="ready again")
    send(one, 100, "after")
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": acked + 100}]
    one.kill()
    one.start()
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": acked + 100}]


def test_a_killed_query_process_is_replaced(server):
    one = server()
    send(one, 10, "q")
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 10}]
    children = subprocess.run(["pgrep", "-P", str(one.pid)], capture_output=True, text=True).stdout.split()
    assert children
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    one.wait_for(lambda: one.post("/api/v1/sql", b"SELECT 1", "application/sql").status_code == 200, what="an answer")
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 10}]


LONG_LOG_ROWS = 1200000


def killed_with_a_long_log(server):
    """A server that was killed with so many requests in its log that recovering takes a while; started, not ready yet."""
    one = server("--flush-interval", "1h", "--flush-rows", "10000000", "--memory-limit", "2GiB")
    for i in range(LONG_LOG_ROWS // 10000):
        send(one, 10000, f"w{i}")
    one.kill()
    one.start(ready=False)
    return one


@pytest.mark.release
def test_while_recovering_nothing_is_promised(server):
    one = killed_with_a_long_log(server)
    ready = one.get("/ready")
    assert ready.status_code == 503 and ready.json() == {"ready": False, "state": "recovering"}
    assert one.get("/health").status_code == 200
    refused = one.post("/v1/logs", logs(1).SerializeToString(), PROTOBUF)
    assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
    asked = one.post("/api/v1/sql", b"SELECT count(*) FROM logs", "application/sql")
    assert asked.status_code == 503 and asked.headers["retry-after"] == "1"
    one.wait_for(one.is_ready, what="ready")
    assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": LONG_LOG_ROWS}]


@pytest.mark.release
def test_sigterm_while_recovering_keeps_the_log(server):
    one = killed_with_a_long_log(server)
    one.stop()
    assert "while recovering" in one.log
    one.start()
    assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": LONG_LOG_ROWS}]


def ask(connection, sql, accept):
    connection.request("POST", "/api/v1/sql", sql, {"Content-Type": "application/sql", "Accept": accept})


def test_a_query_that_waits_when_the_server_is_told_to_stop_sees_all_rows(server):
    one = server("--threads", "2", "--query-workers", "1", "--drain-timeout", "60s")
    send(one, 100, "hot")
    connections = []
    for _ in range(3):  # each to the worker that has the fewest: the first and the last have the same
        connection = http.client.HTTPConnection(*one.addresses[0].split(":"), timeout=60)
        connection.request("GET", "/health")
        assert connection.getresponse().read()
        connections.append(connection)
    first, other, second = connections
    ask(first, "SELECT repeat('x', 100) AS text FROM range(900000)", "text/csv")
    answer = first.getresponse()
    assert answer.status == 200  # it has begun, and waits for its reader
    ask(second, "SELECT count(*) AS n FROM logs", "application/json")
    one.process.send_signal(signal.SIGTERM)
    assert other.sock.recv(1) == b""  # the other worker has nothing left to do
    assert len(answer.read()) > 900000 * 100
    answer = second.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, [{"n": 100}])
    assert one.process.wait(30) == 0  # nobody is left, though the first answer's head promised more


def children(pid):
    return subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()


def test_sigterm_ends_with_a_query_running_and_clients_hanging(server):
    one = server("--drain-timeout", "1s")
    host, port = one.addresses[0].split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(20)]
    silent[0].sendall(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
    slow = b"SELECT count(*) FROM range(100000000000) AS r WHERE sin(r.range) > 2"
    silent[1].sendall(b"POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(slow) + slow)
    one.wait_for(lambda: one.metric("otolith_queries_running") == 1 and children(one.pid), what="the query")
    [child] = children(one.pid)
    send(one, 10, "last")
    begin = time.monotonic()
    one.stop()
    assert time.monotonic() - begin < 10
    assert not os.path.exists(f"/proc/{child}"), "the query process outlived the server"
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{one.data}/logs/**/*.parquet')").fetchone() == (10,)


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.release
def test_idle_memory(server):
    one = server()
    time.sleep(1)
    assert resident(one.pid) < 10 << 20


def test_a_segment_is_full_by_what_its_rows_share(server):
    """Attributes of a resource take no memory a row, but some bytes a row in files and before queries."""
    one = server("--threads", "1", "--flush-interval", "1h")
    for i in range(3):
        body = shared_attributes(2000, 17000, service=f"s{i}").SerializeToString()
        assert one.post("/v1/logs", body, PROTOBUF).status_code == 200
    one.wait_for(lambda: parquet_files(one), what="a file of the first two requests")
    assert [pq.read_metadata(path).num_rows for path in parquet_files(one)] == [34000]


def test_rows_that_do_not_fit_before_queries_are_asked_for_again(server):
    """60 million values of 300 KB in memory: more than the memory limit in the form that queries read."""
    one = server("--memory-limit", "64MiB", "--threads", "1", "--flush-interval", "1h")
    body = shared_attributes(1000, 60000).SerializeToString()
    assert one.post("/v1/logs", body, PROTOBUF).status_code == 200
    with pytest.raises(SqlError) as refused:
        one.sql("SELECT count(*) AS n FROM otel_logs")
    assert refused.value.status == 503 and "in no file yet" in str(refused.value)

    def is_answered():
        try:
            return one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 60000}]
        except SqlError as again:
            assert again.status == 503
            return False

    one.wait_for(is_answered, what="the rows that were asked for in a file")
    assert parquet_files(one)


@pytest.mark.release
@pytest.mark.timeout(240)
def test_the_memory_limit_holds_under_more_load_than_fits(server):
    one = server("--memory-limit", "64MiB", "--request-bytes-max", "32MiB")
    bodies = [logs(5000, name=f"m{i}" + "z" * 300).SerializeToString() for i in range(32)]  # 32 x 3.5 MB
    acked, refused, problems, lock = [0], [0], [], threading.Lock()

    def sender(index):
        with httpx.Client(timeout=120) as client:
            for round_number in range(3):
                body = bodies[index] + logs(1, name=f"{index}-{round_number}").SerializeToString()
                while True:
                    try:
                        answer = client.post(one.http + "/v1/logs", content=body, headers={"Content-Type": PROTOBUF})
                    except httpx.TransportError:
                        continue
                    with lock:
                        if answer.status_code == 200:
                            acked[0] += 5001
                            break
                        refused[0] += 1
                        if answer.status_code not in (503, 429):
                            problems.append((answer.status_code, answer.text))
                            return
                    time.sleep(0.05)

    threads = [threading.Thread(target=sender, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert refused[0] > 0, "the load was not more than fits"
    assert resident(one.pid) < 64 << 20
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": acked[0]}]
