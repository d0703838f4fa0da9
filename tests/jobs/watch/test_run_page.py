"""The page of a run: where its time goes, faults, warnings, another run's configuration."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.watch.app import make_app
from jobs.watch.health import Warnings
from jobs.watch.time_use import MOST_FAULTS
from physrl.config.load import dump_yaml
from tests.support.runs import make_config

HOSTILE = "<b onclick=alert(1)>"
STEP = {
    "time": 1.8e9,
    "reward": 0.5,
    "entropy": 1.0,
    "task/place/accuracy": 0.5,
    "time/rolling_out_s": 6.0,
    "time/updating_s": 2.0,
    "time/saving_s": 5.0,
    "time/step_s": 10.0,
    "idle/learner": 0.75,
    "faults/learner_restarts": 0.0,
}


def write_run(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_yaml(make_config(**settings)))
    lines = (json.dumps({"step": step} | row) for step, row in enumerate(rows, start=1))
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def page(place: Path, run: Path, **asked: str) -> str:
    shown = TestClient(make_app([str(place)]), base_url="http://127.0.0.1")
    answer = shown.get("/run", params={"run": str(run), **asked})
    assert answer.status_code == 200
    return answer.text


def bands(text: str) -> set[str]:
    """Names of the stacked phases."""
    parts = text.split("<polygon")[1:]
    return {part.partition("<title>")[2].partition("<")[0] for part in parts}


def test_phases_are_stacked_with_what_they_leave_of_the_step(tmp_path: Path) -> None:
    text = page(tmp_path, write_run(tmp_path / "r", [STEP] * 3))
    assert bands(text) == {"rolling out", "updating", "saving", "rest of the step"}
    assert "Percent idle" in text
    assert "Faults" not in text


def test_faults_are_marks_and_lines(tmp_path: Path) -> None:
    died = STEP | {"faults/learner_restarts": 1.0, "faults/learner_recovery_s": 12.5}
    left_out = STEP | {"faults/quarantined_scenes": 2.0}
    text = page(tmp_path, write_run(tmp_path / "r", [STEP, died, STEP, left_out]))
    first = "step 2: learner replaced after up to 12.5 s (1)"
    assert f"<title>{first}</title>" in text
    assert text.count('class="event"') == 2
    lines = text.partition("Faults, marked")[2].partition("</ul>")[0]
    assert lines.index("step 4") < lines.index("step 2 (2027-01-15 08:00:00 UTC)")
    assert "scenes left out (2)" in lines


def test_of_many_faults_the_last_are_listed(tmp_path: Path) -> None:
    died = STEP | {"faults/learner_restarts": 1.0}
    text = page(tmp_path, write_run(tmp_path / "r", [died] * 3000))
    assert text.count("learner replaced (1)</li>") == MOST_FAULTS
    assert f"{3000 - MOST_FAULTS} earlier ones" in text
    assert len(text) < 200_000


@pytest.mark.parametrize(
    "odd", [None, "1e9", [], {}, True, -1.0, float("nan"), float("inf"), HOSTILE]
)
def test_values_that_are_no_numbers_are_left_out(tmp_path: Path, odd: Any) -> None:
    rows = [STEP, dict.fromkeys(STEP, odd) | {f"time/{HOSTILE}_s": 1.0}, STEP]
    text = page(tmp_path, write_run(tmp_path / "r", rows))
    assert "rolling out" in bands(text)
    assert HOSTILE not in text
    assert "&lt;b onclick" in text


def test_a_row_of_impossible_times_leaves_the_page(tmp_path: Path) -> None:
    rows = [STEP, STEP | dict.fromkeys(("time/updating_s", "time/saving_s", "time"), 1e308)]
    assert "Curves" in page(tmp_path, write_run(tmp_path / "r", rows))


def test_a_run_without_a_step_and_one_of_a_step_have_pages(tmp_path: Path) -> None:
    assert "No step is finished yet" in page(tmp_path, write_run(tmp_path / "empty", []))
    text = page(tmp_path, write_run(tmp_path / "one", [STEP]))
    assert "updating" in bands(text)
    assert "NaN" not in text


def test_warnings_of_the_health_check_are_shown(tmp_path: Path) -> None:
    collapsed = [STEP | {"entropy": 1.0 if step < 10 else 0.01} for step in range(25)]
    text = page(tmp_path, write_run(tmp_path / "r", collapsed))
    assert "step 20: entropy collapse" in text
    assert "Warnings" not in page(tmp_path, write_run(tmp_path / "sound", [STEP] * 25))


def test_a_run_that_grows_or_begins_again_is_checked_as_if_at_once() -> None:
    rows = [
        {"step": step, "entropy": 1.0 if step < 12 else 0.01, "reward": 0.0} for step in range(40)
    ]
    at_once, warnings = Warnings(), Warnings()
    for end in (1, 5, 5, 21, 40):
        assert warnings("run", rows[:end]) == at_once(f"until {end}", rows[:end])
    assert warnings("run", rows)
    again = [row | {"entropy": 1.0} for row in rows]
    assert warnings("run", again[:15]) == []
    assert warnings("run", []) == []


def test_a_configuration_is_compared_with_another_runs(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [STEP], seed=3)
    other = write_run(tmp_path / HOSTILE, [STEP], seed=4)
    text = page(tmp_path, run, beside=str(other))
    row = text.partition('<th scope="row">seed</th>')[2].partition("</tr>")[0]
    assert row == "<td>3</td><td>4</td>"
    assert HOSTILE not in text
    assert "is not here" in page(tmp_path, run, beside="/etc")
    (other / "config.yaml").write_text("[")
    assert "cannot be read" in page(tmp_path, run, beside=str(other))
