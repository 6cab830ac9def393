/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Databases of networks from arbitrary bytes: opening, looking up and walking end, and the walk
 * gives networks without host bits, each inside its family.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/networks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The library loses a few kB in opening some damaged files. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libmaxminddb";
}

static void check(void *context, const struct network *network, const struct network_facts *facts)
{
    struct network again;
    char text[ADDRESS_TEXT + 4], address[ADDRESS_TEXT];

    (void)context;
    address_format(&network->address, address);
    snprintf(text, sizeof(text), "%s/%u", address, network->prefix);
    if (!network_parse(span_of(text), &again) || again.prefix != network->prefix ||
        !address_equal(&again.address, &network->address))
        abort();
    if (facts->asn == 0 && strlen(facts->country) != 2)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const asked[] = {"192.0.2.1", "2001:db8::1", "::", "255.255.255.255"};
    char path[64], error[512];
    int fd = memfd_create("networks", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct networks *networks = networks_open(path, error, sizeof(error));
    close(fd);
    if (networks == NULL)
        return 0;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct network_facts facts = {0};
        struct address address;
        if (!address_parse(span_of(asked[i]), &address))
            abort();
        networks_look_up(networks, &address, &facts);
    }
    networks_walk(networks, check, NULL, error, sizeof(error));
    networks_close(networks);
    return 0;
}
