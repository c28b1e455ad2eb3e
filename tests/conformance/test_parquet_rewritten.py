"""Files that other writers made of ours, read by our reader: the same rows, whatever the encoding."""

import json
import os
import pathlib
import subprocess

import chdb
import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest

from harness import ROOT

TOOL = pathlib.Path(os.environ.get("OTOLITH_BUILD") or ROOT / "build") / "tests/parquet_tool"
ROWS = 3000
NUMBERS = ("Severity", "Count", "Few", "Same", "TimestampNanoOfMicro", "Timestamp")
TEXTS = ("Body", "Word", "Note", "TraceId", "SpanId", "ParentSpanId", "ServiceName", "Blob")
DOUBLES = ("Value", "Gauge")


def parse(text):
    """Rows with doubles as their text, so that NaN and -0 compare."""
    return [json.loads(line, parse_float=str, parse_int=str) for line in text.splitlines()]


def read(path, table="synthetic", at_once=700):
    done = subprocess.run([TOOL, "read", path, table, str(at_once)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return parse(done.stdout.decode())


def refused(path, table="synthetic"):
    done = subprocess.run([TOOL, "read", path, table], capture_output=True, check=False)
    assert done.returncode == 1, done.stdout[:200]
    return done.stderr.decode()


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    path = folder / "ours.parquet"
    command = [TOOL, path, folder / "rows.ndjson", str(ROWS), "row_group=2000", "page_rows=300"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def rows(ours):
    return parse((ours.parent / "rows.ndjson").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table(ours):
    return pyarrow.parquet.read_table(ours)


def same(found, expected):
    assert len(found) == len(expected)
    for i, (one, other) in enumerate(zip(found, expected)):
        assert one == other, f"row {i}"


def test_ours_come_back(ours, rows):
    for at_once in (1, 299, 300, 301, 100000):
        same(read(ours, at_once=at_once), rows)


# --- pyarrow ---


@pytest.mark.parametrize("page", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4"])
def test_codecs_and_page_versions(table, rows, tmp_path, codec, page):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(
        table, path, compression=codec, data_page_version=page, write_page_checksum=page == "2.0"
    )
    same(read(path), rows)


@pytest.mark.parametrize("page", ["1.0", "2.0"])
@pytest.mark.parametrize(
    "numbers, texts, doubles",
    [
        ("PLAIN", "PLAIN", "PLAIN"),
        ("DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "BYTE_STREAM_SPLIT"),
        ("BYTE_STREAM_SPLIT", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"),
    ],
)
def test_encodings(table, rows, tmp_path, numbers, texts, doubles, page):
    path = tmp_path / "a.parquet"
    encoding = dict.fromkeys(NUMBERS, numbers) | dict.fromkeys(TEXTS, texts)
    encoding |= dict.fromkeys(DOUBLES, doubles) | {"Flag": "PLAIN" if page == "1.0" else "RLE"}
    encoding |= {"Attributes.key_value.value": texts, "Events.list.element.Name": texts}
    encoding |= {"Numbers.list.element": numbers, "Bounds.list.element": doubles}
    pyarrow.parquet.write_table(
        table, path, use_dictionary=False, column_encoding=encoding, data_page_version=page, data_page_size=5000
    )
    found = {}
    metadata = pyarrow.parquet.read_metadata(path)
    for i in range(metadata.num_columns):
        column = metadata.row_group(0).column(i)
        found[column.path_in_schema] = column.encodings
    assert numbers in found["Count"] and texts in found["Body"] and doubles in found["Value"]
    same(read(path), rows)


def test_pages_of_a_chunk_in_several_encodings(table, rows, tmp_path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path, dictionary_pagesize_limit=1000, data_page_size=500, row_group_size=1500)
    column = pyarrow.parquet.read_metadata(path).row_group(0).column(0)
    assert column.statistics is not None
    same(read(path), rows)
    same(read(path, at_once=7), rows)


def cast(table, types):
    fields = [field.with_type(types.get(field.name, field.type)) for field in table.schema]
    return table.cast(pyarrow.schema(fields))


def test_other_types_of_arrow(table, rows, tmp_path):
    path = tmp_path / "a.parquet"
    types = {name: pyarrow.large_string() for name in ("Body", "Note", "SpanId")}
    types |= {"Word": pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), "Severity": pyarrow.uint8()}
    types |= {"ServiceName": pyarrow.dictionary(pyarrow.int32(), pyarrow.string())}
    types |= {"TimestampNanoOfMicro": pyarrow.int16(), "Same": pyarrow.uint64(), "Blob": pyarrow.large_binary()}
    types |= {"Numbers": pyarrow.large_list(pyarrow.int32()), "TraceId": pyarrow.string_view()}
    types |= {"Flag": pyarrow.uint8()}
    pyarrow.parquet.write_table(cast(table, types), path, use_compliant_nested_type=False)
    same(read(path), rows)
    types = {"Severity": pyarrow.uint32(), "Same": pyarrow.int8(), "Few": pyarrow.float64()}
    pyarrow.parquet.write_table(cast(table.drop_columns(["Few"]), types), path)
    same(read(path), [row | {"Few": None} for row in rows])


def test_raw_ids(table, rows, tmp_path):
    path = tmp_path / "a.parquet"
    for name, size in (("TraceId", 16), ("SpanId", 8)):
        for type_ in (pyarrow.binary(size), pyarrow.binary()):
            raw = pyarrow.array([bytes.fromhex(text) or None for text in table[name].to_pylist()], type_)
            index = table.schema.get_field_index(name)
            for dictionary in (True, False):
                pyarrow.parquet.write_table(table.set_column(index, name, raw), path, use_dictionary=dictionary)
                same(read(path), rows)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_units_of_time(table, rows, tmp_path, unit):
    path = tmp_path / "a.parquet"
    divisor = 1000 if unit == "ms" else 1
    times = [int(row["Timestamp"]) // divisor * divisor for row in rows]
    rest = [int(row["TimestampNanoOfMicro"] or 0) if unit == "ns" else 0 for row in rows]
    factor = {"ms": 1000, "us": 1, "ns": 1}[unit]
    values = [t * 1000 + r if unit == "ns" else t // factor for t, r in zip(times, rest)]
    bare = table.drop_columns(["TimestampNanoOfMicro"])
    index = bare.schema.get_field_index("Timestamp")
    expected = [
        row | {"Timestamp": str(t), "TimestampNanoOfMicro": str(r)} for row, t, r in zip(rows, times, rest)
    ]
    for zone in ("UTC", None):
        column = pyarrow.array(values, pyarrow.timestamp(unit, zone))
        pyarrow.parquet.write_table(bare.set_column(index, "Timestamp", column), path, version="2.6")
        same(read(path), expected)
    column = pyarrow.array(values, pyarrow.timestamp(unit))
    pyarrow.parquet.write_table(
        bare.set_column(index, "Timestamp", column), path, use_deprecated_int96_timestamps=True
    )
    same(read(path), expected)


def test_nanoseconds_without_a_place_are_refused(table, tmp_path):
    path = tmp_path / "a.parquet"
    times = [t * 1000 for t in pyarrow.compute.cast(table["Timestamp"], pyarrow.int64()).to_pylist()]
    index = table.schema.get_field_index("Timestamp")
    column = pyarrow.array(times, pyarrow.timestamp("ns", "UTC"))
    pyarrow.parquet.write_table(table.set_column(index, "Timestamp", column), path)
    assert len(read(path)) == ROWS
    column = pyarrow.array([times[0] + 1] + times[1:], pyarrow.timestamp("ns", "UTC"))
    pyarrow.parquet.write_table(table.set_column(index, "Timestamp", column), path)
    assert "column Timestamp" in refused(path) and "has no place" in refused(path)


EMPTY = {"Body": "", "Count": "0", "Flag": False, "Value": "0", "TraceId": "", "Attributes": [], "Numbers": []}


def test_columns_that_are_not_there_come_empty(table, rows, tmp_path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table.drop_columns(list(EMPTY) + ["Note"]), path)
    same(read(path), [row | EMPTY | {"Note": None} for row in rows])
    events = table["Events"].combine_chunks()
    parts = events.flatten()
    kept = ["Name", "Buckets"]
    less = pyarrow.ListArray.from_arrays(
        events.offsets, pyarrow.StructArray.from_arrays([parts.field(name) for name in kept], kept)
    )
    more = table.set_column(table.schema.get_field_index("Events"), "Events", less)
    more = more.append_column("Unknown", table["Body"])
    pyarrow.parquet.write_table(more, path)
    absent = {"Time": "0", "Rate": None, "Link": "", "Attributes": []}
    same(read(path), [row | {"Events": [event | absent for event in row["Events"]]} for row in rows])
    unknown = pyarrow.StructArray.from_arrays([parts.field("Buckets")], ["Other"])
    less = pyarrow.ListArray.from_arrays(events.offsets, unknown)
    pyarrow.parquet.write_table(table.set_column(table.schema.get_field_index("Events"), "Events", less), path)
    absent |= {"Name": "", "Buckets": []}
    same(read(path), [row | {"Events": [event | absent for event in row["Events"]]} for row in rows])


def test_nulls_come_empty_where_the_table_has_none(table, rows, tmp_path):
    path = tmp_path / "a.parquet"
    mask = pyarrow.array([i % 3 == 0 or i < 50 for i in range(ROWS)])
    changed = table
    for name in EMPTY | {"Events": [], "Timestamp": "0"}:
        index = table.schema.get_field_index(name)
        column = table[name].combine_chunks()
        taken = pyarrow.array([None if m else i for i, m in enumerate(mask.to_pylist())], pyarrow.int32())
        field = pyarrow.field(name, column.type, nullable=True)
        changed = changed.set_column(index, field, column.take(taken))
    for dictionary in (True, False):
        pyarrow.parquet.write_table(changed, path, use_dictionary=dictionary, data_page_size=3000)
        nulls = EMPTY | {"Events": [], "Timestamp": "0"}
        same(read(path), [row | nulls if m else row for row, m in zip(rows, mask.to_pylist())])


@pytest.mark.parametrize(
    "name, type_, message",
    [
        ("Count", pyarrow.string(), "column Count is no integer"),
        ("Severity", pyarrow.timestamp("us"), "column Severity is no integer"),
        ("Timestamp", pyarrow.int64(), "column Timestamp is no timestamp"),
        ("Same", pyarrow.float64(), "column Same is no integer"),
    ],
)
def test_other_kinds_are_refused_by_name(table, tmp_path, name, type_, message):
    path = tmp_path / "a.parquet"
    changed = cast(table, {name: pyarrow.int64()})
    pyarrow.parquet.write_table(cast(changed, {name: type_}), path)
    assert message in refused(path)


def test_other_shapes_are_refused_by_name(table, tmp_path):
    path = tmp_path / "a.parquet"
    for name, other, message in (
        ("Body", "Numbers", "column Body is nested"),
        ("Numbers", "Body", "column Numbers is no list"),
        ("Attributes", "Numbers", "column Attributes is no map"),
        ("Events", "Numbers", "column Events is no list of structs"),
        ("Numbers", "Events", "column Numbers: element is nested"),
    ):
        pyarrow.parquet.write_table(table.set_column(table.schema.get_field_index(name), name, table[other]), path)
        assert message in refused(path)


def test_text_without_a_word_of_it_is_text(table, rows, tmp_path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(cast(table, {name: pyarrow.binary() for name in TEXTS}), path)
    same(read(path), rows)


def test_values_that_do_not_fit_are_refused(table, tmp_path):
    path = tmp_path / "a.parquet"
    index = table.schema.get_field_index("Severity")
    wide = pyarrow.array([2**31 if i == 2500 else i for i in range(ROWS)], pyarrow.int64())
    pyarrow.parquet.write_table(table.set_column(index, "Severity", wide), path)
    assert "column Severity: 2147483648 does not fit" in refused(path)
    wide = pyarrow.array([2**32 - 1 if i == 2500 else i for i in range(ROWS)], pyarrow.uint32())
    pyarrow.parquet.write_table(table.set_column(index, "Severity", wide), path)
    assert "column Severity: 4294967295 does not fit" in refused(path)
    index = table.schema.get_field_index("Body")
    raw = pyarrow.array([b"\xff" if i == 9 else b"x" for i in range(ROWS)])
    pyarrow.parquet.write_table(table.set_column(index, "Body", raw), path)
    assert "column Body: text that is not UTF-8" in refused(path)
    index = table.schema.get_field_index("SpanId")
    for text in ("12345", "zz34567890123456"):
        odd = pyarrow.array([text if i == 9 else "" for i in range(ROWS)])
        pyarrow.parquet.write_table(table.set_column(index, "SpanId", odd), path)
        assert "no id of 16 hex digits" in refused(path)


@pytest.mark.parametrize("dictionary", [True, False])
def test_text_of_as_many_bytes_as_an_id_has_is_none(table, tmp_path, dictionary):
    """Ids of traces were 64 bits once: 16 digits are not 16 bytes."""
    path = tmp_path / "a.parquet"
    for name, text in (("TraceId", "00f067aa0ba902b7"), ("SpanId", "0ba902b7")):
        index = table.schema.get_field_index(name)
        short = pyarrow.array([text if i == 9 else "" for i in range(ROWS)])
        pyarrow.parquet.write_table(table.set_column(index, name, short), path, use_dictionary=dictionary)
        assert f"{len(text)} bytes that are no id of {2 * len(text)} hex digits" in refused(path)


def test_brotli_is_refused_by_name(table, tmp_path):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path, compression="brotli")
    assert "Brotli is not supported" in refused(path)


# --- DuckDB, Polars, ClickHouse ---


@pytest.mark.parametrize("options", ["", "PARQUET_VERSION v2", "PARQUET_VERSION v2, ROW_GROUP_SIZE 2048"])
@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd", "lz4_raw"])
def test_duckdb_writes(ours, rows, tmp_path, codec, options):
    path = tmp_path / "a.parquet"
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    more = f", {options}" if options else ""
    connection.sql(f"COPY (SELECT * FROM '{ours}') TO '{path}' (FORMAT parquet, COMPRESSION {codec}{more})")
    same(without_signs_of_zero(read(path)), without_signs_of_zero(rows))


def without_signs_of_zero(rows):
    """DuckDB's dictionaries hold -0.0 and 0.0 as one value."""
    return [row | {name: "0" if row[name] == "-0" else row[name] for name in DOUBLES} for row in rows]


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd", "lz4"])
def test_polars_writes(ours, rows, tmp_path, codec):
    path = tmp_path / "a.parquet"
    polars.read_parquet(ours).write_parquet(path, compression=codec, row_group_size=1100)
    same(read(path), rows)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4"])
def test_clickhouse_writes(ours, rows, tmp_path, codec):
    path = tmp_path / "a.parquet"
    chdb.query(
        f"SELECT * FROM file('{ours}', Parquet) INTO OUTFILE '{path}' FORMAT Parquet SETTINGS "
        f"output_format_parquet_compression_method='{codec}', input_format_parquet_preserve_order=1, "
        "output_format_parquet_row_group_size=1300, output_format_parquet_data_page_size=4000"
    )
    same(read(path), rows)


# --- tables as the ClickHouse exporter defines them ---

MAP = "Map(LowCardinality(String), String)"
WORD = "LowCardinality(String)"
TABLES = {
    "otel_logs": {
        "Timestamp": "DateTime64(9)", "TraceId": "String", "SpanId": "String", "TraceFlags": "UInt8",
        "SeverityText": WORD, "SeverityNumber": "UInt8", "ServiceName": WORD, "Body": "String",
        "ResourceSchemaUrl": WORD, "ResourceAttributes": MAP, "ScopeSchemaUrl": WORD, "ScopeName": "String",
        "ScopeVersion": WORD, "ScopeAttributes": MAP, "LogAttributes": MAP, "EventName": "String",
    },
    "otel_traces": {
        "Timestamp": "DateTime64(9)", "TraceId": "String", "SpanId": "String", "ParentSpanId": "String",
        "TraceState": "String", "SpanName": WORD, "SpanKind": WORD, "ServiceName": WORD, "ResourceAttributes": MAP,
        "ScopeName": "String", "ScopeVersion": "String", "SpanAttributes": MAP, "Duration": "UInt64",
        "StatusCode": WORD, "StatusMessage": "String",
        "Events": f"Nested(Timestamp DateTime64(9), Name {WORD}, Attributes {MAP})",
        "Links": f"Nested(TraceId String, SpanId String, TraceState String, Attributes {MAP})",
    },
    "otel_metrics_histogram": {
        "ResourceAttributes": MAP, "ResourceSchemaUrl": "String", "ScopeName": "String", "ScopeVersion": "String",
        "ScopeAttributes": MAP, "ScopeDroppedAttrCount": "UInt32", "ScopeSchemaUrl": "String", "ServiceName": WORD,
        "MetricName": "String", "MetricDescription": "String", "MetricUnit": "String", "Attributes": MAP,
        "StartTimeUnix": "DateTime64(9)", "TimeUnix": "DateTime64(9)", "Count": "UInt64", "Sum": "Float64",
        "BucketCounts": "Array(UInt64)", "ExplicitBounds": "Array(Float64)",
        "Exemplars": f"Nested(FilteredAttributes {MAP}, TimeUnix DateTime64(9), Value Float64, SpanId String, "
        "TraceId String)",
        "Flags": "UInt32", "Min": "Float64", "Max": "Float64", "AggregationTemporality": "Int32",
    },
}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NS = "fromUnixTimestamp64Nano(1700000000123456789)"
VALUES = {
    "otel_logs": f"({NS}, '{TRACE}', '', 1, 'INFO', 9, 'shop', 'hello', 'u', {{'a': 'b'}}, '', 'scope', '1', {{}}, "
    "{'k': 'v', 'l': ''}, 'event')",
    "otel_traces": f"({NS}, '{TRACE}', '{SPAN}', '', 'ts', 'GET /', 'Server', 'shop', {{'a': 'b'}}, 's', '1', {{}}, "
    f"18446744073709551615, 'Ok', 'm', [{NS}, {NS}], ['e1', 'e2'], [map('k', 'v'), map()], ['{TRACE}'], ['{SPAN}'], "
    "['x'], [map('l', 'w')])",
    "otel_metrics_histogram": "({'a': 'b'}, '', 's', '1', {}, 3, '', 'shop', 'm', 'd', 'By', {'k': 'v'}, "
    f"{NS}, {NS}, 10, 1.5, [1, 18446744073709551615], [0.5], [map('f', 'g')], [{NS}], [2.5], ['{SPAN}'], ['{TRACE}'], "
    "1, 0.25, 8, 2)",
}
MICROSECONDS, REST = "1700000000123456", "789"
FOUND = {
    "otel_logs": {
        "Timestamp": MICROSECONDS, "TimestampNanoOfMicro": REST, "TraceId": TRACE, "SpanId": "", "TraceFlags": "1",
        "SeverityNumber": "9", "ServiceName": "shop", "ResourceAttributes": [["a", "b"]], "ScopeAttributes": [],
        "LogAttributes": [["k", "v"], ["l", ""]], "EventName": "event", "BodyType": None, "Body": "hello",
        "ObservedTimestamp": "0", "ObservedTimestampNanoOfMicro": None, "LogAttributesTypes": "",
    },
    "otel_traces": {
        "Timestamp": MICROSECONDS, "TimestampNanoOfMicro": REST, "SpanId": SPAN, "ParentSpanId": "",
        "Duration": "-1", "SpanAttributes": [],
        "Events": [
            {"Timestamp": MICROSECONDS, "TimestampNanoOfMicro": REST, "Name": name, "Attributes": attributes,
             "AttributesTypes": "", "DroppedAttrCount": "0"}
            for name, attributes in (("e1", [["k", "v"]]), ("e2", []))
        ],
        "Links": [
            {"TraceId": TRACE, "SpanId": SPAN, "TraceState": "x", "Attributes": [["l", "w"]],
             "AttributesTypes": "", "DroppedAttrCount": "0", "Flags": "0"}
        ],
    },
    "otel_metrics_histogram": {
        "TimeUnix": MICROSECONDS, "TimeUnixNanoOfMicro": REST, "Count": "10", "Sum": "1.5", "Min": "0.25",
        "BucketCounts": ["1", "-1"], "ExplicitBounds": ["0.5"], "AggregationTemporality": "2", "Flags": "1",
        "ScopeDroppedAttrCount": "3", "HttpRoute": None,
        "Exemplars": [
            {"FilteredAttributes": [["f", "g"]], "FilteredAttributesTypes": "", "TimeUnix": MICROSECONDS,
             "TimeUnixNanoOfMicro": REST, "Value": "2.5", "ValueInt": None, "SpanId": SPAN, "TraceId": TRACE}
        ],
    },
}


def arrays_of_tuples(connection, table):
    """A SELECT list with Nested columns put together."""
    described = [line.split("\t")[:2] for line in str(connection.query("DESCRIBE flat", "TSV")).splitlines()]
    select = [f"`{name}`" for name, type_ in TABLES[table].items() if not type_.startswith("Nested")]
    for name in (name for name, type_ in TABLES[table].items() if type_.startswith("Nested")):
        parts = [(part, type_) for part, type_ in described if part.startswith(name + ".")]
        types = ", ".join(f"{part.split('.')[1]} {type_.removeprefix('Array(')[:-1]}" for part, type_ in parts)
        zipped = ", ".join(f"`{part}`" for part, _ in parts)
        select.append(f"CAST(arrayZip({zipped}) AS Array(Tuple({types}))) AS `{name}`")
    return ", ".join(select)


@pytest.mark.parametrize("flatten", [0, 1])
@pytest.mark.parametrize("table", TABLES)
def test_tables_of_the_clickhouse_exporter(tmp_path, table, flatten):
    """As columns of Nested side by side (flatten_nested, the default) and as arrays of tuples."""
    path = tmp_path / "a.parquet"
    connection = chdb.connect(":memory:")
    columns = ", ".join(f"`{name}` {type_}" for name, type_ in TABLES[table].items())
    connection.query("SET session_timezone = 'UTC'")
    connection.query(f"CREATE TABLE flat ({columns}) ENGINE = Memory")
    connection.query(f"INSERT INTO flat VALUES {VALUES[table]}")
    select = "*" if flatten else arrays_of_tuples(connection, table)
    connection.query(f"SELECT {select} FROM flat INTO OUTFILE '{path}' FORMAT Parquet")
    connection.close()
    [row] = read(path, table)
    assert {name: row[name] for name in FOUND[table]} == FOUND[table]
