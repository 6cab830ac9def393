# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel's part: what is no web traffic. Media passes whatever becomes of the daemon, what
# nothing names is refused so that a client knows at once, and segments are apart.

import contextlib
import json
import os
import signal
import socket
import struct
import time

from cases.m_names import networks
from case import call, case, check, equal, reached
from echo import Echo, Stream, attempt, forged_datagram
from gateway import ROOM, SERVICES
from network import CLIENTS, GATEWAY_LAN4, origin4, origin6
from origins import DNS_NUMBER
from processes import wait_for

MEDIA = (origin4(60), origin6(60))
ELSEWHERE = (origin4(31), origin6(31))
STUN = struct.pack("!HHI", 1, 0, 0x2112a442) + b"transaction."

MEDIA_SERVICE = SERVICES + """
service "lab" {
    networks = { "%s", "%s" }
    media-udp = { "3478", "8801-8810" }
    media-tcp = { "8801" }
    media-hosts = { "media.lab.example" }
    reviewed = "2026-11-01"
}
""" % MEDIA
PEERS = MEDIA_SERVICE.replace("media-hosts", "peer-to-peer = true media-hosts")


@contextlib.contextmanager
def echoes(lab, *places):
    """Echoes on the internet: (both addresses, port)."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Echo(lab, "internet", address, port))
               for pair, port in places for address in pair]


def nft(lab, *words):
    return lab.network.run("gateway", "nft", *words)


def counter(lab, name):
    told = json.loads(nft(lab, "-j", "list", "counter", "inet", "sekisho", name))
    return next(row["counter"] for row in told["nftables"] if "counter" in row)


def elements(lab, name):
    told = json.loads(nft(lab, "-j", "list", "set", "inet", "sekisho", name))
    return next(row["set"] for row in told["nftables"] if "set" in row).get("elem", [])


def dns_question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!HHHHHH", 77, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


# --- what nothing names ---

REFUSED = [  # kind, port, payload
    ("tcp", 22, b""), ("tcp", 4444, b""), ("udp", 9999, b"x"), ("udp", 51820, b"x" * 148),
    ("udp", 443, b"\xc0" * 1200), ("tcp", 853, b""), ("udp", 853, b"x"),
]


@case()
def what_nothing_names_is_refused_at_once(lab):
    with echoes(lab, (ELSEWHERE, 22), (ELSEWHERE, 4444), (ELSEWHERE, 9999), (ELSEWHERE, 51820)) as seen:
        # Three clients in turn: the kernel sends each at most some errors a second.
        for turn, (kind, port, payload) in enumerate(REFUSED):
            for family in (0, 1):
                client = list(CLIENTS)[turn % 3]
                what, seconds = attempt(lab, client, kind, ELSEWHERE[family], port, payload)
                equal(what, "refused", kind, port, ELSEWHERE[family])
                print("    %s/%d over IPv%d: refused after %.1f ms" % (
                    kind, port, (4, 6)[family], seconds * 1000))
                check(seconds < 2, "the client waited %.1f s" % seconds)
        check(not any(echo.seen for echo in seen), [echo.seen for echo in seen])
        check(not lab.quiet.seen, lab.quiet.seen)
    check(counter(lab, "egress")["packets"] >= 8)


@case()
def an_answer_to_nothing_does_not_leave(lab):
    """A client that writes the question to its own answer itself, in the name of a stranger."""
    gateway_mac = json.loads(lab.network.run("gateway", "ip", "-j", "link", "show", "br-lan"))[0]["address"]
    with echoes(lab, (ELSEWHERE, 6000)) as seen:
        for family in (0, 1):
            mine = CLIENTS["clinician"][family]
            with lab.network.on("clinician"):
                raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                told = socket.socket((socket.AF_INET, socket.AF_INET6)[family], socket.SOCK_DGRAM)
            with raw, told:
                raw.bind(("eth0", 0))
                told.bind((mine, 6001))
                told.settimeout(1)
                raw.send(forged_datagram(CLIENTS["clinician"][2], gateway_mac, (ELSEWHERE[family], 6000), (mine, 6001)))
                try:
                    raise AssertionError("the forged question came back: %r" % told.recv(100))
                except socket.timeout:
                    pass
                told.sendto(b"answer", (ELSEWHERE[family], 6000))
                time.sleep(0.2)
        check(not any(echo.seen for echo in seen), [echo.seen for echo in seen])
    equal(counter(lab, "forged")["packets"], 2)


@case()
def nobody_outside_can_begin(lab):
    for family in (0, 1):
        with Echo(lab, "clinician", CLIENTS["clinician"][family], 5000):
            for kind in ("udp", "tcp"):
                equal(attempt(lab, "internet", kind, CLIENTS["clinician"][family], 5000, seconds=1)[0],
                      "silent", kind)
    check(counter(lab, "inbound")["packets"] >= 4)


@case({"network": {"egress": "open"}})
def open_egress_refuses_only_what_is_named(lab):
    with echoes(lab, (ELSEWHERE, 22), (ELSEWHERE, 9999)):
        for family in (0, 1):
            for kind, port in (("tcp", 22), ("udp", 9999)):
                equal(attempt(lab, "phone", kind, ELSEWHERE[family], port)[0], "passes", kind, port)
            for kind, port in (("udp", 443), ("tcp", 853), ("udp", 853)):
                equal(attempt(lab, "phone", kind, ELSEWHERE[family], port)[0], "refused", kind, port)
            with Echo(lab, "clinician", CLIENTS["clinician"][family], 5000):
                equal(attempt(lab, "internet", "tcp", CLIENTS["clinician"][family], 5000)[0], "passes")


@case({"network": {"egress": "consultation"}, "policy": {"linger": "3s"}})
def egress_closes_with_a_consultation(lab):
    def all_are(word):
        return all(attempt(lab, "other", kind, ELSEWHERE[family], 7000)[0] == word
                   for kind in ("udp", "tcp") for family in (0, 1))
    with echoes(lab, (ELSEWHERE, 7000)):
        check(all_are("passes"), "before any consultation")
        equal(elements(lab, "consultation"), [])
        call(lab)
        equal(elements(lab, "consultation"), ["br-lan"])
        check(all_are("refused"), "in a consultation")
        equal(lab.gateway.reload()[0], 0)
        check(all_are("refused"), "after a reload in a consultation")
        lab.collector.wait(10, event="consultation-off")
        wait_for(lambda: not elements(lab, "consultation"), 3, "the rules hear of its end")
        check(all_are("passes"), "after the consultation")


@case({"network": {"egress": "consultation"}, "policy": {"linger": "3s"}})
def what_came_in_before_is_not_answered_in_a_consultation(lab):
    for family in (0, 1):
        with lab.network.on("clinician"):
            told = socket.socket((socket.AF_INET, socket.AF_INET6)[family], socket.SOCK_DGRAM)
        with told, lab.network.datagram("internet", CLIENTS["clinician"][family], 6001, 3) as outside:
            told.bind((CLIENTS["clinician"][family], 6001))
            told.settimeout(3)
            outside.send(b"question")
            peer = told.recvfrom(100)[1]
            told.sendto(b"answer", peer)
            equal(outside.recv(100), b"answer", "before any consultation")
            call(lab)
            told.sendto(b"late", peer)
            try:
                raise AssertionError("in a consultation: %r" % outside.recv(100))
            except socket.timeout:
                pass
        lab.collector.wait(10, event="consultation-off")
        wait_for(lambda: not elements(lab, "consultation"), 3, "the rules hear of its end")
        lab.collector.clear()


# --- DNS ---

@case()
def dns_goes_to_the_resolver_of_the_lan(lab):
    question = dns_question("call.telemed.example")
    for family in (0, 1):
        # Nobody answers there; the LAN's resolver does, in its name.
        with lab.network.datagram("clinician", ELSEWHERE[family], 53, timeout=5) as sock:
            sock.send(question)
            check(socket.inet_aton(lab.address("call.telemed.example")) in sock.recv(512))
        with lab.network.connect("clinician", ELSEWHERE[family], 53) as sock:
            sock.sendall(struct.pack("!H", len(question)) + question)
            check(socket.inet_aton(lab.address("call.telemed.example")) in sock.recv(512))
    equal(counter(lab, "dns-redirected")["packets"], 4)


@case({"network": {"dns-redirect": False, "egress": "open"}})
def dns_to_elsewhere_is_refused_without_redirection(lab):
    question = dns_question("call.telemed.example")
    for family in (0, 1):
        for kind in ("udp", "tcp"):
            equal(attempt(lab, "clinician", kind, ELSEWHERE[family], 53, question)[0], "refused")
        equal(attempt(lab, "phone", "udp", (origin4, origin6)[family](DNS_NUMBER), 53, question)[0],
              "passes")


# --- media ---

def kill_all(lab):
    pids = [process["pid"] for process in lab.gateway.processes()]
    for pid in pids:  # the parent is among them
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    lab.gateway.process.popen.wait(5)


@case(services=MEDIA_SERVICE, deaths=True, seconds=120)
def media_outlives_every_process(lab):
    """A stream of numbered datagrams each way: none is lost while everything dies, starts and reloads."""
    with echoes(lab, (MEDIA, 8801)):
        before = counter(lab, "intercepted")["packets"]
        with Stream(lab, "clinician", MEDIA[0], 8801) as four, Stream(lab, "clinician", MEDIA[1], 8801) as six:
            wait_for(lambda: len(four.back) > 20 and len(six.back) > 20, 10, "the streams run")
            kill_all(lab)
            time.sleep(5)
            begun = len(four.back)
            lab.gateway.start()
            for _ in range(3):
                equal(lab.gateway.reload()[0], 0)
            wait_for(lambda: len(four.back) > begun + 100, 10, "the streams run on")
        print("    IPv4: %r\n    IPv6: %r" % (four, six))
        equal((four.lost, six.lost, four.errors, six.errors), (0, 0, [], []))
        # The kernel counted all of it, and nothing of it met the proxy or a socket of the gateway's.
        counted = counter(lab, "media_lab")["packets"] + counter(lab, "media-new")["packets"]
        check(counted >= 2 * (four.sent + six.sent), counted, four, six)
        equal(counter(lab, "intercepted")["packets"], before)


@case(services=MEDIA_SERVICE)
def media_only_to_its_networks_and_ports(lab):
    with echoes(lab, (MEDIA, 3478), (MEDIA, 8801), (MEDIA, 8811), (ELSEWHERE, 8801)):
        for family in (0, 1):
            equal(attempt(lab, "phone", "udp", MEDIA[family], 3478)[0], "passes")
            equal(attempt(lab, "phone", "udp", MEDIA[family], 8801)[0], "passes")
            equal(attempt(lab, "phone", "tcp", MEDIA[family], 8801)[0], "passes")
            equal(attempt(lab, "other", "tcp", MEDIA[family], 3478)[0], "refused")
            equal(attempt(lab, "other", "udp", MEDIA[family], 8811)[0], "refused")
            equal(attempt(lab, "clinician", "udp", ELSEWHERE[family], 8801)[0], "refused")
            # As dnsmasq does when somebody asks for the name.
            nft(lab, "add", "element", "inet", "sekisho", "names%d_lab" % (4, 6)[family],
                "{ %s }" % ELSEWHERE[family])
            equal(attempt(lab, "clinician", "udp", ELSEWHERE[family], 8801)[0], "passes")
        equal(lab.gateway.reload()[0], 0)
        equal(attempt(lab, "other", "udp", ELSEWHERE[0], 8801)[0], "passes", "after a reload")


@case(services=MEDIA_SERVICE)
def a_service_that_goes_takes_its_media_along(lab):
    """A flow that passed does so no longer once a reload has taken its service away."""
    with echoes(lab, (MEDIA, 8801)):
        with lab.network.datagram("clinician", MEDIA[0], 8801, 3) as sock:
            sock.send(b"1")
            equal(sock.recv(10), b"1")
            with open(os.path.join(lab.gateway.folder, "services", "lab.conf"), "w", encoding="utf-8") as file:
                file.write(SERVICES)
            equal(lab.gateway.reload()[0], 0)
            sock.send(b"2")
            try:
                sock.recv(10)
                raise AssertionError("it still passes")
            except OSError as error:
                check(not isinstance(error, socket.timeout), "in silence")
        listed = nft(lab, "list", "table", "inet", "sekisho")
        check("_lab" not in listed, listed)


@case({"network": {"media-check": True}}, services=MEDIA_SERVICE)
def media_must_look_like_media(lab):
    with echoes(lab, (MEDIA, 8801)):
        for family in (0, 1):
            for turn, begin in enumerate((STUN, b"\x16\xfe\xfd" + b"\0" * 50, b"\x80\x6f" + b"\0" * 60)):
                with lab.network.datagram(list(CLIENTS)[turn], MEDIA[family], 8801, 3) as sock:
                    sock.send(begin)
                    equal(sock.recv(2048), begin)
                    sock.send(b"anything, later")  # the flow is known by now
                    equal(sock.recv(2048), b"anything, later")
            equal(attempt(lab, "other", "udp", MEDIA[family], 8801, b"SSH-2.0-tunnel")[0], "refused")
        equal(counter(lab, "unlike-media")["packets"], 2)


@case({"network": {"media-check": True, "egress": "open"}}, services=MEDIA_SERVICE)
def what_is_refused_as_no_media_is_none_later(lab):
    """A flow that was there before its address became one of the service's."""
    with echoes(lab, (ELSEWHERE, 8801)):
        with lab.network.datagram("other", ELSEWHERE[0], 8801, 3) as sock:
            sock.send(b"SSH-2.0-tunnel")
            equal(sock.recv(100), b"SSH-2.0-tunnel")
            nft(lab, "add", "element", "inet", "sekisho", "names4_lab", "{ %s }" % ELSEWHERE[0])
            for _ in range(3):
                with contextlib.suppress(OSError):  # what the one before has met
                    sock.send(b"SSH-2.0-tunnel")
                try:
                    raise AssertionError("it passes: %r" % sock.recv(100))
                except OSError as error:
                    check(not isinstance(error, socket.timeout), "in silence")


