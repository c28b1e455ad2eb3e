// folders: wal
// Recovery from damaged segments. The first byte says how many good records two segments hold; the
// rest is damage: three bytes each, an offset and a value. Whatever is damaged: no crash, records
// in order, each one as it was written or not at all. The same bytes go to the record reader as
// they are.
#include "wal/wal_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORDS_MAX 8
#define SEGMENT_BYTES (OTO_WAL_SEGMENT_HEADER_BYTES + 1024)

static void must(int condition)
{
    if (!condition)
        abort();
}

static const char *folder(void)
{
    static char path[64];
    if (path[0] == 0) {
        snprintf(path, sizeof path, "%s/fuzz-wal-%ld",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
        must(oto_folder_create(path, NULL) == OTO_OK);
    }
    return path;
}

// Payload of record seq: told apart by its size and its bytes.
static size_t payload_of(uint64_t seq, uint8_t *payload)
{
    size_t size = (size_t)(seq * 7 % 60);
    memset(payload, (int)(seq * 31), size);
    return size;
}

static enum oto_status check_record(void *state, const struct oto_wal_record *record,
                                    struct oto_error *err)
{
    uint64_t *last_seq = state;
    uint8_t payload[64];
    (void)err;
    must(record->seq > *last_seq && record->seq <= 2 * RECORDS_MAX);
    *last_seq = record->seq;
    size_t size = payload_of(record->seq, payload);
    must(oto_bytes_equal(record->payload, oto_bytes(payload, size)));
    must(record->received_ns == record->seq * 1000);
    return OTO_OK;
}

static void make_segment(uint8_t *bytes, uint64_t ordinal, uint64_t first_seq, unsigned count)
{
    struct oto_wal_segment_header header = {
        .salt = 99 + ordinal, .first_seq = first_seq, .ordinal = ordinal};
    uint8_t *at = bytes + OTO_WAL_SEGMENT_HEADER_BYTES;
    memset(bytes, 0, SEGMENT_BYTES);
    oto_wal_segment_header_encode(&header, bytes);
    for (unsigned i = 0; i < count; i++) {
        uint8_t payload[64];
        struct oto_wal_record record = {.seq = first_seq + i,
                                        .received_ns = (first_seq + i) * 1000};
        record.payload = oto_bytes(payload, payload_of(record.seq, payload));
        oto_wal_record_encode(&record, 1, at);
        at += oto_wal_record_seal(at, header.salt);
    }
}

static void write_segment(unsigned ordinal, const uint8_t *bytes)
{
    char path[128];
    struct oto_file file;
    snprintf(path, sizeof path, "%s/%016x.wal", folder(), ordinal);
    must(oto_file_open(&file, path, OTO_FILE_WRITE, NULL) == OTO_OK);
    must(oto_file_write_at(&file, 0, bytes, SEGMENT_BYTES, NULL) == OTO_OK);
    oto_file_close(&file, NULL);
}

static void replay_all(void)
{
    struct oto_wal_options options;
    struct oto_wal_recovery recovery;
    struct oto_wal *wal;
    oto_wal_options_default(&options);
    for (int i = 0; i < 2; i++) { // what the first run cut off must not change the second
        uint64_t last_seq = 0;
        must(oto_wal_open(folder(), &options, &wal, NULL) == OTO_OK);
        enum oto_status status = oto_wal_replay(wal, check_record, &last_seq, &recovery, NULL);
        must(status == OTO_OK || status == OTO_UNSUPPORTED);
        must(status != OTO_OK || recovery.last_seq == last_seq);
        oto_wal_close(wal, NULL);
    }
}

static void read_raw(struct oto_bytes bytes)
{
    while (bytes.size > 0) {
        struct oto_wal_record record;
        uint64_t salt;
        size_t size = 1;
        enum oto_status status = oto_wal_record_decode(bytes, 0, &record, &salt, &size);
        must(status == OTO_OK || status == OTO_AGAIN || status == OTO_CORRUPT);
        must(status != OTO_OK || size <= bytes.size);
        must(status != OTO_AGAIN || size > bytes.size);
        size = status == OTO_OK ? size : 1;
        bytes = oto_bytes(bytes.data + size, bytes.size - size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t segments[2][SEGMENT_BYTES];
    if (size < 1)
        return 0;
    read_raw(oto_bytes(data, size));
    unsigned first = data[0] % (RECORDS_MAX + 1), second = data[0] / 16 % (RECORDS_MAX + 1);
    make_segment(segments[0], 1, 1, first);
    make_segment(segments[1], 2, first + 1, second);
    for (size_t i = 1; i + 3 <= size; i += 3) {
        unsigned at = oto_load16(data + i) % (2 * 2048);
        // Damage in the empty part of a header would change nothing: offsets past 128 are in the
        // records.
        unsigned within = at % 2048;
        unsigned offset =
            within < 128 ? within : OTO_WAL_SEGMENT_HEADER_BYTES + (within - 128) % 1024;
        segments[at / 2048][offset] = data[i + 2];
    }
    write_segment(1, segments[0]);
    write_segment(2, segments[1]);
    replay_all();
    return 0;
}
