"""The machine that makes wrong edits, and the paths that it leaves out."""

from collections import Counter

from tests.helm.free_choices import FreeChoice
from tests.helm.mutants import misspelled, mutants

DOCUMENT = {"kind": "Service", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}


def test_every_operation_at_its_place() -> None:
    found = Counter((one.location, one.operation) for one in mutants(DOCUMENT))
    assert found["ports[a].port", "off by one"] == 2
    assert found["ports[a].port", "dropped"] == 1
    assert found["ports[a].port", "swapped"] == 1  # with the next port's
    assert found["ports[b]", "dropped"] == 1
    assert found["ports", "misspelled key"] == 1
    assert found["kind", "misspelled"] == 1


def test_a_mutant_differs_and_leaves_the_original_alone() -> None:
    assert all(one.document != DOCUMENT for one in mutants(DOCUMENT))
    assert DOCUMENT["ports"][0] == {"name": "a", "port": 1}  # type: ignore[index]


def test_words_of_a_text_change_one_by_one() -> None:
    changed = [one.document["a"] for one in mutants({"a": "run 12"}) if "a" in one.document]
    assert {"run 13", " 12", "run "} <= set(changed)


def test_order_matters_only_in_commands() -> None:
    def swapped(name: str) -> int:
        return sum(one.operation == "swapped" for one in mutants({name: ["x", "y"]}))

    assert (swapped("command"), swapped("values")) == (1, 0)


def test_misspelled_words_differ() -> None:
    assert all(misspelled(word, ("a",)) != word for word in ("a", "aa", "ab", "port"))


def test_a_path_rule_covers_whole_locations() -> None:
    mutant = next(one for one in mutants(DOCUMENT) if one.location == "ports[a].port")
    assert FreeChoice(r"Service ports\[.\]\.port", "").covers(mutant)
    assert not FreeChoice(r"Service ports", "").covers(mutant)
    assert not FreeChoice(r"Service .*", "", ("negated",)).covers(mutant)
