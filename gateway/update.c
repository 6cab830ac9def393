/* SPDX-License-Identifier: BSD-2-Clause */
/* Verifying and installing an update: see update.h. */
#include "gateway/update.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "filters/memory.h"

#define VERSIONS "EFI/Linux"
#define PREFIX   "sekisho_"
#define PROGRAM  ".efi"  /* what the loader lists */
#define PART     ".part" /* what is being written */
#define OLD      ".old"  /* what is being removed */
#define NAME     (sizeof(PREFIX) + BUNDLE_TEXT + 16)
#define PIECE    65536 /* bytes read at a time */
#define LINE     128

struct running {
    char device[BUNDLE_TEXT], version[BUNDLE_TEXT];
    uint32_t sequence, floor;
};

/* --- what runs --- */

static bool take_value(const char *line, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);

    if (strncmp(line, name, length) != 0 || line[length] != '=')
        return false;
    snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
    return true;
}

static uint32_t read_number(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    return *text == '\0' || *end != '\0' || number > UINT32_MAX ? 0 : (uint32_t)number;
}

/* Of a file in the form of the release's. */
static bool read_version(const char *path, struct running *running)
{
    FILE *file = fopen(path, "re");
    char line[LINE], number[16];

    memset(running, 0, sizeof(*running));
    if (file == NULL)
        return false;
    while (fgets(line, sizeof(line), file) != NULL) {
        take_value(line, "device", running->device, sizeof(running->device));
        take_value(line, "version", running->version, sizeof(running->version));
        if (take_value(line, "sequence", number, sizeof(number)))
            running->sequence = read_number(number);
        if (take_value(line, "floor", number, sizeof(number)))
            running->floor = read_number(number);
    }
    fclose(file);
    return running->device[0] != '\0' && running->version[0] != '\0';
}

/* The floor that versions which proved themselves have left on the ESP. */
static uint32_t read_floor(const struct update_place *place)
{
    char path[PATH_MAX], text[16] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%s/sekisho/floor", place->esp);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof(text), file) != NULL)
        text[strcspn(text, "\n")] = '\0';
    fclose(file);
    return read_number(text);
}

/* --- verifying --- */

static bool read_all(int fd, void *bytes, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t more = read(fd, (char *)bytes + have, size - have);

        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return false;
        have += (size_t)more;
    }
    return true;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes = (const char *)bytes + done;
        size -= (size_t)done;
    }
    return true;
}

static X509_STORE *read_trust(const char *path)
{
    X509_STORE *trust = X509_STORE_new();

    if (trust != NULL && X509_STORE_load_file(trust, path) != 1) {
        X509_STORE_free(trust);
        trust = NULL;
    }
    return trust;
}

/*
 * Reads `size` bytes, which must have this digest; with `out` not -1 they are written there. False
 * with errno 0 when the bytes are others.
 */
static bool pass_on(int in, int out, uint64_t size, const uint8_t digest[DIGEST_SIZE])
{
    char *piece = memory_allocate(PIECE, 1);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t found[EVP_MAX_MD_SIZE];
    bool right = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    errno = 0;
    while (right && size > 0) {
        size_t next = size < PIECE ? (size_t)size : PIECE;

        right = read_all(in, piece, next) && EVP_DigestUpdate(context, piece, next) == 1 &&
                (out == -1 || write_all(out, piece, next));
        size -= next;
    }
    right = right && EVP_DigestFinal_ex(context, found, NULL) == 1 &&
            CRYPTO_memcmp(found, digest, DIGEST_SIZE) == 0;
    EVP_MD_CTX_free(context);
    free(piece);
    return right;
}

/* Leaves the file's position at the payload. */
static enum bundle_fault read_manifest(int fd, X509_STORE *trust, struct bundle_manifest *manifest,
                                       uint64_t *whole)
{
    uint8_t head[BUNDLE_HEAD];
    enum bundle_fault fault = BUNDLE_FORM;
    size_t size = 0;
    char *signature;

    if (lseek(fd, 0, SEEK_SET) == 0 && read_all(fd, head, sizeof(head)))
        fault = bundle_read_head(head, &size);
    if (fault != BUNDLE_OK)
        return fault;
    signature = memory_allocate(size, 1);
    fault = read_all(fd, signature, size)
                ? bundle_verify((struct span){signature, size}, trust, manifest)
                : BUNDLE_SIZE;
    free(signature);
    *whole = BUNDLE_HEAD + (uint64_t)size + manifest->size;
    return fault;
}