@case(services=PEERS)
def peers_meet_in_a_consultation_only(lab):
    with echoes(lab, (ELSEWHERE, 40000)):
        equal(attempt(lab, "clinician", "udp", ELSEWHERE[0], 40000, STUN)[0], "refused", "no call")
        call(lab)
        for family in (0, 1):
            equal(attempt(lab, "phone", "udp", ELSEWHERE[family], 40000, STUN)[0], "passes")
            equal(attempt(lab, "other", "udp", ELSEWHERE[family], 40000, b"x" * 40)[0], "refused")


@case(services=MEDIA_SERVICE)
def peers_do_not_meet_unless_the_profile_says_so(lab):
    with echoes(lab, (ELSEWHERE, 40000)):
        call(lab)
        for family in (0, 1):
            equal(attempt(lab, "phone", "udp", ELSEWHERE[family], 40000, STUN)[0], "refused")


# --- limits ---

@case({"network": {"connections-per-client": 5}})
def connections_of_one_client_are_bounded(lab):
    for family, host in ((4, "clinician"), (6, "phone")):
        address = lab.address("ehr.example-clinic.jp", family)
        with contextlib.ExitStack() as stack:
            first = lab.network.connect(host, address, 443)
            for _ in range(4):
                stack.enter_context(lab.network.connect(host, address, 443))
            with first:
                try:
                    lab.network.connect(host, address, 443, 1.5).close()
                    raise AssertionError("a sixth connection")
                except socket.timeout:
                    pass
                lab.network.connect("other", address, 443).close()  # it has its own
    check(counter(lab, "limited")["packets"] >= 2)


