/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that need no daemon: check, config and ca. */
#include "gateway/sekisho.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <event2/buffer.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "gateway/certificate.h"
#include "gateway/configuration.h"
#include "gateway/control.h"
#include "gateway/digest.h"
#include "gateway/dns.h"
#include "gateway/page.h"
#include "gateway/sekisho_output.h"

/* --- check, config --- */

/* Where the lines of the configuration module go: to the terminal, and into JSON when it is asked.
 */
struct complaints {
    json_t *lines;
    bool quiet;
    unsigned count;
};

static void on_line(void *context, const char *line)
{
    struct complaints *complaints = context;
    char *clean = output_clean(span_of(line));

    complaints->count++;
    json_array_append_new(complaints->lines, control_text(span_of(line)));
    if (!complaints->quiet)
        fprintf(stderr, "%s\n", clean);
    free(clean);
}

/* What the signer and the workers will make of the files, beyond what the text of each tells. */
static bool check_files(const struct configuration *configuration, struct complaints *complaints)
{
    char error[512];
    const char *fault = NULL;
    struct issuer *issuer =
        issuer_read(configuration->ca_certificate, configuration->ca_key, error, sizeof(error));
    if (issuer == NULL)
        on_line(complaints, error);
    SSL_CTX *origins = certificate_origin_context(configuration->trust, error, sizeof(error));
    if (origins != NULL &&
        certificate_origin_set_lists(origins, configuration->revocation_lists,
                                     configuration->revocation == REVOCATION_HARD, error,
                                     sizeof(error)) != 0) {
        SSL_CTX_free(origins);
        origins = NULL;
    }
    if (origins == NULL)
        on_line(complaints, error);
    else
        certificate_origin_review(origins, on_line, complaints);
    struct page *page = page_new(configuration->page_template, configuration->page_messages[0],
                                 configuration->page_messages[1], &fault);
    if (page == NULL) {
        snprintf(error, sizeof(error), "%s: %s", configuration->pages_directory, fault);
        on_line(complaints, error);
    }
    bool right = issuer != NULL && origins != NULL && page != NULL;
    issuer_free(issuer);
    SSL_CTX_free(origins);
    page_free(page);
    return right;
}

enum sekisho_exit sekisho_check(const struct sekisho *sekisho)
{
    const char *path = sekisho->count > 0 ? sekisho->arguments[0] : sekisho->configuration;
    struct complaints complaints = {json_array(), sekisho->values[OPTION_JSON] != NULL, 0};
    struct configuration *configuration = configuration_read(path, on_line, &complaints);
    bool right = configuration != NULL && check_files(configuration, &complaints);

    if (complaints.quiet) {
        json_t *reply = json_pack("{s:b, s:o, s:O}", "ok", right, "file",
                                  control_text(span_of(path)), "messages", complaints.lines);

        sekisho_print_json(reply);
        json_decref(reply);
    } else if (!right) {
        fprintf(stderr, "%s: it cannot be used\n", path);
    } else if (complaints.count > 0) {
        printf("%s: right, with %u warning%s\n", path, complaints.count,
               complaints.count == 1 ? "" : "s");
    } else {
        printf("%s: right\n", path);
    }
    if (right && configuration->policy.mode == MODE_OBSERVE && !complaints.quiet)
        printf("%s: OBSERVE MODE: NOTHING WILL BE BLOCKED\n", path);
    configuration_free(configuration);
    json_decref(complaints.lines);
    return right ? SEKISHO_OK : SEKISHO_ERROR;
}

enum sekisho_exit sekisho_config(const struct sekisho *sekisho)
{
    struct evbuffer *text;

    bool manual = sekisho->values[OPTION_MANUAL] != NULL;

    if (manual == (sekisho->values[OPTION_DEFAULTS] != NULL)) {
        fprintf(stderr, "usage: sekisho config --defaults | --manual\n");
        return SEKISHO_USAGE;
    }
    text = evbuffer_new();
    if (text == NULL)
        return SEKISHO_ERROR;
    if (manual)
        configuration_write_manual(text);
    else
        configuration_write_defaults(text);
    fwrite(evbuffer_pullup(text, -1), 1, evbuffer_get_length(text), stdout);
    evbuffer_free(text);
    return SEKISHO_OK;
}

/* --- dns-config --- */

static enum sekisho_exit print_dns(const struct configuration *configuration)
{
    struct evbuffer *text = evbuffer_new();

    if (text == NULL)
        return SEKISHO_ERROR;
    dns_write(configuration, text);
    fwrite(evbuffer_pullup(text, -1), 1, evbuffer_get_length(text), stdout);
    evbuffer_free(text);
    return SEKISHO_OK;
}

static enum sekisho_exit update_dns(const struct sekisho *sekisho,
                                    const struct configuration *configuration, const char *path)
{
    char error[512];
    bool changed;

    if (!dns_update(configuration, path, &changed, error, sizeof(error))) {
        fprintf(stderr, "sekisho: %s\n", error);
        return SEKISHO_ERROR;
    }
    if (sekisho->values[OPTION_JSON] != NULL) {
        json_t *reply = json_pack("{s:b, s:o, s:b}", "ok", 1, "file", control_text(span_of(path)),
                                  "changed", changed);

        sekisho_print_json(reply);
        json_decref(reply);
    } else {
        printf("%s: %s\n", path, changed ? "changed, restart dnsmasq" : "as it was");
    }
    return SEKISHO_OK;
}

enum sekisho_exit sekisho_dns_config(const struct sekisho *sekisho)
{
    const char *path = sekisho->values[OPTION_OUTPUT];
    struct complaints complaints = {json_array(), false, 0};
    struct configuration *configuration =
        configuration_read_without_ca(sekisho->configuration, on_line, &complaints);
    enum sekisho_exit result = SEKISHO_ERROR;

