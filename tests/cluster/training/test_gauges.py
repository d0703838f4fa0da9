import re
import time
import urllib.request

import pytest
import ray

from cluster.training.gauges import RunGauges, gauge_name
from physrl.metrics import Row


@pytest.mark.parametrize(
    ("metric", "gauge"),
    [
        ("reward", "physrl_reward"),
        ("task/place/accuracy", "physrl_task_place_accuracy"),
        ("time/rolling_out_s", "physrl_time_rolling_out_s"),
    ],
)
def test_names(metric: str, gauge: str) -> None:
    assert gauge_name(metric) == gauge


def exported(name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Read a metric's values by tags from the node's Prometheus endpoint."""
    port = ray.nodes()[0]["MetricsExportPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        lines = page.read().decode().splitlines()
    found = {}
    for line in lines:
        if match := re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line):
            tags = re.findall(r'(\w+)="([^"]*)"', match[1])
            found[frozenset(tag for tag in tags if tag[0] in ("run", "trial"))] = float(match[2])
    return found


@pytest.mark.usefixtures("ray_cluster")
def test_prometheus_reads_each_runs_last_values() -> None:
    first, second = RunGauges("mine", "seed-0"), RunGauges("mine", "seed-1")
    first.write(Row(1, 0.0, {"gauges/test-value": 0.25}))
    second.write(Row(1, 0.0, {"gauges/test-value": 0.5}))
    first.write(Row(2, 0.0, {"gauges/test-value": 0.75}))
    expected = {
        frozenset({("run", "mine"), ("trial", "seed-0")}): 0.75,
        frozenset({("run", "mine"), ("trial", "seed-1")}): 0.5,
    }
    for _ in range(60):  # Ray hands values to its agent every few seconds
        found = exported("ray_physrl_gauges_test_value")
        if found == expected:
            break
        time.sleep(0.5)
    assert found == expected
