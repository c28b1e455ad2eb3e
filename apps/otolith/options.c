// The parser of the option tables.
#include "options.h"

#include "api/config.h"
#include "base/nearest.h"
#include "base/text.h"
#include "os/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 64

// --- what is there ---

const struct oto_command *oto_command_find(const char *name)
{
    for (size_t i = 0; oto_commands[i]; i++)
        if (strcmp(oto_commands[i]->name, name) == 0)
            return oto_commands[i];
    return NULL;
}

int oto_options_next_choice(const char **at, struct oto_bytes *ret_choice)
{
    if (**at == 0)
        return 0;
    size_t size = strcspn(*at, "|");
    *ret_choice = oto_bytes(*at, size);
    *at += size + ((*at)[size] == '|');
    return 1;
}

static void flag_name(const struct oto_config_key *key, char name[NAME_MAX_BYTES])
{
    (void)snprintf(name, NAME_MAX_BYTES, "%s", key->name);
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
}

// A setting as an option; name and help are kept in the two texts.
static struct oto_option option_of_key(const struct oto_config_key *key, char name[NAME_MAX_BYTES],
                                       char *help, size_t help_size)
{
    struct oto_option option = {.kind = key->choices                     ? OTO_OPTION_CHOICE
                                        : strcmp(key->name, "data") == 0 ? OTO_OPTION_FOLDER
                                                                         : OTO_OPTION_TEXT,
                                .value_name = key->value_name,
                                .choices = key->choices};
    flag_name(key, name);
    char range[OTO_CONFIG_RANGE_MAX];
    oto_config_range_text(key, range);
    if (*range)
        (void)snprintf(help, help_size, "%s Default: %s (%s%s).", key->help, key->default_text,
                       key->choices ? "<ms>: " : "", range);
    else if (*key->default_text)
        (void)snprintf(help, help_size, "%s Default: %s.", key->help, key->default_text);
    else
        (void)snprintf(help, help_size, "%s", key->help);
    option.name = name;
    option.help = help;
    return option;
}

enum oto_status oto_options_visit(const struct oto_command *command,
                                  enum oto_status (*visit)(void *state,
                                                           const struct oto_option *option),
                                  void *state)
{
    static const struct oto_option help = {
        .name = "help", .letter = 'h', .kind = OTO_OPTION_FLAG, .help = "Print this help."};
    for (const struct oto_option *o = command->options; o && o->name; o++)
        OTO_TRY(visit(state, o));
    for (size_t i = 0; command->takes_settings && i < oto_config_key_count; i++) {
        char name[NAME_MAX_BYTES], text[1024];
        struct oto_option option = option_of_key(&oto_config_keys[i], name, text, sizeof(text));
        OTO_TRY(visit(state, &option));
    }
    return visit(state, &help);
}

// --- near misses ---

const char *oto_command_nearest(const char *name)
{
    struct oto_nearest nearest;
    oto_nearest_init(&nearest, name);
    for (size_t i = 0; oto_commands[i]; i++)
        oto_nearest_add(&nearest, oto_commands[i]->name);
    const struct oto_command *command = oto_command_find(nearest.name);
    return command ? command->name : NULL;
}

static enum oto_status add_option_name(void *state, const struct oto_option *option)
{
    oto_nearest_add(state, option->name);
    return OTO_OK;
}

// --- parsing ---

struct parse {
    const struct oto_command *command;
    int argc, at, count;
    char **argv;
    void *values;
    struct oto_error *err;
};

static enum oto_status check_choice(const struct oto_option *option, const char *text,
                                    struct oto_error *err)
{
    struct oto_bytes choice;
    for (const char *at = option->choices; oto_options_next_choice(&at, &choice);)
        if (oto_bytes_equal_text(choice, text))
            return OTO_OK;
    return oto_error_set(err, OTO_INVALID, "--%s: '%s' is not one of %s", option->name, text,
                         option->choices);
}

