// The state file of an export: lines of names and values.
#include "export.h"

#include "base/text.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX 4096
#define FIRST_LINE "otolith export 1"

enum oto_status oto_export_state_path(const char *key, char *output, size_t output_size,
                                      struct oto_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char folder[3072];
    if (state && *state)
        (void)snprintf(folder, sizeof(folder), "%s/otolith", state);
    else if (home && *home)
        (void)snprintf(folder, sizeof(folder), "%s/.local/state/otolith", home);
    else
        return oto_error_set(err, OTO_NOT_FOUND,
                             "there is no HOME to keep the state of the export in: name a file "
                             "with --state");
    OTO_TRY(oto_folder_create(folder, err));
    (void)snprintf(output, output_size, "%s/export-%s", folder, key);
    return OTO_OK;
}

// --- reading ---

// The next line's name and value; 0 at the end.
static int next_line(struct oto_bytes *text, struct oto_bytes *ret_name,
                     struct oto_bytes *ret_value)
{
    if (text->size == 0)
        return 0;
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = end ? (size_t)(end - text->data) : text->size;
    const uint8_t *space = memchr(text->data, ' ', size);
    size_t name = space ? (size_t)(space - text->data) : size;
    *ret_name = oto_bytes(text->data, name);
    *ret_value = space ? oto_bytes(space + 1, size - name - 1) : oto_bytes(NULL, 0);
    size_t taken = size + (end != NULL);
    *text = oto_bytes(text->data + taken, text->size - taken);
    return 1;
}

static enum oto_status set_message(struct oto_export_state *state, struct oto_bytes value)
{
    if (value.size >= sizeof(state->message))
        return OTO_INVALID;
    (void)snprintf(state->message, sizeof(state->message), "%.*s", (int)value.size,
                   (const char *)value.data);
    return OTO_OK;
}

static enum oto_status set_line(struct oto_export_state *state, struct oto_bytes name,
                                struct oto_bytes value, int *has_key)
{
    if (oto_bytes_equal_text(name, "export")) {
        *has_key = oto_bytes_equal_text(value, state->key);
        return OTO_OK;
    }
    if (oto_bytes_equal_text(name, "from"))
        return oto_text_to_i64(value, &state->range.from_us);
    if (oto_bytes_equal_text(name, "until"))
        return oto_text_to_i64(value, &state->range.until_us);
    if (oto_bytes_equal_text(name, "begun"))
        return oto_text_to_i64(value, &state->begun_us);
    if (oto_bytes_equal_text(name, "rows"))
        return oto_text_to_u64(value, &state->rows);
    if (oto_bytes_equal_text(name, "rejected"))
        return oto_text_to_u64(value, &state->rejected);
    if (oto_bytes_equal_text(name, "message"))
        return set_message(state, value);
    for (int table = 0; table < OTO_TABLE_COUNT; table++)
        if (oto_bytes_equal_text(name, oto_table_name((enum oto_table)table)))
            return oto_text_to_i64(value, &state->done_us[table]);
    return OTO_INVALID;
}

// Goes past the first line.
static enum oto_status take_first_line(const struct oto_export_state *state, struct oto_bytes *text,
                                       struct oto_error *err)
{
    size_t first = strlen(FIRST_LINE "\n");
    if (text->size < first || memcmp(text->data, FIRST_LINE "\n", first) != 0)
        return oto_error_set(err, OTO_INVALID, "%s is not the state of an export", state->path);
    *text = oto_bytes(text->data + first, text->size - first);
    return OTO_OK;
}

static enum oto_status parse(struct oto_export_state *state, struct oto_bytes text,
                             struct oto_error *err)
{
    struct oto_bytes name, value;
    int has_key = 0;
    OTO_TRY(take_first_line(state, &text, err));
    while (next_line(&text, &name, &value))
        if (set_line(state, name, value, &has_key) < 0)
            return oto_error_set(err, OTO_INVALID, "%s: '%.*s' is not understood", state->path,
                                 (int)name.size, (const char *)name.data);
    if (!has_key)
        return oto_error_set(err, OTO_INVALID,
                             "%s is the state of another export: name another file, or start over "
                             "with --restart",
                             state->path);
    return OTO_OK;
}

// OTO_END: there is no file.
static enum oto_status read_file(const char *path, char text[FILE_MAX], size_t *ret_size,
                                 struct oto_error *err)
{
    struct oto_file file;
    enum oto_status status = oto_file_open(&file, path, OTO_FILE_READ, err);
    if (status == OTO_NOT_FOUND)
        return OTO_END;
    OTO_TRY(status);
    status = oto_file_read_at(&file, 0, text, FILE_MAX, ret_size, err);
    (void)oto_file_close(&file, NULL);
    return status < 0 ? status : OTO_OK; // it may well be shorter than text
}

enum oto_status oto_export_state_read(struct oto_export_state *state, struct oto_error *err)
{
    char text[FILE_MAX];
    size_t size = 0;
    enum oto_status status = read_file(state->path, text, &size, err);
    return status == OTO_OK ? parse(state, oto_bytes(text, size), err) : status;
}

enum oto_status oto_export_state_forget(const struct oto_export_state *state, struct oto_error *err)
{
    char file[FILE_MAX];
    size_t size = 0;
    enum oto_status status = read_file(state->path, file, &size, err);
    struct oto_bytes text = oto_bytes(file, size);
    if (status != OTO_OK)
        return status < 0 ? status : OTO_OK;
    OTO_TRY(take_first_line(state, &text, err));
    return oto_path_remove(state->path, err);
}

// --- writing ---

static enum oto_status write_file(const char *path, struct oto_bytes text, struct oto_error *err)
{
    struct oto_file file;
    OTO_TRY(oto_file_open(&file, path, OTO_FILE_WRITE, err));
    enum oto_status status = oto_file_write_at(&file, 0, text.data, text.size, err);
    if (status == OTO_OK)
        status = oto_file_sync(&file, err);
    enum oto_status closed = oto_file_close(&file, status < 0 ? NULL : err);
    return status < 0 ? status : closed;
}

enum oto_status oto_export_state_write(const struct oto_export_state *state, struct oto_error *err)
{
    char text[FILE_MAX], path[sizeof(state->path) + 8];
    int size = snprintf(text, sizeof(text),
                        FIRST_LINE "\nexport %s\nfrom %" PRId64 "\nuntil %" PRId64
                                   "\nbegun %" PRId64 "\nrows %" PRIu64 "\n",
                        state->key, state->range.from_us, state->range.until_us, state->begun_us,
                        state->rows);
    for (int table = 0; table < OTO_TABLE_COUNT; table++)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "%s %" PRId64 "\n",
                         oto_table_name((enum oto_table)table), state->done_us[table]);
    if (state->rejected)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "rejected %" PRIu64 "\n",
                         state->rejected);
    if (*state->message) // of one line: oto_otlp_outcome has no other
        size += snprintf(text + size, sizeof(text) - (size_t)size, "message %s\n", state->message);
    (void)snprintf(path, sizeof(path), "%s.new", state->path);
    OTO_TRY(write_file(path, oto_bytes(text, (size_t)size), err));
    OTO_TRY(oto_path_rename(path, state->path, err));
    return oto_parent_sync(state->path, err);
}

void oto_export_state_remove(const struct oto_export_state *state)
{
    (void)!oto_path_remove(state->path, NULL);
}
