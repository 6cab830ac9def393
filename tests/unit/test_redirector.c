/* SPDX-License-Identifier: BSD-2-Clause */
/* Redirectors: where each leads, what cannot be read, what only looks like one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/url.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static char buffer[REDIRECTOR_BUFFER];

static enum redirector unwrap(const char *host, const char *target, char *normal, size_t size)
{
    struct url url;
    enum redirector result = redirector_unwrap(span_of(host), span_of(target), &url, buffer);
    normal[0] = '\0';
    if (result == REDIRECTOR_TARGET) {
        size_t used =
            url_normalise(url.tls, span_of(url.host), url.port, url.target, normal, size - 1);
        normal[used] = '\0';
    }
    return result;
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *host, *target, *normal;
    } cases[] = {
        {"jpn01.safelinks.protection.outlook.com",
         "/?url=https%3A%2F%2Fevil.jp%2Fa%3Fb%3Dc&data=05&sdata=x", "https://evil.jp/a?b=c"},
        {"statics.teams.cdn.office.net",
         "/evergreen-assets/safelinks/1/atp-safelinks.html?url=https%3A%2F%2Fevil.jp",
         "https://evil.jp/"},
        {"urlp.asm.skype.com", "/v1/url/content?url=https%3a%2f%2fevil.jp%2f", "https://evil.jp/"},
        {"jp-prod.asyncgw.teams.microsoft.com", "/urlp/v1/0-1/url/image/T?url=http%3A%2F%2Fevil.jp",
         "http://evil.jp/"},
        {"www.evil.jp.mcas.ms", "/a?b", "https://www.evil.jp/a?b"},
        {"evil.jp.admin-mcas.ms", "/", "https://evil.jp/"},
        {"www.google.com", "/url?sa=t&q=https://evil.jp/&ust=1", "https://evil.jp/"},
        {"www.google.co.jp", "/url?url=https%3A%2F%2Fevil.jp%2F", "https://evil.jp/"},
        {"google.de", "/url?q=https://evil.jp/&url=https://evil.jp/", "https://evil.jp/"},
        {"www.google.com", "/ur%6c?%71=https://evil.jp/", "https://evil.jp/"},
        {"www.google.com", "/amp/s/evil.jp/a?b", "https://evil.jp/a?b"},
        {"www.google.com", "/amp/evil.jp/a", "http://evil.jp/a"},
        {"www.googleadservices.com", "/pagead/aclk?sa=L&adurl=https://evil.jp/",
         "https://evil.jp/"},
        {"www.youtube.com", "/redirect?event=video&q=https%3A%2F%2Fevil.jp", "https://evil.jp/"},
        {"l.facebook.com", "/l.php?u=https%3A%2F%2Fevil.jp%2F&h=AT0", "https://evil.jp/"},
        {"lm.facebook.com", "/l.php?h=AT0&u=https%3A%2F%2Fevil.jp%2F", "https://evil.jp/"},
        {"l.messenger.com", "/l.php?u=https%3A%2F%2Fevil.jp%2F", "https://evil.jp/"},
        {"l.instagram.com", "/?u=https%3A%2F%2Fevil.jp%2F&e=1", "https://evil.jp/"},
        {"out.reddit.com", "/t3_x?url=https%3A%2F%2Fevil.jp", "https://evil.jp/"},
        {"t.umblr.com", "/redirect?z=https%3A%2F%2Fevil.jp&t=1", "https://evil.jp/"},
        {"vk.com", "/away.php?to=https%3A%2F%2Fevil.jp", "https://evil.jp/"},
        {"steamcommunity.com", "/linkfilter/?url=https://evil.jp", "https://evil.jp/"},
        {"duckduckgo.com", "/l/?uddg=https%3A%2F%2Fevil.jp&rut=1", "https://evil.jp/"},
        {"www.bing.com", "/ck/a?!&&p=1&u=a1aHR0cHM6Ly9ldmlsLmpwLw&ntb=1", "https://evil.jp/"},
        {"www.bing.com", "/ck/a?u=a1aHR0cHM6Ly9ldmlsLmpwL_8-", "https://evil.jp/%FF%3E"},
        {"www.bing.com", "/ck/a?u=a1L2ltYWdlcy9zZWFyY2g_cT14",
         "https://www.bing.com/images/search?q=x"},
        {"href.li", "/?https://evil.jp/a?b", "https://evil.jp/a?b"},
        {"slack-redir.net", "/link?url=https%3A%2F%2Fevil.jp", "https://evil.jp/"},
        {"www.linkedin.com", "/redir/redirect?url=https%3A%2F%2Fevil.jp", "https://evil.jp/"},
        {"x.r.eu-west-1.awstrack.me", "/L0/https:%2F%2Fevil.jp%2Fa/1/0102/x=1",
         "https://evil.jp/a"},
        /* what a browser makes of it, not what it looks like */
        {"l.facebook.com", "/l.php?u=https:%5C%5Cevil.jp%5Ca", "https://evil.jp/a"},
        {"l.facebook.com", "/l.php?u=https://clinic.jp%40evil.jp/", "https://evil.jp/"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char normal[512];
        assert_int_equal(unwrap(cases[i].host, cases[i].target, normal, sizeof(normal)),
                         REDIRECTOR_TARGET);
        assert_string_equal(normal, cases[i].normal);
    }
}

