"""Cases of the claims about variants: every variant against its default, all else equal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from physrl.config.run import RunConfig
from physrl.evaluation.evidence import Evidence, cell_name
from physrl.evaluation.families import Family, FamilyCell
from physrl.evaluation.specs import Condition
from physrl.evaluation.trials import DEFAULT_VARIANT
from physrl.evaluation.verdicts import Case

Place = Literal["trained", "other"]
"""Where success is compared: on the trained tasks, or on other tasks."""
IDENTITY = ("name", "seed")
"""Settings that differ between any two trials."""


@dataclass(frozen=True, slots=True)
class VariantCases:
    """A variant of the study, to be compared with the default."""

    name: str
    on: Place
    changes: str
    """Its settings that differ from the default's, `algorithm.steps=900`."""
    families: tuple[tuple[Family, Family], ...]
    """Default and variant families that differ in the variant alone."""

    def cases(self, evidence: Evidence) -> list[Case]:
        """Make a case of each family and task; it presupposes that answers have the task's form."""
        cases = []
        for default, variant in self.families:
            for _, condition in self._cells(evidence, variant):
                before, after = (default, condition), (variant, condition)
                contrasts = tuple(("default", each) for each in evidence.difference(before, after))
                cases.append(Case(cell_name(after), contrasts, evidence.form(before, after)))
        return cases

    def _cells(self, evidence: Evidence, family: Family) -> Sequence[FamilyCell]:
        if self.on == "other":
            return evidence.other_cells(family)
        own = [(family, Condition(task)) for task in family.trained_on]
        return [cell for cell in own if cell in evidence.planned]


def compared_variants(evidence: Evidence) -> list[VariantCases]:
    """List the study's variants, each on the trained and on other tasks."""
    members: dict[str, list[tuple[Family, Family]]] = {}
    for family in evidence.trained_families:
        default = evidence.find(family, variant=DEFAULT_VARIANT)
        if family.variant != DEFAULT_VARIANT and default is not None:
            members.setdefault(family.variant, []).append((default, family))
    places: tuple[Place, ...] = ("trained", "other")
    return [
        VariantCases(name, place, _changes(evidence, *families[0]), tuple(families))
        for name, families in members.items()
        for place in places
    ]


def _changes(evidence: Evidence, default: Family, variant: Family) -> str:
    configs = evidence.results.configs
    before, after = _leaves(configs[default]), _leaves(configs[variant])
    changed = [
        key for key in after if before.get(key) != after[key] and key not in ("name", "seed")
    ]
    return ", ".join(f"{key}={after[key]}" for key in changed)


def _leaves(config: RunConfig) -> dict[str, Any]:
    """Flatten a configuration to its values by dotted key."""
    leaves: dict[str, Any] = {}

    def visit(prefix: str, tree: dict[str, Any]) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                visit(f"{prefix}{key}.", value)
            else:
                leaves[prefix + key] = value

    visit("", config.model_dump(mode="json"))
    return leaves
