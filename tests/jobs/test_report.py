from pathlib import Path

import pytest

from jobs.report import _labels, _read, run
from physrl.config import load_config
from physrl.config.environment import EnvironmentConfig
from physrl.config.load import dump_yaml
from physrl.errors import DataError
from physrl.evaluation.measurements import Measurements
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer
from tests.support.measurements import make_measurement

CAMERA = EnvironmentConfig(camera="held_out")


def finished_run(folder: Path, name: str, successes: int, *overrides: str, seed: int = 0) -> Path:
    """Write a run whose policies answered four scenes, one of them from another camera too."""
    run = folder / name
    run.mkdir(parents=True)
    config = load_config(None, [f"output={folder}", f"name={name}", *overrides])
    (run / "config.yaml").write_text(dump_yaml(config))
    store = Measurements(run)
    for policy, solved in (("base", 0), ("grpo", successes)):
        answers = tuple(make_answer(index, index < solved) for index in range(4))
        key = policy if policy == "base" else f"{name} {policy}"
        store.save(make_measurement(policy, answers, key=key, seed=seed))
        if policy == "grpo":
            store.save(
                make_measurement("zweimal", answers[:2], key=key, environment=CAMERA, seed=seed)
            )
            tall = tuple(make_answer(i, scene_id=f"place/test/tall/0/{i}") for i in range(3))
            held_out = Condition("place", "tall")
            store.save(make_measurement(policy, tall, held_out, key=key, seed=seed))
    rows = [
        f'{{"step": {step}, "reward": 0.5, "time/step_s": 60, "validation/place/accuracy": 0.25}}'
        for step in (1, 2)
    ]
    (run / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    return run


def test_a_report_compares_only_equal_questions_and_names_the_settings(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, "mine", 3, "algorithm.lr=0.125")
    run([folder])
    page = (folder / "report" / "index.html").read_text()
    assert page.count(" points, ") == 1  # grpo against base, about the same scenes
    assert "grpo 75% (+75.0 points" in page
    assert all(title in page for title in ("iid: 4 scenes", "iid: 2 scenes", "tall: 3 scenes"))
    assert "environment.camera held_out (not seen)" in page
    assert "algorithm.lr" in page
    assert "0.125" in page
    assert "validation success" in page
    assert "zweimal" not in page  # one policy, one name


def test_different_policies_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, "mine", 3)
    longer = make_measurement("grpo", (make_answer(0),), key="a longer run")
    Measurements(folder).save(longer)
    text = ", ".join(_labels([_read(folder, "mine")]).values())
    assert "grpo a long" in text
    assert "grpo mine g" in text


def test_runs_are_compared_on_one_page(tmp_path: Path) -> None:
    first = finished_run(tmp_path, "first", 2, "algorithm.lr=0.125")
    second = finished_run(tmp_path, "second", 4, "algorithm.lr=0.25")
    run([first, second])
    (page,) = (first / "report").iterdir()
    assert not (second / "report").exists()
    text = page.read_text()
    assert "What differs between the runs" in text
    row = next(line for line in text.splitlines() if "<code>algorithm.lr</code></td>" in line)
    assert "0.125" in row
    assert "0.25" in row
    assert "second: grpo 100% (+100.0 points" in text  # against the base that both share
    assert "first: base" not in text
    assert "minutes of training" in text
    assert text.count("<article") > 8  # galleries of both


def test_a_page_about_runs_of_other_seeds_says_how_to_compare_them(tmp_path: Path) -> None:
    first = finished_run(tmp_path, "first", 2)
    second = finished_run(tmp_path, "second", 4, "seed=1", seed=1)
    run([first, second])
    page = (first / "report" / "first-second.html").read_text()
    assert f"physrl evaluate --policy {second} seed=0\n" in page.replace("</p>", "\n")
    third = finished_run(tmp_path, "third", 4)
    run([first, third])
    assert "physrl evaluate" not in (first / "report" / "first-third.html").read_text()


def test_runs_without_evaluations_and_repeated_ones_are_refused(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, "mine", 1)
    with pytest.raises(DataError, match="twice"):
        run([folder, folder])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        run([tmp_path / "empty"])
