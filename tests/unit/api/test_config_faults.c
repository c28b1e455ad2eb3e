// The n-th allocation fails, for every n, while a configuration is read: it is refused with a
// message and nothing is lost or leaked. (libyaml's own allocations fail in
// tests/faults/test_injected_faults.py.)
#include "cmocka_all.h"
#include "fault_points.h"

#include <stdio.h>

#include "api/config.h"

static const char text[] = "data: /var/lib/otolith\n"
                           "listen: 127.0.0.1:0,ingest, 127.0.0.1:0\n"
                           "memory_limit: 128MiB\n"
                           "promote: [acme.tenant, acme.region]\n"
                           "durability: interval:500\n";

static enum oto_status read_and_show(struct oto_error *err)
{
    struct oto_config config;
    OTO_TRY(oto_config_init(&config, err));
    enum oto_status status = oto_config_load_text(&config, oto_bytes_text(text), "a.yaml", err);
    for (size_t i = 0; i < oto_config_key_count && status >= 0; i++) {
        struct oto_buffer shown;
        oto_buffer_init(&shown, &oto_allocator_heap, 1 << 20);
        status = oto_config_value_text(&config, &oto_config_keys[i], &shown);
        if (status < 0)
            oto_error_set(err, status, "no memory to show a value");
        oto_buffer_release(&shown);
    }
    oto_config_release(&config);
    return status;
}

static void a_configuration_is_read_or_refused(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct oto_error err;
        oto_error_init(&err);
        fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
        enum oto_status status = read_and_show(&err);
        fault_disarm();
        if (atomic_load(&fault.hits) == 0) {
            assert_int_equal(status, OTO_OK);
            assert_true(n > 5);
            break;
        }
        if (status != OTO_NO_MEMORY || err.message[0] == 0)
            fail_msg("allocation %u: %s: %s", (unsigned)n, oto_status_name(status), err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
