// folders: wire
// Any bytes as a Thrift compact message: walked field by field, and skipped whole. Both must agree.
#include "wire/thrift.h"
#include <stdlib.h>

static enum oto_status walk_list(struct oto_thrift_reader *r)
{
    enum oto_thrift_type element;
    uint32_t count;
    OTO_TRY(oto_thrift_read_list(r, &element, &count));
    for (; count; count--) {
        int64_t value;
        if (element == OTO_THRIFT_I32 || element == OTO_THRIFT_I64)
            OTO_TRY(oto_thrift_read_int(r, OTO_THRIFT_I64, &value));
        else if (element == OTO_THRIFT_TRUE || element == OTO_THRIFT_FALSE)
            OTO_TRY(oto_thrift_skip(r, OTO_THRIFT_I8)); // one byte each inside a list
        else
            OTO_TRY(oto_thrift_skip(r, element));
    }
    return OTO_OK;
}

static enum oto_status walk_struct(struct oto_thrift_reader *r)
{
    OTO_TRY(oto_thrift_enter_struct(r));
    for (;;) {
        int16_t id;
        enum oto_thrift_type type;
        struct oto_bytes view;
        double number;
        enum oto_status status = oto_thrift_next_field(r, &id, &type);
        if (status != OTO_OK)
            return status == OTO_END ? OTO_OK : status;
        if (type == OTO_THRIFT_STRUCT)
            OTO_TRY(walk_struct(r)); // the reader bounds the depth
        else if (type == OTO_THRIFT_BINARY)
            OTO_TRY(oto_thrift_read_binary(r, &view));
        else if (type == OTO_THRIFT_DOUBLE)
            OTO_TRY(oto_thrift_read_double(r, &number));
        else if (type == OTO_THRIFT_LIST)
            OTO_TRY(walk_list(r));
        else
            OTO_TRY(oto_thrift_skip(r, type));
        if (r->cursor > r->end)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oto_thrift_reader walked, skipped;
    oto_thrift_reader_init(&walked, oto_bytes(data, size));
    oto_thrift_reader_init(&skipped, oto_bytes(data, size));
    enum oto_status walk = walk_struct(&walked);
    enum oto_status skip = oto_thrift_skip(&skipped, OTO_THRIFT_STRUCT);
    // Walking counts depth by structs alone, skipping by lists and maps too, so only skip may be
    // stricter.
    if (walk != OTO_OK && skip == OTO_OK)
        abort();
    if (skip == OTO_OK && walked.cursor != skipped.cursor)
        abort();
    return 0;
}
