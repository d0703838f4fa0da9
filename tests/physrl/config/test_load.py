from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from physrl.config import RunConfig, load_config
from physrl.config.algorithm import GRPOConfig, GSPOConfig, SFTConfig
from physrl.config.load import dump_yaml, merge, parse_override, validate
from physrl.errors import ConfigError

KEYS = st.sampled_from(["a", "b", "algorithm", "type"])
TREES = st.dictionaries(
    KEYS, st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(KEYS, inner)), max_size=4
)


@given(TREES)
def test_merge_with_nothing_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, {}) == tree
    assert merge({}, tree) == tree


@given(TREES, TREES)
def test_merge_twice_is_merge_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    assert merge(merge(base, over), over) == merge(base, over)


@given(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), min_size=1), st.integers())
def test_override_sets_its_value_at_its_path(names: list[str], value: int) -> None:
    tree: Any = parse_override(f"{'.'.join(names)}={value}")
    for name in names:
        tree = tree[name]
    assert tree == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=null", None), ("a=[2, 4]", [2, 4]), ("a=true", True), ("a=x=y", "x=y"), ("a=", None)],
)
def test_override_values_are_yaml(text: str, value: Any) -> None:
    assert parse_override(text) == {"a": value}


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a b=1", "a=[1", ".a=1"])
def test_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="override"):
        parse_override(text)


def test_changed_type_replaces_the_table() -> None:
    config = load_config(None, ["algorithm.type=gspo", "algorithm.steps=7", "algorithm.type=grpo"])
    assert config.algorithm == GRPOConfig()


def test_naming_the_default_type_keeps_the_table() -> None:
    config = load_config(None, ["algorithm.steps=7", "algorithm.type=grpo"])
    assert config.algorithm == GRPOConfig(steps=7)


def test_scientific_notation_is_a_number() -> None:
    assert load_config(None, ["algorithm.lr=1e-3"]).algorithm.lr == 1e-3


def test_types_choose_classes() -> None:
    assert isinstance(load_config(None, ["algorithm.type=gspo"]).algorithm, GSPOConfig)
    assert isinstance(load_config(None, ["algorithm.type=sft"]).algorithm, SFTConfig)


def test_file_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("name: one\nmodel: {lora: {rank: 8}}\n")
    config = load_config(file, ["name=two", "model.lora.alpha=32"])
    assert config.name == "two"
    assert config.model.lora is not None
    assert (config.model.lora.rank, config.model.lora.alpha) == (8, 32)


def test_dump_loads_back() -> None:
    config = load_config(None, ["model.lora.rank=4", "evaluation.real_images=photos"])
    assert validate(yaml.safe_load(dump_yaml(config))) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["typo=1"], "unknown key 'typo'"),
        (["algorithm.typo=1"], "unknown key 'algorithm.typo'"),
        (["seed=many"], "seed is 'many'"),
        (["algorithm.group_size=1"], "algorithm.group_size is 1.*at least 2"),
        (["model.lora.rank=0"], "model.lora.rank is 0.*model.lora=null"),
        (["algorithm.beta=0.1"], "algorithm.beta is 0.1 but model.lora is null"),
        (["environment.num_blocks=[4, 2]"], r"environment has num_blocks \[4, 2\]"),
        (["algorithm.updates_per_rollout=3"], "= 256 is not divisible by .* = 3 x 1 = 3"),
        (["runtime.learner_ranks=3"], "= 256 is not divisible by .* = 1 x 3 = 3"),
        (["algorithm.type=ppo"], "algorithm is .*'ppo'"),
        (["seed=-1", "typo=1"], r"\(and 1 more\)"),
    ],
)
def test_mistakes_are_one_line_with_value(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"- 1\n", "holds a list"), (b"a: [1", "not valid YAML"), (b"\xff\xfe", "cannot be read")],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(file)


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        load_config(Path("nowhere.yaml"))


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("")
    assert load_config(file) == RunConfig()
