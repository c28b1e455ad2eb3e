"""Queries open only files that can hold a wanted row, and pick single rows out of them: the answers are those of reading everything."""
import json
import os
import random
import shutil
import subprocess

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Server

START = 1_760_000_000_000_000_000
HOUR = 3600 * 10**9
SPANS = 2400
SERVICES = ["cart", "checkout", "it's", "ü-mail"]


def attribute(key, value):
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def span(i: int) -> dict:
    attributes = [attribute("tenant", f"tenant-{i % 7}"), attribute("request", f"r{i}"), attribute("http.route", f"/r/{i % 5}"),
                  attribute("http.response.status_code", 500 if i % 50 == 0 else 200), attribute("it's", f"a'b {i % 3} AND x")]
    if i % 11 == 0:  # a key twice: the first counts
        attributes.append(attribute("tenant", f"tenant-{(i + 1) % 7}"))
    if i % 13 == 0:
        attributes = []
    start = START + i * 6 * HOUR // SPANS
    return {"traceId": f"{i // 8 + 1:032x}", "spanId": f"{i + 1:016x}", "parentSpanId": f"{i:016x}" if i % 8 else "", "kind": 2,
            "name": f"op {i % 4}", "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + (i % 90) * 10**6 + 500),
            "attributes": attributes, "status": {"code": 2, "message": "bad\nline"} if i % 17 == 0 else {},
            "events": [{"timeUnixNano": str(start), "name": "e", "attributes": [attribute("n", i)]}] * (i % 3)}


