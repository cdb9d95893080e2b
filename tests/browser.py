"""A real browser to look at pages with: headless Chromium, driven over its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/, read 2026-11. A test takes the fixture ``browser`` (import
it together with ``chromium`` in a conftest), opens a page and uses it as a person would::

    page = await browser.open(url, width=390, dark=True)
    await page.click("#next")
    await page.press("ArrowRight")
    assert await page.evaluate("document.title") == "holiday"
    assert not page.errors

Where there is no Chromium, such tests are skipped.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.abc
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
    " --autoplay-policy=no-user-gesture-required --remote-debugging-port=0 about:blank"
)
WAIT_S = 20.0
PLACE = """(async () => {
  const find = () => {
    const element = document.querySelector(SELECTOR);
    if (!element) return null;
    element.scrollIntoView({ block: "nearest", behavior: "instant" });
    const box = element.getBoundingClientRect();
    const at = [box.left + box.width / 2, box.top + box.height / 2];
    const hit = document.elementFromPoint(...at);
    return box.width && box.height && hit && (element.contains(hit) || hit.contains(element)) ? at : null;
  };
  const before = find();
  await new Promise(requestAnimationFrame);
  const after = find();
  return before && after && before[0] === after[0] && before[1] === after[1] ? after : null;
})()"""

KEYS = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    "Escape": (27, ""),
    " ": (32, " "),
    "PageUp": (33, ""),
    "PageDown": (34, ""),
    "End": (35, ""),
    "Home": (36, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}
"""Key -> its code, and the text that it types."""
SHIFT = 8


@pytest.fixture(scope="session")
def chromium(tmp_path_factory) -> Iterator[str]:
    """Start Chromium once, and give the address of its debugger."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed (or name one by the variable CHROMIUM)")
    home = tmp_path_factory.mktemp("chromium")
    process = subprocess.Popen(
        [program, *FLAGS.split(), f"--user-data-dir={home}"],
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _address(home / "DevToolsActivePort", process)
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end and process.poll() is None:
        with suppress(FileNotFoundError, ValueError):
            port, path = file.read_text().split("\n")
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.02)
    raise RuntimeError("Chromium did not start")


@pytest.fixture
async def browser(chromium) -> AsyncIterator["Browser"]:
    """Give a browser with a profile of its own."""
    async with connected(chromium) as found:
        yield found


