/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process may still ask of the kernel once it begins to work: an allow-list of system calls
 * (seccomp; anything else ends the process at once), the folders it may touch (Landlock), and no
 * capabilities. What it needs beside that it opens before. The parent is not shut in: it programs
 * the kernel, and parses nothing that comes from the network.
 */
#ifndef GATEWAY_SANDBOX_H
#define GATEWAY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* The roles of message.h that are shut in, and the process in which the examiner opens something.
 */
enum sandbox {
    SANDBOX_SIGNER = 1,
    SANDBOX_WORKER = 2,
    SANDBOX_REGISTRY = 4,
    SANDBOX_EXAMINER = 8,
    SANDBOX_WORK = 16
};

/*
 * For ever, for the calling process and its children: they can only be shut in further. `folders`
 * are those in which files may be made, changed and removed, beside what is open already. 0, or -1
 * after logging; what the kernel does not have at all is passed over: see sandbox_weakness(). Does
 * nothing in a build under a sanitizer, whose runtime needs more.
 */
int sandbox_enter(enum sandbox sandbox, const char *const *folders, size_t count);

/* What this kernel or this build lacks for it, as static text, or NULL. */
const char *sandbox_weakness(void);

#endif
