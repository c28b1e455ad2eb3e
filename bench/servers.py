"""What run.py, peers.py and sizes.py share: cases, requests, a server on one core, the sender on the other, and what was stored."""

import hashlib
import json
import math
import os
import pathlib
import platform
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections import Counter

import duckdb

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench/e2e"))
SETS = {  # set: signal, folders of its tables
    "logs-model": ("logs", ["logs"]),
    "logs-wide": ("logs", ["logs"]),
    "logs-small": ("logs", ["logs"]),
    "spans-model": ("traces", ["traces"]),
    "points-model": ("metrics", ["metrics/gauge", "metrics/sum"]),
    "histograms-model": ("metrics", ["metrics/histogram", "metrics/exponential_histogram"]),
}
# How often a set is sent in a closed loop. A further pass differs from the first in a field that no reader knows. Only
# sets that are larger than what a flush takes at once are sent again: no file has the same row twice, sizes stay true.
# A million logs, half a million spans, two million points: as many as others' figures are of.
PASSES = {"logs-model": 5, "spans-model": 5, "points-model": 5}
# Each way in, set:protocol:compression; True: also into the peers.
CASES = {
    "logs-model:grpc:identity": True,
    "logs-model:grpc:gzip": True,
    "logs-model:grpc:zstd": True,
    "logs-model:http:identity": True,
    "logs-model:http:gzip": False,
    "logs-model:http-json:identity": True,
    "logs-wide:grpc:identity": True,
    "logs-small:grpc:identity": True,
    "logs-small:http:identity": True,
    "spans-model:grpc:identity": True,
    "spans-model:grpc:gzip": False,
    "points-model:grpc:identity": True,
    "points-model:grpc:gzip": False,
    "histograms-model:grpc:identity": False,
}
PEER_CASES = [case for case, into_peers in CASES.items() if into_peers]
STORED_SETS = ["logs-model", "logs-wide", "spans-model", "points-model"]  # whose rows others store, too


def passes_of(case):
    """OTLP/JSON is rewritten as protobuf before repetitions are told, without fields that no reader knows: one pass."""
    name, protocol, _ = case.split(":")
    return 1 if protocol == "http-json" else PASSES.get(name, 1)


# --- requests ---


class Payload:
    """A set's requests and the sums of what they hold; made on first use."""

    def __init__(self, options, name, json_too=False):
        self.name, self.signal = name, SETS[name][0]
        folder = options.payloads or options.build / "payloads" / f"{name}-{options.scale}{'-json' if json_too else ''}"
        self.frames = folder / (name + (".json.frames" if json_too else ".frames"))
        if not self.frames.exists():
            folder = options.build / "payloads" / f"{name}-{options.scale}{'-json' if json_too else ''}"
            self.frames = folder / self.frames.name
        if not (folder / "manifest.json").exists():
            print(f"making the requests of {name}", file=sys.stderr, flush=True)
            command = [
                sys.executable,
                ROOT / "bench/e2e/make_payloads.py",
                folder,
                "--scale",
                options.scale,
                "--only",
                name,
            ]
            subprocess.run(
                [str(c) for c in command + (["--json"] if json_too else [])], check=True, stdout=subprocess.DEVNULL
            )
        self.sums = json.loads((folder / "manifest.json").read_text())[name]
        self.records, self.requests = self.sums["records"], self.sums["requests"]

    def without(self, passes, refused):
        """The sums of all passes less those of the requests with the numbers in refused."""
        import make_payloads  # pylint: disable=import-outside-toplevel  # needs opentelemetry-proto

        sums = Counter({k: v * passes for k, v in self.sums.items() if isinstance(v, int)})
        wanted = Counter(number % self.requests for number in refused)
        kind = {
            "logs": make_payloads.ExportLogsServiceRequest,
            "traces": make_payloads.ExportTraceServiceRequest,
            "metrics": make_payloads.ExportMetricsServiceRequest,
        }[self.signal]
        with open(self.frames, "rb") as file:
            for number in range(self.requests):
                frame = file.read(struct.unpack(">I", file.read(4))[0])
                if wanted[number]:
                    one = Counter()
                    make_payloads.add_sums(kind.FromString(frame), self.signal, one)
                    sums.subtract({k: v * wanted[number] for k, v in one.items()})
        return sums


# --- processes ---


def process_cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, what="VmHWM"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(what + r":\s+(\d+)", status).group(1)) * 1024


def end(process):
    """Drains and ends a server; returns its status, what it used, and the peak of its memory in bytes. (ru_maxrss
    will not do: it begins with the memory of the process that started it.)"""
    peak = memory_bytes(process.pid)
    process.send_signal(signal.SIGTERM)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = status
            return status, usage, peak
        try:
            peak = max(peak, memory_bytes(process.pid))
        except (AttributeError, OSError):  # it is ending: no memory any more
            pass
        time.sleep(0.002)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """otolith serve on the given cores ("0", "0,1") with a data folder that may be there already."""

    def __init__(self, options, folder, arguments=(), cores="0"):
        self.folder, self.port = folder, free_port()
        self.log = folder / "server.log"
        command = [
            "taskset",
            "-c",
            cores,
            options.build / "otolith",
            "serve",
            "--data",
            folder / "data",
            "--listen",
            f"127.0.0.1:{self.port}",
            *options.serve.split(),
            *arguments,
        ]
        with open(self.log, "ab") as log:
            started = time.monotonic()
            self.process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log)
        while not listens(self.port):
            self.alive()
            time.sleep(0.0002)
        self.listen_s = time.monotonic() - started
        while not self.get("/ready"):
            self.alive()
            time.sleep(0.002)
        self.ready_s = time.monotonic() - started
        self.cpu_before = process_cpu_s(self.process.pid)

    def alive(self):
        if self.process.poll() is not None:
            sys.exit(f"the server ended:\n{self.log.read_text()}")

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
            sys.exit(f"the server ended with status {status}:\n" + self.log.read_text()[-4000:])
        return usage.ru_utime + usage.ru_stime - self.cpu_before, peak


