"""What becomes of an update whose loss or gradient is not finite: nothing, a few times."""

import logging
import math

from physrl.errors import DivergedError

LIMIT = 3
"""As many skipped updates in a row end the run."""
logger = logging.getLogger(__name__)


class Guard:
    """Says which updates were applied, and ends a run that no longer can.

    The gradient's norm is the same on every rank, so that all ranks decide alike: whoever finds its
    loss not finite spoils its gradient, and with it the norm of all.
    """

    def __init__(self) -> None:
        self._skipped_in_a_row = 0

    def applied(self, norm: float, loss: float, step: int) -> bool:
        """Whether the engine applied the update.

        Args:
            norm: of the gradient; an engine drops a gradient whose norm is not finite.
            loss: this rank's share, for the log.

        Raises:
            DivergedError: it is the last of `LIMIT` skipped updates in a row.
        """
        if math.isfinite(norm):
            self._skipped_in_a_row = 0
            return True
        self._skipped_in_a_row += 1
        what = f"loss {loss:g}, gradient norm {norm:g}"
        logger.warning("an update of step %d is skipped: %s", step + 1, what)
        if self._skipped_in_a_row == LIMIT:
            raise DivergedError(
                f"{LIMIT} updates in a row were skipped, the last in step {step + 1} ({what}): "
                "train under another name= with a smaller algorithm.lr, from the last checkpoint "
                "(model.path or model.adapter) or the start"
            )
        return False
