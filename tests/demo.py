# SPDX-License-Identifier: BSD-2-Clause
#
# The demonstration behind tests/demo.sh: a scripted consultation with Chromium and curl as clients,
# one row for everything that is tried, screenshots of what a person sees; then, with --serve, the
# same little internet to click through by oneself.

import html
import http.server
import os
import shutil
import signal
import socket
import socketserver
import sys
import threading
import time
import unicodedata

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lab"))

from browser import Browser, available  # noqa: E402
from case import NAVIGATE  # noqa: E402
from lab import Lab, LabError, build_folder, enter  # noqa: E402
from network import GATEWAY_LAN4, GATEWAY_WAN4, GATEWAY_WAN6  # noqa: E402
from processes import wait_for  # noqa: E402
from certificates import fingerprint  # noqa: E402

CALL = "https://call.telemed.example/room/1"
LINK = "https://www.patient-link.example/present?x=1"
EHR = "https://ehr.example-clinic.jp/"
LINGER = 4
PROXY_PORT, PAGE_PORT = 8080, 8081


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(rows):
    heads = ("#", "who", "tried", "what happened", "rule", "incident", "right")
    rows = [heads] + [(str(n), *row) for n, row in enumerate(rows, 1)]
    widths = [max(width(row[i]) for row in rows) for i in range(len(heads))]
    lines = []
    for number, row in enumerate(rows):
        lines.append("  ".join(cell + " " * (widths[i] - width(cell)) for i, cell in enumerate(row)).rstrip())
        if number == 0:
            lines.append("  ".join("-" * w for w in widths))
    return "\n".join(lines)


