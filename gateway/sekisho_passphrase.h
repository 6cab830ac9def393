/* SPDX-License-Identifier: BSD-2-Clause */
/* Passphrases that the control program asks for. */
#ifndef GATEWAY_SEKISHO_PASSPHRASE_H
#define GATEWAY_SEKISHO_PASSPHRASE_H

#include "gateway/authority.h"
#include "gateway/sekisho.h"

struct passphrase {
    char text[AUTHORITY_PHRASE_MOST + 1]; /* the caller clears it */
    size_t size;
};

/*
 * From the file that --passphrase-file names, or asked for on the terminal: twice when it is a new
 * one, which has AUTHORITY_PHRASE_LEAST bytes at least. False when it was said why there is none.
 */
bool sekisho_get_passphrase(const struct sekisho *sekisho, const char *question, bool is_new,
                            struct passphrase *passphrase);

#endif
