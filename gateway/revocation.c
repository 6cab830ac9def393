/* SPDX-License-Identifier: BSD-2-Clause */
/* See revocation.h. */
#include "gateway/revocation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "filters/memory.h"
#include "gateway/fetch_points.h"

#define LIST_LIMIT  1024
#define FILE_LIMIT  (64L << 20) /* bytes */
#define CHAIN_LIMIT 32          /* bits of the answer */

struct revocation_list {
    TAILQ_ENTRY(revocation_list) next;
    struct crl *crl;
    char *bytes;     /* of a file's; NULL: it was fetched and is borrowed */
    const char *url; /* of a fetched one */
    bool is_stale;   /* only what it revokes counts */
    bool has_revoked;
};

struct revocation {
    TAILQ_HEAD(, revocation_list) lists;
    size_t count; /* of the file's */
};

/* --- reading --- */

struct revocation *revocation_new(void)
{
    struct revocation *revocation = memory_allocate(1, sizeof(*revocation));

    TAILQ_INIT(&revocation->lists);
    return revocation;
}

static void list_free(struct revocation *revocation, struct revocation_list *list)
{
    TAILQ_REMOVE(&revocation->lists, list, next);
    if (list->bytes != NULL) {
        crl_free(list->crl);
        free(list->bytes);
    }
    free(list);
}

bool revocation_add(struct revocation *revocation, struct span der)
{
    struct revocation_list *list;
    struct crl *crl;
    char *bytes;

    if (revocation->count == LIST_LIMIT || der.size == 0)
        return false;
    bytes = memory_span(der);
    crl = crl_new((struct span){bytes, der.size});
    if (crl == NULL) {
        free(bytes);
        return false;
    }
    crl_read(crl, SIZE_MAX);
    list = memory_allocate(1, sizeof(*list));
    list->crl = crl;
    list->bytes = bytes;
    TAILQ_INSERT_TAIL(&revocation->lists, list, next);
    revocation->count++;
    return true;
}

static bool is_list(const char *name)
{
    return strcmp(name, PEM_STRING_X509_CRL) == 0;
}

static bool read_all(struct revocation *revocation, FILE *file)
{
    char *name = NULL, *header = NULL;
    unsigned char *bytes = NULL;
    bool right = true;
    long size = 0;

    while (right && PEM_read(file, &name, &header, &bytes, &size) == 1) {
        right = !is_list(name) ||
                revocation_add(revocation, (struct span){(const char *)bytes, (size_t)size});
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(bytes);
    }
    /* The end of the file is the one error that is none. */
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return right && ended && revocation->count > 0;
}

struct revocation *revocation_read(const char *path, char *error, size_t size)
{
    struct revocation *revocation = NULL;
    struct stat facts;
    FILE *file = fopen(path, "re");

    if (!file || fstat(fileno(file), &facts) != 0) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
    } else if (facts.st_size > FILE_LIMIT) {
        snprintf(error, size, "%s: larger than %ld MB", path, FILE_LIMIT >> 20);
    } else {
        revocation = revocation_new();
        if (!read_all(revocation, file)) {
            snprintf(error, size,
                     "%s: expected lists of revoked certificates (X509 CRL), PEM, at "
                     "most %d of them",
                     path, LIST_LIMIT);
            revocation_free(revocation);
            revocation = NULL;
        }
    }
    if (file)
        fclose(file);
    return revocation;
}

void revocation_free(struct revocation *revocation)
{
    if (!revocation)
        return;
    while (!TAILQ_EMPTY(&revocation->lists))
        list_free(revocation, TAILQ_FIRST(&revocation->lists));
    free(revocation);
}

void revocation_review(const struct revocation *revocation, int64_t time,
                       void (*tell)(void *argument, const char *line), void *argument)
{
    const struct revocation_list *list;
    char name[256], line[512];

    TAILQ_FOREACH (list, &revocation->lists, next) {
        const char *fault = crl_fault(list->crl)          ? crl_fault(list->crl)
                            : time > crl_end(list->crl)   ? "it is over"
                            : time < crl_begin(list->crl) ? "it has not begun"
                                                          : NULL;
        if (!fault || !list->bytes)
            continue;
        X509_NAME_oneline(crl_issuer(list->crl), name, sizeof(name));
        snprintf(line, sizeof(line), "tls.revocation-lists: the list of %s says nothing: %s", name,
                 fault);
        tell(argument, line);
    }
}

/* --- fetched ones --- */

struct revocation_list *revocation_attach(struct revocation *revocation, struct crl *crl,
                                          const char *url)
{
    struct revocation_list *list = memory_allocate(1, sizeof(*list));

    list->crl = crl;
    list->url = url;
    TAILQ_INSERT_TAIL(&revocation->lists, list, next);
    return list;
}

void revocation_detach(struct revocation *revocation, struct revocation_list *list)
{
    if (list != NULL)
        list_free(revocation, list);
}

void revocation_set_stale(struct revocation_list *list, bool is_stale)
{
    list->is_stale = is_stale;
}

bool revocation_has_revoked(const struct revocation_list *list)
{
    return list->has_revoked;
}

/* --- asking --- */

enum standing { GOOD, REVOKED, UNKNOWN };

static bool is_verified(const struct revocation_list *list, X509 *issuer)
{
    if (list->bytes == NULL)
        return crl_signature(list->crl, issuer) == CRL_GOOD;
    return crl_verify(list->crl, issuer, SIZE_MAX) == CRL_GOOD;
}

static bool is_named(const struct revocation_list *list, X509 *certificate)
{
    struct fetch_points points;

    if (list->url == NULL)
        return true;
    fetch_points_of_lists(certificate, &points);
    for (size_t i = 0; i < points.count; i++)
        if (strcmp(points.urls[i], list->url) == 0)
            return true;
    return false;
}

static enum standing ask_one(struct revocation *revocation, X509 *certificate, X509 *issuer,
                             int64_t time)
{
    enum standing standing = UNKNOWN;
    struct revocation_list *list;

    TAILQ_FOREACH (list, &revocation->lists, next) {
        if (X509_NAME_cmp(crl_issuer(list->crl), X509_get_issuer_name(certificate)) != 0 ||
            !crl_covers(list->crl, certificate) || !is_verified(list, issuer))
            continue;
        if (crl_lists(list->crl, certificate)) {
            list->has_revoked = true;
            return REVOKED; /* for good, however old the list is */
        }
        if (!list->is_stale && crl_begin(list->crl) <= time && time <= crl_end(list->crl) &&
            is_named(list, certificate))
            standing = GOOD;
    }
    return standing;
}

struct revocation_answer revocation_check(struct revocation *revocation, STACK_OF(X509) * chain,
                                          int64_t time)
{
    struct revocation_answer answer = {VERDICT_OK, 0, 0};

    for (int i = 0; i + 1 < sk_X509_num(chain) && i < CHAIN_LIMIT; i++) {
        enum standing standing =
            ask_one(revocation, sk_X509_value(chain, i), sk_X509_value(chain, i + 1), time);
        if (standing == REVOKED)
            return (struct revocation_answer){VERDICT_REVOKED, i, 0};
        if (standing == UNKNOWN)
            answer.unknown |= 1u << i;
    }
    return answer;
}
