// An engine in a folder of its own, driven from the test's thread as its shard's; requests whose
// rows are told apart by their hour.
#ifndef OTO_TESTS_ENGINE_FIXTURE_H
#define OTO_TESTS_ENGINE_FIXTURE_H

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine_internal.h"
#include "wal/wal_internal.h"
#include "wire/protobuf.h"
#include "wire/thrift.h"

#define ROWS_A_REQUEST 5
#define BASE_HOUR 490896 // 2026-01-01T00Z
#define HOURS 64

struct fixture {
    char path[64];
    struct oto_engine_options options;
    struct oto_engine *engine;
    struct oto_shard *shard;
    struct oto_mutex lock;
    struct oto_condition woken;
    int wake_count;
};

// One request on its way; outlives its call.
struct request {
    struct oto_ingest ingest;
    int answered;
    enum oto_status status;
    uint8_t bytes[512];
    size_t size;
};

static inline void fixture_wake(void *state)
{
    struct fixture *f = state;
    oto_mutex_lock(&f->lock);
    f->wake_count++;
    oto_condition_broadcast(&f->woken);
    oto_mutex_unlock(&f->lock);
}

static inline void print_log(void *state, const char *level, const char *message)
{
    (void)state;
    if (getenv("OTO_TEST_LOG"))
        fprintf(stderr, "%s: %s\n", level, message);
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->path, "/tmp/oto-engine-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    oto_mutex_init(&f->lock);
    oto_condition_init(&f->woken);
    oto_engine_options_default(&f->options);
    f->options.data_path = f->path;
    f->options.flush_rows = 4 * ROWS_A_REQUEST;
    f->options.wal.disk_free_min = 0;
    f->options.wal.segment_size_bytes = 4u << 20;
    f->options.log = print_log;
    return f;
}

static inline void fixture_open(struct fixture *f)
{
    struct oto_error err;
    if (oto_engine_open(&f->options, &f->engine, &err) < 0)
        fail_msg("%s", err.message);
}

static inline void fixture_recover(struct fixture *f)
{
    struct oto_error err;
    if (oto_engine_recover(f->engine, &err) < 0)
        fail_msg("%s", err.message);
    f->shard = oto_engine_shard(f->engine, 0, fixture_wake, f);
}

static inline void fixture_start(struct fixture *f)
{
    fixture_open(f);
    fixture_recover(f);
}

static inline void fixture_drain(struct fixture *f)
{
    struct oto_error err;
    if (oto_engine_drain(f->engine, &err) < 0)
        fail_msg("%s", err.message);
    oto_engine_close(f->engine);
    f->engine = NULL;
}

static inline void fixture_free(struct fixture *f)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->path);
    assert_int_equal(system(command), 0);
    oto_condition_release(&f->woken);
    oto_mutex_release(&f->lock);
    free(f);
}

// --- requests ---

static inline size_t put_message(uint8_t *output, uint8_t field, const uint8_t *message,
                                 size_t size)
{
    size_t at = 0;
    output[at++] = (uint8_t)(field << 3 | 2);
    if (size >= 128)
        output[at++] = (uint8_t)(size | 128);
    output[at++] = (uint8_t)(size >= 128 ? size >> 7 : size);
    memmove(output + at, message, size);
    return at + size;
}

// ROWS_A_REQUEST log records in that hour; salt makes equal requests different.
static inline void request_make(struct request *r, unsigned hour, unsigned salt)
{
    uint8_t records[400], record[64], scope[420], resource[440], body[32], text[24];
    size_t size = 0;
    memset(r, 0, sizeof *r);
    for (unsigned i = 0; i < ROWS_A_REQUEST; i++) {
        uint64_t time_ns =
            ((uint64_t)BASE_HOUR + hour) * 3600000000000u + i * 1000u + salt * 1000000u;
        int length = snprintf((char *)text, sizeof text, "hour %u row %u", hour, i);
        size_t body_size = put_message(body, 1, text, (size_t)length);
        record[0] = 1 << 3 | 1;
        oto_store64(record + 1, time_ns);
        size_t record_size = 9 + put_message(record + 9, 5, body, body_size);
        size += put_message(records + size, 2, record, record_size);
    }
    size = put_message(scope, 2, records, size);
    size = put_message(resource, 1, scope, size);
    memcpy(r->bytes, resource, size);
    r->size = size;
}

static inline void request_done(struct oto_ingest *ingest, enum oto_status status,
                                const struct oto_error *err)
{
    struct request *r = (struct request *)ingest;
    assert_false(r->answered);
    assert_true(status == OTO_OK || (err && err->message[0]));
    r->answered = 1;
    r->status = status;
}

