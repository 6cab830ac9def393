# SPDX-License-Identifier: BSD-2-Clause
#
# The group "main_job": the first boot, then the main job through the image with real clients.

import os
import time

from case import NAVIGATE, check, equal, not_reached, reached
from echo import Echo, attempt
from ground import copy_disk
from network import CLIENTS, GATEWAY_LAN4, GATEWAY_WAN4
from origins import FILES
from processes import wait_for
from steps import (CONFIGURATION, ELSEWHERE, LAB_NAMES, MEDIA, Hammer, it_is_healthy, it_takes_a_configuration,
                   nothing_leaked, put)


# --- the first boot ---

def nothing_leaks_while_it_starts(ground):
    hammer = Hammer(ground)
    before = len(ground.frames.frames)
    seconds = ground.machine.ready(600)
    time.sleep(5)
    tries = nothing_leaked(ground, hammer)
    print("    ready after %.0f s; %d rounds of tries, %d frames of the gateway itself on the WAN" % (
        seconds, tries, len(ground.frames.frames) - before))


def the_kernel_is_locked_down(ground):
    machine = ground.machine
    said = machine.run("dmesg | grep 'ocked down'")
    check("Kernel is locked down from command line" in said, said)
    machine.run("mkdir /tmp/security && mount -t securityfs none /tmp/security")
    said = machine.run("cat /tmp/security/lockdown; umount /tmp/security; rmdir /tmp/security")
    check("[confidentiality]" in said, said)


def an_unconfigured_gateway_is_shut(ground):
    lab = ground.lab
    put(ground.machine, "/data/etc/dnsmasq.conf", LAB_NAMES)
    ground.machine.run("killall dnsmasq; sleep 5")
    it_is_healthy(ground)
    certificate = ground.enrol()
    check(b"BEGIN CERTIFICATE" in certificate)
    page = lab.curl("clinician", "http://%s/" % GATEWAY_LAN4, trust="internet")
    check(page.status == 200 and "設定が済んでいません" in page.text, page)
    shown = ground.machine.run("sekisho ca show 2>/dev/null").splitlines()
    fingerprint = [line.split()[-1] for line in shown if "SHA-256" in line][0]
    check(fingerprint in page.text, fingerprint, page.text)
    answer = lab.curl("clinician", *NAVIGATE, "https://bit.ly/x", trust="clinic", seconds=60)
    equal(answer.status, 403, answer)
    check("not been configured" in answer.text, "the page does not say what is missing", answer.text)
    not_reached(lab, "bit.ly")
    # The lab's origins are nobody that an image would trust: their handshake already fails.
    for host in ("ehr.example-clinic.jp", "www.patient-link.example"):
        answer = lab.curl("clinician", *NAVIGATE, "https://%s/" % host, seconds=60)
        check(answer.status in (0, 403), host, answer)
        check(not lab.origins.requests(host), host, lab.origins.requests())
    equal(attempt(lab, "phone", "udp", ELSEWHERE, 9999, b"x")[0], "refused")


def scan_of_both_sides(ground):
    """TCP and UDP ports that answer: only what firmware/README documents."""
    def scan(host, address, *words):
        told = ground.lab.network.run(host, "nmap", "-n", "-Pn", "--max-retries", "1", "-oG", "-",
                                      *words, address)
        return {item.strip().split("/")[0] + "/" + item.strip().split("/")[2]
                for line in told.splitlines() if "Ports:" in line
                for item in line.split("Ports:")[1].split("\t")[0].split(",")
                if "/open/" in item}
    lan = scan("other", GATEWAY_LAN4, "-sS", "-p", "1-65535", "--min-rate", "3000")
    equal(lan, {"53/tcp", "80/tcp"}, "the LAN's side")
    wan = scan("internet", GATEWAY_WAN4, "-sS", "-p", "1-65535", "--min-rate", "3000")
    equal(wan, set(), "the WAN's side")
    equal(scan("internet", GATEWAY_WAN4, "-sU", "-p", "53,67,68,123,161,500,514,5353"), set(), "the WAN, UDP")


# --- configured ---


def the_web_is_inspected(ground):
    lab = ground.lab
    answer = lab.curl("clinician", "https://ehr.example-clinic.jp/", trust="clinic", seconds=60)
    reached(lab, answer)
    check("電子カルテ" in answer.text, answer)
    seen = lab.origins.requests("ehr.example-clinic.jp", least=1)
    equal(seen[0]["client"], GATEWAY_WAN4, "the origin sees the gateway")
    ground.collector.wait(event="allow", host="ehr.example-clinic.jp")


def what_is_denied_is_blocked(ground):
    answer = ground.lab.curl("clinician", *NAVIGATE, "https://bit.ly/3xYzAbC", trust="clinic", seconds=60)
    equal(answer.status, 403, answer)
    record = ground.collector.wait(event="block", reason="denied-destination")
    check(record.get("incident"), record)
    not_reached(ground.lab, "bit.ly")


def a_bad_certificate_is_not_made_good(ground):
    answer = ground.lab.curl("clinician", "https://expired.example-clinic.jp/", seconds=60)
    check(answer.exit != 0 and answer.status == 0, answer)
    ground.collector.wait(event="tls-error", sni="expired.example-clinic.jp")


def a_spliced_service_is_untouched(ground):
    """The client trusts the internet's CA alone: what it sees is the origin's own certificate."""
    answer = ground.lab.curl("clinician", "https://web.splice.example/", trust="internet", seconds=60)
    reached(ground.lab, answer)


