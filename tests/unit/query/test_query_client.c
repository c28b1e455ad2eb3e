// The client against a process that is not otolith-query: what it says when that does not start,
// does not speak, or dies.
#include "cmocka_all.h"

#include "os/file.h"
#include "os/thread.h"
#include "query/query_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/oto-query-client-XXXXXX";

struct asked {
    struct oto_query query;
    struct oto_mutex lock;
    struct oto_condition ended;
    int done;
    enum oto_status status;
    char message[OTO_ERROR_MESSAGE_MAX];
};

static struct oto_query_file memory_file; // what every snapshot holds, when its fd is not 0

static enum oto_status acquire(void *state, int64_t from_us, int64_t to_us,
                               const struct oto_query_file **ret_files, size_t *ret_count,
                               void **ret_token, struct oto_error *err)
{
    (void)from_us, (void)to_us, (void)err;
    ++*(int *)state;
    *ret_files = &memory_file;
    *ret_count = memory_file.fd > 0;
    *ret_token = NULL;
    return OTO_OK;
}

static void release(void *state, void *token)
{
    (void)token;
    --*(int *)state;
}

static enum oto_status data(struct oto_query *query, struct oto_bytes bytes)
{
    (void)query, (void)bytes;
    return OTO_OK;
}

static void finished(struct oto_query *query, enum oto_status status, uint64_t rows,
                     const struct oto_error *err)
{
    (void)rows;
    struct asked *asked = query->state;
    oto_mutex_lock(&asked->lock);
    asked->status = status;
    (void)snprintf(asked->message, sizeof(asked->message), "%s", err ? err->message : "");
    asked->done++;
    oto_condition_signal(&asked->ended);
    oto_mutex_unlock(&asked->lock);
}

static void asked_init(struct asked *asked)
{
    *asked = (struct asked){
        .query = {.sql = OTO_BYTES_LITERAL("SELECT 1"), .data = data, .finished = finished}};
    asked->query.state = asked;
    oto_mutex_init(&asked->lock);
    oto_condition_init(&asked->ended);
}

static void asked_wait(struct asked *asked)
{
    oto_mutex_lock(&asked->lock);
    while (!asked->done)
        oto_condition_wait(&asked->ended, &asked->lock);
    oto_mutex_unlock(&asked->lock);
}

static int held; // snapshots that were acquired and not released

// A client whose program is a shell script.
static struct oto_query_client *client_of(const char *script, uint32_t timeout_ms,
                                          uint32_t queue_max)
{
    static char program[200];
    struct oto_query_options options;
    struct oto_query_client *client;
    (void)snprintf(program, sizeof(program), "%s/program", folder);
    (void)unlink(program);
    if (script) {
        FILE *f = fopen(program, "w");
        assert_non_null(f);
        (void)fprintf(f, "#!/bin/sh\n%s\n", script);
        (void)fclose(f);
        assert_int_equal(chmod(program, 0700), 0);
    }
    oto_query_options_default(&options);
    options.program = program;
    options.data_path = folder;
    options.source = (struct oto_query_source){&held, acquire, release};
    options.workers = 1;
    options.timeout_ms = timeout_ms;
    options.queue_max = queue_max;
    assert_int_equal(oto_query_client_new(&options, &client, NULL), OTO_OK);
    return client;
}

static void expect(const char *script, uint32_t timeout_ms, enum oto_status status,
                   const char *message)
{
    struct oto_query_client *client = client_of(script, timeout_ms, 10);
    struct asked asked;
    asked_init(&asked);
    oto_query_submit(client, &asked.query);
    asked_wait(&asked);
    assert_int_equal(asked.status, status);
    assert_non_null(strstr(asked.message, message));
    oto_query_client_free(client);
    assert_int_equal(asked.done, 1);
    assert_int_equal(held, 0);
}

// READY with an empty text.
#define READY "printf '\\0\\0\\0\\0\\6\\0\\0\\0' >&3; "

static void a_program_that_is_not_there(void **state)
{
    (void)state;
    expect(NULL, 1000, OTO_UNAVAILABLE, "cannot be");
}

static void a_program_that_ends_at_once(void **state)
{
    (void)state;
    expect("exit 3", 1000, OTO_UNAVAILABLE, "exit status 3");
}

static void a_process_that_dies_while_it_runs_a_query(void **state)
{
    (void)state;
    expect(READY "sleep 0.1; kill -9 $$", 10000, OTO_INTERNAL, "died");
}

