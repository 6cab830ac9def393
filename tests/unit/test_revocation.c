/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of revoked certificates: made in memory, asked about a chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "gateway/certificate_verify.h"
#include "gateway/revocation.h"
#include "tests/unit/list_recipe.h"

static struct made root, between, leaf, other, stranger, mute;
static int64_t now;

static STACK_OF(X509) * chain_of(const struct made *first, const struct made *second)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    sk_X509_push(chain, first->certificate);
    sk_X509_push(chain, second->certificate);
    sk_X509_push(chain, root.certificate);
    return chain;
}

/* A list as a file has it. */
static bool add(struct revocation *lists, const struct recipe_list *recipe)
{
    struct recipe_list usual = *recipe;
    unsigned char *der;

    if (!usual.issuer)
        usual.issuer = &between;
    size_t size = make_list_der(&usual, now, &der);
    bool added = revocation_add(lists, (struct span){(const char *)der, size});
    OPENSSL_free(der);
    return added;
}

enum expected { REVOKED, KNOWN, UNKNOWN };

static enum expected ask(struct revocation *lists, const struct made *first,
                         const struct made *second)
{
    STACK_OF(X509) *chain = chain_of(first, second);
    struct revocation_answer answer = revocation_check(lists, chain, now);

    /* The second time it comes from what was kept. */
    struct revocation_answer again = revocation_check(lists, chain, now);
    assert_int_equal(answer.verdict, again.verdict);
    assert_int_equal(answer.unknown, again.unknown);
    sk_X509_free(chain);
    if (answer.verdict == VERDICT_REVOKED)
        return REVOKED;
    assert_int_equal(answer.verdict, VERDICT_OK);
    return answer.unknown & REVOCATION_LEAF ? UNKNOWN : KNOWN;
}

static void count_lines(void *argument, const char *line)
{
    assert_non_null(strstr(line, "tls.revocation-lists"));
    ++*(int *)argument;
}

