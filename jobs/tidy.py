"""Write a study's answers as one table."""

from pathlib import Path

from jobs.arguments.study_place import find_study
from jobs.display.console import console
from physrl.evaluation.tidy import CODEBOOK, CSV, TABLE, write_tidy


def run(location: str, study: str | None, out: Path) -> None:
    """Write the table of a study in a store, and its codebook.

    Args:
        study: its name; may be None if the store has a single one.

    Raises:
        DataError: the store does not exist, or holds no such study.
    """
    plan, store = find_study(location, study)
    rows = write_tidy(plan, store, out)
    console.print(f"{rows} answers of {plan.name}: {out / TABLE}, {out / CSV}, {out / CODEBOOK}")
