// Requests in, answers out, rows seen once by queries; and what happens when disk or memory say no.
#include "engine_fixture.h"

#include <sys/stat.h>

// --- snapshots, taken as a query does: from another thread while the shard's own goes on ---

struct query {
    struct fixture *f;
    struct oto_snapshot snapshot;
    int64_t from_us, to_us;
    enum oto_status status;
    _Atomic int over;
};

static void *query_run(void *state)
{
    struct query *q = state;
    struct oto_error err;
    q->status = oto_engine_snapshot(q->f->engine, 1u << OTO_TABLE_LOGS, q->from_us, q->to_us,
                                    &q->snapshot, &err);
    atomic_store(&q->over, 1);
    fixture_wake(q->f);
    return NULL;
}

static void snapshot_of(struct fixture *f, int64_t from_us, int64_t to_us, struct oto_snapshot *ret)
{
    struct query q = {.f = f, .from_us = from_us, .to_us = to_us};
    struct oto_thread thread = {0};
    assert_int_equal(oto_thread_start(&thread, "query", query_run, &q, NULL), OTO_OK);
    while (!atomic_load(&q.over))
        pump(f);
    oto_thread_join(&thread);
    assert_int_equal(q.status, OTO_OK);
    *ret = q.snapshot;
}

// Rows that a query sees; *ret_hot of them in memory.
static uint64_t seen_rows(struct fixture *f, uint64_t *ret_hot)
{
    struct oto_snapshot snapshot;
    uint64_t rows = 0, hot = 0;
    snapshot_of(f, INT64_MIN, INT64_MAX, &snapshot);
    for (size_t i = 0; i < snapshot.file_count; i++) {
        const struct oto_snapshot_file *file = &snapshot.files[i];
        uint64_t count = file_rows(file->fd, file->path);
        assert_int_equal(file->table, OTO_TABLE_LOGS);
        assert_true(file->row_count == 0 || file->row_count == count);
        rows += count;
        hot += file->hot ? count : 0;
    }
    oto_snapshot_release(&snapshot);
    if (ret_hot)
        *ret_hot = hot;
    return rows;
}

static void a_query_sees_each_acknowledged_row_once_at_any_moment(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint64_t hot = 0, hot_seen = 0, cold_seen = 0;
    fixture_start(f);
    for (unsigned hour = 0; hour < 30; hour++) {
        assert_int_equal(store(f, hour, 0), OTO_OK);
        uint64_t rows = seen_rows(f, &hot);
        assert_int_equal(rows, (hour + 1) * ROWS_A_REQUEST);
        hot_seen += hot > 0;
        cold_seen += rows > hot;
    }
    assert_true(hot_seen > 0 && cold_seen > 0);
    fixture_drain(f);
    fixture_free(f);
}

static void hot_rows_are_encoded_once_and_small_pieces_become_one(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_snapshot snapshot;
    f->options.flush_rows = 100000;
    fixture_start(f);
    for (unsigned hour = 0; hour < 20; hour++) {
        assert_int_equal(store(f, hour, 0), OTO_OK);
        assert_int_equal(seen_rows(f, NULL), (hour + 1) * ROWS_A_REQUEST);
        assert_true(f->shard->open->piece_counts[OTO_TABLE_LOGS] <= 8);
    }
    struct oto_hot_piece *first = f->shard->open->pieces[OTO_TABLE_LOGS];
    snapshot_of(f, INT64_MIN, INT64_MAX, &snapshot);
    assert_ptr_equal(f->shard->open->pieces[OTO_TABLE_LOGS], first);
    // What a query has open stays readable when the rows move on.
    assert_int_equal(store(f, 20, 0), OTO_OK);
    assert_true(oto_shard_seal(f->shard));
    wait_flushes(f, 1);
    uint64_t rows = 0;
    for (size_t i = 0; i < snapshot.file_count; i++)
        rows += file_rows(snapshot.files[i].fd, snapshot.files[i].path);
    assert_int_equal(rows, 20 * ROWS_A_REQUEST);
    oto_snapshot_release(&snapshot);
    fixture_drain(f);
    fixture_free(f);
}

