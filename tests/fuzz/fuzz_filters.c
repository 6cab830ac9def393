/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests, responses and flows from arbitrary bytes against the shared test policy. The first byte
 * sets what stands (consultation, outside, releases ...), the lines up to an empty one are method,
 * host, target, status and header fields ("<" begins a field of the response), the rest is the
 * body. What the policy promises must hold for every one of them.
 */
#include <stdint.h>

#include "tests/unit/policy_fixture.h"

#define NEEDS FIXTURE_NEEDS

#define SET_CONSULTATION 1u
#define SET_DENY         2u
#define SET_TLS          4u
#define SET_RELEASE      8u
#define SET_UNCOVERED    16u
#define SET_OPAQUE       32u
#define SET_PARTIAL      64u
#define SET_NOT_HTTP     128u

struct input {
    uint8_t settings;
    struct request request;
    struct response response;
    struct field request_fields[FIELDS], response_fields[FIELDS];
    char host[HOST_TEXT];
};

static struct span next_line(struct span *text)
{
    size_t end = span_index(*text, '\n');
    struct span line = span_first(*text, end);
    *text = span_from(*text, end + 1);
    return line;
}

static void read_fields(struct input *input, struct span *text)
{
    for (struct span line = next_line(text); line.size; line = next_line(text)) {
        bool of_response = line.data[0] == '<';
        line = span_from(line, of_response);
        size_t colon = span_index(line, ':');
        struct field field = {span_first(line, colon), span_trim(span_from(line, colon + 1))};
        if (of_response && input->response.field_count < FIELDS)
            input->response_fields[input->response.field_count++] = field;
        else if (!of_response && input->request.field_count < FIELDS)
            input->request_fields[input->request.field_count++] = field;
    }
}

/* False when no core would ever make such an exchange. */
static bool read_input(struct span text, struct input *input)
{
    int64_t status;
    memset(input, 0, sizeof(*input));
    if (text.size == 0)
        return false;
    input->settings = (uint8_t)text.data[0];
    text = span_from(text, 1);
    struct request *request = &input->request;
    request->method = next_line(&text);
    if (!host_normalise(next_line(&text), input->host))
        return false;
    request->host = span_of(input->host);
    request->target = next_line(&text);
    if (!span_starts(request->target, SPAN("/")) && !span_equal(request->target, SPAN("*")))
        return false;
    if (!span_number(next_line(&text), &status) || status < 100 || status > 999)
        return false;
    request->tls = input->settings & SET_TLS;
    request->port = request->tls ? 443 : 80;
    request->sni = request->tls ? request->host : (struct span){NULL, 0};
    request->host_is_covered = !(input->settings & SET_UNCOVERED);
    request->fields = input->request_fields;
    input->response.status = (unsigned)status;
    input->response.fields = input->response_fields;
    input->response.opaque = input->settings & SET_OPAQUE;
    input->response.prefix_is_whole = !(input->settings & SET_PARTIAL);
    read_fields(input, &text);
    input->response.prefix = (const uint8_t *)text.data;
    input->response.prefix_size = text.size;
    return true;
}

static void check_consistent(const struct finding *finding)
{
    bool passes = finding->reason == REASON_ALLOWED || finding->reason == REASON_RELEASED;
    NEEDS(passes == (finding->verdict == VERDICT_PASS));
    NEEDS((unsigned)finding->reason < REASON_COUNT);
    NEEDS(strlen(finding->judged_host) < HOST_TEXT && strlen(finding->source_name) < HOST_TEXT);
    NEEDS(finding->file.type && finding->file.mime);
}

static bool is_opened(enum request_kind kind)
{
    return kind != KIND_SUBRESOURCE && kind != KIND_WEBSOCKET;
}

static void check_request(const struct fixture *fixture, const struct input *input,
                          struct finding *finding)
{
    const struct standing *standing = &fixture->standing;
    struct finding again;
    filters_judge_request(&fixture->policy, standing, &input->request, finding);
    filters_judge_request(&fixture->policy, standing, &input->request, &again);
    check_consistent(finding);
    NEEDS(again.reason == finding->reason && again.kind == finding->kind &&
          again.class == finding->class && again.rule.line == finding->rule.line);
    if (!input->request.host_is_covered)
        NEEDS(finding->reason == REASON_MISDIRECTED);
    if (finding->verdict == VERDICT_BLOCK)
        return;
    if (finding->reason == REASON_RELEASED) {
        NEEDS(standing->release_count > 0);
        return;
    }
    NEEDS(finding->class != CLASS_DENIED);
    NEEDS(policy_classify(&fixture->policy, input->request.host, NULL, NULL) != CLASS_DENIED);
    if (finding->class != CLASS_UNKNOWN)
        return;
    bool strict = standing->consultation || fixture->policy.outside == OUTSIDE_DENY;
    NEEDS(!(strict && is_opened(finding->kind)));
    /* a part of a page passes only with a page that vouches for it */
    NEEDS(!strict || finding->source != FROM_NONE);
    NEEDS(!(finding->source == FROM_SERVICE &&
            (finding->kind == KIND_NAVIGATION || finding->kind == KIND_FRAME ||
             finding->kind == KIND_DOWNLOAD)));
}

