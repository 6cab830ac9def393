/* SPDX-License-Identifier: BSD-2-Clause */
/* See update_fetch.h. */
#include "gateway/update_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/util.h>
#include <openssl/x509v3.h>

#include "gateway/attempt.h"
#include "gateway/certificate_tls.h"
#include "gateway/channel.h"
#include "gateway/exchange.h"
#include "gateway/fetch_answer.h"
#include "gateway/sandbox.h"

#define PATIENCE   10000 /* ms for one address when there are others to try */
#define HEAD_LIMIT 16384
#define PIECE      16384
/* Bytes that may be under way: whoever asks daily mostly has seen enough after the first few kB. */
#define WINDOW 32768
#define OUT    3 /* the descriptor of the pipe, the only one from before */

struct fetch {
    const struct fetch_url *url;
    struct event_base *base;
    struct evdns_base *dns;
    SSL_CTX *tls;
    struct evutil_addrinfo *next; /* address that is tried */
    struct attempt attempt;
    struct channel *channel;
    struct fetch_answer *answer;
};

static const char *const texts[] = {
#define X(symbol, text) text,
    UPDATE_FETCH_FAULTS(X)
#undef X
};

const char *update_fetch_text(enum update_fetch_fault fault)
{
    return (size_t)fault < UPDATE_FETCH_COUNT ? texts[fault] : "?";
}

static void finish(enum update_fetch_fault fault) __attribute__((noreturn));
static void finish(enum update_fetch_fault fault)
{
    _exit((int)fault);
}

/* --- before anything of the network is read --- */

static SSL_CTX *make_tls(const struct update_source *source)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (tls == NULL || !certificate_tls_prepare(tls) ||
        SSL_CTX_load_verify_file(tls, source->trust) != 1)
        return NULL;
    if (source->more_trust != NULL && access(source->more_trust, F_OK) == 0 &&
        SSL_CTX_load_verify_file(tls, source->more_trust) != 1)
        return NULL;
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    return tls;
}

static bool become(const char *name)
{
    const struct passwd *entry = getpwnam(name);

    if (entry == NULL)
        return false;
    if (entry->pw_uid == geteuid())
        return true;
    return setgroups(0, NULL) == 0 && setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) == 0 &&
           setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) == 0;
}

/* No terminal, no file and no lock of the parent's; the pipe alone. */
static bool keep_only(int out)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool kept = nothing >= 0;

    if (out != OUT)
        kept = kept && dup2(out, OUT) == OUT;
    for (int fd = 0; fd < OUT; fd++)
        kept = kept && dup2(nothing, fd) == fd;
    return kept && close_range(OUT + 1, ~0U, 0) == 0;
}

static bool shut_in(const struct update_source *source, pid_t parent)
{
    static const struct rlimit none = {0, 0};

    return setrlimit(RLIMIT_FSIZE, &none) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
           become(source->user) && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent &&
           sandbox_enter(SANDBOX_FETCHER, NULL, 0) == 0;
}

/* --- the answer --- */

static enum update_fetch_fault fault_of(enum fetch_fault fault)
{
    switch (fault) {
    case FETCH_FAULT_STATUS:
        return UPDATE_FETCH_STATUS;
    case FETCH_FAULT_TOO_LARGE:
        return UPDATE_FETCH_TOO_LARGE;
    case FETCH_FAULT_BROKEN_OFF:
        return UPDATE_FETCH_BROKEN_OFF;
    default:
        return UPDATE_FETCH_ANSWER;
    }
}

/* The parent has seen enough when it has closed its end. */
static void pass_on(struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t written = write(OUT, bytes.data, bytes.size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            finish(UPDATE_FETCH_BROKEN_OFF);
        bytes = span_from(bytes, (size_t)written);
    }
}

static void settle(struct fetch *fetch, enum fetch_event event)
{
    if (event == FETCH_WHOLE)
        finish(UPDATE_FETCH_NONE);
    if (event == FETCH_FAILED)
        finish(fault_of(fetch_answer_fault(fetch->answer)));
}

static void take(struct fetch *fetch, struct span bytes)
{
    enum fetch_event event;
    struct span data;

    while ((event = fetch_answer_feed(fetch->answer, &bytes, &data)) == FETCH_BYTES)
        pass_on(data);
    settle(fetch, event);
}

/* To the end of what is there: the socket does not tell of what OpenSSL holds already. */
static void read_answer(struct fetch *fetch)
{
    static char bytes[PIECE];
    size_t got;

    while (true) {
        switch (channel_read(fetch->channel, bytes, sizeof(bytes), &got)) {
        case CHANNEL_DATA:
            take(fetch, (struct span){bytes, got});
            break;
        case CHANNEL_END:
            settle(fetch, fetch_answer_close(fetch->answer));
            return;
        case CHANNEL_AGAIN:
            return;
        case CHANNEL_ERROR:
            finish(UPDATE_FETCH_BROKEN_OFF);
        }
    }
}

