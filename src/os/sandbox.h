// Gives up what a process that runs other people's queries must not have. One way: nothing brings
// it back.
#ifndef OTO_OS_SANDBOX_H
#define OTO_OS_SANDBOX_H

#include "base/status.h"

struct oto_sandbox_options {
    const char *const *folders; // what may still be read, with everything below; absolute, existing
    size_t folder_count;
    uint64_t data_bytes_max; // private memory (RLIMIT_DATA); 0: no limit
    uint64_t
        file_bytes_max; // size of a file it may write, which can only be one in memory; 0: none
    int nice;           // added to its priority number
};
struct oto_sandbox_report {
    int landlock_version; // 0: the kernel has none, then opening for writing is refused by seccomp
    int seccomp;          // 1: system calls are filtered
};
// Call while the process has one thread: landlock holds for the caller's later threads only.
// Afterwards: files are read below the folders only, none is written, made, removed or renamed (but
// for files in memory that it holds already), no sockets, programs, processes, tracing, mounts or
// kernel interfaces; no core dumps. Threads, memory and descriptors that are open stay. OTO_IO when
// a limit could not be set; a kernel without landlock or seccomp is reported, not an error.
OTO_MUST_CHECK enum oto_status oto_sandbox_enter(const struct oto_sandbox_options *options,
                                                 struct oto_sandbox_report *ret_report,
                                                 struct oto_error *err);

#endif
