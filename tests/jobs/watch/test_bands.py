import math
import random

from jobs.watch.bands import MOST_BINS, Event, draw_bands
from jobs.watch.charts import COLORS, HEIGHT, WIDTH

ODD = (0.0, 1e-300, 5e-324, 1e30, 1e308, 0.5, 3.0)


def corners(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in points.split())]


def test_a_single_step_fills_the_chart() -> None:
    chart = draw_bands([(7, {"a": 1.0, "b": 3.0})], [Event(7, "died")], "label", "s")
    assert chart is not None
    below, above = chart.bands
    quarter = HEIGHT / 4
    assert (below.name, above.name) == ("b", "a")
    assert corners(below.points) == [
        (0, quarter), (WIDTH, quarter), (WIDTH, HEIGHT), (0, HEIGHT)
    ]  # fmt: skip
    assert corners(above.points) == [(0, 0), (WIDTH, 0), (WIDTH, quarter), (0, quarter)]
    assert [(mark.at, mark.text) for mark in chart.events] == [(WIDTH / 2, "died")]
    assert [mark.text for mark in chart.x_marks] == ["7"]


def test_a_long_run_is_drawn_as_means_and_keeps_each_event() -> None:
    rows = [(step, {"a": 1.0 + step % 2}) for step in range(1, 10_001)]
    events = [Event(step, f"step {step}") for step in range(1, 10_001, 100)]
    chart = draw_bands(rows, events, "label", "s")
    assert chart is not None
    (band,) = chart.bands
    assert len(corners(band.points)) <= 4 * MOST_BINS
    assert min(y for _, y in corners(band.points)) == 0
    assert sum(mark.text.count("step") for mark in chart.events) == len(events)


def test_whatever_the_sizes_all_bands_lie_in_the_chart() -> None:
    draw = random.Random(0)
    for _ in range(200):
        rows = [
            (draw.randrange(50), {str(draw.randrange(12)): draw.choice(ODD) for _ in range(4)})
            for _ in range(draw.randrange(9))
        ]
        rows.sort(key=lambda row: row[0])
        chart = draw_bands(rows, [Event(step, "x") for step, _ in rows], "label", "s")
        if chart is None:
            total = sum(value for _, parts in rows for value in parts.values())
            assert total < 1e-290 or total == math.inf
            continue
        for band in chart.bands:
            assert 0 <= band.color < COLORS
            for x, y in corners(band.points):
                assert -0.1 <= x <= WIDTH + 0.1
                assert -0.1 <= y <= HEIGHT + 0.1
        assert all(0 <= mark.at <= WIDTH for mark in (*chart.events, *chart.x_marks))
        assert all(math.isfinite(mark.at) for mark in chart.y_marks)
