/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of the CA's key: see custody.h. */
#include "gateway/custody.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "gateway/log.h"

#define HEAP_SIZE  (256u << 10) /* bytes: some RSA keys and what signing takes meanwhile */
#define HEAP_PIECE 64

static bool wiping;

static void *take(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void give_back(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    if (wiping && memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

/* The system's own would leave the old place as it is. */
static void *change(void *memory, size_t size, const char *file, int line)
{
    size_t old;
    void *other;

    if (!wiping || memory == NULL)
        return realloc(memory, size);
    other = malloc(size);
    if (other == NULL)
        return NULL;
    old = malloc_usable_size(memory);
    memcpy(other, memory, old < size ? old : size);
    give_back(memory, file, line);
    return other;
}

void custody_prepare(void)
{
    if (CRYPTO_set_mem_functions(take, change, give_back) != 1)
        log_warnx("what OpenSSL frees is not wiped: it was in use already");
}

bool custody_begin(void)
{
    wiping = true;
    if (CRYPTO_secure_malloc_initialized())
        return true;
    switch (CRYPTO_secure_malloc_init(HEAP_SIZE, HEAP_PIECE)) {
    case 0:
        log_warnx("there is no memory to keep the CA's key in");
        return false;
    case 1:
        return true;
    default:
        log_warnx("the memory of the CA's key cannot be locked or fenced as it should: it may be "
                  "swapped out");
        return true;
    }
}

void custody_end(void)
{
    /* Where OpenSSL's random generator has settled there too, the memory stays with it. */
    if (CRYPTO_secure_malloc_initialized())
        (void)CRYPTO_secure_malloc_done();
    wiping = false;
}
