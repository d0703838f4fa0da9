"""Checks that prompts and ideal answers fit into the model's limits."""

from contextlib import closing
from pathlib import Path

from physrl.config.run import RunConfig
from physrl.config.task import TaskName
from physrl.errors import UserError

SCENES_PER_TASK = 8
"""Scenes whose ideal answers are tokenized; a task's answers differ by a digit or a sign."""


def check_conversation(name: TaskName, config: RunConfig) -> None:
    """Refuse a task with several attempts whose last prompt exceeds the model's limits.

    Raises:
        UserError: names the key and the length needed.
    """
    from physrl.tasks import TASKS

    attempts = TASKS[name].attempts
    if attempts == 1:
        return  # the first generation reports a prompt that is too long
    if attempts > config.model.max_images:
        raise UserError(
            f"model.max_images is {config.model.max_images}, but {name} shows an image before "
            f"each of {attempts} attempts: set model.max_images={attempts}"
        )
    from physrl.data.collate import Collator
    from physrl.environments.renderer import make_renderer
    from physrl.models.processor import configured_processor
    from physrl.scene_source import scene_source
    from physrl.turns import longest_conversation

    with closing(make_renderer(config.environment)) as renderer:
        prompt = longest_conversation(scene_source(config, name, "validation"), renderer)
    length = Collator(configured_processor(config.model)).prompt_length(prompt)
    if length > config.model.max_prompt_tokens:
        raise UserError(
            f"model.max_prompt_tokens is {config.model.max_prompt_tokens}, but the last prompt of "
            f"{name} has up to {length} tokens: set model.max_prompt_tokens={length}"
        )


def check_answers(config: RunConfig) -> None:
    """Refuse SFT on answers that are longer than the model's completions may be.

    Reads tokenizer.json without transformers, whose import alone takes seconds. A model on the
    hub is not checked: its first update reports the mistake.

    Raises:
        UserError: names the key and the length needed.
    """
    file = Path(config.model.path).expanduser() / "tokenizer.json"
    sft = config.warm_start or config.algorithm
    if sft.uses_rollouts or config.questions is not None or not file.is_file():
        return  # `check_questions` tokenizes every answer
    from tokenizers import Tokenizer

    from physrl.demonstrations import demonstrate
    from physrl.environments.renderer import make_renderer
    from physrl.environments.simulator import Simulator
    from physrl.scene_source import scene_source

    source = scene_source(config, config.task, "train")
    scenes = range(min(SCENES_PER_TASK * len(config.tasks), sft.prompts_per_step))
    with closing(make_renderer(config.environment)) as renderer, closing(Simulator()) as simulator:
        shown = demonstrate(source, scenes, renderer, simulator)
    tokenizer = Tokenizer.from_file(str(file))
    # The token that ends the turn is one more.
    longest = 1 + max(
        len(tokenizer.encode(each.target, add_special_tokens=False).ids) for each in shown
    )
    if longest > config.model.max_completion_tokens:
        raise UserError(
            f"model.max_completion_tokens is {config.model.max_completion_tokens}, but the target "
            f"answers of SFT have up to {longest} tokens: set model.max_completion_tokens={longest}"
        )
