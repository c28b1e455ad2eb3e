// The subcommands and their options, described once: the parser, --help, the shell completions and
// the man page all come from one table a command. (serve's settings come from api/config.h, in this
// form.)
//
// A new command: apps/otolith/<name>.c defines `const struct oto_command oto_command_<name>`, and
// OTO_COMMANDS gets its name.
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
    OTO_OPTION_TIME,     // field is a struct oto_option_time: RFC 3339, a date, "now", or "-15m",
                         // "-2h", "-7d" before now
    OTO_OPTION_LIST, // field is a struct oto_option_list; each use adds a text, which must be one
                     // of `choices` where there are any
};

struct oto_option_time {
    int64_t us;       // since 1970
    int is_relative;  // "now", "-15m"
    const char *text; // as it was given; NULL: it was not
};

#define OTO_OPTION_LIST_MAX 32
struct oto_option_list {
    const char *items[OTO_OPTION_LIST_MAX];
    size_t count;
};

struct oto_option {
    const char *name; // "format": --format VALUE, --format=VALUE
    char letter;      // 'o': -o VALUE; 0: none
    enum oto_option_kind kind;
    size_t offset;          // of the field in the command's own struct
    const char *value_name; // "FORMAT"; NULL for flags
    const char *choices;    // "table|json|csv"; NULL unless CHOICE or LIST
    const char *help;       // one sentence or two, without the option's name
};

enum oto_argument {
    OTO_ARGUMENT_NONE,
    OTO_ARGUMENT_TEXT,
    OTO_ARGUMENT_FILES,
    OTO_ARGUMENT_CHOICE,  // one of argument_choices
    OTO_ARGUMENT_COMMAND, // the name of a command
};

struct oto_command {
    const char *name;
    const char *arguments; // what stands behind the options: "SQL", "FILE…"; "" for none
    enum oto_argument argument;
    const char *argument_choices;     // "bash|zsh|fish", NULL unless CHOICE
    const char *help;                 // one sentence: the line in the list of commands
    const char *text;                 // --help and the man page: paragraphs with an empty line
                                      // between them; a paragraph of indented lines stays as it is
    const char *examples;             // lines; NULL: none
    const struct oto_option *options; // ends with a zeroed one; NULL: none
    int takes_settings;               // and all keys of the configuration as flags
    int (*run)(int argc, char **argv, char **environment); // argv: behind the command's name;
                                                           // returns the exit status: 0 done, 1
                                                           // failed, 2 wrong usage
};

// Every command, in the order of the list that `otolith help` prints.
#define OTO_COMMANDS(X)                                                                            \
    X(serve)                                                                                       \
    X(query)                                                                                       \
    X(convert)                                                                                     \
    X(export)                                                                                      \
    X(inspect)                                                                                     \
    X(verify)                                                                                      \
    X(connect)                                                                                     \
    X(check_config)                                                                                \
    X(completions)                                                                                 \
    X(man)                                                                                         \
    X(version)                                                                                     \
    X(help)
#define OTO_COMMAND_DECLARE(name) extern const struct oto_command oto_command_##name;
OTO_COMMANDS(OTO_COMMAND_DECLARE)
extern const struct oto_command *const oto_commands[]; // ends with NULL

const struct oto_command *oto_command_find(const char *name); // NULL: none
const char *oto_command_running(void); // the name of the one that main runs; "" before
// The command or, in the second, option whose name is nearest to a mistyped one; NULL: none is
// near.
const char *oto_command_nearest(const char *name);

// Fills the fields of `values` from argv[0..argc) by the command's options; what is no option is
// moved to the front of argv, in order ("--" ends options; "-" is an argument; settings of a
// command that takes them stay as they are, and are checked by name only). *ret_count: how many of
// those. *ret_help: --help or -h was among them, and nothing else was checked. Fields of options
// that do not occur are left alone. OTO_INVALID: err says what to do; a command without arguments
// refuses them.
OTO_MUST_CHECK enum oto_status oto_options_parse(const struct oto_command *command, int argc,
                                                 char **argv, void *values, int *ret_count,
                                                 int *ret_help, struct oto_error *err);

// What every command begins with: parses, prints --help or what is wrong. -1: go on with the
// *ret_count arguments at the front of argv; else the exit status. values may be NULL when there
// are no options.
OTO_MUST_CHECK int oto_options_start(const struct oto_command *command, int argc, char **argv,
                                     void *values, int *ret_count);

// What every command that printed ends with: 0; 1 when standard output did not take all of it,
// which is said then. A reader that went away ends the process without a word, as everywhere.
OTO_MUST_CHECK int oto_options_end_output(void);
// The same for what failed to be written already, with its errno.
void oto_options_complain_output(int error);

// "2026-01-02", "2026-01-02T03:04:05.678Z" (or +01:00), "now", "-15m", "-7d". OTO_INVALID.
// Ownership: ret_time borrows the text.
OTO_MUST_CHECK enum oto_status oto_options_parse_time(const char *text,
                                                      struct oto_option_time *ret_time);

// Appends --help of a command, or for NULL the list of commands; a completion script for "bash",
// "zsh" or "fish" (OTO_INVALID for others); the man page (mdoc).
OTO_MUST_CHECK enum oto_status oto_options_write_help(const struct oto_command *command,
                                                      struct oto_buffer *output);
OTO_MUST_CHECK enum oto_status
oto_options_write_completions(const char *shell, struct oto_buffer *output, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_options_write_man(struct oto_buffer *output);

// --- for those writers ---

// Calls visit for each option of a command, its settings and --help.
OTO_MUST_CHECK enum oto_status
oto_options_visit(const struct oto_command *command,
                  enum oto_status (*visit)(void *state, const struct oto_option *option),
                  void *state);
// The next of "a|b|c": a view, and *at is moved behind it. 0 at the end.
int oto_options_next_choice(const char **at, struct oto_bytes *ret_choice);

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
void oto_progress_clear(struct oto_progress *progress); // until it is shown again
void oto_progress_end(struct oto_progress *progress);   // for good

#endif
