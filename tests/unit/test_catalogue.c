/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes with the gateway: every profile of conf/services and every list of conf/lists is read
 * as `sekisho check` reads it, alone and all together; and what the check says of patterns that
 * cover what strangers can fill.
 */
#include "tests/unit/configuration_fixture.h"

#include <dirent.h>

#include "gateway/shared_platform.h"

#define FILES_MAX 100

static char *names[FILES_MAX];
static size_t name_count;

static const char *source(void)
{
    const char *path = getenv("SEKISHO_SOURCE");
    return path ? path : ".";
}

/* The files of a folder of conf/, sorted. */
static void list_files(const char *kind, const char *prefix)
{
    struct dirent **entries;
    char path[512];

    snprintf(path, sizeof(path), "%s/conf/%s", source(), kind);
    int count = scandir(path, &entries, NULL, alphasort);
    assert_true(count > 2);
    name_count = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' &&
            strncmp(entries[i]->d_name, prefix, strlen(prefix)) == 0) {
            assert_true(name_count < FILES_MAX);
            assert_true(asprintf(&names[name_count++], "%s/%s", path, entries[i]->d_name) > 0);
        }
        free(entries[i]);
    }
    free(entries);
}

static void forget_files(void)
{
    while (name_count)
        free(names[--name_count]);
}

/* Warnings that only the clinic can end: it has not reviewed the service, nor named its meetings,
 * nor the networks that only its connection guide tells. */
static void check_reports(const char *what)
{
    for (char *line = strtok(reports, "\n"); line; line = strtok(NULL, "\n"))
        if (!strstr(line, ": reviewed is missing") && !strstr(line, "clinic.meetings is empty") &&
            !strstr(line, ": no networks: nothing passes by it") &&
            !strstr(line, "network.resolvers"))
            fail_msg("%s: %s", what, line);
}

static void test_services(void **state)
{
    (void)state;
    list_files("services", "");
    for (size_t i = 0; i < name_count; i++) {
        char text[640];
        snprintf(text, sizeof(text), "include(\"%s\")", names[i]);
        struct configuration *c = attempt_with(text, "listen.conf");
        check_reports(names[i]);
        assert_non_null(c);
        const char *base = strrchr(names[i], '/') + 1;
        if (c->policy.service_count == 0) {
            assert_int_equal(c->bypasses_count, 1);
            assert_memory_equal(base, "bypass-", 7);
            assert_memory_equal(base + 7, c->bypasses[0].name, strlen(c->bypasses[0].name));
            assert_string_not_equal(c->bypasses[0].title, c->bypasses[0].name);
        } else {
            const struct service *service = &c->policy.services[0];
            assert_true(hostset_count(service->hosts) > 0);
            assert_string_not_equal(service->title, "");
            if (strcmp(base, "template.conf") != 0)
                assert_memory_equal(base, service->name, strlen(service->name));
        }
        configuration_free(c);
    }
    forget_files();
}

/* Of two profiles neither may name a host that the other one treats otherwise. */
static void test_services_together(void **state)
{
    char text[FILES_MAX * 200] = "clinic { meetings = {\"zoom.us/j/1\"} }\n";

    (void)state;
    list_files("services", "");
    for (size_t i = 0; i < name_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "include(\"%s\")\n", names[i]);
    struct configuration *c = attempt_with(text, "listen.conf");
    check_reports("all services");
    assert_non_null(c);
    for (size_t i = 0; i < c->policy.service_count; i++)
        for (size_t k = 0; k < hostset_count(c->policy.services[i].hosts); k++) {
            const struct hostset_entry *entry = hostset_at(c->policy.services[i].hosts, k);
            for (size_t j = 0; j < c->policy.service_count; j++) {
                const struct hostset_entry *other =
                    entry->pattern[0] == '*' || entry->pattern[0] == '.'
                        ? NULL
                        : hostset_find(c->policy.services[j].hosts, span_of(entry->pattern));
                if (other && j != i && other->tag != entry->tag)
                    fail_msg("%s of %s is treated otherwise by %s", entry->pattern,
                             c->policy.services[i].name, c->policy.services[j].name);
            }
        }
    configuration_free(c);
    forget_files();
}

/* A list must say where its entries come from. */
static void check_sources(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[512];
    bool said = false;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, "Source:"))
            said = true;
        else if (line[0] != '#' && line[0] != '\n' && !said)
            fail_msg("%s: an entry without a source: %s", path, line);
    }
    fclose(file);
}

