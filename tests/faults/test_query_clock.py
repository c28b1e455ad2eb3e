"""A query has one time, whatever the clock does meanwhile: files are chosen by the same now() as rows are."""

import datetime
import json
import shlex

import duckdb
import httpx
import pytest

import shim as faults
from harness import Server, binary

HOUR = 3600 * 10**9
START = 1_760_054_400 * 10**9  # the first hour of a day
HOURS = 20 * 24
# The time, as an expression; how long a part of time it is exact to.
TIMES = [("now()", "hour"), ("current_timestamp", "hour"), ("get_current_timestamp()", "hour"), ("transaction_timestamp()", "hour"),
         ("localtimestamp", "hour"), ("main.now()", "hour"), ("ago(INTERVAL 0 SECOND)", "hour"), ("(current_date + localtime)", "hour"),
         ("(today() + current_time::TIME)", "hour"), ("current_date", "day"), ("today()", "day"),
         ("(TIMESTAMP '1970-01-01' + age(TIMESTAMP '1970-01-01'))", "day"), ("(TIMESTAMP '1970-01-01' + age(TIMESTAMPTZ '1970-01-01 00:00:00+00'))", "day")]
# What DuckDB says is the same within a query only, and tells no time.
OTHERS = {"current_database", "current_schema", "current_schemas", "in_search_path", "txid_current"}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory, build_folder):
    """A row for each hour of twenty days, a file each; the query process's clock moves by a day and a half whenever it is asked."""
    folder = tmp_path_factory.mktemp("clock")
    script = folder / "otolith-query"
    command = ["env", f"LD_PRELOAD={faults.library(build_folder)}", f"FAULT_CLOCK={START} {36 * HOUR} 13",
               "ASAN_OPTIONS=verify_asan_link_order=0", str(binary().parent / "otolith-query")]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="ascii")
    script.chmod(0o755)
    one = Server(folder, ("--flush-rows", "10", "--query-workers", "1", "--query-idle", "1h"), env={"OTOLITH_QUERY_PROGRAM": str(script)}).start()
    for first in range(0, HOURS, 24):
        records = [{"timeUnixNano": str(START + hour * HOUR)} for hour in range(first, first + 24)]
        body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
        assert one.post("/v1/logs", json.dumps(body).encode(), "application/json").status_code == 200
    one.wait_for(lambda: len(list(one.data.glob("logs/**/*.parquet"))) >= HOURS - 24, what="files")
    yield one
    one.stop()


def ask(server, sql):
    answer = httpx.post(server.http + "/api/v1/sql", json={"sql": sql}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("time, part", TIMES, ids=[time for time, _ in TIMES])
def test_files_and_rows_are_chosen_by_one_time(hasty, time, part):
    expected = {"hour": 1, "day": 24}[part]
    for _ in range(3):
        answer = ask(hasty, f"SELECT count(*) AS n FROM logs WHERE Timestamp >= date_trunc('{part}', {time}) AND "
                            f"Timestamp < date_trunc('{part}', {time}) + INTERVAL 1 {part}")
        assert answer.json() == [{"n": expected}]
        assert int(answer.headers["otolith-files-read"]) <= 2 * expected, "files are chosen by it"


def test_the_next_query_has_the_next_time(hasty):
    times = {ask(hasty, "SELECT now() AS t").json()[0]["t"] for _ in range(5)}
    assert len(times) > 1
    assert all(datetime.datetime.fromisoformat(time).timestamp() >= START // 10**9 for time in times)


def test_every_function_that_tells_the_time_is_asked_for():
    names = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'CONSISTENT_WITHIN_QUERY'"
    asked = " ".join(time for time, _ in TIMES).replace("current_time::", "get_current_time()::")
    missing = {name for (name,) in duckdb.execute(names).fetchall() if f"{name}()" not in asked and name not in asked.split()} - OTHERS
    assert not missing, "a newer DuckDB has more of them: query_clock.c"


@pytest.mark.parametrize("name", ["system.main.now()", "system.now()", "SYSTEM.main.Today()"])
def test_duckdbs_own_clock_is_refused(server, name):
    answer = httpx.post(server().http + "/api/v1/sql", json={"sql": f"SELECT {name}"})
    assert answer.status_code == 403 and "name it alone" in answer.text


def test_functions_and_names_are_as_duckdb_has_them(server):
    sql = ("SELECT now(), current_timestamp, current_date, today(), localtimestamp, localtime, current_time, age(TIMESTAMP '2000-01-01'), "
           "age(TIMESTAMP '2001-01-01', TIMESTAMP '2000-01-01')")
    connection = duckdb.connect()
    described = [(row[0], row[1]) for row in connection.execute("DESCRIBE " + sql).fetchall()]
    assert [(row["column_name"], row["column_type"]) for row in ask(server(), "DESCRIBE " + sql).json()] == described