# --- segments, permits, closed networks ---

MEDICAL = ("192.168.20.5", "fd00:20::5")
APART = {'segment "medical"': {"interfaces": ["med0"]}}


@contextlib.contextmanager
def medical(lab):
    lab.network.attach("medical", "med0", *MEDICAL)
    try:
        with contextlib.ExitStack() as stack:
            for address in MEDICAL:
                for port in (443, 104, 9100):
                    stack.enter_context(Echo(lab, "medical", address, port))
            yield
    finally:
        lab.network.detach("medical", "med0")


@case({**APART, "network": {"egress": "open"}})
def segments_are_apart(lab):
    with medical(lab):
        for family in (0, 1):
            for kind, port in (("tcp", 443), ("tcp", 104), ("udp", 104)):
                equal(attempt(lab, "phone", kind, MEDICAL[family], port)[0], "refused", kind, port)
            with Echo(lab, "clinician", CLIENTS["clinician"][family], 5000):
                for kind in ("udp", "tcp"):
                    equal(attempt(lab, "medical", kind, CLIENTS["clinician"][family], 5000)[0], "refused")
        check(counter(lab, "segments")["packets"] >= 10)
        equal(counter(lab, "intercepted")["packets"], 0)
        if lab.gateway.defaults()["process"]["separate-users"]:
            with Echo(lab, "medical", MEDICAL[0], 80, kinds=("tcp",)) as echo:
                answer = lab.curl("phone", "--proxy", "http://%s:8080" % GATEWAY_LAN4,
                                  "http://%s/" % MEDICAL[0])
                check(answer.status >= 400 or answer.exit != 0, answer)
                equal(echo.seen, [], "through the proxy")


