"""Our OTLP/JSON, both ways, against the official protobuf runtime."""
import base64
import copy
import json
import random

import pytest
from google.protobuf import json_format

from otlp_official import ID_NAMES, REQUESTS, fill, official_tree, run_tool

ROUNDS = 300


def messages(signal, seed, count=ROUNDS):
    source = random.Random(f"{signal} {seed}")
    return [fill(REQUESTS[signal](), source) for _ in range(count)]


def same(signal, ours, message):
    """Equal as messages; through the wire, because NaN differs from itself."""
    parsed = REQUESTS[signal].FromString(ours)
    return parsed.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


def with_names_shuffled(tree, source):
    if isinstance(tree, dict):
        names = list(tree)
        source.shuffle(names)
        return {name: with_names_shuffled(tree[name], source) for name in names}
    return [with_names_shuffled(value, source) for value in tree] if isinstance(tree, list) else tree


def with_unknown_names(tree, source):
    odd = [None, -1.5e+300, "\ud800 \u2603", {"a": [{"b": []}, 1e-7]}, [[[[{}]]]], True]
    if isinstance(tree, dict):
        found = {name: with_unknown_names(value, source) for name, value in tree.items()}
        found[source.choice(["zzz", "trace_id", "k", "", "\u00e9", "timeUnixNanoX", "timeUnixNan"])] = source.choice(odd)
        return with_names_shuffled(found, source) if source.random() < 0.2 else found
    return [with_unknown_names(value, source) for value in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize("signal", REQUESTS)
@pytest.mark.parametrize("style", ["compact", "pretty", "ascii", "shuffled", "unknown names"])
def test_json_reads_as_the_official_message(signal, style):
    sent = messages(signal, style)
    source = random.Random(style)
    documents = []
    for message in sent:
        tree = official_tree(message)
        if style == "shuffled":
            tree = with_names_shuffled(tree, source)
        if style == "unknown names":
            tree = with_unknown_names(tree, source)
        indent = 2 if style == "pretty" else None
        ascii_only = style in ("ascii", "unknown names")
        documents.append(json.dumps(tree, indent=indent, ensure_ascii=ascii_only).encode())
    for message, document, (accepted, result) in zip(sent, documents, run_tool("to-protobuf", signal, documents)):
        assert accepted, (result, document)
        assert same(signal, result, message), document


@pytest.mark.parametrize("signal", REQUESTS)
def test_json_is_written_as_the_official_runtime_writes_it(signal):
    sent = messages(signal, "write")
    for message, (accepted, result) in zip(sent, run_tool("to-json", signal, [m.SerializeToString() for m in sent])):
        assert accepted, result
        assert json.loads(result) == official_tree(message)


@pytest.mark.parametrize("signal", REQUESTS)
def test_repeated_and_reordered_protobuf_fields_merge(signal):
    """Two serialized messages joined are their merge, at the top and in every singular submessage."""
    source = random.Random("merge " + signal)
    joined, merged = [], []
    for one, two in zip(messages(signal, "one"), messages(signal, "two")):
        name = one.DESCRIPTOR.fields[0].name
        first = getattr(one, name)[0] if getattr(one, name) else getattr(one, name).add()
        second = getattr(two, name)[0] if getattr(two, name) else getattr(two, name).add()
        both = type(first).FromString(first.SerializeToString() + second.SerializeToString())
        merged.append(type(one)(**{name: [both]}))
        body = first.SerializeToString() + second.SerializeToString()
        size = len(body)
        head = b"\x0a"
        while size > 127:
            head += bytes([size & 127 | 128])
            size >>= 7
        joined.append(head + bytes([size]) + body)
    for message, (accepted, result) in zip(merged, run_tool("to-json", signal, joined)):
        assert accepted, result
        assert json.loads(result) == official_tree(message)


@pytest.mark.parametrize("signal", REQUESTS)
def test_damaged_protobuf_is_refused_when_the_official_runtime_refuses(signal):
    source = random.Random("damage " + signal)
    damaged = []
    for message in messages(signal, "damage"):
        data = bytearray(message.SerializeToString())
        for _ in range(source.choice([1, 1, 2])):
            if data:
                data[source.randrange(len(data))] = source.randrange(256)
        damaged.append(bytes(data[:source.randrange(len(data) + 1)] if source.random() < 0.3 else data))
    refused = stricter = 0
    for data, (accepted, result) in zip(damaged, run_tool("to-json", signal, damaged)):
        try:
            official = official_tree(REQUESTS[signal].FromString(data))
        except Exception:
            official = None
        if official is None:
            refused += 1
            assert not accepted, (data, result)
        elif not accepted:
            stricter += 1  # the official runtime lets field number 0 pass in a group that it does not know
        else:
            assert json.loads(result) == official, data
    assert refused > 20 and stricter < 3


WRONG = [None, True, False, 0, 1, -1, 1.0, 1.5, 1e3, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 63 - 1, 2 ** 63,
         2 ** 64 - 1, 2 ** 64, -2 ** 31, -2 ** 31 - 1, -2 ** 63, -2 ** 63 - 1, 1e20, -0.0, "", "abc", "0", "1", "-1", "1.5",
         "NaN", "Infinity", "-Infinity", "nan", "inf", "0x1", " 1", "1 ", "null", "true", "SPAN_KIND_CLIENT",
         "SEVERITY_NUMBER_INFO", "AGGREGATION_TEMPORALITY_DELTA", "STATUS_CODE_ERROR", "SPAN_KIND_NOPE", "AAE=", {}, [], [{}],
         [None], [1], ["1"], ["a"], [[]], {"values": []}, {"a": 1}]


def paths(tree, at=()):
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield at + (name,)
            yield from paths(value, at + (name,))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield at + (index,)
            yield from paths(value, at + (index,))


def replaced(tree, path, value):
    tree = copy.deepcopy(tree)
    holder = tree
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return tree


def ids_to_base64(tree):
    """For the official parser. ValueError for what is no id in hex."""
    if isinstance(tree, dict):
        found = {}
        for name, value in tree.items():
            if name in ID_NAMES and isinstance(value, str):
                if " " in value:
                    raise ValueError("space in an id")
                value = base64.b64encode(bytes.fromhex(value)).decode()
            found[name] = ids_to_base64(value)
        return found
    return [ids_to_base64(value) for value in tree] if isinstance(tree, list) else tree


def official_answer(signal, tree):
    try:
        message = REQUESTS[signal]()
        json_format.Parse(json.dumps(ids_to_base64(tree)), message, ignore_unknown_fields=True)
        return message
    except (json_format.ParseError, ValueError):
        return None


ENUM_NAMES = {"severityNumber", "kind", "code", "aggregationTemporality"}


def more_lenient_than_we(path, value, problem):
    """What the Python runtime takes and protobuf's JSON mapping does not have: it walks a string or an array in an
    object's place by its letters, takes an enum's value that it
    does not know for an unknown field, and a bool for a number."""
    if problem.endswith("not an object"):
        return isinstance(value, (str, list))
    if path[-1] in ENUM_NAMES:
        return True
    if isinstance(value, bool):
        return problem.endswith("not a number")
    return (value in ("nan", "inf", " 1", "1 ") and isinstance(value, str)) or \
        (path[-1] == "bytesValue" and isinstance(value, str) and set(value) & set(" .-"))


@pytest.mark.parametrize("signal", REQUESTS)
def test_wrong_types_at_every_field(signal):
    """Each value of WRONG at every path of a few messages: the official parser's verdict and content."""
    trees = [official_tree(message) for message in messages(signal, "types", 3)]
    seen, cases = set(), []
    for tree in trees:
        for path in paths(tree):
            shape = tuple(step for step in path if isinstance(step, str))[-2:] + (isinstance(path[-1], int),)
            if shape in seen:
                continue
            seen.add(shape)
            cases += [(path, value, replaced(tree, path, value)) for value in WRONG]
    answers = run_tool("to-protobuf", signal, [json.dumps(tree).encode() for _, _, tree in cases])
    refused, differences = 0, []
    for (path, value, tree), (accepted, result) in zip(cases, answers):
        official = official_answer(signal, tree)
        refused += not accepted
        if official is None and accepted or official is not None and not accepted:
            if not (official is not None and more_lenient_than_we(path, value, result)):
                differences.append((path, value, result))
        elif accepted and not same(signal, result, official):
            differences.append((path, value, "content"))
        if not accepted:
            assert str(path[0]) in result, result
    assert not differences, (len(differences), differences[:40])
    assert refused > len(cases) // 3


@pytest.mark.parametrize("signal", REQUESTS)
def test_lines_join(signal):
    parts = messages(signal, "lines", 20)
    text = "\n\r\n".join(json.dumps(official_tree(message)) for message in parts) + "\n \n"
    whole = REQUESTS[signal]()
    for message in parts:
        whole.MergeFrom(message)
    [(accepted, result)] = run_tool("lines-to-protobuf", signal, [text.encode()])
    assert accepted, result
    assert same(signal, result, whole)


def no_constant(name):
    raise ValueError(name)


def test_syntax_verdict_is_that_of_pythons_parser():
    """Documents damaged in a byte or two, as the value of an unknown field: only the syntax of JSON decides."""
    source = random.Random("syntax")
    snippets = [b'"', b"\\", b"\\u", b"\\u00e9", b"[", b"]", b"{", b"}", b",", b":", b"-", b".", b"e", b"0", b"1e5",
                b"null", b"tru", b" ", b"\n", b"\t", b"\x00", b"\x1f", b"\x7f", b"\x80", b"\xc3\xa9", b"\xed\xa0\x80",
                b"\xff", b"NaN", b"-Infinity", b"/"]
    cases = []
    for signal in REQUESTS:
        for message in messages(signal, "syntax", 120):
            text = json.dumps(official_tree(message), ensure_ascii=source.random() < 0.5)
            data = bytearray(text[:None if source.random() < 0.9 else 1500].encode())
            for _ in range(10):
                damaged = bytearray(data)
                for _ in range(source.choice([1, 1, 2])):
                    at = source.randrange(len(damaged) + 1)
                    damaged[at:at + source.randrange(3)] = source.choice(snippets)
                cases.append(b'{"x":' + bytes(damaged) + b"}")
    legal = 0
    for case, (accepted, result) in zip(cases, run_tool("to-protobuf", "logs", cases)):
        try:
            json.loads(case.decode(), parse_constant=no_constant)
            official = True
        except ValueError:  # UnicodeDecodeError is one
            official = False
        assert accepted == official, (case, result)
        legal += official
    assert len(cases) // 20 < legal < len(cases)
