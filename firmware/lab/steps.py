# SPDX-License-Identifier: BSD-2-Clause
#
# What the groups of checks share: steps on an image that has booted, and a client that tries to get
# past it. A step fails by an exception.

import base64
import re
import socket
import struct
import threading
import time

from case import check, equal
from echo import internet_sum
from gateway import ROOM, SERVICES
from network import CLIENTS, origin4
from origins import DNS_NUMBER
from processes import wait_for

from ground import COLLECTOR, COLLECTOR_PORT

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
# The lab's internet has addresses that no true one has, and dnsmasq would not let pass.
LAB_NAMES = b"rebind-domain-ok=/example/com/net/org/jp/ly/\n"


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


def nothing_leaked(ground, hammer, at_least=5):
    """Ends the hammer: it tried at least so often, and none of it got out."""
    tries = hammer.stop()
    check(tries >= at_least, "the client hardly tried: %d" % tries)
    found = leaks(ground)
    check(not found, "%d frames of the client got out: %r" % (len(found), found[:3]))
    return tries


def versions(machine):
    """The files of versions on the ESP; none while somebody else has it mounted."""
    said = machine.run("mount -o ro $(cat /run/esp) /efi && { ls /efi/EFI/Linux; umount /efi; }",
                       check=False)[1]
    return [word for word in said.split() if word.endswith((".efi", ".part"))]


def to_menu(ground):
    """From the command line."""
    ground.machine.send("exit\n")
    ground.machine.menu(60)


def reset(ground):
    """Has the menu make everything anew."""
    to_menu(ground)
    ground.machine.send("8\n")
    ground.machine.wait("Type yes: ", 30)
    ground.machine.send("yes\n")


def it_is_healthy(ground):
    machine = ground.machine
    wait_for(lambda: machine.run("/usr/lib/sekisho/healthy", check=False)[0] == 0, 120 * machine.slow,
             lambda: machine.run("/usr/lib/sekisho/healthy; cat /run/log/messages | tail -n 20",
                                 check=False)[1], 3)


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


def identity(machine):
    """Name, prefix, and the hashes of the CA and of the configuration: a line each."""
    said = machine.run("cat /data/etc/identity; sha256sum /data/state/ca.pem /data/state/ca-key.pem "
                       "$(find /data/etc -name '*.conf' -o -name '*.pem' | sort)")
    lines = [line for line in said.splitlines() if re.match(r"[0-9a-f]{64}  |(name|prefix)=", line)]
    check(len(lines) >= 6, said)  # these four, and two files of the configuration
    return lines
