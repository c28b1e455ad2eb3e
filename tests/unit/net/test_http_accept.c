// What a request's Accept headers choose among the types that are offered.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_accept.h"

static const char *const types[] = {"application/json", "text/csv; charset=utf-8; header=present",
                                    "text/plain; charset=utf-8", "application/vnd.apache.parquet"};
enum { JSON, CSV, PLAIN, PARQUET, NONE };

// Each value in memory of its own size.
static struct oto_bytes copy(const char *text)
{
    size_t size = strlen(text);
    uint8_t *data = malloc(size ? size : 1);
    assert_non_null(data);
    memcpy(data, text, size);
    return oto_bytes(data, size);
}

static size_t choose(const char *first, const char *second)
{
    struct oto_http_header headers[] = {{OTO_BYTES_LITERAL("accept"), copy(first)},
                                        {OTO_BYTES_LITERAL("host"), OTO_BYTES_LITERAL("text/csv")},
                                        {OTO_BYTES_LITERAL("accept"), copy(second)}};
    struct oto_http_request request = {.headers = headers, .header_count = 3};
    size_t chosen = oto_http_accept_choose(&request, types, NONE);
    free((void *)(uintptr_t)headers[0].value.data);
    free((void *)(uintptr_t)headers[2].value.data);
    return chosen;
}

static void each_header_chooses(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        size_t chosen;
    } cases[] = {
        // as clients send them
        {"application/json, text/plain, */*", JSON},
        {"*/*", JSON},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON},
        {"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON},
        {"text/csv; charset=utf-8; header=present", CSV},
        // order, among equals
        {"text/plain, application/json", PLAIN},
        {"application/json, text/plain", JSON},
        {"application/vnd.apache.parquet,text/csv", PARQUET},
        // weights
        {"text/plain;q=0.5, application/json", JSON},
        {"text/plain;q=0.5, text/csv;q=0.51", CSV},
        {"text/plain ; Q=0.999 , text/csv ; q=1.000", CSV},
        {"text/plain;q=.3, text/csv;q=0.33333", CSV},
        {"text/plain;q=1, text/csv;q=7", PLAIN},
        {"text/plain;q=1, text/csv;q=1.5", PLAIN},
        {"text/plain;level=1;q=0.1;ext=a, text/csv;q=0.2", CSV},
        // wildcards
        {"text/*", CSV},
        {"TEXT/*, Text/Plain;q=0.9", CSV},
        {"application/*;q=0.1, text/*;q=0.2", CSV},
        {"*/*;q=0.9, text/plain", PLAIN},
        {"*/*, text/plain", PLAIN},
        {"*/*, text/*", CSV},
        // the closest range tells the weight
        {"*/*, application/json;q=0.1", CSV},
        {"text/*;q=0.9, text/csv;q=0.1, */*;q=0.5", PLAIN},
        {"text/csv;q=0.1, text/*;q=0.5, application/*;q=0.2", PLAIN},
        // what is refused
        {"*/*, application/json;q=0", CSV},
        {"text/*, text/csv;q=0.000", PLAIN},
        {"application/json;q=0", NONE},
        {"*/*;q=0", NONE},
        {"text/csv;q=0, text/csv;header=present", CSV},
        // nothing that is offered
        {"", NONE},
        {"image/png, text/html", NONE},
        {"text/csvx, text/cs, xtext/csv, text, text/, /csv, *, */csv, text/**", NONE},
        {"application/jsonp", NONE},
        // badly made
        {",, ,text/csv,,", CSV},
        {"text/csv;;q=0.5;, text/plain;q=0.4", CSV},
        {"text/csv;q=high, text/plain;q=0.1", PLAIN},
        {"text/csv;q=, text/plain;q=0.1", PLAIN},
        {"text/csv;q, text/plain;q=0.1", PLAIN},
        {"text/csv;q=1x", NONE},
        {";q=1", NONE},
        // quotes
        {"text/csv;a=\"x,text/plain;q=1\";q=0.1, application/json;q=0.2", JSON},
        {"text/csv;a=\"\\\",text/plain\"", CSV},
        {"text/csv;a=\"text/plain, */*", CSV},
        {"text/csv;a=\"\\", CSV},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t chosen = choose(cases[i].accept, "");
        if (chosen != cases[i].chosen)
            print_error("Accept: %s\n", cases[i].accept);
        assert_int_equal(chosen, cases[i].chosen);
    }
}

static void several_headers_are_one_list(void **state)
{
    (void)state;
    assert_int_equal(choose("text/plain", "text/csv"), PLAIN);
    assert_int_equal(choose("text/plain;q=0.1", "text/csv"), CSV);
    assert_int_equal(choose("*/*", "application/json;q=0, text/csv;q=0"), PLAIN);
}

static void no_header_chooses_nothing(void **state)
{
    (void)state;
    struct oto_http_request request = {.header_count = 0};
    assert_int_equal(oto_http_accept_choose(&request, types, NONE), NONE);
}

static void a_content_type_is_one_whatever_its_case_and_parameters(void **state)
{
    (void)state;
    static const char *const alike[] = {"application/sql", "Application/SQL",
                                        "application/sql ;a=b", "application/sql;charset=utf-8",
                                        "application/sql\t; a=b"};
    static const char *const others[] = {"",
                                         "application/sq",
                                         "application/sqlx",
                                         "text/sql",
                                         "text/plain; a=application/sql",
                                         " application/sql"};
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
        assert_true(oto_http_media_type_is(oto_bytes_text(alike[i]), "application/sql"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(oto_http_media_type_is(oto_bytes_text(others[i]), "application/sql"));
    assert_false(oto_http_media_type_is(oto_bytes("application/sql\0", 16), "application/sql"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_content_type_is_one_whatever_its_case_and_parameters),
        cmocka_unit_test(each_header_chooses),
        cmocka_unit_test(several_headers_are_one_list),
        cmocka_unit_test(no_header_chooses_nothing),
    };
    return cmocka_run_group_tests_name("http_accept", tests, NULL, NULL);
}
