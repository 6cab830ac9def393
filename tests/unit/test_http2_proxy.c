/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The example of how two ends of the HTTP/2 adapter are paired (see gateway/http2.h): a small proxy
 * in memory, between a client and an origin, through tiny windows and tiny pieces, with bodies of
 * any size both ways, trailers, interim answers, and streams that either side resets or cuts short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/http2_fixture.h"

#define STREAMS 50

struct proxy_pair {
    struct http2_stream *near, *far;
    bool near_over, far_over;
    bool answered; /* the origin's message is whole */
};

struct proxy {
    struct http2 *client, *a, *b, *origin;
    struct proxy_pair pairs[STREAMS];
    size_t count;
    /* the ends: what they send, and what came */
    uint32_t seed;
    struct http2_stream *asked[STREAMS];
    size_t up[STREAMS], down[STREAMS], up_got[STREAMS], down_got[STREAMS];
    bool up_end[STREAMS], down_end[STREAMS], reset[STREAMS];
};

static uint32_t next(struct proxy *proxy)
{
    proxy->seed = proxy->seed * 1664525 + 1013904223;
    return proxy->seed >> 8;
}

static void pair_release(struct proxy_pair *pair, uint32_t near_code, uint32_t far_code)
{
    if (pair->near)
        http2_release_stream(pair->near, near_code);
    if (pair->far)
        http2_release_stream(pair->far, far_code);
    pair->near = pair->far = NULL;
}

/* What is the same in both directions; false when it is not such an event. */
static bool pass_on(const struct http2_event *event, struct http2_stream *to)
{
    switch (event->kind) {
    case HTTP2_BODY:
        http2_send_body(to, event->data);
        return true;
    case HTTP2_SENT:
        http2_consume_body(to, event->size);
        return true;
    case HTTP2_TRAILER:
        http2_send_trailer(to, event->fields, event->field_count);
        return true;
    case HTTP2_END:
        http2_send_end(to);
        return true;
    default:
        return false;
    }
}

static void on_near(void *context, const struct http2_event *event)
{
    struct proxy *proxy = context;
    struct proxy_pair *pair = event->user;
    if (event->kind == HTTP2_HEAD) {
        pair = &proxy->pairs[proxy->count++];
        http2_set_user(event->stream, pair);
        pair->near = event->stream;
        pair->far = http2_send_request(proxy->b, event->head, pair);
        assert_non_null(pair->far);
    } else if (pair && pass_on(event, pair->far)) {
        return;
    } else if (event->kind == HTTP2_RESET) {
        pair_release(pair, 0, event->code);
    } else if (event->kind == HTTP2_CLOSED) {
        pair->near_over = true;
        if (pair->far_over)
            pair_release(pair, 0, 0);
    } else {
        assert_int_equal(event->kind, HTTP2_SETTINGS);
    }
}

static void on_far(void *context, const struct http2_event *event)
{
    struct proxy_pair *pair = event->user;
    (void)context;
    if (event->kind == HTTP2_HEAD)
        http2_send_response(pair->near, event->head);
    else if (event->kind == HTTP2_INTERIM)
        http2_send_interim(pair->near, event->head);
    if (pair && pass_on(event, pair->near))
        pair->answered |= event->kind == HTTP2_END;
    else if (event->kind == HTTP2_RESET && !pair->answered)
        pair_release(pair, event->code, 0);
    else if (event->kind == HTTP2_RESET)
        http2_stop_stream(pair->near);
    if (event->kind != HTTP2_CLOSED && event->kind != HTTP2_RESET)
        return;
    pair->far_over = true;
    if (pair->near_over)
        pair_release(pair, 0, 0);
}

/* --- its ends: every body is a run of bytes that its stream determines --- */

static char byte_at(size_t stream, size_t at, bool up)
{
    return (char)(at * 7 + stream * 31 + (at >> 9) + up);
}

static void send_all(struct http2_stream *stream, size_t index, size_t size, bool up)
{
    char *body = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        body[i] = byte_at(index, i, up);
    http2_send_body(stream, (struct span){body, size});
    free(body);
    if (index % 3 == 0)
        http2_send_trailer(stream, (const struct field[]){{SPAN("sum"), SPAN("1")}}, 1);
    http2_send_end(stream);
}

static void check_body(const struct http2_event *event, size_t index, size_t *got, bool up)
{
    for (size_t i = 0; i < event->data.size; i++)
        if (event->data.data[i] != byte_at(index, (*got)++, up))
            fail_msg("stream %zu: another byte at %zu", index, *got - 1);
    http2_consume_body(event->stream, event->data.size);
}

