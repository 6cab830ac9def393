# SPDX-License-Identifier: BSD-2-Clause
#
# The group "updates": on a device that has its identity, what is installed, tried, blessed and left
# again; then a factory reset.

import os
import re
import shutil

from case import check, equal
from ground import copy_disk, stick
from processes import wait_for
from steps import (Hammer, identity, it_is_healthy, it_takes_a_configuration, nothing_leaked, put,
                   reset, versions)

SITE = "files.example.net"  # the lab's nginx


def bad_updates_are_refused(ground):
    """What is wrong with each, and that nothing is left of it."""
    machine = ground.machine
    machine.run("mount -o ro $(findfs LABEL=STICK) /media")
    for name, words in (("foreign", "signature"), ("damaged", "damaged"), ("cut", "cut off"),
                        ("older", "not newer|older than"), ("device", "another kind of device"),
                        ("nothing", "no update")):
        status, said = machine.run("sekisho update /media/%s.bundle" % name, 120, check=False)
        check(status == 1 and re.search(words, said), name, status, said)
    equal(versions(machine), ["sekisho_0.1.0.efi"])
    ground.collector.wait(120, **{":app": "sekisho-appliance"})
    check(sum("update: not installed" in line for line in ground.collector.lines) == 6,
          "the events: %r" % [line for line in ground.collector.lines if "update:" in line])


def url(name):
    return "https://%s/%s.bundle" % (SITE, name)


def told(ground, text, seconds=120):
    """The collector has got a line with this."""
    wait_for(lambda: any(text in line for line in ground.collector.lines), seconds * ground.machine.slow,
             lambda: ground.machine.run("cat /run/log/update; tail -n 20 /run/log/messages", check=False)[1], 2)


def an_update_by_url_is_looked_at(ground):
    """Whom it is fetched from, and what is wrong with it or not newer."""
    machine = ground.machine
    status, said = machine.run("umount /media; sekisho update", check=False)
    check(status == 1 and "no URL is configured" in said, said)
    status, said = machine.run("sekisho update " + url("older"), check=False)
    check(status == 1 and "not by a CA that is trusted here" in said, said)
    put(machine, "/data/etc/update-ca.pem", ground.files["trust.pem"])
    for name, wanted, words in (("foreign", 1, "signature"), ("device", 1, "another kind of device"),
                                ("cut", 1, "cut off"), ("nothing", 1, "no update"),
                                ("missing", 1, "does not have it"), ("older", 4, "Nothing newer")):
        status, said = machine.run("sekisho update " + url(name), 300, check=False)
        check(status == wanted and words in said, name, status, said)
    told(ground, "update: nothing newer: version 0.0.9 is offered, and 0.1.0 runs")


def asks_soon(ground, restart):
    """Has the machine ask for the good one within two minutes, by itself."""
    at = ground.machine.run("date -d @$(($(date +%s) + 90)) +%H:%M").split()[-1]
    put(ground.machine, "/data/etc/network.conf", ground.files["network.conf"] + (
        "update = %s\nupdate-at = %s\nupdate-restart = %s\n" % (url("good"), at, restart)).encode())


def an_update_by_url_waits(ground):
    """The machine asks at its time, installs what is newer, and tells whoever looks."""
    machine = ground.machine
    asks_soon(ground, "no")
    told(ground, "update: version 0.1.1 waits for the next start", 300)
    check("sekisho_0.1.1+3.efi" in versions(machine))
    machine.send("exit\n")
    machine.wait("VERSION 0.1.1 WAITS FOR A START", 60)
    machine.menu(60)
    machine.send("5\n")
    machine.wait(re.escape("web (%s), stick, or back to the version before [web]: " % url("good")), 30)
    machine.send("\n")
    machine.wait("Nothing newer: version 0.1.1 is offered, and 0.1.1 waits for the next start", 120)
    machine.menu(60)
    machine.shell()


