"""Compare renders with photographs of towers: sheets, distributions, milliseconds.

    python tests/benchmarks/images.py --photographs FOLDER --out docs/images

The folder contains square images and `labels.csv` with the columns `file` and
`colors_top_to_bottom`. For every photograph, towers with the same colors are rendered at level
`photo`. The last line of the output is a JSON object.
"""

import argparse
import csv
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import rgb_to_hsv
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

from physrl.environments.appearance import Level, sample_view
from physrl.environments.photo_renderer import PhotoRenderer
from physrl.environments.renderer import Renderer, TinyRenderer
from physrl.environments.simulator import start_pose
from physrl.types import Block, Image

SIZE = 224
PER_PHOTOGRAPH = 4
SATURATED = 0.45
"""Threshold of saturation: cloth is far below, paint above."""
HUES = {"red": (-25, 20), "yellow": (35, 80), "green": (80, 190), "blue": (190, 280)}
"""Hue interval of each color, in degrees."""
BOX = ("left", "right", "top", "bottom", "width", "height", "area")


@dataclass(frozen=True)
class Measurement:
    """Measurements of an image."""

    blocks: int
    box: dict[str, float]
    """Bounding box and area of the tower, as fractions of the image."""
    colors: dict[str, NDArray[np.float64]]
    """Median RGB of the pixels of each hue."""
    cloth: dict[str, float]


