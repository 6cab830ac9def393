/* SPDX-License-Identifier: BSD-2-Clause */
/* See transparency.h. */
#include "gateway/transparency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "filters/memory.h"

#define CLOCK_SLACK 300 /* seconds that a log's clock may be ahead of ours */

struct transparency {
    CTLOG_STORE *store;
};

struct transparency *transparency_read(const char *path, char *error, size_t size)
{
    struct transparency *logs = memory_allocate(1, sizeof(*logs));

    ERR_clear_error();
    logs->store = CTLOG_STORE_new();
    if (logs->store != NULL && CTLOG_STORE_load_file(logs->store, path) == 1)
        return logs;
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(error, size, "%s: expected a list of transparency logs: %s", path,
             reason != NULL ? reason : "not usable");
    ERR_clear_error();
    transparency_free(logs);
    return NULL;
}

void transparency_free(struct transparency *logs)
{
    if (logs == NULL)
        return;
    CTLOG_STORE_free(logs->store);
    free(logs);
}

static void count_one(const CT_POLICY_EVAL_CTX *context, SCT *sct, struct transparency_count *count)
{
    /* 1: valid; anything else has its reason in the status. */
    int result = SCT_validate(sct, context);

    switch (result == 1 ? SCT_VALIDATION_STATUS_VALID : SCT_get_validation_status(sct)) {
    case SCT_VALIDATION_STATUS_VALID:
        count->valid++;
        break;
    case SCT_VALIDATION_STATUS_UNKNOWN_LOG:
    case SCT_VALIDATION_STATUS_UNKNOWN_VERSION:
        count->unknown++;
        break;
    default:
        count->invalid++;
    }
}

/* Takes the list. */
static void count_list(const CT_POLICY_EVAL_CTX *context, STACK_OF(SCT) * list, sct_source_t source,
                       struct transparency_count *count)
{
    for (int i = 0; i < sk_SCT_num(list) && i < TRANSPARENCY_MAX; i++) {
        SCT *sct = sk_SCT_value(list, i);
        count->all++;
        if (context == NULL)
            continue;
        if (SCT_set_source(sct, source) != 1)
            count->invalid++;
        else
            count_one(context, sct, count);
    }
    SCT_LIST_free(list);
}

static STACK_OF(SCT) * read_extension(struct span bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;

    return bytes.size > 0 ? o2i_SCT_LIST(NULL, &at, bytes.size) : NULL;
}

/* RFC 6962 section 3.3: in an extension of the single answer. */
static STACK_OF(SCT) * read_staple(struct span bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    OCSP_RESPONSE *response =
        bytes.size > 0 ? d2i_OCSP_RESPONSE(NULL, &at, (long)bytes.size) : NULL;
    OCSP_BASICRESP *answer = response != NULL ? OCSP_response_get1_basic(response) : NULL;
    STACK_OF(SCT) *list = NULL;

    if (answer != NULL && OCSP_resp_count(answer) > 0)
        list =
            OCSP_SINGLERESP_get1_ext_d2i(OCSP_resp_get0(answer, 0), NID_ct_cert_scts, NULL, NULL);
    OCSP_BASICRESP_free(answer);
    OCSP_RESPONSE_free(response);
    return list;
}

static CT_POLICY_EVAL_CTX *make_context(const struct transparency *logs, STACK_OF(X509) * chain,
                                        int64_t time)
{
    CT_POLICY_EVAL_CTX *context = CT_POLICY_EVAL_CTX_new();

    if (context == NULL || CT_POLICY_EVAL_CTX_set1_cert(context, sk_X509_value(chain, 0)) != 1 ||
        CT_POLICY_EVAL_CTX_set1_issuer(context, sk_X509_value(chain, 1)) != 1) {
        CT_POLICY_EVAL_CTX_free(context);
        return NULL;
    }
    CT_POLICY_EVAL_CTX_set_shared_CTLOG_STORE(context, logs->store);
    CT_POLICY_EVAL_CTX_set_time(context, (uint64_t)(time + CLOCK_SLACK) * 1000);
    return context;
}

void transparency_check(const struct transparency *logs, STACK_OF(X509) * chain,
                        struct span extension, struct span staple, int64_t time,
                        struct transparency_count *count)
{
    CT_POLICY_EVAL_CTX *context = NULL;

    *count = (struct transparency_count){0};
    /* Who is trusted for itself has no issuer, and logs have nothing of it. */
    if (sk_X509_num(chain) < 2)
        return;
    if (logs != NULL && (context = make_context(logs, chain, time)) == NULL)
        return;
    count->is_checked = logs != NULL;
    count_list(context, X509_get_ext_d2i(sk_X509_value(chain, 0), NID_ct_precert_scts, NULL, NULL),
               SCT_SOURCE_X509V3_EXTENSION, count);
    count_list(context, read_extension(extension), SCT_SOURCE_TLS_EXTENSION, count);
    count_list(context, read_staple(staple), SCT_SOURCE_OCSP_STAPLED_RESPONSE, count);
    CT_POLICY_EVAL_CTX_free(context);
    ERR_clear_error();
}
