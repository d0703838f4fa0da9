"""Charts of a study: curves over one another, scores over hyperparameters, adaptation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jobs.watch.charts import Chart, Series, draw, draw_parallel
from jobs.watch.factors import Values, is_number
from jobs.watch.site import Site, address
from jobs.watch.studies import StudyView
from jobs.watch.study_query import StudyQuery
from jobs.watch.trial_curves import TrialCurves, smooth
from jobs.watch.trials import TrialRow
from physrl.evaluation.families import Family, family_of

MOST_LINES, MOST_LIVE = 100, 16
"""Curves in a chart, and those among them that are read anew from running trials."""
MOST_FAMILIES = 24
"""Lines in a chart of adaptation."""


def trial_curves(site: Site, study: StudyView, rows: Sequence[TrialRow]) -> dict[str, TrialCurves]:
    """Collect the curves of trials by key: of finished ones, and of running ones so far."""
    found = {}
    live = 0
    for row in rows:
        key = row.trial.key
        if key in study.reading.trained:
            found[key] = study.reading.trained[key]
        elif row.run is not None and live < MOST_LIVE:
            live += 1
            run = site.places.find_run(row.run)
            curves = None if run is None else site.runs.curves(run)
            if curves is not None:
                found[key] = curves
    return found


def metric_names(curves: Mapping[str, TrialCurves]) -> list[str]:
    """List the metrics that curves have: success rates first, then by name."""
    names = dict.fromkeys(name for each in curves.values() for name in each.values)
    return sorted(names, key=lambda name: (not name.endswith("accuracy"), name != "reward", name))


def curves_chart(
    rows: Sequence[TrialRow], curves: Mapping[str, TrialCurves], factors: Values, query: StudyQuery
) -> tuple[Chart | None, str, list[str]]:
    """Draw a metric of many trials over one another; return the chart, its metric and all."""
    names = metric_names(curves)
    metric = query.metric if query.metric in names else next(iter(names), "")
    series: list[Series] = []
    for row in rows:
        found = curves.get(row.trial.key)
        if found is None or metric not in found.values or len(series) == MOST_LINES:
            continue
        values = smooth(found.values[metric], query.smooth)
        points = zip(found.at.tolist(), values.tolist(), strict=True)
        series.append(
            Series(row.trial.name, _group(row, factors, query), tuple(points), _link(row))
        )
    label = f"{metric} of {len(series)} trials over steps, colored by {query.color}"
    return draw(series, label, "step", metric), metric, names


def scatter_chart(
    rows: Sequence[TrialRow], factors: Values, query: StudyQuery
) -> tuple[Chart | None, str]:
    """Draw the score of each trial over a hyperparameter; return the chart and its factor."""
    x_name = query.x if query.x in factors else _first_number(factors)
    values = factors.get(x_name, {})
    places = values if is_number(values) else _ranks(values)
    series = [
        Series(row.trial.name, _group(row, factors, query), ((places[row.trial.key], row.score),),
               _link(row))
        for row in rows
        if row.score is not None and row.trial.key in places
    ]  # fmt: skip
    label = f"score of {len(series)} trials over {x_name}, colored by {query.color}"
    return draw(series, label, x_name, "score"), x_name


def parallel_chart(rows: Sequence[TrialRow], factors: Values, query: StudyQuery) -> Chart | None:
    """Draw each trial as a line over all factors and its score."""
    scored = [row for row in rows if row.score is not None]
    keys = {row.trial.key for row in scored}
    axes: dict[str, Mapping[str, Any]] = {
        name: {key: value for key, value in values.items() if key in keys}
        for name, values in factors.items()
    }
    axes["score"] = {row.trial.key: row.score for row in scored}
    series = [Series(row.trial.key, _group(row, factors, query), (), _link(row)) for row in scored]
    return draw_parallel(axes, series, f"factors and scores of {len(series)} trials")


def adaptation_charts(study: StudyView, rows: Sequence[TrialRow]) -> list[tuple[str, Chart]]:
    """Draw accuracy over steps of SFT by task: the base, and the families of some trials."""
    wanted = {row.trial.key for row in rows}
    lines: dict[str, dict[Family, list[Sequence[tuple[float, float]]]]] = {}
    for spec in study.outline.adaptations:
        curve = study.reading.adaptations.get(spec.key)
        if curve is None or not (spec.subject.kind == "base" or spec.subject.key in wanted):
            continue
        families = lines.setdefault(spec.task, {})
        points = tuple(zip(map(float, curve.steps), curve.accuracies.tolist(), strict=True))
        families.setdefault(family_of(spec.subject), []).append(points)
    charts = []
    for task, families in lines.items():
        series = [
            Series(family.name, family.method or family.kind, _mean(curves))
            for family, curves in list(families.items())[:MOST_FAMILIES]
        ]
        label = f"success rate on {task} during adaptation, {len(series)} families"
        chart = draw(series, label, "steps of SFT", "success rate", log=True)
        if chart is not None:
            charts.append((task, chart))
    return charts


def _mean(curves: Sequence[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], ...]:
    """Average curves of the same steps over seeds."""
    means = np.mean([[y for _, y in curve] for curve in curves], axis=0)
    return tuple(zip([x for x, _ in curves[0]], means.tolist(), strict=True))


def _group(row: TrialRow, factors: Values, query: StudyQuery) -> str:
    if query.color == "state":
        return row.state
    return str(factors.get(query.color, {}).get(row.trial.key, "without"))


def _link(row: TrialRow) -> str:
    return "" if row.run is None else address("/run", run=row.run)


def _first_number(factors: Values) -> str:
    numbers = [name for name, values in factors.items() if is_number(values)]
    others = [name for name in numbers if name != "seed"]
    return next(iter([*others, *numbers, *factors]), "")


def _ranks(values: Mapping[str, Any]) -> dict[str, float]:
    order = {
        text: float(at) for at, text in enumerate(sorted({str(each) for each in values.values()}))
    }
    return {key: order[str(value)] for key, value in values.items()}
