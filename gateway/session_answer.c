/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session answers itself, and what it tells the registry of each exchange. */
#include "gateway/session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/url.h"
#include "gateway/certificate.h"
#include "gateway/digest.h"
#include "gateway/replica.h"

static const char *const kind_source_separator = ":";

/* --- records --- */

/* Host and path; of the whole URL only the digest (no query is ever logged). */
static void record_request(const struct exchange *exchange, struct record *record)
{
    const struct request *request = &exchange->request;
    char text[8192 + HOST_TEXT + 32];
    uint8_t digest[32];
    char hex[65];

    record_set(record, RECORD_HOST, request->host);
    record_set(record, RECORD_METHOD, request->method);
    record_set(record, RECORD_PATH, span_first(request->target, span_index(request->target, '?')));
    size_t size = url_normalise(request->tls, request->host, request->port, request->target, text,
                                sizeof(text));
    if (size == 0)
        return;
    digest_sha256((struct span){text, size}, digest);
    digest_hex(digest, sizeof(digest), hex);
    record_set_text(record, RECORD_URL_SHA256, hex);
}

static void record_finding(const struct finding *finding, struct record *record)
{
    static const char *const sources[] = {
#define X(symbol, name) [FROM_##symbol] = (name),
        REQUEST_SOURCES(X)
#undef X
    };
    char from[HOST_TEXT + 16];

    record_set_text(record, RECORD_KIND, request_kind_name(finding->kind));
    snprintf(from, sizeof(from), "%s%s%s", sources[finding->source],
             finding->source_name[0] != '\0' ? kind_source_separator : "", finding->source_name);
    record_set_text(record, RECORD_FROM, from);
    if (finding->service != NULL)
        record_set_text(record, RECORD_SERVICE, finding->service->name);
}

static void record_response(const struct exchange *exchange, struct record *record)
{
    const struct response *response = &exchange->response;

    if (!exchange->response_started)
        return;
    const struct field *type =
        field_find(response->fields, response->field_count, SPAN("Content-Type"));
    if (type != NULL)
        record_set(record, RECORD_TYPE_DECLARED, type->value);
    if (exchange->finding.file.type != NULL && exchange->finding.file.type[0] != '\0')
        record_set_text(record, RECORD_TYPE_SNIFFED, exchange->finding.file.type);
    if (exchange->file_name[0] != '\0' && exchange->finding.file.danger != FILE_HARMLESS)
        record_set_text(record, RECORD_FILE_NAME, exchange->file_name);
}

/* What is known of the origin's certificate beside its being good. */
static void record_certificate(const SSL *ssl, struct record *record)
{
    const struct transparency_count *timestamps = certificate_timestamps(ssl);
    const char *revocation = certificate_revocation(ssl);

    if (revocation != NULL)
        record_set_text(record, RECORD_REVOCATION, revocation);
    if (timestamps == NULL)
        return;
    record_set_number(record, RECORD_SCTS, timestamps->all);
    if (!timestamps->is_checked)
        return;
    record_set_number(record, RECORD_SCTS_VALID, timestamps->valid);
    record_set_number(record, RECORD_SCTS_UNKNOWN, timestamps->unknown);
    record_set_number(record, RECORD_SCTS_INVALID, timestamps->invalid);
}

static void fill_record(const struct exchange *exchange, enum record_event event,
                        enum reason reason, struct record *record)
{
    const struct flow *flow = exchange->flow;
    struct rule nowhere = {0};
    bool decided = exchange->active && exchange->finding.reason == reason;

    flow_record(flow, event, record);
    flow_record_reason(record, reason, decided ? exchange->finding.rule : nowhere);
    if (exchange->active && exchange->request.host.size > 0) {
        record_request(exchange, record);
        record_finding(&exchange->finding, record);
        record_response(exchange, record);
        record_set_number(record, RECORD_MS, (uint64_t)(clock_monotonic() - exchange->started));
    }
    if (channel_ssl(flow->near) != NULL)
        record_set_text(record, RECORD_TLS_CLIENT, SSL_get_version(channel_ssl(flow->near)));
    if (flow->far != NULL && channel_ssl(flow->far) != NULL) {
        record_set_text(record, RECORD_TLS_ORIGIN, SSL_get_version(channel_ssl(flow->far)));
        record_certificate(channel_ssl(flow->far), record);
    }
    if (flow->verify != NULL)
        record_set_text(record, RECORD_VERIFY, flow->verify);
}