static enum oto_status add_to_list(const struct oto_option *option, const char *text,
                                   struct oto_option_list *list, struct oto_error *err)
{
    if (list->count == OTO_OPTION_LIST_MAX)
        return oto_error_set(err, OTO_INVALID, "--%s: more than %d times", option->name,
                             OTO_OPTION_LIST_MAX);
    list->items[list->count++] = text;
    return OTO_OK;
}

static enum oto_status set_value(const struct parse *p, const struct oto_option *option,
                                 const char *text)
{
    void *field = (char *)p->values + option->offset;
    const char *expected = NULL;
    if (option->choices)
        OTO_TRY(check_choice(option, text, p->err));
    switch (option->kind) {
    case OTO_OPTION_FLAG:
        *(int *)field = 1;
        break;
    case OTO_OPTION_TEXT:
    case OTO_OPTION_FILE:
    case OTO_OPTION_FOLDER:
    case OTO_OPTION_CHOICE:
        *(const char **)field = text;
        break;
    case OTO_OPTION_LIST:
        return add_to_list(option, text, field, p->err);
    case OTO_OPTION_COUNT:
        if (oto_text_to_u64(oto_bytes_text(text), field) < 0)
            expected = "a whole number";
        break;
    case OTO_OPTION_SIZE:
        if (oto_config_parse_size(text, field) < 0)
            expected = "a size such as 64MiB";
        break;
    case OTO_OPTION_DURATION:
        if (oto_config_parse_duration(text, field) < 0)
            expected = "a time span such as 10s or 5m";
        break;
    case OTO_OPTION_TIME:
        if (oto_options_parse_time(text, field) < 0)
            expected = "a time such as 2026-01-02T03:04:05Z, 2026-01-02, now or -15m";
        break;
    }
    return expected ? oto_error_set(p->err, OTO_INVALID, "--%s: '%s' is not %s", option->name, text,
                                    expected)
                    : OTO_OK;
}

static enum oto_status lacks_value(const struct parse *p, const struct oto_option *option)
{
    return oto_error_set(p->err, OTO_INVALID, "--%s needs a value (%s)", option->name,
                         option->value_name);
}

static enum oto_status unknown_option(const struct parse *p, const char *name, size_t size)
{
    char wanted[NAME_MAX_BYTES];
    struct oto_nearest nearest;
    (void)snprintf(wanted, sizeof(wanted), "%.*s", (int)size, name);
    oto_nearest_init(&nearest, wanted);
    OTO_TRY(oto_options_visit(p->command, add_option_name, &nearest));
    if (*nearest.name)
        return oto_error_set(p->err, OTO_INVALID,
                             "--%s is not an option of otolith %s: did you mean --%s?", wanted,
                             p->command->name, nearest.name);
    return oto_error_set(p->err, OTO_INVALID,
                         "--%s is not an option of otolith %s; see otolith %s --help", wanted,
                         p->command->name, p->command->name);
}

static int is_setting(const char *name, size_t size)
{
    char flag[NAME_MAX_BYTES];
    for (size_t i = 0; i < oto_config_key_count; i++) {
        flag_name(&oto_config_keys[i], flag);
        if (strlen(flag) == size && memcmp(flag, name, size) == 0)
            return 1;
    }
    return 0;
}

// A setting and its value stay in argv, for oto_config_load_flag.
static void keep_setting(struct parse *p, int has_value)
{
    p->argv[p->count++] = p->argv[p->at];
    if (!has_value && p->at + 1 < p->argc)
        p->argv[p->count++] = p->argv[++p->at];
}

static enum oto_status parse_long(struct parse *p)
{
    const char *name = p->argv[p->at] + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] ? name + size + 1 : NULL;
    for (const struct oto_option *o = p->command->options; o && o->name; o++) {
        if (strlen(o->name) != size || memcmp(o->name, name, size) != 0)
            continue;
        if (o->kind == OTO_OPTION_FLAG && value)
            return oto_error_set(p->err, OTO_INVALID, "--%s takes no value", o->name);
        if (o->kind != OTO_OPTION_FLAG && !value) {
            // "--data --format json": the value was forgotten.
            if (p->at + 1 >= p->argc || strncmp(p->argv[p->at + 1], "--", 2) == 0)
                return lacks_value(p, o);
            value = p->argv[++p->at];
        }
        return set_value(p, o, value);
    }
    if (!p->command->takes_settings || !is_setting(name, size))
        return unknown_option(p, name, size);
    keep_setting(p, value != NULL);
    return OTO_OK;
}

