"""Replies to questions about images of the user's own: parsing, rewards, demonstrations."""

from collections.abc import Iterable
from dataclasses import replace

from physrl.config.reward import RewardConfig
from physrl.question_source import QuestionSource
from physrl.rewards.exact import is_same_answer
from physrl.rewards.score import score
from physrl.tasks.answers import answer_text, extract_answer
from physrl.training_records import Demonstration
from physrl.types import (
    Attempt,
    Completion,
    Generation,
    Outcome,
    Prompt,
    Question,
    Reply,
    Rollout,
    RolloutGroup,
    Unparseable,
)


def answer_question(
    group: RolloutGroup, question: Question, generation: Generation, reward: RewardConfig
) -> RolloutGroup:
    """Parse and score the completions of a group."""
    rollouts = []
    for completion in generation.completions:
        attempt = _attempt(group.prompt, question, generation.prompt_token_ids, completion)
        rollouts.append(Rollout((attempt,), score(question, (attempt,), reward)))
    return replace(group, rollouts=tuple(rollouts))


def parse_reply(completion: str) -> Reply | Unparseable:
    """Return the answer in a completion; never raises."""
    answer = extract_answer(completion)
    if isinstance(answer, Unparseable):
        return answer
    return Reply(answer) if answer else Unparseable("an empty answer")


def demonstrate_answers(source: QuestionSource, indices: Iterable[int]) -> list[Demonstration]:
    """Make the demonstrations of questions: their reference answers."""
    asked = map(source.ask, indices)
    return [Demonstration(prompt, answer_text(question.answer)) for question, prompt in asked]


def _attempt(
    prompt: Prompt, question: Question, prompt_token_ids: tuple[int, ...], completion: Completion
) -> Attempt:
    action = parse_reply(completion.text)
    if isinstance(action, Reply):
        right = (question.answer, *question.others)
        outcome = Outcome("answered", any(is_same_answer(action.text, each) for each in right))
    else:
        outcome = Outcome("unparseable", success=False)
    return Attempt(prompt, prompt_token_ids, completion, action, outcome)
