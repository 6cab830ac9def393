/* SPDX-License-Identifier: BSD-2-Clause */
/* The suggested file name: every encoding that browsers undo, and every trick to hide an extension.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "filters/sniff.h"

static bool name_of(struct span disposition, const char *target, char *name, size_t size)
{
    struct field fields[] = {{SPAN("Content-Type"), SPAN("x/y; filename=no.exe")},
                             {SPAN("content-DISPOSITION"), disposition}};
    struct response response = {.fields = fields, .field_count = disposition.data == NULL ? 1 : 2};
    bool attachment = true;

    sniff_file_name(&response, span_of(target), name, size, &attachment);
    return attachment;
}

#define TEXT(text) text, sizeof(text) - 1
static const struct {
    const char *disposition;
    size_t size;
    const char *name;
    bool attachment;
} rows[] = {
    {TEXT("attachment"), "page.cgi", true},
    {TEXT("inline"), "page.cgi", false},
    {TEXT("INLINE ; filename=a.txt"), "a.txt", false},
    {TEXT(""), "page.cgi", false},
    {TEXT("filename=a.txt"), "a.txt", false},
    {TEXT("; filename=a.txt"), "a.txt", false},
    {TEXT("form-data; filename=a.txt"), "a.txt", true},
    {TEXT("attachment;FileName=a.txt"), "a.txt", true},
    {TEXT("attachment; filename = \"a b.txt\" ; x=y"), "a b.txt", true},
    {TEXT("attachment; filename=a b.txt; x=y"), "a b.txt", true},
    {TEXT("attachment; filename=\"a;b.txt\""), "a;b.txt", true},
    {TEXT("attachment; filename=\"a\\\"b.txt\""), "a_b.txt", true},
    {TEXT("attachment; filename=\"a.b\\at\""), "a.bat", true},
    {TEXT("attachment; filename=\"x\\\".b%61t\""), "x_.bat", true},
    {TEXT("attachment; filename=\"open.exe"), "open.exe", true},
    {TEXT("attachment; filename=\"\\"), "page.cgi", true},
    {TEXT("attachment; x=\"; filename=no.txt\"; filename=yes.txt"), "yes.txt", true},
    {TEXT("attachment; filename=\"\""), "page.cgi", true},
    {TEXT("attachment; filename=first.txt; filename=second.txt"), "first.txt", true},
    {TEXT("attachment; filename=a%2eexe"), "a.exe", true},
    {TEXT("attachment; filename=100%.txt"), "100%.txt", true},
    {TEXT("attachment; filename=a%zz%4"), "a%zz%4", true},
    {TEXT("attachment; filename='evil.exe'"), "evil.exe", true},
    {TEXT("attachment; filename='"), "'", true},
    /* where the type ends, browsers differ */
    {TEXT("attachment filename=evil.exe"), "evil.exe", true},
    {TEXT("attachment, x; filename=evil.exe"), "evil.exe", true},
    {TEXT("inline filename=evil.exe"), "evil.exe", false},
    {TEXT("attachment=x; filename=evil.exe"), "evil.exe", true},
    {TEXT("\tattachment\t;filename=evil.exe"), "evil.exe", true},
    /* filename* before filename, whatever their order; when it is none, the other */
    {TEXT("attachment; filename*=UTF-8''%e5%9b%b3.pdf; filename=x.pdf"), "\xe5\x9b\xb3.pdf", true},
    {TEXT("attachment; filename=x.pdf; filename*=utf-8'ja'%e5%9b%b3.pdf"), "\xe5\x9b\xb3.pdf",
     true},
    {TEXT("attachment; filename*=iso-8859-1'en'%a3.pdf"), "\xc2\xa3.pdf", true},
    {TEXT("attachment; filename*=nonsense; filename=x.pdf"), "x.pdf", true},
    {TEXT("attachment; filename*=''x.txt; filename=y.pdf"), "y.pdf", true},
    /* browsers differ in which they believe: the dangerous one counts */
    {TEXT("attachment; filename*=UTF-8''a.txt; filename=evil.exe"), "evil.exe", true},
    {TEXT("attachment; filename=a.txt; filename*=UTF-8''evil.exe"), "evil.exe", true},
    {TEXT("attachment; filename=a.txt; filename=\"evil.scr\""), "evil.scr", true},
    {TEXT("attachment; filename=a.txt; filename*0=\"evil.scr\""), "evil.scr", true},
    /* in pieces, which Firefox puts together in the order of their numbers */
    {TEXT("attachment; filename*0=\"evil.\"; filename*1=\"exe\""), "evil.exe", true},
    {TEXT("attachment; filename*1=r; filename*0=\"evil.\\sc\"; filename*1=no"), "evil.scr", true},
    {TEXT("attachment; filename=a.txt; filename*0*=UTF-8''evil%2E; filename*1*=%65xe"), "evil.exe",
     true},
    {TEXT("attachment; filename*0=a; filename*1=.txt; filename=b.pdf"), "a", true},
    {TEXT("attachment; filename*1=exe; filename=b.pdf"), "exe", true},
    {TEXT("attachment; filename*99999999999999999999=exe; filename*=x"), "exe", true},
    {TEXT("attachment; filename**=exe"), "page.cgi", true},
    /* encoded words */
    {TEXT("attachment; filename=\"=?UTF-8?B?ZXZpbC5leGU=?=\""), "evil.exe", true},
    {TEXT("attachment; filename==?iso-2022-jp?q?a_b=2Eexe?="), "a b.exe", true},
    {TEXT("attachment; filename=\"=?UTF-8?B?ZXZpbA==?=.js\""), "evil.js", true},
    {TEXT("attachment; filename=\"=?UTF-8?X?abc?=.js\""), "=_UTF-8_X_abc_=.js", true},
    {TEXT("attachment; filename=\"=?UTF-8?B?abc.js\""), "=_UTF-8_B_abc.js", true},
    /* paths */
    {TEXT("attachment; filename=\"../../etc/evil.sh\""), "evil.sh", true},
    {TEXT("attachment; filename=\"C:\\\\x\\\\evil.exe\""), "evil.exe", true},
    {TEXT("attachment; filename=a%2fb%5cevil.exe"), "evil.exe", true},
    {TEXT("attachment; filename=\"dir/\""), "page.cgi", true},
    {TEXT("attachment; filename=\"evil.exe:stream\""), "evil.exe_stream", true},
    /* what Windows drops, what no eye sees */
    {TEXT("attachment; filename=\"evil.exe. . .\""), "evil.exe", true},
    {TEXT("attachment; filename=\"evil.exe%20\""), "evil.exe", true},
    {TEXT("attachment; filename*=UTF-8''evil.exe%C2%A0%E3%80%80"), "evil.exe", true},
    {TEXT("attachment; filename=\"evil.exe \xe2\x80\x82.\xe1\x9a\x80\xe2\x81\x9f\""), "evil.exe",
     true},
    {TEXT("attachment; filename*=UTF-8''a%E3%80%80b.pdf"), "a b.pdf", true},
    {TEXT("attachment; filename=\"evil.exe               \""), "evil.exe", true},
    {TEXT("attachment; filename=\"...\""), "page.cgi", true},
    {TEXT("attachment; filename=\"  a.txt\""), "a.txt", true},
    {TEXT("attachment; filename=\"e\x01v\tl.e\x7fxe\""), "evl.exe", true},
    {TEXT("attachment; filename=evil.exe%00"), "evil.exe", true},
    {TEXT("attachment; filename=\"ev\0il.exe\""), "evil.exe", true},
    {TEXT("attachment; filename=\"photo\xe2\x80\xaegpj.exe\""), "photogpj.exe", true},
    {TEXT("attachment; filename*=UTF-8''invoice.pdf%E2%80%AE.exe."), "invoice.pdf.exe", true},
    {TEXT("attachment; filename=\"a.ex\xe2\x80\x8b"
          "e\""),
     "a.exe", true},
    {TEXT("attachment; filename=\"a.e\xef\xbb\xbfx\xc2\xad"
          "e\""),
     "a.exe", true},
    {TEXT("attachment; filename=\"a.\xe2\x81\xa6"
          "exe\xe2\x81\xa9\""),
     "a.exe", true},
    {TEXT("attachment; filename=\"\xe8\xa8\xba\xe5\xaf\x9f\xe3\x80\x82.pdf\""),
     "\xe8\xa8\xba\xe5\xaf\x9f\xe3\x80\x82.pdf", true},
    {TEXT("attachment; filename=\"\xf0\x9f\x98\x80.pdf\""), "\xf0\x9f\x98\x80.pdf", true},
    {TEXT("attachment; filename=\"cut.exe\xe2\x80\""), "cut.exe\xe2\x80", true},
    {TEXT("attachment; filename=invoice.pdf.exe"), "invoice.pdf.exe", true},
};

