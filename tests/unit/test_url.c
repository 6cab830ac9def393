/* SPDX-License-Identifier: BSD-2-Clause */
/* URLs: which host a browser would go to, the normal form, decoding. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "filters/url.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void assert_normal(const struct url *url, const char *normal)
{
    char text[512];
    size_t size =
        url_normalise(url->tls, span_of(url->host), url->port, url->target, text, sizeof(text) - 1);
    text[size] = '\0';
    assert_string_equal(text, normal);
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"https://example.jp", "https://example.jp/"},
        {"HTTPS://Example.JP./a?b#c", "https://example.jp/a?b"},
        {"http://example.jp:80/", "http://example.jp/"},
        {"http://example.jp:443/", "http://example.jp:443/"},
        {"https://example.jp:8443/x", "https://example.jp:8443/x"},
        {"https://example.jp:/x", "https://example.jp/x"},
        {"https://example.jp:00443/x", "https://example.jp/x"},
        {"https://user:pass@example.jp/", "https://example.jp/"},
        {"https://good.jp@evil.jp/", "https://evil.jp/"},
        {"https://a@b@evil.jp/", "https://evil.jp/"},
        {"https://good.jp\\@evil.jp/", "https://good.jp/@evil.jp/"},
        {"https:\\\\evil.jp\\a\\b?c\\d", "https://evil.jp/a/b?c%5Cd"},
        {"https:evil.jp", "https://evil.jp/"},
        {"https:////evil.jp/", "https://evil.jp/"},
        {"https://example.jp?q=1", "https://example.jp/?q=1"},
        {"https://example.jp#f", "https://example.jp/"},
        {"https://example.jp/#?x", "https://example.jp/"},
        {"https://192.0.2.7/", "https://192.0.2.7/"},
        {"https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"},
        {"  https://example.jp/\t", "https://example.jp/"},
        {"https://example.jp/\xe3\x81\x82", "https://example.jp/%E3%81%82"},
        {"https://example.jp/a@b:c", "https://example.jp/a@b:c"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url url;
        assert_true(url_parse(span_of(cases[i].text), &url));
        assert_normal(&url, cases[i].normal);
    }
}

/* What browsers and people make of one URL on the way from a text to a request (WHATWG URL). */
static void test_one_normal_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"https://a.jp/x/../b", "https://a.jp/b"},
        {"https://a.jp/x/%2e%2E/b", "https://a.jp/b"},
        {"https://a.jp/./b/.", "https://a.jp/b/"},
        {"https://a.jp/../../b/..", "https://a.jp/"},
        {"https://a.jp/b/c/.%2e?x=/../y", "https://a.jp/b/?x=/../y"},
        {"https://a.jp\\x\\..\\b", "https://a.jp/b"},
        {"https://a.jp/x//../b", "https://a.jp/x/b"},
        {"https://a.jp/...", "https://a.jp/..."},
        {"https://a.jp/..b/.c", "https://a.jp/..b/.c"},
        {"https://a.jp/%61%2D%7e?%5f", "https://a.jp/a-~?_"},
        {"https://a.jp/%2f%2F?%3d", "https://a.jp/%2F%2F?%3D"},
        {"https://a.jp/a{b}|c^d'e`f\"g<h>i", "https://a.jp/a%7Bb%7D%7Cc%5Ed%27e%60f%22g%3Ch%3Ei"},
        {"https://a.jp/%7Bb%7d", "https://a.jp/%7Bb%7D"},
        {"https://a.jp/?a'b", "https://a.jp/?a%27b"},
        {"https://a.jp/[x]", "https://a.jp/%5Bx%5D"},
        {"https://a.jp/!$&()*+,;=:@/?/?", "https://a.jp/!$&()*+,;=:@/?/?"},
        {"https://a.jp/100%", "https://a.jp/100%25"},
        {"https://a.jp/100%25", "https://a.jp/100%25"},
        {"https://a.jp/%%34%31", "https://a.jp/%2541"},
        {"https://a.jp/a\u200bb", "https://a.jp/ab"},
        {"https://a.jp/a%e2%80%8bb", "https://a.jp/ab"},
        {"https://a.jp/.%E2%80%8B./b", "https://a.jp/b"},
        {"https://a.jp/%E2\u200b%80%8B", "https://a.jp/%E2%E2%80%8B%80%8B"},
        {"https://a.jp/%E3%81%82\u3042", "https://a.jp/%E3%81%82%E3%81%82"},
        {"https://a.jp/\xff%E3%81", "https://a.jp/%FF%E3%81"},
        {"https://a.jp:000000000443/", "https://a.jp/"},
        {"https://a.jp:0008443/", "https://a.jp:8443/"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct url url, again;
        assert_true(url_parse(span_of(cases[i].text), &url));
        assert_normal(&url, cases[i].normal);
        assert_true(url_parse(span_of(cases[i].normal), &again));
        assert_normal(&again, cases[i].normal);
    }
    char text[64];
    assert_int_equal(url_normalise(true, SPAN("a.jp"), 443, SPAN("*"), text, sizeof(text)), 13);
    assert_memory_equal(text, "https://a.jp*", 13);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "https",
        "https:",
        "https://",
        "https:///",
        "https://?x",
        "example.jp",
        "//example.jp/",
        "ftp://example.jp/",
        "javascript:alert(1)",
        "httpsx://example.jp/",
        "https://exa mple.jp/",
        "https://example.jp/a b",
        "https://example.jp/\x01",
        "https://exam\nple.jp/",
        "https://example.jp:0/",
        "https://example.jp:65536/",
        "https://example.jp:4x/",
        "https://example.jp:-1/",
        "https://user@/",
        "https://user@:443/",
        "https://[2001:db8::1/",
        "https://[2001:db8::1]x/",
        "https://[fe80::1%25eth0]/",
        "https://2001:db8::1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://ex%61mple.jp/",
        "https://日本.jp/",
    };
    struct url url;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(url_parse(span_of(cases[i]), &url));
    assert_false(url_parse(SPAN("https://a.jp\0.evil.jp/"), &url));
}

