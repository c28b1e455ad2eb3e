// OTLP/JSON to protobuf: one pass over the text with an explicit stack, guided by the schema.
#include "otlp/otlp_json_internal.h"

#define DEPTH_DEFAULT 420
#define PATH_MAX_BYTES 320

// Deeper messages than this have lengths that any size fits: nothing is moved for them.
#define MOVED_DEPTH_MAX 24
#define WIDTH_ANY 4
#define SIZE_LIMIT ((size_t)1 << 7 * WIDTH_ANY)
// Messages up to this depth (resources, scopes) may be as large as the rest of the document.
#define GROUP_DEPTH_MAX 5

struct oto_json_place oto_otlp_json_grow(struct oto_otlp_json *c, struct oto_json_place p,
                                         size_t size)
{
    struct oto_buffer *b = c->output;
    if (size > SIZE_MAX - OTO_OTLP_JSON_ROOM)
        return oto_otlp_json_stop(c, OTO_TOO_LARGE);
    b->size = p.out ? (size_t)(p.out - b->data) : b->size;
    enum oto_status status = oto_buffer_reserve(b, size + OTO_OTLP_JSON_ROOM);
    if (status < 0) {
        c->reader.at = p.at;
        return oto_otlp_json_stop(c, status);
    }
    c->room_end = b->data + b->capacity - OTO_OTLP_JSON_ROOM;
    p.out = b->data + b->size;
    return p;
}

// --- Names ---

static const struct oto_otlp_field *field_by_name(const struct oto_otlp_message *message,
                                                  struct oto_bytes name)
{
    for (uint8_t i = 0; i < message->field_count; i++) {
        const struct oto_otlp_field *field = message->fields + i;
        if (field->name_size == name.size && memcmp(field->name, name.data, name.size) == 0)
            return field;
    }
    return NULL;
}

static const struct oto_otlp_field *field_by_string(const struct oto_otlp_message *message,
                                                    const struct oto_json_string *name)
{
    uint8_t plain[6 * OTO_OTLP_NAME_MAX];
    if (!name->escaped)
        return field_by_name(message, name->raw);
    if (name->raw.size > sizeof plain)
        return NULL;
    return field_by_name(message, oto_bytes(plain, oto_json_unescape(name->raw, plain)));
}

// True when the text behind a quote is the field's name and its closing quote. As many bytes as the
// longest name has must be readable.
static inline int name_matches(const uint8_t *at, const struct oto_otlp_field *field)
{
    size_t size = (size_t)field->name_size + 1;
    if (size < 8)
        return ((oto_load64(at) ^ oto_load64(field->name)) << (64 - 8 * size)) == 0;
    if (oto_load64(at) != oto_load64(field->name))
        return 0;
    if (size > 16 && oto_load64(at + 8) != oto_load64(field->name + 8))
        return 0;
    return oto_load64(at + size - 8) == oto_load64(field->name + size - 8);
}

// A place between members has no field.
static const uint8_t *fail_between(struct oto_otlp_json *c, const uint8_t *at, const char *problem)
{
    c->top->field = NULL;
    c->status = oto_json_fail(&c->reader, at, problem);
    return NULL;
}

// What the next member's name begins with, whatever stands before it; behind the closing brace with
// *ret_left = 1.
static const uint8_t *find_name(struct oto_otlp_json *c, const uint8_t *at, int *ret_left)
{
    struct oto_otlp_json_frame *f = c->top;
    at = oto_otlp_json_skip_space(c, f->before == '{' ? at + 1 : at);
    if (at < c->end && *at == '}') {
        *ret_left = 1;
        return at + 1;
    }
    if (f->before != '{') {
        if (at == c->end || *at != ',')
            return fail_between(c, at, at == c->end ? "ends too early" : "expected ',' or '}'");
        at = oto_otlp_json_skip_space(c, at + 1);
    }
    if (at == c->end || *at != '"')
        return fail_between(c, at, at == c->end ? "ends too early" : "expected a name in quotes");
    return at;
}

// At a value that stands for nothing: null or [].
static int is_empty(const struct oto_otlp_json *c, const uint8_t *at)
{
    at = oto_otlp_json_skip_space(c, at);
    if (at < c->end && *at == '[') {
        at = oto_otlp_json_skip_space(c, at + 1);
        return at < c->end && *at == ']';
    }
    return at < c->end && *at == 'n';
}

