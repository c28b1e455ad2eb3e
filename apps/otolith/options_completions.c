// Completion scripts for bash, zsh and fish from the option tables.
#include "options.h"

#include <string.h>

// --- what all three need ---

// The first sentence of a help text.
static size_t sentence_size(const char *text)
{
    const char *end = strstr(text, ". ");
    size_t size = end ? (size_t)(end - text) : strlen(text);
    return size && text[size - 1] == '.' ? size - 1 : size;
}

// Within single quotes; what `escaped` has gets a backslash before it.
static enum oto_status write_quoted(const char *text, size_t size, const char *escaped,
                                    struct oto_buffer *output)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\'')
            OTO_TRY(oto_buffer_append_format(output, "'\\''"));
        else if (strchr(escaped, text[i]))
            OTO_TRY(oto_buffer_append_format(output, "\\%c", text[i]));
        else
            OTO_TRY(oto_buffer_append_byte(output, (uint8_t)text[i]));
    }
    return OTO_OK;
}

// "a|b" as "a b". A choice with a number in it, "interval:<ms>", is left to the user.
static enum oto_status write_choices(const char *choices, struct oto_buffer *output)
{
    struct oto_bytes choice;
    const char *space = "";
    while (oto_options_next_choice(&choices, &choice)) {
        if (choice.data[choice.size - 1] == '>')
            continue;
        OTO_TRY(oto_buffer_append_format(output, "%s%.*s", space, (int)choice.size,
                                         (const char *)choice.data));
        space = " ";
    }
    return OTO_OK;
}

static enum oto_status write_command_names(struct oto_buffer *output)
{
    for (size_t i = 0; oto_commands[i]; i++)
        OTO_TRY(oto_buffer_append_format(output, "%s%s", i ? " " : "", oto_commands[i]->name));
    return OTO_OK;
}

// --- bash ---

static enum oto_status write_bash_name(void *state, const struct oto_option *option)
{
    struct oto_buffer *output = state;
    OTO_TRY(oto_buffer_append_format(output, " --%s", option->name));
    return option->letter ? oto_buffer_append_format(output, " -%c", option->letter) : OTO_OK;
}

// The branch of `case $previous in` for an option that takes a value.
static enum oto_status write_bash_value(void *state, const struct oto_option *option)
{
    struct oto_buffer *output = state;
    if (option->kind == OTO_OPTION_FLAG)
        return OTO_OK;
    OTO_TRY(oto_buffer_append_format(output, "        --%s", option->name));
    if (option->letter)
        OTO_TRY(oto_buffer_append_format(output, " | -%c", option->letter));
    if (option->kind == OTO_OPTION_FILE || option->kind == OTO_OPTION_FOLDER)
        return oto_buffer_append_format(output, ") _otolith_files %s; return ;;\n",
                                        option->kind == OTO_OPTION_FILE ? "-f" : "-d");
    if (!option->choices)
        return oto_buffer_append_format(output, ") return ;;\n");
    OTO_TRY(oto_buffer_append_format(output, ") _otolith_words '"));
    OTO_TRY(write_choices(option->choices, output));
    return oto_buffer_append_format(output, "'; return ;;\n");
}

static enum oto_status write_bash_argument(const struct oto_command *command,
                                           struct oto_buffer *output)
{
    if (command->argument == OTO_ARGUMENT_FILES)
        return oto_buffer_append_format(output, "      _otolith_files -f\n");
    if (command->argument != OTO_ARGUMENT_CHOICE && command->argument != OTO_ARGUMENT_COMMAND)
        return OTO_OK;
    OTO_TRY(oto_buffer_append_format(output, "      _otolith_words '"));
    OTO_TRY(command->argument == OTO_ARGUMENT_COMMAND
                ? write_command_names(output)
                : write_choices(command->argument_choices, output));
    return oto_buffer_append_format(output, "'\n");
}

static enum oto_status write_bash_command(const struct oto_command *command,
                                          struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, "    %s)\n      case $previous in\n", command->name));
    OTO_TRY(oto_options_visit(command, write_bash_value, output));
    OTO_TRY(oto_buffer_append_format(output, "      esac\n      if [[ $current == -* ]]; then\n"
                                             "        _otolith_words '"));
    OTO_TRY(oto_options_visit(command, write_bash_name, output));
    OTO_TRY(oto_buffer_append_format(output, "'\n        return\n      fi\n"));
    OTO_TRY(write_bash_argument(command, output));
    return oto_buffer_append_format(output, "      ;;\n");
}

