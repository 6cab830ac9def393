# SPDX-License-Identifier: BSD-2-Clause
#
# What TLS.md tells: origins that present exactly one fault each, the parameters of both sides, and
# what else is asked of who looks into TLS. Each case leaves what it saw in tls_page; the last one
# compares that with the page.

import base64
import os
import re

import der
import parameters
import tls_page
from case import Skip, case, check, equal
from endpoint import Connection, Context, Refused
from fault_rows import ROWS, key_of_clinic, stapled
from faults import DOMAIN, FaultOrigin, World, visit
from gateway import REPOSITORY
from network import run
from origins import address4
from processes import wait_for


# CAs whose roots browsers have taken out for what they did.
DISTRUSTED = ("DigiNotar", "CNNIC", "China Internet Network Information Center", "WoSign",
              "StartCom", "TURKTRUST", "TÜRKTRUST", "ANSSI", "IGC/A", "TrustCor", "E-Tugra",
              "Symantec", "VeriSign", "GeoTrust", "thawte", "Superfish", "eDellRoot")


def _world(lab, name="faults"):
    world = World(os.path.join(lab.folder, name))
    world.clinic = key_of_clinic(lab)
    return world


def _start(lab, world, failure="alert"):
    trust, lists = world.write(lab.certificates.root)
    lab.gateway.configure({"tls": {"trust": trust, "revocation-lists": lists},
                           "policy": {"failure": failure}})
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


def _refused(lab, host, verdict, client="alert 42 (bad_certificate)", **parameters_of_client):
    lab.collector.clear()
    outcome = visit(lab, host, **parameters_of_client)
    record = _seen(lab, [host])[host]
    equal((_said(record), outcome), (verdict, client), record)
    return _tell(record)


def _tell(record):
    """The log's words for the page."""
    if record is None:
        return "verified, passed on"
    if record["reason"] == "origin-certificate":
        return "refused: " + record["verify"]
    return "refused: " + record["detail"]


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
    for row in ROWS:
        host = row.host(row.versions[-1])
        tls_page.note(row.key, _tell(records.get(host)), outcomes[host])


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
    tls_page.note("parameters", parameters.summary(rows))
    tls_page.note("W37", "%d combinations, %d violations" % (len(rows), len(wrong)),
                  "what the origin chose")


@case(start=False)
def bad_after_good(lab):
    """Nothing that was kept of a good certificate speaks for a bad one under the same name."""
    world, host = _world(lab), "changes." + DOMAIN
    good = world.good(host)
    seen = []
    with FaultOrigin(lab) as origin:
        origin.shown[host] = good
        _start(lab, world)
        equal(visit(lab, host), "passed")
        for shown, verdict in ((world.leaf(host, end=-60), "expired"),
                               (world.leaf(host, begin=3600), "not-yet-valid"),
                               (world.leaf(host, world.new_root("Stranger", trusted=False)),
                                "untrusted"),
                               (world.leaf(host, parts={"names": der.alternatives("x." + DOMAIN)}),
                                "name"),
                               (stapled(world, host, True), "revoked")):
            origin.shown[host] = shown
            seen.append(_refused(lab, host, verdict).removeprefix("refused: "))
            origin.shown[host] = good
            equal(visit(lab, host), "passed", "the good one again")
        # The very certificate that was good, with an answer that it is not any more.
        good.context["staple"] = world.answer(good.chain[0], True)
        seen.append(_refused(lab, host, "revoked"))
    tls_page.note("W43", "good: passed; then " + ", ".join(seen[:-1]) + ", the same one revoked: "
                  "refused each time", "alert 42 (bad_certificate)")


@case(start=False)
def revocation_that_is_not_to_be_had(lab):
    """STIP: by default what nobody speaks for passes; with tls.revocation = hard it does not."""
    world = _world(lab, "hard")
    lists = world.authority("Faults CA Without Lists",
                            parts={"usage": der.usage(der.SIGNS_CERTIFICATES)})
    unlisted = world.authority("Faults CA Unknown")
    hosts = {name: "%s.%s" % (name, DOMAIN) for name in
             ("known", "leaf-unknown", "ca-unknown", "listed-by-no-lister")}
    known = world.leaf(hosts["known"])
    below = world.leaf(hosts["leaf-unknown"], unlisted)
    odd = world.leaf(hosts["listed-by-no-lister"], lists)
    world.revoke_later(world.between, world.certificate("other." + DOMAIN))
    world.revoke_later(world.root, world.certificate("other." + DOMAIN))
    world.revoke_later(lists, odd.chain[0])  # by a CA that may sign certificates only
    apart = world.new_root("Faults Root Without Lists")
    above = world.authority("Faults CA Apart", apart)
    world.revoke_later(above, world.certificate("other." + DOMAIN))
    shown = {"known": known, "leaf-unknown": below, "listed-by-no-lister": odd,
             "ca-unknown": world.leaf(hosts["ca-unknown"], above)}
    with FaultOrigin(lab) as origin:
        origin.shown.update({hosts[name]: what for name, what in shown.items()})
        _start(lab, world)
        for host in hosts.values():
            equal(visit(lab, host), "passed", host)
        trust, files = os.path.join(world.folder, "trust.pem"), os.path.join(world.folder,
                                                                             "lists.pem")
        lab.gateway.configure({"tls": {"trust": trust, "revocation-lists": files,
                                       "revocation": "hard"}})
        equal(lab.gateway.reload()[0], 0)
        equal(visit(lab, hosts["known"]), "passed")
        for key, name in (("H1", "leaf-unknown"), ("H2", "ca-unknown"),
                          ("H3", "listed-by-no-lister")):
            told = _refused(lab, hosts[name], "revocation-unknown")
            tls_page.note(key, "soft: passed on; hard: " + told, "alert 42 (bad_certificate)")


