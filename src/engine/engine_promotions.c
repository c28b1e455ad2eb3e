// Promoted attributes: "id<TAB>attribute" lines in <data>/promoted. An id is given once and never
// to another attribute. Two attributes may have one name for their column (user.id, user_id), at
// different times: then the one of today has it.
#include "engine/engine_internal.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_ID ((uint32_t)OTO_FIELD_ID_CONFIGURED)
#define LAST_ID 59999u

struct known {
    struct oto_buffer text; // the file
    uint32_t next_id;
};

// The id of an attribute in the file's text; 0.
static uint32_t find_id(const struct known *known, const char *attribute)
{
    const char *line = (const char *)known->text.data, *end = line + known->text.size;
    size_t wanted = strlen(attribute);
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *tab = memchr(line, '\t', (size_t)(end - line));
        if (!stop || !tab || tab > stop)
            return 0;
        uint64_t id;
        if ((size_t)(stop - tab - 1) == wanted && memcmp(tab + 1, attribute, wanted) == 0 &&
            oto_text_to_u64(oto_bytes(line, (size_t)(tab - line)), &id) == OTO_OK)
            return (uint32_t)id;
        line = stop + 1;
    }
    return 0;
}

static enum oto_status check_lines(struct known *known, const char *path, struct oto_error *err)
{
    const char *line = (const char *)known->text.data, *end = line + known->text.size;
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *tab = stop ? memchr(line, '\t', (size_t)(stop - line)) : NULL;
        uint64_t id;
        if (!tab || oto_text_to_u64(oto_bytes(line, (size_t)(tab - line)), &id) < 0 ||
            id < FIRST_ID || id > LAST_ID)
            return oto_error_set(err, OTO_CORRUPT, "%s: a line is not 'id<TAB>attribute'", path);
        if (id >= known->next_id)
            known->next_id = (uint32_t)id + 1;
        line = stop + 1;
    }
    return OTO_OK;
}

static enum oto_status promote(struct oto_engine *engine, struct known *known,
                               const char *attribute, int *ret_is_new, struct oto_error *err)
{
    uint32_t id = find_id(known, attribute);
    if (attribute[0] == 0 || strpbrk(attribute, "\t\n"))
        return oto_error_set(err, OTO_INVALID, "promote: '%s' is not an attribute key", attribute);
    if (id == 0) {
        id = known->next_id++;
        if (id > LAST_ID)
            return oto_error_set(err, OTO_TOO_LARGE, "too many promoted attributes");
        OTO_TRY(oto_buffer_append_format(&known->text, "%u\t%s\n", id, attribute));
        *ret_is_new = 1;
    }
    char *copy = strdup(attribute);
    if (!copy)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for promoted attributes");
    engine->promotions[engine->known_promotion_count++] =
        (struct oto_promotion){.attribute = copy, .field_id = (uint16_t)id};
    return OTO_OK;
}

static int is_promoted(const struct oto_engine *engine, const char *attribute)
{
    for (size_t i = 0; i < engine->known_promotion_count; i++)
        if (strcmp(engine->promotions[i].attribute, attribute) == 0)
            return 1;
    return 0;
}

// The promotion whose column has the attribute's name for it, too; the count: there is none.
static size_t find_namesake(const struct oto_engine *engine, const char *attribute)
{
    char wanted[OTO_COLUMN_NAME_MAX], name[OTO_COLUMN_NAME_MAX];
    size_t i = engine->known_promotion_count;
    if (!oto_column_name_from_attribute(attribute, wanted, sizeof wanted))
        return i;
    for (i = 0; i < engine->known_promotion_count; i++)
        if (oto_column_name_from_attribute(engine->promotions[i].attribute, name, sizeof name) &&
            oto_is_same_column_name(name, wanted))
            break;
    return i;
}

// A name is today's attribute's, else that of the one that comes last. What it held before stays in
// the files, told apart by its id, and in the maps.
static enum oto_status promote_one_kept(struct oto_engine *engine, struct known *known,
                                        const char *attribute, struct oto_error *err)
{
    int is_new = 0;
    size_t namesake = find_namesake(engine, attribute);
    if (namesake == engine->known_promotion_count)
        return promote(engine, known, attribute, &is_new, err);
    engine->reuses_names = 1;
    if (namesake < engine->promotion_count)
        return OTO_OK;
    free((char *)(uintptr_t)engine->promotions[namesake].attribute);
    engine->promotions[namesake] = engine->promotions[--engine->known_promotion_count];
    return promote(engine, known, attribute, &is_new, err);
}

