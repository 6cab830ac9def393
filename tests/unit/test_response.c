/* SPDX-License-Identifier: BSD-2-Clause */
/* The response table: what is a download, what contradicts itself, what is listed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/policy_fixture.h"

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* the old program's header points at 0x40, where the new one's begins */
#define PE                                                                                         \
    "MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0PE\0\0\x64\x86\x06\0"
#define ELF                                                                                        \
    "\x7f"                                                                                         \
    "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0"
#define PDF  "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
#define GZIP "\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c\x4a\x06\0"
#define PNG  "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01"
#define HTML "<!DOCTYPE html><html><body>hello</body></html>"
#define TEXT "plain words and nothing else\n"
#define SH   "#!/bin/sh\nrm -rf /\n"

static const char *const typed[] = {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", NULL};
static const char *const part[] = {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", NULL};
static const char *const picture[] = {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", NULL};
static const char *const link_saved[] = {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty", NULL};
static const char *const saved[] = {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty", NULL};

struct answer {
    const char *url;
    const char *const *request; /* fields */
    const char *lines[4];       /* of the response */
    struct span body;
    unsigned status; /* 0: 200 */
    enum reason reason;
};

static struct finding judge_as(const struct fixture *fixture, const char *method,
                               const struct answer *answer, bool opaque)
{
    struct field request_fields[FIELDS], fields[FIELDS];
    struct url url;
    struct finding finding;
    struct request request = fixture_request(answer->url, answer->request, request_fields, &url);
    struct response response = {
        .status = answer->status ? answer->status : 200,
        .fields = fields,
        .field_count = fixture_fields(fields, answer->lines),
        .prefix = (const uint8_t *)answer->body.data,
        .prefix_size = answer->body.size,
        .prefix_is_whole = true,
        .opaque = opaque,
    };
    request.method = span_of(method);
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.verdict, VERDICT_PASS);
    filters_judge_response(&fixture->policy, &fixture->standing, &request, &response, &finding);
    assert_int_equal(finding.verdict,
                     finding.reason == REASON_ALLOWED || finding.reason == REASON_RELEASED
                         ? VERDICT_PASS
                         : VERDICT_BLOCK);
    return finding;
}

static void check(const struct fixture *fixture, const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct finding finding = judge_as(fixture, "GET", &answers[i], false);
        if (finding.reason != answers[i].reason)
            print_error("answer %zu, %s\n", i, answers[i].url);
        assert_string_equal(reason_code(finding.reason), reason_code(answers[i].reason));
    }
}

#define PDF_TYPE   "Content-Type: application/pdf"
#define BARE_TYPE  "Content-Type: application/octet-stream"
#define ATTACHMENT "Content-Disposition: attachment"

static void test_mismatch(void **state)
{
    static const struct answer answers[] = {
        {"https://evil.example/a", typed, {PDF_TYPE}, SPAN(PE), 0, REASON_TYPE_MISMATCH},
        {"https://evil.example/a",
         typed,
         {"Content-Type: image/png"},
         SPAN(PE),
         0,
         REASON_TYPE_MISMATCH},
        {"https://evil.example/a",
         picture,
         {"Content-Type: image/png; x=y"},
         SPAN(ELF),
         0,
         REASON_TYPE_MISMATCH},
        {"https://evil.example/a",
         part,
         {"Content-Type: text/plain"},
         SPAN(PE),
         0,
         REASON_TYPE_MISMATCH},
        {"https://evil.example/a",
         part,
         {"Content-Type: font/from-the-future"},
         SPAN(PE),
         0,
         REASON_TYPE_MISMATCH},
        {"https://evil.example/report.pdf", typed, {BARE_TYPE}, SPAN(PE), 0, REASON_TYPE_MISMATCH},
        {"https://evil.example/report.pdf", typed, {NULL}, SPAN(PE), 0, REASON_TYPE_MISMATCH},
        {"https://evil.example/a",
         typed,
         {"Content-Type: application/x-msdownload", "Content-Disposition: inline; filename=a.jpg"},
         SPAN(PE),
         0,
         REASON_TYPE_MISMATCH},
        {"https://evil.example/a",
         picture,
         {"Content-Type: image/png"},
         SPAN(GZIP),
         0,
         REASON_TYPE_MISMATCH},
        {"https://evil.example/a", typed, {PDF_TYPE}, SPAN(GZIP), 0, REASON_TYPE_MISMATCH},
        /* an office document is a zip file, but no gzip file */
        {"https://evil.example/a.docx", typed, {BARE_TYPE}, SPAN(GZIP), 0, REASON_TYPE_MISMATCH},
        /* a listing does not help what lies about itself, nor does the system's list */
        {"https://tools.clinic.example/a.exe",
         typed,
         {PDF_TYPE},
         SPAN(PE),
         0,
         REASON_TYPE_MISMATCH},
        {"https://a.update.example/a.exe", typed, {PDF_TYPE}, SPAN(PE), 0, REASON_TYPE_MISMATCH},
        /* honest, or promising nothing */
        {"https://evil.example/a",
         typed,
         {"Content-Type: application/zip"},
         SPAN(GZIP),
         0,
         REASON_ALLOWED},
        {"https://evil.example/a", typed, {BARE_TYPE}, SPAN(GZIP), 0, REASON_ALLOWED},
        {"https://evil.example/a.html",
         typed,
         {"Content-Type: application/gzip"},
         SPAN(GZIP),
         0,
         REASON_ALLOWED},
        {"https://evil.example/a",
         typed,
         {"Content-Type: text/html"},
         SPAN(PNG),
         0,
         REASON_ALLOWED},
        {"https://evil.example/a", part, {"Content-Type: text/plain"}, SPAN(SH), 0, REASON_ALLOWED},
    };
    check(*state, answers, COUNT(answers));
}

static void test_dangerous(void **state)
{
    static const struct answer answers[] = {
        {"https://evil.example/a", typed, {BARE_TYPE}, SPAN(PE), 0, REASON_DANGEROUS_FILE},
        {"https://evil.example/a", typed, {NULL}, SPAN(ELF), 0, REASON_DANGEROUS_FILE},
        {"https://www.clinic.example/a.exe",
         typed,
         {BARE_TYPE},
         SPAN(PE),
         0,
         REASON_DANGEROUS_FILE},
        /* machine code is never part of a page, whoever asks */
        {"https://evil.example/a", part, {BARE_TYPE}, SPAN(PE), 0, REASON_DANGEROUS_FILE},
        {"https://evil.example/a", picture, {NULL}, SPAN(ELF), 0, REASON_DANGEROUS_FILE},
        /* by its name, as a file */
        {"https://evil.example/run.bat", typed, {BARE_TYPE}, SPAN(TEXT), 0, REASON_DANGEROUS_FILE},
        {"https://evil.example/x",
         typed,
         {"Content-Type: text/plain", "Content-Disposition: attachment; filename=\"run.bat\""},
         SPAN(TEXT),
         0,
         REASON_DANGEROUS_FILE},
        /* by its declared type, as a file */
        {"https://evil.example/x",
         typed,
         {"Content-Type: application/x-msdownload"},
         SPAN(TEXT),
         0,
         REASON_DANGEROUS_FILE},
        {"https://evil.example/x",
         typed,
         {"Content-Type: text/javascript", ATTACHMENT},
         SPAN(TEXT),
         0,
         REASON_DANGEROUS_FILE},
        /* what a page loads, and what is only shown */
        {"https://evil.example/a.js",
         part,
         {"Content-Type: text/javascript"},
         SPAN(TEXT),
         0,
         REASON_ALLOWED},
        {"https://evil.example/a.js",
         part,
         {"Content-Type: text/javascript", ATTACHMENT},
         SPAN(TEXT),
         0,
         REASON_ALLOWED},
        {"https://evil.example/a.js",
         part,
         {"Content-Type: text/javascript"},
         SPAN(SH),
         0,
         REASON_ALLOWED},
        {"https://evil.example/a.js",
         typed,
         {"Content-Type: text/javascript"},
         SPAN(TEXT),
         0,
         REASON_ALLOWED},
        {"https://evil.example/shop.com",
         typed,
         {"Content-Type: text/html"},
         SPAN(HTML),
         0,
         REASON_ALLOWED},
        /* listed */
        {"https://tools.clinic.example/a.exe", typed, {BARE_TYPE}, SPAN(PE), 0, REASON_ALLOWED},
        {"https://labo.clinic.example/a.exe",
         typed,
         {BARE_TYPE},
         SPAN(PE),
         0,
         REASON_DANGEROUS_FILE},
        {"https://a.update.example/a", typed, {BARE_TYPE}, SPAN(PE), 0, REASON_ALLOWED},
        {"https://a.update.example/a.bat", typed, {BARE_TYPE}, SPAN(TEXT), 0, REASON_ALLOWED},
    };
    check(*state, answers, COUNT(answers));
}

static void test_list_needs_more_than_a_name(void **state)
{
    struct fixture *fixture = *state;
    /* "exe" is listed for the host; machine code of another kind under that name is not */
    const struct answer answer = {"https://tools.clinic.example/a.exe",
                                  typed,
                                  {BARE_TYPE},
                                  SPAN(ELF),
                                  0,
                                  REASON_DANGEROUS_FILE};
    check(fixture, &answer, 1);
    static char everything[] = "*";
    fixture->files[1].type = everything;
    assert_int_equal(judge_as(fixture, "GET", &answer, false).reason, REASON_ALLOWED);
}

static const struct answer downloads[] = {
    {"https://www.clinic.example/a", typed, {BARE_TYPE}, SPAN(TEXT), 0, REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a",
     typed,
     {"Content-Type: text/plain", ATTACHMENT},
     SPAN(TEXT),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a",
     part,
     {"Content-Type: text/plain", ATTACHMENT},
     SPAN(TEXT),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a", saved, {BARE_TYPE}, SPAN(PNG), 0, REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a",
     part,
     {"Content-Type: application/json", ATTACHMENT "; filename=a.pdf"},
     SPAN("[1]"),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a",
     typed,
     {"Content-Type: application/json", ATTACHMENT "; filename=f.txt"},
     SPAN("[1]"),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a",
     typed,
     {PDF_TYPE, ATTACHMENT},
     SPAN(PDF),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a",
     typed,
     {"Content-Type: text/csv"},
     SPAN("a,b\n1,2\n"),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a", typed, {NULL}, SPAN(PDF), 0, REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a", part, {BARE_TYPE}, SPAN(GZIP), 0, REASON_UNKNOWN_DOWNLOAD},
    {"https://meet.terakoya.example/a", part, {BARE_TYPE}, SPAN(PDF), 0, REASON_UNKNOWN_DOWNLOAD},
    {"https://www.clinic.example/a", typed, {BARE_TYPE}, SPAN(TEXT), 404, REASON_UNKNOWN_DOWNLOAD},
    {"https://labo.clinic.example/a.zip",
     typed,
     {BARE_TYPE},
     SPAN(GZIP),
     0,
     REASON_UNKNOWN_DOWNLOAD},
    /* a document that is shown: the service's may be the patient's file */
    {"https://meet.terakoya.example/a", typed, {PDF_TYPE}, SPAN(PDF), 0, REASON_UNKNOWN_DOWNLOAD},
};

static const struct answer no_downloads[] = {
    {"https://www.clinic.example/",
     typed,
     {"Content-Type: text/html"},
     SPAN(HTML),
     0,
     REASON_ALLOWED},
    {"https://www.clinic.example/", typed, {NULL}, SPAN(HTML), 0, REASON_ALLOWED},
    {"https://www.clinic.example/", typed, {NULL}, SPAN(TEXT), 0, REASON_ALLOWED},
    {"https://www.clinic.example/",
     typed,
     {"Content-Type: image/png"},
     SPAN(PNG),
     0,
     REASON_ALLOWED},
    {"https://www.clinic.example/", typed, {PDF_TYPE}, SPAN(PDF), 0, REASON_ALLOWED},
    {"https://www.clinic.example/", part, {BARE_TYPE}, SPAN("\0\1\2\3\4"), 0, REASON_ALLOWED},
    {"https://www.clinic.example/", part, {PDF_TYPE}, SPAN(PDF), 0, REASON_ALLOWED},
    {"https://www.clinic.example/", part, {BARE_TYPE}, SPAN(PDF), 0, REASON_ALLOWED},
    /* what guards data against old browsers makes no file of them */
    {"https://www.clinic.example/",
     part,
     {"Content-Type: application/json; charset=utf-8", ATTACHMENT "; filename=\"f.txt\""},
     SPAN(")]}'\n[1]"),
     0,
     REASON_ALLOWED},
    {"https://www.clinic.example/",
     part,
     {"Content-Type: application/grpc"},
     SPAN(TEXT),
     0,
     REASON_ALLOWED},
    {"https://labo.clinic.example/a.pdf",
     typed,
     {PDF_TYPE, ATTACHMENT},
     SPAN(PDF),
     0,
     REASON_ALLOWED},
    {"https://labo.clinic.example/a", typed, {BARE_TYPE}, SPAN(PDF), 0, REASON_ALLOWED},
    {"https://labo.clinic.example/a.pdf", typed, {BARE_TYPE}, SPAN(TEXT), 0, REASON_ALLOWED},
    {"https://a.update.example/a", typed, {BARE_TYPE}, SPAN(GZIP), 0, REASON_ALLOWED},
    /* nothing comes, or nothing that is kept */
    {"https://www.clinic.example/a", typed, {BARE_TYPE, ATTACHMENT}, SPAN(""), 0, REASON_ALLOWED},
    {"https://www.clinic.example/a", typed, {BARE_TYPE}, SPAN(TEXT), 204, REASON_ALLOWED},
    {"https://www.clinic.example/a", typed, {BARE_TYPE}, SPAN(TEXT), 304, REASON_ALLOWED},
    {"https://www.clinic.example/a", part, {BARE_TYPE}, SPAN(PE), 101, REASON_ALLOWED},
    {"https://www.clinic.example/a",
     typed,
     {BARE_TYPE, "Location: /b"},
     SPAN(TEXT),
     302,
     REASON_ALLOWED},
};

static void test_dns_over_https(void **state)
{
    struct fixture *fixture = *state;
    static const struct answer answers[] = {
        {"https://dns.example/own/path?dns=AAAB",
         part,
         {"Content-Type: application/dns-message"},
         SPAN("\0\0\x81\x80"),
         200,
         REASON_DENIED_DESTINATION},
        {"https://meet.terakoya.example/x",
         part,
         {"Content-Type: Application/DNS-JSON; x=1"},
         SPAN("{}"),
         0,
         REASON_DENIED_DESTINATION},
        {"https://www.clinic.example/x",
         part,
         {"Content-Type: application/dns-message"},
         SPAN("\0\0\x81\x80"),
         0,
         REASON_ALLOWED},
        {"https://dns.example/own/path",
         part,
         {"Content-Type: application/json"},
         SPAN("{}"),
         0,
         REASON_ALLOWED},
    };
    check(fixture, answers, COUNT(answers));
}

static void test_downloads(void **state)
{
    struct fixture *fixture = *state;
    fixture->standing.consultation = true;
    check(fixture, downloads, COUNT(downloads));
    check(fixture, no_downloads, COUNT(no_downloads));
    fixture->standing.consultation = false;
    fixture->policy.outside = OUTSIDE_DENY;
    check(fixture, downloads, COUNT(downloads));
    check(fixture, no_downloads, COUNT(no_downloads));
}

static void test_downloads_without_consultation(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT(downloads); i++) {
        struct answer answer = downloads[i];
        answer.reason = REASON_ALLOWED;
        check(fixture, &answer, 1);
    }
    static const char *const from_service[] = {"Sec-Fetch-Mode: navigate",
                                               "Sec-Fetch-Dest: document",
                                               "Referer: https://meet.terakoya.example/", NULL};
    const struct answer answer = {
        "https://www.clinic.example/a", from_service, {BARE_TYPE}, SPAN(TEXT), 0,
        REASON_UNKNOWN_DOWNLOAD};
    check(fixture, &answer, 1);
}

/* A link with a "download" attribute: what would be shown is saved too. */
static void test_links_that_save(void **state)
{
    struct fixture *fixture = *state;
    static const char *const of_service[] = {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty",
                                             "Referer: https://meet.terakoya.example/", NULL};
    static const struct answer dangerous[] = {
        {"https://www.clinic.example/run.ps1",
         link_saved,
         {"Content-Type: text/plain"},
         SPAN(TEXT),
         0,
         REASON_DANGEROUS_FILE},
        {"https://www.clinic.example/run.ps1",
         typed,
         {"Content-Type: text/plain"},
         SPAN(TEXT),
         0,
         REASON_ALLOWED},
        {"https://www.clinic.example/a",
         link_saved,
         {"Content-Type: text/plain", "Content-Disposition: inline; filename=a.bat"},
         SPAN(TEXT),
         0,
         REASON_DANGEROUS_FILE},
        {"https://www.clinic.example/a.png",
         link_saved,
         {"Content-Type: image/png"},
         SPAN(PNG),
         0,
         REASON_ALLOWED},
        {"https://meet.terakoya.example/a.png",
         of_service,
         {"Content-Type: image/png"},
         SPAN(PNG),
         0,
         REASON_UNKNOWN_DOWNLOAD},
    };
    static const struct answer listed[] = {
        {"https://labo.clinic.example/a.pdf", link_saved, {PDF_TYPE}, SPAN(PDF), 0, REASON_ALLOWED},
        {"https://www.clinic.example/a.png",
         link_saved,
         {"Content-Type: image/png"},
         SPAN(PNG),
         0,
         REASON_UNKNOWN_DOWNLOAD},
        {"https://www.clinic.example/a.png",
         typed,
         {"Content-Type: image/png"},
         SPAN(PNG),
         0,
         REASON_ALLOWED},
    };
    check(fixture, dangerous, COUNT(dangerous));
    fixture->standing.consultation = true;
    check(fixture, listed, COUNT(listed));
}

static void test_bodies_that_do_not_count(void **state)
{
    struct fixture *fixture = *state;
    static const struct answer redirect = {
        "https://www.clinic.example/a", typed, {BARE_TYPE, "Location: /b"}, SPAN(PE), 302, 0};
    static const char *const ranged[] = {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: video",
                                         "Range: bytes=1000-", NULL};
    struct answer middle = {"https://www.clinic.example/a.mp4",
                            ranged,
                            {"Content-Type: video/mp4", "Content-Range: bytes 1000-1019/5000"},
                            SPAN(PE),
                            206,
                            0};
    /* a redirect's body is not kept, but machine code in it is no accident */
    assert_int_equal(judge_as(fixture, "GET", &redirect, false).reason, REASON_DANGEROUS_FILE);
    assert_int_equal(judge_as(fixture, "HEAD", &redirect, false).reason, REASON_ALLOWED);
    /* chance, in the middle of a video that was asked for by range */
    assert_int_equal(judge_as(fixture, "GET", &middle, false).reason, REASON_ALLOWED);
    middle.lines[1] = "Content-Range: bytes 0-19/5000";
    assert_int_equal(judge_as(fixture, "GET", &middle, false).reason, REASON_TYPE_MISMATCH);
    middle.lines[1] = "Content-Range: bytes 1000-1019/5000";
    middle.request = picture; /* nobody asked for a range */
    assert_int_equal(judge_as(fixture, "GET", &middle, false).reason, REASON_TYPE_MISMATCH);
}

static void test_opaque(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *const *request;
        const char *type;
        enum reason reason;
    } cases[] = {
        {typed, "Content-Type: text/html", REASON_OPAQUE_ARCHIVE},
        {part, "Content-Type: application/json", REASON_OPAQUE_ARCHIVE},
        {picture, "Content-Type: image/png", REASON_ALLOWED},
        {typed, "Content-Type: image/png", REASON_OPAQUE_ARCHIVE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer answer = {"https://www.clinic.example/",
                                cases[i].request,
                                {cases[i].type},
                                SPAN(PE),
                                0,
                                cases[i].reason};
        struct finding finding = judge_as(fixture, "GET", &answer, true);
        assert_int_equal(finding.reason, cases[i].reason);
        assert_string_equal(finding.file.type, "");
    }
}

/* What came under a coding that is undone is judged as it came, too. */
static void test_coded(void **state)
{
    struct fixture *fixture = *state;
    static const char ole[] = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0\0\0\0\0";
    static const char image[32775] = {[32769] = 'C', 'D', '0', '0', '1'};
    static const struct {
        const char *const *request;
        const char *type;
        struct span decoded, coded;
        bool opaque, partial;
        enum reason reason;
    } cases[] = {
        /* to nonsense, to nothing, to something harmless, or not at all */
        {typed, "Content-Type: text/html", SPAN("\1\2\3"), SPAN(ole), 0, 0, REASON_TYPE_MISMATCH},
        {typed, PDF_TYPE, SPAN("\1\2\3"), SPAN(ole), 0, 0, REASON_TYPE_MISMATCH},
        {typed, BARE_TYPE, SPAN(""), SPAN(ole), 0, 0, REASON_DANGEROUS_FILE},
        {typed, PDF_TYPE, SPAN(PDF), SPAN(ole), 0, 0, REASON_TYPE_MISMATCH},
        {typed, "Content-Type: text/html", SPAN(HTML), SPAN(PE), 0, 0, REASON_TYPE_MISMATCH},
        {typed, "Content-Type: text/html", SPAN(""), SPAN(PE), true, 0, REASON_TYPE_MISMATCH},
        {typed, "Content-Type: text/html", SPAN(HTML), SPAN(image), 0, 0, REASON_TYPE_MISMATCH},
        {part, "Content-Type: application/json", SPAN("{}"), SPAN(ELF), 0, 0, REASON_TYPE_MISMATCH},
        {picture, "Content-Type: image/png", SPAN(""), SPAN(ELF), true, 0, REASON_TYPE_MISMATCH},
        /* two bytes are chance where something comes out, or may still come */
        {typed, "Content-Type: text/html", SPAN("\1\2\3"), SPAN("MZ\x90\0"), 0, 0,
         REASON_TYPE_MISMATCH},
        {typed, "Content-Type: text/html", SPAN(""), SPAN("MZ\x90\0"), 0, 0, REASON_TYPE_MISMATCH},
        {typed, "Content-Type: text/html", SPAN(HTML), SPAN("MZ\x90\0"), 0, 0, REASON_ALLOWED},
        {typed, "Content-Type: text/html", SPAN(""), SPAN("MZ\x90\0"), 0, true, REASON_ALLOWED},
        /* the marks of the codings themselves */
        {typed, "Content-Type: text/html", SPAN(HTML), SPAN(GZIP), 0, 0, REASON_ALLOWED},
        {typed, "Content-Type: text/html", SPAN(""), SPAN(GZIP), 0, true, REASON_ALLOWED},
        {typed, "Content-Type: text/html", SPAN(HTML), SPAN("\x28\xb5\x2f\xfd\4"), 0, 0,
         REASON_ALLOWED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct field request_fields[FIELDS], fields[FIELDS];
        const char *const lines[] = {cases[i].type, NULL};
        struct url url;
        struct finding finding;
        struct request request =
            fixture_request("https://www.clinic.example/a", cases[i].request, request_fields, &url);
        struct response response = {
            .status = 200,
            .fields = fields,
            .field_count = fixture_fields(fields, lines),
            .prefix = (const uint8_t *)cases[i].decoded.data,
            .prefix_size = cases[i].decoded.size,
            .prefix_is_whole = !cases[i].partial,
            .opaque = cases[i].opaque,
            .coded = (const uint8_t *)cases[i].coded.data,
            .coded_size = cases[i].coded.size,
        };
        filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
        filters_judge_response(&fixture->policy, &fixture->standing, &request, &response, &finding);
        if (finding.reason != cases[i].reason)
            print_error("coded %zu\n", i);
        assert_string_equal(reason_code(finding.reason), reason_code(cases[i].reason));
    }
}

/* A word that a script asks for is no program, but it is one for whoever opens it. */
static void test_words(void **state)
{
    static const char token[] =
        "MZ2Nsb3VkLmV4YW1wbGUvYXBpL3Rva2VuP2lkPTQyJnNlY3JldD1ub25lLW9mLW91cnM=";
    static const struct answer answers[] = {
        {"https://www.clinic.example/token", part, {"Content-Type: text/plain"}, SPAN(token), 0, 0},
        {"https://www.clinic.example/token",
         typed,
         {"Content-Type: text/plain"},
         SPAN(token),
         0,
         REASON_TYPE_MISMATCH},
        {"https://www.clinic.example/a", saved, {BARE_TYPE}, SPAN(token), 0, REASON_DANGEROUS_FILE},
        {"https://www.clinic.example/a",
         part,
         {"Content-Type: text/plain"},
         SPAN("MZ no word"),
         0,
         REASON_TYPE_MISMATCH},
    };
    check(*state, answers, COUNT(answers));
}

static void test_released(void **state)
{
    struct fixture *fixture = *state;
    static const struct answer answer = {
        "https://evil.example/a.exe", typed, {PDF_TYPE}, SPAN(PE), 0, REASON_RELEASED};
    fixture->standing.consultation = true;
    fixture_release(fixture, RELEASE_URL, "https://evil.example/a.exe", 60);
    struct finding finding = judge_as(fixture, "GET", &answer, false);
    assert_int_equal(finding.reason, REASON_RELEASED);
    assert_string_equal(finding.file.type, "pe");
}

static void test_redirector_is_not_its_target(void **state)
{
    struct fixture *fixture = *state;
    /* it leads to a system host, but what it answers itself is no update */
    static const struct answer answer = {"https://www.google.com/url?q=https://a.update.example/",
                                         typed,
                                         {BARE_TYPE},
                                         SPAN(PE),
                                         0,
                                         REASON_DANGEROUS_FILE};
    check(fixture, &answer, 1);
}

static void test_finding(void **state)
{
    struct fixture *fixture = *state;
    static const struct answer good = {
        "https://www.clinic.example/", typed, {"Content-Type: text/html"}, SPAN(HTML), 0, 0};
    struct finding finding = judge_as(fixture, "GET", &good, false);
    assert_string_equal(finding.file.type, "html");
    assert_string_equal(finding.file.mime, "text/html");
    assert_int_equal(finding.rule.line, 30);
    static const struct answer bad = {
        "https://www.clinic.example/", typed, {BARE_TYPE}, SPAN(PE), 0, 0};
    finding = judge_as(fixture, "GET", &bad, false);
    assert_null(finding.rule.file); /* the entry that let the request pass did not decide this */
    assert_int_equal(finding.class, CLASS_CLINIC);
}

/* Observe mode: the request's block was noted, and the response is judged for itself. */
static void test_after_a_request_that_would_be_blocked(void **state)
{
    struct fixture *fixture = *state;
    struct field request_fields[FIELDS], fields[FIELDS];
    struct url url;
    struct finding finding;
    static const char *const html[] = {"Content-Type: text/html", NULL};
    struct request request = fixture_request("https://evil.example/", typed, request_fields, &url);
    struct response response = {.status = 200,
                                .fields = fields,
                                .field_count = fixture_fields(fields, html),
                                .prefix = (const uint8_t *)HTML,
                                .prefix_size = sizeof(HTML) - 1,
                                .prefix_is_whole = true};
    fixture->standing.consultation = true;
    filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
    assert_int_equal(finding.verdict, VERDICT_BLOCK);
    filters_judge_response(&fixture->policy, &fixture->standing, &request, &response, &finding);
    assert_int_equal(finding.verdict, VERDICT_PASS);
    assert_int_equal(finding.reason, REASON_ALLOWED);
}

/* With every length of the prefix: the whole decides, and no part of it makes a danger of its own.
 */
static void test_growing_prefix(void **state)
{
    struct fixture *fixture = *state;
    static const struct answer *const groups[] = {downloads, no_downloads};
    static const size_t counts[] = {COUNT(downloads), COUNT(no_downloads)};
    fixture->standing.consultation = true;
    for (size_t g = 0; g < COUNT(groups); g++) {
        for (size_t i = 0; i < counts[g]; i++) {
            const struct answer *answer = &groups[g][i];
            struct field request_fields[FIELDS], fields[FIELDS];
            struct url url;
            struct finding finding, kept;
            struct request request =
                fixture_request(answer->url, answer->request, request_fields, &url);
            struct response response = {
                .status = answer->status ? answer->status : 200,
                .fields = fields,
                .field_count = fixture_fields(fields, answer->lines),
                .prefix = (const uint8_t *)answer->body.data,
            };
            filters_judge_request(&fixture->policy, &fixture->standing, &request, &kept);
            for (size_t size = 0; size <= answer->body.size; size++) {
                response.prefix_size = size;
                response.prefix_is_whole = size == answer->body.size;
                finding = kept;
                filters_judge_response(&fixture->policy, &fixture->standing, &request, &response,
                                       &finding);
                /* only a listing by bytes that have not come yet may be missed on the way */
                if (answer->reason == REASON_ALLOWED && finding.verdict == VERDICT_BLOCK) {
                    assert_int_equal(finding.reason, REASON_UNKNOWN_DOWNLOAD);
                    assert_string_equal(finding.file.type, "");
                }
            }
            assert_int_equal(finding.reason, answer->reason);
        }
    }
}

static void test_wanted_bytes(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *const *request;
        const char *lines[3];
        size_t held;
    } cases[] = {
        {typed, {"Content-Type: text/html"}, SNIFF_BYTES},
        {typed, {BARE_TYPE}, SNIFF_BYTES_DOWNLOAD},
        {typed, {NULL}, SNIFF_BYTES_DOWNLOAD},
        {typed, {"Content-Type: text/html", ATTACHMENT}, SNIFF_BYTES_DOWNLOAD},
        {link_saved, {"Content-Type: image/png"}, SNIFF_BYTES_DOWNLOAD},
        {saved, {"Content-Type: text/html"}, SNIFF_BYTES_DOWNLOAD},
        {part, {BARE_TYPE}, SNIFF_BYTES},
        {part, {BARE_TYPE, ATTACHMENT}, SNIFF_BYTES_DOWNLOAD},
        {picture, {"Content-Type: image/png"}, SNIFF_BYTES},
        {picture, {"Content-Type: text/event-stream"}, 0},
        {part, {"Content-Type: text/event-stream; charset=utf-8"}, 0},
        {part, {"Content-Type: text/event-stream", ATTACHMENT}, SNIFF_BYTES_DOWNLOAD},
        {typed, {"Content-Type: text/event-stream"}, SNIFF_BYTES},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct field request_fields[FIELDS], fields[FIELDS];
        struct url url;
        struct finding finding;
        struct request request =
            fixture_request("https://www.clinic.example/", cases[i].request, request_fields, &url);
        struct response response = {
            .status = 200, .fields = fields, .field_count = fixture_fields(fields, cases[i].lines)};
        filters_judge_request(&fixture->policy, &fixture->standing, &request, &finding);
        assert_int_equal(filters_held_bytes(&request, &response, &finding), cases[i].held);
        assert_int_equal(filters_wanted_bytes(&request, &response, &finding),
                         cases[i].request == picture ? SNIFF_BYTES : SNIFF_BYTES_DOWNLOAD);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mismatch),
        TEST(test_dangerous),
        TEST(test_list_needs_more_than_a_name),
        TEST(test_downloads),
        TEST(test_dns_over_https),
        TEST(test_downloads_without_consultation),
        TEST(test_links_that_save),
        TEST(test_bodies_that_do_not_count),
        TEST(test_opaque),
        TEST(test_coded),
        TEST(test_words),
        TEST(test_released),
        TEST(test_redirector_is_not_its_target),
        TEST(test_finding),
        TEST(test_after_a_request_that_would_be_blocked),
        TEST(test_growing_prefix),
        TEST(test_wanted_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
