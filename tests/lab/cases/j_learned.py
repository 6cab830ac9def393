# SPDX-License-Identifier: BSD-2-Clause
#
# The patient's links: what arrives in the service's chat, in whatever form, is stopped afterwards on
# every device of the scope, whatever the standing of its destination. The links here lead to a host
# of the clinic's own list, and no consultation is on: nothing but the chat can be the reason.

import asyncio
import base64
import contextlib
import gzip
import json
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import time
import urllib.parse
import zlib

from browser import Browser
from case import NAVIGATE, Skip, blocked, call, case, check, equal, reached
from chat import HOST, Desk, Reply, code, message
from lab import build_folder
from learned import (EHR, LINK, OTHER, digest, is_learned, nothing_learned, opens, passes,
                     patient_sends, poll, resident, stopped)
from network import GATEWAY_LAN4
from processes import wait_for
from tlsclient import TlsClient

STREAM = int(os.environ.get("LAB_STREAM_MB", "300"))
TWO_ROOMS = {"policy": {"scope": "room"}, 'room "診察室2"': {"clients": ["192.168.10.22", "fd00:10::22"]}}


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
    # browsers make https of http by themselves
    equal(opens(lab, plain.replace("http:", "https:")).status, 403)


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
    link, path = arrives("/brotli/feed.json")
    lab.chat.put("feed.json", message(link))
    answer = lab.curl("clinician", "-H", "Accept-Encoding: br", "https://%s%s" % (HOST, path))
    equal(answer.field("Content-Encoding"), "br", answer.head)
    number += 1
    raw = zlib.compressobj(wbits=-15)
    codings = {"gzip": gzip.compress, "deflate": zlib.compress,
               "raw": lambda body: raw.compress(body) + raw.flush(), "zstd": zstd}
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


def zstd(body):
    return subprocess.run(["zstd", "--stdout", "--quiet"], input=body, stdout=subprocess.PIPE, check=True).stdout


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


@case()
def link_in_other_forms_of_text(lab):
    """JSON as a script, UTF-16, base64, and a picture that is text; of another script nothing is read."""
    kinds = {
        "text/javascript": b'/**/ typeof cb === "function" && cb({"t":"%s"})',
        "application/javascript": b'cb({"t":"%s"});', "text/plain; charset=utf-16le": "utf-16-le",
        "application/json; charset=utf-16": "utf-16-be", "application/json; x=1": "utf-16",
        "application/json; x=2": "base64",
        "image/svg+xml": b"<svg xmlns='http://www.w3.org/2000/svg'><a xlink:href='%s'><path/></a></svg>",
    }
    equal(missed_kinds(lab, kinds), [])
    equal(missed_kinds(lab, {"text/javascript": b'render({"t":"%s"})'}, "-script"), ["text/javascript"])
    check(len(lab.collector.records(event="learned")) == len(kinds))


def in_form(form, link):
    if isinstance(form, bytes):
        return form % link.encode()
    if form == "base64":
        return b'{"body":"%s"}' % base64.b64encode(("見て " + link).encode())
    mark = b"\xfe\xff" if form == "utf-16-be" else b""
    return mark + ('{"t":"%s"}' % link).encode(form)


def missed_kinds(lab, kinds, name="-kind"):
    missed = []
    for number, (media, form) in enumerate(kinds.items()):
        link = "%s%s%d" % (LINK, name, number)
        lab.chat.replies["kind?callback=cb"] = Reply([in_form(form, link)], media=media)
        poll(lab, "/origin/kind?callback=cb", "-H", "Sec-Fetch-Mode: cors", "-H", "Sec-Fetch-Dest: empty")
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


@case({"policy": {"typed-for": "2s"}})
def what_comes_later_is_the_patients(lab):
    """Who typed a link explains its echo, on each device and however often; not what comes afterwards."""
    forms = {"json": ("application/json", '{"text":"%s"}'), "text": ("text/plain", "%s"),
             "form": ("application/x-www-form-urlencoded", "text=%s")}
    links = []
    for name, (media, form) in forms.items():
        links.append("%s&by-%s" % (LINK, name))
        text = form % (urllib.parse.quote(links[-1], safe="") if name == "form" else links[-1])
        began = time.monotonic()
        equal(poll(lab, "/origin/messages", "-H", "Content-Type: " + media, "--data-binary", text).text, text)
        lab.chat.put("feed.json", message(links[-1]))
        for client in ("clinician", "phone"):
            poll(lab, "/plain/feed.json", client=client)
        if time.monotonic() - began < 1.5:
            nothing_learned(lab, links[-1], 0.2)
    time.sleep(2.5)
    for link in links:
        lab.chat.put("feed.json", message(link))
        poll(lab, "/plain/feed.json", client="phone")
        is_learned(lab, link)
        stopped(lab, link)
    # and it stays so, who ever types it again
    poll(lab, "/origin/messages", "-H", "Content-Type: text/plain", "--data-binary", links[0])
    stopped(lab, links[0], times=4)


@case({"policy": {"typed-for": "0s"}})
def typing_can_explain_nothing(lab):
    poll(lab, "/origin/messages", "-H", "Content-Type: text/plain", "--data-binary", LINK)
    is_learned(lab)
    stopped(lab)


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
    """Of a released link, answered in each of these ways: the targets that were not learned."""
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

def registry_after(lab, registry):
    with contextlib.suppress(AssertionError, ValueError):
        return lab.gateway.pids("registry") not in ([], [registry])
    return False


@case(deaths=True)
def learned_survives_kills_and_restarts(lab):
    patient_sends(lab)
    is_learned(lab)
    stopped(lab, times=8)
    registry = lab.gateway.pids("registry")[0]
    os.kill(registry, signal.SIGKILL)
    stopped(lab, times=4)
    wait_for(lambda: registry_after(lab, registry), 10, "a new registry")
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


@case(deaths=True, seconds=60)
def learned_while_the_registry_is_away(lab):
    """What one worker saw arrive just then is not forgotten: the other one and the store get it too."""
    kept = TlsClient(lab.network.connect("clinician", lab.address(HOST), 443), HOST,
                     lab.trust("clinic")).handshake()
    links = ["%s&away=%d" % (LINK, number) for number in range(6)]
    lab.chat.put("feed.json", message("none"))
    equal(kept.get(HOST, "/plain/feed.json", close=False)[0], 200)
    registry = lab.gateway.pids("registry")[0]
    os.kill(registry, signal.SIGKILL)
    for link in links:
        lab.chat.put("feed.json", message(link))
        equal(kept.get(HOST, "/plain/feed.json", close=False)[0], 200)
    kept.close()
    wait_for(lambda: registry_after(lab, registry), 10, "a new registry")
    for link in links:  # the registry tells the workers before it writes the line
        lab.collector.wait(15, event="learned", url_sha256=digest(link))
    time.sleep(0.1)
    for link in links:
        stopped(lab, link, clients=("phone",), times=6)
    equal(lab.gateway.stop(), 0)
    lab.gateway.start()
    for link in links:
        stopped(lab, link, clients=("phone",), times=2)


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


@case()
def picture_that_nobody_can_open(lab):
    """A code in it would not be found: the record says that something was not looked through."""
    examiner_or_skip(lab)
    lab.chat.put("code.avif", b"\0\0\0\x1cftypavif" + bytes(1000))
    poll(lab, "/plain/code.avif")
    record = lab.collector.wait(event="error", service="telemed")
    check("could not be looked through" in record["detail"], record)


# --- size ---

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
