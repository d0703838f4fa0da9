"""Scenes that are left out because they kill, hang or fail every worker."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ray.exceptions import ObjectLostError

from cluster.runtime.actor_pool import ATTEMPTS
from physrl.errors import LostCallError, LostError, SimulationError
from physrl.scene_source import SceneSource

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class Quarantine:
    """The scenes that were left out, and why."""

    def __init__(self) -> None:
        self.scenes: dict[str, str] = {}

    async def guard(
        self, source: SceneSource, index: int, compute: Callable[[], Awaitable[Value]]
    ) -> Value | None:
        """Compute something about a scene; None where the scene is left out.

        Objects between the stages that were lost with a machine are computed again.

        Raises:
            LostError: a lost machine held what is needed at each attempt, such as new weights.
        """
        name = source.scene_id(index)
        if name in self.scenes:
            return None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await compute()
            except (LostCallError, SimulationError) as error:
                self.scenes[name] = str(error)
                logger.warning("scene %s is left out: %s", name, error)
                return None
            except ObjectLostError as error:
                reason = str(error).strip().splitlines()[0]
                if attempt == ATTEMPTS:
                    raise LostError(
                        f"scene {name} cannot be rolled out: {reason}; continue with --resume"
                    ) from error
                logger.warning("scene %s is rolled out again: %s", name, reason)
        raise AssertionError  # the last attempt returns or raises
