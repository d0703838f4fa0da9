"""Execution of a notebook's cells in this process, without Jupyter.

    python -m tests.examples.notebook    # writes the outputs into examples/quickstart.ipynb

A cell is an output of what it prints, and of its last expression: images as PNG, other values as
text.
"""

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.paths import ROOT

QUICKSTART = ROOT / "examples" / "quickstart.ipynb"


def read(path: Path) -> dict[str, Any]:
    """Read a notebook."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    return notebook


def execute(notebook: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Execute all code cells in order in a folder; return the names that they define.

    The outputs of the cells are replaced.
    """
    names: dict[str, Any] = {}
    with contextlib.chdir(folder):
        for number, cell in enumerate(_code(notebook), 1):
            cell["execution_count"] = number
            cell["outputs"] = _run("".join(cell["source"]), names, number)
    return names


def _code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _run(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        lines = text.splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if value is not None:
        data = {"text/plain": str(value).splitlines(keepends=True)}
        if isinstance(value, Image.Image):
            data = {"image/png": _png(value), "text/plain": ["image"]}
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": number,
                "data": data,
                "metadata": {},
            }
        )
    return outputs


def _png(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def main() -> None:
    notebook = read(QUICKSTART)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "assets").symlink_to(ROOT / "assets")
        execute(notebook, Path(folder))
    QUICKSTART.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
