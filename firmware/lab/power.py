# SPDX-License-Identifier: BSD-2-Clause
#
# The group "power": what power cuts leave behind. Four things that a device does are recorded, write by
# write (recording.py), with what was promised to somebody and when. Then the power is cut at random: the
# disk is made as it could have been left, is looked at (disk_state.py), and for a part of the cuts is
# started. Beside that, machines at work are killed. Everything random comes from the seed.

import collections
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

import activities
from activities import Facts, digest
from case import check
from disk_state import Damage, Disk
from ground import copy_disk, stick
from image import change, tool
from machine import MachineError
from recording import WAYS, Recording, Replay
from steps import it_is_healthy, it_takes_a_configuration

UPDATES = (("0.1.1", 2), ("0.1.3", 4))
LOOKED_AT = 5  # so many cuts are only looked at, for each that is started
PAGE = 4096
LOADER = ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi", "loader/loader.conf")


class Story(Facts):
    """What a device does, recorded; the clock of its facts is the length of the recording."""

    def __init__(self, power, name, disk, facts):
        self.name, self.folder = name, os.path.join(power.folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.disk = copy_disk(disk, os.path.join(self.folder, "before.img"))
        self.log = os.path.join(self.folder, "writes")
        super().__init__(lambda: os.path.getsize(self.log), facts)

    def boot(self, ground, **options):
        disk = copy_disk(self.disk, os.path.join(self.folder, "after.img"))
        return ground.boot(disk, os.path.join("power", self.name), slow=ground.options.slow,
                           recording=self.log, **options)

    def read(self):
        self.recording = Recording(self.log)
        with open(os.path.join(self.folder, "facts"), "w", encoding="utf-8") as file:
            json.dump(self, file, indent=1)
        print("    %s: %d writes and flushes, %d MB" % (
            self.name, len(self.recording.entries), len(self.recording.bytes) >> 20))


def waiting_for_its_disk(root):
    """For as long as the label of the ESP is another one."""
    change(root, "usr/lib/sekisho/boot", "(?m)^(if data; then)$",
           r"until findfs LABEL=SEKISHO-ESP; do sleep 1; done\n\1")


def loader_takes(versions):
    """As systemd-boot sorts: what has no tries left last, then the newest first."""
    def order(version):
        return version.tries != 0, [int(number) for number in re.findall(r"\d+", version.name.split("+")[0])]
    return max(versions, key=order, default=None)


class Power:
    def __init__(self, ground):
        self.ground = ground
        self.folder = os.path.join(ground.work, "power")
        os.makedirs(self.folder, exist_ok=True)
        self.stories = []
        self.blank = self.stick({})
        self.sticks = {}
        self.seconds = {}  # how long each activity takes here
        self.known = {}  # the SHA-256 of a version's file: its name
        with open(os.path.join(ground.image.folder, "sekisho.efi"), "rb") as file:
            self.known[digest(file.read())] = "0.1.0"
        blank = Disk(ground.image.disk)
        self.loader = [blank.esp.read(path) for path in LOADER]
        blank.close()

    # --- recording ---

    def a_first_boot_is_recorded(self):
        """And then the device is set up; as it stands there it is taken up again for everything else."""
        ground = self.ground
        story = Story(self, "first", ground.image.disk, {"version": "0.1.0", "proved": "0.1.0"})
        machine = story.boot(ground, stick=self.blank)
        self.seconds["first"] = machine.ready(600) / 2  # without the loader's half
        activities.first_boot(machine, story)
        story.read()
        self.stories.append(story)
        it_is_healthy(ground)
        it_takes_a_configuration(ground)
        self.facts = {"version": "0.1.0", "proved": "0.1.0", **activities.files_of(machine)}
        machine.run("sync")
        self.at_work = os.path.join(self.folder, "at-work")
        machine.save(self.at_work)
        self.disk_at_work = copy_disk(machine.disk, os.path.join(self.folder, "at-work.img"))

    def a_start_waits_for_its_disk(self):
        """
        A system that has started so far that it looks for its disk: what follows is where disks differ, and
        is all that a cut which the loader does not see needs. Nothing of the disk is in its memory.
        """
        image = self.ground.image
        folder = os.path.join(self.folder, "waiting")
        parts = image.variant(folder, waiting_for_its_disk)
        tool("uki", parts, os.path.join(folder, "efi"), COMMAND_LINE="loglevel=7")
        disk = os.path.join(folder, "disk.img")
        tool("disk", parts, os.path.join(folder, "efi"), disk)
        subprocess.run(["mlabel", "-i", disk + "@@1M", "::OTHER"], check=True, stdout=subprocess.DEVNULL)
        machine = self.ground.boot(disk, "power/waiting", slow=self.ground.options.slow, stick=self.blank)
        machine.wait("802.1Q VLAN Support", 300)
        machine.drain(5)
        check("9 start again" not in machine.text, "it waits no longer")
        self.waiting = os.path.join(self.folder, "waits")
        machine.save(self.waiting)

    def stick(self, files):
        """All are of one size, so that one may take the place of another."""
        return stick(os.path.join(self.folder, "-".join(["stick", *sorted(files)]) + ".img"), files, 160)

    def _record(self, name, *words):
        """What the device does that was set up."""
        story = Story(self, name, self.disk_at_work, self.facts)
        machine = story.boot(self.ground, stick=self.sticks.get(name, self.blank), state=self.at_work)
        begun = time.monotonic()
        getattr(activities, name)(self.ground, machine, story, *words)
        self.seconds[name] = time.monotonic() - begun
        machine.run("sync")
        story.read()
        machine.kill()
        self.stories.append(story)

    def changes_of_the_configuration_are_recorded(self):
        backup = activities.backup(self.ground, os.path.join(self.folder, "backup"))
        self.sticks["configuration"] = self.stick({"x.backup": backup})
        self._record("configuration")

    def updates_are_recorded(self):
        files = {}
        for version, sequence in UPDATES:
            files[version + ".bundle"] = self.ground.image.bundle(self.folder, version, sequence)
            with open(os.path.join(self.folder, version + ".efi"), "rb") as file:
                self.known[digest(file.read())] = version
        self.sticks["updates"] = self.stick(files)
        self._record("updates", [version for version, _ in UPDATES])
        self.seconds["updates"] /= len(UPDATES)

    def lines_of_the_log_are_recorded(self):
        self._record("lines")

    # --- cuts ---

    def _cuts(self, story, count, purpose):
        """(moment, way) of cuts at random; half of them just before a flush, when most is in the air."""
        chance = random.Random("%d %s %s" % (self.ground.options.seed, story.name, purpose))
        flushes = story.recording.flushes()
        moments = [chance.choice(flushes) - 1 if chance.random() < 0.5 else
                   chance.randint(0, len(story.recording.entries)) for _ in range(count)]
        ways = list(WAYS)
        for moment in sorted(moments):
            yield moment, chance.choice(ways), chance

    def no_cut_damages_a_disk(self):
        count = self.ground.options.cuts * LOOKED_AT // len(self.stories)
        faults = []
        for story in self.stories:
            table = collections.Counter()
            replay = Replay(story.recording, story.disk, self.folder)
            path = os.path.join(self.folder, "cut.img")
            for number, (moment, way, chance) in enumerate(self._cuts(story, count, "look")):
                kept = replay.cut(moment, way, chance, path)
                found = list(self.faults(story, moment, path, table))
                if found:
                    faults.append("%s, cut %d (after %d, %s %r): %s" % (
                        story.name, number, moment, way, kept, "; ".join(found)))
                    if self.ground.options.keep:
                        shutil.copy(path, os.path.join(self.folder, "%s-%d.img" % (story.name, number)))
            replay.close()
            print("    %s: %d cuts looked at; %s" % (story.name, count, ", ".join(
                "%s %d" % pair for pair in sorted(table.items())) or "all whole"), flush=True)
        with open(os.path.join(self.folder, "faults"), "w", encoding="utf-8") as file:
            file.write("\n".join(faults))
        check(not faults, "%d faults; the first: %s" % (len(faults), " / ".join(faults[:3])))

    def faults(self, story, moment, path, table):
        """What is wrong with the disk that a cut left: as the loader finds it, and as the system mends it."""
        position = story.recording.position(moment)
        disk = Disk(path)
        try:
            yield from self._faults_of_the_loader(story, position, disk)
            said = disk.mend_esp()
            table["lost space on the ESP"] += "Reclaimed" in said
            table["an update in pieces"] += "Truncating" in said
            yield from self._faults_of_the_loader(story, position, disk)
            if disk.esp.list("sekisho").get("format"):
                table["no data partition yet"] += 1
                return
            said = disk.mend_data()
            table["journal replayed"] += "recovering journal" in said
            yield from self._faults_of_the_files(story, position, disk)
        except Damage as damage:
            yield str(damage)
        finally:
            disk.close()

    def _faults_of_the_loader(self, story, position, disk):
        for name, content in zip(LOADER, self.loader):
            if disk.esp.read(name) != content:
                yield "%s is damaged" % name
        if disk.esp.size("EFI/Linux") > PAGE:
            yield "the versions' folder is no longer written at once"
        # systemd-boot passes over what is no program, such as a name of which nothing else is left.
        versions = [version for version in disk.versions() if version.size]
        for version in versions:
            name = self.known.get(version.digest)
            if not version.whole or name is None:
                yield "%r is cut" % version
            elif re.sub(r"(\+.*)?\.efi$", "", version.name) != "sekisho_" + name:
                yield "%r is version %s" % (version, name)
            if any(version.chain & other.chain for other in versions if other is not version):
                yield "%r shares its place" % version
        taken = loader_takes(versions)
        taken = taken and self.known.get(taken.digest)
        if taken not in story.allowed("version", position):
            yield "the loader takes %s of %r" % (taken, versions)
        if not any(version.tries is None for version in versions):
            yield "no version has proved itself: %r" % versions
        proved = story.allowed("proved", position)
        if None not in proved and not any(self.known.get(version.digest) in proved and version.tries is None
                                          for version in versions):
            yield "what proved itself, %r, is not there: %r" % (proved, versions)

    def _faults_of_the_files(self, story, position, disk):
        folder = os.path.join(self.folder, "files")
        shutil.rmtree(folder, ignore_errors=True)
        files = activities.as_started(disk.data(folder))
        for path in story:
            if path.startswith("/"):
                value = digest(files[path]) if path in files else None
                if value not in story.allowed(path, position):
                    yield "%s is %s" % (path, "not there" if value is None else "cut, or older than it was")
        queue = b"".join(files[path] for path in sorted(files) if path.startswith("/queue/collector.0"))
        told = set(story.allowed("lines", position)[0] or ())
        lost = told - set(activities.lines_in(queue.decode(errors="replace")))
        if lost or (told and not files.get("/queue/collector.qi")):
            yield "%d of %d lines are not in the queue, or it has no index" % (len(lost), len(told))
        if "/state/ca.whole" in files and not all(path in files for path in activities.CA):
            yield "the CA counts as whole and is not"

    # --- starts ---

    def a_disk_that_was_cut_starts(self):
        """The share of cuts that are started as they were left."""
        total = self.ground.options.cuts - self.ground.options.cuts // 3
        faults = []
        for turn, story in enumerate(self.stories):
            count = (total + turn) // len(self.stories)
            replay = Replay(story.recording, story.disk, self.folder)
            path = os.path.join(self.folder, "cut.img")
            good = 0
            for number, (moment, way, chance) in enumerate(self._cuts(story, count, "start")):
                replay.cut(moment, way, chance, path)
                try:
                    self.starts(path, story, story.recording.position(moment), story.name == "updates")
                    good += 1
                except (AssertionError, MachineError) as error:
                    faults.append("%s, start %d (after %d, %s): %s" % (
                        story.name, number, moment, way, error))
                    replay.cut(moment, way, chance, os.path.join(self.folder, "%s-start-%d.img" % (
                        story.name, number)))
                    print("    " + faults[-1][:1500], flush=True)
            replay.close()
            print("    %s: %d of %d cuts started as they should" % (story.name, good, count), flush=True)
        check(not faults, "%d faults; the first: %s" % (len(faults), " / ".join(faults[:3])))

    def starts(self, disk, facts, moment, loader):
        """
        It starts, opens the network, is healthy, and what was promised is there. Without the loader's part:
        from where the system looks for its disk.
        """
        ground = self.ground
        ground.collector.lines.clear()
        machine = ground.boot(disk, "power/start", slow=ground.options.slow, stick=self.blank,
                              state=None if loader else self.waiting)
        try:
            machine.wait("9 start again", 300)
            machine.send("\n")  # once more: the kernel may have spoken in between
            machine.ready(300)
            it_is_healthy(ground)
            activities.nothing_is_lost(ground, machine, facts, moment)
        finally:
            machine.kill()

    # --- kills ---

    def a_machine_that_was_killed_starts(self):
        options = self.ground.options
        chance = random.Random("%d kills" % options.seed)
        kinds = [story.name for story in self.stories]
        good, faults = collections.Counter(), []
        total = options.cuts // 3
        for number in range(total):
            kind = kinds[number % len(kinds)]
            try:
                self._kill(kind, chance)
                good[kind] += 1
            except (AssertionError, MachineError) as error:
                faults.append("%s, kill %d: %s" % (kind, number, error))
                shutil.copy(os.path.join(self.folder, "killed.img"),
                            os.path.join(self.folder, "killed-%d.img" % number))
                print("    " + faults[-1][:1500], flush=True)
        print("    killed and started again: %s" % ", ".join("%s %d" % pair for pair in sorted(good.items())))
        check(not faults, "%d of %d: %s" % (len(faults), total, " / ".join(faults[:3])))

    def _kill(self, kind, chance):
        """A machine at this activity is killed; then it is started."""
        ground = self.ground
        first = kind == "first"
        facts = Facts(time.monotonic, {"version": "0.1.0"} if first else self.facts)
        path = copy_disk(ground.image.disk if first else self.disk_at_work,
                         os.path.join(self.folder, "killed.img"))
        machine = ground.boot(path, "power/killed", slow=ground.options.slow,
                              stick=self.sticks.get(kind, self.blank),
                              state=self.waiting if first else self.at_work)
        killer = threading.Timer(chance.random() * self.seconds[kind], machine.process.kill)
        killer.start()
        try:
            if first:
                machine.ready(600)
                activities.first_boot(machine, facts)
            elif kind == "updates":
                activities.updates(ground, machine, facts, [UPDATES[0][0]])
            else:
                getattr(activities, kind)(ground, machine, facts)
        except (MachineError, OSError):
            check(machine.process.poll() is not None, "the activity failed before it was killed")
        killer.cancel()
        machine.kill()
        self.starts(path, facts, time.monotonic(), kind == "updates")


def run(ground, perform):
    power = Power(ground)
    print("    %d cuts; --seed %d makes the same" % (ground.options.cuts, ground.options.seed), flush=True)
    for function in (power.a_first_boot_is_recorded, power.a_start_waits_for_its_disk,
                     power.changes_of_the_configuration_are_recorded, power.lines_of_the_log_are_recorded,
                     power.updates_are_recorded):
        if not perform(function) and not power.seconds:
            return
    for function in (power.no_cut_damages_a_disk, power.a_disk_that_was_cut_starts,
                     power.a_machine_that_was_killed_starts):
        perform(function)
