import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.data_dictionary import ASKED, PAGE, page
from physrl.config.environment import EnvironmentConfig
from physrl.data.rollouts import write_rollouts
from physrl.data.shards import DESCRIPTIONS, SCHEMA
from physrl.evaluation.measurements import Measurements
from physrl.types import Offset, Outcome, RolloutGroup, Unparseable
from tests.support.answers import make_answer
from tests.support.measurements import make_measurement
from tests.support.rollouts import rollout_group


def mixed_group() -> RolloutGroup:
    """Return a right answer and one that cannot be parsed."""
    group = rollout_group([Offset(1, 2), Unparseable("no answers")])
    right, wrong = group.rollouts
    lost = replace(wrong.last, outcome=Outcome("unparseable", False))
    return replace(group, rollouts=(right, replace(wrong, attempts=(lost,))))


RECIPES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_page_is_up_to_date() -> None:
    assert page() == PAGE.read_text(), "run `make docs`"


def test_every_column_and_key_is_described(tmp_path: Path) -> None:
    assert set(DESCRIPTIONS) == set(SCHEMA.names)
    path = Measurements(tmp_path).save(make_measurement())
    assert set(json.loads(path.with_suffix(".json").read_text())) == set(ASKED)


@pytest.mark.parametrize("number", range(4))
def test_recipes_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "duckdb" in RECIPES[number]:
        pytest.importorskip("duckdb", reason="pip install duckdb")
    run = tmp_path / "runs" / "first"
    for step in (2, 3):
        write_rollouts(run / f"rollouts/step-{step:08d}.parquet", [mixed_group()], [0.0, 0.0], step)
    for policy in ("base", "grpo"):
        answers = tuple(make_answer(index, policy == "grpo" and index == 1) for index in range(3))
        Measurements(run).save(make_measurement(policy, answers))
        elsewhere = tuple(make_answer(index, index == 2) for index in range(3))
        camera = EnvironmentConfig(camera="held_out")
        Measurements(run).save(make_measurement(policy, elsewhere, environment=camera))
    monkeypatch.chdir(tmp_path)
    exec(compile(RECIPES[number], f"recipe {number}", "exec"), {})
    printed = capsys.readouterr().out
    told = {0: "unparseable", 1: "0.25", 2: "place/test/iid/0/1", 3: "place/test/iid/0/1"}
    assert told[number] in printed
    if number in (2, 3):
        assert "place/test/iid/0/2" not in printed