// Every other attribute that was ever promoted in this folder: columns that its files may have.
static enum oto_status promote_kept(struct oto_engine *engine, struct known *known,
                                    struct oto_error *err)
{
    char *lines = oto_bytes_copy_text(&oto_allocator_heap, oto_buffer_view(&known->text));
    enum oto_status status = lines ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    char *rest = NULL;
    for (char *line = lines; status == OTO_OK && (line = strtok_r(line, "\n", &rest));
         line = NULL) {
        const char *attribute = strchr(line, '\t') + 1;
        if (!is_promoted(engine, attribute))
            status = promote_one_kept(engine, known, attribute, err);
    }
    free(lines);
    return status;
}

static enum oto_status append_lines(const struct oto_engine *engine, const struct known *known,
                                    int todays, struct oto_buffer *output)
{
    const char *line = (const char *)known->text.data, *end = line + known->text.size;
    while (line < end) {
        const char *stop = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        const char *tab = memchr(line, '\t', (size_t)(stop - line));
        int is_todays = 0;
        for (size_t i = 0; i < engine->promotion_count; i++)
            is_todays |= oto_bytes_equal_text(oto_bytes(tab + 1, (size_t)(stop - tab - 2)),
                                              engine->promotions[i].attribute);
        if (is_todays == todays)
            OTO_TRY(oto_buffer_append(output, line, (size_t)(stop - line)));
        line = stop;
    }
    return OTO_OK;
}

// Today's come last: so a reader without a configuration knows who has the names now.
static enum oto_status put_todays_last(struct oto_engine *engine, struct known *known,
                                       int *ret_changed, struct oto_error *err)
{
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, known->text.size);
    enum oto_status status = append_lines(engine, known, 0, &text);
    if (status == OTO_OK)
        status = append_lines(engine, known, 1, &text);
    if (status < 0) {
        oto_buffer_release(&text);
        return oto_error_set(err, status, "no memory for promoted attributes");
    }
    *ret_changed |= !oto_bytes_equal(oto_buffer_view(&text), oto_buffer_view(&known->text));
    oto_buffer_release(&known->text);
    known->text = text;
    return OTO_OK;
}

static size_t count_lines(const struct known *known)
{
    size_t count = 0;
    for (size_t i = 0; i < known->text.size; i++)
        count += known->text.data[i] == '\n';
    return count;
}

// Where an attribute that is promoted now cannot have its column, that is refused.
static enum oto_status make_schemas(struct oto_engine *engine, int only_kept, struct oto_error *err)
{
    if (only_kept) // a reader that has no configuration of its own
        engine->promotion_count = engine->known_promotion_count;
    engine->schemas = (only_kept ? oto_schemas_new_known : oto_schemas_new)(
        &oto_allocator_heap, engine->promotions, engine->promotion_count, err);
    if (!engine->schemas && err->status == OTO_EXISTS) // a name; only a folder that is held is so
        err->status = OTO_INVALID;
    return engine->schemas ? OTO_OK : err->status;
}

// What is refused is not remembered.
static enum oto_status load(struct oto_engine *engine, struct known *known, const char *path,
                            struct oto_error *err)
{
    int changed = 0;
    enum oto_status status = oto_engine_read_file(path, &known->text, err);
    if (status < 0 && status != OTO_NOT_FOUND)
        return status;
    oto_error_init(err);
    OTO_TRY(check_lines(known, path, err));
    size_t capacity = engine->options.promote_count + count_lines(known) + 1;
    engine->promotions = calloc(capacity, sizeof *engine->promotions);
    if (!engine->promotions)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for promoted attributes");
    int only_kept = engine->options.promote_kept && known->text.size;
    for (size_t i = 0; i < engine->options.promote_count && !only_kept; i++)
        OTO_TRY(promote(engine, known, engine->promote[i], &changed, err));
    engine->promotion_count = engine->known_promotion_count;
    OTO_TRY(promote_kept(engine, known, err));
    OTO_TRY(make_schemas(engine, only_kept, err));
    if (!only_kept && engine->reuses_names)
        OTO_TRY(put_todays_last(engine, known, &changed, err));
    return changed ? oto_engine_write_file(path, oto_buffer_view(&known->text), err) : OTO_OK;
}

enum oto_status oto_engine_load_promotions(struct oto_engine *engine, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct known known = {.next_id = FIRST_ID};
    snprintf(path, sizeof path, "%s/promoted", engine->data_path);
    oto_buffer_init(&known.text, &oto_allocator_heap, 16u << 20);
    enum oto_status status = load(engine, &known, path, err);
    oto_buffer_release(&known.text);
    return status;
}