static void test_dispositions(void **state)
{
    char name[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct span value = {malloc(rows[i].size + 1), rows[i].size};
        assert_non_null(value.data);
        char *copy = (char *)(uintptr_t)value.data;
        memcpy(copy, rows[i].disposition, value.size);
        bool attachment = name_of(value, "/x/page.cgi?f=a.exe", name, sizeof(name));
        free(copy);
        if (strcmp(name, rows[i].name) != 0 || attachment != rows[i].attachment)
            fail_msg("%s: \"%s\" %d", rows[i].disposition, name, attachment);
    }
}

static void test_targets(void **state)
{
    static const char *const targets[][2] = {{"/a/b/evil.exe", "evil.exe"},
                                             {"/evil%2eexe?x=/y.txt", "evil.exe"},
                                             {"/", ""},
                                             {"*", "_"},
                                             {"/a/", ""},
                                             {"/a%2Fevil.exe", "evil.exe"},
                                             {"/evil.exe/?x", ""},
                                             {"", ""},
                                             {"/evil.exe%20%2e", "evil.exe"},
                                             {"/x;y=evil.exe", "x;y=evil.exe"}};
    char name[256];

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        assert_false(name_of((struct span){NULL, 0}, targets[i][0], name, sizeof(name)));
        assert_string_equal(name, targets[i][1]);
    }
}

