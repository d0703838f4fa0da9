"""Cumulative counts of what a run has trained on, to match another run to."""

from physrl.types import Metrics

KEYS = ("scenes", "samples", "tokens", "updates")


def spend(before: Metrics, step: Metrics) -> Metrics:
    """Add a step's counts to the run's totals, `budget/<key>`.

    Args:
        before: metrics with the totals before the step; empty at the start of a run.
        step: metrics with the step's own counts, `step/<key>`.
    """
    return {f"budget/{key}": before.get(f"budget/{key}", 0.0) + step[f"step/{key}"] for key in KEYS}
