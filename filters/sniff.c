/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a body is, by its first bytes. One table holds the signatures; the first row that fits
 * decides. What is dangerous comes first, so that a file which is two things at once is the worse
 * of them; then archives; then the rows of the WHATWG MIME Sniffing Standard and more of their
 * kind.
 */
#include "filters/sniff.h"

#include <string.h>
#include <strings.h>

#include "filters/filetype.h"
#include "filters/sniff_look.h"

#define LATE_PDF                                                                                   \
    1029 /* bytes in which the mark of a PDF is looked for: it begins in the first 1024 */

enum signature_flag {
    FLAG_WHITE = 1,  /* after a byte order mark and white space, `offset` counts from there */
    FLAG_NOCASE = 2, /* ASCII case ignored */
    FLAG_TAG = 4,    /* a tag-terminating byte must follow (WHATWG): space or '>' */
    FLAG_BINARY = 8  /* so short or so much like words that it must not be a text */
};

struct signature {
    enum file_type type;
    unsigned flags;
    size_t offset;
    struct span bytes;
    size_t second_offset; /* of a second run of bytes, which must be there too */
    struct span second;
    enum file_type (*look)(const struct prefix *prefix); /* NULL: the type is as the row says */
};

#define S(type, flags, offset, bytes)                                                              \
    {                                                                                              \
        TYPE_##type, flags, offset, {bytes, sizeof(bytes) - 1}, 0, {NULL, 0}, NULL                 \
    }
#define TWO(type, offset, bytes, second_offset, second)                                            \
    {                                                                                              \
        TYPE_##type, 0, offset, {bytes, sizeof(bytes) - 1}, second_offset,                         \
            {second, sizeof(second) - 1}, NULL                                                     \
    }
#define LOOK(look, flags, offset, bytes)                                                           \
    {                                                                                              \
        TYPE_NONE, flags, offset, {bytes, sizeof(bytes) - 1}, 0, {NULL, 0}, look_##look            \
    }
#define TAG(bytes)         LOOK(html, FLAG_WHITE | FLAG_NOCASE | FLAG_TAG, 0, bytes)
#define WORDS(type, bytes) S(type, FLAG_WHITE | FLAG_NOCASE, 0, bytes)

