"""Accuracy of classifiers on features of `stability` scenes that are not physics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physrl.config.environment import EnvironmentConfig
from physrl.environments.projection import corners, project
from physrl.tasks import TASKS
from physrl.tasks.task import make_scene
from physrl.types import SceneSpec

PAIRS = 1600
PAIRS_PER_JOB = 200
TRAINED_ON = 800
"""Number of training pairs; the others are test pairs. A pair is never split."""
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "boosted trees": lambda: HistGradientBoostingClassifier(max_iter=100, random_state=0),
    "network": lambda: make_pipeline(
        StandardScaler(), MLPClassifier((32, 32), early_stopping=True, random_state=0)
    ),
}


@dataclass(frozen=True)
class Job:
    settings: EnvironmentConfig
    first_pair: int


@dataclass(frozen=True)
class Fit:
    classifier: str
    features: np.ndarray
    falls: np.ndarray


def features(scene: SceneSpec) -> list[float]:
    """Compute lean, largest, mean and top offset, width in the image and number of blocks."""
    centers = np.array([(block.x, block.z) for block in scene.blocks])
    offsets = np.diff(centers, axis=0)
    lengths = np.linalg.norm(offsets, axis=1)
    columns, _ = project(scene.camera, corners(scene.blocks))
    return [
        float(np.linalg.norm(centers[-1] - centers[0])),
        float(lengths.max()),
        float(lengths.mean()),
        float(lengths[-1]),
        float(np.ptp(columns)),
        float(len(scene.blocks)),
    ]


def draw(job: Job) -> list[np.ndarray]:
    """Compute features and labels of the scenes of some pairs."""
    indices = range(2 * job.first_pair, 2 * (job.first_pair + PAIRS_PER_JOB))
    task = TASKS["stability"]
    scenes = [make_scene(task, job.settings, 0, "train", index) for index in indices]
    return [
        np.array([features(scene) for scene in scenes]),
        np.array([scene.margin < 0 for scene in scenes]),
    ]


def accuracy(fit: Fit) -> float:
    """Compute the accuracy on the test pairs, in percent."""
    border = 2 * TRAINED_ON
    model = CLASSIFIERS[fit.classifier]().fit(fit.features[:border], fit.falls[:border])
    return 100 * float((model.predict(fit.features[border:]) == fit.falls[border:]).mean())


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    kinds = [EnvironmentConfig(num_blocks=(n, n)) for n in range(3, 7)]
    kinds += [EnvironmentConfig(), EnvironmentConfig(twins=False)]
    jobs = [Job(kind, first) for kind in kinds for first in range(0, PAIRS, PAIRS_PER_JOB)]
    samples, fits = run("towers", draw, jobs), []
    jobs_per_kind = PAIRS // PAIRS_PER_JOB
    for first in range(0, len(jobs), jobs_per_kind):
        parts = zip(*samples[first : first + jobs_per_kind], strict=True)
        data = [np.concatenate(part) for part in parts]
        fits += [Fit(classifier, *data) for classifier in CLASSIFIERS]
    scores = np.reshape(run("shortcuts", accuracy, fits), (len(kinds), len(CLASSIFIERS)))
    table = Table(
        "blocks",
        *CLASSIFIERS,
        title="accuracy % from lean, largest, mean and top offset, width in image, block count",
        caption=f"trained on {TRAINED_ON} pairs, tested on {PAIRS - TRAINED_ON}; chance is 50",
    )
    for kind, row in zip(kinds, scores, strict=True):
        low, high = kind.num_blocks
        name = str(low) if low == high else f"{low} to {high}"
        name += "" if kind.twins else ", twins=false"
        table.add_row(name, *(f"{score:.1f}" for score in row))
    deviations = np.abs(scores[[kind.twins for kind in kinds]] - 50)
    return table, {"shortcut_max_deviation_points": round(float(deviations.max()), 2)}
