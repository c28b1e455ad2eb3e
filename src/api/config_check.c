// What a configuration must be beyond each key's own form.
#include "api/api.h"
#include "api/config.h"
#include "os/socket.h"
#include "telemetry/tables.h"

#define REQUEST_SHARE 4 // of memory_limit is the largest request

// --- whose value it is ---

static size_t key_index(const struct oto_config *config, const void *field)
{
    size_t offset = (size_t)((const char *)field - (const char *)config), i = 0;
    while (oto_config_keys[i].offset != offset)
        i++;
    return i;
}

// Of a failure that is due to the field: where its value was given.
static enum oto_status placed(const struct oto_config *config, const void *field,
                              enum oto_status status, struct oto_error *err)
{
    size_t i = key_index(config, field);
    if (status < 0 && config->source[i] == OTO_CONFIG_FROM_FILE) {
        oto_error_context(err, "%s:%u", config->file_name, config->lines[i]);
        if (err)
            err->line = config->lines[i];
    } else if (status < 0 && config->source[i] == OTO_CONFIG_FROM_ENVIRONMENT)
        oto_error_context(err, "environment");
    return status;
}

// --- listen ---

// The enum oto_role of "ingest", "query" or "admin"; 0: none of these.
static uint32_t role_of(const char *name, size_t size)
{
    static const struct {
        const char *name;
        uint32_t role;
    } roles[] = {{"ingest", OTO_ROLE_INGEST}, {"query", OTO_ROLE_QUERY}, {"admin", OTO_ROLE_ADMIN}};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strlen(roles[i].name) == size && strncmp(roles[i].name, name, size) == 0)
            return roles[i].role;
    return 0;
}

enum oto_status oto_config_parse_listener(const char *text, char address[OTO_CONFIG_ADDRESS_MAX],
                                          uint32_t *ret_roles, struct oto_error *err)
{
    size_t size = strcspn(text, ",");
    if (size >= OTO_CONFIG_ADDRESS_MAX)
        return oto_error_set(err, OTO_INVALID, "listen: the address is too long");
    memcpy(address, text, size);
    address[size] = 0;
    uint32_t roles = 0;
    for (text += size; *text == ','; text += size) {
        text++;
        size = strcspn(text, ",");
        uint32_t role = role_of(text, size);
        if (!role)
            return oto_error_set(err, OTO_INVALID,
                                 "listen: '%.*s' is not a role (ingest, query, admin)", (int)size,
                                 text);
        roles |= role;
    }
    *ret_roles = roles ? roles : (uint32_t)OTO_ROLE_ALL;
    return OTO_OK;
}

static enum oto_status check_listeners(const struct oto_config *config, struct oto_error *err)
{
    if (config->listen.count == 0)
        return oto_error_set(err, OTO_INVALID, "listen: at least one address is needed");
    for (size_t i = 0; i < config->listen.count; i++) {
        char address[OTO_CONFIG_ADDRESS_MAX];
        uint32_t roles;
        OTO_TRY(oto_config_parse_listener(config->listen.items[i], address, &roles, err));
        enum oto_status status = oto_socket_check_address(address, err);
        if (status < 0) {
            oto_error_context(err, "listen");
            return status;
        }
    }
    return OTO_OK;
}

// --- promote ---

// The folder may know further attributes, whose columns are not looked at here.
static enum oto_status check_promotions(const struct oto_config *config, struct oto_error *err)
{
    struct oto_promotion promotions[OTO_CONFIG_LIST_MAX];
    struct oto_error own;
    for (size_t i = 0; i < config->promote.count; i++) {
        const char *attribute = config->promote.items[i];
        if (strpbrk(attribute, "\t\n"))
            return oto_error_set(err, OTO_INVALID, "promote: '%s' is not an attribute key",
                                 attribute);
        promotions[i] = (struct oto_promotion){.attribute = attribute};
    }
    err = err ? err : &own;
    struct oto_schemas *schemas =
        oto_schemas_new(&oto_allocator_heap, promotions, config->promote.count, err);
    oto_schemas_free(schemas);
    return schemas ? OTO_OK : err->status;
}

// --- limits ---

static enum oto_status settle_limits(struct oto_config *config, struct oto_error *err)
{
    size_t i = key_index(config, &config->request_bytes_max);
    if (config->request_bytes_max > config->memory_limit &&
        config->source[i] != OTO_CONFIG_FROM_DEFAULT) {
        char given[OTO_CONFIG_NUMBER_MAX], limit[OTO_CONFIG_NUMBER_MAX];
        oto_config_number_text(&oto_config_keys[i], config->request_bytes_max, given);
        oto_config_number_text(&oto_config_keys[i], config->memory_limit, limit);
        return oto_error_set(err, OTO_INVALID,
                             "request_bytes_max: %s is larger than memory_limit (%s), and a "
                             "quarter of that is the most it can be",
                             given, limit);
    }
    if (config->request_bytes_max > config->memory_limit / REQUEST_SHARE) {
        config->request_bytes_given = config->request_bytes_max;
        config->request_bytes_max = config->memory_limit / REQUEST_SHARE;
    }
    return OTO_OK;
}

enum oto_status oto_config_origin_text(const struct oto_config *config,
                                       const struct oto_config_key *key, struct oto_buffer *output)
{
    static const char *const names[] = {"default", "file", "environment", "flag"};
    size_t i = (size_t)(key - oto_config_keys);
    const char *name = names[config->source[i]];
    if (i != key_index(config, &config->request_bytes_max) || !config->request_bytes_given)
        return oto_buffer_append_format(output, "%s", name);
    char given[OTO_CONFIG_NUMBER_MAX];
    oto_config_number_text(key, config->request_bytes_given, given);
    return oto_buffer_append_format(output, "a quarter of memory_limit; %s: %s", name, given);
}

enum oto_status oto_config_check(struct oto_config *config, struct oto_error *err)
{
    OTO_TRY(placed(config, &config->listen, check_listeners(config, err), err));
    OTO_TRY(placed(config, &config->promote, check_promotions(config, err), err));
    return placed(config, &config->request_bytes_max, settle_limits(config, err), err);
}
