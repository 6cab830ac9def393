/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ClientHello core. The first byte of the input chooses how the rest is cut into segments: the
 * answer must be the same as for one segment, and what is found must keep the promises of hello.h.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void check_name(const struct hello_facts *facts)
{
    size_t size = strlen(facts->sni);

    demand(size < HOST_TEXT);
    demand(!facts->sni_bad || (facts->sni_present && size == 0));
    demand(facts->sni_present || size == 0);
    demand(!facts->sni_present || facts->sni_bad || size > 0);
    for (size_t i = 0; i < size; i++) {
        char c = facts->sni[i];
        demand((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.');
    }
}

static void check_offer(struct offer offer)
{
    char text[OFFER_TEXT];

    for (int table = 0; table < OFFER_TABLES; table++)
        demand(offer.lists[table].count <= OFFER_LIMIT);
    if (offer_settle(&offer) != NULL)
        return;
    demand(offer.tls12 || offer.tls13);
    for (int table = 0; table < OFFER_TABLES; table++) {
        demand(offer.lists[table].count > 0);
        offer_names(&offer, (enum offer_table)table, offer.tls13 ? 0x0304 : 0x0303, text);
        demand(text[0] != '\0');
    }
}

static void check_facts(const struct hello_facts *facts)
{
    check_offer(facts->offer);
    check_name(facts);
    demand(facts->version == 0 || (facts->version >= 0x0301 && facts->version <= 0x0304));
    demand(facts->alpn_present || !(facts->alpn_h2 || facts->alpn_http1 || facts->alpn_other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hello *whole, *pieces;
    enum hello_status status, other = HELLO_MORE;
    size_t step;

    if (size == 0)
        return 0;
    step = data[0] % 64 + 1U;
    data++;
    size--;
    whole = hello_new();
    pieces = hello_new();
    status = hello_feed(whole, data, size);
    for (size_t at = 0; at < size; at += step)
        other = hello_feed(pieces, data + at, size - at < step ? size - at : step);
    demand(status == other);
    demand((hello_result(whole) != NULL) == (status == HELLO_DONE));
    if (status == HELLO_DONE) {
        check_facts(hello_result(whole));
        demand(memcmp(hello_result(whole), hello_result(pieces), sizeof(struct hello_facts)) == 0);
    }
    demand(hello_feed(whole, data, size) == status || status == HELLO_MORE);
    hello_free(whole);
    hello_free(pieces);
    return 0;
}
