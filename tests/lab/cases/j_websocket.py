# SPDX-License-Identifier: BSD-2-Clause
#
# The chat over WebSocket: XMPP with real programs on both sides, links in frames of every kind, and what
# must come through unchanged.

import asyncio
import base64
import contextlib
import hashlib
import os
import ssl
import struct
import time
import zlib

from browser import Browser
from case import case, check, equal
from chat import HOST, Desk, Device, Reply
from gateway import SERVICES
from lab import build_folder
from learned import (LINK, digest, is_learned, nothing_learned, passes, patient_sends, resident,
                     stopped)
from processes import wait_for
from tlsclient import TlsClient

# --- XMPP over WebSocket ---

@case(seconds=120)
def link_by_xmpp(lab):
    """Prosody, Strophe in Chromium, and a patient who never meets the gateway."""
    lab.chat.prosody()
    passes(lab)
    with Browser(lab, "clinician") as browser:
        desk = Desk(browser)
        desk.says(LINK + "&mine")
        desk.waits_for(LINK + "&mine")
        lab.chat.patient_says("よろしくお願いします", LINK, LINK + "&theirs")
        desk.waits_for(LINK + "&theirs")
        is_learned(lab)
        is_learned(lab, LINK + "&theirs")
        desk.says(LINK + "&theirs")
        nothing_learned(lab, LINK + "&mine")
        # In the chat the link itself is clicked.
        browser.click("#messages li:nth-child(3) a", new_window=True)
        record = lab.collector.wait(event="block", reason="patient-link")
        check(record["incident"].lstrip("#") in browser.text(), browser.text())
        browser.screenshot(os.path.join(build_folder(), "lab", "screens", "block-page-xmpp.png"))
        stopped(lab, times=4)
        stopped(lab, LINK + "&theirs", clients=("phone",))
        passes(lab, LINK + "&mine", times=4)
        browser.first_window()
        equal(browser.text("#state"), "connected")
        lab.chat.patient_says("まだ話せますか")
        desk.waits_for("まだ話せますか")


@case({"policy": {"typed-for": "3s"}}, seconds=60)
def xmpp_echo_on_every_device(lab):
    """
    Prosody sends one's own message to one's other devices as well (XEP-0280), past either worker. It
    is nobody's link; the same from the patient, after it, is. So is what he sent before.
    """
    lab.chat.prosody()
    mine, theirs = LINK + "&mine", LINK + "&theirs"

    async def talk():
        async with Device(lab.chat, "clinician", "desk") as desk, Device(lab.chat, "phone", "phone") as phone:
            await asyncio.to_thread(lab.chat.patient_says, theirs)
            await desk.hears("<body>" + theirs.replace("&", "&amp;"))
            for text in (mine, theirs):
                began = time.monotonic()
                await desk.says("patient@" + HOST, text)
                await phone.hears("<sent ", "<body>" + text.replace("&", "&amp;"))
                await desk.says("clinician@" + HOST, text)
                await desk.hears("<body>" + text.replace("&", "&amp;"))
            if time.monotonic() - began < 2:
                await asyncio.to_thread(nothing_learned, lab, mine, 0.3)
            await asyncio.to_thread(is_learned, lab, theirs)
            await asyncio.sleep(3.5)
            await asyncio.to_thread(lab.chat.patient_says, mine)
            await phone.hears("from='patient@", "<body>" + mine.replace("&", "&amp;"))
    asyncio.run(talk())
    is_learned(lab, mine)
    for link in (mine, theirs):
        stopped(lab, link, times=4)
    # Of all that XMPP is made of nothing but the two links was learned.
    equal({r["url-sha256"] for r in lab.collector.records(event="learned")},
          {digest(mine), digest(theirs)})


# --- frames ---

@case()
def link_split_over_frames(lab):
    """One message in frames that cut the link, and a link at the very end of a message."""
    links = ["%s&split=%d" % (LINK, number) for number in range(4)]
    lab.chat.scripts["split"] = [
        [links[0][:4], links[0][4:]], ["a " + links[1][:20], links[1][20:40], "", links[1][40:]],
        list(links[2]), [b"\x08\x01" + links[3][:31].encode(), links[3][31:].encode() + b"\0\xff"]]
    for link in links:
        passes(lab, link, clients=("phone",))
    equal(lab.chat.hear("clinician", "/ws/say/split", 4)[:3], [links[0], "a " + links[1], links[2]])
    for link in links:
        is_learned(lab, link)
        stopped(lab, link, clients=("phone",))


