"""Ask a downloaded policy about one image: `physrl try`.

python -m jobs.ask models/step-00000060 --image tower.png
"""

import sys
from pathlib import Path

from jobs.arguments.policy import policy_model
from jobs.checks.checkpoint import check_model, check_quantization
from jobs.display.console import console
from physrl.config import RunConfig
from physrl.data.photos import read_image
from physrl.errors import ConfigError, DataError
from physrl.protocols import Sampling
from physrl.question_source import own_question_text
from physrl.replies import parse_reply
from physrl.tasks import TASKS
from physrl.tasks.answers import format_action
from physrl.tasks.task import question_text
from physrl.types import QUESTIONS, Prompt, Reply


def run(folder: Path, image: Path, config: RunConfig, question: str | None) -> None:
    """Print the question, the model's greedy answer, and how the task reads it.

    Args:
        question: for a policy that was trained on the user's own; None for others.

    Raises:
        UserError: the folder holds no policy, the image is not readable or too large, or the
            policy needs a question, or has its own.
    """
    if (config.task == QUESTIONS) != (question is not None):
        raise ConfigError(
            f"task is {config.task}, which has its own question: leave out --question"
            if question is not None
            else "task is questions, about your own images: ask one with --question TEXT"
        )
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name one that physrl pull wrote")
    model = policy_model(str(folder), config.model)
    check_model("model.path", model.path, model)
    check_quantization(model)
    if question is None:
        text = question_text(TASKS[config.task], reasoning=model.reasoning)
    else:
        text = own_question_text(question, reasoning=model.reasoning)
    prompt = Prompt.ask(image.name, text, read_image(image))
    from transformers.utils.logging import disable_progress_bar

    from physrl.data.collate import Collator
    from physrl.models.generate import TransformersGenerator
    from physrl.models.loading import load_model
    from physrl.models.processor import configured_processor

    disable_progress_bar()
    processor = configured_processor(model)
    length = Collator(processor).prompt_length(prompt)
    if length > model.max_prompt_tokens:
        raise DataError(
            f"{image} makes a prompt of {length} tokens, more than model.max_prompt_tokens="
            f"{model.max_prompt_tokens}: give a smaller image, or a larger limit"
        )
    sampling = Sampling(1, 0, model.max_completion_tokens, config.seed)
    with console.status("loading the model and answering"):
        generator = TransformersGenerator(load_model(model), processor)
        ((completion,),) = (each.completions for each in generator.generate([prompt], sampling))
    answer = _read_answer(config.task, completion.text)
    for line in (text, f"model: {completion.text}", f"answer: {answer or 'none'}"):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _read_answer(task: str, completion: str) -> str:
    """Return the answer in a completion; empty if there is none."""
    if task != QUESTIONS:
        return format_action(TASKS[task].parse(completion), TASKS[task].axes)
    reply = parse_reply(completion)
    return reply.text if isinstance(reply, Reply) else ""


if __name__ == "__main__":
    from jobs.cli import main

    main(["try", *sys.argv[1:]])
