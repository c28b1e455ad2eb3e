// folders: codec net
// otlp_load: replays prepared OTLP requests byte for byte against a server and measures the
// answers.
//
// Requests come from a file of frames (big-endian u32 length, then a serialized request). They are
// compressed and framed before the clock starts. Further passes over them (--repeat) carry their
// number in a field that no reader knows, so that they are no repetitions of the first. Closed
// loop: each connection keeps a fixed number of requests under way. Open loop (--rate): requests
// are due at fixed times, and latency counts from when a request was due, so that a stall is
// charged for all that queued up behind it, and refusals until the request was taken at last.
// Refused requests (UNAVAILABLE, 503) are sent again after --retry milliseconds; with 0 they are
// not, and --refused FILE gets their numbers. Prints one JSON object; half_per_s is the rate of the
// second half of the requests: without what a server takes in before it has to keep up.
#define _GNU_SOURCE
#include "codec/compress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct options {
    const char *host;
    int port;
    const char *protocol; // "grpc" or "http"
    const char *signal;
    const char *frames;
    const char *content; // "protobuf" or "json"
    const char *compression;
    int connections;
    int in_flight;
    double rate; // requests a second; 0: closed loop
    int repeat;
    int retry;
    size_t requests;     // at most so many of the file; 0: all
    const char *refused; // file for the numbers of refused requests
};

struct request {
    struct oto_bytes bytes; // HTTP: head and body; gRPC: framed message
    uint64_t due_ns;        // first
    uint64_t again_ns;      // not sent again before
    int was_refused;
};

struct load {
    struct options options;
    struct request *requests;
    size_t request_count;
    size_t next;     // next request to send
    size_t answered; // for good
    size_t accepted; // of them not refused
    size_t failed;
    size_t refused; // answers UNAVAILABLE or 503
    size_t *again;  // requests to be sent again, a ring in order of their times
    size_t again_first, again_count;
    uint64_t body_bytes;
    uint64_t started_ns, half_ns;               // half_ns: half of them had been answered
    double prepared_cpu_s;                      // spent before
    uint64_t *latencies_ns, *sent_latencies_ns; // since they were due; since they were sent at last
    int epoll_fd;
};

struct stream {
    size_t request;
    size_t sent;
    uint64_t begun_ns;
    int ok;
    int retryable;
};

struct connection {
    struct load *load;
    int fd;
    int busy; // requests under way
    int want_write;
    // gRPC
    nghttp2_session *session;
    // HTTP/1.1: one at a time
    struct stream current;
    char head[8192];
    size_t head_size;
    size_t body_left;
    int in_body;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "otlp_load: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

// --- requests ---

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        die(path);
    uint8_t *data = malloc((size_t)info.st_size + 1);
    size_t size = 0;
    while (data && size < (size_t)info.st_size) {
        ssize_t got = read(fd, data + size, (size_t)info.st_size - size);
        if (got <= 0)
            die(path);
        size += (size_t)got;
    }
    close(fd);
    *ret_size = size;
    return data;
}

// What is put behind a protobuf request to tell the passes apart: field 1000.
static size_t vary(int pass, uint8_t output[4])
{
    output[0] = 0xC0;
    output[1] = 0x3E;
    output[2] = (uint8_t)(0x80 | (pass & 127));
    output[3] = (uint8_t)(1 + (pass >> 7));
    return 4;
}

