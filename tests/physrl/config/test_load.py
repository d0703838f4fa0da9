from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from physrl.config import RunConfig, load_config
from physrl.config.algorithm import GRPOConfig, GSPOConfig, SFTConfig
from physrl.config.load import dump_yaml, merge, parse_override, validate
from physrl.errors import ConfigError

KEYS = st.sampled_from(["a", "b", "algorithm", "type"])
TREES = st.dictionaries(
    KEYS, st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(KEYS, inner)), max_size=4
)


@given(TREES)
def test_merge_with_nothing_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, {}) == tree
    assert merge({}, tree) == tree


@given(TREES, TREES)
def test_merge_twice_is_merge_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    assert merge(merge(base, over), over) == merge(base, over)


@given(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), min_size=1), st.integers())
def test_override_sets_its_value_at_its_path(names: list[str], value: int) -> None:
    tree: Any = parse_override(f"{'.'.join(names)}={value}")
    for name in names:
        tree = tree[name]
    assert tree == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=null", None), ("a=[2, 4]", [2, 4]), ("a=true", True), ("a=x=y", "x=y"), ("a=", None)],
)
def test_override_values_are_yaml(text: str, value: Any) -> None:
    assert parse_override(text) == {"a": value}


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a b=1", "a=[1", ".a=1"])
def test_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="override"):
        parse_override(text)


