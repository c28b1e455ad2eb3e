// otolith-query: answers SQL over Parquet files that otolith hands it, in a sandbox. Not for
// people: otolith starts it, with a socket as descriptor 3.
#include "os/sandbox.h"
#include "query_rows.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SOCKET_FD 3
#define REST_MS 5000 // without a request: no file is held open any longer

static int print_usage(void)
{
    (void)fputs("otolith-query is started by otolith; use `otolith query SQL`.\n"
                "Usage: otolith-query --memory BYTES --threads N [--folder DIR]… [--table NAME]…\n",
                stderr);
    return 2;
}

static enum oto_status make_room(struct query_settings *settings, int argc)
{
    settings->folders = calloc((size_t)argc, sizeof(*settings->folders));
    settings->tables = calloc((size_t)argc, sizeof(*settings->tables));
    return settings->folders && settings->tables ? OTO_OK : OTO_NO_MEMORY;
}

static int read_arguments(struct query_settings *settings, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--memory") == 0)
            settings->memory_bytes = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            settings->threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--folder") == 0)
            settings->folders[settings->folder_count++] = argv[i + 1];
        else if (strcmp(argv[i], "--table") == 0)
            settings->tables[settings->table_count++] = argv[i + 1];
        else
            return 0;
    }
    return argc % 2 == 1 && settings->memory_bytes && settings->threads;
}

// Nothing of the environment is left; files may be as many as the system allows.
static void prepare_process(void)
{
    struct rlimit files;
    clearenv();
    setenv("TZ", "UTC", 1);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    mallopt(M_ARENA_MAX, 2);
}

// What DuckDB may use, and what it uses beside that. A sanitizer's shadow memory would count as
// data: no limit then.
static uint64_t data_bytes_max(const struct query_settings *settings)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)settings;
    return 0;
#else
    return settings->memory_bytes + settings->memory_bytes / 2 + (512u << 20);
#endif
}

static enum oto_status enter_sandbox(const struct query_settings *settings, char *text,
                                     size_t text_size, struct oto_error *err)
{
    struct oto_sandbox_options options = {.folders = settings->folders,
                                          .folder_count = settings->folder_count,
                                          .data_bytes_max = data_bytes_max(settings),
                                          .file_bytes_max = settings->memory_bytes,
                                          .nice = 5};
    struct oto_sandbox_report report;
    OTO_TRY(oto_sandbox_enter(&options, &report, err));
    (void)snprintf(text, text_size, "sandbox: landlock %s (version %d), seccomp %s",
                   report.landlock_version ? "on" : "not in this kernel", report.landlock_version,
                   report.seccomp ? "on" : "not in this kernel");
    return OTO_OK;
}

static enum oto_status start(struct query_process *process, char *text, size_t text_size,
                             struct oto_error *err)
{
    prepare_process();
    OTO_TRY(query_database_open(&process->db, &process->settings, err));
    OTO_TRY(query_copy_open(&process->copy_fd, err));
    OTO_TRY(query_pick_open(&process->views, err));
    OTO_TRY(enter_sandbox(&process->settings, text, text_size, err));
    OTO_TRY(query_database_lock(&process->db, &process->settings, err));
    OTO_TRY(query_views_init(&process->views, &process->settings));
    OTO_TRY(query_rows_register(process->db.own, &process->views, err));
    OTO_TRY(query_clock_register(&process->db, &process->clock, err));
    return query_io_start(&process->io, SOCKET_FD, &process->db, err);
}

int main(int argc, char **argv)
{
    static struct query_process process;
    char text[200];
    struct oto_error err;
    oto_error_init(&err);
    enum oto_status status = make_room(&process.settings, argc);
    if (status == OTO_OK && !read_arguments(&process.settings, argc, argv))
        return print_usage();
    if (status == OTO_OK)
        status = start(&process, text, sizeof(text), &err);
    if (status < 0) {
        if (err.status == OTO_OK)
            oto_error_set(&err, OTO_NO_MEMORY, "out of memory");
        query_io_send_error(SOCKET_FD, &err);
        return 1;
    }
    if (query_io_send(SOCKET_FD, OTO_QUERY_FRAME_READY, oto_bytes_text(text)) < 0)
        return 1;
    for (;;) { // the listener ends the process when the server is gone
        struct query_request request;
        if (!query_io_take(&process.io, REST_MS, &request)) {
            query_views_rest(&process.views);
            (void)query_io_take(&process.io, 0, &request);
        }
        query_answer(&process, &request);
        query_request_release(&request);
    }
}
