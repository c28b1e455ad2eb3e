// Requests that a web page makes a browser send: from another origin, or to a name of its own that
// it made point here (DNS rebinding). Names that no page can own are IP addresses, localhost, and
// names without a dot.
#include "api/api.h"

#include <ctype.h>

// An authority without its port and a last dot: "Example.com.:80" -> "Example.com", "[::1]:80" ->
// "[::1]".
static struct oto_bytes host_of(struct oto_bytes authority)
{
    size_t size = authority.size;
    while (size > 0 && isdigit(authority.data[size - 1]))
        size--;
    if (size > 0 && authority.data[size - 1] == ':')
        authority.size = size - 1;
    if (authority.size > 1 && authority.data[authority.size - 1] == '.')
        authority.size--;
    return authority;
}

static int ends_with(struct oto_bytes text, const char *end)
{
    size_t size = strlen(end);
    if (text.size < size)
        return 0;
    for (size_t i = 0; i < size; i++)
        if (tolower(text.data[text.size - size + i]) != tolower((unsigned char)end[i]))
            return 0;
    return 1;
}

static int is_address(struct oto_bytes host)
{
    if (host.size && host.data[0] == '[')
        return 1;
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] != '.' && !isdigit(host.data[i]))
            return 0;
    return 1;
}

static int is_unowned(struct oto_bytes host)
{
    return is_address(host) || !memchr(host.data, '.', host.size) || ends_with(host, ".localhost");
}

static int is_allowed(const struct oto_config_list *hosts, struct oto_bytes host)
{
    for (size_t i = 0; i < hosts->count; i++) {
        const char *allowed = hosts->items[i];
        if (strcmp(allowed, "*") == 0 ||
            (allowed[0] == '*' && allowed[1] == '.' && ends_with(host, allowed + 1)) ||
            (strlen(allowed) == host.size && ends_with(host, allowed)))
            return 1;
    }
    return 0;
}

// "http://host:port" -> "host:port"; empty for what is no URL ("null").
static struct oto_bytes origin_authority(struct oto_bytes origin)
{
    for (size_t i = 0; i + 3 <= origin.size; i++)
        if (memcmp(origin.data + i, "://", 3) == 0)
            return oto_bytes(origin.data + i + 3, origin.size - i - 3);
    return (struct oto_bytes){0};
}

const char *oto_call_foreign(struct oto_call *call)
{
    struct oto_service *service = call->worker->service;
    const struct oto_http_request *request = oto_exchange_request(call->exchange);
    const struct oto_config_list *hosts = &oto_service_config(service)->allowed_hosts;
    if (request->is_grpc)
        return NULL;
    struct oto_bytes host = host_of(request->authority);
    int is_guarded = hosts->count > 0 || oto_service_listener_is_local(service, request->listener);
    if (is_guarded && host.size && !is_unowned(host) && !is_allowed(hosts, host))
        return "requests for this host name are not taken; see the allowed_hosts setting";
    struct oto_bytes origin = oto_http_header(request, "origin");
    if (origin.size == 0)
        return NULL;
    origin = origin_authority(origin);
    if (!oto_bytes_equal(origin, request->authority) && !is_allowed(hosts, host_of(origin)))
        return "requests from web pages of other origins are not taken; see the allowed_hosts "
               "setting";
    return NULL;
}
