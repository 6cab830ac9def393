/* SPDX-License-Identifier: BSD-2-Clause */
/* `sekisho seal` and `sekisho unseal`: a file that only its passphrase opens. */
#include "gateway/sekisho.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "gateway/authority_private.h"
#include "gateway/configuration_reader.h"
#include "gateway/sealed.h"
#include "gateway/sekisho_passphrase.h"

static enum sekisho_exit fail(const char *path, const char *why)
{
    fprintf(stderr, "sekisho: %s: %s\n", path, why);
    return SEKISHO_ERROR;
}

typedef char *change(struct span bytes, struct span passphrase, size_t *size);

/* From the first argument's file into a new one, closed to others, that the second names. */
static enum sekisho_exit run(const struct sekisho *sekisho, bool seals, change *function,
                             const char *fault)
{
    const char *from = sekisho->arguments[0], *to = sekisho->arguments[1], *error = NULL;
    struct passphrase passphrase = {.size = 0};
    enum sekisho_exit result = SEKISHO_OK;
    size_t size = 0, made_size = 0;
    char *bytes = reader_file_contents(from, SEALED_LIMIT, &size, &error), *made = NULL;

    if (bytes == NULL)
        return fail(from, error);
    if (!sekisho_get_passphrase(sekisho, "Passphrase of the file: ", seals, &passphrase))
        result = SEKISHO_ERROR;
    else if (!(made = function((struct span){bytes, size},
                               (struct span){passphrase.text, passphrase.size}, &made_size)))
        result = fail(from, fault);
    else if (authority_file_put(to, (struct span){made, made_size}, 0600) < 0)
        result = fail(to, strerror(errno));
    OPENSSL_cleanse(&passphrase, sizeof(passphrase));
    if (made != NULL)
        OPENSSL_cleanse(made, made_size);
    free(made);
    OPENSSL_cleanse(bytes, size);
    free(bytes);
    return result;
}

enum sekisho_exit sekisho_seal(const struct sekisho *sekisho)
{
    return run(sekisho, true, sealed_make, "it is too large to be sealed");
}

enum sekisho_exit sekisho_unseal(const struct sekisho *sekisho)
{
    return run(sekisho, false, sealed_open,
               "it is no sealed file, or damaged, or the passphrase is another one");
}
