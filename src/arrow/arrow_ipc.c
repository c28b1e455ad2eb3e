#include "arrow/arrow_ipc.h"

#include "wire/flatbuffers.h"
#include <stdlib.h>

#define DEPTH_MAX 64
#define VERSION_V5 4
#define HEADER_SCHEMA 1
#define HEADER_BATCH 3

// --- formats: "i", "u", "tsu:UTC", "+l" … ---

// clang-format off
enum flat_type { // Arrow's Schema.fbs, union Type
    FLAT_NULL = 1, FLAT_INT, FLAT_FLOAT, FLAT_BINARY, FLAT_UTF8, FLAT_BOOL, FLAT_DECIMAL, FLAT_DATE, FLAT_TIME, FLAT_TIMESTAMP,
    FLAT_INTERVAL, FLAT_LIST, FLAT_STRUCT, FLAT_UNION, FLAT_FIXED_BINARY, FLAT_FIXED_LIST, FLAT_MAP, FLAT_DURATION,
    FLAT_LARGE_BINARY, FLAT_LARGE_UTF8, FLAT_LARGE_LIST
};
// clang-format on

enum layout {
    LAYOUT_NONE,
    LAYOUT_BITS,
    LAYOUT_FIXED,
    LAYOUT_TEXT,
    LAYOUT_LARGE_TEXT,
    LAYOUT_LIST,
    LAYOUT_LARGE_LIST,
    LAYOUT_STRUCT
};

struct kind {
    enum flat_type type;
    enum layout layout;
    uint32_t width; // bytes of a LAYOUT_FIXED value
    // The fields of the type's table, in its order; slot_count of them. An offset slot holds
    // `zone`.
    struct oto_flat_slot slots[3];
    size_t slot_count;
    const char *zone;
};

struct plain {
    char letter;
    enum flat_type type;
    enum layout layout;
    uint32_t width;
    uint32_t first, second; // slots: bit width and sign, or precision
};

static const struct plain plain_formats[] = {
    {'n', FLAT_NULL, LAYOUT_NONE, 0, 0, 0},
    {'b', FLAT_BOOL, LAYOUT_BITS, 0, 0, 0},
    {'c', FLAT_INT, LAYOUT_FIXED, 1, 8, 1},
    {'C', FLAT_INT, LAYOUT_FIXED, 1, 8, 0},
    {'s', FLAT_INT, LAYOUT_FIXED, 2, 16, 1},
    {'S', FLAT_INT, LAYOUT_FIXED, 2, 16, 0},
    {'i', FLAT_INT, LAYOUT_FIXED, 4, 32, 1},
    {'I', FLAT_INT, LAYOUT_FIXED, 4, 32, 0},
    {'l', FLAT_INT, LAYOUT_FIXED, 8, 64, 1},
    {'L', FLAT_INT, LAYOUT_FIXED, 8, 64, 0},
    {'e', FLAT_FLOAT, LAYOUT_FIXED, 2, 0, 0},
    {'f', FLAT_FLOAT, LAYOUT_FIXED, 4, 1, 0},
    {'g', FLAT_FLOAT, LAYOUT_FIXED, 8, 2, 0},
    {'z', FLAT_BINARY, LAYOUT_TEXT, 0, 0, 0},
    {'Z', FLAT_LARGE_BINARY, LAYOUT_LARGE_TEXT, 0, 0, 0},
    {'u', FLAT_UTF8, LAYOUT_TEXT, 0, 0, 0},
    {'U', FLAT_LARGE_UTF8, LAYOUT_LARGE_TEXT, 0, 0, 0},
};

static int parse_plain(const char *format, struct kind *kind)
{
    if (format[0] == 0 || format[1] != 0)
        return 0;
    for (size_t i = 0; i < sizeof(plain_formats) / sizeof(plain_formats[0]); i++) {
        const struct plain *p = &plain_formats[i];
        if (p->letter != format[0])
            continue;
        *kind = (struct kind){.type = p->type, .layout = p->layout, .width = p->width};
        if (p->type == FLAT_INT) {
            kind->slots[kind->slot_count++] = OTO_FLAT_SCALAR(4, p->first);
            kind->slots[kind->slot_count++] = OTO_FLAT_SCALAR(1, p->second);
        } else if (p->type == FLAT_FLOAT) {
            kind->slots[kind->slot_count++] = OTO_FLAT_SCALAR(2, p->first);
        }
        return 1;
    }
    return 0;
}

