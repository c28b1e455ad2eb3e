// A table's columns found in a file's schema: one step for each leaf that is read, and one for each
// column that the file lacks.
#include "parquet/parquet_read_internal.h"

enum { CONVERTED_NONE = -1, CONVERTED_UTF8 = 0, CONVERTED_ENUM = 4, CONVERTED_JSON = 19 };
enum {
    LOGICAL_STRING = 1,
    LOGICAL_ENUM = 4,
    LOGICAL_TIMESTAMP = 8,
    LOGICAL_INTEGER = 10,
    LOGICAL_UNKNOWN = 11,
    LOGICAL_JSON = 12,
    LOGICAL_BSON = 13,
    LOGICAL_UUID = 14
};

#define REST_SUFFIX "NanoOfMicro"

// Where the matcher stands in the table: the column, and the lists around it.
struct place {
    struct oto_parquet_path path;
    struct oto_parquet_list lists[2];
    uint8_t list_count;
};

struct match {
    struct oto_parquet_reader *reader;
    const struct oto_parquet_node *nodes;
    const struct oto_field *column; // top-level, for messages
    struct oto_error *err;
};

// The fields of one struct, or of the table, and where they are in the file.
struct siblings {
    const struct oto_field *const *pointers; // of the table, or
    const struct oto_field *fields;          // of a struct
    uint32_t count;
    uint32_t parent;    // node
    const char *prefix; // "Events": the node's children are named "Events.Name"; NULL: "Name"
};

static const struct oto_field *sibling(const struct siblings *s, uint32_t i)
{
    return s->pointers ? s->pointers[i] : &s->fields[i];
}

static struct place below(struct place place, uint32_t child)
{
    place.path.at[place.path.depth++] = (uint16_t)child;
    return place;
}

static int is_named(struct oto_bytes name, const char *prefix, const char *field)
{
    size_t size = prefix ? strlen(prefix) : 0;
    if (!prefix)
        return oto_bytes_equal_text(name, field);
    return name.size > size && memcmp(name.data, prefix, size) == 0 && name.data[size] == '.' &&
           oto_bytes_equal_text(oto_bytes(name.data + size + 1, name.size - size - 1), field);
}

// Whether the node is a configured column of another attribute that had the name before.
static int is_anothers(const struct oto_parquet_node *node, const struct oto_field *field)
{
    return field->id >= OTO_FIELD_ID_CONFIGURED && node->field_id >= OTO_FIELD_ID_CONFIGURED &&
           node->field_id != field->id;
}

// A column of no type holds nulls only: the same as none.
static const struct oto_parquet_node *find_node(const struct match *m, const struct siblings *s,
                                                const struct oto_field *field)
{
    for (uint32_t i = s->parent + 1; i < m->nodes[s->parent].end; i = m->nodes[i].end)
        if (is_named(m->nodes[i].name, s->prefix, field->name))
            return m->nodes[i].logical == LOGICAL_UNKNOWN || is_anothers(&m->nodes[i], field)
                       ? NULL
                       : &m->nodes[i];
    return NULL;
}

static enum oto_status refuse(const struct match *m, const struct oto_field *field,
                              const char *what)
{
    if (field == m->column)
        return oto_error_set(m->err, OTO_INVALID, "column %s %s", field->name, what);
    return oto_error_set(m->err, OTO_INVALID, "column %s: %s %s", m->column->name, field->name,
                         what);
}

static enum oto_status add_step(struct match *m, const struct oto_parquet_step *step)
{
    enum oto_status status = oto_buffer_append(&m->reader->steps, step, sizeof *step);
    m->reader->step_count += status == OTO_OK;
    return status;
}

static enum oto_status add_fill(struct match *m, const struct place *place)
{
    struct oto_parquet_step step = {.stream = OTO_PARQUET_NONE, .target = place->path};
    memcpy(step.lists, place->lists, sizeof step.lists);
    step.list_count = place->list_count;
    return add_step(m, &step);
}

