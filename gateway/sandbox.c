/* SPDX-License-Identifier: BSD-2-Clause */
/* seccomp, Landlock and capabilities: see sandbox.h. */
#include "gateway/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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
#define F    SANDBOX_FETCHER
#define G    SANDBOX_PORTAL
#define P    SANDBOX_PARENT          /* and whatever any other may: they begin as its children */
#define LOOP (S | W | R | E | G | F) /* an event loop, and links to other processes */
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
    X(accept4, W | R | G)                                                                          \
    X(bind, W | R | F)                                                                             \
    X(connect, W | R | F)                                                                          \
    X(getpeername, W | R | F)                                                                      \
    X(getsockname, W | R | G | F)                                                                  \
    X(getsockopt, W | R | G | F)                                                                   \
    X(ioctl, W | R | F)                                                                            \
    X(pipe2, W | E)                                                                                \
    X(setsockopt, W | R | G | F)                                                                   \
    X(uname, R)                                                                                    \
    X(memfd_create, F)                                                                             \
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
    X(wait4, E)                                                                                    \
    /* the parent, and what its children do before they are shut in themselves */                  \
    X(accept, P)                                                                                   \
    X(alarm, P)                                                                                    \
    X(chmod, P)                                                                                    \
    X(clock_nanosleep, P)                                                                          \
    X(dup, P)                                                                                      \
    X(epoll_create1, P)                                                                            \
    X(epoll_pwait2, P) /* this, and the timers: systemd's module of the C library, when it is      \
                          asked for a user or a group that is not there */                         \
    X(eventfd2, P)                                                                                 \
    X(fadvise64, P)                                                                                \
    X(fchmodat, P)                                                                                 \
    X(fchownat, P)                                                                                 \
    X(flock, P)                                                                                    \
    X(getdents64, P)                                                                               \
    X(getgid, P)                                                                                   \
    X(getrusage, P)                                                                                \
    X(landlock_add_rule, P)                                                                        \
    X(landlock_create_ruleset, P)                                                                  \
    X(landlock_restrict_self, P)                                                                   \
    X(lchown, P)                                                                                   \
    X(listen, P)                                                                                   \
    X(mkdirat, P)                                                                                  \
    X(mlock, P)                                                                                    \
    X(mlock2, P)                                                                                   \
    X(msync, P)                                                                                    \
    X(munlock, P)                                                                                  \
    X(nanosleep, P)                                                                                \
    X(poll, P)                                                                                     \
    X(ppoll, P)                                                                                    \
    X(sched_getaffinity, P)                                                                        \
    X(sched_yield, P)                                                                              \
    X(sendmmsg, P)                                                                                 \
    X(sigaltstack, P)                                                                              \
    X(socketpair, P)                                                                               \
    X(statfs, P)                                                                                   \
    X(statx, P)                                                                                    \
    X(timerfd_create, P)                                                                           \
    X(timerfd_settime, P)                                                                          \
    X(waitid, P)

static const struct {
    int number;
    const char *name;
    unsigned who;
} calls[] = {
#define X(call, who) {SCMP_SYS(call), #call, who},
    CALLS(X)
#undef X
};

/* Those that depend on an argument: its bits in `mask` are `value`. Several rows are alternatives.
 */
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER |  \
     CLONE_NEWUTS)
static const struct {
    int number;
    unsigned argument;
    uint64_t mask, value;
    unsigned who;
} conditions[] = {
    /* no memory that can be executed; the parent's children load libraries, but write no code */
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0, ALL | P},
    {SCMP_SYS(mmap), 2, PROT_WRITE, 0, P},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0, ALL | P},
    /* getrlimit(), not setrlimit() */
    {SCMP_SYS(prlimit64), 2, UINT64_MAX, 0, W},
    {SCMP_SYS(clone), 0, NEW_NAMESPACES, 0, E | P},
    {SCMP_SYS(setgroups), 0, UINT32_MAX, 0, P},
    /* no packet sockets, no kernel's ciphers, no other families with their bugs */
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET, W | R | F | P},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6, W | R | F | P},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_NETLINK, W | R | F | P},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_UNIX, R | P},
};

