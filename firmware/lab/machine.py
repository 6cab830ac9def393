# SPDX-License-Identifier: BSD-2-Clause
#
# The image in QEMU, by emulation: its disks, its ports, and what a person sees and types on its
# serial line.

import json
import os
import re
import shutil
import socket
import subprocess
import time

KINDS = {  # machine of the image: QEMU's words for it, its UEFI (code, and variables to begin with)
    "x86_64": (["qemu-system-x86_64", "-cpu", "max"], "q35",
               ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")),
    # The architecture's own algorithm of pointer authentication is slow to emulate.
    "aarch64": (["qemu-system-aarch64", "-cpu", "max,pauth-impdef=on"], "virt",
                ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd")),
}


class MachineError(Exception):
    pass


class Machine:
    """
    `prefix`: words before QEMU's (nice, nsenter). `nets`: QEMU's words for each port, WAN first;
    `first`: the last part of the first one's address on the cable. `direct`: words that give the
    kernel to QEMU, in the place of UEFI. `firmware`: (code, variables) of UEFI; the variables are
    copied once and kept. `recording`: a file that gets every write and flush of the disk (recording.py).
    `state`: goes on where save() of a machine with the same devices has stopped. `turned`: the ports are
    found in the other order.
    """

    def __init__(self, folder, disk, nets=(), memory=256, firmware=None, prefix=(), stick=None,
                 slow=1.0, descriptors=(), first=1, kind="x86_64", direct=(), recording=None, state=None,
                 turned=False):
        self.program, self.board, self.firmware = KINDS[kind]
        self.folder, self.disk, self.nets, self.memory = folder, disk, nets, memory
        self.firmware = firmware or self.firmware
        self.prefix, self.stick, self.slow = list(prefix), stick, slow
        self.descriptors, self.first, self.direct = descriptors, first, list(direct)
        self.recording, self.state = recording, state
        self.turned = turned
        self.variables = os.path.join(folder, "variables.fd")
        self.text = ""
        self.process = self.serial = None
        self._ends = False
        self._mark = self._count = 0
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(self.variables):
            shutil.copy(self.firmware[1], self.variables)

    def words(self):
        words = [
            *self.program, "-accel", "tcg", "-machine", self.board + (
                ",smm=on" if self.board == "q35" and "secboot" in self.firmware[0] else ""),
            "-smp", "1", "-m", str(self.memory), "-nodefaults", "-display", "none",
            *(self.direct or [
                "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + self.firmware[0],
                "-drive", "if=pflash,format=raw,unit=1,file=" + self.variables]),
            *self._disk_words(),
            "-device", "virtio-blk-pci,drive=disk,bootindex=1",
            "-device", "virtio-rng-pci", "-device", "i6300esb", "-watchdog-action", "reset",
            "-action", "reboot=" + ("reset" if self.recording else "shutdown"),
            "-chardev", "socket,id=monitor,path=%s,server=on,wait=off" % self._monitor_path(),
            "-chardev", "socket,id=serial,path=%s,server=on,wait=on" % self._socket_path(),
            "-serial", "chardev:serial", "-mon", "chardev=monitor,mode=control"]
        if self.state:
            words += ["-incoming", "exec:cat " + self.state]
        if self.stick:
            words += ["-drive", "if=none,id=stick,format=raw,file=" + self.stick,
                      "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"]
        for number, net in enumerate(self.nets):
            place = len(self.nets) - 1 - number if self.turned else number
            words += ["-netdev", net + ",id=net%d" % number, "-device",
                      "virtio-net-pci,netdev=net%d,romfile=,mac=52:54:00:00:00:%02x,addr=%#x" % (
                          number, number + self.first, 0x10 + place)]
        return words

    def _disk_words(self):
        if not self.recording:
            return ["-drive", "if=none,id=disk,format=raw,cache=writeback,discard=unmap,detect-zeroes=unmap,file=" +
                    self.disk]
        with open(self.recording, "wb"):
            pass
        # The host's own flushes take no part: the recording has the guest's.
        return ["-blockdev", "driver=file,node-name=file,discard=unmap,cache.no-flush=on,filename=" + self.disk,
                "-blockdev", "driver=file,node-name=log,cache.no-flush=on,filename=" + self.recording,
                "-blockdev", "driver=blklogwrites,node-name=disk,file=file,log=log"]

    def _socket_path(self):
        return os.path.join(self.folder, "serial")

    def _monitor_path(self):
        return os.path.join(self.folder, "monitor")

    def start(self):
        if os.path.exists(self._socket_path()):
            os.unlink(self._socket_path())
        self.log = open(os.path.join(self.folder, "qemu.log"), "ab")  # noqa: SIM115
        self.process = subprocess.Popen([*self.prefix, *self.words()], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, pass_fds=self.descriptors)
        self.serial = socket.socket(socket.AF_UNIX)
        for _ in range(400):
            try:
                self.serial.connect(self._socket_path())
                break
            except OSError:
                if self.process.poll() is not None:
                    raise MachineError("QEMU ended with %s: see %s" % (
                        self.process.returncode, self.log.name)) from None
                time.sleep(0.05)
        else:
            raise MachineError("QEMU opens no serial line")
        self.serial.settimeout(0.2)
        self._mark = len(self.text)
        # What is typed before its state is there is lost.
        while self.state and self._ask(("query-status", {}))["status"] != "running":
            time.sleep(0.2)
        return self

    def read(self):
        """Takes what has come; False when the line is closed."""
        try:
            data = self.serial.recv(65536)
        except socket.timeout:
            return True
        except OSError:
            data = b""
        if not data:
            return self._start_again()
        text = data.decode(errors="replace").replace("\r", "")
        self.text += text
        with open(os.path.join(self.folder, "serial.log"), "a", encoding="utf-8") as file:
            file.write(text)
        return True

    def _start_again(self):
        """
        A guest that starts again ends its QEMU, and another one goes on: in the same one the memory is
        still full of code that was translated, and where a loader then writes, each write looks for it.
        That can take a quarter of an hour.
        """
        if self._ends or self.recording or not self.process:
            return False
        try:
            if self.process.wait(10) != 0:
                return False
        except subprocess.TimeoutExpired:
            return False
        self.serial.close()
        mark, self.state = self._mark, None
        self.start()
        self._mark = mark
        return True

    def drain(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.read():
            pass

    def wait(self, pattern, seconds=120):
        """Until the line says it, after what was waited for before: the match."""
        until = time.monotonic() + seconds * self.slow
        while True:
            found = re.search(pattern, self.text[self._mark:])
            if found:
                self._mark += found.end()
                return found
            if time.monotonic() > until:
                raise MachineError("the machine did not say %r; it said: %s" % (
                    pattern, self.text[self._mark:][-1500:]))
            if not self.read() and self.process.poll() is not None:
                raise MachineError("QEMU ended while %r was waited for: %s" % (
                    pattern, self.text[self._mark:][-1500:]))

    def send(self, text):
        self.serial.sendall(text.encode())

    def menu(self, seconds=240):
        """Until the console's menu is there."""
        self.wait(r"9 start again[^\n]*\n> ", seconds)

    def shell(self):
        """From the menu to the command line, whose prompt is then a sign of ours."""
        self.send("0\n")
        time.sleep(0.5)
        self.prompt()

    def prompt(self):
        """A shell is there: its prompt becomes a sign of ours."""
        self.send("PS1=; PS2=; stty -echo; dmesg -n 1; echo shell-''ready\n")
        self.wait("shell-ready\n", 30)

    def run(self, command, seconds=60, check=True):
        """A command on the command line: (exit status, what it said); check: a bad status raises."""
        self._count += 1
        mark = "-=%d=-" % self._count
        self.send("{ %s\n} 2>&1 </dev/null; s=$?; echo; echo \"%s$s:\"\n" % (command, mark))
        found = self.wait(r"([\s\S]*?)\n%s(\d+):\n" % mark, seconds)
        status, said = int(found.group(2)), found.group(1)
        if check and status != 0:
            raise MachineError("%s: exit %d: %s" % (command, status, said[-1500:]))
        return said if check else (status, said)

    def ready(self, seconds=240):
        """From the start until the network is open: the seconds it took. Ends in the shell."""
        begun = time.monotonic()
        self.menu(seconds)
        self.shell()
        while self.run("[ -e /run/open ]", check=False)[0] != 0:
            if time.monotonic() - begun > seconds * self.slow:
                raise MachineError("the network was not opened: " + self.run(
                    "cat /run/log/*; ps; sekisho status", check=False)[1][-3000:])
            time.sleep(0.5)
        return time.monotonic() - begun

    def kill(self):
        """As a power cut: what the guest did not flush is lost."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self.serial:
            self.serial.close()
            self.serial = None

    def _ask(self, *commands):
        """Of QEMU's monitor: the last answer to these, each (command, arguments)."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self._monitor_path())
            lines = monitor.makefile("r", encoding="utf-8")
            lines.readline()
            for command, arguments in (("qmp_capabilities", {}), *commands):
                monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
                answer = {}
                while "return" not in answer:
                    answer = json.loads(lines.readline())
                    if "error" in answer:
                        raise MachineError("%s: %r" % (command, answer))
        return answer["return"]

    def save(self, path):
        """Writes down its memory and devices, and ends it; the disk is not touched from then on."""
        self._ask(("migrate-set-parameters", {"max-bandwidth": 1 << 40}), ("migrate", {"uri": "exec:cat >" + path}))
        status = "setup"
        while status in (None, "setup", "active", "device"):
            time.sleep(0.2)
            status = self._ask(("query-migrate", {})).get("status")
        self.kill()
        if status != "completed":
            raise MachineError("its state was not saved: %s" % status)

    def stop(self, seconds=60):
        """Through the guest's own shutdown, from the shell."""
        self._ends = True
        self.send("poweroff\n")
        until = time.monotonic() + seconds * self.slow
        while time.monotonic() < until and self.process.poll() is None:
            self.read()
        self.kill()