/* However long the name and however small the room: the end of it stays. */
static void test_room(void **state)
{
    static char value[20000];
    struct span span = {value, sizeof(value)};

    (void)state;
    memset(value, 'a', sizeof(value));
    memcpy(value, "attachment; filename=", 21);
    memcpy(value + sizeof(value) - 4, ".exe", 4);
    for (size_t size = 10; size < 300; size++) {
        char *name = malloc(size);
        assert_non_null(name);
        name_of(span, "/", name, size);
        assert_true(strlen(name) < size);
        assert_string_equal(name + strlen(name) - 4, ".exe");
        free(name);
    }
    memset(value + 5000, ' ', 7000); /* spaces and dots do not push it out */
    memset(value + 12000, '.', 8000);
    memcpy(value + 4996, ".exe", 4);
    char name[100];
    name_of(span, "/", name, sizeof(name));
    assert_string_equal(name + strlen(name) - 4, ".exe");
    for (size_t size = 0; size < 4; size++) {
        char small[4] = "xyz";
        assert_true(name_of(span, "/evil.exe", size > 0 ? small : NULL, size));
        assert_true(size == 0 || memchr(small, 0, size) != NULL);
    }
}

static void test_several_fields(void **state)
{
    struct field fields[] = {{SPAN("Content-Disposition"), SPAN("inline; filename=a.txt")},
                             {SPAN("Content-Disposition"), SPAN("attachment; filename=b.vbs")}};
    struct response response = {.fields = fields, .field_count = 2};
    bool attachment;
    char name[50];

    (void)state;
    sniff_file_name(&response, SPAN("/"), name, sizeof(name), &attachment);
    assert_true(attachment);
    assert_string_equal(name, "b.vbs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispositions),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_several_fields),
    };

    return cmocka_run_group_tests_name("filename", tests, NULL, NULL);
}
