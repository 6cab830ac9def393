/* SPDX-License-Identifier: BSD-2-Clause */
/* See crl.h. The parts that are small are read by OpenSSL, the one that may be large is not. */
#include "gateway/crl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/chain.h"
#include "gateway/der.h"
#include "gateway/digest.h"

#define NAME_LIMIT       4096
#define EXTENSION_BYTES  65536
#define EXTENSION_LIMIT  32
#define DATE_LEAST       13 /* bytes of a UTCTime, "YYMMDDhhmmssZ"; a GeneralizedTime has more */
#define ENTRY_LEAST      20 /* bytes: a serial number of one byte and a time, each with its head */
#define ENTRY_EXTENSIONS 16

struct crl {
    struct span bytes, tbs, algorithm, signature;
    X509_NAME *issuer;
    int64_t begin, end;
    const char *fault;
    X509_EXTENSIONS *extensions;
    AUTHORITY_KEYID *key;      /* that it says to be signed with */
    ISSUING_DIST_POINT *scope; /* NULL: all of the issuer's certificates */
    /* entries */
    struct span entries, unread;
    bool is_read;
    uint32_t *table; /* offset into `entries` plus one, by the serial number; 0: free */
    size_t mask, count;
    uint32_t seed;
    /* the signature */
    X509_ALGOR *algorithm_read;
    EVP_MD_CTX *verifying;
    size_t verified; /* bytes by now */
    enum crl_signature state;
    uint8_t issuer_key[DIGEST_SIZE]; /* that `state` is about */
};

/* --- extensions --- */

static const char *check_extensions(const X509_EXTENSIONS *extensions)
{
    int count = X509v3_get_ext_count(extensions);

    if (count > EXTENSION_LIMIT)
        return "too many extensions";
    for (int i = 0; i < count; i++) {
        X509_EXTENSION *extension = X509v3_get_ext(extensions, i);
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
        int nid = OBJ_obj2nid(object);
        bool critical = X509_EXTENSION_get_critical(extension) != 0;
        if (X509v3_get_ext_by_OBJ(extensions, object, i) >= 0)
            return "an extension stands there twice";
        if (nid == NID_delta_crl)
            return "it only tells changes (delta)";
        if (critical != (nid == NID_issuing_distribution_point))
            return "an extension is wrongly (not) critical";
    }
    if (X509v3_get_ext_by_NID(extensions, NID_crl_number, -1) < 0)
        return "it has no number";
    if (X509v3_get_ext_by_NID(extensions, NID_authority_key_identifier, -1) < 0)
        return "it does not name its issuer's key";
    return NULL;
}

static const char *read_extensions(struct crl *crl)
{
    int found = 0;
    const char *fault = check_extensions(crl->extensions);

    if (fault != NULL)
        return fault;
    crl->key = X509V3_get_d2i(crl->extensions, NID_authority_key_identifier, NULL, NULL);
    if (crl->key == NULL)
        return "the name of its issuer's key is malformed";
    crl->scope = X509V3_get_d2i(crl->extensions, NID_issuing_distribution_point, &found, NULL);
    if (crl->scope == NULL)
        return found == -1 ? NULL : "its scope is malformed";
    if (crl->scope->indirectCRL)
        return "it speaks for other CAs (indirect)";
    if (crl->scope->onlyattr || crl->scope->onlysomereasons)
        return "it is not about all certificates";
    return NULL;
}

/* --- the outline --- */

/* All of a span, as one object of OpenSSL's. */
#define READ_ALL(type, span)                                                                       \
    ({                                                                                             \
        const unsigned char *at_ = (const unsigned char *)(span).data;                             \
        const unsigned char *end_ = at_ + (span).size;                                             \
        type *object_ = d2i_##type(NULL, &at_, (long)(span).size);                                 \
        if (object_ != NULL && at_ != end_) {                                                      \
            type##_free(object_);                                                                  \
            object_ = NULL;                                                                        \
        }                                                                                          \
        object_;                                                                                   \
    })

