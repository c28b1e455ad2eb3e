// Times as people write them.
#include "options.h"

#include "api/config.h"
#include "base/timestamp.h"
#include "os/clock.h"

#include <string.h>

enum oto_status oto_options_parse_time(const char *text, struct oto_option_time *ret_time)
{
    int64_t now = (int64_t)(oto_clock_wall_ns() / 1000);
    struct oto_option_time time = {.us = now, .is_relative = 1, .text = text};
    uint64_t ago_ms;
    if (text[0] == '-') {
        OTO_TRY(oto_config_parse_duration(text + 1, &ago_ms));
        if (ago_ms > (uint64_t)now / 1000)
            return OTO_INVALID;
        time.us -= (int64_t)ago_ms * 1000;
    } else if (strcmp(text, "now") != 0) {
        OTO_TRY(oto_timestamp_parse(text, &time.us));
        time.is_relative = 0;
    }
    *ret_time = time;
    return OTO_OK;
}