static struct oto_bytes prepare(struct load *load, struct oto_codec *codec, struct oto_bytes body,
                                int pass)
{
    const struct options *o = &load->options;
    struct oto_buffer plain, packed, out;
    oto_buffer_init(&plain, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&packed, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&out, &oto_allocator_heap, SIZE_MAX / 2);
    enum oto_compression compression;
    struct oto_error err;
    uint8_t varied[4];
    if (pass > 0 && oto_buffer_append(&plain, body.data, body.size) < 0)
        die("memory");
    if (pass > 0 && oto_buffer_append(&plain, varied, vary(pass, varied)) < 0)
        die("memory");
    if (pass > 0)
        body = oto_buffer_view(&plain);
    if (oto_compression_from_name(oto_bytes_text(o->compression), &compression) < 0)
        die("compression");
    if (compression != OTO_COMPRESSION_NONE) {
        // Level 6 for gzip: what Go's and Python's exporters use.
        if (oto_compress(codec, compression, compression == OTO_COMPRESSION_GZIP ? 6 : 0, body,
                         &packed, &err) < 0)
            die("compress");
        body = oto_buffer_view(&packed);
    }
    enum oto_status status;
    if (strcmp(o->protocol, "grpc") == 0) {
        uint8_t prefix[5] = {compression != OTO_COMPRESSION_NONE};
        oto_store32_big(prefix + 1, (uint32_t)body.size);
        status = oto_buffer_append(&out, prefix, 5);
    } else {
        status = oto_buffer_append_format(
            &out,
            "POST /v1/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: "
            "application/%s\r\n%s%s%sContent-Length: %zu\r\n\r\n",
            o->signal, o->host, strcmp(o->content, "json") == 0 ? "json" : "x-protobuf",
            compression ? "Content-Encoding: " : "", compression ? o->compression : "",
            compression ? "\r\n" : "", body.size);
    }
    if (status < 0 || oto_buffer_append(&out, body.data, body.size) < 0)
        die("memory");
    oto_buffer_release(&plain);
    oto_buffer_release(&packed);
    load->body_bytes += body.size;
    return oto_buffer_view(&out);
}

static void load_pass(struct load *load, struct oto_codec *codec, struct oto_bytes frames, int pass)
{
    size_t limit = load->options.requests ? load->options.requests : SIZE_MAX, count = 0;
    for (size_t at = 0; at + 4 <= frames.size && count < limit; count++) {
        size_t length = oto_load32_big(frames.data + at);
        if (length > frames.size - at - 4)
            die("frames are cut off");
        if ((load->request_count & (load->request_count - 1)) == 0)
            load->requests =
                realloc(load->requests, (2 * load->request_count + 1) * sizeof(*load->requests));
        if (!load->requests)
            die("memory");
        load->requests[load->request_count++] = (struct request){
            .bytes = prepare(load, codec, oto_bytes(frames.data + at + 4, length), pass)};
        at += 4 + length;
    }
}

static void load_requests(struct load *load)
{
    size_t size;
    uint8_t *data = read_file(load->options.frames, &size);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    for (int pass = 0; pass < load->options.repeat; pass++)
        load_pass(load, codec, oto_bytes(data, size), pass);
    free(data);
    oto_codec_free(codec);
    load->latencies_ns = calloc(load->request_count, sizeof(*load->latencies_ns));
    load->sent_latencies_ns = calloc(load->request_count, sizeof(*load->sent_latencies_ns));
    load->again = calloc(load->request_count, sizeof(*load->again));
    if (!load->request_count || !load->latencies_ns || !load->sent_latencies_ns || !load->again)
        die("no requests");
}

// --- sending ---

// When the next request is due; UINT64_MAX when there is none.
static uint64_t next_due(const struct load *load)
{
    if (load->next >= load->request_count)
        return UINT64_MAX;
    if (load->options.rate <= 0)
        return 0;
    return load->started_ns + (uint64_t)((double)load->next * 1e9 / load->options.rate);
}

static int take(struct load *load, struct stream *stream)
{
    uint64_t due = next_due(load), now = now_ns();
    size_t again = load->again[load->again_first];
    if (load->again_count && now >= load->requests[again].again_ns) {
        *stream = (struct stream){.request = again, .begun_ns = now};
        load->again_first = (load->again_first + 1) % load->request_count;
        load->again_count--;
        return 1;
    }
    if (due == UINT64_MAX || due > now)
        return 0;
    *stream = (struct stream){.request = load->next++, .begun_ns = now};
    load->requests[stream->request].due_ns = due ? due : now;
    return 1;
}