def an_update_by_url_is_started_and_blessed(ground):
    """The machine starts with what waits, by itself."""
    machine = ground.machine
    asks_soon(ground, "yes")
    before = identity(machine)
    hammer = Hammer(ground)
    ground.frames.clear()
    machine.ready(900)
    nothing_leaked(ground, hammer)
    check("version=0.1.1" in machine.run("cat /run/release"))
    wait_for(lambda: "sekisho_0.1.1.efi" in versions(machine), 300 * machine.slow,
             lambda: machine.run("/usr/lib/sekisho/healthy; ps", check=False)[1], 10)
    equal(identity(machine), before, "CA and configuration")
    check("sekisho_0.1.0.efi" in versions(machine), "the version before is kept")


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


def a_version_that_is_unhealthy_is_left_again(ground):
    """It starts, and would serve, but has no resolver: three tries, then the one before is back."""
    machine = ground.machine
    before = identity(machine)
    machine.run("mount -o ro $(findfs LABEL=STICK) /media; sekisho update /media/ill.bundle", 300)
    machine.run("umount /media; sync")
    ground.frames.clear()
    hammer = Hammer(ground)
    machine.send("reboot\n")
    for _ in range(3):
        machine.wait(r"Sekisho 0\.1\.3 ", 400)
    machine.wait(r"Sekisho 0\.1\.1 ", 400)
    machine.ready(600)
    nothing_leaked(ground, hammer)
    equal(identity(machine), before, "CA and configuration")
    wait_for(lambda: sum("0.1.3 is not healthy: the resolver" in line for line in ground.collector.lines) == 3,
             120 * machine.slow, lambda: "the events: %r" % [
                 line for line in ground.collector.lines if "update:" in line])


def an_update_by_url_is_not_tried_again(ground):
    """Else a version that fails would be tried every night."""
    status, said = ground.machine.run("sekisho update " + url("ill"), 300, check=False)
    check(status == 4 and "version 0.1.3 was tried and has failed" in said, status, said)


def a_version_without_its_disk_is_left_again(ground):
    """It cannot even read that it is on trial; the last of its tries is enough here."""
    machine = ground.machine
    before = identity(machine)
    machine.run("mount -o ro $(findfs LABEL=STICK) /media && sekisho update /media/lost.bundle && umount /media && "
                "mount $(cat /run/esp) /efi && cd /efi/EFI/Linux && mv sekisho_0.1.4+3.efi sekisho_0.1.4+1-2.efi && "
                "cd / && umount /efi && sync", 300)
    machine.send("reboot\n")
    machine.wait(r"Sekisho 0\.1\.4 [^\n]*NOTHING IS SERVED: no disk with an image", 400)
    machine.wait(r"Sekisho 0\.1\.1 ", 600)
    machine.ready(600)
    equal(identity(machine), before, "CA and configuration")
    check("sekisho_0.1.4+0-3.efi" in versions(machine), versions(machine))


def a_factory_reset_makes_everything_anew(ground):
    machine = ground.machine
    before = identity(machine)
    ground.frames.clear()
    hammer = Hammer(ground)
    reset(ground)
    machine.ready(900)
    nothing_leaked(ground, hammer)
    after = identity(machine)
    for line in after:
        check("=" not in line and "/data/state/ca" not in line or line not in before, "it stayed", line)
    it_is_healthy(ground)


def run(ground, perform):
    """On a device that already has its identity: what is installed, tried, blessed and left again."""
    bundles = ground.image.bundles(os.path.join(ground.work, "bundles"))
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "updates.img"))
    usb = stick(os.path.join(ground.work, "stick.img"),
                {name + ".bundle": path for name, path in bundles.items()}, 256)
    for name, path in bundles.items():
        shutil.copy(path, os.path.join(ground.lab.origins.sites, "files", name + ".bundle"))
    ground.boot(disk, "updates", slow=ground.options.slow, stick=usb)
    ground.machine.ready(600)
    for function in (it_is_healthy, it_takes_a_configuration, bad_updates_are_refused,
                     an_update_by_url_is_looked_at, an_update_by_url_waits,
                     an_update_by_url_is_started_and_blessed, a_version_that_panics_is_left_again,
                     a_version_that_is_unhealthy_is_left_again, an_update_by_url_is_not_tried_again,
                     a_version_without_its_disk_is_left_again, a_factory_reset_makes_everything_anew):
        if not perform(function, ground) and function is it_is_healthy:
            return
