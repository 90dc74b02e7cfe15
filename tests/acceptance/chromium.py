"""A real Chromium, spoken to over its own debugging protocol: enough of it to open a page and use a form."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium")
STARTED_TIMEOUT = 30.0


class Page:
    """A tab. `requested` holds every address it asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.requested: list[str] = []
        self.errors: list[str] = []
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._socket:
            said = message.json()
            match said.get("method"):
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Network.requestWillBeSent":
                    self.requested.append(said["params"]["request"]["url"])
                case "Log.entryAdded" if said["params"]["entry"]["level"] == "error":
                    self.errors.append(said["params"]["entry"]["text"])
                case None if said.get("id") in self._answers:
                    self._answers.pop(said["id"]).set_result(said)

    async def command(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        said = await asyncio.wait_for(answer, 30)
        assert "error" not in said, said
        return said["result"]

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression, which the debugger may ask also where the page may run no scripts."""
        result = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return result["result"].get("value")

    async def go(self, address: str) -> None:
        self._loaded.clear()
        await self.command("Page.navigate", url=address)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def type_into(self, name: str, text: str) -> None:
        await self.evaluate(f"document.querySelector('[name={name}]').focus()")
        await self.command("Input.insertText", text=text)

    async def press(self, selector: str) -> None:
        """Click where the person would, and wait for the page that this leads to."""
        where = await self.evaluate(
            f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        self._loaded.clear()
        for kind in ("mousePressed", "mouseReleased"):
            await self.command(
                "Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1
            )
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def picture(self, path: Path) -> None:
        shot = await self.command("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def chromium(
    profile: Path, *, scripts: bool = True, width: int = 900, height: int = 700
) -> AsyncIterator[Page]:
    """A fresh browser with one page, ended with the block."""
    assert CHROMIUM is not None
    process = subprocess.Popen(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={width},{height}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                (tab,) = [tab for tab in await response.json() if tab["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await page.command(f"{domain}.enable")
                await page.command("Emulation.setScriptExecutionDisabled", value=not scripts)
                yield page
    finally:
        process.terminate()
        process.wait()


async def _port(path: Path) -> int:
    async with asyncio.timeout(STARTED_TIMEOUT):
        while True:
            with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
                return int(path.read_text().splitlines()[0])
            await asyncio.sleep(0.05)
