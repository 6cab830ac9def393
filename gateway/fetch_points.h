/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a certificate says that things about it are to be had. A core: a certificate goes in, URLs
 * come out, those alone that fetch_url.h takes.
 */
#ifndef GATEWAY_FETCH_POINTS_H
#define GATEWAY_FETCH_POINTS_H

#include <openssl/x509.h>

#include "gateway/fetch_url.h"

#define FETCH_POINTS_MAX 4 /* of one certificate; more are not looked at */

struct fetch_points {
    size_t count;
    char urls[FETCH_POINTS_MAX][FETCH_URL_MAX];
};

/* Lists of revoked certificates (RFC 5280 section 4.2.1.13): of points that are about all reasons
 * and where the issuer itself speaks. */
void fetch_points_of_lists(X509 *certificate, struct fetch_points *points);

/* The issuer's certificate (section 4.2.2.1). */
void fetch_points_of_issuer(X509 *certificate, struct fetch_points *points);

#endif
