"""User SQL cannot read files, the environment, the network or settings, and changes nothing. Each way out is a test of its own."""
import os
import signal
import socket
import subprocess
import threading

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Server

SECRET = "the-secret-that-must-not-come-out"


class Target:
    """A server with secrets around it: in a file outside, in files of its own folder, in its environment, on a port."""

    def __init__(self, folder):
        self.outside = folder / "outside.csv"
        self.outside.write_text(f"a,b\n{SECRET},1\n")
        self.parquet = folder / "outside.parquet"
        pq.write_table(pa.table({"a": [SECRET]}), self.parquet)
        self.written = folder / "written"
        self.connected = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        server = folder / "server"
        server.mkdir()
        self.server = Server(server, env={"APP_TEST_SECRET": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}).start()
        self.client = httpx.Client(base_url=self.server.http, timeout=60)
        (self.server.data / "wal" / "secret.csv").write_text(f"a\n{SECRET}\n")

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connected.append(1)
            connection.close()

    def ask(self, sql: str, accept="application/json", **document) -> httpx.Response:
        return self.client.post("/api/v1/sql", headers={"Accept": accept}, json={"sql": sql, **document})


@pytest.fixture(scope="module")
def target(otolith_binary, tmp_path_factory):
    one = Target(tmp_path_factory.mktemp("escape"))
    yield one
    one.listener.close()
    one.server.stop()


