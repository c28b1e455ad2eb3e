// --help and the man page from the option tables.
#include "options.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 100
#define MAN_WIDTH 79
#define MANUAL_DATE "November 21, 2026"

// --- paragraphs ---

// The size of the paragraph at text: up to an empty line or the end.
static size_t paragraph_size(const char *text)
{
    const char *end = strstr(text, "\n\n");
    return end ? (size_t)(end - text) : strlen(text);
}

static const char *next_paragraph(const char *text)
{
    text += paragraph_size(text);
    return text + strspn(text, "\n");
}

// Characters of UTF-8 text.
static size_t width_of(const char *text, size_t size)
{
    size_t width = 0;
    for (size_t i = 0; i < size; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static enum oto_status write_wrapped(const char *text, size_t size, int indent,
                                     struct oto_buffer *output)
{
    size_t column = 0;
    for (const char *end = text + size; text < end;) {
        size_t word = strcspn(text, " \n");
        word = word < (size_t)(end - text) ? word : (size_t)(end - text);
        size_t width = width_of(text, word);
        if (column && column + 1 + width > WIDTH) {
            OTO_TRY(oto_buffer_append_byte(output, '\n'));
            column = 0;
        }
        size_t space = column ? 1 : (size_t)indent;
        OTO_TRY(oto_buffer_append_format(output, "%*s%.*s", (int)space, "", (int)word, text));
        column += space + width;
        text += word;
        while (text < end && (*text == ' ' || *text == '\n'))
            text++;
    }
    return oto_buffer_append_byte(output, '\n');
}

static enum oto_status write_paragraphs(const char *text, struct oto_buffer *output)
{
    for (; *text; text = next_paragraph(text)) {
        size_t size = paragraph_size(text);
        OTO_TRY(oto_buffer_append_byte(output, '\n'));
        if (*text == ' ')
            OTO_TRY(oto_buffer_append_format(output, "%.*s\n", (int)size, text));
        else
            OTO_TRY(write_wrapped(text, size, 0, output));
    }
    return OTO_OK;
}

// Each line with an indent before it.
static enum oto_status write_lines(const char *lines, struct oto_buffer *output)
{
    while (*lines) {
        size_t size = strcspn(lines, "\n");
        OTO_TRY(oto_buffer_append_format(output, "  %.*s\n", (int)size, lines));
        lines += size + (lines[size] == '\n');
    }
    return OTO_OK;
}

// --- help ---

static enum oto_status write_option(void *state, const struct oto_option *option)
{
    struct oto_buffer *output = state;
    if (option->letter)
        OTO_TRY(oto_buffer_append_format(output, "  -%c, --%s", option->letter, option->name));
    else
        OTO_TRY(oto_buffer_append_format(output, "  --%s", option->name));
    if (option->value_name)
        OTO_TRY(oto_buffer_append_format(output, " %s", option->value_name));
    if (option->choices)
        OTO_TRY(oto_buffer_append_format(output, "  (%s)", option->choices));
    OTO_TRY(oto_buffer_append_byte(output, '\n'));
    return write_wrapped(option->help, strlen(option->help), 6, output);
}

static enum oto_status write_list(struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(
        output, "Otolith: OpenTelemetry in, open columns kept, questions answered.\n\n"
                "Usage: otolith COMMAND [options] [arguments]\n\n"));
    for (size_t i = 0; oto_commands[i]; i++)
        OTO_TRY(oto_buffer_append_format(output, "  %-13s %s\n", oto_commands[i]->name,
                                         oto_commands[i]->help));
    return oto_buffer_append_format(
        output, "\nFirst steps:\n"
                "  otolith serve                                   # then send OTLP to "
                "127.0.0.1:4317 or :4318\n"
                "  otolith query \"SELECT count(*) FROM otel_logs\"\n"
                "\n`otolith help COMMAND` explains a command.\n");
}

enum oto_status oto_options_write_help(const struct oto_command *command, struct oto_buffer *output)
{
    if (!command)
        return write_list(output);
    OTO_TRY(oto_buffer_append_format(output, "Usage: otolith %s [options]%s%s\n", command->name,
                                     *command->arguments ? " " : "", command->arguments));
    OTO_TRY(write_paragraphs(command->text, output));
    OTO_TRY(oto_buffer_append_format(output, "\nOptions:\n"));
    OTO_TRY(oto_options_visit(command, write_option, output));
    if (command->examples) {
        OTO_TRY(oto_buffer_append_format(output, "\nExamples:\n"));
        OTO_TRY(write_lines(command->examples, output));
    }
    return oto_buffer_append_format(output, "\nExit status: 0 done, 1 failed, 2 wrong usage.\n");
}

// --- man page ---

static uint32_t code_point(const char *text, size_t *ret_size)
{
    unsigned char lead = (unsigned char)*text;
    size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3fu);
    *ret_size = size;
    return code;
}

// Text of a roff line: nothing in it is taken for a request, a macro or an escape.
static enum oto_status write_roff(const char *text, size_t size, struct oto_buffer *output)
{
    for (size_t i = 0, step; i < size; i += step) {
        uint32_t code = code_point(text + i, &step);
        int is_begin = i == 0 || text[i - 1] == '\n';
        if (is_begin && (code == '.' || code == '\''))
            OTO_TRY(oto_buffer_append_format(output, "\\&"));
        if (code == '\\')
            OTO_TRY(oto_buffer_append_format(output, "\\e"));
        else if (code == '-' || code == '`' || code == '^' || code == '~')
            OTO_TRY(oto_buffer_append_format(output, code == '-'   ? "\\-"
                                                     : code == '`' ? "\\(ga"
                                                     : code == '^' ? "\\(ha"
                                                                   : "\\(ti"));
        else if (code < 0x80)
            OTO_TRY(oto_buffer_append_byte(output, (uint8_t)code));
        else
            OTO_TRY(oto_buffer_append_format(output, "\\[u%04X]", code));
    }
    return OTO_OK;
}