static bool allow_conditions(scmp_filter_ctx filter, enum sandbox sandbox)
{
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        struct scmp_arg_cmp same = SCMP_CMP(conditions[i].argument, SCMP_CMP_MASKED_EQ,
                                            conditions[i].mask, conditions[i].value);
        if ((conditions[i].who & sandbox) != 0 &&
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, conditions[i].number, 1, &same) != 0)
            return false;
    }
    return true;
}

/* To become one of these users and groups, of all three ids at once; and no other. */
static bool allow_users(scmp_filter_ctx filter, const struct sandbox_user *users, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct {
            int number;
            uint32_t id;
        } calls_of[] = {{SCMP_SYS(setresuid), users[i].user},
                        {SCMP_SYS(setresgid), users[i].group}};
        for (size_t j = 0; j < 2; j++) {
            struct scmp_arg_cmp same[3];
            for (unsigned k = 0; k < 3; k++)
                same[k] = SCMP_CMP(k, SCMP_CMP_MASKED_EQ, UINT32_MAX, calls_of[j].id);
            int result =
                seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls_of[j].number, 3, same);
            if (result != 0 && result != -EEXIST) /* two roles may share one */
                return false;
        }
    }
    return true;
}

/*
 * Libraries look for files that they can do without (iconv's tables, a locale): those are not there
 * for them, where any other call ends the process.
 */
static bool hide_files(scmp_filter_ctx filter, enum sandbox sandbox)
{
    return (sandbox & (R | P)) != 0 ||
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) == 0;
}

/* Its arguments cannot be looked at: the C library then takes clone(). */
static bool hide_clone3(scmp_filter_ctx filter, enum sandbox sandbox)
{
    return (sandbox & (E | P)) == 0 ||
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

static bool allow_calls(scmp_filter_ctx filter, enum sandbox sandbox)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (((calls[i].who & sandbox) != 0 || sandbox == P) &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].number, 0) != 0) {
            log_warnx("seccomp does not take %s", calls[i].name);
            return false;
        }
    return true;
}

static int limit_calls(enum sandbox sandbox, const struct sandbox_user *users, size_t count)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int result = -1;

    if (filter != NULL && allow_conditions(filter, sandbox) && hide_files(filter, sandbox) &&
        hide_clone3(filter, sandbox) && allow_calls(filter, sandbox) &&
        allow_users(filter, users, count)) {
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

#define IOCTL_DEVICES  (1ULL << 15)
#define BIND_TCP       (1ULL << 0)
#define CONNECT_TCP    (1ULL << 1)
#define SCOPE_ABSTRACT (1ULL << 0)
#define SCOPE_SIGNALS  (1ULL << 1)
#define READ_FILES     (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGE_FILES                                                                               \
    (READ_FILES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                 \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_TRUNCATE)
#define CHANGE_FOLDERS (CHANGE_FILES | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define FIRST_RIGHTS   (LANDLOCK_ACCESS_FS_MAKE_SYM | (LANDLOCK_ACCESS_FS_MAKE_SYM - 1))

/* As newer kernels have it; what an older one does not know of it is left at zero. */
struct rules {
    uint64_t files;
    uint64_t ports;  /* from version 4 on */
    uint64_t scopes; /* from version 6 on */
};

/* The use of TCP that a role does without: it is denied where the kernel can. */
static const struct {
    uint64_t right;
    unsigned who;
} ports[] = {
    {BIND_TCP, S | W | R | E | G | F},
    {CONNECT_TCP, S | E | G},
};

/* What is named in the kernel's memory, and signals, end at the processes that are shut in with it.
 * The parent may have to notify a service manager by such a name. */
static const struct {
    uint64_t scope;
    unsigned who;
} scopes[] = {
    {SCOPE_ABSTRACT, LOOP},
    {SCOPE_SIGNALS, LOOP | P},
};

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
    if (version >= 5)
        rights |= IOCTL_DEVICES;
    return rights;
}

/* Everything that is decided by rules; what no rule allows is denied. */
static struct rules landlock_rules(int version, enum sandbox sandbox)
{
    struct rules rules = {.files = landlock_rights(version)};

