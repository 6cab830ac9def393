/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the links in text that arrives in pieces: http and https URLs, and bare host names, in chat
 * text, JSON (also JSON in JSON) and HTML-escaped text, however they were spelled, escaped or
 * masked. What is found does not depend on how the text was cut. It rather finds too much than too
 * little: where a person and a program may read a link differently, both readings are given.
 *
 * Read: UTF-8 (a byte that is none ends a link); backslash escapes (any depth of JSON in JSON),
 * character references; full-width letters, digits, marks and full stops; percent-escaped whole
 * URLs, also inside other URLs; characters that are not seen (zero-width, soft hyphen,
 * bidirectional marks) are dropped; hxxp, h**p, ttp; [.] (.) {.} [dot] " dot " and the like; any
 * IPv4 notation; IDN as A-labels; text in base64, one level deep, when the whole of it is a word of
 * at most LINK_SIZE bytes. Not read: UTF-16 (see utf16.h), text laid out over several lines.
 *
 * A bare name, without path and without "www.", is a host only when its last label is in a table of
 * top-level domains in common use: "file.txt" is none, nor is "e.g". Before a path or a port any
 * alphabetic last label will do. What follows an '@' is a mail address, not a host.
 *
 * Cost is linear. Memory of one scanner: under 5 kB, and as much again once there was base64; a
 * link of more than LINK_SIZE bytes is cut.
 */
#ifndef FILTERS_LINKS_H
#define FILTERS_LINKS_H

#include "filters/url.h"

/* Bytes of text without a blank that are looked at together. */
#define LINK_SIZE 4096

enum link_way {
    LINK_WRITTEN,   /* it stands in the text */
    LINK_NESTED,    /* percent-escaped, alone or inside another link */
    LINK_REDIRECTED /* where a redirector that was found leads (redirector_unwrap()) */
};

struct found_link {
    struct url url; /* the target borrows, valid during the callback; no user information */
    enum link_way way;
    bool has_scheme; /* false: a bare host; `url` is then the https one, and http is as likely */
    bool cut;        /* longer than was looked at: only the host is sure */
};
typedef void link_found(void *context, const struct found_link *link);

struct link_scanner;

/* `found` must not feed or free the scanner. One link may be told more than once. */
struct link_scanner *link_scanner_new(link_found *found, void *context);
void link_scanner_free(struct link_scanner *scanner);

void link_scanner_feed(struct link_scanner *scanner, const void *bytes, size_t size);

/* The text is over: tells what was under way. Another text may follow. */
void link_scanner_end(struct link_scanner *scanner);

#endif