class Demo:
    def __init__(self, lab, screens):
        self.lab, self.screens, self.rows, self.wrong = lab, screens, [], 0
        os.makedirs(screens, exist_ok=True)

    def row(self, who, tried, happened, record, good):
        reason = record.get("reason", "") if record else ""
        rule = record.get("rule", "") if record else ""
        if rule:
            reason += " (%s)" % os.path.basename(rule)
        self.wrong += not good
        self.rows.append((who, tried, happened, reason or "-", (record or {}).get("incident", "-"),
                          "yes" if good else "NO"))
        print("  %-10s %s: %s" % (who, tried, happened), flush=True)

    def record(self, event, **wanted):
        """The newest record of this kind, or None; what came before is then forgotten."""
        try:
            record = self.lab.collector.wait(4, event=event, **wanted)
        except AssertionError:
            record = None
        self.lab.collector.clear()
        return record

    def blocked(self, who, tried, reached, **wanted):
        record = self.record("block", **wanted)
        good = record is not None and not reached
        self.row(who, tried, "stopped, a page explains" if good else "GOT THROUGH", record, good)

    def passed(self, who, tried, good, how="works", **wanted):
        record = self.record("allow", **wanted) if wanted else None
        self.row(who, tried, how if good else "FAILED", record, good)

    def screen(self, browser, name):
        browser.screenshot(os.path.join(self.screens, name + ".png"))

    # --- the consultation ---

    def clinician(self):
        with Browser(self.lab, "clinician") as browser:
            browser.get(CALL)
            on = wait_or_none(lambda: browser.text("#state") == "通話中", 10)
            self.passed("clinician", "opens the call page, the call begins", on, host="call.telemed.example")
            self.screen(browser, "1-call")
            self.record("consultation-on")

            browser.click("#patient-link", new_window=True)
            self.blocked("clinician", "clicks the patient's link in the chat", "REACHED" in browser.source(),
                         host="www.patient-link.example")
            self.screen(browser, "2-patient-link")

            browser.get(LINK)
            self.blocked("clinician", "pastes the same address", "REACHED" in browser.source(),
                         host="www.patient-link.example")
            self.screen(browser, "3-pasted")

            browser.get("https://bit.ly/3xYzAbC")
            self.blocked("clinician", "opens a short link (bit.ly)", "REACHED" in browser.source(), host="bit.ly")
            self.screen(browser, "4-short-link")

            with Browser(self.lab, "phone", language="en") as phone:
                phone.get(LINK)
                self.blocked("phone", "scans the patient's QR code (same address)",
                             "REACHED" in phone.source(), host="www.patient-link.example")
                self.screen(phone, "5-phone")

            browser.get(EHR)
            self.passed("clinician", "opens the electronic record", browser.text("#ehr") == "電子カルテ",
                        host="ehr.example-clinic.jp")
            self.screen(browser, "6-record")

            browser.get("https://files.example.net/setup.pdf")
            self.blocked("clinician", "opens a .pdf that is a program", False, host="files.example.net")
            self.screen(browser, "7-false-pdf")
            self.file("setup.exe", "downloads a program from an allowed host")
            self.file("records.zip", "downloads a file that nobody listed")
            answer = self.lab.curl("clinician", "https://labo.example.jp/real.pdf")
            self.passed("clinician", "downloads a result (pdf) that is listed", answer.status == 200,
                        host="labo.example.jp")
            self.splice()
            self.udp()
            self.untouched()
            self.release()
            browser.first_window()
            self.passed("clinician", "the call is still on", browser.text("#state") == "通話中"
                        and int(browser.text("#beats") or 0) > 3, "works, %s s" % browser.text("#beats"))

    def file(self, name, tried):
        answer = self.lab.curl("clinician", *NAVIGATE, "https://files.example.net/" + name)
        self.blocked("clinician", tried, answer.status != 403, host="files.example.net")

    def splice(self):
        echo = self.lab.misbehaving["echo"]
        echo.clear()
        self.lab.wire.clear()
        from tlsclient import client_hello
        sock = self.lab.network.connect("clinician", self.lab.address(echo.host), 443)
        sent = client_hello(echo.host) + os.urandom(1 << 20)
        got = bytearray()

        def read():
            while len(got) < len(sent):
                data = sock.recv(1 << 16)
                if not data:
                    return
                got.extend(data)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        sock.sendall(sent)
        sock.shutdown(1)
        reader.join(15)
        sock.close()
        same = bytes(got) == sent
        attempts = self.lab.wire.attempts(self.lab.address(echo.host), self.lab.address(echo.host, 6))
        self.passed("clinician", "media of a spliced service, 1 MB both ways",
                    same and len(echo.connections) == len(attempts) == 1, "bytes identical, 1 connection")
        self.lab.collector.clear()

    def udp(self):
        udp = self.lab.network.datagram("phone", self.lab.address(self.lab.quiet.host), 443, timeout=2)
        udp.send(b"x" * 1200)
        try:
            udp.recv(10)
            how = "GOT THROUGH"
        except ConnectionRefusedError:
            how = "refused at once (ICMP)"
        except socket.timeout:
            how = "no answer"
        self.row("phone", "QUIC (UDP/443) to go around the proxy", how, None, how.startswith("refused"))

    def release(self):
        self.lab.curl("clinician", *NAVIGATE, LINK)
        record = self.record("block", host="www.patient-link.example")
        if not record:
            self.row("manager", "releases an incident", "there is none", None, False)
            return
        self.lab.gateway.sekisho("release", record["incident"], "--for", "3s", "--reason", "検査結果の確認",
                                 "--by", "院長")
        answer = self.lab.curl("clinician", *NAVIGATE, LINK)
        self.passed("manager", "releases it for 3 s, with name and reason", answer.status == 200,
                    "opens", reason="released")
        time.sleep(3.5)
        answer = self.lab.curl("clinician", *NAVIGATE, LINK)
        self.blocked("clinician", "the release has ended", answer.status != 403,
                     host="www.patient-link.example")

    def afterwards(self):
        # The call page is closed; its last connection may linger in the browser for a moment.
        ended = wait_or_none(lambda: self.lab.collector.records(event="consultation-off"), LINGER + 10)
        self.lab.collector.clear()
        answer = self.lab.curl("clinician", *NAVIGATE, LINK)
        self.passed("clinician", "the same link, %d s after the call has ended" % LINGER,
                    bool(ended) and answer.status == 200, "opens, inspected", host="www.patient-link.example")

    def untouched(self):
        """What the patient's site saw while the consultation was on: nothing."""
        seen = self.lab.origins.requests("www.patient-link.example")
        short = self.lab.wire.attempts(*(self.lab.address("bit.ly", f) for f in (4, 6)))
        self.passed("-", "what the patient's site and bit.ly have seen", not seen and not short, "nothing")


def wait_or_none(condition, seconds):
    try:
        return wait_for(condition, seconds, "")
    except AssertionError:
        return None


# --- to try by oneself ---

