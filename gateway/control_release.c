/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands around releases. Guideline xv allows an exception where the clinic reasonably judges
 * the risk to be limited: so each has a reason, a name and an end.
 */
#include "gateway/control_commands.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "filters/url.h"
#include "gateway/digest.h"
#include "gateway/page.h"
#include "gateway/utf8.h"

#define URL_LONGEST 16384

/* --- arguments --- */

/* A text of 1 to STORE_BY - 1 bytes without controls and not only of spaces; jansson has checked
 * that it is UTF-8. */
static bool take_text(const json_t *object, const char *key, char text[STORE_BY], json_t **reply)
{
    const json_t *given = json_object_get(object, key);
    struct span value = {json_string_value(given), json_string_length(given)};
    struct span rest = value = span_trim(value);

    if (value.size == 0) {
        *reply = control_error("a release needs \"%s\"", key);
        return false;
    }
    if (value.size >= STORE_BY) {
        *reply = control_error("\"%s\" is longer than %d bytes", key, STORE_BY - 1);
        return false;
    }
    while (rest.size > 0) {
        uint32_t character;

        rest = span_from(rest, utf8_decode(rest, &character));
        if (utf8_is_control(character)) {
            *reply = control_error("\"%s\" has a control character", key);
            return false;
        }
    }
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return true;
}

static bool parse_digest(struct span text, uint8_t digest[DIGEST_SIZE])
{
    if (text.size != (size_t)2 * DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        char pair[3] = {text.data[2 * i], text.data[2 * i + 1], '\0'};
        unsigned value;

        if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]) ||
            sscanf(pair, "%x", &value) != 1)
            return false;
        digest[i] = (uint8_t)value;
    }
    return true;
}

/* --- what is released --- */

/* The URL that was blocked where the incident knows it, otherwise its host. NULL or the answer. */
static json_t *release_incident(struct registry *registry, int64_t number,
                                struct stored_release *release)
{
    struct incident incident;
    struct span host;

    switch (store_find_incident(registry->store, (uint64_t)number, &incident)) {
    case STORE_OK:
        break;
    case STORE_ABSENT:
        return control_error("there is no incident %" PRId64, number);
    default:
        return control_error("the store cannot be read: %s", store_failure(registry->store));
    }
    host = record_get(&incident.record, RECORD_HOST);
    if (host.size == 0)
        host = record_get(&incident.record, RECORD_SNI);
    if (!host_normalise(host, release->release.host))
        return control_error("incident %" PRId64 " names no host: release a host or a URL", number);
    release->incident = (uint64_t)number;
    release->release.scope =
        parse_digest(record_get(&incident.record, RECORD_URL_SHA256), release->release.url_sha256)
            ? RELEASE_URL
            : RELEASE_HOST;
    return NULL;
}

static json_t *release_url(struct span text, struct stored_release *release)
{
    char normal[URL_LONGEST + 512];
    struct url url;
    size_t size;

    if (text.size > URL_LONGEST)
        return control_error("the URL is longer than %d bytes", URL_LONGEST);
    if (!url_parse(text, &url))
        return control_error("not a URL of http or https");
    size = url_normalise(url.tls, span_of(url.host), url.port, url.target, normal, sizeof(normal));
    if (size == 0)
        return control_error("the URL is too long");
    release->release.scope = RELEASE_URL;
    snprintf(release->release.host, sizeof(release->release.host), "%s", url.host);
    digest_sha256((struct span){normal, size}, release->release.url_sha256);
    return NULL;
}

static json_t *release_host(struct span text, struct stored_release *release)
{
    if (!host_normalise(text, release->release.host))
        return control_error("neither the number of an incident, nor a URL, nor a host");
    release->release.scope = RELEASE_HOST;
    return NULL;
}

static json_t *release_what(struct registry *registry, const json_t *given,
                            struct stored_release *release)
{
    struct span text = {json_string_value(given), json_string_length(given)};
    int64_t number = json_integer_value(given);
    uint64_t typed;

