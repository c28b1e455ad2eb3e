"""OTLP that went through the server into Parquet comes back as it was: every log record, span and data point, each with
its resource, its scope and their schema URLs, to the last bit.

OTOLITH_LOSSLESS_REQUESTS: how many random requests a signal (2,000); OTOLITH_LOSSLESS_SEED: which (1; with the former
set: any, printed when a test fails).
"""

import collections
import concurrent.futures
import gzip
import itertools
import json
import os
import random
import subprocess
import threading
import time

import grpc
import httpx
import pytest
import zstandard

import otlp
import otlp_random
from otlp_official import official_tree

REQUESTS = int(os.environ.get("OTOLITH_LOSSLESS_REQUESTS") or 2000)
SEED = int(os.environ.get("OTOLITH_LOSSLESS_SEED")
           or (random.randrange(2**32) if os.environ.get("OTOLITH_LOSSLESS_REQUESTS") else 1))
SIGNALS = list(otlp_random.REQUESTS)
FACES = ("grpc", "protobuf", "json")
WORKERS = 8
RETRYABLE = {429, 502, 503, 504, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}

pytestmark = [pytest.mark.lossless, pytest.mark.timeout(max(300, REQUESTS // 10))]


def make_requests(signal, count):
    """Distinct requests (the server knows one that comes again), and the face each goes to. JSON has no odd NaNs."""
    makers = [otlp_random.Maker(f"{SEED} {signal} {face}", odd_nans=face != "json") for face in FACES]
    known, made = set(), []
    for i in itertools.count():
        if len(made) == count:
            return made
        request = makers[i % len(FACES)].request(signal)
        body = request.SerializeToString()
        if body not in known or not body:
            known.add(body)
            made.append((FACES[i % len(FACES)], request))


class Sender:
    """Sends requests to all faces, from several threads; what is refused for now again, as exporters do."""

    def __init__(self, server, signal):
        self.signal, self.path = signal, f"{server.http}/v1/{signal}"
        self.response = otlp.RESPONSES[signal]
        options = [("grpc.max_send_message_length", 1 << 26)]
        self.channel = grpc.insecure_channel(server.grpc, options=options)
        self.call = self.channel.unary_unary(otlp.SERVICES[signal])
        self.local = threading.local()
        self.repeated = []

    def send(self, item):
        index, (face, request) = item
        answer, status = self.attempt(index, face, request)
        if status in RETRYABLE:
            self.repeated.append((index, face, status))
            time.sleep(2)
            answer, status = self.attempt(index, face, request)
        assert status in (200, grpc.StatusCode.OK), (face, status, answer)
        if face == "json":
            assert json.loads(answer) == {}, answer
        else:
            assert not self.response.FromString(answer).HasField("partial_success"), (face, answer)

    def attempt(self, index, face, request):
        """An answer and its status."""
        if face != "grpc":
            return self.post(index, face, request)
        try:
            return self.call(request.SerializeToString(), timeout=60), grpc.StatusCode.OK
        except grpc.RpcError as e:
            return e.details(), e.code()

    def post(self, index, face, request):
        if not hasattr(self.local, "client"):
            self.local.client = httpx.Client(timeout=60)
        body = request.SerializeToString() if face == "protobuf" else json.dumps(official_tree(request)).encode()
        headers = {"Content-Type": otlp.PROTOBUF if face == "protobuf" else otlp.JSON}
        if index % 4 == 1:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        elif index % 4 == 2:
            body, headers["Content-Encoding"] = zstandard.ZstdCompressor().compress(body), "zstd"
        answer = self.local.client.post(self.path, content=body, headers=headers)
        return answer.content, answer.status_code

    def send_all(self, requests):
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(self.send, enumerate(requests)):
                pass
        self.channel.close()
        assert len(self.repeated) <= len(requests) / 1000 + 1, self.repeated  # a machine that stands still for seconds


def convert(binary, source, target, output, *inputs, more=()):
    command = [binary, "convert", "--from", source, "--to", target, "-o", output, *more, *inputs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def rows_of(signal, path, change=lambda message: message):
    kind = otlp_random.REQUESTS[signal]
    return otlp_random.row_counts(signal, (change(kind.FromString(m)) for m in otlp_random.frames(path.read_bytes())))


def assert_same(expected: collections.Counter, got: collections.Counter, what):
    if expected == got:
        return
    lost, new = expected - got, got - expected
    lines = [f"{what}: {lost.total()} rows of {expected.total()} did not come back; OTOLITH_LOSSLESS_SEED={SEED} "
             f"OTOLITH_LOSSLESS_REQUESTS={REQUESTS} gives them again"]
    lines += [f"lost: {row}" for row in itertools.islice(lost, 3)] + [f"new: {row}" for row in itertools.islice(new, 3)]
    pytest.fail("\n".join(line[:3000] for line in lines), pytrace=False)


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_row_comes_back(server, otolith_binary, tmp_path, signal):
    print(f"seed {SEED}")
    requests = make_requests(signal, REQUESTS)
    one = server()
    Sender(one, signal).send_all(requests)
    one.stop()
    expected = otlp_random.row_counts(signal, (request for _, request in requests))
    assert expected.total() > REQUESTS

    files = sorted((one.data / signal).rglob("*.parquet"))
    assert files
    convert(otolith_binary, "parquet", "otlp", tmp_path / "back", *files)
    assert_same(expected, rows_of(signal, tmp_path / "back"), "Parquet to OTLP")

    # All into one file a table, and back.
    convert(otolith_binary, "parquet", "parquet", tmp_path / "all.parquet", *files)
    together = sorted(tmp_path.glob("all*.parquet"))
    assert len(together) == (5 if signal == "metrics" else 1)
    convert(otolith_binary, "parquet", "otlp", tmp_path / "again", *together, more=["--zstd"])
    convert(otolith_binary, "otlp", "otlp", tmp_path / "plain", tmp_path / "again", more=["--signal", signal])
    assert_same(expected, rows_of(signal, tmp_path / "plain"), "Parquet to Parquet to OTLP")

    # JSON has one NaN only.
    plain = otlp_random.row_counts(signal, (otlp_random.plain_nans(request) for _, request in requests))
    convert(otolith_binary, "parquet", "otlp-json", tmp_path / "lines.json", *files)
    convert(otolith_binary, "otlp-json", "otlp", tmp_path / "of_lines", tmp_path / "lines.json")
    assert_same(plain, rows_of(signal, tmp_path / "of_lines", otlp_random.plain_nans), "Parquet to JSON lines to OTLP")
    convert(otolith_binary, "otlp-json", "parquet", tmp_path / "json.parquet", tmp_path / "lines.json")
    convert(otolith_binary, "parquet", "otlp", tmp_path / "of_json", *sorted(tmp_path.glob("json*.parquet")))
    assert_same(plain, rows_of(signal, tmp_path / "of_json", otlp_random.plain_nans), "JSON to Parquet to OTLP")
