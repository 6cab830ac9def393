/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of namespaces and schemas look like links and are none: http://www.w3.org/2000/svg.
 * XMPP and SVG are full of them. In XML the values of xmlns attributes are left out, in
 * XMPP also the name of the program that stands with its capabilities (XEP-0115), and nothing else:
 * what somebody writes in a message arrives there with its "<" escaped, so that it cannot
 * pass for an attribute. Where else such names stand a short table knows them.
 */
#ifndef FILTERS_NAMESPACES_H
#define FILTERS_NAMESPACES_H

#include "filters/url.h"

/* A text in XML that arrives in pieces. Zeroed at its start. */
struct namespace_filter {
    enum {
        NAMESPACE_TEXT,
        NAMESPACE_OPEN, /* behind a "<" */
        NAMESPACE_TAG,
        NAMESPACE_VALUE,
        NAMESPACE_INSTRUCTION, /* <? ... ?> */
        NAMESPACE_OFF          /* behind a "<!": the rest may be anything, and all is passed on */
    } state;
    char name[6]; /* how the tag or its attribute begins */
    unsigned name_size;
    bool is_attribute; /* else it is the tag's */
    bool is_caps;      /* the tag is <c> */
    bool blank;        /* the name is over */
    bool equals;       /* and the attribute's value follows */
    bool left_out;     /* the value */
    char before;       /* the quote that the value began with; of an instruction the last byte */
};

typedef void namespace_text(void *context, struct span text);

/* Gives on what is to be looked at, in pieces that lie in `text`. */
void namespace_filter_feed(struct namespace_filter *filter, struct span text, namespace_text *give,
                           void *context);

/* Whether that is the name of a well-known schema rather than a place where somebody goes. */
bool namespace_is_known(const struct url *url);

#endif
