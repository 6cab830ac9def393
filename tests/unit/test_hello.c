/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ClientHello core: hand-made and OpenSSL's own hellos, at every split of segments and records,
 * and every kind of wrong length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <openssl/ssl.h>

#include "gateway/hello.h"

/* A message under construction. */
struct bytes {
    uint8_t data[80000];
    size_t size;
};

static void put(struct bytes *to, const void *data, size_t size)
{
    assert_true(to->size + size <= sizeof(to->data));
    if (size > 0)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void put_number(struct bytes *to, size_t value, size_t width)
{
    for (size_t i = width; i-- > 0;) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        put(to, &byte, 1);
    }
}

/* Leaves room for a length of `width` bytes; vector_end() writes it. */
static size_t vector_begin(struct bytes *to, size_t width)
{
    put_number(to, 0, width);
    return to->size;
}

static void vector_end(struct bytes *to, size_t start, size_t width)
{
    size_t size = to->size - start;

    for (size_t i = 0; i < width; i++)
        to->data[start - width + i] = (uint8_t)(size >> 8 * (width - 1 - i));
}

static void put_extension(struct bytes *to, unsigned type, const void *data, size_t size)
{
    put_number(to, type, 2);
    put_number(to, size, 2);
    put(to, data, size);
}

static void put_name(struct bytes *to, const void *name, size_t size)
{
    put_number(to, 0, 2);
    put_number(to, size + 5, 2);
    put_number(to, size + 3, 2);
    put_number(to, 0, 1);
    put_number(to, size, 2);
    put(to, name, size);
}

/* What a test varies; zero is a plain TLS 1.2 hello with no extension. */
struct recipe {
    unsigned version; /* 0: 0x0303 */
    size_t session;
    const char *name;
    size_t padding;            /* bytes of a padding extension, 0 for none */
    const struct bytes *extra; /* extensions as they are */
    bool no_extensions;        /* not even the length of their list */
    const char *compression;   /* NULL: the null method alone */
    size_t compression_size;
};

/* The handshake message. */
static void build(struct bytes *to, const struct recipe *recipe)
{
    static const uint8_t zeroes[65536];
    size_t message, extensions;

    to->size = 0;
    put_number(to, 1, 1);
    message = vector_begin(to, 3);
    put_number(to, recipe->version == 0 ? 0x0303 : recipe->version, 2);
    for (size_t i = 0; i < 32; i++)
        put_number(to, 0x40 + i, 1);
    put_number(to, recipe->session, 1);
    put(to, zeroes, recipe->session);
    put_number(to, 4, 2);
    put_number(to, 0x0a0a1301, 4);
    if (recipe->compression != NULL) {
        put_number(to, recipe->compression_size, 1);
        put(to, recipe->compression, recipe->compression_size);
    } else {
        put_number(to, 0x0100, 2);
    }
    if (!recipe->no_extensions) {
        extensions = vector_begin(to, 2);
        put_extension(to, 0x1a1a, "", 0);
        if (recipe->name != NULL)
            put_name(to, recipe->name, strlen(recipe->name));
        if (recipe->padding > 0)
            put_extension(to, 21, zeroes, recipe->padding);
        if (recipe->extra != NULL)
            put(to, recipe->extra->data, recipe->extra->size);
        vector_end(to, extensions, 2);
    }
    vector_end(to, message, 3);
}

/* Cuts a message into records of at most `most` bytes, the first of them of `first`. */
static void put_records(struct bytes *to, const struct bytes *message, size_t first, size_t most)
{
    size_t next = first;

    to->size = 0;
    for (size_t at = 0; at < message->size; at += next, next = most) {
        if (at > 0 || next > message->size)
            next = message->size - at < most ? message->size - at : most;
        put_number(to, 22, 1);
        put_number(to, 0x0301, 2);
        put_number(to, next, 2);
        put(to, message->data + at, next);
    }
}

static enum hello_status feed_all(const struct bytes *stream, struct hello_facts *facts)
{
    struct hello *hello = hello_new();
    enum hello_status status = hello_feed(hello, stream->data, stream->size);

    assert_true((hello_result(hello) != NULL) == (status == HELLO_DONE));
    if (status == HELLO_DONE && facts != NULL)
        *facts = *hello_result(hello);
    hello_free(hello);
    return status;
}