@case(start=False)
def handshakes_of_the_client(lab):
    """What a client may not do, and what it is told when it tries."""
    world = _world(lab)
    new, old = "new." + DOMAIN, "old." + DOMAIN
    with FaultOrigin(lab) as origin:
        origin.shown[new] = world.good(new)
        origin.shown[old] = world.good(old, versions=("1.2", "1.2"))
        _start(lab, world)
        told = visit(lab, new, versions=("1.2", "1.2"), fallback=True)
        equal(told, "alert 86 (inappropriate_fallback)")
        tls_page.note("C1", "the origin's own refusal, passed on", told)
        equal(visit(lab, old, versions=("1.2", "1.2"), fallback=True), "passed")
        for key, versions in (("C2", ("1.0", "1.0")), ("C3", ("1.1", "1.1"))):
            told = visit(lab, new, versions=versions, weak=True)
            equal(told, "alert 70 (protocol_version)")
            tls_page.note(key, "refused before any origin hears of it", told)
        for key, suites in (("C4", ["AES128-SHA", "AES256-GCM-SHA384"]),
                            ("C5", ["ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"]),
                            ("C6", ["ECDHE-ECDSA-AES128-CCM8"]), ("C7", ["NULL-SHA256"])):
            told = visit(lab, new, versions=("1.2", "1.2"), suites12=suites, weak=True)
            equal(told, "alert 40 (handshake_failure)", suites)
            tls_page.note(key, "refused before any origin hears of it", told)
        check(set(origin.asked) == {old}, origin.asked)
        tls_page.note("C8", "renegotiation is not done", _renegotiates(lab, old))
        tls_page.note("C9", "renegotiation is not done", _asked_to_renegotiate(lab, origin, world))


def _renegotiates(lab, host):
    """A client that begins anew within TLS 1.2."""
    context = Context(False, versions=("1.2", "1.2"), trust=lab.trust("clinic"), level=2)
    with lab.network.connect("clinician", address4(DOMAIN), 443) as sock:
        sock.settimeout(10)
        connection = Connection(sock, context, host).handshake()
        try:
            connection.renegotiate()
        except Refused as refused:
            return str(refused)
    raise AssertionError("the client was let renegotiate")


def _asked_to_renegotiate(lab, origin, world):
    """An origin that asks for another handshake before it answers."""
    host = "anew." + DOMAIN
    told = []

    def serve(sock, hello, first, usual=origin.serve):
        if hello.host != host:
            usual(sock, hello, first)
            return
        shown = world.good(host, versions=("1.2", "1.2"))
        connection = Connection(sock, Context(True, chain=shown.chain, key=shown.key,
                                              **shown.context), first=first).handshake()
        connection.read()
        try:
            connection.renegotiate()
            connection.read()
            told.append("it was done")
        except Refused as refused:
            told.append(str(refused))
    origin.shown[host] = world.good(host)
    origin.serve = serve
    seen = visit(lab, host)
    wait_for(lambda: told, 10, "the origin's side")
    equal((seen, told), ("page 502", ["no renegotiation"]))
    return seen


def _ech(outer):
    """A made-up encrypted ClientHello, as browsers send it (RFC 9849 section 6.2)."""
    return b"\0" + b"\0\1\0\1" + bytes([outer]) + b"\0\x20" + os.urandom(32) + b"\0\x90" + \
        os.urandom(144)


