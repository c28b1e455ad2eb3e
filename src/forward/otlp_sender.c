#include "forward/otlp_sender.h"

#include "forward/curl_library.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define URL_MAX 2048
#define HEADER_MAX 8192
#define ANSWER_MAX ((size_t)1 << 20)
#define REQUEST_MAX ((size_t)1 << 30)
#define CONNECT_TIMEOUT_MS 10000L
#define WAIT_MS 100 // between two questions whether to stop
#define MS_NS UINT64_C(1000000)

enum request_state { REQUEST_FREE, REQUEST_SENDING, REQUEST_WAITING };

struct request {
    enum request_state state;
    enum oto_signal signal;
    CURL *easy;
    struct oto_buffer body; // as it is sent
    struct oto_buffer answer;
    uint64_t begun_ns; // first try
    uint64_t wait_until_ns;
    uint32_t tries;
};

struct oto_otlp_sender {
    struct oto_otlp_sender_options options;
    enum oto_otlp_transport transport;
    char urls[OTO_SIGNAL_COUNT][URL_MAX + 96];
    struct curl_slist *headers;
    CURLM *multi;
    struct oto_codec *codec;
    struct request requests[OTO_OTLP_IN_FLIGHT_MAX];
    uint32_t busy; // requests that are not free
    struct oto_otlp_sender_totals totals;
    struct oto_error failure; // status 0: none
};

void oto_otlp_sender_options_default(struct oto_otlp_sender_options *options)
{
    *options = (struct oto_otlp_sender_options){.transport = OTO_OTLP_TRANSPORT_OF_URL,
                                                .compression = OTO_COMPRESSION_GZIP,
                                                .in_flight_max = 4,
                                                .timeout_ms = 30000,
                                                .backoff_ms_min = 500,
                                                .backoff_ms_max = 30000,
                                                .retry_ms_max = 300000,
                                                .user_agent = "otolith"};
}

// --- where to ---

static const struct scheme {
    const char *name, *becomes;
    enum oto_otlp_transport transport;
} schemes[] = {{"http://", "http://", OTO_OTLP_TRANSPORT_OF_URL},
               {"https://", "https://", OTO_OTLP_TRANSPORT_OF_URL},
               {"grpc://", "http://", OTO_OTLP_TRANSPORT_GRPC},
               {"grpcs://", "https://", OTO_OTLP_TRANSPORT_GRPC}};

static const struct scheme *scheme_of(const char *url)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (oto_text_begins_with(url, schemes[i].name))
            return &schemes[i];
    return NULL;
}

static enum oto_otlp_transport transport_of(const struct oto_otlp_sender_options *options,
                                            const struct scheme *scheme)
{
    if (options->transport != OTO_OTLP_TRANSPORT_OF_URL)
        return options->transport;
    if (scheme->transport != OTO_OTLP_TRANSPORT_OF_URL)
        return scheme->transport;
    const char *host = options->url + strlen(scheme->name);
    size_t size = strcspn(host, "/?#");
    return size > 5 && memcmp(host + size - 5, ":4317", 5) == 0 ? OTO_OTLP_TRANSPORT_GRPC
                                                                : OTO_OTLP_TRANSPORT_HTTP;
}

