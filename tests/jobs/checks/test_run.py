import json
import socket
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from jobs.checks import run as preflight
from physrl.config import load_config
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.errors import ConfigError, SceneError, UserError
from physrl.tasks import placing
from tests.support.paths import DEMO, ROOT

MODEL = ModelConfig(max_prompt_tokens=96, max_completion_tokens=24)


def write_model(folder: Path, **settings: object) -> None:
    """A checkpoint as far as these checks look."""
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"} | settings))


def test_a_model_on_the_hub_is_checked_by_its_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, model_type="llama")
    download = "huggingface_hub.hf_hub_download"
    monkeypatch.setattr(download, lambda name, file: str(tmp_path / file))
    with pytest.raises(UserError, match=r"model\.path is Some/Model: a model of type llama"):
        preflight.check_model("model.path", "Some/Model", MODEL)


def test_a_model_that_the_hub_does_not_give() -> None:
    with pytest.raises(UserError, match="no such folder, and the hub does not give it"):
        preflight.check_model("model.path", "Some/Model", MODEL)


@pytest.mark.parametrize("path", ["/some/model", "./model", "~/model", "model", "a/b/c", "tests/x"])
def test_what_looks_like_a_folder_must_be_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match="no such folder"):
        preflight.check_model("model.path", path, MODEL)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_folder_without_a_models_config(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="so it is no checkpoint; name one"):
        preflight.check_model("model.path", str(tmp_path), MODEL)


def test_a_model_of_another_family(tmp_path: Path) -> None:
    write_model(tmp_path, model_type="llama")
    with pytest.raises(UserError, match="a model of type llama; name one of qwen2_vl, qwen2_5_vl"):
        preflight.check_model("model.path", str(tmp_path), MODEL)


@pytest.mark.parametrize("nested", [True, False])
def test_a_model_that_reads_too_little(nested: bool, tmp_path: Path) -> None:
    longest = {"max_position_embeddings": 119}
    write_model(tmp_path, **({"text_config": longest} if nested else longest))
    with pytest.raises(UserError, match=r"at most 119 tokens, but .* = 96 \+ 24 = 120: lower"):
        preflight.check_model("model.path", str(tmp_path), MODEL)


def test_a_good_configuration_passes_and_its_folder_exists(tmp_path: Path) -> None:
    write_model(tmp_path, text_config={"max_position_embeddings": 280})
    config = load_config(None, [f"model.path={tmp_path}", f"output={tmp_path / 'runs'}"])
    preflight.check(config)
    assert config.folder.is_dir()
    assert not any(config.folder.iterdir())


def test_scenes_that_the_margin_does_not_admit(tmp_path: Path) -> None:
    write_model(tmp_path)
    impossible = ["environment.margin=[0.499, 0.5]", "environment.num_blocks=[2, 6]"]
    overrides = [f"model.path={tmp_path}", f"output={tmp_path / 'runs'}", *impossible]
    with pytest.raises(SceneError, match=r"environment\.margin"):
        preflight.check(load_config(None, overrides))


@pytest.mark.parametrize("key", ["colors", "camera", "wording"])
def test_what_is_held_out_is_not_trained_on(key: str) -> None:
    config = load_config(None, [f"environment.{key}=held_out"])
    with pytest.raises(ConfigError, match=rf"environment\.{key} is held_out, .*{key}=seen"):
        preflight.check_training(config.environment)


def test_what_is_seen_is_trained_on() -> None:
    preflight.check_training(load_config(DEMO).environment)


def test_towers_that_carry_no_other_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path)
    monkeypatch.setattr(placing, "best_shift", lambda stack, index: (0.0, 0.0))
    overrides = [f"model.path={tmp_path}", f"output={tmp_path / 'runs'}"]
    with pytest.raises(SceneError, match=r"towers of 1 blocks .* 0\.05: lower environment\.margin"):
        preflight.check(load_config(None, overrides))


def test_a_joined_clusters_dashboard_holds_the_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path)
    monkeypatch.setattr(preflight, "announced_address", lambda: "auto")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"runtime.dashboard_port={server.getsockname()[1]}"
        overrides = [f"model.path={tmp_path}", f"output={tmp_path}", "runtime.dashboard=true", port]
        preflight.check(load_config(None, overrides))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.max_images=2", "set model.max_images=3"),
        ("model.max_prompt_tokens=200", r"last attempt's prompt of place_closed_loop has up to 2"),
    ],
)
def test_conversations_that_do_not_fit(tmp_path: Path, override: str, message: str) -> None:
    overrides = ["task=place_closed_loop", f"output={tmp_path}", override]
    with pytest.raises(UserError, match=message):
        preflight.check(load_config(None, overrides))


