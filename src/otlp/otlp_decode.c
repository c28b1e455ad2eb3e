// The decoder's life, one request from mark to result, and how it tells where a request is wrong.
#include "otlp/otlp_decode.h"
#include "base/utf8.h"
#include "otlp/otlp_decode_internal.h"

#include <stddef.h>

#define ARENA_BLOCK_BYTES (16u << 10)

// --- making a decoder ---

static const char *const column_names[AT_COUNT_OF_COLUMNS] = {
#define OTO_OTLP_COLUMN(id, name) [AT_##id] = name,
#include "otlp/otlp_columns.inc"
};

static struct oto_column *find(const struct oto_builder *b, const char *name)
{
    for (uint32_t i = 0; i < b->schema->field_count; i++)
        if (strcmp(b->schema->fields[i]->name, name) == 0)
            return &b->columns[i];
    return NULL;
}

static struct oto_column *find_child(struct oto_column *parent, const char *name)
{
    for (uint32_t i = 0; parent && i < parent->child_count; i++)
        if (strcmp(parent->children[i].field->name, name) == 0)
            return &parent->children[i];
    return NULL;
}

static const struct {
    enum oto_otlp_sink_name sink;
    const char *parent;
    const char *map;
    const char *types;
} maps[] = {
#define OTO_OTLP_MAP(id, parent, map, types) {OTO_OTLP_SINK_##id, parent, map, types},
#include "otlp/otlp_columns.inc"
};

static enum oto_status sinks_init(struct oto_otlp_decoder *d, struct oto_otlp_table *t)
{
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        struct oto_column *parent = maps[i].parent ? find(t->builder, maps[i].parent) : NULL;
        struct oto_column *map =
            maps[i].parent ? find_child(parent, maps[i].map) : find(t->builder, maps[i].map);
        struct oto_column *types =
            maps[i].parent ? find_child(parent, maps[i].types) : find(t->builder, maps[i].types);
        if (map)
            OTO_TRY(oto_otlp_sink_init(d, t, maps[i].sink, map, types));
    }
    return OTO_OK;
}

// Columns that get one value a row and are appended without a check for room.
static int is_row_column(const struct oto_column *c)
{
    return c->field->level == 0 &&
           (c->field->type <= OTO_TYPE_STRING || c->field->type == OTO_TYPE_ID16 ||
            c->field->type == OTO_TYPE_ID8);
}

static enum oto_status table_init(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                  struct oto_builder *builder)
{
    uint32_t count = builder->schema->field_count;
    t->builder = builder;
    memset(t->words, 0xFF, sizeof t->words);
    t->row_columns = oto_alloc(d->allocator, count * sizeof(struct oto_column *));
    if (!t->row_columns)
        return OTO_NO_MEMORY;
    for (int i = 0; i < AT_COUNT_OF_COLUMNS; i++)
        t->columns[i] = find(builder, column_names[i]);
    for (uint32_t i = 0; i < count; i++)
        if (is_row_column(&builder->columns[i]))
            t->row_columns[t->row_column_count++] = &builder->columns[i];
    return sinks_init(d, t);
}

static enum oto_status decoder_init(struct oto_otlp_decoder *d,
                                    struct oto_builder *const builders[OTO_TABLE_COUNT])
{
    oto_arena_init(&d->arena, d->allocator, ARENA_BLOCK_BYTES, SIZE_MAX);
    oto_buffer_init(&d->repaired, d->allocator, UINT32_MAX);
    oto_buffer_init(&d->scratch, d->allocator, UINT32_MAX);
    oto_value_writer_init(&d->writer, d->allocator, UINT32_MAX);
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        OTO_TRY(table_init(d, &d->tables[t], builders[t]));
    for (int s = 0; s < OTO_SIGNAL_COUNT; s++) {
        size_t size = oto_otlp_mark_size(d, (enum oto_signal)s);
        d->mark_size = size > d->mark_size ? size : d->mark_size;
    }
    d->mark = oto_alloc(d->allocator, d->mark_size);
    d->values = oto_alloc(d->allocator, OTO_OTLP_VALUES * sizeof *d->values);
    if (!d->mark || !d->values)
        return OTO_NO_MEMORY;
    memset(d->values, 0, OTO_OTLP_VALUES * sizeof *d->values);
    return OTO_OK;
}