static void a_time_range_prunes_files(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_snapshot snapshot;
    const int64_t hour_us = 3600000000;
    fixture_start(f);
    for (unsigned hour = 0; hour < 8; hour++)
        assert_int_equal(store(f, hour, 0), OTO_OK);
    wait_flushes(f, 2);
    snapshot_of(f, (BASE_HOUR + 3) * hour_us, (BASE_HOUR + 4) * hour_us - 1, &snapshot);
    assert_int_equal(snapshot.file_count, 1);
    assert_int_equal(snapshot.files[0].hot, 0);
    oto_snapshot_release(&snapshot);
    fixture_drain(f);
    // Found again at the next start, by name alone.
    fixture_start(f);
    snapshot_of(f, (BASE_HOUR + 3) * hour_us, (BASE_HOUR + 4) * hour_us - 1, &snapshot);
    assert_int_equal(snapshot.file_count, 1);
    assert_non_null(
        strstr(snapshot.files[0].path,
               "/year=2026/month=01/day=01/hour=03/20260101T030000.000000Z-0-1-4.parquet"));
    oto_snapshot_release(&snapshot);
    fixture_drain(f);
    fixture_free(f);
}

static void each_table_has_an_empty_file(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    fixture_start(f);
    for (int table = 0; table < OTO_TABLE_COUNT; table++)
        assert_int_equal(file_rows(oto_engine_empty_file(f->engine, (enum oto_table)table), NULL),
                         0);
    fixture_drain(f);
    fixture_free(f);
}

// --- outcomes of requests ---

static void a_malformed_request_leaves_no_trace(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_engine_stats stats;
    struct request r;
    fixture_start(f);
    assert_int_equal(store(f, 0, 0), OTO_OK);
    request_make(&r, 1, 0);
    r.bytes[r.size - 3] = 0xFF; // inside the last body's length prefix or text
    r.size -= 1;
    request_send(f, &r);
    assert_true(r.answered);
    assert_int_equal(r.status, OTO_INVALID);
    request_make(&r, 2, 0);
    r.size = 0; // an empty request is fine and stores nothing
    request_send(f, &r);
    assert_int_equal(r.status, OTO_OK);
    assert_int_equal(seen_rows(f, NULL), ROWS_A_REQUEST);
    oto_engine_stats(f->engine, &stats);
    assert_int_equal(stats.received[OTO_SIGNAL_LOGS], ROWS_A_REQUEST);
    assert_int_equal(stats.stored[OTO_SIGNAL_LOGS], ROWS_A_REQUEST);
    assert_int_equal(stats.requests[OTO_SIGNAL_LOGS], 3);
    fixture_drain(f);
    fixture_free(f);
}

static void a_repeated_request_is_answered_but_not_stored_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct request first, second;
    struct oto_engine_stats stats;
    fixture_start(f);
    request_make(&first, 0, 0);
    request_make(&second, 0, 0);
    request_send(f, &first);
    request_send(f, &second); // the first has no answer yet: they share it
    assert_false(second.answered);
    assert_int_equal(request_wait(f, &first), OTO_OK);
    assert_int_equal(request_wait(f, &second), OTO_OK);
    assert_true(second.ingest.deduplicated);
    assert_int_equal(second.ingest.result.accepted, ROWS_A_REQUEST);
    request_send(f, &second);
    assert_int_equal(second.status, OTO_OK);
    assert_true(second.ingest.deduplicated);
    assert_int_equal(second.ingest.result.accepted, ROWS_A_REQUEST);
    oto_engine_stats(f->engine, &stats);
    assert_int_equal(stats.received[0], 3 * ROWS_A_REQUEST);
    assert_int_equal(stats.stored[0] + stats.deduplicated[0], 3 * ROWS_A_REQUEST);
    assert_int_equal(seen_rows(f, NULL), ROWS_A_REQUEST);
    fixture_drain(f);
    f->options.dedup_window_ms = 0;
    fixture_start(f);
    assert_int_equal(store(f, 0, 0), OTO_OK); // off: told apart no more
    fixture_drain(f);
    struct disk_rows disk;
    count_disk(f, &disk);
    assert_int_equal(disk.total, 2 * ROWS_A_REQUEST);
    fixture_free(f);
}