@case({**APART, 'permit "dicom"': {"from": [CLIENTS["clinician"][0], CLIENTS["clinician"][1]],
                                   "to": ["192.168.20.0/24", "fd00:20::/64"],
                                   "tcp": ["104", "443"], "udp": ["104"]},
       'permit "back"': {"from": [*MEDICAL], "to": [CLIENTS["phone"][0], CLIENTS["phone"][1]]}})
def permits_open_what_they_say(lab):
    with medical(lab):
        for family in (0, 1):
            for kind, port in (("tcp", 443), ("tcp", 104), ("udp", 104)):
                equal(attempt(lab, "clinician", kind, MEDICAL[family], port)[0], "passes", kind, port)
            equal(attempt(lab, "clinician", "tcp", MEDICAL[family], 9100)[0], "refused")
            equal(attempt(lab, "other", "tcp", MEDICAL[family], 104)[0], "refused")
            with Echo(lab, "phone", CLIENTS["phone"][family], 5000), \
                    Echo(lab, "other", CLIENTS["other"][family], 5000):
                for kind in ("udp", "tcp"):
                    equal(attempt(lab, "medical", kind, CLIENTS["phone"][family], 5000)[0], "passes")
                    equal(attempt(lab, "medical", kind, CLIENTS["other"][family], 5000)[0], "refused")
        check(counter(lab, "permit_dicom")["packets"] > 0)


