"""src/otlp/otlp_schema.c against the descriptors of the official opentelemetry-proto package."""
import subprocess

from google.protobuf.descriptor import FieldDescriptor

from otlp_official import ID_FIELDS, REQUESTS, TOOL

TYPES = {value: name[5:].lower() for name, value in vars(FieldDescriptor).items() if name.startswith("TYPE_")}


def official_rows():
    rows, seen = set(), set()

    def walk(message):
        if message.full_name in seen:
            return
        seen.add(message.full_name)
        title = message.full_name.split(".v1.")[1]
        for field in message.fields:
            repeated = field.is_repeated
            kind = TYPES[field.type] + ("/hex" if field.name in ID_FIELDS else "")
            oneof = field.containing_oneof
            real_oneof = oneof is not None and not oneof.name.startswith("_")
            row = [title, field.number, field.json_name, kind, int(repeated), int(repeated and field.is_packed),
                   int(field.has_presence), int(real_oneof)]
            if field.message_type:
                row.append(field.message_type.full_name.split(".v1.")[1])
                walk(field.message_type)
            if field.enum_type:
                assert [value.number for value in field.enum_type.values] == list(range(len(field.enum_type.values)))
                row += [value.name for value in field.enum_type.values]
            rows.add(" ".join(str(cell) for cell in row))
    for request in REQUESTS.values():
        walk(request.DESCRIPTOR)
    return rows


def test_schema_is_the_official_one():
    ours = subprocess.run([TOOL, "schema"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(ours) == len(set(ours))
    assert set(ours) == official_rows()
