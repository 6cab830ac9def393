/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends of a TLS connection in one process, for the tests: no sockets, a pair of BIOs. */
#ifndef TESTS_TLS_PAIR_H
#define TESTS_TLS_PAIR_H

#include <stdbool.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "gateway/offer.h"

/* For certificate_expect(): a client that offers all that is spoken. */
#define OFFER_WHOLE(version) (&(struct offer[]){offer_whole((uint16_t)(version))}[0])

static inline void tls_pair_connect(SSL *client, SSL *server)
{
    BIO *near = NULL, *far = NULL;

    if (BIO_new_bio_pair(&near, 0, &far, 0) != 1)
        abort();
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
}

/* Runs both handshakes as far as they go. Whether both are done. */
static inline bool tls_pair_shake(SSL *client, SSL *server)
{
    int one = 0, other = 0;

    for (int turn = 0; turn < 20 && !(one == 1 && other == 1); turn++) {
        if (one != 1)
            one = SSL_do_handshake(client);
        if (other != 1)
            other = SSL_do_handshake(server);
    }
    ERR_clear_error();
    return one == 1 && other == 1;
}

#endif
