"""Data for `make bench-query`: millions of rows sent through a running server, kept in the cache, made once for a size."""
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

CHUNK_ROWS = 255000  # whole requests of 510


class Server:
    """`otolith serve` over a folder. memory: the server flushes by rows, not by memory, when it has enough."""

    def __init__(self, build, data, *arguments):
        self.started = time.monotonic()
        command = [build / "otolith", "serve", "--data", data, "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.log = []
        self.port = None
        while self.port is None:
            line = self.process.stdout.readline()
            if not line:
                sys.exit("the server ended:\n" + "".join(self.log))
            self.log.append(line)
            found = re.search(r"listening on \S+:(\d+)", line)
            self.port = int(found.group(1)) if found else None
        while not self.ready():
            time.sleep(0.002)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.read()
        if self.process.wait():
            sys.exit("the server did not end well")


def send(build, port, kind, rows):
    """Sends `rows` rows of a kind, a chunk at a time."""
    signal_name = {"spans": "traces", "logs": "logs", "documents": "logs", "points": "metrics"}[kind]
    frames = pathlib.Path(build) / f"bench-query-{kind}.frames"
    try:
        for first in range(0, rows, CHUNK_ROWS):
            with open(frames, "wb") as output:
                subprocess.run([str(build / "bench/otlp_generate"), kind, str(rows), str(first), str(min(CHUNK_ROWS, rows - first))],
                               stdout=output, check=True)
            load = [build / "bench/otlp_load", "--port", port, "--protocol", "grpc", "--signal", signal_name, "--content", "protobuf",
                    "--compression", "identity", "--frames", frames, "--connections", 1, "--in-flight", 4]
            sent = subprocess.run([str(c) for c in load], capture_output=True, text=True, check=False)
            if sent.returncode:
                sys.exit(f"{kind}: {sent.stdout}{sent.stderr}")
    finally:
        frames.unlink(missing_ok=True)


def make(build, cache, sizes):
    """A data folder with sizes {kind: rows}; made when it is not there yet."""
    name = "-".join(f"{kind}{rows}" for kind, rows in sizes.items())
    folder = pathlib.Path(cache) / f"bench-query-{name}"
    done = folder / "done.json"
    if done.exists():
        return folder / "data"
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(build, folder / "data", "--memory-limit", "1GiB")
    for kind, rows in sizes.items():
        print(f"making {rows} {kind}", file=sys.stderr, flush=True)
        send(build, server.port, kind, rows)
    server.stop()
    done.write_text(json.dumps({"sizes": sizes, "seconds": round(time.monotonic() - began, 1)}))
    return folder / "data"
