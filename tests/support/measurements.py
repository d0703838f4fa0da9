"""Made-up measurements of a run's policies."""

from collections.abc import Sequence
from typing import Any

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.evaluation.cell_plan import make_cell
from physrl.evaluation.measurements import Measurement
from physrl.evaluation.results import Answer, CellResult
from physrl.evaluation.specs import CellSettings, Condition, Subject
from physrl.storage.provenance import SCENE_GENERATOR, scene_generator_hash
from tests.support.answers import make_answer

PLACE = Condition("place")


def make_measurement(
    policy: str = "base",
    answers: Sequence[Answer] = (make_answer(),),
    condition: Condition = PLACE,
    *,
    key: str | None = None,
    generator: str | None = None,
    environment: EnvironmentConfig | None = None,
    **settings: Any,
) -> Measurement:
    """Make a measurement.

    Args:
        key: content of the policy; by default its name.
        generator: hash of the scene generator; by default the present one's.
        settings: others than the defaults below.
    """
    chosen = {
        "scenes": len(answers),
        "seed": 0,
        "environment": environment or EnvironmentConfig(),
        "reward": SimulatedRewardConfig(),
        "reasoning": False,
        "temperature": 1.0,
        "min_p": 0.0,
        "max_completion_tokens": 24,
    } | settings
    subject = Subject("base", key or policy, policy)
    cell = make_cell(subject, condition, CellSettings(**chosen))
    versions = {SCENE_GENERATOR: generator or scene_generator_hash(), "physrl": "1"}
    return Measurement(cell, CellResult(condition, tuple(answers)), versions)
