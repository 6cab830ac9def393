# SPDX-License-Identifier: BSD-2-Clause
#
# What firmware/build has made, and the versions and updates that the checks make of it.

import os
import re
import shutil
import subprocess
import sys

from ground import FIRMWARE


def change(root, path, pattern, text):
    """One of the system's scripts; what is to be changed must be there."""
    path = os.path.join(root, path)
    with open(path, encoding="ascii") as file:
        changed, count = re.subn(pattern, text, file.read())
    if count == 0:
        raise RuntimeError("%s has no %s" % (path, pattern))
    with open(path, "w", encoding="ascii") as file:
        file.write(changed)


def impatient(root):
    """It would wait five minutes until it gives up."""
    change(root, "usr/lib/sekisho/trial", "(?m)^PATIENCE=.*$", "PATIENCE=120")


def without_resolver(root):
    """Never healthy."""
    os.unlink(os.path.join(root, "usr/sbin/dnsmasq"))
    impatient(root)


def without_disk(root):
    """As if it had no driver for it."""
    change(root, "usr/lib/sekisho/boot", "PARTNAME=sekisho-esp", "PARTNAME=another")
    impatient(root)


VERSIONS = {  # name: (version, sequence, what the kernel is told besides, what is changed in the system)
    "good": ("0.1.1", 2, "", None),
    # There is no such first program: the kernel panics.
    "panic": ("0.1.2", 3, "rdinit=/nothing", None),
    "ill": ("0.1.3", 4, "", without_resolver),
    "lost": ("0.1.4", 5, "", without_disk),
}


class Image:
    """What firmware/build has made; keys/ beside it holds the test's own signers."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = os.path.join(folder, "keys")
        self.parts = os.path.join(folder, "parts")
        self.disk = os.path.join(folder, "sekisho.img")
        with open(os.path.join(self.parts, "release"), encoding="ascii") as file:
            self.release = dict(line.rstrip("\n").split("=", 1) for line in file)
        self.machine = self.release["device"].removeprefix("sekisho-")

    def variant(self, work, edit=None, **changes):
        """Parts whose release says something else; edit(root) may change the files of its system."""
        parts = os.path.join(work, "parts")
        shutil.rmtree(parts, ignore_errors=True)
        os.makedirs(parts)
        for name in os.listdir(self.parts):
            os.symlink(os.path.join(self.parts, name), os.path.join(parts, name))
        with open(os.path.join(self.parts, "release"), encoding="ascii") as file:
            text = file.read()
        for name, value in changes.items():
            text = re.sub("(?m)^%s=.*$" % name, "%s=%s" % (name, value), text)
        os.unlink(os.path.join(parts, "release"))
        with open(os.path.join(parts, "release"), "w", encoding="ascii") as file:
            file.write(text)
        if edit:
            root, squashfs = os.path.join(work, "root"), os.path.join(parts, "root.squashfs")
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(os.path.join(self.folder, "root"), root, symlinks=True)
            edit(root)
            os.unlink(squashfs)
            subprocess.run(["mksquashfs", root, squashfs, "-noappend", "-all-root", "-no-xattrs", "-comp",
                            "gzip", "-quiet", "-no-progress"], check=True)
            shutil.rmtree(root)
        return parts

    def _bundle(self, parts, payload, target, signer="development"):
        tool("bundle", parts, payload, os.path.join(self.keys, signer + ".pem"),
             os.path.join(self.keys, signer + ".key"), target)

    def bundle(self, work, version, sequence, words="", edit=None):
        """The path of an update: the image under another version, with these words for the kernel."""
        os.makedirs(work, exist_ok=True)
        parts = self.variant(work, edit, version=version, sequence=sequence)
        payload, target = (os.path.join(work, version + ending) for ending in (".efi", ".bundle"))
        tool("uki", parts, payload, COMMAND_LINE=words)
        self._bundle(parts, payload, target)
        return target

    def bundles(self, work):
        """{name: path} of updates, good and bad."""
        os.makedirs(work, exist_ok=True)
        found = {}
        small = os.path.join(work, "small")
        with open(small, "wb") as file:
            file.write(os.urandom(65536))
        for name, (version, sequence, words, edit) in VERSIONS.items():
            found[name] = self.bundle(work, version, sequence, words, edit)
        for name, signer, changes in (
                ("foreign", "stranger", {"sequence": 9, "version": "9"}),
                ("older", "development", {"sequence": 1, "version": "0.0.9"}),
                ("device", "development", {"sequence": 9, "version": "9", "device": "sekisho-riscv64"}),
                ("cut", "development", {"sequence": 9, "version": "9"})):
            found[name] = os.path.join(work, name + ".bundle")
            self._bundle(self.variant(work, **changes), small, found[name], signer)
        os.truncate(found["cut"], os.path.getsize(found["cut"]) - 1000)
        found["damaged"] = os.path.join(work, "damaged.bundle")
        with open(found["good"], "rb") as file:
            content = bytearray(file.read())
        content[len(content) // 2] ^= 1
        with open(found["damaged"], "wb") as file:
            file.write(content)
        found["nothing"] = small
        return found


def tool(name, *words, **environment):
    done = subprocess.run(["sh", os.path.join(FIRMWARE, name), *words], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, **environment})
    if done.returncode != 0:
        raise RuntimeError("firmware/%s: %s" % (name, done.stdout.decode(errors="replace")[-2000:]))


def prepare(options, work):
    if options.image:
        return Image(os.path.abspath(options.image))
    folder = os.path.join(work, "image")
    keys = os.path.join(folder, "keys")
    for name in ("development", "stranger"):
        tool("keys", keys, name)
    done = subprocess.run(["sh", os.path.join(FIRMWARE, "build"), "--output", folder, "--architecture",
                           options.architecture, "--version", "0.1.0",
                           "--update-ca", os.path.join(keys, "development-ca.pem")], check=False)
    if done.returncode != 0:
        print("not ok build: firmware/build ended with %d" % done.returncode)
        sys.exit(1)
    return Image(folder)
