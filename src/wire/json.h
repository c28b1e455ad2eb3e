// JSON (RFC 8259), strict: a reader that pulls values out of a whole document in memory without
// building a tree, and a writer that appends to a buffer. The reader never runs past its end,
// checks strings for UTF-8 and legal escapes while it scans them, counts depth and does not
// recurse. The caller drives the grammar:
//
//     peek says '{'  ->  enter, then {member, name, a value}* until member says OTO_END
//     peek says '['  ->  enter, then {element, a value}* until element says OTO_END
//     anything else  ->  string, number or literal; or skip, for any value that is not wanted
//
// On failure `problem` says why (a static string) and `at` where. Core: no system call, no
// allocation by the reader. Thread rule: a reader or writer belongs to one caller.
#ifndef OTO_WIRE_JSON_H
#define OTO_WIRE_JSON_H

#include "base/bytes.h"

#define OTO_JSON_DEPTH_MAX 1024 // no reader goes deeper, whatever its depth_max says

struct oto_json_reader {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const char *problem; // why the last call failed
    uint32_t depth;      // objects and arrays entered and not left
    uint32_t depth_max;
    int fresh; // the innermost container was entered and nothing of it read yet
};

// A string as it stands between its quotes: valid UTF-8, escapes checked but not yet resolved.
struct oto_json_string {
    struct oto_bytes raw;
    int escaped; // 1 when raw holds a backslash
};

// document: borrowed while the reader is in use.
void oto_json_reader_init(struct oto_json_reader *r, struct oto_bytes document, uint32_t depth_max);

static inline enum oto_status oto_json_fail(struct oto_json_reader *r, const uint8_t *at,
                                            const char *problem)
{
    r->at = at;
    r->problem = problem;
    return OTO_INVALID;
}

static inline void oto_json_skip_space(struct oto_json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

// The first byte of the next value, which tells its type, or -1 at the end. Consumes white space
// only.
static inline int oto_json_peek(struct oto_json_reader *r)
{
    oto_json_skip_space(r);
    return r->at < r->end ? *r->at : -1;
}

// Consumes the '{' or '[' that peek saw. OTO_TOO_LARGE beyond depth_max.
OTO_MUST_CHECK static inline enum oto_status oto_json_enter(struct oto_json_reader *r)
{
    if (r->depth >= r->depth_max) {
        r->problem = "nested too deeply";
        return OTO_TOO_LARGE;
    }
    r->at++;
    r->depth++;
    r->fresh = 1;
    return OTO_OK;
}

// Moves to the opening quote of the next member's name; OTO_END when the object was left.
// OTO_INVALID.
OTO_MUST_CHECK static inline enum oto_status oto_json_member(struct oto_json_reader *r)
{
    int byte = oto_json_peek(r);
    if (byte == '}') {
        r->at++;
        r->depth--;
        r->fresh = 0;
        return OTO_END;
    }
    if (!r->fresh) {
        if (byte != ',')
            return oto_json_fail(r, r->at, byte < 0 ? "ends too early" : "expected ',' or '}'");
        r->at++;
        byte = oto_json_peek(r);
    }
    r->fresh = 0;
    if (byte != '"')
        return oto_json_fail(r, r->at, byte < 0 ? "ends too early" : "expected a name in quotes");
    return OTO_OK;
}

// The colon after a name that the caller has consumed itself. OTO_INVALID.
OTO_MUST_CHECK static inline enum oto_status oto_json_colon(struct oto_json_reader *r)
{
    int byte = oto_json_peek(r);
    if (byte != ':')
        return oto_json_fail(r, r->at, byte < 0 ? "ends too early" : "expected ':'");
    r->at++;
    return OTO_OK;
}

// The name that oto_json_member stopped at, and its colon. OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_json_name(struct oto_json_reader *r,
                                             struct oto_json_string *ret_name);

// Moves to the next element; OTO_END when the array was left. OTO_INVALID.
OTO_MUST_CHECK static inline enum oto_status oto_json_element(struct oto_json_reader *r)
{
    int byte = oto_json_peek(r);
    if (byte == ']') {
        r->at++;
        r->depth--;
        r->fresh = 0;
        return OTO_END;
    }
    if (!r->fresh) {
        if (byte != ',')
            return oto_json_fail(r, r->at, byte < 0 ? "ends too early" : "expected ',' or ']'");
        r->at++;
        if (oto_json_peek(r) == ']')
            return oto_json_fail(r, r->at, "expected a value");
    }
    r->fresh = 0;
    return OTO_OK;
}

