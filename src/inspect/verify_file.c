// One Parquet file of a table: checksums, columns, rows, and what its name says of them.
#include "inspect/verify_internal.h"

#include "base/text.h"
#include "codec/crc.h"

#include <inttypes.h>
#include <stdio.h>

#define ROWS_AT_ONCE 8192u
#define ARENA_BYTES_MAX ((size_t)2 << 30)
#define CHECKSUM_DIGITS 8u
#define TAIL_BYTES 8u // behind the metadata
#define HOUR_US INT64_C(3600000000)

// A file being checked.
struct check {
    struct oto_verify *v;
    struct oto_verify_file *file;
    struct oto_file_source source;
    struct oto_parquet_reader *reader;
    const struct oto_parquet_metadata *metadata;
    uint32_t group, leaf; // at work
    uint32_t wrong;       // problems of this file
    int64_t time_min_us, time_max_us;
    const struct oto_parquet_pair *checksum; // of what no page's covers; NULL: it has none
    uint64_t summed;                         // bytes of the file up to which it is known,
    uint32_t crc;                            // and what it is
    int is_scattered;                        // pages do not follow each other as their columns do
    struct oto_error *page_err;
};

static const struct oto_parquet_pair *find_pair(const struct check *c, const char *key)
{
    for (uint32_t i = 0; i < c->metadata->pair_count; i++)
        if (oto_bytes_equal_text(c->metadata->pairs[i].key, key))
            return &c->metadata->pairs[i];
    return NULL;
}

// --- what is in no page ---

// Adds bytes of the file to a checksum.
static enum oto_status add_bytes(const struct check *c, uint64_t offset, uint64_t size,
                                 uint32_t *crc, struct oto_error *err)
{
    uint8_t piece[16384];
    if (offset > c->source.source.size_bytes || size > c->source.source.size_bytes - offset)
        return oto_error_at(err, OTO_CORRUPT, offset, "the metadata points past the file's end");
    while (size) {
        size_t some = size < sizeof piece ? (size_t)size : sizeof piece;
        OTO_TRY(c->source.source.read(c->source.source.state, offset, piece, some, err));
        *crc = oto_crc32c(*crc, piece, some);
        offset += some;
        size -= some;
    }
    return OTO_OK;
}

// Adds all from where the last page ended.
static enum oto_status add_until(struct check *c, uint64_t offset, struct oto_error *err)
{
    if (offset < c->summed) {
        c->is_scattered = 1;
        return OTO_OK;
    }
    OTO_TRY(add_bytes(c, c->summed, offset - c->summed, &c->crc, err));
    c->summed = offset;
    return OTO_OK;
}

static enum oto_status add_footer(const struct check *c, const struct oto_parquet_pair *pair,
                                  uint32_t *crc)
{
    static const uint8_t zeros[CHECKSUM_DIGITS] = {'0', '0', '0', '0', '0', '0', '0', '0'};
    struct oto_bytes footer = c->metadata->footer;
    if (pair->value.size != CHECKSUM_DIGITS)
        return OTO_CORRUPT;
    size_t digits = (size_t)(pair->value.data - footer.data), end = digits + CHECKSUM_DIGITS;
    *crc = oto_crc32c(*crc, footer.data, digits);
    *crc = oto_crc32c(*crc, zeros, sizeof zeros);
    *crc = oto_crc32c(*crc, footer.data + end, footer.size - end);
    return OTO_OK;
}

// What the reader found is a problem of the file; what the machine could not do is a failure.
static enum oto_status judge(struct check *c, enum oto_status status, const struct oto_error *err)
{
    if (status >= 0)
        return OTO_OK;
    if (status == OTO_NO_MEMORY || status == OTO_INTERNAL)
        return oto_error_set(c->v->err, status, "%s: %s", c->file->name, err->message);
    c->wrong++;
    oto_verify_problem(c->v, c->file->name, err->offset, "%s", err->message);
    return OTO_OK;
}

// --- pages ---

static enum oto_status see_page(void *state, const struct oto_parquet_page_info *page)
{
    struct check *c = state;
    char column[OTO_PARQUET_TEXT_MAX];
    c->v->result->pages++;
    if (c->checksum && page->has_crc) {
        OTO_TRY(add_until(c, page->offset + page->header_bytes, c->page_err));
        c->summed += page->compressed_bytes;
    }
    if (page->crc_right)
        return OTO_OK;
    oto_parquet_leaf_path(c->metadata, c->leaf, column, sizeof column);
    c->wrong++;
    oto_verify_problem(c->v, c->file->name, page->offset,
                       "row group %u, column %s: the page's checksum is wrong", c->group, column);
    return OTO_OK;
}

static void progress(struct check *c, uint64_t bytes)
{
    struct oto_verify *v = c->v;
    v->done_bytes += bytes;
    if (v->options->progress)
        v->options->progress(v->options->state, v->done_bytes, v->total_bytes);
}

