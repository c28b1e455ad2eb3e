"""Bodies of every size, compressed or not, and what is made to burst: the limit holds, memory too."""

import concurrent.futures
import gzip
import random
import struct
import threading
import time
import zlib

import httpx
import psutil
import pyarrow.parquet
import pytest
import zstandard

from exchange import CODINGS, Http2, RawHttp2, counts, dial, export, frame, grpc_call, http1, http1_request, part
from otlp import MAKERS, PROTOBUF, SERVICES, grpc_frame, logs, shared_attributes, shared_metadata
from otlp_official import REQUESTS

MIB = 1 << 20


def post(server, body, kind=PROTOBUF, coding=None, path="/v1/logs"):
    headers = [("Content-Encoding", coding)] if coding else []
    [answer] = http1(server, [http1_request(path, body, kind, headers)])
    return answer


# --- sizes ---


@pytest.mark.parametrize("coding", CODINGS)
def test_bodies_of_all_small_sizes(shared, coding):
    """0 to 300 bytes of nothing in particular: our verdict is the official runtime's."""
    source = random.Random("sizes " + coding)
    before = sum(counts(shared).values())
    plain = [source.randbytes(size) for size in range(300)] + [bytes(size) for size in range(64)]
    answers = list(
        http1(
            shared,
            [
                http1_request("/v1/logs", CODINGS[coding](body), PROTOBUF, [("Content-Encoding", coding)])
                for body in plain
            ],
        )
    )
    for body, answer in zip(plain, answers):
        try:
            REQUESTS["logs"].FromString(body)
            good = True
        except Exception:
            good = False
        # What they take for an unknown field, a known number with another wire type, we refuse.
        assert answer.status == 200 if body == b"" else answer.status == 400 or good, body
    assert sum(counts(shared).values()) == before


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [1, 1000, 65535, 65536, MIB, MIB + 1, 16 * MIB])
def test_bodies_of_growing_size(shared, coding, size):
    """One unknown field of so many bytes, by every transport."""
    body = part(1000, b"x" * size)
    for transport in ("http/1.1", "http/2", "grpc"):
        assert export(shared, transport, "logs", body, coding=coding).code == 0


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_65_mib_are_too_large_everywhere(shared, coding):
    body = part(1000, random.Random(1).randbytes(1000) * (65 * MIB // 1000))
    for transport in ("http/1.1", "http/2", "grpc"):
        answer = export(shared, transport, "logs", body, coding=coding)
        assert answer.code == 8, (transport, answer)
    if coding == "identity":  # refused by what it announces, before a byte of it is there
        for announced in (65 * MIB, 2**40, 10**17):
            with dial(shared) as sock:
                sock.sendall(
                    b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % announced
                )
                assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


# --- bombs ---


def gzip_zeros(size):
    """A gzip stream of so many zeros, made piece by piece."""
    packer, out = zlib.compressobj(9, zlib.DEFLATED, 31), []
    piece = bytes(16 * MIB)
    for at in range(0, size, len(piece)):
        out.append(packer.compress(piece[: min(len(piece), size - at)]))
    return b"".join([*out, packer.flush()])


def zstd_frame(blocks, size=None, window=None):
    """A frame by hand: blocks are (type, size, payload), 1 a run of one byte."""
    descriptor = 0xC0 if size is not None else 0
    head = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + bytes([window if window is not None else 0x58])
    head += struct.pack("<Q", size) if size is not None else b""
    body = b""
    for number, (kind, length, payload) in enumerate(blocks):
        last = number == len(blocks) - 1
        body += (last | kind << 1 | length << 3).to_bytes(3, "little") + payload
    return head + body


BOMBS = {
    "gzip, 192 MiB": ("gzip", lambda: gzip_zeros(192 * MIB), {413}),
    "gzip, the size at its end lies": ("gzip", lambda: gzip_zeros(80 * MIB)[:-4] + b"\x01\0\0\0", {413, 400}),
    "gzip, the size at its end lies the other way": (
        "gzip",
        lambda: gzip.compress(b"")[:-4] + b"\xff\xff\xff\xff",
        {400},
    ),
    "gzip in gzip": ("gzip", lambda: gzip.compress(gzip_zeros(192 * MIB)), {400}),
    "gzip, a million empty members": ("gzip", lambda: gzip.compress(b"") * 1000000, {200}),
    "gzip, ten thousand members of 64 KiB": ("gzip", lambda: gzip.compress(bytes(65536)) * 10000, {413}),
    "deflate, 192 MiB": ("deflate", lambda: zlib.compress(bytes(192 * MIB), 1), {413}),
    "zstd, 192 MiB": ("zstd", lambda: zstandard.ZstdCompressor(level=1).compress(bytes(192 * MIB)), {413}),
    "zstd, 16 GiB of runs": ("zstd", lambda: zstd_frame([(1, 131072, b"\0")] * 131072), {413}),
    "zstd, a size that lies high": ("zstd", lambda: zstd_frame([(0, 2, b"ab")], 1 << 60), {413, 400}),
    "zstd, a size that lies low": ("zstd", lambda: zstd_frame([(1, 131072, b"\0")] * 8, 10), {400}),
    "zstd, a window of 2^31": ("zstd", lambda: zstd_frame([(0, 2, b"ab")], None, 21 << 3), {413, 400}),
    "zstd, the largest window": ("zstd", lambda: zstd_frame([(0, 2, b"ab")], None, 0xFF), {413, 400}),
    "zstd, a reserved block": ("zstd", lambda: zstd_frame([(3, 2, b"ab")]), {400}),
    "zstd, an unknown dictionary": ("zstd", lambda: b"\x28\xb5\x2f\xfd\x23\x39\x30\0\0\x02\x11\0\0ab", {400}),
    "zstd, a million empty frames": ("zstd", lambda: zstd_frame([(0, 0, b"")]) * 1000000, {200}),
    "zstd, a million skippable frames": ("zstd", lambda: b"\x50\x2a\x4d\x18\0\0\0\0" * 1000000, {200}),
    "zstd, a skippable frame of 4 GiB": ("zstd", lambda: b"\x50\x2a\x4d\x18\xff\xff\xff\xff", {400}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(shared, bomb):
    coding, make, wanted = BOMBS[bomb]
    before = sum(counts(shared).values())
    data = make()
    answer = post(shared, data, coding=coding)
    assert answer.status in wanted, answer
    assert grpc_call(shared, SERVICES["logs"], grpc_frame(data, True), [("grpc-encoding", coding)]).code == answer.code
    assert sum(counts(shared).values()) == before


def resident(pid):
    return psutil.Process(pid).memory_info().rss


class Meanwhile:
    """A thread of its own while this is open."""

    def __init__(self):
        self.stop, self.thread = threading.Event(), threading.Thread(target=self.run)

    def run(self):
        raise NotImplementedError

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


class Highest(Meanwhile):
    """The most memory that the server has had while this is open."""

    def __init__(self, server):
        super().__init__()
        self.pid, self.bytes = server.pid, 0

    def run(self):
        while not self.stop.is_set():
            self.bytes = max(self.bytes, resident(self.pid))
            time.sleep(0.005)


class Bystander(Meanwhile):
    """A client that sends a small request each 10 ms, and counts what fails."""

    def __init__(self, server):
        super().__init__()
        self.server, self.sent, self.failed = server, 0, []

    def run(self):
        with httpx.Client(timeout=30) as client:
            while not self.stop.is_set():
                body = logs(1, name="bystander").SerializeToString()
                answer = client.post(self.server.http + "/v1/logs", content=body, headers={"Content-Type": PROTOBUF})
                self.sent += 1
                if answer.status_code != 200:
                    self.failed.append((answer.status_code, answer.text))
                time.sleep(0.01)


@pytest.mark.release
@pytest.mark.parametrize(
    "bomb", ["gzip, 192 MiB", "zstd, 16 GiB of runs", "gzip, a million empty members", "zstd, a size that lies high"]
)
def test_bombs_leave_memory_within_the_limit(server, bomb):
    """Twelve at a time for a while."""
    limit = 128 * MIB
    one = server("--memory-limit", str(limit))
    coding, make, _ = BOMBS[bomb]
    data = make()
    end = time.monotonic() + 4

    def throw():
        with httpx.Client(timeout=60) as client:
            while time.monotonic() < end:
                answer = client.post(
                    one.http + "/v1/logs", content=data, headers={"Content-Type": PROTOBUF, "Content-Encoding": coding}
                )
                assert answer.status_code in (200, 413, 400, 503)

    with Highest(one) as highest:
        threads = [threading.Thread(target=throw) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert highest.bytes < limit, f"{highest.bytes >> 20} MiB"
    assert post(one, logs(1).SerializeToString()).status == 200


# --- attributes that records share: some bytes of a request, and values of each of its rows ---


def test_attributes_shared_by_too_many_records_are_refused(server):
    one = server()
    bodies = [
        ("logs", shared_attributes(35999, 61440).SerializeToString(), 36000 * 61440),
        ("metrics", shared_metadata(2000, 50000).SerializeToString(), 2001 * 50000),
    ]
    for transport in ("http/1.1", "http/2", "grpc"):
        for signal, body, values in bodies:
            answer = export(one, transport, signal, body)
            assert answer.code == 3, (transport, answer)
            assert f"{values} of them, the limit of a request is {1 << 26};" in answer.error.message
    assert sum(counts(one).values()) == 0
    # What a large batch of a well described resource has, it may have.
    body = shared_attributes(199, 100_000).SerializeToString()
    assert export(one, "grpc", "logs", body).code == 0
    one.stop()
    [path] = one.data.rglob("*.parquet")
    assert pyarrow.parquet.read_metadata(path).num_rows == 100_000


# --- very many parts of few bytes: of two bytes of a request may come 130 of rows ---


def field(number, content):
    head, size = bytes([number << 3 | 2]), len(content)
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + content


IDS = field(1, b"\1" * 16) + field(2, b"\2" * 8)


def points(kind, content):
    return field(1, field(2, field(2, field(1, b"m") + field(kind, content))))


def spans(content):
    return field(1, field(2, field(2, IDS + content)))


# Of each: its signal, the body of n parts, and how many rows these are.
TINY = {
    "log records": ("logs", lambda n: field(1, field(2, field(2, b"") * n)), lambda n: n),
    "attributes of log records": (
        "logs",
        lambda n: field(1, field(2, field(2, field(6, b"") * 60_000) * (n // 60_000))),
        lambda n: n // 60_000,
    ),
    "resources": ("logs", lambda n: field(1, field(2, field(2, b""))) * n, lambda n: n),
    "spans": ("traces", lambda n: field(1, field(2, field(2, IDS) * n)), lambda n: n),
    "events": ("traces", lambda n: spans(field(11, b"") * n), lambda n: 1),
    "links": ("traces", lambda n: spans(field(13, b"") * n), lambda n: 1),
    "attributes of an event": ("traces", lambda n: spans(field(11, field(3, b"") * n)), lambda n: 1),
    "attributes of a link": ("traces", lambda n: spans(field(13, field(4, b"") * n)), lambda n: 1),
    "number points": ("metrics", lambda n: points(5, field(1, b"") * n), lambda n: n),
    "exemplars": ("metrics", lambda n: points(7, field(1, field(5, b"") * n)), lambda n: 1),
    "attributes of an exemplar": ("metrics", lambda n: points(7, field(1, field(5, field(7, b"") * n))), lambda n: 1),
    "histograms": ("metrics", lambda n: points(9, field(1, b"") * n), lambda n: n),
    "bounds": ("metrics", lambda n: points(9, field(1, field(7, bytes(8 * n)))), lambda n: 1),
    "exponential histograms": ("metrics", lambda n: points(10, field(1, b"") * n), lambda n: n),
    "buckets": ("metrics", lambda n: points(10, field(1, field(8, field(2, b"\1" * n)))), lambda n: 1),
    "summaries": ("metrics", lambda n: points(11, field(1, b"") * n), lambda n: n),
    "quantiles": ("metrics", lambda n: points(11, field(1, field(6, b"") * n)), lambda n: 1),
}
TINY_LIMIT = 48 * MIB  # the least that may be set: 12 MiB for the rows of a request


@pytest.mark.parametrize("kind", TINY)
def test_more_parts_than_memory_are_refused(server, kind):
    one = server("--memory-limit", str(TINY_LIMIT), "--threads", "1")
    signal, body, rows = TINY[kind]
    each = len(body(60_000)) / 60_000
    many = body(int(6 * MIB / each))
    for transport in ("http/1.1", "grpc"):
        answer = export(one, transport, signal, many)
        assert answer.code == 3 and "of memory that those of a request may; send fewer records" in answer.error.message
    assert sum(counts(one).values()) == 0
    assert export(one, "grpc", signal, body(60_000)).code == 0
    assert sum(counts(one).values()) == rows(60_000)


@pytest.mark.release
@pytest.mark.parametrize("kind", TINY)
def test_very_many_parts_leave_memory_within_the_limit(server, kind):
    """Of sizes that are refused, and of such as are just taken, by two threads at once."""
    one = server("--memory-limit", str(TINY_LIMIT), "--threads", "2")
    signal, body, _ = TINY[kind]
    each = len(body(60_000)) / 60_000
    sizes = (60_000, 120_000, 240_000, 480_000, int(6 * MIB / each))
    bodies = [body(size) for size in sizes if size * each < 7 * MIB]
    with Highest(one) as highest, concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda data: export(one, "http/1.1", signal, data).code, bodies * 6))
    assert set(answers) <= {0, 3, 14} and 0 in answers
    assert highest.bytes < TINY_LIMIT, f"{highest.bytes >> 20} MiB"


@pytest.mark.release
def test_floods_leave_memory_within_the_limit_and_others_unharmed(server):
    """Attackers of many kinds at once, over and over, while a client goes about its business."""
    limit = 128 * MIB
    one = server("--memory-limit", str(limit), "--connections-max", "2000")
    request = frame("HEADERS", 4, 1, b"\x83\x86\x44\x08/v1/logs\x01\x09localhost")
    big = b"\x00\x01a\x7f\x80\x7f" + b"v" * 16000
    kinds = [
        frame("PING", 0, 0, b"12345678") * 3000,
        frame("SETTINGS") * 3000,
        b"".join(
            frame("HEADERS", 4, 2 * i + 1, b"\x83\x86\x44\x08/v1/logs\x01\x09localhost")
            + frame("RST_STREAM", 0, 2 * i + 1, b"\0\0\0\x08")
            for i in range(3000)
        ),
        frame("HEADERS", 0, 1, b"\x83") + frame("CONTINUATION", 0, 1, big) * 100,
        request + frame("DATA", 0, 1) * 3000,
        request + frame("DATA", 0, 1, b"\x0a\0" * 8000) * 60,  # a body that never ends
        frame("PRIORITY", 0, 1, b"\0\0\0\3\1") * 3000,
        frame("HEADERS", 4, 1, b"\x83\x86\x84\x01\x09localhost\x40\x01x\x7f\xa1\x1e" + b"v" * 4000 + b"\xbe" * 8000),
        b"".join(
            frame("HEADERS", 4, 2 * i + 1, b"\x83\x86\x44\x08/v1/logs\x01\x09localhost") for i in range(256)
        ),  # held open
    ]
    end = time.monotonic() + 8

    def attack(index):
        held = []
        while time.monotonic() < end:
            try:
                raw = RawHttp2(one)
                raw.send(kinds[index % len(kinds)])
                held.append(raw)
                if len(held) > 20:
                    held.pop(0).sock.close()
            except OSError:
                pass
            time.sleep(0.05)  # each may do what it likes; how many may come is for others to limit
        for raw in held:
            raw.sock.close()

    with Highest(one) as highest, Bystander(one) as bystander:
        threads = [threading.Thread(target=attack, args=(index,)) for index in range(len(kinds))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert highest.bytes < limit, f"{highest.bytes >> 20} MiB"
    refused = [status for status, _ in bystander.failed]
    assert bystander.sent > 20 and set(refused) <= {503}, bystander.failed[:3]
    with Http2(one) as connection:
        assert connection.call(SERVICES["logs"], grpc_frame(b"")).code == 0
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": bystander.sent - len(refused)}]


# --- times ---


@pytest.mark.parametrize("signal", MAKERS)
def test_times_scattered_over_centuries(server, signal):
    """Rows of 1970 to 2554 in a few requests: few files, and every row is found."""
    one = server()
    source = random.Random("times " + signal)
    total, times = 0, []
    for number in range(4):
        request = MAKERS[signal](500, name=f"t{number}")
        group = getattr(request, request.DESCRIPTOR.fields[0].name)[0]
        if signal == "logs":
            rows = group.scope_logs[0].log_records
        elif signal == "traces":
            rows = group.scope_spans[0].spans
        else:
            rows = group.scope_metrics[0].metrics[0].gauge.data_points
        for row in rows:
            at = source.choice(
                [
                    source.randrange(2**64),
                    source.randrange(2**40),
                    0,
                    1,
                    2**63,
                    2**64 - 1,
                    source.randrange(2**62, 2**61 * 3),
                ]
            )
            times.append(at)
            if signal == "traces":
                row.start_time_unix_nano = row.end_time_unix_nano = at
            else:
                row.time_unix_nano = at
        assert export(one, "grpc", signal, request.SerializeToString(), coding="zstd").code == 0
        total += 500
    table = {"logs": "otel_logs", "traces": "otel_traces", "metrics": "otel_metrics_gauge"}[signal]
    time_column = "TimeUnix" if signal == "metrics" else "Timestamp"
    assert one.sql(f"SELECT count(*) AS n FROM {table}") == [{"n": total}]
    one.stop()
    folder = one.data / {"logs": "logs", "traces": "traces", "metrics": "metrics/gauge"}[signal]
    files = list(folder.rglob("*.parquet"))
    assert 0 < len(files) <= 2 * 65, len(files)  # a flush a thread
    one.start()
    assert one.sql(f"SELECT count(*) AS n FROM {table}") == [{"n": total}]
    sent = sorted(at // 1000 % 2**64 for at in times if at)
    rows = one.sql(f"SELECT epoch_us({time_column}) AS us FROM {table} WHERE {time_column}NanoOfMicro IS NOT NULL")
    assert sorted(row["us"] % 2**64 for row in rows) == sent
    for at in [at for at in times if at][:6]:  # by its own time, so that files are left out
        [found] = one.sql(
            f"SELECT count(*) AS n FROM {table} WHERE {time_column} = make_timestamptz({signed(at // 1000)})"
        )
        assert found["n"] >= 1, at


def signed(number):
    return number - 2**64 if number >= 2**63 else number


@pytest.mark.release
def test_times_scattered_over_centuries_take_little_memory(server):
    limit = 128 * MIB
    one = server("--memory-limit", str(limit))
    with Highest(one) as highest:
        for number in range(20):
            request = logs(5000, name=f"n{number}", start=1)
            for index, row in enumerate(request.resource_logs[0].scope_logs[0].log_records):
                row.time_unix_nano = (index * 3_600_000_000_000 * 7 + number) % 2**64
            while post(one, request.SerializeToString()).status == 503:
                time.sleep(0.05)
    assert highest.bytes < limit, f"{highest.bytes >> 20} MiB"
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 100000}]
    one.stop()
    files = list((one.data / "logs").rglob("*.parquet"))
    assert len(files) <= 65 * 12, len(files)
    one.start()
    assert one.sql("SELECT count(*) AS n FROM otel_logs") == [{"n": 100000}]
