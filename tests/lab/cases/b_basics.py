# SPDX-License-Identifier: BSD-2-Clause
#
# The gateway is in the path, for both address families and through both kinds of listener: what the
# consultation needs passes, what the policy stops is stopped, and each has its line in the log.

import re
import socket
import time

from case import NAVIGATE, blocked, call, case, check, equal, not_reached, reached
from gateway import ROOM
from network import CLIENTS, GATEWAY_LAN4, GATEWAY_WAN4, GATEWAY_WAN6
from origins import BIG, FILES

PROXY = "http://%s:8080" % GATEWAY_LAN4


def both(function):
    def run(lab):
        for flag in ("-4", "-6"):
            lab.fresh()
            function(lab, flag, GATEWAY_WAN4 if flag == "-4" else GATEWAY_WAN6)
    run.__name__, run.__module__ = function.__name__, function.__module__
    return run


@case()
@both
def allowed_site_is_inspected(lab, flag, wan):
    answer = lab.curl("clinician", flag, "https://ehr.example-clinic.jp/", trust="clinic")
    reached(lab, answer)
    check("電子カルテ" in answer.text, answer)
    seen = lab.origins.requests("ehr.example-clinic.jp", least=1)
    equal(len(seen), 1)
    equal(seen[0]["client"], wan, "the origin sees who came")
    equal((seen[0]["via"], seen[0]["forwarded"]), ("", ""), "the clinic's inside is not told")
    record = lab.collector.wait(event="allow", host="ehr.example-clinic.jp")
    equal(record["room"], ROOM, record)
    equal(record["client"], CLIENTS["clinician"][2] if record["client"].count(":") == 5 else
          CLIENTS["clinician"][0 if flag == "-4" else 1], record)


@case()
@both
def plain_http_is_judged_too(lab, flag, wan):
    answer = lab.curl("clinician", flag, "http://ehr.example-clinic.jp/")
    reached(lab, answer)
    equal(lab.origins.requests("ehr.example-clinic.jp", least=1)[0]["client"], wan)
    lab.fresh()
    answer = lab.curl("clinician", flag, *NAVIGATE, "http://bit.ly/x")
    blocked(lab, answer, "denied-destination")
    not_reached(lab, "bit.ly")


@case()
@both
def denied_destination_is_never_met(lab, flag, _wan):
    answer = lab.curl("clinician", flag, *NAVIGATE, "https://bit.ly/3xYzAbC", trust="clinic")
    record = blocked(lab, answer, "denied-destination")
    check(re.search(r"\.txt:[0-9]+$", record.get("rule", "")), record)
    number = record["incident"].lstrip("#").replace("-", "")
    check(number.isdigit() and number in answer.text.replace("-", ""), "the page shows incident", record)
    not_reached(lab, "bit.ly")


@case()
def unknown_passes_without_a_consultation(lab):
    for flag in ("-4", "-6"):
        reached(lab, lab.curl("phone", flag, *NAVIGATE, "https://www.patient-link.example/present?x=1"))


@case()
@both
def consultation_blocks_unknown(lab, flag, _wan):
    reached(lab, lab.curl("clinician", flag, "https://call.telemed.example/room/1"))
    if flag == "-4":  # for the second family it is on already
        lab.collector.wait(event="consultation-on")
    time.sleep(0.1)
    lab.fresh()
    for client in ("clinician", "phone"):
        answer = lab.curl(client, flag, *NAVIGATE, "https://www.patient-link.example/present?x=1")
        blocked(lab, answer, "unverified-destination")
        check(not lab.origins.requests("www.patient-link.example"), "the patient's site got a request")
    reached(lab, lab.curl("clinician", flag, "https://ehr.example-clinic.jp/"))


@case()
@both
def link_out_of_the_consultation(lab, flag, _wan):
    answer = lab.curl("clinician", flag, *NAVIGATE[:4], "-H", "Sec-Fetch-Site: cross-site", "-H", "Referer: https://call.telemed.example/",
                      "https://www.patient-link.example/present?x=1")
    record = blocked(lab, answer, "link-from-consultation")
    equal(record["from"], "service:telemed", record)
    equal(record["kind"], "navigation", record)
    check("x=1" not in str(record), "a query string in the log", record)
    check(not lab.origins.requests("www.patient-link.example"))


