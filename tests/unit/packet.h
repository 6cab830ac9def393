/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet of any type into a link's socket, as a process that was taken over might send it. */
#ifndef UNIT_PACKET_H
#define UNIT_PACKET_H

#include <sys/uio.h>

#include "gateway/message.h"

static inline void packet_send(int fd, enum message_type type, const void *payload, size_t size)
{
    struct {
        uint16_t type, version;
        uint32_t size;
    } header = {(uint16_t)type, 1, (uint32_t)size};
    struct iovec pieces[] = {{&header, sizeof(header)}, {(void *)payload, size}};

    assert_int_equal(writev(fd, pieces, 2), sizeof(header) + size);
}

#endif
