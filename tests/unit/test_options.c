/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of options.h and what is made of them: nearest names, the defaults as a configuration,
 * the manual's section. And that the sample and the profiles that are shipped fit.
 */
#include <event2/buffer.h>

#include "tests/unit/configuration_fixture.h"

#include "filters/reason.h"
#include "gateway/record.h"

static void test_nearest(void **state)
{
    (void)state;
    assert_int_equal(option_distance("", ""), 0);
    assert_int_equal(option_distance("abc", ""), 3);
    assert_int_equal(option_distance("linger", "lingre"), 1);
    assert_int_equal(option_distance("kitten", "sitting"), 3);
    assert_string_equal(option_nearest(SECTION_POLICY, "lingre"), "linger");
    assert_string_equal(option_nearest(SECTION_NETWORK, "manage_rules"), "manage-rules");
    assert_string_equal(option_nearest(SECTION_SERVICE, "headers"), "header");
    assert_null(option_nearest(SECTION_POLICY, "zzzz"));
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        assert_ptr_equal(option_find(option_rows[i].section, option_rows[i].name), &option_rows[i]);
        assert_int_equal(section_find(option_rows[i].section, option_rows[i].name), SECTION_ROOT);
    }
}

static char *text_of(void (*write)(struct evbuffer *))
{
    struct evbuffer *out = evbuffer_new();
    assert_non_null(out);
    write(out);
    size_t size = evbuffer_get_length(out);
    char *text = malloc(size + 1);
    assert_non_null(text);
    evbuffer_remove(out, text, size);
    text[size] = '\0';
    evbuffer_free(out);
    return text;
}

/* Takes the line that begins so out of the text: the test's own paths come in its stead. */
static void drop_line(char *text, const char *begin)
{
    char *at = strstr(text, begin);
    assert_non_null(at);
    memset(at, ' ', strcspn(at, "\n"));
}

static void test_written_defaults(void **state)
{
    char *text = text_of(configuration_write_defaults), *whole = NULL;

    (void)state;
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s%s = ", option_rows[i].section == SECTION_ROOT ? "\n" : " ",
                 option_rows[i].name);
        assert_non_null(strstr(text, name));
    }
    drop_line(text, "    pages = ");
    drop_line(text, "    trust = ");
    char *process = strstr(text, "\nprocess {");
    assert_non_null(process);
    assert_true(asprintf(&whole, "%.*s\nprocess {\n pages = \"pages\"\n%s", (int)(process - text),
                         text, process + strlen("\nprocess {")) > 0);
    write_text("t.conf", whole);
    reports[0] = '\0';
    struct configuration *c = configuration_read_without_ca(path_of("t.conf"), collect, NULL);
    if (!c && !strstr(reports, "tls.trust"))
        fail_msg("%s", reports);
    if (c) {
        assert_int_equal(c->timeout_body, 60000);
        assert_int_equal(c->listener_count, 2);
        assert_int_equal(hostset_count(c->policy.denied), 6);
    }
    configuration_free(c);
    free(whole);
    free(text);
}

/* Where the sources are: `make check` says it. */
static const char *source_folder(void)
{
    const char *folder_said = getenv("SEKISHO_SOURCE");
    return folder_said ? folder_said : ".";
}

/* With a line of explanation. */
static void assert_listed(const char *section, const char *name)
{
    char item[64];

    snprintf(item, sizeof(item), "\n.It Cm %s", name);
    const char *found = strstr(section, item);
    while (found != NULL && strchr(" \n", found[strlen(item)]) == NULL)
        found = strstr(found + 1, item);
    if (found == NULL)
        fail_msg("%s stands in no manual", name);
    assert_true(strcspn(strchr(found + 1, '\n') + 1, "\n") > 1);
}