/* In pieces of `step` bytes; the answer must come with the same byte as in one piece. */
static enum hello_status feed_steps(const struct bytes *stream, size_t step,
                                    struct hello_facts *facts)
{
    struct hello *hello = hello_new();
    enum hello_status status = HELLO_MORE;

    for (size_t at = 0; at < stream->size && status == HELLO_MORE; at += step) {
        size_t left = stream->size - at;
        uint8_t *piece = malloc(left < step ? left : step); /* so that ASan sees an overrun */
        assert_non_null(piece);
        memcpy(piece, stream->data + at, left < step ? left : step);
        status = hello_feed(hello, piece, left < step ? left : step);
        free(piece);
    }
    if (status == HELLO_DONE)
        *facts = *hello_result(hello);
    assert_int_equal(hello_feed(hello, NULL, 0), status);
    assert_int_equal(hello_feed(hello, (const uint8_t *)"x", status == HELLO_MORE ? 0 : 1), status);
    hello_free(hello);
    return status;
}

static enum hello_status judge(const struct recipe *recipe, struct hello_facts *facts)
{
    static struct bytes message, stream;

    build(&message, recipe);
    put_records(&stream, &message, 16384, 16384);
    return feed_all(&stream, facts);
}

static enum hello_status judge_extra(const struct bytes *extra, struct hello_facts *facts)
{
    return judge(&(struct recipe){.extra = extra}, facts);
}

static void test_plain(void **state)
{
    struct hello_facts facts;

    (void)state;
    assert_int_equal(judge(&(struct recipe){.name = "Www.Example.JP"}, &facts), HELLO_DONE);
    assert_string_equal(facts.sni, "www.example.jp");
    assert_true(facts.sni_present);
    assert_false(facts.sni_bad);
    assert_int_equal(facts.version, 0x0303);
    assert_false(facts.alpn_present || facts.ech || facts.resumption);

    assert_int_equal(judge(&(struct recipe){.no_extensions = true}, &facts), HELLO_DONE);
    assert_false(facts.sni_present);
    assert_string_equal(facts.sni, "");
    assert_int_equal(judge(&(struct recipe){.session = 32}, &facts), HELLO_DONE);
    assert_true(facts.resumption);
    assert_int_equal(judge(&(struct recipe){.session = 33}, &facts), HELLO_MALFORMED);
}

static void test_names(void **state)
{
    static const char *const good[] = {
        "a",
        "a.b",
        "xn--wgv71a119e.jp",
        "r3---sn-oguelnlz.googlevideo.com",
        "1.example",
        "x.0y",
        "a123456789012345678901234567890123456789012345678901234567890.jp",
        "XN--WGV71A119E.JP"};
    static const char *const bad[] = {
        "example.jp.",
        ".",
        ".example.jp",
        "a..b",
        "-a.jp",
        "a-.jp",
        "a_b.example.jp",
        "_",
        "a b.jp",
        "192.0.2.1",
        "1.2.3.0x7f",
        "0x7f000001",
        "2001:db8::1",
        "[2001:db8::1]",
        "*.example.jp",
        "\xe6\x97\xa5.jp",
        "xn--.jp",
        "xn--99999999.jp",
        "xn--abc-.jp",
        "a.jp:443",
        "a/b",
        "a,DNS:b",
        "a1234567890123456789012345678901234567890123456789012345678901234.jp",
        "ex\x01mple.jp"};
    struct hello_facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(judge(&(struct recipe){.name = good[i]}, &facts), HELLO_DONE);
        assert_false(facts.sni_bad);
        assert_int_equal(strlen(facts.sni), strlen(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(judge(&(struct recipe){.name = bad[i]}, &facts), HELLO_DONE);
        if (!facts.sni_bad)
            fail_msg("accepted: %s", bad[i]);
        assert_true(facts.sni_present);
        assert_string_equal(facts.sni, "");
    }
}

/* 253 bytes are a name, 254 are not; a NUL inside is not the end of it. */
static void test_name_length(void **state)
{
    struct bytes extra = {.size = 0};
    struct hello_facts facts;
    char name[300];

    (void)state;
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    put_name(&extra, name, 253);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_false(facts.sni_bad);
    assert_int_equal(strlen(facts.sni), 253);
    extra.size = 0;
    put_name(&extra, name, 254);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.sni_bad);
    extra.size = 0;
    put_name(&extra, "zoom.us\0.evil.example", 21);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.sni_bad);
    assert_string_equal(facts.sni, "");
}