/* clang-format off */
static const struct signature signatures[] = {
    /* programs */
    LOOK(mz, 0, 0, "MZ"),
    S(ELF, 0, 0, "\x7f" "ELF"),
    S(MACH_O, 0, 0, "\xfe\xed\xfa\xce"),
    S(MACH_O, 0, 0, "\xfe\xed\xfa\xcf"),
    S(MACH_O, 0, 0, "\xce\xfa\xed\xfe"),
    S(MACH_O, 0, 0, "\xcf\xfa\xed\xfe"),
    S(MACH_O, 0, 0, "\xca\xfe\xba\xbf"),
    S(MACH_O, 0, 0, "\xbf\xba\xfe\xca"),
    S(MACH_O, 0, 0, "\xbe\xba\xfe\xca"),
    LOOK(cafebabe, 0, 0, "\xca\xfe\xba\xbe"),
    S(JAR, 0, 0, "\xca\xfe\xd0\x0d"),
    S(DEX, 0, 0, "dex\n0"),
    S(CRX, FLAG_BINARY, 0, "Cr24"),
    S(XAR, FLAG_BINARY, 0, "xar!"),
    S(RPM, 0, 0, "\xed\xab\xee\xdb"),
    S(DEB, 0, 0, "!<arch>\ndebian"),
    S(SCRIPT, 0, 0, "FasdUAS"),
    S(SCRIPT, FLAG_WHITE, 0, "#!"),
    S(SCRIPT, FLAG_WHITE, 0, "#@~^"),
    WORDS(SCRIPT, "@echo off"),
    LOOK(swf, FLAG_BINARY, 0, "FWS"),
    LOOK(swf, FLAG_BINARY, 0, "CWS"),
    LOOK(swf, FLAG_BINARY, 0, "ZWS"),
    /* shortcuts, settings, documents that run something */
    S(SHORTCUT, 0, 0, "L\0\0\0\x01\x14\x02\0"),
    S(HELP, FLAG_BINARY, 0, "ITSF"),
    S(HELP, 0, 0, "?_\x03\0"),
    LOOK(ole2, 0, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    S(ACCESS, 0, 0, "\0\x01\0\0Standard Jet DB"),
    S(ACCESS, 0, 0, "\0\x01\0\0Standard ACE DB"),
    S(ONENOTE, 0, 0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
    S(ONENOTE, 0, 0, "\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f"),
    S(MAIL, FLAG_BINARY, 0, "!BDN"),
    WORDS(SETTINGS, "REGEDIT4"),
    WORDS(SETTINGS, "Windows Registry Editor"),
    LOOK(section, FLAG_WHITE, 0, "["),
    LOOK(der, 0, 0, "0"),
    LOOK(binary_plist, 0, 0, "bplist"),
    LOOK(rtf, 0, 0, "{\\rt"),
    /* disk images */
    S(ISO, 0, 32769, "CD001"),
    S(DISK_IMAGE, 0, 32769, "BEA01"),
    S(DISK_IMAGE, 0, 32769, "NSR0"),
    S(DISK_IMAGE, 0, 0, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"),
    S(VHD, 0, 0, "conectix"),
    S(VHD, 0, 0, "vhdxfile"),
    S(DISK_IMAGE, FLAG_BINARY, 0, "KDMV"),
    S(DISK_IMAGE, FLAG_BINARY, 0, "COWD"),
    S(DISK_IMAGE, 0, 0, "# Disk DescriptorFile"),
    S(DISK_IMAGE, 0, 0, "QFI\xfb"),
    S(DISK_IMAGE, 0, 64, "\x7f\x10\xda\xbe"),
    S(DISK_IMAGE, 0, 0, "MSWIM\0\0\0"),
    S(DISK_IMAGE, 0, 512, "EFI PART"),
    LOOK(boot, 0, 510, "\x55\xaa"),
    S(DISK_IMAGE, 0, 1024, "H+\0\x04"), /* HFS+ and HFSX without a partition table */
    S(DISK_IMAGE, 0, 1024, "HX\0\x05"),
    S(DISK_IMAGE, FLAG_BINARY, 32, "NXSB"), /* APFS */
    TWO(DISK_IMAGE, 0, "ER\x02\0", 512, "PM\0\0"),
    S(DMG, FLAG_BINARY, 0, "koly"),
    S(DMG, 0, 0, "encrcdsa"),
    S(DMG, 0, 0, "\x78\xda\x63\x60\x18\x05"),
    S(DMG, 0, 0, "\x78\x01\x73\x0d\x62\x62\x60"),
    S(SQUASHFS, FLAG_BINARY, 0, "hsqs"),
    S(SQUASHFS, FLAG_BINARY, 0, "sqsh"),
    /* archives */
    LOOK(zip, 0, 0, "PK\x03\x04"),
    S(ZIP, 0, 0, "PK\x05\x06"),
    LOOK(zip, 0, 0, "PK\x07\x08PK\x03\x04"),
    LOOK(zip, 0, 0, "PK00PK\x03\x04"),
    S(RAR, 0, 0, "Rar!\x1a\x07\0"),
    S(RAR, 0, 0, "Rar!\x1a\x07\x01\0"),
    S(SEVEN_ZIP, 0, 0, "7z\xbc\xaf\x27\x1c"),
    S(GZIP, 0, 0, "\x1f\x8b\x08"),
    TWO(BZIP2, 0, "BZh", 4, "1AY&SY"),
    TWO(BZIP2, 0, "BZh", 4, "\x17\x72\x45\x38\x50\x90"),
    S(XZ, 0, 0, "\xfd" "7zXZ\0"),
    S(ZSTD, 0, 0, "\x28\xb5\x2f\xfd"),
    LOOK(skippable, 0, 1, "\x2a\x4d\x18"),
    S(LZ4, 0, 0, "\x04\x22\x4d\x18"),
    S(LZ4, 0, 0, "\x02\x21\x4c\x18"),
    S(LZIP, FLAG_BINARY, 0, "LZIP"),
    S(LZMA, 0, 0, "\x5d\0\0"),
    S(COMPRESS, 0, 0, "\x1f\x9d"),
    S(COMPRESS, 0, 0, "\x1f\xa0"),
    LOOK(lzh, 0, 2, "-l"),
    S(TAR, 0, 257, "ustar"),
    LOOK(tar, FLAG_BINARY, 0, ""),
    S(CPIO, FLAG_BINARY, 0, "070701"),
    S(CPIO, FLAG_BINARY, 0, "070702"),
    S(CPIO, FLAG_BINARY, 0, "070707"),
    S(AR, 0, 0, "!<arch>\n"),
    S(CAB, 0, 0, "MSCF\0\0\0\0"),
    S(CAB, FLAG_BINARY, 0, "ISc("),
    S(ACE, 0, 7, "**ACE**"),
    S(ARJ, FLAG_BINARY, 0, "\x60\xea"),
    S(OTHER_ARCHIVE, 0, 0, "ALZ\x01"),
    S(OTHER_ARCHIVE, 0, 0, "\x89LZO\0\r\n\x1a\n"),
    TWO(OTHER_ARCHIVE, 0, "ZOO ", 20, "\xdc\xa7\xc4\xfd"),
    S(OTHER_ARCHIVE, FLAG_BINARY, 0, "EGGA"),
    S(OTHER_ARCHIVE, FLAG_BINARY, 0, "GCAX"),
    S(OTHER_ARCHIVE, FLAG_BINARY, 0, "DGCA"),
    S(OTHER_ARCHIVE, FLAG_BINARY, 0, "StuffIt "),
    TWO(OTHER_ARCHIVE, 0, "SIT!", 10, "rLau"),
    S(ENCODED, 0, 0, "begin 644 "),
    /* documents */
    S(DICOM, 0, 128, "DICM"),
    S(PDF, 0, 0, "%PDF-"),
    S(POSTSCRIPT, 0, 0, "%!PS-Adobe-"),
    WORDS(CALENDAR, "BEGIN:VCALENDAR"),
    WORDS(CONTACT, "BEGIN:VCARD"),
    /* WHATWG section 7.1: what is scriptable */
    TAG("<!DOCTYPE HTML"), TAG("<HTML"), TAG("<HEAD"), TAG("<SCRIPT"), TAG("<IFRAME"), TAG("<H1"),
    TAG("<DIV"), TAG("<FONT"), TAG("<TABLE"), TAG("<A"), TAG("<STYLE"), TAG("<TITLE"), TAG("<B"),
    TAG("<BODY"), TAG("<BR"), TAG("<P"), TAG("<!--"),
    LOOK(xml, FLAG_WHITE, 0, "<?xml"),
    LOOK(xml, FLAG_WHITE | FLAG_NOCASE, 0, "<!DOCTYPE"),
    LOOK(xml, FLAG_WHITE, 0, "<"),
    LOOK(wide, 0, 0, "\xfe\xff"),
    LOOK(wide, 0, 0, "\xff\xfe"),
    /* WHATWG section 6.1: images, and newer ones */
    S(ICON, 0, 0, "\0\0\x01\0"),
    S(ICON, 0, 0, "\0\0\x02\0"),
    S(BMP, FLAG_BINARY, 0, "BM"),
    S(GIF, 0, 0, "GIF87a"),
    S(GIF, 0, 0, "GIF89a"),
    TWO(WEBP, 0, "RIFF", 8, "WEBPVP"),
    S(PNG, 0, 0, "\x89PNG\r\n\x1a\n"),
    S(JPEG, 0, 0, "\xff\xd8\xff"),
    S(TIFF, 0, 0, "II*\0"),
    S(TIFF, 0, 0, "MM\0*"),
    S(JXL, 0, 0, "\xff\x0a"),
    S(JXL, 0, 0, "\0\0\0\x0cJXL \r\n\x87\n"),
    /* WHATWG section 6.2: audio and video, and newer ones */
    TWO(AIFF, 0, "FORM", 8, "AIF"),
    S(MP3, FLAG_BINARY, 0, "ID3"),
    S(OGG, 0, 0, "OggS\0"),
    S(MIDI, 0, 0, "MThd\0\0\0\x06"),
    TWO(AVI, 0, "RIFF", 8, "AVI "),
    TWO(WAVE, 0, "RIFF", 8, "WAVE"),
    S(AU, FLAG_BINARY, 0, ".snd"),
    S(FLAC, FLAG_BINARY, 0, "fLaC"),
    S(FLV, 0, 0, "FLV\x01"),
    S(MPEG, 0, 0, "\0\0\x01\xba"),
    S(MPEG, 0, 0, "\0\0\x01\xb3"),
    LOOK(box, FLAG_BINARY, 0, ""),
    LOOK(ebml, 0, 0, "\x1a\x45\xdf\xa3"),
    LOOK(frames, 0, 0, "\xff"),
    LOOK(packets, 0, 0, "G"),
    /* WHATWG section 6.3: fonts */
    TWO(EOT, 8, "\x01\0\x02\0", 34, "LP"),
    TWO(EOT, 8, "\x02\0\x02\0", 34, "LP"),
    TWO(EOT, 8, "\0\0\x01\0", 34, "LP"),
    S(TTF, 0, 0, "\0\x01\0\0"),
    S(OTF, FLAG_BINARY, 0, "OTTO"),
    S(TTC, FLAG_BINARY, 0, "ttcf"),
    S(WOFF, FLAG_BINARY, 0, "wOFF"),
    S(WOFF2, FLAG_BINARY, 0, "wOF2"),
    S(WASM, 0, 0, "\0asm"),
};
/* clang-format on */

/* Whether the row can fit at all, by the first of its bytes: most cannot. */
static bool may_match(const struct signature *row, const struct prefix *prefix)
{
    size_t offset = row->offset + (row->flags & FLAG_WHITE ? prefix->start : 0);

    if (row->bytes.size == 0)
        return true;
    if (offset >= prefix->size)
        return false;
    /* without the bit that tells the case of a letter */
    return (((unsigned char)row->bytes.data[0] ^ prefix->data[offset]) &
            (row->flags & FLAG_NOCASE ? 0xdfu : 0xffu)) == 0;
}

static bool bytes_match(const struct prefix *prefix, size_t offset, struct span bytes, bool nocase)
{
    const char *at;

    if (offset > prefix->size || bytes.size > prefix->size - offset)
        return false;
    if (bytes.size == 0)
        return true;
    at = (const char *)prefix->data + offset;
    if (nocase)
        return strncasecmp(at, bytes.data, bytes.size) == 0;
    return at[0] == bytes.data[0] && memcmp(at, bytes.data, bytes.size) == 0;
}

static bool tag_ends(const struct prefix *prefix, size_t offset)
{
    return offset < prefix->size && (prefix->data[offset] == ' ' || prefix->data[offset] == '>');
}

static enum file_type match(const struct signature *row, const struct prefix *prefix)
{
    size_t offset = row->offset + (row->flags & FLAG_WHITE ? prefix->start : 0);

    if (!bytes_match(prefix, offset, row->bytes, row->flags & FLAG_NOCASE) ||
        !bytes_match(prefix, row->second_offset, row->second, false) ||
        (row->flags & FLAG_BINARY && prefix->text) ||
        (row->flags & FLAG_TAG && !tag_ends(prefix, offset + row->bytes.size)))
        return TYPE_NONE;
    return row->look != NULL ? row->look(prefix) : row->type;
}

/* WHATWG section 3: a byte that no text has. */
static bool is_binary(uint8_t byte)
{
    return byte <= 0x08 || byte == 0x0b || (byte >= 0x0e && byte <= 0x1a) ||
           (byte >= 0x1c && byte <= 0x1f);
}

#define EACH(byte) (UINT64_MAX / 255 * (byte)) /* in all eight bytes of a word */

/* Whether one of eight bytes is below 0x20. */
static bool has_control(const uint8_t bytes[8])
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return ((word - EACH(0x20)) & ~word & EACH(0x80)) != 0;
}

static bool is_text(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0 && size - i >= 8 && !has_control(bytes + i)) {
            i += 7;
            continue;
        }
        if (is_binary(bytes[i]))
            return false;
    }
    return true;
}

