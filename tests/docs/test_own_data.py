"""The reward of docs/own_data.md works as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.distribution import write_distribution
from tests.support.own_images import make_rows, write_rows
from tests.support.paths import ROOT, TINY_BASE

PAGE = (ROOT / "docs" / "own_data.md").read_text()
(MODULE,) = re.findall(r"^A module `near_count`:\n\n```python\n(.*?)^```$", PAGE, re.S | re.M)
ENTRY = dict(re.findall(r'^(near_count) = "(near_count:NEAR_COUNT)"$', PAGE, re.M))
SCRIPT = """
import sys
import pytest
from jobs.checks.questions import check_questions
from physrl.config.load import load_config
from physrl.errors import ConfigError, UserError
from physrl.rewards.attempt import Move
from physrl.rewards.score import score
from physrl.types import Outcome, Question, Reply

good, bad, model = sys.argv[1:]
settings = [f"model.path={model}", "model.max_completion_tokens=12", "evaluation.scenes=2"]
settings += ["reward.type=near_count", "reward.nearness=2", "algorithm.prompts_per_step=4"]
config = load_config(None, [*settings, f"data.path={good}"])
check_questions(config, config.questions)
question = Question("train", 0, 0, "How many?", "3")
for text, reward in (("3", 2.0), ("4", 1.0), ("5", 0.0), ("many", 0.0)):
    attempt = Move(Reply(text), Outcome("answered", success=text == "3"))
    assert score(question, [attempt], config.reward).total == reward
config = load_config(None, [*settings, f"data.path={bad}"])
with pytest.raises(UserError, match=r"reward\\.type is near_count.*row 5.*invalid literal"):
    check_questions(config, config.questions)
with pytest.raises(ConfigError, match="near_count.*place"):
    load_config(None, ["reward.type=near_count"])
"""


def test_a_reward_by_entry_point(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    entries = {f"physrl.rewards:{name}": reference for name, reference in ENTRY.items()}
    write_distribution(site, "near-count", entries, {"near_count.py": MODULE})
    rows = make_rows(20)
    good = write_rows(tmp_path / "good.parquet", rows)
    rows[5]["answer"] = "twenty"
    bad = write_rows(tmp_path / "bad.parquet", rows)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(good), str(bad), str(TINY_BASE)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
