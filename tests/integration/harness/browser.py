"""A headless Chromium, driven by the DevTools protocol over a pair of pipes.

https://chromedevtools.github.io/devtools-protocol/: each message is JSON and ends with a NUL.
Chromium reads them from descriptor 3 and answers on descriptor 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROGRAM = "chromium-headless-shell"
OPTIONS = (
    "--remote-debugging-pipe",
    "--no-sandbox",  # root cannot use it, and the pages are our own
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " "), "Backspace": (8, "")}
PATIENCE = 20.0  # seconds for anything that a page does
Message = dict[str, Any]


class Browser:
    """One page of a browser, with everything that it requested and complained about.

    Attributes:
        requested: URLs of all requests.
        complaints: Errors and warnings of the console, exceptions, and requests that failed.
    """

    def __init__(self, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, PROGRAM, *OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        self._unread, self._number, self._session, self._loads = b"", 0, "", 0
        self.requested: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._out)  # Chromium ends
        self._process.wait(PATIENCE)
        os.close(self._in)

    def resize(self, width: int, height: int) -> None:
        """Show the page in a window of this size, in CSS pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, **features: str) -> None:
        """Set preferences of the reader, such as ``prefers_color_scheme="dark"``, or the medium."""
        medium = features.pop("medium", "")
        self._call(
            "Emulation.setEmulatedMedia",
            media=medium,
            features=[
                {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
            ],
        )

    def allow_scripts(self, *, allowed: bool) -> None:
        """Let pages that are opened from now on run scripts, or not; `evaluate` always works."""
        self._call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._loading("Page.navigate", url=url)

    def enter(self, selector: str, text: str) -> None:
        """Write into a field as with the keyboard, press Enter, and wait for the next page."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self._loading("Input.dispatchKeyEvent", type="keyDown", **key)

    def write(self, text: str) -> None:
        """Write into the field that has the focus, as with the keyboard."""
        self._call("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key, such as ``Tab``, ``Enter``, ``Space`` or ``Backspace``."""
        code, text = KEYS[key]
        name = text if text.isprintable() and text else key
        held = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        self._call(
            "Input.dispatchKeyEvent", type="keyDown", **held, **({"text": text} if text else {})
        )
        self._call("Input.dispatchKeyEvent", type="keyUp", **held)

    def click(self, expression: str) -> None:
        """Click on the element that a JavaScript expression names; wait for the next page."""
        self._loading("Runtime.evaluate", expression=f"({expression}).click()")

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript returns
        """Return the value of a JavaScript expression, or that of its promise."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {expression}")
            time.sleep(0.02)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what the window shows, PNG; or the whole page, in a window of that height."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if whole:  # what is below the window may not have been laid out
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            self.resize(size["width"], size["height"])
            self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        shown = self._call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shown["data"]))

    def _loading(self, method: str, **parameters: object) -> None:
        """Send a request, and wait until a page has been loaded."""
        before, end = self._loads, time.monotonic() + PATIENCE
        self._call(method, **parameters)
        while self._loads == before:
            self._note(self._receive(end))

    def _call(self, method: str, **parameters: object) -> Message:
        """Send a request, and return its answer."""
        self._number += 1
        request: Message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._out, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            message = self._receive(end)
            if message.get("id") == self._number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                result: Message = message["result"]
                return result
            self._note(message)

    def _receive(self, end: float) -> Message:
        """Return the next message."""
        while b"\0" not in self._unread:
            if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("the browser does not answer")
            got = os.read(self._in, 1 << 16)
            if not got:
                raise AssertionError(f"{PROGRAM} ended: is it installed?")
            self._unread += got
        first, _, self._unread = self._unread.partition(b"\0")
        message: Message = json.loads(first)
        return message

    def _note(self, event: Message) -> None:
        """Remember what an event says about the page."""
        found = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loads += 1
            case "Network.requestWillBeSent":
                self.requested.append(found["request"]["url"])
            case "Runtime.consoleAPICalled" if found["type"] in {"error", "warning", "assert"}:
                self.complaints.append(_shown(found["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(found["exceptionDetails"]))
            case "Log.entryAdded" if found["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"{found['entry']['text']} {found['entry'].get('url', '')}")
            case "Network.loadingFailed" if not found.get("canceled"):
                self.complaints.append(found["errorText"])
            case _:
                pass


def _shown(arguments: Sequence[Message]) -> str:
    return " ".join(str(each.get("value", each.get("description"))) for each in arguments)
