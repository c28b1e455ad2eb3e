"""Our Parquet files, read by Arrow, DuckDB, Polars and ClickHouse."""

import base64
import collections
import json
import math
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
UTC = pyarrow.timestamp("us", tz="UTC")
MAP = pyarrow.map_(pyarrow.string(), pyarrow.field("value", pyarrow.string(), nullable=False))
BOUND_BYTES_MAX = 64

File = collections.namedtuple("File", "path rows")
SHAPES = {
    "empty": (0, []),
    "one row": (1, []),
    "one page": (1000, []),
    "many pages": (6000, ["row_group=2500", "page_rows=300"]),
    "small pages": (3000, ["page_bytes=700"]),
    "a row a page": (40, ["page_rows=1", "row_group=33"]),
    "reverse order": (3000, ["row_group=1000", "page_rows=400", "reverse=1", "batch=4000"]),
    "no dictionaries": (3000, ["dictionary_bytes=0", "page_rows=1000"]),
    "not compressed": (2000, ["zstd=0", "page_rows=1000"]),
    "few values a row group": (2000, ["row_group_values=700", "page_rows=100"]),
}
LARGE = {
    "large dictionary": (15000, ["row_group=15000", "page_rows=4000"])
}  # of Note: not sorted in the file


def write(folder, count, *options, rows=True):
    path = folder / "file.parquet"
    subprocess.run(
        [TOOL, path, folder / "rows.ndjson" if rows else "-", str(count), *options],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return path


def parse(line):
    return json.loads(line, parse_int=lambda text: -0.0 if text == "-0" else int(text))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = {}

    def find(shape) -> File:
        if shape not in made:
            count, options = (SHAPES | LARGE)[shape]
            folder = tmp_path_factory.mktemp("parquet")
            path = write(folder, count, *options)
            lines = (folder / "rows.ndjson").read_text(encoding="utf-8").split("\n")[:-1]
            made[shape] = File(path, [parse(line) for line in lines])
        return made[shape]

    return find


def canonical(value):
    """A value that compares: doubles by their text (NaN, -0), bytes as base64, maps as pairs."""
    if isinstance(value, float):
        return {"double": "NaN" if math.isnan(value) else repr(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: canonical(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(member) for member in value]
    return value


def expected_rows(rows):
    """The tool's JSON has doubles as numbers (3 for 3.0) or as text (NaN): doubles again."""
    doubles = {"Value", "Gauge", "Rate"}

    def fix(name, value):
        if value is not None and name in doubles:
            return canonical(float(value))
        if name == "Bounds":
            return [canonical(float(member)) for member in value]
        if name == "Events":
            return [{key: fix(key, member) for key, member in event.items()} for event in value]
        return canonical(value)

    return [{name: fix(name, value) for name, value in row.items()} for row in rows]


def integers_for_times(table):
    """Times as microseconds, also inside of Events."""

    def fix(type_):
        if pyarrow.types.is_timestamp(type_):
            return pyarrow.int64()
        if pyarrow.types.is_map(type_):
            return pyarrow.map_(pyarrow.string(), pyarrow.string())
        if pyarrow.types.is_list(type_) or pyarrow.types.is_large_list(type_):
            return pyarrow.list_(fix(type_.value_type))
        if pyarrow.types.is_struct(type_):
            return pyarrow.struct([(field.name, fix(field.type)) for field in type_])
        return type_

    for field in table.schema:
        assert not pyarrow.types.is_timestamp(field.type) or field.type == UTC
    return table.cast(pyarrow.schema([(field.name, fix(field.type)) for field in table.schema]))


def assert_rows(table, file):
    found = [canonical(row) for row in integers_for_times(table).to_pylist()]
    expected = expected_rows(file.rows)
    assert len(found) == len(expected)
    for i, (one, other) in enumerate(zip(found, expected)):
        assert one == other, f"row {i}"


@pytest.mark.parametrize("shape", SHAPES | LARGE)
def test_arrow_reads_the_same_rows(files, shape):
    file = files(shape)
    parquet = pyarrow.parquet.ParquetFile(file.path, page_checksum_verification=True)
    table = parquet.read()
    table.validate(full=True)
    assert_rows(table, file)


@pytest.mark.parametrize("shape", SHAPES)
def test_duckdb_reads_the_same_rows(files, shape):
    file = files(shape)
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    table = connection.sql(f"SELECT * FROM '{file.path}'").to_arrow_table()
    assert_rows(table, file)


@pytest.mark.parametrize("shape", SHAPES)
def test_polars_reads_the_same_rows(files, shape):
    file = files(shape)
    frame = polars.read_parquet(file.path)
    assert frame.schema["Timestamp"] == polars.Datetime("us", "UTC")
    found = [canonical(polars_row(row)) for row in frame.to_dicts()]
    assert found == expected_rows(file.rows)


def polars_row(row):
    def fix(value):
        if isinstance(value, dict):
            return polars_row(value)
        if isinstance(value, list):
            return [fix(member) for member in value]
        if hasattr(value, "timestamp"):
            seconds = value.replace(microsecond=0).timestamp()
            return int(seconds) * 1000000 + value.microsecond
        return value

    return {
        name: [list(pair) for pair in value.items()] if name.endswith("Attributes") else fix(value)
        for name, value in row.items()
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_clickhouse_reads_the_same_rows(files, shape):
    file = files(shape)
    answer = chdb.query(
        f"SELECT * FROM file('{file.path}', Parquet) "
        "SETTINGS output_format_json_quote_64bit_integers=0, output_format_json_quote_denormals=1, "
        "output_format_json_map_as_array_of_tuples=1, input_format_parquet_preserve_order=1, "
        "output_format_json_named_tuples_as_objects=1",
        "JSONEachRow",
    )
    lines = answer.bytes().decode("utf-8", "surrogateescape").splitlines() if file.rows else []
    expected = expected_rows(file.rows)
    assert len(lines) == len(expected)
    for i, line in enumerate(lines):
        assert clickhouse_row(parse(line)) == expected[i], f"row {i}"


def clickhouse_row(row):
    """ClickHouse writes doubles as numbers or nan/inf, times as text, bytes raw."""
    spelling = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

    def microseconds(text):
        import datetime

        whole, _, fraction = text.partition(".")
        moment = datetime.datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(
            tzinfo=datetime.timezone.utc
        )
        return int(moment.timestamp()) * 1000000 + int(fraction.ljust(6, "0"))

    def double(value):
        return canonical(float(spelling.get(value, value)))

    def fix(name, value):
        if value is None:
            return None
        if name in ("Value", "Gauge", "Rate"):
            return double(value)
        if name == "Bounds":
            return [double(member) for member in value]
        if name in ("Timestamp", "Time"):
            return microseconds(value)
        if name == "Blob":
            return base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
        if name == "Events":
            return [{key: fix(key, member) for key, member in event.items()} for event in value]
        if name.endswith("Attributes"):
            return [[pair["keys"], pair["values"]] for pair in value]
        return value

    return {name: fix(name, value) for name, value in row.items()}


def test_a_large_file_reads_alike_everywhere(tmp_path):
    path = write(tmp_path, 300000, rows=False)
    ours = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
    assert [ours.metadata.row_group(i).num_rows for i in range(ours.num_row_groups)] == [
        122880,
        122880,
        54240,
    ]
    table = ours.read()
    names = [
        name for name in table.column_names if name not in ("Value", "Gauge", "Events")
    ]  # NaN differs from itself
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    other = connection.sql(f"SELECT * FROM '{path}'").to_arrow_table()
    assert integers_for_times(table.select(names)).equals(integers_for_times(other.select(names)))
    sql = (
        "SELECT count(), sum(cityHash64(Body, Word, TraceId, SpanId, ServiceName)), "
        "sum(length(Events)), "
        f"sum(isNaN(Value)) FROM file('{path}', Parquet)"
    )
    flat = [name for name in names if not pyarrow.types.is_nested(table.schema.field(name).type)]
    again = tmp_path / "again.parquet"
    pyarrow.parquet.write_table(table.select([*flat, "Value", "Events"]), again)
    assert (
        chdb.query(sql, "CSV").bytes()
        == chdb.query(sql.replace(str(path), str(again)), "CSV").bytes()
    )
    assert polars.read_parquet(path, columns=flat).equals(polars.from_arrow(table.select(flat)))


def test_the_same_rows_give_the_same_bytes(tmp_path):
    first = write(tmp_path, 5000, "page_rows=700", rows=False).read_bytes()
    assert write(tmp_path, 5000, "page_rows=700", rows=False).read_bytes() == first


# --- the schema ---


def test_arrow_finds_its_types_and_field_ids(files):
    schema = pyarrow.parquet.ParquetFile(files("one page").path).schema_arrow
    assert schema.field("Timestamp").type == UTC
    assert schema.field("ResourceAttributes").type == MAP
    assert schema.field("TraceId").type == pyarrow.string() and not schema.field("TraceId").nullable
    assert schema.field("Note").nullable and schema.field("Blob").type == pyarrow.binary()
    event = schema.field("Events").type.value_type
    assert pyarrow.types.is_struct(event) and event.field("Attributes").type == MAP
    assert event.field("Rate").nullable and not event.field("Name").nullable

    def ids(field):
        own = (
            {} if field.metadata is None else {field.name: int(field.metadata[b"PARQUET:field_id"])}
        )
        for i in range(field.type.num_fields):
            own |= {f"{field.name}.{k}": v for k, v in ids(field.type.field(i)).items()}
        return own

    assert ids(schema.field("Timestamp")) == {"Timestamp": 10}
    assert set(ids(schema.field("Attributes")).values()) == {40, 41, 42}
    assert set(ids(schema.field("Events")).values()) == {
        200,
        201,
        202,
        203,
        204,
        205,
        206,
        207,
        208,
        210,
        211,
    }


def test_the_stored_arrow_schema_is_the_one_of_the_columns(files):
    file = pyarrow.parquet.ParquetFile(files("one page").path)
    stored = pyarrow.ipc.read_schema(
        pyarrow.py_buffer(base64.b64decode(file.metadata.metadata[b"ARROW:schema"]))
    )
    assert stored.names == file.schema_arrow.names
    for field in stored:
        assert field.type == file.schema_arrow.field(field.name).type, field.name
        assert field.nullable == file.schema_arrow.field(field.name).nullable, field.name
        assert field.metadata is None, field.name  # the file's own schema has the field ids


def test_duckdb_and_clickhouse_find_their_types(files):
    path = files("one page").path
    types = dict(
        duckdb.sql(
            f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '{path}')"
        ).fetchall()
    )
    assert types["Timestamp"] == "TIMESTAMP WITH TIME ZONE"
    assert types["Attributes"] == "MAP(VARCHAR, VARCHAR)"
    assert types["TraceId"] == "VARCHAR" and types["Blob"] == "BLOB" and types["Flag"] == "BOOLEAN"
    lines = chdb.query(f"DESCRIBE file('{path}', Parquet)", "TSV").bytes().decode().splitlines()
    types = dict(line.split("\t")[:2] for line in lines)
    assert (
        types["Timestamp"].startswith("DateTime64(6")
        and types["Attributes"] == "Map(String, String)"
    )
    assert types["TraceId"] == "String" and types["Note"] == "Nullable(String)"


# --- metadata ---


def columns_of(metadata):
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            yield group, metadata.row_group(group).column(column)


def leaf_values(table, path):
    """The values of a leaf, nulls left out, and how many level entries it has."""
    parts = path.split(".")
    array = table.column(parts[0]).combine_chunks()
    entries = len(array)
    for part in parts[1:]:
        if part in ("key_value", "list"):
            sizes = (
                pyarrow.compute.list_value_length(array)
                if part == "list"
                else pyarrow.array([len(x) for x in array.to_pylist()], pyarrow.int32())
            )
            entries += sum(max(size, 1) for size in sizes.to_pylist()) - len(array)
        elif part in ("key", "value") and pyarrow.types.is_map(array.type):
            array = array.keys if part == "key" else array.items
        elif part == "element":
            array = array.flatten()
        else:
            array = array.field(part)
    return array.drop_null(), entries


def has_nan(values):
    return pyarrow.types.is_floating(values.type) and pyarrow.compute.any(pyarrow.compute.is_nan(values)).as_py()


@pytest.mark.parametrize(
    "shape", ["many pages", "no dictionaries", "reverse order", "not compressed", *LARGE]
)
def test_statistics_are_those_of_the_values(files, shape):
    file = pyarrow.parquet.ParquetFile(files(shape).path)
    tables = [file.read_row_group(i) for i in range(file.num_row_groups)]
    checked = doubles = 0
    for group, column in columns_of(file.metadata):
        values, entries = leaf_values(tables[group], column.path_in_schema)
        statistics = column.statistics
        assert column.num_values == entries, column.path_in_schema
        assert statistics.null_count == entries - len(values), column.path_in_schema
        if statistics.has_distinct_count and statistics.distinct_count:
            distinct = {repr(value) for value in values.to_pylist()}
            assert statistics.distinct_count == len(distinct), column.path_in_schema
        if not pyarrow.types.is_floating(values.type):
            checked += check_bounds(statistics, values, column.path_in_schema)
            continue
        # To some readers NaN is the greatest value, and bounds leave it out: there are none then.
        ordered = [] if has_nan(values) else values.to_pylist()
        assert statistics.has_min_max == bool(ordered)
        if not ordered:
            continue
        assert (statistics.min, statistics.max) == (min(ordered), max(ordered))
        assert statistics.min or math.copysign(1, statistics.min) < 0  # a zero minimum is -0.0
        assert statistics.max or math.copysign(1, statistics.max) > 0
        doubles += 1
    assert checked > 25 * len(tables) and doubles


def check_bounds(statistics, values, path):
    assert statistics.has_min_max == (len(values) > 0), path
    if not len(values):
        return 0
    plain = values.to_pylist()
    if isinstance(plain[0], str):  # Parquet orders by bytes, and cuts
        plain = [value.encode() for value in plain]
        low, high = statistics.min.encode(), statistics.max.encode()
    else:
        low, high = statistics.min, statistics.max
    if isinstance(low, bytes):
        assert len(low) <= BOUND_BYTES_MAX and len(high) <= BOUND_BYTES_MAX, path
        assert low == min(plain) or min(plain).startswith(low), path
        assert high == max(plain) or (len(max(plain)) > BOUND_BYTES_MAX and high > max(plain)), path
        assert high[:50] == max(plain)[:50] or len(high) < BOUND_BYTES_MAX, path
    else:
        assert (low, high) == (min(plain), max(plain)), path
    return 1


@pytest.mark.parametrize("shape", ["many pages", "no dictionaries"])
def test_every_chunk_has_indexes_and_one_encoding(files, shape):
    file = pyarrow.parquet.ParquetFile(files(shape).path)
    tables = [file.read_row_group(i) for i in range(file.num_row_groups)]
    encodings = collections.Counter()
    for group, column in columns_of(file.metadata):
        name = column.path_in_schema
        assert column.has_offset_index, name
        assert column.has_column_index != bool(has_nan(leaf_values(tables[group], name)[0])), name
        data = [encoding for encoding in column.encodings if encoding not in ("RLE", "PLAIN")]
        assert len(data) <= 1, name
        encodings[data[0] if data else "PLAIN"] += 1
    assert encodings["DELTA_LENGTH_BYTE_ARRAY"] and encodings["DELTA_BINARY_PACKED"]
    assert encodings["BYTE_STREAM_SPLIT"] and encodings["RLE_DICTIONARY"]


def test_row_groups_say_how_they_are_sorted(files):
    metadata = pyarrow.parquet.read_metadata(files("many pages").path)
    timestamp = metadata.schema.names.index("Timestamp")
    assert metadata.row_group(0).sorting_columns == (pyarrow.parquet.SortingColumn(timestamp),)
    assert metadata.row_group(0).column(timestamp).path_in_schema == "Timestamp"
    assert (
        pyarrow.parquet.read_metadata(files("reverse order").path).row_group(0).sorting_columns
        == ()
    )


# --- skipping ---


def bloom_excluded(path, column, value):
    probe = duckdb.execute(
        "SELECT bloom_filter_excludes FROM parquet_bloom_probe(?, ?, ?)", [str(path), column, value]
    )
    return [row[0] for row in probe.fetchall()]


@pytest.mark.parametrize("shape", ["many pages", "no dictionaries", "reverse order"])
def test_bloom_filters_hold_every_value_and_exclude_most_others(files, shape):
    file = files(shape)
    per_group = pyarrow.parquet.read_metadata(file.path).row_group(0).num_rows
    for column in ("SpanId", "TraceId", "ServiceName"):
        groups = [file.rows[i : i + per_group] for i in range(0, len(file.rows), per_group)]
        for i, rows in enumerate(groups):
            for row in rows[::97]:
                assert not bloom_excluded(file.path, column, row[column])[i], (column, row[column])
    wrong = sum(
        excluded is False
        for i in range(300)
        for excluded in bloom_excluded(file.path, "SpanId", f"{i:016x}")
    )
    assert wrong < 300 * len(groups) * 0.05


def test_readers_that_skip_find_every_row(files):
    """Filters that prune by statistics, page index and bloom filter give what a full scan gives."""
    file = files("many pages")
    rows = file.rows[::211]
    for row in rows:
        span, when = row["SpanId"], row["Timestamp"]
        expected = sum(other["SpanId"] == span for other in file.rows)
        sql = f"SELECT count(*) FROM '{file.path}' WHERE SpanId = '{span}'"
        assert duckdb.sql(sql).fetchone()[0] == expected
        sql = f"SELECT count() FROM file('{file.path}', Parquet) WHERE {{}}"
        assert int(chdb.query(sql.format(f"SpanId = '{span}'"), "TSV").bytes()) == expected
        exact = sql.format(
            f"Timestamp = fromUnixTimestamp64Micro({when}, 'UTC')"
        )
        assert int(chdb.query(exact, "TSV").bytes()) == sum(
            other["Timestamp"] == when for other in file.rows
        )
    word = "Grüße"
    expected = sum(row["Word"] == word for row in file.rows)
    assert (
        polars.scan_parquet(file.path).filter(polars.col("Word") == word).collect().height
        == expected
    )
    table = pyarrow.parquet.read_table(file.path, filters=[("Word", "=", word)], columns=["Word"])
    assert table.num_rows == expected


# --- damage ---


def test_a_flipped_byte_is_refused(files, tmp_path):
    path = files("many pages").path
    good = path.read_bytes()
    metadata = pyarrow.parquet.read_metadata(path)
    names = {column.path_in_schema: column for _, column in columns_of(metadata)}
    for name in ("Body", "Severity", "Attributes.key_value.value", "Events.list.element.Rate"):
        column = names[name]
        bad = bytearray(good)
        bad[column.data_page_offset + column.total_compressed_size // 3] ^= 0x10
        damaged = tmp_path / "damaged.parquet"
        damaged.write_bytes(bad)
        top = name.split(".")[0]
        with pytest.raises(OSError):
            pyarrow.parquet.ParquetFile(damaged, page_checksum_verification=True).read(
                columns=[top]
            )
        with pytest.raises(Exception):
            chdb.query(f"SELECT {top} FROM file('{damaged}', Parquet) FORMAT Null").bytes()
