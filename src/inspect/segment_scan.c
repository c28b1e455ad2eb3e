#include "inspect/segment_scan.h"
#include "os/file.h"

#include <stdio.h>

#define WINDOW_BYTES (1u << 20)

struct scan {
    struct oto_segment_scan *found;
    struct oto_file file;
    uint64_t salt; // 0: the header is lost, the first good record tells
    uint64_t limit_seq;
    struct oto_buffer window;
    uint64_t window_at;
    oto_segment_visit visit;
    void *state;
};

// Makes bytes [offset, offset + size) visible; fewer at the file's end, which may have moved.
static enum oto_status show(struct scan *s, uint64_t offset, size_t size,
                            struct oto_bytes *ret_bytes, struct oto_error *err)
{
    uint64_t rest = s->found->file_bytes - offset;
    size = size < rest ? size : (size_t)rest;
    if (offset < s->window_at || offset + size > s->window_at + s->window.size) {
        size_t wanted = size > WINDOW_BYTES ? size : WINDOW_BYTES, got = 0;
        wanted = wanted < rest ? wanted : (size_t)rest;
        s->window.size = 0;
        if (oto_buffer_reserve(&s->window, wanted + 1) < 0)
            return oto_error_set(err, OTO_NO_MEMORY, "no memory to read a log segment");
        enum oto_status status =
            oto_file_read_at(&s->file, offset, s->window.data, wanted, &got, err);
        if (status < 0)
            return status;
        if (got < wanted)
            s->found->file_bytes = offset + got;
        s->window.size = got;
        s->window_at = offset;
    }
    uint64_t end = s->window_at + s->window.size;
    *ret_bytes = oto_bytes(s->window.data + (offset - s->window_at),
                           end > offset ? (size_t)(end - offset) : 0);
    return OTO_OK;
}

// OTO_END: there is none that is whole.
static enum oto_status record_at(struct scan *s, uint64_t offset, struct oto_wal_record *ret_record,
                                 size_t *ret_size, struct oto_error *err)
{
    size_t size = OTO_WAL_RECORD_HEADER_BYTES;
    for (;;) {
        struct oto_bytes bytes;
        uint64_t salt;
        OTO_TRY(show(s, offset, size, &bytes, err));
        enum oto_status status = oto_wal_record_decode(bytes, s->salt, ret_record, &salt, ret_size);
        if (status == OTO_OK) {
            s->salt = salt;
            return OTO_OK;
        }
        if (status != OTO_AGAIN || *ret_size > s->found->file_bytes - offset ||
            *ret_size <= bytes.size)
            return OTO_END;
        size = *ret_size;
    }
}

// The next whole record from offset on that is later than the last; OTO_END.
static enum oto_status resync(struct scan *s, uint64_t offset, uint64_t *ret_offset,
                              struct oto_error *err)
{
    for (; offset + OTO_WAL_RECORD_HEADER_BYTES <= s->found->file_bytes; offset += 8) {
        struct oto_wal_record record;
        size_t size;
        enum oto_status status = record_at(s, offset, &record, &size, err);
        OTO_TRY(status);
        if (status == OTO_OK && record.seq > s->found->last_seq) {
            *ret_offset = offset;
            return OTO_OK;
        }
    }
    return OTO_END;
}

static enum oto_status take(struct scan *s, const struct oto_wal_record *record, uint64_t offset,
                            size_t size, struct oto_error *err)
{
    struct oto_segment_scan *found = s->found;
    if (!found->record_count)
        found->first_seq = record->seq;
    found->last_seq = record->seq;
    found->record_count++;
    found->valid_bytes = offset + size;
    return s->visit ? s->visit(s->state, record, offset, size, err) : OTO_OK;
}

// Bytes that may have been written only after they were read are read again before they are called
// damaged.
static enum oto_status look_again(struct scan *s, uint64_t offset,
                                  struct oto_wal_record *ret_record, size_t *ret_size,
                                  struct oto_error *err)
{
    s->window.size = 0;
    return record_at(s, offset, ret_record, ret_size, err);
}