def measure(image: Image, blocks: int) -> Measurement:
    """Segment the tower as the largest saturated region of the image, and measure it."""
    hsv = rgb_to_hsv(image / 255.0)
    painted = ndimage.binary_opening(hsv[..., 1] > SATURATED)
    regions, count = ndimage.label(painted)
    sizes = ndimage.sum(painted, regions, range(1, count + 1))
    tower = regions == 1 + int(np.argmax(sizes))
    rows, columns = np.nonzero(tower)
    height, width = tower.shape
    box = {
        "left": columns.min() / width,
        "right": (columns.max() + 1) / width,
        "top": rows.min() / height,
        "bottom": (rows.max() + 1) / height,
        "width": np.ptp(columns) / width,
        "height": np.ptp(rows) / height,
        "area": tower.mean(),
    }
    degrees = (hsv[..., 0] * 360 + 60) % 360 - 60
    colors = {}
    for name, (low, high) in HUES.items():
        part = tower & (degrees >= low) & (degrees < high)
        if part.sum() > 200:
            colors[name] = np.median(image[part], axis=0)
    bare = ~ndimage.binary_dilation(painted, iterations=5)
    bright = image.mean(axis=2)
    near, far = bright[-height // 10 :], bright[: height // 4]
    cloth = {
        "ground": float(np.median(near[bare[-height // 10 :]])),
        "wall": float(np.median(far[bare[: height // 4]])),
        "wall_contrast": float(far[bare[: height // 4]].std() / far[bare[: height // 4]].mean()),
        "ground_contrast": float(
            near[bare[-height // 10 :]].std() / near[bare[-height // 10 :]].mean()
        ),
    }
    return Measurement(blocks, {key: float(value) for key, value in box.items()}, colors, cloth)


def tower(colors: list[str], rng: np.random.Generator) -> tuple[Block, ...]:
    """Sample a stack like those of the photographs: any common yaw, small yaws and offsets."""
    yaw = rng.uniform(-np.pi / 4, np.pi / 4)
    steps = np.clip(rng.normal(0, 0.17, (len(colors) - 1, 2)), -0.4, 0.4)
    positions = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return tuple(
        Block(float(x), 0.5 + level, float(z), float(yaw + rng.uniform(-0.25, 0.25)), color)
        for level, ((x, z), color) in enumerate(zip(positions, reversed(colors), strict=True))
    )


def draw(renderer: Renderer, level: Level, blocks: tuple[Block, ...], seed: int) -> Image:
    """Render blocks with a sampled view of a level."""
    camera, appearance = sample_view(np.random.default_rng(seed), level, blocks)
    poses = [start_pose(block) for block in blocks]
    return renderer.render(poses, camera, appearance, SIZE)


def milliseconds(draw_one: Callable[[int], Image], count: int) -> float:
    """Compute the median over images of the minimum CPU time of three runs."""
    draw_one(0)
    times = []
    for seed in range(count):
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            draw_one(seed)
            best = min(best, time.process_time() - start)
        times.append(best)
    return 1000 * float(np.median(times))


def sheet(rows: list[list[Image]], path: Path) -> None:
    """Save rows of images as a JPEG."""
    joined = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    Pillow.fromarray(joined).save(path, quality=80, optimize=True)


def figure_boxes(photos: list[Measurement], renders: list[Measurement], path: Path) -> None:
    """Plot the distributions of bounding boxes and areas."""
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
    for axis, key in zip(axes.flat, BOX, strict=False):
        for measurements, color, label in (
            (photos, "tab:orange", "photographs"),
            (renders, "tab:blue", "renders"),
        ):
            values = np.sort([measured.box[key] for measured in measurements])
            axis.plot(values, np.linspace(0, 1, len(values)), color=color, label=label)
        axis.set_title(f"{key} (fraction of the image)", fontsize=9)
        axis.tick_params(labelsize=8)
    axes.flat[0].legend(fontsize=8)
    last = axes.flat[7]
    for measurements, color in ((photos, "tab:orange"), (renders, "tab:blue")):
        values = np.sort([measured.box["area"] / measured.blocks for measured in measurements])
        last.plot(values, np.linspace(0, 1, len(values)), color=color)
    last.set_title("area per block", fontsize=9)
    last.tick_params(labelsize=8)
    figure.suptitle("Cumulative distributions", fontsize=10)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def figure_colors(photos: list[Measurement], renders: list[Measurement], path: Path) -> None:
    """Plot the median colors of blocks, and the brightness and contrast of the cloth."""
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
    pairs = (("red", "green", 0, 1), ("green", "blue", 1, 2))
    for axis, (first, second, a, b) in zip(axes, pairs, strict=False):
        for measurements, marker in ((photos, "x"), (renders, ".")):
            for name in HUES:
                points = np.array(
                    [measured.colors[name] for measured in measurements if name in measured.colors]
                )
                axis.scatter(
                    points[:, a],
                    points[:, b],
                    s=14,
                    marker=marker,
                    color=name,
                    alpha=0.5,
                    linewidths=0.8,
                )
        axis.set_xlabel(first, fontsize=8)
        axis.set_ylabel(second, fontsize=8)
        axis.set_title("medians: x photographs, dots renders", fontsize=8)
    for axis, (x, y) in zip(
        axes[2:], (("ground", "wall"), ("ground_contrast", "wall_contrast")), strict=True
    ):
        for measurements, color in ((photos, "tab:orange"), (renders, "tab:blue")):
            axis.scatter(
                [measured.cloth[x] for measured in measurements],
                [measured.cloth[y] for measured in measurements],
                s=8,
                color=color,
            )
        axis.set_xlabel(x, fontsize=8)
        axis.set_ylabel(y, fontsize=8)
        axis.set_title("orange photographs, blue renders", fontsize=8)
    for axis in axes:
        axis.tick_params(labelsize=7)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def table(photos: list[Measurement], renders: list[Measurement]) -> str:
    """Format the percentiles 10, 50 and 90 of both as a Markdown table."""

    def row(name: str, values: list[list[float]], digits: int) -> str:
        cells = [
            " / ".join(f"{value:.{digits}f}" for value in np.percentile(column, [10, 50, 90]))
            for column in values
        ]
        return f"| {name} | {cells[0]} | {cells[1]} |"

    lines = ["| 10 / 50 / 90 % | photographs | renders |", "| --- | --- | --- |"]
    both = (photos, renders)
    lines += [
        row(key, [[measured.box[key] for measured in measurements] for measurements in both], 3)
        for key in BOX
    ]
    for name in HUES:
        for c, channel in enumerate("RGB"):
            columns = [
                [
                    float(measured.colors[name][c])
                    for measured in measurements
                    if name in measured.colors
                ]
                for measurements in both
            ]
            lines.append(row(f"{name}, {channel}", columns, 0))
    for key in photos[0].cloth:
        digits = 3 if "contrast" in key else 0
        lines.append(
            row(
                key,
                [[measured.cloth[key] for measured in measurements] for measurements in both],
                digits,
            )
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    settings = parser.parse_args()
    settings.out.mkdir(parents=True, exist_ok=True)
    with (settings.photographs / "labels.csv").open() as file:
        labels = [
            (row["file"], row["colors_top_to_bottom"].split(", ")) for row in csv.DictReader(file)
        ]
    images = [
        np.asarray(Pillow.open(settings.photographs / name).convert("RGB")) for name, _ in labels
    ]
    photo, tiny = PhotoRenderer(), TinyRenderer()
    towers = [
        tower(colors, np.random.default_rng([7, number, copy]))
        for number, (_, colors) in enumerate(labels)
        for copy in range(PER_PHOTOGRAPH)
    ]
    drawn = [draw(photo, "photo", blocks, seed) for seed, blocks in enumerate(towers)]
    photos = [
        measure(image, len(colors)) for image, (_, colors) in zip(images, labels, strict=True)
    ]
    renders = [measure(image, len(blocks)) for image, blocks in zip(drawn, towers, strict=True)]

    chosen = np.linspace(0, len(images) - 1, 12).astype(int)
    pairs = [(images[k], drawn[PER_PHOTOGRAPH * k]) for k in chosen]
    sheet(
        [[image for pair in pairs[k : k + 3] for image in pair] for k in range(0, 12, 3)],
        settings.out / "photographs-and-renders.jpg",
    )
    levels: tuple[Level, ...] = ("none", "photo", "wild")
    sheet(
        [
            [draw(renderer, level, blocks, seed) for seed, blocks in enumerate(towers[:96:16])]
            for level in levels
            for renderer in (tiny, photo)
        ],
        settings.out / "levels.jpg",
    )
    figure_boxes(photos, renders, settings.out / "boxes.png")
    figure_colors(photos, renders, settings.out / "colors.png")
    print(table(photos, renders))
    fours = [blocks for blocks in towers if len(blocks) == 4]
    result = {
        f"{name}_ms_224": round(
            milliseconds(
                lambda seed, name=name, renderer=renderer: draw(
                    renderer, "photo" if name == "photo" else "none", fours[seed], seed
                ),
                30,
            ),
            1,
        )
        for name, renderer in (("tiny", tiny), ("photo", photo))
    }
    print(json.dumps({"photographs": len(photos), "renders": len(renders), **result}))


if __name__ == "__main__":
    main()
