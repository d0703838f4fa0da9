"""Frozen records that pass between the stages of a run.

Lengths are in block widths: x points right in the image, y up, z towards the viewer.
Angles are in radians, log-probabilities in nats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""RGB values of shape height x width x 3."""

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Split = Literal["train", "warm", "validation", "test"]
"""Name of one of the disjoint streams of scenes; `warm` is that of warm starts."""
QUESTIONS = "questions"
"""Task of questions about images of the user's own, which are no scenes."""


@dataclass(frozen=True, slots=True)
class Block:
    """An upright box: center, yaw about the vertical axis, name of its color, edge lengths."""

    x: float
    y: float
    z: float
    yaw: float
    color: str
    size: float = 1.0
    """Height."""
    stretch: tuple[float, float] = (1.0, 1.0)
    """Width and depth over the height: those of a cube are 1."""

    @property
    def edges(self) -> Vector:
        """Width, height and depth."""
        return _edges(self.size, self.stretch)


@dataclass(frozen=True, slots=True)
class Pose:
    """A simulated block: center and orientation (quaternion x, y, z, w)."""

    position: Vector
    orientation: Quaternion
    color: str
    size: float = 1.0
    stretch: tuple[float, float] = (1.0, 1.0)

    @property
    def edges(self) -> Vector:
        """Width, height and depth."""
        return _edges(self.size, self.stretch)


def _edges(size: float, stretch: tuple[float, float]) -> Vector:
    width, depth = stretch
    return (size * width, size, size * depth)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera that faces the plane z = 0, so that the axes of answers are the image's."""

    x: float
    height: float
    distance: float
    look_at_height: float
    fov_degrees: float
    shift_x: float = 0.0
    """Shift of the principal point to the right, as a share of the image's width."""
    shift_y: float = 0.0
    """Shift of the principal point downwards, as a share of the image's height."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """The light and the materials of a scene. Colors are RGB values from 0 to 1."""

    light: Vector
    """Direction towards the light."""
    light_size: float = 0.0
    """Angular radius of the light, which softens shadows."""
    ambient: float = 0.55
    """Share of ambient light."""
    ground: Vector = (0.72, 0.69, 0.66)
    """Color of the ground."""
    backdrop: Vector = (1.0, 1.0, 1.0)
    """Color of the wall behind the ground."""
    backdrop_distance: float = 40.0
    """Distance of the wall from the tower's plane, in block widths."""
    wrinkle: float = 0.0
    """Contrast of the cloth on the wall: about one standard deviation of its brightness."""
    grain: float = 0.0
    """Contrast of the wood grain of faces."""
    sheen: float = 0.0
    """Strength of reflections on faces at grazing angles; 1 is varnish."""
    noise: float = 0.0
    """Standard deviation of the camera's noise, as a share of white."""
    colors: tuple[tuple[str, Vector], ...] = ()
    """Colors by name, where they differ from the palette's."""
    texture_seed: int = 0
    distractors: tuple[Block, ...] = ()
    """Visible objects that are not simulated."""


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """A scene: a pure function of (seed, task, split, generator, index) and the settings."""

    seed: int
    task: str
    split: Split
    index: int
    blocks: tuple[Block, ...]
    """Blocks of the tower from bottom to top; then the red block, if it is not in the tower."""
    movable: bool
    """True if the last block is a red one apart from the tower."""
    margin: float
    """Exact static margin of the tower, with the block in the outlined place if there is one:
    positive if it stands."""
    camera: Camera
    appearance: Appearance
    generator: str = "iid"
    """Name of the set of scenes that it belongs to."""
    wording: int = 0
    """Index of the question's wording among those of the task; training uses 0."""
    outline: Block | None = None
    """Place of the red block of which the image shows the outline, if any."""
    rest: tuple[Pose, ...] = ()
    """Poses in which earlier moves left the first blocks; the others are upright."""

    @property
    def scene_id(self) -> str:
        return scene_id(self.task, self.split, self.generator, self.seed, self.index)

    @property
    def tower(self) -> tuple[Block, ...]:
        return self.blocks[:-1] if self.movable else self.blocks


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an image of the user's own, with the answer that is right: no scene."""

    split: Split
    epoch: int
    """Number of times that all rows were asked before."""
    row: int
    """Number of the row among those of its split in the data."""
    text: str
    """Question without the request of a form."""
    answer: str
    """Reference answer, the target of SFT."""
    others: tuple[str, ...] = ()
    """Other answers that are right too."""

    @property
    def task(self) -> str:
        return QUESTIONS

    @property
    def scene_id(self) -> str:
        return question_id(self.split, self.epoch, self.row)


