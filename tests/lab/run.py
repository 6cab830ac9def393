# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the cases of the lab: /usr/bin/python3 tests/lab/run.py [--only PATTERN] [--direct] [--by-name] [--list]
# [--verbose] [--json FILE]. One line a case: "ok NAME", "not ok NAME: why" or "skip NAME: reason".
# $BUILD is the build folder (build/ when unset); logs of a run are kept in its folder lab/.

import argparse
import importlib
import json
import os
import pkgutil
import re
import shutil
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cases  # noqa: E402
from case import CASES, Skip  # noqa: E402
from gateway import SERVICES  # noqa: E402
from lab import Lab, LabError, build_folder, enter  # noqa: E402


# So many cases of a run may be tried a second time: browsers and other people's servers have moods
# of their own. What failed first is printed and kept; a third one that fails fails at once.
SECOND_TRIES = 2


class Expired(Exception):
    pass


def _expired(*_):
    raise Expired("took too long")


def arguments():
    parser = argparse.ArgumentParser(description="Runs the cases of the lab.")
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose name matches")
    parser.add_argument("--not", dest="without", metavar="PATTERN", help="but not these")
    parser.add_argument("--direct", action="store_true", help="only those that need no gateway")
    parser.add_argument("--by-name", action="store_true", help="also those that take minutes")
    parser.add_argument("--list", action="store_true", help="names only")
    parser.add_argument("--verbose", action="store_true", help="tracebacks and the gateway's log")
    parser.add_argument("--json", metavar="FILE", help="write the counts and results there")
    parser.add_argument("--slow", type=float, default=1.0, metavar="FACTOR",
                        help="how much longer everything may take (sanitizers)")
    return parser.parse_args()


def load():
    for module in sorted(m.name for m in pkgutil.iter_modules(cases.__path__)):
        importlib.import_module("cases." + module)
    return CASES


def perform(lab, case, factor):
    gateway = lab.gateway
    gateway.reset()
    if case.gateway:
        gateway.make_ca()
        gateway.configure(case.config, case.services or SERVICES)
        if case.start:
            gateway.start()
    lab.fresh()
    signal.alarm(int(case.seconds * factor))
    try:
        case.function(lab)
    finally:
        signal.alarm(0)
    if not case.gateway or gateway.process is None:
        return
    if not gateway.process.alive():
        raise AssertionError("the daemon is gone: exit %s" % gateway.process.popen.returncode)
    status = gateway.stop(10 * factor)
    faults = gateway.faults(case.deaths)
    if faults:
        raise AssertionError("the daemon's log: " + " | ".join(faults[:4]))
    if status != 0:
        raise AssertionError("a clean stop ended with %s" % status)


def keep(lab, case, folder, failure):
    """What the daemon and the collector had to say in a case that failed."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, case.name + ".failure"), "w", encoding="utf-8") as file:
        file.write(failure + "\n--- sekishod ---\n" + lab.gateway.log())
        try:
            file.write("\n--- records ---\n" + "\n".join(lab.collector.lines()))
        except (OSError, UnicodeDecodeError) as error:
            file.write("\n--- records: %s ---\n" % error)
        file.write("\n--- origins ---\n" + "\n".join(map(json.dumps, lab.origins.requests()[-50:])))
        file.write("\n--- wire ---\n" + "\n".join(map(repr, lab.wire.attempts()[-50:])) + "\n")


def attempt(lab, case, options, folder):
    """(outcome, why, seconds)"""
    began = time.monotonic()
    outcome, why = "ok", ""
    try:
        perform(lab, case, options.slow)
    except Skip as reason:
        outcome, why = "skip", str(reason)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: B902 - a case may fail in any way
        outcome = "not ok"
        why = "%s: %s" % (type(error).__name__, error) \
            if not isinstance(error, AssertionError) else str(error)
        keep(lab, case, folder, traceback.format_exc())
    return outcome, " ".join(why.split()), round(time.monotonic() - began, 2)


def tell(outcome, case, why, seconds):
    print("%s %s%s (%.1f s)" % (outcome, case.name, ": " + why[:600] if why else "", seconds),
          flush=True)


def run_all(lab, chosen, options, folder):
    results = []
    again = 0
    for case in chosen:
        outcome, why, seconds = attempt(lab, case, options, folder)
        if outcome == "not ok":
            path = os.path.join(folder, case.name + ".failure")
            if options.verbose:
                with open(path, encoding="utf-8") as file:
                    print("    " + file.read().replace("\n", "\n    "), flush=True)
            if again < SECOND_TRIES:
                again += 1
                tell("again", case, why, seconds)
                os.rename(path, path + ".first")
                outcome, why, seconds = attempt(lab, case, options, folder)
        tell(outcome, case, why, seconds)
        results.append({"name": case.name, "outcome": outcome, "why": why, "seconds": seconds})
    if again:
        print("%d of %d cases needed a second try" % (again, len(results)), flush=True)
    return results


def main():
    options = arguments()
    chosen = [c for c in load() if re.search(options.only, c.name)
              and not (options.without and re.search(options.without, c.name))
              and not (options.direct and c.gateway) and (options.by_name or not c.by_name)]
    if options.list:
        print("\n".join(c.name for c in chosen))
        return 0
    if not chosen:
        print("not ok lab: no case fits")
        return 1
    build = build_folder()
    if any(c.gateway for c in chosen) and not os.path.exists(os.path.join(build, "sekishod")):
        print("not ok lab: there is no %s: build first, or give BUILD" % os.path.join(build, "sekishod"))
        return 1
    enter()
    signal.signal(signal.SIGALRM, _expired)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = os.path.join(build, "lab")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    results = []
    try:
        with Lab(build) as lab:
            try:
                results = run_all(lab, chosen, options, folder)
            finally:
                lab.keep_logs(folder)
    except (LabError, OSError, RuntimeError, AssertionError) as error:
        print("not ok lab: it does not stand: %s" % error)
        return 1
    except KeyboardInterrupt:
        return 130
    counts = {name: sum(r["outcome"] == outcome for r in results) for name, outcome in
              (("passed", "ok"), ("failed", "not ok"), ("skipped", "skip"))}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**counts, "results": results}, file, indent=1, ensure_ascii=False)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
