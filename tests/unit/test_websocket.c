/* SPDX-License-Identifier: BSD-2-Clause */
/* The WebSocket core: what messages hold, for any size, fragmentation and cut, and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <zlib.h>

#include "tests/unit/websocket_transcript.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct websocket_parameters PLAIN = {.client = {false, 15}, .server = {false, 15}};
static const struct websocket_parameters TAKEOVER = {true, {false, 15}, {false, 15}};
static const struct websocket_parameters NO_TAKEOVER = {true, {true, 15}, {true, 15}};

/* --- a peer that writes frames --- */

struct bytes {
    char *data;
    size_t size, room;
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * (bytes->size + size) + 64;
        bytes->data = realloc(bytes->data, bytes->room);
        assert_non_null(bytes->data);
    }
    if (size)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void put_frame(struct bytes *bytes, bool masked, unsigned first, struct span payload)
{
    static const uint8_t mask[4] = {0x5a, 0x00, 0xff, 0x13};
    uint8_t head[10] = {(uint8_t)first};
    size_t size = 2, length = payload.size < 126 ? 0 : payload.size <= UINT16_MAX ? 2 : 8;
    head[1] = (uint8_t)(length == 0 ? payload.size : length == 2 ? 126 : 127);
    for (size_t i = length; i > 0; i--)
        head[size++] = (uint8_t)(payload.size >> 8 * (i - 1));
    head[1] |= masked ? 0x80 : 0;
    put(bytes, head, size);
    if (masked)
        put(bytes, mask, sizeof(mask));
    put(bytes, payload.data, payload.size);
    for (size_t i = 0; masked && i < payload.size; i++)
        bytes->data[bytes->size - payload.size + i] ^= (char)mask[i & 3];
}

/* A message in frames of `fragment` bytes (0: one frame), with a ping between them when asked. */
static void put_message(struct bytes *bytes, bool masked, unsigned first, struct span payload,
                        size_t fragment, bool pings)
{
    first &= 0x7fu;
    for (;;) {
        size_t size = fragment && fragment < payload.size ? fragment : payload.size;
        bool last = size == payload.size;
        put_frame(bytes, masked, first | (last ? 0x80u : 0), span_first(payload, size));
        payload = span_from(payload, size);
        first = 0;
        if (last)
            return;
        if (pings)
            put_frame(bytes, masked, 0x89, SPAN("?"));
    }
}

static struct bytes deflate_message(z_stream *zlib, struct span message)
{
    struct bytes out = {0};
    char piece[4096];
    zlib->next_in = (Bytef *)(uintptr_t)message.data;
    zlib->avail_in = (unsigned)message.size;
    do {
        zlib->next_out = (Bytef *)piece;
        zlib->avail_out = sizeof(piece);
        int code = deflate(zlib, Z_SYNC_FLUSH);
        assert_true(code == Z_OK || code == Z_BUF_ERROR);
        put(&out, piece, sizeof(piece) - zlib->avail_out);
    } while (zlib->avail_out == 0);
    assert_true(out.size >= 4 && memcmp(out.data + out.size - 4, "\0\0\xff\xff", 4) == 0);
    out.size -= 4;
    return out;
}

