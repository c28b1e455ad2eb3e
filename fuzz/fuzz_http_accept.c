// folders: net
// Any values of Accept headers, a line each: what is chosen alone is chosen among others, and in
// capitals, too. The same line as a Content-Type.
#include "net/http_accept.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TYPES 5
#define LINES_MAX 8

static const char *const types[TYPES] = {"application/json", "application/sql",
                                         "text/csv; charset=utf-8; header=present", "text/plain",
                                         "application/vnd.apache.arrow.stream"};

static size_t choose(struct oto_bytes input, const char *const *offered, size_t count)
{
    struct oto_http_header headers[LINES_MAX];
    struct oto_http_request request = {.headers = headers};
    while (input.size && request.header_count < LINES_MAX) {
        const uint8_t *end = memchr(input.data, '\n', input.size);
        size_t size = end ? (size_t)(end - input.data) : input.size;
        headers[request.header_count++] = (struct oto_http_header){
            .name = OTO_BYTES_LITERAL("accept"), .value = oto_bytes(input.data, size)};
        size += end != NULL;
        input = oto_bytes(input.data + size, input.size - size);
    }
    return oto_http_accept_choose(&request, offered, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oto_bytes input = oto_bytes(data, size);
    uint8_t *upper = malloc(size + 1); // the sanitizer sees what is read past it
    if (!upper)
        return 0;
    for (size_t i = 0; i < size; i++)
        upper[i] = (uint8_t)toupper(data[i]);
    size_t chosen = choose(input, types, TYPES), is_one = 0;
    if (chosen > TYPES || chosen != choose(oto_bytes(upper, size), types, TYPES))
        abort();
    if (choose(input, types + chosen, chosen < TYPES) != 0)
        abort();
    for (size_t i = 0; i < TYPES; i++) {
        if (chosen == TYPES && choose(input, types + i, 1) == 0)
            abort();
        is_one += (size_t)oto_http_media_type_is(input, types[i]);
    }
    if (is_one > 1)
        abort();
    free(upper);
    return 0;
}
