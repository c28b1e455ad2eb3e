// folders: api
// Any text as a configuration file: refused with a message or taken whole, and its values can be
// shown.
#include "api/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oto_config config;
    struct oto_error err;
    oto_error_init(&err);
    if (oto_config_init(&config, &err) < 0)
        __builtin_trap();
    if (oto_config_load_text(&config, oto_bytes(data, size), "fuzz.yaml", &err) < 0) {
        if (err.message[0] == 0)
            __builtin_trap();
    } else {
        for (size_t i = 0; i < oto_config_key_count; i++) {
            struct oto_buffer text;
            oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
            (void)!oto_config_value_text(&config, &oto_config_keys[i], &text);
            oto_buffer_release(&text);
        }
    }
    oto_config_release(&config);
    return 0;
}