// An unknown member of the document is nobody's, or another signal's list of resources.
static enum oto_status check_unknown(struct oto_otlp_json *c, const struct oto_json_string *name,
                                     const uint8_t *at)
{
    struct oto_otlp_json_frame *f = c->top;
    if (!c->one_signal || f != c->frames + 1 || is_empty(c, c->reader.at))
        return OTO_OK;
    for (int signal = 0; signal < OTO_SIGNAL_COUNT && !f->field; signal++)
        f->field = field_by_string(oto_otlp_request((enum oto_signal)signal), name);
    return f->field ? oto_json_fail(&c->reader, at, "another signal's, beside the one that is read")
                    : OTO_OK;
}

// The next member's value and field (NULL for an unknown one) by any name in any form; behind the
// closing brace with *ret_left = 1.
static const uint8_t *next_member(struct oto_otlp_json *c, const uint8_t *at,
                                  const struct oto_otlp_field **ret_field, int *ret_left)
{
    struct oto_otlp_json_frame *f = c->top;
    at = find_name(c, at, ret_left);
    if (!at || *ret_left)
        return at;
    struct oto_json_string name;
    c->reader.at = at;
    f->field = NULL;
    c->status = oto_json_name(&c->reader, &name);
    if (c->status < 0)
        return NULL;
    f->before = ',';
    const struct oto_otlp_field *field = field_by_string(f->message, &name);
    if (!field)
        c->status = check_unknown(c, &name, at);
    if (c->status < 0)
        return NULL;
    if (field) {
        uint8_t index = (uint8_t)(field - f->message->fields);
        c->guesses[f->message->index][f->slot] = index;
        f->slot = (uint8_t)(index + 1);
    }
    *ret_field = field;
    return c->reader.at;
}

// --- Objects and arrays ---

static struct oto_json_place push(struct oto_otlp_json *c, struct oto_json_place p,
                                  const struct oto_otlp_message *message,
                                  const struct oto_otlp_field *field, uint8_t width)
{
    struct oto_otlp_json_frame *next = c->top + 1;
    if (next >= c->frames_end) {
        c->reader.at = p.at;
        c->reader.problem = "nested too deeply";
        return oto_otlp_json_stop(c, OTO_TOO_LARGE);
    }
    *next = (struct oto_otlp_json_frame){.message = message,
                                         .field = field,
                                         .mark = (size_t)(p.out - c->output->data),
                                         .before = message ? '{' : '[',
                                         .width = width};
    c->top = next;
    return p;
}

// A tag and room for the length of what follows.
static inline struct oto_json_place begin_length(const struct oto_otlp_json *c,
                                                 struct oto_json_place p, uint32_t number,
                                                 uint8_t guess, uint8_t *ret_width)
{
    ptrdiff_t depth = c->top - c->frames;
    size_t rest = (size_t)(c->end - p.at);
    uint8_t width = depth > MOVED_DEPTH_MAX || (depth <= GROUP_DEPTH_MAX && rest >= SIZE_LIMIT)
                        ? WIDTH_ANY
                    : depth <= GROUP_DEPTH_MAX ? oto_otlp_json_width(rest)
                                               : guess;
    p.out = oto_otlp_json_put_tag(p.out, number, OTO_PB_BYTES) + width;
    *ret_width = width;
    return p;
}

// Moves what was written when its length takes more bytes than were left for it, or fewer where
// that is cheap: equal messages then have equal bytes, as a rule.
static struct oto_json_place end_length(struct oto_otlp_json *c, struct oto_json_place p,
                                        uint8_t *guess)
{
    struct oto_otlp_json_frame *f = c->top;
    uint8_t *start = c->output->data + f->mark;
    size_t size = (size_t)(p.out - start), width = f->width;
    if (__builtin_expect(size < 0x80 && width == 1, 1)) {
        start[-1] = (uint8_t)size;
        return p;
    }
    if (size >= 0x80 && size < 0x4000 && width == 2) {
        start[-2] = (uint8_t)(size | 0x80);
        start[-1] = (uint8_t)(size >> 7);
        return p;
    }
    if (size >= SIZE_LIMIT) {
        c->reader.at = p.at;
        return oto_otlp_json_stop(c, OTO_TOO_LARGE);
    }
    uint8_t needed = oto_otlp_json_width(size);
    *guess = needed;
    if (needed > width || (needed < width && width < WIDTH_ANY && needed <= 2)) {
        memmove(start - width + needed, start, size);
        p.out = start - width + needed + size;
        oto_otlp_json_put_length(start - width, needed, size);
    } else {
        oto_otlp_json_put_length(start - width, width, size);
    }
    return p;
}

