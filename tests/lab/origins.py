# SPDX-License-Identifier: BSD-2-Clause
#
# The lab's internet: names (dnsmasq), sites (nginx over TLS and on port 80), and the files they
# hand out. One table says which host has which address; the certificates, the DNS answers and the
# server blocks are made from it. The origins that misbehave on purpose are in misbehaving.py.

import contextlib
import io
import json
import os
import random
import shutil
import signal
import ssl
import struct
import time
import zipfile
import zlib

import chat
import consultation
from network import CLIENTS, GATEWAY_LAN4, GATEWAY_LAN6, GATEWAY_WAN4, origin4, origin6
from processes import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
DNS_NUMBER = 53
PORTAL = "sekisho.home.arpa"  # as the clinic's own resolver would answer (sekisho dns-config)
NOWHERE = 99  # an address on which nobody listens: the absent resolver

# host: (last part of its addresses, who serves it, folder or behaviour)
HOSTS = {
    "call.telemed.example": (10, "nginx", "telemed"),
    "cdn.telemed.example": (11, "nginx", "cdn"),
    "files.telemed.example": (12, "nginx", "files"),
    "chat.telemed.example": (13, "nginx", "chat"),
    consultation.ROOM: (14, "nginx", "call"),
    consultation.TURN: (15, "coturn", "started by the cases that need it"),
    "ehr.example-clinic.jp": (20, "nginx", "ehr"),
    "files.example.net": (21, "nginx", "files"),
    "labo.example.jp": (22, "nginx", "files"),
    "crl.example-ca.jp": (23, "lists.py", "started by the cases that need it"),
    "updates.example.jp": (24, "misbehaving.py", "started by the cases that need it"),
    "www.patient-link.example": (30, "nginx", "patient"),
    "unknown.example.org": (31, "nginx", "files"),
    "evil.example.org": (90, "nginx", "files"),  # the trap of bypass.py, with all below it
    "dns.google": (54, "nginx", "files"),
    "bit.ly": (50, "nginx", "redirect"),
    "www.google.co.jp": (51, "nginx", "redirector"),
    "media.splice.example": (60, "python", "echo"),
    "web.splice.example": (61, "nginx", "ehr"),
    "expired.example-clinic.jp": (70, "nginx", "ehr"),
    "wrong.example-clinic.jp": (71, "nginx", "ehr"),
    "self.example-clinic.jp": (72, "nginx", "ehr"),
    "stubborn.example-clinic.jp": (80, "python", "stubborn"),
    "closing.example-clinic.jp": (81, "python", "closing"),
    "hostile.example-clinic.jp": (82, "python", "hostile"),
    "changing.example-clinic.jp": (86, "openssl", "started by the cases that need it"),
    "faults.example-clinic.jp": (87, "endpoint", "started by the cases that need it"),
    "shared.example-clinic.jp": (84, "nginx", "files"),  # TOGETHER with the next one
    "apart.example-clinic.jp": (84, "nginx", "files"),
    "streams.example-clinic.jp": (83, "nghttpd", "started by the cases that need it"),
}
BAD_CERTIFICATES = {
    "expired.example-clinic.jp": lambda c: c.expired("expired.example-clinic.jp"),
    "wrong.example-clinic.jp": lambda c: c.wrong_host("wrong.example-clinic.jp",
                                                      "elsewhere.example-clinic.jp"),
    "self.example-clinic.jp": lambda c: c.self_signed("self.example-clinic.jp"),
}
BELOW = {"evil.example.org", "faults.example-clinic.jp"}  # every name below has the same addresses and certificate
TOGETHER = ("shared.example-clinic.jp", "apart.example-clinic.jp")  # in one certificate
NUMBERS = sorted({number for number, _, _ in HOSTS.values()} | {DNS_NUMBER})


def address4(host):
    return origin4(HOSTS[host][0])


def address6(host):
    return origin6(HOSTS[host][0])


def addresses(host):
    return address4(host), address6(host)


# --- the files ---

def portable_executable():
    """The smallest thing that is plainly a Windows program: MZ, and a PE header where it points."""
    head = bytearray(b"MZ" + b"\0" * 58 + struct.pack("<I", 0x80))
    head += b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21This program cannot be run in DOS mode.\r\n$"
    head += b"\0" * (0x80 - len(head))
    head += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0xf0, 0x22) + b"\0" * 4096
    return bytes(head)


