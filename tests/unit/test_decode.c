/* SPDX-License-Identifier: BSD-2-Clause */
/* Content decoding: every coding, any split, stacks, garbage, bombs, and what must not be accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <brotli/encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "gateway/decode.h"

#define ROOM (1 << 21)

struct bytes {
    uint8_t *data; /* ROOM bytes */
    size_t size;
};

static struct bytes bytes_new(void)
{
    struct bytes bytes = {malloc(ROOM), 0};

    assert_non_null(bytes.data);
    return bytes;
}

static void deflate_with(struct bytes *to, const void *data, size_t size, int window_bits)
{
    z_stream zlib = {0};

    assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    zlib.next_in = (uint8_t *)(uintptr_t)data;
    zlib.avail_in = (unsigned)size;
    zlib.next_out = to->data;
    zlib.avail_out = ROOM;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    to->size = zlib.total_out;
    deflateEnd(&zlib);
}

static void code_gzip(struct bytes *to, const void *data, size_t size)
{
    deflate_with(to, data, size, 16 + 15);
}

static void code_zlib(struct bytes *to, const void *data, size_t size)
{
    deflate_with(to, data, size, 15);
}

static void code_raw(struct bytes *to, const void *data, size_t size)
{
    deflate_with(to, data, size, -15);
}

static void code_brotli(struct bytes *to, const void *data, size_t size)
{
    to->size = ROOM;
    assert_true(BrotliEncoderCompress(5, 24, BROTLI_MODE_GENERIC, size, data, &to->size, to->data));
}

static void code_zstd(struct bytes *to, const void *data, size_t size)
{
    to->size = ZSTD_compress(to->data, ROOM, data, size, 3);
    assert_false(ZSTD_isError(to->size));
}

static void code_identity(struct bytes *to, const void *data, size_t size)
{
    memcpy(to->data, data, size);
    to->size = size;
}

static const struct {
    const char *name;
    void (*code)(struct bytes *to, const void *data, size_t size);
} codings[] = {
    {"gzip", code_gzip}, {"X-GZip", code_gzip}, {"deflate", code_zlib}, {"Deflate", code_raw},
    {"br", code_brotli}, {"zstd", code_zstd},   {"", code_identity},    {"identity", code_identity},
};
#define CODINGS (sizeof(codings) / sizeof(*codings))

/* 50 kB that compress somewhat. */
static const uint8_t *sample(size_t *size)
{
    static uint8_t text[50000];
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof(text); i++) {
        state = state * 1664525U + 1013904223U;
        text[i] = (uint8_t)("<p>clinic "[state >> 24 & 7] + (i % 97 == 0));
    }
    *size = sizeof(text);
    return text;
}

static int feed_steps(struct decoder *decoder, const struct bytes *coded, size_t step)
{
    int status = 0;

    for (size_t at = 0; at < coded->size; at += step) {
        size_t size = coded->size - at < step ? coded->size - at : step;
        uint8_t *piece = malloc(size);
        assert_non_null(piece);
        memcpy(piece, coded->data + at, size);
        status = decoder_feed(decoder, piece, size);
        free(piece);
    }
    return status;
}

static void check_output(const struct decoder *decoder, const void *wanted, size_t size)
{
    struct span output = decoder_output(decoder);

    assert_int_equal(output.size, size);
    if (size > 0)
        assert_memory_equal(output.data, wanted, size);
}

static void test_codings(void **state)
{
    static const size_t steps[] = {1, 2, 3, 1000, ROOM};
    struct bytes coded = bytes_new();
    size_t size;
    const uint8_t *text = sample(&size);

    (void)state;
    for (size_t i = 0; i < CODINGS; i++) {
        codings[i].code(&coded, text, size);
        for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
            struct decoder *decoder = decoder_new(span_of(codings[i].name), 100000);
            assert_non_null(decoder);
            assert_int_equal(feed_steps(decoder, &coded, steps[k]), 0);
            check_output(decoder, text, size);
            assert_false(decoder_is_full(decoder));
            decoder_free(decoder);
        }
    }
    free(coded.data);
}

static void test_limit(void **state)
{
    struct bytes coded = bytes_new();
    size_t size;
    const uint8_t *text = sample(&size);

    (void)state;
    for (size_t i = 0; i < CODINGS; i++) {
        codings[i].code(&coded, text, size);
        for (size_t limit = 0; limit < 40000; limit = limit * 4 + 1) {
            struct decoder *decoder = decoder_new(span_of(codings[i].name), limit);
            assert_int_equal(feed_steps(decoder, &coded, 700), 0);
            check_output(decoder, text, limit);
            assert_true(decoder_is_full(decoder));
            decoder_raise(decoder, limit + 10); /* too late */
            assert_int_equal(decoder_feed(decoder, "garbage", 7), 0);
            check_output(decoder, text, limit);
            decoder_free(decoder);
        }
    }
    free(coded.data);
}

