"""Accuracy of a linear probe on the pixels of small `stability` images."""

from collections.abc import Callable
from typing import Any

import numpy as np
from rich.table import Table
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import make_renderer
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene

SIZE = 32
SCENES, TRAINED_ON, SCENES_PER_JOB = 6000, 3600, 300
SETTINGS = EnvironmentConfig(image_size=SIZE)


def draw(indices: range) -> tuple[np.ndarray, np.ndarray]:
    """Render images as rows of numbers; return them with their labels."""
    task, renderer = TASKS["stability"], make_renderer(SETTINGS)
    images, falls = [], []
    for index in indices:
        scene = make_scene(task, SETTINGS, 0, "train", index)
        image = make_prompt(task, scene, renderer, SIZE, reasoning=False).images[0]
        images.append(image.ravel() / np.float32(255))
        falls.append(scene.margin < 0)
    renderer.close()
    return np.array(images), np.array(falls)


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    jobs = [range(first, first + SCENES_PER_JOB) for first in range(0, SCENES, SCENES_PER_JOB)]
    images, falls = (np.concatenate(part) for part in zip(*run("images", draw, jobs), strict=True))
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=(1e2, 1e3, 1e4, 1e5)))
    model.fit(images[:TRAINED_ON], falls[:TRAINED_ON])
    accuracy = {
        "training": (model.predict(images[:TRAINED_ON]) == falls[:TRAINED_ON]).mean(),
        "held out": (model.predict(images[TRAINED_ON:]) == falls[TRAINED_ON:]).mean(),
    }
    table = Table("scenes", "accuracy %", title=f"Linear probe on {SIZE} x {SIZE} pixels")
    for name, fraction in accuracy.items():
        table.add_row(name, f"{100 * fraction:.1f}")
    return table, {"pixel_probe_percent": round(100 * float(accuracy["held out"]), 2)}
