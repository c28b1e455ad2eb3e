// Single rows out of files: where a query asks for an id or for an attribute's value, the rows that
// have it are looked for in the columns' codes and copied, with the columns that the query reads.
// DuckDB would decode whole maps, and whole row groups of every column, for it. Where these rows
// are few, and all that the query reads, DuckDB takes them as they are (query_rows.h); else they go
// into files in memory, which take the place of the files that they are from.
#include "query_files.h"
#include "query_rows.h"

#include "os/file.h"
#include "os/thread.h"
#include "parquet/parquet_pick.h"
#include "parquet/parquet_writer.h"
#include "telemetry/tables.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 16
#define ROWS_SHARE 8            // more of a row group's rows than one in this are read as usual
#define ROWS_ENOUGH 5000        // for a query with LIMIT
#define BATCH_ROWS 20000u       // rows gathered before they are written,
#define BATCH_BYTES (16u << 20) // or what they take
#define OUTPUT_SHARE 8 // of the process's memory for picked rows; beyond it, files are read
#define FAILURES_MAX 2 // files without so few rows, before the others are left alone

// What all threads know of a table's work; it stays while its rows are asked for.
struct query_job {
    struct query_job *next_job;
    struct picker *pickers;
    unsigned picker_count;
    const struct oto_field **fields; // of the schema
    struct query_views *views;
    struct query_io *io;
    const struct query_plan *plan;
    size_t table;
    struct oto_schema schema;               // the columns that the query reads
    const struct query_condition *constant; // NULL: none. See choose_constant
    size_t *files;
    size_t file_count;
    uint64_t output_bytes_max; // of a thread
    _Atomic size_t next;       // of files
    _Atomic size_t failures;   // files with too many rows
    _Atomic size_t successes;
    _Atomic uint64_t row_count;
};

// One thread's.
struct picker {
    struct query_job *job;
    struct oto_thread thread;
    struct oto_codec *codec;
    struct oto_arena arena; // of the builder
    struct oto_builder builder;
    struct oto_batch batch; // of it, where the rows stay here
    struct oto_buffer rows; // found
    struct oto_parquet_writer *writer;
    struct oto_parquet_options options;
    struct oto_sink sink;
    int fd;
    int is_written; // some of the rows, so that all have to be
    uint64_t written, row_count, file_count;
};

// --- what is asked ---

static uint32_t leaf_of(const struct oto_parquet_metadata *m, uint32_t node)
{
    return m->nodes[node].leaf;
}

// The condition as a wish about a file. 0: it is of another kind.
static int make_wish(const struct oto_parquet_metadata *m, const struct query_condition *c,
                     struct oto_parquet_wish *ret)
{
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end) {
        if (!oto_bytes_equal(m->nodes[i].name, c->column))
            continue;
        int is_map = m->nodes[i].end == i + 4 && m->nodes[i + 1].child_count == 2;
        if (!is_map != !c->key.data || (!is_map && m->nodes[i].child_count))
            return 0;
        *ret = (struct oto_parquet_wish){.leaf = leaf_of(m, is_map ? i + 3 : i),
                                         .key_leaf = is_map ? leaf_of(m, i + 2) : UINT32_MAX,
                                         .key = c->key,
                                         .values = c->values,
                                         .value_count = c->value_count};
        return 1;
    }
    return 0;
}

static int has_filter(const struct oto_schema *schema, struct oto_bytes column)
{
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (oto_bytes_equal_text(column, schema->fields[i]->name))
            return (schema->fields[i]->flags & OTO_FIELD_BLOOM) != 0;
    return 0;
}

// Ids have bloom filters, in files on disk: their values are rare. Other columns DuckDB reads
// quickly.
static int is_worth_it(const struct query_job *job, const struct oto_parquet_wish *wish,
                       struct oto_bytes column)
{
    return wish->key_leaf != UINT32_MAX ||
           has_filter(job->views->models[job->table].schema, column);
}

