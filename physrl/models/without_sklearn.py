"""Import of transformers without scikit-learn."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CANDIDATE_GENERATOR = "transformers.generation.candidate_generator"


@contextmanager
def without_sklearn() -> Iterator[None]:
    """Let transformers, imported in the block, import scikit-learn on use instead.

    Where scikit-learn is installed (the probes need it), transformers imports it with SciPy's
    statistics and pandas, for one option of assisted decoding: 1.5 of the 9.5 CPU-seconds of a
    rank's imports, and as much of a server's, at every start.
    """
    import transformers.utils

    is_available = transformers.utils.is_sklearn_available
    transformers.utils.is_sklearn_available = lambda: False
    try:
        yield
    finally:
        transformers.utils.is_sklearn_available = is_available
        module: Any = sys.modules.get(CANDIDATE_GENERATOR)
        if module is not None and not hasattr(module, "roc_curve") and is_available():
            module.is_sklearn_available = is_available
            module.roc_curve = _roc_curve


def _roc_curve(*arguments: Any, **options: Any) -> Any:
    from sklearn.metrics import roc_curve

    return roc_curve(*arguments, **options)