static void test_lists(void **state)
{
    const struct {
        const char *label;
        enum expected expected;
        int told; /* by the review */
        struct recipe_list list;
    } rows[] = {
        {"empty", KNOWN, 0, {0}},
        {"revoked", REVOKED, 0, {.revoked = &leaf}},
        {"another is revoked", KNOWN, 0, {.revoked = &other}},
        {"over", UNKNOWN, 1, {.begin = -9 * DAY, .end = -60}},
        {"over, and revoked", REVOKED, 1, {.revoked = &leaf, .begin = -9 * DAY, .end = -60}},
        {"not begun", UNKNOWN, 1, {.begin = 3600, .end = DAY}},
        {"without an end", UNKNOWN, 1, {.revoked = &leaf, .no_end = true}},
        {"of another CA", UNKNOWN, 0, {.issuer = &stranger, .revoked = &leaf}},
        {"in the name of the CA",
         UNKNOWN,
         0,
         {.issuer = &stranger, .name_of = &between, .revoked = &leaf}},
        {"the same, without a key",
         UNKNOWN,
         1,
         {.issuer = &stranger, .name_of = &between, .no_key = true, .revoked = &leaf}},
        {"by the CA's CA", UNKNOWN, 0, {.issuer = &root, .name_of = &between, .revoked = &leaf}},
        {"no number", UNKNOWN, 1, {.number = NO_NUMBER}},
        {"critical number", UNKNOWN, 1, {.number = CRITICAL_NUMBER}},
        {"version 1", UNKNOWN, 1, {.version_1 = true}},
        {"no key", UNKNOWN, 1, {.no_key = true}},
        {"SHA-1", UNKNOWN, 1, {.revoked = &leaf, .digest = "SHA1"}},
        {"changes only",
         UNKNOWN,
         1,
         {.revoked = &leaf, .extra[0] = EXTRA("deltaCRL", true, "\2\1\1")}},
        {"unknown critical", UNKNOWN, 1, {.extra[0] = EXTRA("1.3.6.1.4.1.99999.1", true, "\5\0")}},
        {"unknown", KNOWN, 0, {.extra[0] = EXTRA("1.3.6.1.4.1.99999.1", false, "\5\0")}},
        {"twice",
         UNKNOWN,
         1,
         {.extra = {EXTRA("1.3.6.1.4.1.99999.1", false, "\5\0"),
                    EXTRA("1.3.6.1.4.1.99999.1", false, "\5\0")}}},
        {"for servers",
         KNOWN,
         0,
         {.extra[0] = EXTRA("issuingDistributionPoint", true, "\x30\3\x81\1\xff")}},
        {"for CAs",
         UNKNOWN,
         0,
         {.extra[0] = EXTRA("issuingDistributionPoint", true, "\x30\3\x82\1\xff")}},
        {"indirect",
         UNKNOWN,
         1,
         {.extra[0] = EXTRA("issuingDistributionPoint", true, "\x30\3\x84\1\xff")}},
        {"scope not critical",
         UNKNOWN,
         1,
         {.extra[0] = EXTRA("issuingDistributionPoint", false, "\x30\3\x81\1\xff")}},
        {"malformed scope",
         UNKNOWN,
         1,
         {.extra[0] = EXTRA("issuingDistributionPoint", true, "\x30\3\x81")}},
        {"the part that the leaf points to",
         KNOWN,
         0,
         {.extra[0] = EXTRA("issuingDistributionPoint", true,
                            "\x30\x1d\xa0\x1b\xa0\x19\x86\x17"
                            "http://crl.example.jp/1")}},
        {"another part",
         UNKNOWN,
         0,
         {.revoked = &leaf,
          .extra[0] = EXTRA("issuingDistributionPoint", true,
                            "\x30\x1d\xa0\x1b\xa0\x19\x86\x17"
                            "http://crl.example.jp/2")}},
        {"entry of another CA",
         UNKNOWN,
         1,
         {.revoked = &leaf, .entry = EXTRA("certificateIssuer", true, "\x30\3\x82\1z")}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct revocation *lists = revocation_new();
        int told = 0;
        assert_true(add(lists, &rows[i].list));
        enum expected got = ask(lists, &leaf, &between);
        revocation_review(lists, now, count_lines, &told);
        if (got != rows[i].expected || told != rows[i].told)
            fail_msg("%s: %d instead of %d, told %d", rows[i].label, got, rows[i].expected, told);
        revocation_free(lists);
    }
}

static void test_several_lists(void **state)
{
    struct revocation *lists = revocation_new();
    STACK_OF(X509) *chain = chain_of(&leaf, &between);

    (void)state;
    struct revocation_answer answer = revocation_check(lists, chain, now);
    assert_int_equal(answer.unknown, 3);
    add(lists, &(struct recipe_list){0});
    answer = revocation_check(lists, chain, now);
    assert_int_equal(answer.unknown, 2);
    add(lists, &(struct recipe_list){.issuer = &root});
    answer = revocation_check(lists, chain, now);
    assert_int_equal(answer.unknown, 0);
    add(lists, &(struct recipe_list){.issuer = &root, .revoked = &between});
    answer = revocation_check(lists, chain, now);
    assert_int_equal(answer.verdict, VERDICT_REVOKED);
    assert_int_equal(answer.depth, 1);
    sk_X509_free(chain);
    revocation_free(lists);
}

/* A CA that may sign certificates but no lists. */
static void test_mute_issuer(void **state)
{
    struct revocation *lists = revocation_new();
    struct made under = make(&(struct recipe){0}, &usual_leaf, &mute, make_key(P256));

    (void)state;
    add(lists, &(struct recipe_list){.issuer = &mute, .revoked = &under});
    assert_int_equal(ask(lists, &under, &mute), UNKNOWN);
    discard(&under);
    revocation_free(lists);
}

static enum certificate_verdict verify(struct revocation *lists, bool is_hard, bool *leaf_unknown)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *others = sk_X509_new_null();
    struct certificate_name name;

    assert_true(certificate_name_read(SPAN("www.example.jp"), &name));
    X509_STORE_add_cert(store, root.certificate);
    sk_X509_push(others, between.certificate);
    enum certificate_verdict verdict =
        certificate_chain_verify(&(struct certificate_question){.trust = store,
                                                                .leaf = leaf.certificate,
                                                                .others = others,
                                                                .name = &name,
                                                                .time = now,
                                                                .lists = lists,
                                                                .is_hard = is_hard,
                                                                .leaf_unknown = leaf_unknown},
                                 NULL);
    sk_X509_free(others);
    X509_STORE_free(store);
    return verdict;
}

