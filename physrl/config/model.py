"""Which model is trained, and which of its weights."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from physrl.config.base import Section


def absolute_if_local(path: str) -> str:
    """A folder's absolute path, which actors find from anywhere; any other text as it is."""
    folder = Path(path).expanduser()
    return str(folder.absolute()) if folder.is_dir() else path


MODEL_TYPES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""What a checkpoint's config.json may name as its `model_type`."""
LocalOrHub = Annotated[str, AfterValidator(absolute_if_local)]


class LoRAConfig(Section):
    """Low-rank adapters (PEFT)."""

    rank: int = Field(16, le=512)
    """The adapters' inner width, at least 1."""
    alpha: int = Field(16, ge=1, le=4096)
    """The adapters are scaled by alpha / rank."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (Kalajdzievski 2023): for ranks above 32 or so."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Of the adapters' inputs in SFT updates; reinforcement and scoring never drop anything."""
    language: bool = True
    """Adapt the language model's layers."""
    vision: bool = False
    """Adapt the vision tower's layers."""
    projector: bool = False
    """Adapt the layers that merge patches into the language model's space."""

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
    """A checkpoint folder, or a name on the hub."""
    adapter: LocalOrHub | None = None
    """An adapter folder to start from; needs `lora` of the same rank."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights, in the learner and in vLLM."""
    lora: LoRAConfig | None = None
    """Adapters to train; null trains all weights."""
    quantization: Literal["4bit"] | None = None
    """`4bit` holds the base in NF4 (QLoRA) under the adapters; needs GPUs and bitsandbytes."""
    gradient_checkpointing: bool = False
    """Compute activations again on the way back instead of keeping them: less memory, a third
    more time."""
    reasoning: bool = False
    """Ask the model to think between <think> and </think> before it answers."""
    max_prompt_tokens: int = Field(256, ge=16)
    """Longer prompts are refused, never cut."""
    max_images: int = Field(3, ge=1, le=64)
    """Most pictures of one conversation; more are refused."""
    max_completion_tokens: int = Field(24, ge=1)
    """Longer completions are cut and counted in completions/clipped_ratio."""

    @model_validator(mode="after")
    def _quantizes_under_adapters(self) -> "ModelConfig":
        if self.quantization is not None and self.lora is None:
            raise ValueError(
                f"has quantization {self.quantization} but lora null: quantized weights cannot be "
                "trained; set model.lora.rank=16 or model.quantization=null"
            )
        return self