static struct oto_json_place begin_message(struct oto_otlp_json *c, struct oto_json_place p,
                                           const struct oto_otlp_field *field)
{
    if (p.at == c->end || *p.at != '{')
        return oto_otlp_json_fail(c, p.at, "not an object");
    uint8_t width;
    p = begin_length(c, p, field->number, c->widths[field->message->index], &width);
    return push(c, p, field->message, NULL, width);
}

static struct oto_json_place begin_array(struct oto_otlp_json *c, struct oto_json_place p,
                                         const struct oto_otlp_field *field)
{
    if (p.at == c->end || *p.at != '[')
        return oto_otlp_json_fail(c, p.at, "not an array");
    uint8_t width = 0;
    if (field->flags & OTO_OTLP_PACKED)
        p = begin_length(c, p, field->number, c->widths[OTO_OTLP_MESSAGE_COUNT], &width);
    return push(c, p, NULL, field, width);
}

static inline int may_nest_two(const struct oto_otlp_json *c)
{
    return c->frames_end - c->top > 2;
}

static inline struct oto_json_place read_message(struct oto_otlp_json *c, struct oto_json_place p,
                                                 const struct oto_otlp_field *field)
{
    if (field->message->index == OTO_OTLP_ANY_VALUE && may_nest_two(c)) {
        struct oto_json_place behind = oto_otlp_json_any_value(c, p, field->number);
        if (behind.at)
            return behind;
    }
    return begin_message(c, p, field);
}

// --- Values ---

// The zero of a plain scalar, for a null that follows a value of the same name.
static uint8_t *put_default(uint8_t *out, const struct oto_otlp_field *field)
{
    enum oto_pb_wire wire = (enum oto_pb_wire)oto_otlp_wire((enum oto_otlp_type)field->type);
    size_t size = wire == OTO_PB_FIXED64 ? 8 : wire == OTO_PB_FIXED32 ? 4 : 1;
    out = oto_otlp_json_put_tag(out, field->number, wire);
    memset(out, 0, size);
    return out + size;
}

static struct oto_json_place read_null(struct oto_otlp_json *c, struct oto_json_place p,
                                       const struct oto_otlp_field *field, int again)
{
    c->reader.at = p.at;
    enum oto_status status = oto_json_literal(&c->reader);
    if (status < 0)
        return oto_otlp_json_stop(c, status);
    p.at = c->reader.at;
    if (again)
        p.out = put_default(p.out, field);
    return p;
}

static struct oto_json_place member_value(struct oto_otlp_json *c, struct oto_json_place p,
                                          const struct oto_otlp_field *field)
{
    struct oto_otlp_json_frame *f = c->top;
    uint32_t bit = (uint32_t)1 << (f->slot - 1);
    uint32_t again = f->seen & bit;
    f->seen |= bit;
    f->field = field;
    if (again && field->flags)
        return oto_otlp_json_fail(c, p.at, "given twice");
    p.at = oto_otlp_json_skip_space(c, p.at);
    if (p.at < c->end && *p.at == 'n')
        return read_null(c, p, field, again != 0);
    if (field->oneof) {
        if (f->oneof_seen)
            return oto_otlp_json_fail(c, p.at, "another member of its oneof is given too");
        f->oneof_seen = 1;
    }
    if (field->flags & OTO_OTLP_REPEATED)
        return begin_array(c, p, field);
    if (field->type != OTO_OTLP_MESSAGE)
        return oto_otlp_json_scalar(c, p, field);
    return read_message(c, p, field);
}

static struct oto_json_place skip_value(struct oto_otlp_json *c, struct oto_json_place p)
{
    c->reader.at = p.at;
    c->reader.depth = (uint32_t)(c->top - c->frames);
    enum oto_status status = oto_json_skip(&c->reader);
    if (status < 0)
        return oto_otlp_json_stop(c, status);
    p.at = c->reader.at;
    return p;
}

static struct oto_json_place leave_object(struct oto_otlp_json *c, struct oto_json_place p)
{
    if (c->top > c->frames + 1) // the whole request has no length
        p = end_length(c, p, &c->widths[c->top->message->index]);
    c->top--;
    c->top->index += c->top->message == NULL;
    return p;
}

