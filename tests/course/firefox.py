"""Firefox without a window, driven over WebDriver BiDi: what a test of a page needs of it, and no more."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import websocket
from helpers import wait_for

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
# Nothing that it does by itself reaches a network.
SETTINGS = """\
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
"""
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "ArrowUp": "\ue013", "Backspace": "\ue003"}


class Firefox:
    """One window, with what its page asked for and complained about in `trouble`."""

    def __init__(self, profile: Path):
        (profile / "user.js").write_text(SETTINGS, encoding="utf-8")
        command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile)]
        command += ["--remote-debugging-port", "0"]
        self.log = profile / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        self._ids, self.trouble = itertools.count(1), []
        address = wait_for(lambda: re.search(r"BiDi listening on (ws://\S+)", self.log.read_text()), 120)[1]
        self._socket = websocket.create_connection(f"{address}/session", suppress_origin=True, timeout=180)
        self.call("session.new", capabilities={})
        # A window of its own has the focus; the first one never has, and there no key works a button.
        self.context = self.call("browsingContext.create", type="window")["context"]
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self.process.terminate()
        self.process.wait(timeout=30)

    def call(self, method, **params):
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (message := json.loads(self._socket.recv())).get("id") != number:
            if message.get("method") == "log.entryAdded":
                self.trouble.append(message["params"]["text"])
            elif message.get("method") == "network.beforeRequestSent":
                address = message["params"]["request"]["url"]
                if not address.startswith(("file:", "data:", "blob:")):
                    self.trouble.append(address)
        if message["type"] == "error":
            raise RuntimeError(f"{method}: {message['message']}")
        return message["result"]

    def open(self, address, width, height):
        self.call(
            "browsingContext.setViewport", context=self.context, viewport={"width": width, "height": height}
        )
        self.call("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def evaluate(self, expression):
        answer = self.call(
            "script.evaluate", expression=expression, target={"context": self.context}, awaitPromise=True
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")

    def wait_for(self, selector):
        """Wait until something can be seen."""
        seen = f"[...document.querySelectorAll({json.dumps(selector)})].some((one) => one.checkVisibility())"
        wait_for(lambda: self.evaluate(seen), 120)

    def wait_for_text(self, selector, text):
        wait_for(lambda: text in self.text(selector), 120)

    def press(self, *keys):
        actions = [
            {"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")
        ]
        self._perform({"type": "key", "id": "keyboard", "actions": actions})

    def click(self, selector, pointer="mouse"):
        """Click on the first of these that can be seen, tap on it (touch), or go there by Tab (keys)."""
        self.wait_for(selector)
        if pointer == "keys":
            self.tab_to(selector)
            return self.press("Enter")
        find = {"type": "css", "value": selector}
        nodes = self.call("browsingContext.locateNodes", context=self.context, locator=find)["nodes"]
        every = f"[...document.querySelectorAll({json.dumps(selector)})]"
        seen = self.evaluate(f"{every}.findIndex((one) => one.checkVisibility())")
        # At once, whatever the style sheet says of scrolling.
        self.evaluate(f"{every}[{seen}].scrollIntoView({{ block: 'center', behavior: 'instant' }})")
        origin = {"type": "element", "element": {"sharedId": nodes[seen]["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        parameters = {"pointerType": pointer}
        self._perform({"type": "pointer", "id": pointer, "parameters": parameters, "actions": actions})

    def tab_to(self, selector, most=80):
        """Press Tab until one of these has the focus, and shows it."""
        at = "document.activeElement"
        for _ in range(most):
            if self.evaluate(f"{at}.matches({json.dumps(selector)})"):
                shown = f"getComputedStyle({at}).outlineStyle !== 'none'"
                # Of a dot on a chart its knob grows.
                knob = f"{at}.querySelector(':scope > .knob')"
                shown += f" || {knob} && getComputedStyle({knob}).strokeWidth === '6px'"
                assert self.evaluate(shown), f"{selector} shows no focus"
                return
            self.press("Tab")
        raise AssertionError(f"{selector} does not take the focus")

    def _perform(self, *sources):
        self.call("input.performActions", context=self.context, actions=list(sources))
