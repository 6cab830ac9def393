/* SPDX-License-Identifier: BSD-2-Clause */
/* Passphrases: from a terminal or a file, never from the command line, which others can see. */
#include "gateway/sekisho_passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

/* The first line of a file that is closed to others. */
static bool read_file(const char *path, bool is_new, struct passphrase *passphrase)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat facts;
    ssize_t got = -1;

    if (fd >= 0 && fstat(fd, &facts) == 0 && (facts.st_mode & (S_IRWXG | S_IRWXO)))
        fprintf(stderr, "sekisho: %s: others than its owner can read it (chmod 600)\n", path);
    else if (fd < 0 || (got = read(fd, passphrase->text, sizeof(passphrase->text))) < 0)
        fprintf(stderr, "sekisho: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return false;
    passphrase->size = span_index((struct span){passphrase->text, (size_t)got}, '\n');
    if (passphrase->size > 0 && passphrase->text[passphrase->size - 1] == '\r')
        passphrase->size--;
    if (is_new && passphrase->size < AUTHORITY_PHRASE_LEAST)
        fprintf(stderr, "sekisho: %s: a passphrase has %d bytes at least\n", path,
                AUTHORITY_PHRASE_LEAST);
    else if (passphrase->size > AUTHORITY_PHRASE_MOST)
        fprintf(stderr, "sekisho: %s: a passphrase has %d bytes at most\n", path,
                AUTHORITY_PHRASE_MOST);
    else
        return true;
    return false;
}

bool sekisho_get_passphrase(const struct sekisho *sekisho, const char *question, bool is_new,
                            struct passphrase *passphrase)
{
    const char *path = sekisho->values[OPTION_PASSPHRASE];

    if (path != NULL)
        return read_file(path, is_new, passphrase);
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "sekisho: the passphrase is asked for on a terminal: there is none, and no "
                        "--passphrase-file\n");
        return false;
    }
    if (EVP_read_pw_string_min(passphrase->text, is_new ? AUTHORITY_PHRASE_LEAST : 0,
                               (int)sizeof(passphrase->text) - 1, question, is_new) != 0) {
        fprintf(stderr, "sekisho: no passphrase\n");
        return false;
    }
    passphrase->size = strlen(passphrase->text);
    return true;
}
