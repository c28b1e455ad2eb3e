// A store that is a folder. A file is written under a hidden name in the folder's root, synced,
// renamed into place; then the folders above it are synced, so that it stays there after a power
// cut.
#include <stdio.h>
#include <stdlib.h>

#include "os/file.h"
#include "store/store.h"

#define PATH_MAX_BYTES 4096
#define WRITE_BUFFER_BYTES (64u << 10)
// The disk begins with what was written, so much at a time, while the rest is still being made: the
// sync at the end waits for the last part only.
#define BEHIND_BYTES (1u << 20)
#define PAGE_BYTES 4096u
#define TEMPORARY_PREFIX ".upload-"

struct disk_store {
    struct oto_store base;
    char *path;
    _Atomic uint64_t uploads;
};

struct oto_store_upload {
    struct disk_store *store;
    struct oto_file file;
    uint64_t written;
    uint64_t behind; // of these the disk has begun with so many
    size_t buffered;
    char temporary[PATH_MAX_BYTES];
    char name[PATH_MAX_BYTES];
    uint8_t buffer[WRITE_BUFFER_BYTES];
};

// Names are relative, go down only, and hide nothing: they come from our own code and from folder
// listings.
static int name_is_good(const char *name)
{
    if (name[0] == 0 || name[0] == '/' || name[0] == '.' || strstr(name, "/.") != NULL)
        return 0;
    return strstr(name, "//") == NULL;
}

static enum oto_status full_path(const struct disk_store *store, const char *name, char *ret_path,
                                 struct oto_error *err)
{
    if (!name_is_good(name))
        return oto_error_set(err, OTO_INVALID, "bad file name '%s'", name);
    int size = snprintf(ret_path, PATH_MAX_BYTES, "%s/%s", store->path, name);
    if (size < 0 || size >= PATH_MAX_BYTES)
        return oto_error_set(err, OTO_INVALID, "the name '%.64s…' is too long", name);
    return OTO_OK;
}

static enum oto_status disk_begin(struct oto_store *base, const char *name,
                                  struct oto_store_upload **ret_upload, struct oto_error *err)
{
    struct disk_store *store = (struct disk_store *)base;
    struct oto_store_upload *upload = malloc(sizeof *upload);
    if (!upload)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to write %s", name);
    upload->store = store;
    upload->written = upload->behind = upload->buffered = 0;
    enum oto_status status = full_path(store, name, upload->name, err);
    if (status >= 0) {
        int size =
            snprintf(upload->temporary, sizeof upload->temporary, "%s/" TEMPORARY_PREFIX "%llu",
                     store->path, (unsigned long long)store->uploads++);
        if (size < 0 || (size_t)size >= sizeof upload->temporary)
            status = oto_error_set(err, OTO_INVALID, "the store's path is too long");
    }
    if (status >= 0)
        status = oto_file_open(&upload->file, upload->temporary, OTO_FILE_WRITE, err);
    if (status < 0) {
        free(upload);
        return status;
    }
    *ret_upload = upload;
    return OTO_OK;
}

static enum oto_status write_through(struct oto_store_upload *upload, const void *data, size_t size,
                                     struct oto_error *err)
{
    OTO_TRY(oto_file_write_at(&upload->file, upload->written, data, size, err));
    upload->written += size;
    if (upload->written - upload->behind >= BEHIND_BYTES) {
        uint64_t whole = upload->written / PAGE_BYTES * PAGE_BYTES;
        oto_file_write_behind(&upload->file, upload->behind, whole - upload->behind);
        upload->behind = whole;
    }
    return OTO_OK;
}

static enum oto_status flush_buffer(struct oto_store_upload *upload, struct oto_error *err)
{
    OTO_TRY(write_through(upload, upload->buffer, upload->buffered, err));
    upload->buffered = 0;
    return OTO_OK;
}

static enum oto_status disk_write(struct oto_store_upload *upload, const void *data, size_t size,
                                  struct oto_error *err)
{
    if (size > sizeof upload->buffer - upload->buffered)
        OTO_TRY(flush_buffer(upload, err));
    if (size > sizeof upload->buffer)
        return write_through(upload, data, size, err);
    if (size)
        memcpy(upload->buffer + upload->buffered, data, size);
    upload->buffered += size;
    return OTO_OK;
}

static void disk_drop(struct oto_store_upload *upload)
{
    if (!upload)
        return;
    oto_file_close(&upload->file, NULL);
    enum oto_status status = oto_path_remove(upload->temporary, NULL);
    (void)status; // a leftover is removed at the next start
    free(upload);
}

static enum oto_status make_parents(char *path, struct oto_error *err)
{
    char *slash = strrchr(path, '/');
    *slash = 0;
    enum oto_status status = oto_folder_create(path, err);
    *slash = '/';
    return status;
}

// Every folder from the file's own up to the store's: each may be new, and not by our hand alone
// (one that was killed before it could sync, or a query that needed a table's folder).
static enum oto_status sync_parents(const struct disk_store *store, char *path,
                                    struct oto_error *err)
{
    size_t root = strlen(store->path);
    enum oto_status status = OTO_OK;
    for (size_t end = strlen(path); end-- > root && status >= 0;) {
        if (path[end] != '/')
            continue;
        path[end] = 0;
        status = oto_folder_sync(path, err);
        path[end] = '/';
    }
    return status;
}

