# SPDX-License-Identifier: BSD-2-Clause
#
# The processes and their state at the moments when something goes wrong: reloads that fail half way,
# that meet each other or lose a process, starts under the service's own restrictions, what is left
# behind on the disk and in the kernel.

import glob
import json
import os
import pwd
import re
import resource
import shutil
import signal
import stat
import subprocess
import threading
import time

from case import Skip, blocked, call, case, check, equal, reached
from gateway import REPOSITORY
from load import Load
from network import GATEWAY_LAN4
from processes import wait_for

EHR = "ehr.example-clinic.jp"
UNKNOWN = "unknown.example.org"


def children(lab):
    """{pid: state} of the parent's children, zombies included."""
    found = {}
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name, encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except (OSError, ValueError, IndexError):
            continue
        if int(fields[1]) == lab.gateway.process.pid:
            found[int(name)] = fields[0]
    return found


def other_ca(lab):
    """A key that does not belong to the CA's certificate: no check of the text finds that."""
    folder = os.path.join(lab.gateway.folder, "other")
    os.makedirs(folder, exist_ok=True)
    key = os.path.join(folder, "ca-key.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-out", key], check=True, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return key


def steady(lab, workers=2):
    """Waits until the parent has exactly its children, all alive: the workers, and one of each other role."""
    others = len({p["role"] for p in lab.gateway.processes()} - {"parent", "worker"})
    wait_for(lambda: len(children(lab)) == workers + others and "Z" not in children(lab).values(), 20,
             lambda: "the old processes to go: %r" % children(lab))


# --- reload ---

@case(deaths=True, seconds=120)
def reload_that_fails_late_is_taken_back(lab):
    """The signer refuses the new CA: the old generation stays in force, whole, and can be reloaded."""
    good = lab.gateway.text()
    with Load(lab, "clinician", EHR, timeout=5) as load:
        before = {p["pid"] for p in lab.gateway.processes() if p["role"] in ("signer", "worker")}
        lab.gateway.configure({"tls": {"ca-key": other_ca(lab)},
                               "clinic": {"deny": [UNKNOWN]},
                               'listen "explicit"': {"port": 8081}})
        for _ in range(2):
            status, out, err = lab.gateway.reload()
            equal(status, 1, out, err)
            check("signer could not start" in err and "the old configuration stays" in err, err)
        lab.collector.wait(event="reload")
        equal({p["pid"] for p in lab.gateway.processes() if p["state"] == "ready"
               and p["role"] in ("signer", "worker")}, before, "the old processes still serve")
        reached(lab, lab.curl("clinician", "https://%s/plain.txt" % UNKNOWN))
        reached(lab, lab.curl("other", "--proxy", "http://%s:8080" % GATEWAY_LAN4, "https://%s/" % EHR))
        check(lab.curl("other", "--proxy", "http://%s:8081" % GATEWAY_LAN4,
                       "https://%s/" % EHR).exit != 0, "the port of the refused configuration is open")
        os.kill(lab.gateway.pids("signer")[0], signal.SIGKILL)  # the old one is replaced as ever
        wait_for(lambda: len(lab.gateway.pids("signer")) == 1, 5, "a signer")
        lab.gateway.write(good.replace('contact = "内線 100"', 'contact = "内線 200"'))
        status, out, err = lab.gateway.reload()
        equal(status, 0, out, err)
    check(not load.failures(), load.failures()[:3])
    steady(lab)
    lab.gateway.mark_log()  # it tells of the signers that refused


@case(deaths=True, seconds=120)
def reload_that_loses_a_new_process(lab):
    """kill -9 of a process of the new generation before it is ready: the reload goes on with another."""
    with Load(lab, "clinician", EHR, threads=1, timeout=5) as load:
        for _ in range(4):
            old = set(children(lab))
            answer = []
            thread = threading.Thread(target=lambda: answer.append(lab.gateway.reload()), daemon=True)
            thread.start()
            fresh = wait_for(lambda: set(children(lab)) - old, 10, "a new process", 0.0005)
            for pid in fresh:
                os.kill(pid, signal.SIGKILL)
            thread.join(40)
            check(answer and answer[0][0] == 0, answer)
    check(not load.failures(), load.failures()[:3])
    equal(lab.gateway.reload()[0], 0)
    steady(lab)


