#include "query_files.h"

#include "base/hash.h"
#include "os/thread.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_MAX 512 // footers kept; each takes some 50 to 150 KiB
// Descriptors that stay open have high numbers: views know files in memory by low ones.
#define FIRST_KEPT 4096
#define VISIT_MAX 256   // files looked at before any is forgotten; less than COUNT_MAX
#define VISIT_THREADS 8 // more than cores: most of them wait for the disk
#define VISIT_SHARE 8   // files to be opened that make a thread worth it
#define FOOTER_BYTES_MAX (64u << 20)
#define TYPE_INT32 1
#define TYPE_INT64 2
#define TYPE_BYTE_ARRAY 6

struct query_footer {
    char *path;
    uint64_t hash; // of path
    struct oto_parquet_reader *reader;
    uint64_t used;    // when
    uint64_t columns; // query_columns_hash
    int fd;           // -1: not open
    int is_kept;      // open, and stays so
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

enum oto_status query_footers_init(struct query_footers *footers)
{
    *footers = (struct query_footers){0};
    footers->items = calloc(COUNT_MAX, sizeof(*footers->items));
    footers->codec = oto_codec_new(&oto_allocator_heap);
    return footers->items && footers->codec ? OTO_OK : OTO_NO_MEMORY;
}

// --- reading ---

static enum oto_status read_at(void *state, uint64_t offset, void *output, size_t size,
                               struct oto_error *err)
{
    const int *fd = state;
    uint8_t *at = output;
    while (size) {
        ssize_t got = pread(*fd, at, size, (off_t)offset);
        if (got <= 0)
            return oto_error_set(err, OTO_IO, "the file cannot be read");
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return OTO_OK;
}

struct oto_parquet_reader *query_footer_open(struct oto_codec *codec, int *fd)
{
    struct stat status;
    struct oto_parquet_reader *reader = NULL;
    struct oto_parquet_read_options options;
    oto_parquet_read_options_default(&options);
    options.page_bytes_max = FOOTER_BYTES_MAX;
    if (fstat(*fd, &status) < 0 || status.st_size <= 0)
        return NULL;
    struct oto_source source = {read_at, fd, (uint64_t)status.st_size};
    if (oto_parquet_open(&source, &options, codec, &oto_allocator_heap, &reader, NULL) < 0)
        return NULL;
    return reader;
}

// --- what is kept ---

static void close_file(struct query_footer *footer)
{
    if (footer->fd >= 0)
        close(footer->fd);
    footer->fd = -1;
    footer->is_kept = 0;
}

static void forget(struct query_footers *footers, size_t index)
{
    struct query_footer *footer = footers->items[index];
    if (footers->last == footer)
        footers->last = NULL;
    oto_parquet_close(footer->reader);
    close_file(footer);
    free(footer->path);
    free(footer);
    footers->items[index] = footers->items[--footers->count];
}

static void forget_oldest(struct query_footers *footers)
{
    size_t oldest = 0;
    for (size_t i = 1; i < footers->count; i++)
        if (footers->items[i]->used < footers->items[oldest]->used)
            oldest = i;
    forget(footers, oldest);
}

static int is_unchanged(const struct query_footer *footer, const struct stat *now)
{
    return footer->device == now->st_dev && footer->inode == now->st_ino &&
           footer->size == now->st_size && footer->changed.tv_sec == now->st_mtim.tv_sec &&
           footer->changed.tv_nsec == now->st_mtim.tv_nsec;
}

// The index of a path's footer, or count.
static size_t find(const struct query_footers *footers, const char *path, uint64_t hash)
{
    size_t i = 0;
    while (i < footers->count &&
           (footers->items[i]->hash != hash || strcmp(footers->items[i]->path, path) != 0))
        i++;
    return i;
}

// Opening a file in a sandbox takes longer than asking whether it is still the same.
static void keep_open(struct query_footer *footer)
{
    int kept = fcntl(footer->fd, F_DUPFD_CLOEXEC, FIRST_KEPT);
    if (kept < 0)
        return;
    close(footer->fd);
    footer->fd = kept;
    footer->is_kept = 1;
}

// Takes fd. NULL: it is no Parquet file, or there is no memory.
static struct query_footer *make(struct oto_codec *codec, const char *path, uint64_t hash, int fd,
                                 const struct stat *now)
{
    struct query_footer *footer = calloc(1, sizeof(*footer));
    if (footer)
        *footer = (struct query_footer){.path = strdup(path),
                                        .hash = hash,
                                        .fd = fd,
                                        .device = now->st_dev,
                                        .inode = now->st_ino,
                                        .size = now->st_size,
                                        .changed = now->st_mtim};
    if (footer && footer->path)
        footer->reader = query_footer_open(codec, &footer->fd);
    if (footer && footer->reader) {
        footer->columns = query_columns_hash(footer->reader);
        keep_open(footer);
        return footer;
    }
    close(fd);
    free(footer ? footer->path : NULL);
    free(footer);
    return NULL;
}

// The file as it is now, open: what is known of it, or a footer that is not among the kept ones.
// NULL: there is none. Any thread, for different files.
static struct query_footer *look_at(struct oto_codec *codec, const char *path, uint64_t hash,
                                    struct query_footer *known)
{
    struct stat now;
    if (known && known->fd >= 0) {
        if (fstatat(AT_FDCWD, path, &now, AT_SYMLINK_NOFOLLOW) == 0 && is_unchanged(known, &now))
            return known;
        close_file(known);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &now) < 0) {
        close(fd);
        return NULL;
    }
    if (!known || !is_unchanged(known, &now))
        return make(codec, path, hash, fd, &now);
    known->fd = fd;
    keep_open(known);
    return known;
}

// Keeps a footer in the place of another of its path.
static void keep(struct query_footers *footers, struct query_footer *footer)
{
    size_t index = find(footers, footer->path, footer->hash);
    footer->used = ++footers->uses;
    if (index < footers->count && footers->items[index] == footer)
        return;
    if (index < footers->count)
        forget(footers, index);
    if (footers->count == COUNT_MAX)
        forget_oldest(footers);
    footers->items[footers->count++] = footer;
}

static struct query_footer *known_of(const struct query_footers *footers, const char *path,
                                     uint64_t hash)
{
    size_t index = find(footers, path, hash);
    return index < footers->count ? footers->items[index] : NULL;
}

struct oto_parquet_reader *query_footer_of(struct query_footers *footers, const char *path)
{
    uint64_t hash = oto_xxh64(path, strlen(path), 0);
    if (footers->last && !footers->last->is_kept)
        close_file(footers->last);
    footers->last = NULL;
    struct query_footer *footer =
        look_at(footers->codec, path, hash, known_of(footers, path, hash));
    if (!footer)
        return NULL;
    keep(footers, footer);
    footers->last = footer;
    return footer->reader;
}

// --- many files ---

// What threads share: each takes the next file that none has.
struct visit {
    struct query_footers *footers;
    const char *const *paths;
    size_t first, count;
    query_visitor foresee, visit;
    void *state;
    struct query_footer *footers_of[VISIT_MAX]; // a file: as it was known, then as it is
    _Atomic size_t next;
};

static struct query_opened opened(const struct query_footer *footer)
{
    return (struct query_opened){footer->reader, footer->columns, (uint64_t)footer->size,
                                 footer->fd};
}

static void *visit_files(void *state)
{
    struct visit *v = state;
    for (size_t i; (i = atomic_fetch_add(&v->next, 1)) < v->count;) {
        const char *path = v->paths[v->first + i];
        struct query_footer *footer =
            look_at(v->footers->codec, path, oto_xxh64(path, strlen(path), 0), v->footers_of[i]);
        v->footers_of[i] = footer;
        struct query_opened file = footer ? opened(footer) : (struct query_opened){0};
        v->visit(v->state, v->first + i, footer ? &file : NULL);
        if (footer && !footer->is_kept)
            close_file(footer);
    }
    return NULL;
}

// How many threads a visit is worth: the disk is waited for together. What is known counts as used
// before anything new is kept, which could be in its place otherwise.
static size_t prepare_visit(struct visit *v)
{
    size_t closed = 0;
    for (size_t i = 0; i < v->count; i++) {
        const char *path = v->paths[v->first + i];
        v->footers_of[i] = known_of(v->footers, path, oto_xxh64(path, strlen(path), 0));
        closed += !v->footers_of[i] || v->footers_of[i]->fd < 0;
        if (v->footers_of[i])
            v->footers_of[i]->used = ++v->footers->uses;
    }
    size_t threads = closed / VISIT_SHARE;
    return threads < VISIT_THREADS ? threads : VISIT_THREADS;
}

static void visit_some(struct visit *v)
{
    struct oto_thread threads[VISIT_THREADS];
    size_t started = 0, count = prepare_visit(v);
    for (size_t i = 0; i < v->count; i++)
        if (v->footers_of[i] && v->footers_of[i]->fd >= 0) {
            struct query_opened file = opened(v->footers_of[i]);
            v->foresee(v->state, v->first + i, &file);
        }
    while (started + 1 < count &&
           oto_thread_start(&threads[started], "query-look", visit_files, v, NULL) == OTO_OK)
        started++;
    (void)visit_files(v);
    while (started)
        oto_thread_join(&threads[--started]);
    for (size_t i = 0; i < v->count; i++)
        if (v->footers_of[i])
            keep(v->footers, v->footers_of[i]);
}

void query_footers_visit(struct query_footers *footers, const char *const *paths, size_t count,
                         query_visitor foresee, query_visitor visit, void *state)
{
    if (footers->last && !footers->last->is_kept)
        close_file(footers->last);
    footers->last = NULL;
    for (size_t first = 0; first < count; first += VISIT_MAX) {
        size_t rest = count - first;
        struct visit v = {.footers = footers,
                          .paths = paths,
                          .first = first,
                          .count = rest < VISIT_MAX ? rest : VISIT_MAX,
                          .foresee = foresee,
                          .visit = visit,
                          .state = state};
        visit_some(&v);
    }
}

void query_footers_close(struct query_footers *footers, int all)
{
    struct stat now;
    for (size_t i = 0; i < footers->count; i++) {
        struct query_footer *footer = footers->items[i];
        int is_used = footer->used > footers->uses_before && !all;
        if (footer->fd >= 0 && !is_used && (all || fstat(footer->fd, &now) < 0 || !now.st_nlink))
            close_file(footer);
    }
    footers->uses_before = footers->uses;
}

// --- columns ---

uint64_t query_columns_hash(const struct oto_parquet_reader *reader)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    uint64_t hash = 0;
    for (uint32_t i = 1; i < m->node_count; i++) {
        const struct oto_parquet_node *node = &m->nodes[i];
        int32_t facts[] = {node->field_id,     node->physical,  node->repetition,
                           node->logical,      node->time_unit, node->is_utc,
                           node->integer_bits, node->is_signed, (int32_t)node->child_count};
        hash = oto_xxh64(node->name.data, node->name.size, hash);
        hash = oto_xxh64(facts, sizeof(facts), hash);
    }
    return hash;
}

