import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from physrl.data.photos import HumanAccuracy
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.report.answer_figures import confusion_matrices, offset_scatter
from physrl.report.figures import accuracy_bars, curve_panels, learning_curves
from physrl.report.plot import INK
from physrl.tasks import TASKS
from tests.support.answers import make_policy_result, make_verdict_answer

Policies = tuple[PolicyResult, ...]
FIGURES: dict[str, Callable[[Policies], str]] = {
    "accuracy": lambda policies: accuracy_bars(policies, HumanAccuracy(4, 6, 0.62)),
    "curves": lambda _: learning_curves(
        {"grpo": [{"step": 1, "reward": 0.5}, {"step": 2, "task/place/accuracy": 0.1}]}
    ),
    "confusion": confusion_matrices,
    "offsets": lambda policies: offset_scatter(policies, "place", ("x", "y"), "offsets"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_svg_in_the_pages_ink_with_unique_ids(name: str, policies: Policies) -> None:
    svg = FIGURES[name](policies)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "currentColor" in svg
    assert INK not in svg
    ids = set(re.findall(r'id="([^"]+)"', svg))
    assert all(each.startswith(f"{name}-") for each in ids)
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', svg)) <= ids


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("policy", [r"$\frac{$", "$x$", "a&<b>", "\u202eab", "%s{0}_^"])
def test_the_name_of_a_policy_is_only_text(name: str, policy: str) -> None:
    ElementTree.fromstring(FIGURES[name]((make_policy_result(policy, 8),)))


def test_many_tasks_fill_several_rows_of_panels() -> None:
    answer = make_verdict_answer("a", True, True)
    results = tuple(CellResult(Condition(task), (answer,)) for task in list(TASKS)[:5])
    svg = accuracy_bars([PolicyResult("one", results)], None)
    assert len(set(re.findall(r'id="accuracy-axes_\d+"', svg))) == 5


def test_the_loss_is_drawn_of_sft_alone() -> None:
    rl, sft = {"step": 1, "reward": 0.5, "loss": 1e-9}, {"step": 1, "loss": 2.0}
    assert "loss" not in curve_panels({"grpo": [rl]})
    assert "loss" in curve_panels({"grpo": [rl], "sft": [sft]})
