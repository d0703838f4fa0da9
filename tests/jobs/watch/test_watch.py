import html
import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from jobs.watch.app import make_app
from physrl.config.load import dump_yaml
from physrl.config.study import load_study_config
from physrl.data.rollouts import write_rollouts
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.types import Offset, Unparseable
from tests.support.command_line import call_refused
from tests.support.rollouts import rollout_group
from tests.support.runs import make_config
from tests.support.study_files import write_study

HOSTILE = "<script>alert(1)</script>"


def client(*places: Path) -> TestClient:
    return TestClient(
        make_app([str(place) for place in places], patience_s=60), base_url="http://127.0.0.1"
    )


def write_run(folder: Path, *, age_s: float, rows: int = 3) -> Path:
    """Write a run of 4 steps of 2 s, whose last line is `age_s` seconds old."""
    folder.mkdir(parents=True)
    config = make_config(name="mine", algorithm={"type": "grpo", "steps": 4})
    (folder / "config.yaml").write_text(dump_yaml(config))
    lines = [
        {"step": step, "time": time.time() - age_s, "reward": step / 2, "time/step_s": 2.0}
        for step in range(1, rows + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("age_s", "rows", "state"),
    [(0, 0, "waiting"), (0, 3, "running"), (7200, 3, "stalled"), (7200, 4, "done")],
)
def test_states_are_words(tmp_path: Path, age_s: float, rows: int, state: str) -> None:
    write_run(tmp_path / "r", age_s=age_s, rows=rows)
    page = client(tmp_path).get("/")
    assert page.status_code == 200
    assert state in page.text
    assert f"{rows} of 4" in page.text


def test_a_run_that_grows_has_curves_and_csv_although_its_last_line_is_cut(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", age_s=0)
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "rew')
    shown = client(tmp_path)
    page = shown.get("/run", params={"run": str(run)})
    assert "reward: 1.5" in page.text
    assert "algorithm.steps" in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    header, *rows = shown.get("/metrics.csv", params={"run": str(run)}).text.split()
    assert header == "step,time,reward,time/step_s"
    assert len(rows) == 3


def test_rollouts_are_filtered_escaped_and_shown_with_their_image(tmp_path: Path) -> None:
    run = write_run(tmp_path / HOSTILE.replace("/", "_"), age_s=0)
    image = np.zeros((8, 8, 3), np.uint8)
    group = rollout_group([Offset(1.5, -2), Unparseable(HOSTILE)], image)
    write_rollouts(run / "rollouts" / "step-00000001.parquet", [group], [0.5, -0.5], 1)
    (run / "rollouts" / "step-00000002.parquet").write_bytes(b"PAR1 half")
    shown = client(tmp_path)
    pages = {
        kind: shown.get("/rollouts", params={"run": str(run), "kind": kind}).text
        for kind in ("all", "unparseable", "truncated")
    }
    counts = {kind: text.count("<article") for kind, text in pages.items()}
    assert counts == {"all": 2, "unparseable": 1, "truncated": 0}
    assert "<script" not in "".join(pages.values())
    assert "&lt;script&gt;" in pages["unparseable"]
    assert "step 2 cannot be read" in pages["all"]
    found = shown.get("/rollouts", params={"run": str(run), "text": "ANSWER>1"})
    assert found.text.count("<article") == 2
    source = html.unescape(pages["all"].partition('src="')[2].partition('"')[0])
    assert shown.get(source).content.startswith(b"\x89PNG")
    where = {"run": str(run), "scene": "place/train/iid/0/17", "step": 1, "attempt": 0}
    assert shown.get("/image", params=where).content.startswith(b"\x89PNG")
    assert shown.get("/image", params=where | {"step": "../1"}).status_code == 404


def test_what_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    shown = client(tmp_path)
    assert "no study and no run" in shown.get("/").text
    gone = shown.get("/run", params={"run": "/etc"})
    assert (gone.status_code, "deleted" in gone.text) == (404, True)
    run = write_run(tmp_path / "r", age_s=0)
    assert shown.get("/rollouts", params={"run": str(run), "kind": "x"}).status_code == 400
    assert shown.get("/rollouts", params={"run": str(run), "page": "x"}).status_code == 400
    (run / "config.yaml").write_bytes(b"\xff: [")
    assert "config.yaml cannot be read" in shown.get("/").text
    assert shown.get("/", headers={"host": "evil.example"}).status_code == 400
    assert shown.post("/").status_code == 405


def test_a_study_shows_its_progress_and_failures(tmp_path: Path) -> None:
    plan = plan_study(load_study_config(write_study(tmp_path)))
    store = open_cell_store(str(tmp_path / "store"))
    store.save_plan(plan)
    cell = plan.cells[0]
    store.fail(cell.key, "cell", HOSTILE, 3)
    before = sorted(path for path in tmp_path.rglob("*"))
    text = client(tmp_path / "store").get("/").text
    assert f"0 of {len(plan.trials)}" in text
    assert "1 cells: &lt;script&gt;" in text
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_mistakes_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "does not exist" in call_refused(capsys, "watch", tmp_path / "typo")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in call_refused(capsys, "watch", tmp_path, "--port", port)