// --- leaves ---

static int is_text(const struct oto_parquet_node *node)
{
    int is_known = node->logical
                       ? node->logical == LOGICAL_STRING || node->logical == LOGICAL_ENUM ||
                             node->logical == LOGICAL_JSON
                       : node->converted == CONVERTED_NONE || node->converted == CONVERTED_UTF8 ||
                             node->converted == CONVERTED_ENUM || node->converted == CONVERTED_JSON;
    return is_known && (node->physical == OTO_PARQUET_BYTE_ARRAY ||
                        node->physical == OTO_PARQUET_FIXED_LEN_BYTE_ARRAY);
}

int oto_parquet_node_says_text(const struct oto_parquet_node *node)
{
    return is_text(node) && (node->logical || node->converted != CONVERTED_NONE);
}

static int is_bytes(const struct oto_parquet_node *node)
{
    return is_text(node) || (node->physical >= OTO_PARQUET_BYTE_ARRAY &&
                             (node->logical == LOGICAL_UUID || node->logical == LOGICAL_BSON));
}

static int is_integer(const struct oto_parquet_node *node)
{
    return (node->physical == OTO_PARQUET_INT32 || node->physical == OTO_PARQUET_INT64) &&
           (node->logical == LOGICAL_INTEGER || node->integer_bits ||
            (!node->logical && node->converted == CONVERTED_NONE));
}

static int is_timestamp(const struct oto_parquet_node *node)
{
    return node->physical == OTO_PARQUET_INT96 ||
           (node->physical == OTO_PARQUET_INT64 && node->time_unit &&
            (node->logical ? node->logical == LOGICAL_TIMESTAMP : node->converted >= 9));
}

static int is_real(const struct oto_parquet_node *node)
{
    return node->physical == OTO_PARQUET_DOUBLE || node->physical == OTO_PARQUET_FLOAT;
}

// What the values are; KIND_NONE and what is wrong when they do not become the type.
static enum oto_parquet_kind kind_of(enum oto_type type, const struct oto_parquet_node *node,
                                     const char **ret_wrong)
{
    switch (type) {
    case OTO_TYPE_BOOL:
        *ret_wrong = "is no boolean";
        return node->physical == OTO_PARQUET_BOOLEAN || is_integer(node) ? OTO_PARQUET_KIND_INTEGER
                                                                         : OTO_PARQUET_KIND_NONE;
    case OTO_TYPE_INT32:
    case OTO_TYPE_INT64:
        *ret_wrong = "is no integer";
        return is_integer(node) ? OTO_PARQUET_KIND_INTEGER : OTO_PARQUET_KIND_NONE;
    case OTO_TYPE_DOUBLE:
        *ret_wrong = "is no floating-point number";
        return is_real(node) ? OTO_PARQUET_KIND_REAL : OTO_PARQUET_KIND_NONE;
    case OTO_TYPE_TIME:
        *ret_wrong = "is no timestamp";
        return is_timestamp(node) ? OTO_PARQUET_KIND_INTEGER : OTO_PARQUET_KIND_NONE;
    case OTO_TYPE_STRING:
        *ret_wrong = "is no text";
        return is_text(node) ? OTO_PARQUET_KIND_BYTES : OTO_PARQUET_KIND_NONE;
    default:
        *ret_wrong = "is neither text nor bytes";
        return is_bytes(node) ? OTO_PARQUET_KIND_BYTES : OTO_PARQUET_KIND_NONE;
    }
}

static enum oto_status add_stream(struct match *m, const struct oto_parquet_node *node,
                                  struct place *place, struct oto_parquet_step *step)
{
    step->stream = m->reader->stream_count++;
    step->leaf = node->leaf;
    memcpy(step->lists, place->lists, sizeof step->lists);
    step->list_count = place->list_count;
    return add_step(m, step);
}

