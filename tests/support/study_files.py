"""A small study for tests."""

from pathlib import Path

import yaml

from tests.support.paths import TINY_BASE


def write_study(folder: Path) -> Path:
    """Write a study's file, with its runs and its store in the same folder."""
    tree = {
        "name": "s",
        "base": {
            "output": str(folder / "runs"),
            "model": {"path": str(TINY_BASE)},
            "warm_start": {"steps": 1},
        },
        "grid": {"tasks": ["place"], "methods": {"grpo": {}}, "seeds": [0]},
        "evaluation": {"tasks": ["place"], "scenes": 2},
        "adaptation": None,
        "probes": None,
        "store": str(folder / "store"),
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path
