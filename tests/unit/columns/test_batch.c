// Views are read by other threads while their builder goes on: worth most under ThreadSanitizer.
#include "cmocka_all.h"
#include "columns/column.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct oto_field time_field = {.name = "Timestamp", .type = OTO_TYPE_TIME};
static const struct oto_field body_field = {
    .name = "Body", .type = OTO_TYPE_STRING, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field map_field = {.name = "Attributes", .type = OTO_TYPE_MAP};
static const struct oto_field scope_field = {
    .name = "ScopeName", .type = OTO_TYPE_STRING, .level = 1};
static const struct oto_field *const field_list[] = {&time_field, &body_field, &map_field,
                                                     &scope_field};
enum { TIME, BODY, MAP, SCOPE };
static const struct oto_schema schema = {"test", field_list, 4, 2};

#define REQUESTS 400u
#define ROWS 7u // a request; views end amid a byte of validity, which the next request writes

static void must(enum oto_status status)
{
    if (status != OTO_OK)
        abort();
}

// What request number n brings; also enough to check it.
static void append_request(struct oto_builder *b, uint32_t n)
{
    char text[32];
    uint32_t scope;
    int is_new;
    snprintf(text, sizeof text, "scope %u", n % 50);
    must(oto_builder_entry(b, 1, oto_bytes_text(text), 0, &scope, &is_new));
    if (is_new)
        must(oto_column_append_bytes(b, &b->columns[SCOPE], oto_bytes_text(text)));
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t row = n * ROWS + i;
        struct oto_column *map = &b->columns[MAP];
        snprintf(text, sizeof text, "%u", row);
        must(oto_builder_row(b, scope));
        must(oto_column_reserve(b, &b->columns[TIME], 1));
        oto_column_append_i64(&b->columns[TIME], row);
        if (row % 3)
            must(oto_column_append_bytes(b, &b->columns[BODY], oto_bytes_text(text)));
        else
            must(oto_column_append_null(b, &b->columns[BODY]));
        must(oto_column_append_bytes(b, &map->children[0], OTO_BYTES_LITERAL("key")));
        must(oto_column_append_bytes(b, &map->children[1], oto_bytes_text(text)));
        must(oto_column_append_end(b, map));
    }
}

static struct oto_bytes text_at(const struct oto_column *c, uint32_t index)
{
    return c->dictionary->entries[((const uint32_t *)c->values)[index]];
}

static uint32_t wrong_rows(const struct oto_batch *batch)
{
    uint32_t wrong = 0;
    char text[32];
    for (uint32_t row = 0; row < batch->row_count; row++) {
        const struct oto_column *c = batch->columns, *map = &c[MAP];
        snprintf(text, sizeof text, "%u", row);
        wrong += ((const int64_t *)c[TIME].values)[row] != row;
        wrong += oto_column_valid(&c[BODY], row) != (row % 3 != 0);
        wrong += row % 3 && !oto_bytes_equal_text(text_at(&c[BODY], row), text);
        wrong += map->offsets[row] != row || map->offsets[row + 1] != row + 1;
        wrong += !oto_bytes_equal_text(text_at(&map->children[1], row), text);
        snprintf(text, sizeof text, "scope %u", row / ROWS % 50);
        wrong += !oto_bytes_equal_text(text_at(&c[SCOPE], batch->levels[0].link[row]), text);
    }
    return wrong;
}

struct shared {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct oto_batch views[REQUESTS];
    uint32_t view_count;
    uint32_t taken; // the builder waits for it, so that a view is read while the next rows come
    uint32_t wrong;
};

static void *read_views(void *argument)
{
    struct shared *s = argument;
    for (uint32_t next = 0; next < REQUESTS; next++) {
        pthread_mutex_lock(&s->lock);
        while (s->view_count <= next)
            pthread_cond_wait(&s->changed, &s->lock);
        struct oto_batch view = s->views[next];
        s->taken++;
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
        s->wrong += wrong_rows(&view) + (view.row_count != (next + 1) * ROWS);
        oto_batch_release(&view);
    }
    return NULL;
}

static void views_are_read_while_the_builder_goes_on(void **state)
{
    (void)state;
    static struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    struct oto_arena arena;
    struct oto_builder b;
    pthread_t reader;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    must(oto_builder_init(&b, &schema, &arena, 1, 32, NULL));
    uint32_t *mark = oto_arena_alloc(&arena, oto_builder_mark_size(&b));
    assert_int_equal(pthread_create(&reader, NULL, read_views, &s), 0);
    for (uint32_t n = 0; n < REQUESTS; n++) {
        oto_builder_mark(&b, mark); // a refused request between two good ones
        append_request(&b, n + 7);
        oto_builder_rollback(&b, mark);
        append_request(&b, n);
        pthread_mutex_lock(&s.lock);
        must(oto_builder_view(&b, &oto_allocator_heap, &s.views[n]));
        s.view_count++;
        pthread_cond_signal(&s.changed);
        while (s.taken < s.view_count)
            pthread_cond_wait(&s.changed, &s.lock);
        pthread_mutex_unlock(&s.lock);
    }
    pthread_join(reader, NULL);
    assert_int_equal(s.taken, REQUESTS);
    assert_int_equal(s.wrong, 0);
    oto_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_read_while_the_builder_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
