"""Requests that are damaged in every way that can be counted out: refused with its place, and nothing stored.
The official protobuf runtime says what is damaged. What is sent is counted, and what is stored must be that."""

import json
import random
import re

import pytest
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message import DecodeError

from exchange import CODINGS, counts, export, grpc_calls, http1, http1_request, part, varint
from otlp import JSON, MAKERS, PROTOBUF, SERVICES, grpc_frame, to_json
from otlp_official import REQUESTS, fill

ITEM_FIELDS = {"logs": "log_records", "traces": "spans", "metrics": "metrics"}


def post_all(server, signal, bodies, kind=PROTOBUF, coding="identity"):
    headers = [] if coding == "identity" else [("Content-Encoding", coding)]
    return list(http1(server, [http1_request("/v1/" + signal, body, kind, headers) for body in bodies]))


def items(signal, request):
    """Log records, spans or points that the server may store, whatever their ids."""
    total = 0
    for group in getattr(request, request.DESCRIPTOR.fields[0].name):
        for scope in getattr(
            group, {"logs": "scope_logs", "traces": "scope_spans", "metrics": "scope_metrics"}[signal]
        ):
            for item in getattr(scope, ITEM_FIELDS[signal]):
                if signal == "metrics":
                    kind = item.WhichOneof("data")
                    total += len(getattr(item, kind).data_points) if kind else 0
                else:
                    total += 1
    return total


def parsed(signal, body):
    """The official runtime's message, or None."""
    try:
        return REQUESTS[signal].FromString(body)
    except DecodeError:
        return None


def rejected(signal, answer):
    success = answer.response(signal).partial_success
    return getattr(
        success, {"logs": "rejected_log_records", "traces": "rejected_spans", "metrics": "rejected_data_points"}[signal]
    )


class Ledger:
    """Counts what the server said that it stored, and compares with its tables."""

    def __init__(self, server):
        self.server, self.before, self.stored = server, sum(counts(server).values()), 0
        self.slack = 0  # of what may have been stored, nobody can tell how much

    def took(self, signal, request, answer):
        self.stored += items(signal, request) - rejected(signal, answer)

    def close(self):
        stored = sum(counts(self.server).values()) - self.before
        assert self.stored <= stored <= self.stored + self.slack


@pytest.fixture
def ledger(shared):
    one = Ledger(shared)
    yield one
    one.close()


def whole_request(signal, salt, size=700):
    """A request with as many kinds of fields as fit, in two groups; another one for each test."""
    source, best = random.Random(f"whole {signal} {salt}"), None
    for _ in range(300):
        request = REQUESTS[signal]()
        groups = getattr(request, request.DESCRIPTOR.fields[0].name)
        for _ in range(2):
            fill(groups.add(), source)
        if (
            items(signal, request)
            and request.ByteSize() < size
            and (best is None or request.ByteSize() > best.ByteSize())
        ):
            best = request
    return best


def check_refusal(answer, kind=PROTOBUF):
    assert answer.code == 3, answer
    assert "byte " in answer.error.message and answer.error.message.isprintable()
    [violation] = answer.bad_request.field_violations
    assert violation.field and violation.description
    if not answer.is_grpc:
        assert answer.kind == kind


# --- every truncation ---


@pytest.mark.parametrize("signal", MAKERS)
def test_every_truncation_of_protobuf(shared, ledger, signal):
    whole = whole_request(signal, "protobuf").SerializeToString()
    bodies = [whole[:cut] for cut in range(len(whole) + 1)]
    good = 0
    for body, answer in zip(bodies, post_all(shared, signal, bodies)):
        request = parsed(signal, body)
        if request is None:
            check_refusal(answer)
        else:
            ledger.took(signal, request, answer)
            good += 1
    assert good == 3, "nothing, one group, both"


@pytest.mark.parametrize("signal", MAKERS)
def test_every_truncation_of_json(shared, ledger, signal):
    whole = to_json(whole_request(signal, "json", 400))
    answers = post_all(shared, signal, [whole[:cut] for cut in range(len(whole))], JSON)
    for answer in answers:
        check_refusal(answer, JSON)
    [answer] = post_all(shared, signal, [whole], JSON)
    ledger.took(signal, whole_request(signal, "json", 400), answer)


