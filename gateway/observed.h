/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the clinic's devices touched, host by host, for `sekisho observe --service`: whether it was
 * passed on untouched, looked into or stopped, and during whose consultation. In memory only, of
 * the last OBSERVED_MAX pairs of device and host; no paths.
 */
#ifndef GATEWAY_OBSERVED_H
#define GATEWAY_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBSERVED_MAX 2048

/* X(symbol, name): what happened to a connection or a request. */
#define OBSERVED_WAYS(X)                                                                           \
    X(SPLICED, "spliced")                                                                          \
    X(INSPECTED, "inspected")                                                                      \
    X(STOPPED, "stopped")                                                                          \
    X(REJECTED, "rejected") /* the client broke the handshake with our certificate off */
enum observed_way {
#define X(symbol, name) OBSERVED_##symbol,
    OBSERVED_WAYS(X)
#undef X
        OBSERVED_WAY_COUNT
};
const char *observed_way_name(enum observed_way way);

struct observed {
    char client[64], host[256];
    char service[64]; /* of the consultation that was on, "" for none */
    char reason[40];  /* of the last one */
    uint64_t counts[OBSERVED_WAY_COUNT];
    bool opened;         /* by a person or a program, not as a part of a page */
    int64_t first, last; /* Unix seconds */
};

struct observations;

struct observations *observations_new(void);
void observations_free(struct observations *observations);

/* Only the texts and `opened` of `what` are read; one without a host is not kept. */
void observations_note(struct observations *observations, const struct observed *what,
                       enum observed_way way, int64_t now);

/* The rows in no order; NULL past the last. Borrowed until the next note. */
const struct observed *observations_at(const struct observations *observations, size_t index);

#endif