static enum oto_status write_bash(struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(
        output, "# bash completion of otolith: source it, or put it into\n"
                "# ~/.local/share/bash-completion/completions/otolith\n"
                "_otolith_words() {\n"
                "  mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$current\")\n"
                "}\n\n"
                "_otolith_files() {\n"
                "  compopt -o filenames 2>/dev/null\n"
                "  mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$current\")\n"
                "}\n\n"
                "_otolith() {\n"
                "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
                "  local command=${COMP_WORDS[1]}\n"
                "  COMPREPLY=()\n"
                "  # --name=value comes as three words\n"
                "  if [[ $current == = ]]; then\n"
                "    current=\n"
                "  elif [[ $previous == = ]]; then\n"
                "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
                "  fi\n"
                "  if ((COMP_CWORD == 1)); then\n"
                "    _otolith_words '"));
    OTO_TRY(write_command_names(output));
    OTO_TRY(oto_buffer_append_format(output, " --help --version'\n    return\n  fi\n"
                                             "  case $command in\n"));
    for (size_t i = 0; oto_commands[i]; i++)
        OTO_TRY(write_bash_command(oto_commands[i], output));
    return oto_buffer_append_format(output, "  esac\n}\n\ncomplete -F _otolith otolith\n");
}

// --- zsh ---

#define ZSH_ESCAPED "[]:\\"

static enum oto_status write_zsh_value(const struct oto_option *option, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_byte(output, ':'));
    OTO_TRY(write_quoted(option->value_name, strlen(option->value_name), ZSH_ESCAPED, output));
    OTO_TRY(oto_buffer_append_byte(output, ':'));
    if (option->kind == OTO_OPTION_FILE)
        return oto_buffer_append_format(output, "_files");
    if (option->kind == OTO_OPTION_FOLDER)
        return oto_buffer_append_format(output, "_files -/");
    if (!option->choices)
        return oto_buffer_append_byte(output, ' ');
    OTO_TRY(oto_buffer_append_byte(output, '('));
    OTO_TRY(write_choices(option->choices, output));
    return oto_buffer_append_byte(output, ')');
}

static enum oto_status write_zsh_spec(const struct oto_option *option, const char *name,
                                      const char *after, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, " \\\n        '%s%s%s[",
                                     option->kind == OTO_OPTION_LIST ? "*" : "", name, after));
    OTO_TRY(write_quoted(option->help, sentence_size(option->help), ZSH_ESCAPED, output));
    OTO_TRY(oto_buffer_append_byte(output, ']'));
    if (option->kind != OTO_OPTION_FLAG)
        OTO_TRY(write_zsh_value(option, output));
    return oto_buffer_append_byte(output, '\'');
}

static enum oto_status write_zsh_option(void *state, const struct oto_option *option)
{
    struct oto_buffer *output = state;
    char name[80] = "--", letter[3] = {'-', option->letter, 0};
    int takes_value = option->kind != OTO_OPTION_FLAG;
    strncat(name, option->name, sizeof(name) - 3);
    OTO_TRY(write_zsh_spec(option, name, takes_value ? "=" : "", output));
    return option->letter ? write_zsh_spec(option, letter, takes_value ? "+" : "", output) : OTO_OK;
}

static enum oto_status write_zsh_argument(const struct oto_command *command,
                                          struct oto_buffer *output)
{
    // A text is not declared: where zsh has a message to show, it offers no options.
    if (command->argument == OTO_ARGUMENT_NONE || command->argument == OTO_ARGUMENT_TEXT)
        return OTO_OK;
    if (command->argument == OTO_ARGUMENT_FILES)
        return oto_buffer_append_format(output, " \\\n        '*:file:_files'");
    OTO_TRY(oto_buffer_append_format(output, " \\\n        ':argument:("));
    OTO_TRY(command->argument == OTO_ARGUMENT_COMMAND
                ? write_command_names(output)
                : write_choices(command->argument_choices, output));
    return oto_buffer_append_format(output, ")'");
}

static enum oto_status write_zsh(struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(
        output,
        "#compdef otolith\n"
        "# zsh completion of otolith: put it into a folder of $fpath as _otolith, or source "
        "it after compinit\n"
        "_otolith() {\n"
        "  local -a commands\n"
        "  commands=(\n"));
    for (size_t i = 0; oto_commands[i]; i++) {
        const struct oto_command *command = oto_commands[i];
        OTO_TRY(oto_buffer_append_format(output, "    '%s:", command->name));
        OTO_TRY(write_quoted(command->help, sentence_size(command->help), "\\", output));
        OTO_TRY(oto_buffer_append_format(output, "'\n"));
    }
    OTO_TRY(oto_buffer_append_format(output, "  )\n"
                                             "  if (( CURRENT == 2 )); then\n"
                                             "    _describe -t commands command commands\n"
                                             "    return\n"
                                             "  fi\n"
                                             "  shift words\n"
                                             "  (( CURRENT-- ))\n"
                                             "  case $words[1] in\n"));
    for (size_t i = 0; oto_commands[i]; i++) {
        OTO_TRY(oto_buffer_append_format(output, "    %s)\n      _arguments -s -S",
                                         oto_commands[i]->name));
        OTO_TRY(oto_options_visit(oto_commands[i], write_zsh_option, output));
        OTO_TRY(write_zsh_argument(oto_commands[i], output));
        OTO_TRY(oto_buffer_append_format(output, "\n      ;;\n"));
    }
    return oto_buffer_append_format(output, "  esac\n}\n\n"
                                            "if [[ $funcstack[1] == _otolith ]]; then\n"
                                            "  _otolith \"$@\"\n"
                                            "else\n"
                                            "  compdef _otolith otolith\n"
                                            "fi\n");
}