static inline void request_send(struct fixture *f, struct request *r)
{
    r->answered = 0;
    r->ingest.signal = OTO_SIGNAL_LOGS;
    r->ingest.payload = oto_bytes(r->bytes, r->size);
    r->ingest.done = request_done;
    oto_shard_ingest(f->shard, &r->ingest);
}

// Waits for a wake-up, a second at most, and does what a loop does then.
static inline void pump(struct fixture *f)
{
    uint64_t soon_ns = oto_clock_monotonic_ns() + 1000000000u;
    oto_mutex_lock(&f->lock);
    if (f->wake_count == 0)
        oto_condition_wait_until(&f->woken, &f->lock, soon_ns);
    f->wake_count = 0;
    oto_mutex_unlock(&f->lock);
    oto_shard_poll(f->shard);
}

static inline enum oto_status request_wait(struct fixture *f, struct request *r)
{
    while (!r->answered)
        pump(f);
    return r->status;
}

// Sends until it is taken: a refusal because the flusher is behind is the client's to repeat.
static inline enum oto_status store(struct fixture *f, unsigned hour, unsigned salt)
{
    struct request r;
    request_make(&r, hour, salt);
    for (;;) {
        request_send(f, &r);
        enum oto_status status = request_wait(f, &r);
        if (status != OTO_UNAVAILABLE)
            return status;
        pump(f);
    }
}

static inline void wait_flushes(struct fixture *f, uint64_t count)
{
    struct oto_engine_stats stats;
    do {
        oto_engine_stats(f->engine, &stats);
        if (stats.flushes < count)
            pump(f);
    } while (stats.flushes < count);
}

// --- what is on disk ---

// num_rows in the footer of a Parquet file.
static inline uint64_t parquet_rows(const uint8_t *bytes, size_t size)
{
    struct oto_thrift_reader reader;
    int16_t id;
    enum oto_thrift_type type;
    int64_t rows = -1;
    assert_true(size > 12);
    assert_memory_equal(bytes, "PAR1", 4);
    assert_memory_equal(bytes + size - 4, "PAR1", 4);
    size_t footer = oto_load32(bytes + size - 8);
    assert_true(footer + 12 <= size);
    oto_thrift_reader_init(&reader, oto_bytes(bytes + size - 8 - footer, footer));
    assert_int_equal(oto_thrift_enter_struct(&reader), OTO_OK);
    while (oto_thrift_next_field(&reader, &id, &type) == OTO_OK) {
        if (id == 3)
            assert_int_equal(oto_thrift_read_int(&reader, type, &rows), OTO_OK);
        else
            assert_int_equal(oto_thrift_skip(&reader, type), OTO_OK);
    }
    assert_true(rows >= 0);
    return (uint64_t)rows;
}

static inline uint64_t file_rows(int fd, const char *path)
{
    struct oto_file file = {.fd = fd};
    uint64_t size;
    if (path)
        assert_int_equal(oto_file_open(&file, path, OTO_FILE_READ, NULL), OTO_OK);
    assert_int_equal(oto_file_size(&file, &size, NULL), OTO_OK);
    uint8_t *bytes = malloc(size);
    assert_int_equal(oto_file_read_at(&file, 0, bytes, size, NULL, NULL), OTO_OK);
    uint64_t rows = parquet_rows(bytes, size);
    free(bytes);
    if (path)
        oto_file_close(&file, NULL);
    return rows;
}

struct disk_rows {
    struct oto_store *store;
    uint64_t by_hour[HOURS], files, total;
};

static inline enum oto_status add_disk_file(void *state, const struct oto_store_entry *entry,
                                            struct oto_error *err)
{
    struct disk_rows *disk = state;
    struct oto_catalogue_file file;
    assert_int_equal(oto_catalogue_parse(OTO_TABLE_LOGS, entry->name, &file), OTO_OK);
    int64_t hour = file.time_min_us / 3600000000 - BASE_HOUR;
    assert_true(hour >= 0 && hour < HOURS);
    uint8_t *bytes = malloc(entry->size_bytes);
    size_t size;
    OTO_TRY(disk->store->operations->read(disk->store, entry->name, 0, bytes, entry->size_bytes,
                                          &size, err));
    uint64_t rows = parquet_rows(bytes, size);
    free(bytes);
    disk->by_hour[hour] += rows;
    disk->total += rows;
    disk->files++;
    return OTO_OK;
}

static inline void count_disk(const struct fixture *f, struct disk_rows *disk)
{
    memset(disk, 0, sizeof *disk);
    assert_int_equal(oto_store_open_disk(f->path, &disk->store, NULL), OTO_OK);
    assert_int_equal(disk->store->operations->list(disk->store, "logs", add_disk_file, disk, NULL),
                     OTO_OK);
    disk->store->operations->close(disk->store);
}

#endif
