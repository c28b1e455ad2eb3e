// Log segments and checkpoints.
#include "inspect/inspect_internal.h"

#include <inttypes.h>

#define SIGNALS 3

struct view {
    struct oto_inspection *inspection;
    struct oto_json_writer *w;
    struct oto_text_table table;
    uint64_t counts[SIGNALS + 1];
    uint64_t payload_bytes[SIGNALS + 1];
};

static const char *signal_name(unsigned kind)
{
    static const char *const names[] = {"logs", "traces", "metrics"};
    return kind < SIGNALS ? names[kind] : "unknown";
}

static const char *rest_name(enum oto_segment_rest rest)
{
    static const char *const names[] = {"end of file", "zeros", "records of an earlier life",
                                        "a record that is not whole"};
    return names[rest];
}

static void write_u64(struct view *v, const char *name, uint64_t value)
{
    oto_inspect_name(v->inspection, name);
    oto_json_write_u64(v->w, value);
}

static void write_text(struct view *v, const char *name, const char *text)
{
    oto_inspect_name(v->inspection, name);
    oto_json_write_text(v->w, text);
}

static void write_record_json(struct view *v, const struct oto_wal_record *record, uint64_t offset,
                              uint64_t size)
{
    oto_json_object_begin(v->w);
    write_u64(v, "offset", offset);
    write_u64(v, "bytes", size);
    if (record) {
        char time[OTO_TEXT_NUMBER_MAX];
        write_u64(v, "seq", record->seq);
        write_text(v, "signal", signal_name(record->kind));
        write_u64(v, "payload_bytes", record->payload.size);
        write_text(v, "received", oto_text_time((int64_t)(record->received_ns / 1000), time));
    }
    write_text(v, "checksum", record ? "right" : "wrong");
    oto_json_object_end(v->w);
}

static void put_record(struct view *v, const struct oto_wal_record *record, uint64_t offset,
                       uint64_t size)
{
    char a[OTO_TEXT_NUMBER_MAX];
    oto_text_table_cell(&v->table, "%" PRIu64, offset);
    if (!record) {
        oto_text_table_cell(&v->table, "%s", "-");
        oto_text_table_cell(&v->table, "%s", "DAMAGED");
        oto_text_table_cell(&v->table, "%s", oto_text_size((int64_t)size, a));
        oto_text_table_cell(&v->table, "%s", "");
        return;
    }
    oto_text_table_cell(&v->table, "%" PRIu64, record->seq);
    oto_text_table_cell(&v->table, "%s", signal_name(record->kind));
    oto_text_table_cell(&v->table, "%s", oto_text_size((int64_t)record->payload.size, a));
    oto_text_table_cell(&v->table, "%s", oto_text_time((int64_t)(record->received_ns / 1000), a));
}

static enum oto_status see_record(void *state, const struct oto_wal_record *record, uint64_t offset,
                                  uint64_t size, struct oto_error *err)
{
    struct view *v = state;
    unsigned kind = record && record->kind < SIGNALS ? record->kind : SIGNALS;
    (void)err;
    if (record) {
        v->counts[kind]++;
        v->payload_bytes[kind] += record->payload.size;
    }
    if (v->inspection->options.json)
        write_record_json(v, record, offset, size);
    else if (v->inspection->options.records)
        put_record(v, record, offset, size);
    return v->w->status < 0 ? v->w->status : v->table.status;
}

static void write_header_json(struct view *v, const struct oto_segment_scan *scan)
{
    char time[OTO_TEXT_NUMBER_MAX];
    oto_inspect_name(v->inspection, "header");
    if (!scan->is_header_good) {
        oto_json_write_null(v->w);
        write_text(v, "header_problem", scan->header_problem);
        return;
    }
    oto_json_object_begin(v->w);
    write_u64(v, "version", OTO_WAL_VERSION);
    write_u64(v, "ordinal", scan->header.ordinal);
    write_u64(v, "first_seq", scan->header.first_seq);
    oto_inspect_name(v->inspection, "salt");
    oto_json_write_u64_text(v->w, scan->header.salt);
    write_text(v, "created", oto_text_time((int64_t)(scan->header.created_ns / 1000), time));
    oto_json_object_end(v->w);
}

static void write_end_json(struct view *v, const struct oto_segment_scan *scan)
{
    oto_json_array_end(v->w);
    write_header_json(v, scan);
    write_u64(v, "record_count", scan->record_count);
    write_u64(v, "first_record", scan->first_seq);
    write_u64(v, "last_record", scan->last_seq);
    write_u64(v, "valid_bytes", scan->valid_bytes);
    write_u64(v, "damaged_places", scan->damage_count);
    write_text(v, "behind", rest_name(scan->rest));
    oto_json_object_end(v->w);
}

