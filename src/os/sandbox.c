#define _GNU_SOURCE
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

// --- landlock: which files ---

// Rights by the version of landlock that brought them; the header of an older system lacks the
// later names.
#define RIGHTS_OF_1 ((1ull << 13) - 1)
#define RIGHT_REFER (1ull << 13)
#define RIGHT_TRUNCATE (1ull << 14)
#define RIGHT_IOCTL (1ull << 15)
#define RIGHTS_TO_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

struct ruleset_attributes {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

static struct ruleset_attributes attributes_of(int version, size_t *ret_size)
{
    struct ruleset_attributes a = {.files = RIGHTS_OF_1};
    *ret_size = 8;
    if (version >= 2)
        a.files |= RIGHT_REFER;
    if (version >= 3)
        a.files |= RIGHT_TRUNCATE;
    if (version >= 4) {
        a.network = 3; // bind and connect, TCP
        *ret_size = 16;
    }
    if (version >= 5)
        a.files |= RIGHT_IOCTL;
    if (version >= 6) {
        a.scopes = 3; // abstract unix sockets, signals
        *ret_size = 24;
    }
    return a;
}

static enum oto_status allow_folder(int ruleset, const char *path, struct oto_error *err)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = RIGHTS_TO_READ};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return oto_error_set(err, OTO_IO, "sandbox: %s: %s", path, strerror(errno));
    long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int reason = errno;
    close(rule.parent_fd);
    return failed ? oto_error_set(err, OTO_IO, "sandbox: landlock rule for %s: %s", path,
                                  strerror(reason))
                  : OTO_OK;
}

static enum oto_status restrict_files(const struct oto_sandbox_options *options, int *ret_version,
                                      struct oto_error *err)
{
    *ret_version = 0;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version <= 0)
        return OTO_OK;
    size_t size;
    struct ruleset_attributes attributes = attributes_of((int)version, &size);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0)
        return oto_error_set(err, OTO_IO, "sandbox: landlock: %s", strerror(errno));
    enum oto_status status = OTO_OK;
    for (size_t i = 0; i < options->folder_count && status == OTO_OK; i++)
        status = allow_folder(ruleset, options->folders[i], err);
    if (status == OTO_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        status = oto_error_set(err, OTO_IO, "sandbox: landlock: %s", strerror(errno));
    close(ruleset);
    if (status == OTO_OK)
        *ret_version = (int)version;
    return status;
}

// --- seccomp: which system calls ---

#ifdef THIS_ARCH
// Refused with EPERM whatever their arguments.
static const int refused[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_bind,
    SYS_connect,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kill,
    SYS_tkill,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_mkdirat,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_truncate,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsmount,
    SYS_setns,
    SYS_unshare,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_fanotify_init,
    SYS_inotify_init1,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_acct,
    SYS_quotactl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_personality,
    SYS_syslog,
    SYS_vhangup,
    SYS_setuid,
    SYS_setgid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_capset,
    SYS_memfd_create,
    SYS_mq_open,
    SYS_shmget,
    SYS_shmat,
    SYS_msgget,
    SYS_semget,
    SYS_kcmp,
    SYS_lookup_dcookie,
    SYS_nfsservctl,
#ifdef SYS_memfd_secret
    SYS_memfd_secret,
#endif
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
    SYS_unlink,
    SYS_rename,
    SYS_renameat,
    SYS_mkdir,
    SYS_rmdir,
    SYS_link,
    SYS_symlink,
    SYS_mknod,
    SYS_creat,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_inotify_init,
    SYS_ioperm,
    SYS_iopl,
    SYS_modify_ldt,
    SYS_uselib,
    SYS_ustat,
    SYS_sysfs,
#endif
};
#define REFUSED_COUNT (sizeof(refused) / sizeof(refused[0]))
#define PROGRAM_MAX (REFUSED_COUNT * 2 + 40)

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short count;
};

