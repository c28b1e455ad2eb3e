#include "engine/flush_note.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "wire/json.h"

void oto_flush_note_print(const struct oto_flush_note *note, char ret_text[OTO_FLUSH_NOTE_MAX])
{
    const char *comma = "";
    int size = snprintf(ret_text, OTO_FLUSH_NOTE_MAX,
                        "{\"shard\":%u,\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"rows\":{",
                        note->shard, note->first_seq, note->last_seq);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        if (!note->rows[t])
            continue;
        size += snprintf(ret_text + size, OTO_FLUSH_NOTE_MAX - (size_t)size, "%s\"%s\":%" PRIu64,
                         comma, oto_table_folder((enum oto_table)t), note->rows[t]);
        comma = ",";
    }
    snprintf(ret_text + size, OTO_FLUSH_NOTE_MAX - (size_t)size, "}}");
}

static enum oto_status read_number(struct oto_json_reader *r, uint64_t *ret)
{
    struct oto_bytes text;
    OTO_TRY(oto_json_number(r, &text));
    return oto_text_to_u64(text, ret);
}

static enum oto_status read_rows(struct oto_json_reader *r, struct oto_flush_note *note)
{
    OTO_TRY(oto_json_enter(r));
    for (;;) {
        enum oto_status status = oto_json_member(r);
        struct oto_json_string name;
        uint64_t rows;
        if (status != OTO_OK)
            return status == OTO_END ? OTO_OK : status;
        OTO_TRY(oto_json_name(r, &name));
        OTO_TRY(read_number(r, &rows));
        for (int t = 0; t < OTO_TABLE_COUNT; t++)
            if (oto_bytes_equal_text(name.raw, oto_table_folder((enum oto_table)t)))
                note->rows[t] = rows;
    }
}

static enum oto_status parse(struct oto_bytes text, struct oto_flush_note *note)
{
    struct oto_json_reader r;
    oto_json_reader_init(&r, text, 4);
    if (oto_json_peek(&r) != '{')
        return OTO_INVALID;
    OTO_TRY(oto_json_enter(&r));
    for (;;) {
        enum oto_status status = oto_json_member(&r);
        struct oto_json_string name;
        uint64_t number = 0;
        if (status != OTO_OK)
            return status == OTO_END ? OTO_OK : status;
        OTO_TRY(oto_json_name(&r, &name));
        if (oto_bytes_equal_text(name.raw, "rows")) {
            OTO_TRY(read_rows(&r, note));
            continue;
        }
        OTO_TRY(read_number(&r, &number));
        if (oto_bytes_equal_text(name.raw, "shard"))
            note->shard = (uint32_t)number;
        else if (oto_bytes_equal_text(name.raw, "first"))
            note->first_seq = number;
        else if (oto_bytes_equal_text(name.raw, "last"))
            note->last_seq = number;
    }
}

enum oto_status oto_flush_note_find(const struct oto_parquet_metadata *metadata,
                                    struct oto_flush_note *ret_note)
{
    *ret_note = (struct oto_flush_note){0};
    for (uint32_t i = 0; i < metadata->pair_count; i++)
        if (oto_bytes_equal_text(metadata->pairs[i].key, OTO_FLUSH_NOTE_KEY))
            return parse(metadata->pairs[i].value, ret_note) < 0 ? OTO_INVALID : OTO_OK;
    return OTO_NOT_FOUND;
}

void oto_flush_note_widen(struct oto_flush_note *note, const struct oto_flush_note *other)
{
    struct oto_flush_note before = *note;
    *note = *other;
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        if (note->rows[t] < before.rows[t])
            note->rows[t] = before.rows[t];
}
