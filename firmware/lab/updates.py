# SPDX-License-Identifier: BSD-2-Clause
#
# The group "updates": on a device that has its identity, what is installed, tried, blessed and left
# again; then a factory reset.

import os
import re

from case import check, equal
from ground import copy_disk, stick
from processes import wait_for
from steps import Hammer, identity, it_is_healthy, it_takes_a_configuration, leaks


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
    check(sum("update: not installed" in line for line in ground.collector.lines) == 6,
          "the events: %r" % [line for line in ground.collector.lines if "update:" in line])


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
    hammer.stop()
    found = leaks(ground)
    check(not found, "%d frames got out: %r" % (len(found), found[:3]))
    equal(identity(machine), before, "CA and configuration")
    wait_for(lambda: sum("0.1.3 is not healthy: the resolver" in line for line in ground.collector.lines) == 3,
             120 * machine.slow, lambda: "the events: %r" % [
                 line for line in ground.collector.lines if "update:" in line])


def a_factory_reset_makes_everything_anew(ground):
    machine = ground.machine
    before = identity(machine)
    ground.frames.clear()
    hammer = Hammer(ground)
    machine.send("exit\n")
    machine.menu(60)
    machine.send("8\n")
    machine.wait("Type yes: ", 30)
    machine.send("yes\n")
    machine.ready(900)
    hammer.stop()
    found = leaks(ground)
    check(not found, "%d frames got out: %r" % (len(found), found[:3]))
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
    ground.boot(disk, "updates", slow=ground.options.slow, stick=usb)
    ground.machine.ready(600)
    for function in (it_is_healthy, it_takes_a_configuration, bad_updates_are_refused,
                     a_good_update_is_installed_and_blessed, a_version_that_panics_is_left_again,
                     a_version_that_is_unhealthy_is_left_again, a_factory_reset_makes_everything_anew):
        if not perform(function, ground) and function is it_is_healthy:
            return
