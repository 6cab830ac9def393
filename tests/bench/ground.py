# SPDX-License-Identifier: BSD-2-Clause
#
# What the measurements stand on: the lab's three hosts without its cases, an nginx origin that says who
# came, a resolver, a collector that is never read, and the rules that lead the client's
# connections to a gateway that has none of its own.

import collections
import contextlib
import json
import os
import random
import socket
import time

from certificates import Certificates
from gateway import Gateway
from network import CLIENTS, Network, origin4, run
from origins import DNS_NUMBER
from processes import Processes, wait_for
from records import Collector

CLIENT = "clinician"
CLIENT4 = CLIENTS[CLIENT][0]
INSPECTED, SPLICED = "inspect.bench.example", "splice.bench.example"
CHAT = "chat.bench.example"   # what it sends is looked through for links
NUMBERS = {INSPECTED: 40, SPLICED: 41, CHAT: 42}
SMALL, BIG = "1k.txt", "100m.bin"
SMALL_BODY = (b"consultation " * 79)[:1024]
BIG_SIZE = 100 * 1000 * 1000
# A chat's history, as JSON and as plain text: one link in each message.
SAYING = "先生、こんにちは。昨日からの咳が続いています。Please see https://photo%d.example.jp/album/%d?id=%d です。"
HISTORY_SIZE = 16 * 1000 * 1000
HISTORIES = {"json": "history.json", "text": "history.txt"}
PORT = 8443   # of every gateway
MARK, TABLE = 0xbe, 1190
FLUSH = 0.1   # seconds after which nginx has written its access log

ORIGIN = """
worker_processes auto;
daemon off;
user root;
pid {folder}/origin.pid;
error_log stderr warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8000; }}
http {{
    types {{ text/plain txt; application/json json; }}
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 120s;
    keepalive_requests 100000000;
    log_format who "$remote_addr $status";
    access_log {folder}/access.log who buffer=64k flush={flush}ms;
    client_body_temp_path {folder}/origin-body;
    proxy_temp_path {folder}/origin-proxy;
    fastcgi_temp_path {folder}/origin-fastcgi;
    uwsgi_temp_path {folder}/origin-uwsgi;
    scgi_temp_path {folder}/origin-scgi;
    ssl_protocols TLSv1.3;
    {servers}
}}
"""
SERVER = """
    server {{
        server_name {host};
        listen {address}:443 ssl http2 backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/site;
    }}
"""
# What the lab's own gateway does with netlink, for those that leave it to the administrator.
RULES = {
    "tproxy": """
table ip bench {{
    chain intercept {{
        type filter hook prerouting priority mangle; policy accept;
        iifname "br-lan" tcp dport 443 meta mark set {mark} tproxy to 127.0.0.1:{port} accept
        iifname "br-lan" tcp dport 443 drop
    }}
}}
""",
    "redirect": """
table ip bench {{
    chain intercept {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname "br-lan" tcp dport 443 redirect to :{port}
    }}
}}
""",
}


