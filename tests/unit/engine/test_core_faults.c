// The n-th allocation fails, for every n, in what the core does with a request: JSON to protobuf
// and back, protobuf to rows, rows to order and file. Each says "no memory", gives back what it
// took, leaves rows as they were, and does it all when asked again.
//
// The requests are the seeds of the fuzz targets.
#include "cmocka_all.h"
#include "fault_points.h"

#include <dirent.h>
#include <stdio.h>

#include "codec/compress.h"
#include "otlp/otlp_decode.h"
#include "otlp/otlp_json.h"
#include "parquet/parquet_writer.h"
#include "telemetry/order.h"

#define INPUTS_MAX 64
#define BYTES_MAX (64u << 10)
#define LIMIT ((size_t)1 << 24)

struct input {
    enum oto_signal signal;
    uint8_t *bytes;
    size_t size;
};

static void read_inputs(const char *entry, struct input *inputs, size_t *count)
{
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/%s", OTO_SOURCE_DIR, entry);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry_; (entry_ = readdir(folder)) && *count < INPUTS_MAX;) {
        if (entry_->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/fuzz/corpus/%s/%s", OTO_SOURCE_DIR, entry, entry_->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        struct input *input = &inputs[*count];
        int signal = getc(file);
        input->bytes = malloc(BYTES_MAX);
        input->size = fread(input->bytes, 1, BYTES_MAX, file);
        fclose(file);
        if (signal == EOF || input->size == 0) {
            free(input->bytes);
            continue;
        }
        input->signal = (enum oto_signal)(signal % OTO_SIGNAL_COUNT);
        ++*count;
    }
    closedir(folder);
    assert_true(*count > 0);
}

static void inputs_release(struct input *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(inputs[i].bytes);
}

static void must_be_no_memory(enum oto_status status, const struct oto_error *err)
{
    if (status != OTO_NO_MEMORY || err->message[0] == 0)
        fail_msg("%s: %s", oto_status_name(status), err->message);
}

// --- texts ---

typedef enum oto_status (*rewrite)(enum oto_signal signal, struct oto_bytes input,
                                   struct oto_buffer *output, struct oto_error *err);

static enum oto_status from_json(enum oto_signal signal, struct oto_bytes input,
                                 struct oto_buffer *output, struct oto_error *err)
{
    return oto_otlp_json_to_protobuf(signal, input, NULL, output, err);
}

static enum oto_status from_lines(enum oto_signal signal, struct oto_bytes input,
                                  struct oto_buffer *output, struct oto_error *err)
{
    return oto_otlp_json_lines_to_protobuf(signal, input, NULL, output, err);
}

static unsigned rewrite_at_every(rewrite run, const struct input *input)
{
    struct oto_bytes bytes = oto_bytes(input->bytes, input->size);
    struct oto_buffer clean, output;
    struct oto_error err;
    oto_buffer_init(&clean, &oto_allocator_heap, LIMIT);
    enum oto_status expected = run(input->signal, bytes, &clean, &err);
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        oto_error_init(&err);
        oto_buffer_init(&output, &oto_allocator_heap, LIMIT);
        fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
        enum oto_status status = run(input->signal, bytes, &output, &err);
        fault_disarm();
        int hit = atomic_load(&fault.hits) > 0;
        if (hit && status != expected) {
            must_be_no_memory(status, &err);
            failures++;
            output.size = 0;
            status = run(input->signal, bytes, &output, &err); // the same buffer goes on
        }
        assert_int_equal(status, expected);
        assert_true(status < 0 ||
                    oto_bytes_equal(oto_buffer_view(&output), oto_buffer_view(&clean)));
        oto_buffer_release(&output);
        if (!hit)
            break;
    }
    oto_buffer_release(&clean);
    return failures;
}

