# SPDX-License-Identifier: BSD-2-Clause
#
# What is known by names and numbers: countries and autonomous systems from databases, the resolver
# beside the gateway, and names that are asked past it.

import os
import subprocess

from case import NAVIGATE, blocked, call, case, check, equal, not_reached, reached
from gateway import REPOSITORY
from processes import wait_for

PATIENT = "www.patient-link.example"
EHR = "ehr.example-clinic.jp"


def database(lab, name, *lines):
    """A file in MaxMind's format; its path."""
    path = os.path.join(lab.gateway.folder, name)
    subprocess.run(["perl", os.path.join(REPOSITORY, "tests", "mmdb.pl"), path],
                   input=("\n".join(lines) + "\n").encode(), check=True)
    os.chmod(path, 0o644)
    return path


def networks(lab, *lines, asn=True):
    """The section that names a database with these lines."""
    path = database(lab, "networks.mmdb", *lines)
    facts = {"country-database": path}
    if asn:
        facts["asn-database"] = path
    return facts


# --- countries and systems ---

@case(start=False)
def country_that_is_denied(lab):
    """Unknown destinations there are stopped before a packet leaves, over TLS and without; listed ones pass."""
    lab.gateway.configure({"network": networks(lab, "%s/32 64500 RU" % lab.address(PATIENT),
                                               "%s/128 64500 RU" % lab.address(PATIENT, 6),
                                               "%s/32 64501 RU" % lab.address(EHR)),
                           "policy": {"country-deny": ["RU"]}})
    lab.gateway.start()
    for family in ("-4", "-6"):
        for scheme in ("https", "http"):
            lab.collector.clear()
            lab.wire.clear()
            answer = lab.curl("clinician", family, *NAVIGATE, "%s://%s/present" % (scheme, PATIENT))
            record = blocked(lab, answer, "denied-country")
            equal((record.get("country"), record.get("asn")), ("RU", "64500"), record)
            line = lab.gateway.text().split("country-deny")[0].count("\n") + 1
            equal(record["rule"], "%s:%d" % (lab.gateway.path, line))
            not_reached(lab, PATIENT)
    lab.collector.clear()
    reached(lab, lab.curl("clinician", "-4", "https://%s/" % EHR))
    record = lab.collector.wait(event="allow", host=EHR)
    equal((record.get("asn"), record.get("country")), ("64501", "RU"), record)


@case(start=False)
def country_that_is_not_among_the_allowed(lab):
    """With country-allow an address that the database does not know is in no country. A release lifts it."""
    host = "unknown.example.org"
    lab.gateway.configure({"network": networks(lab, "%s/32 - JP" % lab.address(host),
                                               "%s/128 - JP" % lab.address(host, 6)),
                           "policy": {"country-allow": ["JP"]}})
    lab.gateway.start()
    reached(lab, lab.curl("clinician", *NAVIGATE, "https://%s/plain.txt" % host))
    record = lab.collector.wait(event="allow", host=host)
    equal((record.get("country"), record.get("asn")), ("JP", None), record)
    answer = lab.curl("clinician", *NAVIGATE, "https://%s/present" % PATIENT)
    incident = blocked(lab, answer, "denied-country")["incident"]
    not_reached(lab, PATIENT)
    lab.gateway.sekisho("release", incident, "--for", "5m", "--reason", "lab", "--by", "lab")
    wait_for(lambda: lab.curl("clinician", *NAVIGATE,
                              "https://%s/present" % PATIENT).status == 200, 5, "the release")
    call(lab)
    lab.collector.clear()
    answer = lab.curl("clinician", *NAVIGATE, "https://%s/other" % PATIENT)
    blocked(lab, answer, "unverified-destination")


@case(start=False)
def country_in_observe_mode(lab):
    """Nothing is stopped, and it is said what would have been, over TLS and without."""
    lab.gateway.configure({"network": networks(lab, "%s/32 64500 RU" % lab.address(PATIENT)),
                           "policy": {"country-deny": ["RU"], "mode": "observe"}})
    lab.gateway.start()
    for scheme in ("https", "http"):
        lab.collector.clear()
        reached(lab, lab.curl("clinician", "-4", *NAVIGATE, "%s://%s/present" % (scheme, PATIENT)))
        record = lab.collector.wait(event="would-block", reason="denied-country")
        equal(record.get("country"), "RU", record)


SYSTEM = """
service "numbered" {
    title = "番号のサービス"
    asn = { 64512 }
    reviewed = "2026-11-01"
}
"""


@case(start=False)
def system_of_a_service(lab):
    """An address of the service's system counts as its own: TLS that names no host is spliced there."""
    host = "media.splice.example"
    lab.gateway.configure({"network": networks(lab, "%s/32 64512 -" % lab.address(host))},
                          services=SYSTEM)
    lab.gateway.start()
    lab.curl("clinician", "-4", "--insecure", "https://%s/" % lab.address(host), seconds=5)
    record = lab.collector.wait(event="splice", service="numbered")
    equal((record["dst"], record.get("asn")), ("%s:443" % lab.address(host), "64512"), record)
    lab.collector.clear()
    lab.curl("clinician", "-4", "--insecure", "https://%s/" % lab.address(PATIENT), seconds=5)
    lab.collector.wait(event="refuse", reason="no-sni")


@case(start=False)
def database_that_is_damaged(lab):
    """An error of the check with the file's name; a running daemon keeps its old configuration."""
    facts = networks(lab, "%s/32 64500 RU" % lab.address(PATIENT),
                     "%s/128 64500 RU" % lab.address(PATIENT, 6))
    lab.gateway.configure({"network": facts, "policy": {"country-deny": ["RU"]}})
    lab.gateway.start()
    path = facts["country-database"]
    with open(path, "rb") as file:
        good = file.read()
    with open(path + ".new", "wb") as file:
        file.write(b"\xff" * 60 + good[60:])
    os.replace(path + ".new", path)
    status, _, text = lab.gateway.sekisho("check", check=False)
    equal(status, 1, text)
    check("error: network.country-database: %s: " % path in text, text)
    check(lab.gateway.reload()[0] != 0, "a damaged database was taken")
    answer = lab.curl("clinician", "-4", *NAVIGATE, "https://%s/present" % PATIENT)
    blocked(lab, answer, "denied-country")