@case({"network": {"bypass": ["closed"]}, 'bypass "closed"': {"networks": [*ELSEWHERE]},
       'bypass "idle"': {"networks": [origin4(30)]}})
def closed_networks_never_meet_the_proxy(lab):
    with echoes(lab, (ELSEWHERE, 500), (ELSEWHERE, 8080)):
        for family in (0, 1):
            for kind, port in (("udp", 500), ("tcp", 8080), ("udp", 443), ("udp", 853)):
                equal(attempt(lab, "phone", kind, ELSEWHERE[family], port)[0], "passes", kind, port)
            # The origin itself, its own certificate, and the client's own address.
            lab.origins.clear()
            reached(lab, lab.curl("clinician", "-4" if family == 0 else "-6",
                                  "https://unknown.example.org/", trust="internet"))
            equal(lab.origins.requests("unknown.example.org", least=1)[-1]["client"],
                  CLIENTS["clinician"][family])
        equal(attempt(lab, "other", "tcp", origin4(30), 8080)[0], "refused", "a bypass not in force")


# --- what stays over a reload ---

@case({"network": {"egress": "consultation"}})
def rules_that_somebody_removes_come_back(lab):
    """As /etc/nftables.conf of Debian does, which begins with "flush ruleset"."""
    call(lab)
    for _ in range(2):
        nft(lab, "flush", "ruleset")
        wait_for(lambda: "sekisho" in nft(lab, "list", "tables"), 10, "the table is there again")
        wait_for(lambda: elements(lab, "consultation") == ["br-lan"], 3, "and knows of the consultation")
        equal(attempt(lab, "clinician", "tcp", ELSEWHERE[0], 4444)[0], "refused")
        reached(lab, lab.curl("clinician", "https://ehr.example-clinic.jp/"))
    check("put back" in lab.gateway.log(), "it says so")


@case()
def rules_that_somebody_changes_come_back(lab):
    """Emptied, one chain emptied, a rule put in front; but sets may be filled, as dnsmasq does."""
    before = nft(lab, "list", "table", "inet", "sekisho").count("\n")
    for what in ("flush table inet sekisho", "flush chain inet sekisho forward",
                 "insert rule inet sekisho forward accept"):
        lab.gateway.mark_log()
        nft(lab, what)
        wait_for(lambda: "put back" in lab.gateway.log(), 10, what)
        equal(nft(lab, "list", "table", "inet", "sekisho").count("\n"), before, what)
        equal(attempt(lab, "clinician", "tcp", ELSEWHERE[0], 4444)[0], "refused", what)
    lab.gateway.mark_log()
    nft(lab, "add table inet other; add chain inet other x")
    equal(lab.gateway.reload()[0], 0)
    time.sleep(2.5)  # a look, and some
    nft(lab, "delete table inet other")
    check("put back" not in lab.gateway.log(), "what is not ours is let alone", lab.gateway.log())