static void json_is_rewritten_or_not_for_want_of_memory(void **state)
{
    (void)state;
    static struct input inputs[INPUTS_MAX];
    size_t count = 0;
    unsigned failures = 0;
    read_inputs("otlp_json", inputs, &count);
    for (size_t i = 0; i < count; i++) {
        failures += rewrite_at_every(from_json, &inputs[i]);
        failures += rewrite_at_every(from_lines, &inputs[i]);
    }
    inputs_release(inputs, count);
    count = 0;
    read_inputs("otlp_decode", inputs, &count);
    for (size_t i = 0; i < count; i++)
        failures += rewrite_at_every(oto_otlp_protobuf_to_json, &inputs[i]);
    inputs_release(inputs, count);
    assert_true(failures > 10);
}

// --- rows ---

struct rows {
    struct oto_arena arena;
    struct oto_builder builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder;
};

static enum oto_status rows_init(struct rows *rows, const struct oto_schemas *schemas)
{
    struct oto_builder *list[OTO_TABLE_COUNT];
    *rows = (struct rows){0};
    oto_arena_init(&rows->arena, &oto_allocator_heap, 1u << 12, LIMIT); // small: many blocks
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &rows->builders[t];
        OTO_TRY(oto_builder_init(list[t], oto_schemas_table(schemas, (enum oto_table)t),
                                 &rows->arena, 1, 4, NULL));
    }
    rows->decoder = oto_otlp_decoder_new(&oto_allocator_heap, schemas, list);
    return rows->decoder ? OTO_OK : OTO_NO_MEMORY;
}

static void rows_release(struct rows *rows)
{
    oto_otlp_decoder_free(rows->decoder);
    oto_arena_release(&rows->arena);
}

static enum oto_status decode(struct rows *rows, const struct input *input,
                              struct oto_otlp_result *result, struct oto_error *err)
{
    struct oto_otlp_limits limits;
    oto_otlp_limits_default(&limits);
    oto_error_init(err);
    return oto_otlp_decode(rows->decoder, input->signal, oto_bytes(input->bytes, input->size), 1,
                           &limits, result, err);
}

// With rows of the same request there already, or none.
static int decode_with_fault(const struct oto_schemas *schemas, const struct input *input,
                             uint64_t n, int has_rows, unsigned *failures)
{
    static uint32_t before[4096], after[4096];
    struct oto_otlp_result clean, result;
    struct oto_error err;
    struct rows rows, others;
    assert_int_equal(rows_init(&others, schemas), OTO_OK);
    enum oto_status expected = decode(&others, input, &clean, &err);
    rows_release(&others);
    assert_int_equal(rows_init(&rows, schemas), OTO_OK);
    if (has_rows)
        assert_int_equal(decode(&rows, input, &result, &err), expected);
    size_t size = oto_otlp_mark_size(rows.decoder, input->signal);
    assert_true(size <= sizeof before);
    oto_otlp_mark(rows.decoder, input->signal, before);
    fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
    enum oto_status status = decode(&rows, input, &result, &err);
    fault_disarm();
    int hit = atomic_load(&fault.hits) > 0;
    if (status != expected) {
        must_be_no_memory(status, &err);
        ++*failures;
        oto_otlp_mark(rows.decoder, input->signal, after);
        assert_memory_equal(before, after, size);
        status = decode(&rows, input, &result, &err);
    }
    assert_int_equal(status, expected);
    if (status >= 0) {
        assert_int_equal(result.accepted, clean.accepted);
        assert_memory_equal(result.rows, clean.rows, sizeof clean.rows);
    }
    rows_release(&rows);
    return hit;
}

static void requests_are_decoded_or_leave_no_row(void **state)
{
    (void)state;
    static struct input inputs[INPUTS_MAX];
    size_t count = 0;
    unsigned failures = 0;
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    read_inputs("otlp_decode", inputs, &count);
    read_inputs("otlp_roundtrip", inputs, &count);
    for (size_t i = 0; i < 2 * count; i++)
        for (uint64_t n = 1; decode_with_fault(schemas, &inputs[i / 2], n, (int)(i & 1), &failures);
             n++)
            ;
    assert_true(failures > 10);
    inputs_release(inputs, count);
    oto_schemas_free(schemas);
}

