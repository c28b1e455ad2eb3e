// Which files a query need not read: by the times that the server knows of each, by the statistics
// and bloom filters of those on disk.
#include "query_files.h"

#include <stdatomic.h>
#include <stdlib.h>

#define FORESEEN_MAX 8 // what many files hold is read as it comes

// 0: none. Times first: they need no look at the file.
static int times_may_match(const struct query_views *views, const struct query_file *file,
                           const struct query_scan *scan)
{
    const char *time_name = views->models[scan->table].time_name;
    for (size_t i = 0; i < scan->count && file->info.has_times && time_name; i++) {
        const struct query_condition *c = &scan->conditions[i];
        if (c->is_range && !c->key.data && oto_bytes_equal_text(c->column, time_name) &&
            (c->min > file->info.time_max_us || c->max < file->info.time_min_us))
            return 0;
    }
    return 1;
}

static int is_known(const struct query_plan *plan, size_t table)
{
    for (const struct query_scan *scan = plan->scans; scan; scan = scan->next)
        if (scan->table == table)
            return 1;
    return 0;
}

// --- by what is in the file ---

struct look {
    struct query_views *views;
    const struct query_plan *plan;
    size_t *files; // those that are looked at
    const char **paths;
    size_t count;
    _Atomic size_t foreseen; // files that rows will be looked for in
};

static int is_of(const struct look *look, const struct query_scan *scan,
                 const struct query_file *file)
{
    return scan->table == file->info.table && times_may_match(look->views, file, scan);
}

static void foresee(void *state, size_t index, const struct query_opened *opened)
{
    const struct look *look = state;
    const struct query_file *file = &look->views->files[look->files[index]];
    for (const struct query_scan *scan = look->plan->scans; scan; scan = scan->next)
        if (is_of(look, scan, file))
            query_foresee_filters(opened, scan);
}

static void judge(void *state, size_t index, const struct query_opened *opened)
{
    struct look *look = state;
    struct query_file *file = &look->views->files[look->files[index]];
    if (!opened)
        return; // DuckDB says what is wrong with it
    file->columns = opened->facts->shape->columns;
    file->time_id = opened->facts->shape->time_id;
    for (const struct query_scan *scan = look->plan->scans; scan; scan = scan->next) {
        if (!is_of(look, scan, file) || !query_file_may_match(opened->facts, opened->fd, scan))
            continue;
        if (atomic_fetch_add(&look->foreseen, 1) < FORESEEN_MAX)
            query_foresee_search(opened, scan);
        return;
    }
    file->is_dropped = 1;
}

// Drops a file that no scan may want, puts one on the list that has to be looked at for that.
static void sort_out(struct look *look, size_t index)
{
    struct query_file *file = &look->views->files[index];
    int some = 0, all = 0;
    for (const struct query_scan *scan = look->plan->scans; scan; scan = scan->next) {
        if (!is_of(look, scan, file))
            continue;
        some = 1;
        all |= scan->count == 0;
    }
    file->is_dropped = !some;
    if (!some || all || file->info.fd >= 0)
        return;
    look->files[look->count] = index;
    look->paths[look->count++] = file->info.path;
}

void query_prune(struct query_views *views, const struct query_plan *plan, const uint8_t *wanted)
{
    struct look look = {.views = views, .plan = plan};
    look.files = calloc(views->file_count + 1, sizeof(*look.files));
    look.paths = calloc(views->file_count + 1, sizeof(*look.paths));
    for (size_t i = 0; look.files && look.paths && i < views->file_count; i++) {
        const struct query_file *file = &views->files[i];
        if (wanted[file->info.table] && !file->info.is_model && is_known(plan, file->info.table))
            sort_out(&look, i);
    }
    query_known_visit(views->known, look.paths, look.count, foresee, judge, &look);
    free(look.files);
    free(look.paths);
    views->scan = (struct oto_query_scan){0};
    for (size_t i = 0; i < views->file_count; i++) {
        const struct query_file *file = &views->files[i];
        int counts = wanted[file->info.table] && !file->info.is_model;
        views->scan.files += (unsigned)counts;
        views->scan.files_read += counts && !file->is_dropped;
    }
}
