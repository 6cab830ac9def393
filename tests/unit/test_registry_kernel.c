/* SPDX-License-Identifier: BSD-2-Clause */
/* The registry and its parent: what the kernel has seen, and what the rules are told. */
#include "tests/unit/registry_fixture.h"

/* The parent at the other end of the registry's link. */
struct elder {
    struct child child;
    struct link *link;
    uint64_t asked;   /* the last question */
    int consultation; /* as it was told last, -1 before */
    unsigned told;
};

static void on_elder_message(void *context, struct link *link, enum message_type type,
                             const void *payload, size_t size, int fd)
{
    struct elder *elder = context;

    (void)link;
    (void)size;
    (void)fd;
    if (type == MESSAGE_KERNEL_ASK) {
        elder->asked = ((const struct message_flows *)payload)->id;
    } else if (type == MESSAGE_BOUNDARY) {
        elder->consultation = (int)((const struct message_boundary *)payload)->consultation;
        elder->told++;
    }
}

static void on_child_message(void *context, struct link *link, enum message_type type,
                             const void *payload, size_t size, int fd)
{
    (void)context;
    (void)link;
    (void)type;
    (void)payload;
    (void)size;
    (void)fd;
}

static void adopt(struct fixture *fixture, struct elder *elder)
{
    int pair[2];

    memset(elder, 0, sizeof(*elder));
    elder->consultation = -1;
    assert_int_equal(link_pair(pair), 0);
    elder->link =
        link_new(fixture->base, pair[0], ROLE_PARENT, ROLE_REGISTRY, on_elder_message, elder);
    elder->child.parent =
        link_new(fixture->base, pair[1], ROLE_REGISTRY, ROLE_PARENT, on_child_message, NULL);
    fixture->registry->child = &elder->child;
}

static void leave(struct fixture *fixture, struct elder *elder)
{
    fixture->registry->child = NULL;
    link_free(elder->child.parent);
    link_free(elder->link);
}

static struct message_media media(const char *service, const char *client)
{
    struct message_media message;

    memset(&message, 0, sizeof(message));
    snprintf(message.service, sizeof(message.service), "%s", service);
    snprintf(message.client, sizeof(message.client), "%s", client);
    return message;
}

static void media_is_a_sign(void **state)
{
    struct fixture *fixture = *state;
    struct message_media message = media("zoom", "192.168.10.21");
    const char *service;
    json_t *status;

    assert_true(registry_take_media(fixture->registry, &message));
    assert_true(registry_is_on(fixture->registry, "clinic", &service));
    assert_string_equal(service, "zoom");
    status = ask_well(fixture, "{\"command\":\"status\"}");
    assert_int_equal(count_of(status, "consultations"), 1);
    json_decref(status);
}

static void media_of_a_client_with_a_scope_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct message_media message = media("zoom", "192.168.10.21");
    const char *service;

    fixture->configuration.policy.scope = SCOPE_CLIENT;
    assert_true(registry_take_media(fixture->registry, &message));
    assert_false(registry_is_on(fixture->registry, "clinic", &service));
    assert_true(registry_is_on(fixture->registry, "client:192.168.10.21", &service));
}

static void media_that_makes_no_sense(void **state)
{
    struct fixture *fixture = *state;
    struct message_media rows[] = {media("", "192.168.10.21"), media("zo\nom", "192.168.10.21"),
                                   media("zoom", ""), media("zoom", "nobody"),
                                   media("zoom", "192.168.10.21")};
    const char *service;

    memset(rows[4].client, 'x', sizeof(rows[4].client)); /* never ends */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(registry_take_media(fixture->registry, &rows[i]));
    assert_false(registry_is_on(fixture->registry, "clinic", &service));
}

static void the_parent_hears_of_the_first_and_the_last(void **state)
{
    struct fixture *fixture = *state;
    struct message_media message = media("zoom", "192.168.10.21");
    struct elder elder;

    fixture->configuration.policy.linger = 200;
    adopt(fixture, &elder);
    registry_look(fixture->registry);
    turn(fixture);
    assert_int_equal(elder.consultation, 0);
    registry_take_media(fixture->registry, &message);
    registry_take_media(fixture->registry, &message);
    turn(fixture);
    assert_int_equal(elder.consultation, 1);
    assert_int_equal(elder.told, 2);
    for (int i = 0; i < 500 && elder.consultation == 1; i++)
        wait_ms(fixture, 20);
    assert_int_equal(elder.consultation, 0);
    assert_int_equal(elder.told, 3);
    leave(fixture, &elder);
}