def archive(**entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in entries.items():
            zipped.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def lzh():
    name = b"karte.txt"
    body = b"x" * 16
    head = b"-lh0-" + struct.pack("<IIIBB", len(body), len(body), 0x5a21b3c4, 0x20, 0)
    head += bytes([len(name)]) + name + struct.pack("<H", 0)
    return bytes([len(head), sum(head) & 255]) + head + body + b"\0"


def iso():
    image = bytearray(36 * 2048)
    image[32768:32768 + 7] = b"\x01CD001\x01"
    return bytes(image)


def png():
    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body
                + struct.pack(">I", zlib.crc32(kind + body)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0\x33\x66\x99")) + chunk(b"IEND", b""))


PDF = (b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>"
       b"endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\n"
       b"trailer<</Root 1 0 R>>\n%%EOF\n")
CONTENT_TYPES = "<?xml version='1.0'?><Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"

# path: (bytes, declared type, download name or None)
FILES = {
    "index.html": (b"<!DOCTYPE html><title>files</title><h1>FILES-PAGE-REACHED</h1>\n", "text/html", None),
    "plain.txt": (b"plain text\n", "text/plain", None),
    "logo.png": (png(), "image/png", None),
    "real.pdf": (PDF, "application/pdf", "real.pdf"),
    "setup.pdf": (portable_executable(), "application/pdf", None),
    "setup.exe": (portable_executable(), "application/x-msdownload", "setup.exe"),
    "notes.txt": (portable_executable(), "text/plain", None),
    "photo.jpg": (portable_executable(), "image/jpeg", None),
    "octets": (portable_executable(), "application/octet-stream", "receipt.pdf"),
    "program.elf": (b"\x7fELF\x02\x01\x01" + b"\0" * 57, "application/octet-stream", "tool"),
    "records.zip": (archive(**{"karte.txt": "x" * 400}), "application/zip", "records.zip"),
    "records.lzh": (lzh(), "application/octet-stream", "records.lzh"),
    "disk.iso": (iso(), "application/octet-stream", "disk.iso"),
    "letter.docm": (archive(**{"[Content_Types].xml": CONTENT_TYPES, "word__document.xml": "<w/>",
                               "word__vbaProject.bin": "x" * 64}),
                    "application/vnd.ms-word.document.macroEnabled.12", "letter.docm"),
    "letter.docx": (archive(**{"[Content_Types].xml": CONTENT_TYPES, "word__document.xml": "<w/>"}),
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                    "letter.docx"),
    "run.vbs": (b'MsgBox "x"\r\n', "text/plain", "run.vbs"),
    "open.url": (b"[InternetShortcut]\r\nURL=https://www.patient-link.example/\r\n",
                 "application/octet-stream", "open.url"),
    "page.hta": (b"<html><hta:application id=x></html>", "application/hta", "page.hta"),
    "apple.mobileconfig": (b"<?xml version='1.0'?><plist><dict><key>PayloadContent</key></dict></plist>",
                           "application/x-apple-aspen-config", "apple.mobileconfig"),
}
BIG = "big.bin"  # random bytes, made at start, compared whole
BIG_SIZE = 5 * 1024 * 1024

NGINX = """
load_module /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so;
worker_processes 1;
daemon off;
user root;
pid {run}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    default_type application/octet-stream;
    types {{ text/html html; application/javascript js; image/png png; }}
    charset utf-8;
    keepalive_timeout 60s;
    keepalive_requests 100000;
    client_max_body_size 64m;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;
    log_format lab escape=json '{{"time":$msec,"client":"$remote_addr","server":"$server_addr","connection":$connection,'
        '"requests":$connection_requests,"host":"$host","sni":"$ssl_server_name","scheme":"$scheme",'
        '"method":"$request_method","uri":"$request_uri","status":$status,'
        '"protocol":"$ssl_protocol","version":"$server_protocol","agent":"$http_user_agent","via":"$http_via",'
        '"forwarded":"$http_x_forwarded_for"}}';
    access_log {run}/access.log lab;
{servers}
}}
"""
SERVER = """
    server {{
        server_name {host};
        listen {ip4}:80;
        listen [{ip6}]:80;
        listen {ip4}:443 ssl{http2};
        listen [{ip6}]:443 ssl{http2};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
{locations}
    }}
"""


def _location(path, body):
    return "        location = /%s { %s }" % (path, body)


def locations_of(kind, root, messages):
    if kind == "redirect":
        return "        location / { return 302 https://www.patient-link.example/present?x=1; }"
    lines = ["        root %s;" % root, "        location / { index index.html; }"]
    if kind == "telemed":
        lines += [_location("", "rewrite ^ /room.html;"),
                  "        location /room/ { rewrite ^ /room.html break; }",
                  "        location /api/ { default_type application/json; "
                  "return 200 '{\"call\":\"通話中\"}'; }"]
    elif kind == "cdn":
        lines.append("        location = /feed { default_type application/json; alias %s/feed; }"
                     % messages)
    elif kind == "chat":
        lines += chat.locations(messages)
    elif kind == "call":
        lines += consultation.locations()
    elif kind == "redirector":
        lines.append("        location /url { return 302 https://ehr.example-clinic.jp/; }")
    elif kind == "patient":
        lines += ["        location /present { rewrite ^ /present.html break; }",
                  "        location /api/ { add_header Access-Control-Allow-Origin *; "
                  "default_type application/json; return 200 '{}'; }"]
    elif kind == "files":
        for name, (_, declared, download) in FILES.items():
            extra = ("add_header Content-Disposition 'attachment; filename=\"%s\"';" % download
                     if download else "")
            lines.append(_location(name, "types { } default_type %s; charset off; %s"
                                   % (declared, extra)))
    lines.append("        location /echo { client_max_body_size 64m; return 200 'echo\\n'; }")
    lines.append("        location /alt { add_header Alt-Svc 'h3=\":443\"; ma=86400'; "
                 "default_type text/plain; return 200 'alt\\n'; }")
    lines.append("        location = /away { return 302 https://evil.example.org/; }")
    lines.append("        location /redirect { return 302 "
                 "https://www.patient-link.example/present?x=1; }")
    return "\n".join(lines)


class Origins:
    def __init__(self, lab):
        self.lab = lab
        self.folder = os.path.join(lab.folder, "internet")
        self.sites = os.path.join(self.folder, "sites")
        self.messages = os.path.join(self.folder, "messages")  # of the chat: see chat.py
        self.access_log = os.path.join(self.folder, "access.log")
        self.big = None
        self.http2 = False  # all of nginx's sites speak it: see speaking_http2()
        self._mark = 0

    def start(self):
        os.makedirs(self.messages, exist_ok=True)
        self._write_sites()
        path = self._write_configuration()
        self._dnsmasq()
        self.nginx = self.lab.processes.start(
            "internet", "nginx", ["nginx", "-e", "stderr", "-p", self.folder, "-c", path])
        wait_for(lambda: self._answers(address4("ehr.example-clinic.jp"), 443), 10,
                 lambda: "nginx: " + self.nginx.output())
        wait_for(lambda: self._answers(origin4(DNS_NUMBER), 53), 10,
                 lambda: "dnsmasq: " + self.dnsmasq.output())

    def _write_configuration(self):
        blocks = []
        for host, (_, server, kind) in HOSTS.items():
            make = BAD_CERTIFICATES.get(host)
            names = [host] + ["*." + host] * (host in BELOW)
            beside = [other for other in TOGETHER if host in TOGETHER and other != host]
            certificate, key = make(self.lab.certificates) if make else \
                self.lab.certificates.good(*names, *beside)
            if server == "nginx":
                blocks.append(SERVER.format(
                    host=" ".join(names), ip4=address4(host), ip6=address6(host), certificate=certificate,
                    key=key, http2=" http2" if self.http2 else "",
                    locations=locations_of(kind, os.path.join(self.sites, kind), self.messages)))
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(NGINX.format(run=self.folder, servers="".join(blocks)))
        return path

    @contextlib.contextmanager
    def speaking_http2(self):
        """While this lasts every site of nginx speaks HTTP/2 to those who offer it."""
        before = self.http2
        self._speak(True)
        try:
            yield
        finally:
            self._speak(before)

    def _speak(self, http2):
        if http2 == self.http2:
            return
        self.http2 = http2
        self._write_configuration()
        self.nginx.popen.send_signal(signal.SIGHUP)
        host = "ehr.example-clinic.jp"
        # For a moment the workers of before accept too: several in a row.
        wait_for(lambda: all(self._negotiates(host) == ("h2" if http2 else "http/1.1")
                             and not time.sleep(0.04) for _ in range(6)), 10,
                 lambda: "nginx: " + self.nginx.output())

    def _negotiates(self, host):
        context = ssl.create_default_context(cafile=self.lab.certificates.root)
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            sock = self.lab.network.connect("internet", address4(host), 443, 2)
            with context.wrap_socket(sock, server_hostname=host) as tls:
                return tls.selected_alpn_protocol()
        except OSError:
            return None

    def _answers(self, address, port):
        try:
            self.lab.network.connect("internet", address, port, 1).close()
            return True
        except OSError:
            return False

    def _write_sites(self):
        shutil.copytree(os.path.join(HERE, "sites"), self.sites, dirs_exist_ok=True)
        files = os.path.join(self.sites, "files")
        os.makedirs(files, exist_ok=True)
        for name, (content, _, _) in FILES.items():
            with open(os.path.join(files, name), "wb") as file:
                file.write(content)
        for site in ("cdn", "ehr"):
            with open(os.path.join(self.sites, site, "logo.png"), "wb") as file:
                file.write(png())
        self.big = random.Random(7).randbytes(BIG_SIZE)
        for site in ("ehr", "files"):
            with open(os.path.join(self.sites, site, BIG), "wb") as file:
                file.write(self.big)

    def _dnsmasq(self):
        path = os.path.join(self.folder, "dnsmasq.conf")
        lines = ["no-resolv", "no-hosts", "bind-interfaces", "local-ttl=5", "user=root", "group=root",
                 "listen-address=" + origin4(DNS_NUMBER), "listen-address=" + origin6(DNS_NUMBER),
                 "pid-file=", "no-daemon", "log-queries", "log-facility=-", "cache-size=0",
                 "address=/#/",
                 # a service record with a key that hides names, and an offer of HTTP/3
                 "dns-rr=hidden.example.org,65,000100000100030268330005000400112233",
                 "dns-rr=hidden.example.org,64,000100000100030268330005000400112233",
                 "host-record=inside.rebind.test,192.168.10.20",
                 "host-record=crl.inside.test,%s,%s" % CLIENTS["phone"][:2],
                 "host-record=crl.itself.test,%s" % GATEWAY_WAN4]
        lines.append("host-record=%s,%s,%s" % (PORTAL, GATEWAY_LAN4, GATEWAY_LAN6))
        for host, (number, _, _) in HOSTS.items():
            lines.append("host-record=%s,%s,%s" % (host, origin4(number), origin6(number)))
        for host in BELOW:
            lines += ["address=/%s/%s" % (host, address) for address in addresses(host)]
            lines.append("address=/gateway.%s/%s" % (host, GATEWAY_LAN4))
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self.dnsmasq = self.lab.processes.start("internet", "dnsmasq", ["dnsmasq", "-C", path])

    # --- what the sites saw ---

    def clear(self):
        """Only what comes after this is shown by requests()."""
        self._mark = os.path.getsize(self.access_log) if os.path.exists(self.access_log) else 0

    def requests(self, host=None, uri=None, least=0):
        """
        What is in the access log. A line is written after the response has left: waits until there
        are `least` of them, and a moment when none is expected.
        """
        if least:
            return wait_for(lambda: (lambda seen: seen if len(seen) >= least else None)(
                self._read(host, uri)), 3, "%d requests to %s in the access log" % (least, host))
        time.sleep(0.05)
        return self._read(host, uri)

    def _read(self, host, uri):
        if not os.path.exists(self.access_log):
            return []
        seen = []
        with open(self.access_log, "rb") as file:
            file.seek(self._mark)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                entry = json.loads(line)
                if (host is None or entry["host"] == host) and \
                        (uri is None or entry["uri"].startswith(uri)):
                    seen.append(entry)
        return seen