/* Is it a bundle of this image's signers for what runs here? False with a message in `error`. */
static bool read_bundle(const struct update_place *place, int fd, struct running *running,
                        struct bundle_manifest *manifest, uint64_t *whole, enum bundle_fault *fault,
                        char *error, size_t size)
{
    X509_STORE *trust = read_trust(place->trust);
    uint32_t floor = read_floor(place);

    memset(manifest, 0, sizeof(*manifest));
    *fault = BUNDLE_FORM;
    if (trust == NULL) {
        snprintf(error, size, "%s: no CA for updates: this image takes none", place->trust);
        return false;
    }
    if (!read_version(place->release, running)) {
        X509_STORE_free(trust);
        snprintf(error, size, "%s does not say what runs: this is no appliance", place->release);
        return false;
    }
    *fault = read_manifest(fd, trust, manifest, whole);
    X509_STORE_free(trust);
    if (*fault == BUNDLE_OK)
        *fault = bundle_fits(manifest, running->device, running->sequence,
                             floor > running->floor ? floor : running->floor);
    /* Of what has proved itself the loader takes the last by name, whatever the sequences are. */
    if (*fault == BUNDLE_OK && strverscmp(manifest->version, running->version) <= 0) {
        snprintf(error, size,
                 "version %s does not sort behind %s, which runs: it would not be started",
                 manifest->version, running->version);
        return false;
    }
    snprintf(error, size, "%s", bundle_fault_text(*fault));
    return *fault == BUNDLE_OK;
}

/* Leaves the file's position at the payload. */
static int verify(const struct update_place *place, int fd, struct running *running,
                  struct bundle_manifest *manifest, char *error, size_t size)
{
    enum bundle_fault fault = BUNDLE_OK;
    uint64_t whole = 0;
    struct stat facts;
    off_t payload;

    if (!read_bundle(place, fd, running, manifest, &whole, &fault, error, size))
        return -1;
    payload = lseek(fd, 0, SEEK_CUR);
    if (fstat(fd, &facts) != 0 || (uint64_t)facts.st_size != whole)
        fault = BUNDLE_SIZE;
    else if (!pass_on(fd, -1, manifest->size, manifest->digest) || lseek(fd, payload, SEEK_SET) < 0)
        fault = BUNDLE_DIGEST;
    if (fault == BUNDLE_OK)
        return 0;
    snprintf(error, size, "%s", bundle_fault_text(fault));
    return -1;
}

/* --- what is on the ESP --- */

static bool ends_in(const char *name, const char *end)
{
    size_t size = strlen(name), tail = strlen(end);

    return size >= tail && strcmp(name + size - tail, end) == 0;
}

/*
 * What follows the version in the name of one of its files: ".efi" in sekisho_VERSION.efi, or with
 * tries "+2-1.efi" in sekisho_VERSION+2-1.efi. NULL for a file of something else.
 */
static const char *tries_of(const char *name, const char *version)
{
    size_t size = strlen(version);
    const char *tries;

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
        strncmp(name + strlen(PREFIX), version, size) != 0)
        return NULL;
    tries = name + strlen(PREFIX) + size;
    return strcmp(tries, PROGRAM) == 0 || (*tries == '+' && ends_in(tries, PROGRAM)) ? tries : NULL;
}

static bool is_of(const char *name, const char *version)
{
    return tries_of(name, version) != NULL;
}

/*
 * The loader passes over what has no try left, and over a name of which a power cut left nothing
 * else.
 */
static enum update_standing find_version(const struct update_place *place, const char *version)
{
    enum update_standing standing = UPDATE_NEWER;
    char path[PATH_MAX];
    struct dirent *entry;

    snprintf(path, sizeof(path), "%s/" VERSIONS, place->esp);
    DIR *list = opendir(path);
    while (list != NULL && (entry = readdir(list)) != NULL) {
        const char *tries = tries_of(entry->d_name, version);
        struct stat facts;

        if (tries != NULL && standing != UPDATE_WAITS &&
            fstatat(dirfd(list), entry->d_name, &facts, 0) == 0 && facts.st_size > 0)
            standing = strncmp(tries, "+0", 2) == 0 && (tries[2] < '0' || tries[2] > '9')
                           ? UPDATE_FAILED
                           : UPDATE_WAITS;
    }
    if (list != NULL)
        closedir(list);
    return standing;
}

enum update_standing update_look(const struct update_place *place, int fd,
                                 struct bundle_manifest *manifest, uint64_t *size, char *text,
                                 size_t room)
{
    enum bundle_fault fault;
    struct running running, waits;
    enum update_standing standing;

    if (!read_bundle(place, fd, &running, manifest, size, &fault, text, room)) {
        bool is_old = fault == BUNDLE_OLD ||
                      (fault == BUNDLE_FLOOR && manifest->sequence <= running.sequence);

        if (is_old)
            snprintf(text, room, "version %s is offered, and %s runs", manifest->version,
                     running.version);
        return is_old ? UPDATE_OLD : UPDATE_REFUSED;
    }
    if (read_version(place->waits, &waits) && manifest->sequence <= waits.sequence) {
        snprintf(text, room, "version %s is offered, and %s waits for the next start",
                 manifest->version, waits.version);
        return UPDATE_WAITS;
    }
    standing = find_version(place, manifest->version);
    if (standing == UPDATE_WAITS)
        snprintf(text, room, "version %s waits for the next start", manifest->version);
    if (standing == UPDATE_FAILED)
        snprintf(text, room, "version %s was tried and has failed", manifest->version);
    return standing;
}

