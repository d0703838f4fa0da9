"""The world model beside a task: which block moves first, and to which side?

A prediction stands between `<outcome>` and `</outcome>`, before the answer: `2 left` or `none`.
Blocks are counted from the lowest; a block that an action moves on top is the highest.
"""

import re
from dataclasses import replace

from physrl.environments.randomness import stream
from physrl.environments.simulator import Simulator
from physrl.tasks.answers import UNITS, outside, spoken, words
from physrl.tasks.task import Task
from physrl.types import (
    Action,
    FirstMove,
    Motion,
    Offset,
    Prompt,
    SceneSpec,
    Still,
    Turn,
    Unparseable,
)

QUESTION = "which block moves first, counted from the bottom, and to which side"
SIDES = "left, right, towards or away"
FORM = f"a number and {SIDES}, or none"
FIRST = f" Before the answer, say between <outcome> and </outcome> {QUESTION}: {FORM}."
LET_GO = "All is let go as it is"
MOVED = "The red block is moved by {offset}"
ALONE = f"{{what}}: {QUESTION}? Say between <outcome> and </outcome> {FORM}."
FARTHEST = 1.0
"""How far beside its best place a block is tried, in block widths: about half of them fall."""

_TAG = re.compile(r"<\s*(?:(/)\s*)?outcome\s*>", re.IGNORECASE | re.ASCII)
_OUTCOME = re.compile(r"<outcome>(.*?)</outcome>", re.DOTALL)
_STILL = re.compile(r"none\s*[.!]?", re.IGNORECASE | re.ASCII)
_MOVE = re.compile(
    r"(?:block\s+)?([1-9][0-9]?)(?:\s*[,;]\s*|\s+)(left|right|towards|away)\s*[.!]?",
    re.IGNORECASE | re.ASCII,
)


def ask_first(prompt: Prompt) -> Prompt:
    """The same conversation, with a request for a prediction at the end of its question."""
    *before, question = prompt.turns
    return replace(prompt, turns=(*before, replace(question, text=question.text + FIRST)))


def motion_words(motion: Motion | Unparseable | None) -> str:
    """A motion as it is foretold: `2 left` or `none`; nothing if there is none to tell."""
    match motion:
        case FirstMove(block, side):
            return f"{block} {side}"
        case Still():
            return "none"
        case _:
            return ""


def motion_text(motion: Motion) -> str:
    """The completion that foretells this and nothing else."""
    return f"<outcome>{motion_words(motion)}</outcome>"


def read_foretold(completion: str) -> tuple[Motion | Unparseable, str]:
    """What a completion foretells, and what of it may hold the answer; never raises.

    Predictions are no part of the latter, nor what follows one that is not closed.
    """
    said = spoken(_TAG.sub(_plain_tag, completion))
    if said is None:
        return Unparseable("the thought is not closed"), completion
    rest = outside("outcome", said)
    if rest is None:
        return Unparseable("the outcome is not closed"), ""
    outcomes = _OUTCOME.findall(said)
    if len(outcomes) != 1 or said.count("<outcome>") != 1 or said.count("</outcome>") != 1:
        return Unparseable(f"{len(outcomes)} outcomes instead of one"), rest
    if "<answer>" in said.partition("<outcome>")[0]:
        return Unparseable("the outcome comes after the answer"), rest
    return _read(outcomes[0].strip()), rest


def tried_action(task: Task, scene: SceneSpec) -> Action:
    """What the second question about a scene supposes, drawn from the scene's own stream.

    The best action leaves nothing to foretell where it makes all stand: the red block is put
    beside its best place, or above it where it moves up and down alone.
    """
    ideal = task.ideal(scene)
    if not isinstance(ideal, Offset):
        return ideal
    units = round(FARTHEST * UNITS)
    beside = int(stream(f"{scene.scene_id}/outcome", scene.index).integers(-units, units + 1))
    if "x" in task.axes:
        return replace(ideal, x=round(ideal.x * UNITS + beside) / UNITS)
    return replace(ideal, y=round(ideal.y * UNITS + abs(beside)) / UNITS)


def ask_alone(prompt: Prompt, task: Task, action: Action) -> Prompt:
    """The second question about a prompt's picture: what comes of this action?"""
    offset = words(action, task.axes)
    what = MOVED.format(offset=offset) if task.axes else LET_GO
    *before, question = prompt.turns
    asked = Turn("user", ALONE.format(what=what), question.images)
    return Prompt(prompt.scene_id, (*before, asked), "outcome")


def true_motion(task: Task, scene: SceneSpec, action: Action, simulator: Simulator) -> Motion:
    """What moves first once a legal action is carried out.

    Raises:
        SimulationError: a position is not finite.
    """
    motion = task.act(scene, action, simulator).motion
    assert motion is not None, f"{action} is not carried out in {scene.scene_id}"
    return motion


def _read(said: str) -> Motion | Unparseable:
    if _STILL.fullmatch(said):
        return Still()
    match = _MOVE.fullmatch(said)
    if match is None:
        return Unparseable("neither a block with a side nor none")
    return FirstMove(int(match[1]), match[2].lower())  # type: ignore[arg-type]


def _plain_tag(tag: re.Match[str]) -> str:
    return f"<{tag[1] or ''}outcome>"
