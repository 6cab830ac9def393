/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target of the HTTP/2 adapter. The first byte chooses the side and how the rest is cut; the
 * preface and empty settings are put before it. Fed whole, in two and byte by byte, the events of
 * each stream must be the same; and a user that answers, echoes, stops and resets must get frames
 * that are well formed, and handles whose events come in order.
 */
#include "tests/unit/http2_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define REQUESTS 4

/* Small enough that the fuzzer meets them. */
static struct http2_options tiny_options(void)
{
    struct http2_options options = HTTP2_DEFAULTS;
    options.limits = (struct http1_limits){.line = 100, .head = 500, .fields = 6};
    options.streams = 4;
    options.stream_window = 70000;
    options.connect_protocol = true;
    options.resets.burst = 6;
    options.nothing.burst = 30;
    return options;
}

static void ask(struct http2 *client)
{
    static const char *const METHODS[REQUESTS] = {"GET", "HEAD", "POST", "CONNECT"};
    struct evbuffer *out = evbuffer_new();
    for (size_t i = 0; i < REQUESTS; i++) {
        struct http2_head head = {.method = span_of(METHODS[i]),
                                  .scheme_tls = true,
                                  .host = "example.jp",
                                  .path = SPAN("/"),
                                  .end = i < 2};
        if (i == 3)
            head.protocol = SPAN("websocket");
        CHECK(http2_send_request(client, &head, NULL));
    }
    http2_pull(client, out, 1 << 20);
    evbuffer_free(out);
}

static struct http2 *begin(bool server, struct http2_options options)
{
    struct http2 *end = server ? http2_new_server(&options) : http2_new_client(&options);
    struct evbuffer *start = bytes_new(server);
    size_t size = evbuffer_get_length(start);
    if (!server)
        ask(end);
    http2_feed(end, evbuffer_pullup(start, -1), size, 0);
    evbuffer_free(start);
    return end;
}

/* --- the same for any splitting, as long as nothing is pulled --- */

/*
 * Of a body that is longer than its head says, more is told when it comes in pieces: nghttp2 keeps
 * the whole chunk that goes too far to itself. So only the end of such a body is compared.
 */
static void record_but_measured(void *context, const struct http2_event *event)
{
    if (event->kind == HTTP2_BODY && http2_stream_head(event->stream)->has_length)
        http2_consume_body(event->stream, event->data.size);
    else
        record(context, event);
}

static void record_all(struct recorder *recorder, bool server, const uint8_t *bytes, size_t size,
                       size_t first, size_t step)
{
    struct http2_options options = tiny_options();
    options.handler = record_but_measured;
    options.context = recorder;
    struct http2 *end = begin(server, options);
    for (size_t piece = first; size > 0; piece = step) {
        if (piece == 0 || piece > size)
            piece = size;
        http2_feed(end, bytes, piece, 0);
        bytes += piece;
        size -= piece;
    }
    http2_free(end);
}

static void check_same(struct recorder *a, struct recorder *b, size_t id)
{
    const char *left = recorded(a, id), *right = recorded(b, id);
    if (strcmp(left, right) == 0)
        return;
    fprintf(stderr, "stream %zu:\n%s---\n%s", id, left, right);
    abort();
}

static void same_for_any_splitting(bool server, const uint8_t *bytes, size_t size, size_t cut)
{
    static struct recorder whole, halves, single;
    record_all(&whole, server, bytes, size, 0, 0);
    record_all(&halves, server, bytes, size, cut, 0);
    record_all(&single, server, bytes, size, 1, 1);
    /* After a GOAWAY nghttp2 stops to read as soon as it is called with no stream open. */
    bool same = whole.goaways + halves.goaways + single.goaways == 0;
    for (size_t i = 0; same && i < RECORDED_STREAMS - 1; i++) {
        check_same(&whole, &halves, i);
        check_same(&whole, &single, i);
    }
    recorder_clear(&whole);
    recorder_clear(&halves);
    recorder_clear(&single);
}

/* --- a user that does things --- */

enum progress { FRESH, HEADED, TRAILED, ENDED };

/* What the user knows of a stream. */
struct known {
    enum progress progress;
    size_t given, sent, unconsumed;
};

struct user {
    struct http2 *end;
    bool server, errors;
};

