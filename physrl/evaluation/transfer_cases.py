"""Cases of the claims about one family at a time: learning, transfer, forgetting, photographs."""

from dataclasses import replace

from physrl.evaluation.evidence import Evidence
from physrl.evaluation.families import FamilyCell
from physrl.evaluation.specs import Condition
from physrl.evaluation.verdicts import Case, Gate

STABILITY = ("stability",)


def trained_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each main family on its own task."""
    return [evidence.gain_case(cell) for cell in _trained_cells(evidence)]


def rule_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each main family on its own task, against rules that are not physics."""
    return [evidence.rule_case(cell) for cell in _trained_cells(evidence)]


def transfer_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each main family on each other task.

    It presupposes that the trained task was learned and that answers have the other task's form.
    """
    return [evidence.gain_case(cell, _transfer_gate(evidence, cell)) for cell in _others(evidence)]


def forgetting_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each main family on each other task, against the base alone."""
    cases = []
    for cell in _others(evidence):
        case = evidence.gain_case(cell, evidence.form(cell))
        cases.append(replace(case, contrasts=case.contrasts[:1]))
    return cases


def photograph_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each main family that was trained on stability, on photographs."""
    cells = [(family, evidence.photographs) for family in evidence.main_families]
    return [
        evidence.gain_case(cell, _transfer_gate(evidence, cell))
        for cell in cells
        if cell in evidence.planned and cell[0].trained_on == STABILITY
    ]


def _transfer_gate(evidence: Evidence, cell: FamilyCell) -> Gate:
    form = evidence.form(cell)
    return form if form.state == "closed" else evidence.learned(cell[0])


def _trained_cells(evidence: Evidence) -> list[FamilyCell]:
    cells = [(family, Condition(family.trained_on[0])) for family in evidence.main_families]
    return [cell for cell in cells if cell in evidence.planned]


def _others(evidence: Evidence) -> list[FamilyCell]:
    return [cell for family in evidence.main_families for cell in evidence.other_cells(family)]
