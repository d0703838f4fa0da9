"""YAML that other tools and people write: keys given twice, aliases, odd scalars, damage."""

import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.config.load import parse_config, parse_override
from physrl.config.strict_yaml import YamlError, load_yaml
from physrl.errors import ConfigError
from tests.support.damage import refusal

NAMES = st.sampled_from("abcdef")
TREES: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, 9) | st.booleans() | st.none() | st.text("xyz ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
TABLES = st.dictionaries(NAMES, TREES, min_size=1, max_size=4)


@given(TABLES, st.sampled_from([False, None, True]))
def test_hunted_yaml_without_repetition_reads_as_pyyaml_reads_it(tree: Any, flow: Any) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow)
    assert load_yaml(text) == tree


@given(st.lists(NAMES, max_size=5), TABLES, st.data())
def test_hunted_repeated_key_is_refused_with_both_lines_at_every_depth(
    path: list[str], table: dict[str, Any], data: st.DataObject
) -> None:
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(path)]
    margin = "  " * len(path)
    key = data.draw(st.sampled_from(sorted(table)))
    body = yaml.safe_dump({name: name for name in sorted(table)}).splitlines()
    first = len(path) + 1 + sorted(table).index(key)
    second = len(path) + len(body) + 1
    text = "\n".join([*lines, *(margin + line for line in [*body, f"{key}: again"])])
    with pytest.raises(YamlError) as caught:
        load_yaml(text)
    assert f"lines {first} and {second}" in str(caught.value)
    assert f"'{key}'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("runtime: {}\nalgorithm: {steps: 7}\nruntime: {}\n", (1, 3)),
        ("a:\n- {b: 1,\n   b: 2}\n", (2, 3)),
        ("{a: 1, 'a': 2}", (1, 1)),
        ("1: x\n0x1: y\n", (1, 2)),
        ("yes: x\ntrue: y\n", (1, 2)),
        ("? a\n: 1\n? a\n: 2\n", (1, 3)),
        ("x: &x {b: 1}\ny:\n  <<: *x\n  <<: *x\n", (3, 4)),
    ],
)
def test_hunted_repeated_key_in_other_notations(text: str, lines: tuple[int, int]) -> None:
    with pytest.raises(YamlError) as caught:
        load_yaml(text)
    assert "lines {} and {}".format(*lines) in str(caught.value)


def test_hunted_merged_table_may_be_overridden() -> None:
    text = (
        "base: &base {steps: 7, lr: 1}\nother:\n  <<: *base\n  lr: 2\nthird: {<<: *base, lr: 3}\n"
    )
    assert load_yaml(text)["other"] == {"steps": 7, "lr": 2}
    assert load_yaml(text)["third"] == {"steps": 7, "lr": 3}


def test_hunted_override_with_a_repeated_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="lr"):
        parse_override("algorithm={lr: 1, lr: 2}")


@pytest.mark.parametrize(
    "text",
    [
        "a: 2026-13-45",  # a date that is none
        "a: !!int x",
        "a: !!float x",
        "a: !!timestamp x",
        "a: !!binary x",
        "a: !!bool x",
        "a: !!python/object/apply:os.system [ls]",
        "? [1]\n: 2",
        "? {a: 1}\n: 2",
        "a: &a [*a]",
        "a: &a {b: *a}",
        "[" * 5000,
        "{a: " * 5000,
        "- " * 5000,
        "\n".join(f"{'  ' * n}a:" for n in range(2000)),
        "a0: &a0 [1, 1]\n"
        + "\n".join(f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 12)),
        "a: \x00",
        "a: *b",
        "%YAML 9.9\n---\na: 1",
        "a: 1\n--- \nb: 2",
    ],
    ids=lambda text: text[:24],
)
def test_hunted_text_that_is_no_configuration_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "mine.yaml")
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@given(TABLES, st.integers(0, 2**32))
@settings(max_examples=200)
def test_hunted_damaged_yaml_raises_nothing_but_its_own_error(tree: Any, seed: int) -> None:
    draw, text = random.Random(seed), list(yaml.safe_dump(tree))
    for _ in range(draw.randint(1, 4)):
        text[draw.randrange(len(text))] = draw.choice("{}[]:-&*!<>|?%@`'\"#,\t\n 0x.e~\x85\ufeff")
    refusal(parse_config, "".join(text), "mine.yaml")