    if (json_is_integer(given) && number > 0)
        return release_incident(registry, number, release);
    /* As the page shows it and a person reads it out: "#12-345". No host looks like that. */
    if (incident_parse(text, &typed) && typed <= INT64_MAX)
        return release_incident(registry, (int64_t)typed, release);
    if (text.size == 0)
        return control_error("a release needs \"what\": an incident, a URL or a host");
    if (span_find_nocase(text, SPAN("://")) < text.size)
        return release_url(text, release);
    return release_host(text, release);
}

static json_t *show_release(const struct stored_release *release)
{
    char digest[2 * DIGEST_SIZE + 1];
    json_t *row =
        json_pack("{s:I, s:s, s:o, s:I, s:I, s:o, s:o, s:I}", "id", (json_int_t)release->release.id,
                  "scope", release->release.scope == RELEASE_URL ? "url" : "host", "host",
                  control_text(span_of(release->release.host)), "created",
                  (json_int_t)release->created, "until", (json_int_t)release->release.until,
                  "reason", control_text(span_of(release->reason)), "by",
                  control_text(span_of(release->by)), "uid", (json_int_t)release->uid);

    if (release->incident != 0)
        json_object_set_new(row, "incident", json_integer((json_int_t)release->incident));
    if (release->release.scope == RELEASE_URL) {
        digest_hex(release->release.url_sha256, DIGEST_SIZE, digest);
        json_object_set_new(row, "url-sha256", json_string(digest));
    }
    return row;
}

/* --- the commands --- */

json_t *command_release(struct registry *registry, uint64_t request, uid_t uid,
                        const json_t *object)
{
    struct stored_release release = {.uid = uid};
    const json_t *seconds = json_object_get(object, "seconds");
    json_t *reply = NULL;

    (void)request;
    if (!json_is_integer(seconds) || json_integer_value(seconds) < 1 ||
        json_integer_value(seconds) > RELEASE_LONGEST)
        return control_error("a release holds from 1 second to 30 days (\"seconds\")");
    if (!take_text(object, "reason", release.reason, &reply) ||
        !take_text(object, "by", release.by, &reply))
        return reply;
    reply = release_what(registry, json_object_get(object, "what"), &release);
    if (reply != NULL)
        return reply;
    release.created = registry_now() / 1000;
    release.release.until = release.created + json_integer_value(seconds);
    switch (registry_grant(registry, &release)) {
    case STORE_OK:
        return json_pack("{s:b, s:o}", "ok", 1, "release", show_release(&release));
    case STORE_ABSENT:
        return control_error("%d releases hold already: end some first", REGISTRY_RELEASES);
    default:
        return control_error("nothing is released: it could not be kept: %s",
                             store_failure(registry->store));
    }
}

json_t *command_releases(struct registry *registry, uint64_t request, uid_t uid,
                         const json_t *object)
{
    json_t *list = json_array();

    (void)request;
    (void)uid;
    (void)object;
    for (size_t i = 0; i < registry->release_count; i++)
        json_array_append_new(list, show_release(&registry->releases[i]));
    return json_pack("{s:b, s:o}", "ok", 1, "releases", list);
}

json_t *command_unrelease(struct registry *registry, uint64_t request, uid_t uid,
                          const json_t *object)
{
    const json_t *id = json_object_get(object, "id");
    char by[STORE_BY] = "";
    json_t *reply;

    (void)request;
    if (!json_is_integer(id))
        return control_error("\"id\" must be the number of a release");
    if (json_object_get(object, "by") == NULL)
        snprintf(by, sizeof(by), "uid %u", (unsigned)uid);
    else if (!take_text(object, "by", by, &reply))
        return reply;
    switch (registry_revoke(registry, json_integer_value(id), by)) {
    case STORE_OK:
        return json_pack("{s:b, s:I}", "ok", 1, "id", json_integer_value(id));
    case STORE_ABSENT:
        return control_error("no release %" JSON_INTEGER_FORMAT " holds", json_integer_value(id));
    default:
        return control_error("it is over, but that could not be kept yet: %s",
                             store_failure(registry->store));
    }
}
