#!/usr/bin/env python3
"""`make bench-instructions`: how many instructions the parts of Otolith take, and whether that changed.

Every case of the programs beside this file runs once under callgrind, on inputs made by seed; so does the whole
server with a client that waits for each answer. The kernel is not counted. The same program, libraries and
inputs give the same counts on every machine, so they are kept in instructions.tsv, and a case that differs from
there by more than 2 % (where threads meet: 4 %) fails: slower is a regression, faster a gain that a later
change must not lose unseen. Both are accepted by

    make bench-instructions ARGS=--accept      then commit bench/instructions.tsv with the change that caused it

What the counts depend on beside our code (compiler, libraries, valgrind, instruction set) stands on top of the
record. Where it is another, the counts are printed, nothing can be compared, and that is said.
"""
import argparse
import concurrent.futures
import hashlib
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "bench/instructions.tsv"
TOLERANCE = {"server": 0.04, "wal": 0.04}  # of a program whose threads do not meet at the same instruction each time
PACKAGES = [
    "gcc-12",
    "libc6",
    "libdeflate0",
    "liblz4-1",
    "libnghttp2-14",
    "libsnappy1v5",
    "libzstd1",
    "valgrind",
    "zlib1g",
]
PAYLOADS = {
    "logs-model": 20480,
    "logs-wide": 2048,
    "logs-small": 2048,
    "spans-model": 8192,
    "points-model": 20000,
    "histograms-model": 3200,
}
JSON_TOO = ["logs-model", "spans-model", "points-model"]
SIGNALS = {"logs": "logs", "spans": "traces", "points": "metrics", "histograms": "metrics"}


def signal_of(name):
    return SIGNALS[name.split("-")[0]]


# --- what is run ---


def jobs():
    """(name, program, arguments with {payloads}); the longest first."""
    for name in PAYLOADS:
        if name != "logs-small":
            yield f"parquet/{name}", "bench_parquet", [signal_of(name), f"{{payloads}}/{name}.frames", "0"]
    for name in JSON_TOO:
        yield f"json/{name}", "bench_otlp_json", [signal_of(name), f"{{payloads}}/{name}.json.frames", "0"]
    for name in PAYLOADS:
        yield f"decode/{name}", "bench_otlp_decode", [signal_of(name), f"{{payloads}}/{name}.frames", "0"]
    for name in ("columns", "compress", "encodings", "codec", "connection", "wal"):
        yield name, f"bench_{name}", ["--count"]


# (name, requests of the shorter and of the longer run, arguments of otlp_load, items a request)
SERVER = [
    ("server/logs-small grpc", "logs-small", 256, 2048, ["--protocol", "grpc"], 1),
    ("server/logs-small http", "logs-small", 256, 2048, ["--protocol", "http"], 1),
    ("server/logs-model grpc", "logs-model", 8, 40, ["--protocol", "grpc"], 512),
]


def callgrind(out, command, folder, **more):
    # The environment is part of the stack, and the stack's place part of what copies cost.
    return subprocess.Popen(
        ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", *map(str, command)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "GLIBC_TUNABLES": ""},
        **more,
    )


def total(path):
    return int(re.search(r"^totals: (\d+)", path.read_text(), re.M).group(1))


