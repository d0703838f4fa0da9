"""Random images."""

import numpy as np

from physrl.types import Image


def random_image(seed: int, size: int = 84) -> Image:
    """Draw a square image of uniform noise."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
