# SPDX-License-Identifier: BSD-2-Clause
#
# What each process holds, and what one that was taken over can do: where the CA's key is, what the
# kernel keeps from each role, and a daemon whose workers say whatever they like (tests/compromised).

import os
import pwd
import re
import signal
import subprocess
import time

from case import Skip, case, check, equal, reached
from memory import forms_of_key, search
from processes import wait_for

EHR = "ehr.example-clinic.jp"
ATTACKS = 20


def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def key_of(lab):
    return lab.gateway.ca[:-len("ca.pem")] + "ca-key.pem"


@case()
def ca_key_is_in_the_signer_alone(lab):
    """In no form in a worker, the registry, the examiner or the parent; the same search finds it in the signer."""
    for number in range(5):
        reached(lab, lab.curl("clinician", "https://%s/?%d" % (EHR, number)))
    forms = forms_of_key(key_of(lab))
    held, size = search(lab.gateway.pids("signer")[0], forms)
    check(held["limbs"] >= 1, "the search finds nothing where the key is", held, size)
    # As the numbers that signing wants, and not as what its file had.
    equal({name: count for name, count in held.items() if count and name != "limbs"}, {})
    for role in ("parent", "registry", "examiner", "fetcher", "worker"):
        for pid in lab.gateway.pids(role):
            seen, size = search(pid, forms)
            check(size > 1 << 20, "only %d bytes of %s" % (size, role))
            equal(set(seen.values()), {0}, role, seen)


@case()
def every_process_is_shut_in(lab):
    """The parent too: seccomp, no new privileges, few capabilities or none, no core, not dumpable."""
    sanitized = "under a sanitizer" in lab.gateway.log()  # which makes calls of its own: no filter then
    for role in ("parent", "signer", "registry", "examiner", "fetcher", "worker"):
        for pid in lab.gateway.pids(role):
            facts = status_of(pid)
            equal((facts["Seccomp"], facts["NoNewPrivs"]), ("0" if sanitized else "2", "1"), role)
            equal(int(facts["CapInh"], 16) | int(facts["CapAmb"], 16), 0, role)
            allowed = 0
            if role == "parent":    # CHOWN, DAC_READ_SEARCH, KILL, SETGID, SETUID, NET_BIND_SERVICE, NET_ADMIN
                allowed = sum(1 << bit for bit in (0, 2, 5, 6, 7, 10, 12))
            equal(int(facts["CapPrm"], 16) & ~allowed, 0, role, facts["CapPrm"])
            equal(int(facts["CapBnd"], 16) & ~sum(1 << bit for bit in (0, 2, 5, 6, 7, 10, 12)), 0, role)
            with open("/proc/%d/limits" % pid, encoding="ascii") as file:
                limits = file.read()
            check(re.search(r"Max core file size +0 +0 ", limits), role, limits)
            if role not in ("parent", "examiner") and not sanitized:
                check(re.search(r"Max processes +0 +0 ", limits), role, limits)
    with open("/proc/%d/status" % lab.gateway.pids("signer")[0], encoding="ascii") as file:
        locked = int(re.search(r"VmLck:\s+(\d+)", file.read())[1])
    check(locked >= 256, "only %d kB of the signer are locked" % locked)


@case()
def asking_for_who_is_not_there_ends_nobody(lab):
    """A group that no file has: on a machine with systemd the C library asks that, by calls of its own."""
    lab.gateway.configure({"process": {"control-group": "no-such-group"}})
    status, out, said = lab.gateway.reload()
    check(status != 0 and "no-such-group" in out + said, status, out, said)
    check("SIGSYS" not in lab.gateway.log(), lab.gateway.log())
    reached(lab, lab.curl("clinician", "https://%s/" % EHR))


@case()
def user_of_the_workers_reads_nothing(lab):
    """Where no filter were: the user alone may read neither key, state nor the other processes."""
    if not lab.gateway._may_separate():
        raise Skip("without root all run as one user")
    user = pwd.getpwnam("_sekisho-worker")
    signer = lab.gateway.pids("signer")[0]
    paths = [key_of(lab), os.path.join(lab.gateway.state, "registry", "registry.db"),
             "/proc/%d/mem" % signer, "/proc/%d/maps" % signer, "/proc/%d/environ" % signer,
             "/proc/%d/mem" % lab.gateway.process.pid]
    for path in paths:
        done = subprocess.run(["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid),
                               "--clear-groups", "cat", path], check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode != 0 and b"denied" in done.stderr and not done.stdout, path, done)


