"""Contrasts between trained families on tasks that they were not trained on."""

from collections.abc import Callable
from typing import Any

from physrl.config.methods import SHUFFLED
from physrl.config.run import RunConfig
from physrl.evaluation.families import Family, FamilyCell
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.specs import Condition
from physrl.evaluation.study_results import StudyResults


def method_contrast(results: StudyResults) -> Estimate | None:
    """Estimate the success rate of RL minus that of SFT off the diagonal.

    Cells are matched by trained task, model and condition; None without any match.
    """
    cells: dict[bool, dict[tuple[object, ...], list[FamilyCell]]] = {False: {}, True: {}}
    for family, condition in results.off_diagonal:
        is_rl = results.configs[family].algorithm.uses_rollouts
        group = (family.model, family.trained_on, condition)
        cells[is_rl].setdefault(group, []).append((family, condition))
    common = [group for group in cells[False] if group in cells[True]]
    sft, rl = ([cell for group in common for cell in cells[key][group]] for key in (False, True))
    return results.generalization.difference(sft, rl)


def setting_contrast(
    results: StudyResults, value_of: Callable[[RunConfig], int | None], varied: dict[str, Any]
) -> Estimate | None:
    """Estimate the success rate at the highest value of a setting minus that at the lowest.

    None without families that differ in the setting alone.

    Args:
        value_of: the setting's value in a run; runs with None are left out.
        varied: the keys of a run that may differ between compared runs; all others are equal.
    """
    groups: dict[str, dict[int, Family]] = {}
    for family, run in results.configs.items():
        value = value_of(run)
        if value is not None and family.method != SHUFFLED:
            group = run.model_dump_json(exclude={"name": True, "seed": True} | varied)
            groups.setdefault(group, {})[value] = family
    lowest, highest = list[FamilyCell](), list[FamilyCell]()
    for members in (members for members in groups.values() if len(members) > 1):
        low, high = members[min(members)], members[max(members)]
        for condition in results.matrix.conditions:
            pair = [(low, condition), (high, condition)]
            is_default = condition == Condition(condition.task)
            is_other = is_default and condition.task not in high.trained_on
            if is_other and all(cell in results.generalization.successes for cell in pair):
                lowest.append(pair[0])
                highest.append(pair[1])
    return results.generalization.difference(lowest, highest)