def question_id(split: Split, epoch: int, row: int) -> str:
    """Return the id of a question without reading it."""
    return f"{QUESTIONS}/{split}/{epoch}/{row}"


def scene_id(task: str, split: Split, generator: str, seed: int, index: int) -> str:
    """Return the id of a scene without sampling it."""
    return f"{task}/{split}/{generator}/{seed}/{index}"


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of a conversation: images, then text."""

    role: Literal["user", "assistant"]
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that ends with a question by the user."""

    scene_id: str
    """Id of the scene, or photograph, that the question is about."""
    turns: tuple[Turn, ...]
    label: str = ""
    """Distinction from other prompts about the scene; empty for the first question."""

    @classmethod
    def ask(cls, scene_id: str, text: str, *images: Image) -> "Prompt":
        """Make a prompt of a single question."""
        return cls(scene_id, (Turn("user", text, images),))

    @property
    def prompt_id(self) -> str:
        """Unique id of the prompt, from which its sampling seed is derived."""
        return f"{self.scene_id}#{self.label}" if self.label else self.scene_id

    @property
    def text(self) -> str:
        """Text of the last turn."""
        return self.turns[-1].text

    @property
    def image(self) -> Image | None:
        """Last image of the conversation, if any."""
        return next(reversed(self.images), None)

    @property
    def images(self) -> tuple[Image, ...]:
        """Images of the conversation, in order."""
        return tuple(image for turn in self.turns for image in turn.images)


@dataclass(frozen=True, slots=True)
class Completion:
    """A sampled completion."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Log-probability of each token under the sampling policy."""
    truncated: bool
    """True if the completion reached the largest number of tokens."""
    policy_version: int
    choices: tuple[float, ...] = ()
    """Log-probability of each of `Sampling.choices` in place of its answer; empty if there are none
    or it has no answer."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The completions of a prompt, and the prompt's token ids at the sampler."""

    prompt_token_ids: tuple[int, ...]
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer to `stability`: does any block fall?"""

    falls: bool


@dataclass(frozen=True, slots=True)
class Offset:
    """An answer to an offset task: how far to move the red block, in block widths."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Unparseable:
    """A completion without a single valid answer, and the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a question about an image of the user's own."""

    text: str


Action = Verdict | Offset | Reply | Unparseable
Side = Literal["left", "right", "towards", "away"]
"""Direction from the viewer's point of view; `towards` and `away` from the camera are along z."""


@dataclass(frozen=True, slots=True)
class FirstMove:
    """The first block to move after all blocks are released, and its direction."""

    block: int
    """Number of the block from the lowest, which is 1."""
    side: Side


@dataclass(frozen=True, slots=True)
class Still:
    """No block moves."""


Motion = FirstMove | Still
"""First motion in a simulation."""


Status = Literal["settled", "answered", "illegal", "unparseable"]
"""`settled`: the action was simulated until rest, or until the time limit; `answered`: it answers a
question about an image of the user's own; `illegal`: it would put a block inside another or below
the ground, so nothing was simulated; `unparseable`: there was no action."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an action."""

    status: Status
    success: bool
    height_gain: float = 0.0
    """Increase of the height of the highest block at rest, in block widths."""
    displacement: float = 0.0
    """Largest distance that a block moved after its release, in block widths."""
    distance: float | None = None
    """Distance of the chosen position from the ideal one, in block widths, if there is one."""
    poses: tuple[Pose, ...] = ()
    """Poses of the blocks at rest; empty unless settled."""
    motion: Motion | None = None
    """First motion; None unless settled."""


@dataclass(frozen=True, slots=True)
class Reward:
    """A total reward, and the weighted parts that sum to it."""

    total: float
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A completion with its action and its outcome."""

    prompt: Prompt
    prompt_token_ids: tuple[int, ...]
    completion: Completion
    action: Action
    outcome: Outcome
    predicted: Motion | Unparseable | None = None
    """Predicted first motion; None if the prompt requests no prediction."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The attempts at one scene, of which the last counts, and their reward."""

    attempts: tuple[Attempt, ...]
    reward: Reward

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """The rollouts that began with one prompt."""

    scene: SceneSpec | Question
    prompt: Prompt
    """First prompt of all rollouts."""
    rollouts: tuple[Rollout, ...]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Attempts of all rollouts, rollout by rollout."""
        return tuple(attempt for rollout in self.rollouts for attempt in rollout.attempts)


Metrics = dict[str, float]
JSON = dict[str, Any]


Shortcuts = Mapping[str, Callable[[SceneSpec], Action]]
"""Rules that answer a scene without physics, by name."""
Family = Callable[[SceneSpec], Mapping[Any, Action]]
Families = Mapping[str, Family]
"""Families of such rules, by name: the answers to a scene by rule, in any order."""