static enum oto_status publish(struct oto_store_upload *upload, int replace, struct oto_error *err)
{
    int exists = 0;
    OTO_TRY(flush_buffer(upload, err));
    OTO_TRY(oto_file_sync(&upload->file, err));
    OTO_TRY(oto_file_close(&upload->file, err));
    OTO_TRY(make_parents(upload->name, err));
    // The data folder has one owner (its lock), so nobody can come between the two calls.
    if (!replace)
        OTO_TRY(oto_path_exists(upload->name, &exists, err));
    if (exists)
        return oto_error_set(err, OTO_EXISTS, "%s is there already", upload->name);
    OTO_TRY(oto_path_rename(upload->temporary, upload->name, err));
    return sync_parents(upload->store, upload->name, err);
}

static enum oto_status disk_publish(struct oto_store_upload *upload, int replace,
                                    struct oto_error *err)
{
    enum oto_status status = publish(upload, replace, err);
    if (status < 0)
        disk_drop(upload);
    else
        free(upload);
    return status;
}

static enum oto_status disk_settle(struct oto_store *base, const char *name, struct oto_error *err)
{
    const struct disk_store *store = (const struct disk_store *)base;
    char path[PATH_MAX_BYTES];
    OTO_TRY(full_path(store, name, path, err));
    return sync_parents(store, path, err);
}

// --- listing ---

struct listing {
    struct disk_store *store;
    enum oto_status (*visit)(void *state, const struct oto_store_entry *entry,
                             struct oto_error *err);
    void *state;
    char name[PATH_MAX_BYTES]; // of the folder being read, then of an entry
    unsigned depth;
};

#define LISTING_DEPTH_MAX 16

static enum oto_status list_folder(struct listing *listing, struct oto_error *err);

static enum oto_status list_entry(void *state, const struct oto_folder_entry *entry,
                                  struct oto_error *err)
{
    struct listing *listing = state;
    size_t size = strlen(listing->name), more = strlen(entry->name);
    if (entry->name[0] == '.' || size + 1 + more >= sizeof listing->name)
        return OTO_OK;
    listing->name[size] = '/';
    memcpy(listing->name + size + 1, entry->name, more + 1);
    enum oto_status status = OTO_OK;
    if (entry->is_folder && listing->depth < LISTING_DEPTH_MAX)
        status = list_folder(listing, err);
    if (entry->is_file) {
        struct oto_store_entry found = {.name = listing->name, .size_bytes = entry->size_bytes};
        status = listing->visit(listing->state, &found, err);
    }
    listing->name[size] = 0;
    return status;
}

static enum oto_status list_folder(struct listing *listing, struct oto_error *err)
{
    char path[PATH_MAX_BYTES];
    OTO_TRY(full_path(listing->store, listing->name, path, err));
    listing->depth++;
    enum oto_status status = oto_folder_list(path, list_entry, listing, err);
    listing->depth--;
    return status == OTO_NOT_FOUND ? OTO_OK : status;
}

static enum oto_status disk_list(struct oto_store *base, const char *prefix,
                                 enum oto_status (*visit)(void *state,
                                                          const struct oto_store_entry *entry,
                                                          struct oto_error *err),
                                 void *state, struct oto_error *err)
{
    struct listing *listing = malloc(sizeof *listing);
    if (!listing)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to list %s", prefix);
    listing->store = (struct disk_store *)base;
    listing->visit = visit;
    listing->state = state;
    listing->depth = 0;
    snprintf(listing->name, sizeof listing->name, "%s", prefix);
    enum oto_status status = list_folder(listing, err);
    free(listing);
    return status;
}

static enum oto_status disk_read(struct oto_store *base, const char *name, uint64_t offset,
                                 void *data, size_t size, size_t *ret_read, struct oto_error *err)
{
    char path[PATH_MAX_BYTES];
    struct oto_file file;
    size_t got = 0;
    OTO_TRY(full_path((struct disk_store *)base, name, path, err));
    OTO_TRY(oto_file_open(&file, path, OTO_FILE_READ, err));
    enum oto_status status = oto_file_read_at(&file, offset, data, size, &got, err);
    oto_file_close(&file, NULL);
    if (status < 0)
        return status;
    *ret_read = got;
    return OTO_OK;
}

static enum oto_status disk_remove(struct oto_store *base, const char *name, struct oto_error *err)
{
    char path[PATH_MAX_BYTES];
    OTO_TRY(full_path((struct disk_store *)base, name, path, err));
    OTO_TRY(oto_path_remove(path, err));
    return oto_parent_sync(path, err);
}

static void disk_close(struct oto_store *base)
{
    struct disk_store *store = (struct disk_store *)base;
    if (!store)
        return;
    free(store->path);
    free(store);
}

static const struct oto_store_operations disk_operations = {
    .begin = disk_begin,
    .write = disk_write,
    .publish = disk_publish,
    .drop = disk_drop,
    .settle = disk_settle,
    .list = disk_list,
    .read = disk_read,
    .remove = disk_remove,
    .close = disk_close,
};

static enum oto_status remove_leftover(void *state, const struct oto_folder_entry *entry,
                                       struct oto_error *err)
{
    const struct disk_store *store = state;
    char path[PATH_MAX_BYTES];
    if (!entry->is_file || !oto_text_begins_with(entry->name, TEMPORARY_PREFIX))
        return OTO_OK;
    snprintf(path, sizeof path, "%s/%s", store->path, entry->name);
    return oto_path_remove(path, err);
}

enum oto_status oto_store_open_disk(const char *path, struct oto_store **ret_store,
                                    struct oto_error *err)
{
    OTO_TRY(oto_folder_create(path, err));
    struct disk_store *store = calloc(1, sizeof *store);
    if (store)
        store->path = strdup(path);
    if (!store || !store->path) {
        free(store);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a store");
    }
    store->base.operations = &disk_operations;
    enum oto_status status = oto_folder_list(path, remove_leftover, store, err);
    if (status < 0) {
        disk_close(&store->base);
        return status;
    }
    *ret_store = &store->base;
    return OTO_OK;
}
