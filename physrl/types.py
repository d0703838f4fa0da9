"""The frozen records that move between the stages of a run.

Lengths are in block widths: x points right in the picture, y up, z towards the viewer.
Angles are in radians, log-probabilities in nats.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Height x width x 3, RGB."""

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Split = Literal["train", "warm", "validation", "test"]
"""Disjoint streams of scenes; `warm` feeds a warm start."""


@dataclass(frozen=True, slots=True)
class Block:
    """An upright cube: its centre, its turn about the vertical, its colour's name and its edge."""

    x: float
    y: float
    z: float
    yaw: float
    color: str
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a block is after it was let go: centre and orientation (quaternion x, y, z, w)."""

    position: Vector
    orientation: Quaternion
    color: str
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera that faces the plane z = 0: the answer's axes are the picture's."""

    x: float
    height: float
    distance: float
    look_at_height: float
    fov_degrees: float
    shift_x: float = 0.0
    """Of the principal point to the right, as a share of the picture's width."""
    shift_y: float = 0.0
    """Of the principal point downwards, as a share of the picture's height."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a scene is lit and what it is made of. Colours are RGB from 0 to 1."""

    light: Vector
    """Towards the light."""
    light_size: float = 0.0
    """Angular radius of the light: how soft shadows are."""
    ambient: float = 0.55
    """Share of the light that comes from everywhere."""
    ground: Vector = (0.72, 0.69, 0.66)
    backdrop: Vector = (1.0, 1.0, 1.0)
    """The wall behind the ground."""
    backdrop_distance: float = 40.0
    """From the tower's plane to the wall, in block widths."""
    wrinkle: float = 0.0
    """Contrast of the cloth: about one standard deviation of the wall's brightness."""
    grain: float = 0.0
    """Contrast of the wood-like grain of faces."""
    sheen: float = 0.0
    """How much faces seen at a slant mirror their surroundings; 1 is varnish."""
    noise: float = 0.0
    """Standard deviation of the camera's noise, as a share of white."""
    colors: tuple[tuple[str, Vector], ...] = ()
    """What a colour's name looks like, where that is not the palette's."""
    texture_seed: int = 0
    distractors: tuple[Block, ...] = ()
    """Things that lie about and are no part of the scene's physics."""


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """One scene: a pure function of (seed, task, split, generator, index) and the settings."""

    seed: int
    task: str
    split: Split
    index: int
    blocks: tuple[Block, ...]
    """The tower from bottom to top; a red block apart from it comes last."""
    movable: bool
    """Whether the last block is a red one that stands apart from the tower."""
    margin: float
    """The tower's exact static margin: positive when it stands."""
    camera: Camera
    appearance: Appearance
    generator: str = "iid"
    """Which named set of scenes it belongs to."""
    wording: int = 0
    """Which of the task's wordings the question is asked in; 0 is the one of training."""

    @property
    def scene_id(self) -> str:
        return scene_id(self.task, self.split, self.generator, self.seed, self.index)

    @property
    def tower(self) -> tuple[Block, ...]:
        return self.blocks[:-1] if self.movable else self.blocks


def scene_id(task: str, split: Split, generator: str, seed: int, index: int) -> str:
    """The name of a scene, drawn or not."""
    return f"{task}/{split}/{generator}/{seed}/{index}"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: pictures, then text."""

    role: Literal["user", "assistant"]
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that ends with a question of the user's."""

    scene_id: str
    """The scene, or photograph, that the question is about."""
    turns: tuple[Turn, ...]
    label: str = ""
    """Tells this prompt from others about the scene; empty for the first question."""

    @classmethod
    def ask(cls, scene_id: str, text: str, *images: Image) -> "Prompt":
        """Make a prompt of a single question."""
        return cls(scene_id, (Turn("user", text, images),))

    @property
    def prompt_id(self) -> str:
        """The unique name of the prompt, from which its sampling seed derives."""
        return f"{self.scene_id}#{self.label}" if self.label else self.scene_id

    @property
    def text(self) -> str:
        """The last turn's."""
        return self.turns[-1].text

    @property
    def image(self) -> Image | None:
        """The last one that was shown, if any."""
        return next(reversed(self.images), None)

    @property
    def images(self) -> tuple[Image, ...]:
        """All pictures of the conversation, in order."""
        return tuple(image for turn in self.turns for image in turn.images)


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer, with the log-probability of each of its tokens under its policy."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    truncated: bool
    policy_version: int


@dataclass(frozen=True, slots=True)
class Generation:
    """The completions of one prompt, and the prompt's token ids as the sampler saw them."""

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
    """A completion that holds no single valid answer, and why."""

    reason: str


Action = Verdict | Offset | Unparseable
Side = Literal["left", "right", "towards", "away"]
"""As the viewer sees it: towards and away from the camera are along z."""


@dataclass(frozen=True, slots=True)
class FirstMove:
    """Which block is the first to move after all are let go, and to which side."""

    block: int
    """Counted from the lowest, which is 1."""
    side: Side


@dataclass(frozen=True, slots=True)
class Still:
    """No block moves."""


Motion = FirstMove | Still
"""What the simulator shows first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action.

    `settled`: it was carried out and the world came to rest (or ran out of time);
    `illegal`: it would put a block inside another or below the ground, nothing was simulated;
    `unparseable`: there was no action.
    """

    status: Literal["settled", "illegal", "unparseable"]
    success: bool
    height_gain: float = 0.0
    """How much higher the highest block stands at rest, in block widths."""
    displacement: float = 0.0
    """How far the block that moved most moved after it was let go, in block widths."""
    distance: float | None = None
    """From the answered place to the ideal one, in block widths; None where there is none."""
    poses: tuple[Pose, ...] = ()
    """The blocks at rest; empty unless settled."""
    motion: Motion | None = None
    """What moved first; None unless settled."""


@dataclass(frozen=True, slots=True)
class Reward:
    """A total and the weighted parts that it is the sum of."""

    total: float
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One completion, what it meant and what it did."""

    prompt: Prompt
    prompt_token_ids: tuple[int, ...]
    completion: Completion
    action: Action
    outcome: Outcome
    predicted: Motion | Unparseable | None = None
    """What it said would move first; None where it was not asked."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The attempts at one scene, of which the last counts, and what they earned."""

    attempts: tuple[Attempt, ...]
    reward: Reward

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """All rollouts that began with one prompt."""

    scene: SceneSpec
    prompt: Prompt
    rollouts: tuple[Rollout, ...]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Of all rollouts, one rollout after the other."""
        return tuple(attempt for rollout in self.rollouts for attempt in rollout.attempts)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A prompt and the completion that SFT imitates."""

    prompt: Prompt
    target: str
    weight: float = 1.0
    """What its tokens count beside those of others."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One sequence that the learner trains on."""

    prompt: Prompt
    completion_ids: tuple[int, ...]
    advantage: float = 0.0
    sampling_logprobs: tuple[float, ...] = ()
    """Under the policy that sampled it; empty for SFT."""
    truncated: bool = False
    """Whether the completion was cut at its longest."""
    weight: float = 1.0
    """What its tokens count in SFT beside those of others."""


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """The sequences of one learner step, in a fixed order."""

    examples: tuple[TrainingExample, ...]


Metrics = dict[str, float]
JSON = dict[str, Any]
