"""DAPO's soft punishment of overlong completions (Yu et al. 2025, arXiv 2503.14476)."""

import numpy as np
from numpy.typing import NDArray


def overlong_punishment(
    lengths: NDArray[np.int64], max_length: int, cache: int
) -> NDArray[np.float64]:
    """Compute 0 up to max_length - cache tokens, then a line to -1 at max_length (equation 13).

    Args:
        lengths: completion lengths in tokens, of any shape.
        cache: number of tokens over which the punishment grows, at least 1.
    """
    into_cache = lengths - (max_length - cache)
    return -np.clip(into_cache / cache, 0.0, 1.0)
