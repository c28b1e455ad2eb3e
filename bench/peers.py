#!/usr/bin/env python3
"""`make bench-peers`: the same requests into Otolith and into the OpenTelemetry Collector, in turn, in one
sitting; then the rows that Otolith stored, in ClickHouse and in Parquet by pyarrow.

Nanoseconds of one machine and hour say little about another; the ratio of two servers that took the same bytes
from the same sender in the same minutes does. Ours is run and its rows are verified as by `make bench`. The
Collector (tools/judges/otelcol, GOMAXPROCS=1, no batching, its own telemetry off) stands on the same core:

  collector-nop   decodes each request and drops it; it answers from memory
  collector-file  writes each request to one file (protobuf, zstd), buffered; it answers after the write into its
                  buffer, before anything is durable, and keeps no order, columns or indexes

CPU is user and system time from ready to exit; the memory is the peak of resident memory. The stores: storage.py.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import run
from servers import (
    PEER_CASES,
    ROOT,
    STORED_SETS,
    Payload,
    commit,
    end,
    free_port,
    listens,
    machine,
    passes_of,
    process_cpu_s,
    replay,
    scratch,
    store_once,
    write_tables,
)

ACKED = {"otolith": "after fdatasync", "collector-nop": "from memory", "collector-file": "before durable"}
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters: {{nop: {{}}, file: {{path: "{file}", format: proto, compression: zstd}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines: {{{signal}: {{receivers: [otlp], exporters: [{exporter}]}}}}
"""


