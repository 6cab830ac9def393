/* SPDX-License-Identifier: BSD-2-Clause */
/* What is fetched from, as it stands in a certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/fetch_url.h"

static void test_good(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *target;
        bool is_ipv6;
    } rows[] = {
        {"http://crl.example.jp/1.crl", "crl.example.jp", 80, "/1.crl", false},
        {"HTTP://CRL.Example.JP/A.crl", "crl.example.jp", 80, "/A.crl", false},
        {"http://crl.example.jp:8080/", "crl.example.jp", 8080, "/", false},
        {"http://crl.example.jp:/x", "crl.example.jp", 80, "/x", false},
        {"http://crl.example.jp./x", "crl.example.jp", 80, "/x", false},
        {"http://192.0.2.7/x?a=b&c=%2F", "192.0.2.7", 80, "/x?a=b&c=%2F", false},
        {"http://[2001:db8::7]:81/x", "2001:db8::7", 81, "/x", true},
        {"http://[::ffff:192.0.2.7]/x", "192.0.2.7", 80, "/x", false},
        {"http://a.jp/%e3%81%82~!$&'()*+,;=:@/?/?", "a.jp", 80, "/%e3%81%82~!$&'()*+,;=:@/?/?",
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fetch_url url;
        if (!fetch_url_read(span_of(rows[i].text), &url))
            fail_msg("%s", rows[i].text);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.is_ipv6, rows[i].is_ipv6);
        assert_true(span_equal(url.target, span_of(rows[i].target)));
    }
}

static void test_bad(void **state)
{
    static const char *const rows[] = {
        "",
        "http",
        "http://",
        "http:///x",
        "http://crl.example.jp",
        "http://crl.example.jp?x",
        "https://crl.example.jp/x",
        "ldap://crl.example.jp/x",
        "ftp://crl.example.jp/x",
        "file:///etc/passwd",
        "//crl.example.jp/x",
        " http://crl.example.jp/x",
        "http://crl.example.jp/x ",
        "http://crl.example.jp/x y",
        "http://crl.example.jp/x\r\nHost: other",
        "http://crl.example.jp/x#part",
        "http://user@crl.example.jp/x",
        "http://user:word@crl.example.jp/x",
        "http://crl.example.jp@192.168.0.1/x",
        "http://crl.example.jp:0/x",
        "http://crl.example.jp:65536/x",
        "http://crl.example.jp:080000/x",
        "http://crl.example.jp:+80/x",
        "http://crl.example.jp:80:80/x",
        "http://crl.example.jp:8o/x",
        "http://127.1/x",
        "http://2130706433/x",
        "http://0x7f000001/x",
        "http://0x7f.0.0.1/x",
        "http://127.0.0.0x1/x",
        "http://0177.0.0.1/x",
        "http://192.0.2.7.1/x",
        "http://256.0.0.1/x",
        "http://[2001:db8::7/x",
        "http://2001:db8::7/x",
        "http://[192.0.2.7]/x",
        "http://[fe80::1%25eth0]/x",
        "http://[]/x",
        "http://[::1]x/x",
        "http://a..jp/x",
        "http://-a.jp/x",
        "http://%61.jp/x",
        "http://a b.jp/x",
        "http://\xe3\x81\x82.jp/x",
        "http://a.jp/\xe3\x81\x82",
        "http://a.jp/%",
        "http://a.jp/%4",
        "http://a.jp/%4g",
        "http://a.jp/\"",
        "http://a.jp/<>",
        "http://a.jp/\\x",
        "http://a.jp/^`{|}",
        "http://a.jp\\@b.jp/x",
        "http://a.jp/\x7f",
    };
    struct fetch_url url;
    char text[FETCH_URL_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (fetch_url_read(span_of(rows[i]), &url))
            fail_msg("%s", rows[i]);
    assert_false(fetch_url_read((struct span){"http://a.jp/\0x", 14}, &url));
    assert_false(fetch_url_read((struct span){"http://a\0.jp/x", 14}, &url));
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://a.jp/", 12);
    assert_true(fetch_url_read((struct span){text, FETCH_URL_MAX - 1}, &url));
    assert_false(fetch_url_read((struct span){text, FETCH_URL_MAX}, &url));
}

static void test_https(void **state)
{
    struct fetch_url url;

    (void)state;
    assert_true(fetch_url_read_https(span_of("https://Updates.example.jp/a.bundle"), &url));
    assert_string_equal(url.host, "updates.example.jp");
    assert_int_equal(url.port, 443);
    assert_true(fetch_url_read_https(span_of("https://updates.example.jp:/a"), &url));
    assert_int_equal(url.port, 443);
    assert_true(fetch_url_read_https(span_of("https://[2001:db8::7]:8443/a"), &url));
    assert_int_equal(url.port, 8443);
    assert_false(fetch_url_read_https(span_of("http://updates.example.jp/a"), &url));
    assert_false(fetch_url_read_https(span_of("https://updates.example.jp"), &url));
    assert_false(fetch_url_read_https(span_of("https://user@updates.example.jp/a"), &url));
    assert_false(fetch_url_read_https(span_of("https://updates.example.jp/a b"), &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_https)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
