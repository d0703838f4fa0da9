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
from physrl.errors import DataError
from physrl.protocols import Sampling
from physrl.tasks import TASKS
from physrl.tasks.answers import format_action
from physrl.tasks.task import question_text
from physrl.types import Prompt


def run(folder: Path, image: Path, config: RunConfig) -> None:
    """Print the question, the model's greedy answer, and how the task reads it.

    Raises:
        UserError: the folder holds no policy, or the image is not readable or too large.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name one that physrl pull wrote")
    model = policy_model(str(folder), config.model)
    check_model("model.path", model.path, model)
    check_quantization(model)
    task = TASKS[config.task]
    question = question_text(task, reasoning=model.reasoning)
    prompt = Prompt.ask(image.name, question, read_image(image))
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
    answer = format_action(task.parse(completion.text), task.axes)
    for line in (question, f"model: {completion.text}", f"answer: {answer or 'none'}"):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    from jobs.cli import main

    main(["try", *sys.argv[1:]])
