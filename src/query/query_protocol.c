#include "query/query_protocol.h"

#define REQUEST_FIXED_SIZE 28
#define FILE_FIXED_SIZE 28
#define FILE_IS_MODEL 1u
#define FILE_HAS_TIMES 2u
#define FILE_BY_ID 4u

static const struct {
    const char *name, *content_type;
} formats[OTO_QUERY_FORMAT_COUNT] = {
    [OTO_QUERY_JSON] = {"json", "application/json"},
    [OTO_QUERY_NDJSON] = {"ndjson", "application/x-ndjson"},
    [OTO_QUERY_CSV] = {"csv", "text/csv; charset=utf-8; header=present"},
    [OTO_QUERY_TABLE] = {"table", "text/plain; charset=utf-8"},
    [OTO_QUERY_ARROW] = {"arrow", "application/vnd.apache.arrow.stream"},
    [OTO_QUERY_PARQUET] = {"parquet", "application/vnd.apache.parquet"},
};

const char *oto_query_format_content_type(enum oto_query_format format)
{
    return formats[format].content_type;
}

enum oto_status oto_query_format_from_name(const char *name, enum oto_query_format *ret_format)
{
    for (int i = 0; i < OTO_QUERY_FORMAT_COUNT; i++)
        if (strcmp(formats[i].name, name) == 0) {
            *ret_format = (enum oto_query_format)i;
            return OTO_OK;
        }
    return OTO_INVALID;
}

void oto_query_header_encode(uint8_t output[OTO_QUERY_HEADER_SIZE], enum oto_query_frame type,
                             uint32_t size)
{
    oto_store32(output, size);
    oto_store32(output + 4, (uint32_t)type);
}

enum oto_status oto_query_header_decode(const uint8_t input[OTO_QUERY_HEADER_SIZE],
                                        enum oto_query_frame *ret_type, uint32_t *ret_size)
{
    uint32_t type = oto_load32(input + 4);
    if (type < OTO_QUERY_FRAME_REQUEST || type > OTO_QUERY_FRAME_SCAN)
        return OTO_INVALID;
    *ret_type = (enum oto_query_frame)type;
    *ret_size = oto_load32(input);
    return OTO_OK;
}

// --- requests ---

static enum oto_status append_file(struct oto_buffer *output, const struct oto_query_file *file)
{
    size_t size = file->fd >= 0 ? 0 : strlen(file->path);
    uint8_t fixed[FILE_FIXED_SIZE];
    oto_store32(fixed, file->table);
    oto_store32(fixed + 4, (file->is_model ? FILE_IS_MODEL : 0) |
                               (file->has_times ? FILE_HAS_TIMES : 0) |
                               (file->by_id ? FILE_BY_ID : 0));
    oto_store64(fixed + 8, (uint64_t)file->time_min_us);
    oto_store64(fixed + 16, (uint64_t)file->time_max_us);
    oto_store32(fixed + 24, (uint32_t)size);
    OTO_TRY(oto_buffer_append(output, fixed, sizeof(fixed)));
    return size ? oto_buffer_append(output, file->path, size) : OTO_OK;
}

enum oto_status oto_query_request_encode(struct oto_buffer *output,
                                         const struct oto_query_request *request,
                                         const struct oto_query_file *files, size_t count)
{
    size_t start = output->size;
    uint8_t fixed[OTO_QUERY_HEADER_SIZE + REQUEST_FIXED_SIZE];
    if (request->sql.size > OTO_QUERY_REQUEST_MAX ||
        request->parameters_json.size > OTO_QUERY_REQUEST_MAX)
        return OTO_TOO_LARGE;
    uint8_t *at = fixed + OTO_QUERY_HEADER_SIZE;
    oto_store32(at, (uint32_t)request->format);
    oto_store32(at + 4, request->timeout_ms);
    oto_store64(at + 8, request->rows_max);
    oto_store32(at + 16, (uint32_t)request->sql.size);
    oto_store32(at + 20, (uint32_t)request->parameters_json.size);
    oto_store32(at + 24, (uint32_t)count);
    OTO_TRY(oto_buffer_append(output, fixed, sizeof(fixed)));
    OTO_TRY(oto_buffer_append(output, request->sql.data, request->sql.size));
    OTO_TRY(
        oto_buffer_append(output, request->parameters_json.data, request->parameters_json.size));
    for (size_t i = 0; i < count; i++)
        OTO_TRY(append_file(output, &files[i]));
    size_t payload = output->size - start - OTO_QUERY_HEADER_SIZE;
    if (payload > OTO_QUERY_REQUEST_MAX)
        return OTO_TOO_LARGE;
    oto_query_header_encode(output->data + start, OTO_QUERY_FRAME_REQUEST, (uint32_t)payload);
    return OTO_OK;
}

