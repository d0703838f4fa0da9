"""Faster imports of large libraries in actors: PyTorch, transformers, DeepSpeed, vLLM."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cold_start() -> Iterator[None]:
    """Disable garbage collection during imports, and exclude the imported objects from it later.

    Otherwise the collector would traverse a million objects of these modules dozens of times during
    the imports (a tenth of the start), and again while the process works.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
