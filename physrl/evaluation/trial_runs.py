"""The training runs of a study's trials: their names, folders and places in storage."""

from difflib import get_close_matches
from pathlib import Path

from physrl.config.run import RunConfig
from physrl.errors import DataError
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import StudyPlan, Subject


def run_name(subject: Subject) -> str:
    """Return the name of a subject's run; a model before training is only adapted."""
    return subject.name if subject.kind == "trained" else f"{subject.name}-untrained"


def trial_config(plan: StudyPlan, subject: Subject, folder: Path) -> RunConfig:
    """Make the configuration of a subject's run, in the study's folder and its place in storage."""
    return place_run(plan, subject, plan.config_of(subject), folder)


def place_run(plan: StudyPlan, subject: Subject, config: RunConfig, folder: Path) -> RunConfig:
    """Put a subject's run into the study's folder, and into the study's part of its storage."""
    changes: dict[str, object] = {"output": folder / "trials", "name": run_name(subject)}
    if config.storage is not None:
        changes["storage"] = f"{config.storage}/{plan.name}/trials"
    return config.model_copy(update=changes)


def stored_run(plan: StudyPlan, subject: Subject) -> str | None:
    """Return the place of a subject's run in storage; None if it is in a local folder alone."""
    return trial_config(plan, subject, Path()).stored


def choose_trial(store: CellStore, trial: str | None) -> str:
    """Choose the place of a trial's run by the trial's name, or by the start of its key.

    Raises:
        DataError: no trial or several match, or the run is not in storage.
    """
    found = {
        (subject.name, subject.key): stored_run(plan, subject)
        for plan in store.plans()
        for subject in plan.subjects
        if subject.kind == "trained"
    }
    named = f"{store.location} is the store of a study"
    if trial is None:
        raise DataError(f"{named}: choose one of its trials with --trial, which --list shows")
    matching = {
        each: place
        for each, place in found.items()
        if trial == each[0] or (trial and each[1].startswith(trial))
    }
    if len(matching) != 1:
        near = get_close_matches(trial, [name for name, _ in found], n=3)
        hint = f" ({', '.join(near)}?)" if near else ""
        raise DataError(
            f"{named} with {len(found)} trials, of which {len(matching)} match --trial {trial}"
            f"{hint}: choose the name or the key of one, which --list shows"
        )
    ((name, _), place) = next(iter(matching.items()))
    if place is None:
        raise DataError(
            f"trial {name} of {store.location} is not in storage: its run was started without "
            "base.storage and is in the study's output folder"
        )
    return place
