// The n-th allocation, write, sync, rename, open … of an engine's whole life fails, or kills it,
// for every n. Afterwards: acknowledged rows are there, each once, nothing that nobody sent, every
// file whole; the engine said why it refused, and works again as soon as the fault is gone.
//
// A run without arguments takes a sample; OTOLITH_FAULTS=all takes every n.
#include "fault_points.h"

#include "engine_fixture.h"

#include <sys/wait.h>

#define REQUESTS 12
#define REQUESTS_BEFORE 5 // in the log of an earlier life, when there was one
#define TRIES 400
#define FAULT_CALLS 40 // how long a fault lasts that is not a single one

// One life of an engine, and what it acknowledged; shared with a child that dies.
struct story {
    struct fixture *f;
    int acknowledged[REQUESTS];
    int lives, refusals;
};

// --- requests of every signal, told apart by table and hour ---

static size_t put_time(uint8_t *output, uint8_t field, uint64_t time_ns)
{
    output[0] = (uint8_t)(field << 3 | 1);
    oto_store64(output + 1, time_ns);
    return 9;
}

static size_t make_span(uint8_t *output, uint64_t time_ns)
{
    size_t size = put_message(output, 1, (const uint8_t *)"sixteen bytes id", 16);
    size += put_message(output + size, 2, (const uint8_t *)"eight id", 8);
    size += put_message(output + size, 5, (const uint8_t *)"a name", 6);
    size += put_time(output + size, 7, time_ns);
    return size + put_time(output + size, 8, time_ns + 1000);
}

static void make_spans(struct request *r, unsigned hour)
{
    uint8_t spans[400], span[72], scope[410];
    size_t size = 0;
    for (unsigned i = 0; i < ROWS_A_REQUEST; i++) {
        uint64_t time_ns = ((uint64_t)BASE_HOUR + hour) * 3600000000000u + i * 1000u;
        size += put_message(spans + size, 2, span, make_span(span, time_ns));
    }
    size = put_message(scope, 2, spans, size);
    r->size = put_message(r->bytes, 1, scope, size);
}

static void make_points(struct request *r, unsigned hour)
{
    uint8_t points[300], point[32], metric[320], scope[340], resource[360];
    size_t size = 0;
    for (unsigned i = 0; i < ROWS_A_REQUEST; i++) {
        uint64_t time_ns = ((uint64_t)BASE_HOUR + hour) * 3600000000000u + i * 1000u;
        size_t point_size = put_time(point, 3, time_ns);
        point_size += put_time(point + point_size, 4, 0x3ff8000000000000u); // as_double
        size += put_message(points + size, 1, point, point_size);
    }
    size_t name = put_message(metric, 1, (const uint8_t *)"a metric", 8);
    size = name + put_message(metric + name, 5, points, size);
    size = put_message(scope, 2, metric, size);
    size = put_message(resource, 2, scope, size);
    r->size = put_message(r->bytes, 1, resource, size);
}

static const enum oto_table tables[] = {OTO_TABLE_LOGS, OTO_TABLE_TRACES, OTO_TABLE_GAUGE};

static void make_request(struct request *r, unsigned number)
{
    memset(r, 0, sizeof *r);
    if (number % 3 == 0)
        request_make(r, number, 0);
    else if (number % 3 == 1)
        make_spans(r, number);
    else
        make_points(r, number);
    r->ingest.signal = (enum oto_signal)(number % 3);
    r->ingest.payload = oto_bytes(r->bytes, r->size);
    r->ingest.done = request_done;
}

// --- an engine's life ---

static void must_say_why(enum oto_status status, const struct oto_error *err)
{
    if (status == OTO_OK)
        return;
    if (!oto_status_retryable(status) || err->message[0] == 0 || err->status != status)
        fail_msg("refused with %s: %s", oto_status_name(status), err->message);
}

