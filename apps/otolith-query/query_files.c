#include "query_files.h"

#include "base/hash.h"
#include "os/clock.h"
#include "os/thread.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) // tests reach the limits by some hundred files
#define KNOWN_BYTES_MAX (1u << 20)
#define OPEN_MAX 256
#else
#define KNOWN_BYTES_MAX (64u << 20) // some fifteen thousand files
#define OPEN_MAX 4096
#endif
// Descriptors that stay open have high numbers: views know files in memory by low ones.
#define FIRST_KEPT 4096
#define FIRST_CAPACITY 64
#define VISIT_MAX 256   // files looked at side by side
#define VISIT_THREADS 8 // more than cores: most of them wait for the disk
#define VISIT_SHARE 8   // files to be opened that make a thread worth it
#define LOOK_NS 1000000000u
#define FOOTER_BYTES_MAX (64u << 20)

struct query_known_file {
    char *path;
    uint64_t hash; // of path
    struct query_facts *facts;
    uint64_t visited; // the latest visit
    int fd;           // -1: not open
    int is_kept;      // open, and stays so
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

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

struct oto_parquet_reader *query_reader_open(struct oto_codec *codec, int *fd)
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

static struct query_facts *read_facts(struct oto_codec *codec, int *fd)
{
    struct oto_parquet_reader *reader = query_reader_open(codec, fd);
    struct query_facts *facts = reader ? query_facts_make(reader) : NULL;
    oto_parquet_close(reader);
    return facts;
}

// --- what is kept ---

static size_t bytes_of(const struct query_known_file *file)
{
    return sizeof(*file) + strlen(file->path) + query_facts_bytes(file->facts);
}

static void close_file(struct query_known *known, struct query_known_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->is_kept)
        atomic_fetch_sub(&known->open_count, 1);
    file->fd = -1;
    file->is_kept = 0;
}

static void free_file(struct query_known *known, struct query_known_file *file)
{
    close_file(known, file);
    query_facts_free(file->facts);
    free(file->path);
    free(file);
}

// The place of a path in the index: of its item, or where it would be.
static size_t place_of(const struct query_known *known, const char *path, uint64_t hash)
{
    size_t mask = 2 * known->capacity - 1, place = (size_t)hash & mask;
    for (; known->index[place]; place = (place + 1) & mask) {
        const struct query_known_file *file = known->items[known->index[place] - 1];
        if (file->hash == hash && strcmp(file->path, path) == 0)
            break;
    }
    return place;
}

static struct query_known_file *find(const struct query_known *known, const char *path,
                                     uint64_t hash)
{
    uint32_t number = known->index[place_of(known, path, hash)];
    return number ? known->items[number - 1] : NULL;
}

static void index_all(struct query_known *known)
{
    memset(known->index, 0, 2 * known->capacity * sizeof(*known->index));
    for (size_t i = 0; i < known->count; i++) {
        const struct query_known_file *file = known->items[i];
        known->index[place_of(known, file->path, file->hash)] = (uint32_t)i + 1;
    }
}

static int make_room(struct query_known *known, size_t capacity)
{
    struct query_known_file **items = realloc(known->items, capacity * sizeof(*items));
    uint32_t *index = items ? malloc(2 * capacity * sizeof(*index)) : NULL;
    known->items = items ? items : known->items;
    if (!index)
        return 0;
    free(known->index);
    known->index = index;
    known->capacity = capacity;
    index_all(known);
    return 1;
}

enum oto_status query_known_init(struct query_known *known)
{
    *known = (struct query_known){.codec = oto_codec_new(&oto_allocator_heap)};
    return known->codec && make_room(known, FIRST_CAPACITY) ? OTO_OK : OTO_NO_MEMORY;
}

// Forgets what the present visit is not about.
static void forget_others(struct query_known *known)
{
    size_t count = 0;
    for (size_t i = 0; i < known->count; i++) {
        struct query_known_file *file = known->items[i];
        if (file->visited == known->visits) {
            known->items[count++] = file;
            continue;
        }
        known->bytes -= bytes_of(file);
        free_file(known, file);
    }
    known->count = count;
    index_all(known);
}