// The best condition of a scan to look for rows by: an id, else a map's key.
static int choose_wish(const struct query_job *job, const struct oto_parquet_metadata *m,
                       const struct query_scan *scan, struct oto_parquet_wish *ret)
{
    struct oto_parquet_wish wish;
    int found = 0;
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->conditions[i].is_range || !make_wish(m, &scan->conditions[i], &wish) ||
            !is_worth_it(job, &wish, scan->conditions[i].column))
            continue;
        if (!found || wish.key_leaf == UINT32_MAX)
            *ret = wish;
        found = 1;
    }
    return found;
}

static int may_be_picked(const struct query_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        if (!scan->conditions[i].is_range)
            return 1;
    return 0;
}

// --- a row group ---

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Rows that several scans found, each once.
static void unite(struct oto_buffer *rows)
{
    uint32_t *at = (void *)rows->data;
    size_t count = rows->size / sizeof(*at), kept = 0;
    if (count)
        qsort(at, count, sizeof(*at), compare_rows);
    for (size_t i = 0; i < count; i++)
        if (!i || at[i] != at[kept - 1])
            at[kept++] = at[i];
    rows->size = kept * sizeof(*at);
}

struct picked_file {
    int fd;
    struct oto_parquet_reader *reader;
    struct query_facts *facts;
};

// The rows of a row group that some scan may want. OTO_TOO_LARGE: too many for this.
static enum oto_status find(struct picker *p, const struct picked_file *file, uint32_t group)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(file->reader);
    const struct query_job *job = p->job;
    // Without the map, all rows are less work than DuckDB has with it.
    unsigned share = job->constant && job->constant->key.data ? 1 : ROWS_SHARE;
    uint32_t most = (uint32_t)(m->groups[group].row_count / share) + 64, scans = 0;
    p->rows.size = 0;
    for (const struct query_scan *scan = job->plan->scans; scan; scan = scan->next) {
        struct oto_parquet_wish wish;
        if (scan->table != job->table || !query_group_may_match(file->facts, file->fd, group, scan))
            continue;
        if (job->constant ? !make_wish(m, job->constant, &wish) : !choose_wish(job, m, scan, &wish))
            return OTO_UNSUPPORTED;
        OTO_TRY(oto_parquet_find_rows(file->reader, group, &wish, most, &p->rows, NULL));
        scans++;
    }
    if (scans > 1)
        unite(&p->rows);
    return OTO_OK;
}

static enum oto_status write_batch(struct picker *p)
{
    struct oto_batch batch;
    uint32_t count = p->builder.levels[0].count;
    if (!count)
        return OTO_OK;
    p->is_written = 1;
    OTO_TRY(oto_builder_view(&p->builder, &oto_allocator_heap, &batch));
    enum oto_status status = oto_parquet_writer_append(p->writer, &batch, NULL, count, NULL);
    oto_batch_release(&batch);
    oto_arena_reset(&p->arena);
    OTO_TRY(status);
    return oto_builder_init(&p->builder, &p->job->schema, &p->arena, 0, 0, NULL);
}

// --- a file ---

