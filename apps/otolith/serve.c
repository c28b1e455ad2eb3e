// otolith serve and otolith check-config.
#define _GNU_SOURCE
#include "api/service.h"
#include "ask.h"
#include "options.h"
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

static int fail(const struct oto_error *err, int status)
{
    (void)fprintf(stderr, "otolith: %s\n", err->message);
    return status;
}

static enum oto_status load_flags(struct oto_config *config, int count, char **settings,
                                  struct oto_error *err)
{
    for (int i = 0; i < count;) {
        int known;
        OTO_TRY(oto_config_load_flag(config, count, settings, &i, &known, err));
        if (!known)
            return oto_error_set(err, OTO_INTERNAL, "%s is not a setting", settings[i]);
    }
    return OTO_OK;
}

static enum oto_status load(struct oto_config *config, const char *path, int count, char **settings,
                            char **environment, struct oto_error *err)
{
    const char *named = getenv("OTOLITH_CONFIG");
    if (!path && named && *named)
        path = named;
    OTO_TRY(oto_config_init(config, err));
    if (path)
        OTO_TRY(oto_config_load_file(config, path, err));
    OTO_TRY(oto_config_load_environment(config, environment, err));
    OTO_TRY(load_flags(config, count, settings, err));
    return oto_config_check(config, err);
}

// A word for a shell, in quotes where it needs them.
static void print_word(const char *text)
{
    if (!text[strcspn(text, " \t\n\"'\\$`!#&*;<>?[](){}|~")] && *text) {
        (void)fputs(text, stdout);
        return;
    }
    (void)putchar('\'');
    for (; *text; text++)
        if (*text == '\'')
            (void)fputs("'\\''", stdout);
        else
            (void)putchar(*text);
    (void)putchar('\'');
}

// Few enough columns that a row is a line of a terminal.
#define FIRST_QUESTION                                                                             \
    "SELECT Timestamp, ServiceName, SeverityText, Body FROM logs ORDER BY Timestamp DESC LIMIT 10"

// What can be done with these addresses.
static void print_first_steps(const char *addresses, const char *data)
{
    char url[OTO_ASK_URL_MAX], address[OTO_ASK_ADDRESS_MAX];
    if (oto_ask_pick_url(addresses, "ingest", url))
        (void)printf("send OTLP (gRPC or HTTP):  export OTEL_EXPORTER_OTLP_ENDPOINT=%s\n", url);
    if (!oto_ask_pick_address(addresses, "query", 0, address))
        return;
    (void)fputs("ask:                       ", stdout);
    print_word(program_invocation_name);
    (void)fputs(" query --data ", stdout);
    print_word(data);
    (void)fputs(" \"" FIRST_QUESTION "\"\n", stdout);
}

// What to do next, with the addresses that were really bound.
static void print_welcome(const struct oto_service *service, const struct oto_config *config)
{
    const char *addresses = oto_service_addresses(service);
    (void)printf("otolith %s, data in %s\n", OTO_VERSION, config->data);
    for (const char *line = addresses; *line;) {
        size_t size = strcspn(line, "\n");
        (void)printf("listening on %.*s\n", (int)size, line);
        line += size + (line[size] == '\n');
    }
    print_first_steps(addresses, config->data);
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
    oto_signals_install(NULL); // the handler would find no service
    oto_service_free(running);
    return status;
}

struct serve_values {
    const char *config;
};

static int run_serve(int argc, char **argv, char **environment)
{
    struct serve_values values = {0};
    int count, status = oto_options_start(&oto_command_serve, argc, argv, &values, &count);
    if (status >= 0)
        return status;
    struct oto_error err;
    oto_error_init(&err);
    struct oto_config config;
    status = load(&config, values.config, count, argv, environment, &err) < 0
                 ? fail(&err, 2)
                 : serve(&config, &err);
    oto_config_release(&config);
    return status;
}

static const struct oto_option serve_options[] = {
    {"config", 0, OTO_OPTION_FILE, offsetof(struct serve_values, config), "FILE", NULL,
     "YAML file of settings. Default: OTOLITH_CONFIG."},
    {0}};

const struct oto_command oto_command_serve = {
    .name = "serve",
    .arguments = "",
    .help = "Run the server.",
    .text =
        "Runs the server until SIGTERM or SIGINT, then answers what is open, writes everything to "
        "files and exits 0. Every setting can be given as a flag, in the environment "
        "(OTOLITH_MEMORY_LIMIT) or in the YAML file (memory_limit); a flag wins over the "
        "environment, the environment over the file.",
    .examples = "otolith serve\n"
                "otolith serve --data /var/lib/otolith --listen 0.0.0.0:4317,ingest\n",
    .options = serve_options,
    .takes_settings = 1,
    .run = run_serve,
};

// --- check-config ---

static enum oto_status write_setting(const struct oto_config *config,
                                     const struct oto_config_key *key, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, "%s: ", key->name));
    OTO_TRY(oto_config_value_text(config, key, output));
    OTO_TRY(oto_buffer_append_format(output, "  # "));
    OTO_TRY(oto_config_origin_text(config, key, output));
    return oto_buffer_append_byte(output, '\n');
}

static int print_effective(const struct oto_config *config)
{
    struct oto_buffer text;
    enum oto_status status = OTO_OK;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    for (size_t i = 0; i < oto_config_key_count && status >= 0; i++)
        status = write_setting(config, &oto_config_keys[i], &text);
    if (status >= 0)
        (void)fwrite(text.data, 1, text.size, stdout);
    else
        (void)fprintf(stderr, "otolith: %s\n", oto_status_name(status));
    oto_buffer_release(&text);
    return status >= 0 ? oto_options_end_output() : 1;
}

static int print_markdown(void)
{
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    enum oto_status status = oto_config_write_markdown(&text);
    if (status == OTO_OK)
        (void)fwrite(text.data, 1, text.size, stdout);
    oto_buffer_release(&text);
    return status == OTO_OK ? oto_options_end_output() : 1;
}

static int check_file(const char *path)
{
    struct oto_error err;
    oto_error_init(&err);
    struct oto_config config;
    int status = 0;
    if (oto_config_init(&config, &err) < 0 || oto_config_load_file(&config, path, &err) < 0 ||
        oto_config_check(&config, &err) < 0)
        status = fail(&err, 1);
    else
        status = print_effective(&config);
    oto_config_release(&config);
    return status;
}

struct check_values {
    int markdown;
};

static int run_check_config(int argc, char **argv, char **environment)
{
    (void)environment;
    struct check_values values = {0};
    int count, status = oto_options_start(&oto_command_check_config, argc, argv, &values, &count);
    if (status >= 0)
        return status;
    if (values.markdown)
        return print_markdown();
    if (count != 1) {
        (void)fputs("otolith: name one file; see otolith check-config --help\n", stderr);
        return 2;
    }
    return check_file(argv[0]);
}

static const struct oto_option check_options[] = {
    {"markdown", 0, OTO_OPTION_FLAG, offsetof(struct check_values, markdown), NULL, NULL,
     "Print the table of all settings instead, as the documentation has it."},
    {0}};

const struct oto_command oto_command_check_config = {
    .name = "check-config",
    .arguments = "FILE",
    .argument = OTO_ARGUMENT_FILES,
    .help = "Check a configuration file and print what would apply.",
    .text = "Reads a YAML configuration, says what is wrong with it (file, line, key; exit status "
            "1), or prints every setting with its value and where it comes from. The environment "
            "is not considered.",
    .examples = "otolith check-config otolith.yaml\n",
    .options = check_options,
    .run = run_check_config,
};
