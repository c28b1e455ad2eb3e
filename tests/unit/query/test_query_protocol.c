#include "cmocka_all.h"

#include "query/query_protocol.h"

static void a_request_comes_back_as_it_was(void **state)
{
    (void)state;
    const struct oto_query_file files[] = {{.table = 0, .fd = 7, .is_model = 1, .by_id = 1},
                                           {.table = 3,
                                            .fd = -1,
                                            .path = "/data/logs/a.parquet",
                                            .has_times = 1,
                                            .time_min_us = -5,
                                            .time_max_us = 1ll << 60},
                                           {.table = 3, .fd = 9}};
    struct oto_query_file file;
    struct oto_query_request request = {.format = OTO_QUERY_CSV,
                                        .timeout_ms = 1234,
                                        .rows_max = 1ull << 40,
                                        .sql = OTO_BYTES_LITERAL("SELECT 'ü'"),
                                        .parameters_json = OTO_BYTES_LITERAL("[1]")};
    struct oto_query_request got;
    struct oto_buffer frame;
    enum oto_query_frame type;
    uint32_t size;
    struct oto_bytes path;
    oto_buffer_init(&frame, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_query_request_encode(&frame, &request, files, 3), OTO_OK);
    assert_int_equal(oto_query_header_decode(frame.data, &type, &size), OTO_OK);
    assert_int_equal(type, OTO_QUERY_FRAME_REQUEST);
    assert_int_equal(size, frame.size - OTO_QUERY_HEADER_SIZE);
    assert_int_equal(
        oto_query_request_decode(oto_bytes(frame.data + OTO_QUERY_HEADER_SIZE, size), &got),
        OTO_OK);
    assert_int_equal(got.format, OTO_QUERY_CSV);
    assert_int_equal(got.timeout_ms, 1234);
    assert_int_equal(got.rows_max, 1ull << 40);
    assert_int_equal(got.file_count, 3);
    assert_true(oto_bytes_equal(got.sql, request.sql));
    assert_true(oto_bytes_equal(got.parameters_json, request.parameters_json));
    assert_int_equal(oto_query_file_next(&got.files, &file, &path), OTO_OK);
    assert_int_equal(file.table, 0);
    assert_true(file.is_model && file.by_id && !file.has_times);
    assert_int_equal(path.size, 0);
    assert_int_equal(oto_query_file_next(&got.files, &file, &path), OTO_OK);
    assert_int_equal(file.table, 3);
    assert_true(!file.is_model && !file.by_id && file.has_times);
    assert_int_equal(file.time_min_us, -5);
    assert_int_equal(file.time_max_us, 1ll << 60);
    assert_true(oto_bytes_equal_text(path, "/data/logs/a.parquet"));
    assert_int_equal(oto_query_file_next(&got.files, &file, &path), OTO_OK);
    assert_int_equal(oto_query_file_next(&got.files, &file, &path), OTO_END);
    oto_buffer_release(&frame);
}

static void a_request_cut_anywhere_is_refused_or_shorter(void **state)
{
    (void)state;
    const struct oto_query_file files[] = {{.table = 1, .fd = -1, .path = "/data/x"}};
    struct oto_query_request request = {.sql = OTO_BYTES_LITERAL("SELECT 1")}, got;
    struct oto_buffer frame;
    oto_buffer_init(&frame, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_query_request_encode(&frame, &request, files, 1), OTO_OK);
    size_t full = frame.size - OTO_QUERY_HEADER_SIZE;
    for (size_t size = 0; size < full; size++) {
        struct oto_query_file file;
        struct oto_bytes path;
        if (oto_query_request_decode(oto_bytes(frame.data + OTO_QUERY_HEADER_SIZE, size), &got) ==
            OTO_OK)
            assert_int_not_equal(oto_query_file_next(&got.files, &file, &path), OTO_OK);
    }
    oto_buffer_release(&frame);
}

static void an_error_comes_back_as_it_was(void **state)
{
    (void)state;
    struct oto_error err, got;
    uint8_t bytes[OTO_QUERY_ERROR_MAX];
    oto_error_init(&err);
    oto_error_set(&err, OTO_DENIED, "no: %s", "ü");
    err.line = 3;
    err.column = 17;
    struct oto_bytes payload = oto_query_error_encode(bytes, &err);
    oto_error_init(&got);
    assert_int_equal(oto_query_error_decode(payload, &got), OTO_OK);
    assert_int_equal(got.status, OTO_DENIED);
    assert_int_equal(got.line, 3);
    assert_int_equal(got.column, 17);
    assert_string_equal(got.message, "no: ü");
    memset(bytes, 0, 4); // a status that is no failure
    assert_int_equal(oto_query_error_decode(payload, &got), OTO_INVALID);
    memset(err.message, 'x', sizeof(err.message) - 1); // the longest
    err.message[sizeof(err.message) - 1] = 0;
    payload = oto_query_error_encode(bytes, &err);
    assert_int_equal(oto_query_error_decode(payload, &got), OTO_OK);
    assert_string_equal(got.message, err.message);
}

static void formats_have_names(void **state)
{
    (void)state;
    enum oto_query_format format;
    assert_int_equal(oto_query_format_from_name("parquet", &format), OTO_OK);
    assert_int_equal(format, OTO_QUERY_PARQUET);
    assert_int_equal(oto_query_format_from_name("xml", &format), OTO_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(a_request_cut_anywhere_is_refused_or_shorter),
        cmocka_unit_test(an_error_comes_back_as_it_was),
        cmocka_unit_test(formats_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