static void record_bytes(const struct exchange *exchange, struct record *record)
{
    if (exchange->response_started)
        record_set_number(record, RECORD_STATUS, exchange->response.status);
    record_set_number(record, RECORD_BYTES_UP, exchange->up);
    record_set_number(record, RECORD_BYTES_DOWN, exchange->down);
}

static uint64_t number_incident(struct exchange *exchange, struct record *record)
{
    uint64_t incident = replica_incident(exchange->worker->replica);

    if (incident != 0)
        record_set_number(record, RECORD_INCIDENT, incident);
    return incident;
}

static void record_passed(struct exchange *exchange, const char *detail)
{
    struct record record;

    exchange->recorded = true;
    if (!exchange->worker->configuration->log_allowed || exchange->counted_block)
        return;
    fill_record(exchange, EVENT_ALLOW, exchange->finding.reason, &record);
    record_bytes(exchange, &record);
    if (detail != NULL)
        record_set_text(&record, RECORD_DETAIL, detail);
    replica_record(exchange->worker->replica, &record);
}

void session_record_allowed(struct exchange *exchange)
{
    record_passed(exchange, NULL);
}

void session_record_cut(struct exchange *exchange)
{
    if (exchange->active && !exchange->recorded)
        record_passed(exchange, "ended before it was whole");
}

void session_record_would_block(struct exchange *exchange)
{
    struct record record;

    if (exchange->counted_block) /* the first objection is the one that counts */
        return;
    exchange->counted_block = true;
    fill_record(exchange, EVENT_WOULD_BLOCK, exchange->finding.reason, &record);
    number_incident(exchange, &record);
    replica_record(exchange->worker->replica, &record);
}

void session_record_broken(struct exchange *exchange, enum reason reason, const char *detail)
{
    struct record record;
    bool is_block = reason_status(reason) == 403;

    exchange->recorded = true;
    fill_record(exchange, is_block ? EVENT_BLOCK : EVENT_ERROR, reason, &record);
    record_bytes(exchange, &record);
    if (is_block)
        number_incident(exchange, &record);
    record_set_text(&record, RECORD_DETAIL, detail);
    replica_record(exchange->worker->replica, &record);
}

/* --- answers --- */

