// The core as a WebAssembly module: one OTLP request in, Parquet files out. The host copies a
// request into memory from otolith_alloc, calls otolith_convert, and copies each file's bytes out
// before the next call. Imports nothing but WASI's process functions, of which none is called on
// the way. One request at a time; the module's only state is `module`. zstd is not in the module,
// so its files are uncompressed.
#include "otlp/otlp_decode.h"
#include "otlp/otlp_json.h"
#include "parquet/parquet_writer.h"
#include "telemetry/tables.h"

#define EXPORT(name) __attribute__((export_name(#name))) name
#define ARENA_BLOCK_BYTES (256u << 10)
#define REQUEST_BYTES_MAX (64u << 20)
#define FILE_BYTES_MAX (256u << 20)

struct file {
    enum oto_table table;
    uint32_t row_count;
    struct oto_buffer bytes;
};

static struct {
    struct file files[OTO_TABLE_COUNT];
    int32_t file_count;
    uint32_t rejected;
    struct oto_error error;
} module;

// Memory for a request of that size; NULL when there is none.
uint8_t *EXPORT(otolith_alloc)(uint32_t size_bytes)
{
    return oto_alloc(&oto_allocator_heap, size_bytes);
}
void EXPORT(otolith_free)(uint8_t *block, uint32_t size_bytes)
{
    oto_free(&oto_allocator_heap, block, size_bytes);
}

static void forget_files(void)
{
    for (int32_t i = 0; i < module.file_count; i++)
        oto_buffer_release(&module.files[i].bytes);
    module.file_count = 0;
    module.rejected = 0;
    oto_error_init(&module.error);
}

static enum oto_status append_to_file(void *state, const void *data, size_t size,
                                      struct oto_error *err)
{
    (void)err;
    return oto_buffer_append(state, data, size);
}

// Sorts a table's rows and writes them as one file; the host decides where it goes.
static enum oto_status write_table(enum oto_table table, const struct oto_batch *batch,
                                   struct oto_codec *codec, struct oto_error *err)
{
    const struct oto_allocator *heap = &oto_allocator_heap;
    size_t order_bytes = (size_t)batch->row_count * sizeof(uint32_t);
    uint32_t *order = oto_alloc(heap, order_bytes);
    if (!order)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to sort %u rows", batch->row_count);
    struct oto_partition partition; // one: hours beyond the first share the overflow partition
    uint32_t partition_count;
    enum oto_status status = oto_table_order(table, batch, 0, batch->row_count, heap, order,
                                             &partition, 1, &partition_count, err);

    struct file *file = &module.files[module.file_count];
    if (status == OTO_OK) {
        struct oto_parquet_options options;
        oto_parquet_options_default(&options);
        options.compression = OTO_COMPRESSION_NONE;
        options.sorted_by_count = oto_table_sorted_by(table, &options.sorted_by);
        *file = (struct file){.table = table, .row_count = batch->row_count};
        oto_buffer_init(&file->bytes, heap, FILE_BYTES_MAX);
        module.file_count++;
        struct oto_sink sink = {append_to_file, &file->bytes};
        struct oto_parquet_result result;
        status = oto_parquet_write(batch, order, batch->row_count, &options, codec, heap, &sink,
                                   &result, err);
    }
    oto_free(heap, order, order_bytes);
    return status;
}

static enum oto_status write_tables(struct oto_builder *const *builders, struct oto_codec *codec,
                                    struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    for (int table = 0; table < OTO_TABLE_COUNT && status == OTO_OK; table++) {
        struct oto_batch batch;
        if (builders[table]->levels[0].count == 0)
            continue;
        status = oto_builder_view(builders[table], &oto_allocator_heap, &batch);
        if (status != OTO_OK)
            break;
        status = write_table((enum oto_table)table, &batch, codec, err);
        oto_batch_release(&batch);
    }
    return status;
}

static enum oto_status convert(enum oto_signal signal, struct oto_bytes message,
                               uint64_t received_ns, uint64_t hash_seed, struct oto_arena *arena,
                               struct oto_error *err)
{
    const struct oto_allocator *heap = &oto_allocator_heap;
    struct oto_builder storage[OTO_TABLE_COUNT];
    struct oto_builder *builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder = NULL;
    struct oto_codec *codec = oto_codec_new(heap);
    struct oto_schemas *schemas = oto_schemas_new(heap, NULL, 0, err);
    enum oto_status status = OTO_NO_MEMORY;
    if (!schemas || !codec)
        goto done;
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        builders[table] = &storage[table];
        status =
            oto_builder_init(builders[table], oto_schemas_table(schemas, (enum oto_table)table),
                             arena, hash_seed, 1024, err);
        if (status != OTO_OK)
            goto done;
    }
    status = OTO_NO_MEMORY;
    decoder = oto_otlp_decoder_new(heap, schemas, builders);
    if (!decoder)
        goto done;
    struct oto_otlp_limits limits;
    struct oto_otlp_result result;
    oto_otlp_limits_default(&limits);
    status = oto_otlp_decode(decoder, signal, message, received_ns, &limits, &result, err);
    if (status != OTO_OK)
        goto done;
    module.rejected = (uint32_t)result.rejected;
    status = write_tables(builders, codec, err);
done:
    oto_otlp_decoder_free(decoder);
    oto_schemas_free(schemas);
    oto_codec_free(codec);
    return status;
}

// Converts one request: signal 0 logs, 1 traces, 2 metrics; is_json for OTLP/JSON. received_ns:
// the wall clock. hash_seed: random, the host's. Returns the number of files, one a table that
// got rows, or a negative enum oto_status.
int32_t EXPORT(otolith_convert)(uint32_t signal, uint32_t is_json, const uint8_t *data,
                                uint32_t size, uint64_t received_ns, uint64_t hash_seed)
{
    struct oto_bytes message = oto_bytes(data, size);
    struct oto_buffer protobuf;
    struct oto_arena arena;
    enum oto_status status = OTO_OK;

    forget_files();
    oto_buffer_init(&protobuf, &oto_allocator_heap, REQUEST_BYTES_MAX);
    oto_arena_init(&arena, &oto_allocator_heap, ARENA_BLOCK_BYTES, FILE_BYTES_MAX);
    if (signal >= OTO_SIGNAL_COUNT)
        status = oto_error_set(&module.error, OTO_INVALID, "no signal %u", signal);
    else if (is_json) {
        status = oto_otlp_json_to_protobuf((enum oto_signal)signal, message, NULL, &protobuf,
                                           &module.error);
        message = oto_bytes(protobuf.data, protobuf.size);
    }
    if (status == OTO_OK)
        status = convert((enum oto_signal)signal, message, received_ns, hash_seed, &arena,
                         &module.error);
    oto_arena_release(&arena);
    oto_buffer_release(&protobuf);
    if (status == OTO_OK)
        return module.file_count;
    struct oto_error error = module.error;
    forget_files();
    module.error = error;
    return status;
}

// Of the last otolith_convert. Views: valid until the next call of it.
const char *EXPORT(otolith_error)(void)
{
    return module.error.message;
}
uint32_t EXPORT(otolith_rejected)(void)
{
    return module.rejected;
}
const char *EXPORT(otolith_file_table)(uint32_t index)
{
    return oto_table_folder(module.files[index].table);
}
uint32_t EXPORT(otolith_file_rows)(uint32_t index)
{
    return module.files[index].row_count;
}
const uint8_t *EXPORT(otolith_file_data)(uint32_t index)
{
    return module.files[index].bytes.data;
}
uint32_t EXPORT(otolith_file_size)(uint32_t index)
{
    return (uint32_t)module.files[index].bytes.size;
}
