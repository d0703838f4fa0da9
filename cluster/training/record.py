"""What a run leaves in its folder, and what storage and trackers get of it."""

import logging
from collections.abc import Callable
from pathlib import Path

from cluster.training.gauges import RunGauges
from physrl.config.run import RunConfig
from physrl.errors import StorageError
from physrl.metrics import MetricsWriter
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from physrl.storage.mirror import open_mirror
from physrl.tracking import trackers
from physrl.types import JSON, Metrics

UPLOAD_SECONDS, STOPPED_UPLOAD_SECONDS = 60.0, 20.0
"""How long a finished run waits for its storage, and one that somebody stopped."""
logger = logging.getLogger(__name__)


class RunRecord:
    """Writes metrics and checkpoints of one run; one a run, closed at the end."""

    def __init__(self, config: RunConfig) -> None:
        keep = config.checkpoint
        self._checkpoints = Checkpoints(config.folder, keep.keep_last, keep.keep_best)
        self._mirror = open_mirror(config)
        sinks = [*trackers(config), RunGauges(config.name, config.name)]
        self._metrics = MetricsWriter(config.folder, sinks)

    def restore(self) -> Checkpoint | None:
        """The newest checkpoint, if there is one; what was written of later steps is forgotten."""
        newest = self._checkpoints.latest()
        self._metrics.truncate_after(0 if newest is None else newest.step)
        if self._mirror is not None:
            if newest is not None:
                self._mirror.checkpoint(newest)  # in case the last process did not come to it
            else:
                self._mirror.sync()  # what was measured before training
        return newest

    def write(self, step: int, metrics: Metrics) -> Metrics:
        """Write a step's metrics down; returns them with what is added here."""
        if self._mirror is not None:
            metrics = metrics | self._mirror.metrics()
        self._metrics.write(step, metrics)
        return metrics

    def commit(self, step: int, state: JSON, write: Callable[[Path], None]) -> Checkpoint:
        """Make a step's checkpoint, as `Checkpoints.commit`, and have it uploaded."""
        checkpoint = self._checkpoints.commit(step, state, write)
        if self._mirror is not None:
            self._mirror.checkpoint(checkpoint)
        return checkpoint

    def upload(self, seconds: float) -> None:
        """Have everything in storage; what does not get there now is left to the job's end."""
        if self._mirror is None:
            return
        with self._mirror:
            self._mirror.sync()
            try:
                self._mirror.wait(seconds)
            except StorageError as error:
                logger.warning("%s", error)

    def close(self) -> None:
        """Write and send the metrics that are left.

        Raises:
            DataError: they cannot be written.
        """
        self._metrics.close()
