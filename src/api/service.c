#include "api/service.h"

#include "api/api.h"
#include "api/query_source.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTENER_MAX OTO_CONFIG_LIST_MAX

struct wake {
    struct oto_loop_message message; // first: the loop gives this back
    struct oto_worker *worker;
    atomic_int posted;
};

struct worker_thread {
    struct oto_worker worker;
    struct oto_thread thread;
    struct wake wake;
    struct oto_loop_message drain;
    atomic_int has_left;
    struct oto_http_stats stats; // copied at each tick, under stats_lock
};

struct oto_service {
    const struct oto_config *config;
    struct oto_log log;
    char version[32];
    struct oto_engine *engine;
    struct oto_query_client *query;
    int listener_fds[LISTENER_MAX];
    uint32_t listener_roles[LISTENER_MAX];
    int listener_local[LISTENER_MAX];
    uint32_t listener_count;
    struct worker_thread *workers;
    uint32_t worker_count;
    uint32_t workers_started;
    atomic_uint workers_busy; // whose loops have to go on
    struct oto_thread recovery;
    struct oto_mutex stats_lock;
    atomic_int draining;
    atomic_int failed;
    atomic_flag unread_told;
    atomic_int unrecovered; // told to stop while recovering
    struct oto_stop_signal stop;
    struct oto_buffer addresses;
    char query_program[4096];
    char data_path[4096];
};

// --- accessors for the faces ---

struct oto_engine *oto_service_engine(struct oto_service *service)
{
    return service->engine;
}
struct oto_query_client *oto_service_query_client(struct oto_service *service)
{
    return service->query;
}
const struct oto_config *oto_service_config(struct oto_service *service)
{
    return service->config;
}
const struct oto_log *oto_service_log(const struct oto_service *service)
{
    return &service->log;
}
const char *oto_service_version(struct oto_service *service)
{
    return service->version;
}
int oto_service_first_unread(struct oto_service *service)
{
    return !atomic_flag_test_and_set(&service->unread_told);
}
int oto_service_draining(struct oto_service *service)
{
    return atomic_load_explicit(&service->draining, memory_order_relaxed);
}
uint32_t oto_service_roles(struct oto_service *service, uint32_t listener)
{
    return service->listener_roles[listener];
}
size_t oto_service_request_bytes_max(const struct oto_service *service)
{
    return (size_t)service->config->request_bytes_max;
}
int oto_service_listener_is_local(struct oto_service *service, uint32_t listener)
{
    return service->listener_local[listener];
}
const char *oto_service_addresses(const struct oto_service *service)
{
    return (const char *)service->addresses.data;
}

static void add_http_stats(struct oto_http_stats *sum, const struct oto_http_stats *one)
{
    sum->connections_accepted += one->connections_accepted;
    sum->connections_refused += one->connections_refused;
    sum->connections_open += one->connections_open;
    sum->requests_http1 += one->requests_http1;
    sum->requests_http2 += one->requests_http2;
    sum->bytes_in += one->bytes_in;
    sum->bytes_out += one->bytes_out;
    sum->protocol_errors += one->protocol_errors;
    sum->timeouts += one->timeouts;
}

void oto_service_http_stats(struct oto_service *service, struct oto_http_stats *ret_stats)
{
    memset(ret_stats, 0, sizeof(*ret_stats));
    oto_mutex_lock(&service->stats_lock);
    for (uint32_t i = 0; i < service->worker_count; i++)
        add_http_stats(ret_stats, &service->workers[i].stats);
    oto_mutex_unlock(&service->stats_lock);
}

// --- scratch memory of a worker, counted against the engine's budget ---

static void *budget_alloc(void *state, size_t size)
{
    struct oto_engine *engine = state;
    if (!oto_engine_reserve(engine, size))
        return NULL;
    void *block = malloc(size);
    if (!block)
        oto_engine_unreserve(engine, size);
    return block;
}

static void budget_free(void *state, void *block, size_t size)
{
    free(block);
    oto_engine_unreserve(state, size);
}

static void *budget_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct oto_engine *engine = state;
    if (size > old_size && !oto_engine_reserve(engine, size - old_size))
        return NULL;
    void *moved = realloc(block, size);
    if (!moved && size > old_size)
        oto_engine_unreserve(engine, size - old_size);
    if (moved && size < old_size)
        oto_engine_unreserve(engine, old_size - size);
    return moved;
}

// --- workers ---

static void run_wake(struct oto_loop_message *message)
{
    struct wake *wake = (struct wake *)message;
    atomic_store(&wake->posted, 0);
    oto_shard_poll(wake->worker->shard);
    oto_otlp_retry(wake->worker);
}

// From any thread: at most one wake-up is under way, so the message struct is never posted twice.
static void wake_shard(void *state)
{
    struct worker_thread *w = state;
    if (atomic_exchange(&w->wake.posted, 1) == 0)
        oto_loop_post(w->worker.loop, &w->wake.message);
}

static void tick(struct oto_loop_timer *timer)
{
    struct worker_thread *w = timer->state;
    struct oto_service *service = w->worker.service;
    oto_shard_tick(w->worker.shard);
    oto_health_tick(&w->worker);
    oto_mutex_lock(&service->stats_lock);
    w->stats = *oto_http_server_stats(w->worker.server);
    oto_mutex_unlock(&service->stats_lock);
    (void)!oto_loop_timer_arm(w->worker.loop, timer, 500);
}

// A worker has nothing left to answer. Its loop goes on until that is so of all: queries of the
// others ask its shard for rows.
static void leave(struct worker_thread *w)
{
    struct oto_service *service = w->worker.service;
    if (atomic_exchange(&w->has_left, 1) || atomic_fetch_sub(&service->workers_busy, 1) > 1)
        return;
    for (uint32_t i = 0; i < service->worker_count; i++)
        oto_loop_stop(service->workers[i].worker.loop);
}

static void drained(void *state)
{
    leave(state);
}

static void run_drain(struct oto_loop_message *message)
{
    struct worker_thread *w =
        (struct worker_thread *)((char *)message - offsetof(struct worker_thread, drain));
    oto_http_server_drain(w->worker.server, (uint32_t)w->worker.service->config->drain_timeout_ms,
                          drained, w);
}

static void *run_worker(void *state)
{
    struct worker_thread *w = state;
    struct oto_service *service = w->worker.service;
    struct oto_error err;
    oto_error_init(&err);
    if (oto_loop_run(w->worker.loop, &err) < 0) {
        oto_log_write(&service->log, OTO_LOG_ERROR, "worker %u: %s", w->worker.index, err.message);
        atomic_store(&service->failed, 1);
        oto_stop_signal_raise(&service->stop);
        leave(w);
    }
    return NULL;
}

static void fill_limits(const struct oto_service *service, uint32_t index,
                        struct oto_http_limits *limits)
{
    oto_http_limits_default(limits);
    uint64_t all = service->config->connections_max;
    uint64_t own = all / service->worker_count + (index < all % service->worker_count);
    limits->connections_max = own ? (uint32_t)own : 1;
    limits->age_max_ms = (uint32_t)service->config->connection_age_max_ms;
    limits->age_grace_ms = (uint32_t)service->config->drain_timeout_ms;
    limits->body_pool_bytes_max = (size_t)oto_engine_waiting_bytes_max(service->engine);
}

static enum oto_status init_worker(struct oto_service *service, uint32_t index,
                                   struct oto_error *err)
{
    struct worker_thread *w = &service->workers[index];
    struct oto_worker *worker = &w->worker;
    worker->service = service;
    worker->index = index;
    worker->budget =
        (struct oto_allocator){budget_alloc, budget_resize, budget_free, service->engine};
    size_t scratch_max = oto_service_request_bytes_max(service);
    oto_buffer_init(&worker->plain, &worker->budget, scratch_max);
    oto_buffer_init(&worker->transcoded, &worker->budget, scratch_max);
    w->wake.message.run = run_wake;
    w->wake.worker = worker;
    w->drain.run = run_drain;
    worker->loop = oto_loop_new(err);
    worker->codec = oto_codec_new(&oto_allocator_heap);
    if (!worker->loop || !worker->codec)
        return oto_error_set(err, OTO_NO_MEMORY, "a worker could not be made");
    struct oto_http_limits limits;
    fill_limits(service, index, &limits);
    struct oto_http_handler handler = oto_api_handler;
    handler.state = worker;
    worker->server = oto_http_server_new(worker->loop, &oto_allocator_heap, &handler, &limits, err);
    if (!worker->server)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < service->listener_count; i++)
        OTO_TRY(oto_http_server_listen(worker->server, service->listener_fds[i], i, err));
    if (index > 0)
        oto_http_server_join(worker->server, service->workers[0].worker.server);
    worker->shard = oto_engine_shard(service->engine, index, wake_shard, w);
    oto_otlp_init_worker(worker);
    oto_loop_timer_init(&worker->tick, tick, w);
    return oto_loop_timer_arm(worker->loop, &worker->tick, 500);
}

// --- listeners ---

static enum oto_status add_address_line(struct oto_service *service, int fd, uint32_t roles)
{
    char name[256];
    oto_socket_name(fd, name, sizeof(name));
    return oto_buffer_append_format(
        &service->addresses, "%s (%s%s%s%s%s)\n", name, roles & OTO_ROLE_INGEST ? "ingest" : "",
        (roles & OTO_ROLE_INGEST) && (roles & 6) ? ", " : "", roles & OTO_ROLE_QUERY ? "query" : "",
        (roles & OTO_ROLE_QUERY) && (roles & OTO_ROLE_ADMIN) ? ", " : "",
        roles & OTO_ROLE_ADMIN ? "admin" : "");
}

static enum oto_status open_listeners(struct oto_service *service, struct oto_error *err)
{
    const struct oto_config_list *list = &service->config->listen;
    for (size_t i = 0; i < list->count; i++) {
        char address[OTO_CONFIG_ADDRESS_MAX];
        uint32_t roles = 0;
        OTO_TRY(oto_config_parse_listener(list->items[i], address, &roles, err));
        int fd;
        OTO_TRY(oto_socket_listen(address, &fd, err));
        service->listener_local[service->listener_count] = oto_socket_is_local(address);
        if (!service->listener_local[service->listener_count])
            oto_log_write(
                &service->log, OTO_LOG_WARN,
                "%s can be reached from other machines, and there is no authentication yet",
                address);
        service->listener_fds[service->listener_count] = fd;
        service->listener_roles[service->listener_count++] = roles;
        OTO_TRY(add_address_line(service, fd, roles));
    }
    return oto_buffer_append_byte(&service->addresses, 0);
}

// --- queries ---

static enum oto_status start_query_client(struct oto_service *service, struct oto_error *err)
{
    struct oto_query_table tables[OTO_TABLE_COUNT];
    oto_query_tables_fill(tables);
    const struct oto_config *config = service->config;
    struct oto_query_options options;
    oto_query_options_default(&options);
    options.program = service->query_program;
    options.data_path = service->data_path;
    options.tables = tables;
    options.table_count = OTO_TABLE_COUNT;
    options.source = oto_query_source_of_engine(service->engine);
    options.workers = (uint32_t)config->query_workers;
    options.memory_bytes_max = config->query_memory_limit;
    options.threads = (uint32_t)config->query_threads;
    options.timeout_ms = (uint32_t)config->query_timeout_ms;
    options.rows_max = config->query_rows_max;
    options.idle_ms = (uint32_t)config->query_idle_ms;
    options.ahead = (uint32_t)config->query_ahead;
    options.ahead_sql = "SELECT 1 FROM traces WHERE TraceId = 'none' UNION ALL "
                        "SELECT 1 FROM logs WHERE TraceId = 'none'";
    options.log = oto_log_callback;
    options.log_state = &service->log;
    return oto_query_client_new(&options, &service->query, err);
}

// --- start and stop ---

static enum oto_status parse_durability(const char *text, struct oto_wal_options *wal)
{
    if (strcmp(text, "none") == 0)
        wal->durability = OTO_DURABILITY_NONE;
    else if (strncmp(text, "interval:", 9) == 0) {
        wal->durability = OTO_DURABILITY_INTERVAL;
        wal->interval_ms = (uint32_t)strtoul(text + 9, NULL, 10);
    } else
        wal->durability = OTO_DURABILITY_FSYNC;
    return OTO_OK;
}

static enum oto_status open_engine(struct oto_service *service, struct oto_error *err)
{
    const struct oto_config *config = service->config;
    struct oto_engine_options options;
    oto_engine_options_default(&options);
    options.data_path = service->data_path;
    options.shard_count = service->worker_count;
    options.memory_limit_bytes = config->memory_limit;
    options.flush_rows = (uint32_t)config->flush_rows;
    options.flush_bytes = config->flush_bytes;
    options.flush_age_ms = (uint32_t)config->flush_interval_ms;
    options.dedup_window_ms = config->dedup_window_ms;
    options.promote = (const char *const *)config->promote.items;
    options.promote_count = config->promote.count;
    options.version = service->version;
    options.wal.segment_size_bytes = config->wal_segment_size;
    options.wal.disk_free_min = config->disk_free_min;
    OTO_TRY(parse_durability(config->durability, &options.wal));
    options.log = oto_log_callback;
    options.log_state = &service->log;
    return oto_engine_open(&options, &service->engine, err);
}

static void *run_recovery(void *state)
{
    struct oto_service *service = state;
    struct oto_error err;
    oto_error_init(&err);
    enum oto_status status = oto_engine_recover(service->engine, &err);
    if (status < 0 && oto_service_draining(service)) {
        atomic_store(&service->unrecovered, 1);
    } else if (status < 0) {
        oto_log_write(&service->log, OTO_LOG_ERROR, "recovery failed: %s", err.message);
        atomic_store(&service->failed, 1);
        oto_stop_signal_raise(&service->stop);
    } else {
        oto_log_write(&service->log, OTO_LOG_INFO, "ready");
        oto_query_client_start_ahead(service->query);
    }
    return NULL;
}

static enum oto_status start_threads(struct oto_service *service, struct oto_error *err)
{
    for (uint32_t i = 0; i < service->worker_count; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "worker-%u", i);
        atomic_fetch_add(&service->workers_busy, 1);
        enum oto_status status = oto_thread_start(&service->workers[i].thread, name, run_worker,
                                                  &service->workers[i], err);
        if (status < 0) {
            atomic_fetch_sub(&service->workers_busy, 1);
            return status;
        }
        service->workers_started++;
    }
    return oto_thread_start(&service->recovery, "recovery", run_recovery, service, err);
}

static enum oto_status start(struct oto_service *service, const char *program_path,
                             struct oto_error *err)
{
    OTO_TRY(oto_stop_signal_init(&service->stop, err));
    oto_memory_tune();
    OTO_TRY(oto_folder_create(service->config->data, err));
    OTO_TRY(oto_path_absolute(service->config->data, service->data_path, sizeof(service->data_path),
                              err));
    OTO_TRY(open_engine(service, err));
    OTO_TRY(open_listeners(service, err));
    OTO_TRY(oto_engine_announce(service->engine, oto_service_addresses(service), err));
    oto_query_program_find(program_path, service->query_program, sizeof(service->query_program));
    OTO_TRY(start_query_client(service, err));
    for (uint32_t i = 0; i < service->worker_count; i++)
        OTO_TRY(init_worker(service, i, err));
    return start_threads(service, err);
}

enum oto_status oto_service_start(const struct oto_config *config, const struct oto_log *log,
                                  const char *version, const char *program_path,
                                  struct oto_service **ret_service, struct oto_error *err)
{
    struct oto_service *service = calloc(1, sizeof(*service));
    if (!service)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    service->config = config;
    service->log = *log;
    (void)snprintf(service->version, sizeof(service->version), "%s", version);
    service->worker_count = config->threads ? (uint32_t)config->threads : oto_cpu_count();
    service->workers = calloc(service->worker_count, sizeof(*service->workers));
    oto_buffer_init(&service->addresses, &oto_allocator_heap, 64 * 1024);
    oto_mutex_init(&service->stats_lock);
    enum oto_status status = service->workers ? start(service, program_path, err) : OTO_NO_MEMORY;
    if (status < 0) {
        oto_service_free(service);
        return status;
    }
    *ret_service = service;
    return OTO_OK;
}

void oto_service_request_stop(struct oto_service *service)
{
    oto_stop_signal_raise(&service->stop);
}

static void stop_workers(struct oto_service *service)
{
    for (uint32_t i = 0; i < service->workers_started; i++)
        oto_loop_post(service->workers[i].worker.loop, &service->workers[i].drain);
    for (uint32_t i = 0; i < service->workers_started; i++)
        oto_thread_join(&service->workers[i].thread);
    service->workers_started = 0;
}

enum oto_status oto_service_run(struct oto_service *service, struct oto_error *err)
{
    oto_stop_signal_wait(&service->stop);
    oto_log_write(&service->log, OTO_LOG_INFO, "draining");
    atomic_store(&service->draining, 1);
    oto_engine_cancel_recovery(service->engine); // it may be waiting for a full disk
    oto_thread_join(&service->recovery);
    service->recovery.started = 0;
    stop_workers(service);
    if (atomic_load(&service->failed))
        return oto_error_set(err, OTO_INTERNAL,
                             "the server stopped because a part of it failed; see the log above");
    if (atomic_load(&service->unrecovered)) {
        oto_log_write(&service->log, OTO_LOG_INFO,
                      "stopped while recovering; the log keeps everything");
        return OTO_OK;
    }
    OTO_TRY(oto_engine_drain(service->engine, err));
    oto_log_write(&service->log, OTO_LOG_INFO, "stopped; everything is in files");
    return OTO_OK;
}

static void free_worker(struct worker_thread *w)
{
    if (w->worker.server)
        oto_http_server_free(w->worker.server);
    if (w->worker.loop)
        oto_loop_free(w->worker.loop);
    oto_codec_free(w->worker.codec);
    oto_buffer_release(&w->worker.plain);
    oto_buffer_release(&w->worker.transcoded);
}

void oto_service_free(struct oto_service *service)
{
    if (!service)
        return;
    if (service->workers_started)
        stop_workers(service);
    oto_thread_join(&service->recovery);
    if (service->query)
        oto_query_client_free(service->query);
    if (service->engine)
        oto_engine_detach(service->engine);
    for (uint32_t i = 0; service->workers && i < service->worker_count; i++)
        if (service->workers[i].worker.loop) // answers of queries that ended after their loop
            oto_loop_run_rest(service->workers[i].worker.loop);
    for (uint32_t i = 0; service->workers && i < service->worker_count; i++)
        free_worker(&service->workers[i]);
    if (service->engine)
        oto_engine_close(service->engine);
    for (uint32_t i = 0; i < service->listener_count; i++)
        oto_socket_close(service->listener_fds[i]);
    oto_stop_signal_release(&service->stop);
    oto_buffer_release(&service->addresses);
    oto_mutex_release(&service->stats_lock);
    free(service->workers);
    free(service);
}
