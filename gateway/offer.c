/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of what is spoken, and what a client has of it. See offer.h. */
#include "gateway/offer.h"

#include <stdio.h>
#include <string.h>

#define TLS12 0x0303
#define TLS13 0x0304

#define FALLBACK    0x5600 /* TLS_FALLBACK_SCSV */
#define P_256       0x0017
#define ECDSA_P_256 0x0403 /* with SHA-256 */

/* In the order in which they are offered when nobody asked for another one. A suite of TLS 1.2 that
 * is for RSA names the one for ECDSA. */
static const struct row {
    uint16_t code;
    uint16_t version; /* of a suite */
    uint16_t served;  /* the suite for the client's side */
    const char *name;
} suites[] =
    {
        {0x1301, TLS13, 0x1301, "TLS_AES_128_GCM_SHA256"},
        {0x1302, TLS13, 0x1302, "TLS_AES_256_GCM_SHA384"},
        {0x1303, TLS13, 0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
        {0xc02b, TLS12, 0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {0xc02f, TLS12, 0xc02b, "ECDHE-RSA-AES128-GCM-SHA256"},
        {0xc02c, TLS12, 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {0xc030, TLS12, 0xc02c, "ECDHE-RSA-AES256-GCM-SHA384"},
        {0xcca9, TLS12, 0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {0xcca8, TLS12, 0xcca9, "ECDHE-RSA-CHACHA20-POLY1305"},
},
  groups[] =
      {
          {0x001d, 0, 0, "X25519"},
          {P_256, 0, 0, "P-256"},
          {0x0018, 0, 0, "P-384"},
          {0x0019, 0, 0, "P-521"},
},
  signatures[] = {
      {ECDSA_P_256, 0, 0, "ecdsa_secp256r1_sha256"},
      {0x0503, 0, 0, "ecdsa_secp384r1_sha384"},
      {0x0603, 0, 0, "ecdsa_secp521r1_sha512"},
      {0x0807, 0, 0, "ed25519"},
      {0x0804, 0, 0, "rsa_pss_rsae_sha256"},
      {0x0805, 0, 0, "rsa_pss_rsae_sha384"},
      {0x0806, 0, 0, "rsa_pss_rsae_sha512"},
      {0x0401, 0, 0, "rsa_pkcs1_sha256"},
      {0x0501, 0, 0, "rsa_pkcs1_sha384"},
      {0x0601, 0, 0, "rsa_pkcs1_sha512"},
};

static const struct {
    const struct row *rows;
    uint8_t count;
} tables[OFFER_TABLES] = {
    [OFFER_SUITES] = {suites, sizeof(suites) / sizeof(suites[0])},
    [OFFER_GROUPS] = {groups, sizeof(groups) / sizeof(groups[0])},
    [OFFER_SIGNATURES] = {signatures, sizeof(signatures) / sizeof(signatures[0])},
};

_Static_assert(sizeof(suites) / sizeof(suites[0]) <= OFFER_LIMIT &&
                   sizeof(signatures) / sizeof(signatures[0]) <= OFFER_LIMIT,
               "a list has room for a whole table");

static bool list_has(const struct offer *offer, enum offer_table table, uint16_t code)
{
    const struct offer_list *list = &offer->lists[table];

    for (uint8_t i = 0; i < list->count; i++)
        if (tables[table].rows[list->rows[i]].code == code)
            return true;
    return false;
}

void offer_add_version(struct offer *offer, uint16_t version)
{
    offer->tls12 |= version == TLS12;
    offer->tls13 |= version == TLS13;
}

void offer_say(struct offer *offer, enum offer_table table)
{
    offer->lists[table].is_said = true;
}

void offer_add(struct offer *offer, enum offer_table table, uint16_t code)
{
    struct offer_list *list = &offer->lists[table];

    offer_say(offer, table);
    if (table == OFFER_SUITES && code == FALLBACK)
        offer->is_fallback = true;
    if (list_has(offer, table, code))
        return;
    for (uint8_t row = 0; row < tables[table].count; row++)
        if (tables[table].rows[row].code == code)
            list->rows[list->count++] = row;
}

static bool has_suite(const struct offer *offer, uint16_t version)
{
    const struct offer_list *list = &offer->lists[OFFER_SUITES];

    for (uint8_t i = 0; i < list->count; i++)
        if (suites[list->rows[i]].version == version)
            return true;
    return false;
}

/* The client has to be served with the suite that its origin chose. */
static void drop_unserved(struct offer *offer)
{
    struct offer_list *list = &offer->lists[OFFER_SUITES];
    struct offer_list kept = {.is_said = list->is_said};

    for (uint8_t i = 0; i < list->count; i++)
        if (list_has(offer, OFFER_SUITES, suites[list->rows[i]].served))
            kept.rows[kept.count++] = list->rows[i];
    *list = kept;
}

const char *offer_settle(struct offer *offer)
{
    struct offer_list *named = &offer->lists[OFFER_GROUPS];

    if (!offer->tls12 && !offer->tls13)
        return "the client offers no TLS 1.2";
    /* RFC 8422 section 4: in TLS 1.2 a client without the list takes any; every one knows this. */
    if (!named->is_said && offer->tls12)
        offer_add(offer, OFFER_GROUPS, P_256);
    drop_unserved(offer);
    /* In TLS 1.2 the group of the certificate's key must be among them (section 5.1.1). */
    offer->tls12 = offer->tls12 && has_suite(offer, TLS12) && list_has(offer, OFFER_GROUPS, P_256);
    offer->tls13 = offer->tls13 && has_suite(offer, TLS13);
    if (!offer->tls12 && !offer->tls13)
        return "the client offers no cipher suite that is spoken, or no P-256";
    if (!list_has(offer, OFFER_SIGNATURES, ECDSA_P_256))
        return "the client does not verify ECDSA with P-256 and SHA-256";
    return named->count > 0 ? NULL : "the client offers no group that is spoken";
}

struct offer offer_whole(uint16_t version)
{
    struct offer offer = {.tls12 = true, .tls13 = version >= TLS13};

    for (int table = 0; table < OFFER_TABLES; table++)
        for (uint8_t row = 0; row < tables[table].count; row++)
            offer_add(&offer, (enum offer_table)table, tables[table].rows[row].code);
    return offer;
}

void offer_names(const struct offer *offer, enum offer_table table, uint16_t version,
                 char text[OFFER_TEXT])
{
    const struct offer_list *list = &offer->lists[table];
    size_t used = 0;

    text[0] = '\0';
    for (uint8_t i = 0; i < list->count; i++) {
        const struct row *row = &tables[table].rows[list->rows[i]];
        if (table == OFFER_SUITES && row->version != version)
            continue;
        used += (size_t)snprintf(text + used, OFFER_TEXT - used, "%s%s", used > 0 ? ":" : "",
                                 row->name);
    }
}

static const struct row *suite_of(uint16_t code)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].code == code)
            return &suites[i];
    return NULL;
}

const char *offer_served_suite(uint16_t code)
{
    const struct row *chosen = suite_of(code);
    const struct row *served = chosen ? suite_of(chosen->served) : NULL;

    return served ? served->name : NULL;
}
