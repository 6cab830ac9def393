# SPDX-License-Identifier: BSD-2-Clause
#
# A real call through the gateway (point 1 of what the call must show): two Chromiums with the screen
# shared, media by way of coturn. The call goes on while the patient's link is stopped, while no
# process of the gateway lives, and across a reload; no packet of it comes up from the kernel.

import contextlib
import json
import os
import signal
import time

from case import case, check, equal, reached
from consultation import SERVICE, TURN, consultation, entered
from gateway import SERVICES
from network import CLIENTS, PATIENT4, PATIENT6, origin4
from learned import LINK, digest, passes, stopped
from origins import DNS_NUMBER, addresses
from processes import wait_for
from rules import rules_that

SERVICES = SERVICES + SERVICE
DEAD = 5.0  # seconds without any process of the gateway


class Counts:
    """
    Counts in the gateway's kernel, in a table of its own. `flows`: lines of conditions of nft, of which
    a packet meets one; counted at each of the hooks, before the gateway's own rules or behind them.
    """

    def __init__(self, lab, hooks, flows, priority=-300):
        self.lab, self.hooks, self.flows, self.priority = lab, hooks, flows, priority

    def __enter__(self):
        lines = ["table inet count {"]
        for hook in self.hooks:
            lines.append("counter %s_packets { }" % hook)
        for hook in self.hooks:
            lines.append("chain %s { type filter hook %s priority %d;" % (hook, hook, self.priority))
            lines += ["%s counter name %s_packets" % (flow, hook) for flow in self.flows]
            lines.append("}")
        self._nft("\n".join([*lines, "}", ""]))
        return self

    def __exit__(self, *_):
        self._nft("delete table inet count\n")

    def _nft(self, text):
        self.lab.network.run("gateway", "nft", "-f", "-", input=text.encode())

    def read(self):
        out = self.lab.network.run("gateway", "nft", "-j", "list", "counters", "table", "inet", "count")
        return {c["counter"]["name"].removesuffix("_packets"): c["counter"]["packets"]
                for c in json.loads(out)["nftables"] if "counter" in c}


def relay_counts(lab, protocol, port):
    """Packets to and from the relay: forwarded, delivered to a socket of the gateway, sent by one."""
    return Counts(lab, ("forward", "input", "output"), [
        "%s %saddr %s %s %sport %d" % (family, way, address, protocol, way, port)
        for family, address in zip(("ip", "ip6"), addresses(TURN)) for way in "sd"])


def straight_counts(lab):
    """Packets between the clinician and the patient's home: at their coming, and let out again."""
    pairs = zip(("ip", "ip6"), CLIENTS["clinician"], (PATIENT4, PATIENT6))
    return Counts(lab, ("prerouting", "postrouting"), [
        "%s saddr %s %s daddr %s" % (family, *way) for family, near, far in pairs
        for way in ((near, family, far), (far, family, near))])


def intercepted(lab):
    """Packets that the gateway's own rules took up for its listener."""
    return sum(rules_that(lab, "tproxy").values())


def datagram_sockets(lab):
    """The far ends of the UDP sockets that the gateway's processes hold."""
    out = lab.network.run("gateway", "ss", "-Huanp")
    pids = ["pid=%d," % p["pid"] for p in lab.gateway.processes()]
    return {line.split()[4] for line in out.splitlines() if any(pid in line for pid in pids)}


def kill_everything(lab):
    """kill -9 of every process of the gateway, by pid; nobody starts it again."""
    processes = lab.gateway.processes()
    lab.gateway.process.popen.kill()
    lab.gateway.process.popen.wait()
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process["pid"], signal.SIGKILL)
    wait_for(lambda: not any(os.path.exists("/proc/%d/exe" % p["pid"]) and lives(p["pid"])
                             for p in processes), 5, "the end of all of them")


