/* SPDX-License-Identifier: BSD-2-Clause */
/* The page, the certificates and the profiles: see portal_page.h. */
#include "gateway/portal_page.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>

#include "filters/memory.h"
#include "gateway/chain.h"
#include "gateway/digest.h"
#include "gateway/page_template.h"
#include "gateway/portal_profile.h"

#define NAME_SIZE        200 /* bytes of a certificate's name */
#define FINGERPRINT_SIZE (3 * DIGEST_SIZE)
#define DATE_SIZE        16
#define VALUE_LIMIT      2000 /* escaped bytes of a value or a message */
#define LANGUAGES        2
#define CERTIFICATES     2 /* that in force, and the next */

/* A certificate in every form in which devices take it. */
struct certificate {
    char name[NAME_SIZE], fingerprint[FINGERPRINT_SIZE], until[DATE_SIZE];
    struct text pem, der, profile;
};

struct portal_pages {
    char *host, *clinic, *contact;
    uint16_t tls_port;
    struct certificate certificates[CERTIFICATES];
    bool has_next;
    struct page_template *page_template;
    struct messages *messages[LANGUAGES];
    struct text html[LANGUAGES][2]; /* over http; over https */
    char policy[200];
};

/* --- certificates --- */

static void put_name(X509 *certificate, char name[NAME_SIZE])
{
    int place = X509_NAME_get_index_by_NID(X509_get_subject_name(certificate), NID_commonName, -1);
    unsigned char *text = NULL;
    int size = -1;

    if (place >= 0)
        size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(
                                              X509_get_subject_name(certificate), place)));
    snprintf(name, NAME_SIZE, "%.*s", size > 0 ? size : 0, size > 0 ? (const char *)text : "");
    OPENSSL_free(text);
}

static void put_date(X509 *certificate, char date[DATE_SIZE])
{
    time_t end = (time_t)chain_time(X509_get0_notAfter(certificate));
    struct tm calendar;

    gmtime_r(&end, &calendar);
    strftime(date, DATE_SIZE, "%Y-%m-%d", &calendar);
}

static bool certificate_read(struct certificate *certificate, X509 *from, const char *clinic)
{
    unsigned char *der = NULL, digest[DIGEST_SIZE];
    int size = i2d_X509(from, &der);
    BIO *pem = BIO_new(BIO_s_mem());
    char *text = NULL;
    long length = pem && PEM_write_bio_X509(pem, from) ? BIO_get_mem_data(pem, &text) : 0;
    size_t used = 0;

    if (size > 0 && length > 0) {
        struct span bytes = {(const char *)der, (size_t)size};
        text_add(&certificate->der, bytes);
        text_add(&certificate->pem, (struct span){text, (size_t)length});
        put_name(from, certificate->name);
        put_date(from, certificate->until);
        digest_sha256(bytes, digest);
        for (int i = 0; i < DIGEST_SIZE; i++)
            used += (size_t)snprintf(certificate->fingerprint + used, FINGERPRINT_SIZE - used,
                                     "%s%02X", i > 0 ? " " : "", digest[i]);
        profile_write(bytes, span_of(certificate->name), span_of(clinic), &certificate->profile);
    }
    OPENSSL_free(der);
    BIO_free(pem);
    return used > 0;
}

/* --- the page --- */

struct rendering {
    const struct portal_pages *pages;
    enum language language;
    bool tls;
    char check[HOST_TEXT + 32];
};

static const char *const languages[] = {[LANGUAGE_JA] = "ja", [LANGUAGE_EN] = "en"};

/* X(name, the expression): what a template may name beside the messages. */
#define VALUES(X)                                                                                  \
    X("lang", languages[rendering->language])                                                      \
    X("clinic", pages->clinic)                                                                     \
    X("contact", pages->contact)                                                                   \
    X("host", pages->host)                                                                         \
    X("check", rendering->check)                                                                   \
    X("http", rendering->tls ? "" : "http")                                                        \
    X("enrolled", rendering->tls ? "enrolled" : "")                                                \
    X("name", pages->certificates[0].name)                                                         \
    X("fingerprint", pages->certificates[0].fingerprint)                                           \
    X("until", pages->certificates[0].until)                                                       \
    X("next", pages->has_next ? "next" : "")                                                       \
    X("next-name", pages->certificates[1].name)                                                    \
    X("next-fingerprint", pages->certificates[1].fingerprint)                                      \
    X("next-until", pages->certificates[1].until)

static bool is_value(struct span name)
{
#define X(known, value)                                                                            \
    if (span_equal(name, SPAN(known)))                                                             \
        return true;
    VALUES(X)
#undef X
    return false;
}