struct oto_otlp_decoder *oto_otlp_decoder_new(const struct oto_allocator *allocator,
                                              const struct oto_schemas *schemas,
                                              struct oto_builder *const builders[OTO_TABLE_COUNT])
{
    (void)schemas; // the builders have them
    struct oto_otlp_decoder *d = oto_alloc(allocator, sizeof *d);
    if (!d)
        return NULL;
    memset(d, 0, sizeof *d);
    d->allocator = allocator;
    if (decoder_init(d, builders) < 0) {
        oto_otlp_decoder_free(d);
        return NULL;
    }
    return d;
}

static void table_release(struct oto_otlp_decoder *d, struct oto_otlp_table *t)
{
    if (!t->builder)
        return;
    for (int s = 0; s < OTO_OTLP_SINK_COUNT; s++)
        oto_otlp_sink_release(d, &t->sinks[s]);
    for (int level = 0; level < OTO_LEVEL_MAX; level++)
        oto_free(d->allocator, t->hashes[level].items,
                 t->hashes[level].capacity * sizeof(struct oto_hash128));
    oto_free(d->allocator, t->configured, t->configured_capacity * sizeof *t->configured);
    oto_free(d->allocator, t->row_columns,
             t->builder->schema->field_count * sizeof(struct oto_column *));
}

void oto_otlp_decoder_free(struct oto_otlp_decoder *d)
{
    if (!d)
        return;
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        table_release(d, &d->tables[t]);
    oto_free(d->allocator, d->mark, d->mark_size);
    oto_free(d->allocator, d->values, OTO_OTLP_VALUES * sizeof *d->values);
    oto_value_writer_release(&d->writer);
    oto_buffer_release(&d->scratch);
    oto_buffer_release(&d->repaired);
    oto_arena_release(&d->arena);
    oto_free(d->allocator, d, sizeof *d);
}

void oto_otlp_limits_default(struct oto_otlp_limits *limits)
{
    *limits = (struct oto_otlp_limits){
        .depth_max = 100, .attributes_max = 65536, .shared_values_max = 1u << 26};
}

// --- marks ---

// The tables of a signal follow each other.
struct range {
    uint32_t first;
    uint32_t end;
};

static struct range tables_of(enum oto_signal signal)
{
    static const struct range ranges[OTO_SIGNAL_COUNT] = {
        [OTO_SIGNAL_LOGS] = {OTO_TABLE_LOGS, OTO_TABLE_LOGS + 1},
        [OTO_SIGNAL_TRACES] = {OTO_TABLE_TRACES, OTO_TABLE_TRACES + 1},
        [OTO_SIGNAL_METRICS] = {OTO_TABLE_GAUGE, OTO_TABLE_SUMMARY + 1},
    };
    return ranges[signal];
}

size_t oto_otlp_mark_size(const struct oto_otlp_decoder *d, enum oto_signal signal)
{
    size_t size = 0;
    struct range range = tables_of(signal);
    for (uint32_t t = range.first; t < range.end; t++)
        size += oto_builder_mark_size(d->tables[t].builder);
    return size;
}

void oto_otlp_mark(const struct oto_otlp_decoder *d, enum oto_signal signal, uint32_t *mark)
{
    struct range range = tables_of(signal);
    for (uint32_t t = range.first; t < range.end; t++) {
        oto_builder_mark(d->tables[t].builder, mark);
        mark += oto_builder_mark_size(d->tables[t].builder) / sizeof *mark;
    }
}

const uint32_t *oto_otlp_decoded_mark(const struct oto_otlp_decoder *d)
{
    return d->mark;
}

static void table_rollback(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                           const uint32_t *mark)
{
    oto_otlp_lift_promoted(&t->sinks[OTO_OTLP_SINK_RECORD]);
    oto_builder_rollback(t->builder, mark);
    for (int s = 0; s < OTO_OTLP_SINK_COUNT; s++)
        oto_otlp_sink_rolled_back(d, &t->sinks[s]);
    memset(t->words, 0xFF, sizeof t->words);
    t->resource_group = t->scope_group = 0;
    t->rows_left = 0;
}

void oto_otlp_rollback(struct oto_otlp_decoder *d, enum oto_signal signal, const uint32_t *mark)
{
    struct range range = tables_of(signal);
    for (uint32_t t = range.first; t < range.end; t++) {
        table_rollback(d, &d->tables[t], mark);
        mark += oto_builder_mark_size(d->tables[t].builder) / sizeof *mark;
    }
}

// --- failures and refusals ---

