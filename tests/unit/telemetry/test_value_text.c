#include "cmocka_all.h"
#include "telemetry/value_text.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define TEXT_MAX (1 << 20)

static void setup(struct oto_value_writer *w)
{
    oto_value_writer_init(w, &oto_allocator_heap, TEXT_MAX);
    oto_value_writer_reset(w);
}

static void assert_text(const struct oto_value_writer *w, const char *expected)
{
    struct oto_bytes text;
    assert_int_equal(oto_value_text(w, &text), OTO_OK);
    assert_int_equal(text.size, strlen(expected));
    if (text.size)
        assert_memory_equal(text.data, expected, text.size);
}

static void scalars_read_as_the_exporter_writes_them(void **state)
{
    (void)state;
    struct oto_value_writer w;
    setup(&w);
    oto_value_string(&w, OTO_BYTES_LITERAL("say \"hi\"\n"));
    assert_text(&w, "say \"hi\"\n");
    oto_value_bool(&w, 1);
    assert_text(&w, "true");
    oto_value_bool(&w, 0);
    assert_text(&w, "false");
    oto_value_int(&w, INT64_MIN);
    assert_text(&w, "-9223372036854775808");
    oto_value_double(&w, 1.0);
    assert_text(&w, "1");
    oto_value_double(&w, 1e21);
    assert_text(&w, "1e+21");
    oto_value_double(&w, -0.0);
    assert_text(&w, "-0");
    oto_value_double(&w, (double)NAN);
    assert_text(&w, "NaN");
    oto_value_double(&w, -(double)INFINITY);
    assert_text(&w, "-Infinity");
    oto_value_bytes(&w, OTO_BYTES_LITERAL("\x00\xff\x10\x20"));
    assert_text(&w, "AP8QIA==");
    oto_value_bytes(&w, (struct oto_bytes){NULL, 0});
    assert_text(&w, "");
    oto_value_unset(&w);
    assert_text(&w, "");
    oto_value_absent(&w);
    assert_text(&w, "");
    assert_true(oto_bytes_equal_text(oto_value_types(&w), "sbbidddddyyn-"));
    oto_value_writer_release(&w);
}

static void a_nan_with_bits_of_its_own_keeps_them(void **state)
{
    (void)state;
    static const uint64_t bits[] = {0xFFF8000000000000u, 0x7FF8000000000000u, 0x7FF4000000000abcu};
    struct oto_value_writer w;
    double value;
    setup(&w);
    memcpy(&value, &bits[0], sizeof value);
    oto_value_double(&w, value);
    assert_text(&w, "NaN");
    oto_value_array_begin(&w);
    for (int i = 1; i < 3; i++) {
        memcpy(&value, &bits[i], sizeof value);
        oto_value_double(&w, value);
    }
    oto_value_int(&w, 1);
    oto_value_array_end(&w);
    assert_text(&w, "[\"NaN\",\"NaN\",1]");
    assert_true(
        oto_bytes_equal_text(oto_value_types(&w), "Nfff8000000000000[dN7ff4000000000abci]"));
    oto_value_writer_release(&w);
}

static void a_string_is_not_copied(void **state)
{
    (void)state;
    struct oto_value_writer w;
    struct oto_bytes input = OTO_BYTES_LITERAL("as it is"), text;
    setup(&w);
    oto_value_string(&w, input);
    assert_int_equal(oto_value_text(&w, &text), OTO_OK);
    assert_ptr_equal(text.data, input.data);
    oto_value_writer_release(&w);
}

// The example of the header, with what JSON cannot say in it.
static void nests_read_as_json(void **state)
{
    (void)state;
    struct oto_value_writer w;
    setup(&w);
    oto_value_string(&w, OTO_BYTES_LITERAL("x"));
    oto_value_int(&w, 1);
    oto_value_array_begin(&w);
    oto_value_int(&w, 2);
    oto_value_kvlist_begin(&w);
    oto_value_key(&w, OTO_BYTES_LITERAL("k"));
    oto_value_bool(&w, 1);
    oto_value_key(&w, OTO_BYTES_LITERAL("k"));
    oto_value_double(&w, (double)INFINITY);
    oto_value_key(&w, OTO_BYTES_LITERAL("\"\t"));
    oto_value_absent(&w);
    oto_value_kvlist_end(&w);
    oto_value_array_begin(&w);
    oto_value_array_end(&w);
    oto_value_bytes(&w, OTO_BYTES_LITERAL("a"));
    oto_value_unset(&w);
    oto_value_string(&w, OTO_BYTES_LITERAL("<\\>\xE2\x80\xA8"));
    oto_value_array_end(&w);
    assert_text(&w, "[2,{\"k\":true,\"k\":\"Infinity\",\"\\\"\\t\":null},[],\"YQ==\",null,\"<\\\\>"
                    "\xE2\x80\xA8\"]");
    assert_true(oto_bytes_equal_text(oto_value_types(&w), "si[i{bd-}[]yns]"));
    oto_value_writer_reset(&w);
    oto_value_kvlist_begin(&w);
    oto_value_kvlist_end(&w);
    assert_text(&w, "{}");
    assert_true(oto_bytes_equal_text(oto_value_types(&w), "{}"));
    oto_value_writer_release(&w);
}

