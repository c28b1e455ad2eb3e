// Values of a page, a window at a time, in the encoding that it says.
#include "parquet/parquet_read_internal.h"

#define JULIAN_DAY_OF_1970 2440588
#define NS_PER_DAY 86400000000000
#define DAYS_MAX 106751 // that nanoseconds in 64 bits hold

const char *oto_parquet_encoding_name(int encoding)
{
    static const char *const names[] = {"PLAIN",
                                        NULL,
                                        "PLAIN_DICTIONARY",
                                        "RLE",
                                        "BIT_PACKED",
                                        "DELTA_BINARY_PACKED",
                                        "DELTA_LENGTH_BYTE_ARRAY",
                                        "DELTA_BYTE_ARRAY",
                                        "RLE_DICTIONARY",
                                        "BYTE_STREAM_SPLIT"};
    int is_known = encoding >= 0 && (size_t)encoding < sizeof names / sizeof *names;
    return is_known && names[encoding] ? names[encoding] : "UNKNOWN";
}

// Bytes of a value in PLAIN; 0: BYTE_ARRAY and BOOLEAN.
static size_t plain_width(const struct oto_parquet_node *node)
{
    switch (node->physical) {
    case OTO_PARQUET_INT32:
    case OTO_PARQUET_FLOAT:
        return 4;
    case OTO_PARQUET_INT64:
    case OTO_PARQUET_DOUBLE:
        return 8;
    case OTO_PARQUET_INT96:
        return 12;
    case OTO_PARQUET_FIXED_LEN_BYTE_ARRAY:
        return (size_t)node->type_length;
    default:
        return 0;
    }
}

// --- where the values of a page begin ---

static enum oto_status begin_booleans(struct oto_parquet_values *v)
{
    if (v->end - v->at < 4 || oto_load32(v->at) > (size_t)(v->end - v->at) - 4)
        return OTO_CORRUPT;
    oto_rle_reader_init(&v->rle, oto_bytes(v->at + 4, oto_load32(v->at)), 1);
    return OTO_OK;
}

static enum oto_status begin_codes(struct oto_parquet_values *v)
{
    if (v->at == v->end || *v->at > 32)
        return OTO_CORRUPT;
    oto_rle_reader_init(&v->rle, oto_bytes(v->at + 1, (size_t)(v->end - v->at) - 1), *v->at);
    return OTO_OK;
}

// A stream of numbers with other bytes behind it.
static enum oto_status begin_numbers(struct oto_parquet_values *v, struct oto_delta_reader *numbers,
                                     unsigned bits)
{
    OTO_TRY(oto_delta_reader_init(numbers, oto_bytes(v->at, (size_t)(v->end - v->at)), bits));
    return oto_delta_end(numbers, &v->at);
}

static enum oto_status begin_lengths(struct oto_parquet_values *v)
{
    OTO_TRY(begin_numbers(v, &v->delta, 32));
    int is_same = v->delta.value <= INT32_MAX && oto_delta_is_same(&v->delta, v->at);
    v->length = is_same ? (int32_t)v->delta.value : -1;
    return OTO_OK;
}

static enum oto_status begin_values(struct oto_parquet_stream *stream)
{
    struct oto_parquet_values *v = &stream->values;
    unsigned physical = (unsigned)stream->node->physical;
    size_t width = plain_width(stream->node);
    int is_bytes = physical == OTO_PARQUET_BYTE_ARRAY, is_fixed = physical > OTO_PARQUET_BYTE_ARRAY;
    int is_integer = physical == OTO_PARQUET_INT32 || physical == OTO_PARQUET_INT64;
    v->at = stream->value_bytes.data;
    v->end = v->at + stream->value_bytes.size;
    v->index = 0;
    v->last_size = v->joined.size = 0;
    v->joined_bytes = 0;
    stream->is_begun = 1;
    switch (v->encoding) {
    case OTO_PARQUET_PLAIN:
        return OTO_OK;
    case OTO_PARQUET_PLAIN_DICTIONARY:
    case OTO_PARQUET_RLE_DICTIONARY:
        return begin_codes(v);
    case OTO_PARQUET_RLE:
        return physical == OTO_PARQUET_BOOLEAN ? begin_booleans(v) : OTO_UNSUPPORTED;
    case OTO_PARQUET_DELTA_BINARY_PACKED:
        if (!is_integer)
            return OTO_UNSUPPORTED;
        return begin_numbers(v, &v->delta, physical == OTO_PARQUET_INT32 ? 32 : 64);
    case OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        return is_bytes ? begin_lengths(v) : OTO_UNSUPPORTED;
    case OTO_PARQUET_DELTA_BYTE_ARRAY:
        if (!is_bytes && !is_fixed)
            return OTO_UNSUPPORTED;
        OTO_TRY(begin_numbers(v, &v->prefixes, 32));
        return begin_numbers(v, &v->delta, 32);
    case OTO_PARQUET_BYTE_STREAM_SPLIT:
        if (!width || physical == OTO_PARQUET_INT96)
            return OTO_UNSUPPORTED;
        return stream->value_bytes.size % width == 0 ? OTO_OK : OTO_CORRUPT;
    default:
        return OTO_UNSUPPORTED;
    }
}

