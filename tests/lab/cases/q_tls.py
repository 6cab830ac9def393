# SPDX-License-Identifier: BSD-2-Clause
#
# The rows of TLS.md: origins that present exactly one fault each.

import os

from case import case, check, equal
from fault_rows import ROWS, key_of_clinic
from faults import FaultOrigin, World, visit
from processes import wait_for
import parameters


def _world(lab):
    world = World(os.path.join(lab.folder, "faults"))
    world.clinic = key_of_clinic(lab)
    return world


def _start(lab, world, **tls):
    trust, lists = world.write(lab.certificates.root)
    lab.gateway.configure({"tls": {"trust": trust, "revocation-lists": lists, **tls}})
    lab.gateway.start()


def _seen(lab, hosts):
    """{host: what the log says of its refusal}, once all of these are there."""
    def records():
        found = {r["sni"]: r for r in lab.collector.records(event="tls-error") if "sni" in r}
        return found if all(host in found for host in hosts) else None
    return wait_for(records, 20, lambda: "records of %r" % [
        host for host in hosts if not any(r.get("sni") == host for r in lab.collector.records())])


def _said(record):
    return record["verify"] if record["reason"] == "origin-certificate" else "tls"


@case(start=False, seconds=180)
def every_fault(lab):
    """Each row under each version that it is for: the verdict, and what the client sees."""
    world, outcomes, wrong = _world(lab), {}, []
    with FaultOrigin(lab) as origin:
        for row in ROWS:
            for version in row.versions:
                origin.shown[row.host(version)] = row.shown(world, row.host(version))
        _start(lab, world)
        for row in ROWS:
            for version in row.versions:
                host = row.host(version)
                outcomes[host] = visit(lab, host, versions=(version, version))
        records = _seen(lab, [row.host(v) for row in ROWS if row.verdict for v in row.versions])
        for row in ROWS:
            for version in row.versions:
                host = row.host(version)
                said = _said(records[host]) if host in records else None
                if (said, outcomes[host]) != (row.verdict, row.client):
                    wrong.append((row.key, version, said, outcomes[host], records.get(host, {}).get("detail")))
                if row.verdict:
                    check(host not in origin.asked, row.key, "was asked for something")
    check(not wrong, "\n".join(map(repr, wrong)))


@case(start=False, seconds=240)
def parameters_of_both_sides(lab):
    """Never weaker than directly, never upgraded; the origin hears nothing that was not offered."""
    world = _world(lab)
    rows = parameters.run(lab, world, lambda: _start(lab, world))
    path = os.environ.get("LAB_PARAMETERS")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(parameters.table(rows)) + "\n")
    wrong = [line for line, row in zip(list(parameters.table(rows))[1:], rows) if row[-1]]
    check(not wrong, "%d of %d: %s" % (len(wrong), len(rows), "\n".join(wrong[:40])))
