/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker that was taken over, for tests alone: the daemon with this file in the place of
 * gateway/worker.c. It has the user, the sandbox and the links that a worker has, and says whatever
 * it likes. The slot of a worker is the row of the attacks that it makes, once it has all links;
 * what came of it stands in the daemon's log after "compromised".
 */
#include "gateway/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "filters/memory.h"
#include "gateway/chain.h"
#include "gateway/log.h"
#include "gateway/record.h"

#define YEAR       INT64_C(31536000)
#define FIRST_FREE UINT64_C(9000000) /* an incident number that nobody was given */

struct attacker {
    struct child *child;
    int signer, registry; /* the sockets of the links, -1 when there is none */
    uint64_t number;      /* the first incident number of its own */
    pid_t parent;
    bool has_key, has_state, attacked;
};

static void attack(struct attacker *attacker);

/* Any packet, whatever the tables of message.h say. */
static void say(int fd, enum message_type type, const void *payload, size_t size)
{
    struct {
        uint16_t type, version;
        uint32_t size;
    } header = {(uint16_t)type, 1, (uint32_t)size};
    struct iovec pieces[] = {{&header, sizeof(header)}, {(void *)payload, size}};

    if (writev(fd, pieces, 2) < 0)
        return; /* nobody is there: what follows tells */
}

static void ask_leaf(struct attacker *attacker, uint64_t id, const void *name, size_t size,
                     int64_t not_after)
{
    struct message_leaf question = {.id = id, .not_after = not_after};

    memcpy(question.name, name, size < sizeof(question.name) ? size : sizeof(question.name));
    say(attacker->signer, MESSAGE_LEAF, &question, sizeof(question));
}

static void send_record(struct attacker *attacker, enum record_event event, uint64_t number,
                        const char *host, const char *by)
{
    uint8_t packed[MESSAGE_MAX];
    struct record record;

    record_init(&record, event);
    if (number > 0)
        record_set_number(&record, RECORD_INCIDENT, number);
    record_set_text(&record, RECORD_REASON, "patient-link");
    record_set_text(&record, RECORD_HOST, host);
    if (by != NULL)
        record_set_text(&record, RECORD_BY, by);
    say(attacker->registry, MESSAGE_RECORD, packed, record_pack(&record, packed, sizeof(packed)));
}

/* --- the attacks --- */

/* What a worker may do works: otherwise the rest would prove nothing. */
static void be_honest(struct attacker *attacker)
{
    ask_leaf(attacker, 1, "honest.example", 14, 0);
    send_record(attacker, EVENT_BLOCK, attacker->number, "honest.example", NULL);
}

static void ask_excluded(struct attacker *attacker)
{
    static const char *const names[] = {"www.mhlw.go.jp", "go.jp", "WWW.IRS.GOV.", "navy.mil"};

    for (uint64_t i = 0; i < 4; i++)
        ask_leaf(attacker, i, names[i], strlen(names[i]), 0);
}

static void ask_long_life(struct attacker *attacker)
{
    ask_leaf(attacker, 1, "long.example", 12, INT64_MAX);
    ask_leaf(attacker, 2, "long.example", 12, (int64_t)time(NULL) + 10 * YEAR);
    ask_leaf(attacker, 3, "long.example", 12, INT64_MIN);
    ask_leaf(attacker, 4, "long.example", 12, -1);
}

/* Names that are more than one, other than a name, or the beginning of a certificate. */
static void ask_bytes(struct attacker *attacker)
{
    static const char der[] = "\x30\x82\x01\x0a\x02\x82\x01\x01";
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {"a.example,DNS:b.example", 23},
        {"*.example.jp", 12},
        {"", 0},
        {der, sizeof(der) - 1},
        {"a.example\nsubjectAltName=DNS:b", 30},
        {"CA:TRUE", 7},
        {"email:a@b.example", 17},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ask_leaf(attacker, i, rows[i].bytes, rows[i].size, 0);
}

