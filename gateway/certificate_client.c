/* SPDX-License-Identifier: BSD-2-Clause */
/* The TLS parameters of both sides, and the context that clients are served with. */
#include <string.h>

#include "gateway/certificate.h"
#include "gateway/certificate_tls.h"

bool certificate_tls_prepare(SSL_CTX *context)
{
    const struct offer whole = offer_whole(TLS1_3_VERSION);
    char suites13[OFFER_TEXT], suites12[OFFER_TEXT], groups[OFFER_TEXT], signatures[OFFER_TEXT];

    offer_names(&whole, OFFER_SUITES, TLS1_3_VERSION, suites13);
    offer_names(&whole, OFFER_SUITES, TLS1_2_VERSION, suites12);
    offer_names(&whole, OFFER_GROUPS, 0, groups);
    offer_names(&whole, OFFER_SIGNATURES, 0, signatures);
    /* The system's openssl.cnf speaks to every new context: everything that matters is set here. */
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_clear_options(
        context, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                     SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    /* Idle connections are most of them: their buffers go back to the heap. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, suites13) == 1 &&
           SSL_CTX_set_cipher_list(context, suites12) == 1 &&
           SSL_CTX_set1_groups_list(context, groups) == 1 &&
           SSL_CTX_set1_sigalgs_list(context, signatures) == 1;
}

/* Most clients offer what the context has already: to say it anew costs more than to compare. */
static bool list_is(const struct offer_list *list, const struct offer_list *other)
{
    return list->count == other->count && memcmp(list->rows, other->rows, list->count) == 0;
}

static bool offer_suites(SSL *ssl, const struct offer *offer)
{
    char text[OFFER_TEXT];

    if (offer->tls13) {
        offer_names(offer, OFFER_SUITES, TLS1_3_VERSION, text);
        if (SSL_set_ciphersuites(ssl, text) != 1)
            return false;
    }
    if (offer->tls12) {
        offer_names(offer, OFFER_SUITES, TLS1_2_VERSION, text);
        if (SSL_set_cipher_list(ssl, text) != 1)
            return false;
    }
    return true;
}

bool certificate_tls_offer(SSL *ssl, const struct offer *offer)
{
    const struct offer whole = offer_whole(TLS1_3_VERSION);
    const struct offer_list *lists = offer->lists;
    char text[OFFER_TEXT];

    if (SSL_set_min_proto_version(ssl, offer->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
        SSL_set_max_proto_version(ssl, offer->tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
        return false;
    if (offer->is_fallback)
        SSL_set_mode(ssl, SSL_MODE_SEND_FALLBACK_SCSV);
    if (!list_is(&lists[OFFER_SUITES], &whole.lists[OFFER_SUITES]) && !offer_suites(ssl, offer))
        return false;
    if (!list_is(&lists[OFFER_GROUPS], &whole.lists[OFFER_GROUPS])) {
        offer_names(offer, OFFER_GROUPS, 0, text);
        if (SSL_set1_groups_list(ssl, text) != 1)
            return false;
    }
    if (!list_is(&lists[OFFER_SIGNATURES], &whole.lists[OFFER_SIGNATURES])) {
        offer_names(offer, OFFER_SIGNATURES, 0, text);
        if (SSL_set1_sigalgs_list(ssl, text) != 1)
            return false;
    }
    return true;
}

bool certificate_serve_as(SSL *client, const SSL *origin)
{
    SSL *chosen = (SSL *)origin; /* it is only asked */
    int version = SSL_version(origin), group = (int)SSL_get_negotiated_group(chosen);
    const SSL_CIPHER *cipher = SSL_get_current_cipher(origin);
    const char *suite = cipher ? offer_served_suite(SSL_CIPHER_get_protocol_id(cipher)) : NULL;

    if (!suite || group <= 0)
        return false;
    return SSL_set_min_proto_version(client, version) == 1 &&
           SSL_set_max_proto_version(client, version) == 1 &&
           (version == TLS1_3_VERSION ? SSL_set_ciphersuites(client, suite)
                                      : SSL_set_cipher_list(client, suite)) == 1 &&
           SSL_set1_groups(client, &group, 1) == 1;
}

SSL_CTX *certificate_client_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (!context)
        return NULL;
    if (!certificate_tls_prepare(context) || SSL_CTX_set_num_tickets(context, 0) != 1 ||
        SSL_CTX_set_max_early_data(context, 0) != 1 ||
        SSL_CTX_set_recv_max_early_data(context, 0) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    /* A client without AES instructions says so by putting ChaCha20 first. Browsers often close
     * without close_notify: a cut request shows in its HTTP framing. */
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    return context;
}
