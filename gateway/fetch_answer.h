/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answer to a fetch, as a core: bytes of the connection go in, bytes of the file come out, or
 * what is wrong. Only a plain 200 is an answer: whoever leads on to elsewhere, sends a part, or
 * packs what it sends, is not followed. What is read of HTTP is read by the strict core of http1.h.
 */
#ifndef GATEWAY_FETCH_ANSWER_H
#define GATEWAY_FETCH_ANSWER_H

#include "filters/span.h"

/* X(symbol, text for the log): why there is no file. */
#define FETCH_FAULTS(X)                                                                            \
    X(NONE, "none")                                                                                \
    X(URL, "not an address that is fetched from")                                                  \
    X(UNRESOLVED, "the name has no address")                                                       \
    X(FORBIDDEN, "the address is not one of the internet")                                         \
    X(UNREACHABLE, "no connection")                                                                \
    X(TIMEOUT, "not in time")                                                                      \
    X(ANSWER, "not the answer of a web server")                                                    \
    X(STATUS, "the server does not have it, or leads elsewhere")                                   \
    X(TOO_LARGE, "too large")                                                                      \
    X(BROKEN_OFF, "it breaks off")                                                                 \
    X(BUSY, "too much under way")                                                                  \
    X(NO_FETCHER, "there is no fetcher")
enum fetch_fault {
#define X(symbol, text) FETCH_FAULT_##symbol,
    FETCH_FAULTS(X)
#undef X
        FETCH_FAULT_COUNT
};
const char *fetch_fault_text(enum fetch_fault fault);

enum fetch_event {
    FETCH_MORE,  /* everything given was used */
    FETCH_BYTES, /* `data` are bytes of the file, borrowed from the input */
    FETCH_WHOLE, /* that was all of it */
    FETCH_FAILED /* see fetch_answer_fault(); it stays so */
};

struct fetch_answer;

/* `limit`: bytes of the file at the most; `head`: of a head. */
struct fetch_answer *fetch_answer_new(size_t limit, size_t head);
void fetch_answer_free(struct fetch_answer *answer);

/* The next event of *bytes, which is advanced; call again until FETCH_MORE. */
enum fetch_event fetch_answer_feed(struct fetch_answer *answer, struct span *bytes,
                                   struct span *data);

/* The peer has closed: FETCH_WHOLE or FETCH_FAILED. */
enum fetch_event fetch_answer_close(struct fetch_answer *answer);

enum fetch_fault fetch_answer_fault(const struct fetch_answer *answer);

#endif
