// What is read from front to back, and what is written whole or not at all.
#include "cmocka_all.h"
#include "os/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96], link_path[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_stream_XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    (void)snprintf(link_path, sizeof link_path, "%s/link", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(link_path);
    return rmdir(folder); // fails when anything else was left there
}

static void put(const char *text)
{
    struct oto_output output;
    assert_int_equal(oto_output_open(&output, path, NULL), OTO_OK);
    assert_int_equal(oto_output_write(&output, text, strlen(text), NULL), OTO_OK);
    assert_int_equal(oto_output_publish(&output, NULL), OTO_OK);
}

static void assert_file(const char *name, const char *expected)
{
    struct oto_input input;
    char text[64];
    size_t size;
    assert_int_equal(oto_input_open(&input, name, NULL), OTO_OK);
    assert_int_equal(input.is_regular, 1);
    assert_int_equal(input.size_bytes, strlen(expected));
    if (*expected) {
        assert_int_equal(oto_input_read(&input, text, sizeof text, &size, NULL), OTO_OK);
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(text, expected, size);
    }
    assert_int_equal(oto_input_read(&input, text, sizeof text, &size, NULL), OTO_END);
    oto_input_close(&input);
    oto_input_close(&input);
}

static void a_file_appears_when_it_is_whole(void **state)
{
    (void)state;
    struct oto_output output;
    struct oto_input input;
    struct oto_error err;
    assert_int_equal(oto_output_open(&output, path, &err), OTO_OK);
    assert_int_equal(oto_output_write(&output, "hello", 5, &err), OTO_OK);
    assert_int_equal(oto_input_open(&input, path, &err), OTO_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(oto_output_publish(&output, &err), OTO_OK);
    assert_file(path, "hello");
    oto_output_drop(&output);
    assert_file(path, "hello");
}

static void what_is_dropped_leaves_what_was_there(void **state)
{
    (void)state;
    struct oto_output output;
    put("before");
    assert_int_equal(oto_output_open(&output, path, NULL), OTO_OK);
    assert_int_equal(oto_output_write(&output, "after", 5, NULL), OTO_OK);
    oto_output_drop(&output);
    oto_output_drop(&output);
    assert_file(path, "before");
    put("");
    assert_file(path, "");
}

static void only_so_many_are_written_at_a_time(void **state)
{
    (void)state;
    struct oto_output outputs[OTO_OUTPUTS_MAX + 1];
    static char paths[OTO_OUTPUTS_MAX + 1][128];
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i <= OTO_OUTPUTS_MAX; i++) {
            (void)snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
            assert_int_equal(oto_output_open(&outputs[i], paths[i], NULL),
                             i < OTO_OUTPUTS_MAX ? OTO_OK : OTO_TOO_LARGE);
        }
        for (int i = 0; i <= OTO_OUTPUTS_MAX; i++)
            oto_output_drop(&outputs[i]);
    }
}

static void links_are_followed(void **state)
{
    (void)state;
    struct oto_output output;
    struct stat about;
    put("old");
    assert_int_equal(symlink(path, link_path), 0);
    assert_file(link_path, "old");
    assert_int_equal(oto_output_open(&output, link_path, NULL), OTO_OK);
    assert_int_equal(oto_output_write(&output, "new", 3, NULL), OTO_OK);
    assert_int_equal(oto_output_publish(&output, NULL), OTO_OK);
    assert_file(path, "new");
    assert_true(lstat(link_path, &about) == 0 && S_ISLNK(about.st_mode));
}

static void devices_are_written_directly(void **state)
{
    (void)state;
    struct oto_output output;
    struct oto_error err;
    assert_int_equal(oto_output_open(&output, "/dev/null", &err), OTO_OK);
    assert_int_equal(oto_output_write(&output, "gone", 4, &err), OTO_OK);
    assert_int_equal(oto_output_publish(&output, &err), OTO_OK);
    assert_int_equal(oto_output_open(&output, "/dev/full", &err), OTO_OK);
    assert_int_equal(oto_output_write(&output, "full", 4, &err), OTO_NO_SPACE);
    oto_output_drop(&output);
    assert_int_equal(oto_output_open(&output, "/nowhere/at/all", &err), OTO_NOT_FOUND);
    assert_false(oto_path_is_folder("/dev/null"));
    assert_true(oto_path_is_folder(folder));
}

static void a_pipe_becomes_a_file_that_can_be_read_anywhere(void **state)
{
    (void)state;
    struct oto_input input;
    struct oto_error err;
    char text[8];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "0123456789", 10), 10);
    close(ends[1]);
    input = (struct oto_input){.fd = ends[0], .is_owned = 1, .name = "pipe"};
    assert_int_equal(oto_input_spool(&input, &err), OTO_OK);
    assert_int_equal(input.is_regular, 1);
    assert_int_equal(input.size_bytes, 10);
    assert_int_equal(oto_input_read_at(&input, 7, text, 3, &err), OTO_OK);
    assert_memory_equal(text, "789", 3);
    assert_int_equal(oto_input_read_at(&input, 2, text, 4, &err), OTO_OK);
    assert_memory_equal(text, "2345", 4);
    assert_int_equal(oto_input_read_at(&input, 8, text, 4, &err), OTO_IO);
    oto_input_close(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_appears_when_it_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_dropped_leaves_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(only_so_many_are_written_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_are_written_directly, setup, teardown),
        cmocka_unit_test(a_pipe_becomes_a_file_that_can_be_read_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
