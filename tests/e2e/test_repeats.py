"""The same bytes again: every copy is acknowledged, and the rows are there once, unless nothing of them has a time."""

import concurrent.futures
import http.client
import json
import struct
import subprocess

import otlp
from harness import crc32c


def send(server, path, body, kind):
    """Over a connection of its own: to any of the threads."""
    connection = http.client.HTTPConnection(server.grpc, timeout=30)
    connection.request("POST", path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, answer.read()


def make_known_requests_older(path, seconds):
    """As if the entries of a dedup file (docs/WAL.md) were of so long ago; how many there are."""
    content = bytearray(path.read_bytes())
    (count,) = struct.unpack_from("<I", content, 12)
    for at in range(16 + 16, 16 + 40 * count, 40):
        (received_ns,) = struct.unpack_from("<Q", content, at)
        struct.pack_into("<Q", content, at, received_ns - seconds * 10**9)
    struct.pack_into("<I", content, len(content) - 4, crc32c(content[:-4]))
    path.write_bytes(content)
    return count


def test_copies_in_flight_share_one_outcome(server):
    one = server("--threads", "2")
    names = [f"copy-{i}" for i in range(40)]
    bodies = {name: otlp.logs(50, name=name).SerializeToString() for name in names}

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        copies = [bodies[name] for name in names for _ in range(8)]
        answers = list(pool.map(lambda body: send(one, "/v1/logs", body, otlp.PROTOBUF), copies))
    assert not [answer for answer in answers if answer[0] != 200]
    rows = one.sql("SELECT LogAttributes['name'] AS name, count(*) AS n FROM otel_logs GROUP BY ALL")
    assert {row["name"]: row["n"] for row in rows} == {name: 50 for name in names}
    assert one.metric("otolith_items_deduplicated_total") == 50 * 7 * len(names)


def test_what_has_no_time_is_stored_as_often_as_it_comes(server, tmp_path):
    one = server("--threads", "2", data=tmp_path / "data")
    log = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"backup done"}}]}]}]}'
    points = (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"jobs","sum":{"aggregationTemporality":1,'
        b'"isMonotonic":true,"dataPoints":[{"asInt":"1"}]}}]}]}]}'
    )

    def add(path, body):
        return send(one, path, body, "application/json")[0]

    def stored():
        return [one.sql(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in ("logs", "otel_metrics_sum")]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, ["/v1/logs", "/v1/metrics"] * 30, [log, points] * 30)) == {200}
    assert stored() == [30, 30]
    assert one.metric("otolith_items_deduplicated_total") == 0
    one.kill()
    one = server("--threads", "2", data=tmp_path / "data")
    assert stored() == [30, 30]
    assert add("/v1/logs", log) == 200
    assert stored() == [31, 30]
    one.stop()  # and once more with files
    one = server("--threads", "1", data=tmp_path / "data")
    assert add("/v1/metrics", points) == 200
    assert stored() == [31, 31]


def test_one_item_with_a_time_makes_a_repeated_request_one(server):
    one = server()
    body = (
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},'
        b'{"observedTimeUnixNano":"1767225600000000000","body":{"stringValue":"b"}}]}]}]}'
    )
    for _ in range(3):
        assert send(one, "/v1/logs", body, "application/json")[0] == 200
    assert one.sql("SELECT count(*) AS n FROM logs")[0]["n"] == 2


def test_a_command_forgets_no_request_that_the_server_knows(server, otolith_binary, tmp_path):
    one = server("--threads", "1", "--dedup-window", "1h", data=tmp_path / "data")
    known = otlp.logs(1, name="known").SerializeToString()
    assert one.post("/v1/logs", known, otlp.PROTOBUF).status_code == 200
    one.stop()
    assert make_known_requests_older(one.data / "wal/0/dedup", 30 * 60) == 1
    one.start()
    assert one.post("/v1/logs", otlp.logs(1, name="other").SerializeToString(), otlp.PROTOBUF).status_code == 200
    one.kill()  # the command brings the other into a file
    asked = [otolith_binary, "query", "--data", one.data, "--format", "ndjson", "SELECT count(*) AS n FROM logs"]
    assert json.loads(subprocess.run(asked, stdout=subprocess.PIPE, timeout=60, check=True).stdout) == {"n": 2}
    one.start()
    assert one.post("/v1/logs", known, otlp.PROTOBUF).status_code == 200
    assert one.sql("SELECT count(*) AS n FROM logs") == [{"n": 2}]
