# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel's part when things go wrong around it: a daemon that is killed while it loads, rights that
# are as few as can be, what a client makes up.

import contextlib
import json
import os
import signal
import socket
import struct
import time

from case import Skip, call, case, check, equal
from cases.l_kernel import ELSEWHERE, MEDIA, MEDIA_SERVICE, counter, echoes, elements, many_services, nft
from echo import Stream, attempt, forged_datagram, internet_sum
from network import CLIENTS, GATEWAY_LAN4, GATEWAY_LAN6
from processes import wait_for


@case(services=MEDIA_SERVICE, deaths=True, seconds=180)
def killed_while_it_loads(lab):
    """The rules are those from before or those from after, and in between nothing is lost and nothing gets out."""
    text = lab.gateway.text()
    with echoes(lab, (MEDIA, 8801), (ELSEWHERE, 8801)):
        with Stream(lab, "clinician", MEDIA[0], 8801) as stream, \
                Stream(lab, "phone", ELSEWHERE[0], 8801, pace=0.002) as shut:
            wait_for(lambda: len(stream.back) > 20, 10, "the stream runs")
            whole = nft(lab, "list", "chain", "inet", "sekisho", "from_lan")
            for delay in (0.1, 0.4, 0.6, 0.8, 1.0):
                lab.gateway.write(text + many_services(lab, 0))
                pids = [process["pid"] for process in lab.gateway.processes()]
                os.kill(lab.gateway.process.pid, signal.SIGHUP)
                time.sleep(delay)
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                lab.gateway.process.popen.wait(5)
                equal(nft(lab, "list", "chain", "inet", "sekisho", "from_lan"), whole)
                there = [name for name in nft(lab, "list", "sets", "inet").split() if name.startswith("media4_many")]
                check(len(there) in (0, 8), there)
                lab.gateway.write(text)
                lab.gateway.start()
            wait_for(lambda: max(stream.back) > stream.sent - 20, 20, "the stream runs on")
        equal((stream.lost, stream.errors), (0, []))
        equal(len(shut.back), 0, "what is refused got out")


@case({"process": {"separate-users": False}, "network": {"egress": "consultation"}}, services=MEDIA_SERVICE)
def one_capability_is_enough(lab):
    """CAP_NET_ADMIN, for all that the parent tells and asks the kernel."""
    if os.geteuid() != 0:
        raise Skip("only root has rights to give up")
    lab.gateway.stop()
    lab.gateway.launch = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+net_admin"]
    try:
        lab.gateway.start()
        with open("/proc/%d/status" % lab.gateway.process.pid, encoding="ascii") as file:
            check("CapEff:\t0000000000001000\n" in file.read())
        call(lab)
        wait_for(lambda: elements(lab, "consultation") == ["br-lan"], 3, "the rules hear of it")
        equal(lab.gateway.reload()[0], 0)
        with echoes(lab, (MEDIA, 8801)), Stream(lab, "clinician", MEDIA[0], 8801):
            lab.collector.wait(10, event="call-on", service="lab")
        nft(lab, "flush", "ruleset")
        wait_for(lambda: "sekisho" in nft(lab, "list", "tables"), 10, "the table is there again")
        equal(attempt(lab, "other", "tcp", ELSEWHERE[0], 4444)[0], "refused")
    finally:
        lab.gateway.stop()
        lab.gateway.launch = []


@contextlib.contextmanager
def nothing_gets_out(lab, what):
    with lab.network.on("internet"):
        seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    with seen:
        seen.bind(("eth0", 0))
        yield
        time.sleep(0.2)
        seen.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                check(what not in seen.recv(65536), "it got out")


@case()
def the_gateway_answers_no_stranger_for_a_client(lab):
    """What a client sends it in a stranger's name would come back there: a datagram in the error that it meets."""
    facts = json.loads(lab.network.run("gateway", "ip", "-j", "link", "show", "br-lan"))[0]
    with nothing_gets_out(lab, b"smuggled"), lab.network.on("clinician"), \
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for family, gateway in enumerate((GATEWAY_LAN4, GATEWAY_LAN6)):
            raw.send(forged_datagram(CLIENTS["clinician"][2], facts["address"], (ELSEWHERE[family], 6000),
                                     (gateway, 9), b"smuggled" * 10))
    equal(counter(lab, "forged")["packets"], 2)


@case()
def a_made_up_error_carries_nothing_out(lab):
    """Any address will do for a connection to the proxy; an ICMP error of that connection would go to its far end."""
    with nothing_gets_out(lab, b"smuggled"):
        for family in (0, 1):
            mine, theirs = CLIENTS["clinician"][family], ELSEWHERE[family]
            with lab.network.connect("clinician", theirs, 443) as stream, lab.network.on("clinician"):
                ends = [socket.inet_pton((socket.AF_INET, socket.AF_INET6)[family], a) for a in (theirs, mine)]
                body = struct.pack("!HHI", 443, stream.getsockname()[1], 1) + b"smuggled" * 20
                if family == 0:
                    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 6, 0, *ends)
                    head = head[:10] + struct.pack("!H", internet_sum(head)) + head[12:]
                    error = struct.pack("!BBHI", 3, 3, 0, 0) + head + body
                    error = error[:2] + struct.pack("!H", internet_sum(error)) + error[4:]
                    kind = socket.IPPROTO_ICMP
                else:  # the kernel writes this sum
                    error = struct.pack("!BBHI", 1, 4, 0, 0) + struct.pack(
                        "!IHBB16s16s", 6 << 28, len(body), 6, 64, *ends) + body
                    kind = socket.IPPROTO_ICMPV6
                with socket.socket((socket.AF_INET, socket.AF_INET6)[family], socket.SOCK_RAW, kind) as raw:
                    raw.sendto(error, (theirs, 0))
