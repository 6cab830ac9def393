# SPDX-License-Identifier: BSD-2-Clause
#
# The group "configuration": its life on the device, as whoever stands before the console sees it. A
# copy on a stick, backups with and without the CA, a schema that changes and changes back, and who
# serves the enrolment page.

import io
import os
import re
import subprocess
import tarfile
import time

from case import check, equal
from ground import FIRMWARE, GATEWAY_LAN4, copy_disk, stick
from image import change, tool
from processes import wait_for
from steps import identity, it_is_healthy, put, reset, to_menu

DISK = 2048  # MB
PHRASE = "correct horse battery staple"
UNCONFIGURED = "未設定の診療所 / clinic not configured yet"
PORTAL = 'portal { address = {"%s"} }\n' % GATEWAY_LAN4


def own(name):
    """A file of the image's own configuration."""
    with open(os.path.join(FIRMWARE, "root/usr/share/sekisho/image", name), encoding="utf-8") as file:
        return file.read()


def archive(path, files, members=()):
    """A backup of these files, {name: text}, and of members of other kinds."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        for member in members:
            tar.addfile(member)
    return path


def link(name, target, kind):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def changed(path):
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content.replace(b"Doubtful", b"Changed!"))
    return path


class Vendor:
    """Who sets up the clinic's gateway, away from it."""

    def __init__(self, work):
        self.work = work
        os.makedirs(work, exist_ok=True)
        for name in ("vendor", "stranger"):
            tool("keys", work, name)
        with open(os.path.join(work, "vendor-ca.pem"), encoding="ascii") as file:
            self.authority = file.read()

    def files(self, clinic, **more):
        return {"sekisho.conf": own("sekisho.conf").replace(UNCONFIGURED, clinic),
                "network.conf": own("network.conf"), "configuration-ca.pem": self.authority, **more}

    def backup(self, name, files, signer=None, device="any", members=()):
        path = archive(os.path.join(self.work, name), files, members)
        if signer:
            tool("sign-configuration", path, *(os.path.join(self.work, signer + kind)
                                               for kind in (".pem", ".key")), device)
        return path


