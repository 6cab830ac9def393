/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What verification costs an inspected connection, for callgrind: COUNT times the two handshakes of
 * one (with an origin and with a client, in memory), with the gateway's own contexts.
 *
 *     cost layer|plain COUNT [BUNDLE]
 *
 * `plain` has OpenSSL's strict verification alone in place of the gateway's, to compare with: never
 * in the gateway. BUNDLE: a PEM file of roots that are trusted too.
 */
#include "tests/unit/certificate_recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/certificate.h"
#include "gateway/certificate_tls.h"
#include "tests/unit/tls_pair.h"

#define HOST "www.example.jp"

static void give_up(const char *what)
{
    fprintf(stderr, "cost: %s\n", what);
    exit(1);
}

/* The root that was made, and those of the bundle. */
static void write_trust(char path[], const struct made *root, const char *bundle)
{
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    FILE *more = bundle ? fopen(bundle, "r") : NULL;
    int byte;

    if (!file || (bundle && !more) || PEM_write_X509(file, root->certificate) != 1)
        give_up("the bundle cannot be written");
    while (more && (byte = fgetc(more)) != EOF)
        fputc(byte, file);
    if (more)
        fclose(more);
    fclose(file);
}

static SSL_CTX *plain_context(const char *trust)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);

    if (!certificate_tls_prepare(context) || SSL_CTX_load_verify_file(context, trust) != 1)
        give_up("no context");
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST);
    X509_VERIFY_PARAM_set1_host(parameters, HOST, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return context;
}

static SSL_CTX *server_context(const struct made *leaf, const struct made *above)
{
    SSL_CTX *context = certificate_client_context();

    if (!context || SSL_CTX_use_certificate(context, leaf->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, leaf->key) != 1 ||
        SSL_CTX_add1_chain_cert(context, above->certificate) != 1)
        give_up("no server");
    return context;
}

/* Both handshakes of a connection: the gateway is the client of the first and the server of the
 * second, whose client is not counted as the gateway's but costs the same in both modes. */
static void connect_once(SSL_CTX *origins, SSL_CTX *origin, SSL_CTX *gateway, SSL_CTX *client,
                         bool is_plain)
{
    struct offer offer = offer_whole(TLS1_3_VERSION);
    SSL *far = SSL_new(origins), *there = SSL_new(origin);
    SSL *near = SSL_new(gateway), *here = SSL_new(client);

    if (offer_settle(&offer) != NULL || (!is_plain && certificate_expect(far, HOST, &offer) != 0))
        give_up("nothing to expect");
    tls_pair_connect(far, there);
    if (!tls_pair_shake(far, there))
        give_up("the handshake with the origin failed");
    if (!certificate_serve_as(near, far))
        give_up("the client cannot be served");
    tls_pair_connect(here, near);
    if (!tls_pair_shake(here, near))
        give_up("the handshake with the client failed");
    SSL_free(far);
    SSL_free(there);
    SSL_free(near);
    SSL_free(here);
}

int main(int count, char **words)
{
    struct made root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    struct made between = make(&(struct recipe){0}, &usual_ca, &root, make_key(P256));
    struct made leaf = make(&(struct recipe){0}, &usual_leaf, &between, make_key(P256));
    char trust[] = "/tmp/sekisho-cost-XXXXXX", error[256];
    bool is_plain = count > 1 && !strcmp(words[1], "plain");

    if (count < 3)
        give_up("usage: cost layer|plain COUNT [BUNDLE]");
    write_trust(trust, &root, count > 3 ? words[3] : NULL);
    SSL_CTX *origins =
        is_plain ? plain_context(trust) : certificate_origin_context(trust, error, sizeof(error));
    unlink(trust);
    SSL_CTX *origin = server_context(&leaf, &between), *gateway = server_context(&leaf, &between);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    if (!origins)
        give_up(error);
    for (long left = strtol(words[2], NULL, 10); left > 0; left--)
        connect_once(origins, origin, gateway, client, is_plain);
    SSL_CTX_free(origins);
    SSL_CTX_free(origin);
    SSL_CTX_free(gateway);
    SSL_CTX_free(client);
    discard(&leaf);
    discard(&between);
    discard(&root);
    return 0;
}
