import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.report.html import pair_rows, render_html, summarize, write_report
from physrl.report.report import GalleryItem, ReportData, ReportSection
from tests.support.answers import make_answer

VOID = {"meta", "img", "br", "hr", "link", "input"}
IMAGE = np.zeros((8, 8, 3), np.uint8)


class Outline(HTMLParser):
    """A parser that checks that every element is closed, and collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def item(after: np.ndarray | None) -> GalleryItem:
    return GalleryItem(
        policy="grpo",
        question="Where? <answer>",
        answer="<script>alert(1)</script>",
        before=IMAGE,
        after=after,
        note="not simulated: no answer" if after is None else "all blocks stand",
        reward=0.5,
        success=after is not None,
    )


@pytest.fixture(scope="module")
def data(policies: tuple[PolicyResult, ...]) -> ReportData:
    return ReportData(
        title="Towers & models",
        subtitle="made up",
        sections=(
            ReportSection(
                title="iid: 10 scenes",
                policies=policies,
                gallery=(item(IMAGE), item(None), item(IMAGE)),
                human=HumanAccuracy(4, 6, 0.62),
            ),
            ReportSection("tall: 10 scenes", policies[:1], note="environment.x 1 (not 2)"),
        ),
        curves={"grpo": [{"step": step, "reward": step / 10} for step in range(30)]},
        settings={"a": {"algorithm.lr": 1e-05}, "b": {"model.lora": None}},
        differences={"algorithm.lr": (1e-05, True)},
        facts={"machine": "2 cores"},
    )


@pytest.fixture(scope="module")
def page(data: ReportData) -> str:
    return render_html(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    return parser


def test_page_is_well_formed_and_loads_nothing(page: str) -> None:
    parsed = outline(page)
    assert parsed.open == []
    assert all(load.startswith(("data:image/png;base64,", "#")) for load in parsed.loads)
    assert not re.search(r"@import|url\((?!#)", page)


def test_page_shows_every_policy_figure_and_gallery_item(
    page: str, policies: tuple[PolicyResult, ...]
) -> None:
    parsed = outline(page)
    assert parsed.counts["article"] == 3
    assert parsed.counts["img"] == 5
    assert parsed.counts["figure"] == 7
    assert all(policy.policy in page for policy in policies)
    assert "not simulated: no answer" in page
    assert all(part in page for part in ("2 cores", "algorithm.lr", "1e-05", "environment.x"))
    assert len(re.findall(r'id="([^"]+)"', page)) == len(set(re.findall(r'id="([^"]+)"', page)))


def test_the_text_of_a_model_is_escaped(page: str) -> None:
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "Towers &amp; models" in page


def test_summary_by_hand(policies: tuple[PolicyResult, ...]) -> None:
    # Place, 1 of 10 against 8 of 10, 7 gained and none lost: with 8 / 12 and 1 / 12, the middle is
    # 7 / 12 and 1.96 * sqrt((9 / 12 - (7 / 12)^2) / 12) = 0.3622.
    stability, place, real = summarize(policies)
    assert re.search(r"10%.*grpo 80% \(\+70.0 points, \+22.1 to \+94.6; significant\)", place)
    assert re.search(r"grpo 50% \(\+0.0 points, -23.1 to \+23.1; not significant\)", stability)
    assert "50%" in real


def test_an_empty_report_is_a_page() -> None:
    empty = ReportData("Nothing", "yet", (), curves={"grpo": [{"step": 1, "unknown": 0.5}]})
    parsed = outline(render_html(empty))
    assert parsed.open == []
    assert "figure" not in parsed.counts


def test_the_report_is_written_to_its_path(data: ReportData, tmp_path: Path) -> None:
    path = write_report(data, tmp_path / "report" / "index.html")
    assert path == tmp_path / "report" / "index.html"
    assert path.stat().st_size < 3_000_000


def test_every_two_of_several_policies_are_compared_scene_by_scene() -> None:
    policies = [
        PolicyResult(name, (CellResult(Condition("place"), answers),))
        for name, solved in (("base", 0), ("first: grpo", 2), ("second: grpo", 4))
        for answers in [tuple(make_answer(index, index < solved) for index in range(4))]
    ]
    rows = list(pair_rows(policies))
    assert [row[1:3] for row in rows] == [
        ("first: grpo", "base"),
        ("second: grpo", "base"),
        ("second: grpo", "first: grpo"),
    ]
    # Bonett and Price: (3 - 1) / 6 +- 1.96 sqrt((4 / 6 - (2 / 6)^2) / 6).
    assert rows[2][3:] == ("+50.0", "-26.3 to +93.0", "not significant")
    assert list(pair_rows(policies[:2])) == []
