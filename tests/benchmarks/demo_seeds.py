"""Gain of GRPO over its warm start, from finished demo runs.

    for s in 0 1 2; do physrl demo name=seed$s seed=$s; done
    python tests/benchmarks/demo_seeds.py runs/seed0 runs/seed1 runs/seed2

Prints a line for each run and, last, one JSON line.
"""

import argparse
import json
from pathlib import Path

from physrl.config import load_config
from physrl.config.study import Decoding
from physrl.evaluation.measurements import Measurements
from physrl.evaluation.results import CellResult, compare
from physrl.evaluation.specs import Condition


def find(run: Path, policy: str, decoding: Decoding) -> CellResult:
    task = load_config(run / "config.yaml").task
    condition = Condition(task, decoding=decoding)
    (result,) = (
        each.result
        for each in Measurements(run).all()
        if each.policy == policy and each.cell.condition == condition
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished demo runs")
    rows = []
    for run in parser.parse_args().runs:
        row: dict[str, object] = {"run": run.name}
        for decoding in ("sampled", "greedy"):
            warm, grpo = (find(run, policy, decoding) for policy in ("warm", "grpo"))
            gain = compare(warm, grpo)
            assert gain is not None  # the scenes are the same
            row[decoding] = {
                "warm": [warm.count.successes, warm.count.total],
                "grpo": [grpo.count.successes, grpo.count.total],
                "gain_points": round(100 * gain.value, 1),
                "interval": [round(100 * gain.low, 1), round(100 * gain.high, 1)],
            }
        rows.append(row)
        print(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