@case(services=MEDIA_SERVICE)
def reload_keeps_what_the_kernel_knows(lab):
    with echoes(lab, (MEDIA, 8801)):
        equal(attempt(lab, "phone", "udp", MEDIA[0], 8801)[0], "passes")
        attempt(lab, "phone", "udp", ELSEWHERE[0], 9999)
        nft(lab, "add", "element", "inet", "sekisho", "names4_lab", "{ %s }" % ELSEWHERE[0])
        refused, media = counter(lab, "egress"), counter(lab, "media-new")
        check(refused["packets"] and media["packets"], refused, media)
        services = MEDIA_SERVICE.replace('"8801-8810"', '"8801-8820"') + \
            'service "more" { networks = { "198.51.100.0/24" } media-udp = { "9000" } reviewed = "2026-11-01" }\n'
        with open(os.path.join(lab.gateway.folder, "services", "lab.conf"), "w", encoding="utf-8") as file:
            file.write(services)
        equal(lab.gateway.reload()[0], 0)
        equal(counter(lab, "egress"), refused)
        equal(counter(lab, "media-new"), media)
        equal(len(elements(lab, "names4_lab")), 1)
        check("media_more" in nft(lab, "list", "counters", "table", "inet", "sekisho"))
        with echoes(lab, (MEDIA, 8815)):
            equal(attempt(lab, "phone", "udp", MEDIA[0], 8815)[0], "passes")


@case()
def a_table_of_another_version_is_replaced(lab):
    lab.gateway.stop()
    nft(lab, "delete", "table", "inet", "sekisho")
    nft(lab, "add table inet sekisho; add set inet sekisho lan { type ipv4_addr; }; add chain inet sekisho "
        "forward { type filter hook input priority 5; }; add counter inet sekisho egress")
    lab.gateway.start()
    check("hook forward" in nft(lab, "list", "chain", "inet", "sekisho", "forward"))


# --- calls ---

def calls(lab):
    return lab.gateway.ask("status")["calls"]


@case({"policy": {"linger": "3s", "scope": "room"}}, services=MEDIA_SERVICE, seconds=120)
def media_is_the_sign_of_a_call(lab):
    """Seen in the kernel alone: no connection to any host of the service was made."""
    with echoes(lab, (MEDIA, 8801)):
        equal(calls(lab), [])
        attempt(lab, "phone", "udp", MEDIA[0], 8801)  # a check of the path is no call
        with Stream(lab, "clinician", MEDIA[0], 8801) as stream:
            on = lab.collector.wait(10, event="call-on", service="lab")
            equal(on["client"], CLIENTS["clinician"][0])
            begun = lab.collector.wait(10, event="consultation-on", service="lab")
            equal(begun["room"], ROOM)
            told = wait_for(lambda: calls(lab), 5, "the call in the status")
            equal([c["client"] for c in told], [CLIENTS["clinician"][0]])
            equal((told[0]["service"], told[0]["room"]), ("lab", ROOM))
            equal([(p["address"], p["outside"]) for p in told[0]["peers"]], [(MEDIA[0], False)])
            check(told[0]["peers"][0]["packets"] > 20, told)
            check("203.0.113.60" in lab.gateway.sekisho("status"), lab.gateway.sekisho("status"))
            equal(elements(lab, "consultation"), ["br-lan"])
            since = told[0]["since"]
            equal(lab.gateway.reload()[0], 0)
            time.sleep(5)  # longer than linger: it is kept on by the media
            check(not lab.collector.records(event="consultation-off"), "it ended in the middle of the call")
            equal([c["since"] for c in calls(lab)], [since], "after the reload")
            equal(len(lab.collector.records(event="call-on")), 1)
        equal(stream.lost, 0)
        lab.collector.wait(10, event="consultation-off")
        lab.collector.wait(45, event="call-off", client=CLIENTS["clinician"][0])
        equal(calls(lab), [])