@case(seconds=120)
def reloads_that_meet(lab):
    """Asked for while one is under way, a reload is not lost, and nobody gets another one's answer."""
    answers = []
    for number in range(6):
        lab.gateway.configure({"clinic": {"deny": [UNKNOWN] if number % 2 else []}})
        threads = [threading.Thread(target=lambda: answers.append(lab.gateway.reload()), daemon=True)
                   for _ in range(3)]
        for thread in threads:
            thread.start()
        lab.gateway.process.popen.send_signal(signal.SIGHUP)
        for thread in threads:
            thread.join(40)
    check(all(status == 0 for status, _, _ in answers) and len(answers) == 18, answers)
    steady(lab)
    equal(lab.curl("clinician", "https://%s/plain.txt" % UNKNOWN).status, 403,
          "the last configuration is in force")


@case(seconds=240)
def many_reloads_leave_nothing_behind(lab):
    """Descriptors and memory of the parent, zombies, and the log: every number once, none missing."""
    number = int(os.environ.get("LAB_RELOADS", "100")) // 2
    fds = "/proc/%d/fd" % lab.gateway.process.pid
    lab.collector.clear()
    with Load(lab, "clinician", EHR, threads=1, timeout=5) as load:
        for _ in range(3):
            lab.gateway.reload()
        steady(lab)
        # Twice: an old process that is just going has lost its link before it is gone.
        time.sleep(1)
        steady(lab)
        before, memory = len(os.listdir(fds)), resident(lab.gateway.process.pid)
        for turn in range(number):
            if turn % 3:
                equal(lab.gateway.reload()[0], 0)
            else:
                lab.gateway.process.popen.send_signal(signal.SIGHUP)
                time.sleep(0.05)
        equal(lab.gateway.reload()[0], 0)
    check(not load.failures(), load.failures()[:3])
    steady(lab)
    lab.gateway.ask("status")
    # An old worker that waits for its peers' goodbye still has its link: a leak would stay.
    wait_for(lambda: len(os.listdir(fds)) <= before, 15, lambda: "descriptors of the parent: %d, then %d" % (
        before, len(os.listdir(fds))))
    grown = resident(lab.gateway.process.pid) - memory
    check(grown < 2048 or sanitized(lab), "the parent grew by %d kB" % grown)
    equal(lab.gateway.stop(), 0)
    wanted = len(load.outcomes)
    wait_for(lambda: len(lab.collector.records(event="allow", host=EHR)) >= wanted, 5,
             lambda: "a line for each of %d requests; %d" % (
                 wanted, len(lab.collector.records(event="allow", host=EHR))))
    seen = [int(record["seq"]) for record in lab.collector.records()]
    equal(len(set(seen)), len(seen), "numbers that came twice: %r" % sorted(
        n for n in set(seen) if seen.count(n) > 1)[:5])


def sanitized(lab):
    """A sanitizer keeps freed memory for a while."""
    with open("/proc/%d/maps" % lab.gateway.process.pid, encoding="utf-8") as file:
        return "libasan" in file.read()


def resident(pid):
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
        return int(re.search(r"VmRSS:\s+([0-9]+)", file.read())[1])


@case({"process": {"workers": 40}, "timeouts": {"drain": "20s"}}, seconds=180)
def reload_of_many_workers_drains_them_all(lab):
    """More workers than the least number of processes that may drain: none is ended for that."""
    lab.gateway.mark_log()
    equal(lab.gateway.reload()[0], 0)
    check("ended" not in lab.gateway.log(), lab.gateway.log()[-500:])


