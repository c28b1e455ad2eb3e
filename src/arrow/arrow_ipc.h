// Arrow's C Data Interface -> the IPC stream format: a schema message, a record batch message for
// each array, an end. What a producer such as DuckDB exports goes out as it lies in memory. Core:
// no system call; buffers grow by their own allocator.
#ifndef OTO_ARROW_ARROW_IPC_H
#define OTO_ARROW_ARROW_IPC_H

#include "base/bytes.h"

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

// The ABI as the Arrow specification gives it, names included.
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

// The message that begins the stream. schema: a struct ("+s") whose children are the columns.
// Borrows. output: empty, or ending at a multiple of 8. OTO_UNSUPPORTED: dictionaries, unions,
// views, run ends; OTO_INVALID, OTO_NO_MEMORY, OTO_TOO_LARGE. Arrow format, "IPC Streaming Format".
OTO_MUST_CHECK enum oto_status oto_arrow_ipc_schema(const struct ArrowSchema *schema,
                                                    struct oto_buffer *output,
                                                    struct oto_error *err);
// The message of a batch of rows. array: as schema says, without an offset. Borrows.
OTO_MUST_CHECK enum oto_status oto_arrow_ipc_batch(const struct ArrowSchema *schema,
                                                   const struct ArrowArray *array,
                                                   struct oto_buffer *output,
                                                   struct oto_error *err);
// What ends the stream.
OTO_MUST_CHECK enum oto_status oto_arrow_ipc_end(struct oto_buffer *output);

#endif