// --- values of one width ---

// count values as PLAIN has them: in the page, or joined in `joined`.
static enum oto_status take_plain(struct oto_parquet_stream *stream, size_t width, uint32_t count,
                                  uint8_t *joined, const uint8_t **ret)
{
    struct oto_parquet_values *v = &stream->values;
    if (v->encoding == OTO_PARQUET_BYTE_STREAM_SPLIT) {
        size_t stride = stream->value_bytes.size / width;
        if (count > stride - v->index)
            return OTO_CORRUPT;
        oto_byte_stream_join(v->at, stride, (unsigned)width, v->index, count, joined);
        v->index += count;
        *ret = joined;
        return OTO_OK;
    }
    if (count > (size_t)(v->end - v->at) / width)
        return OTO_CORRUPT;
    *ret = v->at;
    v->at += count * width;
    return OTO_OK;
}

static enum oto_status int96_to_ns(const uint8_t *p, int64_t *ret)
{
    int64_t day = (int64_t)oto_load32(p + 8) - JULIAN_DAY_OF_1970;
    uint64_t ns = oto_load64(p);
    if (ns >= NS_PER_DAY)
        return OTO_CORRUPT;
    if (day > DAYS_MAX - 1 || day < -DAYS_MAX)
        return OTO_UNSUPPORTED;
    *ret = day * NS_PER_DAY + (int64_t)ns;
    return OTO_OK;
}

static enum oto_status plain_to_integers(const uint8_t *p, unsigned physical, uint32_t count,
                                         int64_t *integers)
{
    switch (physical) {
    case OTO_PARQUET_INT32:
        for (uint32_t i = 0; i < count; i++)
            integers[i] = (int32_t)oto_load32(p + (size_t)i * 4);
        return OTO_OK;
    case OTO_PARQUET_INT64:
        memcpy(integers, p, count * sizeof *integers);
        return OTO_OK;
    default:
        for (uint32_t i = 0; i < count; i++)
            OTO_TRY(int96_to_ns(p + (size_t)i * 12, &integers[i]));
        return OTO_OK;
    }
}

static void plain_to_reals(const uint8_t *p, unsigned physical, uint32_t count, double *reals)
{
    if (physical == OTO_PARQUET_DOUBLE) {
        memcpy(reals, p, count * sizeof *reals);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        float real;
        memcpy(&real, p + (size_t)i * 4, sizeof real);
        reals[i] = (double)real;
    }
}

static enum oto_status read_booleans(struct oto_parquet_values *v, uint32_t count,
                                     uint32_t *scratch, int64_t *integers)
{
    if (v->encoding == OTO_PARQUET_RLE) {
        OTO_TRY(oto_rle_read(&v->rle, scratch, count));
        for (uint32_t i = 0; i < count; i++)
            integers[i] = scratch[i];
        return OTO_OK;
    }
    if (((uint64_t)v->index + count + 7) / 8 > (uint64_t)(v->end - v->at))
        return OTO_CORRUPT;
    for (uint32_t i = 0; i < count; i++, v->index++)
        integers[i] = v->at[v->index >> 3] >> (v->index & 7) & 1;
    return OTO_OK;
}

static enum oto_status read_codes(struct oto_parquet_stream *stream, uint32_t count,
                                  uint32_t *codes)
{
    OTO_TRY(oto_rle_read(&stream->values.rle, codes, count));
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = codes[i] > most ? codes[i] : most;
    return !count || most < stream->dictionary_count ? OTO_OK : OTO_CORRUPT;
}

