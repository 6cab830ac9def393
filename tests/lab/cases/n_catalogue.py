# SPDX-License-Identifier: BSD-2-Clause
#
# The services' catalogue: what the lists of the clinic let pass during a consultation, the clinic's
# own meetings, the tenant's headers, and files of a chat that have a host of their own.

import contextlib
import gzip
import json
import os
import time

from case import NAVIGATE, blocked, call, case, check, equal, not_reached, reached
from chat import HOST, Reply
from gateway import REPOSITORY, SERVICES
from network import CLIENTS, GATEWAY_LAN4
from processes import wait_for
from tlsclient import TlsClient

EHR = "ehr.example-clinic.jp"
LISTS = os.path.join(REPOSITORY, "conf", "lists")
HTTP2 = {"tls": {"http2": True}}


def both_versions(function):
    """Over HTTP/1.1, then with every site and the gateway speaking HTTP/2."""
    def run(lab):
        for http2 in (False, True):
            with lab.origins.speaking_http2() if http2 else contextlib.nullcontext():
                lab.fresh()
                function(lab, http2)
    run.__name__, run.__module__ = function.__name__, function.__module__
    return run


def on_version(answer, http2):
    equal(answer.facts["http_version"], "2" if http2 else "1.1", answer)
    return answer


# --- lists of the clinic ---

@case({"clinic": {"allow": [EHR], "lists": [os.path.join(LISTS, "clinic-search.txt")]}})
def search_engine_lends_nothing_to_its_results(lab):
    """Its pages pass during a consultation; what a result links to is judged by itself."""
    call(lab)
    site = "https://www.google.co.jp"
    reached(lab, lab.curl("clinician", *NAVIGATE, site + "/alt"))
    reached(lab, lab.curl("clinician", *NAVIGATE, site + "/url?q=https://%s/" % EHR), 302)
    record = lab.collector.wait(event="allow", host="www.google.co.jp")
    check("clinic-search.txt:" in record.get("rule", ""), record)
    for target in ("/url?q=https://www.patient-link.example/present",
                   "/url?sa=t&url=https%3A%2F%2Fwww.patient-link.example%2F", "/amp/s/www.patient-link.example/",
                   "/url"):
        lab.fresh()
        blocked(lab, lab.curl("clinician", *NAVIGATE, site + target), "unverified-destination")
        not_reached(lab, "www.patient-link.example")
    lab.fresh()
    blocked(lab, lab.curl("clinician", *NAVIGATE, "-H", "Sec-Fetch-Site: cross-site",
                          "-H", "Referer: %s/" % site, "https://www.patient-link.example/present"),
            "unverified-destination")


@case(start=False)
def unknown_list_is_told_with_those_that_are(lab):
    lab.gateway.configure({"clinic": {"lists": ["goverment"]}})
    os.makedirs(os.path.join(lab.gateway.folder, "lists"), exist_ok=True)
    with open(os.path.join(lab.gateway.folder, "lists", "clinic-government.txt"), "w",
              encoding="ascii") as file:
        file.write(".go.jp\n")
    status, out, err = lab.gateway.sekisho("check", check=False)
    check(status == 1 and "no list \"goverment\"; there are: " in out + err and "government" in out + err,
          status, out, err)
    lab.gateway.configure({"clinic": {"lists": ["government"], "allow": ["*.amazonaws.com"]}})
    status, out, err = lab.gateway.sekisho("check", check=False)
    check(status == 0 and "shared platform amazonaws.com" in out + err, status, out, err)


# --- the clinic's own meetings ---

MEETINGS = """
service "rooms" {
    title = "会議室"
    inspect = { "%s" }
    join = { "%s/plain/*" }
    create = { "%s/origin/create*" }
    reviewed = "2026-11-01"
}
""" % (HOST, HOST, HOST)


def room(name):
    return "https://%s/plain/%s" % (HOST, name)


def joins(lab, name, client="clinician", times=6):
    """The status of that room, the same through every worker."""
    found = {lab.curl(client, *NAVIGATE, room(name)).status for _ in range(times)}
    equal(len(found), 1, name, found)
    return found.pop()


def makes(lab, reply, *words, path="/origin/create", client="clinician"):
    lab.chat.replies[("POST " if "-d" in words else "") + path.removeprefix("/origin/")] = reply
    return lab.curl(client, *words, "https://%s%s" % (HOST, path))


def is_own(lab, count=1):
    wait_for(lambda: len(lab.collector.records(event="learned", kind="own")) >= count, 5,
             lambda: "own meetings: %r" % lab.collector.records(event="learned"))
    time.sleep(0.1)


