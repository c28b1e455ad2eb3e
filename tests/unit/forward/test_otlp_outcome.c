// What answers of an endpoint mean.
#include "cmocka_all.h"
#include "forward/otlp_outcome.h"
#include "otlp/otlp_response.h"

#include "base/text.h"

#include <stdio.h>

static struct oto_otlp_outcome outcome_of(enum oto_otlp_transport transport,
                                          struct oto_otlp_answer answer)
{
    struct oto_otlp_outcome outcome;
    oto_otlp_outcome_of(transport, &answer, &outcome);
    return outcome;
}

static enum oto_otlp_verdict verdict_of_grpc(const char *status, const char *details)
{
    return outcome_of(OTO_OTLP_TRANSPORT_GRPC,
                      (struct oto_otlp_answer){.http_status = 200,
                                               .content_type = "application/grpc",
                                               .grpc_status = status,
                                               .grpc_details = details})
        .verdict;
}

static void grpc_codes(void **state)
{
    (void)state;
    static const char repeated[] = {1, 4, 10, 11, 14, 15};
    for (int code = 1; code <= 16; code++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%d", code);
        int is_repeated = memchr(repeated, code, sizeof(repeated)) != NULL;
        assert_int_equal(verdict_of_grpc(text, NULL),
                         is_repeated ? OTO_OTLP_REPEAT : OTO_OTLP_REFUSED);
    }
    assert_int_equal(verdict_of_grpc("0", NULL), OTO_OTLP_TAKEN);
    assert_int_equal(verdict_of_grpc("99", NULL), OTO_OTLP_REFUSED);
}

// RESOURCE_EXHAUSTED is repeated only when the endpoint says when.
static void retry_info(void **state)
{
    (void)state;
    struct oto_buffer status;
    char details[512];
    oto_buffer_init(&status, &oto_allocator_heap, SIZE_MAX);
    assert_int_equal(oto_otlp_write_status(OTO_OTLP_PROTOBUF, 8, "later", 2500, NULL, &status),
                     OTO_OK);
    details[oto_base64_encode(status.data, status.size, details)] = 0;
    details[strcspn(details, "=")] = 0; // gRPC leaves the padding out
    struct oto_otlp_outcome outcome = outcome_of(
        OTO_OTLP_TRANSPORT_GRPC, (struct oto_otlp_answer){.http_status = 200,
                                                          .content_type = "application/grpc",
                                                          .grpc_status = "8",
                                                          .grpc_message = "full: 100%25, %C3%BC",
                                                          .grpc_details = details});
    assert_int_equal(outcome.verdict, OTO_OTLP_REPEAT);
    assert_int_equal(outcome.wait_ms, 2500);
    assert_string_equal(outcome.message, "RESOURCE_EXHAUSTED: full: 100%, ü");
    oto_buffer_release(&status);
}

