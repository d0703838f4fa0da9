"""How an actor loads what is large: PyTorch, transformers, DeepSpeed, vLLM."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_start() -> Iterator[None]:
    """Start without looking for garbage, and never look for it in what is there afterwards.

    Modules are not garbage, but a million objects of theirs would be walked dozens of times while
    they come in (a tenth of the start), and again whenever the process works.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
