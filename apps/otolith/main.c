// otolith: finds the subcommand and runs it.
#include "commands.h"

#include <stdio.h>
#include <string.h>

const struct oto_command oto_commands[] = {
    {"serve", "[--config FILE] [--data DIR] [--listen ADDR[,role…]]… [settings]", "Run the server.",
     oto_command_serve},
    {"query", "[--data DIR] [--format table|json|ndjson|csv|arrow|parquet] SQL",
     "Ask with SQL, of a running server or of the files.", oto_command_query},
    {"check-config", "FILE", "Check a configuration file and print what would apply.",
     oto_command_check_config},
    {"version", "", "Print the version.", oto_command_version},
    {"help", "[COMMAND]", "Print this, or a command's help.", oto_command_help},
    {0}};

static void print_usage(FILE *out)
{
    (void)fputs("Otolith: OpenTelemetry in, open columns kept, questions answered.\n\nUsage: "
                "otolith COMMAND [arguments]\n\n",
                out);
    for (const struct oto_command *c = oto_commands; c->name; c++)
        (void)fprintf(out, "  otolith %s %s\n      %s\n", c->name, c->arguments, c->help);
    (void)fputs("\nFirst steps:\n"
                "  otolith serve                                   # then send OTLP to "
                "127.0.0.1:4317 or :4318\n"
                "  otolith query \"SELECT count(*) FROM otel_logs\"\n"
                "\n`otolith COMMAND --help` explains a command.\n",
                out);
}

int oto_command_help(int argc, char **argv, char **environment)
{
    if (argc == 0) {
        print_usage(stdout);
        return 0;
    }
    for (const struct oto_command *c = oto_commands; c->name; c++)
        if (strcmp(c->name, argv[0]) == 0 && c->run != oto_command_help) {
            char *help[] = {(char *)"--help", NULL};
            return c->run(1, help, environment);
        }
    print_usage(stdout);
    return 0;
}

int oto_command_version(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    (void)printf("otolith %s\n", OTO_VERSION);
    return 0;
}

int main(int argc, char **argv, char **environment)
{
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    for (const struct oto_command *c = oto_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c->run(argc - 2, argv + 2, environment);
    (void)fprintf(stderr, "otolith: '%s' is not a command; see otolith help\n", name);
    return 2;
}
