/* SPDX-License-Identifier: BSD-2-Clause */
/* What the portal answers, request by request, and the profile for Apple's devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "filters/memory.h"
#include "gateway/authority.h"
#include "gateway/portal_page.h"
#include "gateway/portal_profile.h"

static char folder[] = "/tmp/sekisho-test-portal.XXXXXX";
static struct portal_pages *pages, *rotating;
static X509 *roots[2];
static char *texts[3];

static const struct http1_limits limits = {.line = 4096, .head = 16384, .fields = 64};

static char *read_text(const char *name)
{
    const char *top = getenv("SEKISHO_SOURCE");
    char path[512], *text = calloc(1, 65536);

    snprintf(path, sizeof(path), "%s/conf/pages/%s", top ? top : ".", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: run from the top of the sources, or with SEKISHO_SOURCE", path);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

/* The whole answer to a request. */
static char *ask_of(const struct portal_pages *of, const char *request, bool tls)
{
    struct http1 *parser = http1_new_request_parser(&limits);
    struct portal_answer answer;
    struct span data;
    size_t used;
    enum http1_event event = http1_feed(parser, request, strlen(request), &used, &data);

    if (event == HTTP1_HEAD)
        portal_pages_answer(of, http1_head(parser), tls, &answer);
    else
        portal_pages_refuse(http1_error_status(http1_error(parser)), &answer);
    struct evbuffer *out = evbuffer_new();
    portal_pages_write(of, &answer, out);
    char *text = memory_allocate(evbuffer_get_length(out) + 1, 1);
    evbuffer_remove(out, text, evbuffer_get_length(out));
    evbuffer_free(out);
    http1_free(parser);
    return text;
}

static char *ask(const char *request)
{
    return ask_of(pages, request, false);
}

