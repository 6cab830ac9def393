/* SPDX-License-Identifier: BSD-2-Clause */
/* Sniffing: every signature, what only looks like one, and files that are two things at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/sniff.h"

/* A copy of exactly `size` bytes, so that ASan sees what reads past them. */
static struct file_facts sniff(const void *data, size_t size, bool whole)
{
    struct file_facts facts = {NULL, NULL, FILE_HARMLESS};
    uint8_t *copy = malloc(size > 0 ? size : 1);

    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    sniff_bytes(copy, size, whole, &facts);
    free(copy);
    assert_non_null(facts.type);
    assert_non_null(facts.mime);
    return facts;
}

#define BYTES(text) text, sizeof(text) - 1
#define Z4          "\0\0\0\0"
#define Z16         Z4 Z4 Z4 Z4
#define Z64         Z16 Z16 Z16 Z16
#define OLE         "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" Z16
/* A local header of a zip for a name of `n` bytes, and the name. */
#define ENTRY(n, name) "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0" Z4 Z4 Z4 n "\0\0\0" name

/* clang-format off */
static const struct {
    const char *bytes;
    size_t size;
    const char *type;
    enum file_danger danger;
} samples[] = {
    /* WHATWG section 7.1 */
    {BYTES("<!DOCTYPE HTML>"), "html", FILE_HARMLESS},
    {BYTES("<!doctype html "), "html", FILE_HARMLESS},
    {BYTES(" \t\r\n\f<hTmL>"), "html", FILE_HARMLESS},
    {BYTES("<head>x"), "html", FILE_HARMLESS},
    {BYTES("<script >"), "html", FILE_HARMLESS},
    {BYTES("<iframe src=x>"), "html", FILE_HARMLESS},
    {BYTES("<h1>"), "html", FILE_HARMLESS},
    {BYTES("<div >"), "html", FILE_HARMLESS},
    {BYTES("<font >"), "html", FILE_HARMLESS},
    {BYTES("<table>"), "html", FILE_HARMLESS},
    {BYTES("<a href=x>"), "html", FILE_HARMLESS},
    {BYTES("<style>"), "html", FILE_HARMLESS},
    {BYTES("<title>"), "html", FILE_HARMLESS},
    {BYTES("<b>"), "html", FILE_HARMLESS},
    {BYTES("<body>"), "html", FILE_HARMLESS},
    {BYTES("<br>"), "html", FILE_HARMLESS},
    {BYTES("<p>"), "html", FILE_HARMLESS},
    {BYTES("<!-- x"), "html", FILE_HARMLESS},
    {BYTES("<!--x"), "text", FILE_HARMLESS},
    {BYTES("<pp>"), "text", FILE_HARMLESS},
    {BYTES("<script"), "text", FILE_HARMLESS},
    {BYTES("\v<html>"), "binary", FILE_UNKNOWN},
    {BYTES("  <?xml version='1.0'?><a/>"), "xml", FILE_HARMLESS},
    {BYTES("<?XML ?>"), "text", FILE_HARMLESS},
    {BYTES("%PDF-1.7"), "pdf", FILE_DOCUMENT},
    {BYTES("%!PS-Adobe-3.0"), "ps", FILE_DOCUMENT},
    {BYTES("\xfe\xff\0x"), "text", FILE_HARMLESS},
    {BYTES("\xff\xfex\0"), "text", FILE_HARMLESS},
    {BYTES("\xef\xbb\xbfplain"), "text", FILE_HARMLESS},
    {BYTES("caf\xc3\xa9 \x1b[0m\f\n"), "text", FILE_HARMLESS},
    {BYTES("{\"a\":1}"), "text", FILE_HARMLESS},
    {BYTES("abc\x01"), "binary", FILE_UNKNOWN},
    /* images */
    {BYTES("\0\0\x01\0\1"), "ico", FILE_HARMLESS},
    {BYTES("\0\0\x02\0\1"), "ico", FILE_HARMLESS},
    {BYTES("BM\x01\0\0\0"), "bmp", FILE_HARMLESS},
    {BYTES("BMI of the patient"), "text", FILE_HARMLESS},
    {BYTES("GIF87a\1"), "gif", FILE_HARMLESS},
    {BYTES("GIF89a\1"), "gif", FILE_HARMLESS},
    {BYTES("GIF88a\1"), "binary", FILE_UNKNOWN},
    {BYTES("RIFF\1\2\3\4WEBPVP8 "), "webp", FILE_HARMLESS},
    {BYTES("\x89PNG\r\n\x1a\n"), "png", FILE_HARMLESS},
    {BYTES("\xff\xd8\xff\xe0"), "jpeg", FILE_HARMLESS},
    {BYTES("II*\0\1"), "tiff", FILE_HARMLESS},
    {BYTES("MM\0*\1"), "tiff", FILE_HARMLESS},
    {BYTES("\0\0\0\x14" "ftypavif" Z4), "avif", FILE_HARMLESS},
    {BYTES("\0\0\0\x14" "ftypheic" Z4), "heic", FILE_HARMLESS},
    /* audio and video */
    {BYTES("FORM\1\2\3\4AIFF"), "aiff", FILE_HARMLESS},
    {BYTES("ID3\4\0"), "mp3", FILE_HARMLESS},
    {BYTES("OggS\0\2"), "ogg", FILE_HARMLESS},
    {BYTES("MThd\0\0\0\6"), "midi", FILE_HARMLESS},
    {BYTES("RIFF\1\2\3\4AVI LIST"), "avi", FILE_HARMLESS},
    {BYTES("RIFF\1\2\3\4WAVEfmt"), "wav", FILE_HARMLESS},
    {BYTES(".snd\0\0\0\x18"), "au", FILE_HARMLESS},
    {BYTES("fLaC\0\0\0\x22"), "flac", FILE_HARMLESS},
    {BYTES("\0\0\0\x18" "ftypmp42" Z4 "mp41"), "mp4", FILE_HARMLESS},
    {BYTES("\0\0\0\x18" "ftypisom" Z4 "mp41"), "mp4", FILE_HARMLESS},
    {BYTES("\0\0\0\x18" "moof\0\0\0\x10mfhd"), "mp4", FILE_HARMLESS},
    {BYTES("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm"), "webm", FILE_HARMLESS},
    {BYTES("\x1a\x45\xdf\xa3\x42\x82\x88matroska"), "mkv", FILE_HARMLESS},
    {BYTES("\x1a\x45\xdf\xa3\x42\x82\x84webX"), "binary", FILE_UNKNOWN},
    /* fonts */
    {BYTES("\0\1\0\0\0\x0f"), "ttf", FILE_HARMLESS},
    {BYTES("OTTO\0\x0f"), "otf", FILE_HARMLESS},
    {BYTES("ttcf\0\1"), "ttc", FILE_HARMLESS},
    {BYTES("wOFF\0\1"), "woff", FILE_HARMLESS},
    {BYTES("wOF2\0\1"), "woff2", FILE_HARMLESS},
    {BYTES(Z4 Z4 "\1\0\2\0" Z16 Z4 "\0\0LP"), "eot", FILE_HARMLESS},
    {BYTES("\0asm\1\0\0\0"), "wasm", FILE_HARMLESS},
    /* archives */
    {BYTES("\x1f\x8b\x08\0"), "gzip", FILE_ARCHIVE},
    {BYTES("PK\3\4"), "zip", FILE_ARCHIVE},
    {BYTES("PK\5\6" Z16), "zip", FILE_ARCHIVE},
    {BYTES("Rar!\x1a\7\0"), "rar", FILE_ARCHIVE},
    {BYTES("Rar!\x1a\7\1\0"), "rar", FILE_ARCHIVE},
    {BYTES("7z\xbc\xaf\x27\x1c\0\4"), "7z", FILE_ARCHIVE},
    {BYTES("BZh91AY&SY\1"), "bzip2", FILE_ARCHIVE},
    {BYTES("BZh is a text"), "text", FILE_HARMLESS},
    {BYTES("\xfd" "7zXZ\0"), "xz", FILE_ARCHIVE},
    {BYTES("\x28\xb5\x2f\xfd\4"), "zstd", FILE_ARCHIVE},
    {BYTES("\x50\x2a\x4d\x18\4\0\0\0"), "zstd", FILE_ARCHIVE}, /* something to skip comes first */
    {BYTES("\x5f\x2a\x4d\x18\4\0\0\0"), "zstd", FILE_ARCHIVE},
    {BYTES("\x60\x2a\x4d\x18\4\0\0\0"), "binary", FILE_UNKNOWN},
    {BYTES("\x02\x21\x4c\x18\1"), "lz4", FILE_ARCHIVE},
    {BYTES("\x89LZO\0\r\n\x1a\n\x10"), "archive", FILE_ARCHIVE},
    {BYTES("ZOO 2.10 Archive.\x1a\0\0\xdc\xa7\xc4\xfd"), "archive", FILE_ARCHIVE},
    {BYTES("ZOO opens at nine, and more"), "text", FILE_HARMLESS},
    {BYTES("\x22\x10-lh5-\1\0"), "lzh", FILE_ARCHIVE},
    {BYTES("\x22\x10-lzs-\1\0"), "lzh", FILE_ARCHIVE},
    {BYTES("\x22\x10-lhd-\1\0"), "lzh", FILE_ARCHIVE},
    {BYTES("\x22\x10-lx5-\1\0"), "binary", FILE_UNKNOWN},
    {BYTES("ls -lh5- is a text"), "text", FILE_HARMLESS},
    {BYTES("070701\0\0"), "cpio", FILE_ARCHIVE},
    {BYTES("0707012345 is a number"), "text", FILE_HARMLESS},
    {BYTES("!<arch>\nx.o/"), "ar", FILE_ARCHIVE},
    {BYTES("MSCF\0\0\0\0x"), "cab", FILE_ARCHIVE},
    {BYTES("1234567**ACE**\0"), "ace", FILE_ARCHIVE},
    {BYTES("junk\1\2PK\3\4junk"), "zip", FILE_ARCHIVE},
    /* documents */
    {BYTES("{\\rtf1\\ansi x}"), "rtf", FILE_DOCUMENT},
    {BYTES("{\\rt{\\object\\objdata 0105}"), "rtf-object", FILE_DANGEROUS},
    {BYTES("{\\rtf1{\\Object\\objemb}"), "rtf-object", FILE_DANGEROUS},
    {BYTES("\xff\xfe<\0h\0T\0A\0:\0a\0P\0p\0l\0i\0c\0a\0t\0i\0o\0n\0"), "hta", FILE_DANGEROUS},
    {BYTES("\xff\xfe[\0i\0n\0t\0e\0r\0N\0e\0t\0S\0h\0o\0r\0t\0c\0u\0t\0]\0"), "shortcut",
     FILE_DANGEROUS},
    {BYTES("\xff\xfe<\0k\0e\0y\0>\0P\0a\0y\0l\0o\0a\0d\0"), "mobileconfig", FILE_DANGEROUS},
    {BYTES("\xff\xfe<\0h\0t\0a\0"), "text", FILE_HARMLESS},
    {BYTES("bplist00\xd1\1\2_\x10\x0bPayloadType"), "mobileconfig", FILE_DANGEROUS},
    {BYTES("bplist00\xd1\1\2\0"), "binary", FILE_UNKNOWN},
    {BYTES(ENTRY("\x13", "[Content_Types].xml") ENTRY("\x0f", "xl/workbook.bin")), "ooxml-macro",
     FILE_DANGEROUS},
    {BYTES("{\\rtf1{\\OBJUPDATE}"), "rtf-object", FILE_DANGEROUS},
    {BYTES("junk\n%PDF-1.4\n"), "pdf", FILE_DOCUMENT},
    {BYTES("\1\2\3%PDF-1.4\n"), "pdf", FILE_DOCUMENT},
    {BYTES("if (head == '%PDF-1')"), "text", FILE_HARMLESS},
    {BYTES("begin:vcalendar\r\n"), "ics", FILE_DOCUMENT},
    {BYTES(Z64 Z64 "DICM\2\0"), "dicom", FILE_DOCUMENT},
    {BYTES("<svg xmlns='x'>"), "svg", FILE_DOCUMENT},
    {BYTES("<svg\nwidth='1'/>"), "svg", FILE_DOCUMENT},
    {BYTES("<?xml version='1.0'?>\n<!-- > -->\n<!DOCTYPE svg [<!ENTITY a 'b'>]>\n<s:svg>"), "svg",
     FILE_DOCUMENT},
    {BYTES("<?xml version='1.0'?><html xmlns='x'>"), "html", FILE_HARMLESS},
    {BYTES("<?xml version='1.0'?><?mso-application progid=\"Word.Document\"?><w:wordDocument>"),
     "ooxml", FILE_DOCUMENT},
    {BYTES("<?xml version='1.0'?><w:wordDocument w:macrosPresent=\"yes\">"), "ooxml-macro",
     FILE_DANGEROUS},
    {BYTES(ENTRY("\x13", "[Content_Types].xml") ENTRY("\x11", "word/document.xml")), "docx",
     FILE_DOCUMENT},
    {BYTES(ENTRY("\x0b", "_rels/.rels") ENTRY("\x0f", "xl/workbook.xml")), "xlsx", FILE_DOCUMENT},
    {BYTES(ENTRY("\x10", "docProps/app.xml") ENTRY("\x14", "ppt/presentation.xml")), "pptx",
     FILE_DOCUMENT},
    {BYTES(ENTRY("\x13", "[Content_Types].xml")), "ooxml", FILE_DOCUMENT},
    {BYTES(ENTRY("\x13", "[Content_Types].xml") ENTRY("\x08", "evil.exe")), "zip", FILE_ARCHIVE},
    {BYTES(ENTRY("\x11", "word/document.xml") ENTRY("\x13", "word/vbaProject.bin")), "ooxml-macro",
     FILE_DANGEROUS},
    {BYTES(ENTRY("\x0b", "_rels/.rels") ENTRY("\x18", "xl/macrosheets/sheet.xml")), "ooxml-macro",
     FILE_DANGEROUS},
    {BYTES(ENTRY("\x13", "[Content_Types].xml") "ms-word.document.macroEnabled.main+xml"),
     "ooxml-macro", FILE_DANGEROUS},
    {BYTES(ENTRY("\x08", "mimetype") "application/vnd.oasis.opendocument.text"), "odf",
     FILE_DOCUMENT},
    {BYTES(ENTRY("\x08", "mimetype") "application/vnd.oasis.opendocument.text"
           ENTRY("\x0f", "Basic/script.xm")), "odf-macro", FILE_DANGEROUS},
    {BYTES(ENTRY("\x08", "mimetype") "application/epub+zip"), "epub", FILE_DOCUMENT},
    {BYTES(ENTRY("\x08", "mimetype") "anything"), "zip", FILE_ARCHIVE},
    /* programs */
    {BYTES("MZ"), "dos-word", FILE_DANGEROUS},
    {BYTES("MZ8f3kQ1+/=_-.~\r\n"), "dos-word", FILE_DANGEROUS},
    {BYTES("MZ8f3kQ1\x90"), "dos", FILE_DANGEROUS},
    {BYTES("MZ but not a PDF, whatever its name says"), "dos", FILE_DANGEROUS},
    {BYTES("MZ" Z16 Z16 Z16 Z4 Z4 "\0\0\x40\0\0\0PE\0\0"), "pe", FILE_DANGEROUS},
    {BYTES("MZ" Z16 Z16 Z16 Z4 Z4 "\0\0\x40\0\0\0NE\0\0"), "dos", FILE_DANGEROUS},
    {BYTES("MZ" Z16 Z16 Z16 Z4 Z4 "\0\0\xff\xff\xff\xffPE\0\0"), "dos", FILE_DANGEROUS},
    {BYTES(" MZ\x90\0"), "binary", FILE_UNKNOWN}, /* Windows would not run it */
    {BYTES("\x7f" "ELF\2\1"), "elf", FILE_DANGEROUS},
    {BYTES("\xcf\xfa\xed\xfe\7"), "mach-o", FILE_DANGEROUS},
    {BYTES("\xfe\xed\xfa\xce\7"), "mach-o", FILE_DANGEROUS},
    {BYTES("\xca\xfe\xba\xbe\0\0\0\2"), "mach-o", FILE_DANGEROUS},
    {BYTES("\xca\xfe\xba\xbe\0\0\0\x34"), "java-class", FILE_DANGEROUS},
    {BYTES("\xca\xfe\xba\xbe"), "java-class", FILE_DANGEROUS},
    {BYTES("dex\n035\0"), "dex", FILE_DANGEROUS},
    {BYTES("Cr24\3\0\0\0"), "crx", FILE_DANGEROUS},
    {BYTES("xar!\0\x1c\0\1"), "xar", FILE_DANGEROUS},
    {BYTES("\xed\xab\xee\xdb\3"), "rpm", FILE_DANGEROUS},
    {BYTES("!<arch>\ndebian-binary"), "deb", FILE_DANGEROUS},
    {BYTES("CWS\x0b\1\2"), "swf", FILE_DANGEROUS},
    {BYTES("CWS is a text"), "text", FILE_HARMLESS},
    {BYTES("#!/bin/sh\n"), "script", FILE_DANGEROUS},
    {BYTES("\xef\xbb\xbf#!/usr/bin/python"), "script", FILE_DANGEROUS},
    {BYTES("\r\n@ECHO OFF\r\n"), "script", FILE_DANGEROUS},
    {BYTES("#@~^1234=="), "script", FILE_DANGEROUS},
    {BYTES("<job id='x'><script language='JScript'>"), "script", FILE_DANGEROUS},
    {BYTES("<?xml version='1.0'?><scriptlet><script>"), "script", FILE_DANGEROUS},
    {BYTES("<?xml version='1.0'?><package><name/></package>"), "xml", FILE_HARMLESS},
    {BYTES(ENTRY("\x14", "META-INF/MANIFEST.MF")), "jar", FILE_DANGEROUS},
    {BYTES(ENTRY("\x08", "README.x") ENTRY("\x0a", "a/B1.class")), "jar", FILE_DANGEROUS},
    {BYTES(ENTRY("\x13", "AndroidManifest.xml") ENTRY("\x14", "META-INF/MANIFEST.MF")), "apk",
     FILE_DANGEROUS},
    {BYTES(ENTRY("\x10", "AppxManifest.xml")), "appx", FILE_DANGEROUS},
    /* shortcuts, settings and the like */
    {BYTES("L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0"), "shortcut", FILE_DANGEROUS},
    {BYTES("[InternetShortcut]\r\nURL=http://x/"), "shortcut", FILE_DANGEROUS},
    {BYTES("[DEFAULT]\r\nBASEURL=x\r\n[internetshortcut]\r\n"), "shortcut", FILE_DANGEROUS},
    {BYTES("[Desktop Entry]\nExec=x"), "shortcut", FILE_DANGEROUS},
    {BYTES("; made by\r\n[InternetShortcut]\r\nURL=x"), "shortcut", FILE_DANGEROUS},
    {BYTES("# made by\n[desktop entry]\nExec=x"), "shortcut", FILE_DANGEROUS},
    {BYTES("a file with [InternetShortcut] in it"), "text", FILE_HARMLESS},
    {BYTES("[1,2,3]"), "text", FILE_HARMLESS},
    {BYTES("<?xml version='1.0'?><!DOCTYPE plist><plist><key>URL</key>"), "shortcut",
     FILE_DANGEROUS},
    {BYTES("<!DOCTYPE plist><plist><dict><key>PayloadContent</key>"), "mobileconfig",
     FILE_DANGEROUS},
    {BYTES("<?xml version='1.0'?><plist><key>CFBundleName</key>"), "xml", FILE_HARMLESS},
    {BYTES("0\x82\x10\0\6\x09\x2a\x86\x48\x86\xf7\x0d\1\7\2<key>PayloadType</key>"),
     "mobileconfig", FILE_DANGEROUS},
    {BYTES("0\x82\x10\0\6\x09\x2a\x86\x48\x86\xf7\x0d\1\7\2 mail"), "binary", FILE_UNKNOWN},
    {BYTES("Windows Registry Editor Version 5.00"), "settings", FILE_DANGEROUS},
    {BYTES("\xff\xfeW\0i\0n\0d\0o\0w\0s\0 \0R\0e\0g\0i\0s\0t\0r\0y\0 \0E\0d\0i\0t\0o\0r\0"),
     "settings", FILE_DANGEROUS},
    {BYTES("<html><head><HTA:Application id=x>"), "hta", FILE_DANGEROUS},
    {BYTES("some words <hta:application>"), "hta", FILE_DANGEROUS},
    {BYTES("ITSF\3\0\0\0"), "help", FILE_DANGEROUS},
    {BYTES("\0\1\0\0Standard Jet DB\0"), "access", FILE_DANGEROUS},
    {BYTES("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"), "onenote",
     FILE_DANGEROUS},
    {BYTES(OLE), "ole2", FILE_DANGEROUS},
    {BYTES(OLE "_\0V\0B\0A\0_\0P\0R\0O\0J\0E\0C\0T\0"), "ole2-macro", FILE_DANGEROUS},
    {BYTES(OLE "M\0a\0c\0r\0o\0s\0"), "ole2-macro", FILE_DANGEROUS},
    {BYTES(OLE "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0"), "ole2-encrypted",
     FILE_DANGEROUS},
    {BYTES(OLE "\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"), "msi", FILE_DANGEROUS},
    {BYTES(OLE "_\0_\0s\0u\0b\0s\0t\0g\0001\0.\0000\0_\0"), "mail", FILE_DANGEROUS},
    /* disk images */
    {BYTES("conectix\0"), "vhd", FILE_DANGEROUS},
    {BYTES("\x78\x01\x73\x0d\x62\x62\x60\x60"), "dmg", FILE_DANGEROUS},
    {BYTES(Z16 Z16 "NXSB\0\x10\0\0"), "disk-image", FILE_DANGEROUS},
    {BYTES("a text whose thirty-third word is NXSB"), "text", FILE_HARMLESS},
    {BYTES("vhdxfile\0"), "vhd", FILE_DANGEROUS},
    {BYTES("KDMV\1\0"), "disk-image", FILE_DANGEROUS},
    {BYTES("QFI\xfb\0"), "disk-image", FILE_DANGEROUS},
    {BYTES("MSWIM\0\0\0"), "disk-image", FILE_DANGEROUS},
    {BYTES("hsqs\1\0"), "squashfs", FILE_DANGEROUS},
    {BYTES("hsqs is a text"), "text", FILE_HARMLESS},
};
/* clang-format on */

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        struct file_facts facts = sniff(samples[i].bytes, samples[i].size, true);
        if (strcmp(facts.type, samples[i].type) != 0 || facts.danger != samples[i].danger)
            fail_msg("row %zu: \"%s\" is %s, not %s", i, samples[i].bytes, facts.type,
                     samples[i].type);
    }
}

