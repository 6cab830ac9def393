# SPDX-License-Identifier: BSD-2-Clause
#
# The group "wan": the provider's port, what has nothing opened at all, and the other ways to a provider. A
# static address; then PPPoE, with a provider that is
# a machine of its own, because a PPPoE server needs PPP in its kernel: the image's kernel and pppd
# with this machine's pppoe-server (so there is no PPPoE in the test of another architecture).

import os
import re
import shutil
import subprocess

from case import NAVIGATE, check, equal, reached
from ground import copy_disk
from image import tool
from network import GATEWAY_WAN4, INTERNET_ROUTER, origin4
from origins import DNS_NUMBER
from processes import wait_for
from steps import Hammer, it_is_healthy, it_takes_a_configuration, nothing_leaked, put, to_menu

PROVIDER = origin4(250)
USER, PASSWORD = "clinic@provider.example", "long-and-secret"
INITTAB = "::sysinit:/usr/lib/provider\nttyS0::respawn:/bin/sh\n"
START = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin
mount -t tmpfs tmp /tmp
mount -t tmpfs var /var
mkdir -p /dev/pts /var/run
mount -t devpts devpts /dev/pts
for turn in 1 2 3 4 5; do
    find /sys/devices -name modalias -exec cat {} + | sort -u | xargs modprobe -a -q -b
    [ ! -e /sys/class/net/eth0 ] || break
    sleep 1
done
modprobe -a ppp_generic ppp_async
ip link set eth0 up
ip addr add %s/24 dev eth0
ip route add default via %s
sysctl -w net.ipv4.ip_forward=1
pppoe-server -I eth0 -C provider -L %s -R %s -N 1 -O /etc/ppp/pppoe-server-options
echo "the provider is ready" >/dev/ttyS0
""" % (PROVIDER, origin4(INTERNET_ROUTER), PROVIDER, GATEWAY_WAN4)
OPTIONS = """require-chap
auth
proxyarp
ms-dns %s
lcp-echo-interval 10
lcp-echo-failure 3
mtu 1492
mru 1492
noaccomp
nopcomp
""" % origin4(DNS_NUMBER)


def as_provider(root, modules):
    release, = os.listdir(os.path.join(root, "usr/lib/modules"))
    shutil.copytree(modules, os.path.join(root, "usr/lib/modules", release, "tests"))
    subprocess.run(["depmod", "-b", root, release], check=True)
    for name in ("pppoe-server", "pppoe"):
        shutil.copy("/usr/sbin/" + name, os.path.join(root, "usr/sbin", name))
    os.makedirs(os.path.join(root, "etc/ppp"), exist_ok=True)
    for path, content, mode in (
            ("etc/inittab", INITTAB, 0o644), ("usr/lib/provider", START, 0o755),
            ("etc/ppp/options", "", 0o644), ("etc/ppp/pppoe-server-options", OPTIONS, 0o644),
            ("etc/ppp/chap-secrets", '"%s" * "%s" *\n' % (USER, PASSWORD), 0o600)):
        path = os.path.join(root, path)
        with open(path, "w", encoding="ascii") as file:
            file.write(content)
        os.chmod(path, mode)


def connect(ground, settings):
    """Another way to the provider: written to network.conf, from the next start on."""
    lines = ground.files["network.conf"].decode().replace("wan = dhcp\n", settings)
    put(ground.machine, "/data/etc/network.conf", lines.encode())
    ground.machine.run("sync")
    ground.machine.send("reboot\n")
    ground.machine.ready(600)
    it_is_healthy(ground)


def a_port_that_is_not_there_opens_nothing(ground):
    machine = ground.machine
    lines = re.sub("(?m)^wan-interface = .*$", "", ground.files["network.conf"].decode())
    put(machine, "/data/etc/network.conf", (lines + "wan-interface = eth9\n").encode())
    machine.run("sync")
    ground.frames.clear()
    machine.send("reboot\n")
    machine.menu(600)
    machine.shell()
    machine.run("until grep -q 'there is no port eth9' /run/closed; do sleep 1; done; sleep 10", 300)
    hammer = Hammer(ground)
    machine.run("[ ! -e /run/open ] && nft list table inet closed && sleep 10")
    equal(machine.run("ls /sys/class/net/br-lan/brif").split(), [])
    nothing_leaked(ground, hammer, 1)
    to_menu(ground)
    check("NOTHING IS OPEN: there is no port eth9" in machine.text[-600:], machine.text[-600:])
    machine.shell()


def what_cannot_be_used_opens_nothing(ground):
    """Neither what is no address, nor a network that is the provider's too."""
    machine = ground.machine
    for settings, look, words in (
            ("lan-address = 192.168.10.1\n", "grep -q . /run/closed",
             "NOTHING IS OPEN: network.conf: lan-address is no address"),
            ("lan-address = 203.0.113.129/25\n", "[ -e /run/overlap ]", "THE PROVIDER'S NETWORK IS THE LAN'S")):
        put(machine, "/data/etc/network.conf", ground.files["network.conf"] + settings.encode())
        machine.run("sync")
        machine.send("reboot\n")
        machine.menu(600)
        machine.shell()
        machine.run("until %s; do sleep 1; done" % look, 300)
        check("inet 203.0.113.1/" not in machine.run("ip -4 addr"))
        to_menu(ground)
        check(words in machine.text[-600:], machine.text[-600:])
        machine.shell()