static void ask_endless_name(struct attacker *attacker)
{
    char name[sizeof(((struct message_leaf *)0)->name)];

    memset(name, 'a', sizeof(name));
    ask_leaf(attacker, 1, name, sizeof(name), 0);
}

/* To have these bytes signed as they are. */
static void give_certificate_to_sign(struct attacker *attacker)
{
    static const uint8_t bytes[1024] = {0x30, 0x82};

    say(attacker->signer, MESSAGE_LEAF_CERTIFICATE, bytes, sizeof(bytes));
}

static void ask_for_key(struct attacker *attacker)
{
    say(attacker->signer, MESSAGE_LEAF_KEY, "?", 1);
}

static void make_release(struct attacker *attacker)
{
    struct message_release release = {
        .id = 4711, .until = INT64_MAX, .scope = RELEASE_HOST, .host = "evil.example"};

    say(attacker->registry, MESSAGE_RELEASE, &release, sizeof(release));
}

static void record_release(struct attacker *attacker)
{
    send_record(attacker, EVENT_RELEASE, 0, "evil.example", NULL);
}

static void record_start(struct attacker *attacker)
{
    send_record(attacker, EVENT_START, 0, "evil.example", NULL);
}

static void record_by_somebody(struct attacker *attacker)
{
    send_record(attacker, EVENT_BLOCK, 0, "evil.example", "the director");
}

static void record_foreign_number(struct attacker *attacker)
{
    send_record(attacker, EVENT_BLOCK, FIRST_FREE, "foreign.example", NULL);
}

static void end_consultations(struct attacker *attacker)
{
    struct message_consultation message = {.scope = "clinic", .service = "x", .until = 0};

    say(attacker->registry, MESSAGE_CONSULTATION, &message, sizeof(message));
}

static void open_boundary(struct attacker *attacker)
{
    struct message_boundary message = {.consultation = 0};

    (void)link_send(attacker->child->parent, MESSAGE_BOUNDARY, &message, sizeof(message), -1);
    for (int fd = 3; fd < 64; fd++) /* the parent's end is one of them */
        if (fd != attacker->signer && fd != attacker->registry)
            say(fd, MESSAGE_BOUNDARY, &message, sizeof(message));
}

static void read_files(struct attacker *attacker)
{
    const struct configuration *configuration = attacker->child->configuration;
    char store[512], memory[64];
    snprintf(store, sizeof(store), "%s/registry/registry.db", configuration->state_directory);
    snprintf(memory, sizeof(memory), "/proc/%d/mem", (int)attacker->parent);
    const char *const paths[] = {configuration->ca_key, store, memory, "/proc/self/mem",
                                 "/etc/shadow"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        log_warnx("compromised: file %zu: %s", i, fd >= 0 ? "OPEN" : strerror(errno));
    }
}

static void trace_it(struct attacker *attacker)
{
    if (ptrace(PTRACE_ATTACH, attacker->parent, NULL, NULL) != 0)
        log_warn("compromised: traced");
}

static void read_memory(struct attacker *attacker)
{
    struct iovec piece = {attacker, 8};
    (void)process_vm_readv(attacker->parent, &piece, 1, &piece, 1, 0);
}

static void start_program(struct attacker *attacker)
{
    (void)attacker;
    execl("/bin/sh", "sh", "-c", "true", (char *)NULL);
}

static void end_parent(struct attacker *attacker)
{
    kill(attacker->parent, SIGKILL);
}

static void listen_to_packets(struct attacker *attacker)
{
    (void)attacker;
    (void)socket(AF_PACKET, SOCK_RAW, 0);
}

