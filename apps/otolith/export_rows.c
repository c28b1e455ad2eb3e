// Rows of a table as requests of an export.
#include "export.h"

#include "base/text.h"
#include "parquet/parquet_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_ROWS UINT64_C(50000)    // of one query, where times allow
#define ANSWER_MAX ((size_t)256 << 20) // of one query; beyond it the window is cut smaller
#define REQUEST_BYTES_MAX (3u << 20)   // below the 4 MiB that gRPC servers take by default
#define ROWS_AT_ONCE 8192u
#define ARENA_BLOCK_BYTES ((size_t)1 << 20)
#define MESSAGE_MAX ((size_t)1 << 30)

// The lengths of time that windows are made of, from hours down to what a time is kept in.
static const int64_t bucket_us[] = {INT64_C(3600000000), INT64_C(60000000), INT64_C(1000000), 1000,
                                    1};
#define LEVEL_COUNT (sizeof(bucket_us) / sizeof(bucket_us[0]))

enum oto_status oto_export_init(struct oto_export *export, struct oto_error *err)
{
    oto_buffer_init(&export->sql, &oto_allocator_heap, MESSAGE_MAX);
    oto_buffer_init(&export->answer, &oto_allocator_heap, ANSWER_MAX);
    oto_buffer_init(&export->message, &oto_allocator_heap, MESSAGE_MAX);
    export->schemas = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, err);
    export->encoder = oto_otlp_encoder_new(&oto_allocator_heap);
    export->codec = oto_codec_new(&oto_allocator_heap);
    if (!export->schemas || !export->encoder || !export->codec)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for an export");
    return OTO_OK;
}

void oto_export_release(struct oto_export *export)
{
    oto_buffer_release(&export->sql);
    oto_buffer_release(&export->answer);
    oto_buffer_release(&export->message);
    if (export->schemas)
        oto_schemas_free(export->schemas);
    oto_otlp_encoder_free(export->encoder);
    oto_codec_free(export->codec);
}

// --- asking ---

static const char *time_column(const struct oto_export *export, enum oto_table table)
{
    const struct oto_schema *schema = oto_schemas_table(export->schemas, table);
    return schema->fields[oto_table_time_column(table)]->name;
}

// FROM … WHERE: the table's rows of a range.
static enum oto_status write_rows(struct oto_export *export, enum oto_table table,
                                  const struct oto_export_range *range)
{
    const char *column = time_column(export, table), *word = "WHERE";
    OTO_TRY(oto_buffer_append_format(&export->sql, " FROM %s", oto_table_name(table)));
    if (range->from_us != INT64_MIN) {
        OTO_TRY(oto_buffer_append_format(&export->sql, " %s %s >= make_timestamptz(%" PRId64 ")",
                                         word, column, range->from_us));
        word = "AND";
    }
    if (range->until_us != INT64_MAX) {
        OTO_TRY(oto_buffer_append_format(&export->sql, " %s %s < make_timestamptz(%" PRId64 ")",
                                         word, column, range->until_us));
        word = "AND";
    }
    // On lines of its own: it may end with a comment.
    return export->where
               ? oto_buffer_append_format(&export->sql, " %s (\n%s\n)", word, export->where)
               : OTO_OK;
}

static enum oto_status take_answer(void *state, struct oto_bytes bytes)
{
    struct oto_export *export = state;
    export->answer_status = export->is_stopped(NULL)
                                ? OTO_UNAVAILABLE
                                : oto_buffer_append(&export->answer, bytes.data, bytes.size);
    return export->answer_status;
}

// Runs export->sql; OTO_TOO_LARGE when the answer is.
static enum oto_status ask(struct oto_export *export, enum oto_query_format format,
                           struct oto_error *err)
{
    export->answer.size = 0;
    export->answer_status = OTO_OK;
    enum oto_status status =
        oto_ask_run(export->ask, oto_buffer_view(&export->sql), format, take_answer, export, err);
    if (export->is_stopped(NULL))
        return oto_error_set(err, OTO_UNAVAILABLE, "interrupted");
    if (export->answer_status < 0)
        return oto_error_set(err, export->answer_status,
                             "the rows of one query do not fit into %zu MiB", ANSWER_MAX >> 20);
    return status;
}

