"""Scored answers about held-out scenes and photographs."""

import math

from physrl.data.photos import Photo
from physrl.evaluation.results import Answer
from physrl.tasks import TASKS
from physrl.tasks.answers import VERDICTS, format_action
from physrl.tasks.placing import height
from physrl.tasks.task import question_text
from physrl.turns import next_scene
from physrl.types import (
    Action,
    Completion,
    Offset,
    Prompt,
    Question,
    Reply,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Verdict,
)

STABILITY = TASKS["stability"]
"""Task of the prompts about photographs."""


def group_answers(record: RolloutGroup) -> list[Answer]:
    """Make the answers of a group, one for each rollout."""
    asked = record.scene
    if isinstance(asked, Question):
        return [question_answer(asked, rollout) for rollout in record.rollouts]
    return [scene_answer(asked, rollout) for rollout in record.rollouts]


def scene_answer(scene: SceneSpec, rollout: Rollout) -> Answer:
    """Make the answer of a rollout from its last attempt."""
    task = TASKS[scene.task]
    ideal = task.ideal(next_scene(scene, rollout.attempts[:-1]))
    last = rollout.last
    return Answer(
        scene_id=scene.scene_id,
        completion=last.completion.text,
        answer=format_action(last.action, task.axes),
        ideal=format_action(ideal, task.axes),
        success=last.outcome.success,
        status=last.outcome.status,
        reward=rollout.reward.total,
        offset=_offset(last.action),
        ideal_offset=_offset(ideal),
        predicted_falls=_verdict(last.action),
        falls=_verdict(ideal),
        probability=_probability(last.completion),
        probability_yes=_choice_probability(last.completion, "Yes"),
        probability_no=_choice_probability(last.completion, "No"),
        margin=scene.margin,
        blocks=len(scene.tower),
        height=height(scene.tower),
        side="right" if scene.blocks[-1].x >= scene.blocks[0].x else "left",
        generator=scene.generator,
    )


def question_answer(question: Question, rollout: Rollout) -> Answer:
    """Make the answer to a question about an image of the user's own."""
    last = rollout.last
    return Answer(
        scene_id=question.scene_id,
        completion=last.completion.text,
        answer=last.action.text if isinstance(last.action, Reply) else "",
        ideal=question.answer,
        success=last.outcome.success,
        status=last.outcome.status,
        reward=rollout.reward.total,
        offset=None,
        ideal_offset=None,
        predicted_falls=None,
        falls=None,
        probability=_probability(last.completion),
        margin=None,
        blocks=None,
        height=None,
        side=None,
        generator="iid",
    )


def photo_answer(photo: Photo, completion: Completion) -> Answer:
    """Score a completion about a photograph by the photograph's label."""
    action = STABILITY.parse(completion.text)
    predicted = _verdict(action)
    success = predicted == photo.falls
    return Answer(
        scene_id=photo.file,
        completion=completion.text,
        answer=format_action(action, STABILITY.axes),
        ideal=format_action(Verdict(photo.falls), STABILITY.axes),
        success=success,
        status="unparseable" if predicted is None else "settled",
        reward=float(success),
        offset=None,
        ideal_offset=None,
        predicted_falls=predicted,
        falls=photo.falls,
        probability=_probability(completion),
        probability_yes=_choice_probability(completion, "Yes"),
        probability_no=_choice_probability(completion, "No"),
        margin=None,
        blocks=None,
        height=None,
        side=None,
        generator="real",
    )


def photo_prompt(photo: Photo, *, reasoning: bool) -> Prompt:
    """Make the stability prompt of a photograph."""
    return Prompt.ask(
        f"real/{photo.file}", question_text(STABILITY, reasoning=reasoning), photo.image
    )


def _offset(action: Action) -> tuple[float, float] | None:
    return (action.x, action.y) if isinstance(action, Offset) else None


def _probability(completion: Completion) -> float | None:
    return math.exp(sum(completion.logprobs)) if completion.logprobs else None


def _choice_probability(completion: Completion, verdict: str) -> float | None:
    choices = completion.choices
    return math.exp(choices[VERDICTS.index(verdict)]) if choices else None


def _verdict(action: Action) -> bool | None:
    return action.falls if isinstance(action, Verdict) else None
