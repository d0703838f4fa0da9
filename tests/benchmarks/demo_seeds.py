"""Gain of GRPO over its warm start, from finished demo runs.

    for s in 0 1 2; do physrl demo name=seed$s seed=$s; done
    python tests/benchmarks/demo_seeds.py runs/seed0 runs/seed1 runs/seed2

Prints a line for each run and, last, one JSON line.
"""

import argparse
import json
from pathlib import Path

from physrl.config.study import Decoding
from physrl.evaluation.result_files import SUFFIX, load_policy_result
from physrl.evaluation.statistics import Count, compare


def count(run: Path, policy: str, decoding: Decoding) -> Count:
    result = load_policy_result(run / "evaluation" / f"{policy}{SUFFIX}").find("place_x", decoding)
    assert result is not None
    return result.count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished demo runs")
    rows = []
    for run in parser.parse_args().runs:
        row: dict[str, object] = {"run": run.name}
        for decoding in ("sampled", "greedy"):
            warm, grpo = (count(run, policy, decoding) for policy in ("warm", "grpo"))
            gain = compare(warm, grpo)
            row[decoding] = {
                "warm": [warm.successes, warm.total],
                "grpo": [grpo.successes, grpo.total],
                "gain_points": round(100 * gain.value, 1),
                "standard_errors": round(gain.value / gain.standard_error, 1),
            }
        rows.append(row)
        print(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