static void extensions_free(X509_EXTENSIONS *extensions)
{
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
#define X509_EXTENSIONS_free extensions_free

/* The optional end of a list: entries and extensions. False when it is malformed. */
static bool read_end(struct crl *crl, struct span *rest)
{
    struct der element, inner;

    if (der_take(rest, DER_SEQUENCE, &element))
        crl->entries = element.content;
    if (der_take(rest, DER_CONTEXT_0, &element)) {
        if (element.content.size > EXTENSION_BYTES ||
            !der_take(&element.content, DER_SEQUENCE, &inner) || element.content.size > 0)
            return false;
        crl->extensions = READ_ALL(X509_EXTENSIONS, inner.whole);
        if (crl->extensions == NULL)
            return false;
    }
    return rest->size == 0;
}

/* TBSCertList (section 5.1.2). False when it is malformed; what is only not acceptable is a fault.
 */
static bool read_tbs(struct crl *crl, struct span rest)
{
    struct der version = {0}, algorithm, issuer, begin, end = {0};
    bool has_version = der_take(&rest, DER_INTEGER, &version);

    if (!der_take(&rest, DER_SEQUENCE, &algorithm) || !der_take(&rest, DER_SEQUENCE, &issuer) ||
        issuer.whole.size > NAME_LIMIT || !der_next(&rest, &begin))
        return false;
    if (rest.size > 0 && (uint8_t)rest.data[0] != DER_SEQUENCE &&
        (uint8_t)rest.data[0] != DER_CONTEXT_0 && !der_next(&rest, &end))
        return false;
    crl->issuer = READ_ALL(X509_NAME, issuer.whole);
    if (crl->issuer == NULL || !read_end(crl, &rest))
        return false;
    crl->begin = der_time(&begin);
    crl->end = der_time(&end);
    if (!has_version || !span_equal(version.content, SPAN("\1")))
        crl->fault = "not of version 2";
    else if (crl->begin < 0 || crl->end < crl->begin)
        crl->fault = "it does not say until when it holds";
    else if (!span_equal(algorithm.whole, crl->algorithm))
        crl->fault = "the signature's algorithm is not said alike twice";
    return true;
}

static bool read_outline(struct crl *crl)
{
    struct span rest = crl->bytes;
    struct der list, tbs, algorithm, signature;

    if (!der_take(&rest, DER_SEQUENCE, &list) || rest.size > 0)
        return false;
    rest = list.content;
    if (!der_take(&rest, DER_SEQUENCE, &tbs) || !der_take(&rest, DER_SEQUENCE, &algorithm) ||
        !der_take(&rest, DER_BIT_STRING, &signature) || rest.size > 0)
        return false;
    /* The first byte says how many bits of the last are none. */
    if (algorithm.whole.size > NAME_LIMIT || signature.content.size < 2 ||
        signature.content.data[0] != 0)
        return false;
    crl->tbs = tbs.whole;
    crl->algorithm = algorithm.whole;
    crl->signature = span_from(signature.content, 1);
    crl->algorithm_read = READ_ALL(X509_ALGOR, algorithm.whole);
    return crl->algorithm_read != NULL && read_tbs(crl, tbs.content);
}

static void make_table(struct crl *crl)
{
    size_t room = 16;

    crl->unread = crl->entries;
    if (RAND_bytes((unsigned char *)&crl->seed, sizeof(crl->seed)) != 1)
        crl->fault = "no random numbers";
    /* More than one place for each entry that there can be. */
    while (room <= crl->entries.size / ENTRY_LEAST)
        room *= 2;
    crl->mask = room - 1;
}

struct crl *crl_new(struct span bytes)
{
    struct crl *crl;

    if (bytes.size > CRL_SIZE_MAX)
        return NULL;
    crl = memory_allocate(1, sizeof(*crl));
    crl->bytes = bytes;
    if (!read_outline(crl)) {
        ERR_clear_error();
        crl_free(crl);
        return NULL;
    }
    if (crl->fault == NULL && !chain_algorithm_strong(crl->algorithm_read))
        crl->fault = "not a SHA-2 signature";
    if (crl->fault == NULL)
        crl->fault = read_extensions(crl);
    if (crl->fault == NULL)
        make_table(crl);
    ERR_clear_error();
    return crl;
}

void crl_free(struct crl *crl)
{
    if (crl == NULL)
        return;
    X509_NAME_free(crl->issuer);
    extensions_free(crl->extensions);
    AUTHORITY_KEYID_free(crl->key);
    ISSUING_DIST_POINT_free(crl->scope);
    X509_ALGOR_free(crl->algorithm_read);
    EVP_MD_CTX_free(crl->verifying);
    free(crl->table);
    free(crl);
}

const char *crl_fault(const struct crl *crl)
{
    return crl->fault;
}

const X509_NAME *crl_issuer(const struct crl *crl)
{
    return crl->issuer;
}

int64_t crl_begin(const struct crl *crl)
{
    return crl->begin;
}

int64_t crl_end(const struct crl *crl)
{
    return crl->end;
}

size_t crl_count(const struct crl *crl)
{
    return crl->count;
}

/* --- entries --- */

/* Without the zeros before it: the same number is the same entry however it is written. */
static struct span plain_serial(struct span serial)
{
    while (serial.size > 1 && serial.data[0] == 0)
        serial = span_from(serial, 1);
    return serial;
}

static size_t place_of(const struct crl *crl, struct span serial)
{
    uint32_t hash = 2166136261u ^ crl->seed;

    for (size_t i = 0; i < serial.size; i++)
        hash = (hash ^ (uint8_t)serial.data[i]) * 16777619u;
    hash ^= hash >> 15;
    return hash & crl->mask;
}

/* Only lists that speak for other CAs have critical extensions in their entries. */
static bool has_critical(struct span extensions, bool *critical)
{
    struct der extension, part;

    for (int i = 0; extensions.size > 0; i++) {
        if (i == ENTRY_EXTENSIONS || !der_take(&extensions, DER_SEQUENCE, &extension) ||
            !der_take(&extension.content, DER_OBJECT, &part))
            return false;
        if (der_take(&extension.content, DER_BOOLEAN, &part)) {
            if (part.content.size != 1)
                return false;
            *critical = *critical || part.content.data[0] != 0;
        }
        if (!der_take(&extension.content, DER_OCTET_STRING, &part) || extension.content.size > 0)
            return false;
    }
    return true;
}

/* The serial number of an entry; false when it is malformed. */
static bool read_entry(struct span entry, struct span *serial, bool *critical)
{
    struct der number, date, extensions;

    /* Shorter ones would be more than the table was made for. */
    if (!der_take(&entry, DER_INTEGER, &number) || number.content.size == 0 ||
        !der_next(&entry, &date) || date.content.size < DATE_LEAST ||
        (date.tag != DER_UTC_TIME && date.tag != DER_GENERALIZED_TIME))
        return false;
    *serial = plain_serial(number.content);
    if (entry.size == 0)
        return true;
    return der_take(&entry, DER_SEQUENCE, &extensions) && entry.size == 0 &&
           extensions.content.size > 0 && has_critical(extensions.content, critical);
}

static void insert(struct crl *crl, struct span serial, size_t offset)
{
    size_t place = place_of(crl, serial);

    while (crl->table[place] != 0)
        place = (place + 1) & crl->mask;
    crl->table[place] = (uint32_t)offset + 1;
    crl->count++;
}

bool crl_read(struct crl *crl, size_t budget)
{
    size_t before = crl->unread.size;
    struct span serial = {NULL, 0};
    bool critical = false;
    struct der entry;

    if (crl->fault != NULL || crl->is_read)
        return true;
    if (crl->table == NULL)
        crl->table = memory_allocate(crl->mask + 1, sizeof(*crl->table));
    while (crl->unread.size > 0 && before - crl->unread.size < budget) {
        size_t offset = crl->entries.size - crl->unread.size;
        if (!der_take(&crl->unread, DER_SEQUENCE, &entry) ||
            !read_entry(entry.content, &serial, &critical))
            crl->fault = "an entry is malformed";
        else if (critical)
            crl->fault = "an entry has a critical extension (indirect)";
        if (crl->fault != NULL)
            return true;
        insert(crl, serial, offset);
    }
    crl->is_read = crl->unread.size == 0;
    return crl->is_read;
}

bool crl_lists(const struct crl *crl, const X509 *certificate)
{
    const ASN1_INTEGER *number = X509_get0_serialNumber(certificate);
    struct span wanted = plain_serial((struct span){(const char *)ASN1_STRING_get0_data(number),
                                                    (size_t)ASN1_STRING_length(number)});

    if (!crl->is_read || crl->fault != NULL || wanted.size == 0 ||
        ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER)
        return false;
    for (size_t place = place_of(crl, wanted); crl->table[place] != 0;
         place = (place + 1) & crl->mask) {
        struct span at = span_from(crl->entries, crl->table[place] - 1), serial;
        bool critical = false;
        struct der entry;
        if (der_next(&at, &entry) && read_entry(entry.content, &serial, &critical) &&
            span_equal(serial, wanted))
            return true;
    }
    return false;
}

/* --- what it is about --- */

static bool share_location(const GENERAL_NAMES *ours, const GENERAL_NAMES *theirs)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(ours) && i < EXTENSION_LIMIT; i++)
        for (int j = 0; j < sk_GENERAL_NAME_num(theirs) && j < EXTENSION_LIMIT; j++)
            if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(ours, i),
                                 sk_GENERAL_NAME_value(theirs, j)) == 0)
                return true;
    return false;
}

