#include "net/http_accept.h"

#include "net/http1_parser.h"

#define WEIGHT_MAX 1000 // q=1

// By what a media range meets a type, the closest last.
enum closeness { NOT_MET, BY_ANY, BY_KIND, BY_NAME };

// What the closest media range says of a type.
struct wish {
    enum closeness closeness;
    unsigned weight; // thousandths
    size_t position; // of the range among all
};

static int is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct oto_bytes trim(struct oto_bytes text)
{
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    while (text.size && is_blank(*text.data))
        text.data++, text.size--;
    return text;
}

// Cuts off what comes before the separator, which may stand between quotes, too.
static struct oto_bytes next_part(struct oto_bytes *rest, uint8_t separator)
{
    size_t size = 0;
    int is_quoted = 0;
    for (; size < rest->size && (is_quoted || rest->data[size] != separator); size++) {
        if (rest->data[size] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && rest->data[size] == '\\' && size + 1 < rest->size)
            size++;
    }
    struct oto_bytes part = oto_bytes(rest->data, size);
    size += size < rest->size;
    *rest = oto_bytes(rest->data + size, rest->size - size);
    return trim(part);
}

static int is_digit_at(struct oto_bytes text, size_t i)
{
    return i < text.size && text.data[i] >= '0' && text.data[i] <= '9';
}

// Clients also send ".2", "0.33333" and more than 1. Returns 0 for what is no number.
static int read_weight(struct oto_bytes text, unsigned *ret_weight)
{
    unsigned weight = 0, unit = WEIGHT_MAX;
    size_t i = 0;
    for (; is_digit_at(text, i); i++)
        weight = weight || text.data[i] != '0' ? WEIGHT_MAX : 0;
    if (i < text.size && text.data[i] == '.')
        for (i++; is_digit_at(text, i); i++)
            weight += (unit /= 10) * (text.data[i] - '0');
    *ret_weight = weight < WEIGHT_MAX ? weight : WEIGHT_MAX;
    return text.size && i == text.size;
}

// The weight among a media range's parameters; 0, which accepts nothing, when it is no number.
static unsigned weight_of(struct oto_bytes parameters)
{
    unsigned weight = WEIGHT_MAX;
    while (parameters.size) {
        struct oto_bytes value = next_part(&parameters, ';');
        struct oto_bytes name = next_part(&value, '=');
        if (oto_http_text_is(name, "q") && !read_weight(trim(value), &weight))
            return 0;
    }
    return weight;
}

// Compares their first bytes without case; b in lower case.
static int begin_alike(struct oto_bytes a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((a.data[i] >= 'A' && a.data[i] <= 'Z' ? a.data[i] | 32 : a.data[i]) != (uint8_t)b[i])
            return 0;
    return 1;
}

static enum closeness meet(struct oto_bytes range, const char *type)
{
    size_t size = strcspn(type, ";"), kind_size = strcspn(type, "/") + 1;
    if (range.size == size && begin_alike(range, type, size))
        return BY_NAME;
    if (range.size == kind_size + 1 && range.data[kind_size] == '*' &&
        begin_alike(range, type, kind_size))
        return BY_KIND;
    return oto_bytes_equal_text(range, "*/*") ? BY_ANY : NOT_MET;
}

// Of two ranges that are as close, the one with the greater weight counts: they differed in
// parameters.
static void take_value(struct wish *wish, struct oto_bytes value, size_t *position,
                       const char *type)
{
    while (value.size) {
        struct oto_bytes parameters = next_part(&value, ',');
        struct oto_bytes range = next_part(&parameters, ';');
        struct wish said = {meet(range, type), weight_of(parameters), (*position)++};
        int is_as_close = said.closeness != NOT_MET && said.closeness == wish->closeness;
        if (said.closeness > wish->closeness || (is_as_close && said.weight > wish->weight))
            *wish = said;
    }
}

static struct wish wish_for(const struct oto_http_request *request, const char *type)
{
    struct wish wish = {.closeness = NOT_MET};
    size_t position = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (oto_bytes_equal_text(request->headers[i].name, "accept"))
            take_value(&wish, request->headers[i].value, &position, type);
    return wish;
}

static int is_better(const struct wish *a, const struct wish *b)
{
    if (a->weight != b->weight)
        return a->weight > b->weight;
    if (a->closeness != b->closeness)
        return a->closeness > b->closeness;
    return a->position < b->position;
}

size_t oto_http_accept_choose(const struct oto_http_request *request, const char *const *types,
                              size_t count)
{
    struct wish best = {.closeness = NOT_MET};
    size_t chosen = count;
    for (size_t i = 0; i < count; i++) {
        struct wish wish = wish_for(request, types[i]);
        if (wish.weight && is_better(&wish, &best)) {
            best = wish;
            chosen = i;
        }
    }
    return chosen;
}

int oto_http_media_type_is(struct oto_bytes value, const char *type)
{
    size_t size = strlen(type);
    return value.size >= size && begin_alike(value, type, size) &&
           (value.size == size || memchr("; \t", value.data[size], 3));
}
