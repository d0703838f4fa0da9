"""Imports of actors: fast, and without a change of transformers for the process."""

import subprocess
import sys

import pytest


def run(*lines: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", "\n".join(("import sys", *lines))], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_package_does_not_import_transformers() -> None:
    assert run("import physrl.models", "print('transformers' in sys.modules)") == "False\n"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("processor", ("peft", "sklearn", "pandas", "scipy.stats")),
        ("loading", ("sklearn", "pandas", "scipy.stats")),
        ("deepspeed_engine", ("sklearn", "pandas", "scipy.stats")),
    ],
)
def test_modules_do_not_import_statistics(module: str, absent: tuple[str, ...]) -> None:
    output = run(
        f"import physrl.models.{module}",
        "import transformers.generation.candidate_generator",
        f"print([name for name in {absent} if name in sys.modules])",
    )
    assert output.splitlines()[-1] == "[]"


def test_transformers_still_finds_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    output = run(
        "import physrl.models.processor",
        "from transformers.generation import candidate_generator as generator",
        "from transformers.utils import is_sklearn_available",
        "print(is_sklearn_available(), generator.is_sklearn_available())",
        "print(generator.roc_curve([0, 1], [0.2, 0.9])[1].tolist())",
    )
    assert output == "True True\n[0.0, 1.0, 1.0]\n"
