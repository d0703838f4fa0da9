"""Hashes of scenes and images, so that a change without a new GENERATOR_VERSION is noticed."""

import hashlib
from dataclasses import astuple
from typing import Any, get_args

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import TinyRenderer
from physrl.environments.version import GENERATOR_VERSION
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene, question_text

EXPECTED_SCENES = {
    3: "b0306119457a33dc",
    4: "67896ee56c776e1e",
    5: "762018ccb566a8eb",
    6: "fd3a0a8d58cd2968",
    7: "9d60c8aaebfc19bf",
}
EXPECTED_IMAGE = {
    3: "0a23c6cf056d91f5",
    4: "0a23c6cf056d91f5",
    5: "a47f7c149b24446d",
    6: "a96fa3df023b3aaa",
    7: "a96fa3df023b3aaa",
}
"""Hash of an image by PyBullet's renderer; Numba may round differently on other machines."""


def rounded(value: Any) -> Any:
    """Round to millionths, so that the last digit of another machine makes no difference."""
    if isinstance(value, tuple):
        return tuple(rounded(item) for item in value)
    return round(value, 6) if isinstance(value, float) else value


def test_changed_scenes_or_questions_need_a_new_version() -> None:
    digest = hashlib.sha256()
    for _, task in sorted(TASKS.items()):
        for generator in get_args(GeneratorName):
            settings = GENERATORS[generator](EnvironmentConfig())
            scene = make_scene(task, settings, 0, "train", 1, generator)
            digest.update(repr(rounded(astuple(scene))).encode())
            digest.update(question_text(task, scene.wording, reasoning=True).encode())
    assert EXPECTED_SCENES.get(GENERATOR_VERSION) == digest.hexdigest()[:16], (
        "scenes have changed: increase GENERATOR_VERSION and add the new hash here"
    )


def test_changed_images_need_a_new_version(renderer: TinyRenderer) -> None:
    scene = make_scene(TASKS["place"], EnvironmentConfig(), 0, "train", 1)
    image = make_prompt(TASKS["place"], scene, renderer, 28, reasoning=False).images[0]
    digest = hashlib.sha256(image.tobytes()).hexdigest()[:16]
    assert EXPECTED_IMAGE.get(GENERATOR_VERSION) == digest, (
        "images have changed: increase GENERATOR_VERSION and add the new hash here"
    )
