"""Images as Arrow structs of PNG bytes, the format of a Hugging Face `datasets` image."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image as PillowImage

from physrl.types import Image

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
PNG_LEVEL = 6
"""Compression level; fixed, so that equal images give equal bytes."""


def encode_image(image: Image) -> dict[str, Any]:
    """Encode an image losslessly as a value of type `IMAGE`."""
    stream = io.BytesIO()
    PillowImage.fromarray(image).save(stream, "PNG", compress_level=PNG_LEVEL)
    return {"bytes": stream.getvalue(), "path": None}


def decode_image(value: dict[str, Any]) -> Image:
    """Decode a value of type `IMAGE`."""
    with PillowImage.open(io.BytesIO(value["bytes"])) as image:
        return np.asarray(image)