def the_provider_s_port_is_known_by_its_address(ground):
    """With another kernel, or another card, the ports may be found in another order."""
    put(ground.machine, "/data/etc/network.conf", ground.files["network.conf"] + b"wan-interface = eth0\n")
    for turned, port in ((False, "eth0"), (True, "eth1"), (True, "eth1")):
        ground.machine.run("sync; mount -o remount,ro /data; sync")
        ground.boot(ground.machine.disk, "wan", slow=ground.options.slow, turned=turned)
        ground.machine.ready(600)
        it_is_healthy(ground)
        equal(ground.machine.run("cat /run/port").split(), [port])
        equal(ground.machine.run("cat /data/state/wan-port").split(), ["eth0", "52:54:00:00:00:01"])
    the_main_job_is_done(ground)


def the_main_job_is_done(ground):
    lab = ground.lab
    ground.enrol()
    wait_for(lambda: lab.curl("clinician", "https://ehr.example-clinic.jp/", trust="clinic",
                              seconds=30).status == 200, 120 * ground.machine.slow,
             lambda: ground.machine.run("ip addr; ip route; cat /run/resolv.upstream; grep ppp /run/log/messages; sekisho status", check=False)[1], 3)
    reached(lab, lab.curl("clinician", "https://web.splice.example/", trust="internet", seconds=60))
    equal(lab.curl("clinician", *NAVIGATE, "https://bit.ly/x", trust="clinic", seconds=60).status, 403)
    seen = lab.origins.requests("ehr.example-clinic.jp", least=1)
    equal(seen[-1]["client"], GATEWAY_WAN4, "the origin sees the gateway")


def by_a_static_address(ground):
    connect(ground, "wan = static\nwan-address = %s/24\nwan-gateway = %s\nwan-dns = %s\n" % (
        GATEWAY_WAN4, origin4(INTERNET_ROUTER), origin4(DNS_NUMBER)))
    the_main_job_is_done(ground)


def by_pppoe(ground):
    connect(ground, "wan = pppoe\npppoe-user = %s\npppoe-password = %s\n" % (USER, PASSWORD))
    the_main_job_is_done(ground)
    said = ground.machine.run("ip -4 addr show dev ppp0")
    equal((GATEWAY_WAN4 in said, "mtu 1492" in said), (True, True), said)


def connections(ground):
    return int(ground.machine.run("grep -c 'local  IP address' /run/log/messages", check=False)[1].split()[-1])


def a_provider_that_comes_back_is_used_again(ground):
    before = connections(ground)
    ground.provider.run("killall pppd")
    wait_for(lambda: connections(ground) > before, 120 * ground.machine.slow,
             lambda: ground.machine.run("grep ppp /run/log/messages")[-1500:], 3)
    the_main_job_is_done(ground)


def run(ground, perform):
    work = os.path.join(ground.work, "wan")
    os.makedirs(work, exist_ok=True)
    with_provider = ground.image.machine == os.uname().machine
    parts, uki, disk = (os.path.join(work, name) for name in ("parts", "provider.efi", "provider.img"))
    if with_provider:
        ground.image.variant(work, lambda root: as_provider(root, os.path.join(ground.image.folder, "tests")))
        tool("uki", parts, uki)
        tool("disk", parts, uki, disk)
    ground.boot(copy_disk(ground.image.disk, os.path.join(work, "wan.img")), "wan", slow=ground.options.slow)
    ground.machine.ready(600)
    for function in (it_is_healthy, it_takes_a_configuration, a_port_that_is_not_there_opens_nothing,
                     what_cannot_be_used_opens_nothing, the_provider_s_port_is_known_by_its_address,
                     by_a_static_address):
        if not perform(function, ground) and function is it_is_healthy:
            return
    if not with_provider:
        return
    with ground.beside(disk, "provider") as ground.provider:
        ground.provider.wait("the provider is ready", 300)
        ground.provider.prompt()
        for function in (by_pppoe, a_provider_that_comes_back_is_used_again):
            perform(function, ground)
