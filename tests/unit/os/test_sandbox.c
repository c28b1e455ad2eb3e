// The sandbox is tried in a child process: the report is what the child could still do.
#define _GNU_SOURCE
#include "cmocka_all.h"

#include "os/sandbox.h"
#include "os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/oto-sandbox-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static int setup(void **state)
{
    (void)state;
    char path[200];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/in", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("in/file", "inside");
    write_file("out", "outside");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[200];
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) == 0 ? 0 : -1;
}

static int can_open(const char *name, int flags)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void enter(void)
{
    char inside[200];
    (void)snprintf(inside, sizeof(inside), "%s/in", folder);
    const char *folders[] = {inside};
    struct oto_sandbox_options options = {
        .folders = folders, .folder_count = 1, .file_bytes_max = 1 << 20, .nice = 3};
    struct oto_sandbox_report report;
    struct oto_error err;
    if (oto_sandbox_enter(&options, &report, &err) < 0)
        _exit(100);
    if (!report.seccomp || !report.landlock_version)
        _exit(77); // this kernel cannot
}

// Runs `attempt` in the sandbox of a child; it returns what is left as an exit status, 0 when all
// is as it should be.
static void in_sandbox(int (*attempt)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        enter();
        _exit(attempt());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int attempt_files(void)
{
    if (!can_open("in/file", O_RDONLY))
        return 1;
    if (can_open("out", O_RDONLY))
        return 2;
    if (can_open("in/file", O_WRONLY) || can_open("in/file", O_RDWR))
        return 3;
    if (can_open("in/new", O_WRONLY | O_CREAT))
        return 4;
    if (open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/environ", O_RDONLY) >= 0)
        return 5;
    if (can_open("in/../out", O_RDONLY))
        return 6;
    char from[200], to[200];
    (void)snprintf(from, sizeof(from), "%s/in/file", folder);
    (void)snprintf(to, sizeof(to), "%s/in/other", folder);
    if (rename(from, to) == 0 || unlink(from) == 0 || symlink("/etc/passwd", to) == 0 ||
        link(from, to) == 0 || mkdir(to, 0700) == 0)
        return 7;
    if (truncate(from, 0) == 0 || chmod(from, 0777) == 0)
        return 8;
    return 0;
}

static void files_are_read_in_the_folder_only(void **state)
{
    (void)state;
    in_sandbox(attempt_files);
}

static int attempt_calls(void)
{
    char *const arguments[] = {(char *)"/bin/true", NULL};
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ||
        errno != EPERM)
        return 1;
    if (execve("/bin/true", arguments, arguments + 1) == 0 || errno != EPERM)
        return 2;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        return 3;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
        return 4;
    if (kill(getppid(), 0) == 0)
        return 5;
    if (memfd_create("x", 0) >= 0)
        return 6;
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
        return 7;
    return 0;
}

static void calls_are_refused(void **state)
{
    (void)state;
    in_sandbox(attempt_calls);
}

static void *touch(void *state)
{
    *(int *)state = can_open("out", O_RDONLY) ? 2 : 1;
    return NULL;
}

static int attempt_threads(void)
{
    struct oto_thread thread;
    int seen = 0;
    if (oto_thread_start(&thread, "t", touch, &seen, NULL) < 0)
        return 1;
    oto_thread_join(&thread);
    return seen == 1 ? 0 : 2;
}

static void threads_start_and_are_held_too(void **state)
{
    (void)state;
    in_sandbox(attempt_threads);
}

// A file in memory that was there before stays readable and writable through /proc, up to the
// limit.
static void files_in_memory_stay(void **state)
{
    (void)state;
    int status;
    int fd = memfd_create("held", 0);
    assert_true(fd >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        char path[40];
        static char block[1 << 19];
        enter();
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int again = open(path, O_RDWR);
        if (again < 0)
            _exit(1);
        if (write(again, block, sizeof(block)) != sizeof(block) ||
            write(again, block, sizeof(block)) != sizeof(block))
            _exit(2);
        _exit(write(again, block, 1) < 0 && errno == EFBIG ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_in_the_folder_only),
        cmocka_unit_test(calls_are_refused),
        cmocka_unit_test(threads_start_and_are_held_too),
        cmocka_unit_test(files_in_memory_stay),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
