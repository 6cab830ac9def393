/* SPDX-License-Identifier: BSD-2-Clause */
/* See fetch_points.h. */
#include "gateway/fetch_points.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define NAMES_MAX 32 /* that are looked at */

static void add(struct fetch_points *points, const GENERAL_NAME *name)
{
    struct fetch_url url;
    struct span text;

    if (name->type != GEN_URI || points->count == FETCH_POINTS_MAX)
        return;
    text = (struct span){(const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                         (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier)};
    if (!fetch_url_read(text, &url))
        return;
    for (size_t i = 0; i < points->count; i++)
        if (span_equal(span_of(points->urls[i]), text))
            return;
    memcpy(points->urls[points->count], text.data, text.size);
    points->urls[points->count++][text.size] = '\0';
}

void fetch_points_of_lists(X509 *certificate, struct fetch_points *points)
{
    CRL_DIST_POINTS *all = X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);

    points->count = 0;
    for (int i = 0; i < sk_DIST_POINT_num(all) && i < NAMES_MAX; i++) {
        const DIST_POINT *point = sk_DIST_POINT_value(all, i);
        if (!point->distpoint || point->distpoint->type != 0 || point->reasons || point->CRLissuer)
            continue;
        const GENERAL_NAMES *names = point->distpoint->name.fullname;
        for (int j = 0; j < sk_GENERAL_NAME_num(names) && j < NAMES_MAX; j++)
            add(points, sk_GENERAL_NAME_value(names, j));
    }
    CRL_DIST_POINTS_free(all);
    ERR_clear_error();
}

void fetch_points_of_issuer(X509 *certificate, struct fetch_points *points)
{
    AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(certificate, NID_info_access, NULL, NULL);

    points->count = 0;
    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all) && i < NAMES_MAX; i++) {
        const ACCESS_DESCRIPTION *access = sk_ACCESS_DESCRIPTION_value(all, i);
        if (OBJ_obj2nid(access->method) == NID_ad_ca_issuers)
            add(points, access->location);
    }
    AUTHORITY_INFO_ACCESS_free(all);
    ERR_clear_error();
}
