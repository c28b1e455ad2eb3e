// folders: wire
// Any bytes as a protobuf message whose fields are all unknown.
#include "wire/protobuf.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oto_pb_cursor c = oto_pb_cursor(oto_bytes(data, size));
    uint32_t tag;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        const uint8_t *before = c.at;
        enum oto_status status = oto_pb_skip(&c, tag);
        if (c.at < before || c.at > c.end || status > 0)
            abort();
        if (status < 0)
            break;
    }
    // A varint reads the same with and without room behind it.
    struct oto_pb_cursor tight = oto_pb_cursor(oto_bytes(data, size < 10 ? size : 10));
    uint8_t padded[24] = {0};
    if (size)
        memcpy(padded, data, size < 10 ? size : 10);
    struct oto_pb_cursor loose = oto_pb_cursor(oto_bytes(padded, sizeof padded));
    uint64_t a, b;
    if (oto_pb_varint(&tight, &a) == OTO_OK && (oto_pb_varint(&loose, &b) != OTO_OK || a != b))
        abort();
    return 0;
}
