"""What would fail a study hours later is found here, before any trial starts."""

from contextlib import closing
from pathlib import Path

from jobs.checks import run as preflight
from physrl.config.run import RunConfig
from physrl.config.study import StudyConfig
from physrl.errors import CheckpointError, ConfigError
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import AdaptationSpec, CellSpec, ProbeSpec, StudyPlan


def check(config: StudyConfig, plan: StudyPlan, store: CellStore) -> None:
    """Look at every model, folder, scene and checkpoint that the study needs.

    Raises:
        UserError: the first that is missing or unfit, with its value and the remedy.
    """
    tasks = {"tasks": config.evaluation.tasks}
    for run in _different(plan):
        preflight.check_training(run.environment)
        evaluation = run.evaluation.model_copy(update=tasks)
        preflight.check(run.model_copy(update={"evaluation": evaluation}))
    check_examples(plan)
    check_trained(plan, store)


def check_examples(plan: StudyPlan) -> None:
    """Refuse examples before a question that make it longer than a model may be shown.

    Raises:
        ConfigError: with the length.
    """
    longest: dict[tuple[str, int, str], CellSpec] = {}
    for cell in plan.cells:
        if cell.condition.shots and cell.condition.test_set != "real":
            model = plan.config_of(cell.subject).model
            kind = (model.path, model.max_prompt_tokens, cell.condition.task)
            known = longest.get(kind)
            if known is None or cell.condition.shots > known.condition.shots:
                longest[kind] = cell
    if not longest:
        return
    from physrl.data.collate import Collator
    from physrl.environments.renderer import make_renderer
    from physrl.evaluation.requests import cell_source
    from physrl.models.processor import load_processor
    from physrl.turns import longest_conversation

    collators = {path: Collator(load_processor(path)) for path, _, _ in longest}
    for (path, allowed, task), cell in longest.items():
        with closing(make_renderer(cell.settings.environment)) as renderer:
            prompt = longest_conversation(cell_source(cell), renderer)
        length = collators[path].prompt_length(prompt)
        if length > allowed:
            raise ConfigError(
                f"model.max_prompt_tokens is {allowed}, but {task} after {cell.condition.shots} "
                f"examples has up to {length}: set base.model.max_prompt_tokens={length}, or ask "
                "with fewer"
            )


def check_trained(plan: StudyPlan, store: CellStore) -> None:
    """Refuse to go on without models that the store says are trained, and that are still needed.

    Raises:
        CheckpointError: one has vanished.
    """
    done = store.done()
    specs: list[CellSpec | AdaptationSpec | ProbeSpec] = [
        *plan.cells, *plan.adaptations, *plan.probes
    ]  # fmt: skip
    needed = {spec.subject.key for spec in specs if spec.key not in done}
    for trial in plan.trials:
        trained = store.read_trained(trial.key) if trial.key in needed & done else None
        if trained is None:
            continue
        folder = Path(trained.checkpoint)
        if not any((folder / part).is_dir() for part in ("adapter", "model")):
            raise CheckpointError(
                f"the model of {trial.name} has vanished: {folder} holds no adapter/ or model/; "
                f"put it back, or delete trained/{trial.key}.json in {store.location} to train it "
                "again"
            )


def _different(plan: StudyPlan) -> list[RunConfig]:
    """One run for each kind of model, scenes, tasks and processes: the others pass as it does."""
    kinds: dict[str, RunConfig] = {}
    for run in (*plan.bases.values(), *(trial.config for trial in plan.trials)):
        settings = run.model_dump_json(include={"model", "environment", "runtime", "task"})
        kinds.setdefault(settings, run.model_copy(update={"name": plan.name}))
    return list(kinds.values())
