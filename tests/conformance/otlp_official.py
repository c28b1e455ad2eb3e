"""The official protobuf classes of OTLP, random messages of them, and our converter to hold against them."""
import base64
import math
import os
import pathlib
import struct
import subprocess

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BUILD = pathlib.Path(os.environ.get("OTOLITH_BUILD", pathlib.Path(__file__).parents[2] / "build"))
TOOL = str(BUILD / "tests" / "otlp_json_tool")
REQUESTS = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest}
ID_FIELDS = {"trace_id", "span_id", "parent_span_id"}
ID_NAMES = {"traceId", "spanId", "parentSpanId"}


def run_tool(command, signal, documents):
    """[(accepted, result bytes or error message)] of one process for all documents."""
    stream = b"".join(struct.pack(">I", len(document)) + document for document in documents)
    output = subprocess.run([TOOL, command, signal, "--frames"], input=stream, capture_output=True, check=True).stdout
    answers, at = [], 0
    while at < len(output):
        refused, size = struct.unpack_from(">BI", output, at)
        body = output[at + 5:at + 5 + size]
        answers.append((not refused, body.decode() if refused else body))
        at += 5 + size
    assert len(answers) == len(documents)
    return answers


def ids_to_hex(tree):
    """OTLP/JSON has trace and span ids in hex where protobuf's JSON has base64."""
    if isinstance(tree, dict):
        return {name: base64.b64decode(value).hex() if name in ID_NAMES else ids_to_hex(value)
                for name, value in tree.items()}
    return [ids_to_hex(value) for value in tree] if isinstance(tree, list) else tree


def official_tree(message):
    return ids_to_hex(MessageToDict(message, use_integers_for_enums=True))


TEXTS = ["", "a", "GET", "http.method", "naïve ☃ 𝄞", 'q"uo\\te', "tab\tnew\nline\x00\x1f\x7f", "/", "x" * 15, "y" * 16,
         "z" * 17, "é" * 40, "\u2028", "\uffff", "v" * 31, "v" * 32, "v" * 33,
         "w" * 200]
DOUBLES = [0.0, -0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, 1.7976931348623157e308, 1e21, 1e-7, 123456789.125, math.inf,
           -math.inf, math.nan, 2.0 ** 53, 1 / 3]
RANGES = {"int32": (-2 ** 31, 2 ** 31 - 1), "sint32": (-2 ** 31, 2 ** 31 - 1), "int64": (-2 ** 63, 2 ** 63 - 1),
          "sfixed64": (-2 ** 63, 2 ** 63 - 1), "uint32": (0, 2 ** 32 - 1), "fixed32": (0, 2 ** 32 - 1),
          "uint64": (0, 2 ** 64 - 1), "fixed64": (0, 2 ** 64 - 1)}
TYPES = {value: name[5:].lower() for name, value in vars(FieldDescriptor).items() if name.startswith("TYPE_")}


def random_scalar(field, random):
    kind = TYPES[field.type]
    if kind == "string":
        return random.choice(TEXTS)
    if kind == "bytes":
        return random.randbytes(random.choice([0, 1, 2, 3, 8, 16, 16, 16]))
    if kind == "bool":
        return random.random() < 0.5
    if kind == "double":
        return random.choice(DOUBLES) if random.random() < 0.5 else random.uniform(-1e6, 1e6)
    if kind == "enum":
        return random.choice([value.number for value in field.enum_type.values] + [77, -5])
    low, high = RANGES[kind]
    return random.choice([0, 1, low, high, random.randint(low, high), random.randint(0, 1000),
                          min(high, 1783772567123456789)])


def fill(message, random, depth=0):
    """Gives a random half of the fields random values."""
    for field in message.DESCRIPTOR.fields:
        if random.random() < (0.35 if depth < 7 else 0.6):
            continue
        if field.message_type:
            if depth > 9 and field.message_type.name in ("ArrayValue", "KeyValueList"):
                continue
            if field.is_repeated:
                for _ in range(random.choice([1, 1, 2, 3] if depth < 8 else [1])):
                    fill(getattr(message, field.name).add(), random, depth + 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(getattr(message, field.name), random, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(random_scalar(field, random) for _ in range(random.randrange(6)))
        else:
            setattr(message, field.name, random_scalar(field, random))
    return message