// Puts text before the path, as far as there is room: of a path too long the inner end is lost.
static void path_prepend(struct oto_otlp_decoder *d, const char *text, size_t size)
{
    size_t kept = strlen(d->path), room = sizeof d->path - 1;
    size = size < room ? size : room;
    kept = kept < room - size ? kept : room - size;
    memmove(d->path + size, d->path, kept);
    memcpy(d->path, text, size);
    d->path[size + kept] = 0;
}

enum oto_status oto_otlp_fail(struct oto_otlp_decoder *d, enum oto_status status, const uint8_t *at,
                              const char *name, uint32_t index)
{
    char digits[OTO_TEXT_I64_MAX];
    if (!d->failed_at)
        d->failed_at = at;
    if (!name)
        return status;
    if (d->path_skip) {
        d->path_skip--;
        return status;
    }
    if (d->path[0])
        path_prepend(d, ".", 1);
    if (index != NO_INDEX) {
        path_prepend(d, "]", 1);
        path_prepend(d, digits, oto_text_from_u64(index, digits));
        path_prepend(d, "[", 1);
    }
    path_prepend(d, name, strlen(name));
    return status;
}

void oto_otlp_reject(struct oto_otlp_decoder *d, uint64_t count, const char *reason)
{
    size_t size = strlen(reason), room = sizeof d->result.message - 1;
    if (count && d->result.rejected == 0) {
        memcpy(d->result.message, reason, size < room ? size : room);
        d->result.message[size < room ? size : room] = 0;
    }
    d->result.rejected += count;
}

// --- what all messages share ---

enum oto_status oto_otlp_other(struct oto_otlp_decoder *d, struct oto_pb_cursor *c, uint32_t tag,
                               uint32_t known)
{
    uint32_t field = tag >> 3;
    if (field < 32 && (known >> field & 1))
        return oto_otlp_malformed(d, "wrong wire type");
    return oto_pb_skip(c, tag);
}

struct oto_otlp_read oto_otlp_varint_slow(const uint8_t *at, const uint8_t *end)
{
    struct oto_pb_cursor c = {at, end};
    struct oto_otlp_read read = {NULL, 0};
    if (oto_pb_varint(&c, &read.value) == OTO_OK)
        read.at = c.at;
    return read;
}

struct oto_otlp_read oto_otlp_tag_slow(const uint8_t *at, const uint8_t *end)
{
    struct oto_pb_cursor c = {at, end};
    uint32_t tag;
    if (oto_pb_tag(&c, &tag) != OTO_OK)
        return (struct oto_otlp_read){at, 0}; // 0 is no tag: oto_otlp_other_field says so
    return (struct oto_otlp_read){c.at, tag};
}

const uint8_t *oto_otlp_other_field(struct oto_otlp_decoder *d, const uint8_t *at,
                                    const uint8_t *end, uint64_t tag, uint32_t known)
{
    struct oto_pb_cursor c = {at, end};
    if (tag < 8 || (tag & 7) > OTO_PB_FIXED32 || oto_otlp_other(d, &c, (uint32_t)tag, known) < 0)
        return NULL;
    return c.at;
}

// The total size of a field's occurrences, and their bytes where output is not NULL.
static enum oto_status collect(struct oto_pb_cursor c, uint32_t wanted, uint8_t *output,
                               size_t *ret_size)
{
    size_t size = 0;
    uint32_t tag;
    enum oto_status status;
    while ((status = oto_pb_tag(&c, &tag)) == OTO_OK) {
        struct oto_bytes part;
        if (tag != wanted) {
            OTO_TRY(oto_pb_skip(&c, tag));
            continue;
        }
        OTO_TRY(oto_pb_bytes(&c, &part));
        if (output && part.size)
            memcpy(output + size, part.data, part.size);
        size += part.size;
    }
    *ret_size = size;
    return status < 0 ? status : OTO_OK;
}

// Memory for parts that are to lie together. What nests so deep that it is copied over and over is
// refused; it is no lack of memory.
static enum oto_status take_joined(struct oto_otlp_decoder *d, size_t size, uint8_t **ret_joined)
{
    if (d->arena.size_bytes_max - d->arena.used_bytes < size + 8)
        return oto_otlp_malformed(d, "repeated fields nested too deep");
    *ret_joined = oto_arena_alloc(&d->arena, size);
    return *ret_joined ? OTO_OK : OTO_NO_MEMORY;
}