static void test_opaque(void **state)
{
    (void)state;
    static const struct {
        const char *host, *target;
    } cases[] = {
        {"liff.line.me", "/1234-abcd"},
        {"lin.ee", "/abc"},
        {"line.me", "/R/ti/p/%40x"},
        {"www.bing.com", "/ck/a?u=a2aHR0cHM6Ly9ldmlsLmpw"},
        {"www.bing.com", "/ck/a?u=aHR0cHM6Ly9ldmlsLmpw"},
        {"www.bing.com", "/ck/a?u=a1aHR0cHM6Ly9ldmlsLmpw%3D"},
        {"www.bing.com", "/ck/a?u=a1aHR0cHM6Ly9ldmlsLmpw&u=a1aHR0cHM6Ly9jbGluaWMuanA"},
        {"www.bing.com", "/ck/a?u=a1Ly9ldmlsLmpw"},     /* "//evil.jp" */
        {"www.bing.com", "/ck/a?u=a1L1xldmlsLmpw"},     /* "/\\evil.jp" */
        {"www.bing.com", "/ck/a?u=a1amF2YXNjcmlwdDox"}, /* "javascript:1" */
        {"www.bing.com", "/ck/a?u=a1"},
        {"l.facebook.com", "/"},
        {"l.facebook.com", "/l.php?u="},
        {"l.facebook.com", "/l.php?u=/relative"},
        {"l.facebook.com", "/l.php?u=javascript:alert(1)"},
        {"l.facebook.com", "/l.php?u=https%3A%2F%2Fevil.jp%2F%0A"},
        {"l.facebook.com", "/l.php?u=https%253A%252F%252Fevil.jp"},
        {"l.facebook.com", "/l.php?u=https://2130706433/"},
        {"www.google.com", "/url?q=https://a.jp/&q=https://b.jp/"},
        {"www.google.com", "/url?q=https://a.jp/&url=https://b.jp/"},
        {"www.google.com", "/url"},
        {"localhost.mcas.ms", "/"},
        {"x.awstrack.me", "/L0/"},
        {"www.google.com", "/amp/s/"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char normal[512];
        assert_int_equal(unwrap(cases[i].host, cases[i].target, normal, sizeof(normal)),
                         REDIRECTOR_OPAQUE);
    }
}

static void test_none(void **state)
{
    (void)state;
    static const struct {
        const char *host, *target;
    } cases[] = {
        {"example.jp", "/url?q=https://clinic.jp/"},
        {"www.google.com", "/search?q=https://clinic.jp/"},
        {"www.google.com", "/urls?q=https://clinic.jp/"},
        /* names that anybody can register must not pass for Google */
        {"www.google.evil.jp", "/url?q=https://clinic.jp/"},
        {"google.com.evil.jp", "/url?q=https://clinic.jp/"},
        {"www.google.evil", "/url?q=https://clinic.jp/"},
        {"www.google.ne.jp", "/url?q=https://clinic.jp/"},
        {"xgoogle.com", "/url?q=https://clinic.jp/"},
        {"translate.google.evil.jp", "/translate?u=https://clinic.jp/"},
        {"google", "/url?q=https://clinic.jp/"},
        {"clinic.jp.mcas.ms.evil.jp", "/"},
        {"mcas.ms", "/"},
        {"evil-l.facebook.com", "/?u=https://clinic.jp/"},
        {"line.me", "/ja/"},
        {"192.0.2.7", "/url?q=https://clinic.jp/"},
        {"example.jp", "*"},
        {"example.jp", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char normal[512];
        assert_int_equal(unwrap(cases[i].host, cases[i].target, normal, sizeof(normal)),
                         REDIRECTOR_NONE);
    }
}

/* l.facebook.com in l.facebook.com, `depth` of them; each level percent-encodes what it holds. */
static void nest(char *text, size_t size, int depth)
{
    char inner[REDIRECTOR_BUFFER];
    snprintf(text, size, "https://evil.jp/");
    for (int i = 0; i < depth; i++) {
        size_t used = (size_t)snprintf(inner, sizeof(inner), "https://l.facebook.com/l.php?u=");
        for (const char *c = text; *c && used + 4 < sizeof(inner); c++)
            used += (size_t)snprintf(inner + used, 4, *c == '%' || *c == '&' ? "%%%02X" : "%c",
                                     (unsigned char)*c);
        assert_true(used < size);
        memcpy(text, inner, used + 1);
    }
}

static void test_nested(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 7; depth++) {
        char text[REDIRECTOR_BUFFER], normal[512];
        nest(text, sizeof(text), depth);
        const char *target = strchr(text + sizeof("https://"), '/');
        assert_int_equal(unwrap("l.facebook.com", target, normal, sizeof(normal)),
                         depth <= 5 ? REDIRECTOR_TARGET : REDIRECTOR_OPAQUE);
        assert_string_equal(normal, depth <= 5 ? "https://evil.jp/" : "");
    }
    char normal[512];
    assert_int_equal(unwrap("www.google.com", "/url?q=https://lin.ee/x", normal, sizeof(normal)),
                     REDIRECTOR_OPAQUE);
    assert_int_equal(unwrap("www.google.com", "/url?q=https://www.google.com/amp/s/evil.jp/x",
                            normal, sizeof(normal)),
                     REDIRECTOR_TARGET);
    assert_string_equal(normal, "https://evil.jp/x");
}

static void test_too_long(void **state)
{
    (void)state;
    static const char start[] = "/l.php?u=https://evil.jp/";
    char normal[2 * REDIRECTOR_BUFFER];
    for (size_t size = REDIRECTOR_BUFFER - 2; size <= REDIRECTOR_BUFFER + 2; size++) {
        /* on the heap, so that a byte too far is seen */
        size_t total = size + sizeof("/l.php?u=") - 1;
        char *target = malloc(total);
        assert_non_null(target);
        memset(target, 'a', total);
        memcpy(target, start, sizeof(start) - 1);
        struct url url;
        enum redirector result =
            redirector_unwrap(SPAN("l.facebook.com"), (struct span){target, total}, &url, buffer);
        assert_int_equal(result, size <= REDIRECTOR_BUFFER ? REDIRECTOR_TARGET : REDIRECTOR_OPAQUE);
        free(target);
    }
    memset(normal, 'a', sizeof(normal));
    memcpy(normal, "/amp/s/a.jp/", 12);
    struct url url;
    assert_int_equal(redirector_unwrap(SPAN("www.google.com"),
                                       (struct span){normal, sizeof(normal)}, &url, buffer),
                     REDIRECTOR_OPAQUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),  cmocka_unit_test(test_opaque),
        cmocka_unit_test(test_none),     cmocka_unit_test(test_nested),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
