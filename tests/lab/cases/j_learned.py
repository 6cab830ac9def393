# SPDX-License-Identifier: BSD-2-Clause
#
# The patient's links: what arrives in the service's chat, in whatever form, is stopped afterwards on
# every device of the scope, whatever the standing of its destination. The links here lead to a host
# of the clinic's own list, and no consultation is on: nothing but the chat can be the reason.

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import os
import re
import signal
import sqlite3
import ssl
import struct
import subprocess
import time
import urllib.parse
import zlib

from browser import Browser
from case import NAVIGATE, Skip, blocked, call, case, check, equal, reached
from chat import HOST, Desk, Reply, code, message
from gateway import SERVICES
from lab import build_folder
from network import CLIENTS, GATEWAY_LAN4
from processes import wait_for
from tlsclient import TlsClient

EHR = "ehr.example-clinic.jp"
LINK = "https://%s/index.html?karte=20261101&b=2" % EHR
OTHER = "https://%s/alt" % EHR      # another path of the same host
STREAM = int(os.environ.get("LAB_STREAM_MB", "300"))
TWO_ROOMS = {"policy": {"scope": "room"}, 'room "診察室2"': {"clients": ["192.168.10.22", "fd00:10::22"]}}


def digest(url):
    return hashlib.sha256(url.encode()).hexdigest()


def opens(lab, url=LINK, client="clinician", times=1):
    """The status with which that client's browser gets it, the same each time."""
    answers = [lab.curl(client, *NAVIGATE, url) for _ in range(times)]
    check(len({a.status for a in answers}) == 1, client, url, answers)
    return answers[-1]


def passes(lab, url=LINK, clients=("clinician", "phone"), times=1):
    for client in clients:
        reached(lab, opens(lab, url, client, times))


def stopped(lab, url=LINK, clients=("clinician", "phone"), times=1, service="telemed"):
    """Blocked as the patient's on each of them, over new connections that meet either worker."""
    for client in clients:
        answer = opens(lab, url, client, times)
        equal(answer.status, 403, client, url, answer)
        address = lab.collector.wait(event="block", reason="patient-link", url_sha256=digest(url))
        equal(address["from"], "learned:" + service, address)
        check(address.get("incident"), address)
        wait_for(lambda client=client: [r for r in lab.collector.records(
            event="block", reason="patient-link") if r["client"] in CLIENTS[client]], 5,
            "a record of the block on " + client)
    return answer


def is_learned(lab, url=LINK, kind="text", seconds=5):
    """Until the registry says so; the workers have been told then, or are just being."""
    record = lab.collector.wait(seconds, event="learned", url_sha256=digest(url))
    equal((record["kind"], record["service"]), (kind, "telemed"), record)
    time.sleep(0.1)
    return record


def nothing_learned(lab, url=LINK, pause=0.5):
    time.sleep(pause)
    equal(lab.collector.records(event="learned", url_sha256=digest(url)), [])


def poll(lab, path, *words, client="clinician"):
    answer = lab.curl(client, "--compressed", *words, "https://%s%s" % (HOST, path))
    reached(lab, answer)
    return answer


def patient_sends(lab, link=LINK, client="clinician", name="feed.json"):
    """The link arrives in a JSON message that this client's page fetches."""
    lab.chat.put(name, message("こちらです: %s よろしく" % link))
    check(link.replace("/", "\\/") in poll(lab, "/plain/" + name, client=client).text)


# --- the chat itself, without the gateway ---

