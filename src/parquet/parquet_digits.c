// The texts of a large dictionary, gone through once: they lie anywhere in memory, so each is
// looked at while it is at hand. Most are copied to the dictionary page. Request and session ids,
// unique, of lower-case hex digits, are put last, and kept as bytes, of which codec/hex_frame.h
// makes compressed digits.
#include "base/hash.h"
#include "base/text.h"
#include "base/xxh64.h"
#include "codec/hex_frame.h"
#include "parquet/parquet_internal.h"

#define COUNT_MIN 256
#define SAMPLE 1024

typedef uint8_t lanes __attribute__((vector_size(16)));
typedef int8_t signed_lanes __attribute__((vector_size(16)));
typedef uint64_t lane_pair __attribute__((vector_size(16)));

static inline lanes lanes_load(const uint8_t *at)
{
    lanes v;
    memcpy(&v, at, sizeof v);
    return v;
}

// The values of sixteen digits. *differ: not 0 where one is no digit, which is told by what their
// values read as.
static inline lanes values_of_digits(lanes digits, lanes *differ)
{
    lanes values = (digits & 0x0F) + ((lanes)((signed_lanes)digits > '9') & 9);
    lanes again = values + '0' + ((lanes)((signed_lanes)values > 9) & ('a' - '0' - 10));
    *differ |= (again ^ digits) | (values & 0xF0);
    return values;
}

// Writes the bytes of a text of 16 or 32 digits, always 16 of them; 0 when it is none.
static inline int take_digits(struct oto_bytes text, uint8_t *raw)
{
    lanes differ = {0};
    lanes a = values_of_digits(lanes_load(text.data), &differ);
    lanes b = values_of_digits(lanes_load(text.data + text.size - 16), &differ);
    lanes high =
        __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    lanes low =
        __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    lanes bytes = high << 4 | low;
    memcpy(raw, &bytes, sizeof bytes);
    return !(((lane_pair)differ)[0] | ((lane_pair)differ)[1]);
}

// Digits of the more frequent length, of those that may be ids by their size, by a look at some; 0:
// none. *ret_count: about how many.
static unsigned common_size(const struct oto_bytes *entries,
                            const struct oto_parquet_distinct *distinct, uint32_t count,
                            uint32_t *ret_count)
{
    uint32_t shorter = 0, longer = 0, step = count / SAMPLE + 1;
    for (uint32_t i = 0; i < count; i += step) {
        shorter += entries[distinct[i].position].size == 16;
        longer += entries[distinct[i].position].size == 32;
    }
    *ret_count = (shorter > longer ? shorter : longer) * step;
    if (!shorter && !longer)
        return 0;
    return shorter > longer ? 16 : 32;
}

static enum oto_status append_text(struct oto_bytes text, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_reserve(output, 4 + text.size));
    uint8_t *at = output->data + output->size;
    oto_store32(at, (uint32_t)text.size);
    if (text.size)
        memcpy(at + 4, text.data, text.size);
    output->size += 4 + text.size;
    return OTO_OK;
}

enum oto_status oto_parquet_texts_write(const struct oto_parquet_plan *plan, uint32_t first,
                                        uint32_t end, const struct oto_parquet_distinct *distinct,
                                        struct oto_buffer *output, uint64_t *hashes)
{
    const struct oto_bytes *entries = plan->leaf->column->dictionary->entries;
    for (uint32_t i = first; i < end; i++) {
        struct oto_bytes text = entries[distinct[i].position];
        oto_parquet_prefetch_text(entries, distinct, i, end);
        OTO_TRY(append_text(text, output));
        if (hashes)
            hashes[i] = oto_xxh64(text.data, text.size, 0);
    }
    return OTO_OK;
}

struct taking {
    const struct oto_bytes *entries;
    struct oto_parquet_distinct *distinct; // those kept move to the front
    uint32_t count;
    uint32_t kept;
    uint32_t *ids; // positions of those that are not
    uint32_t id_count;
    uint32_t id_size; // digits; 0: none
    uint8_t *raw;
    uint64_t *hashes; // NULL: not wanted
    struct oto_buffer *output;
};

static enum oto_status take_texts(struct taking *t)
{
    uint64_t *hashes = t->hashes;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t position = t->distinct[i].position;
        struct oto_bytes text = t->entries[position];
        oto_parquet_prefetch_text(t->entries, t->distinct, i, t->count);
        if (text.size == t->id_size && text.size &&
            take_digits(text, t->raw + (size_t)t->id_count * (t->id_size / 2))) {
            t->ids[t->id_count++] = position;
        } else {
            t->distinct[t->kept].key = oto_parquet_key_of_bytes(text);
            t->distinct[t->kept++].position = position;
            OTO_TRY(append_text(text, t->output));
        }
        if (hashes)
            *hashes++ = oto_xxh64(text.data, text.size, 0);
    }
    return OTO_OK;
}

// The ids follow what was kept.
static void append_ids(struct taking *t)
{
    struct oto_parquet_distinct *to = t->distinct + t->kept;
    const uint8_t *raw = t->raw;
    for (uint32_t i = 0; i < t->id_count; i++, raw += t->id_size / 2)
        to[i] = (struct oto_parquet_distinct){__builtin_bswap64(oto_hex_word(raw)), t->ids[i], 0};
}

// Room for what is expected, so that the page is not moved as it grows.
static enum oto_status taking_begin(struct oto_parquet_file *file,
                                    const struct oto_parquet_plan *plan, struct taking *t)
{
    struct oto_parquet_scratch *scratch = &file->scratch;
    uint32_t id_count = 0;
    if (file->options->compression == OTO_COMPRESSION_ZSTD)
        t->id_size = common_size(t->entries, t->distinct, t->count, &id_count);
    uint64_t ids_size = (uint64_t)id_count * (4 + t->id_size), all = plan->dictionary_bytes;
    OTO_TRY(oto_buffer_reserve(t->output,
                               (size_t)(all > ids_size ? all - ids_size : 0) + sizeof t->id_size));
    size_t room = t->id_size ? t->count : 0;
    t->ids = oto_parquet_scratch_take(&scratch->sorting, room, sizeof *t->ids);
    t->raw = oto_parquet_scratch_take(&scratch->digits, room + 1, t->id_size / 2 + 1);
    if (!t->ids || !t->raw)
        return OTO_NO_MEMORY;
    return oto_parquet_hashes_reserve(file, plan->leaf, t->count, &t->hashes);
}

enum oto_status oto_parquet_texts_take(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    struct oto_parquet_scratch *scratch = &file->scratch;
    struct taking t = {.entries = plan->leaf->column->dictionary->entries,
                       .distinct = (void *)scratch->distinct.data,
                       .count = plan->distinct_count,
                       .output = &scratch->dictionary};
    OTO_TRY(taking_begin(file, plan, &t));
    OTO_TRY(take_texts(&t));
    append_ids(&t);
    plan->digits_first = t.kept;
    if (t.id_count < COUNT_MIN)
        return oto_parquet_texts_write(plan, t.kept, t.count, t.distinct, t.output, NULL);
    scratch->digits.size = (size_t)t.id_count * (t.id_size / 2);
    plan->digits_size = (uint8_t)t.id_size;
    return oto_buffer_append(t.output, &t.id_size, sizeof t.id_size); // the first id's length
}
