// gRPC's helpers that need no connection.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/grpc.h"

static void frames(void **state)
{
    (void)state;
    static const struct {
        struct oto_bytes body;
        const char *says; // NULL: fine
        int compressed;
        size_t size;
    } rows[] = {
        {OTO_BYTES_LITERAL("\0\0\0\0\0"), NULL, 0, 0},
        {OTO_BYTES_LITERAL("\1\0\0\0\2ab"), NULL, 1, 2},
        {OTO_BYTES_LITERAL(""), "no message", 0, 0},
        {OTO_BYTES_LITERAL("\0\0\0\0"), "ends in its head", 0, 0},
        {OTO_BYTES_LITERAL("\0\0\0\0\3ab"), "says 3 bytes and has 2", 0, 0},
        {OTO_BYTES_LITERAL("\0\0\0\0\1ab"), "more after the one message", 0, 0},
        {OTO_BYTES_LITERAL("\0\0\0\0\0\0\0\0\0\0"), "more after the one message", 0, 0},
        {OTO_BYTES_LITERAL("\2\0\0\0\0"), "compressed flag is 2", 0, 0},
        {OTO_BYTES_LITERAL("\xff\0\0\0\0"), "compressed flag is 255", 0, 0},
        {OTO_BYTES_LITERAL("\0\xff\xff\xff\xff"
                           "abc"),
         "says 4294967295 bytes", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oto_error err = {0};
        struct oto_bytes message = {NULL, 99};
        int compressed = -1;
        enum oto_status status = oto_grpc_unary_message(rows[i].body, &compressed, &message, &err);
        if (rows[i].says) {
            assert_int_equal(status, OTO_INVALID);
            if (!strstr(err.message, rows[i].says))
                fail_msg("row %zu: %s", i, err.message);
            assert_int_equal(message.size, 99); // untouched
            continue;
        }
        assert_int_equal(status, OTO_OK);
        assert_int_equal(compressed, rows[i].compressed);
        assert_int_equal(message.size, rows[i].size);
        assert_ptr_equal(message.data, rows[i].body.data + 5);
    }
}

static void timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t ns;
    } good[] = {{"10S", 10000000000u},
                {"500m", 500000000u},
                {"1H", 3600000000000u},
                {"2M", 120000000000u},
                {"7u", 7000u},
                {"99999999n", 99999999u},
                {"99999999H", UINT64_MAX},
                {"0S", 0}};
    static const char *const bad[] = {"", "S", "10", "10s", "-1S", "1.5S", "123456789S", " 1S"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t ns = 1;
        assert_int_equal(oto_grpc_timeout(oto_bytes_text(good[i].value), &ns), OTO_OK);
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ns = 1;
        assert_int_equal(oto_grpc_timeout(oto_bytes_text(bad[i]), &ns), OTO_INVALID);
        assert_int_equal(ns, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(timeouts),
    };
    return cmocka_run_group_tests_name("grpc", tests, NULL, NULL);
}