static void answered(struct load *load, const struct stream *stream, int ok)
{
    struct request *request = &load->requests[stream->request];
    if (!ok && stream->retryable) {
        load->refused++;
        request->was_refused = 1;
        if (load->options.retry) {
            size_t last = (load->again_first + load->again_count++) % load->request_count;
            load->again[last] = stream->request;
            request->again_ns = now_ns() + (uint64_t)load->options.retry * 1000000u;
            return;
        }
    } else {
        uint64_t now = now_ns();
        load->sent_latencies_ns[load->accepted] = now - stream->begun_ns;
        load->latencies_ns[load->accepted++] = now - request->due_ns;
        load->failed += !ok;
    }
    if (++load->answered == (load->request_count + 1) / 2)
        load->half_ns = now_ns();
}

static void update_events(struct connection *c, int want_write)
{
    if (c->want_write == want_write)
        return;
    c->want_write = want_write;
    struct epoll_event event = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(c->load->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

// --- gRPC ---

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id;
    struct connection *c = user;
    struct stream *stream = source->ptr;
    struct oto_bytes bytes = c->load->requests[stream->request].bytes;
    size_t left = bytes.size - stream->sent;
    if (size > left)
        size = left;
    memcpy(buffer, bytes.data + stream->sent, size);
    stream->sent += size;
    if (stream->sent == bytes.size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    (void)flags, (void)user;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream && name_size == 11 && memcmp(name, "grpc-status", 11) == 0) {
        stream->ok = value_size == 1 && value[0] == '0';
        stream->retryable = value_size == 2 && memcmp(value, "14", 2) == 0;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct connection *c = user;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (!stream)
        return 0;
    answered(c->load, stream, stream->ok && error == 0);
    c->busy--;
    free(stream);
    return 0;
}

#define NV(n, v)                                                                                   \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v),                \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

static void grpc_submit(struct connection *c)
{
    const struct options *o = &c->load->options;
    char path[128];
    const char *service = strcmp(o->signal, "logs") == 0     ? "Logs"
                          : strcmp(o->signal, "traces") == 0 ? "Trace"
                                                             : "Metrics";
    (void)snprintf(path, sizeof(path), "/opentelemetry.proto.collector.%s.v1.%sService/Export",
                   strcmp(o->signal, "traces") == 0 ? "trace" : o->signal, service);
    nghttp2_nv headers[] = {NV(":method", "POST"),
                            NV(":scheme", "http"),
                            NV(":path", path),
                            NV(":authority", o->host),
                            NV("content-type", "application/grpc"),
                            NV("te", "trailers"),
                            NV("grpc-encoding", o->compression)};
    struct stream taken;
    while (c->busy < o->in_flight && take(c->load, &taken)) {
        struct stream *stream = malloc(sizeof(*stream));
        if (!stream)
            die("memory");
        *stream = taken;
        nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
        if (nghttp2_submit_request(c->session, NULL, headers, 7, &provider, stream) < 0)
            die("submit");
        c->busy++;
    }
}

static void send_all(struct connection *c, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t sent = send(c->fd, data + at, size - at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            die("send");
        if (sent < 0) { // nghttp2 cannot take bytes back, so wait for room here
            fd_set set;
            FD_ZERO(&set);
            FD_SET(c->fd, &set);
            select(c->fd + 1, NULL, &set, NULL, NULL);
        } else {
            at += (size_t)sent;
        }
    }
}

// Frames that are ready together are sent together, as exporters' libraries do.
static void grpc_write(struct connection *c)
{
    static uint8_t out[64 << 10];
    size_t held = 0;
    for (;;) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(c->session, &data);
        if (size < 0)
            die("mem_send");
        if (held > 0 && (size == 0 || (size_t)size > sizeof(out) - held)) {
            send_all(c, out, held);
            held = 0;
        }
        if (size == 0)
            break;
        if ((size_t)size > sizeof(out)) {
            send_all(c, data, (size_t)size);
        } else {
            memcpy(out + held, data, (size_t)size);
            held += (size_t)size;
        }
    }
}

static void grpc_read(struct connection *c)
{
    static uint8_t buffer[256 << 10];
    ssize_t size = recv(c->fd, buffer, sizeof(buffer), 0);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        die("the server closed a connection");
    if (size > 0 && nghttp2_session_mem_recv(c->session, buffer, (size_t)size) < 0)
        die("mem_recv");
}

static void grpc_open(struct connection *c)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

// --- HTTP/1.1 ---

static void http_write(struct connection *c)
{
    for (;;) {
        if (!c->busy) {
            if (!take(c->load, &c->current))
                break;
            c->busy = 1;
        }
        struct oto_bytes bytes = c->load->requests[c->current.request].bytes;
        if (c->current.sent == bytes.size)
            break;
        ssize_t sent =
            send(c->fd, bytes.data + c->current.sent, bytes.size - c->current.sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            update_events(c, 1);
            return;
        }
        if (sent < 0)
            die("send");
        c->current.sent += (size_t)sent;
    }
    update_events(c, 0);
}

static void http_head(struct connection *c)
{
    char *end = memmem(c->head, c->head_size, "\r\n\r\n", 4);
    if (!end)
        return;
    *end = 0;
    char *length = strcasestr(c->head, "content-length:");
    size_t after = c->head_size - (size_t)(end + 4 - c->head);
    c->current.ok = strncmp(c->head, "HTTP/1.1 200", 12) == 0;
    c->current.retryable = strncmp(c->head, "HTTP/1.1 503", 12) == 0;
    c->body_left = length ? strtoul(length + 15, NULL, 10) : 0;
    c->body_left -= after < c->body_left ? after : c->body_left;
    c->in_body = 1;
}

static void http_read(struct connection *c)
{
    char drop[4096];
    ssize_t size = c->in_body
                       ? recv(c->fd, drop, sizeof(drop), 0)
                       : recv(c->fd, c->head + c->head_size, sizeof(c->head) - 1 - c->head_size, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        die("the server closed a connection");
    if (size < 0)
        return;
    if (c->in_body) {
        c->body_left -= (size_t)size < c->body_left ? (size_t)size : c->body_left;
    } else {
        c->head_size += (size_t)size;
        c->head[c->head_size] = 0;
        http_head(c);
    }
    if (c->in_body && c->body_left == 0) {
        answered(c->load, &c->current, c->current.ok);
        c->in_body = 0;
        c->head_size = 0;
        c->busy = 0;
    }
}

// --- the run ---

static void open_connection(struct load *load, struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)load->options.port)};
    inet_pton(AF_INET, load->options.host, &address.sin_addr);
    int one = 1;
    c->load = load;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (strcmp(load->options.protocol, "grpc") == 0)
        grpc_open(c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void pump(struct connection *c)
{
    if (c->session) {
        grpc_submit(c);
        grpc_write(c);
    } else {
        http_write(c);
    }
}

// The last millisecond before a request is due is spent looking, so that it goes out in time.
static int wait_ms(const struct load *load)
{
    uint64_t due = next_due(load), now = now_ns();
    if (load->again_count)
        return 1;
    if (load->options.rate <= 0 || due == UINT64_MAX)
        return -1;
    if (due <= now) // all connections are busy
        return 1;
    return due - now > 2000000u ? 1 : 0;
}

static void run(struct load *load)
{
    struct connection *connections =
        calloc((size_t)load->options.connections, sizeof(*connections));
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < load->options.connections; i++)
        open_connection(load, &connections[i]);
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    load->prepared_cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9;
    load->started_ns = now_ns();
    for (int i = 0; i < load->options.connections; i++)
        pump(&connections[i]);
    while (load->answered < load->request_count) {
        struct epoll_event events[256];
        int count = epoll_wait(load->epoll_fd, events, 256, wait_ms(load));
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                if (c->session)
                    grpc_read(c);
                else
                    http_read(c);
            }
            pump(c);
        }
        if (load->options.rate > 0 || load->again_count)
            for (int i = 0; i < load->options.connections; i++)
                pump(&connections[i]);
    }
    free(connections);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const struct load *load, const uint64_t *of, double q)
{
    return load->accepted ? (double)of[(size_t)((double)(load->accepted - 1) * q)] * 1e-6 : 0;
}

