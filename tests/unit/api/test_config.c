// Lists of settings: the same text means the same items, wherever it stands.
#include "cmocka_all.h"

#include "api/config.h"

#include <stdio.h>

// --- the same text as a flag, a variable and a value in YAML ---

static enum oto_status load_flag(struct oto_config *config, const char *name, const char *text,
                                 struct oto_error *err)
{
    char argument[256];
    char *arguments[] = {argument};
    int index = 0, known = 0;
    (void)snprintf(argument, sizeof argument, "--%s=%s", name, text);
    for (char *c = argument; *c != '='; c++)
        *c = *c == '_' ? '-' : *c;
    enum oto_status status = oto_config_load_flag(config, 1, arguments, &index, &known, err);
    assert_true(known && index == 1);
    return status;
}

static enum oto_status load_variable(struct oto_config *config, const char *name, const char *text,
                                     struct oto_error *err)
{
    char variable[256];
    char *environment[] = {variable, NULL};
    (void)snprintf(variable, sizeof variable, "OTOLITH_%s=%s", name, text);
    return oto_config_load_environment(config, environment, err);
}

static enum oto_status load_yaml(struct oto_config *config, const char *name, const char *text,
                                 struct oto_error *err)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%s: \"%s\"\n", name, text);
    return oto_config_load_text(config, oto_bytes_text(line), "a.yaml", err);
}

static enum oto_status (*const loads[])(struct oto_config *config, const char *name,
                                        const char *text, struct oto_error *err) = {
    load_flag, load_variable, load_yaml};
#define LOAD_COUNT (sizeof loads / sizeof loads[0])

// items: separated by '|'.
static void assert_items(const struct oto_config_list *list, const char *items)
{
    char text[512] = "";
    for (size_t i = 0; i < list->count; i++) {
        size_t size = strlen(text);
        (void)snprintf(text + size, sizeof text - size, "%s%s", i ? "|" : "", list->items[i]);
    }
    assert_string_equal(text, items);
}

static void lists_are_divided_at_commas(void **state)
{
    (void)state;
    static const struct {
        const char *text, *items;
    } cases[] = {
        {"acme.tenant", "acme.tenant"},
        {"acme.tenant,acme.user", "acme.tenant|acme.user"},
        {" acme.tenant ,\tacme.user ", "acme.tenant|acme.user"},
        {"acme.tenant,query", "acme.tenant|query"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < LOAD_COUNT; k++) {
            struct oto_config config;
            assert_int_equal(oto_config_init(&config, NULL), OTO_OK);
            assert_int_equal(loads[k](&config, "promote", cases[i].text, NULL), OTO_OK);
            assert_items(&config.promote, cases[i].items);
            oto_config_release(&config);
        }
}

static void addresses_keep_their_roles(void **state)
{
    (void)state;
    static const struct {
        const char *text, *items;
    } cases[] = {
        {"127.0.0.1:0,ingest,query", "127.0.0.1:0,ingest,query"},
        {"127.0.0.1:1,ingest,[::1]:2,localhost:3,query,admin",
         "127.0.0.1:1,ingest|[::1]:2|localhost:3,query,admin"},
        {"127.0.0.1:1, ingest , unix:/run/o.sock", "127.0.0.1:1,ingest|unix:/run/o.sock"},
        {"127.0.0.1:1,ingst", "127.0.0.1:1,ingst"}, // said to be no role where it is opened
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < LOAD_COUNT; k++) {
            struct oto_config config;
            assert_int_equal(oto_config_init(&config, NULL), OTO_OK);
            assert_int_equal(loads[k](&config, "listen", cases[i].text, NULL), OTO_OK);
            assert_items(&config.listen, cases[i].items);
            oto_config_release(&config);
        }
}

static void empty_items_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"a.b,", ",a.b", "a.b,,c.d", "a.b, ,c.d", ","};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t k = 0; k < LOAD_COUNT; k++) {
            struct oto_config config;
            struct oto_error err;
            oto_error_init(&err);
            assert_int_equal(oto_config_init(&config, NULL), OTO_OK);
            assert_int_equal(loads[k](&config, "promote", texts[i], &err), OTO_INVALID);
            assert_non_null(strstr(err.message, "promote: an item is empty"));
            oto_config_release(&config);
        }
}

static void defaults_can_be_given_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < oto_config_key_count; i++)
        for (size_t k = 0; k < LOAD_COUNT; k++) {
            const struct oto_config_key *key = &oto_config_keys[i];
            struct oto_config ours, given;
            struct oto_buffer expected, found;
            oto_buffer_init(&expected, &oto_allocator_heap, 1 << 16);
            oto_buffer_init(&found, &oto_allocator_heap, 1 << 16);
            assert_int_equal(oto_config_init(&ours, NULL), OTO_OK);
            assert_int_equal(oto_config_init(&given, NULL), OTO_OK);
            assert_int_equal(loads[k](&given, key->name, key->default_text, NULL), OTO_OK);
            assert_int_equal(oto_config_value_text(&ours, key, &expected), OTO_OK);
            assert_int_equal(oto_config_value_text(&given, key, &found), OTO_OK);
            assert_int_equal(found.size, expected.size);
            assert_memory_equal(found.data, expected.data, found.size);
            oto_buffer_release(&expected);
            oto_buffer_release(&found);
            oto_config_release(&ours);
            oto_config_release(&given);
        }
}

static void flags_add_and_sequences_are_taken_as_they_are(void **state)
{
    (void)state;
    struct oto_config config;
    assert_int_equal(oto_config_init(&config, NULL), OTO_OK);
    struct oto_bytes text =
        OTO_BYTES_LITERAL("promote: [\"with, comma\", b]\n"
                          "listen: [\"127.0.0.1:0,ingest\", \"127.0.0.1:0\"]\n");
    assert_int_equal(oto_config_load_text(&config, text, "a.yaml", NULL), OTO_OK);
    assert_items(&config.promote, "with, comma|b");
    assert_items(&config.listen, "127.0.0.1:0,ingest|127.0.0.1:0");
    assert_int_equal(load_flag(&config, "promote", "c,d", NULL), OTO_OK);
    assert_int_equal(load_flag(&config, "promote", "e", NULL), OTO_OK);
    assert_items(&config.promote, "c|d|e");
    oto_config_release(&config);
}

// What the documentation and messages print can be given.
static void the_ends_of_a_range_can_be_given(void **state)
{
    (void)state;
    for (size_t i = 0; i < oto_config_key_count; i++) {
        const struct oto_config_key *key = &oto_config_keys[i];
        for (int is_max = 0; is_max < 2 && key->type >= OTO_CONFIG_COUNT; is_max++) {
            char text[OTO_CONFIG_NUMBER_MAX];
            struct oto_config config;
            oto_config_number_text(key, is_max ? key->max : key->min, text);
            assert_int_equal(oto_config_init(&config, NULL), OTO_OK);
            assert_int_equal(load_flag(&config, key->name, text, NULL), OTO_OK);
            assert_int_equal(*(uint64_t *)(void *)((char *)&config + key->offset),
                             is_max ? key->max : key->min);
            oto_config_release(&config);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_of_a_range_can_be_given),
        cmocka_unit_test(lists_are_divided_at_commas),
        cmocka_unit_test(addresses_keep_their_roles),
        cmocka_unit_test(empty_items_are_refused),
        cmocka_unit_test(defaults_can_be_given_back),
        cmocka_unit_test(flags_add_and_sequences_are_taken_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