def build_compromised(lab):
    """The daemon with tests/compromised/worker.c in the place of its worker."""
    program = os.path.join(lab.gateway.build, "tests", "compromised", "sekishod")
    if not os.path.exists(program):
        subprocess.run(["make", "-C", lab.gateway.build, "tests/compromised/sekishod"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return program


@case({"process": {"workers": ATTACKS}}, start=False, deaths=True, seconds=240)
def worker_that_was_taken_over(lab):
    """It gets no signature that the policy of the CA forbids, reads nothing, releases nothing, and
    says in the log only what a worker says."""
    sanitized = False
    program = build_compromised(lab)
    original = type(lab.gateway).daemon
    type(lab.gateway).daemon = property(lambda gateway: program)
    try:
        lab.gateway.start()
        sanitized = "under a sanitizer" in lab.gateway.log()

        def said(name, text):
            return len(re.findall("compromised %s: %s" % (re.escape(name), text), lab.gateway.log()))

        def await_said(name, text, count=1):
            wait_for(lambda: said(name, text) >= count, 60,
                     lambda: "%s: %s, in:\n%s" % (name, text, lab.gateway.log()[-6000:]))

        # What a worker may do works.
        await_said("honest", "1 SIGNED for [0-9]+ s, 1 names, no CA")
        record = lab.collector.wait(30, event="block", host="honest.example")
        check(record.get("incident"), record)
        # Names that the CA excludes, and bytes of the attacker's choosing.
        await_said("excluded", "[0-9]+ refused", 4)
        await_said("bytes", "[0-9]+ refused", 7)
        await_said("long-life", "[34] refused", 2)
        await_said("long-life", "[12] SIGNED", 2)
        for seconds in re.findall("compromised long-life: [12] SIGNED for ([0-9]+) s", lab.gateway.log()):
            check(int(seconds) <= 86400, "a leaf that lives %s s" % seconds)
        # Who says what is not a worker's to say is cut off.
        for name in ("endless-name", "certificate", "ask-for-key"):
            await_said(name, "cut off by the signer")
        for name in ("release", "record-release", "record-start", "record-by", "consultation"):
            await_said(name, "cut off by the registry")
        wait_for(lambda: "the worker sent what it may not say (BOUNDARY" in lab.gateway.log(), 60,
                 "the parent takes what a worker may not say")
        # Files, other processes, programs, packets.
        if not sanitized:
            await_said("files", "has attacked")
            equal(len(re.findall("compromised: file [0-9]: No such file", lab.gateway.log())) % 5, 0)
            check("OPEN" not in lab.gateway.log(), lab.gateway.log()[-4000:])
            for name in ("ptrace", "memory", "program", "kill", "packets"):
                await_said(name, "attacks")
                slot = re.search(r"worker (\d+)[^\n]*compromised %s: attacks" % name, lab.gateway.log())
                wait_for(lambda: re.search(r"worker %s \(pid \d+\) ended with signal 31 \(SIGSYS\)" % slot[1],
                                           lab.gateway.log()), 60, name + " lives")
                equal(said(name, "has attacked"), 0)
        # The others work on, and what they tell is true.
        await_said("record-number", "has attacked")
        lab.collector.wait(30, event="block", host="foreign.example")
        time.sleep(0.5)
        records = lab.collector.records()
        foreign = [r for r in records if r.get("host") == "foreign.example"]
        check(foreign and not any(r.get("incident") for r in foreign), foreign)
        check(not any(r.get("host") == "evil.example" for r in records), "it wrote what others say")
        check(not any(r.get("by") for r in records), "it spoke as somebody")
        equal(len([r for r in records if r["event"] == "start"]), 1)
        check("evil.example" not in lab.gateway.sekisho("releases"), "it released")
        check(not re.search("compromised (excluded|bytes|endless-name)[^\n]*SIGNED", lab.gateway.log()),
              "it was signed")
        equal(len(lab.gateway.processes("signer")), 1)
        equal([p["restarts"] for p in lab.gateway.processes() if p["role"] in ("signer", "registry", "examiner")],
              [0, 0, 0])
        lab.gateway.stop()
    finally:
        lab.gateway.stop()
        type(lab.gateway).daemon = original


@case(deaths=True)
def parent_that_dies_is_told_of(lab):
    """By the registry, which outlives it; and no new connection is let through meanwhile."""
    os.kill(lab.gateway.process.pid, signal.SIGSYS)
    record = lab.collector.wait(20, event="process")
    check("the parent is gone" in record.get("detail", ""), record)
    lab.gateway.stop()
    lab.gateway.process = None