static void http_codes(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum oto_otlp_verdict verdict;
    } cases[] = {{200, OTO_OTLP_TAKEN},   {204, OTO_OTLP_TAKEN},   {429, OTO_OTLP_REPEAT},
                 {502, OTO_OTLP_REPEAT},  {503, OTO_OTLP_REPEAT},  {504, OTO_OTLP_REPEAT},
                 {301, OTO_OTLP_REFUSED}, {400, OTO_OTLP_REFUSED}, {401, OTO_OTLP_REFUSED},
                 {404, OTO_OTLP_REFUSED}, {413, OTO_OTLP_REFUSED}, {500, OTO_OTLP_REFUSED},
                 {501, OTO_OTLP_REFUSED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(outcome_of(OTO_OTLP_TRANSPORT_HTTP,
                                    (struct oto_otlp_answer){.http_status = cases[i].status})
                             .verdict,
                         cases[i].verdict);
    struct oto_otlp_outcome outcome =
        outcome_of(OTO_OTLP_TRANSPORT_HTTP,
                   (struct oto_otlp_answer){.http_status = 503,
                                            .retry_after_ms = 7000,
                                            .content_type = "text/plain",
                                            .body = OTO_BYTES_LITERAL("busy\n\x1b[31m\xff")});
    assert_int_equal(outcome.wait_ms, 7000);
    assert_string_equal(outcome.message, "HTTP 503: busy  [31m");
}

static void http_status_message(void **state)
{
    (void)state;
    struct oto_buffer status;
    oto_buffer_init(&status, &oto_allocator_heap, SIZE_MAX);
    assert_int_equal(
        oto_otlp_write_status(OTO_OTLP_PROTOBUF, 3, "bad id", 0, "spans[2].trace_id", &status),
        OTO_OK);
    struct oto_otlp_outcome outcome = outcome_of(
        OTO_OTLP_TRANSPORT_HTTP, (struct oto_otlp_answer){.http_status = 400,
                                                          .content_type = "application/x-protobuf",
                                                          .body = oto_buffer_view(&status)});
    assert_int_equal(outcome.verdict, OTO_OTLP_REFUSED);
    assert_string_equal(outcome.message, "HTTP 400: bad id");
    oto_buffer_release(&status);
}

static void partial_success(void **state)
{
    (void)state;
    struct oto_buffer body;
    for (int is_grpc = 0; is_grpc <= 1; is_grpc++) {
        oto_buffer_init(&body, &oto_allocator_heap, SIZE_MAX);
        if (is_grpc)
            assert_int_equal(oto_buffer_append(&body, "\0\0\0\0\0", 5), OTO_OK);
        assert_int_equal(
            oto_otlp_write_response(OTO_OTLP_PROTOBUF, OTO_SIGNAL_LOGS, 3, "three are old", &body),
            OTO_OK);
        struct oto_otlp_outcome outcome =
            outcome_of(is_grpc ? OTO_OTLP_TRANSPORT_GRPC : OTO_OTLP_TRANSPORT_HTTP,
                       (struct oto_otlp_answer){.http_status = 200,
                                                .content_type = is_grpc ? "application/grpc"
                                                                        : "application/x-protobuf",
                                                .grpc_status = "0",
                                                .body = oto_buffer_view(&body)});
        assert_int_equal(outcome.verdict, OTO_OTLP_TAKEN);
        assert_int_equal(outcome.rejected, 3);
        assert_string_equal(outcome.message, "three are old");
        oto_buffer_release(&body);
    }
}

static void what_is_no_answer(void **state)
{
    (void)state;
    struct oto_otlp_outcome outcome = outcome_of(
        OTO_OTLP_TRANSPORT_GRPC,
        (struct oto_otlp_answer){.http_status = 200, .content_type = "application/grpc"});
    assert_int_equal(outcome.verdict, OTO_OTLP_REPEAT);
    outcome = outcome_of(OTO_OTLP_TRANSPORT_GRPC,
                         (struct oto_otlp_answer){.http_status = 404, .content_type = "text/html"});
    assert_int_equal(outcome.verdict, OTO_OTLP_REFUSED);
    outcome = outcome_of(OTO_OTLP_TRANSPORT_GRPC, (struct oto_otlp_answer){.http_status = 503});
    assert_int_equal(outcome.verdict, OTO_OTLP_REPEAT);
    outcome =
        outcome_of(OTO_OTLP_TRANSPORT_HTTP, (struct oto_otlp_answer){.network_error = "refused"});
    assert_int_equal(outcome.verdict, OTO_OTLP_REPEAT);
    assert_string_equal(outcome.message, "refused");
    outcome = outcome_of(OTO_OTLP_TRANSPORT_HTTP,
                         (struct oto_otlp_answer){.network_error = "certificate", .is_final = 1});
    assert_int_equal(outcome.verdict, OTO_OTLP_REFUSED);
}

// Whatever bytes come, there is a verdict, and its message can be shown.
static void broken_bodies(void **state)
{
    (void)state;
    uint8_t bytes[64];
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)((seed >> 33) % (round % 2 ? 256 : 20));
        }
        struct oto_otlp_answer answer = {.http_status = round % 3 ? 200 : 400,
                                         .content_type = round % 5 ? "application/x-protobuf"
                                                                   : "application/grpc",
                                         .grpc_status = round % 7 ? "0" : "8",
                                         .body = oto_bytes(bytes, (size_t)round % 64)};
        struct oto_otlp_outcome outcome =
            outcome_of(round % 2 ? OTO_OTLP_TRANSPORT_GRPC : OTO_OTLP_TRANSPORT_HTTP, answer);
        for (const char *c = outcome.message; *c; c++)
            assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grpc_codes),      cmocka_unit_test(retry_info),
        cmocka_unit_test(http_codes),      cmocka_unit_test(http_status_message),
        cmocka_unit_test(partial_success), cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(broken_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