@case()
def chat_attachment_host(lab):
    answer = lab.curl("clinician", *NAVIGATE, "https://files.telemed.example/real.pdf", trust="clinic")
    blocked(lab, answer, "chat-attachment")
    not_reached(lab, "files.telemed.example")


@case({"policy": {"outside": "deny"}})
def outside_deny(lab):
    answer = lab.curl("clinician", *NAVIGATE, "https://www.patient-link.example/present")
    blocked(lab, answer, "unknown-destination")
    reached(lab, lab.curl("clinician", "https://ehr.example-clinic.jp/"))


@case()
def page_in_the_clients_language(lab):
    for language, mark in (("ja,en;q=0.5", 'lang="ja"'), ("en-US,en;q=0.9", 'lang="en"'), (None, 'lang="ja"')):
        words = ["-H", "Accept-Language: " + language] if language else []
        answer = lab.curl("clinician", *NAVIGATE, *words, "https://bit.ly/x")
        equal(answer.status, 403)
        check(mark in answer.text, language, answer.text[:200])
        check("default-src 'none'" in (answer.field("Content-Security-Policy") or ""), answer.head)


@case()
def subresource_gets_an_empty_answer(lab):
    call(lab)
    answer = lab.curl("clinician", "-H", "Sec-Fetch-Mode: no-cors", "-H", "Sec-Fetch-Dest: image",
                      "-H", "Sec-Fetch-Site: cross-site", "-H", "Referer: https://unknown.example.org/",
                      "https://www.patient-link.example/x.png")
    equal((answer.status, answer.body), (403, b""), answer)
    lab.collector.wait(event="block", reason="unverified-destination", kind="subresource")


@case()
def subresource_of_an_allowed_page_passes(lab):
    call(lab)
    answer = lab.curl("clinician", "-H", "Sec-Fetch-Mode: no-cors", "-H", "Sec-Fetch-Dest: image",
                      "-H", "Sec-Fetch-Site: cross-site", "-H", "Referer: https://ehr.example-clinic.jp/",
                      "https://unknown.example.org/logo.png")
    reached(lab, answer)


# --- files ---

ALWAYS = {
    "setup.pdf": "type-mismatch", "notes.txt": "type-mismatch", "photo.jpg": "type-mismatch",
    "setup.exe": "dangerous-file", "octets": None, "program.elf": "dangerous-file",
    "disk.iso": "dangerous-file", "letter.docm": "dangerous-file", "run.vbs": "dangerous-file",
    "open.url": "dangerous-file", "page.hta": "dangerous-file", "apple.mobileconfig": "dangerous-file",
}


@case()
def dangerous_files_are_blocked_from_allowed_sites(lab):
    for name, reason in ALWAYS.items():
        lab.fresh()
        for scheme in ("https", "http"):
            answer = lab.curl("clinician", *NAVIGATE, "%s://files.example.net/%s" % (scheme, name))
            equal(answer.status, 403, scheme, name, answer)
            check(FILES[name][0][:64] not in answer.body, "the file's bytes came through", name)
            record = lab.collector.wait(event="block", host="files.example.net")
            check(reason is None or record["reason"] == reason, name, record)


@case()
def dangerous_bytes_are_blocked_for_scripts_too(lab):
    """A body that script assembles into a file: fetch() of a program."""
    answer = lab.curl("clinician", "-H", "Sec-Fetch-Mode: cors", "-H", "Sec-Fetch-Dest: empty",
                      "-H", "Sec-Fetch-Site: same-origin", "-H", "Referer: https://files.example.net/",
                      "https://files.example.net/octets")
    equal((answer.status, answer.body), (403, b""), answer)


@case()
def harmless_files_outside_a_consultation(lab):
    for name in ("plain.txt", "logo.png", "real.pdf", "letter.docx", BIG):
        answer = lab.curl("clinician", "https://files.example.net/" + name)
        reached(lab, answer)
        equal(answer.body, lab.origins.big if name == BIG else FILES[name][0], name)


