"""Judgements of photographs by single judges, from a table."""

from collections.abc import Sequence
from pathlib import Path

from physrl.data.labels import LabelRow, read_table
from physrl.data.photos import Photo
from physrl.errors import DataError
from physrl.evaluation.people import PeopleGroup
from physrl.people.scoring import Given, score_photos

FILE, JUDGE, FALLS = "file", "judge", "falls"
"""Columns: name of the photograph; name of the judge; the judgement, 1 if it would fall."""
VERDICTS = {"1": "Yes", "1.0": "Yes", "yes": "Yes", "0": "No", "0.0": "No", "no": "No"}


def holds_judgements(path: Path) -> bool:
    """Return whether a file is a table with a column of photographs, not data of an experiment."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    columns, _ = read_table(path)
    return FILE in columns and "role" not in columns


def read_judgements(name: str, path: Path, photos: Sequence[Photo]) -> PeopleGroup:
    """Read who judged what, in one of two forms; judgements of other photographs are left out.

    Long: columns `file`, `judge` and `falls`, a row for each judgement. Wide: a column `file`, and
    one for each judge; a row for each photograph. Values are 1 or Yes for a fall, 0 or No, or
    empty.

    Raises:
        DataError: a column is missing, a value is none of these, or no photograph is known.
    """
    columns, rows = read_table(path)
    if FILE not in columns:
        raise DataError(f"{path} has no column '{FILE}': name each photograph in one")
    is_long = JUDGE in columns
    if is_long and FALLS not in columns:
        raise DataError(f"{path} has a column '{JUDGE}' but none '{FALLS}': add the judgements")
    known = {photo.file for photo in photos}
    judges: dict[str, int] = {}
    given, seen = list[Given](), set[tuple[int, str]]()
    for row in rows:
        file = row.values[FILE]
        named = (
            {row.values[JUDGE]: row.values[FALLS]}
            if is_long
            else {judge: text for judge, text in row.values.items() if judge not in ("", FILE)}
        )
        for judge, text in named.items():
            if file not in known or not text:
                continue
            person = judges.setdefault(judge, len(judges) + 1)
            if (person, file) in seen:
                raise DataError(f"{path} line {row.line}: {judge} judges {file} twice: remove one")
            seen.add((person, file))
            given.append(Given(person, file, _verdict(path, row, text), None))
    if not given:
        raise DataError(f"{path} names none of the {len(known)} photographs: check '{FILE}'")
    return PeopleGroup(name, tuple(score_photos(given, photos)), {})


def _verdict(path: Path, row: LabelRow, text: str) -> str:
    try:
        return VERDICTS[text.lower()]
    except KeyError:
        raise DataError(
            f"{path} line {row.line}: a judgement is '{text[:40]}': use 1 (it would fall), 0 or "
            "nothing"
        ) from None