uint64_t query_file_columns(struct query_footers *footers, const struct query_file *file)
{
    uint64_t hash = 0;
    int fd = file->info.fd;
    if (fd < 0)
        return query_footer_of(footers, file->info.path) ? footers->last->columns : 0;
    struct oto_parquet_reader *reader = query_footer_open(footers->codec, &fd);
    if (reader)
        hash = query_columns_hash(reader);
    oto_parquet_close(reader);
    return hash;
}

// The node of a top-level column; 0.
static uint32_t find_column(const struct oto_parquet_metadata *m, struct oto_bytes name)
{
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end)
        if (oto_bytes_equal(m->nodes[i].name, name))
            return i;
    return 0;
}

const struct oto_parquet_node *query_leaf_of(const struct oto_parquet_metadata *m,
                                             const struct query_condition *c)
{
    uint32_t column = find_column(m, c->column);
    if (!column)
        return NULL;
    if (!c->key.data)
        return m->nodes[column].child_count == 0 ? &m->nodes[column] : NULL;
    int is_map = m->nodes[column].end == column + 4 && m->nodes[column + 1].child_count == 2 &&
                 oto_bytes_equal_text(m->nodes[column + 3].name, "value");
    return is_map ? &m->nodes[column + 3] : NULL;
}

// --- one condition in one row group ---

