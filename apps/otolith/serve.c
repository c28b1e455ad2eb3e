// otolith serve and otolith check-config.
#define _GNU_SOURCE
#include "api/service.h"
#include "commands.h"
#include "os/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct oto_service *running; // for the signal handler only

static void on_signal(int signal)
{
    (void)signal;
    oto_service_request_stop(running);
}

static void print_buffer(enum oto_status (*write)(struct oto_buffer *output))
{
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    if (write(&text) == OTO_OK)
        (void)fwrite(text.data, 1, text.size, stdout);
    oto_buffer_release(&text);
}

static int print_help(void)
{
    (void)puts(
        "Usage: otolith serve [--config FILE] [settings]\n\n"
        "Runs the server until SIGTERM or SIGINT, then answers what is open, writes everything to "
        "files and exits 0.\n"
        "Every setting can be given as a flag, in the environment (OTOLITH_MEMORY_LIMIT) or in the "
        "YAML file\n"
        "(memory_limit); a flag wins over the environment, the environment over the file.\n\n"
        "  --config FILE\n      YAML file of settings; also OTOLITH_CONFIG.");
    print_buffer(oto_config_write_help);
    return 0;
}

static int fail(const struct oto_error *err, int status)
{
    (void)fprintf(stderr, "otolith: %s\n", err->message);
    return status;
}

// The file named by --config or OTOLITH_CONFIG is read first, whatever the order of the arguments.
static enum oto_status load_file(struct oto_config *config, int argc, char **argv,
                                 struct oto_error *err)
{
    const char *path = getenv("OTOLITH_CONFIG");
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            path = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 >= argc)
            return oto_error_set(err, OTO_INVALID, "--config needs a file");
        else if (strcmp(argv[i], "--config") == 0)
            path = argv[++i];
    }
    return path ? oto_config_load_file(config, path, err) : OTO_OK;
}

static enum oto_status load_flags(struct oto_config *config, int argc, char **argv,
                                  struct oto_error *err)
{
    for (int i = 0; i < argc;) {
        int known;
        if (strncmp(argv[i], "--config=", 9) == 0) {
            i++;
            continue;
        }
        if (strcmp(argv[i], "--config") == 0) {
            i += 2;
            continue;
        }
        OTO_TRY(oto_config_load_flag(config, argc, argv, &i, &known, err));
        if (!known)
            return oto_error_set(err, OTO_INVALID,
                                 "'%s' is not a setting; see otolith serve --help", argv[i]);
    }
    return OTO_OK;
}

static enum oto_status load(struct oto_config *config, int argc, char **argv, char **environment,
                            struct oto_error *err)
{
    OTO_TRY(oto_config_init(config, err));
    OTO_TRY(load_file(config, argc, argv, err));
    OTO_TRY(oto_config_load_environment(config, environment, err));
    OTO_TRY(load_flags(config, argc, argv, err));
    return oto_config_check(config, err);
}

static int wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

// What to do next, with the address that was really bound.
static void print_welcome(const struct oto_service *service, const struct oto_config *config)
{
    const char *addresses = oto_service_addresses(service);
    (void)printf("otolith %s, data in %s\n", OTO_VERSION, config->data);
    for (const char *line = addresses; *line;) {
        size_t size = strcspn(line, "\n");
        (void)printf("listening on %.*s\n", (int)size, line);
        line += size + (line[size] == '\n');
    }
    int size = (int)strcspn(addresses, " ");
    (void)printf("send OTLP (gRPC or HTTP):  export OTEL_EXPORTER_OTLP_ENDPOINT=http://%.*s\n"
                 "ask:                       %s query --data %s \"SELECT * FROM logs LIMIT 10\"\n",
                 size, addresses, program_invocation_name, config->data);
    (void)fflush(stdout);
}

static int serve(const struct oto_config *config, struct oto_error *err)
{
    struct oto_log log = {oto_log_level_from_name(config->log_level),
                          strcmp(config->log_format, "json") == 0};
    char program[4096];
    if (oto_program_path(program, sizeof(program), err) < 0 ||
        oto_service_start(config, &log, OTO_VERSION, program, &running, err) < 0)
        return fail(err, 1);
    oto_signals_install(on_signal);
    print_welcome(running, config);
    int status = oto_service_run(running, err) < 0 ? fail(err, 1) : 0;
    oto_service_free(running);
    return status;
}

int oto_command_serve(int argc, char **argv, char **environment)
{
    if (wants_help(argc, argv))
        return print_help();
    struct oto_error err;
    oto_error_init(&err);
    struct oto_config config;
    int status =
        load(&config, argc, argv, environment, &err) < 0 ? fail(&err, 2) : serve(&config, &err);
    oto_config_release(&config);
    return status;
}

static void print_effective(const struct oto_config *config)
{
    static const char *const sources[] = {"default", "file", "environment", "flag"};
    for (size_t i = 0; i < oto_config_key_count; i++) {
        struct oto_buffer text;
        oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
        if (oto_config_value_text(config, &oto_config_keys[i], &text) == OTO_OK)
            (void)printf("%s: %.*s  # %s\n", oto_config_keys[i].name, (int)text.size,
                         (const char *)text.data, sources[config->source[i]]);
        oto_buffer_release(&text);
    }
}

int oto_command_check_config(int argc, char **argv, char **environment)
{
    (void)environment;
    if (argc == 1 && strcmp(argv[0], "--markdown") == 0) { // for docs/CONFIGURATION.md
        print_buffer(oto_config_write_markdown);
        return 0;
    }
    if (argc != 1 || wants_help(argc, argv)) {
        (void)puts("Usage: otolith check-config FILE\n\nReads a YAML configuration, says what is "
                   "wrong with it (file, line, key; exit status 1), or\n"
                   "prints every setting with its value and where it comes from. The environment "
                   "is not considered.");
        return argc == 1 ? 0 : 2;
    }
    struct oto_error err;
    oto_error_init(&err);
    struct oto_config config;
    int status = 0;
    if (oto_config_init(&config, &err) < 0 || oto_config_load_file(&config, argv[0], &err) < 0 ||
        oto_config_check(&config, &err) < 0)
        status = fail(&err, 1);
    else
        print_effective(&config);
    oto_config_release(&config);
    return status;
}