static void write_refused(const struct load *load)
{
    FILE *file = fopen(load->options.refused, "w");
    if (!file)
        die(load->options.refused);
    for (size_t i = 0; i < load->request_count; i++)
        if (load->requests[i].was_refused)
            (void)fprintf(file, "%zu\n", i);
    if (fclose(file) != 0)
        die(load->options.refused);
}

static void report(struct load *load)
{
    double seconds = (double)(now_ns() - load->started_ns) * 1e-9;
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    const uint64_t *due = load->latencies_ns;
    qsort(load->latencies_ns, load->accepted, sizeof(*load->latencies_ns), compare);
    qsort(load->sent_latencies_ns, load->accepted, sizeof(*load->latencies_ns), compare);
    (void)printf(
        "{\"requests\": %zu, \"failed\": %zu, \"refused\": %zu, \"seconds\": %.4f, "
        "\"requests_per_s\": %.1f, \"half_per_s\": %.1f, \"body_bytes\": %llu, "
        "\"sender_cpu_s\": %.3f, "
        "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f, "
        "\"sent_p99_ms\": %.3f}\n",
        load->answered, load->failed, load->refused, seconds, (double)load->answered / seconds,
        (double)(load->answered / 2) * 1e9 / (double)(now_ns() - load->half_ns),
        (unsigned long long)load->body_bytes,
        (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9 - load->prepared_cpu_s,
        quantile_ms(load, due, 0.5), quantile_ms(load, due, 0.99), quantile_ms(load, due, 0.999),
        quantile_ms(load, due, 1), quantile_ms(load, load->sent_latencies_ns, 0.99));
    if (load->options.refused)
        write_refused(load);
}

static void usage(void)
{
    (void)fputs("otlp_load --port N --frames FILE [--host 127.0.0.1] [--protocol grpc|http] "
                "[--signal logs|traces|metrics]\n"
                "          [--content protobuf|json] [--compression identity|gzip|zstd] "
                "[--connections 2] [--in-flight 4]\n"
                "          [--rate REQUESTS_PER_S] [--requests N] [--repeat 1] [--retry 1000] "
                "[--refused FILE]\n",
                stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    struct load load = {.options = {.host = "127.0.0.1",
                                    .protocol = "grpc",
                                    .signal = "logs",
                                    .content = "protobuf",
                                    .compression = "identity",
                                    .connections = 2,
                                    .in_flight = 4,
                                    .repeat = 1,
                                    .retry = 1000}};
    struct options *o = &load.options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--port") == 0)
            o->port = atoi(value);
        else if (strcmp(name, "--host") == 0)
            o->host = value;
        else if (strcmp(name, "--frames") == 0)
            o->frames = value;
        else if (strcmp(name, "--protocol") == 0)
            o->protocol = value;
        else if (strcmp(name, "--signal") == 0)
            o->signal = value;
        else if (strcmp(name, "--content") == 0)
            o->content = value;
        else if (strcmp(name, "--compression") == 0)
            o->compression = value;
        else if (strcmp(name, "--connections") == 0)
            o->connections = atoi(value);
        else if (strcmp(name, "--in-flight") == 0)
            o->in_flight = atoi(value);
        else if (strcmp(name, "--rate") == 0)
            o->rate = atof(value);
        else if (strcmp(name, "--repeat") == 0)
            o->repeat = atoi(value);
        else if (strcmp(name, "--requests") == 0)
            o->requests = strtoul(value, NULL, 10);
        else if (strcmp(name, "--retry") == 0)
            o->retry = atoi(value);
        else if (strcmp(name, "--refused") == 0)
            o->refused = value;
        else
            usage();
    }
    if (strcmp(o->content, "json") == 0 && o->repeat > 1) // nothing to tell the passes apart by
        usage();
    if (!o->port || !o->frames || argc % 2 == 0 || o->connections < 1 || o->in_flight < 1)
        usage();
    load_requests(&load);
    run(&load);
    report(&load);
    return load.failed != 0;
}
