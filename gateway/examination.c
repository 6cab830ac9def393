/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's examinations: see examination.h. */
#include "gateway/examination.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "filters/memory.h"
#include "gateway/deadline.h"

#define CANCEL_AGAIN 100 /* ms until a full link is tried again */
#define DATA_MAX     (MESSAGE_MAX - sizeof(uint64_t))

enum state {
    STATE_FEEDING,
    STATE_ENDED,     /* the examiner has all of it, somebody waits */
    STATE_FAILED,    /* opaque; when it has a callback that is told from the loop */
    STATE_CANCELLED, /* nobody waits, but the examiner could not be told yet */
};

struct examination {
    TAILQ_ENTRY(examination) next;
    struct examinations *owner;
    uint64_t id;
    enum state state;
    bool is_known; /* the examiner has something of it under this id */
    uint64_t size;
    examination_callback *callback;
    void *context;
    struct deadline deadline;
    struct span texts[EXAMINATION_TEXTS_MAX];
    size_t count;
};

struct examinations {
    struct event_base *base;
    struct link *link;
    TAILQ_HEAD(, examination) all;
    uint64_t last_id;
    size_t count, bytes;
};

static const char *const kind_names[] = {
#define X(symbol, name) [EXAMINATION_##symbol] = name,
    EXAMINATION_KINDS(X)
#undef X
};
static const char *const status_names[] = {
#define X(symbol, name) [EXAMINATION_##symbol] = name,
    EXAMINATION_STATUSES(X)
#undef X
};

const char *examination_kind_name(enum examination_kind kind)
{
    return (size_t)kind < EXAMINATION_KIND_COUNT ? kind_names[kind] : "?";
}

const char *examination_status_name(enum examination_status status)
{
    return (size_t)status < EXAMINATION_STATUS_COUNT ? status_names[status] : "?";
}

static void release(struct examination *examination)
{
    struct examinations *owner = examination->owner;

    TAILQ_REMOVE(&owner->all, examination, next);
    owner->count--;
    owner->bytes -= examination->size;
    deadline_clear(&examination->deadline);
    for (size_t i = 0; i < examination->count; i++)
        free((char *)examination->texts[i].data);
    free(examination);
}

/* True when the examiner holds nothing of it any more, or never did. */
static bool withdraw(struct examination *examination)
{
    struct message_examine_end message = {examination->id, 0};
    struct link *link = examination->owner->link;

    if (examination->is_known && link != NULL &&
        link_send(link, MESSAGE_EXAMINE_CANCEL, &message, sizeof(message), -1) != 0)
        return false;
    examination->is_known = false;
    return true;
}

/*
 * Takes it out of the list and calls the callback last. The texts are the callback's until it
 * returns; nobody else can reach the examination then.
 */
static void answer(struct examination *examination, enum examination_status status)
{
    examination_callback *callback = examination->callback;
    void *context = examination->context;
    struct span texts[EXAMINATION_TEXTS_MAX];
    size_t count = examination->count;

    memcpy(texts, examination->texts, sizeof(texts));
    examination->count = 0;
    if (examination->is_known && !withdraw(examination)) {
        examination->state = STATE_CANCELLED;
        deadline_set(&examination->deadline, CANCEL_AGAIN);
    } else {
        release(examination);
    }
    callback(context, status, texts, count);
    for (size_t i = 0; i < count; i++)
        free((char *)texts[i].data);
}

static void on_deadline(void *context)
{
    struct examination *examination = context;

    if (examination->state != STATE_CANCELLED) {
        answer(examination, EXAMINATION_OPAQUE);
        return;
    }
    if (withdraw(examination))
        release(examination);
    else
        deadline_set(&examination->deadline, CANCEL_AGAIN);
}

/* From now on it is opaque. Whoever waits is told from the loop. */
static void fail(struct examination *examination)
{
    examination->state = STATE_FAILED;
    if (examination->callback != NULL)
        deadline_set(&examination->deadline, 0);
}

struct examinations *examinations_new(struct event_base *base)
{
    struct examinations *examinations = memory_allocate(1, sizeof(*examinations));

    examinations->base = base;
    TAILQ_INIT(&examinations->all);
    return examinations;
}

void examinations_free(struct examinations *examinations)
{
    struct examination *examination;

    if (examinations == NULL)
        return;
    while ((examination = TAILQ_FIRST(&examinations->all)) != NULL)
        release(examination);
    free(examinations);
}

void examinations_set_link(struct examinations *examinations, struct link *link)
{
    struct examination *examination, *after;

    examinations->link = link;
    for (examination = TAILQ_FIRST(&examinations->all); examination != NULL; examination = after) {
        after = TAILQ_NEXT(examination, next);
        examination->is_known = false;
        if (examination->state == STATE_CANCELLED)
            release(examination);
        else
            fail(examination);
    }
}

size_t examinations_count(const struct examinations *examinations)
{
    return examinations->count;
}

size_t examinations_bytes(const struct examinations *examinations)
{
    return examinations->bytes;
}

