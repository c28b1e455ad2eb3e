// folders: codec
// Decompression of a body from the network. First byte: the compression; the rest: the body. What
// the readers of our own frames take is what the library reads.
#include "codec/compress.h"
#include "codec/hex_frame.h"
#include <stdlib.h>

#define SIZE_LIMIT (1 << 20)

static void check_own(struct oto_bytes frame, enum oto_status status, struct oto_bytes plain)
{
    static struct oto_match_reader matches;
    struct oto_buffer output;
    oto_buffer_init(&output, &oto_allocator_heap, SIZE_LIMIT);
    int is_read = oto_hex_frame_read(frame, &matches, &output) == OTO_OK;
    if (is_read ? status != OTO_OK || !oto_bytes_equal(oto_buffer_view(&output), plain)
                : output.size != 0)
        abort();
    oto_buffer_release(&output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oto_codec *codec;
    if (!codec && !(codec = oto_codec_new(&oto_allocator_heap)))
        abort();
    if (size == 0)
        return 0;
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, SIZE_LIMIT);
    oto_error_init(&err);
    enum oto_status status = oto_decompress(codec, (enum oto_compression)(data[0] & 3),
                                            oto_bytes(data + 1, size - 1), &output, &err);
    if (output.capacity > SIZE_LIMIT || output.size > output.capacity)
        abort();
    if (status < 0 ? output.size != 0 || err.status != status || !err.message[0] : status != OTO_OK)
        abort();
    if ((data[0] & 3) == OTO_COMPRESSION_ZSTD)
        check_own(oto_bytes(data + 1, size - 1), status, oto_buffer_view(&output));
    oto_buffer_release(&output);
    return 0;
}
