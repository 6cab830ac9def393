/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows of the response table. A body is a download when it is an attachment, when the browser
 * asked for it to save it, when it answers something opened with a type that no browser shows, or
 * when its first bytes say so.
 */
#include "filters/judge.h"

#include <string.h>

#include "filters/kind.h"

static struct span response_field(const struct response *response, struct span name)
{
    const struct field *field = field_find(response->fields, response->field_count, name);
    return field ? field->value : (struct span){NULL, 0};
}

/* A page loads it as its part: nothing of it becomes a file. */
static bool is_part_of_page(const struct finding *finding)
{
    return finding->kind == KIND_SUBRESOURCE || finding->kind == KIND_WEBSOCKET;
}

static struct span media_type(const struct response *response)
{
    struct span value = response_field(response, SPAN("Content-Type"));
    return span_trim(span_first(value, span_index(value, ';')));
}

/*
 * RFC 9110, sections 6.4.1 and 15: no content, whatever the fields say. A coding that hides all of
 * what came makes no empty body of it.
 */
static bool has_body(const struct request *request, const struct response *response)
{
    return response->status >= 200 && response->status != 204 && response->status != 304 &&
           !span_equal(request->method, SPAN("HEAD")) &&
           !(response->prefix_is_whole && response->prefix_size == 0 && response->coded_size == 0);
}

/* The body of a redirect is never shown nor saved; where it leads is judged as a request. */
static bool is_redirect(const struct response *response)
{
    return response->status >= 300 && response->status < 400 &&
           response_field(response, SPAN("Location")).size;
}

/* Part of a file from its middle: what looks like a signature there is chance. */
static bool starts_in_the_middle(const struct request *request, const struct response *response)
{
    struct span range = response_field(response, SPAN("Content-Range"));
    if (response->status != 206 || !request_field(request, SPAN("Range")).size ||
        !span_starts_nocase(range, SPAN("bytes ")))
        return false;
    range = span_trim(span_from(range, 6));
    return range.size && range.data[0] >= '1' && range.data[0] <= '9';
}

static struct span extension_of(struct span name)
{
    for (size_t i = name.size; i > 0; i--)
        if (name.data[i - 1] == '.')
            return span_from(name, i);
    return (struct span){NULL, 0};
}

/* A script that a page loads is no file, nor a word that it is given; but machine code is one
 * wherever it turns up. */
static bool is_page_code(const char *type)
{
    return strcmp(type, "script") == 0 || strcmp(type, "dos-word") == 0;
}

static bool is_saved_by_type(const struct response_judgement *judgement)
{
    const struct response *response = judgement->response;
    if (judgement->declared.size)
        return !sniff_is_rendered(judgement->declared);
    bool final = response->prefix_is_whole || response->prefix_size >= SNIFF_BYTES;
    return judgement->by_bytes.danger != FILE_HARMLESS && (judgement->by_bytes.type[0] || final);
}

/* The clinic or the system's lists vouch for the host: its documents are part of the work. */
static bool is_vouched(const struct response_judgement *judgement)
{
    return judgement->class == CLASS_CLINIC || judgement->class == CLASS_SYSTEM;
}

/* A document that the browser would show inside itself is still a file that somebody made. */
static bool is_shown_document(const struct response_judgement *judgement)
{
    return (judgement->by_bytes.danger == FILE_DOCUMENT ||
            judgement->by_declared.danger == FILE_DOCUMENT) &&
           !is_vouched(judgement);
}

static bool is_saved_by_bytes(const struct response_judgement *judgement)
{
    switch (judgement->by_bytes.danger) {
    case FILE_DANGEROUS:
        return judgement->harmful_bytes;
    case FILE_ARCHIVE:
        return true;
    case FILE_DOCUMENT:
        return judgement->by_declared.danger != FILE_DOCUMENT &&
               !(is_part_of_page(judgement->finding) && is_vouched(judgement));
    default:
        return false;
    }
}

/*
 * Large sites call every answer to their scripts an attachment (Google's is "f.txt"), lest an old
 * browser take it for a page. Where it is asked for by a script it is data, unless it is a file.
 */
static bool is_guarded_data(const struct response_judgement *judgement)
{
    const char *declared = judgement->by_declared.type;
    enum file_danger bytes = judgement->by_bytes.danger, name = judgement->by_extension.danger;
    return is_part_of_page(judgement->finding) &&
           (strcmp(declared, "json") == 0 || is_page_code(declared)) &&
           (bytes == FILE_HARMLESS || judgement->by_bytes.type[0] == '\0') &&
           (name == FILE_HARMLESS || name == FILE_UNKNOWN);
}

static bool is_download(const struct response_judgement *judgement)
{
    if (is_redirect(judgement->response))
        return judgement->harmful_bytes;
    if ((judgement->attachment && !is_guarded_data(judgement)) ||
        request_is_saved(judgement->request) || is_saved_by_bytes(judgement))
        return true;
    return !is_part_of_page(judgement->finding) &&
           (is_saved_by_type(judgement) || is_shown_document(judgement));
}

