/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the link scanner share: links_text.c turns bytes into characters, links.c
 * characters into words, links_plain.c unmasks a word, links_find.c finds its links,
 * links_base64.c those of a word in base64, links_host.c says what is a host.
 */
#ifndef FILTERS_LINKS_PRIVATE_H
#define FILTERS_LINKS_PRIVATE_H

#include "filters/character.h"
#include "filters/links.h"

/* Properties of a byte of text, and of a word: those of its bytes together. */
enum {
    BYTE_PLAIN = 0,
    BYTE_END = 1,     /* ends a word */
    BYTE_SPECIAL = 2, /* needs a look: an escape or more than ASCII */
    BYTE_MARK = 4,    /* without one of these a word holds no link */
    BYTE_BRACKET = 8, /* may begin a mask */
    WORD_WIDE = 16,   /* full-width forms of ASCII are in it */
    WORD_OTHER = 32   /* more than ASCII is in it */
};

struct link_text {    /* the layers between bytes and characters; all zero at the start */
    uint32_t partial; /* UTF-8 */
    uint8_t needed;
    uint8_t lower, upper;
    uint8_t backslash; /* one is pending */
    uint8_t digits;    /* of \uXXXX or \xXX, still wanted */
    uint8_t held;      /* bytes of the escape, as they came */
    char escape[6];
    uint32_t value;
    uint32_t surrogate; /* a high one, waiting for its other half */
    uint8_t named;      /* bytes of a character reference, '&' included */
    char reference[12];
};

#define PREVIOUS_SIZE 128
#define TOLD          16

struct link_scanner {
    link_found *found;
    void *context;
    struct link_text text;

    char word[LINK_SIZE];
    size_t size;
    unsigned marks;
    bool continued; /* the word began before what is kept of it */

    /* for "example dot jp": the word before, and that a "dot" followed it */
    char previous[PREVIOUS_SIZE];
    size_t previous_size;
    bool dotted;
    bool joined; /* this word is made so */

    /* of this word: what was told lately, as hashes */
    uint64_t told[TOLD];
    unsigned told_count;

    struct link_scanner *inner; /* of text in base64, once there was some */
    bool is_inner;
};

/* --- links_text.c --- */

extern const uint8_t link_byte_class[256];
void link_text_feed(struct link_scanner *scanner, struct span bytes);
void link_text_end(struct link_scanner *scanner);

/* --- links.c --- */

/* A run of plain ASCII. */
void link_word_add(struct link_scanner *scanner, struct span bytes, unsigned marks);
/* The end of a word, if one has begun. `blank`: what ended it may stand around a "dot". */
void link_word_end(struct link_scanner *scanner, bool blank);
/* One character of any sort. */
void link_word_character(struct link_scanner *scanner, uint32_t character);
/* True when a word has begun and what it ends with is a scheme with its colon. */
bool link_word_is_scheme(const struct link_scanner *scanner);

/* --- links_plain.c --- */

/*
 * Writes the word plainly and returns the size; `origin` tells for each byte where in the word it
 * is from. The second keeps full-width letters: in the path of a link they are other letters.
 */
size_t link_plain_write(struct span word, unsigned marks, char text[LINK_SIZE],
                        uint16_t origin[LINK_SIZE]);
size_t link_plain_write_wide(struct span word, char text[LINK_SIZE], uint16_t origin[LINK_SIZE]);

/* --- links_find.c --- */

/*
 * Tells the links of the word. `open`: the word is longer than what is there; a link that runs into
 * its end and may be read whole later is not told, and where to go on is returned. Otherwise the
 * word's size.
 */
size_t link_find(struct link_scanner *scanner, bool open);

/* --- links_base64.c --- */

/* Tells the links of the text that a word is, or ends with, in base64. One level deep. */
void link_base64_find(struct link_scanner *scanner, struct span word);

/* --- links_host.c --- */

/* In a word that is looked at: an ideographic full stop before an ASCII letter or digit. It is a
 * dot of a host, but ends a sentence behind a path. */
#define LINK_STOP '\x01'

/*
 * What is written as a host, as host_normalise() gives it: escapes undone, IDN as A-labels, any
 * notation of IPv4 as a browser reads it. False for a name of one label, or when it is no host.
 */
bool link_host_read(struct span written, char host[HOST_TEXT]);

/* Whether a name may be taken for a host: by the table, or by the look of its last label only. */
bool link_host_is_common(struct span host);
bool link_host_is_likely(struct span host);
/* A common one that is no word of a sentence: "example dot com", but not "polka dot me". */
bool link_host_is_unmistakable(struct span host);

#endif