@case(services=PEERS, seconds=60)
def a_peer_outside_is_told(lab):
    lab.gateway.configure({"network": networks(lab, *("%s/%d 64500 RU" % (ELSEWHERE[f], (32, 128)[f])
                                                      for f in (0, 1))),
                           'room "ward"': {"clients": [CLIENTS["phone"][2]]}}, PEERS)
    equal(lab.gateway.reload()[0], 0)
    with echoes(lab, (ELSEWHERE, 40000), (MEDIA, 40000)):
        call(lab)
        for family in (0, 1):
            for place in (ELSEWHERE, MEDIA):
                with lab.network.datagram("phone", place[family], 40000) as sock:
                    for _ in range(30):
                        sock.send(STUN)
                        equal(sock.recv(2048), STUN)
            lab.collector.wait(10, event="call-peer", client=CLIENTS["phone"][family],
                               dst=ELSEWHERE[family], service="lab", room="ward", asn="64500",
                               country="RU")
        told = {(p["address"], p["outside"]) for c in calls(lab) for p in c["peers"]}
        equal(told, {(ELSEWHERE[0], True), (ELSEWHERE[1], True), (MEDIA[0], False), (MEDIA[1], False)})


@case(services=MEDIA_SERVICE)
def status_shows_what_the_kernel_counted(lab):
    attempt(lab, "phone", "udp", ELSEWHERE[0], 9999)
    attempt(lab, "phone", "tcp", ELSEWHERE[0], 9999)
    counted = lab.gateway.ask("status")["counters"]
    equal(counted["egress"]["packets"], 2)
    equal(counted["media_lab"], {"packets": 0, "bytes": 0})
    check("egress" in lab.gateway.sekisho("status"))


# --- many networks ---

def many(count, turn):
    """`count` networks that cannot be merged, of both families, all over the table of the first byte."""
    four = ["%d.%d.%d.0/24" % (11 + i % 89, i // 89 % 256, (i // 22784 * 2 + turn) % 256)
            for i in range(count * 3 // 4)]
    six = ["2a%02x:%x:%x::/48" % (i % 100, i // 100 % 4096, i // 409600 * 2 + turn)
           for i in range(count - len(four))]
    return four + six


# Under a sanitizer a tenth: its allocator alone would take the time that a reload has.
NETWORKS = 20000 if "ASAN_OPTIONS" in os.environ else 200000


def many_services(lab, turn, count=NETWORKS, parts=8):
    """As many profiles as it takes: a file of the configuration has a bound."""
    networks = many(count, turn)
    for part in range(parts):
        with open(os.path.join(lab.gateway.folder, "services", "many%d.conf" % part), "w",
                  encoding="ascii") as file:
            file.write('service "many%d" {\n reviewed = "2026-11-01"\n media-udp = { 9000 }\n networks = {\n' % part)
            file.write(",\n".join('"%s"' % n for n in networks[part::parts]))
            file.write(" }\n}\n")
    return "".join('include("services/many%d.conf")\n' % part for part in range(parts))


def memory_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


@case(services=MEDIA_SERVICE, seconds=300)
def two_hundred_thousand_networks(lab):
    """They load, and another two hundred thousand take their place while a stream goes on and a door stays shut."""
    small = memory_of(lab.gateway.process.pid)
    includes = many_services(lab, 0)
    lab.gateway.write(lab.gateway.text() + includes)
    with echoes(lab, (MEDIA, 8801), (ELSEWHERE, 8801)):
        with Stream(lab, "clinician", MEDIA[0], 8801) as stream, \
                Stream(lab, "phone", ELSEWHERE[0], 8801, pace=0.002) as shut:
            wait_for(lambda: len(stream.back) > 20, 10, "the stream runs")
            for turn in (0, 1):
                if turn:
                    many_services(lab, turn)
                begin = time.monotonic()
                equal(lab.gateway.reload()[0], 0)
                print("    reload with %d networks: %.1f s" % (NETWORKS, time.monotonic() - begin))
            wait_for(lambda: max(stream.back) > stream.sent - 20, 20, "the stream runs on")
        print("    IPv4: %r; memory of the parent %.0f MB, before %.0f MB" % (
            stream, memory_of(lab.gateway.process.pid), small))
        equal((stream.lost, stream.errors), (0, []))
        equal(len(shut.back), 0, "what is refused got out")
        for network in ("11.0.1.7", "2a00:0:1::7"):
            family = "4" if "." in network else "6"
            nft(lab, "get", "element", "inet", "sekisho", "media%s_many0" % family, "{ %s }" % network)
