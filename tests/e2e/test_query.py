"""SQL over a running server and over the files: formats, parameters, errors, limits, crashes, the command."""
import csv
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import duckdb
import httpx
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from harness import PLAIN, SqlError, binary, has_ended, plain_environment

NOW = 1_760_000_000_123_456_789


def logs(count: int, service="shop", start=NOW) -> dict:
    records = [{"timeUnixNano": str(start + i), "severityNumber": 9, "severityText": "INFO",
                "body": {"stringValue": f'line "{i}", ü'}, "attributes": [{"key": "n", "value": {"intValue": str(i)}}]}
               for i in range(count)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "s"}, "logRecords": records}]}]}


def send(server, path: str, document: dict):
    answer = server.post(path, json.dumps(document).encode(), "application/json")
    assert answer.status_code == 200, answer.text


def ask(server, sql, accept, **document) -> httpx.Response:
    return httpx.post(server.http + "/api/v1/sql", headers={"Accept": accept}, json={"sql": sql, **document}, timeout=60,
                      verify=PLAIN)


def command(otolith_binary, *args, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run([otolith_binary, "query", *args], capture_output=True, timeout=60, **kwargs)


def query_pids(server) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.pid), "otolith-query"], stdout=subprocess.PIPE, text=True)
    return [int(pid) for pid in found.stdout.split()]


# Rows

def test_rows_are_there_from_their_ack_on(server):
    one = server()
    for i in range(5):
        send(one, "/v1/logs", logs(10, start=NOW + 10 * i))
        assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": 10 * (i + 1)}]


def test_hot_and_cold_rows_come_once_each_while_flushes_go_on(server):
    one = server("--flush-rows", "500")
    total = 0
    for i in range(30):
        send(one, "/v1/logs", logs(100, start=NOW + 100 * i))
        total += 100
        assert one.sql("SELECT count(*) AS n, count(DISTINCT TimeUnixNano) AS d FROM logs") == [{"n": total, "d": total}]
    assert list(one.data.glob("logs/**/*.parquet")), "nothing was flushed"


