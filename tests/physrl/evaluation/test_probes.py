import numpy as np
import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.model import ModelConfig
from physrl.config.study import load_study_config
from physrl.environments.renderer import TinyRenderer
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probes import ProbeScore, probe, probe_model, target_values
from physrl.models.loading import load_model
from physrl.models.processor import load_processor
from physrl.scene_source import SceneSource, draw_scene
from physrl.types import Offset


def mean_scores(
    scores: list[ProbeScore] | tuple[ProbeScore, ...],
) -> dict[tuple[str, str, str], float]:
    return {(s.source, s.layer, s.target): float(np.mean(s.scores)) for s in scores}


def test_a_line_reads_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=120)
    layers = {
        "vision.0": rng.normal(size=(120, 5)),
        "merger": np.stack([margin, rng.normal(size=120)], axis=1),
    }
    targets = {"margin": margin, "stability": (margin > 0).astype(float)}
    found = mean_scores(probe(layers, targets, "model", 4, 0))  # type: ignore[arg-type]
    assert found["model", "merger", "margin"] > 0.99
    assert found["model", "merger", "stability"] > 0.8
    assert found["model", "vision.0", "margin"] < 0.1
    assert found["shuffled", "merger", "margin"] < 0.1
    assert 0.3 < found["shuffled", "merger", "stability"] < 0.7


def test_pairs_are_not_torn_apart() -> None:
    # Twins have the same features and other labels; each pair's own are unlike all others'.
    rng = np.random.default_rng(1)
    features = np.repeat(rng.normal(size=(60, 200)), 2, axis=0)
    labels = np.repeat(rng.normal(size=60), 2)
    scores = probe({"merger": features}, {"margin": labels}, "untrained", 5, 0)
    # Of a pair torn apart the one in training would tell the other's value.
    assert mean_scores(scores)["untrained", "merger", "margin"] < 0.2


def test_targets_are_those_of_the_scene() -> None:
    source = SceneSource("place", EnvironmentConfig(), 0, "test", reasoning=False)
    scenes = [draw_scene(source, index) for index in range(4)]
    names = ("margin", "stability", "offset_x", "offset_y", "height", "blocks")
    found = target_values(scenes, names)
    assert "stability" not in found  # every tower stands
    assert found["blocks"].tolist() == [len(scene.blocks) for scene in scenes]
    assert found["height"] == pytest.approx([len(scene.tower) for scene in scenes])
    from physrl.tasks import TASKS

    ideal = TASKS["place"].ideal(scenes[0])
    assert isinstance(ideal, Offset)
    assert (found["offset_x"][0], found["offset_y"][0]) == (ideal.x, ideal.y)
    assert found["margin"][0] == scenes[0].margin


def test_the_tiny_base_sees_how_many_blocks_there_are(renderer: TinyRenderer) -> None:
    overrides = ["grid.tasks=[place]", "grid.methods={grpo: {}}", "probes.scenes=80"]
    plan = plan_study(load_study_config(None, [*overrides, "probes.targets=[blocks, stability]"]))
    spec = next(
        spec for spec in plan.probes if (spec.subject.kind, spec.task) == ("base", "stability")
    )
    config = ModelConfig()
    result = probe_model(spec, load_model(config), load_processor(config.path), renderer)
    assert result.key == spec.key
    found = mean_scores(result.scores)
    # It was trained to count, and never shown what falls.
    assert found["model", "language.2", "blocks"] > 0.8
    assert found["model", "language.2", "blocks"] > found["untrained", "language.2", "blocks"]
    assert found["model", "language.2", "stability"] < 0.75
    assert found["shuffled", "language.2", "blocks"] < 0.3
    assert {layer for source, layer, _ in found if source == "pixels"} == {"pixels"}
