"""Checks of images that are not drawn: questions about them must fit into the model's limits."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.errors import UserError, reason_of
from physrl.evaluation.specs import CellSpec, StudyPlan
from physrl.types import Prompt


def check_photos(config: RunConfig, real_images: Path) -> None:
    """Refuse a photograph of a run that its model cannot be asked about.

    Raises:
        UserError: names the photograph, its size and the remedy.
        DataError: see `load_photos`.
    """
    from physrl.data.photos import load_photos
    from physrl.evaluation.requests import run_photo_prompts

    check_prompts(_named(run_photo_prompts(config, load_photos(real_images))), config.model)


def check_cell_photos(plan: StudyPlan, real_images: Path) -> None:
    """Refuse a photograph of a study that one of its models cannot be asked about.

    Raises:
        UserError: as `check_photos`.
    """
    from physrl.data.photos import load_photos
    from physrl.environments.renderer import make_renderer
    from physrl.evaluation.requests import photo_prompts

    models = {trial.key for trial in plan.trials} | set(plan.bases)
    cells: dict[tuple[ModelConfig, int], CellSpec] = {}
    for cell in plan.cells:
        if cell.condition.test_set == "real" and cell.subject.key in models:
            model = plan.config_of(cell.subject).model
            cells.setdefault((model.base, cell.condition.shots), cell)
    photos = load_photos(real_images) if cells else ()
    for (model, _), cell in cells.items():
        with closing(make_renderer(cell.settings.environment)) as renderer:
            prompts = photo_prompts(cell, photos, renderer)
        check_prompts(_named(prompts), model)


def check_prompts(prompts: Iterable[tuple[str, Prompt]], model: ModelConfig) -> None:
    """Refuse a prompt whose last image the model's processor refuses, or that is too long.

    The processor's own arithmetic decides, on sizes alone.

    Args:
        prompts: the name of each last image, and the prompt.

    Raises:
        UserError: names the image, its size and the remedy.
    """
    from physrl.data.collate import Collator
    from physrl.models.processor import configured_processor

    processor = configured_processor(model)
    collator = Collator(processor)
    side = processor.image_processor.patch_size * processor.image_processor.merge_size
    for image, prompt in prompts:
        height, width, _ = prompt.images[-1].shape
        name = f"{image} ({width} x {height} pixels)"
        try:
            length = collator.prompt_length(prompt)
            tokens = collator.image_tokens(prompt.images[-1])
        except ValueError as error:
            raise UserError(
                f"{name} is refused by the image processor of {model.path} "
                f"({reason_of(error)}): crop it or remove it"
            ) from None
        if length > model.max_prompt_tokens:
            room = (model.max_prompt_tokens - (length - tokens)) * side**2
            smaller = f"set model.max_pixels={room}, or " if room > 0 else "set "
            raise UserError(
                f"model.max_prompt_tokens is {model.max_prompt_tokens}, but the question about "
                f"{name} has {length} tokens: {smaller}model.max_prompt_tokens={length}"
            )


def _named(prompts: Iterable[Prompt]) -> Iterator[tuple[str, Prompt]]:
    """Name photographs by their files."""
    for prompt in prompts:
        yield f"photograph {prompt.scene_id.removeprefix('real/')}", prompt
