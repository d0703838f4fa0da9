"""Plans of small studies, and generalization of made-up results."""

from collections.abc import Mapping

from physrl.config.study import StudyConfig, load_study_config
from physrl.evaluation.families import Family
from physrl.evaluation.generalization import Generalization
from physrl.evaluation.matrix import Entry, Matrix
from physrl.evaluation.plan import plan_study
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import Condition, StudyPlan
from tests.support.answers import make_answer

SCENES = 40
SMALL_STUDY = (
    "grid.tasks=[place, place+stability]",
    "grid.methods={grpo: {}, sft: {}}",
    "grid.seeds=[0, 1]",
    "evaluation.tasks=[place, stability]",
    "base.algorithm={steps: 5, prompts_per_step: 8, group_size: 4}",
)


def small_study(*overrides: str) -> StudyConfig:
    """Load a study of two tasks, two methods and two seeds."""
    return load_study_config(None, [*SMALL_STUDY, *overrides])


def two_task_plan() -> StudyPlan:
    """Plan a study of `place` and `stability` with two methods, two seeds and few controls."""
    overrides = [
        "grid.tasks=[place, stability]",
        "grid.methods={grpo: {}, sft: {}}",
        "grid.models={tiny: {}}",
        "grid.seeds=[0, 1]",
        "evaluation.tasks=[place, stability]",
        "controls={shuffled_labels: false, blank_images: false}",
    ]
    return plan_study(load_study_config(None, overrides))


def make_generalization(plan: StudyPlan, rates: Mapping[tuple[str, str], float]) -> Generalization:
    """Make results with given success rates; the first scenes succeed.

    Args:
        rates: success rates by task and subject name, which may lack its seed.
    """
    results, entries = {}, {}
    for cell in plan.cells:
        entries[cell.subject.key, cell.condition] = Entry(cell, "missing")
        for (name, task), rate in rates.items():
            names = (name, f"{name}-seed0", f"{name}-seed1")
            if cell.subject.name in names and cell.condition.task == task:
                answers = tuple(make_answer(n, n < rate * SCENES) for n in range(SCENES))
                results[cell.key] = CellResult(cell.condition, answers)
    conditions = (Condition("place"), Condition("stability"))
    return Generalization(Matrix(plan.subjects, conditions, entries), results)


def find_family(generalization: Generalization, name: str) -> Family:
    """Find a family by its name."""
    return next(each for each in generalization.families if each.name == name)
