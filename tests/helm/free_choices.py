"""Path rules of changes that leave a manifest as good as it was."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.helm.mutants import Mutant

FILE = Path(__file__).parent / "free_choices.yaml"


@dataclass(frozen=True, slots=True)
class FreeChoice:
    """A path whose value is free, with the reason.

    `path` is a regular expression for all of `Kind location`; `operations` limits the rule to some
    operations of a mutant, and empty means all of them.
    """

    path: str
    reason: str
    operations: tuple[str, ...] = ()

    def covers(self, mutant: Mutant) -> bool:
        """Whether the mutant changes only what this rule leaves free."""
        if self.operations and mutant.operation not in self.operations:
            return False
        return re.fullmatch(self.path, f"{mutant.kind} {mutant.location}") is not None


def read_free_edits() -> list[tuple[re.Pattern[str], str]]:
    """Read free_structure.yaml: patterns of edits of the structure, with reasons."""
    content = yaml.safe_load(FILE.with_name("free_structure.yaml").read_text(encoding="utf-8"))
    return [(re.compile(one["edit"]), one["reason"]) for one in content]


def read_free_choices() -> list[FreeChoice]:
    """Read all path rules of free_choices.yaml."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [
        FreeChoice(**{**one, "operations": tuple(one.get("operations", ()))}) for one in content
    ]
