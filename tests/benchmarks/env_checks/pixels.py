"""Whether a linear look at small pictures tells which tower of `stability` falls."""

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
SCENES, TRAINED_ON, SCENES_A_JOB = 6000, 3600, 300
SETTINGS = EnvironmentConfig(image_size=SIZE)


def draw(indices: range) -> tuple[np.ndarray, np.ndarray]:
    """Pictures as rows of numbers, and labels."""
    task, renderer = TASKS["stability"], make_renderer(SETTINGS)
    pictures, falls = [], []
    for index in indices:
        scene = make_scene(task, SETTINGS, 0, "train", index)
        image = make_prompt(task, scene, renderer, SIZE, reasoning=False).images[0]
        pictures.append(image.ravel() / np.float32(255))
        falls.append(scene.margin < 0)
    renderer.close()
    return np.array(pictures), np.array(falls)


def check(run: Callable[..., list[Any]]) -> tuple[Table, dict[str, Any]]:
    jobs = [range(first, first + SCENES_A_JOB) for first in range(0, SCENES, SCENES_A_JOB)]
    pictures, falls = (
        np.concatenate(part) for part in zip(*run("pictures", draw, jobs), strict=True)
    )
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=(1e2, 1e3, 1e4, 1e5)))
    model.fit(pictures[:TRAINED_ON], falls[:TRAINED_ON])
    right = {
        "trained on": (model.predict(pictures[:TRAINED_ON]) == falls[:TRAINED_ON]).mean(),
        "held out": (model.predict(pictures[TRAINED_ON:]) == falls[TRAINED_ON:]).mean(),
    }
    table = Table("scenes", "% right", title=f"Linear probe on {SIZE} x {SIZE} pixels")
    for name, share in right.items():
        table.add_row(name, f"{100 * share:.1f}")
    return table, {"pixel_probe_percent": round(100 * float(right["held out"]), 2)}