static void before_recovery_and_while_draining_requests_are_told_to_come_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct request r;
    char text[128];
    fixture_open(f);
    f->shard = oto_engine_shard(f->engine, 0, fixture_wake, f);
    assert_int_equal(oto_engine_status(f->engine, text, sizeof text), OTO_ENGINE_RECOVERING);
    request_make(&r, 0, 0);
    request_send(f, &r);
    assert_int_equal(r.status, OTO_UNAVAILABLE);
    fixture_recover(f);
    request_send(f, &r);
    assert_int_equal(request_wait(f, &r), OTO_OK);
    assert_int_equal(oto_engine_drain(f->engine, NULL), OTO_OK);
    request_make(&r, 1, 0);
    request_send(f, &r);
    assert_int_equal(r.status, OTO_UNAVAILABLE);
    oto_engine_close(f->engine);
    fixture_free(f);
}

static void old_rows_are_flushed_by_age(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct disk_rows disk;
    f->options.flush_age_ms = 1;
    fixture_start(f);
    assert_int_equal(store(f, 0, 0), OTO_OK);
    usleep(2000);
    oto_shard_tick(f->shard);
    wait_flushes(f, 1);
    count_disk(f, &disk);
    assert_int_equal(disk.total, ROWS_A_REQUEST);
    fixture_drain(f);
    fixture_free(f);
}

static void memory_is_admitted_up_to_the_budget(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_engine_stats stats;
    f->options.memory_limit_bytes = 64u << 20;
    fixture_start(f);
    assert_true(f->engine->pool.block_count > 0); // kept from making the empty files
    assert_true(oto_engine_reserve(f->engine, 30u << 20));
    assert_false(oto_engine_reserve(f->engine, 30u << 20));
    assert_int_equal(f->engine->pool.block_count,
                     0); // what was kept goes before a request is refused
    oto_engine_stats(f->engine, &stats);
    uint64_t taken = stats.memory_bytes;
    assert_int_equal(stats.refused_memory, 1);
    oto_engine_unreserve(f->engine, 30u << 20);
    oto_engine_stats(f->engine, &stats);
    assert_int_equal(stats.memory_bytes, taken - (30u << 20));
    assert_true(oto_engine_reserve(f->engine, 30u << 20));
    oto_engine_unreserve(f->engine, 30u << 20);
    fixture_drain(f);
    fixture_free(f);
}

static void a_refusal_makes_rows_go_to_files(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct disk_rows disk;
    f->options.flush_rows = 100000;
    fixture_start(f);
    assert_int_equal(store(f, 0, 0), OTO_OK);
    f->shard->open->counted_bytes += 2u << 20; // as if it were worth it
    atomic_fetch_add(&f->engine->memory_bytes, 2u << 20);
    oto_shard_tick(f->shard);
    assert_non_null(f->shard->open); // nobody asked
    assert_false(oto_engine_reserve(f->engine, UINT32_MAX));
    oto_shard_tick(f->shard);
    wait_flushes(f, 1);
    count_disk(f, &disk);
    assert_int_equal(disk.total, ROWS_A_REQUEST);
    fixture_drain(f);
    fixture_free(f);
}

// --- a log that fails ---

static _Atomic int failing;
static enum oto_status failing_write(struct oto_file *file, uint64_t offset, const void *data,
                                     size_t size, struct oto_error *err)
{
    if (atomic_load(&failing))
        return oto_error_set(err, OTO_NO_SPACE, "write: no space left on device");
    return oto_file_write_at(file, offset, data, size, err);
}

