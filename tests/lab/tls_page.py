# SPDX-License-Identifier: BSD-2-Clause
#
# The tables of TLS.md, from what the cases of q_tls saw. A table stands between two comments of the
# page and is written by nobody else; the words around it are a person's.

import os
import re

from fault_rows import ROWS
from stip import TESTS

# Rows that take a case of their own: key: (case, fault).
SPECIAL = {
    "W35": ("keys_of_the_ca", "key file that others may read"),
    "W36": ("keys_of_the_ca", "the same CA key in every device"),
    "W37": ("parameters_of_both_sides", "TLS parameters of the two sides differ"),
    "W43": ("bad_after_good", "bad certificate after a good one was cached"),
    "H1": ("revocation_that_is_not_to_be_had", "nothing says whether the leaf is revoked"),
    "H2": ("revocation_that_is_not_to_be_had", "nothing says whether the CA between is revoked"),
    "H3": ("revocation_that_is_not_to_be_had",
           "list signed by a CA that may not sign lists (no cRLSign)"),
    "C1": ("handshakes_of_the_client", "TLS_FALLBACK_SCSV towards an origin that speaks TLS 1.3"),
    "C2": ("handshakes_of_the_client", "client with TLS 1.0 alone"),
    "C3": ("handshakes_of_the_client", "client with TLS 1.1 alone"),
    "C4": ("handshakes_of_the_client", "client with RSA key exchange alone"),
    "C5": ("handshakes_of_the_client", "client with CBC and DHE alone"),
    "C6": ("handshakes_of_the_client", "client with CCM-8 alone"),
    "C7": ("handshakes_of_the_client", "client without encryption (NULL-SHA256)"),
    "C8": ("handshakes_of_the_client", "client that renegotiates"),
    "C9": ("handshakes_of_the_client", "origin that asks to renegotiate"),
    "C10": ("encrypted_hellos", "encrypted ClientHello, made up (GREASE)"),
    "C11": ("encrypted_hellos", "encrypted ClientHello, real: alert 121, and again without"),
    "C12": ("page_instead_of_an_alert", "expired certificate, where the policy shows a page"),
    "C13": ("roots_that_browsers_distrust", "distrusted roots in the bundle that is the default"),
}
MARK = re.compile(r"(<!-- table: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_notes = {}


def note(key, gateway, client=None):
    """What the gateway did and what the client saw, in words that are the same each time."""
    _notes[key] = (gateway, client)


def complete():
    return all(key in _notes for key in (*SPECIAL, "parameters", *(row.key for row in ROWS)))


def _number(key):
    return key[0], int(key[1:])


def _rows(letters):
    """[(key, fault, case, versions, gateway, client)]"""
    found = [(row.key, row.fault, "every_fault", ", ".join(row.versions)) for row in ROWS]
    found += [(key, fault, case, "") for key, (case, fault) in SPECIAL.items()]
    return [(*entry, *_notes[entry[0]])
            for entry in sorted(found, key=lambda entry: _number(entry[0])) if entry[0][0] in letters]


def _faults(letters):
    yield "| Row | What was presented | TLS | Case | The gateway | The client saw | Result |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for key, fault, case, versions, gateway, client in _rows(letters):
        yield "| %s | %s | %s | %s | %s | %s | pass |" % (
            key, fault, versions or "-", case, gateway, client or "-")


def _stip():
    yield "| Evaluator test | In short | Rows | Result |"
    yield "| --- | --- | --- | --- |"
    rows = {}
    for row in ROWS:
        for test in row.stip:
            rows.setdefault(test, []).append(row.key)
    for test, short, more, remark in TESTS:
        keys = [*rows.pop(test, []), *more]
        if not keys and not remark:
            raise AssertionError("no row for " + test)
        yield "| %s | %s | %s | %s |" % (test, short, ", ".join(keys) or "-", remark or "pass")
    if rows:
        raise AssertionError("tests without a line in stip.py: %r" % rows)


def _parameters():
    yield "| What varies | Combinations | Passed | Refused, as without the gateway | " \
          "Refused by the gateway alone | Violations |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for line in _notes["parameters"][0]:
        yield "| %s |" % " | ".join(map(str, line))


TABLES = {"waked": lambda: _faults("W"), "stip": _stip, "more": lambda: _faults("SXHC"),
          "parameters": _parameters}


def _cost():
    """Counted by tests/tls.sh before the cases ran; not compared, because processors differ."""
    with open(os.environ["LAB_TLS_COST"], encoding="ascii") as file:
        return file.read().splitlines()


def render(text):
    """The page with its tables written anew."""
    if "LAB_TLS_COST" in os.environ:
        TABLES["cost"] = _cost
    return MARK.sub(lambda found: found[1] + "\n".join(TABLES[found[2]]()) + "\n" + found[3]
                    if found[2] in TABLES else found[0], text)
