"""The quarantine of scenes that kill, hang or fail every worker."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ray.exceptions import ObjectLostError

from cluster.runtime.actor_pool import ATTEMPTS
from physrl.errors import LostCallError, LostError, SimulationError
from physrl.question_source import Source

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class Quarantine:
    """The set of scenes that are excluded from rollouts."""

    def __init__(self) -> None:
        self.scenes: dict[str, str] = {}
        """Reason for each excluded scene, by the scene's id."""

    async def guard(
        self, source: Source, index: int, compute: Callable[[], Awaitable[Value]]
    ) -> Value | None:
        """Run a computation about a scene; return None if the scene is or becomes excluded.

        If objects were lost with a machine, the computation is repeated.

        Raises:
            LostError: objects were lost in every attempt, such as weights that only the lost
                machine held.
        """
        name = source.scene_id(index)
        if name in self.scenes:
            return None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await compute()
            except (LostCallError, SimulationError) as error:
                self.scenes[name] = str(error)
                logger.warning("scene %s is excluded: %s", name, error)
                return None
            except ObjectLostError as error:
                reason = str(error).strip().splitlines()[0]
                if attempt == ATTEMPTS:
                    raise LostError(
                        f"scene {name} cannot be rolled out: {reason}; continue with --resume"
                    ) from error
                logger.warning("retrying scene %s: %s", name, reason)
        raise AssertionError  # the last attempt returns or raises
