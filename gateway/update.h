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
    const char *waits;   /* the same of what was installed since the start; in memory */
    const char *trust;   /* the CAs whose signers may make updates, PEM */
    const char *esp;     /* the folder where the EFI system partition is mounted */
};

/* What goes on, for the log. */
typedef void update_tell(void *context, const char *text);

/* How an update stands to what is there. */
enum update_standing {
    UPDATE_REFUSED, /* it is not genuine, or not for this device */
    UPDATE_NEWER,
    UPDATE_OLD,   /* not newer than what runs */
    UPDATE_WAITS, /* not newer than what waits for the next start */
    UPDATE_FAILED /* it was tried, and the version before was started again */
};

/*
 * Looks at the beginning of a bundle, head and signature: enough to know what it is, not that the
 * payload is whole. `text` says so in words unless it is newer. `size` is the whole bundle's, in
 * bytes. The file is read from its beginning.
 */
enum update_standing update_look(const struct update_place *place, int fd,
                                 struct bundle_manifest *manifest, uint64_t *size, char *text,
                                 size_t room);

/*
 * Verifies the file as a whole, from its beginning, and installs it. Versions other than the one
 * that runs are removed from the ESP first. One that failed before is taken all the same. 0, or -1
 * with a message in `error`. The manifest is what is in it.
 */
int update_install(const struct update_place *place, int fd, update_tell *tell, void *context,
                   struct bundle_manifest *manifest, char *error, size_t size);

#endif