/* --- what the examiner says --- */

static struct examination *find(struct examinations *examinations, uint64_t id)
{
    struct examination *examination;

    TAILQ_FOREACH (examination, &examinations->all, next)
        if (examination->id == id && examination->is_known)
            return examination;
    return NULL;
}

static int receive_text(struct examinations *examinations, const uint8_t *payload, size_t size)
{
    struct examination *examination;
    struct span text;
    uint64_t id;

    if (size <= sizeof(id) || size > sizeof(id) + EXAMINATION_TEXT_MAX)
        return -1;
    memcpy(&id, payload, sizeof(id));
    examination = find(examinations, id);
    if (examination == NULL || examination->state != STATE_ENDED)
        return 0; /* nobody waits for it any more */
    if (examination->count == EXAMINATION_TEXTS_MAX)
        return -1;
    text = (struct span){(const char *)payload + sizeof(id), size - sizeof(id)};
    examination->texts[examination->count++] = (struct span){memory_span(text), text.size};
    return 0;
}

static int receive_status(struct examinations *examinations, const void *payload, size_t size)
{
    struct examination *examination;
    struct message_examined message;

    if (size != sizeof(message))
        return -1;
    memcpy(&message, payload, sizeof(message));
    if (message.status >= EXAMINATION_STATUS_COUNT)
        return -1;
    examination = find(examinations, message.id);
    if (examination == NULL)
        return 0;
    examination->is_known = false; /* it is answered once */
    if (examination->state == STATE_CANCELLED)
        release(examination);
    else if (examination->state != STATE_ENDED)
        fail(examination); /* refused before its end */
    else
        answer(examination, message.texts == examination->count
                                ? (enum examination_status)message.status
                                : EXAMINATION_OPAQUE);
    return 0;
}

int examinations_receive(struct examinations *examinations, enum message_type type,
                         const void *payload, size_t size)
{
    if (type == MESSAGE_EXAMINED_TEXT)
        return receive_text(examinations, payload, size);
    if (type == MESSAGE_EXAMINED)
        return receive_status(examinations, payload, size);
    return -1;
}

/* --- one examination --- */

struct examination *examination_begin(struct examinations *examinations, enum examination_kind kind,
                                      uint64_t size)
{
    struct message_examine message = {.id = examinations->last_id + 1, .kind = kind};
    struct examination *examination;

    if (examinations->link == NULL || examinations->count == EXAMINATIONS_MAX ||
        size > EXAMINATION_BYTES_MAX || size > EXAMINATIONS_BYTES - examinations->bytes ||
        link_send(examinations->link, MESSAGE_EXAMINE_BEGIN, &message, sizeof(message), -1) != 0)
        return NULL;
    examination = memory_allocate(1, sizeof(*examination));
    examination->owner = examinations;
    examination->id = ++examinations->last_id;
    examination->is_known = true;
    deadline_init(&examination->deadline, examinations->base, on_deadline, examination);
    TAILQ_INSERT_TAIL(&examinations->all, examination, next);
    examinations->count++;
    return examination;
}

static bool send_bytes(struct link *link, uint64_t id, struct span bytes)
{
    uint8_t payload[MESSAGE_MAX];

    memcpy(payload, &id, sizeof(id));
    while (bytes.size > 0) {
        struct span part = span_first(bytes, DATA_MAX);
        memcpy(payload + sizeof(id), part.data, part.size);
        if (link_send(link, MESSAGE_EXAMINE_DATA, payload, sizeof(id) + part.size, -1) != 0)
            return false;
        bytes = span_from(bytes, part.size);
    }
    return true;
}

bool examination_feed(struct examination *examination, const void *bytes, size_t size)
{
    struct examinations *owner = examination->owner;

    if (examination->state != STATE_FEEDING)
        return false;
    if (size > EXAMINATION_BYTES_MAX - examination->size ||
        size > EXAMINATIONS_BYTES - owner->bytes ||
        !send_bytes(owner->link, examination->id, (struct span){bytes, size})) {
        fail(examination);
        return false;
    }
    examination->size += size;
    owner->bytes += size;
    return true;
}

void examination_end(struct examination *examination, examination_callback *callback, void *context)
{
    struct message_examine_end message = {examination->id, examination->size};

    examination->callback = callback;
    examination->context = context;
    if (examination->state == STATE_FEEDING &&
        link_send(examination->owner->link, MESSAGE_EXAMINE_END, &message, sizeof(message), -1) ==
            0) {
        examination->state = STATE_ENDED;
        deadline_set(&examination->deadline, EXAMINATION_TIMEOUT);
        return;
    }
    fail(examination);
}

void examination_cancel(struct examination *examination)
{
    if (examination == NULL)
        return;
    examination->callback = NULL;
    if (withdraw(examination)) {
        release(examination);
        return;
    }
    examination->state = STATE_CANCELLED;
    deadline_set(&examination->deadline, CANCEL_AGAIN);
}
