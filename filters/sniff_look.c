/* SPDX-License-Identifier: BSD-2-Clause */
/* The second looks of the sniffer into programs, texts, pictures and sound; zip has its own file.
 */
#include "filters/sniff_look.h"

#include <string.h>
#include <strings.h>

#include "filters/ascii.h"

static bool has_bytes(const struct prefix *prefix, size_t offset, const void *bytes, size_t size)
{
    return offset <= prefix->size && size <= prefix->size - offset &&
           memcmp(prefix->data + offset, bytes, size) == 0;
}

static bool holds_bytes(const struct prefix *prefix, const void *bytes, size_t size)
{
    return memmem(prefix->data, prefix->size, bytes, size) != NULL;
}

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little_endian(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

bool look_is_white(uint8_t byte)
{
    return byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r' || byte == ' ';
}

bool look_contains(const struct prefix *prefix, size_t offset, const char *text)
{
    const uint8_t *at, *end = prefix->data + prefix->size;
    size_t size = strlen(text);

    /* `text` begins with what has no case, so that one memchr() finds the places to compare at. */
    for (at = prefix->data + offset; (size_t)(end - at) >= size; at++) {
        at = memchr(at, text[0], (size_t)(end - at) - size + 1);
        if (at == NULL)
            return false;
        if (strncasecmp((const char *)at, text, size) == 0)
            return true;
    }
    return false;
}

/* ASCII text as UTF-16LE, of at most 40 characters. */
static bool holds_wide(const struct prefix *prefix, const char *text)
{
    uint8_t wide[80];
    size_t size = 0;

    for (; text[size / 2] != '\0' && size < sizeof(wide); size += 2) {
        wide[size] = (uint8_t)text[size / 2];
        wide[size + 1] = 0;
    }
    return holds_bytes(prefix, wide, size);
}

/* The same in any case; `text` is in lower case and begins with what has none. */
static bool holds_wide_nocase(const struct prefix *prefix, const char *text)
{
    size_t length = strlen(text);

    for (size_t at = 0; at + 2 * length <= prefix->size; at++) {
        size_t i = 0;
        while (i < length && prefix->data[at + 2 * i + 1] == 0 &&
               ascii_lower((char)prefix->data[at + 2 * i]) == text[i])
            i++;
        if (i == length)
            return true;
    }
    return false;
}

#define DOS_HEADER 64 /* bytes */

/* Base64, a token or the like: one of some thousand begins with "MZ", but no header of a program
 * consists of such characters alone. */
static bool is_word(const struct prefix *prefix)
{
    static const char marks[] = "+/=_-.~\r\n";

    for (size_t i = 0; i < prefix->size && i < DOS_HEADER; i++)
        if (!ascii_is_alphanumeric((char)prefix->data[i]) &&
            memchr(marks, prefix->data[i], sizeof(marks) - 1) == NULL)
            return false;
    return prefix->whole || prefix->size >= DOS_HEADER;
}

enum file_type look_mz(const struct prefix *prefix)
{
    size_t header;

    if (is_word(prefix))
        return TYPE_DOS_WORD;
    if (prefix->size < DOS_HEADER)
        return TYPE_DOS;
    header = little_endian(prefix->data + 0x3c);
    return has_bytes(prefix, header, "PE\0", 4) ? TYPE_PE : TYPE_DOS;
}

/* A class file has its version there, 45 and more; a fat Mach-O the number of its architectures. */
enum file_type look_cafebabe(const struct prefix *prefix)
{
    if (prefix->size < 8)
        return TYPE_JAVA_CLASS;
    return big_endian(prefix->data + 4) < 45 ? TYPE_MACH_O : TYPE_JAVA_CLASS;
}

/*
 * Compound files: Office before 2007, MSI, Outlook messages. Whether a document carries macros
 * stands in a directory that may lie anywhere, so none of them is ever taken for harmless.
 */
enum file_type look_ole2(const struct prefix *prefix)
{
    static const char *const macros[] = {"_VBA_PROJECT", "Macros", "VBA", "PROJECTwm"};
    /* The class of the root entry: installer package, patch or transform. */
    static const uint8_t installer[] = {0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46};
    const uint8_t *at = memmem(prefix->data, prefix->size, installer, sizeof(installer));

    if (at != NULL && (at[-1] == 0x84 || at[-1] == 0x86 || at[-1] == 0x82))
        return TYPE_MSI;
    for (size_t i = 0; i < sizeof(macros) / sizeof(*macros); i++)
        if (holds_wide(prefix, macros[i]))
            return TYPE_OLE2_MACRO;
    if (holds_wide(prefix, "EncryptedPackage"))
        return TYPE_OLE2_ENCRYPTED;
    return holds_wide(prefix, "__substg1.0_") ? TYPE_MAIL : TYPE_OLE2;
}

/* An embedded object is how an RTF carries a program or an exploit. */
enum file_type look_rtf(const struct prefix *prefix)
{
    static const char *const words[] = {"\\object", "\\objdata", "\\objupdate", "\\objocx",
                                        "\\objhtml"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (look_contains(prefix, 0, words[i]))
            return TYPE_RTF_OBJECT;
    return TYPE_RTF;
}

enum file_type look_swf(const struct prefix *prefix)
{
    return prefix->size >= 4 && prefix->data[3] >= 1 && prefix->data[3] <= 60 ? TYPE_SWF
                                                                              : TYPE_NONE;
}

/* "-lh5-", "-lzs-" ... at the third byte */
enum file_type look_lzh(const struct prefix *prefix)
{
    const uint8_t *d = prefix->data;

    if (prefix->size < 7 || d[6] != '-' || prefix->text)
        return TYPE_NONE;
    if (d[4] == 'h' && (memchr("01234567dxe", d[5], 11) != NULL))
        return TYPE_LZH;
    return d[4] == 'z' && memchr("s0123458", d[5], 8) != NULL ? TYPE_LZH : TYPE_NONE;
}

/* RFC 8878 section 3.1.2: 0x184D2A50 to 0x184D2A5F, of any content; the data follows. */
enum file_type look_skippable(const struct prefix *prefix)
{
    return prefix->data[0] >> 4 == 5 ? TYPE_ZSTD : TYPE_NONE;
}

/* The checksum of the first header, in octal: of all its bytes, its own eight taken for spaces. */
enum file_type look_tar(const struct prefix *prefix)
{
    enum { HEADER = 512, CHECKSUM = 148, ROOM = 8 };
    const uint8_t *d = prefix->data;
    uint32_t told = 0, sum = 0;
    size_t at = CHECKSUM;

    if (prefix->size < HEADER || d[0] == 0)
        return TYPE_NONE;
    while (at < CHECKSUM + ROOM && d[at] == ' ')
        at++;
    for (; at < CHECKSUM + ROOM && d[at] >= '0' && d[at] <= '7'; at++)
        told = told << 3 | (uint32_t)(d[at] - '0');
    if (told == 0 || at == CHECKSUM + ROOM || (d[at] != ' ' && d[at] != 0))
        return TYPE_NONE;
    for (size_t i = 0; i < HEADER; i++)
        sum += i >= CHECKSUM && i < CHECKSUM + ROOM ? ' ' : d[i];
    return sum == told ? TYPE_TAR : TYPE_NONE;
}

enum file_type look_boot(const struct prefix *prefix)
{
    const uint8_t *d = prefix->data;

    if ((d[0] == 0xeb && d[2] == 0x90) || d[0] == 0xe9 || d[0] == 0x33 || d[0] == 0xfa)
        return TYPE_DISK_IMAGE;
    /* No code: the partition table must hold a partition. */
    return d[0] == 0 && (d[446] == 0x80 || d[446] == 0) && d[450] != 0 ? TYPE_DISK_IMAGE
                                                                       : TYPE_NONE;
}

/* PKCS #7 signed data (RFC 5652) around a configuration profile, which stands in it as it is. */
enum file_type look_der(const struct prefix *prefix)
{
    static const uint8_t signed_data[] = {6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 2};
    size_t head = prefix->size < 24 ? prefix->size : 24;

    if (prefix->size < 2 || prefix->data[1] < 0x80 ||
        memmem(prefix->data, head, signed_data, sizeof(signed_data)) == NULL)
        return TYPE_NONE;
    return holds_bytes(prefix, "Payload", 7) ? TYPE_MOBILECONFIG : TYPE_NONE;
}

enum file_type look_html(const struct prefix *prefix)
{
    return look_contains(prefix, prefix->start, "<hta:application") ? TYPE_HTA : TYPE_HTML;
}

/* The name of the first element: behind declarations, comments and the document type. */
static struct span root_of(const struct prefix *prefix)
{
    const char *text = (const char *)prefix->data;
    size_t at = prefix->start, end = prefix->size, size = 0;

    while (at + 1 < end && text[at] == '<') {
        const char *close = ">";
        if (text[at + 1] != '?' && text[at + 1] != '!')
            break;
        if (has_bytes(prefix, at, "<!--", 4))
            close = "-->";
        const char *found = memmem(text + at, end - at, close, strlen(close));
        if (found == NULL)
            return (struct span){NULL, 0};
        at = (size_t)(found - text) + strlen(close);
        while (at < end && (look_is_white((uint8_t)text[at]) || text[at] == ']' || text[at] == '>'))
            at++;
    }
    if (at >= end || text[at] != '<')
        return (struct span){NULL, 0};
    at++;
    while (at + size < end && size < 64 && strchr(" \t\r\n\f/>", text[at + size]) == NULL)
        size++;
    struct span name = {text + at, size};
    size_t colon = span_index(name, ':');
    return colon < name.size ? span_from(name, colon + 1) : name;
}

static enum file_type look_plist(const struct prefix *prefix)
{
    if (look_contains(prefix, 0, "<key>Payload"))
        return TYPE_MOBILECONFIG;
    return look_contains(prefix, 0, "<key>URL</key>") ? TYPE_SHORTCUT : TYPE_XML;
}

/* Apple's binary form of the same, which names its keys in ASCII. */
enum file_type look_binary_plist(const struct prefix *prefix)
{
    return holds_bytes(prefix, "PayloadType", 11) ? TYPE_MOBILECONFIG : TYPE_NONE;
}

/* Office's XML formats, which may carry macros as base64. */
static enum file_type look_office_xml(const struct prefix *prefix)
{
    return look_contains(prefix, 0, ":macrosPresent=\"yes") ||
                   look_contains(prefix, 0, "/vbaProject")
               ? TYPE_OOXML_MACRO
               : TYPE_OOXML;
}

static const struct {
    const char *name;
    enum file_type type;
    enum file_type (*look)(const struct prefix *prefix);
} roots[] = {
    {"svg", TYPE_SVG, NULL},
    {"html", TYPE_NONE, look_html},
    {"plist", TYPE_NONE, look_plist},
    {"wordDocument", TYPE_NONE, look_office_xml},
    {"Workbook", TYPE_NONE, look_office_xml},
    {"job", TYPE_SCRIPT, NULL}, /* .wsf, .wsc and .sct files */
    {"package", TYPE_SCRIPT, NULL},
    {"component", TYPE_SCRIPT, NULL},
    {"scriptlet", TYPE_SCRIPT, NULL},
    {"MMC_ConsoleFile", TYPE_SETTINGS, NULL},
    {"jnlp", TYPE_JAR, NULL},
    {"persistedQuery", TYPE_SHORTCUT, NULL}, /* .search-ms, .library-ms, .searchConnector-ms */
    {"libraryDescription", TYPE_SHORTCUT, NULL},
    {"searchConnectorDescription", TYPE_SHORTCUT, NULL},
    {"PCSettings", TYPE_SHORTCUT, NULL}, /* .settingcontent-ms */
    {"AppInstaller", TYPE_APPX, NULL},
};

enum file_type look_xml(const struct prefix *prefix)
{
    struct span root = root_of(prefix);
    bool declared = has_bytes(prefix, prefix->start, "<?xml", 5);

    if (look_contains(prefix, prefix->start, "<hta:application"))
        return TYPE_HTA;
    for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
        if (!span_equal_nocase(root, span_of(roots[i].name)))
            continue;
        /* Of these words, pages and data use some too: a script it is only with a script in it. */
        if (roots[i].type == TYPE_SCRIPT && !look_contains(prefix, prefix->start, "<script"))
            continue;
        return roots[i].look != NULL ? roots[i].look(prefix) : roots[i].type;
    }
    if (span_equal(root, SPAN("package")) && look_contains(prefix, prefix->start, "<?mso-"))
        return look_office_xml(prefix);
    return declared ? TYPE_XML : TYPE_NONE;
}

/* A file of sections, one of which makes it a shortcut. */
enum file_type look_section(const struct prefix *prefix)
{
    static const char *const names[] = {"[InternetShortcut]", "[Desktop Entry]"};

    if (!prefix->text)
        return TYPE_NONE;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (look_contains(prefix, prefix->start, names[i]))
            return TYPE_SHORTCUT;
    return TYPE_NONE;
}

enum file_type look_wide(const struct prefix *prefix)
{
    if (holds_wide(prefix, "Windows Registry Editor"))
        return TYPE_SETTINGS;
    if (holds_wide_nocase(prefix, "[internetshortcut]"))
        return TYPE_SHORTCUT;
    if (holds_wide_nocase(prefix, "<hta:application"))
        return TYPE_HTA;
    return holds_wide(prefix, "<key>Payload") ? TYPE_MOBILECONFIG : TYPE_TEXT;
}

/*
 * ISO base media files begin with a box of a known type; the brand says which kind of file it is.
 * WHATWG knows only those with an "mp4" brand; browsers play more.
 */
enum file_type look_box(const struct prefix *prefix)
{
    static const char *const boxes[] = {"ftyp", "styp", "moof", "moov", "sidx", "mdat"};
    static const struct {
        const char *brand;
        enum file_type type;
    } brands[] = {{"avif", TYPE_AVIF}, {"avis", TYPE_AVIF}, {"heic", TYPE_HEIC},
                  {"heix", TYPE_HEIC}, {"mif1", TYPE_HEIC}, {"msf1", TYPE_HEIC}};

    if (prefix->size < 12)
        return TYPE_NONE;
    for (size_t i = 0; i < sizeof(brands) / sizeof(*brands); i++)
        if (has_bytes(prefix, 4, "ftyp", 4) && has_bytes(prefix, 8, brands[i].brand, 4))
            return brands[i].type;
    for (size_t i = 0; i < sizeof(boxes) / sizeof(*boxes); i++)
        if (has_bytes(prefix, 4, boxes[i], 4))
            return TYPE_MP4;
    return TYPE_NONE;
}

/*
 * WHATWG section 6.2.2: the document type is looked for in the first bytes. It stands behind its
 * element's number and length.
 */
enum file_type look_ebml(const struct prefix *prefix)
{
    static const struct {
        const char *name;
        enum file_type type;
    } kinds[] = {{"webm", TYPE_WEBM}, {"matroska", TYPE_MATROSKA}};

    for (size_t at = 4; at + 3 < prefix->size && at < 38; at++) {
        size_t name = at + 3;
        if (prefix->data[at] != 0x42 || prefix->data[at + 1] != 0x82)
            continue;
        while (name < prefix->size && prefix->data[name] == 0)
            name++;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
            if (has_bytes(prefix, name, kinds[i].name, strlen(kinds[i].name)))
                return kinds[i].type;
    }
    return TYPE_NONE;
}

/* The length of the MP3 frame at `at`, 0 when there is none (WHATWG section 6.2.3). */
static size_t mp3_frame(const struct prefix *prefix, size_t at)
{
    static const uint16_t rates[2][15] = {
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}, /* MPEG 1 */
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}};    /* MPEG 2 and 2.5 */
    static const uint32_t samples[] = {44100, 48000, 32000};
    const uint8_t *d = prefix->data + at;
    unsigned version, rate, sample;
    uint32_t hertz;

    if (at > prefix->size || prefix->size - at < 4 || d[0] != 0xff || (d[1] & 0xe0) != 0xe0)
        return 0;
    version = d[1] >> 3 & 3;
    rate = d[2] >> 4;
    sample = d[2] >> 2 & 3;
    if ((d[1] >> 1 & 3) != 1 || version == 1 || rate == 15 || rate == 0 || sample == 3)
        return 0;
    hertz = samples[sample] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    return (version == 3 ? 144U : 72U) * rates[version != 3][rate] * 1000U / hertz +
           (d[2] >> 1 & 1);
}

/* The length of the ADTS frame at `at` (ISO 14496-3), 0 when there is none. */
static size_t adts_frame(const struct prefix *prefix, size_t at)
{
    const uint8_t *d = prefix->data + at;
    size_t length;

    if (at > prefix->size || prefix->size - at < 7 || d[0] != 0xff || (d[1] & 0xf6) != 0xf0)
        return 0;
    length = (size_t)(d[3] & 3) << 11 | (size_t)d[4] << 3 | d[5] >> 5;
    return length >= 7 ? length : 0;
}

/* Two frames in a row, for one may be chance. */
enum file_type look_frames(const struct prefix *prefix)
{
    size_t frame = mp3_frame(prefix, 0);

    if (frame > 0 && mp3_frame(prefix, frame) > 0)
        return TYPE_MP3;
    frame = adts_frame(prefix, 0);
    return frame > 0 && adts_frame(prefix, frame) > 0 ? TYPE_AAC : TYPE_NONE;
}

enum file_type look_packets(const struct prefix *prefix)
{
    bool two = has_bytes(prefix, 188, "G", 1) && !prefix->text;

    return two && (prefix->size <= 376 || prefix->data[376] == 'G') ? TYPE_MPEG_TS : TYPE_NONE;
}