@case(seconds=120)
def reload_changes_what_is_opened(lab):
    """Ports, the state folder, the log's target and the number of workers, and back again."""
    call(lab)
    first = lab.gateway.text()
    with Load(lab, "clinician", EHR, threads=1, timeout=5) as load:
        lab.gateway.configure({
            'listen "transparent"': {"port": 8543}, 'listen "explicit"': {"port": 8090},
            "log": {"to": "udp://127.0.0.1:5140"}, "network": {"mark": 0x5e5, "route-table": 5445},
            "process": {"workers": 3, "state-directory": lab.gateway.state + "/other"}})
        equal(lab.gateway.reload()[0], 0)
        steady(lab, 3)
        reached(lab, lab.curl("other", "--proxy", "http://%s:8090" % GATEWAY_LAN4, "https://%s/" % EHR))
        check(lab.curl("other", "--proxy", "http://%s:8080" % GATEWAY_LAN4,
                       "https://%s/" % EHR).exit != 0, "the old port is open")
        blocked(lab, lab.curl("clinician", "-H", "Sec-Fetch-Mode: navigate", "-H",
                              "Sec-Fetch-Dest: document", "-H", "Sec-Fetch-Site: none",
                              "https://%s/plain.txt" % UNKNOWN), "unverified-destination")
        lab.gateway.write(first)
        equal(lab.gateway.reload()[0], 0)
        steady(lab, 2)
    check(not load.failures(), load.failures()[:3])
    rules = lab.network.run("gateway", "ip", "rule", "show")
    check("0x5e5" not in rules and rules.count("0x5e4") == 1, rules)


@case()
def rules_are_the_same_after_reloads(lab):
    def listed():
        return lab.network.run("gateway", "nft", "-s", "list", "table", "inet", "sekisho")
    before = listed()
    check("no listener: fail closed" in before, before)
    for _ in range(3):
        equal(lab.gateway.reload()[0], 0)
    equal(listed(), before)
    lab.gateway.configure({"network": {"lan": ["br-lan", "eth77"]}})
    equal(lab.gateway.reload()[0], 0, "an interface that is not there yet")
    check("eth77" in listed(), listed())


# --- deaths ---

@case(deaths=True, seconds=60)
def one_registry_at_a_time(lab):
    """The parent is killed and started again while the old registry says its last: no number twice."""
    lab.gateway.supervise()
    with Load(lab, "clinician", EHR, timeout=5):
        for _ in range(4):
            mark = len(lab.gateway.told)
            os.kill(lab.gateway.process.pid, signal.SIGKILL)
            wait_for(lambda: any("READY=1" in told for told in lab.gateway.told[mark:]), 10, "READY=1")
            time.sleep(0.3)
    time.sleep(0.5)
    seen = [int(record["seq"]) for record in lab.collector.records()]
    equal(len(set(seen)), len(seen), "numbers twice: %r" % sorted(
        n for n in set(seen) if seen.count(n) > 1)[:5])
    lab.gateway.supervised = False


@case(deaths=True)
def call_that_begins_without_a_registry(lab):
    """A sign that a worker saw while the registry was dead reaches the next one, and so all workers."""
    os.kill(lab.gateway.pids("registry")[0], signal.SIGKILL)
    reached(lab, lab.curl("clinician", "https://call.telemed.example/room/1"))
    lab.collector.wait(5, event="consultation-on")
    time.sleep(0.2)
    for _ in range(8):
        equal(lab.curl("phone", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document",
                       "-H", "Sec-Fetch-Site: none", "https://%s/plain.txt" % UNKNOWN).status, 403)


# --- starting ---

def service():
    path = os.path.join(REPOSITORY, "firmware", "sekishod.service.in")
    with open(path, encoding="utf-8") as file:
        return dict(line.split("=", 1) for line in file.read().splitlines()
                    if "=" in line and not line.startswith("#"))


