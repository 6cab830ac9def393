/* SPDX-License-Identifier: BSD-2-Clause */
/* A bundle from a web server: the true process that fetches, against a server of the test's own. */
#include "tests/unit/certificate_recipe.h"
#include "tests/unit/loop.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "gateway/bundle.h"
#include "gateway/update_download.h"

#define SIGNATURE 3000
#define PAYLOAD   200000
#define WHOLE     (BUNDLE_HEAD + SIGNATURE + PAYLOAD)
#define FEW       (8u << 20)

/* What the server says after the request. */
struct answer {
    const char *head;
    const char *bytes; /* of the body */
    size_t size;
    bool endless; /* and then zeros for ever */
    bool torn;    /* ends without saying so by TLS */
    bool silent;  /* says nothing at all */
};

/* What the server saw, from its own process. */
struct seen {
    char request[2048];
    uint64_t sent;
};

struct ground {
    char folder[64], trust[96], more[96];
    char bundle[WHOLE];
    struct made root, stranger;
    SSL_CTX *tls;
    struct seen *seen;
    char url[128];
    pid_t server;
    unsigned asked;
    uint64_t whole; /* what the judge says */
    off_t position; /* where the judge leaves the file */
    char error[256];
};

static void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

static void use_leaf(struct ground *ground, const struct made *issuer, const struct recipe *recipe)
{
    struct made leaf = make(recipe, &usual_leaf, issuer, make_key(P256));

    SSL_CTX_free(ground->tls);
    ground->tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(ground->tls, leaf.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ground->tls, leaf.key), 1);
    discard(&leaf);
}

static int set_up(void **state)
{
    static const struct recipe good = {.names = "IP:127.0.0.1,DNS:localhost"};
    struct ground *ground = calloc(1, sizeof(*ground));

    strcpy(ground->folder, "/tmp/test_update.XXXXXX");
    assert_non_null(mkdtemp(ground->folder));
    snprintf(ground->trust, sizeof(ground->trust), "%s/trust.pem", ground->folder);
    snprintf(ground->more, sizeof(ground->more), "%s/more.pem", ground->folder);
    ground->root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    ground->stranger =
        make(&(struct recipe){.subject = "stranger"}, &usual_root, NULL, make_key(P256));
    write_certificate(ground->trust, ground->root.certificate);
    use_leaf(ground, &ground->root, &good);
    memset(ground->bundle, 'x', sizeof(ground->bundle));
    memcpy(ground->bundle, "sekisho-bundle 1\n\0\0\x0b\xb8", BUNDLE_HEAD);
    ground->whole = WHOLE;
    ground->seen = mmap(NULL, sizeof(*ground->seen), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(ground->seen != MAP_FAILED);
    *state = ground;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *ground = *state;
    char command[128];

    SSL_CTX_free(ground->tls);
    discard(&ground->root);
    discard(&ground->stranger);
    munmap(ground->seen, sizeof(*ground->seen));
    snprintf(command, sizeof(command), "rm -rf %s", ground->folder);
    assert_int_equal(system(command), 0);
    free(ground);
    return 0;
}

/* --- the server --- */

static bool say(struct ground *ground, SSL *ssl, const char *bytes, size_t size)
{
    if (size == 0 || SSL_write(ssl, bytes, (int)size) <= 0)
        return false;
    ground->seen->sent += size;
    return true;
}

static void serve(struct ground *ground, int listener, const struct answer *answer)
{
    static const char zeros[16384];
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = SSL_new(ground->tls);
    int got;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) != 1)
        _exit(0);
    got = SSL_read(ssl, ground->seen->request, sizeof(ground->seen->request) - 1);
    if (got <= 0)
        _exit(0);
    while (answer->silent)
        pause();
    say(ground, ssl, answer->head, strlen(answer->head));
    for (size_t at = 0; at < answer->size; at += sizeof(zeros)) {
        size_t piece = answer->size - at;
        say(ground, ssl, answer->bytes + at, piece < sizeof(zeros) ? piece : sizeof(zeros));
    }
    while (answer->endless && say(ground, ssl, zeros, sizeof(zeros)))
        ;
    if (!answer->torn)
        SSL_shutdown(ssl);
    shutdown(fd, SHUT_WR);
    while (read(fd, ground->seen->request + got, 1) > 0)
        ;
    _exit(0);
}

static void start_server(struct ground *ground, const struct answer *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(ground->seen, 0, sizeof(*ground->seen));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(ground->url, sizeof(ground->url), "https://127.0.0.1:%u/a.bundle?b",
             ntohs(address.sin_port));
    ground->server = fork();
    if (ground->server == 0) {
        signal(SIGPIPE, SIG_IGN);
        serve(ground, listener, answer);
    }
    close(listener);
}

