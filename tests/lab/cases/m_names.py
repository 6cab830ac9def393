# SPDX-License-Identifier: BSD-2-Clause
#
# What is known by names and numbers: countries and autonomous systems from databases, the resolver
# beside the gateway, and names that are asked past it.

import contextlib
import os
import subprocess

from case import NAVIGATE, blocked, call, case, check, equal, not_reached, reached
from gateway import REPOSITORY
from names import A, AAAA, HTTPS, NXDOMAIN, SINK4, SINK6, SVCB, UPSTREAM, Resolver, ask
from network import GATEWAY_LAN4, GATEWAY_LAN6, GATEWAY_WAN4
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
    lab.curl("clinician", "-4", "https://%s/" % lab.address(host), seconds=5)
    record = lab.collector.wait(event="splice", service="numbered")
    equal((record["dst"], record.get("asn")), ("%s:443" % lab.address(host), "64512"), record)
    lab.collector.clear()
    lab.curl("clinician", "-4", "https://%s/" % lab.address(PATIENT), seconds=5)
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


# --- the resolver beside the gateway ---

def dns_file(lab):
    return os.path.join(lab.gateway.folder, "dnsmasq.conf")


def with_resolver(lab, changes=None, **options):
    """The gateway runs and has written the file; dnsmasq is not there yet."""
    network = {"resolvers": ["127.0.0.1"], "dns-upstream": [UPSTREAM], "dns-file": dns_file(lab),
               "dns": None}
    if os.path.exists(dns_file(lab)):
        os.unlink(dns_file(lab))
    lab.gateway.configure({"network": network, **(changes or {})}, **options)
    lab.gateway.start()
    check(os.path.exists(dns_file(lab)), "no file for dnsmasq: " + lab.gateway.log()[-500:])
    return Resolver(lab, dns_file(lab))


@case(start=False)
def what_the_clients_are_told(lab):
    """Canaries, service records, private addresses; and everything else as the internet says it."""
    with with_resolver(lab):
        for name in ("use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com",
                     "doh.dns.apple.com", "x.mask.icloud.com"):
            for kind in (A, AAAA):
                equal(ask(lab, name, kind), (NXDOMAIN, []), name)
        equal(ask(lab, "_dns.resolver.arpa", SVCB), (NXDOMAIN, []))
        for kind in (HTTPS, SVCB):
            check(ask(lab, "hidden.example.org", kind, UPSTREAM, "gateway")[1], "the lab's own record")
            equal(ask(lab, "hidden.example.org", kind)[1], [])
        equal(ask(lab, "inside.rebind.test", A, UPSTREAM, "gateway")[1], ["192.168.10.20"])
        equal(ask(lab, "inside.rebind.test")[1], [])
        for host in (EHR, "call.telemed.example", "unknown.example.org"):
            equal(ask(lab, host), (0, [lab.address(host)]))
            equal(ask(lab, host, AAAA), (0, [lab.address(host, 6)]))
            equal(ask(lab, host, server=GATEWAY_LAN6), (0, [lab.address(host)]))


@case(start=False)
def sunk_names_lead_to_the_page(lab):
    """A denied host and an attachment host: the sink's address, the page, an incident, nobody met."""
    with with_resolver(lab):
        for host, reason in (("bit.ly", "denied-destination"),
                             ("files.telemed.example", "chat-attachment")):
            equal((ask(lab, host), ask(lab, host, AAAA)), ((0, [SINK4]), (0, [SINK6])), host)
            for address in (SINK4, "[%s]" % SINK6):
                lab.collector.clear()
                answer = lab.curl("clinician", "--resolve", "%s:443:%s" % (host, address), *NAVIGATE,
                                  "https://%s/x" % host)
                record = blocked(lab, answer, reason)
                check(record["dst"] == "%s:443" % address, record)
            not_reached(lab, host)
        equal(ask(lab, "www.bit.ly")[1], [SINK4])  # .bit.ly
        equal(ask(lab, "x.files.telemed.example")[1], [])  # not the name itself


