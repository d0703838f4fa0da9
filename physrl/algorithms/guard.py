"""Detection of updates that were skipped because their loss or gradient is not finite."""

import logging
import math

from physrl.errors import DivergedError

LIMIT = 3
"""Number of skipped updates in a row that ends the run."""
logger = logging.getLogger(__name__)


class Guard:
    """Tells applied updates from skipped ones and ends a run that has diverged.

    All ranks decide alike because they share the gradient's norm: a rank with a non-finite loss
    makes its gradient NaN, and with it that norm.
    """

    def __init__(self) -> None:
        self._skipped_in_a_row = 0

    def applied(self, norm: float, loss: float, step: int) -> bool:
        """Return True if the engine applied the update.

        Args:
            norm: the gradient's norm; engines drop gradients whose norm is not finite.
            loss: this rank's share of the loss, for the log.

        Raises:
            DivergedError: `LIMIT` updates in a row were skipped.
        """
        if math.isfinite(norm):
            self._skipped_in_a_row = 0
            return True
        self._skipped_in_a_row += 1
        values = f"loss {loss:g}, gradient norm {norm:g}"
        logger.warning("skipped a non-finite update of step %d: %s", step + 1, values)
        if self._skipped_in_a_row == LIMIT:
            raise DivergedError(
                f"training diverged: {LIMIT} non-finite updates in a row, the last in step "
                f"{step + 1} ({values}): start a new run (name=) with a lower algorithm.lr, from "
                "the base or the last checkpoint (model.path or model.adapter)"
            )
        return False
