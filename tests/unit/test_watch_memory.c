/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What looking through a chat takes of memory: each coding is fed with what makes it take the most,
 * and must stay below what watch.h and the manual say. Where malloc does not tell (sanitizers) only
 * the result is checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <brotli/encode.h>
#include <malloc.h>
#include <zlib.h>
#include <zstd.h>

#include "gateway/chat_text.h"
#include "gateway/decode.h"
#include "gateway/watch.h"

#define SIZE (18u << 20) /* more than the largest window */
#define ROOM (SIZE + (1u << 20))
#define STEP 16384

struct bytes {
    char *data;
    size_t size;
};

static struct bytes plain, coded;
static size_t links;

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static bool malloc_tells(void)
{
    size_t before = in_use();
    char *some = malloc(1 << 20);
    bool tells;

    assert_non_null(some);
    memset(some, 1, 1 << 20);
    tells = in_use() >= before + (1 << 20) && some[77] == 1;
    free(some);
    return tells;
}

/* Letters that no coding can do much about; at the end a link, and text in base64 before it. */
static int set_up(void **state)
{
    static const char end[] =
        "\" \"aHR0cHM6Ly9ldmlsLmV4YW1wbGUuanAvYQ==\" https://evil.example.jp/b ";
    uint32_t random = 7;

    (void)state;
    plain = (struct bytes){malloc(SIZE), SIZE};
    coded = (struct bytes){malloc(ROOM), 0};
    if (plain.data == NULL || coded.data == NULL)
        return -1;
    for (size_t i = 0; i < SIZE; i++) {
        random = random * 1664525 + 1013904223;
        plain.data[i] = (char)('@' + (random >> 25 & 63));
    }
    memcpy(plain.data + SIZE - sizeof(end) + 1, end, sizeof(end) - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(plain.data);
    free(coded.data);
    return 0;
}

static void code_plain(void)
{
    memcpy(coded.data, plain.data, plain.size);
    coded.size = plain.size;
}

static void code_zlib(int window_bits)
{
    z_stream stream = {.next_in = (const Bytef *)plain.data,
                       .avail_in = (unsigned)plain.size,
                       .next_out = (Bytef *)coded.data,
                       .avail_out = ROOM};

    assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    coded.size = stream.total_out;
    deflateEnd(&stream);
}

static void code_gzip(void)
{
    code_zlib(15 + 16);
}

static void code_deflate(void)
{
    code_zlib(15);
}

static void code_brotli(void)
{
    coded.size = ROOM;
    assert_true(BrotliEncoderCompress(1, 24, BROTLI_MODE_GENERIC, plain.size,
                                      (const uint8_t *)plain.data, &coded.size,
                                      (uint8_t *)coded.data));
}

static void code_zstd(void)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();

    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 23);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    coded.size = ZSTD_compress2(context, coded.data, ROOM, plain.data, plain.size);
    assert_false(ZSTD_isError(coded.size));
    ZSTD_freeCCtx(context);
}

static void on_link(void *context, const struct found_link *link)
{
    (void)context;
    (void)link;
    links++;
}

static void on_decoded(void *context, struct span bytes)
{
    chat_text_feed(context, bytes);
}

/* The most that was in use meanwhile. */
static size_t look_through(const char *coding)
{
    size_t before = in_use(), most = 0;
    struct chat_text *text = chat_text_new(SPAN("application/json"), SPAN(""), on_link, NULL, NULL);
    struct decoder *decoder = decoder_new_stream(span_of(coding), on_decoded, text);

    assert_non_null(decoder);
    links = 0;
    for (size_t at = 0; at < coded.size; at += STEP) {
        size_t size = coded.size - at < STEP ? coded.size - at : STEP;
        assert_int_equal(decoder_feed(decoder, coded.data + at, size), 0);
        most = in_use() > most ? in_use() : most;
    }
    chat_text_end(text);
    most = in_use() > most ? in_use() : most;
    decoder_free(decoder);
    chat_text_free(text);
    assert_in_range(links, 2, 64);
    return most > before ? most - before : 0;
}

static const struct {
    const char *coding;
    size_t most;
    void (*code)(void);
} rows[] = {
#define X(name, function, bytes) {name, bytes, code_##function},
    WATCH_MEMORY(X)
#undef X
};

static void test_bodies(void **state)
{
    bool tells = malloc_tells();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rows[i].code();
        size_t used = look_through(rows[i].coding);
        print_message("%-8s %7zu of %8zu bytes\n", rows[i].coding, used, rows[i].most);
        if (tells)
            assert_in_range(used, rows[i].most / 3, rows[i].most);
    }
}

/* --- a WebSocket --- */

static void on_websocket(void *context, const struct websocket_event *event)
{
    if (event->kind == WEBSOCKET_EVENT_CONTENT)
        chat_text_feed(context, event->bytes);
    else if (event->kind == WEBSOCKET_EVENT_MESSAGE)
        chat_text_end(context);
}

static void test_websocket(void **state)
{
    const struct websocket_parameters parameters = {
        .deflate = true, .client = {.window_bits = 15}, .server = {.window_bits = 15}};
    static const uint8_t head[] = {0xc1, 127, 0, 0, 0, 0};
    size_t before, most = 0, size;
    struct chat_text *text;
    struct websocket *websocket;

    (void)state;
    plain.size = 4 << 20; /* the first part: the end stands alone below */
    code_zlib(-15);
    plain.size = SIZE;
    before = in_use();
    text = chat_text_new_messages(SPAN("xmpp"), on_link, NULL, NULL);
    websocket = websocket_new_server(&parameters, on_websocket, text);
    uint32_t length = (uint32_t)coded.size;
    uint8_t tail[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                      (uint8_t)length};
    assert_int_equal(websocket_feed(websocket, head, sizeof(head)), WEBSOCKET_ERROR_NONE);
    assert_int_equal(websocket_feed(websocket, tail, sizeof(tail)), WEBSOCKET_ERROR_NONE);
    for (size_t at = 0; at < coded.size; at += STEP) {
        size = coded.size - at < STEP ? coded.size - at : STEP;
        assert_int_equal(websocket_feed(websocket, coded.data + at, size), WEBSOCKET_ERROR_NONE);
        most = in_use() > most ? in_use() : most;
    }
    websocket_free(websocket);
    chat_text_free(text);
    print_message("WebSocket %6zu of %8d bytes\n", most - before, WATCH_MEMORY_WEBSOCKET);
    if (malloc_tells())
        assert_in_range(most - before, WATCH_MEMORY_WEBSOCKET / 3, WATCH_MEMORY_WEBSOCKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_websocket),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