/* Extensions as they are, and what comes of them. */
#define RAW(type, text) type, text, sizeof(text) - 1
static void test_bad_extensions(void **state)
{
    static const struct {
        unsigned type;
        const char *data;
        size_t size;
        enum hello_status status;
    } rows[] = {
        {RAW(10, ""), HELLO_MALFORMED},
        {RAW(10, "\0\0"), HELLO_MALFORMED},       /* no groups */
        {RAW(10, "\0\1\0"), HELLO_MALFORMED},     /* half of one */
        {RAW(10, "\0\2\0\35"), HELLO_DONE},       /* X25519 */
        {RAW(10, "\0\2\0\35x"), HELLO_MALFORMED}, /* and something behind it */
        {RAW(10, "\0\4\0\35"), HELLO_MALFORMED},  /* list past its extension */
        {RAW(13, ""), HELLO_MALFORMED},
        {RAW(13, "\0\0"), HELLO_MALFORMED},
        {RAW(13, "\0\3\4\3\4"), HELLO_MALFORMED},
        {RAW(13, "\0\4\4\3\10\4"), HELLO_DONE},
        {RAW(0, ""), HELLO_MALFORMED},
        {RAW(0, "\0"), HELLO_MALFORMED},
        {RAW(0, "\0\0"), HELLO_MALFORMED},                 /* an empty list */
        {RAW(0, "\0\1\0"), HELLO_MALFORMED},               /* a type and no name */
        {RAW(0, "\0\3\0\0\0"), HELLO_MALFORMED},           /* an empty name */
        {RAW(0, "\0\4\0\0\1a"), HELLO_DONE},               /* the good one */
        {RAW(0, "\0\4\0\0\2a"), HELLO_MALFORMED},          /* name past its list */
        {RAW(0, "\0\5\0\0\1a"), HELLO_MALFORMED},          /* list past its extension */
        {RAW(0, "\0\4\0\0\1ab"), HELLO_MALFORMED},         /* behind the list */
        {RAW(0, "\0\5\0\0\1ab"), HELLO_MALFORMED},         /* behind the name */
        {RAW(0, "\0\x08\0\0\1a\0\0\1b"), HELLO_MALFORMED}, /* two names */
        {RAW(16, ""), HELLO_MALFORMED},
        {RAW(16, "\0\0"), HELLO_MALFORMED},
        {RAW(16, "\0\1\0"), HELLO_MALFORMED}, /* an empty protocol */
        {RAW(16, "\0\3\2h2"), HELLO_DONE},
        {RAW(16, "\0\3\3h2"), HELLO_MALFORMED},
        {RAW(16, "\0\3\2h2x"), HELLO_MALFORMED},
        {RAW(16, "\0\4\2h2\0"), HELLO_MALFORMED},
        {RAW(43, ""), HELLO_MALFORMED},
        {RAW(43, "\0"), HELLO_MALFORMED},
        {RAW(43, "\3\3\4\3"), HELLO_MALFORMED}, /* an odd list */
        {RAW(43, "\2\3\4\0"), HELLO_MALFORMED},
        {RAW(43, "\2\3\4"), HELLO_DONE},
        {RAW(41, ""), HELLO_MALFORMED},
        {RAW(41, "x"), HELLO_DONE},
    };
    struct bytes extra;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        extra.size = 0;
        put_extension(&extra, rows[i].type, rows[i].data, rows[i].size);
        if (judge_extra(&extra, NULL) != rows[i].status)
            fail_msg("row %zu", i);
    }
    extra.size = 0; /* a pre-shared key that is not the last */
    put_extension(&extra, 41, "x", 1);
    put_extension(&extra, 23, "", 0);
    assert_int_equal(judge_extra(&extra, NULL), HELLO_MALFORMED);
}

