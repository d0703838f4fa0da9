"""Find the prices of guesses, and write physrl/tasks/guess_prices.json.

    python tests/benchmarks/guess_prices.py [KIND ...]     such as: "bridge 2"; by default all

The scenes of tasks with a red block are a choice among random ones: a small share is kept, so
that right places are as wide as possible while no guess is right in over `Kind.cap` of those kept.
This is a linear program, and the prices are its dual variables: a scene is kept if its width, less
the prices of the guesses that are right in it, is among the highest. The subgradient method finds
them. It raises the prices of guesses that are right too often, lowers those of the others, and
chooses again. Mirrored guesses have one price. Takes about eight minutes. Last line: one JSON
object, the largest share of a guess in other scenes, for the numbers of blocks that tasks draw by
default.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from physrl.config.environment import MOST_BLOCKS, EnvironmentConfig
from physrl.environments.geometry import Floats
from physrl.tasks import bridge, stacks
from physrl.tasks.landmarks import Guess, Landmarks, all_guesses, plank_landmarks
from physrl.tasks.prices import WIDEST, Prices

FILE = Path("physrl/tasks/guess_prices.json")
TOLERANCE = 0.02
"""By how much the share of the best guess may exceed the cap."""
DRAWN = 240_000
ROUNDS, STEP, SLOWER = 400, 0.25, 20
"""Rounds of the subgradient method; its first step, in block widths for a share of 1; rounds after
which the step is half as long."""
DIGITS = 4
SETTINGS = EnvironmentConfig()
MOST_BY_DEFAULT = SETTINGS.num_blocks[1]
Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """Random scenes of one kind: the right places in each, and its landmarks."""

    low: Floats
    high: Floats
    landmarks: Landmarks

    def hits(self) -> tuple[list[Guess], Hits]:
        """Return the guesses, and where each is right: guesses x scenes."""
        guesses = list(all_guesses(self.landmarks))
        places = (guess.places(self.landmarks) for guess in guesses)
        return guesses, np.array([(self.low < place) & (place < self.high) for place in places])


def draw_stacks(num_blocks: int, index: int, seed: int) -> Drawn:
    """Draw stacks of which the margin, at its best, is one of the settings'."""
    drawn = stacks.propose(np.random.default_rng(seed), SETTINGS, num_blocks, index, DRAWN)
    margins = drawn.best_margins(index)
    low, high = SETTINGS.margin
    kept = drawn.rows((low <= margins) & (margins <= high))
    return Drawn(*kept.intervals(index), kept.landmarks(index))


def draw_bridges(loads: int, seed: int) -> Drawn:
    """Draw planks that one pier can carry."""
    planks, usable = bridge.propose(np.random.default_rng(seed), SETTINGS, loads, DRAWN)
    balances, half = planks.balances[usable], bridge.PIER[0] / 2
    landmarks = {name: places[usable] for name, places in plank_landmarks(planks).items()}
    return Drawn(balances - half, balances + half, landmarks)


@dataclass(frozen=True)
class Kind:
    draw: Callable[[int], Drawn]
    """Draw scenes from a seed."""
    by_default: bool
    """True if tasks draw such scenes with default settings."""
    cap: float
    """Share of kept scenes in which a guess may be right."""
    shares: tuple[float, ...]
    """Shares of scenes to keep: the first with which the cap holds, or else the last."""


KINDS = {
    stacks.kind_of(blocks, index): Kind(
        partial(draw_stacks, blocks, index), blocks <= MOST_BY_DEFAULT, 0.36, (0.02, 0.0125)
    )
    for blocks in range(stacks.FEWEST, MOST_BLOCKS + 1)
    for index in range(stacks.LOWEST, blocks)
} | {
    bridge.kind_of(loads): Kind(
        partial(draw_bridges, loads), loads < MOST_BY_DEFAULT, 0.25, (0.04,)
    )
    for loads in range(2, MOST_BLOCKS)
}


def find_prices(kind: Kind) -> Prices:
    """Return the prices with which the largest share of scenes is kept, and the threshold."""
    drawn = kind.draw(1)
    widths = np.minimum(drawn.high - drawn.low, WIDEST)
    guesses, right = drawn.hits()
    for share in kind.shares:
        kept = round(share * len(widths))
        excess, prices, threshold = _search(widths, guesses, right, kept, kind.cap)
        if excess <= TOLERANCE:
            break
    listed = {
        guess: round(float(price), DIGITS)
        for guess, price in zip(guesses, prices, strict=True)
        if price >= 10**-DIGITS
    }
    return Prices(listed, round(threshold, DIGITS))


def _search(
    widths: Floats, guesses: list[Guess], right: Hits, kept: int, cap: float
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
        excess = float(shares.max()) - cap
        rank = (max(excess, TOLERANCE), -float(widths[chosen].mean()))
        if rank < best[:2]:
            best = (*rank, prices, float(scores[chosen].min()))
        step = STEP / (1 + round_ / SLOWER)
        prices = np.maximum(0, prices + step * (shares - cap))
    return best[0], best[2], best[3]


def main() -> None:
    title = "Scenes that are kept, and how often the best guess is right in them"
    table = Table(
        *("kind", "priced", "best of all", "kept", "width", "best guess", "aligned"), title=title
    )
    rows, worst = json.loads(FILE.read_text(encoding="utf-8")), 0.0
    for name in sys.argv[1:] or KINDS:
        prices = find_prices(KINDS[name])
        listed = [[g.start, g.end, g.share, g.step, p] for g, p in prices.prices.items()]
        rows[name] = {"threshold": prices.threshold, "prices": listed}
        fresh = KINDS[name].draw(2)
        kept = prices.scores(fresh.low, fresh.high, fresh.landmarks) >= prices.threshold
        right = fresh.hits()[1]
        shares = right[:, kept].mean(axis=1)
        if KINDS[name].by_default:
            worst = max(worst, float(shares.max()))
        cells = (
            f"{len(listed)}",
            f"{100 * right.mean(axis=1).max():.1f} %",
            f"{100 * kept.mean():.1f} %",
            f"{np.mean((fresh.high - fresh.low)[kept]):.2f}",
            f"{100 * shares.max():.1f} %",
            f"{100 * shares[0]:.1f} %",
        )
        table.add_row(name, *cells)
        print(f"{name}: {' '.join(cells)}", file=sys.stderr)
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    Console(width=100).print(table)
    print(json.dumps({"best_guess_share": round(worst, 3)}))


if __name__ == "__main__":
    main()