    for (size_t i = 0; version >= 4 && i < sizeof(ports) / sizeof(ports[0]); i++)
        rules.ports |= (ports[i].who & sandbox) != 0 ? ports[i].right : 0;
    for (size_t i = 0; version >= 6 && i < sizeof(scopes) / sizeof(scopes[0]); i++)
        rules.scopes |= (scopes[i].who & sandbox) != 0 ? scopes[i].scope : 0;
    return rules;
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

/* Beside the folders: SQLite wants random names for its temporary files; the parent reads the
 * configuration, wherever its parts are, and its children have nothing as their input. */
static bool allow_others(int ruleset, enum sandbox sandbox, size_t count)
{
    if (sandbox == P)
        return allow_beneath(ruleset, "/", READ_FILES) &&
               allow_beneath(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
    return count == 0 || allow_beneath(ruleset, "/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE);
}

static int limit_files(enum sandbox sandbox, const char *const *folders, size_t count)
{
    int version = landlock_version();
    struct rules rules = landlock_rules(version, sandbox);
    uint64_t rights = (sandbox == P ? CHANGE_FOLDERS : CHANGE_FILES) & rules.files;
    int result = -1;

    if (version == 0)
        return 0;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (ruleset < 0) {
        log_warn("Landlock");
        return -1;
    }
    bool allowed = true;
    for (size_t i = 0; allowed && i < count; i++)
        allowed = allow_beneath(ruleset, folders[i], rights);
    if (allowed && allow_others(ruleset, sandbox, count) &&
        (result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0)) != 0)
        log_warn("Landlock");
    close(ruleset);
    return result;
}

/* --- capabilities --- */

#ifndef CAP_TO_MASK64
#define CAP_TO_MASK64(capability) (1ULL << (capability))
#endif

/*
 * What the parent keeps: rules of the kernel and transparent sockets; ports below 1024; the users
 * of its children, their folders, and ending them; what they may read only at their start. Never
 * CAP_SYS_PTRACE: not even the parent can look into the signer.
 */
static const uint64_t parent_capabilities =
    CAP_TO_MASK64(CAP_NET_ADMIN) | CAP_TO_MASK64(CAP_NET_BIND_SERVICE) | CAP_TO_MASK64(CAP_SETUID) |
    CAP_TO_MASK64(CAP_SETGID) | CAP_TO_MASK64(CAP_CHOWN) | CAP_TO_MASK64(CAP_KILL) |
    CAP_TO_MASK64(CAP_DAC_READ_SEARCH);

/* Of those that it has it keeps these, and can get no others. */
static int limit_capabilities(uint64_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &header, sets) != 0)
        goto failed;
    /* One that is not there, or that we may not take away, is not ours to give. */
    for (unsigned capability = 0; kept != 0 && capability <= CAP_LAST_CAP; capability++)
        if ((kept & CAP_TO_MASK64(capability)) == 0)
            (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        sets[i].permitted &= (uint32_t)(kept >> (32 * i));
        sets[i].effective = sets[i].permitted;
        sets[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, sets) == 0)
        return 0;
failed:
    log_warn("capabilities");
    return -1;
}

/* --- all of it --- */

static int enter(enum sandbox sandbox, const char *const *folders, size_t count,
                 const struct sandbox_user *users, size_t user_count)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        log_warn("prctl");
        return -1;
    }
    if (limit_capabilities(sandbox == P ? parent_capabilities : 0) != 0)
        return -1;
    if (IS_SANITIZED)
        return 0;
    /* What opens something is the examiner's child, and without its files already. */
    if (sandbox != J && limit_files(sandbox, folders, count) != 0)
        return -1;
    return limit_calls(sandbox, users, user_count);
}

int sandbox_enter(enum sandbox sandbox, const char *const *folders, size_t count)
{
    return enter(sandbox, folders, count, NULL, 0);
}

int sandbox_enter_parent(const char *const *folders, size_t count, const struct sandbox_user *users,
                         size_t user_count)
{
    return enter(P, folders, count, users, user_count);
}

bool sandbox_is_off(void)
{
    return IS_SANITIZED;
}

const char *sandbox_weakness(void)
{
    if (IS_SANITIZED)
        return "this build is under a sanitizer: no seccomp, no Landlock";
    if (landlock_version() == 0)
        return "this kernel has no Landlock: its files are guarded by users and seccomp only";
    if (landlock_version() < 4)
        return "this kernel's Landlock knows no ports: seccomp alone keeps roles from the network";
    return NULL;
}
