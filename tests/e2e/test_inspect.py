"""`otolith inspect` and `otolith verify` on data folders that the real server wrote, whole and damaged."""
import json
import shutil
import subprocess
import threading

import pyarrow
import pyarrow.parquet
import pytest

import otlp
from harness import Server, crc32c
from test_tables import send_all

HOUR = 1_767_261_600 * 10**9  # 2026-01-01T10:00:00Z


def run(otolith_binary, *arguments):
    return subprocess.run([otolith_binary, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def post(server, signal, request):
    assert server.post("/v1/" + signal, request.SerializeToString(), otlp.PROTOBUF).status_code == 200


@pytest.fixture(scope="module")
def whole(otolith_binary, tmp_path_factory):
    """Several flushes of all tables in files, and a dozen records in the log of a killed server."""
    folder = tmp_path_factory.mktemp("whole")
    one = Server(folder, ["--threads", "1", "--flush-rows", "300"])
    one.start()
    send_all(one)
    for i in range(6):
        post(one, "logs", otlp.logs(150, service=f"svc-{i % 2}", start=HOUR + i * 1000 * 10**9))
        post(one, "traces", otlp.traces(200, start=HOUR + i * 1000 * 10**9))
        post(one, "metrics", otlp.metrics(100, start=HOUR + i * 1000 * 10**9))
    one.restart()
    for i in range(12):
        post(one, "logs", otlp.logs(10, name=f"later {i}", start=HOUR + i * 10**9))
    one.kill()
    assert len(list(one.data.rglob("*.parquet"))) > 12
    return one.data


@pytest.fixture
def folder(whole, tmp_path):
    """A copy, to be damaged."""
    return shutil.copytree(whole, tmp_path / "data")


def verify(otolith_binary, data, *more):
    """Exit status, problems as (path below the folder, offset, message), and all of the document."""
    done = run(otolith_binary, "verify", "--data", data, "--json", *more)
    document = json.loads(done.stdout)
    found = [(f["path"].removeprefix(f"{data}/"), f["offset"], f["message"])
             for f in document["findings"] if f["kind"] == "problem"]
    assert document["problems"] == len(found) and done.returncode == (1 if found else 0), done.stderr
    return found, document


def one_file(data, table):
    return sorted((data / table).rglob("*.parquet"))[0]


# --- inspect against pyarrow ---


def leaves(nodes, path=()):
    for node in nodes:
        here = (*path, node["name"])
        if "children" in node:
            yield from leaves(node["children"], here)
        else:
            yield ".".join(here), node


def text_of(value):
    """A bound as inspect has it."""
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return value.decode()
    return value


def assert_schema(document, file):
    found = dict(leaves(document["schema"]))
    assert list(found) == [file.schema.column(i).path for i in range(len(file.schema))]
    for i in range(len(file.schema)):
        column, node = file.schema.column(i), found[file.schema.column(i).path]
        assert node["physical_type"] == column.physical_type
        assert node["max_definition_level"] == column.max_definition_level
        assert node["max_repetition_level"] == column.max_repetition_level
        assert (node["logical_type"] or "NONE") == column.logical_type.type, column.path
        assert (node["converted_type"] or "NONE") == column.converted_type
    for node in document["schema"]:
        field = file.schema_arrow.field(node["name"])
        ids = (field.metadata or {}).get(b"PARQUET:field_id")
        assert node["field_id"] == (int(ids) if ids else None)
        assert (node["repetition"] == "OPTIONAL") == field.nullable


def assert_chunk(document, column, offsets):
    assert document["column"] == column.path_in_schema
    assert document["physical_type"] == column.physical_type
    assert document["codec"].removesuffix("_RAW") == column.compression
    assert set(document["encodings"]) == set(column.encodings)
    assert document["values"] == column.num_values
    assert document["compressed_bytes"] == column.total_compressed_size
    assert document["uncompressed_bytes"] == column.total_uncompressed_size
    assert document["data_offset"] == column.data_page_offset
    assert document["dictionary_offset"] == column.dictionary_page_offset
    assert bool(document["column_index_bytes"]) == column.has_column_index
    assert bool(document["offset_index_bytes"]) == column.has_offset_index
    statistics = column.statistics
    if statistics is not None:
        assert document["nulls"] == statistics.null_count
        if statistics.has_distinct_count:
            assert document["distinct"] == statistics.distinct_count
        if statistics.has_min_max:
            kind = float if isinstance(statistics.min, float) else lambda value: value
            found = (kind(document["min"]), kind(document["max"]))
            assert found == (text_of(statistics.min), text_of(statistics.max))
        else:
            assert document["min"] is None and document["max"] is None
    offsets.extend((page["offset"], page["header_bytes"] + page["compressed_bytes"]) for page in document["pages"])
    data = [page for page in document["pages"] if page["type"] != "DICTIONARY_PAGE"]
    assert sum(page["values"] for page in data) == column.num_values
    stored = sum(page["header_bytes"] + page["compressed_bytes"] for page in document["pages"])
    assert stored == column.total_compressed_size


def assert_document(document, path):
    file = pyarrow.parquet.ParquetFile(path)
    metadata = file.metadata
    assert document["kind"] == "parquet" and document["file_bytes"] == path.stat().st_size
    assert document["created_by"] == metadata.created_by and document["rows"] == metadata.num_rows
    assert document["footer_bytes"] == metadata.serialized_size + 8
    assert {p["key"].encode(): p["value"].encode() for p in document["metadata"]} == metadata.metadata
    assert_schema(document, file)
    assert len(document["row_groups"]) == metadata.num_row_groups
    offsets = []
    for i, group in enumerate(document["row_groups"]):
        expected = metadata.row_group(i)
        assert group["rows"] == expected.num_rows and group["uncompressed_bytes"] == expected.total_byte_size
        names = [expected.column(c.column_index).path_in_schema for c in expected.sorting_columns]
        assert [s["column"] for s in group["sorting_columns"]] == names
        assert len(group["columns"]) == expected.num_columns
        for k, column in enumerate(group["columns"]):
            assert_chunk(column, expected.column(k), offsets)
    assert len(offsets) == len(set(offsets))


def test_inspect_says_what_pyarrow_says(otolith_binary, whole):
    done = run(otolith_binary, "inspect", "--json", "--pages", whole)
    assert done.returncode == 0 and not done.stderr
    document = json.loads(done.stdout)
    files = [f for f in document["files"] if f["kind"] == "parquet"]
    paths = sorted(whole.rglob("*.parquet"))
    assert [f["path"] for f in files] == list(map(str, paths))
    for one, path in zip(files, paths):
        assert_document(one, path)
        assert all(p["checksum"] == "right" for g in one["row_groups"] for c in g["columns"] for p in c["pages"])
    totals = document["totals"]
    assert totals["rows"] == sum(f["rows"] for f in files) and totals["parquet_files"] == len(paths)
    sums = {c["column"]: c["compressed_bytes"] for c in totals["columns"]}
    chunks = [c for f in files for g in f["row_groups"] for c in g["columns"]]
    assert sums == {name: sum(c["compressed_bytes"] for c in chunks if c["column"] == name) for name in sums}


def test_inspect_shows_files_of_others(otolith_binary, whole, tmp_path):
    table = pyarrow.parquet.read_table(one_file(whole, "traces"), partitioning=None)
    for i, options in enumerate(({"compression": "snappy"}, {"data_page_version": "2.0", "compression": "lz4"},
                                 {"use_dictionary": False, "write_statistics": False, "row_group_size": 70})):
        path = tmp_path / f"{i}.parquet"
        pyarrow.parquet.write_table(table, path, **options)
        done = run(otolith_binary, "inspect", "--json", "--pages", path)
        assert_document(json.loads(done.stdout)["files"][0], path)
    numbers = tmp_path / "numbers.parquet"
    columns = {f"c{i}": pyarrow.array([1, 2, None], type_) for i, type_ in enumerate(
        (pyarrow.int8(), pyarrow.uint16(), pyarrow.uint64(), pyarrow.float32(), pyarrow.date32(),
         pyarrow.timestamp("ms"), pyarrow.timestamp("ns", "UTC"), pyarrow.time64("us"), pyarrow.decimal128(9, 2)))}
    pyarrow.parquet.write_table(pyarrow.table(columns), numbers)
    text = run(otolith_binary, "inspect", numbers).stdout
    for type_ in ("int8", "uint16", "uint64", "float", "date", "timestamp(ms)", "timestamp(ns, UTC)", "time(us)",
                  "decimal(9, 2)", "1970-01-02", "1970-01-01T00:00:00.002000Z", "1970-01-01T00:00:00.000000002Z"):
        assert type_ in text, type_


def test_inspect_narrows_and_adds_up(otolith_binary, whole, tmp_path):
    path = one_file(whole, "traces")
    text = run(otolith_binary, "inspect", path).stdout
    assert "Events" in text and "ServiceName, SpanName, ServiceInstanceId, Timestamp" in text and "pages of" not in text
    text = run(otolith_binary, "inspect", "--column", "Events", "--pages", path).stdout
    assert "pages of Events.list.element.Name in row group 0" in text and "SpanName  " not in text
    text = run(otolith_binary, "inspect", "--row-groups", path).stdout
    assert "\n  row group 0\n" in text
    text = run(otolith_binary, "inspect", path, one_file(whole, "logs")).stdout
    assert "all 2 files: " in text
    assert text.index("all 2 files: ") > text.index("SeverityNumber")
    bad = tmp_path / "bad\x1b[2J.parquet"
    pages = json.loads(run(otolith_binary, "inspect", "--json", "--pages", path).stdout)["files"][0]["row_groups"][0]["columns"][0]
    data = bytearray(path.read_bytes())
    data[pages["pages"][-1]["offset"]] ^= 0xFF
    bad.write_bytes(data)
    done = run(otolith_binary, "inspect", "--pages", path, one_file(whole, "logs"), bad)
    assert done.returncode == 1 and "all 2 files: " in done.stdout and "\x1b" not in done.stdout


def test_inspect_reads_the_log(otolith_binary, whole):
    document = json.loads(run(otolith_binary, "inspect", "--json", whole / "wal").stdout)
    segments = [f for f in document["files"] if f["kind"] == "log segment" and f["record_count"]]
    checkpoint = next(f for f in document["files"] if f["kind"] == "log checkpoint")
    records = [r for s in segments for r in s["records"]]
    assert len([r for r in records if r["seq"] > checkpoint["flushed"]]) == 12
    assert [r["seq"] for r in records] == list(range(records[0]["seq"], records[-1]["seq"] + 1))
    assert records[-1]["signal"] == "logs" and records[-1]["checksum"] == "right"
    last = segments[-1]
    assert last["valid_bytes"] == records[-1]["offset"] + records[-1]["bytes"]
    assert last["header"]["first_seq"] == last["records"][0]["seq"] and last["behind"] == "zeros"
    text = run(otolith_binary, "inspect", "--records", last["path"]).stdout
    assert f"12 records, {records[-12]['seq']} to {records[-1]['seq']}: 12 of logs" in text
    assert text.count("  logs  ") == 12


def test_inspect_says_what_it_cannot_read(otolith_binary, whole, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("hello there")
    done = run(otolith_binary, "inspect", other, one_file(whole, "logs"), tmp_path / "nothing")
    assert done.returncode == 1 and "ServiceName" in done.stdout
    assert f"{other}: neither a Parquet file nor a log segment" in done.stderr and "nothing" in done.stderr
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(one_file(whole, "logs").read_bytes()[:-9])
    done = run(otolith_binary, "inspect", "--json", cut)
    assert done.returncode == 1 and "does not end with PAR1" in done.stderr
    assert json.loads(done.stdout)["files"] == []
    assert run(otolith_binary, "inspect").returncode == 2


def test_inspect_follows_the_link_it_is_given(otolith_binary, whole, tmp_path):
    for number, file in enumerate([one_file(whole, "logs"), next(whole.glob("wal/*/*.wal")), next(whole.glob("wal/*/checkpoint"))]):
        link = tmp_path / str(number)
        link.symlink_to(file)
        done = run(otolith_binary, "inspect", link)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith(str(link))
        assert done.stdout.replace(str(link), str(file)) == run(otolith_binary, "inspect", file).stdout
    (tmp_path / "folder").symlink_to(whole / "logs")
    assert run(otolith_binary, "inspect", tmp_path / "folder").returncode == 0


def test_inspect_says_that_there_is_no_such_column(otolith_binary, whole):
    for more in ([], ["--json"]):
        done = run(otolith_binary, "inspect", "--column", "Nope", *more, whole)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "otolith: no such column: Nope\n")
    # Of one table only; a column with others below it; beside a log.
    for column in ("SeverityNumber", "Events"):
        assert run(otolith_binary, "inspect", "--column", column, whole).returncode == 0
    assert run(otolith_binary, "inspect", "--column", "Nope", whole / "wal").returncode == 0


# --- verify ---


def test_a_whole_folder_passes(otolith_binary, whole):
    found, document = verify(otolith_binary, whole)
    assert found == [] and document["notes"] == 0
    rows = {}
    for path in whole.rglob("*.parquet"):
        rows[path.relative_to(whole).parts[0]] = rows.get(path.relative_to(whole).parts[0], 0) + \
            pyarrow.parquet.read_metadata(path).num_rows
    assert document["rows"]["otel_logs"] == rows["logs"] and document["rows"]["otel_traces"] == rows["traces"]
    assert document["records"] >= 12 and document["files"] == len(list(whole.rglob("*.parquet")))
    done = run(otolith_binary, "verify", "--data", whole)
    assert done.returncode == 0 and done.stdout.endswith("all is well\n") and not done.stderr


def test_rows_with_as_many_attributes_as_a_request_may_have_pass(otolith_binary, server):
    """65 million values in a row group: read some rows at once, they take the memory of these."""
    one = server()
    post(one, "logs", otlp.shared_attributes(35999, 1860))
    one.stop()
    found, document = verify(otolith_binary, one.data)
    assert found == [] and document["rows"]["otel_logs"] == 1860


def test_a_folder_that_is_written_to_passes(otolith_binary, server):
    one = server("--flush-rows", "500", "--threads", "2")
    stop = threading.Event()

    def send():
        while not stop.is_set():
            post(one, "logs", otlp.logs(90))
            post(one, "traces", otlp.traces(60))

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(8):
            assert verify(otolith_binary, one.data)[0] == []
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    one.stop()
    assert verify(otolith_binary, one.data)[0] == []


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_a_flipped_byte_of_a_page_is_named(otolith_binary, folder):
    path = one_file(folder, "logs")
    column = pyarrow.parquet.read_metadata(path).row_group(0).column(9)
    assert column.path_in_schema == "Body"
    begin = column.dictionary_page_offset or column.data_page_offset
    flip(path, begin + column.total_compressed_size // 2)
    found, _ = verify(otolith_binary, folder)
    [(name, offset, message)] = found
    assert name == str(path.relative_to(folder))
    assert begin <= offset < begin + column.total_compressed_size // 2
    assert message == "row group 0, column Body: the page's checksum is wrong"


def test_every_flipped_byte_of_a_file_is_found(otolith_binary, folder):
    """Magic, page headers, pages, bloom filters, indexes, metadata: 50 places of one file."""
    path = one_file(folder, "metrics/summary")
    for other in folder.rglob("*.parquet"):
        if other != path:
            other.unlink()
    assert verify(otolith_binary, folder, "--allow-missing")[0] == []
    size = path.stat().st_size
    for at in [*range(5, size - 10, size // 39), *range(size - 10, size)]:
        flip(path, at)
        found, _ = verify(otolith_binary, folder, "--allow-missing")
        assert found and found[0][0] == str(path.relative_to(folder)), at
        flip(path, at)


def alone(folder, table="metrics/summary"):
    """The first file of a table, the only one there is."""
    path = one_file(folder, table)
    for other in folder.rglob("*.parquet"):
        if other != path:
            other.unlink()
    return path


def pages_of(otolith_binary, path):
    document = json.loads(run(otolith_binary, "inspect", "--json", "--pages", path).stdout)
    return [page for group in document["files"][0]["row_groups"] for column in group["columns"]
            for page in column["pages"]]


def test_every_changed_byte_of_page_headers_is_found(otolith_binary, folder):
    """Among them what our reader takes for the same and others do not: types of numbers, fields that are not known."""
    path = alone(folder)
    content = path.read_bytes()
    pages = pages_of(otolith_binary, path)
    places = [at for page in pages[:4] for at in range(page["offset"], page["offset"] + page["header_bytes"])]
    assert len(places) > 60
    for at in places:
        for mask in (1, 3, 0x80):
            path.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
            found, _ = verify(otolith_binary, folder, "--allow-missing")
            assert found and found[0][0] == str(path.relative_to(folder)), (at, mask)


@pytest.mark.parametrize("text", [b"otolith version ", b"otolith.checksum"])
def test_what_says_that_a_file_is_ours_may_be_damaged_too(otolith_binary, folder, text):
    path = alone(folder)
    content = path.read_bytes()
    assert content.count(text) == 1
    for at in range(content.index(text), content.index(text) + len(text)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        [(name, _, message)] = verify(otolith_binary, folder, "--allow-missing")[0]
        assert name == str(path.relative_to(folder)) and "checksum" in message, at


def with_old_checksum(path):
    """The file as older versions wrote it: a checksum of filters, indexes and metadata under another key."""
    content = path.read_bytes()
    columns = pyarrow.parquet.read_metadata(path).row_group(0)
    end = max((c.dictionary_page_offset or c.data_page_offset) + c.total_compressed_size
              for c in (columns.column(i) for i in range(columns.num_columns)))
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    key, old = b"\x18\x10otolith.checksum\x18\x08", b"\x18\x0eotolith.crc32c\x18\x08"
    footer = content[begin:-8]
    at = footer.index(key)
    zeroed = footer[:at] + old + b"00000000" + footer[at + len(key) + 8 :]
    digits = b"%08x" % crc32c(content[end:begin] + zeroed)
    footer = zeroed.replace(old + b"00000000", old + digits)
    path.write_bytes(content[:begin] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return end


def test_checksums_of_older_files_are_checked(otolith_binary, folder):
    path = alone(folder)
    filters = with_old_checksum(path)
    assert verify(otolith_binary, folder, "--allow-missing")[0] == []
    size = path.stat().st_size
    for at in [*range(filters + 20, size - 8, 1 + (size - filters) // 20)]:
        flip(path, at)
        found, _ = verify(otolith_binary, folder, "--allow-missing")
        assert found and found[0][0] == str(path.relative_to(folder)), at
        flip(path, at)


def test_what_another_program_made_of_a_file_is_only_noted(otolith_binary, folder):
    path = alone(folder, "logs")
    copy = path.with_name("rewritten.parquet")
    keys = {k: v for k, v in pyarrow.parquet.read_metadata(path).metadata.items() if k.startswith(b"otolith.")}
    assert b"otolith.checksum" in keys
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).replace_schema_metadata(keys), copy)
    path.unlink()
    found, document = verify(otolith_binary, folder, "--allow-missing")
    assert found == []
    assert any("another program made this of it" in note["message"] for note in document["findings"])


@pytest.mark.parametrize("text", ["otolith.checksum is wrong", "otolith.crc32c", "otolith version 7"])
def test_values_that_look_like_the_checksums_key_are_no_damage(otolith_binary, server, text):
    one = server()
    post(one, "logs", otlp.logs(3, name=text, service=text))
    one.stop()
    found, document = verify(otolith_binary, one.data)
    assert found == [] and document["notes"] == 0 and document["files"] == 1


def test_a_flipped_byte_of_a_record_is_named(otolith_binary, folder):
    document = json.loads(run(otolith_binary, "inspect", "--json", folder / "wal").stdout)
    segment = [f for f in document["files"] if f.get("record_count")][-1]
    record = segment["records"][-4]
    with open(segment["path"], "r+b") as log:
        log.seek(record["offset"] + 60)
        byte = log.read(1)
        log.seek(record["offset"] + 60)
        log.write(bytes([byte[0] ^ 1]))
    found, _ = verify(otolith_binary, folder)
    name = segment["path"].removeprefix(f"{folder}/")
    assert found[0][:2] == (name, record["offset"]) and "damaged" in found[0][2]
    assert found[1][0] == "wal/0" and f"records {record['seq']} to {record['seq']} " in found[1][2]
    assert len(found) == 2
    text = run(otolith_binary, "inspect", "--records", segment["path"]).stdout
    assert "DAMAGED" in text


def test_the_end_of_a_log_may_be_torn(otolith_binary, folder):
    document = json.loads(run(otolith_binary, "inspect", "--json", folder / "wal").stdout)
    segment = [f for f in document["files"] if f.get("record_count")][-1]
    with open(segment["path"], "r+b") as log:
        log.truncate(segment["valid_bytes"] - 20)
    found, document = verify(otolith_binary, folder)
    assert found == [] and "torn" in document["findings"][0]["message"] and document["notes"] == 1


def test_a_last_record_that_a_flush_was_begun_for_is_missed(otolith_binary, folder):
    document = json.loads(run(otolith_binary, "inspect", "--json", folder / "wal").stdout)
    segment = [f for f in document["files"] if f.get("record_count")][-1]
    last = segment["records"][-1]["seq"]
    marks = folder / "wal/0/checkpoint"
    content = bytearray(marks.read_bytes())
    content[24:32] = last.to_bytes(8, "little")  # the cut number (docs/WAL.md)
    content[36:40] = crc32c(content[:36]).to_bytes(4, "little")
    marks.write_bytes(content)
    assert verify(otolith_binary, folder)[0] == []
    with open(segment["path"], "r+b") as log:
        log.truncate(segment["valid_bytes"] - 20)
    [(name, _, message)] = verify(otolith_binary, folder)[0]
    assert name == "wal/0" and f"records {last} to {last} " in message


def test_a_cut_file_is_named(otolith_binary, folder):
    path = one_file(folder, "traces")
    size = path.stat().st_size
    for left in (size - 1, size // 2, 3, 0):
        with open(path, "r+b") as file:
            file.truncate(left)
        found, _ = verify(otolith_binary, folder)
        assert [f[0] for f in found] == [str(path.relative_to(folder))], left


def test_a_missing_file_is_found(otolith_binary, folder):
    """One of several files of a flush: the others know of it. All of them: the log's numbers have a gap."""
    path = one_file(folder, "metrics/gauge")
    first, last = path.stem.split("-")[-2:]
    rows = pyarrow.parquet.read_metadata(path).num_rows
    kept = [p for p in folder.rglob("*.parquet") if p.stem.endswith(f"-0-{first}-{last}") and p != path]
    assert kept
    path.unlink()
    [(name, _, message)] = verify(otolith_binary, folder)[0]
    assert name in [str(p.relative_to(folder)) for p in kept]
    assert f"records {first} to {last} of shard 0" in message and "rows of metrics/gauge" in message
    hint = "(removed on purpose: --allow-missing)"
    assert message.startswith("is whole, but other files of its flush are missing: ") and message.endswith(hint) and rows
    assert verify(otolith_binary, folder, "--allow-missing")[0] == []
    for other in kept:
        other.unlink()
    [(name, _, message)] = verify(otolith_binary, folder)[0]
    assert name == "wal/0" and f"the records {first} to {last} were acknowledged" in message and message.endswith(hint)
    assert verify(otolith_binary, folder, "--allow-missing")[0] == []


def test_a_file_in_a_wrong_hour_is_found(otolith_binary, folder):
    path = one_file(folder, "logs")
    wrong = path.parent.parent / "hour=03" / path.name
    wrong.parent.mkdir()
    path.rename(wrong)
    [(name, _, message)] = verify(otolith_binary, folder)[0]
    assert name == str(wrong.relative_to(folder)) and "not all of its folder's hour" in message


def test_a_renamed_file_is_found(otolith_binary, folder):
    path = one_file(folder, "logs")
    stamp, rest = path.name.split("-", 1)
    path.rename(path.with_name(f"{stamp[:-2]}7Z-{rest}"))
    [(_, _, message)] = verify(otolith_binary, folder)[0]
    assert "by its rows its name would be" in message


def test_a_file_of_another_table_is_found(otolith_binary, folder):
    path = one_file(folder, "metrics/gauge")
    moved = folder / "metrics/sum" / path.relative_to(folder / "metrics/gauge")
    moved.parent.mkdir(parents=True, exist_ok=True)
    path.rename(moved.with_name("0" + moved.name))
    found, _ = verify(otolith_binary, folder)
    assert any("column IsMonotonic is missing" in message for _, _, message in found)


def test_a_second_copy_is_found(otolith_binary, folder):
    path = one_file(folder, "traces")
    copy = path.with_name("copy.parquet")
    shutil.copy(path, copy)
    [(name, _, message)] = verify(otolith_binary, folder)[0]
    names = {str(path.relative_to(folder)), str(copy.relative_to(folder))}
    assert name in names and message.removeprefix("the same rows as in ") in names - {name}
    copy.rename(path.with_name(path.name.replace("Z-0-", "Z-7-")))
    found, _ = verify(otolith_binary, folder)
    assert any("the same rows as in" in message for _, _, message in found)
    assert any("its name says another" in message for _, _, message in found)


def test_a_lost_log_is_found(otolith_binary, folder):
    for path in (folder / "wal/0").glob("*.wal"):
        path.unlink()
    assert verify(otolith_binary, folder)[0] == []  # nothing says that there was more: its marks are those of the files
    (folder / "wal/0/checkpoint").write_bytes(b"OTOCKP\r\n" + bytes(32))
    [(name, _, message)] = verify(otolith_binary, folder)[0]
    assert name == "wal/0/checkpoint" and "checksum" in message


def test_other_folders_are_wrong_usage(otolith_binary, tmp_path):
    done = run(otolith_binary, "verify", "--data", tmp_path)
    assert done.returncode == 2 and "no data folder" in done.stderr
    assert run(otolith_binary, "verify", "more").returncode == 2