@case(start=False)
def encrypted_hellos(lab):
    """One that is made up passes; who really used it hears the outer name's certificate, says so
    (alert 121) and comes again without: a downgrade in the log, and no error."""
    world, host = _world(lab), "outer." + DOMAIN
    with FaultOrigin(lab) as origin:
        origin.shown[host] = world.good(host)
        _start(lab, world)
        made_up = Context(False, trust=lab.trust("clinic"), alpn=["http/1.1"], level=2)
        made_up.add_extension(0xfe0d, _ech(7))
        equal(visit(lab, host, context=made_up), "passed")
        check(0xfe0d not in origin.hellos[host].extensions, "it was passed on")
        for version in ("1.2", "1.3"):
            real = Context(False, versions=(version, version), trust=lab.trust("clinic"),
                           alpn=["http/1.1"], level=2)
            real.add_extension(0xfe0d, _ech(9))
            lab.collector.clear()
            with lab.network.connect("clinician", address4(DOMAIN), 443) as sock:
                sock.settimeout(10)
                connection = Connection(sock, real, host)
                connection.first_flight()
                check(sock.recv(5)[0] == 22, "a ServerHello")
                sock.sendall(b"\x15\3\3\0\2\2\x79")
                lab.collector.wait(10, event="downgrade", sni=host)
            equal(visit(lab, host, versions=(version, version)), "passed", "the retry")
            equal(lab.collector.records(event="tls-error"), [])
        check(lab.gateway.ask("status")["events"]["downgrade"] == 2, lab.gateway.ask("status"))
    tls_page.note("C10", "passed on, without it", "passed")
    tls_page.note("C11", "event `downgrade`, no error", "passed, at the second try")


@case()
def keys_of_the_ca(lab):
    """W35 and W36: who may read the key, and that no two gateways have the same."""
    key = lab.gateway.ca[:-len("ca.pem")] + "ca-key.pem"
    equal(os.stat(key).st_mode & 0o077, 0, "who may read it")
    os.chmod(key, 0o644)
    try:
        status, out, err = lab.gateway.sekisho("check", check=False)
        check(status != 0 and "ca-key" in out + err, status, out, err)
    finally:
        os.chmod(key, 0o600)
    tls_page.note("W35", "0600; a key that others may read is refused", "-")
    seen = {_public(lab.gateway.ca)}
    for number in (1, 2):
        folder = os.path.join(lab.folder, "ca-%d" % number)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "ca.pem")
        lab.gateway.configure({"tls": {"ca-certificate": path,
                                       "ca-key": os.path.join(folder, "ca-key.pem")}})
        lab.gateway.sekisho("ca", "init", "--clinic", "診療所")
        seen.add(_public(path))
    equal(len(seen), 3, "keys of three gateways")
    shipped = run("sh", "-c", "grep -rlE -e '-----BEGIN ([A-Z]+ )?PRIVATE KEY' %s || true" % " ".join(
        os.path.join(REPOSITORY, folder) for folder in ("conf", "firmware", "gateway")))
    equal(shipped.strip(), "", "keys that come with it")
    tls_page.note("W36", "made on first use, another one each time; none is shipped", "-")


@case()
def roots_that_browsers_distrust(lab):
    """W34 for the bundle that is the default, Debian's: which of its roots have those names, and that
    none of them is taken."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    with open(bundle, encoding="ascii") as file:
        parts = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", file.read(), re.DOTALL)
    certificates = [base64.b64decode(part) for part in parts]
    check(len(certificates) > 50, len(certificates))
    held = sum(any(name.encode() in c for name in DISTRUSTED) for c in certificates)
    lab.gateway.configure({"tls": {"trust": bundle}})
    _, out, err = lab.gateway.sekisho("check", check=False)
    named = [line for line in (out + err).splitlines() if "will not be trusted: untrusted" in line]
    equal(len(named), held, out, err)
    tls_page.note("C13", "those that are there are passed over, and `sekisho check` names them", "-")


def _public(path):
    return run("openssl", "x509", "-in", path, "-noout", "-pubkey")


@case(start=False)
def page_instead_of_an_alert(lab):
    """policy.failure = page: our page under our leaf, and nothing of the origin's."""
    world, host = _world(lab), "page." + DOMAIN
    with FaultOrigin(lab) as origin:
        origin.shown[host] = world.leaf(host, end=-60)
        _start(lab, world, failure="page")
        equal(visit(lab, host), "page 502")
        check(host not in origin.asked, origin.asked)
    tls_page.note("C12", "refused: expired (policy.failure = page)", "page 502")


@case(gateway=False)
def the_page_agrees(lab):
    """TLS.md says what the cases before saw. `sh tests/tls.sh` writes it anew."""
    if not tls_page.complete():
        raise Skip("only after all other cases of q_tls")
    path = os.path.join(REPOSITORY, "TLS.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    new = tls_page.render(text)
    if os.environ.get("LAB_TLS_PAGE") == "write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(new)
        return
    old_lines, new_lines = text.splitlines(), new.splitlines()
    differing = [line for line in new_lines if line not in old_lines]
    check(text == new, "TLS.md says otherwise (sh tests/tls.sh writes it): %r" % differing[:5])
