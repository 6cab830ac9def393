/* SPDX-License-Identifier: BSD-2-Clause */
/* What files are said to be: extensions and declared types, and which of them browsers show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "filters/filetype.h"

static void check_extensions(const char *list, enum file_danger danger)
{
    struct span rest = span_of(list), name;
    struct file_facts facts;

    while (span_next(&rest, ' ', &name)) {
        if (!sniff_extension(name, &facts) || facts.danger != danger)
            fail_msg("extension %.*s", (int)name.size, name.data);
        assert_true(facts.type[0] != '\0' && facts.mime[0] != '\0');
    }
}

static void test_extensions(void **state)
{
    (void)state;
    check_extensions(
        "exe EXE eXe dll com scr pif cpl sys msi msp bat cmd vbs vbe js jse mjs wsf wsh "
        "hta ps1 psm1 lnk url website desktop webloc reg inf ini cfg chm jar jnlp class "
        "apk dex ipa crx appx msix appinstaller iso img vhd vhdx vmdk dmg pkg deb rpm sh "
        "py pl rb command run desktop swf docm xlsm pptm dotm xlam xlsb xll doc xls ppt "
        "jtd mdb accdb one eml msg mht mhtml mobileconfig crt cer settingcontent-ms "
        "library-ms search-ms scf theme udl rdp msc sct wsc diagcab application "
        "appref-ms efi udf wim squashfs tmp local manifest partial",
        FILE_DANGEROUS);
    check_extensions("{20D04FE0-3AEA-1069-A2D8-08002B30309D}", FILE_DANGEROUS);
    check_extensions("zip 7z rar r00 r29 gz tgz bz2 xz zst tar lzh LHA cab cpio arj ace uue hqx",
                     FILE_ARCHIVE);
    check_extensions("pdf docx xlsx pptx odt ods rtf csv ics svg dcm epub vsdx ps", FILE_DOCUMENT);
    check_extensions("htm html xhtml xml txt json css wasm png jpg jpeg gif webp ico mp3 mp4 webm "
                     "woff woff2 ttf ts m3u8",
                     FILE_HARMLESS);
}

/* The first and the last rows of the sorted tables, and what is in neither. */
static void test_unknown(void **state)
{
    static const char *const bad[] = {"",
                                      "aspx",
                                      "asp",
                                      "php",
                                      "action",
                                      "exe ",
                                      " exe",
                                      ".exe",
                                      "{20D04FE0-3AEA-1069-A2D8-08002B30309}",
                                      "{20D04FE0-3AEA-1069-A2D8-08002B30309D)",
                                      "exee",
                                      "zzzz",
                                      "\xff"};
    struct file_facts facts;
    char longest[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(sniff_extension(span_of(bad[i]), &facts));
        assert_string_equal(facts.type, "");
    }
    memset(longest, 'e', sizeof(longest));
    assert_false(sniff_extension((struct span){longest, sizeof(longest)}, &facts));
    assert_false(sniff_extension((struct span){"exe\0", 4}, &facts));
    assert_false(sniff_extension((struct span){NULL, 0}, &facts));
    check_extensions("001", FILE_ARCHIVE);
    check_extensions("zipx zst zstd", FILE_ARCHIVE);
}

static void check_declared(const char *type, const char *name, enum file_danger danger)
{
    struct file_facts facts;

    if (!sniff_declared(span_of(type), &facts))
        fail_msg("not listed: %s", type);
    assert_string_equal(facts.type, name);
    assert_int_equal(facts.danger, danger);
}

