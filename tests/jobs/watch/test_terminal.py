import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from jobs.watch import terminal
from jobs.watch.site import Site
from tests.support.command_line import call_refused
from tests.support.watched_tree import TreeSize, write_tree


def lines(site: Site) -> str:
    console = Console(file=io.StringIO(), width=160)
    with site.page_lock:
        site.refresh()
        console.print(terminal.overview_tables(site))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_terminal_shows_the_overview(tmp_path: Path) -> None:
    plan = write_tree(tmp_path, TreeSize(), time.time())
    text = lines(Site([str(tmp_path)], patience_s=60))
    assert f"10 of {len(plan.trials)} (1 running, 1 failed)" in text
    assert "CUDA out of memory" in text
    assert "│ running │" in text
    text = lines(Site([str(tmp_path / "runs")]))
    assert "3 of 23" in text
    assert "tiny-place-sft_shuffled-seed1" in text


def test_what_is_not_there_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no study and no run" in lines(Site([str(tmp_path)]))
    (tmp_path / "[red]x\x1b[2J").mkdir()
    (tmp_path / "[red]x\x1b[2J" / "config.yaml").write_text("{")
    text = lines(Site([str(tmp_path)]))
    assert "config.yaml cannot be read" in text
    assert "\x1b[2J" not in text
    assert "does not exist" in call_refused(capsys, "status", tmp_path / "typo", "--watch")


def test_it_goes_on_until_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(terminal.time, "sleep", nap)
    terminal.run(str(tmp_path))
    assert naps == [terminal.EVERY_S] * 3
