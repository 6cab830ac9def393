# SPDX-License-Identifier: BSD-2-Clause
#
# The lab without the gateway: packets are forwarded, and everything that the other cases will see
# stopped gets through. A lab in which nothing could go wrong would prove nothing.

import os
import ssl

from browser import Browser
from case import case, check, equal, reached
from lab import build_folder
from misbehaving import STAGES
from network import CLIENTS
from processes import wait_for
from origins import BIG, FILES, HOSTS, BAD_CERTIFICATES
from records import Malformed, parse
from tlsclient import TlsClient, client_hello, padded_alpn, split_records


@case(gateway=False)
def every_site_answers_over_both_families(lab):
    for host, (_, server, kind) in HOSTS.items():
        if server != "nginx" or host in BAD_CERTIFICATES:
            continue
        for family, flag in ((4, "-4"), (6, "-6")):
            for scheme in ("https", "http"):
                lab.origins.clear()
                answer = lab.curl("clinician", flag, "%s://%s/" % (scheme, host), trust="internet")
                check(answer.exit == 0 and answer.status in (200, 302, 403, 404), host, scheme, answer)
                seen = lab.origins.requests(host, least=1)[-1]
                equal(seen["client"], CLIENTS["clinician"][0 if family == 4 else 1], seen)


@case(gateway=False)
def bad_certificates_are_bad(lab):
    for host in BAD_CERTIFICATES:
        answer = lab.curl("clinician", "https://%s/" % host, trust="internet")
        equal(answer.exit, 60, host, answer)


@case(gateway=False)
def files_are_what_they_are(lab):
    for name, (content, declared, _) in FILES.items():
        answer = lab.curl("clinician", "https://files.example.net/" + name, trust="internet")
        reached(lab, answer)
        equal(answer.body, content, name)
        equal((answer.field("Content-Type") or "").split(";")[0], declared, name)
    answer = lab.curl("clinician", "https://files.example.net/" + BIG, trust="internet")
    equal(answer.body, lab.origins.big)


@case(gateway=False)
def clients_are_three_devices(lab):
    for client, (ip4, ip6, _) in CLIENTS.items():
        for flag, address in (("-4", ip4), ("-6", ip6)):
            lab.origins.clear()
            reached(lab, lab.curl(client, flag, "https://ehr.example-clinic.jp/", trust="internet"))
            equal(lab.origins.requests("ehr.example-clinic.jp", least=1)[-1]["client"], address)


@case(gateway=False)
def the_wire_sees_every_attempt(lab):
    lab.network.connect("phone", lab.address("www.patient-link.example"), 443).close()
    lab.network.connect("phone", lab.address("www.patient-link.example", 6), 80).close()
    wait_for(lambda: len(lab.wire.attempts(*(lab.address("www.patient-link.example", f)
                                             for f in (4, 6)))) == 2, 3, "two attempts on the wire")


@case(gateway=False)
def misbehaving_origins_misbehave(lab):
    stubborn = lab.misbehaving["stubborn"]
    answer = lab.curl("clinician", "-H", "Connection: close", "https://%s/1" % stubborn.host,
                      "https://%s/2" % stubborn.host, trust="internet")
    reached(lab, answer)
    equal(stubborn.requests(), ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"])
    closing = lab.misbehaving["closing"]
    for stage in STAGES:
        closing.stage = stage
        answer = lab.curl("clinician", "https://%s/" % closing.host, trust="internet")
        # curl itself takes a head that just ends for a whole one.
        check(answer.exit != 0 or stage == "headers", stage, answer)
    hostile = lab.misbehaving["hostile"]
    hostile.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    equal(lab.curl("clinician", "https://%s/" % hostile.host, trust="internet").body, b"ok")


@case(gateway=False)
def hellos_are_cut_as_asked(lab):
    hello = client_hello("ehr.example-clinic.jp", padded_alpn(9000))
    check(9000 < len(hello) < 12000, len(hello))
    equal(split_records(hello, 100)[:5], b"\x16\x03\x01\x00\x64")
    for pieces in (lambda f: [(f[:700], 0.5), (f[700:], 0)], lambda f: [(split_records(f, 517), 0)],
                   lambda f: [(bytes([b]), 0) for b in f]):
        sock = lab.network.connect("clinician", lab.address("ehr.example-clinic.jp"), 443)
        client = TlsClient(sock, "ehr.example-clinic.jp", lab.trust("internet"), padded_alpn(2200),
                           pieces).handshake()
        equal(client.issuer(), "Lab Internet Root")
        equal(client.get("ehr.example-clinic.jp")[0], 200)
        client.close()
    sock = lab.network.connect("clinician", lab.address("self.example-clinic.jp"), 443)
    try:
        TlsClient(sock, "self.example-clinic.jp", lab.trust("internet")).handshake()
        raise AssertionError("a self-signed certificate was accepted")
    except ssl.SSLCertVerificationError:
        pass


@case(gateway=False)
def echo_keeps_bytes(lab):
    echo = lab.misbehaving["echo"]
    sock = lab.network.connect("clinician", lab.address(echo.host), 443)
    sock.sendall(b"hello")
    equal(sock.recv(5), b"hello")
    sock.shutdown(1)
    equal(sock.recv(5), b"")
    equal((len(echo.connections), echo.connections[0].received), (1, 5))


@case(gateway=False)
def the_collector_keeps_lines(lab):
    line = b'<134>1 2026-11-22T01:02:03.5Z gw sekishod 7 allow [sekisho@32473 event="allow" path="/a\\]b"] x'
    sock = lab.network.connect("gateway", "127.0.0.1", lab.collector.PORT)
    sock.sendall(b"%d %s" % (len(line), line))
    udp = lab.network.datagram("gateway", "127.0.0.1", lab.collector.PORT)
    udp.send(line.replace(b"allow", b"block"))
    equal(lab.collector.wait(event="allow")["path"], "/a]b")
    lab.collector.wait(event="block")
    for bad in ("<13>2 - - - - - -", '<13>1 - h a p i [x a="b]"] m', '<13>1 - h a p i [x a="1" a="2"]',
                '<13>1 - h a p i [x a="1"', "<999>1 - h a p i - m"):
        try:
            parse(bad)
        except Malformed:
            continue
        raise AssertionError("was taken as well-formed: " + bad)


@case(gateway=False)
def chromium_opens_the_call_and_the_link(lab):
    with Browser(lab, "clinician") as browser:
        equal(browser.get("https://call.telemed.example/room/1"), None)
        wait_for(lambda: browser.text("#state") == "通話中", 10, lambda: browser.text("#state"))
        browser.click("#patient-link", new_window=True)
        check("PATIENT-PAGE-REACHED" in browser.source(), browser.url())
        browser.screenshot(os.path.join(build_folder(), "lab", "screens", "direct-patient-page.png"))
        error = browser.get("https://self.example-clinic.jp/")
        check(error and "ERR_CERT" in error, "a self-signed certificate: %r" % error)
        browser.first_window()
        equal(browser.fetch("https://cdn.telemed.example/logo.png", "no-cors"), "0 opaque 0")


@case(gateway=False)
def quic_and_encrypted_dns_are_answered(lab):
    for family in (4, 6):
        for port in (80, 443, 853):
            udp = lab.network.datagram("clinician", lab.address(lab.quiet.host, family), port)
            udp.send(b"ping")
            equal(udp.recv(10), b"ping", port)
        sock = lab.network.connect("clinician", lab.address(lab.quiet.host, family), 853)
        sock.sendall(b"ping")
        equal(sock.recv(10), b"ping")
        sock.close()
    equal(len(lab.quiet.seen), 8)
