"""Locks of PyTorch's compiled extensions, which a compiler that was killed leaves behind.

PyTorch waits for such a lock without end: every rank would hang at its first collective operation.
"""

import logging
import os
import time
from pathlib import Path

STALE_SECONDS = 900.0
"""Age of a lock that no compiler holds any more: DeepSpeed's operator takes about a minute."""
_logger = logging.getLogger(__name__)


def remove_stale_locks() -> list[Path]:
    """Remove old locks of the environment's extensions, and warn of each."""
    folder = os.environ.get("TORCH_EXTENSIONS_DIR") or "~/.cache/torch_extensions"
    removed = []
    for lock in sorted(Path(folder).expanduser().rglob("lock")):
        try:
            age = time.time() - lock.stat().st_mtime
            if age < STALE_SECONDS:
                continue
            lock.unlink()
        except OSError:  # another rank was faster, or may not
            continue
        _logger.warning(
            "%s was left behind %.0f minutes ago by a compiler that was killed: it is removed, and "
            "the extension compiled anew if it is not complete",
            lock,
            age / 60,
        )
        removed.append(lock)
    return removed
