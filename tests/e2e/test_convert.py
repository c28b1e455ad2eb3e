"""`otolith convert`: what it reads and writes, and a real Collector on both sides of it."""

import contextlib
import gzip
import hashlib
import json
import os
import random
import signal as signals
import socket
import struct
import subprocess
import sys
import time

import duckdb
import grpc
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import zstandard
from google.protobuf import json_format

import otlp
import otlp_random

SIGNALS = list(otlp_random.REQUESTS)
TABLES = ["exponential_histogram", "gauge", "histogram", "sum", "summary"]


@pytest.fixture
def convert(otolith_binary):
    """convert(*args) runs it; gives standard output, or what it said when it fails. notes: what it may say else."""

    def run(*args, status=0, input=None, notes=""):
        command = [otolith_binary, "convert", *args]
        done = subprocess.run(command, capture_output=True, input=input, timeout=120, check=False)
        said = done.stderr.decode()
        assert done.returncode == status, said
        assert status or said == notes, said
        return done.stdout if status == 0 else said

    return run


def make(signal, count=60, seed=1):
    maker = otlp_random.Maker(f"{seed} {signal}", odd_nans=False)
    return [maker.request(signal) for _ in range(count)]


def rows(signal, requests):
    return otlp_random.row_counts(signal, requests)


def rows_of_stream(signal, data, change=lambda message: message):
    return rows(signal, (change(otlp_random.REQUESTS[signal].FromString(m)) for m in otlp_random.frames(data)))


def bodies(requests):
    return [request.SerializeToString() for request in requests]


def zstd(data):
    return zstandard.ZstdCompressor().compress(data)


# --- forms ---


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_form_of_otlp_is_read(convert, tmp_path, signal):
    requests = make(signal)
    plain = bodies(requests)
    stream, half = otlp_random.stream(plain), len(plain) // 2
    forms = {
        "stream": stream,
        "request": b"".join(plain),
        "messages in zstd": otlp_random.stream([zstd(m) for m in plain]),
        "messages in gzip": otlp_random.stream([gzip.compress(m) for m in plain]),
        "zstd": zstd(stream),
        "frames of zstd": zstd(otlp_random.stream(plain[:half])) + zstd(otlp_random.stream(plain[half:])),
        "skippable frame": struct.pack("<II", 0x184D2A53, 5) + b"hello" + zstd(stream),
        "members of gzip": gzip.compress(stream[:1000]) + gzip.compress(stream[1000:]),
        "request in gzip": gzip.compress(b"".join(plain)),
    }
    for name, data in forms.items():
        (tmp_path / "in").write_bytes(data)
        got = convert("--from", "otlp", "--to", "otlp", "--signal", signal, "-o", "-", tmp_path / "in")
        assert rows_of_stream(signal, got) == rows(signal, requests), name
        piped = convert("--from", "otlp", "--to", "otlp", "--signal", signal, "-o", "-", "-", input=data)
        assert piped == got, name


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_form_of_json_is_read(convert, tmp_path, signal):
    requests = [r for r in make(signal) if r.ByteSize()]
    lines = convert("--from", "otlp", "--to", "otlp-json", "--signal", signal, "-o", "-", "-",
                    input=otlp_random.stream(bodies(requests))).splitlines()
    assert len(lines) == len(requests)
    documents = [json.loads(line, parse_int=str, parse_float=str) for line in lines]
    forms = {
        "lines": b"\n".join(lines) + b"\n",
        "no last newline, blank lines": b"\n\r\n".join(lines),
        "many lines each": b"".join(json.dumps(d, indent=2).encode() for d in documents),
        "one document": lines[0][:-2] + b"".join(b"," + line[line.index(b"[") + 1 : -2] for line in lines[1:]) + b"]}",
        "stream in zstd": otlp_random.stream([zstd(line) for line in lines]),
        "zstd": zstd(b"\n".join(lines)),
        "gzip": gzip.compress(b"\n".join(lines)),
    }
    for name, data in forms.items():
        (tmp_path / "in").write_bytes(data)
        got = convert("--from", "otlp-json", "--to", "otlp", "-o", "-", tmp_path / "in")
        assert rows_of_stream(signal, got, otlp_random.plain_nans) == rows(signal, requests), name


