/* SPDX-License-Identifier: BSD-2-Clause */
/* A property list: see portal_profile.h. */
#include "gateway/portal_profile.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "filters/memory.h"
#include "gateway/digest.h"

#define VALUE_LIMIT 1024 /* escaped bytes of a value */
#define LINE        60   /* bytes of the certificate in a line of base64 */

void profile_make_uuid(const char *purpose, struct span bytes, char uuid[PROFILE_UUID])
{
    size_t length = strlen(purpose);
    char *text = memory_allocate(length + bytes.size, 1);
    uint8_t digest[DIGEST_SIZE];
    size_t used = 0;

    memcpy(text, purpose, length);
    if (bytes.size > 0)
        memcpy(text + length, bytes.data, bytes.size);
    digest_sha256((struct span){text, length + bytes.size}, digest);
    free(text);
    digest[6] = (uint8_t)((digest[6] & 0x0f) | 0x80);
    digest[8] = (uint8_t)((digest[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++)
        used += (size_t)snprintf(uuid + used, PROFILE_UUID - used, "%s%02X",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", digest[i]);
}

static void add_key(struct text *out, const char *key)
{
    text_add(out, SPAN("<key>"));
    text_add(out, span_of(key));
    text_add(out, SPAN("</key>"));
}

static void add_string(struct text *out, const char *key, struct span value)
{
    add_key(out, key);
    text_add(out, SPAN("<string>"));
    text_add_escaped(out, value, VALUE_LIMIT);
    text_add(out, SPAN("</string>\n"));
}

static void add_data(struct text *out, const char *key, struct span bytes)
{
    char line[4 * LINE / 3 + 1];

    add_key(out, key);
    text_add(out, SPAN("<data>\n"));
    while (bytes.size > 0) {
        struct span part = span_first(bytes, LINE);
        int length = EVP_EncodeBlock((unsigned char *)line, (const unsigned char *)part.data,
                                     (int)part.size);
        text_add(out, (struct span){line, (size_t)length});
        text_add(out, SPAN("\n"));
        bytes = span_from(bytes, part.size);
    }
    text_add(out, SPAN("</data>\n"));
}

/* What both dictionaries have. */
static void add_common(struct text *out, const char *purpose, const char *type, struct span der,
                       struct span name)
{
    char uuid[PROFILE_UUID], identifier[80];

    profile_make_uuid(purpose, der, uuid);
    snprintf(identifier, sizeof(identifier), "arpa.home.sekisho.%s.%.8s", purpose, uuid);
    add_string(out, "PayloadDisplayName", name);
    add_string(out, "PayloadIdentifier", span_of(identifier));
    add_string(out, "PayloadType", span_of(type));
    add_string(out, "PayloadUUID", span_of(uuid));
    add_key(out, "PayloadVersion");
    text_add(out, SPAN("<integer>1</integer>\n"));
}

void profile_write(struct span der, struct span name, struct span clinic, struct text *out)
{
    text_add(out, SPAN("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
                       "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
                       "<plist version=\"1.0\">\n<dict>\n"));
    add_key(out, "PayloadContent");
    text_add(out, SPAN("<array>\n<dict>\n"));
    add_string(out, "PayloadCertificateFileName", SPAN("sekisho-ca.cer"));
    add_data(out, "PayloadContent", der);
    add_common(out, "certificate", "com.apple.security.root", der, name);
    text_add(out, SPAN("</dict>\n</array>\n"));
    add_common(out, "profile", "Configuration", der, name);
    if (clinic.size > 0)
        add_string(out, "PayloadOrganization", clinic);
    text_add(out, SPAN("</dict>\n</plist>\n"));
}