def a_consultation_blocks_links_and_files(ground):
    lab = ground.lab
    reached(lab, lab.curl("clinician", "https://call.telemed.example/room/1", seconds=60))
    ground.collector.wait(event="consultation-on")
    time.sleep(1)
    begun = time.time()
    for url in ("https://www.patient-link.example/present?x=1", "https://files.example.net/setup.pdf",
                "https://files.example.net/records.zip"):
        answer = lab.curl("phone", *NAVIGATE, url, trust="clinic", seconds=60)
        equal(answer.status, 403, url, answer)
    # Its certificate was asked for, to show the page; of the request it heard nothing.
    asked = [r for r in lab.origins.requests("www.patient-link.example") if r["time"] >= begun]
    equal(asked, [])
    answer = lab.curl("clinician", "https://labo.example.jp/real.pdf", seconds=60)
    reached(lab, answer)
    equal(answer.body, FILES["real.pdf"][0], "a listed file")


def media_passes_and_nothing_else(ground):
    lab = ground.lab
    with Echo(lab, "internet", MEDIA, 3478) as media, Echo(lab, "internet", ELSEWHERE, 3478) as other:
        equal(attempt(lab, "clinician", "udp", MEDIA, 3478, b"\0\1\0\0media")[0], "passes")
        equal(attempt(lab, "clinician", "udp", ELSEWHERE, 3478, b"\0\1\0\0media")[0], "refused")
        check(media.seen and not other.seen, media.seen, other.seen)


def quic_is_refused(ground):
    equal(attempt(ground.lab, "phone", "udp", ELSEWHERE, 443, b"\xc0" * 1200)[0], "refused")


def the_log_waits_for_its_collector(ground):
    """The collector is away; what happens meanwhile arrives when it is back."""
    ground.collector.shut()
    time.sleep(2)
    answer = ground.lab.curl("phone", *NAVIGATE, "https://bit.ly/while-away", trust="clinic", seconds=60)
    equal(answer.status, 403, answer)
    time.sleep(3)
    ground.collector.open()
    wait_for(lambda: any("while-away" in line for line in ground.collector.lines), 180,
             lambda: "the record did not arrive; the last: %r" % ground.collector.lines[-3:], 1)


def the_media_survives_the_daemon(ground):
    lab, machine = ground.lab, ground.machine
    machine.run("killall -9 sekishod; true")
    with Echo(lab, "internet", MEDIA, 3478):
        equal(attempt(lab, "clinician", "udp", MEDIA, 3478, b"\0\1\0\0media")[0], "passes")
    answer = lab.curl("clinician", "https://www.patient-link.example/", seconds=5)
    check(answer.status != 200, answer)
    not_reached(lab, "www.patient-link.example", since=time.time() - 6)
    it_is_healthy(ground)


def a_reload_leaks_nothing(ground):
    ground.frames.clear()
    hammer = Hammer(ground)
    ground.machine.run("for i in 1 2 3; do sekisho reload || exit 1; done", 300)
    nothing_leaked(ground, hammer, 1)


def nobody_outside_can_begin(ground):
    """Unless a permit says so; whatever sekishod's egress is."""
    lab, machine = ground.lab, ground.machine
    clinician = CLIENTS["clinician"][0]
    lab.network.run("internet", "ip", "route", "replace", clinician, "via", GATEWAY_WAN4)
    put(machine, "/data/etc/sekisho.conf", CONFIGURATION.replace(
        "network {", "network { egress = open").encode() +
        b'permit "in" { from = {"203.0.113.0/24"} to = {"%s/32"} tcp = {"5001"} }\n' % clinician.encode())
    machine.run("sekisho reload", 120)
    with Echo(lab, "clinician", clinician, 5000), Echo(lab, "clinician", clinician, 5001):
        equal(attempt(lab, "internet", "tcp", clinician, 5001)[0], "passes", "by the permit")
        for kind in ("tcp", "udp"):
            equal(attempt(lab, "internet", kind, clinician, 5000, seconds=2)[0], "silent", kind)
    put(machine, "/data/etc/sekisho.conf", CONFIGURATION.encode())
    machine.run("sekisho reload", 120)


def rules_that_judge_another_lan_shut_everything(ground):
    machine = ground.machine
    put(machine, "/data/etc/sekisho.conf", CONFIGURATION.replace('"br-lan"', '"br_lan"').encode())
    machine.run("sekisho reload; until nft list table inet closed; do sleep 1; done", 120)
    ground.frames.clear()
    hammer = Hammer(ground)
    status, said = machine.run("sleep 5; /usr/lib/sekisho/healthy", check=False)
    check(status == 1 and "nothing is open: sekishod's rules do not judge br-lan" in said, said)
    nothing_leaked(ground, hammer, 1)
    put(machine, "/data/etc/sekisho.conf", CONFIGURATION.encode())
    machine.run("sekisho reload", 120)
    it_is_healthy(ground)
    reached(ground.lab, ground.lab.curl("clinician", "https://ehr.example-clinic.jp/", trust="clinic", seconds=60))


FIRST = [nothing_leaks_while_it_starts, it_is_healthy, the_kernel_is_locked_down,
         an_unconfigured_gateway_is_shut, scan_of_both_sides]
CONFIGURED = [it_takes_a_configuration, the_web_is_inspected, what_is_denied_is_blocked,
              a_bad_certificate_is_not_made_good, a_spliced_service_is_untouched,
              a_consultation_blocks_links_and_files, media_passes_and_nothing_else, quic_is_refused,
              the_log_waits_for_its_collector, the_media_survives_the_daemon, a_reload_leaks_nothing,
              nobody_outside_can_begin, rules_that_judge_another_lan_shut_everything]


def run(ground, perform):
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "main.img"))
    ground.boot(disk, "main", slow=ground.options.slow)
    for function in FIRST:
        if not perform(function, ground) and function is FIRST[0]:
            return
    for function in CONFIGURED:
        perform(function, ground)
