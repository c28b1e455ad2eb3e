"""Bytes that are OTLP, nearly OTLP or nothing at all: our decoder takes and refuses what the official protobuf does, and what it takes
comes back as the same rows. The inputs are changed requests and what the fuzzers found.

OTOLITH_DIFFERENTIAL_REQUESTS: how many changed requests a signal (600). OTOLITH_FUZZ_CORPUS: a folder of more inputs, as libFuzzer
keeps them, each with a byte for the signal first.
"""

import collections
import os
import pathlib
import struct
import subprocess

import pytest
from google.protobuf.message import DecodeError

import otlp_random
from harness import ROOT
from otlp_mutations import WAYS, Mutator, oddities, with_items_only

REQUESTS = int(os.environ.get("OTOLITH_DIFFERENTIAL_REQUESTS") or 600)
SIGNALS = list(otlp_random.REQUESTS)
ANSWER = struct.Struct(">BIIII")
Answer = collections.namedtuple("Answer", "refused accepted rejected repaired content")


def ours(build_folder, signal, inputs):
    stream = b"".join(struct.pack(">I", len(data)) + data for data in inputs)
    done = subprocess.run([build_folder / "tests/otlp_rows_tool", signal], input=stream, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers, at = [], 0
    while at < len(done.stdout):
        refused, accepted, rejected, repaired, size = ANSWER.unpack_from(done.stdout, at)
        at += ANSWER.size
        answers.append(Answer(refused, accepted, rejected, repaired, done.stdout[at : at + size]))
        at += size
    assert len(answers) == len(inputs)
    return answers


def official(signal, data):
    """The message, without what it does not know; None when it is refused."""
    try:
        message = otlp_random.REQUESTS[signal].FromString(data)
    except DecodeError:
        return None
    message.DiscardUnknownFields()
    forget_profiles(message)
    return message


def forget_profiles(message):
    """Decided: the fields that belong to profiles alone mean nothing elsewhere."""
    for field, value in message.ListFields():
        if field.name in otlp_random.OF_PROFILES:
            message.ClearField(field.name)
        elif field.message_type:
            for one in value if field.is_repeated else [value]:
                forget_profiles(one)


def has(signal, data, oddity):
    try:
        return oddity in oddities(data, otlp_random.REQUESTS[signal].DESCRIPTOR)
    except IndexError:  # cut off: nothing that only one of the two minds
        return False


def difference(signal, data, answer):
    """What is wrong with our answer; None for nothing."""
    message = official(signal, data)
    if message is None:
        # Decided: text that is no UTF-8 is repaired, not refused.
        if answer.refused or has(signal, data, "text"):
            return None
        # Decided: of a value that comes twice only what counts is looked into.
        if has(signal, data, "twice"):
            return None
        # Decided: the rest of an item that is rejected (one with bad ids) is not looked into, and groups without an item are left out.
        if answer.rejected:
            return None
        smaller = with_items_only(data, WAYS[signal]) or b""
        if smaller != data:
            return difference(signal, smaller, answer)
        return "taken, though the official decoder refuses it"
    if answer.refused:
        # Decided: a known field of another wire type is an error, as for the Collector; the official decoder takes it for an unknown
        # one. So are a field number 0 within an unknown group, which the official decoder does not look into, and a number past 64
        # bits, which it cuts.
        if "wrong wire type" in answer.content.decode() or has(signal, data, "zero") or has(signal, data, "large"):
            return None
        return f"refused: {answer.content.decode()}"
    expected = otlp_random.row_counts(signal, [message])
    if answer.accepted + answer.rejected != expected.total():
        return f"{answer.accepted} + {answer.rejected} items of {expected.total()}"
    got = otlp_random.row_counts(signal, [otlp_random.REQUESTS[signal].FromString(answer.content)])
    if got.total() != answer.accepted:
        return f"{answer.accepted} accepted, {got.total()} came back"
    # Decided: items with ids of a wrong length are rejected by count, the others kept.
    if answer.rejected == 0 and got != expected or got - expected:
        return f"other rows came back:\n{list(got - expected)[:2]}\nfor\n{list(expected - got)[:2]}"
    return None


def compare(build_folder, signal, inputs):
    wrong, official_refusals = [], 0
    for data, answer in zip(inputs, ours(build_folder, signal, inputs)):
        official_refusals += official(signal, data) is None
        problem = difference(signal, data, answer)
        if problem:
            wrong.append(f"{data.hex()}: {problem}"[:2000])
    assert not wrong, f"{len(wrong)} of {len(inputs)} differ\n" + "\n".join(sorted(wrong, key=len)[:5])
    return official_refusals


@pytest.mark.timeout(max(300, REQUESTS // 10))
@pytest.mark.parametrize("signal", SIGNALS)
def test_changed_requests_are_taken_and_refused_as_officially(build_folder, signal):
    maker, mutator = otlp_random.Maker(f"differential {signal}"), Mutator(signal)
    inputs = [mutator.change(maker.request(signal)) for _ in range(REQUESTS)]
    refused = compare(build_folder, signal, inputs)
    assert REQUESTS / 20 < refused < REQUESTS * 19 / 20


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_the_fuzzers_found_is_taken_and_refused_as_officially(build_folder, signal):
    folders = [ROOT / "fuzz/corpus/otlp_decode", ROOT / "fuzz/corpus/otlp_roundtrip", ROOT / "fuzz/corpus/otlp_json"]
    if more := os.environ.get("OTOLITH_FUZZ_CORPUS"):
        folders.append(pathlib.Path(more))
    contents = [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]
    inputs = [content[1:] for content in contents if content and content[0] % 3 == SIGNALS.index(signal)]
    compare(build_folder, signal, inputs)