static const char *phrase_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } rows[] = {{400, "Bad Request"},         {403, "Forbidden"},
                {408, "Request Timeout"},     {414, "URI Too Long"},
                {421, "Misdirected Request"}, {431, "Request Header Fields Too Large"},
                {502, "Bad Gateway"},         {503, "Service Unavailable"},
                {504, "Gateway Timeout"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return rows[i].phrase;
    return "Blocked";
}

static struct span title_of(const struct exchange *exchange, const char *name)
{
    const struct policy *policy = &exchange->worker->configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        if (strcmp(policy->services[i].name, name) == 0)
            return span_of(policy->services[i].title);
    return span_of(name);
}

/* The page that a person sees. Its length; the caller frees. */
static size_t render_page(const struct exchange *exchange, enum reason reason, uint64_t incident,
                          char **html)
{
    const struct configuration *configuration = exchange->worker->configuration;
    const struct request *request = &exchange->request;
    const struct field *languages =
        field_find(request->fields, request->field_count, SPAN("Accept-Language"));
    struct standing standing;

    replica_standing(exchange->worker->replica, exchange->flow->client->scope, &standing);
    struct page_facts facts = {
        .language = page_language(languages != NULL ? languages->value : (struct span){0}),
        .reason = reason,
        .incident = incident,
        .host = request->host,
        .path = span_first(request->target, span_index(request->target, '?')),
        .service =
            standing.service != NULL ? title_of(exchange, standing.service) : (struct span){0},
        .clinic = configuration->clinic_name,
        .contact = configuration->clinic_contact,
        .time = clock_unix(),
    };
    if (exchange->active && exchange->finding.source == FROM_LEARNED) {
        facts.learned = exchange->finding.learned.since / 1000;
        facts.service = title_of(exchange, exchange->finding.learned.service);
    }
    if (exchange->response_started) {
        facts.file_name = span_of(exchange->file_name);
        facts.file_type = span_of(exchange->finding.file.type);
    }
    return page_render(exchange->worker->page, &facts, html);
}

static void write_answer(struct exchange *exchange, enum reason reason, uint64_t incident)
{
    bool has_page =
        exchange->active && exchange->finding.top_level && exchange->request.host.size > 0;
    char *html = NULL, number[24], length[24];
    size_t size = has_page ? render_page(exchange, reason, incident, &html) : 0;
    unsigned status = reason_status(reason);
    struct field_list list = {0};

    if (has_page) {
        field_list_add(&list, SPAN("Content-Type"), SPAN("text/html; charset=utf-8"));
        field_list_add(&list, SPAN("Content-Security-Policy"),
                       span_of(page_content_security_policy(exchange->worker->page)));
        field_list_add(&list, SPAN("Vary"), SPAN("Accept-Language"));
    }
    field_list_add(&list, SPAN("Cache-Control"), SPAN("no-store"));
    field_list_add(&list, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    field_list_add(&list, SPAN("Referrer-Policy"), SPAN("no-referrer"));
    field_list_add(&list, SPAN("Sekisho-Reason"), span_of(reason_code(reason)));
    if (incident != 0) {
        snprintf(number, sizeof(number), "%llu", (unsigned long long)incident);
        field_list_add(&list, SPAN("Sekisho-Incident"), span_of(number));
    }
    snprintf(length, sizeof(length), "%zu", size);
    field_list_add(&list, SPAN("Content-Length"), span_of(length));
    struct head head = {.status = status,
                        .phrase = span_of(phrase_of(status)),
                        .fields = list.fields,
                        .field_count = list.count};
    bool is_head = span_equal(exchange->request.method, SPAN("HEAD"));
    head.has_body = size > 0 && !is_head;
    exchange->carrier->answer(exchange, &head, reason, (struct span){html, is_head ? 0 : size});
    free(list.fields);
    free(html);
}

void session_answer(struct exchange *exchange, enum record_event event, enum reason reason,
                    const char *detail)
{
    struct record record;
    uint64_t incident = 0;

    if (reason_status(reason) == 0)
        reason = REASON_BAD_REQUEST;
    fill_record(exchange, event, reason, &record);
    if (event == EVENT_BLOCK)
        incident = number_incident(exchange, &record);
    if (detail != NULL)
        record_set_text(&record, RECORD_DETAIL, detail);
    record_set_number(&record, RECORD_STATUS, reason_status(reason));
    replica_record(exchange->worker->replica, &record);
    exchange->recorded = true;
    write_answer(exchange, reason, incident);
    exchange->carrier->finish(exchange);
}

void session_fail_origin(struct exchange *exchange, enum record_event event, enum reason reason,
                         const char *detail)
{
    exchange->origin_failed = true;
    session_answer(exchange, event, reason, detail);
    exchange->carrier->drop_origin(exchange); /* only now: the record still spoke of its response */
}

/* In TLS 1.3 a client that has no certificate learns only after its handshake that it needs one, by
 * an alert that a reset may overtake (RFC 8446 section 4.4.2.4). */
void session_lose_origin(struct exchange *exchange, const char *detail)
{
    const struct flow *flow = exchange->flow;
    const SSL *ssl = flow->far != NULL ? channel_ssl(flow->far) : NULL;
    char hint[HINT_TEXT];

    if (ssl == NULL || !certificate_asked(ssl)) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_ORIGIN_UNREACHABLE, detail);
        return;
    }
    flow_certificate_hint(flow, hint, sizeof(hint));
    session_fail_origin(exchange, EVENT_TLS_ERROR, REASON_CLIENT_CERTIFICATE, hint);
}
