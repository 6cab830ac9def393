# SPDX-License-Identifier: BSD-2-Clause
#
# The lab: real clients and servers in network namespaces with the gateway between them. Everything
# lives in a mount and PID namespace of its own: whatever happens to this program, the kernel ends
# what it started and takes the networks away. Without root a user namespace gives the same.

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from bypass import Trap
from certificates import Certificates
from chat import Chat
from consultation import Consultation
from gateway import Gateway
from misbehaving import KINDS, Quiet
from network import Network, Wire, run
from origins import DNS_NUMBER, HOSTS, NUMBERS, Origins, addresses
from network import origin4
from processes import LabError, Processes
from records import Collector

ENTERED = "SEKISHO_LAB_FOLDER"  # set inside: the folder of the run
UNAVAILABLE = 77  # exit status of a test that cannot be run here


def enter():
    """Runs this program again in namespaces of its own. Returns there, and there only."""
    if ENTERED in os.environ:
        return
    # A user's own PATH has no sbin on Debian.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        words[1:1] = ["--user", "--map-root-user"]
    probe = [*words, "--net", "sh", "-c", "ip link add lab0 type veth peer name lab1 && "
             "nft add table inet lab && sysctl -q -w net.ipv4.ip_forward=1"]
    done = subprocess.run(probe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        reason = done.stdout.decode(errors="replace").strip().replace("\n", "; ")
        if os.environ.get("CI") == "true":
            print("not ok lab: this machine gives no network namespaces: %s" % reason)
            sys.exit(1)
        print("skip lab: this machine gives no network namespaces: %s" % reason)
        sys.exit(UNAVAILABLE)
    folder = tempfile.mkdtemp(prefix="sekisho-lab-")
    # The shell is the namespace's init: it buries what outlives its parents.
    inner = subprocess.Popen([*words, "sh", "-c", '"$@"; exit $?', "sh", sys.executable, *sys.argv],
                             env={**os.environ, ENTERED: folder})
    signal.signal(signal.SIGTERM, lambda *_: inner.kill())
    status = None
    while status is None:
        try:
            status = inner.wait()
        except KeyboardInterrupt:  # the one inside has got it too, and tidies up
            try:
                status = inner.wait(15)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                inner.kill()
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status if status >= 0 else 128 - status)


class Answer:
    """What curl got."""

    def __init__(self, exit_status, facts, head, body, errors):
        self.exit, self.head, self.body, self.errors = exit_status, head, body, errors
        self.facts = facts
        self.status = facts.get("http_code", 0)
        self.seconds = facts.get("time_total", 0.0)
        self.connects = facts.get("num_connects", 0)

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def field(self, name):
        """The last header field of that name, or None."""
        values = [line.split(":", 1)[1].strip() for line in self.head.splitlines()
                  if line.lower().startswith(name.lower() + ":")]
        return values[-1] if values else None

    def __repr__(self):
        return "curl exit %d, status %d%s, body %r" % (
            self.exit, self.status, ", " + self.errors.strip() if self.errors else "", self.body[:120])