static void test_clinic_lists(void **state)
{
    (void)state;
    list_files("lists", "clinic-");
    assert_true(name_count >= 6);
    for (size_t i = 0; i < name_count; i++) {
        char text[640];
        snprintf(text, sizeof(text), "clinic { lists = {\"%s\"} }", names[i]);
        struct configuration *c = attempt_with(text, "listen.conf");
        check_reports(names[i]);
        assert_non_null(c);
        assert_true(hostset_count(c->policy.clinic) > 0);
        check_sources(names[i]);
        configuration_free(c);
    }
    forget_files();
}

static void test_other_lists(void **state)
{
    (void)state;
    list_files("lists", "");
    for (size_t i = 0; i < name_count; i++) {
        char text[640];
        if (strstr(names[i], "/clinic-"))
            continue;
        bool system = strstr(names[i], "updates") || strstr(names[i], "certificates") ||
                      strstr(names[i], "captive-portals");
        snprintf(text, sizeof(text), "policy { %s = {\"%s\"} }", system ? "system" : "denied",
                 names[i]);
        struct configuration *c = attempt_with(text, "listen.conf");
        check_reports(names[i]);
        assert_non_null(c);
        configuration_free(c);
    }
    forget_files();
}

/* The sample, with every include and every list of it switched on. */
static void test_sample(void **state)
{
    char path[512], *text = NULL, *from, *to;
    size_t size = 0;

    (void)state;
    snprintf(path, sizeof(path), "%s/conf/sekisho.conf", source());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    fclose(file);
    for (char *at = text; (at = strstr(at, "# include(\"services/")) != NULL; at++) {
        char *name = strchr(at, '"') + 1;
        snprintf(path, sizeof(path), "%s/conf/%.*s", source(), (int)strcspn(name, "\""), name);
        if (access(path, R_OK) != 0)
            fail_msg("the sample names %s", path);
    }
    from = strstr(text, "# lists = {");
    to = strstr(text, "    lists = {");
    assert_true(from && to);
    snprintf(path, sizeof(path), "clinic { %.*s }", (int)strcspn(from + 2, "\n"), from + 2);
    list_files("lists", "clinic-");
    for (size_t i = 0; i < name_count; i++) {
        char target[128];
        snprintf(target, sizeof(target), "lists/%.100s", strrchr(names[i], '/') + 1);
        assert_int_equal(symlink(names[i], path_of(target)), 0);
    }
    forget_files();
    struct configuration *c = attempt_with(path, "listen.conf");
    check_reports(path);
    assert_non_null(c);
    configuration_free(c);
    free(text);
}

/* --- lists by name --- */

static void test_named_list(void **state)
{
    const struct hostset_entry *entry;

    (void)state;
    write_text("lists/clinic-own.txt", "a.example.jp\nsplice b.example.jp # certificate\n"
                                       "c.example.jp\n");
    struct configuration *c = attempt_with("clinic { allow = {\"c.example.jp\"} splice = "
                                           "{\"a.example.jp\"}\n lists = {\"own\"} }",
                                           "listen.conf");
    check_reports("own");
    assert_non_null(c);
    entry = hostset_find(c->policy.clinic, SPAN("b.example.jp"));
    assert_non_null(entry);
    assert_int_equal(entry->tag, TREAT_SPLICE);
    assert_int_equal(entry->rule.line, 2);
    assert_non_null(strstr(entry->rule.file, "clinic-own.txt"));
    /* what the clinic itself says comes first */
    entry = hostset_find(c->policy.clinic, SPAN("a.example.jp"));
    assert_int_equal(entry->tag, TREAT_SPLICE);
    entry = hostset_find(c->policy.clinic, SPAN("c.example.jp"));
    assert_non_null(strstr(entry->rule.file, "t.conf"));
    configuration_free(c);
}

static void expect_report(const char *text, const char *wanted, bool fatal)
{
    struct configuration *c = attempt_with(text, "listen.conf");

    if (!strstr(reports, wanted))
        fail_msg("for: %s\nwanted: %s\nreported:\n%s", text, wanted, reports);
    assert_int_equal(c == NULL, fatal);
    configuration_free(c);
}

static void test_unknown_list(void **state)
{
    (void)state;
    write_text("lists/clinic-own.txt", "a.example.jp\n");
    expect_report("\nclinic { lists = {\"onw\"} }",
                  "t.conf:2: error: no list \"onw\"; there are: ", true);
    assert_non_null(strstr(reports, "own"));
    expect_report("clinic { lists = {\"none/at/all.txt\"} }",
                  "t.conf:1: error: no list \"none/at/all.txt\" in the folder", true);
    /* the word is one of the clinic's lists only */
    write_text("lists/wrong.txt", "splice a.example.jp\n");
    expect_report("policy { denied = {\"lists/wrong.txt\"} }",
                  "lists/wrong.txt:1: error: \"splice a.example.jp\" is not a host pattern", true);
    write_text("lists/wrong.txt", "splice \nsplice\nspliced a.example.jp\n");
    expect_report("clinic { lists = {\"lists/wrong.txt\"} }", "lists/wrong.txt:3: error: ", true);
}

