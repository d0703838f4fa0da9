"""Photographs of every size: what preflight accepts, learner and server can be asked about."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from jobs.checks.photos import check_photos, check_prompts
from physrl.config.load import load_config
from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.data.collate import Collator
from physrl.errors import ConfigError, UserError
from physrl.models.processor import configured_processor
from physrl.training_records import TrainingExample
from physrl.types import Prompt
from tests.support.paths import TINY_BASE

SIZES = [
    (height, width)
    for height in (1, 2, 3, 4, 7, 29, 84, 200, 1000, 3024)
    for width in (1, 3, 28, 199, 201, 640, 4032)
]


def ask(height: int, width: int) -> Prompt:
    image = np.zeros((height, width, 3), np.uint8)
    return Prompt.ask("real/a.png", "Will any block fall?", image)


@pytest.fixture(scope="module")
def collators() -> dict[int | None, Collator]:
    limits = (None, 784, 28_224, 200_704)
    models = {most: ModelConfig(path=str(TINY_BASE), max_pixels=most) for most in limits}
    return {most: Collator(configured_processor(model)) for most, model in models.items()}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_hunted_size_is_counted_exactly_or_refused_by_name(
    size: tuple[int, int], collators: dict[int | None, Collator]
) -> None:
    model = ModelConfig(path=str(TINY_BASE), max_prompt_tokens=100)
    if max(size) > 200 * min(size):
        with pytest.raises(UserError, match=rf"a\.png \({size[1]} x {size[0]} pixels\)"):
            check_prompts([("photograph a.png", ask(*size))], model)
        return
    check_prompts([("photograph a.png", ask(*size))], model)
    for most, collator in collators.items():
        if most != 200_704 or size[0] * size[1] < 300_000:
            inputs = collator([TrainingExample(ask(*size), (1,))])
            tokens = int(inputs.mm_token_type_ids.sum())
            assert tokens == int(inputs.image_grid_thw.prod()) // 4
            assert inputs.pixel_values.shape[0] == tokens * 4
            assert inputs.input_ids.shape[1] == collator.prompt_length(ask(*size)) + 1


@pytest.mark.parametrize("height", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 30])
def test_hunted_thin_image_keeps_its_pixels(height: int, width: int) -> None:
    processor = configured_processor(ModelConfig(path=str(TINY_BASE)))
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 255  # all red
    inputs = Collator(processor)([TrainingExample(Prompt.ask("a", "b", image), (1,))])
    red, green, blue = inputs.pixel_values.reshape(-1, 3, 2 * 14 * 14).transpose(0, 1)
    means = torch.tensor(processor.image_processor.image_mean)
    deviations = torch.tensor(processor.image_processor.image_std)
    expected = (torch.tensor([1.0, 0.0, 0.0]) - means) / deviations
    for channel, value in zip((red, green, blue), expected, strict=True):
        torch.testing.assert_close(channel, value.expand_as(channel), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(3024, 4032), (4032, 3024), (1000, 1000), (84, 900)])
@pytest.mark.parametrize("limit", [100, 256])
def test_hunted_remedy_for_a_long_question_is_sufficient(
    height: int, width: int, limit: int, tmp_path: Path
) -> None:
    PillowImage.new("RGB", (width, height)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,falls\na.png,1\n")
    most = ["model.max_pixels=12845056", f"model.max_prompt_tokens={limit}"]

    def check(*more: str) -> None:
        check_photos(load_config(None, [*most, *more]), tmp_path)

    if height * width < 100_000 and limit == 256:
        check()
        return
    with pytest.raises(UserError, match=r"a\.png .*model\.max_pixels=\d+") as caught:
        check()
    remedies = str(caught.value).rpartition(": set ")[2].split(", or ")
    assert [remedy.partition("=")[0] for remedy in remedies] == [
        "model.max_pixels",
        "model.max_prompt_tokens",
    ]
    for remedy in remedies:
        check(remedy)


def test_hunted_pixel_limits_are_those_of_the_configuration() -> None:
    model = ModelConfig(path=str(TINY_BASE), min_pixels=3_136, max_pixels=50_176)
    collator = Collator(configured_processor(model))
    assert collator.image_tokens(np.zeros((1, 1, 3), np.uint8)) == 4
    assert collator.image_tokens(np.zeros((2000, 2000, 3), np.uint8)) == 64
    with pytest.raises(ConfigError, match="min_pixels 9 above max_pixels 8"):
        load_config(None, ["model.min_pixels=9", "model.max_pixels=8"])
    assert isinstance(load_config(None, ["model.max_pixels=784"]), RunConfig)
