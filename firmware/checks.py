# SPDX-License-Identifier: BSD-2-Clause
#
# What firmware/test checks of an image that has booted: functions of the ground, in the order of a
# device's life. A check fails by an exception.

import base64
import re
import socket
import struct
import threading
import time

from ground import COLLECTOR, COLLECTOR_PORT, DNS_NUMBER

from case import NAVIGATE, check, equal, not_reached, reached
from echo import Echo, attempt, internet_sum
from gateway import ROOM, SERVICES
from network import CLIENTS, GATEWAY_LAN4, GATEWAY_WAN4, origin4
from origins import FILES
from processes import wait_for

MEDIA = origin4(60)
ELSEWHERE = origin4(31)
LEAK = b"SEKISHO-LEAK"  # even
LEAK_PORT = 4444

CONFIGURATION = """
network { lan = {"br-lan"} resolvers = {"127.0.0.1"} dns-file = "/data/state/dnsmasq.conf" }
listen "transparent" { }
room "%s" { clients = {"%s"} }
clinic {
    name = "ラボ診療所"
    contact = "内線 100"
    allow = {"ehr.example-clinic.jp", "files.example.net", "labo.example.jp"}
    files = {"pdf from labo.example.jp"}
}
tls { trust = "/data/etc/trust.pem" }
log { to = "unix:/run/syslog/sekisho" }
include("lab.conf")
""" % (ROOM, CLIENTS["clinician"][2])
LAB_SERVICES = SERVICES + """
service "lab" { networks = {"%s/32"} media-udp = {"3478"} reviewed = "2026-11-01" }
""" % MEDIA


class Hammer:
    """A client that tries to get out all the while: UDP, TCP, ICMP and the web, to a stranger."""

    def __init__(self, ground, client="other"):
        self.ground, self.client = ground, client
        self.tries = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with self.ground.lab.network.on(self.client):
            icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        echo = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + LEAK
        echo = echo[:2] + struct.pack("!H", internet_sum(echo)) + echo[4:]
        while not self._stop:
            try:
                udp = self.ground.lab.network.datagram(self.client, ELSEWHERE, LEAK_PORT, 0.2)
                for _ in range(5):
                    udp.send(LEAK)
                udp.close()
            except OSError:
                pass
            for port in (LEAK_PORT, 443):
                try:
                    self.ground.lab.network.connect(self.client, ELSEWHERE, port, 0.3).close()
                except OSError:
                    pass
            try:
                icmp.sendto(echo, (ELSEWHERE, 0))
            except OSError:
                pass
            time.sleep(0.2)
            self.tries += 1

    def stop(self):
        self._stop = True
        self._thread.join(5)
        return self.tries


def leaks(ground):
    """Frames of the hammer that reached the internet: its bytes, or its destination and port."""
    found = ground.frames.with_bytes(LEAK, LEAK[:12])
    for frame in list(ground.frames.frames):
        if frame[12:14] == b"\x08\x00" and frame[30:34] == bytes(map(int, ELSEWHERE.split("."))):
            found.append(frame)
    return found


# --- the first boot ---

def nothing_leaks_while_it_starts(ground):
    hammer = Hammer(ground)
    before = len(ground.frames.frames)
    ground.seconds = ground.machine.ready(600)
    time.sleep(5)
    tries = hammer.stop()
    check(tries >= 5, "the client hardly tried: %d" % tries)
    found = leaks(ground)
    check(not found, "%d frames of the client got out: %r" % (len(found), found[:3]))
    print("    %d rounds of tries, %d frames of the gateway itself on the WAN" % (
        tries, len(ground.frames.frames) - before))


def it_is_healthy(ground):
    machine = ground.machine
    wait_for(lambda: machine.run("/usr/lib/sekisho/healthy", check=False)[0] == 0, 120 * machine.slow,
             lambda: machine.run("/usr/lib/sekisho/healthy; cat /run/log/messages | tail -n 20",
                                 check=False)[1], 3)


# The lab's internet has addresses that no true one has, and dnsmasq would not let pass.
LAB_NAMES = b"rebind-domain-ok=/example/com/net/org/jp/ly/\n"


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

def it_takes_a_configuration(ground):
    lab, machine = ground.lab, ground.machine
    with open(lab.certificates.root, "rb") as file:
        root = file.read()
    network = ("schema = 1\nwan = dhcp\nntp = %s\nsyslog = %s:%d\nsyslog-name = %s\n" % (
        origin4(DNS_NUMBER), origin4(DNS_NUMBER), COLLECTOR_PORT, COLLECTOR)).encode()
    ground.files = {"sekisho.conf": CONFIGURATION.encode(), "lab.conf": LAB_SERVICES.encode(),
                    "network.conf": network,
                    "dnsmasq.conf": LAB_NAMES, "trust.pem": root, "syslog-ca.pem": root}
    for name, content in ground.files.items():
        put(machine, "/data/etc/" + name, content)
    machine.run("sync; killall rsyslogd dnsmasq; sleep 3; until pidof rsyslogd; do sleep 1; done; sleep 3; "
                "sekisho check", 240)
    # On a busy machine the new processes may not be ready within the half minute that they have.
    wait_for(lambda: machine.run("sekisho reload", 120, check=False)[0] == 0, 300 * machine.slow,
             lambda: machine.run("tail -n 20 /run/log/messages")[-1500:], 5)
    record = ground.collector.wait(240, event="reload")
    equal(record[":app"], "sekishod", record)
    it_is_healthy(ground)