@case()
def link_in_compressed_frames(lab):
    """permessage-deflate: the second message refers to the first one's window."""
    links = ["%s&deflate=%d" % (LINK, number) for number in range(3)]
    lab.chat.scripts["deflate"] = [links[0], "again " + links[1], [links[2][:15], links[2][15:]]]
    lab.chat.scripts["plain"] = [LINK]

    async def listen():
        async with lab.chat.connect("clinician", "/ws-deflate/say/deflate", "deflate") as socket:
            check([e.name for e in socket.extensions] == ["permessage-deflate"], socket.extensions)
            return [await asyncio.wait_for(socket.recv(), 10) for _ in links]
    equal(asyncio.run(listen()), [links[0], "again " + links[1], links[2]])
    # A client that offers it, a server that does not take it up.
    equal(lab.chat.hear("clinician", "/ws/say/plain", 1, "deflate"), [LINK])
    for link in (*links, LINK):
        is_learned(lab, link)
        stopped(lab, link, clients=("phone",))


UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
HOSTILE_CHAT = SERVICES + """
service "hostile" {
    title = "行儀の悪いサービス"
    inspect = { "hostile.example-clinic.jp" }
    chat = { "hostile.example-clinic.jp" }
    reviewed = "2026-11-01"
    policy-url = "https://hostile.example-clinic.jp/policy"
}
"""


def frame(first, payload, length=None):
    """A frame of a server. `length`: the bytes that say how long it is, where they lie."""
    if length is None:
        size = len(payload)
        length = (bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size) if size < 65536
                  else b"\x7f" + struct.pack("!Q", size))
    return bytes([first]) + length + payload


def upgraded(lab, frames, extension=b"", seconds=5):
    """What a client gets behind the head of a WebSocket whose server sends these bytes with its answer."""
    hostile = lab.misbehaving["hostile"]
    hostile.answer = UPGRADE + extension + b"\r\n" + frames
    client = TlsClient(lab.network.connect("clinician", lab.address(hostile.host), 443, timeout=seconds),
                       hostile.host, lab.trust("clinic")).handshake()
    client.send(b"GET /chat HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
                % (hostile.host.encode(), extension))
    data = b""
    with contextlib.suppress(OSError, ssl.SSLError):
        while more := client.receive():
            data += more
    client.close()
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


@case(services=HOSTILE_CHAT)
def frames_with_the_first_answer(lab):
    """The server's first message lies in the same segment as its 101."""
    frames = frame(0x81, b"hello") + frame(0x01, LINK[:9].encode()) + frame(0x89, b"") \
        + frame(0x80, LINK[9:].encode()) + frame(0x88, b"\x03\xe8")
    head, rest = upgraded(lab, frames)
    check(head.startswith(b"HTTP/1.1 101"), head)
    equal(rest, frames)
    lab.collector.wait(event="learned", url_sha256=digest(LINK), service="hostile")
    stopped(lab, service="hostile")


@case(services=HOSTILE_CHAT, seconds=60)
def frames_that_break_the_protocol(lab):
    """What two parsers could read differently ends the connection, and what stood before is learned."""
    deflate = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    bad = {
        "reserved bit": (frame(0xc1, b"x"), b""),
        "opcode": (frame(0x83, b"x"), b""),
        "masked": (frame(0x81, b"", b"\x81abcdx"), b""),
        "long control": (frame(0x89, b"x" * 126), b""),
        "split control": (frame(0x09, b"x"), b""),
        "nothing to continue": (frame(0x80, b"x"), b""),
        "size too long": (frame(0x81, b"", b"\x7f" + b"\xff" * 8), b""),
        "size not minimal": (frame(0x81, b"x", b"\x7e\0\x01"), b""),
        "not UTF-8": (frame(0x81, b"\xff\xfe"), b""),
        "not deflated": (frame(0xc1, b"\xff" * 40), deflate),
        "close code": (frame(0x88, b"\x03\xed"), b""),
    }
    for number, (what, (frames, extension)) in enumerate(bad.items()):
        lab.collector.clear()
        link = "%s&bad=%d" % (LINK, number)
        first = frame(0x81, link.encode())
        head, rest = upgraded(lab, first + frames + frame(0x81, b"after"), extension)
        check(b"after" not in rest, what, rest)
        lab.collector.wait(event="learned", url_sha256=digest(link))
        wait_for(lambda: [r for r in lab.collector.records() if r.get("reason") == "bad-response"], 5,
                 lambda what=what: "a record of " + what)
    head, _ = upgraded(lab, frame(0x81, b"x"), b"Sec-WebSocket-Extensions: unknown-extension\r\n")
    check(not head.startswith(b"HTTP/1.1 101"), "an extension that nobody can read: %r" % head)


