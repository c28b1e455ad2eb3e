// FileMetaData (parquet.thrift) into structs: everything is checked against what is left of the
// footer before memory is taken, and the arena holds the sum.
#include "parquet/parquet_read_internal.h"

enum { LOGICAL_TIME = 7, LOGICAL_TIMESTAMP = 8, LOGICAL_INTEGER = 10 };
enum { CONVERTED_UINT_8 = 11, CONVERTED_INT_8 = 15, CONVERTED_INT_64 = 18 };
enum {
    CONVERTED_TIME_MILLIS = 7,
    CONVERTED_TIME_MICROS = 8,
    CONVERTED_TIMESTAMP_MILLIS = 9,
    CONVERTED_TIMESTAMP_MICROS = 10
};

struct footer {
    struct oto_thrift_reader r;
    struct oto_arena *arena;
    struct oto_parquet_metadata *metadata;
    struct oto_parquet_node *nodes;
    uint32_t *leaves;
};

static void *take(struct footer *f, uint64_t count, size_t size)
{
    if (count > SIZE_MAX / 2 / size)
        return NULL;
    void *memory = oto_arena_alloc(f->arena, (size_t)count * size);
    if (memory)
        memset(memory, 0, (size_t)count * size);
    return memory;
}

// Calls `field` for each field of a struct; it must read or skip the value.
typedef enum oto_status (*field_reader)(struct footer *f, int16_t id, enum oto_thrift_type type,
                                        void *output);

static enum oto_status read_struct(struct footer *f, field_reader field, void *output)
{
    OTO_TRY(oto_thrift_enter_struct(&f->r));
    for (;;) {
        int16_t id;
        enum oto_thrift_type type;
        enum oto_status status = oto_thrift_next_field(&f->r, &id, &type);
        OTO_TRY(status);
        if (status == OTO_END)
            return OTO_OK;
        OTO_TRY(field(f, id, type, output));
    }
}

static enum oto_status read_struct_field(struct footer *f, enum oto_thrift_type type,
                                         field_reader field, void *output)
{
    return type == OTO_THRIFT_STRUCT ? read_struct(f, field, output) : OTO_CORRUPT;
}

static enum oto_status read_i64(struct footer *f, enum oto_thrift_type type, int64_t *ret)
{
    return oto_thrift_read_int(&f->r, type, ret);
}

static enum oto_status read_i32(struct footer *f, enum oto_thrift_type type, int32_t *ret)
{
    int64_t value;
    OTO_TRY(read_i64(f, type, &value));
    if (value < INT32_MIN || value > INT32_MAX)
        return OTO_CORRUPT;
    *ret = (int32_t)value;
    return OTO_OK;
}

static enum oto_status read_bool(enum oto_thrift_type type, int8_t *ret)
{
    if (type != OTO_THRIFT_TRUE && type != OTO_THRIFT_FALSE)
        return OTO_CORRUPT;
    *ret = type == OTO_THRIFT_TRUE;
    return OTO_OK;
}

// An empty value is not NULL.
static enum oto_status read_binary(struct footer *f, enum oto_thrift_type type,
                                   struct oto_bytes *ret)
{
    return type == OTO_THRIFT_BINARY ? oto_thrift_read_binary(&f->r, ret) : OTO_CORRUPT;
}

static enum oto_status list_begin(struct footer *f, enum oto_thrift_type type,
                                  enum oto_thrift_type element, uint32_t *ret_count)
{
    enum oto_thrift_type found;
    if (type != OTO_THRIFT_LIST)
        return OTO_CORRUPT;
    OTO_TRY(oto_thrift_read_list(&f->r, &found, ret_count));
    return found == element || *ret_count == 0 ? OTO_OK : OTO_CORRUPT;
}

// --- schema ---

static enum oto_status unit_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                  void *output)
{
    struct oto_parquet_node *node = output;
    if (id >= 1 && id <= 3)
        node->time_unit = (int8_t)id;
    return oto_thrift_skip(&f->r, type);
}

static enum oto_status time_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                  void *output)
{
    struct oto_parquet_node *node = output;
    if (id == 1)
        return read_bool(type, &node->is_utc);
    if (id == 2)
        return read_struct_field(f, type, unit_field, node);
    return oto_thrift_skip(&f->r, type);
}

static enum oto_status integer_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                     void *output)
{
    struct oto_parquet_node *node = output;
    int64_t bits;
    if (id == 1) {
        OTO_TRY(read_i64(f, type, &bits));
        node->integer_bits = bits == 8 || bits == 16 || bits == 32 || bits == 64 ? (int8_t)bits : 0;
        return OTO_OK;
    }
    return id == 2 ? read_bool(type, &node->is_signed) : oto_thrift_skip(&f->r, type);
}

