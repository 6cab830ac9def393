/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that fetches an update from a web server. What comes from the network is parsed here
 * and nowhere else: names, TLS and HTTP. It is a child that has become another user for ever, is
 * held to the system calls of the fetcher (sandbox.h), can write no file, and passes on the bytes
 * of the answer, and nothing else, through a pipe.
 *
 * libevent asks for the name (evdns, by /etc/resolv.conf), OpenSSL speaks TLS and verifies the
 * server, and the answer to the one GET is read by the strict core that the fetcher of lists uses
 * (fetch_answer.h): a plain 200 or nothing, so no redirect is followed. libevent's HTTP would bring
 * one more library into the image, reads more leniently and keeps whole bodies; libcurl would bring
 * fifteen. No proxy is used. What broke off is not resumed: the next question begins anew.
 */
#ifndef GATEWAY_UPDATE_FETCH_H
#define GATEWAY_UPDATE_FETCH_H

#include <stddef.h>
#include <sys/types.h>

#include "gateway/fetch_url.h"

/* X(symbol, text): why there is no file. The child's exit status is one of them. */
#define UPDATE_FETCH_FAULTS(X)                                                                     \
    X(NONE, "nothing")                                                                             \
    X(CONFINED, "the process that fetches cannot be shut in")                                      \
    X(TRUST, "the CAs of web servers cannot be read")                                              \
    X(UNRESOLVED, "the name has no address")                                                       \
    X(UNREACHABLE, "no connection")                                                                \
    X(TLS, "no TLS that is safe enough")                                                           \
    X(CERTIFICATE, "the server's certificate is not by a CA that is trusted here")                 \
    X(NAME, "the server's certificate is for another name")                                        \
    X(TIME, "the server's certificate is not valid at this time of this device's clock")           \
    X(ANSWER, "not the answer of a web server")                                                    \
    X(STATUS, "the server does not have it, or leads elsewhere")                                   \
    X(TOO_LARGE, "the file is larger than an update may be")                                       \
    X(BROKEN_OFF, "the connection breaks off")
enum update_fetch_fault {
#define X(symbol, text) UPDATE_FETCH_##symbol,
    UPDATE_FETCH_FAULTS(X)
#undef X
        UPDATE_FETCH_COUNT
};
const char *update_fetch_text(enum update_fetch_fault fault);

struct update_source {
    const char *url;        /* https://HOST[:PORT]/PATH */
    const char *trust;      /* the CAs of web servers, PEM */
    const char *more_trust; /* more of them, where the file is there; NULL for none */
    const char *user;       /* whom the child becomes */
    const char *folder;     /* where the download lies: on a disk */
    int patience, longest;  /* ms without a byte, and in all */
};

/*
 * In a new process, which may be root: prepares, shuts itself in, fetches at most `limit` bytes and
 * writes them to `out`, blocking. Ends the process with the fault, or with `parent`, its own.
 */
void update_fetch(const struct update_source *source, const struct fetch_url *url, size_t limit,
                  int out, pid_t parent) __attribute__((noreturn));

#endif