@case(services=HOSTILE_CHAT, seconds=120)
def bombs_stay_flat(lab):
    """Compressed zeros, as a body and as a message: passed on, not unpacked into memory."""
    size = 256 * 1024 * 1024
    packer, raw = zlib.compressobj(9, wbits=31), zlib.compressobj(9, wbits=-15)
    block = bytes(1 << 20)
    body = b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
    text = b"".join(raw.compress(block) for _ in range(size >> 20)) + raw.flush(zlib.Z_SYNC_FLUSH)[:-4]
    patient_sends(lab, LINK + "&warm")
    workers = lab.gateway.pids("worker")
    before = {pid: resident(pid)[0] for pid in workers}
    lab.chat.replies["bomb"] = Reply([body], Content_Encoding="gzip")
    answer = lab.curl("clinician", "https://%s/origin/bomb" % HOST)
    equal((answer.exit, answer.body == body), (0, True), answer.exit, len(answer.body))
    frames = frame(0xc2, text) + frame(0x88, b"\x03\xe8")
    _, rest = upgraded(lab, frames, b"Sec-WebSocket-Extensions: permessage-deflate\r\n", 30)
    check(rest == frames, len(rest), len(frames))
    if "ASAN_OPTIONS" not in os.environ:
        grown = {pid: resident(pid)[1] - before[pid] for pid in workers}
        check(max(grown.values()) < 8 * 1024 * 1024, "grown by", grown)
    patient_sends(lab)
    is_learned(lab)
    stopped(lab)


WAYS = (("/ws/echo", None), ("/ws/fragments", None), ("/ws-deflate/echo", "deflate"),
        ("/ws-deflate/fragments", "deflate"), ("/ws/echo", "deflate"))
SIZES = (0, 1, 2, 125, 126, 127, 1023, 4096, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 70000)
# These go every way, as text and as binary. Of all others each STEPth goes one of them; 1: every size.
STEP = int(os.environ.get("LAB_ECHO_STEP", "997"))


def sizes_of(way, binary):
    turn = way * 2 + binary
    return [size for size in range(70001) if size in SIZES or
            size % STEP == 0 and size // STEP % (2 * len(WAYS)) == turn]


def content(size, binary):
    data = hashlib.shake_128(b"%d" % size).digest(size)
    return data if binary else base64.b64encode(data).decode()[:size]


async def _echo(socket, way, path):
    for binary in (False, True):
        for size in sizes_of(way, binary):
            sent = content(size, binary)
            if size % 2:
                step = max(1, size // 5)

                async def fragments(sent=sent, step=step):
                    for at in range(0, len(sent), step):
                        yield sent[at:at + step]
                        await socket.ping()
                await socket.send(fragments())
            else:
                await socket.send(sent)
            pong = await socket.ping(b"%d" % size)
            got = await asyncio.wait_for(socket.recv(), 10)
            check(type(got) is type(sent) and got == sent, path, "binary" if binary else "text", size,
                  len(got))
            await asyncio.wait_for(pong, 10)


@case(seconds=120 if STEP > 9 else 1800)
def websocket_echo(lab):
    """Every kind of message through the chat host comes back as it was sent, with pings between."""
    async def talk(way, path, compression):
        async with lab.chat.connect("clinician", path, compression) as socket:
            await _echo(socket, way, path)
    for way, (path, compression) in enumerate(WAYS):
        asyncio.run(talk(way, path, compression))


@case()
def websocket_closes_as_it_was_closed(lab):
    async def server_closes(number):
        async with lab.chat.connect("clinician", "/ws/close/%d" % number) as socket:
            await socket.send("now")
            await asyncio.wait_for(socket.wait_closed(), 10)
            return socket.close_code, socket.close_reason

    async def client_closes(number):
        async with lab.chat.connect("clinician", "/ws/echo") as socket:
            await socket.close(number, "enough")
    for number in (1000, 1011, 4002):
        equal(asyncio.run(server_closes(number)), (number, "so it is"))
        asyncio.run(client_closes(number))
        wait_for(lambda number=number: lab.chat.closed == [number] * 2, 5, lambda: lab.chat.closed)
        lab.chat.closed.clear()
