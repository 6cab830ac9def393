# SPDX-License-Identifier: BSD-2-Clause
#
# The gateways that are compared: one table, and how each is configured, started and stopped. All
# verify the origin where they end TLS, log one line a request (or a connection) to the
# same collector, and use the cores that they use by default; Squid is one process by design.

import os
import shutil

from ground import CHAT, INSPECTED, NUMBERS, PORT, SPLICED
from network import GATEWAY_LAN4, origin4
from origins import DNS_NUMBER
from processes import LabError
from records import Collector

LOG = "127.0.0.1:%d" % Collector.PORT

HAPROXY = """
global
    log {log} local0
    maxconn 4000
defaults
    log global
    timeout connect 10s
    timeout client 120s
    timeout server 120s
    timeout http-keep-alive 120s
"""
HAPROXY_SPLICE = HAPROXY + """
frontend lan
    mode tcp
    option tcplog
    bind 0.0.0.0:{port} transparent
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend origin if {{ req.ssl_sni -i {spliced} }}
backend origin
    mode tcp
    option splice-auto
    server origin {spliced4}:443
"""
HAPROXY_BRIDGE = HAPROXY + """
frontend lan
    mode http
    option httplog
    bind 0.0.0.0:{port} transparent ssl crt {pair} alpn h2,http/1.1
    acl inspected ssl_fc_sni -i {inspected}
    use_backend origin2 if inspected {{ ssl_fc_alpn h2 }}
    use_backend origin1 if inspected
backend origin1
    mode http
    http-reuse never
    server origin {inspected4}:443 ssl verify required ca-file {trust} sni str({inspected}) verifyhost {inspected} alpn http/1.1
backend origin2
    mode http
    http-reuse never
    server origin {inspected4}:443 ssl verify required ca-file {trust} sni str({inspected}) verifyhost {inspected} alpn h2
"""

NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes auto;
daemon off;
user root;
pid {folder}/gateway.pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8000; }}
"""
NGINX_SPLICE = NGINX + """
stream {{
    map $ssl_preread_server_name $origin {{ {spliced} {spliced4}:443; }}
    log_format line '$remote_addr $ssl_preread_server_name $status $bytes_sent';
    access_log syslog:server={log} line;
    server {{
        listen {port} backlog=4096;
        ssl_preread on;
        proxy_pass $origin;
        proxy_timeout 120s;
    }}
}}
"""
NGINX_BRIDGE = NGINX + """
http {{
    access_log syslog:server={log};
    keepalive_timeout 120s;
    keepalive_requests 100000000;
    proxy_temp_path {folder}/gateway-proxy;
    client_body_temp_path {folder}/gateway-body;
    fastcgi_temp_path {folder}/gateway-fastcgi;
    uwsgi_temp_path {folder}/gateway-uwsgi;
    scgi_temp_path {folder}/gateway-scgi;
    upstream origin {{
        server {inspected4}:443;
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen {port} ssl http2 backlog=4096;
        server_name {inspected};
        ssl_certificate {pair};
        ssl_certificate_key {pair};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass https://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_max_temp_file_size 0;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {trust};
            proxy_ssl_server_name on;
            proxy_ssl_name {inspected};
        }}
    }}
}}
"""

SQUID = """
http_port 127.0.0.1:3129
https_port 0.0.0.0:{port} tproxy ssl-bump tls-cert={pair} generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
spoof_client_ip deny all
sslcrtd_program /usr/lib/squid/security_file_certgen -s {folder}/certgen -M 4MB
tls_outgoing_options default-ca=off cafile={trust} min-version=1.2
dns_nameservers {resolver}
acl step1 at_step SslBump1
{rules}
http_access allow all
cache deny all
access_log udp://{log} squid
cache_log stdio:/dev/stderr
cache_store_log none
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir {folder}
shutdown_lifetime 0 seconds
visible_hostname bench
"""


class Peer:
    """One way from client to origin. `treatment`: direct, splice or inspect."""

    treatment = "direct"
    title = note = ""
    process = None
    knows_chats = False
    speaks_http2 = True  # or what it splices does

    def __init__(self, ground):
        self.ground = ground
        self.host = SPLICED if self.treatment == "splice" else INSPECTED

    @property
    def trust(self):
        """The only CA that the client trusts here: it tells whether the gateway inspects."""
        if self.treatment == "inspect":
            return self.ground.clinic.root
        return self.ground.certificates.root

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def start(self):
        pass

    def stop(self):
        pass


class Configured(Peer):
    """A program with one configuration file, to which the bench's own rules lead."""

    text = ""
    lead = "tproxy"
    address = "127.0.0.1"

    def command(self, path):
        raise NotImplementedError

    def words(self):
        return {"log": LOG, "port": PORT, "folder": self.ground.folder, "inspected": INSPECTED,
                "spliced": SPLICED, "inspected4": origin4(NUMBERS[INSPECTED]),
                "spliced4": origin4(NUMBERS[SPLICED]), "trust": self.ground.certificates.root,
                "resolver": origin4(DNS_NUMBER), "pair": self.pair()}

    def pair(self):
        """A certificate for the host, and its key, in one file."""
        certificate, key = self.ground.clinic.paths(INSPECTED)
        if not os.path.exists(certificate):
            self.ground.clinic.good(INSPECTED)
        return self.join(certificate, key)

    @staticmethod
    def join(certificate, key):
        path = certificate[:-len(".pem")] + ".pair"
        if not os.path.exists(path):
            text = ""
            for part in (certificate, key):
                with open(part, encoding="ascii") as file:
                    text += file.read()
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        return path

    def prepare(self):
        pass

    def start(self):
        self.prepare()
        path = self.ground.write(self.name + ".conf", self.text.format(**self.words()))
        self.process = self.ground.processes.start("gateway", self.name, self.command(path))
        self.ground.await_port("gateway", self.address, PORT, self.process)
        self.ground.lead(self.lead)

    def stop(self):
        self.ground.leave()
        if self.process:
            self.process.stop()
            self.ground.processes.forget(self.process)
            self.process = None


