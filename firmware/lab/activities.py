# SPDX-License-Identifier: BSD-2-Clause
#
# What a device does when its power is cut (power.py): its first boot, changes of its configuration,
# updates, and lines of its log that cannot be sent. Each says what somebody was told, and when.

import hashlib
import os
import re
import shutil
import subprocess

from case import NAVIGATE, check
from processes import wait_for
from steps import put

CA = ("/state/ca.pem", "/state/ca-key.pem")
LINE = "power-line-%d-"


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Facts(dict):
    """
    {what: [[begun, told, value], ...]}: a file's content (its SHA-256, under its path on the data
    partition), the version that starts, how many lines of the log are safe. From `begun` on it may be so;
    once it was told to somebody it must be so, until the next. The times are the clock's.
    """

    def __init__(self, clock, values):
        super().__init__({what: [[0, 0, value]] for what, value in values.items()})
        self._clock = clock

    def begin(self, what, value):
        self.setdefault(what, []).append([self._clock(), None, value])

    def tell(self, what):
        self[what][-1][1] = self._clock()

    def allowed(self, what, moment):
        values = [None]
        for begun, told, value in self.get(what, ()):
            if begun > moment:
                break
            if told is not None and told <= moment:
                values = [value]
            else:
                values.append(value)
        return values


def files_of(machine):
    """{path on the data partition: SHA-256} of the CA, the identity and the configuration."""
    said = machine.run("cd /data; sha256sum state/ca.pem state/ca-key.pem etc/identity etc/*.conf etc/*.pem; "
                       "cd /", check=False)[1]
    return {"/" + path: value for value, path in re.findall(r"(?m)^([0-9a-f]{64})  (\S+)$", said)}


def as_started(files):
    """What the device makes of a restore that was cut off between its two renames."""
    if not any(path.startswith("/etc/") for path in files):
        return {re.sub("^/etc.new/", "/etc/", path): content for path, content in files.items()}
    return files


# --- the activities ---

def first_boot(machine, facts):
    """From a blank disk to a fingerprint that a person copies down."""
    machine.run("sekisho ca show")
    told = files_of(machine)
    check(all(path in told for path in CA), told)
    for path, value in told.items():
        facts.setdefault(path, []).append([0, None, value])
        facts.tell(path)


def configuration(ground, machine, facts):
    """Files are changed by hand and counted with a reload, at the console, and by a restore."""
    base = ground.files["sekisho.conf"]
    for turn in range(3):
        content = base + b"# change %d\n" % turn
        facts.begin("/etc/sekisho.conf", digest(content))
        put(machine, "/data/etc/sekisho.conf", content)
        wait_for(lambda: machine.run("sekisho reload", 120, check=False)[0] == 0, 300 * machine.slow,
                 "a reload", 5)
        facts.tell("/etc/sekisho.conf")
    machine.send("exit\n")
    machine.menu(60)
    content = ground.files["network.conf"]
    for turn in range(2):
        content = _network(machine, facts, content, turn)
    machine.send("7\n")
    machine.wait(r"Which takes the place[^\n]*: ", 60)
    machine.send("\n")
    machine.wait("Type yes: ", 60)
    restored = {"/etc/" + name: digest(content) for name, content in restored_files(ground).items()}
    for path, value in restored.items():
        facts.begin(path, value)
    machine.send("yes\n")
    machine.wait("It counts from the next start on", 120)
    for path in restored:
        facts.tell(path)
    machine.menu(60)
    machine.shell()


def _network(machine, facts, content, turn):
    """Through the menu: the bits of the LAN's address change, all else stays. The file's content then."""
    address = "192.168.10.1/2%d" % (4 - turn)
    for name, value in (("wan-interface", "eth0"), ("wan", "dhcp"), ("lan-address", address)):
        content = re.sub(rb"(?m)^\s*%s\s*=.*\n" % name.encode(), b"", content) + b"%s = %s\n" % (
            name.encode(), value.encode())
        facts.begin("/etc/network.conf", digest(content))
    machine.send("4\n")
    for question, answer in ((r"Port to the provider[^\n]*: ", "eth0"), (r"How: [^\n]*: ", "dhcp"),
                             (r"The gateway's address[^\n]*: ", address)):
        machine.wait(question, 60)
        machine.send(answer + "\n")
    machine.wait("It counts from the next start on", 60)
    facts.tell("/etc/network.conf")
    machine.menu(60)
    return content


def restored_files(ground):
    return {name: content + (b"# restored\n" if name.endswith(".conf") else b"")
            for name, content in ground.files.items()}


def backup(ground, folder):
    """A backup as the device makes it, with other contents: its path."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    files = restored_files(ground)
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    subprocess.run(["tar", "-c", "--format=ustar", "--owner=0", "--group=0", "-f", folder + ".tar", "-C", folder,
                    *sorted(files)], check=True)
    return folder + ".tar"


def updates(ground, machine, facts, versions):
    """Each is installed, tried, and blessed."""
    for version in versions:
        facts.begin("version", version)
        machine.run("until mount -o ro $(findfs LABEL=STICK) /media; do sleep 1; done; "
                    "sekisho update /media/%s.bundle" % version, 300)
        facts.tell("version")
        machine.run("umount /media")
        machine.send("reboot\n")
        machine.ready(600)
        facts.begin("proved", version)
        machine.run("until grep -q 'version %s has proved itself' /run/log/messages; do sleep 1; done" %
                    version, 600)
        facts.tell("proved")


def lines(ground, machine, facts):
    """
    The collector is away: lines, and what is blocked, wait in the queue. What its files hold is safe; a few
    lines are in memory.
    """
    ground.collector.shut()
    try:
        # A connection of before the machine was taken up again swallows what nobody reads.
        machine.run("old=$(pidof rsyslogd); kill $old; while kill -0 $old; do sleep 1; done; "
                    "until pidof rsyslogd && [ -S /dev/log ]; do sleep 1; done; sleep 3", 120)
        for turn in range(8):
            machine.run("for i in $(seq %d %d); do echo %s; done | logger -t power" % (
                40 * turn + 1, 40 * turn + 40, LINE.replace("%d", "$i")))
            ground.lab.curl("phone", *NAVIGATE, "https://bit.ly/power-%d" % turn, trust="clinic",
                            seconds=60)
            said = machine.run("sleep 1; cat /data/queue/* | grep -o '%s' >/tmp/safe; sync; cat /tmp/safe" %
                               LINE.replace("%d", "[0-9]*"), 60)
            facts.begin("lines", lines_in(said))
            facts.tell("lines")
        check(lines_in(said), "no line waits on the disk: " + machine.run("ls -l /data/queue"))
    finally:
        ground.collector.open()


def lines_in(text):
    return sorted({int(number) for number in re.findall(LINE.replace("%d", r"(\d+)"), text)})


# --- what must be there afterwards ---

def nothing_is_lost(ground, machine, facts, moment):
    version = machine.run("sed -n s/^version=//p /run/release").split()[-1]
    check(version in facts.allowed("version", moment), "version", version)
    found = files_of(machine)
    for path in facts:
        allowed = facts.allowed(path, moment)
        if path.startswith("/") and None not in allowed:
            check(found.get(path) in allowed, "%s is %s" % (path, found.get(path)))
    told = set(facts.allowed("lines", moment)[0] or ())

    def missing():
        return sorted(told - set(lines_in("\n".join(list(ground.collector.lines)))))

    wait_for(lambda: not missing(), 120 * machine.slow,
             lambda: "lines of the log did not arrive: %r of %d" % (missing()[:20], len(told)), 1)