static enum oto_status no_memory(struct oto_error *err)
{
    return oto_error_set(err, OTO_NO_MEMORY, "no memory for an export");
}

// The range of a table that is still to be sent.
static struct oto_export_range range_of(const struct oto_export *export, enum oto_table table)
{
    struct oto_export_range range = export->state->range;
    if (export->state->done_us[table] > range.from_us)
        range.from_us = export->state->done_us[table];
    return range;
}

enum oto_status oto_export_count(struct oto_export *export, enum oto_table table,
                                 uint64_t *ret_rows, struct oto_error *err)
{
    struct oto_export_range range = range_of(export, table);
    export->sql.size = 0;
    if (oto_buffer_append_format(&export->sql, "SELECT count(*) AS n") < 0 ||
        write_rows(export, table, &range) < 0)
        return no_memory(err);
    OTO_TRY(ask(export, OTO_QUERY_NDJSON, err)); // {"n":17}
    const uint8_t *at = export->answer.data, *end = at + export->answer.size;
    for (*ret_rows = 0; at < end; at++)
        if (*at >= '0' && *at <= '9')
            *ret_rows = *ret_rows * 10 + (uint64_t)(*at - '0');
    return OTO_OK;
}

// --- a window ---

static enum oto_status send_batch(struct oto_export *export, enum oto_table table,
                                  const struct oto_batch *batch, struct oto_error *err)
{
    struct oto_otlp_encode_limits limits;
    oto_otlp_encode_limits_default(&limits);
    limits.bytes_max = REQUEST_BYTES_MAX;
    for (uint32_t row = 0, rows = 0; row < batch->row_count; row += rows) {
        export->message.size = 0;
        OTO_TRY(oto_otlp_encode(export->encoder, table, batch, NULL, row, batch->row_count - row,
                                &limits, &export->message, &rows, err));
        OTO_TRY(oto_otlp_sender_submit(export->sender, oto_table_signal(table),
                                       oto_buffer_view(&export->message), err));
        export->state->rows += rows;
        oto_progress_show(export->progress, export->state->rows);
    }
    return OTO_OK;
}

// OTO_END: there are no more.
static enum oto_status send_some(struct oto_export *export, enum oto_table table,
                                 struct oto_parquet_reader *reader, struct oto_arena *arena,
                                 struct oto_error *err)
{
    struct oto_builder builder;
    struct oto_batch batch;
    uint32_t rows;
    OTO_TRY(oto_builder_init(&builder, oto_schemas_table(export->schemas, table), arena, 0,
                             ROWS_AT_ONCE, err));
    enum oto_status status = oto_parquet_read(reader, &builder, ROWS_AT_ONCE, &rows, err);
    if (status != OTO_OK)
        return status;
    if (oto_builder_view(&builder, &oto_allocator_heap, &batch) < 0)
        return no_memory(err);
    status = send_batch(export, table, &batch, err);
    oto_batch_release(&batch);
    return status;
}

static enum oto_status send_answer(struct oto_export *export, enum oto_table table,
                                   struct oto_error *err)
{
    struct oto_bytes file = oto_buffer_view(&export->answer);
    struct oto_source source = oto_source_of_bytes(&file);
    struct oto_parquet_reader *reader = NULL;
    struct oto_arena arena;
    struct oto_parquet_read_options options;
    oto_parquet_read_options_default(&options);
    options.page_bytes_max = OTO_PARQUET_PAGE_BYTES_MAX; // what was taken in is sent on
    OTO_TRY(oto_parquet_open(&source, &options, export->codec, &oto_allocator_heap, &reader, err));
    oto_arena_init(&arena, &oto_allocator_heap, ARENA_BLOCK_BYTES, SIZE_MAX);
    enum oto_status status =
        oto_parquet_select(reader, oto_schemas_table(export->schemas, table), err);
    while (status == OTO_OK) {
        status = send_some(export, table, reader, &arena, err);
        oto_arena_reset(&arena);
    }
    oto_arena_release(&arena);
    oto_parquet_close(reader);
    return status;
}

