"""Collation of prompts and completions into the input tensors of a Qwen-VL model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from physrl.data.rows import share_rows
from physrl.errors import GenerationError
from physrl.training_records import TrainingExample
from physrl.types import Image, Prompt

VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")

Outline = tuple[tuple[str, str, int], ...]
"""A conversation without its images: role, text and number of images of each turn."""


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """A micro-batch of E examples in R right-padded rows of length T with P images.

    A row holds a prompt followed by the completions of all examples that share it (`share_rows`).
    Each image is stored once, even if several rows show it. Without images there is a single blank
    one, so that the vision tower runs on every rank of the learner.
    """

    input_ids: Tensor
    """R x T."""
    segments: Tensor
    """R x T: 0 for the prompt, n for the row's n-th completion, -1 for padding."""
    skipped: Tensor
    """R x T: number of tokens of other completions between a token and its prompt."""
    mm_token_type_ids: Tensor
    """R x T: 1 for image tokens, else 0."""
    completion_lengths: Tensor
    """E, in the order of the rows."""
    pixel_values: Tensor
    image_grid_thw: Tensor
    """P x 3."""
    images_of_row: tuple[tuple[int, ...], ...]
    """Indices of the images of each row, in order."""

    @property
    def attention_mask(self) -> Tensor:
        """R x T: 0 for padding, else 1."""
        return (self.segments >= 0).long()

    @property
    def completion_mask(self) -> Tensor:
        """R x T, bool: completion tokens, whose log-probabilities are computed."""
        return self.segments > 0

    def to(self, device: torch.device) -> "ModelInputs":
        """Copy all tensors to a device."""
        moved = {
            name: value.to(device) if isinstance(value := getattr(self, name), Tensor) else value
            for name in self.__dataclass_fields__
        }
        return ModelInputs(**moved)


class Collator:
    """A collator of examples into micro-batches, using a model's processor and chat template."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._image_token_id = int(processor.image_token_id)
        self._merge = int(processor.image_processor.merge_size) ** 2
        side = int(processor.image_processor.patch_size * processor.image_processor.merge_size)
        self._blank: Image = np.zeros((side, side, 3), np.uint8)
        self._chat_text = lru_cache(maxsize=256)(self._apply_template)
        self._text_ids = lru_cache(maxsize=256)(self._encode_text)

    @property
    def eos_token_id(self) -> int:
        return int(self._tokenizer.eos_token_id)

    @property
    def banned_token_ids(self) -> tuple[int, ...]:
        """Vision tokens, which no completion may contain because scoring them would fail."""
        return tuple(self._tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)))

    def completion_ids(self, text: str) -> tuple[int, ...]:
        """Tokenize a target completion and append the end-of-turn token."""
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return (*ids, self.eos_token_id)

    def chat_text(self, prompt: Prompt) -> str:
        """Format a conversation with the model's chat template, with a placeholder per image."""
        return self._chat_text(_outline(prompt))

    def text_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """Tokenize a prompt with a single placeholder per image."""
        return tuple(self._text_ids(_outline(prompt)))

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """Tokenize a prompt and repeat each placeholder once per token of its image."""
        repeats = map(self.image_tokens, prompt.images)
        ids: list[int] = []
        for token in self.text_ids(prompt):
            ids += [token] * (next(repeats) if token == self._image_token_id else 1)
        return tuple(ids)

    def prompt_length(self, prompt: Prompt) -> int:
        """Compute the number of tokens of `prompt_ids`."""
        text = len(self._text_ids(_outline(prompt))) - len(prompt.images)
        return text + sum(map(self.image_tokens, prompt.images))

    def image_tokens(self, image: Image) -> int:
        """Compute the number of tokens of an image from its size.

        Raises:
            ValueError: the image processor refuses the size.
        """
        height, width, _ = image.shape
        patches = self._processor.image_processor.get_number_of_image_patches(height, width)
        return int(patches) // self._merge

    def __call__(self, examples: Sequence[TrainingExample]) -> ModelInputs:
        """Collate examples into one micro-batch.

        Raises:
            GenerationError: an example has no completion.
        """
        if any(not example.completion_ids for example in examples):
            raise GenerationError("a training example has no completion")
        shared = share_rows(examples, self.prompt_length)
        prompts = [examples[first].prompt for first, *_ in shared]
        images = {id(image): image for prompt in prompts for image in prompt.images}
        positions = {identity: position for position, identity in enumerate(images)}
        images_of_row = tuple(
            tuple(positions[id(image)] for image in prompt.images) for prompt in prompts
        )
        pixel_values, grids = self._process_images(list(images.values()) or [self._blank])
        rows = [
            _Row(self.prompt_ids(prompt), [examples[index].completion_ids for index in indices])
            for prompt, indices in zip(prompts, shared, strict=True)
        ]
        shape = (len(rows), max(len(row.ids) for row in rows))
        # NumPy converts lists several times faster than torch.
        input_ids = np.full(shape, int(self._tokenizer.pad_token_id), np.int64)
        segments = np.full(shape, -1, np.int64)
        skipped = np.zeros(shape, np.int64)
        for index, row in enumerate(rows):
            length = len(row.ids)
            input_ids[index, :length] = row.ids
            segments[index, :length] = row.segments
            skipped[index, :length] = row.skipped
        types = ((input_ids == self._image_token_id) & (segments == 0)).astype(np.int64)
        lengths = np.array([len(example.completion_ids) for example in examples])
        return ModelInputs(
            torch.from_numpy(input_ids),
            torch.from_numpy(segments),
            torch.from_numpy(skipped),
            torch.from_numpy(types),
            torch.from_numpy(lengths),
            pixel_values,
            grids,
            images_of_row,
        )

    def _apply_template(self, outline: Outline) -> str:
        messages = [
            {
                "role": role,
                "content": [*[{"type": "image"}] * num_images, {"type": "text", "text": text}],
            }
            for role, text, num_images in outline
        ]
        return str(self._processor.apply_chat_template(messages, add_generation_prompt=True))

    def _process_images(self, images: Sequence[Image]) -> tuple[Tensor, Tensor]:
        """Compute the patches of all images (patches x features) and their grids (images x 3)."""
        # Copies: images from Ray's object store are read-only, which torch does not support. The
        # format is named, because heights of 1 or 3 pixels look like channels.
        tensors = [torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images]
        output = self._processor.image_processor(
            images=tensors, input_data_format="channels_first", return_tensors="pt"
        )
        return output["pixel_values"], output["image_grid_thw"]

    def _encode_text(self, outline: Outline) -> list[int]:
        return list(
            self._tokenizer(self._chat_text(outline), add_special_tokens=False)["input_ids"]
        )


class _Row:
    """A row of tokens: a prompt and its completions."""

    def __init__(self, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> None:
        self.ids = list(prompt)
        self.segments = [0] * len(prompt)
        self.skipped = [0] * len(prompt)
        for number, completion in enumerate(completions, start=1):
            self.skipped += [len(self.ids) - len(prompt)] * len(completion)
            self.segments += [number] * len(completion)
            self.ids += completion


def _outline(prompt: Prompt) -> Outline:
    return tuple((turn.role, turn.text, len(turn.images)) for turn in prompt.turns)