/* --- the question --- */

static uint64_t judge(void *context, int fd)
{
    struct ground *ground = context;
    char head[BUNDLE_HEAD + SIGNATURE];

    ground->asked++;
    assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
    assert_memory_equal(head, ground->bundle, sizeof(head));
    assert_int_equal(lseek(fd, ground->position, SEEK_SET), ground->position);
    return ground->whole;
}

static int ask(struct ground *ground)
{
    const struct passwd *self = getpwuid(geteuid());
    const struct update_source source = {
        .url = ground->url,
        .trust = ground->trust,
        .more_trust = ground->more,
        .user = self != NULL ? self->pw_name : "root",
        .folder = ground->folder,
        .patience = 2000,
        .longest = LONG_ENOUGH,
    };

    ground->asked = 0;
    return update_download(&source, judge, ground, ground->error, sizeof(ground->error));
}

static int download(struct ground *ground, const struct answer *answer)
{
    unsigned before = descriptors_open();
    int fd;

    start_server(ground, answer);
    fd = ask(ground);
    kill(ground->server, SIGKILL);
    waitpid(ground->server, NULL, 0);
    assert_int_equal(descriptors_open(), before + (fd >= 0));
    return fd;
}

static void fails(struct ground *ground, const struct answer *answer, const char *text)
{
    int fd = download(ground, answer);

    if (fd >= 0 || strcmp(ground->error, text) != 0)
        fail_msg("\"%s\", not \"%s\"", ground->error, text);
}

static void expect_bundle(struct ground *ground, int fd)
{
    static char found[WHOLE + 1];

    if (fd < 0)
        fail_msg("%s", ground->error);
    assert_int_equal(ground->asked, 1);
    assert_int_equal(pread(fd, found, sizeof(found), 0), WHOLE);
    assert_memory_equal(found, ground->bundle, WHOLE);
    close(fd);
}

/* --- the tests --- */

static void test_downloads(void **state)
{
    struct ground *ground = *state;
    char head[128];
    struct answer answer = {.bytes = ground->bundle, .size = WHOLE};

    answer.head = "HTTP/1.1 200 OK\r\n\r\n"; /* as long as the connection */
    expect_bundle(ground, download(ground, &answer));
    assert_non_null(strstr(ground->seen->request, "GET /a.bundle?b HTTP/1.1\r\nHost: 127.0.0.1:"));
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", WHOLE);
    answer.head = head;
    ground->position = 7;
    expect_bundle(ground, download(ground, &answer));
    answer.torn = true; /* what is whole is whole */
    expect_bundle(ground, download(ground, &answer));
}

/* No name is in the folder, during it and afterwards. */
static void test_leaves_nothing(void **state)
{
    struct ground *ground = *state;
    const struct answer answer = {
        "HTTP/1.1 200 OK\r\n\r\n", ground->bundle, WHOLE, false, false, false};
    int fd = download(ground, &answer);
    struct stat facts;
    char command[160];

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &facts), 0);
    assert_int_equal(facts.st_nlink, 0);
    close(fd);
    snprintf(command, sizeof(command), "[ \"$(ls -A %s)\" = trust.pem ]", ground->folder);
    assert_int_equal(system(command), 0);
}

/* Of a bundle that is not wanted little comes over the wire. */
static void test_stops_early(void **state)
{
    struct ground *ground = *state;
    struct answer answer = {
        .head = "HTTP/1.1 200 OK\r\n\r\n", .bytes = ground->bundle, .size = WHOLE, .endless = true};

    ground->whole = 0;
    fails(ground, &answer, "");
    assert_int_equal(ground->asked, 1);
    /* What two sockets hold. */
    assert_in_range(ground->seen->sent, BUNDLE_HEAD + SIGNATURE, FEW);
    answer.bytes = "something else\n";
    answer.size = 15;
    fails(ground, &answer, bundle_fault_text(BUNDLE_FORM));
    assert_int_equal(ground->asked, 0);
}

static void test_wrong_sizes(void **state)
{
    struct ground *ground = *state;
    struct answer answer = {.head = "HTTP/1.1 200 OK\r\n\r\n", .bytes = ground->bundle};
    char text[128];

    answer.size = WHOLE - 1;
    fails(ground, &answer, bundle_fault_text(BUNDLE_SIZE));
    answer.size = 100; /* not even the signature */
    fails(ground, &answer, bundle_fault_text(BUNDLE_SIZE));
    answer.size = WHOLE;
    answer.endless = true;
    fails(ground, &answer, bundle_fault_text(BUNDLE_SIZE));
    ground->whole = BUNDLE_HEAD + 10; /* shorter than what is there when it is known */
    fails(ground, &answer, bundle_fault_text(BUNDLE_SIZE));
    ground->whole = WHOLE;
    answer.endless = false;
    answer.torn = true;
    answer.size = 100000;
    fails(ground, &answer, "the download broke off after 100000 bytes; nothing of it is kept");
    answer.head = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";
    answer.torn = false;
    fails(ground, &answer, "the download broke off after 100000 bytes; nothing of it is kept");
    answer.head = "HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n";
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_TOO_LARGE));
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    answer.head = text;
    answer.size = 0;
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_ANSWER));
}