static void test_unknown_name_type(void **state)
{
    struct bytes extra = {.size = 0};
    struct hello_facts facts;

    (void)state;
    put_extension(&extra, 0, "\0\4\1\0\1a", 6);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.sni_present && facts.sni_bad);
    assert_string_equal(facts.sni, "");
}

static void test_duplicates(void **state)
{
    static const unsigned types[] = {0, 10, 16, 0x1234, 0xffff, 0xfe0d};
    struct bytes extra;

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        const char *data = types[i] == 16 ? "\0\3\2h2" : "\0\4\0\0\1a";
        size_t size = types[i] == 16 ? 5 : 6;
        extra.size = 0;
        put_extension(&extra, types[i], data, size);
        assert_int_equal(judge_extra(&extra, NULL), HELLO_DONE);
        put_extension(&extra, 99, "", 0);
        put_extension(&extra, types[i], data, size);
        assert_int_equal(judge_extra(&extra, NULL), HELLO_MALFORMED);
    }
}

static void test_alpn(void **state)
{
    struct bytes extra = {.size = 0};
    struct hello_facts facts;

    (void)state;
    put_extension(&extra, 16, "\0\x0f\2h2\x08http/1.1\2\x1a\x1a", 17);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.alpn_present && facts.alpn_h2 && facts.alpn_http1);
    assert_true(facts.alpn_h2_first);
    assert_false(facts.alpn_other);
    extra.size = 0;
    put_extension(&extra, 16, "\0\x0c\x08http/1.1\2h2", 14);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.alpn_h2 && facts.alpn_http1);
    assert_false(facts.alpn_h2_first);
    extra.size = 0;
    put_extension(&extra, 16, "\0\x09\x08http/1.0", 11);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.alpn_other);
    assert_false(facts.alpn_h2 || facts.alpn_http1);
}

static void test_versions(void **state)
{
    static const struct {
        unsigned legacy;
        const char *list; /* of supported_versions with its length, NULL: not there */
        size_t size;
        unsigned version;
        bool resumption; /* with a session id of 32 bytes */
    } rows[] = {
        {0x0301, NULL, 0, 0x0301, true},
        {0x0303, NULL, 0, 0x0303, true},
        {0x0304, NULL, 0, 0x0303, true},
        {0x0909, NULL, 0, 0x0303, true},
        {0x0300, NULL, 0, 0, true},
        {0x0303, "\x06\x6a\x6a\x03\x04\x03\x03", 7, 0x0304, false},
        {0x0303, "\x04\x03\x02\x03\x03", 5, 0x0303, true},
        {0x0303, "\x04\xfa\xfa\x7f\x1c", 5, 0, true},
        {0x0301, "\x02\x03\x04", 3, 0x0304, false},
    };
    struct bytes extra;
    struct hello_facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct recipe recipe = {.version = rows[i].legacy, .session = 32, .extra = &extra};
        extra.size = 0;
        if (rows[i].list != NULL)
            put_extension(&extra, 43, rows[i].list, rows[i].size);
        assert_int_equal(judge(&recipe, &facts), HELLO_DONE);
        assert_int_equal(facts.version, rows[i].version);
        assert_int_equal(facts.resumption, rows[i].resumption);
    }
    assert_int_equal(judge(&(struct recipe){.version = 0x02ff}, NULL), HELLO_MALFORMED);
}

static void test_resumption_and_ech(void **state)
{
    struct bytes extra = {.size = 0};
    struct hello_facts facts;

    (void)state;
    put_extension(&extra, 35, "", 0);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_false(facts.resumption);
    extra.size = 0;
    put_extension(&extra, 35, "ticket", 6);
    put_extension(&extra, 0xfe0d, "\0", 1);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.resumption && facts.ech);
    extra.size = 0;
    put_extension(&extra, 43, "\2\3\4", 3);
    put_extension(&extra, 41, "key", 3);
    assert_int_equal(judge_extra(&extra, &facts), HELLO_DONE);
    assert_true(facts.resumption);
    assert_false(facts.ech);
}