@case(gateway=False)
def chat_delivers_without_the_gateway(lab):
    """Every way by which a link comes below works by itself; otherwise its case would prove nothing."""
    content = message(LINK)
    lab.chat.put("feed.json", content)
    for path in ("/plain/feed.json", "/gzip/feed.json"):
        answer = lab.curl("clinician", "--compressed", "https://%s%s" % (HOST, path), trust="internet")
        reached(lab, answer)
        equal(answer.body, content)
        equal(answer.field("Content-Encoding"), "gzip" if "gzip" in path else None, path)
    lab.chat.replies["x"] = Reply([content[:30], 0.05, content[30:]])
    answer = lab.curl("clinician", "https://%s/origin/x" % HOST, trust="internet")
    equal((answer.body, answer.field("Transfer-Encoding")), (content, "chunked"))
    answer = lab.curl("clinician", "--data", "a=b", "https://%s/origin/x" % HOST, trust="internet")
    equal((answer.body, lab.chat.posted), (b"a=b", [b"a=b"]))
    lab.chat.scripts["x"] = ["one", ["tw", "o"], b"three"]
    for path, compression in (("/ws/say/x", None), ("/ws-deflate/say/x", "deflate")):
        equal(lab.chat.hear("clinician", path, 3, compression), ["one", "two", b"three"], path)
    reached(lab, lab.curl("clinician", "https://www.google.co.jp/url?q=x", trust="internet"), 302)


@case(gateway=False, seconds=120)
def xmpp_delivers_without_the_gateway(lab):
    lab.chat.prosody()
    with Browser(lab, "clinician") as browser:
        desk = Desk(browser)
        lab.chat.patient_says("よろしくお願いします", LINK)
        desk.waits_for(LINK)
        desk.says("お大事に")
        desk.waits_for("clinician: お大事に")


@case(gateway=False)
def codes_are_pictures(lab):
    for kind, magic in (("png", b"\x89PNG"), ("jpeg", b"\xff\xd8\xff")):
        for turn, noise in ((0, 0), (30, 0), (7, 20)):
            picture = code(LINK, kind, turn=turn, noise=noise)
            check(picture.startswith(magic) and len(picture) > 400, kind, turn, noise, len(picture))


# --- a message in a body ---

@case()
def link_in_a_poll(lab):
    passes(lab)
    patient_sends(lab)
    is_learned(lab)
    answer = stopped(lab, times=8)
    check("<html" in answer.text and "no-store" in answer.field("Cache-Control"), answer.head)
    passes(lab, OTHER)
    passes(lab, LINK + "&c=3")
    passes(lab, "https://%s/" % EHR)
    passes(lab, "https://%s/plain/feed.json" % HOST)


@case()
def page_says_when_and_through_which_service(lab):
    patient_sends(lab)
    is_learned(lab)
    seen = time.time()
    for language, label in (("ja", "リンクが届いた日時"), ("en", "The link came in")):
        page = lab.curl("phone", *NAVIGATE, "-H", "Accept-Language: " + language, LINK).text
        check(label in page and "遠隔診療ラボ" in page, language, page)
        after = re.sub(r"<[^>]*>", " ", page[page.index(label) + len(label):])
        clocks = [time.strftime("%Y-%m-%d %H:%M:%S JST", time.gmtime(seen + 9 * 3600 - back))
                  for back in range(4)]
        check(any(clock in after[:60] for clock in clocks), after[:60], clocks)
    record = lab.collector.wait(event="block", reason="patient-link")
    check(record["incident"].lstrip("#") in lab.gateway.sekisho("incidents"), record)


@case(seconds=120)
def chromium_is_stopped_at_the_link(lab):
    lab.chat.put("feed.json", message(LINK))
    with Browser(lab, "clinician") as browser:
        equal(browser.get(LINK + "&typed"), None)
        equal(browser.text("#ehr"), "電子カルテ")
        equal(browser.get("https://%s/" % HOST), None)
        check(browser.fetch("/gzip/feed.json").startswith("200 "), "the poll")
        is_learned(lab)
        browser.get(LINK)
        record = lab.collector.wait(event="block", reason="patient-link", kind="navigation")
        check(record["incident"].lstrip("#") in browser.text() and "遠隔診療ラボ" in browser.text(),
              browser.text())
        browser.screenshot(os.path.join(build_folder(), "lab", "screens", "block-page-learned.png"))
        equal(browser.get(LINK + "&typed"), None)
        equal(browser.text("#ehr"), "電子カルテ")


