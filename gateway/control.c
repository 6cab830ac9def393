/* SPDX-License-Identifier: BSD-2-Clause */
/* The server of the control socket: see control.h. It knows lines and clients, not commands. */
#include "gateway/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "filters/memory.h"
#include "gateway/log.h"
#include "gateway/utf8.h"

struct control_client {
    TAILQ_ENTRY(control_client) next;
    struct control *control;
    struct bufferevent *stream;
    uint64_t request; /* under way, 0 for none */
    uid_t uid;
    bool advancing;
    bool ended;   /* it sends nothing more */
    bool closing; /* it is told what is queued, then closed */
};

struct control {
    struct event_base *base;
    control_handler *handler;
    void *context;
    struct event *listener;
    struct event *pause; /* of accepting, when there are no descriptors */
    int fd;
    uint64_t last_request;
    size_t count;
    TAILQ_HEAD(, control_client) clients;
};

/* --- JSON --- */

json_t *control_text(struct span bytes)
{
    char *text = memory_allocate(bytes.size * UTF8_BYTES + 1, 1);
    size_t used = 0;
    json_t *string;

    while (bytes.size > 0) {
        uint32_t character;

        bytes = span_from(bytes, utf8_decode(bytes, &character));
        used += utf8_encode(character == 0 ? UTF8_REPLACEMENT : character, text + used);
    }
    string = json_stringn(text, used);
    free(text);
    return string;
}

json_t *control_error(const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return json_pack("{s:b, s:o}", "ok", 0, "error", control_text(span_of(text)));
}

json_t *control_parse(struct span line, char *error, size_t size)
{
    json_error_t where;
    json_t *object = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, &where);

    if (object == NULL) {
        snprintf(error, size, "not JSON: %s", where.text);
        return NULL;
    }
    if (!json_is_object(object)) {
        snprintf(error, size, "not a JSON object");
        json_decref(object);
        return NULL;
    }
    return object;
}

/* --- clients --- */

static void free_client(struct control_client *client)
{
    TAILQ_REMOVE(&client->control->clients, client, next);
    client->control->count--;
    bufferevent_free(client->stream);
    free(client);
}

static bool has_output(const struct control_client *client)
{
    return evbuffer_get_length(bufferevent_get_output(client->stream)) > 0;
}

static void send_reply(struct control_client *client, json_t *reply)
{
    static const char none[] = "{\"ok\":false,\"error\":\"no answer\"}";
    char *text = reply == NULL ? NULL : json_dumps(reply, JSON_COMPACT);
    const char *line = text == NULL ? none : text; /* still one answer */

    client->request = 0;
    json_decref(reply);
    bufferevent_write(client->stream, line, strlen(line));
    bufferevent_write(client->stream, "\n", 1);
    free(text);
}

static void take_line(struct control_client *client, struct span line)
{
    struct control *control = client->control;
    char error[256];
    json_t *object = control_parse(line, error, sizeof(error));

    client->request = ++control->last_request;
    if (object == NULL) {
        send_reply(client, control_error("%s", error));
        return;
    }
    control->handler(control->context, client->request, client->uid, object);
    json_decref(object);
}

static bool is_quiet(const struct control_client *client)
{
    return client->request == 0 && !has_output(client);
}

static void close_after(struct control_client *client)
{
    client->closing = true;
    bufferevent_disable(client->stream, EV_READ);
}

/*
 * One request after the other: the next is taken when the answer to the last is sent, so that a
 * client that does not read cannot fill our memory. May free the client.
 */
static void advance(struct control_client *client)
{
    struct evbuffer *input = bufferevent_get_input(client->stream);

    if (client->advancing)
        return;
    client->advancing = true;
    while (is_quiet(client) && !client->closing) {
        size_t size;
        char *line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF);

        if (line == NULL)
            break;
        take_line(client, (struct span){line, size});
        free(line);
    }
    client->advancing = false;
    if (is_quiet(client) && !client->closing && evbuffer_get_length(input) > CONTROL_LINE) {
        send_reply(client, control_error("the request is longer than %d bytes", CONTROL_LINE));
        close_after(client);
    }
    if (is_quiet(client) && (client->closing || client->ended))
        free_client(client);
    else if (is_quiet(client))
        bufferevent_enable(client->stream, EV_READ);
    else /* nor does its silence count while it waits for us */
        bufferevent_disable(client->stream, EV_READ);
}