def test_documents_without_a_name_of_otlps_are_warned_of(convert):
    good, original, empty = b'{"resourceLogs":[{"schemaUrl":"a"}]}', b'{"resource_logs":[{"schema_url":"b"}]}', b"{}"
    for documents, ignored in [([good, empty], 0), ([good, original, empty, original], 2), ([original], 1)]:
        notes = (f"otolith: warning: {ignored} JSON documents were ignored: they have no name of OTLP's "
                 "(which are lowerCamelCase: resourceLogs)\n") if ignored else ""
        for data in (b"\n".join(documents), otlp_random.stream(documents)):
            got = convert("--from", "otlp-json", "--to", "otlp", "--signal", "logs", "-o", "-", "-", input=data, notes=notes)
            urls = [r.schema_url for m in otlp_random.frames(got) for r in otlp_random.REQUESTS["logs"].FromString(m).resource_logs]
            assert urls == ["a"] * documents.count(good)


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_form_that_is_written_says_the_same(convert, tmp_path, signal):
    requests = [r for r in make(signal) if r.ByteSize()]
    stream = tmp_path / "stream"
    stream.write_bytes(otlp_random.stream(bodies(requests)))
    kind = otlp_random.REQUESTS[signal]

    def written(to, *more):
        return convert("--from", "otlp", "--to", to, "--signal", signal, *more, "-o", "-", stream)

    assert written("otlp") == stream.read_bytes()
    assert rows(signal, [kind.FromString(written("otlp", "--framing", "request"))]) == rows(signal, requests)
    unpack = zstandard.ZstdDecompressor()
    packed = list(otlp_random.frames(written("otlp", "--zstd")))
    assert [unpack.decompress(m) for m in packed] == bodies(requests)
    lines = written("otlp-json").splitlines()
    packed = list(otlp_random.frames(written("otlp-json", "--zstd")))
    assert [unpack.decompress(m) for m in packed] == lines
    document = written("otlp-json", "--framing", "request")
    (group,) = {name for line in lines for name in json.loads(line)}
    together = [g for line in lines for g in json.loads(line)[group]]
    assert repr(json.loads(document)) == repr({group: together})
    whole = written("otlp-json", "--framing", "request", "--zstd")
    assert zstandard.ZstdDecompressor().stream_reader(whole, read_across_frames=True).read() == document


def test_files_become_one_in_their_order(convert, tmp_path):
    requests = [r for r in make("logs") if r.ByteSize()]
    for i, request in enumerate(requests[:3]):
        (tmp_path / str(i)).write_bytes(request.SerializeToString())
    got = convert("--from", "otlp", "--to", "otlp", "--signal", "logs", "-o", "-", *(tmp_path / i for i in "201"))
    expected = b"".join(bodies([requests[2], requests[0], requests[1]]))
    assert b"".join(otlp_random.frames(got)) == expected


# --- Parquet ---


@pytest.mark.parametrize("signal", SIGNALS)
def test_parquet_files_have_their_names_and_come_back(convert, tmp_path, signal):
    requests = make(signal, 200)
    stream = tmp_path / "stream"
    stream.write_bytes(otlp_random.stream(bodies(requests)))
    (tmp_path / "folder").mkdir()
    for output, names in (
        ("x.parquet", [f"x.{t}.parquet" for t in TABLES] if signal == "metrics" else ["x.parquet"]),
        ("plain", [f"plain.{t}.parquet" for t in TABLES] if signal == "metrics" else ["plain"]),
        ("folder", [f"folder/{t}.parquet" for t in TABLES] if signal == "metrics" else [f"folder/{signal}.parquet"]),
        ("new/", [f"new/{t}.parquet" for t in TABLES] if signal == "metrics" else [f"new/{signal}.parquet"]),
    ):
        before = set(p for p in tmp_path.rglob("*") if p.is_file())
        convert("--from", "otlp", "--to", "parquet", "--signal", signal, "-o", os.path.join(tmp_path, output), stream)
        made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file() and p not in before)
        assert made == names
        back = convert("--from", "parquet", "--to", "otlp", "-o", "-", *(tmp_path / n for n in names))
        assert rows_of_stream(signal, back) == rows(signal, requests)


