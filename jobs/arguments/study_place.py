"""A study in a store, as commands name it."""

from physrl.errors import DataError
from physrl.evaluation.cells import CellStore, find_cell_store
from physrl.evaluation.specs import StudyPlan


def find_study(location: str, study: str | None) -> tuple[StudyPlan, CellStore]:
    """Find a study's plan, and the store that holds it.

    Args:
        location: a folder or `s3://bucket/prefix`.
        study: its name; may be None if the store has a single one.

    Raises:
        DataError: the store does not exist, or holds no such study.
    """
    store = find_cell_store(location)
    if store is None:
        raise DataError(f"store {location} does not exist: name the store= of a study")
    plans = {plan.name: plan for plan in store.plans()}
    if not plans:
        raise DataError(f"store {location} holds no study: run physrl sweep with store={location}")
    if study is None and len(plans) > 1:
        raise DataError(f"store {location} holds {', '.join(plans)}: choose one with --study")
    name = next(iter(plans)) if study is None else study
    if name not in plans:
        raise DataError(f"--study is '{name}', but the store holds {', '.join(plans)}: name one")
    return plans[name], store