/* More than any disk has. */
static void test_no_room(void **state)
{
    struct ground *ground = *state;
    const struct answer answer = {
        .head = "HTTP/1.1 200 OK\r\n\r\n", .bytes = ground->bundle, .size = WHOLE, .endless = true};

    ground->whole = UINT64_C(1) << 60;
    fails(ground, &answer, "there is not enough room on the data partition");
}

static void test_answers(void **state)
{
    static const struct {
        const char *head;
        enum update_fetch_fault fault;
    } rows[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", UPDATE_FETCH_STATUS},
        {"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
         UPDATE_FETCH_STATUS},
        {"HTTP/1.1 206 Partial Content\r\n\r\n", UPDATE_FETCH_STATUS},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", UPDATE_FETCH_ANSWER},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", UPDATE_FETCH_ANSWER},
        {"SSH-2.0-x\r\n", UPDATE_FETCH_ANSWER},
        {"", UPDATE_FETCH_BROKEN_OFF},
    };
    struct ground *ground = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct answer answer = {.head = rows[i].head};

        fails(ground, &answer, update_fetch_text(rows[i].fault));
    }
}

static void test_certificates(void **state)
{
    static const struct recipe good = {.names = "IP:127.0.0.1"};
    struct ground *ground = *state;
    const struct answer answer = {
        .head = "HTTP/1.1 200 OK\r\n\r\n", .bytes = ground->bundle, .size = WHOLE};

    use_leaf(ground, &ground->stranger, &good);
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_CERTIFICATE));
    assert_string_equal(ground->seen->request, "");
    write_certificate(ground->more, ground->stranger.certificate);
    expect_bundle(ground, download(ground, &answer));
    use_leaf(ground, &ground->root, &good); /* it is one more */
    expect_bundle(ground, download(ground, &answer));
    use_leaf(ground, &ground->root, &(struct recipe){.names = "IP:127.0.0.2,DNS:127.0.0.1"});
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_NAME));
    use_leaf(ground, &ground->root,
             &(struct recipe){.names = good.names, .begin = -9 * DAY, .end = -DAY});
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_TIME));
    use_leaf(ground, &ground->root, &(struct recipe){.names = good.names, .purpose = "clientAuth"});
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_CERTIFICATE));
    use_leaf(ground, &ground->root, &good);
    assert_int_equal(SSL_CTX_set_max_proto_version(ground->tls, TLS1_1_VERSION), 1);
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_TLS));
    use_leaf(ground, &ground->root, &good);
    assert_int_equal(truncate(ground->more, 0), 0);
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_TRUST));
    unlink(ground->more);
    unlink(ground->trust);
    fails(ground, &answer, update_fetch_text(UPDATE_FETCH_TRUST));
}

static void test_silence(void **state)
{
    struct ground *ground = *state;
    const struct answer answer = {.silent = true};
    int64_t began = clock_monotonic();

    fails(ground, &answer, "the server takes too long");
    assert_true(clock_monotonic() - began < LONG_ENOUGH / 2);
}

static void test_no_server(void **state)
{
    static const char *const bad[] = {"http://127.0.0.1/x", "https://127.0.0.1",
                                      "ftp://127.0.0.1/x", ""};
    struct ground *ground = *state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(ground->url, sizeof(ground->url), "%s", bad[i]);
        assert_int_equal(ask(ground), -1);
        assert_string_equal(ground->error, "the address must be https://HOST/PATH");
    }
    strcpy(ground->url, "https://127.0.0.1:1/x");
    assert_int_equal(ask(ground), -1);
    assert_string_equal(ground->error, update_fetch_text(UPDATE_FETCH_UNREACHABLE));
}

/* Nobody fetches as somebody else than was meant. */
static void test_no_user(void **state)
{
    struct ground *ground = *state;
    const struct update_source source = {.url = "https://127.0.0.1:1/x",
                                         .trust = ground->trust,
                                         .user = "nobody-of-this-name",
                                         .folder = ground->folder,
                                         .patience = 2000,
                                         .longest = 2000};

    assert_int_equal(update_download(&source, judge, ground, ground->error, sizeof(ground->error)),
                     -1);
    assert_string_equal(ground->error, update_fetch_text(UPDATE_FETCH_CONFINED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_downloads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_user, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
