/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that need no daemon: check, config and dns-config (ca: sekisho_ca.c). */
#include "gateway/sekisho.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "gateway/certificate.h"
#include "gateway/configuration.h"
#include "gateway/control.h"
#include "gateway/dns.h"
#include "gateway/page.h"
#include "gateway/qrcode.h"
#include "gateway/sekisho_output.h"

/* --- check, config --- */

/* Where the lines of the configuration module go: to the terminal, and into JSON when it is asked.
 */
void sekisho_complain(void *context, const char *line)
{
    struct complaints *complaints = context;
    char *clean = output_clean(span_of(line));

    complaints->count++;
    json_array_append_new(complaints->lines, control_text(span_of(line)));
    if (!complaints->quiet)
        fprintf(stderr, "%s\n", clean);
    free(clean);
}

/* What the daemon's processes will make of the files, beyond what the text of each tells. */
static bool check_files(const struct configuration *configuration, struct complaints *complaints)
{
    char error[512];
    const char *fault = NULL;
    struct issuer *issuer =
        issuer_read(configuration->ca_certificate, configuration->ca_key, error, sizeof(error));
    if (issuer == NULL)
        sekisho_complain(complaints, error);
    SSL_CTX *origins = certificate_origin_open(configuration, error, sizeof(error));
    if (origins == NULL)
        sekisho_complain(complaints, error);
    else
        certificate_origin_review(origins, sekisho_complain, complaints);
    struct page *page = page_new(configuration->page_template, configuration->page_messages[0],
                                 configuration->page_messages[1], &fault);
    if (page == NULL) {
        snprintf(error, sizeof(error), "%s: %s", configuration->pages_directory, fault);
        sekisho_complain(complaints, error);
    }
    bool reads_codes = qrcode_prepare(error, sizeof(error));
    if (!reads_codes)
        sekisho_complain(complaints, error);
    bool right = issuer != NULL && origins != NULL && page != NULL && reads_codes;
    issuer_free(issuer);
    SSL_CTX_free(origins);
    page_free(page);
    return right;
}

enum sekisho_exit sekisho_check(const struct sekisho *sekisho)
{
    const char *path = sekisho->count > 0 ? sekisho->arguments[0] : sekisho->configuration;
    struct complaints complaints = {json_array(), sekisho->values[OPTION_JSON] != NULL, 0};
    struct configuration *configuration = configuration_read(path, sekisho_complain, &complaints);
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
        configuration_read_without_ca(sekisho->configuration, sekisho_complain, &complaints);
    enum sekisho_exit result = SEKISHO_ERROR;

    if (configuration != NULL)
        result = path == NULL ? print_dns(configuration) : update_dns(sekisho, configuration, path);
    configuration_free(configuration);
    json_decref(complaints.lines);
    return result;
}