def mtools(ground, *words):
    return subprocess.run([words[0], "-i", ground.usb, *words[1:]], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout


def lay(ground, path, device="sekisho"):
    """On the stick, while the device does not look at it, this is the configuration."""
    for ending in (".backup", ".backup.p7s"):
        mtools(ground, "mdel", "::sekisho/*" + ending)
    for ending in ("", ".p7s"):
        if os.path.exists(path + ending):
            equal(mtools(ground, "mcopy", "-o", path + ending,
                         "::sekisho/%s.backup%s" % (device, ending)), b"")


def taken_from_stick(ground, name):
    path = os.path.join(ground.work, "taken")
    equal(mtools(ground, "mcopy", "-n", "-o", "::" + name, path), b"")
    with open(path, "rb") as file:
        return file.read()


def said(ground, words, least=1):
    """So many events of the appliance say this."""
    def count():
        text = ground.machine.run("n=$(cat /run/log/messages.1 /run/log/messages 2>/dev/null | grep -c '%s'); "
                                  "echo \"count=$n\"" % words, check=False)[1]
        return int(re.findall(r"count=(\d+)", text)[-1])
    wait_for(lambda: count() >= least, 60 * ground.machine.slow,
             lambda: "no event %r: %s" % (words, ground.machine.run(
                 "grep appliance /run/log/messages | tail -n 20", check=False)[1]), 2)


def clinic_of(ground):
    return ground.machine.run("sed -n 's/^ *name = //p' /data/etc/sekisho.conf").strip().strip('"')


def choose(ground, item, *answers):
    """An item of the menu, and what it asks: (question, answer) each. What it said until the menu is back."""
    machine = ground.machine
    begin = len(machine.text)
    machine.send(item + "\n")
    for question, answer in answers:
        machine.wait(question, 60)
        time.sleep(1)  # a question for a passphrase is there before its echo is off
        machine.send(answer + "\n")
    machine.menu(120)
    return machine.text[begin:]


# --- the first start, with an unsigned configuration on the stick ---

def a_stick_asks_and_the_gateway_starts_meanwhile(ground):
    machine = ground.machine
    machine.wait(r"A stick holds another configuration, of [^\n]*; it is not signed\.\n"
                 r"Take it\? Type yes: ", 600)
    # Nobody answers: the gateway serves what it has.
    wait_for(lambda: ground.lab.curl("clinician", "http://%s/" % GATEWAY_LAN4, trust="internet",
                                     seconds=5).status == 200, 240 * machine.slow,
             lambda: "the page is not served while the console asks", 3)
    machine.send("no\n")
    machine.menu(60)
    machine.shell()
    machine.run("cmp /data/etc/sekisho.conf /usr/share/sekisho/image/sekisho.conf")
    said(ground, "the one on the stick waits for a confirmation: it is not signed")
    it_is_healthy(ground)
    ground.name = machine.run("cat /run/hostname").strip()


def the_data_partition_has_the_disk(ground):
    """The disk is larger than the image; both copies of its table say so."""
    megabytes = int(ground.machine.run("df -m /data | tail -n 1").split()[1])
    check(DISK - 500 < megabytes < DISK, megabytes)
    told = subprocess.run(["/sbin/sfdisk", "-V", ground.machine.disk], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    check(told.returncode == 0 and "No errors detected" in told.stdout, told.stdout)


def every_item_of_the_menu(ground):
    machine = ground.machine
    to_menu(ground)
    check("healthy" in choose(ground, "1"), machine.text[-1000:])
    check(GATEWAY_LAN4 in choose(ground, "2"), machine.text[-1000:])
    ground.fingerprint = re.search("SHA-256 +([0-9A-F:]{95})", choose(ground, "3")).group(1)
    check("There is no eth9." in choose(ground, "4", (r"Port to the provider \[eth0\]: ", "eth9")),
          machine.text[-1000:])
    text = choose(ground, "4", (r"Port to the provider \[eth0\]: ", ""), (r"How: [^\n]*\[dhcp\]: ", "static"),
                  (r"Address/bits \[\]: ", "192.0.2.9/24"), (r"Gateway \[\]: ", "192.0.2.1"),
                  (r"Resolvers \[\]: ", "192.0.2.53 $(reboot)"),
                  (r"on the LAN \[192.168.10.1/24\]: ", "192.168.10.1"))
    check("A sign in it is not taken." in text and "lan-address is no address" in text and
          "It counts from the next start on" not in text, text)
    text = choose(ground, "4", (r"Port to the provider \[eth0\]: ", ""), (r"How: [^\n]*\[static\]: ", "dhcp"),
                  (r"on the LAN \[192.168.10.1\]: ", "192.168.10.1/24"))
    check("It counts from the next start on" in text, text)
    where = r"back to the version before \[stick\]: "
    check("No file NAME.bundle was found." in choose(ground, "5", (where, "")), machine.text[-1000:])
    check("There is no version before" in choose(ground, "5", (where, "back")), machine.text[-1000:])
    check("written: %s.backup" % ground.name in choose(ground, "6", ("yes or no .no.: ", "")),
          machine.text[-1000:])
    check("There is no nonsense." in choose(ground, "7", (r"There are: [^\n]*\n[^\n]*: ", "nonsense")),
          machine.text[-1000:])
    machine.shell()
    equal(sorted(machine.run("grep '^wan' /data/etc/network.conf").split("\n")[:4]),
          ["wan = dhcp", "wan-address = 192.0.2.9/24", "wan-gateway = 192.0.2.1", "wan-interface = eth0"])


def a_backup_has_no_key(ground):
    content = taken_from_stick(ground, ground.name + ".backup")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        equal(sorted(tar.getnames()), ["backup", "network.conf", "sekisho.conf"])
    check(b"PRIVATE KEY" not in content)


def a_sealed_backup_has_the_ca(ground):
    machine = ground.machine
    to_menu(ground)
    # Too short a passphrase is asked for again; two that differ are none.
    machine.send("6\n")
    machine.wait("yes or no .no.: ", 30)
    machine.send("yes\n")
    machine.wait("Passphrase of the file: ?$", 60)
    machine.send(PHRASE + "\n")
    machine.wait("Verifying - Passphrase of the file: ?$", 60)
    machine.send(PHRASE + "x\n")
    machine.menu(60)
    check("written" not in machine.text[-600:], machine.text[-600:])
    text = choose(ground, "6", ("yes or no .no.: ", "yes"), ("Passphrase of the file: ?$", PHRASE),
                  ("Verifying - Passphrase of the file: ?$", PHRASE))
    check("written: %s.sealed" % ground.name in text and PHRASE not in text, text)
    content = taken_from_stick(ground, ground.name + ".sealed")
    check(content.startswith(b"sekisho-sealed 1\n"), content[:20])
    check(b"PRIVATE" not in content and b"network" not in content)


def a_stick_is_taken_after_a_yes(ground):
    machine = ground.machine
    machine.send("9\n")
    machine.wait("again or off .again.: ", 30)
    machine.send("\n")
    machine.wait(r"Take it\? Type yes: ", 600)
    machine.send("yes\n")
    machine.wait("It counts from the next start on", 120)
    machine.menu(60)
    machine.shell()
    equal(clinic_of(ground), "Asked Clinic")
    said(ground, "configuration: taken from a backup of ")


# --- the next start: what is signed ---

def what_is_signed_is_taken_without_a_question(ground):
    machine = ground.machine
    lay(ground, ground.signed)
    machine.send("reboot\n")
    begin = len(machine.text)
    machine.ready(600)
    check("Take it?" not in machine.text[begin:], "it asked")
    equal(clinic_of(ground), "Signed Clinic")
    said(ground, "configuration: taken from the stick: signed by CN=vendor updates,O=Sekisho, serial ")
    it_is_healthy(ground)


def what_is_signed_otherwise_waits_for_a_word(ground):
    """By a stranger, changed afterwards, for another device, older than what came so."""
    machine = ground.machine
    for path, words in ground.doubtful.items():
        lay(ground, path)
        machine.run("/usr/lib/sekisho/stick-configuration", 120)
        text = machine.run("cat /run/offer/why; rm -rf /run/offer")
        check(words in text, path, text)
    machine.run("[ ! -e /run/done ]")  # nothing that nobody vouches for was run
    equal(clinic_of(ground), "Signed Clinic")


def what_is_hostile_changes_nothing(ground):
    machine = ground.machine
    before = machine.run("find /data/etc -type f -exec sha256sum {} + | sort")
    machine.run("mount -o ro $(findfs LABEL=STICK) /media")
    for name, words in ground.hostile.items():
        status, text = machine.run("/usr/lib/sekisho/restore /media/%s" % name, 120, check=False)
        check(status == 1 and words in text, name, status, text)
    machine.run("umount /media")
    equal(machine.run("find /data/etc -type f -exec sha256sum {} + | sort"), before)
    equal(machine.run("ls -d /data/etc.new /run/unpacked/* /tmp/* 2>/dev/null", check=False)[1].strip(), "")
    said(ground, "configuration: not taken: ", len(ground.hostile))


# --- who serves the page ---

def page(ground):
    answer = ground.lab.curl("clinician", "http://%s/" % GATEWAY_LAN4, trust="internet", seconds=10)
    certificate = ground.lab.curl("clinician", "http://%s/sekisho-ca.crt" % GATEWAY_LAN4, trust="internet",
                                  seconds=10)
    if answer.status != 200:
        return "none"
    if "/ca.crt" in answer.text:
        return "sekishod's"
    check(certificate.status == 200 and b"BEGIN CERTIFICATE" in certificate.body, certificate)
    return "the image's, not configured" if "設定が済んでいません" in answer.text else "the image's"


def page_becomes(ground, wanted):
    wait_for(lambda: page(ground) == wanted, 120 * ground.machine.slow,
             lambda: "the page is %s, not %s: %s" % (page(ground), wanted, ground.machine.run(
                 "nft list table inet enrolment; cat /proc/net/tcp; ps", check=False)[1]), 2)


def the_page_follows_what_counts(ground):
    machine = ground.machine
    good = ground.signed_files["sekisho.conf"]
    page_becomes(ground, "the image's")
    put(machine, "/data/etc/sekisho.conf", (good + PORTAL).encode())
    wait_for(lambda: machine.run("sekisho reload", 120, check=False)[0] == 0, 300 * machine.slow,
             lambda: machine.run("sekisho check; tail -n 20 /run/log/messages", check=False)[1][-1500:], 5)
    page_becomes(ground, "sekishod's")
    # Broken, and started anew: what counts is an unconfigured gateway, whose page is the image's.
    put(machine, "/data/etc/sekisho.conf", (good + PORTAL + "nonsense = 1\n").encode())
    machine.run("killall -9 sekishod; true")
    page_becomes(ground, "the image's, not configured")
    said(ground, "the configuration cannot be used")
    to_menu(ground)
    check("CONFIGURATION BROKEN" in machine.text[-600:], machine.text[-600:])
    check(ground.fingerprint in choose(ground, "3"), machine.text[-1500:])
    # The menu's way back: what counted before the stick's.
    machine.shell()
    put(machine, "/data/etc/sekisho.conf", good.encode())
    machine.run("killall -9 sekishod; true")
    page_becomes(ground, "the image's")
    it_is_healthy(ground)


# --- another device ---

def the_ca_comes_back_on_another_device(ground):
    machine = ground.machine
    reset(ground)
    # The stick is signed by somebody whom the new device does not know yet.
    machine.wait(r"trusts no signer yet \(configuration-ca.pem\)\.\nTake it\? Type yes: ", 900)
    machine.send("no\n")
    machine.menu(60)
    check(ground.fingerprint not in choose(ground, "3"), "the reset kept the CA")
    sealed = ground.name + ".sealed"
    text = choose(ground, "7", (r"There are: [^\n]*\n[^\n]*: ", sealed), ("Type yes: ", "yes"),
                  ("Passphrase of the file: ?$", "another passphrase"))
    check("Not taken: it cannot be opened." in text, text)
    text = choose(ground, "7", (r"There are: [^\n]*\n[^\n]*: ", sealed), ("Type yes: ", "yes"),
                  ("Passphrase of the file: ?$", PHRASE))
    check("It counts from the next start on" in text and PHRASE not in text and
          "the key of the CA of now is gone for good" in text, text)
    check(ground.fingerprint in choose(ground, "3"), machine.text[-1500:])
    machine.shell()
    modes = machine.run("stat -c '%n %a %U' /data/state/ca.pem /data/state/ca-key.pem")
    equal(modes.strip().splitlines(), ["/data/state/ca.pem 644 root", "/data/state/ca-key.pem 600 root"])
    said(ground, "configuration: taken from a backup of %s, with its CA" % ground.name)
    lay(ground, "/nonexistent")
    machine.send("reboot\n")
    machine.ready(600)
    it_is_healthy(ground)
    check(ground.fingerprint in machine.run("sekisho ca show"))


def a_change_that_was_cut_off_is_ended(ground):
    """Between the two renames: what was made ready counts."""
    machine = ground.machine
    before = identity(machine)
    lay(ground, "/nonexistent")
    machine.run("rm -rf /data/etc.new /data/etc.before; cp -a /data/etc /data/etc.new && sync && "
                "mv /data/etc /data/etc.before && echo 'lost = yes' >>/data/etc.before/sekisho.conf; sync")
    machine.send("reboot\n")
    machine.ready(600)
    equal(identity(machine), before)


# --- the schema ---

def schema_two(root):
    """A version whose network.conf has another form."""
    change(root, "usr/share/sekisho/image/network.conf", "schema = 1", "schema = 2")
    folder = os.path.join(root, "usr/lib/sekisho/migrations")
    os.makedirs(folder)
    with open(os.path.join(folder, "1"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n"
                   "sed -i -e 's/^schema = 1/schema = 2/' -e '$a marked = yes' \"$1/network.conf\"\n")
    os.chmod(os.path.join(folder, "1"), 0o755)


def the_schema_changes_and_changes_back(ground):
    machine = ground.machine
    before = machine.run("cat /data/etc/network.conf")
    equal(mtools(ground, "mcopy", ground.bundle, "::schema.bundle"), b"")
    to_menu(ground)
    machine.send("5\n")
    machine.wait("back to the version before .stick.: ", 30)
    machine.send("\n")
    machine.wait(r"Which is installed [^\n]*: ", 60)
    machine.send("\n")
    machine.wait("Version 0.2.0 is installed", 300)
    machine.wait(r"Start it now\? Type yes: ", 30)
    machine.send("yes\n")
    machine.ready(600)
    check("version=0.2.0" in machine.run("cat /run/release"))
    after = machine.run("cat /data/etc/network.conf")
    check("schema = 2" in after and "marked = yes" in after, after)
    equal(machine.run("cat /data/etc.schema-1/network.conf"), before)
    said(ground, "configuration: brought from schema 1 to 2")
    it_is_healthy(ground)
    said(ground, "update: version 0.2.0 has proved itself")
    to_menu(ground)
    machine.send("5\n")
    machine.wait("back to the version before .stick.: ", 30)
    machine.send("back\n")
    machine.wait(r"Version 0.1.0 takes the place of 0.2.0. Type yes: ", 60)
    machine.send("yes\n")
    machine.wait(r"Start it now\? Type yes: ", 30)
    machine.send("no\n")
    machine.menu(60)
    machine.shell()
    said(ground, "update: back to version 0.1.0, asked for on the console")
    machine.send("reboot\n")
    machine.ready(600)
    check("version=0.1.0" in machine.run("cat /run/release"))
    equal(machine.run("cat /data/etc/network.conf"), before)
    equal(machine.run("cat /data/etc.schema-2/network.conf"), after)
    said(ground, "configuration: of schema 2, which this version does not know: the one of schema 1 is back")
    it_is_healthy(ground)


# --- which disk it is ---

def a_stick_that_looks_like_the_disk_is_not_believed(ground):
    disk = ground.machine.disk
    alike = copy_disk(ground.image.disk, os.path.join(ground.work, "alike.img"))
    ground.machine.run("sync; mount -o remount,ro /data; sync")
    machine = ground.boot(disk, "configuration", slow=ground.options.slow, stick=alike)
    machine.menu(600)
    check("NOTHING IS SERVED: two disks with an image" in machine.text[-600:], machine.text[-600:])
    machine.kill()
    # The label of its file system is the system's, and it has a partition for data.
    subprocess.run(["sfdisk", "--quiet", "--part-label", alike, "1", "other"], check=True,
                   stdout=subprocess.DEVNULL)
    machine = ground.boot(disk, "configuration", slow=ground.options.slow, stick=alike)
    machine.ready(600)
    equal(machine.run("cat /run/esp").split(), ["/dev/vda1"])
    it_is_healthy(ground)


def run(ground, perform):
    work = os.path.join(ground.work, "configuration")
    vendor = Vendor(work)
    asked = vendor.backup("asked.backup", vendor.files("Asked Clinic"))
    doubtful = vendor.files("Doubtful Clinic")
    ground.doubtful = {  # the serial is the time: this one is older than the one below
        vendor.backup("old.backup", doubtful, "vendor"): "not newer than what came so before",
        vendor.backup("stranger.backup", {**doubtful, "dnsmasq.conf": "conf-script=touch /run/done\n"},
                      "stranger"): "not one that this device trusts",
        vendor.backup("other.backup", doubtful, "vendor", "sekisho-000000"): "signed for another device",
        changed(vendor.backup("changed.backup", doubtful, "vendor")): "not one that this device trusts"}
    ground.signed_files = vendor.files("Signed Clinic")
    ground.signed = vendor.backup("signed.backup", ground.signed_files, "vendor")
    files = vendor.files("x")
    bomb = vendor.backup("bomb", {**files, "big.txt": "0" * (64 << 20)})
    subprocess.run(["gzip", "-9", bomb], check=True)
    os.rename(bomb + ".gz", bomb)
    unlike = "it holds what no backup holds"
    ground.hostile = {"bomb": "it is no backup", "broken": "it cannot be used",
                      "resolver": "it cannot be used: dnsmasq: bad option",
                      "port": "is a port of a bridge", "address": "lan-address is no address",
                      "cut": "it cannot be unpacked", "large": "it is too large", "symlink": unlike,
                      "hardlink": unlike, "out": unlike,
                      "key": unlike, "newer": "made for a newer version"}
    paths = {
        "bomb": bomb,
        "broken": vendor.backup("broken", {**files, "sekisho.conf": "policy { mode = x }\n"}),
        "resolver": vendor.backup("resolver", {**files, "dnsmasq.conf": "no-such-option\n"}),
        "port": vendor.backup("port", {
            **files, "sekisho.conf": files["sekisho.conf"].replace('"br-lan"', '"eth1"')}),
        "address": vendor.backup("address", {**files, "network.conf": "lan-address = 192.168.10.1\n"}),
        "large": vendor.backup("large", {**files, "large.txt": "0" * (5 << 20)}),
        "symlink": vendor.backup("symlink", files, members=[
            link("a.conf", "/data/etc/identity", tarfile.SYMTYPE)]),
        "hardlink": vendor.backup("hardlink", files, members=[
            link("a.conf", "sekisho.conf", tarfile.LNKTYPE)]),
        "out": vendor.backup("out", {**files, "../../tmp/out.conf": "x"}),
        "key": vendor.backup("key", {**files, "k.pem": "-----BEGIN" " PRIVATE KEY-----\n"}),
        "newer": vendor.backup("newer", {**files, "network.conf": "schema = 9\n"}),
    }
    with open(asked, "rb") as file:
        paths["cut"] = file.read()[:700]
    ground.bundle = ground.image.bundle(os.path.join(work, "schema"), "0.2.0", 20, edit=schema_two)
    ground.usb = stick(os.path.join(ground.work, "configuration-stick.img"), paths, 160)
    mtools(ground, "mmd", "::sekisho")
    lay(ground, asked)
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "configuration.img"))
    os.truncate(disk, DISK << 20)
    ground.boot(disk, "configuration", slow=ground.options.slow, stick=ground.usb)
    for function in (a_stick_asks_and_the_gateway_starts_meanwhile, the_data_partition_has_the_disk,
                     every_item_of_the_menu, a_backup_has_no_key, a_sealed_backup_has_the_ca,
                     a_stick_is_taken_after_a_yes, what_is_signed_is_taken_without_a_question,
                     what_is_signed_otherwise_waits_for_a_word, what_is_hostile_changes_nothing,
                     the_page_follows_what_counts, the_ca_comes_back_on_another_device,
                     a_change_that_was_cut_off_is_ended, the_schema_changes_and_changes_back,
                     a_stick_that_looks_like_the_disk_is_not_believed):
        if not perform(function, ground):
            return