@case({"policy": {"linger": "1s"}})
def before_during_and_after_a_call(lab):
    """The page of a call makes unknown destinations suspicious; the patient's link needs no call."""
    patient_sends(lab)
    is_learned(lab)
    stopped(lab)
    call(lab)
    stopped(lab)
    passes(lab, OTHER)
    lab.collector.wait(10, event="consultation-off")
    stopped(lab)


@case()
def every_way_to_the_link(lab):
    """Plain http, IPv6, HTTP through the proxy and CONNECT; as navigation and as a page's subresource."""
    plain, named = "http://%s/index.html?plain" % EHR, "%s/index.html?named" % EHR
    lab.chat.put("feed.json", message(LINK + " " + plain + " " + named))
    reached(lab, lab.curl("clinician", "-6", "https://%s/plain/feed.json" % HOST))
    for link in (LINK, plain, "https://" + named, "http://" + named):
        is_learned(lab, link)
        proxy = ["--proxy", "http://%s:8080" % GATEWAY_LAN4]
        for words in (["-4"], ["-6"], proxy, ["-X", "POST", "-d", "x"],
                      ["-H", "Sec-Fetch-Mode: no-cors", "-H", "Sec-Fetch-Dest: image"]):
            equal(lab.curl("phone", *words, link).status, 403, link, words)
    check(not [r for r in lab.collector.records(event="block") if r["reason"] != "patient-link"])
    passes(lab, plain.replace("http:", "https:"))


@case({"policy": {"mode": "observe"}})
def observed_only(lab):
    patient_sends(lab)
    is_learned(lab)
    passes(lab)
    record = lab.collector.wait(event="would-block", reason="patient-link")
    equal(record["from"], "learned:telemed", record)


@case()
def chat_over_plain_http(lab):
    lab.chat.put("feed.json", message(LINK))
    reached(lab, lab.curl("clinician", "http://%s/plain/feed.json" % HOST))
    is_learned(lab)
    stopped(lab)


@case({"policy": {"learned-by": "host"}})
def learned_by_host(lab):
    passes(lab, OTHER)
    patient_sends(lab)
    is_learned(lab)
    stopped(lab)
    stopped(lab, OTHER)
    passes(lab, "https://files.example.net/plain.txt")


@case()
def link_in_a_compressed_body(lab):
    number = 0
    links = []

    def arrives(path):
        link = "%s&number=%d" % (LINK, number)
        links.append(link)
        return link, path

    link, path = arrives("/gzip/feed.json")
    lab.chat.put("feed.json", message(link))
    # gzip, as nginx makes it, is what the client gets: the gateway changes nothing of it
    answer = poll(lab, path)
    equal((answer.field("Content-Encoding"), answer.body), ("gzip", message(link)))
    raw = zlib.compressobj(wbits=-15)
    codings = {"gzip": gzip.compress, "deflate": zlib.compress,
               "raw": lambda body: raw.compress(body) + raw.flush()}
    for coding, compress in codings.items():
        number += 1
        link, path = arrives(coding)
        body = compress(message(link))
        lab.chat.replies[coding] = Reply([body[:20], body[20:21], body[21:]], Content_Encoding=coding
                                         if coding != "raw" else "deflate")
        equal(poll(lab, "/origin/" + path).body, message(link), coding)
    for link in links:
        is_learned(lab, link)
        stopped(lab, link, clients=("phone",))


@case()
def link_in_chunks(lab):
    """Cut within the link, at every byte of it and in pieces of one byte."""
    content = message(LINK)
    at = content.index(b"https")
    for cut in range(at, at + 25, 6):
        link = "%s&cut=%d" % (LINK, cut)
        content = message(link)
        lab.chat.replies["cut"] = Reply([content[:cut], 0.02, content[cut:]])
        equal(poll(lab, "/origin/cut").body, content)
        is_learned(lab, link)
    content = message(LINK)
    lab.chat.replies["bytes"] = Reply([content[i:i + 1] for i in range(len(content))])
    equal(poll(lab, "/origin/bytes").body, content)
    is_learned(lab)
    stopped(lab)


