"""Rollouts of a run, searched in its Parquet files by predicate push-down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

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
KINDS = {
    "all": None,
    "success": pc.field("success"),
    "failure": ~pc.field("success"),
    "unparseable": pc.field("unparseable").is_valid(),
    "illegal": pc.field("status") == "illegal",
    "truncated": pc.field("truncated"),
}
"""Filters by the name that the address has."""


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

    @property
    def predicate(self) -> pc.Expression | None:
        """Condition on a row; None admits all."""
        parts = [] if KINDS[self.kind] is None else [KINDS[self.kind]]
        if self.text:
            found = pc.match_substring(pc.field("completion"), self.text, ignore_case=True)
            parts.append(found)
        return None if not parts else parts[0] if len(parts) == 1 else parts[0] & parts[1]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of rows, as `COLUMNS` names them."""

    rows: tuple[dict[str, Any], ...]
    more: bool
    """Whether a further page exists."""
    problems: tuple[str, ...]
    """Steps that cannot be read, a line each; the search goes on without them."""


def steps(run: Path) -> list[int]:
    """List the steps that have been written."""
    found = (path.stem.removeprefix("step-") for path in (run / "rollouts").glob("step-*.parquet"))
    return sorted(int(number) for number in found if number.isdecimal())


def search(run: Path, wanted: Search) -> Found:
    """Read steps in order until the page is full."""
    skip = wanted.page * PAGE
    rows: list[dict[str, Any]] = []
    problems = []
    for step in steps(run):
        if not wanted.first <= step <= wanted.last:
            continue
        try:
            file = _step_file(run, step)
            table = pq.read_table(file, columns=COLUMNS, filters=wanted.predicate)
            taken = table.slice(skip, PAGE + 1 - len(rows))
            skip = max(0, skip - len(table))
            rows += taken.to_pylist()
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            problems.append(f"step {step} cannot be read: {' '.join(str(error).split())[:200]}")
        if len(rows) > PAGE:
            break
    return Found(tuple(rows[:PAGE]), len(rows) > PAGE, tuple(problems))


def image(run: Path, step: int, scene: str, attempt: int) -> bytes | None:
    """Return the PNG that an attempt was shown; None if there is none."""
    wanted = (pc.field("scene_id") == scene) & (pc.field("attempt") == attempt)
    try:
        file = _step_file(run, step)
        for row in pq.read_table(file, columns=["image"], filters=wanted).to_pylist():
            if row["image"] is not None:
                return bytes(row["image"]["bytes"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    return None


def _step_file(run: Path, step: int) -> Path:
    return run / "rollouts" / f"step-{step:08d}.parquet"
