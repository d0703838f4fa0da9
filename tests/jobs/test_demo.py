import subprocess
import sys
from pathlib import Path

from jobs.demo import sft_run, summary
from physrl.config import load_config
from physrl.config.algorithm import SFTConfig
from physrl.config.baseline import load_baseline_config
from physrl.config.study import load_study_config
from physrl.evaluation.results import Answer
from physrl.evaluation.specs import Condition
from physrl.storage.checkpoints import Checkpoint
from tests.support.answers import make_answer
from tests.support.measurements import make_measurement
from tests.support.paths import CONFIGS


def answered(success: bool) -> Answer:
    return make_answer(success=success)


def test_the_last_line_counts_successes() -> None:
    sampled = Condition("place_x", decoding="sampled")
    tall = Condition("place_x", "tall")
    measured = [
        make_measurement("base", (answered(True), answered(False)), sampled),
        make_measurement("base", (answered(True), answered(True)), Condition("place_x")),
        make_measurement("base", (answered(False),), tall),
    ]
    line = summary("place_x", measured, {"train": 1.26}, 4.567)
    assert line == {
        "place_x": {"base": [1, 2]},
        "place_x_greedy": {"base": [2, 2]},
        "stability": {},
        "real": {},
        "seconds": {"train": 1.3},
        "peak_rss_gb": 4.57,
    }


def test_the_comparison_meets_the_same_scenes_and_updates(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "demo.yaml", [f"output={tmp_path}"])
    sft = sft_run(config, Checkpoint(tmp_path / "step-00000024", 24, {}))
    assert isinstance(sft.algorithm, SFTConfig)
    for name in ("steps", "prompts_per_step", "updates_per_rollout"):
        assert getattr(sft.algorithm, name) == getattr(config.algorithm, name)
    assert sft.model.path == str(tmp_path / "step-00000024" / "model")
    assert (sft.seed, sft.environment) == (config.seed, config.environment)
    assert (config.folder / "sft" / "config.yaml").exists()


def test_every_configuration_that_ships_is_valid() -> None:
    loaders = {"baseline": load_baseline_config, "sweep": load_study_config}
    paths = sorted(CONFIGS.glob("*.yaml"))
    assert {path.stem.partition("-")[0] for path in paths} > loaders.keys()
    for path in paths:
        loaders.get(path.stem.partition("-")[0], load_config)(path)


def test_the_driver_starts_without_what_takes_long() -> None:
    script = (
        "import sys, jobs.demo, jobs.train, jobs.evaluate\n"
        "print([name for name in ('torch', 'scipy.stats') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr
