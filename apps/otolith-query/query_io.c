// Frames in and out. A thread listens: it takes requests in, and while one runs it interrupts when
// the server cancels or the time is up, of which none passes while the answer waits for its reader.
// When the server is gone, the process ends.
#include "query_process.h"

#include "os/clock.h"
#include "os/process.h"
#include <stdlib.h>
#include <unistd.h>

#define LOOK_MS 20 // an interrupt between two statements is lost, so it is repeated

// --- reading ---

static void keep_descriptors(struct query_io *io, const int *received, size_t count)
{
    struct query_request *request = &io->incoming;
    int *grown = realloc(request->descriptors, (request->descriptor_count + count) * sizeof(int));
    if (grown) {
        memcpy(grown + request->descriptor_count, received, count * sizeof(int));
        request->descriptors = grown;
        request->descriptor_count += count;
        return;
    }
    io->lacks_memory = 1;
    for (size_t i = 0; i < count; i++)
        close(received[i]);
}

// Reads up to size bytes, and the descriptors that came beside them.
static size_t read_some(struct query_io *io, void *data, size_t size)
{
    int received[OTO_QUERY_DESCRIPTORS_MAX];
    size_t got, count;
    if (oto_socket_receive(io->fd, data, size, &got, received, OTO_QUERY_DESCRIPTORS_MAX, &count,
                           NULL) != OTO_OK)
        _exit(0);
    if (count)
        keep_descriptors(io, received, count);
    return got;
}

static void read_bytes(struct query_io *io, uint8_t *data, size_t size)
{
    for (size_t got; size; data += got, size -= got)
        got = read_some(io, data, size);
}

static void pass_over(struct query_io *io, size_t size)
{
    uint8_t bytes[4096];
    while (size)
        size -= read_some(io, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
}

static void clear(struct query_request *request)
{
    *request = (struct query_request){.descriptors = NULL};
    oto_buffer_init(&request->payload, &oto_allocator_heap, OTO_QUERY_REQUEST_MAX);
}

static void hand_over(struct query_io *io)
{
    struct query_request *request = &io->incoming;
    if (oto_query_request_decode(oto_buffer_view(&request->payload), &request->view) < 0)
        _exit(1);
    oto_mutex_lock(&io->lock);
    io->request = *request;
    io->has_request = 1;
    io->running = 1;
    io->stop = QUERY_GOES_ON;
    io->deadline_ns = oto_clock_monotonic_ns() + request->view.timeout_ms * 1000000ull;
    oto_condition_signal(&io->came);
    oto_mutex_unlock(&io->lock);
    clear(request);
}

// Nothing runs, so nobody else sends.
static void refuse(struct query_io *io)
{
    struct oto_error err;
    oto_error_init(&err);
    oto_error_set(&err, OTO_NO_MEMORY, "out of memory");
    query_request_release(&io->incoming);
    clear(&io->incoming);
    io->lacks_memory = 0;
    query_io_send_error(io->fd, &err);
}

static void stop(struct query_io *io, enum query_stop reason)
{
    oto_mutex_lock(&io->lock);
    if (io->running && io->stop == QUERY_GOES_ON)
        io->stop = reason;
    if (io->running && io->stop != QUERY_GOES_ON) {
        duckdb_interrupt(io->interrupted->user);
        duckdb_interrupt(io->interrupted->rows);
    }
    oto_mutex_unlock(&io->lock);
}

static void read_frame(struct query_io *io)
{
    uint8_t header[OTO_QUERY_HEADER_SIZE];
    enum oto_query_frame type;
    uint32_t size;
    read_bytes(io, header, sizeof(header));
    if (oto_query_header_decode(header, &type, &size) < 0 || size > OTO_QUERY_REQUEST_MAX)
        _exit(1);
    if (type == OTO_QUERY_FRAME_CANCEL) {
        stop(io, QUERY_CANCELLED);
        return;
    }
    struct oto_buffer *payload = &io->incoming.payload;
    payload->size = 0;
    io->lacks_memory |= oto_buffer_reserve(payload, size) < 0;
    if (io->lacks_memory) {
        pass_over(io, size);
    } else {
        read_bytes(io, payload->data, size);
        payload->size = size;
    }
    if (type == OTO_QUERY_FRAME_REQUEST && io->lacks_memory)
        refuse(io);
    else if (type == OTO_QUERY_FRAME_REQUEST)
        hand_over(io);
}

static void *listen(void *state)
{
    struct query_io *io = state;
    for (;;) {
        oto_mutex_lock(&io->lock);
        int running = io->running;
        int late = running && !io->held_since_ns && oto_clock_monotonic_ns() >= io->deadline_ns;
        int stopped = running && io->stop != QUERY_GOES_ON;
        oto_mutex_unlock(&io->lock);
        if (late || stopped)
            stop(io, QUERY_TIMED_OUT);
        if (oto_socket_wait(io->fd, running ? LOOK_MS : -1) != OTO_TIMEOUT)
            read_frame(io);
    }
    return NULL;
}

enum oto_status query_io_start(struct query_io *io, int fd,
                               const struct query_database *interrupted, struct oto_error *err)
{
    io->fd = fd;
    io->interrupted = interrupted;
    oto_mutex_init(&io->lock);
    oto_condition_init(&io->came);
    clear(&io->incoming);
    return oto_thread_start(&io->listener, "listener", listen, io, err);
}

// --- for the executing thread ---

int query_io_take(struct query_io *io, uint32_t wait_ms, struct query_request *ret_request)
{
    uint64_t until = wait_ms ? oto_clock_monotonic_ns() + wait_ms * 1000000ull : UINT64_MAX;
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&io->lock);
    while (!io->has_request && status == OTO_OK)
        if (wait_ms)
            status = oto_condition_wait_until(&io->came, &io->lock, until);
        else
            oto_condition_wait(&io->came, &io->lock);
    if (!io->has_request) {
        oto_mutex_unlock(&io->lock);
        return 0;
    }
    io->has_request = 0;
    *ret_request = io->request;
    oto_mutex_unlock(&io->lock);
    return 1;
}