static void test_compression(void **state)
{
    struct bytes extra = {.size = 0};

    (void)state;
    assert_int_equal(judge(&(struct recipe){.compression = "\1\0", .compression_size = 2}, NULL),
                     HELLO_DONE);
    assert_int_equal(judge(&(struct recipe){.compression = "\1", .compression_size = 1}, NULL),
                     HELLO_MALFORMED);
    assert_int_equal(judge(&(struct recipe){.compression = "", .compression_size = 0}, NULL),
                     HELLO_MALFORMED);
    put_extension(&extra, 43, "\2\3\4", 3);
    assert_int_equal(
        judge(&(struct recipe){.compression = "\0\1", .compression_size = 2, .extra = &extra},
              NULL),
        HELLO_MALFORMED);
}

/* A browser's hello with a post-quantum key share: 1.7 kB and more. */
static void build_large(struct bytes *message, size_t padding)
{
    static struct bytes extra;

    extra.size = 0;
    put_extension(&extra, 43, "\6\xda\xda\3\4\3\3", 7);
    put_extension(&extra, 16, "\0\x0c\2h2\x08http/1.1", 14);
    put_extension(&extra, 0xfe0d, "\0grease", 7);
    build(message,
          &(struct recipe){
              .name = "meet.example.jp", .session = 32, .padding = padding, .extra = &extra});
}

static void check_large(const struct hello_facts *facts)
{
    assert_string_equal(facts->sni, "meet.example.jp");
    assert_int_equal(facts->version, 0x0304);
    assert_true(facts->alpn_h2 && facts->alpn_http1 && facts->ech);
    assert_false(facts->resumption || facts->alpn_other || facts->sni_bad);
}

static void test_every_segment_split(void **state)
{
    static struct bytes message, stream;

    (void)state;
    build_large(&message, 1700);
    put_records(&stream, &message, 16384, 16384);
    for (size_t cut = 0; cut < stream.size; cut++) {
        struct hello *hello = hello_new();
        assert_int_equal(hello_feed(hello, stream.data, cut), HELLO_MORE);
        assert_null(hello_result(hello));
        assert_int_equal(hello_feed(hello, stream.data + cut, stream.size - cut), HELLO_DONE);
        check_large(hello_result(hello));
        hello_free(hello);
    }
}

static void test_every_record_split(void **state)
{
    static struct bytes message, stream;
    struct hello_facts facts;

    (void)state;
    build_large(&message, 1700);
    for (size_t cut = 1; cut < message.size; cut++) {
        put_records(&stream, &message, cut, 16384);
        assert_int_equal(stream.size, message.size + 10);
        assert_int_equal(feed_all(&stream, &facts), HELLO_DONE);
        check_large(&facts);
        if (cut < 64) {
            assert_int_equal(feed_steps(&stream, 1, &facts), HELLO_DONE);
            check_large(&facts);
        }
    }
    put_records(&stream, &message, 1, 1); /* one byte a record, one byte a segment */
    assert_int_equal(feed_steps(&stream, 1, &facts), HELLO_DONE);
    check_large(&facts);
}

static void test_long_hellos(void **state)
{
    static const size_t sizes[] = {9000, 16000, 16384, 40000, 65000};
    static const size_t steps[] = {1, 7, 536, 1460, 80000};
    static struct bytes message, stream;
    struct hello_facts facts;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        build_large(&message, sizes[i]);
        put_records(&stream, &message, 16384, 16384);
        for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
            memset(&facts, 0, sizeof(facts));
            assert_int_equal(feed_steps(&stream, steps[k], &facts), HELLO_DONE);
            check_large(&facts);
        }
    }
}

/* Exactly HELLO_LIMIT bytes pass, one more does not, however they are cut. */
static void test_limit(void **state)
{
    static struct bytes message, stream;
    struct hello_facts facts;
    size_t fixed;

    (void)state;
    build_large(&message, 1);
    fixed = message.size - 1 + 4 * 5; /* four records */
    build_large(&message, HELLO_LIMIT - fixed);
    put_records(&stream, &message, 16384, 16384);
    assert_int_equal(stream.size, HELLO_LIMIT);
    assert_int_equal(feed_all(&stream, NULL), HELLO_DONE);
    assert_int_equal(feed_steps(&stream, 1000, &facts), HELLO_DONE);

    put_records(&stream, &message, 16000, 16384); /* one record more */
    assert_int_equal(feed_all(&stream, NULL), HELLO_TOO_LONG);
    assert_int_equal(feed_steps(&stream, 1, &facts), HELLO_TOO_LONG);

    build_large(&message, 12000); /* six bytes of stream for each of the message */
    put_records(&stream, &message, 1, 1);
    stream.size = HELLO_LIMIT - 1;
    assert_int_equal(feed_all(&stream, NULL), HELLO_MORE);
    stream.size = HELLO_LIMIT;
    assert_int_equal(feed_all(&stream, NULL), HELLO_TOO_LONG);
}

