# SPDX-License-Identifier: BSD-2-Clause
#
# How a case is written: a function that takes the lab, and a decorator that says with which
# configuration the gateway runs. Every case begins with a fresh gateway and an empty state folder.
#
#     @case({"policy": {"linger": "2s"}})
#     def what_is_shown(lab):
#         ...

import time

CASES = []

# What a browser sends with an address that was typed, pasted or scanned. Without it curl is taken for
# a program that loads some resource, and gets no page to read.
NAVIGATE = ["-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document",
            "-H", "Sec-Fetch-Site: none", "-H", "Accept: text/html,*/*;q=0.8"]


class Skip(Exception):
    """This case cannot be run here; the text says why."""


class Case:
    def __init__(self, function, config, services, options):
        self.function, self.config, self.services = function, config, services
        self.gateway = options.pop("gateway", True)   # false: packets are simply forwarded
        self.start = options.pop("start", True)       # false: the case starts it itself
        self.deaths = options.pop("deaths", False)    # true: the case kills processes
        self.seconds = options.pop("seconds", 90)     # after which it has failed
        self.by_name = options.pop("by_name", False)  # true: takes minutes, only with --by-name
        if options:
            raise TypeError("unknown options of a case: %r" % options)
        self.name = function.__module__.removeprefix("cases.") + "." + function.__name__


def case(config=None, services=None, **options):
    def register(function):
        CASES.append(Case(function, config, services, options))
        return function
    return register


def check(condition, *facts):
    """An assertion that tells what it saw."""
    if not condition:
        raise AssertionError(", ".join(fact if isinstance(fact, str) else repr(fact) for fact in facts)
                             or "is false")


def equal(seen, wanted, *facts):
    if seen != wanted:
        raise AssertionError("%r, expected %r%s" % (seen, wanted, "".join(
            ", " + (f if isinstance(f, str) else repr(f)) for f in facts)))


# --- what many cases say ---

def blocked(lab, answer, reason, status=403, page=True):
    """The answer is the gateway's own refusal, and the log has the line that says why. Returns the record."""
    equal(answer.status, status, answer)
    if page:
        check("<html" in answer.text and "no-store" in (answer.field("Cache-Control") or ""), answer,
              answer.head)
        check(len(answer.body) <= 12 * 1024, "a page of %d bytes" % len(answer.body))
    record = lab.collector.wait(event="block", reason=reason)
    check(record.get("incident"), "a block without an incident number", record)
    return record


def reached(lab, answer, status=200):
    """The answer came from the origin."""
    equal((answer.exit, answer.status), (0, status), answer)


def not_reached(lab, host, since=0.0):
    """No connection attempt to that host was seen on the wire, and no request in its log."""
    attempts = lab.wire.attempts(*(lab.address(host, family) for family in (4, 6)), since=since)
    check(not attempts, "%s was contacted: %r" % (host, attempts))
    requests = [r for r in lab.origins.requests(host) if r["time"] >= since]
    check(not requests, "%s got requests: %r" % (host, requests))


def call(lab, client="clinician", seconds=5):
    """Puts a consultation on, as a call does, and waits until every worker knows."""
    answer = lab.curl(client, "https://call.telemed.example/room/1")
    reached(lab, answer)
    lab.collector.wait(seconds, event="consultation-on")
    time.sleep(0.1)