static enum oto_status add_leaf(struct match *m, const struct oto_field *field,
                                const struct oto_parquet_node *node, struct place *place,
                                const struct oto_parquet_path *rest)
{
    const char *wrong;
    if (node->physical < 0 || node->max_repetition != place->list_count)
        return refuse(m, field, node->physical < 0 ? "is nested" : "is a list");
    struct oto_parquet_step step = {.target = place->path, .rest = *rest};
    step.kind = (uint8_t)kind_of((enum oto_type)field->type, node, &wrong);
    if (step.kind == OTO_PARQUET_KIND_NONE)
        return refuse(m, field, wrong);
    step.is_unsigned = node->physical == OTO_PARQUET_INT32 && !node->is_signed;
    step.time_unit = (uint8_t)(node->physical == OTO_PARQUET_INT96 ? 3 : node->time_unit);
    return add_stream(m, node, place, &step);
}

// --- lists ---

static int is_name_with(struct oto_bytes name, struct oto_bytes stem, const char *suffix)
{
    return name.size == stem.size + strlen(suffix) &&
           oto_bytes_equal(oto_bytes(name.data, stem.size), stem) &&
           memcmp(name.data + stem.size, suffix, strlen(suffix)) == 0;
}

// The node that repeats, and the element: itself in the forms of two levels and of one, else its
// only child (LogicalTypes.md, "Lists", with its rules for older files).
static enum oto_status enter_list(struct match *m, const struct oto_field *field,
                                  const struct oto_parquet_node *node, struct place *place,
                                  const struct oto_parquet_node **ret_element)
{
    const struct oto_parquet_node *repeated = node, *outer = node;
    if (node->repetition != OTO_PARQUET_REPEATED) {
        if (node->child_count != 1)
            return refuse(m, field, "is no list");
        repeated = node + 1;
    }
    if (place->list_count == 2)
        return oto_error_set(m->err, OTO_UNSUPPORTED, "column %s: lists nest deeper than two",
                             m->column->name);
    if (repeated->repetition != OTO_PARQUET_REPEATED ||
        repeated->max_repetition != place->list_count + 1)
        return refuse(m, field, "is no list");
    place->lists[place->list_count++] = (struct oto_parquet_list){
        .path = place->path, .definition = repeated->max_definition, .is_driver = 1};
    int is_element = repeated == outer || repeated->child_count != 1 ||
                     oto_bytes_equal_text(repeated->name, "array") ||
                     is_name_with(repeated->name, outer->name, "_tuple");
    *ret_element = is_element ? repeated : repeated + 1;
    return OTO_OK;
}

// The first leaf that was added tells where the lists around it begin; those after it agree.
static void drive_no_more(struct place *place)
{
    for (int i = 0; i < place->list_count; i++)
        place->lists[i].is_driver = 0;
}

static enum oto_status match_map(struct match *m, const struct oto_field *field,
                                 const struct oto_parquet_node *node, struct place *around)
{
    static const struct oto_field parts[2] = {{.name = "key", .type = OTO_TYPE_STRING},
                                              {.name = "value", .type = OTO_TYPE_STRING}};
    static const struct oto_parquet_path no_rest = {.depth = 0};
    const struct oto_parquet_node *element, *found[2];
    struct place place = *around;
    OTO_TRY(enter_list(m, field, node, &place, &element));
    if (element->child_count != 2)
        return refuse(m, field, "is no map");
    found[0] = element + 1;
    found[1] = &m->nodes[found[0]->end];
    if (oto_bytes_equal_text(found[1]->name, "key")) { // a struct in another order
        found[1] = found[0];
        found[0] = &m->nodes[element[1].end];
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct place part = below(place, i);
        OTO_TRY(add_leaf(m, &parts[i], found[i], &part, &no_rest));
        drive_no_more(&place);
    }
    drive_no_more(around);
    return OTO_OK;
}

