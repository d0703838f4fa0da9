"""Questions about visible image content, for pre-training the tiny base model.

They reveal nothing about physics or the tasks: scenes are arbitrary towers, stable or not, with
loose blocks next to them, and the questions ask only which blocks are visible and where.
"""

from dataclasses import dataclass

import numpy as np

from physrl.environments.appearance import sample_view
from physrl.environments.palette import COLORS
from physrl.environments.randomness import stream
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import start_pose
from physrl.tasks.answers import UNITS, answer_text
from physrl.tasks.task import FORMAT
from physrl.types import Block, Image

FAR = "How far is the {} block from the {} block? Answer x y."
WHERE = "Where is the {} block? Answer x y."
LEFT = "Is the {} block left of the {} block? Answer Yes or No."
COUNT = "How many blocks are there?"
TOP = "Which block is on top of the tower?"


@dataclass(frozen=True, slots=True)
class Description:
    """An image with questions and the completions that answer them."""

    image: Image
    questions: tuple[str, ...]
    answers: tuple[str, ...]


def describe(seed: int, index: int, renderer: Renderer, image_size: int) -> Description:
    """Render image `index` and generate all its questions."""
    rng = stream(f"{seed}/describe/train", index)
    blocks = _sample_blocks(rng)
    camera, appearance = sample_view(rng, "none", blocks)
    poses = [start_pose(block) for block in blocks]
    image = renderer.render(poses, camera, appearance, image_size)
    questions, answers = zip(*_question_answers(blocks), strict=True)
    return Description(image, tuple(question + FORMAT for question in questions), answers)


def vocabulary() -> list[str]:
    """List texts that contain every word of the questions and answers, for the tokenizer."""
    questions = [COUNT, TOP]
    questions += [WHERE.format(color) for color in COLORS]
    questions += [text.format(color, color) for text in (FAR, LEFT) for color in COLORS]
    return [question + FORMAT for question in questions] + [answer_text(c) for c in COLORS]


def _sample_blocks(rng: np.random.Generator) -> list[Block]:
    """Sample an arbitrary tower and, often, one more block on the ground or in the air."""
    height = int(rng.integers(1, 6))
    loose = bool(rng.random() < 0.7)
    colors = rng.permutation(list(COLORS))
    yaw, base = rng.uniform(-0.3, 0.3), rng.uniform(-0.8, 0.8)
    xs = base + np.concatenate([[0], np.cumsum(rng.uniform(-0.6, 0.6, height - 1))])
    depth = rng.uniform(-0.6, 0.6, height - 1) * (rng.random() < 0.3)
    zs = np.concatenate([[0], np.cumsum(depth)])
    sizes = rng.uniform(0.65, 1.35, height + 1) if rng.random() < 0.8 else np.ones(height + 1)
    tops = np.cumsum(sizes[:-1])
    blocks = [
        Block(float(x), float(top - size / 2), float(z), yaw + rng.uniform(-0.1, 0.1), color, size)
        for x, z, top, size, color in zip(
            xs, zs, tops, sizes[:-1].tolist(), colors[:height].tolist(), strict=True
        )
    ]
    if loose:
        size = float(sizes[-1])
        x = float(xs[-1] + rng.choice([-1, 1]) * rng.uniform(1.4, 3.8))
        lifted = rng.uniform(0, tops[-1]) if rng.random() < 0.5 else 0.0
        blocks.append(Block(x, float(lifted) + size / 2, 0.0, yaw, str(colors[height]), size))
    return blocks


def _question_answers(blocks: list[Block]) -> list[tuple[str, str]]:
    def point(x: float, y: float) -> str:
        return answer_text(f"{round(x * UNITS)} {round(y * UNITS)}")

    pairs = [
        (COUNT, answer_text(str(len(blocks)))),
        (TOP, answer_text(max(blocks, key=lambda block: block.y).color)),
    ]
    for block in blocks:
        pairs.append((WHERE.format(block.color), point(block.x, block.y)))
        for other in blocks:
            if other is not block:
                offset = point(block.x - other.x, block.y - other.y)
                pairs.append((FAR.format(block.color, other.color), offset))
                left = answer_text("Yes" if block.x < other.x else "No")
                pairs.append((LEFT.format(block.color, other.color), left))
    return pairs