static void test_normalise_needs_room(void **state)
{
    (void)state;
    static const char wanted[] = "https://[2001:db8::1]:8080/?%FF%5C";
    char text[64];
    for (size_t size = 0; size < sizeof(text); size++) {
        memset(text, '#', sizeof(text));
        size_t used = url_normalise(true, SPAN("2001:db8::1"), 8080, SPAN("?\xff\\"), text, size);
        assert_int_equal(used, size < sizeof(wanted) - 1 ? 0 : sizeof(wanted) - 1);
        if (used)
            assert_memory_equal(text, wanted, used);
        for (size_t i = size; i < sizeof(text); i++)
            assert_int_equal(text[i], '#');
    }
}

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        const char *encoded, *text;
    } cases[] = {
        {"", ""},       {"abc", "abc"},         {"%41%2f%2F", "A//"}, {"%", "%"},
        {"%4", "%4"},   {"%4g", "%4g"},         {"%%41", "%A"},       {"%2541", "%41"},
        {"a+b", "a+b"}, {"%e3%81", "\xe3\x81"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        struct span encoded = span_of(cases[i].encoded);
        size_t size = url_decode(encoded, text);
        assert_int_equal(size, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, size);
        memcpy(text, encoded.data, encoded.size);
        assert_int_equal(url_decode((struct span){text, encoded.size}, text), size);
        assert_memory_equal(text, cases[i].text, size);
    }
    char text[4];
    assert_int_equal(url_decode(SPAN("%00"), text), 1);
    assert_int_equal(text[0], 0);
}

static void test_resolve(void **state)
{
    static const struct {
        const char *reference, *normal;
    } cases[] = {
        {"https://evil.jp/x#y", "https://evil.jp/x"},
        {"//evil.jp/x", "https://evil.jp/x"},
        {"\\\\evil.jp\\x", "https://evil.jp/x"},
        {"/\\evil.jp:8443/x", "https://evil.jp:8443/x"},
        {"\\/evil.jp:8443", "https://evil.jp:8443/"},
        {"////evil.jp?q", "https://evil.jp/?q"},
        {"\\x", "https://good.jp/x"},
        {"/x/../y", "https://good.jp/y"},
        {"../../../y", "https://good.jp/y"},
        {"y?//evil.jp", "https://good.jp/a/y?//evil.jp"},
        {"?q=2", "https://good.jp/a/b?q=2"},
        {"", "https://good.jp/a/b"},
        {"./", "https://good.jp/a/"},
    };
    static const char *const nowhere[] = {"javascript:alert(1)", "//", "\\\\", "mailto:a@b.jp"};
    static char text[URL_NORMAL_MAX];
    struct url base, url;

    (void)state;
    assert_true(url_parse(SPAN("https://good.jp/a/b?c"), &base));
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(url_resolve(&base, span_of(cases[i].reference), text, &url));
        assert_normal(&url, cases[i].normal);
    }
    for (size_t i = 0; i < COUNT(nowhere); i++)
        assert_false(url_resolve(&base, span_of(nowhere[i]), text, &url));
}

/* What does not fit is nowhere, wherever its bytes come from. */
static void test_resolve_long(void **state)
{
    static char text[URL_NORMAL_MAX], reference[URL_NORMAL_MAX + 2];
    struct url base, url;

    (void)state;
    memset(reference, 'a', sizeof(reference));
    assert_true(url_parse(SPAN("https://good.jp/a/b"), &base));
    assert_false(url_resolve(&base, (struct span){reference, sizeof(reference)}, text, &url));
    assert_true(url_resolve(&base, (struct span){reference, URL_NORMAL_MAX - 3}, text, &url));
    assert_int_equal(url.target.size, URL_NORMAL_MAX);
    reference[0] = '/';
    assert_true(url_resolve(&base, (struct span){reference, URL_NORMAL_MAX}, text, &url));
    assert_false(url_resolve(&base, (struct span){reference, URL_NORMAL_MAX + 1}, text, &url));
    reference[1] = '\\';
    assert_false(url_resolve(&base, (struct span){reference, URL_NORMAL_MAX}, text, &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_one_normal_form),
        cmocka_unit_test(test_bad),          cmocka_unit_test(test_normalise_needs_room),
        cmocka_unit_test(test_decode),       cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_resolve_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
