/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the portal answers: everything is made once, when it starts, from the CA's certificates and
 * the files of conf/pages; a request chooses among it. No I/O.
 */
#ifndef GATEWAY_PORTAL_PAGE_H
#define GATEWAY_PORTAL_PAGE_H

#include <openssl/x509.h>

#include "gateway/http1.h"
#include "gateway/page.h"

struct portal_facts {
    const char *template_text, *messages[2]; /* by enum language */
    const char *host;                        /* the portal's name */
    uint16_t tls_port;
    const char *clinic, *contact; /* may be "" */
    X509 *root;                   /* that devices are to trust */
    X509 *next;                   /* the one that comes after it, or NULL */
};

struct portal_pages;

/* NULL with a message. Everything is copied. */
struct portal_pages *portal_pages_new(const struct portal_facts *facts, char *error, size_t size);
void portal_pages_free(struct portal_pages *pages);

struct portal_answer {
    unsigned status;
    const char *phrase;
    const char *type; /* Content-Type; NULL without a body */
    const char *file; /* a name to save it under; NULL for none */
    struct span body;
    bool is_head; /* the body is described and not sent */
};

/* What a request gets. `tls`: it came over https, from a device that trusts the CA. Borrows. */
void portal_pages_answer(const struct portal_pages *pages, const struct http1_head *head, bool tls,
                         struct portal_answer *answer);

/* What a request that is none gets. */
void portal_pages_refuse(unsigned status, struct portal_answer *answer);

/* The whole message, closing the connection. */
struct evbuffer;
void portal_pages_write(const struct portal_pages *pages, const struct portal_answer *answer,
                        struct evbuffer *out);

#endif
