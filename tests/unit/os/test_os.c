// Files, folders, threads, clocks and pages against the real system, in a folder of their own.
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"

static char folder[64];
static char path_text[256];

static const char *in_folder(const char *name)
{
    snprintf(path_text, sizeof path_text, "%s/%s", folder, name);
    return path_text;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/oto-test-os-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void file_reads_back_what_was_written(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_file f;
    char text[16] = {0};
    size_t got = 0;
    uint64_t size = 0;
    assert_int_equal(oto_file_open(&f, in_folder("a"), OTO_FILE_CREATE_NEW, &err), OTO_OK);
    assert_int_equal(oto_file_write_at(&f, 3, "hello", 5, &err), OTO_OK);
    assert_int_equal(oto_file_sync(&f, &err), OTO_OK);
    assert_int_equal(oto_file_size(&f, &size, &err), OTO_OK);
    assert_int_equal(size, 8);
    assert_int_equal(oto_file_read_at(&f, 3, text, 5, NULL, &err), OTO_OK);
    assert_string_equal(text, "hello");
    assert_int_equal(oto_file_read_at(&f, 6, text, 10, &got, &err), OTO_END);
    assert_int_equal(got, 2);
    assert_int_equal(oto_file_truncate(&f, 4, &err), OTO_OK);
    assert_int_equal(oto_file_size(&f, &size, &err), OTO_OK);
    assert_int_equal(size, 4);
    assert_int_equal(oto_file_close(&f, &err), OTO_OK);
    assert_int_equal(f.fd, -1);
    assert_int_equal(oto_file_open(&f, in_folder("a"), OTO_FILE_CREATE_NEW, &err), OTO_EXISTS);
    assert_non_null(strstr(err.message, "/a"));
    assert_int_equal(oto_file_open(&f, in_folder("a"), OTO_FILE_UPDATE, &err), OTO_OK);
    assert_int_equal(oto_file_size(&f, &size, &err), OTO_OK);
    assert_int_equal(size, 4);
    assert_int_equal(oto_file_close(&f, &err), OTO_OK);
    assert_int_equal(oto_file_open(&f, in_folder("a"), OTO_FILE_WRITE, &err), OTO_OK);
    assert_int_equal(oto_file_size(&f, &size, &err), OTO_OK);
    assert_int_equal(size, 0);
    assert_int_equal(oto_file_close(&f, &err), OTO_OK);
    assert_int_equal(oto_file_open(&f, in_folder("none"), OTO_FILE_READ, &err), OTO_NOT_FOUND);
    assert_int_equal(symlink("a", in_folder("link")), 0);
    assert_int_equal(oto_file_open(&f, in_folder("link"), OTO_FILE_READ, &err), OTO_IO);
}

static void full_disk_is_no_space(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_file f;
    assert_int_equal(oto_file_open(&f, "/dev/full", OTO_FILE_UPDATE, &err), OTO_OK);
    assert_int_equal(oto_file_write_at(&f, 0, "x", 1, &err), OTO_NO_SPACE);
    assert_non_null(strstr(err.message, "/dev/full"));
    assert_int_equal(oto_file_close(&f, NULL), OTO_OK);
}

static void lock_is_exclusive_and_names_its_holder(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_file first, second;
    char path[256];
    strcpy(path, in_folder("lock"));
    assert_int_equal(oto_file_lock(&first, path, &err), OTO_OK);
    assert_int_equal(oto_file_write_at(&first, 0, "pid 42\nmore", 11, &err), OTO_OK);
    assert_int_equal(oto_file_lock(&second, path, &err), OTO_EXISTS);
    assert_non_null(strstr(err.message, "pid 42"));
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(second.fd, -1);
    assert_int_equal(oto_file_close(&first, &err), OTO_OK);
    assert_int_equal(oto_file_lock(&second, path, &err), OTO_OK);
    assert_int_equal(oto_file_close(&second, &err), OTO_OK);
}

static void a_locks_holder_is_found_by_who_may_only_read(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_file held;
    char path[256], text[8];
    strcpy(path, in_folder("lock-read-only"));
    assert_int_equal(oto_file_lock_holder(path, text, sizeof text, &err), OTO_NOT_FOUND);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(oto_file_lock(&held, path, &err), OTO_OK);
    assert_int_equal(oto_file_write_at(&held, 0, "42\nand more", 11, &err), OTO_OK);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(oto_file_lock_holder(path, text, sizeof text, &err), OTO_OK);
    assert_string_equal(text, "42\nand ");
    assert_int_equal(oto_file_close(&held, &err), OTO_OK);
    assert_int_equal(oto_file_lock_holder(path, text, sizeof text, &err), OTO_NOT_FOUND);
}

struct listing {
    int files, folders, others;
    uint64_t bytes;
};

static enum oto_status count_entry(void *state, const struct oto_folder_entry *entry,
                                   struct oto_error *err)
{
    struct listing *l = state;
    (void)err;
    l->files += entry->is_file;
    l->folders += entry->is_folder;
    l->others += !entry->is_file && !entry->is_folder;
    l->bytes += entry->is_file ? entry->size_bytes : 0;
    return OTO_OK;
}

static enum oto_status stop_entry(void *state, const struct oto_folder_entry *entry,
                                  struct oto_error *err)
{
    (void)entry;
    ++*(int *)state;
    return oto_error_set(err, OTO_INVALID, "enough");
}

static void folders_are_made_listed_and_removed(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_file f;
    struct listing l = {0};
    int exists = 0, calls = 0;
    uint64_t bytes_free = 0;
    char deep[256], top[256];
    strcpy(deep, in_folder("x/y=1/z"));
    strcpy(top, in_folder("x/y=1"));
    assert_int_equal(oto_folder_create(deep, &err), OTO_OK);
    assert_int_equal(oto_folder_create(deep, &err), OTO_OK);
    assert_int_equal(oto_folder_sync(deep, &err), OTO_OK);
    assert_int_equal(oto_parent_sync(deep, &err), OTO_OK);
    assert_int_equal(oto_parent_sync("no-slash", &err), OTO_OK);
    assert_int_equal(oto_folder_sync("/proc", &err), OTO_OK); // knows no fsync
    assert_int_equal(oto_parent_sync("/tmp/", &err), OTO_OK);
    assert_int_equal(oto_parent_sync("/no-such-folder/name", &err), OTO_NOT_FOUND);
    assert_int_equal(oto_file_open(&f, in_folder("x/y=1/f"), OTO_FILE_WRITE, &err), OTO_OK);
    assert_int_equal(oto_file_write_at(&f, 0, "1234567", 7, &err), OTO_OK);
    assert_int_equal(oto_file_close(&f, &err), OTO_OK);
    assert_int_equal(symlink("f", in_folder("x/y=1/l")), 0);
    assert_int_equal(oto_folder_list(top, count_entry, &l, &err), OTO_OK);
    assert_int_equal(l.files, 1);
    assert_int_equal(l.folders, 1);
    assert_int_equal(l.others, 1);
    assert_int_equal(l.bytes, 7);
    assert_int_equal(oto_folder_list(top, stop_entry, &calls, &err), OTO_INVALID);
    assert_int_equal(calls, 1);
    char file[256];
    strcpy(file, in_folder("x/y=1/f"));
    assert_int_equal(oto_folder_create(file, &err), OTO_INVALID); // there, but no folder
    assert_int_equal(oto_folder_create(in_folder("x/y=1/f/below"), &err), OTO_INVALID);
    assert_int_equal(symlink("nowhere", in_folder("x/y=1/dangling")), 0);
    assert_int_equal(oto_folder_create(in_folder("x/y=1/dangling"), &err), OTO_NOT_FOUND);
    assert_int_equal(oto_path_rename(file, in_folder("x/g"), &err), OTO_OK);
    assert_int_equal(oto_path_exists(file, &exists, &err), OTO_OK);
    assert_int_equal(exists, 0);
    assert_int_equal(oto_path_exists(in_folder("x/g"), &exists, &err), OTO_OK);
    assert_int_equal(exists, 1);
    assert_int_equal(oto_path_remove(in_folder("x/g"), &err), OTO_OK);
    assert_int_equal(oto_path_remove(deep, &err), OTO_OK);
    assert_int_equal(oto_path_remove(deep, &err), OTO_NOT_FOUND);
    assert_int_equal(oto_disk_free(folder, &bytes_free, &err), OTO_OK);
    assert_true(bytes_free > 0);
}

static void pages_cost_nothing_until_touched(void **state)
{
    (void)state;
    const struct oto_allocator *a = &oto_allocator_pages;
    size_t size = (size_t)1 << 30;
    uint64_t before = oto_memory_resident_bytes();
    uint8_t *block = oto_alloc(a, size);
    assert_non_null(block);
    block[0] = 1;
    block[size - 1] = 2;
    assert_true(oto_memory_resident_bytes() - before < (64u << 20));
    block = oto_resize(a, block, size, 2 * size);
    assert_non_null(block);
    assert_int_equal(block[0], 1);
    assert_int_equal(block[size - 1], 2);
    block = oto_resize(a, block, 2 * size, 4096);
    assert_int_equal(block[0], 1);
    oto_free(a, block, 4096);
    assert_null(oto_alloc(a, SIZE_MAX - 10));
}

struct shared {
    struct oto_mutex mutex;
    struct oto_condition condition;
    int said;
    int signals_blocked;
};

static void *say(void *state)
{
    struct shared *s = state;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    oto_mutex_lock(&s->mutex);
    s->said = 1;
    s->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT);
    oto_condition_signal(&s->condition);
    oto_mutex_unlock(&s->mutex);
    return NULL;
}

