"""Decoding of a photograph's file, in any format that Pillow reads, into RGB pixels."""

import io
import warnings

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps

from physrl.errors import DataError, boundary
from physrl.types import Image

DEEP_MODES = ("I", "F")
"""Prefixes of Pillow modes whose values would be clipped, not scaled, to 8 bits."""
WHITE = (255, 255, 255)
"""Color behind transparent pixels, as in Qwen's own tools and in vLLM."""


def decode_photo(data: bytes, name: str) -> Image:
    """Decode an image upright, with transparent pixels on white.

    Raises:
        DataError: the image is damaged, too large for Pillow, or has more than 8 bits per channel;
            the message begins with `name`.
    """
    readable = boundary(DataError, f"{name} is not a readable image", "save it as PNG or JPEG")
    with readable, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata, which are not read
        with PillowImage.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(DEEP_MODES):
                raise DataError(f"{name} has more than 8 bits per channel: save it with 8 bits")
            return np.asarray(_on_white(upright).convert("RGB"))


def _on_white(image: PillowImage.Image) -> PillowImage.Image:
    if not image.has_transparency_data:
        return image
    front = image.convert("RGBA")
    white = PillowImage.new("RGBA", front.size, WHITE)
    return PillowImage.alpha_composite(white, front)
