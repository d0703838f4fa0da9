"""Checks of questions about images of the user's own: every row must be fit to be asked."""

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping

from jobs.checks.photos import check_prompts
from physrl.config.questions import QuestionsConfig
from physrl.config.run import RunConfig
from physrl.errors import ConfigError, DataError, UserError, boundary
from physrl.types import QUESTIONS, Prompt, Split

_logger = logging.getLogger(__name__)


def check_questions(config: RunConfig, questions: QuestionsConfig) -> None:
    """Read every row, decode every image, and refuse what a run could not use.

    Raises:
        DataError: a file, split, column or row is missing or unreadable; the message names it.
        UserError: there are too few rows, or an image or answer is too long for the model.
    """
    from physrl.data.questions import question_rows

    rows = question_rows(questions)
    _check_counts(config, {split: rows.count(split) for split in _splits(config)})
    images: dict[Split, set[bytes]] = {split: set() for split in _splits(config)}
    check_prompts(_prompts(config, images), config.model)
    _warn_of_shared(images)
    _check_answers(config)
    _check_reward(config)


def _splits(config: RunConfig) -> list[Split]:
    """List the splits that a run reads; a warm start has the rows of training."""
    splits: list[Split] = ["train"]
    if config.evaluation.every:
        splits.append("validation")
    if QUESTIONS in config.evaluation.tasks:
        splits.append("test")
    return splits


def _check_counts(config: RunConfig, counts: dict[Split, int]) -> None:
    phases = {"algorithm": config.algorithm, "warm_start": config.warm_start}
    for name, phase in phases.items():
        if phase is not None and phase.prompts_per_step > counts["train"]:
            raise ConfigError(
                f"{name}.prompts_per_step is {phase.prompts_per_step} but data has "
                f"{counts['train']} rows to train on: set {name}.prompts_per_step="
                f"{counts['train']} or less"
            )
    for split in ("validation", "test"):
        if config.evaluation.scenes > counts.get(split, config.evaluation.scenes):
            raise ConfigError(
                f"evaluation.scenes is {config.evaluation.scenes} but data.{split} has "
                f"{counts[split]} rows: set evaluation.scenes={counts[split]} or less"
            )


def _prompts(config: RunConfig, images: Mapping[Split, set[bytes]]) -> Iterator[tuple[str, Prompt]]:
    """Make every prompt of a run, with the name of its row, and note the digest of its image."""
    from physrl.question_source import QuestionSource

    for split in _splits(config):
        assert config.questions is not None
        source = QuestionSource(config.questions, config.seed, split, config.model.reasoning)
        for number in range(source.rows.count(split)):
            _, prompt = source.ask_row(0, number)
            images[split].add(hashlib.sha256(prompt.images[0].tobytes()).digest())
            yield f"the image of {source.rows(split, number).name}", prompt


def _warn_of_shared(images: Mapping[Split, set[bytes]]) -> None:
    """Warn of held-out images that are trained on as well."""
    for split in images.keys() - {"train"}:
        if shared := len(images[split] & images["train"]):
            _logger.warning(
                "%d of %d images of data.%s are in training too: hold out whole images, and name "
                "their split in data.%s",
                shared,
                len(images[split]),
                split,
                split,
            )


def _check_answers(config: RunConfig) -> None:
    """Refuse answers that are not read back as they are written, or that are too long."""
    from physrl.data.collate import Collator
    from physrl.data.questions import question_rows
    from physrl.models.processor import configured_processor
    from physrl.replies import parse_reply
    from physrl.rewards.exact import is_same_answer
    from physrl.tasks.answers import answer_text
    from physrl.types import Reply

    assert config.questions is not None
    rows, collator = question_rows(config.questions), Collator(configured_processor(config.model))
    for split in _splits(config):
        for row in (rows(split, number) for number in range(rows.count(split))):
            target = answer_text(row.answer)
            read = parse_reply(target)
            if not isinstance(read, Reply) or not is_same_answer(read.text, row.answer):
                raise DataError(
                    f"{row.name}: answer {row.answer!r} contains tags, so that it cannot be read "
                    "from a completion: remove them"
                )
            length = len(collator.completion_ids(target))
            if length > config.model.max_completion_tokens:
                raise UserError(
                    f"model.max_completion_tokens is {config.model.max_completion_tokens}, but "
                    f"the answer of {row.name} has {length} tokens: set "
                    f"model.max_completion_tokens={length}"
                )


def _check_reward(config: RunConfig) -> None:
    """Refuse a reward that fails, or is not finite, on the right answer to a question."""
    from physrl.data.questions import question_rows
    from physrl.rewards.attempt import Move
    from physrl.rewards.score import score
    from physrl.types import Outcome, Question, Reply

    assert config.questions is not None
    rows = question_rows(config.questions)
    for split in _splits(config):
        for number in range(rows.count(split)):
            row = rows(split, number)
            question = Question(split, 0, number, row.question, row.answer, row.others)
            right = Move(Reply(row.answer), Outcome("answered", success=True))
            failed = f"reward.type is {config.reward.type}, which fails for {row.name}"
            with boundary(UserError, failed, "mend its function"):
                total = score(question, [right], config.reward).total
                if not math.isfinite(total):
                    raise ValueError(f"it is {total}")
