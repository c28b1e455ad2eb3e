#include "arrow/arrow_schema.h"

#include "base/text.h"
#include "wire/flatbuffers.h"

// Arrow's Schema.fbs and Message.fbs.
enum {
    VERSION_V5 = 4,
    HEADER_SCHEMA = 1,
    TYPE_INT = 2,
    TYPE_FLOATING_POINT = 3,
    TYPE_BINARY = 4,
    TYPE_UTF8 = 5,
    TYPE_BOOL = 6,
    TYPE_TIMESTAMP = 10,
    TYPE_LIST = 12,
    TYPE_STRUCT = 13,
    TYPE_MAP = 17,
    PRECISION_DOUBLE = 2,
    UNIT_MICROSECOND = 2
};

// A node of Arrow's tree: a column, or a part that only Arrow's shape has (a map's entries, a
// list's element).
struct node {
    const char *name;
    uint8_t type; // Arrow's
    uint8_t bits; // of an int
    int nullable;
    int field_id; // negative: none
};

#define WITHOUT_IDS INT16_MIN // of a column: its parts have none either

static uint8_t arrow_type(enum oto_type type)
{
    static const uint8_t types[] = {
        [OTO_TYPE_BOOL] = TYPE_BOOL,      [OTO_TYPE_INT32] = TYPE_INT,
        [OTO_TYPE_INT64] = TYPE_INT,      [OTO_TYPE_DOUBLE] = TYPE_FLOATING_POINT,
        [OTO_TYPE_TIME] = TYPE_TIMESTAMP, [OTO_TYPE_STRING] = TYPE_UTF8,
        [OTO_TYPE_BINARY] = TYPE_BINARY,  [OTO_TYPE_ID16] = TYPE_UTF8,
        [OTO_TYPE_ID8] = TYPE_UTF8,       [OTO_TYPE_MAP] = TYPE_MAP,
        [OTO_TYPE_LIST] = TYPE_LIST,      [OTO_TYPE_STRUCTS] = TYPE_LIST,
    };
    return types[type];
}

static void write_type(struct oto_flat_writer *w, size_t reference, const struct node *node)
{
    struct oto_flat_slot slots[2] = {OTO_FLAT_ABSENT, OTO_FLAT_ABSENT};
    size_t count = 0;
    if (node->type == TYPE_INT) {
        slots[0] = OTO_FLAT_SCALAR(4, node->bits);
        slots[1] = OTO_FLAT_SCALAR(1, 1);
        count = 2;
    } else if (node->type == TYPE_FLOATING_POINT) {
        slots[0] = OTO_FLAT_SCALAR(2, PRECISION_DOUBLE);
        count = 1;
    } else if (node->type == TYPE_TIMESTAMP) {
        slots[0] = OTO_FLAT_SCALAR(2, UNIT_MICROSECOND);
        slots[1] = OTO_FLAT_OFFSET;
        count = 2;
    }
    size_t table = oto_flat_table(w, reference, slots, count);
    if (node->type == TYPE_TIMESTAMP)
        oto_flat_string(w, oto_flat_reference(w, table, 1), oto_bytes_text("UTC"));
}

static void write_key_value(struct oto_flat_writer *w, size_t reference, const char *key,
                            int number)
{
    char text[OTO_TEXT_I64_MAX];
    size_t size = oto_text_from_i64(number, text);
    struct oto_flat_slot slots[2] = {OTO_FLAT_OFFSET, OTO_FLAT_OFFSET};
    size_t table = oto_flat_table(w, reference, slots, 2);
    oto_flat_string(w, oto_flat_reference(w, table, 0), oto_bytes_text(key));
    oto_flat_string(w, oto_flat_reference(w, table, 1), oto_bytes(text, size));
}

// Writes a Field with room for its children; returns the reference of the first child.
static size_t write_node(struct oto_flat_writer *w, size_t reference, const struct node *node,
                         size_t child_count)
{
    struct oto_flat_slot slots[7] = {
        OTO_FLAT_OFFSET,
        OTO_FLAT_SCALAR(1, node->nullable != 0),
        OTO_FLAT_SCALAR(1, node->type),
        OTO_FLAT_OFFSET,
        OTO_FLAT_ABSENT,
        OTO_FLAT_OFFSET,
        OTO_FLAT_OFFSET,
    };
    if (node->field_id < 0)
        slots[6] = OTO_FLAT_ABSENT;
    size_t table = oto_flat_table(w, reference, slots, 7);
    oto_flat_string(w, oto_flat_reference(w, table, 0), oto_bytes_text(node->name));
    write_type(w, oto_flat_reference(w, table, 3), node);
    if (node->field_id >= 0) {
        size_t pair = oto_flat_vector(w, oto_flat_reference(w, table, 6), 4, 1, 4);
        write_key_value(w, pair, "PARQUET:field_id", node->field_id);
    }
    return oto_flat_vector(w, oto_flat_reference(w, table, 5), 4, child_count, 4);
}