@pytest.mark.parametrize("signal", MAKERS)
def test_every_truncation_of_a_grpc_message(shared, ledger, signal):
    request = whole_request(signal, "grpc")
    whole = grpc_frame(request.SerializeToString())
    cuts = [(SERVICES[signal], whole[:cut], []) for cut in range(len(whole) + 1)]
    *broken, last = grpc_calls(shared, cuts)
    for answer in broken:
        assert answer.code == 3 and answer.error.message
    ledger.took(signal, request, last)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
@pytest.mark.parametrize("signal", MAKERS)
def test_every_truncation_of_a_compressed_body(shared, ledger, signal, coding):
    request = whole_request(signal, coding)
    whole = CODINGS[coding](request.SerializeToString())
    for answer in post_all(shared, signal, [whole[:cut] for cut in range(len(whole))], coding=coding):
        check_refusal(answer)
    [answer] = post_all(shared, signal, [whole], coding=coding)
    ledger.took(signal, request, answer)


@pytest.mark.parametrize("signal", MAKERS)
def test_every_truncation_of_a_group_inside_the_message(shared, ledger, signal):
    """The message ends where it should, but each submessage is cut: lengths are made to fit at every level above."""
    first = getattr(whole_request(signal, "group"), REQUESTS[signal].DESCRIPTOR.fields[0].name)[0].SerializeToString()
    bodies = [b"\x0a" + varint(cut) + first[:cut] for cut in range(len(first))]
    for body, answer in zip(bodies, post_all(shared, signal, bodies)):
        request = parsed(signal, body)
        if request is None:
            check_refusal(answer)
            assert answer.bad_request.field_violations[0].field.startswith("resource_")
        else:
            ledger.took(signal, request, answer)


# --- damage in a byte or two ---


@pytest.mark.parametrize("signal", MAKERS)
def test_damaged_bytes(shared, ledger, signal):
    """We refuse whatever the official runtime refuses, but for text that is no UTF-8, which is repaired; and what it
    takes for an unknown field, a known number with another wire type, we refuse."""
    source, bodies = random.Random("damage " + signal), []
    for seed in range(1200):
        data = bytearray(fill(REQUESTS[signal](), random.Random(f"{signal} {seed % 40}")).SerializeToString()[:600])
        for _ in range(source.choice([1, 1, 2])):
            if data:
                data[source.randrange(len(data))] = source.randrange(256)
        bodies.append(bytes(data))
    bodies = list(dict.fromkeys(bodies))
    refused = taken = 0
    for body, answer in zip(bodies, post_all(shared, signal, bodies)):
        request = parsed(signal, body)
        if answer.code == 0:
            taken += 1
            if request is None and rejected(signal, answer):
                ledger.slack += 20  # the damage is in an item that was refused alone, and not looked at further
            elif request is None:  # for its UTF-8 only
                ledger.stored += items(signal, as_bytes(signal, body))
            else:
                ledger.took(signal, request, answer)
        else:
            refused += 1
            check_refusal(answer)
    assert refused > 100 and taken >= 10


