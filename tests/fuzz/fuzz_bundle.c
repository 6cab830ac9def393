/* SPDX-License-Identifier: BSD-2-Clause */
/* An update: its head, its signature (which nobody here could make) and its manifest. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool true_it_is)
{
    if (!true_it_is)
        abort();
}

static void look_at_manifest(struct span text)
{
    struct bundle_manifest manifest;

    if (!bundle_read_manifest(text, &manifest))
        return;
    expect(manifest.floor <= manifest.sequence && manifest.size > 0 &&
           manifest.size <= BUNDLE_PAYLOAD_MAX);
    /* They become names of files. */
    expect(strchr(manifest.version, '/') == NULL && manifest.version[0] != '.');
    expect(strnlen(manifest.version, BUNDLE_TEXT) < BUNDLE_TEXT);
    expect(bundle_fits(&manifest, manifest.device, manifest.sequence, 0) == BUNDLE_OLD);
    expect(bundle_fits(&manifest, "another", 0, 0) == BUNDLE_DEVICE ||
           strcmp(manifest.device, "another") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bundle_manifest manifest;
    size_t signature = 0;
    X509_STORE *trust;

    look_at_manifest((struct span){(const char *)data, size});
    if (size < BUNDLE_HEAD || bundle_read_head(data, &signature) != BUNDLE_OK ||
        signature > size - BUNDLE_HEAD)
        return 0;
    trust = X509_STORE_new();
    /* Nobody is trusted. */
    expect(trust != NULL &&
           bundle_verify((struct span){(const char *)data + BUNDLE_HEAD, signature}, trust,
                         &manifest) != BUNDLE_OK);
    X509_STORE_free(trust);
    return 0;
}
