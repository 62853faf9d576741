// Starts a program that may do next to nothing. After fork() only system calls are made until the program runs: the
// parent has many threads, whose locks the child must not wait for.

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/// What a program may take and see.
struct fedchat_confines {
    uint64_t cpu_seconds;
    uint64_t address_space_bytes;
    uint64_t file_bytes;
    uint64_t open_files;
    /// Files and folders that it may read and run; all others are out of its reach.
    const char *const *readable;
    int readable_count;
};

/// How the program ended before it began. In the child's exit status.
enum { fedchat_confines_refused = 126, fedchat_program_missing = 127 };

// MARK: Landlock. The numbers are the kernel's; older headers lack the newer ones.

struct fedchat_landlock_ruleset {
    uint64_t files, network, scoped;
};

struct fedchat_landlock_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/// The version of Landlock that the kernel has; 0: none.
static inline int fedchat_landlock_version(void) {
    long version = syscall(444, NULL, 0, 1u);
    return version > 0 ? (int)version : 0;
}

/// Leaves this thread nothing of the file system but reading below some paths, and no TCP. 0, or -1.
static inline int fedchat_landlock(const struct fedchat_confines *confines, int version) {
    if (version < 1) return 0;
    struct fedchat_landlock_ruleset rules = {0, 0, 0};
    size_t size = sizeof(uint64_t);
    rules.files = version >= 5 ? 0xFFFF : version >= 3 ? 0x7FFF : version == 2 ? 0x3FFF : 0x1FFF;
    if (version >= 4) {
        rules.network = 0x3;
        size = 2 * sizeof(uint64_t);
    }
    if (version >= 6) {
        rules.scoped = 0x3;
        size = 3 * sizeof(uint64_t);
    }
    int ruleset = (int)syscall(444, &rules, size, 0u);
    if (ruleset < 0) return -1;
    for (int index = 0; index < confines->readable_count; index++) {
        int place = open(confines->readable[index], 010000000 /* O_PATH */ | O_CLOEXEC);
        if (place < 0) continue;
        struct stat status;
        struct fedchat_landlock_beneath rule = {0x1 | 0x4, place};
        if (fstat(place, &status) == 0 && S_ISDIR(status.st_mode)) rule.allowed |= 0x8;
        long added = syscall(445, ruleset, 1, &rule, 0u);
        close(place);
        if (added != 0) return -1;
    }
    long result = syscall(446, ruleset, 0u);
    close(ruleset);
    return result == 0 ? 0 : -1;
}

// MARK: System calls.

/// What no program that only computes asks for: sockets, other processes, mounts, keys, changing files by name.
static const int fedchat_refused_calls[] = {
    __NR_socket, __NR_socketpair, __NR_connect, __NR_bind, __NR_listen, __NR_accept, __NR_accept4, __NR_sendto,
    __NR_recvfrom, __NR_sendmsg, __NR_recvmsg, __NR_sendmmsg, __NR_recvmmsg, __NR_ptrace, __NR_process_vm_readv,
    __NR_process_vm_writev, __NR_kcmp, __NR_kill, __NR_execveat, __NR_mount, __NR_umount2, __NR_pivot_root,
    __NR_chroot, __NR_setns, __NR_unshare, __NR_bpf, __NR_perf_event_open, __NR_userfaultfd, __NR_keyctl,
    __NR_add_key, __NR_request_key, __NR_init_module, __NR_finit_module, __NR_delete_module, __NR_kexec_load,
    __NR_reboot, __NR_swapon, __NR_swapoff, __NR_acct, __NR_quotactl, __NR_settimeofday, __NR_clock_settime,
    __NR_adjtimex, __NR_clock_adjtime, __NR_sethostname, __NR_setdomainname, __NR_personality, __NR_truncate,
    __NR_fchmod, __NR_fchmodat, __NR_fchown, __NR_fchownat, __NR_utimensat, __NR_setxattr, __NR_lsetxattr,
    __NR_fsetxattr, __NR_removexattr, __NR_lremovexattr, __NR_fremovexattr, __NR_mknodat, __NR_mkdirat,
    __NR_unlinkat, __NR_linkat, __NR_symlinkat, __NR_renameat2, __NR_name_to_handle_at, __NR_open_by_handle_at,
    __NR_io_setup, __NR_shmget, __NR_msgget, __NR_semget, __NR_mq_open,
#ifdef __NR_renameat
    __NR_renameat,
#endif
#ifdef __NR_kexec_file_load
    __NR_kexec_file_load,
#endif
#ifdef __x86_64__
    __NR_fork, __NR_vfork, __NR_chmod, __NR_chown, __NR_lchown, __NR_utime, __NR_utimes, __NR_futimesat, __NR_mknod,
    __NR_mkdir, __NR_rmdir, __NR_unlink, __NR_link, __NR_symlink, __NR_rename, __NR_iopl, __NR_ioperm,
    __NR_modify_ldt, __NR_creat,
#endif
    // By number, for older headers; alike on all architectures: pidfd_send_signal, io_uring_*, open_tree to fspick,
    // pidfd_open, pidfd_getfd, mount_setattr.
    424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442,
};

