/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process may still ask of the kernel once it begins to work: an allow-list of system calls
 * (seccomp; anything else ends the process at once), the folders it may touch and the TCP ports it
 * may use (Landlock), and no capabilities. What it needs beside that it opens before.
 *
 * The parent is shut in too, less tightly, because what holds for it holds for its children while
 * they prepare: it may make every call that one of them makes, read files, change those of a few
 * folders, map code but not write it, and become the users of the roles, nobody else. It starts no
 * programs. It keeps the few capabilities for that, of which it gives none away.
 */
#ifndef GATEWAY_SANDBOX_H
#define GATEWAY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The roles of message.h, and the process in which the examiner opens something. */
enum sandbox {
    SANDBOX_SIGNER = 1,
    SANDBOX_WORKER = 2,
    SANDBOX_REGISTRY = 4,
    SANDBOX_EXAMINER = 8,
    SANDBOX_WORK = 16,
    SANDBOX_PORTAL = 32,
    SANDBOX_FETCHER = 64,
    SANDBOX_PARENT = 1 << 12
};

/*
 * For ever, for the calling process and its children: they can only be shut in further. `folders`
 * are those in which files may be made, changed and removed, beside what is open already. 0, or -1
 * after logging; what the kernel does not have at all is passed over: see sandbox_weakness(). Does
 * nothing in a build under a sanitizer, whose runtime needs more.
 */
int sandbox_enter(enum sandbox sandbox, const char *const *folders, size_t count);

/* The same for the parent, and the users that its children may become. */
struct sandbox_user {
    uid_t user;
    gid_t group;
};
int sandbox_enter_parent(const char *const *folders, size_t count, const struct sandbox_user *users,
                         size_t user_count);

/* Whether nothing is shut in, because this build is under a sanitizer. */
bool sandbox_is_off(void);

/* What this kernel or this build lacks for it, as static text, or NULL. */
const char *sandbox_weakness(void);

#endif
