/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a body is, by its first bytes: the WHATWG MIME Sniffing Standard's table, and what it lacks
 * (PE, ELF, Mach-O, OLE2, OOXML with macros, 7z, RAR5, CAB, ISO, LZH, LNK, HTA, CHM, MSI, APK, disk
 * images, mobileconfig, scripts by extension). All signatures stand in one table in sniff.c.
 */
#ifndef FILTERS_SNIFF_H
#define FILTERS_SNIFF_H

#include "gateway/exchange.h"

/* What a type can do to the one who opens it. */
enum file_danger {
    FILE_HARMLESS,  /* what a browser shows by itself: text, pictures, audio, video, fonts */
    FILE_DOCUMENT,  /* pdf, office documents without macros */
    FILE_ARCHIVE,   /* holds other files */
    FILE_DANGEROUS, /* executable, script, shortcut, disk image, macro document ... */
    FILE_UNKNOWN    /* no signature fits and it is not text */
};

struct file_facts {
    const char *type; /* short name such as "pe", "pdf", "zip", "html"; "" when undecided; static */
    const char *mime; /* of `type`; "" when undecided; static */
    enum file_danger danger;
};

/* How many bytes of the prefix make the answer final (WHATWG: 1445). */
#define SNIFF_BYTES 1445
/* ISO 9660 has its mark at 32769: so many bytes are wanted of what is a download. */
#define SNIFF_BYTES_DOWNLOAD 32774

/* By the bytes alone. Never fails; `facts` is wholly set. */
void sniff_bytes(const uint8_t *prefix, size_t size, bool whole, struct file_facts *facts);

/* By the extension of a file name ("exe", any case, no dot). False when it is not a listed one. */
bool sniff_extension(struct span extension, struct file_facts *facts);

/* By a declared media type (essence only or with parameters). False when it is not a listed one. */
bool sniff_declared(struct span media_type, struct file_facts *facts);

/* True when a browser shows a top-level answer of this media type instead of saving it. */
bool sniff_is_rendered(struct span media_type);

/*
 * The file name that a response suggests: Content-Disposition (filename* before filename, RFC 6266)
 * or the last segment of the path. Decoded into `name` (NUL-terminated, cut at `size`).
 * `attachment` is set when the disposition is anything but inline.
 */
void sniff_file_name(const struct response *response, struct span target, char *name, size_t size,
                     bool *attachment);

#endif
