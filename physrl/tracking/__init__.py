"""Trackers of experiments that a run's metrics can be sent to."""

from physrl.tracking.configured import check_tracking, trackers

__all__ = ["check_tracking", "trackers"]
