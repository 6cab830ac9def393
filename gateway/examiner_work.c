/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that opens one thing: see examiner_work.h. Its answer is a u32 length before each
 * text, written as soon as the text is found, then ANSWER_END and the status.
 */
#include "gateway/examiner_work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/picture.h"
#include "gateway/qrcode.h"
#include "gateway/sandbox.h"

#define ANSWER_FD  3 /* the one descriptor after standard error */
#define ANSWER_END UINT32_MAX

_Static_assert(QRCODE_TEXTS_MAX <= EXAMINATION_TEXTS_MAX, "all texts are answered");
_Static_assert(QRCODE_BYTES_MAX <= EXAMINATION_TEXT_MAX, "every text fits");
_Static_assert(PICTURE_BYTES_MAX == EXAMINATION_BYTES_MAX, "what is fed is opened");

static const struct {
    __rlimit_resource_t resource;
    rlim_t most;
    bool not_sanitized;
} limits[] = {
    {RLIMIT_AS, WORK_MEMORY, true}, {RLIMIT_CPU, WORK_TIME, false},        {RLIMIT_CORE, 0, false},
    {RLIMIT_FSIZE, 0, false},       {RLIMIT_NOFILE, ANSWER_FD + 1, false}, {RLIMIT_NPROC, 0, false},
};

static bool set_limits(void)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit limit = {limits[i].most, limits[i].most};
        if (limits[i].not_sanitized && WORK_IS_SANITIZED)
            continue;
        if (setrlimit(limits[i].resource, &limit) != 0)
            return false;
    }
    return true;
}

/* It dies with the examiner, and has no descriptor but the standard ones and its answer. */
static bool shut_in(int answer, pid_t examiner)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        signal(numbers[i], SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != examiner)
        return false;
    if (answer != ANSWER_FD && dup2(answer, ANSWER_FD) < 0)
        return false;
    return close_range(ANSWER_FD + 1, ~0U, 0) == 0 && set_limits() &&
           sandbox_enter(SANDBOX_WORK, NULL, 0) == 0;
}

static void write_all(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t written = write(ANSWER_FD, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            _exit(1);
        at += written;
        size -= (size_t)written;
    }
}

static void write_text(void *context, struct span text)
{
    uint32_t size = (uint32_t)text.size;

    (void)context;
    write_all(&size, sizeof(size));
    write_all(text.data, text.size);
}

static enum examination_status open_picture(struct span bytes)
{
    static const enum examination_status statuses[PICTURE_RESULT_COUNT] = {
        [PICTURE_WHOLE] = EXAMINATION_WHOLE,     [PICTURE_PARTIAL] = EXAMINATION_PARTIAL,
        [PICTURE_UNKNOWN] = EXAMINATION_UNKNOWN, [PICTURE_TOO_LARGE] = EXAMINATION_OPAQUE,
        [PICTURE_DAMAGED] = EXAMINATION_OPAQUE,
    };
    struct picture picture;
    enum picture_result result = picture_decode(bytes, &picture);

    if (result == PICTURE_WHOLE || result == PICTURE_PARTIAL)
        qrcode_read(&picture, write_text, NULL);
    picture_free(&picture);
    return statuses[result];
}

static enum examination_status (*const openers[EXAMINATION_KIND_COUNT])(struct span bytes) = {
    [EXAMINATION_PICTURE] = open_picture,
};

static void work(enum examination_kind kind, struct span bytes)
{
    uint32_t end[2] = {ANSWER_END, EXAMINATION_UNKNOWN};

    if ((size_t)kind < EXAMINATION_KIND_COUNT)
        end[1] = openers[kind](bytes);
    write_all(end, sizeof(end));
}

pid_t work_start(enum examination_kind kind, struct span bytes, int *fd)
{
    pid_t examiner = getpid();
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    fcntl(fds[0], F_SETFL, O_NONBLOCK); /* the end that writes may block */
    pid_t pid = fork();
    if (pid == 0) {
        if (!shut_in(fds[1], examiner))
            _exit(1);
        work(kind, bytes);
        _exit(0);
    }
    int error = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        errno = error;
        return -1;
    }
    *fd = fds[0];
    return pid;
}

static bool take_number(struct span *rest, uint32_t *number)
{
    if (rest->size < sizeof(*number))
        return false;
    memcpy(number, rest->data, sizeof(*number));
    *rest = span_from(*rest, sizeof(*number));
    return true;
}

enum examination_status work_read_answer(struct span answer,
                                         struct span texts[EXAMINATION_TEXTS_MAX], size_t *count)
{
    uint32_t size, status;

    *count = 0;
    while (take_number(&answer, &size)) {
        if (size == ANSWER_END)
            return take_number(&answer, &status) && answer.size == 0 &&
                           status < EXAMINATION_STATUS_COUNT
                       ? (enum examination_status)status
                       : EXAMINATION_OPAQUE;
        if (size == 0 || size > EXAMINATION_TEXT_MAX || size > answer.size ||
            *count == EXAMINATION_TEXTS_MAX)
            break;
        texts[(*count)++] = span_first(answer, size);
        answer = span_from(answer, size);
    }
    return EXAMINATION_OPAQUE;
}