// Members of the object on top until it ends or one of them is an object or array to be read first.
static struct oto_json_place read_object(struct oto_otlp_json *c, struct oto_json_place p)
{
    struct oto_otlp_json_frame *f = c->top;
    const struct oto_otlp_field *fields = f->message->fields;
    const uint8_t *guesses = c->guesses[f->message->index];
    for (;;) {
        p = oto_otlp_json_room(c, p);
        if (!p.at)
            return p;
        uint8_t guess = guesses[f->slot];
        const struct oto_otlp_field *field = fields + guess;
        if (oto_otlp_json_ahead(c, p.at) && p.at[0] == f->before && p.at[1] == '"' &&
            name_matches(p.at + 2, field) && p.at[field->name_size + 3] == ':') {
            p.at += field->name_size + 4;
            f->before = ',';
            f->slot = (uint8_t)(guess + 1);
            // A plain scalar in its usual form; others have more rules.
            if (!field->flags && *p.at > ' ' && *p.at != 'n') {
                f->seen |= (uint32_t)1 << guess;
                f->field = field;
                p = oto_otlp_json_scalar(c, p, field);
                if (!p.at)
                    return p;
                continue;
            }
        } else {
            int left = 0;
            p.at = next_member(c, p.at, &field, &left);
            if (!p.at)
                return p;
            if (left)
                return leave_object(c, p);
        }
        p = field ? member_value(c, p, field) : skip_value(c, p);
        if (!p.at || c->top != f)
            return p;
    }
}

// The next element; behind the closing bracket with *ret_left = 1.
static const uint8_t *next_element(struct oto_otlp_json *c, const uint8_t *at, int *ret_left)
{
    struct oto_otlp_json_frame *f = c->top;
    int is_first = f->before == '[';
    at = oto_otlp_json_skip_space(c, is_first ? at + 1 : at);
    f->before = ',';
    if (at < c->end && *at == ']') {
        *ret_left = 1;
        return at + 1;
    }
    const char *problem = NULL;
    if (!is_first) {
        if (at == c->end || *at != ',')
            problem = at == c->end ? "ends too early" : "expected ',' or ']'";
        else if (at = oto_otlp_json_skip_space(c, at + 1), at < c->end && *at == ']')
            problem = "expected a value";
    }
    if (problem) {
        c->status = oto_json_fail(&c->reader, at, problem);
        return NULL;
    }
    return at;
}

// Elements of the array on top until it ends or one of them is an object to be read first.
static struct oto_json_place read_array(struct oto_otlp_json *c, struct oto_json_place p)
{
    struct oto_otlp_json_frame *f = c->top;
    const struct oto_otlp_field *field = f->field;
    int is_message = field->type == OTO_OTLP_MESSAGE;
    int is_attributes =
        is_message && field->message->index == OTO_OTLP_KEY_VALUE && may_nest_two(c);
    for (;; f->index++) {
        p = oto_otlp_json_room(c, p);
        if (!p.at)
            return p;
        if (is_attributes)
            p = oto_otlp_json_room(c, oto_otlp_json_key_values(c, p, f));
        int left = 0;
        if (p.at)
            p.at = next_element(c, p.at, &left);
        if (!p.at || left)
            break;
        if (p.at < c->end && *p.at == 'n')
            return oto_otlp_json_fail(c, p.at, "null in an array");
        p = is_message ? read_message(c, p, field) : oto_otlp_json_scalar(c, p, field);
        if (!p.at || c->top != f)
            return p;
    }
    if (p.at) {
        if (f->width)
            p = end_length(c, p, &c->widths[OTO_OTLP_MESSAGE_COUNT]);
        c->top--;
    }
    return p;
}

// Protobuf takes a bit less than half of the text in most requests.
static struct oto_json_place first_room(struct oto_otlp_json *c, struct oto_json_place p)
{
    size_t guess = (size_t)(c->end - c->reader.start) / 2;
    size_t most = c->output->size_max - c->output->size;
    return oto_otlp_json_grow(
        c, p, most > OTO_OTLP_JSON_ROOM && guess <= most - OTO_OTLP_JSON_ROOM ? guess : 0);
}

// The document that the reader stands at the start of.
static enum oto_status convert(struct oto_otlp_json *c, const struct oto_otlp_message *request)
{
    c->end = c->reader.end;
    c->ahead_end =
        c->end - c->reader.start >= OTO_OTLP_JSON_AHEAD ? c->end - OTO_OTLP_JSON_AHEAD : NULL;
    c->top = c->frames;
    int byte = oto_json_peek(&c->reader);
    struct oto_json_place p = {c->reader.at, NULL};
    if (byte != '{')
        return oto_json_fail(&c->reader, p.at,
                             byte == 0xEF ? "starts with a byte order mark" : "not an object");
    p = first_room(c, p);
    if (p.at)
        p = push(c, p, request, NULL, 0);
    while (p.at && c->top != c->frames)
        p = c->top->message ? read_object(c, p) : read_array(c, p);
    if (!p.at)
        return c->status;
    const struct oto_otlp_json_frame *document = c->frames + 1; // it was left, and is there still
    c->unread_count += document->before == ',' && !document->seen;
    c->output->size = (size_t)(p.out - c->output->data);
    c->reader.at = p.at;
    return oto_json_finish(&c->reader);
}