static enum oto_status logical_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                     void *output)
{
    struct oto_parquet_node *node = output;
    if (id > 0 && id <= INT8_MAX)
        node->logical = (int8_t)id;
    if (id == LOGICAL_TIME || id == LOGICAL_TIMESTAMP)
        return read_struct_field(f, type, time_field, node);
    if (id == LOGICAL_INTEGER)
        return read_struct_field(f, type, integer_field, node);
    return oto_thrift_skip(&f->r, type);
}

struct element {
    struct oto_parquet_node node;
    int32_t physical, repetition, child_count, converted;
};

static enum oto_status element_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                     void *output)
{
    struct element *e = output;
    switch (id) {
    case 1:
        return read_i32(f, type, &e->physical);
    case 2:
        return read_i32(f, type, &e->node.type_length);
    case 3:
        return read_i32(f, type, &e->repetition);
    case 4:
        return read_binary(f, type, &e->node.name);
    case 5:
        return read_i32(f, type, &e->child_count);
    case 6:
        return read_i32(f, type, &e->converted);
    case 7:
        return read_i32(f, type, &e->node.scale);
    case 8:
        return read_i32(f, type, &e->node.precision);
    case 9:
        return read_i32(f, type, &e->node.field_id);
    case 10:
        return read_struct_field(f, type, logical_field, &e->node);
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

// What older files say of times and integers, in the words of newer ones.
static void understand_converted(struct oto_parquet_node *node)
{
    int converted = node->converted;
    if (node->logical)
        return;
    if (converted == CONVERTED_TIME_MILLIS || converted == CONVERTED_TIMESTAMP_MILLIS)
        node->time_unit = 1;
    if (converted == CONVERTED_TIME_MICROS || converted == CONVERTED_TIMESTAMP_MICROS)
        node->time_unit = 2;
    if (node->time_unit)
        node->is_utc = 1;
    if (converted >= CONVERTED_UINT_8 && converted <= CONVERTED_INT_64) {
        node->is_signed = converted >= CONVERTED_INT_8;
        node->integer_bits = (int8_t)(8 << (converted - CONVERTED_UINT_8) % 4);
    }
}

static enum oto_status check_element(struct element *e, uint32_t index, uint32_t node_count)
{
    struct oto_parquet_node *node = &e->node;
    int is_group = e->physical < 0;
    if (e->physical > OTO_PARQUET_FIXED_LEN_BYTE_ARRAY || e->repetition < 0 ||
        e->repetition > OTO_PARQUET_REPEATED || e->converted > INT16_MAX || e->child_count < 0 ||
        (uint32_t)e->child_count >= node_count || (index == 0 && !is_group) ||
        (index && !node->name.data) || (!is_group && e->child_count) ||
        (is_group && index && !e->child_count) ||
        (e->physical == OTO_PARQUET_FIXED_LEN_BYTE_ARRAY && node->type_length < 1))
        return OTO_CORRUPT;
    node->physical = (int8_t)(is_group ? -1 : e->physical);
    node->repetition = (int8_t)e->repetition;
    node->converted = (int16_t)e->converted;
    node->child_count = (uint32_t)e->child_count;
    node->leaf = OTO_PARQUET_NONE;
    understand_converted(node);
    return OTO_OK;
}

// Levels of a node below its parent.
static enum oto_status place_node(struct footer *f, uint32_t index, uint32_t parent)
{
    struct oto_parquet_node *node = &f->nodes[index];
    const struct oto_parquet_node *above = &f->nodes[parent];
    int definition = above->max_definition + (node->repetition != OTO_PARQUET_REQUIRED);
    int repetition = above->max_repetition + (node->repetition == OTO_PARQUET_REPEATED);
    if (definition > UINT8_MAX)
        return OTO_UNSUPPORTED;
    node->parent = parent;
    node->max_definition = (uint8_t)definition;
    node->max_repetition = (uint8_t)repetition;
    if (node->physical >= 0) {
        node->leaf = f->metadata->leaf_count;
        f->leaves[f->metadata->leaf_count++] = index;
    }
    return OTO_OK;
}

// open[n]: children of node n still to come. Groups that are complete end here.
static uint32_t close_groups(struct footer *f, uint32_t *open, uint32_t parent, uint32_t next)
{
    while (!open[parent]) {
        f->nodes[parent].end = next;
        if (!parent)
            break;
        parent = f->nodes[parent].parent;
    }
    return parent;
}

static enum oto_status read_schema(struct footer *f, enum oto_thrift_type type)
{
    uint32_t count, parent = 0;
    OTO_TRY(list_begin(f, type, OTO_THRIFT_STRUCT, &count));
    if (!count || f->nodes)
        return OTO_CORRUPT;
    f->nodes = take(f, count, sizeof *f->nodes);
    f->leaves = take(f, count, sizeof *f->leaves);
    uint32_t *open = take(f, count, sizeof *open);
    if (!f->nodes || !f->leaves || !open)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        struct element e = {
            .node = {.field_id = -1, .is_signed = 1}, .physical = -1, .converted = -1};
        OTO_TRY(read_struct(f, element_field, &e));
        OTO_TRY(check_element(&e, i, count));
        f->nodes[i] = e.node;
        f->nodes[i].end = i + 1;
        open[i] = e.node.child_count;
        if (i == 0) {
            f->nodes[0].repetition = OTO_PARQUET_REQUIRED;
            continue;
        }
        if (!open[parent])
            return OTO_CORRUPT;
        open[parent]--;
        OTO_TRY(place_node(f, i, parent));
        parent = close_groups(f, open, open[i] ? i : parent, i + 1);
    }
    f->metadata->nodes = f->nodes;
    f->metadata->node_count = count;
    f->metadata->leaves = f->leaves;
    return open[parent] ? OTO_CORRUPT : OTO_OK;
}

// --- row groups ---

struct raw_statistics {
    struct oto_parquet_statistics *found;
    struct oto_bytes old_min, old_max;
};

static enum oto_status statistics_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                        void *output)
{
    struct raw_statistics *s = output;
    switch (id) {
    case 1:
        return read_binary(f, type, &s->old_max);
    case 2:
        return read_binary(f, type, &s->old_min);
    case 3:
        return read_i64(f, type, &s->found->null_count);
    case 4:
        return read_i64(f, type, &s->found->distinct_count);
    case 5:
        return read_binary(f, type, &s->found->max);
    case 6:
        return read_binary(f, type, &s->found->min);
    case 7:
        return read_bool(type, &s->found->is_max_exact);
    case 8:
        return read_bool(type, &s->found->is_min_exact);
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

static enum oto_status read_encodings(struct footer *f, enum oto_thrift_type type,
                                      uint32_t *ret_encodings)
{
    uint32_t count;
    OTO_TRY(list_begin(f, type, OTO_THRIFT_I32, &count));
    for (; count; count--) {
        int32_t encoding;
        OTO_TRY(read_i32(f, OTO_THRIFT_I32, &encoding));
        if (encoding >= 0 && encoding < 32)
            *ret_encodings |= (uint32_t)1 << encoding;
    }
    return OTO_OK;
}

struct page_count {
    int32_t type;
    int32_t count;
};

static enum oto_status page_count_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                        void *output)
{
    struct page_count *c = output;
    if (id == 1)
        return read_i32(f, type, &c->type);
    return id == 3 ? read_i32(f, type, &c->count) : oto_thrift_skip(&f->r, type);
}

static enum oto_status read_page_counts(struct footer *f, enum oto_thrift_type type,
                                        struct oto_parquet_chunk_info *chunk)
{
    uint32_t count;
    OTO_TRY(list_begin(f, type, OTO_THRIFT_STRUCT, &count));
    chunk->data_page_count = 0;
    for (; count; count--) {
        struct page_count c = {-1, 0};
        OTO_TRY(read_struct(f, page_count_field, &c));
        if (c.type == OTO_PARQUET_DATA_PAGE || c.type == OTO_PARQUET_DATA_PAGE_V2)
            chunk->data_page_count += c.count;
    }
    return OTO_OK;
}

struct raw_chunk {
    struct oto_parquet_chunk_info *found;
    struct raw_statistics statistics;
    int32_t physical;
    int8_t has_metadata;
    int8_t is_encrypted;
    int8_t is_elsewhere;
};

static enum oto_status chunk_metadata_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                            void *output)
{
    struct raw_chunk *c = output;
    int32_t bloom_bytes = 0;
    switch (id) {
    case 1:
        return read_i32(f, type, &c->physical);
    case 2:
        return read_encodings(f, type, &c->found->encodings);
    case 4:
        return read_i32(f, type, &c->found->codec);
    case 5:
        return read_i64(f, type, &c->found->value_count);
    case 6:
        return read_i64(f, type, &c->found->uncompressed_bytes);
    case 7:
        return read_i64(f, type, &c->found->compressed_bytes);
    case 9:
        return read_i64(f, type, &c->found->data_offset);
    case 11:
        return read_i64(f, type, &c->found->dictionary_offset);
    case 12:
        return read_struct_field(f, type, statistics_field, &c->statistics);
    case 13:
        return read_page_counts(f, type, c->found);
    case 14:
        return read_i64(f, type, &c->found->bloom_offset);
    case 15:
        OTO_TRY(read_i32(f, type, &bloom_bytes));
        c->found->bloom_bytes = bloom_bytes;
        return OTO_OK;
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

static enum oto_status chunk_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                   void *output)
{
    struct raw_chunk *c = output;
    switch (id) {
    case 1:
        c->is_elsewhere = 1;
        return oto_thrift_skip(&f->r, type);
    case 3:
        c->has_metadata = 1;
        return read_struct_field(f, type, chunk_metadata_field, c);
    case 4:
        return read_i64(f, type, &c->found->offset_index_offset);
    case 5:
        return read_i32(f, type, &c->found->offset_index_bytes);
    case 6:
        return read_i64(f, type, &c->found->column_index_offset);
    case 7:
        return read_i32(f, type, &c->found->column_index_bytes);
    case 8:
    case 9:
        c->is_encrypted = 1;
        return oto_thrift_skip(&f->r, type);
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

// The old fields are ordered as the type's signed values, or nobody knows how.
static void take_old_bounds(struct raw_chunk *c)
{
    struct oto_parquet_statistics *s = &c->found->statistics;
    if (c->physical == OTO_PARQUET_BYTE_ARRAY || c->physical == OTO_PARQUET_INT96 ||
        c->physical == OTO_PARQUET_FIXED_LEN_BYTE_ARRAY || s->min.data || s->max.data)
        return;
    s->min = c->statistics.old_min;
    s->max = c->statistics.old_max;
}

static enum oto_status read_chunk(struct footer *f, uint32_t leaf,
                                  struct oto_parquet_chunk_info *chunk)
{
    *chunk = (struct oto_parquet_chunk_info){
        .leaf = leaf,
        .codec = -1,
        .value_count = -1,
        .uncompressed_bytes = -1,
        .compressed_bytes = -1,
        .dictionary_offset = -1,
        .data_offset = -1,
        .bloom_offset = -1,
        .column_index_offset = -1,
        .offset_index_offset = -1,
        .data_page_count = -1,
        .statistics = {
            .null_count = -1, .distinct_count = -1, .is_min_exact = -1, .is_max_exact = -1}};
    struct raw_chunk raw = {.found = chunk, .statistics = {.found = &chunk->statistics}};
    raw.physical = -1;
    OTO_TRY(read_struct(f, chunk_field, &raw));
    if (raw.is_encrypted || raw.is_elsewhere)
        return OTO_UNSUPPORTED;
    if (!raw.has_metadata || raw.physical != f->nodes[f->leaves[leaf]].physical ||
        chunk->value_count < 0 || chunk->compressed_bytes < 0 || chunk->uncompressed_bytes < 0 ||
        chunk->data_offset < 0)
        return OTO_CORRUPT;
    take_old_bounds(&raw);
    return OTO_OK;
}

static enum oto_status sorting_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                     void *output)
{
    struct oto_parquet_sorting *s = output;
    int32_t leaf;
    switch (id) {
    case 1:
        OTO_TRY(read_i32(f, type, &leaf));
        s->leaf = (uint32_t)leaf;
        return OTO_OK;
    case 2:
        return read_bool(type, &s->is_descending);
    case 3:
        return read_bool(type, &s->is_nulls_first);
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

static enum oto_status read_sorting(struct footer *f, enum oto_thrift_type type,
                                    struct oto_parquet_group_info *group)
{
    uint32_t count;
    OTO_TRY(list_begin(f, type, OTO_THRIFT_STRUCT, &count));
    struct oto_parquet_sorting *sorting = take(f, count, sizeof *sorting);
    if (!sorting)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        sorting[i].leaf = OTO_PARQUET_NONE;
        OTO_TRY(read_struct(f, sorting_field, &sorting[i]));
        if (sorting[i].leaf >= f->metadata->leaf_count)
            return OTO_CORRUPT;
    }
    group->sorting = sorting;
    group->sorting_count = count;
    return OTO_OK;
}

static enum oto_status group_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                   void *output)
{
    struct oto_parquet_group_info *group = output;
    uint32_t count;
    switch (id) {
    case 1:
        OTO_TRY(list_begin(f, type, OTO_THRIFT_STRUCT, &count));
        if (count != f->metadata->leaf_count || group->chunks)
            return OTO_CORRUPT;
        struct oto_parquet_chunk_info *chunks = take(f, count, sizeof *chunks);
        if (!chunks)
            return OTO_NO_MEMORY;
        group->chunks = chunks;
        for (uint32_t i = 0; i < count; i++)
            OTO_TRY(read_chunk(f, i, &chunks[i]));
        return OTO_OK;
    case 2:
        return read_i64(f, type, &group->uncompressed_bytes);
    case 3:
        return read_i64(f, type, &group->row_count);
    case 4:
        return read_sorting(f, type, group);
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

static enum oto_status read_groups(struct footer *f, enum oto_thrift_type type)
{
    uint32_t count;
    uint64_t rows = 0;
    OTO_TRY(list_begin(f, type, OTO_THRIFT_STRUCT, &count));
    if (!f->nodes || f->metadata->groups) // the schema comes first
        return OTO_CORRUPT;
    struct oto_parquet_group_info *groups = take(f, count, sizeof *groups);
    if (!groups)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        groups[i].row_count = -1;
        OTO_TRY(read_struct(f, group_field, &groups[i]));
        if (groups[i].row_count < 0 || !groups[i].chunks)
            return OTO_CORRUPT;
        rows += (uint64_t)groups[i].row_count;
        if (rows > INT64_MAX)
            return OTO_CORRUPT;
    }
    f->metadata->groups = groups;
    f->metadata->group_count = count;
    return OTO_OK;
}

// --- the file ---

static enum oto_status pair_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                  void *output)
{
    struct oto_parquet_pair *pair = output;
    if (id == 1)
        return read_binary(f, type, &pair->key);
    return id == 2 ? read_binary(f, type, &pair->value) : oto_thrift_skip(&f->r, type);
}

static enum oto_status read_pairs(struct footer *f, enum oto_thrift_type type)
{
    uint32_t count;
    OTO_TRY(list_begin(f, type, OTO_THRIFT_STRUCT, &count));
    struct oto_parquet_pair *pairs = take(f, count, sizeof *pairs);
    if (!pairs)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        OTO_TRY(read_struct(f, pair_field, &pairs[i]));
    f->metadata->pairs = pairs;
    f->metadata->pair_count = count;
    return OTO_OK;
}

static enum oto_status file_field(struct footer *f, int16_t id, enum oto_thrift_type type,
                                  void *output)
{
    struct oto_parquet_metadata *metadata = output;
    switch (id) {
    case 1:
        return read_i32(f, type, &metadata->version);
    case 2:
        return read_schema(f, type);
    case 3:
        return read_i64(f, type, &metadata->row_count);
    case 4:
        return read_groups(f, type);
    case 5:
        return read_pairs(f, type);
    case 6:
        return read_binary(f, type, &metadata->created_by);
    case 8:
        return OTO_UNSUPPORTED; // encrypted columns
    default:
        return oto_thrift_skip(&f->r, type);
    }
}

static int rows_agree(const struct oto_parquet_metadata *metadata)
{
    int64_t rows = 0;
    for (uint32_t i = 0; i < metadata->group_count; i++)
        rows += metadata->groups[i].row_count;
    return rows == metadata->row_count;
}

enum oto_status oto_parquet_footer_read(struct oto_parquet_reader *reader, struct oto_error *err)
{
    struct footer f = {.arena = &reader->arena, .metadata = &reader->metadata};
    uint64_t begin = reader->source.size_bytes - reader->metadata.footer_bytes;
    f.metadata->row_count = -1;
    oto_thrift_reader_init(&f.r, oto_buffer_view(&reader->footer));
    enum oto_status status = read_struct(&f, file_field, f.metadata);
    uint64_t offset = begin + (uint64_t)(f.r.cursor - f.r.start);
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, status, "no memory for the metadata of a Parquet file");
    if (status == OTO_UNSUPPORTED)
        return oto_error_at(err, status, offset,
                            "encrypted, in several files, or nested too deep: not supported");
    if (status < 0)
        return oto_error_at(err, status, offset, "the metadata is no FileMetaData");
    if (!f.nodes || !rows_agree(f.metadata))
        return oto_error_at(err, OTO_CORRUPT, begin, "the metadata contradicts itself on %s",
                            f.nodes ? "the number of rows" : "the schema");
    return OTO_OK;
}
