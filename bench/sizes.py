#!/usr/bin/env python3
"""`make bench-sizes`: bytes a row of each column, of files that the server wrote of a prepared set, beside those of
the same rows in Parquet by pyarrow (tuned by hand) and in ClickHouse (storage.py says what those two have and lack).

A line of the table is a column with what belongs to it: a time with its NanoOfMicro, a map with its keys, values and
types. Filters, indexes and footers stand below the columns; --json has the leaves.
"""
import argparse
import json
import os
import pathlib
import sys
from collections import Counter

import pyarrow.parquet as pq

import storage
from servers import ROOT, SETS, STORED_SETS, commit, scratch, store_once, write_tables

SMALL = 0.05  # bytes a row: columns below are one line together
OF_RESOURCES = "of the resource, promoted"
PROMOTED = ("Service", "K8s", "Host", "DeploymentEnvironment")


def column_of(path, theirs):
    """The line of a leaf: the exporter's column that it belongs to, or its own top-level column."""
    top = path.split(".")[0]
    for ending in ("Types", "NanoOfMicro"):
        top = top.removesuffix(ending)
    if top not in theirs and top.startswith(PROMOTED):
        return OF_RESOURCES
    return {"ValueInt": "Value"}.get(top, top)


def ours(files, theirs):
    """Bytes of columns, of leaves, and of what is beside them, and rows."""
    columns, leaves, beside, rows = Counter(), Counter(), Counter(), 0
    for file in files:
        metadata = pq.ParquetFile(file).metadata
        rows += metadata.num_rows
        data = 0
        for group in range(metadata.num_row_groups):
            for number in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(number)
                columns[column_of(chunk.path_in_schema, theirs)] += chunk.total_compressed_size
                leaves[chunk.path_in_schema] += chunk.total_compressed_size
                data += chunk.total_compressed_size
        footer = metadata.serialized_size + 8
        beside["metadata"] += footer
        beside["bloom filters and page indexes"] += os.path.getsize(file) - data - footer
    return columns, leaves, beside, rows


def by_pyarrow(path):
    columns, data = Counter(), 0
    metadata = pq.ParquetFile(path).metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            columns[chunk.path_in_schema.split(".")[0]] += chunk.total_compressed_size
            data += chunk.total_compressed_size
    return columns, os.path.getsize(path) - data


def by_clickhouse(house):
    text = house.session.query(
        "SELECT splitByChar('.', column)[1] AS name, sum(column_data_compressed_bytes + column_marks_bytes) AS bytes "
        "FROM system.parts_columns WHERE active AND database = 'peer' GROUP BY name",
        "JSONEachRow",
    )
    return {line["name"]: int(line["bytes"]) for line in map(json.loads, str(text).splitlines())}


def measure(options, name):
    """Columns of one set: name -> (ours, pyarrow, ClickHouse), bytes a row; and the rest of each."""
    signal = SETS[name][0]
    table = storage.TABLES[signal]
    theirs = {column for column, *_ in table["columns"]}
    with scratch(options) as text:
        folder = pathlib.Path(text)
        files = storage.files_of(store_once(options, name, folder), name)
        columns, leaves, beside, count = ours(files, theirs)
        rows = storage.rows_of(files, table)
        plain, best = folder / "plain.parquet", folder / "tuned.parquet"
        storage.written(rows, plain)
        better, settings = storage.tuned(rows, signal)
        storage.written(better, best, **settings)
        house = storage.ClickHouse(folder / "clickhouse", table)
        parts = house.load(plain)
        clickhouse = by_clickhouse(house)
        house.close()
        arrow, arrow_rest = by_pyarrow(best)
    if not count == rows.num_rows == parts["rows"]:
        sys.exit(f"{name}: {count} rows, {rows.num_rows} in Arrow, {parts['rows']} in ClickHouse")
    house_rest = parts["disk"] - parts["indexes"] - sum(clickhouse.values())
    lines = {c: (columns[c], arrow.get(c, 0), clickhouse.get(c, 0)) for c in {*columns, *arrow, *clickhouse}}
    rest = {
        "bloom filters and page indexes": (beside["bloom filters and page indexes"], 0, parts["indexes"]),
        "metadata": (beside["metadata"], arrow_rest, house_rest),
    }
    return {
        "set": name,
        "rows": count,
        "files": len(files),
        "columns": {c: [b / count for b in sizes] for c, sizes in lines.items()},
        "rest": {c: [b / count for b in sizes] for c, sizes in rest.items()},
        "leaves": {path: size / count for path, size in leaves.most_common() if size >= SMALL * count},
    }


def line(name, sizes):
    return f"| {name} | " + " | ".join(f"{size:.2f}" if size >= 0.005 else "" for size in sizes) + " |"


def markdown(found):
    """A table of one set."""
    sums = [sum(of) for of in zip(*found["columns"].values(), *found["rest"].values())]
    yield f"### {found['set']}: {found['rows']:,} rows in {found['files']} file{'s' * (found['files'] > 1)}"
    yield ""
    yield "| bytes a row | Otolith | pyarrow, tuned | ClickHouse |"
    yield "|---|---:|---:|---:|"
    yield line("**all**", sums)
    small = []
    for name, sizes in sorted(found["columns"].items(), key=lambda item: -item[1][0]):
        if max(sizes) < SMALL:
            small.append(sizes)
        else:
            yield line(name, sizes)
    if small:
        yield line(f"{len(small)} more columns", [sum(of) for of in zip(*small)])
    for name, sizes in found["rest"].items():
        yield line(name, sizes)
    yield ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--payloads", type=pathlib.Path, help="folder with the frames (default: made below the build)")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--serve", default="--threads 1", help="arguments for otolith serve")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here, leaves too")
    parser.add_argument("--markdown", type=pathlib.Path, help="put the tables into this page")
    parser.add_argument("sets", nargs="*", default=STORED_SETS, help=f"default: {' '.join(STORED_SETS)}")
    options = parser.parse_args()
    options.build = options.build.resolve()
    found = []
    for name in options.sets:
        found.append(measure(options, name))
        print("\n".join(markdown(found[-1])), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"commit": commit(), "sets": found}, indent=1) + "\n")
    if options.markdown:
        text = f"Commit {commit()}.\n\n" + "\n".join(text for one in found for text in markdown(one))
        write_tables(options.markdown, "sizes", text)


if __name__ == "__main__":
    main()
