# SPDX-License-Identifier: BSD-2-Clause
#
# A consultation in Chromium and in Firefox (point 2 of what the gateway must show), how long it lasts,
# how far it reaches, and the releases that a person grants.

import os
import time

from browser import Browser
from case import NAVIGATE, blocked, call, case, check, equal, not_reached, reached
from firefox import Firefox
from lab import build_folder
from network import CLIENTS
from origins import FILES
from processes import wait_for

LINK = "https://www.patient-link.example/present?x=1"


def screen(name):
    return os.path.join(build_folder(), "lab", "screens", name + ".png")


def over(lab, browser):
    """The page came over the version of HTTP that the sites speak now, also in the browser's eyes."""
    equal(browser.protocol(), "h2" if lab.origins.http2 else "http/1.1")


def consultation(lab, kind):
    """The clinician's call in one browser; the phone's same browser, once the call is over."""
    name = kind.__name__.lower() + ("-h2" if lab.origins.http2 else "")
    with kind(lab, "clinician") as browser:
        equal(browser.get("https://call.telemed.example/room/1"), None)
        over(lab, browser)
        wait_for(lambda: browser.text("#state") == "通話中", 10, lambda: browser.text("#state"))
        lab.collector.wait(event="consultation-on")

        browser.click("#patient-link", new_window=True)
        check("PATIENT-PAGE-REACHED" not in browser.source(), "the patient's page was reached")
        record = lab.collector.wait(event="block", reason="link-from-consultation")
        check(record["incident"].lstrip("#") in browser.text(), "the page shows", record["incident"],
              browser.text())
        over(lab, browser)
        browser.screenshot(screen("block-page-link-" + name))

        browser.get(LINK)
        check("PATIENT-PAGE-REACHED" not in browser.source(), "pasted")
        lab.collector.wait(event="block", reason="unverified-destination", kind="navigation")
        browser.screenshot(screen("block-page-pasted-" + name))

        browser.get("https://bit.ly/3xYzAbC")
        lab.collector.wait(event="block", reason="denied-destination")

        equal(browser.get("https://ehr.example-clinic.jp/"), None)
        equal(browser.text("#ehr"), "電子カルテ")
        over(lab, browser)
        check(browser.fetch("/" + "big.bin").endswith(str(len(lab.origins.big))), "a large body by fetch")

        browser.get("https://files.example.net/setup.pdf")
        lab.collector.wait(event="block", reason="type-mismatch", host="files.example.net")
        browser.screenshot(screen("block-page-file-" + name))
        browser.get("https://files.example.net/records.zip")
        lab.collector.wait(event="block", reason="unknown-download", host="files.example.net")
        check("PATIENT-PAGE-REACHED" not in browser.source() and browser.text("h1"), "the page of a download")

        browser.first_window()
        check(int(browser.text("#beats")) >= 1, "the call went on all the while")
        equal(browser.text("#state"), "通話中")
    check(not lab.origins.requests("www.patient-link.example"), "the patient's site got a request")
    not_reached(lab, "bit.ly")
    with kind(lab, "phone", language="en") as phone:
        # The call page is closed; the phone is judged within linger, then follows `outside`.
        lab.collector.wait(30, event="consultation-off")
        phone.get(LINK)
        check("PATIENT-PAGE-REACHED" in phone.source(), "outside = inspect lets it through", phone.url())
        over(lab, phone)


@case({"policy": {"linger": "4s"}}, seconds=120)
def chromium_sees_a_consultation_through(lab):
    consultation(lab, Browser)


@case({"policy": {"linger": "4s"}}, seconds=180)
def firefox_sees_a_consultation_through(lab):
    consultation(lab, Firefox)


@case(seconds=120)
def firefox_saves_what_is_allowed(lab):
    """A file that is listed arrives whole during a call, one that is not meets the page."""
    with Firefox(lab, "clinician") as browser:
        equal(browser.get("https://ehr.example-clinic.jp/"), None)
        over(lab, browser)
        call(lab)
        browser.run("location.href = arguments[0]; arguments[1]();", "https://labo.example.jp/real.pdf")
        equal(wait_for(browser.downloaded, 10, "the file"), {"real.pdf": FILES["real.pdf"][0]})
        browser.get("https://files.example.net/records.zip")
        lab.collector.wait(event="block", reason="unknown-download", host="files.example.net")
        equal(list(browser.downloaded()), ["real.pdf"])


@case(seconds=120)
def firefox_address_bar(lab):
    """Typed by hand, before and during a call."""
    with Firefox(lab, "clinician") as browser:
        browser.type_address(LINK)
        wait_for(lambda: "PATIENT-PAGE-REACHED" in browser.source(), 15, browser.url)
        over(lab, browser)
        call(lab)
        lab.origins.clear()
        browser.type_address(LINK + "&again")
        record = lab.collector.wait(10, event="block", reason="unverified-destination")
        equal((record["kind"], record.get("from")), ("navigation", "none"), record)
        wait_for(lambda: record["incident"].lstrip("#") in browser.text(), 10, browser.text)
        equal(lab.origins.requests("www.patient-link.example"), [])


def phone_elsewhere(lab, kind):
    call(lab)
    with kind(lab, "phone", language="en") as phone:
        phone.get(LINK)
        check('lang="en"' in phone.source() and "PATIENT-PAGE" not in phone.source(), phone.text())
        over(lab, phone)
        phone.screenshot(screen("block-page-phone-" + kind.__name__.lower()))
    record = lab.collector.wait(event="block", reason="unverified-destination")
    check(record["client"] in CLIENTS["phone"], record)


@case({"policy": {"linger": "10min"}}, seconds=120)
def phone_elsewhere_on_the_lan_is_blocked_too(lab):
    phone_elsewhere(lab, Browser)


