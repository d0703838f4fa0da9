"""Faults of every part of running jobs, whose results are compared with an undisturbed run's.

    python tests/benchmarks/chaos.py [--repetitions 20] [--faults worker,server,...]

A fault is survived if the run ends with the same weights, bit by bit, as the undisturbed run, and
every scene was trained on once (but for the scene that kills every worker, which is left out and
named). Recovery is the time from the death to the next step that is done; for a driver, from the
start of its successor to that step. Last line: one JSON object.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import partial
from pathlib import Path

from chaos_faults import (
    ACTOR_FAULTS,
    EVERY_FAULT,
    JOB_FAULTS,
    SESSION_FAULTS,
    Faults,
    Outcome,
)
from chaos_run import make_config
from rich.console import Console
from rich.table import Table

from cluster.runtime.session import ray_session

console = Console(soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--faults", default=",".join(EVERY_FAULT))
    given = parser.parse_args()
    chosen = given.faults.split(",")
    if unknown := set(chosen) - set(EVERY_FAULT):
        parser.error(f"--faults names {unknown}: choose from {', '.join(EVERY_FAULT)}")
    if "full disk" in chosen and os.geteuid() != 0:
        console.print("full disk: left out, only root may mount a small one")
        chosen.remove("full disk")
    with tempfile.TemporaryDirectory(prefix="physrl-chaos-") as name:
        show(disturb(Path(name), chosen, given.repetitions))


def disturb(folder: Path, chosen: Collection[str], repetitions: int) -> dict[str, list[Outcome]]:
    """Cause each of the chosen faults; those that take minutes less often."""
    few = max(1, repetitions // 10)
    found: dict[str, list[Outcome]] = {}
    faults = Faults(folder)
    with ray_session(make_config(folder, "session").runtime):
        faults.train_undisturbed()
        actor_faults = [fault for fault in ACTOR_FAULTS if fault in chosen]
        if actor_faults:
            with faults.chaotic_actors() as actors:
                for fault in actor_faults:
                    times = max(1, repetitions // 4) if fault == "hang" else repetitions
                    cause = partial(faults.disturb_actor, actors, fault)
                    found[fault] = repeat(fault, times, cause)
        for fault, method in SESSION_FAULTS.items():
            if fault in chosen:
                found[fault] = repeat(fault, few, partial(method, faults))
    for fault, method in JOB_FAULTS.items():
        if fault in chosen:
            times = repetitions if fault == "driver" else few
            found[fault] = repeat(fault, times, partial(method, faults))
    return found


def repeat(fault: str, times: int, cause: Callable[[int], Outcome]) -> list[Outcome]:
    """Cause a fault several times; print each outcome at once, since all of them take an hour."""
    outcomes = []
    for number in range(times):
        outcomes.append(outcome := cause(number))
        console.print(f"{fault} {number + 1}/{times}: {json.dumps(asdict(outcome))}")
    return outcomes


def show(found: dict[str, list[Outcome]]) -> None:
    """Print a table of the outcomes, and the figures."""
    table = Table("fault", "runs", "survived", "scenes lost", "recovery s, median", "longest")
    for fault, outcomes in found.items():
        seconds = [outcome.recovery_s for outcome in outcomes]
        table.add_row(
            fault,
            str(len(outcomes)),
            str(sum(outcome.survived for outcome in outcomes)),
            str(sum(outcome.scenes_lost for outcome in outcomes)),
            f"{statistics.median(seconds):.1f}",
            f"{max(seconds):.1f}",
        )
    console.print(table)
    every = [outcome for outcomes in found.values() for outcome in outcomes]
    figures = {
        "faults": len(found),
        "runs": len(every),
        "survived": sum(outcome.survived for outcome in every),
        "scenes_lost": sum(outcome.scenes_lost for outcome in every),
        "max_recovery_s": round(max(outcome.recovery_s for outcome in every), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
