# SPDX-License-Identifier: BSD-2-Clause
#
# A patient who floods the chat: what he sent last is stopped on every device all the same, and the
# registry and its store bear it.

from case import case, check, equal
from chat import message
from learned import LINK, is_learned, passes, patient_sends, poll, stopped

FLOOD = 3000


@case(seconds=90)
def a_flood_of_links_hides_none(lab):
    """Thousands of links in one message, the one that matters last: it holds for both workers."""
    passes(lab)
    links = " ".join("https://f%d.example.net/x" % i for i in range(FLOOD))
    lab.chat.put("flood.json", message(links + " " + LINK))
    poll(lab, "/plain/flood.json")
    is_learned(lab, seconds=30)
    stopped(lab, times=4)
    records = lab.collector.records(event="learned")
    check(len(records) >= FLOOD, len(records))


@case(seconds=60)
def a_link_in_a_history_is_told_once(lab):
    """A page that fetches the same history over and over makes no work for the registry."""
    patient_sends(lab)
    is_learned(lab)
    for _ in range(5):
        poll(lab, "/plain/feed.json")
    equal(len(lab.collector.records(event="learned")), 1)
    stopped(lab)
