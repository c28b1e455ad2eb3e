"""The same rows elsewhere: bytes in ClickHouse (chdb) and in Parquet by pyarrow, and what a few scans take, from a
data folder that run.py verified.

The rows go over in the columns of OpenTelemetry's ClickHouse exporter: attributes as maps of strings, ids as
hex, no observed time, types, dropped counts or exemplars, which Otolith's files have. ClickHouse: a MergeTree
table with that exporter's types, codecs, order and skip indexes, merged to one part. pyarrow: zstd-1, row
groups of 122,880, sorted like that table; plain (dictionaries everywhere, as it is without options) and tuned
by hand (ids as fixed bytes, times as deltas, no dictionary where values do not repeat).
"""

import json
import os
import pathlib
import statistics
import tempfile
import time

import chdb.session
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from servers import SETS

LOW, MAP = "LowCardinality(String)", "Map(LowCardinality(String), String)"
SHARED = [
    ("ServiceName", LOW, "ZSTD(1)"),
    ("ScopeName", "String", "ZSTD(1)"),
    ("ScopeVersion", LOW, "ZSTD(1)"),
    ("ResourceAttributes", MAP, "ZSTD(1)"),
]
TIME, IDS = ("DateTime64(9)", "Delta, ZSTD(1)"), ("String", "ZSTD(1)")
TABLES = {
    "logs": {
        "columns": [
            ("Timestamp", *TIME),
            ("TraceId", *IDS),
            ("SpanId", *IDS),
            ("TraceFlags", "UInt8", ""),
            ("SeverityText", LOW, "ZSTD(1)"),
            ("SeverityNumber", "UInt8", ""),
            ("Body", "String", "ZSTD(1)"),
            ("ResourceSchemaUrl", LOW, "ZSTD(1)"),
            ("ScopeSchemaUrl", LOW, "ZSTD(1)"),
            ("ScopeAttributes", MAP, "ZSTD(1)"),
            ("LogAttributes", MAP, "ZSTD(1)"),
            *SHARED,
        ],
        "select": {"TraceFlags": "TraceFlags & 255"},
        "time": ["Timestamp"],
        "sort": "ServiceName, Timestamp",
        "order": "ServiceName, toDateTime(Timestamp), Timestamp",
        "maps": ["ResourceAttributes", "ScopeAttributes", "LogAttributes"],
        "indexes": [
            "TraceId TYPE bloom_filter(0.001) GRANULARITY 1",
            "Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8",
        ],
    },
    "traces": {
        "columns": [
            ("Timestamp", *TIME),
            ("TraceId", *IDS),
            ("SpanId", *IDS),
            ("ParentSpanId", *IDS),
            ("TraceState", "String", "ZSTD(1)"),
            ("SpanName", LOW, "ZSTD(1)"),
            ("SpanKind", LOW, "ZSTD(1)"),
            ("SpanAttributes", MAP, "ZSTD(1)"),
            ("Duration", "UInt64", "T64, ZSTD(1)"),
            ("StatusCode", LOW, "ZSTD(1)"),
            ("StatusMessage", "String", "ZSTD(1)"),
            ("Events", f"Nested(Timestamp DateTime64(9), Name {LOW}, Attributes {MAP})", "ZSTD(1)"),
            ("Links", f"Nested(TraceId String, SpanId String, TraceState String, Attributes {MAP})", "ZSTD(1)"),
            *SHARED,
        ],
        "select": {
            "StatusMessage": "coalesce(StatusMessage, '')",
            "Duration": "Duration::UBIGINT",
            "Events": "list_transform(Events, e -> {'Timestamp': make_timestamp_ns(epoch_us(e.Timestamp) * 1000 + "
            "coalesce(e.TimestampNanoOfMicro, 0)), 'Name': e.Name, 'Attributes': e.Attributes})",
            "Links": "list_transform(Links, k -> "
            "{'TraceId': k.TraceId, 'SpanId': k.SpanId, 'TraceState': k.TraceState, "
            "'Attributes': k.Attributes})",
        },
        "time": ["Timestamp"],
        "sort": "ServiceName, SpanName, Timestamp",
        "order": "ServiceName, SpanName, toDateTime(Timestamp), Timestamp",
        "maps": ["ResourceAttributes", "SpanAttributes"],
        "indexes": ["TraceId TYPE bloom_filter(0.001) GRANULARITY 1", "Duration TYPE minmax GRANULARITY 1"],
    },
    "metrics": {
        "columns": [
            ("MetricName", LOW, "ZSTD(1)"),
            ("MetricDescription", "String", "ZSTD(1)"),
            ("MetricUnit", "String", "ZSTD(1)"),
            ("Attributes", MAP, "ZSTD(1)"),
            ("ScopeAttributes", MAP, "ZSTD(1)"),
            ("StartTimeUnix", *TIME),
            ("TimeUnix", *TIME),
            ("Value", "Float64", "ZSTD(1)"),
            ("Flags", "UInt32", "ZSTD(1)"),
            ("AggregationTemporality", "Int32", "ZSTD(1)"),
            ("IsMonotonic", "Bool", "ZSTD(1)"),
            *SHARED,
        ],
        "select": {
            "Value": "coalesce(Value, ValueInt::DOUBLE)",
            "Flags": "Flags::UINTEGER",
            "AggregationTemporality": "coalesce(AggregationTemporality, 0)::INTEGER",
            "IsMonotonic": "coalesce(IsMonotonic, false)",
        },
        "time": ["StartTimeUnix", "TimeUnix"],
        "sort": "ServiceName, MetricName, Attributes, TimeUnix",
        "order": "ServiceName, MetricName, cityHash64(Attributes), TimeUnix",
        "maps": ["ResourceAttributes", "ScopeAttributes", "Attributes"],
        "indexes": ["TimeUnix TYPE minmax GRANULARITY 1"],
    },
}
TUNED = {
    "Timestamp": "DELTA_BINARY_PACKED",
    "Duration": "DELTA_BINARY_PACKED",
    "Body": "DELTA_LENGTH_BYTE_ARRAY",
    "SpanId": "PLAIN",
    "ParentSpanId": "PLAIN",
    "Value": "BYTE_STREAM_SPLIT",
}
SCANS = {  # what is asked: DuckDB over our files, ClickHouse over its table
    "logs": [
        ("count by service and severity", "SELECT ServiceName, SeverityNumber, count(*) FROM {t} GROUP BY ALL", None),
        ("count by one attribute", "SELECT LogAttributes['http.route'] AS r, count(*) FROM {t} GROUP BY r", None),
        ("text search", "SELECT count(*) FROM {t} WHERE Body LIKE '%expired%'", None),
    ],
    "traces": [
        (
            "p99 of durations by service",
            "SELECT ServiceName, quantile_cont(Duration, 0.99) FROM {t} GROUP BY ServiceName",
            "SELECT ServiceName, quantileExact(0.99)(Duration) FROM {t} GROUP BY ServiceName",
        )
    ],
    "metrics": [
        (
            "sum by metric",
            "SELECT MetricName, sum(coalesce(Value, 0)) FROM {t} GROUP BY MetricName",
            "SELECT MetricName, sum(Value) FROM {t} GROUP BY MetricName",
        )
    ],
}


