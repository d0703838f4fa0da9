"""Write the HTML report of run folders."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.display.console import console
from physrl.config import RunConfig, load_config
from physrl.config.differences import changed_settings, differences
from physrl.data.photos import HumanAccuracy, human_accuracy, load_configured_photos
from physrl.errors import DataError
from physrl.evaluation.keys import photos_content
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.questions import (
    Asked,
    describe_difference,
    group_by_question,
    overrides_to,
)
from physrl.evaluation.specs import CellSpec
from physrl.metrics import read_metrics
from physrl.report.gallery import make_gallery
from physrl.report.html import write_report
from physrl.report.report import ReportData, ReportSection
from physrl.storage.provenance import scene_generator_hash, versions
from physrl.storage.run_files import CONFIG
from physrl.types import Metrics

ORDER = ("base", "warm", "grpo", "gspo", "sft")
INNER = ("warm", "sft")
"""Folders of runs inside a run."""
GALLERY_QUESTIONS = 4
"""Questions whose answers are shown in a gallery, to limit the page's size."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run to report on, and its name on the page."""

    name: str
    folder: Path
    config: RunConfig | None
    """None for a folder that holds evaluations alone."""
    measurements: tuple[Measurement, ...]


def run(folders: Sequence[Path]) -> None:
    """Write the report of a run into its folder, or one page about several into the first's.

    Raises:
        DataError: a folder holds no evaluated run, or one is named twice.
    """
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise DataError("a folder is named twice: name each run once")
    runs = [_read(folder, name) for folder, name in zip(folders, _names(paths), strict=True)]
    named = "index.html" if len(runs) == 1 else f"{'-'.join(run.name for run in runs)}.html"
    path = folders[0] / "report" / named.replace("/", "_")
    console.print(f"report: {_write(runs, {}, path)}", soft_wrap=True)


def write(config: RunConfig, facts: Mapping[str, str]) -> Path:
    """Write the report of one run, its warm start and its comparison, and return its path."""
    measurements = Measurements(config.folder).all()
    one = _Run(config.name, config.folder, config, _ordered(measurements))
    return _write([one], facts, config.folder / "report" / "index.html")


def _write(runs: Sequence[_Run], facts: Mapping[str, str], path: Path) -> Path:
    configs = {run.name: run.config for run in runs if run.config is not None}
    several = len(runs) > 1
    labels = _labels(runs)
    measured = [
        replace(each, cell=_named(each, labels[run.name, each.cell.subject.key]))
        for run in runs
        for each in run.measurements
    ]
    groups = group_by_question(measured)
    first = runs[0].config
    title = " and ".join(run.name for run in runs)
    if first is not None and not several:
        title = f"{runs[0].name}: {first.algorithm.type.upper()} on {first.task}"
    models = dict.fromkeys(
        f"{Path(config.model.path).name}, seed {config.seed}" for config in configs.values()
    )
    data = ReportData(
        title=title,
        subtitle="; ".join(models),
        sections=tuple(_sections(groups, _people(list(configs.values())))),
        curves=dict(_curves(runs)),
        settings={name: changed_settings(config) for name, config in configs.items()},
        differences=differences(list(configs.values())) if len(configs) > 1 else {},
        hints=tuple(_hints(runs, groups)),
        facts={**facts, **versions()},
    )
    return write_report(data, path)


def _hints(runs: Sequence[_Run], groups: Sequence[Asked]) -> Iterator[str]:
    """Say how to compare runs with the first that no question compares, such as of other seeds."""
    asked = [
        {
            group.question
            for group in groups
            if any(each.policy.startswith(f"{run.name}: ") for each in group.measurements)
        }
        for run in runs
    ]
    first, *others = [[each for each in some if each.seed is not None] for some in asked]
    for run, questions in zip(runs[1:], others, strict=True):
        if not first or not questions or set(first) & set(questions):
            continue
        wanted = (overrides_to(one, other) for one in first for other in questions)
        fewest = min(wanted, key=lambda overrides: len(overrides))
        if not fewest:  # scene generators of two versions, which no setting brings together
            continue
        command = f"physrl evaluate --policy {run.folder} {shlex.join(fewest)}"
        yield (
            f"{runs[0].name} and {run.name} were not asked about the same scenes. This asks "
            f"{run.name} what {runs[0].name} was asked: {command}"
        )