// Most files have the same columns: one of those that are known has them, too.
static void share_shape(struct query_known *known, struct query_known_file *file)
{
    for (size_t i = known->count; i > 0 && i + 4 > known->count; i--)
        if (query_facts_share(file->facts, known->items[i - 1]->facts->shape))
            return;
}

// 0: there is no room for it.
static int keep_new(struct query_known *known, struct query_known_file *file, size_t bytes)
{
    if (known->bytes + bytes > KNOWN_BYTES_MAX && known->full_visit != known->visits) {
        forget_others(known);
        known->full_visit = known->bytes + bytes > KNOWN_BYTES_MAX ? known->visits : 0;
    }
    if (known->bytes + bytes > KNOWN_BYTES_MAX ||
        (known->count == known->capacity && !make_room(known, 2 * known->capacity)))
        return 0;
    known->items[known->count++] = file;
    known->index[place_of(known, file->path, file->hash)] = (uint32_t)known->count;
    known->bytes += bytes;
    return 1;
}

// Takes a file that was looked at, in the place of another of its path.
static void keep(struct query_known *known, struct query_known_file *file)
{
    uint32_t number = known->index[place_of(known, file->path, file->hash)];
    struct query_known_file *old = number ? known->items[number - 1] : NULL;
    file->visited = known->visits;
    if (old == file)
        return;
    share_shape(known, file);
    if (old) {
        known->bytes += bytes_of(file) - bytes_of(old);
        known->items[number - 1] = file;
        free_file(known, old);
    } else if (!keep_new(known, file, bytes_of(file)))
        free_file(known, file);
}

// --- a file ---

static int is_unchanged(const struct query_known_file *file, const struct stat *now)
{
    return file->device == now->st_dev && file->inode == now->st_ino &&
           file->size == now->st_size && file->changed.tv_sec == now->st_mtim.tv_sec &&
           file->changed.tv_nsec == now->st_mtim.tv_nsec;
}

// Opening a file in a sandbox takes longer than asking whether it is still the same.
static void keep_open(struct query_known *known, struct query_known_file *file)
{
    int kept = -1;
    if (atomic_fetch_add(&known->open_count, 1) < OPEN_MAX)
        kept = fcntl(file->fd, F_DUPFD_CLOEXEC, FIRST_KEPT);
    if (kept < 0) {
        atomic_fetch_sub(&known->open_count, 1);
        return;
    }
    close(file->fd);
    file->fd = kept;
    file->is_kept = 1;
}

// Takes fd. NULL: it is no Parquet file, or there is no memory.
static struct query_known_file *make(struct query_known *known, const char *path, uint64_t hash,
                                     int fd, const struct stat *now)
{
    struct query_known_file *file = calloc(1, sizeof(*file));
    if (file)
        *file = (struct query_known_file){.path = strdup(path),
                                          .hash = hash,
                                          .fd = fd,
                                          .device = now->st_dev,
                                          .inode = now->st_ino,
                                          .size = now->st_size,
                                          .changed = now->st_mtim};
    if (file && file->path)
        file->facts = read_facts(known->codec, &file->fd);
    if (file && file->facts) {
        keep_open(known, file);
        return file;
    }
    close(fd);
    free(file ? file->path : NULL);
    free(file);
    return NULL;
}

// The file as it is now, open: what is known of it, or another that is not kept yet. NULL: there is
// none. Any thread, for different files.
static struct query_known_file *look_at(struct query_known *known, const char *path, uint64_t hash,
                                        struct query_known_file *file)
{
    struct stat now;
    if (file && file->fd >= 0) {
        if (fstatat(AT_FDCWD, path, &now, AT_SYMLINK_NOFOLLOW) == 0 && is_unchanged(file, &now))
            return file;
        close_file(known, file);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &now) < 0) {
        close(fd);
        return NULL;
    }
    if (!file || !is_unchanged(file, &now))
        return make(known, path, hash, fd, &now);
    file->fd = fd;
    keep_open(known, file);
    return file;
}

static struct query_opened opened(const struct query_known_file *file)
{
    return (struct query_opened){file->facts, (uint64_t)file->size, file->fd};
}

// --- many files ---

