#ifndef OTO_TEST_READ_ALL_H
#define OTO_TEST_READ_ALL_H

#include "cmocka_all.h"
#include "parquet/parquet_reader.h"

static inline void ok(enum oto_status status)
{
    assert_int_equal(status, OTO_OK);
}

// Reads all of a file and forgets it.
static inline enum oto_status read_all(struct oto_codec *codec, struct oto_bytes bytes,
                                       const struct oto_allocator *allocator,
                                       const struct oto_schema *schema, uint32_t *ret_rows,
                                       struct oto_error *err)
{
    struct oto_source source = oto_source_of_bytes(&bytes);
    struct oto_parquet_reader *reader;
    struct oto_arena arena;
    struct oto_builder builder;
    *ret_rows = 0;
    OTO_TRY(oto_parquet_open(&source, NULL, codec, allocator, &reader, err));
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, 1u << 26);
    enum oto_status status = oto_parquet_select(reader, schema, err);
    if (status == OTO_OK)
        ok(oto_builder_init(&builder, schema, &arena, 1, 64, NULL));
    while (status == OTO_OK) {
        uint32_t rows;
        status = oto_parquet_read(reader, &builder, 500, &rows, err);
        *ret_rows += status == OTO_OK ? rows : 0;
    }
    oto_parquet_close(reader);
    oto_arena_release(&arena);
    return status;
}

#endif