def send(server, first, count):
    blocks = []
    for number, service in enumerate(SERVICES):
        spans = [span(i) for i in range(first, first + count) if i // 3 % len(SERVICES) == number]
        blocks.append({"resource": {"attributes": [attribute("service.name", service), attribute("region", f"eu-{number % 2}"),
                                                   attribute("everywhere", "x")]},
                       "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]})
    answer = server.post("/v1/traces", json.dumps({"resourceSpans": blocks}).encode(), "application/json")
    assert answer.status_code == 200, answer.text


def ask(server, sql, parameters=None):
    """Rows in the order of their text, and what the answer says of files."""
    document = {"sql": sql} if parameters is None else {"sql": sql, "parameters": parameters}
    answer = httpx.post(server.http + "/api/v1/sql", json=document, headers={"Accept": "application/json"}, timeout=120)
    assert answer.status_code == 200, f"{sql}: {answer.text}"
    rows = sorted(json.dumps(row, sort_keys=True) for row in answer.json())
    return rows, {name[8:]: int(value) for name, value in answer.headers.items() if name.startswith("otolith-")}


def without_pruning(sql):
    """The same over rows that no condition can be pushed through to."""
    for view in ("otel_traces", "traces"):
        sql = sql.replace(f" {view} ", f" (SELECT * FROM {view}_ LIMIT 1000000000) ")
    return sql.replace("traces_", "traces")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Most spans in files of some 150 rows, the last ones in memory."""
    one = Server(tmp_path_factory.mktemp("pruning"), ["--flush-rows", "150", "--promote", "tenant"]).start()
    for first in range(0, SPANS, 100):
        send(one, first, 100)
    one.wait_for(lambda: len(list(one.data.glob("traces/**/*.parquet"))) >= 12, what="files")
    yield one
    one.stop()


def check(server, sql, parameters=None):
    rows, scan = ask(server, sql, parameters)
    expected, everything = ask(server, without_pruning(sql), parameters)
    assert rows == expected, sql
    assert everything["files-read"] == everything["files"] and everything["rows-picked"] == 0
    return rows, scan


TRACE = f"{100:032x}"
FEW = [
    "SELECT count(*) AS n FROM traces WHERE Timestamp >= '2025-10-09T09:00:00Z' AND Timestamp < '2025-10-09T09:20:00Z'",
    "SELECT count(*) AS n FROM traces WHERE Timestamp BETWEEN TIMESTAMP '2025-10-09 09:00:00' AND make_timestamp(1760001200000000)",
    "WITH late AS (SELECT * FROM traces WHERE Timestamp > '2025-10-09T13:00:00Z') SELECT ServiceName, count(*) AS n FROM late GROUP BY 1",
    f"SELECT * FROM traces WHERE TraceId = '{TRACE}'",
    f"SELECT * FROM otel_traces WHERE TraceId = '{TRACE}'",
    f"SELECT SpanName FROM traces AS t WHERE t.TraceId IN ('{TRACE}', '{1:032x}') ORDER BY ALL",
    f"SELECT count(*) AS n FROM traces WHERE TraceId = '{TRACE}' OR TraceId = '{2:032x}'",
    f"SELECT count(*) AS n FROM traces WHERE TraceId IN ('{TRACE}', '{1:032x}') OR TraceId = '{2:032x}'",
    "SELECT count(*) AS n FROM traces WHERE TraceId = 'none'",
    f"SELECT TraceId, upper(TraceId) AS u, length(TraceId) AS l, SpanId FROM traces WHERE TraceId = '{TRACE}' ORDER BY ALL",
    f"SELECT TraceId, count(*) AS n FROM traces WHERE TraceId = '{TRACE}' GROUP BY TraceId",
    f"SELECT t.TraceId, SpanAttributes['tenant'] AS s FROM otel_traces t WHERE TraceId = '{TRACE}' AND SpanAttributes['tenant'] = 'tenant-1' ORDER BY ALL",
    f"SELECT SpanId, TraceId, ParentSpanId FROM traces WHERE SpanId = '{9:016x}' AND TraceId >= '0'",
    f"SELECT SpanId FROM traces WHERE TraceId = '{TRACE}' AND SpanId = '{9:016x}' AND ParentSpanId <> 'x' ORDER BY ALL",
    "SELECT * FROM traces WHERE SpanAttributes['request'] = 'r77'",
    "SELECT Duration FROM traces WHERE SpanAttributes['request'] IN ('r77', 'r2300')",
    "SELECT count(*) AS n FROM traces WHERE ServiceName = 'a'",
    f"SELECT count(*) AS n FROM traces x JOIN traces y ON x.SpanId = y.ParentSpanId WHERE x.TraceId = '{TRACE}' AND y.TraceId = '{TRACE}'",
    f"SELECT count(*) AS n FROM traces WHERE TraceId = '{TRACE}' AND SpanAttributes['tenant'] = 'tenant-1'",
]


# Filters let one in fifteen files pass that lacks a value, and what is in memory is known by its times only.
@pytest.mark.parametrize("sql", FEW)
def test_few_files_are_read(filled, sql):
    _, scan = check(filled, sql)
    assert scan["files"] >= 12 and scan["files-read"] <= 0.7 * scan["files"], scan


def test_parameters_and_expressions_prune_as_constants_do(filled):
    for sql, parameters in [("SELECT count(*) AS n FROM traces WHERE TraceId = ?", [TRACE]),
                            ("SELECT count(*) AS n FROM traces WHERE TraceId = $id", {"id": TRACE}),
                            ("SELECT count(*) AS n FROM traces WHERE Timestamp < ?::TIMESTAMPTZ + INTERVAL 5 MINUTE", ["2025-10-09T08:53:20Z"]),
                            ("SELECT count(*) AS n FROM traces WHERE Timestamp > now() - INTERVAL 1 HOUR", None)]:
        _, scan = check(filled, sql, parameters)
        assert scan["files-read"] <= 0.7 * scan["files"], (sql, scan)


ALL = [
    "SELECT count(*) AS n FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1'",
    "SELECT SpanId, SpanAttributes FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1'",
    "SELECT ServiceName, SpanName, sum(Duration) AS d FROM traces WHERE SpanAttributes['tenant'] = 'tenant-2' AND Duration > 20000000 GROUP BY ALL",
    "SELECT count(*) AS n FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1' AND SpanAttributes['request'] <> 'r1'",
    "SELECT count(*) AS n FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1' AND cardinality(SpanAttributes) > 5",
    "SELECT max(SpanAttributes['request']) AS m FROM traces WHERE SpanAttributes['tenant'] = 'tenant-3'",
    "SELECT count(*) AS n FROM traces WHERE SpanAttributes['it''s'] = 'a''b 1 AND x'",
    "SELECT count(*) AS n FROM traces WHERE ResourceAttributes['region'] = 'eu-1' AND StatusMessage = 'bad\nline'",
    "SELECT count(*) AS n FROM traces WHERE ResourceAttributes['region'] = 'eu-1' AND Timestamp > '2025-10-09T12:00:00Z'",
    "SELECT count(*) AS n, count(Tenant) AS t FROM traces WHERE Tenant = 'tenant-4'",
    "SELECT count(*) AS n FROM traces WHERE SpanAttributes['http.response.status_code'] = '500'",
    "SELECT count(*) AS n FROM traces WHERE HttpResponseStatusCode = 500",
    "SELECT Events, Links, Timestamp, TimeUnixNano FROM traces WHERE SpanAttributes['tenant'] = 'tenant-5'",
    "SELECT a.SpanId FROM traces a LEFT JOIN traces b ON a.SpanId = b.ParentSpanId AND b.SpanAttributes['tenant'] = 'tenant-6' "
    "WHERE b.SpanId IS NULL",
    "SELECT (SELECT count(*) FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1') AS a, count(*) AS b FROM traces "
    "WHERE SpanAttributes['tenant'] = 'tenant-2'",
    "SELECT ServiceName FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1' GROUP BY 1 HAVING count(*) > 3",
    "SELECT Timestamp, SpanId FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1' ORDER BY Timestamp DESC, SpanId LIMIT 5",
    "SELECT * FROM traces ORDER BY Timestamp DESC, SpanId LIMIT 3",
    "SELECT count(*) AS n FROM traces WHERE NOT (SpanAttributes['tenant'] = 'tenant-1')",
    "SELECT count(*) AS n FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1' IS NULL",
    "SELECT count(*) AS n FROM traces WHERE Timestamp::DATE = '2025-10-09'",
    "SELECT count(*) AS n FROM traces WHERE epoch_us(Timestamp) < 1760001200000000",
    "SELECT count(*) AS n FROM traces WHERE SpanName LIKE 'op 1%' AND ServiceName >= 'd'",
    "SELECT count(*) AS n FROM traces WHERE false",
]


@pytest.mark.parametrize("sql", ALL)
def test_answers_are_those_of_reading_everything(filled, sql):
    check(filled, sql)


def test_rows_are_picked_where_few_are_wanted(filled):
    _, scan = check(filled, "SELECT * FROM traces WHERE SpanAttributes['request'] = 'r77'")
    assert scan["rows-picked"] == 1
    _, scan = check(filled, "SELECT count(*) AS n FROM traces WHERE SpanAttributes['tenant'] = 'tenant-1'")
    assert 0 < scan["rows-picked"] < SPANS / 6


def random_condition(rng, depth=0):
    if depth < 2 and rng.random() < 0.4:
        parts = [random_condition(rng, depth + 1) for _ in range(rng.choice([2, 2, 3]))]
        joined = f" {rng.choice(['AND', 'AND', 'OR'])} ".join(parts)
        return f"{rng.choice(['', '', 'NOT '])}({joined})"
    i = rng.randrange(SPANS)
    minute = f"2025-10-09T{9 + rng.randrange(5):02}:{rng.randrange(60):02}:00Z"
    return rng.choice([
        f"Timestamp {rng.choice(['<', '<=', '>', '>='])} '{minute}'", f"TraceId = '{i // 8 + 1:032x}'", f"SpanId <> '{i:016x}'",
        f"SpanAttributes['tenant'] = 'tenant-{i % 8}'", f"SpanAttributes['request'] IN ('r{i}', 'r{i + 40}', 'x')",
        f"ServiceName = '{rng.choice(SERVICES).replace(chr(39), chr(39) * 2)}'", f"Duration > {i % 90 * 10**6}", f"Tenant = 'tenant-{i % 8}'",
        f"HttpRoute IN ('/r/{i % 5}', '/r/{i % 3}')", "StatusCode = 'Error'", "StatusMessage IS NOT NULL",
        f"SpanAttributes['http.route'] = '/r/{i % 6}'", f"ResourceAttributes['region'] = 'eu-{i % 3}'", "SpanAttributes['tenant'] IS NULL"])


def test_random_conditions(filled):
    rng = random.Random(5)
    pruned = picked = 0
    for _ in range(50):
        condition = random_condition(rng)
        sql = rng.choice([f"SELECT count(*) AS n, sum(Duration) AS d FROM traces WHERE {condition}",
                          f"SELECT SpanId, SpanAttributes, Events FROM traces WHERE {condition}",
                          f"SELECT ServiceName, min(Timestamp) AS t, count(DISTINCT TraceId) AS n FROM otel_traces WHERE {condition} GROUP BY 1"])
        _, scan = check(filled, sql)
        pruned += scan["files-read"] < scan["files"]
        picked += scan["rows-picked"] > 0
    assert pruned > 8 and picked > 2


def test_a_file_that_is_replaced_is_read_anew(filled):
    sql = "SELECT count(*) AS n FROM traces WHERE ServiceName = 'cart' AND SpanAttributes['tenant'] = 'tenant-2'"
    count = json.loads(check(filled, sql)[0][0])["n"]
    for path in sorted(filled.data.glob("traces/**/*.parquet"))[:3]:
        before = pq.read_table(path)
        kept = before.filter([service != "cart" for service in before["ServiceName"].to_pylist()])
        pq.write_table(kept, str(path) + ".new", store_schema=False)
        os.replace(str(path) + ".new", path)
        now = json.loads(check(filled, sql)[0][0])["n"]
        assert now < count
        count = now


def rewrite(path, how):
    """As another writer has it: without field ids, or with ids of its own."""
    made = f"{path}.new"
    if how == "ids of its own":
        table = pq.read_table(path, partitioning=None)
        ids = [field.with_metadata({"PARQUET:field_id": str(700 - i)}) for i, field in enumerate(table.schema)]
        pq.write_table(table.cast(pa.schema(ids)), made)
    else:
        duckdb.execute(f"COPY (SELECT * FROM read_parquet('{path}', hive_partitioning=false)) TO '{made}' (FORMAT parquet)")
    os.replace(made, path)


@pytest.mark.parametrize("how", ["no ids", "ids of its own"])
def test_files_that_another_writer_rewrote_hold_the_same_rows(server, how):
    one = server("--flush-rows", "50", "--promote", "request")
    for first in range(0, 150, 50):
        send(one, first, 50)
    one.restart()
    files = sorted(one.data.glob("traces/**/*.parquet"))
    assert len(files) >= 3
    questions = ["SELECT * FROM otel_traces ", "SELECT SpanId, Request, Events FROM traces ", "SELECT count(Request) AS n FROM traces WHERE ServiceName = 'cart'",
                 "SELECT count(*) AS n, count(SpanName) AS s, min(Timestamp) AS t FROM traces ", f"SELECT * FROM traces WHERE TraceId = '{3:032x}'",
                 "SELECT Request, SpanId FROM traces WHERE SpanAttributes['request'] = 'r7'", "SELECT SpanId FROM traces WHERE Request = 'r7'"]
    before = [ask(one, sql)[0] for sql in questions]
    assert all(before)
    for path in files:  # each of them beside ours, and at last none of ours
        rewrite(path, how)
        assert [check(one, sql)[0] for sql in questions] == before


def test_columns_of_older_files_stay(server):
    """A promotion that came and went: files with and without its column, none that is opened to learn of it."""
    one = server("--flush-rows", "50")
    send(one, 0, 100)
    one.args += ["--promote", "request"]
    one.restart()
    send(one, 100, 100)
    del one.args[-2:]
    one.restart()
    send(one, 200, 20)
    rows, _ = check(one, "SELECT count(*) AS n, count(Request) AS r FROM traces ")
    assert rows == ['{"n": 220, "r": 92}']
    for sql in ("SELECT SpanId FROM traces WHERE Request = 'r150'", "SELECT Request FROM traces WHERE SpanAttributes['request'] = 'r150'",
                "SELECT Request FROM traces WHERE SpanAttributes['request'] = 'r50'", "SELECT Request FROM traces WHERE Request IS NULL"):
        rows, _ = check(one, sql)
        assert rows, sql


def names(number: int) -> dict:
    """A record whose attributes user.id and user_id would both have the column UserId."""
    attributes = [attribute("tenant", "acme"), attribute("user.id", f"dot{number}"), attribute("user_id", f"line{number}")]
    return {"timeUnixNano": str(START + number), "traceId": f"{number:032x}", "attributes": attributes}


def send_names(server, number):
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [names(number)]}]}]}
    assert server.post("/v1/logs", json.dumps(body).encode(), "application/json").status_code == 200


def values(server, column, numbers):
    """The column's cells, the same for every way to a row: all rows read, and rows picked by an id and by an attribute."""
    where = ["TraceId = '{0:032x}'", "LogAttributes['user_id'] = 'line{0}'", "LogAttributes['user.id'] = 'dot{0}'"]
    found = {row["TraceId"]: row[column] for row in server.sql(f"SELECT * FROM logs WHERE {column} IS NOT NULL OR {column} IS NULL")}
    for number in numbers:
        for condition in where:
            sql = f"SELECT {column} AS v FROM otel_logs WHERE {condition.format(number)}"
            assert server.sql(sql) == [{"v": found[f"{number:032x}"]}], sql
    for value in set(found.values()) - {None}:
        assert server.sql(f"SELECT count(*) AS n FROM logs WHERE {column} = '{value}'") == [{"n": list(found.values()).count(value)}]
    assert len(found) == len(numbers)
    return [found[f"{number:032x}"] for number in numbers]


def alone(otolith_binary, server, sql):
    done = subprocess.run([otolith_binary, "query", "--data", server.data, "--format", "json", sql], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_a_promotion_takes_the_column_name_of_an_older_one(server, otolith_binary):
    one = server("--promote", "tenant", "--promote", "user.id")
    send_names(one, 1)
    one.args[-4:] = ["--promote", "user_id"]
    one.restart()
    send_names(one, 2)
    for _ in range(2):  # rows in memory, then in a file
        assert values(one, "UserId", [1, 2]) == [None, "line2"]
        assert values(one, "Tenant", [1, 2]) == ["acme", None], "another promotion that is no more stays as it was"
        one.restart()
    one.stop()
    both = "SELECT UserId, Tenant FROM logs ORDER BY Timestamp, TraceId"
    assert alone(otolith_binary, one, both) == [{"UserId": None, "Tenant": "acme"}, {"UserId": "line2", "Tenant": None}]
    one.args[-1:] = ["user.id"]
    one.start()
    assert values(one, "UserId", [1, 2]) == ["dot1", None]
    one.stop()
    assert [row["UserId"] for row in alone(otolith_binary, one, both)] == ["dot1", None], "the name is its who had it last"


def test_a_name_with_two_attributes_in_files_that_another_writer_rewrote(server):
    one = server("--promote", "user.id")
    send_names(one, 1)
    one.args[-1:] = ["user_id"]
    one.restart()
    send_names(one, 2)
    one.restart()
    first, second = sorted(one.data.glob("logs/**/*.parquet"), key=lambda path: pq.read_table(path, partitioning=None)["TraceId"][0].as_py())
    rewrite(first, "no ids")
    assert values(one, "UserId", [1, 2]) == ["dot1", "line2"], "there the name is all there is"
    rewrite(second, "ids of its own")
    assert values(one, "UserId", [1, 2]) == ["dot1", "line2"]


@pytest.mark.parametrize("sql", [
    "SELECT t FROM traces t WHERE SpanId = '000000000000000f'",
    "SELECT traces FROM traces WHERE SpanId = '000000000000000f'",
    "SELECT b, c, count(*) AS n FROM (SELECT * FROM otel_traces) AS t(a, b, c) GROUP BY ALL",
    "SELECT a, ServiceName FROM otel_traces AS t(a) WHERE SpanName = 'op 1'",
    "SELECT #2 AS second FROM otel_traces WHERE SpanName = 'op 1'",
    "SELECT count(*) AS n FROM otel_traces NATURAL JOIN (SELECT TraceId, SpanId FROM traces WHERE SpanName = 'op 1')",
    "SELECT count(*) AS n FROM traces JOIN otel_traces USING (TraceId, SpanId)",
    "SELECT min(COLUMNS('.*Id$')) FROM traces",
    "SELECT TRACEID, spanid AS \"Duration\" FROM traces WHERE duration > 5000000 ORDER BY \"Duration\" LIMIT 9",
    "SELECT EndTimeUnixNano - TimeUnixNano AS d, count(*) AS n FROM traces GROUP BY d",
    "SELECT TimeUnixNano FROM traces WHERE ParentSpanId = ''",
    "SELECT (SELECT max(o.Duration) FROM otel_traces o WHERE o.TraceId = i.TraceId) AS longest FROM traces i WHERE i.SpanName = 'op 1'",
    "SELECT count(*) AS n FROM traces",
    "SELECT 1 AS one FROM otel_traces",
    "SELECT count(*) AS n FROM metrics",
    "SELECT MetricType, TimeUnixNano FROM metrics",
    "SELECT ScopeName, SpanAttributesTypes IS NULL AS t, count(*) AS n FROM otel_traces GROUP BY ALL",
    "SELECT tenant, count(*) AS n FROM traces GROUP BY tenant",
    "SELECT SpanAttributes['tenant'] AS t, SpanAttributes['request'] AS r FROM traces WHERE SpanAttributes['request'] = 'r77'",
    "SELECT Events[1].Name AS e, ResourceAttributes['region'] AS r FROM traces WHERE TraceId = '0000000000000000000000000000000b'",
])
def test_views_have_the_columns_that_are_named(filled, sql):
    some, _ = ask(filled, sql)
    every, _ = ask(filled, "WITH every AS (SELECT * FROM otel_traces LIMIT 0) " + sql)
    assert some == every, sql


@pytest.mark.parametrize("sql", ["SELECT ServiceNam FROM traces", "SELECT SpanAttributesTypes FROM traces"])
def test_a_column_that_is_not_there(filled, sql):
    count = ask(filled, "SELECT count(*) AS n FROM traces")[0]
    for _ in range(2):  # what follows an error is answered as before
        answer = httpx.post(filled.http + "/api/v1/sql", json={"sql": sql}, timeout=60)
        assert answer.status_code == 400
        assert "Candidate bindings" in answer.text
        assert ask(filled, "SELECT count(*) AS n FROM traces")[0] == count


def plan_of(server, sql):
    answer = httpx.post(server.http + "/api/v1/sql", json={"sql": "EXPLAIN " + sql}, headers={"Accept": "text/plain"}, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_few_rows_reach_the_plan_without_files(filled):
    """Also those of files in memory. What reads more than such rows reads files, and types are the same either way."""
    for sql in (f"SELECT SpanId FROM traces WHERE TraceId = '{TRACE}'", f"SELECT SpanId FROM otel_traces WHERE TraceId = '{(SPANS - 1) // 8 + 1:032x}'",
                "SELECT SpanId FROM traces WHERE TraceId = 'none'", "SELECT SpanId FROM traces WHERE SpanAttributes['request'] = 'r2399'"):
        plan = plan_of(filled, sql)
        assert "OTO_ROWS" in plan and "READ_PARQUET" not in plan, plan
    for sql in ("SELECT SpanId FROM traces WHERE ServiceName = 'cart'",
                f"SELECT x.SpanId FROM traces x JOIN traces y USING (SpanId) WHERE x.TraceId = '{TRACE}' OR y.ServiceName = 'cart'"):
        assert "OTO_ROWS" not in plan_of(filled, sql), sql
    types = "SELECT * FROM (DESCRIBE SELECT * FROM otel_traces WHERE {})"
    columns = "SELECT " + ", ".join(f'typeof("{name}") AS c{i}' for i, name in enumerate(
        json.loads(row)["column_name"] for row in ask(filled, types.format("true"))[0])) + " FROM otel_traces WHERE {} LIMIT 1"
    few, scan = ask(filled, columns.format(f"TraceId = '{TRACE}'"))
    assert scan["rows-picked"] > 0 and few == ask(filled, columns.format("ServiceName = 'cart'"))[0] and len(json.loads(few[0])) > 30


def test_rows_and_elements_of_several_chunks(server):
    """DuckDB takes 2,048 rows at a time, and lists of more elements than that."""
    one = server()
    for first in range(0, 6000, 1000):
        send(one, first, 1000)
    for columns in ("SpanId, ParentSpanId, Timestamp, StatusMessage, SpanAttributes, Events, Links", "count(*) AS n, sum(Duration) AS d"):
        sql = f"SELECT {columns} FROM traces WHERE ResourceAttributes['everywhere'] = 'x'"
        _, scan = check(one, sql)
        assert scan["rows-picked"] == 6000 and "OTO_ROWS" in plan_of(one, sql)


def open_files(server):
    """What the query process holds open of the table's files; '(deleted)' behind those that have no name any more."""
    pid = subprocess.run(["pgrep", "-P", str(server.pid), "otolith-query"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return [link for link in links if ".parquet" in link]


def test_files_stay_open_between_queries_but_not_when_they_are_gone(filled):
    sql = f"SELECT SpanId FROM traces WHERE TraceId = '{TRACE}'"
    filled.wait_for(lambda: ask(filled, sql) and open_files(filled), what="files that stay open")
    path = sorted(filled.data.glob("traces/**/*.parquet"))[-1]
    os.replace(path, str(path) + ".away")
    try:
        pq.write_table(pq.read_table(str(path) + ".away"), path, store_schema=False)
        os.unlink(str(path) + ".away")
        check(filled, sql)
        assert not [link for link in open_files(filled) if "deleted" in link or "away" in link]
    finally:
        assert path.exists()
    filled.wait_for(lambda: not open_files(filled), what="a process at rest that holds no file open")
    check(filled, sql)


def test_more_files_than_are_kept_open(server):
    """What is known of files is forgotten when there are too many, while others of the same query are looked at."""
    one = server()
    send(one, 0, 40)
    one.stop()
    path = next(one.data.glob("traces/**/*.parquet"))
    time, rest = path.name.split(".", 1)
    for i in range(1, 561):
        shutil.copy(path, path.with_name(f"{time}.{i:06}Z{rest.split('Z', 1)[1]}"))
    one.start()
    sql = f"SELECT count(*) AS n FROM traces WHERE TraceId = '{2:032x}'"
    for _ in range(3):
        rows, scan = ask(one, sql)
        assert scan["files"] >= 560 and json.loads(rows[0])["n"] == 8 * scan["files"], (rows, scan)
        assert ask(one, "SELECT count(*) AS n FROM traces WHERE TraceId = 'none'")[1]["files-read"] < 0.3 * scan["files"]
