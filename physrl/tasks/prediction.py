"""Auxiliary prediction of the physical outcome: which block moves first, and to which side.

A prediction stands between `<outcome>` and `</outcome>`, before the answer: `2 left` or `none`.
Blocks are counted from the lowest; a block that an action moves on top is the highest.
"""

import re
from dataclasses import replace

from physrl.environments.randomness import stream
from physrl.environments.simulator import Simulator
from physrl.tasks.answers import UNITS, format_action, without_tagged, without_thoughts
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
OUTLINED = "The red block is put at the outline"
MOVED = "The red block is moved by {offset}"
ALONE = f"{{what}}: {QUESTION}? Say between <outcome> and </outcome> {FORM}."
FARTHEST = 0.6
"""Largest distance of a hypothetical place from the best one, in block widths: over half fall."""

_TAG = re.compile(r"<\s*(?:(/)\s*)?outcome\s*>", re.IGNORECASE | re.ASCII)
_OUTCOME = re.compile(r"<outcome>(.*?)</outcome>", re.DOTALL)
_STILL = re.compile(r"none\s*[.!]?", re.IGNORECASE | re.ASCII)
_MOVE = re.compile(
    r"(?:block\s+)?([1-9][0-9]?)(?:\s*[,;]\s*|\s+)(left|right|towards|away)\s*[.!]?",
    re.IGNORECASE | re.ASCII,
)


def request_prediction(prompt: Prompt) -> Prompt:
    """Append a request for a prediction to the prompt's last question."""
    *before, question = prompt.turns
    return replace(prompt, turns=(*before, replace(question, text=question.text + FIRST)))


def motion_words(motion: Motion | Unparseable | None) -> str:
    """Format a motion as a prediction: `2 left` or `none`; empty if unparseable or missing."""
    match motion:
        case FirstMove(block, side):
            return f"{block} {side}"
        case Still():
            return "none"
        case _:
            return ""


def prediction_text(motion: Motion) -> str:
    """Return the completion that consists of this prediction alone."""
    return f"<outcome>{motion_words(motion)}</outcome>"


def parse_prediction(completion: str) -> tuple[Motion | Unparseable, str]:
    """Return the prediction in a completion, and the text in which its answer may stand.

    Never raises. Predictions are cut from that text, and so is all that follows an unclosed one.
    """
    text = without_thoughts(_TAG.sub(_normalized, completion))
    if text is None:
        return Unparseable("the thought is not closed"), completion
    rest = without_tagged("outcome", text)
    if rest is None:
        return Unparseable("the outcome is not closed"), ""
    outcomes = _OUTCOME.findall(text)
    if len(outcomes) != 1 or text.count("<outcome>") != 1 or text.count("</outcome>") != 1:
        return Unparseable(f"{len(outcomes)} outcomes instead of one"), rest
    if "<answer>" in text.partition("<outcome>")[0]:
        return Unparseable("the outcome comes after the answer"), rest
    return _parse_motion(outcomes[0].strip()), rest


def hypothetical_action(task: Task, scene: SceneSpec) -> Action:
    """Draw the action that a scene's second question supposes, from the scene's own stream.

    After the best action of an offset task nothing moves, so the red block is put beside its best
    place, or above it where it moves up and down alone.
    """
    ideal = task.ideal(scene)
    if not isinstance(ideal, Offset):
        return ideal
    units, rng = round(FARTHEST * UNITS), stream(f"{scene.scene_id}/outcome", scene.index)
    while True:  # until it is legal: beside the best place there may be another block
        error = int(rng.integers(-units, units + 1))
        if "x" in task.axes:
            action = replace(ideal, x=round(ideal.x * UNITS + error) / UNITS)
        else:
            action = replace(ideal, y=round(ideal.y * UNITS + abs(error)) / UNITS)
        if task.release(scene, action) is not None:
            return action


def prediction_prompt(prompt: Prompt, task: Task, action: Action) -> Prompt:
    """Return the second question about a prompt's image: the outcome of this action."""
    offset = format_action(action, task.axes)
    without_number = OUTLINED if task.movable else LET_GO
    what = MOVED.format(offset=offset) if task.axes else without_number
    *before, question = prompt.turns
    second = Turn("user", ALONE.format(what=what), question.images)
    return Prompt(prompt.scene_id, (*before, second), "outcome")


def true_motion(task: Task, scene: SceneSpec, action: Action, simulator: Simulator) -> Motion:
    """Simulate a legal action and return the first motion after it.

    Raises:
        SimulationError: a position is not finite.
    """
    motion = task.act(scene, action, simulator).motion
    assert motion is not None, f"{action} is not carried out in {scene.scene_id}"
    return motion


def _parse_motion(text: str) -> Motion | Unparseable:
    if _STILL.fullmatch(text):
        return Still()
    match = _MOVE.fullmatch(text)
    if match is None:
        return Unparseable("neither a block with a side nor none")
    return FirstMove(int(match[1]), match[2].lower())  # type: ignore[arg-type]


def _normalized(tag: re.Match[str]) -> str:
    return f"<{tag[1] or ''}outcome>"
