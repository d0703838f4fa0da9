"""Estimates about people: success, psychometric curves, and agreement with models.

Persons are the sample where seeds are among models. Each may have seen other scenes, so that the
two components of the variance are not separated: both contain the residual, which makes intervals
rather too wide.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from physrl.environments.randomness import stream
from physrl.evaluation.contrast import FEWEST_SEEDS, Contrast
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.people import PeopleGroup
from physrl.evaluation.psychophysics import error_consistency
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Count, Floats

SPLITS = 200
"""Random halves that a noise ceiling is the mean over."""
FEWEST_SHARED = 8
"""Scenes that two subjects must share for an agreement."""
Successes = Mapping[str, float]
"""Success by scene, 0 or 1."""


def people_success(group: PeopleGroup, condition: Condition) -> Estimate | None:
    """Estimate the success rate of persons, over other persons and scenes; None without answers.

    With fewer than three persons it is about other scenes alone.
    """
    persons = group.persons(condition)
    if not persons:
        return None
    means = np.array([_mean(answers) for answers in persons.values()])
    units = _unit_means(persons, condition)
    value = float(means.mean())
    if value in (0.0, 1.0):
        low, high = Count(round(value) * len(units), len(units)).interval
        return Estimate(value, low, high)
    enough = len(means) >= FEWEST_SEEDS
    found = Contrast(
        value=value,
        unit_variance=_variance_of_mean(units),
        unit_df=max(1.0, len(units) - 1.0),
        seed_variance=_variance_of_mean(means) if enough else 0.0,
        seed_df=max(1.0, len(means) - 1.0),
        residual_variance=0.0,
        seeds=len(means),
        scenes=len(units),
    ).estimate
    return Estimate(value, max(0.0, found.low), min(1.0, found.high), found.over)


def successes_of(answers: Sequence[Answer]) -> Successes:
    """Collect successes by scene."""
    return {answer.scene_id: float(answer.success) for answer in answers}


def agreement(first: Successes, second: Successes) -> float | None:
    """Compute Cohen's kappa of two subjects' successes on the scenes that both answered.

    None with fewer than eight of them, or if both always succeed or both never do.
    """
    shared = sorted(first.keys() & second.keys())
    if len(shared) < FEWEST_SHARED:
        return None
    pair = (np.array([each[scene] for scene in shared]) for each in (first, second))
    return error_consistency(*pair)


def halves(group: PeopleGroup, condition: Condition) -> list[tuple[Successes, Successes]]:
    """Split the persons in random halves, and return what the majority of each got right.

    Scenes on which a half is divided equally are left out of it. None below four persons.
    """
    persons = [successes_of(answers) for answers in group.persons(condition).values()]
    if len(persons) < 4:
        return []
    rng = stream(f"people/halves/{condition.task}/{condition.test_set}", 0)
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(len(persons)).tolist()
        middle = len(persons) // 2
        found.append((_majority(persons, order[:middle]), _majority(persons, order[middle:])))
    return found


def noise_ceiling(splits: Sequence[tuple[Successes, Successes]]) -> float | None:
    """Compute the mean agreement of the two halves: how much other people agree; None without any.

    A model of what most people answer, without the chance of a half, may agree a little more.
    """
    return _mean_of([agreement(first, second) for first, second in splits])


def agreement_with_people(
    successes: Successes, splits: Sequence[tuple[Successes, Successes]]
) -> float | None:
    """Compute a model's mean agreement with halves of people, comparable to the ceiling."""
    return _mean_of([agreement(successes, half) for split in splits for half in split])


def _majority(persons: Sequence[Successes], chosen: Sequence[int]) -> Successes:
    votes: dict[str, list[float]] = {}
    for number in chosen:
        for scene, success in persons[number].items():
            votes.setdefault(scene, []).append(success)
    shares = {scene: sum(given) / len(given) for scene, given in votes.items()}
    return {scene: float(share > 0.5) for scene, share in shares.items() if share != 0.5}


def _unit_means(persons: Mapping[int, Sequence[Answer]], condition: Condition) -> Floats:
    """Average over the answers to a pair of twins, or to a photograph."""
    units: dict[str, list[float]] = {}
    for answers in persons.values():
        for answer in answers:
            units.setdefault(_unit(answer.scene_id, condition), []).append(answer.success)
    return np.array([sum(given) / len(given) for given in units.values()])


def _unit(scene_id: str, condition: Condition) -> str:
    if condition.test_set == "real":
        return scene_id
    name, _, index = scene_id.rpartition("/")
    return f"{name}/{int(index) // 2}"


def _mean(answers: Sequence[Answer]) -> float:
    return sum(answer.success for answer in answers) / len(answers)


def _variance_of_mean(values: Floats) -> float:
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0


def _mean_of(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