/* Every shorter prefix of every sample: never a crash, never a type that danger contradicts. */
static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        for (size_t size = 0; size <= samples[i].size; size++) {
            struct file_facts part = sniff(samples[i].bytes, size, false);
            assert_true(part.type[0] != '\0' || part.danger == FILE_UNKNOWN);
            /* Unknown bytes are no answer while more may come. */
            assert_string_not_equal(part.type, "binary");
        }
    }
}

static void test_undecided(void **state)
{
    static char text[SNIFF_BYTES];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_string_equal(sniff("", 0, true).type, "text");
    assert_string_equal(sniff("", 0, false).type, "");
    assert_int_equal(sniff("", 0, false).danger, FILE_UNKNOWN);
    assert_string_equal(sniff(text, sizeof(text) - 1, false).type, "");
    assert_string_equal(sniff(text, sizeof(text), false).type, "text");
    text[7] = '\0';
    assert_string_equal(sniff(text, sizeof(text) - 1, false).type, "");
    assert_string_equal(sniff(text, sizeof(text), false).type, "binary");
    struct file_facts facts;
    sniff_bytes(NULL, 0, true, &facts);
    assert_string_equal(facts.type, "text");
}

/* Signatures far from the start, alone and behind the head of something harmless. */
static void test_deep(void **state)
{
    static const struct {
        size_t offset;
        const char *bytes;
        const char *type;
    } rows[] = {{32769, "CD001", "iso"},
                {32769, "BEA01", "disk-image"},
                {512, "EFI PART", "disk-image"},
                {257, "ustar", "tar"}};
    static const char *const heads[] = {"\1", "\x89PNG\r\n\x1a\n", "%PDF-1.7", "<html>"};
    static uint8_t body[SNIFF_BYTES_DOWNLOAD];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t k = 0; k < sizeof(heads) / sizeof(*heads); k++) {
            memset(body, 0, sizeof(body));
            memcpy(body, heads[k], strlen(heads[k]));
            memcpy(body + rows[i].offset, rows[i].bytes, strlen(rows[i].bytes));
            assert_string_equal(sniff(body, sizeof(body), false).type, rows[i].type);
            size_t cut = rows[i].offset + strlen(rows[i].bytes) - 1;
            assert_string_not_equal(sniff(body, cut, false).type, rows[i].type);
        }
    }
    memset(body, 0, sizeof(body)); /* a FAT boot sector */
    memcpy(body, "\xeb\x3c\x90MSDOS5.0", 11);
    memcpy(body + 510, "\x55\xaa", 2);
    assert_string_equal(sniff(body, 600, false).type, "disk-image");
    memset(body, 'x', sizeof(body)); /* PDF's mark at the last place, and one too late */
    memcpy(body + 1022, "\n%PDF-1.4", 9);
    assert_string_equal(sniff(body, 1500, true).type, "pdf");
    memset(body, 'x', sizeof(body));
    memcpy(body + 1023, "\n%PDF-1.4", 9);
    assert_string_equal(sniff(body, 1500, true).type, "text");
}