class Haproxy(Configured):
    def command(self, path):
        return ["haproxy", "-db", "-f", path]


class Nginx(Configured):
    lead = "redirect"  # its listening sockets cannot be transparent
    address = GATEWAY_LAN4

    def command(self, path):
        return ["nginx", "-e", "stderr", "-p", self.ground.folder, "-c", path]


class Squid(Configured):
    text = SQUID

    def words(self):
        # After a peek Squid asks its helper for every certificate again, 6 ms each; a bump in the first
        # step finds it in memory, at the price of asking the origin without a name. The faster counts.
        rules = "ssl_bump bump all" if self.treatment == "inspect" else \
            "ssl_bump peek step1\nssl_bump splice all"
        return {**super().words(), "rules": rules}

    def pair(self):
        """It signs by itself: the CA with its key."""
        return self.join(self.ground.clinic.root, self.ground.clinic.root[:-len(".pem")] + ".key")

    def prepare(self):
        folder = os.path.join(self.ground.folder, "certgen")
        if not os.path.exists(folder):
            self.ground.network.run("gateway", "/usr/lib/squid/security_file_certgen", "-c", "-s",
                                    folder, "-M", "4MB")
            try:
                self.ground.network.run("gateway", "chown", "-R", "proxy:proxy", folder)
            except RuntimeError as error:
                shutil.rmtree(folder)
                raise RuntimeError("Squid becomes the user proxy, which only a real root can do") from error

    def command(self, path):
        return ["squid", "-N", "-f", path]


class Sekisho(Peer):
    """As it is installed: its own rules, its lists, every exchange logged."""

    SERVICES = """
service "bench" {
    splice = { "%s" }
    inspect = { "%s" }
    chat = { "%s" }
    reviewed = "2026-11-01"
    policy-url = "https://%s/"
}
""" % (SPLICED, CHAT, CHAT, SPLICED)

    @property
    def knows_chats(self):
        return self.treatment == "inspect"

    @property
    def trust(self):
        return self.ground.gateway.root if self.treatment == "inspect" else super().trust

    @property
    def pid(self):
        return self.ground.gateway.process.pid

    def start(self):
        gateway = self.ground.gateway
        gateway.reset()
        gateway.make_ca()
        gateway.configure({"clinic": {"allow": [INSPECTED], "files": ["* from " + INSPECTED]},
                           "log": {"to": "udp://" + LOG}, "process": {"workers": 0},
                           "timeouts": {"idle": "120s"}}, self.SERVICES)
        try:
            gateway.start()
        except LabError as error:
            raise RuntimeError(str(error)) from error

    def stop(self):
        self.ground.gateway.reset()


class Direct(Peer):
    name, title = "direct", "direct forwarding"


def row(base, name, treatment, title, note="", **more):
    return type(name, (base,), {"name": name, "treatment": treatment, "title": title, "note": note, **more})


PEERS = [
    Direct,
    row(Haproxy, "haproxy-splice", "splice", "HAProxy, splice-auto", "TPROXY", text=HAPROXY_SPLICE),
    row(Nginx, "nginx-splice", "splice", "nginx stream, ssl_preread", "by NAT redirect", text=NGINX_SPLICE),
    row(Squid, "squid-splice", "splice", "Squid, peek and splice", "TPROXY, one process"),
    row(Sekisho, "sekisho-splice", "splice", "Sekisho, splice", "TPROXY"),
    row(Haproxy, "haproxy-bridge", "inspect", "HAProxy, TLS bridge",
        "TPROXY, fixed certificate, own connection to the origin for each", text=HAPROXY_BRIDGE),
    row(Nginx, "nginx-bridge", "inspect", "nginx, TLS bridge",
        "by NAT redirect, fixed certificate, pooled connections to the origin: few handshakes there; "
        "HTTP/2 on the client's side only",
        text=NGINX_BRIDGE),
    row(Squid, "squid-bump", "inspect", "Squid, SslBump", "TPROXY, one process, makes certificates; no HTTP/2",
        speaks_http2=False),
    row(Sekisho, "sekisho-inspect", "inspect", "Sekisho, inspect",
        "TPROXY, makes certificates, judges and logs every exchange"),
]
