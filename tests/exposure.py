# SPDX-License-Identifier: BSD-2-Clause
#
# The service file as systemd sees it: prints `systemd-analyze security` of it, and checks that what
# it takes away is nothing that the daemon itself allows its processes (gateway/sandbox.c), and that
# the figure is not worse than it was. /usr/bin/python3 tests/exposure.py [--all]

import os
import re
import shutil
import subprocess
import sys
import tempfile

MOST = 2.9      # the figure, of 10
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def run(*words):
    return subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**os.environ, "SYSTEMD_COLORS": "0"}).stdout.decode()


def calls_of(word):
    """The system calls of a name or of a group."""
    if not word.startswith("@"):
        return {word}
    found = set()
    for name in re.findall(r"^    ([@\w-]+)$", run("systemd-analyze", "syscall-filter", word), re.M):
        found |= calls_of(name)
    return found


def filtered(unit):
    """Those that the service may make."""
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
        names = set().union(*(calls_of(word) for word in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def main():
    if shutil.which("systemd-analyze") is None:
        print("skip: no systemd-analyze")
        return 77
    unit = read("firmware", "sekishod.service.in")
    for name, path in (("sbin", "/usr/sbin"), ("bin", "/usr/bin"), ("conf", "/etc/sekisho")):
        unit = unit.replace("@%sdir@" % name, path)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sekishod.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write(unit)
        text = run("systemd-analyze", "security", "--offline=yes", path)
    print(text if "--all" in sys.argv else text.strip().splitlines()[-1])
    figure = float(re.search(r"exposure level .*: ([0-9.]+)", text)[1])
    source = read("gateway", "sandbox.c")
    ours = set(re.findall(r"X\((\w+), [A-Z]", source)) | set(re.findall(r"SCMP_SYS\((\w+)\)", source))
    ours -= {"call", "clone3"}
    missing = sorted(ours - filtered(unit))
    if missing:
        print("not ok: the service forbids what the daemon needs: " + " ".join(missing))
    if figure > MOST:
        print("not ok: the figure is over %.1f" % MOST)
    return 1 if missing or figure > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
