/* SPDX-License-Identifier: BSD-2-Clause */
/* See revocation.h. */
#include "gateway/revocation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/chain.h"

#define LIST_LIMIT      1024
#define FILE_LIMIT      (64L << 20) /* bytes */
#define EXTENSION_LIMIT 32
#define DIGEST_SIZE     32

struct list {
    X509_CRL *crl;
    const char *fault;         /* of its form; NULL: none */
    ISSUING_DIST_POINT *scope; /* NULL: all of the issuer's certificates */
    int64_t begin, end;        /* thisUpdate, nextUpdate */
    bool verified;             /* by the key with this digest */
    unsigned char issuer[DIGEST_SIZE];
};

struct revocation {
    size_t count;
    struct list lists[LIST_LIMIT];
};

/* --- the form of a list --- */

static const char *check_extensions(const X509_CRL *crl)
{
    int count = X509_CRL_get_ext_count(crl);

    if (count > EXTENSION_LIMIT)
        return "too many extensions";
    for (int i = 0; i < count; i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(crl, i);
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
        int nid = OBJ_obj2nid(object);
        bool critical = X509_EXTENSION_get_critical(extension) != 0;
        if (X509_CRL_get_ext_by_OBJ(crl, object, i) >= 0)
            return "an extension stands there twice";
        if (nid == NID_delta_crl)
            return "it only tells changes (delta)";
        if (critical != (nid == NID_issuing_distribution_point))
            return "an extension is wrongly (not) critical";
    }
    if (X509_CRL_get_ext_by_NID(crl, NID_crl_number, -1) < 0)
        return "it has no number";
    if (X509_CRL_get_ext_by_NID(crl, NID_authority_key_identifier, -1) < 0)
        return "it does not name its issuer's key";
    return NULL;
}

/* Only lists that speak for other CAs have critical extensions in their entries. */
static const char *check_entries(X509_CRL *crl)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);

    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(entries, i);
        for (int j = 0; j < X509_REVOKED_get_ext_count(entry); j++)
            if (X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, j)))
                return "an entry has a critical extension (indirect)";
    }
    return NULL;
}

static const char *read_scope(struct list *list)
{
    int found = 0;

    list->scope = X509_CRL_get_ext_d2i(list->crl, NID_issuing_distribution_point, &found, NULL);
    if (!list->scope)
        return found == -1 ? NULL : "its scope is malformed";
    if (list->scope->indirectCRL)
        return "it speaks for other CAs (indirect)";
    if (list->scope->onlyattr || list->scope->onlysomereasons)
        return "it is not about all certificates";
    return NULL;
}

static const char *read_list(struct list *list)
{
    const char *fault = NULL;

    list->begin = chain_time(X509_CRL_get0_lastUpdate(list->crl));
    list->end = chain_time(X509_CRL_get0_nextUpdate(list->crl));
    if (X509_CRL_get_version(list->crl) != X509_CRL_VERSION_2)
        return "not of version 2";
    if (list->begin < 0 || list->end < list->begin)
        return "it does not say until when it holds";
    if ((fault = check_extensions(list->crl)) != NULL)
        return fault;
    if (!chain_signature_strong(X509_CRL_get_signature_nid(list->crl)))
        return "not a SHA-2 signature";
    if ((fault = read_scope(list)) != NULL)
        return fault;
    return check_entries(list->crl);
}

/* --- reading --- */

struct revocation *revocation_new(void)
{
    return memory_allocate(1, sizeof(struct revocation));
}

bool revocation_add(struct revocation *revocation, X509_CRL *crl)
{
    struct list *list = &revocation->lists[revocation->count];

    if (revocation->count == LIST_LIMIT)
        return false;
    revocation->count++;
    list->crl = crl;
    list->fault = read_list(list);
    return true;
}

static bool read_all(struct revocation *revocation, FILE *file)
{
    X509_CRL *crl;

    while ((crl = PEM_read_X509_CRL(file, NULL, NULL, NULL)) != NULL)
        if (!revocation_add(revocation, crl)) {
            X509_CRL_free(crl);
            return false;
        }
    /* The end of the file is the one error that is none. */
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return ended && revocation->count > 0;
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
    for (size_t i = 0; i < revocation->count; i++) {
        X509_CRL_free(revocation->lists[i].crl);
        ISSUING_DIST_POINT_free(revocation->lists[i].scope);
    }
    free(revocation);
}

