// A small FlatBuffers builder, enough for Arrow's messages. It writes front to back: a table first,
// then what its offset fields point to, each patched into the slot that refers to it (FlatBuffers
// only asks that offsets point forward). Positions are relative to the start of the message. Errors
// are sticky, so a sequence of calls is checked once at its end by oto_flat_finish. Belongs to one
// thread.
#ifndef OTO_WIRE_FLATBUFFERS_H
#define OTO_WIRE_FLATBUFFERS_H

#include "base/bytes.h"

struct oto_flat_writer {
    struct oto_buffer *output; // borrowed
    size_t start;              // where the message begins in output
    enum oto_status status;
};

// One field of a table: size_bytes 0 leaves it out, 1, 2, 4 and 8 hold a scalar.
struct oto_flat_slot {
    uint8_t size_bytes;
    uint8_t is_offset; // 1: four bytes to be pointed at something later
    uint64_t value;
};
#define OTO_FLAT_SCALAR(size, number) ((struct oto_flat_slot){(size), 0, (uint64_t)(number)})
#define OTO_FLAT_OFFSET ((struct oto_flat_slot){4, 1, 0})
#define OTO_FLAT_ABSENT ((struct oto_flat_slot){0, 0, 0})
#define OTO_FLAT_SLOTS_MAX 16

// Begins a message at output's end, which must be a multiple of 8 from where readers will see byte
// 0. Returns the reference (position of an offset) of the root table.
size_t oto_flat_begin(struct oto_flat_writer *w, struct oto_buffer *output);

// Appends a table and points `reference` at it. Slots stand in the order of the schema. Returns its
// position.
size_t oto_flat_table(struct oto_flat_writer *w, size_t reference,
                      const struct oto_flat_slot *slots, size_t count);
// The reference of a slot that was written as OTO_FLAT_OFFSET.
size_t oto_flat_reference(const struct oto_flat_writer *w, size_t table, size_t slot);

// Appends a string (a NUL follows its bytes) and points `reference` at it.
void oto_flat_string(struct oto_flat_writer *w, size_t reference, struct oto_bytes text);
// Appends a vector of count zeroed elements, aligned to `alignment`, and points `reference` at it.
// Returns the position of the first element: for a vector of tables, element i is the reference at
// that position + 4 * i.
size_t oto_flat_vector(struct oto_flat_writer *w, size_t reference, size_t element_size,
                       size_t count, size_t alignment);
// Writes the bytes of an element of a vector.
void oto_flat_store(struct oto_flat_writer *w, size_t position, const void *data, size_t size);

// Pads the message to a multiple of 8. OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_flat_finish(struct oto_flat_writer *w);

#endif
