# SPDX-License-Identifier: BSD-2-Clause
#
# The chat of the lab's telemedicine service, behind nginx at chat.telemed.example: messages as files
# (with and without gzip), a small origin that answers in pieces and streams events, WebSocket servers
# with and without permessage-deflate, and Prosody, a chat server that nobody here wrote. The patient
# (python3-slixmpp, in patient.py) talks to Prosody on the internet's side, never through the gateway.

import asyncio
import base64
import contextlib
import html
import http.server
import json
import os
import shutil
import ssl
import sys
import threading
import time

from case import Skip
from network import run
from processes import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "chat.telemed.example"
ORIGIN, PLAIN, DEFLATE, PROSODY_HTTP, PROSODY_CLIENTS = 8101, 8102, 8103, 5280, 5222
STROPHE = "/usr/share/javascript/strophe/strophe.min.js"
PASSWORD = "lab-password"
USERS = ("clinician", "patient")

PROSODY = """
run_as_root = true
data_path = "{folder}/data"
certificates = "{folder}"
log = {{ info = "*console" }}
modules_enabled = {{ "disco", "roster", "saslauth", "ping", "carbons", "websocket" }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
c2s_require_encryption = false
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {clients} }}
http_ports = {{ {http} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ }}
consider_websocket_secure = true
VirtualHost "{host}"
"""


def locations(messages):
    """What nginx does for this host."""
    proxy = ("proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; "
             "proxy_set_header Host $host; proxy_read_timeout 120s; ")
    upgrade = proxy + 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; '
    types = ("types { image/png png; image/jpeg jpg; image/svg+xml svg; image/avif avif; text/plain txt; } "
             "default_type application/json; ")
    lines = ["location /plain/ { alias %s/; %s }" % (messages, types),
             "location /gzip/ { alias %s/; %s gzip on; gzip_min_length 1; gzip_proxied any; "
             "gzip_types application/json text/plain; }" % (messages, types),
             "location /brotli/ { alias %s/; %s brotli on; brotli_min_length 1; brotli_comp_level 9; "
             "brotli_types application/json text/plain; }" % (messages, types),
             "location = /strophe.js { alias %s; }" % STROPHE,
             "location /origin/ { %sproxy_pass http://127.0.0.1:%d; }" % (proxy, ORIGIN),
             "location /ws/ { %sproxy_pass http://127.0.0.1:%d; }" % (upgrade, PLAIN),
             "location /ws-deflate/ { %sproxy_pass http://127.0.0.1:%d; }" % (upgrade, DEFLATE),
             "location /xmpp-websocket { %sproxy_pass http://127.0.0.1:%d; }" % (upgrade, PROSODY_HTTP)]
    return ["        " + line for line in lines]


def message(text, **more):
    """A chat message as such services send it: JSON, slashes escaped as PHP does."""
    body = {"messages": [{"from": "patient", "at": 1793500000, "text": text, **more}]}
    return json.dumps(body, ensure_ascii=False).replace("/", "\\/").encode()


