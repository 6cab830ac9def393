/* SPDX-License-Identifier: BSD-2-Clause */
/* From the text of one value to what it means. Nothing here reports or allocates, but for what it
 * says. */
#ifndef GATEWAY_CONFIGURATION_PARSE_H
#define GATEWAY_CONFIGURATION_PARSE_H

#include "gateway/configuration.h"

/* "true", "yes", "on" and their opposites. */
bool parse_boolean(const char *text, bool *value);
/* Decimal, or hexadecimal after 0x; no sign. */
bool parse_number(const char *text, int64_t *value);
/* Milliseconds: a number and ms, s, min (or m), h or d. */
bool parse_duration(const char *text, int64_t *value);
/* Bytes: a number and B, kB, MB or nothing. */
bool parse_size(const char *text, int64_t *value);
/* The position of `text` among the words that '|' separates. */
bool parse_choice(const char *words, const char *text, int64_t *value);
/* YYYY-MM-DD, a day that exists. `day` counts from 1970-01-01. */
bool parse_date(const char *text, int64_t *day);
/* "8801" or "8801-8810". */
bool parse_port_range(const char *text, struct port_range *range);
/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53", "fe80::1%eth0". 0 as port: none
 * is said. */
bool parse_socket_address(const char *text, uint16_t port, struct sockaddr_storage *address);
/* An address and a port as a socket address; the size of it is returned. */
socklen_t socket_address_make(const struct address *address, uint16_t port,
                              struct sockaddr_storage *result);
/* "udp://192.0.2.1:514" and the like, into the log members of `configuration`; the path of unix:
 * allocated. */
bool parse_log_target(const char *text, struct configuration *configuration);
/* An address, a network or a MAC address ("52:54:00:12:34:56", also with '-'). */
bool parse_room_client(const char *text, struct room_client *client);
bool room_client_overlaps(const struct room_client *a, const struct room_client *b);
/* "TYPE from HOST": the two words, borrowed. */
bool parse_listed_file(const char *text, struct span *type, struct span *host);
/* A token of RFC 9110 section 5.6.2. */
bool is_field_name(const char *text);
/* What may stand in a field's value, a page or a log line: no control characters. */
bool is_printable(const char *text);
/* A name for the log and the command line: letters, digits, '-' and '_', at most 32. */
bool is_plain_name(const char *text);

#endif