void revocation_review(const struct revocation *revocation, int64_t time,
                       void (*tell)(void *argument, const char *line), void *argument)
{
    char name[256], line[512];

    for (size_t i = 0; i < revocation->count; i++) {
        const struct list *list = &revocation->lists[i];
        const char *fault = list->fault          ? list->fault
                            : time > list->end   ? "it is over"
                            : time < list->begin ? "it has not begun"
                                                 : NULL;
        if (!fault)
            continue;
        X509_NAME_oneline(X509_CRL_get_issuer(list->crl), name, sizeof(name));
        snprintf(line, sizeof(line), "tls.revocation-lists: the list of %s says nothing: %s", name,
                 fault);
        tell(argument, line);
    }
}

/* --- asking --- */

static bool may_sign_lists(X509 *issuer)
{
    return (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0; /* all bits set when absent */
}

/* RFC 5280 section 5.2.1 */
static bool names_key_of(const X509_CRL *crl, X509 *issuer)
{
    AUTHORITY_KEYID *named = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(issuer);
    bool same = named && (!named->keyid || !own || ASN1_OCTET_STRING_cmp(named->keyid, own) == 0);

    AUTHORITY_KEYID_free(named);
    return same;
}

static bool verify_list(struct list *list, X509 *issuer)
{
    unsigned char digest[DIGEST_SIZE];
    EVP_PKEY *key = X509_get0_pubkey(issuer);

    if (!key || X509_pubkey_digest(issuer, EVP_sha256(), digest, NULL) != 1 ||
        !may_sign_lists(issuer) || !names_key_of(list->crl, issuer))
        return false;
    if (list->verified && !memcmp(list->issuer, digest, DIGEST_SIZE))
        return true;
    if (X509_CRL_verify(list->crl, key) != 1) {
        ERR_clear_error();
        return false;
    }
    list->verified = true;
    memcpy(list->issuer, digest, DIGEST_SIZE);
    return true;
}

static bool share_location(const GENERAL_NAMES *ours, const GENERAL_NAMES *theirs)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(ours); i++)
        for (int j = 0; j < sk_GENERAL_NAME_num(theirs) && j < EXTENSION_LIMIT; j++)
            if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(ours, i),
                                 sk_GENERAL_NAME_value(theirs, j)) == 0)
                return true;
    return false;
}

/* A part of a CA's list is about the certificates that point to it (RFC 5280 section 6.3.3, b). */
static bool points_to(X509 *certificate, const DIST_POINT_NAME *part)
{
    CRL_DIST_POINTS *points =
        X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);
    bool found = false;

    for (int i = 0;
         !found && part->type == 0 && i < sk_DIST_POINT_num(points) && i < EXTENSION_LIMIT; i++) {
        const DIST_POINT *point = sk_DIST_POINT_value(points, i);
        found = point->distpoint && point->distpoint->type == 0 && !point->CRLissuer &&
                share_location(part->name.fullname, point->distpoint->name.fullname);
    }
    CRL_DIST_POINTS_free(points);
    return found;
}

static bool in_scope(const struct list *list, X509 *certificate)
{
    bool is_ca = (X509_get_extension_flags(certificate) & EXFLAG_CA) != 0;

    if (!list->scope)
        return true;
    if ((list->scope->onlyuser && is_ca) || (list->scope->onlyCA && !is_ca))
        return false;
    return !list->scope->distpoint || points_to(certificate, list->scope->distpoint);
}

enum standing { GOOD, REVOKED, UNKNOWN };

static enum standing ask_one(struct revocation *revocation, X509 *certificate, X509 *issuer,
                             int64_t time)
{
    enum standing standing = UNKNOWN;
    X509_REVOKED *entry;

    for (size_t i = 0; i < revocation->count; i++) {
        struct list *list = &revocation->lists[i];
        if (list->fault ||
            X509_NAME_cmp(X509_CRL_get_issuer(list->crl), X509_get_issuer_name(certificate)) != 0 ||
            !in_scope(list, certificate) || !verify_list(list, issuer))
            continue;
        if (X509_CRL_get0_by_serial(list->crl, &entry, X509_get_serialNumber(certificate)) == 1)
            return REVOKED; /* for good, however old the list is */
        if (list->begin <= time && time <= list->end)
            standing = GOOD;
    }
    return standing;
}

struct revocation_answer revocation_check(struct revocation *revocation, STACK_OF(X509) * chain,
                                          int64_t time)
{
    struct revocation_answer answer = {VERDICT_OK, 0, false, false};

    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        enum standing standing =
            ask_one(revocation, sk_X509_value(chain, i), sk_X509_value(chain, i + 1), time);
        if (standing == REVOKED)
            return (struct revocation_answer){VERDICT_REVOKED, i, false, false};
        if (standing == UNKNOWN)
            *(i == 0 ? &answer.leaf_unknown : &answer.issuer_unknown) = true;
    }
    return answer;
}
