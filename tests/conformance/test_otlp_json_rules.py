"""OTLP/JSON as the server takes it (rows of docs/CONFORMANCE.md); test_otlp_json.py holds the converter alone
against the official runtime, field by field."""

import base64
import json

import pytest

from exchange import http1, http1_request, names, stored
from otlp import JSON, logs, metrics, to_json, traces

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def post(server, document, signal="logs"):
    text = document if isinstance(document, (bytes, str)) else json.dumps(document)
    body = text if isinstance(text, bytes) else text.encode()
    [answer] = http1(server, [http1_request("/v1/" + signal, body, JSON)])
    return answer


def record(fields, name):
    """A request of one log record, from the text of its fields."""
    return (
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"name",'
        '"value":{"stringValue":"%s"}}]%s}]}]}]}' % (name, "," + fields if fields else "")
    )


def log_row(server, fields, columns):
    """What a log record of these fields is stored as."""
    name = next(names)
    answer = post(server, record(fields, name))
    assert answer.body == b"{}", answer.body
    [row] = server.sql(f"SELECT {columns} FROM otel_logs WHERE LogAttributes['name'] = '{name}'")
    return row


def refused(server, fields):
    name = next(names)
    answer = post(server, record(fields, name))
    assert answer.status == 400 and "byte" in answer.error.message, (fields, answer)
    assert stored(server, "logs", name) == 0
    return answer.error.message


def span_row(server, fields, columns):
    name = next(names)
    text = (
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"name","value":{"stringValue":"%s"}}],'
        '"traceId":"%s","spanId":"%s",%s}]}]}]}' % (name, TRACE, SPAN, fields)
    )
    assert post(server, text, "traces").body == b"{}"
    [row] = server.sql(f"SELECT {columns} FROM otel_traces WHERE SpanAttributes['name'] = '{name}'")
    return row


def test_c61_names_are_lower_camel_case_only(shared):
    row = log_row(
        shared, f'"trace_id":"{TRACE}","severity_text":"A","SeverityText":"B","severitytext":"C","span_id":7', "*"
    )
    assert row["TraceId"] == "" and row["SeverityText"] == "" and row["SpanId"] == ""
    assert post(shared, '{"resource_logs":7,"resourceLogs":[]}').body == b"{}"


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "7",
        "-1e999",
        '"\\u0000"',
        "[[[{}]]]",
        '{"a":{"b":[{"c":null}]}}',
        '""',
        "1" * 1000,
        "[" * 100 + "]" * 100,
    ],
)
def test_c62_unknown_names_are_ignored_at_every_level(shared, value):
    name = next(names)
    tree = json.loads(to_json(logs(1, name=name)))

    def grow(tree):
        if isinstance(tree, dict):
            return {"zzz": "@", **{key: grow(inner) for key, inner in tree.items()}}
        return [grow(inner) for inner in tree] if isinstance(tree, list) else tree

    assert post(shared, json.dumps(grow(tree)).replace('"@"', value)).body == b"{}"
    assert stored(shared, "logs", name) == 1


@pytest.mark.parametrize("text", [TRACE, TRACE.upper(), TRACE[:16].upper() + TRACE[16:]])
def test_c63_ids_are_hex_in_any_case(shared, text):
    row = log_row(shared, f'"traceId":"{text}","spanId":"{text[:16]}"', "TraceId, SpanId")
    assert row == {"TraceId": TRACE, "SpanId": TRACE[:16]}


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(bytes.fromhex(TRACE)).decode(),
        TRACE[:-1],
        "0x" + TRACE,
        TRACE[:-1] + "g",
        " " + TRACE,
        TRACE + "\\n",
        "\u00e9" * 16,
    ],
)
def test_c63_other_ids_are_refused(shared, text):
    assert "traceId" in refused(shared, f'"traceId":"{text}"')


def test_c63_ids_of_another_length_are_refused_alone(shared):
    for text in ("00", TRACE + "00", TRACE[:16]):
        answer = post(shared, record(f'"traceId":"{text}"', next(names)))
        assert json.loads(answer.body)["partialSuccess"]["rejectedLogRecords"] == "1"


@pytest.mark.parametrize("data", [b"", b"\0", b"\xfb\xff\xbe", bytes(range(256))])
def test_c64_other_bytes_are_base64_of_either_alphabet_padded_or_not(shared, data):
    standard = base64.b64encode(data).decode()
    for text in (
        standard,
        standard.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
    ):
        row = log_row(shared, f'"body":{{"bytesValue":"{text}"}}', "Body, BodyType")
        assert row == {"Body": standard, "BodyType": "y"}


@pytest.mark.parametrize("text", ["A", "AAAAA", "A===", "AB=C", "\u00e9", "AA AA", "!!!!"])
def test_c64_broken_base64_is_refused(shared, text):
    assert "bytesValue" in refused(shared, f'"body":{{"bytesValue":"{text}"}}')


@pytest.mark.parametrize(
    "text, value",
    [
        ("123", 123),
        ('"123"', 123),
        ("1.0", 1),
        ("1e3", 1000),
        ('"1e3"', 1000),
        ("-0", 0),
        ("12.5e1", 125),
        ('"9223372036854775807"', 2**63 - 1),
        ("9223372036854775807", 2**63 - 1),
        ('"-9223372036854775808"', -(2**63)),
        ("1000000000000000000e0", 10**18),
    ],
)
def test_c65_integers_are_strings_or_numbers(shared, text, value):
    row = log_row(shared, f'"body":{{"intValue":{text}}}', "Body, BodyType")
    assert row == {"Body": str(value), "BodyType": "i"}