def _sections(
    groups: Sequence[Asked], people: Mapping[str, HumanAccuracy]
) -> Iterator[ReportSection]:
    """Make the section of each question, the one that most was asked under first."""
    ordered = sorted(
        groups, key=lambda each: (each.question.test_set != "iid", -len(each.policies))
    )
    for number, asked in enumerate(ordered):
        question, reference = asked.question, ordered[0].question
        scenes = "photographs" if question.test_set == "real" else "scenes"
        # What the name of the set says already is no difference in settings.
        same = replace(reference, test_set=question.test_set, scene_generator=None)
        if question.test_set == "real":
            same = replace(same, environment=None, seed=None, data=question.data,
                           scenes=question.scenes)  # fmt: skip
        note = describe_difference(replace(question, scene_generator=None), same)
        drawable = question.scene_generator in (None, scene_generator_hash())
        shown = drawable and number < GALLERY_QUESTIONS
        cells = [(each.policy, each.cell, each.result) for each in asked.measurements]
        yield ReportSection(
            title=f"{question.test_set}: {question.scenes} {scenes}",
            policies=asked.policies,
            note=note,
            is_redrawn=drawable,
            gallery=make_gallery(cells) if shown else (),
            human=people.get(question.data or ""),
        )


def _people(configs: Sequence[RunConfig]) -> dict[str, HumanAccuracy]:
    """Compute the accuracy of people on the configured photographs, by the photographs' digest."""
    found = {}
    for photos in map(load_configured_photos, configs):
        human = human_accuracy(photos)
        if human is not None:
            found[photos_content(photos)] = human
    return found


def _curves(runs: Sequence[_Run]) -> Iterator[tuple[str, Sequence[Metrics]]]:
    """Read the metrics of each run, and of a single one's warm start and comparison."""
    for run in runs:
        if run.config is None:
            continue
        own = run.name if len(runs) > 1 else run.config.algorithm.type
        places = {own: run.folder}
        if len(runs) == 1:
            places |= {name: run.folder / name for name in INNER}
        for name, place in places.items():
            if rows := _with_totals(read_metrics(place)):
                yield name, rows


def _with_totals(rows: Sequence[Metrics]) -> list[Metrics]:
    """Add the minutes of training so far, which a run's steps take different times for."""
    minutes, found = 0.0, []
    for row in rows:
        minutes += row.get("time/step_s", 0.0) / 60
        found.append({**row, "minutes": minutes})
    return found


def _read(folder: Path, name: str) -> _Run:
    measurements = Measurements(folder).all()
    path = folder / CONFIG
    if not measurements:
        what = "evaluation: finish the run first" if path.exists() else "run: name a run's folder"
        raise DataError(f"{folder} holds no {what}")
    config = None
    if path.exists():
        places = {"output": folder.parent, "name": folder.resolve().name}
        config = load_config(path).model_copy(update=places)
    return _Run(name, folder, config, _ordered(measurements))


def _names(paths: Sequence[Path]) -> list[str]:
    """Name runs by their folders, with as many parents as tell them apart."""
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    shared = Path(os.path.commonpath(paths))
    return [path.relative_to(shared).as_posix() for path in paths]


def _labels(runs: Sequence[_Run]) -> dict[tuple[str, str], str]:
    """Name each policy of each run, by the run's name and the policy's key.

    A policy has one name, the first that it was measured under; different policies of one name are
    told apart by their keys, and those of several runs by the runs' names. A policy that several
    runs share, such as the base, is named once.
    """
    labels: dict[tuple[str, str], str] = {}
    for run in runs:
        names: dict[str, str] = {}
        for each in run.measurements:
            names.setdefault(each.cell.subject.key, each.policy)
        for key, name in names.items():
            repeated = list(names.values()).count(name) > 1
            labels[run.name, key] = f"{name} {key[:6]}" if repeated else name
    shared = {
        (key, label)
        for (_, key), label in labels.items()
        if all(labels.get((other.name, key)) == label for other in runs)
    }
    return {
        (run, key): label if (key, label) in shared else f"{run}: {label}"
        for (run, key), label in labels.items()
    }


def _named(measurement: Measurement, label: str) -> CellSpec:
    subject = measurement.cell.subject
    return replace(measurement.cell, subject=replace(subject, name=label))


def _ordered(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Sort measurements by policy, the base first."""

    def place(each: Measurement) -> int:
        return ORDER.index(each.policy) if each.policy in ORDER else len(ORDER)

    return tuple(sorted(measurements, key=place))


if __name__ == "__main__":
    from jobs.cli import main

    main(["report", *sys.argv[1:]])
