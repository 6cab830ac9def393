# SPDX-License-Identifier: BSD-2-Clause
#
# The gateway under test: its configuration as a table that a case changes, its start (ready when it
# says so by sd_notify), a supervisor as systemd would be, and what its own log must never hold.

import copy
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from network import CLIENTS, GATEWAY_LAN4, GATEWAY_LAN6
from origins import DNS_NUMBER, HERE
from network import origin4, origin6
from processes import LabError, wait_for
from records import Collector

REPOSITORY = os.path.dirname(os.path.dirname(HERE))
USERS = ("_sekisho-signer", "_sekisho-worker", "_sekisho-registry", "_sekisho-examiner",
         "_sekisho-portal", "_sekisho-fetcher")
ROOM = "診察室1"
DENIED = ("shorteners", "link-in-bio", "free-hosting", "doh", "private-relay", "mdca")
SYSTEM = ("updates", "certificates", "captive-portals")

SERVICES = """
service "telemed" {
    title = "遠隔診療ラボ"
    inspect = { "call.telemed.example", "cdn.telemed.example", "chat.telemed.example" }
    call = { "call.telemed.example" }
    chat = { "call.telemed.example", "chat.telemed.example" }
    attachments = { "files.telemed.example" }
    reviewed = "2026-11-01"
    policy-url = "https://call.telemed.example/policy"
}
service "splice" {
    title = "通すだけのサービス"
    splice = { "media.splice.example", "web.splice.example" }
    reviewed = "2026-11-01"
    policy-url = "https://media.splice.example/policy"
}
"""

# What a sanitizer, the C library or the daemon itself says when something is broken.
FAULTS = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|"
                    r"SUMMARY: |Assertion .* failed|\*\*\* .* detected \*\*\*|ended with signal|"
                    r"ended with status (?!0)")


