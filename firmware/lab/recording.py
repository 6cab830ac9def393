# SPDX-License-Identifier: BSD-2-Clause
#
# What a machine wrote to its disk, as QEMU's blklogwrites records it (the format of Linux's
# dm-log-writes): every write, discard and flush in the order in which the disk had done them. From it
# the disk can be made as a power cut would have left it: what was flushed is there; of what was
# written since, the disk may have kept anything.

import bisect
import mmap
import os
import struct
import subprocess

MAGIC = 0x6A736677736872
SECTOR = 512
FLUSH, DISCARD = 1, 4

# What a disk without power has kept of the writes since its last flush: {way: bytes that it keeps or
# loses as one; None: a write}. "all" is what killing QEMU leaves.
WAYS = {"all": None, "none": None, "writes": None, "pages": 4096, "sectors": SECTOR}


class Entry:
    __slots__ = ("flags", "at", "size", "log", "start")

    def __init__(self, flags, at, size, log, start):
        self.flags, self.at, self.size, self.log, self.start = flags, at, size, log, start


class Recording:
    """`path`: the log, whole or as far as a killed QEMU has written it."""

    def __init__(self, path):
        self._file = open(path, "rb")  # noqa: SIM115 - as long as its map
        self.bytes = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self.entries = list(self._read())
        self._starts = [entry.start for entry in self.entries]

    def _read(self):
        magic, version, _, size = struct.unpack_from("<QQQI", self.bytes)
        if (magic, version, size) != (MAGIC, 1, SECTOR):
            raise ValueError("no recording: %r" % ((magic, version, size),))
        at = SECTOR
        while at + SECTOR <= len(self.bytes):
            sector, count, flags, _ = struct.unpack_from("<QQQQ", self.bytes, at)
            if not count and not flags:
                return  # never written
            data = at + SECTOR
            end = data if flags & DISCARD else data + count * SECTOR
            if end > len(self.bytes):
                return
            yield Entry(flags, sector * SECTOR, count * SECTOR, data, at)
            at = end

    def position(self, moment):
        """How long the recording was when it had so many entries."""
        return self._starts[moment] if moment < len(self._starts) else len(self.bytes)

    def flushes(self):
        """The moments at which everything before was safe."""
        return [number + 1 for number, entry in enumerate(self.entries) if entry.flags & FLUSH]

    def content(self, entry):
        if entry.flags & DISCARD:
            return bytes(entry.size)
        return self.bytes[entry.log:entry.log + entry.size]


class Replay:
    """The disk that a recording began with, carried forward: moments must come in their order."""

    def __init__(self, recording, disk, folder):
        self.recording = recording
        self._safe = os.path.join(folder, "safe.img")
        subprocess.run(["cp", "--sparse=always", disk, self._safe], check=True)
        self._file = os.open(self._safe, os.O_RDWR)
        self._done = 0
        self._flushes = recording.flushes()

    def close(self):
        os.close(self._file)
        os.unlink(self._safe)

    def cut(self, moment, way, chance, target):
        """
        The disk when the power fails after so many entries. Of the writes since the last flush what
        `way` says is kept with the probability that `chance` (a random.Random) draws for this cut.
        The numbers of the entries that were kept, lost and torn.
        """
        place = bisect.bisect_right(self._flushes, moment)
        safe = self._flushes[place - 1] if place else 0
        if safe < self._done:
            raise ValueError("moment %d is before what was already carried forward" % moment)
        for entry in self.recording.entries[self._done:safe]:
            self._put(self._file, entry)
        self._done = safe
        subprocess.run(["cp", self._safe, target], check=True)
        share = {"all": 1.0, "none": 0.0}.get(way, chance.random())
        counts = [0, 0, 0]
        file = os.open(target, os.O_RDWR)
        for entry in self.recording.entries[safe:moment]:
            counts[self._keep(file, entry, WAYS[way], share, chance)] += 1
        os.close(file)
        return tuple(counts)

    def _put(self, file, entry):
        if entry.size:
            os.pwrite(file, self.recording.content(entry), entry.at)

    def _keep(self, file, entry, unit, share, chance):
        """0: it was kept, 1: it was lost, 2: some of it was."""
        if unit is None or entry.flags & DISCARD:
            if chance.random() >= share:
                return 1
            self._put(file, entry)
            return 0
        content = self.recording.content(entry)
        kept = lost = 0
        at = 0
        while at < entry.size:
            end = min(entry.size, at + unit - (entry.at + at) % unit)
            if chance.random() < share:
                os.pwrite(file, content[at:end], entry.at + at)
                kept += 1
            else:
                lost += 1
            at = end
        return 2 if kept and lost else 1 if lost else 0
