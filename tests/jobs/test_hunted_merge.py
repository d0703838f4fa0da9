"""`physrl merge` writes plain weights that score as the checkpoint does."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.models.loading import load_model, save_model
from physrl.models.processor import load_processor
from tests.support.command_line import call, call_refused
from tests.support.paths import TINY_BASE

LORA = LoRAConfig(rank=3, alpha=9, rslora=True, vision=True, projector=True)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Step folders with an adapter and with full weights, both moved away from the base."""
    found = {}
    torch.manual_seed(4)
    for form, lora in (("adapter", LORA), ("model", None)):
        found[form] = tmp_path_factory.mktemp(form) / "step-00000007"
        model = load_model(ModelConfig(path=str(TINY_BASE), lora=lora))
        for name, weight in model.named_parameters():
            if "lora_B" in name or (lora is None and "layers.0" in name):
                weight.data += 0.02 * torch.randn_like(weight)
        processor = load_processor(str(TINY_BASE))
        save_model(model, processor, found[form], dict(model.state_dict()))
    return found


@pytest.mark.parametrize("form", ["adapter", "model"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_hunted_merged_checkpoint_loads_without_this_project(
    form: str, dtype: str, steps: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "merged"
    code, printed, errors = call(capsys, "merge", steps[form], "--out", out, "--dtype", dtype)
    assert (code, "nats" in printed) == (0, True), errors
    weights = load_file(out / "model.safetensors")
    assert {str(each.dtype) for each in weights.values()} == {f"torch.{dtype}"}
    assert not any("lora" in name for name in weights)
    merged = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float32)
    assert AutoProcessor.from_pretrained(out).tokenizer.eos_token_id is not None
    assert "step-00000007" in (out / "README.md").read_text()
    base = AutoModelForImageTextToText.from_pretrained(TINY_BASE, dtype=torch.float32)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        difference = (merged(input_ids=ids).logits - base(input_ids=ids).logits).abs().max()
    assert difference > 1e-2  # the training is in it


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "nowhere"),
        (["{adapter}", "--base", "nowhere"], "nowhere"),
        (["{adapter}", "--dtype", "int8"], "--dtype"),
        (["s3://bucket/run"], "s3://bucket/run"),
    ],
)
def test_hunted_checkpoint_that_cannot_be_merged_is_refused(
    arguments: list[str], named: str, steps: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [each.replace("{adapter}", str(steps["adapter"])) for each in arguments]
    assert named in call_refused(capsys, "merge", *given, "--out", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    line = call_refused(capsys, "merge", steps["adapter"], "--out", tmp_path / "full")
    assert "--out" in line
    base = json.loads((steps["adapter"] / "adapter" / "adapter_config.json").read_text())
    assert base["base_model_name_or_path"] == str(TINY_BASE)


def test_hunted_adapter_over_4_bit_weights_is_merged_into_plain_ones_if_meant(
    steps: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    step = run / "checkpoints" / "step-00000007"
    shutil.copytree(steps["adapter"], step)
    (run / "config.yaml").write_text(
        f"model: {{path: {TINY_BASE}, quantization: 4bit, lora: {{rank: 3}}}}\n"
        "runtime: {gpus_per_server: 1, gpus_per_rank: 1}\n"
    )
    line = call_refused(capsys, "merge", step, "--out", tmp_path / "out")
    assert "4bit" in line
    assert f"--base {TINY_BASE}" in line
    given = ("merge", step, "--out", tmp_path / "out", "--base", TINY_BASE, "--dtype", "float32")
    code, printed, errors = call(capsys, *given)
    assert (code, "nats" in printed) == (0, True), errors


def test_hunted_base_of_quantized_weights_is_refused(
    steps: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base"
    shutil.copytree(TINY_BASE, base)
    settings = json.loads((base / "config.json").read_text())
    for quantized, named in (({"quant_method": "bitsandbytes"}, "bitsandbytes"), ([], "config")):
        changed = settings | {"quantization_config": quantized}
        (base / "config.json").write_text(json.dumps(changed))
        given = ("merge", steps["adapter"], "--out", tmp_path / "out", "--base", base)
        line = call_refused(capsys, *given)
        assert "quantized" in line
        assert named in line
