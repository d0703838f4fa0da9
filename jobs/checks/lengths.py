"""What a model is shown and says has to fit into what it may be shown and may say."""

from contextlib import closing
from pathlib import Path

from physrl.config.run import RunConfig
from physrl.config.task import TaskName
from physrl.errors import UserError

SCENES_A_TASK = 8
"""Ideal answers to the scenes of one task differ by a digit or a sign."""


def check_conversation(name: TaskName, config: RunConfig) -> None:
    """Refuse several attempts whose last prompt is more than the model may be shown.

    Raises:
        UserError: with the length.
    """
    from physrl.tasks import TASKS

    attempts = TASKS[name].attempts
    if attempts == 1:
        return  # the first generation says at once if a question is too long
    if attempts > config.model.max_images:
        raise UserError(
            f"model.max_images is {config.model.max_images}, but {name} shows a picture before "
            f"each of {attempts} attempts: set model.max_images={attempts}"
        )
    from physrl.data.collate import Collator
    from physrl.environments.renderer import make_renderer
    from physrl.models.processor import load_processor
    from physrl.scene_source import scene_source
    from physrl.turns import longest_conversation

    renderer = make_renderer(config.environment)
    prompt = longest_conversation(scene_source(config, name, "validation"), renderer)
    renderer.close()
    length = Collator(load_processor(config.model.path)).prompt_length(prompt)
    if length > config.model.max_prompt_tokens:
        raise UserError(
            f"model.max_prompt_tokens is {config.model.max_prompt_tokens}, but the last attempt's "
            f"prompt of {name} has up to {length}: set model.max_prompt_tokens={length}"
        )


def check_answers(config: RunConfig) -> None:
    """Refuse to imitate answers that are longer than the model may say.

    Without transformers, whose import alone takes seconds. A model on the hub is not looked at: its
    first update says so.

    Raises:
        UserError: with the length.
    """
    file = Path(config.model.path).expanduser() / "tokenizer.json"
    imitation = config.warm_start or config.algorithm
    if imitation.uses_rollouts or not file.is_file():
        return
    from tokenizers import Tokenizer

    from physrl.demonstrations import demonstrate
    from physrl.environments.renderer import make_renderer
    from physrl.environments.simulator import Simulator
    from physrl.scene_source import scene_source

    source = scene_source(config, config.task, "train")
    scenes = range(min(SCENES_A_TASK * len(config.tasks), imitation.prompts_per_step))
    with closing(make_renderer(config.environment)) as renderer, closing(Simulator()) as simulator:
        shown = demonstrate(source, scenes, renderer, simulator)
    tokenizer = Tokenizer.from_file(str(file))
    # One more ends the turn.
    lengths = [len(tokenizer.encode(one.target, add_special_tokens=False).ids) + 1 for one in shown]
    if max(lengths) > config.model.max_completion_tokens:
        raise UserError(
            f"model.max_completion_tokens is {config.model.max_completion_tokens}, but ideal "
            f"answers that are to be imitated have up to {max(lengths)}: set "
            f"model.max_completion_tokens={max(lengths)}"
        )