static int range_may_match(const struct oto_parquet_node *leaf,
                           const struct oto_parquet_statistics *s, const struct query_condition *c)
{
    int64_t min, max;
    int is_wide = leaf->physical == TYPE_INT64;
    int is_plain = (leaf->logical == 0 && leaf->converted < 0) || leaf->is_signed;
    if (leaf->time_unit && leaf->time_unit != 2)
        return 1;
    if (!is_plain || (!is_wide && leaf->physical != TYPE_INT32) || !s->min.data || !s->max.data ||
        s->min.size != (is_wide ? 8u : 4u) || s->max.size != s->min.size)
        return 1;
    min = is_wide ? (int64_t)oto_load64(s->min.data) : (int32_t)oto_load32(s->min.data);
    max = is_wide ? (int64_t)oto_load64(s->max.data) : (int32_t)oto_load32(s->max.data);
    return min <= c->max && max >= c->min;
}

static int compare(struct oto_bytes a, struct oto_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int value_may_match(struct oto_parquet_reader *reader, uint32_t group,
                           const struct oto_parquet_node *leaf, struct oto_bytes value)
{
    const struct oto_parquet_statistics *s =
        &oto_parquet_metadata_of(reader)->groups[group].chunks[leaf->leaf].statistics;
    int may;
    if (s->min.data && compare(value, s->min) < 0)
        return 0;
    if (s->max.data && compare(value, s->max) > 0)
        return 0;
    enum oto_status status = oto_parquet_bloom_find(
        reader, group, leaf->leaf, oto_xxh64(value.data, value.size, 0), &may, NULL);
    return status != OTO_OK || may;
}

static int condition_may_match(struct oto_parquet_reader *reader, uint32_t group,
                               const struct query_condition *c)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    const struct oto_parquet_node *leaf = query_leaf_of(m, c);
    if (!leaf)
        return 1;
    if (c->is_range)
        return range_may_match(leaf, &m->groups[group].chunks[leaf->leaf].statistics, c);
    if (leaf->physical != TYPE_BYTE_ARRAY)
        return 1;
    for (size_t i = 0; i < c->value_count; i++)
        if (value_may_match(reader, group, leaf, c->values[i]))
            return 1;
    return 0;
}

// --- files ---

int query_group_may_match(struct oto_parquet_reader *reader, uint32_t group,
                          const struct query_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        if (!condition_may_match(reader, group, &scan->conditions[i]))
            return 0;
    return 1;
}

int query_file_may_match(struct oto_parquet_reader *reader, const struct query_scan *scan)
{
    uint32_t count = oto_parquet_metadata_of(reader)->group_count;
    for (uint32_t i = 0; i < count; i++)
        if (query_group_may_match(reader, i, scan))
            return 1;
    return 0;
}
