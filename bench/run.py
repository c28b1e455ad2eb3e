#!/usr/bin/env python3
"""`make bench`: the same bytes through the running server, every path, with what was stored checked before a
figure is printed.

For each case the server is started on an empty folder and pinned to core 0, otlp_load replays prepared requests
from core 1, the server is stopped with SIGTERM, and its files are read by DuckDB: rows and sums must be those
of the requests. CPU is the user and system time of the server process over its whole life less what it had used
when it was ready, so work put off until the shutdown is not free; children are included. Parts:

  cases     each protocol and payload in a closed loop: CPU, throughput, bytes stored, memory
  latency   time to the durable answer at 50, 90 and 150 % of what is taken for long in a closed loop, flushes
            included; requests are sent when they are due, and latency counts from then. At 150 % refused requests
            are counted, not sent again
  queries   the same at 50 %, quiet and while one client asks one query after the other on the same core, in turn
  memory    peak at 100,000 logs a second; idle; start to listening
  recovery  a server with 1 GiB of log and no file is killed; how long until the next one is ready
  cores     two threads on two cores against one on one
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import sys
import threading
import time
import urllib.request

from servers import (
    CASES,
    PASSES,
    ROOT,
    Payload,
    Server,
    commit,
    core_share,
    core_speed,
    machine,
    memory_bytes,
    passes_of,
    process_cpu_s,
    replay,
    scratch,
    times,
    verify,
    write_tables,
)

MODEL = "logs-model:grpc:identity"


# --- cases ---


def run_case(options, case, rate=0):
    name, protocol, _ = case.split(":")
    payload, passes = Payload(options, name, protocol == "http-json"), passes_of(case)
    with scratch(options) as text:
        folder = pathlib.Path(text)
        server = Server(options, folder)
        load = replay(options, case, server.port, passes, rate)
        cpu_s, peak = server.stop()
        file_bytes, files = verify(case, folder / "data", name, times(payload, passes))
    records = payload.records * passes
    return {
        "case": case,
        "records": records,
        "cpu_ns_a_record": cpu_s * 1e9 / records,
        "cpu_us_a_request": cpu_s * 1e6 / load["requests"],
        "records_per_s": records / load["seconds"],
        "requests_per_s": load["requests_per_s"],
        "stored_bytes_a_record": file_bytes / records,
        "files": files,
        "peak_mib": peak / 2**20,
        "refused": load["refused"],
        "p50_ms": load["p50_ms"],
        "p99_ms": load["p99_ms"],
        "p999_ms": load["p999_ms"],
        "request_mb_per_s_of_cpu": load["body_bytes"] / 1e6 / cpu_s if cpu_s else 0,
    }


def median_case(options, case):
    runs = []
    for _ in range(options.runs):
        core = core_speed()
        runs.append(run_case(options, case, options.rate) | {"core_gb_per_s": core, "core_share": core_share(core)})
    median = sorted(runs, key=lambda r: r["cpu_ns_a_record"])[len(runs) // 2]
    return median | {"best_cpu_ns_a_record": min(r["cpu_ns_a_record"] for r in runs), "runs": len(runs)}


def run_cases(options):
    print(
        f"{'case':34} {'CPU ns/rec':>10} {'best':>7} {'core':>5} {'µs/req':>7} {'krec/s':>8} {'MB/s':>6} {'B/rec':>7} "
        f"{'files':>5} {'peak MiB':>8} "
        f"{'p50 ms':>7} {'p99 ms':>7} {'refused':>7}"
    )
    results = []
    for case in options.cases or CASES:
        r = median_case(options, case)
        results.append(r)
        print(
            f"{case:34} {r['cpu_ns_a_record']:10.0f} {r['best_cpu_ns_a_record']:7.0f} {r['core_share']:5.0%} "
            f"{r['cpu_us_a_request']:7.1f} "
            f"{r['records_per_s'] / 1e3:8.0f} {r['request_mb_per_s_of_cpu']:6.0f} {r['stored_bytes_a_record']:7.1f} "
            f"{r['files']:5d} "
            f"{r['peak_mib']:8.1f} {r['p50_ms']:7.2f} {r['p99_ms']:7.2f} {r['refused']:7d}",
            flush=True,
        )
    return results


# --- latency ---


def sustained(options):
    """Requests a second of a server on one core in a closed loop, without what it takes in ahead of its flushes: the
    rate of the second half of at least options.seconds of them."""
    payload, passes = Payload(options, "logs-model"), PASSES["logs-model"]
    while True:
        with scratch(options) as text:
            folder = pathlib.Path(text)
            server = Server(options, folder)
            load = replay(options, MODEL, server.port, passes, connections=(8, 4))
            server.stop()
            verify("sustained", folder / "data", "logs-model", times(payload, passes))
        if load["seconds"] >= 0.8 * options.seconds:
            return load["half_per_s"]
        passes = round(passes * 1.1 * options.seconds / load["seconds"])


def capacity(options):
    """The median of three runs."""
    if not hasattr(options, "capacity"):
        options.capacity = statistics.median(sustained(options) for _ in range(3))
    return options.capacity


QUERIES = [
    "SELECT count(*) FROM logs",
    "SELECT ServiceName, SeverityText, count(*) FROM logs GROUP BY ALL ORDER BY ALL",
    "SELECT LogAttributes['http.route'] AS route, count(*) AS n FROM logs GROUP BY route ORDER BY n DESC LIMIT 10",
    "SELECT max(Timestamp), count(*) FROM logs WHERE Body LIKE '%expired%'",
]


def ask_until(server, stop, taken):
    """One query after the other; one that fails ends the run."""
    number = 0
    while not stop.is_set():
        begin, query = time.monotonic(), QUERIES[number % len(QUERIES)]
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/api/v1/sql",
            data=query.encode(),
            headers={"Content-Type": "application/sql", "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
        except OSError as failure:
            taken.append(failure)
            return
        taken.append(time.monotonic() - begin)
        number += 1


def open_loop(options, share, seconds, queries=False, retry=1000):
    """Requests at a share of the capacity, 64 connections; verifies all that was acknowledged."""
    payload, rate = Payload(options, "logs-model"), capacity(options) * share
    per_request = payload.records / payload.requests
    passes = max(1, round(rate * seconds / payload.requests))
    with scratch(options) as text:
        folder, taken, stop = pathlib.Path(text), [], threading.Event()
        server = Server(options, folder)
        asker = threading.Thread(target=ask_until, args=(server, stop, taken))
        if queries:
            os.sched_setaffinity(0, {1})
            asker.start()
        refused = folder / "refused"
        load = replay(options, MODEL, server.port, passes, rate, (64, 8), retry=retry, refused=refused)
        stop.set()
        if queries:
            asker.join()
            os.sched_setaffinity(0, range(os.cpu_count()))
        server.stop()
        numbers = [int(line) for line in refused.read_text().split()] if not retry else []
        verify(f"open loop {share:.0%}", folder / "data", "logs-model", payload.without(passes, numbers))
    wrong = [t for t in taken if isinstance(t, Exception)]
    if queries and (wrong or not taken):
        sys.exit(f"a query failed: {wrong or 'none was answered'}")
    return {
        "share": share,
        "requests_per_s": rate,
        "records_per_s": rate * per_request,
        "requests": load["requests"],
        "taken_records_per_s": (passes * payload.requests - len(numbers)) / load["seconds"] * per_request,
        "refused": load["refused"],
        "p50_ms": load["p50_ms"],
        "p99_ms": load["p99_ms"],
        "p999_ms": load["p999_ms"],
        "max_ms": load["max_ms"],
        "sent_p99_ms": load["sent_p99_ms"],
        "queries": len(taken),
        "query_median_ms": statistics.median(taken) * 1e3 if taken else None,
    }


def show_latency(results):
    print(
        f"{'offered':>8} {'krec/s':>7} {'taken':>7} {'p50 ms':>8} {'p99 ms':>8} {'p99.9 ms':>8} {'from sent':>9} "
        f"{'refused':>8} {'queries':>8} "
        f"{'median ms':>9}"
    )
    for r in results:
        print(
            f"{r['share']:8.0%} {r['records_per_s'] / 1e3:7.0f} {r['taken_records_per_s'] / 1e3:7.0f} "
            f"{r['p50_ms']:8.2f} {r['p99_ms']:8.2f} {r['p999_ms']:8.2f} {r['sent_p99_ms']:9.2f} "
            f"{r['refused'] / r['requests']:8.1%} {r['queries']:8d} {r['query_median_ms'] or 0:9.1f}",
            flush=True,
        )
    return results


def run_latency(options):
    shares = (0.5, 0.9, 1.5)
    return show_latency([open_loop(options, share, options.seconds, retry=1000 * (share < 1)) for share in shares])


QUERY_PAIRS = 7


def run_queries(options):
    """Quiet and with queries in turn, in short windows and both orders: what others do on the machine falls on both. By
    p99: the middle window of each kind, and the median of the pairs' ratios. All windows are printed and kept."""
    seconds, pairs = max(4, options.seconds / 3), []
    for number in range(QUERY_PAIRS):
        order = (False, True) if number % 2 == 0 else (True, False)
        windows = {asked: open_loop(options, 0.5, seconds, queries=asked) for asked in order}
        pairs.append(show_latency([windows[False], windows[True]]))
    quiet, asked = (sorted(of, key=lambda r: r["p99_ms"])[QUERY_PAIRS // 2] for of in zip(*pairs))
    ratios = sorted(asked["p99_ms"] / quiet["p99_ms"] for quiet, asked in pairs)
    result = {
        "quiet": quiet,
        "with_queries": asked,
        "p99_ratio": statistics.median(ratios),
        "p99_ratios": ratios,
        "p99_ms_windows": [[r["p99_ms"] for r in of] for of in zip(*pairs)],
    }
    print(
        f"p99 {quiet['p99_ms']:.2f} ms, with queries {asked['p99_ms']:.2f}; of pairs {result['p99_ratio']:.2f} x quiet "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    return result


# --- memory and start ---


def run_memory(options):
    payload, rate = Payload(options, "logs-model"), 100_000
    requests_per_s = rate * payload.requests / payload.records
    passes = max(1, round(1.5 * options.seconds * requests_per_s / payload.requests))
    starts = []
    for _ in range(9):
        with scratch(options) as text:
            server = Server(options, pathlib.Path(text))
            time.sleep(0.5)
            starts.append(
                (server.listen_s * 1e3, server.ready_s * 1e3, memory_bytes(server.process.pid, "VmRSS") / 2**20)
            )
            server.stop()
    with scratch(options) as text:
        folder = pathlib.Path(text)
        server = Server(options, folder)
        load = replay(options, MODEL, server.port, passes, requests_per_s, (64, 8))
        cpu_s, peak = server.stop()
        verify("100,000 logs a second", folder / "data", "logs-model", times(payload, passes))
    listen, ready, idle = (statistics.median(of) for of in zip(*starts))
    result = {
        "logs_per_s": load["requests_per_s"] * payload.records / payload.requests,
        "seconds": load["seconds"],
        "peak_mib": peak / 2**20,
        "cpu_share_of_a_core": cpu_s / load["seconds"],
        "p99_ms": load["p99_ms"],
        "refused": load["refused"],
        "idle_mib": idle,
        "listening_ms": listen,
        "ready_ms": ready,
    }
    print(
        f"{result['logs_per_s']:.0f} logs/s for {load['seconds']:.0f} s: peak {result['peak_mib']:.1f} MiB, "
        f"{result['cpu_share_of_a_core']:.1%} of a "
        f"core, p99 {load['p99_ms']:.1f} ms\nidle {idle:.1f} MiB; listening after {listen:.1f} ms, ready after "
        f"{ready:.1f} ms",
        flush=True,
    )
    return result


# --- recovery ---


def log_bytes(data):
    return sum(f.stat().st_size for f in data.rglob("*") if f.is_file() and f.suffix != ".parquet")


def run_recovery(options):
    """The first server keeps everything in memory and log (limits beyond the load); kill -9; the second one has "
    "the default limits."""
    payload, size = Payload(options, "logs-model"), 2**30 if not options.quick else 2**27
    passes = max(1, round(size / payload.sums["bytes"]))
    with scratch(options) as text:
        folder = pathlib.Path(text)
        limits = [
            "--memory-limit",
            "12GiB",
            "--flush-bytes",
            "11GiB",
            "--flush-rows",
            "10000000",
            "--flush-interval",
            "1h",
        ]
        server = Server(options, folder, limits, "0,1")
        replay(options, MODEL, server.port, passes, cores="0,1")
        server.process.kill()
        server.process.wait()
        if any((folder / "data").rglob("*.parquet")):
            sys.exit("recovery: the first server wrote files")
        log = log_bytes(folder / "data")
        server = Server(options, folder, cores="0,1")
        ready_s, cpu_s = server.ready_s, process_cpu_s(server.process.pid)
        _, peak = server.stop()
        verify("recovery", folder / "data", "logs-model", times(payload, passes))
    result = {
        "log_bytes": log,
        "records": payload.records * passes,
        "ready_s": ready_s,
        "listening_ms": server.listen_s * 1e3,
        "s_a_gib": ready_s / log * 2**30,
        "cpu_s": cpu_s,
        "peak_mib": peak / 2**20,
    }
    print(
        f"{log / 2**20:.0f} MiB of log, {result['records']} records: ready after {ready_s:.2f} s "
        f"({result['s_a_gib']:.2f} s a GiB), "
        f"{cpu_s:.2f} s of CPU, peak {result['peak_mib']:.0f} MiB",
        flush=True,
    )
    return result


# --- two cores ---


def saturated(options, threads):
    """One thread: server on core 0, sender on core 1. Two: both on both cores, so the sender takes its part of them."""
    payload, passes = Payload(options, "logs-model"), 2 * PASSES["logs-model"]
    cores = ("0", "1") if threads == 1 else ("0,1", "0,1")
    connections = (8 * threads, 4)  # as many requests under way for each thread
    with scratch(options) as text:
        folder = pathlib.Path(text)
        server = Server(options, folder, ["--threads", str(threads)], cores[0])
        load = replay(options, MODEL, server.port, passes, connections=connections, cores=cores[1])
        cpu_s, _ = server.stop()
        verify(f"{threads} threads", folder / "data", "logs-model", times(payload, passes))
    records = payload.records * passes
    left = load["seconds"] if threads == 1 else 2 * load["seconds"] - load["sender_cpu_s"]
    return {
        "records_per_s": records / load["seconds"],
        "records_per_core_s": records / left,
        "cpu_ns_a_record": cpu_s * 1e9 / records,
        "sender_cores": load["sender_cpu_s"] / load["seconds"],
    }


def run_cores(options):
    rounds = [(saturated(options, 1), saturated(options, 2)) for _ in range(max(1, options.runs))]
    one, two = (sorted(of, key=lambda r: r["records_per_core_s"])[len(rounds) // 2] for of in zip(*rounds))
    result = {
        "one": one,
        "two": two,
        "times": 2 * two["records_per_core_s"] / one["records_per_core_s"],
        "cpu_ratio": two["cpu_ns_a_record"] / one["cpu_ns_a_record"],
    }
    for name, r in (("1 thread", one), ("2 threads", two)):
        print(
            f"{name}: {r['records_per_s'] / 1e3:.0f} krec/s, {r['cpu_ns_a_record']:.0f} ns CPU a record, sender "
            f"{r['sender_cores']:.2f} cores"
        )
    print(f"two cores against one, the sender's part taken out: {result['times']:.2f}", flush=True)
    return result


# --- the document ---

GOALS = {  # CPU ns a record
    "logs-model:grpc:identity": 600,
    "logs-model:grpc:gzip": 1000,
    "logs-model:grpc:zstd": 750,
    "logs-wide:grpc:identity": 7000,
    "spans-model:grpc:identity": 1600,
    "points-model:grpc:identity": 500,
    "logs-small:grpc:identity": 12000,
    "logs-small:http:identity": 10000,
}
STORED_GOALS = {
    "logs-model:grpc:identity": 66,
    "spans-model:grpc:identity": 118,
    "points-model:grpc:identity": 5,
    "logs-wide:grpc:identity": 650,
}


def markdown_cases(results):
    yield (
        "| case | CPU ns a record (best) | core | goal | records/s (k) | MB/s of requests a core "
        "| stored B a record | goal | peak MiB | p50, p99 ms |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for r in results:
        goal, stored = GOALS.get(r["case"]), STORED_GOALS.get(r["case"], "")
        yield (
            f"| {r['case'].replace(':', ', ')} | {r['cpu_ns_a_record']:,.0f} ({r['best_cpu_ns_a_record']:,.0f}) | "
            f"{r['core_share']:.0%} | {f'{goal:,}' if goal else ''} | "
            f"{r['records_per_s'] / 1e3:,.0f} | {r['request_mb_per_s_of_cpu']:,.0f} | "
            f"{r['stored_bytes_a_record']:.1f} | {stored} | "
            f"{r['peak_mib']:.0f} | {r['p50_ms']:.1f}, {r['p99_ms']:.1f} |"
        )


def markdown_latency(results):
    yield (
        "| offered load | logs/s (k) | taken, logs/s (k) | p50 ms | p99 ms | p99.9 ms | p99 from sending, ms "
        "| refused requests |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for r in results:
        yield (
            f"| {r['share']:.0%} | {r['records_per_s'] / 1e3:,.0f} | {r['taken_records_per_s'] / 1e3:,.0f} | "
            f"{r['p50_ms']:.2f} | {r['p99_ms']:.2f} | {r['p999_ms']:.2f} | {r['sent_p99_ms']:.2f} | "
            f"{r['refused'] / r['requests']:.1%} |"
        )


def markdown_rest(document):
    yield "| what | measured | goal |"
    yield "|---|---|---|"
    for r in document.get("cases", []):
        if r["case"].split(":")[1] == "http-json":
            yield f"| OTLP/HTTP JSON | {r['request_mb_per_s_of_cpu']:,.0f} MB/s of JSON a core | 400 |"
    if "memory" in document:
        m = document["memory"]
        yield (
            f"| peak memory at {m['logs_per_s'] / 1e3:,.0f},000 logs/s for {m['seconds']:.0f} s "
            f"| {m['peak_mib']:.1f} MiB | 32 |"
        )
        yield f"| CPU of it | {m['cpu_share_of_a_core']:.1%} of a core | |"
        yield f"| idle memory | {m['idle_mib']:.1f} MiB | 6 |"
        yield f"| start to listening; to ready | {m['listening_ms']:.1f} ms; {m['ready_ms']:.1f} ms | 10 ms |"
    if "recovery" in document:
        r = document["recovery"]
        yield (
            f"| {r['log_bytes'] / 2**20:,.0f} MiB of log to ready "
            f"| {r['ready_s']:.2f} s, peak {r['peak_mib']:.0f} MiB | 3 s |"
        )
    if "cores" in document:
        c = document["cores"]
        yield (
            f"| two cores against one, sender's part taken out | {c['times']:.2f}x; CPU a record "
            f"{c['one']['cpu_ns_a_record']:,.0f} and "
            f"{c['two']['cpu_ns_a_record']:,.0f} ns: {2 / c['cpu_ratio']:.2f}x were no time lost in waiting | 1.85x |"
        )
    if "queries" in document:
        q = document["queries"]
        yield (
            f"| p99 of the answer at 50 % load, quiet; with queries all the time | {q['quiet']['p99_ms']:.2f} ms; "
            f"{q['with_queries']['p99_ms']:.2f} "
            f"ms ({q['p99_ratio']:.2f}x, of pairs {q['p99_ratios'][0]:.2f} to {q['p99_ratios'][-1]:.2f}), "
            f"{q['with_queries']['queries']} queries, median "
            f"{q['with_queries']['query_median_ms']:.0f} ms | 2x |"
        )


def markdown(document):
    at = document["machine"]
    lines = [
        f"Commit {document['commit']}, {document['when'][:16]}Z, {at['cpu']}, {at['cores']} cores, kernel "
        f"{at['kernel']}, 1-minute load at the "
        f"start {at['load_1m']:.1f}, `otolith serve {document['serve']}`, payloads of scale {document['scale']}, "
        f"median of {document['runs']}.",
        "",
    ]
    if "cases" in document:
        lines += [*markdown_cases(document["cases"]), ""]
    if "latency" in document:
        lines += [*markdown_latency(document["latency"]), ""]
    lines += markdown_rest(document)
    return "\n".join(lines) + "\n"


PARTS = {
    "cases": run_cases,
    "latency": run_latency,
    "queries": run_queries,
    "memory": run_memory,
    "recovery": run_recovery,
    "cores": run_cores,
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument(
        "--payloads", type=pathlib.Path, default=None, help="folder of make_payloads.py's output; made when missing"
    )
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0, help="cases: requests a second (open loop); 0: closed loop")
    parser.add_argument("--seconds", type=float, default=8, help="of each open loop")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    parser.add_argument(
        "--markdown", type=pathlib.Path, help="write them as tables here: docs/BENCHMARKS.md keeps its text around them"
    )
    parser.add_argument("--serve", default="--threads 1", help="arguments for otolith serve")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=None, help="default: all; with cases named: cases")
    parser.add_argument(
        "--quick", action="store_true", help="one run, two seconds, an eighth of the log: to try it out"
    )
    parser.add_argument("cases", nargs="*", help=f"default: {' '.join(CASES)}")
    options = parser.parse_args()
    options.build = options.build.resolve()
    if options.quick:
        options.runs, options.seconds = 1, 2
    return options


def main():
    options = arguments()
    document = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "commit": commit(),
        "machine": machine(),
        "runs": options.runs,
        "method": "server on core 0, otlp_load on core 1; CPU of the server process and its children after ready "
        "until exit; rows and "
        "sums of the files equal those of the requests",
        "scale": options.scale,
        "serve": options.serve,
        "rate": options.rate,
    }
    if shutil.disk_usage(options.build).free < 4 * 2**30:
        sys.exit("less than 4 GiB of disk are free: the log to recover from alone takes one")
    for part in options.parts or (["cases"] if options.cases else PARTS):
        print(f"--- {part}", flush=True)
        document[part] = PARTS[part](options)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")
        if options.markdown:
            write_tables(options.markdown, "bench", markdown(document))


if __name__ == "__main__":
    main()