@case(start=False)
def starts_with_the_rights_of_its_unit(lab):
    """The capabilities, limits and no_new_privs of the systemd unit are enough."""
    if os.geteuid() != 0 or not lab.gateway._may_separate():
        raise Skip("only root has rights to give up")
    unit = service()
    wanted = ",".join("+" + name[4:].lower() for name in unit["CapabilityBoundingSet"].split())
    equal(unit["LimitMEMLOCK"], "infinity")
    locks = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] == resource.RLIM_INFINITY
    lab.gateway.launch = [*(["prlimit", "--memlock=unlimited"] if locks else []), "setpriv",
                          "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all," + wanted]
    lab.gateway.configure({"process": {"control-group": "daemon"},
                           'listen "explicit"': {"address": ["127.0.0.1"], "port": 808}})
    lab.gateway.start()
    reached(lab, lab.curl("clinician", "https://%s/" % EHR))
    equal(lab.gateway.reload()[0], 0)
    log = lab.gateway.log()
    unrelated = ["this build is under a sanitizer"] + ([] if locks else ["memory is not locked"])
    warnings = [line for line in log.splitlines() if "warning" in line
                and not any(text in line for text in unrelated)]
    check(not warnings, log)
    socket = os.stat(lab.gateway.control_socket)
    equal(stat.S_IMODE(socket.st_mode), 0o660)
    folder = os.path.join(lab.gateway.state, "registry")
    owner = pwd.getpwnam("_sekisho-registry").pw_uid
    for path in [folder] + [os.path.join(folder, name) for name in os.listdir(folder)]:
        facts = os.stat(path)
        equal((facts.st_uid, stat.S_IMODE(facts.st_mode) & 0o077), (owner, 0), path)
    for role in ("signer", "worker", "registry", "examiner", "fetcher"):
        with open("/proc/%d/status" % lab.gateway.pids(role)[0], encoding="ascii") as file:
            text = file.read()
        check(re.search(r"CapEff:\s+0+\n", text) and re.search(r"CapPrm:\s+0+\n", text)
              and "Groups:\t \n" in text, role, text)


@case(start=False)
def refuses_to_start_without_its_users(lab):
    if os.geteuid() != 0 or not lab.gateway._may_separate():
        raise Skip("without root all run as one user")
    table = os.path.join(lab.gateway.folder, "passwd")
    with open("/etc/passwd", encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("_sekisho"))
    with open(table, "w", encoding="utf-8") as file:
        file.write(text)
    lab.gateway.launch = ["unshare", "--mount", "sh", "-c",
                          "mount --bind %s /etc/passwd && exec \"$@\"" % table, "sh"]
    status, log = lab.gateway.run_once()
    equal(status, 1, log)
    check("there is no user _sekisho-signer" in log, log)
    lab.gateway.process = None


@case(start=False)
def background_start_tells_how_it_went(lab):
    """Without -f the command ends when everything works, or with 1."""
    def start():
        return subprocess.run([*lab.network.prefix("gateway"), lab.gateway.daemon, "-c", "sekisho.conf"],
                              cwd=lab.gateway.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=errors, timeout=30, check=False).returncode
    os.makedirs(lab.gateway.state, exist_ok=True)
    good = lab.gateway.text()
    with open(os.path.join(lab.gateway.folder, "errors"), "wb") as errors:
        lab.gateway.write(good + "clinic {\n")
        equal(start(), 1)
        lab.gateway.configure({"tls": {"ca-key": other_ca(lab)}})
        equal(start(), 1)
        lab.gateway.write(good)
        equal(start(), 0)
    pid = next(p["pid"] for p in lab.gateway.processes() if p["role"] == "parent")
    try:
        equal(len(lab.gateway.pids("worker")), 2)
        reached(lab, lab.curl("clinician", "https://%s/" % EHR))
        equal(lab.gateway.reload()[0], 0, "with a relative path")
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not os.path.exists("/proc/%d" % pid), 10, "the end of the daemon")


@case(start=False)
def starts_before_its_address_is_there(lab):
    """At boot the LAN may not be up: an explicit listener waits for its address, the rules do not."""
    lab.gateway.configure({'listen "explicit"': {"address": ["127.0.0.1", "192.168.10.99"]}})
    lab.gateway.start()
    check("192.168.10.99" in lab.gateway.log(), lab.gateway.log())
    lab.network.run("gateway", "ip", "address", "add", "192.168.10.99/24", "dev", "br-lan")
    try:
        reached(lab, lab.curl("other", "--proxy", "http://192.168.10.99:8080", "https://%s/" % EHR))
    finally:
        lab.network.run("gateway", "ip", "address", "del", "192.168.10.99/24", "dev", "br-lan")


