# SPDX-License-Identifier: BSD-2-Clause
#
# A link that looks otherwise when it is opened than when it was said; what a stranger must not be
# able to block; messages and pictures that are not declared as what they are.

import zlib

from case import case, check, equal, reached
from chat import HOST, Reply, code, message
from gateway import SERVICES
from http2 import Http2Client, Http2Origin
from learned import EHR, LINK, OTHER, is_learned, opens, passes, patient_sends, poll, stopped
from processes import wait_for


@case()
def the_browser_writes_it_otherwise(lab):
    """http that a browser makes https; dots; letters that are escaped, or not."""
    for number, (said, asked) in enumerate((
            ("http://%s/alt?u%d", "https://%s/alt?u%d"),
            ("https://%s/x/%%2e%%2e/alt?u%d", "https://%s/alt?u%d"),
            ("https://%s/./%%61lt?u%d", "https://%s/alt?u%d"),
            ("https://%s:0000443/alt?u%d", "https://%s/alt?u%d"),
            ("https://%s/alt?u%d{x}", "https://%s/alt?u%d%%7Bx%%7D"),
            ("https://%s/alt?u%d\u200bx", "https://%s/alt?u%d%%E2%%80%%8Bx"),
            ("https://%s/alt?u%d)x", "https://%s/alt?u%d)x"),
            ("https://%s/alt?u%d x", "https://%s/alt?u%d%%20x"))):
        asked = asked % (EHR, number)
        passes(lab, asked, clients=("phone",))
        lab.chat.put("feed.json", message("見て", url=said % (EHR, number)))
        poll(lab, "/plain/feed.json")
        lab.collector.wait(event="learned")
        answer = opens(lab, asked, client="phone", times=2)
        equal((answer.status, answer.field("Sekisho-Reason")), (403, "patient-link"), said, answer)
    passes(lab, OTHER)


@case()
def a_long_link_blocks_no_host_of_the_clinic(lab):
    """Too long to be kept: what begins like it is stopped, and nothing else of a host that is listed."""
    long_link = LINK + "&" + "x" * 6000
    patient_sends(lab, long_link)
    lab.collector.wait(event="learned")
    equal(opens(lab, long_link).status, 403)
    passes(lab, OTHER)
    passes(lab, LINK)


@case()
def message_of_a_type_that_is_not_known(lab):
    for number, media in enumerate(("application/x-thrift", "application/x-protobuf",
                                    "application/x-amz-json-1.1", "whatever")):
        link = "%s&type=%d" % (LINK, number)
        lab.chat.replies["x"] = Reply([b"\x12\x0b" + link.encode() + b"\x1a\0"], media=media)
        poll(lab, "/origin/x")
        is_learned(lab, link)


@case()
def code_in_a_picture_that_is_not_declared(lab):
    """As files often are; cut anywhere, compressed or not."""
    for number, media in enumerate(("application/octet-stream", "binary/octet-stream", "", "text/plain")):
        link = "https://%s/echo?code=%d" % (EHR, number)
        picture = code(link, "jpeg" if number % 2 else "png")
        lab.chat.replies["x"] = Reply([picture[:1], 0.05, picture[1:9], 0.05, picture[9:]], media=media)
        equal(poll(lab, "/origin/x").body, picture)
        is_learned(lab, link, kind="code")
        stopped(lab, link, clients=("phone",))


@case()
def codings_in_several_fields(lab):
    """They are one list, for the browser as for whoever looks through."""
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(message(LINK)) + packer.flush()
    lab.chat.replies["x"] = Reply([packed], Content_Encoding="identity", content_Encoding="gzip")
    check(b"messages" in poll(lab, "/origin/x").body)
    is_learned(lab)
    for words, wanted in ((("gzip", "br;q=0.5"), "gzip, br;q=0.5"), (("x-none", "deflate, y"), "deflate"),
                          (("x", "y"), "identity"), (("br, gzip", "x"), "br, gzip")):
        del lab.chat.asked[:]
        fields = [word for value in words for word in ("-H", "Accept-Encoding: " + value)]
        reached(lab, lab.curl("clinician", *fields, "https://%s/origin/x" % HOST))
        equal(lab.chat.asked[0].get_all("Accept-Encoding"), [wanted], words)


STREAMS = "streams.example-clinic.jp"
TENANT = SERVICES.replace('    reviewed = "2026-11-01"\n', """
    header "Restrict-Access-To-Tenants" { value = "clinic.example.jp" hosts = { "%s" } }
    reviewed = "2026-11-01"
""" % STREAMS, 1)


@case(services=TENANT)
def a_trailer_names_no_tenant(lab):
    """What the gateway says of the clinic's tenant is not said again behind the body."""
    with Http2Origin(lab, STREAMS) as origin:
        client = Http2Client(lab, STREAMS)
        stream = client.ask("/silent", "POST", body=b"x", end=False)
        client.send_trailer(stream, ("x-sum", "7"), ("restrict-access-to-tenants", "evil.example"))
        wait_for(lambda: origin.trailers, 5, "the trailer")
        equal(origin.trailers, [{"x-sum": "7"}])
        client.close()
