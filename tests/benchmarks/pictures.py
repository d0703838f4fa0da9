"""Compare renders with photographs of towers: sheets, distributions, milliseconds.

    python tests/benchmarks/pictures.py --photographs FOLDER --out docs/images

The folder holds square pictures and `labels.csv` with the columns `file` and
`colors_top_to_bottom`. For every photograph, towers of the same colours are rendered at level
`photo`. The last line is one JSON object.
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
"""Cloth stays far below this saturation, paint above."""
HUES = {"red": (-25, 20), "yellow": (35, 80), "green": (80, 190), "blue": (190, 280)}
"""Degrees."""
BOX = ("left", "right", "top", "bottom", "width", "height", "area")


@dataclass(frozen=True)
class Measured:
    """What one picture shows."""

    blocks: int
    box: dict[str, float]
    """The tower's bounding box and area, as shares of the picture."""
    colors: dict[str, NDArray[np.float64]]
    """Median RGB of the pixels of each hue."""
    cloth: dict[str, float]


def measure(image: Image, blocks: int) -> Measured:
    """Segment the tower by saturation: the largest saturated piece of the picture."""
    hsv = rgb_to_hsv(image / 255.0)
    painted = ndimage.binary_opening(hsv[..., 1] > SATURATED)
    pieces, count = ndimage.label(painted)
    sizes = ndimage.sum(painted, pieces, range(1, count + 1))
    tower = pieces == 1 + int(np.argmax(sizes))
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
    return Measured(blocks, {key: float(value) for key, value in box.items()}, colors, cloth)


def tower(colors: list[str], rng: np.random.Generator) -> tuple[Block, ...]:
    """A stack as in the photographs: any common turn, small turns and offsets a block."""
    turn = rng.uniform(-np.pi / 4, np.pi / 4)
    steps = np.clip(rng.normal(0, 0.17, (len(colors) - 1, 2)), -0.4, 0.4)
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return tuple(
        Block(float(x), 0.5 + level, float(z), float(turn + rng.uniform(-0.25, 0.25)), color)
        for level, ((x, z), color) in enumerate(zip(places, reversed(colors), strict=True))
    )


def draw(renderer: Renderer, level: Level, blocks: tuple[Block, ...], seed: int) -> Image:
    """The blocks as a view of that level shows them."""
    camera, appearance = sample_view(np.random.default_rng(seed), level, blocks)
    poses = [start_pose(block) for block in blocks]
    return renderer.render(poses, camera, appearance, SIZE)


def milliseconds(draw_one: Callable[[int], Image], count: int) -> float:
    """Median over pictures of the least CPU time of three."""
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
    """Pictures in rows, as JPEG."""
    joined = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    Pillow.fromarray(joined).save(path, quality=80, optimize=True)


def figure_boxes(photos: list[Measured], renders: list[Measured], path: Path) -> None:
    """Distributions of bounding boxes and areas."""
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
    for axis, key in zip(axes.flat, BOX, strict=False):
        for found, color, label in (
            (photos, "tab:orange", "photographs"),
            (renders, "tab:blue", "renders"),
        ):
            values = np.sort([one.box[key] for one in found])
            axis.plot(values, np.linspace(0, 1, len(values)), color=color, label=label)
        axis.set_title(f"{key} (share of the picture)", fontsize=9)
        axis.tick_params(labelsize=8)
    axes.flat[0].legend(fontsize=8)
    last = axes.flat[7]
    for found, color in ((photos, "tab:orange"), (renders, "tab:blue")):
        values = np.sort([one.box["area"] / one.blocks for one in found])
        last.plot(values, np.linspace(0, 1, len(values)), color=color)
    last.set_title("area a block", fontsize=9)
    last.tick_params(labelsize=8)
    figure.suptitle("Cumulative distributions", fontsize=10)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def figure_colors(photos: list[Measured], renders: list[Measured], path: Path) -> None:
    """Median colours of blocks, and brightness and contrast of the cloth."""
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
    pairs = (("red", "green", 0, 1), ("green", "blue", 1, 2))
    for axis, (first, second, a, b) in zip(axes, pairs, strict=False):
        for found, marker in ((photos, "x"), (renders, ".")):
            for name in HUES:
                points = np.array([one.colors[name] for one in found if name in one.colors])
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
        for found, color in ((photos, "tab:orange"), (renders, "tab:blue")):
            axis.scatter(
                [one.cloth[x] for one in found], [one.cloth[y] for one in found], s=8, color=color
            )
        axis.set_xlabel(x, fontsize=8)
        axis.set_ylabel(y, fontsize=8)
        axis.set_title("orange photographs, blue renders", fontsize=8)
    for axis in axes:
        axis.tick_params(labelsize=7)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def table(photos: list[Measured], renders: list[Measured]) -> str:
    """Percentiles 10, 50, 90 of both as Markdown."""

    def row(name: str, values: list[list[float]], digits: int) -> str:
        cells = [
            " / ".join(f"{value:.{digits}f}" for value in np.percentile(column, [10, 50, 90]))
            for column in values
        ]
        return f"| {name} | {cells[0]} | {cells[1]} |"

    lines = ["| 10 / 50 / 90 % | photographs | renders |", "| --- | --- | --- |"]
    both = (photos, renders)
    lines += [row(key, [[one.box[key] for one in found] for found in both], 3) for key in BOX]
    for name in HUES:
        for c, channel in enumerate("RGB"):
            columns = [
                [float(one.colors[name][c]) for one in found if name in one.colors]
                for found in both
            ]
            lines.append(row(f"{name}, {channel}", columns, 0))
    for key in photos[0].cloth:
        digits = 3 if "contrast" in key else 0
        lines.append(row(key, [[one.cloth[key] for one in found] for found in both], digits))
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
