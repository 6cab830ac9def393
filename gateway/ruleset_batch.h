/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One transaction with nftables: messages are put into a batch, then the kernel takes all of them
 * or none. Whatever goes wrong on the way, memory included, is said by ruleset_batch_run().
 */
#ifndef GATEWAY_RULESET_BATCH_H
#define GATEWAY_RULESET_BATCH_H

#include "gateway/ruleset_parts.h"

struct ruleset_batch;

/* The messages that may come first in a transaction, in this order, or not at all. */
enum ruleset_table { RULESET_TABLE_KEEP, RULESET_TABLE_REPLACE, RULESET_TABLE_REMOVE };
struct ruleset_batch *ruleset_batch_new(enum ruleset_table what);
void ruleset_batch_free(struct ruleset_batch *batch);

/* A chain that is there with the same hook stays. Without `type` it is one that rules jump to. */
void ruleset_batch_chain(struct ruleset_batch *batch, const char *name, const char *type,
                         uint32_t hook, int32_t priority);
/* Takes away every rule of the table. */
void ruleset_batch_flush_rules(struct ruleset_batch *batch);
/* Takes the rule and frees it; the signature is that of ruleset_take. */
bool ruleset_batch_rule(void *batch, struct nftnl_rule *rule);

void ruleset_batch_add_set(struct ruleset_batch *batch, const struct ruleset_set *set);
void ruleset_batch_flush_set(struct ruleset_batch *batch, const char *name);
void ruleset_batch_delete_set(struct ruleset_batch *batch, const char *name);
/* Adds what the set holds; elements that are there already are no mistake. */
void ruleset_batch_fill_set(struct ruleset_batch *batch, const struct ruleset_set *set);
void ruleset_batch_add_counter(struct ruleset_batch *batch, const char *name);
void ruleset_batch_delete_counter(struct ruleset_batch *batch, const char *name);

/* 0, or -1 with a message that names what was refused. */
int ruleset_batch_run(struct ruleset_batch *batch, char *error, size_t size);

#endif
