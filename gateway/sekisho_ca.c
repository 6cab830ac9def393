/* SPDX-License-Identifier: BSD-2-Clause */
/* sekisho ca: the clinic's CA is made, shown, written for the devices, and changed for another. */
#include "gateway/sekisho.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "filters/memory.h"
#include "gateway/authority.h"
#include "gateway/configuration.h"
#include "gateway/control.h"
#include "gateway/digest.h"
#include "gateway/sekisho_output.h"
#include "gateway/sekisho_passphrase.h"

/* --- one certificate --- */

static int64_t unix_time(const ASN1_TIME *time)
{
    struct tm calendar;

    return ASN1_TIME_to_tm(time, &calendar) == 1 ? (int64_t)timegm(&calendar) : 0;
}

/* RFC 2253 with UTF-8 as it is. A copy, freed with free(). */
static char *format_subject(X509 *certificate)
{
    BIO *text = BIO_new(BIO_s_mem());
    const char *bytes = NULL;
    long size = 0;
    char *clean;

    if (text != NULL &&
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0,
                           XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
        size = BIO_get_mem_data(text, &bytes);
    clean = output_clean((struct span){bytes, size > 0 ? (size_t)size : 0});
    BIO_free(text);
    return clean;
}

static bool take_digest(X509 *certificate, unsigned char digest[DIGEST_SIZE])
{
    return X509_digest(certificate, EVP_sha256(), digest, NULL) == 1;
}

static json_t *describe_json(X509 *certificate)
{
    unsigned char digest[DIGEST_SIZE];
    char fingerprint[2 * DIGEST_SIZE + 1] = "", *subject = format_subject(certificate);

    if (take_digest(certificate, digest))
        digest_hex(digest, DIGEST_SIZE, fingerprint);
    json_t *reply = json_pack("{s:o, s:s, s:I, s:I}", "subject", control_text(span_of(subject)),
                              "sha256", fingerprint, "not_before",
                              (json_int_t)unix_time(X509_get0_notBefore(certificate)), "not_after",
                              (json_int_t)unix_time(X509_get0_notAfter(certificate)));
    free(subject);
    return reply;
}

static void describe(X509 *certificate)
{
    unsigned char digest[DIGEST_SIZE] = {0};
    char from[OUTPUT_TEXT], until[OUTPUT_TEXT], *subject = format_subject(certificate);
    int64_t not_after = unix_time(X509_get0_notAfter(certificate));

    take_digest(certificate, digest);
    output_format_time(unix_time(X509_get0_notBefore(certificate)), from);
    output_format_time(not_after, until);
    printf("  subject    %s\n  valid      %s to %s\n  SHA-256    ", subject, from, until);
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        printf("%s%02X", i == 0 ? "" : ":", digest[i]);
    putchar('\n');
    if (not_after < (int64_t)time(NULL))
        printf("  IT IS NO LONGER VALID\n");
    free(subject);
}

/* --- show --- */

static void add_excluded(void *context, struct span name)
{
    json_array_append_new(context, control_text(name));
}

static json_t *list_excluded(const STACK_OF(X509) * chain)
{
    json_t *names = json_array();

    for (int i = 0; i < sk_X509_num(chain); i++)
        authority_each_excluded(sk_X509_value(chain, i), add_excluded, names);
    return names;
}

static void show_json(const STACK_OF(X509) * chain, const char *path, bool next)
{
    json_t *certificates = json_array();
    /* those of the certificate that devices trust stand at the top */
    json_t *reply = describe_json(authority_enrolled(chain));

    for (int i = 0; i < sk_X509_num(chain); i++)
        json_array_append_new(certificates, describe_json(sk_X509_value(chain, i)));
    json_object_set_new(reply, "ok", json_true());
    json_object_set_new(reply, "file", control_text(span_of(path)));
    json_object_set_new(reply, "certificates", certificates);
    json_object_set_new(reply, "excluded", list_excluded(chain));
    json_object_set_new(reply, "next_is_prepared", json_boolean(next));
    sekisho_print_json(reply);
    json_decref(reply);
}

static void show_text(const STACK_OF(X509) * chain, const char *path, bool next)
{
    json_t *excluded = list_excluded(chain);
    size_t i;
    json_t *name;

    printf("file         %s\n", path);
    for (int k = sk_X509_num(chain) - 1; k >= 0; k--) {
        X509 *certificate = sk_X509_value(chain, k);
        printf("%s\n", certificate == authority_enrolled(chain) ? "devices trust" : "it signs");
        describe(certificate);
    }
    printf("never for    ");
    json_array_foreach(excluded, i, name)
        printf("%s%s", i == 0 ? "" : ", ", json_string_value(name));
    printf("%s\n", json_array_size(excluded) == 0 ? "(nothing is excluded)" : "");
    if (sk_X509_num(chain) == 1)
        printf("one tier     (sekisho ca rotate prepares a CA of two)\n");
    if (next)
        printf("next         one is prepared (sekisho ca show --next)\n");
    json_decref(excluded);
}

static enum authority_file which(const struct sekisho *sekisho)
{
    return sekisho->values[OPTION_NEXT] != NULL  ? AUTHORITY_NEXT
           : sekisho->values[OPTION_OLD] != NULL ? AUTHORITY_OLD
                                                 : AUTHORITY_NOW;
}

/* The certificates that are asked for, and the name of their file (to be freed). NULL after it was
 * said what is wrong. */
static STACK_OF(X509) * read_chain(const struct sekisho *sekisho,
                                   const struct configuration *configuration, char **path)
{
    char error[512];
    STACK_OF(X509) * chain;

    authority_recover(configuration->ca_certificate, configuration->ca_key);
    *path = authority_path(configuration->ca_certificate, which(sekisho));
    errno = 0;
    chain = authority_read(*path, error, sizeof(error));
    if (chain == NULL) {
        fprintf(stderr, "sekisho: %s%s\n", error,
                access(*path, F_OK) == 0          ? ""
                : which(sekisho) == AUTHORITY_NOW ? " (sekisho ca init makes it)"
                : which(sekisho) == AUTHORITY_OLD ? " (no CA was before this one)"
                                                  : " (sekisho ca rotate prepares one)");
        free(*path);
    }
    return chain;
}

static enum sekisho_exit ca_show(const struct sekisho *sekisho,
                                 const struct configuration *configuration)
{
    char *path, *next;
    STACK_OF(X509) *chain = read_chain(sekisho, configuration, &path);

    if (chain == NULL)
        return SEKISHO_ERROR;
    next = authority_path(configuration->ca_certificate, AUTHORITY_NEXT);
    bool prepared = which(sekisho) != AUTHORITY_NEXT && access(next, F_OK) == 0;
    (sekisho->values[OPTION_JSON] != NULL ? show_json : show_text)(chain, path, prepared);
    sk_X509_pop_free(chain, X509_free);
    free(next);
    free(path);
    return SEKISHO_OK;
}

/* --- export --- */

static enum sekisho_exit put_bytes(const struct sekisho *sekisho, const char *bytes, size_t size)
{
    const char *path = sekisho->values[OPTION_OUTPUT];
    FILE *file = path != NULL ? fopen(path, "we") : stdout;

    if (file == NULL || fwrite(bytes, 1, size, file) != size ||
        (file != stdout && fclose(file) != 0)) {
        fprintf(stderr, "sekisho: %s: %s\n", path != NULL ? path : "standard output",
                strerror(errno));
        return SEKISHO_ERROR;
    }
    return SEKISHO_OK;
}

/* Read and written anew: what stands in the file beside the certificate is not for the clients. */
static enum sekisho_exit ca_export(const struct sekisho *sekisho,
                                   const struct configuration *configuration)
{
    char *path;
    STACK_OF(X509) *chain = read_chain(sekisho, configuration, &path);
    bool json = sekisho->values[OPTION_JSON] != NULL, der = sekisho->values[OPTION_DER] != NULL;
    enum sekisho_exit result = SEKISHO_ERROR;
    BIO *text = BIO_new(BIO_s_mem());
    const char *bytes = NULL;
    long size = 0;

    if (chain == NULL) {
        BIO_free(text);
        return SEKISHO_ERROR;
    }
    if (text != NULL && (der && !json ? i2d_X509_bio(text, authority_enrolled(chain))
                                      : PEM_write_bio_X509(text, authority_enrolled(chain))) == 1)
        size = BIO_get_mem_data(text, &bytes);
    if (size > 0 && json) {
        json_t *reply = json_pack("{s:b, s:s%}", "ok", 1, "certificate", bytes, (size_t)size);

        sekisho_print_json(reply);
        json_decref(reply);
        result = SEKISHO_OK;
    } else if (size > 0) {
        result = put_bytes(sekisho, bytes, (size_t)size);
    }
    BIO_free(text);
    sk_X509_pop_free(chain, X509_free);
    free(path);
    return result;
}

/* --- making --- */

static const char **list_names(const struct hostset *never, size_t *count)
{
    const char **names = memory_allocate(hostset_count(never) + 1, sizeof(*names));

    *count = hostset_count(never);
    for (size_t i = 0; i < *count; i++)
        names[i] =
            hostset_at(never, i)->pattern + 1; /* ".name", as the configuration has checked */
    return names;
}

typedef int make_authority(const struct authority_order *order, char *error, size_t size);

static bool make(const struct sekisho *sekisho, const struct configuration *configuration,
                 make_authority *function)
{
    struct authority_order order = {.certificate_path = configuration->ca_certificate,
                                    .key_path = configuration->ca_key,
                                    .clinic = sekisho->values[OPTION_CLINIC] != NULL
                                                  ? sekisho->values[OPTION_CLINIC]
                                                  : configuration->clinic_name,
                                    .root_key_path = sekisho->values[OPTION_ROOT_KEY]};
    struct passphrase passphrase = {.size = 0};
    const char **names = list_names(configuration->policy.never, &order.excluded_count);
    char error[512] = "";
    bool done = order.root_key_path == NULL ||
                sekisho_get_passphrase(sekisho, "Passphrase of the root's key: ",
                                       function != authority_prepare_issuing, &passphrase);

    order.excluded = names;
    order.passphrase = (struct span){passphrase.text, passphrase.size};
    if (done && function(&order, error, sizeof(error)) != 0) {
        fprintf(stderr, "sekisho: %s\n", error);
        done = false;
    }
    OPENSSL_cleanse(&passphrase, sizeof(passphrase));
    free(names);
    return done;
}

static enum sekisho_exit ca_init(const struct sekisho *sekisho,
                                 const struct configuration *configuration)
{
    if (mkdir(configuration->state_directory, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "sekisho: %s: %s\n", configuration->state_directory, strerror(errno));
        return SEKISHO_ERROR;
    }
    if (!make(sekisho, configuration, authority_create))
        return SEKISHO_ERROR;
    return ca_show(sekisho, configuration);
}

static enum sekisho_exit activate(const struct sekisho *sekisho,
                                  const struct configuration *configuration)
{
    char error[512] = "";

    if (authority_activate(configuration->ca_certificate, configuration->ca_key, error,
                           sizeof(error)) != 0) {
        fprintf(stderr, "sekisho: %s\n", error);
        return SEKISHO_ERROR;
    }
    if (sekisho->values[OPTION_JSON] == NULL)
        printf("It signs from the next reload on (sekisho reload).\n");
    return ca_show(sekisho, configuration);
}

static enum sekisho_exit ca_rotate(const struct sekisho *sekisho,
                                   const struct configuration *configuration)
{
    bool issuing = sekisho->values[OPTION_ISSUING] != NULL;
    struct sekisho shown = *sekisho;

    if (sekisho->values[OPTION_ACTIVATE] != NULL)
        return activate(sekisho, configuration);
    if (issuing && sekisho->values[OPTION_ROOT_KEY] == NULL) {
        fprintf(stderr, "sekisho: --issuing needs the root's key (--root-key)\n");
        return SEKISHO_USAGE;
    }
    if (access(configuration->ca_certificate, F_OK) != 0) {
        fprintf(stderr, "sekisho: %s: %s (sekisho ca init makes it)\n",
                configuration->ca_certificate, strerror(errno));
        return SEKISHO_ERROR;
    }
    if (!make(sekisho, configuration, issuing ? authority_prepare_issuing : authority_prepare))
        return SEKISHO_ERROR;
    if (sekisho->values[OPTION_JSON] == NULL)
        printf("Prepared. %s, then `sekisho ca rotate --activate` and `sekisho reload`.\n",
               issuing ? "Devices trust its root already"
                       : "Give its root to all devices (`sekisho ca export --next`)");
    shown.values[OPTION_NEXT] = "";
    return ca_show(&shown, configuration);
}

/* --- the command --- */

#define BIT(option)    (1u << OPTION_##option)
#define COMMON_OPTIONS (BIT(CONFIGURATION) | BIT(JSON))
#define MAKING         (COMMON_OPTIONS | BIT(CLINIC) | BIT(ROOT_KEY) | BIT(PASSPHRASE))

static const struct action {
    const char *name;
    unsigned options;
    enum sekisho_exit (*run)(const struct sekisho *, const struct configuration *);
} actions[] = {
    {"init", MAKING, ca_init},
    {"show", COMMON_OPTIONS | BIT(NEXT) | BIT(OLD), ca_show},
    {"export", COMMON_OPTIONS | BIT(NEXT) | BIT(OLD) | BIT(DER) | BIT(OUTPUT), ca_export},
    {"rotate", MAKING | BIT(ISSUING) | BIT(ACTIVATE), ca_rotate},
};

static bool takes_options(const struct action *action, const struct sekisho *sekisho)
{
    const char *const *values = sekisho->values;

    for (int i = 0; i < OPTION_COUNT; i++)
        if (values[i] != NULL && (action->options & (1u << i)) == 0)
            return false;
    if (values[OPTION_NEXT] != NULL && values[OPTION_OLD] != NULL)
        return false;
    if (values[OPTION_PASSPHRASE] != NULL && values[OPTION_ROOT_KEY] == NULL)
        return false;
    return values[OPTION_ACTIVATE] == NULL ||
           (values[OPTION_ISSUING] == NULL && values[OPTION_ROOT_KEY] == NULL &&
            values[OPTION_CLINIC] == NULL);
}

enum sekisho_exit sekisho_ca(const struct sekisho *sekisho)
{
    const size_t count = sizeof(actions) / sizeof(actions[0]);
    struct complaints complaints = {json_array(), false, 0};
    struct configuration *configuration;
    enum sekisho_exit result = SEKISHO_USAGE;
    size_t i = 0;

    while (i < count && strcmp(actions[i].name, sekisho->arguments[0]) != 0)
        i++;
    if (i == count || !takes_options(&actions[i], sekisho)) {
        fprintf(stderr, "usage: sekisho ca %s\n", SEKISHO_CA_USAGE);
        json_decref(complaints.lines);
        return SEKISHO_USAGE;
    }
    configuration =
        configuration_read_without_ca(sekisho->configuration, sekisho_complain, &complaints);
    result = configuration == NULL ? SEKISHO_ERROR : actions[i].run(sekisho, configuration);
    configuration_free(configuration);
    json_decref(complaints.lines);
    return result;
}