@case(HTTP2, services=MEETINGS, seconds=150)
@both_versions
def own_meeting_is_known_from_its_making(lab, http2):
    suffix = "h2" if http2 else "h1"
    theirs, mine, other = "theirs-" + suffix, "mine-" + suffix, "other-" + suffix
    for name in (theirs, mine, other):
        lab.chat.put(name, b"{}")
    if not http2:
        equal(joins(lab, theirs), 200, "nobody can tell yet")
    body = json.dumps({"meeting": {"join_url": room(mine) + "?pwd=x"}}).encode()
    answer = on_version(makes(lab, Reply([body[:20], 0.05, body[20:]]), "-d", "topic=x"), http2)
    equal(answer.body, body)
    is_own(lab)
    for client in ("clinician", "phone"):
        equal(joins(lab, mine, client), 200)
        equal(joins(lab, mine + "?pwd=y", client), 200)
    lab.fresh()
    record = blocked(lab, on_version(lab.curl("phone", *NAVIGATE, room(theirs)), http2), "foreign-meeting")
    check(record["rule"].startswith("services/lab.conf:") or "lab.conf:" in record["rule"], record)
    equal(joins(lab, theirs), 403)
    # by a redirect, gzipped, and by the one that only says where it is
    answer = makes(lab, Reply([b""], status=302, Location="/plain/" + other), path="/origin/create-new")
    equal(answer.status, 302)
    is_own(lab)
    equal(joins(lab, other), 200)


@case(services=MEETINGS)
def only_what_was_made_is_own(lab):
    for name in ("mine", "echo", "named", "listed", "shown", "early", "zipped"):
        lab.chat.put(name, b"{}")
    link = json.dumps({"u": room("echo")})
    makes(lab, Reply([link.encode()]), "-d", link)                                  # an echo
    makes(lab, Reply([b""], status=302, Location=room("named")), path="/origin/create?to=named")
    makes(lab, Reply([json.dumps({"u": room("shown")}).encode()]))                   # a page, by GET
    lab.chat.replies["POST list"] = Reply([json.dumps({"u": room("listed")}).encode()])
    reached(lab, lab.curl("clinician", "-d", "x=y", "https://%s/origin/list" % HOST))  # another request
    body = gzip.compress(json.dumps({"u": room("zipped")}).encode())
    makes(lab, Reply([body], Content_Encoding="gzip"), "-d", "x")
    is_own(lab)
    equal(joins(lab, "zipped"), 200)
    for name in ("echo", "named", "shown", "listed"):
        equal(joins(lab, name, times=2), 403, name)
    equal(len(lab.collector.records(event="learned")), 1)


@case(services=MEETINGS)
def own_meeting_survives_a_restart(lab):
    for name in ("mine", "theirs"):
        lab.chat.put(name, b"{}")
    makes(lab, Reply([json.dumps({"u": room("mine")}).encode()]), "-d", "x")
    is_own(lab)
    lab.gateway.stop()
    lab.gateway.start()
    equal(joins(lab, "mine"), 200)
    equal(joins(lab, "theirs"), 403)
    lab.gateway.reload()
    equal(joins(lab, "mine"), 200)
    equal(joins(lab, "theirs"), 403)


@case({"clinic": {"meetings": [HOST + "/plain/list*"]}}, services=MEETINGS)
def own_meeting_beside_the_list(lab):
    for name in ("listed", "mine", "theirs"):
        lab.chat.put(name, b"{}")
    equal((joins(lab, "listed"), joins(lab, "theirs"), joins(lab, "mine")), (200, 403, 403))
    makes(lab, Reply([json.dumps({"u": room("mine")}).encode()]), "-d", "x")
    is_own(lab)
    equal((joins(lab, "listed"), joins(lab, "theirs"), joins(lab, "mine")), (200, 403, 200))


# --- what a test call touched ---

@case(services=SERVICES + '''
service "other" { title = "別の" inspect = { "stubborn.example-clinic.jp" } reviewed = "2026-11-01" }
''')
def observe_writes_a_profile(lab):
    reached(lab, lab.curl("clinician", "https://labo.example.jp/alt"))       # before the call
    call(lab)
    reached(lab, lab.curl("clinician", "https://cdn.telemed.example/logo.png"))
    lab.curl("clinician", *NAVIGATE, "https://unknown.example.org/x?token=geheim")
    reached(lab, lab.curl("clinician", "-H", "Sec-Fetch-Mode: no-cors", "-H", "Sec-Fetch-Dest: image",
                          "-H", "Sec-Fetch-Site: cross-site", "-H", "Referer: https://call.telemed.example/",
                          "https://www.patient-link.example/alt"))
    reached(lab, lab.curl("clinician", "https://%s/alt" % EHR))
    equal(lab.curl("phone", "https://www.google.co.jp/", trust="internet").exit, 60)   # pins its origin
    lab.collector.wait(event="tls-error", sni="www.google.co.jp")
    said = lab.gateway.sekisho("observe", "--service", "telemed")
    check("geheim" not in said and "/x" not in said, said)
    check('"call.telemed.example",' in said and '"cdn.telemed.example"' in said, "the profile as it is", said)
    check('"unknown.example.org"  # new: ' in said and "unverified-destination" in said, said)
    check('splice = {\n        "www.google.co.jp"  # new: rejected 1' in said, said)
    check("# www.patient-link.example: inspected 1" in said, "a part of a page", said)
    check("# %s: clinic, inspected 1" % EHR in said and "labo.example.jp" not in said, said)
    # one device: also what it touched before the call, and nothing of the other's
    for name in CLIENTS["clinician"][0], CLIENTS["clinician"][2]:
        said = lab.gateway.sekisho("observe", "--service", "telemed", "--from", name)
        check("labo.example.jp: clinic" in said and "www.google.co.jp" not in said, said)
    equal(lab.gateway.sekisho("observe", "--service", "telemed", "--since", "1h"),
          lab.gateway.sekisho("observe", "--service", "telemed"))
    # what it writes can be used as it is; of a service without a profile too
    for name in ("telemed", "fresh"):
        said = lab.gateway.sekisho("observe", "--service", name, "--from", CLIENTS["clinician"][0])
        lab.gateway.configure(services=said)
        status, out, err = lab.gateway.sekisho("check", check=False)
        equal(status, 0, out, err, said)
    equal(lab.gateway.sekisho("observe", "--from", "192.0.2.1", check=False)[0], 2)
    equal(lab.gateway.sekisho("observe", "--service", "a b", check=False)[0], 2)


