# SPDX-License-Identifier: BSD-2-Clause
#
# Chromium on a client, driven through chromium-driver. The CAs are enrolled in its NSS store as a
# clinic's IT vendor would; no certificate check is ever switched off.

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile

from case import Skip
from network import run
from processes import wait_for

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-domain-reliability", "--disable-sync",
    "--disable-client-side-phishing-detection", "--disable-extensions", "--disable-dev-shm-usage",
    "--metrics-recording-only", "--password-store=basic", "--mute-audio",
    # None of these is about certificates: they keep the browser from calling home by itself,
    # from asking DNS over HTTPS, and from turning http into https.
    "--disable-features=OptimizationHints,OptimizationGuideModelDownloading,MediaRouter,Translate,"
    "InterestFeedContentSuggestions,CertificateTransparencyComponentUpdater,AutofillServerCommunication,"
    "DnsOverHttps,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,PaintHolding",
    "--window-size=1000,900",
]


ERROR = re.compile(r"ERR_[A-Z0-9_]+")


def available():
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "python3-selenium is not installed"
    for program in ("chromium", "chromedriver", "certutil"):
        if not shutil.which(program):
            return program + " is not installed"
    return None


class Page:
    """What both browsers do by script in the page that they show."""

    def fetch(self, url, mode="cors"):
        """What fetch() gives a page's script: "STATUS TYPE LENGTH" or the error."""
        return self.run(
            "const done = arguments[arguments.length - 1];"
            "fetch(arguments[0], {mode: arguments[1], cache: 'no-store'}).then("
            "async r => done(r.status + ' ' + r.type + ' ' + (await r.arrayBuffer()).byteLength),"
            "e => done('error ' + e.message));", url, mode)

    def protocol(self):
        """By which version of HTTP the browser says it got the page: "http/1.1", "h2"."""
        return self.run("arguments[arguments.length - 1]("
                        "performance.getEntriesByType('navigation')[0].nextHopProtocol);")


class Browser(Page):
    """
    with Browser(lab, "clinician") as browser: browser.get(...)
    Every call to the driver is made with this thread standing on the client.
    """

    def __init__(self, lab, client, language="ja", proxy=None, flags=(), without=(),
                 trust=("internet", "clinic")):
        reason = available()
        if reason:
            raise Skip(reason)
        self.lab, self.client = lab, client
        self.home = tempfile.mkdtemp(prefix="home-%s-" % client, dir=lab.folder)
        self.language, self.proxy, self.trust = language, proxy, trust
        self.flags = [flag for flag in (*FLAGS, *flags) if flag not in without]
        self._driver = None

    def __enter__(self):
        self._enrol()
        with self.lab.network.on(self.client):
            free = socket.socket()
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "LANG": "C.UTF-8",
               "LANGUAGE": self.language, "TMPDIR": self.home}
        self._process = self.lab.processes.start(
            self.client, "chromedriver-" + self.client, ["chromedriver", "--port=%d" % port], env=env)
        wait_for(lambda: self._listens(port), 15, lambda: "chromedriver: " + self._process.output())
        try:
            self._open(port)
        except BaseException:
            self._process.stop()
            raise
        return self

    def _listens(self, port):
        return self.lab.network.listens(self.client, "127.0.0.1", port)

    def _enrol(self):
        store = os.path.join(self.home, ".pki", "nssdb")
        os.makedirs(store)
        run("certutil", "-d", "sql:" + store, "-N", "--empty-password")
        for name in self.trust:
            path = self.lab.trust(name)
            if os.path.exists(path):
                run("certutil", "-d", "sql:" + store, "-A", "-t", "C,,", "-n", name, "-i", path)

    def _open(self, port):
        from selenium import webdriver
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in self.flags:
            options.add_argument(flag)
        options.add_argument("--user-data-dir=" + os.path.join(self.home, "profile"))
        options.add_argument("--accept-lang=" + self.language)
        options.add_argument("--lang=" + self.language)
        if self.proxy:
            options.add_argument("--proxy-server=" + self.proxy)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.page_load_strategy = "normal"
        with self.lab.network.on(self.client):
            self._driver = webdriver.Remote("http://127.0.0.1:%d" % port, options=options)
            self._driver.set_page_load_timeout(20)
            self._driver.set_script_timeout(15)

    def __exit__(self, *_):
        with contextlib.suppress(Exception), self.lab.network.on(self.client):
            self._driver.quit()
        self._process.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    # --- what a person does ---

    def get(self, url):
        """As if pasted into the address bar. The text of an error instead of a page, or None."""
        from selenium.common.exceptions import TimeoutException, WebDriverException
        with self.lab.network.on(self.client):
            try:
                self._driver.get(url)
                # Certificate errors are a page of the browser's own, not an error of the driver.
                found = ERROR.search(self._driver.page_source)
                return found[0] if found and self._driver.find_elements(
                    "css selector", "#main-frame-error, .ssl, #security-interstitial, .interstitial-wrapper"
                ) else None
            except TimeoutException:
                return "timeout"
            except WebDriverException as error:
                return (error.msg or str(error)).strip()

    def click(self, selector, new_window=False):
        """Clicks; follows into the window that the click opened."""
        with self.lab.network.on(self.client):
            before = self._driver.window_handles
            self._driver.find_element("css selector", selector).click()
            if new_window:
                opened = wait_for(lambda: [h for h in self._driver.window_handles if h not in before],
                                  10, "a new window")
                self._driver.switch_to.window(opened[0])
                wait_for(lambda: self._driver.execute_script("return document.readyState") == "complete"
                         and self._driver.current_url != "about:blank", 15,
                         lambda: "the new window: " + self._driver.current_url)

    def first_window(self):
        with self.lab.network.on(self.client):
            self._driver.switch_to.window(self._driver.window_handles[0])

    def text(self, selector="body"):
        """What a person reads there; nothing while one page goes and another comes."""
        from selenium.common.exceptions import StaleElementReferenceException
        with self.lab.network.on(self.client), contextlib.suppress(StaleElementReferenceException):
            found = self._driver.find_elements("css selector", selector)
            return found[0].text if found else ""
        return ""

    def source(self):
        with self.lab.network.on(self.client):
            return self._driver.page_source

    def url(self):
        with self.lab.network.on(self.client):
            return self._driver.current_url

    def run(self, script, *arguments):
        with self.lab.network.on(self.client):
            return self._driver.execute_async_script(script, *arguments)

    def screenshot(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with self.lab.network.on(self.client):
            self._driver.save_screenshot(path)
        return path

    def version(self):
        return subprocess.run(["chromium", "--version"], stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.DEVNULL).stdout.decode().strip()
