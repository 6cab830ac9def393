# SPDX-License-Identifier: BSD-2-Clause
#
# A stream of requests in the background of a case: each worker thread makes one request after
# another, new and kept connections in turn, and every answer is remembered with its time.

import ssl
import threading
import time

from tlsclient import read_response


class Outcome:
    def __init__(self, began, ended, status, error):
        self.began, self.ended, self.status, self.error = began, ended, status, error

    def __repr__(self):
        return "%s after %.2f s" % (self.error or self.status, self.ended - self.began)


class Load:
    """with Load(lab, "clinician", host, threads=2) as load: ...; afterwards load.outcomes."""

    def __init__(self, lab, client, host, target="/", threads=2, kept=4, pause=0.01, family=4,
                 fields="", timeout=10, cafile=None):
        self.lab, self.client, self.host, self.target = lab, client, host, target
        self.threads, self.kept, self.pause, self.family = threads, kept, pause, family
        self.fields, self.timeout = fields, timeout
        self.outcomes = []
        self._stop = threading.Event()
        self._threads = []
        # OpenSSL's trust store is loaded once: a context for each request would be the load.
        self._context = ssl.create_default_context(cafile=cafile or lab.trust("clinic"))
        self._context.set_alpn_protocols(["http/1.1"])

    def __enter__(self):
        for _ in range(self.threads):
            thread = threading.Thread(target=self._run, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(self.timeout + 5)

    def _run(self):
        while not self._stop.is_set():
            sock = None
            try:
                for number in range(self.kept):
                    if self._stop.is_set():
                        break
                    began = time.time()
                    try:
                        if sock is None:
                            sock = self._connect()
                        status, fields = self._request(sock, number == self.kept - 1)
                    except (OSError, EOFError, ValueError, ssl.SSLError) as error:
                        self.outcomes.append(Outcome(began, time.time(), 0, repr(error)))
                        break
                    self.outcomes.append(Outcome(began, time.time(), status, None))
                    if fields.get("connection", "").lower() == "close":
                        break
                    time.sleep(self.pause)
            finally:
                if sock is not None:
                    sock.close()
            time.sleep(self.pause)

    def _connect(self):
        plain = self.lab.network.connect(self.client, self.lab.address(self.host, self.family), 443,
                                         self.timeout)
        try:
            return self._context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def _request(self, sock, last):
        sock.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n" % (
            self.target, self.host, self.fields, "Connection: close\r\n" if last else "")).encode())
        status, fields, _ = read_response(lambda: sock.recv(65536))
        return status, fields

    # --- what came of it ---

    def failures(self, wanted=200, since=0.0):
        return [o for o in self.outcomes if o.status != wanted and o.began >= since]

    def successes(self, wanted=200, since=0.0):
        return [o for o in self.outcomes if o.status == wanted and o.began >= since]