static void send_request(struct fetch *fetch)
{
    fetch_url_write_request(fetch->url, SPAN("sekisho"), channel_output(fetch->channel));
    channel_want_read(fetch->channel, true);
    channel_flush(fetch->channel);
}

/* --- TLS --- */

static enum update_fetch_fault tls_fault(const SSL *ssl)
{
    switch (SSL_get_verify_result(ssl)) {
    case X509_V_OK:
        return UPDATE_FETCH_TLS;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return UPDATE_FETCH_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return UPDATE_FETCH_TIME;
    default:
        return UPDATE_FETCH_CERTIFICATE;
    }
}

static void on_channel(void *context, struct channel *channel, enum channel_event event)
{
    struct fetch *fetch = context;

    if (event == CHANNEL_HANDSHAKEN)
        send_request(fetch);
    else if (event == CHANNEL_READABLE)
        read_answer(fetch);
    else if (event == CHANNEL_FAILED)
        finish(SSL_is_init_finished(channel_ssl(channel)) ? UPDATE_FETCH_BROKEN_OFF
                                                          : tls_fault(channel_ssl(channel)));
}

/* Verified is the name of the URL, or its address where it has no name. */
static SSL *make_session(const struct fetch *fetch)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL *ssl = SSL_new(fetch->tls);
    const char *host = fetch->url->host;
    struct address literal;

    if (ssl == NULL || SSL_set_alpn_protos(ssl, protocols, sizeof(protocols) - 1) != 0)
        return NULL;
    if (address_parse(span_of(host), &literal))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? ssl : NULL;
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1 ? ssl : NULL;
}

/* --- the connection --- */

static bool begin_attempt(struct fetch *fetch, const struct evutil_addrinfo *to)
{
    static const int window = WINDOW;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
    return attempt_begin(&fetch->attempt, fd, to->ai_addr, to->ai_addrlen,
                         fetch->next != NULL ? PATIENCE : 0);
}

static void try_next(struct fetch *fetch)
{
    while (fetch->next != NULL) {
        const struct evutil_addrinfo *to = fetch->next;

        fetch->next = to->ai_next;
        if (begin_attempt(fetch, to))
            return;
    }
    finish(UPDATE_FETCH_UNREACHABLE);
}

static void on_attempt(void *context, enum attempt_end end, int fd)
{
    struct fetch *fetch = context;
    SSL *ssl;

    if (end != ATTEMPT_CONNECTED) {
        try_next(fetch);
        return;
    }
    fetch->channel = channel_new(fetch->base, fd, on_channel, fetch);
    ssl = make_session(fetch);
    if (ssl == NULL)
        finish(UPDATE_FETCH_TLS);
    channel_start_tls(fetch->channel, ssl, false);
}

static void on_resolved(int result, struct evutil_addrinfo *addresses, void *context)
{
    struct fetch *fetch = context;

    if (result != 0 || addresses == NULL)
        finish(UPDATE_FETCH_UNRESOLVED);
    fetch->next = addresses;
    try_next(fetch);
}

static void ask_for_name(struct fetch *fetch)
{
    const struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char port[8];

    snprintf(port, sizeof(port), "%u", fetch->url->port);
    evdns_getaddrinfo(fetch->dns, fetch->url->host, port, &hints, on_resolved, fetch);
}

void update_fetch(const struct update_source *source, const struct fetch_url *url, size_t limit,
                  int out, pid_t parent)
{
    struct fetch fetch = {.url = url};

    signal(SIGPIPE, SIG_IGN);
    if (!keep_only(out))
        finish(UPDATE_FETCH_CONFINED);
    fetch.tls = make_tls(source);
    if (fetch.tls == NULL)
        finish(UPDATE_FETCH_TRUST);
    fetch.base = channel_loop_new();
    /* Without a resolv.conf it asks this machine. */
    fetch.dns =
        fetch.base == NULL ? NULL : evdns_base_new(fetch.base, EVDNS_BASE_INITIALIZE_NAMESERVERS);
    if (fetch.dns == NULL || !shut_in(source, parent))
        finish(UPDATE_FETCH_CONFINED);
    /* The name is whole; the domain of a provider's lease is no part of it. */
    evdns_base_search_clear(fetch.dns);
    fetch.answer = fetch_answer_new(limit, HEAD_LIMIT);
    attempt_init(&fetch.attempt, fetch.base, on_attempt, &fetch);
    ask_for_name(&fetch);
    event_base_dispatch(fetch.base);
    finish(UPDATE_FETCH_UNRESOLVED);
}
