"""Rollouts of a run, searched in the columns of its Parquet files that a condition needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.watch.listed_store import ListedStore
from physrl.errors import PhysRLError

PAGE = 16
"""Rows on a page."""
COLUMNS = [
    "step",
    "scene_id",
    "rollout",
    "attempt",
    "prompt",
    "completion",
    "truncated",
    "action_falls",
    "action_x",
    "action_y",
    "action_text",
    "unparseable",
    "status",
    "success",
    "height_gain",
    "displacement",
    "distance",
    "reward",
    "reward_parts",
    "advantage",
    "policy_version",
]
KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "all": ("step", pc.is_valid),
    "success": ("success", lambda column: column),
    "failure": ("success", pc.invert),
    "unparseable": ("unparseable", pc.is_valid),
    "illegal": ("status", lambda column: pc.starts_with(column, "illegal")),
    "truncated": ("truncated", lambda column: column),
}
"""Column and condition by the name that the address has. None compares with a Python value, for
which pyarrow loads pandas, a second of a first search."""
ERRORS = (OSError, ValueError, KeyError, TypeError, pa.ArrowException, PhysRLError)
"""What a damaged or deleted file raises."""
FOLDER = "rollouts"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for."""

    kind: str = "all"
    text: str = ""
    """Part of the completion, upper and lower case alike; empty finds all."""
    first: int = 1
    """First step."""
    last: int = 2**31
    """Last step."""
    page: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A page of rows, as `COLUMNS` names them."""

    rows: tuple[dict[str, Any], ...]
    more: bool
    """Whether a further page exists."""
    problems: tuple[str, ...]
    """Steps that cannot be read, a line each; the search goes on without them."""


def steps(run: ListedStore) -> list[int]:
    """List the steps that have been written."""
    names = (key.rpartition("/")[2] for key in run.keys(f"{FOLDER}/step-"))
    found = (name.removeprefix("step-").removesuffix(".parquet") for name in names)
    return sorted(int(number) for number in found if number.isdecimal())


def search(run: ListedStore, wanted: Search) -> Found:
    """Read steps in order until the page is full.

    Only the columns of the condition are read of steps in which nothing is shown.
    """
    skip = wanted.page * PAGE
    rows: list[dict[str, Any]] = []
    problems = []
    for step in steps(run):
        if not wanted.first <= step <= wanted.last:
            continue
        try:
            file = _open(run, step)
            matching = _matching(file, wanted)
            taken = matching[skip : skip + PAGE + 1 - len(rows)]
            skip = max(0, skip - len(matching))
            if len(taken):
                rows += file.read(COLUMNS).take(taken).to_pylist()
        except ERRORS as error:
            problems.append(f"step {step} cannot be read: {' '.join(str(error).split())[:200]}")
        if len(rows) > PAGE:
            break
    return Found(tuple(rows[:PAGE]), len(rows) > PAGE, tuple(problems))


def image(run: ListedStore, step: int, scene: str, attempt: int) -> bytes | None:
    """Return the PNG that an attempt was shown; None if there is none."""
    try:
        file = _open(run, step)
        wanted = {"scene_id": scene, "attempt": attempt}
        rows = file.read(list(wanted)).to_pylist()
        images = file.read(["image"])["image"]
        for index in (index for index, row in enumerate(rows) if row == wanted):
            if (found := images[index].as_py()) is not None:
                return bytes(found["bytes"])
    except ERRORS:
        return None
    return None


def _open(run: ListedStore, step: int) -> pq.ParquetFile:
    """Open a step's file: mapped where it is local, read whole where it is in a bucket."""
    key = f"{FOLDER}/step-{step:08d}.parquet"
    path = run.path(key)
    if path is None:
        return pq.ParquetFile(pa.BufferReader(run.get(key)))
    return pq.ParquetFile(path, memory_map=True)


def _matching(file: pq.ParquetFile, wanted: Search) -> Any:
    """Find the rows that match, by their indices."""
    masks = []
    if wanted.kind != "all" or not wanted.text:
        column, test = KINDS[wanted.kind]
        masks.append(test(file.read([column], use_threads=False)[column]))
    if wanted.text:
        texts = file.read(["completion"], use_threads=False)["completion"]
        masks.append(pc.match_substring(texts, wanted.text, ignore_case=True))
    mask = masks[0] if len(masks) == 1 else pc.and_(*masks)
    return pc.indices_nonzero(mask)  # nulls are none
