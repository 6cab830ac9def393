/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rows of the policy share: a request or a response together with what was found out about
 * it before the first row is asked. Only for the files of filters/ that hold rows.
 */
#ifndef FILTERS_JUDGE_H
#define FILTERS_JUDGE_H

#include "filters/filters.h"
#include "filters/url.h"

/* Where a request leads: to its own host, or to where the redirector that it asks will send it. */
struct destination {
    bool tls;
    struct span host;
    uint16_t port;
    struct span target;
    enum destination_class class;
    const struct service *service;
    const struct hostset_entry *entry; /* that decided the class, or NULL */
};

#define PAGES 2 /* Referer and Origin */

struct judgement {
    const struct policy *policy;
    const struct standing *standing;
    const struct request *request;
    struct finding *finding;

    /* the request's own destination, then the redirector's target when there is one */
    struct destination destinations[2];
    size_t destination_count;
    const struct destination *judged; /* the last of them */

    char pages[PAGES][HOST_TEXT]; /* the hosts of the page that the request belongs to */
    size_t page_count;

    struct url unwrapped; /* what the second destination borrows from */
    char buffer[REDIRECTOR_BUFFER];
};

/* Finds kind, source and destinations, and notes them in the finding. */
void judgement_begin(struct judgement *judgement, const struct policy *policy,
                     const struct standing *standing, const struct request *request,
                     struct finding *finding);

/* The value of the last field of that name, empty when there is none. */
struct span request_field(const struct request *request, struct span name);

/* True for what names are asked and answered in over HTTPS: DoH (RFC 8484) and its kin. */
bool is_dns_media_type(struct span type);

/* X(reason, row): the request table of the policy, rows 1 to 10. */
#define REQUEST_ROWS(X)                                                                            \
    X(MISDIRECTED, request_is_misdirected)                                                         \
    X(RELEASED, request_is_released)                                                               \
    X(DENIED_DESTINATION, request_is_denied)                                                       \
    X(PATIENT_LINK, request_is_patient_link)                                                       \
    X(CHAT_ATTACHMENT, request_is_attachment)                                                      \
    X(FOREIGN_MEETING, request_is_foreign_meeting)                                                 \
    X(LINK_FROM_CONSULTATION, request_is_link_from_consultation)                                   \
    X(UNVERIFIED_DESTINATION, request_is_unverified)                                               \
    X(UNVERIFIED_DESTINATION, request_is_part_of_unverified)                                       \
    X(DENIED_COUNTRY, request_is_in_denied_country)                                                \
    X(UNKNOWN_DESTINATION, request_is_unknown)
#define X(reason, row) bool row(struct judgement *judgement);
REQUEST_ROWS(X)
#undef X

struct response_judgement {
    const struct policy *policy;
    const struct standing *standing;
    const struct request *request;
    const struct response *response;
    struct finding *finding;

    enum destination_class class; /* of the host that answers, which may be a redirector */
    struct span declared;         /* media type as sent, empty when there is none */
    char name[256];               /* the suggested file name */
    struct span extension;        /* of it, without dot */
    bool is_named;                /* the name is the response's own, not the path's */
    bool attachment;
    struct file_facts by_bytes;
    struct file_facts by_extension;
    struct file_facts by_declared;
    bool harmful_bytes; /* dangerous, and not what a page loads as its part */
    bool is_download;
};

/* Finds what the response holds. False when it has no body that could be judged. */
bool response_judgement_begin(struct response_judgement *judgement, const struct policy *policy,
                              const struct standing *standing, const struct request *request,
                              const struct response *response, struct finding *finding);

/* X(reason, row): the response table of the policy, rows 1 to 5. */
#define RESPONSE_ROWS(X)                                                                           \
    X(RELEASED, response_is_released)                                                              \
    X(DENIED_DESTINATION, response_is_dns_over_https)                                              \
    X(TYPE_MISMATCH, response_is_mismatch)                                                         \
    X(DANGEROUS_FILE, response_is_dangerous)                                                       \
    X(OPAQUE_ARCHIVE, response_is_opaque)                                                          \
    X(UNKNOWN_DOWNLOAD, response_is_unknown_download)
#define X(reason, row) bool row(struct response_judgement *judgement);
RESPONSE_ROWS(X)
#undef X

#endif
