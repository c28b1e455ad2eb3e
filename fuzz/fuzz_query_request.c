// folders: query
// Any bytes as a request or an error of the query process: what is decoded lies inside the input.
#include "query/query_protocol.h"
#include <stdlib.h>

static void check_inside(struct oto_bytes view, const uint8_t *data, size_t size)
{
    if (view.size && (view.data < data || view.size > size || view.data + view.size > data + size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oto_query_request request;
    struct oto_bytes path;
    struct oto_error err;
    struct oto_query_file file;
    if (oto_query_request_decode(oto_bytes(data, size), &request) == OTO_OK) {
        check_inside(request.sql, data, size);
        check_inside(request.parameters_json, data, size);
        while (oto_query_file_next(&request.files, &file, &path) == OTO_OK)
            check_inside(path, data, size);
    }
    if (oto_query_error_decode(oto_bytes(data, size), &err) == OTO_OK && err.status >= 0)
        abort();
    return 0;
}
