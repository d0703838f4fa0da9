"""The benchmarks' imports, which no other test makes: each name exists where it comes from."""

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "tests" / "benchmarks"
OURS = ("physrl", "cluster", "jobs", "tests")
SCRIPTS = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.py"))


def imported(tree: ast.AST) -> set[tuple[str, str]]:
    """Return the modules of this project that are imported from, each with a name."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        (node.module, alias.name)
        for node in found
        if node.level == 0 and node.module
        if node.module.split(".")[0] in OURS
        or (FOLDER / node.module.split(".")[0]).exists()
        or (FOLDER / f"{node.module}.py").exists()
        for alias in node.names
    }


def defined(tree: ast.Module) -> set[str]:
    """Return the names that a module defines or imports at its top level."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return names


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_what_a_benchmark_imports_exists(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    for module, name in imported(ast.parse((FOLDER / script).read_text())):
        spec = find_spec(module)
        assert spec is not None, module
        if spec.origin is None:  # a folder
            assert find_spec(f"{module}.{name}"), (module, name)
        else:
            names = defined(ast.parse(Path(spec.origin).read_text()))
            assert name in names or find_spec(f"{module}.{name}"), (module, name)