@case()
def unknown_downloads_during_a_consultation(lab):
    call(lab)
    lab.fresh()
    for name in ("real.pdf", "letter.docx", "records.zip", "records.lzh"):
        answer = lab.curl("clinician", *NAVIGATE, "https://files.example.net/" + name)
        equal(answer.status, 403, name, answer)
        check(FILES[name][0][:32] not in answer.body, name)
    reached(lab, lab.curl("clinician", "https://files.example.net/plain.txt"))
    answer = lab.curl("clinician", "https://labo.example.jp/real.pdf")
    reached(lab, answer)
    equal(answer.body, FILES["real.pdf"][0], "a listed file")


@case()
def content_coding_hides_nothing(lab):
    answer = lab.curl("clinician", "--compressed", "https://files.example.net/setup.pdf")
    equal(answer.status, 403, answer)


# --- tls ---

@case()
def bad_origin_certificates_are_never_made_good(lab):
    for host in ("expired", "wrong", "self"):
        name = host + ".example-clinic.jp"
        answer = lab.curl("clinician", "https://%s/" % name)
        check(answer.exit in (35, 56) and answer.status == 0, name, answer)
        record = lab.collector.wait(event="tls-error", sni=name)
        check(record.get("verify") not in (None, "", "ok"), record)
        check(not lab.origins.requests(name), "a request went to an unverified origin", name)


@case({"policy": {"failure": "page"}})
def bad_origin_certificates_with_a_page(lab):
    for host in ("expired", "wrong", "self"):
        name = host + ".example-clinic.jp"
        answer = lab.curl("clinician", "https://%s/" % name, trust="clinic")
        equal(answer.status, 502, name, answer)
        check("電子カルテ" not in answer.text, "the origin's content was relayed", name)


@case()
def alt_svc_is_stripped(lab):
    answer = lab.curl("clinician", "https://ehr.example-clinic.jp/alt")
    reached(lab, answer)
    equal(answer.field("Alt-Svc"), None)


@case()
def another_host_on_this_connection_is_misdirected(lab):
    answer = lab.curl("clinician", "-H", "Host: www.patient-link.example", "https://ehr.example-clinic.jp/")
    equal(answer.status, 421, answer)
    check(not lab.origins.requests(), lab.origins.requests())
    lab.collector.wait(event="block", reason="misdirected")


# --- explicit proxy ---

@case()
def proxy_connect(lab):
    for proxy in (PROXY, "http://[fd00:10::1]:8080"):
        answer = lab.curl("other", "--proxy", proxy, "https://ehr.example-clinic.jp/", trust="clinic")
        reached(lab, answer)
        answer = lab.curl("other", "--proxy", proxy, *NAVIGATE, "https://bit.ly/x", trust="clinic")
        equal(answer.status, 403, answer)
    blocked(lab, answer, "denied-destination")
    not_reached(lab, "bit.ly")


@case()
def proxy_absolute_form(lab):
    answer = lab.curl("other", "--proxy", PROXY, "http://ehr.example-clinic.jp/")
    reached(lab, answer)
    answer = lab.curl("other", "--proxy", PROXY, *NAVIGATE, "http://bit.ly/x")
    blocked(lab, answer, "denied-destination")


@case()
def proxy_other_ports_are_refused(lab):
    answer = lab.curl("other", "--proxy", PROXY, "https://ehr.example-clinic.jp:8443/")
    check(answer.exit != 0 or answer.status == 403, answer)
    lab.collector.wait(reason="unlisted-port")
    check(not lab.wire.attempts(lab.address("ehr.example-clinic.jp"), port=8443))


@case()
def proxy_is_no_way_to_the_gateway_itself(lab):
    for target in ("http://127.0.0.1/", "http://%s:80/" % GATEWAY_LAN4, "http://[::1]/",
                   "http://%s/" % GATEWAY_WAN4):
        answer = lab.curl("other", "--proxy", PROXY, target)
        equal(answer.status, 403, target, answer)
    lab.collector.wait(reason="loop")


