/* SPDX-License-Identifier: BSD-2-Clause */
/* seccomp, Landlock and capabilities: see sandbox.h. */
#include "gateway/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* --- seccomp --- */

#define S    SANDBOX_SIGNER
#define W    SANDBOX_WORKER
#define R    SANDBOX_REGISTRY
#define E    SANDBOX_EXAMINER
#define J    SANDBOX_WORK
#define LOOP (S | W | R | E) /* an event loop, and links to other processes */
#define ALL  (LOOP | J)

/* X(call, who may make it). Calls that only other architectures or kernels have do no harm here. */
#define CALLS(X)                                                                                   \
    /* memory, time, the end */                                                                    \
    X(brk, ALL)                                                                                    \
    X(clock_gettime, ALL)                                                                          \
    X(close, ALL)                                                                                  \
    X(exit, ALL)                                                                                   \
    X(exit_group, ALL)                                                                             \
    X(futex, ALL)                                                                                  \
    X(getpid, ALL)                                                                                 \
    X(getrandom, ALL)                                                                              \
    X(gettid, ALL)                                                                                 \
    X(gettimeofday, ALL)                                                                           \
    X(madvise, ALL)                                                                                \
    X(mremap, ALL)                                                                                 \
    X(munmap, ALL)                                                                                 \
    X(read, ALL)                                                                                   \
    X(restart_syscall, ALL)                                                                        \
    X(rt_sigaction, ALL)                                                                           \
    X(rt_sigprocmask, ALL)                                                                         \
    X(rt_sigreturn, ALL)                                                                           \
    X(sysinfo, ALL) /* qsort() */                                                                  \
    X(tgkill, ALL)  /* abort() */                                                                  \
    X(time, ALL)                                                                                   \
    X(write, ALL)                                                                                  \
    X(writev, ALL)                                                                                 \
    /* the loop and the links */                                                                   \
    X(epoll_ctl, LOOP)                                                                             \
    X(epoll_pwait, LOOP)                                                                           \
    X(epoll_wait, LOOP)                                                                            \
    X(fcntl, LOOP)                                                                                 \
    X(fstat, LOOP)                                                                                 \
    X(newfstatat, LOOP)                                                                            \
    X(readv, LOOP)                                                                                 \
    X(recvfrom, LOOP)                                                                              \
    X(recvmsg, LOOP)                                                                               \
    X(sendmsg, LOOP)                                                                               \
    X(sendto, LOOP)                                                                                \
    X(shutdown, LOOP)                                                                              \
    X(mlockall, S)                                                                                 \
    /* the network: connections, names, the collector, the control program */                      \
    X(accept4, W | R)                                                                              \
    X(bind, W | R)                                                                                 \
    X(connect, W | R)                                                                              \
    X(getpeername, W | R)                                                                          \
    X(getsockname, W | R)                                                                          \
    X(getsockopt, W | R)                                                                           \
    X(ioctl, W | R)                                                                                \
    X(pipe2, W | E)                                                                                \
    X(setsockopt, W | R)                                                                           \
    X(socket, W | R)                                                                               \
    X(uname, R)                                                                                    \
    X(splice, W)                                                                                   \
    /* the state folder */                                                                         \
    X(access, R)                                                                                   \
    X(faccessat, R)                                                                                \
    X(faccessat2, R)                                                                               \
    X(fallocate, R)                                                                                \
    X(fchmod, R)                                                                                   \
    X(fchown, R)                                                                                   \
    X(fdatasync, R)                                                                                \
    X(fstatfs, R)                                                                                  \
    X(fsync, R)                                                                                    \
    X(ftruncate, R)                                                                                \
    X(getcwd, R)                                                                                   \
    X(getegid, R)                                                                                  \
    X(geteuid, R)                                                                                  \
    X(getuid, R)                                                                                   \
    X(lseek, R)                                                                                    \
    X(lstat, R)                                                                                    \
    X(mkdir, R)                                                                                    \
    X(openat, R)                                                                                   \
    X(pread64, R)                                                                                  \
    X(pwrite64, R)                                                                                 \
    X(readlink, R)                                                                                 \
    X(readlinkat, R)                                                                               \
    X(rename, R)                                                                                   \
    X(renameat, R)                                                                                 \
    X(renameat2, R)                                                                                \
    X(stat, R)                                                                                     \
    X(umask, R)                                                                                    \
    X(unlink, R)                                                                                   \
    X(unlinkat, R)                                                                                 \
    /* the processes in which something is opened, until they are shut in themselves */            \
    X(capget, E)                                                                                   \
    X(capset, E)                                                                                   \
    X(clone, E)                                                                                    \
    X(clone3, E)                                                                                   \
    X(close_range, E)                                                                              \
    X(dup2, E)                                                                                     \
    X(dup3, E)                                                                                     \
    X(getppid, E)                                                                                  \
    X(kill, E)                                                                                     \
    X(prctl, E)                                                                                    \
    X(prlimit64, E)                                                                                \
    X(rseq, E)                                                                                     \
    X(seccomp, E)                                                                                  \
    X(set_robust_list, E)                                                                          \
    X(setrlimit, E)                                                                                \
    X(wait4, E)