static enum oto_status set_urls(struct oto_otlp_sender *s, struct oto_error *err)
{
    static const char *const paths[][OTO_SIGNAL_COUNT] = {
        [OTO_OTLP_TRANSPORT_HTTP] = {"/v1/logs", "/v1/traces", "/v1/metrics"},
        [OTO_OTLP_TRANSPORT_GRPC] = {
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"}};
    const char *url = s->options.url;
    const struct scheme *scheme = scheme_of(url);
    if (!scheme)
        return oto_error_set(err, OTO_INVALID,
                             "'%s' is no endpoint: http://, https://, grpc:// or grpcs:// and "
                             "HOST:PORT are expected",
                             url);
    const char *host = url + strlen(scheme->name);
    size_t size = strlen(host);
    while (size && host[size - 1] == '/')
        size--;
    if (size == 0 || size > URL_MAX || *host == ':' || strcspn(host, " ?#\"<>\\") < size)
        return oto_error_set(err, OTO_INVALID, "'%s' is no endpoint: after %s comes HOST:PORT", url,
                             scheme->name);
    s->transport = transport_of(&s->options, scheme);
    for (int i = 0; i < OTO_SIGNAL_COUNT; i++)
        (void)snprintf(s->urls[i], sizeof(s->urls[i]), "%s%.*s%s", scheme->becomes, (int)size, host,
                       paths[s->transport][i]);
    return OTO_OK;
}

// --- headers ---

static enum oto_status add_header(struct oto_otlp_sender *s, const char *name, const char *value,
                                  struct oto_error *err)
{
    char line[HEADER_MAX];
    int size = snprintf(line, sizeof(line), *value ? "%s: %s" : "%s:%s", name, value);
    struct curl_slist *longer =
        size < (int)sizeof(line) ? oto_curl()->slist_append(s->headers, line) : NULL;
    if (!longer)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the header %s", name);
    s->headers = longer;
    return OTO_OK;
}

// "name=value" or "name: value".
static enum oto_status add_own_header(struct oto_otlp_sender *s, const char *text,
                                      struct oto_error *err)
{
    char name[256];
    size_t size = strcspn(text, "=:");
    const char *value = text + size + (text[size] != 0);
    value += strspn(value, " ");
    if (size == 0 || size >= sizeof(name) || text[size] == 0 || *value == 0 ||
        strcspn(text, "\r\n") < strlen(text) || strcspn(text, " \t") < size)
        return oto_error_set(err, OTO_INVALID, "'%s' is no header: name=value is expected", text);
    (void)snprintf(name, sizeof(name), "%.*s", (int)size, text);
    return add_header(s, name, value, err);
}

static enum oto_status set_headers(struct oto_otlp_sender *s, struct oto_error *err)
{
    static const char *const codings[] = {[OTO_COMPRESSION_GZIP] = "gzip",
                                          [OTO_COMPRESSION_DEFLATE] = "deflate",
                                          [OTO_COMPRESSION_ZSTD] = "zstd"};
    int is_grpc = s->transport == OTO_OTLP_TRANSPORT_GRPC;
    const char *coding = codings[s->options.compression];
    char timeout[32];
    (void)snprintf(timeout, sizeof(timeout), "%um", s->options.timeout_ms);
    OTO_TRY(add_header(s, "Content-Type", is_grpc ? "application/grpc" : "application/x-protobuf",
                       err));
    OTO_TRY(add_header(s, "Expect", "", err)); // no question before the body
    if (coding)
        OTO_TRY(add_header(s, is_grpc ? "grpc-encoding" : "Content-Encoding", coding, err));
    if (is_grpc) {
        OTO_TRY(add_header(s, "te", "trailers", err));
        OTO_TRY(add_header(s, "grpc-timeout", timeout, err));
        OTO_TRY(add_header(s, "Accept", "", err)); // not the one that libcurl sends unasked
    } else {
        OTO_TRY(add_header(s, "Accept", "application/x-protobuf", err));
    }
    for (size_t i = 0; i < s->options.header_count; i++)
        OTO_TRY(add_own_header(s, s->options.headers[i], err));
    return OTO_OK;
}

// --- life ---

static size_t take_answer(char *data, size_t size, size_t count, void *state)
{
    struct request *request = state;
    return oto_buffer_append(&request->answer, data, size * count) == OTO_OK ? size * count : 0;
}

// curl_easy_setopt takes a long, a pointer or a function, by the option.
#define SET(option, value) (ok &= oto_curl()->easy_setopt(easy, option, value) == CURLE_OK)

// libcurl before 8.0 fails when it uses an HTTP/2 connection without TLS for a second request.
static int is_reuse_broken(void)
{
    return oto_curl()->version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

static int set_options(const struct oto_otlp_sender *s, struct request *request)
{
    CURL *easy = request->easy;
    int ok = 1;
    int is_grpc = s->transport == OTO_OTLP_TRANSPORT_GRPC;
    int has_tls = oto_text_begins_with(s->urls[0], "https://");
    SET(CURLOPT_HTTP_VERSION, has_tls   ? (long)CURL_HTTP_VERSION_2TLS
                              : is_grpc ? (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                        : (long)CURL_HTTP_VERSION_1_1);
    if (is_grpc && !has_tls && is_reuse_broken()) {
        SET(CURLOPT_FRESH_CONNECT, 1L);
        SET(CURLOPT_FORBID_REUSE, 1L);
    } else {
        SET(CURLOPT_PIPEWAIT, is_grpc ? 1L : 0L);
    }
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTPHEADER, s->headers);
    SET(CURLOPT_USERAGENT, s->options.user_agent);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)s->options.timeout_ms);
    SET(CURLOPT_WRITEFUNCTION, take_answer);
    SET(CURLOPT_WRITEDATA, (void *)request);
    SET(CURLOPT_PRIVATE, (void *)request);
    if (s->options.ca_file)
        SET(CURLOPT_CAINFO, s->options.ca_file);
    return ok;
}

static enum oto_status prepare(struct oto_otlp_sender *s, struct oto_error *err)
{
    OTO_TRY(set_urls(s, err));
    OTO_TRY(set_headers(s, err));
    s->multi = oto_curl()->multi_init();
    s->codec = oto_codec_new(&oto_allocator_heap);
    if (!s->multi || !s->codec)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a sender");
    for (uint32_t i = 0; i < s->options.in_flight_max; i++) {
        struct request *request = &s->requests[i];
        request->easy = oto_curl()->easy_init();
        if (!request->easy || !set_options(s, request))
            return oto_error_set(err, OTO_NO_MEMORY, "no memory for a sender");
    }
    return OTO_OK;
}

enum oto_status oto_otlp_sender_new(const struct oto_otlp_sender_options *options,
                                    struct oto_otlp_sender **ret_sender, struct oto_error *err)
{
    OTO_TRY(oto_curl_load(err));
    struct oto_otlp_sender *s = calloc(1, sizeof(*s));
    if (!s || oto_curl()->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(s);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a sender");
    }
    s->options = *options;
    if (s->options.in_flight_max < 1 || s->options.in_flight_max > OTO_OTLP_IN_FLIGHT_MAX)
        s->options.in_flight_max = OTO_OTLP_IN_FLIGHT_MAX;
    for (int i = 0; i < OTO_OTLP_IN_FLIGHT_MAX; i++) {
        oto_buffer_init(&s->requests[i].body, &oto_allocator_heap, REQUEST_MAX);
        oto_buffer_init(&s->requests[i].answer, &oto_allocator_heap, ANSWER_MAX);
    }
    enum oto_status status = prepare(s, err);
    if (status < 0)
        oto_otlp_sender_free(s);
    else
        *ret_sender = s;
    return status;
}

void oto_otlp_sender_free(struct oto_otlp_sender *s)
{
    if (!s)
        return;
    for (int i = 0; i < OTO_OTLP_IN_FLIGHT_MAX; i++) {
        struct request *request = &s->requests[i];
        if (request->state == REQUEST_SENDING)
            (void)oto_curl()->multi_remove_handle(s->multi, request->easy);
        if (request->easy)
            oto_curl()->easy_cleanup(request->easy);
        oto_buffer_release(&request->body);
        oto_buffer_release(&request->answer);
    }
    if (s->multi)
        (void)oto_curl()->multi_cleanup(s->multi);
    oto_curl()->slist_free_all(s->headers);
    oto_codec_free(s->codec);
    oto_curl()->global_cleanup();
    free(s);
}

enum oto_otlp_transport oto_otlp_sender_transport(const struct oto_otlp_sender *sender)
{
    return sender->transport;
}

void oto_otlp_sender_totals_of(const struct oto_otlp_sender *sender,
                               struct oto_otlp_sender_totals *ret_totals)
{
    *ret_totals = sender->totals;
}

// --- one try ---

static enum oto_status start_try(struct oto_otlp_sender *s, struct request *request)
{
    CURL *easy = request->easy;
    int ok = 1;
    request->answer.size = 0;
    request->tries++;
    SET(CURLOPT_URL, s->urls[request->signal]);
    SET(CURLOPT_POSTFIELDS, (const char *)request->body.data);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    if (!ok || oto_curl()->multi_add_handle(s->multi, easy) != CURLM_OK)
        return oto_error_set(&s->failure, OTO_NO_MEMORY, "no memory to send a request");
    request->state = REQUEST_SENDING;
    return OTO_OK;
}

// A failure of libcurl that will be there the next time too.
static int is_final(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_WRITE_ERROR: // an answer beyond ANSWER_MAX
        return 1;
    default:
        return 0;
    }
}