# --- what is not TCP/80 and TCP/443 ---

def _udp_refused(lab, port):
    for family in (4, 6):
        udp = lab.network.datagram("clinician", lab.address(lab.quiet.host, family), port, timeout=2)
        udp.send(b"x" * 1200)
        try:
            udp.recv(10)
            raise AssertionError("UDP/%d answered over IPv%d" % (port, family))
        except ConnectionRefusedError:
            pass
        except socket.timeout:
            raise AssertionError("UDP/%d over IPv%d is dropped in silence, not rejected" % (port, family)) \
                from None
    check(not lab.quiet.seen, lab.quiet.seen)


@case()
def quic_is_rejected_at_once(lab):
    _udp_refused(lab, 443)


@case()
def encrypted_dns_is_rejected_at_once(lab):
    _udp_refused(lab, 853)
    for family in (4, 6):
        try:
            lab.network.connect("clinician", lab.address(lab.quiet.host, family), 853, 3).close()
            raise AssertionError("TCP/853 is open over IPv%d" % family)
        except ConnectionRefusedError:
            pass


@case()
def gateway_s_own_addresses_are_no_origin(lab):
    """A client that connects to the gateway's own address meets its local services, never a loop."""
    for address in (GATEWAY_LAN4, GATEWAY_WAN4):
        for port in (80, 443):
            try:
                sock = lab.network.connect("clinician", address, port, 3)
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                sock.settimeout(3)
                check(not sock.recv(100).startswith(b"HTTP/1.1 200"), address, port)
                sock.close()
            except OSError:
                pass
    reached(lab, lab.curl("clinician", "https://ehr.example-clinic.jp/"))


@case()
def syslog_lines_are_well_formed(lab):
    lab.curl("clinician", "https://ehr.example-clinic.jp/%22%5D%5C%E3%81%82/x?secret=1")
    lab.curl("clinician", "-H", "User-Agent: a\"]\\b", "https://bit.ly/a%5Db?secret=2")
    call(lab)
    lab.collector.wait(event="block")
    for record in lab.collector.records():
        check(record[":app"] == "sekishod" and record[":element"].startswith("sekisho@"), record)
        check("secret" not in str(record), "a query in the log", record)
    sequence = [int(r["seq"]) for r in lab.collector.records() if "seq" in r]
    equal(sequence, sorted(set(sequence)), "seq goes up")
    check(len(sequence) >= 4, sequence)


@case({"log": {"to": "udp://127.0.0.1:5140"}})
def syslog_over_udp(lab):
    blocked(lab, lab.curl("clinician", *NAVIGATE, "https://bit.ly/x"), "denied-destination")


@case()
def observe_commands(lab):
    """What an engineer in the field asks."""
    call(lab)
    status = lab.gateway.ask("status")
    equal({p["role"] for p in status["processes"]} >= {"signer", "worker", "registry"}, True, status)
    told = lab.gateway.sekisho("explain", "https://bit.ly/x", "--from", CLIENTS["clinician"][0])
    check("denied-destination" in told, told)
    check("telemed" in lab.gateway.sekisho("status"), "the consultation is shown")
    lab.curl("clinician", "https://bit.ly/x")
    lab.collector.wait(event="block")
    check("bit.ly" in lab.gateway.sekisho("incidents"), "the incident is listed")
    check(isinstance(lab.gateway.ask("flows"), dict))


@case({"policy": {"mode": "observe"}})
def observe_mode_blocks_nothing(lab):
    answer = lab.curl("clinician", "https://files.example.net/setup.pdf")
    reached(lab, answer)
    lab.collector.wait(event="would-block", reason="type-mismatch")
    reached(lab, lab.curl("clinician", "https://bit.ly/x"), 302)
    lab.collector.wait(event="would-block", reason="denied-destination")
    check("observe" in lab.gateway.sekisho("status").lower(), "status says so")
    check("files.example.net" in lab.gateway.sekisho("observe"), "what would have been blocked")
