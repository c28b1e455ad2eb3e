"""Bytes that are nearly OTLP: real requests changed where the wire format has its seams."""

import random

from google.protobuf.descriptor import FieldDescriptor

VARINT, FIXED64, LENGTH, BEGIN, END, FIXED32 = range(6)


def varint(value, longer=0):
    """longer: bytes more than it needs."""
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80 or longer > 0:
        out.append(value & 0x7F | 0x80)
        if value < 0x80:
            longer -= 1
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def split(data):
    """The fields of a valid message: [number, kind, value]."""
    fields, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind == LENGTH:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            size = 8 if kind == FIXED64 else 4
            value, at = data[at : at + size], at + size
        fields.append([tag >> 3, kind, value])
    return fields


def oddities(data, kind):
    """What in a message's bytes decoders may judge differently: "text" that is no UTF-8, a field number "zero" in an unknown group,
    a "large" varint past 64 bits, a message that is there "twice" where one is due."""
    found, at, groups, seen = set(), 0, 0, set()
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0 and groups:
            found.add("zero")
        if wire in (BEGIN, END):
            groups += 1 if wire == BEGIN else -1
        elif wire == LENGTH:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
            field = None if groups else kind.fields_by_number.get(number)
            if field and field.message_type and not field.is_repeated:
                found |= {"twice"} if number in seen else set()
                seen.add(number)
            if field and field.message_type:
                found |= oddities(value, field.message_type)
            elif field and field.type == FieldDescriptor.TYPE_STRING:
                try:
                    value.decode()
                except UnicodeDecodeError:
                    found.add("text")
        else:
            value, at = read_varint(data, at) if wire == VARINT else (0, at + (8 if wire == FIXED64 else 4))
            if value >= 2**64:
                found.add("large")
    return found


# Which fields lead to the items.
WAYS = {"logs": [{1}, {2}, {2}], "traces": [{1}, {2}, {2}], "metrics": [{1}, {2}, {2}, {5, 7, 9, 10, 11}, {1}]}


def with_items_only(data, way):
    """Without the groups that hold no item; None when that is all."""
    fields, found = [], not way
    for number, wire, value in split(data) if way else []:
        if number in way[0] and wire == LENGTH:
            value = with_items_only(value, way[1:])
            if value is None:
                continue
            found = True
        fields.append([number, wire, value])
    return None if not found else join(fields) if way else data


def join(fields):
    return b"".join(one(*field) for field in fields)


def one(number, kind, value):
    tag = varint(number << 3 | kind)
    if kind == VARINT:
        return tag + (value if isinstance(value, bytes) else varint(value))
    if kind == LENGTH:
        return tag + varint(len(value)) + value
    return tag + value


