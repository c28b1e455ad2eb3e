#define _GNU_SOURCE
// The text of a plan: operators as JSON, conditions as DuckDB prints them. It knows no DuckDB.
#include "query_plan.h"

#include "base/text.h"
#include "wire/json.h"
#include <ctype.h>
#include <string.h>

#define ARENA_BYTES_MAX (16u << 20)
#define DEPTH_MAX 500
#define PIECES_MAX 256 // of an AND or an OR

void query_plan_init(struct query_plan *plan)
{
    *plan = (struct query_plan){0};
    oto_arena_init(&plan->arena, &oto_allocator_heap, 16384, ARENA_BYTES_MAX);
}

void query_plan_release(struct query_plan *plan)
{
    oto_arena_release(&plan->arena);
    plan->scans = NULL;
}

// --- the text of a condition ---

struct text {
    const uint8_t *at, *end;
};

static int take_char(struct text *t, char c)
{
    if (t->at == t->end || *t->at != (uint8_t)c)
        return 0;
    t->at++;
    return 1;
}

static int take_word(struct text *t, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(t->end - t->at) < size || memcmp(t->at, word, size) != 0)
        return 0;
    t->at += size;
    return 1;
}

static int take_name(struct text *t, struct oto_bytes *ret_name)
{
    const uint8_t *start = t->at;
    int quoted = take_char(t, '"');
    const uint8_t *from = t->at;
    while (t->at < t->end && (isalnum(*t->at) || *t->at == '_'))
        t->at++;
    *ret_name = oto_bytes(from, (size_t)(t->at - from));
    if (ret_name->size && !isdigit(*from) && (!quoted || take_char(t, '"')))
        return 1;
    t->at = start;
    return 0;
}

// 'it''s', which becomes it's.
static int take_string(struct text *t, struct oto_arena *arena, struct oto_bytes *ret_string)
{
    if (!take_char(t, '\''))
        return 0;
    uint8_t *copy = oto_arena_alloc(arena, (size_t)(t->end - t->at) + 1);
    size_t size = 0;
    while (copy && t->at < t->end) {
        if (*t->at == '\'' && (t->at + 1 == t->end || t->at[1] != '\'')) {
            t->at++;
            *ret_string = oto_bytes(copy, size);
            return 1;
        }
        t->at += *t->at == '\'';
        copy[size++] = *t->at++;
    }
    return 0;
}

static int take_integer(struct text *t, int64_t *ret_value)
{
    const uint8_t *start = t->at;
    (void)take_char(t, '-');
    while (t->at < t->end && isdigit(*t->at))
        t->at++;
    return oto_text_to_i64(oto_bytes(start, (size_t)(t->at - start)), ret_value) == OTO_OK;
}

// --- times: 2026-01-31 23:59:59.999999+00 ---

static int take_digits(struct text *t, unsigned most, int64_t *ret_value, unsigned *ret_count)
{
    unsigned count = 0;
    int64_t value = 0;
    for (; count < most && t->at < t->end && isdigit(*t->at); count++)
        value = value * 10 + (*t->at++ - '0');
    *ret_value = value;
    *ret_count = count;
    return count > 0;
}

static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static int parse_time(struct oto_bytes text, int64_t *ret_us)
{
    struct text t = {text.data, text.data + text.size};
    static const char after[] = "-- ::"; // what follows year, month, day, hour, minute
    int64_t fields[6], rest = 0;
    unsigned digits;
    for (int i = 0; i < 6; i++) {
        if (!take_digits(&t, i ? 2 : 6, &fields[i], &digits) || digits < (i ? 2 : 4))
            return 0;
        if (i < 5 && !take_char(&t, after[i]))
            return 0;
    }
    if (take_char(&t, '.')) {
        if (!take_digits(&t, 6, &rest, &digits))
            return 0;
        for (; digits < 6; digits++)
            rest *= 10;
    }
    if (!take_word(&t, "+00") || t.at != t.end)
        return 0;
    *ret_us =
        ((days_of(fields[0], fields[1], fields[2]) * 24 + fields[3]) * 60 + fields[4]) * 60000000 +
        fields[5] * 1000000 + rest;
    return 1;
}

