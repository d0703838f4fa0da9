"""Old datasets are told from new scenes by a number that somebody has to raise."""

import hashlib
from dataclasses import astuple
from typing import Any, get_args

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import TinyRenderer
from physrl.environments.version import GENERATOR_VERSION
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene, question_text

EXPECTED = {1: "f4ed2c80a37e8055", 2: "db212911adbf1d90"}
EXPECTED_PICTURE = {2: "6d1476ffc5a387d2"}
"""Of PyBullet's renderer alone: numba may round the photo renderer's another way elsewhere."""


def rounded(value: Any) -> Any:
    """To millionths, so that another machine's last digit makes no difference."""
    if isinstance(value, tuple):
        return tuple(rounded(one) for one in value)
    return round(value, 6) if isinstance(value, float) else value


def test_other_scenes_or_questions_have_another_version() -> None:
    digest = hashlib.sha256()
    for _, task in sorted(TASKS.items()):
        for generator in get_args(GeneratorName):
            settings = GENERATORS[generator](EnvironmentConfig())
            scene = make_scene(task, settings, 0, "train", 1, generator)
            digest.update(repr(rounded(astuple(scene))).encode())
            digest.update(question_text(task, scene.wording, reasoning=True).encode())
    assert EXPECTED.get(GENERATOR_VERSION) == digest.hexdigest()[:16], (
        "scenes of an index have changed: raise GENERATOR_VERSION and note the new hash here"
    )


def test_other_pictures_have_another_version(renderer: TinyRenderer) -> None:
    scene = make_scene(TASKS["place"], EnvironmentConfig(), 0, "train", 1)
    image = make_prompt(TASKS["place"], scene, renderer, 28, reasoning=False).images[0]
    digest = hashlib.sha256(image.tobytes()).hexdigest()[:16]
    assert EXPECTED_PICTURE.get(GENERATOR_VERSION) == digest, (
        "pictures of an index have changed: raise GENERATOR_VERSION and note the new hash here"
    )
