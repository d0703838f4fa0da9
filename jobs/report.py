"""The HTML report of run folders."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.display.console import console
from physrl.config import RunConfig, load_config
from physrl.data.photos import human_accuracy, load_configured_photos
from physrl.errors import DataError
from physrl.evaluation.result_files import SUFFIX, load_policy_result
from physrl.evaluation.results import PolicyResult
from physrl.metrics import read_metrics
from physrl.report.gallery import make_gallery
from physrl.report.html import write_report
from physrl.report.report import ReportData
from physrl.storage.run_folder import versions

ORDER = ("base", "warm", "grpo", "gspo", "sft")


def run(folders: Sequence[Path]) -> None:
    """Write `report/index.html` into each run folder.

    Raises:
        DataError: a folder holds no evaluated run.
    """
    for folder in folders:
        config = _read_config(folder)
        results = [load_policy_result(path) for path in (folder / "evaluation").glob(f"*{SUFFIX}")]
        if not results:
            raise DataError(f"{folder} holds no evaluation/*.parquet: let the run finish first")
        results.sort(key=lambda r: ORDER.index(r.policy) if r.policy in ORDER else len(ORDER))
        console.print(f"report: {write(config, results, [folder / 'warm', folder / 'sft'], {})}")


def write(
    config: RunConfig,
    results: Sequence[PolicyResult],
    phases: Sequence[Path],
    facts: Mapping[str, str],
) -> Path:
    """Write the report of a run, its warm start and its comparison; returns its path."""
    photos = load_configured_photos(config)
    runs = {config.algorithm.type: config.folder} | {path.name: path for path in phases}
    data = ReportData(
        title=f"{config.name}: {config.algorithm.type.upper()} on {config.task}",
        subtitle=f"{Path(config.model.path).name}, seed {config.seed}",
        policies=tuple(results),
        curves={name: rows for name, path in runs.items() if (rows := read_metrics(path))},
        gallery=make_gallery(results, config.environment, reasoning=config.model.reasoning),
        facts={**facts, **versions()},
        human=human_accuracy(photos) if photos else None,
    )
    return write_report(data, config.folder / "report" / "index.html")


def _read_config(folder: Path) -> RunConfig:
    path = folder / "config.yaml"
    if not path.exists():
        raise DataError(f"{folder} is not a run folder: it has no config.yaml")
    return load_config(path).model_copy(update={"output": folder.parent, "name": folder.name})


if __name__ == "__main__":
    from jobs.cli import main

    main(["report", *sys.argv[1:]])
