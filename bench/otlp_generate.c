// folders: wire
// otlp_generate: makes many OTLP requests quickly, for data of millions of rows.
//
// Writes frames (big-endian u32 length, then a serialized request), as otlp_load reads them, to its
// standard output. The same arguments give the same bytes; a row's content depends on its number
// only, so that a range of rows can be made alone.
#include "wire/protobuf.h"

#include <stdio.h>
#include <stdlib.h>

#define START_NS 1767225600000000000u // 2026-01-01T00:00:00Z; rows are spread evenly over a day
#define DAY_NS 86400000000000u
#define SERVICES 10u
#define REQUEST_ROWS 510u

struct generator {
    struct oto_buffer out;
    uint64_t total; // rows of a day, whatever range is made
    uint64_t state; // of draws
};

// --- draws ---

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void reseed(struct generator *g, uint64_t row, uint64_t salt)
{
    g->state = mix(row * 0x9e3779b97f4a7c15u + salt);
}

static uint64_t draw(struct generator *g)
{
    g->state += 0x9e3779b97f4a7c15u;
    return mix(g->state);
}

static uint32_t draw_below(struct generator *g, uint32_t limit)
{
    return (uint32_t)((draw(g) >> 32) * limit >> 32);
}

static uint64_t time_of(const struct generator *g, uint64_t row)
{
    return START_NS + (uint64_t)((double)row / (double)g->total * (double)DAY_NS);
}

// --- messages ---

static void check(enum oto_status status)
{
    if (status < 0) {
        (void)fputs("otlp_generate: out of memory\n", stderr);
        exit(1);
    }
}

static size_t begin(struct generator *g, uint32_t field)
{
    size_t mark;
    check(oto_pb_message_begin(&g->out, field, &mark));
    return mark;
}

static void end(struct generator *g, size_t mark)
{
    check(oto_pb_message_end(&g->out, mark));
}

static void text(struct generator *g, uint32_t field, const char *value)
{
    check(oto_pb_write_bytes(&g->out, field, oto_bytes_text(value)));
}

// An attribute's key and text, as field `field` of what is open.
static void attribute(struct generator *g, uint32_t field, const char *key, const char *value)
{
    size_t pair = begin(g, field);
    text(g, 1, key);
    size_t any = begin(g, 2);
    text(g, 1, value);
    end(g, any);
    end(g, pair);
}

static void attribute_int(struct generator *g, uint32_t field, const char *key, uint64_t value)
{
    size_t pair = begin(g, field);
    text(g, 1, key);
    size_t any = begin(g, 2);
    check(oto_pb_write_uint(&g->out, 3, value));
    end(g, any);
    end(g, pair);
}

__attribute__((format(printf, 4, 5))) static void
attribute_format(struct generator *g, uint32_t field, const char *key, const char *format, ...)
{
    char value[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    attribute(g, field, key, value);
}

static void id(struct generator *g, uint32_t field, size_t size, uint64_t number)
{
    uint8_t bytes[16];
    oto_store64(bytes, mix(number * 2 + 1));
    oto_store64(bytes + 8, mix(number * 2 + 2));
    check(oto_pb_write_bytes(&g->out, field, oto_bytes(bytes, size)));
}

static const char *const services[SERVICES] = {"gateway", "checkout", "payment",  "inventory",
                                               "search",  "shipping", "accounts", "mailer",
                                               "pricing", "reviews"};
static const char *const regions[] = {"eu-central-1", "us-east-1", "ap-south-1", "sa-east-1"};
static const char *const verbs[] = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};
static const char *const nouns[] = {"orders", "carts", "users", "items", "refunds", "quotes"};

static void resource(struct generator *g, uint32_t service, uint32_t instance)
{
    size_t mark = begin(g, 1);
    attribute(g, 1, "service.name", services[service]);
    attribute(g, 1, "service.namespace", "shop");
    attribute_format(g, 1, "service.instance.id", "%s-%u", services[service], instance);
    attribute_format(g, 1, "host.name", "node-%u", instance * 7 % 12);
    attribute(g, 1, "deployment.environment.name", "production");
    end(g, mark);
}

static size_t scope(struct generator *g, size_t *ret_block, uint32_t service, uint32_t instance)
{
    *ret_block = begin(g, 1);
    resource(g, service, instance);
    size_t mark = begin(g, 2);
    size_t name = begin(g, 1);
    text(g, 1, "shop.telemetry");
    end(g, name);
    return mark;
}

// --- spans: traces of ten, one of each service ---