static const struct {
    const char *name;
    void (*make)(struct attacker *attacker);
} attacks[] = {
    {"honest", be_honest},
    {"excluded", ask_excluded},
    {"long-life", ask_long_life},
    {"bytes", ask_bytes},
    {"endless-name", ask_endless_name},
    {"certificate", give_certificate_to_sign},
    {"ask-for-key", ask_for_key},
    {"release", make_release},
    {"record-release", record_release},
    {"record-start", record_start},
    {"record-by", record_by_somebody},
    {"record-number", record_foreign_number},
    {"consultation", end_consultations},
    {"boundary", open_boundary},
    {"files", read_files},
    {"ptrace", trace_it},
    {"memory", read_memory},
    {"program", start_program},
    {"kill", end_parent},
    {"packets", listen_to_packets},
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static const char *name_of(const struct attacker *attacker)
{
    return attacker->child->slot < ATTACKS ? attacks[attacker->child->slot].name : "?";
}

static void attack(struct attacker *attacker)
{
    if (attacker->attacked || !attacker->has_key || !attacker->has_state ||
        attacker->child->slot >= ATTACKS)
        return;
    attacker->attacked = true;
    log_warnx("compromised %s: attacks", name_of(attacker));
    attacks[attacker->child->slot].make(attacker);
    log_warnx("compromised %s: has attacked", name_of(attacker));
}

/* --- what it is answered --- */

static void tell_leaf(const struct attacker *attacker, const uint8_t *payload, size_t size)
{
    const unsigned char *der = payload + sizeof(uint64_t);
    uint64_t id;

    memcpy(&id, payload, sizeof(id));
    if (size == sizeof(id)) {
        log_warnx("compromised %s: %llu refused", name_of(attacker), (unsigned long long)id);
        return;
    }
    X509 *leaf = d2i_X509(NULL, &der, (long)(size - sizeof(id)));
    GENERAL_NAMES *names =
        leaf == NULL ? NULL : X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    log_warnx("compromised %s: %llu SIGNED for %lld s, %d names, %s", name_of(attacker),
              (unsigned long long)id,
              leaf == NULL ? -1LL : (long long)(chain_time(X509_get0_notAfter(leaf)) - time(NULL)),
              sk_GENERAL_NAME_num(names), X509_check_ca(leaf) ? "a CA" : "no CA");
    GENERAL_NAMES_free(names);
    X509_free(leaf);
}

static void on_signer(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    struct attacker *attacker = context;

    (void)link;
    (void)fd;
    if (type == MESSAGE_NONE) {
        log_warnx("compromised %s: cut off by the signer", name_of(attacker));
        attacker->signer = -1;
    } else if (type == MESSAGE_LEAF_CERTIFICATE) {
        tell_leaf(attacker, payload, size);
    } else if (type == MESSAGE_LEAF_KEY) {
        attacker->has_key = true;
        attack(attacker);
    }
}

static void on_registry(void *context, struct link *link, enum message_type type,
                        const void *payload, size_t size, int fd)
{
    struct attacker *attacker = context;

    (void)link;
    (void)size;
    (void)fd;
    if (type == MESSAGE_NONE) {
        log_warnx("compromised %s: cut off by the registry", name_of(attacker));
        attacker->registry = -1;
    } else if (type == MESSAGE_NUMBERS) {
        attacker->number = ((const struct message_numbers *)payload)->first;
    } else if (type == MESSAGE_SNAPSHOT_END) {
        attacker->has_state = true;
        attack(attacker);
    }
}

static void peer(struct child *child, enum role role, unsigned slot, int fd)
{
    struct attacker *attacker = child->state;

    (void)slot;
    if (role == ROLE_SIGNER) {
        attacker->signer = fd;
        (void)link_new(child->base, fd, ROLE_WORKER, role, on_signer, attacker);
    } else if (role == ROLE_REGISTRY) {
        attacker->registry = fd;
        (void)link_new(child->base, fd, ROLE_WORKER, role, on_registry, attacker);
    } else {
        close(fd);
    }
}

static int prepare(struct child *child)
{
    struct attacker *attacker = memory_allocate(1, sizeof(*attacker));

    attacker->child = child;
    attacker->signer = attacker->registry = -1;
    attacker->parent = getppid(); /* afterwards it cannot be asked */
    child->state = attacker;
    return 0;
}

static int start(struct child *child)
{
    child_ready(child);
    return 0;
}

const struct role_operations worker_operations = {
    .user = WORKER_USER,
    .sandbox = SANDBOX_WORKER,
    .prepare = prepare,
    .start = start,
    .peer = peer,
};