enum oto_status oto_otlp_merge(struct oto_otlp_decoder *d, struct oto_pb_cursor c, uint32_t tag,
                               struct oto_bytes *ret_joined)
{
    size_t size;
    uint8_t *joined;
    OTO_TRY(collect(c, tag, NULL, &size));
    OTO_TRY(take_joined(d, size, &joined));
    OTO_TRY(collect(c, tag, joined, &size));
    *ret_joined = oto_bytes(joined, size);
    return OTO_OK;
}

enum oto_status oto_otlp_fields(struct oto_otlp_decoder *d, struct oto_bytes message,
                                uint32_t wanted, struct oto_bytes *ret_fields)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    const uint8_t *first = NULL, *end = NULL, *start = c.at;
    size_t size = 0;
    uint32_t tag;
    for (; oto_pb_tag(&c, &tag) == OTO_OK; start = c.at) {
        OTO_TRY(oto_pb_skip(&c, tag));
        if (tag != wanted)
            continue;
        first = first ? first : start;
        end = c.at;
        size += (size_t)(c.at - start);
    }
    *ret_fields = oto_bytes(first, size);
    if (size == (size_t)(end - first))
        return OTO_OK;
    uint8_t *copy;
    OTO_TRY(take_joined(d, size, &copy));
    *ret_fields = oto_bytes(copy, size);
    c = (struct oto_pb_cursor){first, end};
    for (start = c.at; oto_pb_tag(&c, &tag) == OTO_OK; start = c.at) {
        OTO_TRY(oto_pb_skip(&c, tag));
        if (tag != wanted)
            continue;
        memcpy(copy, start, (size_t)(c.at - start));
        copy += c.at - start;
    }
    return OTO_OK;
}

enum oto_status oto_otlp_utf8_slow(struct oto_otlp_decoder *d, struct oto_bytes text,
                                   struct oto_bytes *ret_text)
{
    if (oto_utf8_valid(text.data, text.size))
        return OTO_OK;
    d->repaired.size = 0;
    OTO_TRY(oto_buffer_reserve(&d->repaired, oto_utf8_repaired_size(text.data, text.size)));
    d->repaired.size = oto_utf8_repair(text.data, text.size, d->repaired.data);
    *ret_text = oto_buffer_view(&d->repaired);
    d->result.utf8_repaired++;
    return OTO_OK;
}

enum oto_status oto_otlp_code_blind(struct oto_otlp_decoder *d, struct oto_dictionary *dictionary,
                                    struct oto_bytes text, uint32_t *ret_code)
{
    OTO_TRY(oto_otlp_utf8(d, text, &text));
    return oto_dictionary_add_blind(dictionary, text, ret_code);
}

enum oto_status oto_otlp_code_fetched(struct oto_otlp_decoder *d, struct oto_dictionary *dictionary,
                                      struct oto_bytes text, uint32_t hash, uint32_t fetched,
                                      uint32_t *ret_code)
{
    struct oto_bytes valid;
    if (oto_dictionary_peek_fetched(dictionary, text, hash, fetched, ret_code))
        return OTO_OK;
    OTO_TRY(oto_otlp_utf8(d, text, &valid));
    if (valid.data != text.data)
        return oto_dictionary_add(dictionary, valid, ret_code);
    return oto_dictionary_add_new(dictionary, text, hash, ret_code);
}

enum oto_status oto_otlp_code_lookup(struct oto_otlp_decoder *d, struct oto_dictionary *dictionary,
                                     struct oto_bytes text, uint32_t *ret_code)
{
    uint32_t hash = dictionary->plain ? 0 : oto_dictionary_hash(dictionary, text);
    return oto_otlp_code_fetched(d, dictionary, text, hash, NO_CODE, ret_code);
}

enum oto_status oto_otlp_put_text_slow(struct oto_otlp_decoder *d, struct oto_column *c,
                                       struct oto_bytes text)
{
    uint32_t code;
    OTO_TRY(oto_otlp_code(d, c, text, &code));
    oto_column_append_code(c, code);
    return OTO_OK;
}