// "-o FILE", "-oFILE", "-ab" for flags.
static enum oto_status parse_letters(struct parse *p)
{
    for (const char *letter = p->argv[p->at] + 1; *letter; letter++) {
        const struct oto_option *o = p->command->options;
        while (o && o->name && o->letter != *letter)
            o++;
        if (!o || !o->name)
            return oto_error_set(p->err, OTO_INVALID,
                                 "'%s' is not an option of otolith %s; see otolith %s --help",
                                 p->argv[p->at], p->command->name, p->command->name);
        if (o->kind == OTO_OPTION_FLAG) {
            OTO_TRY(set_value(p, o, NULL));
            continue;
        }
        if (letter[1])
            return set_value(p, o, letter + 1);
        return p->at + 1 < p->argc ? set_value(p, o, p->argv[++p->at]) : lacks_value(p, o);
    }
    return OTO_OK;
}

static enum oto_status parse_argument(struct parse *p)
{
    if (p->command->argument == OTO_ARGUMENT_NONE)
        return oto_error_set(p->err, OTO_INVALID, "'%s' is too much: otolith %s takes options only",
                             p->argv[p->at], p->command->name);
    p->argv[p->count++] = p->argv[p->at];
    return OTO_OK;
}

static int wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

// SQL that begins with a comment: no option has a blank behind its dashes or a line's end in its
// name.
static int is_comment(const struct oto_command *command, const char *argument)
{
    const char *name = argument + 2;
    return command->argument == OTO_ARGUMENT_TEXT && strncmp(argument, "--", 2) == 0 &&
           (*name == ' ' || *name == '\t' || name[strcspn(name, "=\n")] == '\n');
}

enum oto_status oto_options_parse(const struct oto_command *command, int argc, char **argv,
                                  void *values, int *ret_count, int *ret_help,
                                  struct oto_error *err)
{
    struct parse p = {.command = command, .argc = argc, .argv = argv, .values = values, .err = err};
    *ret_count = 0;
    *ret_help = wants_help(argc, argv);
    if (*ret_help)
        return OTO_OK;
    int is_plain = 0;
    for (; p.at < argc; p.at++) {
        const char *argument = argv[p.at];
        if (is_plain || argument[0] != '-' || argument[1] == 0 || is_comment(command, argument))
            OTO_TRY(parse_argument(&p));
        else if (strcmp(argument, "--") == 0)
            is_plain = 1;
        else if (argument[1] == '-')
            OTO_TRY(parse_long(&p));
        else
            OTO_TRY(parse_letters(&p));
    }
    *ret_count = p.count;
    return OTO_OK;
}

void oto_options_complain_output(int error)
{
    if (error == EPIPE)
        oto_broken_pipe_raise();
    (void)fputs("otolith: standard output cannot be written\n", stderr);
}

int oto_options_end_output(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    oto_options_complain_output(errno);
    return 1;
}

static int print_help(const struct oto_command *command)
{
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    enum oto_status status = oto_options_write_help(command, &text);
    if (status == OTO_OK)
        (void)fwrite(text.data, 1, text.size, stdout);
    else
        (void)fprintf(stderr, "otolith: %s\n", oto_status_name(status));
    oto_buffer_release(&text);
    return status == OTO_OK ? oto_options_end_output() : 1;
}

int oto_options_start(const struct oto_command *command, int argc, char **argv, void *values,
                      int *ret_count)
{
    struct oto_error err;
    int is_help;
    oto_error_init(&err);
    if (oto_options_parse(command, argc, argv, values, ret_count, &is_help, &err) < 0) {
        (void)fprintf(stderr, "otolith: %s\n", err.message);
        return 2;
    }
    return is_help ? print_help(command) : -1;
}