static void test_manual(void **state)
{
    char *section = text_of(configuration_write_manual), *next = section;

    (void)state;
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        char item[64];
        snprintf(item, sizeof(item), "\n.It Cm %s No =", option_rows[i].name);
        next = strstr(next, item); /* in the order of the table */
        assert_non_null(next);
        next++;
        assert_true(strlen(option_rows[i].help) > 10);
    }
    /* a line of text that began with a dot or an apostrophe would be a request to roff */
    for (char *line = section; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (*line == '.' && strncmp(line, ".It ", 4) && strncmp(line, ".Ss ", 4) &&
            strncmp(line, ".Bl ", 4) && strncmp(line, ".El", 3) &&
            strncmp(line, ".Cm event .\n", 12) && strncmp(line, ".Sh THE LOG\n", 12))
            fail_msg("not a line of the page: %.40s", line);
    next = strstr(section, ".Sh THE LOG\n");
    assert_non_null(next);
    for (int i = 0; i < EVENT_COUNT; i++)
        assert_listed(next, record_event_name(i));
    for (int i = 0; i < RECORD_FIELD_COUNT; i++)
        assert_listed(next, record_field_name(i));
    for (int i = 0; i < REASON_COUNT; i++)
        assert_listed(next, reason_code(i));
    free(section);

    char *path = NULL, line[1024];
    size_t marks = 0;
    assert_true(asprintf(&path, "%s/gateway/sekisho.conf.5.in", source_folder()) > 0);
    FILE *page = fopen(path, "r");
    if (!page)
        fail_msg("%s: run from the top of the sources, or with SEKISHO_SOURCE", path);
    while (fgets(line, sizeof(line), page))
        marks += strcmp(line, "@OPTIONS@\n") == 0;
    fclose(page);
    free(path);
    assert_int_equal(marks, 1);
}

static void test_sample_and_profiles(void **state)
{
    static const char *const names[] = {"zoom",  "teams", "meet",    "webex", "whereby",
                                        "jitsi", "line",  "clinics", "curon", "yadoc"};
    char *top = realpath(source_folder(), NULL), *text = NULL;

    (void)state;
    assert_non_null(top);
    struct evbuffer *all = evbuffer_new();
    assert_non_null(all);
    evbuffer_add_printf(all, "include(\"%s/conf/sekisho.conf\")\n", top);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        evbuffer_add_printf(all, "include(\"%s/conf/services/%s.conf\")\n", top, names[i]);
    evbuffer_add(all, "", 1);
    assert_int_equal(rename(path_of("lists"), path_of("lists-of-the-test")), 0);
    assert_true(asprintf(&text, "%s/conf/lists", top) > 0);
    assert_int_equal(symlink(text, path_of("lists")), 0);
    free(text);
    struct configuration *c = attempt_with((char *)evbuffer_pullup(all, -1), "base.conf");
    if (!c)
        fail_msg("%s", reports);
    assert_int_equal(c->policy.service_count, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < c->policy.service_count; i++) {
        const struct service *service = &c->policy.services[i];
        assert_string_equal(service->name, names[i]);
        assert_true(hostset_count(service->call) > 0);
        /* what an enabled service needs is on no list of denied hosts */
        for (size_t j = 0; j < hostset_count(service->hosts); j++) {
            const char *host = hostset_at(service->hosts, j)->pattern;
            assert_null(strchr(host, '*') ? NULL : hostset_find(c->policy.denied, span_of(host)));
        }
    }
    const struct service *zoom = &c->policy.services[0];
    assert_true(url_pattern_matches(&zoom->attachments[0], SPAN("us04file.zoom.us"), SPAN("/a")));
    assert_true(url_pattern_matches(&zoom->join[0], SPAN("us02web.zoom.us"), SPAN("/j/1?pwd=x")));
    assert_int_equal(zoom->network_count, 49);
    assert_non_null(hostset_find(c->policy.denied, SPAN("bit.ly")));
    assert_non_null(hostset_find(c->policy.denied, SPAN("mask.icloud.com")));
    assert_null(hostset_find(c->policy.denied, SPAN("youtu.be")));
    assert_null(hostset_find(c->policy.system, SPAN("www.google.com")));
    assert_null(hostset_find(c->policy.system, SPAN("www.microsoft.com")));
    assert_int_equal(hostset_find(c->policy.system, SPAN("ocsp.digicert.com"))->tag, TREAT_SPLICE);
    configuration_free(c);
    assert_int_equal(unlink(path_of("lists")), 0);
    assert_int_equal(rename(path_of("lists-of-the-test"), path_of("lists")), 0);
    evbuffer_free(all);
    free(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_written_defaults),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_sample_and_profiles),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