def test_folders_of_parquet_files_are_read_in_the_order_of_their_names(convert, tmp_path):
    for name, body in ("b/2", "three"), ("a/1", "one"), ("b/1", "two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        document = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": body}}]}]}]})
        convert("--from", "otlp-json", "--to", "parquet", "-o", tmp_path / f"{name}.parquet", "-", input=document.encode())
    (tmp_path / "b/note.txt").write_text("no Parquet file")
    lines = convert("--from", "parquet", "--to", "otlp-json", "-o", "-", tmp_path).splitlines()
    bodies = [json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"] for line in lines]
    assert bodies == [{"stringValue": body} for body in ("one", "two", "three")]
    (tmp_path / "c").mkdir()
    (tmp_path / "c/1.parquet").symlink_to("../a/1.parquet")
    linked = convert("--from", "parquet", "--to", "otlp-json", "-o", "-", tmp_path).splitlines()
    assert linked == [*lines, lines[0]]
    (tmp_path / "empty").mkdir()
    assert "no Parquet file" in convert("--from", "parquet", "--to", "otlp", "-o", "-", tmp_path / "empty", status=1)


def test_parquet_is_as_the_server_writes_it(server, convert, tmp_path):
    request = otlp.traces(500)
    one = server()
    assert one.post("/v1/traces", request.SerializeToString(), otlp.PROTOBUF).status_code == 200
    one.stop()
    (theirs,) = one.data.rglob("*.parquet")
    convert("--from", "otlp", "--to", "parquet", "--signal", "traces", "-o", tmp_path / "ours", "-",
            input=request.SerializeToString())
    a, b = pq.ParquetFile(theirs), pq.ParquetFile(tmp_path / "ours", page_checksum_verification=True)
    assert a.schema.equals(b.schema)
    assert a.read().equals(b.read())
    assert a.metadata.row_group(0).sorting_columns == b.metadata.row_group(0).sorting_columns
    assert b.metadata.row_group(0).sorting_columns


def test_many_rows_become_sorted_row_groups(convert, tmp_path):
    convert("--from", "otlp", "--to", "parquet", "--signal", "logs", "-o", tmp_path / "x", "-",
            input=otlp_random.stream(bodies(otlp.logs(10000, start=10**18 * (1 + i % 3), service=f"s{i % 2}")
                                             for i in range(30))))
    file = pq.ParquetFile(tmp_path / "x", page_checksum_verification=True)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sum(sizes) == 300_000 and max(sizes) <= 122_880 and len(sizes) <= 6
    for i in range(file.num_row_groups):
        group = file.read_row_group(i, columns=["ServiceName", "Timestamp"]).to_pydict()
        keys = list(zip(group["ServiceName"], group["Timestamp"]))
        assert keys == sorted(keys)


def described(text, count):
    """A resource that a text describes, and log records of it without anything of their own."""
    request = otlp.logs(0)
    request.resource_logs[0].resource.attributes.add(key="described").value.string_value = text
    for i in range(count):
        request.resource_logs[0].scope_logs[0].log_records.add(time_unix_nano=1767261600 * 10**9 + i * 1000)
    return request


def unlike(size, seed):
    """Text that nothing makes much smaller."""
    return random.Random(seed).randbytes(size // 2).hex()


@pytest.mark.parametrize("megabytes, count", [(17, 8), (40, 6), (64, 5)])
def test_large_text_of_many_rows_is_there_once(convert, tmp_path, megabytes, count):
    """Past the size of a common dictionary: readers have to take one as large as that."""
    text, path = unlike(megabytes << 20, megabytes), tmp_path / "logs.parquet"
    message = described(text, count).SerializeToString()
    given = ["--from", "otlp", "--input-framing", "request", "--signal", "logs"]
    convert(*given, "--to", "parquet", "-o", path, "-", input=message)
    assert path.stat().st_size < 1.01 * len(text)
    digest = hashlib.md5(text.encode()).hexdigest()
    found = duckdb.sql(f"SELECT md5(ResourceAttributes['described']) AS m, count(*) FROM '{path}' GROUP BY m").fetchall()
    assert found == [(digest, count)]
    column = pq.read_table(path, columns=["ResourceAttributes"], read_dictionary=["ResourceAttributes.key_value.value"])
    [values] = [chunk.items for chunk in column[0].chunks]
    assert pc.sum(pc.equal(values, text)).as_py() == count
    again = otlp_random.REQUESTS["logs"].FromString(convert("--from", "parquet", "--to", "otlp", "--framing", "request", "-o", "-", path))
    for resource_logs in again.resource_logs:
        assert resource_logs.resource.attributes[-1].value.string_value == text
    assert sum(len(resource_logs.scope_logs[0].log_records) for resource_logs in again.resource_logs) == count


def test_a_text_larger_than_pages_of_others_comes_back(convert, otolith_binary, server, tmp_path):
    """260 MiB in a value, which take a page of their own; also where a folder of files is verified."""
    one = server()
    assert one.post("/v1/logs", otlp.logs(1).SerializeToString(), otlp.PROTOBUF).status_code == 200
    one.stop()
    request, path = otlp.logs(1), one.data / "logs/large.parquet"
    [record] = request.resource_logs[0].scope_logs[0].log_records
    record.body.string_value = "abcdefgh12345678 and so on\n" * (260 * 2**20 // 27)
    message = request.SerializeToString()
    given = ["--from", "otlp", "--input-framing", "request", "--signal", "logs"]
    convert(*given, "--to", "parquet", "-o", path, "-", input=message)
    again = convert("--from", "parquet", "--to", "otlp", "--framing", "request", "-o", "-", path)
    assert otlp_random.REQUESTS["logs"].FromString(again) == request
    done = subprocess.run([otolith_binary, "verify", "--data", one.data], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "2 files" in done.stdout and "all is well" in done.stdout, done.stdout


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_is_written_where_it_is(otolith_binary, tmp_path, name):
    """A file that is appended to keeps what it has."""
    document = otlp.to_json(otlp.logs(1))
    with open(tmp_path / "all", "ab", buffering=0) as file:
        file.write(b"before\n")
        command = [otolith_binary, "convert", "--from", "otlp-json", "--to", "otlp-json", "-o", name, "-"]
        subprocess.run(command, input=document, stdout=file, check=True)
        file.write(b"after\n")
    lines = (tmp_path / "all").read_bytes().split(b"\n")
    assert (lines[0], lines[2]) == (b"before", b"after") and b"resourceLogs" in lines[1]


def test_a_standard_output_that_does_not_wait_is_waited_for(otolith_binary, tmp_path):
    (tmp_path / "in").write_bytes(b"\n".join([otlp.to_json(otlp.logs(500))] * 10))
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    command = [otolith_binary, "convert", "--from", "otlp-json", "--to", "otlp-json", "-o", "-", tmp_path / "in"]
    with subprocess.Popen(command, stdout=writing) as process:
        os.close(writing)
        time.sleep(0.3)  # the pipe is full
        os.set_blocking(reading, True)
        with open(reading, "rb") as pipe:
            text = pipe.read()
        assert process.wait(60) == 0 and text.count(b"resourceLogs") == 10


def test_a_pipe_behind_other_inputs_is_opened_once(convert, tmp_path):
    """Opened only to be looked at, its writer would be gone when its turn comes."""
    document = otlp.to_json(otlp.logs(1))
    (tmp_path / "a.json").write_bytes(document)
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f"cat {tmp_path}/a.json > {tmp_path}/pipe"]) as writer:
        inputs = [tmp_path / "a.json"] * 9 + [tmp_path / "pipe"]
        lines = convert("--from", "otlp-json", "--to", "otlp-json", "-o", "-", *inputs).splitlines()
        assert writer.wait(60) == 0 and len(lines) == 10


def test_an_output_has_the_permissions_of_what_it_replaces(convert, tmp_path):
    (tmp_path / "old").write_bytes(b"")
    (tmp_path / "old").chmod(0o604)
    mask = os.umask(0o027)
    try:
        for name in ("old", "new"):
            convert("--from", "otlp-json", "--to", "otlp", "-o", tmp_path / name, "-", input=otlp.to_json(otlp.logs(1)))
    finally:
        os.umask(mask)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("old", "new")] == [0o604, 0o640]


def test_parquet_goes_through_pipes(convert):
    requests = make("traces")
    parquet = convert("--from", "otlp", "--to", "parquet", "--signal", "traces", "-o", "-", "-",
                      input=otlp_random.stream(bodies(requests)))
    assert parquet[:4] == parquet[-4:] == b"PAR1"
    back = convert("--from", "parquet", "--to", "otlp", "-o", "-", "-", input=parquet)
    assert rows_of_stream("traces", back) == rows("traces", requests)


def test_no_rows_are_no_error(convert, tmp_path):
    for signal, made in (("logs", ["x"]), ("traces", ["x"]), ("metrics", [])):
        convert("--from", "otlp", "--to", "parquet", "--signal", signal, "-o", tmp_path / "x", "-", input=b"",
                notes="" if made else "otolith: no data points, so no file was written\n")
        assert [p.name for p in tmp_path.iterdir()] == made
        if made:
            assert pq.read_table(tmp_path / "x").num_rows == 0
            assert convert("--from", "parquet", "--to", "otlp", "-o", "-", tmp_path / "x") == b""
            (tmp_path / "x").unlink()
    document = ["--to", "otlp-json", "--framing", "request", "-o", "-", "-"]
    assert convert("--from", "otlp-json", *document, input=b"") == b"{}\n"


def test_a_table_of_another_writer(otolith_binary, tmp_path):
    """As ClickHouse's exporter has it: no types, nanoseconds in the timestamp, words, a column that is not ours."""
    pairs = [("service.name", "shop")]
    table = pa.table({
        "Timestamp": pa.array([1_600_000_000_000_000_777, 1_600_000_000_000_001_000], pa.timestamp("ns")),
        "TraceId": ["30313233343536373839616263646566"] * 2,
        "SpanId": ["3132333435363738"] * 2,
        "SpanName": ["GET", "PUT"],
        "SpanKind": ["Server", "SPAN_KIND_CLIENT"],
        "ResourceAttributes": pa.array([pairs, pairs], pa.map_(pa.string(), pa.string())),
        "SpanAttributes": pa.array([[("n", "42")], []], pa.map_(pa.string(), pa.string())),
        "Duration": pa.array([1500, 0], pa.uint64()),
        "StatusCode": ["Error", "Unset"],
        "Extra": [1, 2],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "spans.parquet")
    command = ["--from", "parquet", "--to", "otlp", "--framing", "request", "-o", "-", tmp_path / "spans.parquet"]
    done = subprocess.run([otolith_binary, "convert", *command], capture_output=True, check=True)
    assert b"columns not taken: Extra" in done.stderr
    request = otlp_random.REQUESTS["traces"].FromString(done.stdout)
    expected = otlp_random.REQUESTS["traces"]()
    group = expected.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    span = scope.spans.add(trace_id=b"0123456789abcdef", span_id=b"12345678", name="GET", kind=2,
                           start_time_unix_nano=1_600_000_000_000_000_777, end_time_unix_nano=1_600_000_000_000_002_277)
    span.attributes.add(key="n").value.string_value = "42"
    span.status.code = 2
    scope.spans.add(trace_id=b"0123456789abcdef", span_id=b"12345678", name="PUT", kind=3,
                    start_time_unix_nano=1_600_000_000_000_001_000, end_time_unix_nano=1_600_000_000_000_001_000)
    assert json_format.MessageToDict(request) == json_format.MessageToDict(expected)


CLICKHOUSE = """
import chdb, sys
print(chdb.query(sys.argv[1]), end="")
"""


def test_a_table_that_clickhouse_wrote(convert, tmp_path):
    """The exporter's columns: lists of structs as a list a part, LowCardinality, nanoseconds."""
    query = f"""SELECT toDateTime64('2026-01-01 00:00:00.123456789', 9) AS Timestamp,
        '0af7651916cd43dd8448eb211c80319c' AS TraceId, '00f067aa0ba902b7' AS SpanId, '' AS ParentSpanId,
        toLowCardinality('GET') AS SpanName, toLowCardinality('Server') AS SpanKind, toUInt64(5) AS Duration,
        toLowCardinality('shop') AS ServiceName, toLowCardinality('Error') AS StatusCode, 'boom' AS StatusMessage,
        map('service.name', 'shop')::Map(LowCardinality(String), String) AS ResourceAttributes,
        map('n', '1')::Map(LowCardinality(String), String) AS SpanAttributes,
        [toDateTime64('2026-01-01 00:00:00.5', 9)] AS `Events.Timestamp`,
        ['ev']::Array(LowCardinality(String)) AS `Events.Name`,
        [map('k', 'v')]::Array(Map(LowCardinality(String), String)) AS `Events.Attributes`
        INTO OUTFILE '{tmp_path}/spans.parquet' FORMAT Parquet"""
    subprocess.run([sys.executable, "-c", CLICKHOUSE, query], check=True)
    document = convert("--from", "parquet", "--to", "otlp-json", "-o", "-", tmp_path / "spans.parquet")
    (group,) = json.loads(document)["resourceSpans"]
    assert group["resource"] == {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    assert group["scopeSpans"][0]["spans"] == [{
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b7", "name": "GET", "kind": 2,
        "startTimeUnixNano": "1767225600123456789", "endTimeUnixNano": "1767225600123456794",
        "attributes": [{"key": "n", "value": {"stringValue": "1"}}],
        "events": [{"timeUnixNano": "1767225600500000000", "name": "ev",
                    "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}],
        "status": {"message": "boom", "code": 2},
    }]  # fmt: skip


# --- failures ---


def test_bad_input_is_named_and_leaves_nothing(convert, tmp_path):
    logs = bodies(otlp.logs(3) for _ in range(3))
    stream = otlp_random.stream(logs)
    lines = convert("--from", "otlp", "--to", "otlp-json", "--signal", "logs", "-o", "-", "-", input=stream)
    lines = lines.splitlines()
    second = len(lines[0]) + 1
    broken = otlp_random.stream([logs[0], b"\x0a\x02\x10\x01", logs[2]])  # a number for scope_logs
    cases = [
        ("otlp", stream[:-1], f"message 3 at byte {len(stream) - len(logs[2]) - 4}: the stream ends after"),
        ("otlp", stream + b"\0\0", "message 4 at byte"),
        ("otlp", broken, f"message 2 at byte {len(logs[0]) + 4}: "),
        ("otlp", b"\x07\xff\xff\xff" + b"x" * 100, "the stream ends after 100 of 134217727 bytes"),
        ("otlp", logs[0][:-1], "malformed"),
        ("otlp", zstd(stream)[:-3], "truncated zstd stream"),
        ("otlp", gzip.compress(stream)[:-9], "truncated gzip stream"),
        ("otlp", b"neither", "malformed protobuf"),
        ("otlp-json", b"\n".join([lines[0], lines[1][:-3], lines[2]]), f"message 2 at byte {second}: line 3, column 1"),
        ("otlp-json", lines[0] + b'\n{"resourceLogs":[{"scopeLogs":7}]}',
         "line 2, column 31: resourceLogs[0].scope"),
        ("otlp-json", lines[0] + b"\n[]", "message 2 at byte"),
        ("otlp-json", lines[0][:-1], "line 1, column"),
        ("otlp-json", b'{"resourceSpans":[]}\n' + lines[0], "holds logs, not traces"),
        ("otlp-json", lines[0] + b'\n{"resourceLogs":[],\n "resourceSpans":[{}]}',
         f"message 2 at byte {second}: line 3, column 2: resourceSpans: another signal's"),
        ("otlp-json", b'{"resourceMetrics":[{}], "resource\\u004cogs" : [ {} ]}', "column 26: resourceLogs: another signal's"),
        ("otlp-json", b"{}", "give --signal"),
        ("parquet", b"PAR1 but not really", "no"),
        ("parquet", b"", "no Parquet file"),
    ]  # fmt: skip
    for source, data, said in cases:
        (tmp_path / "in").write_bytes(data)
        more = ["--signal", "logs"] if source == "otlp" else []
        for target in ("parquet", "otlp", "otlp-json"):
            for output in ("new", "old"):
                (tmp_path / "old").write_bytes(b"as it was")
                command = ["--from", source, "--to", target, *more, "-o", tmp_path / output, tmp_path / "in"]
                told = convert(*command, status=1)
                assert str(tmp_path / "in") in told and said in told, (source, target, said, told)
                assert (tmp_path / "old").read_bytes() == b"as it was"
                assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "old"], told


MICROSECONDS, NUMBER = pa.timestamp("us", "UTC"), pa.int64()
LAST = (2**64 - 1) // 1000  # microsecond that OTLP has a time in
# A row of each signal of which OTLP can hold everything.
GOOD_ROWS = {
    "logs": {"Timestamp": pa.array([LAST], MICROSECONDS), "TimestampNanoOfMicro": pa.array([615], pa.int32()),
             "SeverityNumber": pa.array([9], pa.int32()), "TraceFlags": pa.array([2**32 - 1], NUMBER)},
    "traces": {"Timestamp": pa.array([0], MICROSECONDS), "TraceId": ["0af7651916cd43dd8448eb211c80319c"],
               "SpanId": ["00f067aa0ba902b7"], "SpanName": ["GET"], "Duration": pa.array([-1], NUMBER)},
    "metrics": {"TimeUnix": pa.array([1], MICROSECONDS), "MetricName": ["m"], "Value": [1.5]},
}  # fmt: skip


def parts(name, type, value):
    """A list of two structs, the second with the value."""
    return pa.array([[{name: 1}, {name: value}]], pa.list_(pa.struct([(name, type)])))


@pytest.mark.parametrize(
    "signal, column, values, said",
    [
        ("logs", "Timestamp", pa.array([-1], MICROSECONDS), "-1 us"),
        ("logs", "Timestamp", pa.array([-62_135_596_800_000_000], MICROSECONDS), "-62135596800000000 us"),  # Go's zero
        ("logs", "Timestamp", pa.array([LAST + 1], MICROSECONDS), "18446744073709552 us"),
        ("logs", "ObservedTimestamp", pa.array([-1], pa.timestamp("ns")), "-1 us"),
        ("logs", "TimestampNanoOfMicro", pa.array([5000], pa.int32()), "5000 ns"),
        ("logs", "TraceFlags", pa.array([2**40 + 5], NUMBER), "1099511627781"),
        ("logs", "ResourceDroppedAttrCount", pa.array([-1], NUMBER), "-1"),
        ("traces", "Events", parts("Timestamp", MICROSECONDS, -5), "Timestamp -5 us"),
        ("traces", "Events", parts("DroppedAttrCount", NUMBER, 2**32), "DroppedAttrCount 4294967296"),
        ("traces", "Links", parts("DroppedAttrCount", NUMBER, 2**32), "DroppedAttrCount 4294967296"),
        ("traces", "Links", parts("Flags", NUMBER, -3), "Flags -3"),
        ("metrics", "StartTimeUnix", pa.array([-1], MICROSECONDS), "-1 us"),
        ("metrics", "Exemplars", parts("TimeUnix", MICROSECONDS, -1), "TimeUnix -1 us"),
    ],
)
def test_numbers_that_otlp_cannot_hold_are_refused(convert, tmp_path, signal, column, values, said):
    """They would come out as others: times modulo 2^64 ns, counts and flags modulo 2^32."""
    good, bad = pa.table(GOOD_ROWS[signal]), pa.table({**GOOD_ROWS[signal], column: values})
    pq.write_table(good, tmp_path / "good.parquet")
    pq.write_table(pa.Table.from_pylist(good.to_pylist() + bad.to_pylist(), bad.schema), tmp_path / "bad.parquet")
    for target in ("otlp", "otlp-json", "parquet"):
        line = ["--from", "parquet", "--to", target, "-o"]
        convert(*line, tmp_path / f"good.{target}", tmp_path / "good.parquet")
        told = convert(*line, tmp_path / "out", tmp_path / "bad.parquet", status=1)
        assert "bad.parquet" in told and f"row 1, column {column}: {said}" in told
        assert not list(tmp_path.glob("out*"))


def test_empty_lists_of_other_signals_are_nothing_lost(convert):
    document = b'{"resourceSpans":[ ],"resourceLogs":[{}],"resourceMetrics":null}'
    assert "holds traces" in convert("--from", "otlp-json", "--to", "otlp-json", "--signal", "logs", "-o", "-", "-",
                                     input=document, status=1)  # its first name says what it is
    document = b'{"resourceLogs":[{}],"resourceSpans":[ ],"resourceMetrics":null}'
    assert convert("--from", "otlp-json", "--to", "otlp-json", "-o", "-", "-", input=document) == b'{"resourceLogs":[{}]}\n'


@contextlib.contextmanager
def halfway(otolith_binary, folder, target, *wrapper):
    """A conversion of a pipe that has begun to write the only file in the folder."""
    block = otlp_random.stream(bodies([otlp.metrics(1000)]))
    command = [otolith_binary, "convert", "--from", "otlp", "--signal", "metrics", *target, "-"]
    with subprocess.Popen([*wrapper, *command], stdin=-1, stdout=-1, stderr=-1, cwd=folder) as process:
        for _ in range(130):  # more than a row group
            process.stdin.write(block)
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(folder.rglob("*.part")):
            assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
            time.sleep(0.01)
        yield process


TARGETS = {"one file": ["--to", "otlp-json", "-o", "new"], "a folder": ["--to", "parquet", "-o", "m/"]}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["HUP", "INT", "PIPE", "TERM"])
def test_a_signal_ends_it_and_leaves_nothing(otolith_binary, tmp_path, name, target):
    number = getattr(signals, "SIG" + name)
    with halfway(otolith_binary, tmp_path, TARGETS[target], "env", f"--default-signal={name}") as process:
        process.send_signal(number)
        assert process.wait(60) == -number
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_signal_that_is_ignored_stays_so(otolith_binary, tmp_path):
    with halfway(otolith_binary, tmp_path, TARGETS["one file"], "env", "--ignore-signal=HUP") as process:
        process.send_signal(signals.SIGHUP)
        process.stdin.close()
        assert process.wait(60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_wrong_usage(convert, tmp_path):
    (tmp_path / "in").write_bytes(b"")
    some = tmp_path / "in"
    assert "--signal" in convert("--from", "otlp", "--to", "otlp", "-o", "-", some, status=2)
    assert "--from and --to" in convert("--to", "otlp", "-o", "-", some, status=2)
    assert "-o" in convert("--from", "otlp", "--signal", "logs", "--to", "otlp", some, status=2)
    assert "name the files" in convert("--from", "otlp", "--signal", "logs", "--to", "otlp", "-o", "-", status=2)
    for kind in ("arrow", "otap"):
        assert "otlp|otlp-json|parquet" in convert("--from", kind, "--to", "otlp", "-o", "-", some, status=2)
        assert "otlp|otlp-json|parquet" in convert("--from", "otlp", "--to", kind, "-o", "-", some, status=2)
    metrics = ["--from", "otlp", "--signal", "metrics", "--to", "parquet", "-o", "-"]
    assert "five Parquet files" in convert(*metrics, some, status=1)
    assert "No such file" in convert("--from", "parquet", "--to", "otlp", "-o", "-", tmp_path / "none", status=1)
    assert "No space left" in convert("--from", "otlp", "--to", "otlp", "--signal", "logs", "-o", "/dev/full", "-",
                                      input=otlp_random.stream(bodies([otlp.logs()])), status=1)  # fmt: skip


def test_items_that_are_refused_end_it_or_are_left_out(convert, otolith_binary, tmp_path):
    request = otlp.traces(5)
    request.resource_spans[0].scope_spans[0].spans[2].trace_id = b"short"
    (tmp_path / "in").write_bytes(request.SerializeToString())
    command = ["--from", "otlp", "--to", "parquet", "--signal", "traces", "-o", tmp_path / "x", tmp_path / "in"]
    told = convert(*command, status=1)
    assert "trace_id of a span must be 16 bytes" in told and "--skip-refused" in told
    done = subprocess.run([otolith_binary, "convert", "--skip-refused", *command], capture_output=True, check=True)
    assert b"1 items were left out" in done.stderr and b"trace_id of a span" in done.stderr
    assert pq.read_table(tmp_path / "x").num_rows == 4
    for target in ("otlp", "otlp-json"):  # passed on as it is
        got = convert("--from", "otlp", "--to", target, "--signal", "traces", "-o", "-", tmp_path / "in")
        back = convert("--from", target, "--to", "otlp", "--signal", "traces", "-o", "-", "-", input=got)
        assert rows_of_stream("traces", back) == rows("traces", [request])


def test_strings_that_are_no_utf8_are_repaired_and_counted(server, otolith_binary, tmp_path):
    body = otlp.logs(2, name="right").SerializeToString().replace(b"right 1", b"ri\xffht 1")
    (tmp_path / "in").write_bytes(body)
    done = subprocess.run([otolith_binary, "convert", "--from", "otlp", "--signal", "logs", "--to", "parquet", "-o",
                           tmp_path / "x", tmp_path / "in"], capture_output=True, check=True)
    assert b"1 strings were not UTF-8" in done.stderr
    assert sorted(pq.read_table(tmp_path / "x")["Body"].to_pylist()) == ["right 0", "ri\ufffdht 1"]
    one = server()
    assert one.post("/v1/logs", body, otlp.PROTOBUF).status_code == 200
    assert one.metric("otolith_strings_repaired_total", signal="logs") == 1


# --- memory ---


def feed(pipe, block, count):
    with pipe:
        for _ in range(count):
            pipe.write(block)


@pytest.mark.release
@pytest.mark.parametrize("signal, megabytes", [("logs", 300), ("metrics", 80)])
def test_memory_does_not_grow_with_the_input(otolith_binary, tmp_path, signal, megabytes):
    """Hundreds of megabytes through 192 MiB of address space, each way."""
    limit = 192 << 20
    block = otlp_random.stream(bodies(getattr(otlp, signal)(1000, name=f"n{i}") for i in range(20)))
    times = (megabytes << 20) // len(block)
    parquet = tmp_path / "x.parquet"
    made = tmp_path / ("x.gauge.parquet" if signal == "metrics" else "x.parquet")
    for source, target, output, more in (
        ("otlp", "parquet", parquet, ["--signal", signal, "-"]),
        ("parquet", "otlp-json", tmp_path / "x.json", [made]),
        ("otlp-json", "otlp", "/dev/null", [tmp_path / "x.json"]),
    ):
        command = [otolith_binary, "convert", "--from", source, "--to", target, "-o", output, *more]
        process = subprocess.Popen(["prlimit", f"--as={limit}", *command], stdin=-1, stderr=-1)  # pipes
        if source == "otlp":
            feed(process.stdin, block, times)
        said = process.stderr.read().decode()
        assert process.wait(200) == 0 and said == "", said
    assert pq.ParquetFile(made).metadata.num_rows == 20_000 * times


# --- a real Collector ---


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Collector:
    def __init__(self, path, folder, config):
        self.log = folder / "collector.log"
        (folder / "collector.yaml").write_text(config)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([path, "--config", folder / "collector.yaml"], stdout=log, stderr=log)

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            is_well = self.process.poll() is None and time.monotonic() < deadline
            assert is_well, f"{what}:\n{self.log.read_text()[-5000:]}"
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log.read_text()[-5000:]


ALWAYS_THERE = {"resource", "scope", "status", "body", "value", "positive", "negative"}


def as_the_collector_has_it(message):
    """The Collector knows no absent messages, ids of zeros or -0.0 without presence, and one NaN in JSON."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type and not field.is_repeated and not field.containing_oneof and field.name in ALWAYS_THERE:
            getattr(message, field.name).SetInParent()
    for field, value in message.ListFields():
        if field.name.endswith("_id") and not any(value):
            message.ClearField(field.name)
        elif field.type == field.TYPE_DOUBLE and not field.is_repeated and not field.has_presence and value == 0:
            message.ClearField(field.name)
        elif field.message_type:
            for one in value if field.is_repeated else [value]:
                as_the_collector_has_it(one)
    return otlp_random.plain_nans(message)


KINDS = {
    "proto": "format: proto",
    "json": "format: json",
    "proto.zst": "format: proto, compression: zstd",
    "json.zst": "format: json, compression: zstd",
}


def test_what_the_collectors_file_exporter_writes_is_read(convert, judge, tmp_path):
    port = free_port()
    files = [(signal, kind) for signal in SIGNALS for kind in KINDS]
    config = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:%d', max_recv_msg_size_mib: 64}}}}\n" % port
    config += "exporters:\n"
    config += "".join(f"  file/{s}_{k}: {{path: {tmp_path / s}.{k}, {KINDS[k]}}}\n" for s, k in files)
    config += "service:\n  telemetry: {metrics: {level: none}}\n  pipelines:\n"
    config += "".join(f"    {s}: {{receivers: [otlp], exporters: [{', '.join(f'file/{s}_{k}' for k in KINDS)}]}}\n"
                      for s in SIGNALS)
    collector = Collector(judge("otelcol"), tmp_path, config)
    collector.wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the collector does not listen")
    sent = {signal: make(signal, 150) for signal in SIGNALS}
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", 1 << 26)]) as channel:
        for signal, requests in sent.items():
            call = channel.unary_unary(otlp.SERVICES[signal])
            for request in requests:
                call(request.SerializeToString(), timeout=30)
    collector.stop()
    for signal, requests in sent.items():
        expected = rows(signal, map(as_the_collector_has_it, requests))
        assert expected.total() > 100
        for kind in KINDS:
            source = "otlp" if "proto" in kind else "otlp-json"
            command = ["--from", source, "--to", "otlp", "--signal", signal, "-o", "-", f"{tmp_path / signal}.{kind}"]
            got = convert(*command)
            assert rows_of_stream(signal, got, as_the_collector_has_it) == expected, (signal, kind)


def test_the_collector_replays_what_we_write(server, convert, judge, tmp_path):
    sent = {signal: make(signal, 150, seed=2) for signal in SIGNALS}
    for signal, requests in sent.items():
        (tmp_path / "in").write_bytes(otlp_random.stream(bodies(requests)))
        convert("--from", "otlp", "--to", "parquet", "--signal", signal, "-o", tmp_path / signal, tmp_path / "in")
        made = sorted(tmp_path.glob(f"{signal}.*")) or [tmp_path / signal]
        convert("--from", "parquet", "--to", "otlp-json", "-o", tmp_path / f"{signal}.json", *made)
    one = server()
    config = "receivers:\n"
    for signal in SIGNALS:
        config += f"  otlpjsonfile/{signal}: {{include: ['{tmp_path / signal}.json'], start_at: beginning, "
        config += "include_file_name: false, max_log_size: 67108864}\n"
    config += "exporters: {otlp: {endpoint: '%s', tls: {insecure: true}}}\n" % one.grpc
    config += "service:\n  telemetry: {metrics: {level: none}}\n  pipelines:\n"
    config += "".join(f"    {s}: {{receivers: [otlpjsonfile/{s}], exporters: [otlp]}}\n" for s in SIGNALS)
    collector = Collector(judge("otelcol"), tmp_path, config)
    expected = {signal: rows(signal, map(as_the_collector_has_it, requests)) for signal, requests in sent.items()}
    stored = "otolith_items_stored_total"
    collector.wait_for(lambda: all(one.metric(stored, signal=s) >= expected[s].total() for s in SIGNALS),
                       "not everything was replayed")
    collector.stop()
    one.stop()
    for signal in SIGNALS:
        got = convert("--from", "parquet", "--to", "otlp", "-o", "-", *(one.data / signal).rglob("*.parquet"))
        assert rows_of_stream(signal, got, as_the_collector_has_it) == expected[signal], signal
