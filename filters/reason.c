/* SPDX-License-Identifier: BSD-2-Clause */
/* The reason codes' texts, all out of the one table in reason.h. */
#include "filters/reason.h"

static const struct {
    const char *code;
    unsigned status;
    const char *item;
    const char *help;
} reasons[] = {
#define X(symbol, code, status, item, help) {code, status, item, help},
    REASONS(X)
#undef X
};

/* A value from another process may be any number: it never reads past the table. */
static unsigned known(enum reason reason)
{
    return (unsigned)reason < REASON_COUNT ? (unsigned)reason : (unsigned)REASON_BAD_REQUEST;
}

const char *reason_code(enum reason reason)
{
    return reasons[known(reason)].code;
}

unsigned reason_status(enum reason reason)
{
    return reasons[known(reason)].status;
}

const char *reason_item(enum reason reason)
{
    return reasons[known(reason)].item;
}

const char *reason_help(enum reason reason)
{
    return reasons[known(reason)].help;
}
