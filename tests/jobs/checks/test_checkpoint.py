from pathlib import Path

import pytest

from jobs.checks import checkpoint
from jobs.checks.checkpoint import check_model, check_quantization
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.errors import UserError
from tests.support.models import write_model_config
from tests.support.paths import ROOT

MODEL = ModelConfig(max_prompt_tokens=96, max_completion_tokens=24)


def test_a_model_on_the_hub_is_checked_by_its_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model_config(tmp_path, model_type="llama")
    download = "huggingface_hub.hf_hub_download"
    revisions: list[str | None] = []

    def fetch(name: str, file: str, revision: str | None) -> str:
        revisions.append(revision)
        return str(tmp_path / file)

    monkeypatch.setattr(download, fetch)
    pinned = MODEL.model_copy(update={"revision": "abc"})
    for model in (MODEL, pinned):
        with pytest.raises(UserError, match=r"model\.path is Some/Model: .*llama"):
            check_model("model.path", "Some/Model", model)
    assert revisions == [None, "abc"]


def test_a_model_that_the_hub_does_not_have() -> None:
    with pytest.raises(UserError, match=r"model\.path is Some/Model: .*HF_HUB_OFFLINE"):
        check_model("model.path", "Some/Model", MODEL)


@pytest.mark.parametrize("path", ["/some/model", "./model", "~/model", "model", "a/b/c", "tests/x"])
def test_a_path_of_a_folder_is_not_a_hub_name(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=f"model.path is {path}: ") as caught:
        check_model("model.path", path, MODEL)
    assert "HF_HUB_OFFLINE" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_folder_without_a_models_config(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json.*model_type"):
        check_model("model.path", str(tmp_path), MODEL)


def test_a_model_of_another_family(tmp_path: Path) -> None:
    write_model_config(tmp_path, model_type="llama")
    with pytest.raises(UserError, match=r"llama.*qwen2_vl.*qwen2_5_vl"):
        check_model("model.path", str(tmp_path), MODEL)


@pytest.mark.parametrize("nested", [True, False])
def test_a_context_that_is_too_short(nested: bool, tmp_path: Path) -> None:
    longest = {"max_position_embeddings": 119}
    write_model_config(tmp_path, **({"text_config": longest} if nested else longest))
    with pytest.raises(UserError, match=r"119 .* = 96 \+ 24 = 120"):
        check_model("model.path", str(tmp_path), MODEL)


def test_a_rope_that_vllm_would_read_differently(tmp_path: Path) -> None:
    rope = {"mrope_section": [4, 6, 6]}
    write_model_config(tmp_path, model_type="qwen3_vl", text_config={"rope_parameters": rope})
    with pytest.raises(UserError, match=r"text_config\.rope_parameters\.mrope_interleaved"):
        check_model("model.path", str(tmp_path), MODEL)
    rope |= {"mrope_interleaved": True}
    write_model_config(tmp_path, model_type="qwen3_vl", text_config={"rope_scaling": rope})
    check_model("model.path", str(tmp_path), MODEL)


def test_four_bits_without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"model\.quantization.*4bit.*pip install bitsandbytes"):
        check_quantization(ModelConfig(quantization="4bit", lora=LoRAConfig()))
    check_quantization(MODEL)