static enum oto_status match_list(struct match *m, const struct oto_field *field,
                                  const struct oto_parquet_node *node, struct place *around)
{
    static const struct oto_parquet_path no_rest = {.depth = 0};
    const struct oto_parquet_node *element;
    struct place place = *around;
    OTO_TRY(enter_list(m, field, node, &place, &element));
    place = below(place, 0);
    OTO_TRY(add_leaf(m, &field->children[0], element, &place, &no_rest));
    drive_no_more(around);
    return OTO_OK;
}

// --- columns and parts of structs ---

// The field beside a time that has its nanoseconds; -1.
static int rest_of(const struct siblings *s, const struct oto_field *time)
{
    size_t length = strlen(time->name);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct oto_field *field = sibling(s, i);
        if (field->type == OTO_TYPE_INT32 && strncmp(field->name, time->name, length) == 0 &&
            strcmp(field->name + length, REST_SUFFIX) == 0)
            return (int)i;
    }
    return -1;
}

// 1 when the field gets its values from the time beside it.
static int is_fed(const struct match *m, const struct siblings *s, const struct oto_field *field)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct oto_field *time = sibling(s, i);
        int rest = time->type == OTO_TYPE_TIME ? rest_of(s, time) : -1;
        if (rest >= 0 && sibling(s, (uint32_t)rest) == field)
            return find_node(m, s, time) != NULL;
    }
    return 0;
}

static enum oto_status match_time(struct match *m, const struct siblings *s,
                                  const struct oto_field *field,
                                  const struct oto_parquet_node *node, struct place *place)
{
    struct oto_parquet_path rest = {.depth = 0};
    int index = rest_of(s, field);
    if (index >= 0 && !find_node(m, s, sibling(s, (uint32_t)index))) {
        rest = place->path;
        rest.at[rest.depth - 1] = (uint16_t)index;
    }
    return add_leaf(m, field, node, place, &rest);
}

static enum oto_status match_structs(struct match *m, const struct oto_field *field,
                                     const struct oto_parquet_node *node, struct place *around);

// Depth is that of our own tables.
static enum oto_status match_field(struct match *m, const struct siblings *s,
                                   const struct oto_field *field,
                                   const struct oto_parquet_node *node, struct place *place)
{
    static const struct oto_parquet_path no_rest = {.depth = 0};
    switch ((enum oto_type)field->type) {
    case OTO_TYPE_MAP:
        return match_map(m, field, node, place);
    case OTO_TYPE_LIST:
        return match_list(m, field, node, place);
    case OTO_TYPE_STRUCTS:
        return match_structs(m, field, node, place);
    case OTO_TYPE_TIME:
        return match_time(m, s, field, node, place);
    default:
        return add_leaf(m, field, node, place, &no_rest);
    }
}

// What the file lacks of them is filled up to the length of the rest.
static enum oto_status fill_parts(struct match *m, const struct siblings *s,
                                  const struct place *place)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct oto_field *field = sibling(s, i);
        struct place part = below(*place, i);
        if (!find_node(m, s, field) && !is_fed(m, s, field))
            OTO_TRY(add_fill(m, &part));
    }
    return OTO_OK;
}

// A struct without any part that is ours still has a number of elements.
static enum oto_status add_counter(struct match *m, const struct oto_parquet_node *element,
                                   struct place *place)
{
    struct oto_parquet_step step = {.kind = OTO_PARQUET_KIND_NONE};
    while (element->physical < 0)
        element++;
    return add_stream(m, element, place, &step);
}