static void test_verification(void **state)
{
    struct revocation *lists = revocation_new();
    bool unknown = false;

    (void)state;
    assert_int_equal(verify(NULL, true, NULL), VERDICT_OK);
    assert_int_equal(verify(lists, false, &unknown), VERDICT_OK);
    assert_int_equal(verify(lists, true, NULL), VERDICT_UNKNOWN);
    add(lists, &(struct recipe_list){.issuer = &root});
    assert_int_equal(verify(lists, true, NULL), VERDICT_UNKNOWN);
    assert_int_equal(verify(lists, true, &unknown), VERDICT_OK);
    assert_true(unknown);
    add(lists, &(struct recipe_list){0});
    assert_int_equal(verify(lists, true, NULL), VERDICT_OK);
    assert_int_equal(verify(lists, true, &unknown), VERDICT_OK);
    assert_false(unknown);
    add(lists, &(struct recipe_list){.revoked = &leaf});
    assert_int_equal(verify(lists, false, &unknown), VERDICT_REVOKED);
    revocation_free(lists);
}

static void test_files(void **state)
{
    char path[] = "/tmp/sekisho-test-lists.XXXXXX", error[256] = "";
    FILE *file = fdopen(mkstemp(path), "w");
    X509_CRL *list = make_list(&(struct recipe_list){.issuer = &between, .revoked = &leaf}, now);

    (void)state;
    fflush(file);
    assert_null(revocation_read(path, error, sizeof(error)));
    assert_non_null(strstr(error, path));
    assert_int_equal(PEM_write_X509_CRL(file, list), 1);
    assert_int_equal(PEM_write_X509_CRL(file, list), 1);
    fflush(file);
    struct revocation *lists = revocation_read(path, error, sizeof(error));
    assert_non_null(lists);
    assert_int_equal(ask(lists, &leaf, &between), REVOKED);
    revocation_free(lists);
    fprintf(file, "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n");
    fclose(file);
    assert_null(revocation_read(path, error, sizeof(error)));
    unlink(path);
    assert_null(revocation_read(path, error, sizeof(error)));
    X509_CRL_free(list);
}

static int set_up(void **state)
{
    (void)state;
    now = (int64_t)time(NULL);
    root = make(&(struct recipe){0}, &usual_root, NULL, make_key(P256));
    between = make(&(struct recipe){0}, &usual_ca, &root, make_key(P256));
    stranger = make(&(struct recipe){.subject = "stranger"}, &usual_ca, &root, make_key(P256));
    mute = make(&(struct recipe){.subject = "mute", .usage = "critical,keyCertSign"}, &usual_ca,
                &root, make_key(P256));
    leaf = make(&(struct recipe){.extra[0] = EXTRA("crlDistributionPoints", false,
                                                   "\x30\x1f\x30\x1d\xa0\x1b\xa0\x19\x86\x17"
                                                   "http://crl.example.jp/1")},
                &usual_leaf, &between, make_key(P256));
    other = make(&(struct recipe){0}, &usual_leaf, &between, make_key(P256));
    return 0;
}

static int tear_down(void **state)
{
    struct made *const all[] = {&root, &between, &leaf, &other, &stranger, &mute};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        discard(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),       cmocka_unit_test(test_several_lists),
        cmocka_unit_test(test_mute_issuer), cmocka_unit_test(test_verification),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
