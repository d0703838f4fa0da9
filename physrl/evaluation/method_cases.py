"""Cases of the claims that compare families: RL and SFT, interaction, joint training."""

from dataclasses import replace

from physrl.config.methods import CONTROLS
from physrl.evaluation.evidence import Evidence, cell_name
from physrl.evaluation.families import Family
from physrl.evaluation.specs import Condition
from physrl.evaluation.trials import DEFAULT_VARIANT
from physrl.evaluation.verdicts import Case, Gate

WITHOUT_INTERACTION = ("grpo_yoked", "grpo_random")
"""Controls of GRPO whose rewards do not depend on their own actions."""


def method_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each RL method against each SFT method of the same task, on other tasks.

    It presupposes that both learned their task and that answers have the other task's form.
    """
    configs = evidence.results.configs
    rl = [f for f in evidence.main_families if configs[f].algorithm.uses_rollouts]
    sft = [f for f in evidence.main_families if not configs[f].algorithm.uses_rollouts]
    pairs = [(a, b) for a in rl for b in sft if replace(a, name="", method=b.method) == _bare(b)]
    return [
        _difference_case(evidence, sft_family, rl_family, condition)
        for rl_family, sft_family in pairs
        for _, condition in evidence.other_cells(rl_family)
        if (sft_family, condition) in evidence.planned
    ]


def interaction_cases(evidence: Evidence) -> list[Case]:
    """Make a case of GRPO on each trained task, against yoked and random rewards."""
    cases = []
    for family in evidence.main_families:
        controls = [evidence.find(family, method=method) for method in WITHOUT_INTERACTION]
        cell = (family, Condition(family.trained_on[0]))
        if family.method != "grpo" or not any(controls):
            continue
        contrasts = [
            (control.method, contrast)
            for control in controls
            if control is not None
            for contrast in evidence.difference((control, cell[1]), cell)
        ]
        complete = len(contrasts) == sum(control is not None for control in controls)
        cases.append(Case(cell_name(cell), tuple(contrasts) if complete else ()))
    return cases


def joint_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each mixture on each of its tasks, against training on that task alone."""
    cases = []
    for family in _mixtures(evidence):
        for task in family.trained_on:
            single = evidence.find(family, trained_on=(task,))
            condition = Condition(task)
            if single is not None and (family, condition) in evidence.planned:
                before, after = (single, condition), (family, condition)
                named = [(single.name, each) for each in evidence.difference(before, after)]
                cases.append(Case(cell_name(after), tuple(named), evidence.learned(single)))
    return cases


def left_out_cases(evidence: Evidence) -> list[Case]:
    """Make a case of each mixture on each task that it lacks.

    References are those of any transfer, and training on each of its tasks alone.
    """
    cases = []
    for family in _mixtures(evidence):
        for cell in evidence.other_cells(family):
            contrasts = list(evidence.gains(cell))
            for task in family.trained_on:
                single = evidence.find(family, trained_on=(task,))
                if single is not None and contrasts:
                    found = evidence.difference((single, cell[1]), cell)
                    contrasts += [(single.name, each) for each in found]
            cases.append(Case(cell_name(cell), tuple(contrasts), evidence.form(cell)))
    return cases


def _difference_case(
    evidence: Evidence, first: Family, second: Family, condition: Condition
) -> Case:
    before, after = (first, condition), (second, condition)
    form = evidence.form(before, after)
    gate: Gate = form if form.state == "closed" else evidence.learned(first, second)
    contrasts = tuple((first.name, each) for each in evidence.difference(before, after))
    return Case(f"{cell_name(after)} against {first.method}", contrasts, gate)


def _mixtures(evidence: Evidence) -> list[Family]:
    return [
        family
        for family in evidence.trained_families
        if len(family.trained_on) > 1
        and family.variant == DEFAULT_VARIANT
        and family.method not in CONTROLS
    ]


def _bare(family: Family) -> Family:
    return replace(family, name="")