enum oto_status oto_otlp_put_unique(struct oto_otlp_decoder *d, struct oto_column *c,
                                    struct oto_otlp_news *news, struct oto_bytes text)
{
    uint32_t count = c->dictionary->count, code;
    if (!oto_otlp_is_blind(news)) {
        OTO_TRY(oto_otlp_put_text(d, c, text));
        oto_otlp_looked_up(news, c->dictionary->count != count);
        return OTO_OK;
    }
    news->blind++;
    if (!oto_dictionary_add_ascii(c->dictionary, text, &code))
        OTO_TRY(oto_otlp_code_blind(d, c->dictionary, text, &code));
    oto_column_append_code(c, code);
    return OTO_OK;
}

enum oto_status oto_otlp_row_slow(struct oto_otlp_decoder *d, struct oto_otlp_table *t)
{
    const uint32_t rows = d->is_large ? 16 : 64; // each may have 65,536 attributes
    OTO_TRY(oto_otlp_reckon(d, 0));
    oto_otlp_lift_promoted(&t->sinks[OTO_OTLP_SINK_RECORD]);
    for (uint32_t i = 0; i < t->row_column_count; i++)
        OTO_TRY(oto_column_reserve(t->builder, t->row_columns[i], rows));
    t->rows_left = rows;
    return OTO_OK;
}

// --- what rows take in memory ---

// Until they are in a file: a row, without what is in its lists. Measured, as that is, with a
// million of each kind; no byte of a request becomes more than 65.
#define ROW_BYTES 128u
#define BYTES_A_BYTE 65u

static uint64_t reckon(const struct oto_otlp_decoder *d)
{
    uint64_t bytes = 0;
    for (uint32_t t = d->first_table; t < d->end_table; t++) {
        const struct oto_builder *b = d->tables[t].builder;
        bytes += (uint64_t)b->levels[0].count * ROW_BYTES;
        for (uint32_t i = b->schema->field_count; i < b->node_count; i++) {
            size_t width = oto_field_width(b->columns[i].field);
            bytes += b->columns[i].length * OTO_OTLP_ELEMENT_BYTES(width > 4 ? width : 4);
        }
    }
    return bytes;
}

enum oto_status oto_otlp_reckon(struct oto_otlp_decoder *d, uint64_t more_bytes)
{
    if (!d->is_large)
        return OTO_OK;
    uint64_t bytes = reckon(d) + more_bytes;
    d->is_too_large = bytes > d->bytes_before + d->limits.row_bytes_max;
    return d->is_too_large ? OTO_INVALID : OTO_OK;
}

enum oto_status oto_otlp_reckon_part_slow(struct oto_otlp_decoder *d, struct oto_bytes part,
                                          uint32_t tag)
{
    uint64_t attributes = d->is_large ? oto_otlp_count_fields(part, tag) : 0;
    return oto_otlp_reckon(d, attributes * 2 * OTO_OTLP_ELEMENT_BYTES(4));
}

// --- one request ---

static void request_begin(struct oto_otlp_decoder *d, enum oto_signal signal,
                          struct oto_bytes message, uint64_t received_ns,
                          const struct oto_otlp_limits *limits)
{
    struct range range = tables_of(signal);
    d->signal = signal;
    d->first_table = range.first;
    d->end_table = range.end;
    d->received_ns = received_ns;
    d->limits = *limits;
    d->is_too_large = 0;
    d->is_large = limits->row_bytes_max && message.size > limits->row_bytes_max / BYTES_A_BYTE;
    d->bytes_before = d->is_large ? reckon(d) : 0;
    memset(&d->result, 0, offsetof(struct oto_otlp_result, message) + 1);
    // Merging copies a part once a level at most; what is copied in an attribute is let go with it.
    d->arena.size_bytes_max = 8 * message.size + (64u << 10);
    d->failed_at = NULL;
    d->failure = NULL;
    d->path[0] = 0;
    d->path_skip = 0;
    d->later_count = 0;
    d->later_failed = 0;
    oto_otlp_mark(d, signal, d->mark);
    for (uint32_t t = range.first; t < range.end; t++)
        d->result.rows[t] = d->tables[t].scope_first_row = d->tables[t].builder->levels[0].count;
}

void oto_otlp_count_shared(struct oto_otlp_decoder *d, struct oto_otlp_table *t)
{
    uint32_t rows = t->builder->levels[0].count;
    d->result.shared_values += (uint64_t)(rows - t->scope_first_row) * t->scope_attributes;
    t->scope_first_row = rows;
}

