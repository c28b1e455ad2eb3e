// The files of the tables: their names, which say all that recovery needs, and the list that
// queries choose from.
#include "engine/engine_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR_US 3600000000

struct civil {
    int64_t year;
    unsigned month, day, hour;
};

// The proleptic Gregorian date of an hour since 1970: days are counted from 0000-03-01, so that the
// leap day ends a year.
static struct civil civil_of_hour(int64_t hour)
{
    int64_t days = hour / 24 - (hour % 24 < 0);
    struct civil c = {.hour = (unsigned)(hour - days * 24)};
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    unsigned day_of_era = (unsigned)(shifted - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted_month = (5 * day_of_year + 2) / 153;
    c.day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    c.month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    c.year = (int64_t)year_of_era + era * 400 + (c.month <= 2);
    return c;
}

static int64_t hour_of_civil(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year =
        (153 * (c->month > 2 ? c->month - 3 : c->month + 9) + 2) / 5 + c->day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (era * 146097 + (int64_t)day_of_era - 719468) * 24 + c->hour;
}

static int64_t hour_of_us(int64_t us)
{
    return us / HOUR_US - (us % HOUR_US < 0);
}

void oto_catalogue_name(enum oto_table table, const struct oto_partition *partition, uint32_t shard,
                        uint64_t first_seq, uint64_t last_seq, char *ret_name, size_t size)
{
    struct civil folder = {0};
    int64_t first_hour = hour_of_us(partition->time_min_us);
    struct civil first = civil_of_hour(first_hour);
    int64_t rest_us = partition->time_min_us - first_hour * HOUR_US;
    if (partition->hour != OTO_PARTITION_OVERFLOW)
        folder = civil_of_hour(partition->hour);
    snprintf(ret_name, size,
             "%s/year=%04" PRId64 "/month=%02u/day=%02u/hour=%02u/"
             "%04" PRId64 "%02u%02uT%02u%02u%02u.%06uZ-%u-%" PRIu64 "-%" PRIu64 ".parquet",
             oto_table_folder(table), folder.year, folder.month, folder.day, folder.hour,
             first.year, first.month, first.day, first.hour, (unsigned)(rest_us / 60000000),
             (unsigned)(rest_us / 1000000 % 60), (unsigned)(rest_us % 1000000), shard, first_seq,
             last_seq);
}

enum oto_status oto_catalogue_parse(enum oto_table table, const char *name,
                                    struct oto_catalogue_file *ret_file)
{
    struct civil c;
    char stamp[32];
    int used = 0;
    size_t folder = strlen(oto_table_folder(table));
    if (strncmp(name, oto_table_folder(table), folder) != 0)
        return OTO_INVALID;
    int fields = sscanf(name + folder,
                        "/year=%" SCNd64 "/month=%u/day=%u/hour=%u/"
                        "%31[0-9TZ.]-%u-%" SCNu64 "-%" SCNu64 ".parquet%n",
                        &c.year, &c.month, &c.day, &c.hour, stamp, &ret_file->shard,
                        &ret_file->first_seq, &ret_file->last_seq, &used);
    if (fields != 8 || used == 0 || name[folder + (size_t)used] != 0)
        return OTO_INVALID;
    ret_file->time_min_us = INT64_MIN;
    ret_file->time_max_us = INT64_MAX;
    if (c.year > 0 && c.year < 200000 && c.month >= 1 && c.month <= 12 && c.day <= 31 &&
        c.hour < 24) {
        ret_file->time_min_us = hour_of_civil(&c) * HOUR_US;
        ret_file->time_max_us = ret_file->time_min_us + HOUR_US - 1;
    }
    return OTO_OK;
}

static struct oto_catalogue_file *find_file(struct oto_catalogue_table *table, const char *name)
{
    for (size_t i = table->count; i-- > 0;)
        if (strcmp(table->files[i].name, name) == 0)
            return &table->files[i];
    return NULL;
}

enum oto_status oto_catalogue_reserve(struct oto_catalogue_table *table, size_t more)
{
    if (table->capacity - table->count >= more)
        return OTO_OK;
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    if (capacity < table->count + more)
        capacity = table->count + more;
    struct oto_catalogue_file *grown = realloc(table->files, capacity * sizeof *grown);
    if (!grown)
        return OTO_NO_MEMORY;
    table->files = grown;
    table->capacity = capacity;
    return OTO_OK;
}

// is_new: nobody else can have that name, so that adding needs no search.
static enum oto_status add_file(struct oto_catalogue_table *table,
                                const struct oto_catalogue_file *file, int is_new)
{
    struct oto_catalogue_file *old = is_new ? NULL : find_file(table, file->name);
    if (old) {
        table->size_bytes += file->size_bytes - old->size_bytes;
        free(old->name);
        *old = *file;
        return OTO_OK;
    }
    if (oto_catalogue_reserve(table, 1) < 0) {
        free(file->name);
        return OTO_NO_MEMORY;
    }
    table->files[table->count++] = *file;
    table->size_bytes += file->size_bytes;
    return OTO_OK;
}

enum oto_status oto_catalogue_add(struct oto_catalogue_table *table,
                                  const struct oto_catalogue_file *file)
{
    return add_file(table, file, 0);
}

void oto_catalogue_remove(struct oto_catalogue_table *table, size_t index)
{
    table->size_bytes -= table->files[index].size_bytes;
    free(table->files[index].name);
    table->files[index] = table->files[--table->count];
}

void oto_catalogue_release(struct oto_catalogue_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->files[i].name);
    free(table->files);
    *table = (struct oto_catalogue_table){0};
}

struct loading {
    struct oto_engine *engine;
    enum oto_table table;
};

static enum oto_status load_file(void *state, const struct oto_store_entry *entry,
                                 struct oto_error *err)
{
    struct loading *loading = state;
    struct oto_catalogue_file file = {.size_bytes = entry->size_bytes};
    if (oto_catalogue_parse(loading->table, entry->name, &file) < 0)
        return OTO_OK;
    file.name = strdup(entry->name);
    if (!file.name || add_file(&loading->engine->tables[loading->table], &file, 1) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to list the files");
    return OTO_OK;
}

enum oto_status oto_catalogue_load(struct oto_engine *engine, struct oto_error *err)
{
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        struct loading loading = {.engine = engine, .table = (enum oto_table)table};
        OTO_TRY(engine->store->operations->list(engine->store, oto_table_folder(loading.table),
                                                load_file, &loading, err));
    }
    return OTO_OK;
}
