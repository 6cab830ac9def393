# SPDX-License-Identifier: BSD-2-Clause
#
# The group "secure": Secure Boot.

import os
import subprocess

from case import check, equal
from image import tool

SNAKEOIL = "/usr/share/ovmf/PkKek-1-snakeoil"  # OVMF's own test key; its passphrase is its name
ENROLLED = {
    "x86_64": ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"),
    "aarch64": ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd"),
}


def run(ground, perform):
    """With OVMF's test key enrolled: what is signed by it starts, what is not or was altered does not."""
    work = os.path.join(ground.work, "secure")
    os.makedirs(work, exist_ok=True)
    key, certificate = os.path.join(work, "key"), SNAKEOIL + ".pem"
    subprocess.run(["openssl", "pkey", "-in", SNAKEOIL + ".key", "-passin", "pass:snakeoil", "-out", key],
                   check=True)
    signing = {"SECURE_BOOT_KEY": key, "SECURE_BOOT_CERTIFICATE": certificate}
    parts = ground.image.variant(work)
    loader = os.path.join(parts, ground.image.release["loader"])
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
        return ground.boot(disk, "secure-" + name, slow=ground.options.slow,
                           firmware=ENROLLED[ground.image.machine])

    def a_signed_version_starts():
        machine = boot(signed, "signed")
        machine.menu(400)
        machine.shell()
        # The last byte of the variable: 1 where Secure Boot is on.
        said = machine.run("hexdump -v -e '/1 \"%d \"' /sys/firmware/efi/efivars/SecureBoot-*")
        equal(said.split()[-1], "1", said)
        machine.kill()

    def refused(uki, name):
        machine = boot(uki, name)
        machine.wait(r"Error loading \\EFI\\Linux\\sekisho_[^\n]*: Access Denied", 200)
        machine.drain(30)
        machine.kill()
        check("9 start again" not in machine.text, machine.text[-500:])

    def an_unsigned_version_does_not():
        refused(unsigned, "unsigned")

    def an_altered_version_does_not():
        refused(altered, "altered")

    for function in (a_signed_version_starts, an_unsigned_version_does_not, an_altered_version_does_not):
        perform(function)