@asynccontextmanager
async def connected(address: str) -> AsyncIterator["Browser"]:
    """Connect to a running Chromium while the block lasts."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(address, max_msg_size=0) as socket,
        anyio.create_task_group() as group,
    ):
        wire = Wire(socket)
        group.start_soon(wire.listen)
        context = (await wire.call("Target.createBrowserContext"))["browserContextId"]
        try:
            yield Browser(wire, context)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(WAIT_S):
                await wire.call("Target.disposeBrowserContext", browserContextId=context)
            group.cancel_scope.cancel()


class Wire:
    """The connection to the debugger: calls that are answered, and events of pages."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.pages: dict[str, Page] = {}
        self._socket = socket
        self._last = 0
        self._waiting: dict[int, tuple[anyio.Event, list[dict[str, Any]]]] = {}

    async def call(self, method: str, session: str | None = None, /, **params: Any) -> dict[str, Any]:
        """Call a method, and return its result; a fault that the browser reports is an AssertionError."""
        self._last += 1
        number = self._last
        event, answers = self._waiting[number] = anyio.Event(), []
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json(message if session is None else {**message, "sessionId": session})
        with anyio.fail_after(WAIT_S):
            await event.wait()
        answer = answers[0]
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    async def listen(self) -> None:
        """Take in what comes, for ever."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                event, answers = self._waiting.pop(told["id"])
                answers.append(told)
                event.set()
            elif page := self.pages.get(told.get("sessionId", "")):
                page.hear(told["method"], told["params"])


class Browser:
    """A browser with cookies and storage of its own."""

    def __init__(self, wire: Wire, context: str) -> None:
        self._wire, self._context = wire, context

    async def open(
        self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False, still: bool = True
    ) -> "Page":
        """Open a page in a tab of its own, and return it when it has loaded.

        Args:
            url: Its address.
            width: Of the view, in pixels; likewise *height*.
            dark: Whether the person likes it dark.
            still: Whether the person wants nothing to move.
        """
        target = await self._wire.call(
            "Target.createTarget", url="about:blank", browserContextId=self._context
        )
        attached = await self._wire.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self._wire, attached["sessionId"])
        self._wire.pages[page.session] = page
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.call(f"{domain}.enable")
        await page.look(width=width, height=height, dark=dark, still=still)
        await page.go(url)
        return page


@dataclass
class Page:
    """One tab.

    Attributes:
        errors: What the page logged as an error, threw, or was refused.
        requests: Addresses that it asked for; of ``data:`` ones the start.
    """

    wire: Wire
    session: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _loaded: anyio.Event = field(default_factory=anyio.Event)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call any method of the protocol for this tab."""
        return await self.wire.call(method, self.session, **params)

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Take in an event."""
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"][:200])
        elif method == "Runtime.exceptionThrown":
            told = params["exceptionDetails"]
            self.errors.append(told.get("exception", {}).get("description") or told["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert"}:
            self.errors.append(" ".join(str(one.get("value", one)) for one in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".rstrip())

    async def go(self, url: str) -> None:
        """Load *url* in this tab, and return when all that it needs at first is there."""
        self._loaded = anyio.Event()
        answer = await self.call("Page.navigate", url=url)
        assert not answer.get("errorText"), answer["errorText"]
        with anyio.fail_after(WAIT_S):
            await self._loaded.wait()

    async def look(
        self, *, width: int = 1280, height: int = 900, dark: bool = False, still: bool = True
    ) -> None:
        """Change the view; see :meth:`Browser.open`."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        await self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": name, "value": value} for name, value in features.items()],
        )

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for. What it throws fails the test."""
        answer = await self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            told = answer["exceptionDetails"]
            raise AssertionError(told.get("exception", {}).get("description") or told["text"])
        return answer["result"].get("value")

    async def until(self, expression: str, timeout_s: float = WAIT_S) -> Any:
        """Return the value of *expression* once that is true; a test that waits longer fails."""
        end = time.monotonic() + timeout_s
        while not (value := await self.evaluate(expression)):
            assert time.monotonic() < end, f"it never became true: {expression}"
            await anyio.sleep(0.01)
        return value

    async def place(self, selector: str) -> tuple[float, float]:
        """Return the middle of the first element that fits, in pixels of the view, after scrolling to it.

        It must lie still for a frame, and nothing above it: a click there meets it, and nothing else.
        """
        box = await self.until(PLACE.replace("SELECTOR", json.dumps(selector)))
        return box[0], box[1]

    async def click(self, selector: str) -> None:
        """Click in the middle of the first element that fits, as a mouse does; it must be there and visible."""
        x, y = await self.place(selector)
        await self.drag((x, y), (x, y))

    async def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at *start*, move to *end*, and let it go."""
        await self._mouse("mouseMoved", start)
        await self._mouse("mousePressed", start)
        if end != start:
            await self._mouse("mouseMoved", end)
        await self._mouse("mouseReleased", end)

    async def _mouse(self, kind: str, at: tuple[float, float]) -> None:
        held = {"buttons": 1} if kind != "mouseMoved" else {}
        await self.call(
            "Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", clickCount=1, **held
        )

    async def wheel(self, selector: str, down: float) -> None:
        """Turn the wheel over an element by so many pixels."""
        x, y = await self.place(selector)
        await self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down)

    async def press(self, key: str, *, shift: bool = False, hold_s: float = 0.0) -> None:
        """Press a key, a name of :data:`KEYS` or one character, and let it go after *hold_s*."""
        code, text = KEYS.get(key) or (ord(key.upper()), key)
        common = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "modifiers": SHIFT if shift else 0,
        }
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await anyio.sleep(hold_s)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def type(self, selector: str, text: str) -> None:
        """Put the focus on an element, and type into it in place of what it holds."""
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.evaluate("document.activeElement.select?.()")
        await self.call("Input.insertText", text=text)

    async def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Write a PNG of the view, or of the *whole* page."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(file).write_bytes(base64.b64decode(shot["data"]))  # noqa: ASYNC240 - a test has nothing else to do

    async def serious(self) -> list[str]:
        """Return what axe-core finds wrong for people who use the page otherwise: serious and critical ones."""
        axe = Path(__file__).parent / "vendor/axe-core/axe.min.js"
        await self.evaluate(axe.read_text(encoding="utf-8") + ";null")
        found = await self.evaluate("axe.run().then((found) => found.violations)")
        return [
            f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0].get('failureSummary', '')}"
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