@case()
def link_in_every_kind_of_text(lab):
    """By the declared type."""
    kinds = {
        "application/json": b'{"t":"%s"}', "application/json; charset=utf-8": b'{"t":"%s"}',
        "application/vnd.api+json": b'{"t":"%s"}', "application/x-ndjson": b'{"t":"%s"}\n',
        "text/plain": b"%s", "text/xml": b"<t>%s</t>", "application/xmpp+xml": b"<t>%s</t>",
        "multipart/mixed; boundary=b": b"--b\r\n\r\n%s\r\n--b--\r\n",
        "application/json-seq": b'\x1e{"t":"%s"}\n', "application/stream+json": b'{"t":"%s"}\n',
    }
    equal(missed_kinds(lab, kinds), [])


@case()
def link_in_text_that_is_not_declared(lab):
    """A script reads the message whatever its type says; what the bytes say counts."""
    equal(missed_kinds(lab, {"": b'{"t":"%s"}', "application/octet-stream": b'{"t":"%s"}',
                             "binary/octet-stream": b"%s"}), [])


def missed_kinds(lab, kinds):
    missed = []
    for number, (media, form) in enumerate(kinds.items()):
        link = "%s-kind%d" % (LINK, number)
        lab.chat.replies["kind"] = Reply([form % link.encode()], media=media)
        poll(lab, "/origin/kind", "-H", "Sec-Fetch-Mode: cors", "-H", "Sec-Fetch-Dest: empty")
        try:
            is_learned(lab, link, seconds=0.5)
        except AssertionError:
            missed.append(media)
    return missed


