// What was acknowledged against what is there: each record of each log must be in files or in the
// log, and in one flush's files only; files of a flush must have all its rows.
#include "inspect/verify_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ON_PURPOSE "(removed on purpose: --allow-missing)"

struct span {
    uint32_t shard;
    uint64_t first, last;
    const struct oto_verify_file *file; // NULL: in the log
};

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->shard != y->shard)
        return x->shard < y->shard ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->last != y->last)
        return x->last < y->last ? -1 : 1;
    if (!x->file || !y->file)
        return (x->file != NULL) - (y->file != NULL);
    return strcmp(x->file->name, y->file->name);
}

static const struct oto_verify_log *log_of(const struct oto_verify *v, uint32_t shard)
{
    size_t count;
    const struct oto_verify_log *logs = oto_verify_logs(v, &count);
    for (size_t i = 0; i < count; i++)
        if (logs[i].shard == shard)
            return &logs[i];
    return NULL;
}

static enum oto_status gather(const struct oto_verify *v, struct oto_buffer *spans)
{
    size_t count;
    const struct oto_verify_file *files = oto_verify_files(v, &count);
    for (size_t i = 0; i < count; i++) {
        struct span span = {files[i].parsed.shard, files[i].parsed.first_seq,
                            files[i].parsed.last_seq, &files[i]};
        if (files[i].is_ours && !files[i].is_gone)
            OTO_TRY(oto_buffer_append(spans, &span, sizeof span));
    }
    const struct oto_verify_log *logs = oto_verify_logs(v, &count);
    for (size_t i = 0; i < count; i++) {
        const struct oto_seq_range *ranges = (const void *)logs[i].ranges.data;
        for (size_t k = 0; k < logs[i].ranges.size / sizeof *ranges; k++) {
            struct span span = {logs[i].shard, ranges[k].first, ranges[k].last, NULL};
            OTO_TRY(oto_buffer_append(spans, &span, sizeof span));
        }
    }
    return OTO_OK;
}

static void missing(struct oto_verify *v, uint32_t shard, uint64_t first, uint64_t last)
{
    char name[64];
    if (v->options->missing_allowed)
        return;
    (void)snprintf(name, sizeof name, "wal/%u", shard);
    oto_verify_problem(v, name, OTO_OFFSET_NONE,
                       "the records %" PRIu64 " to %" PRIu64
                       " were acknowledged and are neither in files nor in the log " ON_PURPOSE,
                       first, last);
}

// --- the rows of a flush ---

// The file that is named has nothing wrong: it is where the flush's rows are told.
static void differs(struct oto_verify *v, const struct oto_verify_file *file,
                    const struct oto_flush_note *note, enum oto_table table, uint64_t rows)
{
    int is_less = rows < note->rows[table];
    oto_verify_problem(v, file->name, OTO_OFFSET_NONE,
                       "%s: the flush (records %" PRIu64 " to %" PRIu64
                       " of shard %u) wrote %" PRIu64 " rows of %s, files have %" PRIu64 "%s",
                       is_less ? "is whole, but other files of its flush are missing"
                               : "a file of its flush is there twice",
                       note->first_seq, note->last_seq, note->shard, note->rows[table],
                       oto_table_folder(table), rows, is_less ? " " ON_PURPOSE : "");
}

// The files of one flush: spans of one range.
static void check_rows(struct oto_verify *v, const struct span *spans, size_t count)
{
    struct oto_flush_note note = {0};
    uint64_t rows[OTO_TABLE_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        const struct oto_verify_file *file = spans[i].file;
        if (!file->is_whole)
            return; // what it lacks was said
        if (file->has_note)
            oto_flush_note_widen(&note, &file->note);
        rows[file->table] += file->row_count;
    }
    for (int t = 0; note.last_seq && t < OTO_TABLE_COUNT; t++)
        if (rows[t] > note.rows[t] || (rows[t] < note.rows[t] && !v->options->missing_allowed))
            differs(v, spans[0].file, &note, (enum oto_table)t, rows[t]);
}

// --- one shard ---

struct walk {
    struct oto_verify *v;
    const struct oto_verify_log *log; // NULL: of fewer threads than once
    uint64_t covered;                 // all up to here is somewhere
    const struct span *file_span;     // that with the highest end so far
};