/* What codings themselves begin with. */
static bool is_mark_of_coding(const char *type)
{
    return strcmp(type, "gzip") == 0 || strcmp(type, "zstd") == 0;
}

/* So short a mark that compressed data have it by chance, once in some ten thousand bodies. */
static bool is_short_mark(const char *type)
{
    static const char *const types[] = {"dos", "script", "swf", "dmg", "disk-image"};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/*
 * A client that does not undo the coding saves the bytes as they came, and a file may be made so
 * that it also decodes to something: the worse of the two counts.
 */
static void look_at_coded(struct response_judgement *judgement)
{
    const struct response *response = judgement->response;
    const struct file_facts *decoded = &judgement->by_bytes;
    struct file_facts facts;
    sniff_bytes(response->coded, response->coded_size, response->prefix_is_whole, &facts);
    if (facts.danger == FILE_HARMLESS || facts.danger == FILE_UNKNOWN ||
        is_mark_of_coding(facts.type))
        return;
    bool is_nothing = response->opaque || response->prefix_is_whole || decoded->type[0];
    is_nothing = is_nothing && (decoded->danger == FILE_UNKNOWN || response->prefix_size == 0);
    if (is_nothing || (facts.danger == FILE_DANGEROUS && !is_short_mark(facts.type)))
        judgement->by_bytes = facts;
}

static void find_facts(struct response_judgement *judgement)
{
    static const struct file_facts none = {"", "", FILE_UNKNOWN};
    const struct response *response = judgement->response;

    judgement->declared = media_type(response);
    sniff_file_name(response, judgement->request->target, judgement->name, sizeof(judgement->name),
                    &judgement->attachment);
    judgement->is_named = response_field(response, SPAN("Content-Disposition")).size > 0;
    judgement->extension = extension_of(span_of(judgement->name));
    if (!sniff_extension(judgement->extension, &judgement->by_extension))
        judgement->by_extension = none;
    if (!sniff_declared(judgement->declared, &judgement->by_declared))
        judgement->by_declared = none;
    judgement->by_bytes = none;
    if (!response->opaque && !starts_in_the_middle(judgement->request, response))
        sniff_bytes(response->prefix, response->prefix_size, response->prefix_is_whole,
                    &judgement->by_bytes);
    if (response->coded_size > 0 && !starts_in_the_middle(judgement->request, response))
        look_at_coded(judgement);
    judgement->harmful_bytes =
        judgement->by_bytes.danger == FILE_DANGEROUS &&
        !(is_part_of_page(judgement->finding) && is_page_code(judgement->by_bytes.type));
    judgement->is_download = is_download(judgement);
}

bool response_judgement_begin(struct response_judgement *judgement, const struct policy *policy,
                              const struct standing *standing, const struct request *request,
                              const struct response *response, struct finding *finding)
{
    memset(judgement, 0, sizeof(*judgement));
    judgement->policy = policy;
    judgement->standing = standing;
    judgement->request = request;
    judgement->response = response;
    judgement->finding = finding;
    if (!has_body(request, response))
        return false;
    judgement->class = policy_classify(policy, request->host, NULL, NULL);
    find_facts(judgement);
    finding->file = judgement->by_bytes;
    return true;
}

size_t filters_held_bytes(const struct request *request, const struct response *response,
                          const struct finding *finding)
{
    char name[256];
    bool attachment;
    struct span declared = media_type(response);
    sniff_file_name(response, request->target, name, sizeof(name), &attachment);
    if (!attachment && is_part_of_page(finding) &&
        span_equal_nocase(declared, SPAN("text/event-stream")))
        return 0;
    if (attachment || finding->kind == KIND_DOWNLOAD ||
        (!is_part_of_page(finding) && (declared.size == 0 || !sniff_is_rendered(declared))))
        return SNIFF_BYTES_DOWNLOAD;
    return SNIFF_BYTES;
}

/* What goes to a page's script may become a file; a picture, a font or a style does not. */
static bool is_for_script(const struct request *request)
{
    struct span destination = request_field(request, SPAN("Sec-Fetch-Dest"));
    return destination.size == 0 || span_equal_nocase(destination, SPAN("empty"));
}

size_t filters_wanted_bytes(const struct request *request, const struct response *response,
                            const struct finding *finding)
{
    size_t held = filters_held_bytes(request, response, finding);
    if (!is_part_of_page(finding) || is_for_script(request))
        return SNIFF_BYTES_DOWNLOAD;
    return held > SNIFF_BYTES ? held : SNIFF_BYTES;
}

/* Row 1. */
bool response_is_released(struct response_judgement *judgement)
{
    const struct request *request = judgement->request;
    if (judgement->finding->reason != REASON_RELEASED &&
        !release_find(judgement->standing, request->tls, request->host, request->port,
                      request->target))
        return false;
    judgement->finding->class = CLASS_RELEASED;
    return true;
}

/* After row 1: what row 3 of the requests could not tell by a path of the server's own choice. */
bool response_is_dns_over_https(struct response_judgement *judgement)
{
    return !is_vouched(judgement) && is_dns_media_type(judgement->declared);
}

static bool is_visual(struct span type)
{
    return span_starts_nocase(type, SPAN("image/")) || span_starts_nocase(type, SPAN("audio/")) ||
           span_starts_nocase(type, SPAN("video/")) || span_starts_nocase(type, SPAN("font/"));
}

/* What the declared type or the name makes a person expect; FILE_UNKNOWN when nothing. */
static enum file_danger expected_danger(const struct file_facts *facts, struct span type)
{
    if (facts->type[0])
        return facts->danger;
    return is_visual(type) || span_starts_nocase(type, SPAN("text/")) ? FILE_HARMLESS
                                                                      : FILE_UNKNOWN;
}

/* True when bytes that are `by_bytes` come under the promise `expected`, which they do not keep. */
static bool breaks_promise(const struct response_judgement *judgement,
                           const struct file_facts *promise, enum file_danger expected)
{
    if (expected != FILE_HARMLESS && expected != FILE_DOCUMENT)
        return false;
    if (judgement->harmful_bytes)
        return true;
    /* office documents are zip files; a pdf is not */
    return judgement->by_bytes.danger == FILE_ARCHIVE &&
           (expected == FILE_HARMLESS || strcmp(promise->type, "pdf") == 0 ||
            strcmp(judgement->by_bytes.type, "zip") != 0);
}

static bool is_bare_type(struct span declared)
{
    return declared.size == 0 || span_equal_nocase(declared, SPAN("application/octet-stream")) ||
           span_equal_nocase(declared, SPAN("binary/octet-stream"));
}

/* Row 2. A name in the path promises something only when no better name and no type was given. */
bool response_is_mismatch(struct response_judgement *judgement)
{
    if (!is_bare_type(judgement->declared) &&
        breaks_promise(judgement, &judgement->by_declared,
                       expected_danger(&judgement->by_declared, judgement->declared)))
        return true;
    return (judgement->is_named || is_bare_type(judgement->declared)) &&
           breaks_promise(judgement, &judgement->by_extension,
                          expected_danger(&judgement->by_extension, (struct span){NULL, 0}));
}

static bool type_fits(const char *listed, const struct file_facts *facts, struct span extension)
{
    struct span type = span_of(listed);
    return strcmp(listed, "*") == 0 || span_equal_nocase(type, span_of(facts->type)) ||
           span_equal_nocase(type, span_of(facts->mime)) || span_equal_nocase(type, extension);
}

/* True when the clinic takes such files from this host. `extension` only where it may speak. */
static bool is_listed(const struct response_judgement *judgement, const struct file_facts *facts,
                      struct span extension)
{
    const struct policy *policy = judgement->policy;
    if (judgement->class == CLASS_SYSTEM)
        return true;
    for (size_t i = 0; i < policy->file_count; i++)
        if (hostset_find(policy->files[i].hosts, judgement->request->host) &&
            type_fits(policy->files[i].type, facts, extension))
            return true;
    return false;
}

/*
 * Row 3. The name speaks for the list only where it tells the same as the bytes: "xls" is no leave
 * for the macros that came in one.
 */
bool response_is_dangerous(struct response_judgement *judgement)
{
    const struct file_facts *by_bytes = &judgement->by_bytes;
    const struct file_facts *by_name = &judgement->by_extension;
    if (judgement->harmful_bytes) {
        bool agree = strcmp(by_bytes->type, by_name->type) == 0;
        return !is_listed(judgement, by_bytes,
                          agree ? judgement->extension : (struct span){NULL, 0});
    }
    if (!judgement->is_download || is_part_of_page(judgement->finding))
        return false;
    if (by_name->danger == FILE_DANGEROUS)
        return !is_listed(judgement, by_name, judgement->extension);
    return judgement->by_declared.danger == FILE_DANGEROUS &&
           !is_listed(judgement, &judgement->by_declared, judgement->extension);
}

/* Row 4, as far as the gateway goes by itself: a content coding that it cannot undo. */
bool response_is_opaque(struct response_judgement *judgement)
{
    return judgement->response->opaque &&
           !(is_part_of_page(judgement->finding) && is_visual(judgement->declared));
}

/* Row 5. */
bool response_is_unknown_download(struct response_judgement *judgement)
{
    enum request_source source = judgement->finding->source;
    bool applies = judgement->standing->consultation || source == FROM_SERVICE ||
                   source == FROM_LEARNED || judgement->policy->outside == OUTSIDE_DENY;
    return applies && judgement->is_download &&
           !is_listed(judgement, &judgement->by_bytes, judgement->extension);
}
