"""Write a study's answers as one table."""

from pathlib import Path

from jobs.display.console import console
from physrl.errors import DataError
from physrl.evaluation.cells import find_cell_store
from physrl.evaluation.tidy import CODEBOOK, CSV, TABLE, write_tidy


def run(location: str, study: str | None, out: Path) -> None:
    """Write the table of a study in a store, and its codebook.

    Args:
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
    rows = write_tidy(plans[name], store, out)
    console.print(f"{rows} answers of {name}: {out / TABLE}, {out / CSV}, {out / CODEBOOK}")
