"""A run's metrics as gauges of the Ray cluster, for Prometheus and Grafana."""

import re
from functools import cache
from typing import Any

from ray.util.metrics import Gauge

from physrl.metrics import Row

TAGS = ("run", "trial")


class RunGauges:
    """A `MetricsSink`: each metric's last value as `ray_physrl_<name>`, tagged run and trial.

    What is no letter or digit in a metric's name is an underscore there.

    Args:
        run: the run's name.
        trial: that of the trial of a grid; the run's own where there is no grid.
    """

    name = "Ray's metrics"

    def __init__(self, run: str, trial: str) -> None:
        self._tags = dict(zip(TAGS, (run, trial), strict=True))

    def write(self, row: Row) -> None:
        for name, value in row.metrics.items():
            _gauge(gauge_name(name), name).set(value, self._tags)

    def close(self) -> None:
        """Ray goes on to export the last values while the process lives."""


def gauge_name(metric: str) -> str:
    """`task/place/accuracy` to `physrl_task_place_accuracy`; Ray puts `ray_` before it."""
    return "physrl_" + re.sub(r"[^a-zA-Z0-9]", "_", metric)


@cache
def _gauge(name: str, metric: str) -> Any:
    """One a name and process, whatever the number of runs in it."""
    return Gauge(name, description=f"{metric}, the last step's", tag_keys=TAGS)