static json_t *status_with(struct fixture *fixture, struct elder *elder, const char *kernel)
{
    static const char request[] = "{\"command\":\"status\"}\n";
    char payload[1024];
    uint64_t before = elder->asked;

    say(fixture, request, sizeof(request) - 1);
    for (int i = 0; i < 500 && elder->asked == before; i++)
        turn(fixture);
    assert_int_not_equal(elder->asked, before);
    memcpy(payload, &elder->asked, sizeof(elder->asked));
    snprintf(payload + sizeof(uint64_t), sizeof(payload) - sizeof(uint64_t), "%s", kernel);
    registry_take_kernel(fixture->registry, payload, sizeof(uint64_t) + strlen(kernel));
    return hear(fixture);
}

static void status_has_what_the_kernel_counted(void **state)
{
    static char name[] = "診察室1";
    struct fixture *fixture = *state;
    struct room_client client = {.is_mac = false};
    struct room room = {.name = name, .clients = &client, .client_count = 1};
    json_t *status, *call;
    struct elder elder;

    assert_true(network_parse(SPAN("192.168.10.21"), &client.network));
    fixture->configuration.rooms = &room;
    fixture->configuration.room_count = 1;
    adopt(fixture, &elder);
    status =
        status_with(fixture, &elder,
                    "{\"counters\":{\"egress\":{\"packets\":7,\"bytes\":700}},\"calls\":["
                    "{\"client\":\"192.168.10.21\",\"service\":\"zoom\",\"since\":5,\"peers\":["
                    "{\"address\":\"198.51.100.1\",\"outside\":false}]}]}");
    assert_int_equal(
        number_of(json_object_get(json_object_get(status, "counters"), "egress"), "packets"), 7);
    call = json_array_get(json_object_get(status, "calls"), 0);
    assert_string_equal(text_of(call, "room"), name);
    assert_string_equal(text_of(status, "mode"), "enforce"); /* its own words are there too */
    json_decref(status);
    fixture->configuration.room_count = 0;
    leave(fixture, &elder);
}

static void status_without_sense_from_the_parent(void **state)
{
    static const char *const rows[] = {"x", "[1]", "{\"ok\":false,\"mode\":\"none\"}",
                                       "{\"calls\":[3,{\"client\":5},{\"client\":\"x\",\"peers\":"
                                       "[{\"address\":7},{\"address\":\"y\"},8]}]}"};
    struct fixture *fixture = *state;
    struct elder elder;

    adopt(fixture, &elder);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *status = status_with(fixture, &elder, rows[i]);

        assert_true(json_is_true(json_object_get(status, "ok")));
        assert_string_equal(text_of(status, "mode"), "enforce");
        json_decref(status);
    }
    leave(fixture, &elder);
}

static void status_does_not_wait_for_ever(void **state)
{
    static const char request[] = "{\"command\":\"status\"}\n";
    struct fixture *fixture = *state;
    json_t *status = NULL;
    struct elder elder;

    adopt(fixture, &elder);
    say(fixture, request, sizeof(request) - 1);
    for (int i = 0; i < 1000 && status == NULL; i++) {
        wait_ms(fixture, 20);
        status = hear(fixture);
    }
    assert_true(json_is_true(json_object_get(status, "ok")));
    assert_null(json_object_get(status, "counters"));
    json_decref(status);
    leave(fixture, &elder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(media_is_a_sign),
        TEST(media_of_a_client_with_a_scope_of_its_own),
        TEST(media_that_makes_no_sense),
        TEST(the_parent_hears_of_the_first_and_the_last),
        TEST(status_has_what_the_kernel_counted),
        TEST(status_without_sense_from_the_parent),
        TEST(status_does_not_wait_for_ever),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