# --- tenant headers ---

TENANT = SERVICES.replace('    reviewed = "2026-11-01"\n', """
    header "Restrict-Access-To-Tenants" { value = "clinic.example.jp" hosts = { "chat.telemed.example" } }
    header "X-GoogApps-Allowed-Domains" { value = "clinic.example.jp" hosts = { ".telemed.example" } }
    reviewed = "2026-11-01"
""", 1)


@case(HTTP2, services=TENANT.replace('"chat.telemed.example" }\n    call', '"chat.telemed.example", "*.telemed.example" }\n    call'), seconds=150)
@both_versions
def tenant_headers_replace_what_the_client_says(lab, http2):
    lab.chat.replies["x"] = Reply([b"{}"])
    for words in ([], ["-H", "Restrict-Access-To-Tenants: evil.example",
                       "-H", "restrict-access-to-tenants: evil2.example",
                       "-H", "X-GoogApps-Allowed-Domains: evil.example"],
                  ["-X", "POST", "-d", "a=b", "-H", "X-GOOGAPPS-ALLOWED-DOMAINS: evil.example"],
                  ["-H", "Connection: Restrict-Access-To-Tenants"] if not http2 else ["-4"]):
        del lab.chat.asked[:]
        answer = lab.curl("clinician", *words, "https://%s/origin/x" % HOST)
        reached(lab, on_version(answer, http2))
        equal(len(lab.chat.asked), 1)
        for name in ("Restrict-Access-To-Tenants", "X-GoogApps-Allowed-Domains"):
            equal(lab.chat.asked[0].get_all(name), ["clinic.example.jp"], name, words)
    # several requests on one connection: each of them
    del lab.chat.asked[:]
    url = "https://%s/origin/x" % HOST
    reached(lab, lab.curl("clinician", url, url, url, "--output", "/dev/null", "--output", "/dev/null"))
    equal([fields.get_all("Restrict-Access-To-Tenants") for fields in lab.chat.asked],
          [["clinic.example.jp"]] * 3)


# --- hosts of a chat's files ---

FILES = "files.telemed.example"
SPLICED = """
service "telemed" {
    title = "遠隔診療ラボ"
    splice = { ".telemed.example" }
    call = { "call.telemed.example" }
    attachments = { "*les.telemed.example" }
    reviewed = "2026-11-01"
}
"""


@case(services=SPLICED)
def file_host_is_cut_inside_a_spliced_suffix(lab):
    """By the name in the ClientHello, before the origin hears of it; over both families, through the
    proxy, in any spelling; for a client that does not trust the CA by an alert."""
    reached(lab, lab.curl("clinician", "https://cdn.telemed.example/logo.png", trust="internet"))
    lab.collector.wait(event="splice", sni="cdn.telemed.example")
    proxy = ["--proxy", "http://%s:8080" % GATEWAY_LAN4]
    for words in (["-4"], ["-6"], proxy, ["-4", "--http1.1"]):
        for name in (FILES, FILES.upper(), FILES + "."):
            lab.fresh()
            answer = lab.curl("clinician", *words, *NAVIGATE, "https://%s/report.pdf" % name,
                              trust="clinic")
            blocked(lab, answer, "chat-attachment")
            not_reached(lab, FILES)
    lab.fresh()
    answer = lab.curl("clinician", "https://%s/report.pdf" % FILES, trust="internet")
    equal((answer.exit, answer.status), (60, 0), answer)
    not_reached(lab, FILES)


@case(HTTP2, seconds=150)
@both_versions
def file_host_on_anothers_connection_is_misdirected(lab, http2):
    """As a browser would coalesce it, had the origin one certificate for both names."""
    answer = lab.curl("clinician", "-H", "Host: " + FILES, "https://cdn.telemed.example/report.pdf",
                      *([] if http2 else ["--http1.1"]))
    equal(on_version(answer, http2).status, 421, answer)
    lab.collector.wait(event="block", reason="misdirected")
    not_reached(lab, FILES)
    equal([r for r in lab.origins.requests("cdn.telemed.example")], [])
    # and the way that is left to it, a connection of its own, is cut
    blocked(lab, lab.curl("clinician", *NAVIGATE, "https://%s/report.pdf" % FILES), "chat-attachment")