@pytest.mark.parametrize(
    "text",
    [
        '"0x1"',
        "1.5",
        '"1.5"',
        '""',
        '" 1"',
        '"1 "',
        "9223372036854775808",
        "-9223372036854775809",
        "1e19",
        "true",
        "[]",
        "{}",
        '"NaN"',
        '"abc"',
        "1e400",
        '"+1"',
        '"01"',
    ],
)
def test_c65_what_is_no_integer_of_64_bits_is_refused(shared, text):
    assert "intValue" in refused(shared, f'"body":{{"intValue":{text}}}')


@pytest.mark.parametrize(
    "text, refuse",
    [
        ("18446744073709551615", False),
        ('"18446744073709551615"', False),
        ("0", False),
        ("18446744073709551616", True),
        ("-1", True),
        ("1.5", True),
    ],
)
def test_c65_times_are_unsigned(shared, text, refuse):
    if refuse:
        assert "timeUnixNano" in refused(shared, f'"timeUnixNano":{text}')
    else:
        log_row(shared, f'"timeUnixNano":{text}', "Timestamp")


@pytest.mark.parametrize(
    "text, value",
    [
        ("3", "Client"),
        ("0", "Unspecified"),
        ('"SPAN_KIND_CLIENT"', "Client"),
        ("77", "77"),
        ('"3"', "Client"),
        ("3.0", "Client"),
    ],
)
def test_c66_enums_are_integers_and_known_names_are_understood(shared, text, value):
    assert span_row(shared, f'"kind":{text}', "SpanKind") == {"SpanKind": value}


@pytest.mark.parametrize("text", ['"SPAN_KIND_NOPE"', '"Client"', '""', "1.5", "4294967296", "true", "[]"])
def test_c66_other_enums_are_refused(shared, text):
    span = f'{{"traceId":"{TRACE}","spanId":"{SPAN}","kind":{text}}}'
    body = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % span
    answer = post(shared, body, "traces")
    assert answer.status == 400 and "spans[0].kind" in answer.error.message


@pytest.mark.parametrize(
    "text, value",
    [
        ("1.5", "1.5"),
        ('"1.5"', "1.5"),
        ('"NaN"', "NaN"),
        ('"Infinity"', "Infinity"),
        ('"-Infinity"', "-Infinity"),
        ("-0.0", "-0"),
        ("1e308", "1e+308"),
        ("5e-324", "5e-324"),
        ("1e-400", "0"),
        ("3", "3"),
    ],
)
def test_c67_doubles(shared, text, value):
    row = log_row(shared, f'"body":{{"doubleValue":{text}}}', "Body, BodyType")
    assert row["BodyType"] == "d"
    if value == "NaN":
        assert row["Body"].lower() == "nan"
    else:
        assert float(row["Body"]) == float(value) and row["Body"].startswith("-") == value.startswith("-")


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", '"nan"', '"inf"', "1e400", '"1e400"', '""', "true", ".5", "5.", "+1"]
)
def test_c67_other_doubles_are_refused(shared, text):
    refused(shared, f'"body":{{"doubleValue":{text}}}')


def test_c68_null_is_the_default(shared):
    fields = '"timeUnixNano":null,"severityNumber":null,"severityText":null,"body":null,"traceId":null,"flags":null'
    row = log_row(
        shared, fields, "SeverityNumber, SeverityText, Body, BodyType, TraceId, TraceFlags, TimestampNanoOfMicro"
    )
    assert row == {
        "SeverityNumber": 0,
        "SeverityText": "",
        "Body": "",
        "BodyType": None,
        "TraceId": "",
        "TraceFlags": 0,
        "TimestampNanoOfMicro": None,
    }
    assert post(shared, '{"resourceLogs":null}').body == b"{}"
    assert post(shared, '{"resourceLogs":[{"resource":null,"scopeLogs":null}]}').body == b"{}"
    assert post(shared, "null").status == 400
    for text in ('{"resourceLogs":[null]}', '{"resourceLogs":[{"scopeLogs":[null]}]}'):
        assert post(shared, text).status == 400
    bounds = (
        '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m",'
        '"histogram":{"dataPoints":[{"explicitBounds":[null]}]}}]}]}'
        "]}"
    )
    assert post(shared, bounds, "metrics").status == 400


def test_c69_two_members_of_a_oneof_are_refused(shared):
    assert "body" in refused(shared, '"body":{"stringValue":"a","intValue":1}')
    refused(shared, '"body":{"stringValue":"a","stringValue":"b"}')


def test_c69_names_given_twice(shared):
    """The last of plain scalars counts; of objects, arrays and optional fields none is better than the other."""
    assert log_row(shared, '"severityText":"A","severityText":"B"', "SeverityText") == {"SeverityText": "B"}
    refused(shared, '"body":{},"body":{}')
    refused(shared, '"attributes":[],"attributes":[]')


def test_c63_metrics_and_traces_have_their_ids_in_hex_too(shared):
    request = metrics(1, name=next(names))
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    point.exemplars.add(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN), as_int=1)
    assert post(shared, to_json(request), "metrics").body == b"{}"
    [row] = shared.sql(
        "SELECT Exemplars[1].TraceId AS t, Exemplars[1].SpanId AS s FROM otel_metrics_gauge WHERE len(Exemplars) = 1"
    )
    assert row == {"t": TRACE, "s": SPAN}
    request = traces(1, name=next(names))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.parent_span_id = bytes.fromhex(SPAN)
    span.links.add(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN))
    assert post(shared, to_json(request), "traces").body == b"{}"
    [row] = shared.sql("SELECT ParentSpanId AS p, Links[1].TraceId AS t FROM otel_traces WHERE len(Links) = 1")
    assert row == {"p": SPAN, "t": TRACE}
