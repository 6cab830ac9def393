# SPDX-License-Identifier: BSD-2-Clause
#
# What the collector received: RFC 5424 lines, parsed strictly into dictionaries. A line that is not
# well-formed is kept as a fault, and a test that reads the log sees it.

import os
import re

from processes import wait_for

HEADER = re.compile(
    r"<(?P<pri>[0-9]{1,3})>1 "
    r"(?P<time>-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})) "
    r"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<pid>[!-~]{1,128}) (?P<id>[!-~]{1,32}) ")
NAME = re.compile(r"[!#-<>-\\^-~]{1,32}")  # printable ASCII but '=', ']', '"'


class Malformed(Exception):
    pass


def parse(line):
    """A dictionary of the element's parameters, and the header's parts under names with a colon."""
    header = HEADER.match(line)
    if not header or int(header["pri"]) > 191:
        raise Malformed("header: " + line[:80])
    fields = {":" + name: header[name] for name in ("pri", "time", "host", "app", "pid", "id")}
    at = header.end()
    if line[at:at + 1] == "-":
        at += 1
    elif line[at:at + 1] != "[":
        raise Malformed("no structured data: " + line[:120])
    while line[at:at + 1] == "[":
        at = _element(line, at + 1, fields)
    if at < len(line) and line[at] != " ":
        raise Malformed("after structured data: " + line[at:at + 40])
    fields[":message"] = line[at + 1:]
    return fields


def _element(line, at, fields):
    name = NAME.match(line, at)
    if not name:
        raise Malformed("element name")
    fields.setdefault(":element", name[0])
    at = name.end()
    while line[at:at + 1] == " ":
        name = NAME.match(line, at + 1)
        if not name or line[name.end():name.end() + 2] != '="':
            raise Malformed("parameter at " + line[at:at + 40])
        value, at = _value(line, name.end() + 2)
        if name[0] in fields:
            raise Malformed("parameter twice: " + name[0])
        fields[name[0]] = value
    if line[at:at + 1] != "]":
        raise Malformed("element is not closed at " + line[at:at + 40])
    return at + 1


def _value(line, at):
    out = []
    while at < len(line):
        char = line[at]
        if char == '"':
            return "".join(out), at + 1
        if char == "]":
            raise Malformed("] is not escaped")
        if char == "\\" and line[at + 1:at + 2] in ('"', "\\", "]"):
            at += 1
            char = line[at]
        if ord(char) < 0x20:
            raise Malformed("control character in a value")
        out.append(char)
        at += 1
    raise Malformed("value is not closed")


class Collector:
    """rsyslogd in the gateway namespace: TCP (octet counting) and UDP on port 5140, raw lines to a file."""

    PORT = 5140

    def __init__(self, lab):
        self.lab = lab
        self.folder = os.path.join(lab.folder, "collector")
        self.path = os.path.join(self.folder, "raw.log")
        self._mark = 0

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        config = os.path.join(self.folder, "rsyslog.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("""
global(workDirectory="%s" net.enableDNS="off" maxMessageSize="64k"
       parser.escapeControlCharactersOnReceive="off")
module(load="imtcp" MaxSessions="64")
module(load="imudp")
template(name="raw" type="string" string="%%rawmsg%%\\n")
ruleset(name="keep") { action(type="omfile" file="%s" template="raw" asyncWriting="off") }
input(type="imtcp" port="%d" ruleset="keep")
input(type="imudp" port="%d" ruleset="keep")
""" % (self.folder, self.path, self.PORT, self.PORT))
        with open(self.path, "ab"):
            pass
        self._mark = os.path.getsize(self.path)
        self.process = self.lab.processes.start(
            "gateway", "rsyslogd", ["rsyslogd", "-n", "-f", config, "-i", "NONE"])
        wait_for(self._answers, 10, lambda: "rsyslogd: " + self.process.output())

    def _answers(self):
        try:
            self.lab.network.connect("gateway", "127.0.0.1", self.PORT, 1).close()
            return True
        except OSError:
            return False

    def clear(self):
        self._mark = os.path.getsize(self.path)

    def lines(self):
        with open(self.path, "rb") as file:
            file.seek(self._mark)
            text = file.read()
        return text[:text.rfind(b"\n") + 1].decode("utf-8", errors="strict").splitlines()

    def records(self, **wanted):
        """The records whose fields have these values; underscores in names stand for hyphens."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        records = [parse(line) for line in self.lines()]
        return [record for record in records
                if all(record.get(name) == value for name, value in wanted.items())]

    def wait(self, seconds=5, **wanted):
        """The first record with these values, as soon as it is there."""
        def what():
            return "a record with %r; there are %r" % (wanted, [
                {k: r[k] for k in ("event", "reason", "host", "client", "detail") if k in r}
                for r in self.records()][-8:])
        return wait_for(lambda: self.records(**wanted), seconds, what)[0]
