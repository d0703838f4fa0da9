"""Write the chart's Grafana dashboards, or compare their queries with exported metrics.

python helm/dashboards.py                       write helm/physrl/dashboards/*.json
python helm/dashboards.py check FILE_OR_URL...  pages of Prometheus text, as Ray's nodes serve them
"""

import argparse
import json
import re
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "physrl" / "dashboards"
PREFIX = "ray_physrl_"
"""Prefix of metrics that the project exports through Ray."""
FILTER = '{ray_io_cluster=~"$cluster", run=~"$run", trial=~"$trial"}'
_SELECTED = re.compile(r'__name__=~"([^"]+)"')
_NAMED = re.compile(r"\bray_[a-z0-9_]+")
_NOT_ALWAYS = re.compile(r"ray_.*(gpu|gram|tpu).*|ray_.*_(eviction|failure)_total")
"""Metrics of accelerators, and of events that may not have happened."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A time series panel: metrics by their names in `metrics.jsonl`; `*` stands for a task."""

    title: str
    metrics: tuple[str, ...]
    unit: str = "short"
    legend: str = "{{run}} {{trial}}"


ACCURACY = "task/*/accuracy"
DASHBOARDS = {
    "training": (
        Panel("Reward", ("reward", "reward_std")),
        Panel("Accuracy in training", (ACCURACY,), "percentunit"),
        Panel("Accuracy on validation scenes", ("validation/*/accuracy",), "percentunit"),
        Panel("Loss", ("loss",)),
        Panel("Gradient norm", ("grad_norm",)),
        Panel("Learning rate", ("learning_rate",)),
        Panel("Entropy", ("entropy",)),
        Panel("KL from the base", ("kl",)),
        Panel("Clipped tokens", ("clip_ratio/region_mean",), "percentunit"),
        Panel("Sampler against learner, nats", ("sampling/sampling_logp_difference/mean",)),
        Panel("Importance weight", ("sampling/importance_sampling_ratio/max",)),
        Panel("Skipped updates", ("guard/skipped_updates",)),
        Panel("Samples learned from", ("budget/samples",)),
    ),
    "rollouts": (
        Panel("Completions a second", ("throughput/completions_per_s",)),
        Panel("Seconds of a step", ("time/*_s",), "s"),
        Panel("Staleness, policy versions", ("policy/staleness",)),
        Panel("Policy version", ("policy/version",)),
        Panel("Tokens of a completion", ("completions/mean_length", "completions/max_length")),
        Panel("Completions cut off", ("completions/clipped_ratio",), "percentunit"),
        Panel("Answers not understood", ("parse/failure_rate",), "percentunit"),
        Panel("Illegal moves", ("illegal_rate",), "percentunit"),
        Panel("Attempts of a rollout", ("attempts/mean",)),
        Panel("Groups of equal rewards", ("frac_reward_zero_std",), "percentunit"),
    ),
    "sweep": (
        Panel("Accuracy in training, by trial", (ACCURACY,), "percentunit", "{{trial}}"),
        Panel("Reward, by trial", ("reward",), "short", "{{trial}}"),
        Panel("Updates done, by trial", ("budget/updates",), "short", "{{trial}}"),
        Panel("Entropy, by trial", ("entropy",), "short", "{{trial}}"),
        Panel("Completions a second, by trial", ("throughput/completions_per_s",)),
        Panel("Skipped updates, by trial", ("guard/skipped_updates",), "short", "{{trial}}"),
    ),
}


def exported(metric: str) -> str:
    """Return a metric's name in Prometheus, such as ray_physrl_task_place_accuracy."""
    return PREFIX + re.sub(r"[^A-Za-z0-9*]", "_", metric)


def query(metric: str) -> str:
    """Return the PromQL query of a metric for the selected runs and trials."""
    name = exported(metric)
    if "*" not in name:
        return name + FILTER
    return FILTER.replace("{", f'{{__name__=~"{name.replace("*", ".+")}", ', 1)