static void see_range(struct walk *w, const struct span *span)
{
    if (span->first > w->covered + 1)
        missing(w->v, span->shard, w->covered + 1, span->first - 1);
    if (span->last > w->covered)
        w->covered = span->last;
    if (!span->file)
        return;
    if (w->file_span && span->first <= w->file_span->last &&
        (span->first != w->file_span->first || span->last != w->file_span->last))
        oto_verify_problem(w->v, span->file->name, OTO_OFFSET_NONE,
                           "its records %" PRIu64 " to %" PRIu64 " are partly those of %s",
                           span->first, span->last, w->file_span->file->name);
    if (!w->file_span || span->last >= w->file_span->last)
        w->file_span = span;
}

// All up to here was acknowledged: a flush was begun for it, or it is in the log.
static uint64_t known_end(const struct oto_verify_log *log)
{
    uint64_t end = log->last_seq;
    if (end < log->marks.flushed_seq)
        end = log->marks.flushed_seq;
    return end < log->marks.cut_seq ? log->marks.cut_seq : end;
}

// A flush that was begun and did not end is done again: its files need not be all.
static int is_flushed(const struct walk *w, const struct span *span)
{
    return !w->log || span->last <= w->log->marks.flushed_seq;
}

static void check_shard(struct oto_verify *v, const struct span *spans, size_t count)
{
    struct walk w = {.v = v, .log = log_of(v, spans[0].shard)};
    for (size_t i = 0, end; i < count; i = end) {
        see_range(&w, &spans[i]);
        end = i + 1;
        if (!spans[i].file)
            continue;
        while (end < count && spans[end].file && spans[end].first == spans[i].first &&
               spans[end].last == spans[i].last)
            end++;
        if (is_flushed(&w, &spans[i]))
            check_rows(v, spans + i, end - i);
    }
    uint64_t last = w.log ? known_end(w.log) : 0;
    if (last > w.covered)
        missing(v, spans[0].shard, w.covered + 1, last);
}

// Logs of which nothing at all is left.
static void check_empty_shards(struct oto_verify *v, const struct span *spans, size_t span_count)
{
    size_t count;
    const struct oto_verify_log *logs = oto_verify_logs(v, &count);
    for (size_t i = 0; i < count; i++) {
        int is_there = 0;
        for (size_t k = 0; k < span_count; k++)
            is_there |= spans[k].shard == logs[i].shard;
        if (!is_there && logs[i].marks.cut_seq)
            missing(v, logs[i].shard, 1, logs[i].marks.cut_seq);
    }
}

enum oto_status oto_verify_ranges(struct oto_verify *v)
{
    struct oto_buffer buffer;
    oto_buffer_init(&buffer, &oto_allocator_heap, SIZE_MAX / 2);
    if (gather(v, &buffer) < 0) {
        oto_buffer_release(&buffer);
        return oto_error_set(v->err, OTO_NO_MEMORY, "no memory to compare files and logs");
    }
    struct span *spans = (struct span *)(void *)buffer.data;
    size_t count = buffer.size / sizeof *spans;
    if (count)
        qsort(spans, count, sizeof *spans, compare_spans);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && spans[end].shard == spans[i].shard;)
            end++;
        check_shard(v, spans + i, end - i);
    }
    check_empty_shards(v, spans, count);
    oto_buffer_release(&buffer);
    return OTO_OK;
}

// --- equal files ---

static int compare_contents(const void *a, const void *b)
{
    const struct oto_verify_file *x = *(const struct oto_verify_file *const *)a;
    const struct oto_verify_file *y = *(const struct oto_verify_file *const *)b;
    if (x->footer_hash_low != y->footer_hash_low)
        return x->footer_hash_low < y->footer_hash_low ? -1 : 1;
    if (x->footer_hash_high != y->footer_hash_high)
        return x->footer_hash_high < y->footer_hash_high ? -1 : 1;
    return strcmp(x->name, y->name);
}

// Metadata tell every place, size and bound in a file: files that have the same are the same.
enum oto_status oto_verify_duplicates(struct oto_verify *v)
{
    size_t file_count, count = 0;
    const struct oto_verify_file *files = oto_verify_files(v, &file_count);
    const struct oto_verify_file **found = malloc((file_count + 1) * sizeof *found);
    if (!found)
        return oto_error_set(v->err, OTO_NO_MEMORY, "no memory to compare files");
    for (size_t i = 0; i < file_count; i++)
        if (!files[i].is_gone && files[i].row_count)
            found[count++] = &files[i];
    qsort(found, count, sizeof *found, compare_contents);
    for (size_t i = 1; i < count; i++)
        if (found[i]->footer_hash_low == found[i - 1]->footer_hash_low &&
            found[i]->footer_hash_high == found[i - 1]->footer_hash_high)
            oto_verify_problem(v, found[i]->name, OTO_OFFSET_NONE, "the same rows as in %s",
                               found[i - 1]->name);
    free(found);
    return OTO_OK;
}
