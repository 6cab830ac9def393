/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kind of zip it is, by the names of the entries that lie in the prefix. A document has to
 * show nothing but a document's entries; a single one of a program makes it that program.
 */
#include <string.h>

#include "filters/sniff_look.h"

enum mark {
    MARK_OTHER = 1, /* an entry that no document has */
    MARK_OPC = 2,   /* Open Packaging Conventions: what every OOXML file has */
    MARK_WORD = 4,
    MARK_EXCEL = 8,
    MARK_POWERPOINT = 16,
    MARK_MACRO = 32,
    MARK_ODF = 64,
    MARK_ODF_MACRO = 128,
    MARK_EPUB = 256,
    MARK_APK = 512,
    MARK_JAR = 1024,
    MARK_APPX = 2048,
    MARK_IPA = 4096,
    MARK_XPI = 8192,
    MARK_NEUTRAL = 16384 /* in documents and elsewhere */
};

enum place { AT_START, AT_END, WHOLE };

/* The first row that fits gives the marks of a name. */
static const struct {
    const char *text;
    enum place place;
    unsigned marks;
} names[] = {
    {"vbaProject.bin", AT_END, MARK_MACRO},
    {"vbaData.xml", AT_END, MARK_MACRO},
    {"xl/macrosheets/", AT_START, MARK_MACRO},
    {"xl/workbook.bin", WHOLE, MARK_MACRO}, /* the binary workbook, with or without them */
    {"xl/intlmacrosheets/", AT_START, MARK_MACRO},
    {"word/activeX/", AT_START, MARK_MACRO},
    {"xl/activeX/", AT_START, MARK_MACRO},
    {"ppt/activeX/", AT_START, MARK_MACRO},
    {"AndroidManifest.xml", AT_END, MARK_APK},
    {"classes.dex", AT_END, MARK_APK},
    {"resources.arsc", WHOLE, MARK_APK},
    {".class", AT_END, MARK_JAR},
    {"META-INF/MANIFEST.MF", WHOLE, MARK_JAR},
    {"AppxManifest.xml", AT_END, MARK_APPX},
    {"AppxBundleManifest.xml", AT_END, MARK_APPX},
    {"AppxBlockMap.xml", AT_END, MARK_APPX},
    {"META-INF/mozilla.rsa", WHOLE, MARK_XPI},
    {"install.rdf", WHOLE, MARK_XPI},
    {"Payload/", AT_START, MARK_IPA},
    {"[Content_Types].xml", WHOLE, MARK_OPC},
    {"_rels/", AT_START, MARK_OPC},
    {"docProps/", AT_START, MARK_OPC},
    {"docMetadata/", AT_START, MARK_OPC},
    {"customXml/", AT_START, MARK_OPC},
    {"[trash]/", AT_START, MARK_OPC},
    {"word/", AT_START, MARK_OPC | MARK_WORD},
    {"xl/", AT_START, MARK_OPC | MARK_EXCEL},
    {"ppt/", AT_START, MARK_OPC | MARK_POWERPOINT},
    {"visio/", AT_START, MARK_OPC},
    {"Basic/", AT_START, MARK_ODF_MACRO},
    {"Scripts/", AT_START, MARK_ODF_MACRO},
    {"META-INF/", AT_START, MARK_NEUTRAL},
};

static bool name_fits(struct span name, struct span text, enum place place)
{
    switch (place) {
    case AT_START:
        return span_starts(name, text);
    case AT_END:
        return span_ends(name, text);
    default:
        return span_equal(name, text);
    }
}

/* The stored "mimetype" entry of ODF and EPUB: what it says follows its name. */
static unsigned mimetype_marks(struct span content)
{
    if (span_starts(content, SPAN("application/vnd.oasis.opendocument.")))
        return MARK_ODF;
    return span_starts(content, SPAN("application/epub+zip")) ? MARK_EPUB : MARK_OTHER;
}

static unsigned name_marks(struct span name, struct span behind)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (name_fits(name, span_of(names[i].text), names[i].place))
            return names[i].marks;
    return span_equal(name, SPAN("mimetype")) ? mimetype_marks(behind) : MARK_OTHER;
}

/* The marks of every local header in the prefix (APPNOTE 4.3.7), nested ones included. */
static unsigned all_marks(const struct prefix *prefix)
{
    struct span rest = {(const char *)prefix->data, prefix->size};
    unsigned marks = 0;

    for (;;) {
        const char *at = memmem(rest.data, rest.size, "PK\x03\x04", 4);
        if (at == NULL)
            return marks;
        rest = span_from(rest, (size_t)(at - rest.data));
        if (rest.size < 30)
            return marks;
        size_t size = (size_t)(uint8_t)at[26] | (size_t)(uint8_t)at[27] << 8;
        size_t extra = (size_t)(uint8_t)at[28] | (size_t)(uint8_t)at[29] << 8;
        struct span name = span_first(span_from(rest, 30), size);
        if (name.size == size)
            marks |= name_marks(name, span_from(rest, 30 + size + extra));
        rest = span_from(rest, 4);
    }
}

enum file_type look_zip(const struct prefix *prefix)
{
    static const struct {
        unsigned mark;
        enum file_type type;
    } programs[] = {{MARK_APK, TYPE_APK}, {MARK_APPX, TYPE_APPX}, {MARK_JAR, TYPE_JAR},
                    {MARK_XPI, TYPE_XPI}, {MARK_IPA, TYPE_IPA},   {MARK_MACRO, TYPE_OOXML_MACRO}},
      documents[] = {{MARK_WORD, TYPE_DOCX},
                     {MARK_EXCEL, TYPE_XLSX},
                     {MARK_POWERPOINT, TYPE_PPTX},
                     {MARK_OPC, TYPE_OOXML}};
    unsigned marks = all_marks(prefix);

    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
        if (marks & programs[i].mark)
            return programs[i].type;
    if (marks & MARK_OPC && memmem(prefix->data, prefix->size, "macroEnabled", 12) != NULL)
        return TYPE_OOXML_MACRO;
    /* What else ODF and EPUB hold is theirs to name. */
    if (marks & MARK_ODF)
        return marks & MARK_ODF_MACRO ? TYPE_ODF_MACRO : TYPE_ODF;
    if (marks & MARK_EPUB)
        return TYPE_EPUB;
    for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++)
        if (marks & documents[i].mark && !(marks & (MARK_OTHER | MARK_NEUTRAL)))
            return documents[i].type;
    return TYPE_ZIP;
}