// A header or trailer of the answer. Ownership: returns view, until the next transfer.
static const char *answer_header(CURL *easy, const char *name)
{
    struct curl_header *header;
    return oto_curl()->easy_header(easy, name, 0, CURLH_TRAILER | CURLH_HEADER, -1, &header) ==
                   CURLHE_OK
               ? header->value
               : NULL;
}

static void read_answer(struct request *request, CURLcode code, struct oto_otlp_answer *answer)
{
    long http_status = 0;
    curl_off_t retry_after = 0;
    char *content_type = NULL;
    *answer = (struct oto_otlp_answer){.body = oto_buffer_view(&request->answer)};
    if (code != CURLE_OK) {
        answer->network_error = oto_curl()->easy_strerror(code);
        answer->is_final = is_final(code);
        return;
    }
    (void)oto_curl()->easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &http_status);
    (void)oto_curl()->easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
    (void)oto_curl()->easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &content_type);
    answer->http_status = (int)http_status;
    answer->retry_after_ms = retry_after > 0 ? (uint64_t)retry_after * 1000 : 0;
    answer->content_type = content_type;
    answer->grpc_status = answer_header(request->easy, "grpc-status");
    answer->grpc_message = answer_header(request->easy, "grpc-message");
    answer->grpc_details = answer_header(request->easy, "grpc-status-details-bin");
}