static void write_field(struct oto_flat_writer *w, size_t reference, const struct oto_field *field,
                        const char *name, int field_id);

static void write_map_children(struct oto_flat_writer *w, size_t reference, int field_id)
{
    struct node entries = {"key_value", TYPE_STRUCT, 0, 0, -1};
    struct node key = {"key", TYPE_UTF8, 0, 0, field_id + 1};
    struct node value = {"value", TYPE_UTF8, 0, 0, field_id + 2};
    size_t children = write_node(w, reference, &entries, 2);
    write_node(w, children, &key, 0);
    write_node(w, children + 4, &value, 0);
}

static void write_struct_element(struct oto_flat_writer *w, size_t reference,
                                 const struct oto_field *field, int field_id)
{
    struct node element = {"element", TYPE_STRUCT, 0, 0, field_id + 1};
    size_t children = write_node(w, reference, &element, field->child_count);
    for (size_t i = 0; i < field->child_count; i++)
        write_field(w, children + 4 * i, &field->children[i], field->children[i].name,
                    field_id < 0 ? field_id : (int)field->children[i].id);
}

// Recursion ends with the table definitions, which are constant data and two levels deep.
static void write_field(struct oto_flat_writer *w, size_t reference, const struct oto_field *field,
                        const char *name, int field_id)
{
    enum oto_type type = (enum oto_type)field->type;
    int nested = type == OTO_TYPE_MAP || type == OTO_TYPE_LIST || type == OTO_TYPE_STRUCTS;
    int id = type == OTO_TYPE_ID16 || type == OTO_TYPE_ID8;
    struct node node = {name, arrow_type(type), type == OTO_TYPE_INT32 ? 32 : 64,
                        !nested && !id && (field->flags & OTO_FIELD_NULLABLE), field_id};
    size_t child = write_node(w, reference, &node, nested ? 1 : 0);
    if (type == OTO_TYPE_MAP)
        write_map_children(w, child, field_id);
    else if (type == OTO_TYPE_LIST)
        write_field(w, child, &field->children[0], "element", field_id + 1);
    else if (type == OTO_TYPE_STRUCTS)
        write_struct_element(w, child, field, field_id);
}

static enum oto_status write_message(const struct oto_schema *schema, int has_ids,
                                     struct oto_buffer *output)
{
    size_t start = output->size;
    OTO_TRY(oto_buffer_append(output, "\xff\xff\xff\xff\0\0\0\0", 8));
    struct oto_flat_writer w;
    size_t root = oto_flat_begin(&w, output);
    struct oto_flat_slot message[4] = {OTO_FLAT_SCALAR(2, VERSION_V5),
                                       OTO_FLAT_SCALAR(1, HEADER_SCHEMA), OTO_FLAT_OFFSET,
                                       OTO_FLAT_SCALAR(8, 0)};
    size_t table = oto_flat_table(&w, root, message, 4);
    struct oto_flat_slot body[2] = {OTO_FLAT_SCALAR(2, 0), OTO_FLAT_OFFSET};
    size_t body_table = oto_flat_table(&w, oto_flat_reference(&w, table, 2), body, 2);
    size_t fields =
        oto_flat_vector(&w, oto_flat_reference(&w, body_table, 1), 4, schema->field_count, 4);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct oto_field *field = schema->fields[i];
        write_field(&w, fields + 4 * i, field, field->name, has_ids ? (int)field->id : WITHOUT_IDS);
    }
    OTO_TRY(oto_flat_finish(&w));
    oto_store32(output->data + start + 4, (uint32_t)(output->size - start - 8));
    return OTO_OK;
}

enum oto_status oto_arrow_schema_message(const struct oto_schema *schema, struct oto_buffer *output)
{
    return write_message(schema, 1, output);
}

enum oto_status oto_arrow_schema_base64(const struct oto_schema *schema, struct oto_buffer *output)
{
    struct oto_buffer message;
    oto_buffer_init(&message, output->allocator, output->size_max);
    enum oto_status status = write_message(schema, 0, &message);
    if (status == OTO_OK)
        status = oto_buffer_reserve(output, oto_base64_size(message.size));
    if (status == OTO_OK)
        output->size +=
            oto_base64_encode(message.data, message.size, (char *)output->data + output->size);
    oto_buffer_release(&message);
    return status;
}