// Files in memory are there already.
static int open_file(const struct query_file *file)
{
    if (file->info.fd >= 0)
        return file->info.fd;
    return open(file->info.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

// Looks through all row groups before the first row is copied: a file is taken whole or not at all.
static enum oto_status pick_groups(struct picker *p, const struct picked_file *file)
{
    struct oto_parquet_reader *reader = file->reader;
    uint32_t count = oto_parquet_metadata_of(reader)->group_count;
    struct oto_buffer *found = calloc((size_t)count + 1, sizeof(*found));
    enum oto_status status = found ? OTO_OK : OTO_NO_MEMORY;
    size_t total = 0;
    for (uint32_t group = 0; group < count && status == OTO_OK; group++) {
        status = find(p, file, group);
        found[group] = p->rows;
        total += p->rows.size / sizeof(uint32_t);
        oto_buffer_init(&p->rows, &oto_allocator_heap, 1u << 30);
    }
    if (status == OTO_OK && total)
        status = oto_parquet_select(reader, &p->job->schema, NULL);
    for (uint32_t group = 0; group < count && status == OTO_OK; group++)
        if (found[group].size)
            query_foresee_columns(file->fd, reader, group, &p->job->schema);
    for (uint32_t group = 0; group < count && status == OTO_OK; group++)
        if (found[group].size)
            status = oto_parquet_read_picked(reader, group, (const void *)found[group].data,
                                             (uint32_t)(found[group].size / sizeof(uint32_t)),
                                             &p->builder, NULL);
    for (uint32_t group = 0; found && group < count; group++)
        oto_buffer_release(&found[group]);
    free(found);
    OTO_TRY(status);
    p->row_count += total;
    atomic_fetch_add(&p->job->row_count, total);
    return OTO_OK;
}

static int open_picked(struct picker *p, const struct query_file *file, struct picked_file *ret)
{
    ret->fd = open_file(file);
    ret->reader = ret->fd < 0 ? NULL : query_reader_open(p->codec, &ret->fd);
    ret->facts = ret->reader ? query_facts_make(ret->reader) : NULL;
    return ret->facts != NULL;
}

static void close_picked(const struct query_file *file, struct picked_file *opened)
{
    query_facts_free(opened->facts);
    oto_parquet_close(opened->reader);
    if (opened->fd >= 0 && opened->fd != file->info.fd)
        close(opened->fd);
}

// What was read of a file that failed in between is taken back.
static enum oto_status pick_file(struct picker *p, struct query_file *file)
{
    struct picked_file opened;
    enum oto_status status = OTO_UNSUPPORTED;
    uint32_t *mark = malloc(oto_builder_mark_size(&p->builder));
    if (open_picked(p, file, &opened) && mark) {
        oto_builder_mark(&p->builder, mark);
        status = pick_groups(p, &opened);
        if (status < 0)
            oto_builder_rollback(&p->builder, mark);
    }
    close_picked(file, &opened);
    free(mark);
    OTO_TRY(status);
    file->is_dropped = file->is_picked = 1;
    p->file_count++;
    int is_full = p->builder.levels[0].count >= BATCH_ROWS || p->arena.used_bytes >= BATCH_BYTES;
    return is_full ? write_batch(p) : OTO_OK;
}

// --- a thread ---

static enum oto_status write_at_end(void *state, const void *data, size_t size,
                                    struct oto_error *err)
{
    struct picker *p = state;
    const uint8_t *at = data;
    while (size) {
        ssize_t put = pwrite(p->fd, at, size, (off_t)p->written);
        if (put <= 0)
            return oto_error_set(err, OTO_NO_MEMORY, "no memory for picked rows");
        at += put;
        p->written += (uint64_t)put;
        size -= (size_t)put;
    }
    return OTO_OK;
}

static enum oto_status begin(struct picker *p)
{
    oto_buffer_init(&p->rows, &oto_allocator_heap, 1u << 30);
    oto_arena_init(&p->arena, &oto_allocator_heap, 1u << 20, 1u << 30);
    oto_parquet_options_default(&p->options);
    p->options.compression = OTO_COMPRESSION_NONE;
    p->options.page_index = p->options.bloom = p->options.crc = 0;
    p->options.created_by = "otolith-query";
    p->sink = (struct oto_sink){write_at_end, p};
    p->codec = oto_codec_new(&oto_allocator_heap);
    if (!p->codec)
        return OTO_NO_MEMORY;
    OTO_TRY(oto_builder_init(&p->builder, &p->job->schema, &p->arena, 0, 0, NULL));
    return oto_parquet_writer_new(&p->job->schema, &p->options, p->codec, &oto_allocator_heap,
                                  &p->sink, &p->writer, NULL);
}

// Only files that are in the output whole may count as picked.
static void give_up(struct picker *p)
{
    struct query_job *job = p->job;
    for (size_t i = 0; i < job->file_count; i++) {
        struct query_file *file = &job->views->files[job->files[i]];
        if (file->picker == p)
            file->is_dropped = file->is_picked = 0;
    }
    p->row_count = p->file_count = 0;
}

static int goes_on(const struct picker *p)
{
    struct query_job *job = p->job;
    if (job->plan->has_limit && atomic_load(&job->row_count) >= ROWS_ENOUGH)
        return 0;
    return query_io_stopped(job->io) == QUERY_GOES_ON && p->written < job->output_bytes_max &&
           (atomic_load(&job->failures) < FAILURES_MAX || atomic_load(&job->successes));
}

static enum oto_status write_out(struct picker *p)
{
    struct oto_parquet_result result;
    OTO_TRY(write_batch(p));
    return oto_parquet_writer_finish(p->writer, &result, NULL);
}

static void *run(void *state)
{
    struct picker *p = state;
    struct query_job *job = p->job;
    enum oto_status status = begin(p);
    for (size_t i; status == OTO_OK && goes_on(p) &&
                   (i = atomic_fetch_add(&job->next, 1)) < job->file_count;) {
        // The newest first.
        struct query_file *file = &job->views->files[job->files[job->file_count - 1 - i]];
        file->picker = p;
        enum oto_status picked = pick_file(p, file);
        atomic_fetch_add(picked == OTO_OK ? &job->successes : &job->failures, 1);
        if (picked < 0 && file->is_picked) // the file was read, the rows could not be written
            status = picked;
    }
    if (status == OTO_OK && p->is_written)
        status = write_out(p);
    if (status < 0)
        give_up(p);
    return NULL;
}

static void end(struct picker *p)
{
    oto_batch_release(&p->batch);
    oto_parquet_writer_free(p->writer);
    oto_codec_free(p->codec);
    oto_arena_release(&p->arena);
    oto_buffer_release(&p->rows);
}

// --- a table ---

// The rows become one more file of the table.
static void add_output(struct query_views *views, struct picker *p)
{
    if (!p->is_written && p->row_count && write_out(p) < 0)
        give_up(p);
    int fd = p->row_count ? fcntl(p->fd, F_DUPFD_CLOEXEC, 10) : -1;
    if (p->row_count && query_views_add_memory(views, (uint32_t)p->job->table, fd) < 0) {
        give_up(p);
        if (fd >= 0)
            close(fd);
    }
}

static void free_job(struct query_job *job)
{
    for (unsigned i = 0; i < job->picker_count; i++)
        end(&job->pickers[i]);
    free(job->pickers);
    free(job->files);
    free(job->fields);
    free(job);
}

enum oto_status query_pick_open(struct query_views *views, struct oto_error *err)
{
    struct oto_file file;
    for (size_t i = 0; i < QUERY_PICKED_MAX; i++) {
        OTO_TRY(oto_file_open_memory(&file, "otolith-picked", err));
        views->picked_fds[i] = file.fd;
    }
    return OTO_OK;
}

void query_pick_let_go(struct query_views *views)
{
    for (size_t i = 0; i < views->settings->table_count; i++)
        query_rows_clear(&views->rows[i]);
    views->are_rows_here = 0;
    while (views->jobs) {
        struct query_job *job = views->jobs;
        views->jobs = job->next_job;
        free_job(job);
    }
    while (views->picked_count)
        (void)!ftruncate(views->picked_fds[--views->picked_count], 0);
}

static void run_threads(struct query_job *job, unsigned threads)
{
    struct query_views *views = job->views;
    size_t free_count = QUERY_PICKED_MAX - views->picked_count;
    threads = threads < free_count ? threads : (unsigned)free_count;
    struct picker *pickers = job->pickers = calloc(threads + 1u, sizeof(*pickers));
    if (!pickers || !threads)
        return;
    job->picker_count = threads;
    job->output_bytes_max = views->settings->memory_bytes / OUTPUT_SHARE / threads;
    for (unsigned i = 0; i < threads; i++)
        pickers[i] = (struct picker){.job = job, .fd = views->picked_fds[views->picked_count++]};
    for (unsigned i = 1; i < threads; i++)
        (void)!oto_thread_start(&pickers[i].thread, "query-pick", run, &pickers[i], NULL);
    (void)run(&pickers[0]);
    for (unsigned i = 1; i < threads; i++)
        oto_thread_join(&pickers[i].thread);
}

// Rows have all columns that the query's text names, where these are few.
static int is_read(const struct query_job *job, const char *name)
{
    if (!job->views->names.every)
        return query_model_needs(&job->views->models[job->table], name);
    for (const struct query_scan *scan = job->plan->scans; scan; scan = scan->next)
        for (size_t i = 0; scan->table == job->table && i < scan->word_count; i++)
            if (oto_bytes_equal_text(scan->words[i], name))
                return 1;
    return 0;
}

// The scan, where the table has one only.
static const struct query_scan *only_scan(const struct query_job *job)
{
    const struct query_scan *only = NULL;
    for (const struct query_scan *scan = job->plan->scans; scan; scan = scan->next) {
        if (scan->table != job->table)
            continue;
        if (only)
            return NULL;
        only = scan;
    }
    return only;
}

// What stands in SQL, or is compared as C text, ends at a zero.
static int is_whole(struct oto_bytes text)
{
    return !text.size || !memchr(text.data, 0, text.size);
}

// An id that all wanted rows have.
static const struct query_condition *find_id(const struct query_job *job,
                                             const struct query_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        const struct query_condition *c = &scan->conditions[i];
        if (!c->is_range && !c->key.data && c->value_count == 1 && is_whole(c->values[0]) &&
            has_filter(job->views->models[job->table].schema, c->column))
            return c;
    }
    return NULL;
}

// What is one value in all rows that are found needs not be read again: an id that is asked for; a
// map that is read for one condition on one key, of which all that matters is the pair.
static void choose_constant(struct query_job *job)
{
    const struct query_scan *only = only_scan(job);
    const struct query_condition *condition = NULL;
    size_t mentions = 0;
    if (!only || (job->constant = find_id(job, only)))
        return;
    for (size_t i = 0; i < only->count; i++) {
        if (only->conditions[i].is_range)
            continue;
        if (condition)
            return;
        condition = &only->conditions[i];
    }
    if (!condition || !condition->key.data || condition->value_count != 1 ||
        !is_whole(condition->key) || !is_whole(condition->values[0]))
        return;
    for (size_t i = 0; i < only->word_count; i++)
        mentions += oto_bytes_equal(only->words[i], condition->column) ? 1u : 0u;
    job->constant = mentions == 1 ? condition : NULL;
}

// The table's columns that the scans read; one at least.
static enum oto_status choose_columns(struct query_job *job, const struct oto_schema *all,
                                      const struct oto_field **fields)
{
    uint32_t count = 0;
    choose_constant(job);
    for (uint32_t i = 0; i < all->field_count; i++)
        if (is_read(job, all->fields[i]->name) &&
            !(job->constant && oto_bytes_equal_text(job->constant->column, all->fields[i]->name)))
            fields[count++] = all->fields[i];
    for (uint32_t i = 0; i < all->field_count && count == 0; i++)
        if (strcmp(all->fields[i]->name, job->views->models[job->table].time_name) == 0)
            fields[count++] = all->fields[i];
    job->schema = (struct oto_schema){all->name, fields, count, 1};
    return count ? OTO_OK : OTO_INVALID;
}

// What the view says in the column's place: MAP {'key': 'value'} AS "Column", or 'value' AS …
static enum oto_status write_constant(struct query_job *job)
{
    const struct query_model *model = &job->views->models[job->table];
    struct oto_buffer *sql = &job->views->constants[job->table];
    for (size_t i = 0; i < model->field_count; i++)
        if (oto_bytes_equal_text(job->constant->column, model->fields[i].name))
            job->views->constant_names[job->table] = model->fields[i].name;
    int is_map = job->constant->key.data != NULL;
    struct query_constant *constant = &job->views->rows[job->table].constant;
    constant->column = oto_bytes_copy_text(&oto_allocator_heap, job->constant->column);
    constant->value = oto_bytes_copy_text(&oto_allocator_heap, job->constant->values[0]);
    if (is_map)
        constant->key = oto_bytes_copy_text(&oto_allocator_heap, job->constant->key);
    if (!constant->column || !constant->value || !constant->key != !is_map)
        return OTO_NO_MEMORY;
    if (is_map) {
        OTO_TRY(oto_buffer_append_format(sql, "MAP {"));
        OTO_TRY(query_append_quoted(sql, job->constant->key, '\''));
        OTO_TRY(oto_buffer_append_format(sql, ": "));
    }
    OTO_TRY(query_append_quoted(sql, job->constant->values[0], '\''));
    OTO_TRY(oto_buffer_append_format(sql, is_map ? "} AS " : " AS "));
    return query_append_quoted(sql, job->constant->column, '"');
}

static enum oto_status list_files(struct query_job *job)
{
    job->files = calloc(job->views->file_count + 1, sizeof(*job->files));
    if (!job->files)
        return OTO_NO_MEMORY;
    for (size_t i = 0; i < job->views->file_count; i++) {
        const struct query_file *file = &job->views->files[i];
        if (file->info.table == job->table && !file->is_dropped && !file->info.is_model)
            job->files[job->file_count++] = i;
    }
    return OTO_OK;
}

// Takes the job.
static void pick_table(struct query_job *job, unsigned threads)
{
    const struct oto_schema *all = job->views->models[job->table].schema;
    job->fields = all ? calloc(all->field_count, sizeof(*job->fields)) : NULL;
    job->next_job = job->views->jobs;
    job->views->jobs = job;
    if (job->fields && list_files(job) == OTO_OK && job->file_count &&
        choose_columns(job, all, job->fields) == OTO_OK &&
        (!job->constant || write_constant(job) == OTO_OK))
        run_threads(job, threads < job->file_count ? threads : (unsigned)job->file_count);
}

// --- where the rows go ---

static int are_few(const struct query_job *job)
{
    for (unsigned i = 0; i < job->picker_count; i++)
        if (job->pickers[i].is_written)
            return 0;
    return 1;
}

// Whether the query reads nothing but rows that are here, and few.
static int are_rows_here(const struct query_views *views, const struct query_plan *plan,
                         const uint8_t *wanted)
{
    for (size_t i = 0; i < views->settings->table_count; i++)
        if (wanted[i] && !views->models[i].is_typed)
            return 0;
    for (size_t i = 0; i < views->file_count; i++)
        if (wanted[views->files[i].info.table] && !views->files[i].info.is_model &&
            !views->files[i].is_dropped)
            return 0;
    for (const struct query_job *job = views->jobs; job; job = job->next_job)
        if (!are_few(job))
            return 0;
    return plan->scans != NULL;
}

static enum oto_status give_rows(struct query_job *job)
{
    struct query_rows *rows = &job->views->rows[job->table];
    for (unsigned i = 0; i < job->picker_count; i++) {
        struct picker *p = &job->pickers[i];
        if (!p->row_count)
            continue;
        OTO_TRY(oto_builder_view(&p->builder, &oto_allocator_heap, &p->batch));
        rows->batches[rows->batch_count++] = p->batch;
    }
    return OTO_OK;
}

static void settle(struct query_views *views, const struct query_plan *plan, const uint8_t *wanted)
{
    enum oto_status status = OTO_OK;
    views->are_rows_here = are_rows_here(views, plan, wanted);
    for (struct query_job *job = views->jobs; job && views->are_rows_here; job = job->next_job)
        if ((status = give_rows(job)) < 0)
            views->are_rows_here = 0;
    for (struct query_job *job = views->jobs; job; job = job->next_job)
        for (unsigned i = 0; i < job->picker_count; i++) {
            if (!views->are_rows_here)
                add_output(views, &job->pickers[i]);
            views->scan.files_picked += job->pickers[i].file_count;
            views->scan.rows_picked += job->pickers[i].row_count;
        }
}

void query_pick(struct query_views *views, const struct query_plan *plan, const uint8_t *wanted,
                struct query_io *io)
{
    for (size_t table = 0; table < views->settings->table_count; table++) {
        unsigned threads = views->settings->threads;
        int some = 0, all = 1;
        for (const struct query_scan *scan = plan->scans; scan; scan = scan->next)
            if (scan->table == table) {
                some = 1;
                all &= may_be_picked(scan);
            }
        if (!some || !all || views->models[table].fd < 0)
            continue;
        struct query_job *job = calloc(1, sizeof(*job));
        if (!job)
            break;
        job->views = views;
        job->io = io;
        job->plan = plan;
        job->table = table;
        pick_table(job, threads < THREADS_MAX ? threads : THREADS_MAX);
    }
    settle(views, plan, wanted);
}