ESCAPES = {
    # Files by table functions
    "read_csv": "SELECT * FROM read_csv('{outside}')",
    "read_csv_of_passwd": "SELECT * FROM read_csv('/etc/passwd')",
    "read_csv_auto": "SELECT * FROM read_csv_auto('{outside}')",
    "read_text": "SELECT * FROM read_text('{outside}')",
    "read_text_many": "SELECT * FROM read_text(['{outside}'])",
    "read_blob": "SELECT * FROM read_blob('{outside}')",
    "read_json": "SELECT * FROM read_json('{outside}')",
    "read_json_objects": "SELECT * FROM read_json_objects('{outside}')",
    "read_ndjson": "SELECT * FROM read_ndjson('{outside}')",
    "read_parquet": "SELECT * FROM read_parquet('{parquet}')",
    "parquet_scan": "SELECT * FROM parquet_scan('{parquet}')",
    "read_duckdb": "SELECT * FROM read_duckdb('{outside}', table_name := 'x')",
    "read_parquet_of_our_own_files": "SELECT * FROM read_parquet('{data}/logs/**/*.parquet')",
    "read_the_log": "SELECT * FROM read_text('{data}/wal/**')",
    "read_the_lock": "SELECT * FROM read_text('{data}/lock')",
    "glob": "SELECT * FROM glob('/etc/*')",
    "parquet_metadata": "SELECT * FROM parquet_metadata('{parquet}')",
    "parquet_schema": "SELECT * FROM parquet_schema('{parquet}')",
    "parquet_file_metadata": "SELECT * FROM parquet_file_metadata('{parquet}')",
    "parquet_kv_metadata": "SELECT * FROM parquet_kv_metadata('{parquet}')",
    "parquet_full_metadata": "SELECT * FROM parquet_full_metadata('{parquet}')",
    "parquet_bloom_probe": "SELECT * FROM parquet_bloom_probe('{parquet}', 'a', 'x')",
    "sniff_csv": "SELECT * FROM sniff_csv('{outside}')",
    # Files by name
    "from_passwd": "SELECT * FROM '/etc/passwd'",
    "from_csv": "SELECT * FROM '{outside}'",
    "from_parquet": "FROM '{parquet}'",
    "from_quoted": 'SELECT * FROM "{parquet}"',
    "from_glob": "FROM '/etc/*.conf'",
    "from_proc": "FROM '/proc/self/environ'",
    "from_descriptor": "FROM '/proc/self/fd/3'",
    "table_statement": "TABLE '{parquet}'",
    "describe_file": "DESCRIBE '{parquet}'",
    "summarize_file": "SUMMARIZE '{parquet}'",
    "upward_path": "FROM '{data}/logs/../wal/secret.csv'",
    # Through a side door
    "in_with": "WITH x AS (SELECT * FROM read_text('{outside}')) SELECT * FROM x",
    "in_recursive_with": "WITH RECURSIVE x AS (SELECT content FROM read_text('{outside}') UNION SELECT content FROM x) FROM x",
    "with_named_like_a_file": 'SELECT * FROM (WITH "{parquet}" AS (SELECT 1) SELECT * FROM "{parquet}"), "{parquet}"',
    "in_subquery": "SELECT (SELECT content FROM read_text('{outside}'))",
    "in_exists": "SELECT 1 WHERE EXISTS (FROM read_text('{outside}'))",
    "in_in": "SELECT 1 WHERE 'x' IN (SELECT content FROM read_text('{outside}'))",
    "in_union": "SELECT '1' UNION ALL SELECT content FROM read_text('{outside}')",
    "in_join": "SELECT * FROM logs JOIN read_text('{outside}') ON true",
    "in_lateral": "SELECT * FROM (SELECT '{outside}' f) t, LATERAL (SELECT * FROM read_text(t.f))",
    "in_order_by": "SELECT 1 ORDER BY (SELECT content FROM read_text('{outside}'))",
    "in_limit": "SELECT 1 LIMIT (SELECT count(*) FROM read_text('{outside}'))",
    "in_lambda": "SELECT list_transform([1], lambda x: (SELECT content FROM read_text('{outside}')))",
    "in_lambda_function": "SELECT list_transform(['APP_TEST_SECRET'], lambda x: getenv(x))",
    "in_window": "SELECT max(getenv('APP_TEST_SECRET')) OVER ()",
    "in_filter": "SELECT count(*) FILTER (getenv('APP_TEST_SECRET') = 'x')",
    "in_pivot": "PIVOT (FROM read_text('{outside}')) ON filename IN ('x') USING max(content)",
    "in_explain": "EXPLAIN SELECT * FROM read_text('{outside}')",
    "in_explain_analyze": "EXPLAIN ANALYZE SELECT * FROM read_text('{outside}')",
    "in_describe": "DESCRIBE SELECT * FROM read_csv('{outside}')",
    "in_values": "VALUES ((SELECT content FROM read_text('{outside}')))",
    "schema_qualified": "SELECT * FROM main.read_text('{outside}')",
    "catalogue_qualified": "SELECT * FROM system.main.read_text('{outside}')",
    "quoted_upper_case": 'SELECT * FROM "READ_TEXT"(\'{outside}\')',
    "query": "SELECT * FROM query('SELECT * FROM read_text(''{outside}'')')",
    "query_table": "SELECT * FROM query_table('{parquet}')",
    "json_execute_serialized_sql":
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{outside}'')'))",
    "json_serialize_plan": "SELECT json_serialize_plan('SELECT * FROM read_text(''{outside}'')')",
    "histogram_macro": "SELECT * FROM histogram('{parquet}', a)",
    "histogram_values_macro": "SELECT * FROM histogram_values('{parquet}', a)",
    # Tricks with comments and statements
    "comment_before": "/* SELECT */ SELECT * FROM read_text('{outside}')",
    "nested_comment_before_explain": "/* /* */ EXPLAIN SELECT 1 -- */ SELECT * FROM read_text('{outside}')",
    "nested_comment_before_two_explains": "/* /* */ EXPLAIN SELECT 1 -- */ EXPLAIN ANALYZE SELECT * FROM read_text('{outside}')",
    "comment_inside": "SELECT * FROM read_text/**/('{outside}')",
    "comment_line": "SELECT * FROM -- x\n read_text('{outside}')",
    "two_statements": "SELECT 1; SELECT * FROM read_text('{outside}')",
    "statement_behind_comment": "SELECT 1; -- x\n COPY (SELECT 1) TO '{written}'",
    "dollar_quotes": "SELECT * FROM read_text($${outside}$$)",
    "unicode_name": "SELECT * FROM U&\"read\\005Ftext\"('{outside}')",
    "closing_parenthesis": "SELECT 1) TO '{written}' (FORMAT csv); --",
    # Writing
    "copy_to": "COPY (SELECT 1) TO '{written}'",
    "copy_from": "COPY logs FROM '{outside}'",
    "copy_in_with": "WITH x AS (COPY (SELECT 1) TO '{written}') SELECT * FROM x",
    "export_database": "EXPORT DATABASE '{written}'",
    "import_database": "IMPORT DATABASE '{written}'",
    "create_table": "CREATE TABLE x AS SELECT 1",
    "create_view": "CREATE OR REPLACE VIEW otel_logs AS SELECT 1",
    "create_macro": "CREATE MACRO f() AS TABLE SELECT * FROM read_text('{outside}')",
    "create_function": "CREATE FUNCTION f(x) AS x",
    "drop_view": "DROP VIEW otel_logs",
    "insert": "INSERT INTO otel_logs VALUES (1)",
    "update": "UPDATE otel_logs SET Body = 'x'",
    "delete": "DELETE FROM otel_logs",
    "truncate": "TRUNCATE otel_logs",
    "alter": "ALTER VIEW otel_logs RENAME TO x",
    "merge": "MERGE INTO otel_logs USING logs ON true WHEN MATCHED THEN DELETE",
    "attach": "ATTACH '{written}' AS x",
    "attach_in_memory": "ATTACH ':memory:' AS x",
    "detach": "DETACH memory",
    "use": "USE memory",
    "checkpoint": "CHECKPOINT",
    "vacuum": "VACUUM",
    "begin": "BEGIN",
    "write_log": "SELECT write_log('x')",
    # Extensions
    "install": "INSTALL httpfs",
    "install_from": "INSTALL httpfs FROM 'http://127.0.0.1:{port}'",
    "force_install": "FORCE INSTALL httpfs",
    "load": "LOAD httpfs",
    "load_path": "LOAD '{written}.duckdb_extension'",
    "update_extensions": "UPDATE EXTENSIONS",
    # Settings and state
    "pragma": "PRAGMA database_list",
    "pragma_version": "PRAGMA version",
    "pragma_import": "PRAGMA import_database('{written}')",
    "set": "SET enable_external_access = true",
    "set_global": "SET GLOBAL lock_configuration = false",
    "set_variable": "SET VARIABLE x = 1",
    "reset": "RESET memory_limit",
    "call": "CALL pragma_version()",
    "call_enable_logging": "CALL enable_logging()",
    "prepare": "PREPARE x AS SELECT 1",
    "execute": "EXECUTE x",
    "current_setting": "SELECT current_setting('memory_limit')",
    "duckdb_settings": "SELECT * FROM duckdb_settings()",
    "duckdb_settings_view": "SELECT * FROM duckdb_settings",
    "duckdb_databases": "SELECT * FROM duckdb_databases()",
    "duckdb_extensions": "SELECT * FROM duckdb_extensions()",
    "duckdb_views": "SELECT * FROM duckdb_views()",
    "duckdb_variables": "SELECT * FROM duckdb_variables()",
    "duckdb_logs": "SELECT * FROM duckdb_logs",
    "duckdb_logs_function": "SELECT * FROM duckdb_logs()",
    "duckdb_memory": "SELECT * FROM duckdb_memory()",
    "pragma_functions": "SELECT * FROM pragma_database_size()",
    "information_schema": "SELECT * FROM information_schema.tables",
    "pg_catalog": "SELECT * FROM pg_catalog.pg_settings",
    "pg_class": "SELECT * FROM pg_class",
    "sqlite_master": "SELECT * FROM sqlite_master",
    "show_databases": "SHOW DATABASES",
    "view_definition": "SELECT pg_get_viewdef(1)",
    "current_query": "SELECT current_query()",
    "sleep": "SELECT sleep_ms(10)",
    # The environment and secrets
    "getenv": "SELECT getenv('APP_TEST_SECRET')",
    "getenv_qualified": "SELECT main.getenv('APP_TEST_SECRET')",
    "getenv_as_method": "SELECT 'APP_TEST_SECRET'.getenv()",
    "create_secret": "CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "drop_secret": "DROP SECRET s",
    "duckdb_secrets": "SELECT * FROM duckdb_secrets()",
    "which_secret": "SELECT * FROM which_secret('s3://x', 's3')",
    # The network
    "http": "SELECT * FROM read_text('http://127.0.0.1:{port}/x')",
    "http_by_name": "FROM 'http://127.0.0.1:{port}/x.csv'",
    "https": "FROM 'https://127.0.0.1:{port}/x.parquet'",
    "metadata_service": "FROM read_text('http://169.254.169.254/latest/meta-data/')",
    "s3": "FROM read_parquet('s3://bucket/key.parquet')",
    "s3_by_name": "FROM 's3://bucket/key.parquet'",
    "gcs": "FROM 'gs://bucket/key.parquet'",
    "hugging_face": "FROM 'hf://datasets/x/y.csv'",
}


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("accept", ["application/json", "application/vnd.apache.parquet"])
def test_escape_is_denied(target, name, accept):
    sql = ESCAPES[name]
    for key, value in {"outside": target.outside, "parquet": target.parquet, "data": target.server.data,
                       "written": target.written, "port": target.port}.items():
        sql = sql.replace("{" + key + "}", str(value))
    answer = target.ask(sql, accept)
    assert answer.status_code in (400, 403), answer.text
    assert SECRET not in answer.text and "root:" not in answer.text
    message = answer.json()["error"]["message"]
    assert answer.json()["error"]["status"] in ("denied", "invalid", "unsupported"), message
    assert not list(target.written.parent.glob("written*")), "something was written"
    assert not target.connected, "something was connected to"
    assert target.ask("SELECT 42 AS x").json() == [{"x": 42}], "the next query still works"


