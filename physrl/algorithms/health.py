"""Warnings about runs that go wrong in a way that the reward does not show."""

import math
import re
from collections import deque
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from physrl.types import Metrics

Rows = Sequence[Metrics]
WINDOW = 10
"""Number of steps in a mean, and of steps without a problem after which it is over."""
COLLAPSED = 0.1
"""Fraction of the initial entropy below which it has collapsed."""
DRIFTED = 2.0
"""Factor by which the mean length may grow or shrink."""
UNPARSEABLE = 0.25
"""Fraction of unparseable completions that is warned about."""
CERTAIN = 3.0
"""Number of standard errors that counts as a rise of the reward."""
SOLVED = 0.95
"""Accuracy above which a reward may rise alone."""
NEVER = 0.01
"""Accuracy below which a task counts as never solved."""
ALL = 0.999
"""Fraction that counts as all."""
ACCURACY = re.compile(r"task/([^/]+)/accuracy")
"""Key of a task's accuracy."""


class HealthCheck:
    """A check of each step's metrics, in order, that returns warnings.

    A problem is reported once, when it begins; again only after it was over. A resumed run first
    passes the metrics of its earlier steps.
    """

    def __init__(self) -> None:
        self._first: list[Metrics] = []
        self._last: deque[Metrics] = deque(maxlen=2 * WINDOW)
        self._steps_without: dict[str, int] = {}

    def __call__(self, metrics: Metrics) -> list[str]:
        """Return the warnings of this step, usually none."""
        if not self._first and (hopeless := no_signal(metrics)) is not None:
            self._first.append(metrics)
            self._last.append(metrics)
            return [hopeless]
        if len(self._first) < WINDOW:
            self._first.append(metrics)
        self._last.append(metrics)
        rows = list(self._last)
        before, recent = rows[:-WINDOW], rows[-WINDOW:]
        if len(recent) < WINDOW:
            return []
        warnings = []
        for name, check in CHECKS.items():
            warning = check(self._first, before, recent)
            if warning is not None and name not in self._steps_without:
                warnings.append(warning)
            self._note(name, present=warning is not None)
        return warnings

    def _note(self, name: str, *, present: bool) -> None:
        if present:
            self._steps_without[name] = 0
        elif name in self._steps_without:
            self._steps_without[name] += 1
            if self._steps_without[name] == WINDOW:
                del self._steps_without[name]


def no_signal(metrics: Metrics) -> str | None:
    """Warn, at the first step, about a run that has nothing to learn from."""
    accuracies = _accuracies([metrics])
    if metrics.get("parse/failure_rate", 0.0) >= ALL:
        truncated = metrics.get("completions/clipped_ratio", 0.0)
        return (
            f"nothing to learn from yet: no completion has a valid answer ({truncated:.0%} were "
            "truncated); add a warm start (warm_start.steps=16), or raise "
            "model.max_completion_tokens if they are cut off"
        )
    if metrics.get("frac_reward_zero_std", 0.0) >= ALL:
        return (
            "nothing to learn from yet: all completions of each scene have the same reward; add a "
            "warm start (warm_start.steps=16), or raise temperature or algorithm.group_size"
        )
    if accuracies and not any(accuracies.values()):
        return (
            f"no success on {', '.join(accuracies)} at the first step: a task that starts at 0% "
            "usually stays there; add a warm start (warm_start.steps=16), or begin with easier "
            "scenes (environment.num_blocks)"
        )
    return None


def entropy_collapse(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Warn about a policy whose completions hardly vary any more."""
    start, now = _mean(first, "entropy"), _mean(recent, "entropy")
    if not now < COLLAPSED * start:
        return None
    return (
        f"entropy collapse: {now:.3g} nats per token, {start:.3g} at first; raise "
        "algorithm.entropy_coef or lower algorithm.lr"
    )


def reward_without_accuracy(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Warn about a reward that rises while the accuracy does not (reward hacking)."""
    rise = _reward_rise(before, recent)
    accuracy_before, accuracy = _accuracy(before), _accuracy(recent)
    fails = accuracy <= accuracy_before and accuracy < SOLVED
    if rise is None or not fails or accuracy_before < NEVER:
        return None
    return (
        f"reward without accuracy: reward {rise}, accuracy {accuracy_before:.0%} to "
        f"{accuracy:.0%}; check the rollouts and the reward's parts for reward hacking"
    )


def reward_without_success(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Warn about a reward that has risen since the start while a task was never solved."""
    rise = _reward_rise(first, recent)
    early, late = _accuracies(first), _accuracies(recent)
    unsolved = [
        task for task, accuracy in late.items() if max(accuracy, early.get(task, 0.0)) < NEVER
    ]
    if rise is None or not unsolved:
        return None
    return (
        f"reward without success: reward {rise}, and still no success on {', '.join(unsolved)}; "
        "look at the rollouts: unless the answers come nearer, set reward.type=simulated with its "
        "default weights or add a warm_start"
    )


def length_drift(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Warn about completions that became much longer or shorter."""
    key = "completions/mean_length"
    start, now = _mean(first, key), _mean(recent, key)
    if not (now > DRIFTED * start or now < start / DRIFTED):
        return None
    return f"length drift: {now:.1f} tokens per completion, {start:.1f} at first"


def parse_failures(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Warn about many completions without a single valid answer."""
    now = _mean(recent, "parse/failure_rate")
    if not now > UNPARSEABLE:
        return None
    truncated = _mean(recent, "completions/clipped_ratio")
    return (
        f"parse failures: {now:.0%} of completions have no valid answer ({truncated:.0%} were "
        "truncated at model.max_completion_tokens)"
    )


CHECKS: dict[str, Callable[[Rows, Rows, Rows], str | None]] = {
    "entropy": entropy_collapse,
    "reward": reward_without_accuracy,
    "success": reward_without_success,
    "length": length_drift,
    "parse": parse_failures,
}
"""Checks by name, each of the first steps, those before the recent ones, and the recent ones."""


def _values(rows: Rows, key: str) -> list[float]:
    return [row[key] for row in rows if key in row]


def _mean(rows: Rows, key: str) -> float:
    """Average a key; NaN, for which every comparison is false, where no row has it."""
    return fmean(_values(rows, key) or [math.nan])


def _reward_rise(old: Rows, new: Rows) -> str | None:
    """Return the mean rewards of both rows, "old to new", if they have risen beyond noise."""
    before, after = _values(old, "reward"), _values(new, "reward")
    if len(before) < WINDOW or len(after) < WINDOW:
        return None
    error = math.hypot(np.std(before, ddof=1), np.std(after, ddof=1)) / math.sqrt(WINDOW)
    if not fmean(after) - fmean(before) > CERTAIN * error:
        return None
    return f"{fmean(before):.3g} to {fmean(after):.3g}"


def _accuracy(rows: Rows) -> float:
    """Average the accuracies of all trained tasks."""
    return fmean(_accuracies(rows).values() or [math.nan])


def _accuracies(rows: Rows) -> dict[str, float]:
    """Average the accuracy of each trained task."""
    keys = {key for row in rows for key in row if ACCURACY.fullmatch(key)}
    return {key.split("/")[1]: _mean(rows, key) for key in sorted(keys)}