/* A part of a CA's list is about the certificates that point to it. */
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

bool crl_covers(const struct crl *crl, X509 *certificate)
{
    bool is_ca = (X509_get_extension_flags(certificate) & EXFLAG_CA) != 0;

    if (crl->fault != NULL)
        return false;
    if (crl->scope == NULL)
        return true;
    if ((crl->scope->onlyuser && is_ca) || (crl->scope->onlyCA && !is_ca))
        return false;
    return !crl->scope->distpoint || points_to(certificate, crl->scope->distpoint);
}

/* --- its signature --- */

static bool key_digest(X509 *issuer, uint8_t digest[DIGEST_SIZE])
{
    return X509_pubkey_digest(issuer, EVP_sha256(), digest, NULL) == 1;
}

enum crl_signature crl_signature(const struct crl *crl, X509 *issuer)
{
    uint8_t digest[DIGEST_SIZE];

    if (crl->state == CRL_UNVERIFIED || !key_digest(issuer, digest) ||
        memcmp(digest, crl->issuer_key, DIGEST_SIZE) != 0)
        return CRL_UNVERIFIED;
    return crl->state;
}

/* Sections 4.2.1.3 (the bits are all set when there is no key usage) and 5.2.1. */
static bool may_sign(const struct crl *crl, X509 *issuer)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(issuer);

    return (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0 &&
           X509_NAME_cmp(crl->issuer, X509_get_subject_name(issuer)) == 0 &&
           (!crl->key->keyid || !own || ASN1_OCTET_STRING_cmp(crl->key->keyid, own) == 0);
}

