/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls from the kernel's evidence: when one begins, goes on and ends, and what is no call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/calls.h"

static char told[512];
static bool deaf;

static bool tell(void *context, enum call_event event, const struct call *call,
                 const struct call_peer *peer)
{
    static const char *const names[] = {"begins", "ends", "outside"};
    char client[ADDRESS_TEXT], other[ADDRESS_TEXT] = "-";
    size_t used = strlen(told);

    (void)context;
    if (deaf)
        return false;
    address_format(&call->client, client);
    if (peer != NULL)
        address_format(&peer->address, other);
    snprintf(told + used, sizeof(told) - used, "%s %s %s %s\n", names[event], call->service, client,
             other);
    return true;
}

static struct address address(const char *text)
{
    struct address result;

    assert_true(address_parse(span_of(text), &result));
    return result;
}

static void note(struct calls *calls, const char *service, const char *client, const char *peer,
                 bool outside, uint64_t packets)
{
    struct address from = address(client), to = address(peer);

    calls_note(calls, service, &from, &to, outside, packets, packets * 100);
}

/* Ends the look; what was told is compared. */
static void look_tells(struct calls *calls, const char *wanted)
{
    told[0] = '\0';
    calls_end(calls, tell, NULL);
    assert_string_equal(told, wanted);
}

static void test_a_call(void **state)
{
    struct calls *calls = calls_new();
    const struct call *call;

    (void)state;
    calls_begin(calls, 1000);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", false, 3);
    look_tells(calls, ""); /* as yet a check of the path */
    assert_null(calls_at(calls, 0));
    calls_begin(calls, 3000);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", false, CALL_PACKETS);
    look_tells(calls, "begins zoom 192.0.2.1 -\n");
    call = calls_at(calls, 0);
    assert_non_null(call);
    assert_int_equal(call->since, 1000);
    assert_true(call->active);
    assert_int_equal(call->peers[0].bytes, CALL_PACKETS * 100);
    calls_begin(calls, 5000);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", false, CALL_PACKETS);
    look_tells(calls, ""); /* silent, but not over */
    assert_false(calls_at(calls, 0)->active);
    calls_begin(calls, 7000);
    note(calls, "zoom", "192.0.2.1", "198.51.100.2", false, 1); /* it went to another server */
    look_tells(calls, "");
    assert_true(calls_at(calls, 0)->active);
    assert_int_equal(calls_at(calls, 0)->peer_count, 1);
    calls_begin(calls, 9000);
    look_tells(calls, "ends zoom 192.0.2.1 -\n");
    assert_null(calls_at(calls, 0));
    calls_free(calls);
}

static void test_what_never_was_a_call_does_not_end(void **state)
{
    struct calls *calls = calls_new();

    (void)state;
    calls_begin(calls, 1);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", false, 2);
    look_tells(calls, "");
    calls_begin(calls, 2);
    look_tells(calls, "");
    calls_free(calls);
}

static void test_calls_are_by_client_and_service(void **state)
{
    struct calls *calls = calls_new();

    (void)state;
    calls_begin(calls, 1);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", false, 50);
    note(calls, "meet", "192.0.2.1", "198.51.100.1", false, 50);
    note(calls, "zoom", "2001:db8::1", "2001:db8::2", true, 50);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", false, 50); /* a dump that began anew */
    look_tells(calls, "begins zoom 192.0.2.1 -\nbegins meet 192.0.2.1 -\n"
                      "begins zoom 2001:db8::1 -\noutside zoom 2001:db8::1 2001:db8::2\n");
    calls_begin(calls, 2);
    note(calls, "meet", "192.0.2.1", "198.51.100.1", false, 51);
    note(calls, "zoom", "2001:db8::1", "2001:db8::2", true, 51);
    look_tells(calls, "ends zoom 192.0.2.1 -\n"); /* and the peer outside is not told twice */
    assert_non_null(calls_at(calls, 1));
    assert_null(calls_at(calls, 2));
    calls_free(calls);
}

/* While nobody listens (a registry that is being replaced) nothing is lost but ends. */
static void test_nobody_listens(void **state)
{
    struct calls *calls = calls_new();

    (void)state;
    deaf = true;
    calls_begin(calls, 1);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", true, 50);
    look_tells(calls, "");
    deaf = false;
    calls_begin(calls, 2);
    note(calls, "zoom", "192.0.2.1", "198.51.100.1", true, 50);
    look_tells(calls, "begins zoom 192.0.2.1 -\noutside zoom 192.0.2.1 198.51.100.1\n");
    calls_free(calls);
}

static void test_bounds(void **state)
{
    struct calls *calls = calls_new();
    char client[32], peer[32];
    size_t count = 0;

    (void)state;
    calls_begin(calls, 1);
    for (unsigned i = 0; i < CALLS_MAX + 100; i++)
        for (unsigned j = 0; j < CALL_PEERS + 5; j++) {
            snprintf(client, sizeof(client), "10.0.%u.%u", i / 250, i % 250 + 1);
            snprintf(peer, sizeof(peer), "198.51.100.%u", j + 1);
            note(calls, "a-service-with-the-longest-name--", client, peer, false, 50);
        }
    deaf = true;
    calls_end(calls, tell, NULL);
    deaf = false;
    while (calls_at(calls, count) != NULL)
        assert_int_equal(calls_at(calls, count++)->peer_count, CALL_PEERS);
    assert_int_equal(count, CALLS_MAX);
    calls_free(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call),
        cmocka_unit_test(test_what_never_was_a_call_does_not_end),
        cmocka_unit_test(test_calls_are_by_client_and_service),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