@case(start=False)
def released_host_is_found_behind_the_sink(lab):
    """The client still goes to the sink; the gateway asks where the host is. No mismatch is told of it."""
    host = "files.telemed.example"
    to_sink = ["--resolve", "%s:443:%s" % (host, SINK4), "--resolve", "%s:80:%s" % (host, SINK4)]
    with with_resolver(lab):
        answer = lab.curl("clinician", *to_sink, *NAVIGATE, "https://%s/plain.txt" % host)
        blocked(lab, answer, "chat-attachment")
        lab.gateway.sekisho("release", host, "--for", "5m", "--reason", "lab", "--by", "lab")
        for scheme in ("https", "http"):
            wait_for(lambda: lab.curl("clinician", *to_sink, *NAVIGATE, "%s://%s/plain.txt" % (
                scheme, host)).status == 200, 5, "the release over %s" % scheme)
        equal(lab.collector.records(event="mismatch"), [])
        check(lab.wire.attempts(lab.address(host), lab.address(host, 6)), "it was reached otherwise")


@case(start=False)
def answers_agree(lab):
    """The client goes where dnsmasq sent it, and the gateway goes there too: one resolver for both."""
    with with_resolver(lab) as resolver:
        for host in (EHR, "web.splice.example"):
            address = ask(lab, host)[1][0]
            lab.collector.clear()
            reached(lab, lab.curl("clinician", "--resolve", "%s:443:%s" % (host, address),
                                  "https://%s/" % host))
            equal(lab.collector.records(event="mismatch"), [])
        check("from 127.0.0.1" in resolver.process.output(), "the gateway asked somebody else")
        status, _, text = lab.gateway.sekisho("check", check=False)
        equal(status, 0, text)
        check("network.resolvers" not in text, text)
        lab.gateway.configure({"network": {"dns-upstream": [UPSTREAM], "dns-file": dns_file(lab),
                                           "dns": [GATEWAY_LAN4]}})
        check("warning: network.resolvers: not the clients' own resolver" in
              lab.gateway.sekisho("check", check=False)[2])


@case(start=False)
def file_follows_the_configuration(lab):
    """Written at the start and at a reload, replaced in one step, left alone when nothing changed."""
    with with_resolver(lab) as resolver:
        equal(ask(lab, PATIENT)[1], [lab.address(PATIENT)])
        first = os.stat(dns_file(lab))
        lab.gateway.reload(by="signal")
        equal(os.stat(dns_file(lab)).st_ino, first.st_ino)
        text = lab.gateway.text()
        lab.gateway.write(text.replace("clinic {", 'clinic {\n    deny = { "%s" }' % PATIENT))
        lab.gateway.reload(by="signal")
        wait_for(lambda: "dnsmasq must be restarted" in lab.gateway.log(), 5, lab.gateway.log)
        check(os.stat(dns_file(lab)).st_ino != first.st_ino, "it was written over")
        resolver.restart()
        equal(ask(lab, PATIENT)[1], [SINK4])
        said = lab.gateway.sekisho("dns-config", "--output", dns_file(lab))
        check("as it was" in said, said)
        lab.gateway.write(text)
        said = lab.gateway.sekisho("dns-config", "--output", dns_file(lab))
        check("changed, restart dnsmasq" in said, said)
        with open(dns_file(lab), encoding="utf-8") as file:
            equal(lab.gateway.sekisho("dns-config"), file.read())


CLOSED = "198.51.100.0/24"
MEDIA = """
service "calls" {
    media-hosts = { "%s", "*.other.example" }
    media-udp = { "3478" }
    reviewed = "2026-11-01"
}
""" % EHR