static enum oto_status read_integers(struct oto_parquet_window *window,
                                     struct oto_parquet_stream *stream, uint32_t count)
{
    struct oto_parquet_values *v = &stream->values;
    unsigned physical = (unsigned)stream->node->physical;
    const uint8_t *plain;
    if (oto_parquet_is_dictionary(v->encoding)) {
        const int64_t *dictionary = (const void *)stream->dictionary.data;
        OTO_TRY(read_codes(stream, count, window->codes));
        for (uint32_t i = 0; i < count; i++)
            window->integers[i] = dictionary[window->codes[i]];
        return OTO_OK;
    }
    if (physical == OTO_PARQUET_BOOLEAN)
        return read_booleans(v, count, window->codes, window->integers);
    if (v->encoding != OTO_PARQUET_DELTA_BINARY_PACKED) {
        OTO_TRY(take_plain(stream, plain_width(stream->node), count, window->raw, &plain));
        return plain_to_integers(plain, physical, count, window->integers);
    }
    if (physical == OTO_PARQUET_INT64)
        return oto_delta_read64(&v->delta, window->integers, count);
    OTO_TRY(oto_delta_read32(&v->delta, window->narrow, count));
    for (uint32_t i = 0; i < count; i++)
        window->integers[i] = window->narrow[i];
    return OTO_OK;
}

static enum oto_status read_reals(struct oto_parquet_window *window,
                                  struct oto_parquet_stream *stream, uint32_t count)
{
    const uint8_t *plain;
    if (oto_parquet_is_dictionary(stream->values.encoding)) {
        const double *dictionary = (const void *)stream->dictionary.data;
        OTO_TRY(read_codes(stream, count, window->codes));
        for (uint32_t i = 0; i < count; i++)
            window->reals[i] = dictionary[window->codes[i]];
        return OTO_OK;
    }
    OTO_TRY(take_plain(stream, plain_width(stream->node), count, window->raw, &plain));
    plain_to_reals(plain, (unsigned)stream->node->physical, count, window->reals);
    return OTO_OK;
}

// --- bytes ---

static enum oto_status take_lengths(struct oto_parquet_values *v, uint32_t count,
                                    const int32_t *lengths, struct oto_bytes *bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        if (lengths[i] < 0 || lengths[i] > v->end - v->at)
            return OTO_CORRUPT;
        bytes[i] = oto_bytes(v->at, (size_t)lengths[i]);
        v->at += lengths[i];
    }
    return OTO_OK;
}

// Values of one length; bytes NULL: they are passed over.
static enum oto_status take_same_length(struct oto_parquet_values *v, uint32_t count,
                                        struct oto_bytes *bytes)
{
    size_t length = (size_t)v->length, size = count * length;
    if (count > v->delta.left || size > (size_t)(v->end - v->at))
        return OTO_CORRUPT;
    for (uint32_t i = 0; bytes && i < count; i++)
        bytes[i] = oto_bytes(v->at + i * length, length);
    v->delta.left -= count;
    v->at += size;
    return OTO_OK;
}

static enum oto_status plain_bytes(const uint8_t **at, const uint8_t *end, uint32_t count,
                                   struct oto_bytes *bytes)
{
    const uint8_t *p = *at;
    for (uint32_t i = 0; i < count; i++) {
        if (end - p < 4 || oto_load32(p) > (size_t)(end - p) - 4)
            return OTO_CORRUPT;
        bytes[i] = oto_bytes(p + 4, oto_load32(p));
        p += 4 + bytes[i].size;
    }
    *at = p;
    return OTO_OK;
}

static enum oto_status read_fixed(struct oto_parquet_stream *stream, uint32_t count,
                                  struct oto_bytes *bytes)
{
    struct oto_parquet_values *v = &stream->values;
    size_t width = plain_width(stream->node);
    const uint8_t *plain;
    if (v->encoding == OTO_PARQUET_BYTE_STREAM_SPLIT) {
        if (count > stream->value_bytes.size / width - v->index)
            return OTO_CORRUPT;
        v->joined.size = 0;
        OTO_TRY(oto_buffer_reserve(&v->joined, count * width));
    }
    OTO_TRY(take_plain(stream, width, count, v->joined.data, &plain));
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = oto_bytes(plain + i * width, width);
    return OTO_OK;
}