static void a_failed_log_undoes_rows_and_answers_retryably(void **state)
{
    (void)state;
    for (unsigned before = 0; before <= 4;
         before++) { // how full the segment is when the log fails: up to sealing with it
        struct fixture *f = fixture_new();
        struct request r[6], again;
        struct oto_engine_stats stats;
        fixture_start(f);
        for (unsigned hour = 0; hour < before; hour++)
            assert_int_equal(store(f, hour, 0), OTO_OK);
        f->shard->wal->disk.write = failing_write;
        atomic_store(&failing, 1);
        unsigned sent = 0;
        for (unsigned i = 0; i < 6; i++) {
            request_make(&r[i], 10 + i, 0);
            request_send(f, &r[i]);
            sent += !r[i].answered;
        }
        assert_true(sent > 0);
        request_make(&again, 10, 0);
        request_send(f, &again); // shares the outcome of the first
        for (unsigned i = 0; i < 6; i++)
            assert_true(oto_status_retryable(request_wait(f, &r[i])));
        assert_true(oto_status_retryable(request_wait(f, &again)));
        assert_int_equal(oto_engine_status(f->engine, NULL, 0), OTO_ENGINE_DISK_FULL);
        assert_int_equal(seen_rows(f, NULL), before * ROWS_A_REQUEST);
        request_send(f, &r[0]);
        assert_int_equal(r[0].status, OTO_NO_SPACE);
        atomic_store(&failing, 0);
        f->shard->retry_ns = 0;
        oto_shard_tick(f->shard);
        assert_int_equal(oto_engine_status(f->engine, NULL, 0), OTO_ENGINE_READY);
        for (unsigned i = 0; i < 6; i++)
            assert_int_equal(store(f, 10 + i, 0), OTO_OK);
        assert_int_equal(seen_rows(f, NULL), (before + 6) * ROWS_A_REQUEST);
        oto_engine_stats(f->engine, &stats);
        assert_int_equal(stats.stored[0], (before + 6) * ROWS_A_REQUEST);
        assert_int_equal(stats.received[0], stats.stored[0] + stats.failed[0]);
        if (before % 2)
            fixture_drain(f);
        else
            oto_engine_close(f->engine); // and once through the log
        fixture_start(f);
        fixture_drain(f);
        struct disk_rows disk;
        count_disk(f, &disk);
        for (unsigned hour = 0; hour < HOURS; hour++)
            assert_int_equal(disk.by_hour[hour],
                             hour < before || (hour >= 10 && hour < 16) ? ROWS_A_REQUEST : 0);
        fixture_free(f);
    }
}

// --- a disk that takes no files ---

static const struct oto_store_operations *real_disk;
static struct oto_store_operations small_disk;
static _Atomic int disk_is_full;

static enum oto_status begin_unless_full(struct oto_store *s, const char *name,
                                         struct oto_store_upload **upload, struct oto_error *err)
{
    if (!disk_is_full)
        return real_disk->begin(s, name, upload, err);
    return oto_error_set(err, OTO_NO_SPACE, "%s: no space left on device", name);
}

// Before flushers run: they read the operations without a lock.
static void open_with_full_disk(struct fixture *f)
{
    fixture_open(f);
    real_disk = f->engine->store->operations;
    small_disk = *real_disk;
    small_disk.begin = begin_unless_full;
    f->engine->store->operations = &small_disk;
    disk_is_full = 1;
}

static void fill_a_full_disk(uint64_t flush_bytes, unsigned expected)
{
    struct fixture *f = fixture_new();
    struct request r;
    unsigned stored = 0;
    char text[256];
    f->options.flush_bytes = flush_bytes;
    open_with_full_disk(f);
    fixture_recover(f);
    for (unsigned hour = 0; hour < 30; hour++) {
        request_make(&r, hour, 0);
        request_send(f, &r);
        if (request_wait(f, &r) == OTO_OK)
            stored++;
    }
    assert_int_equal(stored, expected);
    assert_true(oto_status_retryable(r.status));
    while (oto_engine_status(f->engine, text, sizeof text) != OTO_ENGINE_DISK_FULL)
        pump(f);
    assert_non_null(strstr(text, "no space left"));
    assert_int_equal(seen_rows(f, NULL), stored * ROWS_A_REQUEST);
    disk_is_full = 0;
    wait_flushes(f, 1);
    assert_int_equal(store(f, 40, 0), OTO_OK);
    assert_int_equal(oto_engine_status(f->engine, NULL, 0), OTO_ENGINE_READY);
    fixture_drain(f);
    struct disk_rows rows;
    count_disk(f, &rows);
    assert_int_equal(rows.total, (stored + 1) * ROWS_A_REQUEST);
    fixture_free(f);
}

static void a_full_disk_stops_ingestion_when_memory_is_full_and_heals(void **state)
{
    (void)state;
    fill_a_full_disk(0, 20); // four segments with the flusher, one full behind them
    fill_a_full_disk(1, 2);  // segments of one request: one, and one
}

struct recovering {
    struct oto_engine *engine;
    enum oto_status status;
};
static void *recover_run(void *state)
{
    struct recovering *r = state;
    r->status = oto_engine_recover(r->engine, NULL);
    return NULL;
}