// --- comparisons ---

struct literal {
    int is_number; // a time or an integer
    int64_t number;
    struct oto_bytes text;
};

static int take_literal(struct text *t, struct oto_arena *arena, struct literal *ret)
{
    *ret = (struct literal){0};
    if (take_string(t, arena, &ret->text)) {
        if (!take_word(t, "::"))
            return 1;
        ret->is_number = 1;
        return take_word(t, "TIMESTAMP WITH TIME ZONE") && parse_time(ret->text, &ret->number);
    }
    ret->is_number = 1;
    return take_integer(t, &ret->number);
}

// Name, or map_extract_value(Name, 'key').
static int take_operand(struct text *t, struct oto_arena *arena, struct query_condition *c)
{
    if (!take_word(t, "map_extract_value("))
        return take_name(t, &c->column);
    return take_name(t, &c->column) && take_word(t, ", ") && take_string(t, arena, &c->key) &&
           take_char(t, ')');
}

static int add_value(struct query_condition *c, const struct literal *literal, int is_first)
{
    if (is_first)
        c->is_range = literal->is_number;
    if (c->is_range != literal->is_number)
        return 0;
    if (!c->is_range) {
        c->values[c->value_count++] = literal->text;
        return 1;
    }
    c->min = is_first || literal->number < c->min ? literal->number : c->min;
    c->max = is_first || literal->number > c->max ? literal->number : c->max;
    return 1;
}

static int take_list(struct text *t, struct oto_arena *arena, struct query_condition *c)
{
    struct literal literal;
    size_t most = 1;
    for (const uint8_t *at = t->at; at < t->end; at++)
        most += *at == ',';
    c->values = oto_arena_alloc(arena, most * sizeof(*c->values));
    if (!c->values)
        return 0;
    for (int is_first = 1;; is_first = 0) {
        if (!take_literal(t, arena, &literal) || !add_value(c, &literal, is_first))
            return 0;
        if (take_char(t, ')'))
            return 1;
        if (!take_word(t, ", "))
            return 0;
    }
}

static int set_range(struct query_condition *c, const char *operator, int64_t value)
{
    c->is_range = 1;
    c->min = INT64_MIN;
    c->max = INT64_MAX;
    if (operator[0] == '=')
        c->min = c->max = value;
    else if (operator[0] == '>')
        c->min = operator[1] || value == INT64_MAX ? value : value + 1;
    else
        c->max = operator[1] || value == INT64_MIN ? value : value - 1;
    return 1;
}

// "Name>=5", "(map_extract_value(Name, 'key') IN ('a', 'b'))": all of the text, or it is not known.
static int parse_comparison(struct text t, struct oto_arena *arena, struct query_condition *c)
{
    static const char *const operators[] = {">=", "<=", "=", ">", "<"};
    struct literal literal;
    *c = (struct query_condition){0};
    while (t.end - t.at >= 2 && t.at[0] == '(' && t.end[-1] == ')')
        t.at++, t.end--;
    if (!take_operand(&t, arena, c))
        return 0;
    if (take_word(&t, " IN (") || (t.end - t.at >= 4 && take_word(&t, " IN(")))
        return take_list(&t, arena, c) && t.at == t.end;
    (void)take_char(&t, ' ');
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (!take_word(&t, operators[i]))
            continue;
        (void)take_char(&t, ' ');
        if (!take_literal(&t, arena, &literal) || t.at != t.end)
            return 0;
        if (literal.is_number)
            return set_range(c, operators[i], literal.number);
        c->values = oto_arena_alloc(arena, sizeof(*c->values));
        return operators[i][0] == '=' && c->values && add_value(c, &literal, 1);
    }
    return 0;
}

// --- AND, OR ---

