"""Find the prices of guesses, and write physrl/tasks/guess_prices.json.

    python tests/benchmarks/guess_prices.py

The scenes of tasks with a red block are a choice among random stacks: a small share is kept, so
that right places are as wide as possible while no guess is right in over CAP of those kept.
This is a linear program, and the prices are its dual variables: a stack is kept if its width, less
the prices of the guesses that are right in it, is among the highest. The subgradient method finds
them. It raises the prices of guesses that are right too often, lowers those of the others, and
chooses again. Mirrored guesses have one price. Takes about six minutes. Last line: one JSON object,
the largest share of a guess in other stacks, for the numbers of blocks that tasks draw by default.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from physrl.config.environment import MOST_BLOCKS, EnvironmentConfig
from physrl.environments.geometry import Floats
from physrl.tasks.landmarks import Guess, all_guesses
from physrl.tasks.stacks import FEWEST, LOWEST, WIDEST, Prices, Stacks, propose

FILE = Path("physrl/tasks/guess_prices.json")
CAP, TOLERANCE = 0.36, 0.02
"""Share of kept stacks in which a guess may be right, and by how much the best may exceed it."""
SHARES = (0.02, 0.0125)
"""Shares of stacks to keep: the first with which the cap holds, or else the last."""
DRAWN = 240_000
ROUNDS, STEP, SLOWER = 400, 0.25, 20
"""Rounds of the subgradient method; its first step, in block widths for a share of 1; rounds after
which the step is half as long."""
DIGITS = 4
SETTINGS = EnvironmentConfig()
Hits = NDArray[np.bool_]


def draw(seed: int, num_blocks: int, index: int) -> Stacks:
    """Draw stacks of which the margin, at its best, is one of the settings'."""
    stacks = propose(np.random.default_rng(seed), SETTINGS, num_blocks, index, DRAWN)
    margins = stacks.best_margins(index)
    low, high = SETTINGS.margin
    return stacks.rows((low <= margins) & (margins <= high))


def hits(stacks: Stacks, index: int) -> tuple[list[Guess], Hits]:
    """Return the guesses, and where each is right: guesses x stacks."""
    low, high = stacks.intervals(index)
    landmarks = stacks.landmarks(index)
    guesses = list(all_guesses(landmarks))
    places = (guess.places(landmarks) for guess in guesses)
    return guesses, np.array([(low < place) & (place < high) for place in places])


def find_prices(stacks: Stacks, index: int) -> Prices:
    """Return the prices with which the largest share of stacks is kept, and the threshold."""
    low, high = stacks.intervals(index)
    widths = np.minimum(high - low, WIDEST)
    guesses, right = hits(stacks, index)
    for share in SHARES:
        excess, prices, threshold = _search(widths, guesses, right, round(share * len(widths)))
        if excess <= TOLERANCE:
            break
    listed = {
        guess: round(float(price), DIGITS)
        for guess, price in zip(guesses, prices, strict=True)
        if price >= 10**-DIGITS
    }
    return Prices(listed, round(threshold, DIGITS))


def _search(
    widths: Floats, guesses: list[Guess], right: Hits, kept: int
) -> tuple[float, Floats, float]:
    """Return by how much the best guess exceeds the cap, the prices, and the threshold."""
    place = {guess: row for row, guess in enumerate(guesses)}
    mirrored = [place.get(guess.mirrored(), row) for row, guess in enumerate(guesses)]
    rows = np.ascontiguousarray(right.T).astype(np.float32)
    prices: Floats = np.zeros(len(guesses))
    best: tuple[float, float, Floats, float] = (np.inf, 0.0, prices, 0.0)
    for round_ in range(ROUNDS):
        scores = widths - rows @ prices.astype(np.float32)
        chosen = np.argpartition(-scores, kept)[:kept]
        shares = right[:, chosen].mean(axis=1)
        shares = (shares + shares[mirrored]) / 2
        excess = float(shares.max()) - CAP
        rank = (max(excess, TOLERANCE), -float(widths[chosen].mean()))
        if rank < best[:2]:
            best = (*rank, prices, float(scores[chosen].min()))
        step = STEP / (1 + round_ / SLOWER)
        prices = np.maximum(0, prices + step * (shares - CAP))
    return best[0], best[2], best[3]


def main() -> None:
    title = f"Stacks of which no guess may be right in over {CAP:.0%}"
    table = Table(
        *("blocks", "index", "priced", "best of all", "kept", "width", "best guess", "aligned"),
        title=title,
    )
    rows, worst = [], 0.0
    for num_blocks in range(FEWEST, MOST_BLOCKS + 1):
        for index in range(LOWEST, num_blocks):
            prices = find_prices(draw(1, num_blocks, index), index)
            listed = [[g.start, g.end, g.share, g.step, p] for g, p in prices.prices.items()]
            case = {"num_blocks": num_blocks, "index": index, "threshold": prices.threshold}
            rows.append(json.dumps(case | {"prices": listed}))
            fresh = draw(2, num_blocks, index)
            accepted = prices.scores(fresh, index) >= prices.threshold
            kept = fresh.rows(accepted)
            shares = hits(kept, index)[1].mean(axis=1)
            low, high = kept.intervals(index)
            if num_blocks <= SETTINGS.num_blocks[1]:
                worst = max(worst, float(shares.max()))
            cells = (
                f"{100 * hits(fresh, index)[1].mean(axis=1).max():.1f} %",
                f"{100 * accepted.mean():.1f} %",
                f"{np.mean(high - low):.2f}",
                f"{100 * shares.max():.1f} %",
                f"{100 * shares[0]:.1f} %",
            )
            table.add_row(f"{num_blocks}", f"{index}", f"{len(listed)}", *cells)
            print(f"{num_blocks} blocks, index {index}: {' '.join(cells)}", file=sys.stderr)
    FILE.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    Console(width=100).print(table)
    print(json.dumps({"best_guess_share": round(worst, 3)}))


if __name__ == "__main__":
    main()
