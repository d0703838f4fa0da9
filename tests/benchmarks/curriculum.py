"""Steps that the adaptive curriculum saves a simulated policy, and where it keeps its success.

    PYTHONPATH=. python tests/benchmarks/curriculum.py [--tasks place ...]

A skill model learns from the real scenes of each task, once by plain gradient ascent, once by Adam,
from a low and from a high skill. Last line: one JSON object. `steps_share` is the number of steps
after which the adaptive curriculum reaches the final skill of uniform sampling, as a share of
uniform sampling's; null if it never does. `near_half` is the share of steps, of those in which the
candidates allow it, whose drawn success over ten steps is within 0.15 of one half.
"""

import argparse
import json
import sys
from dataclasses import dataclass

import numpy as np

from physrl.config import RunConfig
from physrl.curriculum import CANDIDATES, Adaptive, Curriculum, Uniform, training_facts
from physrl.groups import Group, RolloutSummary
from physrl.scene_source import SceneSource, scene_source
from physrl.tasks import TASKS
from physrl.types import Reward, RolloutGroup
from tests.support.skill_model import ROLLOUTS, Floats, Optimizer, SkillModel

STEPS, SCENES, SEEDS, TESTED = 80, 16, 3, 300
WINDOW = 10
SKILLS = {"low": -3.0, "high": 0.0}
LARGEST_SHARE, LARGEST_OTHER = 0.7, 1.05
NEAR = 0.15


@dataclass(frozen=True)
class Curves:
    """Figures of each step, averaged over seeds in `skill` alone (seeds x steps elsewhere)."""

    skill: Floats
    """Success rate on uniformly drawn scenes."""
    drawn: Floats
    """Success rate on the scenes that were drawn."""
    nearest: Floats
    """Success rate on the candidates nearest to one half, one of each pair."""
    shift: Floats
    """The metric `curriculum/shift`."""


def learn(
    source: SceneSource, kind: type[Adaptive | Uniform], skill: float, by: Optimizer
) -> Curves:
    """Train the skill model under a curriculum, with several seeds."""
    runs = [_learn(source, kind(source), skill, by, seed) for seed in range(SEEDS)]
    skills, drawn, nearest, shift = np.array(runs).transpose(1, 0, 2)
    return Curves(skills.mean(axis=0), drawn, nearest, shift)


def _learn(
    source: SceneSource, curriculum: Curriculum, skill: float, by: Optimizer, seed: int
) -> list[list[float]]:
    """Train one model; return its curves: skill, drawn, nearest, shift."""
    first = 10**7  # far from all candidates
    tests = facts_of(source, range(first, first + TESTED))
    model, state = SkillModel(tests, skill, by, seed), curriculum.start()
    rows = []
    for step in range(STEPS):
        indices = range(step * SCENES, (step + 1) * SCENES)
        drawn = curriculum.propose(state, indices)
        facts = facts_of(drawn, indices)
        candidates = facts_of(
            source, range(indices[0] * CANDIDATES, (indices[-1] + 1) * CANDIDATES)
        )
        rates = model.success(candidates)
        shift = curriculum.measure(state, indices).get("curriculum/shift", 0.0)
        rows.append(
            [model.success(tests).mean(), model.success(facts).mean(), nearest_half(rates), shift]
        )
        counts = model.learn(facts)
        state = curriculum.observe(state, drawn, list(map(group, indices, counts)))
    return np.array(rows).T.tolist()


def facts_of(source: SceneSource, indices: range) -> Floats:
    """Return the facts about scenes."""
    places = [source.locate(index)[1] for index in indices]
    settings = source.environment
    return np.array([training_facts(source.task, settings, source.seed, at) for at in places])


def nearest_half(rates: Floats) -> float:
    """Return the mean rate if the best candidate of each pair were known and taken."""
    pairs = rates.reshape(-1, CANDIDATES, 2).mean(axis=-1)
    best = abs(pairs - 0.5).argmin(axis=1)
    return float(np.take_along_axis(pairs, best[:, None], axis=1).mean())


def group(index: int, successes: int) -> Group:
    """Return a group with that many successes; nothing reads its record."""

    def read() -> RolloutGroup:
        raise NotImplementedError

    rollouts = tuple(
        RolloutSummary(Reward(float(n < successes)), n < successes, ()) for n in range(ROLLOUTS)
    )
    return Group(index, "", rollouts, read)


def compare(task: str, skill: str, by: Optimizer) -> dict[str, float | None]:
    """Compare the adaptive curriculum with uniform sampling."""
    source = scene_source(RunConfig(task=task), task, "train")
    uniform, adaptive = (learn(source, kind, SKILLS[skill], by) for kind in (Uniform, Adaptive))
    goal = float(uniform.skill[-1])
    reached = np.flatnonzero(adaptive.skill >= goal)
    drawn, nearest = smooth(adaptive.drawn), smooth(adaptive.nearest)
    possible = abs(nearest - 0.5) <= NEAR
    near = abs(drawn - 0.5) <= NEAR
    return {
        "uniform_final": goal,
        "adaptive_final": float(adaptive.skill[-1]),
        "steps_share": float(reached[0]) / (STEPS - 1) if reached.size else None,
        "near_half": float(near[possible].mean()) if possible.any() else None,
        "shift_nats": float(adaptive.shift.mean()),
    }


def smooth(rows: Floats) -> Floats:
    """Average each row over a moving window."""
    means: Floats = np.array([np.convolve(row, np.ones(WINDOW) / WINDOW, "valid") for row in rows])
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    figures: dict[str, dict[str, float | None]] = {}
    for task in parser.parse_args().tasks:
        for skill in SKILLS:
            for by in ("sgd", "adam"):
                row = compare(task, skill, by)
                figures[f"{task}/{skill}/{by}"] = row
                print(task, skill, by, row, flush=True)
    slow = [name for name, row in figures.items() if (row["steps_share"] or 9) > LARGEST_OTHER]
    if (figures.get("place/low/sgd", {}).get("steps_share") or 0) > LARGEST_SHARE:
        slow.append("place/low/sgd")
    print(json.dumps({"runs": figures, "slow": slow}))
    if slow:
        sys.exit(f"too slow: {', '.join(slow)}")


if __name__ == "__main__":
    main()