def test_changed_type_replaces_the_table(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("algorithm: {type: grpo, clip_low: 0.3, lr: 1.0e-2}\n")
    assert load_config(file, ["algorithm.type=gspo"]).algorithm == GSPOConfig()


@pytest.mark.parametrize(
    "overrides",
    list(permutations(["algorithm.lr=1e-3", "algorithm.steps=7", "algorithm.type=gspo"])),
)
def test_overrides_hold_in_any_order(overrides: tuple[str, ...]) -> None:
    assert load_config(None, overrides).algorithm == GSPOConfig(lr=1e-3, steps=7)


def test_naming_the_warm_starts_only_type_keeps_the_table(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("warm_start: {steps: 7}\n")
    assert load_config(file, ["warm_start.type=sft"]).warm_start == SFTConfig(steps=7)


def test_naming_the_default_type_keeps_the_table() -> None:
    config = load_config(None, ["algorithm.steps=7", "algorithm.type=grpo"])
    assert config.algorithm == GRPOConfig(steps=7)


def test_scientific_notation_is_a_number() -> None:
    assert load_config(None, ["algorithm.lr=1e-3"]).algorithm.lr == 1e-3


def test_types_choose_classes() -> None:
    assert isinstance(load_config(None, ["algorithm.type=gspo"]).algorithm, GSPOConfig)
    assert isinstance(load_config(None, ["algorithm.type=sft"]).algorithm, SFTConfig)


def test_batches_need_not_be_divisible_by_updates_and_ranks() -> None:
    overrides = ["runtime.learner_ranks=2", "algorithm.prompts_per_step=3"]
    overrides += ["algorithm.group_size=3", "algorithm.updates_per_rollout=2"]
    assert load_config(None, overrides).algorithm.completions_per_step == 9


def test_file_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("name: one\nmodel: {lora: {rank: 8}}\n")
    config = load_config(file, ["name=two", "model.lora.alpha=32"])
    assert config.name == "two"
    assert config.model.lora is not None
    assert (config.model.lora.rank, config.model.lora.alpha) == (8, 32)


@pytest.mark.parametrize("name", ["bnpo", "cispo", "dapo", "dr_grpo", "grpo", "gspo", "sft"])
def test_every_algorithm_dumps_and_loads_back(name: str) -> None:
    config = load_config(None, [f"algorithm.type={name}"])
    assert config.algorithm.type == name
    assert validate(yaml.safe_load(dump_yaml(config))) == config


def test_dump_loads_back() -> None:
    config = load_config(None, ["model.lora.rank=4", "evaluation.real_images=photos"])
    assert validate(yaml.safe_load(dump_yaml(config))) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["typo=1"], "unknown key 'typo'"),
        (["algorithm.typo=1"], "unknown key 'algorithm.typo'"),
        (["seed=many"], "seed is 'many'"),
        (["algorithm.group_size=1"], "algorithm.group_size is 1.*at least 2"),
        (["model.lora.rank=0"], "model.lora.rank is 0.*model.lora=null"),
        (
            ["algorithm.beta=0.1", "algorithm.reference=base"],
            "algorithm.reference is base but model.lora is null",
        ),
        (
            ["algorithm.overlong_cache=99"],
            "algorithm.overlong_cache is 99 .* model.max_completion_tokens = 24",
        ),
        (
            ["algorithm.importance_sampling_min=4"],
            "^algorithm .*importance_sampling_min 4 .*importance_sampling_max 3",
        ),
        (
            ["algorithm.multi_objective_aggregation=normalize_then_sum"],
            "algorithm has scale_rewards group and baseline group, but .* set scale_rewards=batch",
        ),
        (["algorithm.reward_weights.success=2"], "algorithm has reward_weights, which only"),
        (
            [
                "algorithm.multi_objective_aggregation=normalize_then_sum",
                "algorithm.scale_rewards=batch",
                "algorithm.reward_weights.speed=2",
            ],
            r"reward_weights names 'speed'.*success, .*overlong",
        ),
        (["algorithm.type=dapo", "data=runs/data"], r"data is .*set algorithm\.max_refills=0"),
        (["algorithm.delta=1.1"], r"^algorithm .*delta 1\.1 .*clip_high 1\.2"),
        (["environment.num_blocks=[4, 2]"], r"environment has num_blocks \[4, 2\]"),
        (["algorithm.updates_per_rollout=257"], "^algorithm .*updates_per_rollout 257 .*256"),
        (
            ["warm_start.prompts_per_step=1", "warm_start.updates_per_rollout=2"],
            "^warm_start .*updates_per_rollout 2 .*1",
        ),
        (["algorithm.type=ppo"], r"algorithm\.type is 'ppo'"),
        (["algorithm.type=gspo", "algorithm.lr=fast"], "^algorithm.lr is 'fast'"),
        (["reward.type=paper", "reward.height=1"], "unknown key 'reward.height'"),
        (["algorithm.lr=.inf"], "algorithm.lr is inf"),
        (["reward.success=.nan"], "reward.success is nan"),
        (["environment.margin=[0.1, .nan]"], "environment.margin.1 is nan"),
        (["environment.margin=[0, 0.4]"], "environment.margin.0 is 0: .* equal to 0.02"),
        (["environment.margin=0.6"], r"environment.margin is 0.6: write .* \[low, high\]"),
        (["environment.num_blocks=3"], r"environment.num_blocks is 3: write .* \[low, high\]"),
        (["algorithm.betas=[0.9, 1]"], "algorithm.betas.1 is 1"),
        (["seed=2147483648"], "seed is 2147483648"),
        (["model.lora.rank=513"], "model.lora.rank is 513"),
        (["model.lora.dropout=1"], "model.lora.dropout is 1"),
        (["model.lora.dropout=0.1"], "model.lora.dropout is 0.1 but .* model.lora.dropout=0"),
        (["model.quantization=4bit"], "model has quantization 4bit but lora null: quantized"),
        (
            ["model.quantization=4bit", "model.lora.rank=16", "runtime.gpus_per_rank=1"],
            "model.quantization is 4bit: needs a GPU with bitsandbytes; set runtime.gpus_per_rank",
        ),
        (
            [
                "model.quantization=4bit",
                "model.lora.rank=16",
                "runtime.gpus_per_rank=1",
                "runtime.gpus_per_server=1",
                "runtime.zero_stage=3",
            ],
            "model.quantization is 4bit but runtime.zero_stage is 3.* set runtime.zero_stage=2",
        ),
        (["runtime.gpus_per_rank=0.5"], "runtime.gpus_per_rank is 0.5: input should be 0 or 1"),
        (
            ["runtime.gpus_per_server=1", "runtime.vllm.tensor_parallel_size=2"],
            "runtime has gpus_per_server 1, .* 2 .* set runtime.gpus_per_server=2",
        ),
        (["runtime.gpus_per_server=1.5"], "runtime has gpus_per_server 1.5, .* over 1 "),
        (
            ["runtime.vllm.distributed_executor_backend=ray"],
            "runtime has vllm.distributed_executor_backend 'ray': .* remove the key",
        ),
        (["algorithm.max_refills=101"], "algorithm.max_refills is 101: .* equal to 100"),
        (["runtime.offload=optimizer"], "runtime has offload optimizer but gpus_per_rank 0"),
        (
            ["runtime.offload=optimizer", "runtime.gpus_per_rank=1"],
            "runtime has offload optimizer but zero_stage 0: .* set runtime.zero_stage=1",
        ),
        (
            ["runtime.offload=all", "runtime.gpus_per_rank=1", "runtime.zero_stage=2"],
            "runtime has offload all but zero_stage 2: .* set runtime.zero_stage=3",
        ),
        (
            ["evaluation.tasks=[]"],
            r"tasks is \[\]: name at least one of stability, judge, stabilize",
        ),
        (["evaluation.tasks=[place, place]"], r"evaluation.tasks is \[place, place\].* none twice"),
        (["seed=-1", "typo=1"], r"seed is -1: .*; and unknown key 'typo'"),
        (["lr=1"], r"unknown key 'lr': did you mean algorithm\.lr\?"),
        (["algorithm.learning_rate=1"], r"did you mean algorithm\.lr\?"),
        (["algorithm.num_generations=8"], r"did you mean algorithm\.group_size\?"),
        (
            ["evaluation.tasks=place"],
            r"evaluation.tasks is 'place': write a list, such as \[place\]",
        ),
        (["reward.sucess=1"], r"did you mean reward\.success\?"),
        (["enviroment.camera=held_out"], r"did you mean environment\?"),
        (["environment.camera=heldout"], "did you mean held_out"),
        (["algorithm.type=grpoo"], "did you mean grpo"),
        (["task=placex"], "did you mean place_x"),
        (["model.lora.alfa=1"], r"did you mean model\.lora\.alpha\?"),
        (["xyzzy=1"], "unknown key 'xyzzy': remove it"),
        (
            ["seed=-1", "algorithm.lr=fast", "evaluation.scnes=1"],
            "seed is -1.*algorithm.lr is 'fast'.*did you mean evaluation.scenes",
        ),
    ],
)
def test_mistakes_are_one_line_with_value(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- 1\n", "holds a list, not a table of keys: write lines such as 'seed: 1'"),
        (b"a: [1", "not valid YAML"),
        (b"\xff\xfe", "cannot be read: it is not UTF-8 text: name a readable YAML file"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(file)


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        load_config(Path("nowhere.yaml"))


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("")
    assert load_config(file) == RunConfig()


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory: name"):
        load_config(tmp_path)


def test_folders_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assets" / "tiny-base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    config = RunConfig()
    assert config.output == tmp_path / "runs"
    assert config.model.path == str(tmp_path / "assets" / "tiny-base")
    assert load_config(None, ["model.adapter=assets"]).model.adapter == str(tmp_path / "assets")


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    overrides = ["output=~/runs", "model.path=~/model", "evaluation.real_images=~/photos"]
    config = load_config(None, overrides)
    assert config.output == tmp_path / "runs"
    assert config.model.path == str(tmp_path / "model")
    assert config.evaluation.real_images == tmp_path / "photos"


@pytest.mark.parametrize("path", ["Qwen/Qwen2.5-VL-3B-Instruct", "./nowhere", "~/nowhere"])
def test_what_is_no_folder_stays_as_written(path: str) -> None:
    assert load_config(None, [f"model.path={path}"]).model.path == path


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["auxiliary.mode=separate"], r"^auxiliary\.mode is separate .*algorithm\.type is grpo"),
        (["auxiliary.mode=after"], r"^auxiliary\.mode is 'after'"),
        (["auxiliary.type=depth"], r"^auxiliary\.type is 'depth'"),
        (["auxiliary.weight=0"], r"^auxiliary\.weight is 0"),
        (["auxiliary.weight=.inf"], r"^auxiliary\.weight is inf"),
        (["auxiliary.share=1"], r"unknown key 'auxiliary\.share'"),
        (
            [
                "algorithm={multi_objective_aggregation: normalize_then_sum, scale_rewards: batch, "
                "reward_weights: {outcome: 2}}"
            ],
            r"^algorithm\.reward_weights names 'outcome'",
        ),
    ],
)
def test_a_wrong_auxiliary_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