class Lab:
    def __init__(self, build):
        self.build = build
        self.folder = os.environ[ENTERED]
        # Other users (the roles of the daemon) pass through it.
        os.chmod(self.folder, 0o755)
        self.network = Network(self.folder)
        self.processes = Processes(self.network, os.path.join(self.folder, "log"))
        self.misbehaving = {}
        self.quiet = None
        self.wire = None
        self._chat = None
        self._consultation = None
        self._trap = None
        self._count = itertools.count()

    def up(self):
        self.certificates = Certificates(os.path.join(self.folder, "certificates"))
        self.network.up(NUMBERS)
        self._resolver()
        self.origins = Origins(self)
        self.origins.start()
        for host, (_, server, kind) in HOSTS.items():
            if server == "python":
                self.misbehaving[kind] = KINDS[kind](self, host)
        self.quiet = Quiet(self, "unknown.example.org")
        self.collector = Collector(self)
        self.collector.start()
        self.wire = Wire(self.network)
        self.gateway = Gateway(self, self.build)
        return self

    def _resolver(self):
        """The clients ask the lab's DNS; the mount is seen by the lab alone."""
        path = os.path.join(self.folder, "resolv.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("nameserver %s\noptions timeout:2 attempts:2\n" % origin4(DNS_NUMBER))
        run("mount", "--bind", path, os.path.realpath("/etc/resolv.conf"))

    @property
    def chat(self):
        """What is behind the chat host, started when a case first needs it."""
        if self._chat is None:
            self._chat = Chat(self)
        return self._chat

    @property
    def consultation(self):
        """The rooms and the relay of a real call, started when a case first needs them."""
        if self._consultation is None:
            self._consultation = Consultation(self)
        return self._consultation

    @property
    def trap(self):
        """The far side of the attempts to get around the gateway."""
        if self._trap is None:
            self._trap = Trap(self)
        return self._trap

    def down(self):
        if getattr(self, "gateway", None):
            self.gateway.stop()
        for origin in self.misbehaving.values():
            origin.close()
        if self.quiet:
            self.quiet.close()
        if self.wire:
            self.wire.close()
        self.processes.stop_all()
        self.network.down()

    def keep_logs(self, target):
        """Copies the logs to where a person looks for them: the run's own folder goes away."""
        os.makedirs(target, exist_ok=True)
        logs = self.processes.folder
        for path in (*(os.path.join(logs, name) for name in os.listdir(logs)), self.collector.path,
                     self.origins.access_log, self.gateway.path):
            if os.path.exists(path):
                shutil.copy(path, target)

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *_):
        self.down()

    def fresh(self):
        """Between cases: nothing seen yet, the misbehaving origins as they were at first."""
        self.origins.clear()
        self.wire.clear()
        self.collector.clear()
        self.quiet.clear()
        if self._chat:
            self._chat.clear()
        for origin in self.misbehaving.values():
            origin.clear()
            for name in ("stage", "reset", "answer", "piece", "pause", "hold"):
                origin.__dict__.pop(name, None)

    # --- clients ---

    def trust(self, which):
        """A CA file: of the clinic's CA, of the internet's, or of both as an enrolled client has them."""
        if which == "internet":
            return self.certificates.root
        if which == "clinic":
            return self.gateway.root
        path = os.path.join(self.folder, "both.pem")
        if not os.path.exists(path):
            text = ""
            for part in (self.certificates.root, self.gateway.root):
                if not os.path.exists(part):
                    return self.certificates.root  # no gateway in this run yet
                with open(part, encoding="ascii") as file:
                    text += file.read()
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        return path

    def curl(self, client, *words, trust="both", seconds=20):
        """One run of curl on a client. Certificates are always verified."""
        base = os.path.join(self.folder, "curl-%d" % next(self._count))
        command = [*self.network.prefix(client), "curl", "--silent", "--show-error",
                   "--max-time", str(seconds), "--cacert", self.trust(trust), "--noproxy", "",
                   "--dump-header", base + ".head", "--output", base + ".body",
                   "--write-out", "%{json}", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
                              timeout=seconds + 10, check=False)
        parts = []
        for end in (".head", ".body"):
            try:
                with open(base + end, "rb") as file:
                    parts.append(file.read())
                os.unlink(base + end)
            except FileNotFoundError:
                parts.append(b"")
        # One object for each URL; the last one is what the answer tells.
        objects = done.stdout.decode(errors="replace").replace("}{", "}\n{").splitlines()
        facts = json.loads(objects[-1]) if objects else {}
        return Answer(done.returncode, facts, parts[0].decode("latin-1"), parts[1],
                      done.stderr.decode(errors="replace"))

    def address(self, host, family=4):
        return addresses(host)[0 if family == 4 else 1]


def build_folder():
    return os.path.abspath(os.environ.get("BUILD", "build"))


__all__ = ["Lab", "LabError", "enter", "build_folder", "UNAVAILABLE"]
