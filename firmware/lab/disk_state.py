# SPDX-License-Identifier: BSD-2-Clause
#
# A disk of the image without a machine: what the loader would find on it, what e2fsck and fsck.vfat
# say of it, and the files of the data partition.

import hashlib
import os
import re
import struct
import subprocess
import zlib

SECTOR = 512
DIRECTORY, VOLUME, LONG_NAME = 0x10, 0x08, 0x0F
END_OF_CHAIN = 0x0FFFFFF8


class Damage(Exception):
    """The disk is in a state that it should never be in."""


def partitions(file):
    """{name: (first byte, bytes)} of the GPT, or of its copy at the end where the first one is torn."""
    try:
        return _table(file, SECTOR)
    except Damage:
        return _table(file, os.fstat(file).st_size - SECTOR)


def _table(file, at):
    head = os.pread(file, SECTOR, at)
    size, expected = struct.unpack_from("<II", head, 12)
    blank = head[:16] + bytes(4) + head[20:size]
    if head[:8] != b"EFI PART" or zlib.crc32(blank) != expected:
        raise Damage("no partition table")
    first, count, size, expected = struct.unpack_from("<QIII", head, 72)
    table = os.pread(file, count * size, first * SECTOR)
    if zlib.crc32(table) != expected:
        raise Damage("the partition table is damaged")
    found = {}
    for at in range(0, len(table), size):
        begin, end = struct.unpack_from("<QQ", table, at + 32)
        if begin:
            name = table[at + 56:at + size].decode("utf-16-le").split("\0")[0]
            found[name] = (begin * SECTOR, (end - begin + 1) * SECTOR)
    return found


def take_part(source, path, at, size):
    """A part of a disk as a file of its own; holes stay holes."""
    with open(path, "wb") as file:
        file.truncate(size)
        place, end = at, at + size
        while place < end:
            try:
                place = os.lseek(source, place, os.SEEK_DATA)
            except OSError:
                break  # there is no more
            hole = min(os.lseek(source, place, os.SEEK_HOLE), end)
            while place < hole:
                place += os.copy_file_range(source, file.fileno(), hole - place, place, place - at)
    return path


def _checksum(short):
    value = 0
    for byte in short:
        value = ((value >> 1) | (value << 7)) + byte & 0xFF
    return value


class Fat:
    """A FAT32 file system, read as the firmware reads it: by its first table."""

    def __init__(self, file, at, size):
        self._file, self._at = file, at
        head = os.pread(file, SECTOR, at)
        sector, self._cluster, reserved, tables = struct.unpack_from("<HBHB", head, 11)
        table = struct.unpack_from("<I", head, 36)[0]
        if sector != SECTOR or head[82:87] != b"FAT32" or head[510:512] != b"\x55\xaa":
            raise Damage("no FAT32 file system")
        self._table = os.pread(file, table * SECTOR, at + reserved * SECTOR)
        self._first = (reserved + tables * table) * SECTOR
        self._count = size // SECTOR // self._cluster
        self._cluster *= SECTOR
        self._root = struct.unpack_from("<I", head, 44)[0]

    def chain(self, cluster):
        """The clusters of a file, in their order."""
        found = []
        while cluster < END_OF_CHAIN:
            if not 2 <= cluster < self._count or len(found) > self._count:
                raise Damage("a chain leads to cluster %d" % cluster)
            found.append(cluster)
            cluster = struct.unpack_from("<I", self._table, 4 * cluster)[0] & 0x0FFFFFFF
        return found

    def _content(self, cluster):
        content = bytearray()
        run = []  # neighbours are read at once
        for number in [*self.chain(cluster), -1] if cluster else [-1]:
            if run and number != run[-1] + 1:
                content += os.pread(self._file, len(run) * self._cluster,
                                    self._at + self._first + (run[0] - 2) * self._cluster)
                run = []
            run.append(number)
        return bytes(content)

    def _folder(self, path):
        """Its bytes."""
        cluster = self._root
        for part in path.split("/") if path else ():
            cluster, size = self._list(self._content(cluster)).get(part, (0, 0))
            if size is not None:
                raise Damage("there is no folder %s" % path)
        return self._content(cluster)

    def size(self, path):
        return len(self._folder(path))

    def list(self, path=""):
        """{name: (first cluster, size or None of a folder)}; a file whose long name is torn has its short one."""
        return self._list(self._folder(path))

    def _list(self, content):
        found = {}
        long, parts = {}, None
        for at in range(0, len(content), 32):
            entry = content[at:at + 32]
            if entry[0] == 0:
                break
            if entry[0] == 0xE5:
                long = {}
            elif entry[11] & 0x3F == LONG_NAME:
                if entry[0] & 0x40:
                    long, parts = {}, entry[0] & 0x3F
                long[entry[0] & 0x3F] = (entry[13], entry[1:11] + entry[14:26] + entry[28:32])
            else:
                if not entry[11] & VOLUME:
                    low, size = struct.unpack_from("<HI", entry, 26)
                    start = low | struct.unpack_from("<H", entry, 20)[0] << 16
                    found[self._name(entry, long, parts)] = (start, None if entry[11] & DIRECTORY else size)
                long = {}
        return found

    @staticmethod
    def _name(entry, long, parts):
        total = _checksum(entry[:11])
        if long and set(long) == set(range(1, parts + 1)) and all(sum_ == total for sum_, _ in long.values()):
            text = b"".join(long[number][1] for number in sorted(long)).decode("utf-16-le")
            return text.split("\0")[0]
        base, end = entry[:8].decode("cp437").rstrip(), entry[8:11].decode("cp437").rstrip()
        base = base.lower() if entry[12] & 8 else base
        end = end.lower() if entry[12] & 16 else end
        return base + ("." + end if end else "")

    def read(self, path):
        """The bytes of a file as far as its chain has them; None when there is none."""
        folder, _, name = path.rpartition("/")
        start, size = self.list(folder).get(name, (0, None))
        if size is None:
            return None
        return self._content(start)[:size] if start else b""