// A string whose opening quote peek saw. OTO_INVALID. Ownership: returns view into the document.
OTO_MUST_CHECK enum oto_status oto_json_string(struct oto_json_reader *r,
                                               struct oto_json_string *ret_string);

// A number (peek saw '-' or a digit): the view of its text. OTO_INVALID. Ownership: returns view
// into the document.
OTO_MUST_CHECK enum oto_status oto_json_number(struct oto_json_reader *r,
                                               struct oto_bytes *ret_text);

// true, false or null, whichever peek saw ('t', 'f', 'n'). OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_json_literal(struct oto_json_reader *r);

// Any one value, checked as strictly as if it were read. OTO_INVALID, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_json_skip(struct oto_json_reader *r);

// Only white space is left. OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_json_finish(struct oto_json_reader *r);

// Resolves the escapes of a string that a reader returned; a lone surrogate becomes U+FFFD. output:
// raw.size bytes, apart from raw. Returns the size.
size_t oto_json_unescape(struct oto_bytes raw, uint8_t *output);

// The integer that a JSON number stands for, exactly: 12, 1.50e1 and 120e-1 are integers, 1.5 is
// not. OTO_INVALID when not an integer or not a JSON number, OTO_TOO_LARGE when out of range.
OTO_MUST_CHECK enum oto_status oto_json_to_i64(struct oto_bytes number, int64_t *ret_value);
OTO_MUST_CHECK enum oto_status oto_json_to_u64(struct oto_bytes number, uint64_t *ret_value);

// Line (by '\n') and column (in bytes), both from 1, of a place in a document.
void oto_json_position(struct oto_bytes document, size_t offset, uint32_t *ret_line,
                       uint32_t *ret_column);

// Writer: commas come by themselves; errors are sticky (`status`: OTO_NO_MEMORY, OTO_TOO_LARGE), so
// a sequence of calls is checked once at its end. Its caller keeps begins and ends paired.
struct oto_json_writer {
    struct oto_buffer *output; // borrowed
    enum oto_status status;
    int comma; // a value stands before the next one
};
void oto_json_writer_init(struct oto_json_writer *w, struct oto_buffer *output);
void oto_json_object_begin(struct oto_json_writer *w);
void oto_json_object_end(struct oto_json_writer *w);
void oto_json_array_begin(struct oto_json_writer *w);
void oto_json_array_end(struct oto_json_writer *w);
// The name of the next value.
void oto_json_write_name(struct oto_json_writer *w, struct oto_bytes name);
// Invalid UTF-8 becomes U+FFFD, so that the document stays legal.
void oto_json_write_string(struct oto_json_writer *w, struct oto_bytes text);
void oto_json_write_text(struct oto_json_writer *w, const char *text);
void oto_json_write_i64(struct oto_json_writer *w, int64_t value);
void oto_json_write_u64(struct oto_json_writer *w, uint64_t value);
// 64-bit integers in quotes, as protobuf's JSON has them.
void oto_json_write_i64_text(struct oto_json_writer *w, int64_t value);
void oto_json_write_u64_text(struct oto_json_writer *w, uint64_t value);
// NaN and the infinities as strings.
void oto_json_write_double(struct oto_json_writer *w, double value);
void oto_json_write_bool(struct oto_json_writer *w, int value);
void oto_json_write_null(struct oto_json_writer *w);
// Strings of bytes: lower-case hex, and standard base64 with padding.
void oto_json_write_hex(struct oto_json_writer *w, struct oto_bytes bytes);
void oto_json_write_base64(struct oto_json_writer *w, struct oto_bytes bytes);
// A value that is JSON already.
void oto_json_write_raw(struct oto_json_writer *w, struct oto_bytes json);

// oto_json_escape (base/json_text.h) for text that may not be UTF-8: what is invalid becomes
// U+FFFD. OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_json_append_string(struct oto_buffer *output,
                                                      struct oto_bytes text);

#endif