# --- the control program ---

@case()
def what_sekisho_says(lab):
    """Exit statuses, and JSON where it is asked for."""
    run = lambda *words: lab.gateway.sekisho(*words, check=False)
    number = lab.gateway.ask("status")
    check(number["ok"], number)
    lab.gateway.configure({"clinic": {"deny": [UNKNOWN]}})
    equal(lab.gateway.reload()[0], 0)
    record = blocked(lab, lab.curl("clinician", "https://%s/plain.txt?secret=1" % UNKNOWN),
                     "denied-destination", page=False)
    typed = record["incident"].replace("-", "").replace("#", "")
    typed = "#" + (typed[:-3] + "-" + typed[-3:] if len(typed) > 3 else "0-" + typed)
    status, out, err = run("release", typed, "--for", "30m", "--reason", "r", "--by", "b", "--json")
    equal(status, 0, out, err)
    release = json.loads(out)["release"]
    equal((release["host"], release["scope"], str(release["incident"])),
          (UNKNOWN, "url", record["incident"].replace("-", "").replace("#", "")))
    status, out, err = run("release", "999-999", "--for", "30m", "--reason", "r", "--by", "b")
    equal(status, 1, out, err)
    check("no incident" in err, err)
    equal(run("config", "--defaults", "--json")[0], 2)
    status, out, _ = run("ca", "export", "--json")
    equal(status, 0)
    check(json.loads(out)["certificate"].startswith("-----BEGIN CERTIFICATE-----"), out[:80])
    status, out, err = run("--socket", "/nonexistent", "status", "--json")
    equal(status, 3, err)
    check(json.loads(out)["ok"] is False and "does not run" in json.loads(out)["error"], out)
    # a relative control socket counts from the configuration's folder, wherever one stands
    text = lab.gateway.text().replace(lab.gateway.control_socket, "control")
    lab.gateway.write(text)
    equal(run("status")[0], 0)


@case()
def check_knows_what_the_signer_will_say(lab):
    """A key that does not belong to the CA is a mistake that `sekisho check` finds."""
    lab.gateway.configure({"tls": {"ca-key": other_ca(lab)}})
    status, out, err = lab.gateway.sekisho("check", check=False)
    equal(status, 1, out, err)
    check("does not belong to the key" in err, err)


@case()
def check_knows_that_codes_cannot_be_read(lab):
    """Without ZBar the daemon does not start."""
    library = [path for path in glob.glob("/usr/lib/*/libzbar.so.0") if os.path.exists(path)]
    check(library, "no libzbar")
    hide = "for path in %s; do mount --bind /dev/null $path || exit 9; done; " % " ".join(library)
    done = subprocess.run(["unshare", "-m", "sh", "-c", hide + 'exec "$@"', "sh", lab.gateway.program,
                           "-c", lab.gateway.path, "check"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    check(done.returncode == 1 and "QR codes cannot be read: " in done.stderr, done)
    equal(lab.gateway.sekisho("check", check=False)[0], 0)


@case(start=False)
def nothing_of_a_query_is_kept(lab):
    """Not in the log, not in the daemon's own, not in the state folder."""
    lab.gateway.configure({"clinic": {"deny": [UNKNOWN]}})
    lab.gateway.start()
    for host in (UNKNOWN, EHR):
        for scheme in ("http", "https"):
            lab.curl("clinician", "%s://%s/plain.txt?q=nevertobekept#orthis" % (scheme, host))
    lab.curl("other", "--proxy", "http://%s:8080" % GATEWAY_LAN4,
             "http://%s/x?q=nevertobekept" % UNKNOWN)
    lab.collector.wait(event="block")
    equal(lab.gateway.stop(), 0)
    check("nevertobekept" not in "\n".join(lab.collector.lines()) + lab.gateway.log(), "in a log")
    for folder, _, names in os.walk(lab.gateway.state):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                check(b"nevertobekept" not in file.read(), name)
    shutil.rmtree(lab.gateway.state, ignore_errors=True)
    lab.gateway.start()