struct pieces {
    struct text items[PIECES_MAX];
    size_t count;
    int has_and, has_or;
};

static int add_piece(struct pieces *pieces, const uint8_t *from, const uint8_t *to)
{
    if (pieces->count == PIECES_MAX)
        return 0;
    pieces->items[pieces->count++] = (struct text){from, to};
    return 1;
}

// Splits where AND or OR stands outside of quotes and parentheses.
static int split(struct text t, struct pieces *pieces)
{
    const uint8_t *from = t.at;
    int depth = 0, quoted = 0;
    *pieces = (struct pieces){0};
    for (; t.at < t.end; t.at++) {
        quoted ^= *t.at == '\'';
        if (quoted)
            continue;
        depth += (*t.at == '(') - (*t.at == ')');
        if (depth < 0)
            return 0;
        if (depth || *t.at != ' ')
            continue;
        struct text next = t;
        int is_and = take_word(&next, " AND "), is_or = !is_and && take_word(&next, " OR ");
        if (!is_and && !is_or)
            continue;
        pieces->has_and |= is_and;
        pieces->has_or |= is_or;
        if (!add_piece(pieces, from, t.at))
            return 0;
        from = next.at;
        t.at = next.at - 1;
    }
    return !quoted && !depth && add_piece(pieces, from, t.end);
}

// "((a = 'x') OR (a = 'y'))", too: parentheses around all of it.
static int split_filter(struct text t, struct pieces *pieces)
{
    struct pieces inner;
    if (!split(t, pieces))
        return 0;
    if (pieces->count == 1 && t.end - t.at >= 2 && t.at[0] == '(' && t.end[-1] == ')' &&
        split((struct text){t.at + 1, t.end - 1}, &inner) && inner.count > 1)
        *pieces = inner;
    return 1;
}

static int same_column(const struct query_condition *a, const struct query_condition *b)
{
    return oto_bytes_equal(a->column, b->column) && !a->key.data == !b->key.data &&
           oto_bytes_equal(a->key, b->key) && a->is_range == b->is_range;
}

// "a = 'x' OR a = 'y'" says that a is one of these.
static int join_or(struct oto_arena *arena, const struct pieces *pieces, struct query_condition *c)
{
    struct query_condition one;
    struct oto_bytes *values = NULL;
    size_t count = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        if (!parse_comparison(pieces->items[i], arena, &one) || (i && !same_column(&one, c)))
            return 0;
        if (i == 0)
            *c = one;
        c->min = one.min < c->min ? one.min : c->min;
        c->max = one.max > c->max ? one.max : c->max;
        struct oto_bytes *grown =
            oto_arena_alloc(arena, (count + one.value_count) * sizeof(*grown));
        if (!grown)
            return 0;
        if (count)
            memcpy(grown, values, count * sizeof(*grown));
        if (one.value_count)
            memcpy(grown + count, one.values, one.value_count * sizeof(*grown));
        values = grown;
        count += one.value_count;
    }
    c->values = values;
    c->value_count = count;
    return 1;
}

// --- a scan ---

struct scan_reader {
    struct query_plan *plan;
    struct query_scan *scan;
    size_t table_count;
    size_t capacity, word_capacity;
    int is_marked;
};

// A larger copy of an array in the arena; NULL without memory.
static void *grow(struct oto_arena *arena, const void *items, size_t count, size_t *capacity,
                  size_t item_size)
{
    *capacity = *capacity ? 2 * *capacity : 8;
    void *grown = oto_arena_alloc(arena, *capacity * item_size);
    if (grown && count)
        memcpy(grown, items, count * item_size);
    return grown;
}

// Words outside of quotes: columns' names, and others.
static int add_words(struct scan_reader *r, struct text t)
{
    struct query_scan *scan = r->scan;
    struct oto_bytes word;
    int quoted = 0;
    while (t.at < t.end) {
        quoted ^= *t.at == '\'';
        if (quoted || !take_name(&t, &word)) {
            t.at++;
            continue;
        }
        if (scan->word_count == r->word_capacity) {
            scan->words = grow(&r->plan->arena, scan->words, scan->word_count, &r->word_capacity,
                               sizeof(*scan->words));
            if (!scan->words)
                return 0;
        }
        scan->words[scan->word_count++] = word;
    }
    return 1;
}

