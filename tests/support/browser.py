"""A headless Chromium that tests drive by its own protocol, with mouse, touch and key events."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0
"""Seconds until a page that does not show what it should counts as broken."""


def find_browser() -> str | None:
    """Find an installed Chromium; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """The only page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.requested: list[str] = []
        """Addresses that the page asked for."""
        self.errors: list[str] = []
        """Errors of scripts, and of the console."""

    async def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol; notes the events that arrive before its answer."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": values})
        while True:
            message = json.loads((await self._socket.receive(PATIENCE)).data)
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        values = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requested.append(values["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(values["exceptionDetails"]))
        if message.get("method") == "Runtime.consoleAPICalled" and values["type"] == "error":
            self.errors.append(json.dumps(values["args"]))

    async def open(self, address: str, width: int, height: int, *, touch: bool = False) -> None:
        """Open an address in a window of a size."""
        for domain in ("Page", "Runtime", "Network"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=touch,
        )  # fmt: skip
        await self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        await self.call("Page.navigate", url=address)

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def wait_for(self, script: str) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if value := await self.evaluate(script):
                return value
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{script}: {await self.evaluate('document.body.innerText')}")

    async def middle(self, selector: str) -> tuple[float, float]:
        """Return the middle of an element, scrolled into view."""
        place = json.dumps(selector)
        await self.evaluate(f"document.querySelector({place}).scrollIntoView({{block: 'nearest'}})")
        x, y = await self.evaluate(
            f"(() => {{ const box = document.querySelector({place}).getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
        )
        return float(x), float(y)

    async def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        x, y = await self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            await self._mouse(kind, x, y)

    async def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the mouse, by way of the middle."""
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        await self._mouse("mousePressed", *start)
        for point in (middle, end):
            await self._mouse("mouseMoved", *point)
        await self._mouse("mouseReleased", *end)

    async def swipe(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with a finger."""
        for kind, point in (("touchStart", start), ("touchMove", end), ("touchEnd", None)):
            points = [] if point is None else [{"x": point[0], "y": point[1]}]
            await self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    async def press(self, key: str) -> None:
        """Press and release a key."""
        code = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}.get(
            key, ord(key[0])
        )
        text = {"text": key} if len(key) == 1 else {}
        named = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    async def photograph(self, path: Path) -> None:
        """Save what the window shows as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def _mouse(self, kind: str, x: float, y: float) -> None:
        held = 0 if kind == "mouseReleased" else 1
        await self.call(
            "Input.dispatchMouseEvent",
            type=kind, x=x, y=y, button="left", buttons=held, clickCount=1,
        )  # fmt: skip


@asynccontextmanager
async def browse(folder: Path) -> AsyncIterator[Page]:
    """Start a browser with a profile in a folder, and yield its page."""
    browser = find_browser()
    assert browser is not None
    port_file = folder / "DevToolsActivePort"
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--no-first-run", "--remote-debugging-port=0",
        f"--user-data-dir={folder}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not port_file.exists() or not port_file.read_text().strip():
            assert process.poll() is None, "the browser ended"
            await asyncio.sleep(0.1)
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as listed:
                pages = await listed.json()
            address = next(each for each in pages if each["type"] == "page")["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait(10)
