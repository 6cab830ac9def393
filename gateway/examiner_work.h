/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One piece of the examiner's work: a process of its own that opens one thing and ends. It has the
 * bytes, a pipe for its answer, and nothing else: it can open no file and no socket, start nothing,
 * and use no more than so much memory and time. What takes it over learns nothing of the things
 * that come after, and cannot answer for them.
 */
#ifndef GATEWAY_EXAMINER_WORK_H
#define GATEWAY_EXAMINER_WORK_H

#include <sys/types.h>

#include "filters/span.h"
#include "gateway/examination.h"

#define WORK_MEMORY (256u << 20) /* bytes of address space */
#define WORK_TIME   3            /* seconds of its processor time, and of ours */

/* Then there is no limit of memory: the sanitizer's shadow is many times larger than any. */
#if defined(__SANITIZE_ADDRESS__)
#define WORK_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WORK_IS_SANITIZED 1
#endif
#endif
#ifndef WORK_IS_SANITIZED
#define WORK_IS_SANITIZED 0
#endif

/* Bytes that an answer has at the most. */
#define WORK_ANSWER_MAX                                                                            \
    (EXAMINATION_TEXTS_MAX * (sizeof(uint32_t) + EXAMINATION_TEXT_MAX) + 2 * sizeof(uint32_t))

/*
 * Starts the process. Its id, with *fd the non-blocking end of a pipe that gives the answer and
 * then ends; or -1 with errno. The caller kills it, whatever it does, and waits for it.
 */
pid_t work_start(enum examination_kind kind, struct span bytes, int *fd);

/*
 * Reads an answer, as far as it came: sets the texts, which are parts of `answer`, and their
 * number. The status is EXAMINATION_OPAQUE unless all of the answer is there and well formed.
 */
enum examination_status work_read_answer(struct span answer,
                                         struct span texts[EXAMINATION_TEXTS_MAX], size_t *count);

#endif
