import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physrl.config.algorithm import ALGORITHMS, PolicyGradientConfig, SFTConfig
from physrl.config.implementation import Implementation, TypedRegistry
from physrl.config.load import validate
from physrl.config.reward import REWARDS, RewardSection
from physrl.config.task import TASKS, answer_form
from physrl.errors import ConfigError, PluginError
from physrl.registry import Registry
from tests.support.distribution import write_distribution


def accept(name: str, loaded: Any) -> Any:
    if loaded is None:
        raise ValueError("is None")
    return loaded


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in tmp_path.glob("*.py"):
        sys.modules.pop(module.stem, None)


def test_built_in_names_come_first_and_listing_imports_nothing(site: Path) -> None:
    entries = {"some.group:b": "no_such_module:B", "some.group:a": "math:pi"}
    write_distribution(site, "other", entries)
    registry = Registry("some.group", {"z": "math:e"}, accept)
    assert tuple(registry) == ("z", "a", "b")
    assert registry.built_in == ("z",)
    assert registry["a"] == pytest.approx(3.14159, abs=1e-5)
    assert "c" not in registry
    with pytest.raises(ValueError, match=r"'c'.*z, a, b"):
        registry.require("c")


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("no_such_module:X", "No module named"),
        ("math:nothing", "nothing"),
        ("broken:X", "ZeroDivisionError"),
        ("empty:X", "is None"),
    ],
)
def test_a_broken_entry_point_is_one_line_with_its_distribution(
    site: Path, reference: str, part: str
) -> None:
    modules = {"broken.py": "1 / 0\n", "empty.py": "X = None\n"}
    write_distribution(site, "other", {"some.group:a": reference}, modules)
    registry = Registry("some.group", {}, accept)
    with pytest.raises(PluginError, match=rf"other: 'a' in some\.group.*{part}") as caught:
        registry["a"]
    assert "\n" not in str(caught.value)


def test_a_name_that_two_register_is_refused(site: Path) -> None:
    write_distribution(site, "other", {"some.group:a": "math:pi"})
    registry = Registry("some.group", {"a": "math:e"}, accept)
    with pytest.raises(PluginError, match=r"distribution other and physrl .*'a'"):
        registry["a"]


class Reinforce(PolicyGradientConfig):
    type: str = "reinforce"


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("X = 3", "is 3"),
        (
            "from physrl.config.implementation import *\nX = Implementation(TypedSection, '')",
            "Policy",
        ),
        (
            "from physrl.config.implementation import *\n"
            "from physrl.config.algorithm import GRPOConfig\nX = Implementation(GRPOConfig, '')",
            "'grpo'",
        ),
    ],
)
def test_an_implementation_of_a_wrong_form_is_refused(site: Path, source: str, part: str) -> None:
    write_distribution(site, "other", {"some.group:a": "made:X"}, {"made.py": source})
    registry = TypedRegistry("some.group", (PolicyGradientConfig,), {})
    with pytest.raises(PluginError, match=f"other: 'a'.*{part}"):
        registry["a"]


def test_a_task_without_its_facts_or_under_another_name_is_refused(site: Path) -> None:
    source = "from physrl.tasks.place import Place\nclass Moved(Place): ...\n"
    source += "class Bare:\n    name = 'bare'\n"
    entries = {"physrl.tasks:bare": "made:Bare", "physrl.tasks:moved": "made:Moved"}
    write_distribution(site, "other", entries, {"made.py": source})
    registry = Registry("physrl.tasks", {}, TASKS._accept)
    with pytest.raises(PluginError, match=r"other: 'bare'.*wordings.*attempts"):
        registry["bare"]
    with pytest.raises(PluginError, match=r"other: 'moved'.*'place'"):
        registry["moved"]


def test_every_built_in_object_can_be_imported() -> None:
    for registry in (ALGORITHMS, REWARDS):
        for name in registry.built_in:
            assert registry[name].config.model_fields["type"].default == name
            assert callable(registry.function(name))
    assert [TASKS[name].name for name in TASKS] == list(TASKS)
    assert {name: answer_form(name) for name in ("stability", "place_y", "place")} == {
        "stability": "a verdict",
        "place_y": "one number",
        "place": "two numbers",
    }


def test_a_table_is_validated_by_its_type() -> None:
    own = TypedRegistry(
        "none", (PolicyGradientConfig,), {"reinforce": Implementation(Reinforce, "")}
    )
    assert own._validate({"type": "reinforce", "lr": 1e-3}) == Reinforce(lr=1e-3)
    assert own._validate(Reinforce()) == Reinforce()
    assert isinstance(validate({"algorithm": SFTConfig()}).algorithm, SFTConfig)


@pytest.mark.parametrize(
    ("tree", "part"),
    [
        ({"algorithm": {"type": "ppo"}}, r"^algorithm\.type is 'ppo'.*grpo, .*sft"),
        ({"algorithm": {"type": ["grpo"]}}, r"^algorithm\.type is \['grpo'\]"),
        ({"algorithm": 3}, r"^algorithm is 3"),
        ({"algorithm": RewardSection(type="paper")}, "^algorithm"),
        ({"reward": {"type": "none"}}, r"^reward\.type is 'none'.*simulated, paper"),
        ({"task": "juggle"}, r"^task is 'juggle'.*stability, .*place_closed_loop"),
        ({"task": 3}, r"^task is 3"),
        ({"mixture": ["place", "juggle"]}, r"^mixture\.1 is 'juggle'.*stability"),
        ({"evaluation": {"data": {"juggle": "x"}}}, r"^evaluation\.data\.juggle is 'juggle'"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(tree: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part) as caught:
        validate(tree)
    assert "\n" not in str(caught.value)