static void set_fixed(struct kind *kind, enum flat_type type, uint32_t width,
                      struct oto_flat_slot first)
{
    *kind = (struct kind){
        .type = type, .layout = LAYOUT_FIXED, .width = width, .slots = {first}, .slot_count = 1};
}

// s, m, u, n -> 0, 1, 2, 3; -1 for another letter.
static int unit_of(char letter)
{
    const char *units = "smun";
    const char *at = letter ? strchr(units, letter) : NULL;
    return at ? (int)(at - units) : -1;
}

static int parse_time(const char *format, struct kind *kind)
{
    int unit = unit_of(format[2]);
    switch (format[1]) {
    case 'd': // tdD days, tdm milliseconds
        set_fixed(kind, FLAT_DATE, format[2] == 'D' ? 4 : 8, OTO_FLAT_SCALAR(2, format[2] != 'D'));
        return format[2] == 'D' || format[2] == 'm';
    case 't':
        set_fixed(kind, FLAT_TIME, unit < 2 ? 4 : 8, OTO_FLAT_SCALAR(2, unit));
        kind->slots[kind->slot_count++] = OTO_FLAT_SCALAR(4, unit < 2 ? 32 : 64);
        return unit >= 0;
    case 's':
        set_fixed(kind, FLAT_TIMESTAMP, 8, OTO_FLAT_SCALAR(2, unit));
        if (unit < 0 || format[3] != ':')
            return 0;
        if (format[4]) {
            kind->slots[kind->slot_count++] = OTO_FLAT_OFFSET;
            kind->zone = format + 4;
        }
        return 1;
    case 'D':
        set_fixed(kind, FLAT_DURATION, 8, OTO_FLAT_SCALAR(2, unit));
        return unit >= 0;
    case 'i': // months, days and milliseconds, months with days and nanoseconds
        set_fixed(kind, FLAT_INTERVAL,
                  format[2] == 'M'   ? 4
                  : format[2] == 'D' ? 8
                                     : 16,
                  OTO_FLAT_SCALAR(2, format[2] == 'M'   ? 0
                                     : format[2] == 'D' ? 1
                                                        : 2));
        return format[2] == 'M' || format[2] == 'D' || format[2] == 'n';
    default:
        return 0;
    }
}

// "d:precision,scale[,bits]"
static int parse_decimal(const char *format, struct kind *kind)
{
    char *at;
    if (format[1] != ':')
        return 0;
    unsigned long precision = strtoul(format + 2, &at, 10);
    if (*at != ',')
        return 0;
    long scale = strtol(at + 1, &at, 10);
    unsigned long bits = *at == ',' ? strtoul(at + 1, &at, 10) : 128;
    if (*at || (bits != 32 && bits != 64 && bits != 128 && bits != 256))
        return 0;
    set_fixed(kind, FLAT_DECIMAL, (uint32_t)bits / 8, OTO_FLAT_SCALAR(4, precision));
    kind->slots[kind->slot_count++] = OTO_FLAT_SCALAR(4, (uint32_t)scale);
    kind->slots[kind->slot_count++] = OTO_FLAT_SCALAR(4, bits);
    return 1;
}

