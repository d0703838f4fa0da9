"""Start adapters of every layout, initialisation and damage: mapped, or refused in preflight."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from jobs.checks.adapter import check_start_adapter
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.errors import UserError
from physrl.models.adapter import adapter_content
from physrl.models.adapter_names import module_name, weight_name
from physrl.models.loading import load_model
from tests.support.paths import TINY_BASE

LORA = LoRAConfig(rank=2, vision=True, projector=True)
NEW, OLD = "base_model.model.model.language_model.layers.", "base_model.model.model.layers."
SIGHT = "base_model.model.model.visual."
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the tiny base, as PEFT saves it, whose weights are not zero."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(3)
    model = load_model(ModelConfig(path=str(TINY_BASE), lora=LORA))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def change(saved: Path, tmp_path: Path) -> Callable[..., ModelConfig]:
    """Write a changed copy of the adapter, and return the model that starts from it."""

    def write(
        weights: Callable[[Weights], Weights] = lambda each: each, **settings: Any
    ) -> ModelConfig:
        folder = tmp_path / "changed"
        shutil.copytree(saved, folder, dirs_exist_ok=True)
        changed = weights(load_file(saved / "adapter_model.safetensors"))
        save_file(changed, folder / "adapter_model.safetensors", {"format": "pt"})
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | settings))
        return ModelConfig(path=str(TINY_BASE), lora=LORA, adapter=str(folder))

    return write


def renaming(*pairs: tuple[str, str]) -> Callable[[Weights], Weights]:
    def rename(weights: Weights) -> Weights:
        renamed = {}
        for key, weight in weights.items():
            for old, new in pairs:
                key = key.replace(old, new)
            renamed[key] = weight
        return renamed

    return rename


LAYOUTS = {
    "present": renaming(),
    "language of transformers 4.49": renaming((NEW, OLD)),
    "sight of transformers 4.49": renaming((SIGHT, "base_model.model.visual.")),
    "all of transformers 4.49": renaming((NEW, OLD), (SIGHT, "base_model.model.visual.")),
    "language model first": renaming((NEW, "base_model.model.language_model.model.layers.")),
    "without model": renaming((NEW, "base_model.model.language_model.layers.")),
    "adapter's name": renaming(("lora_A.", "lora_A.default."), ("lora_B.", "lora_B.default.")),
    "all at once": renaming(
        (NEW, OLD), (SIGHT, "base_model.model.visual."), ("lora_A.", "lora_A.mine.")
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hunted_layout_of_another_version_is_the_same_adapter(
    layout: str, change: Callable[..., ModelConfig], saved: Path
) -> None:
    names = json.loads((saved / "adapter_config.json").read_text())["target_modules"]
    assert isinstance(names, list)
    old = [
        name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")
        for name in names
    ]
    model = change(LAYOUTS[layout], **({"target_modules": old} if "of" in layout else {}))
    check_start_adapter(model)
    expected = load_model(model.model_copy(update={"adapter": str(saved)})).state_dict()
    found = load_model(model).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    served = load_bytes(adapter_content(Path(str(model.adapter)))["adapter_model.safetensors"])
    original = load_file(saved / "adapter_model.safetensors")
    assert served.keys() == original.keys()
    assert all(torch.equal(served[name], original[name]) for name in original)


def load_bytes(data: bytes) -> Weights:
    from safetensors.torch import load

    return load(data)


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {key: each for key, each in weights.items() if part not in key}


WRONG: dict[str, tuple[Callable[[Weights], Weights], dict[str, Any], str]] = {
    "half of the layers": (without("language_model.layers.1."), {}, "missing"),
    "one matrix": (without("layers.0.mlp.up_proj.lora_B"), {}, "missing"),
    "another width": (
        lambda weights: {
            key: each[:, :-1].contiguous() if "layers.0.mlp.up_proj.lora_A" in key else each
            for key, each in weights.items()
        },
        {},
        "shape",
    ),
    "more layers": (
        lambda weights: (
            weights
            | {
                key.replace("layers.0.", "layers.7."): each.clone()
                for key, each in weights.items()
                if "language_model.layers.0." in key
            }
        ),
        {},
        "not in the model",
    ),
    "unknown weights": (lambda weights: weights | {"extra": torch.zeros(2)}, {}, "extra"),
    "two layouts": (
        lambda weights: (
            weights
            | {key.replace(NEW, OLD): each.clone() for key, each in weights.items() if NEW in key}
        ),
        {},
        "same weight",
    ),
    **{
        f"initialisation {name}": (renaming(), {"init_lora_weights": name}, "init_lora_weights")
        for name in ("pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "PiSSA")
    },
    **{
        f"type {name}": (renaming(), {"peft_type": name}, "peft_type")
        for name in ("ADALORA", "IA3", "LOHA", "VERA", "PROMPT_TUNING", "lora2")
    },
    **{
        key: (renaming(), {key: value}, key)
        for key, value in (
            ("use_dora", True),
            ("bias", "lora_only"),
            ("modules_to_save", ["lm_head"]),
            ("rank_pattern", {"up_proj": 8}),
            ("alpha_pattern", {"up_proj": 8}),
            ("layer_replication", [[0, 1], [0, 1]]),
            ("lora_bias", True),
        )
    },
    "targets that are not there": (renaming(), {"target_modules": ["c_attn"]}, "fit"),
    "fewer targets than weights": (renaming(), {"target_modules": ["q_proj"]}, "fit"),
    "another rank in the file": (renaming(), {"r": 4}, "rank"),
}


@pytest.mark.parametrize("name", WRONG)
def test_hunted_adapter_that_does_not_fit_is_refused(
    name: str, change: Callable[..., ModelConfig]
) -> None:
    weights, settings, named = WRONG[name]
    model = change(weights, **settings)
    with pytest.raises(UserError, match=named) as caught:
        check_start_adapter(model)
    assert str(model.adapter) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("start", [True, False, "gaussian", "eva", "orthogonal"])
def test_hunted_initialisation_that_keeps_the_base_is_accepted(
    start: Any, change: Callable[..., ModelConfig]
) -> None:
    check_start_adapter(change(init_lora_weights=start))


@pytest.mark.parametrize("block", ["0.mlp.up_proj", "11.self_attn.q_proj"])
def test_hunted_names_are_mapped_once_and_for_all(block: str) -> None:
    language = f"model.language_model.layers.{block}"
    for name in (language, f"model.layers.{block}", f"language_model.model.layers.{block}"):
        assert module_name(name) == language
        assert module_name(module_name(name)) == language
        for half in ("A", "B"):
            expected = f"base_model.model.{language}.lora_{half}.weight"
            assert weight_name(f"base_model.model.{name}.lora_{half}.weight") == expected
            assert weight_name(f"{name}.lora_{half}.mine.weight") == expected
    assert module_name("visual.blocks.0.attn.qkv") == "model.visual.blocks.0.attn.qkv"
    assert module_name("model.visual.merger.mlp.0") == "model.visual.merger.mlp.0"
    assert module_name("q_proj") == "q_proj"
    assert module_name("lm_head") == "lm_head"
