/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a chat: what is looked through, in every form, however it is cut; and its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/chat_text.h"
#include "tests/unit/links_transcript.h"

#define TARGET "/messages?channel=3&callback=cb_1.take&_=7"

static void check_pieces(const char *media, struct span text, size_t first, size_t step,
                         const char *wanted)
{
    struct transcript transcript = {0};
    struct chat_text *chat =
        chat_text_new(span_of(media), SPAN(TARGET), transcript_found, NULL, &transcript);

    transcript_add(&transcript, "", 0);
    assert_non_null(chat);
    while (text.size > 0) {
        struct span piece = span_first(text, first > 0 ? first : 1);
        chat_text_feed(chat, piece);
        text = span_from(text, piece.size);
        first = step;
    }
    chat_text_end(chat);
    chat_text_free(chat);
    assert_string_equal(transcript.text, wanted);
    free(transcript.text);
}

static void check(const char *media, struct span text, const char *wanted)
{
    for (size_t first = 0; first <= text.size; first++)
        check_pieces(media, text, first, text.size, wanted);
    check_pieces(media, text, 1, 1, wanted);
}

static bool is_looked_through(const char *media, const char *target)
{
    struct chat_text *chat =
        chat_text_new(span_of(media), span_of(target), transcript_found, NULL, NULL);

    chat_text_free(chat);
    return chat != NULL;
}

static void test_types(void **state)
{
    static const char *const taken[] = {"",
                                        "text/plain",
                                        "application/json; charset=utf-8",
                                        "application/vnd.x+json",
                                        "text/xml",
                                        "application/xml",
                                        "image/svg+xml",
                                        "application/octet-stream",
                                        "application/x-thrift",
                                        "application/x-protobuf",
                                        "application/x-amz-json-1.1",
                                        "application/vnd.openxmlformats+json",
                                        "multipart/mixed; boundary=a",
                                        "message/x",
                                        "nonsense",
                                        "TEXT/Plain"};
    static const char *const left[] = {"text/html",       "text/html; charset=utf-8", "text/css",
                                       "image/png",       "application/pdf",          "video/mp4",
                                       "application/zip", "application/wasm",         "font/woff2"};

    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        assert_true(is_looked_through(taken[i], "/"));
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        assert_false(is_looked_through(left[i], TARGET));
    assert_false(is_looked_through("text/javascript", "/app.js"));
    assert_false(is_looked_through("application/javascript", "/app.js?v=%20"));
    assert_true(is_looked_through("application/javascript; charset=utf-8", TARGET));
}

static void test_xml(void **state)
{
    (void)state;
    check("text/xml", SPAN("<m xmlns='http://a.jp/x'>http://b.jp/</m>"), "http://b.jp/");
    check("text/xml", SPAN("<m xmlns='http://a.jp/x'>xmlns='http://b.jp/'</m>"), "http://b.jp/");
    check("text/plain", SPAN("<m xmlns='http://a.jp/x'>http://b.jp/</m>"),
          "http://a.jp/x http://b.jp/");
    check(
        "image/svg+xml",
        SPAN("<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink=\"http://www.w3.org/1999/xlink\">"
             "<a href='https://a.jp/1'/><a xlink:href=\"https://b.jp/2\"/></svg>"),
        "https://a.jp/1 https://b.jp/2");
}

static void test_utf16(void **state)
{
    (void)state;
    check("application/json", SPAN("\xff\xfeh\0t\0t\0p\0:\0/\0/\0a\0.\0j\0p\0/\0"), "http://a.jp/");
    check("text/plain; charset=utf-16be", SPAN("\0h\0t\0t\0p\0:\0/\0/\0a\0.\0j\0p"),
          "http://a.jp/");
}

static void test_jsonp(void **state)
{
    (void)state;
    check("text/javascript", SPAN("cb_1.take({\"u\":\"http://a.jp/\"})"), "http://a.jp/");
    check("text/javascript",
          SPAN("/**/ typeof cb_1.take === 'function' && cb_1.take([\"http://a.jp/\"])"),
          "http://a.jp/");
    check("text/javascript", SPAN("other({\"u\":\"http://a.jp/\"})"), "");
    check("text/javascript", SPAN("xcb_1.take({\"u\":\"http://a.jp/\"})"), "");
    check("text/javascript", SPAN("(function(){cb_1.take('http://a.jp/')})"), "");
    check("text/javascript", SPAN("var a = 'http://a.jp/';"), "");
    check("application/json", SPAN("other({\"u\":\"http://a.jp/\"})"), "http://a.jp/");
}

/* A name that never ends, and one too far behind. */
static void test_jsonp_is_bounded(void **state)
{
    char text[2048];

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + 1000, "cb_1.take(http://a.jp/)", 23);
    check_pieces("text/javascript", (struct span){text, sizeof(text)}, sizeof(text), 1, "");
    memset(text, ' ', 1000);
    check_pieces("text/javascript", (struct span){text, sizeof(text)}, sizeof(text), 1, "");
}

/* Each message is a text of its own. */
static void test_messages(void **state)
{
    static const char *const messages[] = {"<a xmlns='http://a.jp/x", "http://b.jp/ <b xmlns='x'>",
                                           "\xff\xfeh\0", "http://c.jp/"};
    struct transcript transcript = {0};

    (void)state;
    for (unsigned xmpp = 0; xmpp < 2; xmpp++) {
        struct chat_text *chat = chat_text_new_messages(xmpp ? SPAN("xmpp") : SPAN("json"),
                                                        transcript_found, NULL, &transcript);
        for (size_t i = 0; i < 4; i++) {
            chat_text_feed(chat, span_of(messages[i]));
            chat_text_end(chat);
        }
        chat_text_free(chat);
        assert_string_equal(transcript.text, xmpp ? "http://b.jp/ http://c.jp/"
                                                  : "http://a.jp/x http://b.jp/ http://c.jp/");
        transcript.size = 0;
    }
    free(transcript.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_xml),
        cmocka_unit_test(test_utf16),
        cmocka_unit_test(test_jsonp),
        cmocka_unit_test(test_jsonp_is_bounded),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