def history(kind):
    """The same few hundred links again and again, as a history that is fetched again and again has them."""
    texts = [SAYING % (n % 7, n, n * n) for n in range(400)]
    if kind == "json":
        texts = [json.dumps({"id": n, "from": "patient", "at": 1793500000 + n, "text": text})
                 for n, text in enumerate(texts)]
    block = ("\n".join(texts) + "\n").encode()
    return (block * (HISTORY_SIZE // len(block) + 1))[:HISTORY_SIZE]


class Ground:
    """Has what gateway.Gateway asks of a lab."""

    def __init__(self, folder, build):
        self.folder, self.build = folder, build
        os.chmod(folder, 0o755)  # the roles of the daemon are other users
        self.network = Network(folder)
        self.processes = Processes(self.network, os.path.join(folder, "log"))
        self.access_log = os.path.join(folder, "access.log")

    def __enter__(self):
        try:
            self._up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

    def down(self):
        self.processes.stop_all()
        self.network.down()

    def _up(self):
        self.certificates = Certificates(os.path.join(self.folder, "certificates"))
        # The gateways' own CA: a client that trusts it alone sees whether a gateway inspects.
        self.clinic = Certificates(os.path.join(self.folder, "clinic"))
        self.network.up([*NUMBERS.values(), DNS_NUMBER])
        for host in ("gateway", "internet", CLIENT):
            # Thousands of connections a second meet in TIME_WAIT otherwise, and that is measured.
            self.network.run(host, "sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=1024 65000",
                             "net.ipv4.tcp_tw_reuse=1", "net.core.somaxconn=4096")
            with contextlib.suppress(RuntimeError):
                # Where the machine's default is BBR its estimates move the figures more than the gateways.
                self.network.run(host, "sysctl", "-q", "-w", "net.ipv4.tcp_congestion_control=cubic")
        self._origin()
        self._resolver()
        with self.network.on("gateway"):
            # Everybody logs a line for each request to it; the kernel drops what it cannot hold.
            self.collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.collector.bind(("127.0.0.1", Collector.PORT))
        self.gateway = Gateway(self, self.build)

    def _origin(self):
        site = os.path.join(self.folder, "site")
        os.makedirs(site)
        with open(os.path.join(site, SMALL), "wb") as file:
            file.write(SMALL_BODY)
        block = random.Random(11).randbytes(1000 * 1000)
        with open(os.path.join(site, BIG), "wb") as file:
            for _ in range(BIG_SIZE // len(block)):
                file.write(block)
        for kind, name in HISTORIES.items():
            with open(os.path.join(site, name), "wb") as file:
                file.write(history(kind))
        servers = ""
        for host, number in NUMBERS.items():
            certificate, key = self.certificates.good(host)
            servers += SERVER.format(host=host, address=origin4(number), certificate=certificate,
                                     key=key, folder=self.folder)
        path = self.write("origin.conf", ORIGIN.format(
            folder=self.folder, flush=int(FLUSH * 1000), servers=servers))
        nginx = self.processes.start("internet", "origin", ["nginx", "-e", "stderr", "-p", self.folder,
                                                            "-c", path])
        self.await_port("internet", origin4(NUMBERS[INSPECTED]), 443, nginx)

    def _resolver(self):
        """As in the lab, the mount is seen by the bench alone."""
        lines = ["no-resolv", "no-hosts", "bind-interfaces", "local-ttl=300", "user=root",
                 "group=root", "listen-address=" + origin4(DNS_NUMBER), "pid-file=", "no-daemon",
                 "address=/#/"]
        # One family: which of two the load generator would take is not what is measured.
        lines += ["host-record=%s,%s" % (host, origin4(number)) for host, number in NUMBERS.items()]
        path = self.write("dnsmasq.conf", "\n".join(lines) + "\n")
        dnsmasq = self.processes.start("internet", "dnsmasq", ["dnsmasq", "-C", path])
        self.await_port("internet", origin4(DNS_NUMBER), 53, dnsmasq)
        path = self.write("resolv.conf", "nameserver %s\n" % origin4(DNS_NUMBER))
        run("mount", "--bind", path, os.path.realpath("/etc/resolv.conf"))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def await_port(self, host, address, port, process, seconds=15):
        def answers():
            if not process.alive():
                raise RuntimeError("%s ended with %s: %s" % (
                    process.name, process.popen.returncode, process.output()[-600:].strip()))
            try:
                self.network.connect(host, address, port, 1).close()
                return True
            except OSError:
                return False
        wait_for(answers, seconds, lambda: "%s answers: %s" % (process.name, process.output()[-600:]))

    # --- who leads the connections to the gateway ---

    def lead(self, how):
        """Every connection of the LAN to port 443 goes to PORT on the gateway."""
        self.network.run("gateway", "nft", "-f", "-",
                         input=RULES[how].format(mark=MARK, port=PORT).encode())
        if how == "tproxy":
            self.network.run("gateway", "ip", "rule", "add", "fwmark", str(MARK), "table", str(TABLE))
            self.network.run("gateway", "ip", "route", "add", "local", "default", "dev", "lo", "table",
                             str(TABLE))

    def leave(self):
        """They are forwarded again."""
        self.network.run("gateway", "sh", "-c",
                         "nft delete table ip bench 2>/dev/null; ip rule del fwmark %d 2>/dev/null;"
                         "ip route flush table %d 2>/dev/null; true" % (MARK, TABLE))

    # --- who came to the origin ---

    def visitors(self):
        """{address: requests} since the last call; requests that did not get a 200 count as "bad"."""
        time.sleep(2.5 * FLUSH)
        seen = collections.Counter()
        with open(self.access_log, "r+b") as file:
            for line, count in collections.Counter(file.read().splitlines()).items():
                address, status = line.decode(errors="replace").split()
                seen[address if status == "200" else "bad"] += count
            file.truncate(0)  # nginx appends
        return seen

