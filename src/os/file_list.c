#include "os/file_list.h"
#include "os/file.h"
#include "os/stream.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_BYTES_MAX 4096

struct walk {
    int follows;               // links to files
    struct oto_buffer pending; // folders to be listed, texts with a NUL
    const char *folder;
    enum oto_status (*visit)(void *, const char *, uint64_t, struct oto_error *);
    void *state;
};

static enum oto_status see_entry(void *state, const struct oto_folder_entry *entry,
                                 struct oto_error *err)
{
    struct walk *walk = state;
    char path[PATH_BYTES_MAX];
    if (entry->name[0] == '.' || (!entry->is_folder && !entry->is_file && !walk->follows))
        return OTO_OK;
    int size = snprintf(path, sizeof path, "%s/%s", walk->folder, entry->name);
    if (size < 0 || size >= (int)sizeof path)
        return oto_error_set(err, OTO_INVALID, "the path of %.64s is too long", entry->name);
    if (entry->is_folder)
        return oto_buffer_append(&walk->pending, path, (size_t)size + 1);
    uint64_t size_bytes = entry->size_bytes;
    if (!entry->is_file && !oto_input_size(path, &size_bytes))
        return OTO_OK;
    return walk->visit(walk->state, path, size_bytes, err);
}

static enum oto_status see_all(struct walk *walk, const char *folder, struct oto_error *err)
{
    oto_buffer_init(&walk->pending, &oto_allocator_heap, SIZE_MAX / 2);
    enum oto_status status = oto_buffer_append(&walk->pending, folder, strlen(folder) + 1);
    for (size_t at = 0; status >= 0 && at < walk->pending.size;) {
        char path[PATH_BYTES_MAX]; // pending may move
        (void)snprintf(path, sizeof path, "%s", (const char *)walk->pending.data + at);
        walk->folder = path;
        status = oto_folder_list(path, see_entry, walk, err);
        if (status == OTO_NOT_FOUND && at > 0)
            status = OTO_OK;
        at += strlen((const char *)walk->pending.data + at) + 1;
    }
    oto_buffer_release(&walk->pending);
    return status;
}

enum oto_status oto_files_below(const char *folder,
                                enum oto_status (*visit)(void *, const char *, uint64_t,
                                                         struct oto_error *),
                                void *state, struct oto_error *err)
{
    struct walk walk = {.visit = visit, .state = state};
    return see_all(&walk, folder, err);
}

// --- lists ---

enum oto_status oto_file_list_add(struct oto_file_list *list, const char *path,
                                  struct oto_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        char **paths = realloc(list->paths, capacity * sizeof *paths);
        if (!paths)
            return oto_error_set(err, OTO_NO_MEMORY, "no memory for a list of files");
        list->paths = paths;
        list->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a list of files");
    list->paths[list->count++] = copy;
    return OTO_OK;
}

struct wanted {
    struct oto_file_list *list;
    int (*is_wanted)(const char *name);
};

static enum oto_status add_wanted(void *state, const char *path, uint64_t size_bytes,
                                  struct oto_error *err)
{
    const struct wanted *wanted = state;
    (void)size_bytes;
    // A folder stands before every name.
    return wanted->is_wanted(strrchr(path, '/') + 1) ? oto_file_list_add(wanted->list, path, err)
                                                     : OTO_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum oto_status oto_file_list_add_below(struct oto_file_list *list, const char *folder,
                                        int (*is_wanted)(const char *name), struct oto_error *err)
{
    size_t first = list->count;
    struct wanted wanted = {list, is_wanted};
    struct walk walk = {.follows = 1, .visit = add_wanted, .state = &wanted};
    OTO_TRY(see_all(&walk, folder, err));
    if (list->count > first)
        qsort(list->paths + first, list->count - first, sizeof *list->paths, compare_texts);
    return OTO_OK;
}

void oto_file_list_release(struct oto_file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct oto_file_list){.count = 0};
}