def put(machine, path, content):
    """A file by the serial line."""
    text = base64.b64encode(content).decode()
    machine.run(": >/tmp/put")
    for at in range(0, len(text), 800):
        machine.run("printf %%s '%s' >>/tmp/put" % text[at:at + 800])
    machine.run("base64 -d /tmp/put >%s.new && mv %s.new %s" % (path, path, path))


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
    not_reached(lab, "www.patient-link.example", since=begun)
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
    tries = hammer.stop()
    found = leaks(ground)
    check(tries >= 1 and not found, "%d tries, got out: %r" % (tries, found[:3]))


# --- updates ---

def bad_updates_are_refused(ground):
    """What is wrong with each, and that nothing is left of it."""
    machine = ground.machine
    machine.run("mount -o ro $(findfs LABEL=STICK) /media")
    for name, words in (("foreign", "signature"), ("damaged", "damaged"), ("cut", "cut off"),
                        ("older", "not newer|older than"), ("device", "another kind of device"),
                        ("nothing", "no update")):
        status, said = machine.run("sekisho update /media/%s.bundle" % name, 120, check=False)
        check(status == 1 and re.search(words, said), name, status, said)
    esp = machine.run("mount -o ro $(cat /run/esp) /efi; ls /efi/EFI/Linux; umount /efi")
    equal([w for w in esp.split() if w.endswith((".efi", ".part"))], ["sekisho_0.1.0.efi"], esp)
    ground.collector.wait(120, **{":app": "sekisho-appliance"})
    check(sum("update: refused" in line for line in ground.collector.lines) == 6,
          "the events: %r" % [line for line in ground.collector.lines if "update:" in line])


def identity(machine):
    return machine.run("cat /data/etc/identity; sha256sum /data/state/ca.pem /data/state/ca-key.pem "
                       "/data/etc/*.conf /data/etc/*.pem")


def a_good_update_is_installed_and_blessed(ground):
    machine = ground.machine
    before = identity(machine)
    machine.run("sekisho update /media/good.bundle", 300)
    machine.run("umount /media; sync")
    hammer = Hammer(ground)
    ground.frames.clear()
    machine.send("reboot\n")
    machine.ready(600)
    hammer.stop()
    found = leaks(ground)
    check(not found, "during the restart %d frames got out: %r" % (len(found), found[:3]))
    check("version=0.1.1" in machine.run("cat /run/release"))
    wait_for(lambda: "sekisho_0.1.1.efi" in machine.run(
        "mount -o ro $(cat /run/esp) /efi && ls /efi/EFI/Linux; umount /efi", check=False)[1],
        300 * machine.slow, lambda: machine.run("/usr/lib/sekisho/healthy; ps", check=False)[1], 10)
    equal(identity(machine), before, "CA and configuration")
    check("sekisho_0.1.0.efi" in machine.run(
        "mount -o ro $(cat /run/esp) /efi; ls /efi/EFI/Linux; umount /efi"), "the version before is kept")


def a_version_that_panics_is_left_again(ground):
    machine = ground.machine
    before = identity(machine)
    machine.run("mount -o ro $(findfs LABEL=STICK) /media; sekisho update /media/panic.bundle", 300)
    machine.run("umount /media; sync")
    machine.send("reboot\n")
    for _ in range(3):
        machine.wait("Kernel panic", 400)
    machine.ready(600)
    check("version=0.1.1" in machine.run("cat /run/release"))
    equal(identity(machine), before, "CA and configuration")
    status, said = machine.run("sekisho update /media/good.bundle", check=False)
    check(status == 1, said)


def a_factory_reset_makes_everything_anew(ground):
    machine = ground.machine
    before = identity(machine)
    machine.send("exit\n")
    machine.menu(60)
    machine.send("8\n")
    machine.wait("Type yes: ", 30)
    machine.send("yes\n")
    machine.ready(900)
    after = identity(machine)
    check(before.splitlines()[0] != after.splitlines()[0], "the name stayed", after)
    for line in after.splitlines():
        check("/data/state/ca" not in line or line not in before, "the CA stayed", after)
    it_is_healthy(ground)


UPDATES = [bad_updates_are_refused, a_good_update_is_installed_and_blessed,
           a_version_that_panics_is_left_again]
FIRST = [nothing_leaks_while_it_starts, it_is_healthy, an_unconfigured_gateway_is_shut,
         scan_of_both_sides]
CONFIGURED = [it_takes_a_configuration, the_web_is_inspected, what_is_denied_is_blocked,
              a_bad_certificate_is_not_made_good, a_spliced_service_is_untouched,
              a_consultation_blocks_links_and_files, media_passes_and_nothing_else, quic_is_refused,
              the_log_waits_for_its_collector, the_media_survives_the_daemon, a_reload_leaks_nothing]