static void deflate_begin(z_stream *zlib, int bits)
{
    memset(zlib, 0, sizeof(*zlib));
    assert_int_equal(deflateInit2(zlib, 6, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

/* Something between noise and text; ASCII, so that it may go as text. */
static struct bytes sample(size_t size)
{
    struct bytes bytes = {0};
    uint32_t state = (uint32_t)size * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        char byte = i % 64 < 40 ? (char)('a' + i % 23) : (char)(' ' + (state >> 24) % 90);
        put(&bytes, &byte, 1);
    }
    return bytes;
}

static struct span span_bytes(const struct bytes *bytes)
{
    return (struct span){bytes->data, bytes->size};
}

static void assert_told(bool client, const struct websocket_parameters *parameters,
                        struct span bytes, size_t first, size_t step, const char *wanted)
{
    struct transcript transcript;
    transcript_make(&transcript, client, parameters, bytes, first, step);
    assert_string_equal(transcript.text, wanted);
    free(transcript.text);
}

/* The same for every place of one cut, and byte by byte. */
static void assert_told_however_cut(bool client, const struct websocket_parameters *parameters,
                                    struct span bytes, const char *wanted)
{
    assert_told(client, parameters, bytes, 1, 1, wanted);
    for (size_t first = 1; first <= bytes.size; first++)
        assert_told(client, parameters, bytes, first, bytes.size, wanted);
}

/* --- what passes --- */

static const size_t sizes[] = {0,     1,     2,     3,     4,     5,     7,     63,    124,
                               125,   126,   127,   128,   129,   130,   255,   256,   1000,
                               4095,  4096,  4097,  8191,  8192,  8193,  12289, 16384, 32767,
                               32768, 40001, 65534, 65535, 65536, 65537, 69999, 70000};

static void check_size(size_t size, bool client, unsigned opcode, size_t fragment, bool pings)
{
    struct bytes message = sample(size), wire = {0};
    struct transcript transcript;
    char line[80], wanted[80];

    put_message(&wire, client, opcode, span_bytes(&message), fragment, pings);
    put_frame(&wire, client, 0x8a, SPAN("!"));
    /* Content that a ping parts is several lines: only without them the hash is of the whole. */
    transcript_make(&transcript, client, &PLAIN, span_bytes(&wire), 5, 1021);
    if (size && (fragment == 0 || fragment >= size)) {
        snprintf(line, sizeof(line), "content %zu %" PRIx64 "\n", size,
                 hash_bytes(HASH_START, span_bytes(&message)));
        assert_non_null(strstr(transcript.text, line));
    }
    snprintf(wanted, sizeof(wanted),
             "message %x\nframe a final 1\ncontrol a 0 !\nno error, between\n", opcode);
    assert_true(span_ends(span_of(transcript.text), span_of(wanted)));
    free(transcript.text);
    free(wire.data);
    free(message.data);
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (unsigned way = 0; way < 4; way++)
            check_size(sizes[i], way & 1, way & 2 ? WEBSOCKET_TEXT : WEBSOCKET_BINARY, 0, false);
    for (size_t size = 17; size < 70000; size += 2503)
        check_size(size, true, WEBSOCKET_BINARY, 900, true);
}

struct collected {
    struct bytes content;
    unsigned messages;
    size_t largest;
};

static void collect(void *context, const struct websocket_event *event)
{
    struct collected *collected = context;
    if (event->kind == WEBSOCKET_EVENT_CONTENT) {
        put(&collected->content, event->bytes.data, event->bytes.size);
        if (event->bytes.size > collected->largest)
            collected->largest = event->bytes.size;
    }
    collected->messages += event->kind == WEBSOCKET_EVENT_MESSAGE && event->whole;
}

static struct websocket *parser_new(bool client, const struct websocket_parameters *parameters,
                                    websocket_told *told, void *context)
{
    return client ? websocket_new_client(parameters, told, context)
                  : websocket_new_server(parameters, told, context);
}

/* Every size in one connection, whole and fragmented, compressed and not, compared byte by byte. */
static void check_connection(bool client, const struct websocket_parameters *parameters, int bits,
                             size_t fragment)
{
    struct collected collected = {0};
    struct bytes all = {0};
    struct websocket *parser = parser_new(client, parameters, collect, &collected);
    z_stream zlib;
    deflate_begin(&zlib, bits);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct bytes message = sample(sizes[i]), wire = {0}, compressed;
        put(&all, message.data, message.size);
        if (client ? parameters->client.no_context_takeover
                   : parameters->server.no_context_takeover)
            deflateReset(&zlib);
        compressed = deflate_message(&zlib, span_bytes(&message));
        put_message(&wire, client, i % 2 ? 0x41 : 0x42, span_bytes(&compressed), fragment, true);
        /* An extension negotiated is no extension used. */
        put_message(&wire, client, 0x02, span_bytes(&message), fragment, true);
        put(&all, message.data, message.size);
        for (struct span rest = span_bytes(&wire); rest.size; rest = span_from(rest, 777))
            assert_int_equal(websocket_feed(parser, rest.data, span_first(rest, 777).size), 0);
        assert_true(websocket_is_between(parser));
        free(message.data);
        free(wire.data);
        free(compressed.data);
    }
    deflateEnd(&zlib);
    assert_int_equal(collected.messages, 2 * COUNT(sizes));
    assert_int_equal(collected.content.size, all.size);
    assert_memory_equal(collected.content.data, all.data, all.size);
    assert_true(collected.largest <= 8192);
    websocket_free(parser);
    free(collected.content.data);
    free(all.data);
}

static void test_compressed(void **state)
{
    (void)state;
    static const struct websocket_parameters small = {true, {false, 9}, {false, 10}};
    static const struct websocket_parameters eight = {true, {false, 8}, {false, 8}};
    for (unsigned client = 0; client < 2; client++) {
        check_connection(client, &TAKEOVER, 15, 0);
        check_connection(client, &TAKEOVER, 15, 100);
        check_connection(client, &NO_TAKEOVER, 15, 1000);
        check_connection(client, &small, 9, 0);
        check_connection(client, &eight, 9, 0);
    }
}

/* RFC 7692, section 7.2.3: the examples; the stream may be ended inside a message. */
static void test_compressed_examples(void **state)
{
    (void)state;
    char hello[64], wanted[600];
    snprintf(hello, sizeof(hello), "content 5 %" PRIx64 "\n",
             hash_bytes(HASH_START, SPAN("Hello")));
    snprintf(wanted, sizeof(wanted),
             "frame 1 final 5\n%smessage 1\n"                   /* with the window of before */
             "frame 1 final 11\n%smessage 1\n"                  /* one block without compression */
             "frame 1 final 8\n%smessage 1\n"                   /* final block */
             "frame 1 final 13\n%smessage 1\n"                  /* two blocks */
             "frame 1 final 5\n%smessage 1\n"                   /* the window outlives the end */
             "frame 1 final 1\nmessage 1\nno error, between\n", /* nothing */
             hello, hello, hello, hello, hello);
    struct span wire = SPAN("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"
                            "\xc1\x05\xf2\x00\x11\x00\x00"
                            "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"
                            "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
                            "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"
                            "\xc1\x05\xf2\x00\x11\x00\x00"
                            "\xc1\x01\x00");
    struct transcript transcript;
    transcript_make(&transcript, false, &TAKEOVER, wire, wire.size, 1);
    /* The first message is in two fragments: what each of them gives is a line of its own. */
    char *tail = strstr(transcript.text, "frame 1 final 5\n");
    assert_non_null(tail);
    assert_string_equal(tail, wanted);
    assert_told_however_cut(false, &TAKEOVER, wire, transcript.text);
    free(transcript.text);
}

static void test_text(void **state)
{
    (void)state;
    /* characters of every length, cut by fragments inside them */
    static const char text[] = "a\xc2\xa2\xe3\x81\x82\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x8d\x88"
                               "\xf4\x8f\xbf\xbf 12345678 12345678\xe3\x80\x82";
    struct span whole = SPAN(text);
    for (size_t fragment = 1; fragment <= whole.size; fragment++) {
        struct bytes wire = {0};
        put_message(&wire, true, WEBSOCKET_TEXT, whole, fragment, true);
        struct transcript transcript;
        assert_int_equal(transcript_make(&transcript, true, &PLAIN, span_bytes(&wire), 1, 1), 0);
        assert_told_however_cut(true, &PLAIN, span_bytes(&wire), transcript.text);
        free(transcript.text);
        free(wire.data);
    }
}

static void test_close(void **state)
{
    (void)state;
    assert_told_however_cut(false, &PLAIN, SPAN("\x88\x00"),
                            "frame 8 final 0\ncontrol 8 1005 \nno error, between, closed\n");
    assert_told_however_cut(false, &PLAIN,
                            SPAN("\x88\x05\x03\xe9"
                                 "bye"),
                            "frame 8 final 5\ncontrol 8 1001 bye\nno error, between, closed\n");
    /* in the middle of a message */
    assert_told_however_cut(false, &PLAIN, SPAN("\x01\x00\x88\x02\x0f\xa0"),
                            "frame 1 0\nframe 8 final 2\ncontrol 8 4000 \nno error, closed\n");
    assert_told_however_cut(false, &PLAIN, SPAN("\x88\x00\x89\x00"),
                            "frame 8 final 0\ncontrol 8 1005 \n"
                            "frame after the close frame, closed\n");
}

static void test_close_codes(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code += code < 5100 ? 1 : 997) {
        char wire[4] = {(char)0x88, 2, (char)(code >> 8), (char)code};
        bool good = (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
                    (code >= 3000 && code < 5000);
        struct transcript transcript;
        enum websocket_error error = transcript_make(
            &transcript, false, &PLAIN, (struct span){wire, sizeof(wire)}, sizeof(wire), 1);
        assert_int_equal(error, good ? WEBSOCKET_ERROR_NONE : WEBSOCKET_ERROR_CLOSE_CODE);
        free(transcript.text);
    }
}

/* --- what is refused --- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        bool client, deflate;
        struct span wire;
        enum websocket_error error;
    } cases[] = {
        {false, false, SPAN("\xc1\x00"), WEBSOCKET_ERROR_RESERVED_BITS},
        {false, true, SPAN("\xa1\x00"), WEBSOCKET_ERROR_RESERVED_BITS},
        {false, true, SPAN("\x91\x00"), WEBSOCKET_ERROR_RESERVED_BITS},
        {false, true, SPAN("\x01\x00\xc0\x00"), WEBSOCKET_ERROR_RESERVED_BITS},
        {false, true, SPAN("\xc9\x00"), WEBSOCKET_ERROR_RESERVED_BITS},
        {false, true, SPAN("\xc8\x00"), WEBSOCKET_ERROR_RESERVED_BITS},
        {false, false, SPAN("\x83\x00"), WEBSOCKET_ERROR_OPCODE},
        {false, false, SPAN("\x87\x00"), WEBSOCKET_ERROR_OPCODE},
        {false, false, SPAN("\x8b\x00"), WEBSOCKET_ERROR_OPCODE},
        {false, false, SPAN("\x8f\x00"), WEBSOCKET_ERROR_OPCODE},
        {false, false, SPAN("\x81\x80\1\2\3\4"), WEBSOCKET_ERROR_MASKING},
        {true, false, SPAN("\x81\x00"), WEBSOCKET_ERROR_MASKING},
        {true, false, SPAN("\x89\x00"), WEBSOCKET_ERROR_MASKING},
        {false, false, SPAN("\x82\x7e\x00\x7d"), WEBSOCKET_ERROR_LENGTH},
        {false, false, SPAN("\x82\x7e\x00\x00"), WEBSOCKET_ERROR_LENGTH},
        {false, false, SPAN("\x82\x7f\0\0\0\0\0\0\xff\xff"), WEBSOCKET_ERROR_LENGTH},
        {false, false, SPAN("\x82\x7f\x80\0\0\0\0\1\0\0"), WEBSOCKET_ERROR_LENGTH},
        {false, false, SPAN("\x09\x00"), WEBSOCKET_ERROR_CONTROL_FRAGMENTED},
        {false, false, SPAN("\x08\x00"), WEBSOCKET_ERROR_CONTROL_FRAGMENTED},
        {false, false, SPAN("\x89\x7e\x00\x7e"), WEBSOCKET_ERROR_CONTROL_TOO_LONG},
        {false, false, SPAN("\x8a\x7f\0\0\0\0\0\1\0\0"), WEBSOCKET_ERROR_CONTROL_TOO_LONG},
        {false, false, SPAN("\x80\x00"), WEBSOCKET_ERROR_CONTINUATION},
        {false, false, SPAN("\x81\x00\x80\x00"), WEBSOCKET_ERROR_CONTINUATION},
        {false, false, SPAN("\x01\x00\x81\x00"), WEBSOCKET_ERROR_INTERLEAVED},
        {false, false, SPAN("\x02\x00\x89\x00\x82\x00"), WEBSOCKET_ERROR_INTERLEAVED},
        {false, false, SPAN("\x88\x01\x03"), WEBSOCKET_ERROR_CLOSE_CODE},
        {false, false, SPAN("\x88\x02\x03\xed"), WEBSOCKET_ERROR_CLOSE_CODE},
        {false, false, SPAN("\x88\x03\x03\xe8\xff"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x88\x04\x03\xe8\xe3\x81"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x88\x00\x81\x00"), WEBSOCKET_ERROR_AFTER_CLOSE},
        {false, false, SPAN("\x81\x01\x80"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x81\x01\xe3"), WEBSOCKET_ERROR_TEXT},
        {false, false,
         SPAN("\x01\x01\xe3\x80\x01"
              "a"),
         WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x81\x02\xc0\xaf"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x81\x03\xe0\x9f\xbf"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x81\x03\xed\xa0\x80"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x81\x04\xf0\x8f\xbf\xbf"), WEBSOCKET_ERROR_TEXT},
        {false, false, SPAN("\x81\x04\xf4\x90\x80\x80"), WEBSOCKET_ERROR_TEXT},
        {false, false,
         SPAN("\x81\x0a"
              "123456789\xff"),
         WEBSOCKET_ERROR_TEXT},
        {false, true, SPAN("\xc1\x01\x07"), WEBSOCKET_ERROR_COMPRESSION},
        {false, true, SPAN("\xc2\x05\xf2\x00\x11\x00\x00"), WEBSOCKET_ERROR_COMPRESSION},
        /* a byte that is no UTF-8, stored */
        {false, true, SPAN("\xc1\x07\x00\x01\x00\xfe\xff\xff\x00"), WEBSOCKET_ERROR_TEXT},
        /* a character that is not ended, stored */
        {false, true, SPAN("\xc1\x07\x00\x01\x00\xfe\xff\xe3\x00"), WEBSOCKET_ERROR_TEXT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct transcript transcript;
        const struct websocket_parameters *parameters = cases[i].deflate ? &TAKEOVER : &PLAIN;
        enum websocket_error error =
            transcript_make(&transcript, cases[i].client, parameters, cases[i].wire, 1, 1);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, websocket_error_text(error));
        assert_in_range(websocket_error_status(error), 1002, 1007);
        assert_told_however_cut(cases[i].client, parameters, cases[i].wire, transcript.text);
        free(transcript.text);
    }
}

