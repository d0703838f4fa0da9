"""The sink for Weights & Biases."""

import logging
from typing import Any

from physrl.config.run import RunConfig
from physrl.config.tracking import WandbConfig
from physrl.metrics import Row
from physrl.tracking.identity import identity

_logger = logging.getLogger(__name__)


class WandbRun:
    """A sink that opens its W&B run with the first row.

    W&B keeps the first values of a step, so the sink skips steps that a resumed run repeats.
    """

    name = "Weights & Biases"

    def __init__(self, config: RunConfig, wandb: WandbConfig) -> None:
        self._config, self._wandb = config, wandb
        self._run: Any = None

    def write(self, row: Row) -> None:
        if self._run is None:
            self._run = self._open()
        if row.step >= self._run.starting_step:
            self._run.log(row.metrics, step=row.step)

    def close(self) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0)

    def _open(self) -> Any:
        import wandb

        own = identity(self._config)
        # Offline it cannot find an earlier run; `wandb sync --append` joins them.
        resume = "allow" if self._wandb.mode == "online" else None
        run = wandb.init(
            project=self._wandb.project,
            entity=self._wandb.entity,
            mode=self._wandb.mode,
            tags=self._wandb.tags,
            id=own.id,
            name=own.title,
            resume=resume,
            dir=self._config.folder,
            config=self._config.model_dump(mode="json"),
            reinit="create_new",  # a warm start and its run share one process
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )
        _logger.info("%s: %s", self.name, run.dir if run.offline else run.url)
        return run