def run_collector(options, otelcol, peer, case):
    name, protocol, _ = case.split(":")
    payload, passes = Payload(options, name, protocol == "http-json"), passes_of(case)
    with scratch(options) as text:
        folder = pathlib.Path(text)
        ports = {"grpc": free_port(), "http": free_port()}
        log = folder / "log"
        (folder / "config.yaml").write_text(
            CONFIG.format(
                **ports, file=folder / "data", signal=payload.signal, exporter=peer.removeprefix("collector-")
            )
        )
        with open(log, "wb") as output:
            process = subprocess.Popen(
                ["taskset", "-c", "0", otelcol, "--config", str(folder / "config.yaml")],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        while not all(listens(port) for port in ports.values()):
            if process.poll() is not None:
                sys.exit(f"the Collector ended:\n{log.read_text()}")
            time.sleep(0.01)
        before = process_cpu_s(process.pid)
        load = replay(options, case, ports[protocol.split("-")[0]], passes)
        status, usage, peak = end(process)
        if status or load["failed"] or load["requests"] != payload.requests * passes:
            sys.exit(f"{peer}, {case}: status {status}, {load}\n{log.read_text()[-2000:]}")
        stored = os.path.getsize(folder / "data") if (folder / "data").exists() else 0
    records = payload.records * passes
    return {
        "cpu_ns_a_record": (usage.ru_utime + usage.ru_stime - before) * 1e9 / records,
        "peak_mib": peak / 2**20,
        "stored_bytes_a_record": stored / records,
        "records_per_s": records / load["seconds"],
    }


def summary(runs):
    cpu = [r["cpu_ns_a_record"] for r in runs]
    return {
        "cpu_ns_a_record": statistics.median(cpu),
        "best_cpu_ns_a_record": min(cpu),
        "peak_mib": max(r["peak_mib"] for r in runs),
        "stored_bytes_a_record": statistics.median(r["stored_bytes_a_record"] for r in runs),
        "records_per_s": statistics.median(r["records_per_s"] for r in runs),
        "runs": len(runs),
    }


def run_servers(options):
    otelcol = subprocess.run(
        [ROOT / "tools/judges/otelcol"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    results = []
    print(
        f"{'case':28} {'server':15} {'CPU ns/rec':>10} {'best':>7} {'x nop':>6} {'B/rec':>7} {'peak MiB':>8}  "
        f"acknowledged",
        flush=True,
    )
    for case in options.cases or PEER_CASES:
        runs = {server: [] for server in ["otolith", *options.peers]}
        for _ in range(options.runs):  # in turn, so that a slow minute meets all of them
            runs["otolith"].append(run.run_case(options, case))
            for peer in options.peers:
                runs[peer].append(run_collector(options, otelcol, peer, case))
        table = {server: summary(of) for server, of in runs.items()}
        results.append({"case": case, "servers": table})
        base = table.get("collector-nop", {}).get("cpu_ns_a_record")
        for server, s in table.items():
            ratio = f"{s['cpu_ns_a_record'] / base:6.2f}" if base else f"{'-':>6}"
            print(
                f"{case:28} {server:15} {s['cpu_ns_a_record']:10.0f} {s['best_cpu_ns_a_record']:7.0f} {ratio} "
                f"{s['stored_bytes_a_record']:7.1f} "
                f"{s['peak_mib']:8.1f}  {ACKED[server]}",
                flush=True,
            )
    return results


def run_stores(options):
    import storage  # pylint: disable=import-outside-toplevel  # loads ClickHouse

    results = []
    print(f"{'set':16} {'otolith':>8} {'ClickHouse':>11} {'indexes':>8} {'pyarrow':>8} {'tuned':>7}  bytes a row")
    for name in STORED_SETS:
        with scratch(options) as text:
            found = storage.compare(store_once(options, name, pathlib.Path(text)), name)
        results.append(found)
        print(
            f"{name:16} {found['otolith']:8.1f} {found['clickhouse']:11.1f} {found['of_these_skip_indexes']:8.1f} "
            f"{found['pyarrow_plain']:8.1f} "
            f"{found['pyarrow_tuned']:7.1f}",
            flush=True,
        )
        for scan in found["scans"]:
            print(
                f"  {scan['what']:40} DuckDB over our files {scan['duckdb_ms']:8.1f} ms, ClickHouse over its own "
                f"{scan['clickhouse_ms']:8.1f} ms"
            )
    return results


def markdown(document):
    yield (
        f"Commit {document['commit']}, {document['when'][:16]}Z, {document['machine']['cpu']}, "
        f"{document['machine']['cores']} cores, 1-minute load at "
        f"the start {document['machine']['load_1m']:.1f}, median of {document['runs']}."
    )
    yield ""
    if "servers" in document:
        names = list(document["servers"][0]["servers"])
        yield "| case | " + " | ".join(f"{n}, CPU ns" for n in names) + " | otolith : nop | stored B, " + " and ".join(
            names
        ) + " | peak MiB |"
        yield "|---|" + "---|" * (len(names) + 3)
        for r in document["servers"]:
            s = [r["servers"][n] for n in names]
            base = r["servers"].get("collector-nop", {}).get("cpu_ns_a_record")
            yield (
                f"| {r['case'].replace(':', ', ')} | "
                + " | ".join(f"{x['cpu_ns_a_record']:,.0f}" for x in s)
                + f" | {s[0]['cpu_ns_a_record'] / base if base else 0:.2f} | "
                + ", ".join(f"{x['stored_bytes_a_record']:.1f}" for x in s)
                + " | "
                + ", ".join(f"{x['peak_mib']:.0f}" for x in s)
                + " |"
            )
        yield ""
    if "stores" in document:
        yield "| bytes a row | Otolith | ClickHouse (of it skip indexes) | pyarrow, plain | pyarrow, tuned |"
        yield "|---|---|---|---|---|"
        for r in document["stores"]:
            yield (
                f"| {r['set']} | {r['otolith']:.1f} | {r['clickhouse']:.1f} ({r['of_these_skip_indexes']:.1f}) | "
                f"{r['pyarrow_plain']:.1f} | "
                f"{r['pyarrow_tuned']:.1f} |"
            )
        yield ""
        yield "| scan, one thread, ms | DuckDB over Otolith's files | ClickHouse over its table |"
        yield "|---|---|---|"
        for r in document["stores"]:
            for scan in r["scans"]:
                yield f"| {r['set']}: {scan['what']} | {scan['duckdb_ms']:.1f} | {scan['clickhouse_ms']:.1f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument(
        "--payloads", type=pathlib.Path, default=None, help="folder of make_payloads.py's output; made when missing"
    )
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=["collector-nop", "collector-file"])
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=["servers", "stores"],
        default=None,
        help="default: both; with cases named: servers",
    )
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    parser.add_argument(
        "--markdown", type=pathlib.Path, help="write them as tables here: docs/BENCHMARKS.md keeps its text around them"
    )
    parser.add_argument("cases", nargs="*", help=f"default: {' '.join(PEER_CASES)}")
    options = parser.parse_args()
    options.build, options.serve = options.build.resolve(), "--threads 1"
    document = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "commit": commit(),
        "machine": machine(),
        "runs": options.runs,
        "scale": options.scale,
    }
    parts = options.parts or (["servers"] if options.cases else ["servers", "stores"])
    for part in parts:
        document[part] = {"servers": run_servers, "stores": run_stores}[part](options)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")
        if options.markdown:
            write_tables(options.markdown, "bench-peers", "\n".join(markdown(document)) + "\n")


if __name__ == "__main__":
    main()