static enum oto_status write_window_sql(struct oto_export *export, enum oto_table table,
                                        const struct oto_export_range *window)
{
    const char *const *names;
    uint32_t count = oto_table_sorted_by(table, &names);
    export->sql.size = 0;
    OTO_TRY(oto_buffer_append_format(&export->sql, "SELECT *"));
    OTO_TRY(write_rows(export, table, window));
    // Rows of a resource, a metric, a series lie together: requests say what they share once.
    for (uint32_t i = 0; i < count; i++)
        OTO_TRY(oto_buffer_append_format(&export->sql, "%s %s", i ? "," : " ORDER BY", names[i]));
    return OTO_OK;
}

void oto_export_note_rejected(struct oto_export *export)
{
    struct oto_export_state *state = export->state;
    struct oto_otlp_sender_totals totals;
    oto_otlp_sender_totals_of(export->sender, &totals);
    if (*totals.message && !state->rejected)
        (void)snprintf(state->message, sizeof(state->message), "%s", totals.message);
    state->rejected = export->rejected_before + totals.rejected;
}

// OTO_TOO_LARGE: nothing was sent, the window has to be cut.
static enum oto_status send_window(struct oto_export *export, enum oto_table table,
                                   const struct oto_export_range *window, struct oto_error *err)
{
    if (write_window_sql(export, table, window) < 0)
        return no_memory(err);
    OTO_TRY(ask(export, OTO_QUERY_PARQUET, err));
    enum oto_status status = send_answer(export, table, err);
    if (status < 0)
        return status == OTO_TOO_LARGE ? oto_error_set(err, OTO_INTERNAL, "%s", err->message)
                                       : status;
    OTO_TRY(oto_otlp_sender_drain(export->sender, err));
    export->state->done_us[table] = window->until_us;
    oto_export_note_rejected(export);
    return oto_export_state_write(export->state, err);
}

// --- windows ---

struct bucket {
    int64_t begin_us;
    uint64_t rows;
};

// Lines "begin,rows" of CSV behind the header. Ownership: returns owned (free).
static struct bucket *read_buckets(struct oto_bytes csv, size_t *ret_count)
{
    size_t lines = 0, count = 0;
    for (size_t i = 0; i < csv.size; i++)
        lines += csv.data[i] == '\n';
    struct bucket *buckets = malloc((lines + 1) * sizeof(*buckets));
    for (const uint8_t *at = csv.data, *end = at + csv.size; buckets && at < end;) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
        if (!stop || !comma || comma > stop)
            break;
        struct bucket *bucket = &buckets[count];
        size_t size = (size_t)(stop - comma) - 1;
        size -= size && stop[-1] == '\r'; // of a server of before
        if (oto_text_to_i64(oto_bytes(at, (size_t)(comma - at)), &bucket->begin_us) == OTO_OK &&
            oto_text_to_u64(oto_bytes(comma + 1, size), &bucket->rows) == OTO_OK)
            count++;
        at = stop + 1;
    }
    *ret_count = count;
    return buckets;
}

// How many rows of the range are in each stretch of time. Ownership: returns owned (free).
static enum oto_status ask_buckets(struct oto_export *export, enum oto_table table,
                                   const struct oto_export_range *range, size_t level,
                                   struct bucket **ret_buckets, size_t *ret_count,
                                   struct oto_error *err)
{
    const char *column = time_column(export, table);
    export->sql.size = 0;
    if (oto_buffer_append_format(&export->sql,
                                 "SELECT us - ((us %% %" PRId64 " + %" PRId64 ") %% %" PRId64
                                 ") AS t, count(*) AS n FROM (SELECT epoch_us(%s) AS us",
                                 bucket_us[level], bucket_us[level], bucket_us[level],
                                 column) < 0 ||
        write_rows(export, table, range) < 0 ||
        oto_buffer_append_format(&export->sql, ") GROUP BY 1 ORDER BY 1") < 0)
        return no_memory(err);
    OTO_TRY(ask(export, OTO_QUERY_CSV, err));
    *ret_buckets = read_buckets(oto_buffer_view(&export->answer), ret_count);
    return *ret_buckets ? OTO_OK : no_memory(err);
}

static enum oto_status send_range(struct oto_export *export, enum oto_table table,
                                  const struct oto_export_range *range, size_t level,
                                  uint64_t rows_max, struct oto_error *err);

