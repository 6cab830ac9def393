/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64 (RFC 4648), both alphabets alike. */
#ifndef FILTERS_BASE64_H
#define FILTERS_BASE64_H

/* 0 to 63, or -1 for a byte that is no digit. */
int base64_digit(char byte);

#endif