static enum hello_status judge_text(const char *text, size_t size)
{
    struct hello *hello = hello_new();
    enum hello_status whole = hello_feed(hello, (const uint8_t *)text, size), steps = HELLO_MORE;

    hello_free(hello);
    hello = hello_new();
    for (size_t i = 0; i < size; i++)
        steps = hello_feed(hello, (const uint8_t *)text + i, 1);
    hello_free(hello);
    assert_int_equal(whole, steps);
    return whole;
}
#define JUDGE(text) judge_text(text, sizeof(text) - 1)

static void test_first_bytes(void **state)
{
    (void)state;
    assert_int_equal(JUDGE(""), HELLO_MORE);
    assert_int_equal(JUDGE("G"), HELLO_NOT_TLS);
    assert_int_equal(JUDGE("GET / HTTP/1.1\r\n\r\n"), HELLO_NOT_TLS);
    assert_int_equal(JUDGE("SSH-2.0-x"), HELLO_NOT_TLS);
    assert_int_equal(JUDGE("\x80\x2e\x01\x03\x01"), HELLO_NOT_TLS);   /* SSLv2's form */
    assert_int_equal(JUDGE("\x15\x03\x01\0\2\2\x28"), HELLO_NOT_TLS); /* an alert */
    assert_int_equal(JUDGE("\x17\x03\x03\0\1x"), HELLO_NOT_TLS);
    assert_int_equal(JUDGE("\x16"), HELLO_MORE);
    assert_int_equal(JUDGE("\x16\x02"), HELLO_NOT_TLS);
    assert_int_equal(JUDGE("\x16\xfe\xff"), HELLO_NOT_TLS); /* DTLS */
    assert_int_equal(JUDGE("\x16\x03\x01\0\0"), HELLO_MALFORMED);
    assert_int_equal(JUDGE("\x16\x03\x01\x40\x01"), HELLO_MALFORMED);
    assert_int_equal(JUDGE("\x16\x03\x01\x40\0"), HELLO_MORE);
    assert_int_equal(JUDGE("\x16\x03\x01\x40\0\2"), HELLO_MALFORMED);     /* a ServerHello */
    assert_int_equal(JUDGE("\x16\x03\x01\0\4\1\0\0\0"), HELLO_MALFORMED); /* no body */
    assert_int_equal(JUDGE("\x16\x03\x01\0\4\1\1\0\0"), HELLO_TOO_LONG);  /* 65536 declared */
    assert_int_equal(JUDGE("\x16\x03\x01\0\4\1\0\xff\xf7"), HELLO_MORE);
    assert_int_equal(JUDGE("\x16\x03\x01\0\4\1\0\xff\xf8"), HELLO_TOO_LONG);
    assert_int_equal(JUDGE("\x16\x03\x01\0\4\1\xff\xff\xff"), HELLO_TOO_LONG);
}

/* Between two records of the hello nothing else may stand, and nothing may share its last record.
 */
static void test_interleaved(void **state)
{
    static const char *const between[] = {"\x15\x03\x03\0\2\1\0", "\x14\x03\x03\0\1\1",
                                          "\x17\x03\x03\0\1\1",   "\x16\x03\x03\0\0",
                                          "\x16\x02\x03\0\1\1",   "\x16\x03\x03\x40\x01\1"};
    static const size_t sizes[] = {7, 6, 6, 5, 6, 6};
    static struct bytes message, stream, mixed;

    (void)state;
    build_large(&message, 100);
    put_records(&stream, &message, 60, 16384);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        mixed.size = 0;
        put(&mixed, stream.data, 65);
        put(&mixed, between[i], sizes[i]);
        put(&mixed, stream.data + 65, stream.size - 65);
        assert_int_equal(feed_all(&mixed, NULL), HELLO_MALFORMED);
    }
    put(&message, "x", 1); /* behind the message, in its record */
    put_records(&stream, &message, 16384, 16384);
    assert_int_equal(feed_all(&stream, NULL), HELLO_MALFORMED);

    build_large(&message, 100); /* behind it in records of their own: none of our business */
    put_records(&stream, &message, 16384, 16384);
    put(&stream, "\x14\x03\x03\0\1\1garbage", 13);
    assert_int_equal(feed_all(&stream, NULL), HELLO_DONE);
}

