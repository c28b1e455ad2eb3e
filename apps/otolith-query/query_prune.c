// Which files a query need not read: by the times that the server knows of each, by the statistics
// and bloom filters of those on disk.
#include "query_files.h"

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

// Whether one of the table's scans may want a row of the file.
static int is_wanted(struct query_views *views, struct query_file *file,
                     const struct query_plan *plan)
{
    struct oto_parquet_reader *reader = NULL;
    for (const struct query_scan *scan = plan->scans; scan; scan = scan->next) {
        if (scan->table != file->info.table || !times_may_match(views, file, scan))
            continue;
        if (scan->count == 0 || file->info.fd >= 0)
            return 1;
        if (!reader)
            reader = query_footer_of(views->footers, file->info.path);
        if (!reader)
            return 1; // DuckDB says what is wrong with it
        file->columns = query_footers_columns(views->footers);
        if (query_file_may_match(reader, scan))
            return 1;
    }
    return 0;
}

void query_prune(struct query_views *views, const struct query_plan *plan, const uint8_t *wanted)
{
    views->scan = (struct oto_query_scan){0};
    for (size_t i = 0; i < views->file_count; i++) {
        struct query_file *file = &views->files[i];
        if (wanted[file->info.table] && !file->info.is_model && is_known(plan, file->info.table))
            file->is_dropped = !is_wanted(views, file, plan);
        views->scan.files += wanted[file->info.table] && !file->info.is_model;
        views->scan.files_read +=
            wanted[file->info.table] && !file->info.is_model && !file->is_dropped;
    }
}
