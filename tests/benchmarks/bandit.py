"""Recovery of a linear reader from poor starts, under the rewards that the project offers.

    PYTHONPATH=. python tests/benchmarks/bandit.py [--rewards simulated paper] [--tasks place ...]

Trains with GRPO's advantages on outcomes of the exact criterion; success is PyBullet's, of the mean
answer to test scenes. Last line: one JSON object. Exits with status 1 if the default reward leaves
a start below 90 %.
"""

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from physrl.config.reward import REWARDS
from physrl.environments.simulator import Simulator
from physrl.tasks import TASKS
from tests.support.exact_simulator import ExactSimulator
from tests.support.linear_reader import STARTS, Budget, LinearReader, success_rate, train

DEFAULT = "simulated"
RECOVERED = 0.9
TEST_SCENES = 100
BUDGET = Budget()
OFFSET_TASKS = [name for name in TASKS if TASKS[name].axes and TASKS[name].attempts == 1]


def recover(task: str, kind: str, start: str, simulator: Simulator) -> float:
    """Train a reader from a poor start, and return its success rate."""
    reward, exact = REWARDS[kind].config(), ExactSimulator()
    reader = LinearReader(task, start, BUDGET.noise, seed=0)
    train(reader, task, reward, BUDGET, exact, seed=0)
    return success_rate(reader, task, reward, simulator, TEST_SCENES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rewards", nargs="+", default=[DEFAULT], choices=list(REWARDS))
    parser.add_argument("--tasks", nargs="+", default=OFFSET_TASKS, choices=OFFSET_TASKS)
    arguments = parser.parse_args()
    simulator = Simulator()
    table = Table("task", "reward", *STARTS, title="Success (%) after training from poor starts")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for task in arguments.tasks:
        for kind in arguments.rewards:
            shares = {start: recover(task, kind, start, simulator) for start in STARTS}
            figures.setdefault(kind, {})[task] = shares
            table.add_row(task, kind, *(f"{100 * share:.0f}" for share in shares.values()))
    Console(width=110).print(table)
    lowest = {
        kind: min(share for shares in tasks.values() for share in shares.values())
        for kind, tasks in figures.items()
    }
    print(json.dumps({"success": figures, "lowest": lowest}))
    if lowest.get(DEFAULT, 1.0) < RECOVERED:
        sys.exit(f"reward {DEFAULT}: a start ends below {RECOVERED:.0%}")


if __name__ == "__main__":
    main()
