// Messages decoded into the builders of all tables, one row group's worth.
#include "convert/convert_internal.h"

#define ARENA_BLOCK_BYTES ((size_t)1 << 20)
#define GROUP_ROWS 122880u // as the server's
#define GROUP_BYTES ((size_t)128 << 20)
#define CHECKED_BYTES ((size_t)16 << 20)

enum oto_status oto_convert_rows_init(struct oto_convert_rows *r, struct oto_convert *c,
                                      struct oto_error *err)
{
    *r = (struct oto_convert_rows){.c = c};
    oto_arena_init(&r->arena, &oto_allocator_heap, ARENA_BLOCK_BYTES, SIZE_MAX);
    r->schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, err);
    return r->schemas ? oto_convert_rows_reset(r, err) : OTO_NO_MEMORY;
}

void oto_convert_rows_release(struct oto_convert_rows *r)
{
    oto_otlp_decoder_free(r->decoder);
    oto_schemas_free(r->schemas);
    oto_arena_release(&r->arena);
    r->decoder = NULL;
    r->schemas = NULL;
}

enum oto_status oto_convert_rows_reset(struct oto_convert_rows *r, struct oto_error *err)
{
    struct oto_builder *builders[OTO_TABLE_COUNT];
    oto_otlp_decoder_free(r->decoder);
    r->decoder = NULL;
    oto_arena_reset(&r->arena);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        builders[t] = &r->builders[t];
        OTO_TRY(oto_builder_init(builders[t], oto_schemas_table(r->schemas, (enum oto_table)t),
                                 &r->arena, 0, 64, err));
    }
    r->decoder = oto_otlp_decoder_new(&oto_allocator_heap, r->schemas, builders);
    return r->decoder ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "no memory for rows");
}

static enum oto_status decode(struct oto_convert_rows *r, struct oto_bytes message,
                              struct oto_otlp_result *result, struct oto_error *err)
{
    struct oto_otlp_limits limits;
    oto_otlp_limits_default(&limits);
    limits.shared_values_max = 0; // nothing waits in memory here: row groups are cut
    return oto_otlp_decode(r->decoder, r->c->signal, message, r->c->options->received_ns, &limits,
                           result, err);
}

enum oto_status oto_convert_rows_check(struct oto_convert_rows *r, struct oto_bytes message,
                                       struct oto_error *err)
{
    struct oto_otlp_result result;
    OTO_TRY(decode(r, message, &result, err));
    return r->arena.used_bytes > CHECKED_BYTES ? oto_convert_rows_reset(r, err) : OTO_OK;
}

enum oto_status oto_convert_rows_add(struct oto_convert_rows *r, struct oto_bytes message,
                                     struct oto_error *err)
{
    struct oto_otlp_result result;
    const struct oto_convert_options *options = r->c->options;
    OTO_TRY(decode(r, message, &result, err));
    r->c->result->utf8_repaired += result.utf8_repaired;
    if (result.rejected == 0)
        return OTO_OK;
    if (!options->skip_refused)
        return oto_error_set(err, OTO_INVALID,
                             "%s (--skip-refused leaves such items out; here %llu)", result.message,
                             (unsigned long long)result.rejected);
    if (r->c->result->rejected == 0)
        oto_convert_note(r->c, "left out, the first of them because: %s", result.message);
    r->c->result->rejected += result.rejected;
    return OTO_OK;
}

int oto_convert_rows_are_many(const struct oto_convert_rows *r)
{
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        if (r->builders[t].levels[0].count >= GROUP_ROWS)
            return 1;
    return r->arena.used_bytes >= GROUP_BYTES;
}
