"""How much better each completion was than its group."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["group", "batch", "none"]
EPSILON = 1e-4


def group_advantages(rewards: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """A = (r - mean_g) / (std + 1e-4), std over the group or the batch; or A = r - mean_g.

    Shao et al. 2024, equation 4, with TRL's sample standard deviation and epsilon.

    Args:
        rewards: groups x group_size.

    Returns:
        The same shape.
    """
    centred: NDArray[np.float64] = rewards - rewards.mean(axis=1, keepdims=True)
    if scale == "none":
        return centred
    axis = 1 if scale == "group" else None
    deviation: NDArray[np.float64] = rewards.std(axis=axis, ddof=1, keepdims=True)
    scaled: NDArray[np.float64] = centred / (deviation + EPSILON)
    return scaled