@case({"policy": {"linger": "10min"}}, seconds=120)
def firefox_elsewhere_on_the_lan_is_blocked_too(lab):
    phone_elsewhere(lab, Firefox)


@case({"policy": {"linger": "2s"}})
def linger_ends(lab):
    call(lab)
    blocked(lab, lab.curl("clinician", *NAVIGATE, LINK), "unverified-destination")
    lab.collector.wait(10, event="consultation-off")
    time.sleep(0.2)
    reached(lab, lab.curl("clinician", *NAVIGATE, LINK))


@case({"policy": {"linger": "2s"}})
def open_call_keeps_the_consultation(lab):
    """As long as the call's connection lives, linger does not begin."""
    from tlsclient import TlsClient
    host = "call.telemed.example"
    client = TlsClient(lab.network.connect("clinician", lab.address(host), 443), host,
                       lab.trust("clinic")).handshake()
    lab.collector.wait(event="consultation-on")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        equal(client.get(host, "/api/beat", close=False)[0], 200)
        blocked(lab, lab.curl("phone", *NAVIGATE, LINK), "unverified-destination")
        time.sleep(0.3)
    client.close()
    lab.collector.wait(10, event="consultation-off")


@case({"policy": {"scope": "room"}, 'room "診察室2"': {"clients": ["192.168.10.22", "fd00:10::22"]}})
def scope_of_a_room(lab):
    call(lab, "clinician")
    blocked(lab, lab.curl("clinician", *NAVIGATE, LINK), "unverified-destination")
    reached(lab, lab.curl("phone", *NAVIGATE, LINK))


@case({"policy": {"scope": "client"}})
def scope_of_a_client(lab):
    call(lab, "clinician")
    blocked(lab, lab.curl("clinician", "-4", *NAVIGATE, LINK), "unverified-destination")
    blocked(lab, lab.curl("clinician", "-6", *NAVIGATE, LINK), "unverified-destination")
    reached(lab, lab.curl("other", *NAVIGATE, LINK))


@case()
def consultation_survives_a_registry_and_a_restart(lab):
    call(lab)
    status = lab.gateway.stop()
    equal(status, 0)
    lab.gateway.start()
    blocked(lab, lab.curl("clinician", *NAVIGATE, LINK), "unverified-destination")


# --- releases ---

def each_worker(lab, wanted, client="clinician"):
    """Many fresh connections, so that every worker judges some: all must have this status."""
    statuses = [lab.curl(client, *NAVIGATE, LINK).status for _ in range(12)]
    equal(set(statuses), {wanted}, statuses)


@case()
def release_of_an_incident(lab):
    call(lab)
    record = blocked(lab, lab.curl("clinician", *NAVIGATE, LINK), "unverified-destination")
    lab.gateway.sekisho("release", record["incident"], "--for", "5s", "--reason", "検査結果の確認",
                        "--by", "山田")
    granted = time.monotonic()
    each_worker(lab, 200)
    record = lab.collector.wait(event="allow", reason="released")
    equal(lab.curl("clinician", *NAVIGATE, LINK.replace("x=1", "x=2")).status, 403, "another URL")
    told = lab.collector.wait(event="release")
    equal(told["by"], "山田", told)
    check("山田" in lab.gateway.sekisho("releases"))
    time.sleep(max(0, 5.5 - (time.monotonic() - granted)))
    each_worker(lab, 403)
    lab.collector.wait(event="release-end")


@case()
def release_of_a_host_survives_reload_and_restart(lab):
    call(lab)
    lab.gateway.sekisho("release", "www.patient-link.example", "--for", "30m", "--reason", "確認済み",
                        "--by", "山田")
    each_worker(lab, 200)
    status, out, err = lab.gateway.reload()
    equal(status, 0, out, err)
    each_worker(lab, 200)
    equal(lab.gateway.stop(), 0)
    lab.gateway.start()
    each_worker(lab, 200)
    releases = lab.gateway.ask("releases")["releases"]
    lab.gateway.sekisho("release", "--end", str(releases[0]["id"]))
    time.sleep(0.2)
    each_worker(lab, 403)


@case()
def release_of_a_denied_host(lab):
    equal(lab.curl("clinician", *NAVIGATE, "https://bit.ly/x").status, 403)
    lab.gateway.sekisho("release", "bit.ly", "--for", "1m", "--reason", "r", "--by", "b")
    time.sleep(0.2)
    equal(lab.curl("clinician", *NAVIGATE, "https://bit.ly/x").status, 302)


@case()
def release_needs_a_reason_and_a_name(lab):
    for words in (["--for", "5m", "--by", "x"], ["--for", "5m", "--reason", "x"],
                  ["--reason", "x", "--by", "x", "--for", "31d"], ["--reason", "x", "--by", "x", "--for", "x"]):
        status, out, err = lab.gateway.sekisho("release", "www.patient-link.example", *words, check=False)
        check(status in (1, 2) and (out + err).strip(), words, status, out, err)
    equal(lab.gateway.ask("releases")["releases"], [])


@case(seconds=120)
def link_that_saves(lab):
    """The page names the file, the origin calls it a text: the browser would save it all the same."""
    origin = lab.misbehaving["hostile"]
    page = b"<!DOCTYPE html><title>list</title><a id=link download href='/tools/repair.ps1'>x</a>"
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    with Browser(lab, "clinician") as browser:
        equal(browser.get("https://%s/" % origin.host), None)
        origin.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nstart"
        browser.click("#link")
        record = lab.collector.wait(10, event="block", reason="dangerous-file")
    equal((record["kind"], record["path"]), ("download", "/tools/repair.ps1"))
