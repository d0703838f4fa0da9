import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physrl.config.environment import EnvironmentConfig
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.run import RunConfig
from physrl.errors import DataError
from physrl.evaluation.measurements import Measurements, load_measurement
from physrl.evaluation.run_cells import policy_subject, run_cells
from physrl.evaluation.specs import Condition
from tests.support.answers import make_answer, make_verdict_answer
from tests.support.measurements import make_measurement
from tests.support.models import save_adapter, write_model_config

PLACED = make_answer(17)
UNPARSEABLE = replace(
    PLACED, answer="", success=False, status="unparseable", reward=-1.0, offset=None
)


@pytest.mark.parametrize(
    "measurement",
    [
        make_measurement("grpo", (PLACED, UNPARSEABLE, PLACED)),
        make_measurement(
            "a/b c",
            (make_verdict_answer("001.png", True, False),),
            Condition("stability", "real"),
            photos="abc",
        ),
    ],
)
def test_a_measurement_round_trips_with_what_was_asked(tmp_path: Path, measurement) -> None:
    store = Measurements(tmp_path)
    path = store.save(measurement)
    assert load_measurement(path) == measurement
    assert store.find(measurement.cell) == measurement
    written = json.loads(path.with_suffix(".json").read_text())
    assert written["policy"] == measurement.policy
    assert written["key"] == measurement.cell.key
    assert written["settings"]["environment"]["camera"] == "seen"
    assert written["total"] == len(measurement.result.answers)
    assert written["versions"] == measurement.versions


def test_other_settings_are_another_file_and_the_same_are_never_overwritten(
    tmp_path: Path,
) -> None:
    store = Measurements(tmp_path)
    first = make_measurement("base", (PLACED,))
    camera = make_measurement(
        "base", (UNPARSEABLE,), environment=EnvironmentConfig(camera="held_out")
    )
    colors = make_measurement(
        "base", (UNPARSEABLE,), environment=EnvironmentConfig(colors="held_out")
    )
    assert len({store.save(each) for each in (first, camera, colors)}) == 3
    store.save(replace(first, result=camera.result))
    assert store.find(first.cell) == first
    assert len(store.all()) == 3
    assert [path.name[0] for path in store.folder.iterdir()].count(".") == 0


def test_a_measurement_is_found_under_another_name(tmp_path: Path) -> None:
    store = Measurements(tmp_path)
    store.save(make_measurement("grpo", (PLACED,), key="content"))
    other = make_measurement("demo_step-60", (PLACED,), key="content")
    found = store.find(other.cell)
    assert found is not None
    assert found.policy == "grpo"
    assert store.find(make_measurement("grpo", (PLACED,), key="other").cell) is None


@settings(max_examples=20)
@given(text=st.text(), reward=st.floats(allow_nan=False, allow_infinity=False), name=st.text())
def test_any_text_reward_and_name_survive(
    tmp_path_factory: pytest.TempPathFactory, text: str, reward: float, name: str
) -> None:
    answer = replace(PLACED, completion=text, reward=reward)
    measurement = make_measurement(name, (answer,))
    folder = tmp_path_factory.mktemp("run")
    assert load_measurement(Measurements(folder).save(measurement)) == measurement


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2]])
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = Measurements(tmp_path).save(make_measurement())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=path.name) as caught:
        load_measurement(path)
    assert "\n" not in str(caught.value)


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"reward": [1.0]}), path)
    with pytest.raises(DataError, match="reward"):
        load_measurement(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet"):
        load_measurement(tmp_path / "a.parquet")


def test_cells_of_a_run_are_every_set_task_and_decoding(tmp_path: Path) -> None:
    write_model_config(tmp_path)
    config = RunConfig(
        model={"path": str(tmp_path)},
        evaluation={"tasks": ["place", "place_x"], "test_sets": ["iid", "tall"], "scenes": 7},
    )
    cells = run_cells(config, policy_subject("base", config.model), ())
    asked = [(c.condition.test_set, c.condition.task, c.condition.decoding) for c in cells]
    assert asked == [
        (test_set, task, decoding)
        for test_set in ("iid", "tall")
        for task in ("place", "place_x")
        for decoding in ("greedy", "sampled")
    ]
    assert len({cell.key for cell in cells}) == 8
    assert {cell.settings.scenes for cell in cells} == {7}


def test_a_policy_is_its_content_and_not_its_place(tmp_path: Path) -> None:
    base, moved, adapter = (tmp_path / name for name in ("base", "moved", "adapter"))
    for folder in (base, moved, adapter):
        folder.mkdir()
    for folder in (base, moved):
        write_model_config(folder)
    save_adapter(adapter, LoRAConfig(rank=4))
    model = ModelConfig(path=str(base))
    key = policy_subject("base", model).key
    elsewhere = ModelConfig(path=str(moved), gradient_checkpointing=True)
    assert policy_subject("other", elsewhere).key == key
    tuned = ModelConfig(path=str(base), adapter=str(adapter), lora={"rank": 4, "dropout": 0.1})
    assert policy_subject("base", tuned).key != key
    (moved / "more.json").write_text("{}")
    assert policy_subject("base", elsewhere).key != key