def as_bytes(signal, body):
    """The official runtime's message where every string is one of bytes, so that any text will do, or None."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    if not hasattr(as_bytes, "classes"):
        pool, as_bytes.classes = descriptor_pool.DescriptorPool(), {}
        done = set()

        def add(file):
            if file.name in done:
                return
            done.add(file.name)
            for other in file.dependencies:
                add(other)
            proto = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(proto)

            def turn(message):
                for field in message.field:
                    if field.type == F.TYPE_STRING:
                        field.type = F.TYPE_BYTES
                        field.ClearField("default_value")
                for inner in message.nested_type:
                    turn(inner)

            for message in proto.message_type:
                turn(message)
            pool.Add(proto)

        for name, request in REQUESTS.items():
            add(request.DESCRIPTOR.file)
            as_bytes.classes[name] = message_factory.GetMessageClass(
                pool.FindMessageTypeByName(request.DESCRIPTOR.full_name)
            )
    try:
        return as_bytes.classes[signal].FromString(body)
    except DecodeError:
        return None


# --- every field of every message ---

WIRE = {
    F.TYPE_DOUBLE: 1,
    F.TYPE_FIXED64: 1,
    F.TYPE_SFIXED64: 1,
    F.TYPE_FIXED32: 5,
    F.TYPE_SFIXED32: 5,
    F.TYPE_FLOAT: 5,
    F.TYPE_STRING: 2,
    F.TYPE_BYTES: 2,
    F.TYPE_MESSAGE: 2,
}
VALUES = {0: b"\x01", 1: b"12345678", 2: b"\x02ab", 5: b"1234"}
IDS = b"\x0a\x10tttttttttttttttt\x12\x08ssssssss"
# One item of each signal.
ITEMS = {"logs": b"\x12\x00", "traces": b"\x12\x1c" + IDS, "metrics": b"\x12\x07\x0a\x01m\x2a\x02\x0a\x00"}
# Only profiles have these; elsewhere they are unknown fields.
FOREIGN = ("_strindex",)


def tag(number, wire):
    return varint(number << 3 | wire)


def paths(message, at=(), seen=()):
    """(message type, field numbers to get there), each type once."""
    yield message, at
    for field in message.fields:
        if field.message_type and field.message_type.full_name not in seen:
            yield from paths(field.message_type, (*at, field), (*seen, message.full_name))


def distinct_paths(signal):
    """Each message type by every field that leads to it."""
    found = {}
    for message, at in paths(REQUESTS[signal].DESCRIPTOR):
        found.setdefault((message.full_name, at[-1].full_name if at else None), (message, at))
    return found.values()


def siblings(message, entered):
    """What a message needs beside the field `entered` (None: none), so that nothing of the request is skipped."""
    signal = {"Logs": "logs", "Spans": "traces", "Metrics": "metrics"}.get(re.sub("Resource|Scope", "", message.name))
    if message.name == "Span":
        return IDS
    if message.name == "Metric":
        return b"\x2a\x02\x0a\x00"  # a gauge with a point
    if signal and not (entered and entered.number == 2):
        return part(2, ITEMS[signal]) if message.name.startswith("Resource") else ITEMS[signal]
    return b""


def embed(message, at, payload):
    """A request with payload in `message`, which the fields `at` lead to; all around it is as it should be."""
    payload = siblings(message, None) + payload
    for field in reversed(at):
        payload = siblings(field.containing_type, field) + part(field.number, payload)
    return payload


def wrong_wires(signal):
    """(what, request) with each known field of each message in each wire type that it does not have."""
    for message, at in distinct_paths(signal):
        for field in message.fields:
            if field.name.endswith(FOREIGN):
                continue
            right = {WIRE.get(field.type, 0)}
            if field.is_repeated and field.type not in (F.TYPE_STRING, F.TYPE_BYTES, F.TYPE_MESSAGE):
                right.add(2)
            for wire, value in VALUES.items():
                if wire not in right:
                    yield (field.full_name, wire), embed(message, at, tag(field.number, wire) + value)
            yield (field.full_name, "group"), embed(message, at, tag(field.number, 3) + tag(field.number, 4))


@pytest.mark.parametrize("signal", MAKERS)
def test_wrong_wire_types_at_every_field(shared, ledger, signal):
    """Decided: refused, everywhere alike. (The official runtimes differ: others take it for an unknown field.)"""
    cases = list(wrong_wires(signal))
    assert len(cases) > 200
    problems = []
    for (what, body), answer in zip(cases, post_all(shared, signal, [body for _, body in cases])):
        if answer.status != 400 or "byte " not in answer.error.message:
            problems.append((what, answer.status, body.hex()))
    assert not problems, (len(problems), problems[:20])


@pytest.mark.parametrize("signal", MAKERS)
def test_bad_tags_in_every_message(shared, ledger, signal):
    bad = {
        "field 0": b"\x00\x01",
        "field 0 with a length": b"\x02\x00",
        "wire type 6": b"\x0e\x01",
        "wire type 7": b"\x0f\x01",
        "end of no group": b"\xc4\x3e",
        "a group without end": b"\xc3\x3e",
        "a group ended by another": b"\xc3\x3e\xcc\x3e",
        "a number past 2^29": b"\x80\x80\x80\x80\x10\x01",
        "a tag without end": b"\xff" * 11,
        "half a tag": b"\x80",
        "a varint of 11 bytes": b"\xc0\x3e" + b"\x80" * 10 + b"\x01",
        "a length past the end": b"\xc2\x3e\x05ab",
        "a length of 2^31": b"\xc2\x3e\x80\x80\x80\x80\x08",
        "a length of 2^63": b"\xc2\x3e" + b"\x80" * 9 + b"\x01",
        "a length of 2^64 - 1": b"\xc2\x3e" + b"\xff" * 9 + b"\x01",
        "half a fixed64": b"\xc1\x3e1234567",
        "half a fixed32": b"\xc5\x3e123",
        "groups in groups": b"\xc3\x3e" * 5000 + b"\xc4\x3e" * 5000,
    }
    cases = [
        ((message.full_name, what), embed(message, at, data))
        for message, at in distinct_paths(signal)
        for what, data in bad.items()
    ]
    problems = []
    for (what, body), answer in zip(cases, post_all(shared, signal, [body for _, body in cases])):
        assert parsed(signal, body) is None or what[1] in ("groups in groups",), what
        if answer.status != 400:
            problems.append((what, answer.status))
    assert not problems, (len(problems), problems[:20])


@pytest.mark.parametrize("signal", MAKERS)
def test_overlong_varints(shared, ledger, signal):
    """Tags of up to 5 bytes, lengths and numbers of up to 10, as the format allows; longer ones are refused. Where the
    official runtime refuses what we take (it has its own limit on lengths), that is no harm; never the other way round.
    """

    def long(number, size):
        return b"".join(bytes([number >> 7 * i & 127 | (128 if i < size - 1 else 0)]) for i in range(size))

    bodies = {}
    for size in range(1, 13):
        bodies["tag", size] = long(1 << 3 | 2, size) + b"\x00"
        bodies["length", size] = b"\x0a" + long(0, size)
        bodies["unknown number", size] = b"\xc0\x3e" + long(7, size)
        bodies["unknown tag", size] = long(1000 << 3, size) + b"\x00"
        if signal == "logs":
            record = b"\x10" + long(9, size)  # severity_number
            bodies["number", size] = part(1, part(2, part(2, record)))
    for (where, size), answer in zip(bodies, post_all(shared, signal, bodies.values())):
        body = bodies[where, size]
        assert (answer.status == 200) == (size <= (5 if "tag" in where else 10)), (where, size, answer)
        if parsed(signal, body) is not None:
            assert answer.status == 200, (where, size)
        if where == "number" and size <= 10:
            ledger.stored += 1


def string_fields(signal):
    for message, at in distinct_paths(signal):
        for field in message.fields:
            if field.type == F.TYPE_STRING:
                yield field, message, at


@pytest.mark.parametrize("signal", MAKERS)
def test_invalid_utf8_in_every_string(shared, ledger, signal):
    """Protobuf: repaired, and stored. JSON: refused, for a document that is no UTF-8 is no JSON."""
    bad = [b"\xff", b"ok\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80" * 40]
    cases = [
        (field.full_name, embed(message, at, part(field.number, data + str(number).encode())))
        for field, message, at in string_fields(signal)
        for number, data in enumerate(bad)
    ]
    answers = post_all(shared, signal, [body for _, body in cases])
    for (name, body), answer in zip(cases, answers):
        assert answer.code == 0, (name, answer)
        ledger.stored += items(signal, as_bytes(signal, body)) - rejected(signal, answer)
    text = to_json(MAKERS[signal](1, name="MARK"))
    bodies = [text.replace(b"MARK", data, 1) for data in bad] + [
        text.replace(b'"key"', b'"key' + data + b'"', 1) for data in bad
    ]
    for answer in post_all(shared, signal, bodies, JSON):
        check_refusal(answer, JSON)


# --- JSON ---


def test_jsontestsuite(shared, ledger, judge):
    """All 318 documents of nst/JSONTestSuite as the value of an unknown field, and as a document of their own."""
    cases = json.loads(judge("json-test-suite").read_text())
    assert len(cases) == 318
    inside = [b'{"x":' + case["input"].encode("utf-8", "surrogatepass") + b"}" for case in cases]
    for case, answer in zip(cases, post_all(shared, "logs", inside, JSON)):
        wanted = {"y": [200], "n": [400], "i": [200, 400]}[case["name"][0]]
        assert answer.status in wanted, (case, answer)
    alone = [case["input"].encode("utf-8", "surrogatepass") for case in cases]
    for case, answer in zip(cases, post_all(shared, "logs", alone, JSON)):
        if answer.status == 200:  # an object without any name that OTLP has
            assert case["name"][0] in "yi" and case["input"].strip().startswith("{"), case
        else:
            check_refusal(answer, JSON)


# What JSONTestSuite has as raw bytes, which its package cannot carry.
BAD_TEXT = [
    b"\xff",
    b"\xe5",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xfc\x83\xbf\xbf\xbf\xbf",
    b"\xe0\xff",
    b"\x81",
    b"\xe9",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9d\x84",
]


@pytest.mark.parametrize("data", BAD_TEXT)
def test_json_that_is_no_utf8(shared, ledger, data):
    bodies = [
        b'{"x":"' + data + b'"}',
        b'{"' + data + b'":1}',
        b'{"x":' + data + b"}",
        data,
        b"{" + data,
        b'{"x":1}' + data,
        b'{"x":"\\' + data + b'"}',
        b'{"x":1' + data + b"}",
        b'{"resourceLogs":[' + data + b"]}",
    ]
    for answer in post_all(shared, "logs", bodies, JSON):
        check_refusal(answer, JSON)


def test_json_in_other_encodings_and_with_a_mark(shared, ledger):
    text = to_json(MAKERS["logs"](1)).decode()
    bodies = [text.encode(name) for name in ("utf-16", "utf-16le", "utf-16be", "utf-32")] + [
        b"\xef\xbb\xbf" + text.encode(),
        text.encode() + b"\0",
    ]
    for answer in post_all(shared, "logs", bodies, JSON):
        check_refusal(answer, JSON)


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_deep_json(shared, ledger, opening, closing):
    """Up to the limit of 420 levels it is read over, past it refused; no depth costs more than its bytes."""
    for depth, status in ((10, 200), (130, 200), (1000, 400), (100000, 400), (3000000, 400)):
        for end in (closing, ""):
            body = '{"x":' + opening * depth + "1" + end * depth + "}"
            [answer] = post_all(shared, "logs", [body.encode()], JSON)
            assert answer.status == (status if end else 400), (depth, answer)


def nested_json(depth):
    value = '{"stringValue":"x"}'
    for _ in range(depth):
        value = '{"arrayValue":{"values":[%s]}}' % value
    return ('{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":%s}]}]}]}' % value).encode()


def test_deep_values_in_json(shared, ledger):
    good = [nested_json(depth) for depth in (1, 20, 64, 99)]
    for answer in post_all(shared, "logs", good, JSON):
        assert answer.status == 200
    ledger.stored += len(good)
    for answer in post_all(shared, "logs", [nested_json(depth) for depth in (100, 500, 20000)], JSON):
        check_refusal(answer, JSON)


@pytest.mark.parametrize(
    "text, status",
    [
        ("1" * 100000, 200),
        ("-" + "9" * 100000, 200),
        ("0." + "1" * 100000, 200),
        ("1e" + "9" * 100000, 200),
        ("1" * 100000 + "x", 400),
    ],
)
def test_long_numbers_in_json(shared, ledger, text, status):
    """As an unknown value they are read over; as a value they are out of range. Neither takes long."""
    [answer] = post_all(shared, "logs", [b'{"x":' + text.encode() + b"}"], JSON)
    assert answer.status == status
    body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":%s}]}]}]}' % text
    [answer] = post_all(shared, "logs", [body.encode()], JSON)
    check_refusal(answer, JSON)


def test_the_table_is_whole(shared):
    """Every message of the three signals was reached above."""
    found = {signal: {message.full_name for message, _ in distinct_paths(signal)} for signal in MAKERS}
    assert len(set().union(*found.values())) == 34
    assert export(shared, "grpc", "logs", b"").code == 0