static void set_free(struct oto_otlp_sender *s, struct request *request)
{
    request->state = REQUEST_FREE;
    s->busy--;
}

static void note_taken(struct oto_otlp_sender *s, struct request *request,
                       const struct oto_otlp_outcome *outcome)
{
    s->totals.requests++;
    s->totals.bytes += request->body.size;
    s->totals.rejected += outcome->rejected;
    if (*outcome->message)
        memcpy(s->totals.message, outcome->message, sizeof(s->totals.message));
    set_free(s, request);
}

// The pause before the next try: what the endpoint asks for, else doubled each time; a quarter of
// it is random, so that many senders do not come back together.
static uint64_t pause_ms(const struct oto_otlp_sender *s, const struct request *request,
                         const struct oto_otlp_outcome *outcome)
{
    uint64_t pause = outcome->wait_ms, random;
    if (pause == 0) {
        uint32_t doublings = request->tries - 1 < 16 ? request->tries - 1 : 16;
        pause = (uint64_t)s->options.backoff_ms_min << doublings;
        pause = pause < s->options.backoff_ms_max ? pause : s->options.backoff_ms_max;
    }
    oto_random(&random, sizeof(random));
    return pause + random % (pause / 4 + 1);
}

static void repeat_later(struct oto_otlp_sender *s, struct request *request,
                         const struct oto_otlp_outcome *outcome)
{
    uint64_t now = oto_clock_monotonic_ns(), pause = pause_ms(s, request, outcome);
    uint64_t age_ms = (now - request->begun_ns) / MS_NS;
    if (age_ms + pause > s->options.retry_ms_max) {
        oto_error_set(&s->failure, OTO_TIMEOUT, "%s: given up after %u tries in %llu s: %s",
                      s->options.url, request->tries, (unsigned long long)(age_ms / 1000),
                      outcome->message);
        return;
    }
    request->state = REQUEST_WAITING;
    request->wait_until_ns = now + pause * MS_NS;
    s->totals.retries++;
    if (s->options.retrying)
        s->options.retrying(s->options.state, outcome->message, pause);
}