static void too_large_a_value_is_reported_until_the_reset(void **state)
{
    (void)state;
    struct oto_value_writer w;
    struct oto_bytes text;
    oto_value_writer_init(&w, &oto_allocator_heap, 8);
    oto_value_writer_reset(&w);
    oto_value_array_begin(&w);
    oto_value_string(&w, OTO_BYTES_LITERAL("123456789"));
    oto_value_array_end(&w);
    assert_int_equal(oto_value_text(&w, &text), OTO_TOO_LARGE);
    oto_value_int(&w, 1);
    assert_int_equal(oto_value_text(&w, &text), OTO_TOO_LARGE);
    oto_value_writer_reset(&w);
    oto_value_array_begin(&w);
    oto_value_array_end(&w);
    assert_text(&w, "[]");
    oto_value_writer_release(&w);
}

// --- text and types together give back the value ---
// Both sides describe a value without ambiguity: the maker of random values, and a reader of text
// and types.

static void describe_bytes(struct oto_buffer *d, char kind, struct oto_bytes bytes)
{
    assert_int_equal(oto_buffer_append_format(d, "%c%zu:", kind, bytes.size), OTO_OK);
    assert_int_equal(oto_buffer_append(d, bytes.data, bytes.size), OTO_OK);
}

static void describe_double(struct oto_buffer *d, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    assert_int_equal(oto_buffer_append_format(d, "d%" PRIx64, isnan(value) ? 0 : bits), OTO_OK);
}

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

// Strings that look like other values, or like JSON.
static struct oto_bytes random_string(uint64_t *random)
{
    static const char *const tricky[] = {
        "",      "1",         "true",    "null",         "NaN",       "Infinity",
        "[1,2]", "{\"a\":1}", "\"",      "\\",           ",",         "]",
        "}",     "YQ==",      "\\u0001", "\x01\x1f\x7f", "a\":1,\"b", "\xC3\xA4\xE2\x82\xAC"};
    return oto_bytes_text(tricky[next_random(random) % (sizeof tricky / sizeof *tricky)]);
}

static double random_double(uint64_t *random)
{
    static const double tricky[] = {0.0,
                                    -0.0,
                                    1.0,
                                    1e300,
                                    5e-324,
                                    0.1,
                                    -1e21,
                                    1e-7,
                                    (double)NAN,
                                    (double)INFINITY,
                                    -(double)INFINITY};
    return tricky[next_random(random) % (sizeof tricky / sizeof *tricky)];
}

static void make_value(struct oto_value_writer *w, struct oto_buffer *d, uint64_t *random,
                       unsigned depth)
{
    unsigned kind = next_random(random) % (depth < 4 ? 9 : 7);
    struct oto_bytes text = random_string(random);
    int64_t integer = next_random(random) % 3 ? (int64_t)next_random(random) % 3 : INT64_MIN;
    double number = random_double(random);
    unsigned count = next_random(random) % 4;
    switch (kind) {
    case 0:
        describe_bytes(d, 's', text);
        oto_value_string(w, text);
        break;
    case 1:
        assert_int_equal(oto_buffer_append_format(d, "i%" PRId64, integer), OTO_OK);
        oto_value_int(w, integer);
        break;
    case 2:
        describe_double(d, number);
        oto_value_double(w, number);
        break;
    case 3:
        assert_int_equal(oto_buffer_append_format(d, "b%d", (int)(count & 1)), OTO_OK);
        oto_value_bool(w, (int)(count & 1));
        break;
    case 4:
        describe_bytes(d, 'y', text);
        oto_value_bytes(w, text);
        break;
    case 5:
    case 6:
        assert_int_equal(oto_buffer_append_byte(d, kind == 5 ? 'n' : '-'), OTO_OK);
        kind == 5 ? oto_value_unset(w) : oto_value_absent(w);
        break;
    default:
        assert_int_equal(oto_buffer_append_byte(d, kind == 7 ? '[' : '{'), OTO_OK);
        kind == 7 ? oto_value_array_begin(w) : oto_value_kvlist_begin(w);
        while (count--) {
            text = random_string(random);
            if (kind == 8) {
                describe_bytes(d, 'k', text);
                oto_value_key(w, text);
            }
            make_value(w, d, random, depth + 1);
        }
        kind == 7 ? oto_value_array_end(w) : oto_value_kvlist_end(w);
        assert_int_equal(oto_buffer_append_byte(d, ']'), OTO_OK);
    }
}

struct reader {
    const char *text, *text_end;
    const char *types;
};

static void expect(struct reader *r, const char *word)
{
    assert_true((size_t)(r->text_end - r->text) >= strlen(word));
    assert_memory_equal(r->text, word, strlen(word));
    r->text += strlen(word);
}