static void answer(struct user *user, const struct http2_event *event)
{
    struct http2_head head = {.status = 200, .end = event->head->method.size % 5 == 0};
    struct known *known = event->user;
    if (!user->server)
        return;
    if (event->head->path.size > 3)
        http2_send_interim(event->stream, &(struct http2_head){.status = 103});
    http2_send_response(event->stream, &head);
    if (!head.end)
        known->given += 5;
    http2_send_body(event->stream, SPAN("hello"));
    if (event->head->field_count > 2)
        http2_stop_stream(event->stream);
    if (event->head->end)
        http2_send_trailer(event->stream, event->head->fields, event->head->field_count);
}

static void let_go(const struct http2_event *event, uint32_t code)
{
    free(event->user);
    http2_release_stream(event->stream, code);
}

static void act(void *context, const struct http2_event *event)
{
    struct user *user = context;
    struct known *known = event->user;
    CHECK(!user->errors);
    if (event->stream && !known) {
        known = calloc(1, sizeof(*known));
        CHECK(known);
        http2_set_user(event->stream, known);
    }
    struct http2_event copy = *event;
    copy.user = known;
    switch (event->kind) {
    case HTTP2_HEAD:
        CHECK(known->progress == FRESH);
        known->progress = HEADED;
        answer(user, &copy);
        break;
    case HTTP2_INTERIM:
        CHECK(known->progress == FRESH && event->head->status < 200);
        break;
    case HTTP2_BODY:
        CHECK(known->progress == HEADED);
        known->unconsumed += event->data.size;
        if (event->data.data[0] == 'r') {
            let_go(&copy, HTTP2_CANCEL);
            return;
        }
        if (event->data.data[0] != 'k')
            http2_consume_body(event->stream, event->data.size);
        if (http2_stream_room(event->stream) > 0) {
            http2_send_body(event->stream, event->data);
            known->given += event->data.size;
        }
        break;
    case HTTP2_TRAILER:
        CHECK(known->progress == HEADED && event->field_count > 0);
        known->progress = TRAILED;
        break;
    case HTTP2_END:
        CHECK(known->progress == HEADED || known->progress == TRAILED);
        known->progress = ENDED;
        http2_send_end(event->stream);
        break;
    case HTTP2_SENT:
        known->sent += event->size;
        CHECK(known->sent <= known->given);
        break;
    case HTTP2_CLOSED:
        CHECK(known->progress == ENDED || user->server);
        let_go(&copy, 0);
        break;
    case HTTP2_RESET:
        let_go(&copy, 0);
        break;
    case HTTP2_ERROR:
        user->errors = true;
        break;
    default:
        CHECK(!event->stream);
        break;
    }
}

static void check_frames(struct evbuffer *out)
{
    static struct frame frame;
    while (evbuffer_get_length(out) > 0) {
        CHECK(frame_take(out, &frame));
        CHECK(frame.size <= 16384 && frame.type <= CONTINUATION && frame.type != PUSH_PROMISE);
    }
}

static void use(bool server, const uint8_t *bytes, size_t size, size_t step)
{
    struct user user = {.server = server};
    struct http2_options options = tiny_options();
    struct evbuffer *out = evbuffer_new();
    options.handler = act;
    options.context = &user;
    user.end = begin(server, options);
    while (size > 0) {
        size_t piece = size < step ? size : step;
        http2_feed(user.end, bytes, piece, (int64_t)size);
        bytes += piece;
        size -= piece;
        http2_pull(user.end, out, step);
        memset(http2_frame_buffer, 0xa5, HTTP2_FRAME_BUFFER);
    }
    http2_pull(user.end, out, 1 << 20);
    CHECK(!http2_wants_pull(user.end));
    CHECK(!user.errors || http2_is_over(user.end));
    check_frames(out);
    evbuffer_free(out);
    /* the handles that are left have their notes still */
    for (struct http2_stream *stream = user.end->streams; stream; stream = stream->next)
        if (stream->owned)
            free(stream->user);
    http2_free(user.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2 || size > 4096)
        return 0;
    bool server = bytes[0] & 1;
    size_t cut = 1 + (size_t)bytes[0] * size / 256;
    same_for_any_splitting(server, bytes + 1, size - 1, cut);
    use(server, bytes + 1, size - 1, cut);
    return 0;
}