def files_of(data, name):
    return [str(f) for folder in SETS[name][1] for f in (data / folder).rglob("*.parquet")]


def rows_of(files, table):
    """The rows as an Arrow table with the exporter's columns, sorted."""
    said = dict(table["select"])
    for time_column in table["time"]:
        said[time_column] = f"make_timestamp_ns(epoch_us({time_column}) * 1000 + coalesce({time_column}NanoOfMicro, 0))"
    columns = ", ".join(f"{said.get(name, name)} AS {name}" for name, *_ in table["columns"])
    query = (
        f"SELECT * FROM (SELECT {columns} FROM read_parquet({files}, union_by_name = true)) ORDER BY {table['sort']}"
    )
    return duckdb.sql(query).to_arrow_table()


def written(rows, path, **settings):
    pq.write_table(rows, path, compression="zstd", compression_level=1, row_group_size=122_880, **settings)
    return os.path.getsize(path)


def leaves(schema):
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    described = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [described.column(i).path for i in range(len(described))]


def tuned(rows, signal):
    encodings = {name: how for name, how in TUNED.items() if name in rows.column_names}
    if signal == "logs":
        encodings["TraceId"] = "PLAIN"
    for name, width in (("TraceId", 16), ("SpanId", 8), ("ParentSpanId", 8)):
        if name in rows.column_names:
            raw = pa.array([bytes.fromhex(text) or None for text in rows[name].to_pylist()], pa.binary(width))
            rows = rows.set_column(rows.column_names.index(name), name, raw)
    return rows, {
        "column_encoding": encodings,
        "use_dictionary": [leaf for leaf in leaves(rows.schema) if leaf not in encodings],
    }


