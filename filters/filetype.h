/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file types that the gateway knows, in one table: what each is called in the configuration and
 * the log, its media type, and what it can do to the one who opens it. The extensions and declared
 * media types that mean them stand in filetype.c, their signatures in sniff.c.
 */
#ifndef FILTERS_FILETYPE_H
#define FILTERS_FILETYPE_H

#include "filters/sniff.h"

/* X(symbol, name, media type, danger) */
#define FILE_TYPES(X)                                                                              \
    X(NONE, "", "", UNKNOWN)                                                                       \
    X(BINARY, "binary", "application/octet-stream", UNKNOWN)                                       \
    /* what a browser shows or uses by itself */                                                   \
    X(TEXT, "text", "text/plain", HARMLESS)                                                        \
    X(HTML, "html", "text/html", HARMLESS)                                                         \
    X(XML, "xml", "text/xml", HARMLESS)                                                            \
    X(JSON, "json", "application/json", HARMLESS)                                                  \
    X(CSS, "css", "text/css", HARMLESS)                                                            \
    X(GIF, "gif", "image/gif", HARMLESS)                                                           \
    X(PNG, "png", "image/png", HARMLESS)                                                           \
    X(JPEG, "jpeg", "image/jpeg", HARMLESS)                                                        \
    X(WEBP, "webp", "image/webp", HARMLESS)                                                        \
    X(BMP, "bmp", "image/bmp", HARMLESS)                                                           \
    X(ICON, "ico", "image/x-icon", HARMLESS)                                                       \
    X(AVIF, "avif", "image/avif", HARMLESS)                                                        \
    X(HEIC, "heic", "image/heic", HARMLESS)                                                        \
    X(TIFF, "tiff", "image/tiff", HARMLESS)                                                        \
    X(JXL, "jxl", "image/jxl", HARMLESS)                                                           \
    X(MP3, "mp3", "audio/mpeg", HARMLESS)                                                          \
    X(AAC, "aac", "audio/aac", HARMLESS)                                                           \
    X(OGG, "ogg", "application/ogg", HARMLESS)                                                     \
    X(WAVE, "wav", "audio/wave", HARMLESS)                                                         \
    X(AIFF, "aiff", "audio/aiff", HARMLESS)                                                        \
    X(AU, "au", "audio/basic", HARMLESS)                                                           \
    X(MIDI, "midi", "audio/midi", HARMLESS)                                                        \
    X(FLAC, "flac", "audio/flac", HARMLESS)                                                        \
    X(MP4, "mp4", "video/mp4", HARMLESS)                                                           \
    X(WEBM, "webm", "video/webm", HARMLESS)                                                        \
    X(MATROSKA, "mkv", "video/x-matroska", HARMLESS)                                               \
    X(AVI, "avi", "video/avi", HARMLESS)                                                           \
    X(MPEG, "mpeg", "video/mpeg", HARMLESS)                                                        \
    X(MPEG_TS, "mpeg-ts", "video/mp2t", HARMLESS)                                                  \
    X(FLV, "flv", "video/x-flv", HARMLESS)                                                         \
    X(WOFF, "woff", "font/woff", HARMLESS)                                                         \
    X(WOFF2, "woff2", "font/woff2", HARMLESS)                                                      \
    X(TTF, "ttf", "font/ttf", HARMLESS)                                                            \
    X(OTF, "otf", "font/otf", HARMLESS)                                                            \
    X(TTC, "ttc", "font/collection", HARMLESS)                                                     \
    X(EOT, "eot", "application/vnd.ms-fontobject", HARMLESS)                                       \
    /* Runs only in the page that loads it, in the sandbox of its scripts; a saved one runs by     \
     * nothing that a person clicks. The consultation services' own web clients need it. */        \
    X(WASM, "wasm", "application/wasm", HARMLESS)                                                  \
    /* documents */                                                                                \
    X(PDF, "pdf", "application/pdf", DOCUMENT)                                                     \
    X(POSTSCRIPT, "ps", "application/postscript", DOCUMENT)                                        \
    X(RTF, "rtf", "application/rtf", DOCUMENT)                                                     \
    X(DOCX, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",     \
      DOCUMENT)                                                                                    \
    X(XLSX, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", DOCUMENT) \
    X(PPTX, "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation",   \
      DOCUMENT)                                                                                    \
    X(OOXML, "ooxml", "application/x-ooxml", DOCUMENT)                                             \
    X(ODF, "odf", "application/vnd.oasis.opendocument", DOCUMENT)                                  \
    X(EPUB, "epub", "application/epub+zip", DOCUMENT)                                              \
    X(CSV, "csv", "text/csv", DOCUMENT)                                                            \
    X(CALENDAR, "ics", "text/calendar", DOCUMENT)                                                  \
    X(CONTACT, "vcf", "text/vcard", DOCUMENT)                                                      \
    X(DICOM, "dicom", "application/dicom", DOCUMENT)                                               \
    /* In a page it is a picture, opened by itself it is a page with scripts. */                   \
    X(SVG, "svg", "image/svg+xml", DOCUMENT)                                                       \
    /* archives */                                                                                 \
    X(ZIP, "zip", "application/zip", ARCHIVE)                                                      \
    X(SEVEN_ZIP, "7z", "application/x-7z-compressed", ARCHIVE)                                     \
    X(RAR, "rar", "application/x-rar-compressed", ARCHIVE)                                         \
    X(GZIP, "gzip", "application/x-gzip", ARCHIVE)                                                 \
    X(BZIP2, "bzip2", "application/x-bzip2", ARCHIVE)                                              \
    X(XZ, "xz", "application/x-xz", ARCHIVE)                                                       \
    X(ZSTD, "zstd", "application/zstd", ARCHIVE)                                                   \
    X(LZMA, "lzma", "application/x-lzma", ARCHIVE)                                                 \
    X(LZIP, "lzip", "application/x-lzip", ARCHIVE)                                                 \
    X(LZ4, "lz4", "application/x-lz4", ARCHIVE)                                                    \
    X(COMPRESS, "compress", "application/x-compress", ARCHIVE)                                     \
    X(LZH, "lzh", "application/x-lzh-compressed", ARCHIVE)                                         \
    X(TAR, "tar", "application/x-tar", ARCHIVE)                                                    \
    X(CPIO, "cpio", "application/x-cpio", ARCHIVE)                                                 \
    X(AR, "ar", "application/x-archive", ARCHIVE)                                                  \
    X(CAB, "cab", "application/vnd.ms-cab-compressed", ARCHIVE)                                    \
    X(ACE, "ace", "application/x-ace-compressed", ARCHIVE)                                         \
    X(ARJ, "arj", "application/x-arj", ARCHIVE)                                                    \
    X(ENCODED, "encoded", "application/x-encoded-archive", ARCHIVE)                                \
    X(OTHER_ARCHIVE, "archive", "application/x-archive-other", ARCHIVE)                            \
    /* what runs, or makes something run */                                                        \
    X(PE, "pe", "application/vnd.microsoft.portable-executable", DANGEROUS)                        \
    X(DOS, "dos", "application/x-dosexec", DANGEROUS)                                              \
    /* begins like a program, but one word of a text may, and an answer to a script often is one   \
     */                                                                                            \
    X(DOS_WORD, "dos-word", "application/x-dosexec", DANGEROUS)                                    \
    X(ELF, "elf", "application/x-elf", DANGEROUS)                                                  \
    X(MACH_O, "mach-o", "application/x-mach-binary", DANGEROUS)                                    \
    X(JAVA_CLASS, "java-class", "application/java-vm", DANGEROUS)                                  \
    X(JAR, "jar", "application/java-archive", DANGEROUS)                                           \
    X(APK, "apk", "application/vnd.android.package-archive", DANGEROUS)                            \
    X(DEX, "dex", "application/vnd.android.dex", DANGEROUS)                                        \
    X(APPX, "appx", "application/appx", DANGEROUS)                                                 \
    X(IPA, "ipa", "application/x-ios-app", DANGEROUS)                                              \
    X(CRX, "crx", "application/x-chrome-extension", DANGEROUS)                                     \
    X(XPI, "xpi", "application/x-xpinstall", DANGEROUS)                                            \
    X(MSI, "msi", "application/x-msi", DANGEROUS)                                                  \
    X(PACKAGE, "package", "application/x-package", DANGEROUS)                                      \
    X(DEB, "deb", "application/vnd.debian.binary-package", DANGEROUS)                              \
    X(RPM, "rpm", "application/x-rpm", DANGEROUS)                                                  \
    X(XAR, "xar", "application/x-xar", DANGEROUS)                                                  \
    X(SCRIPT, "script", "application/x-script", DANGEROUS)                                         \
    X(SHORTCUT, "shortcut", "application/x-ms-shortcut", DANGEROUS)                                \
    X(HTA, "hta", "application/hta", DANGEROUS)                                                    \
    X(HELP, "help", "application/vnd.ms-htmlhelp", DANGEROUS)                                      \
    X(SWF, "swf", "application/x-shockwave-flash", DANGEROUS)                                      \
    X(DISK_IMAGE, "disk-image", "application/x-disk-image", DANGEROUS)                             \
    X(ISO, "iso", "application/x-iso9660-image", DANGEROUS)                                        \
    X(DMG, "dmg", "application/x-apple-diskimage", DANGEROUS)                                      \
    X(VHD, "vhd", "application/x-vhd", DANGEROUS)                                                  \
    X(SQUASHFS, "squashfs", "application/x-squashfs", DANGEROUS)                                   \
    X(OLE2, "ole2", "application/x-ole-storage", DANGEROUS)                                        \
    X(OLE2_MACRO, "ole2-macro", "application/x-ole-storage", DANGEROUS)                            \
    X(OLE2_ENCRYPTED, "ole2-encrypted", "application/x-ole-storage", DANGEROUS)                    \
    X(OOXML_MACRO, "ooxml-macro", "application/x-ooxml-macro", DANGEROUS)                          \
    X(ODF_MACRO, "odf-macro", "application/x-odf-macro", DANGEROUS)                                \
    X(RTF_OBJECT, "rtf-object", "application/rtf", DANGEROUS)                                      \
    X(ACCESS, "access", "application/msaccess", DANGEROUS)                                         \
    X(ONENOTE, "onenote", "application/onenote", DANGEROUS)                                        \
    X(MAIL, "mail", "message/rfc822", DANGEROUS)                                                   \
    X(SETTINGS, "settings", "application/x-settings", DANGEROUS)                                   \
    X(MOBILECONFIG, "mobileconfig", "application/x-apple-aspen-config", DANGEROUS)                 \
    X(CERTIFICATE, "certificate", "application/x-x509-ca-cert", DANGEROUS)                         \
    X(EXECUTABLE, "executable", "application/x-executable", DANGEROUS)

enum file_type {
#define X(symbol, name, mime, danger) TYPE_##symbol,
    FILE_TYPES(X)
#undef X
        TYPE_COUNT
};

/* The row of a type. */
void file_type_describe(enum file_type type, struct file_facts *facts);

#endif
