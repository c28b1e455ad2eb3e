#include "engine/begun_flush.h"

#include <stdlib.h>

#include "engine/flush_note.h"

enum oto_status oto_begun_flush_find(struct oto_engine *engine, uint32_t shard, uint64_t first_seq,
                                     uint64_t last_seq, struct oto_begun_flush *ret_flush,
                                     struct oto_error *err)
{
    struct oto_begun_flush *flush = ret_flush;
    *flush = (struct oto_begun_flush){
        .engine = engine, .shard = shard, .first_seq = first_seq, .last_seq = last_seq};
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        const struct oto_catalogue_table *files = &engine->tables[table];
        for (size_t i = 0; i < files->count; i++) {
            const struct oto_catalogue_file *file = &files->files[i];
            if (file->shard != shard || file->first_seq != first_seq || file->last_seq != last_seq)
                continue;
            struct oto_begun_file *grown =
                realloc(flush->files, (flush->count + 1) * sizeof *grown);
            if (grown)
                flush->files = grown;
            char *name = grown ? strdup(file->name) : NULL;
            if (!name)
                return oto_error_set(err, OTO_NO_MEMORY, "no memory to list files");
            grown[flush->count++] =
                (struct oto_begun_file){.name = name, .table = (enum oto_table)table};
        }
    }
    return OTO_OK;
}

void oto_begun_flush_release(struct oto_begun_flush *flush)
{
    for (size_t i = 0; i < flush->count; i++)
        free(flush->files[i].name);
    free(flush->files);
}

// --- whether it is whole ---

static struct oto_catalogue_file *find_file(const struct oto_begun_flush *flush, size_t index)
{
    const struct oto_catalogue_table *files = &flush->engine->tables[flush->files[index].table];
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->files[i].name, flush->files[index].name) == 0)
            return &files->files[i];
    return NULL;
}

struct stored_file {
    struct oto_store *store;
    const char *name;
};

static enum oto_status read_stored(void *state, uint64_t offset, void *output, size_t size,
                                   struct oto_error *err)
{
    const struct stored_file *file = state;
    size_t got = 0;
    OTO_TRY(
        file->store->operations->read(file->store, file->name, offset, output, size, &got, err));
    return got == size ? OTO_OK : oto_error_set(err, OTO_CORRUPT, "%s ends early", file->name);
}

// Its rows, and what it says of its flush, if it does.
static enum oto_status read_footer(const struct oto_begun_flush *flush, size_t index,
                                   struct oto_codec *codec, uint64_t *ret_rows,
                                   struct oto_flush_note *ret_note, int *ret_has_note)
{
    const struct oto_catalogue_file *file = find_file(flush, index);
    struct stored_file stored = {flush->engine->store, flush->files[index].name};
    struct oto_source source = {read_stored, &stored, file ? file->size_bytes : 0};
    struct oto_parquet_reader *reader = NULL;
    struct oto_error why;
    oto_error_init(&why);
    OTO_TRY(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &why));
    const struct oto_parquet_metadata *metadata = oto_parquet_metadata_of(reader);
    *ret_rows = (uint64_t)metadata->row_count;
    *ret_has_note = oto_flush_note_find(metadata, ret_note) == OTO_OK;
    oto_parquet_close(reader);
    return OTO_OK;
}

// What cannot be judged (the disk fails, a newer form) is neither replaced nor written a second
// time.
static int is_damage(enum oto_status status)
{
    return status == OTO_CORRUPT || status == OTO_INVALID || status == OTO_NOT_FOUND;
}

static enum oto_status keep_files(struct oto_begun_flush *flush, struct oto_codec *codec,
                                  int *ret_is_whole, struct oto_error *err)
{
    uint64_t rows[OTO_TABLE_COUNT] = {0};
    struct oto_flush_note said, note = {0};
    int all_say = flush->count > 0;
    for (size_t i = 0; i < flush->count; i++) {
        struct oto_begun_file *file = &flush->files[i];
        uint64_t file_rows = 0;
        int says = 0;
        enum oto_status status = read_footer(flush, i, codec, &file_rows, &said, &says);
        if (status == OTO_NO_MEMORY)
            return oto_error_set(err, status, "no memory to read %s", file->name);
        file->stays = !is_damage(status);
        all_say &= says;
        if (says)
            oto_flush_note_widen(&note, &said);
        rows[file->table] += file_rows;
    }
    *ret_is_whole = all_say && memcmp(rows, note.rows, sizeof rows) == 0;
    return OTO_OK;
}

enum oto_status oto_begun_flush_keep(struct oto_begun_flush *flush, int *ret_is_whole,
                                     struct oto_error *err)
{
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    *ret_is_whole = 0;
    flush->is_damaged = 1;
    if (!codec)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to read files");
    enum oto_status status = keep_files(flush, codec, ret_is_whole, err);
    oto_codec_free(codec);
    return status;
}

// A flush makes one file of a table in a folder.
int oto_begun_flush_has(const struct oto_begun_flush *flush, const char *name)
{
    size_t folder = (size_t)(strrchr(name, '/') - name) + 1;
    for (size_t i = 0; i < flush->count; i++) {
        const struct oto_begun_file *file = &flush->files[i];
        if (file->stays && strncmp(file->name, name, folder) == 0 &&
            !strchr(file->name + folder, '/'))
            return 1;
    }
    return 0;
}

// --- what is left of it ---

static enum oto_status remove_rest(const struct oto_begun_flush *flush, struct oto_error *err)
{
    struct oto_store *store = flush->engine->store;
    for (size_t i = 0; i < flush->count; i++) {
        struct oto_catalogue_table *files = &flush->engine->tables[flush->files[i].table];
        struct oto_catalogue_file *file = find_file(flush, i);
        if (!file || file->row_count > 0) // known: it was written just now
            continue;
        OTO_TRY(store->operations->remove(store, flush->files[i].name, err));
        oto_catalogue_remove(files, (size_t)(file - files->files));
    }
    return OTO_OK;
}

static enum oto_status settle_files(const struct oto_begun_flush *flush, struct oto_error *err)
{
    struct oto_store *store = flush->engine->store;
    for (size_t i = 0; i < flush->count; i++)
        if (flush->files[i].stays)
            OTO_TRY(store->operations->settle(store, flush->files[i].name, err));
    return OTO_OK;
}

enum oto_status oto_begun_flush_finish(const struct oto_begun_flush *flush, struct oto_error *err)
{
    return flush->is_damaged ? settle_files(flush, err) : remove_rest(flush, err);
}