static void span_attributes(struct generator *g, uint64_t row, uint32_t route)
{
    static const uint16_t codes[] = {200, 200, 200, 200, 200, 201, 204, 404, 500};
    uint32_t noun = route % 6;
    attribute(g, 9, "http.request.method", verbs[route % 6]);
    attribute_format(g, 9, "http.route", "/api/v%u/%s/{id}", route / 6 + 1, nouns[noun]);
    attribute_int(g, 9, "http.response.status_code", codes[draw_below(g, 9)]);
    attribute_format(g, 9, "url.path", "/api/v%u/%s/%u", route / 6 + 1, nouns[noun],
                     draw_below(g, 100000));
    attribute_format(g, 9, "server.address", "%s.shop.local", services[draw_below(g, SERVICES)]);
    attribute(g, 9, "cloud.region", regions[draw_below(g, 4)]);
    attribute_format(g, 9, "app.tenant", "tenant-%u", draw_below(g, 50));
    attribute_format(g, 9, "app.user", "user-%u", draw_below(g, 10000));
    attribute_int(g, 9, "thread.id", draw_below(g, 32));
    attribute_format(g, 9, "app.request.id", "%016llx", (unsigned long long)mix(row + 77));
}

static void span(struct generator *g, uint64_t row)
{
    size_t mark = begin(g, 2);
    uint64_t trace = row / SERVICES, start = time_of(g, row);
    char name[64];
    reseed(g, row, 1);
    uint32_t route = draw_below(g, 30), duration_us = 200;
    for (int i = 0; i < 4; i++) // a long tail
        duration_us += draw_below(g, 1 + duration_us * 12);
    (void)snprintf(name, sizeof(name), "%s /api/v%u/%s/{id}", verbs[route % 6], route / 6 + 1,
                   nouns[route % 6]);
    id(g, 1, 16, trace);
    id(g, 2, 8, row + (1ull << 40));
    if (row % SERVICES)
        id(g, 4, 8, row - 1 + (1ull << 40));
    text(g, 5, name);
    check(oto_pb_write_uint(&g->out, 6, row % SERVICES ? 3 : 2));
    check(oto_pb_write_fixed64(&g->out, 7, start));
    check(oto_pb_write_fixed64(&g->out, 8, start + duration_us * 1000ull));
    span_attributes(g, row, route);
    if (draw_below(g, 50) == 0) {
        size_t status = begin(g, 15);
        check(oto_pb_write_uint(&g->out, 3, 2));
        end(g, status);
    }
    end(g, mark);
}

static void spans(struct generator *g, uint64_t first, uint64_t count)
{
    for (uint32_t service = 0; service < SERVICES; service++) {
        size_t block, mark = scope(g, &block, service, (uint32_t)(first / REQUEST_ROWS % 4));
        for (uint64_t row = first; row < first + count; row++)
            if (row % SERVICES == service)
                span(g, row);
        end(g, mark);
        end(g, block);
    }
}

// --- logs ---

static void log_record(struct generator *g, uint64_t row)
{
    static const char *const levels[] = {"DEBUG", "INFO", "INFO", "INFO", "INFO", "WARN", "ERROR"};
    static const uint8_t numbers[] = {5, 9, 9, 9, 9, 13, 17};
    char line[160];
    size_t mark = begin(g, 2);
    reseed(g, row, 2);
    uint32_t level = draw_below(g, 7), noun = draw_below(g, 6);
    check(oto_pb_write_fixed64(&g->out, 1, time_of(g, row)));
    check(oto_pb_write_uint(&g->out, 2, numbers[level]));
    text(g, 3, levels[level]);
    (void)snprintf(line, sizeof(line), "%s %u accepted in %u ms after %u attempts by worker %u",
                   nouns[noun], draw_below(g, 10000000), draw_below(g, 200), draw_below(g, 5),
                   draw_below(g, 64));
    size_t body = begin(g, 5);
    text(g, 1, line);
    end(g, body);
    attribute_format(g, 6, "http.route", "/api/v%u/%s/{id}", draw_below(g, 5) + 1, nouns[noun]);
    attribute(g, 6, "cloud.region", regions[draw_below(g, 4)]);
    attribute_int(g, 6, "thread.id", draw_below(g, 32));
    attribute_format(g, 6, "app.tenant", "tenant-%u", draw_below(g, 50));
    attribute_format(g, 6, "app.request.id", "%016llx", (unsigned long long)mix(row + 99));
    id(g, 9, 16, row / SERVICES);
    id(g, 10, 8, row + (1ull << 40));
    end(g, mark);
}

// --- documents: events of a social network, after those of JSONBench, as bodies of log records ---