@case()
def link_in_server_sent_events(lab):
    """Learned while the stream still runs."""
    event = b"event: message\ndata: " + message(LINK) + b"\n\n"
    lab.chat.replies["events"] = Reply([b": hello\n\n", event[:60], 0.1, event[60:], 4.0, b": end\n\n"],
                                       media="text/event-stream")
    passes(lab)
    stream = subprocess.Popen(
        [*lab.network.prefix("clinician"), "curl", "-sSN", "--cacert", lab.trust("both"),
         "-H", "Accept: text/event-stream", "https://%s/origin/events" % HOST],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        is_learned(lab, seconds=3)
        check(stream.poll() is None, "the stream is over")
        stopped(lab)
        out, _ = stream.communicate(timeout=15)
        equal((out, stream.returncode), (b": hello\n\n" + event + b": end\n\n", 0))
    finally:
        stream.kill()


@case()
def spellings_in_a_message(lab):
    """A few by the whole way; the scanner's own tests know the many."""
    host = "https://" + EHR
    spellings = {
        host + "/echo?one": {"text": "HTTPS://EHR.Example-Clinic.JP/echo?one"},
        host + "/echo?two": {"text": "ｈｔｔｐｓ：／／ｅｈｒ．ｅｘａｍｐｌｅ－ｃｌｉｎｉｃ．ｊｐ／echo?two"},
        host + "/echo?three": {"html": "<a href=\"%s/echo?three\">検査結果</a>" % host},
        host + "/echo?four": {"inner": json.dumps({"u": host + "/echo?four"}).replace("/", "\\/")},
        host + "/echo?five": {"text": "hxxps://ehr[.]example-clinic[.]jp/echo?five"},
        host + "/echo?six": {"text": "https://ehr.example\u200b-clinic.jp/echo?six です。"},
        host + "/echo?seven": {"text": "ehr.example-clinic.jp/echo?seven"},
    }
    lab.chat.put("feed.json", json.dumps({"messages": list(spellings.values())}).encode())
    poll(lab, "/gzip/feed.json")
    missed = []
    for link in spellings:
        try:
            is_learned(lab, link, seconds=1)
            stopped(lab, link, clients=("phone",))
        except AssertionError:
            missed.append(spellings[link])
    equal(missed, [])


# --- who said it ---

@case()
def what_the_clinician_typed_is_not_learned(lab):
    """Sent by the clinician and told back by the server; then the other way round."""
    words = ["-H", "Content-Type: application/json", "--data-binary", message(LINK).decode()]
    equal(poll(lab, "/origin/messages", *words).body, message(LINK))
    nothing_learned(lab)
    patient_sends(lab)   # the list of messages has it too
    nothing_learned(lab)
    passes(lab, times=8)
    theirs = LINK + "&theirs"
    patient_sends(lab, theirs)
    is_learned(lab, theirs)
    words[-1] = message(theirs).decode()
    poll(lab, "/origin/messages", *words)
    stopped(lab, theirs, times=8)


@case()
def what_the_clinician_typed_into_a_websocket(lab):
    mine, theirs = LINK + "&mine", LINK + "&theirs"

    async def talk():
        lab.chat.scripts["first"] = ["患者: " + theirs]
        async with lab.chat.connect("clinician", "/ws/say/first") as socket:
            await asyncio.wait_for(socket.recv(), 10)
            for text in (mine, theirs):
                await socket.send(text)
                equal(await asyncio.wait_for(socket.recv(), 10), text)
    asyncio.run(talk())
    is_learned(lab, theirs)
    nothing_learned(lab, mine)
    passes(lab, mine, times=8)
    stopped(lab, theirs, times=8)


@case()
def pages_of_the_service_are_no_messages(lab):
    """HTML and scripts are left out, the service's own hosts are no strangers, cdn is no chat host."""
    reached(lab, lab.curl("clinician", "https://call.telemed.example/room/1"))
    own = "https://%s/plain/feed.json?own" % HOST
    lab.chat.put("feed", message(LINK))
    patient_sends(lab, own)
    reached(lab, lab.curl("clinician", "https://cdn.telemed.example/feed"))
    for link in ("https://www.patient-link.example/present?x=1", own, LINK):
        nothing_learned(lab, link, 0.2)
    passes(lab)
    passes(lab, own)


@case({"policy": {"learn": "all"}})
def learn_from_all_hosts_of_the_service(lab):
    lab.chat.put("feed", message(LINK))
    reached(lab, lab.curl("clinician", "https://cdn.telemed.example/feed"))
    is_learned(lab)
    stopped(lab)


@case({"policy": {"learned-for": "0s"}})
def learning_can_be_off(lab):
    patient_sends(lab)
    nothing_learned(lab)
    passes(lab)


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


SIZES = (0, 1, 2, 125, 126, 127, 1023, 4096, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 70000)


def content(size, binary):
    data = hashlib.shake_128(b"%d" % size).digest(size)
    return data if binary else base64.b64encode(data).decode()[:size]


async def _echo(socket, path):
    for binary in (False, True):
        for size in SIZES:
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


@case(seconds=120)
def websocket_echo(lab):
    """Every kind of message through the chat host comes back as it was sent, with pings between."""
    async def talk(path, compression):
        async with lab.chat.connect("clinician", path, compression) as socket:
            await _echo(socket, path)
    for path, compression in (("/ws/echo", None), ("/ws/fragments", None), ("/ws-deflate/echo", "deflate"),
                              ("/ws-deflate/fragments", "deflate"), ("/ws/echo", "deflate")):
        asyncio.run(talk(path, compression))


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


# --- where a link leads ---

@case()
def link_behind_a_redirector(lab):
    outer = "https://www.google.co.jp/url?q=%s&sa=D" % urllib.parse.quote(LINK, safe="")
    equal(opens(lab, outer, "phone").status, 302)
    passes(lab)
    patient_sends(lab, outer)
    is_learned(lab, outer)
    is_learned(lab)
    stopped(lab, outer)
    stopped(lab)
    another = "https://www.google.co.jp/url?q=%s&sa=U" % urllib.parse.quote(LINK, safe="")
    equal(opens(lab, another, "phone").status, 403, "the same target behind another address")
    passes(lab, OTHER)


@case()
def redirect_from_a_learned_link(lab):
    """Released, it may be followed; where it leads is the patient's too, and is not released."""
    link, target = "https://%s/redirect" % EHR, "https://www.patient-link.example/present?x=1"
    passes(lab, target)
    patient_sends(lab, link)
    is_learned(lab, link)
    stopped(lab, link)
    lab.gateway.sekisho("release", link, "--for", "5m", "--reason", "確認", "--by", "山田")
    time.sleep(0.1)
    equal(opens(lab, link).status, 302)
    is_learned(lab, target, kind="redirect")
    stopped(lab, target)


def leads_on(lab, answers):
    """Of a released link of the patient's, answered in each of these ways: the targets not learned."""
    hostile = lab.misbehaving["hostile"]
    link = "https://%s/a/start" % hostile.host
    patient_sends(lab, link)
    is_learned(lab, link)
    lab.gateway.sekisho("release", link, "--for", "5m", "--reason", "確認", "--by", "山田")
    time.sleep(0.1)
    missed = []
    for number, (head, body, target) in enumerate(answers):
        target = target % number
        hostile.answer = (b"HTTP/1.1 %s\r\nContent-Length: %d\r\nContent-Type: text/html\r\n\r\n%s" % (
            (head.replace("%d", str(number))).encode(), len(body) and len(body.replace("%d", str(number))),
            body.replace("%d", str(number)).encode()))
        check(opens(lab, link).status in (200, 302), head)
        try:
            is_learned(lab, target, kind="redirect", seconds=1)
        except AssertionError:
            missed.append((head, body, target))
    return missed


@case(seconds=60)
def every_redirect_from_a_learned_link(lab):
    host = lab.misbehaving["hostile"].host
    equal(leads_on(lab, [
        ("302 Found\r\nLocation: https://%s/x?%%d" % EHR, "", "https://" + EHR + "/x?%d"),
        ("302 Found\r\nLocation: //%s/x?%%d" % EHR, "", "https://" + EHR + "/x?%d"),
        ("302 Found\r\nLocation: http://%s:8080/x?%%d" % EHR, "", "http://" + EHR + ":8080/x?%d"),
        ("302 Found\r\nLocation: /next?%d", "", "https://" + host + "/next?%d"),
        ("302 Found\r\nLocation: next?%d", "", "https://" + host + "/a/next?%d"),
        ("302 Found\r\nLocation: ../next?%d", "", "https://" + host + "/next?%d"),
        ("302 Found\r\nLocation: ?%d", "", "https://" + host + "/a/start?%d"),
        ("302 Found\r\nLocation: https://%s/x?%%d#part" % EHR, "", "https://" + EHR + "/x?%d"),
    ]), [])


@case()
def refresh_from_a_learned_link(lab):
    host = lab.misbehaving["hostile"].host
    equal(leads_on(lab, [
        ("200 OK\r\nRefresh: 0; url=https://%s/x?%%d" % EHR, "<p>", "https://" + EHR + "/x?%d"),
        ("200 OK\r\nRefresh: 0;URL='https://%s/x?%%d'" % EHR, "<p>", "https://" + EHR + "/x?%d"),
        ("200 OK\r\nRefresh: 1, https://%s/x?%%d" % EHR, "<p>", "https://" + EHR + "/x?%d"),
        ("200 OK\r\nRefresh: 0; url=/next?%d", "<p>", "https://" + host + "/next?%d"),
    ]), [])


@case()
def meta_refresh_from_a_learned_link(lab):
    equal(leads_on(lab, [
        ("200 OK", '<html><head><meta http-equiv="refresh" content="0; url=https://%s/x?%%d">' % EHR,
         "https://" + EHR + "/x?%d"),
        ("200 OK", "<META content='1;URL=https://%s/x?%%d' HTTP-EQUIV=Refresh>" % EHR,
         "https://" + EHR + "/x?%d"),
    ]), [])


# --- how long, how far ---

@case(deaths=True)
def learned_survives_kills_and_restarts(lab):
    patient_sends(lab)
    is_learned(lab)
    stopped(lab, times=8)
    registry = lab.gateway.pids("registry")[0]
    os.kill(registry, signal.SIGKILL)

    def new_registry():
        with contextlib.suppress(AssertionError, ValueError):
            return lab.gateway.pids("registry") not in ([], [registry])
        return False
    stopped(lab, times=4)
    wait_for(new_registry, 10, "a new registry")
    stopped(lab, times=4)
    os.kill(lab.gateway.pids("worker")[0], signal.SIGKILL)
    wait_for(lambda: len(lab.gateway.pids("worker")) == 2, 10, "a new worker")
    stopped(lab, times=12)
    equal(lab.gateway.reload()[0], 0)
    stopped(lab, times=8)
    equal(lab.gateway.stop(), 0)
    lab.gateway.start()
    stopped(lab, times=12)
    passes(lab, OTHER)


@case(seconds=60)
def reload_within_a_chat(lab):
    """
    A WebSocket lives on in a worker of before the reload: what it learns, the new workers know. A
    connection that was kept alive there knows what the new ones learn.
    """
    lab.chat.scripts["late"] = ["hello", 3.0, LINK]
    kept = TlsClient(lab.network.connect("phone", lab.address(EHR), 443), EHR,
                     lab.trust("clinic")).handshake()
    equal(kept.get(EHR, "/alt", close=False)[0], 200)

    async def listen():
        async with lab.chat.connect("clinician", "/ws/say/late") as socket:
            equal(await asyncio.wait_for(socket.recv(), 10), "hello")
            equal(lab.gateway.reload()[0], 0)
            patient_sends(lab, LINK + "&new", client="other")
            is_learned(lab, LINK + "&new")
            target = (LINK + "&new").partition(EHR)[2]
            with contextlib.suppress(EOFError, OSError, ssl.SSLError):  # it may have been closed
                equal(kept.get(EHR, target)[0], 403)
            equal(await asyncio.wait_for(socket.recv(), 10), LINK)
    asyncio.run(listen())
    is_learned(lab)
    stopped(lab, times=8)


@case({"policy": {"learned-for": "4s"}})
def learned_expires(lab):
    patient_sends(lab)
    began = time.monotonic()
    is_learned(lab)
    stopped(lab)
    time.sleep(max(0.0, began + 5.5 - time.monotonic()))
    passes(lab, times=8)
    equal(lab.gateway.stop(), 0)
    lab.gateway.start()
    passes(lab, times=4)
    patient_sends(lab)   # and comes anew
    stopped(lab)


@case()
def release_lets_a_learned_link_pass(lab):
    patient_sends(lab)
    is_learned(lab)
    record = blocked(lab, lab.curl("clinician", *NAVIGATE, LINK), "patient-link")
    lab.gateway.sekisho("release", record["incident"], "--for", "4s", "--reason", "電話で確認",
                        "--by", "山田")
    began = time.monotonic()
    time.sleep(0.1)
    passes(lab, times=6)
    time.sleep(max(0.0, began + 4.6 - time.monotonic()))
    stopped(lab, times=6)


@case(TWO_ROOMS)
def another_room_is_not_affected(lab):
    patient_sends(lab)
    is_learned(lab)
    stopped(lab, clients=("clinician",), times=6)
    passes(lab, clients=("phone", "other"), times=6)
    patient_sends(lab, client="phone")
    wait_for(lambda: len(lab.collector.records(event="learned", url_sha256=digest(LINK))) == 2, 5,
             "that the other room has learned it too")
    time.sleep(0.1)
    stopped(lab, clients=("clinician", "phone"), times=6)
    passes(lab, clients=("other",))


@case()
def nothing_of_a_message_is_kept(lab):
    """Neither in a log nor in the state folder: hashes only."""
    link = "https://%s/echo?q=nevertobekept" % EHR
    patient_sends(lab, link)
    poll(lab, "/origin/messages", "-H", "Content-Type: application/json", "--data-binary",
         message("alsosecret " + OTHER).decode())
    is_learned(lab, link)
    stopped(lab, link)
    equal(lab.gateway.stop(), 0)
    rows = 0
    for folder, _, names in os.walk(lab.gateway.state):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            check(b"nevertobekept" not in data and b"alsosecret" not in data, name)
            if data.startswith(b"SQLite"):
                database = sqlite3.connect(os.path.join(folder, name))
                rows += database.execute("SELECT count(*) FROM learned").fetchone()[0]
                database.close()
    check(rows >= 2, "rows of learned links: %d" % rows)
    texts = "\n".join(lab.collector.lines()) + lab.gateway.log()
    check("nevertobekept" not in texts and "alsosecret" not in texts, "in a log")
    lab.gateway.start()


# --- pictures ---

def examiner_or_skip(lab):
    if not lab.gateway.processes("examiner"):
        raise Skip("there is no examiner process yet: nobody reads pictures")


@case()
def code_in_a_picture(lab):
    examiner_or_skip(lab)
    pictures = [("png", {}), ("jpeg", {}), ("png", {"turn": 90}), ("png", {"turn": 30}),
                ("jpeg", {"scale": 3}), ("jpeg", {"turn": 12, "noise": 15}), ("png", {"scale": 12})]
    missed = []
    for number, (kind, how) in enumerate(pictures):
        link = "https://%s/echo?code=%d" % (EHR, number)
        passes(lab, link, clients=("phone",))
        name = "code%d.%s" % (number, "png" if kind == "png" else "jpg")
        picture = code(link, kind, **how)
        lab.chat.put(name, picture)
        equal(poll(lab, "/plain/" + name).body, picture)
        try:
            is_learned(lab, link, kind="code")
            stopped(lab, link, clients=("phone",))
        except AssertionError as error:
            missed.append((kind, how, str(error)[:80]))
    equal(missed, [])


@case()
def code_in_a_data_url(lab):
    examiner_or_skip(lab)
    picture = base64.b64encode(code(LINK)).decode()
    lab.chat.put("feed.json", message("写真", picture="data:image/png;base64," + picture))
    poll(lab, "/gzip/feed.json")
    is_learned(lab, kind="code")
    stopped(lab)


# --- size ---

def resident(pid):
    """(now, the most so far) in bytes."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        text = file.read()
    return tuple(int(re.search(name + r":\s+(\d+)", text)[1]) * 1024 for name in ("VmRSS", "VmHWM"))


@case(seconds=240)
def big_stream_stays_flat(lab):
    """LAB_STREAM_MB of JSON through the chat host: no worker grows, and the link at its end is learned."""
    piece = message("こんにちは", **{"text%d" % i: "x" * 700 for i in range(90)}) + b"\n"
    count = STREAM * 1024 * 1024 // len(piece)
    patient_sends(lab, LINK + "&warm")
    is_learned(lab, LINK + "&warm")

    def pieces():
        for _ in range(count):
            yield piece
        yield message(LINK)
    lab.chat.replies["big"] = Reply(pieces(), media="application/x-ndjson")
    workers = lab.gateway.pids("worker")
    before = {pid: resident(pid)[0] for pid in workers}
    out = lab.network.run(
        "clinician", "curl", "-sS", "--max-time", "200", "--cacert", lab.trust("both"), "--output",
        "/dev/null", "--write-out", "%{http_code} %{size_download} %{time_total}",
        "https://%s/origin/big" % HOST).split()
    equal(out[:2], ["200", str(count * len(piece) + len(message(LINK)))], out)
    is_learned(lab)
    stopped(lab)
    if "ASAN_OPTIONS" in os.environ:
        return  # freed memory is held back on purpose there
    grown = {pid: resident(pid)[1] - before[pid] for pid in workers}
    check(max(grown.values()) < 8 * 1024 * 1024, "grown by", grown, "in %s s" % out[2])