    if (configuration != NULL)
        result = path == NULL ? print_dns(configuration) : update_dns(sekisho, configuration, path);
    configuration_free(configuration);
    json_decref(complaints.lines);
    return result;
}

/* --- ca --- */

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *certificate;

    if (file == NULL) {
        fprintf(stderr, "sekisho: %s: %s%s\n", path, strerror(errno),
                errno == ENOENT ? " (sekisho ca init makes it)" : "");
        return NULL;
    }
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    if (certificate == NULL)
        fprintf(stderr, "sekisho: %s: it holds no certificate in PEM\n", path);
    return certificate;
}

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

static enum sekisho_exit show_certificate(const struct sekisho *sekisho, X509 *certificate,
                                          const char *path)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char fingerprint[2 * EVP_MAX_MD_SIZE + 1], from[OUTPUT_TEXT], until[OUTPUT_TEXT];
    int64_t not_before = unix_time(X509_get0_notBefore(certificate));
    int64_t not_after = unix_time(X509_get0_notAfter(certificate));
    char *subject;

    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) {
        fprintf(stderr, "sekisho: %s: no fingerprint can be made\n", path);
        return SEKISHO_ERROR;
    }
    subject = format_subject(certificate);
    digest_hex(digest, size, fingerprint);
    if (sekisho->values[OPTION_JSON] != NULL) {
        json_t *reply = json_pack(
            "{s:b, s:o, s:o, s:s, s:I, s:I}", "ok", 1, "file", control_text(span_of(path)),
            "subject", control_text(span_of(subject)), "sha256", fingerprint, "not_before",
            (json_int_t)not_before, "not_after", (json_int_t)not_after);

        sekisho_print_json(reply);
        json_decref(reply);
    } else {
        output_format_time(not_before, from);
        output_format_time(not_after, until);
        printf("certificate  %s\nsubject      %s\nvalid        %s to %s\nSHA-256      ", path,
               subject, from, until);
        for (unsigned i = 0; i < size; i++)
            printf("%s%02X", i == 0 ? "" : ":", digest[i]);
        putchar('\n');
        if (not_after < (int64_t)time(NULL))
            printf("IT IS NO LONGER VALID\n");
    }
    free(subject);
    return SEKISHO_OK;
}

static enum sekisho_exit ca_show(const struct sekisho *sekisho,
                                 const struct configuration *configuration)
{
    X509 *certificate = read_certificate(configuration->ca_certificate);
    enum sekisho_exit result = SEKISHO_ERROR;

    if (certificate != NULL)
        result = show_certificate(sekisho, certificate, configuration->ca_certificate);
    X509_free(certificate);
    return result;
}

/* Read and written anew: what stands in the file beside the certificate is not for the clients. */
static enum sekisho_exit ca_export(const struct sekisho *sekisho,
                                   const struct configuration *configuration)
{
    X509 *certificate = read_certificate(configuration->ca_certificate);
    BIO *text = BIO_new(BIO_s_mem());
    const char *bytes = NULL;
    long size = 0;

    if (certificate != NULL && text != NULL && PEM_write_bio_X509(text, certificate) == 1)
        size = BIO_get_mem_data(text, &bytes);
    if (size > 0 && sekisho->values[OPTION_JSON] != NULL) {
        json_t *reply = json_pack("{s:b, s:s%}", "ok", 1, "certificate", bytes, (size_t)size);

        sekisho_print_json(reply);
        json_decref(reply);
    } else if (size > 0) {
        fwrite(bytes, 1, (size_t)size, stdout);
    }
    BIO_free(text);
    X509_free(certificate);
    return size > 0 ? SEKISHO_OK : SEKISHO_ERROR;
}

static enum sekisho_exit ca_init(const struct sekisho *sekisho,
                                 const struct configuration *configuration)
{
    const char *clinic = sekisho->values[OPTION_CLINIC] != NULL ? sekisho->values[OPTION_CLINIC]
                                                                : configuration->clinic_name;
    char error[512] = "";

    if (mkdir(configuration->state_directory, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "sekisho: %s: %s\n", configuration->state_directory, strerror(errno));
        return SEKISHO_ERROR;
    }
    if (issuer_create(configuration->ca_certificate, configuration->ca_key, clinic, error,
                      sizeof(error)) != 0) {
        fprintf(stderr, "sekisho: %s\n", error);
        return SEKISHO_ERROR;
    }
    return ca_show(sekisho, configuration);
}

enum sekisho_exit sekisho_ca(const struct sekisho *sekisho)
{
    static const struct {
        const char *name;
        enum sekisho_exit (*run)(const struct sekisho *, const struct configuration *);
    } actions[] = {{"init", ca_init}, {"show", ca_show}, {"export", ca_export}};
    struct complaints complaints = {json_array(), false, 0};
    struct configuration *configuration;
    enum sekisho_exit result = SEKISHO_USAGE;
    size_t i = 0;

    while (i < 3 && strcmp(actions[i].name, sekisho->arguments[0]) != 0)
        i++;
    if (i == 3 || (i != 0 && sekisho->values[OPTION_CLINIC] != NULL)) {
        fprintf(stderr, "usage: sekisho ca init [--clinic NAME] | show | export\n");
        json_decref(complaints.lines);
        return SEKISHO_USAGE;
    }
    configuration = configuration_read_without_ca(sekisho->configuration, on_line, &complaints);
    result = configuration == NULL ? SEKISHO_ERROR : actions[i].run(sekisho, configuration);
    configuration_free(configuration);
    json_decref(complaints.lines);
    return result;
}
