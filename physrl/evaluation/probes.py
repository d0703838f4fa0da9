"""Linear probes of a model's activations, layer by layer, and what these states cause."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from physrl.config.study import Target
from physrl.environments.renderer import Renderer
from physrl.evaluation.pair_ridge import fit_pair_ridge
from physrl.evaluation.probe_results import CauseScore, ProbeResult, ProbeScore, Source
from physrl.evaluation.probe_targets import Floats, centered, probe_score, target_values
from physrl.evaluation.specs import ProbeSpec
from physrl.scene_source import SceneSource, prepare
from physrl.types import Image, Prompt, SceneSpec

PIXELS = 28
"""Width and height to which images are resized for the pixel control."""


def probe_model(spec: ProbeSpec, model: Any, processor: Any, renderer: Renderer) -> ProbeResult:
    """Collect a model's activations on the scenes of a probe, and probe every layer.

    Raises:
        SceneError: no scene satisfies the settings.
    """
    from physrl.data.collate import Collator  # imports torch: slow
    from physrl.models.activations import collect_activations, untrained_like

    source = SceneSource(spec.task, spec.environment, spec.seed, "test", spec.reasoning)
    scenes, prompts = prepare(source, range(spec.scenes), renderer)
    collator = Collator(processor)
    features: dict[Source, Mapping[str, Floats]] = {
        "model": collect_activations(model, collator, prompts),
        "untrained": collect_activations(untrained_like(model), collator, prompts),
        "pixels": {"pixels": np.stack([_pixels(prompt.images[-1]) for prompt in prompts])},
    }
    targets = target_values(scenes, spec.targets)
    scores = [
        score
        for origin, layers in features.items()
        for score in fit_probes(layers, targets, origin, spec.folds, spec.seed)
    ]
    return ProbeResult(spec.key, tuple(scores), _causes(spec, scenes, prompts, model, collator))


def _causes(
    spec: ProbeSpec,
    scenes: Sequence[SceneSpec],
    prompts: Sequence[Prompt],
    model: Any,
    collator: Any,
) -> tuple[CauseScore, ...]:
    """Intervene on the first pairs of twins, if any; directions are fitted to the others."""
    if not spec.interventions:
        return ()
    from physrl.evaluation.causes import find_causes, find_twins  # imports torch: slow

    twins = find_twins(scenes, prompts, collator)
    return find_causes(twins, spec.interventions // 2, model, collator, spec.seed)


def fit_probes(
    layers: Mapping[str, Floats],
    targets: Mapping[Target, Floats],
    source: Source,
    folds: int,
    seed: int,
) -> list[ProbeScore]:
    """Cross-validate ridge regressions from each layer to each target.

    The model's activations are also probed for shuffled targets. Scenes 2k and 2k + 1 are a pair of
    twins, which is in the training part or in the test part as a whole.

    Args:
        layers: features, scenes x features, by layer in order of depth.
        targets: one value a scene; `stability` is 1 or 0, and is predicted by the sign of a
            regression to 1 and -1.
    """
    from sklearn.model_selection import GroupKFold
    from sklearn.preprocessing import StandardScaler

    names = list(targets)
    if not names:
        return []
    columns = np.stack([centered(name, targets[name]) for name in names], axis=1)
    sources: list[Source] = [source, "shuffled"] if source == "model" else [source]
    variants = [columns, columns[_shuffled_pairs(len(columns), seed)]][: len(sources)]
    truth = np.concatenate(variants, axis=1)
    splits = list(GroupKFold(folds).split(truth, groups=np.arange(len(truth)) // 2))
    scores = []
    for depth, (layer, features) in enumerate(layers.items()):
        fold_scores = []
        for train, test in splits:
            scaler = StandardScaler().fit(features[train])
            ridge = fit_pair_ridge(scaler.transform(features[train]), truth[train])
            predicted = ridge.predict(scaler.transform(features[test]))
            fold_scores.append(
                [
                    probe_score(names[column % len(names)], truth[test, column], values)
                    for column, values in enumerate(predicted.T)
                ]
            )
        by_column = np.array(fold_scores).T.tolist()
        labels = [(origin, name) for origin in sources for name in names]
        scores += [
            ProbeScore(name, origin, layer, depth, tuple(values))
            for (origin, name), values in zip(labels, by_column, strict=True)
        ]
    return scores


def _shuffled_pairs(scenes: int, seed: int) -> NDArray[np.int64]:
    """Permute pairs of scenes; the two scenes of a pair stay together."""
    pairs = np.random.default_rng(seed).permutation(scenes // 2)
    return np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()


def _pixels(image: Image) -> Floats:
    small = PillowImage.fromarray(image).resize((PIXELS, PIXELS), PillowImage.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255
