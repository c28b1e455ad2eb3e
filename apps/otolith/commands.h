// The subcommands of otolith. Each gets the arguments after its name and returns the exit status: 0
// done, 1 failed, 2 wrong usage.
#ifndef OTO_APPS_OTOLITH_COMMANDS_H
#define OTO_APPS_OTOLITH_COMMANDS_H

struct oto_command {
    const char *name;
    const char *arguments; // shown in the usage
    const char *help;      // one sentence
    int (*run)(int argc, char **argv, char **environment);
};
extern const struct oto_command oto_commands[];

int oto_command_serve(int argc, char **argv, char **environment);
int oto_command_query(int argc, char **argv, char **environment);
int oto_command_check_config(int argc, char **argv, char **environment);
int oto_command_version(int argc, char **argv, char **environment);
int oto_command_help(int argc, char **argv, char **environment);

#endif
