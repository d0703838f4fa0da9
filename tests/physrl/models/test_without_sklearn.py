"""Imports of actors: fast, and without a change of transformers for the process."""

import json
import subprocess
import sys

import pytest

STATISTICS = ["sklearn", "pandas", "scipy.stats"]
ABSENT = {
    "models": ["transformers", "peft", *STATISTICS],
    "models.processor": ["peft", *STATISTICS],
    "models.loading": STATISTICS,
    "models.deepspeed_engine": STATISTICS,
}
"""What must not have been imported after a module, in the order of imports."""
IMPORTS = f"""
import importlib, json, sys
found = {{}}
for module, absent in {ABSENT}.items():
    importlib.import_module("physrl." + module)
    if module != "models":
        import transformers.generation.candidate_generator as generator
    found[module] = [name for name in absent if name in sys.modules]
from transformers.utils import is_sklearn_available
if is_sklearn_available():
    found["curve"] = generator.roc_curve([0, 1], [0.2, 0.9])[1].tolist()
found["available"] = [is_sklearn_available(), generator.is_sklearn_available()]
print(json.dumps(found))
"""


def test_modules_import_no_statistics_and_transformers_still_finds_scikit_learn() -> None:
    finished = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout.splitlines()[-1])
    available, curve = found.pop("available"), found.pop("curve", None)
    assert found == {name: [] for name in ABSENT}
    pytest.importorskip("sklearn")
    assert (available, curve) == ([True, True], [0.0, 1.0, 1.0])