static struct oto_bytes read_json_string(struct reader *r, uint8_t *output)
{
    size_t size = 0;
    expect(r, "\"");
    while (assert_true(r->text < r->text_end), *r->text != '"') {
        uint8_t byte = (uint8_t)*r->text++;
        if (byte == '\\') {
            static const char from[] = "bfnrt\"\\", to[] = "\b\f\n\r\t\"\\";
            byte = (uint8_t)*r->text++;
            if (byte == 'u') {
                byte = (uint8_t)strtoul((char[]){r->text[2], r->text[3], 0}, NULL, 16);
                r->text += 4;
            } else {
                byte = (uint8_t)to[strchr(from, byte) - from];
            }
        }
        output[size++] = byte;
    }
    r->text++;
    return oto_bytes(output, size);
}

// A scalar's characters: to the end at the top, else a JSON string's content or what stands up to
// the next separator.
static struct oto_bytes read_scalar(struct reader *r, int nested, uint8_t *output)
{
    const char *start = r->text;
    if (nested && *r->text == '"')
        return read_json_string(r, output);
    while (r->text < r->text_end && !(nested && strchr(",]}", *r->text)))
        r->text++;
    memcpy(output, start, (size_t)(r->text - start));
    return oto_bytes(output, (size_t)(r->text - start));
}

static void read_value(struct reader *r, struct oto_buffer *d, int nested)
{
    uint8_t text[256], decoded[256];
    char kind = *r->types++;
    size_t size;
    int64_t integer;
    double number;
    if (kind == '[' || kind == '{') {
        char close[2] = {kind == '[' ? ']' : '}', 0};
        assert_int_equal(oto_buffer_append_byte(d, (uint8_t)kind), OTO_OK);
        expect(r, (char[]){kind, 0});
        for (int first = 1; *r->types != *close; first = 0) {
            if (!first)
                expect(r, ",");
            if (kind == '{') {
                describe_bytes(d, 'k', read_json_string(r, text));
                expect(r, ":");
            }
            read_value(r, d, 1);
        }
        r->types++;
        expect(r, close);
        assert_int_equal(oto_buffer_append_byte(d, ']'), OTO_OK);
        return;
    }
    struct oto_bytes scalar = read_scalar(r, nested, text);
    switch (kind) {
    case 's':
        describe_bytes(d, 's', scalar);
        break;
    case 'i':
        assert_int_equal(oto_text_to_i64(scalar, &integer), OTO_OK);
        assert_int_equal(oto_buffer_append_format(d, "i%" PRId64, integer), OTO_OK);
        break;
    case 'd':
        assert_int_equal(oto_text_to_double(scalar, &number), OTO_OK);
        describe_double(d, number);
        break;
    case 'b':
        assert_int_equal(oto_buffer_append_format(d, "b%d", oto_bytes_equal_text(scalar, "true")),
                         OTO_OK);
        break;
    case 'y':
        assert_int_equal(oto_base64_decode(scalar, decoded, &size), OTO_OK);
        describe_bytes(d, 'y', oto_bytes(decoded, size));
        break;
    default:
        assert_true(oto_bytes_equal_text(scalar, nested ? "null" : ""));
        assert_int_equal(oto_buffer_append_byte(d, (uint8_t)kind), OTO_OK);
    }
}

static void text_and_types_give_back_any_value(void **state)
{
    (void)state;
    uint64_t random = 7;
    struct oto_value_writer w;
    struct oto_buffer made, read;
    setup(&w);
    oto_buffer_init(&made, &oto_allocator_heap, TEXT_MAX);
    oto_buffer_init(&read, &oto_allocator_heap, TEXT_MAX);
    for (int round = 0; round < 20000; round++) {
        struct oto_bytes text = {NULL, 0};
        made.size = read.size = 0;
        oto_value_writer_reset(&w);
        make_value(&w, &made, &random, 0);
        assert_int_equal(oto_value_text(&w, &text), OTO_OK);
        char types[1 << 14], copy[1 << 14];
        assert_true(text.size < sizeof copy && oto_value_types(&w).size < sizeof types);
        memcpy(types, oto_value_types(&w).data, oto_value_types(&w).size);
        types[oto_value_types(&w).size] = 0;
        if (text.size)
            memcpy(copy, text.data, text.size);
        struct reader r = {copy, copy + text.size, types};
        read_value(&r, &read, 0);
        assert_ptr_equal(r.text, r.text_end);
        assert_int_equal(*r.types, 0);
        assert_int_equal(read.size, made.size);
        assert_memory_equal(read.data, made.data, made.size);
    }
    oto_buffer_release(&made);
    oto_buffer_release(&read);
    oto_value_writer_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_read_as_the_exporter_writes_them),
        cmocka_unit_test(a_nan_with_bits_of_its_own_keeps_them),
        cmocka_unit_test(a_string_is_not_copied),
        cmocka_unit_test(nests_read_as_json),
        cmocka_unit_test(too_large_a_value_is_reported_until_the_reset),
        cmocka_unit_test(text_and_types_give_back_any_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