static void threads_signal_each_other(void **state)
{
    (void)state;
    struct shared s = {0};
    struct oto_thread t = {0};
    oto_thread_join(&t);
    oto_mutex_init(&s.mutex);
    oto_condition_init(&s.condition);
    oto_mutex_lock(&s.mutex);
    uint64_t start = oto_clock_monotonic_ns();
    assert_int_equal(oto_condition_wait_until(&s.condition, &s.mutex, start + 20000000),
                     OTO_TIMEOUT);
    assert_true(oto_clock_monotonic_ns() - start >= 20000000);
    assert_int_equal(oto_thread_start(&t, "test", say, &s, NULL), OTO_OK);
    while (!s.said)
        oto_condition_wait(&s.condition, &s.mutex);
    oto_mutex_unlock(&s.mutex);
    oto_thread_join(&t);
    assert_true(s.signals_blocked);
    oto_condition_release(&s.condition);
    oto_mutex_release(&s.mutex);
}

static void cpu_count_follows_affinity(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_true(oto_cpu_count() >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(oto_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void clocks_and_randomness(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    uint64_t cpu = oto_clock_cpu_ns(), wall = oto_clock_wall_ns();
    assert_true(wall > 1700000000000000000u);
    for (volatile int i = 0; i < 20000000; i++)
        ;
    assert_true(oto_clock_cpu_ns() - cpu > 1000000);
    oto_random(a, sizeof a);
    oto_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void memory_file_holds_bytes(void **state)
{
    (void)state;
    struct oto_file f;
    char byte = 0;
    assert_int_equal(oto_file_open_memory(&f, "hot", NULL), OTO_OK);
    assert_int_equal(oto_file_write_at(&f, 0, "m", 1, NULL), OTO_OK);
    assert_int_equal(oto_file_read_at(&f, 0, &byte, 1, NULL, NULL), OTO_OK);
    assert_int_equal(byte, 'm');
    assert_int_equal(oto_file_close(&f, NULL), OTO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_reads_back_what_was_written),
        cmocka_unit_test(full_disk_is_no_space),
        cmocka_unit_test(lock_is_exclusive_and_names_its_holder),
        cmocka_unit_test(a_locks_holder_is_found_by_who_may_only_read),
        cmocka_unit_test(folders_are_made_listed_and_removed),
        cmocka_unit_test(pages_cost_nothing_until_touched),
        cmocka_unit_test(threads_signal_each_other),
        cmocka_unit_test(cpu_count_follows_affinity),
        cmocka_unit_test(clocks_and_randomness),
        cmocka_unit_test(memory_file_holds_bytes),
    };
    return cmocka_run_group_tests_name("os", tests, make_folder, remove_folder);
}
