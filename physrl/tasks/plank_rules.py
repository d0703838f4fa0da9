"""Rules without physics for tasks with a plank, each a place of the red block."""

from collections.abc import Hashable

import numpy as np

from physrl.environments.palette import RED
from physrl.environments.planks import Planks
from physrl.tasks.answers import UNITS
from physrl.tasks.landmarks import Landmarks, all_guesses, plank_landmarks
from physrl.tasks.placing import carrying_block
from physrl.types import Action, Block, Offset, SceneSpec


def aligned(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block's middle over or under the plank's."""
    return _answer(scene, _plank(scene).x)


def mean(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block over or under the mean of the loads' middles."""
    return _answer(scene, _mean(scene))


def midway(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block midway between the plank's middle and that mean."""
    return _answer(scene, (_plank(scene).x + _mean(scene)) / 2)


def opposite(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block as far from the post as the largest load is."""
    largest = max(_loads(scene), key=lambda block: block.size)
    return _answer(scene, 2 * scene.blocks[0].x - largest.x)


def see_landmarks(scene: SceneSpec) -> Landmarks:
    """Return the landmarks of the plank, its loads and its post, relative to the plank's middle.

    Each has one value. A post is what lies under the plank and is not red.
    """
    plank, loads = _plank(scene), _loads(scene)
    sizes, centers, yaws = (
        np.array([column])
        for column in zip(*((load.size, load.x - plank.x, load.yaw) for load in loads), strict=True)
    )
    lengths = np.array([plank.edges[0]])
    planks = Planks(lengths, sizes, centers, yaws, fits=np.array([True]))
    posts = [block.x for block in scene.blocks if block.y < plank.y and block.color != RED]
    return plank_landmarks(planks, np.array(posts) - plank.x if posts else None)


def guesses(scene: SceneSpec) -> dict[Hashable, Action]:
    """Return the answers of all guesses between the landmarks of the scene."""
    middle, landmarks = _plank(scene).x, see_landmarks(scene)
    return {
        guess: _answer(scene, middle + float(guess.places(landmarks)[0]))
        for guess in all_guesses(landmarks)
    }


def _answer(scene: SceneSpec, place: float) -> Offset:
    red = next(block for block in scene.blocks if block.color == RED)
    return Offset(round((place - red.x) * UNITS) / UNITS, 0.0)


def _plank(scene: SceneSpec) -> Block:
    return carrying_block(scene.blocks)


def _loads(scene: SceneSpec) -> list[Block]:
    plank = _plank(scene)
    return [block for block in scene.blocks if block.y > plank.y and block.color != RED]


def _mean(scene: SceneSpec) -> float:
    loads = _loads(scene)
    return sum(block.x for block in loads) / len(loads)