static void begin(struct story *s)
{
    struct fixture *f = s->f;
    struct oto_error err;
    for (int i = 0; i < TRIES; i++) {
        s->lives++;
        oto_error_init(&err);
        enum oto_status status = oto_engine_open(&f->options, &f->engine, &err);
        must_say_why(status, &err);
        if (status < 0)
            continue;
        status = oto_engine_recover(f->engine, &err);
        must_say_why(status, &err);
        if (status >= 0) {
            f->shard = oto_engine_shard(f->engine, 0, fixture_wake, f);
            return;
        }
        assert_int_equal(oto_engine_status(f->engine, NULL, 0), OTO_ENGINE_FAILED);
        oto_engine_close(f->engine);
    }
    fail_msg("it does not start any more: %s", err.message);
}

static struct oto_error last_refusal;

static void note_answer(struct oto_ingest *ingest, enum oto_status status,
                        const struct oto_error *err)
{
    if (status < 0) {
        last_refusal = *err;
        must_say_why(status, err);
    }
    request_done(ingest, status, err);
}

static void send_until_stored(struct story *s, unsigned number)
{
    struct request r;
    for (int i = 0; i < TRIES; i++) {
        make_request(&r, number);
        r.ingest.done = note_answer;
        oto_shard_ingest(s->f->shard, &r.ingest);
        if (request_wait(s->f, &r) == OTO_OK) {
            assert_int_equal(r.ingest.result.accepted, ROWS_A_REQUEST);
            s->acknowledged[number] = 1;
            return;
        }
        s->refusals++;
        pump(s->f);
        oto_shard_tick(s->f->shard);
    }
    fail_msg("request %u is never stored: %s", number, last_refusal.message);
}

struct query {
    struct fixture *f;
    struct oto_snapshot snapshot;
    struct oto_error err;
    enum oto_status status;
    _Atomic int over;
};

static void *query_run(void *state)
{
    struct query *q = state;
    oto_error_init(&q->err);
    q->status = oto_engine_snapshot(q->f->engine, (1u << OTO_TABLE_COUNT) - 1, INT64_MIN, INT64_MAX,
                                    &q->snapshot, &q->err);
    atomic_store(&q->over, 1);
    fixture_wake(q->f);
    return NULL;
}

static uint64_t rows_seen(const struct oto_snapshot *snapshot)
{
    uint64_t rows = 0;
    unsigned kinds = atomic_exchange(&fault.kinds, 0); // looking is not part of the story
    for (size_t i = 0; i < snapshot->file_count; i++)
        rows += file_rows(snapshot->files[i].fd, snapshot->files[i].path);
    atomic_store(&fault.kinds, kinds);
    return rows;
}

static void look(struct story *s)
{
    uint64_t acknowledged = 0;
    for (unsigned i = 0; i < REQUESTS; i++)
        acknowledged += s->acknowledged[i] ? ROWS_A_REQUEST : 0;
    for (int i = 0; i < TRIES; i++) {
        struct query q = {.f = s->f};
        struct oto_thread thread = {0};
        if (oto_thread_start(&thread, "query", query_run, &q, NULL) < 0)
            continue;
        while (!atomic_load(&q.over))
            pump(s->f);
        oto_thread_join(&thread);
        must_say_why(q.status, &q.err);
        if (q.status < 0)
            continue;
        assert_int_equal(rows_seen(&q.snapshot), acknowledged);
        oto_snapshot_release(&q.snapshot);
        return;
    }
    fail_msg("rows cannot be asked for any more");
}

// 1 when everything is in files.
static int end(struct story *s)
{
    struct oto_error err;
    oto_error_init(&err);
    enum oto_status status = oto_engine_drain(s->f->engine, &err);
    must_say_why(status, &err);
    oto_engine_close(s->f->engine);
    s->f->engine = NULL;
    return status >= 0;
}

// Start, take requests, answer queries, flush, stop; again and again until all is in files.
static void live(struct story *s)
{
    begin(s);
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (s->acknowledged[i])
            continue;
        send_until_stored(s, i);
        if (i % 4 == 1)
            look(s);
    }
    oto_shard_tick(s->f->shard);
    for (int i = 0; !end(s); i++) {
        assert_true(i < TRIES);
        begin(s);
    }
}

// A log full of requests that an earlier life left.
static void live_before(struct story *s)
{
    uint32_t rows = s->f->options.flush_rows;
    s->f->options.flush_rows = 100000;
    begin(s);
    for (unsigned i = 0; i < REQUESTS_BEFORE; i++)
        send_until_stored(s, i);
    oto_engine_close(s->f->engine);
    s->f->engine = NULL;
    s->f->options.flush_rows = rows;
}

