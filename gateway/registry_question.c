/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of the control program whose answer comes from other processes, or is given up on. */
#include "gateway/registry.h"

#include <string.h>

#include <event2/event.h>

#include "gateway/control_commands.h"

#define FLOWS_PATIENCE  2 /* seconds */
#define STATUS_PATIENCE 2
#define RELOAD_PATIENCE 60 /* new workers have to start first */

static struct registry_question *find(struct registry *registry, int kind, uint64_t id)
{
    for (size_t i = 0; i < REGISTRY_QUESTIONS; i++)
        if ((int)registry->questions[i].kind == kind &&
            (id == 0 || registry->questions[i].id == id))
            return &registry->questions[i];
    return NULL;
}

static void answer(struct registry_question *question, json_t *reply)
{
    struct registry *registry = question->registry;
    uint64_t request = question->request;

    if (question->timer != NULL)
        event_free(question->timer);
    json_decref(question->flows);
    *question = (struct registry_question){.kind = QUESTION_NONE};
    if (registry->control != NULL)
        control_reply(registry->control, request, reply);
    else
        json_decref(reply);
}

static void answer_flows(struct registry_question *question)
{
    answer(question,
           json_pack("{s:b, s:b, s:I, s:O}", "ok", 1, "truncated", question->truncated,
                     "silent_workers", (json_int_t)question->workers, "flows", question->flows));
}

/* What the registry knows, and what the parent has said of the kernel: NULL when it did not. */
static void answer_status(struct registry_question *question, json_t *kernel)
{
    json_t *reply = control_status(question->registry);

    if (kernel != NULL)
        json_object_update_missing(reply, kernel);
    json_decref(kernel);
    answer(question, reply);
}

static void on_patience_end(evutil_socket_t fd, short what, void *context)
{
    struct registry_question *question = context;

    (void)fd;
    (void)what;
    if (question->kind == QUESTION_FLOWS)
        answer_flows(question);
    else if (question->kind == QUESTION_STATUS)
        answer_status(question, NULL);
    else
        answer(question, control_error("no word of the reload after %d seconds: see the log",
                                       RELOAD_PATIENCE));
}

static struct registry_question *ask(struct registry *registry, uint64_t request, int seconds)
{
    struct registry_question *question = find(registry, QUESTION_NONE, 0);
    struct timeval patience = {seconds, 0};

    if (question == NULL)
        return NULL;
    question->timer = evtimer_new(registry->base, on_patience_end, question);
    if (question->timer == NULL || evtimer_add(question->timer, &patience) != 0)
        return NULL;
    question->registry = registry;
    question->request = request;
    question->id = ++registry->last_question;
    return question;
}

/* --- flows --- */

bool registry_ask_flows(struct registry *registry, uint64_t request)
{
    struct registry_question *question = ask(registry, request, FLOWS_PATIENCE);
    struct registry_worker *worker;
    struct message_flows message;

    if (question == NULL)
        return false;
    question->kind = QUESTION_FLOWS;
    question->flows = json_array();
    message.id = question->id;
    TAILQ_FOREACH (worker, &registry->workers, next)
        if (link_send(worker->link, MESSAGE_FLOWS, &message, sizeof(message), -1) == 0)
            question->workers++;
    if (question->workers == 0)
        answer_flows(question);
    return true;
}

void registry_take_flow(struct registry *registry, const struct message_flow *flow)
{
    struct registry_question *question = find(registry, QUESTION_FLOWS, flow->id);

    if (flow->id == 0 || question == NULL)
        return; /* too late */
    if (json_array_size(question->flows) >= REGISTRY_FLOWS) {
        question->truncated = true;
        return;
    }
    json_array_append_new(
        question->flows,
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "client",
                  control_text(span_of(flow->client)), "destination",
                  control_text(span_of(flow->destination)), "host",
                  control_text(span_of(flow->host)), "state", control_text(span_of(flow->state)),
                  "service", control_text(span_of(flow->service)), "age_ms", (json_int_t)flow->age,
                  "up", (json_int_t)flow->up, "down", (json_int_t)flow->down));
}

void registry_take_flows_end(struct registry *registry, uint64_t id)
{
    struct registry_question *question = find(registry, QUESTION_FLOWS, id);

    if (id == 0 || question == NULL || question->workers == 0)
        return;
    if (--question->workers == 0)
        answer_flows(question);
}

/* --- status --- */

bool registry_ask_status(struct registry *registry, uint64_t request)
{
    struct link *parent = registry->child == NULL ? NULL : registry->child->parent;
    struct registry_question *question =
        parent == NULL ? NULL : ask(registry, request, STATUS_PATIENCE);
    struct message_flows message;

    if (question == NULL)
        return false;
    question->kind = QUESTION_STATUS;
    message.id = question->id;
    if (link_send(parent, MESSAGE_KERNEL_ASK, &message, sizeof(message), -1) != 0)
        answer_status(question, NULL);
    return true;
}

void registry_take_kernel(struct registry *registry, const void *payload, size_t size)
{
    struct registry_question *question;
    struct span text = {payload, size};
    uint64_t id;

    memcpy(&id, payload, sizeof(id));
    question = id == 0 ? NULL : find(registry, QUESTION_STATUS, id);
    if (question != NULL)
        answer_status(question, registry_read_kernel(registry, span_from(text, sizeof(id))));
}

/* --- reload --- */

bool registry_ask_reload(struct registry *registry, uint64_t request)
{
    struct registry_question *question = ask(registry, request, RELOAD_PATIENCE);

    if (question == NULL)
        return false;
    question->kind = QUESTION_RELOAD;
    return true;
}

/* One byte success, then text. Everybody who asked meanwhile gets the same answer. */
void registry_take_reload_result(struct registry *registry, const void *payload, size_t size)
{
    const char *bytes = payload;
    struct registry_question *question;

    if (size == 0)
        return;
    while ((question = find(registry, QUESTION_RELOAD, 0)) != NULL) {
        struct span text = {bytes + 1, size - 1};

        answer(question, json_pack("{s:b, s:o}", "ok", bytes[0] != 0,
                                   bytes[0] != 0 ? "text" : "error", control_text(text)));
    }
}

void registry_free_questions(struct registry *registry)
{
    for (size_t i = 0; i < REGISTRY_QUESTIONS; i++)
        if (registry->questions[i].kind != QUESTION_NONE)
            answer(&registry->questions[i], control_error("the daemon is stopping"));
}
