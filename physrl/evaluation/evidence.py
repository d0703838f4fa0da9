"""What a study's cells say about one family and task: gains over references, and gates.

A reference is what the family must exceed before its success is put down to what it learned: its
base, the same models with blank images, SFT on shuffled answers, the models that its training began
from, a constant verdict, a guesser, and rules that are not physics.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from physrl.evaluation.contrast import Contrast
from physrl.evaluation.crossed import Term, combine, pair_means
from physrl.evaluation.families import Family, FamilyCell, family_of, is_main
from physrl.evaluation.generalization import scenes_of
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults
from physrl.evaluation.trials import DEFAULT_VARIANT
from physrl.evaluation.verdicts import OPEN, Case, Gate, JudgedCase, judge

SMALLEST_EFFECT = 0.1
"""Smallest difference between success rates that matters."""
ENOUGH_PARSED = 0.95
"""Share of answers of the right form from which success is about more than form."""
TRAINED_FROM = ("sft_shuffled", "warm_start")
"""Methods whose models are references of all methods of the same task."""
MODELS, CEILING = ("trained", "base", "baseline"), "physics"
"""Kinds of subjects that are not rules, and the rule that is no reference."""


class Evidence:
    """Contrasts, references and gates of a study's families."""

    def __init__(self, results: StudyResults) -> None:
        self.results = results
        self.generalization = results.generalization
        self._gains: dict[FamilyCell, tuple[tuple[str, Contrast], ...]] = {}

    @cached_property
    def planned(self) -> frozenset[FamilyCell]:
        """All cells of the plan, with results or without."""
        matrix = self.results.matrix
        return frozenset(
            (family_of(subject), condition)
            for subject in matrix.subjects
            for condition in matrix.conditions
            if matrix.find(subject, condition) is not None
        )

    @cached_property
    def main_families(self) -> list[Family]:
        """Families of one task and the default variant, without controls."""
        return [family for family in self.trained_families if is_main(family)]

    @cached_property
    def trained_families(self) -> list[Family]:
        """All families of trials."""
        return [family for family in self.generalization.families if family.kind == "trained"]

    @cached_property
    def tasks(self) -> list[str]:
        """All tasks that are measured on scenes like those of training."""
        conditions = self.results.matrix.conditions
        return list(dict.fromkeys(each.task for each in conditions if each.test_set == "iid"))

    @cached_property
    def photographs(self) -> Condition:
        """The condition of the photographs."""
        return self._transfer_condition("stability", "real")

    def transfer_condition(self, task: str) -> Condition:
        """Choose the condition of a task in which answers have its form, as far as there is one.

        The choice is fixed by the plan: zero-shot after a form warm-up; else examples of form, the
        constraint, the most solved examples, or none of these.
        """
        return self._transfer_condition(task, "iid")

    def other_cells(self, family: Family) -> list[FamilyCell]:
        """List the planned cells of a family on tasks that it was not trained on."""
        conditions = [
            self.transfer_condition(task) for task in self.tasks if task not in family.trained_on
        ]
        return [(family, each) for each in conditions if (family, each) in self.planned]

    def gains(self, cell: FamilyCell) -> tuple[tuple[str, Contrast], ...]:
        """Estimate the increase of a cell over each reference, the base first.

        Empty without results of the cell or of a reference that is planned.
        """
        if cell not in self._gains:
            term, references = self.generalization.term(cell), self._references(cell)
            contrasts = [
                (name, combine([term, replace(reference, weight=-1.0)]))
                for name, reference in references
                if term is not None and reference is not None
            ]
            found = tuple((name, each) for name, each in contrasts if each is not None)
            self._gains[cell] = found if len(found) == len(references) else ()
        return self._gains[cell]

    def gain_case(self, cell: FamilyCell, gate: Gate = OPEN) -> Case:
        """Make a case of a cell's increase over the best reference."""
        base = self.generalization.base_of(cell[0])
        if base is None or (base, cell[1]) not in self.planned:
            gate = Gate("closed", "the study measures no base")
        return Case(cell_name(cell), self.gains(cell), gate)

    def rule_case(self, cell: FamilyCell) -> Case:
        """Make a case of a cell's increase over the best rule that is not physics."""
        rules = {family.name for family in self._rules}
        contrasts = [each for each in self.gains(cell) if each[0] in rules]
        gate = OPEN if rules else Gate("closed", "the study has no such rules")
        return Case(cell_name(cell), tuple(contrasts), gate)

    def difference(self, first: FamilyCell, second: FamilyCell) -> tuple[Contrast, ...]:
        """Estimate the success rate of the second cell minus that of the first; empty without."""
        contrast = self.generalization.contrast({second: 1.0, first: -1.0})
        return () if contrast is None else (contrast,)

    def form(self, *cells: FamilyCell) -> Gate:
        """Check that answers have the form of the task: else success measures form."""
        for cell in cells:
            scores = self.generalization.scores.get(cell)
            if scores is not None and scores.parsed_share < ENOUGH_PARSED:
                failed = 1 - scores.parsed_share
                return Gate("closed", f"{failed:.0%} of the answers of {cell_name(cell)} unparsed")
        return OPEN

    @cached_property
    def learned_cases(self) -> dict[Family, JudgedCase]:
        """The increase of each main family on its own task."""
        cells = [(family, Condition(family.trained_on[0])) for family in self.main_families]
        planned = [cell for cell in cells if cell in self.planned]
        cases = [self.gain_case(cell) for cell in planned]
        judged = judge(cases, "increase", "every", SMALLEST_EFFECT).cases
        return {family: case for (family, _), case in zip(planned, judged, strict=True)}

    def learned(self, *families: Family) -> Gate:
        """Check that families learned the tasks that they were trained on, by a margin."""
        for family in families:
            case = self.learned_cases.get(family)
            name = f"{'+'.join(family.trained_on)} by {family.method}"
            if case is not None and case.finding == "fails":
                return Gate("closed", f"{name} was not learned")
            if case is None or case.finding != "holds":
                return Gate("undecided", f"undecided whether {name} was learned")
        return OPEN

    def find(self, family: Family, **changes: object) -> Family | None:
        """Find the family that differs from another in the given fields alone."""
        wanted = replace(family, name="", **changes)  # type: ignore[arg-type]
        return next((f for f in self.trained_families if replace(f, name="") == wanted), None)

    def _transfer_condition(self, task: str, test_set: str) -> Condition:
        if self.results.plan.form:
            return Condition(task, test_set)  # type: ignore[arg-type]
        return form_matched(self.results.matrix.conditions, task, test_set)

    @cached_property
    def _rules(self) -> list[Family]:
        families = self.generalization.families
        return [f for f in families if f.kind not in MODELS and f.kind != CEILING]

    def _references(self, cell: FamilyCell) -> list[tuple[str, Term | None]]:
        """List the planned references of a cell, the base first; None for those without results."""
        family, condition = cell
        cells: list[tuple[str, FamilyCell]] = []
        base = self.generalization.base_of(family)
        if base is not None:
            cells.append(("base", (base, condition)))
        for method in TRAINED_FROM:
            control = self.find(family, method=method, variant=DEFAULT_VARIANT)
            if control is not None and control != family:
                cells.append((method, (control, condition)))
        if condition.images == "shown":
            cells.append(("blank images", (family, replace(condition, images="blank"))))
        unprompted = Condition(condition.task, condition.test_set)
        cells += [(rule.name, (rule, unprompted)) for rule in self._rules]
        planned = [(name, each) for name, each in cells if each in self.planned]
        terms = [(name, self.generalization.term(each)) for name, each in planned]
        return terms + self._constant_verdicts(cell)

    def _constant_verdicts(self, cell: FamilyCell) -> list[tuple[str, Term | None]]:
        scores, condition = self.generalization.scores.get(cell), cell[1]
        if scores is None or np.isnan(scores.falls).any():
            return []
        falls = scores.falls
        terms: list[tuple[str, Term | None]] = []
        for name, correct in (("always Yes", falls), ("always No", 1 - falls)):
            row = correct[None]
            values = row if condition.test_set == "real" else pair_means(row)
            terms.append((name, Term(values, scenes_of(condition), scenes=len(correct))))
        return terms


def form_matched(conditions: Sequence[Condition], task: str, test_set: str) -> Condition:
    """Choose the condition in which answers most likely have the form of a task.

    Examples of form come first, because they teach nothing else and leave the model free; then the
    constraint, without examples if there is one; then the most solved examples.
    """
    deterministic = [
        each
        for each in conditions
        if (each.task, each.test_set, each.images) == (task, test_set, "shown")
        and each.decoding != "sampled"
    ]

    def preference(each: Condition) -> tuple[bool, bool, int]:
        is_greedy = each.decoding == "greedy"
        by_constraint = not is_greedy and each.shots == 0
        return is_greedy and each.has_form, by_constraint, each.shots if is_greedy else -1

    unprompted = Condition(task, test_set)  # type: ignore[arg-type]
    return max(deterministic, key=preference, default=unprompted)


def cell_name(cell: FamilyCell) -> str:
    """Name a cell: `tiny place grpo to stability`."""
    family, condition = cell
    to = "photographs" if condition.test_set == "real" else condition.task
    return f"{family.name} to {to}"