class ClickHouse:
    def __init__(self, folder, table):
        self.session = chdb.session.Session(str(folder))
        lines = [f"`{name}` {kind}" + (f" CODEC({codec})" if codec else "") for name, kind, codec in table["columns"]]
        indexes = [
            f"{half}({name}) TYPE bloom_filter(0.01) GRANULARITY 1"
            for name in table["maps"]
            for half in ("mapKeys", "mapValues")
        ]
        lines += [f"INDEX skip_{i} {text}" for i, text in enumerate(indexes + table["indexes"])]
        self.session.query("CREATE DATABASE peer ENGINE = Atomic")
        self.session.query(
            f"CREATE TABLE peer.t ({', '.join(lines)}) ENGINE = MergeTree PARTITION BY toDate({table['time'][-1]}) "
            f"ORDER BY ({table['order']}) SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
        )

    def load(self, path):
        """Bytes on disk, of them skip indexes, and rows."""
        self.session.query(f"INSERT INTO peer.t SELECT * FROM file('{path}', Parquet)")
        self.session.query("OPTIMIZE TABLE peer.t FINAL")
        text = self.session.query(
            "SELECT sum(bytes_on_disk) AS disk, sum(secondary_indices_compressed_bytes) AS indexes, sum(rows) AS rows "
            "FROM system.parts WHERE active AND database = 'peer'",
            "JSONEachRow",
        )
        return {key: int(value) for key, value in json.loads(str(text)).items()}

    def scan(self, query):
        return timed(lambda: str(self.session.query(query.format(t="peer.t"), "JSONEachRow")))

    def close(self):
        self.session.close()


def timed(work):
    """Milliseconds of wall time, the median of seven after a first."""
    taken = []
    for _ in range(8):
        begin = time.monotonic()
        work()
        taken.append((time.monotonic() - begin) * 1e3)
    return statistics.median(taken[1:])


def compare(data, name):
    """Bytes a row and scan times of the rows in a data folder, ours and theirs."""
    signal, files = SETS[name][0], files_of(data, name)
    table, ours = TABLES[signal], f"read_parquet({files}, union_by_name = true)"
    rows = rows_of(files, table)
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        plain = written(rows, folder / "plain.parquet")
        better, settings = tuned(rows, signal)
        best = written(better, folder / "tuned.parquet", **settings)
        house = ClickHouse(folder / "clickhouse", table)
        parts = house.load(folder / "plain.parquet")
        if parts["rows"] != rows.num_rows:
            raise SystemExit(f"ClickHouse has {parts['rows']} of {rows.num_rows} rows")
        duck = duckdb.connect(config={"threads": 1})
        duck.execute("SET enable_object_cache = true")
        house.session.query("SET max_threads = 1")
        scans = [
            {
                "what": what,
                "duckdb_ms": timed(lambda q=query: duck.execute(q.format(t=ours)).fetchall()),
                "clickhouse_ms": house.scan(
                    other or query.replace("GROUP BY ALL", "GROUP BY ServiceName, SeverityNumber")
                ),
            }
            for what, query, other in SCANS[signal]
        ]
        house.close()
    count = rows.num_rows
    return {
        "set": name,
        "rows": count,
        "otolith": sum(os.path.getsize(f) for f in files) / count,
        "clickhouse": parts["disk"] / count,
        "of_these_skip_indexes": parts["indexes"] / count,
        "pyarrow_plain": plain / count,
        "pyarrow_tuned": best / count,
        "scans": scans,
    }