class Mutator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def change(self, message) -> bytes:
        data = message.SerializeToString()
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            try:
                data = self.within(data, message.DESCRIPTOR)
            except (IndexError, ValueError):  # changed already so that it cannot be read any more
                break
        return data if self.random.random() < 0.8 else self.rough(data)

    def within(self, data, kind):
        """Goes down into a message at random, and changes something there."""
        fields = split(data)
        inner = [i for i, (number, wire, _) in enumerate(fields)
                 if wire == LENGTH and number in kind.fields_by_number and kind.fields_by_number[number].message_type]
        if inner and self.random.random() < 0.85:
            i = self.random.choice(inner)
            fields[i][2] = self.within(fields[i][2], kind.fields_by_number[fields[i][0]].message_type)
            return join(fields)
        return self.here(fields, kind)

    def here(self, fields, kind):
        rnd = self.random
        i = rnd.randrange(len(fields)) if fields else 0
        if not fields:
            return self.unknown()
        number, wire, value = fields[i]
        ways = [
            lambda: join(fields[:i] + fields[i + 1 :]),
            lambda: join([*fields, fields[i]]),
            lambda: join(rnd.sample(fields, len(fields))),
            lambda: join(fields[:i]) + self.unknown() + join(fields[i:]),
            lambda: self.with_one(fields, i, rnd.choice([number + 1, max(number - 1, 0), 0, 15, 16, 2**29 - 1, 2**29]), wire, value),
            lambda: self.with_one(fields, i, number, *self.retyped(value)),
            lambda: self.broken(fields, i),
            lambda: self.parted(fields, i, kind),
            lambda: self.repacked(fields, i, kind),
        ]
        if wire == VARINT:
            ways += [lambda: self.with_one(fields, i, number, wire, varint(value, rnd.choice([1, 3, 9 - len(varint(value))]))),
                     lambda: self.with_one(fields, i, number, wire, rnd.choice([0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1]))]
        if wire == LENGTH:
            ways += [lambda: self.with_one(fields, i, number, wire, value[: rnd.randrange(len(value) + 1)]),
                     lambda: self.with_one(fields, i, number, wire, value + rnd.choice([b"\0", b"\xff", b"x" * 40])),
                     lambda: self.with_one(fields, i, number, wire, b""),
                     lambda: self.with_one(fields, i, number, wire, rnd.randbytes(rnd.randrange(20)))]
        return rnd.choice(ways)()

    @staticmethod
    def with_one(fields, i, number, wire, value):
        return join([*fields[:i], [number, wire, value], *fields[i + 1 :]])

    def retyped(self, value):
        rnd = self.random
        return rnd.choice([(VARINT, rnd.getrandbits(64)), (FIXED64, rnd.randbytes(8)), (FIXED32, rnd.randbytes(4)),
                           (LENGTH, value if isinstance(value, bytes) else rnd.randbytes(5))])

    def unknown(self):
        rnd = self.random
        number = rnd.choice([99, 1000, 2**29 - 1])
        group = varint(number << 3 | BEGIN) + one(1, VARINT, 7) + varint(number << 3 | END)
        return rnd.choice([one(number, VARINT, 5), one(number, FIXED64, bytes(8)), one(number, FIXED32, bytes(4)),
                           one(number, LENGTH, b"what"), group, varint(number << 3 | BEGIN) + group + varint(number << 3 | END),
                           varint(number << 3 | BEGIN), varint(number << 3 | END), varint(number << 3 | 6), varint(number << 3 | 7)])

    def broken(self, fields, i):
        """One field's own bytes are damaged: its length, its tag."""
        number, wire, value = fields[i]
        rnd = self.random
        tag = rnd.choice([varint(number << 3 | wire, 2), varint((number << 3 | wire) + 2**32), varint(number << 3 | wire, 4)])
        damaged = tag + one(number, wire, value)[len(varint(number << 3 | wire)) :]
        if wire == LENGTH and rnd.random() < 0.6:
            size = rnd.choice([len(value) + 1, max(len(value) - 1, 0), 2**31, 2**32, 2**64 - 1])
            damaged = varint(number << 3 | wire) + varint(size) + value
        return join(fields[:i]) + damaged + join(fields[i + 1 :])

    def parted(self, fields, i, kind):
        """A message in two parts, which are one message."""
        number, wire, value = fields[i]
        field = kind.fields_by_number.get(number)
        if wire != LENGTH or not field or not field.message_type:
            return join(fields)
        inner = split(value)
        at = self.random.randrange(len(inner) + 1)
        return join([*fields[:i], [number, LENGTH, join(inner[:at])], *fields[i + 1 :], [number, LENGTH, join(inner[at:])]])

    def repacked(self, fields, i, kind):
        """Repeated numbers one by one, or together."""
        number, wire, value = fields[i]
        field = kind.fields_by_number.get(number)
        if not field or not field.is_repeated or field.message_type or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            return join(fields)
        if wire != LENGTH:
            return join([*fields[:i], [number, LENGTH, one(1, wire, value)[1:]], *fields[i + 1 :]])
        if field.type in (FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_SFIXED64):
            parts = [[number, FIXED64, value[at : at + 8]] for at in range(0, len(value) - 7, 8)]
        else:
            parts, at = [], 0
            while at < len(value):
                part, at = read_varint(value, at)
                parts.append([number, VARINT, part])
        return join([*fields[:i], *parts, *fields[i + 1 :]])

    def rough(self, data):
        rnd, data = self.random, bytearray(data)
        for _ in range(rnd.choice([1, 1, 2, 5])):
            if data:
                data[rnd.randrange(len(data))] = rnd.choice([0, 0x7F, 0x80, 0xFF, rnd.randrange(256)])
        return bytes(data[: rnd.randrange(len(data) + 1)] if rnd.random() < 0.3 else data)
