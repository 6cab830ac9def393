/* SPDX-License-Identifier: BSD-2-Clause */
/* The page: templates and their mistakes, escaping, the shipped texts, languages, incident numbers.
 */
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/page.h"
#include "gateway/page_template.h"

#define PAGE_MAX 12288

/* The tree's conf/pages, from wherever the test is run. */
static char *shipped(const char *name)
{
    const char *source = getenv("srcdir");
    char path[4096];
    char *text = calloc(1, 65536);
    FILE *file;

    snprintf(path, sizeof(path), "%s/conf/pages/%s", source != NULL ? source : ".", name);
    file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

/* The shipped texts with another template; fails the test when the template is wrong. */
static struct page *page_with(const char *template_text, const char **error)
{
    char *ja = shipped("messages.ja"), *en = shipped("messages.en");
    char *own = template_text == NULL ? shipped("block.html") : NULL;
    struct page *page = page_new(own != NULL ? own : template_text, ja, en, error);

    free(ja);
    free(en);
    free(own);
    return page;
}

static struct page *page_good(const char *template_text)
{
    const char *error = NULL;
    struct page *page = page_with(template_text, &error);

    if (page == NULL)
        fail_msg("%s", error);
    return page;
}

static char *render(const struct page *page, const struct page_facts *facts)
{
    char *html = NULL;
    size_t size = page_render(page, facts, &html);

    assert_non_null(html);
    assert_int_equal(strlen(html), size);
    return html;
}

/* What one template gives for one host. */
static void assert_rendered(const char *template_text, const struct page_facts *facts,
                            const char *expected)
{
    struct page *page = page_good(template_text);
    char *html = render(page, facts);

    assert_string_equal(html, expected);
    free(html);
    page_free(page);
}

static void test_template(void **state)
{
    struct page_facts facts = {
        .reason = REASON_PATIENT_LINK, .host = SPAN("a.example"), .language = LANGUAGE_EN};

    (void)state;
    assert_rendered("", &facts, "");
    assert_rendered("plain { } }} text", &facts, "plain { } }} text");
    assert_rendered("[{{host}}][{{ host }}][{{path}}]", &facts, "[a.example][a.example][]");
    assert_rendered("{{#host}}yes {{host}}{{/host}}.", &facts, "yes a.example.");
    assert_rendered("{{#path}}no {{host}}{{/path}}.", &facts, ".");
    assert_rendered("{{#host}}{{#path}}no{{/path}}{{#host}}in{{/host}}{{/host}}", &facts, "in");
    assert_rendered("{{#path}}{{#host}}no{{/host}}{{host}}{{/path}}{{code}}", &facts,
                    "patient-link");
    assert_rendered("{{label.host}}|{{lang}}|{{kind}}", &facts, "Site|en|blocked");
}

static void test_template_mistakes(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"a\nb\n{{hots}}", "line 3: no such name: hots"},
        {"{{}}", "line 1: no such name:"},
        {"{{#}}", "line 1: no such name:"},
        {"x\n{{host", "line 2: \"{{\" without \"}}\""},
        {"{{#host}}\n{{host}}\n", "line 1: a section is never closed: host"},
        {"{{/host}}", "line 1: no section is open to be closed by host"},
        {"{{#host}}{{#path}}\n{{/host}}{{/path}}", "line 2: another section is open than host"},
        {"{{label.host}}{{label.nothing}}", "line 1: no such name: label.nothing"},
        {"\n<style>p{color:{{host}}}</style>", "line 2: no value may stand in the style"},
        {"<style>a</style>\n<STYLE>b</STYLE>", "line 2: there can be one style only"},
        {"<style>a", "line 1: a style is never closed"},
        {"\n\n<script>", "line 3: a script cannot run on this page"},
        {"{{#host}}{{#host}}{{#host}}{{#host}}{{#host}}{{#host}}{{#host}}{{#host}}\n{{#host}}",
         "line 2: sections are nested too deeply at host"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *error = NULL;

        assert_null(page_with(rows[i].text, &error));
        assert_non_null(error);
        if (strncmp(error, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", error, rows[i].error);
    }
}

static void test_message_mistakes(void **state)
{
    char *ja = shipped("messages.ja"), *en = shipped("messages.en");
    const char *error = NULL;
    char *gap;

    (void)state;
    assert_null(page_new("", "# fine\n\nno equals sign\n", en, &error));
    assert_string_equal(error, "messages.ja line 3: not \"key = text\"");
    assert_null(page_new("", ja, "a = 1\na = 2\n", &error));
    assert_string_equal(error, "messages.en line 2: this key was given before");
    assert_null(page_new("", ja, "= x\n", &error));
    assert_non_null(strstr(error, "messages.en line 1:"));
    /* A reason without a sentence. */
    gap = strstr(en, "reason.malware");
    gap[0] = '#';
    assert_null(page_new("", ja, en, &error));
    assert_string_equal(error, "messages.en: no text for reason.malware");
    free(ja);
    free(en);
}

/* A page that could become too long is refused when it is made, not when it is shown. */
static void test_size(void **state)
{
    static char text[PAGE_MAX + 2];
    const char *error = NULL;

    (void)state;
    memset(text, 'x', PAGE_MAX + 1);
    assert_null(page_with(text, &error));
    assert_non_null(strstr(error, "at most 12288 are allowed"));
    text[PAGE_MAX] = '\0';
    page_free(page_good(text));
    memcpy(text, "{{host}}", 8);
    assert_null(page_with(text, &error));
}

static void test_escaping(void **state)
{
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"<script>", "&lt;script&gt;"},
        {"\"'&", "&quot;&#39;&amp;"},
        {"{{host}}", "{{host}}"}, /* what came in is never read as a template */
        {"a\tb\nc", "a b c"},
        {"\x01\x7f", "\ufffd\ufffd"},
        {"\xff<", "\ufffd&lt;"},
        {"\xe8<", "\ufffd&lt;"},      /* a cut character does not swallow the next byte */
        {"\xc0\xbc", "\ufffd\ufffd"}, /* '<' overlong */
        {"\u202efdp.exe", "\ufffdfdp.exe"},
        {"診察", "診察"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct page_facts facts = {.reason = REASON_PATIENT_LINK, .path = span_of(rows[i].value)};

        assert_rendered("{{path}}", &facts, rows[i].shown);
    }
}

static void test_cut(void **state)
{
    char value[64];

    (void)state;
    memset(value, 'a', sizeof(value));
    for (size_t limit = 0; limit < 40; limit++)
        for (size_t size = 0; size < 40; size++) {
            struct text text = {0};
            /* 'a' is one byte, '"' six: the cut meets both. */
            value[5] = '"';
            text_add_escaped(&text, (struct span){value, size}, limit);
            assert_true(text.used <= limit);
            if (size + (size > 5 ? 5 : 0) <= limit)
                assert_int_equal(text.used, size + (size > 5 ? 5 : 0));
            else if (limit >= 3)
                assert_memory_equal(text.data + text.used - 3, "\u2026", 3);
            free(text.data);
        }
}

/* The shipped page: every reason in both languages, with the longest and with the least. */
static void test_shipped(void **state)
{
    static const char *const marks[] = {"<html lang=\"", "name=\"viewport\"", "<h1>", "<style>"};
    struct page *page = page_good(NULL);
    char longest[3000];

    (void)state;
    memset(longest, '\'', sizeof(longest));
    for (enum language language = LANGUAGE_JA; language <= LANGUAGE_EN; language++)
        for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
            struct span value = {longest, sizeof(longest)};
            struct page_facts facts = {.language = language, .reason = reason};
            char *html = render(page, &facts);

            assert_true(strlen(html) <= PAGE_MAX);
            assert_null(strstr(html, "<strong>")); /* no incident, no number */
            assert_null(strstr(html, "{{"));
            /* Nothing is fetched from anywhere. */
            assert_null(strstr(html, "http:"));
            assert_null(strstr(html, "https:"));
            assert_null(strstr(html, "src="));
            assert_null(strstr(html, "url("));
            assert_null(strstr(html, "style="));
            for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
                assert_non_null(strstr(html, marks[i]));
            if (reason_status(reason) != 0)
                assert_null(strstr(html, "<p></p>"));
            free(html);
            facts.host = facts.path = facts.service = facts.file_name = facts.file_type = value;
            facts.incident = UINT64_MAX;
            facts.clinic = facts.contact = "診療所";
            html = render(page, &facts);
            assert_true(strlen(html) <= PAGE_MAX);
            assert_non_null(strstr(html, "#18-446-744-073-709-551-615"));
            free(html);
        }
    page_free(page);
}

