// A file is there whole under its name, or it is not there.
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

static char path[64];
static struct oto_store *store;

static int setup(void **state)
{
    (void)state;
    strcpy(path, "/tmp/oto-store-XXXXXX");
    assert_non_null(mkdtemp(path));
    return oto_store_open_disk(path, &store, NULL);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    store->operations->close(store);
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command);
}

static int on_disk(const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", path, name);
    return access(full, F_OK) == 0;
}

static enum oto_status put(const char *name, const char *text, int replace)
{
    struct oto_store_upload *upload;
    assert_int_equal(store->operations->begin(store, name, &upload, NULL), OTO_OK);
    assert_int_equal(store->operations->write(upload, text, strlen(text), NULL), OTO_OK);
    return store->operations->publish(upload, replace, NULL);
}

static void assert_content(const char *name, const char *text)
{
    char content[64] = {0};
    size_t size;
    assert_int_equal(store->operations->read(store, name, 0, content, sizeof content, &size, NULL),
                     OTO_OK);
    assert_int_equal(size, strlen(text));
    assert_string_equal(content, text);
}

static void a_published_file_is_read_back(void **state)
{
    (void)state;
    char part[4];
    size_t size;
    assert_int_equal(put("logs/year=2026/a.parquet", "hello", 0), OTO_OK);
    assert_content("logs/year=2026/a.parquet", "hello");
    assert_int_equal(
        store->operations->read(store, "logs/year=2026/a.parquet", 1, part, 3, &size, NULL),
        OTO_OK);
    assert_memory_equal(part, "ell", 3);
    assert_int_equal(store->operations->read(store, "logs/none", 0, part, 3, &size, NULL),
                     OTO_NOT_FOUND);
}

static void a_taken_name_is_replaced_only_on_demand(void **state)
{
    (void)state;
    assert_int_equal(put("logs/a", "old", 0), OTO_OK);
    assert_int_equal(put("logs/a", "new", 0), OTO_EXISTS);
    assert_content("logs/a", "old");
    assert_int_equal(put("logs/a", "new", 1), OTO_OK);
    assert_content("logs/a", "new");
}

struct found {
    int count;
    uint64_t size_bytes;
};
static enum oto_status count(void *state, const struct oto_store_entry *entry,
                             struct oto_error *err)
{
    struct found *found = state;
    (void)err;
    assert_int_equal(strncmp(entry->name, "logs/", 5), 0);
    found->count++;
    found->size_bytes += entry->size_bytes;
    return OTO_OK;
}

static void listing_shows_published_files_only(void **state)
{
    (void)state;
    struct oto_store_upload *upload;
    struct found found = {0};
    assert_int_equal(put("logs/x/1", "123", 0), OTO_OK);
    assert_int_equal(put("logs/y/z/2", "12345", 0), OTO_OK);
    assert_int_equal(put("traces/3", "1", 0), OTO_OK);
    assert_int_equal(store->operations->begin(store, "logs/4", &upload, NULL), OTO_OK);
    assert_int_equal(store->operations->list(store, "logs", count, &found, NULL), OTO_OK);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.size_bytes, 8);
    store->operations->drop(upload);
    assert_false(on_disk("logs/4"));
    assert_int_equal(store->operations->list(store, "metrics/sum", count, &found, NULL), OTO_OK);
    assert_int_equal(store->operations->remove(store, "logs/x/1", NULL), OTO_OK);
    assert_false(on_disk("logs/x/1"));
}

static void leftovers_of_an_earlier_life_go(void **state)
{
    (void)state;
    struct oto_store_upload *upload;
    struct oto_store *again;
    assert_int_equal(store->operations->begin(store, "logs/a", &upload, NULL), OTO_OK);
    assert_true(on_disk(".upload-0"));
    assert_int_equal(oto_store_open_disk(path, &again, NULL), OTO_OK);
    assert_false(on_disk(".upload-0"));
    again->operations->close(again);
    store->operations->drop(upload);
}

static void names_that_leave_the_folder_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",        "/etc/passwd", "../x",   "logs/../../x",
                                        "logs//x", ".hidden",     "logs/.x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct oto_store_upload *upload;
        assert_int_equal(store->operations->begin(store, names[i], &upload, NULL), OTO_INVALID);
        assert_int_equal(store->operations->remove(store, names[i], NULL), OTO_INVALID);
    }
}

static void large_and_small_pieces_keep_their_order(void **state)
{
    (void)state;
    static char big[200000], back[200010];
    struct oto_store_upload *upload;
    size_t size;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7);
    assert_int_equal(store->operations->begin(store, "logs/big", &upload, NULL), OTO_OK);
    assert_int_equal(store->operations->write(upload, "head", 4, NULL), OTO_OK);
    assert_int_equal(store->operations->write(upload, big, sizeof big, NULL), OTO_OK);
    assert_int_equal(store->operations->write(upload, "tail", 4, NULL), OTO_OK);
    assert_int_equal(store->operations->publish(upload, 0, NULL), OTO_OK);
    assert_int_equal(store->operations->read(store, "logs/big", 0, back, sizeof back, &size, NULL),
                     OTO_OK);
    assert_int_equal(size, sizeof big + 8);
    assert_memory_equal(back, "head", 4);
    assert_memory_equal(back + 4, big, sizeof big);
    assert_memory_equal(back + 4 + sizeof big, "tail", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_published_file_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_taken_name_is_replaced_only_on_demand, setup, teardown),
        cmocka_unit_test_setup_teardown(listing_shows_published_files_only, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_of_an_earlier_life_go, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_leave_the_folder_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(large_and_small_pieces_keep_their_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