static void test_raise(void **state)
{
    struct bytes coded = bytes_new(), first;
    size_t size;
    const uint8_t *text = sample(&size);

    (void)state;
    for (size_t i = 0; i < CODINGS; i++) {
        struct decoder *decoder = decoder_new(span_of(codings[i].name), size);
        codings[i].code(&coded, text, size);
        first = (struct bytes){coded.data, coded.size / 2};
        assert_int_equal(feed_steps(decoder, &first, 100), 0);
        assert_false(decoder_is_full(decoder));
        decoder_raise(decoder, 10); /* never less */
        decoder_raise(decoder, size + 1);
        first = (struct bytes){coded.data + first.size, coded.size - first.size};
        assert_int_equal(feed_steps(decoder, &first, 100), 0);
        check_output(decoder, text, size);
        assert_false(decoder_is_full(decoder));
        decoder_free(decoder);
    }
    free(coded.data);
}

static void test_stacks(void **state)
{
    struct bytes inner = bytes_new(), outer = bytes_new();
    size_t size;
    const uint8_t *text = sample(&size);
    char name[40];

    (void)state;
    for (size_t i = 0; i < CODINGS; i++) {
        for (size_t k = 0; k < CODINGS; k++) {
            codings[i].code(&inner, text, size);
            codings[k].code(&outer, inner.data, inner.size);
            snprintf(name, sizeof(name), " %s ,\t,%s,", codings[i].name, codings[k].name);
            struct decoder *decoder = decoder_new(span_of(name), 60000);
            assert_non_null(decoder);
            assert_int_equal(feed_steps(decoder, &outer, 333), 0);
            check_output(decoder, text, size);
            decoder_free(decoder);
        }
    }
    free(inner.data);
    free(outer.data);
}

/* What servers write there by mistake is no coding, and no browser takes it for one. */
static void test_no_coding(void **state)
{
    static const char *const words[] = {"",     "identity", "none", "UTF-8",
                                        "utf8", "binary",   "8bit", "identity, none"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        struct decoder *decoder = decoder_new(span_of(words[i]), 100);
        assert_non_null(decoder);
        assert_true(decoder_is_plain(decoder));
        assert_int_equal(decoder_feed(decoder, "MZ", 2), 0);
        assert_true(span_equal(decoder_output(decoder), SPAN("MZ")));
        decoder_free(decoder);
    }
    struct decoder *decoder = decoder_new(SPAN("none, gzip"), 100);
    assert_false(decoder_is_plain(decoder));
    decoder_free(decoder);
}

static void test_unknown(void **state)
{
    static const char *const bad[] = {"compress",
                                      "gzi",
                                      "gzipp",
                                      "gzip br",
                                      "gzip;q=1",
                                      "dcb",
                                      "*",
                                      "gzip, gzip, gzip",
                                      "br, identity, zstd, gzip",
                                      "x-zstd"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_null(decoder_new(span_of(bad[i]), 100));
    decoder_free(NULL);
}

/* Whatever is cut off is only not there yet. */
static void test_truncated(void **state)
{
    static const char text[] = "a short text, a short text, a short text";
    struct bytes coded = bytes_new();

    (void)state;
    for (size_t i = 0; i < CODINGS; i++) {
        codings[i].code(&coded, text, sizeof(text));
        for (size_t size = 0; size < coded.size; size++) {
            struct decoder *decoder = decoder_new(span_of(codings[i].name), 1000);
            struct span output;
            assert_int_equal(decoder_feed(decoder, coded.data, size), 0);
            output = decoder_output(decoder);
            assert_true(output.size <= sizeof(text));
            if (output.size > 0)
                assert_memory_equal(output.data, text, output.size);
            decoder_free(decoder);
        }
    }
    free(coded.data);
}

static void test_garbage(void **state)
{
    static const char *const names[] = {"gzip", "deflate", "br", "zstd", "br, gzip"};
    static const char garbage[] = "\xff\xff\xff<html>this was never compressed at all";

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct decoder *decoder = decoder_new(span_of(names[i]), 1000);
        assert_int_equal(decoder_feed(decoder, garbage, sizeof(garbage)), -1);
        assert_int_equal(decoder_feed(decoder, "x", 1), -1); /* and stays so */
        assert_int_equal(decoder_output(decoder).size, 0);
        decoder_free(decoder);
    }
}

/* A flipped bit: an error or other output, never more than the limit, never a crash. */
static void test_mutated(void **state)
{
    struct bytes coded = bytes_new();
    size_t size, failed = 0;
    const uint8_t *text = sample(&size);

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        codings[i].code(&coded, text, 2000);
        for (size_t at = 0; at < coded.size; at++) {
            struct decoder *decoder = decoder_new(span_of(codings[i].name), 3000);
            coded.data[at] ^= 0x10;
            failed += feed_steps(decoder, &coded, 97) != 0;
            assert_true(decoder_output(decoder).size <= 3000);
            coded.data[at] ^= 0x10;
            decoder_free(decoder);
        }
    }
    assert_true(failed > 100);
    free(coded.data);
}