// A range whose windows cannot be told at once, or that cannot be cut by a shorter time: in the
// middle of its rows' times. err: what is to be said where all are of one time.
static enum oto_status send_halves(struct oto_export *export, enum oto_table table,
                                   const struct oto_export_range *range, size_t level,
                                   uint64_t rows_max, struct oto_error *err)
{
    const char *column = time_column(export, table);
    struct oto_error why = *err;
    struct bucket *times;
    size_t count;
    export->sql.size = 0;
    // The first, and how much later the last is: as a window and its rows are told.
    if (oto_buffer_append_format(&export->sql,
                                 "SELECT epoch_us(min(%s)) AS t, epoch_us(max(%s)) - "
                                 "epoch_us(min(%s)) AS n",
                                 column, column, column) < 0 ||
        write_rows(export, table, range) < 0)
        return no_memory(err);
    OTO_TRY(ask(export, OTO_QUERY_CSV, err));
    times = read_buckets(oto_buffer_view(&export->answer), &count);
    if (!times)
        return no_memory(err);
    int64_t middle = count ? times[0].begin_us + (int64_t)(times[0].rows / 2) + 1 : 0;
    int is_one = count && times[0].rows == 0;
    free(times);
    if (is_one) {
        *err = why;
        return why.status;
    }
    if (!count)
        return OTO_OK;
    struct oto_export_range first = {range->from_us, middle}, second = {middle, range->until_us};
    OTO_TRY(send_range(export, table, &first, level, rows_max, err));
    return send_range(export, table, &second, level, rows_max, err);
}

// A window that has turned out too large to be answered at once is cut into smaller ones.
static enum oto_status send_or_cut(struct oto_export *export, enum oto_table table,
                                   const struct oto_export_range *window, size_t level,
                                   uint64_t rows, struct oto_error *err)
{
    enum oto_status status = send_window(export, table, window, err);
    if (status != OTO_TOO_LARGE)
        return status;
    return level < LEVEL_COUNT - 1 ? send_range(export, table, window, level + 1, rows / 8 + 1, err)
                                   : send_halves(export, table, window, level, rows / 2 + 1, err);
}

// Puts neighbouring stretches together as long as they have rows_max rows at most; those that have
// more alone are cut (depth: the levels). Windows follow each other without a gap, so rows that
// come in meanwhile are sent when their time is still ahead.
static enum oto_status send_buckets(struct oto_export *export, enum oto_table table,
                                    const struct oto_export_range *range,
                                    const struct bucket *buckets, size_t count, size_t level,
                                    uint64_t rows_max, struct oto_error *err)
{
    struct oto_export_range window = {range->from_us, range->from_us};
    for (size_t i = 0, next; i < count; i = next) {
        uint64_t rows = buckets[i].rows;
        for (next = i + 1; next < count && rows + buckets[next].rows <= rows_max; next++)
            rows += buckets[next].rows;
        window.until_us = next == count ? range->until_us : buckets[next].begin_us;
        if (rows > rows_max && level < LEVEL_COUNT - 1)
            OTO_TRY(send_range(export, table, &window, level + 1, rows_max, err));
        else
            OTO_TRY(send_or_cut(export, table, &window, level, rows, err));
        window.from_us = window.until_us;
    }
    return OTO_OK;
}

static enum oto_status send_range(struct oto_export *export, enum oto_table table,
                                  const struct oto_export_range *range, size_t level,
                                  uint64_t rows_max, struct oto_error *err)
{
    struct bucket *buckets;
    size_t count;
    enum oto_status status = ask_buckets(export, table, range, level, &buckets, &count, err);
    if (status == OTO_TOO_LARGE)
        return send_halves(export, table, range, level, rows_max, err);
    OTO_TRY(status);
    status = send_buckets(export, table, range, buckets, count, level, rows_max, err);
    free(buckets);
    return status;
}

enum oto_status oto_export_send(struct oto_export *export, enum oto_table table, uint64_t rows,
                                struct oto_error *err)
{
    struct oto_export_range range = range_of(export, table);
    if (export->state->done_us[table] == INT64_MAX)
        return OTO_OK;
    // Also where there were none: some may have come since.
    OTO_TRY(rows > WINDOW_ROWS ? send_range(export, table, &range, 0, WINDOW_ROWS, err)
                               : send_or_cut(export, table, &range, 0, rows, err));
    if (export->state->done_us[table] == INT64_MAX)
        return OTO_OK;
    export->state->done_us[table] = INT64_MAX;
    return oto_export_state_write(export->state, err);
}