// A prefix of the value before, and a suffix.
static enum oto_status join_one(struct oto_parquet_values *v, int32_t prefix,
                                struct oto_bytes suffix, uint64_t bytes_max)
{
    if (prefix < 0 || (size_t)prefix > v->last_size)
        return OTO_CORRUPT;
    size_t size = (size_t)prefix + suffix.size, last = v->last_at;
    v->joined_bytes += size;
    if (v->joined_bytes > bytes_max)
        return OTO_TOO_LARGE;
    OTO_TRY(oto_buffer_reserve(&v->joined, size));
    v->last_at = v->joined.size;
    v->last_size = size;
    if (prefix)
        memcpy(v->joined.data + v->joined.size, v->joined.data + last, (size_t)prefix);
    if (suffix.size)
        memcpy(v->joined.data + v->joined.size + prefix, suffix.data, suffix.size);
    v->joined.size += size;
    return OTO_OK;
}

static enum oto_status read_joined(struct oto_parquet_reader *reader,
                                   struct oto_parquet_stream *stream, uint32_t count)
{
    struct oto_parquet_values *v = &stream->values;
    struct oto_parquet_window *w = reader->window;
    if (v->last_size)
        memmove(v->joined.data, v->joined.data + v->last_at, v->last_size);
    size_t at = v->joined.size = v->last_size;
    v->last_at = 0;
    OTO_TRY(oto_delta_read32(&v->prefixes, w->narrow, count));
    OTO_TRY(oto_delta_read32(&v->delta, w->lengths, count));
    OTO_TRY(take_lengths(v, count, w->lengths, w->bytes));
    for (uint32_t i = 0; i < count; i++) {
        OTO_TRY(join_one(v, w->narrow[i], w->bytes[i], reader->options.page_bytes_max));
        w->bytes[i].size = v->last_size;
    }
    for (uint32_t i = 0; i < count; at += w->bytes[i++].size)
        w->bytes[i].data = v->joined.data ? v->joined.data + at : NULL;
    return OTO_OK;
}

static enum oto_status read_bytes(struct oto_parquet_reader *reader,
                                  struct oto_parquet_stream *stream, uint32_t count)
{
    struct oto_parquet_values *v = &stream->values;
    struct oto_parquet_window *w = reader->window;
    if (oto_parquet_is_dictionary(v->encoding)) {
        const struct oto_bytes *dictionary = (const void *)stream->dictionary.data;
        OTO_TRY(read_codes(stream, count, w->codes));
        for (uint32_t i = 0; i < count; i++)
            w->bytes[i] = dictionary[w->codes[i]];
        return OTO_OK;
    }
    if (v->encoding == OTO_PARQUET_DELTA_BYTE_ARRAY)
        return read_joined(reader, stream, count);
    if (v->encoding == OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY && v->length >= 0)
        return take_same_length(v, count, w->bytes);
    if (v->encoding == OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY) {
        OTO_TRY(oto_delta_read32(&v->delta, w->lengths, count));
        return take_lengths(v, count, w->lengths, w->bytes);
    }
    if (stream->node->physical == OTO_PARQUET_FIXED_LEN_BYTE_ARRAY)
        return read_fixed(stream, count, w->bytes);
    return plain_bytes(&v->at, v->end, count, w->bytes);
}

// --- what others call ---

static enum oto_status values_failed(const struct oto_parquet_reader *reader,
                                     const struct oto_parquet_stream *stream,
                                     enum oto_status status, struct oto_error *err)
{
    const char *name = oto_parquet_encoding_name((int)stream->values.encoding);
    switch (status) {
    case OTO_OK:
        return OTO_OK;
    case OTO_NO_MEMORY:
        return oto_parquet_stream_failed(reader, stream, status, err, "no memory for values");
    case OTO_TOO_LARGE:
        return oto_parquet_stream_failed(reader, stream, status, err,
                                         "the values of a page are over %llu bytes",
                                         (unsigned long long)reader->options.page_bytes_max);
    case OTO_UNSUPPORTED:
        return oto_parquet_stream_failed(reader, stream, status, err,
                                         "the encoding %s is not supported for this type", name);
    default:
        return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                         "the values are not what %s allows", name);
    }
}