/* Members of gzip and frames of zstd may follow each other; padding behind gzip is ignored. */
static void test_members(void **state)
{
    struct bytes coded = bytes_new(), twice = bytes_new();

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        bool zstd = i == 5, members = i < 2 || zstd;
        for (size_t step = 1; step < 100; step *= 9) {
            struct decoder *decoder = decoder_new(span_of(codings[i].name), 1000);
            codings[i].code(&coded, "first.", 6);
            memcpy(twice.data, coded.data, coded.size);
            memcpy(twice.data + coded.size, coded.data, coded.size);
            memcpy(twice.data + 2 * coded.size, "\0\0garbage", 9);
            twice.size = 2 * coded.size + 9;
            assert_int_equal(feed_steps(decoder, &twice, step), zstd ? -1 : 0);
            check_output(decoder, "first.first.", members ? 12 : 6);
            decoder_free(decoder);
        }
    }
    code_gzip(&coded, "first.", 6);
    memcpy(coded.data + coded.size, "\x1f\x8b\xff\xff", 4); /* begins like a member and is none */
    coded.size += 4;
    struct decoder *decoder = decoder_new(SPAN("gzip"), 1000);
    assert_int_equal(feed_steps(decoder, &coded, 1), -1);
    decoder_free(decoder);
    free(coded.data);
    free(twice.data);
}

/* A frame that says nothing does not hide the one behind it. */
static void test_skippable(void **state)
{
    struct bytes coded = bytes_new(), all = bytes_new();
    struct decoder *decoder = decoder_new(SPAN("zstd"), 100);

    (void)state;
    code_zstd(&coded, "", 0);
    code_identity(&all, coded.data, coded.size);
    memcpy(all.data + all.size, "\x50\x2a\x4d\x18\3\0\0\0abc", 11);
    code_zstd(&coded, "MZ", 2);
    memcpy(all.data + all.size + 11, coded.data, coded.size);
    all.size += 11 + coded.size;
    assert_int_equal(feed_steps(decoder, &all, 5), 0);
    check_output(decoder, "MZ", 2);
    decoder_free(decoder);
    free(coded.data);
    free(all.data);
}

/* A gigabyte of zeroes in a megabyte, coded once more: little output, and an end to the work. */
static void test_bombs(void **state)
{
    struct bytes inner = bytes_new(), outer = bytes_new(), empty = bytes_new();
    struct decoder *decoder;
    uint8_t *zeroes = calloc(1, ROOM);

    (void)state;
    assert_non_null(zeroes);
    for (size_t i = 0; i < 6; i++) {
        codings[i].code(&inner, zeroes, ROOM);
        decoder = decoder_new(span_of(codings[i].name), 32774);
        assert_int_equal(feed_steps(decoder, &inner, 1460), 0);
        check_output(decoder, zeroes, 32774);
        decoder_free(decoder);
    }
    /* Members without content make no output: two million bytes of them are taken for what they
     * are. */
    code_gzip(&empty, "", 0);
    for (inner.size = 0; inner.size + empty.size <= ROOM; inner.size += empty.size)
        memcpy(inner.data + inner.size, empty.data, empty.size);
    decoder = decoder_new(SPAN("gzip"), 1445);
    assert_int_equal(feed_steps(decoder, &inner, 65536), -1);
    decoder_free(decoder);
    code_gzip(&outer, inner.data, inner.size);
    decoder = decoder_new(SPAN("gzip, gzip"), 1445);
    assert_true(outer.size < 20000);
    assert_int_equal(feed_steps(decoder, &outer, 1460), -1);
    assert_int_equal(decoder_output(decoder).size, 0);
    decoder_free(decoder);
    free(inner.data);
    free(outer.data);
    free(empty.data);
    free(zeroes);
}

/* A frame that wants a window of 128 MB is not a content coding (RFC 9659). */
static void test_window(void **state)
{
    static const int logs[] = {23, 27};
    struct bytes coded = bytes_new();
    uint8_t *zeroes = calloc(1, ROOM);

    (void)state;
    assert_non_null(zeroes);
    for (size_t i = 0; i < 2; i++) {
        ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_inBuffer in = {zeroes, ROOM, 0};
        ZSTD_outBuffer out = {coded.data, ROOM, 0};
        struct decoder *decoder = decoder_new(SPAN("zstd"), 5000);

        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, logs[i]);
        assert_false(ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush)));
        coded.size = out.pos;
        assert_int_equal(feed_steps(decoder, &coded, 1000), logs[i] > 23 ? -1 : 0);
        assert_int_equal(decoder_is_full(decoder), logs[i] <= 23);
        decoder_free(decoder);
        ZSTD_freeCCtx(context);
    }
    free(coded.data);
    free(zeroes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codings),   cmocka_unit_test(test_limit),
        cmocka_unit_test(test_raise),     cmocka_unit_test(test_stacks),
        cmocka_unit_test(test_no_coding), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_mutated),   cmocka_unit_test(test_members),
        cmocka_unit_test(test_bombs),     cmocka_unit_test(test_window),
        cmocka_unit_test(test_skippable),
    };

    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