def test_a_span_without_a_start_ends_when_it_ended(server):
    one = server()
    for start in (0, NOW):
        span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": str(start),
                "startTimeUnixNano": str(start), "endTimeUnixNano": str(NOW + 1_234_567)}
        send(one, "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    assert one.sql("SELECT DISTINCT EndTimeUnixNano AS e FROM traces") == [{"e": NOW + 1_234_567}]


@pytest.mark.parametrize("accept, sql, column", [
    ("application/json", "SELECT nope FROM logs", 8),
    ("application/vnd.apache.parquet", "SELECT CAST('x' AS INT) AS c", None),
    ("application/json", "EXPLAIN   /* c */ SELECT 1,\n nope FROM logs", None),
])
def test_a_place_in_the_sql_is_right_or_not_told(server, accept, sql, column):
    """What runs in the place of the text that was sent has places of its own."""
    error = ask(server(), sql, accept).json()["error"]
    assert error.get("column") == column and error["status"] == "invalid"


def test_views_and_tables(server):
    one = server()
    send(one, "/v1/logs", logs(2))
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "GET /", "kind": 2,
            "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 1_500_000)}
    send(one, "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    metrics = [{"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": str(NOW), "asDouble": 1.5}]}},
               {"name": "s", "sum": {"dataPoints": [{"timeUnixNano": str(NOW), "asInt": "7"}]}},
               {"name": "h", "histogram": {"dataPoints": [{"timeUnixNano": str(NOW), "count": "1", "bucketCounts": ["1"]}]}},
               {"name": "e", "exponentialHistogram": {"dataPoints": [{"timeUnixNano": str(NOW), "count": "1"}]}},
               {"name": "q", "summary": {"dataPoints": [{"timeUnixNano": str(NOW), "count": "1", "sum": 2}]}}]
    send(one, "/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})
    assert one.sql("SELECT TimeUnixNano FROM logs ORDER BY 1") == [{"TimeUnixNano": NOW}, {"TimeUnixNano": NOW + 1}]
    assert one.sql("SELECT TimeUnixNano, EndTimeUnixNano, Duration, SpanName FROM traces") == [
        {"TimeUnixNano": NOW, "EndTimeUnixNano": NOW + 1_500_000, "Duration": 1_500_000, "SpanName": "GET /"}]
    assert one.sql("SELECT MetricName, MetricType, TimeUnixNano FROM metrics ORDER BY MetricName") == [
        {"MetricName": name, "MetricType": kind, "TimeUnixNano": NOW}
        for name, kind in [("e", "exponential_histogram"), ("g", "gauge"), ("h", "histogram"), ("q", "summary"), ("s", "sum")]]
    tables = {row["name"] for row in one.sql("SHOW TABLES")}
    assert tables == {"logs", "traces", "metrics", "otel_logs", "otel_traces", "otel_metrics_gauge", "otel_metrics_sum",
                      "otel_metrics_histogram", "otel_metrics_exponential_histogram", "otel_metrics_summary"}


@pytest.mark.parametrize("sql", ["DESCRIBE", "SHOW ALL TABLES", "SELECT name, schema FROM (DESCRIBE)",
                                 "SELECT name, schema FROM (SHOW ALL TABLES), traces WHERE TraceId = '5b8efff798038103d269b633813fc60c'"])
def test_all_tables_are_those_that_can_be_asked(server, sql):
    one = server()
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "s", "startTimeUnixNano": str(NOW),
            "endTimeUnixNano": str(NOW)}
    send(one, "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    one.sql("SELECT * FROM otel_traces WHERE TraceId = '5b8efff798038103d269b633813fc60c'")  # makes tables of rows that are here
    shown = [(row["schema"], row["name"]) for row in one.sql(sql)]
    assert sorted(shown) == sorted(("main", row["name"]) for row in one.sql("SHOW TABLES")) and len(shown) == 10


def test_empty_tables_have_their_columns(server):
    one = server()
    assert one.sql("SELECT * FROM traces") == []
    columns = [row["column_name"] for row in one.sql("DESCRIBE otel_logs")]
    assert columns[0] == "Timestamp" and "LogAttributesTypes" in columns


# Formats

VALUES = ("SELECT 1 AS a, 'x' AS a, NULL AS b, 'nan'::DOUBLE AS n, 12345678901234567890123 AS h, -1.50::DECIMAL(5,2) AS d, "
          "TIMESTAMPTZ '2026-01-02 03:04:05.000006Z' AS t, TIMESTAMP '1969-12-31 23:59:59.5' AS ts, DATE '2026-01-02' AS dt, "
          "'\\x00\\xFF'::BLOB AS bl, [1, NULL] AS l, {'k': 'v\"'} AS s, MAP {'b': 1, 'a': 2} AS m, 0.1::FLOAT AS f, "
          "UUID '00112233-4455-6677-8899-aabbccddeeff' AS u, INTERVAL 1 DAY AS i, 9007199254740993 AS big")


def test_json(server):
    answer = ask(server(), VALUES, "application/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == [{
        "a": 1, "a_1": "x", "b": None, "n": None, "h": 12345678901234567890123, "d": -1.5, "t": "2026-01-02T03:04:05.000006Z",
        "ts": "1969-12-31T23:59:59.500000", "dt": "2026-01-02", "bl": "AP8=", "l": [1, None], "s": {"k": 'v"'},
        "m": {"b": 1, "a": 2}, "f": 0.1, "u": "00112233-4455-6677-8899-aabbccddeeff", "i": "1 day", "big": 9007199254740993}]


def test_ndjson_of_many_rows(server):
    answer = ask(server(), "SELECT range AS r, repeat('ü', 50) AS t FROM range(100000)", "application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["r"] for row in rows] == list(range(100000)) and rows[-1]["t"] == "ü" * 50


def test_csv(server):
    one = server()
    text = ask(one, "SELECT 'a,\"b\"\n' AS x, NULL AS y, '' AS z, [1] AS l UNION ALL SELECT 'p', 'q', ' r', NULL", "text/csv").text
    assert text == 'x,y,z,l\n"a,""b""\n",,"",[1]\np,q," r",\n'
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x", "y", "z", "l"], ['a,"b"\n', "", "", "[1]"], ["p", "q", " r", ""]]
    assert ask(one, "SELECT chr(13) AS r, 'a' || chr(13) || chr(10) AS rn", "text/csv").text == 'r,rn\n"\r","a\r\n"\n'


def test_a_value_out_of_csv_is_taken_back_as_it_is(server):
    """By a shell: T=$(otolith query --format csv … | tail -1)."""
    one = server()
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "GET /", "startTimeUnixNano": str(NOW),
            "endTimeUnixNano": str(NOW + 1)}
    send(one, "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    script = '''trace=$("$0" query --data "$1" --format csv "SELECT TraceId FROM traces" | tail -1)
                "$0" query --data "$1" --format csv "SELECT SpanName FROM traces WHERE TraceId = '$trace'"'''
    done = subprocess.run(["sh", "-c", script, binary(), one.data], capture_output=True, text=True, timeout=60)
    assert done.stdout == "SpanName\nGET /\n", done.stderr


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_columns_formats(server, kind):
    one = server()
    send(one, "/v1/logs", logs(3000))
    sql = ("SELECT *, TimeUnixNano % 3 = 0 AS third, CASE WHEN TimeUnixNano % 2 = 0 THEN [1, NULL] END AS l, {'a': 1} AS st, "
           "1 AS third FROM logs WHERE SeverityNumber >= ? ORDER BY TimeUnixNano")
    accept = {"arrow": "application/vnd.apache.arrow.stream", "parquet": "application/vnd.apache.parquet"}[kind]
    answer = ask(one, sql, accept, parameters=[9])
    assert answer.status_code == 200 and answer.headers["content-type"] == accept, answer.text
    table = pa.ipc.open_stream(answer.content).read_all() if kind == "arrow" else pq.read_table(io.BytesIO(answer.content))
    table.validate(full=True)
    assert table.num_rows == 3000
    assert table["TimeUnixNano"].to_pylist() == list(range(NOW, NOW + 3000))
    assert table["LogAttributes"][2999].as_py() == [("n", "2999")]
    assert table["l"].to_pylist() == [[1, None] if (NOW + i) % 2 == 0 else None for i in range(3000)]
    assert table["third_1"][0].as_py() == 1 and str(table.schema.field("Timestamp").type) == "timestamp[us, tz=UTC]"


def test_every_type_as_arrow(server):
    sql = VALUES + (", 1::TINYINT AS i8, 2::USMALLINT AS u16, 3::UBIGINT AS u64, true AS bo, TIME '01:02:03' AS tm, [1, 2]::INT[2] AS fl, "
                    "TIMESTAMP_NS '2026-01-01 00:00:00.000000001' AS tn, [{'a': [MAP {1: NULL}]}] AS deep")
    table = pa.ipc.open_stream(ask(server(), sql, "application/vnd.apache.arrow.stream").content).read_all()
    table.validate(full=True)
    row = table.to_pylist()[0]
    assert row["h"] == 12345678901234567890123 and row["bl"] == b"\x00\xff" and row["deep"] == [{"a": [[(1, None)]]}]
    assert row["i8"] == 1 and row["u64"] == 3 and row["fl"] == [1, 2] and row["bo"] is True


@pytest.mark.parametrize("accepts, content_type", [
    ([], "application/json"),
    (["application/json, text/plain, */*"], "application/json"),
    (["text/plain;q=0.5, text/csv"], "text/csv; charset=utf-8; header=present"),
    (["text/html, application/*;q=0.5", "application/json;q=0.1"], "application/x-ndjson"),
    (["text/csv;q=0"], "application/json"),
], ids=["none", "in order", "by weight", "by wildcard", "only refused"])
def test_the_format_is_what_the_client_likes_best(server, accepts, content_type):
    headers = [("Content-Type", "application/sql"), *[("Accept", accept) for accept in accepts]]
    with httpx.Client(verify=PLAIN) as client:
        del client.headers["Accept"]
        answer = client.post(server().http + "/api/v1/sql", headers=headers, content="SELECT 1 AS a")
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


@pytest.mark.parametrize("kind, body", [
    ("Application/SQL; charset=utf-8", "SELECT 1 AS a"),
    ("APPLICATION/JSON", '{"sql": "SELECT 1 AS a"}'),
    ("application/json;charset=utf-8", '{"sql": "SELECT 1 AS a"}'),
])
def test_a_content_type_has_any_case_and_parameters(server, kind, body):
    answer = httpx.post(server().http + "/api/v1/sql", headers={"Content-Type": kind}, content=body, timeout=60, verify=PLAIN)
    assert (answer.status_code, answer.json()) == (200, [{"a": 1}])


BIG = ["0", "7", "-7", "255", "-256", "65536", "18446744073709551616", "-1" + "0" * 60, "12345678901234567890" * 20]


def test_numbers_of_any_size(server):
    one = server()
    sql = f"SELECT unnest({BIG})::BIGNUM AS n, [n, NULL] AS l, MAP {{n: 1}} AS m"
    rows = ask(one, sql, "application/json").json()
    assert [row["n"] for row in rows] == [int(number) for number in BIG]
    assert rows[-1] == {"n": int(BIG[-1]), "l": [int(BIG[-1]), None], "m": {BIG[-1]: 1}}
    assert ask(one, f"SELECT unnest({BIG})::BIGNUM AS n", "text/csv").text.split() == ["n", *BIG]
    assert BIG[2] in ask(one, sql, "text/plain").text
    assert ask(one, "SELECT NULL::BIGNUM AS n", "application/json").json() == [{"n": None}]


# Of every type that DuckDB has, of all its functions and casts: a row that answers, or a reason, and the process lives.
def test_every_type_of_duckdb_is_written_or_refused(server):
    one = server("--query-workers", "1", "--query-idle", "1h")
    one.sql("SELECT 1")
    pids = query_pids(one)
    names = {name for (name,) in duckdb.execute("SELECT DISTINCT logical_type FROM duckdb_types() WHERE database_name = 'system'").fetchall()}
    kinds = {"DECIMAL": "DECIMAL(30, 3)", "ENUM": "ENUM('a', 'b')", "LIST": "BIGNUM[]", "MAP": "MAP(BIT, TIME_NS)", "ARRAY": "BIGNUM[1]",
             "STRUCT": "STRUCT(a BIGNUM)", "UNION": "UNION(a BIGNUM, b BIT)", "NULL": '"NULL"'}
    refused = set()
    for name in sorted(names):
        for value in ("NULL", "'1'", "1", "[1]", "{'a': 1}", "'12:00:00'", "'2026-01-01'", "'POINT(1 2)'"):
            for accept in ("application/json", "text/csv"):
                answer = ask(one, f"SELECT TRY_CAST({value} AS {kinds.get(name, name)}) AS v", accept)
                if answer.status_code != 200 and "cast it to VARCHAR" in answer.text:
                    refused.add(name)
                assert answer.status_code in (200, 400) or name in refused, answer.text
    assert query_pids(one) == pids, "the process that was there"
    assert refused == {"GEOMETRY", "TYPE", "VARIANT"}


def test_a_struct_without_names_is_an_array(server):
    one = server()
    assert one.sql("SELECT row(1, 'x', {'a': row(2)}) AS v") == [{"v": [1, "x", {"a": [2]}]}]


def test_no_rows_in_every_format(server):
    one = server()
    sql = "SELECT 1 AS a WHERE false"
    assert ask(one, sql, "application/json").json() == []
    assert ask(one, sql, "application/x-ndjson").text == ""
    assert ask(one, sql, "text/csv").text == "a\n"
    assert pa.ipc.open_stream(ask(one, sql, "application/vnd.apache.arrow.stream").content).read_all().num_rows == 0
    assert pq.read_table(io.BytesIO(ask(one, sql, "application/vnd.apache.parquet").content)).num_rows == 0


# Parameters and errors

def test_parameters(server):
    one = server()
    assert one.sql("SELECT ?::BIGINT AS a, ? AS b, ?::DOUBLE AS c, ? AS d, ? AS e", [9007199254740993, "ü\"", 1.5, True, None]) == [
        {"a": 9007199254740993, "b": 'ü"', "c": 1.5, "d": True, "e": None}]
    assert one.sql("SELECT $2::VARCHAR AS b, $1::INT AS a", [1, "x"]) == [{"b": "x", "a": 1}]
    assert one.sql("SELECT $x + $y AS z", {"x": 1, "y": 2}) == [{"z": 3}]
    for sql, parameters in [("SELECT ?", []), ("SELECT 1", [1]), ("SELECT $a", {"b": 1}), ("SELECT ?", [[1]])]:
        with pytest.raises(SqlError) as problem:
            one.sql(sql, parameters)
        assert problem.value.status == 400


@pytest.mark.parametrize("sql,line,column", [
    ("SELEC 1", 1, 1), ("SELECT nope FROM logs", 1, 8), ("SELECT 1,\n  'ü' || nope(2)", 2, 10), ("SELECT * FROM nowhere", 1, 15),
    ("SELECT\n\n'a'::INT", 3, 4), ("SELECT * FROM logs WHERE\n Body + 1 = ", 2, 13)])
def test_errors_have_line_and_column(server, sql, line, column):
    answer = ask(server(), sql, "application/json")
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["status"] == "invalid"
    assert (error["line"], error["column"]) == (line, column), error
    assert "read_parquet" not in error["message"] and "\n" not in error["message"]


PIVOT_WORDS = "; PIVOT without its values becomes two, so name them: ON … IN ('a', 'b')"


@pytest.mark.parametrize("sql, message", [
    ("SELECT 1; SELECT 2", "only one statement is allowed, there are 2"),
    ("SELECT 1; ; SELECT 2;", "only one statement is allowed, there are 2"),
    ("PIVOT logs ON SeverityText USING count(*)", "only one statement is allowed, there are 2" + PIVOT_WORDS),
    ("FROM (pivot_wider logs ON SeverityText USING count(*)) ORDER BY ALL", "only one statement is allowed, there are 2" + PIVOT_WORDS),
])
def test_pivot_without_values_is_told_what_it_lacks(server, sql, message):
    one = server()
    answer = ask(one, sql, "application/json")
    assert answer.status_code == 403 and answer.json()["error"]["message"] == message
    assert one.sql("PIVOT logs ON SeverityText IN ('INFO') USING count(*)") == []


def test_no_sql(server):
    one = server()
    for sql in ["", "  ", "-- nothing", ";", "SELECT '\0'"]:
        assert ask(one, sql, "application/json").status_code == 400


# Limits and crashes

def test_a_query_that_runs_away_is_ended_by_time(server):
    one = server("--query-timeout", "1s")
    started = time.monotonic()
    answer = ask(one, "SELECT sum(sin(range)) FROM range(1000000000000)", "application/json")
    assert answer.status_code == 504 and time.monotonic() - started < 8, answer.text
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize("accept", ["text/csv", "application/vnd.apache.arrow.stream"])
def test_the_time_of_a_slow_reader_is_not_the_querys(server, accept):
    one = server("--query-timeout", "2s")
    sql = "SELECT repeat('x', 1000) AS x FROM range(30000)"  # more than sockets and the server hold for a reader
    with httpx.stream("POST", one.http + "/api/v1/sql", headers={"Accept": accept}, json={"sql": sql}, timeout=60,
                      verify=PLAIN) as answer:
        parts = answer.iter_raw()
        begin = next(parts)
        time.sleep(3)
        content = begin + b"".join(parts)
    if accept == "text/csv":
        assert content == b"x\n" + (b"x" * 1000 + b"\n") * 30000
    else:
        assert pa.ipc.open_stream(content).read_all()["x"].to_pylist() == ["x" * 1000] * 30000


def test_a_query_that_runs_away_after_its_first_rows_is_broken_off(server):
    one = server("--query-timeout", "1s")
    sql = "FROM range(1000000000000) WHERE range < 500000 OR sin(range) > 2"
    with pytest.raises(httpx.RemoteProtocolError):
        with httpx.stream("POST", one.http + "/api/v1/sql", headers={"Accept": "text/csv"}, json={"sql": sql}, timeout=60,
                          verify=PLAIN) as answer:
            assert answer.status_code == 200
            for _ in answer.iter_raw():
                pass
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]


def test_a_recursive_query_is_ended(server):
    one = server("--query-timeout", "1s", "--query-memory-limit", "64MiB")
    answer = ask(one, "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t", "application/json")
    assert answer.status_code in (422, 504), answer.text
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize("sql", ["SELECT list(a.range || b.range) FROM range(100000) a, range(10000) b",
                                 "SELECT * FROM (SELECT range, hash(range) AS h FROM range(50000000)) ORDER BY h",
                                 "SELECT count(DISTINCT hash(range)) FROM range(50000000)",
                                 # By a thousand: byte by byte DuckDB fills such a text for seconds before it minds.
                                 "SELECT repeat(repeat('x', 1000), 400000) FROM range(8)"])
def test_a_query_that_eats_memory_is_ended(server, sql):
    one = server("--query-memory-limit", "64MiB")
    answer = ask(one, sql, "application/json")
    assert answer.status_code in (422, 400) and "memory" in answer.json()["error"]["message"], answer.text
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize("accept", ["application/json", "application/vnd.apache.parquet"])
def test_too_many_rows(server, accept):
    one = server("--query-rows-max", "100")
    assert ask(one, "FROM range(100)", accept).status_code == 200
    answer = ask(one, "FROM range(101)", accept)
    assert answer.status_code == 422 and "100 rows (query_rows_max)" in answer.json()["error"]["message"], answer.text


def test_an_answer_that_grows_too_long_is_cut_off_visibly(server):
    one = server("--query-rows-max", "100000")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(one, "SELECT range, repeat('x', 100) FROM range(1000000)", "application/json")


@pytest.mark.parametrize("args, sql, reason", [
    (["--query-rows-max", "500000"], "FROM range(1000000)", "more than 500000 rows (query_rows_max)"),
    (["--query-timeout", "1s"], "FROM range(1000000000000) WHERE range < 500000 OR sin(range) > 2", "longer than 1000 ms (query_timeout)"),
    # By one thread: of two, DuckDB sometimes has only the other's interruption to tell.
    (["--query-threads", "1"], "SELECT CASE WHEN range = 400000 THEN error('boom') ELSE range END AS v FROM range(500000)", "boom"),
], ids=["rows", "time", "error"])
def test_why_an_answer_broke_off_is_in_the_log_and_the_command_says_so(server, args, sql, reason):
    one = server(*args)
    done = command(binary(), "--data", one.data, "--format", "csv", sql)
    assert done.returncode == 1 and len(done.stdout.splitlines()) > 1
    assert done.stderr.decode() == ("otolith: the answer broke off: the server's log says why; more rows than query_rows_max, or longer than "
                                    "query_timeout, is most likely\n")
    warnings = [line for line in one.log.splitlines() if "broke off" in line]
    assert len(warnings) == 1 and " warn  /api/v1/sql: the answer broke off: " in warnings[0] and reason in warnings[0], one.log


def test_an_answer_that_its_query_process_takes_with_it_is_in_the_log(server):
    one = server()
    with httpx.stream("POST", one.http + "/api/v1/sql", headers={"Accept": "text/csv"}, timeout=60, verify=PLAIN,
                      json={"sql": "FROM range(1000000000000) WHERE range < 500000 OR sin(range) > 2"}) as answer:
        parts = answer.iter_raw()
        next(parts)
        os.kill(query_pids(one)[0], signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in parts:
                pass
    assert "warn  /api/v1/sql: the answer broke off: the query process died" in one.log


def test_a_reader_that_goes_away_is_nothing_to_warn_of(server):
    one = server("--query-workers", "1")
    for _ in range(3):
        with httpx.stream("POST", one.http + "/api/v1/sql", headers={"Accept": "text/csv"}, timeout=60, verify=PLAIN,
                          json={"sql": "FROM range(1000000)"}) as answer:
            next(answer.iter_raw())
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]
    assert "broke off" not in one.log


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2-prior-knowledge"])
def test_an_answer_that_fails_midway_does_not_look_whole(server, tmp_path, version):
    one = server()
    sql = "SELECT CASE WHEN range = 400000 THEN error('boom') ELSE repeat('x', 50) END AS v FROM range(500000)"
    done = subprocess.run(["curl", "-s", version, "-o", tmp_path / "part", "-w", "%{http_code}", "-d", sql, "-H",
                           "Content-Type: application/sql", "-H", "Accept: text/csv", one.http + "/api/v1/sql"],
                          capture_output=True, text=True)
    assert done.stdout == "200" and done.returncode != 0


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_what_comes_behind_a_request_of_http_1_0_does_not_break_its_answer_off(server, connection):
    """Closing over bytes that nobody read would reset the connection, and the reader lose what it has not read yet."""
    one = server()
    sql = "SELECT range, repeat('x', 8) FROM range(900000)"
    head = f"POST /api/v1/sql HTTP/1.0\r\nHost: localhost\r\nConnection: {connection}\r\nAccept: text/csv\r\n" \
           f"Content-Type: application/sql\r\nContent-Length: {len(sql)}\r\n\r\n"
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.settimeout(30)
        peer.connect(("127.0.0.1", int(one.http.rsplit(":", 1)[1])))
        peer.sendall((head + sql).encode())
        got = peer.recv(65536)  # the answer has begun
        peer.sendall(b"\r\n")
        while piece := peer.recv(65536):
            got += piece
    assert got.split(b"\r\n")[0].endswith(b"200 OK") and got.rstrip().endswith(b"899999,xxxxxxxx")


@pytest.mark.parametrize("while_running", [True, False])
def test_kill_9_of_the_query_process(server, while_running):
    one = server()
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]
    pids = query_pids(one)
    assert len(pids) == 1
    if while_running:
        running = subprocess.Popen(["curl", "-s", "-H", "Content-Type: application/sql", one.http + "/api/v1/sql", "-d",
                                    "SELECT sum(sin(range)) FROM range(1000000000000)"],
                                   stdout=subprocess.PIPE)
        time.sleep(0.5)
    os.kill(pids[0], signal.SIGKILL)
    one.wait_for(lambda: has_ended(pids[0]), what="the end of the query process")
    if while_running:
        assert json.loads(running.communicate(timeout=20)[0])["error"]["status"] == "internal"
    assert one.sql("SELECT 2 AS a") == [{"a": 2}]
    assert query_pids(one) not in ([], pids)


def zeros(content, first, end):
    return content[:first] + bytes(end - first) + content[end:]


def without_pages(content):
    group = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
    return zeros(content, 4, 4 + sum(group.column(i).total_compressed_size for i in range(group.num_columns)))


def with_words_for_times(content):
    table = pq.ParquetFile(io.BytesIO(content)).read()
    words = pa.array(["soon"] * table.num_rows)
    output = io.BytesIO()
    pq.write_table(table.set_column(table.schema.get_field_index("Timestamp"), "Timestamp", words), output)
    return output.getvalue()


@pytest.mark.parametrize("damage, status", [
    (without_pages, "corrupt"),
    (with_words_for_times, "corrupt"),
    (lambda content: content[:-4] + b"PARE", "corrupt"),
    (lambda content: zeros(content, len(content) - 300, len(content) - 8), "corrupt"),
    (lambda content: content[:-100], "corrupt"),
    (lambda content: b"", "corrupt"),
    (None, "io"),
], ids=["pages", "words for times", "encrypted", "footer", "cut off", "empty", "gone"])
def test_a_damaged_file_is_not_the_fault_of_the_query(server, damage, status):
    one = server("--flush-rows", "40", "--flush-interval", "1s")
    for i in range(3):
        send(one, "/v1/logs", logs(50, start=NOW + 100 * i))
    one.wait_for(lambda: one.metric("otolith_flushes_total") >= 3, what="files")
    path = sorted(one.data.glob("logs/**/*.parquet"))[1]
    content = path.read_bytes()
    everything = "SELECT count(DISTINCT SpanId), count(Body), count(LogAttributes), max(Timestamp) FROM otel_logs"
    some = "SELECT Body FROM otel_logs WHERE LogAttributes['n'] = '7' ORDER BY ALL"
    whole = [one.sql(everything), one.sql(some)]
    if damage:
        path.write_bytes(damage(content))
    else:
        path.unlink()
    failed = 0
    for sql, right in zip([everything, some], whole):
        answer = ask(one, sql, "application/json")
        if answer.status_code == 200:  # it did not need what is damaged
            assert damage and answer.json() == right
            continue
        failed += 1
        error = answer.json()["error"]
        assert (answer.status_code, error["status"]) == (500, status), answer.text
        assert status != "corrupt" or "otolith verify" in error["message"]
    if failed and damage:
        done = subprocess.run([binary(), "verify", "--data", one.data], stdout=subprocess.PIPE, text=True)
        assert done.returncode == 1 and path.name in done.stdout, "verify tells which"
    path.write_bytes(content)
    assert [one.sql(everything), one.sql(some)] == whole


def test_a_client_that_goes_away_ends_its_query(server):
    one = server("--query-workers", "1")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(one.http + "/api/v1/sql", headers={"Content-Type": "application/sql"}, timeout=0.5,
                   content="SELECT sum(sin(range)) FROM range(1000000000000)")
    started = time.monotonic()
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]
    assert time.monotonic() - started < 10


def test_the_process_ends_when_idle_and_comes_back(server):
    one = server("--query-idle", "300ms")
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]
    assert query_pids(one)
    one.wait_for(lambda: not query_pids(one), what="the end of the query process")
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]


def test_a_process_started_ahead_stays(server):
    one = server("--query-idle", "100ms", "--query-ahead", "1")
    one.wait_for(lambda: query_pids(one), what="the query process")
    ahead = query_pids(one)
    time.sleep(0.5)
    assert one.sql("SELECT 1 AS a") == [{"a": 1}]
    time.sleep(0.5)
    assert query_pids(one) == ahead and len(ahead) == 1
    os.kill(ahead[0], signal.SIGKILL)
    try:
        one.sql("SELECT 2 AS a")  # another process takes it, unless it finds this one dying
    except SqlError:
        pass
    one.wait_for(lambda: query_pids(one) not in ([], ahead), what="another process")
    assert one.sql("SELECT 2 AS a") == [{"a": 2}]


def test_no_query_process_outlives_the_server(server):
    one = server()
    one.sql("SELECT 1")
    pids = query_pids(one)
    one.kill()
    deadline = time.monotonic() + 10
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_many_at_once(server):
    one = server()
    send(one, "/v1/logs", logs(100))
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: one.sql(f"SELECT count(*) + {i} AS n FROM logs"), range(40)))
    assert answers == [[{"n": 100 + i}] for i in range(40)]


# The command

def test_command_with_a_server(server, otolith_binary):
    one = server()
    send(one, "/v1/logs", logs(3))
    done = command(otolith_binary, "--data", one.data, "SELECT ServiceName, count(*) AS n FROM logs GROUP BY 1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == ["ServiceName  n", "───────────  ─", "shop         3", "(1 row)"]
    done = command(otolith_binary, "--data", one.data, "--format=json", "-", input=b"SELECT 1 AS a")
    assert json.loads(done.stdout) == [{"a": 1}]
    done = command(otolith_binary, "--data", one.data, "--format", "parquet", "SELECT * FROM logs")
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 3


def test_command_without_a_server_sees_what_a_crash_left(server, otolith_binary):
    one = server()
    send(one, "/v1/logs", logs(5))
    one.kill()
    for _ in range(2):
        done = command(otolith_binary, "--data", one.data, "--format", "ndjson", "SELECT count(*) AS n FROM logs")
        assert done.returncode == 0 and json.loads(done.stdout) == {"n": 5}, done.stderr
    one.start()
    assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": 5}]


def test_a_folder_that_cannot_be_opened_is_not_waited_for(otolith_binary, tmp_path):
    (tmp_path / "wal").mkdir()
    (tmp_path / "promoted").write_text("acme.tenant\n")
    done = command(otolith_binary, "--data", tmp_path, "SELECT 1")
    assert done.returncode == 1 and b"promoted: a line is not 'id<TAB>attribute'" in done.stderr


def test_a_folder_whose_log_is_a_file_is_not_waited_for(otolith_binary, tmp_path):
    (tmp_path / "wal").touch()
    done = command(otolith_binary, "--data", tmp_path, "SELECT 1")
    assert done.returncode == 1 and f"{tmp_path}/wal: it is there, and is no folder".encode() in done.stderr


def test_who_wants_a_folder_that_a_command_reads_is_told_and_a_command_waits(server, otolith_binary):
    one = server()
    one.stop()

    def start(*args):
        return subprocess.Popen([otolith_binary, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain_environment())

    # It cannot end before its answer is read.
    first = start("query", "--data", one.data, "--format", "ndjson", "SELECT * FROM range(1000000)")
    assert first.stdout.readline() == b'{"range":0}\n'
    at_work = f"otolith: otolith query, process {first.pid}, reads {one.data}: "
    refused = start("serve", "--data", one.data, "--listen", "127.0.0.1:0")
    said = refused.communicate(timeout=60)
    assert (refused.returncode, said) == (1, (b"", (at_work + "wait for it or stop it\n").encode()))
    second = start("query", "--data", one.data, "--format", "ndjson", "SELECT 42 AS a")
    assert second.stderr.readline() == (at_work + "waiting for it\n").encode()
    assert second.poll() is None
    assert first.stdout.read().endswith(b'{"range":999999}\n') and first.wait(60) == 0
    assert second.communicate(timeout=60) == (b'{"a":42}\n', b"") and second.returncode == 0
    one.start()


@pytest.mark.parametrize("running", [True, False])
def test_command_shows_where_the_error_is(server, otolith_binary, running):
    one = server()
    if not running:
        one.stop()
    done = command(otolith_binary, "--data", one.data, "SELECT\n  nope FROM logs")
    assert done.returncode == 1 and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert re.match(r"otolith: line 2, column 3: .*nope", lines[0]) and lines[1:] == ["    nope FROM logs", "    ^"]


def test_limits_of_a_server_do_not_hold_without_one(server, otolith_binary):
    one = server("--query-rows-max", "1000")
    sql = "SELECT range FROM range(1000001)"
    assert command(otolith_binary, "--data", one.data, "--format", "csv", sql).returncode == 1
    one.stop()
    env = plain_environment(OTOLITH_QUERY_ROWS_MAX="1000", OTOLITH_QUERY_TIMEOUT="1ms", OTOLITH_QUERY_MEMORY_LIMIT="1")
    done = command(otolith_binary, "--data", one.data, "--format", "csv", sql, env=env)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.endswith(b"\n1000000\n")


def test_command_wrong_use(otolith_binary, tmp_path):
    assert command(otolith_binary, "--data", tmp_path / "none", "SELECT 1").returncode == 1
    assert b"there is no folder" in command(otolith_binary, "--data", tmp_path / "none", "SELECT 1").stderr
    assert not (tmp_path / "none").exists()
    (tmp_path / "other").mkdir()
    done = command(otolith_binary, "--data", tmp_path / "other", "SELECT 1")
    assert done.returncode == 1 and b"is not a data folder" in done.stderr and not list((tmp_path / "other").iterdir())
    for args in [["--format", "xml", "SELECT 1"], ["--nope"], ["SELECT 1", "SELECT 2"]]:
        assert command(otolith_binary, *args).returncode == 2
    assert command(otolith_binary, "--help").returncode == 0


def test_table_tells_null_from_an_empty_text(server, otolith_binary):
    one = server()
    done = command(otolith_binary, "--data", one.data, "SELECT NULL::VARCHAR AS a, '' AS b, NULL::INT AS c, 1 AS d")
    assert done.stdout.decode().splitlines() == ["a     b     c  d", "────  ─  ────  ─", "NULL     NULL  1", "(1 row)"]


def test_table_shows_no_control_characters(server, otolith_binary):
    one = server()
    out = command(otolith_binary, "--data", one.data, "SELECT 'a\x1b[31m\nb' || chr(155) || repeat('x', 100) AS c").stdout.decode()
    assert "\x1b" not in out and "\x9b" not in out and "\\n" in out and "…" in out
