// File names say hour, shard and range of the log, and give them back.
#include "cmocka_all.h"

#include <stdio.h>
#include <time.h>

#include "engine/engine_internal.h"

static void a_name_reads_back(void **state)
{
    (void)state;
    for (int64_t hour = 0; hour < 5200000;
         hour += 991) { // to the year 2563, past what 64 bits of nanoseconds hold
        struct oto_partition partition = {.hour = hour,
                                          .time_min_us = hour * 3600000000 + 3540000001};
        struct oto_catalogue_file file;
        char name[256], expected[128];
        time_t seconds = (time_t)(hour * 3600);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        oto_catalogue_name(OTO_TABLE_EXPONENTIAL_HISTOGRAM, &partition, 3, 17, UINT64_MAX, name,
                           sizeof name);
        strftime(expected, sizeof expected,
                 "metrics/exponential_histogram/year=%Y/month=%m/day=%d/hour=%H/"
                 "%Y%m%dT%H5900.000001Z-3-17-",
                 &tm);
        assert_memory_equal(name, expected, strlen(expected));
        assert_int_equal(oto_catalogue_parse(OTO_TABLE_EXPONENTIAL_HISTOGRAM, name, &file), OTO_OK);
        assert_int_equal(file.time_min_us, hour * 3600000000);
        assert_int_equal(file.time_max_us, (hour + 1) * 3600000000 - 1);
        assert_int_equal(file.shard, 3);
        assert_int_equal(file.first_seq, 17);
        assert_true(file.last_seq == UINT64_MAX);
    }
}

static void the_overflow_partition_covers_all_times(void **state)
{
    (void)state;
    struct oto_partition partition = {.hour = OTO_PARTITION_OVERFLOW, .time_min_us = 5};
    struct oto_catalogue_file file;
    char name[256];
    oto_catalogue_name(OTO_TABLE_LOGS, &partition, 0, 1, 2, name, sizeof name);
    assert_string_equal(
        name, "logs/year=0000/month=00/day=00/hour=00/19700101T000000.000005Z-0-1-2.parquet");
    assert_int_equal(oto_catalogue_parse(OTO_TABLE_LOGS, name, &file), OTO_OK);
    assert_true(file.time_min_us == INT64_MIN && file.time_max_us == INT64_MAX);
}

static void other_files_are_not_ours(void **state)
{
    (void)state;
    static const char *const names[] = {
        "logs/x.parquet",
        "logs/year=2026/month=01/day=01/hour=00/part-0.parquet",
        "logs/year=2026/month=01/day=01/hour=00/20260101T000000.000000Z-0-1-2.parquet.crc",
        "traces/year=2026/month=01/day=01/hour=00/20260101T000000.000000Z-0-1-2.parquet",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct oto_catalogue_file file;
        assert_int_equal(oto_catalogue_parse(OTO_TABLE_LOGS, names[i], &file), OTO_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_reads_back),
        cmocka_unit_test(the_overflow_partition_covers_all_times),
        cmocka_unit_test(other_files_are_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