/* Whatever the length says, nothing is allocated for it, and what comes is passed on. */
static void test_endless_frame(void **state)
{
    (void)state;
    struct collected collected = {0};
    struct websocket *parser = websocket_new_server(&PLAIN, collect, &collected);
    assert_int_equal(websocket_feed(parser, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(websocket_feed(parser, "12345678", 8), 0);
    assert_int_equal(collected.content.size, 800);
    assert_false(websocket_is_between(parser));
    websocket_free(parser);
    free(collected.content.data);
}

/* --- limits --- */

struct counted {
    uint64_t content;
    unsigned messages, cut, unwatched;
    struct websocket *parser;
    bool unwatch; /* at the first content */
};

static void count(void *context, const struct websocket_event *event)
{
    struct counted *counted = context;
    counted->content += event->kind == WEBSOCKET_EVENT_CONTENT ? event->bytes.size : 0;
    counted->messages += event->kind == WEBSOCKET_EVENT_MESSAGE;
    counted->cut += event->kind == WEBSOCKET_EVENT_MESSAGE && !event->whole;
    counted->unwatched += event->kind == WEBSOCKET_EVENT_UNWATCHED;
    if (counted->unwatch && event->kind == WEBSOCKET_EVENT_CONTENT)
        websocket_unwatch(counted->parser);
}

static void feed_message(struct websocket *parser, z_stream *zlib, struct span message)
{
    struct bytes wire = {0}, compressed = deflate_message(zlib, message);
    put_message(&wire, false, 0x42, span_bytes(&compressed), 0, false);
    for (struct span rest = span_bytes(&wire); rest.size; rest = span_from(rest, 16384))
        assert_int_equal(websocket_feed(parser, rest.data, span_first(rest, 16384).size), 0);
    free(wire.data);
    free(compressed.data);
}

/* Past the limit nothing is given, but what comes after is still read with the right context. */
static void test_content_limit(void **state)
{
    (void)state;
    struct counted counted = {0};
    struct websocket *parser = websocket_new_server(&TAKEOVER, count, &counted);
    struct bytes large = sample(3 * WEBSOCKET_CONTENT_LIMIT / 2);
    z_stream zlib;
    deflate_begin(&zlib, 15);
    feed_message(parser, &zlib, span_bytes(&large));
    assert_int_equal(counted.content, WEBSOCKET_CONTENT_LIMIT);
    assert_int_equal(counted.cut, 1);
    feed_message(parser, &zlib, span_first(span_bytes(&large), WEBSOCKET_CONTENT_LIMIT));
    assert_int_equal(counted.content, 2 * WEBSOCKET_CONTENT_LIMIT);
    assert_int_equal(counted.cut, 1);
    assert_int_equal(counted.unwatched, 0);
    deflateEnd(&zlib);
    websocket_free(parser);
    free(large.data);
}

static void test_bomb(void **state)
{
    (void)state;
    struct counted counted = {0};
    struct websocket *parser = websocket_new_server(&TAKEOVER, count, &counted);
    size_t size = WEBSOCKET_BOMB_SIZE / 4;
    char *zeros = calloc(size, 1);
    z_stream zlib;
    assert_non_null(zeros);
    deflate_begin(&zlib, 15);
    for (unsigned i = 0; i < 4; i++)
        feed_message(parser, &zlib, (struct span){zeros, size});
    assert_int_equal(counted.unwatched, 0);
    assert_int_equal(counted.content, 4 * WEBSOCKET_CONTENT_LIMIT);
    for (unsigned i = 0; i < 3; i++)
        feed_message(parser, &zlib, (struct span){zeros, size});
    assert_int_equal(counted.unwatched, 1);
    assert_int_equal(counted.messages, 7);
    assert_int_equal(counted.cut, 7);
    /* frames are still checked, and the text of what is not compressed */
    assert_int_equal(websocket_feed(parser,
                                    "\x81\x01"
                                    "a",
                                    3),
                     0);
    assert_int_equal(counted.messages, 8);
    assert_int_equal(websocket_feed(parser, "\x81\x01\xff", 3), WEBSOCKET_ERROR_TEXT);
    deflateEnd(&zlib);
    websocket_free(parser);
    free(zeros);
}

/* Small messages that repeat themselves are no bomb, however many. */
static void test_heartbeats(void **state)
{
    (void)state;
    struct counted counted = {0};
    struct websocket *parser = websocket_new_server(&TAKEOVER, count, &counted);
    struct bytes beat = sample(20000);
    z_stream zlib;
    deflate_begin(&zlib, 15);
    for (unsigned i = 0; i < 1000; i++)
        feed_message(parser, &zlib, span_bytes(&beat));
    assert_int_equal(counted.unwatched, 0);
    assert_int_equal(counted.content, 1000 * 20000);
    deflateEnd(&zlib);
    websocket_free(parser);
    free(beat.data);
}

static void test_unwatch(void **state)
{
    (void)state;
    for (unsigned compressed = 0; compressed < 2; compressed++) {
        struct counted counted = {.unwatch = true};
        struct websocket *parser = websocket_new_server(&TAKEOVER, count, &counted);
        struct bytes large = sample(50000), wire = {0};
        z_stream zlib;
        counted.parser = parser;
        deflate_begin(&zlib, 15);
        put_message(&wire, false, 0x02, span_bytes(&large), 1000, false);
        for (unsigned i = 0; i < 3; i++) {
            if (compressed)
                feed_message(parser, &zlib, span_bytes(&large));
            else
                assert_int_equal(websocket_feed(parser, wire.data, wire.size), 0);
        }
        assert_in_range(counted.content, 1, 8192);
        assert_int_equal(counted.messages, 3);
        assert_int_equal(counted.cut, 3);
        deflateEnd(&zlib);
        websocket_free(parser);
        free(large.data);
        free(wire.data);
    }
}

/* --- negotiation --- */

static void test_negotiate(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        struct websocket_parameters wanted;
    } cases[] = {
        {"", {false, {false, 15}, {false, 15}}},
        {" , ", {false, {false, 15}, {false, 15}}},
        {"permessage-deflate", {true, {false, 15}, {false, 15}}},
        {"Permessage-Deflate ,", {true, {false, 15}, {false, 15}}},
        {"permessage-deflate; server_no_context_takeover", {true, {false, 15}, {true, 15}}},
        {"permessage-deflate;client_no_context_takeover;server_max_window_bits=10",
         {true, {true, 15}, {false, 10}}},
        {"permessage-deflate; client_max_window_bits=\"8\" ; server_max_window_bits = 15",
         {true, {false, 8}, {false, 15}}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct websocket_parameters got;
        assert_true(websocket_negotiate(span_of(cases[i].value), &got));
        assert_int_equal(got.deflate, cases[i].wanted.deflate);
        assert_int_equal(got.client.no_context_takeover,
                         cases[i].wanted.client.no_context_takeover);
        assert_int_equal(got.server.no_context_takeover,
                         cases[i].wanted.server.no_context_takeover);
        assert_int_equal(got.client.window_bits, cases[i].wanted.client.window_bits);
        assert_int_equal(got.server.window_bits, cases[i].wanted.server.window_bits);
    }
}

static void test_negotiate_bad(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, mux",
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=1000000000000000000000",
        "permessage-deflate; server_max_window_bits=-9",
        "; server_max_window_bits=9",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct websocket_parameters got;
        assert_false(websocket_negotiate(span_of(cases[i]), &got));
        assert_false(got.deflate || got.client.no_context_takeover ||
                     got.server.no_context_takeover);
        assert_int_equal(got.client.window_bits + got.server.window_bits, 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_compressed_examples),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_endless_frame),
        cmocka_unit_test(test_content_limit),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_heartbeats),
        cmocka_unit_test(test_unwatch),
        cmocka_unit_test(test_negotiate),
        cmocka_unit_test(test_negotiate_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