static enum oto_status take(struct oto_bytes *from, size_t size, struct oto_bytes *ret_bytes)
{
    if (size > from->size)
        return OTO_INVALID;
    *ret_bytes = oto_bytes(from->data, size);
    from->data += size;
    from->size -= size;
    return OTO_OK;
}

enum oto_status oto_query_request_decode(struct oto_bytes payload,
                                         struct oto_query_request *ret_request)
{
    struct oto_bytes fixed;
    OTO_TRY(take(&payload, REQUEST_FIXED_SIZE, &fixed));
    uint32_t format = oto_load32(fixed.data);
    if (format >= OTO_QUERY_FORMAT_COUNT)
        return OTO_INVALID;
    struct oto_query_request request = {.format = (enum oto_query_format)format,
                                        .timeout_ms = oto_load32(fixed.data + 4),
                                        .rows_max = oto_load64(fixed.data + 8),
                                        .file_count = oto_load32(fixed.data + 24)};
    OTO_TRY(take(&payload, oto_load32(fixed.data + 16), &request.sql));
    OTO_TRY(take(&payload, oto_load32(fixed.data + 20), &request.parameters_json));
    request.files = payload;
    *ret_request = request;
    return OTO_OK;
}

enum oto_status oto_query_file_next(struct oto_bytes *files, struct oto_query_file *ret_file,
                                    struct oto_bytes *ret_path)
{
    struct oto_bytes fixed;
    if (files->size == 0)
        return OTO_END;
    OTO_TRY(take(files, FILE_FIXED_SIZE, &fixed));
    OTO_TRY(take(files, oto_load32(fixed.data + 24), ret_path));
    uint32_t flags = oto_load32(fixed.data + 4);
    *ret_file = (struct oto_query_file){.table = oto_load32(fixed.data),
                                        .fd = -1,
                                        .is_model = (flags & FILE_IS_MODEL) != 0,
                                        .has_times = (flags & FILE_HAS_TIMES) != 0,
                                        .by_id = (flags & FILE_BY_ID) != 0,
                                        .time_min_us = (int64_t)oto_load64(fixed.data + 8),
                                        .time_max_us = (int64_t)oto_load64(fixed.data + 16)};
    return OTO_OK;
}

// --- what a query reads ---

void oto_query_scan_encode(uint8_t output[OTO_QUERY_SCAN_SIZE], const struct oto_query_scan *scan)
{
    oto_store64(output, scan->files);
    oto_store64(output + 8, scan->files_read);
    oto_store64(output + 16, scan->files_picked);
    oto_store64(output + 24, scan->rows_picked);
}

enum oto_status oto_query_scan_decode(struct oto_bytes payload, struct oto_query_scan *ret_scan)
{
    if (payload.size != OTO_QUERY_SCAN_SIZE)
        return OTO_INVALID;
    *ret_scan = (struct oto_query_scan){.files = oto_load64(payload.data),
                                        .files_read = oto_load64(payload.data + 8),
                                        .files_picked = oto_load64(payload.data + 16),
                                        .rows_picked = oto_load64(payload.data + 24)};
    return OTO_OK;
}

// --- errors ---

struct oto_bytes oto_query_error_encode(uint8_t output[OTO_QUERY_ERROR_MAX],
                                        const struct oto_error *err)
{
    size_t size = strlen(err->message);
    oto_store32(output, (uint32_t)(int32_t)err->status);
    oto_store32(output + 4, err->line);
    oto_store32(output + 8, err->column);
    memcpy(output + 12, err->message, size);
    return oto_bytes(output, 12 + size);
}

enum oto_status oto_query_error_decode(struct oto_bytes payload, struct oto_error *ret_err)
{
    struct oto_bytes fixed;
    OTO_TRY(take(&payload, 12, &fixed));
    int32_t status = (int32_t)oto_load32(fixed.data);
    if (status >= 0 || status < OTO_INTERNAL)
        return OTO_INVALID;
    oto_error_set(ret_err, (enum oto_status)status, "%.*s", (int)payload.size,
                  (const char *)payload.data);
    ret_err->line = oto_load32(fixed.data + 4);
    ret_err->column = oto_load32(fixed.data + 8);
    return OTO_OK;
}
