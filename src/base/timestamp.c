#include "base/timestamp.h"

#define SECOND_US INT64_C(1000000)
#define DAY_SECONDS INT64_C(86400)

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Days from 1970-01-01 to a day of the Gregorian calendar, which repeats every 400 years.
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year; // years begin with March: the odd day is the last
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    int64_t next = month == 12 ? days_of_date(year + 1, 1, 1) : days_of_date(year, month + 1, 1);
    return next - days_of_date(year, month, 1);
}

// Exactly `digits` digits, then `after` when it is not 0.
static int take(const char **at, int digits, char after, int64_t *ret_value)
{
    int64_t value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!is_digit(**at))
            return 0;
        value = value * 10 + (**at - '0');
    }
    *ret_value = value;
    return after == 0 || *(*at)++ == after;
}

static int take_fraction(const char **at, int64_t *ret_us)
{
    int64_t unit = SECOND_US;
    *ret_us = 0;
    if (**at != '.')
        return 1;
    if (!is_digit(*++*at))
        return 0;
    for (; is_digit(**at); (*at)++) {
        unit /= 10;
        *ret_us += (**at - '0') * unit; // below a microsecond: unit is 0
    }
    return 1;
}

// "Z", "+01:00" or nothing (UTC), in seconds east.
static int take_zone(const char **at, int64_t *ret_seconds)
{
    int64_t hour, minute;
    *ret_seconds = 0;
    if (**at == 0)
        return 1;
    char sign = *(*at)++;
    if (sign == 'Z' || sign == 'z')
        return **at == 0;
    if ((sign != '+' && sign != '-') || !take(at, 2, ':', &hour) || !take(at, 2, 0, &minute) ||
        hour > 23 || minute > 59)
        return 0;
    *ret_seconds = (sign == '-' ? -1 : 1) * (hour * 3600 + minute * 60);
    return **at == 0;
}

enum oto_status oto_timestamp_parse(const char *text, int64_t *ret_us)
{
    const char *at = text;
    int64_t year, month, day, hour = 0, minute = 0, second = 0, fraction = 0, zone = 0;
    if (!take(&at, 4, '-', &year) || !take(&at, 2, '-', &month) || !take(&at, 2, 0, &day) ||
        month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return OTO_INVALID;
    if (*at) {
        if ((*at != 'T' && *at != 't' && *at != ' ') || !take((at++, &at), 2, ':', &hour) ||
            !take(&at, 2, ':', &minute) || !take(&at, 2, 0, &second) ||
            !take_fraction(&at, &fraction) || !take_zone(&at, &zone) || hour > 23 || minute > 59 ||
            second > 59)
            return OTO_INVALID;
    }
    int64_t seconds =
        days_of_date(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - zone;
    *ret_us = seconds * SECOND_US + fraction;
    return OTO_OK;
}