// Running text: each sentence on a line of its own, as roff wants it, or on several.
static enum oto_status write_sentences(const char *text, size_t size, struct oto_buffer *output)
{
    size_t line = output->size;
    for (const char *end = text + size; text < end;) {
        size_t word = strcspn(text, " \n");
        word = word < (size_t)(end - text) ? word : (size_t)(end - text);
        size_t before = output->size;
        OTO_TRY(write_roff(text, word, output));
        if (output->size - line > MAN_WIDTH && before > line) {
            output->data[before - 1] = '\n';
            line = before;
        }
        int is_stop = text[word - 1] == '.' && text + word + 1 < end && text[word + 1] >= 'A' &&
                      text[word + 1] <= 'Z';
        OTO_TRY(oto_buffer_append_byte(output, is_stop || text + word >= end ? '\n' : ' '));
        line = is_stop ? output->size : line;
        text += word;
        while (text < end && (*text == ' ' || *text == '\n'))
            text++;
    }
    return OTO_OK;
}

static enum oto_status write_literal(const char *text, size_t size, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, ".Bd -literal -offset indent\n"));
    OTO_TRY(write_roff(text, size, output));
    return oto_buffer_append_format(output, "\n.Ed\n");
}

static enum oto_status write_man_option(void *state, const struct oto_option *option)
{
    struct oto_buffer *output = state;
    OTO_TRY(oto_buffer_append_format(output, ".It "));
    if (option->letter)
        OTO_TRY(oto_buffer_append_format(output, "Fl %c , ", option->letter));
    OTO_TRY(oto_buffer_append_format(output, "Fl \\-"));
    OTO_TRY(write_roff(option->name, strlen(option->name), output));
    if (option->value_name) {
        OTO_TRY(oto_buffer_append_format(output, " Ar "));
        OTO_TRY(write_roff(option->value_name, strlen(option->value_name), output));
    }
    OTO_TRY(oto_buffer_append_byte(output, '\n'));
    OTO_TRY(write_sentences(option->help, strlen(option->help), output));
    if (option->choices) {
        OTO_TRY(oto_buffer_append_format(output, "One of "));
        OTO_TRY(write_roff(option->choices, strlen(option->choices), output));
        OTO_TRY(oto_buffer_append_format(output, ".\n"));
    }
    return OTO_OK;
}

static enum oto_status write_man_command(const struct oto_command *command,
                                         struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, ".Ss otolith %s\n", command->name));
    for (const char *text = command->text; *text;) {
        size_t size = paragraph_size(text);
        OTO_TRY(*text == ' ' ? write_literal(text, size, output)
                             : write_sentences(text, size, output));
        text = next_paragraph(text);
        if (*text && *text != ' ')
            OTO_TRY(oto_buffer_append_format(output, ".Pp\n"));
    }
    OTO_TRY(oto_buffer_append_format(output, ".Bl -tag -width Ds\n"));
    OTO_TRY(oto_options_visit(command, write_man_option, output));
    OTO_TRY(oto_buffer_append_format(output, ".El\n"));
    if (!command->examples)
        return OTO_OK;
    OTO_TRY(oto_buffer_append_format(output, ".Pp\nExamples:\n"));
    size_t size = strlen(command->examples);
    return write_literal(command->examples, size - (command->examples[size - 1] == '\n'), output);
}

enum oto_status oto_options_write_man(struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(
        output, ".Dd " MANUAL_DATE "\n.Dt OTOLITH 1\n.Os\n"
                ".Sh NAME\n.Nm otolith\n.Nd OpenTelemetry in, open columns kept, questions "
                "answered\n.Sh SYNOPSIS\n"));
    for (size_t i = 0; oto_commands[i]; i++) {
        const struct oto_command *command = oto_commands[i];
        OTO_TRY(oto_buffer_append_format(output, ".Nm otolith\n.Cm %s\n.Op Ar options\n",
                                         command->name));
        if (!*command->arguments)
            continue;
        OTO_TRY(oto_buffer_append_format(output, ".Ar "));
        OTO_TRY(write_roff(command->arguments, strlen(command->arguments), output));
        OTO_TRY(oto_buffer_append_byte(output, '\n'));
    }
    OTO_TRY(oto_buffer_append_format(
        output, ".Sh DESCRIPTION\nTakes OpenTelemetry in (OTLP over gRPC and HTTP), keeps it as "
                "sorted\nParquet files, and answers SQL over all of it.\n"));
    for (size_t i = 0; oto_commands[i]; i++)
        OTO_TRY(write_man_command(oto_commands[i], output));
    return oto_buffer_append_format(
        output,
        ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
        ".It Ev OTOLITH_DATA\nThe data folder of every command.\n"
        ".It Ev OTOLITH_CONFIG\nThe configuration file of\n.Cm serve .\n"
        ".It Ev OTOLITH_*\nEvery setting of\n.Cm serve ,\n"
        "in upper case and with underscores: OTOLITH_MEMORY_LIMIT.\n.El\n"
        ".Sh FILES\n.Bl -tag -width Ds\n"
        ".It Pa ./otolith\\-data\nThe data folder where none is named: the write\\-ahead log "
        "in wal,\nthe tables in logs, traces and metrics.\n.El\n"
        ".Sh EXIT STATUS\n0 done, 1 failed, 2 wrong usage.\n");
}