class Page(http.server.BaseHTTPRequestHandler):
    """The page that says what to do, and the CA to enrol. On the loopback of this machine alone."""

    content, certificates = "", b""

    def do_GET(self):  # noqa: N802 - the name is the library's
        if self.path == "/ca.pem":
            kind, body = "application/x-x509-ca-cert", self.certificates
        elif self.path == "/":
            kind, body = "text/html; charset=utf-8", self.content.encode()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def relay(lab, client):
    """One connection to the proxy, made from the LAN host `other`, so that it has a client's address."""
    try:
        proxy = lab.network.connect("other", GATEWAY_LAN4, 8080)
    except OSError:
        client.close()
        return

    def copy(source, target):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    back = threading.Thread(target=copy, args=(proxy, client), daemon=True)
    proxy.settimeout(None)
    back.start()
    copy(client, proxy)
    back.join()
    client.close()
    proxy.close()


def listen(lab):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", PROXY_PORT))
    listener.listen(128)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=relay, args=(lab, client), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


TRY = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sekisho: try it</title>
<style>body{font-family:sans-serif;max-width:46em;margin:2em auto;line-height:1.6}code,pre{background:#eee}
pre{padding:1em;overflow:auto}</style></head><body>
<h1>Sekisho, to try by yourself</h1>
<ol>
<li>Use a browser profile of its own with the proxy <code>127.0.0.1:%(port)d</code>, for instance
<pre>chromium --user-data-dir=/tmp/sekisho-try --proxy-server=http://127.0.0.1:%(port)d</pre></li>
<li>Enrol the clinic's CA of this demonstration in that profile alone: <a href="/ca.pem">ca.pem</a>
(SHA-256 <code>%(fingerprint)s</code>). Remove it afterwards. Firefox: Settings, Certificates, Import.</li>
<li>Open <a href="%(call)s">%(call)s</a>: the call is on as long as the page is open. Then click the patient's
links in its chat, or paste <code>%(link)s</code>.</li>
<li>Open <a href="%(ehr)s">%(ehr)s</a>: an allowed site. Try
<a href="https://files.example.net/setup.pdf">a .pdf that is a program</a> and
<a href="https://files.example.net/setup.exe">a program</a>.</li>
<li>Close the call: %(linger)d s later unknown sites open again.</li>
</ol>
<p>Only these sites exist; there is no way to the real internet. Ctrl-C in the terminal ends everything.</p>
</body></html>
"""


def serve(lab):
    listen(lab)
    with open(lab.gateway.root, "rb") as file:
        Page.certificates = file.read()
    Page.content = TRY % {"port": PROXY_PORT, "call": CALL, "link": html.escape(LINK), "ehr": EHR,
                          "linger": LINGER, "fingerprint": fingerprint(lab.gateway.root)}
    server = Server(("127.0.0.1", PAGE_PORT), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("\nproxy: 127.0.0.1:%d    what to do: http://127.0.0.1:%d/    Ctrl-C ends it"
          % (PROXY_PORT, PAGE_PORT), flush=True)
    try:
        while lab.gateway.process.alive():
            time.sleep(1)
        print("the daemon has ended: %s" % lab.gateway.log()[-500:])
    except KeyboardInterrupt:
        print()


def consultation(lab, screens):
    demo = Demo(lab, screens)
    print("\na consultation:", flush=True)
    demo.clinician()
    demo.afterwards()
    print("\n" + table(demo.rows))
    shots = sorted(os.listdir(screens))
    print("\nscreenshots: %s (%s)" % (screens, ", ".join(shots)))
    print("the gateway's own addresses %s and %s are all that an origin saw" % (GATEWAY_WAN4, GATEWAY_WAN6))
    return demo.wrong


def main():
    enter()
    reason = available()
    if reason:
        print("demo: " + reason)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    build = build_folder()
    screens = os.path.join(build, "demo")
    shutil.rmtree(screens, ignore_errors=True)
    wrong = 1
    try:
        print("raising the clinic's LAN, the gateway and the internet ...", flush=True)
        with Lab(build) as lab:
            lab.gateway.make_ca()
            lab.gateway.configure({"policy": {"linger": "%ds" % LINGER}})
            lab.gateway.start()
            lab.fresh()
            wrong = consultation(lab, screens)
            if "--serve" in sys.argv[1:]:
                serve(lab)
            lab.keep_logs(os.path.join(build, "demo", "logs"))
    except KeyboardInterrupt:
        return 130
    except (LabError, AssertionError) as error:
        print("demo: %s" % error)
        return 1
    if wrong:
        print("%d rows are not as they should be" % wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