/* A context for the algorithm of the list, which must be one of the key's kind. */
static EVP_MD_CTX *begin_verifying(const struct crl *crl, EVP_PKEY *key)
{
    int digest = NID_undef, kind = NID_undef;
    const ASN1_OBJECT *object;
    EVP_MD_CTX *context;

    X509_ALGOR_get0(&object, NULL, NULL, crl->algorithm_read);
    if (key == NULL || !chain_key_strong(key) ||
        OBJ_find_sigid_algs(OBJ_obj2nid(object), &digest, &kind) != 1 ||
        EVP_PKEY_get_base_id(key) != EVP_PKEY_type(kind))
        return NULL;
    context = EVP_MD_CTX_new();
    if (context != NULL &&
        EVP_DigestVerifyInit(context, NULL,
                             digest == NID_undef ? NULL : EVP_get_digestbynid(digest), NULL,
                             key) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return context;
}

static enum crl_signature verify_more(struct crl *crl, size_t budget)
{
    const unsigned char *signature = (const unsigned char *)crl->signature.data;
    const unsigned char *bytes = (const unsigned char *)crl->tbs.data;
    size_t left = crl->tbs.size - crl->verified;

    if (EVP_PKEY_get_base_id(EVP_PKEY_CTX_get0_pkey(EVP_MD_CTX_get_pkey_ctx(crl->verifying))) ==
        EVP_PKEY_ED25519) /* wants the whole at once */
        return EVP_DigestVerify(crl->verifying, signature, crl->signature.size, bytes,
                                crl->tbs.size) == 1
                   ? CRL_GOOD
                   : CRL_BAD;
    size_t piece = left < budget ? left : budget;
    if (EVP_DigestVerifyUpdate(crl->verifying, bytes + crl->verified, piece) != 1)
        return CRL_BAD;
    crl->verified += piece;
    if (piece < left)
        return CRL_UNDER_WAY;
    return EVP_DigestVerifyFinal(crl->verifying, signature, crl->signature.size) == 1 ? CRL_GOOD
                                                                                      : CRL_BAD;
}

enum crl_signature crl_verify(struct crl *crl, X509 *issuer, size_t budget)
{
    enum crl_signature known = crl_signature(crl, issuer);

    if (crl->fault != NULL || known == CRL_BAD)
        return CRL_BAD;
    if (known == CRL_GOOD)
        return CRL_GOOD;
    if (crl->state == CRL_GOOD) /* what one key has signed, no other has */
        return CRL_BAD;
    if (known == CRL_UNVERIFIED) {
        EVP_MD_CTX_free(crl->verifying);
        crl->verifying = NULL;
        crl->verified = 0;
        crl->state = CRL_UNVERIFIED;
        if (!key_digest(issuer, crl->issuer_key))
            return CRL_BAD;
        if (may_sign(crl, issuer))
            crl->verifying = begin_verifying(crl, X509_get0_pubkey(issuer));
    }
    crl->state = crl->verifying != NULL ? verify_more(crl, budget) : CRL_BAD;
    if (crl->state != CRL_UNDER_WAY) {
        EVP_MD_CTX_free(crl->verifying);
        crl->verifying = NULL;
    }
    ERR_clear_error();
    return crl->state;
}
