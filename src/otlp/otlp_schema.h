// The messages of OTLP 1.11 (opentelemetry-proto), one description each, in the order of the .proto
// files. JSON is read and written by this table alone. Checked against the official descriptors by
// tests/conformance/test_otlp_schema.py. Constant data: any thread.
#ifndef OTO_OTLP_SCHEMA_H
#define OTO_OTLP_SCHEMA_H

#include "telemetry/signal.h"
#include <stdint.h>

// Types of protobuf, one more for the bytes that JSON has in hex.
enum oto_otlp_type {
    OTO_OTLP_STRING,
    OTO_OTLP_BYTES,
    OTO_OTLP_ID, // bytes; trace and span ids
    OTO_OTLP_BOOL,
    OTO_OTLP_INT32,
    OTO_OTLP_UINT32,
    OTO_OTLP_INT64,
    OTO_OTLP_UINT64,
    OTO_OTLP_SINT32, // zigzag
    OTO_OTLP_FIXED32,
    OTO_OTLP_FIXED64,
    OTO_OTLP_SFIXED64,
    OTO_OTLP_DOUBLE,
    OTO_OTLP_ENUM,
    OTO_OTLP_MESSAGE,
};

enum oto_otlp_flag {
    OTO_OTLP_REPEATED = 1,
    OTO_OTLP_PACKED = 2,
    OTO_OTLP_PRESENCE = 4, // a zero differs from nothing: optional, or a member of a oneof
};

#define OTO_OTLP_NAME_MAX 22
#define OTO_OTLP_FIELDS_MAX 16 // of one message

struct oto_otlp_message;

// An enum's names; the values are 0, 1, 2 …
struct oto_otlp_enum {
    const char *const *names;
    uint32_t count;
};

struct oto_otlp_field {
    char name[OTO_OTLP_NAME_MAX + 2]; // lowerCamelCase, with the quote that ends it in JSON
    uint8_t name_size;                // without the quote
    uint8_t number;
    uint8_t type;  // enum oto_otlp_type
    uint8_t flags; // of enum oto_otlp_flag
    uint8_t oneof; // 1 for a member of the message's oneof, else 0
    union {
        const struct oto_otlp_message *message;
        const struct oto_otlp_enum *names;
    };
};

struct oto_otlp_message {
    const char *name; // as in the .proto file, without its package
    const struct oto_otlp_field *fields;
    uint8_t field_count;
    uint8_t index; // among all messages
};

#define OTO_OTLP_MESSAGE_COUNT 34
#define OTO_OTLP_ANY_VALUE 2 // indexes of the messages that are most of every request
#define OTO_OTLP_KEY_VALUE 3

// The Export<Signal>ServiceRequest of a signal.
const struct oto_otlp_message *oto_otlp_request(enum oto_signal signal);

// Wire type of one value of a type (enum oto_pb_wire).
uint32_t oto_otlp_wire(enum oto_otlp_type type);

#endif