class Reply:
    """What the small origin answers: pieces are bytes, or seconds to wait."""

    def __init__(self, pieces, media="application/json", status=200, **fields):
        self.pieces, self.media, self.status, self.fields = pieces, media, status, fields


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _reply(self, prefix=""):
        self.server.chat.asked.append(self.headers)
        return self.server.chat.replies.get(prefix + self.path.removeprefix("/origin/"))

    def do_GET(self):
        self._answer(self._reply())

    def do_POST(self):
        """Keeps what was posted and tells it back, as a chat shows one's own message; or what
        replies["POST ..."] says."""
        posted = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.chat.posted.append(posted)
        self._answer(self._reply("POST ") or Reply([posted]))

    def _answer(self, reply):
        self.send_response(reply.status if reply else 404)
        if not reply or reply.media:
            self.send_header("Content-Type", reply.media if reply else "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in (reply.fields if reply else {}).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in reply.pieces if reply else []:
                if isinstance(piece, bytes):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                else:
                    time.sleep(piece)
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


class Chat:
    def __init__(self, lab):
        try:
            import websockets  # noqa: F401
        except ImportError:
            raise Skip("python3-websockets is not installed") from None
        self.lab = lab
        self.folder = os.path.join(lab.folder, "prosody")
        self._prosody = None
        self.clear()
        self._origin()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        for port, compression in ((PLAIN, None), (DEFLATE, "deflate")):
            asyncio.run_coroutine_threadsafe(self._listen(port, compression), self._loop).result(10)

    def clear(self):
        self.replies = {}   # of the small origin, by path below /origin/
        self.posted = []    # bodies that it got
        self.asked = []     # header fields of its requests
        self.scripts = {}   # of the WebSocket servers: what a visitor of .../say/NAME is sent; a float waits
        self.closed = []    # codes with which WebSockets ended

    # --- messages in files, and from the small origin ---

    def put(self, name, content):
        """A file below /plain/ and /gzip/."""
        with open(os.path.join(self.lab.origins.messages, name), "wb") as file:
            file.write(content)

    def _origin(self):
        server = _Server(("127.0.0.1", ORIGIN), _Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = self.lab.network.listen("internet", "127.0.0.1", ORIGIN)
        server.server_name, server.server_port = "127.0.0.1", ORIGIN
        server.chat = self
        threading.Thread(target=server.serve_forever, daemon=True).start()

    # --- WebSocket servers ---

    async def _listen(self, port, compression):
        import websockets
        self.__dict__.setdefault("_servers", []).append(await websockets.serve(
            self._serve, sock=self.lab.network.listen("internet", "127.0.0.1", port),
            compression=compression, max_size=None, ping_interval=None))

    async def _serve(self, socket):
        import websockets
        what, _, name = socket.path.lstrip("/").partition("/")[2].partition("/")
        with contextlib.suppress(websockets.ConnectionClosed):
            if what == "say":
                for part in self.scripts[name]:
                    await (asyncio.sleep(part) if isinstance(part, float) else socket.send(part))
            elif what == "close":
                await socket.recv()
                await socket.close(int(name), "so it is")
            async for part in socket:
                await socket.send(part if what != "fragments" else
                                  [part[at:at + 999] for at in range(0, len(part), 999)] or part)
        self.closed.append(socket.close_code)

    def connect(self, client, path, compression=None, protocols=None):
        """async with chat.connect(...) as socket: a WebSocket of that client. Certificates are verified."""
        import websockets
        context = ssl.create_default_context(cafile=self.lab.trust("both"))
        context.set_alpn_protocols(["http/1.1"])
        return websockets.connect(
            "wss://%s%s" % (HOST, path), ssl=context, server_hostname=HOST, compression=compression,
            sock=self.lab.network.connect(client, self.lab.address(HOST), 443), max_size=None,
            subprotocols=protocols,
            ping_interval=None, open_timeout=10, close_timeout=10)

    def hear(self, client, path, count, compression=None):
        """So many messages of what that client is sent there."""
        async def listen():
            async with self.connect(client, path, compression) as socket:
                return [await asyncio.wait_for(socket.recv(), 10) for _ in range(count)]
        return asyncio.run(listen())

    # --- XMPP ---

    def prosody(self):
        """Starts it, once a run."""
        if self._prosody and self._prosody.alive():
            return
        if not shutil.which("prosody") or not os.path.exists(STROPHE):
            raise Skip("prosody or libjs-strophe is not installed")
        os.makedirs(os.path.join(self.folder, "data"), exist_ok=True)
        path = os.path.join(self.folder, "prosody.cfg.lua")
        with open(path, "w", encoding="ascii") as file:
            file.write(PROSODY.format(folder=self.folder, host=HOST, clients=PROSODY_CLIENTS,
                                      http=PROSODY_HTTP))
        # The accounts, as its own storage keeps them: registering takes a second for each.
        accounts = os.path.join(self.folder, "data", HOST.replace(".", "%2e"), "accounts")
        os.makedirs(accounts, exist_ok=True)
        for user in USERS:
            with open(os.path.join(accounts, user + ".dat"), "w", encoding="ascii") as file:
                file.write('return { ["password"] = "%s"; };\n' % PASSWORD)
        self._prosody = self.lab.processes.start("internet", "prosody",
                                                 ["prosody", "-F", "--config", path])
        for port in (PROSODY_CLIENTS, PROSODY_HTTP):
            wait_for(lambda port=port: self._answers(port), 15,
                     lambda: "prosody: " + self._prosody.output()[-1500:])

    def _answers(self, port):
        try:
            self.lab.network.connect("internet", "127.0.0.1", port, 1).close()
            return True
        except OSError:
            return False

    def patient_says(self, *texts):
        """By XMPP, from the internet; back when the server has taken them."""
        run(*self.lab.network.prefix("internet"), sys.executable, os.path.join(HERE, "patient.py"),
            "127.0.0.1:%d" % PROSODY_CLIENTS, "patient@" + HOST, PASSWORD, "clinician@" + HOST, *texts,
            timeout=30)


class Desk:
    """The clinician's chat in a browser: the page of sites/chat with Strophe."""

    def __init__(self, browser):
        self.browser = browser
        error = browser.get("https://%s/" % HOST)
        if error:
            raise AssertionError("the chat page: " + error)
        browser.run("enter(arguments[0]); arguments[1]()", PASSWORD)
        wait_for(lambda: browser.text("#state") == "connected", 10,
                 lambda: "the chat page says " + browser.text("#state"))

    def says(self, text):
        """To oneself, so that the server sends it back."""
        self.browser.run("say(arguments[0], arguments[1]); arguments[2]()", "clinician@" + HOST, text)

    def waits_for(self, text):
        wait_for(lambda: text in self.browser.text("#messages"), 10,
                 lambda: "%s in the chat: %s" % (text, self.browser.text("#messages")))


class Device:
    """
    async with Device(chat, "phone", "name") as device: the clinician's XMPP client on that device, by
    WebSocket (RFC 7395), with copies of what his other devices send and get.
    """

    def __init__(self, chat, client, resource):
        self.connection = chat.connect(client, "/xmpp-websocket", protocols=["xmpp"])
        self.resource, self.socket = resource, None

    async def __aenter__(self):
        self.socket = await self.connection.__aenter__()
        login = base64.b64encode(("\0clinician\0" + PASSWORD).encode()).decode()
        start = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='%s' version='1.0'/>" % HOST
        ask = "<iq xmlns='jabber:client' type='%s' id='%d' to='%s'>%s</iq>"
        self_name = "clinician@" + HOST
        for stanza, answer in (
                (start, "features"),
                ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>" % login, "<success"),
                (start, "features"),
                ("<iq xmlns='jabber:client' type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                 "<resource>%s</resource></bind></iq>" % self.resource, "<jid>"),
                (ask % ("set", 2, self_name, "<enable xmlns='urn:xmpp:carbons:2'/>"), "result"),
                (ask % ("get", 3, HOST, "<query xmlns='http://jabber.org/protocol/disco#info'/>"), "disco#info"),
                ("<presence xmlns='jabber:client'/>", "<presence")):
            await self.socket.send(stanza)
            await self.hears(answer)
        return self

    async def __aexit__(self, *words):
        await self.connection.__aexit__(*words)

    async def says(self, to, text):
        await self.socket.send("<message xmlns='jabber:client' type='chat' to='%s'><body>%s</body></message>" % (
            to, html.escape(text, quote=False)))

    async def hears(self, *parts):
        """Until a stanza has all of these."""
        while True:
            stanza = await asyncio.wait_for(self.socket.recv(), 20)
            if all(part in stanza for part in parts):
                return


# --- pictures with codes ---

def code(text, kind="png", scale=6, turn=0, noise=0):
    """A picture with a QR code by qrencode, turned by so many degrees, in a photograph-like ground."""
    if not shutil.which("qrencode"):
        raise Skip("qrencode is not installed")
    try:
        from PIL import Image, ImageFilter
    except ImportError:
        raise Skip("python3-pil is not installed") from None
    import io
    import random
    import subprocess
    plain = subprocess.run(["qrencode", "-t", "PNG32", "-s", str(scale), "-m", "4", "-o", "-", text],
                           stdout=subprocess.PIPE, check=True).stdout
    if kind == "png" and not turn and not noise:
        return plain
    picture = Image.open(io.BytesIO(plain)).convert("L")
    if turn:
        picture = picture.rotate(turn, expand=True, fillcolor=255, resample=Image.BICUBIC)
    if noise:
        ground = Image.new("L", (picture.width + 200, picture.height + 160), 150)
        ground.paste(picture, (120, 60))
        generator = random.Random(11)
        grain = Image.frombytes("L", ground.size, generator.randbytes(ground.width * ground.height))
        picture = Image.blend(ground, grain, noise / 100).filter(ImageFilter.GaussianBlur(0.6))
    out = io.BytesIO()
    if kind == "jpeg":
        picture.convert("RGB").save(out, "JPEG", quality=80)
    else:
        picture.save(out, "PNG")
    return out.getvalue()
