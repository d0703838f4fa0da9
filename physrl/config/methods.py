"""Methods that studies know by name, besides the algorithms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from physrl.config.algorithm import ALGORITHMS, OptimizationConfig
from physrl.config.load import Tree, merge


@dataclass(frozen=True, slots=True)
class Method:
    """A way of training: changes of a run, and what it shares with other methods."""

    overrides: Tree
    """Changes of the run's configuration."""
    match: Literal["scenes", "samples"] = "scenes"
    """Budget that it shares with RL: a step's scenes, or an example for each of its completions."""
    parent: str | None = None
    """Method whose changes in a study, and whose chosen learning rate, it shares."""
    control: bool = False
    """True if it shows what is learned without that which is being tested."""


SHUFFLED, WARM_START, OBSERVER = "sft_shuffled", "warm_start", "observer"
YOKED, RANDOM, SAMPLES, REJECTION = "grpo_yoked", "grpo_random", "sft_samples", "rejection"
METHODS: Mapping[str, Method] = {
    YOKED: Method(
        {"algorithm": {"type": "grpo", "reward_source": "yoked"}}, parent="grpo", control=True
    ),
    RANDOM: Method(
        {"algorithm": {"type": "grpo", "reward_source": "random"}}, parent="grpo", control=True
    ),
    SAMPLES: Method({"algorithm": {"type": "sft"}}, match="samples", parent="sft"),
    SHUFFLED: Method(
        {"algorithm": {"type": "sft", "targets": "shuffled"}}, parent="sft", control=True
    ),
    OBSERVER: Method(
        {"algorithm": {"type": "sft", "targets": "outcomes"}},
        match="samples",
        parent="sft",
        control=True,
    ),
    WARM_START: Method({"algorithm": {"type": "sft", "steps": 0}}, control=True),
}
"""Named methods; every algorithm is a method of the same name."""
CONTROLS = frozenset(name for name, method in METHODS.items() if method.control)
"""Methods that others are compared with."""


@dataclass(frozen=True, slots=True)
class MethodTree:
    """A method's changes of the base run, with the keys that it inherits from the base."""

    overrides: Tree
    untaken: tuple[str, ...]
    """Keys of the base's algorithm that its own does not take."""


def find_method(name: str) -> Method:
    """Return a named method, or the plain one of an algorithm or of a user's own name."""
    return METHODS.get(name, Method({}))


def algorithm_type(name: str, methods: Mapping[str, Tree]) -> str:
    """Return the algorithm type of a method.

    Args:
        methods: the study's changes of methods, by name.

    Raises:
        ValueError: there is no such algorithm.
    """
    table = _changes(name, methods, {}).get("algorithm")
    kind = str(table.get("type", name) if isinstance(table, dict) else name)
    if kind not in ALGORITHMS:
        raise ValueError(
            f"has method '{name}', which is not an algorithm: choose from "
            f"{', '.join((*ALGORITHMS, *METHODS))}, or set methods.{name}.algorithm.type"
        )
    return kind


def method_tree(
    name: str, methods: Mapping[str, Tree], base: Tree, budget: OptimizationConfig
) -> MethodTree:
    """Merge a method's changes with what it inherits: the base's keys, and its budget.

    A method inherits every key of the base's algorithm that its type has. Keys of the loss whose
    defaults differ between the two types stay the type's own: GSPO's clip range must not become
    GRPO's.

    Args:
        methods: the study's changes of methods, by name.
        base: tree of the base run, not validated.
        budget: algorithm of the base run.
    """
    kind, method = algorithm_type(name, methods), find_method(name)
    given: Any = base.get("algorithm") or {}
    inherited = {key: value for key, value in given.items() if _takes(kind, budget.type, key)}
    shared = {
        "steps": budget.steps,
        "prompts_per_step": budget.prompts_per_step,
        "updates_per_rollout": budget.updates_per_rollout,
    }
    samples = {"algorithm": {"prompts_per_step": budget.completions_per_step}}
    changes = _changes(name, methods, samples if method.match == "samples" else {})
    untaken = [key for key in given if key != "type" and key not in inherited]
    algorithm = {"algorithm": inherited | shared | {"type": kind}}
    return MethodTree(merge(algorithm, changes), tuple(untaken))


def _changes(name: str, methods: Mapping[str, Tree], budget: Tree) -> Tree:
    """Merge the changes of a method's parent, its own, and those that the study makes to it.

    Args:
        budget: further changes of its own.
    """
    method = find_method(name)
    parent = {} if method.parent is None else methods.get(method.parent, {})
    own = merge(method.overrides, budget)
    return merge(merge(parent, own, by_type=False), methods.get(name, {}))


def _takes(kind: str, base: str, key: str) -> bool:
    """Return True if an algorithm type inherits a key from a base of another, or the same, type."""
    if kind == base:
        return key != "type"
    fields, others = (ALGORITHMS[each].config.model_fields for each in (kind, base))
    if key == "type" or key not in fields or key not in others:
        return False
    return (
        key in OptimizationConfig.model_fields
        or fields[key].get_default() == others[key].get_default()
    )