def scratch(options):
    return tempfile.TemporaryDirectory(prefix="bench-", dir=options.build)


def replay(options, case, port, passes=1, rate=0, connections=None, cores="1", **more):
    """Sends a case's requests; returns what otlp_load measured."""
    name, protocol, compression = case.split(":")
    content = "json" if protocol == "http-json" else "protobuf"
    payload = Payload(options, name, content == "json")
    many, in_flight = connections or ((64, 1) if name == "logs-small" else (2, 4) if protocol == "grpc" else (8, 1))
    command = [
        "taskset",
        "-c",
        cores,
        options.build / "bench/otlp_load",
        "--port",
        port,
        "--protocol",
        protocol.split("-")[0],
        "--signal",
        payload.signal,
        "--content",
        content,
        "--compression",
        compression,
        "--frames",
        payload.frames,
        "--connections",
        many,
        "--in-flight",
        in_flight,
        "--repeat",
        passes,
        "--rate",
        rate,
    ]
    for key, value in more.items():
        command += [f"--{key}", value]
    sent = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if sent.returncode:
        sys.exit(f"{case}: {sent.stdout}{sent.stderr}")
    return json.loads(sent.stdout)


# --- what was stored ---

TIME_SUM = "sum(epoch_us({0})::HUGEINT * 1000 + {0}NanoOfMicro) AS time_ns_sum"
STORED = {
    "logs": "SELECT count(*) AS records, sum(SeverityNumber) AS severity_sum, sum(strlen(Body)) AS body_bytes, "
    "sum(cardinality(LogAttributes)) AS attributes, " + TIME_SUM.format("Timestamp") + " FROM {files}",
    "traces": "SELECT count(*) AS records, sum(Duration) AS duration_ns_sum, sum(cardinality(SpanAttributes)) AS "
    "attributes, "
    "sum(len(Events)) AS events, sum(len(Links)) AS links, " + TIME_SUM.format("Timestamp") + " FROM {files}",
    "metrics": "SELECT count(*) AS records, sum(cardinality(Attributes)) AS attributes, "
    + TIME_SUM.format("TimeUnix")
    + " FROM {files}",
}


def verify(what, data, name, expected):
    """Compares rows and sums of a data folder with what was sent; returns the bytes and number of its files. No
    figure is shown of a run that ends here."""
    signal_name, folders = SETS[name]
    files = [str(f) for folder in folders for f in (data / folder).rglob("*.parquet")]
    if not files:
        sys.exit(f"{what}: no files")
    relation = duckdb.sql(STORED[signal_name].format(files=f"read_parquet({files}, union_by_name = true)"))
    row = dict(zip(relation.columns, relation.fetchone()))
    wrong = {key: (value, expected[key]) for key, value in row.items() if key in expected and value != expected[key]}
    if wrong:
        sys.exit(f"{what}: stored rows differ from what was sent (stored, sent): {wrong}")
    return sum(os.path.getsize(f) for f in files), len(files)


def times(payload, passes):
    return {k: v * passes for k, v in payload.sums.items() if isinstance(v, int)}


def store_once(options, name, folder):
    """Sends a set to a server of its own and ends it; returns the data folder, whose rows were compared."""
    server = Server(options, folder)
    replay(options, f"{name}:grpc:identity", server.port)
    server.stop()
    verify(name, folder / "data", name, times(Payload(options, name), 1))
    return folder / "data"


def write_tables(path, name, text):
    """Between the marks of that name where the file has them, else as the whole file."""
    begin, last = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    old = path.read_text() if path.exists() else ""
    if begin in old and last in old:
        text = old.split(begin, 1)[0] + begin + text + last + old.split(last, 1)[1]
    path.write_text(text)


# GB/s a core of the machine by whose figures the goals were set. Neither depends on the data.
GOALS_MACHINE = {"sha256": 1.81, "crc32": 4.3}


def core_speed(core=0, seconds=0.5):
    """GB/s of processor time of one core for two well-known loops of 64 KiB: the median of short rounds, neighbours included."""
    block, rounds = bytes(1 << 16), 40
    work = {"sha256": lambda: hashlib.sha256(block).digest(), "crc32": lambda: zlib.crc32(block)}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    speeds = {name: [] for name in work}
    end = time.monotonic() + seconds
    while time.monotonic() < end or not speeds["crc32"]:
        for name, turn in work.items():
            begin = time.thread_time()
            for _ in range(rounds):
                turn()
            speeds[name].append(rounds * len(block) / (time.thread_time() - begin) / 1e9)
    os.sched_setaffinity(0, cores)
    return {name: statistics.median(values) for name, values in speeds.items()}


def core_share(speed):
    """What a core has of the speed of the goals' machine, by the geometric mean."""
    return math.prod(speed[name] / of for name, of in GOALS_MACHINE.items()) ** (1 / len(GOALS_MACHINE))


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_1m": os.getloadavg()[0],
    }


def commit():
    told = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip()