static void tables_are_made_or_not(void **state)
{
    (void)state;
    struct oto_promotion promotion = {"acme.tenant", 10000};
    for (uint64_t n = 1;; n++) {
        struct oto_error err;
        struct rows rows;
        oto_error_init(&err);
        fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
        struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, &promotion, 1, &err);
        if (schemas && rows_init(&rows, schemas) >= 0)
            assert_true(atomic_load(&fault.hits) == 0);
        fault_disarm();
        if (schemas)
            rows_release(&rows);
        oto_schemas_free(schemas);
        if (atomic_load(&fault.hits) == 0)
            break;
    }
}

// --- files ---

static enum oto_status swallow(void *state, const void *data, size_t size, struct oto_error *err)
{
    uint64_t *sum = state;
    (void)err;
    for (size_t i = 0; i < size; i++)
        *sum = *sum * 31 + ((const uint8_t *)data)[i];
    return OTO_OK;
}

static enum oto_status order_and_write(enum oto_table table, const struct oto_batch *batch,
                                       struct oto_codec *codec, uint64_t *ret_sum,
                                       struct oto_error *err)
{
    struct oto_partition partitions[8];
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_sink sink = {.write = swallow, .state = ret_sum};
    uint32_t count = batch->row_count, partition_count;
    uint32_t *order = malloc(count * sizeof *order);
    *ret_sum = 0;
    if (!order)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to sort");
    oto_parquet_options_default(&options);
    options.created_by = "test";
    enum oto_status status = oto_table_order(table, batch, 0, count, &oto_allocator_heap, order,
                                             partitions, 8, &partition_count, err);
    if (status >= 0)
        status = oto_parquet_write(batch, order, count, &options, codec, &oto_allocator_heap, &sink,
                                   &result, err);
    free(order);
    return status;
}

static unsigned write_at_every(enum oto_table table, const struct oto_batch *batch)
{
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    uint64_t clean, sum;
    unsigned failures = 0;
    assert_int_equal(order_and_write(table, batch, codec, &clean, &err), OTO_OK);
    for (uint64_t n = 1;; n++) {
        struct oto_codec *fresh = oto_codec_new(&oto_allocator_heap);
        oto_error_init(&err);
        fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
        enum oto_status status = order_and_write(table, batch, fresh, &sum, &err);
        fault_disarm();
        int hit = atomic_load(&fault.hits) > 0;
        if (status < 0) {
            must_be_no_memory(status, &err);
            failures++;
            assert_int_equal(order_and_write(table, batch, fresh, &sum, &err), OTO_OK);
        }
        assert_true(sum == clean); // the same file, byte for byte
        oto_codec_free(fresh);
        if (!hit)
            break;
    }
    oto_codec_free(codec);
    return failures;
}

static void files_are_written_or_not_for_want_of_memory(void **state)
{
    (void)state;
    static struct input inputs[INPUTS_MAX];
    size_t count = 0;
    unsigned failures = 0;
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    struct oto_otlp_result result;
    struct oto_error err;
    struct rows rows;
    assert_int_equal(rows_init(&rows, schemas), OTO_OK);
    read_inputs("otlp_decode", inputs, &count);
    read_inputs("otlp_roundtrip", inputs, &count);
    for (size_t i = 0; i < count; i++)
        if (decode(&rows, &inputs[i], &result, &err) < 0)
            continue;
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        struct oto_batch batch;
        assert_int_equal(oto_builder_view(&rows.builders[t], &oto_allocator_heap, &batch), OTO_OK);
        if (batch.row_count > 0)
            failures += write_at_every((enum oto_table)t, &batch);
        oto_batch_release(&batch);
    }
    assert_true(failures > 10);
    rows_release(&rows);
    inputs_release(inputs, count);
    oto_schemas_free(schemas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_rewritten_or_not_for_want_of_memory),
        cmocka_unit_test(requests_are_decoded_or_leave_no_row),
        cmocka_unit_test(tables_are_made_or_not),
        cmocka_unit_test(files_are_written_or_not_for_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
