/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second looks of the sniffer: where a signature alone does not say what a body is, one of
 * these reads on in the prefix. Each returns the type, or TYPE_NONE when the signature was a
 * coincidence. All are linear in the size of the prefix.
 */
#ifndef FILTERS_SNIFF_LOOK_H
#define FILTERS_SNIFF_LOOK_H

#include "filters/filetype.h"

struct prefix {
    const uint8_t *data;
    size_t size;
    size_t start; /* of the text: behind a byte order mark and white space */
    bool text;    /* no binary data byte (WHATWG MIME Sniffing, section 3) */
    bool whole;   /* it is the whole body */
};

/* Bytes that WHATWG calls white space. */
bool look_is_white(uint8_t byte);

/* True when `text` occurs from `offset` on, ASCII case ignored. */
bool look_contains(const struct prefix *prefix, size_t offset, const char *text);

enum file_type look_mz(const struct prefix *prefix);       /* PE or DOS */
enum file_type look_cafebabe(const struct prefix *prefix); /* Java or a fat Mach-O */
enum file_type look_ole2(const struct prefix *prefix);     /* all of them dangerous */
enum file_type look_zip(const struct prefix *prefix);      /* OOXML, ODF, JAR, APK ... or zip */
enum file_type look_rtf(const struct prefix *prefix);      /* with objects or without */
enum file_type look_swf(const struct prefix *prefix);
enum file_type look_lzh(const struct prefix *prefix);
enum file_type look_boot(const struct prefix *prefix);         /* the boot sector of a disk image */
enum file_type look_der(const struct prefix *prefix);          /* a signed mobileconfig */
enum file_type look_binary_plist(const struct prefix *prefix); /* an unsigned one */
enum file_type look_html(const struct prefix *prefix);         /* html or hta */
enum file_type look_xml(const struct prefix *prefix);          /* by the root element */
enum file_type look_skippable(const struct prefix *prefix);    /* a frame in front of zstd or lz4 */
enum file_type look_tar(const struct prefix *prefix);     /* tar before POSIX: only a checksum */
enum file_type look_section(const struct prefix *prefix); /* .url and .desktop files */
enum file_type look_wide(const struct prefix *prefix);    /* UTF-16 with a mark */
enum file_type look_box(const struct prefix *prefix);     /* MP4 and its relatives */
enum file_type look_ebml(const struct prefix *prefix);    /* WebM, Matroska */
enum file_type look_frames(const struct prefix *prefix);  /* MP3 and AAC without a tag */
enum file_type look_packets(const struct prefix *prefix); /* MPEG transport stream */

#endif
