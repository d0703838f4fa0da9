"""Every row of a user's own dataset is checked before anything slow starts."""

from pathlib import Path
from typing import Any

import pytest

from jobs.checks.run import check
from physrl.errors import UserError
from tests.support.own_images import (
    example_config,
    make_rows,
    own_config,
    png,
    write_rows,
    write_squares,
)


def test_the_example_passes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check(example_config(write_squares(tmp_path / "rows"), f"output={tmp_path}/runs"))
    assert caplog.messages == []


def test_a_held_out_image_that_is_trained_on_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = make_rows(20)
    for number in range(0, 20, 2):  # two questions about each image
        rows[number]["image"] = rows[number + 1]["image"]
    path = write_rows(tmp_path / "rows.parquet", rows)
    check(own_config(path, evaluation={"scenes": 2}, output=str(tmp_path / "runs")))
    (warning,) = caplog.messages
    assert "data.test" in warning
    assert "of 2 images" in warning


@pytest.mark.parametrize(
    ("bad", "changes", "named"),
    [
        ({"image": b"x"}, {}, r"rows\.parquet row 13: its image"),
        ({"question": ""}, {}, r"rows\.parquet row 13: column 'question'"),
        ({"image": png(0, (900, 2))}, {}, r"row 13 \(900 x 2 pixels\) is refused"),
        (
            {"image": png(0, (900, 300))},
            {"model": {"max_pixels": 400_000}},
            r"row 13 \(900 x 300 pixels\) has \d+ tokens: set model\.max_pixels=",
        ),
        ({"answer": "1" * 40}, {}, r"row 13 has \d+ tokens: set model\.max_completion_tokens=\d+"),
        ({"answer": "<answer>3"}, {}, r"row 13: answer '<answer>3' contains tags"),
        ({"answer": "a</think>b"}, {}, r"row 13: answer 'a</think>b' contains tags"),
        ({}, {"algorithm": {"prompts_per_step": 33}}, r"algorithm\.prompts_per_step=32"),
        ({}, {"warm_start": {"steps": 1}}, r"warm_start\.prompts_per_step is 64.*=32"),
        ({}, {"evaluation": {"scenes": 5}}, r"evaluation\.scenes=4"),
        ({}, {"evaluation": {"scenes": 4, "every": 1}, "data": {"test": 0.5, "validation": 0.05}},
         r"data\.validation has 2 rows"),
        ({}, {"data": {"answer": "label"}}, r"no column 'label'.*data\.answer"),
    ],
)  # fmt: skip
def test_a_bad_row_or_setting_is_refused_by_name(
    bad: dict[str, Any], changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    rows = make_rows(40)
    rows[13] |= bad
    path = write_rows(tmp_path / "rows.parquet", rows)
    changes = {"evaluation": {"scenes": 4}, "output": str(tmp_path / "runs")} | changes
    with pytest.raises(UserError, match=named) as refused:
        check(own_config(path, **changes))
    assert "\n" not in str(refused.value)