class Version:
    """A file that the loader would list: `tries` left (None: it has proved itself), `digest` of its bytes."""

    def __init__(self, name, fat, start, size):
        found = re.fullmatch(r"(.*?)(?:\+(\d+)(?:-(\d+))?)?\.efi", name, re.IGNORECASE)
        self.name, self.size, self.start = name, size, start
        self.tries = int(found.group(2)) if found.group(2) else None
        self.chain = set(fat.chain(start)) if start else set()
        content = fat.read("EFI/Linux/" + name)
        self.digest = hashlib.sha256(content).hexdigest()
        self.whole = len(content) == size

    def __repr__(self):
        return "%s (%d bytes)" % (self.name, self.size)


class Disk:
    def __init__(self, path):
        self.path = path
        self._file = os.open(path, os.O_RDONLY)
        self._parts = []
        self.partitions = partitions(self._file)
        self.esp = Fat(self._file, *self.partitions["sekisho-esp"])

    def close(self):
        for file in (self._file, *self._parts):
            os.close(file)

    def versions(self):
        found = []
        for name, (start, size) in self.esp.list("EFI/Linux").items():
            if size is not None and name.lower().endswith(".efi"):
                found.append(Version(name, self.esp, start, size))
        return found

    def mend_esp(self):
        """As the device does it at its start; raises when something is wrong even then."""
        at, size = self.partitions["sekisho-esp"]
        part = take_part(self._file, self.path + ".esp", at, size)
        for words in ("-a", "-n"):
            done = subprocess.run(["/sbin/fsck.vfat", words, part], check=False, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            said = done.stdout.decode(errors="replace")
            if words == "-a":
                mended = said
        if done.returncode != 0:
            raise Damage("fsck.vfat -a: %s; then: %s" % (mended, said))
        self._parts.append(os.open(part, os.O_RDONLY))
        self.esp = Fat(self._parts[-1], 0, size)
        return mended

    def mend_data(self):
        """As the device does it at its start; raises when it would not mount it then."""
        self._part = take_part(self._file, self.path + ".data", *self.partitions["sekisho-data"])
        for words in (["-p"], ["-y", "-b", "32768", "-B", "4096"]):
            done = subprocess.run(["/sbin/e2fsck", *words, self._part], check=False, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode != 8:
                break
        said = done.stdout.decode(errors="replace")
        if done.returncode >= 4:
            raise Damage("e2fsck ends with %d: %s" % (done.returncode, said))
        return said

    def data(self, folder):
        """The files of the data partition, which was mended: {path: bytes}."""
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["/sbin/debugfs", "-R", "rdump / " + folder, self._part], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = {}
        for place, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(place, name)
                with open(path, "rb") as file:
                    found["/" + os.path.relpath(path, folder)] = file.read()
        return found