static int parse_nested(const struct ArrowSchema *schema, struct kind *kind)
{
    const char *format = schema->format;
    *kind = (struct kind){.type = FLAT_STRUCT, .layout = LAYOUT_STRUCT};
    switch (format[1]) {
    case 's':
        return 1;
    case 'l':
        *kind = (struct kind){.type = FLAT_LIST, .layout = LAYOUT_LIST};
        return schema->n_children == 1;
    case 'L':
        *kind = (struct kind){.type = FLAT_LARGE_LIST, .layout = LAYOUT_LARGE_LIST};
        return schema->n_children == 1;
    case 'm':
        *kind = (struct kind){.type = FLAT_MAP, .layout = LAYOUT_LIST, .slot_count = 1};
        kind->slots[0] = OTO_FLAT_SCALAR(1, (schema->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0);
        return schema->n_children == 1;
    case 'w': // only validity of its own, as a struct
        kind->type = FLAT_FIXED_LIST;
        kind->slots[kind->slot_count++] =
            OTO_FLAT_SCALAR(4, format[2] == ':' ? strtoul(format + 3, NULL, 10) : 0);
        return format[2] == ':' && schema->n_children == 1;
    default:
        return 0;
    }
}

static int parse_fixed_binary(const char *format, struct kind *kind)
{
    if (format[1] != ':')
        return 0;
    uint32_t width = (uint32_t)strtoul(format + 2, NULL, 10);
    set_fixed(kind, FLAT_FIXED_BINARY, width, OTO_FLAT_SCALAR(4, width));
    return 1;
}

static enum oto_status parse_format(const struct ArrowSchema *schema, struct kind *kind,
                                    struct oto_error *err)
{
    const char *format = schema->format;
    int known = !schema->dictionary &&
                (parse_plain(format, kind) ||
                 (format[0] == 't' && format[1] && format[2] && parse_time(format, kind)) ||
                 (format[0] == 'd' && parse_decimal(format, kind)) ||
                 (format[0] == 'w' && parse_fixed_binary(format, kind)) ||
                 (format[0] == '+' && parse_nested(schema, kind)));
    if (known)
        return OTO_OK;
    return oto_error_set(
        err, OTO_UNSUPPORTED,
        "column %s has a type that Arrow streams are not given in (%s%s): cast it to VARCHAR",
        schema->name ? schema->name : "", format, schema->dictionary ? ", a dictionary" : "");
}

// --- the schema ---

// The interface's metadata: count, then for each key and value its size and bytes.
static void write_metadata(struct oto_flat_writer *w, size_t reference, const char *metadata)
{
    int32_t count, size;
    memcpy(&count, metadata, 4);
    const char *at = metadata + 4;
    size_t vector = oto_flat_vector(w, reference, 4, (size_t)count, 4);
    for (int32_t i = 0; i < count; i++) {
        const struct oto_flat_slot slots[2] = {OTO_FLAT_OFFSET, OTO_FLAT_OFFSET};
        size_t table = oto_flat_table(w, vector + 4 * (size_t)i, slots, 2);
        for (size_t slot = 0; slot < 2; slot++) {
            memcpy(&size, at, 4);
            oto_flat_string(w, oto_flat_reference(w, table, slot), oto_bytes(at + 4, (size_t)size));
            at += 4 + size;
        }
    }
}

static int has_metadata(const struct ArrowSchema *schema)
{
    int32_t count = 0;
    if (schema->metadata)
        memcpy(&count, schema->metadata, 4);
    return count > 0;
}

static enum oto_status write_field(struct oto_flat_writer *w, size_t reference,
                                   const struct ArrowSchema *schema, unsigned depth,
                                   struct oto_error *err)
{
    struct kind kind;
    if (depth > DEPTH_MAX)
        return oto_error_set(err, OTO_TOO_LARGE, "a column is nested too deeply");
    OTO_TRY(parse_format(schema, &kind, err));
    int metadata = has_metadata(schema);
    const struct oto_flat_slot slots[7] = {
        OTO_FLAT_OFFSET,
        OTO_FLAT_SCALAR(1, (schema->flags & ARROW_FLAG_NULLABLE) != 0),
        OTO_FLAT_SCALAR(1, kind.type),
        OTO_FLAT_OFFSET,
        OTO_FLAT_ABSENT,
        OTO_FLAT_OFFSET,
        metadata ? OTO_FLAT_OFFSET : OTO_FLAT_ABSENT};
    size_t table = oto_flat_table(w, reference, slots, metadata ? 7 : 6);
    oto_flat_string(w, oto_flat_reference(w, table, 0),
                    oto_bytes_text(schema->name ? schema->name : ""));
    size_t type = oto_flat_table(w, oto_flat_reference(w, table, 3), kind.slots, kind.slot_count);
    if (kind.zone)
        oto_flat_string(w, oto_flat_reference(w, type, 1), oto_bytes_text(kind.zone));
    size_t children =
        oto_flat_vector(w, oto_flat_reference(w, table, 5), 4, (size_t)schema->n_children, 4);
    for (int64_t i = 0; i < schema->n_children; i++)
        OTO_TRY(write_field(w, children + 4 * (size_t)i, schema->children[i], depth + 1, err));
    if (metadata)
        write_metadata(w, oto_flat_reference(w, table, 6), schema->metadata);
    return OTO_OK;
}

// Begins a message: the marks before it and its table. Returns the reference of its header.
static enum oto_status begin_message(struct oto_flat_writer *w, struct oto_buffer *output,
                                     unsigned header, uint64_t body_size, size_t *ret_reference)
{
    OTO_TRY(oto_buffer_append(output, "\xff\xff\xff\xff\0\0\0\0", 8));
    size_t root = oto_flat_begin(w, output);
    const struct oto_flat_slot slots[4] = {OTO_FLAT_SCALAR(2, VERSION_V5),
                                           OTO_FLAT_SCALAR(1, header), OTO_FLAT_OFFSET,
                                           OTO_FLAT_SCALAR(8, body_size)};
    size_t message = oto_flat_table(w, root, slots, 4);
    *ret_reference = oto_flat_reference(w, message, 2);
    return OTO_OK;
}

static enum oto_status finish_message(struct oto_flat_writer *w, struct oto_buffer *output,
                                      size_t start, struct oto_error *err)
{
    enum oto_status status = oto_flat_finish(w);
    if (status < 0)
        return oto_error_set(err, status, "an Arrow message does not fit into memory");
    oto_store32(output->data + start + 4, (uint32_t)(output->size - start - 8));
    return OTO_OK;
}

enum oto_status oto_arrow_ipc_schema(const struct ArrowSchema *schema, struct oto_buffer *output,
                                     struct oto_error *err)
{
    struct oto_flat_writer w;
    size_t start = output->size, header;
    if (!schema->format || strcmp(schema->format, "+s") != 0)
        return oto_error_set(err, OTO_INVALID, "a stream's schema is a struct");
    OTO_TRY(begin_message(&w, output, HEADER_SCHEMA, 0, &header));
    const struct oto_flat_slot slots[2] = {OTO_FLAT_SCALAR(2, 0), OTO_FLAT_OFFSET};
    size_t table = oto_flat_table(&w, header, slots, 2);
    size_t fields =
        oto_flat_vector(&w, oto_flat_reference(&w, table, 1), 4, (size_t)schema->n_children, 4);
    for (int64_t i = 0; i < schema->n_children; i++)
        OTO_TRY(write_field(&w, fields + 4 * (size_t)i, schema->children[i], 0, err));
    return finish_message(&w, output, start, err);
}

// --- a batch ---

struct part {
    const void *data;
    uint64_t size;
};

// Nodes and buffers of all columns, depth first.
struct batch {
    struct oto_buffer nodes; // pairs of i64: length, null count
    struct oto_buffer parts; // struct part
    uint64_t body_size;
};

static uint64_t padded(uint64_t size)
{
    return (size + 7) & ~7ull;
}

static enum oto_status add_part(struct batch *b, const void *data, uint64_t size)
{
    struct part part = {data, size};
    b->body_size += padded(size);
    return oto_buffer_append(&b->parts, &part, sizeof(part));
}

static enum oto_status add_node(struct batch *b, const struct ArrowArray *array, enum layout layout)
{
    int64_t nulls = layout == LAYOUT_NONE ? array->length
                    : array->buffers[0]   ? array->null_count
                                          : 0;
    if (nulls < 0) { // unknown: counted
        nulls = 0;
        for (int64_t i = 0; i < array->length; i++)
            nulls += !((((const uint8_t *)array->buffers[0])[i / 8] >> (i % 8)) & 1);
    }
    int64_t node[2] = {array->length, nulls};
    OTO_TRY(oto_buffer_append(&b->nodes, node, sizeof(node)));
    if (layout == LAYOUT_NONE)
        return OTO_OK;
    return add_part(b, array->buffers[0], nulls ? ((uint64_t)array->length + 7) / 8 : 0);
}

// Offsets, and for text the bytes they point into.
static enum oto_status add_offsets(struct batch *b, const struct ArrowArray *array, int large,
                                   int text)
{
    static const uint8_t zero[8];
    uint64_t rows = (uint64_t)array->length, width = large ? 8 : 4, last = 0;
    const uint8_t *offsets = array->buffers[1];
    if (!offsets && rows)
        return OTO_INVALID;
    OTO_TRY(add_part(b, offsets ? offsets : zero, (rows + 1) * width));
    if (offsets)
        last = large ? oto_load64(offsets + rows * 8) : oto_load32(offsets + rows * 4);
    return text ? add_part(b, array->buffers[2], last) : OTO_OK;
}

static enum oto_status add_own_parts(struct batch *b, const struct kind *kind,
                                     const struct ArrowArray *array)
{
    uint64_t rows = (uint64_t)array->length;
    switch (kind->layout) {
    case LAYOUT_BITS:
        return add_part(b, array->buffers[1], (rows + 7) / 8);
    case LAYOUT_FIXED:
        return add_part(b, array->buffers[1], rows * kind->width);
    case LAYOUT_TEXT:
    case LAYOUT_LARGE_TEXT:
        return add_offsets(b, array, kind->layout == LAYOUT_LARGE_TEXT, 1);
    case LAYOUT_LIST:
    case LAYOUT_LARGE_LIST:
        return add_offsets(b, array, kind->layout == LAYOUT_LARGE_LIST, 0);
    default:
        return OTO_OK;
    }
}

static enum oto_status add_array(struct batch *b, const struct ArrowSchema *schema,
                                 const struct ArrowArray *array, unsigned depth,
                                 struct oto_error *err)
{
    struct kind kind;
    if (depth > DEPTH_MAX)
        return oto_error_set(err, OTO_TOO_LARGE, "a column is nested too deeply");
    OTO_TRY(parse_format(schema, &kind, err));
    if (array->offset || array->n_children != schema->n_children)
        return oto_error_set(err, OTO_INVALID, "column %s is not as its schema says, or is a slice",
                             schema->name ? schema->name : "");
    OTO_TRY(add_node(b, array, kind.layout));
    OTO_TRY(add_own_parts(b, &kind, array));
    for (int64_t i = 0; i < array->n_children; i++)
        OTO_TRY(add_array(b, schema->children[i], array->children[i], depth + 1, err));
    return OTO_OK;
}

static enum oto_status write_batch_message(const struct batch *b, int64_t length,
                                           struct oto_buffer *output, struct oto_error *err)
{
    struct oto_flat_writer w;
    size_t start = output->size, header;
    const struct part *parts = (const struct part *)(const void *)b->parts.data;
    size_t node_count = b->nodes.size / 16, part_count = b->parts.size / sizeof(*parts);
    OTO_TRY(begin_message(&w, output, HEADER_BATCH, b->body_size, &header));
    const struct oto_flat_slot slots[3] = {OTO_FLAT_SCALAR(8, length), OTO_FLAT_OFFSET,
                                           OTO_FLAT_OFFSET};
    size_t table = oto_flat_table(&w, header, slots, 3);
    size_t nodes = oto_flat_vector(&w, oto_flat_reference(&w, table, 1), 16, node_count, 8);
    if (b->nodes.size)
        oto_flat_store(&w, nodes, b->nodes.data, b->nodes.size);
    size_t buffers = oto_flat_vector(&w, oto_flat_reference(&w, table, 2), 16, part_count, 8);
    uint64_t offset = 0;
    for (size_t i = 0; i < part_count; i++) {
        uint64_t place[2] = {offset, parts[i].size};
        oto_flat_store(&w, buffers + 16 * i, place, 16);
        offset += padded(parts[i].size);
    }
    return finish_message(&w, output, start, err);
}

static enum oto_status write_body(const struct batch *b, struct oto_buffer *output)
{
    static const uint8_t zeros[8];
    const struct part *parts = (const struct part *)(const void *)b->parts.data;
    OTO_TRY(oto_buffer_reserve(output, (size_t)b->body_size));
    for (size_t i = 0; i < b->parts.size / sizeof(*parts); i++) {
        OTO_TRY(oto_buffer_append(output, parts[i].data, (size_t)parts[i].size));
        OTO_TRY(oto_buffer_append(output, zeros, (size_t)(padded(parts[i].size) - parts[i].size)));
    }
    return OTO_OK;
}

enum oto_status oto_arrow_ipc_batch(const struct ArrowSchema *schema,
                                    const struct ArrowArray *array, struct oto_buffer *output,
                                    struct oto_error *err)
{
    struct batch b = {.body_size = 0};
    oto_buffer_init(&b.nodes, output->allocator, output->size_max);
    oto_buffer_init(&b.parts, output->allocator, output->size_max);
    enum oto_status status = array->n_children == schema->n_children ? OTO_OK : OTO_INVALID;
    for (int64_t i = 0; i < array->n_children && status == OTO_OK; i++)
        status = add_array(&b, schema->children[i], array->children[i], 0, err);
    if (status == OTO_OK)
        status = write_batch_message(&b, array->length, output, err);
    if (status == OTO_OK)
        status = write_body(&b, output);
    if (status < 0 && err && err->status == OTO_OK)
        oto_error_set(err, status, "a batch could not be written");
    oto_buffer_release(&b.nodes);
    oto_buffer_release(&b.parts);
    return status;
}

enum oto_status oto_arrow_ipc_end(struct oto_buffer *output)
{
    return oto_buffer_append(output, "\xff\xff\xff\xff\0\0\0\0", 8);
}
