# SPDX-License-Identifier: BSD-2-Clause
#
# What the gateway's rules in the kernel have counted.

import json

REFUSE = ("reject", "drop", "dnat", "redirect")  # a packet is refused, or led elsewhere


def rules_that(lab, *acts):
    """{chain and comment: packets} of the rules in whose expressions one of these stands."""
    out = lab.network.run("gateway", "nft", "-j", "list", "table", "inet", "sekisho")
    listed = json.loads(out)["nftables"]
    named = {i["counter"]["name"]: i["counter"]["packets"] for i in listed if "counter" in i}
    counts = {}
    for rule in (i["rule"] for i in listed if "rule" in i):
        if not any(act in e for e in rule["expr"] for act in acts):
            continue
        name = "%s: %s" % (rule["chain"], rule.get("comment", "rule %d" % rule["handle"]))
        for counter in (e["counter"] for e in rule["expr"] if "counter" in e):
            counts[name] = counts.get(name, 0) + (
                named[counter] if isinstance(counter, str) else counter["packets"])
    return counts
