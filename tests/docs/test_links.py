"""Links, paths and functions that the documents name exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = sorted((ROOT / "docs" / "howto").glob("*.md"))
"""Recipes name files that their readers write, so only their links are checked."""
LINK = re.compile(r"\[([^\[\]]+)\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
NAMED = re.compile(r"((?:[\w.-]+/)*[\w.-]+\.py)(?::([A-Za-z_][\w.]*))?")
"""`path/to/file.py`, `file.py` or `path/to/file.py:function` in a code span."""
FOLDERS = ("physrl", "cluster", "jobs", "tests", "docs", "docker", "helm", "requirements")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})(?:/[\w.-]+)+\.\w+")
"""A file of the repository, in running text or in a command."""
SYMBOL = re.compile(r"[A-Za-z_][\w.]*(?:\(\))?")


@cache
def symbols(path: Path) -> frozenset[str]:
    """List the functions, classes, constants and `Class.member`s of a module."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        found |= defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for each in node.body for name in defined(each)}
    return frozenset(found)


def defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {one.id for one in node.targets if isinstance(one, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


@cache
def headings(path: Path) -> frozenset[str]:
    """List the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles)


@cache
def modules() -> frozenset[str]:
    """List the names of the project's modules, without their folders."""
    return frozenset(path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def broken_links(document: Path) -> list[str]:
    """List the links of a document whose file, heading or function does not exist."""
    broken = []
    for label, target in LINK.findall(document.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        code = label.strip("`").removesuffix("()")
        named = label.startswith("`") and path.suffix == ".py" and SYMBOL.fullmatch(code)
        if (
            not path.exists()
            or (anchor and anchor not in headings(path))
            or (named and not code.endswith(".py") and code not in symbols(path))
        ):
            broken.append(f"[{label}]({target})")
    return broken


def missing_files(text: str) -> list[str]:
    """List the files and functions that a text names and that do not exist."""
    missing = [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    spans = CODE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for word in (word for span in spans for word in span.split()):
        match = NAMED.fullmatch(word)
        if match is None or match[0] in missing:
            continue
        name, symbol = match.groups()
        path = ROOT / name
        exists = path.is_file() if "/" in name else name in modules()
        if not exists or (symbol is not None and symbol not in symbols(path)):
            missing.append(word)
    return missing


@pytest.mark.parametrize("document", [*DOCUMENTS, *RECIPES], ids=lambda path: str(path.name))
def test_links_lead_somewhere(document: Path) -> None:
    assert broken_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.name))
def test_files_and_functions_exist(document: Path) -> None:
    assert missing_files(document.read_text()) == []


def test_every_document_is_listed_in_the_readme() -> None:
    listed = {target for _, target in LINK.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= listed


def test_missing_files_and_functions_are_found(tmp_path: Path) -> None:
    text = "`physrl/loop.py`, `loop.py`, `physrl/loop.py:ReferenceLoop.step`, `a/b.py`, `c.py`, "
    text += "`physrl/loop.py:nothing`\n```\nphysrl train --config jobs/configs/none.yaml\n```"
    assert missing_files(text) == [
        "jobs/configs/none.yaml",
        "a/b.py",
        "c.py",
        "physrl/loop.py:nothing",
    ]
    module = tmp_path / "module.py"
    module.write_text("class A:\n    def b(self): ...\n\nC = 1\n")
    document = tmp_path / "page.md"
    links = ["[`A.b`](module.py)", "[`A.c`](module.py)", "[x](none.md)", "[y](#the-end)"]
    document.write_text("\n".join([*links, "[`C`](module.py)", "# The end!"]))
    assert broken_links(document) == links[1:3]