static void document(struct generator *g, uint64_t row)
{
    static const char *const collections[] = {"app.bsky.feed.like",    "app.bsky.feed.like",
                                              "app.bsky.feed.like",    "app.bsky.feed.post",
                                              "app.bsky.feed.post",    "app.bsky.feed.repost",
                                              "app.bsky.graph.follow", "app.bsky.graph.follow",
                                              "app.bsky.graph.block",  "app.bsky.actor.profile"};
    static const char *const operations[] = {"create", "create", "create", "create",
                                             "create", "create", "update", "delete"};
    char line[800];
    size_t mark = begin(g, 2);
    reseed(g, row, 3);
    uint64_t time_ns = time_of(g, row), user = mix(draw_below(g, 50000));
    check(oto_pb_write_fixed64(&g->out, 1, time_ns));
    if (draw_below(g, 100) == 0)
        (void)snprintf(line, sizeof(line),
                       "{\"did\":\"did:plc:%016llx%08x\",\"time_us\":%llu,\"kind\":\"identity\","
                       "\"identity\":{\"handle\":\"user%u.bsky.social\",\"seq\":%u}}",
                       (unsigned long long)user, (unsigned)user,
                       (unsigned long long)(time_ns / 1000), (unsigned)(user % 100000),
                       draw_below(g, 1u << 31));
    else
        (void)snprintf(
            line, sizeof(line),
            "{\"did\":\"did:plc:%016llx%08x\",\"time_us\":%llu,\"kind\":\"commit\",\"commit\":"
            "{\"rev\":\"%013llx\",\"operation\":\"%s\",\"collection\":\"%s\",\"rkey\":\"%013llx\","
            "\"record\":{\"$type\":\"record\",\"createdAt\":\"2026-01-01T00:00:00.000Z\","
            "\"subject\":{\"cid\":\"bafyrei%016llx%016llx\",\"uri\":\"at://did:plc:%016llx/"
            "app.bsky.feed.post/%013llx\"}},\"cid\":\"bafyrei%016llx%016llx\"}}",
            (unsigned long long)user, (unsigned)user, (unsigned long long)(time_ns / 1000),
            (unsigned long long)draw(g) >> 12, operations[draw_below(g, 8)],
            collections[draw_below(g, 10)], (unsigned long long)draw(g) >> 12,
            (unsigned long long)draw(g), (unsigned long long)draw(g), (unsigned long long)draw(g),
            (unsigned long long)draw(g) >> 12, (unsigned long long)draw(g),
            (unsigned long long)draw(g));
    size_t body = begin(g, 5);
    text(g, 1, line);
    end(g, body);
    end(g, mark);
}

static void records(struct generator *g, uint64_t first, uint64_t count,
                    void (*record)(struct generator *g, uint64_t row))
{
    uint64_t request = first / REQUEST_ROWS;
    size_t block,
        mark = scope(g, &block, (uint32_t)(request % SERVICES), (uint32_t)(request / 10 % 4));
    for (uint64_t row = first; row < first + count; row++)
        record(g, row);
    end(g, mark);
    end(g, block);
}

// --- points: each request has one point of 510 series; 100,000 series in turn ---

#define SERIES 100000u

static void point(struct generator *g, uint64_t row)
{
    uint32_t series = (uint32_t)(row % SERIES);
    char name[40];
    reseed(g, row, 4);
    (void)snprintf(name, sizeof(name), "shop.metric.%u", series % 50);
    size_t metric = begin(g, 2);
    text(g, 1, name);
    size_t gauge = begin(g, 5), mark = begin(g, 1);
    check(oto_pb_write_fixed64(&g->out, 3, time_of(g, row / SERIES * SERIES)));
    double value = draw_below(g, 10000) / 100.0;
    uint64_t bits;
    memcpy(&bits, &value, 8);
    check(oto_pb_write_fixed64(&g->out, 4, bits));
    attribute_format(g, 7, "k8s.pod.name", "pod-%u", series / 50);
    attribute(g, 7, "cloud.region", regions[series / 50 % 4]);
    end(g, mark);
    end(g, gauge);
    end(g, metric);
}

// --- the whole ---

static void request(struct generator *g, const char *kind, uint64_t first, uint64_t count)
{
    uint8_t length[4];
    g->out.size = 0;
    if (strcmp(kind, "spans") == 0)
        spans(g, first, count);
    else if (strcmp(kind, "logs") == 0)
        records(g, first, count, log_record);
    else if (strcmp(kind, "documents") == 0)
        records(g, first, count, document);
    else
        records(g, first, count, point);
    for (int i = 0; i < 4; i++)
        length[i] = (uint8_t)(g->out.size >> (24 - 8 * i));
    if (fwrite(length, 1, 4, stdout) != 4 ||
        fwrite(g->out.data, 1, g->out.size, stdout) != g->out.size) {
        (void)fputs("otlp_generate: cannot write\n", stderr);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct generator g = {0};
    if (argc != 5 || !strstr(" spans logs documents points ", argv[1])) {
        (void)fputs("Usage: otlp_generate spans|logs|documents|points TOTAL FIRST COUNT >FRAMES\n",
                    stderr);
        return 2;
    }
    oto_buffer_init(&g.out, &oto_allocator_heap, 64u << 20);
    g.total = strtoull(argv[2], NULL, 10);
    uint64_t row = strtoull(argv[3], NULL, 10), stop = row + strtoull(argv[4], NULL, 10);
    for (; row < stop; row += REQUEST_ROWS)
        request(&g, argv[1], row, stop - row < REQUEST_ROWS ? stop - row : REQUEST_ROWS);
    oto_buffer_release(&g.out);
    return fflush(stdout) == 0 ? 0 : 1;
}
