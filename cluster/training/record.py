"""The record of a run: metrics and checkpoints in its folder, in storage and at trackers."""

import logging
from collections.abc import Callable
from pathlib import Path

from cluster.training.gauges import RunGauges
from physrl.config.run import RunConfig
from physrl.errors import StorageError
from physrl.metrics.writer import MetricsWriter
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.storage.mirror import open_mirror
from physrl.tracking import trackers
from physrl.types import JSON, Metrics

UPLOAD_SECONDS, STOPPED_UPLOAD_SECONDS = 60.0, 20.0
"""Longest wait for uploads at the end of a run, and of a run that was stopped."""
logger = logging.getLogger(__name__)


class RunRecord:
    """The writer of a run's metrics and checkpoints; `close` it at the end."""

    def __init__(self, config: RunConfig) -> None:
        keep = config.checkpoint
        self._checkpoints = Checkpoints(config.folder, keep.keep_last, keep.keep_best)
        self._mirror = open_mirror(config)
        sinks = [*trackers(config), RunGauges(config.name, config.name)]
        self._metrics = MetricsWriter(config.folder, sinks)

    def restore(self) -> Checkpoint | None:
        """Return the newest checkpoint, if any, and remove the metrics of later steps."""
        newest = self._checkpoints.latest()
        self._metrics.truncate_after(0 if newest is None else newest.step)
        if self._mirror is not None:
            if newest is not None:
                self._mirror.checkpoint(newest)  # in case the last process did not upload it
            else:
                self._mirror.sync()  # the evaluation of the base
        return newest

    def write(self, step: int, metrics: Metrics) -> Metrics:
        """Write the metrics of a step; return them with those of the uploads."""
        if self._mirror is not None:
            metrics = metrics | self._mirror.metrics()
        self._metrics.write(step, metrics)
        return metrics

    def commit(self, step: int, state: JSON, write: Callable[[Path], None]) -> Checkpoint:
        """Commit the checkpoint of a step, see `Checkpoints.commit`, and start its upload."""
        checkpoint = self._checkpoints.commit(step, state, write)
        if self._mirror is not None:
            self._mirror.checkpoint(checkpoint)
        return checkpoint

    def upload(self, seconds: float) -> None:
        """Upload all files; those that take longer are left to the end of the job."""
        if self._mirror is None:
            return
        with self._mirror:
            self._mirror.sync()
            try:
                self._mirror.wait(seconds)
            except StorageError as error:
                logger.warning("%s", error)

    def close(self) -> None:
        """Write and send the remaining metrics.

        Raises:
            DataError: the metrics cannot be written.
        """
        self._metrics.close()