@case({"network": {"bypass": ["closed"], "resolvers": ["127.0.0.1"], "dns-upstream": [UPSTREAM]},
       'bypass "closed"': {"networks": [CLOSED], "zones": ["onshi.test"],
                           "resolvers": [GATEWAY_WAN4 + ":5353"]}}, start=False)
def zones_of_a_closed_network(lab):
    """They are asked of its own resolver, and may lead to private addresses."""
    path = os.path.join(lab.gateway.folder, "closed-dnsmasq.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write("no-resolv\nno-hosts\nbind-interfaces\nuser=root\ngroup=root\npid-file=\nno-daemon\n"
                   "port=5353\nlisten-address=%s\nhost-record=karte.onshi.test,10.9.8.7\n" % GATEWAY_WAN4)
    closed = lab.processes.start("gateway", "closed-dnsmasq", ["dnsmasq", "-C", path])
    lab.gateway.sekisho("dns-config", "--output", dns_file(lab))
    try:
        with Resolver(lab, dns_file(lab)):
            wait_for(lambda: ask(lab, "karte.onshi.test")[1] == ["10.9.8.7"], 10, closed.output)
            equal(ask(lab, EHR)[1], [lab.address(EHR)])
    finally:
        closed.stop()
        lab.processes.forget(closed)


@case(start=False)
def media_hosts_fill_the_kernel_s_sets(lab):
    """The address that a client is told is open for media before the client has the answer."""
    with with_resolver(lab, services=MEDIA):
        def listed():
            return [lab.network.run("gateway", "nft", "list", "set", "inet", "sekisho",
                                    "names%d_calls" % family) for family in (4, 6)]
        check(lab.address(EHR) not in listed()[0], listed())
        for kind, family, answer in ((A, 4, listed), (AAAA, 6, listed)):
            equal(ask(lab, EHR, kind)[1], [lab.address(EHR, family)])
            check(lab.address(EHR, family) in answer()[family == 6], answer())
        ask(lab, PATIENT)
        check(lab.address(PATIENT) not in listed()[0], listed())


@case(start=False)
def clients_with_another_resolver_are_led_here(lab):
    """Their plain DNS comes to the gateway's own: what it asks and answers holds for them too."""
    with with_resolver(lab):
        equal(ask(lab, "bit.ly", server=UPSTREAM)[1], [SINK4])
        answer = lab.curl("clinician", "-4", *NAVIGATE, "https://bit.ly/x")
        record = blocked(lab, answer, "denied-destination")
        equal(record["dst"], SINK4 + ":443")
        reached(lab, lab.curl("clinician", "https://%s/" % EHR))
        equal(lab.collector.records(event="mismatch"), [])


# --- names asked over HTTPS ---

def ask_over_https(lab, url, *words):
    """curl asks for a name by DNS over HTTPS, and does not get it; the record of why."""
    lab.collector.clear()
    answer = lab.curl("clinician", "--doh-url", url, *words, "https://%s/" % EHR, seconds=10)
    check(answer.exit in (6, 7), answer)
    return lab.collector.wait(event="block", reason="denied-destination", host="unknown.example.org")


@case({"tls": {"http2": True}})
def dns_over_https_is_stopped(lab):
    """By its path and by its media type, in HTTP/1.1 and in HTTP/2; no question reaches the server."""
    host = "unknown.example.org"
    for context in (contextlib.nullcontext(), lab.origins.speaking_http2()):
        with context:
            for path in ("/dns-query", "/other"):
                record = ask_over_https(lab, "https://%s%s" % (host, path))
                equal((record["path"], record["method"]), (path, "POST"))
            lab.collector.clear()
            answer = lab.curl("clinician", "https://%s/dns-query?dns=AAABAAABAAAAAAAAA3d3dwAAAQAB" % host)
            blocked(lab, answer, "denied-destination", page=False)
            equal(answer.facts["http_version"], "1.1" if context.__class__.__name__ == "nullcontext"
                  else "2")
    equal(lab.origins.requests(host), [])