@pytest.mark.parametrize("kind", ["algorithm", "warm_start"])
def test_ideal_answers_that_do_not_fit(tmp_path: Path, kind: str) -> None:
    overrides = ["task=place", f"output={tmp_path}", "model.max_completion_tokens=9"]
    preflight.check(load_config(None, overrides))  # whose model says what fits
    overrides += [f"{kind}={{type: sft, steps: 1}}", "auxiliary={mode: inline}"]
    with pytest.raises(UserError, match="to be imitated have up to") as caught:
        preflight.check(load_config(None, overrides))
    remedy = str(caught.value).rpartition("set ")[2]
    preflight.check(load_config(None, [*overrides, remedy]))
    assert int(remedy.rpartition("=")[2]) < 40


def test_the_demo_passes() -> None:
    preflight.check_demo(load_config(DEMO))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["warm_start=null"], "set warm_start and an RL algorithm"),
        (["algorithm.type=sft"], "set warm_start and an RL algorithm"),
        (
            ["algorithm.prompts_per_step=1"],
            r"algorithm\.updates_per_rollout is 2 .*algorithm\.prompts_per_step = 1 ",
        ),
    ],
)
def test_what_the_demo_cannot_compare(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        preflight.check_demo(load_config(DEMO, overrides))


SFT = DEMO.parent / "sft.yaml"


@pytest.mark.parametrize(
    ("config", "overrides", "message"),
    [
        (DEMO, [], "algorithm.type is grpo, which needs completions: set algorithm.type=sft"),
        (SFT, ["warm_start.steps=2"], "warm_start is set before SFT: set warm_start=null"),
        (SFT, ["evaluation.every=5"], "evaluation.every is 5, .* set evaluation.every=0"),
    ],
)
def test_what_sft_alone_cannot_do(config: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        preflight.check_sft(load_config(config, overrides))


def test_sft_alone_passes() -> None:
    preflight.check_sft(load_config(SFT))


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(UserError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        preflight.check(load_config(DEMO))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], None),
        (["model.lora.rank=8"], "model.lora.rank is 8 but .* has rank 4: set model.lora.rank=4"),
        (["model.lora.alpha=8"], "model.lora.alpha is 8 but .* has alpha 16"),
        (["model.lora.rslora=true"], "rslora is true but .* rslora false: set .*rslora=false"),
        (["model.lora.vision=false"], "vision is false but .* set model.lora.vision=true"),
        (["model.lora.projector=true"], "projector is true but .* set model.lora.projector=false"),
    ],
)
def test_a_start_adapter_is_what_the_configuration_says(
    overrides: list[str],
    message: str | None,
    tmp_path: Path,
    save_adapter: Callable[[Path, LoRAConfig], None],
) -> None:
    save_adapter(tmp_path / "adapter", LoRAConfig(rank=4, vision=True))
    keys = ["model.lora.rank=4", "model.lora.vision=true", f"model.adapter={tmp_path / 'adapter'}"]
    config = load_config(None, [*keys, f"output={tmp_path}", *overrides])
    with pytest.raises(UserError, match=message) if message else nullcontext():
        preflight.check(config)


def test_a_checkpoint_that_vllm_would_read_differently(tmp_path: Path) -> None:
    rope = {"mrope_section": [4, 6, 6]}
    write_model(tmp_path, model_type="qwen3_vl", text_config={"rope_parameters": rope})
    with pytest.raises(UserError, match="does not say mrope_interleaved"):
        preflight.check_model("model.path", str(tmp_path), MODEL)
    rope |= {"mrope_interleaved": True}
    write_model(tmp_path, model_type="qwen3_vl", text_config={"rope_scaling": rope})
    preflight.check_model("model.path", str(tmp_path), MODEL)


def test_four_bits_without_bitsandbytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    keys = ["model.quantization=4bit", "model.lora.rank=16", f"output={tmp_path}"]
    gpus = ["runtime.gpus_per_rank=1", "runtime.gpus_per_server=1"]
    with pytest.raises(UserError, match="is 4bit but bitsandbytes is not installed: pip install"):
        preflight.check(load_config(None, [*keys, *gpus]))
