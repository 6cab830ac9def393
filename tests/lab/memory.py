# SPDX-License-Identifier: BSD-2-Clause
#
# The memory of a process, as root sees it, and a private key in every form that it might have there.

import base64
import re
import subprocess


def regions(pid):
    with open("/proc/%d/maps" % pid, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not found or "[vvar" in line or "[vsyscall" in line:
                continue
            begin, end = int(found[1], 16), int(found[2], 16)
            if end - begin < 1 << 32:   # more is a sanitizer's shadow, of holes
                yield begin, end


def search(pid, forms):
    """{name of a form: how often it is in the memory of the process}, and how much was read."""
    found, size = dict.fromkeys(forms, 0), 0
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for begin, end in regions(pid):
            try:
                memory.seek(begin)
                held = memory.read(end - begin) or b""
            except (OSError, ValueError, OverflowError):
                continue        # a fence, or what is no memory
            size += len(held)
            for name, form in forms.items():
                found[name] += held.count(form)
    return found, size


def forms_of_key(path):
    """An EC key as a number in either order of bytes, as DER, as PEM, and as a person would write it."""
    der = subprocess.run(["openssl", "pkey", "-in", path, "-outform", "DER"], check=True,
                         stdout=subprocess.PIPE).stdout
    text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    digits = re.search(r"priv:\s*((?:[0-9a-f]{2}[:\s]+)+)", text + "\n")[1]
    number = bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits)).rjust(32, b"\0")[-32:]
    with open(path, "rb") as file:
        lines = [line for line in file.read().splitlines() if line and not line.startswith(b"-")]
    return {"number": number, "limbs": number[::-1], "der": der, "pem": b"\n".join(lines),
            "pem line": lines[0], "base64": base64.b64encode(number).rstrip(b"=")[:-1],
            "hexadecimal": number.hex().encode()}
