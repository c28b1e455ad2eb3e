// Names the number of the present row that OTLP's fields cannot hold.
#include "otlp/otlp_encode_internal.h"

#include <inttypes.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// --- what is looked at ---

static const struct {
    enum oto_otlp_column time, rest;
} times[] = {
    {AT_TIMESTAMP, AT_TIMESTAMP_REST},
    {AT_OBSERVED, AT_OBSERVED_REST},
    {AT_START_TIME, AT_START_TIME_REST},
    {AT_TIME, AT_TIME_REST},
};
// Those of oto_otlp_narrow.
static const enum oto_otlp_column counts_and_flags[] = {
    AT_RESOURCE_DROPPED, AT_SCOPE_DROPPED,  AT_LOG_DROPPED,   AT_TRACE_FLAGS, AT_SPAN_DROPPED,
    AT_SPAN_FLAGS,       AT_EVENTS_DROPPED, AT_LINKS_DROPPED, AT_FLAGS,
};
static const struct {
    enum oto_otlp_column column;
    const char *parts[4]; // time and rest or NULLs, then what is narrow
} lists[] = {
    {AT_EVENTS, {"Timestamp", "TimestampNanoOfMicro", "DroppedAttrCount", NULL}},
    {AT_LINKS, {NULL, NULL, "DroppedAttrCount", "Flags"}},
    {AT_EXEMPLARS, {"TimeUnix", "TimeUnixNanoOfMicro", NULL, NULL}},
};

// --- looking ---

// list: NULL for a column of its own.
static enum oto_status refuse(struct oto_otlp_encoder *e, const struct oto_column *list,
                              const struct oto_column *c, uint32_t index, const char *why)
{
    const char *name = c->field->name;
    e->column = list ? list->field->name : name;
    e->scratch.size = 0;
    OTO_TRY(oto_buffer_append_format(&e->scratch, "%s%s%" PRId64 " %s", list ? name : "",
                                     list ? " " : "", oto_otlp_get_int(c, index), why));
    OTO_TRY(oto_buffer_append_byte(&e->scratch, 0));
    e->problem = (const char *)e->scratch.data;
    return OTO_UNSUPPORTED;
}

static enum oto_status check_time(struct oto_otlp_encoder *e, const struct oto_column *list,
                                  const struct oto_column *time, const struct oto_column *rest,
                                  uint32_t index)
{
    uint64_t past = (uint64_t)oto_otlp_get_int(rest, index);
    if (!oto_otlp_has_time(time, rest, index) ||
        oto_otlp_time_fits((uint64_t)oto_otlp_get_int(time, index), past))
        return OTO_OK;
    if (past > 999)
        return refuse(e, list, rest, index, "ns past a microsecond are not 0 to 999");
    return refuse(e, list, time, index,
                  "us since 1970 do not fit OTLP: it has 1970-01-01T00:00:00Z to "
                  "2554-07-21T23:34:33.709551615Z");
}

static enum oto_status check_narrow(struct oto_otlp_encoder *e, const struct oto_column *list,
                                    const struct oto_column *c, uint32_t index)
{
    if ((uint64_t)oto_otlp_get_int(c, index) <= UINT32_MAX)
        return OTO_OK;
    return refuse(e, list, c, index, "does not fit OTLP: it has 0 to 4294967295");
}

static enum oto_status check_list(struct oto_otlp_encoder *e, const struct oto_column *list,
                                  const char *const parts[4])
{
    const struct oto_column *columns[4];
    for (int i = 0; i < 4; i++)
        columns[i] = parts[i] ? oto_otlp_part(list, parts[i]) : NULL;
    for (uint32_t i = list->offsets[e->row]; i < list->offsets[e->row + 1]; i++) {
        OTO_TRY(check_time(e, list, columns[0], columns[1], i));
        OTO_TRY(check_narrow(e, list, columns[2], i));
        OTO_TRY(check_narrow(e, list, columns[3], i));
    }
    return OTO_OK;
}

enum oto_status oto_otlp_name_beyond(struct oto_otlp_encoder *e)
{
    for (size_t i = 0; i < COUNT_OF(times); i++)
        OTO_TRY(check_time(e, NULL, e->columns[times[i].time], e->columns[times[i].rest], e->row));
    for (size_t i = 0; i < COUNT_OF(counts_and_flags); i++) {
        const struct oto_column *c = e->columns[counts_and_flags[i]];
        if (c)
            OTO_TRY(check_narrow(e, NULL, c, oto_otlp_entry(e, c)));
    }
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (e->columns[lists[i].column])
            OTO_TRY(check_list(e, e->columns[lists[i].column], lists[i].parts));
    return OTO_INTERNAL; // what is tested on the way is in the lists above
}
