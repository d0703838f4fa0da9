"""Accuracy of readers of `stability` scenes that know no physics, for each number of blocks.

A reader is a classifier of features that do not say what carries what. One reader is shown the
margin of each level as well: it must find what is there to find.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import make_renderer
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene

from . import features

TRAINED_ON, TESTED_ON, SCENES_PER_JOB = 2500, 6000, 500
"""Numbers of scenes; all are even, so that twins stay together."""
IMAGE_SIZE = 96
BLOCKS = (3, 4, 5)
EPOCHS, BATCH = 20, 64

Scenes = dict[str, np.ndarray]
"""The rows of each kind of features, and the labels as `falls`."""
FEATURES: dict[str, Callable[..., features.Floats]] = {
    "unordered geometry": features.unordered,
    "places in order": features.ordered_places,
    "turns in order": features.ordered_turns,
    "outlines": features.outlines,
    "pixels": features.pixels,
    "physics": features.physics,
}


class ConvolutionalNetwork:
    """Three convolutions and two layers, on images of `features.PIXELS`; trained by AdamW."""

    def fit(self, rows: np.ndarray, falls: np.ndarray) -> "ConvolutionalNetwork":
        torch.manual_seed(0)
        layers: list[torch.nn.Module] = []
        for channels, more in ((3, 16), (16, 32), (32, 64)):
            layers += [torch.nn.Conv2d(channels, more, 3, 2, 1), torch.nn.ReLU()]
        flat = 64 * (features.PIXELS // 8) ** 2
        head = (torch.nn.Linear(flat, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
        self._network = torch.nn.Sequential(*layers, torch.nn.Flatten(), *head)
        self._mean = torch.tensor(rows).mean()
        optimizer = torch.optim.AdamW(self._network.parameters(), 1e-3, weight_decay=1e-2)
        images, labels = self._images(rows), torch.tensor(falls, dtype=torch.float32)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(images)).split(BATCH):
                logits = self._network(images[batch])[:, 0]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            falls: np.ndarray = (self._network(self._images(rows))[:, 0] > 0).numpy()
        return falls

    def _images(self, rows: np.ndarray) -> torch.Tensor:
        size = features.PIXELS
        return torch.tensor(rows).view(-1, size, size, 3).permute(0, 3, 1, 2) - self._mean


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "trees": lambda: HistGradientBoostingClassifier(max_iter=100, random_state=0),
    "network": lambda: make_pipeline(
        StandardScaler(), MLPClassifier((32, 32), early_stopping=True, random_state=0)
    ),
    "convolutions": ConvolutionalNetwork,
}
READERS = [
    *((name, classifier) for name in FEATURES for classifier in ("trees", "network")),
    ("pixels", "convolutions"),
]


@dataclass(frozen=True)
class Job:
    num_blocks: int
    indices: range


@dataclass(frozen=True)
class Fit:
    classifier: str
    rows: np.ndarray
    falls: np.ndarray


def draw(job: Job) -> Scenes:
    """Draw scenes and compute their features, all from the same images."""
    bounds = (job.num_blocks, job.num_blocks)
    settings = EnvironmentConfig(num_blocks=bounds, image_size=IMAGE_SIZE)
    task, renderer = TASKS["stability"], make_renderer(settings)
    rows: dict[str, list[Any]] = {name: [] for name in (*FEATURES, "falls")}
    for index in job.indices:
        scene = make_scene(task, settings, 0, "train", index)
        image = make_prompt(task, scene, renderer, IMAGE_SIZE, reasoning=False).images[0]
        for name, compute in FEATURES.items():
            rows[name].append(compute(scene, image))
        rows["falls"].append(scene.margin < 0)
    renderer.close()
    return {name: np.array(values) for name, values in rows.items()}


def accuracy(fit: Fit) -> float:
    """Train on the first scenes and compute the accuracy on the others, in percent."""
    model = CLASSIFIERS[fit.classifier]().fit(fit.rows[:TRAINED_ON], fit.falls[:TRAINED_ON])
    return 100 * float((model.predict(fit.rows[TRAINED_ON:]) == fit.falls[TRAINED_ON:]).mean())


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    indices = range(TRAINED_ON + TESTED_ON)
    parts = [indices[first : first + SCENES_PER_JOB] for first in indices[::SCENES_PER_JOB]]
    columns = []
    for blocks in BLOCKS:
        drawn = run(f"{blocks} blocks", draw, [Job(blocks, part) for part in parts])
        scenes = {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}
        fits = [Fit(classifier, scenes[name], scenes["falls"]) for name, classifier in READERS]
        columns.append(run(f"readers, {blocks} blocks", accuracy, fits))
    table = Table(
        "features",
        "classifier",
        *(f"{blocks} blocks" for blocks in BLOCKS),
        title="accuracy % of readers of stability, for each number of blocks",
        caption=f"trained on {TRAINED_ON} scenes, tested on {TESTED_ON}; a guesser has 50, with a "
        f"standard deviation of {50 / TESTED_ON**0.5:.2f}",
    )
    for (name, classifier), *scores in zip(READERS, *columns, strict=True):
        table.add_row(name, classifier, *(f"{score:.1f}" for score in scores))
    readers = [[name != "physics" for name, _ in READERS]] * len(BLOCKS)
    worst = max(np.array(columns)[np.array(readers)])
    return table, {"worst_reader_percent": round(float(worst), 2)}
