# SPDX-License-Identifier: BSD-2-Clause
#
# The groups of firmware/test: what is booted, and which checks meet it.

import os
import re
import shutil
import subprocess
import sys

import checks
from ground import HERE, copy_disk, stick


VERSIONS = {  # name: (version, sequence, what the kernel is told besides)
    "good": ("0.1.1", 2, ""),
    # There is no such first program: the kernel panics.
    "panic": ("0.1.2", 3, "rdinit=/nothing"),
}


class Image:
    """What firmware/build has made; keys/ beside it holds the test's own signers."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = os.path.join(folder, "keys")
        self.parts = os.path.join(folder, "parts")
        self.disk = os.path.join(folder, "sekisho.img")

    def variant(self, work, **changes):
        """Parts whose release says something else."""
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
        return parts

    def _bundle(self, parts, payload, target, signer="development"):
        tool("bundle", parts, payload, os.path.join(self.keys, signer + ".pem"),
             os.path.join(self.keys, signer + ".key"), target)

    def bundles(self, work):
        """{name: path} of updates, good and bad."""
        os.makedirs(work, exist_ok=True)
        found = {}
        small = os.path.join(work, "small")
        with open(small, "wb") as file:
            file.write(os.urandom(65536))
        for name, (version, sequence, words) in VERSIONS.items():
            parts = self.variant(work, version=version, sequence=sequence)
            payload = os.path.join(work, name + ".efi")
            tool("uki", parts, payload, COMMAND_LINE=words)
            found[name] = os.path.join(work, name + ".bundle")
            self._bundle(parts, payload, found[name])
        for name, signer, changes in (
                ("foreign", "stranger", {"sequence": 9, "version": "9"}),
                ("older", "development", {"sequence": 1, "version": "0.0.9"}),
                ("device", "development", {"sequence": 9, "version": "9", "device": "sekisho-aarch64"}),
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
    done = subprocess.run(["sh", os.path.join(HERE, name), *words], check=False, stdout=subprocess.PIPE,
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
    done = subprocess.run(["sh", os.path.join(HERE, "build"), "--output", folder, "--version", "0.1.0",
                           "--update-ca", os.path.join(keys, "development-ca.pem")], check=False)
    if done.returncode != 0:
        print("not ok build: firmware/build ended with %d" % done.returncode)
        sys.exit(1)
    return Image(folder)


def updates(ground, perform):
    """On a device that already has its identity: what is installed, tried, blessed and left again."""
    bundles = ground.image.bundles(os.path.join(ground.work, "bundles"))
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "updates.img"))
    usb = stick(os.path.join(ground.work, "stick.img"),
                {name + ".bundle": path for name, path in bundles.items()}, 160)
    ground.boot(disk, "updates", slow=ground.options.slow, stick=usb)
    ground.machine.ready(600)
    for function in (checks.it_is_healthy, checks.it_takes_a_configuration, *checks.UPDATES,
                     checks.a_factory_reset_makes_everything_anew):
        if not perform(function, ground) and function is checks.it_is_healthy:
            return


def main_job(ground, perform):
    disk = copy_disk(ground.image.disk, os.path.join(ground.work, "main.img"))
    ground.boot(disk, "main", slow=ground.options.slow)
    for function in checks.FIRST:
        if not perform(function, ground) and function is checks.FIRST[0]:
            return
    for function in checks.CONFIGURED:
        perform(function, ground)


SNAKEOIL = "/usr/share/ovmf/PkKek-1-snakeoil"  # OVMF's own test key; its passphrase is its name
ENROLLED = ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")


def secure_boot(ground, perform):
    """With OVMF's test key enrolled: what is signed by it starts, what is not or was altered does not."""
    work = os.path.join(ground.work, "secure")
    os.makedirs(work, exist_ok=True)
    key, certificate = os.path.join(work, "key"), SNAKEOIL + ".pem"
    subprocess.run(["openssl", "pkey", "-in", SNAKEOIL + ".key", "-passin", "pass:snakeoil", "-out", key],
                   check=True)
    signing = {"SECURE_BOOT_KEY": key, "SECURE_BOOT_CERTIFICATE": certificate}
    parts = ground.image.variant(work)
    loader = os.path.join(parts, "systemd-bootx64.efi")
    plain = os.path.realpath(loader)
    os.unlink(loader)
    subprocess.run(["sbsign", "--key", key, "--cert", certificate, "--output", loader, plain], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signed, unsigned = os.path.join(work, "signed.efi"), os.path.join(work, "unsigned.efi")
    tool("uki", parts, signed, **signing)
    tool("uki", parts, unsigned)
    altered = os.path.join(work, "altered.efi")
    with open(signed, "rb") as file:
        content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    with open(altered, "wb") as file:
        file.write(content)

    def boot(uki, name):
        disk = os.path.join(work, name + ".img")
        tool("disk", parts, uki, disk)
        return ground.boot(disk, "secure-" + name, slow=ground.options.slow, firmware=ENROLLED)

    def a_signed_version_starts():
        machine = boot(signed, "signed")
        machine.menu(400)
        machine.shell()
        # The last byte of the variable: 1 where Secure Boot is on.
        said = machine.run("hexdump -v -e '/1 \"%d \"' /sys/firmware/efi/efivars/SecureBoot-*")
        checks.equal(said.split()[-1], "1", said)
        machine.kill()

    def refused(uki, name):
        machine = boot(uki, name)
        machine.wait(r"Error loading \\EFI\\Linux\\sekisho_[^\n]*: Access Denied", 200)
        machine.drain(30)
        machine.kill()
        checks.check("9 start again" not in machine.text, machine.text[-500:])

    def an_unsigned_version_does_not():
        refused(unsigned, "unsigned")

    def an_altered_version_does_not():
        refused(altered, "altered")

    for function in (a_signed_version_starts, an_unsigned_version_does_not, an_altered_version_does_not):
        perform(function)


GROUPS = {"secure": secure_boot, "main": main_job, "updates": updates}
