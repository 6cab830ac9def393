/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is never inspected. Three say so: the lists of tls.never-inspect, the zones of the closed
 * networks in force, and the CA itself, which cannot sign for what it excluded when it was made.
 * The policy gets all of them together: where the CA cannot speak, nothing is inspected. What the
 * lists have and the CA has not is told, since a stolen key could speak for it.
 */
#include "gateway/configuration_reader.h"

#include <string.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "filters/hostname.h"
#include "filters/memory.h"
#include "gateway/authority.h"

struct exclusions {
    struct reader *reader;
    struct hostset *set; /* of the CA */
    struct rule rule;
};

/* ".name": a CA's exclusions are names with all that is below them, nothing else. */
static void check_form(struct reader *reader)
{
    const struct hostset *never = reader->configuration->policy.never;

    for (size_t i = 0; i < hostset_count(never); i++) {
        const struct hostset_entry *entry = hostset_at(never, i);
        size_t offset;
        if (host_pattern_kind(span_of(entry->pattern), &offset) != PATTERN_WITHIN)
            reader_error(reader, entry->rule,
                         "\"%s\": expected .NAME: what a CA excludes is a name and all below it",
                         entry->pattern);
    }
    if (hostset_count(never) > AUTHORITY_NAMES_LIMIT)
        reader_error(reader, reader_rule_of(reader, SECTION_TLS, "never-inspect"),
                     "tls.never-inspect: more than %d names", AUTHORITY_NAMES_LIMIT);
}

static void add_within(struct hostset *set, struct span name, struct rule rule)
{
    char pattern[HOST_PATTERN_TEXT] = ".";

    if (name.size == 0 || name.size >= HOST_TEXT)
        return;
    memcpy(pattern + 1, name.data, name.size);
    hostset_add(set, (struct span){pattern, name.size + 1}, 0, rule);
}

static void add_zones(struct reader *reader)
{
    const struct configuration *c = reader->configuration;

    for (size_t i = 0; i < c->bypasses_count; i++)
        for (size_t k = 0; c->bypasses[i].in_force && k < c->bypasses[i].zone_count; k++)
            add_within(c->policy.never, span_of(c->bypasses[i].zones[k]), c->bypasses[i].rule);
}

static void take_exclusion(void *context, struct span name)
{
    struct exclusions *exclusions = context;

    add_within(exclusions->set, name, exclusions->rule);
}

static void compare(struct reader *reader, const struct exclusions *exclusions, bool one_tier)
{
    struct hostset *never = reader->configuration->policy.never;
    const struct hostset_entry *missing = NULL;
    size_t count = 0;

    for (size_t i = 0; i < hostset_count(never); i++) {
        const struct hostset_entry *entry = hostset_at(never, i);
        if (!reader_find_cover(exclusions->set, entry->pattern)) {
            count++;
            missing = missing ? missing : entry;
        }
    }
    if (one_tier)
        reader_warning(
            reader, exclusions->rule,
            "this CA is a root that signs by itself: `sekisho ca rotate` prepares one of "
            "two tiers, which devices can be given while this one still signs");
    else if (count > 0)
        reader_warning(reader, exclusions->rule,
                       "this CA could speak for %zu names that are never inspected (\"%s\", "
                       "%s:%u): `sekisho ca rotate` prepares one that cannot",
                       count, missing->pattern, missing->rule.file, missing->rule.line);
    for (size_t i = 0; i < hostset_count(exclusions->set); i++) {
        const struct hostset_entry *entry = hostset_at(exclusions->set, i);
        if (!reader_find_cover(never, entry->pattern))
            hostset_add(never, span_of(entry->pattern), 0, entry->rule);
    }
}

/* What cannot be read here, the signer and `sekisho check` tell of. */
static void check_chain(struct reader *reader)
{
    const char *path = reader->configuration->ca_certificate;
    struct exclusions exclusions = {reader, hostset_new(), {reader_file_name(reader, path), 1}};
    char error[512];
    STACK_OF(X509) *chain =
        access(path, R_OK) == 0 ? authority_read(path, error, sizeof(error)) : NULL;

    for (int i = 0; chain && i < sk_X509_num(chain); i++)
        authority_each_excluded(sk_X509_value(chain, i), take_exclusion, &exclusions);
    if (chain)
        compare(reader, &exclusions, sk_X509_num(chain) == 1 && authority_root(chain) != NULL);
    sk_X509_pop_free(chain, X509_free);
    hostset_free(exclusions.set);
}

/* What says "inspect" of a host that cannot be. */
static void check_treatments(struct reader *reader, const struct hostset *set)
{
    const struct hostset *never = reader->configuration->policy.never;

    for (size_t i = 0; i < hostset_count(set); i++) {
        const struct hostset_entry *entry = hostset_at(set, i);
        const struct hostset_entry *cover =
            entry->tag == TREAT_INSPECT ? reader_find_cover(never, entry->pattern) : NULL;
        if (cover)
            reader_warning(reader, entry->rule,
                           "\"%s\" is never inspected (\"%s\", %s:%u): it is passed on untouched",
                           entry->pattern, cover->pattern, cover->rule.file, cover->rule.line);
    }
}

void reader_check_authority(struct reader *reader)
{
    const struct policy *policy = &reader->configuration->policy;

    check_form(reader);
    add_zones(reader);
    if (reader->ca_wanted)
        check_chain(reader);
    check_treatments(reader, policy->clinic);
    for (size_t i = 0; i < policy->service_count; i++)
        check_treatments(reader, policy->services[i].hosts);
}
