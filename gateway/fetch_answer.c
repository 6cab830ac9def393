/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetch_answer.h. */
#include "gateway/fetch_answer.h"

#include <stdlib.h>

#include "filters/memory.h"
#include "gateway/http1.h"

#define INTERIM_LIMIT 8 /* answers that are none (1xx) before the one that is */
#define LINE_LIMIT    8192
#define FIELD_LIMIT   100

struct fetch_answer {
    struct http1 *parser;
    size_t limit, size;
    unsigned interim;
    bool is_final, is_whole;
    enum fetch_fault fault;
};

static const char *const fault_texts[] = {
#define X(symbol, text) [FETCH_FAULT_##symbol] = text,
    FETCH_FAULTS(X)
#undef X
};

const char *fetch_fault_text(enum fetch_fault fault)
{
    return (size_t)fault < FETCH_FAULT_COUNT ? fault_texts[fault] : "?";
}

struct fetch_answer *fetch_answer_new(size_t limit, size_t head)
{
    struct fetch_answer *answer = memory_allocate(1, sizeof(*answer));
    struct http1_limits limits = {LINE_LIMIT < head ? LINE_LIMIT : head, head, FIELD_LIMIT};

    answer->parser = http1_new_response_parser(&limits);
    answer->limit = limit;
    return answer;
}

void fetch_answer_free(struct fetch_answer *answer)
{
    if (answer == NULL)
        return;
    http1_free(answer->parser);
    free(answer);
}

enum fetch_fault fetch_answer_fault(const struct fetch_answer *answer)
{
    return answer->fault;
}

static enum fetch_event fail(struct fetch_answer *answer, enum fetch_fault fault)
{
    answer->fault = fault;
    return FETCH_FAILED;
}

static bool is_packed(const struct http1_head *head)
{
    const struct field *coding =
        field_find(head->fields, head->field_count, SPAN("Content-Encoding"));

    return coding != NULL && coding->value.size > 0 &&
           !span_equal_nocase(coding->value, SPAN("identity"));
}

/* FETCH_MORE: go on. */
static enum fetch_event read_head(struct fetch_answer *answer)
{
    const struct http1_head *head = http1_head(answer->parser);

    if (head->status < 200 && head->status != 101)
        return ++answer->interim > INTERIM_LIMIT ? fail(answer, FETCH_FAULT_ANSWER) : FETCH_MORE;
    answer->is_final = true;
    if (head->status != 200)
        return fail(answer, FETCH_FAULT_STATUS);
    if (is_packed(head))
        return fail(answer, FETCH_FAULT_ANSWER);
    if (head->framing == HTTP1_LENGTH && head->length > answer->limit)
        return fail(answer, FETCH_FAULT_TOO_LARGE);
    return FETCH_MORE;
}

static enum fetch_event take(struct fetch_answer *answer, struct span data)
{
    if (data.size > answer->limit - answer->size)
        return fail(answer, FETCH_FAULT_TOO_LARGE);
    answer->size += data.size;
    return FETCH_BYTES;
}

static enum fetch_event end(struct fetch_answer *answer)
{
    answer->is_whole = true;
    return answer->size > 0 ? FETCH_WHOLE : fail(answer, FETCH_FAULT_ANSWER);
}

enum fetch_event fetch_answer_feed(struct fetch_answer *answer, struct span *bytes,
                                   struct span *data)
{
    enum fetch_event event = FETCH_MORE;

    *data = (struct span){NULL, 0};
    while (event == FETCH_MORE && answer->fault == FETCH_FAULT_NONE && !answer->is_whole) {
        size_t used = 0;
        enum http1_event read = http1_feed(answer->parser, bytes->data, bytes->size, &used, data);
        *bytes = span_from(*bytes, used);
        if (read == HTTP1_MORE)
            return FETCH_MORE;
        if (read == HTTP1_HEAD)
            event = read_head(answer);
        else if (read == HTTP1_BODY)
            event = data->size > 0 ? take(answer, *data) : FETCH_MORE;
        else if (read == HTTP1_END && answer->is_final)
            event = end(answer);
        else if (read != HTTP1_END && read != HTTP1_TRAILER)
            event = fail(answer, FETCH_FAULT_ANSWER);
    }
    if (answer->fault != FETCH_FAULT_NONE)
        return FETCH_FAILED;
    return answer->is_whole ? FETCH_WHOLE : event;
}

enum fetch_event fetch_answer_close(struct fetch_answer *answer)
{
    if (answer->fault != FETCH_FAULT_NONE)
        return FETCH_FAILED;
    if (answer->is_whole)
        return FETCH_WHOLE;
    if (http1_close(answer->parser) == HTTP1_END && answer->is_final)
        return end(answer);
    return fail(answer, FETCH_FAULT_BROKEN_OFF);
}