enum query_stop query_io_stopped(struct query_io *io)
{
    oto_mutex_lock(&io->lock);
    enum query_stop reason = io->stop;
    oto_mutex_unlock(&io->lock);
    return reason;
}

void query_io_done(struct query_io *io)
{
    oto_mutex_lock(&io->lock);
    io->running = 0;
    oto_mutex_unlock(&io->lock);
}

enum oto_status query_io_send(int fd, enum oto_query_frame type, struct oto_bytes payload)
{
    uint8_t header[OTO_QUERY_HEADER_SIZE];
    oto_query_header_encode(header, type, (uint32_t)payload.size);
    OTO_TRY(oto_socket_send(fd, header, sizeof(header), NULL, 0, NULL));
    return payload.size ? oto_socket_send(fd, payload.data, payload.size, NULL, 0, NULL) : OTO_OK;
}

static void hold(struct query_io *io)
{
    oto_mutex_lock(&io->lock);
    io->held_since_ns = oto_clock_monotonic_ns();
    oto_mutex_unlock(&io->lock);
}

static void go_on(struct query_io *io)
{
    oto_mutex_lock(&io->lock);
    io->deadline_ns += oto_clock_monotonic_ns() - io->held_since_ns;
    io->held_since_ns = 0;
    oto_mutex_unlock(&io->lock);
}

enum oto_status query_io_send_data(struct query_io *io, struct oto_bytes bytes)
{
    hold(io);
    enum oto_status status = query_io_send(io->fd, OTO_QUERY_FRAME_DATA, bytes);
    go_on(io);
    return status;
}

void query_io_send_error(int fd, const struct oto_error *err)
{
    uint8_t payload[OTO_QUERY_ERROR_MAX];
    (void)!query_io_send(fd, OTO_QUERY_FRAME_ERROR, oto_query_error_encode(payload, err));
}

void query_request_release(struct query_request *request)
{
    for (size_t i = 0; i < request->descriptor_count; i++)
        if (request->descriptors[i] >= 0)
            close(request->descriptors[i]);
    free(request->descriptors);
    oto_buffer_release(&request->payload);
    *request = (struct query_request){.descriptors = NULL};
}