/* --- shared platforms --- */

static void test_platforms(void **state)
{
    static const struct {
        const char *pattern, *platform;
    } cases[] = {
        {"*.amazonaws.com", "amazonaws.com"},
        {".amazonaws.com", "amazonaws.com"},
        {"*bucket.amazonaws.com", "amazonaws.com"},
        {"*.core.windows.net", "blob.core.windows.net"},
        {"*.windows.net", "blob.core.windows.net"},
        {"*.google.com", "docs.google.com"},
        {"drive.google.com", "drive.google.com"},
        {"d*.google.com", "docs.google.com"},
        {"github.com", "github.com"},
        {".github.com", "github.com"},
        {"*.sharepoint.com", "sharepoint.com"},
        {"*-my.sharepoint.com", "sharepoint.com"},
        /* one customer's */
        {"contoso.sharepoint.com", NULL},
        {"clinic.s3.ap-northeast-1.amazonaws.com", NULL},
        {"*.clinic.sharepoint.com", NULL},
        {"login.windows.net", NULL},
        {"amazonaws.com", NULL},
        /* only alike */
        {"*.notamazonaws.com", NULL},
        {"*.amazonaws.com.example.jp", NULL},
        {"www.google.com", NULL},
        {"meet.google.com", NULL},
        {"192.0.2.7", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *found = shared_platform_find(cases[i].pattern);
        if (cases[i].platform ? !found || strcmp(found, cases[i].platform) != 0 : found != NULL)
            fail_msg("%s: %s", cases[i].pattern, found ? found : "none");
    }
}

static void test_platform_warnings(void **state)
{
    (void)state;
    expect_report("clinic { allow = {\"*.sharepoint.com\"} }",
                  "t.conf:1: warning: \"*.sharepoint.com\" covers what anybody puts on the shared "
                  "platform sharepoint.com",
                  false);
    expect_report("clinic {\n splice = {\"drive.google.com\"} }", "t.conf:2: warning: ", false);
    expect_report("service \"a\" {\n\n inspect = {\"*.cloudfront.net\"} }",
                  "t.conf:3: warning: \"*.cloudfront.net\" covers", false);
    /* dnsmasq takes a media host's name and all below it */
    expect_report("service \"a\" { media-udp = {\"9000\"}\n media-hosts = {\"herokuapp.com\"} }",
                  "t.conf:2: warning: \".herokuapp.com\" covers", false);
    expect_report("service \"a\" { media-udp = {\"9000\"}\n media-hosts = {\"co.jp\"} }",
                  "t.conf:2: error: \".co.jp\" covers all that anybody registers", true);
    write_text("lists/shared.txt", "# x\na.example.jp\n.github.io\n");
    expect_report("clinic { lists = {\"lists/shared.txt\"} }",
                  "lists/shared.txt:3: warning: \".github.io\" covers what anybody puts on the "
                  "shared platform github.io",
                  false);
    expect_report("policy { system = {\"lists/shared.txt\"} }",
                  "lists/shared.txt:3: warning: ", false);
    write_text("lists/suffix.txt", "*.co.jp\n");
    expect_report("clinic { lists = {\"lists/suffix.txt\"} }",
                  "lists/suffix.txt:1: error: \"*.co.jp\" covers all that anybody registers", true);
    /* what denies may be as wide as it likes; below go.jp and lg.jp nobody else registers */
    struct configuration *c = attempt_with("clinic { deny = {\"*.github.io\", \"*.co.jp\"} allow = "
                                           "{\"*.go.jp\", \".lg.jp\"} }\npolicy { denied = "
                                           "{\"lists/suffix.txt\"} }",
                                           "listen.conf");
    check_reports("deny");
    assert_non_null(c);
    configuration_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_services, prepare, clean),
        cmocka_unit_test_setup_teardown(test_services_together, prepare, clean),
        cmocka_unit_test_setup_teardown(test_clinic_lists, prepare, clean),
        cmocka_unit_test_setup_teardown(test_other_lists, prepare, clean),
        cmocka_unit_test_setup_teardown(test_sample, prepare, clean),
        cmocka_unit_test_setup_teardown(test_named_list, prepare, clean),
        cmocka_unit_test_setup_teardown(test_unknown_list, prepare, clean),
        cmocka_unit_test(test_platforms),
        cmocka_unit_test_setup_teardown(test_platform_warnings, prepare, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
