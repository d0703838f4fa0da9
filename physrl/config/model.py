"""Configuration of the model and its adapters."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from physrl.config.base import Section


def absolute_if_local(path: str) -> str:
    """Return a folder's absolute path, valid in every process; other text is returned unchanged."""
    folder = os.path.expanduser(path)  # unlike pathlib's, these raise nothing for odd text
    return os.path.abspath(folder) if os.path.isdir(folder) else path


MODEL_TYPES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""Supported values of `model_type` in a checkpoint's config.json."""
LocalOrHub = Annotated[str, AfterValidator(absolute_if_local)]


class LoRAConfig(Section):
    """Low-rank adapters (LoRA, by PEFT)."""

    rank: int = Field(16, le=512)
    """Rank of the adapters, at least 1."""
    alpha: int = Field(16, ge=1, le=4096)
    """Scaling of the adapters by alpha / rank."""
    rslora: bool = False
    """Scaling by alpha / sqrt(rank) instead (Kalajdzievski 2023), for ranks above about 32."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout probability of the adapters' inputs in SFT updates; RL and scoring use none."""
    language: bool = True
    """Adapt the language model's layers."""
    vision: bool = False
    """Adapt the vision tower's layers."""
    projector: bool = False
    """Adapt the projector, which maps image patches into the language model's space."""

    @field_validator("rank")
    @classmethod
    def _positive(cls, rank: int) -> int:
        if rank < 1:
            raise ValueError(
                f"is {rank}: an adapter has at least rank 1; set model.lora=null to train all "
                "weights"
            )
        return rank

    @model_validator(mode="after")
    def _adapts_something(self) -> "LoRAConfig":
        if not (self.language or self.vision or self.projector):
            raise ValueError(
                "has language, vision and projector all false: nothing would be trained; "
                "set one of them to true"
            )
        return self


class ModelConfig(Section):
    """A Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint."""

    path: LocalOrHub = Field("assets/tiny-base", validate_default=True)
    """Checkpoint folder, or name on the Hugging Face Hub."""
    revision: str | None = None
    """Commit, tag or branch of a model on the Hugging Face Hub; a commit of 40 digits pins it.
    Null: the default branch."""
    adapter: LocalOrHub | None = None
    """Adapter folder to start from; requires `lora` of the same rank."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Data type of the weights, in the learner and in vLLM."""
    lora: LoRAConfig | None = None
    """Adapters to train; null is full fine-tuning."""
    quantization: Literal["4bit"] | None = None
    """Quantization of the base under the adapters; `4bit` is NF4 (QLoRA) and needs GPUs with
    bitsandbytes."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass instead of storing them: less memory, about a
    third more time."""
    reasoning: bool = False
    """Ask for a chain of thought between <think> and </think> before the answer."""
    max_prompt_tokens: int = Field(256, ge=16)
    """Longest prompt in tokens, images included; longer ones are refused, never truncated."""
    max_images: int = Field(3, ge=1, le=64)
    """Most images in a conversation; more are refused."""
    min_pixels: int | None = Field(None, ge=1)
    """Fewest pixels of an image (its area): smaller ones are enlarged, in the learner and in vLLM.
    Null: the checkpoint's own limit."""
    max_pixels: int | None = Field(None, ge=1)
    """Most pixels of an image: larger ones are reduced. Null: the checkpoint's own limit."""
    max_completion_tokens: int = Field(24, ge=1)
    """Longest completion in tokens (TRL: max_completion_length); longer ones are truncated and
    counted in `completions/clipped_ratio`."""

    @property
    def base(self) -> "ModelConfig":
        """This model without adapters."""
        return self.model_copy(update={"lora": None, "adapter": None})

    @model_validator(mode="after")
    def _check_pixels(self) -> "ModelConfig":
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ValueError(
                f"has min_pixels {self.min_pixels} above max_pixels {self.max_pixels}: swap them"
            )
        return self

    @model_validator(mode="after")
    def _check_revision(self) -> "ModelConfig":
        if self.revision is not None and Path(self.path).is_absolute():
            raise ValueError(
                f"has revision {self.revision} but path {self.path} is a folder, which has none: "
                "set model.revision=null"
            )
        return self

    @model_validator(mode="after")
    def _quantizes_under_adapters(self) -> "ModelConfig":
        if self.quantization is not None and self.lora is None:
            raise ValueError(
                f"has quantization {self.quantization} but lora null: quantized weights cannot be "
                "trained; set model.lora.rank=16 or model.quantization=null"
            )
        return self
