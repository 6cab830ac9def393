# SPDX-License-Identifier: BSD-2-Clause
#
# The programs that the lab runs: started on a host, logged to a file of their own, ended by pid.

import os
import signal
import subprocess
import time


class LabError(Exception):
    """The lab itself does not stand: no finding about the gateway."""


def wait_for(condition, seconds, what, pause=0.02):
    """Returns the first true value of condition(); raises after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError("not within %g s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(pause)


class Process:
    def __init__(self, name, popen, log):
        self.name, self.popen, self.log = name, popen, log

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, seconds=5, sign=signal.SIGTERM):
        """The exit status; killed when it does not go."""
        if self.popen.poll() is None:
            self.popen.send_signal(sign)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode


class Processes:
    def __init__(self, network, folder):
        self._network = network
        self.folder = folder
        self._all = []
        self._count = 0
        os.makedirs(folder, exist_ok=True)

    def start(self, host, name, command, env=None, cwd=None, pass_fds=()):
        self._count += 1
        path = os.path.join(self.folder, "%s.log" % name)
        words = self._network.prefix(host) + list(command)
        with open(path, "ab") as log:
            popen = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     env=env, cwd=cwd, pass_fds=pass_fds)
        process = Process(name, popen, path)
        self._all.append(process)
        return process

    def forget(self, process):
        if process in self._all:
            self._all.remove(process)

    def stop_all(self):
        for process in reversed(self._all):
            if process.alive():
                process.popen.terminate()
        end = time.monotonic() + 5
        for process in reversed(self._all):
            try:
                process.popen.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
        self._all = []
