#!/usr/bin/env python3
"""`make bench`: the same bytes through the running server, every path, with what was stored checked before a figure is printed.

For each case the server is started on an empty folder and pinned to one core, otlp_load replays the prepared requests from the other core, the
server is stopped with SIGTERM, and its files are read by DuckDB. CPU is the user and system time of the server process over
its whole life less what it had used when it was ready, so work put off until the shutdown is not free; children are included.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import duckdb

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETS = {  # set: signal, folders, manifest sums as SQL over the files
    "logs-model": ("logs", ["logs"]),
    "logs-wide": ("logs", ["logs"]),
    "logs-small": ("logs", ["logs"]),
    "spans-model": ("traces", ["traces"]),
    "points-model": ("metrics", ["metrics/gauge", "metrics/sum"]),
    "histograms-model": ("metrics", ["metrics/histogram", "metrics/exponential_histogram"]),
}
CASES = [
    "logs-model:grpc:identity", "logs-model:grpc:gzip", "logs-model:grpc:zstd", "logs-model:http:identity",
    "logs-model:http:gzip", "logs-model:http-json:identity", "logs-wide:grpc:identity", "logs-small:grpc:identity",
    "logs-small:http:identity", "spans-model:grpc:identity", "spans-model:grpc:gzip", "points-model:grpc:identity",
    "points-model:grpc:gzip", "histograms-model:grpc:identity",
]


def process_cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) * 1024


def end(process):
    """Drains and ends a server; returns its status, what it used, and the peak of its memory in bytes. (ru_maxrss will not do: it begins with the
    memory of the process that started it.)"""
    peak = peak_bytes(process.pid)
    process.send_signal(signal.SIGTERM)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            return status, usage, peak
        try:
            peak = max(peak, peak_bytes(process.pid))
        except (AttributeError, OSError):  # it is ending: no memory any more
            pass
        time.sleep(0.002)


class Server:
    def __init__(self, build, folder, arguments, cores):
        self.folder = folder
        self.log = open(folder / "server.log", "wb")
        command = ["taskset", "-c", cores, build / "otolith", "serve", "--data", folder / "data", "--listen", "127.0.0.1:0", *arguments]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        text = ""
        while "listening on" not in text:
            if self.process.poll() is not None:
                sys.exit(f"the server ended:\n{text}")
            time.sleep(0.002)
            text = (folder / "server.log").read_text()
        self.port = int(re.search(r"listening on \S+:(\d+)", text).group(1))
        while not self.get("/ready"):
            time.sleep(0.005)
        self.start_s = time.monotonic() - self.started
        self.cpu_before = process_cpu_s(self.process.pid)
        self.idle_bytes = peak_bytes(self.process.pid)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.read()
        except OSError:
            return None

    def stop(self):
        """Drains and ends it; returns CPU seconds since it was ready and the peak of its memory."""
        status, usage, peak = end(self.process)
        if status:
            sys.exit(f"the server ended with status {status}:\n" + (self.folder / "server.log").read_text()[-4000:])
        return usage.ru_utime + usage.ru_stime - self.cpu_before, peak


TIME_SUM = "sum(epoch_us({0})::HUGEINT * 1000 + {0}NanoOfMicro) AS time_ns_sum"
STORED = {
    "logs": "SELECT count(*) AS records, sum(SeverityNumber) AS severity_sum, sum(strlen(Body)) AS body_bytes, "
            "sum(cardinality(LogAttributes)) AS attributes, " + TIME_SUM.format("Timestamp") + " FROM {files}",
    "traces": "SELECT count(*) AS records, sum(Duration) AS duration_ns_sum, sum(cardinality(SpanAttributes)) AS attributes, "
              "sum(len(Events)) AS events, sum(len(Links)) AS links, " + TIME_SUM.format("Timestamp") + " FROM {files}",
    "metrics": "SELECT count(*) AS records, sum(cardinality(Attributes)) AS attributes, " + TIME_SUM.format("TimeUnix") + " FROM {files}",
}


def stored(data, signal_name, folders):
    files = [str(f) for folder in folders for f in (data / folder).rglob("*.parquet")]
    if not files:
        return {}, 0, 0
    query = STORED[signal_name].format(files=f"read_parquet({files}, union_by_name = true)")
    relation = duckdb.sql(query)
    row = dict(zip(relation.columns, relation.fetchone()))
    return row, sum(os.path.getsize(f) for f in files), len(files)


def replay(build, payloads, case, port, rate=0):
    """Sends a case's requests from core 1; returns what otlp_load measured."""
    name, protocol, compression = case.split(":")
    content = "json" if protocol == "http-json" else "protobuf"
    connections, in_flight = (64, 1) if name == "logs-small" else (2, 4) if protocol == "grpc" else (8, 1)
    command = ["taskset", "-c", "1", build / "bench/otlp_load", "--port", str(port), "--protocol", protocol.split("-")[0],
               "--signal", SETS[name][0], "--content", content, "--compression", compression,
               "--frames", payloads / (name + (".json.frames" if content == "json" else ".frames")),
               "--connections", str(connections), "--in-flight", str(in_flight)]
    if rate:
        command += ["--rate", str(rate)]
    sent = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if sent.returncode:
        sys.exit(f"{case}: {sent.stdout}{sent.stderr}")
    return json.loads(sent.stdout)


