// Options of the subcommands, described once: the parser, --help, the shell completions and the man
// page all come from one table a command. (serve's settings come from api/config.h, in this form.)
#ifndef OTO_APPS_OTOLITH_OPTIONS_H
#define OTO_APPS_OTOLITH_OPTIONS_H

#include "base/bytes.h"

enum oto_option_kind {
    OTO_OPTION_FLAG,     // --json: field is an int, set to 1
    OTO_OPTION_TEXT,     // field is a const char *
    OTO_OPTION_FILE,     // the same; shells complete file names
    OTO_OPTION_FOLDER,   // the same; folder names
    OTO_OPTION_CHOICE,   // the same; the value must be one of `choices`
    OTO_OPTION_COUNT,    // field is a uint64_t
    OTO_OPTION_SIZE,     // field is a uint64_t: 64MiB
    OTO_OPTION_DURATION, // field is a uint64_t, milliseconds: 10s
    OTO_OPTION_TIME, // field is an int64_t, microseconds since 1970: RFC 3339, a date, "now", or
                     // "-15m", "-2h", "-7d" before now
};

struct oto_option {
    const char *name; // "format": --format VALUE, --format=VALUE
    char letter;      // 'o': -o VALUE; 0: none
    enum oto_option_kind kind;
    size_t offset;          // of the field in the command's own struct
    const char *value_name; // "FORMAT"; NULL for flags
    const char *choices;    // "table|json|csv"; NULL unless CHOICE
    const char *help;       // one sentence or two, without the option's name
};

struct oto_command {
    const char *name;
    const char *arguments; // what stands behind the options: "SQL", "FILE…"; "" for none
    enum { OTO_ARGUMENT_NONE, OTO_ARGUMENT_TEXT, OTO_ARGUMENT_FILES, OTO_ARGUMENT_CHOICE } argument;
    const char *argument_choices; // "bash|zsh|fish", NULL unless CHOICE
    const char *help;             // one sentence: the line in the list of commands
    const char *text;     // paragraphs of --help and the man page; lines of up to 100 columns
    const char *examples; // lines; NULL: none
    const struct oto_option *options; // ends with a zeroed one; NULL: none
    int takes_settings;               // and all keys of the configuration as flags
    int (*run)(int argc, char **argv, char **environment);
};
extern const struct oto_command oto_commands[]; // ends with a zeroed one

const struct oto_command *oto_command_find(const char *name); // NULL: none

// Fills the fields of `values` from argv[0..argc) by the command's options; what is no option is
// moved to the front of argv, in order ("--" ends options; "-" is an argument). *ret_count: how
// many of those. *ret_help: --help or -h was among them, and nothing else was checked. Fields of
// options that do not occur are left alone. OTO_INVALID: err says what to do.
OTO_MUST_CHECK enum oto_status oto_options_parse(const struct oto_command *command, int argc,
                                                 char **argv, void *values, int *ret_count,
                                                 int *ret_help, struct oto_error *err);

// Appends --help of a command; a completion script for "bash", "zsh" or "fish"; the man page
// (mdoc).
OTO_MUST_CHECK enum oto_status oto_options_write_help(const struct oto_command *command,
                                                      struct oto_buffer *output);
OTO_MUST_CHECK enum oto_status
oto_options_write_completions(const char *shell, struct oto_buffer *output, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_options_write_man(struct oto_buffer *output);

// --- what long work shows ---

// A line on standard error that is written again as work goes on: "1.2 GiB of 10 GiB, 12 %, 310
// MB/s". Only when standard error is a terminal; else nothing. total 0: not known.
struct oto_progress {
    const char *unit; // "bytes", "rows"
    uint64_t total;
    uint64_t started_ns, shown_ns;
    int is_shown;
};
void oto_progress_begin(struct oto_progress *progress, const char *unit, uint64_t total);
void oto_progress_show(struct oto_progress *progress, uint64_t done);
void oto_progress_end(struct oto_progress *progress); // clears the line

#endif