static void test_shipped_text(void **state)
{
    struct page *page = page_good(NULL);
    struct page_facts facts = {.language = LANGUAGE_JA,
                               .reason = REASON_PATIENT_LINK,
                               .incident = 12345,
                               .host = SPAN("evil.example"),
                               .clinic = "関所<医院>",
                               .contact = "内線 12",
                               .time = 1772341506};
    char *html = render(page, &facts);

    (void)state;
    assert_non_null(strstr(html, "<html lang=\"ja\">"));
    assert_non_null(strstr(html, "#12-345"));
    assert_non_null(strstr(
        html,
        "二次元バーコードやURL等のリンク先へのアクセス及びファイルのダウンロード等は行わない"));
    assert_non_null(strstr(html, "画面共有"));
    assert_non_null(strstr(html, "カメラ"));
    assert_non_null(strstr(html, "関所&lt;医院&gt;"));
    assert_non_null(strstr(html, "内線 12"));
    assert_non_null(strstr(html, "2026-03-01 14:05:06 JST"));
    free(html);
    /* A failure quotes no guideline and offers no release. */
    facts.language = LANGUAGE_EN;
    facts.reason = REASON_ORIGIN_TIMEOUT;
    html = render(page, &facts);
    assert_non_null(strstr(html, "<html lang=\"en\">"));
    assert_non_null(strstr(html, "did not answer in time"));
    assert_null(strstr(html, "<blockquote>"));
    assert_null(strstr(html, "release"));
    free(html);
    page_free(page);
}