enum oto_status oto_parquet_values_read(struct oto_parquet_reader *reader,
                                        struct oto_parquet_stream *stream, uint32_t count,
                                        struct oto_error *err)
{
    enum oto_status status = stream->is_begun ? OTO_OK : begin_values(stream);
    if (status == OTO_OK && stream->kind == OTO_PARQUET_KIND_INTEGER)
        status = read_integers(reader->window, stream, count);
    else if (status == OTO_OK && stream->kind == OTO_PARQUET_KIND_REAL)
        status = read_reals(reader->window, stream, count);
    else if (status == OTO_OK)
        status = read_bytes(reader, stream, count);
    return values_failed(reader, stream, status, err);
}

enum oto_status oto_parquet_codes_read(struct oto_parquet_reader *reader,
                                       struct oto_parquet_stream *stream, uint32_t count,
                                       struct oto_error *err)
{
    if (!oto_parquet_is_dictionary(stream->values.encoding))
        return OTO_END;
    enum oto_status status = stream->is_begun ? OTO_OK : begin_values(stream);
    if (status == OTO_OK)
        status = read_codes(stream, count, reader->window->codes);
    return values_failed(reader, stream, status, err);
}

// OTO_END: they have to be read.
static enum oto_status skip_values(struct oto_parquet_stream *stream, uint32_t count)
{
    struct oto_parquet_values *v = &stream->values;
    if (oto_parquet_is_dictionary(v->encoding))
        return oto_parquet_codes_skip(&v->rle, count);
    if (v->encoding == OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY && v->length >= 0)
        return take_same_length(v, count, NULL);
    return OTO_END;
}

enum oto_status oto_parquet_values_skip(struct oto_parquet_reader *reader,
                                        struct oto_parquet_stream *stream, uint32_t count,
                                        struct oto_error *err)
{
    enum oto_status status = stream->is_begun ? OTO_OK : begin_values(stream);
    if (status == OTO_OK)
        status = skip_values(stream, count);
    while (status == OTO_END && count) {
        uint32_t some = count < OTO_PARQUET_WINDOW ? count : OTO_PARQUET_WINDOW;
        OTO_TRY(oto_parquet_values_read(reader, stream, some, err));
        count -= some;
    }
    return status == OTO_END ? OTO_OK : values_failed(reader, stream, status, err);
}

static enum oto_status decode_dictionary(struct oto_parquet_stream *stream, uint32_t count)
{
    struct oto_bytes page = oto_buffer_view(&stream->dictionary_page);
    const struct oto_parquet_node *node = stream->node;
    size_t width = plain_width(node);
    const uint8_t *at = page.data;
    if (node->physical == OTO_PARQUET_BOOLEAN || count > page.size / (width ? width : 4))
        return OTO_CORRUPT;
    int is_bytes = stream->kind == OTO_PARQUET_KIND_BYTES;
    stream->dictionary.size = stream->codes.size = 0;
    if (!count || stream->keeps_page)
        return OTO_OK;
    OTO_TRY(oto_buffer_reserve(&stream->dictionary,
                               count * (is_bytes ? sizeof(struct oto_bytes) : sizeof(int64_t))));
    void *values = stream->dictionary.data;
    if (stream->kind == OTO_PARQUET_KIND_INTEGER)
        return plain_to_integers(at, (unsigned)node->physical, count, values);
    if (stream->kind == OTO_PARQUET_KIND_REAL) {
        plain_to_reals(at, (unsigned)node->physical, count, values);
        return OTO_OK;
    }
    OTO_TRY(oto_buffer_reserve(&stream->codes, count * sizeof(struct oto_parquet_code)));
    memset(stream->codes.data, 0, count * sizeof(struct oto_parquet_code));
    if (!width)
        return plain_bytes(&at, at + page.size, count, values);
    for (uint32_t i = 0; i < count; i++)
        ((struct oto_bytes *)values)[i] = oto_bytes(at + i * width, width);
    return OTO_OK;
}

enum oto_status oto_parquet_dictionary_decode(const struct oto_parquet_reader *reader,
                                              struct oto_parquet_stream *stream, uint32_t count,
                                              struct oto_error *err)
{
    enum oto_status status = decode_dictionary(stream, count);
    if (status == OTO_NO_MEMORY)
        return oto_parquet_stream_failed(reader, stream, status, err, "no memory for a dictionary");
    if (status < 0)
        return oto_parquet_stream_failed(reader, stream, status, err,
                                         "the dictionary does not hold %u values", count);
    stream->dictionary_count = count;
    return OTO_OK;
}
