from pathlib import Path

import pytest

from physrl.data.photos import Photo
from physrl.errors import DataError
from physrl.evaluation.people_scores import people_success
from physrl.evaluation.specs import Condition
from physrl.people.judgements import holds_judgements, read_judgements
from tests.support.people import write_photographs

LONG = "file,judge,falls\np1.png,ann,1\np0.png,ann,0\np1.png,bob,0\np3.png,bob,\nelse.png,bob,1\n"
WIDE = "file,ann,bob\np1.png,1.0,0.0\np0.png,0.0,\nelse.png,1.0,1.0\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photo, ...]:
    return write_photographs(tmp_path_factory.mktemp("photos") / "photos")


@pytest.mark.parametrize("text", [LONG, WIDE, LONG.replace(",", ";"), WIDE.replace("1.0", "Yes")])
def test_both_forms_of_tables_are_read(
    text: str, photos: tuple[Photo, ...], tmp_path: Path
) -> None:
    path = tmp_path / "judges.csv"
    path.write_text(text)
    assert holds_judgements(path)
    group = read_judgements("judges", path, photos)
    real = Condition("stability", "real")
    assert group.conditions == (real,)
    scored = {
        (person, answer.scene_id): (answer.predicted_falls, answer.success)
        for person, answers in group.persons(real).items()
        for answer in answers
    }
    assert scored == {
        (1, "p1.png"): (True, True),
        (1, "p0.png"): (False, True),
        (2, "p1.png"): (False, False),
    }
    rate = people_success(group, real)
    assert rate is not None
    assert rate.value == 0.5  # the mean over judges, of 2 of 2 and 0 of 1
    assert rate.over == "scenes"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("photo,judge,falls\na,b,1\n", "no column 'file'"),
        ("file,judge\np1.png,ann\n", "none 'falls'"),
        ("file,judge,falls\np1.png,ann,perhaps\n", "line 2: a judgement is 'perhaps'"),
        ("file,judge,falls\np1.png,ann,1\np1.png,ann,0\n", "line 3: ann judges p1.png twice"),
        ("file,ann\nother.png,1\n", "none of the 4 photographs"),
        ("file,ann\n", "none of the 4 photographs"),
    ],
)
def test_wrong_tables_are_refused(
    text: str, named: str, photos: tuple[Photo, ...], tmp_path: Path
) -> None:
    path = tmp_path / "judges.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=named):
        read_judgements("judges", path, photos)
