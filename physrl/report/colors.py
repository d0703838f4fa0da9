"""Colors and line styles that identify policies and families on all figures of a page."""

from collections.abc import Sequence
from typing import Any

from physrl.evaluation.families import Family
from physrl.evaluation.study_results import StudyResults

POLICY_COLORS = {"base": "#8c8c8c", "warm": "#e69f00", "grpo": "#0a84c8", "sft": "#d55e00"}
OTHER_COLORS = (
    "#009e73", "#cc79a7", "#56b4e9", "#9a8c00", "#7d5ba6", "#8b4513", "#17a2b8", "#6f8fd8",
)  # fmt: skip
"""Colors of other policies. The first four are from Okabe and Ito's palette, which is safe for
color-blind readers, darkened for white paper."""
METHOD_COLORS = {
    "gspo": "#009e73",
    "rejection": "#8b4513",
    "sft_samples": "#17a2b8",
    "observer": "#bcbd22",
    "grpo_yoked": "#6f8fd8",
    "grpo_random": "#b0b7c6",
    "warm_start": "#e69f00",
    "sft_shuffled": "#cc79a7",
    "physics": "#56b4e9",
    "guesser": "#9a8c00",
    "ppo": "#7d5ba6",
    "people": "#7b2d8b",
}
"""Colors of methods and controls of a study that are not in `POLICY_COLORS`."""
SUCCESS, FAILURE = "#0a84c8", "#d55e00"
DASHES = ("-", "--", "-.", ":")
LineStyle = dict[str, Any]
"""Keyword arguments of matplotlib's `plot`."""


def policy_colors(names: Sequence[str]) -> dict[str, str]:
    """Assign colors to policies; a known policy's color does not depend on the others."""
    others = [name for name in names if name not in POLICY_COLORS]
    spare = {name: OTHER_COLORS[i % len(OTHER_COLORS)] for i, name in enumerate(others)}
    return {name: POLICY_COLORS.get(name) or spare[name] for name in names}


def family_colors(families: Sequence[Family]) -> dict[Family, str]:
    """Assign colors to families by method."""
    methods = list(dict.fromkeys(family.method or family.kind for family in families))
    colors = policy_colors(methods) | METHOD_COLORS
    return {family: colors[family.method or family.kind] for family in families}


def line_styles(results: StudyResults) -> dict[Family, LineStyle]:
    """Assign line styles to the main families: a color a method, dashes a trained task."""
    trained = [family for family in results.main_families if family.kind == "trained"]
    tasks = list(dict.fromkeys(family.trained_on for family in trained))
    colors = family_colors(trained)
    styles: dict[Family, LineStyle] = {
        family: {"color": POLICY_COLORS["base"], "linewidth": 2.6, "zorder": 3}
        for family in results.main_families
        if family.kind == "base"
    }
    for family in trained:
        dashes = DASHES[tasks.index(family.trained_on) % len(DASHES)]
        styles[family] = {"color": colors[family], "linestyle": dashes, "linewidth": 1.4}
    return styles