// What threads share: each takes the next file that none has.
struct visit {
    struct query_known *known;
    const char *const *paths;
    size_t first, count;
    query_visitor foresee, visit;
    void *state;
    uint64_t hashes[VISIT_MAX];
    struct query_known_file *files[VISIT_MAX]; // as they were known, then as they are
    _Atomic size_t next;
};

static void *visit_files(void *state)
{
    struct visit *v = state;
    for (size_t i; (i = atomic_fetch_add(&v->next, 1)) < v->count;) {
        struct query_known_file *file =
            look_at(v->known, v->paths[v->first + i], v->hashes[i], v->files[i]);
        struct query_opened seen = file ? opened(file) : (struct query_opened){0};
        v->files[i] = file;
        v->visit(v->state, v->first + i, file ? &seen : NULL);
        if (file && !file->is_kept)
            close_file(v->known, file);
    }
    return NULL;
}

// How many threads a visit is worth: the disk is waited for together.
static size_t prepare_visit(struct visit *v)
{
    size_t closed = 0;
    for (size_t i = 0; i < v->count; i++) {
        const char *path = v->paths[v->first + i];
        v->hashes[i] = oto_xxh64(path, strlen(path), 0);
        v->files[i] = find(v->known, path, v->hashes[i]);
        if (!v->files[i] || v->files[i]->fd < 0) {
            closed++;
            continue;
        }
        struct query_opened seen = opened(v->files[i]);
        v->foresee(v->state, v->first + i, &seen);
    }
    size_t threads = closed / VISIT_SHARE;
    return threads < VISIT_THREADS ? threads : VISIT_THREADS;
}

static void visit_some(struct visit *v)
{
    struct oto_thread threads[VISIT_THREADS];
    size_t started = 0, count = prepare_visit(v);
    while (started + 1 < count &&
           oto_thread_start(&threads[started], "query-look", visit_files, v, NULL) == OTO_OK)
        started++;
    (void)visit_files(v);
    while (started)
        oto_thread_join(&threads[--started]);
    // Those that were known first: what is forgotten for a new one is not of this visit.
    for (size_t i = 0; i < v->count; i++)
        if (v->files[i])
            v->files[i]->visited = v->known->visits;
    for (size_t i = 0; i < v->count; i++)
        if (v->files[i])
            keep(v->known, v->files[i]);
}

void query_known_visit(struct query_known *known, const char *const *paths, size_t count,
                       query_visitor foresee, query_visitor visit, void *state)
{
    known->visits++;
    for (size_t first = 0; first < count; first += VISIT_MAX) {
        size_t rest = count - first;
        struct visit v = {.known = known,
                          .paths = paths,
                          .first = first,
                          .count = rest < VISIT_MAX ? rest : VISIT_MAX,
                          .foresee = foresee,
                          .visit = visit,
                          .state = state};
        visit_some(&v);
    }
}

void query_known_close(struct query_known *known, int all)
{
    struct stat now;
    uint64_t now_ns = oto_clock_monotonic_ns();
    if (!all && now_ns - known->looked_ns < LOOK_NS)
        return;
    for (size_t i = 0; i < known->count; i++) {
        struct query_known_file *file = known->items[i];
        int was_there = file->visited > known->visits_before;
        if (file->fd >= 0 && (all || (!was_there && (fstat(file->fd, &now) < 0 || !now.st_nlink))))
            close_file(known, file);
    }
    known->visits_before = known->visits;
    known->looked_ns = now_ns;
}

// --- columns ---

static void take_columns(void *state, size_t index, const struct query_opened *opened)
{
    struct query_file *file = state;
    (void)index;
    if (!opened)
        return;
    file->columns = opened->facts->shape->columns;
    file->time_id = opened->facts->shape->time_id;
}

static void foresee_nothing(void *state, size_t index, const struct query_opened *file)
{
    (void)state, (void)index, (void)file;
}

void query_file_look(struct query_known *known, struct query_file *file)
{
    int fd = file->info.fd;
    if (fd < 0) {
        const char *path = file->info.path;
        query_known_visit(known, &path, 1, foresee_nothing, take_columns, file);
        return;
    }
    struct oto_parquet_reader *reader = query_reader_open(known->codec, &fd);
    if (reader) {
        file->columns = query_columns_hash(reader);
        file->time_id = query_time_id(reader);
    }
    oto_parquet_close(reader);
}
