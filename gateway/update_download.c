/* SPDX-License-Identifier: BSD-2-Clause */
/* See update_download.h. */
#include "gateway/update_download.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bundle.h"
#include "gateway/deadline.h"

#define PIECE 65536
/* What stays free beside the file: state and log lie on the same disk. */
#define RESERVE (16u << 20)
#define LIMIT   (BUNDLE_HEAD + BUNDLE_SIGNATURE_MAX + (uint64_t)BUNDLE_PAYLOAD_MAX)

struct download {
    const struct update_source *source;
    update_judge *judge;
    void *context;
    int file, pipe;
    uint64_t have;
    uint64_t whole; /* of the bundle; 0: not known yet */
    char *error;
    size_t size;
};

static bool fail(struct download *download, const char *text)
{
    snprintf(download->error, download->size, "%s", text);
    return false;
}

/* --- the child --- */

static pid_t start(struct download *download, const struct fetch_url *url)
{
    int ends[2];
    pid_t parent = getpid(), child;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL); /* what waits to be printed is the parent's */
    child = fork();
    if (child == 0)
        update_fetch(download->source, url, LIMIT, ends[1], parent);
    close(ends[1]);
    if (child < 0)
        close(ends[0]);
    else
        download->pipe = ends[0];
    return child;
}

/* How it ended: a fault, or UPDATE_FETCH_COUNT when it was killed. */
static enum update_fetch_fault end(struct download *download, pid_t child, bool at_once)
{
    int status = 0;

    close(download->pipe);
    if (at_once)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) < UPDATE_FETCH_COUNT
               ? (enum update_fetch_fault)WEXITSTATUS(status)
               : UPDATE_FETCH_COUNT;
}

/* --- the bytes --- */

static bool has_room(const struct download *download)
{
    struct statvfs facts;

    return fstatvfs(download->file, &facts) == 0 &&
           (uint64_t)facts.f_bavail * facts.f_frsize >= download->whole - download->have + RESERVE;
}

/* Once head and signature are there. False ends it. */
static bool look(struct download *download)
{
    uint8_t head[BUNDLE_HEAD];
    enum bundle_fault fault;
    size_t signature;

    if (download->whole != 0 || download->have < BUNDLE_HEAD)
        return true;
    if (pread(download->file, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return fail(download, strerror(errno));
    fault = bundle_read_head(head, &signature);
    if (fault != BUNDLE_OK)
        return fail(download, bundle_fault_text(fault));
    if (download->have < BUNDLE_HEAD + signature)
        return true;
    download->whole = download->judge(download->context, download->file);
    if (download->whole == 0)
        return false;
    if (download->have > download->whole)
        return fail(download, bundle_fault_text(BUNDLE_SIZE));
    return has_room(download) || fail(download, "there is not enough room on the data partition");
}

/* Whoever looks moves the file's position. */
static bool take(struct download *download, const char *bytes, size_t size)
{
    if (download->whole != 0 && size > download->whole - download->have)
        return fail(download, bundle_fault_text(BUNDLE_SIZE));
    while (size > 0) {
        ssize_t written = pwrite(download->file, bytes, size, (off_t)download->have);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fail(download, strerror(errno));
        download->have += (uint64_t)written;
        bytes += written;
        size -= (size_t)written;
    }
    return look(download);
}

/* Until the child has no more to say, or is not listened to any longer: then false. */
static bool copy(struct download *download)
{
    static char bytes[PIECE];
    int64_t until = clock_monotonic() + download->source->longest;

    while (true) {
        struct pollfd wait = {.fd = download->pipe, .events = POLLIN};
        int64_t left = until - clock_monotonic();
        int ready;
        ssize_t got;

        if (left > download->source->patience)
            left = download->source->patience;
        ready = poll(&wait, 1, left > 0 ? (int)left : 0);
        if (ready == 0)
            return fail(download, "the server takes too long");
        got = ready < 0 ? -1 : read(download->pipe, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(download, strerror(errno));
        if (got == 0)
            return true;
        if (!take(download, bytes, (size_t)got))
            return false;
    }
}

/* What is wrong with an end that the child came to by itself. */
static bool is_whole(struct download *download, enum update_fetch_fault fault)
{
    if (fault == UPDATE_FETCH_COUNT)
        return fail(download, "the process that fetches has died");
    if (fault == UPDATE_FETCH_BROKEN_OFF && download->have > 0) {
        snprintf(download->error, download->size,
                 "the download broke off after %" PRIu64 " bytes; nothing of it is kept",
                 download->have);
        return false;
    }
    if (fault != UPDATE_FETCH_NONE)
        return fail(download, update_fetch_text(fault));
    return (download->whole != 0 && download->have == download->whole) ||
           fail(download, bundle_fault_text(BUNDLE_SIZE));
}

int update_download(const struct update_source *source, update_judge *judge, void *context,
                    char *error, size_t size)
{
    struct download download = {.source = source,
                                .judge = judge,
                                .context = context,
                                .pipe = -1,
                                .error = error,
                                .size = size};
    enum update_fetch_fault fault;
    struct fetch_url url;
    bool whole;

    *error = '\0';
    if (!fetch_url_read_https(span_of(source->url), &url)) {
        fail(&download, "the address must be https://HOST/PATH");
        return -1;
    }
    download.file = open(source->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (download.file < 0) {
        snprintf(error, size, "%s: %s", source->folder, strerror(errno));
        return -1;
    }
    pid_t child = start(&download, &url);
    if (child < 0) {
        fail(&download, strerror(errno));
        whole = false;
    } else {
        whole = copy(&download);
        fault = end(&download, child, !whole);
        whole = whole && is_whole(&download, fault);
    }
    if (whole)
        return download.file;
    close(download.file);
    return -1;
}