// --- Errors ---

static void path_text(const struct oto_otlp_json *c, char *text, size_t room)
{
    size_t size = 0;
    text[0] = 0;
    for (const struct oto_otlp_json_frame *f = c->frames + 1; f <= c->top; f++) {
        char step[OTO_OTLP_NAME_MAX + 16];
        size_t more = 0;
        if (f->message && f->field) {
            if (size)
                step[more++] = '.';
            memcpy(step + more, f->field->name, f->field->name_size);
            more += f->field->name_size;
        } else if (!f->message) {
            step[more++] = '[';
            more += oto_text_from_u64(f->index, step + more);
            step[more++] = ']';
        }
        if (more + 4 > room - size) {
            memcpy(text + size, "...", 4);
            return;
        }
        memcpy(text + size, step, more);
        size += more;
        text[size] = 0;
    }
}

static enum oto_status report(const struct oto_otlp_json *c, struct oto_bytes whole,
                              enum oto_status status, struct oto_error *err)
{
    const char *problem = c->reader.problem;
    if (status == OTO_TOO_LARGE && problem)
        status = OTO_INVALID; // too deep: no matter of size
    if (!err)
        return status;
    if (!problem)
        problem =
            status == OTO_NO_MEMORY ? "out of memory" : "larger than allowed in protobuf form";
    if (!whole.data)
        whole = oto_bytes(c->reader.start, 0);
    size_t offset = (size_t)(c->reader.at - whole.data);
    char path[PATH_MAX_BYTES];
    path_text(c, path, sizeof path);
    (void)oto_error_at(err, status, offset, "%s%s%s", path, path[0] ? ": " : "", problem);
    oto_json_position(whole, offset, &err->line, &err->column);
    return status;
}

// --- Entries ---

#define WIDTH_FIRST 2 // of the first message of a kind

static void init(struct oto_otlp_json *c, struct oto_buffer *output,
                 const struct oto_otlp_json_limits *limits)
{
    c->output = output;
    c->depth_max = limits && limits->depth_max ? limits->depth_max : DEPTH_DEFAULT;
    if (c->depth_max > OTO_OTLP_JSON_FRAMES_MAX)
        c->depth_max = OTO_OTLP_JSON_FRAMES_MAX;
    c->one_signal = limits && limits->one_signal;
    c->unread_count = 0;
    c->frames_end = c->frames + 1 + c->depth_max;
    memset(c->frames, 0, sizeof c->frames[0]);
    memset(c->guesses, 0, sizeof c->guesses);
    memset(c->widths, WIDTH_FIRST, sizeof c->widths);
}

static void tell_unread(const struct oto_otlp_json *c, const struct oto_otlp_json_limits *limits)
{
    if (limits && limits->ret_unread_count)
        *limits->ret_unread_count = c->unread_count;
}

enum oto_status oto_otlp_json_to_protobuf(enum oto_signal signal, struct oto_bytes json,
                                          const struct oto_otlp_json_limits *limits,
                                          struct oto_buffer *output, struct oto_error *err)
{
    struct oto_otlp_json c;
    size_t before = output->size;
    init(&c, output, limits);
    oto_json_reader_init(&c.reader, json, c.depth_max);
    enum oto_status status = convert(&c, oto_otlp_request(signal));
    if (status != OTO_OK) {
        output->size = before;
        return report(&c, json, status, err);
    }
    tell_unread(&c, limits);
    return OTO_OK;
}

enum oto_status oto_otlp_json_lines_to_protobuf(enum oto_signal signal, struct oto_bytes lines,
                                                const struct oto_otlp_json_limits *limits,
                                                struct oto_buffer *output, struct oto_error *err)
{
    struct oto_otlp_json c;
    size_t before = output->size;
    init(&c, output, limits);
    size_t at = 0;
    while (at < lines.size) {
        const uint8_t *line = lines.data + at;
        const uint8_t *newline = memchr(line, '\n', lines.size - at);
        size_t size = newline ? (size_t)(newline - line) : lines.size - at;
        at += size + 1;
        oto_json_reader_init(&c.reader, oto_bytes(line, size), c.depth_max);
        if (oto_json_peek(&c.reader) < 0)
            continue;
        enum oto_status status = convert(&c, oto_otlp_request(signal));
        if (status != OTO_OK) {
            output->size = before;
            return report(&c, lines, status, err);
        }
    }
    tell_unread(&c, limits);
    return OTO_OK;
}