static enum oto_status read_records(struct scan *s, struct oto_error *err)
{
    uint64_t offset = OTO_WAL_SEGMENT_HEADER_BYTES;
    while (offset < s->found->file_bytes && s->found->last_seq + 1 < s->limit_seq) {
        struct oto_wal_record record;
        size_t size;
        uint64_t next;
        enum oto_status status = record_at(s, offset, &record, &size, err);
        OTO_TRY(status);
        if (status == OTO_OK && record.seq == s->found->last_seq + 1) {
            OTO_TRY(take(s, &record, offset, size, err));
            offset += size;
            continue;
        }
        status = resync(s, offset, &next, err);
        OTO_TRY(status);
        if (status == OTO_END)
            return OTO_OK;
        if (next > offset) {
            status = look_again(s, offset, &record, &size, err);
            OTO_TRY(status);
            if (status == OTO_OK && record.seq == s->found->last_seq + 1)
                continue;
        }
        OTO_TRY(look_again(s, next, &record, &size, err));
        if (record.seq >= s->limit_seq)
            return OTO_OK;
        s->found->damage_count++;
        if (s->visit)
            OTO_TRY(s->visit(s->state, NULL, offset, next - offset, err));
        OTO_TRY(take(s, &record, next, size, err));
        offset = next + size;
    }
    return OTO_OK;
}

static enum oto_status look_behind(struct scan *s, struct oto_error *err)
{
    struct oto_bytes bytes;
    OTO_TRY(show(s, s->found->valid_bytes, OTO_WAL_RECORD_HEADER_BYTES, &bytes, err));
    size_t size =
        bytes.size < OTO_WAL_RECORD_HEADER_BYTES ? bytes.size : OTO_WAL_RECORD_HEADER_BYTES;
    int is_zero = 1;
    for (size_t i = 0; i < size; i++)
        is_zero = is_zero && bytes.data[i] == 0;
    if (!size)
        s->found->rest = OTO_SEGMENT_REST_NOTHING;
    else if (is_zero)
        s->found->rest = OTO_SEGMENT_REST_ZEROS;
    else if (size == OTO_WAL_RECORD_HEADER_BYTES && oto_load64(bytes.data + 32) != s->salt)
        s->found->rest = OTO_SEGMENT_REST_STALE;
    else
        s->found->rest = OTO_SEGMENT_REST_TORN;
    return OTO_OK;
}

static enum oto_status read_header(struct scan *s, struct oto_error *err)
{
    struct oto_bytes bytes;
    struct oto_error why;
    oto_error_init(&why);
    OTO_TRY(show(s, 0, OTO_WAL_SEGMENT_HEADER_BYTES, &bytes, err));
    enum oto_status status = oto_wal_segment_header_decode(bytes, &s->found->header, &why);
    s->found->is_header_good = status == OTO_OK;
    if (status == OTO_UNSUPPORTED)
        return oto_error_set(err, status, "%s", why.message);
    if (status < 0)
        (void)snprintf(s->found->header_problem, sizeof s->found->header_problem, "%.200s",
                       why.message);
    uint64_t size = s->found->file_bytes;
    s->found->valid_bytes =
        size < OTO_WAL_SEGMENT_HEADER_BYTES ? size : OTO_WAL_SEGMENT_HEADER_BYTES;
    if (status < 0 || !s->found->header.first_seq)
        return OTO_OK;
    s->salt = s->found->header.salt;
    s->found->last_seq = s->found->header.first_seq - 1;
    return OTO_OK;
}

enum oto_status oto_segment_scan(const char *path, uint64_t limit_seq, oto_segment_visit visit,
                                 void *state, struct oto_segment_scan *ret_scan,
                                 struct oto_error *err)
{
    struct scan s = {.found = ret_scan, .limit_seq = limit_seq, .visit = visit, .state = state};
    *ret_scan = (struct oto_segment_scan){0};
    OTO_TRY(oto_file_open(&s.file, path, OTO_FILE_READ, err));
    oto_buffer_init(&s.window, &oto_allocator_heap, SIZE_MAX / 2);
    enum oto_status status = oto_file_size(&s.file, &ret_scan->file_bytes, err);
    if (status >= 0)
        status = read_header(&s, err);
    if (status >= 0)
        status = read_records(&s, err);
    if (status >= 0)
        status = look_behind(&s, err);
    if (!ret_scan->record_count)
        ret_scan->last_seq = 0;
    oto_buffer_release(&s.window);
    oto_file_close(&s.file, NULL);
    return status < 0 ? status : OTO_OK;
}