// --- what is on disk afterwards ---

struct found {
    struct oto_store *store;
    enum oto_table table;
    uint64_t rows[OTO_TABLE_COUNT][REQUESTS];
};

static enum oto_status count_file(void *state, const struct oto_store_entry *entry,
                                  struct oto_error *err)
{
    struct found *found = state;
    struct oto_catalogue_file file;
    assert_int_equal(oto_catalogue_parse(found->table, entry->name, &file), OTO_OK);
    int64_t hour = file.time_min_us / 3600000000 - BASE_HOUR;
    assert_true(hour >= 0 && hour < REQUESTS);
    uint8_t *bytes = malloc(entry->size_bytes);
    size_t size;
    OTO_TRY(found->store->operations->read(found->store, entry->name, 0, bytes, entry->size_bytes,
                                           &size, err));
    found->rows[found->table][hour] += parquet_rows(bytes, size);
    free(bytes);
    return OTO_OK;
}

static enum oto_status must_be_known(void *state, const struct oto_folder_entry *entry,
                                     struct oto_error *err)
{
    (void)state, (void)err;
    if (strstr(entry->name, "corrupt") || strstr(entry->name, "quarantine"))
        fail_msg("left in the log: %s", entry->name);
    return OTO_OK;
}

static void check(const struct story *s)
{
    struct found found = {0};
    char path[128];
    assert_int_equal(oto_store_open_disk(s->f->path, &found.store, NULL), OTO_OK);
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        found.table = (enum oto_table)table;
        assert_int_equal(found.store->operations->list(found.store, oto_table_folder(found.table),
                                                       count_file, &found, NULL),
                         OTO_OK);
        for (unsigned i = 0; i < REQUESTS; i++) {
            uint64_t rows = found.rows[table][i];
            int its_own = tables[i % 3] == found.table;
            if (!its_own || (!s->acknowledged[i] && rows == 0))
                assert_int_equal(rows, 0);
            else if (rows != ROWS_A_REQUEST)
                fail_msg("request %u (%s): %u rows stored", i,
                         s->acknowledged[i] ? "acknowledged" : "not acknowledged", (unsigned)rows);
        }
    }
    found.store->operations->close(found.store);
    snprintf(path, sizeof path, "%s/wal", s->f->path);
    assert_int_equal(oto_folder_list(path, must_be_known, NULL, NULL), OTO_OK);
    snprintf(path, sizeof path, "%s/wal/0", s->f->path);
    assert_int_equal(oto_folder_list(path, must_be_known, NULL, NULL), OTO_OK);
}

// --- the loops over n ---

static struct story *story_new(int has_past)
{
    fault_disarm(); // a test that failed may have left it on
    struct story *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    s->f = fixture_new();
    if (access("/dev/shm", W_OK) == 0) { // a thousand lives and as many folders
        assert_int_equal(rmdir(s->f->path), 0);
        strcpy(s->f->path, "/dev/shm/oto-faults-XXXXXX");
        assert_non_null(mkdtemp(s->f->path));
    }
    s->f->options.flush_rows = 2 * ROWS_A_REQUEST;
    s->f->options.memory_limit_bytes = 64u << 20;
    if (has_past)
        live_before(s);
    return s;
}

static void story_free(struct story *s)
{
    fixture_free(s->f);
    munmap(s, sizeof *s);
}

// The last n, and the step to it: in a sample about so many runs.
static uint64_t step_of(uint64_t calls, uint64_t runs)
{
    const char *all = getenv("OTOLITH_FAULTS");
    return all && strcmp(all, "all") == 0 ? 1 : calls / runs + 1;
}

static uint64_t count_calls(unsigned kinds, int has_past)
{
    struct story *s = story_new(has_past);
    fault_arm(kinds, 0, 0, FAULT_ONCE, 0);
    live(s);
    fault_disarm();
    uint64_t calls = atomic_load(&fault.calls);
    check(s);
    story_free(s);
    return calls;
}

