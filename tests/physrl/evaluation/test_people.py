from pathlib import Path

import pytest

from physrl.errors import DataError
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.people import PeopleGroup, PersonAnswer
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer, make_verdict_answer


def make_group() -> PeopleGroup:
    place, stability = Condition("place"), Condition("stability")
    verdict = make_verdict_answer("stability/test/iid/0/0", True, True)
    answers = (
        PersonAnswer(1, place, make_answer(0), 2.5),
        PersonAnswer(2, stability, verdict, None),
    )
    return PeopleGroup("people", answers, {"too fast": 2})


def test_groups_are_stored_and_replaced(tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    assert store.read_people("mine") == ()
    group = make_group()
    store.write_people("mine", PeopleGroup("people", group.answers[:1], {}))
    store.write_people("mine", group)
    store.write_people("mine", PeopleGroup("experts", group.answers[1:], {}))
    store.write_people("other", group)
    experts, people = store.read_people("mine")
    assert (experts.name, people) == ("experts", group)
    assert people.conditions == (Condition("place"), Condition("stability"))
    assert list(people.persons(Condition("place"))) == [1]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not parquet at all"])
def test_a_damaged_group_is_refused(damage: bytes, tmp_path: Path) -> None:
    store = open_cell_store(str(tmp_path))
    store.write_people("mine", make_group())
    (tmp_path / "people" / "mine" / "people.parquet").write_bytes(damage)
    with pytest.raises(DataError, match="import the people's data again"):
        store.read_people("mine")