/* Marks that lie deep and hold a NUL. */
static void test_apple_disks(void **state)
{
    static const char *const marks[] = {"H+\0\4", "HX\0\5"};
    uint8_t body[2000];

    (void)state;
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        memset(body, 0, sizeof(body));
        memcpy(body + 1024, marks[i], 4);
        assert_string_equal(sniff(body, sizeof(body), true).type, "disk-image");
        body[1027]++;
        assert_string_equal(sniff(body, sizeof(body), true).type, "binary");
    }
    memset(body, 0, sizeof(body)); /* a driver's descriptor, and behind it the partition map */
    memcpy(body, "ER\2\0", 4);
    assert_string_equal(sniff(body, sizeof(body), true).type, "binary");
    memcpy(body + 512, "PM\0\0", 4);
    assert_string_equal(sniff(body, sizeof(body), true).type, "disk-image");
}

/* A tar of before POSIX has a checksum and no mark. */
static void test_old_tar(void **state)
{
    uint8_t body[1024] = "evil.exe";
    uint32_t sum = 8 * ' ';

    (void)state;
    memcpy(body + 100, "0000644", 7);
    memcpy(body + 124, "00000001000", 11);
    for (size_t i = 0; i < 512; i++)
        sum += body[i];
    snprintf((char *)body + 148, 8, "%06o", sum);
    assert_string_equal(sniff(body, sizeof(body), true).type, "tar");
    assert_string_equal(sniff(body, 512, false).type, "tar");
    assert_string_equal(sniff(body, 511, true).type, "binary");
    body[155] = ' ';
    assert_string_equal(sniff(body, sizeof(body), true).type, "tar");
    body[154] = '7'; /* digits up to the end: never written so */
    body[155] = '7';
    assert_string_equal(sniff(body, sizeof(body), true).type, "binary");
    snprintf((char *)body + 148, 8, "%06o", sum);
    body[0] = 'f';
    assert_string_equal(sniff(body, sizeof(body), true).type, "binary");
    memset(body, 0, sizeof(body));
    memset(body + 148, '0', 6);
    assert_string_equal(sniff(body, sizeof(body), true).type, "binary");
}

