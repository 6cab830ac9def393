# SPDX-License-Identifier: BSD-2-Clause
#
# A real call: two Chromiums with a camera, sound and a shared screen, in a room of a small service.
# The page is sites/call; who is in a room hears the other by a WebSocket server behind nginx; coturn
# relays the media, over UDP 3478 and over TLS on 443. The clinician is behind the gateway, the patient
# at home.

import asyncio
import contextlib
import os
import shutil
import threading

from browser import Browser
from case import Skip, equal
from network import origin4, origin6
from processes import wait_for

ROOM, TURN = "room.visit.example", "turn.visit.example"
TURN_NUMBER = 15
SIGNAL = 8104
RELAY_PORTS = (49160, 49360)
USER, PASSWORD = "visit", "lab-password"

SERVICE = """
service "visit" {
    title = "診察室ラボ"
    inspect = { "%(room)s" }
    splice = { "%(turn)s" }
    call = { "%(room)s" }
    chat = { "%(room)s" }
    networks = { "%(ip4)s", "%(ip6)s" }
    media-udp = { "3478" }
    reviewed = "2026-11-01"
    policy-url = "https://%(room)s/policy"
}
""" % {"room": ROOM, "turn": TURN, "ip4": origin4(TURN_NUMBER), "ip6": origin6(TURN_NUMBER)}

FLAGS = ["--use-fake-device-for-media-stream=fps=10", "--use-fake-ui-for-media-stream",
         "--auto-accept-this-tab-capture", "--autoplay-policy=no-user-gesture-required",
         "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
         "--disable-renderer-backgrounding"]

COTURN = """
listening-ip={ip4}
listening-ip={ip6}
relay-ip={ip4}
relay-ip={ip6}
listening-port=3478
tls-listening-port=443
min-port={first}
max-port={last}
realm={host}
user={user}:{password}
lt-cred-mech
cert={certificate}
pkey={key}
pidfile={folder}/turnserver.pid
userdb={folder}/turndb
log-file=stdout
simple-log
no-cli
no-dtls
no-multicast-peers
verbose
"""


def locations():
    """What nginx does for the room."""
    return ["        location /signal/ { proxy_http_version 1.1; proxy_buffering off; "
            "proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; "
            'proxy_set_header Connection "upgrade"; proxy_read_timeout 300s; '
            "proxy_pass http://127.0.0.1:%d; }" % SIGNAL]


class Consultation:
    """The service: signalling and relay."""

    def __init__(self, lab):
        try:
            import websockets  # noqa: F401
        except ImportError:
            raise Skip("python3-websockets is not installed") from None
        if not shutil.which("turnserver"):
            raise Skip("coturn is not installed")
        self.lab = lab
        self._rooms = {}  # room: {role: socket}; and what waits for who is not there
        self._waiting = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self._relay()

    async def _listen(self):
        import websockets
        self._server = await websockets.serve(
            self._serve, sock=self.lab.network.listen("internet", "127.0.0.1", SIGNAL),
            compression=None, ping_interval=None)

    async def _serve(self, socket):
        """Hands on to the other what one says; what comes too early waits."""
        import websockets
        _, _, room, role = socket.path.split("/")
        other = (room, {"clinician": "patient", "patient": "clinician"}[role])
        self._rooms[room, role] = socket
        with contextlib.suppress(websockets.ConnectionClosed):
            for message in self._waiting.pop((room, role), []):
                await socket.send(message)
            async for message in socket:
                there = self._rooms.get(other)
                if there is not None and there.open:
                    await there.send(message)
                else:
                    self._waiting.setdefault(other, []).append(message)

    def _relay(self):
        folder = os.path.join(self.lab.folder, "coturn")
        os.makedirs(folder)
        certificate, key = self.lab.certificates.paths(TURN)
        path = os.path.join(folder, "turnserver.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(COTURN.format(
                ip4=origin4(TURN_NUMBER), ip6=origin6(TURN_NUMBER), first=RELAY_PORTS[0],
                last=RELAY_PORTS[1], host=TURN, user=USER, password=PASSWORD, certificate=certificate,
                key=key, folder=folder))
        self.turnserver = self.lab.processes.start("internet", "coturn", ["turnserver", "-c", path])
        wait_for(self._relay_answers, 15, lambda: "coturn: " + self.turnserver.output()[-1500:])

    def _relay_answers(self):
        return self.lab.network.listens("internet", origin4(TURN_NUMBER))


class Visitor(Browser):
    """One who takes part."""

    def __init__(self, lab, host, role, room, via):
        trust = ("internet", "clinic") if role == "clinician" else ("internet",)
        super().__init__(lab, host, flags=FLAGS, trust=trust)
        self.address = "https://%s/?role=%s&room=%s&via=%s" % (ROOM, role, room, via)

    def enters(self):
        equal(self.get(self.address), None)
        self.click("#enter")
        wait_for(lambda: self.text("#signal") == "open", 20, self.says)

    def shares(self):
        """The screen; a click, since a page may not begin it by itself."""
        self.click("#share")
        wait_for(lambda: self.text("#share") == "共有中", 20, self.says)

    def says(self):
        return "the page says " + self.text()

    def frames(self):
        """Frames decoded so far: [the other's camera, the other's screen]."""
        return self.run("frames().then(arguments[0])")

    def path(self):
        return self.run("path().then(arguments[0])")

    def connected(self, seconds=40):
        wait_for(lambda: self.text("#state") == "connected", seconds, self.says, 0.2)

    def sees(self, more=5, seconds=30, since=None):
        """Until so many more frames of each picture were decoded than there are now."""
        before = self.frames() if since is None else since
        wait_for(lambda: len(now := self.frames()) >= len(before) and
                 all(n >= b + more for n, b in zip(now, before)), seconds,
                 lambda: "frames rise: %r, then %r; %s" % (before, self.frames(), self.says()), 0.2)


@contextlib.contextmanager
def entered(lab, via="udp", room="1"):
    """(clinician, patient), both in the room; their call is about to begin."""
    lab.consultation  # noqa: B018 - it is started
    # The patient's own network hinders nothing.
    with Visitor(lab, "clinician", "clinician", room, via) as clinician, \
            Visitor(lab, "patient", "patient", room, "udp" if via == "tls" else via) as patient:
        clinician.enters()
        patient.enters()
        yield clinician, patient


@contextlib.contextmanager
def consultation(lab, via="udp", room="1"):
    """(clinician, patient), in a call that has begun, with the patient's screen shared."""
    with entered(lab, via, room) as (clinician, patient):
        for visitor in (clinician, patient):
            visitor.connected()
        patient.shares()
        wait_for(lambda: len(clinician.frames()) == 2, 20, "the screen's line of video")
        clinician.sees(seconds=40)
        patient.sees(seconds=40)
        yield clinician, patient
