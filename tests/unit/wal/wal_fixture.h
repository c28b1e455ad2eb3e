// A log in a folder of its own, with an owner that counts what it is told.
#ifndef OTO_TESTS_WAL_FIXTURE_H
#define OTO_TESTS_WAL_FIXTURE_H

#include "cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wal/wal_internal.h"

struct owner {
    char path[64];
    struct oto_wal_options options;
    struct oto_wal *wal;
    struct oto_mutex lock;
    struct oto_condition changed;
    uint64_t durable_seq;
    int failures;
    enum oto_status status;
    // What a replay found.
    uint64_t count, seqs[4096];
    char texts[4096][32];
    struct oto_wal_recovery recovery;
};

static inline void committed(void *state, uint64_t durable_seq, enum oto_status status,
                             const struct oto_error *err)
{
    struct owner *o = state;
    oto_mutex_lock(&o->lock);
    o->durable_seq = durable_seq;
    if (status < 0) {
        o->failures++;
        o->status = status;
        assert_true(err->message[0] != 0);
    }
    oto_condition_broadcast(&o->changed);
    oto_mutex_unlock(&o->lock);
}

static inline struct owner *owner_new(void)
{
    struct owner *o = calloc(1, sizeof *o);
    assert_non_null(o);
    strcpy(o->path, "/tmp/oto-wal-XXXXXX");
    assert_non_null(mkdtemp(o->path));
    oto_mutex_init(&o->lock);
    oto_condition_init(&o->changed);
    oto_wal_options_default(&o->options);
    o->options.segment_size_bytes = 4u << 20;
    o->options.disk_free_min = 0;
    o->options.committed = committed;
    o->options.state = o;
    return o;
}

static inline void owner_free(struct owner *o)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", o->path);
    assert_int_equal(system(command), 0);
    oto_condition_release(&o->changed);
    oto_mutex_release(&o->lock);
    free(o);
}

static inline enum oto_status note(void *state, const struct oto_wal_record *record,
                                   struct oto_error *err)
{
    struct owner *o = state;
    (void)err;
    assert_true(o->count < 4096);
    size_t size = record->payload.size < 31 ? record->payload.size : 31;
    memcpy(o->texts[o->count], record->payload.data, size);
    o->texts[o->count][size] = 0;
    o->seqs[o->count++] = record->seq;
    return OTO_OK;
}

static inline void open_and_replay(struct owner *o)
{
    struct oto_error err;
    o->count = 0;
    if (oto_wal_open(o->path, &o->options, &o->wal, &err) < 0 ||
        oto_wal_replay(o->wal, note, o, &o->recovery, &err) < 0)
        fail_msg("%s", err.message);
}

static inline void start(struct owner *o)
{
    open_and_replay(o);
    assert_int_equal(oto_wal_start(o->wal, NULL), OTO_OK);
}

static inline void stop(struct owner *o)
{
    assert_int_equal(oto_wal_close(o->wal, NULL), OTO_OK);
    o->wal = NULL;
}

static inline uint64_t append(struct owner *o, const char *text)
{
    uint64_t seq = 0;
    struct oto_error err;
    if (oto_wal_append(o->wal, 1, 2, 3, oto_bytes_text(text), &seq, &err) < 0)
        fail_msg("%s", err.message);
    return seq;
}

static inline void wait_durable(struct owner *o, uint64_t seq)
{
    oto_mutex_lock(&o->lock);
    while (o->durable_seq < seq)
        oto_condition_wait(&o->changed, &o->lock);
    oto_mutex_unlock(&o->lock);
}

static inline void wait_failures(struct owner *o, int count)
{
    oto_mutex_lock(&o->lock);
    while (o->failures < count)
        oto_condition_wait(&o->changed, &o->lock);
    oto_mutex_unlock(&o->lock);
}

// One record a commit, so that each is a group of its own.
static inline void append_all(struct owner *o, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char text[32];
        snprintf(text, sizeof text, "record %d", i);
        wait_durable(o, append(o, text));
    }
}

static inline void assert_records(const struct owner *o, int first, int count)
{
    assert_int_equal(o->count, count);
    for (int i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "record %d", first + i);
        assert_string_equal(o->texts[i], text);
        assert_int_equal(o->seqs[i], (uint64_t)(first + i));
    }
}

static inline void segment_path(const struct owner *o, unsigned ordinal, char *path)
{
    snprintf(path, 128, "%s/%016x.wal", o->path, ordinal);
}

static inline void poke(const char *path, off_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, offset), (ssize_t)size);
    close(fd);
}

static inline int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static inline void append_big(struct owner *o, size_t size, char fill)
{
    uint64_t seq;
    char *bytes = malloc(size);
    memset(bytes, fill, size);
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes(bytes, size), &seq, NULL), OTO_OK);
    free(bytes);
    wait_durable(o, seq);
}

#endif