static void fail_at_every(unsigned kinds, enum fault_way way, int error, uint64_t runs)
{
    for (int has_past = 0; has_past < 2; has_past++) {
        uint64_t calls = count_calls(kinds, has_past), hits = 0;
        assert_true(calls > 0 || !has_past); // nothing is read where nothing was
        for (uint64_t n = 1; n <= calls; n += step_of(calls, runs)) {
            struct story *s = story_new(has_past);
            if (getenv("OTO_TEST_LOG"))
                fprintf(stderr, "--- call %u of %u\n", (unsigned)n, (unsigned)calls);
            fault_arm(kinds, n, FAULT_CALLS, way, error);
            live(s);
            fault_disarm();
            hits += atomic_load(&fault.hits) > 0;
            check(s);
            story_free(s);
        }
        assert_true(hits > 0 || calls == 0);
    }
}

// The child writes down what was acknowledged, in memory that outlives it.
static int live_and_die(struct story *s, uint64_t n, enum fault_way way)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fault_arm(FAULT_CHANGES, n, 1, way, 0);
        live(s);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        fail_msg("the child failed before it was killed");
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void kill_at_every(enum fault_way way, uint64_t runs)
{
    for (int has_past = 0; has_past < 2; has_past++) {
        uint64_t calls = count_calls(FAULT_CHANGES, has_past), kills = 0;
        for (uint64_t n = 1; n <= calls; n += step_of(calls, runs)) {
            struct story *s = story_new(has_past);
            if (getenv("OTO_TEST_LOG"))
                fprintf(stderr, "--- killed at %u of %u\n", (unsigned)n, (unsigned)calls);
            kills += (uint64_t)live_and_die(s, n, way);
            begin(s);
            for (int i = 0; !end(s); i++) {
                assert_true(i < TRIES);
                begin(s);
            }
            check(s);
            live(s); // what was not acknowledged comes again
            check(s);
            for (unsigned i = 0; i < REQUESTS; i++)
                assert_true(s->acknowledged[i]);
            story_free(s);
        }
        assert_true(kills > 0);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    fail_at_every(FAULT_MEMORY, FAULT_ONCE, ENOMEM, 40);
}

static void memory_may_be_gone_for_a_while(void **state)
{
    (void)state;
    fail_at_every(FAULT_MEMORY, FAULT_STICKY, ENOMEM, 15);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    fail_at_every(FAULT_WRITE | FAULT_TRUNCATE, FAULT_ONCE, EIO, 12);
    fail_at_every(FAULT_WRITE | FAULT_TRUNCATE, FAULT_SHORT, ENOSPC, 8);
}

static void any_sync_may_fail(void **state)
{
    (void)state;
    fail_at_every(FAULT_SYNC, FAULT_ONCE, EIO, 12);
    fail_at_every(FAULT_SYNC | FAULT_WRITE | FAULT_OPEN, FAULT_STICKY, EIO, 8);
}

static void any_name_may_be_refused(void **state)
{
    (void)state;
    fail_at_every(FAULT_RENAME | FAULT_REMOVE | FAULT_FOLDER, FAULT_ONCE, EIO, 12);
    fail_at_every(FAULT_RENAME | FAULT_FOLDER | FAULT_OPEN, FAULT_STICKY, ENOSPC, 8);
}

static void any_open_may_fail(void **state)
{
    (void)state;
    fail_at_every(FAULT_OPEN, FAULT_ONCE, EMFILE, 12);
    fail_at_every(FAULT_OPEN, FAULT_STICKY, EMFILE, 8);
}

static void any_read_close_or_thread_may_fail(void **state)
{
    (void)state;
    fail_at_every(FAULT_READ, FAULT_ONCE, EIO, 5);
    fail_at_every(FAULT_CLOSE, FAULT_ONCE, EIO, 5);
    fail_at_every(FAULT_THREAD, FAULT_ONCE, EAGAIN, 5);
}

static void it_may_be_killed_at_any_call(void **state)
{
    (void)state;
    kill_at_every(FAULT_KILL, 20);
    kill_at_every(FAULT_TORN, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(memory_may_be_gone_for_a_while),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(any_name_may_be_refused),
        cmocka_unit_test(any_open_may_fail),
        cmocka_unit_test(any_read_close_or_thread_may_fail),
        cmocka_unit_test(it_may_be_killed_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
