/* SPDX-License-Identifier: BSD-2-Clause */
/* What each role may still do once it is shut in, tried in processes of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/sandbox.h"

#define KILLED       1000 /* by the filter */
#define NOT_INSIDE   1001
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum sandbox all[] = {SANDBOX_SIGNER,   SANDBOX_WORKER, SANDBOX_REGISTRY,
                                   SANDBOX_EXAMINER, SANDBOX_WORK,   SANDBOX_PORTAL,
                                   SANDBOX_FETCHER};
static char folder[64];

static int enter(enum sandbox sandbox)
{
    const char *const folders[] = {folder};
    const struct sandbox_user users[] = {{4711, 4712}, {4713, 4714}, {4711, 4712}};

    if (sandbox == SANDBOX_PARENT)
        return sandbox_enter_parent(folders, 1, users, COUNT(users));
    return sandbox_enter(sandbox, folders, sandbox == SANDBOX_REGISTRY ? 1 : 0);
}

/* What the attempt gave (0, or an errno) in a process of that role; KILLED when it did not live. */
static int try(enum sandbox sandbox, int (*attempt)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (enter(sandbox) != 0)
            _exit(255);
        errno = 0;
        _exit(attempt() < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
    return WEXITSTATUS(status) == 255 ? NOT_INSIDE : WEXITSTATUS(status);
}

static int run_program(void)
{
    return execl("/bin/true", "true", (char *)NULL);
}

static int make_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}

