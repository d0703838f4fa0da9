"""Faster imports of large libraries in actors: PyTorch, transformers, DeepSpeed, vLLM."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cold_start() -> Iterator[None]:
    """Import without garbage collection, and never collect afterwards what was imported.

    Modules are not garbage, but a million objects of theirs would be walked dozens of times while
    they come in (a tenth of the start), and again whenever the process works.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
