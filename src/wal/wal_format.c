#include "wal/wal_format.h"

#include "codec/crc.h"

#define SEGMENT_MAGIC "OTOWAL\r\n"
#define CHECKPOINT_MAGIC "OTOCKP\r\n"
#define RECORD_MAGIC 0x524c544fu // "OTLR"

// Segment header: magic 8, version 4, first record's offset 4, salt 8, first seq 8, ordinal 8,
// created 8, zero 12, CRC-32C 4.
#define SEGMENT_HEADER_USED 64

void oto_wal_segment_header_encode(const struct oto_wal_segment_header *header, uint8_t *output)
{
    memset(output, 0, OTO_WAL_SEGMENT_HEADER_BYTES);
    memcpy(output, SEGMENT_MAGIC, 8);
    oto_store32(output + 8, OTO_WAL_VERSION);
    oto_store32(output + 12, OTO_WAL_SEGMENT_HEADER_BYTES);
    oto_store64(output + 16, header->salt);
    oto_store64(output + 24, header->first_seq);
    oto_store64(output + 32, header->ordinal);
    oto_store64(output + 40, header->created_ns);
    oto_store32(output + 60, oto_crc32c(0, output, 60));
}

// Shared by segments and checkpoints: magic, checksum over all but the last four bytes, version.
static enum oto_status check_head(struct oto_bytes bytes, size_t size, const char *magic,
                                  const char *what, struct oto_error *err)
{
    if (bytes.size < size || memcmp(bytes.data, magic, 8) != 0)
        return oto_error_set(err, OTO_CORRUPT, "not a %s", what);
    if (oto_load32(bytes.data + size - 4) != oto_crc32c(0, bytes.data, size - 4))
        return oto_error_set(err, OTO_CORRUPT, "the %s fails its checksum", what);
    uint32_t version = oto_load32(bytes.data + 8);
    if (version != OTO_WAL_VERSION)
        return oto_error_set(err, OTO_UNSUPPORTED,
                             "the %s has format version %u; this program knows version %u", what,
                             version, (unsigned)OTO_WAL_VERSION);
    return OTO_OK;
}

enum oto_status oto_wal_segment_header_decode(struct oto_bytes bytes,
                                              struct oto_wal_segment_header *ret_header,
                                              struct oto_error *err)
{
    OTO_TRY(check_head(bytes, SEGMENT_HEADER_USED, SEGMENT_MAGIC, "log segment", err));
    *ret_header = (struct oto_wal_segment_header){
        .salt = oto_load64(bytes.data + 16),
        .first_seq = oto_load64(bytes.data + 24),
        .ordinal = oto_load64(bytes.data + 32),
        .created_ns = oto_load64(bytes.data + 40),
    };
    return OTO_OK;
}

// Record header: magic 4, kind 1, flags 1, zero 2, payload size 4, CRC-32C 4, seq 8, received 8,
// salt 8. The checksum covers the first 12 bytes and everything after itself, the length included.
static uint32_t record_crc(const uint8_t *record, size_t payload_size)
{
    uint32_t crc = oto_crc32c(0, record, 12);
    return oto_crc32c(crc, record + 16, OTO_WAL_RECORD_HEADER_BYTES - 16 + payload_size);
}

// A payload's bytes are summed and copied piece by piece: what a piece brings into the first cache
// is used twice.
#define PIECE_BYTES 12288u

static uint32_t copy_summed(uint32_t crc, uint8_t *output, struct oto_bytes payload)
{
    for (size_t at = 0, size; at < payload.size; at += size) {
        size = payload.size - at < PIECE_BYTES ? payload.size - at : PIECE_BYTES;
        crc = oto_crc32c(crc, payload.data + at, size);
        memcpy(output + at, payload.data + at, size);
    }
    return crc;
}

void oto_wal_record_encode(const struct oto_wal_record *record, uint64_t salt, uint8_t *output)
{
    size_t size = record->payload.size;
    oto_store32(output, RECORD_MAGIC);
    output[4] = record->kind;
    output[5] = record->flags;
    oto_store16(output + 6, 0);
    oto_store32(output + 8, (uint32_t)size);
    oto_store64(output + 16, record->seq);
    oto_store64(output + 24, record->received_ns);
    oto_store64(output + 32, salt);
    uint8_t *payload = output + OTO_WAL_RECORD_HEADER_BYTES;
    oto_store32(output + 12, copy_summed(record_crc(output, 0), payload, record->payload));
    memset(payload + size, 0, oto_wal_record_size(size) - OTO_WAL_RECORD_HEADER_BYTES - size);
}

size_t oto_wal_record_seal(uint8_t *encoded, uint64_t salt)
{
    size_t payload_size = oto_load32(encoded + 8);
    oto_store64(encoded + 32, salt);
    oto_store32(encoded + 12, record_crc(encoded, payload_size));
    return (size_t)oto_wal_record_size(payload_size);
}

enum oto_status oto_wal_record_decode(struct oto_bytes bytes, uint64_t salt,
                                      struct oto_wal_record *ret_record, uint64_t *ret_salt,
                                      size_t *ret_size)
{
    const uint8_t *in = bytes.data;
    if (bytes.size < OTO_WAL_RECORD_HEADER_BYTES) {
        *ret_size = OTO_WAL_RECORD_HEADER_BYTES;
        return OTO_AGAIN;
    }
    uint64_t found_salt = oto_load64(in + 32);
    size_t payload_size = oto_load32(in + 8);
    if (oto_load32(in) != RECORD_MAGIC || payload_size > OTO_WAL_PAYLOAD_MAX ||
        (salt != 0 && found_salt != salt))
        return OTO_CORRUPT;
    size_t size = (size_t)oto_wal_record_size(payload_size);
    if (bytes.size < size) {
        *ret_size = size;
        return OTO_AGAIN;
    }
    if (oto_load32(in + 12) != record_crc(in, payload_size))
        return OTO_CORRUPT;
    *ret_record = (struct oto_wal_record){
        .seq = oto_load64(in + 16),
        .received_ns = oto_load64(in + 24),
        .kind = in[4],
        .flags = in[5],
        .payload = oto_bytes(in + OTO_WAL_RECORD_HEADER_BYTES, payload_size),
    };
    *ret_salt = found_salt;
    *ret_size = size;
    return OTO_OK;
}

// Checkpoint: magic 8, version 4, zero 4, flushed seq 8, cut seq 8, zero 4, CRC-32C 4.
void oto_wal_checkpoint_encode(const struct oto_wal_marks *marks, uint8_t *output)
{
    memset(output, 0, OTO_WAL_CHECKPOINT_BYTES);
    memcpy(output, CHECKPOINT_MAGIC, 8);
    oto_store32(output + 8, OTO_WAL_VERSION);
    oto_store64(output + 16, marks->flushed_seq);
    oto_store64(output + 24, marks->cut_seq);
    oto_store32(output + 36, oto_crc32c(0, output, 36));
}

enum oto_status oto_wal_checkpoint_decode(struct oto_bytes bytes, struct oto_wal_marks *ret_marks,
                                          struct oto_error *err)
{
    OTO_TRY(check_head(bytes, OTO_WAL_CHECKPOINT_BYTES, CHECKPOINT_MAGIC, "log checkpoint", err));
    struct oto_wal_marks marks = {.flushed_seq = oto_load64(bytes.data + 16),
                                  .cut_seq = oto_load64(bytes.data + 24)};
    if (marks.cut_seq < marks.flushed_seq)
        return oto_error_set(err, OTO_CORRUPT, "the log checkpoint's marks are out of order");
    *ret_marks = marks;
    return OTO_OK;
}
