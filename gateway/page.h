/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page that a person sees when something was stopped: a template of conf/pages, filled with
 * messages in Japanese or English. At most 12 kB, self-contained. All that came from the network is
 * escaped.
 */
#ifndef GATEWAY_PAGE_H
#define GATEWAY_PAGE_H

#include "filters/filters.h"

enum language { LANGUAGE_JA, LANGUAGE_EN };
/* By Accept-Language (RFC 9110 section 12.5.4); Japanese when it does not say, or says neither. */
enum language page_language(struct span accept_language);

struct page_facts {
    enum language language;
    enum reason reason;
    uint64_t incident;   /* 0: none could be given */
    struct span host;    /* what was asked for */
    struct span path;    /* no query */
    struct span service; /* title of the service in the consultation or the origin; may be empty */
    struct span file_name; /* of a download; may be empty */
    struct span file_type;
    const char *clinic; /* name */
    const char *contact;
    int64_t time;    /* Unix seconds */
    int64_t learned; /* when the link came in, Unix seconds; 0: it did not */
};

struct page; /* the parsed template and messages */

/* Parses; NULL with a message in *error (static or inside the page module) when the template is
 * wrong. */
struct page *page_new(const char *template_text, const char *messages_ja, const char *messages_en,
                      const char **error);
void page_free(struct page *page);

/* Renders the HTML. The caller frees *html. The length is returned. */
size_t page_render(const struct page *page, const struct page_facts *facts, char **html);

/* "#" and the incident's number in groups that can be read out: "12-345". `text` takes
 * INCIDENT_TEXT bytes. */
#define INCIDENT_TEXT 32
void incident_format(uint64_t incident, char *text);
/* The reverse, lenient about '#', '-' and spaces. False when it is not a number. */
bool incident_parse(struct span text, uint64_t *incident);

/* The Content-Security-Policy that goes with the page. */
const char *page_content_security_policy(const struct page *page);

#endif