/* What is dangerous wins over what is harmless in the same file. */
static void test_polyglots(void **state)
{
    static uint8_t body[2000];

    (void)state;
    memcpy(body, "MZ%PDF-1.4\n<html>", 17);
    assert_int_equal(sniff(body, sizeof(body), true).danger, FILE_DANGEROUS);
    memset(body, 0, sizeof(body)); /* a program in the preamble of a DICOM file */
    memcpy(body, "MZ", 2);
    memcpy(body + 128, "DICM", 4);
    assert_string_equal(sniff(body, sizeof(body), true).type, "dos");
}

/* Frames of sound have no mark of their own: two in a row are needed. */
static void test_frames(void **state)
{
    static uint8_t body[1000], packets[400];

    (void)state;
    memcpy(body, "\xff\xfb\x90\x64", 4); /* MPEG 1 layer III, 128 kbit/s, 44100 Hz: 417 bytes */
    assert_string_equal(sniff(body, sizeof(body), true).type, "binary");
    memcpy(body + 417, "\xff\xfb\x90\x64", 4);
    assert_string_equal(sniff(body, sizeof(body), true).type, "mp3");
    memset(body, 0, sizeof(body));
    memcpy(body, "\xff\xf1\x50\x80\x02\x00\xfc", 7); /* ADTS, 16 bytes */
    memcpy(body + 16, "\xff\xf1\x50\x80\x02\x00\xfc", 7);
    assert_string_equal(sniff(body, sizeof(body), true).type, "aac");
    packets[0] = packets[188] = 'G';
    assert_string_equal(sniff(packets, 376, true).type, "mpeg-ts");
    packets[376 - 188] = 'H';
    assert_string_equal(sniff(packets, 376, true).type, "binary");
}

/* Each byte of a sample changed: any answer, no crash, and the pointers are good. */
static void test_mutated(void **state)
{
    char copy[600];

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        assert_true(samples[i].size <= sizeof(copy));
        memcpy(copy, samples[i].bytes, samples[i].size);
        for (size_t at = 0; at < samples[i].size; at++) {
            copy[at] = (char)0xff;
            sniff(copy, samples[i].size, at % 2 == 0);
            copy[at] = 0;
            sniff(copy, samples[i].size, at % 2 == 0);
            copy[at] = samples[i].bytes[at];
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),     cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_undecided),   cmocka_unit_test(test_deep),
        cmocka_unit_test(test_apple_disks), cmocka_unit_test(test_old_tar),
        cmocka_unit_test(test_polyglots),   cmocka_unit_test(test_frames),
        cmocka_unit_test(test_mutated),
    };

    return cmocka_run_group_tests_name("sniff", tests, NULL, NULL);
}
