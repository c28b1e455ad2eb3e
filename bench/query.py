#!/usr/bin/env python3
"""`make bench-query`: SQL over millions of generated rows, by the server, by plain DuckDB of the same version and by chdb (ClickHouse) on the same files.

Each answer is compared before a time is printed: rows as sorted text, numbers to nine digits. A query runs first on a fresh server and process
("cold": nothing of it is in that process; the files may be in the page cache), then --runs times. The server answers over HTTP, in JSON; the
peers run within one process, with a view over all files: for DuckDB as `union_by_name`, as files' columns may differ.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

import query_data

ROOT = pathlib.Path(__file__).resolve().parent.parent

# name: kind of data, SQL for the server and DuckDB, SQL for ClickHouse (None: the same)
DAY = "2026-01-01"


def json_path(path):
    return f"json_extract_string(Body, '$.{path}')"


def clickhouse_path(path):
    return "JSONExtract(Body, " + ", ".join(f"'{part}'" for part in path.split(".")) + ", 'Nullable(String)')"


def bluesky(of, micros):
    """The five queries of JSONBench, with the documents as bodies."""
    event, kind, operation, did = of("commit.collection"), of("kind"), of("commit.operation"), of("did")
    created = f"{kind} = 'commit' AND {operation} = 'create'"
    posts = f"{created} AND {event} = 'app.bsky.feed.post'"
    feeds = f"{event} IN ('app.bsky.feed.post', 'app.bsky.feed.repost', 'app.bsky.feed.like')"
    return {
        "JSONBench 1, events": f"SELECT {event} AS event, count(*) AS n FROM logs GROUP BY event ORDER BY n DESC",
        "JSONBench 2, users of events": f"SELECT {event} AS event, count(*) AS n, count(DISTINCT {did}) AS users FROM logs WHERE {created} "
                                        "GROUP BY event ORDER BY n DESC",
        "JSONBench 3, hours of events": f"SELECT {event} AS event, {micros} // 3600000000 % 24 AS hour, count(*) AS n FROM logs "
                                        f"WHERE {created} AND {feeds} GROUP BY event, hour ORDER BY hour, event",
        "JSONBench 4, first posts": f"SELECT {did} AS user, min({micros}) AS first FROM logs WHERE {posts} GROUP BY user ORDER BY first LIMIT 3",
        "JSONBench 5, longest active": f"SELECT {did} AS user, max({micros}) - min({micros}) AS span FROM logs WHERE {posts} GROUP BY user "
                                       "ORDER BY span DESC LIMIT 3",
    }


def documents():
    ours = bluesky(json_path, "CAST(json_extract(Body, '$.time_us') AS BIGINT)")
    theirs = bluesky(clickhouse_path, "JSONExtractInt(Body, 'time_us')")
    return {name: ("documents", sql, theirs[name].replace("JSONExtractInt(Body, 'time_us') // 3600000000 % 24",
                                                          "intDiv(JSONExtractInt(Body, 'time_us'), 3600000000) % 24"))
            for name, sql in ours.items()}


def find(where):
    """Traces that have a span such as these, the newest twenty: what a search in a tracing UI asks."""
    return f"SELECT TraceId, max(Timestamp) AS t FROM traces WHERE {where} GROUP BY TraceId ORDER BY t DESC, TraceId LIMIT 20"


def cases(trace, request):
    hour = f"Timestamp >= '{DAY} 10:00:00' AND Timestamp < '{DAY} 11:00:00'"
    minute = f"Timestamp >= '{DAY} 10:00:00' AND Timestamp < '{DAY} 10:01:00'"
    tenant = "SpanAttributes['app.tenant'] = 'tenant-7'"
    user = "SpanAttributes['app.user'] = 'user-77'"
    spans = {
        "services": "SELECT DISTINCT ServiceName FROM traces",
        "operations of a service": "SELECT DISTINCT SpanName, SpanKind FROM traces WHERE ServiceName = 'payment'",
        "trace by id": f"SELECT SpanId, ParentSpanId, SpanName, ServiceName, Duration FROM traces WHERE TraceId = '{trace}'",
        "trace by id, every column": f"SELECT * FROM otel_traces WHERE TraceId = '{trace}'",
        "trace by id and hour": f"SELECT SpanId, SpanName FROM traces WHERE TraceId = '{trace}' AND Timestamp >= '{DAY} 11:00:00' "
                                f"AND Timestamp < '{DAY} 13:00:00'",
        "search by service": find("ServiceName = 'payment'"),
        "search by operation": find("ServiceName = 'payment' AND SpanName = 'GET /api/v3/users/{id}'"),
        "search by duration": find("ServiceName = 'payment' AND Duration BETWEEN 1000000000 AND 2000000000"),
        "search by time": find(f"ServiceName = 'payment' AND {hour}"),
        "search by attribute": find(user),
        "search by all": find(f"ServiceName = 'payment' AND {hour} AND Duration > 100000000 AND {user}"),
        "count of an hour": f"SELECT count(*) AS n FROM traces WHERE {hour}",
        "count of a minute": f"SELECT count(*) AS n FROM traces WHERE {minute}",
        "count by a promoted column": "SELECT count(*) AS n FROM traces WHERE HttpRoute = '/api/v3/users/{id}'",
        "count by an attribute, one in 50": f"SELECT count(*) AS n FROM traces WHERE {tenant}",
        "count by an attribute, one in 4": "SELECT count(*) AS n FROM traces WHERE SpanAttributes['cloud.region'] = 'us-east-1'",
        "rows by an attribute, one in 10,000": f"SELECT * FROM otel_traces WHERE {user} ORDER BY SpanId LIMIT 50",
        "a value that occurs once": f"SELECT SpanId, Timestamp FROM traces WHERE SpanAttributes['app.request.id'] = '{request}'",
        "a value that does not occur": "SELECT count(*) AS n FROM traces WHERE SpanAttributes['app.request.id'] = 'nowhere'",
        "errors by service": "SELECT ServiceName, count(*) AS n FROM traces WHERE StatusCode = 'Error' GROUP BY ServiceName",
    }
    logs = {
        "logs of an hour by severity": f"SELECT SeverityText, count(*) AS n FROM logs WHERE {hour} GROUP BY SeverityText",
        "logs with a word, an hour": f"SELECT count(*) AS n FROM logs WHERE {hour} AND Body LIKE '%after 3 attempts%'",
        "logs of a trace": f"SELECT SpanId, Body FROM logs WHERE TraceId = '{trace}'",
    }
    points = {
        "one series": "SELECT TimeUnix, Value FROM otel_metrics_gauge WHERE MetricName = 'shop.metric.7' "
                      "AND Attributes['k8s.pod.name'] = 'pod-77'",
        "a metric by region": "SELECT Attributes['cloud.region'] AS region, avg(Value) AS v FROM otel_metrics_gauge "
                              "WHERE MetricName = 'shop.metric.7' GROUP BY region",
    }
    found = {name: ("spans", sql, None) for name, sql in spans.items()}
    found |= {name: ("logs", sql, None) for name, sql in logs.items()}
    found |= {name: ("points", sql, None) for name, sql in points.items()}
    return found | documents()


# ---- who answers --------------------------------------------------------------------------------


class Otolith:
    name = "otolith"

    def __init__(self, build, data, *arguments):
        self.server = query_data.Server(build, data, *arguments)

    def ask(self, sql):
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}/api/v1/sql", data=sql.encode(),
                                         headers={"Content-Type": "application/sql", "Accept": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                self.scan = {k.lower()[8:]: int(v) for k, v in answer.headers.items() if k.lower().startswith("otolith-")}
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sys.exit(f"{sql}\n{error.read().decode()}")

    def pids(self):
        found = subprocess.run(["pgrep", "-P", str(self.server.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()] + [self.server.process.pid]

    def close(self):
        self.server.stop()


class Duckdb:
    name = "duckdb"

    def __init__(self, _build, data):
        import duckdb
        self.connection = duckdb.connect(config={"threads": os.cpu_count()})
        self.connection.execute("SET TimeZone = 'UTC'")
        for views, folder in (("logs", "logs"), ("traces", "traces"), ("otel_traces", "traces"), ("otel_metrics_gauge", "metrics/gauge")):
            files = sorted(str(f) for f in (data / folder).rglob("*.parquet"))
            if files:
                self.connection.execute(f"CREATE VIEW {views} AS SELECT * FROM read_parquet({files}, union_by_name=true, "
                                        "hive_partitioning=false)")

    def ask(self, sql):
        relation = self.connection.execute(sql)
        names = [column[0] for column in relation.description]
        return [dict(zip(names, row)) for row in relation.fetchall()]

    def pids(self):
        return [os.getpid()]

    def close(self):
        self.connection.close()


class Chdb:
    name = "chdb"

    def __init__(self, _build, data):
        from chdb import session
        self.session = session.Session()
        self.session.query("SET use_hive_partitioning = 0")
        self.session.query("CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic")
        for view, folder in (("logs", "logs"), ("traces", "traces"), ("otel_traces", "traces"), ("otel_metrics_gauge", "metrics/gauge")):
            if any((data / folder).rglob("*.parquet")):
                self.session.query(f"CREATE OR REPLACE VIEW b.{view} AS SELECT * FROM file('{data}/{folder}/**/*.parquet', Parquet)")
        self.session.query("USE b")

    def ask(self, sql):
        sql = sql.replace("count(DISTINCT", "uniqExact(")
        text = str(self.session.query(sql + " SETTINGS session_timezone = 'UTC', use_hive_partitioning = 0, "
                                      "output_format_json_quote_64bit_integers = 0", "JSONEachRow"))
        return [json.loads(line) for line in text.splitlines() if line]

    def pids(self):
        return [os.getpid()]

    def close(self):
        self.session.close()


def cpu_s(pids):
    total = 0.0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


# ---- the same answer ----------------------------------------------------------------------------


def plain(value):
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (int, bool)):
        return value
    text = str(value).replace("T", " ").removesuffix("Z").removesuffix("+00:00")
    return text.rstrip("0").removesuffix(".") if "." in text and ":" in text else text


def rows_of(answer, sql):
    rows = [json.dumps(list(plain(list(row.values())))) for row in answer]
    return rows if "ORDER BY" in sql else sorted(rows)


def compare(name, expected, found, who):
    if expected == found:
        return
    for a, b in zip(expected + ["nothing"], found + ["nothing"]):
        if a != b:
            sys.exit(f"{name}: {who} answers {len(found)} rows, not {len(expected)}; first difference:\n  {a[:500]}\n  {b[:500]}")


# ---- measuring ----------------------------------------------------------------------------------


def measure(engine, sql, runs):
    """Answer; milliseconds of the first run, of the best and of the middle one of the rest; CPU of the best of these."""
    times, cpus, answer = [], [], None
    for _ in range(1 + runs):
        pids = engine.pids()
        cpu, began = cpu_s(pids), time.perf_counter()
        answer = engine.ask(sql)
        times.append((time.perf_counter() - began) * 1000)
        cpus.append((cpu_s(engine.pids()) - cpu) * 1000)
    rest = times[1:] or times
    return answer, {"first_ms": round(times[0], 1), "best_ms": round(min(rest), 1), "median_ms": round(statistics.median(rest), 1),
                    "cpu_ms": round(min(cpus[1:] or cpus))}


def run_case(name, case, data, build, options):
    kind, sql, clickhouse = case
    result = {"case": name, "sql": sql}
    expected = None
    for engine_type in [Otolith, Duckdb] + ([Chdb] if options.chdb else []):
        engine = engine_type(build, data[kind])
        text = clickhouse if clickhouse and engine_type is Chdb else sql
        try:
            answer, result[engine.name] = measure(engine, text, options.runs)
        finally:
            engine.close()
        if engine_type is Otolith:
            result["files"] = engine.scan
            expected = rows_of(answer, sql)
            continue
        if engine_type is Chdb and "SELECT *" in sql:  # its types of nested columns print otherwise
            continue
        compare(name, expected, rows_of(answer, sql), engine.name)
    return result


def first_query(build, data, runs):
    """From a ready server without a query process to the answer."""
    times = []
    for _ in range(runs):
        engine = Otolith(build, data)
        began = time.perf_counter()
        engine.ask("SELECT 1 AS n")
        times.append((time.perf_counter() - began) * 1000)
        engine.close()
    return {"case": "first query after start", "otolith": {"best_ms": round(min(times), 1), "median_ms": round(statistics.median(times), 1)}}


def drop_pages(data):
    """The files' pages leave the page cache: the next to read them waits for the disk."""
    for path in data.rglob("*.parquet"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


TRACE = "SELECT SpanId, ParentSpanId, SpanName, ServiceName, Duration FROM traces WHERE TraceId = '{}'"


def ask_trace(engine, trace):
    """Milliseconds until the trace's ten spans are here, and CPU milliseconds of server and query process."""
    before, began = cpu_s(engine.pids()), time.perf_counter()
    answer = engine.ask(TRACE.format(trace))
    wall = (time.perf_counter() - began) * 1000
    if len(answer) != 10:
        sys.exit(f"trace {trace}: {len(answer)} spans, not 10")
    return wall, (cpu_s(engine.pids()) - before) * 1000


def trace_result(name, taken):
    times, cpus = zip(*taken)
    result = {"case": f"trace by id, {name}", "otolith": {"best_ms": round(min(times), 1), "median_ms": round(statistics.median(times), 1),
                                                          "cpu_ms": round(min(cpus))}}
    show(result)
    return result


def cold_traces(build, data, traces):
    """A trace by id as the first query of a server, another trace each time: by whether the files are in the page cache, and whether a query
    process was started ahead (and has seen the files' footers). Then the same of a server that has answered queries, none of them for such a trace."""
    results = []
    for ahead, dropped in ((0, 1), (0, 0), (1, 1), (1, 0)):
        taken = []
        for trace in traces:
            engine = Otolith(build, data, "--query-ahead", str(ahead))
            while ahead and len(engine.pids()) < 2:
                time.sleep(0.05)
            time.sleep(1.0 * ahead)
            if dropped:
                drop_pages(data)
            taken.append(ask_trace(engine, trace))
            engine.close()
        where = "on disk" if dropped else "in the page cache"
        results.append(trace_result(f"first query, {'a process ahead' if ahead else 'no process'}, files {where}", taken))
    for dropped in (1, 0):
        engine, taken = Otolith(build, data), []
        engine.ask(TRACE.format("0" * 32))
        for trace in traces:
            if dropped:
                drop_pages(data)
            taken.append(ask_trace(engine, trace))
        engine.close()
        results.append(trace_result(f"first query for it, files {'on disk' if dropped else 'in the page cache'}", taken))
    return results


def show(result):
    columns = []
    for engine in ("otolith", "duckdb", "chdb"):
        t = result.get(engine)
        if t:
            columns.append(f"{engine} {t.get('first_ms', 0):8.1f} {t['best_ms']:8.1f} {t['median_ms']:8.1f} ({t.get('cpu_ms', 0):.0f} cpu)")
    files = result.get("files")
    print(f"{result['case']:36} " + "   ".join(columns) + (f"   files {files['files-read']}/{files['files']}" if files else ""),
          file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans, and log rows; a tenth as many documents, a fifth as many points")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path(os.environ.get("OTOLITH_CACHE", "/tmp")))
    parser.add_argument("--chdb", action="store_true", help="ask ClickHouse too")
    parser.add_argument("--json", type=pathlib.Path, help="keep the figures here")
    parser.add_argument("cases", nargs="*", help="parts of names")
    options = parser.parse_args()
    sizes = {"spans": options.rows, "logs": options.rows, "documents": max(options.rows // 10, 1000), "points": options.rows // 5}
    data = {kind: query_data.make(options.build, options.cache, {kind: rows}) for kind, rows in sizes.items()}
    some = Duckdb(None, data["spans"])
    trace, request = some.connection.execute("SELECT TraceId, SpanAttributes['app.request.id'] FROM traces WHERE ServiceName = 'payment' AND "
                                             f"Timestamp >= '{DAY} 12:00:00' ORDER BY Timestamp, SpanId LIMIT 1").fetchone()
    traces = [row[0] for row in some.connection.execute("SELECT DISTINCT TraceId FROM traces WHERE Timestamp >= "
                                                        f"'{DAY} 13:00:00' AND Timestamp < '{DAY} 13:01:00' ORDER BY 1 LIMIT 5").fetchall()]
    some.close()
    print(f"{'milliseconds: first run, best, median':36}", file=sys.stderr)
    results = []
    for name, case in cases(trace, request).items():
        if options.cases and not any(part in name for part in options.cases):
            continue
        results.append(run_case(name, case, data, options.build, options))
        show(results[-1])
    if not options.cases:
        results.append(first_query(options.build, data["spans"], 3))
        show(results[-1])
    if not options.cases or any("first query" in part for part in options.cases):
        results += cold_traces(options.build, data["spans"], traces)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    document = {"commit": commit, "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "rows": options.rows,
                "runs": options.runs, "load": os.getloadavg()[0], "results": results}
    text = json.dumps(document, indent=1)
    if options.json:
        options.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