def test_the_auxiliary_of_a_run() -> None:
    assert load_config(None).auxiliary is None
    before = load_config(
        None,
        [
            "auxiliary.weight=0.5",
            "algorithm={multi_objective_aggregation: normalize_then_sum, scale_rewards: batch, "
            "reward_weights: {outcome: 2}}",
        ],
    ).auxiliary
    assert before is not None
    assert (before.type, before.predicts, before.weight) == ("outcome", True, 0.5)
    taught = load_config(None, ["auxiliary.mode=separate", "algorithm.type=sft"]).auxiliary
    assert taught is not None
    assert not taught.predicts


@pytest.mark.parametrize(
    ("overrides", "layers", "all_of_it"),
    [
        ([], 1, 1),
        (["runtime.gpus_per_server=0.5"], 1, 1),
        (["runtime.gpus_per_server=4"], 4, 4),
        (["runtime.gpus_per_server=4", "runtime.vllm.pipeline_parallel_size=2"], 2, 4),
        (["runtime.vllm.tensor_parallel_size=2"], 2, 2),
    ],
)
def test_a_server_is_split_over_its_gpus(overrides: list[str], layers: int, all_of_it: int) -> None:
    runtime = load_config(None, overrides).runtime
    assert (runtime.tensor_parallel_size, runtime.server_shards) == (layers, all_of_it)