def run_job(build, payloads, job):
    """{case: instructions an item} of one program."""
    name, program, arguments = job
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        command = [
            "--toggle-collect=bench_measured",
            "--dump-before=bench_case_done",
            build / "bench" / program,
            *[a.format(payloads=payloads) for a in arguments],
        ]
        process = callgrind(out, command, folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        text, errors = process.communicate(timeout=900)
        if process.returncode:
            sys.exit(f"{name}: {program} ended with {process.returncode}\n{text}{errors}")
        cases = [line for line in map(json.loads, text.splitlines()) if "case" in line and "items" in line]
        dumps = sorted(pathlib.Path(folder).glob("out.*"), key=lambda p: int(p.suffix[1:]))
        return {f"{name}/{case['case']}": total(dump) / case["items"] for case, dump in zip(cases, dumps, strict=False)}


def run_server(build, payloads, name, requests, arguments):
    """Instructions of a server's whole life with so many requests, one after the other."""
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        log = folder / "log"
        with open(log, "wb") as output:
            process = callgrind(
                folder / "out",
                [build / "otolith", "serve", "--data", folder / "data", "--listen", "127.0.0.1:0", "--threads", "1"],
                folder,
                stdout=output,
                stderr=output,
            )
        for _ in range(600):
            found = re.search(r"listening on \S+:(\d+)", log.read_text())
            if found or process.poll() is not None:
                break
            time.sleep(0.1)
        if not found:
            process.kill()
            sys.exit(f"the server did not start under valgrind:\n{log.read_text()}")
        while True:  # few questions: each costs instructions
            time.sleep(1)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{found.group(1)}/ready", timeout=60).close()
                break
            except OSError:
                pass
        sent = subprocess.run(
            [
                build / "bench/otlp_load",
                "--port",
                found.group(1),
                "--frames",
                payloads / f"{name}.frames",
                "--signal",
                signal_of(name),
                "--connections",
                "1",
                "--in-flight",
                "1",
                "--requests",
                str(requests),
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        process.send_signal(signal.SIGTERM)
        if process.wait(300) or sent.returncode:
            sys.exit(f"{name}: the server under valgrind failed:\n{log.read_text()}{sent.stdout}{sent.stderr}")
        return sum(total(path) for path in folder.glob("out*"))


def run_server_case(build, payloads, case):
    name, payload, few, many, arguments, items = case
    counts = [run_server(build, payloads, payload, requests, arguments) for requests in (few, many)]
    return {name: (counts[1] - counts[0]) / ((many - few) * items)}


# --- what it depends on ---


def make_payloads(build):
    generator = ROOT / "bench/e2e/make_payloads.py"
    key = hashlib.sha256(generator.read_bytes() + json.dumps(PAYLOADS).encode()).hexdigest()[:12]
    folder = build / f"bench-payloads-{key}"
    if not (folder / "complete").exists():
        print("making the requests", file=sys.stderr, flush=True)
        for name, records in PAYLOADS.items():
            subprocess.run(
                [sys.executable, generator, folder, "--records", str(records), "--only", name]
                + (["--json"] if name in JSON_TOO else []),
                check=True,
                stdout=subprocess.DEVNULL,
            )
        (folder / "complete").touch()
    return folder


def packages():
    if not shutil.which("dpkg-query"):
        return {}
    text = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}\t${Version}\n", *PACKAGES], capture_output=True, text=True, check=False
    )
    return dict(line.split("\t") for line in text.stdout.splitlines())


def environment(build, payloads):
    """What a count depends on beside our code."""
    cache = dict(re.findall(r"^(\w+):\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M))
    flags = pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    manifest = json.loads((payloads / "manifest.json").read_text())
    compiler = subprocess.run(
        [cache["CMAKE_C_COMPILER"], "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    compiler = compiler.removeprefix("cc ").removeprefix("gcc ")
    return {
        "machine": platform.machine() + "".join(f" {f}" for f in ("avx2", "bmi2", "f16c", "fma") if f in flags),
        "compiler": compiler,
        "build": " ".join([cache.get("CMAKE_BUILD_TYPE") or "RelWithDebInfo", cache.get("CMAKE_C_FLAGS", "")]).strip(),
        "payloads": hashlib.sha256("".join(sorted(m["sha256"] for m in manifest.values())).encode()).hexdigest()[:16],
        **{f"package {name}": version for name, version in sorted(packages().items())},
    }


# --- the record ---


def read_record():
    found, counts = {}, {}
    for line in RECORD.read_text().splitlines() if RECORD.exists() else []:
        if line.startswith("# "):
            key, _, value = line[2:].partition("\t")
            if value:
                found[key] = value
        elif line and not line.startswith("#"):
            case, count = line.split("\t")
            counts[case] = float(count)
    return found, counts


def write_record(found, counts):
    lines = ["# Instructions an item by callgrind; written by `make bench-instructions ARGS=--accept`. They depend on:"]
    lines += [f"# {key}\t{value}" for key, value in found.items()]
    lines += [f"{case}\t{count:.6g}" for case, count in sorted(counts.items())]
    RECORD.write_text("\n".join(lines) + "\n")


def compare(before, now):
    """(case, before, now, change, verdict) for every case of either."""
    for case in sorted({*before, *now}):
        old, new = before.get(case), now.get(case)
        change = new / old - 1 if old and new is not None else 0
        limit = TOLERANCE.get(case.split("/")[0], 0.02)
        verdict = (
            "new"
            if old is None
            else (
                "gone"
                if new is None
                else "slower" if change > limit else "faster" if change < -limit else "as recorded"
            )
        )
        yield case, old, new, change, verdict


def show(rows, everything):
    print(f"{'case':48} {'recorded':>12} {'now':>12} {'change':>8}")
    for case, old, new, change, verdict in rows:
        if everything or verdict != "as recorded":
            old, new = (f"{value:12.6g}" if value is not None else f"{'-':>12}" for value in (old, new))
            print(f"{case:48} {old} {new} {change:+8.2%}  {verdict}")


def count(build, payloads, wanted):
    tasks = [(run_job, job) for job in jobs()] + [(run_server_case, case) for case in SERVER]
    tasks = [(work, task) for work, task in tasks if not wanted or any(task[0].startswith(w) for w in wanted)]
    counts = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda task: task[0](build, payloads, task[1]), tasks):
            counts |= found
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--accept", action="store_true", help="write the record anew")
    parser.add_argument("--all", action="store_true", help="print the cases that did not change, too")
    parser.add_argument("--report", type=pathlib.Path, help="write {passed, failed, note} as JSON here")
    parser.add_argument(
        "only", nargs="*", help="only programs whose name begins so: decode/logs parquet server codec …"
    )
    options = parser.parse_args()
    build = options.build.resolve()
    payloads = make_payloads(build)
    recorded, before = read_record()
    found, now = environment(build, payloads), count(build, payloads, options.only)
    if options.only:
        before = {case: value for case, value in before.items() if any(case.startswith(o) for o in options.only)}
    rows = list(compare(before, now))
    differs = [key for key in {*recorded, *found} if recorded.get(key) != found.get(key)] if recorded else []
    if options.accept:
        if options.only and differs:
            sys.exit("the whole record must be made anew here: it depends on " + ", ".join(sorted(differs)))
        write_record(found, (read_record()[1] if options.only else {}) | now)
        show(rows, options.all)
        print(f"{len(now)} counts written to {RECORD.relative_to(ROOT)}")
        return 0
    failed = (
        []
        if differs
        else [f"{case}: {verdict} ({change:+.1%})" for case, _, _, change, verdict in rows if verdict != "as recorded"]
    )
    show(rows, options.all or bool(differs))
    note = ""
    if differs:
        note = "not compared: the record was made with another " + ", ".join(
            f"{key}: {recorded.get(key, '-')} (here {found.get(key, '-')})" for key in sorted(differs)
        )
        print(
            note[0].upper()
            + note[1:]
            + ".\nThe cases ran, and count as passed. To have a record here: make bench-instructions ARGS=--accept"
        )
    elif failed:
        print(
            f"{len(failed)} of {len(rows)} counts are not as recorded. What is meant is accepted by\n"
            "    make bench-instructions ARGS=--accept\nand commits bench/instructions.tsv together with its cause."
        )
    else:
        print(f"{len(rows)} counts are as recorded")
    if options.report:
        options.report.write_text(json.dumps({"passed": len(rows) - len(failed), "failed": failed, "note": note}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
