# SPDX-License-Identifier: BSD-2-Clause
#
# What testssl.sh, a tool that nobody here wrote, finds in what clients are shown: of an inspected site, and by
# the enrolment page. It takes minutes, so it is run by name: sh tests/testssl.sh.

import json
import os
import subprocess

from case import case, check
from network import GATEWAY_LAN4
from origins import PORTAL

EHR = "ehr.example-clinic.jp"
SERIOUS = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
TOLD = SERIOUS | {"LOW", "WARN"}  # WARN: the tool could not look, most often for want of an old library
# Findings that are meant, and why.
MEANT = {
    "cert_revocation": "a leaf lives for a day at most: it names no list and no responder",
    "cert_expirationStatus": "a leaf lives for a day at most, and is renewed before it ends",
    "cert_notAfter": "a leaf lives for a day at most, and is renewed before it ends",
    "cipher_order": "the client's order: all that is spoken is ECDHE with AEAD, and the origin has chosen already",
}
# Without these the run has not looked at what it was to look at.
LOOKED_AT = {"SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "cipherlist_NULL", "cipherlist_3DES_IDEA",
             "PFS", "cert_chain_of_trust", "heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_renego",
             "CRIME_TLS", "POODLE_SSL", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"}


def findings(lab, host, address, root):
    path = os.path.join(lab.folder, "testssl-%s.json" % host)
    if os.path.exists(path):
        os.unlink(path)
    words = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", address,
             "--assume-http", "--connect-timeout", "10", "--openssl-timeout", "10", "--jsonfile", path,
             "--add-ca", root, "--protocols", "--std", "--pfs", "--server-preference", "--server-defaults",
             "--vulnerable", host + ":443"]
    done = subprocess.run([*lab.network.prefix("clinician"), *words], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500,
                          env={"PATH": os.environ["PATH"], "HOME": lab.folder, "TERM": "dumb", "LANG": "C.UTF-8"})
    said = done.stdout.decode(errors="replace")
    check(os.path.exists(path), said[-1000:])
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    for row in rows:  # of several certificates (each worker has a leaf of its own) they are numbered
        row["id"] = row["id"].split(" ")[0]
    missed = LOOKED_AT - {row["id"] for row in rows}
    check(not missed, "not looked at: %s" % sorted(missed), said[-1000:])
    return rows


def judge(lab, host, address):
    rows = findings(lab, host, address, lab.gateway.root)
    bad = []
    for row in rows:
        serious = row["severity"] in SERIOUS
        meant = MEANT.get(row["id"])
        if serious and not meant:
            bad.append((row["id"], row["severity"], row["finding"]))
        if row["severity"] in TOLD:
            print("  %s: %s %s: %s%s" % (host, row["severity"], row["id"], row["finding"][:100],
                                         " (meant: %s)" % meant if meant else ""), flush=True)
    check(not bad, host, bad)
    print("  %s: %d findings looked at" % (host, len(rows)), flush=True)


@case({"portal": {"address": [GATEWAY_LAN4]}}, seconds=1600, by_name=True)
def an_inspected_site(lab):
    judge(lab, EHR, lab.address(EHR))


@case({"portal": {"address": [GATEWAY_LAN4]}}, seconds=1600, by_name=True)
def the_enrolment_page(lab):
    judge(lab, PORTAL, GATEWAY_LAN4)
