# SPDX-License-Identifier: BSD-2-Clause
#
# Firefox ESR on a client, with the words of browser.Browser. Debian has no geckodriver, so this speaks
# to Firefox itself: Marionette is one TCP connection with JSON messages, each "LENGTH:[...]". The CAs
# are enrolled in the profile's NSS store; no certificate check is ever switched off.

import base64
import json
import os
import shutil
import tempfile

from browser import Page
from case import Skip
from network import run
from processes import wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id in WebDriver
ENTER = "\ue007"

# None of these is about certificates: they keep the browser from calling home, from asking DNS over
# HTTPS and from turning http into https; files are saved without a question.
PREFERENCES = {
    "marionette.port": 0,
    "app.update.auto": False,
    "app.normandy.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.newtabpage.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.search.update": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.tabs.warnOnClose": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.security.https_first": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.trr.mode": 5,
    "pdfjs.disabled": True,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Failure(Exception):
    """What WebDriver answers instead of a result: (error, message)."""

    def between_pages(self):
        """The question met a page that was leaving, or one that had not come yet."""
        error, message = self.args
        return error in ("stale element reference", "no such window") or \
            any(text in message for text in ("documentElement is null", "AbortError",
                                             "browsing context"))


class Marionette:
    def __init__(self, sock):
        self._sock, self._data, self._count = sock, b"", 0
        self._message()  # its greeting

    def _message(self):
        while b":" not in self._data:
            self._more()
        size, self._data = self._data.split(b":", 1)
        while len(self._data) < int(size):
            self._more()
        text, self._data = self._data[:int(size)], self._data[int(size):]
        return json.loads(text)

    def _more(self):
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError("Firefox closed the connection")
        self._data += data

    def ask(self, command, **words):
        self._count += 1
        text = json.dumps([0, self._count, command, words]).encode()
        self._sock.sendall(b"%d:%s" % (len(text), text))
        while True:
            kind, number, error, result = self._message()
            if kind == 1 and number == self._count:
                break
        if error:
            raise Failure(error["error"], error["message"])
        return result["value"] if isinstance(result, dict) and set(result) == {"value"} else result

    def close(self):
        self._sock.close()


def available():
    for program in ("firefox-esr", "certutil"):
        if not shutil.which(program):
            return program + " is not installed"
    return None


class Firefox(Page):
    """with Firefox(lab, "clinician") as browser: browser.get(...)"""

    def __init__(self, lab, client, language="ja", preferences=None):
        reason = available()
        if reason:
            raise Skip(reason)
        self.lab, self.client = lab, client
        self.home = tempfile.mkdtemp(prefix="home-%s-" % client, dir=lab.folder)
        self.profile = os.path.join(self.home, "profile")
        self.downloads = os.path.join(self.home, "downloads")
        self.preferences = {**PREFERENCES, "intl.accept_languages": language,
                            "browser.download.dir": self.downloads, **(preferences or {})}

    def __enter__(self):
        os.makedirs(self.profile)
        os.makedirs(self.downloads)
        self._enrol()
        with open(os.path.join(self.profile, "user.js"), "w", encoding="utf-8") as file:
            for name, value in self.preferences.items():
                file.write("user_pref(%s, %s);\n" % (json.dumps(name), json.dumps(value)))
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "LANG": "C.UTF-8", "TMPDIR": self.home,
               "MOZ_CRASHREPORTER_DISABLE": "1"}
        self._process = self.lab.processes.start(
            self.client, "firefox-" + self.client,
            ["firefox-esr", "--headless", "--no-remote", "--marionette",
             "--remote-allow-system-access", "--profile", self.profile,
             "--width", "1000", "--height", "900"], env=env)
        try:
            port = wait_for(self._port, 60, lambda: "Firefox: " + self._process.output())
            sock = self.lab.network.connect(self.client, "127.0.0.1", port, 60)
            self._marionette = Marionette(sock)
            self._ask("WebDriver:NewSession", capabilities={"alwaysMatch": {
                "pageLoadStrategy": "normal", "unhandledPromptBehavior": "dismiss"}})
            self._ask("WebDriver:SetTimeouts", pageLoad=20000, script=15000)
        except BaseException:
            self._process.stop()
            raise
        return self

    def _port(self):
        try:
            with open(os.path.join(self.profile, "MarionetteActivePort"), encoding="ascii") as file:
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def _enrol(self):
        store = "sql:" + self.profile
        run("certutil", "-d", store, "-N", "--empty-password")
        for name, path in (("internet", self.lab.trust("internet")), ("clinic", self.lab.trust("clinic"))):
            if os.path.exists(path):
                run("certutil", "-d", store, "-A", "-t", "C,,", "-n", name, "-i", path)

    def __exit__(self, *_):
        self._marionette.close()
        self._process.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _ask(self, command, **words):
        return self._marionette.ask(command, **words)

    def _find(self, selector):
        found = self._ask("WebDriver:FindElements", using="css selector", value=selector)
        return [element[ELEMENT] for element in found]

    # --- what a person does ---

    def get(self, url):
        """As if pasted into the address bar. The text of an error instead of a page, or None."""
        try:
            self._ask("WebDriver:Navigate", url=url)
            return None
        except Failure as failure:
            return " ".join(failure.args)

    def type_address(self, url):
        """Types it into the address bar, as a person does, and presses Enter."""
        self._ask("Marionette:SetContext", value="chrome")
        try:
            self._ask("WebDriver:ExecuteScript", args=[], script="gURLBar.focus(); gURLBar.select();")
            self._ask("WebDriver:ElementSendKeys", id=self._find("#urlbar-input")[0], text=url + ENTER)
        finally:
            self._ask("Marionette:SetContext", value="content")

    def click(self, selector, new_window=False):
        """Clicks; follows into the window that the click opened."""
        before = self._ask("WebDriver:GetWindowHandles")
        self._ask("WebDriver:ElementClick", id=self._find(selector)[0])
        if new_window:
            opened = wait_for(lambda: [h for h in self._ask("WebDriver:GetWindowHandles")
                                       if h not in before], 10, "a new window")
            self._ask("WebDriver:SwitchToWindow", handle=opened[0])
            wait_for(lambda: self._ask("WebDriver:ExecuteScript", args=[],
                                       script="return document.readyState") == "complete"
                     and self.url() != "about:blank", 15, lambda: "the new window: " + self.url())

    def first_window(self):
        self._ask("WebDriver:SwitchToWindow", handle=self._ask("WebDriver:GetWindowHandles")[0])

    def _between_pages_nothing(self, question):
        try:
            return question()
        except Failure as failure:
            if not failure.between_pages():
                raise
            return ""

    def text(self, selector="body"):
        """What a person reads there; nothing while one page goes and another comes."""
        def question():
            found = self._find(selector)
            return self._ask("WebDriver:GetElementText", id=found[0]) if found else ""
        return self._between_pages_nothing(question)

    def source(self):
        """The page's text; nothing while one page goes and another comes."""
        return self._between_pages_nothing(lambda: self._ask("WebDriver:GetPageSource"))

    def url(self):
        return self._ask("WebDriver:GetCurrentURL")

    def run(self, script, *arguments):
        return self._ask("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments))

    def screenshot(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._ask("WebDriver:TakeScreenshot", full=False)))
        return path

    def downloaded(self):
        """The files that were saved, whole: {name: bytes}."""
        names = [name for name in os.listdir(self.downloads)]
        if any(name.endswith(".part") for name in names):
            return {}
        files = {}
        for name in names:
            try:
                with open(os.path.join(self.downloads, name), "rb") as file:
                    files[name] = file.read()
            except FileNotFoundError:   # it had its name for a time only
                return {}
        return files
