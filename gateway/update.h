/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Installing an update on the appliance: the new version is put beside the one that runs, on trial.
 * The loader takes it at the next start, counts three tries, and goes back by itself.
 *
 * Power may fail at any moment: nothing has a name that the loader knows before it is whole on the
 * disk and was read back, and the version that runs is never touched.
 */
#ifndef GATEWAY_UPDATE_H
#define GATEWAY_UPDATE_H

#include <stddef.h>

#include "gateway/bundle.h"

#define UPDATE_TRIES 3

struct update_place {
    const char *release; /* what runs: lines NAME=VALUE with device, version, sequence, floor */
    const char *trust;   /* the CAs whose signers may make updates, PEM */
    const char *esp;     /* the folder where the EFI system partition is mounted */
};

/* What goes on, for the log. */
typedef void update_tell(void *context, const char *text);

/*
 * Verifies the file as a whole. 0, or -1 with a message in `error`. The manifest is what is in it.
 */
int update_verify(const struct update_place *place, const char *file,
                  struct bundle_manifest *manifest, char *error, size_t size);

/* Verifies and installs. Versions other than the one that runs are removed from the ESP first. */
int update_install(const struct update_place *place, const char *file, update_tell *tell,
                   void *context, struct bundle_manifest *manifest, char *error, size_t size);

#endif
