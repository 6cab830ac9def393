/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link scanner: every spelling of the table, however the text is cut; limits; cost. With
 * --table: what is read of each spelling, for people.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/links_cases.h"
#include "tests/unit/links_transcript.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void check(struct span text, const char *wanted)
{
    struct transcript whole = transcript_make(text, text.size, text.size);
    if (strcmp(whole.text, wanted) != 0)
        fail_msg("\"%.*s\":\n found  \"%s\"\n wanted \"%s\"", (int)text.size, text.data, whole.text,
                 wanted);
    free(whole.text);
    for (size_t first = 1; first <= text.size; first++) {
        struct transcript cut = transcript_make(text, first, text.size);
        assert_string_equal(cut.text, wanted);
        free(cut.text);
    }
    struct transcript single = transcript_make(text, 1, 1);
    assert_string_equal(single.text, wanted);
    free(single.text);
}

static void check_cases(const struct link_case *cases, size_t count)
{
    char text[1024];
    for (size_t i = 0; i < count; i++) {
        check(span_of(cases[i].text), cases[i].found);
        /* In a sentence and in a JSON string it is the same. */
        int size = snprintf(text, sizeof(text), "見て \n%s\n {\"a\":\"x\"} ", cases[i].text);
        assert_in_range(size, 1, sizeof(text) - 1);
        check((struct span){text, (size_t)size}, cases[i].found);
    }
}

static void test_spellings(void **state)
{
    (void)state;
    assert_true(COUNT(spellings) >= 60);
    check_cases(spellings, COUNT(spellings));
}

static void test_nothing(void **state)
{
    (void)state;
    check_cases(nothing, COUNT(nothing));
}

static void test_missed(void **state)
{
    (void)state;
    check_cases(missed, COUNT(missed));
    check(SPAN("h\0t\0t\0p\0s\0:\0/\0/\0e\0.\0j\0p\0"), "");
}

static void test_end_parts_texts(void **state)
{
    (void)state;
    struct transcript transcript = {0};
    struct link_scanner *scanner = link_scanner_new(transcript_found, &transcript);
    static const char *const texts[] = {"https://a.", "jp/ b dot", " jp \\",
                                        "u002e &am",  "p; \xe3",   "\x81\x82 x.jp"};
    transcript_add(&transcript, "", 0);
    for (size_t i = 0; i < COUNT(texts); i++) {
        link_scanner_feed(scanner, texts[i], strlen(texts[i]));
        link_scanner_end(scanner);
    }
    assert_string_equal(transcript.text, "x.jp/");
    link_scanner_feed(scanner, "y.jp", 4);
    link_scanner_end(scanner);
    link_scanner_end(scanner);
    assert_string_equal(transcript.text, "x.jp/ y.jp/");
    link_scanner_free(scanner);
    free(transcript.text);
}

/* --- long words --- */

struct text {
    char *data;
    size_t size;
};

static struct text text_of(size_t before, const char *middle, size_t after, char filler)
{
    size_t size = strlen(middle);
    struct text text = {malloc(before + size + after), before + size + after};
    assert_non_null(text.data);
    memset(text.data, filler, text.size);
    memcpy(text.data + before, middle, size);
    return text;
}

/* A link is found wherever it stands in a word without end, however the parts of the word fall. */
static void test_long_words(void **state)
{
    (void)state;
    static const char *const fillers = "A/,%(";
    for (const char *filler = fillers; *filler; filler++) {
        for (size_t before = 0; before < 3 * LINK_SIZE; before += before % 512 < 40 ? 1 : 37) {
            struct text text = text_of(before, " https://evil.jp/x?y=1 ", 10, *filler);
            text.data[before] = ',';
            struct transcript found =
                transcript_make((struct span){text.data, text.size}, text.size, text.size);
            if (!strstr(found.text, "https://evil.jp/x?y=1"))
                fail_msg("%zu of '%c': %s", before, *filler, found.text);
            free(found.text);
            free(text.data);
        }
    }
}

