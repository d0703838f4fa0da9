import math
import random

import numpy as np
import pytest

from jobs.watch.charts import COLORS, HEIGHT, WIDTH, Series, draw, draw_parallel
from jobs.watch.trial_curves import MOST_POINTS, smooth, thin_out

ODD = (0.0, -1.0, 1e-12, 1e30, -1e30, math.nan, math.inf, -math.inf, 0.5)


@pytest.mark.parametrize("log", [False, True])
def test_whatever_the_values_all_shapes_lie_in_the_chart(log: bool) -> None:
    random_numbers = random.Random(0)
    for _ in range(200):
        series = [
            Series(f"s{n}", str(n % 11), tuple(
                (random_numbers.choice((*ODD, 3.0, 7.0)), random_numbers.choice(ODD))
                for _ in range(random_numbers.randrange(5))
            ))
            for n in range(random_numbers.randrange(12))
        ]  # fmt: skip
        chart = draw(series, "label", "x", "y", log=log)
        finite = [
            each
            for each in series
            if any(math.isfinite(x) and math.isfinite(y) for x, y in each.points)
        ]
        if chart is None:
            assert not finite
            continue
        assert len(chart.shapes) == len(finite)
        for shape in chart.shapes:
            assert 0 <= shape.color < COLORS
            for point in shape.points.split():
                x, y = map(float, point.split(","))
                assert -0.1 <= x <= WIDTH + 0.1
                assert -0.1 <= y <= HEIGHT + 0.1
        assert len(chart.y_marks) <= 8


def test_a_line_goes_from_corner_to_corner() -> None:
    chart = draw([Series("a", "g", ((1.0, 0.0), (3.0, 2.0)))], "label", "step", "reward")
    assert chart is not None
    (shape,) = chart.shapes
    assert shape.points == f"0.0,{HEIGHT}.0 {WIDTH}.0,0.0"
    assert chart.legend == (("g", 0),)
    assert [mark.text for mark in chart.y_marks] == ["0", "0.5", "1", "1.5", "2"]


def test_parallel_axes_place_numbers_by_value_and_names_by_rank() -> None:
    axes = {
        "method": {"a": "grpo", "b": "sft", "c": "grpo"},
        "lr": {"a": 1e-6, "b": 1e-4, "c": 1e-2},
        "score": {"a": 0.0, "b": 0.25, "c": 1.0},
    }
    series = [Series(key, axes["method"][key], ()) for key in "abc"]  # type: ignore[arg-type]
    chart = draw_parallel(axes, series, "label")
    assert chart is not None
    heights = [
        [float(point.split(",")[1]) / HEIGHT for point in shape.points.split()]
        for shape in chart.shapes
    ]
    assert heights == [[1, 1, 1], [0, 0.5, 0.75], [1, 0, 0]]
    assert chart.x_marks[1].text == "lr: 1e-06 to 0.01"
    assert draw_parallel({"score": {"a": 1.0}}, series[:1], "label") is None


def test_long_runs_are_thinned_out_and_keep_their_last_step() -> None:
    rows = [{"step": step, "time": 0.0, "reward": float(step)} for step in range(1, 1001)]
    rows[-1]["late"] = 2.0
    curves = thin_out(rows, 5.0)
    assert len(curves.at) <= MOST_POINTS + 1
    assert (curves.steps, curves.at[0], curves.at[-1]) == (1000, 1, 1000)
    assert curves.last("reward") == 1000
    assert (curves.last("late"), curves.last("none")) == (2.0, None)
    assert thin_out([], 0.0).steps == 0


def test_smoothing_skips_what_is_missing() -> None:
    values = np.array([1, np.nan, 3, np.nan, np.nan, np.nan], np.float32)
    assert smooth(values, 0) is values
    assert smooth(values, 3)[:4].tolist() == [1, 2, 3, 3]
    assert np.isnan(smooth(values, 3)[4:]).all()
