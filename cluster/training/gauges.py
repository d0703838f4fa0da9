"""Metrics of a run as gauges of the Ray cluster, for Prometheus and Grafana."""

import re
from functools import cache
from typing import Any

from ray.util.metrics import Gauge

from physrl.metrics import Row

TAGS = ("run", "trial")


class RunGauges:
    """A `MetricsSink` that exports the last value of each metric, tagged with run and trial.

    Args:
        run: name of the run.
        trial: name of the study's trial; that of the run outside of a study.
    """

    name = "Ray's metrics"

    def __init__(self, run: str, trial: str) -> None:
        self._tags = dict(zip(TAGS, (run, trial), strict=True))

    def write(self, row: Row) -> None:
        for name, value in row.metrics.items():
            _gauge(gauge_name(name), name).set(value, self._tags)

    def close(self) -> None:
        """Do nothing: Ray exports the last values until the process ends."""


def gauge_name(metric: str) -> str:
    """Return the gauge's name: `physrl_task_place_accuracy` for `task/place/accuracy`.

    Every character but letters and digits becomes an underscore; Ray adds the prefix `ray_`.
    """
    return "physrl_" + re.sub(r"[^a-zA-Z0-9]", "_", metric)


@cache
def _gauge(name: str, metric: str) -> Any:
    """Create a gauge once in a process, since several runs may use it."""
    return Gauge(name, description=f"{metric}, the last step's", tag_keys=TAGS)
