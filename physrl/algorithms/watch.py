"""Says in one line when a run goes wrong in a way that its reward does not show."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from physrl.types import Metrics

Rows = Sequence[Metrics]
WINDOW = 10
"""Steps over which means are taken; a trouble is over after as many steps without it."""
COLLAPSED = 0.1
"""Share of the first entropy."""
DRIFTED = 2.0
"""Times the first length, or one over it."""
UNPARSEABLE = 0.25
CERTAIN = 3.0
"""Standard errors by which a reward rises."""
SOLVED = 0.95
"""Accuracy beyond which a reward may rise alone."""


class Watch:
    """Takes each step's metrics in order and gives the warnings that are due.

    A trouble is named once, when it begins; again only after it was over. A resumed run hands in
    the metrics of the steps before it first.
    """

    def __init__(self) -> None:
        self._first: list[Metrics] = []
        self._last: deque[Metrics] = deque(maxlen=2 * WINDOW)
        self._steps_without: dict[str, int] = {}

    def __call__(self, metrics: Metrics) -> list[str]:
        """The warnings of this step: none, as a rule."""
        if len(self._first) < WINDOW:
            self._first.append(metrics)
        self._last.append(metrics)
        rows = list(self._last)
        before, recent = rows[:-WINDOW], rows[-WINDOW:]
        if len(recent) < WINDOW:
            return []
        warnings = []
        for name, look in TROUBLES.items():
            warning = look(self._first, before, recent)
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


def entropy_collapse(first: Rows, before: Rows, recent: Rows) -> str | None:
    """The policy hardly varies its answers any more."""
    start, now = _mean(first, "entropy"), _mean(recent, "entropy")
    if not now < COLLAPSED * start:
        return None
    return (
        f"entropy collapse: {now:.3g} nats a token, {start:.3g} at first; raise "
        "algorithm.entropy_coef or lower algorithm.lr"
    )


def reward_without_accuracy(first: Rows, before: Rows, recent: Rows) -> str | None:
    """The reward rises for something else than solving the task."""
    old, new = _values(before, "reward"), _values(recent, "reward")
    if len(old) < WINDOW or len(new) < WINDOW:
        return None
    error = math.hypot(stdev(old), stdev(new)) / math.sqrt(WINDOW)
    accuracy_before, accuracy = _accuracy(before), _accuracy(recent)
    rises = fmean(new) - fmean(old) > CERTAIN * error
    if not (rises and accuracy <= accuracy_before and accuracy < SOLVED):
        return None
    return (
        f"reward without accuracy: reward {fmean(old):.3g} to {fmean(new):.3g}, accuracy "
        f"{accuracy_before:.0%} to {accuracy:.0%}; look at the rollouts and the reward's parts"
    )


def length_drift(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Completions became much longer or shorter."""
    key = "completions/mean_length"
    start, now = _mean(first, key), _mean(recent, key)
    if not (now > DRIFTED * start or now < start / DRIFTED):
        return None
    return f"length drift: {now:.1f} tokens a completion, {start:.1f} at first"


def parse_failures(first: Rows, before: Rows, recent: Rows) -> str | None:
    """Many completions hold no single valid answer."""
    now = _mean(recent, "parse/failure_rate")
    if not now > UNPARSEABLE:
        return None
    cut = _mean(recent, "completions/clipped_ratio")
    return (
        f"parse failures: {now:.0%} of completions hold no valid answer ({cut:.0%} were cut at "
        "model.max_completion_tokens)"
    )


TROUBLES: dict[str, Callable[[Rows, Rows, Rows], str | None]] = {
    "entropy": entropy_collapse,
    "reward": reward_without_accuracy,
    "length": length_drift,
    "parse": parse_failures,
}
"""Each looks at the first steps, those before the recent ones, and the recent ones."""


def _values(rows: Rows, key: str) -> list[float]:
    return [row[key] for row in rows if key in row]


def _mean(rows: Rows, key: str) -> float:
    """NaN, which no comparison holds for, where no row has the key."""
    return fmean(_values(rows, key) or [math.nan])


def _accuracy(rows: Rows) -> float:
    """Of all tasks that are trained on."""
    values = [
        value
        for row in rows
        for key, value in row.items()
        if key.startswith("task/") and key.endswith("/accuracy")
    ]
    return fmean(values or [math.nan])