def quoted(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(quoted(v) for v in value) + " }"
    if isinstance(value, int):
        return str(value)
    return '"%s"' % str(value).replace("\\", "\\\\").replace('"', '\\"')


class Gateway:
    def __init__(self, lab, build):
        self.lab, self.build = lab, build
        self.folder = os.path.join(lab.folder, "gateway")
        self.path = os.path.join(self.folder, "sekisho.conf")
        self.state = os.path.join(self.folder, "state")
        self.control_socket = os.path.join(self.folder, "control")
        self.ca = os.path.join(self.folder, "ca", "ca.pem")
        self.root = os.path.join(self.folder, "ca", "root.pem")  # what devices are given
        self.process = None
        self.supervised = False
        self.restarts = 0
        self.launch = []   # words before the program: prlimit and the like
        self._supervisor = None
        self._notify = None
        self.told = []     # what it said by sd_notify
        self._log_mark = 0
        os.makedirs(self.folder, exist_ok=True)

    @property
    def daemon(self):
        return os.path.join(self.build, "sekishod")

    @property
    def program(self):
        return os.path.join(self.build, "sekisho")

    # --- configuration ---

    def defaults(self):
        lists = os.path.join(REPOSITORY, "conf", "lists")
        return {
            "network": {"lan": ["br-lan"], "resolvers": [origin4(DNS_NUMBER)],
                        "dns": [origin4(DNS_NUMBER), origin6(DNS_NUMBER)]},
            'listen "transparent"': {"address": ["127.0.0.1", "::1"], "port": 8443},
            'listen "explicit"': {"address": [GATEWAY_LAN4, GATEWAY_LAN6, "127.0.0.1"], "port": 8080},
            'room "%s"' % ROOM: {"clients": [CLIENTS["clinician"][2]]},
            "clinic": {"name": "ラボ診療所", "contact": "内線 100",
                       "allow": ["ehr.example-clinic.jp", "files.example.net", "labo.example.jp",
                                 "*.example-clinic.jp"],
                       "files": ["pdf from labo.example.jp"]},
            "policy": {"linger": "10min",
                       "denied": [os.path.join(lists, name + ".txt") for name in DENIED],
                       "system": [os.path.join(lists, name + ".txt") for name in SYSTEM]},
            "tls": {"ca-certificate": self.ca, "ca-key": self.ca[:-len("ca.pem")] + "ca-key.pem",
                    "never-inspect": [os.path.join(lists, "never-inspected.txt")],
                    "trust": self.lab.certificates.root},
            "log": {"to": "tcp://127.0.0.1:%d" % Collector.PORT},
            "process": {"workers": 2, "separate-users": self._may_separate(),
                        "state-directory": self.state, "control-socket": self.control_socket,
                        "pages": os.path.join(REPOSITORY, "conf", "pages")},
        }

    @staticmethod
    def _may_separate():
        """Only a real root can become somebody else; in a user namespace there is nobody else."""
        with open("/proc/self/uid_map", encoding="ascii") as file:
            whole = file.read().split() == ["0", "0", "4294967295"]
        if not whole:
            return False
        for user in USERS:
            try:
                pwd.getpwnam(user)
            except KeyError:
                return False
        return True

    def configure(self, changes=None, services=SERVICES, tail=""):
        """Writes the configuration. `changes`: {section: {option: value, or None to leave it out}}."""
        sections = copy.deepcopy(self.defaults())
        for section, options in (changes or {}).items():
            if options is None:
                sections.pop(section, None)
                continue
            sections.setdefault(section, {}).update(options)
        folder = os.path.join(self.folder, "services")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "lab.conf"), "w", encoding="utf-8") as file:
            file.write(services)
        lines = []
        for section, options in sections.items():
            lines.append(section + " {")
            lines += ["    %s = %s" % (name, quoted(value))
                      for name, value in options.items() if value is not None]
            lines.append("}")
        lines.append('include("services/lab.conf")')
        self.write("\n".join(lines) + "\n" + tail)

    def write(self, text):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self.path + ".new", self.path)

    def text(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def make_ca(self):
        """By the gateway's own command, once a run."""
        if os.path.exists(self.ca):
            return
        os.makedirs(os.path.dirname(self.ca), exist_ok=True)
        self.configure()
        self.sekisho("ca", "init", "--clinic", "ラボ診療所")
        if not os.path.exists(self.ca):
            raise LabError("`sekisho ca init` made no " + self.ca)
        self.sekisho("ca", "export", "--output", self.root)

    # --- life ---

    def start(self, seconds=30):
        """Starts it and waits until it says READY=1."""
        if not os.path.exists(self.daemon):
            raise LabError("there is no %s: build first, or give BUILD" % self.daemon)
        os.makedirs(self.state, exist_ok=True)
        self._listen_notify()
        mark = len(self.told)
        self._spawn()
        self._await("READY=1", mark, seconds)

    def _listen_notify(self):
        """Takes what the daemon tells its supervisor, all the while: nobody waits for a full queue."""
        if self._notify is not None:
            return
        path = os.path.join(self.folder, "notify")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(path)
        os.chmod(path, 0o666)

        def listen():
            while True:
                self.told.append(self._notify.recv(4096).decode(errors="replace"))
        threading.Thread(target=listen, daemon=True).start()

    def _spawn(self):
        env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": os.path.join(self.folder, "notify"),
               "LANG": "C.UTF-8"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        if self.process:
            self.lab.processes.forget(self.process)
        self.process = self.lab.processes.start(
            "gateway", "sekishod", [*self.launch, self.daemon, "-f", "-c", self.path], env=env)

    def _await(self, word, mark, seconds):
        """Until it said this after the mark; the mark for what comes next."""
        def told():
            for number, text in enumerate(self.told[mark:], mark):
                if word in text:
                    return number + 1
            if not self.process.alive():
                raise LabError("sekishod ended with %s before it said %s: %s" % (
                    self.process.popen.returncode, word, self.log()[-2000:]))
            return 0
        return wait_for(told, seconds, lambda: "%s; it says: %s" % (word, self.log()[-2000:]), 0.005)

    def run_once(self, seconds=20):
        """Starts it where it is expected to refuse. (exit status, its log)."""
        self.mark_log()
        os.makedirs(self.state, exist_ok=True)
        self._spawn()
        try:
            status = self.process.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.stop()
            status = None
        return status, self.log()

    def supervise(self):
        """From now on it is started again when it dies, 0.1 s later, as by Restart=always."""
        self.supervised = True

        def watch():
            while self.supervised:
                if not self.process.alive():
                    time.sleep(0.1)
                    if not self.supervised:
                        return
                    self.restarts += 1
                    self._spawn()
                time.sleep(0.02)
        self._supervisor = threading.Thread(target=watch, daemon=True)
        self._supervisor.start()

    def stop(self, seconds=10):
        """A clean stop: the exit status."""
        self.supervised = False
        if self._supervisor:
            self._supervisor.join(2)
            self._supervisor = None
        if self.process is None:
            return 0
        status = self.process.stop(seconds)
        self.lab.processes.forget(self.process)
        self.process = None
        return status

    def reset(self):
        """Stopped, its rules gone, its state folder and log empty: ready for the next case."""
        self.stop()
        self.launch = []
        self.restarts = 0
        self.lab.network.run("gateway", "sh", "-c",
                             "nft delete table inet sekisho 2>/dev/null;"
                             "ip rule del fwmark 0x5e4 2>/dev/null; ip -6 rule del fwmark 0x5e4 2>/dev/null;"
                             "ip route flush table 5444 2>/dev/null; ip -6 route flush table 5444 2>/dev/null; true")
        for folder in (self.state,):
            shutil.rmtree(folder, ignore_errors=True)
        self.mark_log()

    # --- what it says ---

    def mark_log(self):
        path = os.path.join(self.lab.processes.folder, "sekishod.log")
        self._log_mark = os.path.getsize(path) if os.path.exists(path) else 0

    def log(self):
        path = os.path.join(self.lab.processes.folder, "sekishod.log")
        if not os.path.exists(path):
            return ""
        with open(path, "rb") as file:
            file.seek(self._log_mark)
            return file.read().decode(errors="replace")

    def faults(self, deaths=False):
        """Lines of its log that no case may leave behind; `deaths`: this case kills processes itself."""
        found = [line for line in self.log().splitlines() if FAULTS.search(line)]
        if deaths:
            found = [line for line in found if "ended with signal 9" not in line]
        return found

    # --- control ---

    def sekisho(self, *words, check=True):
        """Runs the control program. (exit status, output, errors) with check=False, else the output."""
        done = subprocess.run(
            [*self.lab.network.prefix("gateway"), self.program, "-c", self.path, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
            check=False)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if not check:
            return done.returncode, out, err
        if done.returncode != 0:
            raise AssertionError("sekisho %s: exit %d: %s%s" % (
                " ".join(words), done.returncode, out[-500:], err[-1000:]))
        return out

    def ask(self, *words):
        return json.loads(self.sekisho(*words, "--json"))

    def processes(self, role=None):
        """[{role, slot, pid, state ...}] as `sekisho status` tells."""
        return [p for p in self.ask("status")["processes"] if role in (None, p["role"])]

    def pids(self, role):
        if role == "parent":
            return [self.process.pid]
        return [p["pid"] for p in self.processes(role) if p.get("state", "ready") == "ready"]

    def reload(self, by="control", seconds=20):
        if by == "control":
            return self.sekisho("reload", check=False)
        mark = len(self.told)
        self.process.popen.send_signal(signal.SIGHUP)
        # A READY=1 of the reload before may still be on its way: the one after RELOADING=1 counts.
        mark = self._await("RELOADING=1", mark, seconds)
        self._await("READY=1", mark, seconds)
        return None