static void test_declared(void **state)
{
    static const char *const bad[] = {"",
                                      "application/octet-stream",
                                      "binary/octet-stream",
                                      "application/x-unknown",
                                      "text",
                                      "application/x-msdownload, text/html",
                                      ";charset=utf-8",
                                      "application/force-download"};
    struct file_facts facts;

    (void)state;
    check_declared("application/x-msdownload", "pe", FILE_DANGEROUS);
    check_declared(" Application/X-MSDownload ; x=y", "pe", FILE_DANGEROUS);
    check_declared("application/vnd.microsoft.portable-executable", "pe", FILE_DANGEROUS);
    check_declared("application/x-msdos-program", "dos", FILE_DANGEROUS);
    check_declared("application/hta", "hta", FILE_DANGEROUS);
    check_declared("application/vnd.android.package-archive", "apk", FILE_DANGEROUS);
    check_declared("application/x-apple-aspen-config", "mobileconfig", FILE_DANGEROUS);
    check_declared("application/x-ms-shortcut", "shortcut", FILE_DANGEROUS);
    check_declared("application/java-archive", "jar", FILE_DANGEROUS);
    check_declared("application/x-sh", "script", FILE_DANGEROUS);
    check_declared("text/javascript;charset=utf-8", "script", FILE_DANGEROUS);
    check_declared("application/x-internet-signup", "settings", FILE_DANGEROUS);
    check_declared("application/msword", "ole2", FILE_DANGEROUS);
    check_declared("application/vnd.ms-excel.sheet.macroEnabled.12", "ooxml-macro", FILE_DANGEROUS);
    check_declared("application/x-lzh", "lzh", FILE_ARCHIVE);
    check_declared("application/pdf", "pdf", FILE_DOCUMENT);
    check_declared("image/svg+xml", "svg", FILE_DOCUMENT);
    check_declared("text/html; charset=Shift_JIS", "html", FILE_HARMLESS);
    check_declared("application/wasm", "wasm", FILE_HARMLESS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (sniff_declared(span_of(bad[i]), &facts))
            fail_msg("listed: %s", bad[i]);
}

/* The media type of every type of ours is one that is understood, with the same danger. */
static void test_table(void **state)
{
    struct file_facts facts, declared;

    (void)state;
    for (int type = TYPE_NONE; type < TYPE_COUNT; type++) {
        file_type_describe((enum file_type)type, &facts);
        assert_true((type == TYPE_NONE) == (facts.type[0] == '\0'));
        for (int other = 0; other < type; other++) {
            struct file_facts before;
            file_type_describe((enum file_type)other, &before);
            assert_string_not_equal(before.type, facts.type);
        }
        if (sniff_declared(span_of(facts.mime), &declared) && facts.danger != FILE_DANGEROUS)
            assert_int_equal(declared.danger, facts.danger);
    }
}

static void test_rendered(void **state)
{
    static const char *const shown[] = {"text/html",
                                        "TEXT/HTML; charset=x",
                                        "application/xhtml+xml",
                                        "text/plain",
                                        "text/css",
                                        "application/json",
                                        "application/ld+json",
                                        "text/xml",
                                        "application/xml",
                                        "image/svg+xml",
                                        "image/png",
                                        "audio/mpeg",
                                        "video/mp4",
                                        "application/pdf",
                                        "application/javascript",
                                        "application/rss+xml",
                                        "text/javascript"};
    static const char *const saved[] = {"",
                                        "application/octet-stream",
                                        "application/zip",
                                        "application/x-msdownload",
                                        "text",
                                        "application/msword",
                                        "text/html, application/octet-stream",
                                        "multipart/x-mixed-replace; boundary=x",
                                        "text/csv",
                                        "text/calendar",
                                        "image/tiff",
                                        "application/x-pdf-not",
                                        "+json",
                                        "x-text/html",
                                        "application/vnd.android.package-archive",
                                        "text/vcard"};

    (void)state;
    for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
        if (!sniff_is_rendered(span_of(shown[i])))
            fail_msg("not shown: %s", shown[i]);
    for (size_t i = 0; i < sizeof(saved) / sizeof(*saved); i++)
        if (sniff_is_rendered(span_of(saved[i])))
            fail_msg("shown: %s", saved[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extensions), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_declared),   cmocka_unit_test(test_table),
        cmocka_unit_test(test_rendered),
    };

    return cmocka_run_group_tests_name("filetype", tests, NULL, NULL);
}
