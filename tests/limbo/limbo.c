/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the cases of x509-limbo (JSON on the standard input) through the function that the proxy
 * verifies origins with, and prints a table: case, expected, got, reason. The reasons for what we
 * do otherwise stand in the file that is given: a line with the case's name (or a beginning of it
 * and "*"), spaces, the reason. Exits with 1 when a case is not as expected and nothing is said of
 * it there.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "filters/memory.h"
#include "gateway/certificate_verify.h"

struct deviation {
    char pattern[128];
    char reason[256];
};

struct totals {
    unsigned agreed, false_accepts, false_rejects, left_out, unnamed;
};

static struct deviation deviations[128];
static size_t deviation_count;

static void read_deviations(const char *path)
{
    const size_t room = sizeof(deviations) / sizeof(deviations[0]);
    char line[512];
    FILE *file = fopen(path, "r");

    if (!file) {
        perror(path);
        exit(2);
    }
    while (deviation_count < room && fgets(line, sizeof(line), file)) {
        struct deviation *row = &deviations[deviation_count];
        if (sscanf(line, "%127[^# \n] %255[^\n]", row->pattern, row->reason) == 2)
            deviation_count++;
    }
    fclose(file);
}

static const char *deviation_of(const char *id)
{
    for (size_t i = 0; i < deviation_count; i++)
        if (fnmatch(deviations[i].pattern, id, 0) == 0)
            return deviations[i].reason;
    return NULL;
}

static X509 *read_certificate(const json_t *text)
{
    BIO *bio = BIO_new_mem_buf(json_string_value(text), (int)json_string_length(text));
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return certificate;
}

static STACK_OF(X509) * read_certificates(const json_t *list)
{
    STACK_OF(X509) *stack = sk_X509_new_null();
    const json_t *text;
    size_t i;

    json_array_foreach(list, i, text)
    {
        X509 *certificate = read_certificate(text);
        if (certificate)
            sk_X509_push(stack, certificate);
    }
    return stack;
}

/* The moment, without the part of a second: a certificate knows whole ones. */
static int64_t read_time(const json_t *text)
{
    struct tm parts = {0};

    if (!json_is_string(text) || !strptime(json_string_value(text), "%Y-%m-%dT%H:%M:%S", &parts))
        return (int64_t)time(NULL);
    return (int64_t)timegm(&parts);
}

/* The verification takes chains of so many CAs, and a case may ask for a shorter bound. */
#define CHAIN_LIMIT 8

/* What a client of ours could ask for: a name, of a server. */
static const char *why_left_out(const json_t *row)
{
    const char *kind = json_string_value(json_object_get(row, "validation_kind"));
    const json_t *depth = json_object_get(row, "max_chain_depth");

    if (strcmp(kind, "SERVER") != 0)
        return "a client's certificate: none is ever verified";
    if (!json_is_object(json_object_get(row, "expected_peer_name")))
        return "no host is asked for: there is no such question";
    if (json_is_integer(depth) && json_integer_value(depth) < CHAIN_LIMIT)
        return "a bound of the caller's own: ours is fixed";
    return NULL;
}

/* NULL where the case has none; otherwise all certificates must be known not to be revoked. */
static struct revocation *read_lists(const json_t *texts)
{
    struct revocation *lists = json_array_size(texts) > 0 ? revocation_new() : NULL;
    const json_t *text;
    size_t i;

    json_array_foreach(texts, i, text)
    {
        BIO *bio = BIO_new_mem_buf(json_string_value(text), (int)json_string_length(text));
        char *name = NULL, *header = NULL;
        unsigned char *bytes = NULL;
        long size = 0;
        if (PEM_read_bio(bio, &name, &header, &bytes, &size) == 1)
            revocation_add(lists, (struct span){(const char *)bytes, (size_t)size});
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(bytes);
        BIO_free(bio);
    }
    return lists;
}

static enum certificate_verdict verify(const json_t *row)
{
    const json_t *peer = json_object_get(row, "expected_peer_name");
    const char *host = json_string_value(json_object_get(peer, "value"));
    STACK_OF(X509) *roots = read_certificates(json_object_get(row, "trusted_certs"));
    STACK_OF(X509) *others = read_certificates(json_object_get(row, "untrusted_intermediates"));
    X509 *leaf = read_certificate(json_object_get(row, "peer_certificate"));
    enum certificate_verdict verdict = VERDICT_MALFORMED;
    struct revocation *lists = read_lists(json_object_get(row, "crls"));
    X509_STORE *store = X509_STORE_new();
    struct certificate_name name;

    for (int i = 0; i < sk_X509_num(roots); i++)
        X509_STORE_add_cert(store, sk_X509_value(roots, i));
    if (!certificate_name_read(span_of(host), &name))
        verdict = VERDICT_NAME; /* the gateway refuses such a host before it connects */
    else if (leaf)
        verdict = certificate_chain_verify(
            &(struct certificate_question){
                .trust = store,
                .leaf = leaf,
                .others = others,
                .name = &name,
                .time = read_time(json_object_get(row, "validation_time")),
                .lists = lists,
                .is_hard = true,
            },
            NULL);
    revocation_free(lists);
    X509_STORE_free(store);
    X509_free(leaf);
    sk_X509_pop_free(others, X509_free);
    sk_X509_pop_free(roots, X509_free);
    ERR_clear_error();
    return verdict;
}

static void run(const json_t *row, struct totals *totals)
{
    const char *id = json_string_value(json_object_get(row, "id"));
    const char *expected = json_string_value(json_object_get(row, "expected_result"));
    const char *left_out = why_left_out(row), *reason;
    bool should = !strcmp(expected, "SUCCESS");

    if (left_out) {
        totals->left_out++;
        printf("%-76s %-7s %-18s %s\n", id, should ? "accept" : "refuse", "-", left_out);
        return;
    }

    enum certificate_verdict verdict = verify(row);
    bool accepted = verdict == VERDICT_OK;
    const char *mark = "";
    reason = "";
    if (accepted == should) {
        totals->agreed++;
    } else {
        *(accepted ? &totals->false_accepts : &totals->false_rejects) += 1;
        mark = accepted ? "FALSE ACCEPT: " : "FALSE REJECT: ";
        reason = deviation_of(id);
        if (!reason) {
            totals->unnamed++;
            reason = "not explained";
        }
    }
    printf("%-76s %-7s %-18s %s%s\n", id, should ? "accept" : "refuse",
           certificate_verdict_code(verdict), mark, reason);
}

int main(int count, char **arguments)
{
    struct totals totals = {0};
    json_error_t error;
    const json_t *row;
    size_t i;

    if (count != 2) {
        fprintf(stderr, "usage: limbo DEVIATIONS <CASES.json\n");
        return 2;
    }
    read_deviations(arguments[1]);
    json_t *cases = json_loadf(stdin, 0, &error);
    if (!cases) {
        fprintf(stderr, "limbo: line %d: %s\n", error.line, error.text);
        return 2;
    }
    printf("%-76s %-7s %-18s %s\n", "case", "should", "verdict", "remark");
    json_array_foreach(json_object_get(cases, "testcases"), i, row) run(row, &totals);
    printf(
        "%u as expected, %u false accepts, %u false rejects, %u not applicable, %u unexplained\n",
        totals.agreed, totals.false_accepts, totals.false_rejects, totals.left_out, totals.unnamed);
    json_decref(cases);
    return totals.unnamed > 0;
}