static void test_long_words_any_cut(void **state)
{
    (void)state;
    struct text text = text_of(LINK_SIZE - 30, "https://evil.jp/", 2 * LINK_SIZE, 'a');
    memcpy(text.data + 5, "\xe3\x81\x82 http://b.jp/", 16);
    struct span span = {text.data, text.size};
    struct transcript whole = transcript_make(span, span.size, span.size);
    static const size_t steps[] = {1, 2, 3, 7, 63, 64, 1000, LINK_SIZE - 1, LINK_SIZE, 5000};
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct transcript cut = transcript_make(span, steps[i], steps[i]);
        assert_string_equal(cut.text, whole.text);
        free(cut.text);
    }
    free(whole.text);
    free(text.data);
}

/* Of a link that is too long the host is known, and that it was cut. */
static void test_cut(void **state)
{
    (void)state;
    struct text text = text_of(0, "https://evil.jp/", 3 * LINK_SIZE, 'a');
    struct transcript found =
        transcript_make((struct span){text.data, text.size}, text.size, text.size);
    assert_int_equal(found.count, 1);
    assert_true(span_starts(span_of(found.text), SPAN("!https://evil.jp/aaaa")));
    assert_int_equal(found.size, 1 + LINK_SIZE);
    free(found.text);
    free(text.data);

    text = text_of(0, "https://evil.jp/", LINK_SIZE - 16, 'a');
    found = transcript_make((struct span){text.data, text.size}, text.size, text.size);
    assert_true(span_starts(span_of(found.text), SPAN("https://evil.jp/aaaa")));
    assert_int_equal(found.size, LINK_SIZE);
    free(found.text);
    free(text.data);
}

/* Many links in one word: each host is found, and none is read to the end of all. */
static void test_many(void **state)
{
    (void)state;
    struct text text = {malloc(64 * 1024), 0};
    assert_non_null(text.data);
    for (unsigned i = 0; i < 1000; i++)
        text.size += (size_t)snprintf(text.data + text.size, 64, "/http://h%u.jp/%%3a", i);
    struct transcript found =
        transcript_make((struct span){text.data, text.size}, text.size, text.size);
    for (unsigned i = 0; i < 1000; i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "http://h%u.jp/", i);
        assert_non_null(strstr(found.text, wanted));
    }
    assert_true(found.size < 100 * text.size);
    free(found.text);
    free(text.data);
}

/* --- the table, for people --- */

static void print_plainly(const char *text)
{
    for (; *text; text++) {
        uint8_t byte = (uint8_t)*text;
        if (byte < ' ' || byte == 0x7f)
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
}

static size_t print_cases(const char *title, const struct link_case *cases, size_t count)
{
    size_t differ = 0;

    printf("\n%s (%zu)\n", title, count);
    for (size_t i = 0; i < count; i++) {
        struct span text = span_of(cases[i].text);
        struct transcript found = transcript_make(text, text.size, text.size);
        bool same = strcmp(found.text, cases[i].found) == 0;
        printf("%s", same ? "  " : "! ");
        print_plainly(cases[i].text);
        printf("\n      -> %s\n", found.size ? found.text : "nothing");
        if (!same)
            printf("  wanted %s\n", cases[i].found);
        differ += !same;
        free(found.text);
    }
    return differ;
}

static int print_table(void)
{
    size_t differ = print_cases("spellings that are read", spellings, COUNT(spellings)) +
                    print_cases("spellings that are missed", missed, COUNT(missed)) +
                    print_cases("no links", nothing, COUNT(nothing));

    printf("\n%zu read, %zu missed, %zu no links; %zu not as the table says\n", COUNT(spellings),
           COUNT(missed), COUNT(nothing), differ);
    return differ > 0;
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "--table") == 0)
        return print_table();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),  cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_missed),     cmocka_unit_test(test_end_parts_texts),
        cmocka_unit_test(test_long_words), cmocka_unit_test(test_long_words_any_cut),
        cmocka_unit_test(test_cut),        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