static void a_recovery_that_waits_for_a_full_disk_can_be_cancelled(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_thread thread = {0};
    struct oto_engine_stats stats;
    fixture_start(f);
    assert_int_equal(store(f, 0, 0), OTO_OK);
    oto_engine_close(f->engine);
    open_with_full_disk(f);
    struct recovering r = {.engine = f->engine};
    assert_int_equal(oto_thread_start(&thread, "recover", recover_run, &r, NULL), OTO_OK);
    do
        oto_engine_stats(f->engine, &stats);
    while (stats.flush_failures == 0);
    oto_engine_cancel_recovery(f->engine);
    oto_thread_join(&thread);
    assert_int_equal(r.status, OTO_NO_SPACE);
    assert_int_equal(oto_engine_status(f->engine, NULL, 0), OTO_ENGINE_FAILED);
    oto_engine_close(f->engine);
    fixture_start(f);
    fixture_drain(f);
    struct disk_rows disk;
    count_disk(f, &disk);
    assert_int_equal(disk.total, ROWS_A_REQUEST);
    fixture_free(f);
}

// --- memory that a segment outgrew ---

// Whether the free arrays of that segment's size hold something; pages that went back are zeros.
static int are_outgrown_resident(struct fixture *f, size_t size)
{
    uint8_t *array = oto_alloc(&f->engine->arena_allocator, size);
    assert_non_null(array);
    int found = 0;
    for (size_t at = 4096; at + 4096 <= size; at += 4096)
        found |= array[at] != 0;
    oto_free(&f->engine->arena_allocator, array, size);
    return found;
}

// Seals a segment that outgrew its first arrays, as if it had been filled for that long.
static int outgrown_stay(uint64_t filled_ns)
{
    enum { ROWS = 16000, REPEATS = 1200 };
    static uint8_t payload[REPEATS * sizeof((struct request *)0)->bytes];
    struct fixture *f = fixture_new();
    struct request r;
    f->options.flush_rows = ROWS;
    fixture_start(f);
    request_make(&r, 1, 0);
    request_send(f, &r);
    assert_int_equal(request_wait(f, &r), OTO_OK);
    // More rows than the first arrays have: a request's bytes again are a request as well.
    for (size_t i = 0; i < REPEATS; i++)
        memcpy(payload + i * r.size, r.bytes, r.size);
    r.answered = 0;
    r.ingest.payload = oto_bytes(payload, REPEATS * r.size);
    oto_shard_ingest(f->shard, &r.ingest);
    f->shard->open->opened_ns = oto_clock_monotonic_ns() - filled_ns;
    // Not durable yet, for all the shard knows: the flusher does not have it, nor its arrays.
    assert_true(oto_shard_seal(f->shard));
    assert_non_null(f->shard->closing);
    int found = are_outgrown_resident(f, ROWS / OTO_ROWS_GROWTH * sizeof(uint64_t));
    assert_int_equal(request_wait(f, &r), OTO_OK);
    fixture_drain(f);
    struct disk_rows disk;
    count_disk(f, &disk);
    assert_int_equal(disk.total, (REPEATS + 1) * ROWS_A_REQUEST);
    fixture_free(f);
    return found;
}

static void what_a_segment_outgrew_is_forgotten_when_rows_come_slowly(void **state)
{
    (void)state;
    // Once more where this thread had to wait for so long that rows seemed slow.
    assert_true(outgrown_stay(0) || outgrown_stay(0) || outgrown_stay(0));
    assert_false(outgrown_stay(1000000000u));
}

// --- promotions ---

static void a_promoted_attribute_keeps_its_id(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    const char *const first[] = {"acme.tenant", "acme.region"};
    const char *const second[] = {"acme.zone", "acme.region"};
    f->options.promote = first;
    f->options.promote_count = 2;
    fixture_open(f);
    assert_int_equal(f->engine->promotions[0].field_id, 10000);
    assert_int_equal(f->engine->promotions[1].field_id, 10001);
    oto_engine_close(f->engine);
    f->options.promote = second;
    fixture_open(f);
    assert_int_equal(f->engine->promotions[0].field_id,
                     10002); // never an id that had another meaning
    assert_int_equal(f->engine->promotions[1].field_id, 10001);
    oto_engine_close(f->engine);
    fixture_free(f);
}