static enum oto_status check_pages(struct check *c)
{
    struct oto_error err;
    c->page_err = &err;
    for (c->group = 0; c->group < c->metadata->group_count; c->group++) {
        for (c->leaf = 0; c->leaf < c->metadata->leaf_count; c->leaf++) {
            struct oto_parquet_bloom_info bloom;
            oto_error_init(&err);
            OTO_TRY(judge(
                c, oto_parquet_visit_pages(c->reader, c->group, c->leaf, see_page, c, &err), &err));
            OTO_TRY(
                judge(c, oto_parquet_bloom_info(c->reader, c->group, c->leaf, &bloom, &err), &err));
            progress(c, (uint64_t)c->metadata->groups[c->group].chunks[c->leaf].compressed_bytes);
        }
    }
    return OTO_OK;
}

static enum oto_status add_unpaged(const struct check *c, uint32_t *crc, struct oto_error *err)
{
    const struct oto_parquet_metadata *m = c->metadata;
    for (int part = 0; part < 3; part++)
        for (uint32_t g = 0; g < m->group_count; g++)
            for (uint32_t leaf = 0; leaf < m->leaf_count; leaf++) {
                const struct oto_parquet_chunk_info *chunk = &m->groups[g].chunks[leaf];
                int64_t at = part == 0   ? chunk->bloom_offset
                             : part == 1 ? chunk->column_index_offset
                                         : chunk->offset_index_offset;
                int64_t size = part == 0   ? chunk->bloom_bytes
                               : part == 1 ? chunk->column_index_bytes
                                           : chunk->offset_index_bytes;
                if (at > 0 && size > 0)
                    OTO_TRY(add_bytes(c, (uint64_t)at, (uint64_t)size, crc, err));
            }
    return OTO_OK;
}

// What older files have the checksum of.
static enum oto_status sum_old(const struct check *c, const struct oto_parquet_pair *pair,
                               uint32_t *ret_crc, struct oto_error *err)
{
    *ret_crc = 0;
    OTO_TRY(add_unpaged(c, ret_crc, err));
    return add_footer(c, pair, ret_crc);
}

static enum oto_status sum(struct check *c, uint32_t *ret_crc, struct oto_error *err)
{
    uint64_t size = c->source.source.size_bytes;
    OTO_TRY(add_until(c, size - c->metadata->footer_bytes, err));
    *ret_crc = c->crc;
    OTO_TRY(c->is_scattered ? OTO_CORRUPT : add_footer(c, c->checksum, ret_crc));
    return add_bytes(c, size - TAIL_BYTES, TAIL_BYTES, ret_crc, err);
}

static int is_made_by_us(const struct check *c)
{
    static const char ours[] = "otolith version ";
    struct oto_bytes by = c->metadata->created_by;
    return by.size >= sizeof ours - 1 && memcmp(by.data, ours, sizeof ours - 1) == 0;
}

// After the pages. Ours by name, by who made it or by its flush: each may be damaged. What others
// made of a file of ours has its keys, too, under another name most likely.
static enum oto_status check_checksum(struct check *c, struct oto_error *err)
{
    const struct oto_parquet_pair *old = find_pair(c, OTO_PARQUET_OLD_CHECKSUM_KEY);
    const struct oto_parquet_pair *pair = c->checksum ? c->checksum : old;
    uint64_t begin = c->source.source.size_bytes - c->metadata->footer_bytes;
    int is_ours = is_made_by_us(c) || c->file->is_ours;
    uint32_t crc = 0;
    uint8_t said[4];
    if (!pair) {
        if (is_ours || find_pair(c, OTO_FLUSH_NOTE_KEY))
            return oto_error_at(err, OTO_CORRUPT, begin, "the metadata has lost its checksum");
        return OTO_OK;
    }
    enum oto_status status = c->checksum ? sum(c, &crc, err) : sum_old(c, old, &crc, err);
    if (status < 0 && status != OTO_CORRUPT)
        return status;
    if (status >= 0 && oto_hex_decode(pair->value, said) == OTO_OK && oto_load32_big(said) == crc)
        return OTO_OK;
    if (is_ours)
        return oto_error_at(err, OTO_CORRUPT, begin,
                            "the checksum of page headers, indexes, bloom filters and metadata is "
                            "wrong");
    oto_verify_note(c->v, c->file->name, begin,
                    "its checksum is that of a file of ours: another program made this of it, or "
                    "it is damaged");
    return OTO_OK;
}

// --- rows ---

static void see_times(struct check *c, const struct oto_column *column)
{
    const int64_t *times = column->values;
    for (uint32_t i = 0; i < column->length; i++) {
        c->time_min_us = times[i] < c->time_min_us ? times[i] : c->time_min_us;
        c->time_max_us = times[i] > c->time_max_us ? times[i] : c->time_max_us;
    }
}

