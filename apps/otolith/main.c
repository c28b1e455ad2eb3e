// otolith: finds the subcommand and runs it.
#include "options.h"
#include "os/process.h"

#include <stdio.h>
#include <string.h>

#define ENTRY(name) &oto_command_##name,
const struct oto_command *const oto_commands[] = {OTO_COMMANDS(ENTRY) NULL};

static const char *running = "";

const char *oto_command_running(void)
{
    return running;
}

// --- what prints text ---

static int print_text(enum oto_status status, struct oto_buffer *text)
{
    if (status == OTO_OK)
        (void)fwrite(text->data, 1, text->size, stdout);
    else
        (void)fprintf(stderr, "otolith: %s\n", oto_status_name(status));
    oto_buffer_release(text);
    return status == OTO_OK ? oto_options_end_output() : 1;
}

static int unknown_command(const char *name)
{
    const char *nearest = oto_command_nearest(name);
    if (nearest)
        (void)fprintf(stderr, "otolith: '%s' is not a command: did you mean %s?\n", name, nearest);
    else
        (void)fprintf(stderr, "otolith: '%s' is not a command; see otolith help\n", name);
    return 2;
}

static int run_help(int argc, char **argv, char **environment)
{
    (void)environment;
    int count, status = oto_options_start(&oto_command_help, argc, argv, NULL, &count);
    if (status >= 0)
        return status;
    const struct oto_command *command = count ? oto_command_find(argv[0]) : NULL;
    if (count && !command)
        return unknown_command(argv[0]);
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    return print_text(oto_options_write_help(command, &text), &text);
}

static int run_completions(int argc, char **argv, char **environment)
{
    (void)environment;
    int count, status = oto_options_start(&oto_command_completions, argc, argv, NULL, &count);
    if (status >= 0)
        return status;
    struct oto_error err;
    struct oto_buffer text;
    oto_error_init(&err);
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    enum oto_status made =
        count == 1 ? oto_options_write_completions(argv[0], &text, &err)
                   : oto_error_set(&err, OTO_INVALID, "name one shell: bash, zsh or fish");
    if (made != OTO_INVALID)
        return print_text(made, &text);
    (void)fprintf(stderr, "otolith: %s\n", err.message);
    return 2;
}

static int run_man(int argc, char **argv, char **environment)
{
    (void)environment;
    int count, status = oto_options_start(&oto_command_man, argc, argv, NULL, &count);
    if (status >= 0)
        return status;
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    return print_text(oto_options_write_man(&text), &text);
}

static int run_version(int argc, char **argv, char **environment)
{
    (void)environment;
    int count, status = oto_options_start(&oto_command_version, argc, argv, NULL, &count);
    if (status >= 0)
        return status;
    (void)printf("otolith %s\n", OTO_VERSION);
    return oto_options_end_output();
}

const struct oto_command oto_command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .argument = OTO_ARGUMENT_COMMAND,
    .help = "Print the list of commands, or a command's help.",
    .text = "Prints the list of commands, or what `otolith COMMAND --help` prints.",
    .run = run_help,
};

const struct oto_command oto_command_completions = {
    .name = "completions",
    .arguments = "bash|zsh|fish",
    .argument = OTO_ARGUMENT_CHOICE,
    .argument_choices = "bash|zsh|fish",
    .help = "Print a completion script for a shell.",
    .text = "Prints a script that completes commands, options and their values. `make install` "
            "puts all three where the shells look for them.",
    .examples = "source <(otolith completions bash)\n"
                "otolith completions zsh > ~/.zfunc/_otolith      # a folder of $fpath\n"
                "otolith completions fish > ~/.config/fish/completions/otolith.fish\n",
    .run = run_completions,
};

const struct oto_command oto_command_man = {
    .name = "man",
    .arguments = "",
    .help = "Print the man page.",
    .text = "Prints the man page, otolith(1), in mdoc.",
    .examples = "otolith man | man -l -\n",
    .run = run_man,
};

const struct oto_command oto_command_version = {
    .name = "version",
    .arguments = "",
    .help = "Print the version.",
    .text = "Prints the version.",
    .run = run_version,
};

int main(int argc, char **argv, char **environment)
{
    struct oto_error err;
    oto_error_init(&err);
    if (oto_standard_streams_hold(&err) < 0) {
        (void)fprintf(stderr, "otolith: %s\n", err.message);
        return 1;
    }
    if (argc < 2) {
        struct oto_buffer text;
        oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
        if (oto_options_write_help(NULL, &text) == OTO_OK)
            (void)fwrite(text.data, 1, text.size, stderr);
        oto_buffer_release(&text);
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const struct oto_command *command = oto_command_find(name);
    if (!command)
        return unknown_command(name);
    running = command->name;
    return command->run(argc - 2, argv + 2, environment);
}