def lives(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def by_relay(visitor, protocol):
    path = visitor.path()
    equal((path["near"], path["relay"]), ("relay", protocol), path)


def both_see(visitors, more=10, seconds=30):
    for visitor in visitors:
        visitor.sees(more, seconds)


@case(services=SERVICES, seconds=150)
def no_packet_of_a_call_leaves_the_kernel(lab):
    """Counted at the hooks: hundreds are forwarded, none is delivered to a socket, none comes from one."""
    with relay_counts(lab, "udp", 3478) as counts, consultation(lab) as visitors:
        by_relay(visitors[0], "udp")
        before, web = counts.read(), intercepted(lab)
        both_see(visitors, 30)
        after = counts.read()
        check(after["forward"] - before["forward"] > 100, before, after)
        equal((after["input"], after["output"]), (0, 0), after)
        check(web > 0, "the page and its signals did come by the listener")
        check(intercepted(lab) - web < (after["forward"] - before["forward"]) / 4,
              "the interceptions rise with the media")
        equal(datagram_sockets(lab) - {"%s:53" % origin4(DNS_NUMBER), "*:*", "0.0.0.0:*", "[::]:*"}, set())


@case(services=SERVICES, seconds=150)
def a_link_is_stopped_and_the_call_goes_on(lab):
    """The patient's link comes by the room's chat; the clinician clicks it; pictures go on all the while."""
    passes(lab)
    with consultation(lab) as (clinician, patient):
        before = clinician.frames(), patient.frames()
        patient.run("say(arguments[0]); arguments[1]()", LINK)
        lab.collector.wait(event="learned", url_sha256=digest(LINK), service="visit")
        wait_for(lambda: LINK in clinician.text("#messages"), 10, clinician.says)
        clinician.click("#messages a", new_window=True)
        record = lab.collector.wait(event="block", reason="patient-link", host="ehr.example-clinic.jp")
        check(record["incident"].lstrip("#") in clinician.text(), clinician.text())
        stopped(lab, clients=("phone",), service="visit")
        clinician.first_window()
        clinician.sees(10, since=before[0])
        patient.sees(10, since=before[1])
        both_see((clinician, patient))


@case(services=SERVICES, deaths=True, seconds=180)
def the_call_outlives_the_gateway(lab):
    """Every process killed: for five seconds nobody is there, the web is shut, and the call goes on."""
    with consultation(lab) as visitors:
        by_relay(visitors[0], "udp")
        kill_everything(lab)
        died = time.monotonic()
        both_see(visitors)
        answer = lab.curl("phone", "-4", "https://ehr.example-clinic.jp/", seconds=2)
        check(answer.exit != 0 and answer.status == 0, answer)
        time.sleep(max(0.0, died + DEAD - time.monotonic()))
        before = [visitor.frames() for visitor in visitors]
        lab.gateway.process = None
        lab.gateway.start()
        for visitor, frames in zip(visitors, before):
            visitor.sees(10, since=frames)
            equal(visitor.text("#state"), "connected")
        wait_for(lambda: visitors[0].text("#signal") == "open", 20, "the clinician's signals are back")
        reached(lab, lab.curl("phone", "https://ehr.example-clinic.jp/"))


@case(services=SERVICES, seconds=180)
def the_call_outlives_a_reload(lab):
    with consultation(lab) as visitors:
        for _ in range(3):
            before = [visitor.frames() for visitor in visitors]
            status, out, err = lab.gateway.reload()
            equal(status, 0, out, err)
            for visitor, frames in zip(visitors, before):
                visitor.sees(10, since=frames)
        for visitor in visitors:
            equal((visitor.text("#state"), visitor.text("#signal")), ("connected", "open"))


@case(services=SERVICES, seconds=180)
def media_by_turn_over_tls(lab):
    """Where UDP is shut the relay is asked over TLS on 443: spliced, so through a worker, untouched."""
    with relay_counts(lab, "tcp", 443) as counts, consultation(lab, "tls") as visitors:
        by_relay(visitors[0], "tls")
        before = [visitor.frames() for visitor in visitors]
        status, out, err = lab.gateway.reload()
        equal(status, 0, out, err)
        for visitor, frames in zip(visitors, before):
            visitor.sees(20, since=frames)
        seen = counts.read()
        equal(seen["forward"], 0, seen)
    # A browser opens one connection for each family; the media is on one of them.
    wait_for(lambda: [r for r in lab.collector.records(event="splice", sni=TURN, service="visit")
                      if min(int(r["bytes-up"]), int(r["bytes-down"])) > 10000], 5,
             lambda: "media among %r" % lab.collector.records(event="splice"))


@case(services=SERVICES, deaths=True, seconds=240)
def calls_by_turn_over_tls_work_again(lab):
    """A spliced connection ends with its worker; the next call finds its way."""
    with consultation(lab, "tls"):
        kill_everything(lab)
        lab.gateway.process = None
        lab.gateway.start()
    with consultation(lab, "tls", room="2") as visitors:  # what the first one still said waits in its own room
        both_see(visitors)
        by_relay(visitors[0], "tls")


# --- straight between the two ---

@case(services=SERVICES, seconds=240)
def straight_between_the_two_is_refused(lab):
    """Unless the profile allows it, not one packet passes, in either direction."""
    with straight_counts(lab) as counts, entered(lab, "direct") as visitors:
        for visitor in visitors:
            wait_for(lambda visitor=visitor: visitor.text("#state") == "failed", 100, visitor.says, 0.2)
        seen = counts.read()
        check(seen["prerouting"] > 0 and seen["postrouting"] == 0, seen)


@case(services=SERVICES.replace("reviewed", "peer-to-peer = true\n    reviewed"), deaths=True, seconds=150)
def straight_between_the_two_where_the_profile_allows_it(lab):
    """The call begins, and it goes on when every process of the gateway is killed."""
    with straight_counts(lab) as counts, consultation(lab, "direct") as visitors:
        path = visitors[0].path()
        check(path["near"] in ("host", "prflx") and path["farAddress"] in (PATIENT4, PATIENT6), path)
        kill_everything(lab)
        both_see(visitors)
        lab.gateway.process = None
        lab.gateway.start()
        both_see(visitors)
        check(counts.read()["postrouting"] > 100, counts.read())