static int trace(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int map_code(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : 0;
}

static int make_code(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static int connect_out(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? -1 : 0;
}

static int listen_to_all(void)
{
    return listen(0, 1);
}

static int raise_limit(void)
{
    struct rlimit limit = {1, 1};
    return setrlimit(RLIMIT_CORE, &limit);
}

static int mount_something(void)
{
    return (int)syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static int become_root(void)
{
    return setuid(0);
}

static int become_somebody(void)
{
    return setresuid(4715, 4715, 4715);
}

static int become_half_of_a_user(void)
{
    return setresuid(4711, 0, 0);
}

static int become_a_role(void)
{
    return setgroups(0, NULL) != 0 || setresgid(4712, 4712, 4712) != 0
               ? -1
               : setresuid(4711, 4711, 4711);
}

static int take_groups(void)
{
    gid_t group = 0;
    return setgroups(1, &group);
}

static int look_into_another(void)
{
    struct iovec none = {NULL, 0};
    return (int)process_vm_readv(getppid(), &none, 1, &none, 1, 0);
}

static int trace_parent(void)
{
    return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int make_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static int make_process_in_namespace(void)
{
    return (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
}

static int load_module(void)
{
    return (int)syscall(SYS_init_module, NULL, 0, "");
}

static int load_program(void)
{
    return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int reach_by_handle(void)
{
    return (int)syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY);
}

static int ask_keys(void)
{
    return (int)syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static int set_up_ring(void)
{
    return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

static int listen_to_packets(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}

static int use_kernels_ciphers(void)
{
    return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int write_code(void)
{
    void *memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : 0;
}

static int bind_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static int end_another(void)
{
    return kill(getppid(), 0);
}

static int read_passwords(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 ? -1 : 0;
}

static int use_folder(void)
{
    char path[80];
    snprintf(path, sizeof(path), "%s/file", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) != 0 || fdatasync(fd) != 0)
        return -1;
    return close(fd) != 0 ? -1 : unlink(path);
}

static int write_elsewhere(void)
{
    char path[80];
    snprintf(path, sizeof(path), "%s.elsewhere", folder);
    return open(path, O_WRONLY | O_CREAT, 0600) < 0 ? -1 : 0;
}

static int allocate_and_sort(void)
{
    unsigned char *bytes = malloc(1 << 22);
    memset(bytes, 1, 1 << 22);
    bytes = realloc(bytes, 1 << 23);
    free(bytes);
    return write(STDOUT_FILENO, "", 0) == 0 ? 0 : -1;
}

/* As the C library's module of systemd does when it is asked for a user that is not there. */
static int wait_by_timer(void)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return fd < 0 ? -1 : timerfd_settime(fd, 0, &soon, NULL);
}

/* What a child of the parent that has entered its own role may: the parent's wider filter adds
 * nothing. */
static enum sandbox nested;
static int (*nested_attempt)(void);

static int enter_and_attempt(void)
{
    if (enter(nested) != 0)
        return 0;
    return nested_attempt();
}

static int try_nested(enum sandbox sandbox, int (*attempt)(void))
{
    nested = sandbox;
    nested_attempt = attempt;
    return try(SANDBOX_PARENT, enter_and_attempt);
}

/* What nobody may, whatever else they do. */
static void test_forbidden_to_all(void **state)
{
    static int (*const attempts[])(void) = {run_program,     trace,       map_code,     make_code,
                                            mount_something, become_root, listen_to_all};
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        for (size_t j = 0; j < COUNT(attempts); j++)
            assert_int_equal(try(all[i], attempts[j]), KILLED);
}

/* In each role and in the parent, and in each role that begins as the parent's child. */
static void test_forbidden_everywhere(void **state)
{
    static int (*const attempts[])(void) = {
        run_program,       trace,        trace_parent,        look_into_another,
        mount_something,   become_root,  become_somebody,     become_half_of_a_user,
        take_groups,       write_code,   make_code,           make_namespace,
        load_module,       load_program, reach_by_handle,     ask_keys,
        listen_to_packets, set_up_ring,  use_kernels_ciphers, make_process_in_namespace};
    (void)state;
    for (size_t j = 0; j < COUNT(attempts); j++) {
        assert_int_equal(try(SANDBOX_PARENT, attempts[j]), KILLED);
        for (size_t i = 0; i < COUNT(all); i++) {
            assert_int_equal(try(all[i], attempts[j]), KILLED);
            assert_int_equal(try_nested(all[i], attempts[j]), KILLED);
        }
    }
}

static void test_parent(void **state)
{
    (void)state;
    assert_int_equal(try(SANDBOX_PARENT, allocate_and_sort), 0);
    assert_int_equal(try(SANDBOX_PARENT, make_process), 0);
    assert_int_equal(try(SANDBOX_PARENT, map_code), 0); /* its children load libraries */
    assert_int_equal(try(SANDBOX_PARENT, connect_out), 0);
    assert_int_equal(try(SANDBOX_PARENT, bind_port), 0);
    assert_int_equal(try(SANDBOX_PARENT, listen_to_all), ENOTSOCK);
    assert_int_equal(try(SANDBOX_PARENT, read_passwords), 0);
    assert_int_equal(try(SANDBOX_PARENT, wait_by_timer), 0);
    assert_int_equal(try_nested(SANDBOX_WORKER, wait_by_timer), KILLED);
    assert_int_equal(try(SANDBOX_PARENT, use_folder), 0);
    assert_int_equal(try(SANDBOX_PARENT, write_elsewhere), EACCES);
    assert_int_equal(try(SANDBOX_PARENT, become_a_role), geteuid() == 0 ? 0 : EPERM);
    /* Wider than any of them, and each of them is as narrow in it as alone. */
    for (size_t i = 0; i < COUNT(all); i++)
        assert_int_equal(try_nested(all[i], allocate_and_sort), 0);
    assert_int_equal(try_nested(SANDBOX_REGISTRY, use_folder), 0);
    assert_int_equal(try_nested(SANDBOX_REGISTRY, read_passwords), EACCES);
    assert_int_equal(try_nested(SANDBOX_WORKER, read_passwords), ENOENT);
    assert_int_equal(try_nested(SANDBOX_WORKER, become_a_role), KILLED);
    assert_int_equal(try_nested(SANDBOX_SIGNER, connect_out), KILLED);
}

/* Where the kernel's Landlock knows ports and signals: no role takes a port or ends another. */
static void test_ports_and_signals(void **state)
{
    bool weak = sandbox_weakness() != NULL;
    (void)state;
    if (weak)
        skip();
    assert_int_equal(try(SANDBOX_WORKER, bind_port), EACCES);
    assert_int_equal(try(SANDBOX_REGISTRY, bind_port), EACCES);
    assert_int_equal(try(SANDBOX_FETCHER, bind_port), EACCES);
    assert_int_equal(try(SANDBOX_SIGNER, bind_port), KILLED);
    assert_int_equal(try(SANDBOX_WORKER, end_another), KILLED);
    assert_int_equal(try(SANDBOX_REGISTRY, end_another), KILLED);
    assert_int_equal(try(SANDBOX_FETCHER, end_another), KILLED);
}

static void test_allowed_to_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        assert_int_equal(try(all[i], allocate_and_sort), 0);
}

static void test_network(void **state)
{
    (void)state;
    assert_int_equal(try(SANDBOX_WORKER, connect_out), 0);
    assert_int_equal(try(SANDBOX_REGISTRY, connect_out), 0); /* to the collector */
    assert_int_equal(try(SANDBOX_FETCHER, connect_out), 0);
    assert_int_equal(try(SANDBOX_SIGNER, connect_out), KILLED);
    assert_int_equal(try(SANDBOX_EXAMINER, connect_out), KILLED);
    assert_int_equal(try(SANDBOX_WORK, connect_out), KILLED);
}

static void test_processes(void **state)
{
    (void)state;
    assert_int_equal(try(SANDBOX_EXAMINER, make_process), 0);
    assert_int_equal(try(SANDBOX_WORK, make_process), KILLED);
    assert_int_equal(try(SANDBOX_WORKER, make_process), KILLED);
    assert_int_equal(try(SANDBOX_SIGNER, make_process), KILLED);
    assert_int_equal(try(SANDBOX_REGISTRY, make_process), KILLED);
    assert_int_equal(try(SANDBOX_FETCHER, make_process), KILLED);
    assert_int_equal(try(SANDBOX_WORKER, raise_limit), KILLED);
}

static void test_files(void **state)
{
    (void)state;
    assert_int_equal(try(SANDBOX_REGISTRY, use_folder), 0);
    assert_int_equal(try(SANDBOX_REGISTRY, read_passwords), EACCES);
    assert_int_equal(try(SANDBOX_REGISTRY, write_elsewhere), EACCES);
    for (size_t i = 0; i < COUNT(all); i++)
        if (all[i] != SANDBOX_REGISTRY) {
            assert_int_equal(try(all[i], read_passwords), ENOENT);
            assert_int_equal(try(all[i], use_folder), ENOENT);
        }
}

/* As the kernel sees it, from outside. */
static void test_confined(void **state)
{
    int status;
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte;
        if (sandbox_enter(SANDBOX_WORKER, NULL, 0) != 0)
            _exit(1);
        _exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
    }
    char path[64], text[4096] = "";
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    for (int i = 0; i < 2000 && strstr(text, "Seccomp:\t2") == NULL; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = read(fd, text, sizeof(text) - 1);
        text[size > 0 ? size : 0] = '\0';
        close(fd);
        usleep(1000);
    }
    assert_non_null(strstr(text, "Seccomp:\t2"));
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
    assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
    assert_int_equal(write(fds[1], "", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fds[0]);
    close(fds[1]);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sekisho-sandbox-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A sanitizer's runtime needs calls that nobody else does: then nothing is shut in, and said so. */
static void test_weakness_is_told(void **state)
{
    (void)state;
    assert_non_null(strstr(sandbox_weakness(), "sanitizer"));
    assert_int_equal(try(SANDBOX_SIGNER, connect_out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forbidden_to_all), cmocka_unit_test(test_forbidden_everywhere),
        cmocka_unit_test(test_parent),           cmocka_unit_test(test_ports_and_signals),
        cmocka_unit_test(test_allowed_to_all),   cmocka_unit_test(test_network),
        cmocka_unit_test(test_processes),        cmocka_unit_test(test_files),
        cmocka_unit_test(test_confined),
    };
    const struct CMUnitTest sanitized[] = {cmocka_unit_test(test_weakness_is_told)};

    if (sandbox_weakness() != NULL && strstr(sandbox_weakness(), "sanitizer") != NULL)
        return cmocka_run_group_tests(sanitized, NULL, NULL);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
