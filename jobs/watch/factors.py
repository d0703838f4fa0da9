"""What the trials of a study differ in: the grid's axes, and keys of their configurations."""

from collections.abc import Mapping, Sequence
from typing import Any

from physrl.config.differences import PLACES, flatten
from physrl.evaluation.plan_file import TrialOutline

FACTORS = ("task", "method", "model", "seed", "variant")
"""What tells the trials of every study apart."""
Values = Mapping[str, Mapping[str, Any]]
"""Values by factor, then by the trial's key."""
OTHER_NAMES = {"task", "tasks", "seed", "model.path"}
"""Keys of a configuration that repeat an axis of the grid."""


def find_factors(trials: Sequence[TrialOutline]) -> Values:
    """Find the axes and keys in which trials differ, with the value of each trial that has one."""
    values: dict[str, dict[str, Any]] = {
        name: {trial.key: getattr(trial, name) for trial in trials} for name in FACTORS
    }
    first = trials[0].config if trials else {}
    differ = {
        name
        for trial in trials
        for name in trial.config.keys() | first.keys()
        if trial.config.get(name) != first.get(name)
    }
    flat = {
        trial.key: flatten({name: trial.config.get(name) for name in differ}) for trial in trials
    }
    for name in dict.fromkeys(name for each in flat.values() for name in each):
        if name not in PLACES and name not in OTHER_NAMES:
            present = {key: each[name] for key, each in flat.items() if each.get(name) is not None}
            values[name] = {key: _plain(value) for key, value in present.items()}
    return {name: each for name, each in values.items() if len(set(each.values())) > 1}


def is_number(values: Mapping[str, Any]) -> bool:
    """Tell whether all values of a factor are numbers."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)
