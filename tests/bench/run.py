# SPDX-License-Identifier: BSD-2-Clause
#
# Makes the benchmark card behind tests/bench.sh: every round takes each gateway in turn, starts it,
# takes all figures through it, and stops it. In every round the origin must have seen the gateway's
# address (the client's, for direct forwarding) and no other, or the figure does not count.

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lab")]

import card  # noqa: E402
from ground import CLIENT4, Ground  # noqa: E402
from lab import ENTERED, build_folder, enter  # noqa: E402
from measure import FIGURES, LOAD_CONNECTIONS, Trouble, passes  # noqa: E402
from network import GATEWAY_WAN4  # noqa: E402
from peers import PEERS  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="sh tests/bench.sh", description="Makes the benchmark card.")
    parser.add_argument("--quick", action="store_true", help="one round of 3 s a figure")
    parser.add_argument("--only", default="", metavar="NAME",
                        help="only gateways whose name contains this: " + ", ".join(p.name for p in PEERS))
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not any(options.only in peer.name for peer in PEERS):
        parser.error("no gateway's name contains %s; there are: %s" % (
            options.only, ", ".join(p.name for p in PEERS)))
    return options


def version(name, *words):
    """The name with the first version number that the program tells."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError:
        return name + " not installed"
    found = re.search(r"\d+(\.\d+)+", done.stdout.decode(errors="replace"))
    return "%s %s" % (name, found[0] if found else "of unknown version")


def machine():
    """Lines that say where the figures come from."""
    model = "processor unknown"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    # sbin holds the peers; a user's own PATH on Debian has none.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return ["%s, %s, %d cores, Linux %s; load of the machine before: %.1f" % (
        time.strftime("%Y-%m-%d %H:%M"), model, os.cpu_count(), platform.release(), os.getloadavg()[0]),
        ", ".join(version(*words) for words in (
            ("HAProxy", "haproxy", "-v"), ("nginx", "nginx", "-v"), ("Squid", "squid", "-v"),
            ("OpenSSL", "openssl", "version")))]


class Bench:
    def __init__(self, ground, options):
        self.ground = ground
        self.rounds, self.seconds = (1, 3) if options.quick else (3, 4)
        self.peers = [make(ground) for make in PEERS
                      if options.only in make.name or make.name == "direct"]
        self.figures = {peer.name: [] for peer in self.peers}
        self.notes = {}  # in the order in which they came up

    def note(self, peer, text):
        text = "%s: %s" % (peer.name, " ".join(text.split()))
        self.notes[text] = self.notes.get(text, 0) + 1

    def run(self):
        total = self.rounds * len(self.peers)
        done = 0
        began = time.monotonic()
        for number in range(self.rounds):
            # Another one is first in each round: nobody always follows the same neighbour.
            shift = number * len(self.peers) // self.rounds
            for peer in self.peers[shift:] + self.peers[:shift]:
                done += 1
                print("==> [%4d s] %d/%d round %d: %s" % (
                    time.monotonic() - began, done, total, number + 1, peer.title), flush=True)
                self.take(peer)

    def take(self, peer):
        taken = {}
        self.figures[peer.name].append(taken)
        try:
            peer.start()
            passes(self.ground, peer)
        except (RuntimeError, AssertionError, OSError, Trouble) as error:
            said = str(error)
            self.note(peer, "did not start: " + (said if len(said) < 500 else "... " + said[-500:]))
            self._stop(peer)
            return
        self.ground.visitors()
        for what, columns, figure in FIGURES:
            try:
                values = figure(self.ground, peer, self.seconds)
            except Trouble as trouble:
                self.note(peer, "%s: %s" % (what, trouble))
                values = {}
            # At its end wrk cuts what is under way: as many as it has connections are no finding.
            if values.pop("errors", 0) > LOAD_CONNECTIONS:
                self.note(peer, "%s: more errors than the end of the load explains" % what)
            if self.in_path(peer, what, values):
                taken.update({c: values[c] for c in columns if values.get(c) is not None})
        self._stop(peer)

    def in_path(self, peer, what, values):
        """Whether every request of this figure came to the origin by the way that is measured."""
        wanted = CLIENT4 if peer.name == "direct" else GATEWAY_WAN4
        seen = self.ground.visitors()
        bad = seen.pop("bad", 0)
        if bad:
            self.note(peer, "%s: requests that the origin did not answer with 200" % what)
        if not values:
            return False
        if set(seen) == {wanted}:
            return True
        self.note(peer, "%s: the figure does not count, the origin was reached by %s" % (
            what, ", ".join(sorted(seen)) or "nobody"))
        return False

    def _stop(self, peer):
        try:
            peer.stop()
        except (RuntimeError, OSError) as error:
            self.note(peer, "did not stop: %s" % error)

    def text(self, facts):
        figures = card.medians(self.figures)
        lines = ["The benchmark card: median of %d round%s of %d s, 1 kB responses, ECDSA P-256, TLS 1.3"
                 % (self.rounds, "s" if self.rounds > 1 else "", self.seconds), *facts, ""]
        lines += card.table(self.peers, figures, self.figures) + [""]
        lines += card.ratios(self.peers, figures) + [""]
        lines += card.scans(self.peers, figures) + [""]
        lines += card.goals(figures) + [""]
        lines += ["%s: %s" % (peer.title, peer.note) for peer in self.peers if peer.note]
        if self.notes:
            lines += ["", "what went wrong:"]
            lines += ["  %s%s" % (text, " (%d times)" % count if count > 1 else "")
                      for text, count in self.notes.items()]
        return "\n".join(lines) + "\n", figures


def keep(bench, folder, facts):
    """The card, the plot, the single figures, and what the programs said."""
    text, figures = bench.text(facts)
    with open(os.path.join(folder, "card.txt"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "card.svg"), "w", encoding="utf-8") as file:
        file.write(card.plot(bench.peers, figures, "Sekisho and its peers, " + facts[0].split(",")[0]))
    with open(os.path.join(folder, "card.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": facts, "seconds": bench.seconds, "medians": figures,
                   "rounds": bench.figures, "notes": bench.notes}, file, indent=1)
    return text


def main():
    options = arguments()
    if options.check:
        return 0
    build = build_folder()
    enter()
    if os.getloadavg()[0] > 0.5 * os.cpu_count():
        print("bench: this machine is busy with something else: the figures will say so too", flush=True)
    facts = machine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = os.path.join(build, "bench")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    try:
        with Ground(os.environ[ENTERED], build) as ground:
            try:
                bench = Bench(ground, options)
                bench.run()
                text = keep(bench, folder, facts)
            finally:
                shutil.copytree(ground.processes.folder, os.path.join(folder, "log"))
    except (OSError, RuntimeError, AssertionError) as error:
        print("bench: the ground does not stand: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\n" + text + "\nThe plot and the single figures are in %s." % folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
