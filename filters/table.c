/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy's two tables of rows, in the order in which they are asked: the first that matches
 * decides. */
#include "filters/judge.h"

struct request_row {
    enum reason reason;
    bool (*matches)(struct judgement *judgement);
};

static const struct request_row request_rows[] = {
#define X(reason, row) {REASON_##reason, row},
    REQUEST_ROWS(X)
#undef X
};

struct response_row {
    enum reason reason;
    bool (*matches)(struct response_judgement *judgement);
};

static const struct response_row response_rows[] = {
#define X(reason, row) {REASON_##reason, row},
    RESPONSE_ROWS(X)
#undef X
};

static void decide(struct finding *finding, enum reason reason)
{
    finding->reason = reason;
    finding->verdict =
        reason == REASON_ALLOWED || reason == REASON_RELEASED ? VERDICT_PASS : VERDICT_BLOCK;
}

void filters_judge_request(const struct policy *policy, const struct standing *standing,
                           const struct request *request, struct finding *finding)
{
    struct judgement judgement;
    judgement_begin(&judgement, policy, standing, request, finding);
    decide(finding, REASON_ALLOWED);
    for (size_t i = 0; i < sizeof(request_rows) / sizeof(*request_rows); i++) {
        if (request_rows[i].matches(&judgement)) {
            decide(finding, request_rows[i].reason);
            return;
        }
    }
}

void filters_judge_response(const struct policy *policy, const struct standing *standing,
                            const struct request *request, const struct response *response,
                            struct finding *finding)
{
    struct response_judgement judgement;
    /* in observe mode a request that would have been blocked gets here all the same */
    if (finding->verdict == VERDICT_BLOCK)
        decide(finding, REASON_ALLOWED);
    if (!response_judgement_begin(&judgement, policy, standing, request, response, finding))
        return;
    for (size_t i = 0; i < sizeof(response_rows) / sizeof(*response_rows); i++) {
        if (response_rows[i].matches(&judgement)) {
            /* the entry that let the request pass is not the one that decides here */
            finding->rule = (struct rule){0};
            decide(finding, response_rows[i].reason);
            return;
        }
    }
}