static void finish_try(struct oto_otlp_sender *s, struct request *request, CURLcode code)
{
    struct oto_otlp_answer answer;
    struct oto_otlp_outcome outcome;
    read_answer(request, code, &answer);
    oto_otlp_outcome_of(s->transport, &answer, &outcome);
    (void)oto_curl()->multi_remove_handle(s->multi, request->easy);
    request->state = REQUEST_WAITING;
    if (outcome.verdict == OTO_OTLP_TAKEN)
        note_taken(s, request, &outcome);
    else if (outcome.verdict == OTO_OTLP_REPEAT)
        repeat_later(s, request, &outcome);
    else if (s->failure.status == OTO_OK)
        oto_error_set(&s->failure, OTO_DENIED, "%s: %s", s->options.url, outcome.message);
}

// --- the work ---

// Starts the tries whose pause is over; returns the milliseconds to the next one.
static int start_waiting(struct oto_otlp_sender *s)
{
    uint64_t now = oto_clock_monotonic_ns(), next_ns = WAIT_MS * MS_NS;
    for (uint32_t i = 0; i < s->options.in_flight_max && s->failure.status == OTO_OK; i++) {
        struct request *request = &s->requests[i];
        if (request->state != REQUEST_WAITING)
            continue;
        if (request->wait_until_ns <= now)
            (void)start_try(s, request);
        else if (request->wait_until_ns - now < next_ns)
            next_ns = request->wait_until_ns - now;
    }
    return (int)(next_ns / MS_NS) + 1;
}

static void step(struct oto_otlp_sender *s, int may_wait)
{
    int running, left, timeout_ms = start_waiting(s);
    CURLMsg *message;
    (void)oto_curl()->multi_perform(s->multi, &running);
    int finished = 0;
    while ((message = oto_curl()->multi_info_read(s->multi, &left))) {
        struct request *request = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)oto_curl()->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        finish_try(s, request, code);
        finished = 1;
    }
    if (may_wait && !finished)
        (void)oto_curl()->multi_poll(s->multi, NULL, 0, timeout_ms, NULL);
}

static enum oto_status wait_until_busy(struct oto_otlp_sender *s, uint32_t at_most,
                                       struct oto_error *err)
{
    while (s->failure.status == OTO_OK && s->busy > at_most) {
        if (s->options.is_stopped && s->options.is_stopped(s->options.state))
            oto_error_set(&s->failure, OTO_UNAVAILABLE, "interrupted");
        else
            step(s, 1);
    }
    if (s->failure.status != OTO_OK && err)
        *err = s->failure;
    return s->failure.status;
}

// gRPC: whether it is compressed, and its size, before the message.
static enum oto_status make_body(struct oto_otlp_sender *s, struct oto_bytes message,
                                 struct oto_buffer *body, struct oto_error *err)
{
    int is_grpc = s->transport == OTO_OTLP_TRANSPORT_GRPC;
    uint8_t prefix[5] = {s->options.compression != OTO_COMPRESSION_NONE};
    body->size = 0;
    if (is_grpc)
        OTO_TRY(oto_buffer_append(body, prefix, sizeof(prefix)));
    if (s->options.compression == OTO_COMPRESSION_NONE)
        OTO_TRY(oto_buffer_append(body, message.data, message.size));
    else
        OTO_TRY(oto_compress(s->codec, s->options.compression, 0, message, body, err));
    if (is_grpc)
        oto_store32_big(body->data + 1, (uint32_t)(body->size - sizeof(prefix)));
    return OTO_OK;
}

enum oto_status oto_otlp_sender_submit(struct oto_otlp_sender *s, enum oto_signal signal,
                                       struct oto_bytes message, struct oto_error *err)
{
    OTO_TRY(wait_until_busy(s, s->options.in_flight_max - 1, err));
    struct request *request = s->requests;
    while (request->state != REQUEST_FREE)
        request++;
    enum oto_status status = make_body(s, message, &request->body, err);
    if (status < 0)
        return oto_error_set(&s->failure, status, "no memory to send a request");
    request->signal = signal;
    request->tries = 0;
    request->begun_ns = oto_clock_monotonic_ns();
    s->busy++;
    if (start_try(s, request) == OTO_OK)
        step(s, 0);
    return wait_until_busy(s, OTO_OTLP_IN_FLIGHT_MAX, err);
}

enum oto_status oto_otlp_sender_drain(struct oto_otlp_sender *s, struct oto_error *err)
{
    return wait_until_busy(s, 0, err);
}