static void on_read(struct bufferevent *stream, void *context)
{
    struct control_client *client = context;

    (void)stream;
    advance(client);
}

static void on_written(struct bufferevent *stream, void *context)
{
    struct control_client *client = context;

    (void)stream;
    advance(client);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    struct control_client *client = context;

    (void)stream;
    if (what & BEV_EVENT_EOF) { /* it may have shut down only its sending side */
        client->ended = true;
        advance(client);
        return;
    }
    free_client(client);
}

void control_add_client(struct control *control, int fd)
{
    struct timeval idle = {CONTROL_IDLE, 0};
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);
    struct control_client *client;
    struct bufferevent *stream;

    if (control->count == CONTROL_CLIENTS) {
        static const char full[] = "{\"ok\":false,\"error\":\"too many clients\"}\n";

        if (write(fd, full, sizeof(full) - 1) < 0)
            log_warn("control socket");
        close(fd);
        return;
    }
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    evutil_make_socket_nonblocking(fd);
    stream = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (stream == NULL) {
        close(fd);
        return;
    }
    client = memory_allocate(1, sizeof(*client));
    client->control = control;
    client->stream = stream;
    client->uid = peer.uid;
    TAILQ_INSERT_TAIL(&control->clients, client, next);
    control->count++;
    bufferevent_setcb(stream, on_read, on_written, on_event, client);
    bufferevent_set_timeouts(stream, &idle, &idle);
    bufferevent_setwatermark(stream, EV_READ, 0, CONTROL_LINE + 1);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

void control_reply(struct control *control, uint64_t request, json_t *reply)
{
    struct control_client *client;

    TAILQ_FOREACH (client, &control->clients, next) {
        if (client->request != request)
            continue;
        send_reply(client, reply);
        return;
    }
    json_decref(reply);
}

/* --- the server --- */

static void on_pause_end(evutil_socket_t fd, short what, void *context)
{
    struct control *control = context;

    (void)fd;
    (void)what;
    event_add(control->listener, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *context)
{
    struct control *control = context;
    int client;

    (void)what;
    while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        control_add_client(control, client);
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        /* Without a pause the loop would spin on the connection that cannot be accepted. */
        static const struct timeval pause = {0, 200000};

        log_warn("control socket: accept");
        event_del(control->listener);
        evtimer_add(control->pause, &pause);
    }
}

struct control *control_new(struct event_base *base, control_handler *handler, void *context)
{
    struct control *control = memory_allocate(1, sizeof(*control));

    control->base = base;
    control->handler = handler;
    control->context = context;
    control->fd = -1;
    TAILQ_INIT(&control->clients);
    return control;
}

int control_listen(struct control *control, int fd)
{
    control->fd = fd;
    control->listener = event_new(control->base, fd, EV_READ | EV_PERSIST, on_accept, control);
    control->pause = evtimer_new(control->base, on_pause_end, control);
    if (control->listener == NULL || control->pause == NULL)
        return -1;
    return event_add(control->listener, NULL);
}

static void stop_listening(struct control *control)
{
    if (control->listener != NULL)
        event_free(control->listener);
    if (control->pause != NULL)
        event_free(control->pause);
    control->listener = control->pause = NULL;
    if (control->fd >= 0)
        close(control->fd);
    control->fd = -1;
}

void control_stop(struct control *control)
{
    struct control_client *client, *after;

    stop_listening(control);
    for (client = TAILQ_FIRST(&control->clients); client != NULL; client = after) {
        after = TAILQ_NEXT(client, next);
        close_after(client);
        advance(client);
    }
}

bool control_is_idle(const struct control *control)
{
    struct control_client *client;

    TAILQ_FOREACH (client, &control->clients, next)
        if (client->request != 0 || has_output(client))
            return false;
    return true;
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    stop_listening(control);
    while (!TAILQ_EMPTY(&control->clients))
        free_client(TAILQ_FIRST(&control->clients));
    free(control);
}
