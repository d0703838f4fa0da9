"""Time of each phase of a training step, from a run's metrics.

    physrl demo && python tests/benchmarks/step_phases.py runs/demo

Prints one JSON line: the mean seconds of each phase over all steps.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from physrl.metrics import read_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run")
    rows = read_metrics(parser.parse_args().run)
    phases = sorted({key for row in rows for key in row if key.startswith("time/")})
    means = {key: float(np.mean([row.get(key, 0.0) for row in rows])) for key in phases}
    print(json.dumps({key: round(mean, 2) for key, mean in means.items()}))


if __name__ == "__main__":
    main()
