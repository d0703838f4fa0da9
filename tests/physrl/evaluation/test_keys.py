from pathlib import Path

from physrl.evaluation.plan import plan_study
from tests.support.small_studies import small_study


def test_keys_depend_on_the_inputs_of_a_result_alone() -> None:
    def keys(*overrides: str) -> dict[str, str]:
        plan = plan_study(small_study(*overrides))
        return {trial.name: trial.key for trial in plan.trials} | {
            f"{cell.subject.name}/{cell.condition.task}/{cell.condition.protocol}": cell.key
            for cell in plan.cells
        }

    default = keys()
    assert keys("name=other", "base.output=elsewhere", "base.runtime.threads=2") == default
    other = keys("base.algorithm.lr=1e-4")
    changed = {name for name in default if default[name] != other[name]}
    # All methods inherit the rate; controls and the base are not trained.
    methods = {"grpo", "sft", "sft_shuffled"}
    assert {name.split("-")[2].split("/")[0] for name in changed if "-" in name} == methods
    clip = keys("base.algorithm.clip_low=0.1")
    changed = {name for name in default if default[name] != clip[name]}
    assert {name.split("-")[2] for name in changed if "-" in name} == {"grpo"}
    assert not any(name.startswith(("base/", "physics", "guesser")) for name in changed)
    fewer = keys("evaluation.scenes=10")
    assert {name for name in default if default[name] != fewer[name]} == {
        n for n in default if "/" in n
    }


def test_the_key_of_a_model_is_that_of_its_folders_content(tmp_path: Path) -> None:
    keys = []
    for name, weights in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
        plan = plan_study(small_study(f"base.model.path={tmp_path / name}"))
        keys.append([trial.key for trial in plan.trials])
    assert keys[0] == keys[1] != keys[2]
