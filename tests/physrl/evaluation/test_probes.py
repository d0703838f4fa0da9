import numpy as np

from physrl.config.model import ModelConfig
from physrl.config.study import load_study_config
from physrl.environments.renderer import TinyRenderer
from physrl.evaluation.plan import plan_study
from physrl.evaluation.probe_results import ProbeScore
from physrl.evaluation.probes import fit_probes, probe_model
from physrl.models.loading import load_model
from physrl.models.processor import load_processor


def mean_scores(
    scores: list[ProbeScore] | tuple[ProbeScore, ...],
) -> dict[tuple[str, str, str], float]:
    return {(s.source, s.layer, s.target): float(np.mean(s.scores)) for s in scores}


def test_linear_probes_decode_only_encoded_targets() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=120)
    layers = {
        "vision.0": rng.normal(size=(120, 5)),
        "merger": np.stack([margin, rng.normal(size=120)], axis=1),
    }
    targets = {"margin": margin, "stability": (margin > 0).astype(float)}
    found = mean_scores(fit_probes(layers, targets, "model", 4, 0))  # type: ignore[arg-type]
    assert found["model", "merger", "margin"] > 0.99
    assert found["model", "merger", "stability"] > 0.8
    assert found["model", "vision.0", "margin"] < 0.1
    assert found["shuffled", "merger", "margin"] < 0.1
    assert 0.3 < found["shuffled", "merger", "stability"] < 0.7


def test_pairs_are_not_split_between_training_and_test() -> None:
    # Twins share features and labels, which differ from those of all other pairs.
    rng = np.random.default_rng(1)
    features = np.repeat(rng.normal(size=(60, 200)), 2, axis=0)
    labels = np.repeat(rng.normal(size=60), 2)
    scores = fit_probes({"merger": features}, {"margin": labels}, "untrained", 5, 0)
    # If pairs were split, the twin in training would reveal the other's label.
    assert mean_scores(scores)["untrained", "merger", "margin"] < 0.2


def test_the_tiny_base_encodes_the_number_of_blocks(renderer: TinyRenderer) -> None:
    overrides = ["grid.tasks=[place]", "grid.methods={grpo: {}}", "probes.scenes=80"]
    overrides += ["probes.interventions=0"]
    plan = plan_study(load_study_config(None, [*overrides, "probes.targets=[blocks, stability]"]))
    spec = next(
        spec for spec in plan.probes if (spec.subject.kind, spec.task) == ("base", "stability")
    )
    config = ModelConfig()
    result = probe_model(spec, load_model(config), load_processor(config.path), renderer)
    assert result.key == spec.key
    found = mean_scores(result.scores)
    # Its pretraining has counting questions, but none about falling.
    assert found["model", "language.2", "blocks"] > 0.8
    assert found["model", "language.2", "blocks"] > found["untrained", "language.2", "blocks"]
    assert found["model", "language.2", "stability"] < 0.75
    assert found["shuffled", "language.2", "blocks"] < 0.3
    assert {layer for source, layer, _ in found if source == "pixels"} == {"pixels"}