/* --- installing --- */

static void set_aside(int folder, const char *name)
{
    char other[PATH_MAX];

    snprintf(other, sizeof(other), "%.*s" OLD, (int)(strlen(name) - strlen(PROGRAM)), name);
    renameat(folder, name, folder, other);
}

/*
 * Removes what is not of the version that runs; while that one is on trial itself, those that have
 * proved themselves stay, for it may still fail. False when it is not there: then nothing.
 *
 * A disk that loses its power may have freed a file's place and kept its name. So a name that the
 * loader lists goes first, and what had it when that is on the disk. Only fsync() has a disk write
 * what it still holds: for FAT, sync() does not.
 */
static bool make_room(int folder, const char *version)
{
    DIR *list = fdopendir(dup(folder));
    struct dirent *entry;
    bool there = false, proved = false;

    if (list == NULL)
        return false;
    while ((entry = readdir(list)) != NULL) {
        bool runs = is_of(entry->d_name, version);
        there = there || runs;
        proved = proved || (runs && strchr(entry->d_name, '+') == NULL);
    }
    rewinddir(list);
    while (there && (entry = readdir(list)) != NULL)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
            ends_in(entry->d_name, PROGRAM) && !is_of(entry->d_name, version) &&
            (proved || strchr(entry->d_name, '+') != NULL))
            set_aside(folder, entry->d_name);
    fsync(folder);
    rewinddir(list);
    while (there && (entry = readdir(list)) != NULL)
        if (ends_in(entry->d_name, PART) || ends_in(entry->d_name, OLD))
            unlinkat(folder, entry->d_name, 0);
    fsync(folder);
    closedir(list);
    return there;
}

/* Read from the disk, not from memory. */
static bool read_back(int folder, const char *name, const struct bundle_manifest *manifest)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    bool right = fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 &&
                 pass_on(fd, -1, manifest->size, manifest->digest);

    if (fd >= 0)
        close(fd);
    return right;
}

static bool put(int in, int folder, const struct bundle_manifest *manifest)
{
    char part[NAME], name[NAME];
    snprintf(part, sizeof(part), PREFIX "%s" PART, manifest->version);
    int out = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = out >= 0 && pass_on(in, out, manifest->size, manifest->digest);

    written = written && fsync(out) == 0;
    if (out >= 0 && close(out) != 0)
        written = false;
    snprintf(name, sizeof(name), PREFIX "%s+%d" PROGRAM, manifest->version, UPDATE_TRIES);
    if (written && read_back(folder, part, manifest) && renameat(folder, part, folder, name) == 0 &&
        fsync(folder) == 0)
        return true;
    int reason = errno;
    unlinkat(folder, part, 0);
    errno = reason;
    return false;
}

/* Until the start that tries it; it is only for the next question. */
static void note(const struct update_place *place, const struct running *running,
                 const struct bundle_manifest *manifest)
{
    FILE *file = fopen(place->waits, "we");

    if (file == NULL)
        return;
    fprintf(file, "version=%s\nsequence=%u\nfloor=%u\ndevice=%s\n", manifest->version,
            manifest->sequence, manifest->floor, running->device);
    fclose(file);
}

int update_install(const struct update_place *place, int fd, update_tell *tell, void *context,
                   struct bundle_manifest *manifest, char *error, size_t size)
{
    char folder_path[PATH_MAX], text[256];
    struct running running;
    int folder, result = -1;

    if (verify(place, fd, &running, manifest, error, size) != 0)
        return -1;
    snprintf(text, sizeof(text), "version %s is genuine, it is installed beside %s",
             manifest->version, running.version);
    tell(context, text);
    snprintf(folder_path, sizeof(folder_path), "%s/" VERSIONS, place->esp);
    folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        snprintf(error, size, "%s: %s", folder_path, strerror(errno));
        return -1;
    }
    if (!make_room(folder, running.version)) {
        snprintf(error, size, "%s does not hold the version that runs", folder_path);
    } else if (!put(fd, folder, manifest)) {
        snprintf(error, size, "it cannot be written: %s",
                 errno == 0 ? "what was read back is not what was written" : strerror(errno));
    } else {
        note(place, &running, manifest);
        result = 0;
    }
    close(folder);
    return result;
}
