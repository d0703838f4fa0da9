"""Damage the inputs of every reader, and count the exceptions that are not this project's own.

    PYTHONPATH=. python tests/benchmarks/fuzz_readers.py --inputs 100000 [--only yaml] [--seed 0]

Parts of a reader's inputs are read in processes of their own, on every core; one that dies counts
as an exception that escaped. Exits with 1 if one did. Last line: one JSON object.
"""

import argparse
import collections
import json
import os
import random
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.support.damage import damaged, damaged_text, refusal
from tests.support.readers import readers

PART = 10_000
"""Most inputs that a process reads."""


@dataclass
class Tally:
    """What became of a reader's inputs."""

    read: int = 0
    refused: int = 0
    kinds: collections.Counter[str] = field(default_factory=collections.Counter)
    """Exceptions that escaped, by their first words."""
    seconds: float = 0.0

    def add(self, other: "Tally") -> None:
        self.read += other.read
        self.refused += other.refused
        self.kinds += other.kinds
        self.seconds += other.seconds


def main() -> None:
    """Fuzz the readers, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs of each reader")
    parser.add_argument("--only", action="append", help="name of a reader; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        names = options.only or list(readers(Path(scratch)))
    escaped = {}
    for name in names:
        tally = fuzz_apart(name, options.inputs, options.seed)
        escaped[name] = tally.kinds.total()
        print(
            f"{name}: {options.inputs} inputs, {tally.read} read, {tally.refused} refused, "
            f"{escaped[name]} escaped, {tally.seconds:.0f} s",
            flush=True,
        )
        for kind, count in tally.kinds.most_common(10):
            print(f"    {count} {kind}")
    total = sum(escaped.values())
    print(json.dumps({"readers": len(names), "inputs": options.inputs, "escaped": total}))
    sys.exit(total > 0)


def fuzz_apart(name: str, inputs: int, seed: int) -> Tally:
    """Fuzz one reader in several processes."""
    tally, parts = Tally(), -(-inputs // PART)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("forkserver")) as pool:
        jobs = [
            pool.submit(fuzz, name, min(PART, inputs - part * PART), f"{seed} {part}")
            for part in range(parts)
        ]
        for job in as_completed(jobs):
            try:
                tally.add(job.result())
            except BrokenProcessPool as error:
                tally.kinds[f"a process died: {error}"] += 1
    return tally


def fuzz(name: str, inputs: int, seed: str) -> Tally:
    """Fuzz one reader in this process."""
    warnings.simplefilter("ignore")
    draw, began, tally = random.Random(f"{name} {seed}"), time.process_time(), Tally()
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as folder:
        reader = readers(Path(scratch))[name]
        for _ in range(inputs):
            damage = draw.choice((damaged, damaged_text))
            data = damage(draw.choice(reader.seeds), draw)
            try:
                line = refusal(reader.read, data, Path(folder))
            except BaseException as error:
                tally.kinds[f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"] += 1
            else:
                tally.read, tally.refused = tally.read + (not line), tally.refused + bool(line)
    tally.seconds = time.process_time() - began
    return tally


if __name__ == "__main__":
    main()