static void check_response(const struct fixture *fixture, const struct input *input,
                           struct finding finding)
{
    const struct request *request = &input->request;
    const struct response *response = &input->response;
    struct finding kept = finding;
    struct file_facts facts;
    filters_judge_response(&fixture->policy, &fixture->standing, request, response, &finding);
    check_consistent(&finding);
    size_t wanted = filters_wanted_bytes(request, response, &kept);
    NEEDS(wanted == SNIFF_BYTES || wanted == SNIFF_BYTES_DOWNLOAD);
    if (kept.reason == REASON_RELEASED ||
        release_find(&fixture->standing, request->tls, request->host, request->port,
                     request->target)) {
        NEEDS(finding.verdict == VERDICT_PASS);
        return;
    }
    bool ranged = field_find(request->fields, request->field_count, SPAN("Range"));
    if (response->opaque || ranged || response->status < 200 || response->status == 204 ||
        response->status == 304 || span_equal(request->method, SPAN("HEAD")))
        return;
    sniff_bytes(response->prefix, response->prefix_size, response->prefix_is_whole, &facts);
    enum destination_class class = policy_classify(&fixture->policy, request->host, NULL, NULL);
    bool listed = class == CLASS_SYSTEM || span_equal(request->host, SPAN("tools.clinic.example"));
    bool may_be_a_part = strcmp(facts.type, "script") == 0 || strcmp(facts.type, "dos-word") == 0;
    if (facts.danger == FILE_DANGEROUS && !may_be_a_part && !listed)
        NEEDS(finding.verdict == VERDICT_BLOCK);
    /* without any bytes there is nothing that could be blocked */
    if (response->prefix_is_whole && response->prefix_size == 0)
        NEEDS(finding.verdict == VERDICT_PASS);
}

static void check_flow(const struct fixture *fixture, const struct input *input)
{
    struct flow_facts facts = {.alpn_is_http = !(input->settings & SET_NOT_HTTP)};
    struct flow_finding finding;
    if (!address_parse(input->request.host, &facts.destination))
        facts.sni = input->request.host;
    filters_judge_flow(&fixture->policy, &fixture->standing, &facts, &finding);
    bool released = release_find_host(&fixture->standing, input->request.host) != NULL;
    if (finding.class == CLASS_DENIED && !released)
        NEEDS(finding.verdict == FLOW_ANSWER || finding.verdict == FLOW_REFUSE);
    if (finding.class == CLASS_UNKNOWN)
        NEEDS(finding.verdict != FLOW_SPLICE);
    if (!facts.alpn_is_http)
        NEEDS(finding.verdict == FLOW_SPLICE || finding.verdict == FLOW_REFUSE);
    if (!facts.sni.size)
        NEEDS(finding.verdict != FLOW_ANSWER);
    NEEDS((finding.verdict == FLOW_SPLICE || finding.verdict == FLOW_INSPECT) ==
          (finding.reason == REASON_ALLOWED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fixture *fixture;
    struct input input;
    struct finding finding;
    if (!fixture)
        fixture = fixture_new();
    if (!read_input((struct span){(const char *)data, size}, &input))
        return 0;
    fixture->policy.outside = input.settings & SET_DENY ? OUTSIDE_DENY : OUTSIDE_INSPECT;
    fixture->standing.consultation = input.settings & SET_CONSULTATION;
    fixture->standing.release_count = 0;
    if (input.settings & SET_RELEASE) {
        fixture_release(fixture, RELEASE_HOST, "go.short.example", 60);
        fixture_release(fixture, RELEASE_URL, "https://evil.example/a", 60);
    }
    check_request(fixture, &input, &finding);
    check_response(fixture, &input, finding);
    check_flow(fixture, &input);
    return 0;
}
