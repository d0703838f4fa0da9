"""Dashboards query exported metrics, and their files are those that the script writes."""

import importlib.util
import json
import re
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest

from tests.helm.chart import ROOT

SOURCES = ("physrl", "cluster")


@pytest.fixture(scope="module")
def dashboards() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboards", ROOT / "helm" / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(dashboards: ModuleType, name: str) -> dict[str, object]:
    return dict(json.loads((dashboards.FOLDER / f"{name}.json").read_text()))


@pytest.mark.parametrize("name", ["training", "rollouts", "sweep"])
def test_files_are_what_the_script_writes(dashboards: ModuleType, name: str) -> None:
    assert read(dashboards, name) == dashboards.dashboard(name, dashboards.DASHBOARDS[name])


def test_rays_own_is_that_of_the_installed_ray(dashboards: ModuleType) -> None:
    assert read(dashboards, "ray") == dashboards.ray_dashboard()


def test_every_metric_is_one_that_the_project_writes(dashboards: ModuleType) -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8") for top in SOURCES for path in (ROOT / top).rglob("*.py")
    )
    # What stands between quotes, with anything for what is filled in: f"task/{task}/accuracy".
    logged = {re.sub(r"\{[^}]*\}", "*", one) for one in re.findall(r'"([a-z_{][^"\s]*)"', text)}
    logged = {one for one in logged if "*" not in one or "/" in one}
    panels = [panel for panels in dashboards.DASHBOARDS.values() for panel in panels]
    asked = {metric for panel in panels for metric in panel.metrics}
    assert [one for one in asked if not any(fnmatch(one, name) for name in logged)] == []


def test_names_in_prometheus(dashboards: ModuleType) -> None:
    assert dashboards.exported("task/place/accuracy") == "ray_physrl_task_place_accuracy"
    assert dashboards.query("reward").startswith('ray_physrl_reward{ray_io_cluster=~"$cluster"')
    assert dashboards.query("time/*_s").startswith('{__name__=~"ray_physrl_time_.+_s", ray_io')


def test_what_is_not_exported_is_found(dashboards: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "metrics"
    page.write_text(
        "# HELP ray_physrl_reward x\n"
        'ray_physrl_reward{run="a"} 0.5\n'
        'ray_physrl_time_step_s{run="a"} 3\n'
    )
    names = dashboards.scraped(str(page))
    assert names == {"ray_physrl_reward", "ray_physrl_time_step_s"}
    content = {
        "panels": [
            {"targets": [{"expr": dashboards.query("reward")}]},
            {"panels": [{"targets": [{"expr": dashboards.query("time/*_s")}]}]},
            {"targets": [{"expr": dashboards.query("kl")}]},
        ]
    }
    patterns = dashboards.queried(content)
    assert patterns == {"ray_physrl_reward", "ray_physrl_time_.+_s", "ray_physrl_kl"}
    assert dashboards.missing(patterns, names) == ["ray_physrl_kl"]


def test_only_what_needs_accelerators_or_an_event_may_be_absent(
    dashboards: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {
        name for path in dashboards.FOLDER.glob("*.json") for name in of_file(dashboards, path)
    }
    there = {name.replace(".+", "x") for name in asked if "gpu" not in name}
    page = tmp_path / "metrics"
    page.write_text("".join(f"{name} 1\n" for name in there))
    assert dashboards.check([str(page)])
    assert "  not here: ray_node_gpus_utilization\n" in capsys.readouterr().out
    page.write_text("".join(f"{name} 1\n" for name in there - {"ray_tasks"}))
    assert not dashboards.check([str(page)])
    assert "  not exported: ray_tasks\n" in capsys.readouterr().out


def of_file(dashboards: ModuleType, path: Path) -> set[str]:
    return set(dashboards.queried(json.loads(path.read_text())))