def test_a_parameter_is_no_sql(target):
    answer = target.ask("SELECT ? AS x", parameters=["'); COPY (SELECT 1) TO '/tmp/x'; --"])
    assert answer.json() == [{"x": "'); COPY (SELECT 1) TO '/tmp/x'; --"}]


def test_a_path_as_parameter_is_denied(target):
    answer = target.ask("SELECT * FROM read_text(?)", parameters=[str(target.outside)])
    assert answer.status_code == 403 and SECRET not in answer.text


def test_the_process_itself_cannot(target):
    """Behind the checks stands the sandbox: what the query process is in truth allowed."""
    target.ask("SELECT 1")
    pids = subprocess.run(["pgrep", "-P", str(target.server.pid), "otolith-query"], stdout=subprocess.PIPE, text=True).stdout.split()
    assert pids
    status = open(f"/proc/{pids[0]}/status").read()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert SECRET.encode() not in open(f"/proc/{pids[0]}/environ", "rb").read()
    limits = open(f"/proc/{pids[0]}/limits").read()
    assert any(line.startswith("Max core file size") and line.split()[4] == "0" for line in limits.splitlines())
    assert os.getpriority(os.PRIO_PROCESS, int(pids[0])) >= 5
    sockets = [os.readlink(f"/proc/{pids[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{pids[0]}/fd")]
    assert sum(name.startswith("socket:") for name in sockets) == 1, sockets


def test_legal_sql_passes(target):
    for sql in ["WITH x AS (SELECT 1 AS a) SELECT * FROM x", "FROM logs", "VALUES (1), (2)", "DESCRIBE logs", "SHOW TABLES",
                "SUMMARIZE otel_logs", "EXPLAIN SELECT * FROM traces", "EXPLAIN ANALYZE SELECT 1 /* x */; -- y",
                "SELECT * FROM main.otel_metrics_sum", "SELECT * FROM range(3)", "SELECT unnest([1, 2])",
                "SELECT list_transform([1, 2], lambda x: x + 1)", "SELECT * FROM json_each('[1,2]')",
                "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t",
                "SELECT count(*) FILTER (SeverityNumber > 8), max(Timestamp) OVER () FROM logs GROUP BY Timestamp",
                "TABLE metrics", "SELECT now(), 'a;b', $$c;d$$ -- ;", "PIVOT (SELECT 1 a, 2 b) ON a IN (1) USING sum(b)"]:
        answer = target.ask(sql)
        assert answer.status_code == 200, (sql, answer.text)
