/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of namespaces: what is left out of XML and what is not, however it is cut; the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "filters/namespaces.h"

struct output {
    char text[512];
    size_t size;
};

static void give(void *context, struct span text)
{
    struct output *output = context;

    assert_true(text.size > 0 && output->size + text.size < sizeof(output->text));
    memcpy(output->text + output->size, text.data, text.size);
    output->size += text.size;
    output->text[output->size] = '\0';
}

static void check(const char *text, const char *wanted)
{
    size_t size = strlen(text);

    for (size_t cut = 0; cut <= size; cut++) {
        struct namespace_filter filter = {.state = NAMESPACE_TEXT};
        struct output output = {.size = 0};
        namespace_filter_feed(&filter, (struct span){text, cut}, give, &output);
        namespace_filter_feed(&filter, (struct span){text + cut, size - cut}, give, &output);
        assert_string_equal(output.text, wanted);
    }
    struct namespace_filter filter = {.state = NAMESPACE_TEXT};
    struct output output = {.size = 0};
    for (size_t i = 0; i < size; i++)
        namespace_filter_feed(&filter, (struct span){text + i, 1}, give, &output);
    assert_string_equal(output.text, wanted);
}

static void test_left_out(void **state)
{
    (void)state;
    check("", "");
    check("<a xmlns='http://a.jp/'/>", "<a xmlns=''/>");
    check("<a xmlns=\"http://a.jp/\">b</a>", "<a xmlns=\"\">b</a>");
    check("<s:a xmlns:s='http://a.jp/' b='http://b.jp/'>", "<s:a xmlns:s='' b='http://b.jp/'>");
    check("<a\n\txmlns = 'http://a.jp/' >", "<a\n\txmlns = '' >");
    check("<?xml version='1.0'?><a xmlns='x'><b xmlns:c='y' xmlns='z'>",
          "<?xml version='1.0'?><a xmlns=''><b xmlns:c='' xmlns=''>");
    check("<a xmlns='never closed http://a.jp/", "<a xmlns='");
    check("<a b='>' xmlns='x'>", "<a b='>' xmlns=''>");
    check("<c a='b' node='http://a.jp/' ver='1'/>", "<c a='b' node='' ver='1'/>");
    check("<c xmlns='x' node='http://a.jp/'/><c\tnode='y'>", "<c xmlns='' node=''/><c\tnode=''>");
}

/* What is not the name of a namespace is given on, above all what people write. */
static void test_given_on(void **state)
{
    static const char *const texts[] = {
        "xmlns='http://a.jp/'",
        "<body>xmlns='http://a.jp/' xmlns=\"http://b.jp/\"</body>",
        "<body>&lt;a xmlns='http://a.jp/'&gt;</body>",
        "<a b=' xmlns=' c='http://a.jp/'>",
        "<a b=\" xmlns='http://a.jp/' \">",
        "<a xmlnsx='http://a.jp/'>",
        "<a x:xmlns='http://a.jp/'>",
        "<a xmlns b='http://a.jp/'>",
        "<a node='http://a.jp/'><cc node='http://a.jp/'/><c nodes='http://a.jp/'/>",
        "<c/><a c node='http://a.jp/'>",
        "<c a='b'c node2='http://a.jp/'>",
        "<a xmlns1:b='http://a.jp/'>",
        "<a xmlns=b 'http://a.jp/'>",
        "<xmlns='http://a.jp/'>",
        "<a b='c'xmlns='http://a.jp/'>",
        "<a href='http://a.jp/' xlink:href='http://b.jp/'>",
        "<![CDATA[ <a xmlns='http://a.jp/'> ]]>",
        "<!-- --><a xmlns='http://a.jp/'>",
        "<?x <a xmlns='http://a.jp/'> ?>",
        "{\"text\":\"xmlns='http://a.jp/'\"}",
        "a < b xmlns >= 'http://a.jp/'",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        check(texts[i], texts[i]);
}

static void test_known(void **state)
{
    static const struct {
        const char *text;
        bool known;
    } rows[] = {
        {"http://jabber.org/protocol/muc", true},
        {"http://www.w3.org/2000/svg", true},
        {"http://etherx.jabber.org/streams", true},
        {"https://json-schema.org/draft/2020-12/schema", true},
        {"http://www.w3.org/", false},
        {"http://www.w3.org/People/", false},
        {"http://jabber.org/", false},
        {"http://evil.jabber.org/protocol/muc", false},
        {"http://jabber.org.evil.jp/protocol/muc", false},
        {"http://jabber.org:8080/protocol/muc", false},
        {"http://jabber.org/protocol/?u=http://evil.jp/", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct url url;
        assert_true(url_parse(span_of(rows[i].text), &url));
        assert_int_equal(namespace_is_known(&url), rows[i].known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_given_on),
        cmocka_unit_test(test_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