/* The hash in the policy is the one of the style that was rendered. */
static void test_policy(void **state)
{
    struct page_facts facts = {.reason = REASON_PATIENT_LINK};
    struct page *page = page_good(NULL);
    char *html = render(page, &facts), hash[64], wanted[100];
    const char *start = strstr(html, "<style>") + 7, *policy = page_content_security_policy(page);
    unsigned char digest[32];
    unsigned size;

    (void)state;
    EVP_Digest(start, (size_t)(strstr(start, "</style>") - start), digest, &size, EVP_sha256(),
               NULL);
    EVP_EncodeBlock((unsigned char *)hash, digest, (int)size);
    snprintf(wanted, sizeof(wanted), "; style-src 'sha256-%s'; ", hash);
    assert_non_null(strstr(policy, wanted));
    assert_memory_equal(policy, "default-src 'none'; ", 20);
    assert_non_null(strstr(policy, "base-uri 'none'; form-action 'none'"));
    free(html);
    page_free(page);
    page = page_good("no style");
    assert_non_null(strstr(page_content_security_policy(page), "style-src 'none';"));
    page_free(page);
}

static void test_language(void **state)
{
    static const struct {
        const char *header;
        enum language language;
    } rows[] = {
        {"", LANGUAGE_JA},
        {"ja", LANGUAGE_JA},
        {"en", LANGUAGE_EN},
        {"EN-us", LANGUAGE_EN},
        {"en-US,en;q=0.9", LANGUAGE_EN},
        {"en-US,en;q=0.9,ja;q=0.8", LANGUAGE_EN},
        {"ja,en-US;q=0.9,en;q=0.8", LANGUAGE_JA},
        {"en;q=0.3, ja;q=0.301", LANGUAGE_JA},
        {"en;q=0.31 , ja ; q=0.3", LANGUAGE_EN},
        {"en, ja", LANGUAGE_EN},
        {"ja, en", LANGUAGE_JA},
        {"fr, de;q=0.5", LANGUAGE_JA},
        {"fr, en;q=0.1", LANGUAGE_EN},
        {"*", LANGUAGE_JA},
        {"en;q=0.5, *;q=0.8", LANGUAGE_JA},
        {"ja;q=0, *", LANGUAGE_EN},
        {"en;q=0, *", LANGUAGE_JA},
        {"ja;q=0", LANGUAGE_JA},
        {"ja;q=0, en;q=0", LANGUAGE_JA},
        {"ja;q=0, en;q=0.001", LANGUAGE_EN},
        {"eng, english", LANGUAGE_JA},
        {"en;q=2", LANGUAGE_JA},
        {"en;q=1.001", LANGUAGE_JA},
        {"en;q=0.0001", LANGUAGE_JA},
        {"en;q=", LANGUAGE_JA},
        {"en;q=-1", LANGUAGE_JA},
        {"en;q=1.000", LANGUAGE_EN},
        {",,;;,=,en", LANGUAGE_EN},
        {"en;level=1;q=0.1,ja;q=0.2", LANGUAGE_JA},
        {"en;Q=0.1,ja;q=0.2", LANGUAGE_JA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (page_language(span_of(rows[i].header)) != rows[i].language)
            fail_msg("%s", rows[i].header);
    assert_int_equal(page_language((struct span){NULL, 0}), LANGUAGE_JA);
}

static void test_incident(void **state)
{
    static const struct {
        uint64_t number;
        const char *text;
    } rows[] = {{0, "#0"},
                {7, "#7"},
                {999, "#999"},
                {1000, "#1-000"},
                {12345, "#12-345"},
                {1234567, "#1-234-567"},
                {UINT64_MAX, "#18-446-744-073-709-551-615"}};
    static const struct {
        const char *text;
        uint64_t number;
    } typed[] = {
        {"12345", 12345},        {"#12-345", 12345},      {" # 12 345 ", 12345}, {"12－345", 12345},
        {"＃１２３４５", 12345}, {"１２ー３４５", 12345}, {"12　345", 12345},    {"007", 7},
        {"12−345", 12345}};
    static const char *const wrong[] = {"",
                                        "#",
                                        "-",
                                        "abc",
                                        "12a",
                                        "1.5",
                                        "0x10",
                                        "+1",
                                        "1/2",
                                        "\xff",
                                        "1\xef\xbc",
                                        "18446744073709551616",
                                        "99999999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[INCIDENT_TEXT];
        uint64_t back = 1;

        incident_format(rows[i].number, text);
        assert_string_equal(text, rows[i].text);
        assert_true(incident_parse(span_of(text), &back));
        assert_true(back == rows[i].number);
    }
    for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
        uint64_t number = 0;

        if (!incident_parse(span_of(typed[i].text), &number) || number != typed[i].number)
            fail_msg("%s", typed[i].text);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t number = 42;

        if (incident_parse(span_of(wrong[i]), &number) || number != 42)
            fail_msg("%s", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template),         cmocka_unit_test(test_template_mistakes),
        cmocka_unit_test(test_message_mistakes), cmocka_unit_test(test_size),
        cmocka_unit_test(test_escaping),         cmocka_unit_test(test_cut),
        cmocka_unit_test(test_shipped),          cmocka_unit_test(test_shipped_text),
        cmocka_unit_test(test_policy),           cmocka_unit_test(test_language),
        cmocka_unit_test(test_incident),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
