"""Damage the inputs of every reader, and count the exceptions that are not this project's own.

PYTHONPATH=. python tests/benchmarks/fuzz_readers.py --inputs 100000 [--only yaml] [--seed 0]
"""

import argparse
import collections
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.support.damage import damaged, damaged_text, refusal
from tests.support.readers import Reader, readers


def main() -> None:
    """Fuzz the readers, print a line for each, and exit with 1 if an exception escaped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--only", action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    escaped = 0
    with tempfile.TemporaryDirectory() as scratch:
        table = readers(Path(scratch))
        for name in options.only or table:
            escaped += fuzz(name, table[name], options.inputs, options.seed)
    sys.exit(escaped > 0)


def fuzz(name: str, reader: Reader, inputs: int, seed: int) -> int:
    """Fuzz one reader; return the number of exceptions that escaped."""
    draw, began = random.Random(f"{name} {seed}"), time.process_time()
    read = refused = 0
    kinds = collections.Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(inputs):
            damage = draw.choice((damaged, damaged_text))
            data = damage(draw.choice(reader.seeds), draw)
            try:
                line = refusal(reader.read, data, Path(folder))
            except BaseException as error:
                kinds[f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"] += 1
            else:
                read, refused = read + (line is None), refused + (line is not None)
    seconds = time.process_time() - began
    print(
        f"{name}: {inputs} inputs, {read} read, {refused} refused, {kinds.total()} escaped, "
        f"{seconds:.0f} s",
        flush=True,
    )
    for kind, count in kinds.most_common(10):
        print(f"    {count} {kind}")
    return kinds.total()


if __name__ == "__main__":
    main()