// Metrics with metadata are few: their rows are gone through again.
static void count_metadata(struct oto_otlp_decoder *d, const struct oto_otlp_table *t,
                           uint32_t first_row)
{
    const struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_METADATA];
    const struct oto_level *levels = t->builder->levels;
    if (!s->map || !s->keys->length)
        return;
    for (uint32_t row = first_row; row < levels[0].count; row++) {
        const uint32_t *offsets = s->map->offsets + levels[1].link[levels[0].link[row]];
        d->result.shared_values += offsets[1] - offsets[0];
    }
}

static int has_too_many_values(const struct oto_otlp_decoder *d)
{
    uint64_t most = d->limits.shared_values_max;
    return most && d->result.shared_values > most;
}

static enum oto_status request_end(struct oto_otlp_decoder *d)
{
    OTO_TRY(oto_otlp_later_settle(d));
    for (uint32_t t = d->first_table; t < d->end_table; t++) {
        struct oto_otlp_table *table = &d->tables[t];
        if (table->sinks[OTO_OTLP_SINK_RESOURCE].sets)
            OTO_TRY(oto_otlp_promote_end(&table->sinks[OTO_OTLP_SINK_RESOURCE]));
        if (table->sinks[OTO_OTLP_SINK_RECORD].sets)
            OTO_TRY(oto_otlp_promote_end(&table->sinks[OTO_OTLP_SINK_RECORD]));
        oto_otlp_count_shared(d, table);
        count_metadata(d, table, (uint32_t)d->result.rows[t]);
        d->result.rows[t] = table->builder->levels[0].count - d->result.rows[t];
        d->result.accepted += d->result.rows[t];
    }
    return has_too_many_values(d) ? OTO_INVALID : oto_otlp_reckon(d, 0);
}

// The message is long, and nearly always empty.
static void put_result(const struct oto_otlp_decoder *d, struct oto_otlp_result *ret_result)
{
    if (d->result.rejected)
        *ret_result = d->result;
    else
        memcpy(ret_result, &d->result, offsetof(struct oto_otlp_result, message) + 1);
}

static enum oto_status describe(const struct oto_otlp_decoder *d, enum oto_status status,
                                struct oto_bytes message, struct oto_error *err)
{
    uint64_t offset = OTO_OFFSET_NONE;
    const char *failure = d->failure;
    if (status == OTO_NO_MEMORY || status == OTO_TOO_LARGE)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the request's rows");
    if (d->is_too_large)
        return oto_error_set(err, status,
                             "its rows would take more than the %llu MiB of memory that those of a "
                             "request may; send fewer records at once",
                             (unsigned long long)(d->limits.row_bytes_max >> 20));
    if (has_too_many_values(d))
        return oto_error_set(err, status,
                             "attributes of resources, scopes and metrics count for each record: "
                             "%llu of them, the limit of a request is %llu; send fewer records or "
                             "attributes at once",
                             (unsigned long long)d->result.shared_values,
                             (unsigned long long)d->limits.shared_values_max);
    if (d->failed_at >= message.data && d->failed_at <= message.data + message.size)
        offset = (uint64_t)(d->failed_at - message.data);
    if (!failure)
        failure = "malformed protobuf";
    return oto_error_at(err, status, offset, "%s%s%s", d->path, d->path[0] ? ": " : "", failure);
}

static void request_forget(struct oto_otlp_decoder *d)
{
    oto_arena_reset(&d->arena);
    if (d->repaired.capacity > ARENA_BLOCK_BYTES)
        oto_buffer_release(&d->repaired);
}

enum oto_status oto_otlp_decode(struct oto_otlp_decoder *d, enum oto_signal signal,
                                struct oto_bytes message, uint64_t received_ns,
                                const struct oto_otlp_limits *limits,
                                struct oto_otlp_result *ret_result, struct oto_error *err)
{
    static const uint8_t nothing[1];
    if (!message.data)
        message = oto_bytes(nothing, 0);
    request_begin(d, signal, message, received_ns, limits);
    struct oto_pb_cursor c = oto_pb_cursor(message);
    enum oto_status status = oto_otlp_request_read(d, &c);
    if (status == OTO_OK)
        status = request_end(d);
    if (status < 0) {
        oto_otlp_rollback(d, signal, d->mark);
        oto_otlp_fail(d, status, c.at, NULL, NO_INDEX);
        if (d->failed_at < message.data || d->failed_at > message.data + message.size)
            d->failed_at = c.at; // it was in a copy: of parts that were merged
        status = describe(d, status, message, err);
    } else {
        put_result(d, ret_result);
    }
    request_forget(d);
    return status;
}