static void put_summary(struct view *v, const char *path, const struct oto_segment_scan *scan)
{
    char a[OTO_TEXT_NUMBER_MAX], b[OTO_TEXT_NUMBER_MAX];
    struct oto_inspection *inspection = v->inspection;
    oto_inspect_put(inspection, "%s\n  log segment, %s\n", path,
                    oto_text_size((int64_t)scan->file_bytes, a));
    if (scan->is_header_good)
        oto_inspect_put(
            inspection, "  ordinal %" PRIu64 ", made %s, begins with record %" PRIu64 "\n",
            scan->header.ordinal, oto_text_time((int64_t)(scan->header.created_ns / 1000), a),
            scan->header.first_seq);
    else
        oto_inspect_put(inspection, "  %s\n", scan->header_problem);
    if (scan->record_count)
        oto_inspect_put(inspection, "  %s records, %" PRIu64 " to %" PRIu64 ":",
                        oto_text_count((int64_t)scan->record_count, a), scan->first_seq,
                        scan->last_seq);
    else
        oto_inspect_put(inspection, "  no records");
    const char *comma = "";
    for (unsigned i = 0; i <= SIGNALS; i++) {
        if (!v->counts[i])
            continue;
        oto_inspect_put(inspection, "%s %s of %s (%s)", comma,
                        oto_text_count((int64_t)v->counts[i], a), signal_name(i),
                        oto_text_size((int64_t)v->payload_bytes[i], b));
        comma = ",";
    }
    oto_inspect_put(inspection, "\n  good up to byte %" PRIu64 ", then %s\n", scan->valid_bytes,
                    rest_name(scan->rest));
    if (scan->damage_count)
        oto_inspect_put(inspection, "  DAMAGED in %u places before that (--records shows where)\n",
                        scan->damage_count);
}

enum oto_status oto_inspect_segment(struct oto_inspection *inspection,
                                    const struct oto_inspected *file, struct oto_error *err)
{
    struct view v = {.inspection = inspection, .w = &inspection->json};
    struct oto_segment_scan scan;
    oto_text_table_init(&v.table, ">offset|>record|signal|>payload|received");
    if (inspection->options.json) {
        oto_json_object_begin(v.w);
        write_text(&v, "path", file->name);
        write_text(&v, "kind", "log segment");
        oto_inspect_name(inspection, "records");
        oto_json_array_begin(v.w);
    }
    enum oto_status status = oto_segment_scan(file->path, UINT64_MAX, see_record, &v, &scan, err);
    if (status >= 0 && inspection->options.json) {
        write_end_json(&v, &scan);
    } else if (status >= 0) {
        put_summary(&v, file->name, &scan);
        if (!inspection->options.records)
            v.table.cell_count = 0;
        status = oto_text_table_finish(&v.table, 2, &inspection->output);
        oto_inspect_put(inspection, "\n");
    }
    oto_buffer_release(&v.table.cells);
    if (status < 0)
        return status;
    inspection->segment_files++;
    inspection->records += scan.record_count;
    return v.w->status;
}

enum oto_status oto_inspect_checkpoint(struct oto_inspection *inspection,
                                       const struct oto_inspected *inspected, struct oto_error *err)
{
    struct view v = {.inspection = inspection, .w = &inspection->json};
    struct oto_file file;
    struct oto_wal_marks marks;
    uint8_t bytes[OTO_WAL_CHECKPOINT_BYTES];
    size_t got = 0;
    OTO_TRY(oto_file_open(&file, inspected->path, OTO_FILE_READ, err));
    enum oto_status status = oto_file_read_at(&file, 0, bytes, sizeof bytes, &got, err);
    oto_file_close(&file, NULL);
    OTO_TRY(status);
    OTO_TRY(oto_wal_checkpoint_decode(oto_bytes(bytes, got), &marks, err));
    if (inspection->options.json) {
        oto_json_object_begin(v.w);
        write_text(&v, "path", inspected->name);
        write_text(&v, "kind", "log checkpoint");
        write_u64(&v, "flushed", marks.flushed_seq);
        write_u64(&v, "cut", marks.cut_seq);
        oto_json_object_end(v.w);
    } else {
        oto_inspect_put(inspection, "%s\n  log checkpoint: files hold the records up to %" PRIu64,
                        inspected->name, marks.flushed_seq);
        if (marks.cut_seq > marks.flushed_seq)
            oto_inspect_put(inspection, "; a flush up to %" PRIu64 " was begun", marks.cut_seq);
        oto_inspect_put(inspection, "\n\n");
    }
    return v.w->status;
}
