"""A study in a store, as commands name it."""

from pathlib import Path

from physrl.config.location import parse_place
from physrl.errors import DataError
from physrl.evaluation.cells import FORMAT_KEY, CellStore, find_cells
from physrl.evaluation.specs import StudyPlan
from physrl.storage.object_store import open_store
from physrl.storage.run_files import CONFIG

USUAL_STORE = "store"
"""Folder of a study's output in which its store usually is."""


def find_study(location: str, study: str | None) -> tuple[StudyPlan, CellStore]:
    """Find a study's plan, and the store that holds it.

    Args:
        location: a folder or `s3://bucket/prefix`.
        study: its name; may be None if the store has a single one.

    Raises:
        DataError: the store does not exist, or holds no such study.
    """
    store, found = open_studies(location)
    plans = {plan.name: plan for plan in found}
    if study is None and len(plans) > 1:
        raise DataError(f"store {location} holds {', '.join(plans)}: choose one with --study")
    name = next(iter(plans)) if study is None else study
    if name not in plans:
        raise DataError(f"--study is '{name}', but the store holds {', '.join(plans)}: name one")
    return plans[name], store


def open_studies(location: str) -> tuple[CellStore, tuple[StudyPlan, ...]]:
    """Open a store, and read the plans of its studies.

    Args:
        location: a folder or `s3://bucket/prefix`.

    Raises:
        DataError: it does not exist or holds no study; says what it holds instead.
    """
    try:
        place = parse_place(location)
    except ValueError as error:
        raise DataError(f"the store {error}") from None
    if place.bucket is None and not Path(place.path).is_dir():
        raise DataError(f"store {location} does not exist: name the store= of a study")
    objects = open_store(str(place))
    store = find_cells(objects)
    plans = () if store is None else store.plans()
    if store is not None and plans:
        return store, plans
    if objects.size(CONFIG) is not None:
        raise DataError(
            f"{location} is a run, not the store of a study: physrl status {location} --watch "
            f"shows its progress, physrl report {location} its results"
        )
    if objects.size(f"{USUAL_STORE}/{FORMAT_KEY}") is not None:
        raise DataError(
            f"{location} is not the store of a study, but holds one: name "
            f"{location.rstrip('/')}/{USUAL_STORE}"
        )
    raise DataError(
        f"store {location} holds no study: name the store= of one; physrl status {location} "
        "--watch shows the runs there"
    )