static void on_origin(void *context, const struct http2_event *event)
{
    struct proxy *proxy = context;
    size_t index = (uintptr_t)event->user;
    struct http2_head head = {.status = 200};
    switch (event->kind) {
    case HTTP2_HEAD:
        index = (size_t)atoi(event->head->path.data + 1);
        http2_set_user(event->stream, (void *)(uintptr_t)index);
        if (index % 10 == 9) {
            http2_release_stream(event->stream, HTTP2_INTERNAL_ERROR);
            return;
        }
        if (index % 4 == 0)
            http2_send_interim(event->stream, &(struct http2_head){.status = 103});
        http2_send_response(event->stream, &head);
        send_all(event->stream, index, proxy->down[index], false);
        if (index % 10 == 7)
            http2_stop_stream(event->stream);
        break;
    case HTTP2_BODY:
        check_body(event, index, &proxy->up_got[index], true);
        break;
    case HTTP2_END:
        proxy->up_end[index] = true;
        break;
    case HTTP2_CLOSED:
    case HTTP2_RESET:
        http2_release_stream(event->stream, 0);
        break;
    default:
        assert_int_not_equal(event->kind, HTTP2_ERROR);
        break;
    }
}

static void on_client(void *context, const struct http2_event *event)
{
    struct proxy *proxy = context;
    size_t index = (uintptr_t)event->user;
    switch (event->kind) {
    case HTTP2_HEAD:
        assert_int_equal(event->head->status, 200);
        break;
    case HTTP2_BODY:
        check_body(event, index, &proxy->down_got[index], false);
        if (index % 10 == 3 && proxy->down_got[index] > proxy->down[index] / 2) {
            http2_release_stream(event->stream, HTTP2_CANCEL);
            proxy->asked[index] = NULL;
        }
        break;
    case HTTP2_END:
        proxy->down_end[index] = true;
        break;
    case HTTP2_RESET:
        proxy->reset[index] = true;
        if (index % 10 == 9)
            assert_int_equal(event->code, HTTP2_INTERNAL_ERROR);
        else
            assert_int_equal(event->code, HTTP2_NO_ERROR);
        /* fall through */
    case HTTP2_CLOSED:
        http2_release_stream(event->stream, 0);
        proxy->asked[index] = NULL;
        break;
    default:
        break;
    }
}

static void proxy_ask(struct proxy *proxy, size_t index)
{
    char path[20];
    struct http2_head head = request_head("POST", false);
    snprintf(path, sizeof(path), "/%zu", index);
    head.path = span_of(path);
    proxy->up[index] = next(proxy) % 120000;
    proxy->down[index] = next(proxy) % 120000;
    proxy->asked[index] = http2_send_request(proxy->client, &head, (void *)(uintptr_t)index);
    send_all(proxy->asked[index], index, proxy->up[index], true);
}

/* Some random bytes at a time in every direction, until nothing moves. */
static void proxy_run(struct proxy *proxy)
{
    struct http2 *const ways[][2] = {{proxy->client, proxy->a},
                                     {proxy->a, proxy->client},
                                     {proxy->b, proxy->origin},
                                     {proxy->origin, proxy->b}};
    for (unsigned still = 0; still < 3; still++)
        for (size_t i = 0; i < 4; i++)
            if (carry(ways[i][0], ways[i][1], 1 + next(proxy) % 5000))
                still = 0;
}

static void proxy_check(const struct proxy *proxy, size_t index)
{
    bool cancelled = index % 10 == 3, refused = index % 10 == 9, stopped = index % 10 == 7;
    if (proxy->asked[index])
        fail_msg("stream %zu is still there", index);
    if (!cancelled && !refused && !stopped) {
        assert_true(proxy->up_end[index]);
        assert_int_equal(proxy->up_got[index], proxy->up[index]);
    }
    if (!cancelled && !refused) {
        assert_true(proxy->down_end[index]);
        assert_int_equal(proxy->down_got[index], proxy->down[index]);
    }
    assert_true(!refused || proxy->reset[index]);
    assert_true(!refused || !proxy->down_end[index]);
}

static void proxy_round(uint32_t seed)
{
    struct proxy proxy = {.seed = seed};
    struct http2_options options = HTTP2_DEFAULTS;
    options.stream_window = 6000;
    options.connection_window = 65535;
    options.context = &proxy;
    options.handler = on_client;
    proxy.client = http2_new_client(&options);
    options.handler = on_origin;
    proxy.origin = http2_new_server(&options);
    options.handler = on_near;
    proxy.a = http2_new_server(&options);
    options.handler = on_far;
    proxy.b = http2_new_client(&options);
    for (size_t i = 0; i < STREAMS; i++)
        proxy_ask(&proxy, i);
    proxy_run(&proxy);
    for (size_t i = 0; i < STREAMS; i++)
        proxy_check(&proxy, i);
    assert_int_equal(proxy.count, STREAMS);
    for (size_t i = 0; i < STREAMS; i++)
        assert_true(!proxy.pairs[i].near && !proxy.pairs[i].far);
    struct http2 *const ends[] = {proxy.client, proxy.a, proxy.b, proxy.origin};
    for (size_t i = 0; i < 4; i++) {
        assert_true(http2_is_idle(ends[i]));
        assert_int_equal(http2_error(ends[i]), HTTP2_ERROR_NONE);
        http2_free(ends[i]);
    }
}

static void test_proxy(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 3; seed++)
        proxy_round(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