enum { fedchat_filter_size = 2 * (sizeof fedchat_refused_calls / sizeof fedchat_refused_calls[0]) + 16 };

/// Writes the filter.
/// - Returns: how many instructions it has; 0 for a processor that it does not know.
static inline unsigned short fedchat_filter(struct sock_filter filter[fedchat_filter_size]) {
    unsigned short n = 0;
#define STEP(...) filter[n++] = (struct sock_filter)__VA_ARGS__
#define REFUSE(error) STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error)))
#if defined(__x86_64__)
    const uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    const uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
    return 0;
#endif
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    // The second numbering of x86-64 would pass by the first.
    STEP(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
    REFUSE(EPERM);
    // clone3 hides its flags; without it, clone is used, which makes threads but no processes.
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 435, 0, 1));
    REFUSE(ENOSYS);
    for (size_t index = 0; index < sizeof fedchat_refused_calls / sizeof fedchat_refused_calls[0]; index++) {
        STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)fedchat_refused_calls[index], 0, 1));
        REFUSE(EPERM);
    }
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3));
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)));
    STEP(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x00010000 /* CLONE_THREAD */, 1, 0));
    REFUSE(EPERM);
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
#undef STEP
#undef REFUSE
    return n;
}

/// Whether the kernel filters system calls.
static inline int fedchat_has_seccomp(void) {
    // Asks for a filter without giving one: EFAULT where there could be one.
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT;
}

static inline void fedchat_limit(int what, uint64_t most) {
    struct rlimit limit = {most, most};
    if (setrlimit(what, &limit) != 0) _exit(fedchat_confines_refused);
}

/// Starts a program with three files and nothing else of ours open, in a process group of its own.
/// - Returns: the process, or -1 with `errno`.
static inline pid_t fedchat_spawn_confined(
    const char *path, char *const arguments[], char *const environment[], int input, int output, int errors,
    const struct fedchat_confines *confines) {
    struct sock_filter filter[fedchat_filter_size];
    const int landlock = fedchat_landlock_version();
    const int has_seccomp = fedchat_has_seccomp();
    struct sock_fprog program = {has_seccomp ? fedchat_filter(filter) : 0, filter};
    pid_t process = fork();
    if (process != 0) return process;

    // Above the three, so that none of them is overwritten before its turn.
    input = fcntl(input, F_DUPFD, 3);
    output = fcntl(output, F_DUPFD, 3);
    errors = fcntl(errors, F_DUPFD, 3);
    if (input < 0 || output < 0 || errors < 0) _exit(fedchat_confines_refused);
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0) _exit(fedchat_confines_refused);
    if (syscall(436 /* close_range */, 3u, ~0u, 0u) != 0) {
        for (int descriptor = 3; descriptor < 65536; descriptor++) close(descriptor);
    }
    setpgid(0, 0);
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    fedchat_limit(RLIMIT_CORE, 0);
    fedchat_limit(RLIMIT_CPU, confines->cpu_seconds);
    fedchat_limit(RLIMIT_AS, confines->address_space_bytes);
    fedchat_limit(RLIMIT_FSIZE, confines->file_bytes);
    fedchat_limit(RLIMIT_NOFILE, confines->open_files);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(fedchat_confines_refused);
    if (fedchat_landlock(confines, landlock) != 0) _exit(fedchat_confines_refused);
    if (program.len > 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(fedchat_confines_refused);
    }
    execve(path, arguments, environment);
    _exit(fedchat_program_missing);
}
