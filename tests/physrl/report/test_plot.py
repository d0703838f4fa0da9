import pytest
from matplotlib.figure import Figure

from physrl.report.plot import add_legend


@pytest.mark.parametrize(("width", "columns"), [(20.0, 4), (5.0, 1)])
def test_a_legend_takes_as_many_columns_as_fit(width: float, columns: int) -> None:
    figure = Figure(figsize=(width, 3), layout="constrained")
    axes = figure.subplots()
    for number in range(8):
        axes.plot([0, 1], [0, number], label=f"a model trained on a task, number {number}")
    add_legend(figure, [axes])
    (legend,) = figure.legends
    assert legend._ncols == columns  # type: ignore[attr-defined]
    assert legend.get_window_extent().width <= figure.bbox.width