#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))
#define OFFSET_NUMBER offsetof(struct seccomp_data, nr)
// The low half of an argument, on a little-endian machine.
#define OFFSET_ARGUMENT(index) ((uint32_t)(offsetof(struct seccomp_data, args) + (index)*8))

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    p->code[p->count++] = (struct sock_filter)BPF_JUMP(code, k, if_true, if_false);
}

static void load(struct program *p, uint32_t offset)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void end_with(struct program *p, uint32_t action)
{
    add(p, BPF_RET | BPF_K, action, 0, 0);
}

// When the loaded number is that of the call: end with action.
static void answer_call(struct program *p, int number, uint32_t action)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
    end_with(p, action);
}

// Refuses a call when one of the bits is set in an argument (or, with `missing`, when none is);
// allows it otherwise.
static void answer_call_by_bits(struct program *p, int number, uint32_t argument, uint32_t bits,
                                int missing)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4);
    load(p, OFFSET_ARGUMENT(argument));
    add(p, BPF_JMP | BPF_JSET | BPF_K, bits, missing ? 1 : 0, missing ? 0 : 1);
    end_with(p, REFUSE(EPERM));
    end_with(p, SECCOMP_RET_ALLOW);
}

static void write_program(struct program *p, int refuse_writing)
{
    p->count = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
    end_with(p, SECCOMP_RET_KILL_PROCESS);
    load(p, OFFSET_NUMBER);
#if defined(__x86_64__)
    add(p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0,
        1); // the x32 calls: the same under other numbers
    end_with(p, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        answer_call(p, refused[i], REFUSE(EPERM));
    answer_call(p, SYS_clone3,
                REFUSE(ENOSYS)); // its flags lie in memory; the C library falls back to clone
    answer_call(p, SYS_openat2, REFUSE(ENOSYS));
    answer_call_by_bits(p, SYS_clone, 0, CLONE_THREAD, 1);
    if (refuse_writing) {
        answer_call_by_bits(p, SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0);
#if defined(__x86_64__)
        answer_call_by_bits(p, SYS_open, 1, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0);
#endif
    }
    end_with(p, SECCOMP_RET_ALLOW);
}

static int filter_calls(int refuse_writing)
{
    struct program p;
    write_program(&p, refuse_writing);
    struct sock_fprog program = {.len = p.count, .filter = p.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
static int filter_calls(int refuse_writing)
{
    (void)refuse_writing;
    return 0;
}
#endif

// --- limits ---

static enum oto_status set_limit(int what, uint64_t value, const char *name, struct oto_error *err)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)what, &limit) == 0 &&
        (limit.rlim_max == RLIM_INFINITY || value < limit.rlim_max))
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit((__rlimit_resource_t)what, &limit) != 0)
        return oto_error_set(err, OTO_IO, "sandbox: the limit on %s: %s", name, strerror(errno));
    return OTO_OK;
}

static enum oto_status set_limits(const struct oto_sandbox_options *options, struct oto_error *err)
{
    OTO_TRY(set_limit(RLIMIT_CORE, 0, "core dumps", err));
    OTO_TRY(set_limit(RLIMIT_FSIZE, options->file_bytes_max, "file size", err));
    if (options->data_bytes_max)
        OTO_TRY(set_limit(RLIMIT_DATA, options->data_bytes_max, "memory", err));
    int priority = getpriority(PRIO_PROCESS, 0);
    (void)setpriority(PRIO_PROCESS, 0, priority + options->nice);
    return OTO_OK;
}

enum oto_status oto_sandbox_enter(const struct oto_sandbox_options *options,
                                  struct oto_sandbox_report *ret_report, struct oto_error *err)
{
    struct oto_sandbox_report report = {0};
    OTO_TRY(set_limits(options, err));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return oto_error_set(err, OTO_IO, "sandbox: no_new_privs: %s", strerror(errno));
    (void)prctl(PR_SET_DUMPABLE, 0);
    OTO_TRY(restrict_files(options, &report.landlock_version, err));
    report.seccomp = filter_calls(report.landlock_version == 0);
    *ret_report = report;
    return OTO_OK;
}