// --- fish ---

struct fish {
    const char *command;
    struct oto_buffer *output;
};

static enum oto_status write_fish_help(const char *help, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, " -d '"));
    // In fish a quote within single quotes is \'.
    for (size_t i = 0, size = sentence_size(help); i < size; i++) {
        if (help[i] == '\'' || help[i] == '\\')
            OTO_TRY(oto_buffer_append_byte(output, '\\'));
        OTO_TRY(oto_buffer_append_byte(output, (uint8_t)help[i]));
    }
    return oto_buffer_append_format(output, "'\n");
}

static enum oto_status write_fish_begin(const char *command, struct oto_buffer *output)
{
    return oto_buffer_append_format(
        output, "complete -c otolith -n '__fish_seen_subcommand_from %s'", command);
}

static enum oto_status write_fish_option(void *state, const struct oto_option *option)
{
    struct fish *fish = state;
    struct oto_buffer *output = fish->output;
    OTO_TRY(write_fish_begin(fish->command, output));
    OTO_TRY(oto_buffer_append_format(output, " -l %s", option->name));
    if (option->letter)
        OTO_TRY(oto_buffer_append_format(output, " -s %c", option->letter));
    if (option->kind == OTO_OPTION_FILE)
        OTO_TRY(oto_buffer_append_format(output, " -r -F"));
    else if (option->kind == OTO_OPTION_FOLDER)
        OTO_TRY(oto_buffer_append_format(output, " -x -a '(__fish_complete_directories)'"));
    else if (option->choices) {
        OTO_TRY(oto_buffer_append_format(output, " -x -a '"));
        OTO_TRY(write_choices(option->choices, output));
        OTO_TRY(oto_buffer_append_byte(output, '\''));
    } else if (option->kind != OTO_OPTION_FLAG)
        OTO_TRY(oto_buffer_append_format(output, " -x"));
    return write_fish_help(option->help, output);
}

static enum oto_status write_fish_argument(const struct oto_command *command,
                                           struct oto_buffer *output)
{
    if (command->argument == OTO_ARGUMENT_NONE || command->argument == OTO_ARGUMENT_TEXT)
        return OTO_OK;
    OTO_TRY(write_fish_begin(command->name, output));
    if (command->argument == OTO_ARGUMENT_FILES)
        return oto_buffer_append_format(output, " -F\n");
    OTO_TRY(oto_buffer_append_format(output, " -a '"));
    OTO_TRY(command->argument == OTO_ARGUMENT_COMMAND
                ? write_command_names(output)
                : write_choices(command->argument_choices, output));
    return oto_buffer_append_format(output, "'\n");
}

static enum oto_status write_fish(struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, "# fish completion of otolith: put it into "
                                             "~/.config/fish/completions/otolith.fish\n"
                                             "complete -c otolith -f\n"));
    for (size_t i = 0; oto_commands[i]; i++) {
        OTO_TRY(oto_buffer_append_format(
            output, "complete -c otolith -n __fish_use_subcommand -a %s", oto_commands[i]->name));
        OTO_TRY(write_fish_help(oto_commands[i]->help, output));
    }
    for (size_t i = 0; oto_commands[i]; i++) {
        struct fish fish = {oto_commands[i]->name, output};
        OTO_TRY(oto_options_visit(oto_commands[i], write_fish_option, &fish));
        OTO_TRY(write_fish_argument(oto_commands[i], output));
    }
    return OTO_OK;
}

enum oto_status oto_options_write_completions(const char *shell, struct oto_buffer *output,
                                              struct oto_error *err)
{
    enum oto_status status = strcmp(shell, "bash") == 0   ? write_bash(output)
                             : strcmp(shell, "zsh") == 0  ? write_zsh(output)
                             : strcmp(shell, "fish") == 0 ? write_fish(output)
                                                          : OTO_UNSUPPORTED;
    if (status == OTO_UNSUPPORTED)
        return oto_error_set(err, OTO_INVALID, "'%s' is not a shell that is known: bash, zsh, fish",
                             shell);
    return status < 0 ? oto_error_set(err, status, "out of memory") : status;
}