static enum oto_status match_structs(struct match *m, const struct oto_field *field,
                                     const struct oto_parquet_node *node, struct place *around)
{
    const struct oto_parquet_node *element;
    struct place place = *around;
    OTO_TRY(enter_list(m, field, node, &place, &element));
    if (element->physical >= 0)
        return refuse(m, field, "is no list of structs");
    struct siblings parts = {.fields = field->children,
                             .count = field->child_count,
                             .parent = (uint32_t)(element - m->nodes)};
    uint32_t before = m->reader->stream_count;
    for (uint32_t i = 0; i < parts.count; i++) {
        struct place part = below(place, i);
        node = find_node(m, &parts, &parts.fields[i]);
        if (!node)
            continue;
        OTO_TRY(match_field(m, &parts, &parts.fields[i], node, &part));
        drive_no_more(&place);
    }
    if (m->reader->stream_count == before)
        OTO_TRY(add_counter(m, element, &place));
    OTO_TRY(fill_parts(m, &parts, &place));
    drive_no_more(around);
    return OTO_OK;
}

// A list of structs as lists side by side, "Events.Name" and so on, as ClickHouse writes its Nested
// columns. *ret_found: 0 when there is none of them.
static enum oto_status match_side_by_side(struct match *m, const struct oto_field *field,
                                          const struct place *around, int *ret_found)
{
    struct siblings parts = {
        .fields = field->children, .count = field->child_count, .prefix = field->name};
    struct place place = *around;
    uint32_t before = m->reader->stream_count;
    for (uint32_t i = 0; i < parts.count; i++) {
        const struct oto_parquet_node *node = find_node(m, &parts, &parts.fields[i]), *element;
        struct place part = *around;
        if (!node)
            continue;
        OTO_TRY(enter_list(m, &parts.fields[i], node, &part, &element));
        part.lists[0].is_driver = m->reader->stream_count == before;
        place.lists[0] = part.lists[0];
        part = below(part, i);
        OTO_TRY(match_field(m, &parts, &parts.fields[i], element, &part));
    }
    *ret_found = m->reader->stream_count > before;
    place.list_count = 1;
    return *ret_found ? fill_parts(m, &parts, &place) : OTO_OK;
}

static enum oto_status match_columns(struct match *m, const struct siblings *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct oto_field *field = m->column = sibling(s, i);
        const struct oto_parquet_node *node = find_node(m, s, field);
        struct place place = below((struct place){.list_count = 0}, i);
        int is_found = node != NULL;
        if (node)
            OTO_TRY(match_field(m, s, field, node, &place));
        else if (field->type == OTO_TYPE_STRUCTS)
            OTO_TRY(match_side_by_side(m, field, &place, &is_found));
        if (!is_found && !is_fed(m, s, field))
            OTO_TRY(add_fill(m, &place));
    }
    return OTO_OK;
}

static enum oto_status make_streams(struct oto_parquet_reader *reader)
{
    const struct oto_parquet_step *steps = (const void *)reader->steps.data;
    size_t size = reader->stream_count * sizeof *reader->streams;
    if (!reader->stream_count)
        return OTO_OK;
    reader->streams = oto_alloc(reader->allocator, size);
    if (!reader->streams)
        return OTO_NO_MEMORY;
    memset(reader->streams, 0, size);
    for (uint32_t i = 0; i < reader->step_count; i++) {
        if (steps[i].stream == OTO_PARQUET_NONE)
            continue;
        struct oto_parquet_stream *stream = &reader->streams[steps[i].stream];
        stream->leaf = steps[i].leaf;
        stream->node = &reader->metadata.nodes[reader->metadata.leaves[steps[i].leaf]];
        oto_parquet_stream_init(reader, stream, steps[i].kind);
    }
    return OTO_OK;
}

enum oto_status oto_parquet_match(struct oto_parquet_reader *reader, struct oto_error *err)
{
    struct match m = {.reader = reader, .nodes = reader->metadata.nodes, .err = err};
    struct siblings columns = {.pointers = reader->schema->fields,
                               .count = reader->schema->field_count};
    enum oto_status status = match_columns(&m, &columns);
    if (status == OTO_OK)
        status = make_streams(reader);
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, status, "no memory to read a Parquet file");
    return status;
}
