"""GPU hours against hand-computed numbers."""

import pytest

from jobs.sizing.costs import (
    DECODING,
    PEAK,
    TRAINING,
    parameters,
    show,
    study_costs,
    trial_hours,
    update_seconds,
)
from physrl.config.load import validate
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.study import load_study_config
from physrl.evaluation.plan import plan_study
from tests.support.paths import TINY_BASE

SEVEN = {
    "path": "Qwen/Qwen2.5-VL-7B-Instruct",
    "max_prompt_tokens": 1000,
    "max_completion_tokens": 100,
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 7e9),
        ("Qwen/Qwen3-VL-8B-Instruct", 8e9),
        ("Qwen/Qwen2-VL-1.5B", 1.5e9),
        ("somebody/else", 7e9),
    ],
)
def test_a_model_on_the_hub_is_as_large_as_its_name_says(path: str, expected: float) -> None:
    assert parameters(ModelConfig(path=path)) == expected


def test_a_model_in_a_folder_is_as_large_as_its_files() -> None:
    size = (TINY_BASE / "model.safetensors").stat().st_size
    assert parameters(ModelConfig(path=str(TINY_BASE))) == size / 4


def test_an_adapters_update_skips_the_weights_gradient() -> None:
    full = ModelConfig(**SEVEN)
    adapted = ModelConfig(**SEVEN, lora=LoRAConfig())
    again = ModelConfig(**SEVEN, lora=LoRAConfig(), gradient_checkpointing=True)
    one = 2 * 7e9 * 10 / (PEAK * TRAINING)
    assert update_seconds(full, 10) == pytest.approx(3 * one)
    assert update_seconds(adapted, 10) == pytest.approx(2 * one)
    assert update_seconds(again, 10) == pytest.approx(3 * one)


def test_a_run_reserves_its_gpus_while_servers_and_learners_take_turns() -> None:
    run = validate(
        {
            "model": {**SEVEN, "lora": {}},
            "algorithm": {"steps": 2, "prompts_per_step": 3, "group_size": 4},
            "runtime": {"inference_servers": 2, "gpus_per_server": 1, "gpus_per_rank": 1},
        }
    )
    answers = 2 * 3 * 4
    forward = 2 * 7e9 * answers / PEAK
    reading, writing = forward * 1000 / TRAINING, forward * 100 / DECODING
    learning = 2 * forward * 1100 / TRAINING
    expected = ((reading + writing) / 2 + learning) * 3 / 3600
    assert trial_hours(run) == pytest.approx(expected)


def test_a_run_without_gpus_costs_none() -> None:
    assert trial_hours(validate({})) == 0


def test_controls_are_counted_by_themselves_and_cpus_have_no_gpu_hours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    overrides = [
        "grid.tasks=[place]",
        "grid.methods={grpo: {}, sft: {}}",
        "grid.seeds=[0, 1]",
        "adaptation=null",
        "probes=null",
        "controls.shuffled_labels=true",
    ]
    plan = plan_study(load_study_config(None, overrides))
    counts = {cost.kind: cost.count for cost in study_costs(plan)}
    assert counts["trials of the grid"] == 4
    assert counts["trials of controls"] == 2
    show(plan)
    assert "GPU hours" not in capsys.readouterr().out
