"""The pages in a real browser: filters, links, color schemes, widths, hostile names, a live run."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import uvicorn

from jobs.watch.app import make_app
from tests.support.browser import Page, browse, find_browser
from tests.support.ports import free_ports
from tests.support.watched_tree import TreeSize, write_tree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium: apt-get install chromium"),
]
HOSTILE = "<img src=x onerror=alert(1)>"
AXE = "PHYSRL_AXE"
"""Variable with the path of axe.min.js: `npm pack axe-core`."""
WIDE, NARROW = (1200, 900), (400, 800)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched") / HOSTILE
    write_tree(folder, TreeSize(), time.time())
    failed = next((folder / "store" / "failed").iterdir())
    failure = json.loads(failed.read_text())
    failed.write_text(json.dumps(failure | {"reason": HOSTILE}))
    return folder


@pytest.fixture(scope="module")
def url(tree: Path) -> Iterator[str]:
    """The address of a server that goes on while tests look at it."""
    (port,) = free_ports(1)
    app = make_app([str(tree)], patience_s=60)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


def look(tmp_path: Path, steps: Callable[[Page], Awaitable[None]]) -> None:
    """Perform steps in a browser of their own; its scripts must not fail."""

    async def perform() -> None:
        async with browse(tmp_path) as page:
            await steps(page)
            assert page.errors == []

    asyncio.run(perform())


def addresses(url: str, tree: Path) -> dict[str, str]:
    """The address of each page."""
    study = urlencode({"store": tree / "store", "study": "big"})
    run = urlencode({"run": run_of(tree)})
    return {
        "overview": f"{url}/",
        "study": f"{url}/study?{study}",
        "compare": f"{url}/compare?{study}",
        "run": f"{url}/run?{run}",
        "rollouts": f"{url}/rollouts?{run}",
    }


def run_of(tree: Path) -> Path:
    return next((tree / "runs" / "big" / "trials").iterdir())


async def show(page: Page, address: str, size: tuple[int, int] = WIDE) -> None:
    await page.open(address, *size)
    await page.wait_for("document.readyState == 'complete' && !!document.querySelector('h1')")


def test_every_page_is_shown_wide_and_narrow_light_and_dark(
    url: str, tree: Path, tmp_path: Path
) -> None:
    async def steps(page: Page) -> None:
        for name, address in addresses(url, tree).items():
            papers = set()
            for scheme in ("light", "dark"):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                await page.call("Emulation.setEmulatedMedia", features=features)
                for size in (WIDE, NARROW):
                    await show(page, address, size)
                    width = await page.evaluate("document.documentElement.scrollWidth")
                    assert width <= size[0], (name, width)
                papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert len(papers) == 2
        assert all(asked.startswith((url, "data:")) for asked in page.requested)
        await page.wait_for("document.querySelector('article img').naturalWidth == 16")

    look(tmp_path, steps)


def test_names_that_are_markup_harm_nothing(url: str, tree: Path, tmp_path: Path) -> None:
    async def steps(page: Page) -> None:
        for address in addresses(url, tree).values():
            await show(page, address)
            assert await page.evaluate("document.querySelectorAll('img[onerror]').length") == 0
        await show(page, addresses(url, tree)["overview"])
        assert HOSTILE in await page.evaluate("document.body.innerText")

    look(tmp_path, steps)


def test_a_filter_is_in_the_address_and_a_link_opens_it_again(
    url: str, tree: Path, tmp_path: Path
) -> None:
    rows = "document.querySelectorAll('[aria-label=Trials] tbody tr').length"

    async def steps(page: Page) -> None:
        await show(page, addresses(url, tree)["study"])
        everything = await page.evaluate(rows)
        await page.evaluate("document.querySelector('[name=method]').value = 'gspo'")
        await page.click("form button")
        await page.wait_for("location.search.includes('method=gspo')")
        few = await page.wait_for(f"document.readyState == 'complete' && {rows}")
        assert 0 < few < everything
        address = await page.evaluate("location.href")
        await show(page, addresses(url, tree)["overview"])
        await show(page, address)
        assert await page.evaluate(rows) == few
        assert await page.evaluate("document.querySelector('[name=method]').value") == "gspo"

    look(tmp_path, steps)


def test_a_run_that_grows_is_shown_without_loading_the_page_again(
    url: str, tree: Path, tmp_path: Path
) -> None:
    async def steps(page: Page) -> None:
        await show(page, addresses(url, tree)["run"])
        await page.evaluate("window.same = true")
        metrics = run_of(tree) / "metrics.jsonl"
        last = json.loads(metrics.read_text().splitlines()[-1])
        with metrics.open("a") as stream:
            stream.write(json.dumps(last | {"step": 4, "time": time.time()}) + "\n")
        await page.evaluate("refresh()")
        await page.wait_for("document.body.innerText.includes('step 4 of')")
        assert await page.evaluate("window.same")
        assert "updated" in await page.wait_for("document.getElementById('updated').textContent")

    look(tmp_path, steps)


def test_charts_can_be_saved_and_pages_used_by_keyboard(
    url: str, tree: Path, tmp_path: Path
) -> None:
    async def steps(page: Page) -> None:
        await show(page, addresses(url, tree)["study"])
        assert await page.evaluate("document.querySelectorAll('figure button').length") >= 3
        await page.evaluate(
            "window.saved = []; HTMLAnchorElement.prototype.click = function () "
            "{ window.saved.push([this.download, this.href.slice(0, 22)]); }"
        )
        await page.click("#curves button")
        saved = await page.wait_for("window.saved.length && window.saved[0]")
        assert saved == ["curves.png", "data:image/png;base64,"]
        await page.evaluate("document.querySelector('.skip').focus()")
        assert await page.evaluate("document.activeElement.getAttribute('href')") == "#main"

    look(tmp_path, steps)


@pytest.mark.skipif(AXE not in os.environ, reason=f"set {AXE} to axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_findings(url: str, tree: Path, tmp_path: Path, scheme: str) -> None:
    axe = Path(os.environ[AXE]).read_text()

    async def steps(page: Page) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await page.call("Emulation.setEmulatedMedia", features=features)
        for name, address in addresses(url, tree).items():
            await show(page, address)
            await page.evaluate(axe + "; undefined")
            await page.evaluate("axe.run().then((found) => { window.found = found; }); undefined")
            found = await page.wait_for(
                "window.found && JSON.stringify(window.found.violations.filter((each) => "
                "['serious', 'critical'].includes(each.impact)).map((each) => "
                "[each.id, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 300))]))"
            )
            assert json.loads(found) == [], name

    look(tmp_path, steps)