static int add_condition(struct scan_reader *r, const struct query_condition *c)
{
    struct query_scan *scan = r->scan;
    if (scan->count == r->capacity) {
        scan->conditions = grow(&r->plan->arena, scan->conditions, scan->count, &r->capacity,
                                sizeof(*scan->conditions));
        if (!scan->conditions)
            return 0;
    }
    scan->conditions[scan->count++] = *c;
    return 1;
}

static int take_mark(struct scan_reader *r, struct text t)
{
    struct oto_bytes name;
    int64_t number;
    if (!take_char(&t, '(') || !take_name(&t, &name) || !take_word(&t, " IS DISTINCT FROM ") ||
        !take_integer(&t, &number) || !take_char(&t, ')') || t.at != t.end ||
        number > -QUERY_PLAN_MARK || number <= -QUERY_PLAN_MARK - (int64_t)r->table_count)
        return 0;
    r->scan->table = (size_t)(-number - QUERY_PLAN_MARK);
    r->is_marked = 1;
    return 1;
}

// A line of a scan's filters. Text with a line feed comes as two lines, of which the first ends
// within quotes: nothing is believed then.
static enum oto_status read_filter(struct scan_reader *r, struct oto_bytes line)
{
    struct text t = {line.data, line.data + line.size};
    struct query_condition c;
    struct pieces pieces;
    while (take_word(&t, "optional: "))
        continue;
    if (!split_filter(t, &pieces))
        return OTO_INVALID;
    for (size_t i = 0; i < pieces.count; i++)
        if (!take_mark(r, pieces.items[i]) && !add_words(r, pieces.items[i]))
            return OTO_NO_MEMORY;
    if (pieces.has_or && pieces.has_and)
        return OTO_OK;
    if (pieces.has_or)
        return !join_or(&r->plan->arena, &pieces, &c) || add_condition(r, &c) ? OTO_OK
                                                                              : OTO_NO_MEMORY;
    for (size_t i = 0; i < pieces.count; i++)
        if (parse_comparison(pieces.items[i], &r->plan->arena, &c) && !add_condition(r, &c))
            return OTO_NO_MEMORY;
    return OTO_OK;
}

// --- the plan's JSON ---

static enum oto_status enter(struct oto_json_reader *json, char bracket)
{
    return oto_json_peek(json) == bracket ? oto_json_enter(json) : OTO_INVALID;
}

static enum oto_status keep_text(struct oto_json_reader *json, struct oto_arena *arena,
                                 struct oto_bytes *ret_text)
{
    struct oto_json_string string;
    if (oto_json_peek(json) != '"')
        return OTO_INVALID;
    OTO_TRY(oto_json_string(json, &string));
    uint8_t *copy = oto_arena_alloc(arena, string.raw.size + 1);
    if (!copy)
        return OTO_NO_MEMORY;
    *ret_text = oto_bytes(copy, oto_json_unescape(string.raw, copy));
    return OTO_OK;
}

static enum oto_status read_projection(struct scan_reader *r, struct oto_bytes line)
{
    return add_words(r, (struct text){line.data, line.data + line.size}) ? OTO_OK : OTO_NO_MEMORY;
}

// A text or an array of such: its lines.
static enum oto_status read_lines(struct scan_reader *r, struct oto_json_reader *json,
                                  enum oto_status (*read)(struct scan_reader *r,
                                                          struct oto_bytes line))
{
    struct oto_bytes line;
    enum oto_status status;
    if (oto_json_peek(json) == '"') {
        OTO_TRY(keep_text(json, &r->plan->arena, &line));
        return read(r, line);
    }
    OTO_TRY(enter(json, '['));
    while ((status = oto_json_element(json)) == OTO_OK) {
        OTO_TRY(keep_text(json, &r->plan->arena, &line));
        OTO_TRY(read(r, line));
    }
    return status < 0 ? status : OTO_OK;
}

