// Bytes and names: where finished files go. `disk` now; object stores take the same verbs.
// Blocking; any thread.
#ifndef OTO_STORE_STORE_H
#define OTO_STORE_STORE_H

#include "base/bytes.h"

struct oto_store;

// A file on its way in: written piece by piece under a temporary name, then published under its
// real one or dropped.
struct oto_store_upload;

struct oto_store_entry {
    const char *name; // "logs/year=2026/…/x.parquet", relative to the store
    uint64_t size_bytes;
};

struct oto_store_operations {
    OTO_MUST_CHECK enum oto_status (*begin)(struct oto_store *store, const char *name,
                                            struct oto_store_upload **ret_upload,
                                            struct oto_error *err);
    OTO_MUST_CHECK enum oto_status (*write)(struct oto_store_upload *upload, const void *data,
                                            size_t size, struct oto_error *err);
    // Durable and visible under its name, atomically, when this returns. replace 0: OTO_EXISTS when
    // the name is taken. Frees upload, also on failure.
    OTO_MUST_CHECK enum oto_status (*publish)(struct oto_store_upload *upload, int replace,
                                              struct oto_error *err);
    void (*drop)(struct oto_store_upload *upload);
    // What a process published that was killed meanwhile is durable when this returns.
    OTO_MUST_CHECK enum oto_status (*settle)(struct oto_store *store, const char *name,
                                             struct oto_error *err);
    OTO_MUST_CHECK enum oto_status (*list)(
        struct oto_store *store, const char *prefix,
        enum oto_status (*visit)(void *state, const struct oto_store_entry *entry,
                                 struct oto_error *err),
        void *state, struct oto_error *err); // recursive, regular files, no temporary ones
    OTO_MUST_CHECK enum oto_status (*read)(struct oto_store *store, const char *name,
                                           uint64_t offset, void *data, size_t size,
                                           size_t *ret_read, struct oto_error *err);
    OTO_MUST_CHECK enum oto_status (*remove)(struct oto_store *store, const char *name,
                                             struct oto_error *err);
    void (*close)(struct oto_store *store);
};

struct oto_store {
    const struct oto_store_operations *operations;
};

// A folder on a local disk. Leftover temporary files of an earlier life are removed.
OTO_MUST_CHECK enum oto_status oto_store_open_disk(const char *path, struct oto_store **ret_store,
                                                   struct oto_error *err);

#endif
