"""Checks of a study before any trial starts."""

from contextlib import closing
from pathlib import Path

from jobs.checks import run as run_checks
from jobs.checks.photos import check_cell_photos
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.config.study import StudyConfig
from physrl.config.verbs import check_training
from physrl.errors import CheckpointError, ConfigError
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import AdaptationSpec, CellSpec, ProbeSpec, StudyPlan


def check(config: StudyConfig, plan: StudyPlan, store: CellStore) -> None:
    """Check every model, folder, scene and checkpoint that the study needs.

    Raises:
        UserError: names the first that is missing or unfit, its value and the remedy.
    """
    tasks = {"tasks": config.evaluation.tasks}
    for run in _distinct_runs(plan):
        check_training(run.environment)
        evaluation = run.evaluation.model_copy(update=tasks)
        run_checks.check(run.model_copy(update={"evaluation": evaluation}))
    check_examples(plan)
    if config.evaluation.real_images is not None:
        check_cell_photos(plan, config.evaluation.real_images)
    check_trained(plan, store)


def check_examples(plan: StudyPlan) -> None:
    """Refuse few-shot examples with which a prompt exceeds the model's limit.

    Raises:
        ConfigError: names the key and the length needed.
    """
    longest: dict[tuple[ModelConfig, str], CellSpec] = {}
    for cell in plan.cells:
        if cell.condition.shots and cell.condition.test_set != "real":
            model = plan.config_of(cell.subject).model
            kind = (model.base, cell.condition.task)
            known = longest.get(kind)
            if known is None or cell.condition.shots > known.condition.shots:
                longest[kind] = cell
    if not longest:
        return
    from physrl.data.collate import Collator
    from physrl.environments.renderer import make_renderer
    from physrl.evaluation.requests import cell_source
    from physrl.models.processor import configured_processor
    from physrl.turns import longest_conversation

    collators = {model: Collator(configured_processor(model)) for model, _ in longest}
    for (model, task), cell in longest.items():
        with closing(make_renderer(cell.settings.environment)) as renderer:
            prompt = longest_conversation(cell_source(cell), renderer)
        length = collators[model].prompt_length(prompt)
        if length > model.max_prompt_tokens:
            raise ConfigError(
                f"model.max_prompt_tokens is {model.max_prompt_tokens}, but a prompt of {task} "
                f"with {cell.condition.shots} examples has up to {length} tokens: set "
                f"base.model.max_prompt_tokens={length}, or lower shots"
            )


def check_trained(plan: StudyPlan, store: CellStore) -> None:
    """Refuse to continue when a trained model that is still needed is missing.

    Raises:
        CheckpointError: names the trial and the folder.
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
                f"the model of {trial.name} is missing from {folder} (no adapter/ or model/): "
                f"restore it, or delete trained/{trial.key}.json in {store.location} to retrain"
            )


def _distinct_runs(plan: StudyPlan) -> list[RunConfig]:
    """Pick a run for each combination of model, environment, runtime and task.

    The checks of the other runs would give the same results.
    """
    kinds: dict[str, RunConfig] = {}
    trials = (*plan.form, *plan.selection, *plan.trials)
    for run in (*plan.bases.values(), *(trial.config for trial in trials)):
        settings = run.model_dump_json(include={"model", "environment", "runtime", "task"})
        kinds.setdefault(settings, run.model_copy(update={"name": plan.name}))
    return list(kinds.values())