def dashboard(name: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it, with two panels a row."""
    return {
        "uid": f"physrl-{name}",
        "title": f"physrl: {name}",
        "tags": ["physrl"],
        "schemaVersion": 39,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource(), *map(_variable, _VARIABLES)]},
        "panels": [_panel(index, panel) for index, panel in enumerate(panels)],
    }


_VARIABLES = {"cluster": "ray_io_cluster", "run": "run", "trial": "trial"}


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _variable(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": f"label_values({exported('policy/version')}, {_VARIABLES[name]})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        # A label that is absent counts as chosen.
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(index: int, panel: Panel) -> dict[str, Any]:
    def target(number: int, metric: str) -> dict[str, Any]:
        several = len(panel.metrics) > 1 or "*" in metric
        what = "{{__name__}} " if several else ""
        return {
            "refId": chr(ord("A") + number),
            "expr": query(metric),
            "legendFormat": what + panel.legend,
        }

    return {
        "id": index + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 12, "x": index % 2 * 12, "y": index // 2 * 8},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [target(number, metric) for number, metric in enumerate(panel.metrics)],
    }


def ray_dashboard() -> dict[str, Any]:
    """Return the dashboard of the installed Ray."""
    from ray.dashboard.modules.metrics import grafana_dashboard_factory as factory

    content, _ = factory.generate_default_grafana_dashboard()
    return dict(json.loads(content))


def write() -> None:
    """Write every dashboard."""
    FOLDER.mkdir(exist_ok=True)
    drawn = {name: dashboard(name, panels) for name, panels in DASHBOARDS.items()}
    for name, content in (drawn | {"ray": ray_dashboard()}).items():
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def queries(content: dict[str, Any]) -> Iterator[str]:
    """Yield all PromQL queries of a dashboard, rows included."""
    for panel in content["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
        yield from queries(panel) if "panels" in panel else ()


def queried(content: dict[str, Any]) -> set[str]:
    """Return patterns of the metrics that a dashboard queries."""
    expressions = list(queries(content))
    selected = {name for text in expressions for name in _SELECTED.findall(text)}
    named = {name for text in expressions for name in _NAMED.findall(_SELECTED.sub("", text))}
    return selected | named - set(_VARIABLES.values())


def missing(patterns: set[str], names: set[str]) -> list[str]:
    """List patterns that no exported name matches."""
    return sorted(p for p in patterns if not any(re.fullmatch(p, name) for name in names))


def scraped(source: str) -> set[str]:
    """Read the metric names of a page of Prometheus text.

    Args:
        source: a file, or an http:// address.
    """
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source, timeout=10) as answer:
            text = answer.read().decode()
    else:
        text = Path(source).read_text(encoding="utf-8")
    return set(re.findall(r"^([A-Za-z_:][A-Za-z0-9_:]*)[{ ]", text, re.MULTILINE))


def check(sources: Sequence[str]) -> bool:
    """Print the queried metrics that are not exported, and return whether all are.

    What Ray exports only with accelerators or after an event may be absent.
    """
    names = set().union(*map(scraped, sources))
    complete = True
    for path in sorted(FOLDER.glob("*.json")):
        patterns = queried(json.loads(path.read_text()))
        absent = missing(patterns, names)
        print(f"{path.stem}: {len(patterns) - len(absent)} of {len(patterns)} exported")
        for pattern in absent:
            excused = _NOT_ALWAYS.fullmatch(pattern)
            print(f"  {'not here' if excused else 'not exported'}: {pattern}")
            complete = complete and excused is not None
    return complete


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", nargs="?", choices=("write", "check"), default="write")
    parser.add_argument("sources", nargs="*", metavar="FILE_OR_URL")
    arguments = parser.parse_args()
    if arguments.verb == "write":
        write()
    elif not arguments.sources:
        parser.error("check needs a file or URL of metrics, such as http://localhost:8080")
    elif not check(arguments.sources):
        sys.exit(1)


if __name__ == "__main__":
    main()