/* Cut at every length, with the outer lengths made to fit: never a hello, never a crash. */
static void test_truncated(void **state)
{
    static struct bytes message, cut, stream;

    (void)state;
    build_large(&message, 10);
    for (size_t size = 4; size < message.size; size++) {
        enum hello_status status;

        cut = message;
        cut.size = size;
        cut.data[2] = (uint8_t)((size - 4) >> 8);
        cut.data[3] = (uint8_t)(size - 4);
        put_records(&stream, &cut, 16384, 16384);
        status = feed_all(&stream, NULL);
        /* The one cut that leaves a hello: before the list of extensions. */
        if (size == 4 + 2 + 32 + 33 + 6 + 2)
            assert_int_equal(status, HELLO_DONE);
        else
            assert_int_equal(status, HELLO_MALFORMED);
    }
}

/* Every byte set to every likely wrong value: any answer but a crash, and the same for any split.
 */
static void test_mutated(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 127, 128, 254, 255};
    static struct bytes message, stream;
    size_t malformed = 0;

    (void)state;
    build_large(&message, 30);
    put_records(&stream, &message, 90, 16384);
    for (size_t at = 0; at < stream.size; at++) {
        uint8_t kept = stream.data[at];
        for (size_t i = 0; i < sizeof(values); i++) {
            struct hello_facts one, other;
            enum hello_status status;
            memset(&one, 0, sizeof(one));
            memset(&other, 0, sizeof(other));
            stream.data[at] = values[i];
            status = feed_all(&stream, &one);
            assert_int_equal(feed_steps(&stream, 1, &other), status);
            assert_memory_equal(&one, &other, sizeof(one));
            malformed += status != HELLO_DONE;
        }
        stream.data[at] = kept;
    }
    assert_true(malformed > 200);
}

/* A hello as OpenSSL's client writes it. */
static void capture(struct bytes *stream, int version, bool alpn, int pieces)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    char *data;

    assert_non_null(ssl);
    assert_int_equal(SSL_set_max_proto_version(ssl, version), 1);
    assert_int_equal(SSL_set_tlsext_host_name(ssl, "Clinic.Example.jp"), 1);
    if (alpn)
        assert_int_equal(SSL_set_alpn_protos(ssl, (const uint8_t *)"\2h2\x08http/1.1", 12), 0);
    if (pieces > 0)
        assert_int_equal(SSL_set_max_send_fragment(ssl, 512), 1);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    stream->size = 0;
    long size = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
    assert_true(size > 100);
    put(stream, data, (size_t)size);
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void test_openssl(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static struct bytes stream;

    (void)state;
    for (int i = 0; i < 8; i++) {
        int version = versions[i % 2];
        bool alpn = i & 2;
        struct hello_facts facts;

        capture(&stream, version, alpn, i & 4);
        for (size_t step = 1; step < 600; step = step * 3 + 1) {
            memset(&facts, 0, sizeof(facts));
            assert_int_equal(feed_steps(&stream, step, &facts), HELLO_DONE);
            assert_string_equal(facts.sni, "clinic.example.jp");
            assert_int_equal(facts.version, version);
            assert_int_equal(facts.alpn_present, alpn);
            assert_int_equal(facts.alpn_h2, alpn);
            assert_int_equal(facts.alpn_http1, alpn);
            assert_false(facts.alpn_other || facts.ech || facts.resumption || facts.sni_bad);
        }
        stream.size--;
        assert_int_equal(feed_all(&stream, NULL), HELLO_MORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_length),
        cmocka_unit_test(test_bad_extensions),
        cmocka_unit_test(test_unknown_name_type),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_resumption_and_ech),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_every_segment_split),
        cmocka_unit_test(test_every_record_split),
        cmocka_unit_test(test_long_hellos),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_openssl),
    };

    return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
