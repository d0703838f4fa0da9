"""What a run has spent, so that another can be given the same."""

from physrl.types import Metrics

KEYS = ("scenes", "samples", "tokens", "updates")


def spend(before: Metrics, step: Metrics) -> Metrics:
    """The run's totals after a step, `budget/<key>`.

    Args:
        before: metrics that hold the totals before it; empty at the start of a run.
        step: metrics that hold the step's own counts, `step/<key>`.
    """
    return {f"budget/{key}": before.get(f"budget/{key}", 0.0) + step[f"step/{key}"] for key in KEYS}
