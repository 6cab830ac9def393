/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates of issuers as they are fetched: never more than may be, each whole. */
#include <stdlib.h>

#include "gateway/fetch_issuers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STACK_OF(X509) *found = fetch_issuers_read((struct span){(const char *)data, size});

    if (found == NULL || sk_X509_num(found) > FETCH_ISSUERS_MAX)
        abort();
    for (int i = 0; i < sk_X509_num(found); i++)
        if (sk_X509_value(found, i) == NULL || i2d_X509(sk_X509_value(found, i), NULL) <= 0)
            abort();
    sk_X509_pop_free(found, X509_free);
    return 0;
}
