"""A person in front of a browser, who takes part in an exported experiment."""

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from physrl.people.parts import Item, Part
from physrl.tasks.answers import UNITS
from tests.support.browser import Page

Reply = Callable[[Item, str], str]
"""The answer of a person to an item in its role: `Yes`, or numbers as of a model."""
STATE = """
(() => {
  if (document.querySelector('#end')) return ['end', ''];
  const next = document.querySelector('#next');
  if (next) return ['next', ''];
  const image = document.querySelector('.stage img');
  if (image && image.complete && image.naturalWidth)
    return ['trial', [image.getAttribute('src'), document.querySelector('.progress').textContent,
      document.querySelector('#question').textContent].join(' ')];
  if (document.querySelector('.jspsych-btn')) return ['page', document.body.innerText];
  return null;
})()
"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, and yield its address.

    What is posted to it lies in the folder's parent as posted.json.
    """
    handler = functools.partial(_Server, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.SimpleHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        (Path(self.directory).parent / "posted.json").write_bytes(self.rfile.read(length))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


async def take_part(
    page: Page, parts: Sequence[Part], reply: Reply, hands: str = "mouse"
) -> list[str]:
    """Answer all trials, and return what the pages in between said.

    Args:
        hands: `mouse`, `finger` or `keys`.
    """
    items = {item.file: (item, part) for part in parts for item in part.items}
    said, last = list[str](), None
    while True:
        state = await page.wait_for(f"JSON.stringify({STATE}) !== {_quoted(last)} && {STATE}")
        kind, text = state
        last = None if kind in ("page", "next") else state
        if kind == "end":
            return said
        if kind == "page":
            said.append(text)
            await page.click(".jspsych-btn")
            await page.wait_for(f"JSON.stringify({STATE}) !== {_quoted(state)}")
        elif kind == "next":
            await page.click("#next")
            await page.wait_for("!document.querySelector('#next')")
        else:
            image, _, progress = text.partition(" ")
            item, part = items[image.rpartition("/")[2]]
            role = "practice" if progress.startswith("Practice") else "counts"
            answer = reply(_asked(item, part, progress), role)
            await _answer(page, item, part, answer, hands)


def _asked(item: Item, part: Part, progress: str) -> Item:
    """Find the item that is shown: a catch trial may share its image with another."""
    caught = (each for each in part.catches if each.file == item.file and each.question in progress)
    return next(caught, item)


async def _answer(page: Page, item: Item, part: Part, answer: str, hands: str) -> None:
    if not part.axes:
        if hands == "keys":
            await page.press(answer[0].lower())
        else:
            await page.click(f"#{answer.lower()}")
        return
    numbers = [int(number) / UNITS for number in answer.split()]
    offset = {"x": 0.0, "y": 0.0} | dict(zip(part.axes, numbers, strict=True))
    if hands == "keys":
        await _press_arrows(page, offset)
    else:
        start, end = await _places(page, item, offset)
        await (page.drag if hands == "mouse" else page.swipe)(start, end)
    await page.click("#done")


async def _press_arrows(page: Page, offset: Mapping[str, float]) -> None:
    for axis, (back, forth) in {
        "x": ("ArrowLeft", "ArrowRight"),
        "y": ("ArrowDown", "ArrowUp"),
    }.items():
        for _ in range(round(abs(offset[axis]) / 0.02)):
            await page.press(forth if offset[axis] > 0 else back)


async def _places(
    page: Page, item: Item, offset: Mapping[str, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Compute where a block's center is in the window, and where it belongs."""
    await page.middle(".stage")
    left, top, width = await page.evaluate(
        "(() => { const box = document.querySelector('.stage').getBoundingClientRect();"
        " return [box.left, box.top, box.width]; })()"
    )
    assert item.silhouette is not None
    seen = []
    for x, y in ((0.0, 0.0), (offset["x"], offset["y"])):
        column, row, depth = (
            c + x * r + y * u
            for c, r, u in zip(
                item.silhouette.center, item.silhouette.right, item.silhouette.up, strict=True
            )
        )
        seen.append((left + width * column / depth, top + width * row / depth))
    return seen[0], seen[1]


def _quoted(state: Any) -> str:
    return json.dumps(json.dumps(state, separators=(",", ":"), ensure_ascii=False))