static void survey(struct prefix *prefix)
{
    prefix->text = is_text(prefix->data, prefix->size);
    if (prefix->size >= 3 && memcmp(prefix->data, "\xef\xbb\xbf", 3) == 0)
        prefix->start = 3;
    while (prefix->start < prefix->size && look_is_white(prefix->data[prefix->start]))
        prefix->start++;
}

/*
 * Readers of PDF take a file that has its mark within the first 1024 bytes. In a text it must begin
 * a line and have a version, or every script that speaks of PDF would be one.
 */
static bool is_late_pdf(const struct prefix *prefix)
{
    size_t size = prefix->size < LATE_PDF ? prefix->size : LATE_PDF;
    const uint8_t *at = prefix->data, *end = prefix->data + size;

    while (end - at > 6 && (at = memchr(at + 1, '%', (size_t)(end - at) - 6)) != NULL)
        if (memcmp(at, "%PDF-", 5) == 0 &&
            (!prefix->text || ((at[-1] == '\n' || at[-1] == '\r') && at[5] >= '1' && at[5] <= '9')))
            return true;
    return false;
}

/* No signature fits. */
static enum file_type fall_back(const struct prefix *prefix)
{
    if (prefix->text && look_contains(prefix, 0, "<hta:application"))
        return TYPE_HTA;
    /* What stands in front of the section is a comment, or is passed over. */
    if (prefix->text && (look_contains(prefix, 0, "\n[InternetShortcut]") ||
                         look_contains(prefix, 0, "\n[Desktop Entry]")))
        return TYPE_SHORTCUT;
    if (is_late_pdf(prefix))
        return TYPE_PDF;
    if (prefix->text)
        return prefix->whole || prefix->size >= SNIFF_BYTES ? TYPE_TEXT : TYPE_NONE;
    /* An archive is read from its end: what stands in front of it does not matter. */
    if (memmem(prefix->data, prefix->size, "PK\x03\x04", 4) != NULL)
        return TYPE_ZIP;
    return prefix->whole || prefix->size >= SNIFF_BYTES ? TYPE_BINARY : TYPE_NONE;
}

void sniff_bytes(const uint8_t *bytes, size_t size, bool whole, struct file_facts *facts)
{
    struct prefix prefix = {
        .data = size > 0 ? bytes : (const uint8_t *)"", .size = size, .whole = whole};
    enum file_type type = TYPE_NONE;

    survey(&prefix);
    for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures) && type == TYPE_NONE; i++)
        if (may_match(&signatures[i], &prefix))
            type = match(&signatures[i], &prefix);
    if (type == TYPE_NONE)
        type = fall_back(&prefix);
    file_type_describe(type, facts);
}
