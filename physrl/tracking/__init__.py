"""Experiment trackers as sinks of a run's metrics."""

from physrl.tracking.configured import check_tracking, trackers

__all__ = ["check_tracking", "trackers"]
