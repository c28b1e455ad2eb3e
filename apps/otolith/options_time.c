// Times as people write them.
#include "options.h"

#include "api/config.h"
#include "base/timestamp.h"
#include "os/clock.h"

#include <string.h>

enum oto_status oto_options_parse_time(const char *text, int64_t *ret_us)
{
    int64_t now = (int64_t)(oto_clock_wall_ns() / 1000);
    uint64_t ago_ms;
    if (strcmp(text, "now") == 0)
        *ret_us = now;
    else if (text[0] == '-') {
        OTO_TRY(oto_config_parse_duration(text + 1, &ago_ms));
        if (ago_ms > (uint64_t)now / 1000)
            return OTO_INVALID;
        *ret_us = now - (int64_t)ago_ms * 1000;
    } else
        return oto_timestamp_parse(text, ret_us);
    return OTO_OK;
}