def run_case(build, payloads, manifest, case, arguments, rate):
    name = case.split(":")[0]
    signal_name, folders = SETS[name]
    expected = manifest[name]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    server = Server(build, folder, arguments, "0")
    load = replay(build, payloads, case, server.port, rate)
    cpu_s, peak = server.stop()
    row, file_bytes, files = stored(folder / "data", signal_name, folders)
    wrong = {key: (value, expected[key]) for key, value in row.items() if key in expected and value != expected[key]}
    if wrong or not row:
        sys.exit(f"{case}: stored rows differ from what was sent: {wrong or 'no files'}")
    shutil.rmtree(folder)
    records = expected["records"]
    return {"case": case, "records": records, "cpu_ns_a_record": cpu_s * 1e9 / records, "cpu_us_a_request": cpu_s * 1e6 / load["requests"],
            "records_per_s": records / load["seconds"], "stored_bytes_a_record": file_bytes / records, "files": files,
            "peak_mib": peak / 2**20, "idle_mib": server.idle_bytes / 2**20, "start_ms": server.start_s * 1000,
            "refused": load["refused"], "p50_ms": load["p50_ms"], "p99_ms": load["p99_ms"], "p999_ms": load["p999_ms"],
            "request_mb_per_s_of_cpu": load["body_bytes"] / 1e6 / cpu_s if cpu_s else 0}


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load_1m": os.getloadavg()[0]}


def make_payloads(options, case):
    """The folder with a case's requests and its manifest; made on first use, a set at a time."""
    name, protocol, _ = case.split(":")
    json_too = protocol == "http-json"
    folder = options.payloads or options.build / "payloads" / f"{name}-{options.scale}{'-json' if json_too else ''}"
    if not (folder / "manifest.json").exists():
        print(f"making the requests of {name}", file=sys.stderr, flush=True)
        command = [sys.executable, ROOT / "bench/e2e/make_payloads.py", folder, "--scale", options.scale, "--only", name]
        subprocess.run([str(c) for c in command + (["--json"] if json_too else [])], check=True, stdout=subprocess.DEVNULL)
    return folder, json.loads((folder / "manifest.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--payloads", type=pathlib.Path, default=None, help="folder of make_payloads.py's output; made when missing")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0, help="requests a second (open loop); 0: closed loop")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    parser.add_argument("--serve", default="--threads 1", help="arguments for otolith serve")
    parser.add_argument("cases", nargs="*", help=f"default: {' '.join(CASES)}")
    options = parser.parse_args()
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    print(f"{'case':34} {'CPU ns/rec':>10} {'best':>7} {'µs/req':>7} {'krec/s':>8} {'B/rec':>7} {'files':>5} {'peak MiB':>8} {'p50 ms':>7} {'p99 ms':>7} {'refused':>7}")
    results = []
    for case in options.cases or CASES:
        payloads, manifest = make_payloads(options, case)
        runs = [run_case(options.build, payloads, manifest, case, options.serve.split(), options.rate) for _ in range(options.runs)]
        median = sorted(runs, key=lambda r: r["cpu_ns_a_record"])[len(runs) // 2]
        best = min(r["cpu_ns_a_record"] for r in runs)
        results.append({"median": median, "best_cpu_ns_a_record": best, "runs": len(runs)})
        print(f"{case:34} {median['cpu_ns_a_record']:10.0f} {best:7.0f} {median['cpu_us_a_request']:7.1f} {median['records_per_s'] / 1e3:8.0f} "
              f"{median['stored_bytes_a_record']:7.1f} {median['files']:5d} {median['peak_mib']:8.1f} {median['p50_ms']:7.2f} {median['p99_ms']:7.2f} {median['refused']:7d}",
              flush=True)
    document = {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(), "commit": commit, "machine": machine(),
                "method": "server on core 0, otlp_load on core 1, closed loop unless rate; CPU of the server process and its children after ready "
                          "until exit; rows and sums of the files equal the manifest", "scale": options.scale, "serve": options.serve,
                "rate": options.rate, "results": results}
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