static bool knows(void *context, struct span name)
{
    const struct portal_pages *pages = context;

    return is_value(name) || (messages_find(pages->messages[LANGUAGE_JA], name) != NULL &&
                              messages_find(pages->messages[LANGUAGE_EN], name) != NULL);
}

static struct span find_value(void *context, struct span name, size_t *limit)
{
    const struct rendering *rendering = context;
    const struct portal_pages *pages = rendering->pages;

    *limit = VALUE_LIMIT;
#define X(known, value)                                                                            \
    if (span_equal(name, SPAN(known)))                                                             \
        return span_of(value);
    VALUES(X)
#undef X
    return span_of(messages_find(pages->messages[rendering->language], name));
}

static void render(struct portal_pages *pages, enum language language, bool tls)
{
    struct rendering rendering = {.pages = pages, .language = language, .tls = tls};

    if (pages->tls_port == 443)
        snprintf(rendering.check, sizeof(rendering.check), "https://%s/", pages->host);
    else
        snprintf(rendering.check, sizeof(rendering.check), "https://%s:%u/", pages->host,
                 pages->tls_port);
    template_render(pages->page_template, find_value, &rendering, &pages->html[language][tls]);
}

static bool prepare_page(struct portal_pages *pages, const struct portal_facts *facts, char *error,
                         size_t size)
{
    static const char *const names[] = {[LANGUAGE_JA] = "enrol.ja", [LANGUAGE_EN] = "enrol.en"};
    char style[TEMPLATE_STYLE_SOURCE];

    for (int i = 0; i < LANGUAGES; i++) {
        pages->messages[i] = messages_parse(names[i], facts->messages[i], error, size);
        if (pages->messages[i] == NULL)
            return false;
    }
    pages->page_template = template_parse(facts->template_text, knows, pages, error, size);
    if (pages->page_template == NULL)
        return false;
    if (!template_style_source(pages->page_template, style)) {
        snprintf(error, size, "SHA-256 does not work");
        return false;
    }
    snprintf(pages->policy, sizeof(pages->policy),
             "default-src 'none'; style-src %s; frame-ancestors 'none'; base-uri 'none'; "
             "form-action 'none'",
             style);
    for (int i = 0; i < LANGUAGES; i++)
        for (int tls = 0; tls < 2; tls++)
            render(pages, (enum language)i, tls);
    return true;
}

struct portal_pages *portal_pages_new(const struct portal_facts *facts, char *error, size_t size)
{
    struct portal_pages *pages = memory_allocate(1, sizeof(*pages));
    X509 *const certificates[CERTIFICATES] = {facts->root, facts->next};

    pages->host = memory_string(facts->host);
    pages->clinic = memory_string(facts->clinic);
    pages->contact = memory_string(facts->contact);
    pages->tls_port = facts->tls_port;
    pages->has_next = facts->next != NULL;
    for (int i = 0; i < CERTIFICATES; i++)
        if (certificates[i] != NULL &&
            !certificate_read(&pages->certificates[i], certificates[i], facts->clinic)) {
            snprintf(error, size, "the CA's certificate cannot be written");
            portal_pages_free(pages);
            return NULL;
        }
    if (prepare_page(pages, facts, error, size))
        return pages;
    portal_pages_free(pages);
    return NULL;
}

void portal_pages_free(struct portal_pages *pages)
{
    if (pages == NULL)
        return;
    for (int i = 0; i < CERTIFICATES; i++) {
        free(pages->certificates[i].pem.data);
        free(pages->certificates[i].der.data);
        free(pages->certificates[i].profile.data);
    }
    for (int i = 0; i < LANGUAGES; i++) {
        messages_free(pages->messages[i]);
        free(pages->html[i][0].data);
        free(pages->html[i][1].data);
    }
    template_free(pages->page_template);
    free(pages->host);
    free(pages->clinic);
    free(pages->contact);
    free(pages);
}

/* --- answers --- */

#define FILE_OF(form) offsetof(struct certificate, form)

/* X(path, which certificate, form, type, name to save it under) */
static const struct {
    const char *path;
    int certificate;
    size_t form;
    const char *type, *file;
} files[] = {
    {"/ca.crt", 0, FILE_OF(der), "application/x-x509-ca-cert", NULL},
    {"/ca.cer", 0, FILE_OF(der), "application/pkix-cert", "sekisho-ca.cer"},
    {"/ca.pem", 0, FILE_OF(pem), "application/x-pem-file", "sekisho-ca.pem"},
    {"/ca.mobileconfig", 0, FILE_OF(profile), "application/x-apple-aspen-config",
     "sekisho-ca.mobileconfig"},
    {"/next.crt", 1, FILE_OF(der), "application/x-x509-ca-cert", NULL},
    {"/next.cer", 1, FILE_OF(der), "application/pkix-cert", "sekisho-ca-next.cer"},
    {"/next.pem", 1, FILE_OF(pem), "application/x-pem-file", "sekisho-ca-next.pem"},
    {"/next.mobileconfig", 1, FILE_OF(profile), "application/x-apple-aspen-config",
     "sekisho-ca-next.mobileconfig"},
};

