#!/usr/bin/env python3
"""`make bench-peers`: the same requests into Otolith and into the OpenTelemetry Collector, in turn, in one sitting.

Nanoseconds of one machine and hour say little about another; the ratio of two servers that took the same bytes from the same
sender in the same minutes does. Ours is run and its rows are verified as by `make bench`. The Collector (tools/judges/otelcol, GOMAXPROCS=1,
no batching, its own telemetry off) stands on the same core:

  collector-nop   decodes each request and drops it; it answers from memory
  collector-file  writes each request to one file (protobuf, zstd), buffered; it answers after the write into its buffer,
                  before anything is durable, and keeps no order, columns or indexes

CPU is user and system time from ready to exit; the memory is the peak of resident memory.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import run

CASES = ["logs-model:grpc:identity", "logs-model:grpc:gzip", "logs-model:grpc:zstd", "logs-model:http:identity", "logs-wide:grpc:identity",
         "spans-model:grpc:identity", "points-model:grpc:identity", "logs-small:grpc:identity", "logs-small:http:identity"]
ACKED = {"otolith": "after fdatasync", "collector-nop": "from memory", "collector-file": "before durable"}
CONFIG = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}, http: {{endpoint: "127.0.0.1:{http}"}}}}}}}}
exporters: {{nop: {{}}, file: {{path: "{file}", format: proto, compression: zstd}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines: {{{signal}: {{receivers: [otlp], exporters: [{exporter}]}}}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, log):
    for _ in range(2000):
        if process.poll() is not None:
            sys.exit(f"the Collector ended:\n{log.read_text()}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    sys.exit(f"the Collector does not listen:\n{log.read_text()}")


def run_collector(build, otelcol, peer, payloads, manifest, case):
    name, protocol, _ = case.split(":")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="peer-", dir=build))
    ports = {"grpc": free_port(), "http": free_port()}
    log = folder / "log"
    exporter = peer.removeprefix("collector-")
    (folder / "config.yaml").write_text(CONFIG.format(**ports, file=folder / "data", signal=run.SETS[name][0], exporter=exporter))
    process = subprocess.Popen(["taskset", "-c", "0", otelcol, "--config", str(folder / "config.yaml")], stdout=open(log, "wb"),
                               stderr=subprocess.STDOUT, env={**os.environ, "GOMAXPROCS": "1"})
    port = ports[protocol.split("-")[0]]
    wait_for(port, process, log)
    before = run.process_cpu_s(process.pid)
    load = run.replay(build, payloads, case, port)
    status, usage, peak = run.end(process)
    if status or load["failed"] or load["requests"] != manifest[name]["requests"]:
        sys.exit(f"{peer}, {case}: status {status}, {load}\n{log.read_text()[-2000:]}")
    stored = os.path.getsize(folder / "data") if (folder / "data").exists() else 0
    shutil.rmtree(folder)
    records = manifest[name]["records"]
    return {"cpu_ns_a_record": (usage.ru_utime + usage.ru_stime - before) * 1e9 / records, "peak_mib": peak / 2**20,
            "stored_bytes_a_record": stored / records}


def summary(runs):
    times = [r["cpu_ns_a_record"] for r in runs]
    return {"cpu_ns_a_record": statistics.median(times), "best_cpu_ns_a_record": min(times), "peak_mib": max(r["peak_mib"] for r in runs),
            "stored_bytes_a_record": statistics.median(r["stored_bytes_a_record"] for r in runs), "runs": len(runs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=run.ROOT / "build")
    parser.add_argument("--payloads", type=pathlib.Path, default=None, help="folder of make_payloads.py's output; made when missing")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=["collector-nop", "collector-file"])
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    parser.add_argument("cases", nargs="*", help=f"default: {' '.join(CASES)}")
    options = parser.parse_args()
    otelcol = subprocess.run([run.ROOT / "tools/judges/otelcol"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    results = []
    print(f"{'case':28} {'server':15} {'CPU ns/rec':>10} {'best':>7} {'x nop':>6} {'B/rec':>7} {'peak MiB':>8}  acknowledged", flush=True)
    for case in options.cases or CASES:
        payloads, manifest = run.make_payloads(options, case)
        runs = {server: [] for server in ["otolith", *options.peers]}
        for _ in range(options.runs):  # in turn, so that a slow minute meets all of them
            runs["otolith"].append(run.run_case(options.build, payloads, manifest, case, ["--threads", "1"], 0))
            for peer in options.peers:
                runs[peer].append(run_collector(options.build, otelcol, peer, payloads, manifest, case))
        table = {server: summary(of) for server, of in runs.items()}
        results.append({"case": case, "servers": table})
        base = table.get("collector-nop", {}).get("cpu_ns_a_record")
        for server, s in table.items():
            ratio = f"{s['cpu_ns_a_record'] / base:6.2f}" if base else f"{'-':>6}"
            print(f"{case:28} {server:15} {s['cpu_ns_a_record']:10.0f} {s['best_cpu_ns_a_record']:7.0f} {ratio} {s['stored_bytes_a_record']:7.1f} "
                  f"{s['peak_mib']:8.1f}  {ACKED[server]}", flush=True)
    if options.json:
        when = datetime.datetime.now(datetime.timezone.utc).isoformat()
        options.json.write_text(json.dumps({"when": when, "machine": run.machine(), "scale": options.scale, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