static void test_statuses(void **state)
{
    static const struct {
        const char *request;
        const char *status;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "200 "},
        {"GET /?x=1 HTTP/1.1\r\nHost: SEKISHO.home.arpa.:80\r\n\r\n", "200 "},
        {"GET / HTTP/1.1\r\nHost: 192.168.10.1\r\n\r\n", "200 "},
        {"GET / HTTP/1.1\r\nHost: [fd00::1]\r\n\r\n", "200 "},
        {"GET / HTTP/1.0\r\n\r\n", "200 "},
        {"HEAD /ca.crt HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "200 "},
        {"GET http://sekisho.home.arpa/ca.pem HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "200 "},
        {"GET /ca.PEM HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "404 "},
        {"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "404 "},
        {"GET /../ca-key.pem HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "404 "},
        {"GET /next.crt HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "404 "},
        {"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "421 "},
        {"POST / HTTP/1.1\r\nHost: sekisho.home.arpa\r\nContent-Length: 0\r\n\r\n", "405 "},
        {"OPTIONS * HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n", "405 "},
        {"CONNECT sekisho.home.arpa:443 HTTP/1.1\r\nHost: sekisho.home.arpa:443\r\n\r\n", "405 "},
        {"GET / HTTP/1.1\r\n\r\n", "400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 "},
        {"GET / HTTP/1.1\r\nHost: sekisho.home.arpa\r\nContent-Length: 5\r\n\r\nhello", "400 "},
        {"\x16\x03\x01\x02\r\n\r\n", "400 "},
        {"GET / HTTP/3.0\r\nHost: sekisho.home.arpa\r\n\r\n", "505 "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = ask(rows[i].request);
        if (strncmp(text, "HTTP/1.1 ", 9) != 0 || strncmp(text + 9, rows[i].status, 4) != 0)
            fail_msg("%s: %.40s", rows[i].request, text);
        assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(text, "\r\nContent-Security-Policy: default-src 'none'; style-src "
                                     "'sha256-"));
        assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_int_equal(strstr(text, "\r\nAllow: GET, HEAD\r\n") != NULL,
                         strcmp(rows[i].status, "405 ") == 0);
        if (strncmp(rows[i].request, "HEAD", 4) == 0)
            assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
        free(text);
    }
}

static void test_languages(void **state)
{
    static const char english[] =
        "GET / HTTP/1.1\r\nHost: sekisho.home.arpa\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n";
    static const char other[] =
        "GET / HTTP/1.1\r\nHost: sekisho.home.arpa\r\nAccept-Language: fr\r\n\r\n";

    (void)state;
    char *text = ask(english);
    assert_non_null(strstr(text, "<html lang=\"en\">"));
    assert_non_null(strstr(text, "\r\nVary: Accept-Language\r\n"));
    free(text);
    text = ask(other);
    assert_non_null(strstr(text, "<html lang=\"ja\">"));
    /* self-contained: nothing is asked for from anywhere */
    assert_null(strstr(text, "src="));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http://"));
    free(text);
}

/* What is told to be there is there: the certificate and its fingerprint. */
static void test_certificate(void **state)
{
    unsigned char *der = NULL;
    int size = i2d_X509(roots[0], &der);
    char *text = ask("GET /ca.crt HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n");

    (void)state;
    assert_non_null(strstr(text, "\r\nContent-Type: application/x-x509-ca-cert\r\n"));
    assert_memory_equal(strstr(text, "\r\n\r\n") + 4, der, (size_t)size);
    free(text);
    text = ask("GET /ca.pem HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n");
    BIO *bio = BIO_new_mem_buf(strstr(text, "\r\n\r\n") + 4, -1);
    X509 *got = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(X509_cmp(got, roots[0]), 0);
    X509_free(got);
    BIO_free(bio);
    free(text);

    unsigned char digest[32];
    char fingerprint[100] = "";
    assert_int_equal(X509_digest(roots[0], EVP_sha256(), digest, NULL), 1);
    for (int i = 0; i < 32; i++)
        snprintf(fingerprint + strlen(fingerprint), 4, "%s%02X", i ? " " : "", digest[i]);
    text = ask("GET / HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n");
    assert_non_null(strstr(text, fingerprint));
    assert_null(strstr(text, "/next.crt"));
    assert_non_null(strstr(text, "A&amp;B &lt;clinic&gt;"));
    assert_non_null(strstr(text, "href=\"https://sekisho.home.arpa/\""));
    free(text);
    OPENSSL_free(der);
}

/* Both are there while one is about to follow the other, and https says that it worked. */
static void test_rotation_and_check(void **state)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: sekisho.home.arpa\r\nAccept-Language: en\r\n\r\n";
    char *text = ask_of(rotating, request, false);

    (void)state;
    assert_non_null(strstr(text, "/ca.crt"));
    assert_non_null(strstr(text, "/next.crt"));
    assert_null(strstr(text, "class=\"enrolled\""));
    free(text);
    text = ask_of(rotating, request, true);
    assert_non_null(strstr(text, "class=\"enrolled\""));
    free(text);
    text = ask_of(rotating, "GET /next.mobileconfig HTTP/1.1\r\nHost: sekisho.home.arpa\r\n\r\n",
                  false);
    assert_non_null(strstr(text, "\r\nContent-Type: application/x-apple-aspen-config\r\n"));
    free(text);
}

static void test_profile(void **state)
{
    struct text one = {0}, other = {0};
    char uuid[PROFILE_UUID], again[PROFILE_UUID], apart[PROFILE_UUID];

    (void)state;
    profile_write(SPAN("certificate"), SPAN("A & B <c> \"d\"\n"), SPAN("</string>"), &one);
    profile_write(SPAN("Certificate"), SPAN("name"), SPAN(""), &other);
    text_add(&one, (struct span){"", 1});
    text_add(&other, (struct span){"", 1});
    assert_non_null(strstr(one.data, "<string>A &amp; B &lt;c&gt; &quot;d&quot; </string>"));
    assert_non_null(strstr(one.data, "<string>&lt;/string&gt;</string>"));
    assert_non_null(strstr(one.data, "<data>\nY2VydGlmaWNhdGU=\n</data>"));
    assert_non_null(strstr(one.data, "<string>com.apple.security.root</string>"));
    assert_null(strstr(other.data, "PayloadOrganization"));
    profile_make_uuid("profile", SPAN("certificate"), uuid);
    profile_make_uuid("profile", SPAN("certificate"), again);
    assert_string_equal(uuid, again);
    assert_non_null(strstr(one.data, uuid));
    assert_null(strstr(other.data, uuid));
    profile_make_uuid("certificate", SPAN("certificate"), apart);
    assert_string_not_equal(uuid, apart);
    assert_non_null(strstr(one.data, apart));
    assert_int_equal(strlen(uuid), 36);
    assert_int_equal(uuid[14], '8');
    assert_non_null(strchr("89AB", uuid[19]));
    free(one.data);
    free(other.data);
}

static void test_broken_files(void **state)
{
    struct portal_facts facts = {.template_text = "<p>{{no.such}}</p>",
                                 .messages = {"a = b\n", "a = b\n"},
                                 .host = "h.example",
                                 .clinic = "",
                                 .contact = "",
                                 .root = roots[0]};
    char error[256] = "";

    (void)state;
    assert_null(portal_pages_new(&facts, error, sizeof(error)));
    assert_non_null(strstr(error, "no.such"));
    facts.template_text = "{{only}}";
    facts.messages[0] = "only = x\n"; /* in one language alone */
    assert_null(portal_pages_new(&facts, error, sizeof(error)));
    facts.messages[1] = "nonsense\n";
    assert_null(portal_pages_new(&facts, error, sizeof(error)));
    assert_non_null(strstr(error, "enrol.en line 1"));
}

static X509 *make_root(const char *name)
{
    char certificate[128], key[128], error[256];
    struct authority_order order = {.certificate_path = certificate, .key_path = key};

    snprintf(certificate, sizeof(certificate), "%s/%s.pem", folder, name);
    snprintf(key, sizeof(key), "%s/%s.key", folder, name);
    if (authority_create(&order, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    STACK_OF(X509) *chain = authority_read(certificate, error, sizeof(error));
    X509 *root = authority_root(chain);
    X509_up_ref(root);
    sk_X509_pop_free(chain, X509_free);
    unlink(certificate);
    unlink(key);
    return root;
}

static int set_up(void **state)
{
    char error[256] = "";

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    roots[0] = make_root("one");
    roots[1] = make_root("two");
    texts[0] = read_text("enrol.html");
    texts[1] = read_text("enrol.ja");
    texts[2] = read_text("enrol.en");
    struct portal_facts facts = {.template_text = texts[0],
                                 .messages = {texts[1], texts[2]},
                                 .host = "sekisho.home.arpa",
                                 .tls_port = 443,
                                 .clinic = "A&B <clinic>",
                                 .contact = "11",
                                 .root = roots[0]};
    pages = portal_pages_new(&facts, error, sizeof(error));
    facts.next = roots[1];
    rotating = portal_pages_new(&facts, error, sizeof(error));
    if (!pages || !rotating)
        fail_msg("%s", error);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    portal_pages_free(pages);
    portal_pages_free(rotating);
    for (int i = 0; i < 2; i++)
        X509_free(roots[i]);
    for (int i = 0; i < 3; i++)
        free(texts[i]);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),    cmocka_unit_test(test_languages),
        cmocka_unit_test(test_certificate), cmocka_unit_test(test_rotation_and_check),
        cmocka_unit_test(test_profile),     cmocka_unit_test(test_broken_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