static const struct {
    unsigned status;
    const char *phrase;
} phrases[] = {{200, "OK"},
               {400, "Bad Request"},
               {404, "Not Found"},
               {405, "Method Not Allowed"},
               {408, "Request Timeout"},
               {414, "URI Too Long"},
               {421, "Misdirected Request"},
               {431, "Request Header Fields Too Large"},
               {501, "Not Implemented"},
               {505, "HTTP Version Not Supported"}};

/* A short text, in which nothing of the request stands. */
void portal_pages_refuse(unsigned status, struct portal_answer *answer)
{
    *answer = (struct portal_answer){.status = status, .phrase = "Bad Request"};
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            answer->phrase = phrases[i].phrase;
    answer->type = "text/plain; charset=utf-8";
    answer->body = span_of(answer->phrase);
}

static void give(struct portal_answer *answer, const char *type, const struct text *body)
{
    *answer = (struct portal_answer){.status = 200, .phrase = "OK", .type = type};
    answer->body = (struct span){body->data, body->used};
}

static struct span header_of(const struct http1_head *head, struct span name)
{
    const struct field *field = field_find(head->fields, head->field_count, name);

    return field != NULL ? field->value : SPAN("");
}

static void choose(const struct portal_pages *pages, const struct http1_head *head, bool tls,
                   struct portal_answer *answer)
{
    struct span path = span_first(head->path, span_index(head->path, '?'));

    if (span_equal(path, SPAN("/"))) {
        enum language language = page_language(header_of(head, SPAN("Accept-Language")));
        give(answer, "text/html; charset=utf-8", &pages->html[language][tls]);
        return;
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!span_equal(path, span_of(files[i].path)))
            continue;
        if (files[i].certificate == 1 && !pages->has_next)
            break;
        const struct certificate *certificate = &pages->certificates[files[i].certificate];
        give(answer, files[i].type,
             (const struct text *)(const void *)((const char *)certificate + files[i].form));
        answer->file = files[i].file;
        return;
    }
    portal_pages_refuse(404, answer);
}

/* Its own name or address, and no other: who leads another name here is not served under it. */
static bool is_ours(const struct portal_pages *pages, const struct http1_head *head)
{
    return head->host[0] == '\0' || strcmp(head->host, pages->host) == 0 ||
           host_is_literal(span_of(head->host));
}

void portal_pages_answer(const struct portal_pages *pages, const struct http1_head *head, bool tls,
                         struct portal_answer *answer)
{
    bool is_head = span_equal(head->method, SPAN("HEAD"));

    if (!is_head && !span_equal(head->method, SPAN("GET")))
        portal_pages_refuse(405, answer);
    else if (!is_ours(pages, head))
        portal_pages_refuse(421, answer);
    else if (head->framing != HTTP1_NO_BODY || head->path.size == 0)
        portal_pages_refuse(400, answer);
    else
        choose(pages, head, tls, answer);
    answer->is_head = is_head;
}

void portal_pages_write(const struct portal_pages *pages, const struct portal_answer *answer,
                        struct evbuffer *out)
{
    char disposition[100];

    http1_write_status_line(out, answer->status, span_of(answer->phrase));
    http1_write_field(out, SPAN("Connection"), SPAN("close"));
    http1_write_field(out, SPAN("Cache-Control"), SPAN("no-store"));
    http1_write_field(out, SPAN("Content-Type"), span_of(answer->type));
    http1_write_field(out, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    http1_write_field(out, SPAN("Referrer-Policy"), SPAN("no-referrer"));
    http1_write_field(out, SPAN("Content-Security-Policy"), span_of(pages->policy));
    http1_write_field(out, SPAN("Vary"), SPAN("Accept-Language"));
    if (answer->status == 405)
        http1_write_field(out, SPAN("Allow"), SPAN("GET, HEAD"));
    if (answer->file != NULL) {
        snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", answer->file);
        http1_write_field(out, SPAN("Content-Disposition"), span_of(disposition));
    }
    http1_write_framing(out, HTTP1_LENGTH, answer->body.size);
    http1_write_end_of_head(out);
    if (!answer->is_head)
        evbuffer_add(out, answer->body.data, answer->body.size);
}