static void a_process_that_speaks_nonsense(void **state)
{
    (void)state;
    expect(READY "sleep 0.1; printf '\\10\\0\\0\\0\\4\\0\\0\\0' >&3; exec sleep 10", 100,
           OTO_TIMEOUT, "longer");
    expect(READY "sleep 0.1; printf '\\0\\0\\0\\0\\4\\0\\0\\0' >&3; exec sleep 10", 5000,
           OTO_INTERNAL, "protocol");
}

// DuckDB refuses all that comes after such an error.
static void a_process_with_an_internal_error_is_replaced(void **state)
{
    (void)state;
    struct oto_query_client *client =
        client_of(READY "sleep 0.1; printf '\\17\\0\\0\\0\\5\\0\\0\\0"
                        "\\363\\377\\377\\377\\0\\0\\0\\0\\0\\0\\0\\0bad' >&3; exec sleep 10",
                  5000, 10);
    struct oto_query_stats stats;
    for (uint64_t i = 1; i <= 2; i++) {
        struct asked asked;
        asked_init(&asked);
        oto_query_submit(client, &asked.query);
        asked_wait(&asked);
        assert_int_equal(asked.status, OTO_INTERNAL);
        assert_string_equal(asked.message, "bad");
        oto_query_client_stats(client, &stats);
        assert_int_equal(stats.processes_started, i);
    }
    oto_query_client_free(client);
    assert_int_equal(held, 0);
}

static void a_process_that_never_answers_is_killed(void **state)
{
    (void)state;
    expect(READY "exec sleep 60", 100, OTO_TIMEOUT, "100 ms");
}

static void waiting_queries_are_limited_and_cancelled(void **state)
{
    (void)state;
    struct oto_query_client *client = client_of(READY "exec sleep 60", 60000, 1);
    struct oto_query_stats stats;
    struct asked running, waiting, refused;
    asked_init(&running);
    asked_init(&waiting);
    asked_init(&refused);
    oto_query_submit(client, &running.query);
    do {
        usleep(10000);
        oto_query_client_stats(client, &stats);
    } while (stats.running == 0);
    oto_query_submit(client, &waiting.query);
    oto_query_submit(client, &refused.query);
    assert_int_equal(refused.done, 1); // from within submit
    assert_int_equal(refused.status, OTO_UNAVAILABLE);
    assert_int_equal(waiting.done, 0);
    oto_query_cancel(client, &waiting.query);
    assert_int_equal(waiting.done, 1);
    assert_int_equal(waiting.status, OTO_UNAVAILABLE);
    oto_query_cancel(client, &running.query); // it does not listen, so it is killed
    asked_wait(&running);
    assert_int_equal(running.status, OTO_UNAVAILABLE);
    oto_query_client_stats(client, &stats);
    assert_int_equal(stats.queries, 3);
    assert_int_equal(stats.failures, 3);
    oto_query_client_free(client);
    assert_int_equal(held, 0);
}

static void freeing_ends_what_runs(void **state)
{
    (void)state;
    struct oto_query_client *client = client_of(READY "exec sleep 60", 60000, 10);
    struct asked asked[3];
    for (int i = 0; i < 3; i++) {
        asked_init(&asked[i]);
        oto_query_submit(client, &asked[i].query);
    }
    usleep(200000);
    oto_query_client_free(client);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asked[i].done, 1);
        assert_int_equal(asked[i].status, OTO_UNAVAILABLE);
    }
    assert_int_equal(held, 0);
}

static void files_in_memory_can_no_longer_be_changed(void **state)
{
    (void)state;
    struct oto_file file;
    assert_int_equal(oto_file_open_memory(&file, "hot", NULL), OTO_OK);
    assert_int_equal(write(file.fd, "x", 1), 1);
    memory_file = (struct oto_query_file){.fd = file.fd};
    expect(READY "exit 0", 10000, OTO_INTERNAL, "died");
    memory_file.fd = 0;
    assert_int_equal(write(file.fd, "y", 1), -1);
    assert_int_equal(ftruncate(file.fd, 0), -1);
    assert_int_equal(oto_file_close(&file, NULL), OTO_OK);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[200];
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_is_not_there),
        cmocka_unit_test(a_program_that_ends_at_once),
        cmocka_unit_test(a_process_that_dies_while_it_runs_a_query),
        cmocka_unit_test(a_process_that_speaks_nonsense),
        cmocka_unit_test(a_process_with_an_internal_error_is_replaced),
        cmocka_unit_test(a_process_that_never_answers_is_killed),
        cmocka_unit_test(waiting_queries_are_limited_and_cancelled),
        cmocka_unit_test(freeing_ends_what_runs),
        cmocka_unit_test(files_in_memory_can_no_longer_be_changed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