static const struct {
    int number;
    const char *name;
    unsigned who;
} calls[] = {
#define X(call, who) {SCMP_SYS(call), #call, who},
    CALLS(X)
#undef X
};

/* Those that depend on an argument: of its bits in `mask` none may be set. */
static const struct {
    int number;
    unsigned argument;
    uint64_t mask;
    unsigned who;
} conditions[] = {
    /* no memory that can be executed */
    {SCMP_SYS(mmap), 2, PROT_EXEC, ALL},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, ALL},
    /* getrlimit(), not setrlimit() */
    {SCMP_SYS(prlimit64), 2, UINT64_MAX, W},
};

static bool allow_conditions(scmp_filter_ctx filter, enum sandbox sandbox)
{
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        struct scmp_arg_cmp none =
            SCMP_CMP(conditions[i].argument, SCMP_CMP_MASKED_EQ, conditions[i].mask, 0);
        if ((conditions[i].who & sandbox) != 0 &&
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, conditions[i].number, 1, &none) != 0)
            return false;
    }
    return true;
}

/*
 * Libraries look for files that they can do without (iconv's tables, a locale): those are not there
 * for them, where any other call ends the process.
 */
static bool hide_files(scmp_filter_ctx filter, enum sandbox sandbox)
{
    return (sandbox & R) != 0 ||
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) == 0;
}

static bool allow_calls(scmp_filter_ctx filter, enum sandbox sandbox)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if ((calls[i].who & sandbox) != 0 &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].number, 0) != 0) {
            log_warnx("seccomp does not take %s", calls[i].name);
            return false;
        }
    return true;
}

static int limit_calls(enum sandbox sandbox)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int result = -1;

    if (filter != NULL && allow_conditions(filter, sandbox) && hide_files(filter, sandbox) &&
        allow_calls(filter, sandbox)) {
        result = seccomp_load(filter);
        if (result != 0)
            log_warnx("seccomp: %s", strerror(-result));
    } else {
        log_warnx("a seccomp filter cannot be made");
    }
    seccomp_release(filter);
    return result != 0 ? -1 : 0;
}

/* --- Landlock --- */

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define READ_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGE_FILES                                                                               \
    (READ_FILES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                 \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_TRUNCATE)
#define FIRST_RIGHTS (LANDLOCK_ACCESS_FS_MAKE_SYM | (LANDLOCK_ACCESS_FS_MAKE_SYM - 1))

/* The version of the kernel's Landlock, 0 when it has none. */
static int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

/* What the version knows of rights: those that it does not know it would refuse. */
static uint64_t landlock_rights(int version)
{
    uint64_t rights = FIRST_RIGHTS;

    if (version >= 2)
        rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return rights;
}

static bool allow_beneath(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) {
        log_warn("%s", path); /* a state folder that cannot be made: the registry works without */
        return true;
    }
    long result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (result != 0)
        log_warn("Landlock: %s", path);
    close(rule.parent_fd);
    return result == 0;
}

static int limit_files(const char *const *folders, size_t count)
{
    int version = landlock_version();
    struct landlock_ruleset_attr all = {.handled_access_fs = landlock_rights(version)};
    int result = -1;

    if (version == 0)
        return 0;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (ruleset < 0) {
        log_warn("Landlock");
        return -1;
    }
    bool allowed = true;
    for (size_t i = 0; allowed && i < count; i++)
        allowed = allow_beneath(ruleset, folders[i], CHANGE_FILES & all.handled_access_fs);
    /* SQLite wants it for the names of its temporary files. */
    if (allowed && count > 0)
        allowed = allow_beneath(ruleset, "/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE);
    if (allowed && (result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0)) != 0)
        log_warn("Landlock");
    close(ruleset);
    return result;
}

/* --- capabilities --- */

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capset, &header, none) == 0)
        return 0;
    log_warn("capabilities");
    return -1;
}

/* --- all of it --- */

int sandbox_enter(enum sandbox sandbox, const char *const *folders, size_t count)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || drop_capabilities() != 0) {
        log_warn("prctl");
        return -1;
    }
    if (IS_SANITIZED)
        return 0;
    /* What opens something is the examiner's child, and without its files already. */
    if (sandbox != SANDBOX_WORK && limit_files(folders, count) != 0)
        return -1;
    return limit_calls(sandbox);
}

const char *sandbox_weakness(void)
{
    if (IS_SANITIZED)
        return "this build is under a sanitizer: no seccomp, no Landlock";
    if (landlock_version() == 0)
        return "this kernel has no Landlock: its files are guarded by users and seccomp only";
    return NULL;
}