// extra_info: what an operator says of itself.
static enum oto_status read_info(struct scan_reader *r, struct oto_json_reader *json)
{
    struct oto_json_string name;
    enum oto_status status;
    OTO_TRY(enter(json, '{'));
    while ((status = oto_json_member(json)) == OTO_OK) {
        OTO_TRY(oto_json_name(json, &name));
        if (oto_bytes_equal_text(name.raw, "Filters"))
            OTO_TRY(read_lines(r, json, read_filter));
        else if (oto_bytes_equal_text(name.raw, "Projections"))
            OTO_TRY(read_lines(r, json, read_projection));
        else
            OTO_TRY(oto_json_skip(json));
    }
    return status < 0 ? status : OTO_OK;
}

static int contains(struct oto_bytes text, const char *word)
{
    return text.size && memmem(text.data, text.size, word, strlen(word)) != NULL;
}

static enum oto_status add_scan(struct scan_reader *r)
{
    if (!r->is_marked)
        return OTO_INVALID; // of what?
    r->scan->next = r->plan->scans;
    r->plan->scans = r->scan;
    return OTO_OK;
}

static enum oto_status read_nodes(struct query_plan *plan, struct oto_json_reader *json,
                                  size_t table_count, unsigned depth);

static enum oto_status read_node(struct query_plan *plan, struct oto_json_reader *json,
                                 size_t table_count, unsigned depth)
{
    struct scan_reader r = {.plan = plan, .table_count = table_count};
    struct oto_json_string name;
    struct oto_bytes operator= {0};
    enum oto_status status;
    r.scan = oto_arena_alloc(&plan->arena, sizeof(*r.scan));
    if (!r.scan)
        return OTO_NO_MEMORY;
    *r.scan = (struct query_scan){0};
    OTO_TRY(enter(json, '{'));
    while ((status = oto_json_member(json)) == OTO_OK) {
        OTO_TRY(oto_json_name(json, &name));
        if (oto_bytes_equal_text(name.raw, "name"))
            OTO_TRY(keep_text(json, &plan->arena, &operator));
        else if (oto_bytes_equal_text(name.raw, "children"))
            OTO_TRY(read_nodes(plan, json, table_count, depth + 1));
        else if (oto_bytes_equal_text(name.raw, "extra_info"))
            OTO_TRY(read_info(&r, json));
        else
            OTO_TRY(oto_json_skip(json));
    }
    OTO_TRY(status);
    plan->has_limit |= contains(operator, "LIMIT") || contains(operator, "TOP_N");
    static const char scan[] = "READ_PARQUET";
    if (operator.size<sizeof(scan) - 1 || memcmp(operator.data, scan, sizeof(scan) - 1) != 0)
        return OTO_OK;
    return add_scan(&r);
}

static enum oto_status read_nodes(struct query_plan *plan, struct oto_json_reader *json,
                                  size_t table_count, unsigned depth)
{
    enum oto_status status;
    if (depth > DEPTH_MAX)
        return OTO_TOO_LARGE;
    OTO_TRY(enter(json, '['));
    while ((status = oto_json_element(json)) == OTO_OK)
        OTO_TRY(read_node(plan, json, table_count, depth));
    return status < 0 ? status : OTO_OK;
}

enum oto_status query_plan_read(struct query_plan *plan, struct oto_bytes json, size_t table_count)
{
    struct oto_json_reader reader;
    oto_json_reader_init(&reader, json, OTO_JSON_DEPTH_MAX);
    if (oto_json_peek(&reader) != '[')
        return OTO_INVALID;
    enum oto_status status = read_nodes(plan, &reader, table_count, 0);
    if (status < 0)
        plan->scans = NULL;
    return status;
}