static enum oto_status read_rows(struct check *c, struct oto_error *err)
{
    const struct oto_schema *schema = oto_schemas_table(c->v->schemas, c->file->table);
    OTO_TRY(oto_parquet_select(c->reader, schema, err));
    for (;;) {
        struct oto_builder builder;
        uint32_t rows = 0;
        oto_arena_reset(&c->v->arena);
        OTO_TRY(oto_builder_init(&builder, schema, &c->v->arena, 1, ROWS_AT_ONCE, err));
        enum oto_status status = oto_parquet_read(c->reader, &builder, ROWS_AT_ONCE, &rows, err);
        if (status != OTO_OK)
            return status;
        c->file->row_count += rows;
        see_times(c, &builder.columns[oto_table_time_column(c->file->table)]);
    }
}

static int64_t hour_of(int64_t us)
{
    return us / HOUR_US - (us % HOUR_US < 0);
}

// The name that the file's rows and flush give it; the folder for scattered rows is a place of its
// own.
static void check_name(struct check *c)
{
    char name[OTO_INSPECT_PATH_MAX], first[OTO_TEXT_NUMBER_MAX], last[OTO_TEXT_NUMBER_MAX];
    const struct oto_catalogue_file *parsed = &c->file->parsed;
    struct oto_partition partition = {.hour = hour_of(c->time_min_us),
                                      .time_min_us = c->time_min_us};
    if (!c->file->is_ours || !c->file->row_count)
        return;
    if (parsed->time_min_us == INT64_MIN)
        partition.hour = OTO_PARTITION_OVERFLOW;
    else if (c->time_min_us < parsed->time_min_us || c->time_max_us > parsed->time_max_us) {
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE,
                           "rows of %s to %s are not all of its folder's hour",
                           oto_text_time(c->time_min_us, first),
                           oto_text_time(c->time_max_us, last));
        return;
    }
    oto_catalogue_name(c->file->table, &partition, parsed->shard, parsed->first_seq,
                       parsed->last_seq, name, sizeof name);
    if (strcmp(name, c->file->name) != 0)
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE, "by its rows its name would be %s",
                           name);
}

// What it says of the flush that wrote it.
static void read_note(struct check *c)
{
    const struct oto_catalogue_file *parsed = &c->file->parsed;
    struct oto_flush_note *note = &c->file->note;
    if (!c->file->is_ours)
        return;
    enum oto_status status = oto_flush_note_find(c->metadata, note);
    c->file->has_note = status >= 0;
    if (status == OTO_INVALID)
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE,
                           "what it says of its flush is no JSON");
    else if (status >= 0 && (note->shard != parsed->shard || note->first_seq != parsed->first_seq ||
                             note->last_seq != parsed->last_seq))
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE,
                           "it was written for the records %" PRIu64 " to %" PRIu64
                           " of shard %u, its name says another",
                           note->first_seq, note->last_seq, note->shard);
}

// --- the file ---

static enum oto_status check_open_file(struct check *c)
{
    struct oto_error err;
    c->metadata = oto_parquet_metadata_of(c->reader);
    c->checksum = find_pair(c, OTO_PARQUET_CHECKSUM_KEY);
    struct oto_hash128 hash = oto_hash128(c->metadata->footer.data, c->metadata->footer.size);
    c->file->footer_hash_low = hash.low;
    c->file->footer_hash_high = hash.high;
    oto_verify_schema(c->v, c->file, c->metadata);
    read_note(c);
    OTO_TRY(check_pages(c));
    oto_error_init(&err);
    if (!c->wrong)
        OTO_TRY(judge(c, check_checksum(c, &err), &err));
    if (c->wrong)
        return OTO_OK; // its rows would tell the same again
    oto_error_init(&err);
    OTO_TRY(judge(c, read_rows(c, &err), &err));
    if (c->wrong)
        return OTO_OK;
    c->file->is_whole = 1;
    c->v->result->rows[c->file->table] += c->file->row_count;
    check_name(c);
    return OTO_OK;
}

enum oto_status oto_verify_one_file(struct oto_verify *v, struct oto_verify_file *file)
{
    struct check c = {.v = v, .file = file, .time_min_us = INT64_MAX, .time_max_us = INT64_MIN};
    struct oto_parquet_read_options options;
    struct oto_error err;
    char path[OTO_INSPECT_PATH_MAX];
    oto_error_init(&err);
    oto_verify_path(v, file->name, path);
    enum oto_status status = oto_file_source_open(&c.source, path, &err);
    file->is_checked = 1;
    if (status == OTO_NOT_FOUND) { // a second run of its flush replaced it
        file->is_gone = 1;
        return OTO_OK;
    }
    if (status < 0)
        return judge(&c, status, &err);
    oto_parquet_read_options_default(&options);
    options.crc = 0; // checked page by page
    options.page_bytes_max = OTO_PARQUET_PAGE_BYTES_MAX;
    v->result->files++;
    v->result->file_bytes += c.source.source.size_bytes;
    status = oto_parquet_open(&c.source.source, &options, v->codec, &oto_allocator_heap, &c.reader,
                              &err);
    if (status >= 0)
        status = check_open_file(&c);
    else
        status = judge(&c, status, &err);
    oto_parquet_close(c.reader);
    oto_file_source_close(&c.source);
    return status;
}
