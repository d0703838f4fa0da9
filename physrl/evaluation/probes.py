"""What can be read off a model's activations with a line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from physrl.config.study import Target
from physrl.environments.renderer import Renderer
from physrl.evaluation.specs import ProbeSpec
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.placing import height
from physrl.types import Image, Offset, SceneSpec

Source = Literal["model", "pixels", "untrained", "shuffled"]
"""The model's activations; as controls the picture itself, a network of the same shape with random
weights, and the model's activations against the targets of other pairs of scenes."""
PIXELS = 28
"""Width and height that pictures are brought to for the control."""
ALPHAS = np.logspace(-1, 5, 13)
"""Penalties that a ridge regression chooses from, by leaving one out of its training scenes."""
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """How well one line reads one target, cross-validated."""

    target: Target
    source: Source
    layer: str
    """`vision.0` ..., `merger`, `language.0` ...; `pixels` of the picture itself."""
    depth: int
    """The layer's place from the picture to the answer; 0 is the first."""
    scores: tuple[float, ...]
    """One a fold: the coefficient of determination, or for `stability` the balanced accuracy."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All probes of one model about one task's scenes."""

    key: str
    scores: tuple[ProbeScore, ...]


def probe_model(spec: ProbeSpec, model: Any, processor: Any, renderer: Renderer) -> ProbeResult:
    """Ask a model about the scenes of a probe, and read its targets off every layer.

    Raises:
        SceneError: the settings admit no such scene.
    """
    from physrl.data.collate import Collator  # torch takes its time
    from physrl.models.activations import collect_activations, untrained_like

    source = SceneSource(spec.task, spec.environment, spec.seed, "test", spec.reasoning)
    scenes, prompts = prepare(source, range(spec.scenes), renderer)
    collator = Collator(processor)
    layers: dict[Source, Mapping[str, Floats]] = {
        "model": collect_activations(model, collator, prompts),
        "untrained": collect_activations(untrained_like(model), collator, prompts),
        "pixels": {"pixels": np.stack([_pixels(prompt.images[-1]) for prompt in prompts])},
    }
    targets = target_values(scenes, spec.targets)
    scores = [
        score
        for origin, activations in layers.items()
        for score in probe(activations, targets, origin, spec.folds, spec.seed)
    ]
    return ProbeResult(spec.key, tuple(scores))


def target_values(scenes: Sequence[SceneSpec], targets: Sequence[Target]) -> dict[Target, Floats]:
    """The targets' values, one a scene; those that do not vary are left out."""
    values = {target: np.array([_value(scene, target) for scene in scenes]) for target in targets}
    return {target: column for target, column in values.items() if np.ptp(column) > 0}


def probe(
    layers: Mapping[str, Floats],
    targets: Mapping[Target, Floats],
    source: Source,
    folds: int,
    seed: int,
) -> list[ProbeScore]:
    """Ridge regressions from each layer to each target; the model's to shuffled targets as well.

    Scenes 2k and 2k + 1 are a pair, of which both are trained on or both are held out.

    Args:
        layers: scenes x features by layer, in order.
        targets: one value a scene; `stability` is 1 or 0, and read by the sign of a regression to
            1 and -1.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = list(targets)
    if not names:
        return []
    columns = np.stack([_centred(name, targets[name]) for name in names], axis=1)
    sources: list[Source] = [source, "shuffled"] if source == "model" else [source]
    wanted = [columns, columns[_shuffled_pairs(len(columns), seed)]][: len(sources)]
    together = np.concatenate(wanted, axis=1)
    splits = GroupKFold(folds).split(together, groups=np.arange(len(together)) // 2)
    rows = [(train, test) for train, test in splits]
    scores = []
    for depth, (layer, features) in enumerate(layers.items()):
        by_fold = []
        for train, test in rows:
            line = make_pipeline(StandardScaler(), RidgeCV(ALPHAS, alpha_per_target=True))
            line.fit(features[train], together[train])
            read = np.asarray(line.predict(features[test])).reshape(len(test), -1)
            by_fold.append(
                [
                    _score(names[place % len(names)], together[test, place], read[:, place])
                    for place in range(together.shape[1])
                ]
            )
        table = np.array(by_fold)
        scores += [
            ProbeScore(name, origin, layer, depth, tuple(table[:, place].tolist()))
            for place, (origin, name) in enumerate((o, n) for o in sources for n in names)
        ]
    return scores


def _value(scene: SceneSpec, target: Target) -> float:
    match target:
        case "margin":
            return scene.margin
        case "stability":
            return float(scene.margin >= 0)
        case "height":
            return height(scene.tower)
        case "blocks":
            return float(len(scene.blocks))
    ideal = TASKS[scene.task].ideal(scene)
    if not isinstance(ideal, Offset):
        return 0.0
    return ideal.x if target == "offset_x" else ideal.y


def _centred(target: Target, values: Floats) -> Floats:
    return 2 * values - 1 if target == "stability" else values


def _shuffled_pairs(scenes: int, seed: int) -> NDArray[np.int64]:
    """Another pair's place for each pair: what is within a pair stays."""
    pairs = np.random.default_rng(seed).permutation(scenes // 2)
    return np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()


def _score(target: Target, truth: Floats, read: Floats) -> float:
    if target == "stability":
        right = (read > 0) == (truth > 0)
        return float(np.mean([right[truth > 0].mean(), right[truth <= 0].mean()]))
    residual, total = ((truth - read) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    return float(1 - residual / total) if total > 0 else 0.0


def _pixels(image: Image) -> Floats:
    small = PillowImage.fromarray(image).resize((PIXELS, PIXELS), PillowImage.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255