static void promote_and_open(struct fixture *f, const char *const *promote, size_t count)
{
    f->options.promote = promote;
    f->options.promote_count = count;
    f->options.promote_kept = promote == NULL;
    fixture_open(f);
}

static void assert_promoted(const struct fixture *f, size_t index, const char *attribute, int id)
{
    assert_string_equal(f->engine->promotions[index].attribute, attribute);
    assert_int_equal(f->engine->promotions[index].field_id, id);
}

static void a_column_name_is_that_of_todays_attribute(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    const char *const first[] = {"user.id", "acme.tenant"}, *const second[] = {"user_id"};
    promote_and_open(f, first, 2);
    assert_false(oto_engine_reuses_names(f->engine));
    oto_engine_close(f->engine);
    promote_and_open(f, second, 1);
    assert_true(oto_engine_reuses_names(f->engine));
    assert_int_equal(f->engine->known_promotion_count, 2);
    assert_promoted(f, 0, "user_id", 10002);
    assert_promoted(f, 1, "acme.tenant", 10001);
    oto_engine_close(f->engine);
    promote_and_open(f, first, 1);
    assert_promoted(f, 0, "user.id", 10000);
    oto_engine_close(f->engine);
    promote_and_open(f, NULL, 0); // no configuration: who had it last has it
    assert_true(oto_engine_reuses_names(f->engine));
    assert_int_equal(f->engine->promotion_count, 2);
    assert_promoted(f, 0, "acme.tenant", 10001);
    assert_promoted(f, 1, "user.id", 10000);
    oto_engine_close(f->engine);
    fixture_free(f);
}

static int count_columns(const struct fixture *f, const char *name)
{
    const struct oto_schema *schema = oto_schemas_table(f->engine->schemas, OTO_TABLE_LOGS);
    int count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++)
        count += strcmp(schema->fields[i]->name, name) == 0;
    return count;
}

static void an_attribute_whose_name_became_a_columns_leaves_the_others(void **state)
{
    (void)state;
    static const char lines[] = "10000\tbody\n10001\tacme.tenant\n";
    struct fixture *f = fixture_new();
    char path[OTO_ENGINE_PATH_MAX];
    struct oto_error err;
    snprintf(path, sizeof path, "%s/promoted", f->path);
    assert_int_equal(
        oto_engine_write_file(path, oto_bytes((const uint8_t *)lines, sizeof lines - 1), &err),
        OTO_OK);
    promote_and_open(f, NULL, 0);
    assert_true(oto_engine_reuses_names(f->engine));
    assert_promoted(f, 0, "body", 10000); // its files may have it, queries do not
    assert_promoted(f, 1, "acme.tenant", 10001);
    assert_int_equal(count_columns(f, "Body"), 1);
    assert_int_equal(count_columns(f, "AcmeTenant"), 1);
    oto_engine_close(f->engine);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_sees_each_acknowledged_row_once_at_any_moment),
        cmocka_unit_test(hot_rows_are_encoded_once_and_small_pieces_become_one),
        cmocka_unit_test(a_time_range_prunes_files),
        cmocka_unit_test(each_table_has_an_empty_file),
        cmocka_unit_test(a_malformed_request_leaves_no_trace),
        cmocka_unit_test(a_repeated_request_is_answered_but_not_stored_again),
        cmocka_unit_test(before_recovery_and_while_draining_requests_are_told_to_come_again),
        cmocka_unit_test(old_rows_are_flushed_by_age),
        cmocka_unit_test(memory_is_admitted_up_to_the_budget),
        cmocka_unit_test(a_refusal_makes_rows_go_to_files),
        cmocka_unit_test(a_failed_log_undoes_rows_and_answers_retryably),
        cmocka_unit_test(a_full_disk_stops_ingestion_when_memory_is_full_and_heals),
        cmocka_unit_test(a_recovery_that_waits_for_a_full_disk_can_be_cancelled),
        cmocka_unit_test(what_a_segment_outgrew_is_forgotten_when_rows_come_slowly),
        cmocka_unit_test(a_promoted_attribute_keeps_its_id),
        cmocka_unit_test(a_column_name_is_that_of_todays_attribute),
        cmocka_unit_test(an_attribute_whose_name_became_a_columns_leaves_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
